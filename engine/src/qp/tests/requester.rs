//! The requester and its completer in conversations.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use crate::completion::CompletionStatus;
use crate::key::{LKey, RKey};
use crate::memory::{Access, Bind, FastRegister};
use crate::qp::state::State;
use crate::qp::{Attributes, Failure, QpEvent};
use crate::time::Duration;
use crate::turn::Pause;
use crate::wire::headers::{Ext, NakCode, Reth};
use crate::wire::opcode::Opcode::{self, *};
use crate::work::{Operation, Wqe};
use std::vec::Vec;

const MTU_LEN: usize = MTU as usize;
/// Beyond it lie the PSNs after the wrap.
const WRAP: u32 = 0x100_0000;

/// The PSN of our packet `index`.
const fn ours(index: u32) -> u32 {
    (OURS + index) % WRAP
}

fn write(wr_id: u64) -> Wqe {
    request(wr_id, Operation::RdmaWrite { va: 0x5000, r_key: RKey(0x77) })
}

fn read(wr_id: u64) -> Wqe {
    request(wr_id, Operation::RdmaRead { va: 0x6000, r_key: RKey(0x88), invalidate: false })
}

impl Side {
    /// Posts a SEND of `len` bytes.
    fn send(&mut self, wr_id: u64, len: u32) {
        self.sends.post(request(wr_id, Operation::Send), &[sge(KEY, BASE, len)]);
    }

    /// Posts a READ of `len` bytes into the region at 4096.
    fn read(&mut self, wr_id: u64, len: u32) {
        self.sends.post(read(wr_id), &[sge(KEY, BASE + 4096, len)]);
    }

    fn hears_ack(&mut self, index: u32) {
        self.hears(Acknowledge, ours(index), acked(0), &[]);
    }

    fn hears_nak(&mut self, index: u32, code: NakCode) {
        self.hears(Acknowledge, ours(index), refused(code, 0), &[]);
    }

    /// Which requests completed, and how.
    fn ended(&self) -> Vec<(u64, CompletionStatus)> {
        self.completed.sends.iter().map(|send| (send.wr_id, send.status)).collect()
    }

    /// Which of our packets left, by index.
    fn sent(&mut self) -> Vec<u32> {
        self.says_all().iter().map(|said| said.psn.wrapping_sub(OURS) % WRAP).collect()
    }
}

const OK: CompletionStatus = CompletionStatus::Success;

#[test]
fn a_send_leaves_once_and_completes_when_it_is_acknowledged() {
    let mut side = Side::new();
    side.memory.fill(KEY, 0, b"hello");
    side.send(1, 5);
    assert_eq!(side.turn(), Pause::Idle);
    let said = side.says();
    assert_eq!((said.opcode, said.psn, said.ack_req), (SendOnly, OURS, true));
    assert_eq!(said.payload, b"hello");
    side.turn();
    side.says_nothing();
    assert_eq!(side.ended(), []);
    side.hears_ack(0);
    assert_eq!(side.ended(), [(1, OK)]);
    assert_eq!((side.sends.outstanding(), side.qp.deadline()), (0, None));
}

#[test]
fn a_message_is_cut_at_the_mtu_and_gathered_from_all_entries() {
    let mut side = Side::new();
    side.memory.fill(KEY, 0, &pattern(7, 1000));
    let entries = [sge(KEY, BASE, 100), sge(KEY, BASE, 0), sge(KEY, BASE + 500, 400), sge(KEY, BASE + 10, 13)];
    side.sends.post(Wqe { solicited: true, ..write(1) }, &entries);
    side.turn();
    let said = side.says_all();
    let opcodes: Vec<_> = said.iter().map(|said| said.opcode).collect();
    assert_eq!(opcodes, [RdmaWriteFirst, RdmaWriteMiddle, RdmaWriteLast]);
    let all = pattern(7, 1000);
    let whole = [&all[..100], &all[500..900], &all[10..23]].concat();
    assert_eq!(said.iter().flat_map(|said| said.payload.clone()).collect::<Vec<_>>(), whole);
    assert_eq!(said[0].ext, reth(0x5000, 0x77, 513));
}

/// T-25
#[test]
fn an_acknowledgement_is_asked_for_at_the_end_of_a_message() {
    let mut side = Side::new();
    side.send(1, 600);
    side.turn();
    let asked: Vec<_> = side.says_all().iter().map(|said| said.ack_req).collect();
    assert_eq!(asked, [false, false, true]);
}

