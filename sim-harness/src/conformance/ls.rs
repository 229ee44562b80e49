//! LS: listeners.

use super::pair::{Host, arrival, close_adapter, pass, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4, ipv6};
use crate::consumer::{Connector, Event, Failed, address_bytes};
use ndk_types::*;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// LS-01, LS-02, LS-03
fn a_listen_says_what_is_wrong_and_a_free_port_is_found(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let arrived = Rc::new(RefCell::new(Vec::new()));
    let keep = arrived.clone();
    let listener = server.adapter.create_listener(Box::new(move |arrival| keep.borrow_mut().push(arrival))).unwrap();
    assert_eq!(listener.local_address(28).0, STATUS_INVALID_DEVICE_STATE);
    let early = client.adapter.create_connector().unwrap();
    assert_eq!(wait(bed, early.connect(&client.qp, ipv4(0), smb(1), 1, b"")), STATUS_CONNECTION_REFUSED);
    assert!(arrived.borrow().is_empty());
    assert_eq!(listener.listen(SocketAddr::new(ipv4(0), 445)), STATUS_INVALID_ADDRESS);
    let held = server.adapter.listen(smb(1)).unwrap();
    assert_eq!(listener.listen(smb(1)), STATUS_SHARING_VIOLATION);
    assert_eq!(listener.listen(SocketAddr::new(ipv4(1), 0)), STATUS_SUCCESS);
    let (status, size, local) = listener.local_address(28);
    let port = u16::from_be_bytes([local[2], local[3]]);
    assert!((status, size) == (STATUS_SUCCESS, 16) && port >= 49152);
    assert_eq!(listener.local_address(15), (STATUS_BUFFER_TOO_SMALL, 16, [0xcc; 28]));
    let late = client.adapter.create_connector().unwrap();
    let connecting = late.connect(&client.qp, ipv4(0), SocketAddr::new(ipv4(1), port), 1, b"");
    pass(bed, 5);
    let passive = arrived.borrow_mut().pop().unwrap();
    assert_eq!(passive.local_address(16).2[..8], local[..8]);
    passive.close();
    assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
    early.close();
    late.close();
    held.close();
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// LS-02
fn the_last_endpoint_is_the_last(bed: &mut dyn Bed) {
    let server = Host::new(bed, 1);
    let listen = |port| server.adapter.listen(SocketAddr::new(ipv4(1), port));
    let mut all: Vec<_> = (0..bed.limits().endpoints).map(|_| listen(0).unwrap()).collect();
    let refused = server.adapter.create_shared_endpoint(SocketAddr::new(ipv4(1), 0));
    assert_eq!(refused.err(), Some(Failed("NdkCreateSharedEndpoint", STATUS_INSUFFICIENT_RESOURCES)));
    all.pop().unwrap().close();
    all.push(listen(445).unwrap());
    all.into_iter().for_each(crate::consumer::Listener::close);
    server.close(bed);
}

/// LS-04, LS-05, LS-17: several requests wait at once; each has a connector of its own, and is accepted late.
fn every_request_has_one_event_and_a_connector_of_its_own(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let mut all = Vec::new();
    for number in 0..3u8 {
        let active = client.adapter.create_connector().unwrap();
        let qp = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
        let connecting = active.connect(&qp, ipv4(0), smb(1), 1, &[number]);
        let passive = arrival(bed, &listener);
        // SAFETY: an open connector.
        let header = unsafe { (*passive.raw()).Header };
        assert_eq!((header.ObjectType, header.Version), (NdkObjectTypeConnector, super::pair::VERSION));
        all.push((active, qp, connecting, passive));
    }
    pass(bed, 2_000);
    assert!(listener.take().is_none());
    for (number, (active, qp, connecting, passive)) in all.into_iter().enumerate().rev() {
        assert_eq!(passive.private_data(Some(256)).2[0], number as u8);
        let theirs = server.pd.create_qp(&server.cq, 8, 2, 0).unwrap();
        let (accepting, _) = passive.accept(&theirs, 1, b"");
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        active.complete_connect().unwrap();
        assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
        for qp in [qp, theirs] {
            qp.close();
        }
        active.close();
        passive.close();
    }
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// LS-17, CN-43, LS-12: the event accepts, refuses, closes, and closes the listener itself.
fn everything_may_be_done_inside_the_connect_event(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    let keep = outcomes.clone();
    // The event takes it; the accepting case gives it back.
    let theirs = RefCell::new(Some(server.pd.create_qp(&server.cq, 8, 2, 0).unwrap()));
    let listener = Rc::new(RefCell::new(None));
    let itself = listener.clone();
    let made = server
        .adapter
        .create_listener(Box::new(move |arrival: Connector| match arrival.private_data(Some(256)).2[0] {
            b'a' => {
                let qp = theirs.borrow_mut().take().unwrap();
                keep.borrow_mut().push((arrival.accept_as(&qp, (1, 1), None, Event::None), arrival, qp));
            }
            b'r' => {
                arrival.reject(b"no").unwrap();
                arrival.close();
            }
            b'c' => arrival.close(),
            _ => {
                arrival.close();
                crate::consumer::ListenerHandle::close(itself.borrow_mut().take().unwrap());
            }
        }))
        .unwrap();
    assert_eq!(made.listen(smb(1)), STATUS_SUCCESS);
    *listener.borrow_mut() = Some(made);
    for (word, expected) in [
        (b"r", STATUS_CONNECTION_REFUSED),
        (b"c", STATUS_CONNECTION_REFUSED),
        (b"a", STATUS_SUCCESS),
        (b"l", STATUS_CONNECTION_REFUSED),
    ] {
        let active = client.adapter.create_connector().unwrap();
        let qp = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
        assert_eq!(wait(bed, active.connect(&qp, ipv4(0), smb(1), 1, word)), expected);
        if expected == STATUS_SUCCESS {
            active.complete_connect().unwrap();
            let (accepting, passive, theirs) = outcomes.borrow_mut().pop().unwrap();
            assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
            passive.close();
            theirs.close();
        }
        active.close();
        qp.close();
    }
    assert!(listener.borrow().is_none());
    server.adapter.listen(smb(1)).unwrap().close();
    client.close(bed);
    server.close(bed);
}

/// LS-06, LS-07, LS-08
fn pausing_refuses_and_keeps_the_address(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    for paused in [true, true, false, false, true, false] {
        listener.pause(paused);
        assert!(server.adapter.create_shared_endpoint(smb(1)).is_err());
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        pass(bed, 2);
        assert_eq!(connecting.status(), paused.then_some(STATUS_CONNECTION_REFUSED));
        if let Some(passive) = listener.take() {
            assert!(!paused);
            passive.close();
        }
        active.close();
    }
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// LS-09, LS-10, LS-11, LS-13, LS-14, LS-15, LT-22
fn a_closed_listener_refuses_and_stays_until_its_connectors_are_closed(bed: &mut dyn Bed) {
    for accepted in [true, false] {
        let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
        let listener = server.adapter.listen(smb(1)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        let passive = arrival(bed, &listener);
        if accepted {
            let (accepting, events) = passive.accept(&server.qp, 1, b"");
            assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
            active.complete_connect().unwrap();
            assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
            listener.close();
            pass(bed, 5);
            assert_eq!(events.load(Ordering::SeqCst), 0, "the connection does not notice");
        } else {
            listener.close();
            pass(bed, 5);
        }
        let open = server.adapter.ledger.outstanding();
        let second = client.adapter.create_connector().unwrap();
        let qp = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
        assert_eq!(wait(bed, second.connect(&qp, ipv4(0), smb(1), 1, b"")), STATUS_CONNECTION_REFUSED);
        // The address is still in use, for whatever it is wanted.
        let handle = server.adapter.create_listener(Box::new(|_| ())).unwrap();
        assert_eq!(handle.listen(smb(1)), STATUS_SHARING_VIOLATION);
        assert!(server.adapter.create_shared_endpoint(smb(1)).is_err());
        let outgoing = server.adapter.create_connector().unwrap();
        let theirs = server.pd.create_qp(&server.cq, 8, 2, 0).unwrap();
        let refused = outgoing.connect_as(&theirs, smb(1), SocketAddr::new(ipv4(0), 9), (1, 1), None);
        assert_eq!(refused.status(), Some(STATUS_SHARING_VIOLATION));
        assert_eq!(server.adapter.ledger.outstanding(), open + 3);
        passive.close();
        // The listener's close has completed with its last connector's.
        assert_eq!(server.adapter.ledger.outstanding(), open + 1);
        assert_eq!(handle.listen(smb(1)), STATUS_SUCCESS);
        for connector in [active, second, outgoing] {
            connector.close();
        }
        handle.close();
        qp.close();
        theirs.close();
        client.close(bed);
        server.close(bed);
    }
}

/// LS-18
fn a_port_of_each_family_is_an_endpoint_of_its_own(bed: &mut dyn Bed) {
    let adapter = bed.open(1, super::pair::VERSION).unwrap();
    let four = adapter.listen(smb(1)).unwrap();
    let six = adapter.listen(SocketAddr::new(ipv6(1), 445)).unwrap();
    for (listener, address) in [(&four, smb(1)), (&six, SocketAddr::new(ipv6(1), 445))] {
        let (bytes, length) = address_bytes(address);
        let (status, size, got) = listener.local_address(28);
        let length = length as usize;
        assert_eq!((status, size as usize, &got[..length]), (STATUS_SUCCESS, length, &bytes[..length]));
    }
    four.close();
    six.close();
    close_adapter(bed, adapter);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "LS-01 LS-02 LS-03",
        "a_listen_says_what_is_wrong_and_a_free_port_is_found",
        a_listen_says_what_is_wrong_and_a_free_port_is_found,
    ),
    case("LS-02 SE-01", "the_last_endpoint_is_the_last", the_last_endpoint_is_the_last),
    case(
        "LS-04 LS-05 LS-17",
        "every_request_has_one_event_and_a_connector_of_its_own",
        every_request_has_one_event_and_a_connector_of_its_own,
    ),
    case(
        "LS-12 LS-17 CN-43",
        "everything_may_be_done_inside_the_connect_event",
        everything_may_be_done_inside_the_connect_event,
    ),
    case("LS-06 LS-07 LS-08", "pausing_refuses_and_keeps_the_address", pausing_refuses_and_keeps_the_address),
    case(
        "LS-09 LS-10 LS-11 LS-13 LS-14 LS-15 LT-22",
        "a_closed_listener_refuses_and_stays_until_its_connectors_are_closed",
        a_closed_listener_refuses_and_stays_until_its_connectors_are_closed,
    ),
    case("LS-18", "a_port_of_each_family_is_an_endpoint_of_its_own", a_port_of_each_family_is_an_endpoint_of_its_own),
];
