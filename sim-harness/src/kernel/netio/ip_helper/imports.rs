//! What an image may import of IP Helper, each function as its page in the driver documentation has it ("<name> function").

use super::neighbours::{self, Neighbour};
use super::notifications::{self, Callback};
use super::tables::Link;
use super::{Family, Interface, State, conversions, routing, rows};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::pool::BadFree;
use ndk_types::{
    ADDRESS_FAMILY, BOOLEAN, HANDLE, MIB_IF_ROW2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_IPNET_ROW2,
    MIB_UNICASTIPADDRESS_ROW, MIB_UNICASTIPADDRESS_TABLE, NET_IFINDEX, NET_LUID, NTSTATUS, PIPFORWARD_CHANGE_CALLBACK,
    PIPINTERFACE_CHANGE_CALLBACK, PUNICAST_IPADDRESS_CHANGE_CALLBACK, SOCKADDR_INET, STATUS_BAD_NETWORK_NAME,
    STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use std::ffi::c_void;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr};
use std::ptr;

/// The tag of tables.
const TAG: u32 = u32::from_le_bytes(*b"MibT");

/// The interface that a LUID names or, where that is zero, an index.
pub(super) fn find(state: &State, luid: NET_LUID, index: NET_IFINDEX) -> Option<&Link> {
    // SAFETY: every bit pattern is a value.
    let luid = unsafe { luid.Value };
    let named = |link: &&Link| if luid == 0 { link.interface.index == index } else { link.interface.luid == luid };
    state.tables.links().find(named)
}

/// Whether neither is given.
pub(super) fn unspecified(luid: NET_LUID, index: NET_IFINDEX) -> bool {
    // SAFETY: every bit pattern is a value.
    index == 0 && unsafe { luid.Value } == 0
}

fn status(result: Result<(), NTSTATUS>) -> NTSTATUS {
    result.err().unwrap_or(STATUS_SUCCESS)
}

fn unicast_table(family: ADDRESS_FAMILY) -> Result<*mut MIB_UNICASTIPADDRESS_TABLE, NTSTATUS> {
    let machine = Machine::current();
    let family = rows::families(family).map_err(|()| STATUS_INVALID_PARAMETER)?;
    if machine.take_failure("GetUnicastIpAddressTable") {
        return Err(STATUS_NO_MEMORY);
    }
    let mut state = machine.netio.ip_helper.state();
    if family.is_some_and(|family| !state.tables.has(family)) {
        return Err(STATUS_NOT_SUPPORTED);
    }
    let wanted = |ip| family.is_none_or(|family| family == Family::of(ip));
    let all: Vec<_> = state.tables.addresses().filter(|row| wanted(row.ip)).map(|row| rows::unicast(&row)).collect();
    if all.is_empty() {
        return Err(STATUS_NOT_FOUND);
    }
    let first = offset_of!(MIB_UNICASTIPADDRESS_TABLE, Table);
    let bytes = first + size_of_val(all.as_slice());
    let block = machine.nt.pool.allocate(&machine.nt.memory, bytes, TAG, false).ok_or(STATUS_NO_MEMORY)?;
    // SAFETY: the block is large enough, and blocks are aligned for it.
    unsafe { block.cast::<u32>().write(all.len() as u32) };
    // SAFETY: as above.
    let rows = unsafe { block.add(first) }.cast::<MIB_UNICASTIPADDRESS_ROW>();
    // SAFETY: as above: so many rows are behind the number.
    unsafe { ptr::copy_nonoverlapping(all.as_ptr(), rows, all.len()) };
    state.freed.remove(&block.addr());
    state.live.insert(block.addr());
    Ok(block.cast())
}

