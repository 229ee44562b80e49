//! Time as the engine sees it: nanoseconds that somebody else counts.
//!
//! The engine owns no clock. Every entry point is given `now`; every deadline it returns is on the same scale, whose
//! zero is the platform's business. Arithmetic saturates: a deadline can be too late, never wrong by wrapping.

/// A point in time, in nanoseconds since a zero that the platform chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A span of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(u64);

impl Time {
    /// The platform's zero.
    pub const ZERO: Self = Self(0);
    /// Never: later than every deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The point `ns` nanoseconds after the platform's zero.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since the platform's zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// `span` later; saturates at [`Time::MAX`].
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `ns` nanoseconds.
    pub const fn from_nanos(ns: u64) -> Self {
        Self(ns)
    }

    /// `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// IBTA's encoding of time-outs: 4.096 µs x 2^`exponent` (5 bits; 0 is taken as is, see the field it comes from).
    pub const fn from_ib_exponent(exponent: u8) -> Self {
        Self(4_096u64 << (exponent & 0x1f))
    }

    /// The length in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Half as long.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }

    /// `factor` times as long; saturates.
    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ib_exponent_17_is_a_little_over_half_a_second() {
        assert_eq!(Duration::from_ib_exponent(17).as_nanos(), 536_870_912);
    }

    #[test]
    fn a_deadline_saturates_and_a_span_never_goes_below_zero() {
        assert_eq!(Time::MAX.after(Duration::from_nanos(1)), Time::MAX);
        assert_eq!(Time::ZERO.since(Time::from_nanos(5)), Duration::ZERO);
    }
}
