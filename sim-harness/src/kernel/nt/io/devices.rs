//! Device objects, their names, and symbolic links to them.

use super::status::{OBJECT_NAME_INVALID, OBJECT_NAME_NOT_FOUND, OBJECT_PATH_SYNTAX_BAD};
use super::{Io, State};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::nt::runtime::text;
use crate::kernel::wdk::{
    BOOLEAN, DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DO_EXCLUSIVE, NTSTATUS, PDEVICE_OBJECT, PDRIVER_OBJECT,
    PUNICODE_STRING, ULONG,
};
use ndk_types::{STATUS_INSUFFICIENT_RESOURCES, STATUS_OBJECT_NAME_COLLISION, STATUS_SUCCESS};
use std::ptr;

/// The tag of device objects, as the real kernel has it.
const TAG: u32 = u32::from_le_bytes(*b"Devi");
/// IO_TYPE_DEVICE.
const TYPE_DEVICE: i16 = 3;
/// How many symbolic links may lead to each other.
const LINK_DEPTH: usize = 8;

/// What is known of a device beside its object.
#[derive(Debug)]
pub(super) struct Device {
    name: Option<String>,
    driver: usize,
    /// IoDeleteDevice was called while files were open.
    pub(super) deleted: bool,
    /// Files that are open.
    pub(super) open: usize,
}

impl Device {
    pub(super) fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or("without a name")
    }
}

/// A name as it is compared: without case, `\DosDevices` and its like in one spelling.
fn folded(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    for prefix in [r"\DOSDEVICES\GLOBAL\", r"\DOSDEVICES\", r"\??\", r"\GLOBAL??\", r"\\.\"] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return format!(r"\GLOBAL??\{rest}");
        }
    }
    name
}

/// The device that a path leads to, and what of the path comes after its name.
pub(super) fn resolve(state: &State, path: &str) -> Result<(usize, String), NTSTATUS> {
    let mut path = path.to_owned();
    for _ in 0..LINK_DEPTH {
        let whole = folded(&path);
        // The part that is the name's ends where the rest begins with a backslash, or at the end.
        let rest_of = |name: &str| {
            let rest = whole.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('\\')).then(|| path[path.len() - rest.len()..].to_owned())
        };
        let named = state.devices.iter().filter(|(_, device)| !device.deleted);
        let device = named
            .filter_map(|(&at, device)| Some((at, rest_of(&folded(device.name.as_deref()?))?)))
            .min_by_key(|(_, rest)| rest.len());
        if let Some(found) = device {
            return Ok(found);
        }
        let Some((target, rest)) = state.links.iter().find_map(|(name, target)| Some((target, rest_of(name)?))) else {
            return Err(OBJECT_NAME_NOT_FOUND);
        };
        path = format!("{target}{rest}");
    }
    Err(OBJECT_NAME_INVALID)
}

/// The devices of a driver, as addresses of their objects.
pub fn devices(machine: &Machine, driver: PDRIVER_OBJECT) -> Vec<usize> {
    let state = machine.nt.io.state();
    state.devices.iter().filter(|(_, device)| device.driver == driver.addr()).map(|(&at, _)| at).collect()
}

/// A driver's entry came back: its devices are ready, as the I/O manager sees to.
pub fn entered(machine: &Machine, driver: PDRIVER_OBJECT) {
    for device in devices(machine, driver) {
        let device: PDEVICE_OBJECT = ptr::with_exposed_provenance_mut(device);
        // SAFETY: a device object, which lives until IoDeleteDevice.
        unsafe { (*device).Flags &= !DO_DEVICE_INITIALIZING };
    }
}

/// Puts a new device at the head of its driver's list.
fn link(driver: PDRIVER_OBJECT, device: PDEVICE_OBJECT) {
    // SAFETY: the page: the driver's own driver object.
    let head = unsafe { &mut (*driver).DeviceObject };
    // SAFETY: the device was just made.
    unsafe { (*device).NextDevice = *head };
    *head = device;
}

/// Takes a device out of its driver's list.
fn unlink(device: PDEVICE_OBJECT) {
    // SAFETY: a device object.
    let fields = unsafe { &*device };
    let (driver, next) = (fields.DriverObject, fields.NextDevice);
    // SAFETY: its driver's object, which outlives its devices.
    let mut place = unsafe { &raw mut (*driver).DeviceObject };
    loop {
        // SAFETY: the head of the list, or the link of a device in it.
        let there = unsafe { *place };
        if there.is_null() {
            return;
        }
        if there == device {
            // SAFETY: as above.
            unsafe { *place = next };
            return;
        }
        // SAFETY: a device in the list.
        place = unsafe { &raw mut (*there).NextDevice };
    }
}

