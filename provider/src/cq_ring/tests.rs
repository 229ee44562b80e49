//! What the consumer of a CQ is promised.

use super::*;
use std::vec::Vec;

fn entries(severity: Severity, values: &[u32]) -> Vec<Entry<u32>> {
    values.iter().map(|&value| Entry { severity, value }).collect()
}

/// A ring, its notifier, and what both sides do, by one thread.
struct Cq {
    ring: CqRing<u32>,
    notifier: Notifier,
}

impl Cq {
    fn new(depth: u32) -> Self {
        Self { ring: CqRing::try_new(depth).unwrap(), notifier: Notifier::new() }
    }

    fn push(&self, severity: Severity, values: &[u32]) -> Result<bool, Refused> {
        self.ring.push(&entries(severity, values))
    }

    fn poll(&self, max: u32) -> Vec<u32> {
        let mut values = Vec::new();
        // SAFETY: these tests use one thread.
        let count = unsafe { self.ring.consumer() }.poll(max, |value| values.push(value));
        assert_eq!(count as usize, values.len());
        values
    }

    fn arm(&self, arm: Arm) -> bool {
        // SAFETY: these tests use one thread.
        unsafe { self.ring.consumer() }.arm(arm)
    }

    fn told(&mut self) -> Option<Notification> {
        self.notifier.take_notification(&self.ring)
    }
}

/// CQ-18
#[test]
fn completions_come_out_in_order_and_no_more_than_asked_for() {
    let cq = Cq::new(5);
    assert_eq!(cq.push(Severity::Normal, &[1, 2, 3]), Ok(false));
    assert_eq!(cq.poll(2), [1, 2]);
    assert_eq!(cq.push(Severity::Normal, &[4]), Ok(false));
    assert_eq!(cq.poll(9), [3, 4]);
    assert_eq!(cq.poll(9), []);
}

/// CQ-02, CQ-14, CQ-16, T-08
#[test]
fn a_cq_holds_its_depth_and_its_overrun_is_told_once_whatever_the_arm() {
    for depth in [1, 5, 16, 17] {
        let mut cq = Cq::new(depth);
        for value in 0..depth {
            assert_eq!(cq.push(Severity::Normal, &[value]), Ok(false));
        }
        assert_eq!(cq.push(Severity::Normal, &[99, 100]), Err(Refused::Overran));
        assert_eq!(cq.told(), None, "nobody armed");
        assert!(cq.arm(Arm::Errors));
        assert_eq!(cq.told(), Some(Notification::Overrun));
        assert!(!cq.arm(Arm::Any));
        assert_eq!(cq.told(), None);
        assert_eq!(cq.push(Severity::Error, &[101]), Err(Refused::Dead));
        assert_eq!(cq.poll(99), (0..depth).collect::<Vec<_>>());
    }
}

/// T-08: of a run that does not fit, what fits is kept.
#[test]
fn an_overrun_keeps_what_fits() {
    let mut cq = Cq::new(3);
    assert!(!cq.arm(Arm::Any));
    assert_eq!(cq.push(Severity::Normal, &[1, 2, 3, 4]), Err(Refused::Overran));
    assert_eq!(cq.told(), Some(Notification::Overrun));
    assert_eq!(cq.poll(9), [1, 2, 3]);
}

/// CQ-15
#[test]
fn a_failed_cq_tells_so_by_the_next_arm() {
    let mut cq = Cq::new(3);
    assert!(!cq.ring.fail());
    assert!(cq.ring.is_dead());
    assert!(cq.arm(Arm::Solicited));
    assert_eq!(cq.told(), Some(Notification::Failed));
    assert!(!cq.ring.fail());
    assert_eq!(cq.told(), None);
}

