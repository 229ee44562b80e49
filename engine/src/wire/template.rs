//! Frames on their way out: everything constant about a connection laid down once, the rest patched in.
//!
//! A [`FrameTemplate`] holds the link, network and UDP headers of one flow as bytes. [`FrameTemplate::emit`] copies them as
//! one slice, patches lengths and the IPv4 checksum, writes the transport headers, has the payload filled in place and
//! computes the ICRC over the frame as it stands, after the copy, never over anybody's memory (T-12).

use super::headers::{BTH_LEN, Bth, Ext};
use super::link::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IPV6_LEN};
use super::link::{Ethernet, IPV4_LEN, Ip, Ipv4, Ipv6, UDP_LEN, Udp, ipv4_checksum};
use super::{ICRC_LEN, icrc};
use crate::crc::Crc32;
use crate::psn::Qpn;
use core::net::IpAddr;

/// The longest run of link, network and UDP headers: a tag and IPv6.
const HEADERS_MAX: usize = 18 + IPV6_LEN + UDP_LEN;

/// Where a flow goes (IBTA: address vector).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressVector {
    /// Our hardware address.
    pub source_mac: [u8; 6],
    /// The next hop's.
    pub destination_mac: [u8; 6],
    /// 802.1Q tag control information, if frames are tagged.
    pub vlan_tci: Option<u16>,
    /// Our address.
    pub source: IpAddr,
    /// The peer's address, of the same family.
    pub destination: IpAddr,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// DSCP, six bits.
    pub dscp: u8,
    /// UDP source port (T-33: a hash of the queue pair numbers, see [`udp_source_port`]).
    pub source_port: u16,
}

/// The UDP source port of a connection: constant for its life, spread over 0xC000 to 0xFFFF (T-33).
pub const fn udp_source_port(local: Qpn, remote: Qpn) -> u16 {
    let pair = (local.get() as u64) << 24 | remote.get() as u64;
    // A multiplication by the golden ratio spreads every bit into the upper ones.
    (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50) as u16 | 0xc000
}

/// Why a frame was not filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitError<E> {
    /// The buffer is not [`FrameTemplate::frame_len`] bytes, or the headers are not the opcode's.
    Shape,
    /// The payload could not be had.
    Fill(E),
}

/// The constant headers of one flow.
#[derive(Clone, Copy, Debug)]
pub struct FrameTemplate {
    bytes: [u8; HEADERS_MAX],
    len: u8,
    ip: Ip,
}

