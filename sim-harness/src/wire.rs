//! The wire of the virtual world: a rate, a delay, and a rule that decides what becomes of each frame.
//!
//! A [`Rule`] may be bad luck from seeded dice ([`Manners`]) or a closure of a test that knows which frame it wants to lose.
//! Rules are replaced mid-run: that is how a wire heals.

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

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It arrives.
    Pass,
    /// It is lost.
    Drop,
    /// It arrives that many nanoseconds later, so others may overtake it.
    Delay(u64),
    /// It arrives twice.
    Duplicate,
    /// It arrives with this bit flipped; counted from its first byte's lowest bit, and modulo its length.
    Flip(u64),
}

/// Decides what becomes of each frame of one direction.
pub trait Rule {
    /// The frame with this number (0 is the direction's first), sent at `now`.
    fn judge(&mut self, number: u64, frame: &[u8], now: u64) -> Verdict;
}

impl<F: FnMut(u64, &[u8], u64) -> Verdict> Rule for F {
    fn judge(&mut self, number: u64, frame: &[u8], now: u64) -> Verdict {
        self(number, frame, now)
    }
}

/// Manners and the dice that carry them out: one misfortune a frame at most.
struct Luck {
    manners: Manners,
    dice: Dice,
}

impl Rule for Luck {
    fn judge(&mut self, _number: u64, frame: &[u8], _now: u64) -> Verdict {
        let Self { manners, dice } = self;
        if dice.chance(manners.loss) {
            Verdict::Drop
        } else if dice.chance(manners.reorder) {
            Verdict::Delay(1_000 + dice.below(20_000))
        } else if dice.chance(manners.corrupt) {
            Verdict::Flip(dice.below(frame.len() as u64 * 8))
        } else if dice.chance(manners.duplicate) {
            Verdict::Duplicate
        } else {
            Verdict::Pass
        }
    }
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
pub struct Direction {
    rule: Box<dyn Rule>,
    dice: Dice,
    rate: u64,
    delay_ns: u64,
    busy_until: u64,
    /// What happened so far.
    pub counters: WireCounters,
}

impl Direction {
    /// A direction with its own dice.
    pub fn new(manners: Manners, mut dice: Dice) -> Self {
        let luck = Luck { manners, dice: dice.split() };
        let (rate, delay_ns) = (manners.rate, manners.delay_ns);
        Self { rule: Box::new(luck), dice, rate, delay_ns, busy_until: 0, counters: WireCounters::default() }
    }

    /// From now on it behaves like this.
    pub fn set_manners(&mut self, manners: Manners) {
        (self.rate, self.delay_ns) = (manners.rate, manners.delay_ns);
        let dice = self.dice.split();
        self.set_rule(Luck { manners, dice });
    }

    /// From now on this decides; rate and delay stay.
    pub fn set_rule(&mut self, rule: impl Rule + 'static) {
        self.rule = Box::new(rule);
    }

    /// A frame is sent at `now`: its arrivals, none to two.
    pub fn carry(&mut self, now: u64, frame: &[u8]) -> Vec<Arrival> {
        let number = self.counters.frames;
        self.counters.frames += 1;
        let bits = frame.len() as u64 * 8;
        // Preamble, frame check sequence and gap are 24 bytes more.
        let serialization = (bits + 24 * 8) * 1_000_000_000 / self.rate;
        self.busy_until = self.busy_until.max(now) + serialization;
        let at = self.busy_until + self.delay_ns;
        let counters = &mut self.counters;
        match self.rule.judge(number, frame, now) {
            Verdict::Pass => vec![Arrival { at, flip: None }],
            Verdict::Drop => {
                counters.lost += 1;
                Vec::new()
            }
            Verdict::Delay(ns) => {
                counters.reordered += 1;
                vec![Arrival { at: at + ns, flip: None }]
            }
            Verdict::Duplicate => {
                counters.duplicated += 1;
                vec![Arrival { at, flip: None }, Arrival { at: at + 500, flip: None }]
            }
            Verdict::Flip(bit) => {
                counters.corrupted += 1;
                vec![Arrival { at, flip: bit.checked_rem(bits) }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_wire_keeps_order_and_rate() {
        let mut wire = Direction::new(Manners::GOOD, Dice::new(1, 1));
        let first = wire.carry(0, &[0; 1_476]);
        let second = wire.carry(0, &[0; 1_476]);
        assert_eq!((first[0].at, second[0].at), (480 + 5_000, 960 + 5_000));
    }

    #[test]
    fn the_same_seed_treats_the_same_frames_the_same_way() {
        let manners = Manners { loss: 0.1, reorder: 0.1, duplicate: 0.1, corrupt: 0.1, ..Manners::GOOD };
        let run = |seed| {
            let mut wire = Direction::new(manners, Dice::new(seed, 1));
            let arrivals: Vec<_> = (0..1_000).flat_map(|at| wire.carry(at * 1_000, &[0; 1_000])).collect();
            (arrivals, wire.counters)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7).0, run(8).0);
        let counters = run(7).1;
        for count in [counters.lost, counters.reordered, counters.duplicated, counters.corrupted] {
            assert!((50..200).contains(&count), "{counters:?}");
        }
    }

    #[test]
    fn a_rule_decides_frame_by_frame_until_it_is_replaced() {
        let mut wire = Direction::new(Manners::GOOD, Dice::new(1, 1));
        wire.set_rule(|number: u64, frame: &[u8], _: u64| match (number, frame[0]) {
            (0, _) => Verdict::Drop,
            (_, 7) => Verdict::Flip(9),
            (3, _) => Verdict::Duplicate,
            _ => Verdict::Pass,
        });
        let mut arrivals =
            |first: u8| wire.carry(0, &[first; 64]).iter().map(|arrival| arrival.flip).collect::<Vec<_>>();
        assert_eq!(
            [arrivals(1), arrivals(7), arrivals(1), arrivals(1)],
            [vec![], vec![Some(9)], vec![None], vec![None; 2]]
        );
        wire.set_manners(Manners::GOOD);
        assert_eq!(wire.carry(0, &[7; 64]).len(), 1);
        let WireCounters { frames, lost, corrupted, duplicated, reordered } = wire.counters;
        assert_eq!((frames, lost, corrupted, duplicated, reordered), (5, 1, 1, 1, 0));
    }
}
