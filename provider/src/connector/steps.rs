//! What the doorways of NDK_CONNECTOR come to: the steps of a connection, each under the connections' lock.

use super::{AddressVector, Connector, Details, DisconnectEvent, HOP_LIMIT, PendingRequest, Phase, Plan, QpPhase};
use crate::limits::READ_LIMIT_MAX;
use crate::object::{Borrowed, Ref};
use crate::platform::Platform;
use crate::qp::{Qp, command, kick};
use ndk_types::{
    NTSTATUS, STATUS_CANCELLED, STATUS_CONNECTION_ABORTED, STATUS_CONNECTION_INVALID, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};
use roce_engine::psn::{Psn, Qpn};
use roce_engine::wire::template::udp_source_port;

/// CN-26: more than the adapter can is capped silently.
fn capped(limit: u32) -> u8 {
    limit.min(READ_LIMIT_MAX) as u8
}

fn random_psn<P: Platform>(platform: &P) -> Psn {
    let mut bytes = [0; 4];
    platform.random(&mut bytes);
    Psn::new(u32::from_le_bytes(bytes))
}

/// Starts to connect: everything is checked and noted, then the next hop is asked for.
pub(super) fn connect<P: Platform>(
    connector: &Borrowed<'_, Connector<P>>,
    qp: &Ref<Qp<P>>,
    plan: &Plan,
    limits: (u32, u32),
    pending: PendingRequest,
    note: impl FnOnce(&mut Details<P>),
) -> NTSTATUS {
    let port = &connector.adapter.port;
    let path = AddressVector {
        source_mac: plan.mac,
        destination_mac: [0; 6],
        vlan_tci: None,
        source: plan.local.ip(),
        destination: plan.peer.ip(),
        hop_limit: HOP_LIMIT,
        dscp: 0,
        source_port: udp_source_port(Qpn::GENERAL_SERVICES, Qpn::GENERAL_SERVICES),
    };
    let psn = random_psn(&port.platform);
    // Outside the closure: what it holds, an address, is not let go of under the lock.
    let mut note = Some(note);
    let begun = connector.with(|details| {
        // CN-40: neither of them a second time.
        if details.phase != Phase::Idle || qp.is_joined() {
            return false;
        }
        details.phase = Phase::Connecting;
        details.qp = Some(qp.clone());
        (details.local, details.peer, details.path) = (Some(plan.local), Some(plan.peer), Some(path));
        details.path_mtu = crate::connections::link_mtu(plan.ip_mtu, plan.local.ip());
        (details.inbound, details.outbound) = (capped(limits.0), capped(limits.1));
        details.responder_psn = psn;
        details.keep_private_data(plan.private_data.get(..plan.private_length).unwrap_or(&[]));
        details.pending = Some(pending);
        if let Some(note) = note.take() {
            note(details);
        }
        true
    });
    if !begun {
        return STATUS_INVALID_DEVICE_STATE;
    }
    let itself = connector.counted();
    let token = port.connections.look(port, |table| table.wait_for_next_hop(itself.clone()));
    let Some(token) = token else {
        connector.with(|details| (details.phase, details.pending) = (Phase::Over, None));
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    port.platform.resolve(plan.local.ip(), plan.peer.ip(), token);
    STATUS_PENDING
}

/// The active side's establishment: CN-09 to CN-12.
pub(super) fn complete_connect<P: Platform>(
    connector: &Borrowed<'_, Connector<P>>,
    event: DisconnectEvent,
) -> NTSTATUS {
    let port = &connector.adapter.port;
    let done = port.connections.change(port, |table, actions| {
        let id = connector.with(|details| details.id.filter(|_| details.phase == Phase::Accepted));
        let Some(id) = id else {
            let over = connector.with(|details| details.phase == Phase::Over && details.id.is_some());
            return Err(if over { STATUS_CONNECTION_ABORTED } else { STATUS_CONNECTION_INVALID });
        };
        let (completed, _) = actions.hear(table, |agent, _, notes| agent.complete(id, notes));
        completed.map_err(|_| STATUS_CONNECTION_ABORTED)?;
        connector.with(|details| (details.phase, details.event) = (Phase::Established, event));
        Ok(())
    });
    match done {
        Some(Ok(())) => (),
        Some(Err(status)) => return status,
        None => return STATUS_INSUFFICIENT_RESOURCES,
    }
    port.counters.connect.add(1);
    port.counters.active_connection.add(1);
    if let Some(qp) = connector.with(|details| details.qp.clone()) {
        qp.set_phase(QpPhase::Connected);
        qp.command(command::ESTABLISH);
        kick(&qp);
    }
    STATUS_SUCCESS
}

/// The passive side's consent: CN-13, CN-14.
pub(super) fn accept<P: Platform>(
    connector: &Borrowed<'_, Connector<P>>,
    qp: &Ref<Qp<P>>,
    limits: (u32, u32),
    data: &[u8],
    event: DisconnectEvent,
    pending: PendingRequest,
) -> NTSTATUS {
    let port = &connector.adapter.port;
    let psn = random_psn(&port.platform);
    let prepared = connector.with(|details| {
        let id = details.id.filter(|_| details.phase == Phase::Requested).ok_or(match details.phase {
            Phase::Over => STATUS_CONNECTION_ABORTED,
            _ => STATUS_INVALID_DEVICE_STATE,
        })?;
        if qp.is_joined() {
            return Err(STATUS_INVALID_DEVICE_STATE);
        }
        details.qp = Some(qp.clone());
        details.responder_psn = psn;
        details.inbound = super::agreed(capped(limits.0), details.inbound);
        details.outbound = super::agreed(capped(limits.1), details.outbound);
        let attributes = details.attributes(qp.qpn).ok_or(STATUS_INVALID_PARAMETER)?;
        let peer = details.path.ok_or(STATUS_INVALID_PARAMETER)?.destination;
        Ok((id, details.endpoint(), attributes, details.of_our_kind, peer))
    });
    let (id, cm_endpoint, attributes, of_our_kind, peer) = match prepared {
        Ok(prepared) => prepared,
        Err(status) => return status,
    };
    // The queue pair serves the peer before the peer knows that it may ask.
    qp.set_connection(id);
    connector.with(|details| details.joined = true);
    qp.connect(attributes, of_our_kind, peer);
    kick(qp);
    let accepted = port.connections.change(port, |table, actions| {
        connector.with(|details| {
            (details.phase, details.pending, details.event) = (Phase::Accepting, Some(pending), event);
        });
        let (accepted, _) = actions.hear(table, |agent, now, notes| agent.accept(now, id, &cm_endpoint, data, notes));
        accepted
    });
    if accepted == Some(Ok(())) {
        return STATUS_PENDING;
    }
    connector.with(|details| (details.phase, details.pending) = (Phase::Over, None));
    if accepted.is_none() { STATUS_INSUFFICIENT_RESOURCES } else { STATUS_CONNECTION_ABORTED }
}

/// Ends whatever the connector is in, for its close: the peer is told, the queue pair flushed, a pending request
/// cancelled.
pub(super) fn abandon<P: Platform>(connector: &Borrowed<'_, Connector<P>>) {
    let port = &connector.adapter.port;
    let (id, qp, told, hold) = connector.with(|details| {
        connector.count_end(details.phase);
        details.event = DisconnectEvent::None;
        let told = details.end(STATUS_CANCELLED);
        // A queue pair that never got the connection may be tried with another connector.
        let qp = details.qp.clone().filter(|_| details.joined);
        (details.id, qp, told, details.hold.take())
    });
    if let Some(qp) = &qp {
        qp.rundown.begin(port, Some(connector.counted()));
        qp.command(command::FLUSH);
        kick(qp);
    }
    if let Some(id) = id {
        port.connections.change(port, |table, actions| {
            table.disown(id, actions);
            actions.hear(table, |agent, now, notes| agent.close(now, id, notes));
        });
    }
    // CN-41: the request's completion before the close's.
    Connector::tell(&connector.counted(), told);
    drop(hold);
}
