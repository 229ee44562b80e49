//! ws2def.h, ws2ipdef.h: the addresses that base.rs has not.

#![expect(clippy::pub_underscore_fields, reason = "C names verbatim")]
#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{SOCKADDR, SOCKADDR_IN6, layout};

/// An address family.
pub type ADDRESS_FAMILY = u16;
/// SOCKADDR_IN6 under the name of its layout.
pub type SOCKADDR_IN6_LH = SOCKADDR_IN6;
/// The largest socket address.
pub type SOCKADDR_STORAGE = SOCKADDR_STORAGE_LH;

layout!(SOCKADDR_IN6_LH, 28, 4, sin6_scope_id 24);

/// The largest socket address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SOCKADDR_STORAGE_LH {
    pub ss_family: ADDRESS_FAMILY,
    pub __ss_pad1: [i8; 6],
    pub __ss_align: i64,
    pub __ss_pad2: [i8; 112],
}

layout!(SOCKADDR_STORAGE_LH, 128, 8, ss_family 0, __ss_pad1 2, __ss_align 8, __ss_pad2 16);

/// A socket address and its length.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SOCKET_ADDRESS {
    pub lpSockaddr: *mut SOCKADDR,
    pub iSockaddrLength: i32,
}

layout!(SOCKET_ADDRESS, 16, 8, lpSockaddr 0, iSockaddrLength 8);

/// Source and destination.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SOCKADDR_IN6_PAIR {
    pub SourceAddress: *mut SOCKADDR_IN6,
    pub DestinationAddress: *mut SOCKADDR_IN6,
}

layout!(SOCKADDR_IN6_PAIR, 16, 8, SourceAddress 0, DestinationAddress 8);

/// A zone and its level: Zone in bits 0 to 27, Level in bits 28 to 31.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SCOPE_ID {
    pub Value: u32,
}

layout!(SCOPE_ID, 4, 4, Value 0);

/// The head of a control message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSACMSGHDR {
    pub cmsg_len: usize,
    pub cmsg_level: i32,
    pub cmsg_type: i32,
}

layout!(WSACMSGHDR, 16, 8, cmsg_len 0, cmsg_level 8, cmsg_type 12);

pub const SOCK_STREAM: i32 = 1;
pub const SOCK_DGRAM: i32 = 2;
pub const SOCK_RAW: i32 = 3;

/// Protocols.
pub type IPPROTO = i32;
pub const IPPROTO_ICMP: IPPROTO = 1;
pub const IPPROTO_TCP: IPPROTO = 6;
pub const IPPROTO_UDP: IPPROTO = 17;
pub const IPPROTO_IPV6: IPPROTO = 41;
pub const IPPROTO_ICMPV6: IPPROTO = 58;
pub const IPPROTO_RAW: IPPROTO = 255;
