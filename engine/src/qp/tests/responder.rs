//! The responder in conversations.

extern crate std;

use super::conversation::*;
use super::environment::sge;
use crate::completion::{CompletionKind, CompletionStatus};
use crate::key::RKey;
use crate::memory::Access;
use crate::qp::state::State;
use crate::qp::{Attributes, Failure, QpEvent, QueuePair, Received};
use crate::time::Duration;
use crate::turn::Pause;
use crate::wire::headers::{AtomicEth, Ext, NakCode};
use crate::wire::opcode::Opcode::{self, *};
use std::vec::Vec;

const MTU_LEN: usize = MTU as usize;

/// A responder with one receive of 1 KiB posted at the start of the region.
pub(super) fn with_receive() -> Side {
    let mut side = Side::new();
    side.receives.post(1, &[sge(KEY, BASE, 1024)]);
    side
}

/// After a refused request: what the peer is told, and what our owner is told, in this order (T-28).
#[track_caller]
fn expect_refused(side: &mut Side, psn: u32, code: NakCode, msn: u32) {
    assert_eq!(side.says(), nak(psn, code, msn));
    side.says_nothing();
    assert_eq!(side.qp.state(), State::Err);
    assert_eq!(side.qp.take_event(), Some(QpEvent::Fatal(Failure::Refused(code))));
}

#[test]
fn a_send_is_placed_completed_and_acknowledged() {
    let mut side = with_receive();
    side.hears(SendOnly, THEIRS, Ext::None, b"hello");
    assert_eq!(&side.memory.bytes(KEY)[..6], b"hello\0");
    assert_eq!(side.says(), ack(THEIRS, 1));
    side.says_nothing();
    let [receive] = side.completed.receives[..] else { panic!() };
    assert_eq!((receive.wr_id, receive.byte_len, receive.status), (1, 5, CompletionStatus::Success));
    assert_eq!((receive.kind, receive.solicited), (CompletionKind::Receive, false));
}

#[test]
fn a_send_fills_the_entries_of_its_receive_in_order() {
    let mut side = Side::new();
    side.receives
        .post(1, &[sge(KEY, BASE + 100, 3), sge(KEY, BASE, 0), sge(KEY, BASE + 207, 300), sge(KEY, BASE + 4000, 9)]);
    let message = pattern(3, MTU_LEN + 52);
    side.hears(SendFirst, THEIRS, Ext::None, &message[..MTU_LEN]);
    side.hears(SendLast, THEIRS + 1, Ext::None, &message[MTU_LEN..]);
    assert_eq!(&side.memory.bytes(KEY)[100..103], &message[..3]);
    assert_eq!(&side.memory.bytes(KEY)[207..507], &message[3..303]);
    assert_eq!(&side.memory.bytes(KEY)[4000..4009], &[&message[303..308], &[0; 4]].concat());
    assert_eq!(side.completed.receives[0].byte_len, 308);
}

/// T-13: one ACK for a run.
#[test]
fn a_run_of_messages_is_acknowledged_once() {
    let mut side = with_receive();
    side.receives.post(2, &[sge(KEY, BASE + 1024, 1024)]);
    assert_eq!(side.hears_only(SendOnly, THEIRS, Ext::None, b"a"), Received::Done);
    assert_eq!(side.hears_only(SendOnly, THEIRS + 1, Ext::None, b"b"), Received::Done);
    side.turn();
    assert_eq!(side.says_all(), [ack(THEIRS + 1, 2)]);
    side.turn();
    side.says_nothing();
}

/// T-24: messages count once, whatever kind they are; duplicates do not.
#[test]
fn the_msn_counts_new_messages_and_no_duplicates() {
    let mut side = with_receive();
    side.hears(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 3), b"abc");
    assert_eq!(side.says(), ack(THEIRS, 1));
    side.hears(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 3), b"abc");
    assert_eq!(side.says(), ack(THEIRS, 1));
    side.hears(SendOnly, THEIRS + 1, Ext::None, b"");
    assert_eq!(side.says(), ack(THEIRS + 1, 2));
    side.hears(RdmaReadRequest, THEIRS + 2, reth(BASE, KEY, 3), &[]);
    assert_eq!(side.says(), reply(RdmaReadResponseOnly, THEIRS + 2, acked(3), b"abc"));
    side.hears(RdmaWriteFirst, THEIRS + 3, reth(BASE, KEY, 257), &pattern(0, MTU_LEN));
    assert_eq!(side.says(), ack(THEIRS + 3, 3));
    side.hears(RdmaWriteLast, THEIRS + 4, Ext::None, b"z");
    assert_eq!(side.says(), ack(THEIRS + 4, 4));
}

