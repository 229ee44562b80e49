//! The gate of a region: one word that says who may come in, how many are in, and that the door is closing (T-03).
//!
//! {pins, windows, closing, valid, busy, retired, tag, epoch}. Everything two parties must agree on is a read-modify-write
//! of this word (T-14), so exactly one of them is the last. The rules:
//!
//! * A pin is taken only while the region is valid, not closing and has the tag; it comes with the epoch.
//! * The contents are written only by the one who holds `busy`, or by the one who saw a retired gate become idle; `busy`
//!   is taken only without pins and windows. So a pin or a window's count makes the contents readable.
//! * Nobody waits: who closes a pinned gate leaves a note (`waiter`) and goes; the last unpinner delivers it.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use roce_engine::memory::{Epoch, Fault};

const PIN: u64 = 1;
const PINS: u64 = 0xffff;
const WINDOW: u64 = 1 << 16;
const WINDOWS: u64 = 0xfff << 16;
const CLOSING: u64 = 1 << 28;
const VALID: u64 = 1 << 29;
const BUSY: u64 = 1 << 30;
const RETIRED: u64 = 1 << 31;
const FLAGS: u64 = CLOSING | VALID | BUSY | RETIRED;
const TAG_SHIFT: u32 = 32;
const EPOCH_SHIFT: u32 = 40;

/// `waiter`: somebody outside a lane waits (a deregistration or close).
const OWNER_WAITS: u32 = 1 << 31;

const fn tag_of(word: u64) -> u8 {
    (word >> TAG_SHIFT) as u8
}

const fn epoch_of(word: u64) -> Epoch {
    Epoch((word >> EPOCH_SHIFT) as u32)
}

const fn word(tag: u8, epoch: u32, flags: u64) -> u64 {
    (epoch as u64) << EPOCH_SHIFT | (tag as u64) << TAG_SHIFT | flags
}

/// The same life counter, one on, with other flags and no pins.
const fn next(before: u64, tag: u8, flags: u64) -> u64 {
    word(tag, epoch_of(before).0.wrapping_add(1), flags)
}

const fn is_idle(word: u64) -> bool {
    word & (PINS | WINDOWS | BUSY) == 0
}

/// Whom the last one out has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nobody.
    Nobody,
    /// These, if any.
    Wake(Waiters),
    /// The region's life is over and this caller empties it.
    Vacate,
}

/// Who waits for the last pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiters(u32);

impl Waiters {
    /// The queue pair whose invalidation waits.
    pub(super) const fn queue_pair(self) -> Option<u32> {
        (self.0 & !OWNER_WAITS).checked_sub(1)
    }

    /// Whether a deregistration or close waits.
    pub(super) const fn owner(self) -> bool {
        self.0 & OWNER_WAITS != 0
    }
}

/// How a revocation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Nobody is in.
    Drained,
    /// Somebody is in, and nobody else gets in.
    Draining,
    /// It had begun before.
    Already,
    /// There is nothing to revoke.
    NotValid,
    /// Windows are bound to the region.
    Bound,
    /// The tag is another one.
    Stale,
}

/// See the module's text.
pub(super) struct Gate {
    word: AtomicU64,
    waiter: AtomicU32,
}

impl Gate {
    /// Not valid; the first life has `tag`.
    pub(super) fn new(tag: u8) -> Self {
        Self { word: AtomicU64::new(word(tag, 0, 0)), waiter: AtomicU32::new(0) }
    }

    pub(super) fn tag(&self) -> u8 {
        tag_of(self.word.load(Ordering::Acquire))
    }

    pub(super) fn is_closing(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSING != 0
    }

