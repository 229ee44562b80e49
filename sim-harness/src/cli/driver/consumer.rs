//! `driver --consumer`: another driver beside softndk.sys, as a consumer's author would run it.
//!
//! ndkping.sys is measured with on two hosts. Any other driver is loaded on one host and sent the requests of `--ioctl`.

use super::super::bad_input;
use super::DriverArgs;
use crate::image;
use crate::kernel::host::bed::ImageBed;
use crate::kernel::host::ndkping::ioctl::Latency;
use crate::kernel::host::ndkping::{self, Measured, Options};
use crate::kernel::host::program::Program;
use std::path::Path;
use std::process::ExitCode;

/// A request: the device's path, the control code, the input.
struct Ioctl {
    device: String,
    code: u32,
    input: Vec<u8>,
}

impl Ioctl {
    /// From `DEVICE:CODE:HEXFILE`; the code is hexadecimal, the file holds hexadecimal digits, blanks between them or not.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not DEVICE:CODE:HEXFILE");
        let (rest, file) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (device, code) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let code = u32::from_str_radix(code.trim_start_matches("0x"), 16).map_err(|_| wrong())?;
        let hex = match file {
            "" => String::new(),
            file => std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?,
        };
        let device = if device.starts_with('\\') { device.to_owned() } else { format!(r"\\.\{device}") };
        Ok(Self { device, code, input: bytes_of(&hex).ok_or_else(|| format!("{file} holds no hexadecimal bytes"))? })
    }
}

/// Bytes from hexadecimal digits.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

fn hex_of(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Runs the command with softndk.sys's bytes.
pub(super) fn run(args: &DriverArgs, consumer: &str, provider: Vec<u8>) -> ExitCode {
    let path = match consumer {
        "ndkping" => match image::build_named("ndkping", true) {
            Ok(path) => path,
            Err(error) => return bad_input(&error.to_string()),
        },
        file => Path::new(file).to_owned(),
    };
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return bad_input(&format!("cannot read {}: {error}", path.display())),
    };
    let service = path.file_stem().map_or("consumer".into(), |stem| stem.to_string_lossy().into_owned());
    println!("consumer  {}", path.display());
    if service.eq_ignore_ascii_case("ndkping") && args.ioctl.is_empty() {
        return measure(args, provider, bytes);
    }
    let ioctls: Vec<_> = match args.ioctl.iter().map(|text| Ioctl::parse(text)).collect() {
        Ok(ioctls) => ioctls,
        Err(error) => return bad_input(&error),
    };
    send(args, &provider, &bytes, &service, &ioctls)
}

fn measure(args: &DriverArgs, provider: Vec<u8>, consumer: Vec<u8>) -> ExitCode {
    let options = Options {
        provider,
        consumer,
        loss: args.loss,
        mtu: args.mtu,
        ipv6: args.ipv6,
        total: args.size,
        seed: args.seed,
    };
    match ndkping::measure(&options) {
        Ok(measured) => {
            print(&measured);
            finish(&measured.violations, args.seed)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds for people")]
fn print(measured: &Measured) {
    let pings = &measured.pings;
    for (name, latency) in [("SEND", pings.send), ("READ", pings.read), ("WRITE", pings.write)] {
        let Latency { count, min, average, max, p50, p99 } = latency;
        let [min, average, max, p50, p99] = [min, average, max, p50, p99].map(|nanoseconds| nanoseconds as f64 / 1e3);
        println!(
            "latency   {name:5} 64 bytes, {count} times: min {min:.1} avg {average:.1} p50 {p50:.1} p99 {p99:.1} max {max:.1} us"
        );
    }
    for (name, one) in ["SEND", "READ", "WRITE"].into_iter().zip(&measured.bandwidths) {
        let rate = one.bytes as f64 / (one.nanoseconds.max(1) as f64);
        println!(
            "bandwidth {name:5} {} bytes in {:.3} ms: {rate:.3} GB/s of virtual time; {} of {} operations differ",
            one.bytes,
            one.nanoseconds as f64 / 1e6,
            one.mismatches,
            one.operations
        );
    }
}

/// Loads a driver on the first of two hosts, and sends it requests.
fn send(args: &DriverArgs, provider: &[u8], consumer: &[u8], service: &str, ioctls: &[Ioctl]) -> ExitCode {
    let mut bed = match ImageBed::new(provider, args.seed) {
        Ok(bed) => bed,
        Err(error) => return bad_input(&format!("softndk.sys: {error}")),
    };
    let device = ioctls.first().map_or_else(|| format!(r"\\.\{service}"), |ioctl| ioctl.device.clone());
    let program = match Program::start(&bed.hosts[0], consumer, service, &device) {
        Ok(program) => program,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut failed = Vec::new();
    for ioctl in ioctls {
        let request = program.submit(ioctl.code, &ioctl.input, args.room);
        if !bed.run_until(|| request.is_done()) {
            failed.push(format!("control code {:#x} is never answered", ioctl.code));
            continue;
        }
        if let Some((status, answer)) = request.take() {
            println!("answer    {:#x}: status {status:#010x}, {} bytes {}", ioctl.code, answer.len(), hex_of(&answer));
        }
    }
    for line in bed.hosts[0].machine.log_lines() {
        println!("log       {line}");
    }
    let machine = bed.hosts[0].machine.clone();
    machine.thread("the end of a program", move || {
        program.end();
    });
    bed.hosts[0].settle();
    if !bed.run_until(|| machine.sched.alive() == 0) {
        failed.extend(machine.sched.waits().into_iter().map(|wait| format!("the unload waits for {wait}")));
    }
    failed.extend(bed.end());
    finish(&failed, args.seed)
}

fn finish(violations: &[String], seed: u64) -> ExitCode {
    for violation in violations {
        println!("violation {violation}");
    }
    println!("verdict: {} (seed {seed})", if violations.is_empty() { "ok" } else { "FAILED" });
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_the_command_line() {
        let ioctl = Ioctl::parse("ndkping:0x22e000:").unwrap();
        assert_eq!((ioctl.device.as_str(), ioctl.code, ioctl.input), (r"\\.\ndkping", 0x22_e000, vec![]));
        assert_eq!(Ioctl::parse(r"\Device\x:22e004:").unwrap().device, r"\Device\x");
        for wrong in ["ndkping", "ndkping:22e000", "ndkping:code:", "ndkping:22e000:/no/such/file"] {
            assert!(Ioctl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hexadecimal_goes_there_and_back() {
        assert_eq!(bytes_of("0a 00\nFf"), Some(vec![10, 0, 255]));
        assert_eq!(hex_of(&[10, 0, 255]), "0a00ff");
        assert_eq!((bytes_of("abc"), bytes_of("zz")), (None, None));
    }
}
