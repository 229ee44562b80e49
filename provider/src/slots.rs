//! Numbered slots: how packets, timers and deferred kicks find an object by number (T-04).
//!
//! A slot's word is {generation, dead, pins}. Looking up is one locked operation in and one out, no lock, no walk; a
//! stale number meets a newer generation and finds nothing. The table owns one reference on the object; retiring the slot
//! gives that reference back to whoever is the last to look, so an object is never freed under a pin.

use crate::lock::SpinLock;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use alloc::vec::Vec;
use core::ops::Deref;

const PIN: u64 = 1;
const PINS: u64 = 0x7fff_ffff;
const DEAD: u64 = 1 << 31;
const GENERATION_SHIFT: u32 = 32;

const fn live(word: u64, generation: u32) -> bool {
    word & DEAD == 0 && (word >> GENERATION_SHIFT) as u32 == generation
}

struct Slot<R> {
    word: AtomicU64,
    reference: UnsafeCell<Option<R>>,
}

/// Free slots, oldest first (T-42: FIFO reuse).
struct FreeList {
    numbers: Vec<u32>,
    head: usize,
    count: usize,
}

impl FreeList {
    fn pop(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let number = self.numbers.get(self.head).copied();
        self.head = (self.head + 1) % self.numbers.len().max(1);
        self.count -= 1;
        number
    }

    fn push(&mut self, number: u32) {
        let at = (self.head + self.count) % self.numbers.len().max(1);
        if let Some(place) = self.numbers.get_mut(at) {
            *place = number;
            self.count += 1;
        }
    }
}

/// A fixed table of slots that each hold one reference of type `R`.
pub struct Slots<R> {
    table: Vec<Slot<R>>,
    free: SpinLock<FreeList>,
    generation_mask: u32,
}

// SAFETY: a slot's reference is written only by the thread that took the slot from the free list, before its word becomes
// live, and taken only by the one thread that sees the word become dead with no pins; between them it is only shared.
unsafe impl<R: Send + Sync> Send for Slots<R> {}
// SAFETY: as above.
unsafe impl<R: Send + Sync> Sync for Slots<R> {}

/// A slot taken from the free list and not yet filled.
#[derive(Debug, PartialEq, Eq)]
pub struct Reserved {
    number: u32,
    generation: u32,
}

impl Reserved {
    /// The slot's number.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The generation under which it will be found.
    pub const fn generation(&self) -> u32 {
        self.generation
    }
}

impl<R> Slots<R> {
    /// A table of `capacity` slots whose generations count in `generation_bits` bits from `first_generation` on
    /// (random, T-42). `None` without memory.
    pub fn try_new(capacity: u32, generation_bits: u32, mut first_generation: impl FnMut() -> u32) -> Option<Self> {
        let generation_mask = u32::MAX.checked_shr(32u32.saturating_sub(generation_bits)).unwrap_or(0);
        let mut table = Vec::new();
        table.try_reserve_exact(capacity as usize).ok()?;
        let mut numbers = Vec::new();
        numbers.try_reserve_exact(capacity as usize).ok()?;
        for number in 0..capacity {
            // What was reserved; said where `push` can see it, so that it has no reason to grow.
            if table.len() == table.capacity() || numbers.len() == numbers.capacity() {
                return None;
            }
            let generation = u64::from(first_generation() & generation_mask);
            table.push(Slot {
                word: AtomicU64::new(generation << GENERATION_SHIFT | DEAD),
                reference: UnsafeCell::new(None),
            });
            numbers.push(number);
        }
        let count = numbers.len();
        Some(Self { table, free: SpinLock::new(FreeList { numbers, head: 0, count }), generation_mask })
    }

    /// Takes a free slot; the number and generation are settled from here on. Control path.
    pub fn reserve(&self) -> Option<Reserved> {
        let number = self.free.with(FreeList::pop)?;
        let word = self.table.get(number as usize)?.word.load(Ordering::Acquire);
        let generation = ((word >> GENERATION_SHIFT) as u32).wrapping_add(1) & self.generation_mask;
        Some(Reserved { number, generation })
    }

    /// Gives a reserved slot back unused.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is spent once")]
    pub fn cancel(&self, reserved: Reserved) {
        let Reserved { number, .. } = reserved;
        self.free.with(|free| free.push(number));
    }

    /// Fills a reserved slot; it can be looked up from here on.
    #[expect(clippy::needless_pass_by_value, reason = "a reservation is spent once")]
    pub fn publish(&self, reserved: Reserved, reference: R) {
        let Reserved { number, generation } = reserved;
        let Some(slot) = self.table.get(number as usize) else { return };
        slot.reference.with_mut(|place| {
            // SAFETY: the slot is off the free list and dead, so the reservation is the only access to it (see Slots' Sync).
            unsafe { *place = Some(reference) };
        });
        slot.word.store(u64::from(generation) << GENERATION_SHIFT, Ordering::Release);
    }

