//! nldef.h, netioapi.h: the IP Helper of netio.sys: addresses, routes, neighbours, change notifications.

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents fields and constants")]

use crate::{
    ADDRESS_FAMILY, BOOLEAN, GUID, IF_OPER_STATUS, IFTYPE, LARGE_INTEGER, NDIS_MEDIUM, NDIS_PHYSICAL_MEDIUM,
    NET_IF_ACCESS_TYPE, NET_IF_ADMIN_STATUS, NET_IF_CONNECTION_TYPE, NET_IF_DIRECTION_TYPE, NET_IF_MEDIA_CONNECT_STATE,
    NET_IF_NETWORK_GUID, NET_IFINDEX, NET_LUID, SCOPE_ID, SOCKADDR_INET, TUNNEL_TYPE, abi, layout,
};
use core::ffi::c_void;

/// Where an address prefix comes from.
pub type NL_PREFIX_ORIGIN = i32;
pub const IpPrefixOriginOther: NL_PREFIX_ORIGIN = 0;
pub const IpPrefixOriginManual: NL_PREFIX_ORIGIN = 1;
pub const IpPrefixOriginWellKnown: NL_PREFIX_ORIGIN = 2;
pub const IpPrefixOriginDhcp: NL_PREFIX_ORIGIN = 3;
pub const IpPrefixOriginRouterAdvertisement: NL_PREFIX_ORIGIN = 4;
pub const IpPrefixOriginUnchanged: NL_PREFIX_ORIGIN = 16;

/// Where an address suffix comes from.
pub type NL_SUFFIX_ORIGIN = i32;
pub const NlsoOther: NL_SUFFIX_ORIGIN = 0;
pub const NlsoManual: NL_SUFFIX_ORIGIN = 1;
pub const NlsoWellKnown: NL_SUFFIX_ORIGIN = 2;
pub const NlsoDhcp: NL_SUFFIX_ORIGIN = 3;
pub const NlsoLinkLayerAddress: NL_SUFFIX_ORIGIN = 4;
pub const NlsoRandom: NL_SUFFIX_ORIGIN = 5;
pub const IpSuffixOriginOther: NL_SUFFIX_ORIGIN = 0;
pub const IpSuffixOriginManual: NL_SUFFIX_ORIGIN = 1;
pub const IpSuffixOriginWellKnown: NL_SUFFIX_ORIGIN = 2;
pub const IpSuffixOriginDhcp: NL_SUFFIX_ORIGIN = 3;
pub const IpSuffixOriginLinkLayerAddress: NL_SUFFIX_ORIGIN = 4;
pub const IpSuffixOriginRandom: NL_SUFFIX_ORIGIN = 5;
pub const IpSuffixOriginUnchanged: NL_SUFFIX_ORIGIN = 16;

/// State of duplicate address detection.
pub type NL_DAD_STATE = i32;
pub const NldsInvalid: NL_DAD_STATE = 0;
pub const NldsTentative: NL_DAD_STATE = 1;
pub const NldsDuplicate: NL_DAD_STATE = 2;
pub const NldsDeprecated: NL_DAD_STATE = 3;
pub const NldsPreferred: NL_DAD_STATE = 4;
pub const IpDadStateInvalid: NL_DAD_STATE = 0;
pub const IpDadStateTentative: NL_DAD_STATE = 1;
pub const IpDadStateDuplicate: NL_DAD_STATE = 2;
pub const IpDadStateDeprecated: NL_DAD_STATE = 3;
pub const IpDadStatePreferred: NL_DAD_STATE = 4;

/// State of a neighbour.
pub type NL_NEIGHBOR_STATE = i32;
pub const NlnsUnreachable: NL_NEIGHBOR_STATE = 0;
pub const NlnsIncomplete: NL_NEIGHBOR_STATE = 1;
pub const NlnsProbe: NL_NEIGHBOR_STATE = 2;
pub const NlnsDelay: NL_NEIGHBOR_STATE = 3;
pub const NlnsStale: NL_NEIGHBOR_STATE = 4;
pub const NlnsReachable: NL_NEIGHBOR_STATE = 5;
pub const NlnsPermanent: NL_NEIGHBOR_STATE = 6;
pub const NlnsMaximum: NL_NEIGHBOR_STATE = 7;

