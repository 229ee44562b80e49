//! DriverEntry and unload: the framework, the miniport driver, the protocol driver, in this order, and back (W-01, W-04, W-05).
//!
//! A bind may come as soon as the protocol is registered, and an initialisation after it: whatever they look for here is
//! stored before. What DriverEntry cannot finish it undoes.

use crate::{miniport, protocol};
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use ndk_types::{
    NDIS_HANDLE, NDIS_STATUS, NDIS_STATUS_SUCCESS, NdisMDeregisterMiniportDriver, NdisMRegisterMiniportDriver,
};
use wdk_sys::{
    _WDF_DRIVER_INIT_FLAGS, DRIVER_OBJECT, NT_SUCCESS, NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, STATUS_SUCCESS,
    WDF_DRIVER_CONFIG, WDF_NO_OBJECT_ATTRIBUTES, WDFDRIVER, call_unsafe_wdf_function_binding,
};

static DRIVER_OBJECT_OF_OURS: AtomicPtr<DRIVER_OBJECT> = AtomicPtr::new(null_mut());
static FRAMEWORK: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static MINIPORT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Our driver object; null before DriverEntry.
pub fn driver_object() -> PDRIVER_OBJECT {
    DRIVER_OBJECT_OF_OURS.load(Ordering::Acquire)
}

/// The handle of NdisMRegisterMiniportDriver; null before it returns.
pub fn miniport_driver() -> NDIS_HANDLE {
    MINIPORT.load(Ordering::Acquire)
}

/// The driver's entry. PASSIVE_LEVEL.
///
/// # Safety
/// The loader's contract.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NTSTATUS {
    DRIVER_OBJECT_OF_OURS.store(driver, Ordering::Release);
    // SAFETY: the loader's arguments, during DriverEntry.
    let status = unsafe { create_framework_driver(driver, registry_path) };
    if !NT_SUCCESS(status) {
        return status;
    }
    // SAFETY: as above.
    let status = unsafe { register(driver, registry_path) };
    // On failure the framework's entry stub undoes its binding, and with it the driver's object.
    if status == NDIS_STATUS_SUCCESS { STATUS_SUCCESS } else { status }
}

/// WdfDriverCreate, with NDIS in charge of the driver object's dispatch table.
///
/// # Safety
/// The loader's arguments, during DriverEntry.
unsafe fn create_framework_driver(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
        DriverInitFlags: _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNoDispatchOverride as u32,
        ..WDF_DRIVER_CONFIG::default()
    };
    let mut handle: WDFDRIVER = null_mut();
    // SAFETY: WdfDriverCreate: the loader's arguments, a complete configuration, a place for the handle, PASSIVE_LEVEL.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            WDF_NO_OBJECT_ATTRIBUTES,
            &raw mut config,
            &raw mut handle
        )
    };
    FRAMEWORK.store(handle.cast(), Ordering::Release);
    status
}

/// The miniport driver, the protocol driver, and that they are one.
///
/// # Safety
/// As [`create_framework_driver`].
unsafe fn register(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> NDIS_STATUS {
    let mut characteristics = miniport::characteristics();
    let mut handle = null_mut();
    // SAFETY: NdisMRegisterMiniportDriver: the loader's arguments, complete characteristics, PASSIVE_LEVEL.
    let status = unsafe {
        NdisMRegisterMiniportDriver(
            driver.cast(),
            registry_path.cast_mut().cast(),
            null_mut(),
            &raw mut characteristics,
            &raw mut handle,
        )
    };
    if status != NDIS_STATUS_SUCCESS {
        return status;
    }
    MINIPORT.store(handle, Ordering::Release);
    // SAFETY: the handle just registered; `unload` deregisters the protocol first.
    if let Err(status) = unsafe { protocol::register(miniport_driver()) } {
        deregister_miniport();
        return status;
    }
    NDIS_STATUS_SUCCESS
}

fn deregister_miniport() {
    if let Some(handle) = NonNull::new(MINIPORT.swap(null_mut(), Ordering::AcqRel)) {
        // SAFETY: NdisMDeregisterMiniportDriver: registered, once, PASSIVE_LEVEL.
        unsafe { NdisMDeregisterMiniportDriver(handle.as_ptr()) };
    }
}

ndk_types::abi! {
    /// MiniportDriverUnload: the protocol first, whose bindings take their miniports with them; the framework last (W-05).
    ///
    /// # Safety
    /// NDIS's contract. PASSIVE_LEVEL.
    pub unsafe extern "C" fn unload(_driver: *mut c_void) {
        protocol::deregister();
        deregister_miniport();
        // SAFETY: the entry stub wrote it before anybody could unload us.
        let unload = unsafe { wdk_sys::WdfDriverMiniportUnloadOverride };
        if let Some(unload) = unload {
            // SAFETY: written when the framework was bound.
            let globals = unsafe { wdk_sys::WdfDriverGlobals };
            // SAFETY: W-05: our own framework driver, nothing of the framework is used after.
            unsafe { unload(globals, FRAMEWORK.load(Ordering::Acquire).cast()) };
        }
    }
}
