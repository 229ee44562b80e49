//! NDK_CONNECTOR: one connection, from NdkConnect or a listener's event to its close.
//!
//! * `doorways`: the functions of NDK_CONNECTOR_DISPATCH.
//! * this file: what a connector is, what the connection manager's events make of it, what its consumer is told.
//!
//! A connector has at most one request pending. Its details change under a lock of their own, taken inside the
//! connections' lock or alone; what the consumer is told is decided there and said outside, request completion before
//! disconnect event (OQ-43).

mod doorways;
pub(crate) mod rundown;
mod steps;

pub use doorways::ndk_create_connector;

use crate::adapter::Adapter;
use crate::connections::Incoming;
use crate::cq::Context;
use crate::endpoint::{Endpoint, Held as HeldEndpoint, Hold};
use crate::listener::Listener;
use crate::lock::SpinLock;
use crate::object::{self, Kind, Object, Ref};
use crate::platform::{NextHop, Platform, Unresolved};
use crate::qp::{Phase as QpPhase, Qp, command, kick};
use ::core::marker::PhantomData;
use ::core::net::SocketAddr;
use ndk_types::{
    NDK_CONNECTOR, NDK_FN_DISCONNECT_EVENT_CALLBACK, NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, NDK_FN_REQUEST_COMPLETION,
    NTSTATUS, NdkObjectTypeConnector, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_REFUSED,
    STATUS_HOST_UNREACHABLE, STATUS_INSUFFICIENT_RESOURCES, STATUS_IO_TIMEOUT, STATUS_NETWORK_UNREACHABLE,
    STATUS_SUCCESS,
};
use roce_engine::cm::{self, ACK_TIMEOUT, CmEvent, ConnectRequest, ConnectionId, Endpoint as CmEndpoint, GUID_PREFIX};
use roce_engine::psn::{Psn, Qpn};
use roce_engine::qp::Attributes;
use roce_engine::time::Duration;
use roce_engine::wire::template::{AddressVector, FrameTemplate, udp_source_port};

/// The hop limit of our packets.
const HOP_LIMIT: u8 = 64;
/// Room for a peer's private data: a REP's.
const PRIVATE_DATA_MAX: usize = 196;

/// The kind of NDK_CONNECTOR.
pub struct Connector<P>(PhantomData<P>);

// SAFETY: NDK_CONNECTOR starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Connector<P> {
    type Abi = NDK_CONNECTOR;
    type State = ConnectorState<P>;
}

/// What the provider knows of a connector.
pub struct ConnectorState<P: Platform> {
    details: SpinLock<Details<P>>,
    _listener: Option<Ref<Listener<P>>>,
    pub(crate) adapter: Ref<Adapter<P>>,
}

/// How far a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Made.
    Idle,
    /// NdkConnect: the next hop, then the peer's answer, is awaited.
    Connecting,
    /// The peer accepted; NdkCompleteConnect or NdkReject comes next.
    Accepted,
    /// A peer's request; NdkAccept or NdkReject comes next.
    Requested,
    /// NdkAccept: the peer's RTU is awaited.
    Accepting,
    /// It stands.
    Established,
    /// NdkDisconnect: the peer's part is awaited.
    Disconnecting,
    /// It is over.
    Over,
}

/// A request that returned STATUS_PENDING.
#[derive(Clone, Copy)]
struct PendingRequest {
    completion: NDK_FN_REQUEST_COMPLETION,
    context: Context,
}

/// The disconnect event, as it was asked for.
#[derive(Clone, Copy)]
enum DisconnectEvent {
    None,
    Plain(NDK_FN_DISCONNECT_EVENT_CALLBACK, Context),
    Ex(NDK_FN_DISCONNECT_EVENT_CALLBACK_EX, Context),
}

/// What a consumer is told, outside every lock.
pub(crate) struct Told {
    completion: Option<(PendingRequest, NTSTATUS)>,
    event: DisconnectEvent,
    /// The queue pair goes on: with commands for its core.
    commands: u32,
    connected: bool,
}

