//! NdkBuildLAM and NdkReleaseLAM: logical addresses for a consumer's pages (DESIGN D4).
//!
//! Building maps the pages for ourselves and completes inline, always (LAM-17): the consumer may free its MDL at once
//! (LAM-12, OQ-61). What the consumer gets are addresses in `memory`'s logical space, one a page; the context is the first
//! of them, checked again when it comes back.

use crate::adapter::Adapter;
use crate::limits::PAGE_SIZE;
use crate::memory::{MAPPING_SIZE_MAX, mdl};
use crate::object::Borrowed;
use crate::platform::{MapFailure, Platform};
use core::ffi::c_void;
use core::mem::offset_of;
use core::ptr::NonNull;
use ndk_types::{
    MDL, NDK_ADAPTER, NDK_FN_REQUEST_COMPLETION, NDK_LOGICAL_ADDRESS_MAPPING, NTSTATUS, STATUS_BUFFER_TOO_SMALL,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

/// Bytes before the page array.
const HEADER_SIZE: u32 = offset_of!(NDK_LOGICAL_ADDRESS_MAPPING, AdapterPageArray) as u32;
/// Bytes of one entry.
const ENTRY_SIZE: u32 = size_of::<i64>() as u32;

/// The status for pages that cannot be mapped.
pub(crate) const fn map_failure(failure: MapFailure) -> NTSTATUS {
    match failure {
        MapFailure::NoResources => STATUS_INSUFFICIENT_RESOURCES,
        MapFailure::Unsupported => STATUS_INVALID_PARAMETER,
    }
}

/// What a chain needs: its first byte's offset (FBO) and its pages.
struct Span {
    first_byte: u32,
    pages: u32,
}

/// The pages that `length` bytes of a chain span; `None` when it is no valid one (LAM-01, LAM-15).
///
/// # Safety
/// As [`mdl::describe`].
unsafe fn span(mdl: *const MDL, length: usize) -> Option<Span> {
    if length == 0 || length > MAPPING_SIZE_MAX {
        return None;
    }
    // SAFETY: the caller's contract.
    let described = unsafe { mdl::describe(mdl, length) }?;
    let first_byte = described.byte_offset;
    let pages = length.checked_add(first_byte as usize)?.div_ceil(PAGE_SIZE);
    ((first_byte as usize) < PAGE_SIZE).then_some(Span { first_byte, pages: u32::try_from(pages).ok()? })
}

/// Maps the chain and gives it addresses.
///
/// # Safety
/// `mdl` heads a chain that [`span`] accepted for `length`, of locked pages (NDKPI build_lam).
unsafe fn build<P: Platform>(
    adapter: &Borrowed<'_, Adapter<P>>,
    mdl: NonNull<MDL>,
    length: usize,
    first_byte: u32,
) -> Result<u64, NTSTATUS> {
    let port = &adapter.port;
    // SAFETY: the caller's contract: locked, contiguous, long enough. The privileged token grants local write.
    let mapping = unsafe { port.platform.map(mdl, length, true) }.map_err(map_failure)?;
    let _raised = port.platform.raise();
    port.regions.logical().insert(mapping, first_byte).ok_or(STATUS_INSUFFICIENT_RESOURCES)
}

/// Fills the consumer's structure.
///
/// # Safety
/// `HEADER_SIZE + pages * ENTRY_SIZE` bytes at `lam` are writable.
unsafe fn store(lam: *mut NDK_LOGICAL_ADDRESS_MAPPING, address: u64, pages: u32) {
    let bytes = lam.cast::<u8>();
    let context = bytes.wrapping_add(offset_of!(NDK_LOGICAL_ADDRESS_MAPPING, AdapterContext)).cast::<[u8; 8]>();
    // SAFETY: the caller's contract: within the header; the consumer's buffer need not be aligned.
    unsafe { context.write(address.to_ne_bytes()) };
    let count = bytes.wrapping_add(offset_of!(NDK_LOGICAL_ADDRESS_MAPPING, AdapterPageCount)).cast::<[u8; 4]>();
    // SAFETY: as above.
    unsafe { count.write(pages.to_ne_bytes()) };
    let array = bytes.wrapping_add(HEADER_SIZE as usize).cast::<[u8; ENTRY_SIZE as usize]>();
    for number in 0..pages as usize {
        let page = address.wrapping_add((number as u64).wrapping_mul(PAGE_SIZE as u64));
        // SAFETY: the caller's contract: room for `pages` entries after the header.
        unsafe { array.wrapping_add(number).write(page.to_ne_bytes()) };
    }
}

ndk_types::abi! {
    /// NdkBuildLAM: LAM-01 to LAM-09, LAM-12 to LAM-17. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI build_lam.
    pub(crate) unsafe extern "C" fn ndk_build_lam<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        mdl: *mut MDL,
        length: usize,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
        lam: *mut NDK_LOGICAL_ADDRESS_MAPPING,
        lam_size: *mut u32,
        fbo: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        // SAFETY: NDKPI: the chain stays valid during the call.
        let Some((mdl, Span { first_byte, pages })) = NonNull::new(mdl).zip(unsafe { span(mdl, length) }) else {
            return STATUS_INVALID_PARAMETER;
        };
        let needed = HEADER_SIZE.saturating_add(pages.saturating_mul(ENTRY_SIZE));
        // SAFETY: NDKPI: pLAMSize is valid.
        let room = unsafe { lam_size.replace(needed) };
        if lam.is_null() || room < needed {
            return STATUS_BUFFER_TOO_SMALL;
        }
        // SAFETY: NDKPI: the pages are locked; `span` accepted the chain.
        let address = match unsafe { build(&adapter, mdl, length, first_byte) } {
            Ok(address) => address,
            Err(status) => return status,
        };
        // SAFETY: NDKPI: `room` bytes are writable, and that is at least what `pages` need.
        unsafe { store(lam, address, pages) };
        // SAFETY: NDKPI: pFBO is valid.
        unsafe { fbo.write(first_byte) };
        STATUS_SUCCESS
    }

    /// NdkReleaseLAM: LAM-11. At or below DISPATCH_LEVEL. Regions that were fast-registered over the pages keep them until
    /// they are invalidated.
    ///
    /// # Safety
    /// NDKPI release_lam.
    pub(crate) unsafe extern "C" fn ndk_release_lam<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        lam: *mut NDK_LOGICAL_ADDRESS_MAPPING,
    ) {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        let context = lam.cast::<u8>().wrapping_add(offset_of!(NDK_LOGICAL_ADDRESS_MAPPING, AdapterContext));
        // SAFETY: NDKPI: the structure that NdkBuildLAM filled, still readable.
        let address = u64::from_ne_bytes(unsafe { context.cast::<[u8; 8]>().read() });
        let port = &adapter.port;
        let _raised = port.platform.raise();
        port.regions.logical().release(address);
    }
}
