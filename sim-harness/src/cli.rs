//! The command line: what each command takes, what it prints, how it ends.
//!
//! Exit codes: 0 when it did what it was asked, 1 when a run failed, 2 for bad input.

mod driver;
mod endpoint;

use crate::bench;
use crate::decode::{self, DecodeError};
use crate::demo::{self, Options, Report};
use crate::dice::Dice;
use crate::image;
use crate::wire::Manners;
use clap::{Args, Parser, Subcommand};
use indicatif::ProgressBar;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Bytes of the file that `demo` makes when none is named.
const GENERATED: usize = 16 << 20;

/// softndk's usermode harness.
#[derive(Parser)]
#[command(
    name = "sim-harness",
    version,
    about = "softndk in a virtual world: two hosts with complete NDK adapters on a wire"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Move a file between two hosts the way SMB Direct does (the default)
    Demo(DemoArgs),
    /// Be one host in real time on a wire of real frames, with rping as the consumer
    Endpoint(endpoint::EndpointArgs),
    /// Measure the provider on one core, as a ratio to the ceiling of the same run
    Bench {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Build softndk.sys on Linux, and check what it imports and what code it has
    Image {
        /// Build with optimisations
        #[arg(long)]
        release: bool,
    },
    /// Run softndk.sys in the simulated Windows kernel, from load to unload on several machines, under its verifier
    Driver(driver::DriverArgs),
    /// Show what is in a capture: a line for each RoCEv2 frame, and a summary
    Decode {
        /// The capture, pcap or pcapng
        #[arg(value_name = "PCAP")]
        path: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct DemoArgs {
    /// The file to move; a generated one of 16 MiB when none is named
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Probability that a frame is lost, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    loss: f64,
    /// Probability that a frame arrives after later ones, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    reorder: f64,
    /// Probability that a frame arrives twice, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    duplicate: f64,
    /// Probability that a bit of a frame is flipped, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    corrupt: f64,
    /// Seed of everything random: the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// IP MTU of the link, in bytes: 1500 gives a path MTU of 1024, 9000 one of 4096
    #[arg(long, value_name = "M", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(576..=9216))]
    mtu: u32,
    /// Use IPv6
    #[arg(long)]
    ipv6: bool,
    /// Write what crosses the wire into a pcap file
    #[arg(long, value_name = "OUT")]
    pcap: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=0.5).contains(&value) => Ok(value),
        Ok(_) => Err("a probability here is between 0 and 0.5: beyond that nothing arrives".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        None => run_demo(&cli.demo),
        Some(Command::Demo(args)) => run_demo(&args),
        Some(Command::Bench { json }) => run_bench(json),
        Some(Command::Endpoint(args)) => endpoint::run(args),
        Some(Command::Image { release }) => run_image(release),
        Some(Command::Driver(args)) => driver::run(&args),
        Some(Command::Decode { path, json }) => run_decode(&path, json),
    }
}

fn bad_input(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(2)
}

fn run_demo(args: &DemoArgs) -> ExitCode {
    let file = if let Some(path) = &args.file {
        match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return bad_input(&format!("cannot read {}: {error}", path.display())),
        }
    } else {
        let mut bytes = vec![0; GENERATED];
        Dice::new(args.seed, 99).fill(&mut bytes);
        bytes
    };
    if u32::try_from(file.len()).is_err() || file.len() > 1 << 30 {
        return bad_input("the file is larger than one registration can be (1 GiB)");
    }
    let pcap = match args.pcap.as_ref().map(File::create).transpose() {
        Ok(pcap) => pcap,
        Err(error) => return bad_input(&format!("cannot write the pcap file: {error}")),
    };
    let manners = Manners {
        loss: args.loss,
        reorder: args.reorder,
        duplicate: args.duplicate,
        corrupt: args.corrupt,
        ..Manners::GOOD
    };
    let total = 2 * file.len() as u64;
    let options = Options { file, manners, seed: args.seed, ip_mtu: args.mtu, ipv6: args.ipv6, pcap };
    let started = Instant::now();
    // It hides itself when standard error is no terminal.
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(total) };
    let outcome = demo::run(options, |moved| bar.set_position(moved));
    bar.finish_and_clear();
    let real = started.elapsed();
    match outcome {
        Err(trouble) => {
            eprintln!("error: {trouble} (seed {})", args.seed);
            ExitCode::FAILURE
        }
        Ok(report) => {
            if args.json {
                println!("{}", json(&report, real.as_secs_f64(), args.seed));
            } else {
                print_report(&report, real.as_secs_f64(), args.seed);
            }
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

fn run_bench(json: bool) -> ExitCode {
    match bench::run(1.0) {
        Err(failed) => {
            eprintln!("error: {failed}");
            ExitCode::FAILURE
        }
        Ok(all) if json => {
            let entry = |measured: &bench::Measured| {
                let bench::Measured { name, value, unit, ratio } = measured;
                serde_json::json!({ "name": name, "value": value, "unit": unit, "ratio": ratio })
            };
            println!("{}", serde_json::Value::Array(all.iter().map(entry).collect()));
            ExitCode::SUCCESS
        }
        Ok(all) => {
            println!("{:20} {:>10} {:6} {:>8}", "what", "value", "unit", "ratio");
            for bench::Measured { name, value, unit, ratio } in all {
                println!("{name:20} {value:10.2} {unit:6} {ratio:8.2}");
            }
            ExitCode::SUCCESS
        }
    }
}

fn run_image(release: bool) -> ExitCode {
    let path = match image::build(release) {
        Ok(path) => path,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", path.display());
    let seen = std::fs::read(&path).map_err(|error| error.to_string());
    let mut seen = match seen.and_then(|bytes| image::inspect(&bytes).map_err(|error| error.to_string())) {
        Ok(seen) => seen,
        Err(error) => {
            eprintln!("error: {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    match image::panics::of(&path) {
        Err(error) => return bad_input(&error.to_string()),
        // Without optimisation overflow checks are on, and what cannot be reached is still there.
        Ok(panics) if !release => println!("{} functions that panic are in it, as in every debug build", panics.len()),
        Ok(panics) => {
            println!("{} functions that panic are in it", panics.len());
            seen.faults.extend(panics.into_iter().map(|panic| format!("a panic is in the image: {panic}")));
        }
    }
    println!("{} imports, with the pages that document them:", seen.imports.len());
    for image::Imported { library, name, page } in &seen.imports {
        println!("  {library:14} {name:32} {}", page.as_deref().unwrap_or("no page"));
    }
    println!("{} instructions looked at", seen.instructions);
    for fault in &seen.faults {
        eprintln!("fault: {fault}");
    }
    println!("verdict: {}", if seen.faults.is_empty() { "ok" } else { "FAILED" });
    if seen.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_decode(path: &Path, json: bool) -> ExitCode {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let outcome = decode::run(path, json, &mut out).and_then(|_| out.flush().map_err(DecodeError::Write));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(DecodeError::Write(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // What was decoded before a capture breaks off is worth seeing.
            let _ = out.flush();
            bad_input(&format!("{}: {error}", path.display()))
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn json(report: &Report, real_seconds: f64, seed: u64) -> serde_json::Value {
    let sum = |f: fn(&crate::wire::WireCounters) -> u64| report.wire.iter().map(f).sum::<u64>();
    serde_json::json!({
        "verdict": if report.is_good() { "ok" } else { "failed" },
        "sha256_match": report.hashes[0] == report.hashes[1],
        "sha256": hex(&report.hashes[0]),
        "bytes": report.bytes,
        "operations": report.operations,
        "retransmissions": report.retransmissions,
        "naks": report.naks,
        "frames": sum(|wire| wire.frames),
        "lost": sum(|wire| wire.lost),
        "reordered": sum(|wire| wire.reordered),
        "duplicated": sum(|wire| wire.duplicated),
        "corrupted": sum(|wire| wire.corrupted),
        "icrc_errors": report.icrc_errors,
        "leaks": report.leaks,
        "virtual_seconds": report.virtual_ns as f64 / 1e9,
        "real_seconds": real_seconds,
        "seed": seed,
    })
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn print_report(report: &Report, real_seconds: f64, seed: u64) {
    let virtual_seconds = report.virtual_ns as f64 / 1e9;
    let sum = |f: fn(&crate::wire::WireCounters) -> u64| report.wire.iter().map(f).sum::<u64>();
    println!(
        "client {}  server {}  NDKPI {}.{}",
        report.addresses[0], report.addresses[1], report.version.0, report.version.1
    );
    println!(
        "moved {} bytes in {} transfers, there by RDMA READ and back by RDMA WRITE",
        report.bytes, report.operations
    );
    println!(
        "wire: {} frames, {} lost, {} reordered, {} duplicated, {} corrupted ({} bad ICRCs seen)",
        sum(|wire| wire.frames),
        sum(|wire| wire.lost),
        sum(|wire| wire.reordered),
        sum(|wire| wire.duplicated),
        sum(|wire| wire.corrupted),
        report.icrc_errors
    );
    println!("transport: {} retransmissions, {} NAKs", report.retransmissions, report.naks);
    println!(
        "time: {virtual_seconds:.4} s virtual ({:.2} Gbit/s), {real_seconds:.2} s real ({:.0} MB/s)",
        report.bytes as f64 * 8.0 / virtual_seconds / 1e9,
        report.bytes as f64 / real_seconds / 1e6
    );
    println!(
        "sha256 {} {}",
        hex(&report.hashes[0]),
        if report.hashes[0] == report.hashes[1] { "came back equal" } else { "came back DIFFERENT" }
    );
    println!("verdict: {} (seed {seed}, {} left behind)", if report.is_good() { "ok" } else { "FAILED" }, report.leaks);
}
