//! The virtual world: one clock, events in order of (time, sequence), two or more nodes on a wire.
//!
//! Nothing in it depends on real time, on addresses or on the order of a hash map: the same seed gives the same bytes.

use crate::dice::Dice;
use crate::platform::{Node, SimPlatform};
use crate::wire::{Direction, Manners};
use ndk_provider::limits::Limits;
use ndk_provider::platform::{LocalInterface, NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use roce_engine::time::Time;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::BufWriter;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long finding a next hop takes.
const RESOLVE_NS: u64 = 50_000;
/// How soon a deferred call runs.
const DEFER_NS: u64 = 500;

/// A node's number.
pub type NodeId = usize;

enum Happening {
    Deliver { to: NodeId, frame: Vec<u8> },
    Timer { node: NodeId, set: u64 },
    Deferred { node: NodeId },
    Resolved { node: NodeId, token: u64, remote: IpAddr },
}

struct Host {
    node: Arc<Node>,
    port: Shared<Port<SimPlatform>>,
    out: Direction,
    timer_set: u64,
    deferred: bool,
}

/// See the module's text.
pub struct World {
    clock: Arc<AtomicU64>,
    sequence: u64,
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<(u64, u64), Happening>,
    hosts: Vec<Host>,
    seed: u64,
    ip_mtu: u32,
    manners: Manners,
    pcap: Option<PcapWriter<BufWriter<File>>>,
    /// Events so far.
    pub events: u64,
}

impl World {
    /// An empty world.
    pub fn new(seed: u64, ip_mtu: u32, manners: Manners) -> Self {
        Self {
            clock: Arc::default(),
            sequence: 0,
            heap: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            hosts: Vec::new(),
            seed,
            ip_mtu,
            manners,
            pcap: None,
            events: 0,
        }
    }

    /// Writes every frame that is put on the wire into a pcap file, with virtual times.
    pub fn record(&mut self, file: File) -> Result<(), pcap_file::PcapError> {
        let header = PcapHeader {
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        self.pcap = Some(PcapWriter::with_header(BufWriter::new(file), header)?);
        Ok(())
    }

    /// Adds a node with these addresses.
    ///
    /// # Panics
    /// Without memory.
    pub fn add(&mut self, addresses: Vec<IpAddr>, limits: Limits) -> NodeId {
        let id = self.hosts.len();
        let mac = [0x02, 0, 0, 0, 0, id as u8 + 1];
        let interface = LocalInterface { mac, ip_mtu: self.ip_mtu };
        let concern = id as u64 * 2;
        let node = Node::new(self.clock.clone(), Dice::new(self.seed, concern + 1), addresses, interface);
        let port = Port::try_new(SimPlatform(node.clone()), limits).expect("memory for a port");
        let out = Direction::new(self.manners, Dice::new(self.seed, concern + 2));
        self.hosts.push(Host { node, port, out, timer_set: 0, deferred: false });
        id
    }

    /// A node's port.
    pub fn port(&self, node: NodeId) -> &Shared<Port<SimPlatform>> {
        &self.hosts[node].port
    }

    /// A node.
    pub fn node(&self, node: NodeId) -> &Arc<Node> {
        &self.hosts[node].node
    }

    /// What happened on the wire out of a node.
    pub fn wire_counters(&self, node: NodeId) -> crate::wire::WireCounters {
        self.hosts[node].out.counters
    }

    /// Virtual nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn schedule(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        let key = (at.max(self.now()), self.sequence);
        self.heap.push(Reverse(key));
        self.happenings.insert(key, happening);
    }

    /// Carries out what the nodes asked for since the last time. To be called after every call into a provider.
    pub fn settle(&mut self) {
        for id in 0..self.hosts.len() {
            let (frames, timer, deferred, resolve) = {
                let mut tray = self.hosts[id].node.tray();
                let deferred = std::mem::take(&mut tray.deferred);
                (std::mem::take(&mut tray.frames), tray.timer.take(), deferred, std::mem::take(&mut tray.resolve))
            };
            for frame in frames {
                self.send(id, frame);
            }
            if let Some(at) = timer {
                self.hosts[id].timer_set += 1;
                let set = self.hosts[id].timer_set;
                if at != Time::MAX {
                    self.schedule(at.as_nanos(), Happening::Timer { node: id, set });
                }
            }
            if deferred && !self.hosts[id].deferred {
                self.hosts[id].deferred = true;
                self.schedule(self.now() + DEFER_NS, Happening::Deferred { node: id });
            }
            for (token, remote) in resolve {
                self.schedule(self.now() + RESOLVE_NS, Happening::Resolved { node: id, token, remote });
            }
        }
    }

    fn send(&mut self, from: NodeId, frame: Vec<u8>) {
        let now = self.now();
        if let Some(pcap) = &mut self.pcap {
            let packet = PcapPacket::new(std::time::Duration::from_nanos(now), frame.len() as u32, &frame);
            pcap.write_packet(&packet).expect("the pcap file takes what it is given");
        }
        let to = self.hosts.iter().position(|host| frame.starts_with(&host.node.mac()));
        let arrivals = self.hosts[from].out.carry(now, frame.len());
        if let Some(to) = to {
            for arrival in arrivals {
                let mut copy = frame.clone();
                if let Some(bit) = arrival.flip {
                    copy[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
                self.schedule(arrival.at, Happening::Deliver { to, frame: copy });
            }
        }
        self.hosts[from].node.give_back(frame);
        if std::mem::take(&mut self.hosts[from].node.tray().starved) {
            self.hosts[from].port.on_frames_available();
        }
    }

    /// Lets the next thing happen; false when nothing will.
    pub fn step(&mut self) -> bool {
        self.settle();
        let Some(Reverse(key)) = self.heap.pop() else { return false };
        let Some(happening) = self.happenings.remove(&key) else { return true };
        self.clock.store(key.0, Ordering::Relaxed);
        self.events += 1;
        match happening {
            Happening::Deliver { to, frame } => self.hosts[to].port.receive(&[&frame], |_| ()),
            Happening::Timer { node, set } => {
                if self.hosts[node].timer_set == set {
                    self.hosts[node].port.on_timer();
                }
            }
            Happening::Deferred { node } => {
                self.hosts[node].deferred = false;
                self.hosts[node].port.on_deferred();
            }
            Happening::Resolved { node, token, remote } => {
                let found = self.hosts.iter().find(|host| host.node.addresses().contains(&remote));
                let answer = match found {
                    Some(host) => Ok(NextHop { mac: host.node.mac(), vlan_tci: None, ip_mtu: self.ip_mtu }),
                    None => Err(Unresolved::HostUnreachable),
                };
                self.hosts[node].port.on_resolved(token, answer);
            }
        }
        self.settle();
        true
    }
}
