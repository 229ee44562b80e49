//! `RegionTable`: every memory region, window and protection domain of a port, in fixed slots.
//!
//! A token is a slot's index (24 bits) and a tag (8 bits, from a random start; never the token 0). Three kinds of region:
//! registered (one mapping, base address from the MDL), fast-registered (a page list over logical addresses; its token
//! stays the same for life, OQ-22) and window (a range of a registered one, checked by protection domain only, T-31). A
//! protection domain is a slot too: its index names it, its token is the privileged one, which reaches logical addresses
//! locally and nothing remotely (PD-03, PD-04).
//!
//! Who may read and write a slot's contents is settled by its gate: see `gate`. A mapping ends exactly when the last one
//! who may reach it is out, wherever that is; nobody waits.

use super::free::FreeNumbers;
use super::gate::{Begun, Gate, Left};
use super::logical::{Extent, LogicalSpace};
use super::pages::PageList;
use super::stage::Stage;
use crate::lock::SpinLock;
use crate::platform::Mapping;
use crate::sync::{AtomicU32, Ordering, UnsafeCell};
use alloc::vec::Vec;
use core::ptr::NonNull;
use roce_engine::key::{LKey, TAG_BITS};
use roce_engine::memory::{Access, Epoch, Fault};

/// Whom a region's last user wakes. Callable anywhere, inside lanes too: it notes and defers, it does not act.
pub trait Wake {
    /// The queue pair in this slot asked for an invalidation that can go on now.
    fn queue_pair(&self, slot: u32);
    /// This region's deregistration or close can go on now: [`RegionTable::drained`] is to be called.
    fn region(&self, index: u32);
}

/// What a slot is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// Registered with NdkRegisterMr.
    Registered,
    /// For fast registration.
    Fast,
    /// A memory window.
    Window,
}

/// A protection domain, by its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain(u32);

/// A registration, as [`RegionTable::registration`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The key under which it was found.
    pub key: LKey,
    /// Address of the first byte.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Rights.
    pub access: Access,
}

/// What became of a deregistration; `D` comes back unless it is kept for later.
#[derive(Debug, PartialEq, Eq)]
pub enum Deregistered<D> {
    /// It is done.
    Done(D),
    /// Accesses are under way; [`RegionTable::drained`] gives `D` back when they are through.
    Pending,
    /// The region is not registered.
    NotRegistered(D),
    /// Windows are bound to it (OQ-32).
    Bound(D),
}

/// What a valid slot is.
pub(super) struct Contents<M> {
    pub(super) base: u64,
    pub(super) size: u64,
    pub(super) access: Access,
    /// The first byte's memory; dangling for a page list.
    pub(super) memory: NonNull<u8>,
    pub(super) mapping: Option<M>,
    pub(super) pages: PageList,
    /// The region a window is bound to.
    pub(super) parent: Option<u32>,
}

pub(super) struct Slot<M, D> {
    pub(super) gate: Gate,
    /// {kind + 1, domain}; 0 while nobody has the slot. Written by the one who has the slot's number.
    identity: AtomicU32,
    pub(super) contents: UnsafeCell<Contents<M>>,
    pub(super) stage: Stage,
    /// What is to be completed when the last pin is gone.
    pending: SpinLock<Option<D>>,
}

const KIND_SHIFT: u32 = 24;
const DOMAIN_MASK: u32 = (1 << KIND_SHIFT) - 1;

const fn identity(kind: RegionKind, domain: Domain) -> u32 {
    (kind as u32 + 1) << KIND_SHIFT | domain.0
}

/// What a pinned region is, copied out once.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) extent: Extent,
    pub(super) access: Access,
    pub(super) epoch: Epoch,
    pub(super) kind: RegionKind,
}

/// See the module's text. `D` is what a deregistration or close that must wait leaves behind.
pub struct RegionTable<M, D = ()> {
    slots: Vec<Slot<M, D>>,
    domains: FreeNumbers,
    regions: FreeNumbers,
    logical: LogicalSpace<M>,
}

// SAFETY: a slot's contents are written only by the holder of its gate's `busy` or by the one who vacates it, and read
// only under a pin or a window's count, which exclude both (see `gate`); mappings may be used on any thread.
unsafe impl<M: Send + Sync, D: Send> Send for RegionTable<M, D> {}
// SAFETY: as above.
unsafe impl<M: Send + Sync, D: Send> Sync for RegionTable<M, D> {}

