//! ndis/miniport.h: a miniport driver's characteristics and handlers.
//!
//! Driver objects, IRPs and resource lists are `c_void` here: wdk-sys has them.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    BOOLEAN, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OID, NDIS_OID_REQUEST, NDIS_PCI_DEVICE_CUSTOM_PROPERTIES,
    NDIS_PORT_AUTHENTICATION_PARAMETERS, NDIS_PORT_NUMBER, NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_STATUS,
    NET_BUFFER_LIST, NET_DEVICE_PNP_EVENT, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE, NET_IFINDEX, NET_LUID, abi,
    layout,
};
use core::ffi::c_void;

/// Why a miniport adapter halts.
pub type NDIS_HALT_ACTION = i32;
pub const NdisHaltDeviceDisabled: NDIS_HALT_ACTION = 0;
pub const NdisHaltDeviceInstanceDeInitialized: NDIS_HALT_ACTION = 1;
pub const NdisHaltDevicePoweredDown: NDIS_HALT_ACTION = 2;
pub const NdisHaltDeviceSurpriseRemoved: NDIS_HALT_ACTION = 3;
pub const NdisHaltDeviceFailed: NDIS_HALT_ACTION = 4;
pub const NdisHaltDeviceInitializationFailed: NDIS_HALT_ACTION = 5;
pub const NdisHaltDeviceStopped: NDIS_HALT_ACTION = 6;

/// Why the machine stops.
pub type NDIS_SHUTDOWN_ACTION = i32;
pub const NdisShutdownPowerOff: NDIS_SHUTDOWN_ACTION = 0;
pub const NdisShutdownBugCheck: NDIS_SHUTDOWN_ACTION = 1;

abi! {
    /// Registers optional handlers. PASSIVE_LEVEL.
    pub type SET_OPTIONS_HANDLER = Option<unsafe extern "C" fn(
        NdisDriverHandle: NDIS_HANDLE,
        DriverContext: NDIS_HANDLE
    ) -> NDIS_STATUS>;

    /// Initialises an adapter. PASSIVE_LEVEL.
    pub type MINIPORT_INITIALIZE_HANDLER = Option<unsafe extern "C" fn(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportDriverContext: NDIS_HANDLE,
        MiniportInitParameters: *mut NDIS_MINIPORT_INIT_PARAMETERS
    ) -> NDIS_STATUS>;

    /// Frees an adapter. PASSIVE_LEVEL.
    pub type MINIPORT_HALT_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        HaltAction: NDIS_HALT_ACTION
    )>;

    /// Unloads the driver. PASSIVE_LEVEL.
    pub type MINIPORT_DRIVER_UNLOAD = Option<unsafe extern "C" fn(DriverObject: *mut c_void)>;

    /// Stops the data path. PASSIVE_LEVEL.
    pub type MINIPORT_PAUSE_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        PauseParameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS
    ) -> NDIS_STATUS>;

    /// Starts the data path. PASSIVE_LEVEL.
    pub type MINIPORT_RESTART_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        RestartParameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS
    ) -> NDIS_STATUS>;

    /// An OID request, one at a time. PASSIVE_LEVEL.
    pub type MINIPORT_OID_REQUEST_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST
    ) -> NDIS_STATUS>;

    /// Sends. At or below DISPATCH_LEVEL.
    pub type MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: u32
    )>;

    /// Gives received lists back. At or below DISPATCH_LEVEL.
    pub type MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        ReturnFlags: u32
    )>;

    /// Cancels sends by their id. At or below DISPATCH_LEVEL.
    pub type MINIPORT_CANCEL_SEND_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        CancelId: *mut c_void
    )>;

    /// Is the adapter stuck? PASSIVE_LEVEL.
    pub type MINIPORT_CHECK_FOR_HANG_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE
    ) -> BOOLEAN>;

    /// Resets the adapter. At or below DISPATCH_LEVEL.
    pub type MINIPORT_RESET_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        AddressingReset: *mut BOOLEAN
    ) -> NDIS_STATUS>;

    /// An event of the device. PASSIVE_LEVEL.
    pub type MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT
    )>;

    /// The machine stops. PASSIVE_LEVEL, or HIGH_LEVEL in a bug check.
    pub type MINIPORT_SHUTDOWN_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        ShutdownAction: NDIS_SHUTDOWN_ACTION
    )>;

    /// Cancels an OID request. At or below DISPATCH_LEVEL.
    pub type MINIPORT_CANCEL_OID_REQUEST_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        RequestId: *mut c_void
    )>;

    /// A direct OID request. At or below DISPATCH_LEVEL.
    pub type MINIPORT_DIRECT_OID_REQUEST_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST
    ) -> NDIS_STATUS>;

    /// Cancels a direct OID request. At or below DISPATCH_LEVEL.
    pub type MINIPORT_CANCEL_DIRECT_OID_REQUEST_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        RequestId: *mut c_void
    )>;

    /// A synchronous OID request. At or below DISPATCH_LEVEL.
    pub type MINIPORT_SYNCHRONOUS_OID_REQUEST_HANDLER = Option<unsafe extern "C" fn(
        MiniportAdapterContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST
    ) -> NDIS_STATUS>;

    /// A device was added. PASSIVE_LEVEL.
    pub type MINIPORT_ADD_DEVICE_HANDLER = Option<unsafe extern "C" fn(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportDriverContext: NDIS_HANDLE
    ) -> NDIS_STATUS>;

    /// A device was removed. PASSIVE_LEVEL.
    pub type MINIPORT_REMOVE_DEVICE_HANDLER = Option<unsafe extern "C" fn(MiniportAddDeviceContext: NDIS_HANDLE)>;

    /// A PnP IRP of the device. PASSIVE_LEVEL.
    pub type MINIPORT_PNP_IRP_HANDLER = Option<unsafe extern "C" fn(
        MiniportAddDeviceContext: NDIS_HANDLE,
        Irp: *mut c_void
    ) -> NDIS_STATUS>;
}

