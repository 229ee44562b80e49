//! How many instances of an adapter are open, and whether more may be: one word, so that an open and a disable cannot miss
//! each other (ADP-09).

use crate::lock::SpinLock;
use crate::platform::{Platform, Signal};
use crate::shared::Shared;
use crate::sync::{AtomicU32, Ordering};

/// Set while NDK is disabled; the other bits count.
const DISABLED: u32 = 1 << 31;

/// See the module's text.
pub(crate) struct Opened<P: Platform> {
    word: AtomicU32,
    /// Whom the last one to close wakes.
    waiter: SpinLock<Option<Shared<P::Signal>>>,
}

impl<P: Platform> Opened<P> {
    /// None open, NDK enabled.
    pub(crate) fn new() -> Self {
        Self { word: AtomicU32::new(0), waiter: SpinLock::new(None) }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.word.load(Ordering::Acquire) & DISABLED == 0
    }

    pub(crate) fn enable(&self) {
        self.word.fetch_and(!DISABLED, Ordering::AcqRel);
    }

    /// No further instance from now on; how many there are.
    pub(crate) fn disable(&self) -> u32 {
        self.word.fetch_or(DISABLED, Ordering::AcqRel) & !DISABLED
    }

    pub(crate) fn count(&self) -> u32 {
        self.word.load(Ordering::Acquire) & !DISABLED
    }

    /// One more instance, unless NDK is disabled. Whoever got true calls [`Opened::leave`] once.
    pub(crate) fn enter(&self) -> bool {
        let may_enter = |word: u32| (word & DISABLED == 0).then(|| word.checked_add(1)).flatten();
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, may_enter).is_ok()
    }

    /// One instance less.
    pub(crate) fn leave(&self) {
        if self.word.fetch_sub(1, Ordering::AcqRel) & !DISABLED == 1
            && let Some(waiter) = self.waiter.with(Option::take)
        {
            waiter.set();
        }
    }

    /// Waits until none is open; false without memory. PASSIVE_LEVEL.
    pub(crate) fn wait(&self, platform: &P) -> bool {
        let Some(signal) = platform.signal().and_then(Shared::try_new) else { return false };
        {
            let _raised = platform.raise();
            drop(self.waiter.with(|waiter| waiter.replace(signal.clone())));
        }
        // The last one may have left before it could see the waiter. Whoever sees it from here on wakes it.
        if self.count() != 0 {
            platform.wait(&signal);
        }
        let _raised = platform.raise();
        drop(self.waiter.with(Option::take));
        true
    }
}
