//! The natively built provider in real time: its port on the wire, and the real clock. It asks for neighbours itself.

use super::neighbour::{self, Told};
use super::{Live, Options, Trouble, WAITS};
use crate::consumer::{Adapter, Failed};
use crate::dice::Dice;
use crate::kernel::nic::carrier::{Carrier, LONGEST};
use crate::platform::{Node, SimPlatform};
use ndk_provider::limits::Limits;
use ndk_provider::platform::{LocalInterface, NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use roce_engine::time::Time;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a neighbour is asked for, and how long between.
const QUESTIONS: u32 = 8;
const QUESTION_INTERVAL: Duration = Duration::from_millis(500);

/// A next hop that is being asked for.
struct Question {
    token: u64,
    wanted: IpAddr,
    asked: u32,
    next: Instant,
}

/// The host.
struct Host<'a> {
    carrier: &'a dyn Carrier,
    mac: [u8; 6],
    started: Instant,
    clock: Arc<AtomicU64>,
    node: Arc<Node>,
    port: Shared<Port<SimPlatform>>,
    timer: Time,
    questions: Vec<Question>,
    ip_mtu: u32,
    buffer: Vec<u8>,
}

impl Host<'_> {
    fn tick(&self) -> Time {
        let now = self.started.elapsed().as_nanos() as u64;
        self.clock.store(now, Ordering::Relaxed);
        Time::from_nanos(now)
    }

    fn send(&self, frame: &[u8]) {
        // A wire may lose a frame; nobody at the other end is such a loss.
        let _ = self.carrier.send(frame);
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
            match own.and_then(|own| neighbour::ask(self.mac, *own, question.wanted)) {
                Some(frame) if question.asked <= QUESTIONS => {
                    let _ = self.carrier.send(&frame);
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
        match neighbour::hear(self.mac, self.node.addresses(), frame) {
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

    /// Takes a frame, if there is one.
    fn take(&mut self) -> Result<bool, Trouble> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.carrier.receive(&mut buffer);
        if let Ok(length) = outcome {
            self.tick();
            self.hear(&buffer[..length]);
        }
        self.buffer = buffer;
        match outcome {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Live for Host<'_> {
    fn step(&mut self) -> Result<(), Trouble> {
        self.settle();
        let now = self.tick();
        if self.timer <= now {
            self.timer = Time::MAX;
            self.port.on_timer();
            self.settle();
        }
        if !self.take()? {
            let [least, most] = WAITS;
            let wait = Duration::from_nanos(self.timer.since(self.tick()).as_nanos()).clamp(least, most);
            if self.carrier.wait(wait)? {
                self.take()?;
            }
        }
        self.ask();
        self.settle();
        Ok(())
    }
}

/// Runs rping on it.
pub(super) fn run(options: &Options, carrier: &dyn Carrier, ready: impl FnOnce()) -> Result<usize, Trouble> {
    let mac = options.mac();
    let interface = LocalInterface { mac, ip_mtu: options.ip_mtu };
    let clock: Arc<AtomicU64> = Arc::default();
    let dice = Dice::new(super::seed(), u64::from(std::process::id()));
    let node = Node::new(clock.clone(), dice, options.addresses.clone(), interface);
    let limits = Limits { queue_pairs: 16, completion_queues: 16, regions: 64, mappings: 16, ..Limits::DEFAULT };
    let port = Port::try_new(SimPlatform(node.clone()), limits).ok_or(Failed("memory for a port", -1))?;
    let mut host = Host {
        carrier,
        mac,
        started: Instant::now(),
        clock,
        node,
        port,
        timer: Time::MAX,
        questions: Vec::new(),
        ip_mtu: options.ip_mtu,
        buffer: vec![0; LONGEST],
    };
    host.tick();
    let adapter = Adapter::open(&host.port)?;
    let iterations = super::converse(&mut host, &adapter, options, ready)?;
    adapter.close();
    Ok(iterations)
}
