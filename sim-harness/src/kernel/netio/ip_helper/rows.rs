//! The structures of netioapi.h, filled in from the tables, and addresses as they spell them.

use super::neighbours::{Neighbour, REACHABLE_MS, RETRANSMIT_MS};
use super::tables::{Address, INTERFACE_METRIC, IpInterface, Link, Route};
use super::{Family, Interface};
use ndk_types::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, AF_UNSPEC, IF_TYPE_ETHERNET_CSMACD, IN_ADDR, IN6_ADDR, IP_ADDRESS_PREFIX,
    IfOperStatusDown, IfOperStatusUp, IpPrefixOriginManual, IpSuffixOriginManual, LinkLocalDelayed, MIB_IF_ROW2,
    MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_IPNET_ROW2, MIB_IPNET_ROW2_ReachabilityTime, MIB_UNICASTIPADDRESS_ROW,
    MediaConnectStateConnected, MediaConnectStateDisconnected, NET_IF_ACCESS_BROADCAST, NET_IF_ADMIN_STATUS_UP,
    NET_IF_CONNECTION_DEDICATED, NET_IF_DIRECTION_SENDRECEIVE, NET_LUID, NdisMedium802_3, NdisPhysicalMedium802_3,
    NlnsUnreachable, NlroManual, RouteProtocolLocal, RouteProtocolNetMgmt, RouterDiscoveryDhcp, RouterDiscoveryEnabled,
    SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET, TUNNEL_TYPE_NONE,
};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// "For ever", in seconds.
const INFINITE: u32 = u32::MAX;
/// Bits a second.
const SPEED: u64 = 10_000_000_000;
/// The smallest link IPv6 runs on (RFC 8200, 5).
const SMALLEST_V6: u32 = 1280;
const IS_ROUTER: u8 = 1;
const IS_UNREACHABLE: u8 = 2;
const HARDWARE_INTERFACE: u8 = 1;
const CONNECTOR_PRESENT: u8 = 1 << 2;
const NOT_MEDIA_CONNECTED: u8 = 1 << 4;

/// The number of a protocol.
pub(super) fn family_number(family: Family) -> ADDRESS_FAMILY {
    match family {
        Family::V4 => AF_INET as ADDRESS_FAMILY,
        Family::V6 => AF_INET6 as ADDRESS_FAMILY,
    }
}

/// One protocol or, as `None`, both; an error for any other number.
pub(super) fn families(number: ADDRESS_FAMILY) -> Result<Option<Family>, ()> {
    match u32::from(number) {
        AF_UNSPEC => Ok(None),
        AF_INET => Ok(Some(Family::V4)),
        AF_INET6 => Ok(Some(Family::V6)),
        _ => Err(()),
    }
}

/// An address as rows spell it; a link-local one belongs to the interface with this index.
pub(super) fn from_ip(ip: IpAddr, index: u32) -> SOCKADDR_INET {
    // SAFETY: zero is a value of every field.
    let mut whole = unsafe { mem::zeroed::<SOCKADDR_INET>() };
    match ip {
        IpAddr::V4(ip) => {
            let sin_addr = IN_ADDR { S_addr: u32::from_ne_bytes(ip.octets()) };
            whole.Ipv4 = SOCKADDR_IN { sin_family: AF_INET as u16, sin_addr, ..SOCKADDR_IN::default() };
        }
        IpAddr::V6(ip) => {
            whole.Ipv6 = SOCKADDR_IN6 {
                sin6_family: AF_INET6 as u16,
                sin6_addr: IN6_ADDR { Byte: ip.octets() },
                sin6_scope_id: if ip.is_unicast_link_local() { index } else { 0 },
                ..SOCKADDR_IN6::default()
            };
        }
    }
    whole
}

/// The address in a row; `None` for another family.
pub(super) fn to_ip(address: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every member of the union begins with the family.
    let family = unsafe { address.si_family };
    match families(family).ok()?? {
        Family::V4 => {
            // SAFETY: the family says so, and every bit pattern is an address.
            let v4 = unsafe { address.Ipv4 };
            Some(Ipv4Addr::from(v4.sin_addr.S_addr.to_ne_bytes()).into())
        }
        Family::V6 => {
            // SAFETY: as above.
            let v6 = unsafe { address.Ipv6 };
            Some(Ipv6Addr::from(v6.sin6_addr.Byte).into())
        }
    }
}

/// A row of GetUnicastIpAddressTable.
pub(super) fn unicast(address: &Address) -> MIB_UNICASTIPADDRESS_ROW {
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { mem::zeroed::<MIB_UNICASTIPADDRESS_ROW>() };
    row.Address = from_ip(address.ip, address.index);
    row.InterfaceLuid = NET_LUID { Value: address.luid };
    row.InterfaceIndex = address.index;
    row.PrefixOrigin = IpPrefixOriginManual;
    row.SuffixOrigin = IpSuffixOriginManual;
    row.ValidLifetime = INFINITE;
    row.PreferredLifetime = INFINITE;
    row.OnLinkPrefixLength = address.prefix;
    row.DadState = address.dad;
    row
}