/// C9-105
#[test]
fn a_duplicate_is_acknowledged_and_not_executed_again() {
    let mut side = with_receive();
    side.receives.post(2, &[sge(KEY, BASE + 1024, 1024)]);
    side.hears(SendOnly, THEIRS, Ext::None, b"one");
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE + 16, KEY, 3), b"two");
    side.memory.fill(KEY, 0, &[0; 32]);
    side.says_all();
    side.hears(SendOnly, THEIRS, Ext::None, b"one");
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE + 16, KEY, 3), b"two");
    // A duplicate is acknowledged with the highest PSN received.
    assert_eq!(side.says_all(), [ack(THEIRS + 1, 2), ack(THEIRS + 1, 2)]);
    assert_eq!(&side.memory.bytes(KEY)[..32], &[0; 32]);
    assert_eq!((side.receives.len(), side.completed.receives.len()), (1, 1));
}

/// C9-112: one NAK a gap.
#[test]
fn a_gap_is_told_once_and_told_again_when_it_opens_anew() {
    let mut side = Side::new();
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"b");
    assert_eq!(side.says(), nak(THEIRS, NakCode::PsnSequenceError, 0));
    side.hears(RdmaWriteOnly, THEIRS + 2, reth(BASE, KEY, 1), b"c");
    side.says_nothing();
    side.hears(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 1), b"a");
    assert_eq!(side.says(), ack(THEIRS, 1));
    side.hears(RdmaWriteOnly, THEIRS + 3, reth(BASE, KEY, 1), b"d");
    assert_eq!(side.says(), nak(THEIRS + 1, NakCode::PsnSequenceError, 1));
    assert_eq!(&side.memory.bytes(KEY)[..1], b"a");
}

/// A gap that closed before a frame could be had is told as what is missing now; when nothing is, it is not told.
#[test]
fn a_gap_that_closes_within_the_run_is_told_as_what_is_missing_then() {
    let mut side = Side::new();
    side.hears_only(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"b");
    side.hears_only(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 1), b"a");
    side.turn();
    assert_eq!(side.says_all(), [nak(THEIRS + 1, NakCode::PsnSequenceError, 1)]);
    side.hears_only(RdmaWriteOnly, THEIRS + 2, reth(BASE, KEY, 1), b"c");
    side.hears_only(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"b");
    side.hears_only(RdmaWriteOnly, THEIRS + 2, reth(BASE, KEY, 1), b"c");
    side.turn();
    assert_eq!(side.says_all(), [ack(THEIRS + 2, 3)]);
}

/// Half of the PSN space lies ahead, half behind.
#[test]
fn a_psn_half_the_space_away_is_a_gap_or_a_duplicate() {
    let mut side = Side::new();
    side.hears(RdmaWriteOnly, THEIRS + 0x7f_ffff, reth(BASE, KEY, 1), b"x");
    assert_eq!(side.says(), nak(THEIRS, NakCode::PsnSequenceError, 0));
    side.hears(RdmaWriteOnly, THEIRS + 0x80_0000, reth(BASE, KEY, 1), b"x");
    assert_eq!(side.says(), ack(THEIRS - 1, 0));
    assert_eq!(side.memory.bytes(KEY)[0], 0);
}

