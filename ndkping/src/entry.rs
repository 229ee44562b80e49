//! DriverEntry and unload: the registration with WSK, the device, its name; and back.

use crate::dispatch;
use crate::jobs::Jobs;
use crate::kernel::Block;
use crate::wsk::Registration;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use ndk_types::{STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS};
use wdk_sys::ntddk::{IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink};
use wdk_sys::{
    DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_DISPATCH, PDRIVER_OBJECT,
    UNICODE_STRING,
};

/// UTF-16 of an ASCII text.
const fn wide<const N: usize>(text: &[u8; N]) -> [u16; N] {
    let (mut wide, mut at) = ([0; N], 0);
    while at < N {
        wide[at] = text[at] as u16;
        at += 1;
    }
    wide
}

static DEVICE: [u16; 15] = wide(br"\Device\ndkping");
static LINK: [u16; 19] = wide(br"\DosDevices\ndkping");

fn string(text: &'static [u16]) -> UNICODE_STRING {
    let length = size_of_val(text) as u16;
    UNICODE_STRING { Length: length, MaximumLength: length, Buffer: text.as_ptr().cast_mut() }
}

/// What the driver has from entry to unload.
pub struct Driver {
    /// WSK's side.
    pub registration: Registration,
    /// What runs.
    pub jobs: Jobs,
    device: AtomicPtr<wdk_sys::DEVICE_OBJECT>,
}

static DRIVER: AtomicPtr<Driver> = AtomicPtr::new(null_mut());

/// The driver; `None` before its entry and after its unload.
pub fn driver() -> Option<&'static Driver> {
    // SAFETY: set in DriverEntry, taken in unload, when no request and no job is left.
    unsafe { DRIVER.load(Ordering::Acquire).as_ref() }
}

/// The driver's entry. PASSIVE_LEVEL.
///
/// # Safety
/// The loader's contract.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(object: PDRIVER_OBJECT, _registry_path: PCUNICODE_STRING) -> NTSTATUS {
    let new =
        Driver { registration: Registration::unregistered(), jobs: Jobs::none(), device: AtomicPtr::new(null_mut()) };
    let Some(driver) = Block::try_new(new) else { return STATUS_INSUFFICIENT_RESOURCES };
    // SAFETY: the block stays where it is until it is deregistered.
    if let Err(status) = unsafe { driver.registration.register() } {
        return status;
    }
    // Requests may come as soon as the device has its link, so everything they want is there before.
    let driver = driver.into_raw();
    DRIVER.store(driver.as_ptr(), Ordering::Release);
    // SAFETY: the loader's driver object.
    unsafe { set_routines(object) };
    // SAFETY: as above.
    match unsafe { create_device(object) } {
        Ok(device) => {
            // SAFETY: allocated above.
            unsafe { driver.as_ref() }.device.store(device, Ordering::Release);
            STATUS_SUCCESS
        }
        Err(status) => {
            end();
            status
        }
    }
}

/// # Safety
/// The loader's driver object, in DriverEntry.
unsafe fn set_routines(object: *mut DRIVER_OBJECT) {
    // SAFETY: the caller's contract.
    unsafe { (*object).DriverUnload = Some(unload) };
    // SAFETY: as above.
    let table = unsafe { &mut (*object).MajorFunction };
    let routines: [(u32, PDRIVER_DISPATCH); 4] = [
        (IRP_MJ_CREATE, Some(dispatch::create_or_close)),
        (IRP_MJ_CLOSE, Some(dispatch::create_or_close)),
        (IRP_MJ_CLEANUP, Some(dispatch::cleanup)),
        (IRP_MJ_DEVICE_CONTROL, Some(dispatch::device_control)),
    ];
    for (major, routine) in routines {
        if let Some(place) = table.get_mut(major as usize) {
            *place = routine;
        }
    }
}

/// The device and its link.
///
/// # Safety
/// The loader's driver object, in DriverEntry.
unsafe fn create_device(object: *mut DRIVER_OBJECT) -> Result<PDEVICE_OBJECT, NTSTATUS> {
    let (mut name, mut link, mut device) = (string(&DEVICE), string(&LINK), null_mut());
    let characteristics = FILE_DEVICE_SECURE_OPEN;
    // SAFETY: IoCreateDevice: our driver object, a name, a place for the device, PASSIVE_LEVEL.
    let status =
        unsafe { IoCreateDevice(object, 0, &raw mut name, FILE_DEVICE_UNKNOWN, characteristics, 0, &raw mut device) };
    if !NT_SUCCESS(status) {
        return Err(status);
    }
    // SAFETY: IoCreateSymbolicLink: two names, PASSIVE_LEVEL.
    let status = unsafe { IoCreateSymbolicLink(&raw mut link, &raw mut name) };
    if NT_SUCCESS(status) {
        return Ok(device);
    }
    // SAFETY: IoDeleteDevice: created above, deleted once.
    unsafe { IoDeleteDevice(device) };
    Err(status)
}

/// DRIVER_UNLOAD: no handle is open, but listeners may be at work.
///
/// # Safety
/// The I/O manager's contract. PASSIVE_LEVEL.
unsafe extern "C" fn unload(_object: *mut DRIVER_OBJECT) {
    let mut link = string(&LINK);
    // SAFETY: IoDeleteSymbolicLink: created in DriverEntry, PASSIVE_LEVEL.
    let _ = unsafe { IoDeleteSymbolicLink(&raw mut link) };
    if let Some(driver) = driver() {
        driver.jobs.stop_all();
        driver.jobs.join_all();
        // SAFETY: IoDeleteDevice: created in DriverEntry, deleted once.
        unsafe { IoDeleteDevice(driver.device.load(Ordering::Acquire)) };
    }
    end();
}

/// Gives everything back. Nothing runs any more.
fn end() {
    if let Some(driver) = NonNull::new(DRIVER.swap(null_mut(), Ordering::AcqRel)) {
        // SAFETY: from `into_raw` in DriverEntry, taken once.
        let driver = unsafe { Block::from_raw(driver) };
        driver.registration.deregister();
    }
}
