//! CQ: completion queues: arming, notification, overrun, resizing, moderation.

use super::pair::{Host, Pair, close_adapter, pass, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::{Cq, Failed, Qp, QpShape, Watch};
use ndk_types::*;
use std::sync::atomic::Ordering;

/// Two connected hosts whose server has a CQ of its own for receives.
struct Watched {
    pair: Pair,
    cq: Cq,
    watch: &'static Watch,
}

impl Watched {
    fn new(bed: &mut dyn Bed, depth: u32) -> Self {
        let client = Host::new(bed, 0);
        let mut server = Host::new(bed, 1);
        let (cq, watch) = server.adapter.create_watched_cq(depth).unwrap();
        let shape = QpShape { receive_depth: 64, context: 77, ..QpShape::SMALL };
        let qp = server.pd.create_qp_as(&cq, &server.cq, shape).unwrap();
        std::mem::replace(&mut server.qp, qp).close();
        Self { pair: Pair::connect(bed, client, server), cq, watch }
    }

    /// The client sends, the server has received when this returns.
    fn message(&self, bed: &mut dyn Bed, number: usize, flags: u32) {
        self.pair.server.qp.receive(number, &[self.pair.server.sge(0, 64)]).unwrap();
        self.pair.client.qp.send(number, &[self.pair.client.sge(0, 8)], flags | NDK_OP_FLAG_SILENT_SUCCESS).unwrap();
        pass(bed, 1);
    }

    fn close(self, bed: &mut dyn Bed) {
        assert_eq!(self.watch.nested.load(Ordering::SeqCst), 0, "CQ-08");
        self.cq.close();
        self.pair.close(bed);
    }
}

fn depths_up_to_the_limit_are_taken_and_beyond_refused(bed: &mut dyn Bed) {
    let adapter = bed.open(0, super::pair::VERSION).unwrap();
    let most = adapter.info().unwrap().MaxCqDepth;
    assert_eq!(adapter.create_cq(most + 1).err(), Some(Failed("NdkCreateCq", STATUS_INVALID_PARAMETER)));
    let (cq, _) = adapter.create_cq(most).unwrap();
    assert_eq!(cq.resize(most + 1), Err(Failed("NdkResizeCq", STATUS_INVALID_PARAMETER)));
    cq.resize(4).unwrap();
    cq.close();
    let count = bed.limits().completion_queues;
    let all: Vec<_> = (0..count).map(|_| adapter.create_cq(1).unwrap().0).collect();
    assert_eq!(adapter.create_cq(1).err(), Some(Failed("NdkCreateCq", STATUS_INSUFFICIENT_RESOURCES)));
    for cq in all {
        cq.close();
    }
    close_adapter(bed, adapter);
}

fn an_unarmed_queue_says_nothing_and_one_arm_says_it_once(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 16);
    host.message(bed, 1, 0);
    assert_eq!(host.watch.count(), 0, "CQ-03");
    host.cq.arm();
    assert_eq!(host.watch.count(), 1, "CQ-05: it had come since the last callback");
    host.message(bed, 2, 0);
    host.message(bed, 3, 0);
    assert_eq!(host.watch.count(), 1, "CQ-04");
    assert_eq!(host.cq.poll().len(), 3);
    host.cq.arm();
    assert_eq!(host.watch.count(), 1, "CQ-07: removed before the arm");
    host.message(bed, 4, 0);
    assert_eq!((host.watch.count(), host.watch.status.load(Ordering::SeqCst)), (2, STATUS_SUCCESS));
    host.close(bed);
}

fn arming_from_inside_leads_to_a_later_call_not_a_nested_one(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 16);
    host.watch.arm_inside(&host.cq, NDK_CQ_NOTIFY_ANY);
    host.cq.arm();
    host.message(bed, 1, 0);
    assert_eq!(host.watch.count(), 1);
    host.message(bed, 2, 0);
    assert_eq!(host.watch.count(), 2);
    host.message(bed, 3, 0);
    assert_eq!(host.watch.count(), 2, "the second call did not arm");
    host.close(bed);
}