/// T-43: FIRST and MIDDLE are exactly the path MTU; C9-92 and its kin.
#[test]
fn a_packet_of_the_wrong_size_is_an_invalid_request() {
    let cases: &[(Opcode, Ext, usize)] = &[
        (SendFirst, Ext::None, MTU_LEN - 1),
        (SendOnly, Ext::None, MTU_LEN + 1),
        (RdmaWriteFirst, reth(BASE, KEY, 600), MTU_LEN + 4),
        (RdmaWriteFirst, reth(BASE, KEY, 256), MTU_LEN),
        (RdmaWriteOnly, reth(BASE, KEY, 9), 8),
        (RdmaWriteOnly, reth(BASE, KEY, 8), 9),
        (RdmaReadRequest, reth(BASE, KEY, 8), 4),
        (RdmaReadRequest, reth(BASE, KEY, (1 << 31) + 1), 0),
        (RdmaWriteFirst, reth(BASE, KEY, (1 << 31) + 1), MTU_LEN),
    ];
    for &(opcode, ext, len) in cases {
        let mut side = with_receive();
        side.hears(opcode, THEIRS, ext, &pattern(1, len));
        expect_refused(&mut side, THEIRS, NakCode::InvalidRequest, 0);
    }
    for (first, ext, second, len) in [
        (SendFirst, Ext::None, SendMiddle, MTU_LEN - 4),
        (SendFirst, Ext::None, SendLast, 0),
        (SendFirst, Ext::None, SendLast, MTU_LEN + 4),
        (RdmaWriteFirst, reth(BASE, KEY, 512), RdmaWriteMiddle, MTU_LEN),
        (RdmaWriteFirst, reth(BASE, KEY, 512), RdmaWriteLast, 255),
        (RdmaWriteFirst, reth(BASE, KEY, 500), RdmaWriteLast, 245),
    ] {
        let mut side = with_receive();
        side.hears(first, THEIRS, ext, &pattern(1, MTU_LEN));
        side.says_all();
        side.hears(second, THEIRS + 1, Ext::None, &pattern(1, len));
        expect_refused(&mut side, THEIRS + 1, NakCode::InvalidRequest, 0);
        side.memory.check_canaries();
    }
}

/// C9-94: what continues must have begun, what begins must not interrupt.
#[test]
fn a_packet_out_of_operation_order_is_an_invalid_request() {
    let continuing = [SendMiddle, SendLast, RdmaWriteMiddle, RdmaWriteLast];
    for opcode in continuing {
        let mut side = with_receive();
        side.hears(opcode, THEIRS, Ext::None, &pattern(1, MTU_LEN));
        expect_refused(&mut side, THEIRS, NakCode::InvalidRequest, 0);
    }
    let within_send = [
        (SendFirst, Ext::None),
        (SendOnly, Ext::None),
        (RdmaWriteMiddle, Ext::None),
        (RdmaWriteLast, Ext::None),
        (RdmaWriteOnly, reth(BASE, KEY, 256)),
    ];
    let within_write = [
        (SendFirst, Ext::None),
        (SendMiddle, Ext::None),
        (SendLast, Ext::None),
        (RdmaWriteFirst, reth(BASE, KEY, 1024)),
        (RdmaWriteOnly, reth(BASE, KEY, 256)),
    ];
    let first_of_write = (RdmaWriteFirst, reth(BASE, KEY, 1024));
    for ((first, ext), seconds) in [((SendFirst, Ext::None), within_send), (first_of_write, within_write)] {
        for (second, second_ext) in seconds {
            let mut side = with_receive();
            side.hears(first, THEIRS, ext, &pattern(1, MTU_LEN));
            side.says_all();
            side.hears(second, THEIRS + 1, second_ext, &pattern(1, MTU_LEN));
            expect_refused(&mut side, THEIRS + 1, NakCode::InvalidRequest, 0);
        }
    }
}

#[test]
fn an_atomic_is_an_invalid_request() {
    let mut side = Side::new();
    let atomic = AtomicEth { va: BASE, r_key: RKey(KEY), swap_add: 1, compare: 0 };
    side.hears(FetchAdd, THEIRS, Ext::Atomic(atomic), &[]);
    expect_refused(&mut side, THEIRS, NakCode::InvalidRequest, 0);
}

/// C9-98 and its kin: key, range and right, before a byte moves.
#[test]
fn a_key_range_or_right_that_does_not_hold_is_a_remote_access_error() {
    for (opcode, ext) in [
        (RdmaWriteOnly, reth(BASE, KEY + 1, 4)),
        (RdmaWriteOnly, reth(BASE - 1, KEY, 4)),
        (RdmaWriteOnly, reth(BASE + 8189, KEY, 4)),
        (RdmaWriteOnly, reth(u64::MAX - 1, KEY, 4)),
        (RdmaWriteOnly, reth(0, 0x3000, 4)),
        (RdmaReadRequest, reth(BASE + 8189, KEY, 4)),
        (RdmaReadRequest, reth(BASE, KEY + 1, 4)),
        (RdmaReadRequest, reth(0, 0x2000, 4)),
    ] {
        let mut side = Side::new();
        side.memory.register(0x2000, 0, &[0; 64], Access::REMOTE_WRITE);
        side.memory.register(0x3000, 0, &[0; 64], Access::REMOTE_READ);
        side.hears(opcode, THEIRS, ext, if opcode == RdmaWriteOnly { b"evil" } else { b"" });
        expect_refused(&mut side, THEIRS, NakCode::RemoteAccessError, 0);
        assert!(side.memory.bytes(KEY).iter().all(|&byte| byte == 0));
        side.memory.check_canaries();
    }
}

