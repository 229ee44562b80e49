//! Pauses and restarts of both edges: W-08.

use super::driver::{Deeds, Driver};
use super::{Bench, assert_rules, assert_waits, bindings, breaks, miniports, ndis};
use crate::kernel::nic::Completion;
use ndk_types::*;
use std::ptr;
use std::sync::Arc;

fn code(notice: *mut NET_PNP_EVENT_NOTIFICATION) -> NET_PNP_EVENT_CODE {
    // SAFETY: the handler's contract: a valid event.
    unsafe { (*notice).NetPnPEvent.NetEvent }
}

/// The lower edge is paused and restarted once; what follows the first rule broken is the end of the run.
fn lower(deeds: Deeds, expected: &[(&str, &str)]) {
    let script = |bench: &Bench| {
        let binding = bench.binding();
        bench.on_thread(move |machine, _| {
            bindings::pause(machine, binding);
            bindings::restart(machine, binding);
        });
    };
    breaks(deeds, script, expected);
}

fn upper(deeds: Deeds, expected: &[(&str, &str)]) {
    let bench = Bench::new(deeds);
    bench.start();
    let instance = bench.instance();
    bench.on_thread(move |machine, _| miniports::pause(machine, instance));
    assert_rules(&bench.broken(), expected);
}

#[test]
fn a_pause_of_the_lower_edge_that_fails_is_caught() {
    let event = |_: &Driver, notice: *mut NET_PNP_EVENT_NOTIFICATION| {
        if code(notice) == NetEventPause { NDIS_STATUS_FAILURE } else { NDIS_STATUS_SUCCESS }
    };
    let fails = ("W-08", "NetEventPause answered");
    // Once in the script, and once before the unbind.
    lower(Deeds { event, ..Deeds::KEPT }, &[fails, fails]);
}

#[test]
fn a_restart_of_the_lower_edge_that_fails_is_caught() {
    let event = |_: &Driver, notice: *mut NET_PNP_EVENT_NOTIFICATION| {
        if code(notice) == NetEventRestart { NDIS_STATUS_FAILURE } else { NDIS_STATUS_SUCCESS }
    };
    let fails = ("W-08", "NetEventRestart answered");
    lower(Deeds { event, ..Deeds::KEPT }, &[fails, fails]);
}

#[test]
fn a_pause_of_the_lower_edge_that_is_over_with_sends_out_is_caught() {
    let script = |bench: &Bench| {
        bench.nic.behave(|behaviour| behaviour.completion = Completion::Late { lists: 100, delay: 1_000_000 });
        bench.send();
    };
    breaks(Deeds::KEPT, script, &[("W-08", "a pause is complete while 1 lists of the protocol")]);
}

#[test]
fn a_send_on_a_paused_binding_is_caught_and_the_list_comes_back() {
    let script = |bench: &Bench| {
        let binding = bench.binding();
        bench.on_thread(move |machine, driver| {
            bindings::pause(machine, binding);
            driver.send(driver.binding(), 0);
            bindings::restart(machine, binding);
        });
    };
    breaks(Deeds::KEPT, script, &[("W-08", "a send on a binding that is Paused")]);
}

#[test]
fn events_completed_that_do_not_pend_or_as_failed_are_caught() {
    let wrong = ("W-08", "of an event that is not pending");
    let script = |bench: &Bench| {
        bench.driver(|driver| ndis!(NdisCompleteNetPnPEvent, driver.binding(), ptr::null_mut(), NDIS_STATUS_SUCCESS));
    };
    breaks(Deeds::KEPT, script, &[wrong]);
    let event = |driver: &Driver, notice: *mut NET_PNP_EVENT_NOTIFICATION| {
        if code(notice) == NetEventPause {
            ndis!(NdisCompleteNetPnPEvent, driver.binding(), notice, NDIS_STATUS_FAILURE);
            ndis!(NdisCompleteNetPnPEvent, driver.binding(), notice, NDIS_STATUS_SUCCESS);
            return NDIS_STATUS_PENDING;
        }
        NDIS_STATUS_SUCCESS
    };
    breaks(Deeds { event, ..Deeds::KEPT }, |_| {}, &[wrong, wrong]);
    let event = |driver: &Driver, notice: *mut NET_PNP_EVENT_NOTIFICATION| {
        if code(notice) == NetEventPause {
            ndis!(NdisCompleteNetPnPEvent, driver.binding(), notice, NDIS_STATUS_SUCCESS);
        }
        NDIS_STATUS_SUCCESS
    };
    breaks(Deeds { event, ..Deeds::KEPT }, |_| {}, &[("W-08", "is completed and does not pend")]);
}

#[test]
fn an_event_that_pends_for_ever_is_caught() {
    let event = |_: &Driver, notice: *mut NET_PNP_EVENT_NOTIFICATION| {
        if code(notice) == NetEventPause { NDIS_STATUS_PENDING } else { NDIS_STATUS_SUCCESS }
    };
    let bench = Bench::new(Deeds { event, ..Deeds::KEPT });
    bench.start();
    bench.stop();
    assert_waits(&bench, "NdisCompleteNetPnPEvent");
}

#[test]
fn a_pause_of_the_upper_edge_that_fails_or_never_ends_is_caught() {
    upper(Deeds { pause: |_| NDIS_STATUS_FAILURE, ..Deeds::KEPT }, &[("W-08", "MiniportPause answered")]);
    let bench = Bench::new(Deeds { pause: |_| NDIS_STATUS_PENDING, ..Deeds::KEPT });
    bench.start();
    bench.stop();
    assert_waits(&bench, "NdisMPauseComplete");
}

