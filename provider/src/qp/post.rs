//! The doorways of NDK_QP_DISPATCH: posting, flushing, closing.
//!
//! A post reads its arguments into the ring and kicks the lane; it takes no lock and allocates nothing (QP-13, WR-49). What
//! is wrong with a request is told inline, and then it has left no trace, except that earlier deferred requests have been
//! indicated (WR-19).

use super::{Phase, Qp, QpState, command, kick};
use crate::adapter::ndk_query_extension;
use crate::limits::{REQUEST_SGE_MAX, TRANSFER_LENGTH_MAX};
use crate::memory::StageOwner;
use crate::object::{self, Borrowed};
use crate::platform::Platform;
use crate::ring::{Full, SlotWriter};
use crate::sync::Ordering;
use crate::{mr, mw, translate};
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    NDK_FN_CLOSE_COMPLETION, NDK_LOGICAL_ADDRESS, NDK_MR, NDK_MW, NDK_OBJECT_HEADER, NDK_OP_FLAG_DEFER,
    NDK_OP_FLAG_INLINE, NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE, NDK_QP, NDK_QP_DISPATCH, NDK_SGE, NTSTATUS,
    STATUS_CONNECTION_INVALID, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_BUFFER_SIZE,
    STATUS_INVALID_DEVICE_REQUEST, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use roce_engine::key::RKey;
use roce_engine::memory::Sge;
use roce_engine::work::{Operation, Wqe};

/// The table of one platform.
pub(super) struct Dispatch<P>(PhantomData<P>);

impl<P: Platform> Dispatch<P> {
    pub(super) const TABLE: &'static NDK_QP_DISPATCH = &NDK_QP_DISPATCH {
        NdkCloseQp: Some(ndk_close_qp::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkFlush: Some(ndk_flush::<P>),
        NdkSend: Some(ndk_send::<P>),
        NdkReceive: Some(ndk_receive::<P>),
        NdkBind: Some(ndk_bind::<P>),
        NdkFastRegister: Some(ndk_fast_register::<P>),
        NdkInvalidate: Some(ndk_invalidate::<P>),
        NdkRead: Some(ndk_read::<P>),
        NdkWrite: Some(ndk_write::<P>),
        NdkSendAndInvalidate: Some(ndk_send_and_invalidate::<P>),
    };
}

/// Why nothing was posted.
pub(crate) struct Refused(pub(crate) NTSTATUS);

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        // QP-18. ND's own code for it is a warning, which some consumers take for "posted" (OQ-19).
        Self(STATUS_INSUFFICIENT_RESOURCES)
    }
}

/// A consumer's scatter/gather list, for the length of one call.
pub(crate) struct Sgl<'a>(&'a [NDK_SGE]);

impl Sgl<'_> {
    /// # Safety
    /// NDKPI: `entries` points at `count` entries until the call returns; it may be NULL when `count` is 0.
    pub(crate) unsafe fn new(entries: *const NDK_SGE, count: u32) -> Self {
        if entries.is_null() || count == 0 {
            return Self(&[]);
        }
        // SAFETY: the caller's contract.
        Self(unsafe { core::slice::from_raw_parts(entries, count as usize) })
    }

    /// The sum of the lengths; ADP-23.
    pub(crate) fn length(&self) -> Result<u32, Refused> {
        let total = self.0.iter().try_fold(0u32, |sum, entry| sum.checked_add(entry.Length));
        total.filter(|&sum| sum <= TRANSFER_LENGTH_MAX).ok_or(Refused(STATUS_INVALID_BUFFER_SIZE))
    }

    /// Writes the list into a slot: WR-07.
    pub(crate) fn write(&self, limit: u32, slot: &mut SlotWriter<'_, Sge>) -> Result<(), Refused> {
        if self.0.len() > limit as usize {
            return Err(Refused(STATUS_INVALID_PARAMETER));
        }
        let written = self.0.iter().all(|entry| slot.push_sge(translate::sge(entry)));
        if written { Ok(()) } else { Err(Refused(STATUS_INVALID_PARAMETER)) }
    }

    /// Copies the bytes themselves into a slot: WR-08 to WR-11.
    fn write_inline(&self, slot: &mut SlotWriter<'_, Sge>) -> Result<(), Refused> {
        for entry in self.0 {
            let place = slot.push_inline(entry.Length as usize).ok_or(Refused(STATUS_INVALID_BUFFER_SIZE))?;
            // SAFETY: both members of the union are eight bytes without invalid values (ndkpi.h NDK_SGE).
            let from = unsafe { entry.Anonymous.VirtualAddress };
            // SAFETY: NDKPI NDK_SGE: with INLINE the address is a resident kernel address of `Length` bytes, readable at
            // <= DISPATCH_LEVEL until the call returns: the one consumer address that is dereferenced (OQ-31).
            unsafe { core::ptr::copy_nonoverlapping(from.cast::<u8>(), place.as_mut_ptr(), place.len()) };
        }
        Ok(())
    }
}

