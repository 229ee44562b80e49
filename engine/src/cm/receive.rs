//! Messages that arrive: each in the light of the state its connection is in.

use super::connection::Connection;
use super::state::State;
use super::{Agent, CmEvent, CmPort, ConnectionId, DREQ_PATIENCE, SERVICE_TIMEOUT, rej};
use crate::psn::Qpn;
use crate::time::Time;
use crate::wire::Packet;
use crate::wire::cm::{
    About, CmError, Dreq, Ids, IpCmHeader, Message, Mra, REJ_PRIVATE_LEN, Rej, RejReason, Rep, Req, SIDR_UNSUPPORTED,
    Sidr, service_port,
};
use crate::wire::template::{AddressVector, udp_source_port};
use core::net::SocketAddr;

/// The hop limit of our answers.
const HOP_LIMIT: u8 = 64;

/// The way back along which a packet came (T-44): its addresses turned round, its VLAN and priority mirrored (T-33).
pub fn way_back(packet: &Packet<'_>) -> AddressVector {
    AddressVector {
        source_mac: packet.ethernet.destination,
        destination_mac: packet.ethernet.source,
        vlan_tci: packet.ethernet.vlan_tci,
        source: packet.ip.destination(),
        destination: packet.ip.source(),
        hop_limit: HOP_LIMIT,
        dscp: 0,
        source_port: udp_source_port(Qpn::GENERAL_SERVICES, Qpn::GENERAL_SERVICES),
    }
}

/// What a message is answered with when it belongs to no connection.
fn answer(path: &AddressVector, transaction_id: u64, message: &Message, port: &mut impl CmPort) {
    port.send(path, &message.emit(transaction_id));
}

impl Agent {
    /// Takes a MAD that came to QP1 along the way back `path`.
    pub fn handle(&mut self, now: Time, path: &AddressVector, mad: &[u8], port: &mut impl CmPort) {
        let (header, message) = match Message::parse(mad) {
            Ok(parsed) => parsed,
            Err(CmError::Length | CmError::Class | CmError::Attribute(_)) => {
                self.counters.malformed += 1;
                return;
            }
        };
        let tid = header.transaction_id;
        match message {
            Message::Req(req) => self.handle_req(now, path, tid, &req, port),
            Message::Rep(rep) => self.handle_rep(path, tid, &rep, port),
            Message::Rtu(ids) => self.handle_rtu(path, tid, ids, port),
            Message::Rej(rej) => self.handle_rej(now, &rej, port),
            Message::Mra(mra) => self.handle_mra(now, &mra),
            Message::Dreq(dreq) => self.handle_dreq(now, path, tid, &dreq, port),
            Message::Drep(ids) => self.handle_drep(now, ids, port),
            // Datagram services are looked for; NDK has none.
            Message::SidrReq(sidr) => {
                let refusal = Sidr { status: SIDR_UNSUPPORTED, ..sidr };
                answer(path, tid, &Message::SidrRep(refusal), port);
            }
            Message::SidrRep(_) => self.counters.out_of_place += 1,
        }
    }

    /// The connection that a message with these ids is about. `remote` 0 (a REJ before there was an id) matches any.
    fn addressed(&mut self, local: u32, remote: u32) -> Option<&mut Connection> {
        self.find(ConnectionId(local))
            .filter(|connection| remote == 0 || connection.remote_id == 0 || connection.remote_id == remote)
    }

    fn handle_req(&mut self, now: Time, path: &AddressVector, tid: u64, req: &Req, port: &mut impl CmPort) {
        if self.handle_known_req(now, path, tid, req, port) {
            return;
        }
        let unfit = if req.transport_service_type != 0 {
            Some(RejReason::InvalidTransportServiceType)
        } else {
            service_port(req.service_id).is_none().then_some(RejReason::InvalidServiceId)
        };
        if let Some(reason) = unfit {
            let refusal = rej(0, req.local_comm_id, About::Req, reason, [0; REJ_PRIVATE_LEN]);
            return answer(path, tid, &Message::Rej(refusal), port);
        }
        let Some(ip) = IpCmHeader::parse(&req.private_data) else {
            self.counters.malformed += 1;
            let void = rej(0, req.local_comm_id, About::Req, RejReason::Unsupported, [0; REJ_PRIVATE_LEN]);
            return answer(path, tid, &Message::Rej(void), port);
        };
        let nobody = service_port(req.service_id).is_none_or(|at| !port.listens(SocketAddr::new(ip.destination, at)));
        if nobody {
            let refusal = rej(0, req.local_comm_id, About::Req, RejReason::InvalidServiceId, [0; REJ_PRIVATE_LEN]);
            return answer(path, tid, &Message::Rej(refusal), port);
        }
        self.make_room(port);
        let Ok(connection) = self.allocate(*path) else {
            let full = rej(0, req.local_comm_id, About::Req, RejReason::NoResources, [0; REJ_PRIVATE_LEN]);
            return answer(path, tid, &Message::Rej(full), port);
        };
        connection.transaction_id = tid;
        connection.remote_id = req.local_comm_id;
        connection.remote_guid = req.local_ca_guid;
        connection.remote_qpn = req.local_qpn;
        connection.go(State::ReqRcvd);
        port.event(connection.id, CmEvent::Request { req, ip, path });
    }