impl Told {
    /// Calls back. In no lock and no lane.
    fn say(&self) {
        if let Some((pending, status)) = self.completion
            && let Some(completion) = pending.completion
        {
            // SAFETY: NDKPI request_completion: called once for a request that returned STATUS_PENDING, <= DISPATCH_LEVEL.
            unsafe { completion(pending.context.0, status) };
        }
        match self.event {
            DisconnectEvent::None | DisconnectEvent::Plain(None, _) | DisconnectEvent::Ex(None, _) => (),
            DisconnectEvent::Plain(Some(callback), context) => {
                // SAFETY: NDKPI disconnect_event_callback: at most once, before the connector's close completes.
                unsafe { callback(context.0) };
            }
            DisconnectEvent::Ex(Some(callback), context) => {
                // SAFETY: as above; no reason is given (CN-51).
                unsafe { callback(context.0, 0) };
            }
        }
    }
}

struct Details<P: Platform> {
    phase: Phase,
    pending: Option<PendingRequest>,
    event: DisconnectEvent,
    qp: Option<Ref<Qp<P>>>,
    /// The queue pair has been given the connection, so it is over with it.
    joined: bool,
    id: Option<ConnectionId>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    hold: Option<Hold<P>>,
    shared: Option<Ref<Endpoint<P>>>,
    path: Option<AddressVector>,
    path_mtu: u16,
    /// Limits on READs: as asked for, and then as both sides have it (CN-27).
    inbound: u8,
    outbound: u8,
    remote_qpn: Qpn,
    /// Where we start, and where the peer starts.
    requester_psn: Psn,
    responder_psn: Psn,
    retry_count: u8,
    rnr_retry: u8,
    /// How long the peer's requester waits for an answer before it gives up.
    peer_patience: Duration,
    of_our_kind: bool,
    private_data: [u8; PRIVATE_DATA_MAX],
    private_length: usize,
}

/// Everything of a connect that is known before the next hop.
struct Plan {
    local: SocketAddr,
    peer: SocketAddr,
    mac: [u8; 6],
    ip_mtu: u32,
    private_data: [u8; crate::limits::CALLER_DATA_MAX as usize],
    private_length: usize,
}

impl<P: Platform> Details<P> {
    const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            pending: None,
            event: DisconnectEvent::None,
            qp: None,
            joined: false,
            id: None,
            local: None,
            peer: None,
            hold: None,
            shared: None,
            path: None,
            path_mtu: 1024,
            inbound: 0,
            outbound: 0,
            remote_qpn: Qpn::new(0),
            requester_psn: Psn::new(0),
            responder_psn: Psn::new(0),
            retry_count: 7,
            rnr_retry: 7,
            // The passive side takes both from our REQ.
            peer_patience: cm::PATIENCE,
            of_our_kind: false,
            private_data: [0; PRIVATE_DATA_MAX],
            private_length: 0,
        }
    }

    fn keep_private_data(&mut self, data: &[u8]) {
        self.private_data = [0; PRIVATE_DATA_MAX];
        self.private_length = data.len().min(PRIVATE_DATA_MAX);
        self.private_data.iter_mut().zip(data).for_each(|(to, from)| *to = *from);
    }

    /// What the queue pair is given when both sides are known.
    fn attributes(&self, local_qpn: Qpn) -> Option<Attributes> {
        let path = AddressVector { source_port: udp_source_port(local_qpn, self.remote_qpn), ..self.path? };
        Some(Attributes {
            template: FrameTemplate::new(&path)?,
            remote_qpn: self.remote_qpn,
            requester_psn: self.requester_psn,
            responder_psn: self.responder_psn,
            path_mtu: self.path_mtu,
            initiator_depth: self.outbound,
            responder_resources: self.inbound,
            retry_count: self.retry_count,
            rnr_retry: self.rnr_retry,
            ack_timeout: Duration::from_ib_exponent(ACK_TIMEOUT),
            peer_patience: self.peer_patience,
            timer_granularity: P::TIMER_GRANULARITY,
        })
    }

    fn endpoint(&self) -> CmEndpoint {
        CmEndpoint {
            qpn: self.qp.as_ref().map_or(Qpn::new(0), |qp| qp.qpn),
            starting_psn: self.responder_psn,
            responder_resources: self.inbound,
            initiator_depth: self.outbound,
            srq: self.qp.as_ref().is_some_and(|qp| qp.has_srq()),
        }
    }

    /// It is over: whoever waits is told `status`, and whoever asked for the event when it had stood.
    fn end(&mut self, status: NTSTATUS) -> Told {
        let stood = matches!(self.phase, Phase::Established);
        self.phase = Phase::Over;
        let event = core::mem::replace(&mut self.event, DisconnectEvent::None);
        let event = if stood { event } else { DisconnectEvent::None };
        Told { completion: self.complete(status), event, commands: 0, connected: false }
    }

    fn complete(&mut self, status: NTSTATUS) -> Option<(PendingRequest, NTSTATUS)> {
        self.pending.take().map(|pending| (pending, status))
    }
}

