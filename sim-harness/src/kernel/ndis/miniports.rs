//! Instances of the virtual miniport: initialised over a device that is there, restarted, paused, halted; their attributes
//! (W-01, W-04, W-08, W-21, REG-06 to REG-18).

use super::adapters::{Device, Edge, INSTANCE, Miniport, Using, context, handle};
use super::attributes::Attributes;
use super::bindings::{self, Counted};
use super::native::NicAttributes;
use super::registration::MINIPORT;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::nt::runtime::text;
use ndk_types::*;
use std::sync::Arc;

/// PnP finds a virtual device. One that is started is initialised as soon as the driver asks; else when it is started.
pub fn add_device(machine: &Arc<Machine>, device: Device) {
    machine.adapters().devices.push(device);
}

/// PnP starts a device: an initialisation that waits for it goes on. PASSIVE_LEVEL.
pub fn start_device(machine: &Arc<Machine>, name: &str) {
    let mut state = machine.adapters();
    if let Some(device) = state.devices.iter_mut().find(|device| device.name.eq_ignore_ascii_case(name)) {
        device.started = true;
    }
    let place = state.waiting.iter().position(|(waiting, _)| waiting.eq_ignore_ascii_case(name));
    let waiting = place.map(|place| state.waiting.remove(place));
    drop(state);
    if let Some((name, own)) = waiting {
        initialise(machine, &name, own);
    }
}

/// Somebody disables the virtual device: its instance is halted, the device stays and may be enabled again with
/// [`enable_device`]. On a kernel thread of its own.
pub fn disable_device(machine: &Arc<Machine>, name: &str) {
    let instance = {
        let mut state = machine.adapters();
        if let Some(device) = state.devices.iter_mut().find(|device| device.name.eq_ignore_ascii_case(name)) {
            device.started = false;
        }
        state.miniports.iter().find(|(_, one)| one.device.name.eq_ignore_ascii_case(name)).map(|(&number, _)| number)
    };
    let owner = machine.clone();
    machine.thread("the disabling of a device", move || {
        if let Some(instance) = instance {
            halt(&owner, instance, NdisHaltDeviceDisabled);
        }
    });
}

/// The device is enabled again: NDIS tells the protocol edge (NetEventIMReEnableDevice), which asks for the initialisation.
pub fn enable_device(machine: &Arc<Machine>, name: &str) {
    if let Some(device) = machine.adapters().devices.iter_mut().find(|one| one.name.eq_ignore_ascii_case(name)) {
        device.started = true;
    }
    let (owner, name) = (machine.clone(), name.to_owned());
    machine.thread("the enabling of a device", move || {
        let name = Counted::new(&name);
        let mut string = name.string();
        super::pnp::driver_event(
            &owner,
            NetEventIMReEnableDevice,
            (&raw mut string).cast(),
            size_of::<UNICODE_STRING>(),
        );
    });
}

/// MiniportInitializeEx over a device, then the restart and the protocols above. PASSIVE_LEVEL.
fn initialise(machine: &Arc<Machine>, name: &str, own: usize) {
    let registered = machine.ndis.registrations.miniport();
    let Some(registered) = registered else { return };
    let Some(entry) = registered.given.InitializeHandlerEx else { return };
    let (number, device) = {
        let mut state = machine.adapters();
        let Some(device) = state.devices.iter().find(|device| device.name.eq_ignore_ascii_case(name)).cloned() else {
            return;
        };
        let number = state.handle(INSTANCE);
        state.miniports.insert(number, Miniport::new(device.clone()));
        (number, device)
    };
    machine.ndis.configuration.attach(number, &device.key);
    machine.ndis.work_items.allow(number);
    // SAFETY: integers and pointers, for which zero is a value.
    let mut given: NDIS_MINIPORT_INIT_PARAMETERS = unsafe { std::mem::zeroed() };
    given.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS,
        Revision: NDIS_MINIPORT_INIT_PARAMETERS_REVISION_1,
        Size: size_of::<NDIS_MINIPORT_INIT_PARAMETERS>() as u16,
    };
    given.IMDeviceInstanceContext = context(own);
    given.IfIndex = device.index;
    given.NetLuid.Value = device.luid;
    let status = {
        // SAFETY: the handler's contract: the instance's handle, the driver's context, valid parameters.
        unsafe {
            crate::call_driver!(
                machine,
                "MiniportInitializeEx",
                Irql::Passive,
                entry,
                handle(number),
                context(registered.context),
                &raw mut given
            )
        }
    };
    if status != NDIS_STATUS_SUCCESS {
        machine.log(format!("MiniportInitializeEx of {name} answered {status:#010x}"));
        forget(machine, number);
        return;
    }
    let seen = {
        let mut state = machine.adapters();
        let Some(miniport) = state.miniports.get_mut(&number) else { return };
        miniport.initialised = true;
        miniport.ndk_enabled = miniport.seen.ndk.as_ref().is_some_and(|ndk| ndk.enabled);
        miniport.seen.clone()
    };
    if !seen.registered || seen.general.is_none() {
        machine.violation("W-04", format!("{name} is initialised without registration or general attributes"));
    }
    if seen.ndk.is_none() && machine.ndis.is_ndk_provider() {
        machine.violation("REG-06", format!("{name} is initialised without NDK attributes"));
    }
    let owner = machine.clone();
    machine.thread("the start of a miniport", move || start(&owner, number));
}

