//! Connections of a port: the connection manager's agent, the addresses in use, and who owns what.
//!
//! Everything is behind one spin lock. Under it the agent and the connectors' details change and *actions* are noted; when
//! it is left they are carried out in order: MADs leave, completions and events are called. So no callback and no NDIS
//! call happens under the lock (COM-10). Room for the actions is reserved before anything changes; a list is kept for when there is
//! no memory, since a close, and the end of a connection, cannot be refused.

use crate::bounded;
use crate::connector::{Connector, Told};
use crate::endpoint::Endpoints;
use crate::limits::Limits;
use crate::listener::Listener;
use crate::lock::SpinLock;
use crate::object::Ref;
use crate::platform::{Event, LocalInterface, NextHop, Platform, Unresolved};
use crate::port::Port;
use crate::qp::Qp;
use crate::timers::{Owner, Standing};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use roce_engine::cm::{Agent, CmEvent, CmPort, ConnectionId, mtu_bytes, way_back};
use roce_engine::psn::Qpn;
use roce_engine::qp::QpEvent;
use roce_engine::time::Time;
use roce_engine::wire::Packet;
use roce_engine::wire::cm::{RejReason, service_port};
use roce_engine::wire::headers::{Bth, Deth, Ext};
use roce_engine::wire::mad::MAD_LEN;
use roce_engine::wire::opcode::Opcode;
use roce_engine::wire::template::{AddressVector, FrameTemplate};

/// Actions that one call can come to.
const ACTIONS_MAX: usize = 32;

/// Notes an action. One step comes to fewer than [`ACTIONS_MAX`], so there is room. Were there none, a reference would stay held: worse than a leak would be its last drop under the lock.
fn note<P: Platform>(list: &mut Vec<Action<P>>, action: Action<P>) {
    if let Err(action) = bounded::push(list, action) {
        debug_assert!(false, "more actions than were reserved");
        core::mem::forget(action);
    }
}

/// What is to be done when the lock is left.
#[expect(clippy::large_enum_variant, reason = "a handful live for one call; boxing a MAD would allocate")]
pub(crate) enum Action<P: Platform> {
    /// A MAD to send.
    Send(AddressVector, [u8; MAD_LEN]),
    /// Something a connector's consumer is told.
    Tell(Ref<Connector<P>>, Told),
    /// A new connection for a listener's consumer.
    Offer(Ref<Listener<P>>, Ref<Connector<P>>),
    /// A reference to let go of, which may end its object.
    Drop(Ref<Connector<P>>),
}

/// What the lock guards.
pub(crate) struct Table<P: Platform> {
    pub(crate) agent: Agent,
    pub(crate) endpoints: Endpoints<P>,
    owners: Vec<(ConnectionId, Ref<Connector<P>>)>,
    resolving: Vec<(u64, Ref<Connector<P>>)>,
    next_token: u64,
}

/// See the module's text.
pub(crate) struct Connections<P: Platform> {
    table: SpinLock<Table<P>>,
    /// Room for actions without memory; `None` while somebody has it.
    spare: SpinLock<Option<Vec<Action<P>>>>,
    standing: Standing,
    mad_psn: crate::sync::AtomicU32,
}

/// Where the agent's words go: into the actions.
pub(crate) struct Notes<'a, P: Platform> {
    actions: &'a mut Vec<Action<P>>,
    owners: &'a mut Vec<(ConnectionId, Ref<Connector<P>>)>,
    endpoints: &'a Endpoints<P>,
    /// A request to be matched with a listener when the agent is done.
    request: Option<Incoming>,
}

/// A request as it arrived.
pub(crate) struct Incoming {
    pub(crate) id: ConnectionId,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) path: AddressVector,
    pub(crate) req: roce_engine::wire::cm::Req,
}