/// T-25: and at half the window, at the end of a turn's budget, and where a retransmission ends.
#[test]
fn an_acknowledgement_is_asked_for_where_sending_stops() {
    let mut side = Side::new();
    side.sends.post(write(1), &[sge(KEY, BASE, 8192), sge(KEY, BASE, 8192), sge(KEY, BASE, 8192)]);
    side.turn_of(10);
    assert!(side.says_all().last().unwrap().ack_req);
    side.turn();
    let said = side.says_all();
    let window = 10 + said.len() as u32;
    assert!(window < 96, "the window ends before the message");
    assert!(said.last().unwrap().ack_req);
    assert!(said.iter().any(|said| said.psn == ours(window / 2 - 1) && said.ack_req));
    side.wait_for_deadline();
    assert!(side.says_all().last().unwrap().ack_req);
}

#[test]
fn inline_data_leaves_without_any_region() {
    let mut side = Side::new();
    side.sends.post_inline(request(1, Operation::Send), &pattern(3, 300));
    side.turn();
    assert_eq!(side.says().payload, pattern(3, 300)[..MTU_LEN]);
    assert_eq!(side.says().payload, pattern(3, 300)[MTU_LEN..]);
}

#[test]
fn send_with_invalidate_shows_the_key_on_its_last_packet() {
    let mut side = Side::new();
    side.sends.post(request(1, Operation::SendWithInvalidate { r_key: RKey(9) }), &[sge(KEY, BASE, 300)]);
    side.sends.post(request(2, Operation::SendWithInvalidate { r_key: RKey(8) }), &[]);
    side.turn();
    let headers: Vec<_> = side.says_all().iter().map(|said| (said.opcode, said.ext)).collect();
    assert_eq!(
        headers,
        [
            (SendFirst, Ext::None),
            (SendLastWithInvalidate, Ext::Ieth(RKey(9))),
            (SendOnlyWithInvalidate, Ext::Ieth(RKey(8)))
        ]
    );
}

/// WR-14: silent success stays silent, its slot is given back.
#[test]
fn an_unsignaled_request_completes_without_an_entry_and_gives_its_slot_back() {
    let mut side = Side::new();
    side.sends.post(Wqe { signaled: false, ..write(1) }, &[sge(KEY, BASE, 4)]);
    side.send(2, 4);
    side.turn();
    side.hears_ack(0);
    assert_eq!((side.ended(), side.sends.outstanding()), (std::vec![], 1));
    side.hears_ack(1);
    assert_eq!(side.ended(), [(2, OK)]);
}

/// T-02: the requester changes nothing without a frame.
#[test]
fn without_a_frame_nothing_changes() {
    let mut side = Side::new();
    side.egress.available = 1;
    side.send(1, 300);
    assert_eq!(side.turn(), Pause::NoFrame);
    assert_eq!(side.sent(), [0]);
    assert_eq!(side.turn(), Pause::NoFrame);
    side.egress.available = 9;
    assert_eq!(side.turn(), Pause::Idle);
    assert_eq!(side.sent(), [1]);
}

/// T-10
#[test]
fn a_turn_sends_no_more_than_its_budget() {
    let mut side = Side::new();
    side.send(1, 1000);
    assert_eq!(side.turn_of(3), Pause::Budget);
    assert_eq!(side.sent(), [0, 1, 2]);
    side.turn_of(3);
    assert_eq!(side.sent(), [3]);
}

/// T-21: an ACK acknowledges everything before it.
#[test]
fn one_acknowledgement_completes_all_before_it_in_order() {
    let mut side = Side::new();
    for wr_id in 0..5 {
        side.send(wr_id, 300);
    }
    side.turn();
    side.hears_ack(6);
    assert_eq!(side.ended(), [(0, OK), (1, OK), (2, OK)]);
    side.hears_ack(9);
    assert_eq!(side.ended().len(), 5);
}

#[test]
fn responses_to_what_was_never_sent_or_is_long_done_are_ignored() {
    let mut side = Side::new();
    side.send(1, 4);
    side.turn();
    side.says_all();
    for index in [1, 2, 0x40_0000, WRAP - 2, WRAP - 0x40_0000] {
        side.hears_ack(index);
        side.hears_nak(index, NakCode::RemoteAccessError);
        side.hears(RdmaReadResponseOnly, ours(index), acked(0), b"ghost");
    }
    side.says_nothing();
    assert_eq!((side.ended(), side.qp.state()), (std::vec![], State::Rts));
    side.hears_ack(0);
    assert_eq!(side.ended(), [(1, OK)]);
}

