//! NDK_SRQ and queue pairs on one.

use super::{
    Cq, Failed, Ledger, Pd, Pending, Qp, QpShape, call, check, close_complete, context, context_of, cq_notified,
    create_complete, handle, leaked_counter, request_complete,
};
use ndk_types::*;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

handle!(
    /// An NDK_SRQ.
    Srq, NDK_SRQ, NdkCloseSrq
);

impl Pd {
    /// NdkCreateSrq; the counter counts notifications. Without `notify` there is no callback.
    pub fn create_srq(
        &self,
        depth: u32,
        sges: u32,
        threshold: u32,
        notify: bool,
    ) -> Result<(Srq, &'static AtomicU32), Failed> {
        let (mut srq, counter, none) = (ptr::null_mut(), leaked_counter(), ptr::null_mut());
        // The callbacks of CQs and SRQs have the same parameters.
        let notified: NDK_FN_SRQ_NOTIFICATION_CALLBACK = if notify { Some(cq_notified) } else { None };
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let (context, affinity) = (context_of(counter), ptr::null_mut());
        let status = call!(
            self.raw(),
            NdkCreateSrq,
            depth,
            sges,
            threshold,
            notified,
            context,
            affinity,
            create,
            none,
            &raw mut srq
        );
        check("NdkCreateSrq", status).map(|()| (Srq::new(srq, self.ledger), counter))
    }

    /// NdkCreateQpWithSrq.
    pub fn create_qp_with_srq(&self, receive: &Cq, initiator: &Cq, srq: &Srq, shape: QpShape) -> Result<Qp, Failed> {
        let mut qp = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(
            self.raw(),
            NdkCreateQpWithSrq,
            receive.raw(),
            initiator.raw(),
            srq.raw(),
            ptr::without_provenance_mut(shape.context),
            shape.initiator_depth,
            shape.initiator_sge,
            shape.inline,
            create,
            ptr::null_mut(),
            &raw mut qp
        );
        check("NdkCreateQpWithSrq", status).map(|()| Qp::new(qp, self.ledger))
    }
}

impl Srq {
    /// NdkSrqReceive.
    pub fn receive(&self, number: usize, sges: &[NDK_SGE]) -> Result<(), Failed> {
        let status = call!(self.raw(), NdkSrqReceive, context(number), sges.as_ptr(), sges.len() as u32);
        check("NdkSrqReceive", status)
    }

    /// NdkModifySrq.
    pub fn modify(&self, depth: u32, threshold: u32) -> Result<(), Failed> {
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let pending = Pending::leak().context();
        check("NdkModifySrq", call!(self.raw(), NdkModifySrq, depth, threshold, complete, pending))
    }
}
