//! CN, second half: how connections end: events, disconnects, closes in every state.

use super::pair::{Host, Pair, arrival, pass, results, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::{Connector, Event, OnDisconnect};
use crate::wire::Manners;
use ndk_types::*;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// A wire that nothing gets through.
const CUT: Manners = Manners { loss: 1.0, ..Manners::GOOD };

/// An action that notes every event's reason.
fn noting(seen: &Rc<RefCell<Vec<Option<u32>>>>) -> OnDisconnect {
    let seen = seen.clone();
    Box::new(move |reason| seen.borrow_mut().push(reason))
}

/// Two hosts connected with these events of client and server; the listener is closed.
fn connected(bed: &mut dyn Bed, ours: Event, theirs: Event) -> (Host, Host, Connector, Connector) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(bed, &listener);
    let accepting = passive.accept_as(&server.qp, (1, 1), None, theirs);
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    let completing = active.complete_connect_as(ours);
    assert_eq!(wait(bed, completing), STATUS_SUCCESS);
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    listener.close();
    (client, server, active, passive)
}

fn end(bed: &mut dyn Bed, hosts: [Host; 2], connectors: impl IntoIterator<Item = Connector>) {
    connectors.into_iter().for_each(Connector::close);
    for host in hosts {
        host.close(bed);
    }
}

/// CN-28, CN-29, CN-30, CN-31, CN-51
fn the_event_comes_once_in_the_form_that_was_asked_for(bed: &mut dyn Bed) {
    for (form, expected) in [(0, vec![]), (1, vec![None]), (2, vec![Some(0)])] {
        for accepting_side_leaves in [true, false] {
            let (seen, others) = (Rc::default(), Rc::default());
            let event = |seen: &_| match form {
                0 => Event::None,
                1 => Event::Plain(noting(seen)),
                _ => Event::Ex(noting(seen)),
            };
            let (ours, theirs) =
                if accepting_side_leaves { (event(&seen), event(&others)) } else { (event(&others), event(&seen)) };
            let (client, server, active, passive) = connected(bed, ours, theirs);
            let (leaver, stayer) = if accepting_side_leaves { (&passive, &active) } else { (&active, &passive) };
            let leaving = leaver.disconnect();
            pass(bed, 20);
            assert_eq!(*seen.borrow(), expected);
            let answering = stayer.disconnect();
            assert_eq!((wait(bed, leaving), wait(bed, answering)), (STATUS_SUCCESS, STATUS_SUCCESS));
            assert!(others.borrow().is_empty());
            end(bed, [client, server], [active, passive]);
            assert_eq!(*seen.borrow(), expected);
        }
    }
}

/// CN-29, CN-30, CN-51: after the peer's reset, too, and by the accepting side's Ex event.
fn an_abort_is_an_event_once_on_both_sides(bed: &mut dyn Bed) {
    let (ours, theirs) = (Rc::default(), Rc::default());
    let (client, server, active, passive) = connected(bed, Event::Ex(noting(&ours)), Event::Plain(noting(&theirs)));
    client.qp.write(1, &[client.sge(0, 8)], 0, 0x77, 0).unwrap();
    pass(bed, 3_000);
    assert_eq!((&*ours.borrow(), &*theirs.borrow()), (&vec![Some(0)], &vec![None]));
    // It is over: nothing to disconnect.
    assert_eq!(active.disconnect().status(), Some(STATUS_CONNECTION_INVALID));
    end(bed, [client, server], [active, passive]);
    assert_eq!((ours.borrow().len(), theirs.borrow().len()), (1, 1));
}

