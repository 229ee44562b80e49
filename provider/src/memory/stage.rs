//! `Stage`: the page list of a posted fast registration, waiting for the queue pair to reach the request.
//!
//! The doorway fills it, the lane takes it. One word tells who has it: nobody, the doorway, a request, the lane. Whoever
//! changes the word away from "nobody" or "a request" reaches the list alone; nobody waits for another one.

use super::pages::PageList;
use crate::sync::{AtomicU64, Ordering, UnsafeCell};

const EMPTY: u64 = 0;
const TAKEN: u64 = 1;
const STAGED: u64 = 2;
const OWNER_SHIFT: u32 = 2;

/// Which request staged pages: unique among the requests that are posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageOwner(u64);

impl StageOwner {
    /// The send-queue position `position` of the queue pair in slot `queue_pair`.
    pub const fn new(queue_pair: u32, position: u32) -> Self {
        Self((queue_pair as u64 & 0x3fff_ffff) << 32 | position as u64)
    }

    const fn word(self) -> u64 {
        self.0 << OWNER_SHIFT | STAGED
    }
}

/// See the module's text.
pub(super) struct Stage {
    word: AtomicU64,
    list: UnsafeCell<PageList>,
}

// SAFETY: the list is reached by the one who changed the word to TAKEN, until it changes it back (Acquire, Release).
unsafe impl Sync for Stage {}

impl Stage {
    pub(super) fn new() -> Self {
        Self { word: AtomicU64::new(EMPTY), list: UnsafeCell::new(PageList::default()) }
    }

    fn take(&self, from: u64) -> bool {
        self.word.compare_exchange(from, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Runs `fill` on the list if nobody has it. Success leaves it staged for `owner`, failure empty. `None`: somebody
    /// has it.
    pub(super) fn fill<E>(
        &self,
        owner: StageOwner,
        fill: impl FnOnce(&mut PageList) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        if !self.take(EMPTY) {
            return None;
        }
        let result = self.list.with_mut(|list| {
            // SAFETY: the word went from EMPTY to TAKEN by this thread (see Sync above).
            fill(unsafe { &mut *list })
        });
        self.word.store(if result.is_ok() { owner.word() } else { EMPTY }, Ordering::Release);
        Some(result)
    }

    /// Runs `f` on the list if nobody has it; it is empty before and after. For giving it room.
    pub(super) fn with_empty<R>(&self, f: impl FnOnce(&mut PageList) -> R) -> Option<R> {
        if !self.take(EMPTY) {
            return None;
        }
        Some(self.finish(f))
    }

    /// Runs `f`, which empties it, on the list staged for `owner`, or for anybody.
    pub(super) fn with_staged<R>(&self, owner: Option<StageOwner>, f: impl FnOnce(&mut PageList) -> R) -> Option<R> {
        let word = self.word.load(Ordering::Relaxed);
        let wanted = owner.map_or(word & 3 == STAGED, |owner| word == owner.word());
        if !wanted || !self.take(word) {
            return None;
        }
        Some(self.finish(f))
    }

    fn finish<R>(&self, f: impl FnOnce(&mut PageList) -> R) -> R {
        let result = self.list.with_mut(|list| {
            // SAFETY: the callers changed the word to TAKEN (see Sync above).
            f(unsafe { &mut *list })
        });
        self.word.store(EMPTY, Ordering::Release);
        result
    }

    /// Whether somebody is at the list just now.
    pub(super) fn is_taken(&self) -> bool {
        self.word.load(Ordering::Relaxed) == TAKEN
    }
}