/// Where a route comes from.
pub type NL_ROUTE_ORIGIN = i32;
pub const NlroManual: NL_ROUTE_ORIGIN = 0;
pub const NlroWellKnown: NL_ROUTE_ORIGIN = 1;
pub const NlroDHCP: NL_ROUTE_ORIGIN = 2;
pub const NlroRouterAdvertisement: NL_ROUTE_ORIGIN = 3;
pub const Nlro6to4: NL_ROUTE_ORIGIN = 4;

/// What happened to a row.
pub type MIB_NOTIFICATION_TYPE = i32;
pub const MibParameterNotification: MIB_NOTIFICATION_TYPE = 0;
pub const MibAddInstance: MIB_NOTIFICATION_TYPE = 1;
pub const MibDeleteInstance: MIB_NOTIFICATION_TYPE = 2;
pub const MibInitialNotification: MIB_NOTIFICATION_TYPE = 3;

/// Which protocol made a route.
pub type NL_ROUTE_PROTOCOL = i32;
pub const RouteProtocolOther: NL_ROUTE_PROTOCOL = 1;
pub const RouteProtocolLocal: NL_ROUTE_PROTOCOL = 2;
pub const RouteProtocolNetMgmt: NL_ROUTE_PROTOCOL = 3;
pub const RouteProtocolIcmp: NL_ROUTE_PROTOCOL = 4;
pub const RouteProtocolEgp: NL_ROUTE_PROTOCOL = 5;
pub const RouteProtocolGgp: NL_ROUTE_PROTOCOL = 6;
pub const RouteProtocolHello: NL_ROUTE_PROTOCOL = 7;
pub const RouteProtocolRip: NL_ROUTE_PROTOCOL = 8;
pub const RouteProtocolIsIs: NL_ROUTE_PROTOCOL = 9;
pub const RouteProtocolEsIs: NL_ROUTE_PROTOCOL = 10;
pub const RouteProtocolCisco: NL_ROUTE_PROTOCOL = 11;
pub const RouteProtocolBbn: NL_ROUTE_PROTOCOL = 12;
pub const RouteProtocolOspf: NL_ROUTE_PROTOCOL = 13;
pub const RouteProtocolBgp: NL_ROUTE_PROTOCOL = 14;
pub const RouteProtocolIdpr: NL_ROUTE_PROTOCOL = 15;
pub const RouteProtocolEigrp: NL_ROUTE_PROTOCOL = 16;
pub const RouteProtocolDvmrp: NL_ROUTE_PROTOCOL = 17;
pub const RouteProtocolRpl: NL_ROUTE_PROTOCOL = 18;
pub const RouteProtocolDhcp: NL_ROUTE_PROTOCOL = 19;

/// A local address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_UNICASTIPADDRESS_ROW {
    pub Address: SOCKADDR_INET,
    pub InterfaceLuid: NET_LUID,
    pub InterfaceIndex: NET_IFINDEX,
    pub PrefixOrigin: NL_PREFIX_ORIGIN,
    pub SuffixOrigin: NL_SUFFIX_ORIGIN,
    pub ValidLifetime: u32,
    pub PreferredLifetime: u32,
    pub OnLinkPrefixLength: u8,
    pub SkipAsSource: BOOLEAN,
    pub DadState: NL_DAD_STATE,
    pub ScopeId: SCOPE_ID,
    pub CreationTimeStamp: LARGE_INTEGER,
}

layout!(
    MIB_UNICASTIPADDRESS_ROW, 80, 8, Address 0, InterfaceLuid 32, InterfaceIndex 40, PrefixOrigin 44, SuffixOrigin
    48, ValidLifetime 52, PreferredLifetime 56, OnLinkPrefixLength 60, SkipAsSource 61, DadState 64, ScopeId 68,
    CreationTimeStamp 72
);

/// Local addresses; the array goes on past its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_UNICASTIPADDRESS_TABLE {
    pub NumEntries: u32,
    pub Table: [MIB_UNICASTIPADDRESS_ROW; 1],
}

