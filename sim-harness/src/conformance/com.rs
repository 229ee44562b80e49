//! COM: rules common to all objects and callbacks.

use super::pair::{Host, Pair, VERSION, close_adapter, pass, results, smb};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::{Failed, Head, head, query_extension};
use ndk_types::*;
use std::ffi::c_void;
use std::net::SocketAddr;

const OLD: NDK_VERSION = NDK_VERSION { Major: 1, Minor: 2 };

/// Creates one of each object and gives the heads; creates that complete otherwise than inline stop the run.
fn heads(bed: &mut dyn Bed, version: NDK_VERSION) -> Vec<Head> {
    let host = Host::with_version(bed, 0, version);
    let adapter = &host.adapter;
    let (mr, mw) = (host.pd.create_mr(true).unwrap(), host.pd.create_mw().unwrap());
    let (srq, _) = host.pd.create_srq(4, 1, 0, true).unwrap();
    let connector = adapter.create_connector().unwrap();
    let listener = adapter.listen(smb(0)).unwrap();
    let endpoint = adapter.create_shared_endpoint(SocketAddr::new(ipv4(0), 5445)).unwrap();
    let all: [*mut c_void; 10] = [
        adapter.raw().cast(),
        host.qp.raw().cast(),
        host.cq.raw().cast(),
        mr.raw().cast(),
        mw.raw().cast(),
        host.pd.raw().cast(),
        connector.raw().cast(),
        srq.raw().cast(),
        listener.raw().cast(),
        endpoint.raw().cast(),
    ];
    // SAFETY: all of them are open.
    let heads = all.iter().map(|object| unsafe { head(object.cast()) }).collect();
    let answers = [
        query_extension!(adapter.raw()),
        query_extension!(host.qp.raw()),
        query_extension!(host.cq.raw()),
        query_extension!(mr.raw()),
        query_extension!(mw.raw()),
        query_extension!(host.pd.raw()),
        query_extension!(connector.raw()),
        query_extension!(srq.raw()),
        query_extension!(listener.raw()),
        query_extension!(endpoint.raw()),
    ];
    assert_eq!(answers, [STATUS_NOT_SUPPORTED; 10], "COM-18");
    let tables = [
        size_of::<NDK_ADAPTER_DISPATCH>(),
        size_of::<NDK_QP_DISPATCH>(),
        size_of::<NDK_CQ_DISPATCH>(),
        size_of::<NDK_MR_DISPATCH>(),
        size_of::<NDK_MW_DISPATCH>(),
        size_of::<NDK_PD_DISPATCH>(),
        size_of::<NDK_CONNECTOR_DISPATCH>(),
        size_of::<NDK_SRQ_DISPATCH>(),
        size_of::<NDK_LISTENER_DISPATCH>(),
        size_of::<NDK_SHARED_ENDPOINT_DISPATCH>(),
    ];
    for (object, size) in all.into_iter().zip(tables) {
        // Every object is its header and then the pointer to its table.
        let object = object.cast::<NDK_QP>();
        // SAFETY: an open object.
        let table = unsafe { (*object).Dispatch }.cast::<usize>();
        for slot in 0..size / size_of::<usize>() {
            // SAFETY: a table has a pointer for each of its slots.
            let function = unsafe { table.wrapping_add(slot).read() };
            assert_ne!(function, 0, "REG-15: slot {slot}");
        }
    }
    connector.close();
    srq.close();
    mr.close();
    mw.close();
    listener.close();
    endpoint.close();
    host.close(bed);
    heads
}

fn every_object_has_the_highest_version_of_its_major_and_its_own_type(bed: &mut dyn Bed) {
    let types = [
        NdkObjectTypeAdapter,
        NdkObjectTypeQp,
        NdkObjectTypeCq,
        NdkObjectTypeMr,
        NdkObjectTypeMw,
        NdkObjectTypePd,
        NdkObjectTypeConnector,
        NdkObjectTypeSrq,
        NdkObjectTypeListener,
        NdkObjectTypeSharedEndpoint,
    ];
    for (asked, reported) in [
        (VERSION, (2, 1)),
        (NDK_VERSION { Major: 2, Minor: 0 }, (2, 1)),
        (OLD, (1, 2)),
        (NDK_VERSION { Major: 1, Minor: 1 }, (1, 2)),
    ] {
        for (head, object_type) in heads(bed, asked).into_iter().zip(types) {
            assert_eq!(head, Head { version: reported, object_type, reserved_is_zero: true });
        }
    }
}

