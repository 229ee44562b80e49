//! ndkping.sys on two hosts: one listens, the other one measures.

use super::bed::ImageBed;
use super::program::{NoProgram, Program};
use super::{INDEX, Shape};
use crate::bed::{ipv4, ipv6};
use crate::kernel::driver::StartError;
use crate::kernel::nt::io::{self, Request};
use crate::wire::Manners;
use ndk_types::NTSTATUS;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Its control codes and structures: the driver's own file.
#[allow(dead_code, reason = "what only the driver uses")]
#[path = "../../../../ndkping/src/ioctl.rs"]
pub mod ioctl;

use ioctl::{Address, Bandwidth, BandwidthReport, Listen, Listening, Ping, PingReport};

/// The port that is listened on.
const PORT: u16 = 7171;

/// A structure every bit pattern of which is a value.
///
/// # Safety
/// Made of integers, without padding.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: integers, sizes asserted where it is defined.
            unsafe impl Plain for ioctl::$name {}
        )*
    };
}

plain!(VersionReport, QueryAdapter, AdapterReport, Listen, Listening, Ping, PingReport, Bandwidth, BandwidthReport);
// SAFETY: an integer.
unsafe impl Plain for u32 {}

/// A structure's bytes.
pub fn to_bytes<T: Plain>(value: &T) -> Vec<u8> {
    // SAFETY: `Plain`: every byte is part of an integer.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }.to_vec()
}

/// The structure that these bytes are.
///
/// # Panics
/// When there are more or fewer than it has.
pub fn from_bytes<T: Plain>(bytes: &[u8]) -> T {
    assert_eq!(bytes.len(), size_of::<T>(), "an answer's length");
    // SAFETY: as many bytes as it has, and `Plain`: any bytes are one.
    unsafe { bytes.as_ptr().cast::<T>().read_unaligned() }
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// softndk.sys.
    pub provider: Vec<u8>,
    /// ndkping.sys.
    pub consumer: Vec<u8>,
    /// Probability that a frame is lost.
    pub loss: f64,
    /// IP MTU of the link.
    pub mtu: u32,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Bytes that each operation moves for the bandwidth.
    pub total: u64,
    /// Seed of everything random.
    pub seed: u64,
}

/// What was measured, in virtual time.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Latencies of messages of 64 bytes.
    pub pings: PingReport,
    /// Bandwidth of SEND, READ and WRITE of 64 KiB, eight under way, every byte compared.
    pub bandwidths: [BandwidthReport; 3],
    /// Broken rules and things left behind.
    pub violations: Vec<String>,
}

/// Why nothing was measured.
#[derive(Debug)]
pub enum Failure {
    /// softndk.sys did not start.
    Provider(StartError),
    /// ndkping.sys did not start.
    Consumer(NoProgram),
    /// A request of this name was refused.
    Refused(&'static str, NTSTATUS),
    /// A request of this name was never answered.
    Unanswered(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => write!(f, "softndk.sys: {error}"),
            Self::Consumer(error) => write!(f, "ndkping.sys: {error}"),
            Self::Refused(what, status) => write!(f, "{what} was refused with {status:#010x}"),
            Self::Unanswered(what) => write!(f, "{what} is never answered"),
        }
    }
}

impl std::error::Error for Failure {}

/// Two hosts with both drivers.
pub struct Pair {
    /// The hosts and their world.
    pub bed: ImageBed,
    /// ndkping on each.
    pub programs: Vec<Program>,
}

