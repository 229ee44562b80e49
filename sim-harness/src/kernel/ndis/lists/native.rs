//! Lists of the simulated drivers: as many MDLs as their maker wants, data that start at an odd address behind unused bytes,
//! and more room at the end than there are data. A driver that takes a short cut is found out.

use super::making::Making;
use super::{Holder, Kind, Lists, Nbl, data};
use crate::kernel::Machine;
use ndk_types::{MDL, NET_BUFFER};
use std::ptr;

/// Unused bytes in front of a frame: DataOffset.
const FRONT: usize = 21;
/// Unused bytes behind the last piece.
const BACK: usize = 6;
/// What unused bytes are.
const UNUSED: u8 = 0xee;

/// Puts one frame into a NET_BUFFER: a block and an MDL for each piece.
fn fill(machine: &Machine, making: &mut Making<'_>, buffer: *mut NET_BUFFER, frame: &[&[u8]]) -> Option<()> {
    let (mut first, mut last) = (ptr::null_mut::<MDL>(), ptr::null_mut::<MDL>());
    let pieces: &[&[u8]] = if frame.is_empty() { &[&[]] } else { frame };
    for (place, piece) in pieces.iter().enumerate() {
        let front = if place == 0 { FRONT } else { 0 };
        let back = if place + 1 == pieces.len() { BACK } else { 0 };
        let bytes = front + piece.len() + back;
        let at = making.block(bytes)?;
        // SAFETY: the block just allocated.
        unsafe { ptr::write_bytes(at, UNUSED, bytes) };
        // SAFETY: the piece fits in behind the front.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), at.wrapping_add(front), piece.len()) };
        let mdl = making.mdl(at.cast(), bytes)?;
        if first.is_null() {
            first = mdl;
        } else {
            // SAFETY: made in the turn before.
            unsafe { (*last).Next = mdl };
        }
        last = mdl;
    }
    let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
    data::describe(machine, buffer, first, FRONT as u32, u32::try_from(length).ok()?);
    Some(())
}

impl Lists {
    /// A list with one frame, in one MDL for each piece; `source` is its SourceHandle. `None` without memory.
    pub fn build(&self, machine: &Machine, holder: Holder, frame: &[&[u8]], source: usize) -> Option<Nbl> {
        self.build_many(machine, holder, &[frame], source)
    }

    /// A list with one NET_BUFFER for each frame.
    pub fn build_many(&self, machine: &Machine, holder: Holder, frames: &[&[&[u8]]], source: usize) -> Option<Nbl> {
        let mut making = Making::new(machine, 0, true)?;
        for frame in frames {
            let buffer = making.net_buffer(0)?;
            fill(machine, &mut making, buffer, frame)?;
        }
        // SAFETY: a fresh list.
        unsafe { (*making.nbl.0).SourceHandle = ptr::without_provenance_mut(source) };
        Some(making.done(Kind::Native, holder))
    }

    /// Frees such a list. While somebody else has it, or a clone of it is alive, it stays.
    pub fn destroy(&self, machine: &Machine, nbl: Nbl) {
        let mut state = self.state();
        let why = match state.records.get(&nbl.address()) {
            None => Some("is none, or no longer".to_owned()),
            Some(record) if record.kind != Kind::Native => Some("is the driver's".to_owned()),
            Some(record) if record.holder != record.maker => Some(format!("is with {:?}", record.holder)),
            Some(record) if record.clones > 0 => Some(format!("has {} clones", record.clones)),
            Some(record) => record.lent.as_ref().map(|lent| format!("is lent to {:?}", lent.to)),
        };
        if let Some(why) = why {
            machine.violation("nbl", format!("list {:#x} is to go and {why}", nbl.address()));
            return;
        }
        let record = state.forget(nbl);
        drop(state);
        if let Some(record) = record {
            record.free(machine);
        }
    }
}
