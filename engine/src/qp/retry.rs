//! Time-outs and retries of a requester (T-30): adaptive retransmission time-out, back-off, the end of patience.
//!
//! Repair of a lost tail takes a few smoothed round trips, never the default ACK time-out; yet a connection dies only when
//! the retry count is spent *and* the time it promises, retry count x ACK time-out, has passed. Round trips are measured on
//! packets sent once (Karn).

use crate::psn::Psn;
use crate::time::{Duration, Time};

/// The time-out before the first round trip was measured.
const INITIAL_RTO: Duration = Duration::from_millis(20);
/// The time-out is never doubled beyond this, nor beyond the ACK time-out that was agreed.
const RTO_MAX: Duration = Duration::from_millis(2_000);
/// How long a peer may answer "receiver not ready" without limit of count before the request fails (T-29).
const RNR_PATIENCE: Duration = Duration::from_millis(30_000);

/// What a time-out or refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again.
    Retry,
    /// Give the request up.
    GiveUp,
}

/// The measured round trip and how often there was no progress.
#[derive(Debug)]
pub(super) struct Retry {
    granularity: Duration,
    count_max: u8,
    ack_timeout: Duration,
    rnr_max: u8,
    smoothed_ns: Option<u64>,
    timed: Option<(Psn, Time)>,
    /// When the oldest unacknowledged packet is taken for lost.
    deadline: Option<Time>,
    back_off: u32,
    timeouts: u8,
    /// When waiting for progress began.
    waiting_since: Option<Time>,
    rnr_count: u8,
    rnr_since: Option<Time>,
    rnr_until: Option<Time>,
}

impl Retry {
    pub(super) const fn new(granularity: Duration, retry_count: u8, ack_timeout: Duration, rnr_retry: u8) -> Self {
        Self {
            granularity,
            count_max: retry_count,
            ack_timeout,
            rnr_max: rnr_retry,
            smoothed_ns: None,
            timed: None,
            deadline: None,
            back_off: 0,
            timeouts: 0,
            waiting_since: None,
            rnr_count: 0,
            rnr_since: None,
            rnr_until: None,
        }
    }

    /// The retransmission time-out now: four smoothed round trips, doubled for each time-out without progress.
    fn rto(&self) -> Duration {
        let base = match self.smoothed_ns {
            Some(ns) => Duration::from_nanos(ns.saturating_mul(4)),
            None => INITIAL_RTO,
        };
        base.max(self.granularity).times(1 << self.back_off.min(16)).min(self.rto_max())
    }

    /// One try takes no longer than was agreed, or one loss late in the back-off would use up the promised time.
    fn rto_max(&self) -> Duration {
        if self.ack_timeout == Duration::ZERO { RTO_MAX } else { self.ack_timeout.max(self.granularity).min(RTO_MAX) }
    }

    /// A packet with AckReq was sent for the first time: the clock runs from here if it did not yet.
    pub(super) fn sent(&mut self, psn: Psn, now: Time) {
        if self.timed.is_none() {
            self.timed = Some((psn, now));
        }
        self.waiting_since.get_or_insert(now);
        if self.deadline.is_none() {
            self.deadline = Some(now.after(self.rto()));
        }
    }

    /// Everything up to `acknowledged` (exclusive) has arrived; `outstanding` tells whether more is awaited.
    pub(super) fn progress(&mut self, acknowledged: Psn, outstanding: bool, now: Time) {
        if let Some((psn, sent)) = self.timed
            && acknowledged.since(psn) > 0
        {
            let sample = now.since(sent).as_nanos();
            self.smoothed_ns = Some(self.smoothed_ns.map_or(sample, |smoothed| smoothed - smoothed / 8 + sample / 8));
            self.timed = None;
        }
        self.back_off = 0;
        self.timeouts = 0;
        self.rnr_count = 0;
        self.rnr_since = None;
        self.rnr_until = None;
        self.waiting_since = outstanding.then_some(now);
        self.deadline = outstanding.then(|| now.after(self.rto()));
    }

    /// Packets are about to be sent again: they are not fit for measuring.
    pub(super) fn resend(&mut self, now: Time) {
        self.timed = None;
        self.deadline = Some(now.after(self.rto()));
    }

