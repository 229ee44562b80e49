//! Selective repair in conversations (T-50, T-51), and READs whose responses are lost.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use crate::key::RKey;
use crate::qp::Received;
use crate::turn::Pause;
use crate::wire::headers::{Ext, NakCode};
use crate::wire::opcode::Opcode::*;
use crate::work::Operation;
use std::vec::Vec;

const KEEP: Received = Received::Wait(Pause::Idle);

/// The PSN of our packet `index`.
const fn ours(index: u32) -> u32 {
    (OURS + index) % 0x100_0000
}

fn selective() -> Side {
    let mut side = Side::new();
    side.qp.repair_selectively();
    side
}

impl Side {
    fn writes(&mut self, index: u32) -> Received {
        self.hears_only(RdmaWriteOnly, THEIRS + index, reth(BASE + u64::from(index), KEY, 1), &[index as u8 + 1])
    }

    fn post_sends(&mut self, count: u64) {
        for wr_id in 0..count {
            self.sends.post(request(wr_id, Operation::Send), &[sge(KEY, BASE, 4)]);
        }
    }

    fn post_read(&mut self, wr_id: u64, len: u32) {
        let operation = Operation::RdmaRead { va: 0x6000, r_key: RKey(0x88), invalidate: false };
        self.sends.post(request(wr_id, operation), &[sge(KEY, BASE + 4096, len)]);
    }

    fn indices(&mut self) -> Vec<u32> {
        self.says_all().iter().map(|said| said.psn.wrapping_sub(OURS) % 0x100_0000).collect()
    }

    fn done(&self) -> Vec<u64> {
        self.completed.sends.iter().map(|send| send.wr_id).collect()
    }
}

/// T-50: with any other peer nothing is kept.
#[test]
fn out_of_order_requests_are_kept_for_a_peer_of_ours_only() {
    let mut side = Side::new();
    assert_eq!(side.writes(1), Received::Done);
    let mut side = selective();
    assert_eq!(side.writes(1), KEEP);
    assert_eq!(side.writes(2), KEEP);
    side.turn();
    assert_eq!(side.says_all(), [nak(THEIRS, NakCode::PsnSequenceError, 0)]);
    assert_eq!(side.memory.bytes(KEY)[..3], [0; 3]);
}

/// T-51: what was kept is drained before the ACK, in order.
#[test]
fn a_filled_hole_is_acknowledged_with_all_that_was_kept_beyond() {
    let mut side = selective();
    assert_eq!((side.writes(1), side.writes(2)), (KEEP, KEEP));
    side.turn();
    side.says_all();
    assert_eq!(side.writes(0), Received::Done);
    assert_eq!((side.writes(1), side.writes(2)), (Received::Done, Received::Done));
    side.turn();
    assert_eq!(side.says_all(), [ack(THEIRS + 2, 3)]);
    assert_eq!(side.memory.bytes(KEY)[..3], [1, 2, 3]);
}

/// T-51: the next hole is told at once, and that acknowledges everything before it.
#[test]
fn the_next_hole_is_told_as_soon_as_the_first_is_filled() {
    let mut side = selective();
    assert_eq!((side.writes(1), side.writes(3)), (KEEP, KEEP));
    side.turn();
    side.says_all();
    assert_eq!((side.writes(1), side.writes(3), side.writes(0)), (KEEP, KEEP, Received::Done));
    assert_eq!((side.writes(1), side.writes(3)), (Received::Done, KEEP));
    side.turn();
    assert_eq!(side.says_all(), [nak(THEIRS + 2, NakCode::PsnSequenceError, 2)]);
}

/// T-05: what is too far away to belong to a window of ours is not kept.
#[test]
fn a_packet_far_beyond_the_gap_is_dropped() {
    let mut side = selective();
    assert_eq!(side.writes(200_000), Received::Done);
    assert_eq!(side.qp.responder_counters().out_of_sequence, 1);
}

