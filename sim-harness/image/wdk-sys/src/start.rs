//! What WdfDriverEntry.lib puts before DriverEntry: bind the framework, call the driver, unbind when it unloads (W-05).

use crate::*;

/// The table of framework functions; binding writes it.
pub static mut WdfFunctions_01033: *const PVOID = core::ptr::null();
/// The driver's framework globals; binding writes it.
pub static mut WdfDriverGlobals: PWDF_DRIVER_GLOBALS = core::ptr::null_mut();
/// What a miniport driver calls instead of WdfDriverMiniportUnload. Null until DriverEntry has returned.
pub static mut WdfDriverMiniportUnloadOverride: PFN_WDFDRIVERMINIPORTUNLOAD = None;

#[repr(C)]
struct WDF_VERSION {
    Major: ULONG,
    Minor: ULONG,
    Build: ULONG,
}

#[repr(C)]
struct WDF_BIND_INFO {
    Size: ULONG,
    Component: *const WCHAR,
    Version: WDF_VERSION,
    FuncCount: ULONG,
    FuncTable: *mut *const PVOID,
    Module: PVOID,
}

const COMPONENT: [WCHAR; 11] = {
    let (ascii, mut wide, mut at) = (*b"KmdfLibrary", [0; 11], 0);
    while at < ascii.len() {
        wide[at] = ascii[at] as WCHAR;
        at += 1;
    }
    wide
};

/// The component's name with its final zero.
static COMPONENT_NAME: [WCHAR; 12] = {
    let (mut name, mut at) = ([0; 12], 0);
    while at < COMPONENT.len() {
        name[at] = COMPONENT[at];
        at += 1;
    }
    name
};

static mut BIND_INFO: WDF_BIND_INFO = WDF_BIND_INFO {
    Size: size_of::<WDF_BIND_INFO>() as ULONG,
    Component: &raw const COMPONENT_NAME as *const WCHAR,
    Version: WDF_VERSION { Major: 1, Minor: 33, Build: 0 },
    FuncCount: _WDFFUNCENUM::WdfFunctionTableNumEntries as ULONG,
    FuncTable: &raw mut WdfFunctions_01033,
    Module: core::ptr::null_mut(),
};

/// The registry path outlives DriverEntry: unbinding wants it again.
static mut REGISTRY_PATH: UNICODE_STRING =
    UNICODE_STRING { Length: 0, MaximumLength: 520, Buffer: core::ptr::null_mut() };
static mut REGISTRY_BUFFER: [WCHAR; 260] = [0; 260];

#[link(name = "WDFLDR.SYS", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn WdfVersionBind(
        DriverObject: PDRIVER_OBJECT,
        RegistryPath: PUNICODE_STRING,
        BindInfo: *mut WDF_BIND_INFO,
        ComponentGlobals: *mut PWDF_DRIVER_GLOBALS,
    ) -> NTSTATUS;
    fn WdfVersionUnbind(
        RegistryPath: PUNICODE_STRING,
        BindInfo: *mut WDF_BIND_INFO,
        ComponentGlobals: PWDF_DRIVER_GLOBALS,
    ) -> NTSTATUS;
}

unsafe extern "system" {
    fn DriverEntry(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NTSTATUS;
}

/// The image's entry point.
///
/// # Safety
/// The loader's.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn FxDriverEntry(driver: PDRIVER_OBJECT, registry_path: PUNICODE_STRING) -> NTSTATUS {
    // SAFETY: nothing else runs in this image yet; the loader's registry path is valid during the call.
    unsafe { keep(registry_path) };
    // SAFETY: as above; binding writes the table and the globals.
    let status =
        unsafe { WdfVersionBind(driver, &raw mut REGISTRY_PATH, &raw mut BIND_INFO, &raw mut WdfDriverGlobals) };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: the driver's own entry, with what the loader gave.
    let status = unsafe { DriverEntry(driver, registry_path) };
    if NT_SUCCESS(status) {
        // SAFETY: the driver reads it when it unloads, which is after this.
        unsafe { WdfDriverMiniportUnloadOverride = Some(miniport_unload) };
    } else {
        // SAFETY: bound above; the driver is not going to run.
        unsafe { unbind() };
    }
    status
}

unsafe fn keep(path: PUNICODE_STRING) {
    // SAFETY: the caller's contract: a valid string.
    let path = unsafe { path.read() };
    let length = usize::from(path.Length / 2).min(259);
    let buffer = (&raw mut REGISTRY_BUFFER).cast::<WCHAR>();
    // SAFETY: both have that many characters.
    unsafe { core::ptr::copy_nonoverlapping(path.Buffer, buffer, length) };
    // SAFETY: nothing else runs in this image yet.
    unsafe { REGISTRY_PATH.Buffer = buffer };
    // SAFETY: as above.
    unsafe { REGISTRY_PATH.Length = (length * 2) as USHORT };
}

/// What the driver calls last: lets the framework clean up, then unbinds.
unsafe extern "C" fn miniport_unload(globals: PWDF_DRIVER_GLOBALS, driver: WDFDRIVER) {
    type Unload = unsafe extern "C" fn(PWDF_DRIVER_GLOBALS, WDFDRIVER);
    // SAFETY: bound; nobody writes the table any more.
    let table = unsafe { WdfFunctions_01033 };
    // SAFETY: the table has more entries than this index.
    let entry = unsafe { table.add(_WDFFUNCENUM::WdfDriverMiniportUnloadTableIndex as usize).read() };
    // SAFETY: this entry is a function of this type (KMDF 1.33).
    let unload: Unload = unsafe { core::mem::transmute(entry) };
    // SAFETY: the driver's own handle.
    unsafe { unload(globals, driver) };
    // SAFETY: the driver is done with the framework.
    unsafe { unbind() };
}

unsafe fn unbind() {
    // SAFETY: the caller's contract: bound.
    let _ = unsafe { WdfVersionUnbind(&raw mut REGISTRY_PATH, &raw mut BIND_INFO, WdfDriverGlobals) };
}
