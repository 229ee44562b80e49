//! ifdef.h, ntddndis.h: interfaces, their names, kinds and states.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{GUID, layout};

/// An interface's index on this machine.
pub type NET_IFINDEX = u32;
/// An interface's index on this machine.
pub type IF_INDEX = NET_IFINDEX;
/// IANA's ifType.
pub type NET_IFTYPE = u16;
/// IANA's ifType.
pub type IFTYPE = u32;
/// A network compartment.
pub type NET_IF_COMPARTMENT_ID = u32;
/// An identifier of an interface that survives a restart.
pub type NET_LUID = NET_LUID_LH;
/// An identifier of an interface that survives a restart.
pub type IF_LUID = NET_LUID_LH;
/// A GUID of a network.
pub type NET_IF_NETWORK_GUID = GUID;

/// Whether there is a link, in NDIS's words.
pub type NDIS_MEDIA_CONNECT_STATE = NET_IF_MEDIA_CONNECT_STATE;
/// Duplex of the link, in NDIS's words.
pub type NDIS_MEDIA_DUPLEX_STATE = NET_IF_MEDIA_DUPLEX_STATE;

/// The parts of a NET_LUID: reserved in bits 0 to 23, NetLuidIndex in bits 24 to 47, IfType in bits 48 to 63.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NET_LUID_LH_Info {
    pub bits: u64,
}

/// An identifier of an interface that survives a restart.
#[repr(C)]
#[derive(Clone, Copy)]
pub union NET_LUID_LH {
    pub Value: u64,
    pub Info: NET_LUID_LH_Info,
}

layout!(NET_LUID_LH, 8, 8, Value 0, Info 0);

/// A counted string of an interface; Length is in bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IF_COUNTED_STRING_LH {
    pub Length: u16,
    pub String: [u16; 257],
}

layout!(IF_COUNTED_STRING_LH, 516, 2, Length 0, String 2);

/// A hardware address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IF_PHYSICAL_ADDRESS_LH {
    pub Length: u16,
    pub Address: [u8; 32],
}

layout!(IF_PHYSICAL_ADDRESS_LH, 34, 2, Length 0, Address 2);

pub const IF_MAX_STRING_SIZE: usize = 256;
pub const IF_MAX_PHYS_ADDRESS_LENGTH: usize = 32;
pub const NDIS_MAX_PHYS_ADDRESS_LENGTH: usize = 32;
pub const NDIS_IF_MAX_STRING_SIZE: usize = 256;

pub const IF_TYPE_OTHER: u16 = 1;
pub const IF_TYPE_ETHERNET_CSMACD: u16 = 6;
pub const IF_TYPE_SOFTWARE_LOOPBACK: u16 = 24;
pub const IF_TYPE_TUNNEL: u16 = 131;
pub const IF_TYPE_IEEE80211: u16 = 71;
pub const IF_TYPE_PROP_VIRTUAL: u16 = 53;
pub const IF_TYPE_PPP: u16 = 23;

pub const NET_IF_COMPARTMENT_ID_UNSPECIFIED: u32 = 0;
pub const NET_IF_COMPARTMENT_ID_PRIMARY: u32 = 1;
pub const NET_IF_OPER_STATUS_DOWN_NOT_AUTHENTICATED: u32 = 1;
pub const NET_IF_OPER_STATUS_DOWN_NOT_MEDIA_CONNECTED: u32 = 2;
pub const NET_IF_OPER_STATUS_DORMANT_PAUSED: u32 = 4;
pub const NET_IF_OPER_STATUS_DORMANT_LOW_POWER: u32 = 8;

pub const NET_IF_LINK_SPEED_UNKNOWN: u64 = 0xffff_ffff_ffff_ffff;
pub const NDIS_LINK_SPEED_UNKNOWN: u64 = 0xffff_ffff_ffff_ffff;

/// Who can be reached through an interface.
pub type NET_IF_ACCESS_TYPE = i32;
pub const NET_IF_ACCESS_LOOPBACK: NET_IF_ACCESS_TYPE = 1;
pub const NET_IF_ACCESS_BROADCAST: NET_IF_ACCESS_TYPE = 2;
pub const NET_IF_ACCESS_POINT_TO_POINT: NET_IF_ACCESS_TYPE = 3;
pub const NET_IF_ACCESS_POINT_TO_MULTI_POINT: NET_IF_ACCESS_TYPE = 4;
pub const NET_IF_ACCESS_MAXIMUM: NET_IF_ACCESS_TYPE = 5;

