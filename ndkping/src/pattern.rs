//! The bytes that runs move: each place has its own, so that what landed elsewhere, or twice, or not, shows.

/// Salts: what a server shows for reading, what a stream carries, what was written, what nobody has touched. Each leaves room for a
/// place.
pub const MEMORY: u64 = 0x1000;
/// See [`MEMORY`].
pub const STREAM: u64 = 0x2000;
/// See [`MEMORY`].
pub const WRITTEN: u64 = 0x3000;
/// See [`MEMORY`].
pub const UNTOUCHED: u64 = 0x4000;

/// The eight bytes at place `index` of a region of kind `salt`.
const fn word(index: u64, salt: u64) -> [u8; 8] {
    let mixed = (index ^ salt << 48).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).to_le_bytes()
}

/// Every byte of `length` bytes from the beginning, in order.
pub fn bytes(length: usize, salt: u64) -> impl Iterator<Item = u8> {
    (0..).flat_map(move |index| word(index, salt)).take(length)
}
