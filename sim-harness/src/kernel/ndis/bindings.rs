//! Bindings of the driver's protocol to NICs: offered, opened, restarted, paused, unbound, closed (W-01 to W-03, W-07, W-08).

use super::adapters::{BINDING, Binding, Edge, Lower, NIC, OPERATION, Offer, Using, context, handle};
use super::native::{Nic, NicAttributes};
use super::registration::{PROTOCOL, check_header};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::nt::runtime::text;
use ndk_types::*;
use std::collections::VecDeque;
use std::sync::Arc;

/// A counted string and its characters.
pub(super) struct Counted {
    units: Box<[u16]>,
}

impl Counted {
    pub(super) fn new(text: &str) -> Self {
        Self { units: text.encode_utf16().collect() }
    }

    pub(super) fn string(&self) -> UNICODE_STRING {
        let length = (self.units.len() * 2) as u16;
        UNICODE_STRING { Length: length, MaximumLength: length, Buffer: self.units.as_ptr().cast_mut() }
    }
}

/// The registry key of the driver's parameters for a NIC (W-02).
pub fn key_of(nic_name: &str) -> String {
    format!(r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\softndk\Parameters\Adapters\{nic_name}")
}

/// A handle for a NIC that is about to appear.
pub fn nic_handle(machine: &Machine) -> usize {
    machine.adapters().handle(NIC)
}

/// A NIC appears; a protocol that is registered is offered it, on a kernel thread.
pub fn add_nic(machine: &Arc<Machine>, number: usize, nic: Arc<dyn Nic>) {
    machine.adapters().nics.insert(number, Lower { nic, binding: None, paused: false, leaving: false });
    if machine.ndis.registrations.protocol().is_some() {
        let owner = machine.clone();
        machine.thread("a bind", move || offer(&owner, number));
    }
}

/// A NIC goes away: what is bound to it is unbound first. On a kernel thread, since that may take as long as a consumer does.
pub fn remove_nic(machine: &Arc<Machine>, nic: usize) {
    let owner = machine.clone();
    machine.thread("the removal of a NIC", move || {
        unbind_nic(&owner, nic);
        owner.adapters().nics.remove(&nic);
    });
}

/// Every NIC is offered to a protocol that was just registered.
pub(super) fn offer_all(machine: &Arc<Machine>) {
    let (nics, at_once) = {
        let state = machine.adapters();
        (state.nics.keys().copied().collect::<Vec<_>>(), state.choices.bind_at_once)
    };
    for nic in nics {
        if at_once {
            offer(machine, nic);
        } else {
            let owner = machine.clone();
            machine.thread("a bind", move || offer(&owner, nic));
        }
    }
}

/// Every binding is closed: the protocol goes.
pub(super) fn unbind_all(machine: &Arc<Machine>) {
    let nics: Vec<usize> = machine.adapters().nics.keys().copied().collect();
    for nic in nics {
        unbind_nic(machine, nic);
    }
}

fn attributes(machine: &Machine, number: usize) -> Option<NicAttributes> {
    let nic = machine.adapters().nics.get(&number).map(|lower| lower.nic.clone())?;
    Some(nic.attributes())
}

fn rss() -> NDIS_RECEIVE_SCALE_CAPABILITIES {
    NDIS_RECEIVE_SCALE_CAPABILITIES {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_RSS_CAPABILITIES,
            Revision: NDIS_RECEIVE_SCALE_CAPABILITIES_REVISION_1,
            Size: NDIS_SIZEOF_RECEIVE_SCALE_CAPABILITIES_REVISION_1,
        },
        CapabilitiesFlags: 0,
        NumberOfInterruptMessages: 4,
        NumberOfReceiveQueues: 4,
        NumberOfIndirectionTableEntries: 128,
    }
}

