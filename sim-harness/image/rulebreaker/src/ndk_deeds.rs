//! Rules of NDK that are broken.

use crate::deeds;
use core::ffi::c_void;
use core::ptr::{null, null_mut};
use ndk_types::*;
use wdk_sys::ntddk::{
    ExAllocatePool2, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, KeLowerIrql, KfRaiseIrql, MmBuildMdlForNonPagedPool,
};
use wdk_sys::{NT_SUCCESS, POOL_FLAG_NON_PAGED};

const TAG: u32 = u32::from_le_bytes(*b"rule");
static CLIENT: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH { Version: 0x100, Reserved: 0, WskClientEvent: None };

/// Calls a slot of an open object.
macro_rules! call {
    ($object:expr, $slot:ident $(, $argument:expr)* $(,)?) => {{
        let object = $object;
        // SAFETY: an object that is open, or is still there: then the deed is to call it all the same.
        let table = unsafe { (*object).Dispatch };
        // SAFETY: as above.
        let slot = unsafe { (*table).$slot };
        // SAFETY: the slot's parameters; what is wrong with the call is the deed.
        slot.map(|slot| unsafe { slot(object.cast() $(, $argument)*) })
    }};
}

/// Does what the code asks for on the adapter of an interface, if it is one of these.
pub fn do_it(code: u32, index: u32) {
    let ours = [
        deeds::BEHAVE,
        deeds::POST_WITHIN_A_POST,
        deeds::CLOSE_TWICE,
        deeds::USE_AFTER_CLOSE,
        deeds::ASK_AT_DISPATCH,
        deeds::LEAK_OBJECTS,
        deeds::LEAK_A_MAPPING,
        deeds::LEAK_THE_ADAPTER,
        deeds::CLOSE_THE_ADAPTER_TWICE,
    ];
    if !ours.contains(&code) {
        return;
    }
    let mut registration = WSK_REGISTRATION {
        ReservedRegistrationState: 0,
        ReservedRegistrationContext: null_mut(),
        ReservedRegistrationLock: 0,
    };
    let mut client = WSK_CLIENT_NPI { ClientContext: null_mut(), Dispatch: &raw const CLIENT };
    // SAFETY: WskRegister: a client's interface; the registration stays until it is deregistered below.
    if !NT_SUCCESS(unsafe { WskRegister(&raw mut client, &raw mut registration) }) {
        return;
    }
    let mut npi = WSK_PROVIDER_NPI { Client: null_mut(), Dispatch: null() };
    // SAFETY: WskCaptureProviderNPI: registered, PASSIVE_LEVEL.
    if NT_SUCCESS(unsafe { WskCaptureProviderNPI(&raw mut registration, WSK_INFINITE_WAIT, &raw mut npi) }) {
        with_adapter(code, index, npi);
        // SAFETY: WskReleaseProviderNPI: captured.
        unsafe { WskReleaseProviderNPI(&raw mut registration) };
    }
    // SAFETY: WskDeregister: registered.
    unsafe { WskDeregister(&raw mut registration) };
}

fn with_adapter(code: u32, index: u32, npi: WSK_PROVIDER_NPI) {
    let mut ndk = WSK_PROVIDER_NDK_DISPATCH { WskOpenNdkAdapter: None, WskCloseNdkAdapter: None };
    let (size, mut returned, to) = (size_of_val(&ndk), 0, (&raw mut ndk).cast());
    // SAFETY: captured: the table is there.
    let Some(control) = (unsafe { (*npi.Dispatch).WskControlClient }) else { return };
    let (wanted, none) = (WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH, null_mut());
    // SAFETY: WskControlClient: no input, room for the table, no IRP.
    let _ = unsafe { control(npi.Client, wanted, 0, none, size, to, &raw mut returned, null_mut()) };
    let (Some(open), Some(close)) = (ndk.WskOpenNdkAdapter, ndk.WskCloseNdkAdapter) else { return };
    let mut adapter = null_mut();
    let version = NDK_VERSION { Major: 1, Minor: 2 };
    // SAFETY: WskOpenNdkAdapter: a place for the adapter, PASSIVE_LEVEL.
    if !NT_SUCCESS(unsafe { open(npi.Client, version, index, &raw mut adapter) }) {
        return;
    }
    with_objects(code, adapter);
    if code == deeds::LEAK_THE_ADAPTER {
        return;
    }
    // SAFETY: WskCloseNdkAdapter: opened above.
    unsafe { close(npi.Client, adapter) };
    if code == deeds::CLOSE_THE_ADAPTER_TWICE {
        // SAFETY: none: that is the deed.
        unsafe { close(npi.Client, adapter) };
    }
}

/// What the CQ's callback is to post on.
struct Nested {
    qp: *mut NDK_QP,
    left: u32,
}

