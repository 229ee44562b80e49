//! The ring of a shared receive queue: one producer, many consumers, each of which copies a receive out.
//!
//! A receive lies in a slot; a cell names the slot of each position. A consumer reads the cell at `head` and claims the
//! position by moving `head` (compare and swap; positions have 64 bits and never come back). Then the slot is its own: it
//! copies it out and sets it free. A consumer that is slow with copying keeps one slot busy, and the producer uses
//! another; nobody waits. NDKPI serialises the posts of one queue, so the producer is one.
//!
//! The depth changes under way (T-07): cells and slots come from arrays that can be outgrown (ring/classes.rs).

use super::storage::{SlotWriter, Storage};
use super::{ASKED, Classes, Full, POST, capacity, class_of};
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use core::marker::PhantomData;

const SEGMENTS: usize = 16;
const FREE: u32 = 0;
const BUSY: u32 = 1;

/// Which slot a position's receive is in.
#[derive(Debug)]
struct Cell {
    /// The position that was posted here, plus one.
    posted: AtomicU64,
    segment: AtomicU32,
    slot: AtomicU32,
}

impl Cell {
    fn new() -> Self {
        Self { posted: AtomicU64::new(0), segment: AtomicU32::new(0), slot: AtomicU32::new(0) }
    }
}

/// Why a depth was not changed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeRefused {
    /// More receives are queued than the new depth (SRQ-14).
    TooSmall,
    /// No memory, or a depth beyond any size.
    NoMemory,
}

/// A receive, taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// The entry proper.
    pub header: T,
    /// How many SGEs were copied.
    pub sge_count: u32,
    /// How many receives were left in the queue: what the limit event compares with its threshold.
    pub remaining: u64,
}

/// A shared receive queue of entries `T` with SGEs `S`.
#[derive(Debug)]
pub struct SharedReceiveRing<T: Copy, S: Copy> {
    cells: Classes<Cell>,
    busy: Classes<AtomicU32>,
    segments: [UnsafeCell<Option<Storage<T, S>>>; SEGMENTS],
    /// A bit for each segment that somebody makes or made, and for each that is made.
    claimed: AtomicU32,
    made: AtomicU32,
    sge_max: u32,
    depth: AtomicU32,
    class: AtomicU32,
    /// Written by the producer.
    tail: AtomicU64,
    /// Posts that looked (`POST` each), and whether a consumer asked for kicks.
    gate: AtomicU32,
    /// Where the producer looks for a free slot next.
    cursor: AtomicU32,
    /// Moved by consumers.
    head: AtomicU64,
    /// Where a consumer found the last cell; a hint.
    found: AtomicU32,
}

// SAFETY: a segment's cell is written once, by whoever claimed it, before its bit in `made`, and only read after; slots are
// touched by the producer while free and by the one consumer that claimed their position while busy.
unsafe impl<T: Copy + Send, S: Copy + Send> Sync for SharedReceiveRing<T, S> {}
// SAFETY: the ring owns its slots.
unsafe impl<T: Copy + Send, S: Copy + Send> Send for SharedReceiveRing<T, S> {}

impl<T: Copy, S: Copy> SharedReceiveRing<T, S> {
    /// A queue of exactly `depth` receives of up to `sge_max` SGEs. `None` without memory.
    pub fn try_new(depth: u32, sge_max: u32) -> Option<Self> {
        let class = class_of(depth)?;
        let ring = Self {
            cells: Classes::new(),
            busy: Classes::new(),
            segments: core::array::from_fn(|_| UnsafeCell::new(None)),
            claimed: AtomicU32::new(0),
            made: AtomicU32::new(0),
            sge_max,
            depth: AtomicU32::new(depth),
            class: AtomicU32::new(class),
            tail: AtomicU64::new(0),
            gate: AtomicU32::new(0),
            cursor: AtomicU32::new(0),
            head: AtomicU64::new(0),
            found: AtomicU32::new(class),
        };
        ring.install(class)?;
        Some(ring)
    }

