//! How much of ours somebody else still holds, and the wait for the last of it.
//!
//! Entering fails once closed; the wait ends when every entry has left. One word: bit 31 is "closed".

use crate::kernel::Event;
use core::sync::atomic::{AtomicU32, Ordering};

const CLOSED: u32 = 1 << 31;

/// Outstanding operations of one kind.
pub struct Rundown {
    state: AtomicU32,
    empty: Event,
}

impl Rundown {
    /// Closed, with nothing outstanding; `None` without memory.
    pub fn try_new() -> Option<Self> {
        Some(Self { state: AtomicU32::new(CLOSED), empty: Event::try_new()? })
    }

    /// Lets entries in (again); nothing is outstanding and nobody waits.
    pub fn open(&self) {
        self.empty.clear();
        self.state.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// One more, unless closed.
    pub fn enter(&self) -> bool {
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now & CLOSED == 0).then(|| now.saturating_add(1)))
            .is_ok()
    }

    /// `count` fewer; the last one after `close` ends the wait.
    pub fn leave(&self, count: u32) {
        if count == 0 {
            return;
        }
        let before = self.state.fetch_sub(count, Ordering::AcqRel);
        if before == CLOSED.wrapping_add(count) {
            self.empty.set();
        }
    }

    /// Lets nothing more in. True: nothing is outstanding now, and no wait is needed.
    pub fn close(&self) -> bool {
        let before = self.state.fetch_or(CLOSED, Ordering::AcqRel);
        before & !CLOSED == 0
    }

    /// Closes, and waits for the last to leave; PASSIVE_LEVEL. Once per `open`.
    pub fn close_and_wait(&self) {
        if !self.close() {
            self.empty.wait();
        }
    }

    /// How many are outstanding.
    pub fn outstanding(&self) -> u32 {
        self.state.load(Ordering::Acquire) & !CLOSED
    }
}
