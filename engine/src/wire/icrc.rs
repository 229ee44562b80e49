//! The invariant CRC: over everything that no switch or router on the way may change.
//!
//! CRC-32 over eight bytes of ones (the place of the local route header), then the packet from the IP header on with the
//! variant fields read as ones: TOS, TTL and checksum of IPv4; traffic class, flow label and hop limit of IPv6; the UDP
//! checksum; the byte of FECN and BECN in the BTH. It is stored little-endian. MAC addresses and VLAN are not covered.

use super::link::{IPV4_LEN, IPV6_LEN, Ip, UDP_LEN};
use crate::crc::{Crc32, INITIAL};

/// The bytes of the headers that are read masked: up to and with the BTH's congestion byte.
const BTH_MASKED: usize = 5;
const ONES: usize = 8;

/// The ICRC of a packet given from its IP header to its last pad byte. `None`: too short to be one.
#[inline]
pub fn compute<C: Crc32>(crc: C, ip: &Ip, packet: &[u8]) -> Option<u32> {
    match ip {
        Ip::V4(_) => compute_v4(crc, packet),
        Ip::V6(_) => compute_v6(crc, packet),
    }
}

#[inline]
fn compute_v4<C: Crc32>(crc: C, packet: &[u8]) -> Option<u32> {
    const HEADERS: usize = IPV4_LEN + UDP_LEN + BTH_MASKED;
    let (headers, rest) = packet.split_first_chunk::<HEADERS>()?;
    let mut masked = [0xff; ONES + HEADERS];
    masked.last_chunk_mut::<HEADERS>()?.copy_from_slice(headers);
    // TOS; TTL; the two checksum bytes; the UDP checksum; the congestion byte.
    for at in [1, 8, 10, 11, 26, 27, 32] {
        *masked.get_mut(ONES + at)? = 0xff;
    }
    Some(!crc.update(crc.update(INITIAL, &masked), rest))
}

#[inline]
fn compute_v6<C: Crc32>(crc: C, packet: &[u8]) -> Option<u32> {
    const HEADERS: usize = IPV6_LEN + UDP_LEN + BTH_MASKED;
    let (headers, rest) = packet.split_first_chunk::<HEADERS>()?;
    let mut masked = [0xff; ONES + HEADERS];
    masked.last_chunk_mut::<HEADERS>()?.copy_from_slice(headers);
    *masked.get_mut(ONES)? = 0x6f;
    // The rest of the first word; hop limit; the UDP checksum; the congestion byte.
    for at in [1, 2, 3, 7, 46, 47, 52] {
        *masked.get_mut(ONES + at)? = 0xff;
    }
    Some(!crc.update(crc.update(INITIAL, &masked), rest))
}
