//! The InfiniBand connection manager of one port, as a state machine.
//!
//! An [`Agent`] holds every connection that is being made, stands, or is being unmade. It is told what consumers want and
//! what arrives, and says through a [`CmPort`] what to send and what happened; it is told the time and asked for its next
//! deadline. It never waits for a consumer: a slow one is covered by MRA (T-40, CN-56). Nothing is allocated after
//! [`Agent::try_new`].
//!
//! * `state`: the states, and which may follow which.
//! * `connection`: one connection: what it remembers, its repeated message, its timer.
//! * `receive`: messages that arrive.

mod connection;
mod receive;
pub mod state;

#[cfg(test)]
mod tests;

use crate::gid::Gid;
use crate::key::PKey;
use crate::psn::{Psn, Qpn};
use crate::time::{Duration, Time};
use crate::wire::cm::{
    ARI_LEN, About, Dreq, Ids, IpCmHeader, Message, Path, REJ_PRIVATE_LEN, REP_PRIVATE_LEN, REQ_PRIVATE_LEN, Rej,
    RejReason, Rep, Req, service_id,
};
use crate::wire::mad::MAD_LEN;
use crate::wire::template::AddressVector;
use alloc::vec::Vec;
use connection::Connection;
use core::net::SocketAddr;
pub use receive::way_back;
use state::State;

/// Bytes of private data a consumer may add to a REQ.
pub const REQ_CONSUMER_DATA: usize = REQ_PRIVATE_LEN - IpCmHeader::LEN;
/// The upper half of our channel adapter GUIDs: peers that have it are of our own kind (T-50).
pub const GUID_PREFIX: u32 = u32::from_be_bytes(*b"sNDK");
/// CM response time-outs in REQ: 4.3 s.
const RESPONSE_TIMEOUT: u8 = 20;
/// ACK time-out that our REQ and REP promise peers to wait: 0.54 s.
pub const ACK_TIMEOUT: u8 = 17;
/// Retry counts we ask peers for.
const RETRY_COUNT: u8 = 7;
/// How long a peer that takes our REQ's word waits for an answer to a request before it gives up (T-29, T-30).
pub const PATIENCE: Duration = Duration::from_ib_exponent(ACK_TIMEOUT).times(RETRY_COUNT as u64);
/// RNR retry count we ask peers for: without limit (T-29).
const RNR_RETRY_COUNT: u8 = 7;
const MAX_CM_RETRIES: u8 = 15;
const TARGET_ACK_DELAY: u8 = 15;
/// How long an MRA of ours asks for: 17 s.
const SERVICE_TIMEOUT: u8 = 22;
/// How long a consumer may leave a DREQ unanswered before we answer for it (T-41).
const DREQ_PATIENCE: Duration = Duration::from_millis(1_000);
/// Connections that one [`Agent::poll`] deals with, so that its caller has room for what they say.
pub const POLL_MAX: usize = 8;
/// How long a connection's numbers rest (T-42).
const TIMEWAIT: Duration = Duration::from_millis(2_000);
/// How long a refusal is remembered: two of a peer's response time-outs, so that a lost REJ is repeated and no consumer is
/// asked twice.
const REFUSAL_REST: Duration = Duration::from_ib_exponent(RESPONSE_TIMEOUT).times(2);

/// A connection, by its local communication id: random-looking, not used again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u32);

/// No slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// The connection is not in a state that allows it: the peer has gone, or it was never there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongState;

/// What both sides tell each other of their queue pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The queue pair.
    pub qpn: Qpn,
    /// The PSN its owner expects the peer to start with.
    pub starting_psn: Psn,
    /// READs it can serve at once.
    pub responder_resources: u8,
    /// READs it wants to have outstanding.
    pub initiator_depth: u8,
    /// Its receives come from a shared queue.
    pub srq: bool,
}

/// What an active side asks for.
#[derive(Clone, Copy, Debug)]
pub struct ConnectRequest<'a> {
    /// Where to, and from where.
    pub path: AddressVector,
    /// Our port.
    pub source_port: u16,
    /// The peer's port.
    pub port: u16,
    /// Our queue pair.
    pub endpoint: Endpoint,
    /// Payload of a full packet, at most what our link carries (T-43).
    pub path_mtu: u16,
    /// The consumer's private data; what exceeds [`REQ_CONSUMER_DATA`] is cut, so check before.
    pub private_data: &'a [u8],
}

