//! ntdef.h, wdm.h, ws2def.h, ws2ipdef.h: what everything else is made of.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents the fields")]

use crate::layout;
use core::ffi::c_void;

/// 32-bit status of the kernel.
pub type NTSTATUS = i32;
/// 32-bit status of NDIS; the same numbers where both have one.
pub type NDIS_STATUS = i32;
/// One byte, zero or not.
pub type BOOLEAN = u8;
/// An NDIS handle.
pub type NDIS_HANDLE = *mut c_void;

/// A 64-bit number, whole or in halves.
#[repr(C)]
#[derive(Clone, Copy)]
pub union LARGE_INTEGER {
    pub u: LARGE_INTEGER_u,
    pub QuadPart: i64,
}

/// The halves of a LARGE_INTEGER.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LARGE_INTEGER_u {
    pub LowPart: u32,
    pub HighPart: i32,
}

layout!(LARGE_INTEGER, 8, 8, u 0, u.LowPart 0, u.HighPart 4, QuadPart 0);

/// A physical, or for NDK logical, address.
pub type PHYSICAL_ADDRESS = LARGE_INTEGER;

/// A globally unique identifier.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GUID {
    pub Data1: u32,
    pub Data2: u16,
    pub Data3: u16,
    pub Data4: [u8; 8],
}

layout!(GUID, 16, 4, Data1 0, Data2 4, Data3 6, Data4 8);

/// Processors of one group.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct GROUP_AFFINITY {
    pub Mask: usize,
    pub Group: u16,
    pub Reserved: [u16; 3],
}

layout!(GROUP_AFFINITY, 16, 8, Mask 0, Group 8, Reserved 10);

/// A memory descriptor list: pages of one virtually contiguous buffer. The page frame numbers follow it in memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MDL {
    pub Next: *mut MDL,
    pub Size: i16,
    pub MdlFlags: i16,
    pub Process: *mut c_void,
    pub MappedSystemVa: *mut c_void,
    pub StartVa: *mut c_void,
    pub ByteCount: u32,
    pub ByteOffset: u32,
}

layout!(
    MDL, 48, 8, Next 0, Size 8, MdlFlags 10, Process 16, MappedSystemVa 24, StartVa 32, ByteCount 40, ByteOffset 44
);

/// See wdm.h.
pub const MDL_MAPPED_TO_SYSTEM_VA: i16 = 0x0001;
/// See wdm.h.
pub const MDL_PAGES_LOCKED: i16 = 0x0002;
/// See wdm.h.
pub const MDL_SOURCE_IS_NONPAGED_POOL: i16 = 0x0004;
/// See wdm.h.
pub const MDL_PARTIAL: i16 = 0x0010;
/// See wdm.h.
pub const MDL_IO_SPACE: i16 = 0x0800;

/// No family.
pub const AF_UNSPEC: u32 = 0;
/// IPv4.
pub const AF_INET: u32 = 2;
/// IPv6.
pub const AF_INET6: u32 = 23;

/// A socket address of any family.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SOCKADDR {
    pub sa_family: u16,
    pub sa_data: [i8; 14],
}

layout!(SOCKADDR, 16, 2, sa_family 0, sa_data 2);

/// An IPv4 address, network byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct IN_ADDR {
    pub S_addr: u32,
}

/// An IPv6 address, network byte order.
#[repr(C, align(2))]
#[derive(Clone, Copy, Debug, Default)]
pub struct IN6_ADDR {
    pub Byte: [u8; 16],
}

layout!(IN_ADDR, 4, 4, S_addr 0);
layout!(IN6_ADDR, 16, 2, Byte 0);

/// An IPv4 socket address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SOCKADDR_IN {
    pub sin_family: u16,
    pub sin_port: u16,
    pub sin_addr: IN_ADDR,
    pub sin_zero: [i8; 8],
}

layout!(SOCKADDR_IN, 16, 4, sin_family 0, sin_port 2, sin_addr 4, sin_zero 8);

/// An IPv6 socket address (SOCKADDR_IN6_LH).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct SOCKADDR_IN6 {
    pub sin6_family: u16,
    pub sin6_port: u16,
    pub sin6_flowinfo: u32,
    pub sin6_addr: IN6_ADDR,
    pub sin6_scope_id: u32,
}

layout!(SOCKADDR_IN6, 28, 4, sin6_family 0, sin6_port 2, sin6_flowinfo 4, sin6_addr 8, sin6_scope_id 24);

/// An IPv4 or IPv6 socket address.
#[repr(C)]
#[derive(Clone, Copy)]
pub union SOCKADDR_INET {
    pub Ipv4: SOCKADDR_IN,
    pub Ipv6: SOCKADDR_IN6,
    pub si_family: u16,
}

layout!(SOCKADDR_INET, 28, 4, Ipv4 0, Ipv6 0, si_family 0);

/// The header of NDIS structures.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NDIS_OBJECT_HEADER {
    pub Type: u8,
    pub Revision: u8,
    pub Size: u16,
}

layout!(NDIS_OBJECT_HEADER, 4, 2, Type 0, Revision 1, Size 2);
