//! The transport headers: BTH and the extension headers, as values.

use super::opcode::{Extension, Opcode};
use crate::key::{PKey, QKey, RKey};
use crate::psn::{Msn, Psn, Qpn};

/// Bytes of a BTH.
pub const BTH_LEN: usize = 12;

/// Base transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bth {
    /// What the packet is.
    pub opcode: Opcode,
    /// The receiver's completion is a solicited event (SE).
    pub solicited: bool,
    /// Migration state (M).
    pub mig_req: bool,
    /// Pad bytes after the payload, 0 to 3.
    pub pad_count: u8,
    /// Transport header version; 0.
    pub tver: u8,
    /// Partition.
    pub p_key: PKey,
    /// Forward explicit congestion notification.
    pub fecn: bool,
    /// Backward explicit congestion notification.
    pub becn: bool,
    /// The six reserved bits beside them.
    pub reserved: u8,
    /// Where it goes.
    pub dest_qp: Qpn,
    /// An acknowledgement is asked for.
    pub ack_req: bool,
    /// The seven reserved bits beside it.
    pub reserved_psn: u8,
    /// Its sequence number.
    pub psn: Psn,
}

impl Bth {
    /// A header with the fields that vary; the rest as RoCE always has it.
    pub const fn new(opcode: Opcode, dest_qp: Qpn, psn: Psn) -> Self {
        Self {
            opcode,
            solicited: false,
            mig_req: true,
            pad_count: 0,
            tver: 0,
            p_key: PKey::DEFAULT,
            fecn: false,
            becn: false,
            reserved: 0,
            dest_qp,
            ack_req: false,
            reserved_psn: 0,
            psn,
        }
    }

    /// Reads a header; `Err` holds an opcode number that is none of ours.
    #[inline]
    pub(super) const fn from_bytes(bytes: &[u8; BTH_LEN]) -> Result<Self, u8> {
        let &[opcode, flags, k0, k1, congestion, q0, q1, q2, ack, p0, p1, p2] = bytes;
        let Some(opcode) = Opcode::from_wire(opcode) else {
            return Err(opcode);
        };
        Ok(Self {
            opcode,
            solicited: flags & 0x80 != 0,
            mig_req: flags & 0x40 != 0,
            pad_count: flags >> 4 & 3,
            tver: flags & 0xf,
            p_key: PKey(u16::from_be_bytes([k0, k1])),
            fecn: congestion & 0x80 != 0,
            becn: congestion & 0x40 != 0,
            reserved: congestion & 0x3f,
            dest_qp: Qpn::new(u32::from_be_bytes([0, q0, q1, q2])),
            ack_req: ack & 0x80 != 0,
            reserved_psn: ack & 0x7f,
            psn: Psn::new(u32::from_be_bytes([0, p0, p1, p2])),
        })
    }

    /// The header as bytes, with `pad_count` in place of its own.
    #[inline]
    pub(super) const fn to_bytes(self, pad_count: u8) -> [u8; BTH_LEN] {
        let [k0, k1] = self.p_key.0.to_be_bytes();
        let [_, q0, q1, q2] = self.dest_qp.get().to_be_bytes();
        let [_, p0, p1, p2] = self.psn.get().to_be_bytes();
        let flags = (self.solicited as u8) << 7 | (self.mig_req as u8) << 6 | (pad_count & 3) << 4 | self.tver & 0xf;
        let congestion = (self.fecn as u8) << 7 | (self.becn as u8) << 6 | self.reserved & 0x3f;
        let ack = (self.ack_req as u8) << 7 | self.reserved_psn & 0x7f;
        [self.opcode as u8, flags, k0, k1, congestion, q0, q1, q2, ack, p0, p1, p2]
    }
}

/// RDMA extended transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reth {
    /// First byte at the responder.
    pub va: u64,
    /// The responder's key.
    pub r_key: RKey,
    /// Bytes of the whole message.
    pub dma_len: u32,
}

/// Why a responder refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NakCode {
    /// A packet is missing.
    PsnSequenceError,
    /// The request makes no sense here.
    InvalidRequest,
    /// The key, range or right does not allow it.
    RemoteAccessError,
    /// The responder cannot go on.
    RemoteOperationalError,
    /// Reliable datagram only.
    InvalidRdRequest,
    /// A reserved code.
    Reserved(u8),
}

/// What an AETH says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syndrome {
    /// Acknowledged; 31 means that credits are not counted.
    Ack {
        /// End-to-end credits, encoded.
        credits: u8,
    },
    /// The receiver is not ready.
    RnrNak {
        /// How long to wait, encoded ([`rnr_timer_ns`]).
        timer: u8,
    },
    /// Refused.
    Nak(NakCode),
    /// A reserved kind, as it stood on the wire.
    Reserved(u8),
}

impl Syndrome {
    /// An acknowledgement without credits: what we always send (T-24).
    pub const ACK: Self = Self::Ack { credits: 0x1f };