impl<M> Contents<M> {
    pub(super) fn empty() -> Self {
        Self {
            base: 0,
            size: 0,
            access: Access::LOCAL_READ,
            memory: NonNull::dangling(),
            mapping: None,
            pages: PageList::default(),
            parent: None,
        }
    }
}

impl<M: Mapping, D> RegionTable<M, D> {
    /// Room for `domains` protection domains, `regions` regions and windows together, and `mappings` logical mappings.
    /// `None` without memory.
    pub fn try_new(domains: u32, regions: u32, mappings: u32, mut random: impl FnMut(&mut [u8])) -> Option<Self> {
        let mut draw = || {
            let mut bytes = [0; 4];
            random(&mut bytes);
            u32::from_ne_bytes(bytes)
        };
        // Slot 0 is never used, so no token is 0.
        let first_region = domains.checked_add(1)?;
        let end = first_region.checked_add(regions).filter(|end| *end <= 1 << (u32::BITS - TAG_BITS))?;
        let mut slots = Vec::new();
        slots.try_reserve_exact(end as usize).ok()?;
        slots.resize_with(end as usize, || Slot {
            gate: Gate::new(draw() as u8),
            identity: AtomicU32::new(0),
            contents: UnsafeCell::new(Contents::empty()),
            stage: Stage::new(),
            pending: SpinLock::new(None),
        });
        Some(Self {
            slots,
            domains: FreeNumbers::try_new(1..first_region)?,
            regions: FreeNumbers::try_new(first_region..end)?,
            logical: LogicalSpace::try_new(mappings, draw)?,
        })
    }

    /// One more than the largest index.
    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The logical addresses of the port.
    pub fn logical(&self) -> &LogicalSpace<M> {
        &self.logical
    }

    pub(super) fn slot(&self, index: u32) -> Option<&Slot<M, D>> {
        self.slots.get(index as usize)
    }

    /// Makes a protection domain; `None` when there are as many as the port has room for (PD-07). At DISPATCH_LEVEL, as
    /// all that makes or ends something here.
    pub fn create_domain(&self) -> Option<Domain> {
        self.domains.take().map(Domain)
    }

    /// Ends a protection domain that nothing belongs to any more. Its number and token go to a later one.
    pub fn destroy_domain(&self, domain: Domain) {
        if let Some(slot) = self.slot(domain.0) {
            slot.gate.reset();
            self.domains.give(domain.0);
        }
    }

    /// The privileged token of a domain (PD-02).
    pub fn privileged_token(&self, domain: Domain) -> LKey {
        LKey::new(domain.0, self.slot(domain.0).map_or(0, |slot| slot.gate.tag()))
    }

    /// Takes a slot for a region of `domain`; not valid yet. `None` when all are taken.
    pub fn create(&self, kind: RegionKind, domain: Domain) -> Option<u32> {
        let index = self.regions.take()?;
        self.slot(index)?.identity.store(identity(kind, domain), Ordering::Release);
        Some(index)
    }

    /// Gives a region's slot up. What is mapped ends now, or with the last pin or bound window.
    pub fn retire(&self, index: u32) {
        if let Some(slot) = self.slot(index)
            && slot.gate.retire()
        {
            self.vacate(index, slot);
        }
    }

    /// The token of a region or window, local and remote: index and tag.
    pub fn token(&self, index: u32) -> LKey {
        LKey::new(index, self.slot(index).map_or(0, |slot| slot.gate.tag()))
    }

    /// Makes a region valid: `mapping` at the addresses from `va` on. Gives the mapping back when it was registered already
    /// or is another kind of region (MR-02).
    pub fn register(&self, index: u32, mapping: M, va: u64, access: Access) -> Result<(), M> {
        let Some(slot) = self.slot(index).filter(|slot| slot.kind() == Some(RegionKind::Registered)) else {
            return Err(mapping);
        };
        let tag = slot.gate.tag();
        if slot.gate.claim(tag).is_err() {
            return Err(mapping);
        }
        self.empty(slot);
        let (base, size, memory) = (va, mapping.len() as u64, mapping.base());
        slot.fill(|contents| {
            *contents = Contents { base, size, access, memory, mapping: Some(mapping), ..Contents::empty() };
        });
        self.publish(index, slot, tag);
        Ok(())
    }

