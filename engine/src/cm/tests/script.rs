//! Packet scripts: our agent on one side, on the other a peer that says exactly what the script says.

use super::peer::*;
use super::*;

/// T-40
#[test]
fn the_rtu_waits_for_the_consumer() {
    let mut desk = Desk::in_state(State::ReqSent);
    desk.hear(&rep(desk.id));
    desk.wait(at(30_000));
    assert_eq!(desk.sheet.take(), (std::vec![], std::vec![Seen::Accepted]));
    desk.agent.complete(desk.id, &mut desk.sheet).unwrap();
    assert_eq!(desk.sheet.take(), (std::vec!["RTU"], std::vec![]));
    assert_eq!(desk.agent.deadline(), None);
}

/// A lost RTU is made good by the peer's repeated REP, as often as it takes (T-40).
#[test]
fn every_repeated_rep_gets_the_rtu_again() {
    let mut desk = Desk::active();
    for _ in 0..5 {
        desk.hear(&rep(desk.id));
        assert!(matches!(desk.sheet.one(), (_, _, Message::Rtu(ids)) if ids.remote_comm_id == PEER));
    }
    assert!(desk.sheet.told.is_empty());
}

/// CN-56: a peer whose consumer takes ten minutes is waited for as long as it says so.
#[test]
fn a_peer_that_answers_mra_is_never_given_up() {
    let mut desk = Desk::in_state(State::ReqSent);
    for minute in 1..=10 {
        desk.hear(&mra_of(desk.id, About::Req, 24));
        desk.wait(at(minute * 60_000));
        assert_eq!(desk.state(), State::ReqSent);
        assert!(desk.sheet.told.is_empty());
    }
    desk.hear(&rep(desk.id));
    assert_eq!(desk.state(), State::RepRcvd);
}

/// While a peer's MRA holds, nothing is repeated; afterwards as if the message had just been said for the first time.
#[test]
fn an_mra_stops_the_repetition_for_the_time_it_names() {
    let mut desk = Desk::in_state(State::RepSent);
    desk.hear(&mra_of(desk.id, About::Rep, 20));
    let asked = Duration::from_ib_exponent(20);
    assert_eq!(desk.agent.deadline(), Some(Time::ZERO.after(asked)));
    desk.wait(at(4_290));
    assert!(desk.sheet.said.is_empty());
    desk.wait(at(120_000));
    let (said, told) = desk.sheet.take();
    assert_eq!((&said[..9], &said[9..]), (&["REP"; 9][..], &["REJ"][..]));
    assert_eq!(told, [Seen::TimedOut]);
}

/// However long a peer asks us to wait: it is a minute at most before we ask again.
#[test]
fn an_mra_without_bound_is_bounded() {
    let mut desk = Desk::in_state(State::ReqSent);
    desk.hear(&mra_of(desk.id, About::Req, 31));
    assert_eq!(desk.agent.deadline(), Some(at(60_000)));
}

/// A lost REQ, REP or DREQ is said again: the same bytes, each wait twice the last, never longer than the time-out that
/// the REQ names; and there is an end.
#[test]
fn what_is_not_answered_is_repeated_with_growing_patience_and_an_end() {
    for (state, name, end) in [
        (State::ReqSent, "REQ", Seen::TimedOut),
        (State::RepSent, "REP", Seen::TimedOut),
        (State::DreqSent, "DREQ", Seen::Disconnected(false)),
    ] {
        let mut desk = Desk::in_state(state);
        let (mut waits, mut said) = (Vec::new(), Vec::new());
        while desk.state() == state {
            let due = desk.agent.deadline().unwrap();
            waits.push(due.since(desk.now));
            desk.wait(due);
            said.extend(desk.sheet.said.drain(..).map(|(_, _, message)| message));
        }
        // Who gives up on a set-up says so at the end.
        let farewell = said.pop_if(|message| message.name() == "REJ");
        assert_eq!(farewell.is_some(), state != State::DreqSent);
        assert_eq!(said.len(), 8);
        assert!(said.iter().all(|message| message.name() == name && *message == said[0]));
        assert_eq!(waits[0], Duration::from_millis(200));
        let limit = Duration::from_ib_exponent(20);
        assert!(waits.windows(2).all(|pair| pair[1] == pair[0].times(2).min(limit)));
        assert!(desk.now < at(25_000), "{name} after {:?}", desk.now);
        assert_eq!(desk.sheet.take().1, [end]);
    }
}

