//! The CQ ring's word: everything that producers, the arm, the notifier and a resize must agree on.
//!
//! | bits | field | |
//! |---|---|---|
//! | 0-1 | arm | 0 none, 1 errors, 2 solicited, 3 any |
//! | 2-3 | health | alive, overrun, failed, or dead and reported |
//! | 4-7 | class | the array that new positions go to |
//! | 8 | era | which of the two depths is in force |
//! | 9 | beat | flipped by a producer that has published |
//! | 10-12 | arms | counts arms, so that the notifier notices one |
//! | 13-63 | tail | the next position |
//!
//! Positions have 51 bits: ten million completions a second would need seven years to wrap.

use super::Arm;

const ARM: u64 = 3;
const HEALTH_AT: u32 = 2;
const HEALTH: u64 = 3 << HEALTH_AT;
const CLASS_AT: u32 = 4;
const CLASS: u64 = 15 << CLASS_AT;
const ERA_AT: u32 = 8;
const ERA: u64 = 1 << ERA_AT;
pub(super) const BEAT: u64 = 1 << 9;
const ARMS_AT: u32 = 10;
const ARMS: u64 = 7 << ARMS_AT;
const TAIL_AT: u32 = 13;
const POSITIONS: u64 = u64::MAX >> TAIL_AT;

/// The position `count` after `position`.
pub(super) const fn forward(position: u64, count: u64) -> u64 {
    position.wrapping_add(count) & POSITIONS
}

/// How far `to` is ahead of `from`.
pub(super) const fn distance(to: u64, from: u64) -> u64 {
    to.wrapping_sub(from) & POSITIONS
}

/// Whether `a` is after `b`.
pub(super) const fn is_ahead(a: u64, b: u64) -> bool {
    let ahead = distance(a, b);
    ahead != 0 && ahead <= POSITIONS / 2
}

/// How the CQ is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Taking completions.
    Alive,
    /// Overrun; the consumer has not been told.
    Overrun,
    /// Failed; the consumer has not been told.
    Failed,
    /// Dead, and the consumer has been told.
    Reported,
}

/// A value of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(u64);

impl Word {
    pub(super) const fn new(class: u32) -> Self {
        Self((class as u64) << CLASS_AT & CLASS)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) const fn arm(self) -> Option<Arm> {
        match self.0 & ARM {
            1 => Some(Arm::Errors),
            2 => Some(Arm::Solicited),
            3 => Some(Arm::Any),
            _ => None,
        }
    }

    pub(super) const fn health(self) -> Health {
        match (self.0 & HEALTH) >> HEALTH_AT {
            1 => Health::Overrun,
            2 => Health::Failed,
            3 => Health::Reported,
            _ => Health::Alive,
        }
    }

    pub(super) const fn is_alive(self) -> bool {
        self.0 & HEALTH == 0
    }

    /// Dead, and the consumer has not been told.
    pub(super) const fn has_news(self) -> bool {
        match self.health() {
            Health::Overrun | Health::Failed => true,
            Health::Alive | Health::Reported => false,
        }
    }

    pub(super) const fn class(self) -> u32 {
        ((self.0 & CLASS) >> CLASS_AT) as u32
    }

    pub(super) const fn era(self) -> usize {
        ((self.0 & ERA) >> ERA_AT) as usize
    }

    pub(super) const fn tail(self) -> u64 {
        self.0 >> TAIL_AT
    }

    /// With `count` positions reserved.
    #[must_use]
    pub(super) const fn advanced(self, count: u64) -> Self {
        Self(self.0.wrapping_add(count << TAIL_AT))
    }

    #[must_use]
    pub(super) const fn with_health(self, health: Health) -> Self {
        let bits: u64 = match health {
            Health::Alive => 0,
            Health::Overrun => 1,
            Health::Failed => 2,
            Health::Reported => 3,
        };
        Self(self.0 & !HEALTH | bits << HEALTH_AT)
    }

    /// Armed for `arm` and whatever it was armed for before.
    #[must_use]
    pub(super) fn armed(self, arm: Arm) -> Self {
        let bits: u64 = match self.arm().map_or(arm, |before| before.max(arm)) {
            Arm::Errors => 1,
            Arm::Solicited => 2,
            Arm::Any => 3,
        };
        let arms = self.0.wrapping_add(1 << ARMS_AT) & ARMS;
        Self(self.0 & !(ARM | ARMS) | bits | arms)
    }

    /// Not armed any more.
    #[must_use]
    pub(super) const fn disarmed(self) -> Self {
        Self(self.0 & !ARM)
    }

    /// The consumer is being told of the CQ's death, which takes the arm.
    #[must_use]
    pub(super) const fn reported(self) -> Self {
        self.disarmed().with_health(Health::Reported)
    }

    /// With the other depth in force, and new positions in the array of `class`.
    #[must_use]
    pub(super) const fn in_next_era(self, class: u32) -> Self {
        Self((self.0 & !CLASS | (class as u64) << CLASS_AT & CLASS) ^ ERA)
    }

    /// Whether nothing but completions came since `before`: no arm, no death.
    pub(super) const fn is_same_arm(self, before: Self) -> bool {
        (self.0 ^ before.0) & (ARM | ARMS | HEALTH) == 0
    }
}
