//! NDK through NDIS: NDK_ADAPTERs opened and closed, NDK announced and taken back (PNP-01 to PNP-15), and events of devices.

use super::adapters::{Asked, Edge, Miniport};
use super::miniports;
use super::registration::check_header;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use ndk_types::*;
use std::ptr;
use std::sync::Arc;

/// NDK is not enabled over this interface (OPEN_NDK_ADAPTER_HANDLER's page).
const NOT_READY: NTSTATUS = NDIS_STATUS_ADAPTER_NOT_READY;

/// Opens an NDK_ADAPTER over the interface with this index. PASSIVE_LEVEL.
pub fn open_ndk_adapter(
    machine: &Arc<Machine>,
    index: u32,
    version: NDK_VERSION,
) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
    let instance = machine.adapters().at_index(index).ok_or(STATUS_NOT_FOUND)?;
    let enabled =
        machine.adapters().miniports.get(&instance).is_some_and(|one| one.ndk_enabled && one.edge != Edge::Gone);
    if !enabled {
        return Err(NOT_READY);
    }
    open_on(machine, instance, version)
}

/// The same on an instance, whether NDIS believes NDK to be enabled or not: the driver has to know by itself (PNP-05).
pub fn open_on(machine: &Arc<Machine>, instance: usize, version: NDK_VERSION) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
    let ndk = machine.ndis.registrations.ndk().ok_or(STATUS_NOT_SUPPORTED)?;
    let entry = ndk.OpenNDKAdapterHandler.ok_or(STATUS_NOT_SUPPORTED)?;
    let used = miniports::using(machine, instance).ok_or(STATUS_NOT_FOUND)?;
    // SAFETY: integers and pointers, for which zero is a value.
    let mut given: NDIS_OPEN_NDK_ADAPTER_PARAMETERS = unsafe { std::mem::zeroed() };
    given.Version = version;
    let mut opened: *mut NDK_ADAPTER = ptr::null_mut();
    let status = {
        // SAFETY: the handler's contract: MiniportAdapterContext, valid parameters, room for the adapter.
        unsafe {
            crate::call_driver!(
                machine,
                "OpenNDKAdapter",
                Irql::Passive,
                entry,
                used.own,
                &raw mut given,
                &raw mut opened
            )
        }
    };
    if status != NDIS_STATUS_SUCCESS {
        return Err(status);
    }
    if opened.is_null() {
        machine.violation("ADP-01", "an open succeeds without an adapter");
        return Err(STATUS_UNSUCCESSFUL);
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&instance) {
        miniport.ndk_open.push(opened.expose_provenance());
    }
    Ok(opened)
}

/// Closes an NDK_ADAPTER: returns when everything under it is closed. PASSIVE_LEVEL, on a kernel thread.
pub fn close_ndk_adapter(machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER) {
    let holds = |one: &Miniport| one.ndk_open.contains(&adapter.addr());
    let instance = machine.adapters().miniports.iter().find(|(_, one)| holds(one)).map(|(&number, _)| number);
    let Some(instance) = instance else {
        machine.violation("ADP-15", format!("NDK_ADAPTER {:#x} is closed and not open", adapter.addr()));
        return;
    };
    let entry = machine.ndis.registrations.ndk().and_then(|ndk| ndk.CloseNDKAdapterHandler);
    // Until it is off the list: a halt that waits for this call must not find it there.
    let call = entry.zip(miniports::using(machine, instance));
    if let Some((entry, used)) = &call {
        // SAFETY: the handler's contract: MiniportAdapterContext and an open adapter, for the last time.
        unsafe { crate::call_driver!(machine, "CloseNDKAdapter", Irql::Passive, *entry, used.own, adapter) };
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&instance) {
        // One alone: the address may be another adapter's by now.
        if let Some(place) = miniport.ndk_open.iter().position(|&open| open == adapter.addr()) {
            miniport.ndk_open.swap_remove(place);
        }
    }
}

/// NDK_ADAPTERs that are open over an instance.
pub fn open_ndk_adapters(machine: &Machine, instance: usize) -> usize {
    machine.adapters().miniports.get(&instance).map_or(0, |one| one.ndk_open.len())
}

/// Whether NDIS believes NDK to be enabled over an instance.
pub fn is_ndk_enabled(machine: &Machine, instance: usize) -> bool {
    machine.adapters().miniports.get(&instance).is_some_and(|one| one.ndk_enabled)
}

