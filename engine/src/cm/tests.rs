//! Two agents, a lossy channel between them, and consumers that always answer.

extern crate std;

mod channel;
mod defects;
mod matrix;
mod peer;
mod replay;
mod script;

use super::*;
use std::collections::VecDeque;
use std::vec::Vec;

/// What an agent was told, and what it said.
#[derive(Default)]
struct Note {
    sent: VecDeque<[u8; MAD_LEN]>,
    events: Vec<(ConnectionId, Seen)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Request(u16),
    Accepted,
    Rejected(RejReason),
    Established,
    TimedOut,
    DisconnectRequested,
    Disconnected(bool),
    Lost,
    Released,
}

impl CmPort for Note {
    fn send(&mut self, _: &AddressVector, mad: &[u8; MAD_LEN]) {
        self.sent.push_back(*mad);
    }

    fn event(&mut self, id: ConnectionId, event: CmEvent<'_>) {
        let seen = match event {
            CmEvent::Request { req, .. } => Seen::Request(crate::wire::cm::service_port(req.service_id).unwrap()),
            CmEvent::Accepted { .. } => Seen::Accepted,
            CmEvent::Rejected { reason, .. } => Seen::Rejected(reason),
            CmEvent::Established => Seen::Established,
            CmEvent::TimedOut => Seen::TimedOut,
            CmEvent::DisconnectRequested => Seen::DisconnectRequested,
            CmEvent::Disconnected { graceful } => Seen::Disconnected(graceful),
            CmEvent::Lost => Seen::Lost,
            CmEvent::Released => Seen::Released,
        };
        self.events.push((id, seen));
    }
}

struct Side {
    agent: Agent,
    note: Note,
    path: AddressVector,
}

impl Side {
    fn new(last: u8, peer: u8, seed: u32) -> Self {
        let mut state = seed;
        let random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ state >> 15
        };
        let path = AddressVector {
            source_mac: [2, 0, 0, 0, 0, last],
            destination_mac: [2, 0, 0, 0, 0, peer],
            vlan_tci: None,
            source: core::net::IpAddr::V4([10, 9, 0, last].into()),
            destination: core::net::IpAddr::V4([10, 9, 0, peer].into()),
            hop_limit: 64,
            dscp: 0,
            source_port: 0xc001,
        };
        Self { agent: Agent::try_new(4, random).unwrap(), note: Note::default(), path }
    }

    fn connect(&mut self, now: Time) -> ConnectionId {
        let request = ConnectRequest {
            path: self.path,
            source_port: 50_000,
            port: 7174,
            endpoint: endpoint(0x117),
            path_mtu: 1024,
            private_data: b"hello",
        };
        self.agent.connect(now, &request, &mut self.note).unwrap()
    }

    fn take(&mut self) -> Option<(ConnectionId, Seen)> {
        if self.note.events.is_empty() { None } else { Some(self.note.events.remove(0)) }
    }
}

fn endpoint(qpn: u32) -> Endpoint {
    Endpoint {
        qpn: Qpn::new(qpn),
        starting_psn: Psn::new(qpn * 3),
        responder_resources: 4,
        initiator_depth: 2,
        srq: false,
    }
}

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

/// Carries everything across, both ways, until it is quiet.
fn exchange(now: Time, a: &mut Side, b: &mut Side) {
    loop {
        let (from_a, from_b) = (a.note.sent.pop_front(), b.note.sent.pop_front());
        if from_a.is_none() && from_b.is_none() {
            return;
        }
        if let Some(mad) = from_a {
            b.agent.handle(now, &b.path, &mad, &mut b.note);
        }
        if let Some(mad) = from_b {
            a.agent.handle(now, &a.path, &mad, &mut a.note);
        }
    }
}

fn pair() -> (Side, Side) {
    (Side::new(1, 2, 11), Side::new(2, 1, 99))
}

fn established(a: &mut Side, b: &mut Side) -> (ConnectionId, ConnectionId) {
    let active = a.connect(at(0));
    exchange(at(0), a, b);
    let (passive, seen) = b.take().unwrap();
    assert_eq!(seen, Seen::Request(7174));
    b.agent.accept(at(1), passive, &endpoint(0x222), b"yes", &mut b.note).unwrap();
    exchange(at(1), a, b);
    assert_eq!(a.take(), Some((active, Seen::Accepted)));
    a.agent.complete(active, &mut a.note).unwrap();
    exchange(at(2), a, b);
    assert_eq!(b.take(), Some((passive, Seen::Established)));
    (active, passive)
}

#[test]
fn a_connection_is_made_and_unmade_and_its_numbers_rest() {
    let (mut a, mut b) = pair();
    let (active, passive) = established(&mut a, &mut b);
    a.agent.disconnect(at(10), active, &mut a.note).unwrap();
    exchange(at(10), &mut a, &mut b);
    assert_eq!(b.take(), Some((passive, Seen::DisconnectRequested)));
    assert_eq!(a.take(), None);
    b.agent.disconnect(at(11), passive, &mut b.note).unwrap();
    exchange(at(11), &mut a, &mut b);
    assert_eq!(a.take(), Some((active, Seen::Disconnected(true))));
    assert_eq!(b.take(), Some((passive, Seen::Disconnected(true))));
    a.agent.close(at(12), active, &mut a.note);
    assert_eq!((a.take(), a.agent.free_count()), (None, 3));
    a.agent.poll(at(5_000), &mut a.note);
    assert_eq!((a.take(), a.agent.free_count()), (Some((active, Seen::Released)), 4));
}