/// CQ-03, CQ-04
#[test]
fn an_arm_gives_one_notification() {
    let mut cq = Cq::new(8);
    assert_eq!(cq.push(Severity::Error, &[1]), Ok(false));
    assert_eq!(cq.told(), None);
    assert!(cq.arm(Arm::Any));
    assert_eq!(cq.told(), Some(Notification::Completions));
    assert_eq!(cq.told(), None);
    assert_eq!(cq.push(Severity::Error, &[2]), Ok(false));
    assert_eq!(cq.told(), None);
}

/// CQ-05: new and unread when armed. CQ-07, OQ-25: new and read when armed.
#[test]
fn an_arm_finds_what_is_new_and_unread_and_nothing_else() {
    let mut cq = Cq::new(8);
    cq.push(Severity::Normal, &[1]).unwrap();
    cq.poll(9);
    assert!(!cq.arm(Arm::Any));
    assert_eq!(cq.told(), None, "drained before the arm");
    assert_eq!(cq.push(Severity::Normal, &[2]), Ok(true));
    assert_eq!(cq.told(), Some(Notification::Completions));
    assert!(!cq.arm(Arm::Any), "unread, but it was there at the last callback (CQ-06)");
    assert_eq!(cq.told(), None);
    assert_eq!(cq.push(Severity::Normal, &[3]), Ok(true));
    assert_eq!(cq.told(), Some(Notification::Completions));
}

/// OQ-25: also when the notifier has looked at it before it was drained.
#[test]
fn what_was_seen_and_then_drained_does_not_notify() {
    let mut cq = Cq::new(8);
    cq.arm(Arm::Solicited);
    cq.push(Severity::Normal, &[1]).unwrap();
    assert_eq!(cq.told(), None);
    cq.poll(9);
    cq.arm(Arm::Any);
    assert_eq!(cq.told(), None);
}

/// CQ-10, CQ-11, CQ-12, CQ-13, CQ-46, OQ-24: every pair of arms against every severity.
#[test]
fn a_second_arm_is_merged_and_the_greater_one_decides() {
    let arms = [Arm::Errors, Arm::Solicited, Arm::Any];
    for first in arms {
        for second in arms {
            for severity in [Severity::Normal, Severity::Solicited, Severity::Error] {
                let mut cq = Cq::new(4);
                cq.arm(first);
                cq.arm(second);
                let wakes = match first.max(second) {
                    Arm::Any => true,
                    Arm::Solicited => severity != Severity::Normal,
                    Arm::Errors => severity == Severity::Error,
                };
                assert_eq!(cq.push(severity, &[1]), Ok(wakes));
                assert_eq!(cq.told().is_some(), wakes, "{first:?} {second:?} {severity:?}");
            }
        }
    }
}

/// CQ-11
#[test]
fn a_solicited_completion_behind_others_satisfies_a_solicited_arm() {
    let mut cq = Cq::new(8);
    cq.push(Severity::Normal, &[1, 2]).unwrap();
    cq.push(Severity::Solicited, &[3]).unwrap();
    cq.push(Severity::Normal, &[4]).unwrap();
    assert!(cq.arm(Arm::Solicited));
    assert_eq!(cq.told(), Some(Notification::Completions));
    cq.poll(2);
    assert_eq!(cq.push(Severity::Normal, &[5]), Ok(false));
    cq.arm(Arm::Solicited);
    assert_eq!(cq.told(), None, "the solicited one was there at the last callback");
}

/// CQ-40: the count is of completions that are new and unread.
#[test]
fn moderation_is_told_how_many_completions_are_new() {
    let mut cq = Cq::new(8);
    cq.push(Severity::Normal, &[1, 2, 3]).unwrap();
    cq.arm(Arm::Any);
    let seen = core::cell::Cell::new(0);
    let hold = |count| {
        seen.set(count);
        false
    };
    assert_eq!(cq.notifier.take_notification_if(&cq.ring, hold), None);
    assert_eq!(seen.get(), 3);
    cq.poll(1);
    cq.push(Severity::Normal, &[4]).unwrap();
    assert_eq!(cq.notifier.take_notification_if(&cq.ring, hold), None);
    assert_eq!(seen.get(), 3);
    assert_eq!(cq.told(), Some(Notification::Completions));
    cq.push(Severity::Normal, &[5]).unwrap();
    cq.arm(Arm::Any);
    assert_eq!(cq.notifier.take_notification_if(&cq.ring, hold), None);
    assert_eq!(seen.get(), 1);
}

