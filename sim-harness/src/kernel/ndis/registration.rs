//! Registration of miniport and protocol drivers, and of a miniport as an NDK provider: REG-01 to REG-05, W-01, W-04, W-09.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::ndis::{bindings, miniports};
use crate::kernel::nt::runtime::text;
use crate::kernel::wdk::{DRIVER_OBJECT, PDRIVER_UNLOAD};
use ndk_types::*;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Handles: numbers that are no addresses.
pub(super) const MINIPORT: usize = 0x4d50_0001;
pub(super) const PROTOCOL: usize = 0x5054_0001;

/// What a miniport driver registered.
#[derive(Clone, Copy)]
pub(super) struct Miniport {
    /// Its handlers.
    pub(super) given: NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    /// MiniportDriverContext, as an exposed address.
    pub(super) context: usize,
    ndk: Option<NDIS_NDK_PROVIDER_CHARACTERISTICS>,
    setting_options: bool,
    associated: bool,
}

/// What a protocol driver registered.
struct Protocol {
    name: String,
    given: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
    /// ProtocolDriverContext, as an exposed address.
    context: usize,
}

#[derive(Default)]
struct State {
    miniport: Option<Miniport>,
    protocol: Option<Protocol>,
}

/// The drivers that are registered: one of each, since one driver is simulated beside the NIC's.
#[derive(Default)]
pub(super) struct Registrations(Mutex<State>);

impl std::fmt::Debug for Registrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrations").field("leaks", &self.leaks()).finish()
    }
}

// SAFETY: what is kept of the characteristics are addresses of image code.
unsafe impl Send for Registrations {}
// SAFETY: as above; behind a lock.
unsafe impl Sync for Registrations {}

impl Registrations {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_intermediate(&self) -> bool {
        let state = self.state();
        state.protocol.is_some() && state.miniport.is_some_and(|miniport| miniport.associated)
    }

    /// The registered miniport driver.
    pub(super) fn miniport(&self) -> Option<Miniport> {
        self.state().miniport
    }

    /// The registered protocol driver's handlers.
    pub(super) fn protocol(&self) -> Option<NDIS_PROTOCOL_DRIVER_CHARACTERISTICS> {
        self.state().protocol.as_ref().map(|protocol| protocol.given)
    }

    /// ProtocolDriverContext, as an exposed address.
    pub(super) fn protocol_context(&self) -> usize {
        self.state().protocol.as_ref().map_or(0, |protocol| protocol.context)
    }

    pub(super) fn ndk(&self) -> Option<NDIS_NDK_PROVIDER_CHARACTERISTICS> {
        self.state().miniport.and_then(|miniport| miniport.ndk)
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let miniport = state.miniport.map(|_| "a registered miniport driver".to_owned());
        let protocol = state.protocol.as_ref().map(|one| format!("a registered protocol driver '{}'", one.name));
        miniport.into_iter().chain(protocol).collect()
    }
}

/// Holds a header against what its page wants; `sizes` are the sizes of the revisions, from the first.
pub(super) fn check_header(
    machine: &Machine,
    what: &str,
    header: NDIS_OBJECT_HEADER,
    object_type: u8,
    sizes: &[u16],
) -> bool {
    let size = sizes.get(usize::from(header.Revision).wrapping_sub(1)).copied();
    let good = header.Type == object_type && size.is_some_and(|size| header.Size >= size);
    if !good {
        let NDIS_OBJECT_HEADER { Type, Revision, Size } = header;
        machine.violation("header", format!("{what}: type {Type}, revision {Revision}, size {Size}"));
    }
    good
}

