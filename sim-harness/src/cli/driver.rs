//! `driver`: softndk.sys end to end in the simulated kernel.

mod consumer;

use super::{bad_input, probability};
use crate::image::{self, Inspection};
use crate::kernel::host::exercise::{self, Options, Report, Step};
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// What the command takes.
#[derive(Args)]
pub(super) struct DriverArgs {
    /// The image to load; without it softndk.sys is built first
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Machines on the wire, each with the image loaded
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=16))]
    hosts: u8,
    /// Probability that a frame is lost, 0 to 0.5
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    loss: f64,
    /// IP MTU of the link, in bytes
    #[arg(long, value_name = "M", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1280..=9000))]
    mtu: u32,
    /// Use IPv6
    #[arg(long)]
    ipv6: bool,
    /// Bytes of the file that RDMA moves there and back
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(1..=1 << 28))]
    size: u64,
    /// Seed of everything random: with one thread the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Threads: 1 repeats the same run from its seed; more are that many processors of each machine, which run at the same
    /// time, for races
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Write what crosses the wire into a pcap file
    #[arg(long, value_name = "OUT")]
    pcap: Option<PathBuf>,
    /// Load this driver beside softndk.sys: a .sys file, or 'ndkping', which is built first and measures between two hosts
    #[arg(long, value_name = "FILE")]
    consumer: Option<String>,
    /// Send a control code to the consumer's device, and print the answer; the code and the file's bytes are hexadecimal
    #[arg(long, value_name = "DEVICE:CODE:HEXFILE", requires = "consumer")]
    ioctl: Vec<String>,
    /// Room for an answer, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 4096, requires = "ioctl")]
    room: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The image's bytes, built when none is named; and where it is.
pub(super) fn image_bytes(named: Option<&Path>) -> Result<(PathBuf, Vec<u8>), String> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => image::build(true).map_err(|error| error.to_string())?,
    };
    let bytes = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok((path, bytes))
}

/// Runs the command.
pub(super) fn run(args: &DriverArgs) -> ExitCode {
    let (path, bytes) = match image_bytes(args.image.as_deref()) {
        Ok(image) => image,
        Err(error) => return bad_input(&error),
    };
    if let Some(consumer) = &args.consumer {
        return consumer::run(args, consumer, bytes);
    }
    let seen = match image::inspect(&bytes) {
        Ok(seen) => seen,
        Err(error) => return bad_input(&format!("{}: {error}", path.display())),
    };
    let pcap = match args.pcap.as_ref().map(File::create).transpose() {
        Ok(pcap) => pcap,
        Err(error) => return bad_input(&format!("cannot write the pcap file: {error}")),
    };
    if !args.json {
        println!("image     {}, {} imports", path.display(), seen.imports.len());
    }
    let size = args.size as usize;
    let options = Options {
        image: bytes,
        hosts: usize::from(args.hosts),
        loss: args.loss,
        mtu: args.mtu,
        ipv6: args.ipv6,
        size,
        tcp_size: (size / 8).max(1),
        seed: args.seed,
        processors: if args.threads > 1 { usize::from(args.threads) } else { 0 },
        pcap,
    };
    let started = Instant::now();
    let report = exercise::run(options, |step| {
        if !args.json {
            let Step { name, text } = step;
            println!("{name:9} {text}");
        }
    });
    let real = started.elapsed().as_secs_f64();
    let good = report.is_good() && seen.faults.is_empty();
    if args.json {
        println!("{}", json(&report, &seen, real, args.seed, good));
    } else {
        print(&report, &seen, real, args.seed, good);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn json(report: &Report, seen: &Inspection, real: f64, seed: u64, good: bool) -> serde_json::Value {
    let steps: Vec<_> =
        report.steps.iter().map(|step| serde_json::json!({ "step": step.name, "text": step.text })).collect();
    let imports: Vec<_> = seen.imports.iter().map(|import| format!("{}!{}", import.library, import.name)).collect();
    serde_json::json!({
        "verdict": if good { "ok" } else { "failed" },
        "violations": report.violations.len(),
        "leaks": report.leaks.len(),
        "imports": imports.len(),
        "imported": imports,
        "steps": steps,
        "failures": report.failures,
        "broken_rules": report.violations,
        "left_behind": report.leaks,
        "image_faults": seen.faults,
        "rdma_bytes": report.moved[0],
        "tcp_bytes": report.moved[1],
        "frames": report.frames,
        "kernel_stack_used": report.stack,
        "virtual_seconds": report.virtual_ns as f64 / 1e9,
        "real_seconds": real,
        "seed": seed,
    })
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn print(report: &Report, seen: &Inspection, real: f64, seed: u64, good: bool) {
    for (what, list) in [
        ("failure", &report.failures),
        ("fault", &seen.faults),
        ("violation", &report.violations),
        ("leak", &report.leaks),
    ] {
        for line in list {
            println!("{what:9} {line}");
        }
    }
    println!(
        "time      {:.3} s virtual, {real:.2} s real; {} frames; {} of 24576 bytes of kernel stack used",
        report.virtual_ns as f64 / 1e9,
        report.frames,
        report.stack
    );
    println!(
        "verdict   {} (seed {seed}): {} violations, {} leaks",
        if good { "ok" } else { "FAILED" },
        report.violations.len(),
        report.leaks.len()
    );
}
