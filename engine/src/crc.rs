//! The CRC-32 under the ICRC, as a type parameter: the fast one needs unsafe code, which this crate forbids.

/// CRC-32 as Ethernet has it: reflected, polynomial 0xEDB88320. The state is the running register, not inverted:
/// [`INITIAL`] at the start; the caller inverts at the end.
pub trait Crc32: Copy {
    /// The register after `bytes`.
    fn update(self, state: u32, bytes: &[u8]) -> u32;
}

/// The register before the first byte.
pub const INITIAL: u32 = u32::MAX;

/// The portable implementation: eight tables, eight bytes a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct TableCrc32;

const POLYNOMIAL: u32 = 0xedb8_8320;

static TABLES: [[u32; 256]; 8] = tables();

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut register = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            register = if register & 1 == 0 { register >> 1 } else { register >> 1 ^ POLYNOMIAL };
            bit += 1;
        }
        tables[0][byte] = register;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// One look-up. A `u8` index into 256 entries cannot be out of range, so nothing is checked at run time.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "a u8 is always below 256, which the compiler sees")]
const fn look_up(table: &[u32; 256], byte: u8) -> u32 {
    table[byte as usize]
}

impl Crc32 for TableCrc32 {
    fn update(self, mut state: u32, bytes: &[u8]) -> u32 {
        let [t0, t1, t2, t3, t4, t5, t6, t7] = &TABLES;
        let (steps, rest) = bytes.as_chunks::<8>();
        for &[b0, b1, b2, b3, b4, b5, b6, b7] in steps {
            let [s0, s1, s2, s3] = state.to_le_bytes();
            state = look_up(t7, b0 ^ s0)
                ^ look_up(t6, b1 ^ s1)
                ^ look_up(t5, b2 ^ s2)
                ^ look_up(t4, b3 ^ s3)
                ^ look_up(t3, b4)
                ^ look_up(t2, b5)
                ^ look_up(t1, b6)
                ^ look_up(t0, b7);
        }
        for &byte in rest {
            state = state >> 8 ^ look_up(t0, state as u8 ^ byte);
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32_comes_out() {
        assert_eq!(!TableCrc32.update(INITIAL, b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn any_split_gives_the_same_register() {
        let bytes: [u8; 64] = core::array::from_fn(|i| (i * 7) as u8);
        let whole = TableCrc32.update(INITIAL, &bytes);
        for at in 0..=64 {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(TableCrc32.update(TableCrc32.update(INITIAL, head), tail), whole);
        }
    }
}