/// A region that goes away under a WRITE takes no more bytes (T-23).
#[test]
fn a_write_whose_region_was_invalidated_midway_is_refused() {
    let mut side = Side::new();
    side.hears(RdmaWriteFirst, THEIRS, reth(BASE, KEY, 300), &pattern(1, MTU_LEN));
    side.says_all();
    side.memory.region(KEY).epoch += 1;
    side.hears(RdmaWriteLast, THEIRS + 1, Ext::None, &pattern(1, 44));
    expect_refused(&mut side, THEIRS + 1, NakCode::RemoteAccessError, 0);
    assert_eq!(side.memory.bytes(KEY)[MTU_LEN..MTU_LEN + 44], [0; 44]);
}

/// A message without bytes looks at no key.
#[test]
fn messages_without_bytes_go_through() {
    let mut side = with_receive();
    side.hears(SendOnly, THEIRS, Ext::None, &[]);
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(0, 0xdead, 0), &[]);
    side.hears(RdmaReadRequest, THEIRS + 2, reth(0, 0xdead, 0), &[]);
    let said = side.says_all();
    assert_eq!(said, [ack(THEIRS, 1), ack(THEIRS + 1, 2), reply(RdmaReadResponseOnly, THEIRS + 2, acked(3), &[])]);
    assert_eq!(side.completed.receives[0].byte_len, 0);
}

/// WR-44
#[test]
fn a_send_too_long_for_its_receive_fails_both() {
    let mut side = Side::new();
    side.receives.post(7, &[sge(KEY, BASE, 300)]);
    side.receives.post(8, &[sge(KEY, BASE + 1024, 300)]);
    side.hears(SendFirst, THEIRS, Ext::None, &pattern(1, MTU_LEN));
    side.says_all();
    side.hears(SendLast, THEIRS + 1, Ext::None, &pattern(1, 45));
    expect_refused(&mut side, THEIRS + 1, NakCode::InvalidRequest, 0);
    let ended: Vec<_> = side.completed.receives.iter().map(|receive| (receive.wr_id, receive.status)).collect();
    assert_eq!(ended, [(7, CompletionStatus::LocalLength), (8, CompletionStatus::Flushed)]);
    assert!(side.memory.bytes(KEY)[300..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_receive_into_memory_that_cannot_be_written_fails_the_sender_too() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[0; 64], Access::LOCAL_READ);
    side.receives.post(7, &[sge(0x2000, 0, 64)]);
    side.hears(SendOnly, THEIRS, Ext::None, b"x");
    expect_refused(&mut side, THEIRS, NakCode::RemoteOperationalError, 0);
    assert_eq!(side.completed.receives[0].status, CompletionStatus::LocalProtection);
}

/// T-32
#[test]
fn a_write_with_immediate_consumes_a_receive_and_completes_it_with_no_bytes() {
    let mut side = with_receive();
    side.receives.post(2, &[sge(KEY, BASE, 16)]);
    let Ext::Reth(header) = reth(BASE + 512, KEY, 4) else { panic!() };
    side.hears(RdmaWriteOnlyWithImmediate, THEIRS, Ext::RethImm(header, 9), b"data");
    side.hears(RdmaWriteFirst, THEIRS + 1, reth(BASE + 2048, KEY, 260), &pattern(5, MTU_LEN));
    assert_eq!(side.receives.len(), 1);
    side.hears(RdmaWriteLastWithImmediate, THEIRS + 2, Ext::Imm(9), b"tail");
    let ended: Vec<_> = side.completed.receives.iter().map(|r| (r.wr_id, r.byte_len, r.status)).collect();
    assert_eq!(ended, [(1, 0, CompletionStatus::Success), (2, 0, CompletionStatus::Success)]);
    assert_eq!(&side.memory.bytes(KEY)[512..516], b"data");
    assert_eq!(&side.memory.bytes(KEY)[2304..2308], b"tail");
}

/// A receive that was taken completes, whatever becomes of its message.
#[test]
fn the_receive_of_a_refused_write_with_immediate_is_flushed() {
    let mut side = with_receive();
    let Ext::Reth(header) = reth(BASE, KEY + 1, 4) else { panic!() };
    side.hears(RdmaWriteOnlyWithImmediate, THEIRS, Ext::RethImm(header, 9), b"data");
    expect_refused(&mut side, THEIRS, NakCode::RemoteAccessError, 0);
    let ended: Vec<_> = side.completed.receives.iter().map(|receive| (receive.wr_id, receive.status)).collect();
    assert_eq!(ended, [(1, CompletionStatus::Flushed)]);
}

#[test]
fn a_send_with_immediate_is_a_send() {
    let mut side = with_receive();
    side.hears(SendOnlyWithImmediate, THEIRS, Ext::Imm(1), b"data");
    assert_eq!(side.says(), ack(THEIRS, 1));
    assert_eq!(side.completed.receives[0].byte_len, 4);
}

/// T-27: placement, then revocation, then the completion.
#[test]
fn send_with_invalidate_revokes_before_it_completes() {
    let mut side = with_receive();
    side.memory.register(0x2000, 0, &[0; 64], Access::REMOTE_READ);
    side.hears(SendOnlyWithInvalidate, THEIRS, Ext::Ieth(RKey(0x2000)), b"done");
    assert_eq!(side.says(), ack(THEIRS, 1));
    assert!(!side.memory.region(0x2000).valid);
    assert_eq!(side.completed.receives[0].kind, CompletionKind::ReceiveWithInvalidate { r_key: RKey(0x2000) });
    // A duplicate is acknowledged, not redone.
    side.hears(SendOnlyWithInvalidate, THEIRS, Ext::Ieth(RKey(0x2000)), b"done");
    assert_eq!(side.says(), ack(THEIRS, 1));
    assert_eq!(side.qp.state(), State::Rts);
}

/// T-03, T-27: pins of others hold the completion back, and what follows waits in order.
#[test]
fn send_with_invalidate_waits_for_pins_without_acknowledging() {
    let mut side = with_receive();
    side.memory.register(0x2000, 0, &[0; 64], Access::REMOTE_READ);
    side.memory.draining = 2;
    assert_eq!(side.hears_only(SendOnlyWithInvalidate, THEIRS, Ext::Ieth(RKey(0x2000)), b"done"), Received::Done);
    assert_eq!(side.hears_only(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"w"), Received::Wait(Pause::Revoking));
    assert_eq!(side.turn(), Pause::Revoking);
    side.says_nothing();
    assert_eq!(side.completed.receives, []);
    assert_eq!(side.turn(), Pause::Idle);
    assert_eq!(side.says(), ack(THEIRS, 1));
    assert_eq!(side.completed.receives.len(), 1);
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"w");
    assert_eq!(side.says(), ack(THEIRS + 1, 2));
}