/// CQ-29, CQ-30, T-07
#[test]
fn a_resize_under_way_loses_nothing_and_refuses_what_is_too_small() {
    let mut cq = Cq::new(16);
    let mut next = 0;
    let mut expected = 0;
    for depth in [16u32, 40, 17, 300, 5, 16, 64, 3] {
        cq.poll(u32::MAX).into_iter().for_each(|value| {
            assert_eq!(value, expected);
            expected += 1;
        });
        cq.push(Severity::Normal, &[next]).unwrap();
        next += 1;
        cq.ring.resize(depth).unwrap();
        assert_eq!(cq.ring.depth(), depth);
        while cq.ring.unread() < u64::from(depth) {
            cq.push(Severity::Normal, &[next]).unwrap();
            next += 1;
        }
        assert_eq!(cq.ring.resize(depth - 1), Err(ResizeRefused::TooSmall));
        assert_eq!(cq.ring.depth(), depth);
        cq.arm(Arm::Any);
        assert_eq!(cq.told(), Some(Notification::Completions));
    }
    assert_eq!(cq.poll(u32::MAX), (expected..next).collect::<Vec<_>>());
    assert!(!cq.ring.is_dead());
}

#[test]
fn a_depth_beyond_any_size_is_refused() {
    let cq = Cq::new(1);
    assert_eq!(cq.ring.resize(u32::MAX), Err(ResizeRefused::NoMemory));
    assert!(CqRing::<u32>::try_new(u32::MAX).is_none());
    assert_eq!(cq.ring.depth(), 1);
}

/// CQ-26, CQ-48, T-06: producers on several threads, one consumer that sleeps until it is notified.
#[test]
fn nothing_is_lost_or_reordered_and_a_sleeping_consumer_is_woken() {
    use crate::lane::Lane;
    use std::sync::atomic::AtomicU32;
    const PRODUCERS: u32 = 3;
    let each: u32 = if cfg!(miri) { 30 } else { 4_000 };
    let ring = CqRing::<u32>::try_new(PRODUCERS * each).unwrap();
    let lane = Lane::new(Notifier::new());
    let (calls, heard) = std::sync::mpsc::channel();
    let inside = AtomicU32::new(0);
    let kick = |calls: &std::sync::mpsc::Sender<()>| {
        lane.kick(|notifier| {
            while let Some(notification) = notifier.take_notification(&ring) {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "CQ-08");
                assert_eq!(notification, Notification::Completions);
                calls.send(()).unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        });
    };
    let kick = &kick;
    std::thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let ring = &ring;
            let calls = calls.clone();
            scope.spawn(move || {
                for value in 0..each {
                    if ring.push(&entries(Severity::Normal, &[producer << 16 | value])).unwrap() {
                        kick(&calls);
                    }
                }
            });
        }
        let mut next = [0; PRODUCERS as usize];
        // SAFETY: this thread alone polls and arms.
        let mut consumer = unsafe { ring.consumer() };
        while next.iter().sum::<u32>() < PRODUCERS * each {
            if consumer.arm(Arm::Any) {
                kick(&calls);
            }
            heard.recv().unwrap();
            let count = consumer.poll(u32::MAX, |value| {
                let next = &mut next[(value >> 16) as usize];
                assert_eq!(value & 0xffff, *next, "CQ-26");
                *next += 1;
            });
            assert!(count > 0, "OQ-25");
        }
    });
}

