//! Two queue pairs over a channel that loses, doubles, delays, reorders and corrupts.
//!
//! Everything comes from one seed: the channel's manners, the work of both sides, when receives are posted, how many
//! frames there are. Both sides send, write, read, register and invalidate at once. At the end everything has completed
//! with success, in order, and every byte is where it belongs and nowhere else.

extern crate std;

use super::conversation::{attributes, template};
use super::environment::*;
use crate::completion::{CompletionKind, CompletionStatus};
use crate::crc::TableCrc32;
use crate::key::{LKey, RKey};
use crate::memory::{Access, FastRegister};
use crate::psn::{Psn, Qpn};
use crate::qp::{Attributes, Limits, QueuePair, Received};
use crate::time::{Duration, Time};
use crate::turn::{Budget, Pause, Turn};
use crate::wire::parse;
use crate::work::{Operation, Wqe};
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

/// A small deterministic generator (`SplitMix64`).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(super) fn per_mille(&mut self, chance: u64) -> bool {
        self.below(1000) < chance
    }
}

/// How the channel behaves, in per mille of frames.
#[derive(Debug)]
struct Manners {
    lose: u64,
    double: u64,
    corrupt: u64,
    /// Frames that take a detour, and so arrive after later ones.
    delay: u64,
    /// Frames a side keeps while it waits (T-05).
    mailbox: usize,
    /// Receives are posted late: messages are held, and the peer is told to wait (T-29).
    tardy: bool,
}

/// Local sources, their pattern; and everything that arrives, zeros at first.
const SOURCE: u32 = 0x100;
const TARGET: u32 = 0x200;
/// Regions that are registered and invalidated.
const FAST: u32 = 0x300;
const FAST_COUNT: u32 = 64;
const SPACE: usize = 1 << 20;

/// What was asked for and is to be seen at the end.
#[derive(Clone, Debug)]
struct Expected {
    side: usize,
    key: u32,
    at: usize,
    bytes: Vec<u8>,
}

struct Node {
    qp: QueuePair,
    memory: Memory,
    sends: Sends,
    receives: Receives,
    completed: Completed,
    egress: Egress,
    mailbox: VecDeque<Vec<u8>>,
    /// The next free byte of TARGET.
    free: usize,
    /// Requests to come.
    to_post: u64,
    posted: u64,
    signaled: Vec<u64>,
    receives_to_post: VecDeque<usize>,
    /// Bytes of the SENDs posted, and where each receive points.
    messages: Vec<(Vec<u8>, Option<RKey>)>,
    landings: Vec<usize>,
    next_fast: u32,
    /// Regions that requests posted so far leave invalid.
    revoked: Vec<u32>,
}

impl Node {
    fn new(attributes: Attributes, requests: u64, dice: &mut Dice) -> Self {
        let limits = Limits { send_depth: 512, responder_resources: 8, own_receive_queue: true };
        let mut qp = QueuePair::try_new(limits).expect("memory");
        assert!(qp.connect(attributes) && qp.establish());
        let mut memory = Memory::default();
        let source: Vec<u8> = (0..SPACE).map(|_| dice.roll() as u8).collect();
        memory.register(SOURCE, 0, &source, Access::REMOTE_READ);
        let all = Access::LOCAL_WRITE.and(Access::REMOTE_WRITE);
        memory.register(TARGET, 0, &std::vec![0; SPACE], all);
        for index in 0..FAST_COUNT {
            memory.register(FAST + index, 0, &[0; 64], Access::LOCAL_WRITE.and(Access::REMOTE_READ));
        }
        Self {
            qp,
            memory,
            sends: Sends::default(),
            receives: Receives::default(),
            completed: Completed::default(),
            egress: Egress::default(),
            mailbox: VecDeque::new(),
            free: 0,
            to_post: requests,
            posted: 0,
            signaled: Vec::new(),
            receives_to_post: VecDeque::new(),
            messages: Vec::new(),
            landings: Vec::new(),
            next_fast: 0,
            revoked: Vec::new(),
        }
    }