/// NAK(m) acknowledges up to m-1, and everything from m on is sent again.
#[test]
fn a_nak_of_a_gap_goes_back_to_the_missing_packet() {
    let mut side = Side::new();
    side.send(1, 4);
    side.send(2, 600);
    side.turn();
    side.says_all();
    side.hears_nak(2, NakCode::PsnSequenceError);
    assert_eq!(side.ended(), [(1, OK)]);
    let said = side.says_all();
    assert_eq!(
        said.iter().map(|said| (said.opcode, said.psn)).collect::<Vec<_>>(),
        [(SendMiddle, ours(2)), (SendLast, ours(3))]
    );
    assert!(said[1].ack_req);
    assert_eq!(side.qp.requester_counters().retransmissions, 2);
    side.hears_ack(3);
    assert_eq!(side.ended(), [(1, OK), (2, OK)]);
}

/// roce-interop, quirk 3: told of the same gap again without progress, the timer decides.
#[test]
fn a_second_nak_without_progress_is_left_to_the_timer() {
    let mut side = Side::new();
    side.send(1, 600);
    side.turn();
    side.says_all();
    side.hears_nak(1, NakCode::PsnSequenceError);
    assert_eq!(side.sent(), [1, 2]);
    side.hears_nak(1, NakCode::PsnSequenceError);
    side.says_nothing();
    side.wait_for_deadline();
    assert_eq!(side.sent(), [1, 2]);
}

/// C9-150 and its kin; what came before the refused request was carried out and says so.
#[test]
fn a_refusal_fails_its_request_and_flushes_what_follows() {
    for (code, status) in [
        (NakCode::InvalidRequest, CompletionStatus::RemoteInvalidRequest),
        (NakCode::RemoteAccessError, CompletionStatus::RemoteAccess),
        (NakCode::RemoteOperationalError, CompletionStatus::RemoteOperation),
    ] {
        let mut side = Side::new();
        side.sends.post(Wqe { signaled: false, ..write(1) }, &[sge(KEY, BASE, 4)]);
        side.send(2, 4);
        side.sends.post(Wqe { signaled: false, ..write(3) }, &[sge(KEY, BASE, 600)]);
        side.send(4, 4);
        side.turn();
        side.says_all();
        side.hears_nak(3, code);
        assert_eq!(side.ended(), [(2, OK), (3, status), (4, CompletionStatus::Flushed)]);
        assert_eq!((side.qp.state(), side.sends.outstanding()), (State::Err, 0));
        assert_eq!(side.qp.take_event(), Some(QpEvent::Fatal(Failure::Request { position: 2, status })));
        side.says_nothing();
    }
}

#[test]
fn memory_that_may_not_be_read_fails_its_request_after_those_before_it() {
    let mut side = Side::new();
    side.send(1, 4);
    side.sends.post(request(2, Operation::Send), &[sge(KEY, BASE + 8190, 4)]);
    side.send(3, 4);
    side.turn();
    assert_eq!(side.sent(), [0]);
    assert_eq!(side.ended(), []);
    side.hears_ack(0);
    assert_eq!(side.ended(), [(1, OK), (2, CompletionStatus::LocalProtection), (3, CompletionStatus::Flushed)]);
}

/// The request before may have to be sent again before it is acknowledged.
#[test]
fn a_failing_request_waits_until_what_is_before_it_was_sent_again() {
    let mut side = Side::new();
    side.send(1, 4);
    side.sends.post(request(2, Operation::Send), &[sge(KEY + 1, BASE, 4)]);
    side.turn();
    side.says_all();
    side.wait_for_deadline();
    assert_eq!(side.sent(), [0]);
    side.hears_ack(0);
    assert_eq!(side.ended(), [(1, OK), (2, CompletionStatus::LocalProtection)]);
}

/// T-20: what would wrap the PSN space is refused here, not truncated on the way.
#[test]
fn a_message_longer_than_the_standard_allows_fails_without_a_packet() {
    let mut side = Side::new();
    side.sends.post(write(1), &[sge(KEY, BASE, 1 << 31), sge(KEY, BASE, 1)]);
    side.turn();
    side.says_nothing();
    assert_eq!(side.ended(), [(1, CompletionStatus::LocalLength)]);
}

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

