//! The requester: turns work requests into packets and keeps what it needs to send them again.
//!
//! Requests get their PSNs when they are started, in posting order; a *cursor* walks over their packets. Going back after a
//! loss is moving the cursor back to the oldest unacknowledged packet (DESIGN D9): nothing else has to be undone, because
//! a frame is had before any state changes. Completions come in posting order, when everything before is acknowledged.
//! What a response means is decided by the completer; only this file writes the requester's fields.

mod flight;
mod repair;

use super::frame::send_filled;
use super::retry::Retry;
use super::{Attributes, Failure};
use crate::completion::{Completion, CompletionKind, CompletionStatus, Completions, CqDead};
use crate::memory::{Fault, Regions, Revocation, Sge};
use crate::psn::Psn;
use crate::time::{Duration, Time};
use crate::turn::{Environment, Pause, Turn};
use crate::wire::headers::{Bth, Ext, Reth};
use crate::wire::opcode::{Opcode, Position};
use crate::work::{Operation, SendQueue, Wqe};
use flight::{Flight, Flights, Kind};
use repair::Probe;

/// READs are asked for in pieces of this many packets (T-20). After a lost response the rest of its piece comes again for
/// nothing, so small pieces keep the waste small; the read depth keeps several of them under way.
const READ_PIECE: u32 = 32;
/// The span of PSNs that may be outstanding: a quarter of half the space (T-20).
const SPAN_MAX: u32 = 1 << 22;
/// Packets that may be unacknowledged, at most, at the start, and at least.
const WINDOW_MAX: u32 = 256;
const WINDOW_START: u32 = 64;
const WINDOW_MIN: u32 = 8;

/// Counts of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequesterCounters {
    /// Packets sent again.
    pub retransmissions: u64,
    /// Single packets sent again because a peer of ours missed them (T-50).
    pub repairs: u64,
    /// Times the cursor went back because a response told of a gap.
    pub go_backs: u64,
    /// Times it went back because nothing came.
    pub timeouts: u64,
    /// RNR NAKs received.
    pub rnr_naks: u64,
    /// Responses that acknowledged nothing that was sent.
    pub stale_responses: u64,
}

/// Why the send loop stopped at a request.
enum Stop {
    /// Wait for this.
    Pause(Pause),
    /// The request cannot be carried out; those before it finish first.
    Fail(CompletionStatus),
}

#[derive(Debug)]
pub(super) struct Requester {
    flights: Flights,
    /// The packet the cursor is on: request and index.
    cursor: u32,
    cursor_packet: u32,
    /// The oldest unacknowledged packet, and the one after the highest ever sent.
    unacknowledged: Psn,
    next: Psn,
    /// READ pieces asked for and not wholly answered, and how many packets they still bring.
    reads_outstanding: u32,
    read_packets_outstanding: u32,
    window: u32,
    gone_back_to: Option<Psn>,
    /// Every SEND and WRITE before it has reached the peer, though READs before it are unanswered.
    received: Psn,
    /// Only what is missing is sent again (T-50), the peer keeps what lies beyond.
    selective: bool,
    /// The one packet to be sent again.
    repair: Option<Psn>,
    /// What was sent again to learn what is missing (T-51).
    probe: Option<Probe>,
    failing: Option<(u32, CompletionStatus)>,
    retry: Retry,
    pub(super) counters: RequesterCounters,
}

impl Requester {
    pub(super) fn try_new(send_depth: u32) -> Option<Self> {
        Some(Self {
            flights: Flights::try_new(send_depth)?,
            cursor: 0,
            cursor_packet: 0,
            unacknowledged: Psn::new(0),
            next: Psn::new(0),
            reads_outstanding: 0,
            read_packets_outstanding: 0,
            window: WINDOW_START,
            gone_back_to: None,
            received: Psn::new(0),
            selective: false,
            repair: None,
            probe: None,
            failing: None,
            retry: Retry::new(Duration::ZERO, 0, Duration::ZERO, 0),
            counters: RequesterCounters::default(),
        })
    }

    pub(super) const fn start(&mut self, attributes: &Attributes) {
        let first = attributes.requester_psn;
        (self.unacknowledged, self.next, self.received) = (first, first, first);
        self.flights.start_at(first);
        self.retry = Retry::new(
            attributes.timer_granularity,
            attributes.retry_count,
            attributes.ack_timeout,
            attributes.rnr_retry,
        );
    }

