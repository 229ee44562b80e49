//! Flights: the PSNs of every request that was started and is not retired.

use crate::psn::Psn;
use alloc::vec::Vec;

/// What a request is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// SEND or WRITE.
    Message,
    /// READ: its PSNs are its responses'.
    Read,
    /// Nothing: carried out here (T-26).
    Local,
}

/// A started request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Flight {
    pub(in super::super) first: Psn,
    pub(in super::super) packets: u32,
    pub(in super::super) kind: Kind,
}

impl Flight {
    pub(in super::super) const fn is_read(&self) -> bool {
        matches!(self.kind, Kind::Read)
    }
}

/// The started requests `head..end`, by position.
#[derive(Debug)]
pub(in super::super) struct Flights {
    ring: Vec<Flight>,
    mask: u32,
    head: u32,
    end: u32,
    unassigned: Psn,
    reads: u32,
}

impl Flights {
    pub(super) fn try_new(depth: u32) -> Option<Self> {
        let size = depth.max(1).checked_next_power_of_two()?;
        let mut ring = Vec::new();
        ring.try_reserve_exact(size as usize).ok()?;
        ring.resize(size as usize, Flight { first: Psn::new(0), packets: 0, kind: Kind::Local });
        Some(Self { ring, mask: size - 1, head: 0, end: 0, unassigned: Psn::new(0), reads: 0 })
    }

    pub(super) const fn start_at(&mut self, psn: Psn) {
        self.unassigned = psn;
    }

    /// The oldest request that is not retired.
    pub(in super::super) const fn head(&self) -> u32 {
        self.head
    }

    /// The position after the last started request.
    pub(super) const fn end(&self) -> u32 {
        self.end
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.head == self.end
    }

    /// Whether no READ is started and not retired.
    pub(in super::super) const fn reads_none(&self) -> bool {
        self.reads == 0
    }

    /// READs started and not retired.
    pub(super) const fn reads(&self) -> u32 {
        self.reads
    }

    /// The PSN of the first packet of the next request to start.
    pub(super) const fn unassigned(&self) -> Psn {
        self.unassigned
    }

    #[inline]
    pub(in super::super) fn get(&self, position: u32) -> Option<Flight> {
        if position.wrapping_sub(self.head) >= self.end.wrapping_sub(self.head) {
            return None;
        }
        self.ring.get((position & self.mask) as usize).copied()
    }

    /// Starts the request at `end`. The send queue's depth bounds how many are started.
    pub(super) fn start(&mut self, kind: Kind, packets: u32) -> Flight {
        let flight = Flight { first: self.unassigned, packets, kind };
        if let Some(place) = self.ring.get_mut((self.end & self.mask) as usize) {
            *place = flight;
        }
        self.end = self.end.wrapping_add(1);
        self.unassigned = self.unassigned.add(packets);
        self.reads += u32::from(kind == Kind::Read);
        flight
    }

    pub(super) fn retire(&mut self) {
        if let Some(flight) = self.get(self.head) {
            self.reads -= u32::from(flight.kind == Kind::Read);
            self.head = self.head.wrapping_add(1);
        }
    }

    pub(super) const fn clear(&mut self, position: u32) {
        (self.head, self.end, self.reads) = (position, position, 0);
    }

    /// The request that the packet `psn` belongs to.
    pub(in super::super) fn position_of(&self, psn: Psn) -> Option<u32> {
        let mut position = self.head;
        while let Some(flight) = self.get(position) {
            let into = psn.since(flight.first);
            if into >= 0 && into.cast_unsigned() < flight.packets {
                return Some(position);
            }
            position = position.wrapping_add(1);
        }
        None
    }
}
