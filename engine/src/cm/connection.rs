//! One connection: what it remembers, the message it repeats until answered, its timer.

use super::state::State;
use super::{CmPort, ConnectionId, REFUSAL_REST, TIMEWAIT, fill, rej};
use crate::psn::Qpn;
use crate::time::{Duration, Time};
use crate::wire::cm::{About, Ids, Message, REJ_PRIVATE_LEN, Rej, RejReason};
use crate::wire::mad::MAD_LEN;
use crate::wire::template::AddressVector;
use core::net::{IpAddr, Ipv4Addr};

/// The first wait for an answer; doubled each time, up to the response time-out of the REQ.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_ib_exponent(super::RESPONSE_TIMEOUT);
/// How often a message is sent before the peer is taken for gone: some 20 s.
const TRIES_MAX: u8 = 9;
/// The longest a peer's MRA can make us wait.
const SERVICE_MAX: Duration = Duration::from_millis(60_000);

const NO_PATH: AddressVector = AddressVector {
    source_mac: [0; 6],
    destination_mac: [0; 6],
    vlan_tci: None,
    source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    hop_limit: 0,
    dscp: 0,
    source_port: 0,
};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: State,
    pub(super) id: ConnectionId,
    pub(super) remote_id: u32,
    pub(super) remote_guid: u64,
    pub(super) local_qpn: Qpn,
    pub(super) remote_qpn: Qpn,
    pub(super) path: AddressVector,
    /// REP, RTU, MRA, REJ and DREP carry the transaction id of what they answer.
    pub(super) transaction_id: u64,
    pub(super) deadline: Option<Time>,
    /// The consumer has given it up.
    pub(super) abandoned: bool,
    /// The last word was a REJ, which is said again to whoever has not heard it.
    pub(super) refused: bool,
    /// The peer's DREQ was answered before the consumer disconnected: its disconnect is through at once.
    pub(super) answered: bool,
    /// Counts the slot's lives, in steps of the number of slots.
    lives: u32,
    said: [u8; MAD_LEN],
    tries: u8,
    wait: Duration,
}

impl Connection {
    pub(super) const fn new(lives: u32) -> Self {
        Self {
            state: State::Idle,
            id: ConnectionId(0),
            remote_id: 0,
            remote_guid: 0,
            local_qpn: Qpn::new(0),
            remote_qpn: Qpn::new(0),
            path: NO_PATH,
            transaction_id: 0,
            deadline: None,
            abandoned: false,
            refused: false,
            answered: false,
            lives,
            said: [0; MAD_LEN],
            tries: 0,
            wait: FIRST_WAIT,
        }
    }

    /// A new life of the slot.
    pub(super) fn begin(&mut self, slot: u32, slots: u32, key: u32, path: AddressVector, transaction_id: u64) {
        let lives = self.lives.wrapping_add(slots);
        *self = Self::new(lives);
        let id = lives | slot;
        self.id = ConnectionId(id ^ key);
        self.path = path;
        self.transaction_id = transaction_id;
    }

    pub(super) fn end(&mut self) {
        self.go(State::Idle);
        (self.deadline, self.remote_id) = (None, 0);
    }

    /// To the next state; one that may not follow is our mistake.
    pub(super) fn go(&mut self, next: State) {
        debug_assert!(self.state.may_become(next), "{:?} to {next:?}", self.state);
        self.state = next;
    }

    /// Says something once.
    pub(super) fn say_once(&self, message: &Message, port: &mut impl CmPort) {
        port.send(&self.path, &message.emit(self.transaction_id));
    }

    /// Says something until it is answered.
    pub(super) fn say(&mut self, message: Message, now: Time, port: &mut impl CmPort) {
        self.said = message.emit(self.transaction_id);
        (self.tries, self.wait) = (0, FIRST_WAIT);
        let _ = self.repeat(now, port);
    }

    /// Says it again; false when it has been said often enough.
    pub(super) fn repeat(&mut self, now: Time, port: &mut impl CmPort) -> bool {
        if self.tries >= TRIES_MAX {
            return false;
        }
        self.tries += 1;
        self.deadline = Some(now.after(self.wait));
        self.wait = self.wait.times(2).min(WAIT_MAX);
        port.send(&self.path, &self.said);
        true
    }

    /// Says the last thing again, out of turn: the peer asked again.
    pub(super) fn say_again(&self, port: &mut impl CmPort) {
        port.send(&self.path, &self.said);
    }

    /// The peer asks for time.
    pub(super) fn be_patient(&mut self, service_timeout: u8, now: Time) {
        self.tries = 0;
        self.deadline = Some(now.after(Duration::from_ib_exponent(service_timeout).min(SERVICE_MAX)));
    }

    pub(super) fn establish(&mut self) {
        self.go(State::Established);
        self.deadline = None;
    }

    /// Answers the peer's DREQ.
    pub(super) fn answer_dreq(&self, port: &mut impl CmPort) {
        let ids = Ids { local_comm_id: self.id.0, remote_comm_id: self.remote_id };
        self.say_once(&Message::Drep(ids), port);
    }

    /// Over, with a REJ; which rests longer, since a REJ that is lost is asked for by repeating what it refused.
    pub(super) fn refuse(&mut self, rej: Rej, now: Time, port: &mut impl CmPort) {
        self.said = Message::Rej(rej).emit(self.transaction_id);
        self.refused = true;
        self.say_again(port);
        self.rest(now);
        self.deadline = Some(now.after(REFUSAL_REST));
    }

    /// Over, before the peer answered: a REJ about no message of its. Before there is an id of the peer's, our GUID tells it
    /// who speaks.
    pub(super) fn give_up(&mut self, reason: RejReason, guid: u64, now: Time, port: &mut impl CmPort) {
        let mut rej = rej(self.id.0, self.remote_id, About::Other(2), reason, [0; REJ_PRIVATE_LEN]);
        if reason == RejReason::Timeout {
            rej.info_length = 8;
            fill(Some(&mut rej.ari), &guid.to_be_bytes());
        }
        if self.state == State::RepSent {
            return self.refuse(rej, now, port);
        }
        self.say_once(&Message::Rej(rej), port);
        self.rest(now);
    }

    /// Over: the numbers rest (T-42).
    pub(super) fn rest(&mut self, now: Time) {
        self.go(State::Timewait);
        self.deadline = Some(now.after(TIMEWAIT));
    }
}
