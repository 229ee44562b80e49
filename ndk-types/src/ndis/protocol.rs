//! ndis/protocol.h: a protocol driver's characteristics, handlers and bindings.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    BOOLEAN, NDIS_HANDLE, NDIS_HD_SPLIT_CURRENT_CONFIG, NDIS_MEDIUM, NDIS_NDK_CAPABILITIES,
    NDIS_NIC_SWITCH_CAPABILITIES, NDIS_NIC_SWITCH_INFO_ARRAY, NDIS_OBJECT_HEADER, NDIS_OFFLOAD, NDIS_OID_REQUEST,
    NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES, NDIS_PNP_CAPABILITIES, NDIS_PORT, NDIS_PORT_NUMBER,
    NDIS_RECEIVE_FILTER_CAPABILITIES, NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RESTART_ATTRIBUTES,
    NDIS_SRIOV_CAPABILITIES, NDIS_STATUS, NDIS_STATUS_INDICATION, NDIS_TCP_CONNECTION_OFFLOAD, NET_BUFFER_LIST,
    NET_IF_ACCESS_TYPE, NET_IF_COMPARTMENT_ID, NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE,
    NET_IF_MEDIA_CONNECT_STATE, NET_IF_MEDIA_DUPLEX_STATE, NET_IFINDEX, NET_IFTYPE, NET_LUID,
    NET_PNP_EVENT_NOTIFICATION, SET_OPTIONS_HANDLER, UNICODE_STRING, abi, layout,
};
use core::ffi::c_void;

abi! {
    /// Offers an adapter. PASSIVE_LEVEL.
    pub type BIND_HANDLER_EX = Option<unsafe extern "C" fn(
        ProtocolDriverContext: NDIS_HANDLE,
        BindContext: NDIS_HANDLE,
        BindParameters: *mut NDIS_BIND_PARAMETERS
    ) -> NDIS_STATUS>;

    /// Takes an adapter away. PASSIVE_LEVEL.
    pub type UNBIND_HANDLER_EX = Option<unsafe extern "C" fn(
        UnbindContext: NDIS_HANDLE,
        ProtocolBindingContext: NDIS_HANDLE
    ) -> NDIS_STATUS>;

    /// A pending open ended. PASSIVE_LEVEL.
    pub type OPEN_ADAPTER_COMPLETE_HANDLER_EX = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        Status: NDIS_STATUS
    )>;

    /// A pending close ended. PASSIVE_LEVEL.
    pub type CLOSE_ADAPTER_COMPLETE_HANDLER_EX = Option<unsafe extern "C" fn(ProtocolBindingContext: NDIS_HANDLE)>;

    /// A PnP event of a binding, or of the driver. PASSIVE_LEVEL.
    pub type NET_PNP_EVENT_HANDLER = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION
    ) -> NDIS_STATUS>;

    /// The protocol is uninstalled. PASSIVE_LEVEL.
    pub type UNINSTALL_PROTOCOL_HANDLER = Option<unsafe extern "C" fn()>;

    /// A pending OID request ended. At or below DISPATCH_LEVEL.
    pub type OID_REQUEST_COMPLETE_HANDLER = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS
    )>;

    /// A status indication. At or below DISPATCH_LEVEL.
    pub type STATUS_HANDLER_EX = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        StatusIndication: *mut NDIS_STATUS_INDICATION
    )>;

    /// Frames came. At or below DISPATCH_LEVEL.
    pub type RECEIVE_NET_BUFFER_LISTS_HANDLER = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: u32,
        ReceiveFlags: u32
    )>;

    /// Sends ended. At or below DISPATCH_LEVEL.
    pub type SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        SendCompleteFlags: u32
    )>;

    /// A pending direct OID request ended. At or below DISPATCH_LEVEL.
    pub type DIRECT_OID_REQUEST_COMPLETE_HANDLER = Option<unsafe extern "C" fn(
        ProtocolBindingContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: NDIS_STATUS
    )>;
}