/// A PnP IRP that starts the device.
pub type MINIPORT_START_DEVICE_HANDLER = MINIPORT_PNP_IRP_HANDLER;
/// A PnP IRP that asks for resources.
pub type MINIPORT_FILTER_RESOURCE_REQUIREMENTS_HANDLER = MINIPORT_PNP_IRP_HANDLER;

/// What NdisMRegisterMiniportDriver is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub MajorNdisVersion: u8,
    pub MinorNdisVersion: u8,
    pub MajorDriverVersion: u8,
    pub MinorDriverVersion: u8,
    pub Flags: u32,
    pub SetOptionsHandler: SET_OPTIONS_HANDLER,
    pub InitializeHandlerEx: MINIPORT_INITIALIZE_HANDLER,
    pub HaltHandlerEx: MINIPORT_HALT_HANDLER,
    pub UnloadHandler: MINIPORT_DRIVER_UNLOAD,
    pub PauseHandler: MINIPORT_PAUSE_HANDLER,
    pub RestartHandler: MINIPORT_RESTART_HANDLER,
    pub OidRequestHandler: MINIPORT_OID_REQUEST_HANDLER,
    pub SendNetBufferListsHandler: MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER,
    pub ReturnNetBufferListsHandler: MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER,
    pub CancelSendHandler: MINIPORT_CANCEL_SEND_HANDLER,
    pub CheckForHangHandlerEx: MINIPORT_CHECK_FOR_HANG_HANDLER,
    pub ResetHandlerEx: MINIPORT_RESET_HANDLER,
    pub DevicePnPEventNotifyHandler: MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER,
    pub ShutdownHandlerEx: MINIPORT_SHUTDOWN_HANDLER,
    pub CancelOidRequestHandler: MINIPORT_CANCEL_OID_REQUEST_HANDLER,
    pub DirectOidRequestHandler: MINIPORT_DIRECT_OID_REQUEST_HANDLER,
    pub CancelDirectOidRequestHandler: MINIPORT_CANCEL_DIRECT_OID_REQUEST_HANDLER,
    pub SynchronousOidRequestHandler: MINIPORT_SYNCHRONOUS_OID_REQUEST_HANDLER,
}

layout!(
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS, 160, 8, Header 0, MajorNdisVersion 4, MinorNdisVersion 5,
    MajorDriverVersion 6, MinorDriverVersion 7, Flags 8, SetOptionsHandler 16, InitializeHandlerEx 24,
    HaltHandlerEx 32, UnloadHandler 40, PauseHandler 48, RestartHandler 56, OidRequestHandler 64,
    SendNetBufferListsHandler 72, ReturnNetBufferListsHandler 80, CancelSendHandler 88, CheckForHangHandlerEx 96,
    ResetHandlerEx 104, DevicePnPEventNotifyHandler 112, ShutdownHandlerEx 120, CancelOidRequestHandler 128,
    DirectOidRequestHandler 136, CancelDirectOidRequestHandler 144, SynchronousOidRequestHandler 152
);

/// Optional PnP handlers of a miniport driver.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_PNP_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub MiniportAddDeviceHandler: MINIPORT_ADD_DEVICE_HANDLER,
    pub MiniportRemoveDeviceHandler: MINIPORT_REMOVE_DEVICE_HANDLER,
    pub MiniportFilterResourceRequirementsHandler: MINIPORT_FILTER_RESOURCE_REQUIREMENTS_HANDLER,
    pub MiniportStartDeviceHandler: MINIPORT_START_DEVICE_HANDLER,
    pub Flags: u32,
}

layout!(
    NDIS_MINIPORT_PNP_CHARACTERISTICS, 48, 8, Header 0, MiniportAddDeviceHandler 8, MiniportRemoveDeviceHandler 16,
    MiniportFilterResourceRequirementsHandler 24, MiniportStartDeviceHandler 32, Flags 40
);

/// The start of what NdisSetOptionalHandlers is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_DRIVER_OPTIONAL_HANDLERS {
    pub Header: NDIS_OBJECT_HEADER,
}

layout!(NDIS_DRIVER_OPTIONAL_HANDLERS, 4, 2, Header 0);

