//! The provider's limits: the one place from which the adapter info, the rings and the tables are sized.
//!
//! They are moderate on purpose: consumers create queues as deep as the adapter says it can (OQ-51), so every maximum
//! that is reported here must be affordable many times over.

use ndk_types::{
    NDK_ADAPTER_FLAG_CQ_INTERRUPT_MODERATION_SUPPORTED, NDK_ADAPTER_FLAG_CQ_RESIZE_SUPPORTED,
    NDK_ADAPTER_FLAG_IN_ORDER_DMA_SUPPORTED, NDK_ADAPTER_FLAG_MULTI_ENGINE_SUPPORTED,
    NDK_ADAPTER_FLAG_RDMA_READ_LOCAL_INVALIDATE_SUPPORTED, NDK_ADAPTER_FLAG_RDMA_READ_SINK_NOT_REQUIRED,
    NDK_ADAPTER_INFO, NDK_VERSION, NdkRoCEv2,
};

/// PAGE_SIZE of the platform: the size of every adapter page (NDKPI build_lam).
pub const PAGE_SIZE: usize = 4096;
/// Bytes of one registration, and of one memory window. Mapping costs a page-table entry a page (W-12).
pub const REGISTRATION_SIZE_MAX: usize = 1 << 30;
/// Pages of a fast-register region that are reported as best (NDK_ADAPTER_INFO.FRMRPageCount): 1 MiB.
pub const FRMR_PAGE_COUNT: u32 = 256;
/// Pages of a fast-register region that are accepted at most: 8 MiB, the largest SMB transfer.
pub const FRMR_PAGE_COUNT_MAX: u32 = 2048;
/// Scatter/gather entries of any request.
pub const REQUEST_SGE_MAX: u32 = roce_engine::work::SGE_MAX as u32;
/// Bytes of one send, receive, read or write.
pub const TRANSFER_LENGTH_MAX: u32 = 1 << 30;
/// Bytes of inline data.
pub const INLINE_DATA_SIZE_MAX: u32 = 256;
/// Outstanding READs of one queue pair, in each direction.
pub const READ_LIMIT_MAX: u32 = 16;
/// Receives of one queue pair.
pub const RECEIVE_QUEUE_DEPTH_MAX: u32 = 4096;
/// Initiator requests of one queue pair.
pub const INITIATOR_QUEUE_DEPTH_MAX: u32 = 4096;
/// Receives of one shared receive queue.
pub const SRQ_DEPTH_MAX: u32 = 16_384;
/// Entries of one completion queue.
pub const CQ_DEPTH_MAX: u32 = 65_536;
/// Above this, reads and writes are better than sends and receives (a hint to consumers).
pub const LARGE_REQUEST_THRESHOLD: u32 = 4096;
/// Private data of a connect: what the RDMA IP CM header leaves of a REQ.
pub const CALLER_DATA_MAX: u32 = 56;
/// Private data of an accept or a reject: what a REJ can carry, the smaller of the two.
pub const CALLEE_DATA_MAX: u32 = 148;
/// Out-of-order or not yet acceptable frames kept for one queue pair (T-05).
pub const HELD_FRAMES_MAX: usize = 320;

/// NDKPI versions: the highest minor of each major (DESIGN D3).
pub const VERSIONS: [NDK_VERSION; 2] = [NDK_VERSION { Major: 1, Minor: 2 }, NDK_VERSION { Major: 2, Minor: 1 }];

/// How many of each object one port has room for. Its tables are allocated from this when the port is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Queue pairs.
    pub queue_pairs: u32,
    /// Completion queues.
    pub completion_queues: u32,
    /// Memory regions and windows together.
    pub regions: u32,
    /// Protection domains.
    pub protection_domains: u32,
    /// Logical address mappings.
    pub mappings: u32,
    /// Shared receive queues.
    pub shared_receive_queues: u32,
    /// Connections, established or on their way.
    pub connections: u32,
    /// Listeners, shared endpoints and connectors' own endpoints together.
    pub endpoints: u32,
    /// Held frames of the whole port (T-05).
    pub held_frames: u32,
}

impl Limits {
    /// What a port has unless somebody says otherwise.
    pub const DEFAULT: Self = Self {
        queue_pairs: 4096,
        completion_queues: 8192,
        regions: 65_536,
        protection_domains: 4096,
        mappings: 65_536,
        shared_receive_queues: 1024,
        connections: 4096,
        endpoints: 8192,
        held_frames: 2048,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The adapter info for one NDKPI version (ADP-04, REG-11): the same at initialization and in NdkQueryAdapterInfo.
pub fn adapter_info(version: NDK_VERSION) -> NDK_ADAPTER_INFO {
    NDK_ADAPTER_INFO {
        Version: version,
        VendorId: 0,
        DeviceId: 0,
        MaxRegistrationSize: REGISTRATION_SIZE_MAX,
        MaxWindowSize: REGISTRATION_SIZE_MAX,
        FRMRPageCount: FRMR_PAGE_COUNT,
        MaxInitiatorRequestSge: REQUEST_SGE_MAX,
        MaxReceiveRequestSge: REQUEST_SGE_MAX,
        MaxReadRequestSge: REQUEST_SGE_MAX,
        MaxTransferLength: TRANSFER_LENGTH_MAX,
        MaxInlineDataSize: INLINE_DATA_SIZE_MAX,
        MaxInboundReadLimit: READ_LIMIT_MAX,
        MaxOutboundReadLimit: READ_LIMIT_MAX,
        MaxReceiveQueueDepth: RECEIVE_QUEUE_DEPTH_MAX,
        MaxInitiatorQueueDepth: INITIATOR_QUEUE_DEPTH_MAX,
        MaxSrqDepth: SRQ_DEPTH_MAX,
        MaxCqDepth: CQ_DEPTH_MAX,
        LargeRequestThreshold: LARGE_REQUEST_THRESHOLD,
        MaxCallerData: CALLER_DATA_MAX,
        MaxCalleeData: CALLEE_DATA_MAX,
        AdapterFlags: NDK_ADAPTER_FLAG_IN_ORDER_DMA_SUPPORTED
            | NDK_ADAPTER_FLAG_RDMA_READ_SINK_NOT_REQUIRED
            | NDK_ADAPTER_FLAG_CQ_INTERRUPT_MODERATION_SUPPORTED
            | NDK_ADAPTER_FLAG_MULTI_ENGINE_SUPPORTED
            | NDK_ADAPTER_FLAG_RDMA_READ_LOCAL_INVALIDATE_SUPPORTED
            | NDK_ADAPTER_FLAG_CQ_RESIZE_SUPPORTED,
        RdmaTechnology: NdkRoCEv2,
    }
}

/// The version reported to a consumer that asks for `requested`: our highest minor of its major (ADP-01 to ADP-03).
pub fn negotiate(requested: NDK_VERSION) -> Option<NDK_VERSION> {
    VERSIONS.into_iter().find(|ours| ours.Major == requested.Major && requested.Minor <= ours.Minor)
}
