//! One worker at a time, that looks at least once after everybody who asked: two bits, no lock, any IRQL.
//!
//! No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

use core::sync::atomic::{AtomicU32, Ordering};

/// The worker is queued or runs.
const BUSY: u32 = 1;
/// It has to look again.
const AGAIN: u32 = 2;

/// Whether a worker is on its way.
#[derive(Debug)]
pub struct Turn(AtomicU32);

impl Turn {
    /// Nobody asked.
    pub const fn idle() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Asks for a look. True: there is no worker, and the caller sends it on its way.
    #[must_use]
    pub fn ask(&self) -> bool {
        self.0.fetch_or(BUSY | AGAIN, Ordering::SeqCst) & BUSY == 0
    }

    /// The worker is about to look.
    pub fn begin(&self) {
        self.0.fetch_and(!AGAIN, Ordering::SeqCst);
    }

    /// The worker has looked. True: it is done. False: somebody asked meanwhile, and it begins again.
    #[must_use]
    pub fn end(&self) -> bool {
        self.0.compare_exchange(BUSY, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}
