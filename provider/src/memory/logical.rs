//! `LogicalSpace`: what NDK_LOGICAL_ADDRESS values mean (DESIGN D4, OQ-59, OQ-60).
//!
//! An address is {0, generation (11 bits, never 0), slot (20), byte offset (32)}: flat within one mapping, so a consumer
//! may add offsets and merge neighbouring pages; never a pointer (no canonical address has these bits); checked in O(1);
//! stale once the mapping was released. A mapping lives as long as somebody holds it: the consumer until NdkReleaseLAM,
//! fast-registered regions until they are invalidated, a turn while it copies. The last one out unmaps.

use super::free::FreeNumbers;
use crate::limits::PAGE_SIZE;
use crate::platform::Mapping;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use alloc::vec::Vec;
use core::ptr::NonNull;

const OFFSET_BITS: u32 = 32;
const SLOT_BITS: u32 = 20;
const GENERATION_MASK: u32 = 0x7ff;

const HOLD: u64 = 1;
const HOLDS: u64 = 0x7fff_ffff;
const RELEASED: u64 = 1 << 31;
const GENERATION_SHIFT: u32 = 32;

/// The most mappings a space can have.
pub const MAPPINGS_MAX: u32 = 1 << SLOT_BITS;
/// Bytes of the largest mapping: what leaves the offset of its last page in 32 bits.
pub const MAPPING_SIZE_MAX: usize = (1 << OFFSET_BITS) - 2 * PAGE_SIZE;

/// Which mapping an address is in: generation and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MappingId(u32);

impl MappingId {
    pub(super) const fn of(address: u64) -> Self {
        Self((address >> OFFSET_BITS) as u32)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0
    }

    const fn new(generation: u32, slot: u32) -> Self {
        Self(generation << SLOT_BITS | slot)
    }

    const fn slot(self) -> usize {
        (self.0 & (MAPPINGS_MAX - 1)) as usize
    }

    const fn generation(self) -> u32 {
        self.0 >> SLOT_BITS
    }

    /// The address of the first page's first byte.
    const fn address(self) -> u64 {
        (self.0 as u64) << OFFSET_BITS
    }
}

/// Mapped bytes: the addresses `base..base + size` are the memory at `memory`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) base: u64,
    pub(super) size: u64,
    pub(super) memory: NonNull<u8>,
}

struct Mapped<M> {
    mapping: M,
    /// Offset of the mapping's first byte in its first page.
    first_byte: u32,
}

struct Slot<M> {
    /// {generation, released, holds}.
    word: AtomicU64,
    mapped: UnsafeCell<Option<Mapped<M>>>,
}

/// All logical addresses of a port.
pub struct LogicalSpace<M> {
    slots: Vec<Slot<M>>,
    free: FreeNumbers,
}

// SAFETY: a slot's mapping is written by the one who has its number from the free list, before the word gets its first
// hold, and taken by the one whose read-modify-write took the last hold away; in between it is only shared.
unsafe impl<M: Send + Sync> Send for LogicalSpace<M> {}
// SAFETY: as above.
unsafe impl<M: Send + Sync> Sync for LogicalSpace<M> {}

const fn next_generation(generation: u32) -> u32 {
    match (generation + 1) & GENERATION_MASK {
        0 => 1,
        next => next,
    }
}

impl<M: Mapping> LogicalSpace<M> {
    /// A space for `capacity` mappings whose first generations `random` draws. `None` without memory.
    pub fn try_new(capacity: u32, mut random: impl FnMut() -> u32) -> Option<Self> {
        let capacity = capacity.min(MAPPINGS_MAX);
        let mut slots = Vec::new();
        slots.try_reserve_exact(capacity as usize).ok()?;
        slots.resize_with(capacity as usize, || {
            let generation = next_generation(random() & GENERATION_MASK);
            let word = u64::from(generation) << GENERATION_SHIFT | RELEASED;
            Slot { word: AtomicU64::new(word), mapped: UnsafeCell::new(None) }
        });
        Some(Self { slots, free: FreeNumbers::try_new(0..capacity)? })
    }

    /// Gives a mapping addresses; its first byte lies `first_byte` into the first page (FBO). The result is the address of
    /// the first page's first byte. `None`, and the mapping dropped, when all slots are taken. At DISPATCH_LEVEL.
    pub fn insert(&self, mapping: M, first_byte: u32) -> Option<u64> {
        let number = self.free.take()?;
        let slot = self.slots.get(number as usize)?;
        slot.mapped.with_mut(|mapped| {
            // SAFETY: the number came from the free list, so nobody else reaches the slot (see Sync above).
            unsafe { *mapped = Some(Mapped { mapping, first_byte }) };
        });
        let generation = (slot.word.load(Ordering::Acquire) >> GENERATION_SHIFT) as u32;
        slot.word.store(u64::from(generation) << GENERATION_SHIFT | HOLD, Ordering::Release);
        Some(MappingId::new(generation, number).address())
    }

