//! When the consumer's notification callback is called, and when not.
//!
//! The notifier is the core of the CQ's notification lane: one turn at a time looks, so callbacks never overlap (CQ-08) and
//! an arm gives at most one (CQ-04). It fires when a completion satisfies the arm that came after the last callback, is
//! unread and can be read (T-06). The three positions of that rule are kept here, by scanning each published completion
//! once, so that producers pay nothing for them. A gap that some producer has not published yet ends the scan; that
//! producer kicks again.
//!
//! A completion drained before the arm never notifies (CQ-07, OQ-25): an arm changes the ring's word, so a decision made
//! with an older `head` cannot take effect.

use super::word::{Health, Word, distance, forward, is_ahead};
use super::{Arm, CqRing, Severity, satisfies};
use crate::sync::Ordering;

/// What to tell the consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification {
    /// There are completions (STATUS_SUCCESS).
    Completions,
    /// The CQ overran (STATUS_BUFFER_OVERFLOW, CQ-14).
    Overrun,
    /// The CQ failed (STATUS_INTERNAL_ERROR, CQ-15).
    Failed,
}

/// The state of a CQ's notification lane.
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    /// The position after the last published completion that was looked at.
    scanned: u64,
    /// The position after the last solicited or failed one among them.
    solicited: u64,
    /// The position after the last failed one.
    error: u64,
    /// `scanned` at the last callback.
    mark: u64,
    class: u32,
}

impl Notifier {
    /// The notifier of a new ring; always used with that one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the notification that is due, and with it the arm: the caller now calls the callback, and then looks again.
    pub fn take_notification<E: Copy>(&mut self, ring: &CqRing<E>) -> Option<Notification> {
        self.take_notification_if(ring, |_| true)
    }

    /// As [`Notifier::take_notification`], under moderation (CQ-40): `due` is told how many unread completions came since
    /// the last callback, and `false` leaves everything as it is. The caller looks again at the next kick, and when its
    /// interval is over. The death of a CQ is not moderated.
    pub fn take_notification_if<E: Copy>(
        &mut self,
        ring: &CqRing<E>,
        due: impl Fn(u64) -> bool,
    ) -> Option<Notification> {
        let mut word = ring.word();
        loop {
            let arm = word.arm()?;
            let (notification, told): (_, fn(Word) -> Word) = match word.health() {
                Health::Alive => {
                    let fresh = self.satisfied(ring, arm)?;
                    if !due(fresh) {
                        return None;
                    }
                    (Notification::Completions, Word::disarmed)
                }
                Health::Overrun => (Notification::Overrun, Word::reported),
                Health::Failed => (Notification::Failed, Word::reported),
                Health::Reported => return None,
            };
            match self.settle(ring, word, told) {
                Ok(()) => return Some(notification),
                Err(now) => word = now,
            }
        }
    }

    /// Takes the arm, provided that it is still the one that was judged. Completions that came meanwhile do not matter.
    fn settle<E: Copy>(&mut self, ring: &CqRing<E>, judged: Word, told: fn(Word) -> Word) -> Result<(), Word> {
        let mut word = judged;
        while let Err(now) = ring.exchange(word, told(word)) {
            if !now.is_same_arm(judged) {
                return Err(now);
            }
            word = now;
        }
        self.mark = self.scanned;
        ring.mark.store(self.mark, Ordering::Release);
        Ok(())
    }

    /// How many unread completions came since the last callback, if one of them satisfies the arm.
    fn satisfied<E: Copy>(&mut self, ring: &CqRing<E>, arm: Arm) -> Option<u64> {
        let head = self.scan(ring);
        // Whatever is not ahead of both has been read, or was there at the last callback.
        let fresh = distance(self.scanned, head).min(distance(self.scanned, self.mark));
        let latest = match arm {
            Arm::Any => self.scanned,
            Arm::Solicited => self.solicited,
            Arm::Errors => self.error,
        };
        (distance(self.scanned, latest) < fresh).then_some(fresh)
    }

    /// Looks at what has been published since the last time; returns the `head` it ended with.
    fn scan<E: Copy>(&mut self, ring: &CqRing<E>) -> u64 {
        let mut head = ring.head.load(Ordering::Acquire);
        loop {
            if is_ahead(head, self.scanned) {
                // Read already, so of no interest, and perhaps overwritten.
                self.scanned = head;
            }
            let at = self.scanned;
            let mut class = self.class;
            let mut severity = None;
            let found = ring.cells.find(&mut class, at, |cell| cell.severity(at).is_some());
            if let Some(cell) = found {
                severity = cell.severity(at);
            }
            self.class = class;
            let Some(severity) = severity else {
                // Not published yet; or read and overwritten in this moment, and then `head` has moved.
                let now = ring.head.load(Ordering::Acquire);
                if now == head {
                    return head;
                }
                head = now;
                continue;
            };
            self.scanned = forward(at, 1);
            if satisfies(severity, Arm::Solicited) {
                self.solicited = self.scanned;
            }
            if severity == Severity::Error {
                self.error = self.scanned;
            }
        }
    }
}
