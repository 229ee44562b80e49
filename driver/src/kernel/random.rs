//! Numbers a stranger must not guess: the processor's RDRAND and the clock, stirred into a state that never leaves here.
//!
//! The state is SipHash's, with its two and four rounds; what goes in cannot take out what is there already. At or below
//! DISPATCH_LEVEL.

use super::{Guarded, performance_counter};
use core::arch::x86_64::{__cpuid, _rdrand64_step};

/// Bit of CPUID leaf 1, ECX.
const RDRAND: u32 = 1 << 30;
/// Intel's advice: so many tries before it counts as broken.
const TRIES: u32 = 10;

/// A source of random numbers.
pub struct Random {
    state: Guarded<[u64; 4]>,
    hardware: bool,
}

impl Random {
    /// A source of its own state: `salt` is anything that differs, such as an address.
    pub fn new(salt: u64) -> Self {
        let hardware = __cpuid(1).ecx & RDRAND != 0;
        let state = [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
        let source = Self { state: Guarded::new(state), hardware };
        source.state.with(|state| {
            absorb(state, salt);
            (0..8).for_each(|_| absorb(state, source.draw()));
        });
        source
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            let fresh = self.draw();
            let word = self.state.with(|state| {
                absorb(state, fresh);
                absorb(state, performance_counter().0);
                squeeze(state)
            });
            chunk.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
    }

    /// A word from the processor; from the clock if it has none to give.
    fn draw(&self) -> u64 {
        let mut word = 0;
        // SAFETY: the processor has the instruction, as CPUID said.
        let mut drawn = || unsafe { _rdrand64_step(&mut word) } == 1;
        if self.hardware && (0..TRIES).any(|_| drawn()) { word } else { performance_counter().0 }
    }
}

fn round(state: &mut [u64; 4]) {
    let [a, b, c, d] = *state;
    let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
    let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
    let a = a.rotate_left(32);
    let (c, a) = (c.wrapping_add(b), a.wrapping_add(d));
    let (b, d) = (b.rotate_left(17) ^ c, d.rotate_left(21) ^ a);
    *state = [a, b, c.rotate_left(32), d];
}

fn absorb(state: &mut [u64; 4], word: u64) {
    let [_, _, _, last] = state;
    *last ^= word;
    round(state);
    round(state);
    let [first, ..] = state;
    *first ^= word;
}

fn squeeze(state: &mut [u64; 4]) -> u64 {
    let [_, _, third, _] = state;
    *third ^= 0xff;
    (0..4).for_each(|_| round(state));
    state.iter().fold(0, |sum, word| sum ^ word)
}
