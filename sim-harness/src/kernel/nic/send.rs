//! Down: what the driver sends, put on the wire in order, completed when and in what order the behaviour says.

use super::ethernet::{self, HEADER, SHORTEST, TAG};
use super::{Completion, Order, SimNic, State};
use crate::kernel::Machine;
use crate::kernel::ndis::lists::Nbl;
use ndk_types::*;
use std::sync::Arc;

/// A send that is on the wire and waits for its completion.
pub(super) struct Held {
    nbl: Nbl,
    status: NDIS_STATUS,
    pub(super) due: u64,
    /// What was in it: it must not change before it is completed.
    frames: Vec<Vec<u8>>,
}

impl SimNic {
    /// Sends lists: on the wire at once, unless it is stalled.
    pub(super) fn take_sends(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        let (due, refused) = {
            let mut state = self.state();
            let mut refused = Vec::new();
            for nbl in lists {
                if !state.running {
                    refused.push(nbl);
                } else if state.behaviour.stalled || !state.waiting.is_empty() {
                    state.waiting.push_back(nbl);
                } else {
                    state.transmit(machine, nbl);
                }
            }
            (state.take_completed(None), refused)
        };
        self.refuse(machine, refused, NDIS_STATUS_PAUSED);
        self.complete(machine, due);
    }

    /// Sends what waited for the end of a stall, and completes what is due.
    pub(super) fn run_sends(&self, machine: &Arc<Machine>) {
        let due = {
            let mut state = self.state();
            while !state.behaviour.stalled
                && let Some(nbl) = state.waiting.pop_front()
            {
                state.transmit(machine, nbl);
            }
            state.take_completed(Some(machine.now()))
        };
        self.complete(machine, due);
    }

    /// Completes everything: a pause begins.
    pub(super) fn finish_sends(&self, machine: &Arc<Machine>) {
        let (waiting, held) = {
            let mut state = self.state();
            let waiting = state.waiting.drain(..).collect();
            let held = std::mem::take(&mut state.held);
            (waiting, state.in_order(held))
        };
        self.complete(machine, held);
        self.refuse(machine, waiting, NDIS_STATUS_PAUSED);
    }

    /// Takes back what is not on the wire yet and carries this id.
    pub(super) fn cancel(&self, machine: &Arc<Machine>, id: usize) {
        let cancelled: Vec<Nbl> = {
            let mut state = self.state();
            let waiting = std::mem::take(&mut state.waiting);
            let (cancelled, rest): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|&nbl| info(nbl, NetBufferListCancelId).addr() == id);
            state.waiting = rest.into();
            cancelled
        };
        self.refuse(machine, cancelled, NDIS_STATUS_SEND_ABORTED);
    }

    fn refuse(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, status: NDIS_STATUS) {
        let refused = |nbl| Held { nbl, status, due: 0, frames: Vec::new() };
        self.state().counters.sent.discards += lists.len() as u64;
        self.complete(machine, lists.into_iter().map(refused).collect());
    }

    fn complete(&self, machine: &Arc<Machine>, batch: Vec<Held>) {
        if batch.is_empty() {
            return;
        }
        let mut lists = Vec::new();
        for held in batch {
            let Held { nbl, status, frames, .. } = held;
            if !frames.is_empty() && super::frames(machine, nbl) != frames {
                machine.violation("W-20", format!("list {:p} was changed while the NIC had it", nbl.0));
            }
            // SAFETY: the NIC's until it is completed.
            unsafe { (*nbl.0).Status = status };
            lists.push(nbl);
        }
        let one_by_one = self.state().behaviour.one_by_one;
        if one_by_one {
            for nbl in lists {
                self.up().send_complete(machine, vec![nbl]);
            }
        } else {
            self.up().send_complete(machine, lists);
        }
    }
}

