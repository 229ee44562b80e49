//! Local operations in conversations.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use super::requester::*;
use crate::completion::CompletionStatus;
use crate::key::{LKey, RKey};
use crate::memory::{Access, Bind, FastRegister};
use crate::turn::Pause;
use crate::wire::opcode::Opcode::*;
use crate::work::Operation;

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
