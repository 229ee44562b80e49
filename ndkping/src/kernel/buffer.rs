//! Memory for requests: a range of non-paged pool and the MDL that describes it.

use super::TAG;
use core::ptr::{NonNull, null_mut};
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool};
use wdk_sys::{POOL_FLAG_NON_PAGED, PVOID};

/// Zeroed memory with its MDL. NDK reads and writes it while it is registered, so it is only looked at by copying.
pub struct Buffer {
    base: NonNull<u8>,
    length: u32,
    mdl: NonNull<ndk_types::MDL>,
}

// SAFETY: the memory and its MDL belong to this value; whoever copies does so while no request on that part is under way.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `None` without memory, and for none. At or below DISPATCH_LEVEL.
    pub fn try_new(length: u32) -> Option<Self> {
        if length == 0 {
            return None;
        }
        // SAFETY: ExAllocatePool2: non-paged, a non-zero size and tag, at or below DISPATCH_LEVEL.
        let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, length as _, TAG) };
        let base = NonNull::new(memory.cast::<u8>())?;
        // SAFETY: IoAllocateMdl: the range just allocated; no IRP, no quota.
        let mdl = unsafe { IoAllocateMdl(memory, length, 0, 0, null_mut()) };
        let Some(mdl) = NonNull::new(mdl) else {
            free(memory);
            return None;
        };
        // SAFETY: MmBuildMdlForNonPagedPool: a fresh MDL of a range in non-paged pool.
        unsafe { MmBuildMdlForNonPagedPool(mdl.as_ptr()) };
        Some(Self { base, length, mdl: mdl.cast() })
    }

    /// The MDL, as NDK takes it.
    pub fn mdl(&self) -> *mut ndk_types::MDL {
        self.mdl.as_ptr()
    }

    /// The first byte; requests name it by this address (MmGetMdlVirtualAddress of pool is the pool's own).
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes.
    pub fn length(&self) -> u32 {
        self.length
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: IoFreeMdl: ours, of pool, so nothing is locked or mapped.
        unsafe { IoFreeMdl(self.mdl.as_ptr().cast()) };
        free(self.base.as_ptr().cast());
    }
}

fn free(memory: PVOID) {
    // SAFETY: ExFreePoolWithTag: from ExAllocatePool2 with this tag; the callers free each range once.
    unsafe { ExFreePoolWithTag(memory, TAG) };
}
