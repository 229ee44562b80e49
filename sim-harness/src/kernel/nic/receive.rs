//! Up: frames off the wire, filtered, in MDLs and indications as the behaviour says; and lists that come back.

use super::ethernet::{self, Cast, HEADER, TAG};
use super::{Pieces, Resources, SimNic, State, frames};
use crate::kernel::Machine;
use crate::kernel::ndis::lists::{Holder, Nbl};
use ndk_types::*;
use std::ffi::c_void;
use std::sync::Arc;

/// Where headers end, for seeded pieces: Ethernet, IPv6, UDP, BTH and RETH.
const HEADERS: usize = 14 + 40 + 8 + 12 + 16;

/// A list to indicate, and what is in it.
type Filled = (Nbl, Vec<u8>);

impl SimNic {
    /// A frame arrives.
    pub fn deliver(&self, machine: &Arc<Machine>, frame: &[u8]) {
        self.deliver_many(machine, &[frame]);
    }

    /// Frames arrive together: as many as the behaviour allows are one indication.
    pub fn deliver_many<F: AsRef<[u8]>>(&self, machine: &Arc<Machine>, frames: &[F]) {
        let source = self.up().handle();
        let most = self.state().behaviour.chain.max(1);
        for run in frames.chunks(most) {
            let (filled, resources) = {
                let mut state = self.state();
                let filled: Vec<Filled> =
                    run.iter().filter_map(|frame| state.fill(machine, frame.as_ref(), source)).collect();
                let resources = state.keeps(filled.len());
                if resources {
                    state.lent += filled.len();
                } else {
                    state.indicated.extend(filled.iter().cloned());
                }
                (filled, resources)
            };
            if filled.is_empty() {
                continue;
            }
            let lists = filled.iter().map(|&(nbl, _)| nbl).collect();
            self.up().indicate(machine, lists, resources);
            if resources {
                let count = filled.len();
                for (nbl, bytes) in filled {
                    reclaim(machine, nbl, &bytes);
                }
                self.state().lent -= count;
                self.end_pause(machine);
            }
        }
    }

    /// Lists come back.
    pub(super) fn take_back(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        for nbl in lists {
            let bytes = self.state().indicated.remove(&nbl);
            match bytes {
                Some(bytes) => reclaim(machine, nbl, &bytes),
                None => machine.violation("W-20", format!("list {:p} is returned, which the NIC did not lend", nbl.0)),
            }
        }
    }
}

/// A list is the NIC's again: it must be as it was.
fn reclaim(machine: &Arc<Machine>, nbl: Nbl, bytes: &[u8]) {
    let now = frames(machine, nbl);
    if now != [bytes] {
        machine.violation("W-20", format!("list {:p} came back to the NIC with other contents", nbl.0));
    }
    machine.ndis.lists.destroy(machine, nbl);
}

impl State {
    /// A list with this frame, if it is for us.
    fn fill(&mut self, machine: &Arc<Machine>, frame: &[u8], source: usize) -> Option<Filled> {
        if !self.attributes.connected || !self.wants(frame) {
            return None;
        }
        if !self.running {
            self.counters.received.discards += 1;
            return None;
        }
        let untagged = if self.behaviour.vlan { ethernet::untag(frame) } else { None };
        let (bytes, tag) = untagged.unwrap_or_else(|| (frame.to_vec(), 0));
        let longest = self.attributes.mtu as usize + HEADER + if ethernet::is_tagged(&bytes) { TAG } else { 0 };
        let coalesced = bytes.len() > longest;
        if bytes.len() < HEADER || coalesced && !self.coalescing {
            self.counters.received.errors += 1;
            return None;
        }
        let cuts = self.cuts(bytes.len());
        let pieces = pieces(&bytes, &cuts);
        let Some(nbl) = machine.ndis.lists.build(machine, Holder::Nic, &pieces, source) else {
            self.counters.received.discards += 1;
            return None;
        };
        set_info(nbl, Ieee8021QNetBufferListInfo, tag as usize);
        // NDIS_RSC_NBL_INFO: CoalescedSegCount in the lower half.
        set_info(nbl, TcpRecvSegCoalesceInfo, usize::from(coalesced) * 2);
        self.counters.received.count(&bytes);
        Some((nbl, bytes))
    }

    /// Whether the packet filter lets a frame through.
    fn wants(&self, frame: &[u8]) -> bool {
        let kinds = match Cast::of(frame) {
            Cast::Directed if frame.starts_with(&self.attributes.mac) => NDIS_PACKET_TYPE_DIRECTED,
            Cast::Directed => 0,
            Cast::Broadcast => NDIS_PACKET_TYPE_BROADCAST,
            Cast::Multicast if self.multicast.iter().any(|group| frame.starts_with(group)) => {
                NDIS_PACKET_TYPE_MULTICAST | NDIS_PACKET_TYPE_ALL_MULTICAST
            }
            Cast::Multicast => NDIS_PACKET_TYPE_ALL_MULTICAST,
        };
        self.filter & (kinds | NDIS_PACKET_TYPE_PROMISCUOUS) != 0
    }

    /// Whether so many more lists are lent for the call only.
    fn keeps(&self, more: usize) -> bool {
        match self.behaviour.resources {
            Resources::Never => false,
            Resources::Always => true,
            Resources::From(count) => self.with_driver() + more >= count,
        }
    }

    /// Where the MDLs of a frame begin, after the first.
    fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = match &self.behaviour.pieces {
            Pieces::Whole => Vec::new(),
            Pieces::At(cuts) => cuts.clone(),
            Pieces::Bytes => (1..len).collect(),
            Pieces::Seeded(most) => {
                let count = self.dice.below(*most as u64);
                (0..count)
                    .map(|_| {
                        let within = if self.dice.chance(0.5) { HEADERS.min(len) } else { len };
                        self.dice.below(within as u64) as usize
                    })
                    .collect()
            }
        };
        cuts.sort_unstable();
        cuts.dedup();
        cuts.retain(|&cut| cut > 0 && cut < len);
        cuts
    }
}

/// A frame cut at these offsets.
fn pieces<'a>(frame: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::with_capacity(cuts.len() + 1);
    let mut rest = frame;
    for cut in cuts.iter().rev() {
        let (before, piece) = rest.split_at_checked(*cut).unwrap_or((rest, &[]));
        pieces.push(piece);
        rest = before;
    }
    pieces.push(rest);
    pieces.reverse();
    pieces
}

/// Writes what travels beside a list.
fn set_info(nbl: Nbl, entry: NDIS_NET_BUFFER_LIST_INFO, value: usize) {
    // SAFETY: a list the NIC has; the array is only named, since a list of an older NDIS has fewer entries.
    let entries = unsafe { &raw mut (*nbl.0).NetBufferListInfo }.cast::<*mut c_void>();
    // SAFETY: each entry written here is one that every NDIS since 6.30 has.
    unsafe { entries.wrapping_add(entry as usize).write(std::ptr::without_provenance_mut(value)) };
}