fn the_nine_ways_to_arm_twice(bed: &mut dyn Bed) {
    use std::collections::BTreeSet;
    let (errors, any, solicited) = (NDK_CQ_NOTIFY_ERRORS, NDK_CQ_NOTIFY_ANY, NDK_CQ_NOTIFY_SOLICITED);
    let all = [errors, any, solicited];
    let mut seen = BTreeSet::new();
    for first in all {
        for second in all {
            // Whether a plain and whether a solicited message notifies.
            let (plain, wanted) = (first == any || second == any, first != errors || second != errors);
            for (flags, notified) in [(0, plain), (NDK_OP_FLAG_SEND_AND_SOLICIT_EVENT, wanted)] {
                let host = Watched::new(bed, 16);
                host.cq.arm_for(first);
                host.cq.arm_for(second);
                host.message(bed, 1, flags);
                assert_eq!(host.watch.count(), u32::from(notified), "{first} then {second}, flags {flags:#x}");
                host.close(bed);
            }
            seen.insert((first, second));
        }
    }
    assert_eq!(seen.len(), 9);
}

fn an_error_or_a_flush_notifies_whatever_is_armed(bed: &mut dyn Bed) {
    for arm in [NDK_CQ_NOTIFY_ANY, NDK_CQ_NOTIFY_SOLICITED] {
        for flush in [false, true] {
            let host = Watched::new(bed, 16);
            host.pair.server.qp.receive(1, &[host.pair.server.sge(0, 4)]).unwrap();
            host.cq.arm_for(arm);
            if flush {
                host.pair.server.qp.flush();
                pass(bed, 1);
            } else {
                // Longer than the receive.
                host.pair.client.qp.send(2, &[host.pair.client.sge(0, 8)], 0).unwrap();
                pass(bed, 20);
            }
            assert_eq!(host.watch.count(), 1, "arm {arm}, flush {flush}");
            let expected = if flush { STATUS_CANCELLED } else { STATUS_BUFFER_OVERFLOW };
            assert_eq!(host.cq.poll()[0].Status, expected);
            host.close(bed);
        }
    }
}

fn a_queue_holds_its_depth_and_one_more_kills_it_and_its_queue_pairs(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 4);
    for number in 0..4 {
        host.message(bed, number, 0);
    }
    host.cq.arm_for(NDK_CQ_NOTIFY_ERRORS);
    assert_eq!(host.watch.count(), 0, "CQ-02, CQ-13: four fit");
    host.message(bed, 4, 0);
    assert_eq!((host.watch.count(), host.watch.status.load(Ordering::SeqCst)), (1, STATUS_BUFFER_OVERFLOW));
    if let Some(native) = bed.native() {
        assert_eq!(native.world.port(1).counters.snapshot().cq_error, 1, "CQ-17");
    }
    // The queue pair on it is of no use any more; one on another queue is (CQ-27).
    let refused = host.pair.server.qp.send(9, &[host.pair.server.sge(0, 8)], 0);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_CONNECTION_INVALID)));
    host.close(bed);
}

fn overrun_is_told_to_an_arm_that_comes_later(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 1);
    host.message(bed, 1, 0);
    host.message(bed, 2, 0);
    assert_eq!(host.watch.count(), 0, "CQ-03 holds for errors too");
    host.cq.arm_for(NDK_CQ_NOTIFY_SOLICITED);
    assert_eq!((host.watch.count(), host.watch.status.load(Ordering::SeqCst)), (1, STATUS_BUFFER_OVERFLOW), "CQ-16");
    host.close(bed);
}

fn both_ways_of_polling_drain_one_queue_in_order(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 16);
    for number in 1..=5 {
        host.message(bed, number, 0);
    }
    let first = host.cq.poll_plain(2);
    let numbers: Vec<_> = first.iter().map(|result| result.RequestContext.addr()).collect();
    assert_eq!(numbers, [1, 2]);
    assert!(first.iter().all(|result| result.QPContext.addr() == 77 && result.BytesTransferred == 8));
    let second = host.cq.poll_some(1);
    assert_eq!((second[0].RequestContext.addr(), second[0].QPContext.addr()), (3, 77));
    assert_eq!(host.cq.poll_plain(10).len(), 2);
    assert!(host.cq.poll_plain(10).is_empty() && host.cq.poll_some(10).is_empty(), "CQ-18");
    assert!(host.cq.poll_plain(0).is_empty());
    host.close(bed);
}

