//! ndis/oidrequest.h: OID requests and status indications.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    GUID, NDIS_HANDLE, NDIS_NIC_SWITCH_ID, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_OID, NDIS_PORT_NUMBER,
    NDIS_REQUEST_TYPE, NDIS_STATUS, layout,
};
use core::ffi::c_void;

/// Query and statistics.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_QUERY_INFORMATION {
    pub Oid: NDIS_OID,
    pub InformationBuffer: *mut c_void,
    pub InformationBufferLength: u32,
    pub BytesWritten: u32,
    pub BytesNeeded: u32,
}

/// Set.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_SET_INFORMATION {
    pub Oid: NDIS_OID,
    pub InformationBuffer: *mut c_void,
    pub InformationBufferLength: u32,
    pub BytesRead: u32,
    pub BytesNeeded: u32,
}

/// Method.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST_METHOD_INFORMATION {
    pub Oid: NDIS_OID,
    pub InformationBuffer: *mut c_void,
    pub InputBufferLength: u32,
    pub OutputBufferLength: u32,
    pub MethodId: u32,
    pub BytesWritten: u32,
    pub BytesRead: u32,
    pub BytesNeeded: u32,
}

/// The body of a request; RequestType says which.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_OID_REQUEST_DATA {
    pub Oid: NDIS_OID,
    pub QUERY_INFORMATION: NDIS_OID_REQUEST_QUERY_INFORMATION,
    pub SET_INFORMATION: NDIS_OID_REQUEST_SET_INFORMATION,
    pub METHOD_INFORMATION: NDIS_OID_REQUEST_METHOD_INFORMATION,
}

/// An OID request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OID_REQUEST {
    pub Header: NDIS_OBJECT_HEADER,
    pub RequestType: NDIS_REQUEST_TYPE,
    pub PortNumber: NDIS_PORT_NUMBER,
    pub Timeout: u32,
    pub RequestId: *mut c_void,
    pub RequestHandle: NDIS_HANDLE,
    pub DATA: NDIS_OID_REQUEST_DATA,
    pub NdisReserved: [u8; 128],
    pub MiniportReserved: [u8; 16],
    pub SourceReserved: [u8; 16],
    pub SupportedRevision: u8,
    pub Reserved1: u8,
    pub Reserved2: u16,
    pub SwitchId: NDIS_NIC_SWITCH_ID,
    pub VPortId: NDIS_NIC_SWITCH_VPORT_ID,
    pub Flags: u32,
}

layout!(
    NDIS_OID_REQUEST, 248, 8, Header 0, RequestType 4, PortNumber 8, Timeout 12, RequestId 16, RequestHandle 24,
    DATA 32, NdisReserved 72, MiniportReserved 200, SourceReserved 216, SupportedRevision 232, Reserved1 233,
    Reserved2 234, SwitchId 236, VPortId 240, Flags 244, DATA.Oid 32, DATA.QUERY_INFORMATION 32,
    DATA.QUERY_INFORMATION.Oid 32, DATA.QUERY_INFORMATION.InformationBuffer 40,
    DATA.QUERY_INFORMATION.InformationBufferLength 48, DATA.QUERY_INFORMATION.BytesWritten 52,
    DATA.QUERY_INFORMATION.BytesNeeded 56, DATA.SET_INFORMATION 32, DATA.SET_INFORMATION.Oid 32,
    DATA.SET_INFORMATION.InformationBuffer 40, DATA.SET_INFORMATION.InformationBufferLength 48,
    DATA.SET_INFORMATION.BytesRead 52, DATA.SET_INFORMATION.BytesNeeded 56, DATA.METHOD_INFORMATION 32,
    DATA.METHOD_INFORMATION.Oid 32, DATA.METHOD_INFORMATION.InformationBuffer 40,
    DATA.METHOD_INFORMATION.InputBufferLength 48, DATA.METHOD_INFORMATION.OutputBufferLength 52,
    DATA.METHOD_INFORMATION.MethodId 56, DATA.METHOD_INFORMATION.BytesWritten 60, DATA.METHOD_INFORMATION.BytesRead
    64, DATA.METHOD_INFORMATION.BytesNeeded 68
);

/// A status indication.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_STATUS_INDICATION {
    pub Header: NDIS_OBJECT_HEADER,
    pub SourceHandle: NDIS_HANDLE,
    pub PortNumber: NDIS_PORT_NUMBER,
    pub StatusCode: NDIS_STATUS,
    pub Flags: u32,
    pub DestinationHandle: NDIS_HANDLE,
    pub RequestId: *mut c_void,
    pub StatusBuffer: *mut c_void,
    pub StatusBufferSize: u32,
    pub Guid: GUID,
    pub NdisReserved: [*mut c_void; 4],
}

layout!(
    NDIS_STATUS_INDICATION, 112, 8, Header 0, SourceHandle 8, PortNumber 16, StatusCode 20, Flags 24,
    DestinationHandle 32, RequestId 40, StatusBuffer 48, StatusBufferSize 56, Guid 60, NdisReserved 80
);

pub const NDIS_OID_REQUEST_REVISION_1: u8 = 1;
pub const NDIS_OID_REQUEST_REVISION_2: u8 = 2;
pub const NDIS_STATUS_INDICATION_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_OID_REQUEST_REVISION_1: u16 = 236;
pub const NDIS_SIZEOF_OID_REQUEST_REVISION_2: u16 = 248;
pub const NDIS_SIZEOF_STATUS_INDICATION_REVISION_1: u16 = 112;

pub const NDIS_OID_REQUEST_TIMEOUT_INFINITE: u32 = 0;
pub const NDIS_OID_REQUEST_FLAGS_VPORT_ID_VALID: u32 = 1;
pub const NDIS_STATUS_INDICATION_FLAGS_NDIS_RESERVED: u32 = 4095;
pub const NDIS_STATUS_INDICATION_FLAGS_MEDIA_CONNECT_TO_CONNECT: u32 = 4096;