    /// Reads the syndrome byte.
    pub const fn from_wire(byte: u8) -> Self {
        let low = byte & 0x1f;
        match byte >> 5 {
            0 => Self::Ack { credits: low },
            1 => Self::RnrNak { timer: low },
            3 => Self::Nak(match low {
                0 => NakCode::PsnSequenceError,
                1 => NakCode::InvalidRequest,
                2 => NakCode::RemoteAccessError,
                3 => NakCode::RemoteOperationalError,
                4 => NakCode::InvalidRdRequest,
                other => NakCode::Reserved(other),
            }),
            _ => Self::Reserved(byte),
        }
    }

    /// The syndrome byte.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Ack { credits } => credits & 0x1f,
            Self::RnrNak { timer } => 0x20 | timer & 0x1f,
            Self::Nak(code) => {
                0x60 | match code {
                    NakCode::PsnSequenceError => 0,
                    NakCode::InvalidRequest => 1,
                    NakCode::RemoteAccessError => 2,
                    NakCode::RemoteOperationalError => 3,
                    NakCode::InvalidRdRequest => 4,
                    NakCode::Reserved(other) => other & 0x1f,
                }
            }
            Self::Reserved(byte) => byte,
        }
    }
}

/// The waiting times of an RNR NAK in units of 10 µs, by its timer field.
const RNR_TIMER_10US: [u32; 32] = [
    65_536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072,
    4_096, 6_144, 8_192, 12_288, 16_384, 24_576, 32_768, 49_152,
];

/// How long an RNR NAK with this timer field asks to wait, in nanoseconds.
pub fn rnr_timer_ns(timer: u8) -> u64 {
    RNR_TIMER_10US.get(usize::from(timer & 0x1f)).map_or(0, |&units| u64::from(units) * 10_000)
}

/// ACK extended transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aeth {
    /// Acknowledgement or refusal.
    pub syndrome: Syndrome,
    /// Messages the responder has completed.
    pub msn: Msn,
}

/// Datagram extended transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deth {
    /// The receiver's key.
    pub q_key: QKey,
    /// The reserved byte beside the queue pair number.
    pub reserved: u8,
    /// Who sent it.
    pub source_qp: Qpn,
}

/// Atomic extended transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtomicEth {
    /// The operand's address.
    pub va: u64,
    /// The responder's key.
    pub r_key: RKey,
    /// Swap or add operand.
    pub swap_add: u64,
    /// Compare operand.
    pub compare: u64,
}

/// The extension headers of one packet: exactly those of its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ext {
    /// None.
    None,
    /// RETH.
    Reth(Reth),
    /// AETH.
    Aeth(Aeth),
    /// Immediate data.
    Imm(u32),
    /// RETH and immediate data.
    RethImm(Reth, u32),
    /// IETH: the key to invalidate.
    Ieth(RKey),
    /// DETH.
    Deth(Deth),
    /// DETH and immediate data.
    DethImm(Deth, u32),
    /// AtomicETH.
    Atomic(AtomicEth),
    /// AETH and the original value.
    AtomicAck(Aeth, u64),
    /// Reserved bytes.
    Reserved([u8; 16]),
}

impl Ext {
    /// The list of headers this is.
    pub const fn extension(&self) -> Extension {
        match self {
            Self::None => Extension::None,
            Self::Reth(_) => Extension::Reth,
            Self::Aeth(_) => Extension::Aeth,
            Self::Imm(_) => Extension::Imm,
            Self::RethImm(..) => Extension::RethImm,
            Self::Ieth(_) => Extension::Ieth,
            Self::Deth(_) => Extension::Deth,
            Self::DethImm(..) => Extension::DethImm,
            Self::Atomic(_) => Extension::Atomic,
            Self::AtomicAck(..) => Extension::AtomicAck,
            Self::Reserved(_) => Extension::Reserved,
        }
    }

    /// Reads the headers `extension` from the front of `bytes`; gives the rest.
    #[inline]
    pub(super) fn read(extension: Extension, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader(bytes);
        let ext = match extension {
            Extension::None => Self::None,
            Extension::Reth => Self::Reth(reader.reth()?),
            Extension::Aeth => Self::Aeth(reader.aeth()?),
            Extension::Imm => Self::Imm(reader.u32()?),
            Extension::RethImm => Self::RethImm(reader.reth()?, reader.u32()?),
            Extension::Ieth => Self::Ieth(RKey(reader.u32()?)),
            Extension::Deth => Self::Deth(reader.deth()?),
            Extension::DethImm => Self::DethImm(reader.deth()?, reader.u32()?),
            Extension::Atomic => Self::Atomic(AtomicEth {
                va: reader.u64()?,
                r_key: RKey(reader.u32()?),
                swap_add: reader.u64()?,
                compare: reader.u64()?,
            }),
            Extension::AtomicAck => Self::AtomicAck(reader.aeth()?, reader.u64()?),
            Extension::Reserved => Self::Reserved(*reader.take()?),
        };
        Some((ext, reader.0))
    }