impl<P: Platform> QpState<P> {
    /// Posts a request that `fill` writes; the lane is the caller's to kick when this says so.
    fn try_post(
        &self,
        flags: u32,
        fill: impl FnOnce(u32, &mut SlotWriter<'_, Sge>) -> Result<Wqe, Refused>,
    ) -> Result<bool, Refused> {
        if self.phase() != Phase::Connected {
            return Err(Refused(STATUS_CONNECTION_INVALID));
        }
        // SAFETY: NDKPI: the initiator posts of one QP are serialised by the consumer (WR-50).
        let mut producer = unsafe { self.send.producer() };
        let position = producer.position();
        producer.try_push(|slot| fill(position, slot))?;
        if flags & NDK_OP_FLAG_DEFER != 0 {
            return Ok(producer.must_kick());
        }
        self.indicated.store(position.wrapping_add(1), Ordering::Release);
        Ok(true)
    }
}

/// Posts, and kicks when something is to be done now. WR-19: a failing post indicates what was deferred before.
fn post<P: Platform>(
    qp: &Borrowed<'_, Qp<P>>,
    flags: u32,
    fill: impl FnOnce(u32, &mut SlotWriter<'_, Sge>) -> Result<Wqe, Refused>,
) -> NTSTATUS {
    match qp.try_post(flags, fill) {
        Ok(now) => {
            if now {
                kick(&qp.counted());
            }
            STATUS_SUCCESS
        }
        Err(Refused(status)) => {
            // SAFETY: NDKPI: the initiator posts of one QP are serialised by the consumer (WR-50).
            let end = unsafe { qp.send.producer() }.position();
            if qp.indicated.swap(end, Ordering::AcqRel) != end {
                kick(&qp.counted());
            }
            status
        }
    }
}

/// A request that moves no data.
fn local(context: *mut c_void, operation: Operation, flags: u32) -> Wqe {
    translate::flags(context.expose_provenance() as u64, operation, 0, flags & !NDK_OP_FLAG_INLINE)
}

/// Refuses a request before it was posted: not connected comes first (QP-07), and WR-19 holds.
fn refuse<P: Platform>(qp: &Borrowed<'_, Qp<P>>, status: NTSTATUS) -> NTSTATUS {
    post(qp, 0, |_, _| Err(Refused(status)))
}

/// Posts a request that moves data.
fn post_transfer<P: Platform>(
    qp: &Borrowed<'_, Qp<P>>,
    context: *mut c_void,
    sgl: &Sgl<'_>,
    flags: u32,
    operation: Operation,
) -> NTSTATUS {
    let is_read = matches!(operation, Operation::RdmaRead { .. });
    let flags = if is_read { flags & !NDK_OP_FLAG_INLINE } else { flags };
    post(qp, flags, |_, slot| {
        let length = sgl.length()?;
        if flags & NDK_OP_FLAG_INLINE != 0 {
            sgl.write_inline(slot)?;
        } else {
            // ADP-22: reads have a limit of their own, which is the adapter's.
            let limit = if is_read { REQUEST_SGE_MAX.min(qp.max_initiator_sge) } else { qp.max_initiator_sge };
            sgl.write(limit, slot)?;
        }
        Ok(translate::flags(context.expose_provenance() as u64, operation, length, flags))
    })
}

ndk_types::abi! {
    /// NdkCloseQp: everything outstanding is flushed; completes when the connector is closed too (QP-17). At or below
    /// DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_qp<P: Platform>(
        qp: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = qp.cast::<NDK_QP>();
        {
            // SAFETY: NDKPI close_object: a QP not closed before.
            let qp = unsafe { Borrowed::<Qp<P>>::from_handle(handle) };
            qp.command(command::CLOSE);
            kick(&qp.counted());
        }
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Qp<P>>(handle, completion, context) }
    }