#[test]
fn a_pause_of_the_upper_edge_that_is_over_with_lists_out_is_caught() {
    let pauses = [
        |_: &Driver| NDIS_STATUS_SUCCESS,
        |driver: &Driver| {
            ndis!(NdisMPauseComplete, driver.instance());
            NDIS_STATUS_PENDING
        },
    ];
    for pause in pauses {
        let bench = Bench::new(Deeds { send: |_, _| {}, pause, ..Deeds::KEPT });
        bench.start();
        bench.send();
        let instance = bench.instance();
        bench.on_thread(move |machine, _| miniports::pause(machine, instance));
        assert_rules(&bench.broken(), &[("W-08", "with 1 sends and 0 receives under way")]);
    }
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.above.keep.store(1, std::sync::atomic::Ordering::SeqCst);
    bench.receive();
    let instance = bench.instance();
    bench.on_thread(move |machine, _| miniports::pause(machine, instance));
    assert_rules(&bench.broken(), &[("W-08", "with 0 sends and 1 receives under way")]);
}

#[test]
fn pauses_and_restarts_completed_that_do_not_pend_are_caught() {
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.driver(|driver| ndis!(NdisMPauseComplete, driver.instance()));
    bench.driver(|driver| ndis!(NdisMRestartComplete, driver.instance(), NDIS_STATUS_SUCCESS));
    let expected = [("W-08", "NdisMPauseComplete without a pause"), ("W-08", "NdisMRestartComplete without a restart")];
    assert_rules(&bench.broken(), &expected);
    let pause = |driver: &Driver| {
        ndis!(NdisMPauseComplete, driver.instance());
        NDIS_STATUS_SUCCESS
    };
    upper(Deeds { pause, ..Deeds::KEPT }, &[("W-08", "a pause is completed and does not pend")]);
}

#[test]
fn a_restart_of_the_upper_edge_that_pends_is_caught() {
    let deeds = Deeds { restart: |_| NDIS_STATUS_PENDING, ..Deeds::KEPT };
    breaks(deeds, |_| {}, &[("W-08", "MiniportRestart pends")]);
}

#[test]
fn an_indication_of_a_paused_instance_is_caught_and_the_list_comes_back() {
    let script = |bench: &Bench| {
        let instance = bench.instance();
        bench.on_thread(move |machine, driver| {
            miniports::pause(machine, instance);
            driver.indicate(driver.instance(), 1, 0);
            miniports::restart(machine, instance);
        });
    };
    breaks(Deeds::KEPT, script, &[("W-08", "by an instance that is Some(Paused)")]);
}

#[test]
fn an_instance_that_is_gone_with_a_send_or_a_request_out_is_caught() {
    let bench = Bench::new(Deeds { send: |_, _| {}, ..Deeds::KEPT });
    bench.start();
    bench.send();
    bench.stop();
    let gone = ("W-08", "an instance is gone with 1 sends, 0 receives");
    assert_rules(&bench.broken(), &[("W-08", "a pause is complete with 1 sends"), gone]);
    let bench = Bench::new(Deeds { oid: |_, _| NDIS_STATUS_PENDING, ..Deeds::KEPT });
    bench.start();
    let (machine, instance) = (Arc::clone(&bench.machine), bench.instance());
    bench.machine.thread("a request", move || {
        super::oids::request(&machine, instance, NdisRequestQueryInformation, OID_GEN_VENDOR_ID, &[0; 4]);
    });
    bench.on_thread(|_, driver| driver.deinitialise());
    assert_rules(&bench.broken(), &[("W-08", "or a request out")]);
}

#[test]
fn whatever_goes_to_a_nic_that_sleeps_is_caught() {
    let script = |bench: &Bench| {
        let binding = bench.binding();
        bench.on_thread(move |machine, driver| {
            bindings::set_power(machine, binding, NetDeviceStateD3);
            driver.send(driver.binding(), 0);
            driver.ask(OID_GEN_CURRENT_PACKET_FILTER, 0);
            bindings::set_power(machine, binding, NetDeviceStateD0);
            driver.send(driver.binding(), 0);
        });
    };
    let expected = [("W-08", "NdisSendNetBufferLists to a NIC that sleeps"), ("W-08", "NdisOidRequest to a NIC that")];
    breaks(Deeds::KEPT, script, &expected);
}

#[test]
fn a_power_event_that_is_over_with_sends_out_is_caught() {
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.nic.behave(|behaviour| behaviour.completion = Completion::Late { lists: 100, delay: 1_000_000 });
    bench.send();
    let binding = bench.binding();
    bench.on_thread(move |machine, _| {
        bindings::set_power(machine, binding, NetDeviceStateD3);
    });
    assert_rules(&bench.broken(), &[("W-08", "NetEventSetPower is complete while the NIC has 1 lists and 0 requests")]);
}

#[test]
fn an_instance_that_sleeps_and_indicates_is_caught() {
    let power = |bench: &Bench, state: NDIS_DEVICE_POWER_STATE| {
        bench.on_thread(move |machine, driver| {
            let (instance, kind) = (driver.instance().addr(), NdisRequestSetInformation);
            super::oids::request(machine, instance, kind, OID_PNP_SET_POWER, &state.to_ne_bytes());
        });
    };
    let script = |bench: &Bench| {
        power(bench, NdisDeviceStateD3);
        bench.driver(|driver| {
            driver.indicate(driver.instance(), 1, 0);
            driver.status(driver.instance());
        });
        power(bench, NdisDeviceStateD0);
        bench.driver(|driver| driver.status(driver.instance()));
    };
    let sleeps = "by an instance that sleeps";
    breaks(Deeds::KEPT, script, &[("W-08", sleeps), ("W-08", sleeps)]);
}
