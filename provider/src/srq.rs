//! NDK_SRQ: receives that several queue pairs share.

use crate::adapter::ndk_query_extension;
use crate::bitmap::Bitmap;
use crate::cq::Context;
use crate::lane::Lane;
use crate::limits::{REQUEST_SGE_MAX, SRQ_DEPTH_MAX};
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::pd::Pd;
use crate::platform::Platform;
use crate::qp::post::{Refused, Sgl};
use crate::ring::shared_receive::{ResizeRefused, SharedReceiveRing};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    GROUP_AFFINITY, NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION, NDK_FN_REQUEST_COMPLETION,
    NDK_FN_SRQ_NOTIFICATION_CALLBACK, NDK_OBJECT_HEADER, NDK_PD, NDK_SGE, NDK_SRQ, NDK_SRQ_DISPATCH, NTSTATUS,
    NdkObjectTypeSrq, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use roce_engine::memory::Sge;

/// The kind of NDK_SRQ.
pub struct Srq<P>(PhantomData<P>);

// SAFETY: NDK_SRQ starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Srq<P> {
    type Abi = NDK_SRQ;
    type State = SrqState<P>;
}

/// What the provider knows of an SRQ.
pub struct SrqState<P: Platform> {
    pd: Ref<Pd<P>>,
    pub(crate) ring: SharedReceiveRing<u64, Sge>,
    max_sge: u32,
    /// Armed: the count below which the callback is due; 0 while disarmed (SRQ-04).
    threshold: AtomicU64,
    notification: Lane<()>,
    /// The count fell below the threshold and the callback was not called yet.
    due: AtomicBool,
    closed: AtomicBool,
    callback: NDK_FN_SRQ_NOTIFICATION_CALLBACK,
    context: Context,
    /// Queue pairs whose responders wait for a receive, by slot.
    waiting: Bitmap,
}

impl<P: Platform> SrqState<P> {
    /// Whether `remaining` receives are below the armed threshold (SRQ-03).
    pub(crate) fn is_below(&self, remaining: u64) -> bool {
        remaining < self.threshold.load(Ordering::Acquire)
    }

    /// The queue pair in this slot is to be kicked when a receive is posted.
    pub(crate) fn wait_for_receive(&self, slot: u32) {
        self.waiting.insert(slot);
        self.ring.ask_for_kicks();
    }
}

