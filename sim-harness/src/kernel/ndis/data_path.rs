//! Lists on their way: down from the protocol above through the driver to the NIC, and back; up, and back. Each step is held
//! against who holds the list, the state of the edge, the IRQL its flags claim, and its SourceHandle (W-08, W-20).

use super::adapters::{Edge, Miniport, Using, handle};
use super::bindings::using;
use super::lists::{Holder, Nbl};
use super::miniports;
use super::native::{Nic, ProtocolAbove};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nic::NicUp;
use ndk_types::*;
use std::ffi::c_void;
use std::sync::Arc;

/// The same bit in every set of flags.
const AT_DISPATCH: u32 = 1;

/// Flags that claim DISPATCH_LEVEL are true.
fn check_level(machine: &Machine, call: &str, flags: u32) {
    if flags & AT_DISPATCH != 0 && irql::current() != Irql::Dispatch {
        machine.violation("irql", format!("{call} claims DISPATCH_LEVEL at {}", irql::current()));
    }
}

/// SourceHandle is the one that this way wants.
fn check_source(machine: &Machine, call: &str, lists: &[Nbl], source: usize) {
    for list in lists {
        // SAFETY: lists that were found to be alive.
        let found = unsafe { (*list.0).SourceHandle };
        if found.addr() != source {
            let text = format!("{call}: SourceHandle of {:#x} is {:#x}, not {source:#x}", list.0.addr(), found.addr());
            machine.violation("W-20", text);
        }
    }
}

/// An instance in a low-power state says nothing ("Handling a Set Power Request").
fn check_awake(machine: &Machine, instance: usize, call: &str) {
    if machine.adapters().miniports.get(&instance).is_some_and(|one| one.asleep) {
        machine.violation("W-08", format!("{call} by an instance that sleeps"));
    }
}

fn nic_of(machine: &Machine, binding: usize) -> Option<(Arc<dyn Nic>, Edge)> {
    let state = machine.adapters();
    let open = state.bindings.get(&binding)?;
    state.nics.get(&open.nic).map(|lower| (lower.nic.clone(), open.edge))
}

fn above_of(machine: &Machine, instance: usize) -> Option<Arc<dyn ProtocolAbove>> {
    let state = machine.adapters();
    state.miniports.get(&instance).and_then(|one| one.above.clone()).or_else(|| state.above.clone())
}

/// The NIC received frames. With `resources` the lists are its own again when this returns. At DISPATCH_LEVEL.
pub fn nic_indicate(machine: &Arc<Machine>, nic: usize, lists: Vec<Nbl>, resources: bool) {
    let binding = machine.ndis.adapters.binding_of(nic);
    let running = binding.filter(|&binding| {
        machine.adapters().bindings.get(&binding).is_some_and(|open| matches!(open.edge, Edge::Running | Edge::Pausing))
    });
    let protocol = machine.ndis.registrations.protocol();
    let handler = protocol.and_then(|protocol| protocol.ReceiveNetBufferListsHandler);
    let Some(((binding, handler), used)) = running
        .zip(handler)
        .and_then(|(binding, handler)| using(machine, binding).map(|used| ((binding, handler), used)))
    else {
        if !resources && let Some(nic) = machine.adapters().nics.get(&nic).map(|lower| lower.nic.clone()) {
            nic.returned(machine, lists);
        }
        return;
    };
    let chain = machine.ndis.lists.link(&lists);
    if resources {
        machine.ndis.lists.lend(machine, &lists, Holder::Driver);
    } else {
        machine.ndis.lists.hand_over(machine, chain, Holder::Nic, Holder::Driver, "an indication of the NIC");
        if let Some(open) = machine.adapters().bindings.get_mut(&binding) {
            open.indicated += lists.len();
        }
    }
    let flags = AT_DISPATCH | if resources { NDIS_RECEIVE_FLAGS_RESOURCES } else { 0 };
    let count = lists.len() as u32;
    // SAFETY: the handler's contract: the binding's context and a chain of so many lists.
    unsafe {
        crate::call_driver!(
            machine,
            "ProtocolReceiveNetBufferLists",
            Irql::Dispatch,
            handler,
            used.own,
            chain,
            NDIS_DEFAULT_PORT_NUMBER,
            count,
            flags
        );
    }
    if resources {
        machine.ndis.lists.take_back(machine, &lists, Holder::Driver);
    }
}

