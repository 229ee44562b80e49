//! The wire of the virtual world and its manners: loss, reordering, duplication, corruption, delay, a limited rate.

use crate::dice::Dice;

/// How a wire treats frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manners {
    /// Probability that a frame is lost.
    pub loss: f64,
    /// Probability that a frame is delayed beyond those after it.
    pub reorder: f64,
    /// Probability that a frame arrives twice.
    pub duplicate: f64,
    /// Probability that a bit of a frame is flipped.
    pub corrupt: f64,
    /// Bits a second.
    pub rate: u64,
    /// Nanoseconds from end to end.
    pub delay_ns: u64,
}

impl Manners {
    /// A good wire: 25 Gbit/s, 5 µs.
    pub const GOOD: Self =
        Self { loss: 0.0, reorder: 0.0, duplicate: 0.0, corrupt: 0.0, rate: 25_000_000_000, delay_ns: 5_000 };
}

/// When and how a frame arrives.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Virtual nanoseconds.
    pub at: u64,
    /// The bit to flip, if any.
    pub flip: Option<u64>,
}

/// What happened on one direction of a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
    /// Frames given to it.
    pub frames: u64,
    /// Frames it lost.
    pub lost: u64,
    /// Frames it delayed beyond others.
    pub reordered: u64,
    /// Frames it doubled.
    pub duplicated: u64,
    /// Frames it damaged.
    pub corrupted: u64,
}

/// One direction of a wire.
#[derive(Debug)]
pub struct Direction {
    manners: Manners,
    dice: Dice,
    busy_until: u64,
    /// What happened so far.
    pub counters: WireCounters,
}

impl Direction {
    /// A direction with its own dice.
    pub const fn new(manners: Manners, dice: Dice) -> Self {
        let counters = WireCounters { frames: 0, lost: 0, reordered: 0, duplicated: 0, corrupted: 0 };
        Self { manners, dice, busy_until: 0, counters }
    }

    /// From now on it behaves like this.
    pub const fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// A frame of `len` bytes is sent at `now`: its arrivals, none to two.
    pub fn carry(&mut self, now: u64, len: usize) -> Vec<Arrival> {
        self.counters.frames += 1;
        // Preamble, frame check sequence and gap are 24 bytes more.
        let serialization = (len as u64 + 24) * 8 * 1_000_000_000 / self.manners.rate;
        self.busy_until = self.busy_until.max(now) + serialization;
        let mut at = self.busy_until + self.manners.delay_ns;
        if self.dice.chance(self.manners.loss) {
            self.counters.lost += 1;
            return Vec::new();
        }
        if self.dice.chance(self.manners.reorder) {
            self.counters.reordered += 1;
            at += 1_000 + self.dice.below(20_000);
        }
        let flip = self.dice.chance(self.manners.corrupt).then(|| self.dice.below(len as u64 * 8));
        self.counters.corrupted += u64::from(flip.is_some());
        let mut arrivals = vec![Arrival { at, flip }];
        if self.dice.chance(self.manners.duplicate) {
            self.counters.duplicated += 1;
            arrivals.push(Arrival { at: at + 500, flip: None });
        }
        arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_wire_keeps_order_and_rate() {
        let mut wire = Direction::new(Manners::GOOD, Dice::new(1, 1));
        let first = wire.carry(0, 1_476);
        let second = wire.carry(0, 1_476);
        assert_eq!((first[0].at, second[0].at), (480 + 5_000, 960 + 5_000));
    }

    #[test]
    fn the_same_seed_treats_the_same_frames_the_same_way() {
        let manners = Manners { loss: 0.1, reorder: 0.1, duplicate: 0.1, corrupt: 0.1, ..Manners::GOOD };
        let run = |seed| {
            let mut wire = Direction::new(manners, Dice::new(seed, 1));
            let arrivals: Vec<_> = (0..1_000).flat_map(|at| wire.carry(at * 1_000, 1_000)).collect();
            (arrivals, wire.counters)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
        let counters = run(7).1;
        for count in [counters.lost, counters.reordered, counters.duplicated, counters.corrupted] {
            assert!((50..200).contains(&count), "{counters:?}");
        }
    }
}
