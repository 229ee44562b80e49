//! A generator of random numbers from one secret: ChaCha20 (RFC 8439), whose every block gives the next secret and what is
//! drawn. So the state never tells what was drawn before (the secret that made it is gone), nor do numbers tell the state.
//!
//! The time goes into each block: a virtual machine that is set back to an earlier state draws other numbers the second time.
//! No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

/// Bytes of the secret.
pub const SECRET: usize = 32;

/// Words of the state, in rows; rounds go over columns of it, then over diagonals.
type Rows = [[u32; 4]; 4];

/// See the module's text.
pub struct Generator([[u32; 4]; 2]);

impl Generator {
    /// From a secret that nobody can guess.
    pub fn new(secret: [u8; SECRET]) -> Self {
        let mut key = [[0; 4]; 2];
        let (words, _) = secret.as_chunks();
        key.iter_mut().flatten().zip(words).for_each(|(word, &bytes)| *word = u32::from_le_bytes(bytes));
        Self(key)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, now: u64, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(SECRET) {
            let [first, second, drawn @ ..] = block(self.0, 0, [now as u32, (now >> 32) as u32, 0]);
            self.0 = [first, second];
            let drawn = drawn.iter().flatten().flat_map(|word| word.to_le_bytes());
            piece.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
        }
    }
}

/// One block of ChaCha20.
pub fn block(key: [[u32; 4]; 2], counter: u32, nonce: [u32; 3]) -> Rows {
    let ([first, second], [one, two, three]) = (key, nonce);
    let constants = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let start = [constants, first, second, [counter, one, two, three]];
    let mut rows = start;
    for _ in 0..10 {
        quarters(&mut rows);
        rows = diagonals(rows);
        quarters(&mut rows);
        // The way back is the same turn three times over.
        rows = diagonals(diagonals(diagonals(rows)));
    }
    rows.iter_mut().flatten().zip(start.iter().flatten()).for_each(|(word, start)| *word = word.wrapping_add(*start));
    rows
}

/// A quarter round of each column.
fn quarters(rows: &mut Rows) {
    let [a, b, c, d] = rows;
    step(a, b, d, 16);
    step(c, d, b, 12);
    step(a, b, d, 8);
    step(c, d, b, 7);
}

fn step(sum: &mut [u32; 4], by: &[u32; 4], mixed: &mut [u32; 4], left: u32) {
    for ((sum, by), mixed) in sum.iter_mut().zip(by).zip(mixed) {
        *sum = sum.wrapping_add(*by);
        *mixed = (*mixed ^ *sum).rotate_left(left);
    }
}

/// Turns the rows by 0, 1, 2 and 3 words, so that diagonals are columns.
fn diagonals([first, [b0, b1, b2, b3], [c0, c1, c2, c3], [d0, d1, d2, d3]]: Rows) -> Rows {
    [first, [b1, b2, b3, b0], [c2, c3, c0, c1], [d3, d0, d1, d2]]
}
