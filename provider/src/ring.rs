//! Work-queue rings: the send queue and the receive queue of a queue pair.
//!
//! One producer (NDKPI serialises the posts of one queue), one consumer (the holder of the queue pair's lane). A posted
//! entry stays readable until the consumer retires it, because a retransmission gathers its payload again. All memory
//! is one allocation made at creation; the stride of a slot follows the SGE and inline limits of the queue (T-13).
//! Positions are monotone and wrap at 2^32; exactly `depth` entries fit.
//!
//! # Post against flush (T-09)
//! A post that kicks the lane needs nothing more: the lane's word orders the two. A post that may leave without a kick
//! (deferred, or a receive) calls [`Producer::must_kick`]: a read-modify-write on the one word on which the consumer's
//! [`Ring::ask_for_kicks`] is one too (T-14). Whichever comes second sees the other: either the producer is told to kick,
//! or the consumer finds the entry.

mod classes;
pub mod mailbox;
pub mod shared_receive;
mod storage;

pub(crate) use classes::{Classes, capacity, class_of};
pub use storage::{SlotRef, SlotWriter};

use crate::sync::{AtomicU32, Ordering};
use core::marker::PhantomData;
use storage::Storage;

/// The queue has as many entries as it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Keeps what two processors write on different cache lines. Not by alignment: WdkAllocator ignores more than 16.
#[derive(Debug)]
struct Apart {
    _line: [u8; 64],
}

impl Apart {
    const fn new() -> Self {
        Self { _line: [0; 64] }
    }
}

const ASKED: u32 = 1;
const POST: u32 = 2;

/// A work queue of entries `T`, each with SGEs `S` and inline bytes.
#[derive(Debug)]
pub struct Ring<T: Copy, S: Copy> {
    storage: Storage<T, S>,
    depth: u32,
    /// Written by the producer: the position after the last posted entry.
    tail: AtomicU32,
    /// The producer's copy of `head`; never ahead of it.
    head_seen: AtomicU32,
    /// Posts that looked (`POST` each), and whether the consumer asked for kicks.
    gate: AtomicU32,
    _apart: Apart,
    /// Written by the consumer: the position of the oldest entry not retired.
    head: AtomicU32,
}

impl<T: Copy, S: Copy> Ring<T, S> {
    /// A ring of exactly `depth` entries (at least 1) of up to `sge_max` SGEs and `inline_max` bytes. `None` without
    /// memory, or when the size cannot be expressed.
    pub fn try_new(depth: u32, sge_max: u32, inline_max: u32) -> Option<Self> {
        Self::try_new_at(depth, sge_max, inline_max, 0)
    }

    fn try_new_at(depth: u32, sge_max: u32, inline_max: u32, position: u32) -> Option<Self> {
        let storage = Storage::try_new(depth.max(1), sge_max, inline_max)?;
        Some(Self {
            storage,
            depth,
            tail: AtomicU32::new(position),
            head_seen: AtomicU32::new(position),
            gate: AtomicU32::new(0),
            _apart: Apart::new(),
            head: AtomicU32::new(position),
        })
    }

    /// How many entries fit.
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// The posting side.
    ///
    /// # Safety
    /// Until the result is gone nobody else has one, and what an earlier one did happened before (NDKPI: the posts of one
    /// queue are serialised by the consumer).
    pub unsafe fn producer(&self) -> Producer<'_, T, S> {
        Producer { ring: self, _not_shared: PhantomData }
    }

    /// The taking side.
    ///
    /// # Safety
    /// Until the result is gone nobody else has one, and what an earlier one did happened before: make it inside the lane.
    pub unsafe fn consumer(&self) -> Consumer<'_, T, S> {
        Consumer { ring: self, head: self.head.load(Ordering::Relaxed), _not_shared: PhantomData }
    }

    /// From now on a post that calls [`Producer::must_kick`] is told to. Returns the position after the last entry whose
    /// post was not told: what is before it has to be looked at by the caller. From any thread.
    pub fn ask_for_kicks(&self) -> u32 {
        self.gate.fetch_or(ASKED, Ordering::AcqRel);
        self.tail.load(Ordering::Acquire)
    }

    /// Takes [`Ring::ask_for_kicks`] back. From any thread.
    pub fn stop_asking(&self) {
        self.gate.fetch_and(!ASKED, Ordering::AcqRel);
    }

    /// How many entries are posted and not retired; a moment's view.
    pub fn count(&self) -> u32 {
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).wrapping_sub(head).min(self.depth)
    }
}

