//! What an instance says of itself: W-04, W-08, W-21, W-22, REG-06, REG-07, REG-09, REG-13, REG-14, REG-18.

use super::driver::{Attributes, Deeds, Driver};
use super::{Bench, assert_rules, breaks};
use crate::kernel::ndis::oids::MANDATORY;
use ndk_types::*;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// An initialisation with these attributes breaks these rules.
fn says(attributes: fn(&Driver, &mut Attributes), expected: &[(&str, &str)]) {
    breaks(Deeds { attributes, ..Deeds::KEPT }, |_| {}, expected);
}

/// W-04, REG-06, REG-07
#[test]
fn attributes_that_are_missing_or_out_of_order_are_caught() {
    let order = ("REG-07", "out of order");
    says(|_, all| all.order = vec![0, 1], &[("REG-06", "without NDK attributes")]);
    says(|_, all| all.order = vec![], &[("W-04", "without registration or general"), ("REG-06", "without NDK")]);
    says(|_, all| all.order = vec![0], &[("W-04", "without registration or general"), ("REG-06", "without NDK")]);
    for wrong in [0, 1, 2] {
        static WRONG: AtomicUsize = AtomicUsize::new(0);
        WRONG.store(wrong, Ordering::SeqCst);
        // General first, NDK second, the registration twice: each ends the initialisation.
        says(
            |_, all| all.order = [vec![1, 0, 2], vec![0, 2, 1], vec![0, 0, 1]][WRONG.load(Ordering::SeqCst)].clone(),
            &[order],
        );
    }
}

/// REG-07
#[test]
fn attributes_outside_an_initialisation_are_caught() {
    let script = |bench: &Bench| {
        bench.driver(|driver| assert_eq!(driver.set_attributes(), NDIS_STATUS_FAILURE));
    };
    breaks(Deeds::KEPT, script, &[("REG-07", "out of order")]);
}

#[test]
fn attributes_with_a_wrong_header_are_caught() {
    says(|_, all| all.registration.Header.Size = 4, &[("header", "registration attributes")]);
    says(|_, all| all.general.Header.Revision = 9, &[("header", "general attributes")]);
    says(|_, all| all.ndk.Header.Revision = 0, &[("header", "NDK attributes")]);
}

/// W-08, W-21
#[test]
fn a_virtual_miniport_that_has_hardware_or_is_halted_on_suspend_is_caught() {
    let hardware = ("W-21", "has hardware");
    says(|_, all| all.registration.AttributeFlags |= NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE, &[hardware]);
    says(|_, all| all.registration.AttributeFlags |= NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM, &[hardware]);
    says(|_, all| all.registration.AttributeFlags = 0, &[("W-08", "halted on suspend")]);
}

/// W-20, W-21, REG-18: each of them alone.
#[test]
fn each_general_attribute_that_is_wrong_is_caught() {
    says(|_, all| all.general.MediaType = 1, &[("W-21", "MediaType")]);
    says(|_, all| all.general.IfType = 71, &[("W-21", "IfType")]);
    says(|_, all| all.general.IfConnectorPresent = 1, &[("W-21", "a connector")]);
    says(|_, all| all.general.AccessType = NET_IF_ACCESS_LOOPBACK, &[("W-21", "AccessType")]);
    says(|_, all| all.general.DirectionType = NET_IF_DIRECTION_SENDONLY, &[("W-21", "DirectionType")]);
    says(|_, all| all.general.ConnectionType = NET_IF_CONNECTION_PASSIVE, &[("W-21", "ConnectionType")]);
    says(|_, all| all.general.MacAddressLength = 8, &[("W-21", "MacAddressLength")]);
    says(|_, all| all.general.MacOptions = 0, &[("W-21", "NO_LOOPBACK")]);
    says(|_, all| all.general.Flags = 1, &[("W-21", "Flags is not zero (REG-18)")]);
    says(
        |_, all| all.general.PowerManagementCapabilities = ptr::without_provenance_mut(8),
        &[("W-21", "PowerManagementCapabilities")],
    );
}

/// W-22
#[test]
fn each_mandatory_oid_that_is_missing_is_caught() {
    static MISSING: AtomicUsize = AtomicUsize::new(0);
    for (place, oid) in MANDATORY.iter().enumerate() {
        MISSING.store(place, Ordering::SeqCst);
        let attributes = |_: &Driver, all: &mut Attributes| {
            all.oids.remove(MISSING.load(Ordering::SeqCst));
        };
        let words = format!("OID {oid:#010x} is mandatory");
        says(attributes, &[("W-22", &words)]);
    }
}

/// REG-09
#[test]
fn ndk_attributes_without_capabilities_or_information_are_caught() {
    says(|_, all| all.ndk.NdkCapabilities = ptr::null_mut(), &[("REG-09", "NdkCapabilities is NULL")]);
    says(|_, all| all.capabilities.NdkInfo = ptr::null_mut(), &[("REG-09", "NdkInfo is NULL")]);
    says(
        |_, all| all.capabilities.Header.Type = 1,
        &[("header", "NDIS_NDK_CAPABILITIES"), ("REG-09", "the header of NDIS_NDK_CAPABILITIES")],
    );
}

/// REG-13, REG-14, REG-18
#[test]
fn ndk_capabilities_that_are_wrong_are_caught() {
    says(|_, all| all.capabilities.Flags = 1, &[("REG-18", "Flags of NDIS_NDK_CAPABILITIES")]);
    says(|_, all| all.capabilities.MissingCounterMask = 1, &[("REG-13", "a counter")]);
    says(|_, all| all.info.FRMRPageCount = 15, &[("REG-14", "FRMRPageCount is 15")]);
}

/// W-09, REG-03: what is registered is looked at before anything is bound.
#[test]
fn a_reset_handler_and_ndk_handlers_that_are_missing_are_caught() {
    ndk_types::abi! {
        unsafe extern "C" fn hangs(_context: NDIS_HANDLE) -> BOOLEAN {
            0
        }
    }
    let bench = Bench::new(Deeds::KEPT);
    bench.driver(|driver| driver.register_miniport_with(|given| given.CheckForHangHandlerEx = Some(hangs)));
    assert_rules(&bench.broken(), &[("W-09", "CheckForHang")]);
}
