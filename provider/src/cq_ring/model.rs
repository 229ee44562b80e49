//! Every interleaving of small uses of the CQ ring, under loom: no wake-up is lost, none is doubled, none is empty.

use super::*;
use crate::lane::Lane;
use loom::sync::Arc;
use loom::thread;

/// A CQ as the provider puts it together: the ring, the notification lane, and a callback that counts.
struct Cq {
    ring: CqRing<u32>,
    notifications: Lane<Notifications>,
}

#[derive(Default)]
struct Notifications {
    notifier: Notifier,
    calls: u32,
}

impl Cq {
    fn new(depth: u32) -> Arc<Self> {
        let ring = CqRing::try_new(depth).unwrap();
        Arc::new(Self { ring, notifications: Lane::new(Notifications::default()) })
    }

    fn kick(&self) {
        self.notifications.kick(|core| {
            while core.notifier.take_notification(&self.ring).is_some() {
                core.calls += 1;
            }
        });
    }

    fn push(&self, severity: Severity, value: u32) {
        match self.ring.push(&[Entry { severity, value }]) {
            Ok(false) => {}
            Ok(true) | Err(Refused::Overran) => self.kick(),
            Err(Refused::Dead) => {}
        }
    }

    fn arm(&self, arm: Arm) {
        // SAFETY: the models call this from one thread.
        if unsafe { self.ring.consumer() }.arm(arm) {
            self.kick();
        }
    }

    fn poll(&self) -> u32 {
        // SAFETY: the models call this from one thread.
        unsafe { self.ring.consumer() }.poll(u32::MAX, |_| {})
    }

    fn calls(&self) -> u32 {
        self.notifications.try_enter().unwrap().calls
    }
}

/// CQ-48, CQ-04, T-06
#[test]
fn a_completion_that_races_with_the_arm_notifies_exactly_once() {
    loom::model(|| {
        let cq = Cq::new(2);
        let pushing = cq.clone();
        let producer = thread::spawn(move || pushing.push(Severity::Normal, 1));
        cq.arm(Arm::Any);
        producer.join().unwrap();
        assert_eq!(cq.calls(), 1);
        assert_eq!(cq.poll(), 1);
    });
}

/// T-06: two producers; the second position may be published first, and whoever closes the gap looks again.
#[test]
fn a_solicited_completion_behind_a_gap_still_notifies() {
    loom::model(|| {
        let cq = Cq::new(2);
        cq.arm(Arm::Solicited);
        let producers = [Severity::Normal, Severity::Solicited].map(|severity| {
            let cq = cq.clone();
            thread::spawn(move || cq.push(severity, 1))
        });
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!(cq.calls(), 1);
        assert_eq!(cq.poll(), 2);
    });
}

/// CQ-07, OQ-25: the consumer drains and arms while a producer is at work; a notification that comes after the arm finds
/// something unread, and one is not owed for what was drained.
#[test]
fn what_was_drained_before_the_arm_does_not_notify() {
    loom::model(|| {
        let cq = Cq::new(2);
        let pushing = cq.clone();
        cq.arm(Arm::Any);
        let producer = thread::spawn(move || pushing.push(Severity::Normal, 1));
        let drained = cq.poll();
        cq.arm(Arm::Any);
        producer.join().unwrap();
        let calls = cq.calls();
        let left = cq.poll();
        assert_eq!(drained + left, 1);
        if left == 1 {
            // Came after the second arm's drain: it must notify, by whichever arm.
            assert_eq!(calls, 1);
        } else {
            // Drained before the second arm. The first arm may have been satisfied before the drain, never both.
            assert!(calls <= 1);
            assert_eq!(cq.ring.unread(), 0);
        }
    });
}

/// OQ-25: a decision made before the drain and the arm that followed it does not use that arm up.
#[test]
fn an_arm_after_the_drain_outlives_a_decision_made_before_it() {
    loom::model(|| {
        let cq = Cq::new(2);
        cq.push(Severity::Normal, 1);
        // SAFETY: one thread polls and arms.
        assert!(unsafe { cq.ring.consumer() }.arm(Arm::Any));
        let deciding = cq.clone();
        let decision = thread::spawn(move || deciding.kick());
        assert_eq!(cq.poll(), 1);
        // SAFETY: as above.
        let _ = unsafe { cq.ring.consumer() }.arm(Arm::Any);
        decision.join().unwrap();
        assert!(cq.ring.word().arm().is_some(), "nothing came after the second arm");
        assert!(cq.calls() <= 1);
    });
}

/// CQ-04, CQ-05: whatever two producers and two arms do, no more than one callback an arm, and none is missing: one more
/// look finds nothing to tell.
#[test]
fn two_arms_and_two_producers_leave_nothing_unannounced() {
    // Three preemptions would take a minute here.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let cq = Cq::new(2);
        let producers = [Severity::Error, Severity::Normal].map(|severity| {
            let cq = cq.clone();
            thread::spawn(move || cq.push(severity, 1))
        });
        cq.arm(Arm::Any);
        let read = cq.poll();
        cq.arm(Arm::Any);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        let calls = cq.calls();
        assert!(calls <= 2);
        assert!(calls >= 1 || read == 2, "an unread completion, an arm after it, and no callback");
        cq.kick();
        assert_eq!(cq.calls(), calls);
        assert_eq!(read + cq.poll(), 2);
    });
}

/// T-08, CQ-14: the overrun is told once, whether the arm or the overrun comes first.
#[test]
fn an_overrun_that_races_with_the_arm_is_told_once() {
    loom::model(|| {
        let cq = Cq::new(0);
        let pushing = cq.clone();
        let producer = thread::spawn(move || pushing.push(Severity::Normal, 1));
        cq.arm(Arm::Errors);
        producer.join().unwrap();
        assert_eq!(cq.calls(), 1);
        cq.arm(Arm::Any);
        assert_eq!(cq.calls(), 1);
    });
}

/// T-07, CQ-30: the depth changes between two completions; both are there, and both are in order.
#[test]
fn a_resize_among_producers_loses_nothing() {
    loom::model(|| {
        let cq = Cq::new(1);
        let pushing = cq.clone();
        let resized = thread::spawn({
            let cq = cq.clone();
            move || cq.ring.resize(2).is_ok()
        });
        let producer = thread::spawn(move || pushing.push(Severity::Normal, 1));
        let early = cq.poll();
        assert!(resized.join().unwrap());
        producer.join().unwrap();
        cq.push(Severity::Normal, 2);
        assert_eq!(early + cq.poll(), 2);
        assert!(!cq.ring.is_dead());
    });
}
