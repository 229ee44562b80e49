//! CN, first half: how connections come to be: addresses, private data, read limits, refusals, patience.

use super::pair::{Host, Pair, arrival, pass, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4, ipv6};
use crate::consumer::{Connector, Event, Failed, Listener, address_bytes};
use crate::wire::Manners;
use ndk_types::*;
use std::net::{IpAddr, SocketAddr};

/// A wire that nothing gets through.
const CUT: Manners = Manners { loss: 1.0, ..Manners::GOOD };

fn from(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}

/// Two hosts, a listener on the server, a connector of the client's.
fn start(bed: &mut dyn Bed) -> (Host, Host, Listener, Connector) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    (client, server, listener, active)
}

fn end(bed: &mut dyn Bed, hosts: [Host; 2], listener: Listener, connectors: impl IntoIterator<Item = Connector>) {
    listener.close();
    connectors.into_iter().for_each(Connector::close);
    for host in hosts {
        host.close(bed);
    }
}

/// CN-01, CN-03, CN-45, CN-46, CN-47, CN-48, CN-54, LS-16
fn addresses_are_as_both_sides_know_them_in_both_families(bed: &mut dyn Bed) {
    for (ours, theirs) in [(ipv4(0), ipv4(1)), (ipv6(0), ipv6(1))] {
        let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
        let listener = server.adapter.listen(from(theirs, 445)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        assert_eq!(active.local_address(28).0, STATUS_CONNECTION_INVALID);
        assert_eq!(active.peer_address(28).0, STATUS_CONNECTION_INVALID);
        let connecting = active.connect(&client.qp, ours, from(theirs, 445), 1, b"");
        let passive = arrival(bed, &listener);
        let (status, size, local) = active.local_address(28);
        let port = u16::from_be_bytes([local[2], local[3]]);
        assert!(port >= 49152, "an ephemeral port, not {port}");
        let (expected, length) = address_bytes(from(ours, port));
        assert_eq!((status, size, &local[..size as usize]), (STATUS_SUCCESS, length, &expected[..length as usize]));
        assert!(local[size as usize..].iter().all(|&byte| byte == 0xcc));
        // The passive side sees it before it accepts.
        assert_eq!(passive.peer_address(28), active.local_address(28));
        assert_eq!(passive.local_address(28), active.peer_address(28));
        assert_eq!(passive.local_address(28), listener.local_address(28));
        for get in [Connector::local_address, Connector::peer_address] {
            assert_eq!(get(&passive, length - 1), (STATUS_BUFFER_TOO_SMALL, length, [0xcc; 28]));
            assert_eq!(get(&passive, 0), (STATUS_BUFFER_TOO_SMALL, length, [0xcc; 28]));
        }
        let (accepting, _) = passive.accept(&server.qp, 1, b"");
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        active.complete_connect().unwrap();
        assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
        // Bytes go both ways.
        server.qp.receive(1, &[server.sge(0, 8)]).unwrap();
        client.buffer.write(0, b"all well");
        client.qp.send(2, &[client.sge(0, 8)], 0).unwrap();
        pass(bed, 5);
        assert_eq!(server.buffer.read(0, 8), b"all well");
        let leaving = active.disconnect();
        let answering = passive.disconnect();
        assert_eq!((wait(bed, leaving), wait(bed, answering)), (STATUS_SUCCESS, STATUS_SUCCESS));
        end(bed, [client, server], listener, [active, passive]);
    }
}

/// CN-04, CN-49, CN-50
fn a_connectors_port_is_in_use_until_it_is_closed(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    let ours = from(ipv4(0), 5000);
    let connecting = active.connect_as(&client.qp, ours, smb(1), (1, 1), None);
    let passive = arrival(bed, &listener);
    let other = client.adapter.create_connector().unwrap();
    let qp = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
    assert_eq!(other.connect_as(&qp, ours, smb(1), (1, 1), None).status(), Some(STATUS_SHARING_VIOLATION));
    let (accepting, _) = passive.accept(&server.qp, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    let leaving = active.disconnect();
    passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    // Disconnected, not closed.
    assert_eq!(other.connect_as(&qp, ours, smb(1), (1, 1), None).status(), Some(STATUS_SHARING_VIOLATION));
    active.close();
    let connecting = other.connect_as(&qp, ours, smb(1), (1, 1), None);
    assert_eq!(connecting.status(), None);
    let second = arrival(bed, &listener);
    second.reject(b"").unwrap();
    assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
    qp.close();
    end(bed, [client, server], listener, [other, passive, second]);
}

/// CN-08, CN-58
fn a_wrong_connect_is_refused_inline_and_changes_nothing(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    let connect = |from: SocketAddr, to: SocketAddr, length: usize| {
        active.connect_as(&client.qp, from, to, (1, 1), Some(&vec![1; length])).status()
    };
    let ours = from(ipv4(0), 0);
    assert_eq!(connect(ours, smb(1), 57), Some(STATUS_INVALID_BUFFER_SIZE));
    assert_eq!(connect(from(ipv6(0), 0), smb(1), 0), Some(STATUS_INVALID_PARAMETER));
    assert_eq!(connect(from(ipv4(9), 0), smb(1), 0), Some(STATUS_INVALID_ADDRESS));
    assert_eq!(active.local_address(28).0, STATUS_CONNECTION_INVALID);
    pass(bed, 1);
    assert!(listener.take().is_none());
    let connecting = active.connect_as(&client.qp, ours, smb(1), (1, 1), Some(&[1; 56]));
    assert_eq!(connect(ours, smb(1), 0), Some(STATUS_INVALID_DEVICE_STATE));
    let passive = arrival(bed, &listener);
    let refused = passive.accept_as(&server.qp, (1, 1), Some(&[1; 149]), Event::None);
    assert_eq!(refused.status(), Some(STATUS_INVALID_BUFFER_SIZE));
    let refused = passive.accept_as(&server.qp, (1, 1), Some(&[1; 149]), Event::Ex(Box::new(|_| ())));
    assert_eq!(refused.status(), Some(STATUS_INVALID_BUFFER_SIZE));
    assert_eq!(passive.reject(&[1; 149]), Err(Failed("NdkReject", STATUS_INVALID_BUFFER_SIZE)));
    let accepting = passive.accept_as(&server.qp, (1, 1), Some(&[2; 148]), Event::None);
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    end(bed, [client, server], listener, [active, passive]);
}

/// CN-17, CN-18, CN-25, CN-53
fn private_data_of_every_length_arrives_or_is_absent(bed: &mut dyn Bed) {
    for length in [None, Some(1), Some(56)] {
        let (client, server, listener, active) = start(bed);
        let to_peer: Option<Vec<u8>> = length.map(|length| (1..=length).collect());
        let connecting = active.connect_as(&client.qp, from(ipv4(0), 0), smb(1), (1, 1), to_peer.as_deref());
        let passive = arrival(bed, &listener);
        let expected = to_peer.unwrap_or_default();
        let (status, size, data) = passive.private_data(Some(256));
        assert_eq!((status, &data[..expected.len()]), (STATUS_SUCCESS, &expected[..]));
        // CN-23: what the peer did not send is zero.
        assert!(data[expected.len()..size as usize].iter().all(|&byte| byte == 0));
        let back: Option<Vec<u8>> = length.map(|length| (100..100 + length * 2).collect());
        match &back {
            Some(back) => passive.reject(back).unwrap(),
            None => passive.reject_silently().unwrap(),
        }
        assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
        let back = back.unwrap_or_default();
        let (status, _, data) = active.private_data(Some(256));
        assert_eq!((status, &data[..back.len()]), (STATUS_SUCCESS, &back[..]));
        end(bed, [client, server], listener, [active, passive]);
    }
}

/// CN-17, CN-19, CN-20, CN-21, CN-22, CN-23, CN-24, CN-57
fn connection_data_is_had_in_every_size_from_the_request_to_after_the_connect(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    assert_eq!(active.private_data(Some(256)).0, STATUS_CONNECTION_INVALID);
    let connecting = active.connect_as(&client.qp, from(ipv4(0), 0), smb(1), (4, 3), Some(&[7; 56]));
    assert_eq!(active.private_data(Some(256)).0, STATUS_CONNECTION_INVALID);
    let passive = arrival(bed, &listener);
    let (status, size, untouched) = passive.private_data(None);
    assert_eq!((status, untouched), (STATUS_SUCCESS, vec![0xcc; 256]));
    assert!(size >= 56);
    let (status, length, data) = passive.private_data(Some(size));
    assert_eq!((status, length, &data[..56]), (STATUS_SUCCESS, size, &[7; 56][..]));
    assert!(data[size as usize..].iter().all(|&byte| byte == 0xcc));
    let (status, length, data) = passive.private_data(Some(10));
    assert_eq!(
        (status, length, &data[..12]),
        (STATUS_BUFFER_TOO_SMALL, size, &[7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0xcc, 0xcc][..])
    );
    let accepting = passive.accept_as(&server.qp, (2, 9), Some(&[8; 148]), Event::None);
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    let (_, length, before) = active.private_data(Some(256));
    assert!(length >= 148);
    assert_eq!(before[..148], [8; 148]);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    assert_eq!(active.private_data(Some(256)).2, before);
    end(bed, [client, server], listener, [active, passive]);
}

/// CN-26, CN-27
fn read_limits_are_the_smaller_of_both_sides_and_capped(bed: &mut dyn Bed) {
    for (ours, theirs, agreed) in [((4, 3), (2, 9), (4, 2)), ((99, 99), (99, 99), (16, 16)), ((0, 5), (0, 7), (0, 0))] {
        let (client, server, listener, active) = start(bed);
        let connecting = active.connect_as(&client.qp, from(ipv4(0), 0), smb(1), ours, None);
        let passive = arrival(bed, &listener);
        let accepting = passive.accept_as(&server.qp, theirs, None, Event::None);
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        let (inbound, outbound, _) = active.connection_data().unwrap();
        assert_eq!((inbound, outbound), agreed);
        active.complete_connect().unwrap();
        assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
        let (inbound, outbound, _) = passive.connection_data().unwrap();
        assert_eq!((outbound, inbound), agreed);
        end(bed, [client, server], listener, [active, passive]);
    }
}

/// CN-09, CN-10, CN-13, CN-56
fn a_slow_consumer_may_think_for_half_a_minute_on_either_side(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    assert_eq!(active.complete_connect_as(Event::None).status(), Some(STATUS_CONNECTION_INVALID));
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    assert_eq!(active.complete_connect_as(Event::None).status(), Some(STATUS_CONNECTION_INVALID));
    let early = active.complete_connect_as(Event::Ex(Box::new(|_| ())));
    assert_eq!(early.status(), Some(STATUS_CONNECTION_INVALID));
    let passive = arrival(bed, &listener);
    pass(bed, 30_000);
    assert_eq!(connecting.status(), None);
    assert!(listener.take().is_none(), "one request, one event");
    let (accepting, _) = passive.accept(&server.qp, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    pass(bed, 30_000);
    assert_eq!(accepting.status(), None, "the active side has not completed");
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    end(bed, [client, server], listener, [active, passive]);
}

/// CN-11, CN-14, CN-15, CN-16
fn whoever_gives_up_between_accept_and_complete_is_heard_of(bed: &mut dyn Bed) {
    for active_gives_up in [true, false] {
        let (client, server, listener, active) = start(bed);
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        let passive = arrival(bed, &listener);
        let (accepting, events) = passive.accept(&server.qp, 1, b"");
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        if active_gives_up {
            active.reject(b"changed my mind").unwrap();
            assert_eq!(wait(bed, accepting), STATUS_CONNECTION_ABORTED);
            assert!(passive.private_data(Some(256)).2.starts_with(b"changed my mind\0"));
            assert_eq!(passive.reject(b""), Err(Failed("NdkReject", STATUS_CONNECTION_ABORTED)));
            assert_eq!(events.load(std::sync::atomic::Ordering::SeqCst), 0);
            end(bed, [client, server], listener, [active, passive]);
        } else {
            passive.close();
            assert_eq!(wait(bed, accepting), STATUS_CANCELLED);
            pass(bed, 1);
            assert_eq!(active.complete_connect_as(Event::None).status(), Some(STATUS_CONNECTION_ABORTED));
            assert_eq!(active.reject(b""), Err(Failed("NdkReject", STATUS_CONNECTION_ABORTED)));
            end(bed, [client, server], listener, [active]);
        }
    }
}

/// CN-14, CN-16
fn a_peer_that_abandons_its_connect_is_heard_of(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(bed, &listener);
    active.close();
    assert_eq!(connecting.status(), Some(STATUS_CANCELLED));
    pass(bed, 1);
    let (accepting, _) = passive.accept(&server.qp, 1, b"");
    assert_eq!(wait(bed, accepting), STATUS_CONNECTION_ABORTED);
    assert_eq!(passive.reject(b""), Err(Failed("NdkReject", STATUS_CONNECTION_ABORTED)));
    end(bed, [client, server], listener, [passive]);
}

/// CN-07, CN-14
fn silence_is_a_time_out_and_the_queue_pair_may_try_again(bed: &mut dyn Bed) {
    let (client, server, listener, active) = start(bed);
    // A host that was never heard of is unreachable rather than silent.
    let (first, nobody) = (client.adapter.create_connector().unwrap(), SocketAddr::new(ipv4(1), 9));
    let refused = first.connect(&client.qp, ipv4(0), nobody, 1, b"");
    assert_eq!(wait(bed, refused), STATUS_CONNECTION_REFUSED);
    first.close();
    bed.set_manners(0, CUT);
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_IO_TIMEOUT);
    active.close();
    bed.set_manners(0, Manners::GOOD);
    client.qp.receive(1, &[client.sge(0, 8)]).unwrap();
    pass(bed, 1);
    assert!(client.cq.poll().is_empty(), "the close flushes no queue pair that was never connected");
    let again = client.adapter.create_connector().unwrap();
    let connecting = again.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(bed, &listener);
    let (accepting, _) = passive.accept(&server.qp, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    // The RTU and all else is lost: the passive side gives up.
    bed.set_manners(0, CUT);
    again.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_IO_TIMEOUT);
    bed.set_manners(0, Manners::GOOD);
    end(bed, [client, server], listener, [again, passive]);
}

/// CN-06, LS-09
fn requests_to_a_port_nobody_listens_on_use_nothing_up(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    for _ in 0..bed.limits().connections - 1 {
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
        active.close();
    }
    // The client's own numbers rest that long, refusals much longer; the server's room was never used.
    pass(bed, 2_000);
    let listener = server.adapter.listen(smb(1)).unwrap();
    let mut all = Vec::new();
    for _ in 0..bed.limits().connections - 2 {
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        pass(bed, 1);
        assert_eq!(connecting.status(), None);
        let passive = listener.take().unwrap();
        all.extend([active, passive]);
    }
    end(bed, [client, server], listener, all);
}

/// CN-52: the later slots are there and the earlier versions work.
fn version_1_2_connects_as_ever(bed: &mut dyn Bed) {
    let old = NDK_VERSION { Major: 1, Minor: 2 };
    let (client, server) = (Host::with_version(bed, 0, old), Host::with_version(bed, 1, old));
    let pair = Pair::connect(bed, client, server);
    let leaving = pair.active.disconnect();
    pair.passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    pair.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "CN-01 CN-03 CN-45 CN-46 CN-47 CN-48 CN-54 LS-16 REG-16",
        "addresses_are_as_both_sides_know_them_in_both_families",
        addresses_are_as_both_sides_know_them_in_both_families,
    ),
    case(
        "CN-04 CN-49 CN-50",
        "a_connectors_port_is_in_use_until_it_is_closed",
        a_connectors_port_is_in_use_until_it_is_closed,
    ),
    case(
        "CN-08 CN-58",
        "a_wrong_connect_is_refused_inline_and_changes_nothing",
        a_wrong_connect_is_refused_inline_and_changes_nothing,
    ),
    case(
        "CN-17 CN-18 CN-23 CN-25 CN-53",
        "private_data_of_every_length_arrives_or_is_absent",
        private_data_of_every_length_arrives_or_is_absent,
    ),
    case(
        "CN-17 CN-19 CN-20 CN-21 CN-22 CN-23 CN-24 CN-57",
        "connection_data_is_had_in_every_size_from_the_request_to_after_the_connect",
        connection_data_is_had_in_every_size_from_the_request_to_after_the_connect,
    ),
    case(
        "CN-26 CN-27",
        "read_limits_are_the_smaller_of_both_sides_and_capped",
        read_limits_are_the_smaller_of_both_sides_and_capped,
    ),
    case(
        "CN-09 CN-10 CN-13 CN-56",
        "a_slow_consumer_may_think_for_half_a_minute_on_either_side",
        a_slow_consumer_may_think_for_half_a_minute_on_either_side,
    ),
    case(
        "CN-11 CN-14 CN-15 CN-16 CN-32",
        "whoever_gives_up_between_accept_and_complete_is_heard_of",
        whoever_gives_up_between_accept_and_complete_is_heard_of,
    ),
    case(
        "CN-14 CN-16 CN-41",
        "a_peer_that_abandons_its_connect_is_heard_of",
        a_peer_that_abandons_its_connect_is_heard_of,
    ),
    case(
        "CN-07 CN-14",
        "silence_is_a_time_out_and_the_queue_pair_may_try_again",
        silence_is_a_time_out_and_the_queue_pair_may_try_again,
    ),
    case(
        "CN-06 LS-09",
        "requests_to_a_port_nobody_listens_on_use_nothing_up",
        requests_to_a_port_nobody_listens_on_use_nothing_up,
    ),
    case("CN-52", "version_1_2_connects_as_ever", version_1_2_connects_as_ever),
];