/// NDIS_BIND_PARAMETERS of what a NIC says; names and capabilities stay with the caller.
pub(super) fn parameters(
    nic: &NicAttributes,
    name: &mut UNICODE_STRING,
    scaling: &mut NDIS_RECEIVE_SCALE_CAPABILITIES,
) -> NDIS_BIND_PARAMETERS {
    // SAFETY: integers and pointers, for which zero is a value.
    let mut given: NDIS_BIND_PARAMETERS = unsafe { std::mem::zeroed() };
    given.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_BIND_PARAMETERS,
        Revision: NDIS_BIND_PARAMETERS_REVISION_4,
        Size: size_of::<NDIS_BIND_PARAMETERS>() as u16,
    };
    given.AdapterName = &raw mut *name;
    given.BoundAdapterName = &raw mut *name;
    (given.MediaType, given.MtuSize) = (nic.medium, nic.mtu);
    (given.MaxXmitLinkSpeed, given.XmitLinkSpeed) = (nic.speed, nic.speed);
    (given.MaxRcvLinkSpeed, given.RcvLinkSpeed) = (nic.speed, nic.speed);
    given.MediaConnectState = if nic.connected { MediaConnectStateConnected } else { MediaConnectStateDisconnected };
    given.MediaDuplexState = MediaDuplexStateFull;
    given.LookaheadSize = nic.mtu;
    given.SupportedPacketFilters = nic.packet_filters;
    given.MaxMulticastListSize = nic.max_multicast;
    given.MacAddressLength = 6;
    given.CurrentMacAddress[..6].copy_from_slice(&nic.mac);
    if nic.rss {
        given.RcvScaleCapabilities = &raw mut *scaling;
    }
    (given.BoundIfNetluid.Value, given.LowestIfNetluid.Value) = (nic.luid, nic.luid);
    (given.BoundIfIndex, given.LowestIfIndex) = (nic.index, nic.index);
    given.AccessType = NET_IF_ACCESS_BROADCAST;
    given.DirectionType = NET_IF_DIRECTION_SENDRECEIVE;
    given.ConnectionType = NET_IF_CONNECTION_DEDICATED;
    given.IfType = IF_TYPE_ETHERNET_CSMACD;
    given.IfConnectorPresent = 1;
    given.MacOptions = nic.mac_options;
    given.CompartmentId = 1;
    given
}

/// Offers a NIC to the protocol, and restarts the binding it made. PASSIVE_LEVEL.
fn offer(machine: &Arc<Machine>, nic: usize) {
    let Some(attributes) = attributes(machine, nic) else { return };
    if machine.adapters().nics.get(&nic).is_some_and(|lower| lower.binding.is_some()) {
        return;
    }
    let Some(binding) = offer_adapter(machine, nic, &attributes) else { return };
    if let Some(lower) = machine.adapters().nics.get_mut(&nic) {
        lower.binding = Some(binding);
    }
    restart(machine, binding);
}

/// ProtocolBindAdapterEx for anything that looks like an adapter; the binding, if one was made.
pub(super) fn offer_adapter(machine: &Arc<Machine>, nic: usize, attributes: &NicAttributes) -> Option<usize> {
    let protocol = machine.ndis.registrations.protocol()?;
    let bind = protocol.BindAdapterHandlerEx?;
    let name = Counted::new(&attributes.name);
    let mut string = name.string();
    let mut scaling = rss();
    let mut given = parameters(attributes, &mut string, &mut scaling);
    let operation = {
        let mut state = machine.adapters();
        let operation = state.handle(OPERATION);
        state.offers.insert(operation, Offer { nic, binding: None, completed: None });
        operation
    };
    let mut status = {
        // SAFETY: the handler's contract: its driver's context, this operation, valid parameters.
        unsafe {
            crate::call_driver!(
                machine,
                "ProtocolBindAdapterEx",
                Irql::Passive,
                bind,
                context(machine.ndis.registrations.protocol_context()),
                handle(operation),
                &raw mut given
            )
        }
    };
    if status == NDIS_STATUS_PENDING {
        let watched = machine.clone();
        let over = move || watched.adapters().offers.get(&operation).is_none_or(|offer| offer.completed.is_some());
        machine.wait("the completion of a bind", None, over);
        status = machine.adapters().offers.get(&operation).and_then(|offer| offer.completed).unwrap_or(status);
    } else if machine.adapters().offers.get(&operation).is_some_and(|offer| offer.completed.is_some()) {
        machine.violation("W-01", format!("a bind to {} is completed and does not pend", attributes.name));
    }
    let made = machine.adapters().offers.remove(&operation).and_then(|offer| offer.binding);
    if status == NDIS_STATUS_SUCCESS {
        if made.is_none() {
            machine.violation("W-01", format!("a bind to {} succeeded and opened nothing", attributes.name));
        }
        return made;
    }
    if made.is_some_and(|made| machine.adapters().bindings.contains_key(&made)) {
        machine.violation("W-01", format!("a bind to {} failed and left the adapter open", attributes.name));
    }
    None
}

