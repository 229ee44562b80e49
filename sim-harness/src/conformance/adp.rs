//! ADP: the adapter object. ADP-06 (allocation failure) needs an allocator that fails; ADP-17 needs threads.

use super::pair::{Host, Pair, VERSION, close_adapter, pass, results, wait};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::Failed;
use crate::wire::Manners;
use ndk_types::*;
use std::sync::atomic::Ordering;

const INFO: u32 = size_of::<NDK_ADAPTER_INFO>() as u32;

/// ADP-01, ADP-02, ADP-03, ADP-04
fn every_minor_up_to_ours_opens_and_reports_ours(bed: &mut dyn Bed) {
    let version = |major, minor| NDK_VERSION { Major: major, Minor: minor };
    for (major, highest) in [(1, 2), (2, 1)] {
        for minor in 0..=highest {
            let host = Host::with_version(bed, 0, version(major, minor));
            let reported = version(major, highest);
            assert_eq!(host.adapter.info().unwrap().Version, reported);
            let handles: [*mut NDK_OBJECT_HEADER; 4] =
                [host.adapter.raw().cast(), host.cq.raw().cast(), host.pd.raw().cast(), host.qp.raw().cast()];
            for handle in handles {
                // SAFETY: an open object starts with its header.
                assert_eq!(unsafe { (*handle).Version }, reported);
            }
            host.close(bed);
        }
        let refused = bed.open(0, version(major, highest + 1)).err();
        assert_eq!(refused, Some(Failed("OpenNDKAdapter", NDIS_STATUS_BAD_VERSION)));
    }
    for major in [0, 3, u16::MAX] {
        let refused = bed.open(0, version(major, 0)).err();
        assert_eq!(refused, Some(Failed("OpenNDKAdapter", NDIS_STATUS_BAD_VERSION)));
    }
}