/// Which ways data goes.
pub type NET_IF_DIRECTION_TYPE = i32;
pub const NET_IF_DIRECTION_SENDRECEIVE: NET_IF_DIRECTION_TYPE = 0;
pub const NET_IF_DIRECTION_SENDONLY: NET_IF_DIRECTION_TYPE = 1;
pub const NET_IF_DIRECTION_RECEIVEONLY: NET_IF_DIRECTION_TYPE = 2;
pub const NET_IF_DIRECTION_MAXIMUM: NET_IF_DIRECTION_TYPE = 3;

/// How a link comes up.
pub type NET_IF_CONNECTION_TYPE = i32;
pub const NET_IF_CONNECTION_DEDICATED: NET_IF_CONNECTION_TYPE = 1;
pub const NET_IF_CONNECTION_PASSIVE: NET_IF_CONNECTION_TYPE = 2;
pub const NET_IF_CONNECTION_DEMAND: NET_IF_CONNECTION_TYPE = 3;
pub const NET_IF_CONNECTION_MAXIMUM: NET_IF_CONNECTION_TYPE = 4;

/// Whether there is a link.
pub type NET_IF_MEDIA_CONNECT_STATE = i32;
pub const MediaConnectStateUnknown: NET_IF_MEDIA_CONNECT_STATE = 0;
pub const MediaConnectStateConnected: NET_IF_MEDIA_CONNECT_STATE = 1;
pub const MediaConnectStateDisconnected: NET_IF_MEDIA_CONNECT_STATE = 2;

/// Duplex of the link.
pub type NET_IF_MEDIA_DUPLEX_STATE = i32;
pub const MediaDuplexStateUnknown: NET_IF_MEDIA_DUPLEX_STATE = 0;
pub const MediaDuplexStateHalf: NET_IF_MEDIA_DUPLEX_STATE = 1;
pub const MediaDuplexStateFull: NET_IF_MEDIA_DUPLEX_STATE = 2;

/// Operational state (RFC 2863).
pub type NET_IF_OPER_STATUS = i32;
pub const NET_IF_OPER_STATUS_UP: NET_IF_OPER_STATUS = 1;
pub const NET_IF_OPER_STATUS_DOWN: NET_IF_OPER_STATUS = 2;
pub const NET_IF_OPER_STATUS_TESTING: NET_IF_OPER_STATUS = 3;
pub const NET_IF_OPER_STATUS_UNKNOWN: NET_IF_OPER_STATUS = 4;
pub const NET_IF_OPER_STATUS_DORMANT: NET_IF_OPER_STATUS = 5;
pub const NET_IF_OPER_STATUS_NOT_PRESENT: NET_IF_OPER_STATUS = 6;
pub const NET_IF_OPER_STATUS_LOWER_LAYER_DOWN: NET_IF_OPER_STATUS = 7;

/// Administrative state (RFC 2863).
pub type NET_IF_ADMIN_STATUS = i32;
pub const NET_IF_ADMIN_STATUS_UP: NET_IF_ADMIN_STATUS = 1;
pub const NET_IF_ADMIN_STATUS_DOWN: NET_IF_ADMIN_STATUS = 2;
pub const NET_IF_ADMIN_STATUS_TESTING: NET_IF_ADMIN_STATUS = 3;

/// Operational state, in the IP Helper's words.
pub type IF_OPER_STATUS = i32;
pub const IfOperStatusUp: IF_OPER_STATUS = 1;
pub const IfOperStatusDown: IF_OPER_STATUS = 2;
pub const IfOperStatusTesting: IF_OPER_STATUS = 3;
pub const IfOperStatusUnknown: IF_OPER_STATUS = 4;
pub const IfOperStatusDormant: IF_OPER_STATUS = 5;
pub const IfOperStatusNotPresent: IF_OPER_STATUS = 6;
pub const IfOperStatusLowerLayerDown: IF_OPER_STATUS = 7;

/// Kind of tunnel.
pub type TUNNEL_TYPE = i32;
pub const TUNNEL_TYPE_NONE: TUNNEL_TYPE = 0;
pub const TUNNEL_TYPE_OTHER: TUNNEL_TYPE = 1;
pub const TUNNEL_TYPE_DIRECT: TUNNEL_TYPE = 2;
pub const TUNNEL_TYPE_6TO4: TUNNEL_TYPE = 11;
pub const TUNNEL_TYPE_ISATAP: TUNNEL_TYPE = 13;
pub const TUNNEL_TYPE_TEREDO: TUNNEL_TYPE = 14;
pub const TUNNEL_TYPE_IPHTTPS: TUNNEL_TYPE = 15;

