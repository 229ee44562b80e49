//! ntstatus.h and ndis/status.h: the statuses that cross the interfaces.

use crate::{NDIS_STATUS, NTSTATUS};

/// See ntstatus.h.
pub const STATUS_SUCCESS: NTSTATUS = 0x0000_0000_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ALREADY_COMPLETE: NTSTATUS = 0x0000_00ff_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_TIMEOUT: NTSTATUS = 0x0000_0102_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_PENDING: NTSTATUS = 0x0000_0103_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_MORE_ENTRIES: NTSTATUS = 0x0000_0105_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_BUFFER_ALL_ZEROS: NTSTATUS = 0x0000_0117_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_EVENT_PENDING: NTSTATUS = 0x4000_0013_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_BUFFER_OVERFLOW: NTSTATUS = 0x8000_0005_u32.cast_signed();
/// The device is busy: a warning, so not NT_SUCCESS.
pub const STATUS_DEVICE_BUSY: NTSTATUS = 0x8000_0011_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_UNSUCCESSFUL: NTSTATUS = 0xc000_0001_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NOT_IMPLEMENTED: NTSTATUS = 0xc000_0002_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ACCESS_VIOLATION: NTSTATUS = 0xc000_0005_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_HANDLE: NTSTATUS = 0xc000_0008_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_PARAMETER: NTSTATUS = 0xc000_000d_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_DEVICE_REQUEST: NTSTATUS = 0xc000_0010_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NO_MEMORY: NTSTATUS = 0xc000_0017_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ACCESS_DENIED: NTSTATUS = 0xc000_0022_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_BUFFER_TOO_SMALL: NTSTATUS = 0xc000_0023_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_OBJECT_TYPE_MISMATCH: NTSTATUS = 0xc000_0024_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_PARAMETER_MIX: NTSTATUS = 0xc000_0030_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_OBJECT_NAME_COLLISION: NTSTATUS = 0xc000_0035_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DATA_OVERRUN: NTSTATUS = 0xc000_003c_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DATA_ERROR: NTSTATUS = 0xc000_003e_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_SHARING_VIOLATION: NTSTATUS = 0xc000_0043_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DELETE_PENDING: NTSTATUS = 0xc000_0056_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_REVISION_MISMATCH: NTSTATUS = 0xc000_0059_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ARRAY_BOUNDS_EXCEEDED: NTSTATUS = 0xc000_008c_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INTEGER_OVERFLOW: NTSTATUS = 0xc000_0095_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INSUFFICIENT_RESOURCES: NTSTATUS = 0xc000_009a_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DEVICE_NOT_READY: NTSTATUS = 0xc000_00a3_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_IO_TIMEOUT: NTSTATUS = 0xc000_00b5_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_FILE_FORCED_CLOSED: NTSTATUS = 0xc000_00b6_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NOT_SUPPORTED: NTSTATUS = 0xc000_00bb_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_BAD_NETWORK_NAME: NTSTATUS = 0xc000_00cc_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_REQUEST_NOT_ACCEPTED: NTSTATUS = 0xc000_00d0_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INTERNAL_ERROR: NTSTATUS = 0xc000_00e5_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_PARAMETER_1: NTSTATUS = 0xc000_00ef_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_PARAMETER_2: NTSTATUS = 0xc000_00f0_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CANCELLED: NTSTATUS = 0xc000_0120_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_LOCAL_DISCONNECT: NTSTATUS = 0xc000_013b_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_REMOTE_DISCONNECT: NTSTATUS = 0xc000_013c_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_REMOTE_RESOURCES: NTSTATUS = 0xc000_013d_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_ADDRESS: NTSTATUS = 0xc000_0141_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_DEVICE_STATE: NTSTATUS = 0xc000_0184_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_IO_DEVICE_ERROR: NTSTATUS = 0xc000_0185_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INSUFF_SERVER_RESOURCES: NTSTATUS = 0xc000_0205_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_BUFFER_SIZE: NTSTATUS = 0xc000_0206_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_INVALID_ADDRESS_COMPONENT: NTSTATUS = 0xc000_0207_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_TOO_MANY_ADDRESSES: NTSTATUS = 0xc000_0209_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ADDRESS_ALREADY_EXISTS: NTSTATUS = 0xc000_020a_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ADDRESS_CLOSED: NTSTATUS = 0xc000_020b_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_DISCONNECTED: NTSTATUS = 0xc000_020c_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_RESET: NTSTATUS = 0xc000_020d_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DATA_NOT_ACCEPTED: NTSTATUS = 0xc000_021b_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NOT_FOUND: NTSTATUS = 0xc000_0225_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_FAIL_CHECK: NTSTATUS = 0xc000_0229_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DUPLICATE_OBJECTID: NTSTATUS = 0xc000_022a_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_RETRY: NTSTATUS = 0xc000_022d_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_REFUSED: NTSTATUS = 0xc000_0236_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_GRACEFUL_DISCONNECT: NTSTATUS = 0xc000_0237_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_ADDRESS_ALREADY_ASSOCIATED: NTSTATUS = 0xc000_0238_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_INVALID: NTSTATUS = 0xc000_023a_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_ACTIVE: NTSTATUS = 0xc000_023b_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NETWORK_UNREACHABLE: NTSTATUS = 0xc000_023c_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_HOST_UNREACHABLE: NTSTATUS = 0xc000_023d_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_PORT_UNREACHABLE: NTSTATUS = 0xc000_023f_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_REQUEST_ABORTED: NTSTATUS = 0xc000_0240_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_CONNECTION_ABORTED: NTSTATUS = 0xc000_0241_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NO_MATCH: NTSTATUS = 0xc000_0272_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_DEVICE_REMOVED: NTSTATUS = 0xc000_02b6_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NOINTERFACE: NTSTATUS = 0xc000_02b9_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_TRANSPORT_FULL: NTSTATUS = 0xc000_02ca_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_IMPLEMENTATION_LIMIT: NTSTATUS = 0xc000_042b_u32.cast_signed();
/// See ntstatus.h.
pub const STATUS_NDIS_INDICATION_REQUIRED: NTSTATUS = 0x4023_0001_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_SUCCESS: NDIS_STATUS = 0x0000_0000_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_PENDING: NDIS_STATUS = 0x0000_0103_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_FAILURE: NDIS_STATUS = 0xc000_0001_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_RESOURCES: NDIS_STATUS = 0xc000_009a_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_BAD_VERSION: NDIS_STATUS = 0xc001_0004_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_NOT_SUPPORTED: NDIS_STATUS = 0xc000_00bb_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_ADAPTER_NOT_READY: NDIS_STATUS = 0xc001_0011_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_INVALID_LENGTH: NDIS_STATUS = 0xc001_0014_u32.cast_signed();
/// See ndis/status.h.
pub const NDIS_STATUS_BUFFER_TOO_SHORT: NDIS_STATUS = 0xc001_0016_u32.cast_signed();