fn a_remote_invalidate_is_retrieved_by_the_plain_call_too(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let fast = pair.server.pd.create_mr(true).unwrap();
    fast.initialize(1, true).unwrap();
    let pages = &pair.server.lam.pages[..1];
    let remote = NDK_OP_FLAG_ALLOW_REMOTE_READ | NDK_OP_FLAG_SILENT_SUCCESS;
    pair.server.qp.fast_register_at(1, &fast, pages, (100, 8, 100), remote).unwrap();
    pair.server.qp.receive(2, &[pair.server.sge(4096, 8)]).unwrap();
    pair.client.qp.send_and_invalidate(3, &[pair.client.sge(0, 4)], 0, fast.remote_token()).unwrap();
    pass(bed, 5);
    let received = pair.server.cq.poll_plain(8);
    assert_eq!((received.len(), received[0].Status, received[0].BytesTransferred), (1, STATUS_SUCCESS, 4));
    // It took place: registering again is no error.
    pair.server.qp.fast_register_at(4, &fast, pages, (100, 8, 100), 0).unwrap();
    assert_eq!(results(bed, &pair.server, 5)[0].Status, STATUS_SUCCESS);
    fast.close();
    pair.close(bed);
}

fn resizing_loses_nothing_and_does_not_go_below_what_is_there(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 4);
    for number in 1..=3 {
        host.message(bed, number, 0);
    }
    assert_eq!(host.cq.resize(2), Err(Failed("NdkResizeCq", STATUS_INVALID_PARAMETER)), "CQ-30");
    host.cq.resize(32).unwrap();
    for number in 4..=20 {
        host.message(bed, number, 0);
    }
    host.cq.arm();
    assert_eq!(host.watch.status.load(Ordering::SeqCst), STATUS_SUCCESS);
    let numbers: Vec<_> = host.cq.poll().iter().map(|result| result.RequestContext.addr()).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    host.cq.resize(2).unwrap();
    for number in 21..=22 {
        host.message(bed, number, 0);
    }
    assert_eq!(host.cq.poll().len(), 2);
    host.close(bed);
}

fn moderation_takes_what_it_can_mean_and_refuses_what_it_cannot(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let mix = Err(Failed("NdkControlCqInterruptModeration", STATUS_INVALID_PARAMETER_MIX));
    assert_eq!(host.cq.moderate(u32::MAX, u32::MAX), mix);
    assert_eq!(host.cq.moderate(u32::MAX, 65), mix, "more than the depth of 64");
    for (interval, count) in [(0, 0), (0, u32::MAX), (u32::MAX, 64), (u32::MAX - 1, u32::MAX), (5, 5)] {
        assert_eq!(host.cq.moderate(interval, count), Ok(()), "{interval} {count}");
    }
    host.close(bed);
}

fn moderation_waits_for_the_count_or_the_interval(bed: &mut dyn Bed) {
    // Interval in microseconds, count, messages, calls after them, calls after a long pause.
    let rows = [
        (u32::MAX, 3, 2, 0, 0),
        (u32::MAX, 3, 3, 1, 1),
        (20_000, u32::MAX, 0, 0, 0),
        (20_000, 3, 3, 1, 1),
        (0, 3, 1, 1, 1),
        (20_000, 1, 1, 1, 1),
        (20_000, 0, 1, 1, 1),
    ];
    for (interval, count, messages, soon, later) in rows {
        let host = Watched::new(bed, 16);
        host.cq.moderate(interval, count).unwrap();
        host.cq.arm();
        for number in 0..messages {
            host.message(bed, number, 0);
        }
        assert_eq!(host.watch.count(), soon, "{interval} us, {count}: {messages} messages");
        pass(bed, 100);
        assert_eq!(host.watch.count(), later, "{interval} us, {count}: after a while");
        host.close(bed);
    }
}

fn an_interval_alone_holds_a_completion_for_that_long(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 16);
    host.cq.moderate(20_000, u32::MAX).unwrap();
    host.cq.arm();
    host.pair.server.qp.receive(1, &[host.pair.server.sge(0, 64)]).unwrap();
    host.pair.client.qp.send(1, &[host.pair.client.sge(0, 8)], 0).unwrap();
    let mut arrived = None;
    while host.watch.count() == 0 {
        assert!(bed.step(), "a lone completion waits for ever");
        // Acknowledged, so it has arrived.
        if arrived.is_none() && !host.pair.client.cq.poll_some(1).is_empty() {
            arrived = Some(bed.now());
        }
    }
    let waited = bed.now() - arrived.expect("the message came first");
    assert!((19_000_000..25_000_000).contains(&waited), "{waited} ns");
    // Not armed any more, with a completion unread: nothing goes on by itself.
    pass(bed, 1_000);
    assert_eq!(host.watch.count(), 1);
    host.close(bed);
}