/// Kind of medium.
pub type NDIS_MEDIUM = i32;
pub const NdisMedium802_3: NDIS_MEDIUM = 0;
pub const NdisMedium802_5: NDIS_MEDIUM = 1;
pub const NdisMediumFddi: NDIS_MEDIUM = 2;
pub const NdisMediumWan: NDIS_MEDIUM = 3;
pub const NdisMediumLocalTalk: NDIS_MEDIUM = 4;
pub const NdisMediumDix: NDIS_MEDIUM = 5;
pub const NdisMediumArcnetRaw: NDIS_MEDIUM = 6;
pub const NdisMediumArcnet878_2: NDIS_MEDIUM = 7;
pub const NdisMediumAtm: NDIS_MEDIUM = 8;
pub const NdisMediumWirelessWan: NDIS_MEDIUM = 9;
pub const NdisMediumIrda: NDIS_MEDIUM = 10;
pub const NdisMediumBpc: NDIS_MEDIUM = 11;
pub const NdisMediumCoWan: NDIS_MEDIUM = 12;
pub const NdisMedium1394: NDIS_MEDIUM = 13;
pub const NdisMediumInfiniBand: NDIS_MEDIUM = 14;
pub const NdisMediumTunnel: NDIS_MEDIUM = 15;
pub const NdisMediumNative802_11: NDIS_MEDIUM = 16;
pub const NdisMediumLoopback: NDIS_MEDIUM = 17;
pub const NdisMediumWiMAX: NDIS_MEDIUM = 18;
pub const NdisMediumIP: NDIS_MEDIUM = 19;
pub const NdisMediumMax: NDIS_MEDIUM = 20;

/// Kind of physical medium.
pub type NDIS_PHYSICAL_MEDIUM = i32;
pub const NdisPhysicalMediumUnspecified: NDIS_PHYSICAL_MEDIUM = 0;
pub const NdisPhysicalMediumWirelessLan: NDIS_PHYSICAL_MEDIUM = 1;
pub const NdisPhysicalMediumCableModem: NDIS_PHYSICAL_MEDIUM = 2;
pub const NdisPhysicalMediumPhoneLine: NDIS_PHYSICAL_MEDIUM = 3;
pub const NdisPhysicalMediumPowerLine: NDIS_PHYSICAL_MEDIUM = 4;
pub const NdisPhysicalMediumDSL: NDIS_PHYSICAL_MEDIUM = 5;
pub const NdisPhysicalMediumFibreChannel: NDIS_PHYSICAL_MEDIUM = 6;
pub const NdisPhysicalMedium1394: NDIS_PHYSICAL_MEDIUM = 7;
pub const NdisPhysicalMediumWirelessWan: NDIS_PHYSICAL_MEDIUM = 8;
pub const NdisPhysicalMediumNative802_11: NDIS_PHYSICAL_MEDIUM = 9;
pub const NdisPhysicalMediumBluetooth: NDIS_PHYSICAL_MEDIUM = 10;
pub const NdisPhysicalMediumInfiniband: NDIS_PHYSICAL_MEDIUM = 11;
pub const NdisPhysicalMediumWiMax: NDIS_PHYSICAL_MEDIUM = 12;
pub const NdisPhysicalMediumUWB: NDIS_PHYSICAL_MEDIUM = 13;
pub const NdisPhysicalMedium802_3: NDIS_PHYSICAL_MEDIUM = 14;
pub const NdisPhysicalMedium802_5: NDIS_PHYSICAL_MEDIUM = 15;
pub const NdisPhysicalMediumIrda: NDIS_PHYSICAL_MEDIUM = 16;
pub const NdisPhysicalMediumWiredWAN: NDIS_PHYSICAL_MEDIUM = 17;
pub const NdisPhysicalMediumWiredCoWan: NDIS_PHYSICAL_MEDIUM = 18;
pub const NdisPhysicalMediumOther: NDIS_PHYSICAL_MEDIUM = 19;
pub const NdisPhysicalMediumNative802_15_4: NDIS_PHYSICAL_MEDIUM = 20;
pub const NdisPhysicalMediumMax: NDIS_PHYSICAL_MEDIUM = 21;
