//! Numbers that wrap or could be swapped: packet sequence numbers, message sequence numbers, queue pair numbers.

/// 24 bits.
const MASK: u32 = 0x00ff_ffff;

/// A packet sequence number: 24 bits that wrap. It has no order of its own; order exists only against a base
/// ([`Psn::since`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Psn(u32);

impl Psn {
    /// The number whose low 24 bits are given; higher bits are dropped.
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The 24 bits.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        self.add(1)
    }

    /// The number before this one.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self::new(self.0.wrapping_sub(1))
    }

    /// The number `count` further on.
    #[must_use]
    pub const fn add(self, count: u32) -> Self {
        Self::new(self.0.wrapping_add(count))
    }

    /// Signed distance from `base`: half the space lies ahead (0..=0x7fffff), half behind.
    pub const fn since(self, base: Self) -> i32 {
        (self.0.wrapping_sub(base.0) << 8).cast_signed() >> 8
    }
}

/// A message sequence number: 24 bits that wrap, carried in every AETH (T-24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Msn(u32);

impl Msn {
    /// The number whose low 24 bits are given; higher bits are dropped.
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The 24 bits.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0.wrapping_add(1))
    }
}

/// A queue pair number: 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qpn(u32);

impl Qpn {
    /// The subnet management queue pair, which RoCE does not use.
    pub const SUBNET_MANAGEMENT: Self = Self(0);
    /// The general services queue pair: where the connection manager listens.
    pub const GENERAL_SERVICES: Self = Self(1);
    /// All ones: reserved (T-42).
    pub const RESERVED: Self = Self(MASK);

    /// The number whose low 24 bits are given; higher bits are dropped.
    pub const fn new(value: u32) -> Self {
        Self(value & MASK)
    }

    /// The 24 bits.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_signed_and_wraps_at_24_bits() {
        assert_eq!(Psn::new(2).since(Psn::new(0xff_fffe)), 4);
        assert_eq!(Psn::new(0xff_fffe).since(Psn::new(2)), -4);
        assert_eq!(Psn::new(0x80_0000).since(Psn::new(0)), -0x80_0000);
        assert_eq!(Psn::new(0x7f_ffff).since(Psn::new(0)), 0x7f_ffff);
    }

    #[test]
    fn every_step_is_one_further_than_its_base() {
        for base in [0, 1, 0x7f_ffff, 0x80_0000, 0xff_ffff] {
            let base = Psn::new(base);
            for count in [0, 1, 5, 0x7f_ffff] {
                assert_eq!(base.add(count).since(base), count.cast_signed());
            }
            assert_eq!(base.next().previous(), base);
        }
    }
}