    /// A REQ whose id, or whose queue pair, is known. True when that settles it.
    fn handle_known_req(
        &mut self,
        now: Time,
        path: &AddressVector,
        tid: u64,
        req: &Req,
        port: &mut impl CmPort,
    ) -> bool {
        let guid = req.local_ca_guid;
        let same_request = |connection: &&mut Connection| {
            connection.state != State::Idle
                && connection.remote_id == req.local_comm_id
                && connection.remote_guid == guid
                && connection.path.destination == path.destination
        };
        if let Some(connection) = self.connections.iter_mut().find(same_request) {
            match connection.state {
                // T-40: the consumer thinks.
                State::ReqRcvd => connection.say_once(&mra(connection, About::Req), port),
                State::RepSent => connection.say_again(port),
                // The REJ was lost.
                State::Timewait if connection.refused => connection.say_again(port),
                State::Idle
                | State::ReqSent
                | State::RepRcvd
                | State::Established
                | State::DreqSent
                | State::DreqRcvd
                | State::Timewait => self.counters.out_of_place += 1,
            }
            return true;
        }
        // T-41: the peer's queue pair is in a connection that it has forgotten.
        let stale = |connection: &&mut Connection| {
            matches!(connection.state, State::Established | State::RepSent | State::DreqSent | State::DreqRcvd)
                && connection.remote_guid == guid
                && connection.remote_qpn == req.local_qpn
                && connection.path.destination == path.destination
        };
        let Some(connection) = self.connections.iter_mut().find(stale) else { return false };
        let id = connection.id;
        let refusal = rej(0, req.local_comm_id, About::Req, RejReason::StaleConnection, [0; REJ_PRIVATE_LEN]);
        answer(path, tid, &Message::Rej(refusal), port);
        connection.rest(now);
        if !connection.abandoned {
            port.event(id, CmEvent::Lost);
        }
        true
    }

    fn handle_rep(&mut self, path: &AddressVector, tid: u64, rep: &Rep, port: &mut impl CmPort) {
        let Some(connection) = self.addressed(rep.remote_comm_id, rep.local_comm_id) else {
            self.counters.out_of_place += 1;
            let (local, remote) = (rep.remote_comm_id, rep.local_comm_id);
            let unknown = rej(local, remote, About::Rep, RejReason::InvalidCommunicationId, [0; REJ_PRIVATE_LEN]);
            return answer(path, tid, &Message::Rej(unknown), port);
        };
        match connection.state {
            State::ReqSent => {
                connection.remote_id = rep.local_comm_id;
                connection.remote_guid = rep.local_ca_guid;
                connection.remote_qpn = rep.local_qpn;
                connection.path.destination_mac = path.destination_mac;
                connection.go(State::RepRcvd);
                connection.deadline = None;
                let id = connection.id;
                port.event(id, CmEvent::Accepted { rep });
            }
            // T-40
            State::RepRcvd => connection.say_once(&mra(connection, About::Rep), port),
            State::Established => {
                let ids = Ids { local_comm_id: connection.id.0, remote_comm_id: connection.remote_id };
                connection.say_once(&Message::Rtu(ids), port);
            }
            State::Timewait if connection.refused => connection.say_again(port),
            State::Timewait => {
                let (local, remote) = (rep.remote_comm_id, rep.local_comm_id);
                let over = rej(local, remote, About::Rep, RejReason::ConsumerReject, [0; REJ_PRIVATE_LEN]);
                answer(path, tid, &Message::Rej(over), port);
            }
            State::Idle | State::ReqRcvd | State::RepSent | State::DreqSent | State::DreqRcvd => {
                self.counters.out_of_place += 1;
            }
        }
    }

    fn handle_rtu(&mut self, path: &AddressVector, tid: u64, ids: Ids, port: &mut impl CmPort) {
        match self.addressed(ids.remote_comm_id, ids.local_comm_id) {
            Some(connection) if connection.state == State::RepSent => {
                connection.establish();
                let id = connection.id;
                port.event(id, CmEvent::Established);
            }
            // We gave it up meanwhile, and the REJ that says so was lost or is on its way.
            Some(connection) if connection.state == State::Timewait && connection.refused => connection.say_again(port),
            // A duplicate, or one that data overtook.
            Some(connection) if connection.state == State::Established => (),
            Some(_) => self.counters.out_of_place += 1,
            // Forgotten: the peer must not believe in it.
            None => {
                self.counters.out_of_place += 1;
                let (local, remote) = (ids.remote_comm_id, ids.local_comm_id);
                let reason = RejReason::InvalidCommunicationId;
                let unknown = rej(local, remote, About::Other(2), reason, [0; REJ_PRIVATE_LEN]);
                answer(path, tid, &Message::Rej(unknown), port);
            }
        }
    }