/// T-20: a READ occupies the PSNs of its responses.
#[test]
fn a_read_asks_once_and_the_next_request_follows_its_psns() {
    let mut side = Side::new();
    side.read(1, 600);
    side.send(2, 4);
    side.turn();
    let said = side.says_all();
    assert_eq!((said[0].opcode, said[0].psn, said[0].ext), (RdmaReadRequest, ours(0), reth(0x6000, 0x88, 600)));
    assert_eq!((said[1].opcode, said[1].psn), (SendOnly, ours(3)));
    let bytes = pattern(4, 600);
    side.hears(RdmaReadResponseFirst, ours(0), acked(1), &bytes[..256]);
    side.hears(RdmaReadResponseMiddle, ours(1), Ext::None, &bytes[256..512]);
    assert_eq!(side.ended(), []);
    side.hears(RdmaReadResponseLast, ours(2), acked(1), &bytes[512..]);
    assert_eq!(side.ended(), [(1, OK)]);
    assert_eq!(&side.memory.bytes(KEY)[4096..4696], &bytes);
    side.hears_ack(3);
    assert_eq!(side.ended(), [(1, OK), (2, OK)]);
}

#[test]
fn a_read_response_is_scattered_over_all_entries() {
    let mut side = Side::new();
    side.sends.post(read(1), &[sge(KEY, BASE + 4096, 250), sge(KEY, BASE, 10), sge(KEY, BASE + 20, 100)]);
    side.turn();
    let bytes = pattern(4, 360);
    side.hears(RdmaReadResponseFirst, ours(0), acked(1), &bytes[..256]);
    side.hears(RdmaReadResponseLast, ours(1), acked(1), &bytes[256..]);
    assert_eq!(side.ended(), [(1, OK)]);
    let region = side.memory.bytes(KEY);
    assert_eq!([&region[4096..4346], &region[..10], &region[20..120]].concat(), bytes);
    assert!(region[120..4096].iter().all(|&byte| byte == 0));
}

/// T-21: a READ response acknowledges everything before its READ.
#[test]
fn a_read_response_acknowledges_what_came_before() {
    let mut side = Side::new();
    side.send(1, 4);
    side.read(2, 4);
    side.turn();
    side.hears(RdmaReadResponseOnly, ours(1), acked(2), b"data");
    assert_eq!(side.ended(), [(1, OK), (2, OK)]);
}

/// T-21: an ACK of what follows a READ whose responses did not come tells that they are lost.
#[test]
fn a_later_acknowledgement_is_an_implied_nak_of_a_read() {
    let mut side = Side::new();
    side.send(1, 4);
    side.read(2, 600);
    side.send(3, 4);
    side.turn();
    side.says_all();
    side.hears(RdmaReadResponseFirst, ours(1), acked(2), &pattern(0, 256));
    side.hears_ack(4);
    assert_eq!(side.ended(), [(1, OK)]);
    let said = side.says_all();
    assert_eq!((said[0].opcode, said[0].psn, said[0].ext), (RdmaReadRequest, ours(2), reth(0x6100, 0x88, 344)));
}

/// roce-interop, quirk 2; T-21.
#[test]
fn a_resumed_read_is_accepted_by_psn_whatever_it_is_called() {
    for (second, third) in
        [(RdmaReadResponseMiddle, RdmaReadResponseLast), (RdmaReadResponseFirst, RdmaReadResponseLast)]
    {
        let mut side = Side::new();
        side.read(1, 600);
        side.turn();
        let bytes = pattern(4, 600);
        side.hears(RdmaReadResponseFirst, ours(0), acked(1), &bytes[..256]);
        side.says_all();
        side.wait_for_deadline();
        let again = side.says();
        assert_eq!((again.psn, again.ext), (ours(1), reth(0x6100, 0x88, 344)));
        let ext = if second == RdmaReadResponseFirst { acked(1) } else { Ext::None };
        side.hears(second, ours(1), ext, &bytes[256..512]);
        side.hears(third, ours(2), acked(1), &bytes[512..]);
        assert_eq!(side.ended(), [(1, OK)]);
        assert_eq!(&side.memory.bytes(KEY)[4096..4696], &bytes);
    }
}