fn is_of_our_kind(guid: u64) -> bool {
    (guid >> 32) as u32 == GUID_PREFIX
}

/// CN-27: the smaller of what one side serves and the other wants.
fn agreed(ours: u8, peers: u8) -> u8 {
    ours.min(peers)
}

impl<P: Platform> ConnectorState<P> {
    /// Reaches the details: at DISPATCH_LEVEL, or a frame that arrives on this processor would wait for us for ever.
    fn with<R>(&self, f: impl FnOnce(&mut Details<P>) -> R) -> R {
        let _raised = self.adapter.port.platform.raise();
        self.details.with(f)
    }

    /// An event of the connection manager; what the consumer is to be told. Under the connections' lock.
    pub(crate) fn hear(&self, event: &CmEvent<'_>) -> Option<Told> {
        let counters = &self.adapter.port.counters;
        self.with(|details| match *event {
            CmEvent::Accepted { rep } => {
                details.phase = Phase::Accepted;
                details.keep_private_data(rep.private_data.get(..crate::limits::CALLEE_DATA_MAX as usize)?);
                details.remote_qpn = rep.local_qpn;
                details.requester_psn = rep.starting_psn;
                details.inbound = agreed(details.inbound, rep.initiator_depth);
                details.outbound = agreed(details.outbound, rep.responder_resources);
                details.rnr_retry = rep.rnr_retry_count;
                details.of_our_kind = is_of_our_kind(rep.local_ca_guid);
                let qp = details.qp.clone()?;
                if qp.is_joined() {
                    // Another connector was faster with it.
                    counters.connect_failure.add(1);
                    return Some(details.end(STATUS_CONNECTION_ABORTED));
                }
                details.joined = true;
                qp.connect(details.attributes(qp.qpn)?, details.of_our_kind, details.path?.destination);
                let completion = details.complete(STATUS_SUCCESS);
                Some(Told { completion, event: DisconnectEvent::None, commands: command::CONNECT, connected: false })
            }
            CmEvent::Established => {
                if details.phase != Phase::Accepting {
                    return None;
                }
                details.phase = Phase::Established;
                counters.accept.add(1);
                counters.active_connection.add(1);
                let completion = details.complete(STATUS_SUCCESS);
                Some(Told { completion, event: DisconnectEvent::None, commands: command::ESTABLISH, connected: true })
            }
            CmEvent::Rejected { private_data, .. } => {
                details.keep_private_data(private_data);
                counters.connect_failure.add(1);
                let active = matches!(details.phase, Phase::Connecting);
                Some(details.end(if active { STATUS_CONNECTION_REFUSED } else { STATUS_CONNECTION_ABORTED }))
            }
            CmEvent::TimedOut => {
                counters.connect_failure.add(1);
                Some(details.end(STATUS_IO_TIMEOUT))
            }
            CmEvent::DisconnectRequested => {
                let event = core::mem::replace(&mut details.event, DisconnectEvent::None);
                Some(Told { completion: None, event, commands: 0, connected: false })
            }
            CmEvent::Disconnected { graceful } => {
                Some(details.end(if graceful { STATUS_SUCCESS } else { STATUS_IO_TIMEOUT }))
            }
            CmEvent::Lost => self.lose(details),
            CmEvent::Request { .. } | CmEvent::Released => None,
        })
    }

