//! One queue pair and what a peer says to it, packet by packet.
//!
//! A test reads as a conversation: [`Side::hears`] puts a packet of the peer before the queue pair, [`Side::says`] takes
//! the next packet that leaves. Time stands still until [`Side::wait`].

extern crate std;

use super::environment::*;
use crate::crc::TableCrc32;
use crate::key::RKey;
use crate::memory::Access;
use crate::psn::{Msn, Psn, Qpn};
use crate::qp::{Attributes, Limits, QueuePair, Received};
use crate::time::{Duration, Time};
use crate::turn::{Budget, Pause, Turn};
use crate::wire::headers::{Aeth, Bth, Ext, NakCode, Reth, Syndrome};
use crate::wire::opcode::Opcode;
use crate::wire::template::{AddressVector, FrameTemplate};
use crate::wire::{Packet, parse};
use core::net::{IpAddr, Ipv4Addr};
use std::vec::Vec;

/// The path MTU of a conversation.
pub(super) const MTU: u16 = 256;
/// The region of a conversation: a peer may read and write it, and so may SGEs.
pub(super) const KEY: u32 = 0x1000;
/// Where it starts.
pub(super) const BASE: u64 = 0x10_0000;
/// The first PSN we expect.
pub(super) const THEIRS: u32 = 100;
/// The first PSN we send.
pub(super) const OURS: u32 = 0xff_fffe;

/// A queue pair and all that it is lent.
pub(super) struct Side {
    pub(super) qp: QueuePair,
    pub(super) memory: Memory,
    pub(super) sends: Sends,
    pub(super) receives: Receives,
    pub(super) completed: Completed,
    pub(super) egress: Egress,
    pub(super) now: Time,
    /// The peer sets the solicited-event bit.
    pub(super) solicit: bool,
    peer: FrameTemplate,
}

/// A packet that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) opcode: Opcode,
    pub(super) psn: u32,
    pub(super) ack_req: bool,
    pub(super) ext: Ext,
    pub(super) payload: Vec<u8>,
}

/// The headers between `source` and `destination`.
pub(super) fn template(source: u8, destination: u8) -> FrameTemplate {
    FrameTemplate::new(&AddressVector {
        source_mac: [2, 0, 0, 0, 0, source],
        destination_mac: [2, 0, 0, 0, 0, destination],
        vlan_tci: None,
        source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, source)),
        destination: IpAddr::V4(Ipv4Addr::new(10, 0, 0, destination)),
        hop_limit: 64,
        dscp: 0,
        source_port: 0xc000,
    })
    .expect("both are IPv4")
}

/// The attributes of a conversation.
pub(super) fn attributes() -> Attributes {
    Attributes {
        template: template(1, 2),
        remote_qpn: Qpn::new(0x22),
        requester_psn: Psn::new(OURS),
        responder_psn: Psn::new(THEIRS),
        path_mtu: MTU,
        initiator_depth: 4,
        responder_resources: 4,
        retry_count: 7,
        rnr_retry: 7,
        ack_timeout: Duration::from_millis(67),
        peer_patience: Duration::from_millis(7 * 67),
        timer_granularity: Duration::from_micros(200),
    }
}

pub(super) fn limits() -> Limits {
    Limits { send_depth: 256, responder_resources: 16, own_receive_queue: true }
}

impl Side {
    /// A connected queue pair with a region of 8 KiB of zeros.
    pub(super) fn new() -> Self {
        Self::with(attributes())
    }

    pub(super) fn with(attributes: Attributes) -> Self {
        let mut qp = QueuePair::try_new(limits()).expect("memory");
        assert!(qp.connect(attributes) && qp.establish());
        let mut memory = Memory::default();
        let all = Access::LOCAL_WRITE.and(Access::REMOTE_READ).and(Access::REMOTE_WRITE);
        memory.register(KEY, BASE, &[0; 8192], all);
        Self {
            qp,
            memory,
            sends: Sends::default(),
            receives: Receives::default(),
            completed: Completed::default(),
            egress: Egress::default(),
            now: Time::from_nanos(1_000_000),
            solicit: false,
            peer: template(2, 1),
        }
    }

    /// Puts a frame before the queue pair.
    pub(super) fn feed(&mut self, frame: &[u8]) -> Received {
        let packet = parse(frame).expect("a packet");
        assert!(packet.icrc_ok(TableCrc32));
        let (qp, mut turn) = self.split();
        qp.receive(&packet, &mut turn)
    }

