//! Requests to the NIC, each waited for: what the protocols above ask of it is asked anew (OID-07).
//!
//! A NIC that sleeps, or is about to, is asked for nothing (W-08).
//!
//! The request is the first field of what is allocated for it, so that the completion finds the rest.

use crate::binding::Binding;
use crate::kernel::{Block, Event};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ndk_types::{
    NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID, NDIS_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
    NDIS_OID_REQUEST_SET_INFORMATION, NDIS_REQUEST_TYPE, NDIS_SIZEOF_OID_REQUEST_REVISION_1, NDIS_STATUS,
    NDIS_STATUS_ADAPTER_NOT_READY, NDIS_STATUS_LOW_POWER_STATE, NDIS_STATUS_PENDING, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NdisOidRequest, NdisRequestQueryInformation, NdisRequestSetInformation,
};

/// A request below. `request` is first: its address is the issue's.
#[repr(C)]
struct Issued {
    request: NDIS_OID_REQUEST,
    done: Event,
    status: NDIS_STATUS,
}

fn issue() -> Option<NonNull<Issued>> {
    // SAFETY: zero is a value of a request: integers and pointers.
    let request = unsafe { core::mem::zeroed::<NDIS_OID_REQUEST>() };
    Some(Block::try_new(Issued { request, done: Event::try_new()?, status: 0 })?.into_raw())
}

/// # Safety
/// `issued` came from `issue`, and neither NDIS nor anybody else uses it any more.
unsafe fn free(binding: &Binding, issued: NonNull<Issued>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Block::from_raw(issued) });
    leave(binding);
}

/// Whether the NIC may be asked; whoever is let in calls [`leave`].
fn enter(binding: &Binding) -> Result<(), NDIS_STATUS> {
    if !binding.requests.enter() {
        return Err(NDIS_STATUS_ADAPTER_NOT_READY);
    }
    // Counted first: whoever puts the NIC to sleep after this look waits.
    binding.asked.fetch_add(1, Ordering::SeqCst);
    if binding.is_powered() {
        return Ok(());
    }
    leave(binding);
    Err(NDIS_STATUS_LOW_POWER_STATE)
}

/// One request fewer; an event that waits for the last is completed by it.
fn leave(binding: &Binding) {
    binding.asked.fetch_sub(1, Ordering::SeqCst);
    super::pnp::came_back(binding);
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
    enter(binding)?;
    let Some(mut issued) = issue() else {
        leave(binding);
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
        unsafe { issued.as_ref() }.done.wait();
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

/// From the protocol's completion handler.
///
/// # Safety
/// `request` is one that this file issued on this binding.
pub unsafe fn complete(request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    let Some(issued) = NonNull::new(request.cast::<Issued>()) else { return };
    // SAFETY: the waiter frees it after the event, and reads this after the event too.
    unsafe { (*issued.as_ptr()).status = status };
    // SAFETY: as above; the last use here.
    unsafe { issued.as_ref() }.done.set();
}