/// A binding's context and whether it is there.
pub(super) fn context_of(machine: &Machine, binding: usize) -> Option<NDIS_HANDLE> {
    machine.adapters().bindings.get(&binding).map(|binding| context(binding.context))
}

/// Begins a call of a handler for a binding, if it is there.
pub(super) fn using(machine: &Arc<Machine>, binding: usize) -> Option<Using> {
    Using::begin(machine, binding, |state| state.bindings.get(&binding).map(|binding| binding.context))
}

/// Whether an event is complete, and its status.
fn event(
    machine: &Arc<Machine>,
    binding: usize,
    code: NET_PNP_EVENT_CODE,
    body: Option<(*mut u8, u32)>,
) -> NDIS_STATUS {
    let Some(handler) = machine.ndis.registrations.protocol().and_then(|protocol| protocol.NetPnPEventHandler) else {
        return NDIS_STATUS_FAILURE;
    };
    let Some(own) = context_of(machine, binding) else { return NDIS_STATUS_FAILURE };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut notice: Box<NET_PNP_EVENT_NOTIFICATION> = unsafe { Box::new(std::mem::zeroed()) };
    notice.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NET_PNP_EVENT_NOTIFICATION_REVISION_1,
        Size: NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1,
    };
    notice.NetPnPEvent.NetEvent = code;
    if let Some((buffer, length)) = body {
        (notice.NetPnPEvent.Buffer, notice.NetPnPEvent.BufferLength) = (buffer.cast(), length);
    }
    let place = Box::into_raw(notice);
    let address = place.expose_provenance();
    if let Some(binding) = machine.adapters().bindings.get_mut(&binding) {
        (binding.pausing, binding.pause_complete) = (Some(address), false);
    }
    let mut status = {
        // SAFETY: the handler's contract: the binding's context and an event that stays until it is complete.
        unsafe { crate::call_driver!(machine, "ProtocolNetPnPEvent", Irql::Passive, handler, own, place) }
    };
    if status == NDIS_STATUS_PENDING {
        let watched = machine.clone();
        let over = move || watched.adapters().bindings.get(&binding).is_none_or(|binding| binding.pause_complete);
        machine.wait("NdisCompleteNetPnPEvent", None, over);
        status = NDIS_STATUS_SUCCESS;
    } else if machine.adapters().bindings.get(&binding).is_some_and(|binding| binding.pause_complete) {
        machine.violation("W-08", format!("event {code} is completed and does not pend"));
    }
    if let Some(binding) = machine.adapters().bindings.get_mut(&binding) {
        binding.pausing = None;
    }
    // SAFETY: made above; the event is complete.
    drop(unsafe { Box::from_raw(place) });
    status
}

/// Restarts a binding: the NIC first, then the protocol. PASSIVE_LEVEL.
pub fn restart(machine: &Arc<Machine>, binding: usize) {
    let nic = {
        let mut state = machine.adapters();
        let Some(open) = state.bindings.get_mut(&binding) else { return };
        open.edge = Edge::Running;
        let number = open.nic;
        state.nics.get(&number).map(|lower| lower.nic.clone())
    };
    if let Some(nic) = nic {
        nic.restart(machine);
    }
    let status = event(machine, binding, NetEventRestart, None);
    if status != NDIS_STATUS_SUCCESS {
        machine.violation("W-08", format!("NetEventRestart answered {status:#x}"));
    }
}

