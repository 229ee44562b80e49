//! NDK_CQ: what the demo does not need.

use super::border::called_back;
use super::{Adapter, Cq, Failed, Pending, Qp, call, check, context_of, create_complete, request_complete};
use ndk_types::*;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// What a CQ's callback saw, and what it is to do besides.
#[derive(Debug, Default)]
pub struct Watch {
    /// How often it was called.
    pub calls: AtomicU32,
    /// The last status.
    pub status: AtomicI32,
    /// The arm type to arm with from inside, plus one; 0 for none.
    arm: AtomicU32,
    /// Calls that are running: more than one is a violation.
    running: AtomicU32,
    /// Calls that found another running.
    pub nested: AtomicU32,
    cq: std::sync::atomic::AtomicPtr<NDK_CQ>,
}

impl Watch {
    /// From now on the callback arms the CQ again, from inside.
    pub fn arm_inside(&self, cq: &Cq, arm_type: u32) {
        self.cq.store(cq.raw(), Ordering::SeqCst);
        self.arm.store(arm_type + 1, Ordering::SeqCst);
    }

    /// Calls so far.
    pub fn count(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

ndk_types::abi! {
    unsafe extern "C" fn watched(context: *mut c_void, status: NTSTATUS) {
        called_back("NdkCqNotificationCallback", || {
            // SAFETY: CQs of this module are made with a leaked watch.
            let watch = unsafe { &*context.cast::<Watch>() };
            if watch.running.fetch_add(1, Ordering::SeqCst) != 0 {
                watch.nested.fetch_add(1, Ordering::SeqCst);
            }
            watch.calls.fetch_add(1, Ordering::SeqCst);
            watch.status.store(status, Ordering::SeqCst);
            if let Some(arm_type) = watch.arm.swap(0, Ordering::SeqCst).checked_sub(1) {
                call!(watch.cq.load(Ordering::SeqCst), NdkArmCq, arm_type);
            }
            watch.running.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

impl Adapter {
    /// NdkCreateCq with a callback that says what it saw.
    pub fn create_watched_cq(&self, depth: u32) -> Result<(Cq, &'static Watch), Failed> {
        let watch: &'static Watch = Box::leak(Box::default());
        let (mut cq, none) = (ptr::null_mut(), ptr::null_mut());
        let notified: NDK_FN_CQ_NOTIFICATION_CALLBACK = Some(watched);
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let (context, affinity) = (context_of(watch), ptr::null_mut());
        let status = call!(self.raw(), NdkCreateCq, depth, notified, context, affinity, create, none, &raw mut cq);
        check("NdkCreateCq", status).map(|()| (Cq::new(cq, self.ledger), watch))
    }
}

impl Cq {
    /// NdkArmCq.
    pub fn arm_for(&self, arm_type: u32) {
        call!(self.raw(), NdkArmCq, arm_type);
    }

    /// NdkGetCqResults: at most `most`.
    pub fn poll_plain(&self, most: usize) -> Vec<NDK_RESULT> {
        let mut results = Vec::with_capacity(most);
        let count = call!(self.raw(), NdkGetCqResults, results.as_mut_ptr(), most as u32);
        // SAFETY: the provider wrote that many.
        unsafe { results.set_len(count as usize) };
        results
    }

    /// NdkGetCqResultsEx: at most `most`.
    pub fn poll_some(&self, most: usize) -> Vec<NDK_RESULT_EX> {
        let mut results = Vec::with_capacity(most);
        let count = call!(self.raw(), NdkGetCqResultsEx, results.as_mut_ptr(), most as u32);
        // SAFETY: the provider wrote that many.
        unsafe { results.set_len(count as usize) };
        results
    }

    /// NdkResizeCq.
    pub fn resize(&self, depth: u32) -> Result<(), Failed> {
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        check("NdkResizeCq", call!(self.raw(), NdkResizeCq, depth, complete, Pending::leak().context()))
    }

    /// NdkControlCqInterruptModeration: microseconds and a count.
    pub fn moderate(&self, interval: u32, count: u32) -> Result<(), Failed> {
        let status = call!(self.raw(), NdkControlCqInterruptModeration, interval, count);
        check("NdkControlCqInterruptModeration", status)
    }
}

/// What a queue pair is made with.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the parameters of NdkCreateQp by their names")]
pub struct QpShape {
    pub receive_depth: u32,
    pub initiator_depth: u32,
    pub receive_sge: u32,
    pub initiator_sge: u32,
    pub inline: u32,
    pub context: usize,
}

impl QpShape {
    /// Eight requests of two pieces each way.
    pub const SMALL: Self =
        Self { receive_depth: 8, initiator_depth: 8, receive_sge: 2, initiator_sge: 2, inline: 64, context: 0 };
}

impl super::Pd {
    /// NdkCreateQp with everything to choose.
    pub fn create_qp_as(&self, receive: &Cq, initiator: &Cq, shape: QpShape) -> Result<Qp, Failed> {
        let mut qp = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(
            self.raw(),
            NdkCreateQp,
            receive.raw(),
            initiator.raw(),
            ptr::without_provenance_mut(shape.context),
            shape.receive_depth,
            shape.initiator_depth,
            shape.receive_sge,
            shape.initiator_sge,
            shape.inline,
            create,
            ptr::null_mut(),
            &raw mut qp
        );
        check("NdkCreateQp", status).map(|()| Qp::new(qp, self.ledger))
    }
}
