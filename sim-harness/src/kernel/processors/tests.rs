//! What processors do, and what a machine of several does: deferred calls, timers and locks that are really concurrent.

use super::*;
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::locks;
use crate::kernel::sched::Woken;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

fn settle(processors: &Processors) {
    while !processors.are_idle() {
        std::thread::yield_now();
    }
}

fn machine() -> Arc<Machine> {
    Machine::with_processors("host", Arc::default(), 1, 2)
}

#[test]
fn work_for_one_is_done_in_order_and_work_for_any_at_the_same_time() {
    let processors = Processors::start("t", 2);
    let done = Arc::new(Mutex::new(Vec::new()));
    for number in 0..50 {
        let done = done.clone();
        processors.post_to(3, move || done.lock().unwrap().push(number));
    }
    settle(&processors);
    assert_eq!(*done.lock().unwrap(), (0..50).collect::<Vec<_>>());
    // Neither gets past this alone.
    let meeting = Arc::new(Barrier::new(2));
    for _ in 0..2 {
        let meeting = meeting.clone();
        processors.post(move || {
            meeting.wait();
        });
    }
    settle(&processors);
    assert_eq!((processors.count(), processors.backlog(), processors.take_panics()), (2, 0, 0));
}

#[test]
fn a_processor_survives_work_that_panics_and_the_machine_says_so() {
    let machine = machine();
    machine.post(None, |_| panic!("on purpose"));
    machine.settle();
    let rules: Vec<_> = machine.verifier.take().iter().map(|broken| broken.rule).collect();
    assert_eq!(rules, ["panic"]);
}

/// A lock is one processor's at a time; whoever wants it spins at DISPATCH_LEVEL.
#[test]
fn a_spin_lock_keeps_processors_apart() {
    let machine = machine();
    let word = Arc::new(AtomicUsize::new(0));
    let count = Arc::new(Mutex::new((0, 0)));
    for _ in 0..200 {
        let (word, count) = (word.clone(), count.clone());
        machine.post(None, move |_| {
            assert_eq!(irql::current(), Irql::Dispatch);
            locks::acquire(word.as_ptr().cast());
            count.try_lock().expect("nobody else is here").0 += 1;
            locks::release(word.as_ptr().cast());
        });
    }
    machine.settle();
    assert_eq!((*count.lock().unwrap(), word.load(Ordering::SeqCst)), ((200, 0), 0));
    assert_eq!(machine.verifier.take(), []);
}

#[test]
fn a_lock_that_is_held_too_long_is_reported_with_its_holder_and_is_no_hang() {
    let machine = machine();
    let word = Arc::new(AtomicUsize::new(0));
    let (held, over) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (lock, meet, end) = (word.clone(), held.clone(), over.clone());
    machine.post(Some(0), move |machine| {
        machine.callback("a slow routine", Irql::Dispatch, || locks::acquire(lock.as_ptr().cast()));
        meet.wait();
        end.wait();
        locks::release(lock.as_ptr().cast());
    });
    held.wait();
    machine.enter(|| irql::at(Irql::Dispatch, || locks::acquire(word.as_ptr().cast())));
    over.wait();
    machine.settle();
    let broken = machine.verifier.take();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].rule, "deadlock");
    assert!(broken[0].text.contains("host CPU 0 in a slow routine"), "{}", broken[0].text);
}

#[test]
fn a_wait_that_nothing_ends_is_reported_when_the_machine_has_long_done_nothing() {
    let machine = machine();
    assert_eq!(machine.enter(|| machine.wait("nothing", None, || false)), Woken::Never);
    let rules: Vec<_> = machine.verifier.take().iter().map(|broken| broken.rule).collect();
    assert_eq!(rules, ["deadlock"]);
}
