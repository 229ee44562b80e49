//! Keys: L_Key and R_Key, P_Key, Q_Key.

/// A local key: what a work request's scatter/gather entry shows to reach a region. An index and a tag (DESIGN D4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LKey(pub u32);

/// A remote key: what a peer shows to reach a region or window. An index and a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RKey(pub u32);

/// How many of a key's bits are its tag.
pub const TAG_BITS: u32 = 8;

macro_rules! parts {
    ($($key:ident),*) => {$(
        impl $key {
            /// The key of the region `index` (24 bits) whose tag is `tag`.
            pub const fn new(index: u32, tag: u8) -> Self {
                Self(index << TAG_BITS | tag as u32)
            }

            /// Which region: the upper 24 bits.
            pub const fn index(self) -> u32 {
                self.0 >> TAG_BITS
            }

            /// Which life of it: the lower 8 bits.
            pub const fn tag(self) -> u8 {
                self.0 as u8
            }
        }
    )*};
}

parts!(LKey, RKey);

/// A partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PKey(pub u16);

impl PKey {
    /// The default partition, full member: the only one RoCE uses.
    pub const DEFAULT: Self = Self(0xffff);
}

/// A queue key, of unreliable datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QKey(pub u32);

impl QKey {
    /// The well-known key of QP1.
    pub const GENERAL_SERVICES: Self = Self(0x8001_0000);
}