/// Handlers every miniport driver has (REG-04), and those an intermediate driver has not (W-09).
fn check_miniport(machine: &Machine, given: &NDIS_MINIPORT_DRIVER_CHARACTERISTICS) -> bool {
    let sizes = [
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_1,
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
        NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3,
    ];
    let object_type = NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS;
    if !check_header(machine, "NDIS_MINIPORT_DRIVER_CHARACTERISTICS", given.Header, object_type, &sizes) {
        return false;
    }
    if given.Flags & NDIS_INTERMEDIATE_DRIVER == 0 {
        machine.violation("W-01", "the miniport does not register as an intermediate driver");
    }
    if given.ResetHandlerEx.is_some() || given.CheckForHangHandlerEx.is_some() {
        machine.violation("W-09", "an intermediate driver has a Reset or a CheckForHang handler");
    }
    let needed = [
        ("InitializeHandlerEx", given.InitializeHandlerEx.is_some()),
        ("HaltHandlerEx", given.HaltHandlerEx.is_some()),
        ("UnloadHandler", given.UnloadHandler.is_some()),
        ("PauseHandler", given.PauseHandler.is_some()),
        ("RestartHandler", given.RestartHandler.is_some()),
        ("OidRequestHandler", given.OidRequestHandler.is_some()),
        ("SendNetBufferListsHandler", given.SendNetBufferListsHandler.is_some()),
        ("ReturnNetBufferListsHandler", given.ReturnNetBufferListsHandler.is_some()),
        ("CancelSendHandler", given.CancelSendHandler.is_some()),
        ("DevicePnPEventNotifyHandler", given.DevicePnPEventNotifyHandler.is_some()),
        ("ShutdownHandlerEx", given.ShutdownHandlerEx.is_some()),
        ("CancelOidRequestHandler", given.CancelOidRequestHandler.is_some()),
        ("DirectOidRequestHandler", given.DirectOidRequestHandler.is_some()),
        ("CancelDirectOidRequestHandler", given.CancelDirectOidRequestHandler.is_some()),
    ];
    for (name, _) in needed.iter().filter(|(_, there)| !there) {
        machine.violation("REG-04", format!("the miniport has no {name}"));
    }
    (given.MajorNdisVersion, given.MinorNdisVersion) >= (6, 30) && needed.iter().all(|(_, there)| *there)
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_m_register_miniport_driver(
        driver: PVOID,
        _path: *mut UNICODE_STRING,
        context: NDIS_HANDLE,
        characteristics: *mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
        handle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS {
        let machine = Machine::current();
        // SAFETY: the page: valid characteristics for the length of the call.
        let given = unsafe { characteristics.read() };
        if !check_miniport(&machine, &given) {
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        if machine.take_failure("NdisMRegisterMiniportDriver") {
            return NDIS_STATUS_RESOURCES;
        }
        let registrations = &machine.ndis.registrations;
        let context_number = context.expose_provenance();
        let new = Miniport { given, context: context_number, ndk: None, setting_options: true, associated: false };
        if registrations.state().miniport.replace(new).is_some() {
            machine.violation("W-04", "a second miniport driver is registered");
        }
        let own: NDIS_HANDLE = ptr::without_provenance_mut(MINIPORT);
        // W-04: the options are set before the handle is known.
        let mut status = NDIS_STATUS_SUCCESS;
        if let Some(set_options) = given.SetOptionsHandler {
            // SAFETY: the handler's contract: the driver's handle and context.
            status = unsafe { crate::call_driver!(machine, "SetOptions", Irql::Passive, set_options, own, context) };
        }
        if status != NDIS_STATUS_SUCCESS {
            registrations.state().miniport = None;
            return status;
        }
        if let Some(miniport) = &mut registrations.state().miniport {
            miniport.setting_options = false;
        }
        // SAFETY: both are functions of a driver object that return nothing; they name its type differently.
        let unload: PDRIVER_UNLOAD = unsafe { std::mem::transmute::<MINIPORT_DRIVER_UNLOAD, _>(given.UnloadHandler) };
        // NDIS puts a routine of its own there that calls the driver's.
        let object = driver.cast::<DRIVER_OBJECT>();
        // SAFETY: the driver object, which nobody else touches during its entry.
        unsafe { (*object).DriverUnload = unload };
        machine.ndis.work_items.allow(MINIPORT);
        // SAFETY: the page: room for a handle.
        unsafe { handle.write(own) };
        NDIS_STATUS_SUCCESS
    }

    unsafe extern "C" fn ndis_m_deregister_miniport_driver(handle: NDIS_HANDLE) {
        let machine = Machine::current();
        miniports::halt_all(&machine);
        machine.ndis.work_items.disallow(MINIPORT);
        let mut state = machine.ndis.registrations.state();
        if handle.addr() != MINIPORT || state.miniport.is_none() {
            machine.violation("W-04", "NdisMDeregisterMiniportDriver of what is not registered");
        }
        if state.protocol.is_some() {
            machine.violation("W-04", "the miniport is deregistered before the protocol");
        }
        state.miniport = None;
    }

    unsafe extern "C" fn ndis_set_optional_handlers(
        handle: NDIS_HANDLE,
        handlers: *mut NDIS_DRIVER_OPTIONAL_HANDLERS,
    ) -> NDIS_STATUS {
        let machine = Machine::current();
        if machine.take_failure("NdisSetOptionalHandlers") {
            return NDIS_STATUS_RESOURCES;
        }
        // SAFETY: the page: optional handlers, which start with a header.
        let given = unsafe { handlers.cast::<NDIS_NDK_PROVIDER_CHARACTERISTICS>().read() };
        let sizes = [NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1];
        let object_type = NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS;
        if !check_header(&machine, "NDIS_NDK_PROVIDER_CHARACTERISTICS", given.Header, object_type, &sizes) {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        if given.Flags != 0 || given.OpenNDKAdapterHandler.is_none() || given.CloseNDKAdapterHandler.is_none() {
            machine.violation("REG-03", "the NDK characteristics have flags, or lack a handler");
            return NDIS_STATUS_FAILURE;
        }
        let mut state = machine.ndis.registrations.state();
        match &mut state.miniport {
            Some(miniport) if handle.addr() == MINIPORT && miniport.setting_options => {
                miniport.ndk = Some(given);
                NDIS_STATUS_SUCCESS
            }
            _ => {
                machine.violation("REG-01", "NDK support is registered outside MiniportSetOptions");
                NDIS_STATUS_FAILURE
            }
        }
    }

    unsafe extern "C" fn ndis_register_protocol_driver(
        context: NDIS_HANDLE,
        characteristics: *mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS,
        handle: *mut NDIS_HANDLE,
    ) -> NDIS_STATUS {
        let machine = Machine::current();
        // SAFETY: the page: valid characteristics for the length of the call.
        let given = unsafe { characteristics.read() };
        let sizes = [
            NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_1,
            NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
        ];
        let object_type = NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS;
        if !check_header(&machine, "NDIS_PROTOCOL_DRIVER_CHARACTERISTICS", given.Header, object_type, &sizes) {
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        let needed = given.BindAdapterHandlerEx.is_some()
            && given.UnbindAdapterHandlerEx.is_some()
            && given.OpenAdapterCompleteHandlerEx.is_some()
            && given.CloseAdapterCompleteHandlerEx.is_some()
            && given.NetPnPEventHandler.is_some()
            && given.OidRequestCompleteHandler.is_some()
            && given.StatusHandlerEx.is_some()
            && given.ReceiveNetBufferListsHandler.is_some()
            && given.SendNetBufferListsCompleteHandler.is_some();
        if !needed {
            machine.violation("header", "the protocol lacks a handler");
            return NDIS_STATUS_BAD_CHARACTERISTICS;
        }
        if machine.take_failure("NdisRegisterProtocolDriver") {
            return NDIS_STATUS_RESOURCES;
        }
        let mut state = machine.ndis.registrations.state();
        if state.miniport.is_none() {
            machine.violation("W-04", "the protocol is registered before the miniport");
        }
        let (name, context) = (text((&raw const given.Name).cast()), context.expose_provenance());
        state.protocol = Some(Protocol { name, given, context });
        drop(state);
        // SAFETY: the page: room for a handle.
        unsafe { handle.write(ptr::without_provenance_mut(PROTOCOL)) };
        bindings::offer_all(&machine);
        NDIS_STATUS_SUCCESS
    }

    unsafe extern "C" fn ndis_deregister_protocol_driver(handle: NDIS_HANDLE) {
        let machine = Machine::current();
        if handle.addr() == PROTOCOL {
            bindings::unbind_all(&machine);
        }
        let gone = machine.ndis.registrations.state().protocol.take();
        if handle.addr() != PROTOCOL || gone.is_none() {
            machine.violation("W-04", "NdisDeregisterProtocolDriver of what is not registered");
        }
    }

    unsafe extern "C" fn ndis_im_associate_miniport(driver: NDIS_HANDLE, protocol: NDIS_HANDLE) {
        let machine = Machine::current();
        let mut state = machine.ndis.registrations.state();
        let there = state.protocol.is_some() && (driver.addr(), protocol.addr()) == (MINIPORT, PROTOCOL);
        match &mut state.miniport {
            Some(miniport) if there => miniport.associated = true,
            _ => machine.violation("W-04", "NdisIMAssociateMiniport of what is not registered"),
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisMRegisterMiniportDriver <= Passive = ndis_m_register_miniport_driver,
        NdisMDeregisterMiniportDriver <= Passive = ndis_m_deregister_miniport_driver,
        NdisSetOptionalHandlers <= Passive = ndis_set_optional_handlers,
        NdisRegisterProtocolDriver <= Passive = ndis_register_protocol_driver,
        NdisDeregisterProtocolDriver <= Passive = ndis_deregister_protocol_driver,
        NdisIMAssociateMiniport <= Passive = ndis_im_associate_miniport,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    fn rules(machine: &Machine) -> Vec<&'static str> {
        machine.verifier.take().iter().map(|violation| violation.rule).collect()
    }

    fn miniport(flags: u32) -> NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
        // SAFETY: all zeroes is a set of characteristics: no handlers, no flags.
        let mut given: NDIS_MINIPORT_DRIVER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
        given.Header = NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
            Revision: NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3,
            Size: NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_3,
        };
        (given.MajorNdisVersion, given.MinorNdisVersion, given.Flags) = (6, 50, flags);
        given
    }

    /// W-01, W-04, W-09, REG-01, REG-03, REG-04: each broken on purpose.
    #[test]
    fn a_driver_that_registers_wrongly_is_told_which_rule_it_breaks() {
        let machine = Machine::new("one", Arc::new(AtomicU64::new(0)), 1);
        let register = |given: &mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS| {
            let (none, mut handle) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: valid characteristics, and room for a handle.
            unsafe { ndis_m_register_miniport_driver(none, ptr::null_mut(), none, &raw mut *given, &raw mut handle) }
        };
        machine.enter(|| {
            let mut given = miniport(0);
            assert_eq!(register(&mut given), NDIS_STATUS_BAD_CHARACTERISTICS);
            let broken = rules(&machine);
            assert!(broken.contains(&"W-01") && broken.contains(&"REG-04"), "{broken:?}");
            given.Header.Size = 4;
            assert_eq!((register(&mut given), rules(&machine)), (NDIS_STATUS_BAD_CHARACTERISTICS, vec!["header"]));

            // SAFETY: as above: no handlers.
            let mut ndk: NDIS_NDK_PROVIDER_CHARACTERISTICS = unsafe { std::mem::zeroed() };
            ndk.Header = NDIS_OBJECT_HEADER {
                Type: NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS,
                Revision: 1,
                Size: NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1,
            };
            let own = ptr::without_provenance_mut(MINIPORT);
            // SAFETY: valid characteristics.
            let status = unsafe { ndis_set_optional_handlers(own, (&raw mut ndk).cast()) };
            assert_eq!((status, rules(&machine)), (NDIS_STATUS_FAILURE, vec!["REG-03"]));

            // SAFETY: any handles.
            unsafe { ndis_im_associate_miniport(own, ptr::null_mut()) };
            // SAFETY: as above.
            unsafe { ndis_deregister_protocol_driver(own) };
            // SAFETY: as above.
            unsafe { ndis_m_deregister_miniport_driver(own) };
            assert_eq!(rules(&machine), ["W-04"; 3]);
        });
    }
}
