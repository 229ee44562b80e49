//! The slots of NDK's dispatch tables, in their order, with what each is to the contract.

use crate::kernel::irql::Irql;
use ndk_types::STATUS_INVALID_HANDLE;
use std::fmt;
use std::thread::ThreadId;

/// What a slot does, as far as the contract cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing special.
    Plain,
    /// Makes an object and stores it where argument `out` points.
    Create {
        /// What it makes.
        kind: Kind,
        /// Which argument.
        out: usize,
    },
    /// The same, of a listener, whose events bring connectors.
    CreateListener,
    /// Closes the object.
    Close,
    /// A request on one of the object's queues.
    Post(Queue),
    /// Takes completions, or arms.
    Completions,
    /// Makes a mapping at argument [`LAM`].
    BuildLam,
    /// Gives it back.
    ReleaseLam,
    /// Gives a number, not a status.
    Number,
}

/// What one caller at a time may work at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Of a queue pair.
    Initiator,
    /// Of a queue pair or an SRQ.
    Receive,
    /// A CQ.
    Completions,
}

impl Queue {
    /// The rule that says so.
    pub(super) fn rule(self) -> &'static str {
        if self == Self::Completions { "CQ-28" } else { "WR-50" }
    }

    /// Whether a call under way on that thread and one on this are too many. A CQ's callback may come from within NdkArmCq, and takes
    /// completions then; nobody makes a consumer post from within a post.
    pub(super) fn meets(self, thread: ThreadId) -> bool {
        self != Self::Completions || thread != std::thread::current().id()
    }
}

impl Role {
    /// What the call works at.
    pub(super) fn queue(self) -> Option<Queue> {
        match self {
            Self::Post(queue) => Some(queue),
            Self::Completions => Some(Queue::Completions),
            _ => None,
        }
    }

    /// What a call returns that is not passed on.
    pub(super) fn refused(self) -> usize {
        match self {
            Self::Number | Self::Completions => 0,
            _ => STATUS_INVALID_HANDLE.cast_unsigned() as usize,
        }
    }
}

/// A function of a dispatch table.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    /// The highest IRQL of its page.
    pub(super) max_irql: Irql,
    pub(super) role: Role,
}

/// The kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Adapter,
    Cq,
    Pd,
    Mr,
    Mw,
    Srq,
    Qp,
    Connector,
    Listener,
    SharedEndpoint,
}

/// Where NdkCreateListener stores its listener.
pub(super) const LISTENER_OUT: usize = 5;
/// Which argument of NdkBuildLAM is the mapping's structure, and which points to its size.
pub(super) const LAM: usize = 5;
/// See [`LAM`].
pub(super) const LAM_SIZE: usize = 6;
/// The place of the slot that closes an object; an adapter has none.
pub(super) const CLOSE: usize = 0;
/// The place of NdkReleaseLAM.
pub(super) const RELEASE_LAM: usize = 8;
/// More than any table has.
const SLOTS_MAX: usize = 16;

const fn at(max_irql: Irql, name: &'static str, role: Role) -> Slot {
    Slot { name, max_irql, role }
}

const fn slot(name: &'static str, role: Role) -> Slot {
    at(Irql::Dispatch, name, role)
}

const fn create(name: &'static str, kind: Kind, out: usize) -> Slot {
    slot(name, Role::Create { kind, out })
}

const fn initiator(name: &'static str) -> Slot {
    slot(name, Role::Post(Queue::Initiator))
}

const EXTENSION: Slot = slot("NdkQueryExtension", Role::Plain);

