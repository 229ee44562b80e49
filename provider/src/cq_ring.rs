//! The completion ring of a CQ: many producers, one consumer, one arm.
//!
//! Producers reserve a run of positions by one read-modify-write on the ring's word (cq_ring/word.rs), write the cells, publish each
//! by its tag (Release, T-12), and end with a second read-modify-write on the same word, which tells them whether the CQ
//! is armed. Arming is a read-modify-write on that word too (T-06, T-14). So whoever comes second sees the other: an entry
//! is either found by the arm, or its producer finds the arm.
//!
//! Who finds reason to look kicks the CQ's notification lane, and only the lane decides ([`Notifier`]). A producer kicks
//! when its run satisfies the arm, or when somebody reserved behind it: it may just have closed the gap that kept a
//! satisfying entry out of sight.
//!
//! Overrun is sticky (T-08): what fits is kept, the rest and all later completions are dropped, and the consumer is told
//! once, by the first arm that is or gets outstanding.
//!
//! Depth changes under way (T-07): ring/classes.rs. The word names the array that new positions go to.

mod notifier;
mod word;

pub use notifier::{Notification, Notifier};

use crate::ring::{Classes, capacity, class_of};
use crate::sync::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use word::{Health, Word, distance, forward};

/// What a completion means to an arm; a greater one satisfies more arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A success nobody asked to be woken for.
    Normal,
    /// A receive whose sender asked for a solicited event.
    Solicited,
    /// A failed or flushed request: satisfies every arm (CQ-12, OQ-24).
    Error,
}

/// What an arm waits for; a second arm is the greater of the two (CQ-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// Errors (NDK_CQ_NOTIFY_ERRORS).
    Errors,
    /// Solicited completions and errors (NDK_CQ_NOTIFY_SOLICITED).
    Solicited,
    /// Any completion (NDK_CQ_NOTIFY_ANY).
    Any,
}

/// One completion on its way into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<E> {
    /// What it means to an arm.
    pub severity: Severity,
    /// What the consumer gets.
    pub value: E,
}

/// Why a run was not, or not wholly, taken. Nothing will be taken from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This very run did not fit: the caller kicks the notification lane and starts the walk over the CQ's queue pairs
    /// (T-08). As many entries as fit were kept.
    Overran,
    /// The CQ was dead already.
    Dead,
}

/// Why a depth was not changed. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeRefused {
    /// More unread completions than the new depth (CQ-30).
    TooSmall,
    /// No memory, or a depth beyond any size.
    NoMemory,
}

/// One completion's place.
#[derive(Debug)]
struct Cell<E> {
    /// Which position was published here, and its severity; see [`tag`].
    tag: AtomicU64,
    entry: UnsafeCell<MaybeUninit<E>>,
}