    fn turn(&mut self, now: Time, frame: Option<&[u8]>, budget: u32) -> (Received, Pause) {
        let mut turn: Turn<'_, Plain> = Turn {
            now,
            regions: &mut self.memory,
            send_queue: &mut self.sends,
            receive_queue: &mut self.receives,
            completions: &mut self.completed,
            outbox: &mut self.egress,
            crc: TableCrc32,
        };
        match frame {
            None => (Received::Done, self.qp.turn(&mut turn, Budget(budget))),
            Some(frame) => {
                let packet = parse(frame).expect("only whole frames are offered");
                (self.qp.receive(&packet, &mut turn), Pause::Idle)
            }
        }
    }

    /// Offers what is kept, then takes turns until nothing is to be done: as a platform would.
    fn run(&mut self, now: Time, mailbox: usize, dice: &mut Dice) {
        loop {
            let mut offered = usize::MAX;
            while self.mailbox.len() < offered {
                offered = self.mailbox.len();
                for frame in core::mem::take(&mut self.mailbox) {
                    if let (Received::Wait(_), _) = self.turn(now, Some(&frame), 0) {
                        self.mailbox.push_back(frame);
                    }
                }
            }
            self.mailbox.truncate(mailbox);
            self.egress.available = dice.below(20) as usize;
            match self.turn(now, None, 1 + dice.below(40) as u32).1 {
                Pause::Budget | Pause::NoFrame | Pause::Revoking => (),
                Pause::Idle | Pause::WantsReceive => break,
            }
        }
    }

    /// A frame of the wire: what does not parse or whose ICRC is wrong is dropped.
    fn arrive(&mut self, frame: Vec<u8>) {
        if parse(&frame).is_ok_and(|packet| packet.icrc_ok(TableCrc32)) {
            self.mailbox.push_back(frame);
        }
    }

    /// Takes `len` bytes of the target that nobody else uses, with a byte between.
    fn reserve(&mut self, len: usize) -> Option<usize> {
        let at = self.free;
        (at + len < SPACE).then(|| self.free = at + len + 1)?;
        Some(at)
    }

    /// Cuts `len` bytes from `at` of the region `key` into a few entries.
    fn cut(key: u32, at: usize, len: usize, dice: &mut Dice) -> Vec<crate::memory::Sge> {
        let mut entries = Vec::new();
        let (mut at, mut left) = (at as u64, len as u32);
        for _ in 0..dice.below(3) {
            let part = dice.below(u64::from(left) + 1) as u32;
            entries.push(sge(key, at, part));
            (at, left) = (at + u64::from(part), left - part);
        }
        entries.push(sge(key, at, left));
        entries
    }
}

/// How the two repair losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    GoBack,
    Selective,
}

struct World {
    seed: u64,
    dice: Dice,
    nodes: [Node; 2],
    /// Frames under way, by time of arrival and order of sending.
    wire: BTreeMap<(u64, u64), (usize, Vec<u8>)>,
    order: u64,
    now: Time,
    manners: Manners,
    mtu: u16,
    expected: Vec<Expected>,
}