impl<P: Platform> CmPort for Notes<'_, P> {
    fn send(&mut self, path: &AddressVector, mad: &[u8; MAD_LEN]) {
        // There is room: it was reserved. Were there none, the message would be as lost as any.
        let _ = bounded::push(self.actions, Action::Send(*path, *mad));
    }

    /// LS-06, SE-10, LS-09
    fn listens(&self, local: SocketAddr) -> bool {
        self.endpoints.listens(local)
    }

    fn event(&mut self, id: ConnectionId, event: CmEvent<'_>) {
        if let CmEvent::Request { req, ip, path } = event {
            let Some(port) = service_port(req.service_id) else { return };
            let (local, peer) = (SocketAddr::new(ip.destination, port), SocketAddr::new(ip.source, ip.source_port));
            self.request = Some(Incoming { id, local, peer, path: *path, req: *req });
            return;
        }
        let Some(at) = self.owners.iter().position(|(owned, _)| *owned == id) else { return };
        let Some(owner) = self.owners.get(at).map(|(_, owner)| owner.clone()) else { return };
        if let CmEvent::Released = event {
            if let Some((_, gone)) = bounded::take(self.owners, at) {
                note(self.actions, Action::Drop(gone));
            }
        } else if let Some(told) = owner.hear(&event) {
            note(self.actions, Action::Tell(owner, told));
            return;
        }
        note(self.actions, Action::Drop(owner));
    }
}

impl<P: Platform> Connections<P> {
    pub(crate) fn try_new(limits: &Limits, platform: &P) -> Option<Self> {
        let random = || {
            let mut bytes = [0; 4];
            platform.random(&mut bytes);
            u32::from_le_bytes(bytes)
        };
        let room = limits.connections.max(1).checked_next_power_of_two()? as usize;
        let (mut owners, mut resolving, mut spare) = (Vec::new(), Vec::new(), Vec::new());
        spare.try_reserve_exact(ACTIONS_MAX).ok()?;
        owners.try_reserve_exact(room).ok()?;
        resolving.try_reserve_exact(room).ok()?;
        let table = Table {
            agent: Agent::try_new(limits.connections, random)?,
            endpoints: Endpoints::try_new(limits.endpoints, random())?,
            owners,
            resolving,
            next_token: 1,
        };
        Some(Self {
            table: SpinLock::new(table),
            spare: SpinLock::new(Some(spare)),
            standing: Standing::new(),
            mad_psn: crate::sync::AtomicU32::new(0),
        })
    }

    /// Room for the actions of one change, and whether it is the spare list.
    fn room(&self, port: &Port<P>) -> Option<(Vec<Action<P>>, bool)> {
        let mut actions = Vec::new();
        if actions.try_reserve_exact(ACTIONS_MAX).is_ok() {
            return Some((actions, false));
        }
        let _raised = port.platform.raise();
        self.spare.with(Option::take).map(|spare| (spare, true))
    }