/// After the initialisation: the miniport is restarted, the protocol above binds, and our own protocol is offered it too.
fn start(machine: &Arc<Machine>, number: usize) {
    restart(machine, number);
    let (own, above) = {
        let mut state = machine.adapters();
        let above = state.above.clone();
        let Some(miniport) = state.miniports.get_mut(&number) else { return };
        miniport.above.clone_from(&above);
        (as_adapter(miniport), above)
    };
    if let Some(above) = above.as_ref() {
        above.bound(machine, number, &own);
    }
    // W-03: NDIS offers an adapter to every protocol whose lower range fits, ours among them; an open is a violation.
    bindings::offer_adapter(machine, number, &own);
}

/// What a protocol above is told of an instance.
fn as_adapter(miniport: &Miniport) -> NicAttributes {
    let general = miniport.seen.general.clone();
    NicAttributes {
        name: miniport.device.name.clone(),
        luid: miniport.device.luid,
        index: miniport.device.index,
        mac: general.as_ref().map_or([0; 6], |general| general.mac),
        mtu: general.as_ref().map_or(0, |general| general.mtu),
        speed: general.as_ref().map_or(0, |general| general.speed),
        connected: general.as_ref().is_some_and(|general| general.connected),
        packet_filters: general.as_ref().map_or(0, |general| general.packet_filters),
        max_multicast: general.as_ref().map_or(0, |general| general.max_multicast),
        mac_options: general.as_ref().map_or(0, |general| general.mac_options),
        rss: general.as_ref().is_some_and(|general| general.rss),
        medium: NdisMedium802_3,
    }
}

/// The attributes of an instance.
pub fn attributes(machine: &Machine, number: usize) -> Option<Attributes> {
    machine.adapters().miniports.get(&number).map(|miniport| miniport.seen.clone())
}

/// MiniportRestart. PASSIVE_LEVEL.
pub fn restart(machine: &Arc<Machine>, number: usize) {
    let Some(entry) = machine.ndis.registrations.miniport().and_then(|driver| driver.given.RestartHandler) else {
        return;
    };
    let Some(own) = context_of(machine, number) else { return };
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        // Receives may be indicated from inside the handler.
        miniport.edge = Edge::Running;
    }
    // SAFETY: integers and pointers, for which zero is a value.
    let mut given: NDIS_MINIPORT_RESTART_PARAMETERS = unsafe { std::mem::zeroed() };
    given.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NDIS_MINIPORT_RESTART_PARAMETERS_REVISION_1,
        Size: size_of::<NDIS_MINIPORT_RESTART_PARAMETERS>() as u16,
    };
    let status = {
        // SAFETY: the handler's contract: MiniportAdapterContext, valid parameters.
        unsafe { crate::call_driver!(machine, "MiniportRestart", Irql::Passive, entry, own, &raw mut given) }
    };
    if status == NDIS_STATUS_PENDING {
        machine.violation("W-08", "MiniportRestart pends, which nothing here ends");
    } else if status != NDIS_STATUS_SUCCESS {
        machine.log(format!("MiniportRestart answered {status:#010x}"));
    }
}

