//! CRC-32 by folding with PCLMULQDQ on XMM registers.
//!
//! The message is a polynomial over GF(2), first byte's lowest bit first. A block of 128 bits that stands `n` bits before
//! another can be added to it once it is multiplied by x^n modulo the CRC's polynomial: one carry-less multiplication for
//! each of its halves. Four blocks go side by side to hide the multiplication's latency; the last block is reduced to
//! 32 bits by Barrett's method. The constants are computed here, not copied.

use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_blendv_epi8, _mm_clmulepi64_si128, _mm_cvtsi32_si128, _mm_extract_epi32,
    _mm_loadu_si128, _mm_set_epi64x, _mm_setzero_si128, _mm_shuffle_epi8, _mm_srli_si128, _mm_xor_si128,
};
use roce_engine::crc::{Crc32, TableCrc32};

/// The polynomial, highest power first, without x^32.
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// x^n modulo the polynomial, lowest power in the highest bit, as a multiplier: the product of two reflected values comes
/// out one bit low, which the shift makes good.
const fn multiplier(n: u32) -> i64 {
    let mut power: u32 = 1;
    let mut i = 0;
    while i < n {
        let carry = power >> 31;
        power = power << 1 ^ if carry == 1 { POLYNOMIAL } else { 0 };
        i += 1;
    }
    (power.reverse_bits() as i64) << 1
}

/// x^64 divided by the polynomial, reflected.
const fn quotient() -> i64 {
    let divisor = 1u128 << 32 | POLYNOMIAL as u128;
    let mut rest = 1u128 << 64;
    let mut quotient = 0u64;
    let mut bit = 64;
    while bit >= 32 {
        if rest >> bit & 1 == 1 {
            rest ^= divisor << (bit - 32);
            quotient |= 1 << (bit - 32);
        }
        bit -= 1;
    }
    // 33 bits.
    (quotient.reverse_bits() >> 31).cast_signed()
}

/// The polynomial with x^32, reflected: 33 bits.
const DIVISOR: i64 = ((POLYNOMIAL.reverse_bits() as i64) << 1) | 1;
const QUOTIENT: i64 = quotient();

/// Multipliers of a block's two halves to the block `bits` further on. The halves are 64 bits apart, and a product of 64
/// by 32 bits stands 32 bits away from where a product of 64 by 64 would.
const fn ahead(bits: u32) -> (i64, i64) {
    (multiplier(bits + 32), multiplier(bits - 32))
}

const AHEAD_64_BYTES: (i64, i64) = ahead(512);
const AHEAD_48_BYTES: (i64, i64) = ahead(384);
const AHEAD_32_BYTES: (i64, i64) = ahead(256);
const AHEAD_16_BYTES: (i64, i64) = ahead(128);
const AHEAD_64_BITS: i64 = multiplier(64);

