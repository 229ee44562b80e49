//! wskndk.h: how a consumer reaches an adapter, as an extension of WSK.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{NDK_ADAPTER, NDK_VERSION, NET_IFINDEX, NTSTATUS, PWSK_CLIENT, abi, layout};

/// The control code of WskControlClient that returns the table: 'NDKD'.
pub const WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH: u32 = 0x4e44_4b44;

abi! {
    /// Opens the NDK_ADAPTER of an interface. PASSIVE_LEVEL.
    pub type PFN_WSK_NDK_OPEN_ADAPTER = Option<unsafe extern "C" fn(
        client: PWSK_CLIENT,
        ndk_version: NDK_VERSION,
        if_index: NET_IFINDEX,
        ndk_adapter: *mut *mut NDK_ADAPTER
    ) -> NTSTATUS>;

    /// Closes an NDK_ADAPTER. PASSIVE_LEVEL.
    pub type PFN_WSK_NDK_CLOSE_ADAPTER = Option<unsafe extern "C" fn(
        client: PWSK_CLIENT,
        ndk_adapter: *mut NDK_ADAPTER
    )>;
}

/// The table that WskControlClient fills.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_NDK_DISPATCH {
    pub WskOpenNdkAdapter: PFN_WSK_NDK_OPEN_ADAPTER,
    pub WskCloseNdkAdapter: PFN_WSK_NDK_CLOSE_ADAPTER,
}

layout!(WSK_PROVIDER_NDK_DISPATCH, 16, 8, WskOpenNdkAdapter 0, WskCloseNdkAdapter 8);
