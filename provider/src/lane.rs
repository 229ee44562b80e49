//! The lane: the one concurrency primitive of the data path (DESIGN section 3).
//!
//! A lane owns a core. Whoever finds the lane idle runs the core; whoever finds it busy leaves a mark and goes, and the
//! runner takes another turn. Nobody spins, nobody waits, and coming back in from a consumer's callback is just "once
//! more". Entering acquires what the last one who left released (T-12), so the core needs no atomics of its own.
//!
//! The runner must be at DISPATCH_LEVEL, or a preempted one would stall the lane (T-11); raising is the caller's. One word,
//! changed by read-modify-write only (T-14).
//!
//! A mark is never lost: either the runner takes another turn for it, or it stays on an idle lane, where the next one who
//! enters answers it by entering. The latter happens when a runner goes without [`Entered::leave`] (its budget is spent,
//! T-10) and to [`Lane::mark`]: whoever does one of these sees to it that somebody kicks later.

use crate::sync::{AtomicU32, Ordering, UnsafeCell};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

const IDLE: u32 = 0;
const RUNNING: u32 = 1;
const MARKED: u32 = 2;

/// A core that one caller at a time runs.
#[derive(Debug, Default)]
pub struct Lane<T> {
    word: AtomicU32,
    core: UnsafeCell<T>,
}

// SAFETY: the core is reached by one thread at a time, which may be any.
unsafe impl<T: Send> Send for Lane<T> {}
// SAFETY: `Entered` exists at most once at any time (see `try_enter`), and only it reaches the core.
unsafe impl<T: Send> Sync for Lane<T> {}

impl<T> Lane<T> {
    /// An idle lane.
    pub fn new(core: T) -> Self {
        Self { word: AtomicU32::new(IDLE), core: UnsafeCell::new(core) }
    }

    /// Enters the lane when it is idle. When it is not, leaves a mark: whoever is inside takes another turn before it
    /// leaves, and sees everything this caller did before.
    pub fn try_enter(&self) -> Option<Entered<'_, T>> {
        if self.word.compare_exchange(IDLE, RUNNING, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return Some(Entered { lane: self, _not_shared: PhantomData });
        }
        // Either the runner is still inside and will see the mark, or nobody is and the lane is ours.
        if self.word.fetch_or(RUNNING | MARKED, Ordering::AcqRel) & RUNNING != 0 {
            return None;
        }
        // The mark, our own and perhaps an older one, is answered by the turn that begins.
        self.word.fetch_and(!MARKED, Ordering::AcqRel);
        Some(Entered { lane: self, _not_shared: PhantomData })
    }

    /// Leaves a mark without entering. False: nobody is inside, so somebody has to be made to kick (a deferred call).
    pub fn mark(&self) -> bool {
        self.word.fetch_or(MARKED, Ordering::AcqRel) & RUNNING != 0
    }

    /// Runs `turn` on the core until no mark is left, or leaves a mark. True when this caller ran it.
    pub fn kick(&self, mut turn: impl FnMut(&mut T)) -> bool {
        let Some(mut entered) = self.try_enter() else {
            return false;
        };
        loop {
            turn(&mut entered);
            match entered.leave() {
                Ok(()) => return true,
                Err(again) => entered = again,
            }
        }
    }
}

/// The right to the core, until [`Entered::leave`].
#[derive(Debug)]
#[must_use]
pub struct Entered<'a, T> {
    lane: &'a Lane<T>,
    /// Not Sync, since a `&Entered` gives a `&T` and T need not be; not Send, since the processor was raised for it.
    _not_shared: PhantomData<*mut T>,
}

impl<T> Entered<'_, T> {
    /// Leaves. `Err`: somebody left a mark meanwhile; take another turn.
    pub fn leave(self) -> Result<(), Self> {
        let this = ManuallyDrop::new(self);
        let lane = this.lane;
        if lane.word.compare_exchange(RUNNING, IDLE, Ordering::Release, Ordering::Relaxed).is_ok() {
            return Ok(());
        }
        lane.word.fetch_and(!MARKED, Ordering::AcqRel);
        Err(Entered { lane, _not_shared: PhantomData })
    }
}

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lane.core.with(|core| {
            // SAFETY: the lane's word went from IDLE to RUNNING by the thread that made this guard, the only one there
            // is, so nobody else reaches the core until it is left.
            unsafe { &*core }
        })
    }
}

impl<T> DerefMut for Entered<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lane.core.with_mut(|core| {
            // SAFETY: as in `deref`; `self` is borrowed for as long as the reference.
            unsafe { &mut *core }
        })
    }
}