impl FrameTemplate {
    /// Lays the headers down. `None`: the two addresses are of different families.
    pub fn new(av: &AddressVector) -> Option<Self> {
        let (ip, ethertype) = match (av.source, av.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (tos, ttl) = (av.dscp << 2, av.hop_limit);
                (Ip::V4(Ipv4 { tos, ident: 0, dont_fragment: true, ttl, source, destination }), ETHERTYPE_IPV4)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (traffic_class, hop_limit) = (av.dscp << 2, av.hop_limit);
                (Ip::V6(Ipv6 { traffic_class, flow_label: 0, hop_limit, source, destination }), ETHERTYPE_IPV6)
            }
            _ => return None,
        };
        let ethernet =
            Ethernet { destination: av.destination_mac, source: av.source_mac, vlan_tci: av.vlan_tci, ethertype };
        let len = ethernet.len() + ip.len() + UDP_LEN;
        let mut bytes = [0; HEADERS_MAX];
        let rest = ethernet.write(bytes.get_mut(..len)?)?;
        let rest = ip.write(rest, UDP_LEN)?;
        Udp { source_port: av.source_port, checksum: 0 }.write(rest)?;
        Some(Self { bytes, len: len as u8, ip })
    }

    /// Bytes of link, network and UDP headers.
    pub const fn header_len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of a whole frame with these extension headers and this much payload, pad and ICRC included; `usize::MAX`,
    /// which is no frame's, when they cannot be counted.
    pub const fn frame_len(&self, ext: &Ext, payload_len: usize) -> usize {
        // Each at most a few dozen.
        let headers = self.len as usize + BTH_LEN + ext.extension().len() + ICRC_LEN;
        match payload_len.checked_next_multiple_of(4) {
            Some(padded) => padded.saturating_add(headers),
            None => usize::MAX,
        }
    }

    /// Bytes from the IP header on of a frame: what an IP MTU limits.
    pub const fn ip_len(&self, ext: &Ext, payload_len: usize) -> usize {
        self.frame_len(ext, payload_len).saturating_sub((self.len as usize).saturating_sub(self.ip.len() + UDP_LEN))
    }

    /// Fills `frame`, which has exactly [`FrameTemplate::frame_len`] bytes: headers, then `fill` writes the payload in
    /// place, then pad and ICRC. The pad count of `bth` is set here.
    #[inline]
    pub fn emit<C: Crc32, E>(
        &self,
        crc: C,
        frame: &mut [u8],
        bth: &Bth,
        ext: &Ext,
        payload_len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), EmitError<E>> {
        self.headers(frame, bth, ext, payload_len).ok_or(EmitError::Shape)?;
        let payload_at = self.header_len() + BTH_LEN + ext.extension().len();
        let (_, tail) = frame.split_at_mut_checked(payload_at).ok_or(EmitError::Shape)?;
        let (payload, pad) = tail.split_at_mut_checked(payload_len).ok_or(EmitError::Shape)?;
        fill(payload).map_err(EmitError::Fill)?;
        let (pad, _) = pad.split_last_chunk_mut::<ICRC_LEN>().ok_or(EmitError::Shape)?;
        pad.fill(0);
        self.seal(crc, frame).ok_or(EmitError::Shape)
    }

    /// Writes everything before the payload.
    #[inline]
    fn headers(&self, frame: &mut [u8], bth: &Bth, ext: &Ext, payload_len: usize) -> Option<()> {
        if frame.len() != self.frame_len(ext, payload_len) || bth.opcode.extension() != ext.extension() {
            return None;
        }
        let (front, rest) = frame.split_at_mut_checked(self.header_len())?;
        front.copy_from_slice(self.bytes.get(..self.header_len())?);
        let datagram_len = u16::try_from(rest.len().checked_add(UDP_LEN)?).ok()?;
        let (front, udp) = front.split_last_chunk_mut::<UDP_LEN>()?;
        let [_, _, _, _, l0, l1, ..] = udp;
        [*l0, *l1] = datagram_len.to_be_bytes();
        match self.ip {
            Ip::V4(_) => {
                let header = front.last_chunk_mut::<IPV4_LEN>()?;
                let [_, _, l0, l1, ..] = header;
                [*l0, *l1] = datagram_len.checked_add(IPV4_LEN as u16)?.to_be_bytes();
                let [_, _, _, _, _, _, _, _, _, _, c0, c1, ..] = header;
                (*c0, *c1) = (0, 0);
                let checksum = ipv4_checksum(header).to_be_bytes();
                let [_, _, _, _, _, _, _, _, _, _, c0, c1, ..] = header;
                [*c0, *c1] = checksum;
            }
            Ip::V6(_) => {
                let [_, _, _, _, l0, l1, ..] = front.last_chunk_mut::<IPV6_LEN>()?;
                [*l0, *l1] = datagram_len.to_be_bytes();
            }
        }
        let pad_count = (payload_len.wrapping_neg() & 3) as u8;
        let rest = super::headers::put(rest, &bth.to_bytes(pad_count))?;
        ext.write(rest).map(|_| ())
    }

    /// Computes and stores the ICRC.
    #[inline]
    fn seal<C: Crc32>(&self, crc: C, frame: &mut [u8]) -> Option<()> {
        let link_len = self.header_len().checked_sub(UDP_LEN + self.ip.len())?;
        let (covered, trailer) = frame.split_last_chunk_mut::<ICRC_LEN>()?;
        let icrc = icrc::compute(crc, &self.ip, covered.get(link_len..)?)?;
        *trailer = icrc.to_le_bytes();
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    /// T-33: no frame has the length that a payload beyond all counting comes to, so none is filled.
    #[test]
    fn a_payload_beyond_all_counting_gives_a_length_that_no_frame_has() {
        let (source, destination) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
        let (source_mac, destination_mac) = ([2; 6], [4; 6]);
        let (vlan_tci, hop_limit, dscp, source_port) = (None, 64, 0, 0xc000);
        let av =
            AddressVector { source_mac, destination_mac, vlan_tci, source, destination, hop_limit, dscp, source_port };
        let template = FrameTemplate::new(&av).unwrap();
        assert_eq!(template.frame_len(&Ext::None, 5), 14 + 20 + 8 + 12 + 8 + 4);
        assert_eq!(template.ip_len(&Ext::None, 5), 20 + 8 + 12 + 8 + 4);
        for payload_len in [usize::MAX, usize::MAX - 3, usize::MAX - 40] {
            assert_eq!(template.frame_len(&Ext::None, payload_len), usize::MAX);
        }
    }
}
