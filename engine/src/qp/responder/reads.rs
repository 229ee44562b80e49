//! READs the responder serves: those being answered, and records of those that were (T-22).
//!
//! A record outlives its READ so that a peer which lost responses can ask for a part again. It holds the region's *epoch*:
//! a replay never reads what was registered since (T-23). A new READ overwrites the oldest finished record.

use super::super::frame::send_filled;
use super::super::{Attributes, packets as read_packets};
use crate::key::RKey;
use crate::memory::{Epoch, Regions};
use crate::psn::{Msn, Psn};
use crate::turn::{Environment, Pause, Turn};
use crate::wire::headers::{Aeth, Bth, Ext, Reth, Syndrome};
use crate::wire::opcode::{Opcode, Position};
use alloc::vec::Vec;

/// One READ, as it was granted.
#[derive(Clone, Copy, Debug)]
struct Record {
    first: Psn,
    packets: u32,
    va: u64,
    length: u32,
    key: RKey,
    epoch: Epoch,
    msn: Msn,
}

/// A READ being answered: packets `next..end` of its record are still to be sent.
#[derive(Clone, Copy, Debug)]
struct Reply {
    record: Record,
    begin: u32,
    next: u32,
    /// Where this reply stops, and where what was asked for ends.
    end: u32,
    last: u32,
    /// Asked for again: when it cannot be answered any more, it is dropped (T-22, T-23).
    again: bool,
}

#[derive(Debug)]
pub(super) struct Reads {
    records: Vec<Record>,
    oldest: usize,
    /// In PSN order; never more than the records' capacity.
    replies: Vec<Reply>,
}

impl Reads {
    pub(super) fn try_new(depth: usize) -> Option<Self> {
        let (mut records, mut replies) = (Vec::new(), Vec::new());
        records.try_reserve_exact(depth.max(1)).ok()?;
        // A READ asked for again in part may leave pieces of its earlier replies.
        replies.try_reserve_exact(depth.max(1).checked_mul(2)?).ok()?;
        Some(Self { records, oldest: 0, replies })
    }

    /// READs with responses to be sent; pieces of one count once.
    pub(super) fn unfinished(&self) -> usize {
        let pieces = self.replies.iter().zip(self.replies.iter().skip(1));
        let same = pieces.filter(|(a, b)| a.record.first == b.record.first).count();
        self.replies.len() - same
    }

    /// Drops what is owed of the oldest READ, if it was asked for again; whether it was. A peer whose READs are as many as were
    /// agreed on, and which sends another, has what it asked for twice: its first answers were on their way.
    pub(super) fn drop_superfluous(&mut self) -> bool {
        let Some(oldest) = self.replies.first().map(|reply| reply.record.first) else { return false };
        let again = self.replies.iter().any(|reply| reply.record.first == oldest && reply.again);
        self.replies.retain(|reply| !again || reply.record.first != oldest);
        again
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.replies.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.replies.clear();
        self.records.clear();
    }

    fn has_room(&self) -> bool {
        self.replies.len() < self.replies.capacity()
    }

    /// Notes a granted READ and what it owes; gives the packets it takes.
    pub(super) fn accept(&mut self, first: Psn, reth: &Reth, epoch: Epoch, msn: Msn, path_mtu: u16) -> u32 {
        let packets = read_packets(reth.dma_len, path_mtu);
        let record = Record { first, packets, va: reth.va, length: reth.dma_len, key: reth.r_key, epoch, msn };
        if self.records.len() < self.records.capacity() {
            self.records.push(record);
        } else {
            if let Some(oldest) = self.records.get_mut(self.oldest) {
                *oldest = record;
            }
            self.oldest = (self.oldest + 1) % self.records.len().max(1);
        }
        if self.has_room() {
            self.replies.push(Reply { record, begin: 0, next: 0, end: packets, last: packets, again: false });
        }
        packets
    }

