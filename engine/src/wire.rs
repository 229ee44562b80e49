//! RoCEv2 on the wire: the only door for bytes.
//!
//! [`parse`] turns an Ethernet frame into a [`Packet`] whose every field is checked: nothing downstream looks at a length
//! again. [`template::FrameTemplate`] is the way back. What is refused here is refused for good: fragments, IPv4 options
//! and IPv6 extension headers (T-33), opcodes nobody sends us, pads and lengths that do not add up.
//!
//! Layers: [`link`] (Ethernet, VLAN, IP, UDP), [`headers`] (BTH and extension headers), [`opcode`], [`icrc`], [`mad`] and
//! [`cm`] (connection manager messages), [`template`], [`describe`].

pub mod cm;
pub mod describe;
pub mod headers;
pub mod icrc;
pub mod link;
pub mod mad;
pub mod opcode;
pub mod template;

use crate::crc::Crc32;
use headers::{BTH_LEN, Bth, Ext};
use link::{Ethernet, Ip, Udp};

pub use link::ROCE_V2_PORT;

/// Bytes of the ICRC at the end of every packet.
pub const ICRC_LEN: usize = 4;

/// Why a frame is not a packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but not UDP.
    NotUdp,
    /// UDP to another port.
    NotRoce {
        /// The port.
        port: u16,
    },
    /// The frame ends before the headers or lengths say.
    Truncated,
    /// An IP version field that contradicts the EtherType.
    IpVersion,
    /// An IPv4 header with options, or one shorter than a header is.
    IpOptions,
    /// A fragment.
    Fragment,
    /// An IPv6 extension header.
    ExtensionHeader,
    /// An IPv4 header checksum that is wrong.
    IpChecksum,
    /// A UDP length that contradicts the IP length.
    UdpLength,
    /// An opcode that RoCEv2 peers do not send us.
    UnknownOpcode(u8),
    /// A transport header version other than 0.
    TransportVersion(u8),
    /// More pad than payload, or a payload that is not padded to four bytes.
    Pad,
}

impl ParseError {
    /// Whether the frame is not RoCEv2 as far as can be told: it belongs to somebody else. Fragments, options and
    /// extension headers are never ours (T-33), whatever they carry.
    pub const fn is_foreign(self) -> bool {
        match self {
            Self::NotIp
            | Self::NotUdp
            | Self::NotRoce { .. }
            | Self::IpOptions
            | Self::Fragment
            | Self::ExtensionHeader => true,
            Self::Truncated
            | Self::IpVersion
            | Self::IpChecksum
            | Self::UdpLength
            | Self::UnknownOpcode(_)
            | Self::TransportVersion(_)
            | Self::Pad => false,
        }
    }

    /// Why, for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotIp => "not IP",
            Self::NotUdp => "not UDP",
            Self::NotRoce { .. } => "not the RoCEv2 port",
            Self::Truncated => "truncated",
            Self::IpVersion => "IP version contradicts the EtherType",
            Self::IpOptions => "IPv4 options",
            Self::Fragment => "IP fragment",
            Self::ExtensionHeader => "IPv6 extension header",
            Self::IpChecksum => "wrong IPv4 header checksum",
            Self::UdpLength => "UDP length contradicts the IP length",
            Self::UnknownOpcode(_) => "unknown opcode",
            Self::TransportVersion(_) => "unknown transport header version",
            Self::Pad => "wrong padding",
        }
    }
}

/// A RoCEv2 packet, checked. It borrows the frame's bytes; everything but payload and ICRC is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Link header.
    pub ethernet: Ethernet,
    /// Network header.
    pub ip: Ip,
    /// UDP header.
    pub udp: Udp,
    /// Base transport header.
    pub bth: Bth,
    /// Extension headers.
    pub ext: Ext,
    /// What is carried, without pad.
    pub payload: &'a [u8],
    /// Pad bytes.
    pub pad: &'a [u8],
    /// The ICRC as it stood.
    pub icrc: u32,
    /// From the IP header to the last pad byte: what the ICRC covers.
    covered: &'a [u8],
}

/// Parses an Ethernet frame. Trailing bytes beyond the IP packet (Ethernet padding) are ignored: the ICRC is found by the
/// IP length (T-33).
#[inline]
pub fn parse(frame: &[u8]) -> Result<Packet<'_>, ParseError> {
    let link::Parsed { ethernet, ip, udp, packet, body } = link::parse(frame)?;
    let (transport, icrc) = body.split_last_chunk::<ICRC_LEN>().ok_or(ParseError::Truncated)?;
    let covered = packet.get(..packet.len() - ICRC_LEN).ok_or(ParseError::Truncated)?;
    let (bth, rest) = transport.split_first_chunk::<BTH_LEN>().ok_or(ParseError::Truncated)?;
    let bth = Bth::from_bytes(bth).map_err(ParseError::UnknownOpcode)?;
    if bth.tver != 0 {
        return Err(ParseError::TransportVersion(bth.tver));
    }
    let (ext, rest) = Ext::read(bth.opcode.extension(), rest).ok_or(ParseError::Truncated)?;
    let pad_count = usize::from(bth.pad_count);
    let payload_len = rest.len().checked_sub(pad_count).ok_or(ParseError::Pad)?;
    if rest.len() % 4 != 0 {
        return Err(ParseError::Pad);
    }
    let (payload, pad) = rest.split_at_checked(payload_len).ok_or(ParseError::Pad)?;
    Ok(Packet { ethernet, ip, udp, bth, ext, payload, pad, icrc: u32::from_le_bytes(*icrc), covered })
}

impl Packet<'_> {
    /// Whether the ICRC is right. Verify before a byte is placed.
    #[inline]
    pub fn icrc_ok<C: Crc32>(&self, crc: C) -> bool {
        icrc::compute(crc, &self.ip, self.covered) == Some(self.icrc)
    }

    /// Bytes of the frame, without Ethernet padding: link headers, IP packet.
    pub fn frame_len(&self) -> usize {
        self.ethernet.len() + self.covered.len() + ICRC_LEN
    }

    /// Writes the frame anew from the parsed fields, ICRC included as it stood. `None`: `frame` is shorter than
    /// [`Packet::frame_len`].
    pub fn emit(&self, frame: &mut [u8]) -> Option<usize> {
        let len = self.frame_len();
        let frame = frame.get_mut(..len)?;
        let rest = self.ethernet.write(frame)?;
        let ip_payload = rest.len().checked_sub(self.ip.len())?;
        let rest = self.ip.write(rest, ip_payload)?;
        let rest = self.udp.write(rest)?;
        let rest = headers::put(rest, &self.bth.to_bytes(self.bth.pad_count))?;
        let rest = self.ext.write(rest)?;
        let (payload, rest) = rest.split_at_mut_checked(self.payload.len())?;
        payload.copy_from_slice(self.payload);
        let (pad, rest) = rest.split_at_mut_checked(self.pad.len())?;
        pad.copy_from_slice(self.pad);
        *rest.first_chunk_mut()? = self.icrc.to_le_bytes();
        Some(len)
    }
}