/// The NIC sent lists, or could not: Status says which. At DISPATCH_LEVEL.
pub fn nic_send_complete(machine: &Arc<Machine>, nic: usize, lists: &[Nbl]) {
    let Some(binding) = machine.ndis.adapters.binding_of(nic) else { return };
    let protocol = machine.ndis.registrations.protocol();
    let handler = protocol.and_then(|protocol| protocol.SendNetBufferListsCompleteHandler);
    let Some((handler, used)) = handler.zip(using(machine, binding)) else { return };
    let chain = machine.ndis.lists.link(lists);
    machine.ndis.lists.hand_over(machine, chain, Holder::Nic, Holder::Driver, "a completion of the NIC");
    if let Some(open) = machine.adapters().bindings.get_mut(&binding) {
        open.sends -= lists.len().min(open.sends);
    }
    // SAFETY: the handler's contract: the binding's context and a chain of the driver's own lists.
    unsafe {
        crate::call_driver!(
            machine,
            "ProtocolSendNetBufferListsComplete",
            Irql::Dispatch,
            handler,
            used.own,
            chain,
            NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL
        );
    }
}

/// The NIC says something about itself. At or below DISPATCH_LEVEL.
pub fn nic_status(machine: &Arc<Machine>, nic: usize, code: NDIS_STATUS, buffer: &[u8]) {
    let Some(binding) = machine.ndis.adapters.binding_of(nic) else { return };
    let handler = machine.ndis.registrations.protocol().and_then(|protocol| protocol.StatusHandlerEx);
    let Some((handler, used)) = handler.zip(using(machine, binding)) else { return };
    let mut bytes = buffer.to_vec();
    // SAFETY: integers and pointers, for which zero is a value.
    let mut given: NDIS_STATUS_INDICATION = unsafe { std::mem::zeroed() };
    given.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_STATUS_INDICATION,
        Revision: NDIS_STATUS_INDICATION_REVISION_1,
        Size: NDIS_SIZEOF_STATUS_INDICATION_REVISION_1,
    };
    given.SourceHandle = handle(nic);
    given.StatusCode = code;
    (given.StatusBuffer, given.StatusBufferSize) = (bytes.as_mut_ptr().cast(), bytes.len() as u32);
    // SAFETY: the handler's contract: the binding's context and an indication that is valid during the call.
    unsafe { crate::call_driver!(machine, "ProtocolStatusEx", Irql::Dispatch, handler, used.own, &raw mut given) };
}

/// A NIC that let a pause pend is paused: what it indicated is back.
pub fn nic_pause_complete(machine: &Arc<Machine>, nic: usize) {
    if let Some(lower) = machine.adapters().nics.get_mut(&nic) {
        lower.paused = true;
    }
}

/// The protocol above sends lists through an instance. At or below DISPATCH_LEVEL.
pub fn protocol_send(machine: &Arc<Machine>, instance: usize, lists: &[Nbl], flags: u32) {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.SendNetBufferListsHandler);
    // In one: a pause that begins after this waits for it.
    let used = Using::begin(machine, instance, |state| {
        let running = |one: &&mut Miniport| one.context != 0 && one.edge == Edge::Running && entry.is_some();
        let miniport = state.miniports.get_mut(&instance).filter(running)?;
        miniport.sends += lists.len();
        Some(miniport.context)
    });
    let Some((entry, used)) = entry.zip(used) else {
        // NDIS completes what is sent to an instance that is paused.
        for list in lists {
            // SAFETY: the protocol's own lists.
            unsafe { (*list.0).Status = NDIS_STATUS_PAUSED };
        }
        if let Some(above) = above_of(machine, instance) {
            above.sent(machine, lists.to_vec());
        }
        return;
    };
    let chain = machine.ndis.lists.link(lists);
    machine.ndis.lists.hand_over(machine, chain, Holder::Above, Holder::Driver, "a send of the protocol above");
    let level = irql::current();
    let flags = if level == Irql::Dispatch { flags | NDIS_SEND_FLAGS_DISPATCH_LEVEL } else { flags };
    // SAFETY: the handler's contract: MiniportAdapterContext and a chain of lists.
    unsafe {
        crate::call_driver!(
            machine,
            "MiniportSendNetBufferLists",
            level,
            entry,
            used.own,
            chain,
            NDIS_DEFAULT_PORT_NUMBER,
            flags
        );
    }
}

/// The protocol above is done with lists that an instance indicated. At or below DISPATCH_LEVEL.
pub fn protocol_return(machine: &Arc<Machine>, instance: usize, lists: &[Nbl]) {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.ReturnNetBufferListsHandler);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else { return };
    let chain = machine.ndis.lists.link(lists);
    machine.ndis.lists.hand_over(machine, chain, Holder::Above, Holder::Driver, "a return of the protocol above");
    if let Some(miniport) = machine.adapters().miniports.get_mut(&instance) {
        miniport.indicated -= lists.len().min(miniport.indicated);
    }
    let level = irql::current();
    let flags = if level == Irql::Dispatch { NDIS_RETURN_FLAGS_DISPATCH_LEVEL } else { 0 };
    // SAFETY: the handler's contract: MiniportAdapterContext and a chain of lists it indicated.
    unsafe { crate::call_driver!(machine, "MiniportReturnNetBufferLists", level, entry, used.own, chain, flags) };
}