    /// Puts a packet before the queue pair, without a turn.
    pub(super) fn hears_only(&mut self, opcode: Opcode, psn: u32, ext: Ext, payload: &[u8]) -> Received {
        let mut bth = Bth::new(opcode, Qpn::new(0x11), Psn::new(psn));
        bth.solicited = self.solicit;
        bth.ack_req = opcode.is_request() && opcode.position().ends();
        let mut frame = std::vec![0; self.peer.frame_len(&ext, payload.len())];
        let fill = |to: &mut [u8]| -> Result<(), ()> {
            to.copy_from_slice(payload);
            Ok(())
        };
        self.peer.emit(TableCrc32, &mut frame, &bth, &ext, payload.len(), fill).expect("a frame");
        self.feed(&frame)
    }

    /// Puts a packet before the queue pair and gives it a turn.
    #[track_caller]
    pub(super) fn hears(&mut self, opcode: Opcode, psn: u32, ext: Ext, payload: &[u8]) {
        assert_eq!(self.hears_only(opcode, psn, ext, payload), Received::Done);
        self.turn();
    }

    /// A turn with enough budget.
    pub(super) fn turn(&mut self) -> Pause {
        self.turn_of(10_000)
    }

    pub(super) fn turn_of(&mut self, budget: u32) -> Pause {
        let (qp, mut turn) = self.split();
        qp.turn(&mut turn, Budget(budget))
    }

    fn split(&mut self) -> (&mut QueuePair, Turn<'_, Plain>) {
        let turn = Turn {
            now: self.now,
            regions: &mut self.memory,
            send_queue: &mut self.sends,
            receive_queue: &mut self.receives,
            completions: &mut self.completed,
            outbox: &mut self.egress,
            crc: TableCrc32,
        };
        (&mut self.qp, turn)
    }

    /// Lets time pass, then gives a turn.
    pub(super) fn wait(&mut self, span: Duration) -> Pause {
        self.now = self.now.after(span);
        self.turn()
    }

    /// Sleeps to the next deadline, then gives a turn.
    #[track_caller]
    pub(super) fn wait_for_deadline(&mut self) -> Pause {
        self.now = self.now.max(self.qp.deadline().expect("a deadline"));
        self.turn()
    }

    /// The next packet that left.
    #[track_caller]
    pub(super) fn says(&mut self) -> Said {
        let frame = self.egress.frames.pop_front().expect("a packet leaves");
        said(&parse(&frame).expect("a packet of ours"))
    }

    /// Everything that left.
    pub(super) fn says_all(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while !self.egress.frames.is_empty() {
            all.push(self.says());
        }
        all
    }

    /// Nothing (more) left.
    #[track_caller]
    pub(super) fn says_nothing(&mut self) {
        assert_eq!(self.says_all(), []);
    }
}

fn said(packet: &Packet<'_>) -> Said {
    assert!(packet.icrc_ok(TableCrc32));
    Said {
        opcode: packet.bth.opcode,
        psn: packet.bth.psn.get(),
        ack_req: packet.bth.ack_req,
        ext: packet.ext,
        payload: packet.payload.to_vec(),
    }
}

fn aeth(syndrome: Syndrome, msn: u32) -> Ext {
    Ext::Aeth(Aeth { syndrome, msn: Msn::new(msn) })
}

pub(super) fn reth(va: u64, key: u32, dma_len: u32) -> Ext {
    Ext::Reth(Reth { va, r_key: RKey(key), dma_len })
}

/// The extension header of an ACK.
pub(super) fn acked(msn: u32) -> Ext {
    aeth(Syndrome::ACK, msn)
}

/// The extension header of a NAK.
pub(super) fn refused(code: NakCode, msn: u32) -> Ext {
    aeth(Syndrome::Nak(code), msn)
}

/// The extension header of an RNR NAK.
pub(super) fn not_ready(timer: u8, msn: u32) -> Ext {
    aeth(Syndrome::RnrNak { timer }, msn)
}

/// An ACK as it leaves.
pub(super) fn ack(psn: u32, msn: u32) -> Said {
    reply(Opcode::Acknowledge, psn, acked(msn), &[])
}

/// A NAK as it leaves.
pub(super) fn nak(psn: u32, code: NakCode, msn: u32) -> Said {
    reply(Opcode::Acknowledge, psn, refused(code, msn), &[])
}

/// A reply as it leaves.
pub(super) fn reply(opcode: Opcode, psn: u32, ext: Ext, payload: &[u8]) -> Said {
    Said { opcode, psn, ack_req: false, ext, payload: payload.to_vec() }
}

/// Bytes that tell their place.
pub(super) fn pattern(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| seed.wrapping_add((at % 251) as u8)).collect()
}
