//! READs of the peer in conversations.

extern crate std;

use super::conversation::*;
use super::responder::with_receive;
use crate::qp::state::State;
use crate::turn::Pause;
use crate::wire::headers::{Ext, NakCode};
use crate::wire::opcode::Opcode::*;
use std::vec::Vec;

/// T-20: a READ takes as many PSNs as its responses; T-21: they leave in PSN order, before the ACK of what follows.
#[test]
fn a_read_is_answered_over_its_psns_before_what_follows_is_acknowledged() {
    let mut side = with_receive();
    side.memory.fill(KEY, 2000, &pattern(9, 600));
    side.hears_only(RdmaReadRequest, THEIRS, reth(BASE + 2000, KEY, 600), &[]);
    side.hears_only(SendOnly, THEIRS + 3, Ext::None, b"after");
    side.turn();
    let bytes = pattern(9, 600);
    let said = side.says_all();
    assert_eq!(said[0], reply(RdmaReadResponseFirst, THEIRS, acked(1), &bytes[..256]));
    assert_eq!(said[1], reply(RdmaReadResponseMiddle, THEIRS + 1, Ext::None, &bytes[256..512]));
    assert_eq!(said[2], reply(RdmaReadResponseLast, THEIRS + 2, acked(1), &bytes[512..]));
    assert_eq!(said[3], ack(THEIRS + 3, 2));
    assert_eq!(said.len(), 4);
}

/// T-02, T-21: without frames replies wait, and then leave in order.
#[test]
fn replies_wait_for_frames_and_stay_in_order() {
    let mut side = with_receive();
    side.egress.available = 2;
    side.hears_only(RdmaReadRequest, THEIRS, reth(BASE, KEY, 1000), &[]);
    side.hears_only(SendOnly, THEIRS + 4, Ext::None, b"after");
    assert_eq!(side.turn(), Pause::NoFrame);
    assert_eq!(side.completed.receives.len(), 1);
    side.egress.available = 1;
    assert_eq!(side.turn(), Pause::NoFrame);
    side.egress.available = usize::MAX;
    assert_eq!(side.turn(), Pause::Idle);
    let psns: Vec<_> = side.says_all().iter().map(|said| said.psn).collect();
    assert_eq!(psns, [THEIRS, THEIRS + 1, THEIRS + 2, THEIRS + 3, THEIRS + 4]);
}

/// T-10
#[test]
fn a_long_read_is_answered_within_the_budget_of_each_turn() {
    let mut side = Side::new();
    side.hears_only(RdmaReadRequest, THEIRS, reth(BASE, KEY, 2560), &[]);
    for _ in 0..3 {
        assert_eq!(side.turn_of(3), Pause::Budget);
        assert_eq!(side.says_all().len(), 3);
    }
    assert_ne!(side.turn_of(3), Pause::Budget);
    assert_eq!(side.says_all().len(), 1);
}

/// T-22
#[test]
fn a_duplicate_read_is_replayed_from_the_first_missing_byte() {
    let mut side = Side::new();
    side.memory.fill(KEY, 0, &pattern(1, 1000));
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 1000), &[]);
    side.hears(RdmaWriteOnly, THEIRS + 4, reth(BASE + 4000, KEY, 1), b"w");
    side.says_all();
    side.hears(RdmaReadRequest, THEIRS + 2, reth(BASE + 512, KEY, 488), &[]);
    let said = side.says_all();
    assert_eq!(said[0].opcode, RdmaReadResponseFirst);
    assert_eq!((said[0].psn, &said[0].payload[..]), (THEIRS + 2, &pattern(1, 1000)[512..768]));
    assert_eq!(said[1].opcode, RdmaReadResponseLast);
    assert_eq!((said[1].psn, &said[1].payload[..]), (THEIRS + 3, &pattern(1, 1000)[768..]));
    assert_eq!(said.len(), 2);
}