/// The protocol above cancels its sends with this id. At or below DISPATCH_LEVEL.
pub fn protocol_cancel(machine: &Arc<Machine>, instance: usize, id: usize) {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.CancelSendHandler);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else { return };
    // SAFETY: the handler's contract: MiniportAdapterContext and an id.
    unsafe {
        crate::call_driver!(
            machine,
            "MiniportCancelSend",
            irql::current(),
            entry,
            used.own,
            super::adapters::handle(id)
        );
    };
}

/// Completes what the driver sends to a binding that does not run.
fn refuse(machine: &Arc<Machine>, binding: usize, lists: &[Nbl]) {
    let protocol = machine.ndis.registrations.protocol();
    let handler = protocol.and_then(|protocol| protocol.SendNetBufferListsCompleteHandler);
    let Some((handler, used)) = handler.zip(using(machine, binding)) else { return };
    for list in lists {
        // SAFETY: lists of the driver, which wait for this completion.
        unsafe { (*list.0).Status = NDIS_STATUS_PAUSED };
    }
    let chain = machine.ndis.lists.link(lists);
    // SAFETY: the handler's contract: the binding's context and a chain of the driver's own lists.
    unsafe {
        crate::call_driver!(
            machine,
            "ProtocolSendNetBufferListsComplete",
            irql::current(),
            handler,
            used.own,
            chain,
            0
        );
    };
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_send_net_buffer_lists(
        number: NDIS_HANDLE,
        chain: *mut NET_BUFFER_LIST,
        _port: NDIS_PORT_NUMBER,
        flags: u32,
    ) {
        let (machine, binding) = (Machine::current(), number.addr());
        check_level(&machine, "NdisSendNetBufferLists", flags);
        if flags & NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK != 0 {
            machine.violation("W-20", "NdisSendNetBufferLists with CHECK_FOR_LOOPBACK from an intermediate driver");
        }
        let Some((nic, edge)) = nic_of(&machine, binding) else {
            machine.violation("W-08", format!("NdisSendNetBufferLists on {binding:#x}, which is no open binding"));
            return;
        };
        if machine.adapters().bindings.get(&binding).is_some_and(|open| open.asleep) {
            machine.violation("W-08", "NdisSendNetBufferLists to a NIC that sleeps");
        }
        let lists = machine.ndis.lists.hand_over(&machine, chain, Holder::Driver, Holder::Nic, "NdisSendNetBufferLists");
        check_source(&machine, "NdisSendNetBufferLists", &lists, binding);
        if edge != Edge::Running {
            if edge == Edge::Paused || edge == Edge::Gone {
                machine.violation("W-08", format!("a send on a binding that is {edge:?}"));
            }
            let chain = machine.ndis.lists.link(&lists);
            machine.ndis.lists.hand_over(&machine, chain, Holder::Nic, Holder::Driver, "a refused send");
            refuse(&machine, binding, &lists);
            return;
        }
        if let Some(open) = machine.adapters().bindings.get_mut(&binding) {
            open.sends += lists.len();
        }
        nic.send(&machine, lists);
    }

    unsafe extern "C" fn ndis_return_net_buffer_lists(number: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, flags: u32) {
        let (machine, binding) = (Machine::current(), number.addr());
        check_level(&machine, "NdisReturnNetBufferLists", flags);
        let Some((nic, _)) = nic_of(&machine, binding) else {
            machine.violation("W-08", format!("NdisReturnNetBufferLists on {binding:#x}, which is no open binding"));
            return;
        };
        let lists = machine.ndis.lists.hand_over(&machine, chain, Holder::Driver, Holder::Nic, "NdisReturnNetBufferLists");
        if let Some(open) = machine.adapters().bindings.get_mut(&binding) {
            open.indicated -= lists.len().min(open.indicated);
        }
        nic.returned(&machine, lists);
    }

    unsafe extern "C" fn ndis_cancel_send_net_buffer_lists(number: NDIS_HANDLE, id: *mut c_void) {
        let machine = Machine::current();
        if let Some((nic, _)) = nic_of(&machine, number.addr()) {
            nic.cancel_send(&machine, id.addr());
        }
    }

    unsafe extern "C" fn ndis_m_send_net_buffer_lists_complete(
        number: NDIS_HANDLE,
        chain: *mut NET_BUFFER_LIST,
        flags: u32,
    ) {
        let (machine, instance) = (Machine::current(), number.addr());
        check_level(&machine, "NdisMSendNetBufferListsComplete", flags);
        let call = "NdisMSendNetBufferListsComplete";
        let lists = machine.ndis.lists.hand_over(&machine, chain, Holder::Driver, Holder::Above, call);
        let known = machine.adapters().miniports.get_mut(&instance).map(|one| {
            let enough = one.sends >= lists.len();
            one.sends -= lists.len().min(one.sends);
            enough
        });
        if known != Some(true) {
            machine.violation("nbl", format!("{call}: more lists than were sent through {instance:#x}"));
        }
        if let Some(above) = above_of(&machine, instance) {
            above.sent(&machine, lists);
        }
    }

    unsafe extern "C" fn ndis_m_indicate_receive_net_buffer_lists(
        number: NDIS_HANDLE,
        chain: *mut NET_BUFFER_LIST,
        _port: NDIS_PORT_NUMBER,
        count: u32,
        flags: u32,
    ) {
        let (machine, instance) = (Machine::current(), number.addr());
        let call = "NdisMIndicateReceiveNetBufferLists";
        check_level(&machine, call, flags);
        let resources = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
        let lists = if resources {
            machine.ndis.lists.lend_chain(&machine, chain, Holder::Driver, Holder::Above, call)
        } else {
            machine.ndis.lists.hand_over(&machine, chain, Holder::Driver, Holder::Above, call)
        };
        check_source(&machine, call, &lists, instance);
        if lists.len() != count as usize {
            machine.violation("nbl", format!("{call} of {} lists says {count}", lists.len()));
        }
        let edge = machine.adapters().miniports.get(&instance).map(|one| one.edge);
        if !matches!(edge, Some(Edge::Running | Edge::Pausing)) {
            machine.violation("W-08", format!("{call} by an instance that is {edge:?}"));
        }
        check_awake(&machine, instance, call);
        if !resources && let Some(one) = machine.adapters().miniports.get_mut(&instance) {
            one.indicated += lists.len();
        }
        match above_of(&machine, instance).filter(|_| edge == Some(Edge::Running)) {
            Some(above) => above.received(&machine, lists.clone(), resources),
            None if !resources => protocol_return(&machine, instance, &lists),
            None => {}
        }
        if resources {
            machine.ndis.lists.take_back(&machine, &lists, Holder::Above);
        }
    }

    unsafe extern "C" fn ndis_m_indicate_status_ex(number: NDIS_HANDLE, indication: *mut NDIS_STATUS_INDICATION) {
        let (machine, instance) = (Machine::current(), number.addr());
        // SAFETY: the page: a valid indication during the call.
        let given = unsafe { indication.read() };
        if given.SourceHandle.addr() != instance {
            machine.violation("W-20", "NdisMIndicateStatusEx with another SourceHandle than the instance's");
        }
        check_awake(&machine, instance, "NdisMIndicateStatusEx");
        let length = given.StatusBufferSize as usize;
        let start = given.StatusBuffer.cast::<u8>();
        // SAFETY: the page: a buffer of so many bytes, or none.
        let bytes: Vec<u8> = (0..length).map(|at| unsafe { start.wrapping_add(at).read() }).collect();
        if let Some(above) = above_of(&machine, instance) {
            above.status(&machine, given.StatusCode, &bytes);
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisSendNetBufferLists <= Dispatch = ndis_send_net_buffer_lists,
        NdisReturnNetBufferLists <= Dispatch = ndis_return_net_buffer_lists,
        NdisCancelSendNetBufferLists <= Dispatch = ndis_cancel_send_net_buffer_lists,
        NdisMSendNetBufferListsComplete <= Dispatch = ndis_m_send_net_buffer_lists_complete,
        NdisMIndicateReceiveNetBufferLists <= Dispatch = ndis_m_indicate_receive_net_buffer_lists,
        NdisMIndicateStatusEx <= Dispatch = ndis_m_indicate_status_ex,
    }
}

/// What a NIC calls, for the NIC with this handle.
#[derive(Clone, Copy, Debug)]
pub struct Up(pub usize);

impl NicUp for Up {
    fn indicate(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool) {
        nic_indicate(machine, self.0, lists, resources);
    }

    fn send_complete(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        nic_send_complete(machine, self.0, &lists);
    }

    fn oid_complete(&self, machine: &Arc<Machine>, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
        super::oids::nic_oid_complete(machine, self.0, request, status);
    }

    fn status(&self, machine: &Arc<Machine>, code: NDIS_STATUS, buffer: &[u8]) {
        nic_status(machine, self.0, code, buffer);
    }

    fn pause_complete(&self, machine: &Arc<Machine>) {
        nic_pause_complete(machine, self.0);
    }

    fn handle(&self) -> usize {
        self.0
    }
}