    /// Looks a slot up under `generation`.
    pub fn pin(&self, number: u32, generation: u32) -> Option<Pinned<'_, R>> {
        self.pin_if(number, |word| live(word, generation))
    }

    /// Looks a slot up whatever its generation (for kicks by number, where a stranger's kick is harmless).
    pub fn pin_any(&self, number: u32) -> Option<Pinned<'_, R>> {
        self.pin_if(number, |word| word & DEAD == 0)
    }

    fn pin_if(&self, number: u32, wanted: impl Fn(u64) -> bool) -> Option<Pinned<'_, R>> {
        let slot = self.table.get(number as usize)?;
        let mut word = slot.word.load(Ordering::Relaxed);
        loop {
            if !wanted(word) || word & PINS == PINS {
                return None;
            }
            match slot.word.compare_exchange_weak(word, word + PIN, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    return Some(Pinned { table: self, slot, number });
                }
                Err(now) => word = now,
            }
        }
    }

    /// Ends the slot's life under `generation`: nobody finds it any more. The table's reference comes back here, or to
    /// the last one who still looks.
    pub fn retire(&self, number: u32, generation: u32) -> Option<R> {
        let slot = self.table.get(number as usize)?;
        let mut word = slot.word.load(Ordering::Relaxed);
        loop {
            if !live(word, generation) {
                return None;
            }
            match slot.word.compare_exchange_weak(word, word | DEAD, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if word & PINS == 0 => return self.vacate(slot, number),
                Ok(_) => return None,
                Err(now) => word = now,
            }
        }
    }

    /// Takes the reference out of a slot that is dead and unpinned, and frees the slot.
    fn vacate(&self, slot: &Slot<R>, number: u32) -> Option<R> {
        let reference = slot.reference.with_mut(|place| {
            // SAFETY: the word went to {dead, no pins} by this thread's own read-modify-write, which happens once a life;
            // so nobody else reads or writes the reference until `publish` (see Slots' Sync).
            unsafe { (*place).take() }
        });
        self.free.with(|free| free.push(number));
        reference
    }

    /// How many slots there are.
    pub fn capacity(&self) -> u32 {
        self.table.len() as u32
    }

    /// How many slots are free.
    pub fn free_count(&self) -> usize {
        self.free.with(|free| free.count)
    }
}

/// A slot looked up: its object stays until this is dropped. Do not drop it inside a lane: the object may go with it.
pub struct Pinned<'a, R> {
    table: &'a Slots<R>,
    slot: &'a Slot<R>,
    number: u32,
}

impl<R> Deref for Pinned<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        let reference = self.slot.reference.with(|place| {
            // SAFETY: while the pin lasts nobody writes the reference (see Slots' Sync).
            unsafe { &*place }
        });
        // SAFETY: `publish` filled the slot before its word became live, and a pin is only taken on a live word.
        unsafe { reference.as_ref().unwrap_unchecked() }
    }
}

impl<R> Drop for Pinned<'_, R> {
    fn drop(&mut self) {
        let before = self.slot.word.fetch_sub(PIN, Ordering::AcqRel);
        if before & (DEAD | PINS) == (DEAD | PIN) {
            drop(self.table.vacate(self.slot, self.number));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn table(capacity: u32) -> Slots<Arc<u32>> {
        Slots::try_new(capacity, 8, || 7).unwrap()
    }

    /// T-04
    #[test]
    fn a_stale_number_finds_nothing() {
        let slots = table(1);
        let first = slots.reserve().unwrap();
        let (number, generation) = (first.number(), first.generation());
        slots.publish(first, Arc::new(1));
        assert_eq!(**slots.pin(number, generation).unwrap(), 1);
        assert!(slots.retire(number, generation).is_some());
        assert!(slots.pin(number, generation).is_none());
        let second = slots.reserve().unwrap();
        assert_eq!(second.number(), number);
        assert_ne!(second.generation(), generation);
        slots.publish(second, Arc::new(2));
        assert!(slots.pin(number, generation).is_none());
    }

    /// T-04
    #[test]
    fn the_last_one_who_looks_gives_the_reference_back() {
        let slots = table(2);
        let object = Arc::new(5);
        let reserved = slots.reserve().unwrap();
        let (number, generation) = (reserved.number(), reserved.generation());
        slots.publish(reserved, object.clone());
        let one = slots.pin(number, generation).unwrap();
        let two = slots.pin_any(number).unwrap();
        assert!(slots.retire(number, generation).is_none());
        drop(one);
        assert_eq!(Arc::strong_count(&object), 2);
        assert_eq!(slots.free_count(), 1);
        drop(two);
        assert_eq!(Arc::strong_count(&object), 1);
        assert_eq!(slots.free_count(), 2);
    }

    /// T-42
    #[test]
    fn slots_are_reused_oldest_first() {
        let slots = table(3);
        let first = slots.reserve().unwrap();
        slots.cancel(first);
        assert_eq!(slots.reserve().unwrap().number(), 1);
        assert_eq!(slots.reserve().unwrap().number(), 2);
        assert_eq!(slots.reserve().unwrap().number(), 0);
        assert!(slots.reserve().is_none());
    }

    /// T-04
    #[test]
    fn pins_and_a_retirement_on_many_threads_free_the_object_once() {
        for round in 0..if cfg!(miri) { 5 } else { 200 } {
            let slots = table(1);
            let object = Arc::new(round);
            let reserved = slots.reserve().unwrap();
            let (number, generation) = (reserved.number(), reserved.generation());
            slots.publish(reserved, object.clone());
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        while let Some(pinned) = slots.pin(number, generation) {
                            assert_eq!(**pinned, round);
                        }
                    });
                }
                scope.spawn(|| drop(slots.retire(number, generation)));
            });
            assert_eq!(Arc::strong_count(&object), 1);
            assert_eq!(slots.free_count(), 1);
        }
    }
}