layout!(MIB_UNICASTIPADDRESS_TABLE, 88, 8, NumEntries 0, Table 8);

/// An address prefix.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IP_ADDRESS_PREFIX {
    pub Prefix: SOCKADDR_INET,
    pub PrefixLength: u8,
}

layout!(IP_ADDRESS_PREFIX, 32, 4, Prefix 0, PrefixLength 28);

/// A route.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IPFORWARD_ROW2 {
    pub InterfaceLuid: NET_LUID,
    pub InterfaceIndex: NET_IFINDEX,
    pub DestinationPrefix: IP_ADDRESS_PREFIX,
    pub NextHop: SOCKADDR_INET,
    pub SitePrefixLength: u8,
    pub ValidLifetime: u32,
    pub PreferredLifetime: u32,
    pub Metric: u32,
    pub Protocol: NL_ROUTE_PROTOCOL,
    pub Loopback: BOOLEAN,
    pub AutoconfigureAddress: BOOLEAN,
    pub Publish: BOOLEAN,
    pub Immortal: BOOLEAN,
    pub Age: u32,
    pub Origin: NL_ROUTE_ORIGIN,
}

layout!(
    MIB_IPFORWARD_ROW2, 104, 8, InterfaceLuid 0, InterfaceIndex 8, DestinationPrefix 12, NextHop 44,
    SitePrefixLength 72, ValidLifetime 76, PreferredLifetime 80, Metric 84, Protocol 88, Loopback 92,
    AutoconfigureAddress 93, Publish 94, Immortal 95, Age 96, Origin 100
);

/// Routes; the array goes on past its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IPFORWARD_TABLE2 {
    pub NumEntries: u32,
    pub Table: [MIB_IPFORWARD_ROW2; 1],
}

layout!(MIB_IPFORWARD_TABLE2, 112, 8, NumEntries 0, Table 8);

/// When a neighbour was last reached, or not.
#[repr(C)]
#[derive(Clone, Copy)]
pub union MIB_IPNET_ROW2_ReachabilityTime {
    pub LastReachable: u32,
    pub LastUnreachable: u32,
}

/// A neighbour. Flags: IsRouter in bit 0, IsUnreachable in bit 1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IPNET_ROW2 {
    pub Address: SOCKADDR_INET,
    pub InterfaceIndex: NET_IFINDEX,
    pub InterfaceLuid: NET_LUID,
    pub PhysicalAddress: [u8; 32],
    pub PhysicalAddressLength: u32,
    pub State: NL_NEIGHBOR_STATE,
    pub Flags: u8,
    pub ReachabilityTime: MIB_IPNET_ROW2_ReachabilityTime,
}

layout!(
    MIB_IPNET_ROW2, 88, 8, Address 0, InterfaceIndex 28, InterfaceLuid 32, PhysicalAddress 40,
    PhysicalAddressLength 72, State 76, Flags 80, ReachabilityTime 84, ReachabilityTime.LastReachable 84,
    ReachabilityTime.LastUnreachable 84
);

/// Neighbours; the array goes on past its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IPNET_TABLE2 {
    pub NumEntries: u32,
    pub Table: [MIB_IPNET_ROW2; 1],
}

layout!(MIB_IPNET_TABLE2, 96, 8, NumEntries 0, Table 8);

