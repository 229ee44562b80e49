//! rulebreaker.sys: an NDK consumer that breaks one rule a request, on purpose (`deeds`).
//!
//! Everything happens in its dispatch routine, at PASSIVE_LEVEL in the caller's thread: it is as small as it can be.

#![no_std]

extern crate wdk_panic;

pub mod deeds;
pub mod kernel_deeds;
pub mod ndk_deeds;

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};
use wdk_sys::ntddk::{IoCreateDevice, IoCreateSymbolicLink, IoDeleteDevice, IoDeleteSymbolicLink, IofCompleteRequest};
use wdk_sys::{
    DEVICE_OBJECT, DRIVER_OBJECT, FILE_DEVICE_UNKNOWN, IO_STACK_LOCATION, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, PDEVICE_OBJECT, PDRIVER_DISPATCH, PDRIVER_OBJECT,
    PIRP, STATUS_SUCCESS, UNICODE_STRING,
};

const fn wide<const N: usize>(text: &[u8; N]) -> [u16; N] {
    let (mut wide, mut at) = ([0; N], 0);
    while at < N {
        wide[at] = text[at] as u16;
        at += 1;
    }
    wide
}

static NAME: [u16; 19] = wide(br"\Device\rulebreaker");
static LINK: [u16; 23] = wide(br"\DosDevices\rulebreaker");
static DEVICE: AtomicPtr<DEVICE_OBJECT> = AtomicPtr::new(null_mut());

fn string(text: &'static [u16]) -> UNICODE_STRING {
    let length = size_of_val(text) as u16;
    UNICODE_STRING { Length: length, MaximumLength: length, Buffer: text.as_ptr().cast_mut() }
}

/// The driver's entry. PASSIVE_LEVEL.
///
/// # Safety
/// The loader's contract.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(object: PDRIVER_OBJECT, _path: PCUNICODE_STRING) -> NTSTATUS {
    // SAFETY: the loader's driver object.
    unsafe { (*object).DriverUnload = Some(unload) };
    // SAFETY: as above.
    let table = unsafe { &mut (*object).MajorFunction };
    let routines: [(u32, PDRIVER_DISPATCH); 4] = [
        (IRP_MJ_CREATE, Some(agree)),
        (IRP_MJ_CLEANUP, Some(agree)),
        (IRP_MJ_CLOSE, Some(agree)),
        (IRP_MJ_DEVICE_CONTROL, Some(control)),
    ];
    for (major, routine) in routines {
        if let Some(place) = table.get_mut(major as usize) {
            *place = routine;
        }
    }
    let (mut name, mut link, mut device) = (string(&NAME), string(&LINK), null_mut());
    // SAFETY: IoCreateDevice: our driver object, a name, a place for the device, PASSIVE_LEVEL.
    let status = unsafe { IoCreateDevice(object, 0, &raw mut name, FILE_DEVICE_UNKNOWN, 0, 0, &raw mut device) };
    if NT_SUCCESS(status) {
        DEVICE.store(device, Ordering::Release);
        // SAFETY: IoCreateSymbolicLink: two names, PASSIVE_LEVEL.
        return unsafe { IoCreateSymbolicLink(&raw mut link, &raw mut name) };
    }
    status
}

unsafe extern "C" fn unload(_object: *mut DRIVER_OBJECT) {
    let mut link = string(&LINK);
    // SAFETY: IoDeleteSymbolicLink: created in DriverEntry, PASSIVE_LEVEL.
    let _ = unsafe { IoDeleteSymbolicLink(&raw mut link) };
    // SAFETY: IoDeleteDevice: created in DriverEntry, deleted once.
    unsafe { IoDeleteDevice(DEVICE.load(Ordering::Acquire)) };
}

/// Completes a request well.
///
/// # Safety
/// This driver holds it.
pub(crate) unsafe fn complete(irp: PIRP) -> NTSTATUS {
    // SAFETY: the caller's request; the place is computed.
    let place = unsafe { &raw mut (*irp).IoStatus.__bindgen_anon_1.Status };
    // SAFETY: as above.
    unsafe { place.write(STATUS_SUCCESS) };
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = 0 };
    // SAFETY: IofCompleteRequest: held; whether once is the deed's affair.
    unsafe { IofCompleteRequest(irp, 0) };
    STATUS_SUCCESS
}

unsafe extern "C" fn agree(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: ours.
    unsafe { complete(irp) }
}

#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one place, behind bindgen's unnamed unions")]
unsafe fn stack_location(irp: PIRP) -> *mut IO_STACK_LOCATION {
    // SAFETY: a request that this driver holds.
    unsafe { (*irp).Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation }
}

unsafe extern "C" fn control(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: ours.
    let stack = unsafe { stack_location(irp) };
    // SAFETY: the place is computed.
    let parameters = unsafe { &raw const (*stack).Parameters.DeviceIoControl };
    // SAFETY: the major function says that these parameters are there.
    let code = unsafe { parameters.read() }.IoControlCode;
    // SAFETY: the place is computed.
    let buffer = unsafe { &raw const (*irp).AssociatedIrp.SystemBuffer };
    // SAFETY: METHOD_BUFFERED.
    let buffer = unsafe { buffer.read() }.cast::<u32>();
    // SAFETY: the harness gives an interface index.
    let index = unsafe { buffer.read_unaligned() };
    ndk_deeds::do_it(code, index);
    // SAFETY: ours; completed there.
    unsafe { kernel_deeds::do_it(code, irp) }
}