    /// Ends a registration: nothing starts from here on, and what is under way finishes first (T-03, MR-16).
    pub fn deregister(&self, index: u32, pending: D) -> Deregistered<D> {
        let Some(slot) = self.slot(index).filter(|slot| slot.kind() == Some(RegionKind::Registered)) else {
            return Deregistered::NotRegistered(pending);
        };
        if let Err(pending) = slot.put_pending(pending) {
            return Deregistered::NotRegistered(pending);
        }
        let refuse: fn(D) -> Deregistered<D> = match slot.gate.revoke(None, true) {
            Begun::Draining => return Deregistered::Pending,
            Begun::Drained => Deregistered::Done,
            Begun::Bound => Deregistered::Bound,
            Begun::Already | Begun::NotValid | Begun::Stale => Deregistered::NotRegistered,
        };
        // A wake-up left over from before may have brought `drained` here first: then it completes.
        let Some(pending) = slot.take_pending() else {
            return Deregistered::Pending;
        };
        let outcome = refuse(pending);
        if matches!(outcome, Deregistered::Done(_)) {
            self.finish_revocation(index, slot);
        }
        outcome
    }

    /// The owner closes the region: nothing starts from here on. `pending` comes back at once, or by
    /// [`RegionTable::drained`] when accesses are under way; whatever it holds keeps the close pending until then.
    pub fn close(&self, index: u32, pending: D) -> Option<D> {
        let Some(slot) = self.slot(index) else {
            return Some(pending);
        };
        if let Err(pending) = slot.put_pending(pending) {
            return Some(pending);
        }
        match slot.gate.revoke(None, false) {
            Begun::Draining => return None,
            Begun::Already if slot.gate.is_pinned() => return None,
            Begun::Already | Begun::Drained | Begun::NotValid | Begun::Bound | Begun::Stale => (),
        }
        slot.take_pending()
    }

    /// The last pin of a closing region is gone, said [`Wake::region`]: finishes its deregistration or close. Gives back
    /// what was left behind, to be completed outside every lock.
    pub fn drained(&self, index: u32) -> Option<D> {
        let slot = self.slot(index)?;
        if !slot.gate.is_closing() || slot.gate.is_pinned() {
            return None;
        }
        let pending = slot.take_pending()?;
        self.finish_revocation(index, slot);
        Some(pending)
    }

    /// The registration of a registered region, if it has one now.
    pub fn registration(&self, index: u32, wake: &impl Wake) -> Option<Registration> {
        let key = self.token(index);
        let view = self.pin(key.0, None).ok()?;
        self.unpin(index, wake);
        (view.kind == RegionKind::Registered).then_some(Registration {
            key,
            base: view.extent.base,
            size: view.extent.size,
            access: view.access,
        })
    }

    pub(super) fn publish(&self, index: u32, slot: &Slot<M, D>, tag: u8) {
        if !slot.gate.publish(tag) {
            self.vacate(index, slot);
        }
    }

    pub(super) fn release(&self, index: u32, slot: &Slot<M, D>, rotate: bool) {
        if !slot.gate.release(rotate) {
            self.vacate(index, slot);
        }
    }

    /// Empties a region that was revoked and has drained; somebody else may have.
    pub(super) fn finish_revocation(&self, index: u32, slot: &Slot<M, D>) {
        if slot.gate.claim_revoked() {
            self.empty(slot);
            // T-23: only a fast-registered region keeps its tag, and it has its epoch.
            self.release(index, slot, slot.kind() != Some(RegionKind::Fast));
        }
    }

    /// Ends what the contents hold. For the holder of `busy`, or who vacates.
    pub(super) fn empty(&self, slot: &Slot<M, D>) {
        let (mapping, parent) = slot.fill(|contents| {
            contents.pages.release(&self.logical);
            (contents.mapping.take(), contents.parent.take())
        });
        drop(mapping);
        if let Some((index, parent)) = parent.and_then(|index| Some((index, self.slot(index)?)))
            && parent.gate.remove_window() == Left::Vacate
        {
            self.vacate(index, parent);
        }
    }