/// What happened.
#[derive(Debug)]
pub enum CmEvent<'a> {
    /// A peer wants to connect; answer with accept, reject or close.
    Request {
        /// Its request.
        req: &'a Req,
        /// Whom, as IP knows it.
        ip: IpCmHeader,
        /// The way back, taken from the frame (T-44).
        path: &'a AddressVector,
    },
    /// The peer accepted; go on with complete, reject or close.
    Accepted {
        /// Its reply.
        rep: &'a Rep,
    },
    /// The peer refused, or its request was void.
    Rejected {
        /// Why.
        reason: RejReason,
        /// The peer's private data.
        private_data: &'a [u8; REJ_PRIVATE_LEN],
    },
    /// The passive side's connection stands.
    Established,
    /// The peer did not answer in time.
    TimedOut,
    /// The peer wants to disconnect.
    DisconnectRequested,
    /// The disconnect is through.
    Disconnected {
        /// The peer took part in it.
        graceful: bool,
    },
    /// The peer forgot the connection: it connects anew with the same queue pair, or knows the id no more.
    Lost,
    /// The id rests no more and means nothing from now on.
    Released,
}

/// Where an agent's words go. Called under whatever excludes others from the agent: note and act later.
pub trait CmPort {
    /// Sends a MAD to QP1 along `path`. It may be lost; what matters is sent again.
    fn send(&mut self, path: &AddressVector, mad: &[u8; MAD_LEN]);
    /// Whether somebody takes requests on this address of ours now. Who asks for one where nobody does is refused at once,
    /// and nothing of it is remembered.
    fn listens(&self, _local: SocketAddr) -> bool {
        true
    }
    /// Something happened to a connection.
    fn event(&mut self, id: ConnectionId, event: CmEvent<'_>);
}

/// Counts of what arrived out of place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CmCounters {
    /// Messages that were no CM message, or one we do not speak.
    pub malformed: u64,
    /// Messages in a state that does not expect them.
    pub out_of_place: u64,
    /// Messages sent again by us.
    pub repeated: u64,
}

/// See the module's text.
#[derive(Debug)]
pub struct Agent {
    connections: Vec<Connection>,
    /// Free slots, oldest first (T-42).
    free: Vec<u32>,
    free_head: usize,
    free_count: usize,
    id_key: u32,
    guid: u64,
    next_transaction: u64,
    counters: CmCounters,
}

impl Agent {
    /// An agent with room for `capacity` connections. `random` gives random numbers, three plus one a connection. `None`
    /// without memory.
    pub fn try_new(capacity: u32, mut random: impl FnMut() -> u32) -> Option<Self> {
        let slots = capacity.max(1).checked_next_power_of_two()?;
        let (mut connections, mut free) = (Vec::new(), Vec::new());
        connections.try_reserve_exact(slots as usize).ok()?;
        free.try_reserve_exact(slots as usize).ok()?;
        for slot in 0..slots {
            // What was reserved; said where `push` can see it, so that it has no reason to grow.
            if connections.len() == connections.capacity() || free.len() == free.capacity() {
                return None;
            }
            connections.push(Connection::new(random().wrapping_mul(slots)));
            free.push(slot);
        }
        Some(Self {
            free_count: free.len(),
            connections,
            free,
            free_head: 0,
            id_key: random(),
            guid: u64::from(GUID_PREFIX) << 32 | u64::from(random()),
            next_transaction: u64::from(random()) << 16,
            counters: CmCounters::default(),
        })
    }

    /// Our channel adapter GUID.
    pub const fn guid(&self) -> u64 {
        self.guid
    }

    /// Counts of what arrived out of place.
    pub const fn counters(&self) -> CmCounters {
        self.counters
    }

    /// How many connections there is room for.
    pub const fn free_count(&self) -> usize {
        self.free_count
    }

    fn slot_of(&self, id: ConnectionId) -> usize {
        ((id.0 ^ self.id_key) as usize) & (self.connections.len() - 1)
    }

    fn find(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slot_of(id);
        self.connections.get_mut(slot).filter(|connection| connection.state != State::Idle && connection.id == id)
    }