    /// Changes the word by `change` until that says no or succeeds; gives the word before.
    fn update(&self, change: impl Fn(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
    }

    /// Adds `unit` (a pin or a window) below its `all` ones, while the region is valid, open and has `tag`.
    fn enter(&self, tag: u8, unit: u64, all: u64) -> Result<u64, Fault> {
        let open = |word: u64| word & (VALID | CLOSING) == VALID && tag_of(word) == tag && word & all != all;
        self.update(|word| open(word).then_some(word.wrapping_add(unit)))
            .map_err(|word| if tag_of(word) == tag { Fault::Revoked } else { Fault::BadKey })
    }

    /// Comes in.
    #[inline]
    pub(super) fn pin(&self, tag: u8) -> Result<Epoch, Fault> {
        self.enter(tag, PIN, PINS).map(epoch_of)
    }

    /// Goes out. Only for who came in.
    #[inline]
    pub(super) fn unpin(&self) -> Left {
        let before = self.word.fetch_sub(PIN, Ordering::AcqRel);
        if before & CLOSING == 0 || before & PINS != PIN {
            return Left::Nobody;
        }
        self.left(before.wrapping_sub(PIN))
    }

    /// Counts a window that is bound to the region.
    pub(super) fn add_window(&self, tag: u8) -> Result<(), Fault> {
        self.enter(tag, WINDOW, WINDOWS).map(|_| ())
    }

    /// The window is bound no longer. Only for who counted it.
    pub(super) fn remove_window(&self) -> Left {
        self.left(self.word.fetch_sub(WINDOW, Ordering::AcqRel).wrapping_sub(WINDOW))
    }

    fn left(&self, after: u64) -> Left {
        match after & (RETIRED | CLOSING) {
            CLOSING => Left::Wake(Waiters(self.waiter.load(Ordering::Acquire))),
            flags if flags & RETIRED != 0 && is_idle(after) => Left::Vacate,
            _ => Left::Nobody,
        }
    }

    /// Takes `busy` on a region that is not valid, to fill it. One that was revoked and drained, whose revoker never came
    /// back to empty it, may be taken too: the caller empties it first.
    pub(super) fn claim(&self, tag: u8) -> Result<(), Fault> {
        let free = |word: u64| {
            let flags = word & FLAGS;
            tag_of(word) == tag && is_idle(word) && (flags == 0 || flags == CLOSING | VALID)
        };
        self.update(|word| free(word).then_some(word & !(CLOSING | VALID) | BUSY))
            .map(|_| ())
            .map_err(|word| if tag_of(word) == tag { Fault::NoAccess } else { Fault::BadKey })
    }

    /// Takes `busy` on a region that was revoked and has drained, to empty it.
    pub(super) fn claim_revoked(&self) -> bool {
        let drained = |word: u64| is_idle(word) && word & FLAGS == CLOSING | VALID;
        self.update(|word| drained(word).then_some(word & !(CLOSING | VALID) | BUSY)).is_ok()
    }

    /// Gives `busy` back; the region is valid under `tag`, in a new epoch. False: it was retired meanwhile and the caller
    /// empties it.
    pub(super) fn publish(&self, tag: u8) -> bool {
        self.update(|word| (word & RETIRED == 0).then_some(next(word, tag, VALID))).is_ok()
    }

    /// Gives `busy` back; the region is not valid, and its tag one on if `rotate`. False as for [`Gate::publish`].
    pub(super) fn release(&self, rotate: bool) -> bool {
        self.waiter.fetch_and(OWNER_WAITS, Ordering::AcqRel);
        let step = u8::from(rotate);
        self.update(|word| (word & RETIRED == 0).then_some(next(word, tag_of(word).wrapping_add(step), 0))).is_ok()
    }

    /// Lets nobody in from now on. `tag` and `unbound` are conditions: the region has this tag, no window is bound to it.
    pub(super) fn revoke(&self, tag: Option<u8>, unbound: bool) -> Begun {
        let refusal = |word: u64| match word & FLAGS {
            _ if tag.is_some_and(|tag| tag != tag_of(word)) => Some(Begun::Stale),
            VALID if unbound && word & WINDOWS != 0 => Some(Begun::Bound),
            VALID => None,
            flags if flags & CLOSING != 0 => Some(Begun::Already),
            _ => Some(Begun::NotValid),
        };
        match self.update(|word| refusal(word).is_none().then_some(word | CLOSING)) {
            Ok(before) if before & PINS == 0 => Begun::Drained,
            Ok(_) => Begun::Draining,
            Err(word) => refusal(word).unwrap_or(Begun::NotValid),
        }
    }

    /// Whether pins are left, in the order of the word's changes: to be asked after a note was left.
    pub(super) fn is_pinned(&self) -> bool {
        self.word.fetch_add(0, Ordering::AcqRel) & PINS != 0
    }

    /// Notes that `queue_pair` waits for the last pin; false when another one does.
    pub(super) fn await_queue_pair(&self, queue_pair: u32) -> bool {
        let mine = queue_pair.wrapping_add(1) & !OWNER_WAITS;
        let note = |waiter: u32| {
            let theirs = waiter & !OWNER_WAITS;
            (theirs == 0 || theirs == mine).then_some(waiter | mine)
        };
        self.waiter.fetch_update(Ordering::AcqRel, Ordering::Acquire, note).is_ok()
    }

    /// Whether `queue_pair` waits.
    pub(super) fn is_awaited_by(&self, queue_pair: u32) -> bool {
        self.waiter.load(Ordering::Acquire) & !OWNER_WAITS == queue_pair.wrapping_add(1) & !OWNER_WAITS
    }

    /// Notes that the region's owner waits.
    pub(super) fn await_owner(&self) {
        self.waiter.fetch_or(OWNER_WAITS, Ordering::AcqRel);
    }

    /// The owner waits no longer.
    pub(super) fn forget_owner(&self) {
        self.waiter.fetch_and(!OWNER_WAITS, Ordering::AcqRel);
    }

    /// Ends this life of the region. True: the caller empties it; else the last one out does.
    pub(super) fn retire(&self) -> bool {
        is_idle(self.word.fetch_or(RETIRED | CLOSING, Ordering::AcqRel))
    }

    /// Makes an emptied region ready for the next life, under another tag. For who was told to vacate.
    pub(super) fn reset(&self) {
        self.waiter.store(0, Ordering::Release);
        let before = self.word.load(Ordering::Acquire);
        self.word.store(next(before, tag_of(before).wrapping_add(1), 0), Ordering::Release);
    }
}

#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicBool;

