//! QP: queue pairs.

use super::pair::{Host, Pair, VERSION, close_adapter, pass, results, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::{Failed, QpShape};
use ndk_types::*;

/// One change to a shape, by name.
type Change = (&'static str, fn(&mut QpShape));

fn each_value_above_its_limit_is_refused_and_all_limits_together_taken(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let info = host.adapter.info().unwrap();
    let limits = QpShape {
        receive_depth: info.MaxReceiveQueueDepth,
        initiator_depth: info.MaxInitiatorQueueDepth,
        receive_sge: info.MaxReceiveRequestSge,
        initiator_sge: info.MaxInitiatorRequestSge,
        inline: info.MaxInlineDataSize,
        context: 0,
    };
    let (srq, _) = host.pd.create_srq(4, 1, 0, false).unwrap();
    let before = host.adapter.ledger.outstanding();
    let changes: [Change; 5] = [
        ("receive depth", |shape| shape.receive_depth += 1),
        ("receive sge", |shape| shape.receive_sge += 1),
        ("initiator depth", |shape| shape.initiator_depth += 1),
        ("initiator sge", |shape| shape.initiator_sge += 1),
        ("inline", |shape| shape.inline += 1),
    ];
    for (place, (name, change)) in changes.into_iter().enumerate() {
        let mut shape = limits;
        change(&mut shape);
        let refused = host.pd.create_qp_as(&host.cq, &host.cq, shape).err();
        assert_eq!(refused, Some(Failed("NdkCreateQp", STATUS_INVALID_PARAMETER)), "{name}");
        if place >= 2 {
            let refused = host.pd.create_qp_with_srq(&host.cq, &host.cq, &srq, shape).err();
            assert_eq!(refused, Some(Failed("NdkCreateQpWithSrq", STATUS_INVALID_PARAMETER)), "{name}");
        }
    }
    assert_eq!(host.adapter.ledger.outstanding(), before);
    host.pd.create_qp_as(&host.cq, &host.cq, limits).unwrap().close();
    host.pd.create_qp_with_srq(&host.cq, &host.cq, &srq, limits).unwrap().close();
    srq.close();
    host.close(bed);
}

fn as_many_as_reported_can_be_created_and_come_back(bed: &mut dyn Bed) {
    let most = bed.limits().queue_pairs as usize;
    let adapter = bed.open(0, VERSION).unwrap();
    let (cq, _) = adapter.create_cq(16).unwrap();
    let pd = adapter.create_pd().unwrap();
    for _ in 0..3 {
        let all: Vec<_> = (0..most).map(|_| pd.create_qp(&cq, 2, 1, 0).unwrap()).collect();
        let refused = pd.create_qp(&cq, 2, 1, 0).err();
        assert_eq!(refused, Some(Failed("NdkCreateQp", STATUS_INSUFFICIENT_RESOURCES)));
        for qp in all {
            qp.close();
        }
        pass(bed, 5);
        assert_eq!(adapter.ledger.outstanding(), 2);
    }
    pd.close();
    cq.close();
    close_adapter(bed, adapter);
}

fn before_a_connection_every_initiator_request_is_refused(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let sgl = [host.sge(0, 8)];
    let refused = |name| Err(Failed(name, STATUS_CONNECTION_INVALID));
    assert_eq!(host.qp.send(1, &sgl, 0), refused("NdkSend"));
    assert_eq!(host.qp.send_and_invalidate(1, &sgl, 0, 1), refused("NdkSendAndInvalidate"));
    assert_eq!(host.qp.read(1, &sgl, 0, 1, 0), refused("NdkRead"));
    assert_eq!(host.qp.write(1, &sgl, 0, 1, 0), refused("NdkWrite"));
    assert!(results(bed, &host, 2).is_empty());
    host.close(bed);
}

fn receives_posted_before_the_connection_are_used(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    server.qp.receive(5, &[server.sge(0, 8)]).unwrap();
    let pair = Pair::connect(bed, client, server);
    pair.client.qp.send(1, &[pair.client.sge(0, 8)], 0).unwrap();
    let done = results(bed, &pair.server, 5);
    assert_eq!((done[0].RequestContext.addr(), done[0].Status), (5, STATUS_SUCCESS));
    pair.close(bed);
}

fn everything_posted_comes_back_once_whatever_ends_it(bed: &mut dyn Bed) {
    for way in 0..3 {
        let pair = Pair::new(bed);
        let region = pair.server.pd.create_mr(false).unwrap();
        region.register(&pair.server.buffer, NDK_MR_FLAG_ALLOW_REMOTE_READ).unwrap();
        for number in 0..4 {
            pair.client.qp.receive(100 + number, &[pair.client.sge(0, 8)]).unwrap();
        }
        for number in 0..4 {
            let sgl = [pair.client.sge(0, 30_000)];
            let flags = if number % 2 == 0 { NDK_OP_FLAG_SILENT_SUCCESS } else { 0 };
            pair.client.qp.read(number, &sgl, pair.server.buffer.va(), region.remote_token(), flags).unwrap();
        }
        // In the middle of the first.
        for _ in 0..6 {
            bed.step();
        }
        let Pair { client, server, active, passive, listener, .. } = pair;
        match way {
            0 => client.qp.flush(),
            1 => {
                let _ = active.disconnect();
            }
            _ => (),
        }
        if way == 2 {
            active.close();
        } else {
            pass(bed, 1);
            active.close();
        }
        let mut numbers: Vec<_> = results(bed, &client, 100).iter().map(|one| one.RequestContext.addr()).collect();
        numbers.sort_unstable();
        // QP-19: the silent ones were cancelled, so they speak.
        assert_eq!(numbers, [0, 1, 2, 3, 100, 101, 102, 103], "way {way}");
        passive.close();
        listener.close();
        region.close();
        client.close(bed);
        server.close(bed);
    }
}

fn a_queue_pair_that_was_connected_cannot_be_connected_again(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (leaving, answering) = (pair.active.disconnect(), pair.passive.disconnect());
    let _ = (wait(bed, leaving), wait(bed, answering));
    let connector = pair.client.adapter.create_connector().unwrap();
    let again = connector.connect(&pair.client.qp, ipv4(0), super::pair::smb(1), 1, b"");
    let status = wait(bed, again);
    assert!(status < 0, "{status:#x}");
    connector.close();
    pair.close(bed);
}

fn one_queue_closes_after_its_connector(bed: &mut dyn Bed) {
    let Pair { client, server, active, passive, listener, .. } = Pair::new(bed);
    let before = client.adapter.ledger.outstanding();
    let Host { adapter, cq, pd, qp, lam, .. } = client;
    qp.close();
    pass(bed, 20);
    assert_eq!(adapter.ledger.outstanding(), before, "its connector is open");
    active.close();
    pass(bed, 20);
    assert_eq!(adapter.ledger.outstanding(), before - 2);
    pd.close();
    cq.close();
    adapter.release_lam(lam);
    close_adapter(bed, adapter);
    passive.close();
    listener.close();
    server.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "QP-01 QP-02 QP-03 QP-04 LT-18",
        "each_value_above_its_limit_is_refused_and_all_limits_together_taken",
        each_value_above_its_limit_is_refused_and_all_limits_together_taken,
    ),
    case(
        "QP-21 LT-21",
        "as_many_as_reported_can_be_created_and_come_back",
        as_many_as_reported_can_be_created_and_come_back,
    ),
    case(
        "QP-07",
        "before_a_connection_every_initiator_request_is_refused",
        before_a_connection_every_initiator_request_is_refused,
    ),
    case("QP-08", "receives_posted_before_the_connection_are_used", receives_posted_before_the_connection_are_used),
    case(
        "QP-09 QP-10 QP-12 QP-14 QP-19 QP-20 WR-22",
        "everything_posted_comes_back_once_whatever_ends_it",
        everything_posted_comes_back_once_whatever_ends_it,
    ),
    case(
        "QP-16 CN-40",
        "a_queue_pair_that_was_connected_cannot_be_connected_again",
        a_queue_pair_that_was_connected_cannot_be_connected_again,
    ),
    case("QP-17 LT-06", "one_queue_closes_after_its_connector", one_queue_closes_after_its_connector),
];
