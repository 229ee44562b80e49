//! Bits that anyone may set at any time and one caller collects: who is to be kicked from a deferred call.
//!
//! Setting is one locked operation (two for the first bit of a word), allocates nothing and never waits; so it may
//! happen inside a lane, under a pin, anywhere.

use crate::sync::{AtomicU64, Ordering};
use alloc::vec::Vec;

/// A set of small numbers, `0..capacity`.
pub struct Bitmap {
    words: Vec<AtomicU64>,
    /// Bit w: word w of `words` (modulo 64 groups) may be non-zero. One word suffices as a hint: it says "look at every
    /// 64th word starting here".
    hint: AtomicU64,
}

impl Bitmap {
    /// An empty set with room for `capacity` members; `None` without memory.
    pub fn try_new(capacity: u32) -> Option<Self> {
        let count = capacity.div_ceil(64) as usize;
        let mut words = Vec::new();
        words.try_reserve_exact(count).ok()?;
        words.resize_with(count, || AtomicU64::new(0));
        Some(Self { words, hint: AtomicU64::new(0) })
    }

    /// Adds `member`; true when it was not in the set. A number beyond the capacity is ignored.
    pub fn insert(&self, member: u32) -> bool {
        let at = (member / 64) as usize;
        let Some(word) = self.words.get(at) else {
            return false;
        };
        let bit = 1u64 << (member % 64);
        if word.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return false;
        }
        self.hint.fetch_or(1 << (at % 64), Ordering::AcqRel);
        true
    }

    /// Whether nothing seems to be in the set; a member just being added may be missed, its adder comes after us.
    pub fn is_empty(&self) -> bool {
        self.hint.load(Ordering::Acquire) == 0
    }

    /// Takes every member out and gives it to `each`, smallest group first. Members added meanwhile may be left for the
    /// next call.
    pub fn drain(&self, mut each: impl FnMut(u32)) {
        let mut hint = self.hint.swap(0, Ordering::AcqRel);
        while hint != 0 {
            let start = hint.trailing_zeros() as usize;
            hint &= hint - 1;
            for (at, word) in self.words.iter().enumerate().skip(start).step_by(64) {
                let mut bits = word.swap(0, Ordering::AcqRel);
                while bits != 0 {
                    each((at as u32) * 64 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_member_added_comes_out_once() {
        let set = Bitmap::try_new(10_000).unwrap();
        let members = [0, 1, 63, 64, 65, 4096, 4097, 8191, 9_999];
        for member in members {
            assert!(set.insert(member));
            assert!(!set.insert(member));
        }
        let mut seen = std::vec::Vec::new();
        set.drain(|member| seen.push(member));
        seen.sort_unstable();
        assert_eq!(seen, members);
        assert!(set.is_empty());
        set.drain(|_| panic!("drained twice"));
    }

    #[test]
    fn a_number_beyond_the_capacity_is_ignored() {
        let set = Bitmap::try_new(64).unwrap();
        assert!(!set.insert(64));
        assert!(set.is_empty());
    }
}
