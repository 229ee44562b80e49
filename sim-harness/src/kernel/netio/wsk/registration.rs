//! WskRegister and what goes with it. A registration is a client of the registrar, as an application without these functions
//! would be one itself: attached when it registers if the subsystem is there, detached when its last capture is released and
//! its last call has returned.

use super::subsystem::{self, NPI_WSK_INTERFACE_ID};
use super::{Resident, nmr};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::stack;
use ndk_types::{
    HANDLE, NPI_CLIENT_CHARACTERISTICS, NPI_MODULEID, NPI_REGISTRATION_INSTANCE, NTSTATUS, STATUS_DEVICE_NOT_READY,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_NOINTERFACE, STATUS_PENDING, STATUS_SUCCESS,
    WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_INFINITE_WAIT, WSK_NO_WAIT, WSK_PROVIDER_CHARACTERISTICS,
    WSK_PROVIDER_NPI, WSK_REGISTRATION,
};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What ReservedRegistrationState says: registered, and not any more.
const REGISTERED: u64 = 0x5753_4b31;
const DEREGISTERED: u64 = 0x5753_4b30;

/// How far the binding of a registration to the subsystem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The subsystem is not there.
    Alone,
    /// It does not speak the version asked for.
    Refused,
    /// Its NPI can be captured: WSK_CLIENT and dispatch table, as exposed addresses.
    Attached { client: usize, dispatch: usize },
    /// It goes; `pending`: when the last capture is released and the last call has returned.
    Leaving { client: usize, pending: bool },
}

/// One WskRegister.
struct Registration {
    /// The application's WSK_REGISTRATION.
    block: usize,
    /// Its dispatch table, which must stay as it was.
    dispatch: *const WSK_CLIENT_DISPATCH,
    version: u16,
    /// The registrar's handle.
    module: usize,
    binding: usize,
    phase: Phase,
    captured: u32,
    /// What the subsystem said of itself.
    offered: Option<WSK_PROVIDER_CHARACTERISTICS>,
    leaving: bool,
    /// A driver's, who must deregister before it is gone; else an application of the simulator.
    of_image: bool,
}

#[derive(Default)]
struct State {
    last: usize,
    registrations: BTreeMap<usize, Registration>,
}

// SAFETY: the one pointer is the application's table, which is read alone, while its registration lasts (NMR-02).
unsafe impl Send for State {}

impl State {
    fn at(&self, block: usize) -> Option<usize> {
        self.registrations.iter().find(|(_, there)| there.block == block).map(|(&number, _)| number)
    }
}

/// The registrations of one machine.
#[derive(Default)]
pub(super) struct Registrations(Mutex<State>);

impl Registrations {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of drivers, who must deregister before they are gone.
    pub(super) fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let own = state.registrations.values().filter(|registration| registration.of_image);
        own.map(|left| format!("WSK_REGISTRATION {:#x}, captured {} times", left.block, left.captured)).collect()
    }

    /// Whether the NPI of this registration is captured.
    pub(super) fn is_captured(&self, number: usize) -> bool {
        self.state().registrations.get(&number).is_some_and(|registration| registration.captured > 0)
    }
}

/// How WskRegister's clients are told from others.
pub(super) static MODULE: Resident<NPI_MODULEID> = Resident(subsystem::module_id(1));

static CLIENT: Resident<NPI_CLIENT_CHARACTERISTICS> = Resident(NPI_CLIENT_CHARACTERISTICS {
    Version: 0,
    Length: size_of::<NPI_CLIENT_CHARACTERISTICS>() as u16,
    ClientAttachProvider: Some(attach),
    ClientDetachProvider: Some(detach),
    ClientCleanupBindingContext: Some(clean),
    ClientRegistrationInstance: NPI_REGISTRATION_INSTANCE {
        Version: 0,
        Size: size_of::<NPI_REGISTRATION_INSTANCE>() as u16,
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        ModuleId: &raw const MODULE.0,
        Number: 0,
        NpiSpecificCharacteristics: ptr::null(),
    },
});

/// Why a block is not that of a registration.
enum NoRegistration {
    /// It was one.
    Over,
    /// It was none, or is written over.
    Never,
}

impl NoRegistration {
    const fn status(&self) -> NTSTATUS {
        match self {
            Self::Over => STATUS_DEVICE_NOT_READY,
            Self::Never => STATUS_INVALID_PARAMETER,
        }
    }
}

