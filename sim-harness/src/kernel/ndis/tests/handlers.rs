//! What NDIS calls of the small driver: each goes to the deed of this name.

use super::driver::{self, Offer, header, of, zeroed};
use super::ndis;
use crate::kernel::ndis::adapters::handle;
use ndk_types::*;
use std::ffi::c_void;
use std::sync::atomic::Ordering;

ndk_types::abi! {
    pub(super) unsafe extern "C" fn set_options(driver: NDIS_HANDLE, _context: NDIS_HANDLE) -> NDIS_STATUS {
        let mut given: NDIS_NDK_PROVIDER_CHARACTERISTICS = zeroed();
        let size = NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1;
        given.Header = header(NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS, 1, size);
        given.OpenNDKAdapterHandler = Some(open_ndk);
        given.CloseNDKAdapterHandler = Some(close_ndk);
        ndis!(NdisSetOptionalHandlers, driver, (&raw mut given).cast())
    }

    unsafe extern "C" fn open_ndk(
        context: NDIS_HANDLE,
        _parameters: *mut NDIS_OPEN_NDK_ADAPTER_PARAMETERS,
        place: *mut *mut NDK_ADAPTER,
    ) -> NDIS_STATUS {
        (of(context).deeds.open_ndk)(of(context), place)
    }

    unsafe extern "C" fn close_ndk(_context: NDIS_HANDLE, _adapter: *mut NDK_ADAPTER) {}

    pub(super) unsafe extern "C" fn initialise(
        instance: NDIS_HANDLE,
        _context: NDIS_HANDLE,
        given: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: the handler's contract: valid parameters.
        let driver = of(unsafe { (*given).IMDeviceInstanceContext });
        driver.instance.store(instance.addr(), Ordering::SeqCst);
        let status = driver.set_attributes();
        if status != NDIS_STATUS_SUCCESS {
            driver.instance.store(0, Ordering::SeqCst);
        }
        status
    }

    pub(super) unsafe extern "C" fn halt(context: NDIS_HANDLE, _action: NDIS_HALT_ACTION) {
        (of(context).deeds.halt)(of(context));
    }

    pub(super) unsafe extern "C" fn unload(_object: *mut c_void) {}

    pub(super) unsafe extern "C" fn pause(
        context: NDIS_HANDLE,
        _given: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS {
        (of(context).deeds.pause)(of(context))
    }

    pub(super) unsafe extern "C" fn restart(
        context: NDIS_HANDLE,
        _given: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
    ) -> NDIS_STATUS {
        (of(context).deeds.restart)(of(context))
    }

    pub(super) unsafe extern "C" fn oid(context: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        (of(context).deeds.oid)(of(context), request)
    }

    pub(super) unsafe extern "C" fn direct(context: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        (of(context).deeds.direct)(of(context), request)
    }

    pub(super) unsafe extern "C" fn send(
        context: NDIS_HANDLE,
        chain: *mut NET_BUFFER_LIST,
        _port: NDIS_PORT_NUMBER,
        _flags: u32,
    ) {
        (of(context).deeds.send)(of(context), chain);
    }

    pub(super) unsafe extern "C" fn returned(context: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, _flags: u32) {
        of(context).free(chain);
    }

    pub(super) unsafe extern "C" fn cancel(_context: NDIS_HANDLE, _id: *mut c_void) {}

    pub(super) unsafe extern "C" fn device_event(_context: NDIS_HANDLE, _event: *mut NET_DEVICE_PNP_EVENT) {}

    pub(super) unsafe extern "C" fn shutdown(_context: NDIS_HANDLE, _action: NDIS_SHUTDOWN_ACTION) {}

    pub(super) unsafe extern "C" fn bind(
        context: NDIS_HANDLE,
        operation: NDIS_HANDLE,
        given: *mut NDIS_BIND_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: the handler's contract: valid parameters.
        let given = unsafe { &*given };
        // SAFETY: every bit pattern is a Value.
        let luid = unsafe { given.BoundIfNetluid.Value };
        let offer = Offer { operation, name: given.AdapterName, luid };
        (of(context).deeds.bind)(of(context), &offer)
    }

    pub(super) unsafe extern "C" fn unbind(operation: NDIS_HANDLE, context: NDIS_HANDLE) -> NDIS_STATUS {
        (of(context).deeds.unbind)(of(context), operation)
    }

    pub(super) unsafe extern "C" fn opened(context: NDIS_HANDLE, status: NDIS_STATUS) {
        let driver = of(context);
        let status = if status == NDIS_STATUS_SUCCESS { driver.opened() } else { status };
        ndis!(NdisCompleteBindAdapterEx, handle(driver.operation.load(Ordering::SeqCst)), status);
    }

    pub(super) unsafe extern "C" fn closed(context: NDIS_HANDLE) {
        ndis!(NdisCompleteUnbindAdapterEx, handle(of(context).operation.load(Ordering::SeqCst)));
    }

    pub(super) unsafe extern "C" fn event(
        context: NDIS_HANDLE,
        notice: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS {
        (of(context).deeds.event)(of(context), notice)
    }

    pub(super) unsafe extern "C" fn answered(
        _context: NDIS_HANDLE,
        request: *mut NDIS_OID_REQUEST,
        _status: NDIS_STATUS,
    ) {
        driver::answered(request);
    }

    pub(super) unsafe extern "C" fn status(_context: NDIS_HANDLE, _given: *mut NDIS_STATUS_INDICATION) {}

    pub(super) unsafe extern "C" fn receive(
        context: NDIS_HANDLE,
        chain: *mut NET_BUFFER_LIST,
        _port: NDIS_PORT_NUMBER,
        _count: u32,
        flags: u32,
    ) {
        (of(context).deeds.receive)(of(context), chain, flags);
    }

    pub(super) unsafe extern "C" fn sent(context: NDIS_HANDLE, chain: *mut NET_BUFFER_LIST, _flags: u32) {
        of(context).free(chain);
    }
}
