//! Rules that were broken once.

use super::peer::*;
use super::*;
use crate::wire::cm::{SIDR_UNSUPPORTED, Sidr};

/// CN-11: the passive side gives up before the RTU; the active side hears of it.
#[test]
fn closing_before_the_rtu_refuses_the_connection() {
    let mut desk = Desk::in_state(State::RepSent);
    desk.close();
    let (_, tid, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((tid, said.reason, said.remote_comm_id), (PEER_TID, RejReason::ConsumerReject, PEER));
}

/// The REJ just above was lost: the RTU that comes in its place is answered with it again.
#[test]
fn an_rtu_for_a_connection_that_was_given_up_is_refused() {
    let mut desk = Desk::in_state(State::RepSent);
    desk.close();
    desk.sheet.said.clear();
    desk.hear(&rtu(desk.id));
    assert!(matches!(desk.sheet.one().2, Message::Rej(_)));
}

/// LS-04, CN-25: a REJ that was lost is said again, the same, and no consumer is asked a second time.
#[test]
fn a_request_already_refused_is_refused_again_without_asking() {
    let mut desk = Desk::in_state(State::ReqRcvd);
    desk.agent.reject(desk.now, desk.id, RejReason::ConsumerReject, b"no", &mut desk.sheet).unwrap();
    let first = desk.sheet.one();
    desk.close();
    // Linux repeats after 4.1 to 4.6 seconds.
    for seconds in [1, 5] {
        desk.wait(at(seconds * 1_000));
        desk.sheet.told.clear();
        desk.hear(&Message::Req(req()));
        assert!(desk.sheet.told.is_empty(), "asked again after {seconds} s");
        assert_eq!(desk.sheet.one(), first);
    }
}

/// `close` promises that only `Released` follows.
#[test]
fn closing_in_answer_to_a_dreq_reports_nothing_but_the_release() {
    let mut desk = Desk::in_state(State::DreqRcvd);
    desk.close();
    desk.wait(at(60_000));
    assert_eq!(desk.sheet.take(), (std::vec!["DREP"], std::vec![Seen::Released]));
}

/// T-41, T-44: REJ 10 answers the new REQ: in its transaction, along its way.
#[test]
fn a_stale_connection_is_refused_in_the_new_transaction() {
    let mut desk = Desk::in_state(State::Established);
    desk.path.destination_mac = [8; 6];
    desk.hear_in(99, &Message::Req(Req { local_comm_id: PEER + 1, ..req() }));
    let (path, tid, _) = desk.sheet.one();
    assert_eq!((tid, path), (99, desk.path));
}

/// Nothing but reliable connections to RDMA_PS_TCP ports is offered to anybody, and nothing else holds a slot.
#[test]
fn what_is_no_reliable_connection_to_a_port_is_refused_at_the_door() {
    let strange = [
        (Req { transport_service_type: 1, ..req() }, RejReason::InvalidTransportServiceType),
        (Req { service_id: 0x0000_0000_0111_1c06, ..req() }, RejReason::InvalidServiceId),
    ];
    for (asked, reason) in strange {
        let mut desk = Desk::new();
        desk.hear(&Message::Req(asked));
        let (_, _, Message::Rej(said)) = desk.sheet.one() else { panic!() };
        assert_eq!((said.reason, said.local_comm_id), (reason, 0));
        assert_eq!((desk.sheet.told.len(), desk.agent.free_count()), (0, 4));
    }
}

/// A DREQ that names another queue pair than ours is not about this connection (IBTA: the remote QPN is checked).
#[test]
fn a_dreq_for_another_queue_pair_is_ignored() {
    let mut desk = Desk::in_state(State::Established);
    desk.hear(&dreq(desk.id, OUR_QPN + 1));
    assert_eq!((desk.state(), desk.sheet.told.len()), (State::Established, 0));
}

/// IBTA: who gives up waiting says so, so that the other side does not believe in the connection.
#[test]
fn who_gives_up_waiting_says_so() {
    for state in [State::ReqSent, State::RepSent] {
        let mut desk = Desk::in_state(state);
        desk.wait(at(60_000));
        let Some((_, _, Message::Rej(said))) = desk.sheet.said.pop() else { panic!("{state:?}") };
        assert_eq!(said.reason, RejReason::Timeout);
    }
}

/// An RTU long after the passive side forgot: the active side must not believe in the connection.
#[test]
fn an_rtu_for_nothing_is_refused() {
    let mut desk = Desk::in_state(State::Idle);
    desk.hear(&rtu(desk.id));
    let (_, _, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!(said.reason, RejReason::InvalidCommunicationId);
}

/// T-41, CN-33: the consumer disconnects after we answered the DREQ for it: both sides took part, so it is graceful, once.
#[test]
fn a_disconnect_after_the_dreq_was_answered_for_the_consumer_is_graceful() {
    let mut desk = Desk::in_state(State::DreqRcvd);
    desk.wait(at(30_000));
    assert_eq!(desk.sheet.take(), (std::vec!["DREP"], std::vec![]));
    desk.disconnect().unwrap();
    assert_eq!(desk.sheet.take(), (std::vec![], std::vec![Seen::Disconnected(true)]));
    assert_eq!(desk.disconnect(), Err(WrongState));
}

/// A datagram service is looked for: NDK has none, and who asks is told so in the transaction that asked.
#[test]
fn a_service_that_is_looked_for_is_not_supported() {
    let mut desk = Desk::new();
    let asked = Sidr { request_id: 0x1234, service_id: 0x0000_0000_0111_1c06, status: 0 };
    desk.hear(&Message::SidrReq(asked));
    let (_, tid, said) = desk.sheet.one();
    assert_eq!((tid, said), (PEER_TID, Message::SidrRep(Sidr { status: SIDR_UNSUPPORTED, ..asked })));
    assert_eq!((desk.agent.free_count(), desk.sheet.told.len()), (4, 0));
    // Nobody answers an answer.
    desk.hear(&Message::SidrRep(asked));
    assert!(desk.sheet.said.is_empty());
    assert_eq!(desk.agent.counters().out_of_place, 1);
}