/// What NdisRegisterProtocolDriver is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub MajorNdisVersion: u8,
    pub MinorNdisVersion: u8,
    pub MajorDriverVersion: u8,
    pub MinorDriverVersion: u8,
    pub Flags: u32,
    pub Name: UNICODE_STRING,
    pub SetOptionsHandler: SET_OPTIONS_HANDLER,
    pub BindAdapterHandlerEx: BIND_HANDLER_EX,
    pub UnbindAdapterHandlerEx: UNBIND_HANDLER_EX,
    pub OpenAdapterCompleteHandlerEx: OPEN_ADAPTER_COMPLETE_HANDLER_EX,
    pub CloseAdapterCompleteHandlerEx: CLOSE_ADAPTER_COMPLETE_HANDLER_EX,
    pub NetPnPEventHandler: NET_PNP_EVENT_HANDLER,
    pub UninstallHandler: UNINSTALL_PROTOCOL_HANDLER,
    pub OidRequestCompleteHandler: OID_REQUEST_COMPLETE_HANDLER,
    pub StatusHandlerEx: STATUS_HANDLER_EX,
    pub ReceiveNetBufferListsHandler: RECEIVE_NET_BUFFER_LISTS_HANDLER,
    pub SendNetBufferListsCompleteHandler: SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER,
    pub DirectOidRequestCompleteHandler: DIRECT_OID_REQUEST_COMPLETE_HANDLER,
}

layout!(
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, 128, 8, Header 0, MajorNdisVersion 4, MinorNdisVersion 5,
    MajorDriverVersion 6, MinorDriverVersion 7, Flags 8, Name 16, SetOptionsHandler 32, BindAdapterHandlerEx 40,
    UnbindAdapterHandlerEx 48, OpenAdapterCompleteHandlerEx 56, CloseAdapterCompleteHandlerEx 64,
    NetPnPEventHandler 72, UninstallHandler 80, OidRequestCompleteHandler 88, StatusHandlerEx 96,
    ReceiveNetBufferListsHandler 104, SendNetBufferListsCompleteHandler 112, DirectOidRequestCompleteHandler 120
);

/// What a protocol learns of an adapter before it opens it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_BIND_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub ProtocolSection: *mut UNICODE_STRING,
    pub AdapterName: *mut UNICODE_STRING,
    pub PhysicalDeviceObject: *mut c_void,
    pub MediaType: NDIS_MEDIUM,
    pub MtuSize: u32,
    pub MaxXmitLinkSpeed: u64,
    pub XmitLinkSpeed: u64,
    pub MaxRcvLinkSpeed: u64,
    pub RcvLinkSpeed: u64,
    pub MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
    pub MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
    pub LookaheadSize: u32,
    pub PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
    pub SupportedPacketFilters: u32,
    pub MaxMulticastListSize: u32,
    pub MacAddressLength: u16,
    pub CurrentMacAddress: [u8; 32],
    pub PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
    pub RcvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
    pub BoundIfNetluid: NET_LUID,
    pub BoundIfIndex: NET_IFINDEX,
    pub LowestIfNetluid: NET_LUID,
    pub LowestIfIndex: NET_IFINDEX,
    pub AccessType: NET_IF_ACCESS_TYPE,
    pub DirectionType: NET_IF_DIRECTION_TYPE,
    pub ConnectionType: NET_IF_CONNECTION_TYPE,
    pub IfType: NET_IFTYPE,
    pub IfConnectorPresent: BOOLEAN,
    pub ActivePorts: *mut NDIS_PORT,
    pub DataBackFillSize: u32,
    pub ContextBackFillSize: u32,
    pub MacOptions: u32,
    pub CompartmentId: NET_IF_COMPARTMENT_ID,
    pub DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
    pub TcpConnectionOffloadCapabilities: *mut NDIS_TCP_CONNECTION_OFFLOAD,
    pub BoundAdapterName: *mut UNICODE_STRING,
    pub HDSplitCurrentConfig: *mut NDIS_HD_SPLIT_CURRENT_CONFIG,
    pub ReceiveFilterCapabilities: *mut NDIS_RECEIVE_FILTER_CAPABILITIES,
    pub PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
    pub NicSwitchCapabilities: *mut NDIS_NIC_SWITCH_CAPABILITIES,
    pub NDKEnabled: BOOLEAN,
    pub NDKCapabilities: *mut NDIS_NDK_CAPABILITIES,
    pub SriovCapabilities: *mut NDIS_SRIOV_CAPABILITIES,
    pub NicSwitchArray: *mut NDIS_NIC_SWITCH_INFO_ARRAY,
}

