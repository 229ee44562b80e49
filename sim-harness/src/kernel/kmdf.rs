//! The framework's loader (WDFLDR.SYS) and the few functions of KMDF 1.33 that a miniport driver uses; every other entry of the
//! function table is a violation with its name (W-05).
//!
//! A bound driver has its own table and globals. They stay in memory after it unbinds, so that a late call is a report.

mod functions;

use super::Machine;
use super::export::Export;
use super::irql::Irql;
use super::nt::runtime::text;
use super::stack::{Gate, Import};
use super::wdk::{NTSTATUS, PCUNICODE_STRING, PCWSTR, PDEVICE_OBJECT, PDRIVER_OBJECT, PUNICODE_STRING, PVOID, ULONG};
use functions::FUNCTIONS;
use ndk_types::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A name for the framework's own functions in the table of exports; no image imports from it.
const FRAMEWORK: &str = "Wdf01000.sys";
const STATUS_INFO_LENGTH_MISMATCH: NTSTATUS = 0xC000_0004_u32.cast_signed();
const STATUS_NOT_IMPLEMENTED: NTSTATUS = 0xC000_0002_u32.cast_signed();
/// WdfDriverInitNoDispatchOverride.
const NO_DISPATCH_OVERRIDE: u32 = 2;
/// The newest minor version there is.
const MINOR: u32 = 33;

/// WDF_BIND_INFO.
#[repr(C)]
pub struct BindInfo {
    size: ULONG,
    component: PCWSTR,
    major: ULONG,
    minor: ULONG,
    build: ULONG,
    count: ULONG,
    table: *mut *const usize,
    module: PVOID,
}

/// WDF_DRIVER_GLOBALS.
#[repr(C)]
pub struct Globals {
    driver: PVOID,
    flags: ULONG,
    tag: ULONG,
    name: [u8; 32],
    displace_unload: u8,
}

type ObjectCallback = Option<unsafe extern "win64" fn(PVOID)>;
type Opaque = Option<unsafe extern "win64" fn()>;

/// WDF_DRIVER_CONFIG.
#[repr(C)]
pub struct DriverConfig {
    size: ULONG,
    device_add: Opaque,
    unload: ObjectCallback,
    flags: ULONG,
    tag: ULONG,
}

/// WDF_OBJECT_CONTEXT_TYPE_INFO.
#[repr(C)]
pub struct ContextType {
    size: ULONG,
    name: *const i8,
    bytes: usize,
    unique: *const ContextType,
    get_unique: Opaque,
}

/// WDF_OBJECT_ATTRIBUTES.
#[repr(C)]
pub struct Attributes {
    size: ULONG,
    cleanup: ObjectCallback,
    destroy: ObjectCallback,
    execution_level: i32,
    synchronization_scope: i32,
    parent: PVOID,
    context_bytes: usize,
    context_type: *const ContextType,
}

const _: () = {
    assert!(size_of::<BindInfo>() == 48);
    assert!(size_of::<Globals>() == 56);
    assert!(size_of::<DriverConfig>() == 32);
    assert!(size_of::<ContextType>() == 40);
    assert!(size_of::<Attributes>() == 56);
};

/// The functions' types.
mod prototypes {
    use super::*;

    pub(super) type WdfVersionBind =
        unsafe extern "win64" fn(PDRIVER_OBJECT, PUNICODE_STRING, *mut BindInfo, *mut *mut Globals) -> NTSTATUS;
    pub(super) type WdfVersionUnbind =
        unsafe extern "win64" fn(PUNICODE_STRING, *mut BindInfo, *mut Globals) -> NTSTATUS;
    pub(super) type WdfDriverCreate = unsafe extern "win64" fn(
        *mut Globals,
        PDRIVER_OBJECT,
        PCUNICODE_STRING,
        *const Attributes,
        *const DriverConfig,
        *mut PVOID,
    ) -> NTSTATUS;
    pub(super) type WdfDeviceMiniportCreate = unsafe extern "win64" fn(
        *mut Globals,
        PVOID,
        *const Attributes,
        PDEVICE_OBJECT,
        PDEVICE_OBJECT,
        PDEVICE_OBJECT,
        *mut PVOID,
    ) -> NTSTATUS;
    pub(super) type WdfDriverMiniportUnload = unsafe extern "win64" fn(*mut Globals, PVOID);
    pub(super) type WdfObjectDelete = unsafe extern "win64" fn(*mut Globals, PVOID);
    pub(super) type WdfObjectGetTypedContextWorker =
        unsafe extern "win64" fn(*mut Globals, PVOID, *const ContextType) -> PVOID;
}