/// Pauses a binding: the protocol first, then the NIC. PASSIVE_LEVEL; returns when both are paused.
pub fn pause(machine: &Arc<Machine>, binding: usize) {
    let nic = {
        let mut state = machine.adapters();
        let Some(open) = state.bindings.get_mut(&binding).filter(|open| open.edge == Edge::Running) else { return };
        open.edge = Edge::Pausing;
        let number = open.nic;
        state.nics.get(&number).map(|lower| (number, lower.nic.clone()))
    };
    // SAFETY: integers, for which zero is a value.
    let mut body: NDIS_PROTOCOL_PAUSE_PARAMETERS = unsafe { std::mem::zeroed() };
    body.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NDIS_PROTOCOL_PAUSE_PARAMETERS_REVISION_1,
        Size: size_of::<NDIS_PROTOCOL_PAUSE_PARAMETERS>() as u16,
    };
    let length = size_of::<NDIS_PROTOCOL_PAUSE_PARAMETERS>() as u32;
    let status = event(machine, binding, NetEventPause, Some(((&raw mut body).cast(), length)));
    if status != NDIS_STATUS_SUCCESS {
        machine.violation("W-08", format!("NetEventPause answered {status:#x}: a pause cannot fail"));
    }
    let out = machine.adapters().bindings.get(&binding).map_or(0, |open| open.sends);
    if out > 0 {
        machine.violation("W-08", format!("a pause is complete while {out} lists of the protocol are still below"));
    }
    if let Some((number, nic)) = nic {
        if let Some(lower) = machine.adapters().nics.get_mut(&number) {
            lower.paused = false;
        }
        let paused = nic.pause(machine);
        let watched = machine.clone();
        let over = move || watched.adapters().nics.get(&number).is_none_or(|lower| lower.paused);
        if !paused {
            machine.wait("the lists a NIC indicated", None, over);
        }
    }
    if let Some(open) = machine.adapters().bindings.get_mut(&binding) {
        open.edge = Edge::Paused;
    }
}

/// The NIC sleeps or wakes: NetEventSetPower, which returns when the driver has nothing below any more. PASSIVE_LEVEL; the
/// pause or restart that goes with it is the caller's ("Handling a Set Power Request": in any order).
pub fn set_power(machine: &Arc<Machine>, binding: usize, state: NET_DEVICE_POWER_STATE) -> NDIS_STATUS {
    let mut body = state;
    let asleep = state != NetDeviceStateD0;
    if !asleep && let Some(open) = machine.adapters().bindings.get_mut(&binding) {
        open.asleep = false;
    }
    let length = size_of::<NET_DEVICE_POWER_STATE>() as u32;
    let status = event(machine, binding, NetEventSetPower, Some(((&raw mut body).cast(), length)));
    let out = machine.adapters().bindings.get_mut(&binding).map(|open| {
        open.asleep = asleep;
        (open.sends, open.requests.len())
    });
    if let Some((sends, requests)) = out.filter(|&out| asleep && out != (0, 0)) {
        let text = format!("NetEventSetPower is complete while the NIC has {sends} lists and {requests} requests");
        machine.violation("W-08", text);
    }
    status
}

