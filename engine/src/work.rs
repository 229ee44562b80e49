//! Work queues as the engine sees them: requests that somebody else stores.
//!
//! The rings belong to the platform side. The send queue's entries stay readable from their posting until the engine
//! retires them, because a retransmission gathers the payload again; a receive is taken out whole.

use crate::key::{LKey, RKey};
use crate::memory::{Bind, FastRegister, Sge};

/// The largest number of scatter/gather entries one request can carry (inline data aside, which has none).
pub const SGE_MAX: usize = 16;

/// What a send-queue request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// SEND.
    Send,
    /// SEND with invalidate: the peer revokes `r_key` before it reports the receive.
    SendWithInvalidate {
        /// The peer's key.
        r_key: RKey,
    },
    /// RDMA WRITE.
    RdmaWrite {
        /// The peer's address.
        va: u64,
        /// The peer's key.
        r_key: RKey,
    },
    /// RDMA READ.
    RdmaRead {
        /// The peer's address.
        va: u64,
        /// The peer's key.
        r_key: RKey,
        /// Invalidate the first SGE's region when the READ succeeded (NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE).
        invalidate: bool,
    },
    /// Fast register a region (local, no PSN).
    FastRegister(FastRegister),
    /// Bind a window (local, no PSN).
    Bind(Bind),
    /// Invalidate a fast-registered region or a window (local, no PSN).
    LocalInvalidate {
        /// Its key; a window's R_Key is given as an L_Key with the same bits.
        key: LKey,
    },
}

/// A send-queue entry, after posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wqe {
    /// The consumer's context, returned untouched in the completion.
    pub wr_id: u64,
    /// What to do.
    pub operation: Operation,
    /// Payload bytes: the sum over the SGEs, or the inline data's size.
    pub length: u32,
    /// Completes with an entry on success too; failures always do.
    pub signaled: bool,
    /// Starts only after all earlier READs of the queue finished.
    pub read_fence: bool,
    /// The peer's receive is a solicited event.
    pub solicited: bool,
    /// The payload is the slot's inline data; there are no SGEs.
    pub inline: bool,
}

/// The send queue, lent to one turn. Positions are monotone and wrap at 2^32.
pub trait SendQueue {
    /// The position after the last request that may be processed (deferred ones beyond it may not yet).
    fn posted(&self) -> u32;

    /// The request at `position`, if it is posted and not yet retired.
    fn wqe(&self, position: u32) -> Option<&Wqe>;

    /// Its scatter/gather list (empty for inline data).
    fn sges(&self, position: u32) -> &[Sge];

    /// Its inline data (empty unless the request says so).
    fn inline(&self, position: u32) -> &[u8];

    /// Gives back the slots of all requests before `position`.
    fn retire(&mut self, position: u32);
}

/// A receive, taken out of its queue.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWqe {
    /// The consumer's context.
    pub wr_id: u64,
    /// How many of `sges` are meant.
    pub sge_count: u8,
    /// Where the message goes, in order.
    pub sges: [Sge; SGE_MAX],
}

impl ReceiveWqe {
    /// A receive with nowhere to place anything.
    pub const EMPTY: Self =
        Self { wr_id: 0, sge_count: 0, sges: [Sge { addr: 0, length: 0, l_key: LKey(0) }; SGE_MAX] };

    /// The entries that are meant.
    pub fn sges(&self) -> &[Sge] {
        self.sges.get(..usize::from(self.sge_count)).unwrap_or(&self.sges)
    }
}

/// A receive queue or shared receive queue, lent to one turn.
pub trait ReceiveQueue {
    /// Takes the oldest receive into `into`; false when there is none.
    fn take(&mut self, into: &mut ReceiveWqe) -> bool;
}
