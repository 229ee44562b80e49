//! Kernel threads that run at once and at the same time, as those of a machine of several processors do: for races, not for
//! runs that repeat.
//!
//! A wait really blocks. Whoever changes something says so ([`Scheduler::note`]); since a condition may depend on anything, a
//! wait also looks again by itself. "Nothing can end this wait" cannot be known here; what is known is that nothing has
//! happened on the machine for [`PATIENCE`] of real time while it lasts, and that ends it with the same report.

use super::{Condition, Scheduler, Waiting, Woken};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a machine may do nothing while somebody waits.
pub(in crate::kernel) const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 3 } else { 30 });
/// How often a wait looks by itself.
const LOOK: Duration = Duration::from_micros(200);
/// Numbers of waiting threads that are no kernel threads start here.
const STRANGERS: u64 = 1 << 48;

impl Scheduler {
    /// A scheduler whose threads run freely.
    pub fn free() -> Arc<Self> {
        Arc::new(Self { free: true, ..Self::default() })
    }

    /// Whether threads run freely.
    pub fn is_free(&self) -> bool {
        self.free
    }

    /// Something happened that may end a wait; that it did shows that the machine is not stuck.
    pub fn note(&self) {
        if self.free {
            self.happened.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_all();
        }
    }

    /// The same for what ends no wait: it is cheaper.
    pub fn note_life(&self) {
        if self.free {
            self.happened.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What [`Scheduler::wait`] does in free running.
    pub(super) fn wait_free(
        &self,
        me: Option<u64>,
        what: &str,
        deadline: Option<u64>,
        now: &impl Fn() -> u64,
        over: &Condition,
    ) -> Woken {
        if over() {
            return Woken::Condition;
        }
        let thread = {
            let mut state = self.state();
            state.strangers += 1;
            let thread = me.unwrap_or(STRANGERS + state.strangers);
            state.waiting.push(Waiting { thread, what: what.to_owned(), over: over.clone(), deadline });
            thread
        };
        let mut quiet = (self.happened.load(Ordering::Relaxed), Instant::now());
        let woken = loop {
            if over() {
                break Woken::Condition;
            }
            if deadline.is_some_and(|deadline| deadline <= now()) {
                break Woken::Timeout;
            }
            let happened = self.happened.load(Ordering::Relaxed);
            if happened != quiet.0 {
                quiet = (happened, Instant::now());
            }
            if self.is_abandoned() || quiet.1.elapsed() > PATIENCE {
                break Woken::Never;
            }
            let state = self.state();
            drop(self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner));
        };
        // No sooner than here: a thread whose wait is over runs, and the machine is not idle.
        self.state().waiting.retain(|wait| wait.thread != thread);
        self.note();
        woken
    }

    /// Whether every kernel thread but the caller's own waits for what is not there yet.
    pub fn is_idle(&self, now: u64) -> bool {
        let me = self.own_number();
        let waits: Vec<_> = {
            let state = self.state();
            let of_threads = |wait: &&Waiting| wait.thread < STRANGERS;
            let waiting = state.waiting.iter().filter(of_threads).count();
            let others = state.alive - usize::from(me.is_some());
            if waiting < others {
                return false;
            }
            state.waiting.iter().filter(of_threads).map(|wait| (wait.over.clone(), wait.deadline)).collect()
        };
        // Outside the lock: a condition may take others, whose holders come here.
        waits.iter().all(|(over, deadline)| !over() && deadline.is_none_or(|deadline| deadline > now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    #[test]
    fn threads_run_at_the_same_time_and_waits_block_until_somebody_ends_them() {
        let sched = Scheduler::free();
        let (met, flag) = (Arc::new(Barrier::new(3)), Arc::new(AtomicBool::new(false)));
        for _ in 0..2 {
            let (inner, met, flag) = (sched.clone(), met.clone(), flag.clone());
            sched.spawn("t", move || {
                // Both must be here at once.
                met.wait();
                let there = flag.clone();
                let woken = inner.wait("the flag", None, || 0, move || there.load(Ordering::SeqCst), || false);
                assert_eq!(woken, Woken::Condition);
            });
        }
        assert!(!sched.is_idle(0));
        met.wait();
        while !sched.is_idle(0) {
            std::thread::yield_now();
        }
        assert_eq!(sched.waits(), ["the flag"; 2]);
        flag.store(true, Ordering::SeqCst);
        assert!(!sched.is_idle(0), "two threads can go on");
        sched.note();
        let watched = sched.clone();
        assert_eq!(sched.wait("both", None, || 0, move || watched.alive() == 0, || false), Woken::Condition);
        sched.abandon();
    }

    #[test]
    fn a_wait_ends_with_virtual_time_and_with_the_run() {
        let sched = Scheduler::free();
        let clock = Arc::new(AtomicU64::new(0));
        let outcomes = Arc::new(std::sync::Mutex::new(Vec::new()));
        for deadline in [Some(5), None] {
            let (inner, time, outcomes) = (sched.clone(), clock.clone(), outcomes.clone());
            sched.spawn("t", move || {
                let woken = inner.wait("nothing", deadline, || time.load(Ordering::SeqCst), || false, || false);
                outcomes.lock().unwrap().push(woken);
            });
        }
        while !sched.is_idle(0) {
            std::thread::yield_now();
        }
        assert_eq!(sched.next_deadline(), Some(5));
        clock.store(5, Ordering::SeqCst);
        assert!(!sched.is_idle(5));
        let watched = sched.clone();
        assert_eq!(sched.wait("the first", None, || 5, move || watched.alive() == 1, || false), Woken::Condition);
        sched.abandon();
        assert_eq!(*outcomes.lock().unwrap(), [Woken::Timeout, Woken::Never]);
    }
}