/// T-22: what no record matches is dropped silently; it is never fatal.
#[test]
fn a_duplicate_read_that_matches_no_record_is_dropped() {
    for ext in [reth(BASE + 1, KEY, 600), reth(BASE, KEY + 1, 600), reth(BASE, KEY, 601 + 256), reth(BASE, KEY, 601)] {
        let mut side = Side::new();
        side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 600), &[]);
        side.hears(RdmaWriteOnly, THEIRS + 3, reth(BASE, KEY, 1), b"w");
        side.says_all();
        side.hears(RdmaReadRequest, THEIRS, ext, &[]);
        side.says_nothing();
        assert_eq!(side.qp.state(), State::Rts);
    }
}

/// T-23
#[test]
fn a_late_replay_never_reads_what_was_registered_since() {
    let mut side = Side::new();
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 16), &[]);
    side.says_all();
    side.memory.region(KEY).epoch += 1;
    side.memory.fill(KEY, 0, b"a secret of now!");
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 16), &[]);
    for said in side.says_all() {
        assert!(said.payload.is_empty());
    }
    assert_eq!(side.qp.state(), State::Rts);
}

/// T-22
#[test]
fn a_read_beyond_what_was_agreed_on_is_an_invalid_request() {
    let mut side = Side::new();
    side.egress.available = 0;
    for at in 0..4 {
        side.hears_only(RdmaReadRequest, THEIRS + at, reth(BASE, KEY, 16), &[]);
    }
    side.hears_only(RdmaReadRequest, THEIRS + 4, reth(BASE, KEY, 16), &[]);
    side.egress.available = usize::MAX;
    side.turn();
    let said = side.says_all();
    assert_eq!(said.len(), 5);
    assert_eq!(said[4], nak(THEIRS + 4, NakCode::InvalidRequest, 4));
}

/// T-22: an answered READ's record gives way; the peer that kept to its depth is never refused.
#[test]
fn a_read_asked_for_again_in_part_counts_once_against_the_depth() {
    let mut side = Side::with(crate::qp::Attributes { responder_resources: 2, ..attributes() });
    side.egress.available = 1;
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 1280), &[]);
    // The peer lost what comes at +3 before we could send it, and asks from there.
    side.hears(RdmaReadRequest, THEIRS + 3, reth(BASE + 768, KEY, 512), &[]);
    side.hears(RdmaReadRequest, THEIRS + 5, reth(BASE, KEY, 16), &[]);
    side.egress.available = usize::MAX;
    side.turn();
    assert_eq!(side.qp.state(), State::Rts);
    let psns: Vec<_> = side.says_all().iter().map(|said| said.psn - THEIRS).collect();
    assert_eq!(psns, [0, 1, 2, 3, 4, 5]);
}

/// T-22: a peer that was impatient asks again, has its answer all the same, and goes on: what it needs no more is not counted
/// against it. A READ that was asked for once is.
#[test]
fn a_replay_that_the_peer_needs_no_more_gives_way_to_its_next_read() {
    let mut side = Side::with(crate::qp::Attributes { responder_resources: 1, ..attributes() });
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 1280), &[]);
    assert_eq!(side.says_all().len(), 5);
    side.egress.available = 2;
    side.hears(RdmaReadRequest, THEIRS, reth(BASE, KEY, 1280), &[]);
    assert_eq!(side.says_all().len(), 2);
    side.memory.fill(KEY, 0, &pattern(3, 16));
    side.hears_only(RdmaReadRequest, THEIRS + 5, reth(BASE, KEY, 16), &[]);
    side.egress.available = usize::MAX;
    side.turn();
    assert_eq!(side.says_all(), [reply(RdmaReadResponseOnly, THEIRS + 5, acked(2), &pattern(3, 16))]);
    assert_eq!(side.qp.state(), State::Rts);
    side.egress.available = 0;
    side.hears(RdmaReadRequest, THEIRS + 6, reth(BASE, KEY, 16), &[]);
    side.hears(RdmaReadRequest, THEIRS + 7, reth(BASE, KEY, 16), &[]);
    side.egress.available = usize::MAX;
    side.turn();
    assert_eq!(side.says_all().last(), Some(&nak(THEIRS + 7, NakCode::InvalidRequest, 3)));
}