/// Unbinds what is bound to a NIC, once: who comes second waits for the first. PASSIVE_LEVEL; returns when the unbind is
/// complete.
pub fn unbind_nic(machine: &Arc<Machine>, nic: usize) {
    let Some(binding) = machine.ndis.adapters.binding_of(nic) else { return };
    let under_way =
        machine.adapters().nics.get_mut(&nic).is_some_and(|lower| std::mem::replace(&mut lower.leaving, true));
    if under_way {
        let watched = machine.clone();
        machine.wait("an unbind under way", None, move || {
            watched.adapters().nics.get(&nic).is_none_or(|lower| !lower.leaving)
        });
        return;
    }
    pause(machine, binding);
    let protocol = machine.ndis.registrations.protocol();
    let Some(unbind) = protocol.and_then(|protocol| protocol.UnbindAdapterHandlerEx) else { return };
    let Some(own) = context_of(machine, binding) else { return };
    let operation = {
        let mut state = machine.adapters();
        let operation = state.handle(OPERATION);
        state.unbinds.insert(operation, false);
        operation
    };
    let status = {
        // SAFETY: the handler's contract: this operation and the binding's context.
        unsafe {
            crate::call_driver!(machine, "ProtocolUnbindAdapterEx", Irql::Passive, unbind, handle(operation), own)
        }
    };
    if status == NDIS_STATUS_PENDING {
        let watched = machine.clone();
        machine.wait("the completion of an unbind", None, move || {
            watched.adapters().unbinds.get(&operation).is_none_or(|done| *done)
        });
    } else if status != NDIS_STATUS_SUCCESS {
        machine.violation("W-07", format!("ProtocolUnbindAdapterEx answered {status:#x}: an unbind cannot fail"));
    } else if machine.adapters().unbinds.get(&operation) == Some(&true) {
        machine.violation("W-07", "an unbind is completed and does not pend");
    }
    let mut state = machine.adapters();
    state.unbinds.remove(&operation);
    let left = state.bindings.contains_key(&binding);
    if let Some(lower) = state.nics.get_mut(&nic) {
        (lower.binding, lower.leaving) = (None, false);
    }
    drop(state);
    if left {
        machine.violation("W-07", "an unbind is complete and the binding is still open");
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_open_adapter_ex(
        protocol: NDIS_HANDLE,
        own: NDIS_HANDLE,
        parameters: *mut NDIS_OPEN_PARAMETERS,
        bind_context: NDIS_HANDLE,
        place: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS {
        let machine = Machine::current();
        // SAFETY: the page: valid parameters during the call.
        let given = unsafe { parameters.read() };
        let (object_type, sizes) = (NDIS_OBJECT_TYPE_OPEN_PARAMETERS, [NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1]);
        if !check_header(&machine, "NDIS_OPEN_PARAMETERS", given.Header, object_type, &sizes) {
            return NDIS_STATUS_FAILURE;
        }
        if machine.take_failure("NdisOpenAdapterEx") {
            return NDIS_STATUS_RESOURCES;
        }
        let offered = machine.adapters().offers.get(&bind_context.addr()).map(|offer| offer.nic);
        let Some(nic) = offered.filter(|_| protocol.addr() == PROTOCOL) else {
            machine.violation("W-01", "NdisOpenAdapterEx outside ProtocolBindAdapterEx");
            return NDIS_STATUS_FAILURE;
        };
        let name = text(given.AdapterName.cast());
        let Some(attributes) = attributes(&machine, nic) else {
            machine.violation("W-03", format!("the protocol opens {name}, a virtual miniport of its own driver"));
            return NDIS_STATUS_OPEN_FAILED;
        };
        if !attributes.name.eq_ignore_ascii_case(&name) {
            machine.violation("W-01", format!("{} was offered and {name} is opened", attributes.name));
            return NDIS_STATUS_ADAPTER_NOT_FOUND;
        }
        // SAFETY: the page: an array of so many media.
        let media = (0..given.MediumArraySize as usize).map(|at| unsafe { given.MediumArray.wrapping_add(at).read() });
        let Some(index) = media.into_iter().position(|medium| medium == attributes.medium) else {
            return NDIS_STATUS_UNSUPPORTED_MEDIA;
        };
        // SAFETY: the page: room for the index.
        unsafe { given.SelectedMediumIndex.write(index as u32) };
        let (number, pends) = open(&machine, nic, own.expose_provenance(), bind_context.addr());
        machine.ndis.configuration.attach(number, key_of(&attributes.name));
        if !pends {
            // SAFETY: the page: room for a handle.
            unsafe { place.write(handle(number)) };
            return NDIS_STATUS_SUCCESS;
        }
        let (place, owner) = (place.expose_provenance(), machine.clone());
        machine.thread("the completion of an open", move || {
            // SAFETY: the page: the place stays until ProtocolOpenAdapterCompleteEx.
            unsafe { std::ptr::with_exposed_provenance_mut::<NDIS_HANDLE>(place).write(handle(number)) };
            let protocol = owner.ndis.registrations.protocol();
            let complete = protocol.and_then(|protocol| protocol.OpenAdapterCompleteHandlerEx);
            let Some((complete, own)) = complete.zip(context_of(&owner, number)) else { return };
            // SAFETY: the handler's contract: the binding's context.
            unsafe { crate::call_driver!(owner, "ProtocolOpenAdapterCompleteEx", Irql::Passive, complete, own, NDIS_STATUS_SUCCESS) };
        });
        NDIS_STATUS_PENDING
    }

    unsafe extern "C" fn ndis_close_adapter_ex(number: NDIS_HANDLE) -> NDIS_STATUS {
        let machine = Machine::current();
        let number = number.addr();
        let found = machine.adapters().bindings.get_mut(&number).map(|binding| {
            let twice = std::mem::replace(&mut binding.closed, true);
            binding.edge = Edge::Gone;
            (twice, binding.sends, binding.indicated, binding.requests.len(), context(binding.context))
        });
        // What the driver has in its handlers runs to their ends; nothing new begins after an unbind's pause.
        Using::wait_for_all(&machine, number, "handlers of a binding that is closed");
        let Some((false, sends, indicated, requests, own)) = found else {
            machine.violation("W-07", format!("NdisCloseAdapterEx of {number:#x}, which is no open binding"));
            return NDIS_STATUS_SUCCESS;
        };
        if sends + indicated + requests > 0 {
            let text = format!("a binding is closed with {sends} sends, {indicated} receives and {requests} requests out");
            machine.violation("W-07", text);
        }
        machine.ndis.configuration.detach(number);
        if !machine.adapters().choices.close_pends {
            forget(&machine, number);
            return NDIS_STATUS_SUCCESS;
        }
        let owner = machine.clone();
        let own = own.expose_provenance();
        machine.thread("the completion of a close", move || {
            let protocol = owner.ndis.registrations.protocol();
            forget(&owner, number);
            let Some(complete) = protocol.and_then(|protocol| protocol.CloseAdapterCompleteHandlerEx) else { return };
            // SAFETY: the handler's contract: the binding's context.
            unsafe { crate::call_driver!(owner, "ProtocolCloseAdapterCompleteEx", Irql::Passive, complete, context(own)) };
        });
        NDIS_STATUS_PENDING
    }

    unsafe extern "C" fn ndis_complete_bind_adapter_ex(operation: NDIS_HANDLE, status: NDIS_STATUS) {
        let machine = Machine::current();
        let before = machine.adapters().offers.get_mut(&operation.addr()).map(|offer| offer.completed.replace(status));
        if before != Some(None) || status == NDIS_STATUS_PENDING {
            machine.violation("W-01", "NdisCompleteBindAdapterEx of no bind, twice, or with PENDING");
        }
    }

    unsafe extern "C" fn ndis_complete_unbind_adapter_ex(operation: NDIS_HANDLE) {
        let machine = Machine::current();
        let before = machine.adapters().unbinds.get_mut(&operation.addr()).map(|done| std::mem::replace(done, true));
        if before != Some(false) {
            machine.violation("W-07", "NdisCompleteUnbindAdapterEx of no unbind, or twice");
        }
    }

    unsafe extern "C" fn ndis_complete_net_pnp_event(
        number: NDIS_HANDLE,
        event: *mut NET_PNP_EVENT_NOTIFICATION,
        status: NDIS_STATUS,
    ) {
        let machine = Machine::current();
        let mut state = machine.adapters();
        let binding = state.bindings.get_mut(&number.addr());
        let good = binding.is_some_and(|binding| {
            let good = binding.pausing == Some(event.addr()) && !binding.pause_complete;
            binding.pause_complete |= good;
            good
        });
        drop(state);
        if !good || status != NDIS_STATUS_SUCCESS {
            machine.violation("W-08", format!("NdisCompleteNetPnPEvent with {status:#x} of an event that is not pending"));
        }
    }
}

/// The binding is closed.
fn forget(machine: &Machine, number: usize) {
    let mut state = machine.adapters();
    state.bindings.remove(&number);
    for lower in state.nics.values_mut().filter(|lower| lower.binding == Some(number)) {
        lower.binding = None;
    }
}

/// Makes a binding; its handle, and whether the open pends.
fn open(machine: &Machine, nic: usize, own: usize, operation: usize) -> (usize, bool) {
    let mut state = machine.adapters();
    let number = state.handle(BINDING);
    let new = Binding {
        nic,
        context: own,
        edge: Edge::Paused,
        asleep: false,
        sends: 0,
        indicated: 0,
        requests: VecDeque::new(),
        pausing: None,
        pause_complete: false,
        closed: false,
    };
    state.bindings.insert(number, new);
    if let Some(offer) = state.offers.get_mut(&operation) {
        offer.binding = Some(number);
    }
    if let Some(lower) = state.nics.get_mut(&nic) {
        lower.binding = Some(number);
    }
    (number, state.choices.open_pends)
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisOpenAdapterEx <= Passive = ndis_open_adapter_ex,
        NdisCloseAdapterEx <= Passive = ndis_close_adapter_ex,
        NdisCompleteBindAdapterEx <= Passive = ndis_complete_bind_adapter_ex,
        NdisCompleteUnbindAdapterEx <= Passive = ndis_complete_unbind_adapter_ex,
        NdisCompleteNetPnPEvent <= Dispatch = ndis_complete_net_pnp_event,
    }
}
