//! What work requests do to regions: fast registration, bind, invalidate, and what their doorways prepare.
//!
//! The doorway captures a fast registration's pages ([`RegionTable::stage`]); the lane that reaches the request swaps them
//! in. Everything else happens in the lane. A second fast registration of a region whose first one still waits is refused
//! when it is posted.

use super::gate::{Begun, Left};
use super::pages::{PageList, PagesRefused};
use super::stage::StageOwner;
use super::table::{Contents, Domain, RegionKind, RegionTable, Slot};
use crate::platform::Mapping;
use crate::sync::spin_hint;
use roce_engine::key::LKey;
use roce_engine::memory::{Access, Bind, FastRegister, Fault, range_within};

/// Why a fast-register region was not initialized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitializeRefused {
    /// No memory for the page lists.
    NoMemory,
    /// It is registered or a registration is posted, and the pages asked for are more than there is room for.
    InUse,
}

/// Why a fast registration was not staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageRefused {
    /// An earlier one is posted and not carried out yet.
    Occupied,
    /// The pages are not what they should be.
    Pages(PagesRefused),
}

impl<M: Mapping, D> RegionTable<M, D> {
    /// Gives a fast-register region room for `pages` pages (MR-20 to MR-25). Repeated calls are fine; room is never taken
    /// away.
    pub fn initialize_fast(&self, index: u32, pages: u32) -> Result<(), InitializeRefused> {
        let Some(slot) = self.slot(index).filter(|slot| slot.kind() == Some(RegionKind::Fast)) else {
            return Err(InitializeRefused::InUse);
        };
        let mut staged = PageList::try_new(pages).ok_or(InitializeRefused::NoMemory)?;
        let mut active = PageList::try_new(pages).ok_or(InitializeRefused::NoMemory)?;
        loop {
            let done = slot.stage.with_empty(|list| {
                if list.capacity() >= pages as usize {
                    return Ok(());
                }
                slot.gate.claim(slot.gate.tag()).map_err(|_| InitializeRefused::InUse)?;
                self.empty(slot);
                core::mem::swap(list, &mut staged);
                slot.fill(|contents| core::mem::swap(&mut contents.pages, &mut active));
                self.release(index, slot, false);
                Ok(())
            });
            match done {
                Some(done) => return done,
                // Another initialization of the same region; it is over soon (both are at DISPATCH_LEVEL).
                None if slot.stage.is_taken() => spin_hint(),
                None => return Err(InitializeRefused::InUse),
            }
        }
    }

    /// Captures the pages of a fast registration that is about to be posted as the request `owner`.
    pub fn stage(
        &self,
        index: u32,
        owner: StageOwner,
        pages: impl ExactSizeIterator<Item = u64>,
        first_byte: u32,
        length: u64,
    ) -> Result<(), StageRefused> {
        let slot = self.slot(index).filter(|slot| slot.kind() == Some(RegionKind::Fast));
        slot.and_then(|slot| {
            slot.stage.fill(owner, |list| {
                list.capture(self.logical(), pages, first_byte, length).map_err(StageRefused::Pages)
            })
        })
        .unwrap_or(Err(StageRefused::Occupied))
    }

    /// Drops what the request `owner` staged, if it was not carried out: it was flushed, or not posted after all.
    pub fn unstage(&self, key: LKey, owner: StageOwner) {
        if let Some(slot) = self.slot(key.index()) {
            slot.stage.with_staged(Some(owner), |list| list.release(self.logical()));
        }
    }

    /// The slot of a region that work requests may change, with its kind.
    fn changeable(&self, key: LKey, domain: Domain) -> Result<(&Slot<M, D>, RegionKind), Fault> {
        let slot = self.slot(key.index()).ok_or(Fault::BadKey)?;
        let kind = slot.kind().filter(|_| slot.gate.tag() == key.tag() || slot.kind() == Some(RegionKind::Window));
        let kind = kind.ok_or(Fault::BadKey)?;
        if slot.is_of(domain) { Ok((slot, kind)) } else { Err(Fault::WrongDomain) }
    }