impl<E> Cell<E> {
    fn new() -> Self {
        Self { tag: AtomicU64::new(0), entry: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The severity of the entry published for `position`, if it is.
    fn severity(&self, position: u64) -> Option<Severity> {
        let tag = self.tag.load(Ordering::Acquire);
        if tag >> 2 != position + 1 {
            return None;
        }
        match tag & 3 {
            1 => Some(Severity::Normal),
            2 => Some(Severity::Solicited),
            3 => Some(Severity::Error),
            _ => None,
        }
    }
}

/// Never zero, which is what a cell starts with.
const fn tag(position: u64, severity: Severity) -> u64 {
    let severity = match severity {
        Severity::Normal => 1,
        Severity::Solicited => 2,
        Severity::Error => 3,
    };
    (position + 1) << 2 | severity
}

/// Keeps what the producers and what the consumer writes on different cache lines.
#[derive(Debug)]
struct Apart {
    _line: [u8; 64],
}

/// A CQ's ring of completions `E`.
#[derive(Debug)]
pub struct CqRing<E: Copy> {
    /// The one word: see word.rs.
    word: AtomicU64,
    /// The depth, by the word's era: the other one is being written while this one is in force.
    depths: [AtomicU32; 2],
    cells: Classes<Cell<E>>,
    _apart: Apart,
    /// Written by the consumer: the position of the oldest unread completion.
    head: AtomicU64,
    /// Written by the consumer: the array where it found the last one.
    class: AtomicU32,
    /// Written by the notifier: the position after the last completion that was there at the last callback.
    mark: AtomicU64,
}

// SAFETY: a cell's entry is written by the producer that reserved its position and read by the one consumer, after the tag
// was published and before `head` passed it; `head` is what producers wait for before they reserve the cell again.
unsafe impl<E: Copy + Send> Sync for CqRing<E> {}

impl<E: Copy> CqRing<E> {
    /// A ring that holds exactly `depth` unread completions (CQ-02). `None` without memory.
    pub fn try_new(depth: u32) -> Option<Self> {
        let class = class_of(depth)?;
        let ring = Self {
            word: AtomicU64::new(Word::new(class).bits()),
            depths: [AtomicU32::new(depth), AtomicU32::new(0)],
            cells: Classes::new(),
            _apart: Apart { _line: [0; 64] },
            head: AtomicU64::new(0),
            class: AtomicU32::new(class),
            mark: AtomicU64::new(0),
        };
        ring.cells.install(class, Cell::new)?;
        Some(ring)
    }

    fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Puts `after` where `before` was. The word that was there instead, if it was not.
    fn exchange(&self, before: Word, after: Word) -> Result<(), Word> {
        self.word
            .compare_exchange(before.bits(), after.bits(), Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word::from_bits)
    }

    fn depth_in(&self, word: Word) -> u64 {
        let depth = self.depths.get(word.era()).map_or(0, |depth| depth.load(Ordering::Acquire));
        // A depth beyond its array could be seen only by somebody whose exchange is going to fail; never trust that.
        u64::from(depth).min(capacity(word.class()))
    }

    /// Whether the consumer has armed it and has not been called since.
    pub fn is_armed(&self) -> bool {
        self.word().arm().is_some()
    }

    /// How many completions are unread, counting those whose producers are still writing; a moment's view.
    pub fn unread(&self) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        distance(self.word().tail(), head)
    }

    /// How many unread completions fit.
    pub fn depth(&self) -> u32 {
        self.depth_in(self.word()) as u32
    }

    /// Whether the CQ overran or failed.
    pub fn is_dead(&self) -> bool {
        !self.word().is_alive()
    }

    /// Adds a run of completions in order. `Ok(true)`: the notification lane has to be kicked, once the caller has left
    /// its own.
    pub fn push(&self, run: &[Entry<E>]) -> Result<bool, Refused> {
        let wanted = run.len() as u64;
        let mut seen = self.word();
        let (reserved, fits) = loop {
            if !seen.is_alive() {
                return Err(Refused::Dead);
            }
            // Acquire: the consumer has read the cells it passed.
            let unread = distance(seen.tail(), self.head.load(Ordering::Acquire));
            let fits = wanted.min(self.depth_in(seen).saturating_sub(unread));
            let health = if fits < wanted { Health::Overrun } else { Health::Alive };
            match self.exchange(seen, seen.advanced(fits).with_health(health)) {
                Ok(()) => break (seen, fits),
                Err(now) => seen = now,
            }
        };
        let mut worst = None;
        let mut position = reserved.tail();
        for entry in run.iter().take(fits as usize) {
            self.publish(reserved.class(), position, entry);
            worst = worst.max(Some(entry.severity));
            position = forward(position, 1);
        }
        // The second half of the handshake. The beat makes it a change, and so a real read-modify-write.
        let now = Word::from_bits(self.word.fetch_xor(word::BEAT, Ordering::AcqRel));
        if fits < wanted {
            return Err(Refused::Overran);
        }
        Ok(match (now.arm(), worst) {
            (Some(arm), Some(worst)) => satisfies(worst, arm) || now.tail() != position,
            (None, _) | (_, None) => false,
        })
    }

    fn publish(&self, class: u32, position: u64, entry: &Entry<E>) {
        // The word named the class, so its array is there.
        let Some(cell) = self.cells.cell(class, position) else { return };
        cell.entry.with_mut(|place| {
            // SAFETY: `position` was reserved by this producer, the consumer has passed the position that had the cell
            // before (Acquire of `head`), and reads this one only after the tag.
            unsafe { place.write(MaybeUninit::new(entry.value)) };
        });
        cell.tag.store(tag(position, entry.severity), Ordering::Release);
    }

    /// The CQ has failed for good (STATUS_INTERNAL_ERROR, CQ-15). True: the notification lane has to be kicked.
    pub fn fail(&self) -> bool {
        let mut seen = self.word();
        while seen.is_alive() {
            match self.exchange(seen, seen.with_health(Health::Failed)) {
                Ok(()) => return seen.arm().is_some(),
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Changes the depth; nothing is lost (CQ-29, CQ-30). Calls are serialised by the caller.
    pub fn resize(&self, depth: u32) -> Result<(), ResizeRefused> {
        let class = class_of(depth).ok_or(ResizeRefused::NoMemory)?;
        self.cells.install(class, Cell::new).ok_or(ResizeRefused::NoMemory)?;
        let mut seen = self.word();
        let next_era = seen.era() ^ 1;
        if let Some(next) = self.depths.get(next_era) {
            next.store(depth, Ordering::Release);
        }
        loop {
            let unread = distance(seen.tail(), self.head.load(Ordering::Acquire));
            if unread > u64::from(depth) {
                // Or the word is older than the head that was read after it.
                let now = self.word();
                if now == seen {
                    return Err(ResizeRefused::TooSmall);
                }
                seen = now;
                continue;
            }
            match self.exchange(seen, seen.in_next_era(class)) {
                Ok(()) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// The side of NdkGetCqResults, NdkGetCqResultsEx and NdkArmCq.
    ///
    /// # Safety
    /// Until the result is gone nobody else has one, and what an earlier one did happened before (NDKPI: the consumer
    /// serialises these three calls per CQ, CQ-28).
    pub unsafe fn consumer(&self) -> Consumer<'_, E> {
        Consumer { ring: self, _not_shared: PhantomData }
    }
}

/// Whether a completion of `severity` is what `arm` waits for.
fn satisfies(severity: Severity, arm: Arm) -> bool {
    match arm {
        Arm::Any => true,
        Arm::Solicited => severity >= Severity::Solicited,
        Arm::Errors => severity >= Severity::Error,
    }
}

/// The consumer's side of a [`CqRing`].
#[derive(Debug)]
pub struct Consumer<'a, E: Copy> {
    ring: &'a CqRing<E>,
    _not_shared: PhantomData<*mut ()>,
}

impl<E: Copy> Consumer<'_, E> {
    /// Takes up to `max` completions, oldest first; how many there were.
    pub fn poll(&mut self, max: u32, mut take: impl FnMut(E)) -> u32 {
        let ring = self.ring;
        let start = ring.head.load(Ordering::Relaxed);
        let before = ring.class.load(Ordering::Relaxed);
        let (mut head, mut class, mut taken) = (start, before, 0);
        while taken < max {
            let Some(cell) = ring.cells.find(&mut class, head, |cell| cell.severity(head).is_some()) else { break };
            take(cell.entry.with(|place| {
                // SAFETY: the tag says that the entry of `head` was written (Acquire), and no producer writes the cell
                // again before `head` has passed it.
                let entry = unsafe { place.read() };
                // SAFETY: as above: it was written.
                unsafe { entry.assume_init() }
            }));
            head = forward(head, 1);
            taken += 1;
        }
        if taken > 0 {
            if class != before {
                ring.class.store(class, Ordering::Relaxed);
            }
            ring.head.store(head, Ordering::Release);
        }
        taken
    }

    /// Arms; a second arm before the first is satisfied is merged with it (CQ-10). True: the notification lane has to be
    /// kicked, since there may be something to tell already (CQ-05).
    pub fn arm(&mut self, arm: Arm) -> bool {
        let ring = self.ring;
        let mut seen = ring.word();
        loop {
            match ring.exchange(seen, seen.armed(arm)) {
                Ok(()) => break,
                Err(now) => seen = now,
            }
        }
        if !seen.is_alive() {
            return seen.has_news();
        }
        let unread = distance(seen.tail(), ring.head.load(Ordering::Relaxed));
        let since_callback = distance(seen.tail(), ring.mark.load(Ordering::Acquire));
        unread.min(since_callback) > 0
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
