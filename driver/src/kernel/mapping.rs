//! Private mappings of a consumer's pages (W-10 to W-12): they outlive the consumer's MDL.
//!
//! One MDL of ours takes the page numbers of the whole chain, so that the mapping is virtually contiguous whatever the chain
//! is. Memory of the non-paged pool has an address already and may not be mapped again. At or below DISPATCH_LEVEL.

use core::ptr::{NonNull, null_mut};
use ndk_provider::platform::{MapFailure, Mapping};
use ndk_types::{MDL, MDL_IO_SPACE, MDL_PARTIAL, MDL_SOURCE_IS_NONPAGED_POOL};
use wdk_sys::ntddk::{IoAllocateMdl, IoFreeMdl, MmMapLockedPagesSpecifyCache};
use wdk_sys::{_MEMORY_CACHING_TYPE, _MM_PAGE_PRIORITY, _MODE, KPROCESSOR_MODE, PMDL};

const PAGE: usize = 4096;
/// MdlMappingNoWrite and MdlMappingNoExecute of wdm.h.
const NO_WRITE: u32 = 0x8000_0000;
const NO_EXECUTE: u32 = 0x4000_0000;

/// `len` bytes of a consumer at an address of ours.
pub struct KernelMapping {
    base: NonNull<u8>,
    len: usize,
    /// Ours, with the mapping; `None` for pool.
    mdl: Option<NonNull<MDL>>,
}

// SAFETY: the mapping is system space, reachable from every thread; the MDL is freed by the owner alone.
unsafe impl Send for KernelMapping {}
// SAFETY: as above; a shared mapping gives out its address only.
unsafe impl Sync for KernelMapping {}

// SAFETY: `map` mapped `len` bytes, with write access if asked, resident until drop; pool stays as long as the consumer's
// registration, which NDKPI lets it free only after deregistering.
unsafe impl Mapping for KernelMapping {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.len
    }
}

impl Drop for KernelMapping {
    fn drop(&mut self) {
        if let Some(mdl) = self.mdl {
            // SAFETY: IoFreeMdl: ours, allocated by IoAllocateMdl, partial: it takes the mapping with it (W-11).
            unsafe { IoFreeMdl(mdl.as_ptr().cast()) };
        }
    }
}

/// The elements of a chain that hold its first `length` bytes, with how many of them each holds.
///
/// # Safety
/// As [`map`].
unsafe fn elements(chain: NonNull<MDL>, length: usize) -> impl Iterator<Item = &'static MDL> {
    let (mut next, mut left) = (Some(chain), length);
    core::iter::from_fn(move || {
        // SAFETY: the caller's chain, valid while it is looked at.
        let element = unsafe { next.filter(|_| left != 0)?.as_ref() };
        left = left.saturating_sub(element.ByteCount as usize);
        next = NonNull::new(element.Next);
        Some(element)
    })
}

/// Maps the first `length` bytes of a chain.
///
/// # Safety
/// `chain` heads locked, virtually contiguous MDLs that stay valid during the call and cover `length` bytes.
pub unsafe fn map(chain: NonNull<MDL>, length: usize, writable: bool) -> Result<KernelMapping, MapFailure> {
    // SAFETY: the caller's contract.
    let all = || unsafe { elements(chain, length) };
    if all().any(|element| element.MdlFlags & MDL_IO_SPACE != 0) {
        return Err(MapFailure::Unsupported);
    }
    let pool = all().filter(|element| element.MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL != 0).count();
    if pool != 0 {
        return if pool == all().count() { in_pool(all(), length) } else { Err(MapFailure::Unsupported) };
    }
    let size = u32::try_from(length).map_err(|_| MapFailure::NoResources)?;
    // SAFETY: as above.
    let first = unsafe { chain.as_ref() };
    let start = first.StartVa.map_addr(|start| start.wrapping_add(first.ByteOffset as usize));
    // SAFETY: IoAllocateMdl: the address is only counted with; no IRP, no quota.
    let mdl = unsafe { IoAllocateMdl(start, size, 0, 0, null_mut()) };
    let mdl = NonNull::new(mdl.cast::<MDL>()).ok_or(MapFailure::NoResources)?;
    describe(mdl, first, all());
    let mut mapping = KernelMapping { base: mdl.cast(), len: length, mdl: Some(mdl) };
    mapping.base = map_mdl(mdl, writable).ok_or(MapFailure::NoResources)?;
    Ok(mapping)
}

/// Memory of the pool has its address; the elements must follow each other there too.
fn in_pool(all: impl Iterator<Item = &'static MDL>, length: usize) -> Result<KernelMapping, MapFailure> {
    let mut base = None;
    let mut expected = 0;
    for element in all {
        let at = element.MappedSystemVa.cast::<u8>();
        if *base.get_or_insert(at) != at && at.addr() != expected {
            return Err(MapFailure::Unsupported);
        }
        expected = at.addr().wrapping_add(element.ByteCount as usize);
    }
    let base = base.and_then(NonNull::new).ok_or(MapFailure::Unsupported)?;
    Ok(KernelMapping { base, len: length, mdl: None })
}

/// Makes the new MDL a partial one of the chain: its page numbers, its process.
fn describe(mdl: NonNull<MDL>, first: &MDL, all: impl Iterator<Item = &'static MDL>) {
    // SAFETY: freshly allocated, ours alone.
    let ours = unsafe { &mut *mdl.as_ptr() };
    ours.Process = first.Process;
    ours.MdlFlags |= MDL_PARTIAL;
    let room = pages(ours.ByteOffset as usize, ours.ByteCount as usize);
    let numbers = mdl.as_ptr().wrapping_add(1).cast::<usize>();
    let origin = ours.StartVa.addr();
    for element in all {
        let from = core::ptr::from_ref(element).wrapping_add(1).cast::<usize>();
        let place = element.StartVa.addr().wrapping_sub(origin) / PAGE;
        let count = pages(element.ByteOffset as usize, element.ByteCount as usize);
        for page in 0..count.min(room.saturating_sub(place)) {
            // SAFETY: an MDL is followed by one number for each page it spans; `page` is below that count.
            let number = unsafe { from.wrapping_add(page).read() };
            // SAFETY: below `room`, the pages that IoAllocateMdl made place for.
            unsafe { numbers.wrapping_add(place).wrapping_add(page).write(number) };
        }
    }
}

fn map_mdl(mdl: NonNull<MDL>, writable: bool) -> Option<NonNull<u8>> {
    let priority = _MM_PAGE_PRIORITY::NormalPagePriority as u32 | NO_EXECUTE | if writable { 0 } else { NO_WRITE };
    let mdl: PMDL = mdl.as_ptr().cast();
    let mode = _MODE::KernelMode as KPROCESSOR_MODE;
    // SAFETY: MmMapLockedPagesSpecifyCache: pages the consumer locked, kernel mode, cached, no bug check on failure.
    let base =
        unsafe { MmMapLockedPagesSpecifyCache(mdl, mode, _MEMORY_CACHING_TYPE::MmCached, null_mut(), 0, priority) };
    NonNull::new(base.cast())
}

/// Pages that `bytes` bytes from `offset` in a page on touch.
fn pages(offset: usize, bytes: usize) -> usize {
    (offset % PAGE).saturating_add(bytes).div_ceil(PAGE)
}
