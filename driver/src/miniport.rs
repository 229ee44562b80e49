//! The upper edge: what NDIS calls for the virtual miniport.
//!
//! MiniportAdapterContext is an [`Adapter`] from MiniportInitializeEx to MiniportHaltEx. There is no reset handler and none
//! that checks for hangs: an intermediate driver has neither (W-09).

pub mod attributes;
pub mod ndk;
pub mod oid;
pub mod oid_table;
pub mod statistics;
pub mod turn;

use crate::adapter::Adapter;
use crate::binding::Binding;
use crate::config::Config;
use crate::config::keywords::{Keyword, Reading};
use crate::kernel::Block;
use crate::{entry, event_log};
use core::ffi::c_void;
use core::ptr::NonNull;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDIS_DRIVER_OPTIONAL_HANDLERS, NDIS_HALT_ACTION, NDIS_HANDLE, NDIS_INTERMEDIATE_DRIVER,
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS, NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
    NDIS_MINIPORT_INIT_PARAMETERS, NDIS_MINIPORT_PAUSE_PARAMETERS, NDIS_MINIPORT_RESTART_PARAMETERS,
    NDIS_NDK_PROVIDER_CHARACTERISTICS, NDIS_NDK_PROVIDER_CHARACTERISTICS_REVISION_1, NDIS_OBJECT_HEADER,
    NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS, NDIS_PORT_NUMBER,
    NDIS_SHUTDOWN_ACTION, NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
    NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1, NDIS_STATUS, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_PENDING, NDIS_STATUS_SUCCESS, NET_BUFFER_LIST, NET_DEVICE_PNP_EVENT, NdisDevicePnPEventSurpriseRemoved,
    NdisSetOptionalHandlers,
};

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: u32 = 14;
/// NDIS 6.50, whose characteristics are of revision 2.
const NDIS_VERSION: (u8, u8) = (6, 50);
/// The driver's own version.
pub const VERSION: (u8, u8) = (0, 1);

/// What NdisMRegisterMiniportDriver is given.
pub fn characteristics() -> NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS,
            Revision: NDIS_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
            Size: NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2,
        },
        MajorNdisVersion: NDIS_VERSION.0,
        MinorNdisVersion: NDIS_VERSION.1,
        MajorDriverVersion: VERSION.0,
        MinorDriverVersion: VERSION.1,
        Flags: NDIS_INTERMEDIATE_DRIVER,
        SetOptionsHandler: Some(set_options),
        InitializeHandlerEx: Some(initialize),
        HaltHandlerEx: Some(halt),
        UnloadHandler: Some(entry::unload),
        PauseHandler: Some(pause),
        RestartHandler: Some(restart),
        OidRequestHandler: Some(oid::request),
        SendNetBufferListsHandler: Some(send),
        ReturnNetBufferListsHandler: Some(return_lists),
        CancelSendHandler: Some(cancel_send),
        CheckForHangHandlerEx: None,
        ResetHandlerEx: None,
        DevicePnPEventNotifyHandler: Some(device_pnp_event),
        ShutdownHandlerEx: Some(shutdown),
        CancelOidRequestHandler: Some(oid::cancel),
        DirectOidRequestHandler: Some(oid::direct_request),
        CancelDirectOidRequestHandler: Some(oid::cancel),
        SynchronousOidRequestHandler: None,
    }
}

/// The instance behind a MiniportAdapterContext.
///
/// # Safety
/// `context` is what MiniportInitializeEx set, and the instance is not halted during `'a`.
pub unsafe fn adapter<'a>(context: NDIS_HANDLE) -> Option<&'a Adapter> {
    // SAFETY: the caller's contract.
    unsafe { context.cast::<Adapter>().as_ref() }
}

/// Notes a keyword whose value cannot be; one that is missing is no error.
fn complain(keyword: &Keyword, reading: Reading) {
    if let Reading::Absurd(value) = reading {
        event_log::note_keyword(keyword.name, value);
    }
}

/// MiniportInitializeEx without its report to the binding.
///
/// # Safety
/// `miniport` and `parameters` are those of MiniportInitializeEx.
unsafe fn bring_up(
    miniport: NDIS_HANDLE,
    parameters: &NDIS_MINIPORT_INIT_PARAMETERS,
    binding: Shared<Binding>,
) -> Result<(), NDIS_STATUS> {
    // SAFETY: the caller's handle.
    let config = unsafe { Config::read(miniport, complain) }?;
    // SAFETY: every bit pattern is a value.
    let luid = unsafe { parameters.NetLuid.Value };
    // SAFETY: the caller's handle; halted, or dropped below, in time.
    let adapter = unsafe { Adapter::try_new(miniport, luid, config, binding) }?;
    // SAFETY: as above, in the order of W-04.
    unsafe { attributes::set(&adapter) }?;
    // SAFETY: in a block of its own until MiniportHaltEx, which closes it.
    unsafe { adapter.open() }?;
    let _context = adapter.into_raw();
    Ok(())
}