    fn allocate(&mut self, path: AddressVector) -> Result<&mut Connection, NoRoom> {
        let slot = self.free.get(self.free_head).copied().filter(|_| self.free_count > 0).ok_or(NoRoom)?;
        self.free_head = (self.free_head + 1) & (self.free.len() - 1);
        self.free_count -= 1;
        let (key, slots) = (self.id_key, self.connections.len() as u32);
        let transaction_id = self.next_transaction;
        self.next_transaction = self.next_transaction.wrapping_add(1);
        let connection = self.connections.get_mut(slot as usize).ok_or(NoRoom)?;
        connection.begin(slot, slots, key, path, transaction_id);
        Ok(connection)
    }

    /// Timewait is nobody's quota (T-42): when every slot is taken, the connection that has rested longest and whose owner is
    /// gone gives its slot to a new one.
    fn make_room(&mut self, port: &mut impl CmPort) {
        if self.free_count > 0 {
            return;
        }
        let resting = self.connections.iter().filter(|one| one.abandoned && one.state == State::Timewait);
        let oldest = resting.min_by_key(|one| one.deadline.unwrap_or(Time::ZERO)).map(|one| one.id);
        if let Some(id) = oldest {
            self.release(id);
            port.event(id, CmEvent::Released);
        }
    }

    fn release(&mut self, id: ConnectionId) {
        let slot = self.slot_of(id);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        connection.end();
        let at = (self.free_head + self.free_count) & (self.free.len() - 1);
        if let Some(place) = self.free.get_mut(at) {
            *place = slot as u32;
            self.free_count += 1;
        }
    }

    /// Starts to connect.
    pub fn connect(
        &mut self,
        now: Time,
        request: &ConnectRequest<'_>,
        port: &mut impl CmPort,
    ) -> Result<ConnectionId, NoRoom> {
        let guid = self.guid;
        self.make_room(port);
        let connection = self.allocate(request.path)?;
        let mut private_data = [0; REQ_PRIVATE_LEN];
        let ip = IpCmHeader {
            source_port: request.source_port,
            source: request.path.source,
            destination: request.path.destination,
        };
        ip.write(&mut private_data);
        fill(private_data.get_mut(IpCmHeader::LEN..), request.private_data);
        let req = Req {
            local_comm_id: connection.id.0,
            service_id: service_id(request.port),
            local_ca_guid: guid,
            local_q_key: 0,
            local_qpn: request.endpoint.qpn,
            responder_resources: request.endpoint.responder_resources,
            initiator_depth: request.endpoint.initiator_depth,
            remote_cm_response_timeout: RESPONSE_TIMEOUT,
            transport_service_type: 0,
            end_to_end_flow_control: false,
            starting_psn: request.endpoint.starting_psn,
            local_cm_response_timeout: RESPONSE_TIMEOUT,
            retry_count: RETRY_COUNT,
            p_key: PKey::DEFAULT.0,
            path_mtu: mtu_code(request.path_mtu),
            rdc_exists: false,
            rnr_retry_count: RNR_RETRY_COUNT,
            max_cm_retries: MAX_CM_RETRIES,
            srq: request.endpoint.srq,
            extended_transport_type: 0,
            primary: primary_path(&request.path),
            alternate: Path::default(),
            private_data,
        };
        connection.local_qpn = request.endpoint.qpn;
        connection.go(State::ReqSent);
        connection.say(Message::Req(req), now, port);
        Ok(connection.id)
    }

    /// Accepts a request.
    pub fn accept(
        &mut self,
        now: Time,
        id: ConnectionId,
        endpoint: &Endpoint,
        private_data: &[u8],
        port: &mut impl CmPort,
    ) -> Result<(), WrongState> {
        let guid = self.guid;
        let connection = self.find(id).filter(|connection| connection.state == State::ReqRcvd).ok_or(WrongState)?;
        let mut rep = Rep {
            local_comm_id: id.0,
            remote_comm_id: connection.remote_id,
            local_q_key: 0,
            local_qpn: endpoint.qpn,
            starting_psn: endpoint.starting_psn,
            responder_resources: endpoint.responder_resources,
            initiator_depth: endpoint.initiator_depth,
            target_ack_delay: TARGET_ACK_DELAY,
            failover_accepted: 0,
            end_to_end_flow_control: false,
            rnr_retry_count: RNR_RETRY_COUNT,
            srq: endpoint.srq,
            local_ca_guid: guid,
            private_data: [0; REP_PRIVATE_LEN],
        };
        fill(Some(&mut rep.private_data), private_data);
        connection.local_qpn = endpoint.qpn;
        connection.go(State::RepSent);
        connection.say(Message::Rep(rep), now, port);
        Ok(())
    }

