//! Time-outs and receivers that are not ready, in conversations.

extern crate std;

use super::conversation::*;
use super::requester::*;
use crate::completion::CompletionStatus;
use crate::qp::Attributes;
use crate::qp::state::State;
use crate::time::Duration;
use crate::wire::headers::NakCode;
use crate::wire::opcode::Opcode::*;
use std::vec::Vec;

/// T-30: the timer sends everything again, twice as late each time.
#[test]
fn a_lost_tail_is_sent_again_with_exponential_back_off() {
    let mut side = Side::with(Attributes { ack_timeout: Duration::from_millis(500), ..attributes() });
    side.send(1, 4);
    side.turn();
    side.says_all();
    let mut spans = Vec::new();
    for _ in 0..4 {
        let before = side.now;
        side.wait_for_deadline();
        assert_eq!(side.sent(), [0]);
        spans.push(side.now.since(before).as_nanos());
    }
    for pair in spans.windows(2) {
        assert_eq!(pair[1], 2 * pair[0]);
    }
    side.hears_ack(0);
    assert_eq!((side.ended(), side.qp.deadline()), (std::vec![(1, OK)], None));
}

/// T-30: repair of a lost tail takes a few smoothed round trips, not the 67 ms of the ACK time-out.
#[test]
fn the_time_out_adapts_to_the_round_trip() {
    let mut side = Side::new();
    for index in 0..20 {
        side.send(1, 4);
        side.turn();
        side.now = side.now.after(Duration::from_micros(500));
        side.hears_ack(index);
    }
    side.send(2, 4);
    side.turn();
    let wait = side.qp.deadline().unwrap().since(side.now);
    assert!(wait >= Duration::from_micros(1_900) && wait <= Duration::from_micros(2_100), "{wait:?}");
}

/// T-30: late in the back-off a single further loss must not use up the promised time.
#[test]
fn a_time_out_is_never_longer_than_what_was_agreed() {
    let mut side = Side::new();
    side.send(1, 4);
    side.turn();
    for _ in 0..8 {
        side.wait_for_deadline();
        assert!(side.qp.deadline().is_none_or(|at| at.since(side.now) <= Duration::from_millis(67)));
    }
}

/// T-29, T-30: who says "not ready" is alive.
#[test]
fn an_rnr_nak_ends_the_count_of_time_outs() {
    let mut side = Side::with(Attributes { retry_count: 2, ..attributes() });
    side.send(1, 4);
    side.turn();
    for _ in 0..10 {
        side.wait_for_deadline();
        side.wait_for_deadline();
        side.hears(Acknowledge, ours(0), not_ready(1, 0), &[]);
        side.wait(Duration::from_micros(10));
    }
    assert_eq!(side.qp.state(), State::Rts);
}

/// T-30: retry count *and* retry count x ACK time-out.
#[test]
fn a_silent_peer_is_given_up_only_after_the_promised_time() {
    let mut side = Side::with(Attributes { retry_count: 3, ack_timeout: Duration::from_millis(500), ..attributes() });
    side.send(1, 4);
    side.send(2, 4);
    side.turn();
    let start = side.now;
    let mut sent = 0;
    while side.qp.state() == State::Rts {
        sent += side.says_all().len();
        side.wait_for_deadline();
    }
    assert!(sent > 2 * 3);
    assert!(side.now.since(start) > Duration::from_millis(1_500));
    assert_eq!(side.ended(), [(1, CompletionStatus::TransportRetryExceeded), (2, CompletionStatus::Flushed)]);
}

/// T-29: the peer's wish to wait is respected to the nanosecond.
#[test]
fn an_rnr_nak_is_waited_out() {
    let mut side = Side::new();
    side.send(1, 4);
    side.send(2, 4);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(1), not_ready(12, 1), &[]);
    assert_eq!(side.ended(), [(1, OK)]);
    side.says_nothing();
    assert_eq!(side.qp.deadline(), Some(side.now.after(Duration::from_micros(640))));
    side.wait(Duration::from_nanos(639_999));
    side.says_nothing();
    side.wait(Duration::from_nanos(1));
    assert_eq!(side.sent(), [1]);
    side.hears_ack(1);
    assert_eq!(side.ended(), [(1, OK), (2, OK)]);
}

/// roce-interop, quirk 1.
#[test]
fn a_sequence_nak_after_an_rnr_nak_does_not_end_the_wait() {
    let mut side = Side::new();
    side.send(1, 4);
    side.send(2, 4);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(0), not_ready(12, 0), &[]);
    side.hears_nak(0, NakCode::PsnSequenceError);
    side.says_nothing();
    side.wait(Duration::from_micros(640));
    assert_eq!(side.sent(), [0, 1]);
}

/// T-30: what is sent after the wait may be lost, too.
#[test]
fn a_packet_lost_after_an_rnr_wait_is_sent_again() {
    let mut side = Side::new();
    side.send(1, 4);
    side.turn();
    side.says_all();
    side.hears(Acknowledge, ours(0), not_ready(12, 0), &[]);
    side.wait(Duration::from_micros(640));
    assert_eq!(side.sent(), [0]);
    side.wait_for_deadline();
    assert_eq!(side.sent(), [0]);
}

/// T-29
#[test]
fn an_rnr_retry_count_of_zero_makes_the_first_rnr_nak_fatal() {
    let mut side = Side::with(Attributes { rnr_retry: 0, ..attributes() });
    side.send(1, 4);
    side.turn();
    side.hears(Acknowledge, ours(0), not_ready(12, 0), &[]);
    assert_eq!(side.ended(), [(1, CompletionStatus::RnrRetryExceeded)]);
}