/// T-40
#[test]
fn a_duplicate_req_is_answered_with_patience_while_the_consumer_thinks() {
    let (mut a, mut b) = pair();
    a.connect(at(0));
    let req = a.note.sent.pop_front().unwrap();
    for _ in 0..3 {
        b.agent.handle(at(1), &b.path, &req, &mut b.note);
    }
    assert_eq!(b.note.events.len(), 1);
    let names: Vec<_> = b.note.sent.iter().map(|mad| Message::parse(mad).unwrap().1.name()).collect();
    assert_eq!(names, ["MRA", "MRA"]);
    exchange(at(2), &mut a, &mut b);
    // Now the active side waits long.
    assert!(a.agent.deadline().unwrap() > at(10_000));
}

/// T-40
#[test]
fn a_duplicate_rep_is_answered_with_mra_before_the_consumer_completes_and_with_rtu_after() {
    let (mut a, mut b) = pair();
    let active = a.connect(at(0));
    exchange(at(0), &mut a, &mut b);
    let (passive, _) = b.take().unwrap();
    b.agent.accept(at(1), passive, &endpoint(0x222), &[], &mut b.note).unwrap();
    let rep = b.note.sent.pop_front().unwrap();
    let answer = |a: &mut Side| {
        a.agent.handle(at(2), &a.path, &rep, &mut a.note);
        a.note.sent.pop_back().map(|mad| Message::parse(&mad).unwrap().1.name())
    };
    assert_eq!(answer(&mut a), None);
    assert_eq!(answer(&mut a), Some("MRA"));
    a.agent.complete(active, &mut a.note).unwrap();
    assert_eq!(answer(&mut a), Some("RTU"));
}

#[test]
fn data_before_the_rtu_establishes_the_passive_side_once() {
    let (mut a, mut b) = pair();
    let active = a.connect(at(0));
    exchange(at(0), &mut a, &mut b);
    let (passive, _) = b.take().unwrap();
    b.agent.accept(at(1), passive, &endpoint(0x222), &[], &mut b.note).unwrap();
    b.agent.communication_established(passive, &mut b.note);
    exchange(at(1), &mut a, &mut b);
    a.agent.complete(active, &mut a.note).unwrap();
    exchange(at(2), &mut a, &mut b);
    assert_eq!(b.note.events, [(passive, Seen::Established)]);
}

/// CN-43
#[test]
fn closing_a_request_that_was_never_accepted_rejects_it() {
    let (mut a, mut b) = pair();
    let active = a.connect(at(0));
    exchange(at(0), &mut a, &mut b);
    let (passive, _) = b.take().unwrap();
    b.agent.close(at(1), passive, &mut b.note);
    exchange(at(1), &mut a, &mut b);
    assert_eq!(a.take(), Some((active, Seen::Rejected(RejReason::ConsumerReject))));
}

/// T-41
#[test]
fn crossing_disconnects_end_gracefully_on_both_sides() {
    let (mut a, mut b) = pair();
    let (active, passive) = established(&mut a, &mut b);
    a.agent.disconnect(at(10), active, &mut a.note).unwrap();
    b.agent.disconnect(at(10), passive, &mut b.note).unwrap();
    exchange(at(10), &mut a, &mut b);
    assert_eq!(a.take(), Some((active, Seen::Disconnected(true))));
    assert_eq!(b.take(), Some((passive, Seen::Disconnected(true))));
}

/// T-41
#[test]
fn a_disconnect_for_an_unknown_id_is_answered() {
    let (mut a, mut b) = pair();
    let (active, passive) = established(&mut a, &mut b);
    let mut forgetful = Side::new(2, 1, 1234);
    a.agent.disconnect(at(10), active, &mut a.note).unwrap();
    exchange(at(10), &mut a, &mut forgetful);
    assert_eq!(a.take(), Some((active, Seen::Disconnected(true))));
    let _ = passive;
}

/// T-41
#[test]
fn a_dreq_left_unanswered_by_the_consumer_is_answered_for_it() {
    let (mut a, mut b) = pair();
    let (active, passive) = established(&mut a, &mut b);
    a.agent.disconnect(at(10), active, &mut a.note).unwrap();
    exchange(at(10), &mut a, &mut b);
    assert_eq!(b.take(), Some((passive, Seen::DisconnectRequested)));
    b.agent.poll(at(2_000), &mut b.note);
    exchange(at(2_000), &mut a, &mut b);
    assert_eq!(a.take(), Some((active, Seen::Disconnected(true))));
}

