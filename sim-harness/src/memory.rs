//! Memory as a consumer has it: a buffer, and MDLs that describe it.
//!
//! An MDL's virtual address is not the buffer's: a provider that follows it, instead of taking it as an index (MR-07), faults.
//! What a provider may use depends on where the buffer is:
//!
//! * For natively built providers it is on the heap, and the simulated system takes its address from `MappedSystemVa`.
//! * For a driver image ([`within`]) it lies in physical memory of the simulated machines: the MDL has page frame numbers, locked
//!   pages and no system address, so that the driver has to map them (W-10, W-11); or it is nonpaged pool ([`from_pool`]),
//!   which has an address and may not be mapped again.

mod mdl;

pub use mdl::Mdl;

use crate::kernel::nt::mdl::pages_spanned;
use crate::kernel::nt::memory::{PAGE, PhysicalMemory};
use ndk_types::{MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_SOURCE_IS_NONPAGED_POOL};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

/// Where the virtual addresses of buffers start: never mapped in this process.
const INDEX_BASE: usize = 0xffff_9000_0000_0000;
/// Bytes on either side of a buffer that nobody may change; in physical memory whole pages are filled up with them.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xc7;

thread_local! {
    static MEMORY: RefCell<Option<Arc<PhysicalMemory>>> = const { RefCell::new(None) };
    static POOL: Cell<bool> = const { Cell::new(false) };
}

/// While it lives the buffers this thread makes lie in physical memory, or in what [`from_pool`] says.
#[derive(Debug)]
pub struct Scope {
    before: (Option<Arc<PhysicalMemory>>, bool),
    /// It is the thread's.
    _here: PhantomData<*const ()>,
}

impl Scope {
    fn open(memory: Option<Arc<PhysicalMemory>>, pool: bool) -> Self {
        Self { before: (MEMORY.replace(memory), POOL.replace(pool)), _here: PhantomData }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        MEMORY.set(self.before.0.take());
        POOL.set(self.before.1);
    }
}

/// From now on, until the scope is dropped, buffers lie in this memory: locked pages without a system address.
pub fn enter(memory: Arc<PhysicalMemory>) -> Scope {
    Scope::open(Some(memory), false)
}

/// Runs `f`, whose buffers lie in this memory, as in [`enter`].
pub fn within<R>(memory: Arc<PhysicalMemory>, f: impl FnOnce() -> R) -> R {
    let _scope = enter(memory);
    f()
}

/// Runs `f`, whose buffers in physical memory are nonpaged pool. To be used inside [`within`].
pub fn from_pool<R>(f: impl FnOnce() -> R) -> R {
    let _scope = Scope::open(shared(), true);
    f()
}

/// The memory buffers lie in now, if it is not the heap: what machines that are made here are to have, too.
pub fn shared() -> Option<Arc<PhysicalMemory>> {
    MEMORY.with_borrow(Clone::clone)
}

/// Where a buffer's bytes are.
enum Place {
    Heap(Box<[UnsafeCell<u8>]>),
    /// A range of a memory; nonpaged pool, or pages that have no address but ours.
    Pages {
        memory: Arc<PhysicalMemory>,
        base: *mut u8,
        pool: bool,
    },
}

impl Place {
    fn new(bytes: usize) -> Self {
        let Some(memory) = shared() else {
            return Self::Heap((0..bytes).map(|_| UnsafeCell::new(0)).collect());
        };
        let base = memory.allocate(bytes).expect("the machine has memory for this buffer");
        Self::Pages { memory, base, pool: POOL.get() }
    }