    struct Model {
        gate: Gate,
        contents: crate::sync::UnsafeCell<u32>,
        woken: AtomicBool,
        vacated: AtomicBool,
    }

    fn valid() -> Arc<Model> {
        let gate = Gate::new(5);
        gate.claim(5).unwrap();
        assert!(gate.publish(5));
        let contents = crate::sync::UnsafeCell::new(1);
        Arc::new(Model { gate, contents, woken: AtomicBool::new(false), vacated: AtomicBool::new(false) })
    }

    impl Model {
        fn read(&self) {
            if self.gate.pin(5).is_ok() {
                self.contents.with(|contents| {
                    // SAFETY: pinned; loom checks that nobody writes meanwhile.
                    assert_eq!(unsafe { *contents }, 1);
                });
                match self.gate.unpin() {
                    Left::Nobody => (),
                    Left::Wake(waiters) => {
                        if waiters.queue_pair() == Some(9) {
                            self.woken.store(true, Ordering::Release);
                        }
                    }
                    Left::Vacate => self.vacate(),
                }
            }
        }

        fn vacate(&self) {
            self.empty();
            assert!(!self.vacated.swap(true, Ordering::AcqRel));
        }

        fn empty(&self) {
            self.contents.with_mut(|contents| {
                // SAFETY: busy or vacating; loom checks that nobody reads or writes meanwhile.
                unsafe { *contents = 0 };
            });
        }

        /// True when it is done.
        fn invalidate(&self) -> bool {
            let draining = match self.gate.revoke(Some(5), false) {
                Begun::Drained => false,
                Begun::Draining => self.gate.await_queue_pair(9) && self.gate.is_pinned(),
                Begun::Already => self.gate.is_awaited_by(9) && self.gate.is_pinned(),
                Begun::NotValid | Begun::Bound | Begun::Stale => panic!("nobody else revokes"),
            };
            if !draining && self.gate.claim_revoked() {
                self.empty();
                assert!(self.gate.release(false));
            }
            !draining
        }
    }

    /// T-03
    #[test]
    fn an_invalidation_that_waits_is_always_woken_and_then_done() {
        loom::model(|| {
            let model = valid();
            let readers: [_; 2] = core::array::from_fn(|_| {
                let model = model.clone();
                loom::thread::spawn(move || model.read())
            });
            let done = model.invalidate();
            for reader in readers {
                reader.join().unwrap();
            }
            if !done {
                assert!(model.woken.load(Ordering::Acquire), "a lost wake-up");
                assert!(model.invalidate());
            }
        });
    }

    /// T-03
    #[test]
    fn a_retired_region_is_vacated_exactly_once_by_the_last_one_out() {
        loom::model(|| {
            let model = valid();
            let readers: [_; 2] = core::array::from_fn(|_| {
                let model = model.clone();
                loom::thread::spawn(move || model.read())
            });
            if model.gate.retire() {
                model.vacate();
            }
            for reader in readers {
                reader.join().unwrap();
            }
            assert!(model.vacated.load(Ordering::Acquire));
        });
    }
}
