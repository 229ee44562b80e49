//! READs of ours in conversations.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use super::requester::*;
use crate::completion::CompletionStatus;
use crate::key::RKey;
use crate::memory::Access;
use crate::qp::Attributes;
use crate::time::Duration;
use crate::wire::headers::{Ext, Reth};
use crate::wire::opcode::Opcode::*;
use crate::work::{Operation, Wqe};
use std::vec::Vec;

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
        assert!(asked > answered * 256 && asked - answered * 256 <= 2 * 32 * 256);
        side.hears(RdmaReadResponseMiddle, ours(answered), Ext::None, &pattern(0, 256));
        answered += 1;
    }
    assert_eq!((asked, pieces), (24 * 8192, 24));
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
