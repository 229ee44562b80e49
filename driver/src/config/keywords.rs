//! The standardised keywords of the adapter: which values they may have, and what holds when they are missing or absurd
//! (INF-01 and following). The names and defaults are those of `inf/softndk.inx`.
//!
//! No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

/// A keyword's name, its default and what else it may say.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// As in the registry.
    pub name: &'static str,
    /// What holds when the value is missing or refused.
    pub default: u32,
    accepts: fn(u32) -> bool,
}

/// Whether NDK is enabled.
pub const NETWORK_DIRECT: Keyword = Keyword { name: "*NetworkDirect", default: 1, accepts: |value| value <= 1 };

/// RoCEv2 is 4; nothing else is spoken.
pub const TECHNOLOGY: Keyword = Keyword { name: "*NetworkDirectTechnology", default: 4, accepts: |value| value == 4 };

/// The largest path MTU, in InfiniBand's steps.
pub const ROCE_FRAME_SIZE: Keyword = Keyword {
    name: "*NetworkDirectRoCEFrameSize",
    default: 1024,
    accepts: |value| matches!(value, 256 | 512 | 1024 | 2048 | 4096),
};

/// IPv6, UDP, BTH, RETH or the longest AETH, ICRC: what a RoCE frame has besides its payload, in an IP packet.
pub const ROCE_HEADERS: u32 = 40 + 8 + 12 + 20 + 4;

/// INF-07: the largest of InfiniBand's steps that is configured and fits into IP packets of `mtu` bytes; the smallest, where
/// none fits.
pub fn active_frame_size(configured: u32, mtu: u32) -> u32 {
    let fits = |step: &u32| *step <= configured && step.saturating_add(ROCE_HEADERS) <= mtu;
    [4096, 2048, 1024, 512].into_iter().find(fits).unwrap_or(256)
}

/// The largest Ethernet frame with its header, without its FCS.
pub const JUMBO_PACKET: Keyword =
    Keyword { name: "*JumboPacket", default: 1514, accepts: |value| matches!(value, 1514 | 4088 | 9014) };

/// What became of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It says this.
    Said(u32),
    /// It is not there: the default holds.
    Missing,
    /// It says this, which cannot be: the default holds.
    Absurd(u32),
}

impl Keyword {
    /// Judges what the registry had.
    pub fn judge(&self, found: Option<u32>) -> Reading {
        match found {
            None => Reading::Missing,
            Some(value) if (self.accepts)(value) => Reading::Said(value),
            Some(value) => Reading::Absurd(value),
        }
    }

    /// The value that holds.
    pub fn value(&self, reading: Reading) -> u32 {
        match reading {
            Reading::Said(value) => value,
            Reading::Missing | Reading::Absurd(_) => self.default,
        }
    }
}