    /// Refuses: a request, or an acceptance.
    pub fn reject(
        &mut self,
        now: Time,
        id: ConnectionId,
        reason: RejReason,
        private_data: &[u8],
        port: &mut impl CmPort,
    ) -> Result<(), WrongState> {
        let connection = self.find(id).ok_or(WrongState)?;
        let rejected = match connection.state {
            State::ReqRcvd => About::Req,
            State::RepRcvd => About::Rep,
            _ => return Err(WrongState),
        };
        let mut data = [0; REJ_PRIVATE_LEN];
        fill(Some(&mut data), private_data);
        let rej = rej(id.0, connection.remote_id, rejected, reason, data);
        connection.refuse(rej, now, port);
        Ok(())
    }

    /// The active side's consumer is ready: RTU (T-40).
    pub fn complete(&mut self, id: ConnectionId, port: &mut impl CmPort) -> Result<(), WrongState> {
        let connection = self.find(id).filter(|connection| connection.state == State::RepRcvd).ok_or(WrongState)?;
        connection.go(State::Established);
        connection.deadline = None;
        let ids = Ids { local_comm_id: id.0, remote_comm_id: connection.remote_id };
        connection.say_once(&Message::Rtu(ids), port);
        Ok(())
    }

    /// The peer's data came before its RTU: the connection stands.
    pub fn communication_established(&mut self, id: ConnectionId, port: &mut impl CmPort) {
        if let Some(connection) = self.find(id).filter(|connection| connection.state == State::RepSent) {
            connection.establish();
            port.event(id, CmEvent::Established);
        }
    }

    /// The consumer disconnects: DREQ, or the DREP that an earlier DREQ waits for (T-41).
    pub fn disconnect(&mut self, now: Time, id: ConnectionId, port: &mut impl CmPort) -> Result<(), WrongState> {
        let connection = self.find(id).ok_or(WrongState)?;
        match connection.state {
            State::Established => {
                connection.go(State::DreqSent);
                let remote_qpn = connection.remote_qpn;
                let dreq = Dreq { local_comm_id: id.0, remote_comm_id: connection.remote_id, remote_qpn };
                connection.say(Message::Dreq(dreq), now, port);
                Ok(())
            }
            State::DreqRcvd => {
                connection.answer_dreq(port);
                connection.rest(now);
                if !connection.abandoned {
                    port.event(id, CmEvent::Disconnected { graceful: true });
                }
                Ok(())
            }
            State::Timewait if connection.answered => {
                connection.answered = false;
                port.event(id, CmEvent::Disconnected { graceful: true });
                Ok(())
            }
            _ => Err(WrongState),
        }
    }

    /// The consumer gives the connection up, in whatever state it is. `Released` follows, nothing else.
    pub fn close(&mut self, now: Time, id: ConnectionId, port: &mut impl CmPort) {
        let guid = self.guid;
        let state = match self.find(id) {
            Some(connection) => {
                connection.abandoned = true;
                connection.state
            }
            None => return,
        };
        match state {
            State::ReqRcvd | State::RepRcvd => {
                // CN-43: never accepted is refused.
                let _ = self.reject(now, id, RejReason::ConsumerReject, &[], port);
            }
            State::Established | State::DreqRcvd => {
                let _ = self.disconnect(now, id, port);
            }
            State::ReqSent | State::RepSent => {
                // CN-11: the peer may believe in the connection already, or will.
                let reason = if state == State::ReqSent { RejReason::Timeout } else { RejReason::ConsumerReject };
                if let Some(connection) = self.find(id) {
                    connection.give_up(reason, guid, now, port);
                }
            }
            State::DreqSent | State::Timewait | State::Idle => (),
        }
        self.settle(now, id, port);
    }

