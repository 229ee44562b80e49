//! Stand-in for wdk-alloc: the pool as the global allocator, with its tag and its blindness to alignments above 16.

#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use wdk_sys::POOL_FLAG_NON_PAGED;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePool};

/// The allocator.
pub struct WdkAllocator;

const RUST_TAG: u32 = u32::from_ne_bytes(*b"rust");

// SAFETY: ExAllocatePool2 gives blocks of the size asked for, aligned to 16, that stay until they are freed.
unsafe impl GlobalAlloc for WdkAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: at or below DISPATCH_LEVEL for nonpaged pool, as everywhere in a driver.
        let block = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, layout.size(), RUST_TAG) };
        block.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block came from `alloc`.
        unsafe { ExFreePool(block.cast()) };
    }
}
