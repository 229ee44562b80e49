//! `endpoint`: one host in real time, on a wire that carries one Ethernet frame a UDP datagram on the loopback interface
//! (QEMU's `-netdev dgram`). Its consumer is rping, client or server: the way to meet software that nobody here wrote.

mod neighbour;
mod rping;

use crate::consumer::{Adapter, Failed};
use crate::dice::Dice;
use crate::platform::{Node, SimPlatform};
use ndk_provider::limits::Limits;
use ndk_provider::platform::{LocalInterface, NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use neighbour::Told;
use roce_engine::time::Time;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MAC: [u8; 6] = [0x02, 0x73, 0x6f, 0x66, 0x74, 0x01];
/// How often a neighbour is asked for, and how long between.
const QUESTIONS: u32 = 8;
const QUESTION_INTERVAL: Duration = Duration::from_millis(500);

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our UDP port and the other end's.
    pub ports: (u16, u16),
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
}

/// A run that failed.
#[derive(Debug)]
pub enum Trouble {
    /// The wire.
    Wire(std::io::Error),
    /// A call of the consumer.
    Failed(Failed),
    /// None of our addresses is of the peer's family.
    NoAddress,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wire(error) => write!(f, "the wire: {error}"),
            Self::Failed(failed) => failed.fmt(f),
            Self::NoAddress => write!(f, "no address of ours is of the peer's family"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Wire(error)
    }
}

/// A next hop that is being asked for.
struct Question {
    token: u64,
    wanted: IpAddr,
    asked: u32,
    next: Instant,
}

/// The host: its port, its wire, the real clock.
struct Host {
    socket: UdpSocket,
    to: SocketAddr,
    started: Instant,
    clock: Arc<AtomicU64>,
    node: Arc<Node>,
    port: Shared<Port<SimPlatform>>,
    timer: Time,
    questions: Vec<Question>,
    ip_mtu: u32,
    peer_quiet: u32,
}

impl Host {
    fn tick(&self) -> Time {
        let now = self.started.elapsed().as_nanos() as u64;
        self.clock.store(now, Ordering::Relaxed);
        Time::from_nanos(now)
    }

    fn send(&self, frame: &[u8]) {
        // A wire may lose a frame; nobody at the other end is such a loss.
        let _ = self.socket.send_to(frame, self.to);
    }

    /// Carries out what the provider asked for.
    fn settle(&mut self) {
        loop {
            self.tick();
            let (frames, deferred, resolve) = {
                let mut tray = self.node.tray();
                if let Some(at) = tray.timer.take() {
                    self.timer = at;
                }
                let deferred = std::mem::take(&mut tray.deferred);
                (std::mem::take(&mut tray.frames), deferred, std::mem::take(&mut tray.resolve))
            };
            if frames.is_empty() && !deferred && resolve.is_empty() {
                return;
            }
            for frame in frames {
                self.send(&frame);
                self.node.give_back(frame);
            }
            for (token, wanted) in resolve {
                self.questions.push(Question { token, wanted, asked: 0, next: Instant::now() });
            }
            self.ask();
            if deferred {
                self.port.on_deferred();
            }
        }
    }

    /// Asks for neighbours whose time has come.
    fn ask(&mut self) {
        let now = Instant::now();
        let mut given_up = Vec::new();
        for question in self.questions.iter_mut().filter(|question| question.next <= now) {
            question.asked += 1;
            question.next = now + QUESTION_INTERVAL;
            let own = self.node.addresses().iter().find(|own| own.is_ipv4() == question.wanted.is_ipv4());
            match own.and_then(|own| neighbour::ask(MAC, *own, question.wanted)) {
                Some(frame) if question.asked <= QUESTIONS => {
                    let _ = self.socket.send_to(&frame, self.to);
                }
                _ => given_up.push(question.token),
            }
        }
        for token in given_up {
            self.questions.retain(|question| question.token != token);
            self.port.on_resolved(token, Err(Unresolved::HostUnreachable));
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        match neighbour::hear(MAC, self.node.addresses(), frame) {
            Told::Asked(answer) => self.send(&answer),
            Told::Neighbour(address, mac) => {
                let (answered, open) =
                    std::mem::take(&mut self.questions).into_iter().partition(|question| question.wanted == address);
                self.questions = open;
                let answered: Vec<Question> = answered;
                for question in answered {
                    let hop = NextHop { mac, vlan_tci: None, ip_mtu: self.ip_mtu };
                    self.port.on_resolved(question.token, Ok(hop));
                }
            }
            Told::Nothing => self.port.receive(&[frame], |_| ()),
        }
    }

    /// One round: a frame or a time-out.
    fn step(&mut self, buffer: &mut [u8]) -> Result<(), Trouble> {
        self.settle();
        let now = self.tick();
        if self.timer <= now {
            self.timer = Time::MAX;
            self.port.on_timer();
            self.settle();
        }
        let wait = Duration::from_nanos(self.timer.since(self.tick()).as_nanos()).min(Duration::from_millis(20));
        self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(50))))?;
        match self.socket.recv(buffer) {
            Ok(length) => {
                self.peer_quiet = 0;
                self.tick();
                self.hear(&buffer[..length]);
            }
            // Nothing there, or nobody at the other end yet.
            Err(_) => self.peer_quiet = self.peer_quiet.saturating_add(1),
        }
        self.ask();
        self.settle();
        Ok(())
    }
}

