//! The responder: serves the peer's requests.
//!
//! A request goes through checks in a fixed order (sequence, operation order, support, length, resources, key) and is then
//! executed: one copy into the region. What it calls for in reply is noted as a *debt* and paid in [`Responder::pay`] when
//! a frame exists (T-02): one ACK for everything accepted in the turn, at most one NAK, and READ responses in PSN order,
//! before any ACK or NAK (T-21). Nothing but this file writes the responder's fields.

mod reads;

use super::{Attributes, Failure, Received, place};
use crate::completion::{Completion, CompletionKind, CompletionStatus, Completions, CqDead};
use crate::key::RKey;
use crate::memory::{Access, Epoch, Fault, Regions, Revocation};
use crate::psn::{Msn, Psn};
use crate::time::{Duration, Time};
use crate::turn::{Environment, Pause, Turn};
use crate::wire::Packet;
use crate::wire::headers::{Aeth, Bth, Ext, NakCode, Reth, Syndrome};
use crate::wire::opcode::{Message, Opcode, Position};
use crate::work::{ReceiveQueue, ReceiveWqe};
use reads::Reads;

use super::frame::send_reply;

/// The longest that a message is held silently for want of a receive before the peer is told (T-29), see [`hold_of`].
const RNR_HOLD_MAX: Duration = Duration::from_millis(1_000);
/// How long when the peer's patience is not known: the usual 7 retries of 67 ms have to be spared.
const RNR_HOLD_UNKNOWN: Duration = Duration::from_millis(200);
/// The timer field of our RNR NAKs: 10.24 ms.
const RNR_TIMER: u8 = 20;
/// How far beyond a gap a packet may lie to be kept: what a requester of ours has in its window and in its READs.
const KEEP_AHEAD_MAX: i32 = 1 << 16;

/// What is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inbound {
    /// Nothing: the next packet starts a message.
    None,
    /// A SEND; its receive is in `receive`.
    Send {
        /// Bytes placed so far.
        placed: u32,
    },
    /// A WRITE.
    Write {
        /// Where the next byte goes.
        va: u64,
        /// Bytes still to come.
        remaining: u32,
        /// Under which key.
        key: RKey,
        /// And which of its lives.
        epoch: Epoch,
    },
}

/// What the peer has been told about a missing packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// Nothing is missing, or nothing was said yet.
    Quiet,
    /// It was told; one NAK a gap.
    Told,
}

/// A message that is placed but whose key is still being revoked (T-27).
#[derive(Clone, Copy, Debug)]
struct Finishing {
    key: RKey,
    solicited: bool,
}

/// Counts of what came and what was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponderCounters {
    /// Requests that had been received before.
    pub duplicates: u64,
    /// Requests beyond a gap.
    pub out_of_sequence: u64,
    /// NAKs sent, of all kinds but RNR.
    pub naks_sent: u64,
    /// RNR NAKs sent.
    pub rnr_naks_sent: u64,
}

#[derive(Debug)]
pub(super) struct Responder {
    expected: Psn,
    msn: Msn,
    inbound: Inbound,
    receive: ReceiveWqe,
    /// `receive` was taken and has not completed.
    receive_taken: bool,
    ack_owed: bool,
    nak_owed: Option<(Psn, Syndrome)>,
    gap: Gap,
    /// Packets beyond a gap are kept, not dropped (T-50).
    keeps: bool,
    /// The farthest packet that was dropped beyond a gap and has not come again.
    dropped: Option<Psn>,
    /// How long a message is held silently for want of a receive.
    hold: Duration,
    /// Since when a message has been held for want of a receive.
    held_since: Option<Time>,
    /// The wait for a receive is over: the peer is to be told.
    hold_spent: bool,
    finishing: Option<Finishing>,
    reads: Reads,
    failure: Option<Failure>,
    pub(super) counters: ResponderCounters,
}

