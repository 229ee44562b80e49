//! Seeded randomness: one generator a concern, all split from one seed (DESIGN D8).

/// A small generator (xorshift64*), for simulations only.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The generator of one concern under a seed.
    pub fn new(seed: u64, concern: u64) -> Self {
        // SplitMix64: every seed and concern gives a state of its own, never zero.
        let mut z = seed.wrapping_add(concern.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ z >> 31) | 1)
    }

    /// A generator of its own, split from this one.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self::new(self.roll(), 0)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: u64) -> u64 {
        if sides == 0 { 0 } else { self.roll() % sides }
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // 32 bits, which a double holds exactly.
        f64::from((self.roll() >> 32) as u32) / 4_294_967_296.0 < probability
    }

    /// Random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes()[..chunk.len()]);
        }
    }
}