/// An event for the driver's protocol, without a binding. PASSIVE_LEVEL.
pub(super) fn driver_event(
    machine: &Arc<Machine>,
    code: NET_PNP_EVENT_CODE,
    buffer: *mut u8,
    length: usize,
) -> NDIS_STATUS {
    let handler = machine.ndis.registrations.protocol().and_then(|protocol| protocol.NetPnPEventHandler);
    let Some(handler) = handler else { return NDIS_STATUS_FAILURE };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut notice: NET_PNP_EVENT_NOTIFICATION = unsafe { std::mem::zeroed() };
    notice.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NET_PNP_EVENT_NOTIFICATION_REVISION_1,
        Size: NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1,
    };
    notice.NetPnPEvent.NetEvent = code;
    (notice.NetPnPEvent.Buffer, notice.NetPnPEvent.BufferLength) = (buffer.cast(), length as u32);
    // SAFETY: the handler's contract: no binding, and an event that stays during the call.
    unsafe {
        crate::call_driver!(machine, "ProtocolNetPnPEvent", Irql::Passive, handler, ptr::null_mut(), &raw mut notice)
    }
}

/// MiniportDevicePnPEventNotify: the virtual device is removed by surprise, or anything else of its device. PASSIVE_LEVEL.
pub fn device_event(machine: &Arc<Machine>, instance: usize, event: NDIS_DEVICE_PNP_EVENT) {
    let driver = machine.ndis.registrations.miniport();
    let entry = driver.and_then(|driver| driver.given.DevicePnPEventNotifyHandler);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else { return };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut notice: NET_DEVICE_PNP_EVENT = unsafe { std::mem::zeroed() };
    notice.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NET_DEVICE_PNP_EVENT_REVISION_1,
        Size: size_of::<NET_DEVICE_PNP_EVENT>() as u16,
    };
    notice.DevicePnPEvent = event;
    // SAFETY: the handler's contract: MiniportAdapterContext and an event that stays during the call.
    unsafe {
        crate::call_driver!(machine, "MiniportDevicePnPEventNotify", Irql::Passive, entry, used.own, &raw mut notice);
    };
}

/// MiniportShutdownEx, at any IRQL.
pub fn shutdown(machine: &Arc<Machine>, instance: usize, level: Irql) {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.ShutdownHandlerEx);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else { return };
    // SAFETY: the handler's contract: MiniportAdapterContext.
    unsafe { crate::call_driver!(machine, "MiniportShutdownEx", level, entry, used.own, NdisShutdownPowerOff) };
}

fn ndk_event(machine: &Arc<Machine>, instance: usize, enable: bool) {
    let above = {
        let mut state = machine.adapters();
        let Some(miniport) = state.miniports.get_mut(&instance) else { return };
        let (regular, same) = (miniport.regular, miniport.ndk_enabled == enable);
        miniport.ndk_enabled = enable;
        let above = miniport.above.clone();
        drop(state);
        if let Some(asked) = regular.filter(Asked::forbids_events) {
            machine.violation("OID-07", format!("NdisMNetPnPEvent while request {:#x} is under way", asked.oid));
        }
        if same {
            machine.violation("OID-08", "NDK is announced as what it is already");
        }
        above
    };
    if !enable && open_on_refused(machine, instance).is_err() {
        machine.violation("PNP-06", "an NDK_ADAPTER can be opened while NDK is being disabled");
    }
    if let Some(above) = above {
        above.ndk_changed(machine, enable);
    }
    if enable {
        return;
    }
    let watched = machine.clone();
    machine.wait("the NDK_ADAPTERs of a disabled interface", None, move || {
        watched.adapters().miniports.get(&instance).is_none_or(|one| one.ndk_open.is_empty())
    });
}

/// Opening must be refused from the moment the disable is announced; what was opened after all is closed again.
fn open_on_refused(machine: &Arc<Machine>, instance: usize) -> Result<(), ()> {
    match open_on(machine, instance, NDK_VERSION { Major: 2, Minor: 1 }) {
        Err(_) => Ok(()),
        Ok(adapter) => {
            close_ndk_adapter(machine, adapter);
            Err(())
        }
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_m_net_pnp_event(
        number: NDIS_HANDLE,
        event: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS {
        let (machine, instance) = (Machine::current(), number.addr());
        // SAFETY: the page: a valid event during the call.
        let given = unsafe { event.read() };
        let sizes = [NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1];
        check_header(&machine, "NET_PNP_EVENT_NOTIFICATION", given.Header, NDIS_OBJECT_TYPE_DEFAULT, &sizes);
        let known = machine.adapters().miniports.get(&instance).is_some_and(|one| one.initialised);
        let code = given.NetPnPEvent.NetEvent;
        if !known || (code != NetEventNDKEnable && code != NetEventNDKDisable) {
            machine.violation("PNP-01", format!("NdisMNetPnPEvent {code} of {instance:#x}, which is no running instance"));
            return NDIS_STATUS_FAILURE;
        }
        if !given.NetPnPEvent.Buffer.is_null() || given.NetPnPEvent.BufferLength != 0 {
            machine.violation("PNP-01", "an NDK event has a buffer");
        }
        if machine.take_failure("NdisMNetPnPEvent") {
            return NDIS_STATUS_RESOURCES;
        }
        ndk_event(&machine, instance, code == NetEventNDKEnable);
        NDIS_STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisMNetPnPEvent <= Passive = ndis_m_net_pnp_event,
    }
}