/// Frees the memory of a device that nobody has open any more.
pub(super) fn release(machine: &Machine, device: usize) {
    let device: PDEVICE_OBJECT = ptr::with_exposed_provenance_mut(device);
    if machine.nt.pool.free(&machine.nt.memory, device.cast(), TAG).is_err() {
        machine.violation("pool", format!("bytes around device object {:#x} were written", device.addr()));
    }
}

impl Io {
    fn is_taken(&self, name: &str) -> bool {
        let (state, name) = (self.state(), folded(name));
        let of_device = state.devices.values().any(|device| device.name.as_deref().map(folded).as_ref() == Some(&name));
        of_device || state.links.contains_key(&name)
    }
}

ndk_types::abi! {
    unsafe extern "C" fn io_create_device(
        driver: PDRIVER_OBJECT,
        extension: ULONG,
        name: PUNICODE_STRING,
        kind: ULONG,
        characteristics: ULONG,
        exclusive: BOOLEAN,
        device: *mut PDEVICE_OBJECT,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let name = (!name.is_null()).then(|| text(name));
        if machine.take_failure("IoCreateDevice") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        if let Some(name) = &name {
            if !name.starts_with('\\') {
                machine.violation("device", format!("IoCreateDevice wants a full path, not {name}"));
                return OBJECT_PATH_SYNTAX_BAD;
            }
            if machine.nt.io.is_taken(name) {
                return STATUS_OBJECT_NAME_COLLISION;
            }
        }
        let size = size_of::<DEVICE_OBJECT>();
        let Some(block) = machine.nt.pool.allocate(&machine.nt.memory, size + extension as usize, TAG, true) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        let new = block.cast::<DEVICE_OBJECT>();
        // SAFETY: just allocated, with room for it; all zeroes is a device object.
        let fields = unsafe { &mut *new };
        (fields.Type, fields.Size) = (TYPE_DEVICE, (size + extension as usize) as u16);
        fields.DriverObject = driver;
        fields.DeviceType = kind;
        fields.Characteristics = characteristics;
        fields.StackSize = 1;
        fields.Flags = DO_DEVICE_INITIALIZING | if exclusive == 0 { 0 } else { DO_EXCLUSIVE };
        if extension > 0 {
            fields.DeviceExtension = block.wrapping_add(size).cast();
        }
        link(driver, new);
        let entry = Device { name, driver: driver.expose_provenance(), deleted: false, open: 0 };
        machine.nt.io.state().devices.insert(new.expose_provenance(), entry);
        // SAFETY: the page: room for the answer.
        unsafe { device.write(new) };
        STATUS_SUCCESS
    }

    unsafe extern "C" fn io_delete_device(device: PDEVICE_OBJECT) {
        let machine = Machine::current();
        let address = device.addr();
        let mut state = machine.nt.io.state();
        let open = match state.devices.get_mut(&address) {
            Some(entry) if !entry.deleted => {
                entry.deleted = true;
                entry.open
            }
            _ => {
                drop(state);
                machine.violation("device", format!("IoDeleteDevice of {address:#x}, which is no device"));
                return;
            }
        };
        // With files open it stays, without a name, until the last is closed.
        if open == 0 {
            state.devices.remove(&address);
        }
        drop(state);
        unlink(device);
        if open == 0 {
            release(&machine, address);
        }
    }

    unsafe extern "C" fn io_create_symbolic_link(name: PUNICODE_STRING, device: PUNICODE_STRING) -> NTSTATUS {
        let machine = Machine::current();
        let (name, device) = (text(name), text(device));
        if machine.take_failure("IoCreateSymbolicLink") {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        if !name.starts_with('\\') || !device.starts_with('\\') {
            machine.violation("device", format!("IoCreateSymbolicLink wants full paths, not {name} and {device}"));
            return OBJECT_PATH_SYNTAX_BAD;
        }
        if machine.nt.io.is_taken(&name) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        machine.nt.io.state().links.insert(folded(&name), device);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn io_delete_symbolic_link(name: PUNICODE_STRING) -> NTSTATUS {
        let machine = Machine::current();
        let name = text(name);
        if machine.nt.io.state().links.remove(&folded(&name)).is_some() {
            return STATUS_SUCCESS;
        }
        machine.violation("device", format!("IoDeleteSymbolicLink of {name}, which is none"));
        OBJECT_NAME_NOT_FOUND
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        IoCreateDevice <= Apc = io_create_device,
        IoDeleteDevice <= Apc = io_delete_device,
        IoCreateSymbolicLink <= Passive = io_create_symbolic_link,
        IoDeleteSymbolicLink <= Passive = io_delete_symbolic_link,
    }
}