impl Pair {
    /// Both drivers started on both hosts.
    ///
    /// # Errors
    /// When one of them does not start.
    pub fn start(provider: &[u8], consumer: &[u8], seed: u64, mtu: u32) -> Result<Self, Failure> {
        let shapes = [0, 1].map(|number| Shape::plain(number, seed).with_mtu(mtu));
        let bed = ImageBed::of(provider, seed, &shapes).map_err(Failure::Provider)?;
        let start = |host| Program::start(host, consumer, "ndkping", ioctl::DEVICE).map_err(Failure::Consumer);
        let programs = bed.hosts.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { bed, programs })
    }

    /// Sends a request to ndkping on a host.
    pub fn submit<T: Plain, A: Plain>(&self, host: usize, code: u32, wanted: &T) -> Request {
        self.programs[host].submit(code, &to_bytes(wanted), size_of::<A>())
    }

    /// Lets things happen until a request is answered.
    ///
    /// # Errors
    /// When it is refused, or never answered.
    pub fn wait<A: Plain>(&mut self, what: &'static str, request: &Request) -> Result<A, Failure> {
        if !self.bed.run_until(|| request.is_done()) {
            return Err(Failure::Unanswered(what));
        }
        let Some((status, answer)) = request.take() else { return Err(Failure::Unanswered(what)) };
        if status < 0 { Err(Failure::Refused(what, status)) } else { Ok(from_bytes(&answer)) }
    }

    /// Has the second host listen; where it does.
    ///
    /// # Errors
    /// As [`Pair::wait`].
    pub fn listen(&mut self, at: SocketAddr) -> Result<SocketAddr, Failure> {
        let wanted = Listen { interface: INDEX, reserved: 0, local: at.into() };
        let request = self.submit::<_, Listening>(1, ioctl::LISTEN, &wanted);
        let listening: Listening = self.wait("LISTEN", &request)?;
        Ok(listening.local.to_socket_address().unwrap_or(at))
    }

    /// Stops what runs and listens on a host, while the world goes on; false when something does not end.
    pub fn stop(&mut self, host: usize) -> bool {
        let machine = self.programs[host].host().machine.clone();
        let Ok(file) = io::open(&machine, ioctl::DEVICE) else { return false };
        let asker = machine.clone();
        machine.thread("a program that stops ndkping", move || {
            let _ = io::device_io_control(&asker, &file, ioctl::STOP, &[], 0);
            io::close(&asker, file);
        });
        self.programs[host].host().settle();
        self.bed.run_until(|| machine.sched.alive() == 0)
    }

    /// Ends everything: the listener, the handles, the drivers. What was broken and left behind.
    pub fn end(mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.stop(1) {
            wrong.push("the listener does not stop".to_owned());
        }
        for program in self.programs {
            let name = program.host().machine.name.clone();
            match program.end() {
                0 => {}
                left => wrong.push(format!("{name}: ndkping.sys left {left} things behind")),
            }
        }
        wrong.extend(self.bed.end());
        wrong
    }
}

/// A ping of every kind from an address.
pub fn ping(from: IpAddr, to: SocketAddr, count: u32, size: u32) -> Ping {
    Ping {
        interface: INDEX,
        operations: ioctl::SEND | ioctl::READ | ioctl::WRITE,
        count,
        size,
        timeout: 5_000,
        reserved: 0,
        local: Address::from(SocketAddr::new(from, 0)),
        remote: Address::from(to),
    }
}

/// A run of one operation from an address, every byte compared.
pub fn bandwidth(from: IpAddr, to: SocketAddr, operation: u32, (size, depth, total): (u32, u32, u64)) -> Bandwidth {
    Bandwidth {
        interface: INDEX,
        operation,
        size,
        depth,
        timeout: 5_000,
        flags: ioctl::VERIFY,
        total,
        local: Address::from(SocketAddr::new(from, 0)),
        remote: Address::from(to),
    }
}

/// Starts both drivers on two hosts, measures, and ends it all.
///
/// # Errors
/// When something does not start, or is refused.
pub fn measure(options: &Options) -> Result<Measured, Failure> {
    let mut pair = Pair::start(&options.provider, &options.consumer, options.seed, options.mtu)?;
    for host in 0..2 {
        pair.bed.world.set_manners(host, Manners { loss: options.loss, ..Manners::GOOD });
    }
    let [from, to] = if options.ipv6 { [0, 1].map(ipv6) } else { [0, 1].map(ipv4) };
    let to = pair.listen(SocketAddr::new(to, PORT))?;
    let request = pair.submit::<_, PingReport>(0, ioctl::PING, &ping(from, to, 200, 64));
    let mut measured = Measured { pings: pair.wait("PING", &request)?, ..Measured::default() };
    for (place, operation) in measured.bandwidths.iter_mut().zip([ioctl::SEND, ioctl::READ, ioctl::WRITE]) {
        let wanted = bandwidth(from, to, operation, (65_536, 8, options.total));
        let request = pair.submit::<_, BandwidthReport>(0, ioctl::BANDWIDTH, &wanted);
        *place = pair.wait("BANDWIDTH", &request)?;
    }
    measured.violations = pair.end();
    Ok(measured)
}
