//! `SpinLock`: for control paths (creating, connecting, tables), never for posting, polling, arming or flushing.
//!
//! The only way in is a closure, so a guard cannot be kept across a consumer's callback or an NDIS call; none is made
//! inside. Callers are at DISPATCH_LEVEL, or raise first ([`crate::platform::Platform::raise`]): a preempted holder would
//! keep other processors spinning.

use crate::sync::{AtomicBool, Ordering, UnsafeCell, spin_hint};

/// A value that one thread at a time reaches.
#[derive(Debug, Default)]
pub struct SpinLock<T> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time, which may be any.
unsafe impl<T: Send> Send for SpinLock<T> {}
// SAFETY: `with` gives out the value to one caller at a time (see `held`).
unsafe impl<T: Send> Sync for SpinLock<T> {}

struct Held<'a>(&'a AtomicBool);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<T> SpinLock<T> {
    /// A free lock.
    pub fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `f` with the value, alone. Not to be entered again from inside `f`.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        while self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spin_hint();
        }
        let _held = Held(&self.held);
        self.value.with_mut(|value| {
            // SAFETY: `held` went from false to true by this thread, so no other reference to the value exists until it
            // is set back, after `f` returned.
            f(unsafe { &mut *value })
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn increments_from_many_threads_are_all_counted() {
        let rounds = if cfg!(miri) { 20 } else { 500 };
        let lock = SpinLock::new(0u32);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..rounds).for_each(|_| lock.with(|value| *value += 1)));
            }
        });
        assert_eq!(lock.with(|value| *value), 4 * rounds);
    }
}
