//! Instances of the virtual miniport: initialised over a device that is there, restarted, paused, halted; their attributes
//! (W-01, W-04, W-08, W-21, REG-06 to REG-18).

use super::adapters::{Device, Edge, INSTANCE, Miniport, context, handle};
use super::bindings::{self, Counted};
use super::native::NicAttributes;
use super::oids;
use super::registration::{MINIPORT, check_header};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::nt::runtime::text;
use ndk_types::*;
use std::sync::Arc;

/// What an instance said of itself in MiniportInitializeEx.
#[derive(Clone, Default)]
pub struct Attributes {
    /// Whether the registration attributes came.
    pub registered: bool,
    /// The general attributes, without what they point at.
    pub general: Option<General>,
    /// The NDK attributes.
    pub ndk: Option<Ndk>,
}

/// What is kept of the general attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct General {
    /// The largest IP packet.
    pub mtu: u32,
    /// The MAC address.
    pub mac: [u8; 6],
    /// Whether the link is up.
    pub connected: bool,
    /// Bits per second.
    pub speed: u64,
    /// OIDs it says it supports.
    pub oids: Vec<NDIS_OID>,
    /// Packet filters.
    pub packet_filters: u32,
    /// MAC options.
    pub mac_options: u32,
    /// The longest multicast list.
    pub max_multicast: u32,
    /// Whether it has receive side scaling.
    pub rss: bool,
}

/// What is kept of the NDK attributes.
#[derive(Clone)]
pub struct Ndk {
    /// Whether NDK is on.
    pub enabled: bool,
    /// The limits of the adapter: QPs, CQs, MRs, PDs, inbound reads, outbound reads, MWs, SRQs.
    pub limits: [u32; 8],
    /// MissingCounterMask.
    pub missing_counters: u64,
    /// What NdkInfo pointed at.
    pub info: NDK_ADAPTER_INFO,
}

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
    // W-03: NDIS offers an adapter to every protocol whose lower range fits, ours among them.
    if bindings::offer_adapter(machine, number, &own).is_some() {
        machine.violation("W-03", "the protocol is bound to a virtual miniport of its own driver");
    }
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

/// Unbinds the protocols above, pauses and halts an instance. PASSIVE_LEVEL.
pub(super) fn halt(machine: &Arc<Machine>, number: usize, action: NDIS_HALT_ACTION) {
    let above = machine.adapters().miniports.get_mut(&number).and_then(|miniport| miniport.above.take());
    if let Some(above) = above {
        above.unbound(machine, number);
    }
    pause(machine, number);
    let open = {
        let mut state = machine.adapters();
        let Some(miniport) = state.miniports.get_mut(&number) else { return };
        miniport.edge = Edge::Gone;
        miniport.ndk_open.len()
    };
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
    if gone.sends + gone.indicated > 0 || gone.regular.is_some() || !gone.direct.is_empty() {
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

/// MiniportAdapterContext.
pub(super) fn context_of(machine: &Machine, number: usize) -> Option<NDIS_HANDLE> {
    machine.adapters().miniports.get(&number).filter(|one| one.context != 0).map(|one| context(one.context))
}

fn registration(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES) {
    if given.AttributeFlags & (NDIS_MINIPORT_ATTRIBUTES_HARDWARE_DEVICE | NDIS_MINIPORT_ATTRIBUTES_NDIS_WDM) != 0 {
        machine.violation("W-21", "a virtual miniport says it has hardware, or that it is of WDM");
    }
    if given.AttributeFlags & NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND == 0 {
        machine.violation("W-08", "an intermediate driver wants to be halted on suspend");
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        miniport.context = given.MiniportAdapterContext.expose_provenance();
        miniport.seen.registered = true;
    }
}

fn general(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES) {
    let mut wrong = Vec::new();
    let mut hold = |good: bool, what: &'static str| {
        if !good {
            wrong.push(what);
        }
    };
    hold(given.MediaType == NdisMedium802_3, "MediaType is not Ethernet");
    hold(given.IfType == IF_TYPE_ETHERNET_CSMACD, "IfType is not 6");
    hold(given.IfConnectorPresent == 0, "a virtual miniport says it has a connector");
    hold(given.AccessType == NET_IF_ACCESS_BROADCAST, "AccessType is not the NIC's");
    hold(given.DirectionType == NET_IF_DIRECTION_SENDRECEIVE, "DirectionType is not the NIC's");
    hold(given.ConnectionType == NET_IF_CONNECTION_DEDICATED, "ConnectionType is not the NIC's");
    hold(given.MacAddressLength == 6, "MacAddressLength is not 6");
    hold(given.MacOptions & NDIS_MAC_OPTION_NO_LOOPBACK != 0, "NDIS_MAC_OPTION_NO_LOOPBACK is missing (W-20)");
    hold(given.PowerManagementCapabilities.is_null(), "PowerManagementCapabilities is not NULL from NDIS 6.20 on");
    hold(given.Flags == 0, "Flags is not zero (REG-18)");
    for what in wrong {
        machine.violation("W-21", what);
    }
    let count = given.SupportedOidListLength as usize / size_of::<NDIS_OID>();
    // SAFETY: the page: a list of so many bytes, valid during the call.
    let oids: Vec<NDIS_OID> =
        (0..count).map(|at| unsafe { given.SupportedOidList.wrapping_add(at).read_unaligned() }).collect();
    oids::check_supported(machine, &oids);
    let mut mac = [0; 6];
    mac.copy_from_slice(&given.CurrentMacAddress[..6]);
    let kept = General {
        mtu: given.MtuSize,
        mac,
        connected: given.MediaConnectState == MediaConnectStateConnected,
        speed: given.XmitLinkSpeed,
        oids,
        packet_filters: given.SupportedPacketFilters,
        mac_options: given.MacOptions,
        max_multicast: given.MaxMulticastListSize,
        rss: !given.RecvScaleCapabilities.is_null(),
    };
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        miniport.seen.general = Some(kept);
    }
}

