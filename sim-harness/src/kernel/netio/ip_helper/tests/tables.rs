//! The tables of addresses and interfaces.

use super::super::Family;
use super::*;
use ndk_types::{
    AF_INET, AF_INET6, AF_UNSPEC, IfOperStatusDown, IfOperStatusUp, IpDadStateDeprecated, IpDadStateTentative,
    MIB_IF_ROW2, MIB_IPINTERFACE_ROW, MIB_UNICASTIPADDRESS_ROW, MIB_UNICASTIPADDRESS_TABLE, STATUS_INVALID_PARAMETER,
    STATUS_NO_MEMORY, STATUS_NOT_FOUND, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};
use std::ptr::null_mut;

/// The addresses a driver reads, with interface and state; the table is freed.
pub(super) fn addresses(family: u32) -> Result<Vec<(u64, IpAddr, u8, i32)>, NTSTATUS> {
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = null_mut();
    let status = import!(GetUnicastIpAddressTable, family as u16, &raw mut table);
    if status != STATUS_SUCCESS {
        assert!(table.is_null());
        return Err(status);
    }
    // SAFETY: a table, until it is freed.
    let count = unsafe { (*table).NumEntries } as usize;
    // SAFETY: as above.
    let first = unsafe { &raw const (*table).Table }.cast::<MIB_UNICASTIPADDRESS_ROW>();
    // SAFETY: so many rows follow.
    let rows = unsafe { std::slice::from_raw_parts(first, count) };
    let row = |row: &MIB_UNICASTIPADDRESS_ROW| {
        let ip = super::super::rows::to_ip(&row.Address).unwrap();
        (value(row.InterfaceLuid), ip, row.OnLinkPrefixLength, row.DadState)
    };
    let all = rows.iter().map(row).collect();
    import!(FreeMibTable, table.cast());
    Ok(all)
}

fn ip_interface(family: u32, of: u64, index: u32) -> Result<MIB_IPINTERFACE_ROW, NTSTATUS> {
    // SAFETY: zero is a value of every field.
    let mut row = unsafe { std::mem::zeroed::<MIB_IPINTERFACE_ROW>() };
    row.Family = family as u16;
    row.InterfaceLuid = luid(of);
    row.InterfaceIndex = index;
    match import!(GetIpInterfaceEntry, &raw mut row) {
        STATUS_SUCCESS => Ok(row),
        status => Err(status),
    }
}

fn if_entry(of: u64, index: u32) -> Result<Box<MIB_IF_ROW2>, NTSTATUS> {
    // SAFETY: zero is a value of every field.
    let mut row = Box::new(unsafe { std::mem::zeroed::<MIB_IF_ROW2>() });
    row.InterfaceLuid = luid(of);
    row.InterfaceIndex = index;
    match import!(GetIfEntry2, &raw mut *row) {
        STATUS_SUCCESS => Ok(row),
        status => Err(status),
    }
}