static ADAPTER: [Slot; 9] = [
    EXTENSION,
    at(Irql::Passive, "NdkQueryAdapterInfo", Role::Plain),
    create("NdkCreateCq", Kind::Cq, 7),
    create("NdkCreatePd", Kind::Pd, 3),
    create("NdkCreateSharedEndpoint", Kind::SharedEndpoint, 5),
    create("NdkCreateConnector", Kind::Connector, 3),
    slot("NdkCreateListener", Role::CreateListener),
    slot("NdkBuildLAM", Role::BuildLam),
    slot("NdkReleaseLAM", Role::ReleaseLam),
];
static CQ: [Slot; 7] = [
    slot("NdkCloseCq", Role::Close),
    EXTENSION,
    slot("NdkResizeCq", Role::Plain),
    slot("NdkArmCq", Role::Completions),
    slot("NdkGetCqResults", Role::Completions),
    slot("NdkControlCqInterruptModeration", Role::Plain),
    slot("NdkGetCqResultsEx", Role::Completions),
];
static PD: [Slot; 8] = [
    slot("NdkClosePd", Role::Close),
    EXTENSION,
    create("NdkCreateMr", Kind::Mr, 4),
    create("NdkCreateMw", Kind::Mw, 3),
    create("NdkCreateSrq", Kind::Srq, 9),
    create("NdkCreateQp", Kind::Qp, 11),
    create("NdkCreateQpWithSrq", Kind::Qp, 10),
    slot("NdkGetPrivilegedMemoryRegionToken", Role::Number),
];
static MR: [Slot; 7] = [
    slot("NdkCloseMr", Role::Close),
    EXTENSION,
    slot("NdkRegisterMr", Role::Plain),
    slot("NdkDeregisterMr", Role::Plain),
    slot("NdkInitializeFastRegisterMr", Role::Plain),
    slot("NdkGetRemoteTokenFromMr", Role::Number),
    slot("NdkGetLocalTokenFromMr", Role::Number),
];
static MW: [Slot; 3] = [slot("NdkCloseMw", Role::Close), EXTENSION, slot("NdkGetRemoteTokenFromMw", Role::Number)];
static SRQ: [Slot; 4] = [
    slot("NdkCloseSrq", Role::Close),
    EXTENSION,
    slot("NdkModifySrq", Role::Plain),
    slot("NdkSrqReceive", Role::Post(Queue::Receive)),
];
static QP: [Slot; 11] = [
    slot("NdkCloseQp", Role::Close),
    EXTENSION,
    slot("NdkFlush", Role::Plain),
    initiator("NdkSend"),
    slot("NdkReceive", Role::Post(Queue::Receive)),
    initiator("NdkBind"),
    initiator("NdkFastRegister"),
    initiator("NdkInvalidate"),
    initiator("NdkRead"),
    initiator("NdkWrite"),
    initiator("NdkSendAndInvalidate"),
];
static CONNECTOR: [Slot; 13] = [
    slot("NdkCloseConnector", Role::Close),
    EXTENSION,
    slot("NdkConnect", Role::Plain),
    slot("NdkConnectWithSharedEndpoint", Role::Plain),
    slot("NdkCompleteConnect", Role::Plain),
    slot("NdkAccept", Role::Plain),
    slot("NdkReject", Role::Plain),
    slot("NdkGetConnectionData", Role::Plain),
    slot("NdkGetLocalAddress", Role::Plain),
    slot("NdkGetPeerAddress", Role::Plain),
    slot("NdkDisconnect", Role::Plain),
    slot("NdkCompleteConnectEx", Role::Plain),
    slot("NdkAcceptEx", Role::Plain),
];
static LISTENER: [Slot; 5] = [
    slot("NdkCloseListener", Role::Close),
    EXTENSION,
    slot("NdkListen", Role::Plain),
    slot("NdkGetLocalAddress", Role::Plain),
    slot("NdkControlConnectEvents", Role::Plain),
];
static SHARED_ENDPOINT: [Slot; 3] =
    [slot("NdkCloseSharedEndpoint", Role::Close), EXTENSION, slot("NdkGetLocalAddress", Role::Plain)];

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Adapter,
        Self::Cq,
        Self::Pd,
        Self::Mr,
        Self::Mw,
        Self::Srq,
        Self::Qp,
        Self::Connector,
        Self::Listener,
        Self::SharedEndpoint,
    ];

    /// The slots of its table.
    pub(super) fn slots(self) -> &'static [Slot] {
        match self {
            Self::Adapter => &ADAPTER,
            Self::Cq => &CQ,
            Self::Pd => &PD,
            Self::Mr => &MR,
            Self::Mw => &MW,
            Self::Srq => &SRQ,
            Self::Qp => &QP,
            Self::Connector => &CONNECTOR,
            Self::Listener => &LISTENER,
            Self::SharedEndpoint => &SHARED_ENDPOINT,
        }
    }

    /// A slot's number among all.
    pub(super) fn number(self, place: usize) -> usize {
        self as usize * SLOTS_MAX + place
    }

    /// The kind and place of a number.
    pub(super) fn of(number: usize) -> Option<(Self, usize)> {
        let kind = *Self::ALL.get(number / SLOTS_MAX)?;
        let place = number % SLOTS_MAX;
        (place < kind.slots().len()).then_some((kind, place))
    }

    /// The kind and slot of a number.
    pub(super) fn slot_of(number: usize) -> Option<(Self, &'static Slot)> {
        Self::of(number).map(|(kind, place)| (kind, &kind.slots()[place]))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adapter => "NDK_ADAPTER",
            Self::Cq => "NDK_CQ",
            Self::Pd => "NDK_PD",
            Self::Mr => "NDK_MR",
            Self::Mw => "NDK_MW",
            Self::Srq => "NDK_SRQ",
            Self::Qp => "NDK_QP",
            Self::Connector => "NDK_CONNECTOR",
            Self::Listener => "NDK_LISTENER",
            Self::SharedEndpoint => "NDK_SHARED_ENDPOINT",
        })
    }
}
