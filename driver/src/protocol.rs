//! The protocol edge: how NDIS talks to us about the NIC below.
//!
//! Registered after the miniport driver (W-04). A bind may come before the two are associated; the virtual miniport over it
//! is then started by whoever comes last.

pub mod bind;
pub mod bindings;
mod handlers;
pub mod offload;
pub mod oid_request;
pub mod pairing;
pub mod pnp;
pub mod status;
pub mod unbind;

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use ndk_types::{
    NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
    NDIS_PROTOCOL_DRIVER_UDP_RSC_NOT_SUPPORTED, NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2, NDIS_STATUS,
    NDIS_STATUS_SUCCESS, NdisDeregisterProtocolDriver, NdisIMAssociateMiniport, NdisRegisterProtocolDriver,
    UNICODE_STRING,
};

/// The protocol's name: the service's (W-31).
static NAME: [u16; 7] = units(b"softndk");

static MINIPORT_DRIVER: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static PROTOCOL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static ASSOCIATED: AtomicBool = AtomicBool::new(false);

const fn units(text: &[u8; 7]) -> [u16; 7] {
    let [a, b, c, d, e, f, g] = *text;
    [a as u16, b as u16, c as u16, d as u16, e as u16, f as u16, g as u16]
}

/// The handle of NdisMRegisterMiniportDriver.
pub fn miniport_driver() -> NDIS_HANDLE {
    MINIPORT_DRIVER.load(Ordering::Acquire)
}

/// The handle of NdisRegisterProtocolDriver.
pub(crate) fn protocol() -> NDIS_HANDLE {
    PROTOCOL.load(Ordering::Acquire)
}

/// Registers the protocol and associates it with the miniport driver; binds come from now on. PASSIVE_LEVEL, DriverEntry.
///
/// # Safety
/// `miniport_driver` is the handle of NdisMRegisterMiniportDriver, which stays registered until [`deregister`] has returned.
pub unsafe fn register(miniport_driver: NDIS_HANDLE) -> Result<(), NDIS_STATUS> {
    MINIPORT_DRIVER.store(miniport_driver, Ordering::Release);
    let mut characteristics = characteristics();
    // SAFETY: complete characteristics; the handle is written before the first bind reads it.
    let status = unsafe { NdisRegisterProtocolDriver(null_mut(), &raw mut characteristics, PROTOCOL.as_ptr()) };
    if status != NDIS_STATUS_SUCCESS {
        return Err(status);
    }
    // SAFETY: both handles are registered.
    unsafe { NdisIMAssociateMiniport(miniport_driver, protocol()) };
    ASSOCIATED.store(true, Ordering::SeqCst);
    while let Some(binding) = bindings::unstarted() {
        // A failure leaves the NIC bound without a virtual miniport, until it is bound anew.
        bind::start(&binding);
    }
    Ok(())
}

/// Unbinds every NIC and deregisters. PASSIVE_LEVEL, unload; before the miniport driver is deregistered (W-04).
pub fn deregister() {
    ASSOCIATED.store(false, Ordering::SeqCst);
    let protocol = PROTOCOL.swap(null_mut(), Ordering::AcqRel);
    if !protocol.is_null() {
        // SAFETY: registered, and deregistered once; returns when every unbind is complete.
        unsafe { NdisDeregisterProtocolDriver(protocol) };
    }
}

/// Whether a virtual miniport may be started.
pub(crate) fn is_associated() -> bool {
    ASSOCIATED.load(Ordering::SeqCst)
}

fn characteristics() -> NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
    NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS,
            Revision: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
            Size: NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2,
        },
        MajorNdisVersion: 6,
        MinorNdisVersion: 50,
        MajorDriverVersion: 0,
        MinorDriverVersion: 1,
        // A change of MAC address or MTU unbinds and binds anew, since no flag claims that we would follow it (W-23).
        Flags: NDIS_PROTOCOL_DRIVER_UDP_RSC_NOT_SUPPORTED,
        Name: UNICODE_STRING {
            Length: size_of_val(&NAME) as u16,
            MaximumLength: size_of_val(&NAME) as u16,
            Buffer: NAME.as_ptr().cast_mut(),
        },
        SetOptionsHandler: None,
        BindAdapterHandlerEx: Some(handlers::bind),
        UnbindAdapterHandlerEx: Some(handlers::unbind),
        OpenAdapterCompleteHandlerEx: Some(handlers::open_complete),
        CloseAdapterCompleteHandlerEx: Some(handlers::close_complete),
        NetPnPEventHandler: Some(handlers::net_pnp_event),
        UninstallHandler: None,
        OidRequestCompleteHandler: Some(handlers::oid_complete),
        StatusHandlerEx: Some(handlers::status),
        ReceiveNetBufferListsHandler: Some(handlers::receive),
        SendNetBufferListsCompleteHandler: Some(handlers::send_complete),
        DirectOidRequestCompleteHandler: None,
    }
}
