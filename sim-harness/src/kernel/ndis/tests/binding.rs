//! Binds, unbinds and closes: W-01, W-03, W-04, W-07.

use super::driver::{DEVICE, Deeds, Driver, LUID, Offer, named};
use super::{Bench, assert_rules, assert_waits, breaks, ndis};
use crate::kernel::nic::{Completion, Oids};
use ndk_types::*;
use std::ptr;
use std::sync::atomic::Ordering;

const ALL: Deeds = Deeds::KEPT;

/// W-01
#[test]
fn an_open_outside_a_bind_is_caught() {
    let script = |bench: &Bench| {
        bench.driver(|driver| {
            let before = driver.binding.load(Ordering::SeqCst);
            assert_eq!(named("nothing", |name| driver.open(name, ptr::null_mut())), NDIS_STATUS_FAILURE);
            assert_eq!(driver.binding.load(Ordering::SeqCst), before);
        });
    };
    breaks(ALL, script, &[("W-01", "outside ProtocolBindAdapterEx")]);
}

/// W-01
#[test]
fn a_bind_that_succeeds_without_an_open_adapter_is_caught() {
    let deeds = Deeds { bind: |_, _| NDIS_STATUS_SUCCESS, ..ALL };
    breaks(deeds, |_| {}, &[("W-01", "succeeded and opened nothing")]);
}

/// W-01
#[test]
fn a_bind_that_fails_and_leaves_the_adapter_open_is_caught() {
    let bind = |driver: &Driver, offer: &Offer| {
        assert_eq!(driver.open(offer.name, offer.operation), NDIS_STATUS_SUCCESS);
        NDIS_STATUS_RESOURCES
    };
    // It is bound all the same, and unbound at the end: nothing leaks.
    breaks(Deeds { bind, ..ALL }, |_| {}, &[("W-01", "failed and left the adapter open")]);
}

/// W-01
#[test]
fn opening_something_else_than_what_is_offered_is_caught() {
    let bind = |driver: &Driver, offer: &Offer| named(r"\DEVICE\ANOTHER", |name| driver.open(name, offer.operation));
    breaks(Deeds { bind, ..ALL }, |_| {}, &[("W-01", "was offered and")]);
}

/// W-01, W-04
#[test]
fn a_miniport_initialised_before_the_edges_belong_together_is_caught() {
    let bench = Bench::new(ALL);
    bench.driver(|driver| {
        driver.register_miniport();
        driver.initialise_device();
    });
    bench.settle();
    assert_rules(&bench.broken(), &[("W-01", "before the two edges are associated")]);
}

/// W-01
#[test]
fn completions_of_no_bind_twice_or_with_pending_are_caught() {
    let twice = |driver: &Driver, offer: &Offer| {
        if offer.luid == LUID {
            return NDIS_STATUS_OPEN_FAILED;
        }
        driver.bind(offer);
        ndis!(NdisCompleteBindAdapterEx, offer.operation, NDIS_STATUS_SUCCESS);
        ndis!(NdisCompleteBindAdapterEx, offer.operation, NDIS_STATUS_SUCCESS);
        NDIS_STATUS_PENDING
    };
    let none = ("W-01", "NdisCompleteBindAdapterEx of no bind");
    breaks(Deeds { bind: twice, ..ALL }, |_| {}, &[none]);
    let again = |driver: &Driver, offer: &Offer| {
        if offer.luid == LUID {
            return NDIS_STATUS_OPEN_FAILED;
        }
        ndis!(NdisCompleteBindAdapterEx, offer.operation, NDIS_STATUS_SUCCESS);
        driver.bind(offer)
    };
    breaks(Deeds { bind: again, ..ALL }, |_| {}, &[("W-01", "completed and does not pend")]);
    let script = |bench: &Bench| {
        bench.driver(|_| ndis!(NdisCompleteBindAdapterEx, ptr::null_mut(), NDIS_STATUS_SUCCESS));
    };
    breaks(ALL, script, &[none]);
}

