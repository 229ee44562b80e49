//! ndkpi.h: flags and enumerations.

/// What an object is.
pub type NDK_OBJECT_TYPE = i32;
/// Nothing.
pub const NdkObjectTypeUndefined: NDK_OBJECT_TYPE = 0;
/// NDK_ADAPTER.
pub const NdkObjectTypeAdapter: NDK_OBJECT_TYPE = 1;
/// NDK_QP.
pub const NdkObjectTypeQp: NDK_OBJECT_TYPE = 2;
/// NDK_CQ.
pub const NdkObjectTypeCq: NDK_OBJECT_TYPE = 3;
/// NDK_MR.
pub const NdkObjectTypeMr: NDK_OBJECT_TYPE = 4;
/// NDK_MW.
pub const NdkObjectTypeMw: NDK_OBJECT_TYPE = 5;
/// NDK_PD.
pub const NdkObjectTypePd: NDK_OBJECT_TYPE = 6;
/// NDK_SHARED_ENDPOINT.
pub const NdkObjectTypeSharedEndpoint: NDK_OBJECT_TYPE = 7;
/// NDK_CONNECTOR.
pub const NdkObjectTypeConnector: NDK_OBJECT_TYPE = 8;
/// NDK_LISTENER.
pub const NdkObjectTypeListener: NDK_OBJECT_TYPE = 9;
/// NDK_SRQ.
pub const NdkObjectTypeSrq: NDK_OBJECT_TYPE = 10;
/// The end of the list.
pub const NdkObjectTypeMax: NDK_OBJECT_TYPE = 11;

/// What kind of request an NDK_RESULT_EX is about.
pub type NDK_OPERATION_TYPE = i32;
/// A receive.
pub const NdkOperationTypeReceive: NDK_OPERATION_TYPE = 0x0001;
/// A receive whose message invalidated a token.
pub const NdkOperationTypeReceiveAndInvalidate: NDK_OPERATION_TYPE = 0x8001;
/// A send, with or without invalidate.
pub const NdkOperationTypeSend: NDK_OPERATION_TYPE = 0x0002;
/// A fast register.
pub const NdkOperationTypeFastRegister: NDK_OPERATION_TYPE = 0x0004;
/// A bind.
pub const NdkOperationTypeBind: NDK_OPERATION_TYPE = 0x0008;
/// An invalidate.
pub const NdkOperationTypeInvalidate: NDK_OPERATION_TYPE = 0x0010;
/// A read.
pub const NdkOperationTypeRead: NDK_OPERATION_TYPE = 0x0020;
/// A write.
pub const NdkOperationTypeWrite: NDK_OPERATION_TYPE = 0x0040;

/// No entry on success.
pub const NDK_OP_FLAG_SILENT_SUCCESS: u32 = 0x001;
/// Start after all earlier reads finished.
pub const NDK_OP_FLAG_READ_FENCE: u32 = 0x002;
/// The peer's receive is a solicited event.
pub const NDK_OP_FLAG_SEND_AND_SOLICIT_EVENT: u32 = 0x004;
/// Grant remote read.
pub const NDK_OP_FLAG_ALLOW_REMOTE_READ: u32 = 0x008;
/// Grant local write.
pub const NDK_OP_FLAG_ALLOW_LOCAL_WRITE: u32 = 0x010;
/// Grant remote write; contains the local-write bit.
pub const NDK_OP_FLAG_ALLOW_REMOTE_WRITE: u32 = 0x030;
/// The payload is copied before the call returns.
pub const NDK_OP_FLAG_INLINE: u32 = 0x040;
/// The region is a read sink.
pub const NDK_OP_FLAG_RDMA_READ_SINK: u32 = 0x080;
/// Invalidate the first SGE's region when the read succeeded.
pub const NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE: u32 = 0x100;
/// Need not be indicated to the hardware yet.
pub const NDK_OP_FLAG_DEFER: u32 = 0x200;

/// Always granted.
pub const NDK_MR_FLAG_ALLOW_LOCAL_READ: u32 = 0x0;
/// Grant local write.
pub const NDK_MR_FLAG_ALLOW_LOCAL_WRITE: u32 = 0x1;
/// Grant remote read.
pub const NDK_MR_FLAG_ALLOW_REMOTE_READ: u32 = 0x2;
/// Grant remote write; contains the local-write bit.
pub const NDK_MR_FLAG_ALLOW_REMOTE_WRITE: u32 = 0x5;
/// The region is a read sink.
pub const NDK_MR_FLAG_RDMA_READ_SINK: u32 = 0x8;

/// Notify of errors only.
pub const NDK_CQ_NOTIFY_ERRORS: u32 = 0;
/// Notify of any completion.
pub const NDK_CQ_NOTIFY_ANY: u32 = 1;
/// Notify of solicited completions and errors.
pub const NDK_CQ_NOTIFY_SOLICITED: u32 = 2;
