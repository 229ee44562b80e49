//! ntdef.h, wdm.h: strings, lists and the words of C that the network headers are written in.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{PHYSICAL_ADDRESS, layout};
use core::ffi::c_void;

/// A pointer to anything.
pub type PVOID = *mut c_void;
/// A kernel handle.
pub type HANDLE = *mut c_void;
/// An unsigned byte.
pub type UCHAR = u8;
/// 16 bits, unsigned.
pub type USHORT = u16;
/// 32 bits, unsigned; `unsigned long` is 32 bits wide on Windows.
pub type ULONG = u32;
/// 64 bits, unsigned.
pub type ULONG64 = u64;
/// As wide as a pointer.
pub type SIZE_T = usize;
/// One UTF-16 code unit.
pub type WCHAR = u16;

/// A counted UTF-16 string; lengths are in bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UNICODE_STRING {
    pub Length: u16,
    pub MaximumLength: u16,
    pub Buffer: *mut u16,
}

layout!(UNICODE_STRING, 16, 8, Length 0, MaximumLength 2, Buffer 8);

/// A link of a doubly linked list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LIST_ENTRY {
    pub Flink: *mut LIST_ENTRY,
    pub Blink: *mut LIST_ENTRY,
}

layout!(LIST_ENTRY, 16, 8, Flink 0, Blink 8);

/// A link of a singly linked list.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SINGLE_LIST_ENTRY {
    pub Next: *mut SINGLE_LIST_ENTRY,
}

layout!(SINGLE_LIST_ENTRY, 8, 8, Next 0);

/// A link of an interlocked singly linked list.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct SLIST_ENTRY {
    pub Next: *mut SLIST_ENTRY,
}

layout!(SLIST_ENTRY, 16, 16, Next 0);

/// The head of an interlocked singly linked list.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct SLIST_HEADER {
    pub Alignment: u64,
    pub Region: u64,
}

layout!(SLIST_HEADER, 16, 16, Alignment 0, Region 8);

/// A processor: its group and its number there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PROCESSOR_NUMBER {
    pub Group: u16,
    pub Number: u8,
    pub Reserved: u8,
}

layout!(PROCESSOR_NUMBER, 4, 2, Group 0, Number 2, Reserved 3);

/// A locally unique identifier.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LUID {
    pub LowPart: u32,
    pub HighPart: i32,
}

layout!(LUID, 8, 4, LowPart 0, HighPart 4);

/// One physical range.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SCATTER_GATHER_ELEMENT {
    pub Address: PHYSICAL_ADDRESS,
    pub Length: u32,
    pub Reserved: usize,
}

layout!(SCATTER_GATHER_ELEMENT, 24, 8, Address 0, Length 8, Reserved 16);

// MDL_CACHE and the flags that are in base.rs aside.
pub const MDL_ALLOCATED_FIXED_SIZE: i16 = 8;
pub const MDL_PARTIAL_HAS_BEEN_MAPPED: i16 = 32;
pub const MDL_IO_PAGE_READ: i16 = 64;
pub const MDL_WRITE_OPERATION: i16 = 128;
pub const MDL_LOCKED_PAGE_TABLES: i16 = 256;
pub const MDL_PARENT_MAPPED_SYSTEM_VA: i16 = 256;
pub const MDL_FREE_EXTRA_PTES: i16 = 512;
pub const MDL_DESCRIBES_AWE: i16 = 1024;
pub const MDL_NETWORK_HEADER: i16 = 4096;
pub const MDL_MAPPING_CAN_FAIL: i16 = 8192;
pub const MDL_PAGE_CONTENTS_INVARIANT: i16 = 16384;
pub const MDL_ALLOCATED_MUST_SUCCEED: i16 = 16384;

/// How a mapping is cached.
pub type MEMORY_CACHING_TYPE = i32;
pub const MmNonCached: MEMORY_CACHING_TYPE = 0;
pub const MmCached: MEMORY_CACHING_TYPE = 1;
pub const MmWriteCombined: MEMORY_CACHING_TYPE = 2;
pub const MmHardwareCoherentCached: MEMORY_CACHING_TYPE = 3;
pub const MmNonCachedUnordered: MEMORY_CACHING_TYPE = 4;
pub const MmUSWCCached: MEMORY_CACHING_TYPE = 5;
pub const MmMaximumCacheType: MEMORY_CACHING_TYPE = 6;
pub const MmNotMapped: MEMORY_CACHING_TYPE = -1;

/// What the caller will do with locked pages.
pub type LOCK_OPERATION = i32;
pub const IoReadAccess: LOCK_OPERATION = 0;
pub const IoWriteAccess: LOCK_OPERATION = 1;
pub const IoModifyAccess: LOCK_OPERATION = 2;