    fn base(&self) -> *mut u8 {
        match self {
            Self::Heap(bytes) => bytes.as_ptr().cast::<u8>().cast_mut(),
            Self::Pages { base, .. } => *base,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Pages { memory, base, .. } = self {
            // Pages that somebody still maps stay out of use: what is written there hits nobody else.
            if !memory.is_mapped(*base) {
                memory.release(*base);
            }
        }
    }
}

/// A buffer of a consumer. The provider reads and writes it through its own mapping at any time while it is registered, so
/// the consumer looks at it only by copying, too.
pub struct Buffer {
    place: Place,
    /// Bytes before the buffer, and in all.
    lead: usize,
    whole: usize,
    length: usize,
    va: usize,
}

// SAFETY: plain bytes, in cells or in pages of a memory file, shared with the provider's mapping alone. Whoever looks at a range or
// fills it does so while no request on it is under way, as a consumer of NDK does; the functions below copy and keep no reference.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `length` zero bytes whose virtual address has the byte offset `offset` in its page.
    pub fn new(length: usize, offset: usize) -> Self {
        let offset = offset % PAGE;
        let (lead, whole) = if MEMORY.with_borrow(Option::is_some) {
            // The bytes have their offset in their page, too, since the driver maps pages.
            let lead = if offset < GUARD { offset + PAGE } else { offset };
            (lead, (lead + length + GUARD).next_multiple_of(PAGE))
        } else {
            (GUARD, length + 2 * GUARD)
        };
        let buffer = Self { place: Place::new(whole), lead, whole, length, va: INDEX_BASE + offset };
        for at in buffer.guards() {
            // SAFETY: inside the place, which nobody else knows yet.
            unsafe { buffer.place.base().wrapping_add(at).write(GUARD_BYTE) };
        }
        buffer
    }

    /// Offsets of the guard bytes.
    fn guards(&self) -> impl Iterator<Item = usize> {
        (0..self.lead).chain(self.lead + self.length..self.whole)
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
        self.place.base().wrapping_add(self.lead)
    }

    /// Copies bytes in.
    ///
    /// # Panics
    /// When they do not fit.
    pub fn write(&self, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.length);
        // SAFETY: inside the buffer (above), whose bytes are in cells; no request on the range is under way (see `Sync`).
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), self.start().wrapping_add(offset), from.len()) };
    }

    /// Copies bytes out.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        assert!(offset + length <= self.length);
        let mut bytes = vec![0; length];
        // SAFETY: inside the buffer (above), whose bytes are in cells; no request on the range is under way (see `Sync`).
        unsafe { ptr::copy_nonoverlapping(self.start().wrapping_add(offset), bytes.as_mut_ptr(), length) };
        bytes
    }

    /// Whether the bytes around the buffer are as they were.
    pub fn guards_are_whole(&self) -> bool {
        self.guards().all(|at| {
            // SAFETY: one byte beside the buffer, which nobody may write: what is looked for is whether somebody did.
            let byte = unsafe { self.place.base().wrapping_add(at).read_volatile() };
            byte == GUARD_BYTE
        })
    }

    /// An MDL of the whole buffer.
    pub fn mdl(&self) -> Mdl {
        self.mdl_of(0, self.length)
    }

    /// An MDL of a part of the buffer.
    ///
    /// # Panics
    /// When the part is not in it.
    pub fn mdl_of(&self, offset: usize, length: usize) -> Mdl {
        assert!(offset + length <= self.length);
        let (va, at) = (self.va + offset, self.start().wrapping_add(offset));
        let (flags, address) = match &self.place {
            Place::Heap(_) => (MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA, at),
            Place::Pages { pool: true, .. } => (MDL_SOURCE_IS_NONPAGED_POOL, at),
            Place::Pages { pool: false, .. } => (MDL_PAGES_LOCKED, ptr::null_mut()),
        };
        let head = MDL {
            Next: ptr::null_mut(),
            Size: 0,
            MdlFlags: flags,
            Process: ptr::null_mut(),
            MappedSystemVa: address.cast(),
            StartVa: ptr::without_provenance_mut(va & !(PAGE - 1)),
            ByteCount: length as u32,
            ByteOffset: (va % PAGE) as u32,
        };
        let page = |place: usize| match &self.place {
            Place::Heap(_) => 0,
            Place::Pages { memory, .. } => memory.pfn_of(at.addr() + place * PAGE).expect("a page of the memory"),
        };
        let pages = pages_spanned(va, length);
        Mdl::new(head, (0..pages).map(page))
    }
}

#[cfg(test)]
mod tests;