/// T-50
#[test]
fn only_the_missing_packet_is_sent_again() {
    let mut side = selective();
    side.post_sends(6);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(2), refused(NakCode::PsnSequenceError, 2), &[]);
    let again = side.says();
    assert_eq!((again.psn, again.ack_req), (ours(2), true));
    side.says_nothing();
    assert_eq!(side.done(), [0, 1]);
    side.hears(Acknowledge, ours(4), refused(NakCode::PsnSequenceError, 4), &[]);
    assert_eq!(side.indices(), [4]);
    side.hears(Acknowledge, ours(5), acked(6), &[]);
    assert_eq!(side.done(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(side.qp.deadline(), None);
}

/// New requests flow while a hole is repaired.
#[test]
fn a_repair_does_not_hold_up_new_requests() {
    let mut side = selective();
    side.post_sends(3);
    side.turn();
    side.says_all();
    side.post_sends(2);
    side.hears(Acknowledge, ours(1), refused(NakCode::PsnSequenceError, 1), &[]);
    assert_eq!(side.indices(), [1, 3, 4]);
}

/// T-51: a lost retransmission gives no second NAK; the timer probes with one packet.
#[test]
fn a_lost_retransmission_is_probed_for_with_one_packet() {
    let mut side = selective();
    side.post_sends(4);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(1), refused(NakCode::PsnSequenceError, 1), &[]);
    side.hears(Acknowledge, ours(1), refused(NakCode::PsnSequenceError, 1), &[]);
    assert_eq!(side.indices(), [1]);
    side.wait_for_deadline();
    assert_eq!(side.indices(), [1]);
    side.hears(Acknowledge, ours(3), acked(4), &[]);
    side.says_nothing();
    assert_eq!(side.done(), [0, 1, 2, 3]);
}

/// T-51: an ACK in answer to a probe tells that the peer keeps nothing: the rest is sent again, without more time-outs.
#[test]
fn a_lost_tail_is_sent_again_after_one_probe() {
    let mut side = selective();
    side.post_sends(5);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(1), acked(2), &[]);
    side.wait_for_deadline();
    assert_eq!(side.indices(), [2]);
    side.hears(Acknowledge, ours(2), acked(3), &[]);
    assert_eq!(side.indices(), [3, 4]);
}

/// T-51: a NAK in answer to a probe names the next hole only.
#[test]
fn a_probe_answered_with_the_next_hole_goes_on_with_that() {
    let mut side = selective();
    side.post_sends(5);
    side.turn();
    side.says_all();
    side.wait_for_deadline();
    assert_eq!(side.indices(), [0]);
    side.hears(Acknowledge, ours(2), refused(NakCode::PsnSequenceError, 2), &[]);
    assert_eq!(side.indices(), [2]);
    side.hears(Acknowledge, ours(3), acked(4), &[]);
    // What was sent before the probe and is still unacknowledged is not kept there.
    assert_eq!(side.indices(), [4]);
}

/// T-50: with every peer, requests known to have arrived are not sent again because a READ's responses were lost.
#[test]
fn of_lost_read_responses_only_the_missing_range_is_asked_for_again() {
    let mut side = Side::new();
    side.post_read(1, 768);
    side.sends.post(request(2, Operation::Send), &[sge(KEY, BASE, 4)]);
    side.sends.post(request(3, Operation::Send), &[sge(KEY, BASE, 4)]);
    side.turn();
    side.says_all();
    side.hears(RdmaReadResponseFirst, ours(0), acked(1), &pattern(0, 256));
    side.hears(Acknowledge, ours(4), acked(3), &[]);
    let again = side.says();
    assert_eq!((again.psn, again.ext), (ours(1), reth(0x6100, 0x88, 512)));
    side.says_nothing();
    side.hears(RdmaReadResponseFirst, ours(1), acked(3), &pattern(0, 256));
    side.hears(RdmaReadResponseLast, ours(2), acked(3), &pattern(0, 256));
    // The ACK that came too early counts now.
    assert_eq!(side.done(), [1, 2, 3]);
    assert_eq!(side.qp.deadline(), None);
    side.says_nothing();
}

/// A READ that is missing is asked for again in one packet, and counts once against the depth.
#[test]
fn a_missing_read_request_is_repaired_alone() {
    let mut side = selective();
    side.post_sends(1);
    side.post_read(1, 600);
    side.sends.post(request(2, Operation::Send), &[sge(KEY, BASE, 4)]);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(1), refused(NakCode::PsnSequenceError, 1), &[]);
    let again = side.says();
    assert_eq!((again.opcode, again.psn, again.ext), (RdmaReadRequest, ours(1), reth(0x6000, 0x88, 600)));
    side.says_nothing();
    for (index, opcode) in [(1, RdmaReadResponseFirst), (2, RdmaReadResponseMiddle), (3, RdmaReadResponseLast)] {
        let ext = if index == 2 { Ext::None } else { acked(2) };
        side.hears(opcode, ours(index), ext, &pattern(0, if index == 3 { 88 } else { 256 }));
    }
    side.hears(Acknowledge, ours(4), acked(3), &[]);
    assert_eq!(side.done(), [0, 1, 2]);
}