fn ndk(machine: &Machine, number: usize, given: &NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES) -> NDIS_STATUS {
    // SAFETY: the page: NULL or capabilities valid during the call.
    let Some(capabilities) = (unsafe { given.NdkCapabilities.as_ref() }).copied() else {
        machine.violation("REG-09", "NdkCapabilities is NULL");
        return NDIS_STATUS_FAILURE;
    };
    let (object_type, sizes) = (NDIS_OBJECT_TYPE_DEFAULT, [NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1]);
    if !check_header(machine, "NDIS_NDK_CAPABILITIES", capabilities.Header, object_type, &sizes) {
        machine.violation("REG-09", "the header of NDIS_NDK_CAPABILITIES");
    }
    // SAFETY: as above.
    let Some(info) = (unsafe { capabilities.NdkInfo.as_ref() }).copied() else {
        machine.violation("REG-09", "NdkInfo is NULL");
        return NDIS_STATUS_FAILURE;
    };
    if capabilities.Flags != 0 {
        machine.violation("REG-18", "Flags of NDIS_NDK_CAPABILITIES is not zero");
    }
    if capabilities.MissingCounterMask != 0 {
        machine.violation("REG-13", "a counter is said to be missing");
    }
    if info.FRMRPageCount < 16 {
        machine.violation("REG-14", format!("FRMRPageCount is {}", info.FRMRPageCount));
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&number) {
        let limits = [
            capabilities.MaxQpCount,
            capabilities.MaxCqCount,
            capabilities.MaxMrCount,
            capabilities.MaxPdCount,
            capabilities.MaxInboundReadLimit,
            capabilities.MaxOutboundReadLimit,
            capabilities.MaxMwCount,
            capabilities.MaxSrqCount,
        ];
        let missing_counters = capabilities.MissingCounterMask.into();
        miniport.seen.ndk = Some(Ndk { enabled: given.Enabled != 0, limits, missing_counters, info });
    }
    NDIS_STATUS_SUCCESS
}

/// Attributes come in this order, and only inside MiniportInitializeEx.
fn in_order(machine: &Machine, number: usize, object_type: u8) -> bool {
    let known = machine.adapters().miniports.get(&number).map(|one| (one.initialised, one.seen.clone()));
    let good = known.is_some_and(|(initialised, seen)| {
        !initialised
            && match object_type {
                NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => !seen.registered,
                NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => seen.registered && seen.general.is_none(),
                _ => seen.general.is_some(),
            }
    });
    if !good {
        machine.violation("REG-07", format!("attributes of type {object_type:#x} come out of order"));
    }
    good
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_m_set_miniport_attributes(
        number: NDIS_HANDLE,
        attributes: *mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES,
    ) -> NDIS_STATUS {
        let (machine, number) = (Machine::current(), number.addr());
        // SAFETY: the page: one of the attributes, each of which starts with a header.
        let header = unsafe { attributes.cast::<NDIS_OBJECT_HEADER>().read() };
        if !in_order(&machine, number, header.Type) {
            return NDIS_STATUS_FAILURE;
        }
        match header.Type {
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => {
                let sizes = [
                    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1,
                    NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_2,
                ];
                if machine.take_failure("NdisMSetMiniportAttributes(registration)")
                    || !check_header(&machine, "registration attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: the header says so.
                registration(&machine, number, unsafe { &(*attributes).RegistrationAttributes });
                NDIS_STATUS_SUCCESS
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => {
                let sizes = [
                    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_1,
                    NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2,
                ];
                if machine.take_failure("NdisMSetMiniportAttributes(general)")
                    || !check_header(&machine, "general attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: the header says so.
                general(&machine, number, unsafe { &(*attributes).GeneralAttributes });
                NDIS_STATUS_SUCCESS
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES => {
                let sizes = [NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1];
                if machine.take_failure("NdisMSetMiniportAttributes(NDK)")
                    || !check_header(&machine, "NDK attributes", header, header.Type, &sizes)
                {
                    return NDIS_STATUS_BAD_VERSION;
                }
                // SAFETY: the header says so.
                ndk(&machine, number, unsafe { &(*attributes).NDKAttributes })
            }
            _ => NDIS_STATUS_BAD_VERSION,
        }
    }

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
        let known = machine.adapters().miniports.get(&number).is_some_and(|one| one.initialised && one.edge != Edge::Gone);
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
        NdisMSetMiniportAttributes <= Passive = ndis_m_set_miniport_attributes,
        NdisIMInitializeDeviceInstanceEx <= Passive = ndis_im_initialize_device_instance_ex,
        NdisIMCancelInitializeDeviceInstance <= Passive = ndis_im_cancel_initialize_device_instance,
        NdisIMDeInitializeDeviceInstance <= Passive = ndis_im_de_initialize_device_instance,
        NdisMPauseComplete <= Dispatch = ndis_m_pause_complete,
        NdisMRestartComplete <= Dispatch = ndis_m_restart_complete,
    }
}