impl Responder {
    pub(super) fn try_new(read_depth_max: usize) -> Option<Self> {
        Some(Self {
            expected: Psn::new(0),
            msn: Msn::new(0),
            inbound: Inbound::None,
            receive: ReceiveWqe::EMPTY,
            receive_taken: false,
            ack_owed: false,
            nak_owed: None,
            gap: Gap::Quiet,
            keeps: false,
            dropped: None,
            hold: RNR_HOLD_UNKNOWN,
            held_since: None,
            hold_spent: false,
            finishing: None,
            reads: Reads::try_new(read_depth_max)?,
            failure: None,
            counters: ResponderCounters::default(),
        })
    }

    pub(super) fn start(&mut self, attributes: &Attributes) {
        self.expected = attributes.responder_psn;
        self.hold = hold_of(attributes.peer_patience);
    }

    pub(super) const fn keep_out_of_order(&mut self) {
        self.keeps = true;
    }

    /// Why the queue pair must fail, once every debt is paid.
    pub(super) const fn failure(&self) -> Option<Failure> {
        if self.nak_owed.is_none() { self.failure } else { None }
    }

    /// When the wait for a receive ends.
    pub(super) fn deadline(&self) -> Option<Time> {
        if self.hold_spent { None } else { self.held_since.map(|since| since.after(self.hold)) }
    }

    /// Takes a request. Checks: sequence first (C9-88 to C9-105), then everything about this packet.
    #[inline]
    pub(super) fn handle<E: Environment>(
        &mut self,
        packet: &Packet<'_>,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
    ) -> Received {
        if self.failure.is_some() {
            return Received::Done;
        }
        if self.finishing.is_some() {
            return Received::Wait(Pause::Revoking);
        }
        match packet.bth.psn.since(self.expected) {
            0 => self.handle_expected(packet, attributes, turn),
            ahead if ahead > 0 => self.handle_gap(packet.bth.psn),
            _ => {
                self.counters.duplicates += 1;
                self.handle_duplicate(packet, attributes, turn);
                Received::Done
            }
        }
    }

    /// A packet is missing: the peer is told once (one NAK a gap).
    fn handle_gap(&mut self, psn: Psn) -> Received {
        if self.held_since.is_some() && !self.hold_spent {
            return Received::Wait(Pause::WantsReceive);
        }
        let ahead = psn.since(self.expected);
        if self.gap == Gap::Quiet {
            self.gap = Gap::Told;
            self.nak_owed = Some((self.expected, Syndrome::Nak(NakCode::PsnSequenceError)));
        }
        if self.keeps && ahead <= KEEP_AHEAD_MAX {
            // Kept by the caller and offered again: when it lies beyond the next hole then, that is told at once (T-51).
            return Received::Wait(Pause::Idle);
        }
        self.counters.out_of_sequence += 1;
        if self.dropped.is_none_or(|dropped| psn.since(dropped) > 0) {
            self.dropped = Some(psn);
        }
        Received::Done
    }

    /// C9-105: a duplicate SEND or WRITE is acknowledged again and not executed again; a READ is answered again when its
    /// record still stands (T-22), else dropped.
    fn handle_duplicate<E: Environment>(&mut self, packet: &Packet<'_>, attributes: &Attributes, _: &mut Turn<'_, E>) {
        match (packet.bth.opcode.message(), packet.ext) {
            (Message::ReadRequest, Ext::Reth(reth)) => {
                self.reads.replay(packet.bth.psn, &reth, attributes.path_mtu);
            }
            (Message::ReadRequest | Message::Atomic, _) => (),
            (
                Message::Send
                | Message::RdmaWrite
                | Message::ReadResponse
                | Message::Acknowledge
                | Message::AtomicAcknowledge
                | Message::Datagram
                | Message::CongestionNotification,
                _,
            ) => self.ack_owed = true,
        }
    }

