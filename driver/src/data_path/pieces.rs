//! The bytes of a NET_BUFFER, piece by piece: one for each MDL that holds some.

use core::ptr::{NonNull, null_mut};
use ndk_types::{MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_SOURCE_IS_NONPAGED_POOL, NET_BUFFER};
use wdk_sys::ntddk::MmMapLockedPagesSpecifyCache;
use wdk_sys::{_MEMORY_CACHING_TYPE, _MM_PAGE_PRIORITY, _MODE, KPROCESSOR_MODE, MdlMappingNoExecute};

/// The pieces of a NET_BUFFER, `DataLength` bytes together unless its chain is shorter or cannot be mapped.
///
/// # Safety
/// `buffer` was indicated to us and is not returned while `'a` lasts.
pub unsafe fn pieces<'a>(buffer: &NET_BUFFER) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut at = NonNull::new(buffer.CurrentMdl);
    let mut offset = buffer.CurrentMdlOffset as usize;
    let mut left = buffer.DataLength as usize;
    core::iter::from_fn(move || {
        let place = at.filter(|_| left != 0)?;
        // SAFETY: on the chain of an indicated buffer.
        let mdl = unsafe { place.as_ref() };
        at = NonNull::new(mdl.Next);
        let skipped = core::mem::take(&mut offset);
        let here = (mdl.ByteCount as usize).saturating_sub(skipped).min(left);
        left = left.saturating_sub(here);
        if here == 0 {
            return Some(&[][..]);
        }
        let base = address(place)?;
        // SAFETY: `skipped` is within the MDL's bytes, since some of them are left.
        let first = unsafe { base.add(skipped) };
        // SAFETY: mapped, `here` bytes of the MDL; the driver below leaves them alone until the buffer is returned.
        Some(unsafe { core::slice::from_raw_parts(first.as_ptr(), here) })
    })
}

/// What MmGetSystemAddressForMdlSafe gives, which is inline in C. At or below DISPATCH_LEVEL.
fn address(mdl: NonNull<MDL>) -> Option<NonNull<u8>> {
    // SAFETY: an MDL of an indicated buffer.
    let described = unsafe { mdl.as_ref() };
    if described.MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL) != 0 {
        return NonNull::new(described.MappedSystemVa.cast());
    }
    let priority = _MM_PAGE_PRIORITY::NormalPagePriority as u32 | MdlMappingNoExecute;
    let (mode, cache) = (_MODE::KernelMode as KPROCESSOR_MODE, _MEMORY_CACHING_TYPE::MmCached);
    // SAFETY: MmMapLockedPagesSpecifyCache: locked pages, which are not mapped yet; the MDL's owner unmaps with it.
    let mapped = unsafe { MmMapLockedPagesSpecifyCache(mdl.as_ptr().cast(), mode, cache, null_mut(), 0, priority) };
    NonNull::new(mapped.cast())
}