    pub(super) const fn repair_selectively(&mut self) {
        self.selective = true;
    }

    pub(super) const fn unacknowledged(&self) -> Psn {
        self.unacknowledged
    }

    pub(super) const fn known_received(&self) -> Psn {
        self.received
    }

    pub(super) const fn next(&self) -> Psn {
        self.next
    }

    pub(super) const fn flights(&self) -> &Flights {
        &self.flights
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        if self.flights.is_idle() { None } else { self.retry.deadline() }
    }

    /// The PSN under the cursor.
    fn cursor_psn(&self) -> Psn {
        self.flights.get(self.cursor).map_or(self.flights.unassigned(), |flight| flight.first.add(self.cursor_packet))
    }

    /// Packets in the window: sent in this pass and not acknowledged, READ responses aside.
    fn in_window(&self) -> u32 {
        let span = u32::try_from(self.cursor_psn().since(self.unacknowledged)).unwrap_or(0);
        span.saturating_sub(self.read_packets_outstanding)
    }

    /// Sends what may be sent. The order of checks is the order in which a request can be stopped.
    #[inline]
    pub(super) fn send<E: Environment>(
        &mut self,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
        budget: &mut u32,
    ) -> Result<Pause, Failure> {
        loop {
            if *budget == 0 {
                return Ok(Pause::Budget);
            }
            if self.repair.is_some() && !self.retry.told_to_wait() {
                match self.send_repair(attributes, turn) {
                    Ok(()) => *budget -= 1,
                    Err(Stop::Pause(pause)) => return Ok(pause),
                    Err(Stop::Fail(status)) => return Err(self.fail_at(self.unacknowledged, status)),
                }
                continue;
            }
            if self.failing.is_some_and(|(position, _)| position == self.cursor) {
                return self.fail_when_alone();
            }
            if self.retry.told_to_wait() && self.retry.waits_for_receiver(turn.now) {
                return Ok(Pause::Idle);
            }
            let Some(&wqe) = turn.send_queue.wqe(self.cursor).filter(|_| self.cursor != turn.send_queue.posted())
            else {
                return Ok(Pause::Idle);
            };
            let flight = match self.flights.get(self.cursor) {
                Some(flight) => flight,
                None => match self.start_request(&wqe, attributes, turn) {
                    Ok(flight) => flight,
                    Err(Stop::Pause(pause)) => return Ok(pause),
                    Err(Stop::Fail(status)) => {
                        self.failing = Some((self.cursor, status));
                        continue;
                    }
                },
            };
            let sent = match flight.kind {
                Kind::Local => {
                    self.step_over(self.cursor);
                    self.retire(turn)?;
                    continue;
                }
                // T-50: what is known to have arrived is not sent again.
                Kind::Message if self.received.since(flight.first.add(flight.packets)) >= 0 => {
                    self.step_over(self.cursor);
                    continue;
                }
                Kind::Message => self.send_packet(&wqe, &flight, attributes, turn, *budget == 1),
                Kind::Read => self.send_read(&wqe, &flight, attributes, turn),
            };
            match sent {
                Ok(()) => *budget -= 1,
                Err(Stop::Pause(pause)) => return Ok(pause),
                Err(Stop::Fail(status)) => self.failing = Some((self.cursor, status)),
            }
        }
    }

    fn step_over(&mut self, position: u32) {
        (self.cursor, self.cursor_packet) = (position.wrapping_add(1), 0);
    }

    /// A request that cannot be carried out fails when everything before it is done.
    fn fail_when_alone(&self) -> Result<Pause, Failure> {
        match self.failing {
            Some((position, status)) if position == self.flights.head() => Err(Failure::Request { position, status }),
            Some(_) | None => Ok(Pause::Idle),
        }
    }

    /// Fails the oldest request that is not done.
    fn fail_oldest(&self, status: CompletionStatus) -> Failure {
        Failure::Request { position: self.flights.head(), status }
    }

    /// Fails the request that a refused packet belongs to.
    pub(super) fn fail_at(&self, psn: Psn, status: CompletionStatus) -> Failure {
        Failure::Request { position: self.flights.position_of(psn).unwrap_or(self.flights.head()), status }
    }

