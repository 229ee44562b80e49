//! netpnp.h, ndis.h: PnP and power events, up and down the stack.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    NDIS_DEVICE_POWER_STATE, NDIS_NIC_SWITCH_ID, NDIS_NIC_SWITCH_VPORT_ID, NDIS_OBJECT_HEADER, NDIS_PORT_NUMBER,
    NET_LUID, layout,
};
use core::ffi::c_void;

/// What a protocol, or a miniport's upper side, is told.
pub type NET_PNP_EVENT_CODE = i32;
pub const NetEventSetPower: NET_PNP_EVENT_CODE = 0;
pub const NetEventQueryPower: NET_PNP_EVENT_CODE = 1;
pub const NetEventQueryRemoveDevice: NET_PNP_EVENT_CODE = 2;
pub const NetEventCancelRemoveDevice: NET_PNP_EVENT_CODE = 3;
pub const NetEventReconfigure: NET_PNP_EVENT_CODE = 4;
pub const NetEventBindList: NET_PNP_EVENT_CODE = 5;
pub const NetEventBindsComplete: NET_PNP_EVENT_CODE = 6;
pub const NetEventPnPCapabilities: NET_PNP_EVENT_CODE = 7;
pub const NetEventPause: NET_PNP_EVENT_CODE = 8;
pub const NetEventRestart: NET_PNP_EVENT_CODE = 9;
pub const NetEventPortActivation: NET_PNP_EVENT_CODE = 10;
pub const NetEventPortDeactivation: NET_PNP_EVENT_CODE = 11;
pub const NetEventIMReEnableDevice: NET_PNP_EVENT_CODE = 12;
pub const NetEventNDKEnable: NET_PNP_EVENT_CODE = 13;
pub const NetEventNDKDisable: NET_PNP_EVENT_CODE = 14;
pub const NetEventFilterPreDetach: NET_PNP_EVENT_CODE = 15;
pub const NetEventBindFailed: NET_PNP_EVENT_CODE = 16;
pub const NetEventSwitchActivate: NET_PNP_EVENT_CODE = 17;
pub const NetEventAllowBindsAbove: NET_PNP_EVENT_CODE = 18;
pub const NetEventInhibitBindsAbove: NET_PNP_EVENT_CODE = 19;
pub const NetEventAllowStart: NET_PNP_EVENT_CODE = 20;
pub const NetEventRequirePause: NET_PNP_EVENT_CODE = 21;
pub const NetEventUploadGftFlowEntries: NET_PNP_EVENT_CODE = 22;
pub const NetEventMaximum: NET_PNP_EVENT_CODE = 23;

/// The body of NetEventSetPower and NetEventQueryPower.
pub type NET_DEVICE_POWER_STATE = i32;
pub const NetDeviceStateUnspecified: NET_DEVICE_POWER_STATE = 0;
pub const NetDeviceStateD0: NET_DEVICE_POWER_STATE = 1;
pub const NetDeviceStateD1: NET_DEVICE_POWER_STATE = 2;
pub const NetDeviceStateD2: NET_DEVICE_POWER_STATE = 3;
pub const NetDeviceStateD3: NET_DEVICE_POWER_STATE = 4;
pub const NetDeviceStateMaximum: NET_DEVICE_POWER_STATE = 5;

/// What a miniport is told of its device.
pub type NDIS_DEVICE_PNP_EVENT = i32;
pub const NdisDevicePnPEventQueryRemoved: NDIS_DEVICE_PNP_EVENT = 0;
pub const NdisDevicePnPEventRemoved: NDIS_DEVICE_PNP_EVENT = 1;
pub const NdisDevicePnPEventSurpriseRemoved: NDIS_DEVICE_PNP_EVENT = 2;
pub const NdisDevicePnPEventQueryStopped: NDIS_DEVICE_PNP_EVENT = 3;
pub const NdisDevicePnPEventStopped: NDIS_DEVICE_PNP_EVENT = 4;
pub const NdisDevicePnPEventPowerProfileChanged: NDIS_DEVICE_PNP_EVENT = 5;
pub const NdisDevicePnPEventFilterListChanged: NDIS_DEVICE_PNP_EVENT = 6;
pub const NdisDevicePnPEventMaximum: NDIS_DEVICE_PNP_EVENT = 7;

/// The body of NdisDevicePnPEventPowerProfileChanged.
pub type NDIS_POWER_PROFILE = i32;
pub const NdisPowerProfileBattery: NDIS_POWER_PROFILE = 0;
pub const NdisPowerProfileAcOnLine: NDIS_POWER_PROFILE = 1;

/// A PnP event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_PNP_EVENT {
    pub NetEvent: NET_PNP_EVENT_CODE,
    pub Buffer: *mut c_void,
    pub BufferLength: u32,
    pub NdisReserved: [usize; 4],
    pub TransportReserved: [usize; 4],
    pub TdiReserved: [usize; 4],
    pub TdiClientReserved: [usize; 4],
}