/// ADP-05, ADP-09, PNP-04, PNP-05, PNP-06, PNP-09, PNP-13
fn while_ndk_is_disabled_nothing_opens_and_what_is_open_works(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    bed.set_ndk(0, false);
    assert_eq!(bed.open(0, VERSION).err(), Some(Failed("OpenNDKAdapter", NDIS_STATUS_ADAPTER_NOT_READY)));
    pair.server.qp.receive(1, &[pair.server.sge(0, 8)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    assert_eq!(results(bed, &pair.server, 5).len(), 1);
    let leaving = pair.active.disconnect();
    pair.passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    pair.close(bed);
    if let Some(native) = bed.native() {
        let port = native.world.port(0);
        assert_eq!((port.open_adapters(), port.is_enabled(), port.disable()), (0, false, 0));
        // Nobody is open, so nobody has to be waited for.
        assert!(port.wait_for_closed_adapters());
    }
    assert_eq!(bed.open(0, VERSION).err(), Some(Failed("OpenNDKAdapter", NDIS_STATUS_ADAPTER_NOT_READY)));
    bed.set_ndk(0, true);
    Pair::new(bed).close(bed);
}

/// ADP-07, ADP-14, ADP-16
fn instances_do_not_disturb_each_other(bed: &mut dyn Bed) {
    let other = Host::new(bed, 0);
    let pair = Pair::new(bed);
    other.close(bed);
    pair.server.qp.receive(1, &[pair.server.sge(0, 8)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    assert_eq!(results(bed, &pair.server, 5)[0].Status, STATUS_SUCCESS);
    let Pair { client, server, active, passive, listener, server_events, .. } = pair;
    listener.close();
    passive.close();
    let events = server_events.load(Ordering::SeqCst);
    server.close(bed);
    // The peer goes on talking to an adapter that is closed: nobody hears of it.
    let _ = client.qp.send(3, &[client.sge(0, 8)], 0);
    active.close();
    pass(bed, 5_000);
    assert_eq!(server_events.load(Ordering::SeqCst), events);
    client.close(bed);
}

/// ADP-10, ADP-11, ADP-12, ADP-13, ADP-25
fn the_adapter_info_is_told_in_the_size_that_fits(bed: &mut dyn Bed) {
    let adapter = bed.open(0, VERSION).unwrap();
    let (status, size, untouched) = adapter.info_bytes(None);
    assert_eq!((status, size), (STATUS_BUFFER_TOO_SMALL, INFO));
    assert!(untouched.iter().all(|&byte| byte == 0xcc));
    for room in [0, 1, 95] {
        let (status, size, untouched) = adapter.info_bytes(Some(room));
        assert_eq!((status, size), (STATUS_BUFFER_TOO_SMALL, INFO));
        assert!(untouched.iter().all(|&byte| byte == 0xcc));
    }
    for (room, written) in [(96, 96), (INFO - 1, 96), (INFO, INFO), (200, INFO)] {
        let (status, size, bytes) = adapter.info_bytes(Some(room));
        assert_eq!((status, size), (STATUS_SUCCESS, written));
        assert!(bytes[written as usize..].iter().all(|&byte| byte == 0xcc));
        assert_eq!(bytes[..4], [2, 0, 1, 0]);
    }
    close_adapter(bed, adapter);
}

/// ADP-18, ADP-24: loopback is not promised; shared receive queues are, and exist.
fn what_is_reported_is_what_there_is(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let info = host.adapter.info().unwrap();
    assert_eq!(info.AdapterFlags & NDK_ADAPTER_FLAG_LOOPBACK_CONNECTIONS_SUPPORTED, 0);
    assert!(info.MaxSrqDepth > 0 && info.FRMRPageCount >= 16);
    assert_eq!((info.MaxCallerData, info.MaxCalleeData), (56, 148));
    assert_eq!(info.RdmaTechnology, NdkRoCEv2);
    host.close(bed);
}

/// ADP-19: whatever the wire does to the order of packets, a consumer that waits for the last byte finds all before it. (Within
/// one packet that is shown where the copy is made.)
fn the_last_byte_of_a_transfer_is_seen_after_all_others(bed: &mut dyn Bed) {
    const LENGTH: usize = 16_000;
    let adapter = bed.open(0, VERSION).unwrap();
    assert_ne!(adapter.info().unwrap().AdapterFlags & NDK_ADAPTER_FLAG_IN_ORDER_DMA_SUPPORTED, 0);
    adapter.close();
    for host in [0, 1] {
        bed.set_manners(host, Manners { reorder: 0.2, loss: 0.02, duplicate: 0.05, ..Manners::GOOD });
    }
    let pair = Pair::new(bed);
    let region = pair.server.pd.create_mr(false).unwrap();
    let rights = NDK_MR_FLAG_ALLOW_REMOTE_WRITE | NDK_MR_FLAG_ALLOW_REMOTE_READ;
    region.register(&pair.server.buffer, rights).unwrap();
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    // A write, a send and a read, into a buffer that was all zeroes.
    for (way, value) in [(0_usize, 1), (1, 2), (2, 3)] {
        let (from, to) = if way == 2 { (&pair.server, &pair.client) } else { (&pair.client, &pair.server) };
        from.buffer.write(0, &[value; LENGTH]);
        to.buffer.write(0, &[0; LENGTH]);
        let sge = pair.client.sge(0, LENGTH as u32);
        match way {
            0 => pair.client.qp.write(1, &[sge], va, token, 0).unwrap(),
            1 => {
                pair.server.qp.receive(1, &[pair.server.sge(0, LENGTH as u32)]).unwrap();
                pair.client.qp.send(1, &[sge], 0).unwrap();
            }
            _ => pair.client.qp.read(1, &[sge], va, token, 0).unwrap(),
        }
        while to.buffer.read(LENGTH - 1, 1) != [value] {
            assert!(bed.step(), "the last byte never comes");
        }
        assert!(to.buffer.read(0, LENGTH).iter().all(|&byte| byte == value), "transfer {way}");
        assert!(results(bed, &pair.client, 2000).iter().all(|result| result.Status == STATUS_SUCCESS));
    }
    for host in [0, 1] {
        bed.set_manners(host, Manners::GOOD);
    }
    region.close();
    pair.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "ADP-01 ADP-02 ADP-03 ADP-04",
        "every_minor_up_to_ours_opens_and_reports_ours",
        every_minor_up_to_ours_opens_and_reports_ours,
    ),
    case(
        "ADP-05 ADP-09 PNP-04 PNP-05 PNP-06 PNP-09 PNP-13",
        "while_ndk_is_disabled_nothing_opens_and_what_is_open_works",
        while_ndk_is_disabled_nothing_opens_and_what_is_open_works,
    ),
    case("ADP-07 ADP-14 ADP-16", "instances_do_not_disturb_each_other", instances_do_not_disturb_each_other),
    case(
        "ADP-10 ADP-11 ADP-12 ADP-13 ADP-25",
        "the_adapter_info_is_told_in_the_size_that_fits",
        the_adapter_info_is_told_in_the_size_that_fits,
    ),
    case(
        "ADP-19",
        "the_last_byte_of_a_transfer_is_seen_after_all_others",
        the_last_byte_of_a_transfer_is_seen_after_all_others,
    ),
    case("ADP-18 ADP-24", "what_is_reported_is_what_there_is", what_is_reported_is_what_there_is),
];