/// MiniportPause; returns when the pause is complete. PASSIVE_LEVEL.
pub fn pause(machine: &Arc<Machine>, number: usize) {
    let Some(entry) = machine.ndis.registrations.miniport().and_then(|driver| driver.given.PauseHandler) else {
        return;
    };
    let Some(own) = context_of(machine, number) else { return };
    {
        let mut state = machine.adapters();
        let Some(miniport) = state.miniports.get_mut(&number).filter(|one| one.edge == Edge::Running) else { return };
        miniport.edge = Edge::Pausing;
    }
    // The protocols above are paused first: none of them is sending.
    Using::wait_for_all(machine, number, "handlers of an instance that is paused");
    // SAFETY: integers, for which zero is a value.
    let mut given: NDIS_MINIPORT_PAUSE_PARAMETERS = unsafe { std::mem::zeroed() };
    given.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NDIS_MINIPORT_PAUSE_PARAMETERS_REVISION_1,
        Size: size_of::<NDIS_MINIPORT_PAUSE_PARAMETERS>() as u16,
    };
    let status = {
        // SAFETY: the handler's contract: MiniportAdapterContext, valid parameters.
        unsafe { crate::call_driver!(machine, "MiniportPause", Irql::Passive, entry, own, &raw mut given) }
    };
    if status == NDIS_STATUS_PENDING {
        let watched = machine.clone();
        machine.wait("NdisMPauseComplete", None, move || {
            watched.adapters().miniports.get(&number).is_none_or(|one| one.edge != Edge::Pausing)
        });
        return;
    }
    if status != NDIS_STATUS_SUCCESS {
        machine.violation("W-08", format!("MiniportPause answered {status:#x}: a pause cannot fail"));
    } else if machine.ndis.adapters.edge(number) != Some(Edge::Pausing) {
        machine.violation("W-08", "a pause is completed and does not pend");
        return;
    }
    paused(machine, number);
}

/// A pause is complete: nothing may be under way.
fn paused(machine: &Machine, number: usize) {
    let mut state = machine.adapters();
    let Some(miniport) = state.miniports.get_mut(&number) else { return };
    miniport.edge = Edge::Paused;
    let (sends, indicated) = (miniport.sends, miniport.indicated);
    drop(state);
    if sends + indicated > 0 {
        let text = format!("a pause is complete with {sends} sends and {indicated} receives under way");
        machine.violation("W-08", text);
    }
}

/// Unbinds the protocols above and NDK's consumers, pauses and halts an instance; once: who comes second waits for the first.
/// PASSIVE_LEVEL.
pub(super) fn halt(machine: &Arc<Machine>, number: usize, action: NDIS_HALT_ACTION) {
    let first = machine.adapters().miniports.get_mut(&number).map(|miniport| {
        let first = !std::mem::replace(&mut miniport.halting, true);
        (first, miniport.above.take(), miniport.ndk_open.len())
    });
    let Some((first, above, consumers)) = first else { return };
    // Else it is the driver's own doing, who has waited for consumers before (PNP-09).
    let disabled = action == NdisHaltDeviceDisabled;
    let watched = machine.clone();
    if !first {
        machine.wait("a halt under way", None, move || !watched.adapters().miniports.contains_key(&number));
        return;
    }
    if let Some(above) = above {
        above.unbound(machine, number);
        if consumers > 0 && disabled {
            above.ndk_changed(machine, false);
        }
    }
    if disabled {
        machine.wait("the NDK_ADAPTERs of an instance that goes", None, move || {
            watched.adapters().miniports.get(&number).is_none_or(|one| one.ndk_open.is_empty())
        });
    }
    pause(machine, number);
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        miniport.edge = Edge::Gone;
    }
    Using::wait_for_all(machine, number, "handlers of an instance that is halted");
    let Some(open) = machine.adapters().miniports.get(&number).map(|miniport| miniport.ndk_open.len()) else { return };
    if open > 0 {
        machine.violation("PNP-09", format!("an instance is halted with {open} NDK_ADAPTERs open"));
    }
    let registered = machine.ndis.registrations.miniport();
    let halt = registered.and_then(|driver| driver.given.HaltHandlerEx);
    if let Some((halt, own)) = halt.zip(context_of(machine, number)) {
        // SAFETY: the handler's contract: MiniportAdapterContext, for the last time.
        unsafe { crate::call_driver!(machine, "MiniportHaltEx", Irql::Passive, halt, own, action) };
    }
    forget(machine, number);
}

/// The instance is gone.
fn forget(machine: &Machine, number: usize) {
    let gone = machine.adapters().miniports.remove(&number);
    machine.ndis.configuration.detach(number);
    machine.ndis.work_items.disallow(number);
    let Some(gone) = gone else { return };
    if gone.sends + gone.indicated > 0 || gone.regular.is_some() {
        let (sends, indicated) = (gone.sends, gone.indicated);
        machine.violation(
            "W-08",
            format!("an instance is gone with {sends} sends, {indicated} receives or a request out"),
        );
    }
}

/// Every instance is halted: the driver is deregistered.
pub(super) fn halt_all(machine: &Arc<Machine>) {
    let all: Vec<usize> = machine.adapters().miniports.keys().copied().collect();
    for number in all {
        halt(machine, number, NdisHaltDeviceStopped);
    }
}

