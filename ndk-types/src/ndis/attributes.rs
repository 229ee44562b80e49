//! ndis/miniport.h: attributes a miniport adapter sets while it initialises.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    BOOLEAN, NDIS_HANDLE, NDIS_INTERFACE_TYPE, NDIS_MEDIUM, NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES, NDIS_OBJECT_HEADER,
    NDIS_OFFLOAD, NDIS_OID, NDIS_PHYSICAL_MEDIUM, NDIS_PM_CAPABILITIES, NDIS_PNP_CAPABILITIES,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_TCP_CONNECTION_OFFLOAD, NET_IF_ACCESS_TYPE, NET_IF_CONNECTION_TYPE,
    NET_IF_DIRECTION_TYPE, NET_IF_MEDIA_CONNECT_STATE, NET_IF_MEDIA_DUPLEX_STATE, NET_IFTYPE, layout,
};

/// Set in MiniportAddDevice.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub MiniportAddDeviceContext: NDIS_HANDLE,
    pub Flags: u32,
}

layout!(NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES, 24, 8, Header 0, MiniportAddDeviceContext 8, Flags 16);

/// Set first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub MiniportAdapterContext: NDIS_HANDLE,
    pub AttributeFlags: u32,
    pub CheckForHangTimeInSeconds: u32,
    pub InterfaceType: NDIS_INTERFACE_TYPE,
}

layout!(
    NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, 32, 8, Header 0, MiniportAdapterContext 8, AttributeFlags 16,
    CheckForHangTimeInSeconds 20, InterfaceType 24
);

/// Set second.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub MediaType: NDIS_MEDIUM,
    pub PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
    pub MtuSize: u32,
    pub MaxXmitLinkSpeed: u64,
    pub XmitLinkSpeed: u64,
    pub MaxRcvLinkSpeed: u64,
    pub RcvLinkSpeed: u64,
    pub MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
    pub MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
    pub LookaheadSize: u32,
    pub PowerManagementCapabilities: *mut NDIS_PNP_CAPABILITIES,
    pub MacOptions: u32,
    pub SupportedPacketFilters: u32,
    pub MaxMulticastListSize: u32,
    pub MacAddressLength: u16,
    pub PermanentMacAddress: [u8; 32],
    pub CurrentMacAddress: [u8; 32],
    pub RecvScaleCapabilities: *mut NDIS_RECEIVE_SCALE_CAPABILITIES,
    pub AccessType: NET_IF_ACCESS_TYPE,
    pub DirectionType: NET_IF_DIRECTION_TYPE,
    pub ConnectionType: NET_IF_CONNECTION_TYPE,
    pub IfType: NET_IFTYPE,
    pub IfConnectorPresent: BOOLEAN,
    pub SupportedStatistics: u32,
    pub SupportedPauseFunctions: u32,
    pub DataBackFillSize: u32,
    pub ContextBackFillSize: u32,
    pub SupportedOidList: *mut NDIS_OID,
    pub SupportedOidListLength: u32,
    pub AutoNegotiationFlags: u32,
    pub PowerManagementCapabilitiesEx: *mut NDIS_PM_CAPABILITIES,
}

layout!(
    NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, 224, 8, Header 0, Flags 4, MediaType 8, PhysicalMediumType 12,
    MtuSize 16, MaxXmitLinkSpeed 24, XmitLinkSpeed 32, MaxRcvLinkSpeed 40, RcvLinkSpeed 48, MediaConnectState 56,
    MediaDuplexState 60, LookaheadSize 64, PowerManagementCapabilities 72, MacOptions 80, SupportedPacketFilters
    84, MaxMulticastListSize 88, MacAddressLength 92, PermanentMacAddress 94, CurrentMacAddress 126,
    RecvScaleCapabilities 160, AccessType 168, DirectionType 172, ConnectionType 176, IfType 180,
    IfConnectorPresent 182, SupportedStatistics 184, SupportedPauseFunctions 188, DataBackFillSize 192,
    ContextBackFillSize 196, SupportedOidList 200, SupportedOidListLength 208, AutoNegotiationFlags 212,
    PowerManagementCapabilitiesEx 216
);

/// Offloads.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub DefaultOffloadConfiguration: *mut NDIS_OFFLOAD,
    pub HardwareOffloadCapabilities: *mut NDIS_OFFLOAD,
    pub DefaultTcpConnectionOffloadConfiguration: *mut NDIS_TCP_CONNECTION_OFFLOAD,
    pub TcpConnectionOffloadHardwareCapabilities: *mut NDIS_TCP_CONNECTION_OFFLOAD,
}

layout!(
    NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES, 40, 8, Header 0, DefaultOffloadConfiguration 8,
    HardwareOffloadCapabilities 16, DefaultTcpConnectionOffloadConfiguration 24,
    TcpConnectionOffloadHardwareCapabilities 32
);

/// Any of the attributes; the header says which. Native 802.11, hardware assist and packet direct are left out: no larger,
/// and not ours.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NDIS_MINIPORT_ADAPTER_ATTRIBUTES {
    pub Header: NDIS_OBJECT_HEADER,
    pub AddDeviceRegistrationAttributes: NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES,
    pub RegistrationAttributes: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    pub GeneralAttributes: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    pub OffloadAttributes: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES,
    pub NDKAttributes: NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES,
}

layout!(
    NDIS_MINIPORT_ADAPTER_ATTRIBUTES, 224, 8, Header 0, AddDeviceRegistrationAttributes 0, RegistrationAttributes
    0, GeneralAttributes 0, OffloadAttributes 0, NDKAttributes 0
);

pub const NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2: u8 = 2;
pub const NDIS_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1: u8 = 1;
pub const NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2: u8 = 2;
pub const NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1: u16 = 28;
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2: u16 = 28;
pub const NDIS_SIZEOF_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES_REVISION_1: u16 = 20;
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1: u16 = 216;
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2: u16 = 224;
pub const NDIS_SIZEOF_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES_REVISION_1: u16 = 40;

pub const NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE: u32 = 1;
pub const NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM: u32 = 2;
pub const NDIS_MINIPORT_ATTRIBUTES_SURPRISE_REMOVE_OK: u32 = 4;
pub const NDIS_MINIPORT_ATTRIBUTES_NOT_CO_NDIS: u32 = 8;
pub const NDIS_MINIPORT_ATTRIBUTES_DO_NOT_BIND_TO_ALL_CO: u32 = 16;
pub const NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND: u32 = 32;
pub const NDIS_MINIPORT_ATTRIBUTES_BUS_MASTER: u32 = 64;
pub const NDIS_MINIPORT_ATTRIBUTES_CONTROLS_DEFAULT_PORT: u32 = 128;
pub const NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND: u32 = 256;
pub const NDIS_MINIPORT_ATTRIBUTES_NO_OID_INTERCEPT_ON_NONDEFAULT_PORTS: u32 = 512;
pub const NDIS_MINIPORT_ATTRIBUTES_REGISTER_BUGCHECK_CALLBACK: u32 = 1024;
