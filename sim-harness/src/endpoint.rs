//! `endpoint`: one host in real time, on a wire that carries real frames: datagrams on the loopback interface, as QEMU's
//! `-netdev dgram` has them, or a TAP device. Its consumer is rping, client or server: the way to meet software that nobody
//! here wrote. The host is a natively built provider, or a simulated Windows machine with the driver image loaded.

mod driver;
mod native;
mod neighbour;
mod rping;

use crate::consumer::{Adapter, Failed};
use crate::kernel::driver::StartError;
use crate::kernel::nic::carrier::{Carrier, TapCarrier, UdpCarrier};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long what was begun may take to end, once the consumer is done.
const PATIENCE: Duration = Duration::from_secs(30);
/// The shortest and the longest wait for a frame.
const WAITS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(20)];

/// Where frames go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// UDP on 127.0.0.1: our port, and the other end's.
    Datagrams(u16, u16),
    /// A TAP device of this name, made for the run.
    Tap(String),
}

impl FromStr for Wire {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = match text.split_once(':') {
            Some(("dgram", ports)) => ports
                .split_once(':')
                .and_then(|(local, remote)| Some(Self::Datagrams(local.parse().ok()?, remote.parse().ok()?))),
            Some(("tap", name)) if !name.is_empty() => Some(Self::Tap(name.to_owned())),
            _ => None,
        };
        known.ok_or("a wire is dgram:LOCALPORT:REMOTEPORT or tap:NAME")
    }
}

impl Wire {
    /// Opens it; a TAP device gets this MTU and is switched on.
    ///
    /// # Errors
    /// When the port is taken, or the device cannot be made.
    pub fn open(&self, ip_mtu: u32) -> io::Result<Box<dyn Carrier>> {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match self {
            Self::Datagrams(local, remote) => Ok(Box::new(UdpCarrier::bind(loopback(*local), loopback(*remote))?)),
            Self::Tap(name) => {
                let tap = TapCarrier::open(name)?;
                tap.start(ip_mtu)?;
                Ok(Box::new(tap))
            }
        }
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our addresses.
    pub addresses: Vec<IpAddr>,
    /// The peer's.
    pub peer: IpAddr,
    /// IP MTU.
    pub ip_mtu: u32,
    /// Server instead of client.
    pub server: bool,
    /// Iterations, bytes, whether to print the data.
    pub count: usize,
    /// See `count`.
    pub size: usize,
    /// See `count`.
    pub verbose: bool,
    /// rping's port.
    pub port: u16,
    /// The driver image, to be loaded into a simulated machine; without one the provider is built natively.
    pub image: Option<Vec<u8>>,
}

impl Options {
    /// Our address that the peer is talked to from.
    fn own(&self) -> Result<IpAddr, Trouble> {
        let own = self.addresses.iter().find(|own| own.is_ipv4() == self.peer.is_ipv4());
        own.copied().ok_or(Trouble::NoAddress)
    }

    /// A MAC address that goes with our first address, so that two hosts on a wire have two.
    fn mac(&self) -> [u8; 6] {
        let last = |octets: &[u8]| octets.last_chunk().copied().unwrap_or([0, 1]);
        let [high, low] = match self.addresses.first() {
            Some(IpAddr::V4(address)) => last(&address.octets()),
            Some(IpAddr::V6(address)) => last(&address.octets()),
            None => [0, 1],
        };
        [0x02, 0x73, 0x6f, 0x66, high, low]
    }
}

/// A run that failed.
#[derive(Debug)]
pub enum Trouble {
    /// The wire.
    Wire(io::Error),
    /// A call of the consumer.
    Failed(Failed),
    /// None of our addresses is of the peer's family.
    NoAddress,
    /// The driver image does not start.
    Start(StartError),
    /// The driver image started, and this is wrong: rules it broke, things it left.
    Image(Vec<String>),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wire(error) => write!(f, "the wire: {error}"),
            Self::Failed(failed) => failed.fmt(f),
            Self::NoAddress => write!(f, "no address of ours is of the peer's family"),
            Self::Start(error) => error.fmt(f),
            Self::Image(wrong) => f.write_str(&wrong.join("\n")),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Wire(error)
    }
}

/// A host in real time.
trait Live {
    /// One round: what is due is done, what is to be sent is sent, and what arrives is taken; nothing of that, a short wait.
    fn step(&mut self) -> Result<(), Trouble>;
}

/// Lets a host go on until `over`, or until patience ends; whether it is over.
fn step_until(host: &mut dyn Live, over: impl Fn() -> bool) -> Result<bool, Trouble> {
    let started = Instant::now();
    while !over() {
        if started.elapsed() > PATIENCE {
            return Ok(false);
        }
        host.step()?;
    }
    Ok(true)
}

/// A number that differs from run to run: a peer remembers connections for a while.
fn seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |at| at.as_nanos() as u64) ^ u64::from(std::process::id()).rotate_left(40)
}

/// rping over an adapter, to its end: everything under the adapter is closed then. Gives the iterations; a server says through
/// `ready` when it listens.
fn converse(host: &mut dyn Live, adapter: &Adapter, options: &Options, ready: impl FnOnce()) -> Result<usize, Trouble> {
    let own = options.own()?;
    let iterations = if options.server {
        let address = SocketAddr::new(own, options.port);
        let mut server = rping::Server::new(adapter, address, options.size, options.verbose)?;
        ready();
        while !server.work()? {
            host.step()?;
        }
        let served = server.served();
        server.close(adapter);
        served
    } else {
        let to = SocketAddr::new(options.peer, options.port);
        let what = (options.count, options.size, options.verbose);
        let mut client = rping::Client::new(adapter, own, to, what)?;
        while !client.work()? {
            host.step()?;
        }
        client.close(adapter);
        options.count
    };
    if step_until(host, || adapter.ledger.outstanding() == 0)? {
        Ok(iterations)
    } else {
        Err(Failed("closing everything", -1).into())
    }
}

/// Runs it to its end; how many iterations there were. A server calls `ready` once it listens. A run with an image ends with
/// its unload, and succeeds only if it broke no rule and left nothing behind.
///
/// # Errors
/// Whatever kept it from that.
pub fn run(options: &Options, carrier: &dyn Carrier, ready: impl FnOnce()) -> Result<usize, Trouble> {
    options.own()?;
    match &options.image {
        None => native::run(options, carrier, ready),
        Some(image) => driver::run(options, image, carrier, ready),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_is_named_by_its_ports_or_its_device() {
        assert_eq!("dgram:17002:17001".parse(), Ok(Wire::Datagrams(17002, 17001)));
        assert_eq!("tap:rdma0".parse(), Ok(Wire::Tap("rdma0".to_owned())));
        for wrong in ["", "dgram", "dgram:1", "dgram:1:x", "dgram:1:70000", "tap", "tap:", "udp:1:2"] {
            assert!(wrong.parse::<Wire>().is_err(), "{wrong}");
        }
    }
}
