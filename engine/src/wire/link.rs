//! Below the transport: Ethernet with an optional VLAN tag, IPv4, IPv6, UDP.

use super::ParseError;
use super::headers::put;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The UDP port of RoCEv2.
pub const ROCE_V2_PORT: u16 = 4791;
/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// Bytes of an Ethernet header without a tag.
pub const ETHERNET_LEN: usize = 14;
/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Bytes of a UDP header.
pub const UDP_LEN: usize = 8;
const PROTOCOL_UDP: u8 = 17;
/// Next headers that are IPv6 extension headers: hop-by-hop, routing, fragment, ESP, AH, destination options.
const IPV6_EXTENSIONS: [u8; 6] = [0, 43, 44, 50, 51, 60];

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Where the frame goes.
    pub destination: [u8; 6],
    /// Where it comes from.
    pub source: [u8; 6],
    /// The tag control information of an 802.1Q tag, if there is one: priority, drop eligibility, VLAN.
    pub vlan_tci: Option<u16>,
    /// What it carries.
    pub ethertype: u16,
}

impl Ethernet {
    /// Bytes on the wire.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        if self.vlan_tci.is_some() { ETHERNET_LEN + 4 } else { ETHERNET_LEN }
    }

    /// Reads a header; gives the rest.
    #[inline]
    pub fn read(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1], rest) =
            frame.split_first_chunk::<ETHERNET_LEN>()?;
        let (destination, source) = ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
        let ethertype = u16::from_be_bytes([t0, t1]);
        if ethertype != ETHERTYPE_VLAN {
            return Some((Self { destination, source, vlan_tci: None, ethertype }, rest));
        }
        let (&[v0, v1, t0, t1], rest) = rest.split_first_chunk::<4>()?;
        let (vlan_tci, ethertype) = (Some(u16::from_be_bytes([v0, v1])), u16::from_be_bytes([t0, t1]));
        Some((Self { destination, source, vlan_tci, ethertype }, rest))
    }

    /// Writes the header to the front of `frame`; gives the rest.
    pub fn write<'a>(&self, frame: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let rest = put(put(frame, &self.destination)?, &self.source)?;
        let rest = match self.vlan_tci {
            Some(tci) => put(put(rest, &ETHERTYPE_VLAN.to_be_bytes())?, &tci.to_be_bytes())?,
            None => rest,
        };
        put(rest, &self.ethertype.to_be_bytes())
    }
}

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// DSCP and ECN.
    pub tos: u8,
    /// Identification.
    pub ident: u16,
    /// Do not fragment.
    pub dont_fragment: bool,
    /// Time to live.
    pub ttl: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
}

/// The network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// IPv4.
    V4(Ipv4),
    /// IPv6.
    V6(Ipv6),
}

impl Ip {
    /// Bytes on the wire.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        match self {
            Self::V4(_) => IPV4_LEN,
            Self::V6(_) => IPV6_LEN,
        }
    }

    /// Source address.
    pub const fn source(&self) -> IpAddr {
        match self {
            Self::V4(v4) => IpAddr::V4(v4.source),
            Self::V6(v6) => IpAddr::V6(v6.source),
        }
    }

    /// Destination address.
    pub const fn destination(&self) -> IpAddr {
        match self {
            Self::V4(v4) => IpAddr::V4(v4.destination),
            Self::V6(v6) => IpAddr::V6(v6.destination),
        }
    }

    /// Whether the path marked congestion (ECN field 3).
    pub const fn congestion_experienced(&self) -> bool {
        let byte = match self {
            Self::V4(v4) => v4.tos,
            Self::V6(v6) => v6.traffic_class,
        };
        byte & 3 == 3
    }

    /// Writes the header for `payload_len` bytes to the front of `bytes`; gives the rest.
    pub fn write<'a>(&self, bytes: &'a mut [u8], payload_len: usize) -> Option<&'a mut [u8]> {
        match self {
            Self::V4(v4) => put(bytes, &v4.to_bytes(u16::try_from(payload_len.checked_add(IPV4_LEN)?).ok()?)),
            Self::V6(v6) => put(bytes, &v6.to_bytes(u16::try_from(payload_len).ok()?)),
        }
    }
}

/// The ones' complement sum of the Internet checksum over the ten words of an IPv4 header.
#[inline]
pub(super) fn ipv4_checksum(header: &[u8; IPV4_LEN]) -> u16 {
    let (words, _) = header.as_chunks::<2>();
    let sum: u32 = words.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

impl Ipv4 {
    fn to_bytes(self, total_len: u16) -> [u8; IPV4_LEN] {
        let [l0, l1] = total_len.to_be_bytes();
        let [i0, i1] = self.ident.to_be_bytes();
        let flags = if self.dont_fragment { 0x40 } else { 0 };
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let mut bytes =
            [0x45, self.tos, l0, l1, i0, i1, flags, 0, self.ttl, PROTOCOL_UDP, 0, 0, s0, s1, s2, s3, d0, d1, d2, d3];
        let [c0, c1] = ipv4_checksum(&bytes).to_be_bytes();
        let [_, _, _, _, _, _, _, _, _, _, at0, at1, ..] = &mut bytes;
        (*at0, *at1) = (c0, c1);
        bytes
    }
}

impl Ipv6 {
    fn to_bytes(self, payload_len: u16) -> [u8; IPV6_LEN] {
        let first = 6u32 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        let [l0, l1] = payload_len.to_be_bytes();
        let mut bytes = [0; IPV6_LEN];
        let (fields, addresses) = bytes.split_at_mut(8);
        let (source, destination) = addresses.split_at_mut(16);
        let [f0, f1, f2, f3] = first.to_be_bytes();
        fields.copy_from_slice(&[f0, f1, f2, f3, l0, l1, PROTOCOL_UDP, self.hop_limit]);
        source.copy_from_slice(&self.source.octets());
        destination.copy_from_slice(&self.destination.octets());
        bytes
    }
}

/// A UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port: entropy for switches, never an address of ours (T-33).
    pub source_port: u16,
    /// Checksum as it stood; senders of RoCEv2 leave it 0.
    pub checksum: u16,
}