/// T-41
#[test]
fn a_peer_that_starts_anew_with_the_same_queue_pair_ends_the_old_connection() {
    let (mut a, mut b) = pair();
    let (_, passive) = established(&mut a, &mut b);
    let second = a.connect(at(100));
    exchange(at(100), &mut a, &mut b);
    assert_eq!(a.take(), Some((second, Seen::Rejected(RejReason::StaleConnection))));
    assert_eq!(b.take(), Some((passive, Seen::Lost)));
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let (mut a, _) = pair();
    let active = a.connect(at(0));
    let mut sent = 0;
    while let Some(deadline) = a.agent.deadline() {
        sent += a.note.sent.len();
        a.note.sent.clear();
        a.agent.poll(deadline, &mut a.note);
        if a.note.events.contains(&(active, Seen::TimedOut)) {
            break;
        }
        assert!(deadline < at(60_000));
    }
    assert_eq!(sent, 9);
}

/// T-42
#[test]
fn an_id_is_not_used_again_soon() {
    let (mut a, _) = pair();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..100 {
        let id = a.connect(at(round * 10_000));
        assert!(seen.insert(id.0));
        a.agent.close(at(round * 10_000 + 1), id, &mut a.note);
        a.agent.poll(at(round * 10_000 + 9_000), &mut a.note);
        assert_eq!(a.agent.free_count(), 4);
    }
}

#[test]
fn garbage_is_counted_and_nothing_else() {
    let (mut a, _) = pair();
    let mut state = 1u32;
    for _ in 0..2_000 {
        let mut mad = [0; MAD_LEN];
        for byte in &mut mad {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        // Half of it looks like CM at first sight.
        if state & 1 == 0 {
            mad[..4].copy_from_slice(&[1, 7, 2, 3]);
            mad[16..18].copy_from_slice(&[0, 0x10 + (state >> 8) as u8 % 12]);
        }
        a.agent.handle(at(0), &a.path, &mad, &mut a.note);
    }
    assert!(a.agent.counters().malformed > 900);
    assert!(a.note.events.iter().all(|(_, seen)| matches!(seen, Seen::Request(_))) || a.note.events.is_empty());
}

/// Over a channel that loses, repeats and reorders, a connection is made or both sides know that it is not; and unmaking
/// it always ends.
#[test]
fn over_a_bad_channel_everything_ends() {
    for seed in 1..200u32 {
        let (mut a, mut b) = (Side::new(1, 2, seed), Side::new(2, 1, seed ^ 0x5555));
        let mut dice = seed;
        let mut roll = move |sides: u32| {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 16) % sides
        };
        let active = a.connect(at(0));
        let (mut passive, mut now, mut stood) = (None, at(0), false);
        for _ in 0..2_000 {
            for (from, to) in [(0, 1), (1, 0)] {
                let sides = [&mut a, &mut b];
                let Some(mad) = sides[from].note.sent.pop_front() else { continue };
                let [x, y] = sides;
                let (sender, receiver) = if from == 0 { (x, y) } else { (y, x) };
                let _ = to;
                match roll(10) {
                    0 | 1 => (),
                    2 => sender.note.sent.push_back(mad),
                    3 => {
                        receiver.agent.handle(now, &receiver.path, &mad, &mut receiver.note);
                        receiver.agent.handle(now, &receiver.path, &mad, &mut receiver.note);
                    }
                    _ => receiver.agent.handle(now, &receiver.path, &mad, &mut receiver.note),
                }
            }
            while let Some((id, seen)) = a.take() {
                if seen == Seen::Accepted {
                    a.agent.complete(id, &mut a.note).unwrap();
                    stood = true;
                    a.agent.disconnect(now, id, &mut a.note).unwrap();
                }
            }
            while let Some((id, seen)) = b.take() {
                match seen {
                    Seen::Request(_) => {
                        passive = Some(id);
                        b.agent.accept(now, id, &endpoint(9), &[], &mut b.note).unwrap();
                    }
                    Seen::DisconnectRequested => b.agent.disconnect(now, id, &mut b.note).unwrap(),
                    _ => (),
                }
            }
            if a.note.sent.is_empty() && b.note.sent.is_empty() {
                let next = [a.agent.deadline(), b.agent.deadline()].into_iter().flatten().min();
                let Some(next) = next else { break };
                now = now.max(next);
                a.agent.poll(now, &mut a.note);
                b.agent.poll(now, &mut b.note);
            }
        }
        a.agent.close(now, active, &mut a.note);
        if let Some(passive) = passive {
            b.agent.close(now, passive, &mut b.note);
        }
        for _ in 0..100 {
            now = now.after(Duration::from_millis(5_000));
            a.agent.poll(now, &mut a.note);
            b.agent.poll(now, &mut b.note);
            exchange(now, &mut a, &mut b);
            // Whatever else was asked of the passive side meanwhile is refused.
            while let Some((id, seen)) = b.take() {
                if matches!(seen, Seen::Request(_)) {
                    b.agent.close(now, id, &mut b.note);
                }
            }
        }
        assert_eq!((a.agent.free_count(), b.agent.free_count()), (4, 4), "seed {seed}, stood {stood}");
    }
}