    #[inline]
    fn handle_expected<E: Environment>(
        &mut self,
        packet: &Packet<'_>,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
    ) -> Received {
        if let Err(code) = self.check_order(packet.bth.opcode).and_then(|()| check_length(packet, attributes)) {
            self.refuse(code);
            return Received::Done;
        }
        let opcode = packet.bth.opcode;
        let starts_send = opcode.message() == Message::Send && opcode.position().starts();
        let wants_receive = starts_send || (opcode.message() == Message::RdmaWrite && opcode.has_immediate());
        if wants_receive {
            if !turn.receive_queue.take(&mut self.receive) {
                return self.wait_for_receive(turn.now);
            }
            self.receive_taken = true;
        }
        (self.held_since, self.hold_spent, self.gap) = (None, false, Gap::Quiet);
        match opcode.message() {
            Message::Send => self.execute_send(packet, starts_send, turn),
            Message::RdmaWrite => self.execute_write(packet, turn),
            Message::ReadRequest => self.execute_read(packet, attributes, turn),
            Message::Atomic
            | Message::ReadResponse
            | Message::Acknowledge
            | Message::AtomicAcknowledge
            | Message::Datagram
            | Message::CongestionNotification => self.refuse(NakCode::InvalidRequest),
        }
        self.reconsider_gap();
        Received::Done
    }

    /// A gap may close before it could be told. What was dropped beyond it is the gap then: without word of it the peer
    /// would wait for its timer.
    fn reconsider_gap(&mut self) {
        self.dropped = self.dropped.filter(|dropped| dropped.since(self.expected) >= 0);
        if let Some((psn, Syndrome::Nak(NakCode::PsnSequenceError) | Syndrome::RnrNak { .. })) = self.nak_owed
            && psn != self.expected
        {
            let still_missing = self.dropped.is_some();
            self.gap = if still_missing { Gap::Told } else { Gap::Quiet };
            self.nak_owed = still_missing.then_some((self.expected, Syndrome::Nak(NakCode::PsnSequenceError)));
        }
    }

    /// No receive is posted: hold the message for a while, then say so (T-29).
    fn wait_for_receive(&mut self, now: Time) -> Received {
        let since = *self.held_since.get_or_insert(now);
        if !self.hold_spent && now.since(since) < self.hold {
            return Received::Wait(Pause::WantsReceive);
        }
        self.tell_not_ready();
        Received::Done
    }

    /// Notes that the peer is to wait.
    fn tell_not_ready(&mut self) {
        self.hold_spent = true;
        // What follows lies beyond the gap that the peer now knows of.
        self.gap = Gap::Told;
        self.nak_owed = Some((self.expected, Syndrome::RnrNak { timer: RNR_TIMER }));
    }