/// A route, as GetBestRoute2 gives it.
pub(super) fn forward(route: &Route) -> MIB_IPFORWARD_ROW2 {
    let unspecified = match Family::of(route.destination) {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    MIB_IPFORWARD_ROW2 {
        InterfaceLuid: NET_LUID { Value: route.luid },
        InterfaceIndex: route.index,
        DestinationPrefix: IP_ADDRESS_PREFIX {
            Prefix: from_ip(route.destination, route.index),
            PrefixLength: route.prefix,
        },
        NextHop: from_ip(route.next_hop.unwrap_or(unspecified), route.index),
        SitePrefixLength: 0,
        ValidLifetime: INFINITE,
        PreferredLifetime: INFINITE,
        Metric: route.metric,
        Protocol: if route.derived { RouteProtocolLocal } else { RouteProtocolNetMgmt },
        Loopback: route.loopback.into(),
        AutoconfigureAddress: route.derived.into(),
        Publish: 0,
        Immortal: 1,
        Age: 0,
        Origin: NlroManual,
    }
}

/// IP on an interface, as GetIpInterfaceEntry gives it.
pub(super) fn ip_interface(interface: &IpInterface) -> MIB_IPINTERFACE_ROW {
    let &IpInterface { luid, index, family, mtu, mac, up } = interface;
    let v6 = family == Family::V6;
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { mem::zeroed::<MIB_IPINTERFACE_ROW>() };
    row.Family = family_number(family);
    row.InterfaceLuid = NET_LUID { Value: luid };
    row.InterfaceIndex = index;
    row.MaxReassemblySize = 65_535;
    // A modified EUI-64 (RFC 4291, appendix A).
    row.InterfaceIdentifier = u64::from_ne_bytes([mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]]);
    row.MinRouterAdvertisementInterval = 200;
    row.MaxRouterAdvertisementInterval = 600;
    row.UseAutomaticMetric = 1;
    row.UseNeighborUnreachabilityDetection = 1;
    row.RouterDiscoveryBehavior = if v6 { RouterDiscoveryEnabled } else { RouterDiscoveryDhcp };
    row.DadTransmits = if v6 { 1 } else { 3 };
    row.BaseReachableTime = REACHABLE_MS;
    row.RetransmitTime = RETRANSMIT_MS;
    row.PathMtuDiscoveryTimeout = 600_000;
    row.LinkLocalAddressBehavior = LinkLocalDelayed;
    row.ZoneIndices = [index; 16];
    row.SitePrefixLength = if v6 { 64 } else { 0 };
    row.Metric = INTERFACE_METRIC;
    row.NlMtu = if v6 { mtu.max(SMALLEST_V6) } else { mtu };
    row.Connected = up.into();
    row.SupportsNeighborDiscovery = 1;
    row.SupportsRouterDiscovery = 1;
    row.ReachableTime = REACHABLE_MS;
    row
}

/// An interface, as GetIfEntry2 gives it.
pub(super) fn interface(link: &Link) -> MIB_IF_ROW2 {
    let Link { interface: Interface { luid, index, alias, mtu, mac }, up } = link;
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { mem::zeroed::<MIB_IF_ROW2>() };
    row.InterfaceLuid = NET_LUID { Value: *luid };
    row.InterfaceIndex = *index;
    // The last character stays the terminating one.
    let room = row.Alias.len() - 1;
    for (place, unit) in row.Alias.iter_mut().zip(alias.encode_utf16().take(room)) {
        *place = unit;
    }
    row.Description = row.Alias;
    row.PhysicalAddressLength = 6;
    row.PhysicalAddress[..6].copy_from_slice(mac);
    row.PermanentPhysicalAddress[..6].copy_from_slice(mac);
    row.Mtu = *mtu;
    row.Type = u32::from(IF_TYPE_ETHERNET_CSMACD);
    row.TunnelType = TUNNEL_TYPE_NONE;
    row.MediaType = NdisMedium802_3;
    row.PhysicalMediumType = NdisPhysicalMedium802_3;
    row.AccessType = NET_IF_ACCESS_BROADCAST;
    row.DirectionType = NET_IF_DIRECTION_SENDRECEIVE;
    row.InterfaceAndOperStatusFlags = HARDWARE_INTERFACE | CONNECTOR_PRESENT;
    if !up {
        row.InterfaceAndOperStatusFlags |= NOT_MEDIA_CONNECTED;
    }
    row.OperStatus = if *up { IfOperStatusUp } else { IfOperStatusDown };
    row.AdminStatus = NET_IF_ADMIN_STATUS_UP;
    row.MediaConnectState = if *up { MediaConnectStateConnected } else { MediaConnectStateDisconnected };
    row.ConnectionType = NET_IF_CONNECTION_DEDICATED;
    row.TransmitLinkSpeed = SPEED;
    row.ReceiveLinkSpeed = SPEED;
    row
}

/// Fills in what is known of the neighbour whose keys a row has.
pub(super) fn fill_neighbour(row: &mut MIB_IPNET_ROW2, interface: &Interface, neighbour: Neighbour, router: bool) {
    row.InterfaceLuid = NET_LUID { Value: interface.luid };
    row.InterfaceIndex = interface.index;
    row.PhysicalAddress = [0; 32];
    row.PhysicalAddressLength = 0;
    if let Some(mac) = neighbour.mac {
        row.PhysicalAddress[..6].copy_from_slice(&mac);
        row.PhysicalAddressLength = 6;
    }
    row.State = neighbour.state;
    row.Flags = if router { IS_ROUTER } else { 0 };
    if neighbour.state == NlnsUnreachable {
        row.Flags |= IS_UNREACHABLE;
    }
    row.ReachabilityTime = MIB_IPNET_ROW2_ReachabilityTime { LastReachable: REACHABLE_MS };
}
