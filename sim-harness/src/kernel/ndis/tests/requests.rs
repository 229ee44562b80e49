//! OID requests: OID-03, OID-04, OID-10.

use super::driver::{Deeds, Driver};
use super::{Bench, assert_waits, breaks, ndis, oids};
use crate::kernel::irql::Irql;
use ndk_types::*;
use std::ptr;
use std::sync::Arc;

/// A regular request comes to a driver that answers it so.
fn asked(oid: NDIS_OID, deed: fn(&Driver, *mut NDIS_OID_REQUEST) -> NDIS_STATUS, expected: &[(&str, &str)]) {
    let script = move |bench: &Bench| {
        bench.on_thread(move |machine, driver| {
            oids::request(machine, driver.instance().addr(), NdisRequestQueryInformation, oid, &[0; 4]);
        });
    };
    breaks(Deeds { oid: deed, ..Deeds::KEPT }, script, expected);
}

fn complete(driver: &Driver, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    ndis!(NdisMOidRequestComplete, driver.instance(), request, status);
}

/// OID-03
#[test]
fn an_answer_longer_than_its_buffer_is_caught() {
    let longer = |_: &Driver, request: *mut NDIS_OID_REQUEST| {
        // SAFETY: the handler's contract: a request that is the driver's now.
        let request = unsafe { &mut *request };
        request.DATA.QUERY_INFORMATION.BytesWritten = 5;
        NDIS_STATUS_SUCCESS
    };
    asked(OID_GEN_VENDOR_ID, longer, &[("OID-03", "5 bytes are said to be in a buffer of 4")]);
}

/// The guard behind a request's buffer.
#[test]
fn an_answer_written_behind_its_buffer_is_caught() {
    let behind = |_: &Driver, request: *mut NDIS_OID_REQUEST| {
        // SAFETY: the handler's contract: a request that is the driver's now.
        let request = unsafe { &*request };
        // SAFETY: a request for information, which has this member.
        let buffer = unsafe { request.DATA.QUERY_INFORMATION.InformationBuffer };
        // SAFETY: the slack behind the block is still its page.
        unsafe { buffer.cast::<u8>().wrapping_add(4).write(1) };
        NDIS_STATUS_SUCCESS
    };
    asked(OID_GEN_VENDOR_ID, behind, &[("pool", "the buffer of request")]);
}

/// OID-04
#[test]
fn a_change_of_ndks_state_that_pends_is_caught() {
    let pends = |driver: &Driver, request: *mut NDIS_OID_REQUEST| {
        complete(driver, request, NDIS_STATUS_SUCCESS);
        NDIS_STATUS_PENDING
    };
    asked(OID_NDK_SET_STATE, pends, &[("OID-04", "OID_NDK_SET_STATE pends")]);
    asked(OID_GEN_VENDOR_ID, pends, &[]);
}

/// OID-04
#[test]
fn requests_completed_twice_with_pending_without_pending_or_never_are_caught() {
    let wrong = ("OID-04", "of a request that is not pending, or with PENDING");
    let twice = |driver: &Driver, request: *mut NDIS_OID_REQUEST| {
        complete(driver, request, NDIS_STATUS_SUCCESS);
        complete(driver, request, NDIS_STATUS_SUCCESS);
        NDIS_STATUS_PENDING
    };
    asked(OID_GEN_VENDOR_ID, twice, &[wrong]);
    let pending = |driver: &Driver, request: *mut NDIS_OID_REQUEST| {
        complete(driver, request, NDIS_STATUS_PENDING);
        NDIS_STATUS_PENDING
    };
    asked(OID_GEN_VENDOR_ID, pending, &[wrong]);
    let too = |driver: &Driver, request: *mut NDIS_OID_REQUEST| {
        complete(driver, request, NDIS_STATUS_SUCCESS);
        NDIS_STATUS_SUCCESS
    };
    asked(OID_GEN_VENDOR_ID, too, &[("OID-04", "is completed and does not pend")]);
    breaks(
        Deeds::KEPT,
        |bench| bench.driver(|driver| complete(driver, ptr::null_mut(), NDIS_STATUS_SUCCESS)),
        &[wrong],
    );
    let bench = Bench::new(Deeds { oid: |_, _| NDIS_STATUS_PENDING, ..Deeds::KEPT });
    bench.start();
    let (machine, instance) = (Arc::clone(&bench.machine), bench.instance());
    bench.on_thread(move |_, _| {
        oids::request(&machine, instance, NdisRequestQueryInformation, OID_GEN_VENDOR_ID, &[0; 4]);
    });
    assert_waits(&bench, "NdisMOidRequestComplete");
}

/// OID-10
#[test]
fn a_direct_request_that_pends_is_caught() {
    let script = |bench: &Bench| {
        bench.on_thread(|machine, driver| {
            let (instance, kind) = (driver.instance().addr(), NdisRequestMethod);
            oids::direct_request(machine, instance, Irql::Dispatch, kind, OID_NDK_STATISTICS, &[0; 4]);
        });
    };
    let deeds = Deeds { direct: |_, _| NDIS_STATUS_PENDING, ..Deeds::KEPT };
    breaks(deeds, script, &[("OID-10", "the direct request")]);
}

/// A handler that comes back at another IRQL than it was called at.
#[test]
fn a_handler_that_changes_the_irql_is_caught() {
    let raises = |_: &Driver, _: *mut NDIS_OID_REQUEST| {
        crate::kernel::irql::set(Irql::Dispatch);
        NDIS_STATUS_SUCCESS
    };
    asked(OID_GEN_VENDOR_ID, raises, &[("irql", "MiniportOidRequest was called at PASSIVE_LEVEL and returned")]);
}

#[test]
fn a_request_to_the_nic_with_a_wrong_header_is_caught() {
    let script = |bench: &Bench| {
        bench.driver(|driver| {
            // SAFETY: integers and pointers, for which zero is a value.
            let mut request: Box<NDIS_OID_REQUEST> = unsafe { Box::new(std::mem::zeroed()) };
            assert_eq!(ndis!(NdisOidRequest, driver.binding(), &raw mut *request), NDIS_STATUS_FAILURE);
        });
    };
    breaks(Deeds::KEPT, script, &[("header", "NDIS_OID_REQUEST")]);
}
