//! The best route and its source address, in the strong host model: who names a source has named the interface (the page of
//! GetIpInterfaceEntry).

use super::Family;
use super::tables::{Address, INTERFACE_METRIC, Route, Tables, masked};
use ndk_types::{
    IpDadStateDeprecated, IpDadStatePreferred, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NETWORK_UNREACHABLE,
    STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED,
};
use std::cmp::Reverse;
use std::net::IpAddr;

/// Whether an address may be a source.
fn usable(address: &Address) -> bool {
    address.dad == IpDadStatePreferred || address.dad == IpDadStateDeprecated
}

/// The best route of an interface to a destination, and the source address: the one that is asked for, or the best.
pub(super) fn best(
    tables: &Tables,
    luid: u64,
    source: Option<IpAddr>,
    destination: IpAddr,
) -> Result<(Route, IpAddr), NTSTATUS> {
    if source.is_some_and(|source| Family::of(source) != Family::of(destination)) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if !tables.has(Family::of(destination)) {
        return Err(STATUS_NOT_SUPPORTED);
    }
    if let Some(source) = source {
        let mut owners = tables.addresses().filter(|address| address.ip == source && usable(address)).peekable();
        owners.peek().ok_or(STATUS_NOT_FOUND)?;
        if !owners.any(|address| address.luid == luid) {
            return Err(STATUS_NETWORK_UNREACHABLE);
        }
    }
    let leads = |route: &Route| route.luid == luid && masked(destination, route.prefix) == route.destination;
    let routes = tables.routes().filter(|route| Family::of(route.destination) == Family::of(destination));
    let rank = |(place, route): &(usize, Route)| {
        (route.prefix, Reverse(route.metric.saturating_add(INTERFACE_METRIC)), Reverse(*place))
    };
    let found = routes.filter(leads).enumerate().max_by_key(rank).ok_or(STATUS_NETWORK_UNREACHABLE)?.1;
    let source = source.or_else(|| best_source(tables, luid, destination));
    Ok((found, source.ok_or(STATUS_NETWORK_UNREACHABLE)?))
}

/// The address of an interface that suits a destination best (RFC 6724, rules 1 to 3 and 8).
pub(super) fn best_source(tables: &Tables, luid: u64, destination: IpAddr) -> Option<IpAddr> {
    let fits = |address: &Address| {
        address.luid == luid && usable(address) && Family::of(address.ip) == Family::of(destination)
    };
    let rank = |(place, address): &(usize, Address)| {
        (
            address.ip == destination,
            scope(address.ip) == scope(destination),
            address.dad == IpDadStatePreferred,
            common_bits(address.ip, destination),
            Reverse(*place),
        )
    };
    tables.addresses().filter(fits).enumerate().max_by_key(rank).map(|(_, address)| address.ip)
}

/// Whether an address is good on its link alone.
fn scope(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}