/// Calls the notification callback when the count is below the threshold, once an arm. In no lane of a queue pair.
pub(crate) fn notify<P: Platform>(srq: &Ref<Srq<P>>) {
    let srq = srq.clone();
    let threshold = srq.threshold.load(Ordering::Acquire);
    // One-shot (SRQ-04): whoever takes the threshold away owes the callback.
    if srq.ring.count() < threshold
        && srq.threshold.compare_exchange(threshold, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    {
        srq.due.store(true, Ordering::Release);
    }
    srq.notification.kick(|()| {
        while !srq.closed.load(Ordering::Acquire) && srq.due.swap(false, Ordering::AcqRel) {
            if let Some(callback) = srq.callback {
                // SAFETY: NDKPI srq_notification_callback: callable at <= DISPATCH_LEVEL until the close completes; the
                // reference above keeps it from completing.
                unsafe { callback(srq.context.0, STATUS_SUCCESS) };
            }
        }
    });
}

impl<P: Platform> Srq<P> {
    const DISPATCH: &'static NDK_SRQ_DISPATCH = &NDK_SRQ_DISPATCH {
        NdkCloseSrq: Some(ndk_close_srq::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkModifySrq: Some(ndk_modify_srq::<P>),
        NdkSrqReceive: Some(ndk_srq_receive::<P>),
    };
}

ndk_types::abi! {
    /// NdkCreateSrq: SRQ-01, SRQ-02. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_srq.
    pub unsafe extern "C" fn ndk_create_srq<P: Platform>(
        pd: *mut NDK_PD,
        depth: u32,
        max_sge: u32,
        threshold: u32,
        callback: NDK_FN_SRQ_NOTIFICATION_CALLBACK,
        context: *mut c_void,
        _affinity: *mut GROUP_AFFINITY,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        srq: *mut *mut NDK_SRQ,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        if depth > SRQ_DEPTH_MAX || max_sge > REQUEST_SGE_MAX {
            return STATUS_INVALID_PARAMETER;
        }
        let queue_pairs = pd.adapter.port.queue_pairs.capacity();
        let made = SharedReceiveRing::try_new(depth.max(1), max_sge).zip(Bitmap::try_new(queue_pairs));
        let made = made.and_then(|(ring, waiting)| {
            let abi = NDK_SRQ {
                Header: object::header(pd.adapter.version, NdkObjectTypeSrq),
                Dispatch: Srq::<P>::DISPATCH,
            };
            let state = SrqState {
                pd: pd.counted(),
                ring,
                max_sge,
                threshold: AtomicU64::new(0),
                notification: Lane::new(()),
                due: AtomicBool::new(false),
                closed: AtomicBool::new(false),
                callback,
                context: Context(context),
                waiting,
            };
            Object::<Srq<P>>::try_new(abi, state)
        });
        let Some(made) = made else { return STATUS_INSUFFICIENT_RESOURCES };
        // The threshold arms when the first receives have been posted: an empty new SRQ is not news.
        made.threshold.store(u64::from(threshold.min(depth)), Ordering::Release);
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { srq.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseSrq: SRQ-11. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_srq<P: Platform>(
        srq: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = srq.cast::<NDK_SRQ>();
        {
            // SAFETY: NDKPI close_object: an SRQ not closed before.
            let srq = unsafe { Borrowed::<Srq<P>>::from_handle(handle) };
            srq.closed.store(true, Ordering::Release);
        }
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Srq<P>>(handle, completion, context) }
    }

    /// NdkModifySrq: SRQ-04 to SRQ-07, SRQ-14. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_modify_srq<P: Platform>(
        srq: *mut NDK_SRQ,
        depth: u32,
        threshold: u32,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open SRQ.
        let srq = unsafe { Borrowed::<Srq<P>>::from_handle(srq) };
        if depth > SRQ_DEPTH_MAX {
            return STATUS_INVALID_PARAMETER;
        }
        if depth != 0 {
            match srq.ring.resize(depth) {
                Ok(()) => (),
                Err(ResizeRefused::TooSmall) => return STATUS_INVALID_PARAMETER,
                Err(ResizeRefused::NoMemory) => return STATUS_INSUFFICIENT_RESOURCES,
            }
        }
        if threshold != 0 {
            srq.threshold.store(u64::from(threshold), Ordering::Release);
            notify(&srq.counted());
        }
        STATUS_SUCCESS
    }

    /// NdkSrqReceive: SRQ-09. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_srq_receive<P: Platform>(
        srq: *mut NDK_SRQ,
        context: *mut c_void,
        entries: *const NDK_SGE,
        count: u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open SRQ.
        let srq = unsafe { Borrowed::<Srq<P>>::from_handle(srq) };
        // SAFETY: NDKPI: `count` entries until this call returns.
        let sgl = unsafe { Sgl::new(entries, count) };
        // SAFETY: NDKPI: posts to one SRQ are serialised by the consumer (SRQ-10).
        let mut producer = unsafe { srq.ring.producer() };
        let pushed: Result<(), Refused> = producer.try_push(|slot| {
            sgl.length()?;
            sgl.write(srq.max_sge, slot)?;
            Ok(context.expose_provenance() as u64)
        });
        if let Err(Refused(status)) = pushed {
            return status;
        }
        if producer.must_kick() {
            srq.ring.stop_asking();
            srq.waiting.drain(|slot| srq.pd.adapter.port.kick_later(slot));
        }
        STATUS_SUCCESS
    }
}
