//! `TurnRegions`: local memory as one turn of one queue pair sees it.
//!
//! A key is looked up and pinned once per turn, not once per packet (T-03, T-13): the next use costs a comparison and the
//! range check. The pins go back at the end of the turn, or when another region needs the place. No locks, no waiting, no
//! allocation; what cannot be done is a [`Fault`].

use super::copy::{copy_shared_in, copy_shared_out};
use super::logical::MappingId;
use super::table::{Domain, RegionKind, RegionTable, View, Wake};
use crate::platform::Mapping;
use core::ptr::NonNull;
use roce_engine::key::{LKey, RKey};
use roce_engine::memory::{Access, Bind, Epoch, FastRegister, Fault, Regions, Revocation, Sge, range_within};

/// How many regions and mappings stay pinned at once.
const PINNED_MAX: usize = 6;

/// In a name: nothing is pinned.
const NOTHING: u64 = 0;
/// In a name: it is a logical mapping.
const MAPPING: u64 = 1 << 32;

/// The view of an unused place: it grants nothing.
const NO_VIEW: View = View {
    extent: super::logical::Extent { base: 0, size: 0, memory: NonNull::dangling() },
    access: Access::LOCAL_READ,
    epoch: Epoch(0),
    kind: RegionKind::Window,
};

/// Where something is pinned.
#[derive(Clone, Copy)]
struct Place(usize);

/// Which queue pair takes the turn, and what its keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnOwner {
    /// Its slot: whom [`Wake::queue_pair`] wakes.
    pub queue_pair: u32,
    /// Its protection domain.
    pub domain: Domain,
    /// The domain's privileged token.
    pub privileged: LKey,
}

/// See the module's text.
pub struct TurnRegions<'a, M: Mapping, D, W: Wake> {
    table: &'a RegionTable<M, D>,
    wake: &'a W,
    owner: TurnOwner,
    /// What is pinned in each place: NOTHING, a key, or a mapping.
    names: [u64; PINNED_MAX],
    views: [View; PINNED_MAX],
    /// The place to be used next.
    next: usize,
}

impl<'a, M: Mapping, D, W: Wake> TurnRegions<'a, M, D, W> {
    /// Nothing pinned yet.
    pub fn new(table: &'a RegionTable<M, D>, owner: TurnOwner, wake: &'a W) -> Self {
        Self { table, wake, owner, names: [NOTHING; PINNED_MAX], views: [NO_VIEW; PINNED_MAX], next: 0 }
    }

    /// Ends the turn: gives the pins back. Dropping does the same.
    pub fn finish(self) {
        drop(self);
    }

    /// The place where `name` is pinned, pinning it first if need be.
    #[inline]
    fn pinned(&mut self, name: u64) -> Result<Place, Fault> {
        match self.names.iter().position(|pinned| *pinned == name) {
            Some(at) if name != NOTHING => Ok(Place(at)),
            _ => self.pin(name),
        }
    }

    #[cold]
    #[inline(never)]
    fn pin(&mut self, name: u64) -> Result<Place, Fault> {
        let view = if name & MAPPING != 0 {
            let id = MappingId::of(name << 32);
            if !self.table.logical().hold(id) {
                return Err(Fault::BadKey);
            }
            // SAFETY: held by the lines above, until the name is unpinned.
            let extent = unsafe { self.table.logical().extent(id) }.ok_or(Fault::BadKey)?;
            View { extent, access: Access::LOCAL_WRITE, epoch: Epoch(0), kind: RegionKind::Registered }
        } else {
            self.table.pin(name as u32, Some(self.owner.domain))?
        };
        let place = Place(self.next);
        self.next = (self.next + 1) % PINNED_MAX;
        if let (Some(pinned), Some(known)) = (self.names.get_mut(place.0), self.views.get_mut(place.0)) {
            let before = core::mem::replace(pinned, name);
            *known = view;
            self.unpin(before);
        }
        Ok(place)
    }

    #[inline]
    fn view(&self, place: Place) -> &View {
        self.views.get(place.0).unwrap_or(&NO_VIEW)
    }