layout!(
    NET_PNP_EVENT, 152, 8, NetEvent 0, Buffer 8, BufferLength 16, NdisReserved 24, TransportReserved 56,
    TdiReserved 88, TdiClientReserved 120
);

/// A PnP event, for NDIS 6.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_PNP_EVENT_NOTIFICATION {
    pub Header: NDIS_OBJECT_HEADER,
    pub PortNumber: NDIS_PORT_NUMBER,
    pub NetPnPEvent: NET_PNP_EVENT,
    pub Flags: u32,
    pub SwitchId: NDIS_NIC_SWITCH_ID,
    pub VPortId: NDIS_NIC_SWITCH_VPORT_ID,
}

layout!(
    NET_PNP_EVENT_NOTIFICATION, 176, 8, Header 0, PortNumber 4, NetPnPEvent 8, Flags 160, SwitchId 164, VPortId 168
);

/// A PnP event of a miniport's device.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NET_DEVICE_PNP_EVENT {
    pub Header: NDIS_OBJECT_HEADER,
    pub PortNumber: NDIS_PORT_NUMBER,
    pub DevicePnPEvent: NDIS_DEVICE_PNP_EVENT,
    pub InformationBuffer: *mut c_void,
    pub InformationBufferLength: u32,
    pub NdisReserved: [u8; 16],
}

layout!(
    NET_DEVICE_PNP_EVENT, 48, 8, Header 0, PortNumber 4, DevicePnPEvent 8, InformationBuffer 16,
    InformationBufferLength 24, NdisReserved 28
);

/// The body of NetEventBindFailed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_BIND_FAILED_NOTIFICATION {
    pub Header: NDIS_OBJECT_HEADER,
    pub MiniportNetLuid: NET_LUID,
}

layout!(NDIS_BIND_FAILED_NOTIFICATION, 16, 8, Header 0, MiniportNetLuid 8);

pub const NET_PNP_EVENT_NOTIFICATION_REVISION_1: u8 = 1;
pub const NET_PNP_EVENT_NOTIFICATION_REVISION_2: u8 = 2;
pub const NDIS_BIND_FAILED_NOTIFICATION_REVISION_1: u8 = 1;
pub const NET_DEVICE_PNP_EVENT_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1: u16 = 164;
pub const NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_2: u16 = 172;
pub const NDIS_SIZEOF_NDIS_BIND_FAILED_NOTIFICATION_REVISION_1: u16 = 16;
pub const NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1: u16 = 44;

/// What can wake the machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_PM_WAKE_UP_CAPABILITIES {
    pub MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
    pub MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
    pub MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
}

layout!(NDIS_PM_WAKE_UP_CAPABILITIES, 12, 4, MinMagicPacketWakeUp 0, MinPatternWakeUp 4, MinLinkChangeWakeUp 8);

/// The body of OID_PNP_CAPABILITIES.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_PNP_CAPABILITIES {
    pub Flags: u32,
    pub WakeUpCapabilities: NDIS_PM_WAKE_UP_CAPABILITIES,
}

layout!(NDIS_PNP_CAPABILITIES, 16, 4, Flags 0, WakeUpCapabilities 4);

/// Power management capabilities.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_PM_CAPABILITIES {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub SupportedWoLPacketPatterns: u32,
    pub NumTotalWoLPatterns: u32,
    pub MaxWoLPatternSize: u32,
    pub MaxWoLPatternOffset: u32,
    pub MaxWoLPacketSaveBuffer: u32,
    pub SupportedProtocolOffloads: u32,
    pub NumArpOffloadIPv4Addresses: u32,
    pub NumNSOffloadIPv6Addresses: u32,
    pub MinMagicPacketWakeUp: NDIS_DEVICE_POWER_STATE,
    pub MinPatternWakeUp: NDIS_DEVICE_POWER_STATE,
    pub MinLinkChangeWakeUp: NDIS_DEVICE_POWER_STATE,
    pub SupportedWakeUpEvents: u32,
    pub MediaSpecificWakeUpEvents: u32,
}

layout!(
    NDIS_PM_CAPABILITIES, 60, 4, Header 0, Flags 4, SupportedWoLPacketPatterns 8, NumTotalWoLPatterns 12,
    MaxWoLPatternSize 16, MaxWoLPatternOffset 20, MaxWoLPacketSaveBuffer 24, SupportedProtocolOffloads 28,
    NumArpOffloadIPv4Addresses 32, NumNSOffloadIPv6Addresses 36, MinMagicPacketWakeUp 40, MinPatternWakeUp 44,
    MinLinkChangeWakeUp 48, SupportedWakeUpEvents 52, MediaSpecificWakeUpEvents 56
);

pub const NDIS_PM_CAPABILITIES_REVISION_1: u8 = 1;
pub const NDIS_PM_CAPABILITIES_REVISION_2: u8 = 2;

pub const NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_1: u16 = 52;
pub const NDIS_SIZEOF_NDIS_PM_CAPABILITIES_REVISION_2: u16 = 60;