ndk_types::abi! {
    unsafe extern "C" fn set_options(driver: NDIS_HANDLE, _context: NDIS_HANDLE) -> NDIS_STATUS {
        let mut characteristics = NDIS_NDK_PROVIDER_CHARACTERISTICS {
            Header: NDIS_OBJECT_HEADER {
                Type: NDIS_OBJECT_TYPE_NDK_PROVIDER_CHARACTERISTICS,
                Revision: NDIS_NDK_PROVIDER_CHARACTERISTICS_REVISION_1,
                Size: NDIS_SIZEOF_NDK_PROVIDER_CHARACTERISTICS_REVISION_1,
            },
            Flags: 0,
            OpenNDKAdapterHandler: Some(ndk::open_ndk_adapter),
            CloseNDKAdapterHandler: Some(ndk::close_ndk_adapter),
        };
        let handlers = (&raw mut characteristics).cast::<NDIS_DRIVER_OPTIONAL_HANDLERS>();
        // SAFETY: NdisSetOptionalHandlers: from MiniportSetOptions, with its handle and complete characteristics (REG-02).
        unsafe { NdisSetOptionalHandlers(driver, handlers) }
    }

    unsafe extern "C" fn initialize(
        miniport: NDIS_HANDLE,
        _driver: NDIS_HANDLE,
        parameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS gives valid parameters.
        let Some(parameters) = (unsafe { parameters.as_ref() }) else { return NDIS_STATUS_INVALID_PARAMETER };
        // SAFETY: inside MiniportInitializeEx, with its context.
        let binding = unsafe { Binding::from_device_context(parameters.IMDeviceInstanceContext) };
        let Some(binding) = binding else { return NDIS_STATUS_INVALID_PARAMETER };
        // SAFETY: NDIS's arguments.
        let result = unsafe { bring_up(miniport, parameters, binding.clone()) };
        binding.initialised();
        result.err().unwrap_or(NDIS_STATUS_SUCCESS)
    }

    unsafe extern "C" fn halt(context: NDIS_HANDLE, _action: NDIS_HALT_ACTION) {
        if let Some(adapter) = NonNull::new(context.cast::<Adapter>()) {
            // SAFETY: the block that MiniportInitializeEx gave away, halted once.
            let adapter = unsafe { Block::from_raw(adapter) };
            let binding = adapter.shared_binding();
            adapter.close();
            drop(adapter);
            binding.vacated();
        }
    }

    unsafe extern "C" fn pause(
        context: NDIS_HANDLE,
        _parameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS: not halted.
        let done = unsafe { adapter(context) }.is_none_or(Adapter::pause);
        if done { NDIS_STATUS_SUCCESS } else { NDIS_STATUS_PENDING }
    }

    unsafe extern "C" fn restart(
        context: NDIS_HANDLE,
        _parameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
    ) -> NDIS_STATUS {
        // SAFETY: NDIS: not halted.
        if let Some(adapter) = unsafe { adapter(context) } {
            adapter.restart();
        }
        NDIS_STATUS_SUCCESS
    }

    unsafe extern "C" fn send(context: NDIS_HANDLE, nbls: *mut NET_BUFFER_LIST, port: NDIS_PORT_NUMBER, flags: u32) {
        // SAFETY: NDIS: not halted.
        if let (Some(adapter), Some(nbls)) = (unsafe { adapter(context) }, NonNull::new(nbls)) {
            // SAFETY: NDIS's chain.
            unsafe { adapter.send(nbls, port, flags) };
        }
    }

    unsafe extern "C" fn return_lists(context: NDIS_HANDLE, nbls: *mut NET_BUFFER_LIST, flags: u32) {
        // SAFETY: NDIS: not halted while lists are out.
        if let (Some(adapter), Some(nbls)) = (unsafe { adapter(context) }, NonNull::new(nbls)) {
            // SAFETY: a chain that was indicated.
            unsafe { adapter.give_back(nbls, flags) };
        }
    }

    unsafe extern "C" fn cancel_send(context: NDIS_HANDLE, id: *mut c_void) {
        // SAFETY: NDIS: not halted.
        if let Some(adapter) = unsafe { adapter(context) } {
            adapter.binding().cancel_send(id);
        }
    }

    /// There is no hardware of ours to be told; NDK's consumers are.
    unsafe extern "C" fn device_pnp_event(context: NDIS_HANDLE, event: *mut NET_DEVICE_PNP_EVENT) {
        // SAFETY: NDIS gives a valid event.
        let event = unsafe { event.as_ref() };
        // SAFETY: NDIS: not halted.
        if let (Some(adapter), Some(event)) = (unsafe { adapter(context) }, event)
            && event.DevicePnPEvent == NdisDevicePnPEventSurpriseRemoved
        {
            adapter.ndk().take_away(adapter);
        }
    }

    /// The NIC's own driver silences the NIC; nothing of ours touches memory without it. Any IRQL.
    unsafe extern "C" fn shutdown(_context: NDIS_HANDLE, _action: NDIS_SHUTDOWN_ACTION) {}
}
