//! The connection manager's entry points.

use roce_engine::cm::{Agent, CmEvent, CmPort, ConnectRequest, ConnectionId, Endpoint};
use roce_engine::time::Time;
use roce_engine::wire::cm::{IpCmHeader, Message, RejReason};
use roce_engine::wire::mad::MAD_LEN;
use roce_engine::wire::template::AddressVector;

unsafe extern "C" {
    fn opaque_mad(path: *const AddressVector, mad: *const [u8; MAD_LEN]);
    fn opaque_event(id: u32, event: *const core::ffi::c_void);
    fn opaque_random() -> u32;
}

struct Opaque;

impl CmPort for Opaque {
    fn send(&mut self, path: &AddressVector, mad: &[u8; MAD_LEN]) {
        // SAFETY: never run.
        unsafe { opaque_mad(path, mad) }
    }

    fn event(&mut self, id: ConnectionId, event: CmEvent<'_>) {
        // SAFETY: never run.
        unsafe { opaque_event(id.0, (&raw const event).cast()) }
    }
}

#[unsafe(no_mangle)]
pub fn cm_try_new(capacity: u32) -> Option<Agent> {
    // SAFETY: never run.
    Agent::try_new(capacity, || unsafe { opaque_random() })
}

#[unsafe(no_mangle)]
pub fn cm_handle(agent: &mut Agent, now: Time, path: &AddressVector, mad: &[u8]) {
    agent.handle(now, path, mad, &mut Opaque);
}

#[unsafe(no_mangle)]
pub fn cm_poll(agent: &mut Agent, now: Time) -> (bool, Option<Time>) {
    (agent.poll(now, &mut Opaque), agent.deadline())
}

#[unsafe(no_mangle)]
pub fn cm_connect(agent: &mut Agent, now: Time, request: &ConnectRequest<'_>) -> Option<ConnectionId> {
    agent.connect(now, request, &mut Opaque).ok()
}

#[unsafe(no_mangle)]
pub fn cm_accept(agent: &mut Agent, now: Time, id: ConnectionId, endpoint: &Endpoint, data: &[u8]) -> bool {
    agent.accept(now, id, endpoint, data, &mut Opaque).is_ok()
}

#[unsafe(no_mangle)]
pub fn cm_answers(agent: &mut Agent, now: Time, id: ConnectionId, data: &[u8], which: u8) -> bool {
    match which {
        0 => agent.reject(now, id, RejReason::ConsumerReject, data, &mut Opaque).is_ok(),
        1 => agent.complete(id, &mut Opaque).is_ok(),
        2 => agent.disconnect(now, id, &mut Opaque).is_ok(),
        3 => {
            agent.communication_established(id, &mut Opaque);
            true
        }
        _ => {
            agent.close(now, id, &mut Opaque);
            true
        }
    }
}

#[unsafe(no_mangle)]
pub fn cm_parse(mad: &[u8], data: &[u8; 92]) -> (bool, bool) {
    (Message::parse(mad).is_ok(), IpCmHeader::parse(data).is_some())
}