    /// Empties a slot whose life is over and frees it.
    pub(super) fn vacate(&self, index: u32, slot: &Slot<M, D>) {
        self.empty(slot);
        slot.stage.with_staged(None, |list| list.release(&self.logical));
        let staged = slot.stage.with_empty(core::mem::take);
        let active = slot.fill(|contents| core::mem::take(&mut contents.pages));
        drop((staged, active));
        slot.identity.store(0, Ordering::Release);
        slot.gate.reset();
        self.regions.give(index);
    }

    /// Pins the region with this key, of this domain if one is given, and says what it is.
    pub(super) fn pin(&self, key: u32, domain: Option<Domain>) -> Result<View, Fault> {
        let key = LKey(key);
        let slot = self.slot(key.index()).ok_or(Fault::BadKey)?;
        // Both are settled for as long as the tag is; asked first, because a pin must not go back without waking.
        let kind = slot.kind().ok_or(Fault::BadKey)?;
        if domain.is_some_and(|domain| !slot.is_of(domain)) {
            return Err(Fault::WrongDomain);
        }
        let epoch = slot.gate.pin(key.tag())?;
        Ok(slot.contents.with(|contents| {
            // SAFETY: the pin of the line above keeps the contents from being written.
            let contents = unsafe { &*contents };
            let extent = Extent { base: contents.base, size: contents.size, memory: contents.memory };
            View { extent, access: contents.access, epoch, kind }
        }))
    }

    /// Gives a pin back. Only for who has it.
    #[inline]
    pub(super) fn unpin(&self, index: u32, wake: &impl Wake) {
        let Some(slot) = self.slot(index) else { return };
        match slot.gate.unpin() {
            Left::Nobody => (),
            Left::Wake(waiters) => {
                if let Some(queue_pair) = waiters.queue_pair() {
                    wake.queue_pair(queue_pair);
                }
                if waiters.owner() {
                    wake.region(index);
                }
            }
            Left::Vacate => self.vacate(index, slot),
        }
    }

    /// The memory of `length` bytes, `offset` bytes into a pinned fast-registered region, piece by piece.
    ///
    /// # Safety
    /// The caller has a pin on `index`.
    #[inline]
    pub(super) unsafe fn pieces(
        &self,
        index: u32,
        offset: u64,
        length: usize,
        each: impl FnMut(NonNull<u8>, usize),
    ) -> bool {
        self.slot(index).is_some_and(|slot| {
            slot.contents.with(|contents| {
                // SAFETY: the caller's pin keeps the contents from being written.
                let contents = unsafe { &*contents };
                contents.pages.pieces(&self.logical, offset, length, each)
            })
        })
    }
}

impl<M, D> Slot<M, D> {
    pub(super) fn kind(&self) -> Option<RegionKind> {
        match self.identity.load(Ordering::Acquire) >> KIND_SHIFT {
            1 => Some(RegionKind::Registered),
            2 => Some(RegionKind::Fast),
            3 => Some(RegionKind::Window),
            _ => None,
        }
    }

    pub(super) fn is_of(&self, domain: Domain) -> bool {
        self.identity.load(Ordering::Acquire) & DOMAIN_MASK == domain.0
    }

    /// Lends the contents for writing: for the holder of `busy`, or who vacates the slot.
    pub(super) fn fill<R>(&self, f: impl FnOnce(&mut Contents<M>) -> R) -> R {
        self.contents.with_mut(|contents| {
            // SAFETY: every caller is the holder of the gate's `busy` or was told to vacate, so nobody else reaches the
            // contents (see `gate`, and RegionTable's Sync).
            f(unsafe { &mut *contents })
        })
    }

    /// Leaves `pending` behind and notes that the owner waits; gives it back when there is one already.
    fn put_pending(&self, pending: D) -> Result<(), D> {
        self.pending.with(|place| {
            if place.is_some() {
                return Err(pending);
            }
            *place = Some(pending);
            Ok(())
        })?;
        self.gate.await_owner();
        Ok(())
    }

    fn take_pending(&self) -> Option<D> {
        let pending = self.pending.with(Option::take)?;
        self.gate.forget_owner();
        Some(pending)
    }
}
