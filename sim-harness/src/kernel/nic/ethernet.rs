//! Ethernet frames: who they are for, and the 802.1Q tag in and beside them.

/// Two addresses and a type.
pub(super) const HEADER: usize = 14;
/// What a tag adds.
pub(super) const TAG: usize = 4;
/// The shortest frame, without its checksum.
pub(super) const SHORTEST: usize = 60;
const TPID: [u8; 2] = [0x81, 0];

/// Who a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    /// One station.
    Directed,
    /// A group.
    Multicast,
    /// Everybody.
    Broadcast,
}

impl Cast {
    /// Who this frame is for.
    pub(super) fn of(frame: &[u8]) -> Self {
        match frame {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => Self::Broadcast,
            [first, ..] if first & 1 != 0 => Self::Multicast,
            _ => Self::Directed,
        }
    }
}

/// Whether a tag is in the frame.
pub(super) fn is_tagged(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&TPID) && frame.len() >= HEADER + TAG
}

/// The frame without its tag, and the tag as NetBufferListInfo has it; `None` without one.
pub(super) fn untag(frame: &[u8]) -> Option<(Vec<u8>, u32)> {
    if !is_tagged(frame) {
        return None;
    }
    let tci = u32::from(u16::from_be_bytes([*frame.get(14)?, *frame.get(15)?]));
    let mut bare = frame.get(..12)?.to_vec();
    bare.extend_from_slice(frame.get(16..)?);
    // UserPriority is bits 0 to 2, CanonicalFormatId bit 3, VlanId bits 4 to 15.
    Some((bare, tci >> 13 | (tci >> 12 & 1) << 3 | (tci & 0xfff) << 4))
}

/// The frame with a tag as NetBufferListInfo has it.
pub(super) fn tag(frame: &[u8], info: u32) -> Vec<u8> {
    let tci = (info & 7) << 13 | (info >> 3 & 1) << 12 | info >> 4 & 0xfff;
    let (addresses, rest) = frame.split_at_checked(12).unwrap_or((frame, &[]));
    let mut tagged = addresses.to_vec();
    tagged.extend_from_slice(&TPID);
    tagged.extend_from_slice(&(tci as u16).to_be_bytes());
    tagged.extend_from_slice(rest);
    tagged
}
