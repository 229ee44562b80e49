//! What client and server tell each other: in the private data of the connection, and in the credit messages of a stream.
//!
//! Private data may arrive longer than it was sent (CN-23), so what follows a structure is ignored.

/// "nPng", the first word of everything.
const MAGIC: u32 = u32::from_le_bytes(*b"nPng");
/// Both sides have the same.
const VERSION: u16 = 1;

/// What the server does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Sends each back.
    Echo,
    /// Counts them, and gives credits back.
    Sink,
    /// There are none: the client reads and writes the server's memory.
    Memory,
}

/// The client's private data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the server is to do.
    pub mode: Mode,
    /// Whether it compares what arrives with the pattern.
    pub verify: bool,
    /// Bytes of an operation.
    pub size: u32,
    /// Operations under way at once.
    pub depth: u32,
    /// Messages of a stream.
    pub count: u32,
}

/// The server's private data: its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// Where it starts.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// The remote token.
    pub token: u32,
}

/// What a sink sends back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Messages for which there is room again.
    pub credits: u32,
    /// Messages so far that were not what they should be.
    pub mismatches: u64,
}

/// Bytes of each of the three.
pub const LENGTH: usize = 24;
type Bytes = [u8; LENGTH];

/// Words of four bytes.
fn words(bytes: &[u8]) -> Option<[u32; LENGTH / 4]> {
    let mut words = [0; LENGTH / 4];
    let whole = bytes.get(..LENGTH)?;
    for (word, chunk) in words.iter_mut().zip(whole.chunks_exact(4)) {
        *word = u32::from_le_bytes(chunk.try_into().ok()?);
    }
    Some(words)
}

fn bytes(words: [u32; LENGTH / 4]) -> Bytes {
    let mut bytes = [0; LENGTH];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    bytes
}

/// A kind and the version in one word.
const fn kind(kind: u16) -> u32 {
    kind as u32 | (VERSION as u32) << 16
}

impl Hello {
    /// As it is sent.
    pub fn to_bytes(self) -> Bytes {
        let mode = match self.mode {
            Mode::Echo => 1,
            Mode::Sink => 2,
            Mode::Memory => 3,
        };
        bytes([MAGIC, kind(mode), u32::from(self.verify), self.size, self.depth, self.count])
    }

    /// What was sent; `None` for anything else.
    pub fn from_bytes(from: &[u8]) -> Option<Self> {
        let [MAGIC, of, verify @ (0 | 1), size, depth, count] = words(from)? else { return None };
        let modes = [(kind(1), Mode::Echo), (kind(2), Mode::Sink), (kind(3), Mode::Memory)];
        let mode = modes.into_iter().find(|(known, _)| *known == of)?.1;
        Some(Self { mode, verify: verify == 1, size, depth, count })
    }
}

impl Welcome {
    const KIND: u32 = kind(16);

    /// As it is sent.
    pub fn to_bytes(self) -> Bytes {
        let (low, high) = (self.address as u32, (self.address >> 32) as u32);
        bytes([MAGIC, Self::KIND, low, high, self.length, self.token])
    }

    /// What was sent; `None` for anything else.
    pub fn from_bytes(from: &[u8]) -> Option<Self> {
        let [MAGIC, Self::KIND, low, high, length, token] = words(from)? else { return None };
        Some(Self { address: u64::from(low) | u64::from(high) << 32, length, token })
    }
}

impl Credit {
    const KIND: u32 = kind(32);

    /// As it is sent.
    pub fn to_bytes(self) -> Bytes {
        let (low, high) = (self.mismatches as u32, (self.mismatches >> 32) as u32);
        bytes([MAGIC, Self::KIND, low, high, self.credits, 0])
    }

    /// What was sent; `None` for anything else.
    pub fn from_bytes(from: &[u8]) -> Option<Self> {
        let [MAGIC, Self::KIND, low, high, credits, _] = words(from)? else { return None };
        Some(Self { credits, mismatches: u64::from(low) | u64::from(high) << 32 })
    }
}