/// An interface. InterfaceAndOperStatusFlags: HardwareInterface, FilterInterface, ConnectorPresent, NotAuthenticated,
/// NotMediaConnected, Paused, LowPower, EndPointInterface in bits 0 to 7.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IF_ROW2 {
    pub InterfaceLuid: NET_LUID,
    pub InterfaceIndex: NET_IFINDEX,
    pub InterfaceGuid: GUID,
    pub Alias: [u16; 257],
    pub Description: [u16; 257],
    pub PhysicalAddressLength: u32,
    pub PhysicalAddress: [u8; 32],
    pub PermanentPhysicalAddress: [u8; 32],
    pub Mtu: u32,
    pub Type: IFTYPE,
    pub TunnelType: TUNNEL_TYPE,
    pub MediaType: NDIS_MEDIUM,
    pub PhysicalMediumType: NDIS_PHYSICAL_MEDIUM,
    pub AccessType: NET_IF_ACCESS_TYPE,
    pub DirectionType: NET_IF_DIRECTION_TYPE,
    pub InterfaceAndOperStatusFlags: u8,
    pub OperStatus: IF_OPER_STATUS,
    pub AdminStatus: NET_IF_ADMIN_STATUS,
    pub MediaConnectState: NET_IF_MEDIA_CONNECT_STATE,
    pub NetworkGuid: NET_IF_NETWORK_GUID,
    pub ConnectionType: NET_IF_CONNECTION_TYPE,
    pub TransmitLinkSpeed: u64,
    pub ReceiveLinkSpeed: u64,
    pub InOctets: u64,
    pub InUcastPkts: u64,
    pub InNUcastPkts: u64,
    pub InDiscards: u64,
    pub InErrors: u64,
    pub InUnknownProtos: u64,
    pub InUcastOctets: u64,
    pub InMulticastOctets: u64,
    pub InBroadcastOctets: u64,
    pub OutOctets: u64,
    pub OutUcastPkts: u64,
    pub OutNUcastPkts: u64,
    pub OutDiscards: u64,
    pub OutErrors: u64,
    pub OutUcastOctets: u64,
    pub OutMulticastOctets: u64,
    pub OutBroadcastOctets: u64,
    pub OutQLen: u64,
}

layout!(
    MIB_IF_ROW2, 1352, 8, InterfaceLuid 0, InterfaceIndex 8, InterfaceGuid 12, Alias 28, Description 542,
    PhysicalAddressLength 1056, PhysicalAddress 1060, PermanentPhysicalAddress 1092, Mtu 1124, Type 1128,
    TunnelType 1132, MediaType 1136, PhysicalMediumType 1140, AccessType 1144, DirectionType 1148,
    InterfaceAndOperStatusFlags 1152, OperStatus 1156, AdminStatus 1160, MediaConnectState 1164, NetworkGuid 1168,
    ConnectionType 1184, TransmitLinkSpeed 1192, ReceiveLinkSpeed 1200, InOctets 1208, InUcastPkts 1216,
    InNUcastPkts 1224, InDiscards 1232, InErrors 1240, InUnknownProtos 1248, InUcastOctets 1256, InMulticastOctets
    1264, InBroadcastOctets 1272, OutOctets 1280, OutUcastPkts 1288, OutNUcastPkts 1296, OutDiscards 1304,
    OutErrors 1312, OutUcastOctets 1320, OutMulticastOctets 1328, OutBroadcastOctets 1336, OutQLen 1344
);

/// Whether routers are looked for.
pub type NL_ROUTER_DISCOVERY_BEHAVIOR = i32;
pub const RouterDiscoveryDisabled: NL_ROUTER_DISCOVERY_BEHAVIOR = 0;
pub const RouterDiscoveryEnabled: NL_ROUTER_DISCOVERY_BEHAVIOR = 1;
pub const RouterDiscoveryDhcp: NL_ROUTER_DISCOVERY_BEHAVIOR = 2;
pub const RouterDiscoveryUnchanged: NL_ROUTER_DISCOVERY_BEHAVIOR = -1;

/// Whether link-local addresses are made.
pub type NL_LINK_LOCAL_ADDRESS_BEHAVIOR = i32;
pub const LinkLocalAlwaysOff: NL_LINK_LOCAL_ADDRESS_BEHAVIOR = 0;
pub const LinkLocalDelayed: NL_LINK_LOCAL_ADDRESS_BEHAVIOR = 1;
pub const LinkLocalAlwaysOn: NL_LINK_LOCAL_ADDRESS_BEHAVIOR = 2;
pub const LinkLocalUnchanged: NL_LINK_LOCAL_ADDRESS_BEHAVIOR = -1;

