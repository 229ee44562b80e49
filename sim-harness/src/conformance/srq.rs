//! SRQ: shared receive queues.

use super::pair::{Host, Pair, VERSION, arrival, close_adapter, pass, results, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::{Connector, Failed, QpShape, Srq};
use ndk_types::*;
use std::sync::atomic::{AtomicU32, Ordering};

/// Two connected hosts whose server takes its receives from a shared queue.
struct Shared {
    pair: Pair,
    srq: Srq,
    notified: &'static AtomicU32,
}

impl Shared {
    fn new(bed: &mut dyn Bed, depth: u32, threshold: u32) -> Self {
        let client = Host::new(bed, 0);
        let mut server = Host::new(bed, 1);
        let (srq, notified) = server.pd.create_srq(depth, 2, threshold, true).unwrap();
        let shape = QpShape { context: 1, ..QpShape::SMALL };
        let qp = server.pd.create_qp_with_srq(&server.cq, &server.cq, &srq, shape).unwrap();
        std::mem::replace(&mut server.qp, qp).close();
        Self { pair: Pair::connect(bed, client, server), srq, notified }
    }

    fn post(&self, number: usize) -> Result<(), Failed> {
        self.srq.receive(number, &[self.pair.server.sge(number * 64, 64)])
    }

    fn send(&self, bed: &mut dyn Bed, number: usize) {
        self.pair.client.qp.send(number, &[self.pair.client.sge(0, 8)], NDK_OP_FLAG_SILENT_SUCCESS).unwrap();
        pass(bed, 1);
    }

    fn notified(&self) -> u32 {
        self.notified.load(Ordering::SeqCst)
    }

    fn close(self, bed: &mut dyn Bed) {
        self.srq.close();
        self.pair.close(bed);
    }
}

fn limits_are_checked(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let info = host.adapter.info().unwrap();
    assert_ne!(info.MaxSrqDepth, 0, "ADP-24: shared receive queues are supported");
    let refused = Some(Failed("NdkCreateSrq", STATUS_INVALID_PARAMETER));
    assert_eq!(host.pd.create_srq(info.MaxSrqDepth + 1, 1, 0, true).err(), refused);
    assert_eq!(host.pd.create_srq(1, info.MaxReceiveRequestSge + 1, 0, true).err(), refused);
    let (srq, _) = host.pd.create_srq(info.MaxSrqDepth, info.MaxReceiveRequestSge, 0, false).unwrap();
    assert_eq!(srq.modify(info.MaxSrqDepth + 1, 0), Err(Failed("NdkModifySrq", STATUS_INVALID_PARAMETER)));
    srq.modify(16, 0).unwrap();
    srq.close();
    host.close(bed);
}

fn a_receive_completes_once_with_whoever_consumed_it(bed: &mut dyn Bed) {
    let shared = Shared::new(bed, 16, 0);
    // A second queue pair on the same shared queue.
    let server = &shared.pair.server;
    let shape = QpShape { context: 2, ..QpShape::SMALL };
    let other = server.pd.create_qp_with_srq(&server.cq, &server.cq, &shared.srq, shape).unwrap();
    let client_qp = shared.pair.client.pd.create_qp(&shared.pair.client.cq, 4, 1, 0).unwrap();
    let active: Connector = shared.pair.client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client_qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(bed, &shared.pair.listener);
    let (accepting, _) = passive.accept(&other, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);

    for number in 0..4 {
        shared.post(number).unwrap();
    }
    let silent = NDK_OP_FLAG_SILENT_SUCCESS;
    shared.pair.client.qp.send(1, &[shared.pair.client.sge(0, 8)], silent).unwrap();
    pass(bed, 1);
    client_qp.send(2, &[shared.pair.client.sge(0, 16)], silent).unwrap();
    let done = results(bed, &shared.pair.server, 5);
    let seen: Vec<_> =
        done.iter().map(|one| (one.RequestContext.addr(), one.QPContext.addr(), one.BytesTransferred)).collect();
    assert_eq!(seen, [(0, 1, 8), (1, 2, 16)]);
    active.close();
    passive.close();
    other.close();
    client_qp.close();
    shared.close(bed);
}

fn a_queue_pair_on_it_takes_no_receives_of_its_own(bed: &mut dyn Bed) {
    let shared = Shared::new(bed, 4, 0);
    let refused = shared.pair.server.qp.receive(1, &[shared.pair.server.sge(0, 8)]);
    assert_eq!(refused, Err(Failed("NdkReceive", STATUS_INVALID_DEVICE_REQUEST)));
    shared.post(2).unwrap();
    shared.send(bed, 3);
    let done = results(bed, &shared.pair.server, 2);
    assert_eq!((done.len(), done[0].RequestContext.addr()), (1, 2));
    shared.close(bed);
}

fn falling_below_the_threshold_notifies_once_until_it_is_armed_again(bed: &mut dyn Bed) {
    let shared = Shared::new(bed, 16, 3);
    for number in 0..5 {
        shared.post(number).unwrap();
    }
    shared.send(bed, 1);
    shared.send(bed, 2);
    assert_eq!(shared.notified(), 0, "three are left: not below");
    shared.send(bed, 3);
    assert_eq!(shared.notified(), 1);
    shared.send(bed, 4);
    assert_eq!(shared.notified(), 1, "SRQ-04");
    // Threshold 0 keeps what is: not armed.
    shared.srq.modify(0, 0).unwrap();
    shared.send(bed, 5);
    assert_eq!(shared.notified(), 1);
    // Above the count: right away.
    shared.srq.modify(0, 4).unwrap();
    assert_eq!(shared.notified(), 2, "SRQ-05");
    for number in 0..6 {
        shared.post(number).unwrap();
    }
    shared.srq.modify(32, 6).unwrap();
    assert_eq!(shared.notified(), 2, "six are there");
    shared.send(bed, 6);
    assert_eq!(shared.notified(), 3);
    shared.close(bed);
}

fn without_a_callback_nobody_is_notified(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let (srq, counter) = host.pd.create_srq(4, 1, 2, false).unwrap();
    srq.modify(0, 4).unwrap();
    pass(bed, 1);
    assert_eq!(counter.load(Ordering::SeqCst), 0);
    srq.close();
    host.close(bed);
}

fn a_full_queue_refuses_and_resizing_keeps_what_is_queued(bed: &mut dyn Bed) {
    let shared = Shared::new(bed, 4, 0);
    let three = [shared.pair.server.sge(0, 1); 3];
    assert_eq!(shared.srq.receive(9, &three), Err(Failed("NdkSrqReceive", STATUS_INVALID_PARAMETER)));
    for number in 0..4 {
        shared.post(number).unwrap();
    }
    assert_eq!(shared.post(4), Err(Failed("NdkSrqReceive", STATUS_INSUFFICIENT_RESOURCES)));
    assert_eq!(shared.srq.modify(3, 0), Err(Failed("NdkModifySrq", STATUS_INVALID_PARAMETER)), "SRQ-14");
    shared.srq.modify(6, 0).unwrap();
    shared.post(4).unwrap();
    shared.post(5).unwrap();
    assert!(shared.post(6).is_err());
    for number in 0..6 {
        shared.send(bed, number);
    }
    let numbers: Vec<_> =
        results(bed, &shared.pair.server, 2).iter().map(|result| result.RequestContext.addr()).collect();
    assert_eq!(numbers, (0..6).collect::<Vec<_>>());
    shared.close(bed);
}

fn a_send_that_finds_it_empty_waits_for_the_next_receive(bed: &mut dyn Bed) {
    let shared = Shared::new(bed, 4, 0);
    shared.send(bed, 1);
    assert!(shared.pair.server.cq.poll().is_empty());
    shared.post(7).unwrap();
    assert_eq!(results(bed, &shared.pair.server, 50)[0].RequestContext.addr(), 7);
    shared.close(bed);
}

fn it_closes_after_the_queue_pairs_that_use_it(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let (srq, _) = host.pd.create_srq(4, 1, 0, true).unwrap();
    let qp = host.pd.create_qp_with_srq(&host.cq, &host.cq, &srq, QpShape::SMALL).unwrap();
    srq.receive(1, &[host.sge(0, 8)]).unwrap();
    let before = host.adapter.ledger.outstanding();
    srq.close();
    assert_eq!(host.adapter.ledger.outstanding(), before);
    qp.close();
    pass(bed, 5);
    assert_eq!(host.adapter.ledger.outstanding(), before - 2);
    host.close(bed);
    let adapter = bed.open(0, VERSION).unwrap();
    close_adapter(bed, adapter);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case("SRQ-01 SRQ-07 SRQ-12 ADP-24", "limits_are_checked", limits_are_checked),
    case(
        "SRQ-09 QP-05",
        "a_receive_completes_once_with_whoever_consumed_it",
        a_receive_completes_once_with_whoever_consumed_it,
    ),
    case(
        "QP-05 QP-06",
        "a_queue_pair_on_it_takes_no_receives_of_its_own",
        a_queue_pair_on_it_takes_no_receives_of_its_own,
    ),
    case(
        "SRQ-03 SRQ-04 SRQ-05 SRQ-06",
        "falling_below_the_threshold_notifies_once_until_it_is_armed_again",
        falling_below_the_threshold_notifies_once_until_it_is_armed_again,
    ),
    case("SRQ-02", "without_a_callback_nobody_is_notified", without_a_callback_nobody_is_notified),
    case(
        "SRQ-10 SRQ-14 QP-18",
        "a_full_queue_refuses_and_resizing_keeps_what_is_queued",
        a_full_queue_refuses_and_resizing_keeps_what_is_queued,
    ),
    case(
        "T-09 T-29",
        "a_send_that_finds_it_empty_waits_for_the_next_receive",
        a_send_that_finds_it_empty_waits_for_the_next_receive,
    ),
    case("SRQ-11 LT-06", "it_closes_after_the_queue_pairs_that_use_it", it_closes_after_the_queue_pairs_that_use_it),
];
