//! The WSK subsystem: a provider of the registrar for NPI_WSK_INTERFACE_ID, and the functions of its WSK_PROVIDER_DISPATCH.
//!
//! A client is attached if it wants version 1.0. Its calls are counted: it is detached when the last has returned (NMR-08), and
//! forgotten in the cleanup callback alone (NMR-09). What is about sockets and names is STATUS_NOT_SUPPORTED, and its IRP is
//! completed with that.

use super::registration::{self, MODULE};
use super::{Resident, ndk, nmr};
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::machine::on_import;
use crate::kernel::nt::io;
use crate::kernel::stack::Gate;
use crate::kernel::wdk::PIRP;
use ndk_types::*;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Names the interface between WSK and its clients.
pub static NPI_WSK_INTERFACE_ID: GUID =
    GUID { Data1: 0x2227_e803, Data2: 0x8d8b, Data3: 0x11d4, Data4: [0xab, 0xad, 0x00, 0x90, 0x27, 0x71, 0x9e, 0x09] };

/// MAKE_WSK_VERSION(1, 0), the one version that is documented.
const VERSION: u16 = 0x100;

/// Where the functions of dispatch tables are among the exports; nothing can import from there.
pub(super) const LIBRARY: &str = "dispatch tables of wsk";

/// A module of the simulator.
pub(super) const fn module_id(number: u32) -> NPI_MODULEID {
    let guid = GUID { Data1: number, Data2: 0, Data3: 0, Data4: *b"wsk-here" };
    NPI_MODULEID {
        Length: size_of::<NPI_MODULEID>() as u16,
        Type: MIT_GUID,
        Anonymous: NPI_MODULEID_NAME { Guid: guid },
    }
}

static ITSELF: Resident<NPI_MODULEID> = Resident(module_id(2));
static VERSIONS: WSK_PROVIDER_CHARACTERISTICS =
    WSK_PROVIDER_CHARACTERISTICS { HighestVersion: VERSION, LowestVersion: VERSION };
static PROVIDER: Resident<NPI_PROVIDER_CHARACTERISTICS> = Resident(NPI_PROVIDER_CHARACTERISTICS {
    Version: 0,
    Length: size_of::<NPI_PROVIDER_CHARACTERISTICS>() as u16,
    ProviderAttachClient: Some(attach),
    ProviderDetachClient: Some(detach),
    ProviderCleanupBindingContext: Some(clean),
    ProviderRegistrationInstance: NPI_REGISTRATION_INSTANCE {
        Version: 0,
        Size: size_of::<NPI_REGISTRATION_INSTANCE>() as u16,
        NpiId: &raw const NPI_WSK_INTERFACE_ID,
        ModuleId: &raw const ITSELF.0,
        Number: 0,
        NpiSpecificCharacteristics: (&raw const VERSIONS).cast(),
    },
});

/// What WSK_CLIENT stands for.
struct Client {
    binding: usize,
    /// Its WskRegister, if it came that way.
    registration: Option<usize>,
    /// How many of its calls are under way.
    calls: u32,
    /// The registrar waits for them.
    detaching: bool,
}

#[derive(Default)]
struct State {
    module: Option<usize>,
    last: usize,
    clients: BTreeMap<usize, Client>,
}

/// The subsystem of one machine.
#[derive(Default)]
pub(super) struct Subsystem {
    state: Mutex<State>,
    table: OnceLock<Table>,
}

/// WSK_PROVIDER_DISPATCH, and the gates its slots lead through.
struct Table {
    dispatch: WSK_PROVIDER_DISPATCH,
    _gates: [Gate; 6],
}

impl Subsystem {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls of a client are under way.
    pub(super) fn calls_of(&self, client: usize) -> u32 {
        self.state().clients.get(&client).map_or(0, |client| client.calls)
    }
}

/// The subsystem is ready from now on: clients that wait are attached.
pub fn start(machine: &Arc<Machine>) {
    let own = &machine.netio.wsk.subsystem;
    if own.state().module.is_none() {
        let module = nmr::register_own_provider(machine, &PROVIDER.0, NPI_WSK_INTERFACE_ID);
        own.state().module = Some(module.addr());
    }
}