    /// Takes time into account: the wait for a receive may be over though its message was not kept.
    pub(super) fn expire(&mut self, now: Time) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.tell_not_ready();
        }
    }

    /// C9-94: the packet continues what was begun, or begins when nothing was.
    fn check_order(&self, opcode: Opcode) -> Result<(), NakCode> {
        let fits = match (opcode.position(), self.inbound) {
            (Position::First | Position::Only, Inbound::None) => true,
            (Position::Middle | Position::Last, Inbound::Send { .. }) => opcode.message() == Message::Send,
            (Position::Middle | Position::Last, Inbound::Write { .. }) => opcode.message() == Message::RdmaWrite,
            (Position::First | Position::Only, Inbound::Send { .. } | Inbound::Write { .. })
            | (Position::Middle | Position::Last, Inbound::None) => false,
        };
        if fits { Ok(()) } else { Err(NakCode::InvalidRequest) }
    }

    /// The request is refused: the NAK leaves, then the queue pair fails (T-28).
    fn refuse(&mut self, code: NakCode) {
        self.nak_owed = Some((self.expected, Syndrome::Nak(code)));
        self.failure = Some(Failure::Refused(code));
    }

    /// Accepts the packet at `expected`.
    const fn accept(&mut self, packets: u32) {
        self.expected = self.expected.add(packets);
        self.ack_owed = true;
    }

    fn execute_send<E: Environment>(&mut self, packet: &Packet<'_>, starts: bool, turn: &mut Turn<'_, E>) {
        let placed = match self.inbound {
            Inbound::Send { placed } if !starts => placed,
            Inbound::None | Inbound::Send { .. } | Inbound::Write { .. } => 0,
        };
        // From here on the receive is this message's, also when it fails.
        self.inbound = Inbound::Send { placed };
        match place(turn.regions, self.receive.sges(), placed, packet.payload) {
            Ok(true) => (),
            // WR-44: the message is longer than its receive.
            Ok(false) => return self.fail_receive(CompletionStatus::LocalLength, NakCode::InvalidRequest, turn),
            Err(_) => {
                return self.fail_receive(CompletionStatus::LocalProtection, NakCode::RemoteOperationalError, turn);
            }
        }
        self.inbound = Inbound::Send { placed: placed.saturating_add(packet.payload.len() as u32) };
        if !packet.bth.opcode.position().ends() {
            return self.accept(1);
        }
        if let Ext::Ieth(key) = packet.ext {
            self.finishing = Some(Finishing { key, solicited: packet.bth.solicited });
            self.accept(1);
            self.ack_owed = false;
            self.finish(turn);
            return;
        }
        self.accept(1);
        self.complete_receive(CompletionKind::Receive, packet.bth.solicited, turn);
    }

    /// T-27: revokes, then completes; the pins of other lanes may make it wait.
    pub(super) fn finish<E: Environment>(&mut self, turn: &mut Turn<'_, E>) -> Option<Pause> {
        let finishing = self.finishing?;
        match turn.regions.remote_invalidate(finishing.key) {
            Ok(Revocation::Draining) => Some(Pause::Revoking),
            Ok(Revocation::Done) => {
                self.finishing = None;
                self.ack_owed = true;
                let kind = CompletionKind::ReceiveWithInvalidate { r_key: finishing.key };
                self.complete_receive(kind, finishing.solicited, turn);
                None
            }
            Err(_) => {
                // WR-25: a key that is not valid here ends the connection.
                self.finishing = None;
                self.fail_receive(CompletionStatus::LocalProtection, NakCode::RemoteAccessError, turn);
                self.nak_owed = Some((self.expected.previous(), Syndrome::Nak(NakCode::RemoteAccessError)));
                None
            }
        }
    }

    /// The message is whole: its receive completes and it counts (T-24).
    fn complete_receive<E: Environment>(&mut self, kind: CompletionKind, solicited: bool, turn: &mut Turn<'_, E>) {
        let byte_len = match self.inbound {
            Inbound::Send { placed } => placed,
            // T-32
            Inbound::None | Inbound::Write { .. } => 0,
        };
        (self.inbound, self.receive_taken) = (Inbound::None, false);
        self.msn = self.msn.next();
        let (wr_id, status) = (self.receive.wr_id, CompletionStatus::Success);
        let completion = Completion { wr_id, status, kind, byte_len, solicited };
        if turn.completions.receive_complete(completion) == Err(CqDead) {
            self.failure = Some(Failure::CqDead);
        }
    }

    fn fail_receive<E: Environment>(&mut self, status: CompletionStatus, code: NakCode, turn: &mut Turn<'_, E>) {
        self.refuse(code);
        (self.inbound, self.receive_taken) = (Inbound::None, false);
        let (wr_id, kind) = (self.receive.wr_id, CompletionKind::Receive);
        let completion = Completion { wr_id, status, kind, byte_len: 0, solicited: false };
        // A dead CQ changes nothing: the queue pair fails already.
        let _ = turn.completions.receive_complete(completion);
    }

    fn execute_write<E: Environment>(&mut self, packet: &Packet<'_>, turn: &mut Turn<'_, E>) {
        let (va, remaining, key, epoch) = match (self.inbound, packet.ext) {
            (Inbound::None, Ext::Reth(reth) | Ext::RethImm(reth, _)) if reth.dma_len > super::MESSAGE_MAX => {
                return self.refuse(NakCode::InvalidRequest);
            }
            (Inbound::None, Ext::Reth(reth) | Ext::RethImm(reth, _)) => match begin_write(&reth, turn.regions) {
                Ok(epoch) => (reth.va, reth.dma_len, reth.r_key, epoch),
                Err(_) => return self.refuse(NakCode::RemoteAccessError),
            },
            (Inbound::Write { va, remaining, key, epoch }, _) => (va, remaining, key, epoch),
            (Inbound::None | Inbound::Send { .. }, _) => return self.refuse(NakCode::InvalidRequest),
        };
        let len = packet.payload.len() as u32;
        let ends = packet.bth.opcode.position().ends();
        // C9-92 and its kin: the packets add up to what the RETH promised.
        let Some(left) = remaining.checked_sub(len).filter(|&left| (left == 0) == ends) else {
            return self.refuse(NakCode::InvalidRequest);
        };
        if len != 0 && turn.regions.remote_write(key, epoch, va, packet.payload).is_err() {
            return self.refuse(NakCode::RemoteAccessError);
        }
        self.inbound = Inbound::Write { va: va.wrapping_add(u64::from(len)), remaining: left, key, epoch };
        self.accept(1);
        if !ends {
            return;
        }
        if packet.bth.opcode.has_immediate() {
            self.complete_receive(CompletionKind::Receive, packet.bth.solicited, turn);
        } else {
            self.inbound = Inbound::None;
            self.msn = self.msn.next();
        }
    }

    fn execute_read<E: Environment>(&mut self, packet: &Packet<'_>, attributes: &Attributes, turn: &mut Turn<'_, E>) {
        let Ext::Reth(reth) = packet.ext else { return self.refuse(NakCode::InvalidRequest) };
        if reth.dma_len > super::MESSAGE_MAX {
            return self.refuse(NakCode::InvalidRequest);
        }
        // T-22: more READs than were agreed on.
        while self.reads.unfinished() >= usize::from(attributes.responder_resources) {
            if !self.reads.drop_superfluous() {
                return self.refuse(NakCode::InvalidRequest);
            }
        }
        let epoch = if reth.dma_len == 0 {
            Epoch(0)
        } else {
            match turn.regions.grant(reth.r_key, reth.va, reth.dma_len, Access::REMOTE_READ) {
                Ok(epoch) => epoch,
                Err(_) => return self.refuse(NakCode::RemoteAccessError),
            }
        };
        // C9-148: a READ counts when it is accepted.
        self.msn = self.msn.next();
        let packets = self.reads.accept(self.expected, &reth, epoch, self.msn, attributes.path_mtu);
        let ack_owed = self.ack_owed;
        self.accept(packets);
        // Its responses acknowledge it and everything before.
        self.ack_owed = ack_owed;
    }

    /// Pays the debts, as far as frames and budget reach.
    #[inline]
    pub(super) fn pay<E: Environment>(
        &mut self,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
        budget: &mut u32,
    ) -> Option<Pause> {
        if !self.reads.is_idle() {
            match self.reads.pay(attributes, turn, budget) {
                Ok(None) => (),
                Ok(Some(pause)) => return Some(pause),
                Err(psn) => {
                    // The region went away under a READ that had been granted.
                    self.nak_owed = Some((psn, Syndrome::Nak(NakCode::RemoteAccessError)));
                    self.failure = Some(Failure::Refused(NakCode::RemoteAccessError));
                }
            }
        }
        let (psn, syndrome) = match self.nak_owed {
            Some(nak) => nak,
            None if self.ack_owed => (self.expected.previous(), Syndrome::ACK),
            None => return None,
        };
        let bth = Bth::new(Opcode::Acknowledge, attributes.remote_qpn, psn);
        let ext = Ext::Aeth(Aeth { syndrome, msn: self.msn });
        if !send_reply(attributes, turn, &bth, &ext) {
            return Some(Pause::NoFrame);
        }
        *budget = budget.saturating_sub(1);
        match syndrome {
            Syndrome::Nak(_) => self.counters.naks_sent += 1,
            Syndrome::RnrNak { .. } => self.counters.rnr_naks_sent += 1,
            Syndrome::Ack { .. } | Syndrome::Reserved(_) => (),
        }
        (self.nak_owed, self.ack_owed) = (None, false);
        None
    }

    /// What a message held for want of a receive waits for; `None` when the wait is over or there is none.
    pub(super) fn pause(&self, now: Time) -> Option<Pause> {
        if self.finishing.is_some() {
            return Some(Pause::Revoking);
        }
        match self.held_since {
            Some(since) if !self.hold_spent && now.since(since) < self.hold => Some(Pause::WantsReceive),
            Some(_) | None => None,
        }
    }

    /// Flushes: the receive of a message half received completes, and with `own_queue` all that are posted.
    pub(super) fn flush<E: Environment>(&mut self, own_queue: bool, turn: &mut Turn<'_, E>) -> Result<(), CqDead> {
        self.reads.clear();
        (self.ack_owed, self.nak_owed, self.held_since) = (false, None, None);
        (self.inbound, self.finishing) = (Inbound::None, None);
        if core::mem::take(&mut self.receive_taken) {
            turn.completions.receive_complete(flushed(&self.receive))?;
        }
        while own_queue && turn.receive_queue.take(&mut self.receive) {
            turn.completions.receive_complete(flushed(&self.receive))?;
        }
        Ok(())
    }
}

