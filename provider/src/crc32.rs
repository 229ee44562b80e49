//! The CRC-32 under the ICRC on the processor at hand (DESIGN D10).
//!
//! On x86-64 with PCLMULQDQ it is carry-less multiplication on XMM registers, which kernel code may use; YMM and ZMM it may
//! not. Everywhere else, and when asked for, it is the engine's tables. All give the same register.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod pclmul;

use roce_engine::crc::{Crc32, TableCrc32};

/// The CRC-32 of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCrc32 {
    has_pclmul: bool,
}

impl HostCrc32 {
    /// The fastest that this processor has; asks it, so keep the answer.
    pub fn detect() -> Self {
        Self { has_pclmul: has_pclmul() }
    }

    /// The tables.
    pub const fn table() -> Self {
        Self { has_pclmul: false }
    }

    /// Whether it is better than tables.
    pub const fn is_accelerated(self) -> bool {
        self.has_pclmul
    }
}

impl Crc32 for HostCrc32 {
    #[inline]
    fn update(self, state: u32, bytes: &[u8]) -> u32 {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if self.has_pclmul {
            // SAFETY: the flag is set only when CPUID reported every feature that the function is compiled for.
            return unsafe { pclmul::update(state, bytes) };
        }
        TableCrc32.update(state, bytes)
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
fn has_pclmul() -> bool {
    const FEATURES: u32 = 1;
    const PCLMULQDQ: u32 = 1 << 1;
    const SSSE3: u32 = 1 << 9;
    const SSE41: u32 = 1 << 19;
    const WANTED: u32 = PCLMULQDQ | SSSE3 | SSE41;
    core::arch::x86_64::__cpuid(FEATURES).ecx & WANTED == WANTED
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn has_pclmul() -> bool {
    false
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use roce_engine::crc::INITIAL;
    use std::vec::Vec;

    const LENGTH_MAX: usize = if cfg!(miri) { 40 } else { 600 };

    fn bytes(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn the_check_value_of_crc_32_comes_out_of_every_implementation() {
        let text = b"123456789 and more than one block, 123456789";
        for crc in [HostCrc32::detect(), HostCrc32::table()] {
            assert_eq!(!crc.update(INITIAL, b"123456789"), 0xcbf4_3926);
            assert_eq!(crc.update(INITIAL, text), TableCrc32.update(INITIAL, text));
        }
    }

    #[test]
    fn every_length_at_every_alignment_gives_what_the_tables_give() {
        let bytes = bytes(LENGTH_MAX + 16);
        let crc = HostCrc32::detect();
        for start in 0..16 {
            for len in 0..=LENGTH_MAX {
                let part = &bytes[start..start + len];
                let state = INITIAL.rotate_left(len as u32) ^ len as u32;
                assert_eq!(crc.update(state, part), TableCrc32.update(state, part), "{start} {len}");
            }
        }
    }

    #[test]
    fn any_split_gives_the_same_register() {
        let bytes = bytes(LENGTH_MAX);
        let crc = HostCrc32::detect();
        let whole = TableCrc32.update(INITIAL, &bytes);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(crc.update(crc.update(INITIAL, head), tail), whole, "{at}");
        }
    }

    #[test]
    fn frames_of_every_path_mtu_give_what_the_tables_give() {
        for len in if cfg!(miri) { 256..=256 } else { 4096..=4240 } {
            let bytes = bytes(len);
            assert_eq!(HostCrc32::detect().update(INITIAL, &bytes), TableCrc32.update(INITIAL, &bytes), "{len}");
        }
    }
}
