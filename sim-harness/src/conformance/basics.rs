//! The first things a consumer does, area by area.

use super::pair::{Host, Pair, arrival, results, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::Failed;
use ndk_types::*;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

/// CN-02, CN-06, CN-07
fn a_connect_that_cannot_be_is_told_why(bed: &mut dyn Bed) {
    let client = Host::new(bed, 0);
    let nobody_listens = SocketAddr::new(ipv4(1), 446);
    for (from, to, status) in [
        (ipv4(0), nobody_listens, STATUS_CONNECTION_REFUSED),
        (ipv4(0), smb(76), STATUS_HOST_UNREACHABLE),
        (ipv4(8), smb(1), STATUS_INVALID_ADDRESS),
    ] {
        let connector = client.adapter.create_connector().unwrap();
        let connecting = connector.connect(&client.qp, from, to, 1, b"");
        assert_eq!(wait(bed, connecting), status);
        connector.close();
    }
    client.close(bed);
}

/// CN-06, CN-17, CN-25
fn a_reject_brings_its_private_data(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"may I");
    let passive = arrival(bed, &listener);
    assert!(passive.connection_data().unwrap().2.starts_with(b"may I\0"));
    passive.reject(b"no").unwrap();
    assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
    assert!(active.connection_data().unwrap().2.starts_with(b"no\0"));
    listener.close();
    active.close();
    passive.close();
    client.close(bed);
    server.close(bed);
}

/// LS-06, LS-07, CN-43
fn a_paused_listener_is_as_if_there_were_none(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    for paused in [true, false] {
        listener.pause(paused);
        let connector = client.adapter.create_connector().unwrap();
        let connecting = connector.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        if !paused {
            // Closing a request that was never accepted refuses it.
            arrival(bed, &listener).close();
        }
        assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
        connector.close();
    }
    assert!(listener.take().is_none());
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// ADP-08, LS-14, LS-15, LS-19
fn an_address_in_use_is_refused_through_another_adapter_too_and_free_after_close(bed: &mut dyn Bed) {
    let (server, other) = (Host::new(bed, 1), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let refused = other.adapter.listen(smb(1));
    assert_eq!(refused.err(), Some(Failed("NdkListen", STATUS_SHARING_VIOLATION)));
    listener.close();
    other.adapter.listen(smb(1)).unwrap().close();
    server.close(bed);
    other.close(bed);
}

/// QP-07, QP-08
fn before_a_connection_sends_are_refused_and_receives_are_taken(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let refused = host.qp.send(1, &[host.sge(0, 8)], 0);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_CONNECTION_INVALID)));
    host.qp.receive(2, &[host.sge(0, 8)]).unwrap();
    assert!(results(bed, &host, 1).is_empty());
    host.close(bed);
}

/// QP-09, QP-10, CQ-25, WR-48
fn a_flush_completes_everything_posted_as_cancelled(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    for number in 1..=4 {
        pair.client.qp.receive(number, &[pair.client.sge(0, 8)]).unwrap();
    }
    pair.client.qp.flush();
    let flushed = results(bed, &pair.client, 1);
    let seen: Vec<_> = flushed.iter().map(|result| (result.Status, result.RequestContext.addr())).collect();
    assert_eq!(seen, [1, 2, 3, 4].map(|number| (STATUS_CANCELLED, number)));
    let refused = pair.client.qp.send(9, &[pair.client.sge(0, 8)], 0);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_CONNECTION_INVALID)));
    pair.close(bed);
}

/// WR-43, CQ-21, CQ-24
fn sends_arrive_in_order_with_their_lengths(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.client.buffer.write(0, &(0..=255).collect::<Vec<u8>>());
    for number in 0..4 {
        pair.server.qp.receive(100 + number, &[pair.server.sge(number * 100, 100)]).unwrap();
    }
    for number in 0..4 {
        pair.client.qp.send(number, &[pair.client.sge(number, 10 * number as u32)], 0).unwrap();
    }
    let received = results(bed, &pair.server, 5);
    for (number, result) in received.iter().enumerate() {
        assert_eq!((result.Status, result.Type), (STATUS_SUCCESS, NdkOperationTypeReceive));
        assert_eq!((result.RequestContext.addr(), result.BytesTransferred), (100 + number, 10 * number as u32));
        let expected: Vec<u8> = (number as u8..).take(10 * number).collect();
        assert_eq!(pair.server.buffer.read(number * 100, 10 * number), expected);
    }
    assert_eq!((received.len(), results(bed, &pair.client, 1).len()), (4, 4));
    pair.close(bed);
}

/// WR-44, QP-22, CN-30
fn a_send_longer_than_its_receive_ends_the_connection(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    for number in [1, 2] {
        pair.server.qp.receive(number, &[pair.server.sge(0, 16)]).unwrap();
    }
    pair.client.buffer.write(0, &[9; 17]);
    pair.client.qp.send(7, &[pair.client.sge(0, 17)], 0).unwrap();
    let sent = results(bed, &pair.client, 50);
    assert_eq!((sent.len(), sent[0].Status, sent[0].RequestContext.addr()), (1, STATUS_REMOTE_RESOURCES, 7));
    let received: Vec<_> = results(bed, &pair.server, 50).iter().map(|result| result.Status).collect();
    assert_eq!(received, [STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED]);
    assert_eq!(pair.server.buffer.read(16, 1), [0]);
    assert_eq!(pair.client_events.load(Ordering::SeqCst) + pair.server_events.load(Ordering::SeqCst), 2);
    pair.close(bed);
}

