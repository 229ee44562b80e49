//! Every message, and every wish of the consumer, in every state: what is said, what is reported, what state follows. The
//! text beside this file is the table; whoever changes it changes what peers see.

use super::peer::*;
use super::*;
use std::fmt::Write;
use std::string::String;

type Stimulus = (&'static str, fn(&mut Desk));

const STIMULI: [Stimulus; 15] = [
    ("REQ, the same", |desk| desk.hear(&Message::Req(req()))),
    ("REQ, new id, same QP", |desk| desk.hear(&Message::Req(Req { local_comm_id: PEER + 1, ..req() }))),
    ("REP", |desk| desk.hear(&rep(desk.id))),
    ("RTU", |desk| desk.hear(&rtu(desk.id))),
    ("REJ", |desk| desk.hear(&refusal(desk.id, About::Rep, RejReason::ConsumerReject))),
    ("MRA", |desk| desk.hear(&mra_of(desk.id, About::Rep, 20))),
    ("DREQ", |desk| desk.hear(&dreq(desk.id, OUR_QPN))),
    ("DREP", |desk| desk.hear(&drep(desk.id))),
    ("accept", |desk| {
        let _ = desk.agent.accept(desk.now, desk.id, &endpoint(OUR_QPN), &[], &mut desk.sheet);
    }),
    ("reject", |desk| {
        let _ = desk.agent.reject(desk.now, desk.id, RejReason::ConsumerReject, &[], &mut desk.sheet);
    }),
    ("complete", |desk| {
        let _ = desk.agent.complete(desk.id, &mut desk.sheet);
    }),
    ("data", |desk| desk.agent.communication_established(desk.id, &mut desk.sheet)),
    ("disconnect", |desk| {
        let _ = desk.disconnect();
    }),
    ("close", Desk::close),
    ("a minute", |desk| desk.wait(at(60_000))),
];

fn table() -> String {
    let mut table = String::new();
    for state in State::ALL {
        writeln!(table, "{state:?}").unwrap();
        for (name, stimulate) in STIMULI {
            let mut desk = Desk::in_state(state);
            stimulate(&mut desk);
            writeln!(table, "  {name}: {}", desk.line()).unwrap();
        }
    }
    table
}

#[test]
fn every_message_in_every_state_does_what_the_table_says() {
    let table = table();
    let expected = include_str!("matrix.txt");
    for (line, wanted) in table.lines().zip(expected.lines()) {
        assert_eq!(line, wanted);
    }
    assert_eq!(table, expected);
}

/// Whatever state a connection is in: its owner closes it, and a minute later its slot is free and has been so reported
/// once.
#[test]
fn a_close_in_any_state_ends_with_one_release() {
    for state in State::ALL.into_iter().filter(|state| *state != State::Idle) {
        let mut desk = Desk::in_state(state);
        desk.close();
        desk.wait(at(60_000));
        let (_, told) = desk.sheet.take();
        assert_eq!(told.iter().filter(|seen| **seen == Seen::Released).count(), 1, "{state:?}");
        assert_eq!(told.last(), Some(&Seen::Released), "{state:?}");
        assert_eq!(desk.agent.free_count(), 4, "{state:?}");
        assert_eq!(desk.agent.deadline(), None, "{state:?}");
    }
}

/// A second close, and every other wish after the release, changes nothing and says nothing.
#[test]
fn after_the_release_an_id_means_nothing() {
    let mut desk = Desk::in_state(State::Established);
    desk.close();
    desk.hear(&drep(desk.id));
    desk.wait(at(60_000));
    let _ = desk.sheet.take();
    for (name, wish) in STIMULI.into_iter().skip(8) {
        wish(&mut desk);
        assert_eq!(desk.sheet.take(), (Vec::new(), Vec::new()), "{name}");
    }
    assert_eq!(desk.agent.free_count(), 4);
}