fn free_table(memory: *mut c_void) {
    let machine = Machine::current();
    let at = memory.addr();
    let mut state = machine.netio.ip_helper.state();
    let (known, before) = (state.live.remove(&at), state.freed.contains(&at));
    if known {
        state.freed.insert(at);
    }
    drop(state);
    if !known {
        let what = if before { "freed already" } else { "none" };
        machine.violation("pool", format!("FreeMibTable of a table at {at:#x}, which is {what}"));
    } else if let Err(bad) = machine.nt.pool.free(&machine.nt.memory, memory.cast(), TAG) {
        let what = match bad {
            BadFree::Underrun => "was written in front of",
            BadFree::Overrun => "was written behind",
            BadFree::Unknown | BadFree::Twice | BadFree::Tag { .. } => "was freed as a block of pool",
        };
        machine.violation("pool", format!("the table at {at:#x} {what}"));
    }
}

/// # Safety
/// `row` is NULL or a row.
unsafe fn ip_interface_entry(row: *mut MIB_IPINTERFACE_ROW) -> Result<(), NTSTATUS> {
    let machine = Machine::current();
    // SAFETY: the caller's promise.
    let row = unsafe { row.as_mut() }.ok_or(STATUS_INVALID_PARAMETER)?;
    let family = rows::families(row.Family).ok().flatten().ok_or(STATUS_INVALID_PARAMETER)?;
    if unspecified(row.InterfaceLuid, row.InterfaceIndex) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if machine.take_failure("GetIpInterfaceEntry") {
        return Err(STATUS_NOT_FOUND);
    }
    let state = machine.netio.ip_helper.state();
    let link = find(&state, row.InterfaceLuid, row.InterfaceIndex).ok_or(STATUS_NOT_FOUND)?;
    let found = state.tables.ip_interface(link.interface.luid, family).ok_or(STATUS_NOT_FOUND)?;
    *row = rows::ip_interface(&found);
    Ok(())
}

/// # Safety
/// `row` is NULL or a row.
unsafe fn interface_entry(row: *mut MIB_IF_ROW2) -> Result<(), NTSTATUS> {
    let machine = Machine::current();
    // SAFETY: the caller's promise.
    let row = unsafe { row.as_mut() }.ok_or(STATUS_INVALID_PARAMETER)?;
    if machine.take_failure("GetIfEntry2") {
        return Err(STATUS_NOT_FOUND);
    }
    let state = machine.netio.ip_helper.state();
    *row = rows::interface(find(&state, row.InterfaceLuid, row.InterfaceIndex).ok_or(STATUS_NOT_FOUND)?);
    Ok(())
}

fn best_route(
    luid: NET_LUID,
    index: NET_IFINDEX,
    source: Option<&SOCKADDR_INET>,
    destination: Option<&SOCKADDR_INET>,
) -> Result<(MIB_IPFORWARD_ROW2, SOCKADDR_INET), NTSTATUS> {
    let machine = Machine::current();
    let destination = destination.and_then(rows::to_ip).ok_or(STATUS_INVALID_PARAMETER)?;
    if unspecified(luid, index) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if machine.take_failure("GetBestRoute2") {
        return Err(STATUS_NOT_FOUND);
    }
    let source = source.and_then(rows::to_ip).filter(|source| !source.is_unspecified());
    let state = machine.netio.ip_helper.state();
    let link = find(&state, luid, index).ok_or(STATUS_NOT_FOUND)?;
    let (route, source) = routing::best(&state.tables, link.interface.luid, source, destination)?;
    Ok((rows::forward(&route), rows::from_ip(source, route.index)))
}

