//! Physical memory: pages of one memory file, so that a page can be mapped again at another address, as MDLs want it. Machines
//! that are to reach the same buffers share one.
//!
//! The whole file is mapped once, writable: the system's own view. Page frame numbers count pages of the file from
//! [`FIRST_PFN`]. Ranges are given out in whole pages with an unmapped page after each, so that running over the end faults.

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// The page frame number of the first page.
pub const FIRST_PFN: u64 = 0x10_0000;

/// MADV_GUARD_INSTALL of linux/mman.h.
const GUARD_INSTALL: i32 = 102;
/// MADV_GUARD_REMOVE of linux/mman.h.
const GUARD_REMOVE: i32 = 103;

/// A machine's memory.
#[derive(Debug)]
pub struct PhysicalMemory {
    file: i32,
    view: *mut u8,
    pages: usize,
    /// Whether the system closes pages without splitting the view, of whose parts there can be only so many.
    marks: bool,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    /// First page and number of pages of every free run.
    runs: BTreeMap<usize, usize>,
    /// First page and number of pages of what is given out.
    used: BTreeMap<usize, usize>,
    /// Mappings made besides the view: address, and page frame numbers.
    mappings: BTreeMap<usize, Vec<u64>>,
}

// SAFETY: the view is memory that anybody may use as whoever owns the range allows; the rest is behind a lock.
unsafe impl Send for PhysicalMemory {}
// SAFETY: as above.
unsafe impl Sync for PhysicalMemory {}

