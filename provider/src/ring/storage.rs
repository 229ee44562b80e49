//! The slots of a work queue: one allocation, stride fixed at creation.
//!
//! A slot is an entry, then room for its SGEs, then room for its inline bytes. Who may touch which slot is the caller's
//! business; a position is masked here, so that no position reaches outside the allocation.

use crate::sync::UnsafeCell;
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// What a slot starts with.
#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    value: T,
    sge_count: u32,
    inline_len: u32,
}

type EntryCell<T> = UnsafeCell<MaybeUninit<Entry<T>>>;

/// A power of two of slots.
#[derive(Debug)]
pub(super) struct Storage<T: Copy, S: Copy> {
    base: NonNull<u8>,
    layout: Layout,
    stride: usize,
    sges_at: usize,
    inline_at: usize,
    mask: u32,
    sge_max: u32,
    inline_max: u32,
    entries: PhantomData<(T, S)>,
}

// SAFETY: the storage owns its allocation; entries move with it.
unsafe impl<T: Copy + Send, S: Copy + Send> Send for Storage<T, S> {}
// SAFETY: the methods that touch a slot are unsafe and their callers keep writers and readers of a slot apart.
unsafe impl<T: Copy + Send, S: Copy + Send> Sync for Storage<T, S> {}

impl<T: Copy, S: Copy> Storage<T, S> {
    const ALIGN: usize = {
        let entry = align_of::<EntryCell<T>>();
        let sge = align_of::<S>();
        let align = if entry > sge { entry } else { sge };
        // WdkAllocator ignores alignments above 16 (DESIGN D10).
        assert!(align <= 16);
        align
    };

    /// At least `slots` slots. `None` without memory, or when the size cannot be expressed.
    pub(super) fn try_new(slots: u32, sge_max: u32, inline_max: u32) -> Option<Self> {
        let slots = slots.checked_next_power_of_two()?;
        let sges_at = size_of::<EntryCell<T>>().checked_next_multiple_of(align_of::<S>())?;
        let inline_at = size_of::<S>().checked_mul(sge_max as usize)?.checked_add(sges_at)?;
        let stride = inline_at.checked_add(inline_max as usize)?.checked_next_multiple_of(Self::ALIGN)?;
        let size = stride.checked_mul(slots as usize)?;
        if size == 0 {
            return None;
        }
        let layout = Layout::from_size_align(size, Self::ALIGN).ok()?;
        // SAFETY: the layout's size is not zero. Zeroed, so that inline room is initialised from the first.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let mask = slots - 1;
        let storage =
            Self { base, layout, stride, sges_at, inline_at, mask, sge_max, inline_max, entries: PhantomData };
        for slot in 0..slots {
            let cell = storage.slot(slot).cast::<EntryCell<T>>();
            // SAFETY: a slot starts with room for its entry, aligned, and nobody else knows the memory yet.
            unsafe { cell.write(UnsafeCell::new(MaybeUninit::uninit())) };
        }
        Some(storage)
    }

    /// How many slots there are.
    pub(super) const fn slots(&self) -> u32 {
        self.mask + 1
    }

    fn slot(&self, position: u32) -> NonNull<u8> {
        let offset = (position & self.mask) as usize * self.stride;
        // SAFETY: the masked position is below the number of slots, so the offset is inside the allocation.
        unsafe { self.base.add(offset) }
    }

    fn entry(&self, position: u32) -> &EntryCell<T> {
        // SAFETY: every slot's cell was written in `try_new` and lives as long as the storage.
        unsafe { self.slot(position).cast::<EntryCell<T>>().as_ref() }
    }

    fn sges(&self, position: u32) -> NonNull<S> {
        // SAFETY: the SGEs' place is inside the slot.
        unsafe { self.slot(position).add(self.sges_at) }.cast()
    }

    fn inline(&self, position: u32) -> NonNull<u8> {
        // SAFETY: the inline bytes' place is inside the slot, or at its end when there is no room for any.
        unsafe { self.slot(position).add(self.inline_at) }
    }

