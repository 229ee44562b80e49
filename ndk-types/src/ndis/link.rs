//! ntddndis.h: link state and parameters, statistics, ports.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    NDIS_INTERRUPT_MODERATION, NDIS_OBJECT_HEADER, NDIS_PORT_NUMBER, NET_IF_DIRECTION_TYPE, NET_IF_MEDIA_CONNECT_STATE,
    NET_IF_MEDIA_DUPLEX_STATE, NET_IF_OPER_STATUS, layout,
};
use core::ffi::c_void;

/// The body of NDIS_STATUS_LINK_STATE.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_LINK_STATE {
    pub Header: NDIS_OBJECT_HEADER,
    pub MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
    pub MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
    pub XmitLinkSpeed: u64,
    pub RcvLinkSpeed: u64,
    pub PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    pub AutoNegotiationFlags: u32,
}

layout!(
    NDIS_LINK_STATE, 40, 8, Header 0, MediaConnectState 4, MediaDuplexState 8, XmitLinkSpeed 16, RcvLinkSpeed 24,
    PauseFunctions 32, AutoNegotiationFlags 36
);

/// The body of OID_GEN_LINK_PARAMETERS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_LINK_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub MediaDuplexState: NET_IF_MEDIA_DUPLEX_STATE,
    pub XmitLinkSpeed: u64,
    pub RcvLinkSpeed: u64,
    pub PauseFunctions: NDIS_SUPPORTED_PAUSE_FUNCTIONS,
    pub AutoNegotiationFlags: u32,
}

layout!(
    NDIS_LINK_PARAMETERS, 32, 8, Header 0, MediaDuplexState 4, XmitLinkSpeed 8, RcvLinkSpeed 16, PauseFunctions 24,
    AutoNegotiationFlags 28
);

/// The body of NDIS_STATUS_OPER_STATUS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_OPER_STATE {
    pub Header: NDIS_OBJECT_HEADER,
    pub OperationalStatus: NET_IF_OPER_STATUS,
    pub OperationalStatusFlags: u32,
}

layout!(NDIS_OPER_STATE, 12, 4, Header 0, OperationalStatus 4, OperationalStatusFlags 8);

/// Which PAUSE frames work.
pub type NDIS_SUPPORTED_PAUSE_FUNCTIONS = i32;
pub const NdisPauseFunctionsUnsupported: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 0;
pub const NdisPauseFunctionsSendOnly: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 1;
pub const NdisPauseFunctionsReceiveOnly: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 2;
pub const NdisPauseFunctionsSendAndReceive: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 3;
pub const NdisPauseFunctionsUnknown: NDIS_SUPPORTED_PAUSE_FUNCTIONS = 4;

/// The answer to OID_GEN_STATISTICS.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_STATISTICS_INFO {
    pub Header: NDIS_OBJECT_HEADER,
    pub SupportedStatistics: u32,
    pub ifInDiscards: u64,
    pub ifInErrors: u64,
    pub ifHCInOctets: u64,
    pub ifHCInUcastPkts: u64,
    pub ifHCInMulticastPkts: u64,
    pub ifHCInBroadcastPkts: u64,
    pub ifHCOutOctets: u64,
    pub ifHCOutUcastPkts: u64,
    pub ifHCOutMulticastPkts: u64,
    pub ifHCOutBroadcastPkts: u64,
    pub ifOutErrors: u64,
    pub ifOutDiscards: u64,
    pub ifHCInUcastOctets: u64,
    pub ifHCInMulticastOctets: u64,
    pub ifHCInBroadcastOctets: u64,
    pub ifHCOutUcastOctets: u64,
    pub ifHCOutMulticastOctets: u64,
    pub ifHCOutBroadcastOctets: u64,
}

layout!(
    NDIS_STATISTICS_INFO, 152, 8, Header 0, SupportedStatistics 4, ifInDiscards 8, ifInErrors 16, ifHCInOctets 24,
    ifHCInUcastPkts 32, ifHCInMulticastPkts 40, ifHCInBroadcastPkts 48, ifHCOutOctets 56, ifHCOutUcastPkts 64,
    ifHCOutMulticastPkts 72, ifHCOutBroadcastPkts 80, ifOutErrors 88, ifOutDiscards 96, ifHCInUcastOctets 104,
    ifHCInMulticastOctets 112, ifHCInBroadcastOctets 120, ifHCOutUcastOctets 128, ifHCOutMulticastOctets 136,
    ifHCOutBroadcastOctets 144
);

/// The body of OID_GEN_INTERRUPT_MODERATION.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_INTERRUPT_MODERATION_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub Flags: u32,
    pub InterruptModeration: NDIS_INTERRUPT_MODERATION,
}

