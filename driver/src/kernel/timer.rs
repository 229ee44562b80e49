//! A high-resolution one-shot timer (W-06): about 1 ms instead of 15.6.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use wdk_sys::ntddk::{ExAllocateTimer, ExCancelTimer, ExDeleteTimer, ExSetTimer};
use wdk_sys::{_EX_TIMER, PEXT_CALLBACK};

/// EX_TIMER_HIGH_RESOLUTION of wdm.h.
const HIGH_RESOLUTION: u32 = 4;

/// Owns an EX_TIMER. Dropped at PASSIVE_LEVEL, never from its own callback: waits until that has returned.
pub struct Timer(NonNull<_EX_TIMER>);

// SAFETY: an EX_TIMER is made to be set from any processor; every access goes through Ex functions.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

impl Timer {
    /// `None` without memory. At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// `callback` may be called with `context` at DISPATCH_LEVEL until this is dropped.
    pub unsafe fn try_new(callback: PEXT_CALLBACK, context: *mut c_void) -> Option<Self> {
        // SAFETY: ExAllocateTimer: the attribute alone; the caller vouches for callback and context.
        let timer = unsafe { ExAllocateTimer(callback, context, HIGH_RESOLUTION) };
        NonNull::new(timer).map(Self)
    }

    /// Once, after `hundred_nanoseconds`, at least one; replaces an earlier setting. At or below DISPATCH_LEVEL.
    pub fn set(&self, hundred_nanoseconds: u64) {
        let after = i64::try_from(hundred_nanoseconds).unwrap_or(i64::MAX).max(1);
        // SAFETY: ExSetTimer: a live timer; high resolution wants a negative (relative) due time; no period, no parameters.
        unsafe { ExSetTimer(self.0.as_ptr(), after.wrapping_neg(), 0, null_mut()) };
    }

    /// Takes an earlier setting back; its callback may be running. At or below DISPATCH_LEVEL.
    pub fn cancel(&self) {
        // SAFETY: ExCancelTimer: a live timer; the parameter is reserved.
        unsafe { ExCancelTimer(self.0.as_ptr(), null_mut()) };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: ExDeleteTimer: a live timer; Cancel and Wait are TRUE at PASSIVE_LEVEL, as the type asks.
        unsafe { ExDeleteTimer(self.0.as_ptr(), 1, 1, null_mut()) };
    }
}