layout!(
    NDIS_BIND_PARAMETERS, 312, 8, Header 0, ProtocolSection 8, AdapterName 16, PhysicalDeviceObject 24, MediaType
    32, MtuSize 36, MaxXmitLinkSpeed 40, XmitLinkSpeed 48, MaxRcvLinkSpeed 56, RcvLinkSpeed 64, MediaConnectState
    72, MediaDuplexState 76, LookaheadSize 80, PowerManagementCapabilities 88, SupportedPacketFilters 96,
    MaxMulticastListSize 100, MacAddressLength 104, CurrentMacAddress 106, PhysicalMediumType 140,
    RcvScaleCapabilities 144, BoundIfNetluid 152, BoundIfIndex 160, LowestIfNetluid 168, LowestIfIndex 176,
    AccessType 180, DirectionType 184, ConnectionType 188, IfType 192, IfConnectorPresent 194, ActivePorts 200,
    DataBackFillSize 208, ContextBackFillSize 212, MacOptions 216, CompartmentId 220, DefaultOffloadConfiguration
    224, TcpConnectionOffloadCapabilities 232, BoundAdapterName 240, HDSplitCurrentConfig 248,
    ReceiveFilterCapabilities 256, PowerManagementCapabilitiesEx 264, NicSwitchCapabilities 272, NDKEnabled 280,
    NDKCapabilities 288, SriovCapabilities 296, NicSwitchArray 304
);

/// What NdisOpenAdapterEx is given.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_OPEN_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub AdapterName: *mut UNICODE_STRING,
    pub MediumArray: *mut NDIS_MEDIUM,
    pub MediumArraySize: u32,
    pub SelectedMediumIndex: *mut u32,
    pub FrameTypeArray: *mut u16,
    pub FrameTypeArraySize: u32,
}

layout!(
    NDIS_OPEN_PARAMETERS, 56, 8, Header 0, AdapterName 8, MediumArray 16, MediumArraySize 24, SelectedMediumIndex
    32, FrameTypeArray 40, FrameTypeArraySize 48
);

/// The body of NetEventPause.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PROTOCOL_PAUSE_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub PauseReason: u32,
}

layout!(NDIS_PROTOCOL_PAUSE_PARAMETERS, 12, 4, Header 0, Flags 4, PauseReason 8);

/// The body of NetEventRestart.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PROTOCOL_RESTART_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub FilterModuleNameBuffer: *mut u16,
    pub FilterModuleNameBufferLength: u32,
    pub RestartAttributes: *mut NDIS_RESTART_ATTRIBUTES,
    pub BoundIfIndex: NET_IFINDEX,
    pub BoundIfNetluid: NET_LUID,
    pub Flags: u32,
}

layout!(
    NDIS_PROTOCOL_RESTART_PARAMETERS, 56, 8, Header 0, FilterModuleNameBuffer 8, FilterModuleNameBufferLength 16,
    RestartAttributes 24, BoundIfIndex 32, BoundIfNetluid 40, Flags 48
);

pub const NDIS_BIND_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_BIND_PARAMETERS_REVISION_2: u8 = 2;
pub const NDIS_BIND_PARAMETERS_REVISION_3: u8 = 3;
pub const NDIS_BIND_PARAMETERS_REVISION_4: u8 = 4;
pub const NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1: u8 = 1;
pub const NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2: u8 = 2;
pub const NDIS_OPEN_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_PROTOCOL_PAUSE_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_PROTOCOL_RESTART_PARAMETERS_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_BIND_PARAMETERS_REVISION_1: u16 = 248;
pub const NDIS_SIZEOF_BIND_PARAMETERS_REVISION_2: u16 = 256;
pub const NDIS_SIZEOF_BIND_PARAMETERS_REVISION_3: u16 = 280;
pub const NDIS_SIZEOF_BIND_PARAMETERS_REVISION_4: u16 = 312;
pub const NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1: u16 = 120;
pub const NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2: u16 = 128;
pub const NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1: u16 = 52;
pub const NDIS_SIZEOF_PROTOCOL_PAUSE_PARAMETERS_REVISION_1: u16 = 12;
pub const NDIS_SIZEOF_PROTOCOL_RESTART_PARAMETERS_REVISION_1: u16 = 52;

pub const NDIS_OPEN_RECEIVE_NOT_REENTRANT: u32 = 1;
pub const NDIS_PROTOCOL_DRIVER_SUPPORTS_CURRENT_MAC_ADDRESS_CHANGE: u32 = 2;
pub const NDIS_PROTOCOL_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE: u32 = 4;
pub const NDIS_PROTOCOL_DRIVER_UDP_RSC_NOT_SUPPORTED: u32 = 8;
