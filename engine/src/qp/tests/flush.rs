//! The end of a queue pair: everything posted completes, once, in order.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use crate::completion::CompletionStatus;
use crate::qp::state::State;
use crate::qp::{Failure, Limits, QpEvent, QueuePair};
use crate::turn::Pause;
use crate::wire::headers::Ext;
use crate::wire::opcode::Opcode::*;
use crate::work::{Operation, Wqe};
use std::vec::Vec;

const FLUSHED: CompletionStatus = CompletionStatus::Flushed;

impl Side {
    fn post_send(&mut self, wr_id: u64, signaled: bool) {
        self.sends.post(Wqe { signaled, ..request(wr_id, Operation::Send) }, &[sge(KEY, BASE, 600)]);
    }

    fn flushed(&self) -> (Vec<u64>, Vec<u64>) {
        let all = |completed: &[crate::completion::Completion]| {
            assert!(completed.iter().all(|completion| completion.status == FLUSHED));
            completed.iter().map(|completion| completion.wr_id).collect()
        };
        (all(&self.completed.sends), all(&self.completed.receives))
    }
}

/// T-10: a flush is exempt from the budget.
#[test]
fn a_flush_completes_everything_in_order_whatever_the_budget() {
    let mut side = Side::new();
    for wr_id in 0..5 {
        side.post_send(wr_id, wr_id % 2 == 0);
        side.receives.post(10 + wr_id, &[sge(KEY, BASE, 8)]);
    }
    side.turn_of(4);
    side.says_all();
    side.qp.flush();
    assert_eq!(side.turn_of(0), Pause::Idle);
    assert_eq!(side.flushed(), ((0..5).collect(), (10..15).collect()));
    side.says_nothing();
    assert_eq!((side.sends.outstanding(), side.qp.deadline(), side.qp.take_event()), (0, None, None));
    assert!(side.qp.is_drained(&side.sends));
}

#[test]
fn what_is_posted_after_the_flush_is_flushed_too() {
    let mut side = Side::new();
    side.qp.flush();
    side.turn();
    side.post_send(1, false);
    side.receives.post(2, &[]);
    assert!(!side.qp.is_drained(&side.sends));
    side.turn();
    assert_eq!(side.flushed(), (std::vec![1], std::vec![2]));
}

#[test]
fn a_queue_pair_that_never_was_connected_flushes() {
    let mut side = Side::new();
    side.qp = QueuePair::try_new(limits()).unwrap();
    side.post_send(1, true);
    side.receives.post(2, &[]);
    side.turn();
    assert_eq!(side.flushed(), (std::vec![], std::vec![]));
    side.qp.flush();
    side.turn();
    assert_eq!(side.flushed(), (std::vec![1], std::vec![2]));
    assert!(!side.qp.connect(attributes()));
}

/// Receives of a shared queue stay for others; the one taken for a message half received completes.
#[test]
fn of_a_shared_receive_queue_only_what_was_taken_is_flushed() {
    let mut side = Side::new();
    side.qp = QueuePair::try_new(Limits { own_receive_queue: false, ..limits() }).unwrap();
    assert!(side.qp.connect(attributes()) && side.qp.establish());
    side.receives.post(1, &[sge(KEY, BASE, 1024)]);
    side.receives.post(2, &[sge(KEY, BASE, 1024)]);
    side.hears(SendFirst, THEIRS, Ext::None, &pattern(0, 256));
    side.qp.flush();
    side.turn();
    assert_eq!(side.flushed(), (std::vec![], std::vec![1]));
    assert_eq!(side.receives.len(), 1);
}

#[test]
fn a_flushed_queue_pair_hears_nothing() {
    let mut side = Side::new();
    side.post_send(1, true);
    side.turn();
    side.says_all();
    side.qp.flush();
    side.turn();
    side.hears(Acknowledge, (OURS + 2) % 0x100_0000, acked(1), &[]);
    side.hears(RdmaWriteOnly, THEIRS, reth(BASE, KEY, 1), b"x");
    side.says_nothing();
    assert_eq!((side.flushed(), side.memory.bytes(KEY)[0]), ((std::vec![1], std::vec![]), 0));
}

/// T-08: a dead completion queue takes the queue pair with it, from either side.
#[test]
fn a_dead_completion_queue_is_fatal() {
    let mut side = Side::new();
    side.post_send(1, true);
    side.turn();
    side.completed.dead = true;
    side.hears(Acknowledge, (OURS + 2) % 0x100_0000, acked(1), &[]);
    assert_eq!(side.qp.take_event(), Some(QpEvent::Fatal(Failure::CqDead)));
    assert_eq!(side.qp.state(), State::Err);

    let mut side = Side::new();
    side.receives.post(1, &[]);
    side.completed.dead = true;
    side.hears(SendOnly, THEIRS, Ext::None, &[]);
    assert_eq!(side.qp.take_event(), Some(QpEvent::Fatal(Failure::CqDead)));
}
