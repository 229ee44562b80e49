//! Drivers that break a rule of IP Helper, on purpose: each is caught, with the call it broke it in.

use super::notifications::{cancel, listener, register};
use super::*;
use crate::kernel::irql::{self, Irql};
use ndk_types::{
    AF_UNSPEC, HANDLE, MIB_IF_ROW2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_IPNET_ROW2,
    MIB_UNICASTIPADDRESS_TABLE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use std::ptr::{self, null, null_mut};

fn table() -> *mut MIB_UNICASTIPADDRESS_TABLE {
    let mut table = null_mut();
    assert_eq!(import!(GetUnicastIpAddressTable, AF_UNSPEC as u16, &raw mut table), STATUS_SUCCESS);
    table
}

#[test]
fn a_table_that_is_never_freed_is_a_leak() {
    let bench = Bench::new(1);
    bench.enter(table);
    // As a table, and as the block of pool it is.
    assert_eq!(bench.machine.check_leaks(), 2);
    assert_eq!(bench.broken().iter().map(|broken| broken.0).collect::<Vec<_>>(), ["leak"; 2]);
}

#[test]
fn a_table_freed_twice_or_in_the_middle_and_what_is_no_table_are_caught() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let (one, other) = (table(), table());
        import!(FreeMibTable, one.cast());
        import!(FreeMibTable, one.cast());
        import!(FreeMibTable, other.cast::<u8>().wrapping_add(8).cast());
        import!(FreeMibTable, null_mut());
        let pool = bench.machine.nt.pool.allocate(&bench.machine.nt.memory, 64, 1, true).unwrap();
        import!(FreeMibTable, pool.cast());
        assert_eq!(bench.machine.nt.pool.free(&bench.machine.nt.memory, pool, 1), Ok(()));
        import!(FreeMibTable, other.cast());
    });
    let texts: Vec<_> = bench.machine.verifier.violations().into_iter().map(|violation| violation.text).collect();
    assert!(texts[0].ends_with("freed already") && texts[1..].iter().all(|text| text.ends_with("none")), "{texts:?}");
    assert_eq!(bench.broken(), [("pool", "FreeMibTable"); 4]);
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn a_table_that_was_written_around_or_freed_as_pool_is_caught() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let (under, taken) = (table(), table());
        // SAFETY: the bytes in front of a small block are its page's.
        unsafe { under.cast::<u8>().wrapping_sub(1).write(1) };
        import!(FreeMibTable, under.cast());
        assert_eq!(bench.machine.nt.pool.free(&bench.machine.nt.memory, taken.cast(), 0), Ok(()));
        import!(FreeMibTable, taken.cast());
        // A number and one row: eight bytes of the block's last sixteen are nobody's.
        bench.ip().remove_address(LUID, ip("fd00::1"));
        let over = table();
        // SAFETY: the bytes behind a small block are its page's.
        unsafe { over.cast::<u8>().wrapping_add(88).write(1) };
        import!(FreeMibTable, over.cast());
    });
    assert_eq!(bench.broken(), [("pool", "FreeMibTable"); 3]);
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn a_registration_that_is_never_cancelled_is_a_leak() {
    let bench = Bench::new(1);
    let ear = listener();
    bench.enter(|| register(AF_UNSPEC, ear, false));
    assert_eq!(bench.machine.check_leaks(), 1);
    assert_eq!(bench.broken().iter().map(|broken| broken.0).collect::<Vec<_>>(), ["leak"]);
}

#[test]
fn a_registration_cancelled_twice_and_what_is_none_are_caught() {
    let bench = Bench::new(1);
    let ear = listener();
    bench.enter(|| {
        register(AF_UNSPEC, ear, false);
        assert_eq!((cancel(ear), cancel(ear)), (STATUS_SUCCESS, STATUS_INVALID_PARAMETER));
        let other: HANDLE = ptr::without_provenance_mut(0x1234);
        assert_eq!(import!(CancelMibChangeNotify2, other), STATUS_INVALID_PARAMETER);
    });
    assert_eq!(bench.broken(), [("notification", "CancelMibChangeNotify2"); 2]);
}

#[test]
fn a_registration_cancelled_from_inside_its_own_callback_is_a_deadlock() {
    let bench = Bench::new(1);
    let ear = listener();
    bench.enter(|| register(AF_UNSPEC, ear, false));
    ear.suicidal.store(true, Ordering::SeqCst);
    bench.ip().remove_address(LUID, ip("fd00::1"));
    bench.ip().remove_address(LUID, ip("10.0.0.1"));
    bench.pass(0);
    assert_eq!(bench.broken(), [("deadlock", "CancelMibChangeNotify2")]);
    assert_eq!(bench.machine.check_leaks(), 0);
}

