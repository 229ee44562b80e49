//! A reliable-connection queue pair: connects its three roles and owns its attributes.
//!
//! The requester turns posted work into packets, the responder serves the peer's, the completer hears responses. Each field
//! has one writer. The queue pair owns no clock, memory, queue or frame: each call is lent a [`Turn`].
//!
//! The caller's part: verify the ICRC, find the queue pair, give every frame of a run to [`QueuePair::receive`], then call
//! [`QueuePair::turn`]; call it too when something was posted, when frames are back, when pins drained, and when
//! [`QueuePair::deadline`] has passed. A frame answered with [`Received::Wait`] is kept; or dropped, and the transport
//! brings it again. Frames that follow it are offered all the same: what depends on it is answered with `Wait` too, and
//! responses are never held up by a request. Before each turn kept frames are offered again: first, in order, then the
//! new ones, then those kept again for as long as any of them is taken (T-51: what was kept is drained before the ACK).

mod completer;
mod frame;
mod requester;
mod responder;
mod retry;
pub mod state;

#[cfg(test)]
mod tests;

use crate::completion::{CompletionStatus, CqDead};
use crate::memory::{Fault, Regions, Sge};
use crate::psn::{Psn, Qpn};
use crate::time::{Duration, Time};
use crate::turn::{Budget, Environment, Pause, Turn};
use crate::wire::Packet;
use crate::wire::headers::NakCode;
use crate::wire::opcode::Message;
use crate::wire::template::FrameTemplate;
use crate::work::SendQueue;
use requester::Requester;
use responder::Responder;
use state::State;

pub use requester::RequesterCounters;
pub use responder::ResponderCounters;

/// The longest message of the standard, in bytes. Its packets are half of the PSN space at most.
const MESSAGE_MAX: u32 = 1 << 31;

/// What a queue pair is made for; all its memory is allocated from this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests the send queue can hold.
    pub send_depth: u32,
    /// READs it will ever serve at once.
    pub responder_resources: u8,
    /// Receives come from a queue of its own, so a flush completes them all; those of a shared one stay.
    pub own_receive_queue: bool,
}

/// What the connection manager agreed with the peer.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Headers of frames to the peer.
    pub template: FrameTemplate,
    /// The peer's queue pair.
    pub remote_qpn: Qpn,
    /// The first PSN we send.
    pub requester_psn: Psn,
    /// The first PSN the peer sends.
    pub responder_psn: Psn,
    /// Payload of a full packet: 256, 512, 1024, 2048 or 4096 bytes.
    pub path_mtu: u16,
    /// READs we may have outstanding; 0 is taken as 1.
    pub initiator_depth: u8,
    /// READs the peer may have outstanding.
    pub responder_resources: u8,
    /// Time-outs without progress before the connection fails.
    pub retry_count: u8,
    /// RNR NAKs before a request fails; 7 means without limit of count.
    pub rnr_retry: u8,
    /// The time each retry promises (T-30).
    pub ack_timeout: Duration,
    /// How long the peer's requester goes without an answer before it gives up: its retry count times its time-out, as
    /// REQ says; zero when that is not known (T-29).
    pub peer_patience: Duration,
    /// No deadline is closer than this.
    pub timer_granularity: Duration,
}

/// What became of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is dealt with; the frame is not needed any more.
    Done,
    /// It cannot be used yet: keep it, in order with others of its kind, until this passes. [`Pause::Idle`] means that a
    /// packet before it is missing (T-50).
    Wait(Pause),
}

/// Why a queue pair failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// We refused a request of the peer.
    Refused(NakCode),
    /// A request of ours failed.
    Request {
        /// Which.
        position: u32,
        /// How.
        status: CompletionStatus,
    },
    /// A completion queue is dead (T-08).
    CqDead,
}

impl Failure {
    /// Why, for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Refused(NakCode::PsnSequenceError | NakCode::Reserved(_)) => "a request of the peer was refused",
            Self::Refused(NakCode::InvalidRequest | NakCode::InvalidRdRequest) => "the peer sent an invalid request",
            Self::Refused(NakCode::RemoteAccessError) => "the peer had no right to the memory it named",
            Self::Refused(NakCode::RemoteOperationalError) => "a posted receive named memory that cannot be written",
            Self::Request { status, .. } => match status {
                CompletionStatus::Success | CompletionStatus::Flushed => "flushed",
                CompletionStatus::LocalProtection => "a request named memory that it may not use",
                CompletionStatus::LocalLength => "a length did not fit",
                CompletionStatus::LocalOperation => "a local operation was not possible",
                CompletionStatus::RemoteAccess => "the peer refused access to its memory",
                CompletionStatus::RemoteInvalidRequest => "the peer found a request invalid",
                CompletionStatus::RemoteOperation => "the peer could not carry out a request",
                CompletionStatus::TransportRetryExceeded => "the peer did not answer",
                CompletionStatus::RnrRetryExceeded => "the peer never had a receive posted",
                CompletionStatus::BadResponse => "the peer sent a response that cannot be right",
            },
            Self::CqDead => "its completion queue is dead",
        }
    }
}