    fn install(&self, class: u32) -> Option<()> {
        let bit = 1 << class;
        if self.made.load(Ordering::Acquire) & bit != 0 {
            return Some(());
        }
        self.cells.install(class, Cell::new)?;
        self.busy.install(class, || AtomicU32::new(FREE))?;
        let segment = self.segments.get(class as usize)?;
        if self.claimed.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return None;
        }
        let Some(storage) = u32::try_from(capacity(class)).ok().and_then(|n| Storage::try_new(n, self.sge_max, 0))
        else {
            self.claimed.fetch_and(!bit, Ordering::AcqRel);
            return None;
        };
        segment.with_mut(|segment| {
            // SAFETY: this thread claimed the segment, and nobody reads it before its bit in `made`.
            unsafe { *segment = Some(storage) };
        });
        self.made.fetch_or(bit, Ordering::AcqRel);
        Some(())
    }

    fn segment(&self, class: u32) -> Option<&Storage<T, S>> {
        if self.made.load(Ordering::Acquire) & 1u32.checked_shl(class)? == 0 {
            return None;
        }
        self.segments.get(class as usize)?.with(|segment| {
            // SAFETY: the segment was made (Acquire above) and is never written again.
            unsafe { &*segment }.as_ref()
        })
    }

    /// From now on a post is told to kick ([`Producer::must_kick`]). A consumer that found nothing calls this and then tries
    /// once more before it goes (T-09). From any thread.
    pub fn ask_for_kicks(&self) {
        self.gate.fetch_or(ASKED, Ordering::AcqRel);
    }

    /// Takes [`SharedReceiveRing::ask_for_kicks`] back. From any thread.
    pub fn stop_asking(&self) {
        self.gate.fetch_and(!ASKED, Ordering::AcqRel);
    }

    /// How many receives are queued; a moment's view.
    pub fn count(&self) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).saturating_sub(head)
    }

    /// How many receives fit.
    pub fn depth(&self) -> u32 {
        self.depth.load(Ordering::Acquire)
    }

    /// Changes the depth; nothing is lost (SRQ-06, SRQ-14). Calls are serialised by the caller.
    pub fn resize(&self, depth: u32) -> Result<(), ResizeRefused> {
        let class = class_of(depth).ok_or(ResizeRefused::NoMemory)?;
        if self.count() > u64::from(depth) {
            return Err(ResizeRefused::TooSmall);
        }
        self.install(class).ok_or(ResizeRefused::NoMemory)?;
        // The producer goes by the smaller of the depth and the array's size, so the order of the two does not matter.
        self.depth.store(depth, Ordering::Release);
        self.class.store(class, Ordering::Release);
        Ok(())
    }

    /// The posting side.
    ///
    /// # Safety
    /// Until the result is gone nobody else has one, and what an earlier one did happened before (NDKPI: the posts of one
    /// SRQ are serialised by the consumer, SRQ-10).
    pub unsafe fn producer(&self) -> Producer<'_, T, S> {
        Producer { ring: self, _not_shared: PhantomData }
    }

    /// Takes the oldest receive, its SGEs into `sges`. From any thread.
    pub fn take(&self, sges: &mut [S]) -> Option<Taken<T>> {
        let mut head = self.head.load(Ordering::Acquire);
        let hint = self.found.load(Ordering::Relaxed);
        let (segment, slot) = loop {
            let mut class = hint;
            let posted = |cell: &Cell| cell.posted.load(Ordering::Acquire) == head + 1;
            let Some(cell) = self.cells.find(&mut class, head, posted) else {
                // Empty, unless somebody else took this one and the cell was used again.
                let now = self.head.load(Ordering::Acquire);
                if now == head {
                    return None;
                }
                head = now;
                continue;
            };
            let place = (cell.segment.load(Ordering::Relaxed), cell.slot.load(Ordering::Relaxed));
            match self.head.compare_exchange(head, head + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if class != hint {
                        self.found.store(class, Ordering::Relaxed);
                    }
                    break place;
                }
                Err(now) => head = now,
            }
        };
        let taken = self.copy_out(segment, slot, sges);
        if let Some(busy) = self.busy.cell(segment, u64::from(slot)) {
            busy.store(FREE, Ordering::Release);
        }
        let (header, sge_count) = taken?;
        let remaining = self.tail.load(Ordering::Acquire).saturating_sub(head + 1);
        Some(Taken { header, sge_count, remaining })
    }

    fn copy_out(&self, segment: u32, slot: u32, sges: &mut [S]) -> Option<(T, u32)> {
        let storage = self.segment(segment)?;
        // SAFETY: this thread claimed the position whose receive is in the slot (it was written before its cell, Acquire),
        // and the producer leaves the slot alone until it is free again.
        let from = unsafe { storage.read(slot) };
        sges.iter_mut().zip(from.sges).for_each(|(to, from)| *to = *from);
        Some((*from.header, from.sges.len().min(sges.len()) as u32))
    }
}