impl State {
    /// Puts the frames of a list on the wire.
    fn transmit(&mut self, machine: &Arc<Machine>, nbl: Nbl) {
        let frames = super::frames(machine, nbl);
        let mut status = NDIS_STATUS_SUCCESS;
        for (entry, what) in [
            (TcpIpChecksumNetBufferListInfo, "a checksum"),
            (TcpLargeSendNetBufferListInfo, "segmentation"),
            (UdpSegmentationOffloadInfo, "UDP segmentation"),
        ] {
            if !info(nbl, entry).is_null() {
                let text = format!("list {:p} asks for {what}, which this NIC does not offer", nbl.0);
                machine.violation("W-23", text);
            }
        }
        let tag = info(nbl, Ieee8021QNetBufferListInfo).addr() as u32;
        for frame in &frames {
            let sent = self.fits(machine, nbl, frame).and_then(|()| self.put_on_wire(frame, tag));
            status = sent.err().unwrap_or(status);
        }
        let (due, frames) = match self.behaviour.completion {
            Completion::Inside => (0, Vec::new()),
            Completion::Late { delay, .. } => (machine.now().saturating_add(delay), frames),
        };
        self.held.push(Held { nbl, status, due, frames });
    }

    /// Whether a frame has the length of one.
    fn fits(&mut self, machine: &Arc<Machine>, nbl: Nbl, frame: &[u8]) -> Result<(), NDIS_STATUS> {
        let (len, mtu) = (frame.len(), self.attributes.mtu);
        let longest = mtu as usize + HEADER + if ethernet::is_tagged(frame) { TAG } else { 0 };
        if (HEADER..=longest).contains(&len) {
            return self.is_ours(machine, nbl, frame);
        }
        let rule = if len < HEADER { "frame" } else { "mtu" };
        machine.violation(rule, format!("list {:p} has a frame of {len} bytes, and the MTU is {mtu}", nbl.0));
        self.counters.sent.errors += 1;
        Err(NDIS_STATUS_INVALID_LENGTH)
    }

    /// Whether a frame has the source it should have.
    fn is_ours(&mut self, machine: &Arc<Machine>, nbl: Nbl, frame: &[u8]) -> Result<(), NDIS_STATUS> {
        if !self.behaviour.own_source || frame.get(6..12) == Some(&self.attributes.mac) {
            return Ok(());
        }
        let source = frame.get(6..12).unwrap_or_default();
        machine.violation("mac", format!("list {:p} has a frame from {source:02x?}, which is not this NIC", nbl.0));
        self.counters.sent.discards += 1;
        Err(NDIS_STATUS_FAILURE)
    }

    fn put_on_wire(&mut self, frame: &[u8], tag: u32) -> Result<(), NDIS_STATUS> {
        if !self.attributes.connected {
            self.counters.sent.discards += 1;
            return Err(NDIS_STATUS_MEDIA_DISCONNECTED);
        }
        self.counters.sent.count(frame);
        let tag = if tag == 0 { self.behaviour.own_tag } else { tag };
        let tags = tag != 0 && self.behaviour.vlan;
        let mut wire = if tags { ethernet::tag(frame, tag) } else { frame.to_vec() };
        if self.behaviour.pad && wire.len() < SHORTEST {
            wire.resize(SHORTEST, 0);
        }
        self.wire.push(wire);
        Ok(())
    }

    /// What is to be completed, in its order: also by its time, if that is told.
    fn take_completed(&mut self, now: Option<u64>) -> Vec<Held> {
        let all = match self.behaviour.completion {
            Completion::Inside => true,
            Completion::Late { lists, .. } => self.held.len() > lists,
        };
        let held = std::mem::take(&mut self.held);
        let (due, rest) = held.into_iter().partition(|held| all || now.is_some_and(|now| held.due <= now));
        self.held = rest;
        self.in_order(due)
    }

    fn in_order(&mut self, mut batch: Vec<Held>) -> Vec<Held> {
        match self.behaviour.order {
            Order::Sent => {}
            Order::Reverse => batch.reverse(),
            Order::Seeded => {
                for last in (1..batch.len()).rev() {
                    batch.swap(last, self.dice.below(last as u64 + 1) as usize);
                }
            }
        }
        batch
    }
}

/// What travels beside a list.
fn info(nbl: Nbl, entry: NDIS_NET_BUFFER_LIST_INFO) -> *mut std::ffi::c_void {
    // SAFETY: a list the NIC has; the array is only named, since a list of an older NDIS has fewer entries.
    let entries = unsafe { &raw const (*nbl.0).NetBufferListInfo }.cast::<*mut std::ffi::c_void>();
    // SAFETY: each entry asked for here is one that every NDIS 6 has.
    unsafe { entries.wrapping_add(entry as usize).read() }
}
