//! Memory as a consumer has it: a buffer, and an MDL that describes it.
//!
//! The MDL's virtual address is not the buffer's: a provider that follows it, instead of taking it as an index (MR-07),
//! faults. What a provider may use is the mapping, which the simulated system makes from `MappedSystemVa`.

use ndk_types::{MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED};
use std::cell::UnsafeCell;

/// Where the virtual addresses of buffers start: never mapped in this process.
const INDEX_BASE: usize = 0xffff_9000_0000_0000;
/// Bytes on either side of a buffer that nobody may change.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xc7;

/// A buffer of a consumer. The provider reads and writes it through its own mapping at any time while it is registered, so
/// the consumer looks at it only by copying, too.
pub struct Buffer {
    bytes: Box<[UnsafeCell<u8>]>,
    length: usize,
    va: usize,
}

// SAFETY: plain bytes in cells, shared with the provider's mapping alone. Whoever looks at a range or fills it does so while no
// request on it is under way, as a consumer of NDK does; the functions below copy and keep no reference.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `length` zero bytes whose virtual address has the byte offset `offset` in its page.
    pub fn new(length: usize, offset: usize) -> Self {
        let guarded = |at: usize| if (GUARD..GUARD + length).contains(&at) { 0 } else { GUARD_BYTE };
        let bytes = (0..length + 2 * GUARD).map(|at| UnsafeCell::new(guarded(at))).collect();
        Self { bytes, length, va: INDEX_BASE + offset % 4096 }
    }

    /// The address by which requests name the first byte.
    pub const fn va(&self) -> u64 {
        self.va as u64
    }

    /// Bytes.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn start(&self) -> *mut u8 {
        self.bytes[GUARD..].as_ptr().cast::<u8>().cast_mut()
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.length);
        // SAFETY: inside the buffer (above), whose bytes are in cells; no request on the range is under way (see `Sync`).
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.start().wrapping_add(offset), from.len()) };
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= self.length);
        let mut bytes = vec![0; length];
        // SAFETY: inside the buffer (above), whose bytes are in cells; no request on the range is under way (see `Sync`).
        unsafe { std::ptr::copy_nonoverlapping(self.start().wrapping_add(offset), bytes.as_mut_ptr(), length) };
        bytes
    }

    /// Whether the bytes around the buffer are as they were.
    pub fn guards_are_whole(&self) -> bool {
        let guard = |cell: &UnsafeCell<u8>| {
            // SAFETY: one byte beside the buffer, which nobody may write: what is looked for is whether somebody did.
            let byte = unsafe { *cell.get() };
            byte == GUARD_BYTE
        };
        self.bytes[..GUARD].iter().all(guard) && self.bytes[GUARD + self.length..].iter().all(guard)
    }

    /// An MDL of the whole buffer, locked and mapped.
    pub fn mdl(&self) -> MDL {
        self.mdl_of(0, self.length)
    }

    /// An MDL of a part of the buffer.
    ///
    /// # Panics
    /// When the part is not in it.
    pub fn mdl_of(&self, offset: usize, length: usize) -> MDL {
        assert!(offset + length <= self.length);
        let va = self.va + offset;
        MDL {
            Next: std::ptr::null_mut(),
            Size: const { size_of::<MDL>() as u16 }.cast_signed(),
            MdlFlags: MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA,
            Process: std::ptr::null_mut(),
            MappedSystemVa: self.start().wrapping_add(offset).cast(),
            StartVa: std::ptr::without_provenance_mut(va & !4095),
            ByteCount: length as u32,
            ByteOffset: (va & 4095) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_guards_stay_whole() {
        let buffer = Buffer::new(100, 4090);
        buffer.write(10, b"hello");
        assert_eq!(buffer.read(10, 5), b"hello");
        assert!(buffer.guards_are_whole());
        let mdl = buffer.mdl();
        assert_eq!(mdl.StartVa.addr() as u64 + u64::from(mdl.ByteOffset), buffer.va());
    }
}