/// The posting side of a [`Ring`].
#[derive(Debug)]
pub struct Producer<'a, T: Copy, S: Copy> {
    ring: &'a Ring<T, S>,
    _not_shared: PhantomData<*mut ()>,
}

impl<T: Copy, S: Copy> Producer<'_, T, S> {
    /// Posts one entry: `fill` writes SGEs or inline data and returns the entry proper. Nothing is posted when the ring is
    /// full or `fill` fails.
    pub fn try_push<E: From<Full>>(
        &mut self,
        fill: impl FnOnce(&mut SlotWriter<'_, S>) -> Result<T, E>,
    ) -> Result<(), E> {
        let ring = self.ring;
        let tail = ring.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(ring.head_seen.load(Ordering::Relaxed)) >= ring.depth {
            // Acquire: the consumer has finished reading the slots it retired.
            let head = ring.head.load(Ordering::Acquire);
            ring.head_seen.store(head, Ordering::Relaxed);
            if tail.wrapping_sub(head) >= ring.depth {
                return Err(Full.into());
            }
        }
        // SAFETY: the slot of `tail` is retired or was never used (the check above), only the producer writes slots, and
        // the consumer reads this one only after the store below.
        unsafe { ring.storage.write(tail, fill) }?;
        ring.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// The position the next entry gets.
    pub fn position(&self) -> u32 {
        self.ring.tail.load(Ordering::Relaxed)
    }

    /// After [`Producer::try_push`], instead of kicking every time: whether this post has to kick. A full barrier (T-09).
    pub fn must_kick(&mut self) -> bool {
        self.ring.gate.fetch_add(POST, Ordering::AcqRel) & ASKED != 0
    }
}

/// The taking side of a [`Ring`].
#[derive(Debug)]
pub struct Consumer<'a, T: Copy, S: Copy> {
    ring: &'a Ring<T, S>,
    head: u32,
    _not_shared: PhantomData<*mut ()>,
}

impl<T: Copy, S: Copy> Consumer<'_, T, S> {
    /// The position of the oldest entry not retired.
    pub const fn head(&self) -> u32 {
        self.head
    }

    /// The position after the last posted entry.
    pub fn posted(&self) -> u32 {
        self.ring.tail.load(Ordering::Acquire)
    }

    /// The entry at `position`, if it is posted and not retired.
    pub fn get(&self, position: u32) -> Option<SlotRef<'_, T, S>> {
        if position.wrapping_sub(self.head) >= self.posted().wrapping_sub(self.head) {
            return None;
        }
        // SAFETY: the slot is posted (Acquire above) and not retired, so the producer does not write it; retiring needs
        // `&mut self`, which the result's lifetime forbids.
        Some(unsafe { self.ring.storage.read(position) })
    }

    /// The oldest entry: a receive queue's consumer copies it out and retires it at once.
    pub fn front(&self) -> Option<SlotRef<'_, T, S>> {
        self.get(self.head)
    }

    /// Gives the slots before `position` back. A position that is not posted, or retired already, changes nothing.
    pub fn retire_to(&mut self, position: u32) {
        if position.wrapping_sub(self.head) > self.posted().wrapping_sub(self.head) {
            return;
        }
        self.head = position;
        self.ring.head.store(position, Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