    /// A READ came again, whole or in part: it is answered again when it lies inside a record, else dropped (T-22).
    /// Whatever was still owed from there on is superseded.
    pub(super) fn replay(&mut self, psn: Psn, reth: &Reth, path_mtu: u16) {
        let packets = read_packets(reth.dma_len, path_mtu);
        let inside = |record: &&Record| {
            let Ok(skipped) = u32::try_from(psn.since(record.first)) else { return false };
            let bytes = u64::from(skipped) * u64::from(path_mtu);
            skipped.checked_add(packets).is_some_and(|end| end <= record.packets)
                && reth.r_key == record.key
                && reth.va == record.va.wrapping_add(bytes)
                && bytes + u64::from(reth.dma_len) <= u64::from(record.length)
        };
        let Some(&record) = self.records.iter().find(inside) else { return };
        self.replies.retain(|reply| psn.since(reply.record.first.add(reply.next)) > 0);
        for reply in &mut self.replies {
            let left = u32::try_from(psn.since(reply.record.first)).unwrap_or(0);
            reply.end = reply.end.min(left);
        }
        self.replies.retain(|reply| reply.next < reply.end);
        if self.has_room() {
            let begin = u32::try_from(psn.since(record.first)).unwrap_or(0);
            let end = begin.saturating_add(packets);
            self.replies.push(Reply { record, begin, next: begin, end, last: end, again: true });
        }
    }

    /// Sends responses in PSN order. `Err`: the region refused, at this PSN.
    pub(super) fn pay<E: Environment>(
        &mut self,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
        budget: &mut u32,
    ) -> Result<Option<Pause>, Psn> {
        while let Some(reply) = self.replies.first_mut() {
            while reply.next < reply.end {
                if *budget == 0 {
                    return Ok(Some(Pause::Budget));
                }
                match send_response(reply, attributes, turn) {
                    None => return Ok(Some(Pause::NoFrame)),
                    Some(Ok(())) => {
                        reply.next += 1;
                        *budget -= 1;
                    }
                    Some(Err(_)) if reply.again => reply.next = reply.end,
                    Some(Err(psn)) => {
                        self.clear();
                        return Err(psn);
                    }
                }
            }
            // Not `remove`, which can panic as far as the compiler knows.
            let mut paid = true;
            self.replies.retain(|_| !core::mem::take(&mut paid));
        }
        Ok(None)
    }
}

/// Sends the response packet `reply.next`.
fn send_response<E: Environment>(
    reply: &Reply,
    attributes: &Attributes,
    turn: &mut Turn<'_, E>,
) -> Option<Result<(), Psn>> {
    let Record { first, va, length, key, epoch, msn, .. } = reply.record;
    let offset = u64::from(reply.next) * u64::from(attributes.path_mtu);
    let len = (u64::from(length).saturating_sub(offset)).min(u64::from(attributes.path_mtu)) as usize;
    let position = match (reply.next == reply.begin, reply.next + 1 == reply.last) {
        (true, true) => Position::Only,
        (true, false) => Position::First,
        (false, true) => Position::Last,
        (false, false) => Position::Middle,
    };
    let opcode = match position {
        Position::First => Opcode::RdmaReadResponseFirst,
        Position::Middle => Opcode::RdmaReadResponseMiddle,
        Position::Last => Opcode::RdmaReadResponseLast,
        Position::Only => Opcode::RdmaReadResponseOnly,
    };
    let ext = match position {
        Position::Middle => Ext::None,
        Position::First | Position::Last | Position::Only => Ext::Aeth(Aeth { syndrome: Syndrome::ACK, msn }),
    };
    let psn = first.add(reply.next);
    let bth = Bth::new(opcode, attributes.remote_qpn, psn);
    let regions = &mut *turn.regions;
    let sent = send_filled(attributes, turn.outbox, turn.crc, &bth, &ext, len, |payload| {
        if payload.is_empty() { Ok(()) } else { regions.remote_read(key, epoch, va.wrapping_add(offset), payload) }
    })?;
    Some(sent.map_err(|_| psn))
}
