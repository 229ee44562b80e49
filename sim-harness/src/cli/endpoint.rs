//! `endpoint`: one host in real time, a natively built provider or the driver image in a simulated machine.

use super::{bad_input, driver};
use crate::endpoint::{self, Options, Trouble, Wire};
use clap::Args;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command takes.
#[derive(Args)]
pub(super) struct EndpointArgs {
    /// The wire: dgram:LOCALPORT:REMOTEPORT on 127.0.0.1, as QEMU's -netdev dgram; or tap:NAME, a TAP device made for the run
    #[arg(long, value_name = "dgram:L:R|tap:NAME")]
    wire: Wire,
    /// Our addresses, separated by commas
    #[arg(long, value_name = "A[,A6]", value_delimiter = ',', required = true)]
    ip: Vec<IpAddr>,
    /// The peer's address; with --driver on a network of ours, which has a prefix of 24 or 64 bits
    #[arg(long, value_name = "B")]
    peer: IpAddr,
    /// IP MTU of the link, in bytes
    #[arg(long, value_name = "M", default_value_t = 1500, value_parser = clap::value_parser!(u32).range(576..=9216))]
    mtu: u32,
    /// Be a simulated Windows machine with softndk.sys loaded, from its start to its unload, under its verifier
    #[arg(long)]
    driver: bool,
    /// The image to load; without it softndk.sys is built first
    #[arg(long, value_name = "FILE", requires = "driver")]
    image: Option<PathBuf>,
    /// What to be
    #[arg(value_enum)]
    consumer: Consumer,
    /// Iterations of the client
    #[arg(short = 'C', value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Bytes of a ping, as the client has it
    #[arg(short = 'S', value_name = "SIZE", default_value_t = 64, value_parser = clap::value_parser!(u32).range(16..=1_048_576))]
    size: u32,
    /// Print what was verified
    #[arg(short = 'v')]
    verify: bool,
    /// Port
    #[arg(short = 'p', value_name = "PORT", default_value_t = 7174)]
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Consumer {
    /// Connects, and compares what comes back
    RpingClient,
    /// Serves one client
    RpingServer,
}

/// Whoever waits for this line sees it at once.
fn ready() {
    println!("ready");
    // Nobody reads: then nobody waits.
    let _ = std::io::stdout().flush();
}

/// Runs the command.
pub(super) fn run(args: EndpointArgs) -> ExitCode {
    // One more is the link-local one: as many as its TCP/IP takes.
    if args.driver && args.ip.len() > 3 {
        return bad_input("a machine has at most three addresses here");
    }
    let image = args.driver.then(|| driver::image_bytes(args.image.as_deref())).transpose();
    let image = match image {
        Ok(image) => image.map(|(_, bytes)| bytes),
        Err(error) => return bad_input(&error),
    };
    let (server, driven) = (args.consumer == Consumer::RpingServer, image.is_some());
    let options = Options {
        addresses: args.ip,
        peer: args.peer,
        ip_mtu: args.mtu,
        server,
        count: args.count as usize,
        size: args.size as usize,
        verbose: args.verify,
        port: args.port,
        image,
    };
    let wire = args.wire.open(args.mtu).map_err(Trouble::Wire);
    match wire.and_then(|carrier| endpoint::run(&options, &*carrier, ready)) {
        Ok(iterations) => {
            if driven {
                println!("softndk.sys unloaded: 0 violations, 0 leaks");
            }
            if server {
                println!("served {iterations} iterations");
            } else {
                println!("{iterations} iterations of {} bytes verified", args.size);
            }
            ExitCode::SUCCESS
        }
        Err(Trouble::NoAddress) => bad_input(&Trouble::NoAddress.to_string()),
        Err(trouble) => {
            eprintln!("error: {trouble}");
            ExitCode::FAILURE
        }
    }
}