    /// Starts the request under the cursor: gives it its PSNs, or carries it out when it is local (T-26).
    fn start_request<E: Environment>(
        &mut self,
        wqe: &Wqe,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
    ) -> Result<Flight, Stop> {
        if wqe.read_fence && self.flights.reads() > 0 {
            return Err(Stop::Pause(Pause::Idle));
        }
        if wqe.length > super::MESSAGE_MAX {
            return Err(Stop::Fail(CompletionStatus::LocalLength));
        }
        let local = match wqe.operation {
            Operation::Send | Operation::SendWithInvalidate { .. } | Operation::RdmaWrite { .. } => {
                return Ok(self.flights.start(Kind::Message, super::packets(wqe.length, attributes.path_mtu)));
            }
            Operation::RdmaRead { .. } => {
                return Ok(self.flights.start(Kind::Read, super::packets(wqe.length, attributes.path_mtu)));
            }
            Operation::FastRegister(request) => turn.regions.fast_register(&request),
            Operation::Bind(request) => turn.regions.bind(&request),
            // T-26: all earlier requests of the queue are acknowledged first.
            Operation::LocalInvalidate { .. } if self.flights.head() != self.cursor => {
                return Err(Stop::Pause(Pause::Idle));
            }
            Operation::LocalInvalidate { key } => match turn.regions.invalidate(key) {
                Ok(Revocation::Done) => Ok(()),
                Ok(Revocation::Draining) => return Err(Stop::Pause(Pause::Revoking)),
                Err(fault) => Err(fault),
            },
        };
        local.map_err(|_| Stop::Fail(CompletionStatus::LocalOperation))?;
        Ok(self.flights.start(Kind::Local, 0))
    }

    /// Sends the packet under the cursor of a SEND or WRITE.
    #[inline]
    fn send_packet<E: Environment>(
        &mut self,
        wqe: &Wqe,
        flight: &Flight,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
        last_of_turn: bool,
    ) -> Result<(), Stop> {
        let in_window = self.in_window();
        if in_window >= self.window {
            return Err(Stop::Pause(Pause::Idle));
        }
        let index = self.cursor_packet;
        let psn = flight.first.add(index);
        let offset = index.saturating_mul(u32::from(attributes.path_mtu));
        let len = wqe.length.saturating_sub(offset).min(u32::from(attributes.path_mtu));
        let position = position(index, flight.packets);
        let (opcode, ext) = message_headers(wqe, position);
        let again = self.next.since(psn) > 0;
        let last_again = again && psn.next() == self.next;
        let half_window = in_window + 1 == self.window / 2 || in_window + 1 == self.window;
        let mut bth = Bth::new(opcode, attributes.remote_qpn, psn);
        // T-25
        bth.ack_req = position.ends() || half_window || last_of_turn || last_again;
        bth.solicited = wqe.solicited && position.ends();
        let (regions, queue) = (&mut *turn.regions, &*turn.send_queue);
        let (inline, sges) = (queue.inline(self.cursor), queue.sges(self.cursor));
        let sent = send_filled(attributes, turn.outbox, turn.crc, &bth, &ext, len as usize, |payload| {
            if wqe.inline { copy_inline(inline, offset, payload) } else { gather(regions, sges, offset, payload) }
        });
        match sent {
            None => return Err(Stop::Pause(Pause::NoFrame)),
            Some(Err(_)) => return Err(Stop::Fail(CompletionStatus::LocalProtection)),
            Some(Ok(())) => (),
        }
        if again {
            self.counters.retransmissions += 1;
        } else {
            self.next = psn.next();
            if bth.ack_req {
                self.retry.sent(psn, turn.now);
            }
        }
        self.advance(1, flight.packets);
        Ok(())
    }

