//! The way in: frames from the NIC to the queue pairs they are for.
//!
//! Each frame is parsed once; its ICRC is verified before anything of it is used. Consecutive frames from one address for
//! one queue pair make a run: one look-up, one lane entry (T-04, T-13). A queue pair takes frames of its peer alone. QP1's
//! go to the connection manager.

use crate::platform::Platform;
use crate::port::Port;
use crate::qp;
use roce_engine::psn::Qpn;
use roce_engine::wire::opcode::Opcode;
use roce_engine::wire::{Packet, parse};

/// Frames of a run at most. They are on the stack, parsed, and a kernel's stack has 24 KiB for everybody (W-44).
const RUN_MAX: usize = 16;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was RoCEv2 for one of our addresses, good or bad: nobody else needs it.
    Ours,
    /// It belongs to somebody else.
    Foreign,
}

impl<P: Platform> Port<P> {
    /// Takes whole Ethernet frames, in the order of arrival; `foreign` is told the place of each that is not ours. At or
    /// below DISPATCH_LEVEL. The frames are not used after the call returns.
    pub fn receive(&self, frames: &[&[u8]], mut foreign: impl FnMut(usize)) {
        let mut run: [Option<(&[u8], Packet<'_>)>; RUN_MAX] = [None; RUN_MAX];
        let mut count = 0;
        let (mut octets, mut taken) = (0, 0);
        for (place, &frame) in frames.iter().enumerate() {
            let packet = match self.admit(frame) {
                Ok(packet) => packet,
                Err(Taken::Foreign) => {
                    foreign(place);
                    continue;
                }
                Err(Taken::Ours) => continue,
            };
            octets += frame.len() as u64;
            taken += 1;
            let same = match run.first() {
                Some(Some((_, first))) if count > 0 => {
                    first.bth.dest_qp == packet.bth.dest_qp && first.ip.source() == packet.ip.source()
                }
                _ => true,
            };
            if !same || count == RUN_MAX {
                self.deliver(run.get(..count).unwrap_or(&[]));
                count = 0;
            }
            if let Some(slot) = run.get_mut(count) {
                *slot = Some((frame, packet));
                count += 1;
            }
        }
        self.deliver(run.get(..count).unwrap_or(&[]));
        self.counters.rdma_in_frames.add(taken);
        self.counters.rdma_in_octets.add(octets);
    }

    /// Parses and verifies.
    fn admit<'f>(&self, frame: &'f [u8]) -> Result<Packet<'f>, Taken> {
        let packet = match parse(frame) {
            Ok(packet) => packet,
            Err(error) if error.is_foreign() => {
                self.counters.foreign.add(1);
                return Err(Taken::Foreign);
            }
            Err(_) => {
                self.counters.malformed.add(1);
                return Err(Taken::Ours);
            }
        };
        if !self.is_local(packet.ip.destination()) {
            self.counters.foreign.add(1);
            return Err(Taken::Foreign);
        }
        if !packet.icrc_ok(self.crc) {
            self.counters.icrc_errors.add(1);
            return Err(Taken::Ours);
        }
        Ok(packet)
    }

    /// Gives a run to its queue pair.
    fn deliver(&self, run: &[Option<(&[u8], Packet<'_>)>]) {
        let Some(Some((_, first))) = run.first() else { return };
        let dest_qp = first.bth.dest_qp;
        if dest_qp == Qpn::GENERAL_SERVICES {
            for (_, packet) in run.iter().flatten().filter(|(_, packet)| packet.bth.opcode == Opcode::UdSendOnly) {
                self.connections.on_packet(self, packet);
            }
            return;
        }
        let found = qp::slot_of(dest_qp).and_then(|(slot, generation)| self.queue_pairs.pin(slot, generation));
        match found {
            Some(pinned) if !pinned.is_peer(first.ip.source()) => self.counters.wrong_source.add(run.len() as u64),
            Some(pinned) => qp::receive(&pinned, run),
            None => self.counters.unknown_queue_pair.add(run.len() as u64),
        }
    }
}