fn the_newest_moderation_counts(bed: &mut dyn Bed) {
    let host = Watched::new(bed, 16);
    host.cq.moderate(u32::MAX, 10).unwrap();
    host.cq.arm();
    host.message(bed, 1, 0);
    assert_eq!(host.watch.count(), 0);
    host.cq.moderate(0, 0).unwrap();
    pass(bed, 5);
    assert_eq!(host.watch.count(), 1, "CQ-39: what was held back is told");
    host.close(bed);
}

fn closing_an_armed_queue_is_the_end_of_it(bed: &mut dyn Bed) {
    let adapter = bed.open(0, super::pair::VERSION).unwrap();
    let (cq, watch) = adapter.create_watched_cq(4).unwrap();
    cq.arm();
    cq.close();
    pass(bed, 10);
    assert_eq!((watch.count(), adapter.ledger.outstanding()), (0, 0));
    close_adapter(bed, adapter);
}

fn a_queue_closes_after_the_queue_pairs_that_use_it(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let (cq, _) = host.adapter.create_cq(8).unwrap();
    let qp: Qp = host.pd.create_qp(&cq, 4, 1, 0).unwrap();
    let before = host.adapter.ledger.outstanding();
    cq.close();
    assert_eq!(host.adapter.ledger.outstanding(), before);
    qp.close();
    pass(bed, 5);
    assert_eq!(host.adapter.ledger.outstanding(), before - 2);
    host.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "CQ-01 CQ-29 CQ-41",
        "depths_up_to_the_limit_are_taken_and_beyond_refused",
        depths_up_to_the_limit_are_taken_and_beyond_refused,
    ),
    case(
        "CQ-03 CQ-04 CQ-05 CQ-06 CQ-07 CQ-47",
        "an_unarmed_queue_says_nothing_and_one_arm_says_it_once",
        an_unarmed_queue_says_nothing_and_one_arm_says_it_once,
    ),
    case(
        "CQ-08 CQ-09",
        "arming_from_inside_leads_to_a_later_call_not_a_nested_one",
        arming_from_inside_leads_to_a_later_call_not_a_nested_one,
    ),
    case("CQ-10 CQ-11 CQ-13 WR-17", "the_nine_ways_to_arm_twice", the_nine_ways_to_arm_twice),
    case(
        "CQ-12 CQ-46",
        "an_error_or_a_flush_notifies_whatever_is_armed",
        an_error_or_a_flush_notifies_whatever_is_armed,
    ),
    case(
        "CQ-02 CQ-14 CQ-17 CQ-27 T-08",
        "a_queue_holds_its_depth_and_one_more_kills_it_and_its_queue_pairs",
        a_queue_holds_its_depth_and_one_more_kills_it_and_its_queue_pairs,
    ),
    case("CQ-16 T-08", "overrun_is_told_to_an_arm_that_comes_later", overrun_is_told_to_an_arm_that_comes_later),
    case(
        "CQ-18 CQ-19 CQ-25 CQ-26 CQ-28",
        "both_ways_of_polling_drain_one_queue_in_order",
        both_ways_of_polling_drain_one_queue_in_order,
    ),
    case(
        "CQ-20",
        "a_remote_invalidate_is_retrieved_by_the_plain_call_too",
        a_remote_invalidate_is_retrieved_by_the_plain_call_too,
    ),
    case(
        "CQ-29 CQ-30 T-07",
        "resizing_loses_nothing_and_does_not_go_below_what_is_there",
        resizing_loses_nothing_and_does_not_go_below_what_is_there,
    ),
    case(
        "CQ-32 CQ-33 CQ-36 CQ-38",
        "moderation_takes_what_it_can_mean_and_refuses_what_it_cannot",
        moderation_takes_what_it_can_mean_and_refuses_what_it_cannot,
    ),
    case(
        "CQ-34 CQ-35 CQ-37 CQ-40",
        "moderation_waits_for_the_count_or_the_interval",
        moderation_waits_for_the_count_or_the_interval,
    ),
    case(
        "CQ-35 CQ-40",
        "an_interval_alone_holds_a_completion_for_that_long",
        an_interval_alone_holds_a_completion_for_that_long,
    ),
    case("CQ-39", "the_newest_moderation_counts", the_newest_moderation_counts),
    case("CQ-43", "closing_an_armed_queue_is_the_end_of_it", closing_an_armed_queue_is_the_end_of_it),
    case(
        "CQ-44 LT-06",
        "a_queue_closes_after_the_queue_pairs_that_use_it",
        a_queue_closes_after_the_queue_pairs_that_use_it,
    ),
];
