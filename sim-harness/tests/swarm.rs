//! Several hosts, several connections between each two, every kind of request at once, over wires with a rule of their own
//! each, drawn from a seed; half-way the wires heal. Every byte is compared, and at the end nothing is left.
//!
//! `SWARM_SEEDS=200 cargo test --release -p sim-harness --test swarm` runs that many seeds, `SWARM_SEED=17` just one.

use ndk_types::*;
use sim_harness::bed::{LIMITS, ipv4};
use sim_harness::consumer::{Adapter, Connector, Cq, Lam, Mr, Pd, Qp, sge};
use sim_harness::dice::Dice;
use sim_harness::memory::Buffer;
use sim_harness::wire::{Manners, Verdict};
use sim_harness::world::World;
use std::collections::VecDeque;
use std::net::SocketAddr;

const HOSTS: usize = 3;
/// Connections of one run.
const CONNECTIONS: usize = 4;
/// Requests of one end.
const REQUESTS: u64 = 120;
/// A slot's bytes, and the slots of an area: as many requests are outstanding at once.
const SLOT: usize = 8192;
const SLOTS: usize = 4;
/// Areas of a buffer: what is sent or written from, what the peer writes to, receives, where READs go, what the peer reads.
const FROM: usize = 0;
const TARGET: usize = SLOTS * SLOT;
const RECEIVED: usize = 2 * SLOTS * SLOT;
const SINK: usize = 3 * SLOTS * SLOT;
const SERVED: usize = 4 * SLOTS * SLOT;
const LENGTH: usize = 5 * SLOTS * SLOT;
/// Request contexts: the end in the upper bits.
const END: usize = 1 << 20;
const RECEIVE: usize = 1 << 19;
const REGISTER: usize = 1 << 18;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Send,
    Write,
    Read,
}

struct Outstanding {
    kind: Kind,
    slot: usize,
    bytes: Vec<u8>,
}

/// One end of a connection.
struct End {
    host: usize,
    peer: usize,
    qp: Qp,
    connector: Connector,
    mr: Mr,
    buffer: Buffer,
    lam: Lam,
    token: u32,
    /// The peer's remote token, once it has registered.
    peer_token: Option<u32>,
    dice: Dice,
    begun: u64,
    /// In the order of posting, which is that of completion.
    outstanding: VecDeque<Outstanding>,
    /// What the peer has sent and we have not received.
    expected: VecDeque<Vec<u8>>,
    received: usize,
    served: Vec<u8>,
}

impl End {
    fn piece(&self, offset: usize, length: usize) -> [NDK_SGE; 1] {
        [sge(self.token, self.lam.address(offset), length as u32)]
    }

    fn post_receive(&self, number: usize, slot: usize) {
        let into = self.piece(RECEIVED + slot * SLOT, SLOT);
        self.qp.receive(number * END + RECEIVE + slot, &into).unwrap();
    }
}

struct Host {
    adapter: Adapter,
    cq: Cq,
    pd: Pd,
}

struct Swarm {
    world: World,
    hosts: Vec<Host>,
    ends: Vec<End>,
}

fn address(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(ipv4(host), port)
}