impl World {
    fn new(seed: u64, requests: u64, repair: Repair) -> Self {
        let mut dice = Dice::new(seed);
        let mtu = 256 << dice.below(5);
        let cruel = dice.below(3);
        let mut chance = |most: u64| if cruel == 0 { 0 } else { dice.below(most * cruel) };
        let (lose, double, corrupt, delay) = (chance(60), chance(50), chance(15), chance(80));
        let mailbox = if cruel == 0 { usize::MAX } else { dice.below(64) as usize };
        let manners = Manners { lose, double, corrupt, delay, mailbox, tardy: cruel > 0 && dice.per_mille(200) };
        let psns = [Psn::new(dice.roll() as u32), Psn::new(dice.roll() as u32)];
        let depth = 1 + dice.below(8) as u8;
        let mut nodes = [0, 1].map(|side: usize| {
            let attributes = Attributes {
                template: template(1 + side as u8, 2 - side as u8),
                remote_qpn: Qpn::new(0x22),
                requester_psn: psns[side],
                responder_psn: psns[1 - side],
                path_mtu: mtu,
                initiator_depth: depth,
                responder_resources: depth,
                // As Linux has it: a quarter of a second of holding must leave time for the channel's losses.
                ack_timeout: Duration::from_millis(540),
                peer_patience: Duration::from_millis(7 * 540),
                ..attributes()
            };
            Node::new(attributes, requests, &mut dice)
        });
        if repair == Repair::Selective {
            for node in &mut nodes {
                node.qp.repair_selectively();
            }
        }
        let now = Time::from_nanos(1_000);
        Self { seed, dice, nodes, wire: BTreeMap::new(), order: 0, now, manners, mtu, expected: Vec::new() }
    }