    fn unpin(&self, name: u64) {
        if name & MAPPING != 0 {
            self.table.logical().let_go(MappingId::of(name << 32));
        } else if name != NOTHING {
            self.table.unpin(LKey(name as u32).index(), self.wake);
        }
    }

    /// Gives the pin on a key back before the end of the turn.
    fn drop_pin(&mut self, key: u32) {
        for place in 0..PINNED_MAX {
            if let Some(pinned) = self.names.get_mut(place)
                && *pinned == u64::from(key)
            {
                let before = core::mem::replace(pinned, NOTHING);
                self.unpin(before);
            }
        }
    }

    /// Resolves `length` bytes, `offset` bytes into `sge`: where it is pinned, and the offset there.
    #[inline]
    fn local(&mut self, sge: &Sge, offset: u32, length: usize, access: Access) -> Result<(Place, u64), Fault> {
        range_within(0, u64::from(sge.length), u64::from(offset), length as u64).ok_or(Fault::OutOfBounds)?;
        let address = sge.addr.checked_add(u64::from(offset)).ok_or(Fault::OutOfBounds)?;
        let name = if sge.l_key == self.owner.privileged {
            MAPPING | u64::from(MappingId::of(address).bits())
        } else {
            u64::from(sge.l_key.0)
        };
        let place = self.pinned(name)?;
        let view = self.view(place);
        if view.kind == RegionKind::Window || !view.access.allows(access) {
            return Err(Fault::NoAccess);
        }
        let at = range_within(view.extent.base, view.extent.size, address, length as u64).ok_or(Fault::OutOfBounds)?;
        Ok((place, at))
    }

    /// Resolves a peer's range.
    #[inline]
    fn remote(&mut self, key: RKey, va: u64, length: u64, access: Access) -> Result<(Place, u64), Fault> {
        if key.0 == self.owner.privileged.0 {
            // PD-04
            return Err(Fault::BadKey);
        }
        let place = self.pinned(u64::from(key.0))?;
        let view = self.view(place);
        if !view.access.allows(access) {
            return Err(Fault::NoAccess);
        }
        let at = range_within(view.extent.base, view.extent.size, va, length).ok_or(Fault::OutOfBounds)?;
        Ok((place, at))
    }

    /// The pages of a pinned fast-registered region, piece by piece.
    #[inline]
    fn pieces(&self, place: Place, at: u64, length: usize, each: impl FnMut(NonNull<u8>, usize)) -> Result<(), Fault> {
        let name = self.names.get(place.0).copied().unwrap_or(NOTHING);
        // SAFETY: what has a place is pinned.
        let whole = unsafe { self.table.pieces(LKey(name as u32).index(), at, length, each) };
        if whole { Ok(()) } else { Err(Fault::OutOfBounds) }
    }

    /// Copies out of a place; the range was checked.
    #[inline]
    fn fetch(&self, place: Place, at: u64, dst: &mut [u8]) -> Result<(), Fault> {
        let view = self.view(place);
        if view.kind != RegionKind::Fast {
            // SAFETY: range_within found `at` within the extent.
            let shared = unsafe { view.extent.memory.add(at as usize) };
            // SAFETY: Mapping: the extent's bytes are readable while it is pinned, and the whole range is within it.
            unsafe { copy_shared_out(shared, dst) };
            return Ok(());
        }
        let length = dst.len();
        let mut rest = dst;
        self.pieces(place, at, length, |shared, length| {
            if let Some((piece, after)) = core::mem::take(&mut rest).split_at_mut_checked(length) {
                // SAFETY: Mapping: `pieces` gives readable bytes of mappings that the region holds.
                unsafe { copy_shared_out(shared, piece) };
                rest = after;
            }
        })
    }