/// The rules as NDKPI's pages state them, over a plain list.
#[derive(Default)]
struct Oracle {
    /// Unread completions: position, severity.
    unread: std::collections::VecDeque<(u32, Severity)>,
    next: u32,
    /// The position after the last completion that was there at the last callback.
    mark: u32,
    arm: Option<Arm>,
    depth: usize,
    overrun: bool,
    told: bool,
}

impl Oracle {
    fn notification(&mut self) -> Option<Notification> {
        let arm = self.arm?;
        if self.overrun {
            if self.told {
                return None;
            }
            self.told = true;
            self.arm = None;
            return Some(Notification::Overrun);
        }
        let due = self.unread.iter().any(|&(position, severity)| {
            position >= self.mark
                && match arm {
                    Arm::Any => true,
                    Arm::Solicited => severity != Severity::Normal,
                    Arm::Errors => severity == Severity::Error,
                }
        });
        if due {
            self.arm = None;
            self.mark = self.next;
        }
        due.then_some(Notification::Completions)
    }
}

/// CQ-02 to CQ-07, CQ-10 to CQ-14, CQ-30: a long walk of pushes, polls, arms, callbacks and resizes against the rules; and
/// no push or arm keeps quiet about a notification that is due.
#[test]
fn a_cq_does_what_the_rules_say_over_any_course_of_events() {
    let mut dice = 0x2545_f491_4f6c_dd1du64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % sides
    };
    let severities = [Severity::Normal, Severity::Solicited, Severity::Error];
    let (mut notified, mut overruns, mut resized) = (0, 0, 0);
    for _ in 0..if cfg!(miri) { 3 } else { 400 } {
        let depth = 1 + roll(40) as u32;
        let mut cq = Cq::new(depth);
        let mut oracle = Oracle { depth: depth as usize, ..Oracle::default() };
        for _ in 0..100 {
            let mut kick = false;
            match roll(5) {
                0 | 1 => {
                    let run: Vec<_> = (0..roll(6) as u32)
                        .map(|at| Entry { severity: severities[roll(3) as usize], value: oracle.next + at })
                        .collect();
                    let room = oracle.depth.saturating_sub(oracle.unread.len()).min(run.len());
                    let pushed = cq.ring.push(&run);
                    if oracle.overrun && !run.is_empty() {
                        assert_eq!(pushed, Err(Refused::Dead));
                    } else if !oracle.overrun {
                        oracle.unread.extend(run.iter().take(room).map(|entry| (entry.value, entry.severity)));
                        oracle.next += room as u32;
                        oracle.overrun = room < run.len();
                        overruns += u32::from(oracle.overrun);
                        assert_eq!(pushed.is_err(), oracle.overrun);
                        kick = pushed != Ok(false);
                    }
                }
                2 => {
                    let max = roll(8) as u32;
                    let expected: Vec<_> = oracle.unread.iter().take(max as usize).map(|entry| entry.0).collect();
                    oracle.unread.drain(..expected.len());
                    assert_eq!(cq.poll(max), expected);
                }
                3 => {
                    let arm = [Arm::Errors, Arm::Solicited, Arm::Any][roll(3) as usize];
                    kick = cq.arm(arm);
                    oracle.arm = oracle.arm.max(Some(arm));
                }
                _ => {
                    let depth = roll(70) as u32;
                    let expected =
                        if oracle.unread.len() > depth as usize { Err(ResizeRefused::TooSmall) } else { Ok(()) };
                    assert_eq!(cq.ring.resize(depth), expected);
                    if expected.is_ok() {
                        oracle.depth = depth as usize;
                        resized += 1;
                    }
                }
            }
            let expected = oracle.notification();
            assert!(kick || expected.is_none(), "nobody was told to kick");
            assert_eq!(if kick { cq.told() } else { None }, expected);
            notified += u32::from(expected == Some(Notification::Completions));
        }
    }
    assert!(notified > 0 && overruns > 0 && resized > 0);
}
