//! Sends, indications and completions: W-20, what flags and counts claim, and who has which list.

use super::driver::{Deeds, Driver};
use super::{Bench, assert_rules, breaks, ndis};
use crate::kernel::irql::{self, Irql};
use ndk_types::*;
use std::ptr;

/// Runs a driver that keeps the rules but for this.
fn once(deed: fn(&Driver), expected: &[(&str, &str)]) {
    breaks(Deeds::KEPT, |bench| bench.on_thread(move |_, driver| deed(driver)), expected);
}

/// W-20
#[test]
fn a_wrong_source_handle_either_way_is_caught() {
    once(|driver| driver.send(driver.instance(), 0), &[("W-20", "NdisSendNetBufferLists: SourceHandle")]);
    let up = |driver: &Driver| {
        driver.indicate(driver.binding(), 1, 0);
    };
    once(up, &[("W-20", "NdisMIndicateReceiveNetBufferLists: SourceHandle")]);
    once(|driver| driver.status(driver.binding()), &[("W-20", "NdisMIndicateStatusEx with another SourceHandle")]);
}

/// W-20
#[test]
fn a_send_that_is_to_be_looped_back_is_caught() {
    once(
        |driver| driver.send(driver.binding(), NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK),
        &[("W-20", "with CHECK_FOR_LOOPBACK")],
    );
}

#[test]
fn flags_that_claim_dispatch_level_at_passive_level_are_caught_in_every_call() {
    let claims = |call| ("irql", call);
    once(|driver| driver.send(driver.binding(), 1), &[claims("NdisSendNetBufferLists claims")]);
    let up = |driver: &Driver| {
        driver.indicate(driver.instance(), 1, 1);
    };
    once(up, &[claims("NdisMIndicateReceiveNetBufferLists claims")]);
    let back = |driver: &Driver| ndis!(NdisReturnNetBufferLists, driver.binding(), ptr::null_mut(), 1);
    once(back, &[claims("NdisReturnNetBufferLists claims")]);
    let done = |driver: &Driver| ndis!(NdisMSendNetBufferListsComplete, driver.instance(), ptr::null_mut(), 1);
    once(done, &[claims("NdisMSendNetBufferListsComplete claims")]);
}

/// D7: every call knows its highest IRQL.
#[test]
fn calls_of_passive_level_at_dispatch_level_are_caught() {
    let deed = |driver: &Driver| {
        irql::at(Irql::Dispatch, || driver.associate());
    };
    once(deed, &[("irql", "NdisIMAssociateMiniport is for PASSIVE_LEVEL")]);
}

#[test]
fn a_count_of_indicated_lists_that_is_wrong_is_caught() {
    let up = |driver: &Driver| {
        driver.indicate(driver.instance(), 2, 0);
    };
    once(up, &[("nbl", "of 1 lists says 2")]);
}

#[test]
fn a_completion_of_a_list_that_was_never_sent_is_caught() {
    // A list of the driver's own, which the protocol above then takes for one of its own and cannot destroy.
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.driver(|driver| driver.complete(driver.frame(&super::frame(), driver.instance())));
    assert_rules(
        &bench.broken(),
        &[("nbl", "more lists than were sent through"), ("nbl", "is to go and is the driver's")],
    );
}

#[test]
fn a_list_that_is_completed_twice_is_caught() {
    let send = |driver: &Driver, chain: *mut NET_BUFFER_LIST| {
        driver.complete(chain);
        driver.complete(chain);
    };
    breaks(Deeds { send, ..Deeds::KEPT }, Bench::send, &[("nbl", "is no NET_BUFFER_LIST")]);
}

/// A list that the protocol above has is not the driver's to look at, nor to send or to free.
#[test]
fn lists_that_somebody_else_has_are_caught_in_every_call() {
    let bench = Bench::new(Deeds::KEPT);
    bench.start();
    bench.above.keep.store(1, std::sync::atomic::Ordering::SeqCst);
    bench.driver(|driver| {
        let list = driver.indicate(driver.instance(), 1, 0);
        ndis!(NdisSendNetBufferLists, driver.binding(), list, 0, 0);
        ndis!(NdisFreeNetBufferList, list);
        ndis!(NdisReturnNetBufferLists, driver.binding(), list, 0);
    });
    let above = ("nbl", "is with Above");
    assert_rules(&bench.broken(), &[above, above, above]);
    bench.above.keep.store(0, std::sync::atomic::Ordering::SeqCst);
    bench.stop();
    assert_eq!((bench.machine.check_leaks(), bench.broken()), (0, vec![]));
}

/// What the driver was indicated and never returns stays with it: the NIC's pause has no end.
#[test]
fn a_received_list_that_is_never_returned_is_caught() {
    let bench = Bench::new(Deeds { receive: |_, _, _| {}, ..Deeds::KEPT });
    bench.start();
    bench.receive();
    bench.stop();
    super::assert_waits(&bench, "the lists a NIC indicated");
}

/// What the protocol above sent and the driver never completes is missing when the upper edge is paused, and after that.
#[test]
fn a_send_that_is_never_completed_is_caught() {
    let expected = [
        ("W-08", "a pause is complete with 1 sends"),
        ("W-08", "an instance is gone with 1 sends"),
        ("leak", "held by Driver"),
    ];
    breaks(Deeds { send: |_, _| {}, ..Deeds::KEPT }, Bench::send, &expected);
}
