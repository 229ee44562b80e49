//! The virtual world: one clock, events in order of (time, sequence), two or more stations on a wire.
//!
//! Nothing in it depends on real time, on addresses or on the order of a hash map: the same seed gives the same bytes.
//! What a station is ([`Station`]) is its own affair: a natively built provider ([`World::add`]) or a whole simulated
//! machine ([`World::join`]).

use crate::dice::Dice;
use crate::platform::{Node, SimPlatform};
use crate::station::{ProviderStation, Station};
use crate::wire::{Direction, Manners, Rule};
use ndk_provider::limits::Limits;
use ndk_provider::platform::{LocalInterface, NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
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

/// A station's number.
pub type NodeId = usize;

enum Happening {
    Deliver { to: NodeId, frame: Vec<u8> },
    Timer { node: NodeId, set: u64 },
    Deferred { node: NodeId },
    Resolved { node: NodeId, token: u64, remote: IpAddr },
}

struct Place {
    station: Box<dyn Station>,
    /// Set for stations that are a natively built provider.
    provider: Option<(Arc<Node>, Shared<Port<SimPlatform>>)>,
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
    places: Vec<Place>,
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
            places: Vec::new(),
            seed,
            ip_mtu,
            manners,
            pcap: None,
            events: 0,
        }
    }

    /// The clock every station shares, in virtual nanoseconds.
    pub fn clock(&self) -> Arc<AtomicU64> {
        self.clock.clone()
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

    /// Adds a natively built provider with these addresses.
    ///
    /// # Panics
    /// Without memory.
    pub fn add(&mut self, addresses: Vec<IpAddr>, limits: Limits) -> NodeId {
        let id = self.places.len();
        let mac = [0x02, 0, 0, 0, 0, id as u8 + 1];
        let interface = LocalInterface { mac, ip_mtu: self.ip_mtu };
        let node = Node::new(self.clock.clone(), Dice::new(self.seed, id as u64 * 2 + 1), addresses, interface);
        let port = Port::try_new(SimPlatform(node.clone()), limits).expect("memory for a port");
        let id = self.join(Box::new(ProviderStation::new(node.clone(), port.clone())));
        self.places[id].provider = Some((node, port));
        id
    }

    /// Puts a station on the wire.
    pub fn join(&mut self, station: Box<dyn Station>) -> NodeId {
        let id = self.places.len();
        let out = Direction::new(self.manners, Dice::new(self.seed, id as u64 * 2 + 2));
        self.places.push(Place { station, provider: None, out, timer_set: 0, deferred: false });
        id
    }

    /// The port of a natively built provider.
    ///
    /// # Panics
    /// When the station is none.
    pub fn port(&self, node: NodeId) -> &Shared<Port<SimPlatform>> {
        let (_, port) = self.places[node].provider.as_ref().expect("a natively built provider");
        port
    }

    /// The node of a natively built provider.
    ///
    /// # Panics
    /// When the station is none.
    pub fn node(&self, node: NodeId) -> &Arc<Node> {
        let (node, _) = self.places[node].provider.as_ref().expect("a natively built provider");
        node
    }

    /// What happened on the wire out of a station.
    pub fn wire_counters(&self, node: NodeId) -> crate::wire::WireCounters {
        self.places[node].out.counters
    }

    /// From now on the wire out of a station behaves like this.
    pub fn set_manners(&mut self, node: NodeId, manners: Manners) {
        self.places[node].out.set_manners(manners);
    }

    /// From now on this decides what becomes of the frames out of a station.
    pub fn set_rule(&mut self, node: NodeId, rule: impl Rule + 'static) {
        self.places[node].out.set_rule(rule);
    }

    /// From now on every wire is good.
    pub fn heal(&mut self) {
        for place in &mut self.places {
            place.out.set_manners(Manners::GOOD);
        }
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

    /// Carries out what the stations asked for since the last time. To be called after every call into one.
    pub fn settle(&mut self) {
        for id in 0..self.places.len() {
            let wants = self.places[id].station.wants();
            for frame in wants.frames {
                self.send(id, frame);
            }
            if let Some(at) = wants.timer {
                self.places[id].timer_set += 1;
                let set = self.places[id].timer_set;
                if at != u64::MAX {
                    self.schedule(at, Happening::Timer { node: id, set });
                }
            }
            if wants.deferred && !self.places[id].deferred {
                self.places[id].deferred = true;
                self.schedule(self.now() + DEFER_NS, Happening::Deferred { node: id });
            }
            for (token, remote) in wants.resolve {
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
        let everybody = frame.first().is_some_and(|first| first & 1 != 0);
        let takes = |place: &Place| everybody || frame.starts_with(&place.station.mac());
        let to: Vec<NodeId> = (0..self.places.len()).filter(|&id| id != from && takes(&self.places[id])).collect();
        let arrivals = self.places[from].out.carry(now, &frame);
        for arrival in arrivals {
            for &to in &to {
                let mut copy = frame.clone();
                if let Some(bit) = arrival.flip {
                    copy[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
                self.schedule(arrival.at, Happening::Deliver { to, frame: copy });
            }
        }
        self.places[from].station.sent(frame);
    }

    /// When the next thing happens, in virtual nanoseconds.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(key)| key.0)
    }

    /// Lets the next thing happen; false when nothing will.
    pub fn step(&mut self) -> bool {
        self.settle();
        let Some(Reverse(key)) = self.heap.pop() else { return false };
        let Some(happening) = self.happenings.remove(&key) else { return true };
        self.clock.store(key.0, Ordering::Relaxed);
        self.events += 1;
        match happening {
            Happening::Deliver { to, frame } => self.places[to].station.deliver(&frame),
            Happening::Timer { node, set } => {
                if self.places[node].timer_set == set {
                    self.places[node].station.on_timer();
                }
            }
            Happening::Deferred { node } => {
                self.places[node].deferred = false;
                self.places[node].station.on_deferred();
            }
            Happening::Resolved { node, token, remote } => {
                let found = self.places.iter().find(|place| place.station.addresses().contains(&remote));
                let answer = match found {
                    Some(place) => Ok(NextHop { mac: place.station.mac(), vlan_tci: None, ip_mtu: self.ip_mtu }),
                    None => Err(Unresolved::HostUnreachable),
                };
                self.places[node].station.on_resolved(token, answer);
            }
        }
        self.settle();
        true
    }
}