fn with_objects(code: u32, adapter: *mut NDK_ADAPTER) {
    let mut nested = Nested { qp: null_mut(), left: 1 };
    let nested = &raw mut nested;
    let (mut cq, mut pd, mut qp, none) = (null_mut(), null_mut(), null_mut(), null_mut());
    let (notify, context): (NDK_FN_CQ_NOTIFICATION_CALLBACK, _) = (Some(notified), nested.cast());
    let create: NDK_FN_CREATE_COMPLETION = Some(created);
    call!(adapter, NdkCreateCq, 16, notify, context, null_mut(), create, none, &raw mut cq);
    call!(adapter, NdkCreatePd, create, none, &raw mut pd);
    call!(pd, NdkCreateQp, cq, cq, none, 8, 8, 1, 1, 0, create, none, &raw mut qp);
    // SAFETY: a local, and nobody else has it yet.
    unsafe { (*nested).qp = qp };
    match code {
        deeds::POST_WITHIN_A_POST => {
            // A flushed queue pair completes what is posted at once: the callback comes from within the post, and posts.
            call!(qp, NdkFlush);
            call!(cq, NdkArmCq, NDK_CQ_NOTIFY_ANY);
            call!(qp, NdkReceive, null_mut(), null(), 0);
        }
        deeds::ASK_AT_DISPATCH => ask_at_dispatch(adapter),
        deeds::LEAK_A_MAPPING => map(adapter),
        deeds::LEAK_OBJECTS => return,
        _ => {}
    }
    let closed: NDK_FN_CLOSE_COMPLETION = Some(closed);
    if code == deeds::CLOSE_TWICE || code == deeds::USE_AFTER_CLOSE {
        // It pends until the queue pair is closed, so the object is there.
        call!(cq, NdkCloseCq, closed, none);
        if code == deeds::USE_AFTER_CLOSE {
            call!(cq, NdkGetCqResults, null_mut(), 0);
            call!(qp, NdkCloseQp, closed, none);
            call!(pd, NdkClosePd, closed, none);
            return;
        }
    }
    if code == deeds::CLOSE_TWICE {
        call!(cq, NdkCloseCq, closed, none);
    }
    call!(qp, NdkCloseQp, closed, none);
    call!(pd, NdkClosePd, closed, none);
    if code != deeds::CLOSE_TWICE {
        call!(cq, NdkCloseCq, closed, none);
    }
}

fn ask_at_dispatch(adapter: *mut NDK_ADAPTER) {
    let (mut info, mut size) = (NDK_ADAPTER_INFO::default(), size_of::<NDK_ADAPTER_INFO>() as u32);
    // SAFETY: KfRaiseIrql: from PASSIVE_LEVEL to DISPATCH_LEVEL.
    let before = unsafe { KfRaiseIrql(2) };
    call!(adapter, NdkQueryAdapterInfo, &raw mut info, &raw mut size);
    // SAFETY: KeLowerIrql: what the raise returned.
    unsafe { KeLowerIrql(before) };
}

fn map(adapter: *mut NDK_ADAPTER) {
    // SAFETY: ExAllocatePool2: non-paged, a size and a tag.
    let memory = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 8192, TAG) };
    // SAFETY: IoAllocateMdl: the range above.
    let mdl = unsafe { IoAllocateMdl(memory, 8192, 0, 0, null_mut()) };
    // SAFETY: MmBuildMdlForNonPagedPool: a fresh MDL of pool.
    unsafe { MmBuildMdlForNonPagedPool(mdl) };
    let (mut lam, mut size, mut offset) = ([0u64; 8], 64, 0);
    let to = lam.as_mut_ptr().cast();
    let complete: NDK_FN_REQUEST_COMPLETION = Some(requested);
    call!(adapter, NdkBuildLAM, mdl.cast(), 8192, complete, null_mut(), to, &raw mut size, &raw mut offset);
    // SAFETY: IoFreeMdl: allocated above; the mapping of a provider is its own.
    unsafe { IoFreeMdl(mdl) };
    // SAFETY: ExFreePoolWithTag: allocated above; that NDK still has it is part of the deed.
    unsafe { ExFreePoolWithTag(memory, TAG) };
}

ndk_types::abi! {
    unsafe extern "C" fn created(_context: *mut c_void, _status: NTSTATUS, _object: *mut NDK_OBJECT_HEADER) {}

    unsafe extern "C" fn requested(_context: *mut c_void, _status: NTSTATUS) {}

    unsafe extern "C" fn closed(_context: *mut c_void) {}

    unsafe extern "C" fn notified(context: *mut c_void, _status: NTSTATUS) {
        // SAFETY: the CQ's context, which stays until it is closed.
        let nested = unsafe { &mut *context.cast::<Nested>() };
        if nested.left > 0 {
            nested.left -= 1;
            call!(nested.qp, NdkReceive, null_mut(), null(), 0);
        }
    }
}