/// T-30
#[test]
fn each_response_of_a_read_restarts_its_timer() {
    let mut side = Side::new();
    side.read(1, 600);
    side.turn();
    side.says_all();
    for (index, opcode) in [(0, RdmaReadResponseFirst), (1, RdmaReadResponseMiddle)] {
        let before = side.qp.deadline().unwrap();
        side.now = side.now.after(Duration::from_micros(100));
        let ext = if index == 0 { acked(1) } else { Ext::None };
        side.hears(opcode, ours(index), ext, &pattern(0, 256));
        assert!(side.qp.deadline().unwrap().since(side.now) > Duration::ZERO);
        assert_ne!(side.qp.deadline().unwrap(), before);
    }
    side.says_nothing();
}

#[test]
fn a_read_response_of_the_wrong_length_is_a_bad_response() {
    let mut side = Side::new();
    side.send(1, 4);
    side.read(2, 600);
    side.turn();
    side.hears(RdmaReadResponseFirst, ours(1), acked(1), &pattern(0, 252));
    assert_eq!(side.ended(), [(1, OK), (2, CompletionStatus::BadResponse)]);
    assert!(side.memory.bytes(KEY).iter().all(|&byte| byte == 0));
}

#[test]
fn a_read_into_memory_that_cannot_be_written_fails() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[0; 64], Access::LOCAL_READ);
    side.send(1, 4);
    side.sends.post(read(2), &[sge(0x2000, 0, 4)]);
    side.turn();
    side.hears(RdmaReadResponseOnly, ours(1), acked(1), b"data");
    assert_eq!(side.ended(), [(1, OK), (2, CompletionStatus::LocalProtection)]);
}

/// WR-30: never more READs outstanding than agreed on.
#[test]
fn reads_beyond_the_depth_wait_for_earlier_ones() {
    let mut side = Side::with(Attributes { initiator_depth: 2, ..attributes() });
    for wr_id in 0..4 {
        side.read(wr_id, 4);
    }
    side.turn();
    assert_eq!(side.sent(), [0, 1]);
    side.hears(RdmaReadResponseOnly, ours(0), acked(1), b"data");
    assert_eq!(side.sent(), [2]);
    side.hears(RdmaReadResponseOnly, ours(1), acked(2), b"data");
    assert_eq!(side.sent(), [3]);
}

/// T-20: a long READ is asked for in pieces within the depth.
#[test]
fn a_long_read_is_split_into_bounded_pieces() {
    let mut side = Side::with(Attributes { initiator_depth: 2, ..attributes() });
    let entries: Vec<_> = (0..16).map(|_| sge(KEY, BASE, 8192)).collect();
    side.sends.post(read(1), &[&entries[..], &entries[..8]].concat());
    side.turn();
    let (mut asked, mut answered, mut pieces) = (0, 0, 0);
    while answered < 24 * 32 {
        for said in side.says_all() {
            let Ext::Reth(Reth { va, dma_len, .. }) = said.ext else { panic!() };
            assert_eq!((said.psn, va), (ours(asked / 256), 0x6000 + u64::from(asked)));
            asked += dma_len;
            pieces += 1;
        }
        assert!(asked > answered * 256 && asked - answered * 256 <= 2 * 256 * 256);
        side.hears(RdmaReadResponseMiddle, ours(answered), Ext::None, &pattern(0, 256));
        answered += 1;
    }
    assert_eq!((asked, pieces), (24 * 8192, 3));
    assert_eq!(side.ended(), [(1, OK)]);
}

/// A fence holds a request until all earlier READs are done.
#[test]
fn a_fenced_request_waits_for_earlier_reads_only() {
    let mut side = Side::new();
    side.read(1, 4);
    side.send(2, 4);
    side.sends.post(Wqe { read_fence: true, ..request(3, Operation::Send) }, &[sge(KEY, BASE, 4)]);
    side.turn();
    assert_eq!(side.sent(), [0, 1]);
    side.hears(RdmaReadResponseOnly, ours(0), acked(1), b"data");
    assert_eq!(side.sent(), [2]);
}

/// T-26: local operations take no PSN and complete in order.
#[test]
fn local_operations_are_carried_out_in_order_without_a_psn() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[7; 64], Access::LOCAL_READ);
    side.memory.region(0x2000).valid = false;
    let fast = FastRegister { key: LKey(0x2000), va: 0, length: 64, access: Access::REMOTE_READ };
    let bind = Bind { window: RKey(5), region: LKey(0x2000), va: 0, length: 4, access: Access::REMOTE_READ };
    side.send(1, 4);
    side.sends.post(request(2, Operation::FastRegister(fast)), &[]);
    side.sends.post(request(3, Operation::Bind(bind)), &[]);
    side.sends.post(request(4, Operation::Send), &[sge(0x2000, 0, 4)]);
    side.turn();
    assert_eq!(side.sent(), [0, 1]);
    assert_eq!((&side.memory.fast_registered[..], &side.memory.bound[..]), (&[fast][..], &[bind][..]));
    assert_eq!(side.ended(), []);
    side.hears_ack(1);
    assert_eq!(side.ended(), [(1, OK), (2, OK), (3, OK), (4, OK)]);
}

