//! The protocol's entry points: each finds its binding and calls the function that does the work.

use crate::binding::Binding;
use crate::data_path::{receive as up, send as down};
use crate::protocol::{bind as binding_up, oid_request, pnp, status as indication, unbind as binding_down};
use core::sync::atomic::Ordering;
use ndk_types::{
    NDIS_BIND_PARAMETERS, NDIS_HANDLE, NDIS_OID_REQUEST, NDIS_PORT_NUMBER, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NDIS_STATUS_INVALID_PARAMETER, NDIS_STATUS_PENDING, NET_BUFFER_LIST, NET_PNP_EVENT_NOTIFICATION, abi,
};

/// The binding that NDIS was given as its context.
///
/// # Safety
/// `context` is a ProtocolBindingContext of ours, whose unbind is not complete, or null.
unsafe fn of<'a>(context: NDIS_HANDLE) -> Option<&'a Binding> {
    // SAFETY: the caller's promise: the list of bindings holds a reference until the unbind is complete.
    unsafe { context.cast::<Binding>().as_ref() }
}

abi! {
    /// ProtocolBindAdapterEx.
    pub(super) unsafe extern "C" fn bind(_driver: NDIS_HANDLE, bind_context: NDIS_HANDLE, parameters: *mut NDIS_BIND_PARAMETERS) -> NDIS_STATUS {
        // SAFETY: NDIS's own, valid during the call.
        let Some(offered) = (unsafe { parameters.as_ref() }) else { return NDIS_STATUS_INVALID_PARAMETER };
        // SAFETY: as above; the context is this bind's.
        match unsafe { binding_up::bind(bind_context, offered) } {
            Ok(()) => ndk_types::NDIS_STATUS_SUCCESS,
            Err(status) => status,
        }
    }

    /// ProtocolUnbindAdapterEx.
    pub(super) unsafe extern "C" fn unbind(unbind_context: NDIS_HANDLE, context: NDIS_HANDLE) -> NDIS_STATUS {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            // SAFETY: NDIS unbinds a binding once.
            unsafe { binding_down::begin(binding, unbind_context) };
        }
        NDIS_STATUS_PENDING
    }

    /// ProtocolOpenAdapterCompleteEx.
    pub(super) unsafe extern "C" fn open_complete(context: NDIS_HANDLE, status: NDIS_STATUS) {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            binding.changed_status.store(status, Ordering::Release);
            binding.changed.set();
        }
    }

    /// ProtocolCloseAdapterCompleteEx.
    pub(super) unsafe extern "C" fn close_complete(context: NDIS_HANDLE) {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            binding.changed.set();
        }
    }

    /// ProtocolNetPnPEvent.
    pub(super) unsafe extern "C" fn net_pnp_event(context: NDIS_HANDLE, event: *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS {
        // SAFETY: NDIS's promise about the context; null for an event of the driver.
        match unsafe { of(context) } {
            // SAFETY: NDIS's event.
            Some(binding) => unsafe { pnp::event(binding, event) },
            // SAFETY: as above.
            None => unsafe { pnp::driver_event(event) },
        }
    }

    /// ProtocolOidRequestComplete.
    pub(super) unsafe extern "C" fn oid_complete(_context: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
        // SAFETY: NDIS gives back requests of ours alone.
        unsafe { oid_request::complete(request, status) };
    }

    /// ProtocolStatusEx.
    pub(super) unsafe extern "C" fn status(context: NDIS_HANDLE, indicated: *mut NDIS_STATUS_INDICATION) {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            // SAFETY: NDIS's indication, valid during the call.
            unsafe { indication::indicated(binding, indicated) };
        }
    }

    /// ProtocolReceiveNetBufferLists.
    pub(super) unsafe extern "C" fn receive(context: NDIS_HANDLE, nbls: *mut NET_BUFFER_LIST, port: NDIS_PORT_NUMBER, _count: u32, flags: u32) {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            // SAFETY: NDIS's chain, ours to return.
            unsafe { up::indicated(binding, nbls, port, flags) };
        }
    }

    /// ProtocolSendNetBufferListsComplete.
    pub(super) unsafe extern "C" fn send_complete(context: NDIS_HANDLE, nbls: *mut NET_BUFFER_LIST, flags: u32) {
        // SAFETY: NDIS's promise about the context.
        if let Some(binding) = unsafe { of(context) } {
            // SAFETY: a chain that we sent, ours again.
            unsafe { down::complete(binding, nbls, flags) };
        }
    }
}