/// T-41: nothing is answered before the local consumer disconnects, and a repeated DREQ is not a second event.
#[test]
fn a_dreq_is_one_event_and_the_drep_waits_for_the_consumer() {
    let mut desk = Desk::in_state(State::Established);
    for _ in 0..3 {
        desk.hear_in(7, &dreq(desk.id, OUR_QPN));
    }
    assert_eq!(desk.sheet.take(), (std::vec![], std::vec![Seen::DisconnectRequested]));
    desk.disconnect().unwrap();
    // In the DREQ's own transaction, which need not be the REQ's.
    assert!(matches!(desk.sheet.one(), (_, 7, Message::Drep(_))));
    assert_eq!(desk.sheet.take().1, [Seen::Disconnected(true)]);
}

/// T-41: the DREP that was lost is said again out of timewait, in the transaction of each DREQ.
#[test]
fn a_dreq_in_timewait_is_answered_every_time() {
    let mut desk = Desk::in_state(State::Timewait);
    for tid in [40, 41, 42] {
        desk.hear_in(tid, &dreq(desk.id, OUR_QPN));
        assert!(matches!(desk.sheet.one(), (_, said, Message::Drep(_)) if said == tid));
    }
    assert!(desk.sheet.told.is_empty());
}

/// T-41: a DREQ whose ids fit no connection is answered with the same ids turned round, and no connection suffers.
#[test]
fn a_dreq_for_somebody_elses_connection_gets_drep_and_changes_nothing() {
    let mut desk = Desk::in_state(State::Established);
    let strange = Dreq { local_comm_id: PEER + 9, remote_comm_id: desk.id.0, remote_qpn: Qpn::new(OUR_QPN) };
    desk.hear(&Message::Dreq(strange));
    let answered = Ids { local_comm_id: desk.id.0, remote_comm_id: PEER + 9 };
    assert_eq!(desk.sheet.one().2, Message::Drep(answered));
    assert_eq!((desk.state(), desk.sheet.told.len()), (State::Established, 0));
}

/// T-41: the peer lost its memory and asks anew: refused with 10, the old connection is over, the next REQ is welcome.
#[test]
fn a_stale_connection_is_refused_once_and_then_forgotten() {
    for mut desk in [Desk::in_state(State::Established), Desk::active()] {
        desk.hear(&Message::Req(Req { local_comm_id: PEER + 1, ..req() }));
        let (_, _, said) = desk.sheet.one();
        let Message::Rej(said) = said else { panic!("{said:?}") };
        assert_eq!((said.reason, said.remote_comm_id), (RejReason::StaleConnection, PEER + 1));
        assert_eq!(RejReason::StaleConnection.to_wire(), 10);
        assert_eq!(desk.sheet.take().1, [Seen::Lost]);
        desk.hear(&Message::Req(Req { local_comm_id: PEER + 2, ..req() }));
        assert_eq!(desk.sheet.take().1, [Seen::Request(445)]);
    }
}

/// T-41: the same queue pair number of another channel adapter, or another queue pair, is nothing stale.
#[test]
fn another_queue_pair_and_another_adapter_are_not_stale() {
    let mut desk = Desk::in_state(State::Established);
    desk.hear(&Message::Req(Req { local_comm_id: PEER + 1, local_ca_guid: PEER_GUID + 1, ..req() }));
    desk.hear(&Message::Req(Req { local_comm_id: PEER + 2, local_qpn: Qpn::new(PEER_QPN + 1), ..req() }));
    assert_eq!(desk.sheet.take(), (std::vec![], std::vec![Seen::Request(445); 2]));
    assert_eq!(desk.state(), State::Established);
}