/// The subsystem goes, when its clients have let go of it. Windows keeps it; here a start that comes late can be played.
pub fn stop(machine: &Arc<Machine>) {
    let module = machine.netio.wsk.subsystem.state().module.take();
    if let Some(module) = module {
        machine.enter(|| {
            nmr::deregister(ptr::without_provenance_mut(module), false);
            nmr::wait_deregistered(ptr::without_provenance_mut(module), false);
        });
    }
}

/// The gate to a function of a dispatch table.
pub(super) fn gate(machine: &Machine, name: &str) -> Gate {
    let (place, address) = machine.export_place(LIBRARY, name).expect("every function of a table is among the exports");
    Gate::new(name.to_owned(), place, address, on_import)
}

/// A function of a dispatch table as an export: `Name: type of its slot <= highest IRQL = function`.
macro_rules! slot {
    ($name:ident: $type:ty, <= $irql:ident, $function:ident) => {{
        let typed: $type = Some($function);
        $crate::kernel::export::Export {
            library: $crate::kernel::netio::wsk::subsystem::LIBRARY,
            name: stringify!($name),
            address: typed.map_or(0, |function| function as usize),
            max_irql: $crate::kernel::irql::Irql::$irql,
        }
    }};
}
pub(super) use slot;

/// The functions of WSK_PROVIDER_DISPATCH.
pub(super) fn exports() -> [Export; 6] {
    [
        slot!(WskSocket: PFN_WSK_SOCKET, <= Dispatch, socket),
        slot!(WskSocketConnect: PFN_WSK_SOCKET_CONNECT, <= Dispatch, socket_connect),
        slot!(WskControlClient: PFN_WSK_CONTROL_CLIENT, <= Dispatch, control_client),
        slot!(WskGetAddressInfo: PFN_WSK_GET_ADDRESS_INFO, <= Passive, get_address_info),
        slot!(WskFreeAddressInfo: PFN_WSK_FREE_ADDRESS_INFO, <= Passive, free_address_info),
        slot!(WskGetNameInfo: PFN_WSK_GET_NAME_INFO, <= Passive, get_name_info),
    ]
}

impl Table {
    fn new(machine: &Machine) -> Self {
        let gates = exports().map(|export| gate(machine, export.name));
        let [socket, connect, control, address, free, name] = [0, 1, 2, 3, 4, 5].map(|place| gates[place].address());
        let dispatch = WSK_PROVIDER_DISPATCH {
            Version: VERSION,
            Reserved: 0,
            // SAFETY: `slot!` gave this function this type.
            WskSocket: unsafe { std::mem::transmute::<usize, PFN_WSK_SOCKET>(socket) },
            // SAFETY: as above.
            WskSocketConnect: unsafe { std::mem::transmute::<usize, PFN_WSK_SOCKET_CONNECT>(connect) },
            // SAFETY: as above.
            WskControlClient: unsafe { std::mem::transmute::<usize, PFN_WSK_CONTROL_CLIENT>(control) },
            // SAFETY: as above.
            WskGetAddressInfo: unsafe { std::mem::transmute::<usize, PFN_WSK_GET_ADDRESS_INFO>(address) },
            // SAFETY: as above.
            WskFreeAddressInfo: unsafe { std::mem::transmute::<usize, PFN_WSK_FREE_ADDRESS_INFO>(free) },
            // SAFETY: as above.
            WskGetNameInfo: unsafe { std::mem::transmute::<usize, PFN_WSK_GET_NAME_INFO>(name) },
        };
        Self { dispatch, _gates: gates }
    }
}