    /// Changes the table and carries out what that comes to. `None` without memory, while another is without memory, too; nothing
    /// has changed then.
    pub(crate) fn change<R>(
        &self,
        port: &Port<P>,
        f: impl FnOnce(&mut Table<P>, &mut Actions<'_, P>) -> R,
    ) -> Option<R> {
        let (mut actions, is_spare) = self.room(port)?;
        let now = port.platform.now();
        let raised = port.platform.raise();
        let (result, deadline) = self.table.with(|table| {
            let result = f(table, &mut Actions { list: &mut actions, now });
            (result, table.agent.deadline())
        });
        drop(raised);
        if let Some(at) = deadline {
            port.enter_timer(Owner::Connections, at, &self.standing);
        }
        for action in actions.drain(..) {
            self.act(port, action);
        }
        if is_spare {
            let _raised = port.platform.raise();
            self.spare.with(|place| *place = Some(actions));
        }
        Some(result)
    }

    /// Only looks.
    pub(crate) fn look<R>(&self, port: &Port<P>, f: impl FnOnce(&mut Table<P>) -> R) -> R {
        let _raised = port.platform.raise();
        self.table.with(f)
    }

    fn act(&self, port: &Port<P>, action: Action<P>) {
        match action {
            Action::Send(path, mad) => self.send(port, &path, &mad),
            Action::Tell(connector, told) => Connector::tell(&connector, told),
            Action::Offer(listener, connector) => listener.offer(connector),
            Action::Drop(reference) => drop(reference),
        }
    }

    /// Sends a MAD from QP1 to QP1. Lost when there is no frame: whatever matters is repeated.
    fn send(&self, port: &Port<P>, path: &AddressVector, mad: &[u8; MAD_LEN]) {
        let Some(template) = FrameTemplate::new(path) else { return };
        let psn = self.mad_psn.fetch_add(1, crate::sync::Ordering::Relaxed);
        let bth = Bth::new(Opcode::UdSendOnly, Qpn::GENERAL_SERVICES, roce_engine::psn::Psn::new(psn));
        let ext = Ext::Deth(Deth {
            q_key: roce_engine::key::QKey::GENERAL_SERVICES,
            reserved: 0,
            source_qp: Qpn::GENERAL_SERVICES,
        });
        let Some(mut frame) = port.platform.frame(template.frame_len(&ext, MAD_LEN)) else { return };
        let filled = template.emit(port.crc, frame.as_mut(), &bth, &ext, MAD_LEN, |payload| {
            payload.copy_from_slice(mad);
            Ok::<(), ()>(())
        });
        if filled.is_ok() {
            port.counters.rdma_out_frames.add(1);
            port.counters.rdma_out_octets.add(frame.as_mut().len() as u64);
            port.platform.transmit(&mut core::iter::once(frame));
        }
    }

    /// A packet to QP1.
    pub(crate) fn on_packet(&self, port: &Port<P>, packet: &Packet<'_>) {
        let path = way_back(packet);
        let interface = port.platform.interface(path.source);
        let handled = self.change(port, |table, actions| {
            let ((), request) =
                actions.hear(table, |agent, now, notes| agent.handle(now, &path, packet.payload, notes));
            if let Some(incoming) = request {
                table.offer(&incoming, interface, actions);
            }
        });
        if handled.is_none() {
            port.counters.cm_dropped.add(1);
        }
    }

    /// The agent's deadline has passed.
    pub(crate) fn on_timer(&self, port: &Port<P>, now: Time) {
        self.standing.clear();
        let mut more = Some(true);
        while more == Some(true) {
            more = self.change(port, |table, actions| actions.hear(table, |agent, _, notes| agent.poll(now, notes)).0);
        }
        if more.is_none() {
            let soon = now.after(roce_engine::time::Duration::from_millis(100));
            port.enter_timer(Owner::Connections, soon, &self.standing);
        }
    }

    /// The next hop of a connector that connects.
    pub(crate) fn on_resolved(&self, port: &Port<P>, token: u64, answer: Result<NextHop, Unresolved>) {
        let found = self.look(port, |table| {
            let at = table.resolving.iter().position(|(waiting, _)| *waiting == token)?;
            bounded::take(&mut table.resolving, at).map(|(_, connector)| connector)
        });
        if let Some(connector) = found {
            crate::connector::resolved(&connector, answer);
        }
    }

    /// A queue pair of a connection said something.
    pub(crate) fn on_queue_pair_event(&self, port: &Port<P>, qp: &Ref<Qp<P>>, event: QpEvent) {
        let id = qp.connection.load(crate::sync::Ordering::Acquire);
        let Some(id) = id.checked_sub(1).map(|id| ConnectionId(id as u32)) else { return };
        self.change(port, |table, actions| match event {
            QpEvent::CommunicationEstablished => {
                actions.hear(table, |agent, _, notes| agent.communication_established(id, notes));
            }
            QpEvent::Fatal(failure) => {
                // T-28: the NAK has left; now the peer is told that it is over.
                let _ = actions.hear(table, |agent, now, notes| agent.disconnect(now, id, notes));
                if let Some(owner) = table.owner(id)
                    && let Some(told) = owner.lost()
                {
                    port.platform.log(Event::ConnectionLost { reason: failure.reason() });
                    actions.tell(owner, told);
                }
            }
        });
    }
}

/// The actions under way, and the time.
pub(crate) struct Actions<'a, P: Platform> {
    list: &'a mut Vec<Action<P>>,
    pub(crate) now: Time,
}

impl<P: Platform> Actions<'_, P> {
    /// Notes something to tell.
    pub(crate) fn tell(&mut self, connector: Ref<Connector<P>>, told: Told) {
        note(self.list, Action::Tell(connector, told));
    }

    /// Notes a reference to let go of outside the lock.
    pub(crate) fn release(&mut self, connector: Ref<Connector<P>>) {
        note(self.list, Action::Drop(connector));
    }

    /// Lets the agent speak; a request for a listener comes back.
    pub(crate) fn hear<R>(
        &mut self,
        table: &mut Table<P>,
        f: impl FnOnce(&mut Agent, Time, &mut Notes<'_, P>) -> R,
    ) -> (R, Option<Incoming>) {
        let mut notes =
            Notes { actions: self.list, owners: &mut table.owners, endpoints: &table.endpoints, request: None };
        let result = f(&mut table.agent, self.now, &mut notes);
        (result, notes.request)
    }
}

