//! A peer by hand: each message as it would come from the far end of one connection, and a sheet of what our agent said
//! and reported in return.

use super::*;
use crate::wire::cm::Mra;
use std::string::String;

/// The peer's communication id, channel adapter, queue pair, and the transaction it opened.
pub(super) const PEER: u32 = 0x0a0b_0c0d;
pub(super) const PEER_GUID: u64 = 0x5254_00ff_fe12_3456;
pub(super) const PEER_QPN: u32 = 0x345;
pub(super) const PEER_TID: u64 = 0x0123_4567_89ab_cdef;

/// What was said (along which path, in which transaction) and what was reported.
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) said: Vec<(AddressVector, u64, Message)>,
    pub(super) told: Vec<(ConnectionId, Seen)>,
    pub(super) private_data: Vec<u8>,
    pub(super) ip: Option<IpCmHeader>,
}

impl CmPort for Sheet {
    fn send(&mut self, path: &AddressVector, mad: &[u8; MAD_LEN]) {
        let (header, message) = Message::parse(mad).unwrap();
        self.said.push((*path, header.transaction_id, message));
    }

    fn event(&mut self, id: ConnectionId, event: CmEvent<'_>) {
        match &event {
            CmEvent::Request { req, ip, .. } => {
                self.private_data = req.private_data[IpCmHeader::LEN..].to_vec();
                self.ip = Some(*ip);
            }
            CmEvent::Accepted { rep } => self.private_data = rep.private_data.to_vec(),
            CmEvent::Rejected { private_data, .. } => self.private_data = private_data.to_vec(),
            CmEvent::Established
            | CmEvent::TimedOut
            | CmEvent::DisconnectRequested
            | CmEvent::Disconnected { .. }
            | CmEvent::Lost
            | CmEvent::Released => (),
        }
        let mut note = Note::default();
        note.event(id, event);
        self.told.append(&mut note.events);
    }
}

impl Sheet {
    /// The names of what was said and what was reported since the last time.
    pub(super) fn take(&mut self) -> (Vec<&'static str>, Vec<Seen>) {
        let said = self.said.drain(..).map(|(_, _, message)| message.name()).collect();
        (said, self.told.drain(..).map(|(_, seen)| seen).collect())
    }

    /// The only message said since the last time.
    pub(super) fn one(&mut self) -> (AddressVector, u64, Message) {
        assert_eq!(self.said.len(), 1, "{:?}", self.said.iter().map(|(_, _, what)| what.name()).collect::<Vec<_>>());
        self.said.remove(0)
    }
}

/// Our agent with one connection to the hand-made peer.
pub(super) struct Desk {
    pub(super) agent: Agent,
    pub(super) path: AddressVector,
    pub(super) sheet: Sheet,
    pub(super) id: ConnectionId,
    pub(super) now: Time,
}

pub(super) fn req() -> Req {
    let Side { path, .. } = Side::new(2, 1, 5);
    let mut private_data = [0; REQ_PRIVATE_LEN];
    IpCmHeader { source_port: 40_000, source: path.source, destination: path.destination }.write(&mut private_data);
    Req {
        local_comm_id: PEER,
        service_id: service_id(445),
        local_ca_guid: PEER_GUID,
        local_q_key: 0,
        local_qpn: Qpn::new(PEER_QPN),
        responder_resources: 32,
        initiator_depth: 0,
        remote_cm_response_timeout: 20,
        transport_service_type: 0,
        end_to_end_flow_control: false,
        starting_psn: Psn::new(0x00fe_dcba),
        local_cm_response_timeout: 20,
        retry_count: 6,
        p_key: 0xffff,
        path_mtu: 3,
        rdc_exists: false,
        rnr_retry_count: 0,
        max_cm_retries: 15,
        srq: false,
        extended_transport_type: 0,
        primary: primary_path(&path),
        alternate: Path::default(),
        private_data,
    }
}

pub(super) fn rep(to: ConnectionId) -> Message {
    Message::Rep(Rep {
        local_comm_id: PEER,
        remote_comm_id: to.0,
        local_q_key: 0,
        local_qpn: Qpn::new(PEER_QPN),
        starting_psn: Psn::new(0x00ab_cdef),
        responder_resources: 1,
        initiator_depth: 8,
        target_ack_delay: 15,
        failover_accepted: 0,
        end_to_end_flow_control: false,
        rnr_retry_count: 0,
        srq: false,
        local_ca_guid: PEER_GUID,
        private_data: [0x5a; REP_PRIVATE_LEN],
    })
}

pub(super) fn rtu(to: ConnectionId) -> Message {
    Message::Rtu(Ids { local_comm_id: PEER, remote_comm_id: to.0 })
}

pub(super) fn drep(to: ConnectionId) -> Message {
    Message::Drep(Ids { local_comm_id: PEER, remote_comm_id: to.0 })
}

