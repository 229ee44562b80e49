//! DISPATCH_LEVEL for as long as a value lives (T-11).

use core::marker::PhantomData;
use wdk_sys::KIRQL;
use wdk_sys::ntddk::{KeLowerIrql, KfRaiseIrql};

/// DISPATCH_LEVEL of wdm.h.
const DISPATCH_LEVEL: KIRQL = 2;

/// While it lives, the processor is at DISPATCH_LEVEL. Dropped on the processor and in the order it was made: not `Send`.
#[must_use]
pub struct Raised {
    before: KIRQL,
    here: PhantomData<*mut ()>,
}

impl Raised {
    /// Raises; at or below DISPATCH_LEVEL.
    pub fn new() -> Self {
        // SAFETY: KfRaiseIrql: the new IRQL is not below the current one, since no code of this driver runs above it.
        let before = unsafe { KfRaiseIrql(DISPATCH_LEVEL) };
        Self { before, here: PhantomData }
    }
}

impl Default for Raised {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // SAFETY: KeLowerIrql: `before` is what the matching KfRaiseIrql returned.
        unsafe { KeLowerIrql(self.before) };
    }
}