/// CN-34, CN-36, CN-37
fn a_disconnect_from_a_silent_peer_times_out_and_is_over(bed: &mut dyn Bed) {
    let (client, server, active, passive) = connected(bed, Event::None, Event::None);
    client.qp.receive(1, &[client.sge(0, 8)]).unwrap();
    bed.set_manners(0, CUT);
    let leaving = active.disconnect();
    assert_eq!(results(bed, &client, 1).iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_CANCELLED]);
    assert_eq!(active.disconnect().status(), Some(STATUS_CONNECTION_INVALID));
    assert_eq!(wait(bed, leaving), STATUS_IO_TIMEOUT);
    assert!(client.qp.send(2, &[client.sge(0, 8)], 0).is_err());
    bed.set_manners(0, Manners::GOOD);
    end(bed, [client, server], [active, passive]);
}

/// CN-36, CN-40
fn neither_connector_nor_queue_pair_serves_twice(bed: &mut dyn Bed) {
    let (client, server, active, passive) = connected(bed, Event::None, Event::None);
    let leaving = active.disconnect();
    passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    let place = SocketAddr::new(ipv4(1), 446);
    let listener = server.adapter.listen(place).unwrap();
    let fresh = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
    let again = active.connect(&fresh, ipv4(0), place, 1, b"");
    assert_eq!(again.status(), Some(STATUS_INVALID_DEVICE_STATE));
    let other = client.adapter.create_connector().unwrap();
    let again = other.connect(&client.qp, ipv4(0), place, 1, b"");
    assert_eq!(again.status(), Some(STATUS_INVALID_DEVICE_STATE));
    // A connector that was refused this way takes a fresh queue pair; the passive side refuses a used one as well.
    let connecting = other.connect(&fresh, ipv4(0), place, 1, b"");
    let third = arrival(bed, &listener);
    assert_eq!(third.accept(&server.qp, 1, b"").0.status(), Some(STATUS_INVALID_DEVICE_STATE));
    let theirs = server.pd.create_qp(&server.cq, 8, 2, 0).unwrap();
    let (accepting, _) = third.accept(&theirs, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    other.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    listener.close();
    fresh.close();
    theirs.close();
    end(bed, [client, server], [active, passive, other, third]);
}

/// CN-38, CN-33
fn both_may_disconnect_at_once(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (ours, theirs) = (pair.active.disconnect(), pair.passive.disconnect());
    assert_eq!((ours.status(), theirs.status()), (None, None));
    assert_eq!((wait(bed, ours), wait(bed, theirs)), (STATUS_SUCCESS, STATUS_SUCCESS));
    pair.close(bed);
}

/// CN-39, LT-13, LT-19
fn the_event_may_disconnect_and_close(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
    let passive = Rc::new(RefCell::new(Some(arrival(bed, &listener))));
    let (itself, answered) = (passive.clone(), Rc::new(Cell::new(None)));
    let answer = answered.clone();
    let act: OnDisconnect = Box::new(move |_| {
        let connector = itself.borrow_mut().take().unwrap();
        answer.set(Some(connector.disconnect()));
        connector.close();
    });
    let accepting = passive.borrow().as_ref().unwrap().accept_as(&server.qp, (1, 1), None, Event::Plain(act));
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    let open = server.adapter.ledger.outstanding();
    let leaving = active.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    let answered = wait(bed, answered.get().unwrap());
    assert!(answered == STATUS_SUCCESS || answered == STATUS_CANCELLED);
    assert_eq!(server.adapter.ledger.outstanding(), open - 1);
    listener.close();
    end(bed, [client, server], [active]);
}

/// CN-41: a close in each state cancels what is pending, tells the peer, and completes.
fn a_close_cancels_whatever_is_pending(bed: &mut dyn Bed) {
    for state in 0..6 {
        let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
        let listener = server.adapter.listen(smb(1)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        let open = client.adapter.ledger.outstanding() - 1;
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 1, b"");
        if state == 0 {
            // The next hop is not known yet.
            active.close();
            assert_eq!(connecting.status(), Some(STATUS_CANCELLED));
            pass(bed, 100);
            assert!(listener.take().is_none());
        } else {
            let passive = arrival(bed, &listener);
            if state == 1 {
                active.close();
                assert_eq!(connecting.status(), Some(STATUS_CANCELLED));
            } else {
                let (accepting, events) = passive.accept(&server.qp, 1, b"");
                assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
                if state == 2 {
                    // Accepted, never completed.
                    active.close();
                    assert_eq!(wait(bed, accepting), STATUS_CONNECTION_ABORTED);
                    assert_eq!(events.load(Ordering::SeqCst), 0);
                } else {
                    let _ = active.complete_connect().unwrap();
                    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
                    let leaving = (state > 3).then(|| active.disconnect());
                    if state == 5 {
                        pass(bed, 20);
                    }
                    active.close();
                    assert!(leaving.is_none_or(|leaving| leaving.status() == Some(STATUS_CANCELLED)));
                    pass(bed, 20);
                    assert_eq!(events.load(Ordering::SeqCst), 1);
                }
            }
            passive.close();
        }
        pass(bed, 5);
        assert_eq!(client.adapter.ledger.outstanding(), open, "state {state}");
        listener.close();
        client.close(bed);
        server.close(bed);
    }
}

/// CN-35, CN-44: when the close is complete everything posted has completed, and the peer writes no byte more.
fn after_the_close_nothing_touches_the_memory(bed: &mut dyn Bed) {
    let (client, server, active, passive) = connected(bed, Event::None, Event::None);
    for number in 0..4 {
        client.qp.receive(number, &[client.sge(number * 100, 100)]).unwrap();
        server.qp.send(number, &[server.sge(0, 100)], 0).unwrap();
    }
    server.buffer.write(0, &[0xab; 100]);
    let open = client.adapter.ledger.outstanding();
    active.close();
    while client.adapter.ledger.outstanding() == open {
        assert!(bed.step(), "the close stays pending");
    }
    let done = client.cq.poll();
    assert_eq!(done.len(), 4);
    assert!(done.iter().all(|result| result.Status == STATUS_CANCELLED));
    let before = client.buffer.read(0, 400);
    pass(bed, 100);
    assert_eq!(client.buffer.read(0, 400), before);
    end(bed, [client, server], [passive]);
}

/// CN-42: the peer of a closed connector is told, and its sends fail.
fn the_peer_of_a_closed_connector_cannot_send(bed: &mut dyn Bed) {
    let seen = Rc::default();
    let (client, server, active, passive) = connected(bed, Event::None, Event::Plain(noting(&seen)));
    active.close();
    pass(bed, 20);
    assert_eq!(seen.borrow().len(), 1);
    let leaving = passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    assert!(server.qp.send(1, &[server.sge(0, 8)], 0).is_err());
    end(bed, [client, server], [passive]);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "CN-28 CN-29 CN-30 CN-31 CN-51",
        "the_event_comes_once_in_the_form_that_was_asked_for",
        the_event_comes_once_in_the_form_that_was_asked_for,
    ),
    case("CN-29 CN-30 CN-51", "an_abort_is_an_event_once_on_both_sides", an_abort_is_an_event_once_on_both_sides),
    case(
        "CN-34 CN-36 CN-37",
        "a_disconnect_from_a_silent_peer_times_out_and_is_over",
        a_disconnect_from_a_silent_peer_times_out_and_is_over,
    ),
    case("CN-36 CN-40", "neither_connector_nor_queue_pair_serves_twice", neither_connector_nor_queue_pair_serves_twice),
    case("CN-33 CN-38", "both_may_disconnect_at_once", both_may_disconnect_at_once),
    case("CN-39 LT-13 LT-19", "the_event_may_disconnect_and_close", the_event_may_disconnect_and_close),
    case("CN-41", "a_close_cancels_whatever_is_pending", a_close_cancels_whatever_is_pending),
    case("CN-35 CN-44", "after_the_close_nothing_touches_the_memory", after_the_close_nothing_touches_the_memory),
    case("CN-42", "the_peer_of_a_closed_connector_cannot_send", the_peer_of_a_closed_connector_cannot_send),
];