/// The interface and the address that a row asks about.
fn neighbour_key(state: &State, row: &MIB_IPNET_ROW2) -> Result<(Interface, IpAddr), NTSTATUS> {
    let address = rows::to_ip(&row.Address).ok_or(STATUS_INVALID_PARAMETER)?;
    let nobody = address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if nobody || unspecified(row.InterfaceLuid, row.InterfaceIndex) {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let link = find(state, row.InterfaceLuid, row.InterfaceIndex).ok_or(STATUS_NOT_FOUND)?;
    if !state.tables.has(Family::of(address)) {
        return Err(STATUS_NOT_SUPPORTED);
    }
    Ok((link.interface.clone(), address))
}

fn fill(state: &State, row: &mut MIB_IPNET_ROW2, interface: &Interface, address: IpAddr, found: Neighbour) {
    let router = state.tables.routes().any(|route| (route.luid, route.next_hop) == (interface.luid, Some(address)));
    rows::fill_neighbour(row, interface, found, router);
}

/// # Safety
/// `row` is NULL or a row.
unsafe fn neighbour_entry(row: *mut MIB_IPNET_ROW2) -> Result<(), NTSTATUS> {
    let machine = Machine::current();
    // SAFETY: the caller's promise.
    let row = unsafe { row.as_mut() }.ok_or(STATUS_INVALID_PARAMETER)?;
    let state = machine.netio.ip_helper.state();
    let (interface, address) = neighbour_key(&state, row)?;
    if machine.take_failure("GetIpNetEntry2") {
        return Err(STATUS_NOT_FOUND);
    }
    let found = state.neighbours.find(machine.now(), interface.luid, address).ok_or(STATUS_NOT_FOUND)?;
    fill(&state, row, &interface, address, found);
    Ok(())
}

/// # Safety
/// `row` and `source` are NULL or what they point to.
unsafe fn resolve_neighbour(row: *mut MIB_IPNET_ROW2, source: *const SOCKADDR_INET) -> Result<(), NTSTATUS> {
    let machine = Machine::current();
    // SAFETY: the caller's promise.
    let row = unsafe { row.as_mut() }.ok_or(STATUS_INVALID_PARAMETER)?;
    // SAFETY: the caller's promise.
    let source = unsafe { source.as_ref() }.and_then(rows::to_ip).filter(|source| !source.is_unspecified());
    let (interface, address) = neighbour_key(&machine.netio.ip_helper.state(), row)?;
    if address.is_loopback() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    if machine.take_failure("ResolveIpNetEntry2") {
        return Err(STATUS_BAD_NETWORK_NAME);
    }
    let found = neighbours::resolve(&machine, interface.luid, source, address)?;
    fill(&machine.netio.ip_helper.state(), row, &interface, address, found);
    Ok(())
}

fn notify(
    name: &str,
    family: ADDRESS_FAMILY,
    callback: Callback,
    context: *mut c_void,
    initial: BOOLEAN,
    handle: *mut HANDLE,
) -> NTSTATUS {
    let machine = Machine::current();
    let status = match rows::families(family) {
        Err(()) => STATUS_INVALID_PARAMETER,
        Ok(_) if machine.take_failure(name) => STATUS_NO_MEMORY,
        Ok(family) => return notifications::register(&machine, callback, context, family, initial != 0, handle),
    };
    // SAFETY: the pages: a place for the handle, which an error sets to NULL.
    if let Some(handle) = unsafe { handle.as_mut() } {
        *handle = ptr::null_mut();
    }
    status
}

ndk_types::abi! {
    unsafe extern "C" fn get_unicast_ip_address_table(
        family: ADDRESS_FAMILY,
        table: *mut *mut MIB_UNICASTIPADDRESS_TABLE
    ) -> NTSTATUS {
        // SAFETY: the page: a place for the table.
        let Some(place) = (unsafe { table.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        status(unicast_table(family).map(|table| *place = table))
    }

    unsafe extern "C" fn get_ip_interface_entry(row: *mut MIB_IPINTERFACE_ROW) -> NTSTATUS {
        // SAFETY: the page: a row.
        status(unsafe { ip_interface_entry(row) })
    }

    unsafe extern "C" fn get_if_entry2(row: *mut MIB_IF_ROW2) -> NTSTATUS {
        // SAFETY: the page: a row.
        status(unsafe { interface_entry(row) })
    }

    unsafe extern "C" fn get_best_route2(
        luid: *mut NET_LUID,
        index: NET_IFINDEX,
        source: *const SOCKADDR_INET,
        destination: *const SOCKADDR_INET,
        _options: u32,
        route: *mut MIB_IPFORWARD_ROW2,
        best_source: *mut SOCKADDR_INET
    ) -> NTSTATUS {
        if route.is_null() || best_source.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the page: NULL or a LUID.
        let luid = unsafe { luid.as_ref() }.copied().unwrap_or(NET_LUID { Value: 0 });
        // SAFETY: the page: NULL or an address.
        let source = unsafe { source.as_ref() };
        // SAFETY: the page: an address.
        let destination = unsafe { destination.as_ref() };
        let (found, from) = match best_route(luid, index, source, destination) {
            Ok(found) => found,
            Err(status) => return status,
        };
        // SAFETY: not null; the page: a place for a row.
        unsafe { route.write(found) };
        // SAFETY: not null; the page: a place for an address.
        unsafe { best_source.write(from) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn get_ip_net_entry2(row: *mut MIB_IPNET_ROW2) -> NTSTATUS {
        // SAFETY: the page: a row.
        status(unsafe { neighbour_entry(row) })
    }

    unsafe extern "C" fn resolve_ip_net_entry2(row: *mut MIB_IPNET_ROW2, source: *const SOCKADDR_INET) -> NTSTATUS {
        // SAFETY: the page: a row, and NULL or an address.
        status(unsafe { resolve_neighbour(row, source) })
    }

    unsafe extern "C" fn free_mib_table(memory: *mut c_void) {
        free_table(memory);
    }

    unsafe extern "C" fn notify_unicast_ip_address_change(
        family: ADDRESS_FAMILY,
        callback: PUNICAST_IPADDRESS_CHANGE_CALLBACK,
        context: *mut c_void,
        initial: BOOLEAN,
        handle: *mut HANDLE
    ) -> NTSTATUS {
        notify("NotifyUnicastIpAddressChange", family, Callback::Address(callback), context, initial, handle)
    }

    unsafe extern "C" fn notify_route_change2(
        family: ADDRESS_FAMILY,
        callback: PIPFORWARD_CHANGE_CALLBACK,
        context: *mut c_void,
        initial: BOOLEAN,
        handle: *mut HANDLE
    ) -> NTSTATUS {
        notify("NotifyRouteChange2", family, Callback::Route(callback), context, initial, handle)
    }

    unsafe extern "C" fn notify_ip_interface_change(
        family: ADDRESS_FAMILY,
        callback: PIPINTERFACE_CHANGE_CALLBACK,
        context: *mut c_void,
        initial: BOOLEAN,
        handle: *mut HANDLE
    ) -> NTSTATUS {
        notify("NotifyIpInterfaceChange", family, Callback::Interface(callback), context, initial, handle)
    }

    unsafe extern "C" fn cancel_mib_change_notify2(handle: HANDLE) -> NTSTATUS {
        if handle.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        notifications::cancel(&Machine::current(), handle)
    }
}

/// What an image may import of IP Helper.
pub(super) fn exports() -> Vec<Export> {
    exports! {
        "netio.sys" in ndk_types::prototype;
        GetUnicastIpAddressTable <= Apc = get_unicast_ip_address_table,
        GetIpInterfaceEntry <= Apc = get_ip_interface_entry,
        GetIfEntry2 <= Apc = get_if_entry2,
        GetBestRoute2 <= Apc = get_best_route2,
        GetIpNetEntry2 <= Apc = get_ip_net_entry2,
        ResolveIpNetEntry2 <= Apc = resolve_ip_net_entry2,
        FreeMibTable <= Apc = free_mib_table,
        NotifyUnicastIpAddressChange <= Apc = notify_unicast_ip_address_change,
        NotifyRouteChange2 <= Apc = notify_route_change2,
        NotifyIpInterfaceChange <= Apc = notify_ip_interface_change,
        CancelMibChangeNotify2 <= Passive = cancel_mib_change_notify2,
    }
    .into_iter()
    .chain(conversions::exports())
    .collect()
}