#[test]
fn local_operations_alone_complete_at_once() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[7; 64], Access::LOCAL_READ);
    side.sends.post(request(1, Operation::LocalInvalidate { key: LKey(0x2000) }), &[]);
    side.turn();
    assert_eq!((side.ended(), side.qp.deadline()), (std::vec![(1, OK)], None));
    side.says_nothing();
}

/// T-26: an invalidation waits until all before it is acknowledged; what follows waits for it.
#[test]
fn an_invalidation_waits_for_all_earlier_requests() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[7; 64], Access::LOCAL_READ);
    side.memory.draining = 1;
    side.sends.post(request(1, Operation::Send), &[sge(0x2000, 0, 4)]);
    side.sends.post(request(2, Operation::LocalInvalidate { key: LKey(0x2000) }), &[]);
    side.send(3, 4);
    side.turn();
    side.wait_for_deadline();
    assert_eq!(side.sent(), [0, 0]);
    assert!(side.memory.region(0x2000).valid);
    side.hears_only(Acknowledge, ours(0), acked(1), &[]);
    assert_eq!(side.turn(), Pause::Revoking);
    assert_eq!(side.ended(), [(1, OK)]);
    side.turn();
    assert_eq!(side.ended(), [(1, OK), (2, OK)]);
    assert!(!side.memory.region(0x2000).valid);
    assert_eq!(side.sent(), [1]);
}

#[test]
fn a_local_operation_that_is_not_possible_fails_in_its_turn() {
    let mut side = Side::new();
    side.send(1, 4);
    side.sends.post(request(2, Operation::LocalInvalidate { key: LKey(0x9999) }), &[]);
    side.send(3, 4);
    side.turn();
    side.hears_ack(0);
    let failed = CompletionStatus::LocalOperation;
    assert_eq!(side.ended(), [(1, OK), (2, failed), (3, CompletionStatus::Flushed)]);
}

/// A READ may take its sink's region back when it succeeded, before it completes.
#[test]
fn a_read_with_invalidate_revokes_its_sink_before_it_completes() {
    let mut side = Side::new();
    side.memory.register(0x2000, 0, &[0; 64], Access::LOCAL_WRITE);
    side.memory.draining = 1;
    let operation = Operation::RdmaRead { va: 0x6000, r_key: RKey(0x88), invalidate: true };
    side.sends.post(request(1, operation), &[sge(0x2000, 0, 4)]);
    side.turn();
    side.hears_only(RdmaReadResponseOnly, ours(0), acked(1), b"data");
    assert_eq!(side.ended(), []);
    side.turn();
    assert_eq!(side.ended(), [(1, OK)]);
    assert_eq!((side.memory.bytes(0x2000)[..4].to_vec(), side.memory.region(0x2000).valid), (b"data".to_vec(), false));
}

/// Requests wait in RTR: only RTU or the peer's first request makes it RTS.
#[test]
fn nothing_is_sent_before_the_connection_stands() {
    let mut side = Side::new();
    side.qp = crate::qp::QueuePair::try_new(limits()).unwrap();
    assert!(side.qp.connect(attributes()));
    side.send(1, 4);
    side.turn();
    side.says_nothing();
    assert!(side.qp.establish());
    side.turn();
    assert_eq!(side.sent(), [0]);
}

/// Opcodes in order of a message of `packets` packets.
#[test]
fn the_opcodes_of_a_message_tell_its_shape() {
    let shapes: [(u32, &[Opcode]); 4] = [
        (0, &[SendOnly]),
        (256, &[SendOnly]),
        (257, &[SendFirst, SendLast]),
        (768, &[SendFirst, SendMiddle, SendLast]),
    ];
    for (len, opcodes) in shapes {
        let mut side = Side::new();
        side.send(1, len);
        side.turn();
        assert_eq!(side.says_all().iter().map(|said| said.opcode).collect::<Vec<_>>(), opcodes);
    }
}