/// PD-04, WR-47
fn a_write_with_the_privileged_token_fails_and_touches_nothing(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (va, token) = (pair.server.buffer.va(), pair.server.token);
    pair.client.buffer.write(0, &[0xee; 64]);
    pair.client.qp.write(3, &[pair.client.sge(0, 64)], va, token, 0).unwrap();
    let written = results(bed, &pair.client, 50);
    assert_eq!((written.len(), written[0].Status), (1, STATUS_REMOTE_RESOURCES));
    assert_eq!(pair.server.buffer.read(0, 64), [0; 64]);
    pair.close(bed);
}

/// CN-29, CN-30, CN-33, QP-14, QP-15
fn a_disconnect_is_graceful_and_flushes_only_who_asked_for_it(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.client.qp.receive(1, &[pair.client.sge(0, 8)]).unwrap();
    pair.server.qp.receive(2, &[pair.server.sge(0, 8)]).unwrap();
    let leaving = pair.active.disconnect();
    let flushed = results(bed, &pair.client, 1);
    assert_eq!((flushed.len(), flushed[0].Status), (1, STATUS_CANCELLED));
    assert_eq!(pair.server_events.load(Ordering::SeqCst), 1);
    assert!(pair.server.cq.poll().is_empty());
    let answering = pair.passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    assert_eq!(wait(bed, answering), STATUS_SUCCESS);
    assert_eq!(pair.client_events.load(Ordering::SeqCst), 0);
    pair.close(bed);
}

/// CN-42, OQ-44
fn closing_a_connector_without_disconnect_tells_the_peer(bed: &mut dyn Bed) {
    let Pair { client, server, active, passive, listener, server_events, .. } = Pair::new(bed);
    active.close();
    while server_events.load(Ordering::SeqCst) == 0 {
        assert!(bed.step(), "the peer is never told");
    }
    passive.close();
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// QP-18, WR-19
fn a_full_queue_refuses_and_indicates_what_was_deferred(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    for number in 0..8 {
        pair.client.qp.send(number, &[pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER).unwrap();
    }
    let refused = pair.client.qp.send(9, &[pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_INSUFFICIENT_RESOURCES)));
    for number in 0..8 {
        pair.server.qp.receive(number, &[pair.server.sge(0, 8)]).unwrap();
    }
    assert_eq!(results(bed, &pair.server, 50).len(), 8);
    pair.close(bed);
}

/// OQ-26, T-29
fn a_send_that_comes_before_its_receive_waits_for_it(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.client.qp.send(1, &[pair.client.sge(0, 8)], 0).unwrap();
    assert!(results(bed, &pair.server, 20).is_empty());
    pair.server.qp.receive(2, &[pair.server.sge(0, 8)]).unwrap();
    assert_eq!(results(bed, &pair.server, 50).len(), 1);
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_SUCCESS);
    pair.close(bed);
}

/// T-42, LS-15, CN-50
fn connections_that_have_ended_are_nobody_s_quota(bed: &mut dyn Bed) {
    // Twice as many as there is room for at once, each over before the numbers of the one before have rested.
    for round in 0..2 * bed.limits().connections {
        let started = bed.now();
        Pair::new(bed).close(bed);
        assert!(bed.now() - started < 1_000_000_000, "round {round}: it waited for the rest of another");
    }
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case("CN-02 CN-06 CN-07", "a_connect_that_cannot_be_is_told_why", a_connect_that_cannot_be_is_told_why),
    case("CN-06 CN-17 CN-25", "a_reject_brings_its_private_data", a_reject_brings_its_private_data),
    case("LS-06 LS-07 CN-43", "a_paused_listener_is_as_if_there_were_none", a_paused_listener_is_as_if_there_were_none),
    case(
        "ADP-08 LS-14 LS-15 LS-19",
        "an_address_in_use_is_refused_through_another_adapter_too_and_free_after_close",
        an_address_in_use_is_refused_through_another_adapter_too_and_free_after_close,
    ),
    case(
        "QP-07 QP-08",
        "before_a_connection_sends_are_refused_and_receives_are_taken",
        before_a_connection_sends_are_refused_and_receives_are_taken,
    ),
    case(
        "QP-09 QP-10 CQ-25 WR-48",
        "a_flush_completes_everything_posted_as_cancelled",
        a_flush_completes_everything_posted_as_cancelled,
    ),
    case("WR-43 CQ-21 CQ-24", "sends_arrive_in_order_with_their_lengths", sends_arrive_in_order_with_their_lengths),
    case(
        "WR-44 QP-22 CN-30",
        "a_send_longer_than_its_receive_ends_the_connection",
        a_send_longer_than_its_receive_ends_the_connection,
    ),
    case(
        "PD-04 WR-47",
        "a_write_with_the_privileged_token_fails_and_touches_nothing",
        a_write_with_the_privileged_token_fails_and_touches_nothing,
    ),
    case(
        "CN-29 CN-30 CN-33 QP-14 QP-15 COM-06 COM-07 COM-21",
        "a_disconnect_is_graceful_and_flushes_only_who_asked_for_it",
        a_disconnect_is_graceful_and_flushes_only_who_asked_for_it,
    ),
    case(
        "CN-42 OQ-44",
        "closing_a_connector_without_disconnect_tells_the_peer",
        closing_a_connector_without_disconnect_tells_the_peer,
    ),
    case(
        "QP-18 WR-19",
        "a_full_queue_refuses_and_indicates_what_was_deferred",
        a_full_queue_refuses_and_indicates_what_was_deferred,
    ),
    case(
        "OQ-26 T-29",
        "a_send_that_comes_before_its_receive_waits_for_it",
        a_send_that_comes_before_its_receive_waits_for_it,
    ),
    case(
        "T-42 LS-15 CN-50",
        "connections_that_have_ended_are_nobody_s_quota",
        connections_that_have_ended_are_nobody_s_quota,
    ),
];