layout!(NDIS_INTERRUPT_MODERATION_PARAMETERS, 12, 4, Header 0, Flags 4, InterruptModeration 8);

/// Kind of port.
pub type NDIS_PORT_TYPE = i32;
pub const NdisPortTypeUndefined: NDIS_PORT_TYPE = 0;
pub const NdisPortTypeBridge: NDIS_PORT_TYPE = 1;
pub const NdisPortTypeRasConnection: NDIS_PORT_TYPE = 2;
pub const NdisPortType8021xSupplicant: NDIS_PORT_TYPE = 3;
pub const NdisPortTypeNdisImPlatform: NDIS_PORT_TYPE = 4;
pub const NdisPortTypeMax: NDIS_PORT_TYPE = 5;

/// Whether a port is controlled.
pub type NDIS_PORT_CONTROL_STATE = i32;
pub const NdisPortControlStateUnknown: NDIS_PORT_CONTROL_STATE = 0;
pub const NdisPortControlStateControlled: NDIS_PORT_CONTROL_STATE = 1;
pub const NdisPortControlStateUncontrolled: NDIS_PORT_CONTROL_STATE = 2;

/// Whether a port is authorised.
pub type NDIS_PORT_AUTHORIZATION_STATE = i32;
pub const NdisPortAuthorizationUnknown: NDIS_PORT_AUTHORIZATION_STATE = 0;
pub const NdisPortAuthorized: NDIS_PORT_AUTHORIZATION_STATE = 1;
pub const NdisPortUnauthorized: NDIS_PORT_AUTHORIZATION_STATE = 2;
pub const NdisPortReauthorizing: NDIS_PORT_AUTHORIZATION_STATE = 3;

/// Authorisation of a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_PORT_AUTHENTICATION_PARAMETERS {
    pub Header: NDIS_OBJECT_HEADER,
    pub SendControlState: NDIS_PORT_CONTROL_STATE,
    pub RcvControlState: NDIS_PORT_CONTROL_STATE,
    pub SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    pub RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
}

layout!(
    NDIS_PORT_AUTHENTICATION_PARAMETERS, 20, 4, Header 0, SendControlState 4, RcvControlState 8,
    SendAuthorizationState 12, RcvAuthorizationState 16
);

/// A port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NDIS_PORT_CHARACTERISTICS {
    pub Header: NDIS_OBJECT_HEADER,
    pub PortNumber: NDIS_PORT_NUMBER,
    pub Flags: u32,
    pub Type: NDIS_PORT_TYPE,
    pub MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
    pub XmitLinkSpeed: u64,
    pub RcvLinkSpeed: u64,
    pub Direction: NET_IF_DIRECTION_TYPE,
    pub SendControlState: NDIS_PORT_CONTROL_STATE,
    pub RcvControlState: NDIS_PORT_CONTROL_STATE,
    pub SendAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
    pub RcvAuthorizationState: NDIS_PORT_AUTHORIZATION_STATE,
}

layout!(
    NDIS_PORT_CHARACTERISTICS, 64, 8, Header 0, PortNumber 4, Flags 8, Type 12, MediaConnectState 16, XmitLinkSpeed
    24, RcvLinkSpeed 32, Direction 40, SendControlState 44, RcvControlState 48, SendAuthorizationState 52,
    RcvAuthorizationState 56
);

/// A port in a list of ports.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NDIS_PORT {
    pub Next: *mut NDIS_PORT,
    pub NdisReserved: *mut c_void,
    pub MiniportReserved: *mut c_void,
    pub ProtocolReserved: *mut c_void,
    pub PortCharacteristics: NDIS_PORT_CHARACTERISTICS,
}

layout!(NDIS_PORT, 96, 8, Next 0, NdisReserved 8, MiniportReserved 16, ProtocolReserved 24, PortCharacteristics 32);

pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV: u32 = 0x0000_0001;
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV: u32 = 0x0000_0002;
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV: u32 = 0x0000_0004;
pub const NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV: u32 = 0x0000_0008;
pub const NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS: u32 = 0x0000_0010;
pub const NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR: u32 = 0x0000_0020;
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT: u32 = 0x0000_0040;
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT: u32 = 0x0000_0080;
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT: u32 = 0x0000_0100;
pub const NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT: u32 = 0x0000_0200;
pub const NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR: u32 = 0x0000_0400;
pub const NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS: u32 = 0x0000_8000;
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV: u32 = 0x0001_0000;
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV: u32 = 0x0002_0000;
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV: u32 = 0x0004_0000;
pub const NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT: u32 = 0x0008_0000;
pub const NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT: u32 = 0x0010_0000;
pub const NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT: u32 = 0x0020_0000;
pub const NDIS_LINK_STATE_XMIT_LINK_SPEED_AUTO_NEGOTIATED: u32 = 0x0000_0001;
pub const NDIS_LINK_STATE_RCV_LINK_SPEED_AUTO_NEGOTIATED: u32 = 0x0000_0002;
pub const NDIS_LINK_STATE_DUPLEX_AUTO_NEGOTIATED: u32 = 0x0000_0004;
pub const NDIS_LINK_STATE_PAUSE_FUNCTIONS_AUTO_NEGOTIATED: u32 = 0x0000_0008;
pub const NDIS_STATISTICS_XMIT_OK_SUPPORTED: u32 = 0x0000_0001;
pub const NDIS_STATISTICS_RCV_OK_SUPPORTED: u32 = 0x0000_0002;
pub const NDIS_STATISTICS_XMIT_ERROR_SUPPORTED: u32 = 0x0000_0004;
pub const NDIS_STATISTICS_RCV_ERROR_SUPPORTED: u32 = 0x0000_0008;
pub const NDIS_STATISTICS_RCV_NO_BUFFER_SUPPORTED: u32 = 0x0000_0010;
pub const NDIS_STATISTICS_DIRECTED_BYTES_XMIT_SUPPORTED: u32 = 0x0000_0020;
pub const NDIS_STATISTICS_DIRECTED_FRAMES_XMIT_SUPPORTED: u32 = 0x0000_0040;
pub const NDIS_STATISTICS_MULTICAST_BYTES_XMIT_SUPPORTED: u32 = 0x0000_0080;
pub const NDIS_STATISTICS_MULTICAST_FRAMES_XMIT_SUPPORTED: u32 = 0x0000_0100;
pub const NDIS_STATISTICS_BROADCAST_BYTES_XMIT_SUPPORTED: u32 = 0x0000_0200;
pub const NDIS_STATISTICS_BROADCAST_FRAMES_XMIT_SUPPORTED: u32 = 0x0000_0400;
pub const NDIS_STATISTICS_DIRECTED_BYTES_RCV_SUPPORTED: u32 = 0x0000_0800;
pub const NDIS_STATISTICS_DIRECTED_FRAMES_RCV_SUPPORTED: u32 = 0x0000_1000;
pub const NDIS_STATISTICS_MULTICAST_BYTES_RCV_SUPPORTED: u32 = 0x0000_2000;
pub const NDIS_STATISTICS_MULTICAST_FRAMES_RCV_SUPPORTED: u32 = 0x0000_4000;
pub const NDIS_STATISTICS_BROADCAST_BYTES_RCV_SUPPORTED: u32 = 0x0000_8000;
pub const NDIS_STATISTICS_BROADCAST_FRAMES_RCV_SUPPORTED: u32 = 0x0001_0000;
pub const NDIS_STATISTICS_RCV_CRC_ERROR_SUPPORTED: u32 = 0x0002_0000;
pub const NDIS_STATISTICS_BYTES_RCV_SUPPORTED: u32 = 0x0008_0000;
pub const NDIS_STATISTICS_BYTES_XMIT_SUPPORTED: u32 = 0x0010_0000;
pub const NDIS_STATISTICS_RCV_DISCARDS_SUPPORTED: u32 = 0x0020_0000;
pub const NDIS_STATISTICS_GEN_STATISTICS_SUPPORTED: u32 = 0x0040_0000;
pub const NDIS_STATISTICS_XMIT_DISCARDS_SUPPORTED: u32 = 0x0800_0000;

pub const NDIS_STATISTICS_INFO_REVISION_1: u8 = 1;
pub const NDIS_INTERRUPT_MODERATION_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_LINK_STATE_REVISION_1: u8 = 1;
pub const NDIS_LINK_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_OPER_STATE_REVISION_1: u8 = 1;
pub const NDIS_PORT_AUTHENTICATION_PARAMETERS_REVISION_1: u8 = 1;
pub const NDIS_PORT_CHARACTERISTICS_REVISION_1: u8 = 1;

pub const NDIS_SIZEOF_STATISTICS_INFO_REVISION_1: u16 = 152;
pub const NDIS_SIZEOF_INTERRUPT_MODERATION_PARAMETERS_REVISION_1: u16 = 12;
pub const NDIS_SIZEOF_LINK_STATE_REVISION_1: u16 = 40;
pub const NDIS_SIZEOF_LINK_PARAMETERS_REVISION_1: u16 = 32;
pub const NDIS_SIZEOF_OPER_STATE_REVISION_1: u16 = 12;
pub const NDIS_SIZEOF_PORT_AUTHENTICATION_PARAMETERS_REVISION_1: u16 = 20;
pub const NDIS_SIZEOF_PORT_CHARACTERISTICS_REVISION_1: u16 = 60;