/// What InitializeHandlerEx is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_INIT_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub AllocatedResources: *mut c_void,
    pub IMDeviceInstanceContext: NDIS_HANDLE,
    pub MiniportAddDeviceContext: NDIS_HANDLE,
    pub IfIndex: NET_IFINDEX,
    pub NetLuid: NET_LUID,
    pub DefaultPortAuthStates: *mut NDIS_PORT_AUTHENTICATION_PARAMETERS,
    pub PciDeviceCustomProperties: *mut NDIS_PCI_DEVICE_CUSTOM_PROPERTIES,
}

layout!(
    NDIS_MINIPORT_INIT_PARAMETERS, 64, 8, Header 0, Flags 4, AllocatedResources 8, IMDeviceInstanceContext 16,
    MiniportAddDeviceContext 24, IfIndex 32, NetLuid 40, DefaultPortAuthStates 48, PciDeviceCustomProperties 56
);

/// A link of the list of restart attributes; the data follow.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct NDIS_RESTART_ATTRIBUTES {
    pub Next: *mut NDIS_RESTART_ATTRIBUTES,
    pub Oid: NDIS_OID,
    pub DataLength: u32,
    pub Data: [u8; 1],
}

layout!(NDIS_RESTART_ATTRIBUTES, 32, 16, Next 0, Oid 8, DataLength 12, Data 16);

/// Attributes that may change at a restart.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_RESTART_GENERAL_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub MtuSize: u32,
    pub MaxXmitLinkSpeed: u64,
    pub MaxRcvLinkSpeed: u64,
    pub LookaheadSize: u32,
    pub MacOptions: u32,
    pub SupportedPacketFilters: u32,
    pub MaxMulticastListSize: u32,
    pub RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
    pub AccessType: NET_IF_ACCESS_TYPE,
    pub Flags: u32,
    pub ConnectionType: NET_IF_CONNECTION_TYPE,
    pub SupportedStatistics: u32,
    pub DataBackFillSize: u32,
    pub ContextBackFillSize: u32,
    pub SupportedOidList: *mut NDIS_OID,
    pub SupportedOidListLength: u32,
    pub MaxLookaheadSizeAccessed: i32,
}

layout!(
    NDIS_RESTART_GENERAL_ATTRIBUTES, 88, 8, Header 0, MtuSize 4, MaxXmitLinkSpeed 8, MaxRcvLinkSpeed 16,
    LookaheadSize 24, MacOptions 28, SupportedPacketFilters 32, MaxMulticastListSize 36, RecvScaleCapabilities 40,
    AccessType 48, Flags 52, ConnectionType 56, SupportedStatistics 60, DataBackFillSize 64, ContextBackFillSize
    68, SupportedOidList 72, SupportedOidListLength 80, MaxLookaheadSizeAccessed 84
);

/// What RestartHandler is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_RESTART_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
    pub Flags: u32,
}

layout!(NDIS_MINIPORT_RESTART_PARAMETERS, 24, 8, Header 0, RestartAttributes 8, Flags 16);

/// What PauseHandler is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_PAUSE_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub PauseReason: u32,
}

layout!(NDIS_MINIPORT_PAUSE_PARAMETERS, 12, 4, Header 0, Flags 4, PauseReason 8);

pub const NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_1: u8 = 1;
pub const NDIS_RESTART_GENERAL_ATTRIBUTES_REVISION_2: u8 = 2;
pub const NDIS_MINIPORT_PNP_CHARACTERISTICS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_RESTART_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_PAUSE_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2: u8 = 2;
pub const NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3: u8 = 3;

pub const NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_1: u16 = 84;
pub const NDIS_SIZEOF_RESTART_GENERAL_ATTRIBUTES_REVISION_2: u16 = 88;
pub const NDIS_SIZEOF_MINIPORT_PNP_CHARACTERISTICS_REVISION_1: u16 = 44;
pub const NDIS_SIZEOF_MINIPORT_INIT_PARAMETER_REVISION_1: u16 = 64;
pub const NDIS_SIZEOF_MINIPORT_RESTART_PARAMETERS_REVISION_1: u16 = 20;
pub const NDIS_SIZEOF_MINIPORT_PAUSE_PARAMETERS_REVISION_1: u16 = 12;
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1: u16 = 136;
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2: u16 = 152;
pub const NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3: u16 = 160;

pub const NDIS_PAUSE_NDIS_INTERNAL: u32 = 1;
pub const NDIS_PAUSE_LOW_POWER: u32 = 2;
pub const NDIS_PAUSE_BIND_PROTOCOL: u32 = 4;
pub const NDIS_PAUSE_UNBIND_PROTOCOL: u32 = 8;
pub const NDIS_PAUSE_ATTACH_FILTER: u32 = 16;
pub const NDIS_PAUSE_DETACH_FILTER: u32 = 32;
pub const NDIS_PAUSE_FILTER_RESTART_STACK: u32 = 64;
pub const NDIS_PAUSE_MINIPORT_DEVICE_REMOVE: u32 = 128;
pub const NDIS_INTERMEDIATE_DRIVER: u32 = 1;
pub const NDIS_WDM_DRIVER: u32 = 2;