    /// Whether the oldest packet is taken for lost at `now`; counts the time-out.
    pub(super) fn expired(&mut self, now: Time) -> Option<Verdict> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return None;
        }
        self.timeouts = self.timeouts.saturating_add(1);
        self.back_off = self.back_off.saturating_add(1);
        let promised = self.ack_timeout.times(u64::from(self.count_max));
        let waited = self.waiting_since.map_or(Duration::ZERO, |since| now.since(since));
        if self.timeouts > self.count_max && waited > promised {
            return Some(Verdict::GiveUp);
        }
        Some(Verdict::Retry)
    }

    /// The peer is not ready and asks to wait.
    pub(super) fn receiver_not_ready(&mut self, wait: Duration, now: Time) -> Verdict {
        let since = *self.rnr_since.get_or_insert(now);
        self.rnr_count = self.rnr_count.saturating_add(1);
        let spent = if self.rnr_max < 7 { self.rnr_count > self.rnr_max } else { now.since(since) > RNR_PATIENCE };
        if spent {
            return Verdict::GiveUp;
        }
        self.rnr_until = Some(now.after(wait));
        // Who says "not ready" is alive.
        (self.back_off, self.timeouts) = (0, 0);
        self.deadline = None;
        self.timed = None;
        self.waiting_since = None;
        Verdict::Retry
    }

    /// Whether the peer's wish to wait still holds at `now`.
    pub(super) fn waits_for_receiver(&mut self, now: Time) -> bool {
        match self.rnr_until {
            Some(until) if now < until => true,
            Some(_) => {
                // What is sent now may be lost like anything else.
                self.rnr_until = None;
                self.waiting_since.get_or_insert(now);
                self.resend(now);
                false
            }
            None => false,
        }
    }

    /// Whether a wish to wait stands, without looking at the clock.
    pub(super) const fn told_to_wait(&self) -> bool {
        self.rnr_until.is_some()
    }

    /// When something is to be done without anything arriving.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.rnr_until.or(self.deadline)
    }

    /// Nothing is awaited any more.
    pub(super) fn stop(&mut self) {
        (self.deadline, self.rnr_until, self.timed, self.waiting_since) = (None, None, None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Time {
        Time::from_nanos(us * 1_000)
    }

    fn retry(count: u8, rnr: u8) -> Retry {
        Retry::new(Duration::from_micros(200), count, Duration::from_millis(100), rnr)
    }

    /// T-30
    #[test]
    fn a_measured_round_trip_sets_the_time_out_but_never_below_the_timer() {
        let mut retry = retry(7, 7);
        retry.sent(Psn::new(1), at(0));
        assert_eq!(retry.deadline(), Some(at(20_000)));
        retry.progress(Psn::new(2), true, at(100));
        assert_eq!(retry.deadline(), Some(at(100 + 400)));
        retry.sent(Psn::new(2), at(200));
        retry.progress(Psn::new(3), true, at(201));
        assert!(retry.deadline().unwrap() >= at(201 + 200));
    }

    /// T-30: Karn.
    #[test]
    fn a_packet_sent_twice_is_not_measured() {
        let mut retry = retry(7, 7);
        retry.sent(Psn::new(1), at(0));
        retry.resend(at(10));
        retry.progress(Psn::new(2), true, at(20));
        assert_eq!(retry.smoothed_ns, None);
    }

    /// T-30
    #[test]
    fn a_connection_dies_only_when_count_and_time_are_spent() {
        let mut retry = retry(2, 7);
        retry.sent(Psn::new(1), at(0));
        let mut timeouts = 0;
        loop {
            let now = retry.deadline().unwrap();
            match retry.expired(now).unwrap() {
                Verdict::Retry => retry.resend(now),
                Verdict::GiveUp => {
                    assert!(now.since(at(0)) > Duration::from_millis(200));
                    break;
                }
            }
            timeouts += 1;
        }
        assert!(timeouts >= 2);
    }

    /// T-29
    #[test]
    fn a_receiver_not_ready_is_retried_as_often_as_was_agreed() {
        let mut limited = retry(7, 2);
        let wait = Duration::from_micros(640);
        assert_eq!(limited.receiver_not_ready(wait, at(0)), Verdict::Retry);
        assert_eq!(limited.receiver_not_ready(wait, at(1_000)), Verdict::Retry);
        assert_eq!(limited.receiver_not_ready(wait, at(2_000)), Verdict::GiveUp);
        let mut unlimited = retry(7, 7);
        for ms in 0..30_000 {
            assert_eq!(unlimited.receiver_not_ready(wait, at(ms * 1_000)), Verdict::Retry);
        }
        assert_eq!(unlimited.receiver_not_ready(wait, at(30_001_000)), Verdict::GiveUp);
    }
}
