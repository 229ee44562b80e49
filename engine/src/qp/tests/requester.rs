//! The requester and its completer in conversations.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use crate::completion::CompletionStatus;
use crate::key::RKey;
use crate::qp::state::State;
use crate::qp::{Failure, QpEvent};
use crate::turn::Pause;
use crate::wire::headers::{Ext, NakCode};
use crate::wire::opcode::Opcode::{self, *};
use crate::work::{Operation, Wqe};
use std::vec::Vec;

const MTU_LEN: usize = MTU as usize;
/// Beyond it lie the PSNs after the wrap.
const WRAP: u32 = 0x100_0000;

/// The PSN of our packet `index`.
pub(super) const fn ours(index: u32) -> u32 {
    (OURS + index) % WRAP
}

pub(super) fn write(wr_id: u64) -> Wqe {
    request(wr_id, Operation::RdmaWrite { va: 0x5000, r_key: RKey(0x77) })
}

pub(super) fn read(wr_id: u64) -> Wqe {
    request(wr_id, Operation::RdmaRead { va: 0x6000, r_key: RKey(0x88), invalidate: false })
}

impl Side {
    /// Posts a SEND of `len` bytes.
    pub(super) fn send(&mut self, wr_id: u64, len: u32) {
        self.sends.post(request(wr_id, Operation::Send), &[sge(KEY, BASE, len)]);
    }

    /// Posts a READ of `len` bytes into the region at 4096.
    pub(super) fn read(&mut self, wr_id: u64, len: u32) {
        self.sends.post(read(wr_id), &[sge(KEY, BASE + 4096, len)]);
    }

    pub(super) fn hears_ack(&mut self, index: u32) {
        self.hears(Acknowledge, ours(index), acked(0), &[]);
    }

    pub(super) fn hears_nak(&mut self, index: u32, code: NakCode) {
        self.hears(Acknowledge, ours(index), refused(code, 0), &[]);
    }

    /// Which requests completed, and how.
    pub(super) fn ended(&self) -> Vec<(u64, CompletionStatus)> {
        self.completed.sends.iter().map(|send| (send.wr_id, send.status)).collect()
    }

    /// Which of our packets left, by index.
    pub(super) fn sent(&mut self) -> Vec<u32> {
        self.says_all().iter().map(|said| said.psn.wrapping_sub(OURS) % WRAP).collect()
    }
}

pub(super) const OK: CompletionStatus = CompletionStatus::Success;

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