fn what_a_consumer_writes_into_the_reserved_block_stays(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let header = pair.client.qp.raw().cast::<NDK_OBJECT_HEADER>();
    let mark = std::ptr::without_provenance_mut(0x5a5a_5a5a);
    // SAFETY: an open object; the block is the consumer's.
    unsafe { (*header).NdkReserved.rf = [mark; 4] };
    pair.server.qp.receive(1, &[pair.server.sge(0, 8)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    assert_eq!(results(bed, &pair.client, 5).len(), 1);
    // SAFETY: as above.
    let block = unsafe { (*header).NdkReserved.rf };
    assert_eq!(block, [mark; 4]);
    pair.close(bed);
}

fn the_provider_never_looks_at_the_dispatch_pointer_it_gave(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (qp, cq) = (pair.server.qp.raw(), pair.server.cq.raw());
    pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
    pair.server.cq.arm();
    // Tables without a single function, as a consumer's hook could have them for a while.
    let nothing = [0_usize; 32];
    // SAFETY: open objects; the pointer is the consumer's to change.
    let qp_before = unsafe { std::mem::replace(&mut (*qp).Dispatch, nothing.as_ptr().cast()) };
    // SAFETY: as above.
    let cq_before = unsafe { std::mem::replace(&mut (*cq).Dispatch, nothing.as_ptr().cast()) };
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    pass(bed, 5);
    assert_eq!(pair.server.notified.load(std::sync::atomic::Ordering::SeqCst), 1);
    // SAFETY: as above.
    unsafe { (*qp).Dispatch = qp_before };
    // SAFETY: as above.
    unsafe { (*cq).Dispatch = cq_before };
    assert_eq!(pair.server.cq.poll().len(), 1);
    pair.close(bed);
}

fn contexts_come_back_as_they_were_null_too(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    for context in [0, usize::MAX, 0x8000_0000_0000_0001] {
        pair.server.qp.receive(context, &[pair.server.sge(0, 8)]).unwrap();
        pair.client.qp.send(context, &[pair.client.sge(0, 8)], 0).unwrap();
        let (sent, received) = (results(bed, &pair.client, 5), pair.server.cq.poll());
        assert_eq!((sent[0].RequestContext.addr(), received[0].RequestContext.addr()), (context, context));
        assert!(sent[0].QPContext.is_null() && received[0].QPContext.is_null());
    }
    pair.close(bed);
}

fn a_create_that_fails_leaves_nothing_behind(bed: &mut dyn Bed) {
    let adapter = bed.open(0, VERSION).unwrap();
    let pd = adapter.create_pd().unwrap();
    let (cq, _) = adapter.create_cq(4).unwrap();
    for _ in 0..100 {
        assert!(pd.create_qp(&cq, u32::MAX, 1, 0).is_err());
        assert!(adapter.create_cq(u32::MAX).is_err());
        assert!(pd.create_srq(u32::MAX, 1, 0, true).is_err());
    }
    // The antecedents close at once: nobody holds them.
    pd.close();
    cq.close();
    assert_eq!(adapter.ledger.outstanding(), 0);
    close_adapter(bed, adapter);
}

/// On natively built providers `provider/tests/scarcity.rs` shows it for every create.
fn a_create_without_memory_says_so_and_works_the_next_time(bed: &mut dyn Bed) {
    let adapter = bed.open(0, VERSION).unwrap();
    if bed.fail_next_allocation(0) {
        let refused = adapter.create_connector().map(|_| ()).unwrap_err();
        assert_eq!(refused, Failed("NdkCreateConnector", STATUS_INSUFFICIENT_RESOURCES));
    }
    if bed.fail_next_allocation(0) {
        let refused = adapter.listen(smb(0)).map(|_| ()).unwrap_err();
        assert_eq!(refused, Failed("NdkCreateListener", STATUS_INSUFFICIENT_RESOURCES));
    }
    adapter.create_connector().unwrap().close();
    adapter.listen(smb(0)).unwrap().close();
    close_adapter(bed, adapter);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "REG-15 COM-01 COM-12 COM-13 COM-15 COM-18 COM-22 ADP-03 ADP-04",
        "every_object_has_the_highest_version_of_its_major_and_its_own_type",
        every_object_has_the_highest_version_of_its_major_and_its_own_type,
    ),
    case(
        "COM-14",
        "what_a_consumer_writes_into_the_reserved_block_stays",
        what_a_consumer_writes_into_the_reserved_block_stays,
    ),
    case(
        "COM-16",
        "the_provider_never_looks_at_the_dispatch_pointer_it_gave",
        the_provider_never_looks_at_the_dispatch_pointer_it_gave,
    ),
    case("COM-17", "contexts_come_back_as_they_were_null_too", contexts_come_back_as_they_were_null_too),
    case(
        "COM-03",
        "a_create_without_memory_says_so_and_works_the_next_time",
        a_create_without_memory_says_so_and_works_the_next_time,
    ),
    case("COM-03 LT-18", "a_create_that_fails_leaves_nothing_behind", a_create_that_fails_leaves_nothing_behind),
];