    /// NdkFlush: QP-09 to QP-11. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_flush<P: Platform>(qp: *mut NDK_QP) {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        qp.command(command::FLUSH);
        kick(&qp.counted());
    }

    /// NdkSend. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_send<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        post_transfer(&qp, context, &sgl, flags, Operation::Send)
    }

    /// NdkSendAndInvalidate. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_send_and_invalidate<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
        flags: u32,
        token: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        post_transfer(&qp, context, &sgl, flags, Operation::SendWithInvalidate { r_key: RKey(token) })
    }

    /// NdkRead. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_read<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
        address: u64,
        token: u32,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        let invalidate = flags & NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE != 0;
        let operation = Operation::RdmaRead { va: address, r_key: RKey(token), invalidate };
        post_transfer(&qp, context, &sgl, flags, operation)
    }

    /// NdkWrite. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_write<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
        address: u64,
        token: u32,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        post_transfer(&qp, context, &sgl, flags, Operation::RdmaWrite { va: address, r_key: RKey(token) })
    }

    /// NdkReceive: QP-06, QP-08. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_receive<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        if qp.srq.is_some() {
            return STATUS_INVALID_DEVICE_REQUEST;
        }
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        // SAFETY: NDKPI: the receive posts of one QP are serialised by the consumer (WR-50).
        let mut producer = unsafe { qp.receive.producer() };
        let pushed: Result<(), Refused> = producer.try_push(|slot| {
            sgl.length()?;
            sgl.write(qp.max_receive_sge, slot)?;
            Ok(context.expose_provenance() as u64)
        });
        if let Err(Refused(status)) = pushed {
            return status;
        }
        if producer.must_kick() {
            kick(&qp.counted());
        }
        STATUS_SUCCESS
    }

    /// NdkBind: MW-02 to MW-07, MW-12. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_bind<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        mr: *mut NDK_MR,
        mw: *mut NDK_MW,
        address: *mut c_void,
        length: usize,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<mr::Mr<P>>::from_handle(mr) };
        // SAFETY: NDKPI: an open MW.
        let mw = unsafe { Borrowed::<mw::Mw<P>>::from_handle(mw) };
        let posted = mw::PostedBind { va: address, length, flags };
        let prepared = match mw::prepare_bind(&mw, &mr, qp.domain, &posted) {
            Ok(prepared) => prepared,
            Err(status) => return refuse(&qp, status),
        };
        let status = post(&qp, flags, |_, _| Ok(local(context, prepared.operation(), flags)));
        if status == STATUS_SUCCESS {
            prepared.posted();
        }
        status
    }

    /// NdkFastRegister: MR-24 to MR-26, WR-32 to WR-37. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_fast_register<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        mr: *mut NDK_MR,
        page_count: u32,
        pages: *const NDK_LOGICAL_ADDRESS,
        first_byte: u32,
        length: usize,
        base: *mut c_void,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<mr::Mr<P>>::from_handle(mr) };
        // SAFETY: NDKPI: the initiator posts of one QP are serialised by the consumer (WR-50).
        let position = unsafe { qp.send.producer() }.position();
        let owner = StageOwner::new(qp.slot, position);
        let posted = mr::PostedFastRegister { page_count, pages, fbo: first_byte, length, base, flags };
        // SAFETY: NDKPI: `page_count` addresses until this call returns.
        let staged = match unsafe { mr::stage_fast_register(&mr, qp.domain, owner, &posted) } {
            Ok(staged) => staged,
            Err(status) => return refuse(&qp, status),
        };
        let status = post(&qp, flags, |_, _| Ok(local(context, staged.operation(), flags)));
        if status == STATUS_SUCCESS {
            staged.posted();
        }
        status
    }

    /// NdkInvalidate: MW-08, WR-39 to WR-41. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_invalidate<P: Platform>(
        qp: *mut NDK_QP,
        context: *mut c_void,
        region: *mut NDK_OBJECT_HEADER,
        flags: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open QP.
        let qp = unsafe { Borrowed::<Qp<P>>::from_handle(qp) };
        // SAFETY: NDKPI: the header of an open MR or MW.
        let prepared = unsafe { mw::prepare_invalidate::<P>(region, qp.domain) };
        match prepared {
            Ok(operation) => post(&qp, flags, |_, _| Ok(local(context, operation, flags))),
            Err(status) => refuse(&qp, status),
        }
    }
}