    /// Copies into a place; the range and the right were checked.
    #[inline]
    fn store(&self, place: Place, at: u64, src: &[u8]) -> Result<(), Fault> {
        let view = self.view(place);
        if view.kind != RegionKind::Fast {
            // SAFETY: range_within found `at` within the extent.
            let shared = unsafe { view.extent.memory.add(at as usize) };
            // SAFETY: Mapping: the view grants writing, so the mapping was asked for it; it stays while pinned.
            unsafe { copy_shared_in(shared, src) };
            return Ok(());
        }
        let mut rest = src;
        self.pieces(place, at, src.len(), |shared, length| {
            if let Some((piece, after)) = rest.split_at_checked(length) {
                // SAFETY: Mapping: logical mappings are writable, and the region holds those of its pages.
                unsafe { copy_shared_in(shared, piece) };
                rest = after;
            }
        })
    }

    /// Revokes a region or window.
    fn revoke(&mut self, key: LKey) -> Result<Revocation, Fault> {
        self.drop_pin(key.0);
        let done = self.table.invalidate(self.owner.domain, key, self.owner.queue_pair)?;
        Ok(if done { Revocation::Done } else { Revocation::Draining })
    }
}

impl<M: Mapping, D, W: Wake> Regions for TurnRegions<'_, M, D, W> {
    #[inline]
    fn gather(&mut self, sge: &Sge, offset: u32, dst: &mut [u8]) -> Result<(), Fault> {
        let (place, at) = self.local(sge, offset, dst.len(), Access::LOCAL_READ)?;
        self.fetch(place, at, dst)
    }

    #[inline]
    fn scatter(&mut self, sge: &Sge, offset: u32, src: &[u8]) -> Result<(), Fault> {
        let (place, at) = self.local(sge, offset, src.len(), Access::LOCAL_WRITE)?;
        self.store(place, at, src)
    }

    fn grant(&mut self, key: RKey, va: u64, length: u32, access: Access) -> Result<Epoch, Fault> {
        let (place, _) = self.remote(key, va, u64::from(length), access)?;
        Ok(self.view(place).epoch)
    }

    #[inline]
    fn remote_write(&mut self, key: RKey, epoch: Epoch, va: u64, src: &[u8]) -> Result<(), Fault> {
        let (place, at) = self.remote(key, va, src.len() as u64, Access::REMOTE_WRITE)?;
        if self.view(place).epoch != epoch {
            return Err(Fault::Revoked);
        }
        self.store(place, at, src)
    }

    #[inline]
    fn remote_read(&mut self, key: RKey, epoch: Epoch, va: u64, dst: &mut [u8]) -> Result<(), Fault> {
        let (place, at) = self.remote(key, va, dst.len() as u64, Access::REMOTE_READ)?;
        if self.view(place).epoch != epoch {
            return Err(Fault::Revoked);
        }
        self.fetch(place, at, dst)
    }

    fn fast_register(&mut self, request: &FastRegister) -> Result<(), Fault> {
        self.drop_pin(request.key.0);
        self.table.fast_register(self.owner.domain, request)
    }

    fn bind(&mut self, request: &Bind) -> Result<(), Fault> {
        self.table.bind(self.owner.domain, request)
    }

    fn invalidate(&mut self, key: LKey) -> Result<Revocation, Fault> {
        self.revoke(key)
    }

    fn remote_invalidate(&mut self, key: RKey) -> Result<Revocation, Fault> {
        if key.0 == self.owner.privileged.0 {
            // PD-04
            return Err(Fault::BadKey);
        }
        // A peer may end what a peer was granted, and nothing else. What is revoked already has nothing to look at.
        match self.pinned(u64::from(key.0)).map(|place| self.view(place).access) {
            Ok(access) if access.allows(Access::REMOTE_READ) || access.allows(Access::REMOTE_WRITE) => (),
            Err(Fault::Revoked) => (),
            Ok(_) => return Err(Fault::NoAccess),
            Err(fault) => return Err(fault),
        }
        self.revoke(LKey(key.0))
    }
}

impl<M: Mapping, D, W: Wake> Drop for TurnRegions<'_, M, D, W> {
    fn drop(&mut self) {
        for name in core::mem::replace(&mut self.names, [NOTHING; PINNED_MAX]) {
            self.unpin(name);
        }
    }
}
