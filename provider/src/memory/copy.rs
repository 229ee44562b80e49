//! `copy_shared`: the one way between a private buffer and memory that a consumer or the wire may touch meanwhile (T-12).
//!
//! Such a race is allowed by contract: whoever writes into a posted buffer gets a mixture of bytes, and nothing else
//! happens. The language has no word for that, so under Miri and ThreadSanitizer the shared side is copied as atomic
//! bytes; elsewhere it is the platform's memcpy, which nothing reads the shared side after or instead of; the last byte that
//! is written is atomic everywhere. The CRC is computed over the private side only.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

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
        let from = unsafe { AtomicU8::from_ptr(from.as_ptr()) };
        *byte = from.load(Ordering::Relaxed);
    }
}

/// Copies `src` into shared memory. Its last byte becomes visible after all others (ADP-19): memcpy alone does not promise that,
/// and does not keep it either for pieces of a few KiB.
///
/// # Safety
/// `src.len()` bytes from `shared` on are writable during the call and belong to no Rust reference.
#[inline]
pub(super) unsafe fn copy_shared_in(shared: NonNull<u8>, src: &[u8]) {
    let Some((last, rest)) = src.split_last() else { return };
    #[cfg(not(any(miri, tsan)))]
    // SAFETY: the caller's contract for the destination; no Rust reference such as `src` covers any of it, so the two do
    // not overlap.
    unsafe {
        core::ptr::copy_nonoverlapping(rest.as_ptr(), shared.as_ptr(), rest.len());
    }
    #[cfg(any(miri, tsan))]
    for (offset, byte) in rest.iter().enumerate() {
        // SAFETY: the caller's contract: `offset` is less than the number of bytes that are writable.
        let to = unsafe { shared.add(offset) };
        // SAFETY: the byte is writable, and every byte is aligned and a valid u8.
        let to = unsafe { AtomicU8::from_ptr(to.as_ptr()) };
        to.store(*byte, Ordering::Relaxed);
    }
    // SAFETY: the caller's contract: the last of the bytes that are writable.
    let to = unsafe { shared.add(rest.len()) };
    // SAFETY: the byte is writable, and every byte is aligned and a valid u8.
    let to = unsafe { AtomicU8::from_ptr(to.as_ptr()) };
    to.store(*last, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::copy_shared_in;
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicU8, Ordering};
    use std::sync::Barrier;
    use std::vec;
    use std::vec::Vec;

    /// Pieces of every kind of length that a memcpy treats in its own way.
    const LENGTHS: &[usize] = if cfg!(miri) { &[1, 2, 9] } else { &[1, 2, 3, 8, 17, 33, 65, 200, 1024, 4000, 4096] };
    const PASSES: u32 = if cfg!(miri) { 1 } else { 40 };
    const LAST: u8 = if cfg!(miri) { 3 } else { u8::MAX };

    /// ADP-19: who sees the last byte of a piece finds all before it, whatever its length.
    #[test]
    fn the_last_byte_comes_last() {
        for &length in LENGTHS {
            for _ in 0..PASSES {
                let shared: Vec<AtomicU8> = (0..length).map(|_| AtomicU8::new(0)).collect();
                let start = Barrier::new(2);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        start.wait();
                        for round in 1..=LAST {
                            let to = NonNull::from(shared.as_slice()).cast::<u8>();
                            // SAFETY: so many atomic bytes, which may be written through a shared reference.
                            unsafe { copy_shared_in(to, &vec![round; length]) };
                        }
                    });
                    start.wait();
                    let mut seen = 0;
                    while seen != LAST {
                        seen = shared[length - 1].load(Ordering::Acquire);
                        assert!(shared.iter().all(|byte| byte.load(Ordering::Relaxed) >= seen), "{length} bytes");
                        std::hint::spin_loop();
                    }
                });
            }
        }
    }
}