impl Udp {
    /// Writes the header for all of `bytes` to their front; gives the rest.
    pub fn write<'a>(&self, bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let len = u16::try_from(bytes.len()).ok()?;
        let rest = put(put(bytes, &self.source_port.to_be_bytes())?, &ROCE_V2_PORT.to_be_bytes())?;
        put(put(rest, &len.to_be_bytes())?, &self.checksum.to_be_bytes())
    }
}

/// The layers below the transport, checked.
pub(super) struct Parsed<'a> {
    pub(super) ethernet: Ethernet,
    pub(super) ip: Ip,
    pub(super) udp: Udp,
    /// The whole IP packet.
    pub(super) packet: &'a [u8],
    /// What UDP carries.
    pub(super) body: &'a [u8],
}

/// Parses link, network and UDP headers.
#[inline]
pub(super) fn parse(frame: &[u8]) -> Result<Parsed<'_>, ParseError> {
    let (ethernet, rest) = Ethernet::read(frame).ok_or(ParseError::NotIp)?;
    let (ip, packet, datagram) = match ethernet.ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(rest).map_err(|error| of_others(error, rest, IPV4_LEN))?,
        ETHERTYPE_IPV6 => parse_ipv6(rest).map_err(|error| of_others(error, rest, IPV6_LEN))?,
        _ => return Err(ParseError::NotIp),
    };
    let (&[s0, s1, d0, d1, l0, l1, c0, c1], body) =
        datagram.split_first_chunk::<UDP_LEN>().ok_or(ParseError::Truncated)?;
    let port = u16::from_be_bytes([d0, d1]);
    if port != ROCE_V2_PORT {
        return Err(ParseError::NotRoce { port });
    }
    if usize::from(u16::from_be_bytes([l0, l1])) != datagram.len() {
        return Err(ParseError::UdpLength);
    }
    let udp = Udp { source_port: u16::from_be_bytes([s0, s1]), checksum: u16::from_be_bytes([c0, c1]) };
    Ok(Parsed { ethernet, ip, udp, packet, body })
}

/// A broken IP header is ours to drop only where the port behind it is seen to be RoCEv2's; else nothing is known of the
/// frame.
#[cold]
fn of_others(error: ParseError, bytes: &[u8], ip_len: usize) -> ParseError {
    let port = bytes.get(ip_len..).and_then(|datagram| datagram.get(2..4));
    if error.is_foreign() || port == Some(&ROCE_V2_PORT.to_be_bytes()) { error } else { ParseError::NotUdp }
}

#[inline]
fn parse_ipv4(bytes: &[u8]) -> Result<(Ip, &[u8], &[u8]), ParseError> {
    let (header, _) = bytes.split_first_chunk::<IPV4_LEN>().ok_or(ParseError::Truncated)?;
    let &[version, tos, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    if version >> 4 != 4 {
        return Err(ParseError::IpVersion);
    }
    if protocol != PROTOCOL_UDP {
        return Err(ParseError::NotUdp);
    }
    if version & 0xf != 5 {
        return Err(ParseError::IpOptions);
    }
    // More fragments, or an offset; the reserved bit must be 0 as well.
    if f0 & 0xbf != 0 || f1 != 0 {
        return Err(ParseError::Fragment);
    }
    let packet = bytes.get(..usize::from(u16::from_be_bytes([l0, l1]))).ok_or(ParseError::Truncated)?;
    let datagram = packet.get(IPV4_LEN..).ok_or(ParseError::Truncated)?;
    if ipv4_checksum(header) != 0 {
        return Err(ParseError::IpChecksum);
    }
    let ip = Ipv4 {
        tos,
        ident: u16::from_be_bytes([i0, i1]),
        dont_fragment: f0 & 0x40 != 0,
        ttl,
        source: Ipv4Addr::new(s0, s1, s2, s3),
        destination: Ipv4Addr::new(d0, d1, d2, d3),
    };
    Ok((Ip::V4(ip), packet, datagram))
}

#[inline]
fn parse_ipv6(bytes: &[u8]) -> Result<(Ip, &[u8], &[u8]), ParseError> {
    let (&[a, b, c, d, l0, l1, next, hop_limit], rest) = bytes.split_first_chunk::<8>().ok_or(ParseError::Truncated)?;
    let (source, rest) = rest.split_first_chunk::<16>().ok_or(ParseError::Truncated)?;
    let (destination, _) = rest.split_first_chunk::<16>().ok_or(ParseError::Truncated)?;
    let first = u32::from_be_bytes([a, b, c, d]);
    if first >> 28 != 6 {
        return Err(ParseError::IpVersion);
    }
    if IPV6_EXTENSIONS.contains(&next) {
        return Err(ParseError::ExtensionHeader);
    }
    if next != PROTOCOL_UDP {
        return Err(ParseError::NotUdp);
    }
    let total = IPV6_LEN + usize::from(u16::from_be_bytes([l0, l1]));
    let packet = bytes.get(..total).ok_or(ParseError::Truncated)?;
    let datagram = packet.get(IPV6_LEN..).ok_or(ParseError::Truncated)?;
    let ip = Ipv6 {
        traffic_class: (first >> 20) as u8,
        flow_label: first & 0xf_ffff,
        hop_limit,
        source: Ipv6Addr::from(*source),
        destination: Ipv6Addr::from(*destination),
    };
    Ok((Ip::V6(ip), packet, datagram))
}