    /// Writes the headers to the front of `bytes`; gives the rest, or `None` when there is no room.
    #[inline]
    pub(super) fn write<'a>(&self, bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        match self {
            Self::None => Some(bytes),
            Self::Reth(reth) => put(bytes, &reth_bytes(reth)),
            Self::Aeth(aeth) => put(bytes, &aeth_bytes(*aeth)),
            Self::Imm(imm) => put(bytes, &imm.to_be_bytes()),
            Self::RethImm(reth, imm) => put(put(bytes, &reth_bytes(reth))?, &imm.to_be_bytes()),
            Self::Ieth(key) => put(bytes, &key.0.to_be_bytes()),
            Self::Deth(deth) => put(bytes, &deth_bytes(*deth)),
            Self::DethImm(deth, imm) => put(put(bytes, &deth_bytes(*deth))?, &imm.to_be_bytes()),
            Self::Atomic(atomic) => {
                let bytes = put(bytes, &atomic.va.to_be_bytes())?;
                let bytes = put(bytes, &atomic.r_key.0.to_be_bytes())?;
                let bytes = put(bytes, &atomic.swap_add.to_be_bytes())?;
                put(bytes, &atomic.compare.to_be_bytes())
            }
            Self::AtomicAck(aeth, original) => put(put(bytes, &aeth_bytes(*aeth))?, &original.to_be_bytes()),
            Self::Reserved(reserved) => put(bytes, reserved),
        }
    }
}

/// Copies `part` to the front of `bytes`; gives the rest.
#[inline]
pub(super) fn put<'a, const N: usize>(bytes: &'a mut [u8], part: &[u8; N]) -> Option<&'a mut [u8]> {
    let (front, rest) = bytes.split_first_chunk_mut::<N>()?;
    *front = *part;
    Some(rest)
}

const fn aeth_bytes(aeth: Aeth) -> [u8; 4] {
    let [_, m0, m1, m2] = aeth.msn.get().to_be_bytes();
    [aeth.syndrome.to_wire(), m0, m1, m2]
}

const fn deth_bytes(deth: Deth) -> [u8; 8] {
    let [k0, k1, k2, k3] = deth.q_key.0.to_be_bytes();
    let [_, q0, q1, q2] = deth.source_qp.get().to_be_bytes();
    [k0, k1, k2, k3, deth.reserved, q0, q1, q2]
}

const fn reth_bytes(reth: &Reth) -> [u8; 16] {
    let wide = (reth.va as u128) << 64 | (reth.r_key.0 as u128) << 32 | reth.dma_len as u128;
    wide.to_be_bytes()
}

/// Takes fields off the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(front)
    }

    #[inline]
    fn u32(&mut self) -> Option<u32> {
        self.take().map(|bytes| u32::from_be_bytes(*bytes))
    }

    #[inline]
    fn u64(&mut self) -> Option<u64> {
        self.take().map(|bytes| u64::from_be_bytes(*bytes))
    }

    #[inline]
    fn reth(&mut self) -> Option<Reth> {
        Some(Reth { va: self.u64()?, r_key: RKey(self.u32()?), dma_len: self.u32()? })
    }

    #[inline]
    fn aeth(&mut self) -> Option<Aeth> {
        let &[syndrome, m0, m1, m2] = self.take()?;
        Some(Aeth { syndrome: Syndrome::from_wire(syndrome), msn: Msn::new(u32::from_be_bytes([0, m0, m1, m2])) })
    }

    #[inline]
    fn deth(&mut self) -> Option<Deth> {
        let q_key = QKey(self.u32()?);
        let &[reserved, q0, q1, q2] = self.take()?;
        Some(Deth { q_key, reserved, source_qp: Qpn::new(u32::from_be_bytes([0, q0, q1, q2])) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encoding n means 2^(n/2) and 1.5 x 2^(n/2) steps of 10 µs from 1 on, with 0 the longest.
    #[test]
    fn the_rnr_timers_are_the_doubling_sequence_of_the_standard() {
        assert_eq!(rnr_timer_ns(0), 655_360_000);
        assert_eq!([1, 2, 3, 4].map(rnr_timer_ns), [10_000, 20_000, 30_000, 40_000]);
        for timer in 5..32u8 {
            assert_eq!(rnr_timer_ns(timer), 2 * rnr_timer_ns(timer - 2), "{timer}");
        }
        assert_eq!(rnr_timer_ns(12), 640_000);
    }

    #[test]
    fn every_syndrome_byte_survives() {
        for byte in 0..=255 {
            assert_eq!(Syndrome::from_wire(byte).to_wire(), byte);
        }
        assert_eq!(Syndrome::ACK.to_wire(), 0x1f);
        assert_eq!(Syndrome::Nak(NakCode::RemoteAccessError).to_wire(), 0x62);
        assert_eq!(Syndrome::Nak(NakCode::InvalidRequest).to_wire(), 0x61);
        assert_eq!(Syndrome::Nak(NakCode::PsnSequenceError).to_wire(), 0x60);
    }
}