/// T-42: the id rests before its slot is used again, and slots are used in turn: the oldest free one first.
#[test]
fn slots_rest_and_are_used_in_turn() {
    let mut desk = Desk::new();
    let mut slots = Vec::new();
    for round in 0..12 {
        desk.connect();
        slots.push(desk.agent.slot_of(desk.id));
        desk.close();
        let released = desk.now.after(TIMEWAIT);
        desk.wait(Time::from_nanos(released.as_nanos() - 1));
        assert_eq!(desk.agent.free_count(), 3, "round {round}");
        desk.wait(released);
        assert_eq!(desk.agent.free_count(), 4, "round {round}");
    }
    assert_eq!(slots, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
}

/// T-42: without a close the numbers rest for ever: the consumer may still ask for what belonged to the connection.
#[test]
fn a_connection_that_nobody_closed_keeps_its_slot() {
    let mut desk = Desk::in_state(State::Timewait);
    desk.wait(at(600_000));
    assert_eq!((desk.state(), desk.agent.free_count()), (State::Timewait, 3));
    desk.close();
    assert_eq!((desk.sheet.take().1, desk.agent.free_count()), (std::vec![Seen::Released], 4));
}

/// T-43: REP names no MTU, so a passive side with a smaller link says 26, and the active side hears it as that.
#[test]
fn a_path_mtu_that_cannot_be_is_refused_with_26() {
    let mut desk = Desk::in_state(State::ReqRcvd);
    desk.agent.reject(desk.now, desk.id, RejReason::InvalidPathMtu, &[], &mut desk.sheet).unwrap();
    let (_, tid, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((tid, said.reason.to_wire(), said.remote_comm_id, said.rejected), (PEER_TID, 26, PEER, About::Req));

    let mut desk = Desk::in_state(State::ReqSent);
    desk.hear(&refusal(desk.id, About::Req, RejReason::InvalidPathMtu));
    assert_eq!(desk.sheet.take().1, [Seen::Rejected(RejReason::InvalidPathMtu)]);
}

/// T-44: all of a passive side's answers take the way that the REQ came, tag and all.
#[test]
fn the_passive_side_answers_along_the_way_the_req_came() {
    let mut desk = Desk::new();
    desk.path = AddressVector { destination_mac: [6; 6], vlan_tci: Some(0x6123), ..desk.path };
    desk.hear(&Message::Req(req()));
    desk.id = desk.sheet.told[0].0;
    desk.hear(&Message::Req(req()));
    desk.accept();
    desk.hear(&rtu(desk.id));
    desk.disconnect().unwrap();
    let names: Vec<_> = desk.sheet.said.iter().map(|(_, _, message)| message.name()).collect();
    assert_eq!(names, ["MRA", "REP", "DREQ"]);
    assert!(desk.sheet.said.iter().all(|(path, _, _)| *path == desk.path));
}

/// T-44: communication ids of one agent, and of two, share no run.
#[test]
fn communication_ids_differ_between_agents() {
    let ids = |seed| {
        let mut side = Side::new(1, 2, seed);
        (0..4).map(|_| side.connect(at(0)).0).collect::<std::collections::BTreeSet<_>>()
    };
    let (one, other) = (ids(1), ids(2));
    assert_eq!((one.len(), other.len()), (4, 4));
    assert!(one.is_disjoint(&other));
}

/// Nobody listens: reason 8, from a peer that never had an id for us.
#[test]
fn a_refusal_without_an_id_is_for_the_connection_it_names() {
    let mut desk = Desk::in_state(State::ReqSent);
    let nobody = rej(0, desk.id.0, About::Req, RejReason::InvalidServiceId, [0; REJ_PRIVATE_LEN]);
    desk.hear(&Message::Rej(nobody));
    assert_eq!(desk.sheet.take().1, [Seen::Rejected(RejReason::InvalidServiceId)]);
}

/// CN-11, CN-14: each side can back out when the other has already said yes.
#[test]
fn an_acceptance_can_be_refused_by_the_active_side() {
    let mut desk = Desk::in_state(State::RepRcvd);
    desk.agent.reject(desk.now, desk.id, RejReason::ConsumerReject, b"no", &mut desk.sheet).unwrap();
    let (_, _, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((said.rejected, said.reason.to_wire(), &said.private_data[..3]), (About::Rep, 28, &b"no\0"[..]));
    // The REP that the peer repeats because the REJ was lost is refused again.
    desk.hear(&rep(desk.id));
    assert!(matches!(desk.sheet.one().2, Message::Rej(_)));
}

/// CN-17, CN-18, CN-25: private data arrives whole, zeroes after it, none where none was given.
#[test]
fn private_data_arrives_whole() {
    let mut desk = Desk::in_state(State::ReqSent);
    desk.hear(&rep(desk.id));
    assert_eq!(desk.sheet.private_data, [0x5a; 196]);
    desk.hear(&refusal(desk.id, About::Rep, RejReason::ConsumerReject));
    assert_eq!(desk.sheet.private_data, [0x77; 148]);

    let mut desk = Desk::new();
    let mut asked = req();
    asked.private_data[IpCmHeader::LEN..].fill(0x33);
    desk.hear(&Message::Req(asked));
    assert_eq!(desk.sheet.private_data, [0x33; 56]);
    desk.id = desk.sheet.told[0].0;
    desk.accept();
    let (_, _, Message::Rep(said)) = desk.sheet.one() else { panic!() };
    assert_eq!(&said.private_data[..8], b"welcome\0");
    assert!(said.private_data[8..].iter().all(|byte| *byte == 0));
}

/// A REQ without the RDMA IP CM header is refused as unsupported, and holds no slot.
#[test]
fn a_req_without_addresses_is_refused() {
    let mut desk = Desk::new();
    desk.hear(&Message::Req(Req { private_data: [0xff; REQ_PRIVATE_LEN], ..req() }));
    let (_, tid, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((tid, said.reason, said.local_comm_id), (PEER_TID, RejReason::Unsupported, 0));
    assert_eq!((desk.agent.free_count(), desk.agent.counters().malformed), (4, 1));
}

/// Without a free slot a REQ is refused with reason 3, and a consumer gets `NoRoom`.
#[test]
fn a_full_agent_says_so_both_ways() {
    let mut desk = Desk::new();
    for _ in 0..4 {
        desk.connect();
    }
    let _ = desk.sheet.take();
    desk.hear(&Message::Req(req()));
    let (_, _, Message::Rej(said)) = desk.sheet.one() else { panic!() };
    assert_eq!((said.reason, said.reason.to_wire(), said.remote_comm_id), (RejReason::NoResources, 3, PEER));
    let mut side = Side::new(1, 2, 3);
    let requests = (0..5).map(|_| {
        let request = ConnectRequest {
            path: side.path,
            source_port: 1,
            port: 2,
            endpoint: endpoint(3),
            path_mtu: 1024,
            private_data: &[],
        };
        side.agent.connect(at(0), &request, &mut side.note)
    });
    assert_eq!(requests.filter(|made| *made == Err(NoRoom)).count(), 1);
}

/// What falls due at once is dealt with in portions, and nothing is forgotten.
#[test]
fn many_deadlines_are_dealt_with_in_portions() {
    let mut side = Side::new(1, 2, 3);
    side.agent = Agent::try_new(32, || 9).unwrap();
    for _ in 0..32 {
        side.connect(at(0));
    }
    side.note.sent.clear();
    let mut portions = 1;
    while side.agent.poll(at(200), &mut side.note) {
        assert!(side.note.sent.len() <= portions * POLL_MAX);
        portions += 1;
    }
    assert_eq!((side.note.sent.len(), portions), (32, 4));
}

/// An agent that connects to itself (OQ-47) is both sides of a connection under two ids.
#[test]
fn an_agent_can_be_its_own_peer() {
    let mut side = Side::new(1, 1, 8);
    let active = side.connect(at(0));
    let carry = |side: &mut Side| {
        while let Some(mad) = side.note.sent.pop_front() {
            side.agent.handle(at(0), &side.path, &mad, &mut side.note);
        }
    };
    carry(&mut side);
    let (passive, _) = side.take().unwrap();
    assert_ne!(active, passive);
    side.agent.accept(at(0), passive, &endpoint(0x222), &[], &mut side.note).unwrap();
    carry(&mut side);
    assert_eq!(side.take(), Some((active, Seen::Accepted)));
    side.agent.complete(active, &mut side.note).unwrap();
    carry(&mut side);
    assert_eq!(side.take(), Some((passive, Seen::Established)));
    side.agent.disconnect(at(1), passive, &mut side.note).unwrap();
    carry(&mut side);
    assert_eq!(side.take(), Some((active, Seen::DisconnectRequested)));
    side.agent.disconnect(at(1), active, &mut side.note).unwrap();
    carry(&mut side);
    assert_eq!(side.note.events, [(active, Seen::Disconnected(true)), (passive, Seen::Disconnected(true))]);
}
