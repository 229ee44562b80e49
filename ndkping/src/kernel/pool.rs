//! One value in non-paged pool under a tag, at an address that never changes.

use core::ops::Deref;
use core::ptr::NonNull;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag};
use wdk_sys::{POOL_FLAG_NON_PAGED, ULONG};

/// Every block of this driver: "nPng" as pool tools show it.
pub const TAG: ULONG = u32::from_le_bytes(*b"nPng");

/// Owns one `T` in non-paged pool. Dropped at or below DISPATCH_LEVEL.
pub struct Block<T>(NonNull<T>);

// SAFETY: a Block is the only owner of its T.
unsafe impl<T: Send> Send for Block<T> {}
// SAFETY: a shared Block gives out &T only.
unsafe impl<T: Sync> Sync for Block<T> {}

impl<T> Block<T> {
    /// `None` without memory. At or below DISPATCH_LEVEL.
    pub fn try_new(value: T) -> Option<Self> {
        // ExAllocatePool2 aligns to 16, and may not be asked for nothing.
        const { assert!(align_of::<T>() <= 16 && size_of::<T>() != 0) };
        // SAFETY: ExAllocatePool2: non-paged, a non-zero size and tag, at or below DISPATCH_LEVEL.
        let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, size_of::<T>() as _, TAG) };
        let place = NonNull::new(memory.cast::<T>())?;
        // SAFETY: the block is ours, large enough and aligned, as asserted.
        unsafe { place.write(value) };
        Some(Self(place))
    }

    /// Gives the block away; [`Block::from_raw`] takes it back.
    pub fn into_raw(self) -> NonNull<T> {
        let place = self.0;
        core::mem::forget(self);
        place
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `place` is from [`Block::into_raw`], once, and nobody uses it any more.
    pub unsafe fn from_raw(place: NonNull<T>) -> Self {
        Self(place)
    }

    /// Where the value is, for callbacks; valid as long as the block.
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Deref for Block<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds an initialised T until drop.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Block<T> {
    fn drop(&mut self) {
        // SAFETY: the value is initialised and nobody uses it any more.
        unsafe { self.0.drop_in_place() };
        // SAFETY: ExFreePoolWithTag: from ExAllocatePool2 with this tag, freed once.
        unsafe { ExFreePoolWithTag(self.0.as_ptr().cast(), TAG) };
    }
}