/// A framework object: a driver or a device.
struct Object {
    handle: usize,
    device: bool,
    cleanup: ObjectCallback,
    destroy: ObjectCallback,
    context_type: usize,
    context: Box<[u64]>,
}

/// A driver that is, or was, bound.
struct Bound {
    driver_object: usize,
    globals: Box<Globals>,
    table: Box<[usize]>,
    /// Keeps the table's code.
    _gates: Vec<Gate>,
    unload: ObjectCallback,
    alive: bool,
    objects: Vec<Object>,
}

#[derive(Default)]
struct State {
    drivers: Vec<Bound>,
    next: usize,
}

/// The framework on one machine.
#[derive(Default)]
pub struct Kmdf(Mutex<State>);

// SAFETY: the pointers are addresses of the image's memory, passed on and never followed here; the state is behind a lock.
unsafe impl Send for Kmdf {}
// SAFETY: as above.
unsafe impl Sync for Kmdf {}

impl Kmdf {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this driver is bound to the framework.
    pub fn is_bound(&self, driver: PDRIVER_OBJECT) -> bool {
        self.state().drivers.iter().any(|bound| bound.alive && bound.driver_object == driver.addr())
    }

    /// Framework devices there are.
    pub fn devices(&self) -> usize {
        self.state().drivers.iter().flat_map(|bound| &bound.objects).filter(|object| object.device).count()
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let objects = state.drivers.iter().flat_map(|bound| &bound.objects);
        let kind = |object: &Object| if object.device { "device" } else { "driver" };
        let mut leaks: Vec<_> =
            objects.map(|object| format!("framework {} {:#x}", kind(object), object.handle)).collect();
        leaks.extend(state.drivers.iter().filter(|bound| bound.alive).map(|_| "a driver bound to KMDF".to_owned()));
        leaks
    }
}

impl State {
    /// The driver these globals belong to.
    fn of(&mut self, globals: *mut Globals) -> Option<&mut Bound> {
        self.drivers.iter_mut().find(|bound| bound.alive && ptr::from_ref(&*bound.globals).addr() == globals.addr())
    }

    /// A handle no address lies behind: whoever looks inside faults.
    fn handle(&mut self) -> usize {
        self.next += 16;
        0x30_0000 + self.next
    }
}

/// What an entry that is not simulated does.
extern "win64" fn trap() -> NTSTATUS {
    STATUS_NOT_IMPLEMENTED
}

extern "win64" fn on_trap(import: &Import) {
    Machine::current().violation("kmdf", format!("{} is called, which a miniport driver has no need of", import.name));
}

/// The function table: a gate for every entry.
fn gates(machine: &Machine) -> Vec<Gate> {
    let gate = |name: &&str| match machine.export_place(FRAMEWORK, name) {
        Some((number, address)) => Gate::new((*name).to_owned(), number, address, super::machine::on_import),
        None => Gate::new((*name).to_owned(), usize::MAX, trap as *const () as usize, on_trap),
    };
    FUNCTIONS.iter().map(gate).collect()
}

fn object(handle: usize, device: bool, attributes: *const Attributes) -> Result<Object, NTSTATUS> {
    let mut new = Object { handle, device, cleanup: None, destroy: None, context_type: 0, context: Box::default() };
    if attributes.is_null() {
        return Ok(new);
    }
    // SAFETY: the page of the creating function: NULL or valid attributes.
    let given = unsafe { attributes.read() };
    if given.size as usize != size_of::<Attributes>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    (new.cleanup, new.destroy) = (given.cleanup, given.destroy);
    if !given.context_type.is_null() {
        // SAFETY: the page of WDF_OBJECT_ATTRIBUTES: NULL or a valid type.
        let kind = unsafe { given.context_type.read() };
        new.context_type = given.context_type.addr();
        new.context = vec![0; kind.bytes.max(given.context_bytes).div_ceil(8)].into_boxed_slice();
    }
    Ok(new)
}

/// Ends an object: cleanup, then destroy, at PASSIVE_LEVEL.
fn end(machine: &std::sync::Arc<Machine>, gone: &Object) {
    let handle: PVOID = ptr::without_provenance_mut(gone.handle);
    for (what, callback) in [("EvtCleanupCallback", gone.cleanup), ("EvtDestroyCallback", gone.destroy)] {
        if let Some(callback) = callback {
            machine.callback(what, Irql::Passive, || {
                // SAFETY: the callback's contract: its own object.
                unsafe { crate::call_image!(callback, handle) }
            });
        }
    }
}