    /// Counts a connection, or an attempt at one, that ends in this phase; a disconnect has counted itself (CN-55, OID-14).
    fn count_end(&self, phase: Phase) {
        let counters = &self.adapter.port.counters;
        match phase {
            Phase::Established => counters.active_connection.sub(1),
            Phase::Connecting | Phase::Accepted | Phase::Requested | Phase::Accepting => {
                counters.connect_failure.add(1);
            }
            Phase::Idle | Phase::Disconnecting | Phase::Over => (),
        }
    }

    fn lose(&self, details: &mut Details<P>) -> Option<Told> {
        if details.phase == Phase::Over {
            return None;
        }
        if details.phase == Phase::Established {
            self.adapter.port.counters.connection_error.add(1);
        }
        self.count_end(details.phase);
        // OQ-45: an abort flushes, unlike a graceful disconnect.
        let told = details.end(STATUS_CONNECTION_ABORTED);
        Some(Told { commands: command::FLUSH, ..told })
    }

    /// Keeps a hold on its local address until it is closed (CN-49).
    pub(crate) fn keep(&self, held: HeldEndpoint) {
        let hold = Hold { port: self.adapter.port.clone(), held };
        let before = self.with(|details| details.hold.replace(hold));
        debug_assert!(before.is_none(), "an incoming connector has one address");
    }

    /// Its addresses, local and remote, if it stands.
    pub(crate) fn established(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.with(|details| {
            let stands = details.phase == Phase::Established;
            details.local.zip(details.peer).filter(|_| stands)
        })
    }

    /// Whether it joins these two addresses.
    pub(crate) fn joins(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        self.with(|details| details.local == Some(local) && details.peer == Some(peer))
    }

    /// The connection failed for a reason of the transport.
    pub(crate) fn lost(&self) -> Option<Told> {
        self.with(|details| self.lose(details))
    }
}

impl<P: Platform> Connector<P> {
    /// Says what is to be said; a completion only when no flush is under way (CN-35). In no lock and no lane.
    pub(crate) fn tell(connector: &Ref<Self>, told: Told) {
        let mut told = Some(told);
        if let Some(qp) = connector.with(|details| details.qp.clone().filter(|_| details.joined)) {
            told = told.and_then(|told| Self::hand_on(connector, &qp, told));
        }
        if let Some(told) = told {
            told.say();
        }
    }

    /// The queue pair's part of it; what is left to say at once.
    fn hand_on(connector: &Ref<Self>, qp: &Ref<Qp<P>>, told: Told) -> Option<Told> {
        if told.commands != 0 {
            qp.command(told.commands & !command::CONNECT);
            if told.connected {
                qp.set_phase(QpPhase::Connected);
            }
            kick(qp);
        }
        if told.completion.is_some() { qp.rundown.park(&connector.adapter.port, connector, told) } else { Some(told) }
    }

    fn try_new(adapter: Ref<Adapter<P>>, listener: Option<Ref<Listener<P>>>, details: Details<P>) -> Option<Ref<Self>> {
        let abi = NDK_CONNECTOR {
            Header: object::header(adapter.version, NdkObjectTypeConnector),
            Dispatch: doorways::Dispatch::<P>::TABLE,
        };
        let state = ConnectorState { details: SpinLock::new(details), _listener: listener, adapter };
        Object::<Self>::try_new(abi, state)
    }
}