impl Swarm {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 1500, Manners::GOOD);
        let hosts = (0..HOSTS)
            .map(|host| {
                let node = world.add(vec![ipv4(host)], LIMITS);
                let adapter = Adapter::open(world.port(node)).unwrap();
                let (cq, _) = adapter.create_cq(1024).unwrap();
                let pd = adapter.create_pd().unwrap();
                Host { adapter, cq, pd }
            })
            .collect();
        let mut swarm = Self { world, hosts, ends: Vec::new() };
        let mut dice = Dice::new(seed, 1_000);
        for connection in 0..CONNECTIONS {
            let client = dice.below(HOSTS as u64) as usize;
            let server = (client + 1 + dice.below(HOSTS as u64 - 1) as usize) % HOSTS;
            swarm.connect(client, server, 5_000 + connection as u16, &mut dice);
        }
        swarm
    }

    fn step(&mut self) {
        assert!(self.world.step(), "nothing happens any more");
    }

    fn qp(&self, host: usize) -> Qp {
        let Host { cq, pd, .. } = &self.hosts[host];
        pd.create_qp(cq, 16, 2, 0).unwrap()
    }

    /// Connects two hosts; both ends register their buffers and post receives.
    fn connect(&mut self, client: usize, server: usize, port: u16, dice: &mut Dice) {
        let (ours, theirs) = (self.qp(client), self.qp(server));
        let listener = self.hosts[server].adapter.listen(address(server, port)).unwrap();
        let active = self.hosts[client].adapter.create_connector().unwrap();
        let connecting = active.connect(&ours, ipv4(client), address(server, port), 4, b"");
        let passive = loop {
            if let Some(connector) = listener.take() {
                break connector;
            }
            self.step();
        };
        let (accepting, _) = passive.accept(&theirs, 4, b"");
        while connecting.status().is_none() {
            self.step();
        }
        active.complete_connect().unwrap();
        while accepting.status().is_none() {
            self.step();
        }
        assert_eq!((connecting.status(), accepting.status()), (Some(STATUS_SUCCESS), Some(STATUS_SUCCESS)));
        listener.close();
        let first = self.ends.len();
        self.add_end(client, first + 1, ours, active, dice);
        self.add_end(server, first, theirs, passive, dice);
    }

    fn add_end(&mut self, host: usize, peer: usize, qp: Qp, connector: Connector, dice: &mut Dice) {
        let number = self.ends.len();
        let Host { adapter, pd, .. } = &self.hosts[host];
        let buffer = Buffer::new(LENGTH, 0);
        let mut served = vec![0; SLOTS * SLOT];
        dice.fill(&mut served);
        buffer.write(SERVED, &served);
        let lam = adapter.build_lam(&buffer).unwrap();
        let mr = pd.create_fast_mr(lam.pages.len() as u32).unwrap();
        let rights = NDK_OP_FLAG_ALLOW_REMOTE_READ | NDK_OP_FLAG_ALLOW_REMOTE_WRITE | NDK_OP_FLAG_ALLOW_LOCAL_WRITE;
        qp.fast_register(number * END + REGISTER, &mr, &lam.pages, LENGTH, 0x1_0000, rights).unwrap();
        let end = End {
            host,
            peer,
            token: pd.privileged_token(),
            qp,
            connector,
            mr,
            buffer,
            lam,
            peer_token: None,
            dice: dice.split(),
            begun: 0,
            outstanding: VecDeque::new(),
            expected: VecDeque::new(),
            received: 0,
            served,
        };
        (0..SLOTS).for_each(|slot| end.post_receive(number, slot));
        self.ends.push(end);
    }

    /// Each wire gets bad manners, or a rule that is worse than luck.
    fn misbehave(&mut self, dice: &mut Dice) {
        for host in 0..HOSTS {
            let mut own = dice.split();
            match dice.below(4) {
                0 => {
                    let mut some = || f64::from(own.below(40) as u32) / 1_000.0;
                    let (loss, reorder, duplicate, corrupt) = (some(), some(), some(), some());
                    self.world.set_manners(host, Manners { loss, reorder, duplicate, corrupt, ..Manners::GOOD });
                }
                // Every so many frames one is lost, the same way each time it comes.
                1 => {
                    let period = 5 + own.below(30);
                    let rule = move |number: u64, _: &[u8], _: u64| {
                        if number.is_multiple_of(period) { Verdict::Drop } else { Verdict::Pass }
                    };
                    self.world.set_rule(host, rule);
                }
                // Nothing passes for two of every ten milliseconds.
                2 => {
                    let rule = |_: u64, _: &[u8], now: u64| {
                        if now / 1_000_000 % 10 < 2 { Verdict::Drop } else { Verdict::Pass }
                    };
                    self.world.set_rule(host, rule);
                }
                // Everything short (acknowledgements above all) is late or comes twice, and some of the rest is damaged.
                _ => {
                    let rule = move |number: u64, frame: &[u8], _: u64| match (frame.len() < 100, own.below(8)) {
                        (true, 0..3) => Verdict::Delay(own.below(200_000)),
                        (true, 3..5) => Verdict::Duplicate,
                        (false, 0) => Verdict::Flip(number * 977),
                        _ => Verdict::Pass,
                    };
                    self.world.set_rule(host, rule);
                }
            }
        }
    }

    /// Begins a request of an end if it may.
    fn begin(&mut self, number: usize) {
        let end = &self.ends[number];
        let Some(token) = end.peer_token else { return };
        let in_flight = self.ends[end.peer].expected.len();
        if end.begun == REQUESTS || end.outstanding.len() == SLOTS {
            return;
        }
        let end = &mut self.ends[number];
        let peer = end.peer;
        let slot = (end.begun % SLOTS as u64) as usize;
        let length = 1 + end.dice.below(SLOT as u64) as usize;
        let context = number * END + slot;
        let kind = match end.dice.below(3) {
            // The peer has a receive for each that is on its way.
            0 if in_flight < SLOTS => Kind::Send,
            1 => Kind::Write,
            _ => Kind::Read,
        };
        let mut bytes = vec![0; length];
        end.dice.fill(&mut bytes);
        let remote = |area: usize| 0x1_0000 + (area + slot * SLOT) as u64;
        match kind {
            Kind::Send => {
                end.buffer.write(FROM + slot * SLOT, &bytes);
                end.qp.send(context, &end.piece(FROM + slot * SLOT, length), 0).unwrap();
            }
            Kind::Write => {
                end.buffer.write(FROM + slot * SLOT, &bytes);
                let piece = end.piece(FROM + slot * SLOT, length);
                end.qp.write(context, &piece, remote(TARGET), token, 0).unwrap();
            }
            Kind::Read => {
                let piece = end.piece(SINK + slot * SLOT, length);
                end.qp.read(context, &piece, remote(SERVED), token, 0).unwrap();
            }
        }
        end.begun += 1;
        if let Kind::Send = kind {
            self.ends[peer].expected.push_back(bytes.clone());
        }
        self.ends[number].outstanding.push_back(Outstanding { kind, slot, bytes });
        self.world.settle();
    }

    /// Takes a completion and compares what it stands for.
    fn complete(&mut self, result: &NDK_RESULT_EX) {
        let context = result.RequestContext.addr();
        let (number, what) = (context / END, context % END);
        assert_eq!(result.Status, STATUS_SUCCESS, "end {number}, request {what:#x}");
        if what & REGISTER != 0 {
            let token = self.ends[number].mr.remote_token();
            let peer = self.ends[number].peer;
            self.ends[peer].peer_token = Some(token);
            return;
        }
        let end = &mut self.ends[number];
        if what & RECEIVE != 0 {
            let slot = what - RECEIVE;
            assert_eq!(slot, end.received % SLOTS, "receives complete in order");
            let expected = end.expected.pop_front().expect("somebody sent it");
            assert_eq!(result.BytesTransferred as usize, expected.len());
            assert_eq!(end.buffer.read(RECEIVED + slot * SLOT, expected.len()), expected, "what was sent");
            end.received += 1;
            end.post_receive(number, slot);
            return;
        }
        let done = end.outstanding.pop_front().expect("somebody posted it");
        assert_eq!(done.slot, what, "requests complete in order");
        let (length, at, peer) = (done.bytes.len(), done.slot * SLOT, end.peer);
        let peer = &self.ends[peer];
        match done.kind {
            Kind::Send => (),
            Kind::Write => {
                assert_eq!(peer.buffer.read(TARGET + at, length), done.bytes, "what was written");
            }
            Kind::Read => {
                assert_eq!(
                    self.ends[number].buffer.read(SINK + at, length),
                    peer.served[at..at + length],
                    "what was read"
                );
            }
        }
    }

    fn poll(&mut self) {
        for host in 0..HOSTS {
            for result in self.hosts[host].cq.poll() {
                self.complete(&result);
            }
        }
    }

    /// Runs until all ends together have begun that many requests, or, with `drain`, until all have ended.
    fn run(&mut self, requests: u64, drain: bool) {
        loop {
            self.poll();
            (0..self.ends.len()).for_each(|number| self.begin(number));
            let begun: u64 = self.ends.iter().map(|end| end.begun).sum();
            let idle = self.ends.iter().all(|end| end.outstanding.is_empty() && end.expected.is_empty());
            if begun >= requests && (!drain || idle) {
                return;
            }
            self.step();
        }
    }

    /// Closes everything, antecedents first; nothing may be left.
    fn close(self) {
        let Self { mut world, hosts, ends } = self;
        for end in ends {
            assert!(end.buffer.guards_are_whole());
            end.connector.close();
            end.mr.close();
            end.qp.close();
            hosts[end.host].adapter.release_lam(end.lam);
            world.settle();
        }
        let mut adapters = Vec::new();
        for Host { adapter, cq, pd } in hosts {
            pd.close();
            cq.close();
            adapters.push(adapter);
        }
        while adapters.iter().any(|adapter| adapter.ledger.outstanding() != 0) {
            assert!(world.step(), "objects stay open");
        }
        adapters.into_iter().for_each(Adapter::close);
        while world.step() {}
        for host in 0..HOSTS {
            assert_eq!(world.node(host).frames_out(), 0, "frames of host {host} never left");
        }
    }
}

