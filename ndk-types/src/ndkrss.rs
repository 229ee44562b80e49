//! ndkrss.h: the one extension interface that Microsoft defines.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{GUID, NDIS_RSS_PROCESSOR_INFO, NDIS_STATUS, NDK_ADAPTER, abi, layout};

/// Names the interface in NdkQueryExtension.
pub const NDK_EXTENSION_ID_ADAPTER_RSS_DISPATCH: GUID =
    GUID { Data1: 0xbab2_7026, Data2: 0x86c3, Data3: 0x4e31, Data4: [0x9f, 0x72, 0x49, 0x36, 0xde, 0xd7, 0x6d, 0x42] };

abi! {
    /// The processors the adapter may use for RSS. At or below DISPATCH_LEVEL.
    pub type NDK_FN_GET_RSS_PROCESSOR_INFO = Option<unsafe extern "C" fn(
        ndk_adapter: *mut NDK_ADAPTER,
        rss_processor_info: *mut NDIS_RSS_PROCESSOR_INFO,
        size: *mut usize
    ) -> NDIS_STATUS>;
}

/// The table behind NDK_EXTENSION_INTERFACE.Dispatch.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDK_EXTENSION_ADAPTER_RSS_DISPATCH {
    pub NdkGetRssProcessorInfo: NDK_FN_GET_RSS_PROCESSOR_INFO,
}

layout!(NDK_EXTENSION_ADAPTER_RSS_DISPATCH, 8, 8, NdkGetRssProcessorInfo 0);
