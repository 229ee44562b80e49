//! A deferred procedure call that is rid of before its memory is.

use super::Block;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use wdk_sys::ntddk::{KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc};
use wdk_sys::{KDPC, PKDEFERRED_ROUTINE};

/// A KDPC at a fixed address. Dropped at PASSIVE_LEVEL, never from its own routine.
pub struct Dpc(Block<UnsafeCell<KDPC>>);

// SAFETY: a KDPC is made to be queued from any processor; every access goes through Ke functions.
unsafe impl Send for Dpc {}
// SAFETY: as above.
unsafe impl Sync for Dpc {}

impl Dpc {
    /// `None` without memory. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `routine` may be called with `context` at DISPATCH_LEVEL until this is dropped.
    pub unsafe fn try_new(routine: PKDEFERRED_ROUTINE, context: *mut c_void) -> Option<Self> {
        // SAFETY: a KDPC of zeroes is a value; KeInitializeDpc writes what counts.
        let zeroes = unsafe { core::mem::zeroed::<KDPC>() };
        let block = Block::try_new(UnsafeCell::new(zeroes))?;
        // SAFETY: KeInitializeDpc: resident storage that nobody else knows yet.
        unsafe { KeInitializeDpc(block.get(), routine, context) };
        Some(Self(block))
    }

    /// Queues it; once, however often asked before it runs. Any IRQL.
    pub fn queue(&self) {
        // SAFETY: KeInsertQueueDpc: an initialised DPC.
        unsafe { KeInsertQueueDpc(self.0.get(), null_mut(), null_mut()) };
    }
}

impl Drop for Dpc {
    fn drop(&mut self) {
        // SAFETY: KeRemoveQueueDpc: an initialised DPC.
        unsafe { KeRemoveQueueDpc(self.0.get()) };
        // One that was taken off the queue by a processor may still run.
        // SAFETY: KeFlushQueuedDpcs: PASSIVE_LEVEL, as the type asks.
        unsafe { KeFlushQueuedDpcs() };
    }
}
