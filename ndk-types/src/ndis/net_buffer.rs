//! ndis/nbl.h: NET_BUFFER and NET_BUFFER_LIST.
//!
//! The unnamed unions of C are written flat, as C code names their members. Their other views (stDataLength, Link,
//! ScatterGatherList, NdisReserved2) share those members' offsets and have no names here.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{BOOLEAN, MDL, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, PHYSICAL_ADDRESS, layout};
use core::ffi::c_void;

/// Shared memory behind a NET_BUFFER.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_SHARED_MEMORY {
    pub NextSharedMemorySegment: *mut NET_BUFFER_SHARED_MEMORY,
    pub SharedMemoryFlags: u32,
    pub SharedMemoryHandle: NDIS_HANDLE,
    pub SharedMemoryOffset: u32,
    pub SharedMemoryLength: u32,
}

layout!(
    NET_BUFFER_SHARED_MEMORY, 32, 8, NextSharedMemorySegment 0, SharedMemoryFlags 8, SharedMemoryHandle 16,
    SharedMemoryOffset 24, SharedMemoryLength 28
);

/// One frame: an MDL chain, an offset into it and a length.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NET_BUFFER {
    pub Next: *mut NET_BUFFER,
    pub CurrentMdl: *mut MDL,
    pub CurrentMdlOffset: u32,
    pub Padding0: u32,
    pub DataLength: u32,
    pub MdlChain: *mut MDL,
    pub DataOffset: u32,
    pub Padding1: u32,
    pub ChecksumBias: u16,
    pub Reserved: u16,
    pub NdisPoolHandle: NDIS_HANDLE,
    pub NdisReserved: [*mut c_void; 2],
    pub ProtocolReserved: [*mut c_void; 6],
    pub MiniportReserved: [*mut c_void; 4],
    pub DataPhysicalAddress: PHYSICAL_ADDRESS,
    pub SharedMemoryInfo: *mut NET_BUFFER_SHARED_MEMORY,
}

layout!(
    NET_BUFFER, 176, 16, Next 0, CurrentMdl 8, CurrentMdlOffset 16, DataLength 24, MdlChain 32, DataOffset 40,
    ChecksumBias 48, Reserved 50, NdisPoolHandle 56, NdisReserved 64, ProtocolReserved 80, MiniportReserved 128,
    DataPhysicalAddress 160, SharedMemoryInfo 168
);

/// A context area of a NET_BUFFER_LIST; the data follow.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST_CONTEXT {
    pub Next: *mut NET_BUFFER_LIST_CONTEXT,
    pub Size: u16,
    pub Offset: u16,
}

layout!(NET_BUFFER_LIST_CONTEXT, 16, 16, Next 0, Size 8, Offset 10);

/// Frames that travel together. NetBufferListInfo is of NDIS 6.89: earlier versions have fewer entries, so its end must
/// not be relied on in a list that NDIS allocated.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST {
    pub Next: *mut NET_BUFFER_LIST,
    pub FirstNetBuffer: *mut NET_BUFFER,
    pub Context: *mut NET_BUFFER_LIST_CONTEXT,
    pub ParentNetBufferList: *mut NET_BUFFER_LIST,
    pub NdisPoolHandle: NDIS_HANDLE,
    pub Padding0: usize,
    pub NdisReserved: [*mut c_void; 2],
    pub ProtocolReserved: [*mut c_void; 4],
    pub MiniportReserved: [*mut c_void; 2],
    pub Scratch: *mut c_void,
    pub SourceHandle: NDIS_HANDLE,
    pub NblFlags: u32,
    pub ChildRefCount: i32,
    pub Flags: u32,
    pub Status: NDIS_STATUS,
    pub NetBufferListInfo: [*mut c_void; 27],
}

layout!(
    NET_BUFFER_LIST, 368, 16, Next 0, FirstNetBuffer 8, Context 16, ParentNetBufferList 24, NdisPoolHandle 32,
    NdisReserved 48, ProtocolReserved 64, MiniportReserved 96, Scratch 112, SourceHandle 120, NblFlags 128,
    ChildRefCount 132, Flags 136, Status 140, NetBufferListInfo 144
);

/// What NdisAllocateNetBufferListPool is asked for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_LIST_POOL_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub ProtocolId: u8,
    pub fAllocateNetBuffer: BOOLEAN,
    pub ContextSize: u16,
    pub PoolTag: u32,
    pub DataSize: u32,
    pub Flags: u32,
}

layout!(
    NET_BUFFER_LIST_POOL_PARAMETERS, 20, 4, Header 0, ProtocolId 4, fAllocateNetBuffer 5, ContextSize 6, PoolTag 8,
    DataSize 12, Flags 16
);

/// What NdisAllocateNetBufferPool is asked for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_BUFFER_POOL_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub PoolTag: u32,
    pub DataSize: u32,
    pub Flags: u32,
}

layout!(NET_BUFFER_POOL_PARAMETERS, 16, 4, Header 0, PoolTag 4, DataSize 8, Flags 12);

pub const NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1: u8 = 1;
pub const NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2: u8 = 2;
pub const NET_BUFFER_POOL_PARAMETERS_REVISION_1: u8 = 1;
pub const NET_BUFFER_POOL_PARAMETERS_REVISION_2: u8 = 2;