/// How long a message is held for want of a receive: consumers post their receives only after the connection stands, and
/// to some peers the first RNR NAK is the last (T-29). It ends well before the peer takes silence for death.
fn hold_of(peer_patience: Duration) -> Duration {
    if peer_patience == Duration::ZERO { RNR_HOLD_UNKNOWN } else { peer_patience.half().min(RNR_HOLD_MAX) }
}

const fn flushed(receive: &ReceiveWqe) -> Completion {
    Completion {
        wr_id: receive.wr_id,
        status: CompletionStatus::Flushed,
        kind: CompletionKind::Receive,
        byte_len: 0,
        solicited: false,
    }
}

/// A zero-length WRITE shows a key that is not looked at (C9-98 and its kin).
fn begin_write<R: Regions>(reth: &Reth, regions: &mut R) -> Result<Epoch, Fault> {
    if reth.dma_len == 0 {
        return Ok(Epoch(0));
    }
    regions.grant(reth.r_key, reth.va, reth.dma_len, Access::REMOTE_WRITE)
}

/// C9-92, T-43: FIRST and MIDDLE are exactly the path MTU, LAST at least one byte, nothing more than the MTU.
fn check_length(packet: &Packet<'_>, attributes: &Attributes) -> Result<(), NakCode> {
    let (len, mtu) = (packet.payload.len(), usize::from(attributes.path_mtu));
    let fits = match packet.bth.opcode.message() {
        Message::Send | Message::RdmaWrite => match packet.bth.opcode.position() {
            Position::First | Position::Middle => len == mtu,
            Position::Last => len >= 1 && len <= mtu,
            Position::Only => len <= mtu,
        },
        Message::ReadRequest => len == 0,
        Message::Atomic
        | Message::ReadResponse
        | Message::Acknowledge
        | Message::AtomicAcknowledge
        | Message::Datagram
        | Message::CongestionNotification => false,
    };
    if fits { Ok(()) } else { Err(NakCode::InvalidRequest) }
}
