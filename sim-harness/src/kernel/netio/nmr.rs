//! The Network Module Registrar: who offers and who wants a network programming interface, and the bindings between them.
//!
//! A pair that registered for one interface is offered to the client on a kernel thread of its own. A binding ends when both
//! sides have detached; then both clean up, and only then are waits for the end of a registration over. Detach and cleanup
//! callbacks run at PASSIVE_LEVEL or DISPATCH_LEVEL as the machine's seed has it, since both are allowed (NMR-07).

use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::{call_driver, exports};
use ndk_types::{
    GUID, HANDLE, NPI_CLIENT_CHARACTERISTICS, NPI_PROVIDER_CHARACTERISTICS, NPI_REGISTRATION_INSTANCE, NTSTATUS,
    STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a module is called by.
#[derive(Clone, Copy)]
enum Callbacks {
    Client(NPI_CLIENT_CHARACTERISTICS),
    Provider(NPI_PROVIDER_CHARACTERISTICS),
}

impl Callbacks {
    fn instance(&self) -> NPI_REGISTRATION_INSTANCE {
        match self {
            Self::Client(client) => client.ClientRegistrationInstance,
            Self::Provider(provider) => provider.ProviderRegistrationInstance,
        }
    }

    fn is_client(&self) -> bool {
        matches!(self, Self::Client(_))
    }
}

/// A registration.
#[derive(Clone, Copy)]
struct Module {
    callbacks: Callbacks,
    context: *mut c_void,
    /// The module's own structure, which must stay as it was (NMR-02).
    instance: *const NPI_REGISTRATION_INSTANCE,
    npi: GUID,
    leaving: bool,
    /// The kernel's own: nobody leaves it behind.
    own: bool,
}

/// How far a binding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Offered,
    Attached,
    Detaching,
    CleaningUp,
}

/// How far one side's detachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detach {
    NotAsked,
    /// The callback runs.
    Asked,
    /// Completed before the callback returned.
    Early,
    Pending,
    Done,
}

#[derive(Clone, Copy)]
struct Side {
    module: usize,
    context: *mut c_void,
    detach: Detach,
}

#[derive(Clone, Copy)]
struct Binding {
    phase: Phase,
    client: Side,
    provider: Side,
}

impl Binding {
    fn side(&mut self, client: bool) -> &mut Side {
        if client { &mut self.client } else { &mut self.provider }
    }
}

#[derive(Default)]
struct State {
    last: usize,
    modules: BTreeMap<usize, Module>,
    bindings: BTreeMap<usize, Binding>,
}

// SAFETY: the pointers are the modules' own, kept to be given back to them; the registrar reads through `instance` alone,
// which NMR-02 keeps valid.
unsafe impl Send for State {}

impl State {
    fn handle(&mut self) -> usize {
        self.last += 16;
        self.last
    }
}

/// The registrar of one machine.
#[derive(Default)]
pub struct Registrar(Mutex<State>);

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        write!(f, "Registrar({} modules, {} bindings)", state.modules.len(), state.bindings.len())
    }
}

impl Registrar {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pair(&self, binding: usize) -> Option<(Binding, Module, Module)> {
        let state = self.state();
        let binding = *state.bindings.get(&binding)?;
        Some((binding, *state.modules.get(&binding.client.module)?, *state.modules.get(&binding.provider.module)?))
    }

    /// Registrations whose end nobody waited for (NMR-10, NMR-11).
    pub fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let kind = |module: &Module| if module.callbacks.is_client() { "client" } else { "provider" };
        let name = |(handle, module): (&usize, &Module)| format!("NMR {} {handle:#x}, still registered", kind(module));
        state.modules.iter().filter(|(_, module)| !module.own).map(name).collect()
    }
}

/// Detach and cleanup callbacks may come at either level, though at none below their cause's.
fn any_irql(machine: &Machine) -> Irql {
    let drawn = if machine.nt.random_u64() & 1 == 0 { Irql::Passive } else { Irql::Dispatch };
    drawn.max(irql::current())
}

