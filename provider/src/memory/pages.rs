//! `PageList`: the adapter pages of a fast registration, captured when it is posted (OQ-23).
//!
//! The pages need not be contiguous and form one region (WR-34). The list holds every mapping its pages lie in, once per
//! run of neighbours, so that releasing a mapping before the region is invalidated gives nobody reused pages (DESIGN D4).
//! Its room is allocated when the region is initialized; capturing allocates nothing.

use super::logical::{Extent, LogicalSpace, MappingId};
use crate::bounded;
use crate::limits::PAGE_SIZE;
use crate::platform::Mapping;
use alloc::vec::Vec;
use core::ptr::NonNull;
use roce_engine::memory::range_within;

const PAGE: u64 = PAGE_SIZE as u64;

/// Why pages were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PagesRefused {
    /// More than the region was initialized for.
    TooMany,
    /// The range is larger than the pages, or its first byte not in the first of them.
    Range,
    /// An address is no page of a mapping, or the range reaches bytes of it that are not mapped.
    Address,
}

/// Pages and the holds on their mappings.
#[derive(Default)]
pub(super) struct PageList {
    pages: Vec<u64>,
    /// Offset of the region's first byte in the first page.
    first_byte: u32,
}

impl PageList {
    /// Room for `count` pages; `None` without memory.
    pub(super) fn try_new(count: u32) -> Option<Self> {
        let mut pages = Vec::new();
        pages.try_reserve_exact(count as usize).ok()?;
        Some(Self { pages, first_byte: 0 })
    }

    /// How many pages there is room for.
    pub(super) fn capacity(&self) -> usize {
        self.pages.capacity()
    }

    /// Captures `pages` for a region of `length` bytes that starts `first_byte` bytes into the first. The list is empty
    /// before, and after a refusal.
    pub(super) fn capture<M: Mapping>(
        &mut self,
        space: &LogicalSpace<M>,
        pages: impl ExactSizeIterator<Item = u64>,
        first_byte: u32,
        length: u64,
    ) -> Result<(), PagesRefused> {
        if pages.len() > self.pages.capacity() {
            return Err(PagesRefused::TooMany);
        }
        let first = u64::from(first_byte);
        let room = (pages.len() as u64).saturating_mul(PAGE);
        if first >= PAGE || range_within(0, room, first, length).is_none() {
            return Err(PagesRefused::Range);
        }
        self.first_byte = first_byte;
        let used = first..first.saturating_add(length);
        let mut held: Option<(MappingId, Extent)> = None;
        for (number, page) in pages.enumerate() {
            let extent = match held {
                Some((id, extent)) if id == MappingId::of(page) => Some(extent),
                _ => self.hold_next(space, page),
            };
            let start = (number as u64).saturating_mul(PAGE);
            let wanted = used.start.max(start)..used.end.min(start.saturating_add(PAGE));
            let mapped = extent.filter(|extent| {
                let offset = wanted.start.wrapping_sub(start);
                wanted.is_empty()
                    || range_within(extent.base, extent.size, page.wrapping_add(offset), wanted.end - wanted.start)
                        .is_some()
            });
            let Some(extent) = mapped.filter(|_| page.is_multiple_of(PAGE)) else {
                // The page's mapping may be held already without the page being in the list; `hold_next` put it there.
                self.release(space);
                return Err(PagesRefused::Address);
            };
            if held.is_some_and(|(id, _)| id == MappingId::of(page)) {
                // There is room for as many as the region was initialized for, and the caller checked their number.
                let _ = bounded::push(&mut self.pages, page);
            }
            held = Some((MappingId::of(page), extent));
        }
        Ok(())
    }

    /// Holds the mapping of a page that starts a run, and lists the page.
    fn hold_next<M: Mapping>(&mut self, space: &LogicalSpace<M>, page: u64) -> Option<Extent> {
        let id = MappingId::of(page);
        if !space.hold(id) {
            return None;
        }
        if bounded::push(&mut self.pages, page).is_err() {
            space.let_go(id);
            return None;
        }
        // SAFETY: held by the line before, and until `release`.
        unsafe { space.extent(id) }
    }

    /// Lets all mappings go; the list is empty. At DISPATCH_LEVEL.
    pub(super) fn release<M: Mapping>(&mut self, space: &LogicalSpace<M>) {
        let mut run = None;
        for page in self.pages.drain(..) {
            let id = MappingId::of(page);
            if run != Some(id) {
                space.let_go(id);
            }
            run = Some(id);
        }
    }

    /// Gives the memory of `length` bytes, `offset` bytes into the region, piece by piece: where, and how many bytes.
    /// False when a piece was not there, which cannot happen for a range within the captured one.
    #[inline]
    pub(super) fn pieces<M: Mapping>(
        &self,
        space: &LogicalSpace<M>,
        offset: u64,
        length: usize,
        mut each: impl FnMut(NonNull<u8>, usize),
    ) -> bool {
        let mut at = offset.saturating_add(u64::from(self.first_byte));
        let mut left = length as u64;
        while left > 0 {
            let mut number = (at / PAGE) as usize;
            let Some(page) = self.pages.get(number) else {
                return false;
            };
            let within = at % PAGE;
            let mut piece = left.min(PAGE - within);
            let mut neighbour = page.wrapping_add(PAGE);
            // Neighbours of one mapping are one piece: usually a whole packet is.
            while piece < left && self.pages.get(number.wrapping_add(1)) == Some(&neighbour) {
                piece = left.min(piece.saturating_add(PAGE));
                number = number.wrapping_add(1);
                neighbour = neighbour.wrapping_add(PAGE);
            }
            // SAFETY: the list holds the mappings of all its pages.
            let extent = unsafe { space.extent(MappingId::of(*page)) };
            let Some(memory) = extent.and_then(|extent| extent.memory_of(page.wrapping_add(within), piece)) else {
                return false;
            };
            each(memory, piece as usize);
            at = at.saturating_add(piece);
            left -= piece;
        }
        true
    }
}

impl Extent {
    /// The memory behind `length` bytes from `address` on, if they are all mapped.
    #[inline]
    pub(super) fn memory_of(&self, address: u64, length: u64) -> Option<NonNull<u8>> {
        let offset = range_within(self.base, self.size, address, length)?;
        // SAFETY: `offset` is at most the mapping's size (range_within), so the sum stays within or just past it.
        Some(unsafe { self.memory.add(offset as usize) })
    }
}