/// IP on an interface; the offload bytes are NL_INTERFACE_OFFLOAD_ROD.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MIB_IPINTERFACE_ROW {
    pub Family: ADDRESS_FAMILY,
    pub InterfaceLuid: NET_LUID,
    pub InterfaceIndex: NET_IFINDEX,
    pub MaxReassemblySize: u32,
    pub InterfaceIdentifier: u64,
    pub MinRouterAdvertisementInterval: u32,
    pub MaxRouterAdvertisementInterval: u32,
    pub AdvertisingEnabled: BOOLEAN,
    pub ForwardingEnabled: BOOLEAN,
    pub WeakHostSend: BOOLEAN,
    pub WeakHostReceive: BOOLEAN,
    pub UseAutomaticMetric: BOOLEAN,
    pub UseNeighborUnreachabilityDetection: BOOLEAN,
    pub ManagedAddressConfigurationSupported: BOOLEAN,
    pub OtherStatefulConfigurationSupported: BOOLEAN,
    pub AdvertiseDefaultRoute: BOOLEAN,
    pub RouterDiscoveryBehavior: NL_ROUTER_DISCOVERY_BEHAVIOR,
    pub DadTransmits: u32,
    pub BaseReachableTime: u32,
    pub RetransmitTime: u32,
    pub PathMtuDiscoveryTimeout: u32,
    pub LinkLocalAddressBehavior: NL_LINK_LOCAL_ADDRESS_BEHAVIOR,
    pub LinkLocalAddressTimeout: u32,
    pub ZoneIndices: [u32; 16],
    pub SitePrefixLength: u32,
    pub Metric: u32,
    pub NlMtu: u32,
    pub Connected: BOOLEAN,
    pub SupportsWakeUpPatterns: BOOLEAN,
    pub SupportsNeighborDiscovery: BOOLEAN,
    pub SupportsRouterDiscovery: BOOLEAN,
    pub ReachableTime: u32,
    pub TransmitOffload: u8,
    pub ReceiveOffload: u8,
    pub DisableDefaultRoutes: BOOLEAN,
}

layout!(
    MIB_IPINTERFACE_ROW, 168, 8, Family 0, InterfaceLuid 8, InterfaceIndex 16, MaxReassemblySize 20,
    InterfaceIdentifier 24, MinRouterAdvertisementInterval 32, MaxRouterAdvertisementInterval 36,
    AdvertisingEnabled 40, ForwardingEnabled 41, WeakHostSend 42, WeakHostReceive 43, UseAutomaticMetric 44,
    UseNeighborUnreachabilityDetection 45, ManagedAddressConfigurationSupported 46,
    OtherStatefulConfigurationSupported 47, AdvertiseDefaultRoute 48, RouterDiscoveryBehavior 52, DadTransmits 56,
    BaseReachableTime 60, RetransmitTime 64, PathMtuDiscoveryTimeout 68, LinkLocalAddressBehavior 72,
    LinkLocalAddressTimeout 76, ZoneIndices 80, SitePrefixLength 144, Metric 148, NlMtu 152, Connected 156,
    SupportsWakeUpPatterns 157, SupportsNeighborDiscovery 158, SupportsRouterDiscovery 159, ReachableTime 160,
    TransmitOffload 164, ReceiveOffload 165, DisableDefaultRoutes 166
);

abi! {
    /// A local address changed. PASSIVE_LEVEL.
    pub type PUNICAST_IPADDRESS_CHANGE_CALLBACK = Option<unsafe extern "C" fn(
        CallerContext: *mut c_void,
        Row: *mut MIB_UNICASTIPADDRESS_ROW,
        NotificationType: MIB_NOTIFICATION_TYPE
    )>;

    /// A route changed. PASSIVE_LEVEL.
    pub type PIPFORWARD_CHANGE_CALLBACK = Option<unsafe extern "C" fn(
        CallerContext: *mut c_void,
        Row: *mut MIB_IPFORWARD_ROW2,
        NotificationType: MIB_NOTIFICATION_TYPE
    )>;

    /// An IP interface changed. PASSIVE_LEVEL.
    pub type PIPINTERFACE_CHANGE_CALLBACK = Option<unsafe extern "C" fn(
        CallerContext: *mut c_void,
        Row: *mut MIB_IPINTERFACE_ROW,
        NotificationType: MIB_NOTIFICATION_TYPE
    )>;
}
