//! Zeroed non-paged memory that may be refused, from the kernel's pool.

use core::alloc::Layout;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};

const TAG: u32 = u32::from_le_bytes(*b"sNdb");
/// POOL_FLAG_NON_PAGED (wdm.h).
const NON_PAGED: u64 = 0x40;

/// Zeroed memory, 16-aligned, or null; at or below DISPATCH_LEVEL.
///
/// # Safety
/// The layout's size is not zero, its alignment at most 16.
pub unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
    // SAFETY: a size that is not zero; ExAllocatePool2 zeroes by default.
    unsafe { ExAllocatePool2(NON_PAGED, layout.size() as _, TAG) }.cast()
}

/// Gives it back.
///
/// # Safety
/// `memory` came from [`alloc_zeroed`] and is not used again.
pub unsafe fn dealloc(memory: *mut u8, _layout: Layout) {
    // SAFETY: the caller's promise.
    unsafe { ExFreePoolWithTag(memory.cast(), TAG) };
}