    /// A connection that rested long enough and whose owner is gone is released.
    fn settle(&mut self, now: Time, id: ConnectionId, port: &mut impl CmPort) {
        let rested = self.find(id).is_some_and(|connection| {
            connection.abandoned
                && connection.state == State::Timewait
                && connection.deadline.is_none_or(|deadline| deadline <= now)
        });
        if rested {
            self.release(id);
            port.event(id, CmEvent::Released);
        }
    }

    /// When [`Agent::poll`] is due.
    pub fn deadline(&self) -> Option<Time> {
        self.connections.iter().filter_map(|connection| connection.deadline).min()
    }

    /// Time has passed: messages are repeated, patience ends, numbers are released. Deals with at most [`POLL_MAX`]
    /// connections; true when there may be more.
    pub fn poll(&mut self, now: Time, port: &mut impl CmPort) -> bool {
        let mut seen = 0;
        for slot in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(slot) else { break };
            if connection.deadline.is_none_or(|deadline| now < deadline) {
                continue;
            }
            if seen == POLL_MAX {
                return true;
            }
            seen += 1;
            let id = connection.id;
            match connection.state {
                State::ReqSent | State::RepSent | State::DreqSent => {
                    if connection.repeat(now, port) {
                        self.counters.repeated += 1;
                        continue;
                    }
                    let was_disconnecting = connection.state == State::DreqSent;
                    if was_disconnecting {
                        connection.rest(now);
                    } else {
                        connection.give_up(RejReason::Timeout, self.guid, now, port);
                    }
                    if !connection.abandoned {
                        let graceful = false;
                        let lost =
                            if was_disconnecting { CmEvent::Disconnected { graceful } } else { CmEvent::TimedOut };
                        port.event(id, lost);
                    }
                }
                State::DreqRcvd => {
                    connection.answer_dreq(port);
                    connection.answered = true;
                    connection.rest(now);
                }
                State::Timewait => connection.deadline = connection.deadline.filter(|_| connection.abandoned),
                State::Idle | State::ReqRcvd | State::RepRcvd | State::Established => connection.deadline = None,
            }
            self.settle(now, id, port);
        }
        false
    }
}

/// Copies what fits.
fn fill(place: Option<&mut [u8]>, data: &[u8]) {
    place.into_iter().flatten().zip(data).for_each(|(to, from)| *to = *from);
}

const fn rej(
    local_comm_id: u32,
    remote_comm_id: u32,
    rejected: About,
    reason: RejReason,
    private_data: [u8; REJ_PRIVATE_LEN],
) -> Rej {
    Rej { local_comm_id, remote_comm_id, rejected, info_length: 0, reason, ari: [0; ARI_LEN], private_data }
}

/// The encoding of a path MTU: the largest standard one that does not exceed `bytes`.
pub const fn mtu_code(bytes: u16) -> u8 {
    match bytes {
        0..512 => 1,
        512..1024 => 2,
        1024..2048 => 3,
        2048..4096 => 4,
        _ => 5,
    }
}

/// The path MTU of an encoding, if it is one.
pub const fn mtu_bytes(code: u8) -> Option<u16> {
    match code {
        1..=5 => Some(128 << code),
        _ => None,
    }
}

/// How long the sender of this REQ waits for an answer to a request before it gives up: its retry count times its ACK
/// time-out, whose 0 means "for ever" (T-29).
pub const fn patience_of(req: &Req) -> Duration {
    match (req.primary.local_ack_timeout, req.retry_count) {
        (0, _) => PATIENCE,
        // The first time-out is the last.
        (exponent, 0) => Duration::from_ib_exponent(exponent),
        (exponent, retries) => Duration::from_ib_exponent(exponent).times(retries as u64),
    }
}

fn primary_path(path: &AddressVector) -> Path {
    Path {
        local_lid: 0xffff,
        remote_lid: 0xffff,
        local_gid: Gid::from_ip(path.source),
        remote_gid: Gid::from_ip(path.destination),
        flow_label: 0,
        packet_rate: 0,
        traffic_class: path.dscp << 2,
        hop_limit: path.hop_limit,
        service_level: 0,
        subnet_local: false,
        local_ack_timeout: ACK_TIMEOUT,
    }
}
