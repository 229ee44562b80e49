//! One at a time, without waiting: whoever finds a lane empty goes in, whoever finds it taken leaves a mark and goes, and whoever
//! leaves looks for marks. So posts on a queue pair, polls and arms of its CQ never meet (NDKPI wants them one after the other).

use core::sync::atomic::{AtomicU32, Ordering};

const INSIDE: u32 = 1;
const AGAIN: u32 = 2;
const ENDED: u32 = 4;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lane(AtomicU32);

impl Lane {
    /// Runs `turn` inside, as often as it was asked for meanwhile. True: somebody waits for the lane to be empty, and it is.
    #[must_use]
    pub fn enter(&self, mut turn: impl FnMut()) -> bool {
        self.0.fetch_or(AGAIN, Ordering::AcqRel);
        loop {
            let state = self.0.load(Ordering::Acquire);
            if state & (INSIDE | ENDED) != 0 || state & AGAIN == 0 {
                return false;
            }
            let inside = (state | INSIDE) & !AGAIN;
            if self.0.compare_exchange(state, inside, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            turn();
            if self.0.fetch_and(!INSIDE, Ordering::AcqRel) & ENDED != 0 {
                return true;
            }
        }
    }

    /// From now on nobody goes in; whoever is inside comes out.
    pub fn end(&self) {
        self.0.fetch_or(ENDED, Ordering::AcqRel);
    }

    /// Whether nobody is inside.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & INSIDE == 0
    }
}
