//! Memory as the engine sees it: ranges behind keys, reached only by copy.
//!
//! [`Regions`] is what the platform side lends to a turn. It resolves an L_Key or R_Key, pins the region for the turn
//! (T-03: one pin per turn, not per packet), checks the range with [`range_within`], the one range check there is, and
//! copies. It never lends a `&[u8]` into a region: the wire and the consumer may write the same bytes at any time.

use crate::key::{LKey, RKey};

/// What a region grants beyond local read, which it always grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// Local read only.
    pub const LOCAL_READ: Self = Self(0);
    /// The local side may place data (receives, READ sinks).
    pub const LOCAL_WRITE: Self = Self(1);
    /// A peer may READ.
    pub const REMOTE_READ: Self = Self(2);
    /// A peer may WRITE.
    pub const REMOTE_WRITE: Self = Self(4);

    /// Both sets of rights together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all rights of `wanted` are granted.
    pub const fn allows(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The rights as bits, for storing them in an atomic word.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The rights from [`Access::bits`]; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }
}

/// Why memory was not touched. Both layers above map it in their own words: a responder to a NAK, a requester to a
/// completion status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No region has this key (never had, or its tag is stale).
    BadKey,
    /// The region belongs to another protection domain.
    WrongDomain,
    /// The region was invalidated, deregistered or registered anew since (T-23).
    Revoked,
    /// The range is not wholly inside the region.
    OutOfBounds,
    /// The region does not grant the right.
    NoAccess,
}

/// Which registration of a region a key meant: it changes at every fast register, bind or registration, so that a late
/// replay of a READ never reads the next registration's bytes (T-23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub u32);

/// A piece of local memory named by a work request. `addr` is an index into the region, never a pointer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sge {
    /// Virtual or logical address of the first byte.
    pub addr: u64,
    /// Bytes.
    pub length: u32,
    /// The key that grants local access.
    pub l_key: LKey,
}

/// The one range check: the offset of `[addr, addr + len)` inside `[base, base + size)`, if it is wholly inside.
/// Neither sum can wrap. A zero-length range is inside wherever `addr` is in `base..=base + size`.
pub const fn range_within(base: u64, size: u64, addr: u64, len: u64) -> Option<u64> {
    let Some(offset) = addr.checked_sub(base) else {
        return None;
    };
    if offset <= size && len <= size - offset { Some(offset) } else { None }
}

/// A fast registration as posted (IBTA "Fast Register PMR"). The page list was captured when it was posted and waits at
/// the region; this names the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastRegister {
    /// The region.
    pub key: LKey,
    /// Address of the first byte as peers and SGEs will name it.
    pub va: u64,
    /// Bytes.
    pub length: u64,
    /// Rights granted.
    pub access: Access,
}

/// A memory-window bind as posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The window's R_Key from this bind on; its tag was drawn when the bind was posted.
    pub window: RKey,
    /// The region bound to.
    pub region: LKey,
    /// First byte.
    pub va: u64,
    /// Bytes.
    pub length: u64,
    /// Rights granted to peers.
    pub access: Access,
}

/// What became of a revocation (T-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// No access can start and none is under way.
    Done,
    /// No access can start; other lanes still hold pins. The last of them kicks this queue pair: ask again then.
    Draining,
}

/// Local memory, lent to one queue pair for one turn. All methods are bounded, allocate nothing and never wait.
pub trait Regions {
    /// Copies `dst.len()` bytes that start `offset` bytes into `sge` out of local memory.
    fn gather(&mut self, sge: &Sge, offset: u32, dst: &mut [u8]) -> Result<(), Fault>;

    /// Copies `src` into local memory, `offset` bytes into `sge`. Needs [`Access::LOCAL_WRITE`].
    fn scatter(&mut self, sge: &Sge, offset: u32, src: &[u8]) -> Result<(), Fault>;

    /// Checks that a peer may do `access` on the whole range, before its first byte moves.
    fn grant(&mut self, key: RKey, va: u64, length: u32, access: Access) -> Result<Epoch, Fault>;

    /// Places a peer's bytes under an earlier grant.
    fn remote_write(&mut self, key: RKey, epoch: Epoch, va: u64, src: &[u8]) -> Result<(), Fault>;

    /// Fetches bytes for a peer under an earlier grant.
    fn remote_read(&mut self, key: RKey, epoch: Epoch, va: u64, dst: &mut [u8]) -> Result<(), Fault>;

    /// Carries out a fast registration.
    fn fast_register(&mut self, request: &FastRegister) -> Result<(), Fault>;

    /// Carries out a bind.
    fn bind(&mut self, request: &Bind) -> Result<(), Fault>;

    /// Ends all access through a fast-registered region or a window, for a local invalidate. Asked again with the same
    /// key after [`Revocation::Draining`], it goes on where it was.
    fn invalidate(&mut self, key: LKey) -> Result<Revocation, Fault>;

    /// The same on a peer's wish (Send with Invalidate): refuses what no peer may invalidate.
    fn remote_invalidate(&mut self, key: RKey) -> Result<Revocation, Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_would_wrap_is_outside() {
        assert_eq!(range_within(0x1000, 0x1000, u64::MAX, 2), None);
        assert_eq!(range_within(0x1000, 0x1000, 0x1fff, u64::MAX), None);
        assert_eq!(range_within(u64::MAX - 1, 1, u64::MAX - 1, 1), Some(0));
    }

    #[test]
    fn a_zero_length_range_may_sit_at_the_end_but_not_beyond() {
        assert_eq!(range_within(10, 5, 15, 0), Some(5));
        assert_eq!(range_within(10, 5, 16, 0), None);
        assert_eq!(range_within(10, 5, 9, 0), None);
    }
}