pub const NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1: u16 = 16;
pub const NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2: u16 = 20;
pub const NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1: u16 = 12;
pub const NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_2: u16 = 16;

pub const NDIS_PROTOCOL_ID_DEFAULT: u8 = 0;
pub const NDIS_PROTOCOL_ID_TCP_IP: u8 = 2;
pub const NDIS_PROTOCOL_ID_IP6: u8 = 3;
pub const NDIS_PROTOCOL_ID_IPX: u8 = 6;
pub const NDIS_PROTOCOL_ID_NBF: u8 = 7;
pub const NDIS_PROTOCOL_ID_MAX: u8 = 15;
pub const NDIS_PROTOCOL_ID_MASK: u8 = 15;

pub const NBL_FLAGS_PROTOCOL_RESERVED: u32 = 0xfff0_0003;
pub const NBL_FLAGS_MINIPORT_RESERVED: u32 = 0x0000_f000;
pub const NBL_FLAGS_SCRATCH: u32 = 0x000f_0000;
pub const NBL_FLAGS_NDIS_RESERVED: u32 = 0x0000_0ffc;
pub const NDIS_NBL_FLAGS_SEND_READ_ONLY: u32 = 0x0000_0001;
pub const NDIS_NBL_FLAGS_RECV_READ_ONLY: u32 = 0x0000_0002;
pub const NDIS_NBL_FLAGS_HD_SPLIT: u32 = 0x0000_0100;
pub const NDIS_NBL_FLAGS_IS_IPV4: u32 = 0x0000_0200;
pub const NDIS_NBL_FLAGS_IS_IPV6: u32 = 0x0000_0400;
pub const NDIS_NBL_FLAGS_IS_TCP: u32 = 0x0000_0800;
pub const NDIS_NBL_FLAGS_IS_UDP: u32 = 0x0000_1000;
pub const NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_HEADER: u32 = 0x0000_2000;
pub const NDIS_NBL_FLAGS_SPLIT_AT_UPPER_LAYER_PROTOCOL_PAYLOAD: u32 = 0x0000_4000;
pub const NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET: u32 = 0x0000_8000;
pub const NDIS_NBL_FLAGS_CAPTURE_TIMESTAMP_ON_TRANSMIT: u32 = 0x0001_0000;
pub const NBL_PROT_RSVD_FLAGS: u32 = 0xfff0_0003;
pub const NET_BUFFER_LIST_POOL_FLAG_VERIFY: u32 = 0x0000_0001;
pub const NET_BUFFER_POOL_FLAG_VERIFY: u32 = 0x0000_0001;
pub const NDIS_SEND_FLAGS_DISPATCH_LEVEL: u32 = 0x0000_0001;
pub const NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK: u32 = 0x0000_0002;
pub const NDIS_SEND_FLAGS_SINGLE_QUEUE: u32 = 0x0000_0004;
pub const NDIS_SEND_FLAGS_SWITCH_DESTINATION_GROUP: u32 = 0x0000_0010;
pub const NDIS_SEND_FLAGS_SWITCH_SINGLE_SOURCE: u32 = 0x0000_0020;
pub const NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL: u32 = 0x0000_0001;
pub const NDIS_SEND_COMPLETE_FLAGS_SINGLE_QUEUE: u32 = 0x0000_0002;
pub const NDIS_SEND_COMPLETE_FLAGS_SWITCH_SINGLE_SOURCE: u32 = 0x0000_0004;
pub const NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL: u32 = 0x0000_0001;
pub const NDIS_RECEIVE_FLAGS_RESOURCES: u32 = 0x0000_0002;
pub const NDIS_RECEIVE_FLAGS_SINGLE_ETHER_TYPE: u32 = 0x0000_0100;
pub const NDIS_RECEIVE_FLAGS_SINGLE_VLAN: u32 = 0x0000_0200;
pub const NDIS_RECEIVE_FLAGS_PERFECT_FILTERED: u32 = 0x0000_0400;
pub const NDIS_RECEIVE_FLAGS_SINGLE_QUEUE: u32 = 0x0000_0800;
pub const NDIS_RECEIVE_FLAGS_SHARED_MEMORY_INFO_VALID: u32 = 0x0000_1000;
pub const NDIS_RECEIVE_FLAGS_MORE_NBLS: u32 = 0x0000_2000;
pub const NDIS_RECEIVE_FLAGS_SWITCH_DESTINATION_GROUP: u32 = 0x0000_4000;
pub const NDIS_RECEIVE_FLAGS_SWITCH_SINGLE_SOURCE: u32 = 0x0000_8000;
pub const NDIS_RETURN_FLAGS_DISPATCH_LEVEL: u32 = 0x0000_0001;
pub const NDIS_RETURN_FLAGS_SINGLE_QUEUE: u32 = 0x0000_0002;
pub const NDIS_RETURN_FLAGS_SWITCH_SINGLE_SOURCE: u32 = 0x0000_0004;
pub const NDIS_INDICATE_ALL_NBLS: u32 = 0xffff_ffff;
