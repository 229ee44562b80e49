//! Statistics of a port: the counters of NDIS_NDK_PERFORMANCE_COUNTERS and those of the transport.
//!
//! Each is one relaxed atomic; frame and byte counts are added once per batch, not per frame.

use core::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The counters of one port.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        /// The counters' values at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// All values; each is exact, the set is not one instant.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)* }
            }
        }
    };
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes `n` away (for counters of things that exist now).
    #[inline]
    pub fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Connections that the active side established (NDIS: Connect).
    connect,
    /// Connections that the passive side established (Accept).
    accept,
    /// Attempts that failed, in or out (ConnectFailure).
    connect_failure,
    /// Established connections that ended before the consumer disconnected (ConnectionError).
    connection_error,
    /// Connections established now (ActiveConnection).
    active_connection,
    /// Completion queues that went into the error state (CQError).
    cq_error,
    /// Bytes received, link headers included (RDMAInOctets).
    rdma_in_octets,
    /// Bytes sent, link headers included (RDMAOutOctets).
    rdma_out_octets,
    /// Frames received (RDMAInFrames).
    rdma_in_frames,
    /// Frames sent (RDMAOutFrames).
    rdma_out_frames,
    /// Frames to port 4791 that were no whole RoCEv2 packet.
    malformed,
    /// Frames whose ICRC was wrong.
    icrc_errors,
    /// Frames for a queue pair that does not exist (any more).
    unknown_queue_pair,
    /// Frames for a queue pair from another address than its peer's.
    wrong_source,
    /// Frames that were not ours: another address, another port.
    foreign,
    /// Frames dropped because the room for held frames was used up (T-05).
    held_overflow,
    /// Congestion notifications and marks seen and ignored (T-33).
    congestion_marks,
    /// Connection-manager messages dropped as malformed or out of place.
    cm_dropped,
    /// Packets that were sent again, of queue pairs that are gone.
    retransmissions,
    /// NAKs sent, RNR NAKs included, of queue pairs that are gone.
    naks_sent,
}