/// Runs a client's call, which is counted. `refused` when there is no such client.
pub(super) fn during<R>(client: PWSK_CLIENT, call: &str, refused: R, f: impl FnOnce(&Arc<Machine>) -> R) -> R {
    let machine = Machine::current();
    let wsk = &machine.netio.wsk;
    let number = client.addr();
    let known = wsk.subsystem.state().clients.get_mut(&number).map(|client| {
        client.calls += 1;
        client.registration
    });
    let Some(registration) = known else {
        machine.violation("wsk", format!("{call} for WSK_CLIENT {number:#x}, which is not attached"));
        return refused;
    };
    if registration.is_some_and(|registration| !wsk.registrations.is_captured(registration)) {
        machine.violation("wsk", format!("{call} for WSK_CLIENT {number:#x}, whose NPI is not captured"));
    }
    let result = f(&machine);
    let detached = {
        let mut state = wsk.subsystem.state();
        state.clients.get_mut(&number).and_then(|client| {
            client.calls -= 1;
            (client.calls == 0 && std::mem::take(&mut client.detaching)).then_some(client.binding)
        })
    };
    if let Some(binding) = detached {
        nmr::detach_complete(ptr::without_provenance_mut(binding), false);
    }
    if let Some(registration) = registration {
        registration::finish(&machine, registration);
    }
    result
}

