//! Room for the samples of a run, in non-paged pool: taken at any IRQL, looked at when the run is over.

use crate::kernel::TAG;
use core::ptr::NonNull;
use wdk_sys::POOL_FLAG_NON_PAGED;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};

/// A list of numbers that never grows.
pub struct Samples {
    base: NonNull<u64>,
    room: usize,
    taken: usize,
}

// SAFETY: the only owner of its memory.
unsafe impl Send for Samples {}

impl Samples {
    /// `None` without memory. At or below DISPATCH_LEVEL.
    pub fn try_new(room: u32) -> Option<Self> {
        let room = room.max(1) as usize;
        let bytes = room.checked_mul(size_of::<u64>())?;
        // SAFETY: ExAllocatePool2: non-paged, a non-zero size and tag, at or below DISPATCH_LEVEL.
        let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes as _, TAG) };
        Some(Self { base: NonNull::new(memory.cast())?, room, taken: 0 })
    }

    /// Takes a sample, if there is room.
    pub fn push(&mut self, sample: u64) {
        if self.taken < self.room {
            // SAFETY: below `room`, which was allocated.
            let place = unsafe { self.base.add(self.taken) };
            // SAFETY: ours, aligned to 16 by the pool.
            unsafe { place.write(sample) };
            self.taken += 1;
        }
    }

    /// What was taken.
    pub fn taken(&mut self) -> &mut [u64] {
        // SAFETY: so many were written, and nobody else has them.
        unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr(), self.taken) }
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.taken = 0;
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // SAFETY: ExFreePoolWithTag: from ExAllocatePool2 with this tag, freed once.
        unsafe { ExFreePoolWithTag(self.base.as_ptr().cast(), TAG) };
    }
}