/// T-27: a bad key aborts the connection.
#[test]
fn send_with_invalidate_of_a_key_that_is_not_valid_is_fatal() {
    for (key, remotely) in [(0x9999, true), (0x2000, false)] {
        let mut side = with_receive();
        side.memory.register(0x2000, 0, &[0; 64], Access::REMOTE_READ);
        side.memory.region(0x2000).remotely_invalidable = remotely;
        side.hears(SendOnlyWithInvalidate, THEIRS, Ext::Ieth(RKey(key)), b"done");
        expect_refused(&mut side, THEIRS, NakCode::RemoteAccessError, 0);
        assert_ne!(side.completed.receives[0].status, CompletionStatus::Success);
    }
}

/// T-29: silence for a while, then the RNR NAK; OQ-26.
#[test]
fn a_send_without_a_receive_is_held_silently_before_the_peer_is_told() {
    let mut side = Side::new();
    let wait = Received::Wait(Pause::WantsReceive);
    assert_eq!(side.hears_only(SendOnly, THEIRS, Ext::None, b"early"), wait);
    assert_eq!(side.turn(), Pause::WantsReceive);
    // The peer's timer sends it again, and more after it.
    assert_eq!(side.hears_only(SendOnly, THEIRS, Ext::None, b"early"), wait);
    assert_eq!(side.hears_only(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"w"), wait);
    side.turn();
    side.says_nothing();
    let deadline = side.qp.deadline().expect("the end of the hold");
    side.now = deadline;
    assert_eq!(side.hears_only(SendOnly, THEIRS, Ext::None, b"early"), Received::Done);
    side.turn();
    let said = side.says();
    assert_eq!((said.psn, said.ext), (THEIRS, not_ready(20, 0)));
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY, 1), b"w");
    side.says_nothing();
    // Told once, it is told at once from then on, until a receive comes.
    side.hears(SendOnly, THEIRS, Ext::None, b"early");
    assert_eq!(side.says().ext, not_ready(20, 0));
    side.receives.post(1, &[sge(KEY, BASE, 64)]);
    side.hears(SendOnly, THEIRS, Ext::None, b"early");
    assert_eq!(side.says(), ack(THEIRS, 1));
    assert_eq!(&side.memory.bytes(KEY)[..5], b"early");
}