    /// Fills the slot of `position`.
    ///
    /// # Safety
    /// Nobody else touches the slot until this returned.
    pub(super) unsafe fn write<E>(
        &self,
        position: u32,
        fill: impl FnOnce(&mut SlotWriter<'_, S>) -> Result<T, E>,
    ) -> Result<(), E> {
        let sges = NonNull::slice_from_raw_parts(self.sges(position).cast(), self.sge_max as usize);
        let inline = NonNull::slice_from_raw_parts(self.inline(position), self.inline_max as usize);
        let mut writer = SlotWriter {
            // SAFETY: room for `sge_max` SGEs, aligned; the caller keeps everybody else out of the slot.
            sges: unsafe { { sges }.as_mut() },
            sge_count: 0,
            // SAFETY: `inline_max` bytes, zeroed at creation and only ever written as bytes; alone as above.
            inline: unsafe { { inline }.as_mut() },
            inline_len: 0,
        };
        let value = fill(&mut writer)?;
        let entry = Entry { value, sge_count: writer.sge_count, inline_len: writer.inline_len };
        self.entry(position).with_mut(|cell| {
            // SAFETY: the cell is alive and the caller keeps everybody else out of the slot.
            unsafe { cell.write(MaybeUninit::new(entry)) };
        });
        Ok(())
    }

    /// The slot of `position`.
    ///
    /// # Safety
    /// The slot was written, that write happened before, and nobody writes it while the result lives.
    pub(super) unsafe fn read(&self, position: u32) -> SlotRef<'_, T, S> {
        let entry = self.entry(position).with(|cell| {
            // SAFETY: the cell is alive and nobody writes it (the contract above).
            let cell = unsafe { &*cell };
            // SAFETY: the slot was written (the contract above).
            unsafe { cell.assume_init_ref() }
        });
        let sges = NonNull::slice_from_raw_parts(self.sges(position), entry.sge_count as usize);
        let inline = NonNull::slice_from_raw_parts(self.inline(position), entry.inline_len as usize);
        SlotRef {
            header: &entry.value,
            // SAFETY: the writer wrote that many SGEs, and nobody writes them now.
            sges: unsafe { sges.as_ref() },
            // SAFETY: that many bytes are inside the slot, and nobody writes them now.
            inline: unsafe { inline.as_ref() },
        }
    }
}

impl<T: Copy, S: Copy> Drop for Storage<T, S> {
    fn drop(&mut self) {
        for slot in 0..self.slots() {
            let cell = self.slot(slot).cast::<EntryCell<T>>();
            // SAFETY: every cell was written in `try_new` and is dropped once, here. (Only the model checker's has a drop.)
            unsafe { cell.drop_in_place() };
        }
        // SAFETY: the memory came from `alloc_zeroed` with this layout.
        unsafe { dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// A posted entry.
#[derive(Debug)]
pub struct SlotRef<'a, T, S> {
    /// The entry proper.
    pub header: &'a T,
    /// Its scatter/gather list.
    pub sges: &'a [S],
    /// Its inline data.
    pub inline: &'a [u8],
}

impl<T, S> Clone for SlotRef<'_, T, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, S> Copy for SlotRef<'_, T, S> {}

/// Room for an entry's SGEs and inline data, while it is posted.
#[derive(Debug)]
pub struct SlotWriter<'a, S> {
    sges: &'a mut [MaybeUninit<S>],
    sge_count: u32,
    inline: &'a mut [u8],
    inline_len: u32,
}

impl<S: Copy> SlotWriter<'_, S> {
    /// Adds one SGE; false when the entry has as many as its queue allows.
    #[must_use]
    pub fn push_sge(&mut self, sge: S) -> bool {
        let Some(place) = self.sges.get_mut(self.sge_count as usize) else { return false };
        place.write(sge);
        self.sge_count += 1;
        true
    }

    /// Adds `len` inline bytes and lends them to be written (they hold older bytes); `None` when they do not fit.
    pub fn push_inline(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.inline_len as usize;
        let end = start.checked_add(len)?;
        let place = self.inline.get_mut(start..end)?;
        self.inline_len = end as u32;
        Some(place)
    }
}
