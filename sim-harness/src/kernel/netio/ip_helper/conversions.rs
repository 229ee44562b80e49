//! LUIDs, indices and aliases of interfaces, each from another, as their pages have it ("<name> function").

use super::imports::{find, unspecified};
use super::tables::Link;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::{
    NDIS_IF_MAX_STRING_SIZE, NET_IFINDEX, NET_LUID, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY,
    STATUS_SUCCESS, WCHAR,
};
use std::ptr;

/// The units of a string before its terminating one; `None` if it is longer than an alias can be.
///
/// # Safety
/// `text` is a string with a terminating zero.
unsafe fn units(text: *const WCHAR) -> Option<Vec<u16>> {
    let mut units = Vec::new();
    for place in 0..=NDIS_IF_MAX_STRING_SIZE {
        // SAFETY: not behind the terminating zero.
        let unit = unsafe { text.wrapping_add(place).read_unaligned() };
        if unit == 0 {
            return Some(units);
        }
        units.push(unit);
    }
    None
}

ndk_types::abi! {
    unsafe extern "C" fn convert_interface_luid_to_index(luid: *const NET_LUID, index: *mut NET_IFINDEX) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: a place for the index.
        let Some(place) = (unsafe { index.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: the page: a LUID.
        let luid = unsafe { luid.as_ref() }.copied().filter(|&luid| !unspecified(luid, 0));
        let failed = machine.take_failure("ConvertInterfaceLuidToIndex");
        let state = machine.netio.ip_helper.state();
        let found = luid.filter(|_| !failed).and_then(|luid| find(&state, luid, 0));
        *place = found.map_or(0, |link| link.interface.index);
        if found.is_some() { STATUS_SUCCESS } else { STATUS_INVALID_PARAMETER }
    }

    unsafe extern "C" fn convert_interface_index_to_luid(index: NET_IFINDEX, luid: *mut NET_LUID) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: a place for the LUID.
        let Some(place) = (unsafe { luid.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        let failed = machine.take_failure("ConvertInterfaceIndexToLuid");
        let state = machine.netio.ip_helper.state();
        let found = find(&state, NET_LUID { Value: 0 }, index).filter(|_| !failed);
        *place = NET_LUID { Value: found.map_or(0, |link| link.interface.luid) };
        if found.is_some() { STATUS_SUCCESS } else { STATUS_INVALID_PARAMETER }
    }

    unsafe extern "C" fn convert_interface_luid_to_alias(
        luid: *const NET_LUID,
        alias: *mut WCHAR,
        length: usize
    ) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: a LUID.
        let luid = unsafe { luid.as_ref() }.copied().filter(|&luid| !unspecified(luid, 0));
        if length > NDIS_IF_MAX_STRING_SIZE + 1 {
            machine.violation("alias", format!("room for {length} characters of an alias: more than its page allows"));
        }
        if machine.take_failure("ConvertInterfaceLuidToAlias") {
            return STATUS_NO_MEMORY;
        }
        let state = machine.netio.ip_helper.state();
        let found = luid.filter(|_| !alias.is_null()).and_then(|luid| find(&state, luid, 0));
        let Some(link) = found else { return STATUS_INVALID_PARAMETER };
        let units: Vec<_> = link.interface.alias.encode_utf16().chain([0]).collect();
        if units.len() > length {
            return STATUS_NO_MEMORY;
        }
        // SAFETY: the page: room for `length` characters, which is enough.
        unsafe { ptr::copy_nonoverlapping(units.as_ptr(), alias, units.len()) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn convert_interface_alias_to_luid(alias: *const WCHAR, luid: *mut NET_LUID) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: a place for the LUID.
        let Some(place) = (unsafe { luid.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        *place = NET_LUID { Value: 0 };
        if alias.is_null() || machine.take_failure("ConvertInterfaceAliasToLuid") {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: not null; the page: a string with its terminating zero.
        let Some(units) = (unsafe { units(alias) }) else { return STATUS_INVALID_PARAMETER };
        let state = machine.netio.ip_helper.state();
        let named = |link: &&Link| link.interface.alias.encode_utf16().eq(units.iter().copied());
        let Some(link) = state.tables.links().find(named) else { return STATUS_INVALID_PARAMETER };
        *place = NET_LUID { Value: link.interface.luid };
        STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! {
        "netio.sys" in ndk_types::prototype;
        ConvertInterfaceLuidToIndex <= Passive = convert_interface_luid_to_index,
        ConvertInterfaceIndexToLuid <= Passive = convert_interface_index_to_luid,
        ConvertInterfaceLuidToAlias <= Passive = convert_interface_luid_to_alias,
        ConvertInterfaceAliasToLuid <= Passive = convert_interface_alias_to_luid,
    }
}