/// Begins a call of a handler for an instance, if it is there.
pub(super) fn using(machine: &Arc<Machine>, number: usize) -> Option<Using> {
    Using::begin(machine, number, |state| {
        // While it is halted there may still be an adapter to close.
        let alive = |one: &&Miniport| one.edge != Edge::Gone || !one.ndk_open.is_empty();
        state.miniports.get(&number).filter(|one| one.context != 0).filter(alive).map(|one| one.context)
    })
}

/// MiniportAdapterContext.
pub(super) fn context_of(machine: &Machine, number: usize) -> Option<NDIS_HANDLE> {
    machine.adapters().miniports.get(&number).filter(|one| one.context != 0).map(|one| context(one.context))
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_im_initialize_device_instance_ex(
        driver: NDIS_HANDLE,
        instance: *mut UNICODE_STRING,
        own: NDIS_HANDLE,
    ) -> NDIS_STATUS {
        let (machine, name) = (Machine::current(), text(instance.cast()));
        if driver.addr() != MINIPORT || !machine.ndis.is_intermediate() {
            machine.violation("W-01", "NdisIMInitializeDeviceInstanceEx before the two edges are associated");
        }
        if machine.take_failure("NdisIMInitializeDeviceInstanceEx") {
            return NDIS_STATUS_RESOURCES;
        }
        let own = own.expose_provenance();
        let mut state = machine.adapters();
        let same = |other: &str| other.eq_ignore_ascii_case(&name);
        let taken = state.miniports.values().any(|one| same(&one.device.name)) || state.waiting.iter().any(|(one, _)| same(one));
        if taken {
            return NDIS_STATUS_NOT_ACCEPTED;
        }
        let started = state.devices.iter().any(|device| device.started && same(&device.name));
        let later = state.choices.initialise_later;
        if !started || later {
            state.waiting.push((name.clone(), own));
        }
        drop(state);
        if started && later {
            let owner = machine.clone();
            machine.thread("an initialisation", move || start_device(&owner, &name));
        } else if started {
            initialise(&machine, &name, own);
        }
        NDIS_STATUS_SUCCESS
    }

    unsafe extern "C" fn ndis_im_cancel_initialize_device_instance(
        driver: NDIS_HANDLE,
        instance: *mut UNICODE_STRING,
    ) -> NDIS_STATUS {
        let (machine, name) = (Machine::current(), text(instance.cast()));
        if driver.addr() != MINIPORT {
            machine.violation("W-01", "NdisIMCancelInitializeDeviceInstance with another handle");
        }
        let mut state = machine.adapters();
        let before = state.waiting.len();
        state.waiting.retain(|(waiting, _)| !waiting.eq_ignore_ascii_case(&name));
        if state.waiting.len() < before { NDIS_STATUS_SUCCESS } else { NDIS_STATUS_FAILURE }
    }

    unsafe extern "C" fn ndis_im_de_initialize_device_instance(number: NDIS_HANDLE) -> NDIS_STATUS {
        let (machine, number) = (Machine::current(), number.addr());
        // One that is being halted by somebody else is no instance any more: the driver cannot rely on waiting here for that.
        let known = machine.adapters().miniports.get(&number).is_some_and(|one| one.initialised && !one.halting);
        if !known {
            return NDIS_STATUS_FAILURE;
        }
        halt(&machine, number, NdisHaltDeviceInstanceDeInitialized);
        NDIS_STATUS_SUCCESS
    }

    unsafe extern "C" fn ndis_m_pause_complete(number: NDIS_HANDLE) {
        let (machine, number) = (Machine::current(), number.addr());
        let pausing = machine.adapters().miniports.get(&number).is_some_and(|one| one.edge == Edge::Pausing);
        if pausing {
            paused(&machine, number);
        } else {
            machine.violation("W-08", "NdisMPauseComplete without a pause that pends");
        }
    }

    unsafe extern "C" fn ndis_m_restart_complete(_number: NDIS_HANDLE, _status: NDIS_STATUS) {
        Machine::current().violation("W-08", "NdisMRestartComplete without a restart that pends");
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisIMInitializeDeviceInstanceEx <= Passive = ndis_im_initialize_device_instance_ex,
        NdisIMCancelInitializeDeviceInstance <= Passive = ndis_im_cancel_initialize_device_instance,
        NdisIMDeInitializeDeviceInstance <= Passive = ndis_im_de_initialize_device_instance,
        NdisMPauseComplete <= Dispatch = ndis_m_pause_complete,
        NdisMRestartComplete <= Dispatch = ndis_m_restart_complete,
    }
}