pub(super) fn dreq(to: ConnectionId, qpn: u32) -> Message {
    Message::Dreq(Dreq { local_comm_id: PEER, remote_comm_id: to.0, remote_qpn: Qpn::new(qpn) })
}

pub(super) fn mra_of(to: ConnectionId, received: About, service_timeout: u8) -> Message {
    Message::Mra(Mra { local_comm_id: PEER, remote_comm_id: to.0, received, service_timeout })
}

pub(super) fn refusal(to: ConnectionId, rejected: About, reason: RejReason) -> Message {
    Message::Rej(rej(PEER, to.0, rejected, reason, [0x77; REJ_PRIVATE_LEN]))
}

/// Our queue pair in all of these connections.
pub(super) const OUR_QPN: u32 = 0x117;

impl Desk {
    pub(super) fn new() -> Self {
        let Side { agent, path, .. } = Side::new(1, 2, 77);
        Self { agent, path, sheet: Sheet::default(), id: ConnectionId(0), now: at(0) }
    }

    /// A message from the peer, in its own transaction.
    pub(super) fn hear(&mut self, message: &Message) {
        self.hear_in(PEER_TID, message);
    }

    pub(super) fn hear_in(&mut self, transaction_id: u64, message: &Message) {
        self.agent.handle(self.now, &self.path, &message.emit(transaction_id), &mut self.sheet);
    }

    /// Lets time pass up to `until`, with everything that falls due on the way.
    pub(super) fn wait(&mut self, until: Time) {
        while let Some(due) = self.agent.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            while self.agent.poll(self.now, &mut self.sheet) {}
        }
        self.now = until;
    }

    pub(super) fn connect(&mut self) {
        let request = ConnectRequest {
            path: self.path,
            source_port: 50_000,
            port: 7174,
            endpoint: endpoint(OUR_QPN),
            path_mtu: 1024,
            private_data: b"hello",
        };
        self.id = self.agent.connect(self.now, &request, &mut self.sheet).unwrap();
    }

    pub(super) fn accept(&mut self) {
        self.agent.accept(self.now, self.id, &endpoint(OUR_QPN), b"welcome", &mut self.sheet).unwrap();
    }

    pub(super) fn disconnect(&mut self) -> Result<(), WrongState> {
        self.agent.disconnect(self.now, self.id, &mut self.sheet)
    }

    pub(super) fn close(&mut self) {
        self.agent.close(self.now, self.id, &mut self.sheet);
    }

    pub(super) fn state(&mut self) -> State {
        self.agent.find(self.id).map_or(State::Idle, |connection| connection.state)
    }

    /// A connection in `state`, passive where there is a choice; nothing said or reported is left on the sheet.
    pub(super) fn in_state(state: State) -> Self {
        let mut desk = Self::new();
        match state {
            State::Idle => desk.id = ConnectionId(0x1357_9bdf),
            State::ReqSent => desk.connect(),
            State::RepRcvd => {
                desk.connect();
                desk.hear(&rep(desk.id));
            }
            State::ReqRcvd | State::RepSent | State::Established | State::DreqSent | State::DreqRcvd => {
                desk.hear(&Message::Req(req()));
                desk.id = desk.sheet.told[0].0;
            }
            State::Timewait => {
                desk = Self::in_state(State::DreqSent);
                desk.hear(&drep(desk.id));
            }
        }
        if matches!(state, State::RepSent | State::Established | State::DreqSent | State::DreqRcvd) {
            desk.accept();
        }
        if matches!(state, State::Established | State::DreqSent | State::DreqRcvd) {
            desk.hear(&rtu(desk.id));
        }
        match state {
            State::DreqSent => desk.disconnect().unwrap(),
            State::DreqRcvd => desk.hear(&dreq(desk.id, OUR_QPN)),
            _ => (),
        }
        assert_eq!(desk.state(), state);
        let _ = desk.sheet.take();
        desk
    }

    /// The active side's connection that stands.
    pub(super) fn active() -> Self {
        let mut desk = Self::in_state(State::RepRcvd);
        desk.agent.complete(desk.id, &mut desk.sheet).unwrap();
        let _ = desk.sheet.take();
        desk
    }

    /// What was said, what was reported and where the connection is now, as a line.
    pub(super) fn line(&mut self) -> String {
        let before = self.agent.counters().out_of_place;
        let (said, told) = self.sheet.take();
        let said = if said.is_empty() { String::from("-") } else { said.join(" ") };
        let told: Vec<String> = told.iter().map(|seen| std::format!("{seen:?}")).collect();
        let told = if told.is_empty() { String::from("-") } else { told.join(" ") };
        let counted = if before > 0 { ", counted" } else { "" };
        std::format!("says {said}, reports {told}, then {:?}{counted}", self.state())
    }
}
