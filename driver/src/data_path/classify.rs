//! Which frames the provider is shown, and how a frame in several pieces becomes one (T-33, T-34).
//!
//! No kernel name is used here: `tests/tests/driver_logic.rs` runs this file natively.

/// Ethernet with a tag, IPv6 without extension headers, UDP: no frame needs more to be told apart.
pub const HEADERS: usize = 14 + 4 + 40 + 8;

const ROCE_PORT: [u8; 2] = 4791u16.to_be_bytes();
const UDP: u8 = 17;

/// Whether a frame is whole RoCEv2 by its first bytes. Fragments, IPv4 options and IPv6 extension headers are nothing the
/// transport speaks (T-33): they are left to the protocols above.
pub fn is_roce(headers: &[u8]) -> bool {
    let kind = headers.get(12..14);
    let (kind, packet) = match kind {
        Some([0x81, 0x00]) => (headers.get(16..18), headers.get(18..)),
        _ => (kind, headers.get(14..)),
    };
    let Some(packet) = packet else { return false };
    let udp = match kind {
        Some([0x08, 0x00]) => {
            // More fragments to come, or an offset: the flag "do not fragment" alone is well.
            let fragment =
                packet.get(6..8).is_none_or(|field| matches!(field, [high, low] if high & 0x3f != 0 || *low != 0));
            if packet.first() != Some(&0x45) || fragment || packet.get(9) != Some(&UDP) {
                return false;
            }
            packet.get(20..)
        }
        Some([0x86, 0xdd]) if packet.get(6) == Some(&UDP) => packet.get(40..),
        _ => return false,
    };
    udp.and_then(|udp| udp.get(2..4)) == Some(&ROCE_PORT)
}

/// The first `len` bytes of a frame: in place, if its first piece holds them, else put together in `storage`. `None`: there
/// are not so many, or no room.
pub fn linear<'a>(mut pieces: impl Iterator<Item = &'a [u8]>, len: usize, storage: &'a mut [u8]) -> Option<&'a [u8]> {
    // A piece may be empty: drivers align what follows.
    let first = pieces.by_ref().find(|piece| !piece.is_empty()).unwrap_or(&[]);
    if let Some(whole) = first.get(..len) {
        return Some(whole);
    }
    let mut rest = storage.get_mut(..len)?;
    for piece in core::iter::once(first).chain(pieces) {
        let take = piece.len().min(rest.len());
        let (here, after) = rest.split_at_mut_checked(take)?;
        here.copy_from_slice(piece.get(..take)?);
        rest = after;
        if rest.is_empty() {
            return storage.get(..len);
        }
    }
    None
}