#[test]
fn the_table_has_every_address_of_the_family_that_is_asked_for() {
    let bench = Bench::new(1);
    bench.ip().add_interface(interface(OTHER, 8, "Ethernet 2"));
    bench.ip().add_address(OTHER, ip("192.168.1.1"), 16, IpDadStateDeprecated);
    let v4 = [(LUID, ip("10.0.0.1"), 24, IpDadStatePreferred), (OTHER, ip("192.168.1.1"), 16, IpDadStateDeprecated)];
    let v6 = (LUID, ip("fd00::1"), 64, IpDadStatePreferred);
    bench.enter(|| {
        assert_eq!(addresses(AF_INET).unwrap(), v4);
        assert_eq!(addresses(AF_INET6).unwrap(), [v6]);
        assert_eq!(addresses(AF_UNSPEC).unwrap(), [v4[0], v6, v4[1]]);
    });
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn a_table_that_cannot_be_had_has_the_status_of_its_page() {
    let bench = Bench::bare(1);
    bench.enter(|| {
        assert_eq!(addresses(AF_UNSPEC), Err(STATUS_NOT_FOUND));
        assert_eq!(addresses(1), Err(STATUS_INVALID_PARAMETER));
        assert_eq!(import!(GetUnicastIpAddressTable, 0, null_mut()), STATUS_INVALID_PARAMETER);
        bench.ip().add_interface(interface(LUID, INDEX, "Ethernet 1"));
        bench.ip().add_address(LUID, ip("10.0.0.1"), 24, IpDadStatePreferred);
        assert_eq!(addresses(AF_INET6), Err(STATUS_NOT_FOUND));
        bench.machine.fail_once("GetUnicastIpAddressTable");
        assert_eq!(addresses(AF_INET), Err(STATUS_NO_MEMORY));
        bench.machine.nt.pool.fail_after(0);
        assert_eq!(addresses(AF_INET), Err(STATUS_NO_MEMORY));
        bench.ip().set_family(Family::V4, false);
        assert_eq!(addresses(AF_INET), Err(STATUS_NOT_SUPPORTED));
        assert_eq!(addresses(AF_UNSPEC), Err(STATUS_NOT_FOUND));
        bench.ip().set_family(Family::V4, true);
        assert_eq!(addresses(AF_INET).unwrap().len(), 1);
    });
}

#[test]
fn addresses_of_an_interface_without_a_link_are_tentative_until_it_is_back() {
    let bench = Bench::new(1);
    let states = || bench.enter(|| addresses(AF_UNSPEC)).unwrap().iter().map(|row| row.3).collect::<Vec<_>>();
    assert_eq!(states(), [IpDadStatePreferred; 2]);
    bench.ip().set_up(LUID, false);
    assert_eq!(states(), [IpDadStateTentative; 2]);
    bench.ip().set_up(LUID, true);
    assert_eq!(states(), [IpDadStatePreferred; 2]);
}

#[test]
fn addresses_that_are_taken_away_are_gone_and_so_are_those_of_an_interface_that_goes() {
    let bench = Bench::new(1);
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.enter(|| assert_eq!(addresses(AF_UNSPEC).unwrap().len(), 1));
    bench.ip().remove_interface(LUID);
    bench.enter(|| {
        assert_eq!(addresses(AF_UNSPEC), Err(STATUS_NOT_FOUND));
        assert_eq!(to_index(LUID).0, STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn an_interface_is_found_by_its_luid_or_without_one_by_its_index() {
    let bench = Bench::new(1);
    bench.ip().set_mtu(LUID, 9000);
    bench.enter(|| {
        for (of, index) in [(LUID, 0), (LUID, 99), (0, INDEX)] {
            let row = ip_interface(AF_INET, of, index).unwrap();
            assert_eq!((value(row.InterfaceLuid), row.InterfaceIndex, row.NlMtu), (LUID, INDEX, 9000));
            assert_eq!((row.Connected, row.ReachableTime, row.RetransmitTime), (1, 30_000, 1_000));
            let row = if_entry(of, index).unwrap();
            assert_eq!((value(row.InterfaceLuid), row.InterfaceIndex, row.Mtu), (LUID, INDEX, 9000));
            assert_eq!((row.PhysicalAddressLength, &row.PhysicalAddress[..6]), (6, &MAC[..]));
            assert_eq!(
                (String::from_utf16_lossy(&row.Alias[..11]).as_str(), row.OperStatus),
                ("Ethernet 1\0", IfOperStatusUp)
            );
        }
        for (of, index) in [(OTHER, INDEX), (0, 8)] {
            assert_eq!(ip_interface(AF_INET, of, index).err(), Some(STATUS_NOT_FOUND));
            assert_eq!(if_entry(of, index).err(), Some(STATUS_NOT_FOUND));
        }
        assert_eq!(ip_interface(AF_INET, 0, 0).err(), Some(STATUS_INVALID_PARAMETER));
        assert_eq!(ip_interface(AF_UNSPEC, LUID, 0).err(), Some(STATUS_INVALID_PARAMETER));
        assert_eq!(import!(GetIpInterfaceEntry, null_mut()), STATUS_INVALID_PARAMETER);
        assert_eq!(import!(GetIfEntry2, null_mut()), STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn an_interface_shows_its_link_and_ipv6_no_packet_size_below_its_own() {
    let bench = Bench::new(1);
    bench.ip().set_up(LUID, false);
    bench.ip().set_mtu(LUID, 1000);
    bench.enter(|| {
        assert_eq!(ip_interface(AF_INET, LUID, 0).unwrap().Connected, 0);
        assert_eq!(if_entry(LUID, 0).unwrap().OperStatus, IfOperStatusDown);
        assert_eq!(ip_interface(AF_INET, LUID, 0).unwrap().NlMtu, 1000);
        assert_eq!(ip_interface(AF_INET6, LUID, 0).unwrap().NlMtu, 1280);
        bench.ip().set_family(Family::V6, false);
        assert_eq!(ip_interface(AF_INET6, LUID, 0).err(), Some(STATUS_NOT_FOUND));
        for name in ["GetIpInterfaceEntry", "GetIfEntry2"] {
            bench.machine.fail_once(name);
        }
        assert_eq!(ip_interface(AF_INET, LUID, 0).err(), Some(STATUS_NOT_FOUND));
        assert_eq!(if_entry(LUID, 0).err(), Some(STATUS_NOT_FOUND));
    });
}
