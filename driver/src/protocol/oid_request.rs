//! Requests to the NIC: our own, waited for, and those of the protocols above, forwarded.
//!
//! One allocation a request; its own request id, so that the completion finds it and a cancel finds the NIC's copy.

use crate::binding::Binding;
use crate::kernel::{Block, Event};
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use ndk_types::{
    NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
    NDIS_OID_REQUEST_SET_INFORMATION, NDIS_REQUEST_TYPE, NDIS_SIZEOF_OID_REQUEST_REVISION_1, NDIS_STATUS,
    NDIS_STATUS_ADAPTER_NOT_READY, NDIS_STATUS_PENDING, NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
    NdisCancelDirectOidRequest, NdisCancelOidRequest, NdisDirectOidRequest, NdisOidRequest,
    NdisRequestQueryInformation, NdisRequestSetInformation,
};

/// A request below. `request` is first: its address is the issue's.
#[repr(C)]
struct Issued {
    request: NDIS_OID_REQUEST,
    /// The request it stands for, or null for our own.
    original: *mut NDIS_OID_REQUEST,
    direct: bool,
    /// Our own alone have one.
    done: Option<Event>,
    status: NDIS_STATUS,
}

fn issue(done: Option<Event>) -> Option<NonNull<Issued>> {
    // SAFETY: zero is a value of a request: integers and pointers.
    let request = unsafe { core::mem::zeroed::<NDIS_OID_REQUEST>() };
    let issued = Issued { request, original: null_mut(), direct: false, done, status: 0 };
    Some(Block::try_new(issued)?.into_raw())
}

/// # Safety
/// `issued` came from `issue`, and neither NDIS nor anybody else uses it any more.
unsafe fn free(binding: &Binding, issued: NonNull<Issued>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Block::from_raw(issued) });
    binding.requests.leave(1);
}

/// Sets an OID of the NIC and waits; PASSIVE_LEVEL.
pub fn set(binding: &Binding, oid: NDIS_OID, data: &mut [u8]) -> NDIS_STATUS {
    ask(binding, NdisRequestSetInformation, oid, data).err().unwrap_or(NDIS_STATUS_SUCCESS)
}

/// Queries an OID of the NIC and waits; how many bytes of `data` the NIC wrote. PASSIVE_LEVEL.
pub fn query(binding: &Binding, oid: NDIS_OID, data: &mut [u8]) -> Result<u32, NDIS_STATUS> {
    ask(binding, NdisRequestQueryInformation, oid, data)
}

/// Issues a request of our own and waits; how many bytes the NIC read or wrote. PASSIVE_LEVEL.
fn ask(binding: &Binding, kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, data: &mut [u8]) -> Result<u32, NDIS_STATUS> {
    let length = u32::try_from(data.len()).map_err(|_| NDIS_STATUS_RESOURCES)?;
    if !binding.requests.enter() {
        return Err(NDIS_STATUS_ADAPTER_NOT_READY);
    }
    let Some(mut issued) = Event::try_new().and_then(|done| issue(Some(done))) else {
        binding.requests.leave(1);
        return Err(NDIS_STATUS_RESOURCES);
    };
    // SAFETY: ours alone until it is issued.
    let body = unsafe { issued.as_mut() };
    body.request.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_OID_REQUEST,
        Revision: NDIS_OID_REQUEST_REVISION_1,
        Size: NDIS_SIZEOF_OID_REQUEST_REVISION_1,
    };
    body.request.RequestType = kind;
    body.request.RequestId = issued.as_ptr().cast();
    // Query and set have the same fields, BytesWritten of the one where BytesRead of the other is.
    body.request.DATA.SET_INFORMATION = NDIS_OID_REQUEST_SET_INFORMATION {
        Oid: oid,
        InformationBuffer: data.as_mut_ptr().cast(),
        InformationBufferLength: length,
        BytesRead: 0,
        BytesNeeded: 0,
    };
    // SAFETY: a complete request that stays until it is done, on a binding the rundown holds open.
    let mut status = unsafe { NdisOidRequest(binding.handle(), issued.as_ptr().cast()) };
    if status == NDIS_STATUS_PENDING {
        // SAFETY: shared with the completion, which only sets the status and then the event.
        let waited = unsafe { issued.as_ref() };
        if let Some(done) = &waited.done {
            done.wait();
        }
        // SAFETY: written before the event was set.
        status = unsafe { (*issued.as_ptr()).status };
    }
    // SAFETY: done, so ours alone again.
    let body = unsafe { issued.as_ref() };
    // SAFETY: integers and a pointer, whichever kind it was.
    let moved = unsafe { body.request.DATA.SET_INFORMATION.BytesRead };
    // SAFETY: done.
    unsafe { free(binding, issued) };
    if status == NDIS_STATUS_SUCCESS { Ok(moved.min(length)) } else { Err(status) }
}

