//! The upper edge's pause and run (W-08), and what it has under way: one word, no lock, any IRQL.
//!
//! Exactly one caller is told that a pause is complete: the one who closed when nothing was under way, or the last to leave
//! after it. No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

use core::sync::atomic::{AtomicU32, Ordering};

/// Set while NET_BUFFER_LISTs may pass.
const RUNNING: u32 = 1 << 31;

/// Whether NET_BUFFER_LISTs pass, and how many are owed back.
#[derive(Debug, Default)]
pub struct Traffic(AtomicU32);

impl Traffic {
    /// Paused, as NDIS has a miniport after initialisation.
    pub const fn paused() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Restart: NET_BUFFER_LISTs pass from now on.
    pub fn restart(&self) {
        self.0.fetch_or(RUNNING, Ordering::AcqRel);
    }

    /// Pause: nothing enters from now on. True if nothing is under way: the pause is complete.
    #[must_use]
    pub fn pause(&self) -> bool {
        self.0.fetch_and(!RUNNING, Ordering::AcqRel) & !RUNNING == 0
    }

    /// Whether NET_BUFFER_LISTs pass.
    pub fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) & RUNNING != 0
    }

    /// How many are under way.
    pub fn under_way(&self) -> u32 {
        self.0.load(Ordering::Acquire) & !RUNNING
    }

    /// `count` more are under way; false, and nothing changes, while paused.
    #[must_use]
    pub fn enter(&self, count: u32) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                let sum = (word & !RUNNING).checked_add(count).filter(|sum| sum & RUNNING == 0)?;
                (word & RUNNING != 0).then_some(RUNNING | sum)
            })
            .is_ok()
    }

    /// `count` of those that entered are done. True if they were the last and a pause waits: the pause is complete.
    #[must_use]
    pub fn leave(&self, count: u32) -> bool {
        count != 0 && self.0.fetch_sub(count, Ordering::AcqRel).wrapping_sub(count) == 0
    }
}