impl<P: Platform> Table<P> {
    /// The connector of a connection.
    pub(crate) fn owner(&self, id: ConnectionId) -> Option<Ref<Connector<P>>> {
        self.owners.iter().find(|(owned, _)| *owned == id).map(|(_, owner)| owner.clone())
    }

    /// The connections that stand, as (local, remote).
    pub(crate) fn established(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.owners.iter().filter_map(|(_, owner)| owner.established())
    }

    /// SE-04: whether there is a connection between these two.
    pub(crate) fn has_connection(&self, local: SocketAddr, peer: SocketAddr) -> bool {
        self.owners.iter().any(|(_, owner)| owner.joins(local, peer))
            || self.resolving.iter().any(|(_, owner)| owner.joins(local, peer))
    }

    /// Notes whose connection it is; false without room.
    pub(crate) fn own(&mut self, id: ConnectionId, owner: Ref<Connector<P>>) -> bool {
        match bounded::push(&mut self.owners, (id, owner)) {
            Ok(()) => true,
            // Its own reference stays with the caller: this one is not the last.
            Err(_) => false,
        }
    }

    /// Forgets whose connection it was; the reference is to be let go of outside the lock.
    pub(crate) fn disown(&mut self, id: ConnectionId, actions: &mut Actions<'_, P>) {
        let at = self.owners.iter().position(|(owned, _)| *owned == id);
        if let Some((_, gone)) = at.and_then(|at| bounded::take(&mut self.owners, at)) {
            actions.release(gone);
        }
    }

    /// A connector waits for its next hop; the token that names it. `None` without room.
    pub(crate) fn wait_for_next_hop(&mut self, connector: Ref<Connector<P>>) -> Option<u64> {
        if self.resolving.len() == self.resolving.capacity() {
            return None;
        }
        let token = self.next_token;
        self.next_token = token.wrapping_add(1);
        self.resolving.push((token, connector));
        Some(token)
    }

    /// A request has arrived: it is offered to the listener on its address, or refused.
    fn offer(&mut self, incoming: &Incoming, interface: Option<LocalInterface>, actions: &mut Actions<'_, P>) {
        let id = incoming.id;
        let reason = match self.admit(incoming, interface, actions) {
            Ok(()) => return,
            Err(reason) => reason,
        };
        actions.hear(self, |agent, now, notes| {
            let _ = agent.reject(now, id, reason, &[], notes);
            agent.close(now, id, notes);
        });
    }

    fn admit(
        &mut self,
        incoming: &Incoming,
        interface: Option<LocalInterface>,
        actions: &mut Actions<'_, P>,
    ) -> Result<(), RejReason> {
        // The listener has gone or paused since.
        let listener = self.endpoints.listener(incoming.local).ok_or(RejReason::InvalidServiceId)?;
        let interface = interface.ok_or(RejReason::InvalidPrimaryGid)?;
        // T-43: a REP cannot lower the MTU.
        let path_mtu = mtu_bytes(incoming.req.path_mtu).ok_or(RejReason::InvalidPathMtu)?;
        if path_mtu > link_mtu(interface.ip_mtu, incoming.local.ip()) {
            return Err(RejReason::InvalidPathMtu);
        }
        if self.owners.len() == self.owners.capacity() {
            return Err(RejReason::NoResources);
        }
        let id = incoming.id;
        let held = self.endpoints.hold(incoming.local).ok_or(RejReason::NoResources)?;
        let Some(connector) = crate::connector::incoming(&listener, incoming, path_mtu) else {
            self.endpoints.release(&held);
            return Err(RejReason::NoResources);
        };
        connector.keep(held);
        self.own(id, connector.clone());
        note(actions.list, Action::Offer(listener, connector));
        Ok(())
    }
}

/// The largest path MTU whose packets fit an IP MTU: 1024 at 1500, 4096 at 9000.
pub(crate) fn link_mtu(ip_mtu: u32, address: IpAddr) -> u16 {
    // IP, UDP, BTH, the longest extension headers of a data packet, ICRC.
    let headers = if address.is_ipv4() { 20 } else { 40 } + 8 + 12 + 20 + 4;
    let room = ip_mtu.saturating_sub(headers);
    [4096, 2048, 1024, 512].into_iter().find(|&mtu| u32::from(mtu) <= room).unwrap_or(256)
}