#[test]
fn a_registration_without_a_callback_or_a_place_for_its_handle_is_caught() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let mut handle: HANDLE = null_mut();
        let none = import!(NotifyRouteChange2, AF_UNSPEC as u16, None, null_mut(), 0, &raw mut handle);
        let callback = Some(super::notifications::address_changed as _);
        let nowhere = import!(NotifyUnicastIpAddressChange, AF_UNSPEC as u16, callback, null_mut(), 0, null_mut());
        assert_eq!((none, nowhere), (STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER));
    });
    let calls = [("notification", "NotifyRouteChange2"), ("notification", "NotifyUnicastIpAddressChange")];
    assert_eq!(bench.broken(), calls);
}

#[test]
fn an_alias_with_more_room_than_its_page_allows_is_caught() {
    let bench = Bench::new(1);
    bench.enter(|| {
        let (mut alias, from) = ([0_u16; 258], luid(LUID));
        import!(ConvertInterfaceLuidToAlias, &raw const from, alias.as_mut_ptr(), 257);
        import!(ConvertInterfaceLuidToAlias, &raw const from, alias.as_mut_ptr(), 258);
    });
    assert_eq!(bench.broken(), [("alias", "ConvertInterfaceLuidToAlias")]);
}

/// A call at a level; the names of those that may not be made there.
fn caught_at(level: Irql, call: impl FnOnce(&Bench)) -> Vec<&'static str> {
    let bench = Bench::new(1);
    bench.enter(|| {
        irql::set(level);
        call(&bench);
        irql::set(Irql::Passive);
    });
    let broken = bench.machine.verifier.take();
    assert!(broken.iter().all(|violation| violation.rule == "irql"), "{broken:?}");
    broken.into_iter().map(|violation| violation.call).collect()
}

/// Every function but the cancellation, with arguments that end it at once.
fn each(_bench: &Bench) {
    let (mut named, mut index, mut alias) = (luid(LUID), 0, [0_u16; 20]);
    let mut handle: HANDLE = null_mut();
    let mut table: *mut MIB_UNICASTIPADDRESS_TABLE = null_mut();
    import!(GetUnicastIpAddressTable, 1, &raw mut table);
    import!(GetIpInterfaceEntry, null_mut::<MIB_IPINTERFACE_ROW>());
    import!(GetIfEntry2, null_mut::<MIB_IF_ROW2>());
    import!(GetBestRoute2, null_mut(), 0, null(), null(), 0, null_mut::<MIB_IPFORWARD_ROW2>(), null_mut());
    import!(GetIpNetEntry2, null_mut::<MIB_IPNET_ROW2>());
    import!(ResolveIpNetEntry2, null_mut::<MIB_IPNET_ROW2>(), null());
    import!(NotifyUnicastIpAddressChange, 1, None, null_mut(), 0, &raw mut handle);
    import!(NotifyRouteChange2, 1, None, null_mut(), 0, &raw mut handle);
    import!(NotifyIpInterfaceChange, 1, None, null_mut(), 0, &raw mut handle);
    import!(CancelMibChangeNotify2, null_mut());
    import!(ConvertInterfaceLuidToIndex, &raw const named, &raw mut index);
    import!(ConvertInterfaceIndexToLuid, index, &raw mut named);
    import!(ConvertInterfaceLuidToAlias, &raw const named, alias.as_mut_ptr(), alias.len());
    import!(ConvertInterfaceAliasToLuid, alias.as_ptr(), &raw mut named);
}

const PASSIVE: [&str; 5] = [
    "CancelMibChangeNotify2",
    "ConvertInterfaceLuidToIndex",
    "ConvertInterfaceIndexToLuid",
    "ConvertInterfaceLuidToAlias",
    "ConvertInterfaceAliasToLuid",
];

#[test]
fn conversions_and_cancellations_above_passive_level_are_caught() {
    assert!(caught_at(Irql::Passive, each).is_empty());
    assert_eq!(caught_at(Irql::Apc, each), PASSIVE);
}

#[test]
fn every_function_at_dispatch_level_is_caught() {
    let below = [
        "GetUnicastIpAddressTable",
        "GetIpInterfaceEntry",
        "GetIfEntry2",
        "GetBestRoute2",
        "GetIpNetEntry2",
        "ResolveIpNetEntry2",
        "NotifyUnicastIpAddressChange",
        "NotifyRouteChange2",
        "NotifyIpInterfaceChange",
    ];
    assert_eq!(caught_at(Irql::Dispatch, each), [&below[..], &PASSIVE].concat());
    let free = |_: &Bench| {
        irql::set(Irql::Passive);
        let table = table();
        irql::set(Irql::Dispatch);
        import!(FreeMibTable, table.cast());
    };
    assert_eq!(caught_at(Irql::Dispatch, free), ["FreeMibTable"]);
}