    /// The connection that a REJ is about. A peer that gave up before it knew our id names itself instead: its own id, and
    /// its GUID in the additional information.
    fn rejected(&mut self, rej: &Rej) -> Option<&mut Connection> {
        if rej.remote_comm_id != 0 || rej.reason != RejReason::Timeout {
            return self.addressed(rej.remote_comm_id, rej.local_comm_id);
        }
        let guid = u64::from_be_bytes(*rej.ari.first_chunk()?);
        self.connections.iter_mut().find(|connection| {
            matches!(connection.state, State::ReqRcvd | State::RepSent)
                && connection.remote_id == rej.local_comm_id
                && connection.remote_guid == guid
        })
    }

    fn handle_rej(&mut self, now: Time, rej: &Rej, port: &mut impl CmPort) {
        let Some(connection) = self.rejected(rej) else {
            self.counters.out_of_place += 1;
            return;
        };
        let id = connection.id;
        match connection.state {
            State::ReqSent | State::RepSent | State::RepRcvd | State::ReqRcvd => {
                connection.rest(now);
                if !connection.abandoned {
                    port.event(id, CmEvent::Rejected { reason: rej.reason, private_data: &rej.private_data });
                }
            }
            // The peer knows the connection no more (its answer to a repeated REP, or a stale one).
            State::Established => {
                connection.rest(now);
                if !connection.abandoned {
                    port.event(id, CmEvent::Lost);
                }
            }
            State::Idle | State::DreqSent | State::DreqRcvd | State::Timewait => self.counters.out_of_place += 1,
        }
        self.settle(now, id, port);
    }

    fn handle_mra(&mut self, now: Time, mra: &Mra) {
        match self.addressed(mra.remote_comm_id, mra.local_comm_id) {
            Some(connection) if matches!(connection.state, State::ReqSent | State::RepSent) => {
                connection.be_patient(mra.service_timeout, now);
            }
            Some(_) | None => self.counters.out_of_place += 1,
        }
    }

    /// T-41: an event and no flush; the DREP comes from the consumer's disconnect or close, or after a bounded time.
    fn handle_dreq(&mut self, now: Time, path: &AddressVector, tid: u64, dreq: &Dreq, port: &mut impl CmPort) {
        let Some(connection) = self.addressed(dreq.remote_comm_id, dreq.local_comm_id) else {
            let ids = Ids { local_comm_id: dreq.remote_comm_id, remote_comm_id: dreq.local_comm_id };
            return answer(path, tid, &Message::Drep(ids), port);
        };
        if dreq.remote_qpn != connection.local_qpn {
            self.counters.out_of_place += 1;
            return;
        }
        let id = connection.id;
        match connection.state {
            State::Established | State::RepSent | State::RepRcvd => {
                // A DREQ that overtook the RTU tells that the connection stood.
                let stood_unknown = connection.state == State::RepSent;
                connection.transaction_id = tid;
                connection.go(State::DreqRcvd);
                connection.deadline = Some(now.after(DREQ_PATIENCE));
                if stood_unknown {
                    port.event(id, CmEvent::Established);
                }
                port.event(id, CmEvent::DisconnectRequested);
            }
            // Crossing DREQs: each answers, and each has heard from the other.
            State::DreqSent => {
                connection.transaction_id = tid;
                connection.answer_dreq(port);
                connection.rest(now);
                if !connection.abandoned {
                    port.event(id, CmEvent::Disconnected { graceful: true });
                }
            }
            State::Timewait => {
                connection.transaction_id = tid;
                connection.answer_dreq(port);
            }
            // The consumer thinks; the peer asks again.
            State::DreqRcvd => (),
            State::Idle | State::ReqSent | State::ReqRcvd => self.counters.out_of_place += 1,
        }
    }

    fn handle_drep(&mut self, now: Time, ids: Ids, port: &mut impl CmPort) {
        match self.addressed(ids.remote_comm_id, ids.local_comm_id) {
            Some(connection) if connection.state == State::DreqSent => {
                let id = connection.id;
                connection.rest(now);
                if !connection.abandoned {
                    port.event(id, CmEvent::Disconnected { graceful: true });
                }
            }
            Some(_) | None => self.counters.out_of_place += 1,
        }
    }
}

/// "Wait": we have your message, the consumer thinks.
fn mra(connection: &Connection, received: About) -> Message {
    Message::Mra(Mra {
        local_comm_id: connection.id.0,
        remote_comm_id: connection.remote_id,
        received,
        service_timeout: SERVICE_TIMEOUT,
    })
}