/// Forwards a request; PENDING means that `Upper::complete_oid` follows.
///
/// # Safety
/// As [`Binding::forward_oid`].
pub unsafe fn forward(binding: &Binding, original: NonNull<NDIS_OID_REQUEST>, direct: bool) -> NDIS_STATUS {
    if !binding.requests.enter() {
        return NDIS_STATUS_ADAPTER_NOT_READY;
    }
    let Some(mut issued) = issue(None) else {
        binding.requests.leave(1);
        return NDIS_STATUS_RESOURCES;
    };
    // SAFETY: ours alone until it is issued.
    let body = unsafe { issued.as_mut() };
    // SAFETY: the original stays until we complete it.
    let source = unsafe { original.as_ref() };
    body.request.Header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_OID_REQUEST,
        Revision: NDIS_OID_REQUEST_REVISION_1,
        Size: NDIS_SIZEOF_OID_REQUEST_REVISION_1,
    };
    body.request.RequestType = source.RequestType;
    body.request.PortNumber = source.PortNumber;
    body.request.Timeout = source.Timeout;
    // NDIS cancels by id: the protocols' own, which we look for nowhere else.
    body.request.RequestId = source.RequestId;
    body.request.DATA = source.DATA;
    body.original = original.as_ptr();
    body.direct = direct;
    let request = issued.as_ptr().cast();
    let status = if direct {
        // SAFETY: a complete request that stays until it is done, on a binding the rundown holds open.
        unsafe { NdisDirectOidRequest(binding.handle(), request) }
    } else {
        // SAFETY: as above.
        unsafe { NdisOidRequest(binding.handle(), request) }
    };
    if status != NDIS_STATUS_PENDING {
        copy_back(issued);
        // SAFETY: done.
        unsafe { free(binding, issued) };
    }
    status
}

fn copy_back(issued: NonNull<Issued>) {
    // SAFETY: done below, ours.
    let body = unsafe { issued.as_ref() };
    if let Some(original) = NonNull::new(body.original) {
        // SAFETY: still waiting for its completion; only the results in DATA differ.
        unsafe { (*original.as_ptr()).DATA = body.request.DATA };
    }
}

/// From the protocol's completion handlers.
///
/// # Safety
/// `request` is one that this file issued on this binding.
pub unsafe fn complete(binding: &Binding, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    let Some(issued) = NonNull::new(request.cast::<Issued>()) else { return };
    // SAFETY: alive until its event is set or it is freed below.
    let body = unsafe { issued.as_ref() };
    let direct = body.direct;
    let Some(original) = NonNull::new(body.original) else {
        // SAFETY: the waiter reads it after the event.
        unsafe { (*issued.as_ptr()).status = status };
        if let Some(done) = &body.done {
            done.set();
        }
        return;
    };
    copy_back(issued);
    binding.with_upper(|upper| upper.complete_oid(original, direct, status));
    // SAFETY: done.
    unsafe { free(binding, issued) };
}

/// Cancels forwarded requests with that id.
pub(crate) fn cancel(binding: &Binding, id: *mut c_void, direct: bool) {
    if id.is_null() || !binding.requests.enter() {
        return;
    }
    if direct {
        // SAFETY: a binding the rundown holds open.
        unsafe { NdisCancelDirectOidRequest(binding.handle(), id) };
    } else {
        // SAFETY: as above.
        unsafe { NdisCancelOidRequest(binding.handle(), id) };
    }
    binding.requests.leave(1);
}
