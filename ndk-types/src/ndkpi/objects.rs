//! ndkpi.h: objects, results and the structures of memory.

#![expect(missing_docs, reason = "C names verbatim; the structures' pages document the fields")]

use crate::*;
use core::ffi::c_void;

/// NDK's own block in every object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NDK_OBJECT_HEADER_RESERVED_BLOCK {
    pub rf: [*mut c_void; 4],
}

layout!(NDK_OBJECT_HEADER_RESERVED_BLOCK, 32, 8, rf 0);

/// The start of every object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NDK_OBJECT_HEADER {
    pub Version: NDK_VERSION,
    pub ObjectType: NDK_OBJECT_TYPE,
    pub NdkReserved: NDK_OBJECT_HEADER_RESERVED_BLOCK,
}

layout!(NDK_OBJECT_HEADER, 40, 8, Version 0, ObjectType 4, NdkReserved 8);

/// A completion.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NDK_RESULT {
    pub Status: NTSTATUS,
    pub BytesTransferred: u32,
    pub QPContext: *mut c_void,
    pub RequestContext: *mut c_void,
}

layout!(NDK_RESULT, 24, 8, Status 0, BytesTransferred 4, QPContext 8, RequestContext 16);

/// A completion with its kind (1.2) and error code (2.1).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NDK_RESULT_EX {
    pub Status: NTSTATUS,
    pub BytesTransferred: u32,
    pub QPContext: *mut c_void,
    pub RequestContext: *mut c_void,
    pub Type: NDK_OPERATION_TYPE,
    pub ProviderErrorCode: u32,
    pub TypeSpecificCompletionOutput: usize,
}

layout!(
    NDK_RESULT_EX, 40, 8, Status 0, BytesTransferred 4, QPContext 8, RequestContext 16, Type 24, ProviderErrorCode 28,
    TypeSpecificCompletionOutput 32
);

/// An address that only the adapter understands.
pub type NDK_LOGICAL_ADDRESS = PHYSICAL_ADDRESS;

/// Adapter pages of a buffer; the array is as long as AdapterPageCount says.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_LOGICAL_ADDRESS_MAPPING {
    pub AdapterContext: *mut c_void,
    pub AdapterPageCount: u32,
    pub AdapterPageArray: [NDK_LOGICAL_ADDRESS; 1],
}

layout!(NDK_LOGICAL_ADDRESS_MAPPING, 24, 8, AdapterContext 0, AdapterPageCount 8, AdapterPageArray 16);

/// The address of an NDK_SGE: logical with the privileged token, else virtual.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDK_SGE_ADDRESS {
    pub VirtualAddress: *mut c_void,
    pub LogicalAddress: NDK_LOGICAL_ADDRESS,
}

/// A piece of memory in a request. C's union of the two addresses has no name; here it is `Anonymous`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_SGE {
    pub Anonymous: NDK_SGE_ADDRESS,
    pub Length: u32,
    pub MemoryRegionToken: u32,
}

layout!(
    NDK_SGE, 16, 8, Anonymous 0, Anonymous.VirtualAddress 0, Anonymous.LogicalAddress 0, Length 8, MemoryRegionToken 12
);

/// An extension's dispatch table.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_EXTENSION_INTERFACE {
    pub Dispatch: *const c_void,
}

layout!(NDK_EXTENSION_INTERFACE, 8, 8, Dispatch 0);

/// NDK_ADAPTER: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_ADAPTER {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_ADAPTER_DISPATCH,
}

layout!(NDK_ADAPTER, 48, 8, Header 0, Dispatch 40);

/// NDK_CONNECTOR: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_CONNECTOR {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_CONNECTOR_DISPATCH,
}

layout!(NDK_CONNECTOR, 48, 8, Header 0, Dispatch 40);

/// NDK_CQ: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_CQ {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_CQ_DISPATCH,
}

layout!(NDK_CQ, 48, 8, Header 0, Dispatch 40);

/// NDK_LISTENER: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_LISTENER {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_LISTENER_DISPATCH,
}

layout!(NDK_LISTENER, 48, 8, Header 0, Dispatch 40);

/// NDK_MR: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_MR {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_MR_DISPATCH,
}

layout!(NDK_MR, 48, 8, Header 0, Dispatch 40);

/// NDK_MW: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_MW {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_MW_DISPATCH,
}

layout!(NDK_MW, 48, 8, Header 0, Dispatch 40);

/// NDK_PD: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_PD {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_PD_DISPATCH,
}

layout!(NDK_PD, 48, 8, Header 0, Dispatch 40);

/// NDK_QP: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_QP {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_QP_DISPATCH,
}

layout!(NDK_QP, 48, 8, Header 0, Dispatch 40);

/// NDK_SHARED_ENDPOINT: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_SHARED_ENDPOINT {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_SHARED_ENDPOINT_DISPATCH,
}

layout!(NDK_SHARED_ENDPOINT, 48, 8, Header 0, Dispatch 40);

/// NDK_SRQ: its header and its functions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_SRQ {
    pub Header: NDK_OBJECT_HEADER,
    pub Dispatch: *const NDK_SRQ_DISPATCH,
}

layout!(NDK_SRQ, 48, 8, Header 0, Dispatch 40);
