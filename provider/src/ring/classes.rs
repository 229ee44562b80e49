//! Arrays that can be outgrown: one array of cells per power-of-two size, made when first needed, kept until the end.
//!
//! This is how a completion queue or shared receive queue changes its depth under way (T-07). A position's cell in the
//! array of size 2^n is cell `position mod 2^n`; a word of the queue says which array new positions go to, so closing one
//! and opening the next is one read-modify-write. A cell names the position it was written for, so whoever looks for a
//! position looks in the array it used last and, when it is not there, in the others. No array is freed before the
//! queue is, so nobody can look into freed memory, and all arrays together are less than twice the largest.

use crate::sync::{AtomicPtr, AtomicU32, Ordering};
use alloc::alloc::{Layout, alloc, dealloc};
use core::ptr::NonNull;

const CLASSES: usize = 16;
const SMALLEST: u64 = if cfg!(loom) { 1 } else { 16 };

/// The smallest class that holds `depth` cells.
pub(crate) fn class_of(depth: u32) -> Option<u32> {
    (0..CLASSES as u32).find(|&class| capacity(class) >= u64::from(depth))
}

/// How many cells an array of `class` has.
pub(crate) const fn capacity(class: u32) -> u64 {
    SMALLEST << class
}

/// The arrays.
#[derive(Debug)]
pub(crate) struct Classes<C> {
    arrays: [AtomicPtr<C>; CLASSES],
    /// A bit for each array there is.
    present: AtomicU32,
}

// SAFETY: the arrays are owned, like a Vec's.
unsafe impl<C: Send> Send for Classes<C> {}
// SAFETY: a &Classes gives &C only.
unsafe impl<C: Sync> Sync for Classes<C> {}

impl<C> Classes<C> {
    /// No array yet.
    pub(crate) fn new() -> Self {
        Self { arrays: core::array::from_fn(|_| AtomicPtr::new(core::ptr::null_mut())), present: AtomicU32::new(0) }
    }

    fn layout(class: u32) -> Option<Layout> {
        // WdkAllocator ignores alignments above 16 (DESIGN D10).
        const { assert!(align_of::<C>() <= 16 && size_of::<C>() > 0) };
        Layout::array::<C>(usize::try_from(capacity(class)).ok()?).ok()
    }

    /// Makes the array of `class` unless it is there. `None` without memory. Calls are serialised by the caller.
    pub(crate) fn install(&self, class: u32, cell: impl Fn() -> C) -> Option<()> {
        let array = self.arrays.get(class as usize)?;
        if !array.load(Ordering::Acquire).is_null() {
            return Some(());
        }
        let layout = Self::layout(class)?;
        // SAFETY: the layout is not zero-sized (asserted above, and a capacity is at least 1).
        let first = NonNull::new(unsafe { alloc(layout) })?.cast::<C>();
        for at in 0..capacity(class) as usize {
            // SAFETY: `at` is below the array's length.
            let place = unsafe { first.add(at) };
            // SAFETY: the place is aligned, inside the allocation, and nobody else knows it.
            unsafe { place.write(cell()) };
        }
        let null = core::ptr::null_mut();
        if array.compare_exchange(null, first.as_ptr(), Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.present.fetch_or(1 << class, Ordering::Release);
        } else {
            // SAFETY: somebody else's array is in place; this one was just filled and is known to nobody.
            unsafe { free(first, class) };
        }
        Some(())
    }

    /// The cell of `position` in the array of `class`.
    #[inline]
    pub(crate) fn cell(&self, class: u32, position: u64) -> Option<&C> {
        let first = NonNull::new(self.arrays.get(class as usize)?.load(Ordering::Acquire))?;
        let at = (position & (capacity(class) - 1)) as usize;
        // SAFETY: an array of `class` has that many cells and the position is masked to it.
        let place = unsafe { first.add(at) };
        // SAFETY: every cell was written before the array was put in place, and lives as long as `self`.
        Some(unsafe { place.as_ref() })
    }

    /// The cell that `is_it` accepts among those of `position`, looked for in the array of `*class` first; `*class` is set
    /// to where it was.
    #[inline]
    pub(crate) fn find(&self, class: &mut u32, position: u64, is_it: impl Fn(&C) -> bool) -> Option<&C> {
        if let Some(cell) = self.cell(*class, position).filter(|cell| is_it(cell)) {
            return Some(cell);
        }
        let mut others = self.present.load(Ordering::Acquire) & !(1 << *class);
        while others != 0 {
            let other = others.trailing_zeros();
            others &= others - 1;
            if let Some(cell) = self.cell(other, position).filter(|cell| is_it(cell)) {
                *class = other;
                return Some(cell);
            }
        }
        None
    }
}

/// Drops and frees an array.
///
/// # Safety
/// It was made by `install` for this class, all cells written, and nobody uses it now or later.
unsafe fn free<C>(first: NonNull<C>, class: u32) {
    let cells = NonNull::slice_from_raw_parts(first, capacity(class) as usize);
    // SAFETY: all cells are written and this is the last use (the contract above).
    unsafe { cells.drop_in_place() };
    if let Some(layout) = Classes::<C>::layout(class) {
        // SAFETY: the memory came from `alloc` with this layout.
        unsafe { dealloc(first.as_ptr().cast(), layout) };
    }
}

impl<C> Drop for Classes<C> {
    fn drop(&mut self) {
        for (class, array) in self.arrays.iter().enumerate() {
            if let Some(first) = NonNull::new(array.load(Ordering::Acquire)) {
                // SAFETY: `install` put it there, and `&mut self` means nobody else looks.
                unsafe { free(first, class as u32) };
            }
        }
    }
}