#[test]
fn a_bind_that_pends_for_ever_is_caught() {
    let bind = |_: &Driver, _: &Offer| NDIS_STATUS_PENDING;
    breaks(Deeds { bind, ..ALL }, |_| {}, &[("leak", "a thread still waits for the completion of a bind")]);
}

/// W-03
#[test]
fn a_protocol_that_opens_a_miniport_of_its_own_driver_is_caught() {
    let bind = |driver: &Driver, offer: &Offer| {
        if offer.luid == LUID { driver.open(offer.name, offer.operation) } else { driver.bind(offer) }
    };
    breaks(Deeds { bind, ..ALL }, |_| {}, &[("W-03", "a virtual miniport of its own driver")]);
}

/// W-04
#[test]
fn edges_that_come_and_go_in_another_order_are_caught() {
    let bench = Bench::new(ALL);
    bench.driver(|driver| {
        driver.register_protocol();
        driver.register_miniport();
        driver.register_miniport();
        driver.associate();
        driver.deregister_miniport();
        driver.deregister_protocol();
    });
    let expected =
        [("W-04", "the protocol is registered before"), ("W-04", "a second miniport"), ("W-04", "before the protocol")];
    assert_rules(&bench.broken(), &expected);
}

/// REG-01
#[test]
fn ndk_support_that_is_registered_late_is_caught() {
    let script = |bench: &Bench| {
        bench.driver(|driver| {
            // SAFETY: the handler's contract: the driver's own handle.
            let status = unsafe { super::handlers::set_options(driver.miniport(), ptr::null_mut()) };
            assert_eq!(status, NDIS_STATUS_FAILURE);
        });
    };
    breaks(ALL, script, &[("REG-01", "outside MiniportSetOptions")]);
}

/// W-07
#[test]
fn a_binding_that_is_closed_twice_or_used_after_that_is_caught() {
    let unbind = |driver: &Driver, operation: NDIS_HANDLE| {
        let status = driver.unbind(operation);
        driver.close();
        driver.ask(OID_GEN_CURRENT_PACKET_FILTER, 0);
        driver.send(driver.binding(), 0);
        driver.give_back(ptr::null_mut());
        status
    };
    let expected = [
        ("W-07", "NdisCloseAdapterEx of"),
        ("W-07", "NdisOidRequest on"),
        ("W-08", "NdisSendNetBufferLists on"),
        ("W-08", "NdisReturnNetBufferLists on"),
    ];
    let script = |_: &Bench| {};
    let bench = Bench::new(Deeds { unbind, ..ALL });
    bench.start();
    script(&bench);
    bench.stop();
    // The list that could not be sent stays with the driver.
    assert_rules(&bench.broken(), &expected);
}

/// W-07
#[test]
fn a_binding_that_is_closed_with_things_out_is_caught() {
    let early = |bench: &Bench| {
        bench.on_thread(|_, driver| {
            driver.send(driver.binding(), 0);
            driver.ask(OID_GEN_CURRENT_PACKET_FILTER, 0);
            driver.close();
        });
    };
    let bench = Bench::new(ALL);
    bench.start();
    bench.nic.behave(|behaviour| {
        behaviour.completion = Completion::Late { lists: 100, delay: 1_000_000 };
        behaviour.oids = Oids::Pending(1_000_000);
    });
    early(&bench);
    assert_rules(&bench.broken(), &[("W-07", "with 1 sends, 0 receives and 1 requests out")]);
}

/// W-07
#[test]
fn a_binding_that_is_closed_with_receives_out_is_caught() {
    let bench = Bench::new(Deeds { receive: |_, _, _| {}, ..ALL });
    bench.start();
    bench.receive();
    bench.driver(Driver::close);
    assert_rules(&bench.broken(), &[("W-07", "with 0 sends, 1 receives and 0 requests out")]);
}