    /// Puts what left onto the wire.
    fn carry(&mut self, from: usize) {
        while let Some(mut frame) = self.nodes[from].egress.frames.pop_front() {
            if self.dice.per_mille(self.manners.lose) {
                continue;
            }
            let copies = 1 + u64::from(self.dice.per_mille(self.manners.double));
            if self.dice.per_mille(self.manners.corrupt) {
                let bit = self.dice.below(frame.len() as u64 * 8) as usize;
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            for _ in 0..copies {
                let mut delay = 10_000;
                if self.dice.per_mille(self.manners.delay) {
                    delay += self.dice.below(200_000);
                }
                self.order += 1;
                let at = self.now.as_nanos() + delay;
                self.wire.insert((at, self.order), (1 - from, frame.clone()));
            }
        }
    }

    /// Posts a request of `side`, if there is room in the target.
    fn post(&mut self, side: usize) {
        let (wr_id, mtu) = (self.nodes[side].posted, u64::from(self.mtu));
        let longest = match self.dice.below(1000) {
            // Longer than a piece of a READ.
            0..10 if mtu == 256 => 700 * mtu,
            10..100 => 12 * mtu,
            _ => 3 * mtu,
        };
        let len = self.dice.below(longest + 1) as usize;
        let from = self.dice.below((SPACE - len) as u64) as usize;
        let mut wqe = request(wr_id, Operation::Send);
        wqe.signaled = self.dice.per_mille(700);
        wqe.read_fence = self.dice.per_mille(100);
        wqe.solicited = self.dice.per_mille(500);
        let entries = match self.dice.below(8) {
            0..3 => self.post_send(side, &mut wqe, from, len),
            3..5 => self.post_write(side, &mut wqe, from, len),
            5..7 => self.post_read(side, &mut wqe, from, len),
            _ => Some(self.post_local(side, &mut wqe)),
        };
        let Some(entries) = entries else { return };
        let node = &mut self.nodes[side];
        if wqe.inline {
            let at = entries[0].addr as usize;
            let data = node.memory.bytes(SOURCE)[at..at + entries[0].length as usize].to_vec();
            node.sends.post_inline(wqe, &data);
        } else {
            node.sends.post(wqe, &entries);
        }
        if wqe.signaled {
            node.signaled.push(wr_id);
        }
        node.posted += 1;
    }

    fn post_send(&mut self, side: usize, wqe: &mut Wqe, from: usize, len: usize) -> Option<Vec<crate::memory::Sge>> {
        let peer = &mut self.nodes[1 - side];
        let at = peer.reserve(len)?;
        peer.landings.push(at);
        peer.receives_to_post.push_back(len);
        let mut invalidated = None;
        if self.dice.per_mille(150) && peer.next_fast < FAST_COUNT {
            let r_key = RKey(FAST + peer.next_fast);
            peer.next_fast += 1;
            wqe.operation = Operation::SendWithInvalidate { r_key };
            invalidated = Some(r_key);
        }
        if self.dice.per_mille(300) {
            peer.memory.draining = self.dice.below(3) as u32;
        }
        let bytes = self.nodes[side].memory.bytes(SOURCE)[from..from + len].to_vec();
        self.expected.push(Expected { side: 1 - side, key: TARGET, at, bytes: bytes.clone() });
        self.nodes[side].messages.push((bytes, invalidated));
        wqe.inline = self.dice.per_mille(200);
        if wqe.inline {
            return Some(std::vec![sge(SOURCE, from as u64, len as u32)]);
        }
        Some(Node::cut(SOURCE, from, len, &mut self.dice))
    }

    fn post_write(&mut self, side: usize, wqe: &mut Wqe, from: usize, len: usize) -> Option<Vec<crate::memory::Sge>> {
        let at = self.nodes[1 - side].reserve(len)?;
        wqe.operation = Operation::RdmaWrite { va: at as u64, r_key: RKey(TARGET) };
        let bytes = self.nodes[side].memory.bytes(SOURCE)[from..from + len].to_vec();
        self.expected.push(Expected { side: 1 - side, key: TARGET, at, bytes });
        Some(Node::cut(SOURCE, from, len, &mut self.dice))
    }

    fn post_read(&mut self, side: usize, wqe: &mut Wqe, from: usize, len: usize) -> Option<Vec<crate::memory::Sge>> {
        if self.dice.per_mille(150) && self.nodes[side].next_fast < FAST_COUNT {
            return Some(self.post_read_with_invalidate(side, wqe, from));
        }
        let at = self.nodes[side].reserve(len)?;
        wqe.operation = Operation::RdmaRead { va: from as u64, r_key: RKey(SOURCE), invalidate: false };
        let bytes = self.nodes[1 - side].memory.bytes(SOURCE)[from..from + len].to_vec();
        self.expected.push(Expected { side, key: TARGET, at, bytes });
        Some(Node::cut(TARGET, at, len, &mut self.dice))
    }

    /// Reads into a region that is invalidated when the READ is done.
    fn post_read_with_invalidate(&mut self, side: usize, wqe: &mut Wqe, from: usize) -> Vec<crate::memory::Sge> {
        let key = FAST + self.nodes[side].next_fast;
        self.nodes[side].next_fast += 1;
        wqe.operation = Operation::RdmaRead { va: from as u64, r_key: RKey(SOURCE), invalidate: true };
        let bytes = self.nodes[1 - side].memory.bytes(SOURCE)[from..(from + 64).min(SPACE)].to_vec();
        let len = bytes.len();
        self.expected.push(Expected { side, key, at: 0, bytes });
        self.nodes[side].revoked.push(key);
        Node::cut(key, 0, len, &mut self.dice)
    }

    /// Invalidates a region of this side that nobody uses, or registers one anew that an earlier request invalidated.
    fn post_local(&mut self, side: usize, wqe: &mut Wqe) -> Vec<crate::memory::Sge> {
        let node = &mut self.nodes[side];
        if self.dice.per_mille(300)
            && let Some(key) = node.revoked.pop()
        {
            let access = Access::LOCAL_READ;
            wqe.operation = Operation::FastRegister(FastRegister { key: LKey(key), va: 0, length: 64, access });
            // READs with invalidate complete before it starts.
            wqe.read_fence = true;
        } else if node.next_fast == FAST_COUNT || self.dice.per_mille(300) {
            let fast = FastRegister { key: LKey(SOURCE), va: 0, length: 1, access: Access::LOCAL_READ };
            let binding = crate::memory::Bind {
                window: RKey(1),
                region: LKey(SOURCE),
                va: fast.va,
                length: fast.length,
                access: fast.access,
            };
            wqe.operation = Operation::Bind(binding);
        } else {
            wqe.operation = Operation::LocalInvalidate { key: LKey(FAST + node.next_fast) };
            node.revoked.push(FAST + node.next_fast);
            node.next_fast += 1;
        }
        Vec::new()
    }

    fn post_receives(&mut self, side: usize) {
        let node = &mut self.nodes[side];
        while let Some(len) = node.receives_to_post.pop_front() {
            let index = node.landings.len() - node.receives_to_post.len() - 1;
            let entries = Node::cut(TARGET, node.landings[index], len, &mut self.dice);
            node.receives.post(index as u64, &entries);
        }
    }

    fn work(&mut self) {
        for side in 0..2 {
            for _ in 0..self.dice.below(6) {
                if self.nodes[side].to_post > 0 && self.nodes[side].sends.outstanding() < 500 {
                    self.nodes[side].to_post -= 1;
                    self.post(side);
                }
            }
            if self.dice.per_mille(600) {
                self.post_receives(side);
            }
        }
    }

    fn idle(&self) -> bool {
        self.nodes.iter().all(|node| node.to_post == 0 && node.sends.outstanding() == 0)
    }

    /// Plays until everything completed.
    fn play(&mut self) {
        let mut work_at = self.now;
        while !self.idle() {
            if self.now >= work_at {
                self.work();
                let longest = if self.manners.tardy { 800_000_000 } else { 60_000 };
                work_at = self.now.after(Duration::from_nanos(self.dice.below(longest)));
            }
            for side in 0..2 {
                self.nodes[side].run(self.now, self.manners.mailbox, &mut self.dice);
                if let Some(event) = self.nodes[side].qp.take_event() {
                    panic!("seed {}: side {side}: {event:?} at {:?}, {:?}", self.seed, self.now, self.manners);
                }
                self.carry(side);
            }
            let arrival = self.wire.first_key_value().map(|(&(at, _), _)| Time::from_nanos(at));
            let deadlines = self.nodes.iter().filter_map(|node| node.qp.deadline());
            let next = deadlines.chain(arrival).chain([work_at]).min().expect("work");
            assert!(
                next > self.now || arrival.is_some() || work_at <= self.now,
                "seed {}: a deadline stays",
                self.seed
            );
            self.now = self.now.max(next).after(Duration::from_nanos(1));
            assert!(self.now < Time::from_nanos(600_000_000_000), "seed {}: it never ends", self.seed);
            while let Some(entry) = self.wire.first_entry()
                && Time::from_nanos(entry.key().0) <= self.now
            {
                let (side, frame) = entry.remove();
                self.nodes[side].arrive(frame);
            }
        }
    }

    /// Every byte is where it belongs and nowhere else; every completion came once and in order.
    fn check(&self) {
        let seed = self.seed;
        for (side, node) in self.nodes.iter().enumerate() {
            node.memory.check_canaries();
            let mut target = std::vec![0; SPACE];
            for expected in self.expected.iter().filter(|expected| expected.side == side) {
                if expected.key != TARGET {
                    assert!(node.memory.bytes(expected.key).starts_with(&expected.bytes), "seed {seed}: READ");
                    continue;
                }
                target[expected.at..expected.at + expected.bytes.len()].copy_from_slice(&expected.bytes);
            }
            assert!(target == node.memory.bytes(TARGET), "seed {seed}: bytes of side {side}");
            let sends: Vec<_> = node.completed.sends.iter().map(|send| (send.wr_id, send.status)).collect();
            let signaled: Vec<_> = node.signaled.iter().map(|&wr_id| (wr_id, CompletionStatus::Success)).collect();
            assert_eq!(sends, signaled, "seed {seed}: side {side}");
            assert!(node.revoked.iter().all(|&key| !node.memory.is_valid(key)), "seed {seed}: side {side}");
            let messages = &self.nodes[1 - side].messages;
            assert_eq!(node.completed.receives.len(), messages.len(), "seed {seed}: side {side}");
            for (index, (receive, (bytes, key))) in node.completed.receives.iter().zip(messages).enumerate() {
                let kind = match *key {
                    Some(r_key) => CompletionKind::ReceiveWithInvalidate { r_key },
                    None => CompletionKind::Receive,
                };
                assert_eq!((receive.wr_id, receive.kind), (index as u64, kind), "seed {seed}: side {side}");
                assert_eq!(receive.byte_len as usize, bytes.len(), "seed {seed}: side {side}");
            }
        }
    }
}

fn play(seed: u64, requests: u64, repair: Repair) -> World {
    let mut world = World::new(seed, requests, repair);
    world.play();
    world.check();
    world
}

/// What a few hundred runs did.
#[derive(Debug, Default)]
struct Tally {
    again: u64,
    repairs: u64,
    rnr_naks: u64,
    duplicates: u64,
    timeouts: u64,
    go_backs: u64,
    nanos: u64,
}

fn tally(worlds: impl Iterator<Item = World>) -> Tally {
    let mut tally = Tally::default();
    for world in worlds {
        tally.nanos += world.now.as_nanos();
        for node in &world.nodes {
            tally.add(node);
        }
    }
    tally
}

impl Tally {
    fn add(&mut self, node: &Node) {
        let tally = self;
        tally.timeouts += node.qp.requester_counters().timeouts;
        tally.go_backs += node.qp.requester_counters().go_backs;
        tally.again += node.qp.requester_counters().retransmissions;
        tally.repairs += node.qp.requester_counters().repairs;
        tally.rnr_naks += node.qp.requester_counters().rnr_naks;
        tally.duplicates += node.qp.responder_counters().duplicates;
    }
}

/// T-01, T-02, T-20 to T-33: whatever the channel does, every byte arrives once, in order.
#[test]
fn everything_completes_in_order_with_the_right_bytes_over_any_channel() {
    let tally = tally((0..200).map(|seed| play(seed, 120, Repair::GoBack)));
    assert!(tally.again > 5_000 && tally.rnr_naks > 10 && tally.duplicates > 5_000, "{tally:?}");
    assert_eq!(tally.repairs, 0);
}

/// T-50, T-51: the same between two of ours.
#[test]
fn everything_completes_with_selective_repair_over_any_channel() {
    let tally = tally((0..200).map(|seed| play(seed, 120, Repair::Selective)));
    assert!(tally.repairs > 1_000 && tally.rnr_naks > 10, "{tally:?}");
}

/// T-50: only what is missing is sent again.
#[test]
fn selective_repair_sends_less_again_than_going_back() {
    let [selective, going_back] = [Repair::Selective, Repair::GoBack]
        .map(|repair| tally((0..100).map(|seed| play(seed, 120, repair)).filter(|world| !world.manners.tardy)));
    assert!(selective.again * 3 < going_back.again * 2, "{selective:?} {going_back:?}");
}

/// A quiet channel needs no repair at all: nothing is sent twice, nothing refused.
#[test]
fn over_a_quiet_channel_nothing_is_sent_twice() {
    let mut count = 0;
    for world in (0..40).map(|seed| play(seed, 60, Repair::GoBack)).filter(|world| world.manners.mailbox == usize::MAX)
    {
        count += 1;
        for node in &world.nodes {
            let counters = node.qp.requester_counters();
            assert_eq!((counters.go_backs, node.qp.responder_counters().naks_sent), (0, 0), "seed {}", world.seed);
        }
    }
    assert!(count > 0);
}

/// The same seed gives the same run, so a failure can be replayed.
#[test]
fn a_seed_replays() {
    let [a, b] = [play(7, 60, Repair::Selective), play(7, 60, Repair::Selective)];
    assert_eq!((a.now, a.order), (b.now, b.order));
}
