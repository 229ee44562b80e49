//! `copy_shared`: the one way between a private buffer and memory that a consumer or the wire may touch meanwhile (T-12).
//!
//! Such a race is allowed by contract: whoever writes into a posted buffer gets a mixture of bytes, and nothing else
//! happens. The language has no word for that, so under Miri and ThreadSanitizer the shared side is copied as atomic
//! bytes; elsewhere it is the platform's memcpy, which nothing reads the shared side after or instead of. The CRC is
//! computed over the private side only.

use core::ptr::NonNull;

/// Copies shared memory out, into `dst`.
///
/// # Safety
/// `dst.len()` bytes from `shared` on are readable during the call and belong to no Rust reference.
#[inline]
pub(super) unsafe fn copy_shared_out(shared: NonNull<u8>, dst: &mut [u8]) {
    #[cfg(not(any(miri, tsan)))]
    // SAFETY: the caller's contract for the source; `dst` is ours alone, so the two do not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(shared.as_ptr(), dst.as_mut_ptr(), dst.len());
    }
    #[cfg(any(miri, tsan))]
    for (offset, byte) in dst.iter_mut().enumerate() {
        // SAFETY: the caller's contract: `offset` is less than the number of bytes that are readable.
        let from = unsafe { shared.add(offset) };
        // SAFETY: the byte is readable, and every byte is aligned and a valid u8.
        let from = unsafe { core::sync::atomic::AtomicU8::from_ptr(from.as_ptr()) };
        *byte = from.load(core::sync::atomic::Ordering::Relaxed);
    }
}

/// Copies `src` into shared memory.
///
/// # Safety
/// `src.len()` bytes from `shared` on are writable during the call and belong to no Rust reference.
#[inline]
pub(super) unsafe fn copy_shared_in(shared: NonNull<u8>, src: &[u8]) {
    #[cfg(not(any(miri, tsan)))]
    // SAFETY: the caller's contract for the destination; no Rust reference such as `src` covers any of it, so the two do
    // not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(src.as_ptr(), shared.as_ptr(), src.len());
    }
    #[cfg(any(miri, tsan))]
    for (offset, byte) in src.iter().enumerate() {
        // SAFETY: the caller's contract: `offset` is less than the number of bytes that are writable.
        let to = unsafe { shared.add(offset) };
        // SAFETY: the byte is writable, and every byte is aligned and a valid u8.
        let to = unsafe { core::sync::atomic::AtomicU8::from_ptr(to.as_ptr()) };
        to.store(*byte, core::sync::atomic::Ordering::Relaxed);
    }
}