    /// The consumer's release: the mapping gets no new holders and ends with the last one. False when `address` is not,
    /// or no longer, one that [`LogicalSpace::insert`] gave. At DISPATCH_LEVEL.
    pub fn release(&self, address: u64) -> bool {
        let id = MappingId::of(address);
        let Some(slot) = self.slots.get(id.slot()) else {
            return false;
        };
        let live = |word: u64| is_live(word, id) && id.address() == address;
        let released = |word: u64| live(word).then_some((word | RELEASED).wrapping_sub(HOLD));
        match slot.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, released) {
            Ok(before) if before & HOLDS == HOLD => self.vacate(slot, id),
            Ok(_) => (),
            Err(_) => return false,
        }
        true
    }

    /// Holds a mapping; false when it is not there or released.
    pub(super) fn hold(&self, id: MappingId) -> bool {
        let more = |word: u64| (is_live(word, id) && word & HOLDS != HOLDS).then_some(word + HOLD);
        self.slots
            .get(id.slot())
            .is_some_and(|slot| slot.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok())
    }

    /// Ends a hold. Only for who has it. At DISPATCH_LEVEL.
    pub(super) fn let_go(&self, id: MappingId) {
        let Some(slot) = self.slots.get(id.slot()) else { return };
        // A mapping that is not released is held by the consumer too, so only a released one ends here.
        if slot.word.fetch_sub(HOLD, Ordering::AcqRel) & HOLDS == HOLD {
            self.vacate(slot, id);
        }
    }

    /// The mapped bytes.
    ///
    /// # Safety
    /// The caller holds `id`.
    pub(super) unsafe fn extent(&self, id: MappingId) -> Option<Extent> {
        let slot = self.slots.get(id.slot())?;
        slot.mapped.with(|mapped| {
            // SAFETY: a held mapping is not written (see Sync above); the caller has a hold.
            let mapped = unsafe { (*mapped).as_ref() }?;
            Some(Extent {
                base: id.address().wrapping_add(u64::from(mapped.first_byte)),
                size: mapped.mapping.len() as u64,
                memory: mapped.mapping.base(),
            })
        })
    }

    fn vacate(&self, slot: &Slot<M>, id: MappingId) {
        let mapped = slot.mapped.with_mut(|mapped| {
            // SAFETY: the last hold was taken away by this thread's own read-modify-write (see Sync above).
            unsafe { (*mapped).take() }
        });
        let generation = u64::from(next_generation(id.generation()));
        slot.word.store(generation << GENERATION_SHIFT | RELEASED, Ordering::Release);
        drop(mapped);
        self.free.give(id.slot() as u32);
    }
}

const fn is_live(word: u64, id: MappingId) -> bool {
    word & RELEASED == 0 && (word >> GENERATION_SHIFT) as u32 == id.generation()
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Arc;

    struct Counted(Arc<AtomicU64>);

    // SAFETY: empty; nothing of it is reached.
    unsafe impl Mapping for Counted {
        fn base(&self) -> NonNull<u8> {
            NonNull::dangling()
        }
        fn len(&self) -> usize {
            0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_mapping_ends_once_after_its_release_and_its_last_holder() {
        loom::model(|| {
            let ended = Arc::new(AtomicU64::new(0));
            let space = Arc::new(LogicalSpace::try_new(1, || 0).unwrap());
            let address = space.insert(Counted(ended.clone()), 0).unwrap();
            let reader = {
                let (space, ended) = (space.clone(), ended.clone());
                loom::thread::spawn(move || {
                    let id = MappingId::of(address);
                    if space.hold(id) {
                        // SAFETY: held.
                        assert!(unsafe { space.extent(id) }.is_some());
                        assert_eq!(ended.load(Ordering::Relaxed), 0);
                        space.let_go(id);
                    }
                })
            };
            assert!(space.release(address));
            reader.join().unwrap();
            assert_eq!(ended.load(Ordering::Relaxed), 1);
            assert!(!space.hold(MappingId::of(address)));
            assert!(space.insert(Counted(ended), 0).is_some(), "the slot came back");
        });
    }
}