/// Runs it to its end.
pub fn run(options: &Options) -> Result<(), Trouble> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = UdpSocket::bind(loopback(options.ports.0))?;
    let own = options.addresses.iter().find(|own| own.is_ipv4() == options.peer.is_ipv4());
    let own = *own.ok_or(Trouble::NoAddress)?;
    let interface = LocalInterface { mac: MAC, ip_mtu: options.ip_mtu };
    let clock: Arc<AtomicU64> = Arc::default();
    // Numbers must differ from run to run: a peer remembers them for a while.
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |at| at.as_nanos() as u64);
    let node =
        Node::new(clock.clone(), Dice::new(seed, u64::from(std::process::id())), options.addresses.clone(), interface);
    let limits = Limits { queue_pairs: 16, completion_queues: 16, regions: 64, mappings: 16, ..Limits::DEFAULT };
    let port = Port::try_new(SimPlatform(node.clone()), limits).ok_or(Failed("memory for a port", -1))?;
    let mut host = Host {
        socket,
        to: loopback(options.ports.1),
        started: Instant::now(),
        clock,
        node,
        port,
        timer: Time::MAX,
        questions: Vec::new(),
        ip_mtu: options.ip_mtu,
        peer_quiet: 0,
    };
    host.tick();
    let mut buffer = vec![0; 16_384];
    let adapter = Adapter::open(&host.port)?;
    if options.server {
        let address = SocketAddr::new(own, options.port);
        let mut server = rping::Server::new(&adapter, address, options.size, options.verbose)?;
        println!("ready");
        std::io::Write::flush(&mut std::io::stdout())?;
        while !server.work()? {
            host.step(&mut buffer)?;
        }
        let served = server.served();
        server.close(&adapter);
        println!("served {served} iterations");
    } else {
        let to = SocketAddr::new(options.peer, options.port);
        let what = (options.count, options.size, options.verbose);
        let mut client = rping::Client::new(&adapter, own, to, what)?;
        while !client.work()? {
            host.step(&mut buffer)?;
        }
        client.close(&adapter);
        println!("{} iterations of {} bytes verified", options.count, options.size);
    }
    let ended = Instant::now();
    while adapter.ledger.outstanding() != 0 && ended.elapsed() < Duration::from_secs(5) {
        host.step(&mut buffer)?;
    }
    if adapter.ledger.outstanding() != 0 {
        return Err(Failed("closing everything", -1).into());
    }
    adapter.close();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_client_pings_our_server_over_both_families_and_all_sizes() {
        let mut ports = 42_100 + (std::process::id() % 1_000) as u16 * 16;
        for (client, server) in [("10.9.0.2", "10.9.0.1"), ("fd00:9::2", "fd00:9::1")] {
            for size in [64, 4_096, 32_768] {
                let pair = (ports, ports + 1);
                ports += 2;
                let (ours, theirs): (IpAddr, IpAddr) = (client.parse().unwrap(), server.parse().unwrap());
                let options = Options {
                    ports: (pair.1, pair.0),
                    addresses: vec![theirs],
                    peer: ours,
                    ip_mtu: 1500,
                    server: true,
                    count: 3,
                    size,
                    verbose: false,
                    port: 7174,
                };
                let other =
                    Options { ports: pair, addresses: vec![ours], peer: theirs, server: false, ..options.clone() };
                let served = std::thread::spawn(move || run(&options).map_err(|trouble| trouble.to_string()));
                run(&other).unwrap();
                served.join().unwrap().unwrap();
            }
        }
    }
}