impl PhysicalMemory {
    /// Memory of so many bytes; pages are taken from the system when touched.
    ///
    /// # Panics
    /// When the system has none.
    pub fn new(bytes: usize) -> Self {
        let pages = bytes.div_ceil(PAGE);
        // SAFETY: a name that ends with zero.
        let file = unsafe { libc::memfd_create(c"softndk-memory".as_ptr(), libc::MFD_CLOEXEC) };
        assert!(file >= 0, "a memory file");
        // SAFETY: the file is ours.
        let sized = unsafe { libc::ftruncate(file, (pages * PAGE) as i64) };
        assert_eq!(sized, 0, "a memory file of this size");
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping of our file at an address of the system's choice.
        let view = unsafe { libc::mmap(ptr::null_mut(), pages * PAGE, protection, flags, file, 0) };
        assert!(view != libc::MAP_FAILED, "a view of the memory file");
        let free = Free { runs: BTreeMap::from([(0, pages)]), used: BTreeMap::new(), mappings: BTreeMap::new() };
        let mut memory = Self { file, view: view.cast(), pages, marks: false, free: Mutex::new(free) };
        memory.marks = memory.mark(0, true) && memory.mark(0, false);
        memory
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A range of at least `bytes` bytes, page-aligned, zero, with a page after it that faults.
    pub fn allocate(&self, bytes: usize) -> Option<*mut u8> {
        let pages = bytes.div_ceil(PAGE).max(1);
        let mut free = self.free();
        let (&first, &length) = free.runs.iter().find(|&(_, &length)| length > pages)?;
        free.runs.remove(&first);
        if length > pages + 1 {
            free.runs.insert(first + pages + 1, length - pages - 1);
        }
        free.used.insert(first, pages);
        let at = self.view.wrapping_add(first * PAGE);
        self.close(first + pages, true);
        // SAFETY: a range of the view that nobody else has.
        unsafe { ptr::write_bytes(at, 0, pages * PAGE) };
        Some(at)
    }

    /// Gives a range back; false when it was not given out.
    pub fn release(&self, at: *mut u8) -> bool {
        let Some(first) = self.page_of(at) else { return false };
        let mut free = self.free();
        let Some(pages) = free.used.remove(&first) else { return false };
        self.close(first + pages, false);
        let (mut start, mut length) = (first, pages + 1);
        if let Some(after) = free.runs.remove(&(start + length)) {
            length += after;
        }
        let before = free.runs.range(..start).next_back().map(|(&at, &run)| (at, run));
        if let Some((at, run)) = before.filter(|(at, run)| at + run == start) {
            start = at;
            length += run;
        }
        free.runs.insert(start, length);
        true
    }

    /// Closes a page of the view, so that touching it faults, or opens it again.
    fn close(&self, page: usize, closed: bool) {
        if self.marks {
            assert!(self.mark(page, closed), "a page is closed or opened");
            return;
        }
        let at = self.view.wrapping_add(page * PAGE).cast();
        let protection = if closed { libc::PROT_NONE } else { libc::PROT_READ | libc::PROT_WRITE };
        // SAFETY: a page of the view.
        let done = unsafe { libc::mprotect(at, PAGE, protection) };
        assert_eq!(done, 0, "a page changes its protection");
    }

    /// The same by a mark in the page table; false where the system cannot do that.
    fn mark(&self, page: usize, closed: bool) -> bool {
        let at = self.view.wrapping_add(page * PAGE).cast();
        // SAFETY: a page of the view.
        unsafe { libc::madvise(at, PAGE, if closed { GUARD_INSTALL } else { GUARD_REMOVE }) == 0 }
    }

    fn page_of(&self, at: *mut u8) -> Option<usize> {
        let offset = at.addr().checked_sub(self.view.addr())?;
        (offset < self.pages * PAGE && offset.is_multiple_of(PAGE)).then_some(offset / PAGE)
    }

    /// The page frame number of the page an address of the view is in.
    pub fn pfn_of(&self, address: usize) -> Option<u64> {
        let offset = address.checked_sub(self.view.addr())?;
        (offset < self.pages * PAGE).then(|| FIRST_PFN + (offset / PAGE) as u64)
    }

    /// Maps pages by number, one after the other, at a new address. `None` for a number that is none, or without memory.
    pub fn map(&self, pfns: &[u64], writable: bool) -> Option<*mut u8> {
        let bytes = pfns.len() * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the system's choice, with a page more that stays closed.
        let base = unsafe { libc::mmap(ptr::null_mut(), bytes + PAGE, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = base.cast::<u8>();
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        for (place, pfn) in pfns.iter().enumerate() {
            let page = pfn.checked_sub(FIRST_PFN).filter(|&page| page < self.pages as u64);
            let mapped = page.is_some_and(|page| {
                let (at, offset) = (base.wrapping_add(place * PAGE).cast(), (page as usize * PAGE) as i64);
                let flags = libc::MAP_SHARED | libc::MAP_FIXED;
                // SAFETY: a page of the range reserved above, and a page of our file.
                unsafe { libc::mmap(at, PAGE, protection, flags, self.file, offset) != libc::MAP_FAILED }
            });
            if !mapped {
                unmap_range(base, bytes);
                return None;
            }
        }
        self.free().mappings.insert(base.addr(), pfns.to_vec());
        Some(base)
    }

    /// Ends a mapping made by [`PhysicalMemory::map`]; false when there is none at this page.
    pub fn unmap(&self, base: *mut u8) -> bool {
        let pfns = self.free().mappings.remove(&base.addr());
        if let Some(pfns) = &pfns {
            unmap_range(base, pfns.len() * PAGE);
        }
        pfns.is_some()
    }

    /// Whether a page of the range given out at this address is mapped elsewhere.
    pub fn is_mapped(&self, at: *mut u8) -> bool {
        let free = self.free();
        let Some((first, &pages)) = self.page_of(at).and_then(|first| Some((first, free.used.get(&first)?))) else {
            return false;
        };
        let range = FIRST_PFN + first as u64..FIRST_PFN + (first + pages) as u64;
        free.mappings.values().flatten().any(|pfn| range.contains(pfn))
    }

    /// Mappings that are not ended.
    pub fn mappings(&self) -> usize {
        self.free().mappings.len()
    }
}

fn unmap_range(base: *mut u8, bytes: usize) {
    // SAFETY: mapped by `PhysicalMemory::map`, with its extra page.
    let _ = unsafe { libc::munmap(base.cast(), bytes + PAGE) };
}

impl Drop for PhysicalMemory {
    fn drop(&mut self) {
        let mappings: Vec<_> = self.free().mappings.iter().map(|(&base, pfns)| (base, pfns.len() * PAGE)).collect();
        for (base, bytes) in mappings {
            unmap_range(ptr::with_exposed_provenance_mut(base), bytes);
        }
        // SAFETY: mapped in `new`; whoever used it is gone.
        let _ = unsafe { libc::munmap(self.view.cast(), self.pages * PAGE) };
        // SAFETY: opened in `new`.
        let _ = unsafe { libc::close(self.file) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_mapped_twice_is_the_same_page() {
        let memory = PhysicalMemory::new(1 << 20);
        let (first, second) = (memory.allocate(PAGE + 1).unwrap(), memory.allocate(1).unwrap());
        let pfns = [memory.pfn_of(second.addr()).unwrap(), memory.pfn_of(first.addr() + PAGE).unwrap()];
        let again = memory.map(&pfns, true).unwrap();
        // SAFETY: the second page of the first range.
        unsafe { first.wrapping_add(PAGE + 7).write(42) };
        // SAFETY: mapped above.
        assert_eq!(unsafe { again.wrapping_add(PAGE + 7).read() }, 42);
        assert!(memory.is_mapped(first) && memory.is_mapped(second));
        assert!(memory.unmap(again) && !memory.unmap(again));
        assert!(!memory.is_mapped(first));
        assert!(memory.map(&[FIRST_PFN - 1], false).is_none());
        assert!(memory.release(first) && !memory.release(first));
        assert!(memory.release(second));
        assert_eq!((memory.mappings(), memory.allocate((1 << 20) - PAGE).is_some()), (0, true));
    }

    /// Whether a byte can be read: a system call reads it, which fails where the processor would fault.
    fn is_open(at: *const u8) -> bool {
        let mut ends = [0; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: one byte, which the system looks at before it reads it.
        let written = unsafe { libc::write(ends[1], at.cast(), 1) };
        for end in ends {
            // SAFETY: opened above.
            assert_eq!(unsafe { libc::close(end) }, 0);
        }
        written == 1
    }

    #[test]
    fn the_page_behind_a_range_is_closed_until_the_range_is_given_back() {
        let mut memory = PhysicalMemory::new(1 << 20);
        for marks in [memory.marks, false] {
            memory.marks = marks;
            let (at, other) = (memory.allocate(PAGE).unwrap(), memory.allocate(PAGE).unwrap());
            let is_open = |page: usize| is_open(at.wrapping_add(page * PAGE));
            assert_eq!([0, 1, 2, 3].map(is_open), [true, false, true, false]);
            assert!(memory.release(at) && memory.release(other));
            assert_eq!([0, 1, 2, 3].map(is_open), [true; 4]);
        }
    }
}