fn control(
    machine: &Machine,
    code: u32,
    input: (usize, bool),
    output: (usize, *mut c_void),
) -> Result<usize, NTSTATUS> {
    if code != WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH {
        return Err(STATUS_NOT_SUPPORTED);
    }
    if machine.take_failure("WskControlClient") {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // No page tells of this code; a buffer that is smaller than the table has been seen to be refused in this way.
    let table = ndk::table(machine);
    if input != (0, true) || output.0 < size_of_val(&table) || output.1.is_null() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: not null and large enough; the page of WskControlClient: the caller's buffer.
    unsafe { output.1.cast::<WSK_PROVIDER_NDK_DISPATCH>().write_unaligned(table) };
    Ok(size_of_val(&table))
}

/// Completes the IRP of a call that fails, as the pages of all of them have it.
fn complete(machine: &Arc<Machine>, call: &str, irp: *mut c_void, status: NTSTATUS) {
    let irp: PIRP = irp.cast();
    // SAFETY: not null; the page on IRPs and WSK: a request of the caller's.
    if unsafe { (*irp).CurrentLocation } <= 1 {
        machine.violation("wsk", format!("{call} with an IRP that has no stack location left"));
        return;
    }
    io::next_location(irp);
    io::complete(machine, irp, status, 0);
}

/// What is about sockets and names.
fn not_supported(client: PWSK_CLIENT, call: &str, irp: *mut c_void) -> NTSTATUS {
    during(client, call, STATUS_INVALID_PARAMETER, |machine| {
        machine.log(format!("{call}: sockets and names are not part of this kernel"));
        if irp.is_null() {
            machine.violation("wsk", format!("{call} without an IRP"));
        } else {
            complete(machine, call, irp, STATUS_NOT_SUPPORTED);
        }
        STATUS_NOT_SUPPORTED
    })
}

ndk_types::abi! {
    unsafe extern "C" fn attach(
        binding: HANDLE,
        _context: *mut c_void,
        client: *mut NPI_REGISTRATION_INSTANCE,
        _client_context: *mut c_void,
        client_dispatch: *const c_void,
        context: *mut *mut c_void,
        dispatch: *mut *const c_void
    ) -> NTSTATUS {
        let machine = Machine::current();
        let wanted = client_dispatch.cast::<WSK_CLIENT_DISPATCH>();
        if wanted.is_null() {
            machine.violation("NMR-03", "a client of WSK attaches without a WSK_CLIENT_DISPATCH");
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: not null; the interface's convention: the client's WSK_CLIENT_DISPATCH.
        if !(VERSIONS.LowestVersion..=VERSIONS.HighestVersion).contains(&unsafe { (*wanted).Version }) {
            return STATUS_NOINTERFACE;
        }
        // SAFETY: the registrar's promise: the client's registration structure.
        let module = unsafe { (*client).ModuleId };
        // The clients that WskRegister makes have their registration's number for context.
        let registration = ptr::eq(module, &raw const MODULE.0).then(|| _client_context.addr());
        let own = &machine.netio.wsk.subsystem;
        let table = own.table.get_or_init(|| Table::new(&machine));
        let number = {
            let mut state = own.state();
            state.last += 16;
            let (number, binding) = (state.last, binding.addr());
            state.clients.insert(number, Client { binding, registration, calls: 0, detaching: false });
            number
        };
        // SAFETY: the registrar's variable.
        unsafe { context.write(ptr::without_provenance_mut(number)) };
        // SAFETY: the registrar's variable.
        unsafe { dispatch.write((&raw const table.dispatch).cast()) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn detach(context: *mut c_void) -> NTSTATUS {
        let machine = Machine::current();
        let mut state = machine.netio.wsk.subsystem.state();
        let Some(client) = state.clients.get_mut(&context.addr()) else { return STATUS_SUCCESS };
        client.detaching = client.calls > 0;
        if client.detaching { STATUS_PENDING } else { STATUS_SUCCESS }
    }

    unsafe extern "C" fn clean(context: *mut c_void) {
        let machine = Machine::current();
        machine.netio.wsk.subsystem.state().clients.remove(&context.addr());
        machine.netio.wsk.ndk.client_is_gone(&machine, context.addr());
    }

    unsafe extern "C" fn control_client(
        client: PWSK_CLIENT,
        code: u32,
        input_size: usize,
        input: *mut c_void,
        output_size: usize,
        output: *mut c_void,
        returned: *mut usize,
        irp: *mut c_void
    ) -> NTSTATUS {
        let call = "WskControlClient";
        during(client, call, STATUS_INVALID_PARAMETER, |machine| {
            if code == WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH && !irp.is_null() {
                machine.violation("wsk", "WskControlClient('NDKD') with an IRP, which nothing completes");
            }
            match control(machine, code, (input_size, input.is_null()), (output_size, output)) {
                Ok(size) => {
                    if !returned.is_null() {
                        // SAFETY: not null; the caller's variable.
                        unsafe { returned.write(size) };
                    }
                    STATUS_SUCCESS
                }
                Err(status) => {
                    machine.log(format!("{call} with code {code:#x}: {status:#x}"));
                    if !irp.is_null() && code != WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH {
                        complete(machine, call, irp, status);
                    }
                    status
                }
            }
        })
    }

    unsafe extern "C" fn socket(
        client: PWSK_CLIENT, _family: ADDRESS_FAMILY, _kind: u16, _protocol: u32, _flags: u32, _context: *mut c_void,
        _dispatch: *const c_void, _process: *mut c_void, _thread: *mut c_void, _security: *mut c_void, irp: *mut c_void
    ) -> NTSTATUS {
        not_supported(client, "WskSocket", irp)
    }

    unsafe extern "C" fn socket_connect(
        client: PWSK_CLIENT, _kind: u16, _protocol: u32, _local: *mut SOCKADDR, _remote: *mut SOCKADDR, _flags: u32,
        _context: *mut c_void, _dispatch: *const WSK_CLIENT_CONNECTION_DISPATCH, _process: *mut c_void,
        _thread: *mut c_void, _security: *mut c_void, irp: *mut c_void
    ) -> NTSTATUS {
        not_supported(client, "WskSocketConnect", irp)
    }

    unsafe extern "C" fn get_address_info(
        client: PWSK_CLIENT, _node: *mut UNICODE_STRING, _service: *mut UNICODE_STRING, _space: u32,
        _provider: *mut GUID, _hints: *mut c_void, _result: *mut *mut c_void, _process: *mut c_void,
        _thread: *mut c_void, irp: *mut c_void
    ) -> NTSTATUS {
        not_supported(client, "WskGetAddressInfo", irp)
    }

    unsafe extern "C" fn free_address_info(client: PWSK_CLIENT, _info: *mut c_void) {
        during(client, "WskFreeAddressInfo", (), |machine| {
            machine.violation("wsk", "WskFreeAddressInfo of something that WskGetAddressInfo did not return");
        });
    }

    unsafe extern "C" fn get_name_info(
        client: PWSK_CLIENT, _address: *mut SOCKADDR, _length: u32, _node: *mut UNICODE_STRING,
        _service: *mut UNICODE_STRING, _flags: u32, _process: *mut c_void, _thread: *mut c_void, irp: *mut c_void
    ) -> NTSTATUS {
        not_supported(client, "WskGetNameInfo", irp)
    }
}