    /// Carries out a fast registration with the pages that were staged for it (WR-33, WR-38).
    pub(super) fn fast_register(&self, domain: Domain, request: &FastRegister) -> Result<(), Fault> {
        let (slot, kind) = self.changeable(request.key, domain)?;
        if kind != RegionKind::Fast {
            return Err(Fault::NoAccess);
        }
        let swapped = slot.stage.with_staged(None, |staged| {
            // WR-40: a region that is still valid stays as it is.
            let claimed = slot.gate.claim(request.key.tag()).inspect_err(|_| staged.release(self.logical()));
            claimed?;
            self.empty(slot);
            slot.fill(|contents| {
                core::mem::swap(&mut contents.pages, staged);
                contents.base = request.va;
                contents.size = request.length;
                contents.access = request.access;
            });
            Ok(())
        });
        swapped.unwrap_or(Err(Fault::Revoked))?;
        self.publish(request.key.index(), slot, request.key.tag());
        Ok(())
    }

    /// Carries out a bind.
    pub(super) fn bind(&self, domain: Domain, request: &Bind) -> Result<(), Fault> {
        let key = LKey(request.window.0);
        let (slot, kind) = self.changeable(key, domain)?;
        let (parent, parent_kind) = self.changeable(request.region, domain)?;
        if kind != RegionKind::Window || parent_kind != RegionKind::Registered {
            return Err(Fault::NoAccess);
        }
        parent.gate.add_window(request.region.tag())?;
        let bound = self.bind_counted(slot, parent, request);
        match bound {
            Ok(()) => self.publish(key.index(), slot, key.tag()),
            Err(_) if parent.gate.remove_window() == Left::Vacate => self.vacate(request.region.index(), parent),
            Err(_) => (),
        }
        bound
    }

    /// Fills the window, whose region counts it already; leaves it busy on success.
    fn bind_counted(&self, slot: &Slot<M, D>, parent: &Slot<M, D>, request: &Bind) -> Result<(), Fault> {
        let memory = parent.contents.with(|contents| {
            // SAFETY: the window's count keeps the contents from being written.
            let contents = unsafe { &*contents };
            // OQ-33, MW-05: remote write needs local write.
            let needed =
                if request.access.allows(Access::REMOTE_WRITE) { Access::LOCAL_WRITE } else { Access::LOCAL_READ };
            if !contents.access.allows(needed) {
                return Err(Fault::NoAccess);
            }
            let inside = range_within(contents.base, contents.size, request.va, request.length);
            let offset = inside.ok_or(Fault::OutOfBounds)?;
            // SAFETY: `offset` is at most the mapping's size, so the sum stays within or just past the mapping.
            Ok(unsafe { contents.memory.add(offset as usize) })
        })?;
        slot.gate.claim(slot.gate.tag())?;
        self.empty(slot);
        slot.fill(|contents| {
            *contents = Contents {
                base: request.va,
                size: request.length,
                access: request.access,
                memory,
                parent: Some(request.region.index()),
                ..Contents::empty()
            };
        });
        Ok(())
    }

    /// Ends all access through a fast-registered region or a window, for the queue pair in slot `queue_pair`. True: done;
    /// false: pins are left, and the last of them wakes the queue pair.
    pub(super) fn invalidate(&self, domain: Domain, key: LKey, queue_pair: u32) -> Result<bool, Fault> {
        let (slot, kind) = self.changeable(key, domain)?;
        if kind == RegionKind::Registered {
            // WR-41
            return Err(Fault::NoAccess);
        }
        let draining = match slot.gate.revoke(Some(key.tag()), false) {
            Begun::Drained => false,
            Begun::Draining => slot.gate.await_queue_pair(queue_pair) && slot.gate.is_pinned(),
            Begun::Already if slot.gate.is_awaited_by(queue_pair) => slot.gate.is_pinned(),
            Begun::Stale => return Err(Fault::BadKey),
            Begun::Already | Begun::NotValid | Begun::Bound => return Err(Fault::Revoked),
        };
        if !draining {
            self.finish_revocation(key.index(), slot);
        }
        Ok(!draining)
    }
}