/// The connector of a peer's request (LS-04). Under the connections' lock.
pub(crate) fn incoming<P: Platform>(
    listener: &Ref<Listener<P>>,
    incoming: &Incoming,
    path_mtu: u16,
) -> Option<Ref<Connector<P>>> {
    let req = &incoming.req;
    let mut details = Details::new();
    details.phase = Phase::Requested;
    details.id = Some(incoming.id);
    (details.local, details.peer) = (Some(incoming.local), Some(incoming.peer));
    details.path = Some(incoming.path);
    details.path_mtu = path_mtu;
    details.remote_qpn = req.local_qpn;
    details.requester_psn = req.starting_psn;
    details.inbound = req.initiator_depth;
    details.outbound = req.responder_resources;
    details.retry_count = req.retry_count;
    details.peer_patience = cm::patience_of(req);
    details.rnr_retry = req.rnr_retry_count;
    details.of_our_kind = is_of_our_kind(req.local_ca_guid);
    details.keep_private_data(req.private_data.get(roce_engine::wire::cm::IpCmHeader::LEN..)?);
    Connector::try_new(listener.adapter.clone(), Some(listener.clone()), details)
}

/// The next hop of a connect is known, or known not to be.
pub(crate) fn resolved<P: Platform>(connector: &Ref<Connector<P>>, answer: Result<NextHop, Unresolved>) {
    let failed = match answer {
        Ok(hop) => request(connector, &hop).err(),
        Err(Unresolved::NetworkUnreachable) => Some(STATUS_NETWORK_UNREACHABLE),
        Err(Unresolved::HostUnreachable) => Some(STATUS_HOST_UNREACHABLE),
        Err(Unresolved::NoResources) => Some(STATUS_INSUFFICIENT_RESOURCES),
    };
    if let Some(status) = failed {
        let told = connector.with(|details| (details.phase == Phase::Connecting).then(|| details.end(status)));
        if let Some(told) = told {
            connector.adapter.port.counters.connect_failure.add(1);
            Connector::tell(connector, told);
        }
    }
}

/// Sends the REQ.
fn request<P: Platform>(connector: &Ref<Connector<P>>, hop: &NextHop) -> Result<(), NTSTATUS> {
    let port = &connector.adapter.port;
    let asked = port.connections.change(port, |table, actions| {
        let (path, endpoint, ports, path_mtu, data) = connector.with(|details| {
            if details.phase != Phase::Connecting {
                return Err(STATUS_CANCELLED);
            }
            let (local, peer) = details.local.zip(details.peer).ok_or(STATUS_CANCELLED)?;
            let path = details.path.as_mut().ok_or(STATUS_CANCELLED)?;
            (path.destination_mac, path.vlan_tci) = (hop.mac, hop.vlan_tci);
            let path = *path;
            let link = crate::connections::link_mtu(hop.ip_mtu, local.ip());
            details.path_mtu = details.path_mtu.min(link);
            let ports = (local.port(), peer.port());
            Ok((path, details.endpoint(), ports, details.path_mtu, details.private_data))
        })?;
        let length = connector.with(|details| details.private_length);
        let request = ConnectRequest {
            path,
            source_port: ports.0,
            port: ports.1,
            endpoint,
            path_mtu,
            private_data: data.get(..length).unwrap_or(&[]),
        };
        let (id, _) = actions.hear(table, |agent, now, notes| agent.connect(now, &request, notes));
        let id = id.map_err(|_| STATUS_INSUFFICIENT_RESOURCES)?;
        table.own(id, connector.clone());
        connector.with(|details| {
            details.id = Some(id);
            if let Some(qp) = &details.qp {
                qp.set_connection(id);
            }
        });
        Ok(())
    });
    asked.unwrap_or(Err(STATUS_INSUFFICIENT_RESOURCES))
}