fn component(name: PCWSTR) -> String {
    let mut units = Vec::new();
    while units.len() < 64 && !name.is_null() {
        // SAFETY: the loader's contract: a string that ends with zero.
        match unsafe { name.wrapping_add(units.len()).read() } {
            0 => break,
            unit => units.push(unit),
        }
    }
    String::from_utf16_lossy(&units)
}

ndk_types::abi! {
    unsafe extern "C" fn version_bind(
        driver: PDRIVER_OBJECT,
        path: PUNICODE_STRING,
        info: *mut BindInfo,
        globals: *mut *mut Globals,
    ) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the loader's contract: a bind information that stays as long as the driver is bound.
        let given = unsafe { &mut *info };
        let good = given.size as usize == size_of::<BindInfo>() && component(given.component) == "KmdfLibrary";
        if !good || given.major != 1 || given.minor > MINOR || given.count as usize > FUNCTIONS.len() {
            machine.violation("kmdf", "WdfVersionBind with a bind information that KMDF 1.33 does not take");
            return STATUS_INVALID_PARAMETER;
        }
        if machine.kmdf.is_bound(driver) {
            machine.violation("kmdf", "a driver binds to the framework twice");
        }
        machine.log(format!("KMDF {}.{} bound by {}", given.major, given.minor, text(path)));
        let gates = gates(&machine);
        let (driver_object, table) = (driver.addr(), gates.iter().map(Gate::address).collect());
        let new = Globals { driver: ptr::null_mut(), flags: 0, tag: 0, name: [0; 32], displace_unload: 0 };
        let objects = Vec::new();
        let mut bound =
            Bound { driver_object, globals: Box::new(new), table, _gates: gates, unload: None, alive: true, objects };
        // SAFETY: as above: room for the table's address.
        unsafe { given.table.write(bound.table.as_ptr()) };
        // SAFETY: as above: room for the globals' address.
        unsafe { globals.write(&raw mut *bound.globals) };
        machine.kmdf.state().drivers.push(bound);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn version_unbind(
        _path: PUNICODE_STRING,
        _info: *mut BindInfo,
        globals: *mut Globals,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let mut state = machine.kmdf.state();
        let Some(bound) = state.of(globals) else {
            drop(state);
            machine.violation("W-05", "WdfVersionUnbind by a driver that is not bound");
            return STATUS_INVALID_PARAMETER;
        };
        bound.alive = false;
        let left: Vec<_> = bound.objects.drain(..).collect();
        drop(state);
        // A DriverEntry that fails leaves its objects to the framework; one that unloads has ended them.
        for object in left {
            end(&machine, &object);
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn driver_create(
        globals: *mut Globals,
        driver: PDRIVER_OBJECT,
        _path: PCUNICODE_STRING,
        attributes: *const Attributes,
        config: *const DriverConfig,
        handle: *mut PVOID,
    ) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page of WdfDriverCreate: a valid configuration.
        let given = unsafe { config.read() };
        if given.size as usize != size_of::<DriverConfig>() {
            return STATUS_INFO_LENGTH_MISMATCH;
        }
        if given.flags & NO_DISPATCH_OVERRIDE == 0 {
            machine.violation("W-05", "a miniport driver's WdfDriverCreate without WdfDriverInitNoDispatchOverride");
        }
        if machine.take_failure("WdfDriverCreate") {
            return ndk_types::STATUS_INSUFFICIENT_RESOURCES;
        }
        let mut state = machine.kmdf.state();
        let number = state.handle();
        let new = match object(number, false, attributes) {
            Ok(new) => new,
            Err(status) => return status,
        };
        let Some(bound) = state.of(globals).filter(|bound| bound.driver_object == driver.addr()) else {
            drop(state);
            machine.violation("W-05", "WdfDriverCreate for a driver that is not bound");
            return STATUS_INVALID_PARAMETER;
        };
        if !bound.objects.is_empty() {
            drop(state);
            machine.violation("kmdf", "WdfDriverCreate twice");
            return STATUS_INVALID_PARAMETER;
        }
        (bound.unload, bound.globals.driver) = (given.unload, ptr::without_provenance_mut(number));
        bound.objects.push(new);
        drop(state);
        if !handle.is_null() {
            // SAFETY: the page: NULL or room for the handle.
            unsafe { handle.write(ptr::without_provenance_mut(number)) };
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn device_miniport_create(
        globals: *mut Globals,
        driver: PVOID,
        attributes: *const Attributes,
        device: PDEVICE_OBJECT,
        _attached: PDEVICE_OBJECT,
        _physical: PDEVICE_OBJECT,
        handle: *mut PVOID,
    ) -> NTSTATUS {
        let machine = Machine::current();
        if device.is_null() {
            machine.violation("kmdf", "WdfDeviceMiniportCreate without the miniport's device object");
            return STATUS_INVALID_PARAMETER;
        }
        if machine.take_failure("WdfDeviceMiniportCreate") {
            return ndk_types::STATUS_INSUFFICIENT_RESOURCES;
        }
        let mut state = machine.kmdf.state();
        let number = state.handle();
        let new = match object(number, true, attributes) {
            Ok(new) => new,
            Err(status) => return status,
        };
        let known = |bound: &&mut Bound| bound.objects.iter().any(|one| !one.device && one.handle == driver.addr());
        let Some(bound) = state.of(globals).filter(known) else {
            drop(state);
            machine.violation("kmdf", format!("WdfDeviceMiniportCreate with {:#x}, which is no driver", driver.addr()));
            return STATUS_INVALID_PARAMETER;
        };
        bound.objects.push(new);
        drop(state);
        // SAFETY: the page: room for the handle.
        unsafe { handle.write(ptr::without_provenance_mut(number)) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn driver_miniport_unload(globals: *mut Globals, driver: PVOID) {
        let machine = Machine::current();
        let mut state = machine.kmdf.state();
        let Some(bound) = state.of(globals).filter(|bound| bound.globals.driver == driver) else {
            drop(state);
            machine.violation("W-05", format!("WdfDriverMiniportUnload of {:#x}, which is no driver", driver.addr()));
            return;
        };
        let (unload, left): (_, Vec<_>) = (bound.unload, bound.objects.drain(..).collect());
        bound.globals.driver = ptr::null_mut();
        drop(state);
        if let Some(unload) = unload {
            machine.callback("EvtDriverUnload", Irql::Passive, || {
                // SAFETY: the callback's contract: its own driver.
                unsafe { crate::call_image!(unload, driver) }
            });
        }
        for object in left.into_iter().rev() {
            if object.device {
                machine.violation("W-05", "the driver unloads with a framework device left");
            }
            end(&machine, &object);
        }
    }

    unsafe extern "C" fn object_delete(globals: *mut Globals, handle: PVOID) {
        let machine = Machine::current();
        let mut state = machine.kmdf.state();
        let place = |bound: &Bound| bound.objects.iter().position(|one| one.device && one.handle == handle.addr());
        let gone = state.of(globals).and_then(|bound| Some(bound.objects.remove(place(bound)?)));
        drop(state);
        match gone {
            Some(gone) => end(&machine, &gone),
            None => machine.violation("kmdf", format!("WdfObjectDelete of {:#x}, which is no device", handle.addr())),
        }
    }

    unsafe extern "C" fn object_get_typed_context(
        globals: *mut Globals,
        handle: PVOID,
        kind: *const ContextType,
    ) -> PVOID {
        let machine = Machine::current();
        let mut state = machine.kmdf.state();
        let objects = state.of(globals).map_or(&mut [][..], |bound| &mut bound.objects);
        let found = objects.iter_mut().find(|one| one.handle == handle.addr() && one.context_type == kind.addr());
        found.map_or(ptr::null_mut(), |object| object.context.as_mut_ptr().cast())
    }
}

/// What WDFLDR.SYS exports, and what the function table leads to.
pub fn exports() -> Vec<Export> {
    let mut all = Vec::from(crate::exports! { "WDFLDR.SYS" in prototypes;
        WdfVersionBind <= Passive = version_bind,
        WdfVersionUnbind <= Passive = version_unbind,
    });
    let framework = crate::exports! { "Wdf01000.sys" in prototypes;
        WdfDriverCreate <= Passive = driver_create,
        WdfDeviceMiniportCreate <= Passive = device_miniport_create,
        WdfDriverMiniportUnload <= Passive = driver_miniport_unload,
        WdfObjectDelete <= Dispatch = object_delete,
        WdfObjectGetTypedContextWorker <= Dispatch = object_get_typed_context,
    };
    all.extend(framework);
    all
}

#[cfg(test)]
mod tests;