/// Shuffles that move a block's bytes up or down, filling with zeros: the window at `16 - n` moves them `n` up.
const MOVES: [u8; 48] = moves();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn moves() -> [u8; 48] {
    let mut moves = [0x80; 48];
    let mut at = 0;
    while at < 16 {
        moves[16 + at] = at as u8;
        at += 1;
    }
    moves
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: sixteen bytes are readable; the load needs no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn pair(multipliers: (i64, i64)) -> __m128i {
    _mm_set_epi64x(multipliers.1, multipliers.0)
}

/// Adds `block`, moved on by what `multipliers` stand for, to `next`.
#[inline]
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn fold(block: __m128i, multipliers: __m128i, next: __m128i) -> __m128i {
    let low = _mm_clmulepi64_si128::<0x00>(block, multipliers);
    let high = _mm_clmulepi64_si128::<0x11>(block, multipliers);
    _mm_xor_si128(_mm_xor_si128(low, high), next)
}

/// The register after `bytes`.
#[target_feature(enable = "pclmulqdq,sse4.1")]
pub(super) fn update(state: u32, bytes: &[u8]) -> u32 {
    let Some(last) = bytes.last_chunk::<16>() else {
        return TableCrc32.update(state, bytes);
    };
    let state = _mm_cvtsi32_si128(state.cast_signed());
    let near = pair(AHEAD_16_BYTES);
    let (quads, rest) = bytes.as_chunks::<64>();
    let (blocks, tail) = rest.as_chunks::<16>();
    let (mut folded, blocks) = match (quads.split_first(), blocks.split_first()) {
        (Some((first, quads)), _) => (fold_quads(state, first, quads), blocks),
        (None, Some((first, blocks))) => (_mm_xor_si128(load(first), state), blocks),
        // Sixteen bytes or more make a quad or a block.
        (None, None) => return 0,
    };
    for block in blocks {
        folded = fold(folded, near, load(block));
    }
    if !tail.is_empty() {
        folded = fold_tail(folded, last, tail.len());
    }
    reduce(folded)
}

/// Folds runs of 64 bytes to one block.
#[inline]
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn fold_quads(state: __m128i, first: &[u8; 64], quads: &[[u8; 64]]) -> __m128i {
    let far = pair(AHEAD_64_BYTES);
    let near = pair(AHEAD_16_BYTES);
    let mut folded = load_quad(first);
    let [start, ..] = &mut folded;
    *start = _mm_xor_si128(*start, state);
    for quad in quads {
        let [first, second, third, fourth] = folded;
        let [next_first, next_second, next_third, next_fourth] = load_quad(quad);
        folded = [
            fold(first, far, next_first),
            fold(second, far, next_second),
            fold(third, far, next_third),
            fold(fourth, far, next_fourth),
        ];
    }
    let [first, second, third, fourth] = folded;
    // All three at once onto the last, rather than one after the other: for short messages the latency counts.
    let (first, second) =
        (fold(first, pair(AHEAD_48_BYTES), fourth), fold(second, pair(AHEAD_32_BYTES), _mm_setzero_si128()));
    fold(third, near, _mm_xor_si128(first, second))
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn load_quad(quad: &[u8; 64]) -> [__m128i; 4] {
    [0, 16, 32, 48].map(|at| {
        // SAFETY: `at` is inside the 64 bytes, and sixteen of them follow it.
        let block = unsafe { quad.as_ptr().add(at) };
        // SAFETY: the block is readable; the load needs no alignment.
        unsafe { _mm_loadu_si128(block.cast()) }
    })
}

/// Folds the `count` (1 to 15) bytes after the last whole block: the block's first `count` bytes go ahead of what is then
/// the last block, which ends with the message. `last` are the message's last 16 bytes.
#[inline]
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn fold_tail(folded: __m128i, last: &[u8; 16], count: usize) -> __m128i {
    const NOTHING: &[u8; 16] = &[0x80; 16];
    let up = load(MOVES.get(count..).and_then(|moves| moves.first_chunk()).unwrap_or(NOTHING));
    let down = load(MOVES.get(16 + count..).and_then(|moves| moves.first_chunk()).unwrap_or(NOTHING));
    let leaving = _mm_shuffle_epi8(folded, up);
    let staying = _mm_shuffle_epi8(folded, down);
    // `up` has its top bit set exactly where the last block keeps bytes of the folded one.
    let block = _mm_blendv_epi8(load(last), staying, up);
    fold(leaving, pair(AHEAD_16_BYTES), block)
}

/// 128 bits to the register.
#[inline]
#[target_feature(enable = "pclmulqdq,sse4.1")]
fn reduce(folded: __m128i) -> u32 {
    let low_32_bits = _mm_cvtsi32_si128(-1);
    let folded = {
        let product = _mm_clmulepi64_si128::<0x10>(folded, pair(AHEAD_16_BYTES));
        _mm_xor_si128(_mm_srli_si128::<8>(folded), product)
    };
    let folded = {
        let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(folded, low_32_bits), pair((AHEAD_64_BITS, 0)));
        _mm_xor_si128(_mm_srli_si128::<4>(folded), product)
    };
    let barrett = pair((DIVISOR, QUOTIENT));
    let quotient = _mm_clmulepi64_si128::<0x10>(_mm_and_si128(folded, low_32_bits), barrett);
    let product = _mm_clmulepi64_si128::<0x00>(_mm_and_si128(quotient, low_32_bits), barrett);
    _mm_extract_epi32::<1>(_mm_xor_si128(folded, product)).cast_unsigned()
}