/// What the connection's owner is told, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QpEvent {
    /// The peer's first request came before its RTU.
    CommunicationEstablished,
    /// The queue pair is in the error state; its NAK, if it owed one, has left (T-28).
    Fatal(Failure),
}

/// A queue pair.
#[derive(Debug)]
pub struct QueuePair {
    state: State,
    limits: Limits,
    attributes: Option<Attributes>,
    requester: Requester,
    responder: Responder,
    failed: Option<(u32, CompletionStatus)>,
    cq_dead: bool,
    heard_early: bool,
    established: Option<QpEvent>,
    fatal: Option<QpEvent>,
    congestion_marks: u64,
}

/// How many packets a message of `length` bytes takes; an empty one takes one (T-20).
const fn packets(length: u32, path_mtu: u16) -> u32 {
    let packets = length.div_ceil(if path_mtu == 0 { 1 } else { path_mtu as u32 });
    if packets == 0 { 1 } else { packets }
}

/// Places `payload` at byte `offset` of a scatter list. `Ok(false)`: the list is too short; what fits is placed.
#[inline]
fn place<R: Regions>(regions: &mut R, sges: &[Sge], offset: u32, payload: &[u8]) -> Result<bool, Fault> {
    let (mut skip, mut rest) = (offset, payload);
    for sge in sges {
        if rest.is_empty() {
            return Ok(true);
        }
        let Some(room) = sge.length.checked_sub(skip).filter(|&room| room > 0) else {
            skip = skip.saturating_sub(sge.length);
            continue;
        };
        let (now, later) = rest.split_at_checked(room as usize).unwrap_or((rest, &[]));
        regions.scatter(sge, skip, now)?;
        (skip, rest) = (0, later);
    }
    Ok(rest.is_empty())
}

