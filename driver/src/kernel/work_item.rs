//! A work item of NDIS: code at PASSIVE_LEVEL, later, with the driver held in memory until it has returned.
//!
//! Of the miniport driver's handle, so that protocol bindings may have one too: a protocol's own handle has no driver object
//! behind it (NdisAllocateIoWorkItem).

use core::ffi::c_void;
use core::ptr::NonNull;
use ndk_types::{
    NDIS_HANDLE, NDIS_IO_WORKITEM_ROUTINE, NdisAllocateIoWorkItem, NdisFreeIoWorkItem, NdisQueueIoWorkItem,
};

/// A work item. Dropped when it is not queued: before, after, or inside its own routine.
pub struct WorkItem(NonNull<c_void>);

// SAFETY: the handle is NDIS's, made to be queued from any thread.
unsafe impl Send for WorkItem {}
// SAFETY: as above; whether it is queued already is the caller's business.
unsafe impl Sync for WorkItem {}

impl WorkItem {
    /// `None` without memory. At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// `owner` is the handle of NdisMRegisterMiniportDriver or of MiniportInitializeEx, and outlives the work item.
    pub unsafe fn try_new(owner: NDIS_HANDLE) -> Option<Self> {
        // SAFETY: the caller's handle.
        NonNull::new(unsafe { NdisAllocateIoWorkItem(owner) }).map(Self)
    }

    /// Has `routine` called once at PASSIVE_LEVEL. At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// It is not queued now, and `context` is valid for `routine` until that has returned.
    pub unsafe fn queue(&self, routine: NDIS_IO_WORKITEM_ROUTINE, context: *mut c_void) {
        // SAFETY: an allocated work item that is not queued; the rest is the caller's promise.
        unsafe { NdisQueueIoWorkItem(self.0.as_ptr(), routine, context) };
    }
}

impl Drop for WorkItem {
    fn drop(&mut self) {
        // SAFETY: allocated in `try_new`, freed once, not queued.
        unsafe { NdisFreeIoWorkItem(self.0.as_ptr()) };
    }
}
