//! Free numbers, oldest first, so that a stale number stays stale for as long as possible.

use crate::bounded;
use crate::lock::SpinLock;
use alloc::collections::VecDeque;
use core::ops::Range;

/// The numbers of a range that nobody has.
pub(super) struct FreeNumbers(SpinLock<VecDeque<u32>>);

impl FreeNumbers {
    /// All of `numbers` free; `None` without memory.
    pub(super) fn try_new(numbers: Range<u32>) -> Option<Self> {
        let mut free = VecDeque::new();
        free.try_reserve_exact(numbers.len()).ok()?;
        free.extend(numbers);
        Some(Self(SpinLock::new(free)))
    }

    /// Takes the number that has been free for longest. At DISPATCH_LEVEL.
    pub(super) fn take(&self) -> Option<u32> {
        self.0.with(VecDeque::pop_front)
    }

    /// Gives a taken number back. At DISPATCH_LEVEL; the room was reserved at the start.
    pub(super) fn give(&self, number: u32) {
        // There is room for every number.
        let _ = self.0.with(|free| bounded::push_back(free, number));
    }
}