fn run(seed: u64) {
    let mut swarm = Swarm::new(seed);
    let mut dice = Dice::new(seed, 2_000);
    assert_eq!(swarm.ends.len(), 2 * CONNECTIONS);
    swarm.misbehave(&mut dice);
    let all = REQUESTS * swarm.ends.len() as u64;
    swarm.run(all / 2, false);
    let spoiled: u64 = (0..HOSTS)
        .map(|host| swarm.world.wire_counters(host))
        .map(|wire| wire.lost + wire.reordered + wire.duplicated + wire.corrupted)
        .sum();
    assert!(spoiled > 0, "the wires were good all along");
    swarm.world.heal();
    let healed = swarm.world.now();
    swarm.run(all, true);
    let seconds = (swarm.world.now() - healed) / 1_000_000_000;
    assert!(seconds < 20, "a healed wire needs no {seconds} s");
    swarm.close();
}

/// T-01, T-02, T-05, T-20, T-21, T-22, T-25, T-30: whatever the wires do, every request succeeds, in order, with the right
/// bytes, and nothing is left.
#[test]
fn every_byte_arrives_over_any_wires_and_nothing_is_left() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match (number("SWARM_SEED"), number("SWARM_SEEDS")) {
        (Some(one), _) => one..one + 1,
        (None, many) => 0..many.unwrap_or(100),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("it was seed {seed}: SWARM_SEED={seed} brings it back");
            std::panic::resume_unwind(panic);
        }
    }
}
