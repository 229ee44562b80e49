//! LT: lifetime and close.

use super::pair::{Host, Pair, close_adapter, pass, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::dice::Dice;
use ndk_types::*;
use std::sync::atomic::Ordering;

fn a_pending_close_of_an_antecedent_changes_nothing_for_its_successors(bed: &mut dyn Bed) {
    let Pair { client, server, active, passive, listener, .. } = Pair::new(bed);
    let Host { adapter, cq, pd, qp, lam, buffer, token, .. } = client;
    let before = adapter.ledger.outstanding();
    pd.close();
    assert_eq!(adapter.ledger.outstanding(), before);
    server.qp.receive(1, &[server.sge(0, 8)]).unwrap();
    buffer.write(0, b"still");
    qp.send(2, &[crate::consumer::sge(token, lam.address(0), 5)], 0).unwrap();
    assert_eq!(results(bed, &server, 5)[0].Status, STATUS_SUCCESS);
    assert_eq!((cq.poll()[0].Status, server.buffer.read(0, 5)), (STATUS_SUCCESS, b"still".to_vec()));
    active.close();
    qp.close();
    cq.close();
    adapter.release_lam(lam);
    close_adapter(bed, adapter);
    passive.close();
    listener.close();
    server.close(bed);
}

fn closing_from_inside_the_object_s_own_callback_is_over_after_it(bed: &mut dyn Bed) {
    for too in [false, true] {
        let host = Host::new(bed, 0);
        let (cq, inside) = host.adapter.create_closing_cq(8).unwrap();
        let qp = host.pd.create_qp(&cq, 4, 1, 0).unwrap();
        qp.receive(1, &[host.sge(0, 8)]).unwrap();
        cq.arm();
        if too {
            qp.flush();
            // It runs at once, on whoever flushes, or soon: the QP is told before.
            pass(bed, 5);
            assert_eq!(inside.calls.load(Ordering::SeqCst), 1);
            qp.close();
        } else {
            let second = host.pd.create_qp(&cq, 4, 1, 0).unwrap();
            inside.close_too(second);
            qp.flush();
            pass(bed, 5);
            assert_eq!((inside.calls.load(Ordering::SeqCst), inside.closing_cq.status()), (1, STATUS_PENDING));
            qp.close();
        }
        pass(bed, 5);
        assert!(!inside.over_while_running.load(Ordering::SeqCst), "LT-11, LT-13");
        assert_eq!(inside.closing_cq.completions(), 1, "LT-02");
        host.close(bed);
    }
}

fn everything_closes_in_any_order(bed: &mut dyn Bed) {
    for seed in 0..40 {
        let mut dice = Dice::new(seed, 1);
        let Pair { client, server, active, passive, listener, .. } = Pair::new(bed);
        // Something under way in both directions.
        server.qp.receive(1, &[server.sge(0, 64)]).unwrap();
        client.qp.receive(2, &[client.sge(0, 64)]).unwrap();
        client.qp.send(3, &[client.sge(0, 60_000)], 0).unwrap();
        for _ in 0..dice.below(12) {
            bed.step();
        }
        let mut closes: Vec<Box<dyn FnOnce()>> = vec![
            Box::new(move || active.close()),
            Box::new(move || passive.close()),
            Box::new(move || listener.close()),
        ];
        let mut adapters = Vec::new();
        for host in [client, server] {
            let Host { adapter, cq, pd, qp, lam, buffer, .. } = host;
            closes.push(Box::new(move || cq.close()));
            closes.push(Box::new(move || pd.close()));
            closes.push(Box::new(move || qp.close()));
            adapters.push((adapter, lam, buffer));
        }
        while !closes.is_empty() {
            let place = dice.below(closes.len() as u64) as usize;
            closes.swap_remove(place)();
            if dice.below(3) == 0 {
                bed.step();
            }
        }
        for (adapter, lam, buffer) in adapters {
            adapter.release_lam(lam);
            close_adapter(bed, adapter);
            assert!(buffer.guards_are_whole(), "seed {seed}");
        }
    }
}

fn an_object_alone_closes_at_once(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let before = host.adapter.ledger.outstanding();
    host.pd.create_mr(false).unwrap().close();
    host.pd.create_mw().unwrap().close();
    host.adapter.create_connector().unwrap().close();
    host.adapter.create_cq(4).unwrap().0.close();
    host.pd.create_srq(4, 1, 0, true).unwrap().0.close();
    assert_eq!(host.adapter.ledger.outstanding(), before, "LT-01: nothing was pending");
    host.close(bed);
}

fn a_close_cancels_what_was_requested_of_the_object(bed: &mut dyn Bed) {
    let client = Host::new(bed, 0);
    let connector = client.adapter.create_connector().unwrap();
    // Nobody is at that address: the connect waits for an answer.
    let connecting = connector.connect(&client.qp, crate::bed::ipv4(0), super::pair::smb(1), 1, b"");
    let before = client.adapter.ledger.outstanding();
    connector.close();
    while client.adapter.ledger.outstanding() == before {
        assert!(bed.step(), "the close waits for ever");
    }
    assert!(connecting.status().is_some_and(|status| status < 0), "LT-10: told before the close was over");
    client.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "LT-05 LT-07",
        "a_pending_close_of_an_antecedent_changes_nothing_for_its_successors",
        a_pending_close_of_an_antecedent_changes_nothing_for_its_successors,
    ),
    case(
        "LT-02 LT-03 LT-11 LT-12 LT-13 LT-19 COM-10 COM-11 CQ-42",
        "closing_from_inside_the_object_s_own_callback_is_over_after_it",
        closing_from_inside_the_object_s_own_callback_is_over_after_it,
    ),
    case(
        "LT-04 LT-06 LT-08 LT-15 LT-17 LT-20 ADP-14",
        "everything_closes_in_any_order",
        everything_closes_in_any_order,
    ),
    case("LT-01", "an_object_alone_closes_at_once", an_object_alone_closes_at_once),
    case(
        "LT-09 LT-10 CN-41",
        "a_close_cancels_what_was_requested_of_the_object",
        a_close_cancels_what_was_requested_of_the_object,
    ),
];
