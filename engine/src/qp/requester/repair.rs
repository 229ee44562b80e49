//! Repair: what the requester sends again, and when.
//!
//! With any peer: going back to the oldest unacknowledged packet, though what is known to have arrived is skipped, so of a
//! READ whose responses are lost only the missing range is asked for again. With a peer of ours, which keeps what lies
//! beyond a gap: one packet a hole (T-50). A retransmission that is lost gives no second NAK; the timer then sends one
//! packet as a *probe*, and its answer tells whether the peer kept anything beyond (T-51).

use super::super::retry::Verdict;
use super::super::{Attributes, Failure};
use super::flight::Kind;
use super::{Requester, Stop, WINDOW_MIN};
use crate::completion::CompletionStatus;
use crate::psn::Psn;
use crate::time::{Duration, Time};
use crate::turn::{Environment, Turn};
use crate::work::SendQueue;

/// A packet sent again to learn what is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// It.
    psn: Psn,
    /// Everything before this had been sent.
    end: Psn,
}

impl Requester {
    /// Takes time into account: a request taken for lost is sent again, or given up.
    pub(in super::super) fn expire(&mut self, now: Time) -> Result<(), Failure> {
        if self.flights.is_idle() || self.unacknowledged == self.next {
            self.retry.stop();
            return Ok(());
        }
        match self.retry.expired(now) {
            None => Ok(()),
            Some(Verdict::Retry) => {
                self.counters.timeouts += 1;
                self.gone_back_to = None;
                match self.flights.position_of(self.unacknowledged).and_then(|at| self.flights.get(at)) {
                    Some(flight) if self.selective && flight.kind == Kind::Message => {
                        // T-51: its answer tells what is missing.
                        self.probe = Some(Probe { psn: self.unacknowledged, end: self.next });
                        self.window = (self.window / 2).max(WINDOW_MIN);
                        self.send_again(now);
                    }
                    Some(_) | None => self.go_back(now),
                }
                Ok(())
            }
            Some(Verdict::GiveUp) => Err(self.fail_oldest(CompletionStatus::TransportRetryExceeded)),
        }
    }

    /// A response told that the oldest unacknowledged packet is missing. Told again without progress, it is left to the
    /// timer: one going back a gap.
    pub(in super::super) fn gap(&mut self, now: Time) {
        if self.gone_back_to == Some(self.unacknowledged) || self.retry.told_to_wait() {
            return;
        }
        self.counters.go_backs += 1;
        self.go_back(now);
    }

    /// The peer misses the oldest unacknowledged packet. One of ours keeps what lies beyond: only that packet is sent again
    /// (T-50); it tells of the next hole when that is filled.
    pub(in super::super) fn missing(&mut self, now: Time) {
        if !self.selective {
            return self.gap(now);
        }
        if self.gone_back_to == Some(self.unacknowledged) || self.retry.told_to_wait() {
            return;
        }
        self.gone_back_to = Some(self.unacknowledged);
        self.counters.repairs += 1;
        self.send_again(now);
    }

    fn send_again(&mut self, now: Time) {
        self.repair = Some(self.unacknowledged);
        self.retry.resend(now);
    }

    /// An ACK came. In answer to a probe it tells that the peer keeps nothing beyond: the rest is sent again (T-51).
    pub(in super::super) fn probed(&mut self, now: Time) {
        let Some(probe) = self.probe.filter(|probe| self.unacknowledged.since(probe.psn) > 0) else { return };
        self.probe = None;
        if probe.end.since(self.unacknowledged) > 0 {
            self.counters.go_backs += 1;
            self.go_back(now);
        }
    }

    /// Every SEND and WRITE before `through` has reached the peer.
    pub(in super::super) fn received(&mut self, through: Psn) {
        if through.since(self.received) > 0 {
            self.received = through;
        }
    }

    /// The peer's receiver is not ready for the oldest unacknowledged packet.
    pub(in super::super) fn receiver_not_ready(&mut self, wait: Duration, now: Time) -> Result<(), Failure> {
        self.counters.rnr_naks += 1;
        match self.retry.receiver_not_ready(wait, now) {
            Verdict::GiveUp => Err(self.fail_oldest(CompletionStatus::RnrRetryExceeded)),
            Verdict::Retry => {
                self.cursor_to(self.unacknowledged);
                Ok(())
            }
        }
    }

    fn go_back(&mut self, now: Time) {
        self.gone_back_to = Some(self.unacknowledged);
        self.window = (self.window / 2).max(WINDOW_MIN);
        self.cursor_to(self.unacknowledged);
        self.retry.resend(now);
    }

    /// Moves the cursor to the packet `psn`, which is `unacknowledged` or beyond; READs from there on are asked for again.
    pub(super) fn cursor_to(&mut self, psn: Psn) {
        (self.reads_outstanding, self.read_packets_outstanding) = (0, 0);
        let found = self.flights.position_of(psn).and_then(|at| Some((at, self.flights.get(at)?.first)));
        (self.cursor, self.cursor_packet) = match found {
            Some((position, first)) => (position, u32::try_from(psn.since(first)).unwrap_or(0)),
            None => (self.flights.end(), 0),
        };
    }

    /// Sends the one packet again that is missing; the cursor stays where it is.
    pub(super) fn send_repair<E: Environment>(
        &mut self,
        attributes: &Attributes,
        turn: &mut Turn<'_, E>,
    ) -> Result<(), Stop> {
        let Some(psn) = self.repair.filter(|psn| psn.since(self.unacknowledged) >= 0) else {
            self.repair = None;
            return Ok(());
        };
        let found = self.flights.position_of(psn).and_then(|at| Some((at, self.flights.get(at)?)));
        let Some((position, flight)) = found.filter(|_| self.cursor_psn().since(psn) > 0) else {
            // The cursor comes to it anyway.
            self.repair = None;
            return Ok(());
        };
        let Some(&wqe) = turn.send_queue.wqe(position) else {
            self.repair = None;
            return Ok(());
        };
        let cursor = (self.cursor, self.cursor_packet, self.reads_outstanding, self.read_packets_outstanding);
        (self.cursor, self.cursor_packet) = (position, u32::try_from(psn.since(flight.first)).unwrap_or(0));
        (self.reads_outstanding, self.read_packets_outstanding) = (0, 0);
        let sent = match flight.kind {
            Kind::Local => Ok(()),
            Kind::Message => self.send_packet(&wqe, &flight, attributes, turn, true),
            Kind::Read => self.send_read(&wqe, &flight, attributes, turn),
        };
        (self.cursor, self.cursor_packet, self.reads_outstanding, self.read_packets_outstanding) = cursor;
        if !matches!(sent, Err(Stop::Pause(_))) {
            self.repair = None;
        }
        sent
    }
}