/// T-29: the silence ends at half of the peer's patience, and after a second at the latest.
#[test]
fn how_long_a_send_is_held_follows_the_peers_patience() {
    let ms = Duration::from_millis;
    let holds = [(ms(7 * 67), ms(7 * 67).half()), (ms(67), ms(67).half()), (ms(60_000), ms(1_000)), (ms(0), ms(200))];
    for (peer_patience, hold) in holds {
        let mut side = Side::with(Attributes { peer_patience, ..attributes() });
        let begin = side.now;
        side.hears_only(SendOnly, THEIRS, Ext::None, b"early");
        assert_eq!(side.qp.deadline(), Some(begin.after(hold)), "patience {peer_patience:?}");
        side.now = begin.after(hold);
        side.turn();
        assert_eq!(side.says().ext, not_ready(20, 0));
    }
}

/// T-29: a receive posted in time makes the hold invisible.
#[test]
fn a_held_send_goes_through_when_a_receive_is_posted() {
    let mut side = Side::new();
    side.hears_only(SendOnly, THEIRS, Ext::None, b"early");
    side.now = side.now.after(Duration::from_millis(5));
    side.receives.post(1, &[sge(KEY, BASE, 64)]);
    side.hears(SendOnly, THEIRS, Ext::None, b"early");
    assert_eq!(side.says_all(), [ack(THEIRS, 1)]);
    assert_eq!(side.qp.deadline(), None);
}

/// T-28
#[test]
fn the_nak_of_a_fatal_error_leaves_before_the_owner_is_told() {
    let mut side = Side::new();
    side.egress.available = 0;
    side.hears_only(RdmaWriteOnly, THEIRS, reth(BASE, KEY + 1, 1), b"w");
    assert_eq!(side.turn(), Pause::NoFrame);
    assert_eq!((side.qp.take_event(), side.qp.state()), (None, State::Rts));
    side.egress.available = 1;
    side.turn();
    expect_refused(&mut side, THEIRS, NakCode::RemoteAccessError, 0);
    // Later requests meet silence.
    side.hears(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 1), b"w");
    side.says_nothing();
}

/// What came before the refused request is acknowledged by its NAK.
#[test]
fn a_refusal_follows_what_was_accepted_in_the_same_run() {
    let mut side = with_receive();
    side.hears_only(SendOnly, THEIRS, Ext::None, b"fine");
    side.hears_only(RdmaWriteOnly, THEIRS + 1, reth(BASE, KEY + 1, 1), b"w");
    side.turn();
    let said = side.says_all();
    assert_eq!(said.last(), Some(&nak(THEIRS + 1, NakCode::RemoteAccessError, 1)));
    assert_eq!(side.completed.receives[0].status, CompletionStatus::Success);
}

/// The first SEND may overtake the RTU.
#[test]
fn data_before_the_rtu_is_served_and_told_once() {
    let mut side = with_receive();
    side.qp = QueuePair::try_new(limits()).unwrap();
    assert!(side.qp.connect(attributes()));
    side.hears(SendOnly, THEIRS, Ext::None, b"early");
    side.hears(RdmaWriteOnly, THEIRS + 1, reth(BASE + 512, KEY, 1), b"w");
    assert_eq!(side.says_all(), [ack(THEIRS, 1), ack(THEIRS + 1, 2)]);
    assert_eq!(side.qp.take_event(), Some(QpEvent::CommunicationEstablished));
    assert_eq!(side.qp.take_event(), None);
    side.hears(RdmaWriteOnly, THEIRS + 2, reth(BASE + 512, KEY, 1), b"w");
    assert_eq!(side.qp.take_event(), None);
    assert!(side.qp.establish());
}

#[test]
fn a_solicited_send_says_so_in_its_completion() {
    let mut side = with_receive();
    side.solicit = true;
    side.hears(SendOnly, THEIRS, Ext::None, b"x");
    assert!(side.completed.receives[0].solicited);
}

/// T-33
#[test]
fn a_congestion_notification_is_counted_and_ignored() {
    let mut side = Side::new();
    side.hears(CongestionNotification, 0, Ext::Reserved([0; 16]), &[]);
    side.says_nothing();
    assert_eq!(side.qp.congestion_marks(), 1);
}