    /// Asks for the piece of a READ under the cursor.
    fn send_read<E: Environment>(
        &mut self,
        wqe: &Wqe,
        flight: &Flight,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
    ) -> Result<(), Stop> {
        let Operation::RdmaRead { va, r_key, .. } = wqe.operation else {
            return Err(Stop::Fail(CompletionStatus::LocalOperation));
        };
        let index = self.cursor_packet;
        let psn = flight.first.add(index);
        let packets = piece_end(index, flight.packets).saturating_sub(index);
        let span = u32::try_from(psn.since(self.unacknowledged)).unwrap_or(0);
        if self.reads_outstanding >= u32::from(attributes.initiator_depth).max(1) || span + packets > SPAN_MAX {
            return Err(Stop::Pause(Pause::Idle));
        }
        let mtu = u32::from(attributes.path_mtu);
        let offset = index.saturating_mul(mtu);
        let dma_len = wqe.length.saturating_sub(offset).min(packets.saturating_mul(mtu));
        let ext = Ext::Reth(Reth { va: va.wrapping_add(u64::from(offset)), r_key, dma_len });
        let mut bth = Bth::new(Opcode::RdmaReadRequest, attributes.remote_qpn, psn);
        bth.ack_req = true;
        if send_filled(attributes, turn.outbox, turn.crc, &bth, &ext, 0, |_| Ok(())).is_none() {
            return Err(Stop::Pause(Pause::NoFrame));
        }
        let end = psn.add(packets);
        if self.next.since(psn) > 0 {
            self.counters.retransmissions += 1;
        } else {
            self.retry.sent(psn, turn.now);
        }
        if end.since(self.next) > 0 {
            self.next = end;
        }
        self.reads_outstanding += 1;
        self.read_packets_outstanding += packets;
        self.advance(packets, flight.packets);
        Ok(())
    }

    fn advance(&mut self, packets: u32, of: u32) {
        self.cursor_packet += packets;
        if self.cursor_packet >= of {
            self.step_over(self.cursor);
        }
    }

    /// Everything before `through` (exclusive) has arrived.
    pub(super) fn acknowledge(&mut self, through: Psn, now: Time) {
        let gained = u32::try_from(through.since(self.unacknowledged)).unwrap_or(0);
        if gained == 0 {
            return;
        }
        self.unacknowledged = through;
        self.received(through);
        self.gone_back_to = None;
        self.window = (self.window + gained.div_ceil(self.window.max(1))).min(WINDOW_MAX);
        // A response may overtake the cursor that went back for nothing.
        if self.cursor_psn().since(through) < 0 {
            self.cursor_to(through);
        }
        self.retry.progress(through, through != self.next, now);
    }

    /// One packet of a READ has been placed.
    pub(super) fn read_progress(&mut self, psn: Psn, flight: &Flight, now: Time) {
        let index = u32::try_from(psn.since(flight.first)).unwrap_or(0) + 1;
        self.read_packets_outstanding = self.read_packets_outstanding.saturating_sub(1);
        if index == flight.packets || index % READ_PIECE == 0 {
            self.reads_outstanding = self.reads_outstanding.saturating_sub(1);
        }
        self.acknowledge(psn.next(), now);
    }

    /// Completes, in order, every request that is done. The slot of each is free before its completion is there: whoever sees
    /// the completion, on whatever processor, may post again.
    pub(super) fn retire<E: Environment>(&mut self, turn: &mut Turn<'_, E>) -> Result<Option<Pause>, Failure> {
        while let Some(flight) = self.flights.get(self.flights.head()) {
            let position = self.flights.head();
            let done = match flight.kind {
                Kind::Local => true,
                Kind::Message | Kind::Read => self.unacknowledged.since(flight.first.add(flight.packets)) >= 0,
            };
            let Some(&wqe) = turn.send_queue.wqe(position).filter(|_| done) else { break };
            if let Operation::RdmaRead { invalidate: true, .. } = wqe.operation
                && let Some(sge) = turn.send_queue.sges(position).first()
            {
                match turn.regions.invalidate(sge.l_key) {
                    Ok(Revocation::Done) => (),
                    Ok(Revocation::Draining) => return Ok(Some(Pause::Revoking)),
                    Err(_) => return Err(self.fail_oldest(CompletionStatus::LocalOperation)),
                }
            }
            self.flights.retire();
            if self.cursor == position {
                self.step_over(position);
            }
            turn.send_queue.retire(self.flights.head());
            if wqe.signaled {
                complete(&wqe, CompletionStatus::Success, turn).map_err(|CqDead| Failure::CqDead)?;
            }
        }
        Ok(None)
    }

