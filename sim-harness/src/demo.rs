//! `demo`: two hosts move a file there and back the way SMB Direct does.
//!
//! The client keeps the file. It registers a piece of its buffer and sends a descriptor; the server pulls the piece with
//! RDMA READ into its own memory (there), or pushes its copy with RDMA WRITE (back), and answers with a send that
//! invalidates the client's registration. Several pieces are under way at once, as many as there are credits. At the end
//! the hash of what came back is compared with the file's.

mod client;
mod server;
mod transfer;

pub use transfer::{Moved, transfer};

use crate::bed::NativeBed;
use crate::consumer::{Adapter, Failed};
use crate::wire::{Manners, WireCounters};
use crate::world::World;
use ndk_provider::limits::Limits;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::net::IpAddr;

/// The SMB port.
const PORT: u16 = 445;
/// Bytes of a piece: one descriptor, one registration.
pub(crate) const PIECE: usize = 1 << 20;
/// Bytes of a message.
pub(crate) const MESSAGE: usize = 64;
/// Messages that a side may have under way before it hears back.
pub(crate) const CREDITS: usize = 8;

/// What to run.
pub struct Options {
    /// The file's bytes.
    pub file: Vec<u8>,
    /// The wire.
    pub manners: Manners,
    /// Seed of all dice.
    pub seed: u64,
    /// IP MTU of the link.
    pub ip_mtu: u32,
    /// IPv6 instead of IPv4.
    pub ipv6: bool,
    /// Where to write what crosses the wire.
    pub pcap: Option<File>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Client and server.
    pub addresses: [IpAddr; 2],
    /// NDKPI version reported.
    pub version: (u16, u16),
    /// Bytes moved, both ways together.
    pub bytes: u64,
    /// Pieces moved.
    pub operations: u64,
    /// SHA-256 of the file and of what came back.
    pub hashes: [[u8; 32]; 2],
    /// Frames on the wire, and what the wire did to them, from client and from server.
    pub wire: [WireCounters; 2],
    /// Frames whose ICRC was wrong, as both ports counted.
    pub icrc_errors: u64,
    /// Packets sent again by both sides.
    pub retransmissions: u64,
    /// NAKs sent by both sides.
    pub naks: u64,
    /// Virtual nanoseconds from the first frame to the last byte.
    pub virtual_ns: u64,
    /// Objects and bytes that should be gone and are not.
    pub leaks: u64,
}

impl Report {
    /// Whether the file came back as it was and nothing is left behind.
    pub fn is_good(&self) -> bool {
        self.hashes[0] == self.hashes[1] && self.leaks == 0
    }
}

/// A message between the two: what to do with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// The client wants the piece back (push), or gives it (pull).
    pub(crate) push: bool,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) va: u64,
    pub(crate) token: u32,
}

impl Descriptor {
    pub(crate) fn to_bytes(self) -> [u8; MESSAGE] {
        let mut bytes = [0; MESSAGE];
        bytes[0] = 1 + u8::from(self.push);
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.va.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.length.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.token.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let push = match bytes.first()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        Some(Self { push, offset: u64_at(8)?, va: u64_at(16)?, length: u32_at(24)?, token: u32_at(28)? })
    }
}

/// A run that did not come to its end.
#[derive(Debug)]
pub enum Trouble {
    /// A call of a consumer failed.
    Failed(Failed),
    /// Nothing happens any more, and it is not done.
    Stuck {
        /// What was being waited for.
        waiting: String,
        /// When.
        virtual_ns: u64,
    },
    /// Who watched ended it.
    Stopped {
        /// Bytes moved until then.
        bytes: u64,
    },
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(failed) => failed.fmt(f),
            Self::Stopped { bytes } => write!(f, "ended from outside after {bytes} bytes"),
            Self::Stuck { waiting, virtual_ns } => write!(f, "stuck at {virtual_ns} ns: {waiting}"),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// Runs it; `progress` is told the bytes moved so far.
pub fn run(options: Options, mut progress: impl FnMut(u64)) -> Result<Report, Trouble> {
    let [from, to]: [IpAddr; 2] = if options.ipv6 {
        [IpAddr::from([0xfd00, 9, 0, 0, 0, 0, 0, 2]), IpAddr::from([0xfd00, 9, 0, 0, 0, 0, 0, 1])]
    } else {
        [IpAddr::from([10, 9, 0, 2]), IpAddr::from([10, 9, 0, 1])]
    };
    let mut world = World::new(options.seed, options.ip_mtu, options.manners);
    if let Some(file) = options.pcap {
        world.record(file).map_err(|_| Failed("writing the pcap file", -1))?;
    }
    let limits = Limits { queue_pairs: 64, completion_queues: 64, regions: 256, mappings: 64, ..Limits::DEFAULT };
    let (left, right) = (world.add(vec![from], limits), world.add(vec![to], limits));
    let adapters = [Adapter::open(world.port(left))?, Adapter::open(world.port(right))?];
    let info = adapters[0].info()?;
    let mut bed = NativeBed { world };
    let moved = transfer(&mut bed, adapters, [from, to], &options.file, |bytes| {
        progress(bytes);
        true
    })?;
    let mut world = bed.world;
    while world.step() {}
    let counters = [left, right].map(|node| world.port(node).counters.snapshot());
    Ok(Report {
        addresses: [from, to],
        version: (info.Version.Major, info.Version.Minor),
        bytes: moved.bytes,
        operations: moved.operations,
        hashes: [Sha256::digest(&options.file).into(), Sha256::digest(&moved.back).into()],
        wire: [world.wire_counters(left), world.wire_counters(right)],
        icrc_errors: counters.iter().map(|snapshot| snapshot.icrc_errors).sum(),
        retransmissions: counters.iter().map(|snapshot| snapshot.retransmissions).sum(),
        naks: counters.iter().map(|snapshot| snapshot.naks_sent).sum(),
        virtual_ns: moved.virtual_ns,
        leaks: moved.leaks,
    })
}

#[cfg(test)]
mod tests;