/// The posting side of a [`SharedReceiveRing`].
#[derive(Debug)]
pub struct Producer<'a, T: Copy, S: Copy> {
    ring: &'a SharedReceiveRing<T, S>,
    _not_shared: PhantomData<*mut ()>,
}

impl<T: Copy, S: Copy> Producer<'_, T, S> {
    /// Posts one receive: `fill` writes its SGEs and returns the entry proper. Nothing is posted when the queue is full or
    /// `fill` fails.
    pub fn try_push<E: From<Full>>(
        &mut self,
        fill: impl FnOnce(&mut SlotWriter<'_, S>) -> Result<T, E>,
    ) -> Result<(), E> {
        let ring = self.ring;
        let class = ring.class.load(Ordering::Acquire);
        let depth = u64::from(ring.depth.load(Ordering::Acquire)).min(capacity(class));
        let tail = ring.tail.load(Ordering::Relaxed);
        // Acquire: whoever claimed the position that had this one's cell before has read the cell.
        if tail.saturating_sub(ring.head.load(Ordering::Acquire)) >= depth {
            return Err(Full.into());
        }
        let (segment, slot) = self.free_slot(class).ok_or(Full)?;
        let (Some(storage), Some(cell), Some(busy)) =
            (ring.segment(segment), ring.cells.cell(class, tail), ring.busy.cell(segment, u64::from(slot)))
        else {
            return Err(Full.into());
        };
        // SAFETY: the slot is free (Acquire in `free_slot`) and only the producer takes free slots.
        unsafe { storage.write(slot, fill) }?;
        busy.store(BUSY, Ordering::Relaxed);
        cell.segment.store(segment, Ordering::Relaxed);
        cell.slot.store(slot, Ordering::Relaxed);
        // Counted first: whoever takes it never counts fewer than there are.
        ring.tail.store(tail + 1, Ordering::Release);
        cell.posted.store(tail + 1, Ordering::Release);
        Ok(())
    }

    /// After [`Producer::try_push`]: whether a consumer waits for a receive. A full barrier (T-09).
    pub fn must_kick(&mut self) -> bool {
        self.ring.gate.fetch_add(POST, Ordering::AcqRel) & ASKED != 0
    }

    /// A slot that is not busy, from the cursor on in the array of `class`; nearly always the first that is looked at. An
    /// array has as many slots as its queue is deep, so there is one unless consumers are slow with copying, and then
    /// older arrays help out if there are any.
    fn free_slot(&self, class: u32) -> Option<(u32, u32)> {
        let ring = self.ring;
        let start = ring.cursor.load(Ordering::Relaxed);
        let in_segment = |segment: u32| {
            let slots = capacity(segment) as u32;
            (0..slots).map(|step| start.wrapping_add(step) & (slots - 1)).find(|&slot| {
                let busy = ring.busy.cell(segment, u64::from(slot));
                busy.is_some_and(|busy| busy.load(Ordering::Acquire) == FREE)
            })
        };
        let made = ring.made.load(Ordering::Acquire);
        let others = (0..SEGMENTS as u32).filter(|&other| other != class && made & 1 << other != 0);
        for segment in core::iter::once(class).chain(others) {
            if let Some(slot) = in_segment(segment) {
                ring.cursor.store(slot.wrapping_add(1), Ordering::Relaxed);
                return Some((segment, slot));
            }
        }
        None
    }
}
