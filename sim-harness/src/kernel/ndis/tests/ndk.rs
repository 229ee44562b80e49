//! NDK through NDIS: PNP-01, PNP-06, PNP-09, OID-07, OID-08, ADP-01, ADP-15.

use super::driver::{Deeds, Driver};
use super::{Bench, INDEX, assert_rules, breaks, oids, pnp};
use ndk_types::*;
use std::ptr;

const VERSION: NDK_VERSION = NDK_VERSION { Major: 2, Minor: 1 };

fn once(deed: fn(&Driver), expected: &[(&str, &str)]) {
    breaks(Deeds::KEPT, |bench| bench.on_thread(move |_, driver| deed(driver)), expected);
}

/// PNP-01
#[test]
fn events_of_no_instance_of_another_kind_or_with_a_buffer_are_caught() {
    let none = ("PNP-01", "which is no running instance");
    once(|driver| driver.announce(NetEventPause, |_| {}), &[none]);
    once(|driver| Driver::announce_as(driver.binding(), NetEventNDKDisable, |_| {}), &[none]);
    let buffer = |driver: &Driver| driver.announce(NetEventNDKDisable, |notice| notice.NetPnPEvent.BufferLength = 4);
    once(buffer, &[("PNP-01", "an NDK event has a buffer")]);
    let header = |driver: &Driver| driver.announce(NetEventNDKDisable, |notice| notice.Header.Size = 0);
    once(header, &[("header", "NET_PNP_EVENT_NOTIFICATION")]);
}

/// OID-08
#[test]
fn ndk_that_is_announced_as_what_it_is_already_is_caught() {
    once(|driver| driver.announce(NetEventNDKEnable, |_| {}), &[("OID-08", "as what it is already")]);
}

/// OID-07
#[test]
fn ndk_that_is_announced_inside_a_request_is_caught() {
    let oid = |driver: &Driver, _: *mut NDIS_OID_REQUEST| {
        driver.announce(NetEventNDKDisable, |_| {});
        NDIS_STATUS_SUCCESS
    };
    let script = |bench: &Bench| {
        bench.on_thread(|machine, driver| {
            let instance = driver.instance().addr();
            oids::request(machine, instance, NdisRequestSetInformation, OID_NDK_SET_STATE, &[0]);
        });
    };
    breaks(Deeds { oid, ..Deeds::KEPT }, script, &[("OID-07", "while request")]);
}

/// PNP-06
#[test]
fn an_adapter_that_opens_while_ndk_is_being_disabled_is_caught() {
    let open_ndk = |driver: &Driver, place: *mut *mut NDK_ADAPTER| driver.give_ndk(place);
    let script = |bench: &Bench| bench.on_thread(|_, driver| driver.announce(NetEventNDKDisable, |_| {}));
    breaks(Deeds { open_ndk, ..Deeds::KEPT }, script, &[("PNP-06", "can be opened while NDK is being disabled")]);
}

/// PNP-09: whether the halt waits for the adapters first or not, a halt with one open is told.
#[test]
fn an_instance_that_is_halted_with_an_adapter_open_is_caught() {
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.on_thread(|machine, _| {
        pnp::open_ndk_adapter(machine, INDEX, VERSION).unwrap();
    });
    bench.driver(Driver::deinitialise);
    let halted = ("PNP-09", "an instance is halted with 1 NDK_ADAPTERs open".to_owned());
    let broken = bench.broken();
    assert_eq!(broken.iter().filter(|one| **one == halted).count(), 1, "{broken:#?}");
}

/// ADP-01
#[test]
fn an_open_that_succeeds_without_an_adapter_is_caught() {
    let script = |bench: &Bench| {
        bench.on_thread(|machine, _| assert!(pnp::open_ndk_adapter(machine, INDEX, VERSION).is_err()));
    };
    breaks(Deeds { open_ndk: |_, _| NDIS_STATUS_SUCCESS, ..Deeds::KEPT }, script, &[("ADP-01", "without an adapter")]);
}

/// ADP-15
#[test]
fn an_adapter_that_is_closed_twice_is_caught() {
    let script = |bench: &Bench| {
        bench.on_thread(|machine, _| {
            let adapter = pnp::open_ndk_adapter(machine, INDEX, VERSION).unwrap();
            pnp::close_ndk_adapter(machine, adapter);
            pnp::close_ndk_adapter(machine, adapter);
            pnp::close_ndk_adapter(machine, ptr::null_mut());
        });
    };
    breaks(Deeds::KEPT, script, &[("ADP-15", "is closed and not open"), ("ADP-15", "is closed and not open")]);
}

/// A disable waits for the adapters, as NdisMNetPnPEvent's page has it; one that nobody closes is a deadlock.
#[test]
fn a_disable_that_no_consumer_answers_is_caught() {
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.on_thread(|machine, _| {
        pnp::open_ndk_adapter(machine, INDEX, VERSION).unwrap();
    });
    bench.driver(|driver| driver.announce(NetEventNDKDisable, |_| {}));
    assert_rules(&bench.broken(), &[("deadlock", "the NDK_ADAPTERs of a disabled interface")]);
}
