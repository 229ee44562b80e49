//! The questions put to IP Helper, each at PASSIVE_LEVEL: which addresses an interface has, and where a frame to another goes.

use super::Addresses;
use super::sockaddr::{from_ip, to_ip};
use core::net::IpAddr;
use core::ptr::null_mut;
use ndk_provider::platform::Unresolved;
use ndk_types::{
    ConvertInterfaceLuidToIndex, FreeMibTable, GetBestRoute2, GetIpNetEntry2, GetUnicastIpAddressTable,
    IpDadStateDeprecated, IpDadStatePreferred, MIB_IPFORWARD_ROW2, MIB_IPNET_ROW2, MIB_UNICASTIPADDRESS_TABLE,
    NET_LUID, NTSTATUS, NlnsPermanent, NlnsReachable, ResolveIpNetEntry2, SOCKADDR_INET, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_NO_MEMORY, STATUS_NOT_FOUND, STATUS_SUCCESS,
};

/// Both families (AF_UNSPEC).
pub const ANY_FAMILY: u16 = 0;

/// The addresses of an interface that may be used now; `None`: they could not be had.
pub fn addresses(luid: u64) -> Option<Addresses> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = null_mut();
    // SAFETY: GetUnicastIpAddressTable: a place for the table, PASSIVE_LEVEL.
    let status = unsafe { GetUnicastIpAddressTable(ANY_FAMILY, &raw mut table) };
    // The machine has none at all any more.
    if status == STATUS_NOT_FOUND {
        return Some(Addresses::none());
    }
    if status != STATUS_SUCCESS || table.is_null() {
        return None;
    }
    // SAFETY: on success a whole table, ours until it is freed.
    let rows = unsafe { (*table).NumEntries } as usize;
    // SAFETY: as above.
    let first = unsafe { &raw const (*table).Table }.cast::<ndk_types::MIB_UNICASTIPADDRESS_ROW>();
    // SAFETY: NumEntries rows follow one another from the first.
    let rows = unsafe { core::slice::from_raw_parts(first, rows) };
    let mut found = Addresses::none();
    for row in rows {
        // SAFETY: every bit pattern of a NET_LUID is a Value.
        let of_ours = unsafe { row.InterfaceLuid.Value } == luid;
        let usable = row.DadState == IpDadStatePreferred || row.DadState == IpDadStateDeprecated;
        if let Some(address) = to_ip(&row.Address).filter(|_| of_ours && usable) {
            found.add(address);
        }
    }
    // SAFETY: FreeMibTable: the table from above, once.
    unsafe { FreeMibTable(table.cast()) };
    Some(found)
}

/// The hardware address of the next hop from one of the interface's addresses. Waits for the neighbour to answer.
pub fn next_hop(luid: u64, local: IpAddr, remote: IpAddr) -> Result<[u8; 6], Unresolved> {
    let interface = NET_LUID { Value: luid };
    let mut index = 0;
    // SAFETY: ConvertInterfaceLuidToIndex: both places are ours.
    let status = unsafe { ConvertInterfaceLuidToIndex(&raw const interface, &raw mut index) };
    if status != STATUS_SUCCESS {
        return Err(Unresolved::NetworkUnreachable);
    }
    let source = from_ip(local, index);
    let gateway = gateway(interface, &source, &from_ip(remote, index))?;
    let next = if gateway.is_unspecified() { remote } else { gateway };
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { core::mem::zeroed::<MIB_IPNET_ROW2>() };
    row.Address = from_ip(next, index);
    row.InterfaceLuid = interface;
    // SAFETY: GetIpNetEntry2: a row with its keys set, PASSIVE_LEVEL.
    let known = unsafe { GetIpNetEntry2(&raw mut row) } == STATUS_SUCCESS;
    let fresh = known && (row.State == NlnsReachable || row.State == NlnsPermanent);
    if let Some(mac) = mac(&row).filter(|_| fresh) {
        return Ok(mac);
    }
    // SAFETY: ResolveIpNetEntry2: as above; it waits for the neighbour.
    let status = unsafe { ResolveIpNetEntry2(&raw mut row, &raw const source) };
    match mac(&row) {
        Some(mac) if status == STATUS_SUCCESS => Ok(mac),
        _ => Err(no_memory(status).unwrap_or(Unresolved::HostUnreachable)),
    }
}

/// Where the best route from `source` goes; unspecified: straight to the destination.
fn gateway(mut interface: NET_LUID, source: &SOCKADDR_INET, destination: &SOCKADDR_INET) -> Result<IpAddr, Unresolved> {
    // SAFETY: zero is a value of every field.
    let mut route = unsafe { core::mem::zeroed::<MIB_IPFORWARD_ROW2>() };
    // SAFETY: as above.
    let mut best = unsafe { core::mem::zeroed::<SOCKADDR_INET>() };
    // SAFETY: GetBestRoute2: addresses and places of ours, PASSIVE_LEVEL.
    let status = unsafe { GetBestRoute2(&raw mut interface, 0, source, destination, 0, &raw mut route, &raw mut best) };
    if status != STATUS_SUCCESS {
        return Err(no_memory(status).unwrap_or(Unresolved::NetworkUnreachable));
    }
    to_ip(&route.NextHop).ok_or(Unresolved::NetworkUnreachable)
}

fn mac(row: &MIB_IPNET_ROW2) -> Option<[u8; 6]> {
    let mac: [u8; 6] = row.PhysicalAddress.first_chunk().copied()?;
    (row.PhysicalAddressLength == 6 && mac != [0; 6]).then_some(mac)
}

/// The pages say STATUS_NOT_ENOUGH_MEMORY, which ntstatus.h has not: either of what it has may be meant.
fn no_memory(status: NTSTATUS) -> Option<Unresolved> {
    [STATUS_INSUFFICIENT_RESOURCES, STATUS_NO_MEMORY].contains(&status).then_some(Unresolved::NoResources)
}