impl<T> Drop for Entered<'_, T> {
    /// Goes without a further turn. Marks stay; whoever does this sees to a later kick, or knows that none is needed.
    fn drop(&mut self) {
        self.lane.word.fetch_and(!RUNNING, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn coming_back_in_from_inside_is_once_more() {
        let lane = Lane::new(0);
        let turns = Cell::new(0);
        assert!(lane.kick(|core| {
            *core += 1;
            turns.set(turns.get() + 1);
            if turns.get() < 3 {
                assert!(!lane.kick(|_| panic!("nested")));
            }
        }));
        assert_eq!(turns.get(), 3);
    }

    #[test]
    fn a_mark_left_while_inside_asks_for_one_more_turn() {
        let lane = Lane::new(());
        let entered = lane.try_enter().unwrap();
        assert!(lane.try_enter().is_none());
        assert!(lane.mark());
        let entered = entered.leave().unwrap_err();
        assert!(entered.leave().is_ok());
    }

    /// T-10
    #[test]
    fn a_runner_that_goes_without_leaving_leaves_the_mark_for_the_next_one() {
        let lane = Lane::new(());
        let entered = lane.try_enter().unwrap();
        assert!(lane.try_enter().is_none());
        drop(entered);
        let turns = Cell::new(0);
        assert!(lane.kick(|()| turns.set(turns.get() + 1)));
        assert_eq!(turns.get(), 1, "entering answers the mark");
        assert!(lane.try_enter().unwrap().leave().is_ok());
    }

    #[test]
    fn a_mark_on_an_idle_lane_is_answered_by_the_next_kick() {
        let lane = Lane::new(());
        assert!(!lane.mark());
        let turns = Cell::new(0);
        assert!(lane.kick(|()| turns.set(turns.get() + 1)));
        assert_eq!(turns.get(), 1);
    }

    #[test]
    fn no_mark_is_lost_between_threads() {
        use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
        let rounds = if cfg!(miri) { 50 } else { 2_000 };
        let posted = AtomicU64::new(0);
        let lane = Lane::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        posted.fetch_add(1, SeqCst);
                        lane.kick(|seen| *seen += posted.swap(0, SeqCst));
                    }
                });
            }
        });
        lane.kick(|seen| assert_eq!(*seen, 4 * rounds));
    }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;

    /// T-14: the word is changed by read-modify-write only, so the model is exact.
    #[test]
    fn whatever_was_done_before_a_kick_is_seen_by_a_turn() {
        loom::model(|| {
            let shared = Arc::new((AtomicU32::new(0), Lane::new(0u32)));
            let other = shared.clone();
            let kick = |shared: &(AtomicU32, Lane<u32>)| {
                shared.0.fetch_add(1, Ordering::Relaxed);
                shared.1.kick(|seen| *seen = shared.0.load(Ordering::Relaxed));
            };
            let thread = loom::thread::spawn(move || kick(&other));
            kick(&shared);
            thread.join().unwrap();
            let mut last = 0;
            shared.1.kick(|seen| last = (*seen).max(last));
            let mut entered = shared.1.try_enter().unwrap();
            assert_eq!(*entered, 2);
            *entered = 0;
            assert!(entered.leave().is_ok());
        });
    }
    /// T-12, T-14: three kickers; a turn after the last kick sees what all of them did, and nobody meets anybody inside.
    #[test]
    fn three_kickers_and_no_lost_wake_up() {
        loom::model(|| {
            let shared = Arc::new((AtomicU32::new(0), Lane::new(0u32)));
            let kick = |shared: &(AtomicU32, Lane<u32>)| {
                shared.0.fetch_add(1, Ordering::Relaxed);
                shared.1.kick(|seen| *seen = shared.0.load(Ordering::Relaxed));
            };
            let threads = [0, 1].map(|_| {
                let other = shared.clone();
                loom::thread::spawn(move || kick(&other))
            });
            kick(&shared);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(*shared.1.try_enter().unwrap(), 3);
        });
    }

    /// T-10: a runner whose budget is spent goes, and has a deferred call kick; the mark it did not answer is answered.
    #[test]
    fn a_runner_that_goes_early_loses_nothing_if_it_has_somebody_kick() {
        loom::model(|| {
            let shared = Arc::new((AtomicU32::new(0), Lane::new(0u32)));
            let other = shared.clone();
            let thread = loom::thread::spawn(move || {
                other.0.fetch_add(1, Ordering::Relaxed);
                other.1.kick(|seen| *seen = other.0.load(Ordering::Relaxed));
            });
            let went_early = shared.1.try_enter().map(drop).is_some();
            thread.join().unwrap();
            // Otherwise the other one was inside, and has seen its own work there.
            if went_early {
                shared.1.kick(|seen| *seen = shared.0.load(Ordering::Relaxed));
            }
            assert_eq!(*shared.1.try_enter().unwrap(), 1);
        });
    }
}
