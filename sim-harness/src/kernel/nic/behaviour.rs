//! How a simulated NIC behaves: everything a miniport may do that a driver above has to live with.

use ndk_types::{NDIS_OID, NDIS_STATUS};
use std::collections::BTreeMap;

/// See the module's text. The default is the plainest NIC there is.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// When lists are indicated with NDIS_RECEIVE_FLAGS_RESOURCES (W-20).
    pub resources: Resources,
    /// Into which MDLs a received frame is put (T-34).
    pub pieces: Pieces,
    /// The most lists of one indication.
    pub chain: usize,
    /// Whether 802.1Q tags travel beside the frame: taken out of what arrives, put into what is sent.
    pub vlan: bool,
    /// With `vlan`: the 802.1Q information of what is sent without any, as of a port with a VLAN or a priority of its own.
    pub own_tag: u32,
    /// Whether what is shorter than 60 bytes is sent as 60, as Ethernet has it.
    pub pad: bool,
    /// Whether a frame whose source is not the NIC's address is dropped, and held against the driver: what hypervisors do.
    pub own_source: bool,
    /// When a send is completed.
    pub completion: Completion,
    /// In which order sends are completed that are due together.
    pub order: Order,
    /// Whether each completion is a call of its own.
    pub one_by_one: bool,
    /// While set nothing is sent, as when the peer asked for a pause: sends wait, and can be cancelled.
    pub stalled: bool,
    /// When a request is answered.
    pub oids: Oids,
    /// Requests that are refused, with the status.
    pub refused: BTreeMap<NDIS_OID, NDIS_STATUS>,
    /// How long a pause takes at least, in virtual nanoseconds; 0: it is over when every list is back.
    pub pause: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            resources: Resources::Never,
            pieces: Pieces::Whole,
            chain: 64,
            vlan: false,
            own_tag: 0,
            pad: true,
            own_source: true,
            completion: Completion::Inside,
            order: Order::Sent,
            one_by_one: false,
            stalled: false,
            oids: Oids::Inline,
            refused: BTreeMap::new(),
            pause: 0,
        }
    }
}

/// When lists are indicated with NDIS_RECEIVE_FLAGS_RESOURCES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resources {
    /// Never.
    Never,
    /// Always.
    Always,
    /// When so many lists or more would be with the driver.
    From(usize),
}

/// The MDLs of a received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// One.
    Whole,
    /// A new one begins at each of these offsets, as far as the frame has them.
    At(Vec<usize>),
    /// Up to so many, at offsets from the seed, half of them within the headers.
    Seeded(usize),
    /// One a byte.
    Bytes,
}

/// When a send is completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Before the call that sends returns.
    Inside,
    /// When so many more lists were sent, or this many virtual nanoseconds later, whichever comes first.
    Late {
        /// Further lists.
        lists: usize,
        /// Virtual nanoseconds; with 0 a kernel thread completes it.
        delay: u64,
    },
}

/// The order of completions that are due together. On the wire the order is always that of the sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were sent.
    Sent,
    /// The other way round.
    Reverse,
    /// Any, from the seed.
    Seeded,
}

/// When a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oids {
    /// In the call.
    Inline,
    /// NDIS_STATUS_PENDING first, the answer this many virtual nanoseconds later; with 0 on a kernel thread, which needs no
    /// time to pass.
    Pending(u64),
}