impl QueuePair {
    /// A queue pair in RESET. `None` without memory.
    pub fn try_new(limits: Limits) -> Option<Self> {
        Some(Self {
            state: State::Reset,
            limits,
            attributes: None,
            requester: Requester::try_new(limits.send_depth)?,
            responder: Responder::try_new(usize::from(limits.responder_resources))?,
            failed: None,
            cq_dead: false,
            heard_early: false,
            established: None,
            fatal: None,
            congestion_marks: 0,
        })
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// What the requester counted.
    pub const fn requester_counters(&self) -> RequesterCounters {
        self.requester.counters
    }

    /// What the responder counted.
    pub const fn responder_counters(&self) -> ResponderCounters {
        self.responder.counters
    }

    /// Congestion notifications and marks seen and ignored (T-33).
    pub const fn congestion_marks(&self) -> u64 {
        self.congestion_marks
    }

    /// RESET to RTR: the peer is known and its requests are served. False when the state does not allow it.
    pub fn connect(&mut self, attributes: Attributes) -> bool {
        let Some(next) = self.state.to(State::Rtr) else { return false };
        self.state = next;
        let responder_resources = attributes.responder_resources.min(self.limits.responder_resources);
        let attributes = Attributes { responder_resources, ..attributes };
        self.requester.start(&attributes);
        self.responder.start(&attributes);
        self.attributes = Some(attributes);
        true
    }

    /// The peer is one of ours: what it sends out of order is kept, and only what is missing is sent again (T-50). To be
    /// said before anything is sent.
    pub const fn repair_selectively(&mut self) {
        self.requester.repair_selectively();
        self.responder.keep_out_of_order();
    }

    /// RTR to RTS: our requests flow. False when the state does not allow it.
    pub const fn establish(&mut self) -> bool {
        match self.state.to(State::Rts) {
            Some(next) => {
                self.state = next;
                true
            }
            None => false,
        }
    }

    /// To the error state: everything posted, and whatever will be, completes as flushed in the next turns.
    pub fn flush(&mut self) {
        if let Some(next) = self.state.to(State::Err) {
            self.state = next;
        }
    }

    fn fail(&mut self, failure: Failure) {
        if self.state == State::Err {
            return;
        }
        match failure {
            Failure::Request { position, status } => self.failed = Some((position, status)),
            Failure::CqDead => self.cq_dead = true,
            Failure::Refused(_) => (),
        }
        self.fatal = Some(QpEvent::Fatal(failure));
        self.flush();
    }

    /// The next event, if there is one.
    pub const fn take_event(&mut self) -> Option<QpEvent> {
        match self.established.take() {
            Some(event) => Some(event),
            None => self.fatal.take(),
        }
    }

    /// When a turn is due though nothing arrives and nothing is posted.
    pub fn deadline(&self) -> Option<Time> {
        if self.state == State::Err {
            return None;
        }
        match (self.requester.deadline(), self.responder.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Takes one packet, its ICRC verified.
    #[inline]
    pub fn receive<E: Environment>(&mut self, packet: &Packet<'_>, turn: &mut Turn<'_, E>) -> Received {
        let Some(attributes) = self.attributes.as_ref().filter(|_| self.state.receives()) else {
            return Received::Done;
        };
        if packet.bth.becn || packet.bth.fecn || packet.ip.congestion_experienced() {
            self.congestion_marks += 1;
        }
        match packet.bth.opcode.message() {
            Message::Send | Message::RdmaWrite | Message::ReadRequest | Message::Atomic => {
                if self.state == State::Rtr && !self.heard_early {
                    self.heard_early = true;
                    self.established = Some(QpEvent::CommunicationEstablished);
                }
                let received = self.responder.handle(packet, attributes, turn);
                if let Some(Failure::CqDead) = self.responder.failure() {
                    self.fail(Failure::CqDead);
                }
                received
            }
            Message::ReadResponse | Message::Acknowledge | Message::AtomicAcknowledge => {
                let heard = completer::handle(&mut self.requester, packet, attributes, turn);
                // What a refusal acknowledges was carried out: it completes before the failure flushes the rest.
                let retired = self.requester.retire(turn);
                if let Err(failure) = heard.and(retired) {
                    self.fail(failure);
                }
                Received::Done
            }
            Message::CongestionNotification => {
                self.congestion_marks += 1;
                Received::Done
            }
            Message::Datagram => Received::Done,
        }
    }

    /// Takes a turn: pays what is owed, then sends what may be sent.
    pub fn turn<E: Environment>(&mut self, turn: &mut Turn<'_, E>, budget: Budget) -> Pause {
        let mut budget = budget.0;
        let pause = self.try_turn(turn, &mut budget);
        if self.state == State::Err && !self.cq_dead && self.flush_all(turn) == Err(CqDead) {
            self.cq_dead = true;
        }
        if self.state == State::Err { Pause::Idle } else { pause }
    }

    fn try_turn<E: Environment>(&mut self, turn: &mut Turn<'_, E>, budget: &mut u32) -> Pause {
        let Some(attributes) = self.attributes.as_ref().filter(|_| self.state.receives()) else { return Pause::Idle };
        let revoking = self.responder.finish(turn);
        self.responder.expire(turn.now);
        if let Some(pause) = self.responder.pay(attributes, turn, budget) {
            return pause;
        }
        if let Some(failure) = self.responder.failure() {
            self.fail(failure);
            return Pause::Idle;
        }
        let mut pause = revoking.or_else(|| self.responder.pause(turn.now)).unwrap_or(Pause::Idle);
        if self.state == State::Rts {
            match self.requests(turn, budget) {
                Ok(Pause::Idle) => (),
                Ok(stopped) => pause = stopped,
                Err(failure) => self.fail(failure),
            }
        }
        pause
    }

    /// The requester's part of a turn.
    fn requests<E: Environment>(&mut self, turn: &mut Turn<'_, E>, budget: &mut u32) -> Result<Pause, Failure> {
        let Some(attributes) = self.attributes.as_ref() else { return Ok(Pause::Idle) };
        if let Some(pause) = self.requester.retire(turn)? {
            return Ok(pause);
        }
        self.requester.expire(turn.now)?;
        self.requester.send(attributes, turn, budget)
    }

    fn flush_all<E: Environment>(&mut self, turn: &mut Turn<'_, E>) -> Result<(), CqDead> {
        self.requester.flush(self.failed, turn)?;
        self.responder.flush(self.limits.own_receive_queue, turn)
    }

    /// Whether everything posted has completed: nothing of the queue pair moves any more.
    pub fn is_drained<Q: SendQueue>(&self, send_queue: &Q) -> bool {
        self.state == State::Err && (self.cq_dead || self.requester.flights().head() == send_queue.posted())
    }
}
