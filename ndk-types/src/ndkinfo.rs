//! ndkinfo.h: what an adapter says of itself.

#![expect(missing_docs, reason = "C names verbatim; the structure's page documents the fields")]

use crate::layout;

/// A version of NDKPI.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NDK_VERSION {
    pub Major: u16,
    pub Minor: u16,
}

layout!(NDK_VERSION, 4, 2, Major 0, Minor 2);

/// Which RDMA transport an adapter speaks.
pub type NDK_RDMA_TECHNOLOGY = i32;
/// None.
pub const NdkUndefined: NDK_RDMA_TECHNOLOGY = 0;
/// iWARP.
pub const NdkiWarp: NDK_RDMA_TECHNOLOGY = 1;
/// InfiniBand.
pub const NdkInfiniBand: NDK_RDMA_TECHNOLOGY = 2;
/// RoCE version 1.
pub const NdkRoCE: NDK_RDMA_TECHNOLOGY = 3;
/// RoCE version 2.
pub const NdkRoCEv2: NDK_RDMA_TECHNOLOGY = 4;
/// The end of the list.
pub const NdkMaxTechnology: NDK_RDMA_TECHNOLOGY = 5;

/// The last byte of a buffer is never updated before an earlier one.
pub const NDK_ADAPTER_FLAG_IN_ORDER_DMA_SUPPORTED: u32 = 0x0000_0001;
/// Read sinks need no special rights.
pub const NDK_ADAPTER_FLAG_RDMA_READ_SINK_NOT_REQUIRED: u32 = 0x0000_0002;
/// NdkControlCqInterruptModeration works.
pub const NDK_ADAPTER_FLAG_CQ_INTERRUPT_MODERATION_SUPPORTED: u32 = 0x0000_0004;
/// Several connections may run faster than one.
pub const NDK_ADAPTER_FLAG_MULTI_ENGINE_SUPPORTED: u32 = 0x0000_0008;
/// NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE works.
pub const NDK_ADAPTER_FLAG_RDMA_READ_LOCAL_INVALIDATE_SUPPORTED: u32 = 0x0000_0010;
/// NdkResizeCq works.
pub const NDK_ADAPTER_FLAG_CQ_RESIZE_SUPPORTED: u32 = 0x0000_0100;
/// A local address can connect to itself.
pub const NDK_ADAPTER_FLAG_LOOPBACK_CONNECTIONS_SUPPORTED: u32 = 0x0001_0000;

/// Limits and abilities of an adapter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NDK_ADAPTER_INFO {
    pub Version: NDK_VERSION,
    pub VendorId: u32,
    pub DeviceId: u32,
    pub MaxRegistrationSize: usize,
    pub MaxWindowSize: usize,
    pub FRMRPageCount: u32,
    pub MaxInitiatorRequestSge: u32,
    pub MaxReceiveRequestSge: u32,
    pub MaxReadRequestSge: u32,
    pub MaxTransferLength: u32,
    pub MaxInlineDataSize: u32,
    pub MaxInboundReadLimit: u32,
    pub MaxOutboundReadLimit: u32,
    pub MaxReceiveQueueDepth: u32,
    pub MaxInitiatorQueueDepth: u32,
    pub MaxSrqDepth: u32,
    pub MaxCqDepth: u32,
    pub LargeRequestThreshold: u32,
    pub MaxCallerData: u32,
    pub MaxCalleeData: u32,
    pub AdapterFlags: u32,
    pub RdmaTechnology: NDK_RDMA_TECHNOLOGY,
}

layout!(
    NDK_ADAPTER_INFO, 104, 8, Version 0, VendorId 4, DeviceId 8, MaxRegistrationSize 16, MaxWindowSize 24,
    FRMRPageCount 32, MaxInitiatorRequestSge 36, MaxReceiveRequestSge 40, MaxReadRequestSge 44, MaxTransferLength 48,
    MaxInlineDataSize 52, MaxInboundReadLimit 56, MaxOutboundReadLimit 60, MaxReceiveQueueDepth 64,
    MaxInitiatorQueueDepth 68, MaxSrqDepth 72, MaxCqDepth 76, LargeRequestThreshold 80, MaxCallerData 84,
    MaxCalleeData 88, AdapterFlags 92, RdmaTechnology 96
);