/// The registration a block stands for. The application may look at the block no more than that: it must not change it.
fn find(machine: &Machine, call: &str, block: *mut WSK_REGISTRATION) -> Result<usize, NoRegistration> {
    if block.is_null() {
        machine.violation("wsk", format!("{call} without a WSK_REGISTRATION"));
        return Err(NoRegistration::Never);
    }
    let found = machine.netio.wsk.registrations.state().at(block.addr());
    // SAFETY: the page of WSK_REGISTRATION: it stays as long as the application calls these functions.
    let read = unsafe { block.read() };
    match found {
        Some(number) => {
            if read.ReservedRegistrationState != REGISTERED || read.ReservedRegistrationContext.addr() != number {
                machine.violation("wsk", format!("{call}: WSK_REGISTRATION {:#x} was written to", block.addr()));
            }
            Ok(number)
        }
        None if read.ReservedRegistrationState == DEREGISTERED => Err(NoRegistration::Over),
        None => {
            machine.violation("wsk", format!("{call}: WSK_REGISTRATION {:#x} is not registered", block.addr()));
            Err(NoRegistration::Never)
        }
    }
}

fn register(machine: &Arc<Machine>, npi: *const WSK_CLIENT_NPI, block: *mut WSK_REGISTRATION) -> NTSTATUS {
    if npi.is_null() || block.is_null() {
        machine.violation("wsk", "WskRegister without a client NPI or a WSK_REGISTRATION");
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: not null; the caller's structure.
    let dispatch = unsafe { (*npi).Dispatch };
    if dispatch.is_null() {
        machine.violation("wsk", "WskRegister without a WSK_CLIENT_DISPATCH");
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: not null; the page of WskRegister: valid and resident until the registration ends.
    let table = unsafe { dispatch.read() };
    if table.Reserved != 0 {
        machine.violation("wsk", format!("WSK_CLIENT_DISPATCH with {} in Reserved", table.Reserved));
    }
    if machine.netio.wsk.registrations.state().at(block.addr()).is_some() {
        machine.violation("wsk", format!("WSK_REGISTRATION {:#x} is registered already", block.addr()));
        return STATUS_INVALID_PARAMETER;
    }
    if machine.take_failure("WskRegister") {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let number = {
        let mut state = machine.netio.wsk.registrations.state();
        state.last += 16;
        let number = state.last;
        let new = Registration {
            block: block.addr(),
            dispatch,
            version: table.Version,
            module: 0,
            binding: 0,
            phase: Phase::Alone,
            captured: 0,
            offered: None,
            leaving: false,
            of_image: stack::inside_image(),
        };
        state.registrations.insert(number, new);
        number
    };
    let context = ptr::without_provenance_mut(number);
    let now = WSK_REGISTRATION {
        ReservedRegistrationState: REGISTERED,
        ReservedRegistrationContext: context,
        ReservedRegistrationLock: 0,
    };
    // SAFETY: not null; the caller's block.
    unsafe { block.write(now) };
    let module = nmr::register_own_client(machine, &CLIENT.0, context, NPI_WSK_INTERFACE_ID);
    if let Some(new) = machine.netio.wsk.registrations.state().registrations.get_mut(&number) {
        new.module = module.addr();
    }
    STATUS_SUCCESS
}

/// Ends a registration when every capture is released and every call has returned: the registrar waits for that.
fn deregister(machine: &Arc<Machine>, block: *mut WSK_REGISTRATION) {
    let Ok(number) = find(machine, "WskDeregister", block).inspect_err(|none| {
        if matches!(none, NoRegistration::Over) {
            machine.violation("wsk", format!("WSK_REGISTRATION {:#x} deregistered twice", block.addr()));
        }
    }) else {
        return;
    };
    let (module, dispatch, version) = {
        let mut state = machine.netio.wsk.registrations.state();
        let registration = state.registrations.get_mut(&number).filter(|registration| !registration.leaving);
        let Some(registration) = registration else {
            drop(state);
            machine.violation("wsk", format!("WSK_REGISTRATION {:#x} deregistered twice", block.addr()));
            return;
        };
        registration.leaving = true;
        (registration.module, registration.dispatch, registration.version)
    };
    // SAFETY: valid and resident while registered, which is what NMR-02 asks.
    if unsafe { (*dispatch).Version } != version {
        machine.violation("NMR-02", "a WSK_CLIENT_DISPATCH changed while it was registered");
    }
    let module: HANDLE = ptr::without_provenance_mut(module);
    nmr::deregister(module, true);
    nmr::wait_deregistered(module, true);
    machine.netio.wsk.registrations.state().registrations.remove(&number);
    // SAFETY: the caller's block, which stays during this call.
    unsafe { (*block).ReservedRegistrationState = DEREGISTERED };
}

/// The NPI, if it is there now; a capture is counted.
fn try_capture(machine: &Machine, number: usize) -> Result<WSK_PROVIDER_NPI, NTSTATUS> {
    let mut state = machine.netio.wsk.registrations.state();
    let registration = state.registrations.get_mut(&number).filter(|registration| !registration.leaving);
    let Some(registration) = registration else { return Err(STATUS_DEVICE_NOT_READY) };
    match registration.phase {
        Phase::Attached { client, dispatch } => {
            registration.captured += 1;
            let client = ptr::without_provenance_mut(client);
            Ok(WSK_PROVIDER_NPI { Client: client, Dispatch: ptr::with_exposed_provenance(dispatch) })
        }
        Phase::Refused => Err(STATUS_NOINTERFACE),
        Phase::Alone | Phase::Leaving { .. } => Err(STATUS_DEVICE_NOT_READY),
    }
}

fn capture(machine: &Arc<Machine>, block: *mut WSK_REGISTRATION, timeout: u32, npi: *mut WSK_PROVIDER_NPI) -> NTSTATUS {
    let call = "WskCaptureProviderNPI";
    let number = match find(machine, call, block) {
        Ok(number) => number,
        Err(none) => return none.status(),
    };
    if npi.is_null() {
        machine.violation("wsk", "WskCaptureProviderNPI without a place for the NPI");
        return STATUS_INVALID_PARAMETER;
    }
    let may_wait = irql::current() == Irql::Passive;
    if timeout != WSK_NO_WAIT && !may_wait {
        machine.violation("irql", format!("{call} with a time to wait at {}", irql::current()));
    }
    if machine.take_failure(call) {
        return STATUS_DEVICE_NOT_READY;
    }
    let mut captured = try_capture(machine, number);
    if matches!(captured, Err(STATUS_DEVICE_NOT_READY)) && timeout != WSK_NO_WAIT && may_wait {
        let limit = (timeout != WSK_INFINITE_WAIT).then(|| u64::from(timeout) * 1_000_000);
        let looked_at = machine.clone();
        machine.wait("the provider NPI of WSK", limit, move || {
            let state = looked_at.netio.wsk.registrations.state();
            state.registrations.get(&number).is_none_or(|registration| {
                registration.leaving || matches!(registration.phase, Phase::Attached { .. } | Phase::Refused)
            })
        });
        captured = try_capture(machine, number);
    }
    match captured {
        Ok(captured) => {
            // SAFETY: not null; the caller's variable.
            unsafe { npi.write(captured) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

fn release(machine: &Machine, block: *mut WSK_REGISTRATION) {
    let Ok(number) = find(machine, "WskReleaseProviderNPI", block) else { return };
    {
        let mut state = machine.netio.wsk.registrations.state();
        let registration = state.registrations.get_mut(&number).filter(|registration| registration.captured > 0);
        let Some(registration) = registration else {
            drop(state);
            machine.violation("wsk", format!("WSK_REGISTRATION {:#x} is not captured, yet released", block.addr()));
            return;
        };
        registration.captured -= 1;
    }
    finish(machine, number);
}

/// Completes the detachment that waits for the last capture and the last call, when both are over.
pub(super) fn finish(machine: &Machine, number: usize) {
    let wsk = &machine.netio.wsk;
    let binding = {
        let mut state = wsk.registrations.state();
        let Some(registration) = state.registrations.get_mut(&number) else { return };
        let Phase::Leaving { client, pending: true } = registration.phase else { return };
        if registration.captured != 0 || wsk.subsystem.calls_of(client) != 0 {
            return;
        }
        registration.phase = Phase::Leaving { client, pending: false };
        registration.binding
    };
    nmr::detach_complete(ptr::without_provenance_mut(binding), true);
}

ndk_types::abi! {
    unsafe extern "C" fn attach(
        binding: HANDLE,
        context: *mut c_void,
        subsystem: *mut NPI_REGISTRATION_INSTANCE
    ) -> NTSTATUS {
        let machine = Machine::current();
        let number = context.addr();
        // SAFETY: the registrar's promise: the provider's registration structure.
        let offered = unsafe { (*subsystem).NpiSpecificCharacteristics };
        // SAFETY: the interface's convention: WSK_PROVIDER_CHARACTERISTICS.
        let offered = unsafe { offered.cast::<WSK_PROVIDER_CHARACTERISTICS>().read() };
        let table = {
            let mut state = machine.netio.wsk.registrations.state();
            let Some(registration) = state.registrations.get_mut(&number) else { return STATUS_NOINTERFACE };
            registration.offered = Some(offered);
            registration.binding = binding.addr();
            registration.dispatch
        };
        let (mut client, mut dispatch) = (ptr::null_mut(), ptr::null());
        // SAFETY: the registrar's binding; context and table of this registration, and this frame's variables.
        let status =
            unsafe { nmr::client_attach(binding, context, table.cast(), &raw mut client, &raw mut dispatch) };
        if let Some(registration) = machine.netio.wsk.registrations.state().registrations.get_mut(&number) {
            registration.phase = match status {
                STATUS_SUCCESS => Phase::Attached { client: client.addr(), dispatch: dispatch.expose_provenance() },
                STATUS_NOINTERFACE => Phase::Refused,
                _ => Phase::Alone,
            };
        }
        status
    }

    unsafe extern "C" fn detach(context: *mut c_void) -> NTSTATUS {
        let machine = Machine::current();
        let mut state = machine.netio.wsk.registrations.state();
        let Some(registration) = state.registrations.get_mut(&context.addr()) else { return STATUS_SUCCESS };
        let pending = registration.captured > 0;
        if let Phase::Attached { client, .. } = registration.phase {
            registration.phase = Phase::Leaving { client, pending };
        }
        if pending { STATUS_PENDING } else { STATUS_SUCCESS }
    }

    unsafe extern "C" fn clean(context: *mut c_void) {
        if let Some(registration) = Machine::current().netio.wsk.registrations.state().registrations.get_mut(&context.addr()) {
            (registration.phase, registration.offered, registration.binding) = (Phase::Alone, None, 0);
        }
    }

    unsafe extern "C" fn wsk_register(npi: *mut WSK_CLIENT_NPI, block: *mut WSK_REGISTRATION) -> NTSTATUS {
        register(&Machine::current(), npi, block)
    }

    unsafe extern "C" fn wsk_deregister(block: *mut WSK_REGISTRATION) {
        deregister(&Machine::current(), block);
    }

    unsafe extern "C" fn capture_provider_npi(
        block: *mut WSK_REGISTRATION,
        timeout: u32,
        npi: *mut WSK_PROVIDER_NPI
    ) -> NTSTATUS {
        capture(&Machine::current(), block, timeout, npi)
    }

    unsafe extern "C" fn release_provider_npi(block: *mut WSK_REGISTRATION) {
        release(&Machine::current(), block);
    }

    unsafe extern "C" fn query_provider_characteristics(
        block: *mut WSK_REGISTRATION,
        characteristics: *mut WSK_PROVIDER_CHARACTERISTICS
    ) -> NTSTATUS {
        let machine = Machine::current();
        let number = match find(&machine, "WskQueryProviderCharacteristics", block) {
            Ok(number) => number,
            Err(none) => return none.status(),
        };
        if machine.take_failure("WskQueryProviderCharacteristics") {
            return STATUS_DEVICE_NOT_READY;
        }
        let offered = machine.netio.wsk.registrations.state().registrations.get(&number).and_then(|there| there.offered);
        let Some(offered) = offered else { return STATUS_DEVICE_NOT_READY };
        if characteristics.is_null() {
            machine.violation("wsk", "WskQueryProviderCharacteristics without a place for them");
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: not null; the caller's variable.
        unsafe { characteristics.write(offered) };
        STATUS_SUCCESS
    }
}

/// The functions.
pub(super) fn exports() -> Vec<Export> {
    exports! {
        "netio.sys" in ndk_types::prototype;
        WskRegister <= Passive = wsk_register,
        WskDeregister <= Passive = wsk_deregister,
        WskCaptureProviderNPI <= Dispatch = capture_provider_npi,
        WskReleaseProviderNPI <= Dispatch = release_provider_npi,
        WskQueryProviderCharacteristics <= Dispatch = query_provider_characteristics,
    }
    .to_vec()
}