    /// Flushes: everything posted completes, the one at `failed` with its own status.
    pub(super) fn flush<E: Environment>(
        &mut self,
        failed: Option<(u32, CompletionStatus)>,
        turn: &mut Turn<'_, E>,
    ) -> Result<(), CqDead> {
        self.retry.stop();
        let mut position = self.flights.head();
        let end = turn.send_queue.posted();
        while position != end {
            let Some(&wqe) = turn.send_queue.wqe(position) else { break };
            let status = match failed {
                Some((at, status)) if at == position => status,
                Some(_) | None => CompletionStatus::Flushed,
            };
            position = position.wrapping_add(1);
            turn.send_queue.retire(position);
            complete(&wqe, status, turn)?;
        }
        self.flights.clear(position);
        (self.cursor, self.cursor_packet) = (position, 0);
        turn.send_queue.retire(position);
        Ok(())
    }
}

fn complete<E: Environment>(wqe: &Wqe, status: CompletionStatus, turn: &mut Turn<'_, E>) -> Result<(), CqDead> {
    let kind = match wqe.operation {
        Operation::Send | Operation::SendWithInvalidate { .. } => CompletionKind::Send,
        Operation::RdmaWrite { .. } => CompletionKind::RdmaWrite,
        Operation::RdmaRead { .. } => CompletionKind::RdmaRead,
        Operation::FastRegister(_) => CompletionKind::FastRegister,
        Operation::Bind(_) => CompletionKind::Bind,
        Operation::LocalInvalidate { .. } => CompletionKind::LocalInvalidate,
    };
    turn.completions.send_complete(Completion { wr_id: wqe.wr_id, status, kind, byte_len: 0, solicited: false })
}

/// The end of the piece that packet `index` of a READ of `packets` lies in.
fn piece_end(index: u32, packets: u32) -> u32 {
    (index / READ_PIECE + 1).saturating_mul(READ_PIECE).min(packets)
}

const fn position(index: u32, packets: u32) -> Position {
    match (index == 0, index + 1 >= packets) {
        (true, true) => Position::Only,
        (true, false) => Position::First,
        (false, true) => Position::Last,
        (false, false) => Position::Middle,
    }
}

/// Opcode and extension headers of a SEND's or WRITE's packet.
#[inline]
const fn message_headers(wqe: &Wqe, position: Position) -> (Opcode, Ext) {
    match (wqe.operation, position) {
        (Operation::RdmaWrite { va, r_key }, Position::First | Position::Only) => {
            let opcode = if position.ends() { Opcode::RdmaWriteOnly } else { Opcode::RdmaWriteFirst };
            (opcode, Ext::Reth(Reth { va, r_key, dma_len: wqe.length }))
        }
        (Operation::RdmaWrite { .. }, Position::Middle) => (Opcode::RdmaWriteMiddle, Ext::None),
        (Operation::RdmaWrite { .. }, Position::Last) => (Opcode::RdmaWriteLast, Ext::None),
        (Operation::SendWithInvalidate { r_key }, Position::Last) => (Opcode::SendLastWithInvalidate, Ext::Ieth(r_key)),
        (Operation::SendWithInvalidate { r_key }, Position::Only) => (Opcode::SendOnlyWithInvalidate, Ext::Ieth(r_key)),
        (_, Position::First) => (Opcode::SendFirst, Ext::None),
        (_, Position::Middle) => (Opcode::SendMiddle, Ext::None),
        (_, Position::Last) => (Opcode::SendLast, Ext::None),
        (_, Position::Only) => (Opcode::SendOnly, Ext::None),
    }
}

fn copy_inline(inline: &[u8], offset: u32, payload: &mut [u8]) -> Result<(), Fault> {
    let from = inline.get(offset as usize..).and_then(|rest| rest.get(..payload.len())).ok_or(Fault::OutOfBounds)?;
    payload.copy_from_slice(from);
    Ok(())
}

/// Fills `payload` from byte `offset` of a gather list.
#[inline]
fn gather<R: Regions>(regions: &mut R, sges: &[Sge], offset: u32, payload: &mut [u8]) -> Result<(), Fault> {
    let (mut skip, mut rest) = (offset, payload);
    for sge in sges {
        if rest.is_empty() {
            return Ok(());
        }
        let Some(room) = sge.length.checked_sub(skip).filter(|&room| room > 0) else {
            skip = skip.saturating_sub(sge.length);
            continue;
        };
        let now = rest.len().min(room as usize);
        let (part, later) = rest.split_at_mut_checked(now).ok_or(Fault::OutOfBounds)?;
        regions.gather(sge, skip, part)?;
        (skip, rest) = (0, later);
    }
    if rest.is_empty() { Ok(()) } else { Err(Fault::OutOfBounds) }
}