/// W-07
#[test]
fn an_unbind_that_is_over_while_the_binding_is_open_is_caught() {
    let unbind = |driver: &Driver, _: NDIS_HANDLE| {
        driver.deinitialise();
        NDIS_STATUS_SUCCESS
    };
    breaks(Deeds { unbind, ..ALL }, |_| {}, &[("W-07", "the binding is still open"), ("leak", "an open binding")]);
}

/// W-07
#[test]
fn an_unbind_that_fails_or_is_completed_without_pending_or_twice_is_caught() {
    let unbind = |driver: &Driver, operation: NDIS_HANDLE| {
        driver.unbind(operation);
        NDIS_STATUS_FAILURE
    };
    breaks(Deeds { unbind, ..ALL }, |_| {}, &[("W-07", "an unbind cannot fail")]);
    let unbind = |driver: &Driver, operation: NDIS_HANDLE| {
        ndis!(NdisCompleteUnbindAdapterEx, operation);
        driver.unbind(operation)
    };
    breaks(Deeds { unbind, ..ALL }, |_| {}, &[("W-07", "completed and does not pend")]);
    let unbind = |driver: &Driver, operation: NDIS_HANDLE| {
        driver.unbind(operation);
        ndis!(NdisCompleteUnbindAdapterEx, operation);
        ndis!(NdisCompleteUnbindAdapterEx, operation);
        NDIS_STATUS_PENDING
    };
    breaks(Deeds { unbind, ..ALL }, |_| {}, &[("W-07", "of no unbind, or twice")]);
    let unbind = |_: &Driver, _: NDIS_HANDLE| NDIS_STATUS_PENDING;
    let bench = Bench::new(Deeds { unbind, ..ALL });
    bench.start();
    bench.stop();
    assert_waits(&bench, "the completion of an unbind");
}

#[test]
fn what_a_driver_registered_and_leaves_is_a_leak_each() {
    let bench = Bench::new(ALL);
    bench.start();
    bench.machine.check_leaks();
    let broken = bench.broken();
    let leaks = ["a registered miniport", "a registered protocol", "an open binding", "a miniport instance"];
    for leak in leaks {
        assert_eq!(
            broken.iter().filter(|(rule, text)| *rule == "leak" && text.contains(leak)).count(),
            1,
            "{broken:?}"
        );
    }
    assert_eq!(broken.len(), leaks.len(), "{broken:?}");
}

/// W-01: a device that never starts, and a driver that never takes back its wish for it.
#[test]
fn an_initialisation_that_is_never_cancelled_is_a_leak() {
    let unbind = |driver: &Driver, _: NDIS_HANDLE| driver.close();
    for (deeds, expected) in [(ALL, &[][..]), (Deeds { unbind, ..ALL }, &[("leak", "never cancelled")])] {
        let bench = Bench::new(deeds);
        bench.machine.ndis.adapters.state().devices[0].started = false;
        bench.start();
        bench.stop();
        bench.machine.check_leaks();
        assert_rules(&bench.broken(), expected);
    }
    let script = |bench: &Bench| {
        bench.driver(|_| {
            named(DEVICE, |name| ndis!(NdisIMCancelInitializeDeviceInstance, ptr::null_mut(), name));
        });
    };
    breaks(ALL, script, &[("W-01", "with another handle")]);
}

#[test]
fn a_protocol_that_lacks_a_handler_or_has_a_wrong_header_is_caught() {
    let bench = Bench::new(ALL);
    bench.driver(|driver| {
        driver.register_protocol_with(|given| given.StatusHandlerEx = None);
        driver.register_protocol_with(|given| given.Header.Type = 0);
    });
    let header = ("header", "NDIS_PROTOCOL_DRIVER_CHARACTERISTICS");
    assert_rules(&bench.broken(), &[("header", "the protocol lacks a handler"), header]);
}
