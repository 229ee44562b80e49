//! What a NIC counts, and how it says so: OID_GEN_STATISTICS.

use super::ethernet::Cast;
use ndk_types::*;

/// Frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames to one station.
    pub directed: u64,
    /// Frames to groups.
    pub multicast: u64,
    /// Frames to everybody.
    pub broadcast: u64,
    /// Bytes of the frames to one station.
    pub directed_bytes: u64,
    /// Bytes of the frames to groups.
    pub multicast_bytes: u64,
    /// Bytes of the frames to everybody.
    pub broadcast_bytes: u64,
    /// Frames there was no room or no time for.
    pub discards: u64,
    /// Frames that were none.
    pub errors: u64,
}

impl Traffic {
    /// All frames.
    pub const fn frames(&self) -> u64 {
        self.directed + self.multicast + self.broadcast
    }

    /// All bytes.
    pub const fn bytes(&self) -> u64 {
        self.directed_bytes + self.multicast_bytes + self.broadcast_bytes
    }

    pub(super) fn count(&mut self, frame: &[u8]) {
        let (frames, bytes) = match Cast::of(frame) {
            Cast::Directed => (&mut self.directed, &mut self.directed_bytes),
            Cast::Multicast => (&mut self.multicast, &mut self.multicast_bytes),
            Cast::Broadcast => (&mut self.broadcast, &mut self.broadcast_bytes),
        };
        *frames += 1;
        *bytes += frame.len() as u64;
    }
}

/// Both directions. A frame the packet filter does not want is counted nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What was indicated.
    pub received: Traffic,
    /// What was put on the wire.
    pub sent: Traffic,
}

/// The flags of the counters an Ethernet NIC has: every one.
const SUPPORTED: u32 = NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_RCV_DISCARDS
    | NDIS_STATISTICS_FLAGS_VALID_RCV_ERROR
    | NDIS_STATISTICS_FLAGS_VALID_DIRECTED_FRAMES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_MULTICAST_FRAMES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_BROADCAST_FRAMES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_XMIT_ERROR
    | NDIS_STATISTICS_FLAGS_VALID_XMIT_DISCARDS
    | NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_RCV
    | NDIS_STATISTICS_FLAGS_VALID_DIRECTED_BYTES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_MULTICAST_BYTES_XMIT
    | NDIS_STATISTICS_FLAGS_VALID_BROADCAST_BYTES_XMIT;

impl Counters {
    /// The bytes of an NDIS_STATISTICS_INFO.
    pub(super) fn statistics(&self) -> Vec<u8> {
        let (rx, tx) = (&self.received, &self.sent);
        let mut bytes = vec![NDIS_OBJECT_TYPE_DEFAULT, NDIS_STATISTICS_INFO_REVISION_1];
        bytes.extend(NDIS_SIZEOF_STATISTICS_INFO_REVISION_1.to_le_bytes());
        bytes.extend(SUPPORTED.to_le_bytes());
        let figures = [
            rx.discards,
            rx.errors,
            rx.bytes(),
            rx.directed,
            rx.multicast,
            rx.broadcast,
            tx.bytes(),
            tx.directed,
            tx.multicast,
            tx.broadcast,
            tx.errors,
            tx.discards,
            rx.directed_bytes,
            rx.multicast_bytes,
            rx.broadcast_bytes,
            tx.directed_bytes,
            tx.multicast_bytes,
            tx.broadcast_bytes,
        ];
        bytes.extend(figures.into_iter().flat_map(u64::to_le_bytes));
        bytes
    }
}
