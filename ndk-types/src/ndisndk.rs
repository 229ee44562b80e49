//! ndisndk.h: how NDIS and an NDK provider meet.

#![expect(missing_docs, reason = "C names verbatim; the structures' pages document the fields")]

use crate::{NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_STATUS, NDK_ADAPTER, NDK_VERSION, abi, layout};

/// What a consumer asks of OPEN_NDK_ADAPTER_HANDLER.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OPEN_NDK_ADAPTER_PARAMETERS {
    pub Version: NDK_VERSION,
    pub SwitchId: u32,
    pub VPortId: u32,
}

layout!(NDIS_OPEN_NDK_ADAPTER_PARAMETERS, 12, 4, Version 0, SwitchId 4, VPortId 8);

abi! {
    /// Opens an NDK_ADAPTER. PASSIVE_LEVEL.
    pub type OPEN_NDK_ADAPTER_HANDLER = Option<unsafe extern "C" fn(
        miniport_adapter_context: NDIS_HANDLE,
        parameters: *mut NDIS_OPEN_NDK_ADAPTER_PARAMETERS,
        ndk_adapter: *mut *mut NDK_ADAPTER
    ) -> NDIS_STATUS>;

    /// Closes an NDK_ADAPTER; waits for everything under it. PASSIVE_LEVEL.
    pub type CLOSE_NDK_ADAPTER_HANDLER = Option<unsafe extern "C" fn(
        miniport_adapter_context: NDIS_HANDLE,
        ndk_adapter: *mut NDK_ADAPTER
    )>;
}

/// What a miniport registers with NdisSetOptionalHandlers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_NDK_PROVIDER_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub OpenNDKAdapterHandler: OPEN_NDK_ADAPTER_HANDLER,
    pub CloseNDKAdapterHandler: CLOSE_NDK_ADAPTER_HANDLER,
}

layout!(
    NDIS_NDK_PROVIDER_CHARACTERISTICS, 24, 8, Header 0, Flags 4, OpenNDKAdapterHandler 8, CloseNDKAdapterHandler 16
);

/// The header's type.
pub const NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS: u8 = 178;
/// The header's revision.
pub const NDIS_NDK_PROVIDER_CHARACTERISTICS_REVISION_1: u8 = 1;
/// The header's size.
pub const NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1: u16 = 24;