fn register(
    callbacks: Callbacks,
    header: (u16, u16, usize),
    instance: *const NPI_REGISTRATION_INSTANCE,
    context: *mut c_void,
    handle: *mut HANDLE,
) -> NTSTATUS {
    let machine = Machine::current();
    let (version, length, expected) = header;
    let there = callbacks.instance();
    if (version, usize::from(length)) != (0, expected)
        || (there.Version, usize::from(there.Size)) != (0, size_of::<NPI_REGISTRATION_INSTANCE>())
    {
        machine.violation(
            "NMR-12",
            format!("version {version}, length {length}; instance version {}, size {}", there.Version, there.Size),
        );
        return STATUS_INVALID_PARAMETER;
    }
    if there.NpiId.is_null() || there.ModuleId.is_null() || handle.is_null() {
        machine.violation(
            "NMR-02",
            "a registration without an NPI identifier, a module identifier or a place for its handle",
        );
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: not null; the registrant's promise (NMR-02).
    let npi = unsafe { there.NpiId.read() };
    let module = Module { callbacks, context, instance, npi, leaving: false, own: false };
    let (number, offers) = enter(&mut machine.netio.nmr.state(), module);
    // SAFETY: not null; the caller's variable.
    unsafe { handle.write(ptr::without_provenance_mut(number)) };
    for binding in offers {
        machine.thread("an offer of the registrar", move || offer(&Machine::current(), binding));
    }
    STATUS_SUCCESS
}

/// Registers a provider of the kernel's own. Clients that wait for one are offered it.
pub(super) fn register_own_provider(
    machine: &Arc<Machine>,
    module: &'static NPI_PROVIDER_CHARACTERISTICS,
    npi: GUID,
) -> HANDLE {
    let instance = &raw const module.ProviderRegistrationInstance;
    let callbacks = Callbacks::Provider(*module);
    let module = Module { callbacks, context: ptr::null_mut(), instance, npi, leaving: false, own: true };
    let (number, offers) = enter(&mut machine.netio.nmr.state(), module);
    for binding in offers {
        machine.thread("an offer of the registrar", move || offer(&Machine::current(), binding));
    }
    ptr::without_provenance_mut(number)
}

/// Registers a client of the kernel's own. What is there to attach to is attached when this returns, at PASSIVE_LEVEL.
pub(super) fn register_own_client(
    machine: &Arc<Machine>,
    module: &'static NPI_CLIENT_CHARACTERISTICS,
    context: *mut c_void,
    npi: GUID,
) -> HANDLE {
    let instance = &raw const module.ClientRegistrationInstance;
    let callbacks = Callbacks::Client(*module);
    let module = Module { callbacks, context, instance, npi, leaving: false, own: true };
    let (number, offers) = enter(&mut machine.netio.nmr.state(), module);
    for binding in offers {
        offer(machine, binding);
    }
    ptr::without_provenance_mut(number)
}

/// Enters a module; gives its handle and the bindings that may come of it (NMR-01).
fn enter(state: &mut State, module: Module) -> (usize, Vec<usize>) {
    let number = state.handle();
    let is_client = module.callbacks.is_client();
    let fits = |other: &Module| other.callbacks.is_client() != is_client && other.npi == module.npi && !other.leaving;
    let peers: Vec<_> = state.modules.iter().filter(|(_, other)| fits(other)).map(|(&peer, _)| peer).collect();
    state.modules.insert(number, module);
    let side = |module| Side { module, context: ptr::null_mut(), detach: Detach::NotAsked };
    let mut offers = Vec::new();
    for peer in peers {
        let (client, provider) = if is_client { (number, peer) } else { (peer, number) };
        let binding = Binding { phase: Phase::Offered, client: side(client), provider: side(provider) };
        let at = state.handle();
        state.bindings.insert(at, binding);
        offers.push(at);
    }
    (number, offers)
}

/// The registration structures must still be what they were (NMR-02).
fn check_resident(machine: &Machine, module: &Module) {
    let key = |instance: &NPI_REGISTRATION_INSTANCE| {
        (instance.Version, instance.Size, instance.NpiId, instance.ModuleId, instance.Number)
    };
    // SAFETY: valid while registered, which is what NMR-02 asks.
    let now = unsafe { module.instance.read() };
    let then = module.callbacks.instance();
    // SAFETY: as above; looked at only when the pointer is the registered one.
    if key(&now) != key(&then) || unsafe { then.NpiId.read() } != module.npi {
        machine.violation("NMR-02", "a registration's structures changed while it was registered");
    }
}

fn offer(machine: &Arc<Machine>, number: usize) {
    let nmr = &machine.netio.nmr;
    let Some((_, client, provider)) = nmr.pair(number) else { return };
    if client.leaving || provider.leaving {
        nmr.state().bindings.remove(&number);
        return;
    }
    check_resident(machine, &client);
    check_resident(machine, &provider);
    let Callbacks::Client(callbacks) = client.callbacks else { return };
    let handle = ptr::without_provenance_mut(number);
    let status = callbacks.ClientAttachProvider.map_or(STATUS_INVALID_PARAMETER, |attach| {
        let instance = provider.instance.cast_mut();
        // SAFETY: the client's own callback with its own context; the provider's instance is valid (NMR-02).
        unsafe {
            call_driver!(machine, "ClientAttachProvider", Irql::Passive, attach, handle, client.context, instance)
        }
    });
    let Some((binding, client, provider)) = nmr.pair(number) else { return };
    let attached = binding.phase == Phase::Attached;
    if attached != (status == STATUS_SUCCESS) {
        let text = format!("ClientAttachProvider returned {status:#x}, yet the binding is {:?}", binding.phase);
        machine.violation("NMR-03", text);
    }
    if !attached {
        nmr.state().bindings.remove(&number);
    } else if client.leaving || provider.leaving || status != STATUS_SUCCESS {
        detach(machine, number);
    }
}

fn detach(machine: &Arc<Machine>, number: usize) {
    let nmr = &machine.netio.nmr;
    {
        let mut state = nmr.state();
        let Some(binding) = state.bindings.get_mut(&number) else { return };
        if binding.phase != Phase::Attached {
            return;
        }
        binding.phase = Phase::Detaching;
        binding.client.detach = Detach::Asked;
        binding.provider.detach = Detach::Asked;
    }
    let Some((binding, client, provider)) = nmr.pair(number) else { return };
    if let Callbacks::Client(callbacks) = client.callbacks {
        let status = callbacks.ClientDetachProvider.map_or(STATUS_SUCCESS, |detach| {
            // SAFETY: the client's own callback with the context it attached with.
            unsafe { call_driver!(machine, "ClientDetachProvider", any_irql(machine), detach, binding.client.context) }
        });
        detach_returned(machine, number, true, status);
    }
    if let Callbacks::Provider(callbacks) = provider.callbacks {
        let status = callbacks.ProviderDetachClient.map_or(STATUS_SUCCESS, |detach| {
            // SAFETY: the provider's own callback with the context it attached with.
            unsafe {
                call_driver!(machine, "ProviderDetachClient", any_irql(machine), detach, binding.provider.context)
            }
        });
        detach_returned(machine, number, false, status);
    }
}

fn detach_returned(machine: &Arc<Machine>, number: usize, client: bool, status: NTSTATUS) {
    {
        let mut state = machine.netio.nmr.state();
        let Some(binding) = state.bindings.get_mut(&number) else { return };
        let side = binding.side(client);
        let early = side.detach == Detach::Early;
        side.detach = if status == STATUS_PENDING && !early { Detach::Pending } else { Detach::Done };
        if status == STATUS_SUCCESS && early {
            machine.violation("NMR-06", "a detachment was completed and its callback returned STATUS_SUCCESS");
        } else if status != STATUS_SUCCESS && status != STATUS_PENDING {
            machine.violation("NMR-06", format!("a detach callback returned {status:#x}"));
        }
    }
    clean_up(machine, number);
}

pub(super) fn detach_complete(binding: HANDLE, client: bool) {
    let machine = Machine::current();
    let number = binding.addr();
    {
        let mut state = machine.netio.nmr.state();
        let side = state.bindings.get_mut(&number).map(|binding| binding.side(client));
        match side.as_ref().map(|side| side.detach) {
            Some(Detach::Asked) => side.into_iter().for_each(|side| side.detach = Detach::Early),
            Some(Detach::Pending) => side.into_iter().for_each(|side| side.detach = Detach::Done),
            other => {
                machine
                    .violation("NMR-06", format!("a detachment completed that is not pending: {number:#x}, {other:?}"));
                return;
            }
        }
    }
    clean_up(&machine, number);
}

/// Ends a binding that both sides have let go of.
fn clean_up(machine: &Arc<Machine>, number: usize) {
    let nmr = &machine.netio.nmr;
    {
        let mut state = nmr.state();
        let Some(binding) = state.bindings.get_mut(&number) else { return };
        let done = binding.client.detach == Detach::Done && binding.provider.detach == Detach::Done;
        if !done || binding.phase != Phase::Detaching {
            return;
        }
        binding.phase = Phase::CleaningUp;
    }
    let Some((binding, client, provider)) = nmr.pair(number) else { return };
    if let Callbacks::Client(callbacks) = client.callbacks
        && let Some(clean) = callbacks.ClientCleanupBindingContext
    {
        let (what, context) = ("ClientCleanupBindingContext", binding.client.context);
        // SAFETY: the client's own callback with the context it attached with, once.
        unsafe { call_driver!(machine, what, any_irql(machine), clean, context) };
    }
    if let Callbacks::Provider(callbacks) = provider.callbacks
        && let Some(clean) = callbacks.ProviderCleanupBindingContext
    {
        let (what, context) = ("ProviderCleanupBindingContext", binding.provider.context);
        // SAFETY: the provider's own callback with the context it attached with, once.
        unsafe { call_driver!(machine, what, any_irql(machine), clean, context) };
    }
    nmr.state().bindings.remove(&number);
}

pub(super) fn deregister(handle: HANDLE, client: bool) -> NTSTATUS {
    let machine = Machine::current();
    let number = handle.addr();
    let (module, bindings) = {
        let mut state = machine.netio.nmr.state();
        let module =
            state.modules.get_mut(&number).filter(|module| module.callbacks.is_client() == client && !module.leaving);
        let Some(module) = module else {
            drop(state);
            machine.violation("NMR-11", format!("deregistration of {number:#x}, which is not registered"));
            return STATUS_INVALID_HANDLE;
        };
        module.leaving = true;
        let module = *module;
        let of = |binding: &Binding| binding.client.module == number || binding.provider.module == number;
        let bindings: Vec<_> = state.bindings.iter().filter(|(_, binding)| of(binding)).map(|(&at, _)| at).collect();
        (module, bindings)
    };
    check_resident(&machine, &module);
    for binding in bindings {
        detach(&machine, binding);
    }
    STATUS_PENDING
}

pub(super) fn wait_deregistered(handle: HANDLE, client: bool) -> NTSTATUS {
    let machine = Machine::current();
    let number = handle.addr();
    let module = machine.netio.nmr.state().modules.get(&number).copied();
    if !module.is_some_and(|module| module.callbacks.is_client() == client && module.leaving) {
        machine.violation("NMR-10", format!("a wait for the end of {number:#x}, whose deregistration has not begun"));
        return STATUS_INVALID_PARAMETER;
    }
    let looked_at = machine.clone();
    machine.wait("the end of an NMR registration", None, move || {
        let state = looked_at.netio.nmr.state();
        state.bindings.values().all(|binding| binding.client.module != number && binding.provider.module != number)
    });
    machine.netio.nmr.state().modules.remove(&number);
    STATUS_SUCCESS
}

ndk_types::abi! {
    unsafe extern "C" fn register_provider(
        characteristics: *const NPI_PROVIDER_CHARACTERISTICS,
        context: *mut c_void,
        handle: *mut HANDLE
    ) -> NTSTATUS {
        // SAFETY: the caller's structure (NMR-02).
        let read = unsafe { characteristics.read() };
        // SAFETY: a field of the same structure.
        let instance = unsafe { &raw const (*characteristics).ProviderRegistrationInstance };
        register(Callbacks::Provider(read), (read.Version, read.Length, size_of_val(&read)), instance, context, handle)
    }

    unsafe extern "C" fn register_client(
        characteristics: *const NPI_CLIENT_CHARACTERISTICS,
        context: *mut c_void,
        handle: *mut HANDLE
    ) -> NTSTATUS {
        // SAFETY: the caller's structure (NMR-02).
        let read = unsafe { characteristics.read() };
        // SAFETY: a field of the same structure.
        let instance = unsafe { &raw const (*characteristics).ClientRegistrationInstance };
        register(Callbacks::Client(read), (read.Version, read.Length, size_of_val(&read)), instance, context, handle)
    }

    unsafe extern "C" fn deregister_provider(handle: HANDLE) -> NTSTATUS {
        deregister(handle, false)
    }

    unsafe extern "C" fn deregister_client(handle: HANDLE) -> NTSTATUS {
        deregister(handle, true)
    }

    unsafe extern "C" fn wait_for_provider(handle: HANDLE) -> NTSTATUS {
        wait_deregistered(handle, false)
    }

    unsafe extern "C" fn wait_for_client(handle: HANDLE) -> NTSTATUS {
        wait_deregistered(handle, true)
    }

    unsafe extern "C" fn provider_detach_complete(binding: HANDLE) {
        detach_complete(binding, false);
    }

    unsafe extern "C" fn client_detach_complete(binding: HANDLE) {
        detach_complete(binding, true);
    }

    pub(super) unsafe extern "C" fn client_attach(
        binding: HANDLE,
        client_context: *mut c_void,
        client_dispatch: *const c_void,
        provider_context: *mut *mut c_void,
        provider_dispatch: *mut *const c_void
    ) -> NTSTATUS {
        let machine = Machine::current();
        let pair = machine.netio.nmr.pair(binding.addr()).filter(|(binding, ..)| binding.phase == Phase::Offered);
        let Some((_, client, provider)) = pair else {
            machine.violation("NMR-03", "NmrClientAttachProvider for a binding that is not on offer");
            return STATUS_INVALID_HANDLE;
        };
        let Callbacks::Provider(callbacks) = provider.callbacks else { return STATUS_INVALID_HANDLE };
        let mut context = ptr::null_mut();
        let mut dispatch = ptr::null();
        let status = callbacks.ProviderAttachClient.map_or(STATUS_INVALID_PARAMETER, |attach| {
            let (what, instance) = ("ProviderAttachClient", client.instance.cast_mut());
            // SAFETY: the provider's own callback with its own context; the rest is the client's and this frame's.
            unsafe {
                call_driver!(machine, what, Irql::Passive, attach, binding, provider.context, instance, client_context,
                    client_dispatch, &raw mut context, &raw mut dispatch)
            }
        });
        if status == STATUS_PENDING {
            machine.violation("NMR-03", "ProviderAttachClient returned STATUS_PENDING");
        }
        if status != STATUS_SUCCESS {
            return status;
        }
        if let Some(there) = machine.netio.nmr.state().bindings.get_mut(&binding.addr()) {
            there.phase = Phase::Attached;
            there.client.context = client_context;
            there.provider.context = context;
        }
        // SAFETY: the client's variable.
        unsafe { provider_context.write(context) };
        // SAFETY: the client's variable.
        unsafe { provider_dispatch.write(dispatch) };
        STATUS_SUCCESS
    }
}

/// What an image may import of the registrar.
pub fn exports() -> Vec<Export> {
    exports! {
        "netio.sys" in ndk_types::prototype;
        NmrRegisterProvider <= Passive = register_provider,
        NmrDeregisterProvider <= Dispatch = deregister_provider,
        NmrWaitForProviderDeregisterComplete <= Apc = wait_for_provider,
        NmrProviderDetachClientComplete <= Dispatch = provider_detach_complete,
        NmrRegisterClient <= Passive = register_client,
        NmrDeregisterClient <= Dispatch = deregister_client,
        NmrWaitForClientDeregisterComplete <= Apc = wait_for_client,
        NmrClientAttachProvider <= Passive = client_attach,
        NmrClientDetachProviderComplete <= Dispatch = client_detach_complete,
    }
    .to_vec()
}

#[cfg(test)]
mod tests;
