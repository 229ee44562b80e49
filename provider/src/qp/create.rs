//! NdkCreateQp and NdkCreateQpWithSrq: QP-01 to QP-05, QP-21. They complete inline.

use super::core::Core;
use super::post::Dispatch;
use super::{EGRESS_DEPTH, MAILBOX_DEPTH, Phase, Qp, QpState};
use crate::connector::rundown::Rundown;
use crate::cq::{Context, Cq};
use crate::lane::Lane;
use crate::limits::{
    INITIATOR_QUEUE_DEPTH_MAX, INLINE_DATA_SIZE_MAX, READ_LIMIT_MAX, RECEIVE_QUEUE_DEPTH_MAX, REQUEST_SGE_MAX,
};
use crate::lock::SpinLock;
use crate::object::{self, Borrowed, Object, Ref};
use crate::pd::Pd;
use crate::platform::Platform;
use crate::ring::Ring;
use crate::ring::mailbox::Mailbox;
use crate::srq::Srq;
use crate::sync::{AtomicU32, AtomicU64};
use crate::timers::Standing;
use core::ffi::c_void;
use ndk_types::{
    NDK_CQ, NDK_FN_CREATE_COMPLETION, NDK_PD, NDK_QP, NDK_SRQ, NTSTATUS, NdkObjectTypeQp,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use roce_engine::psn::Qpn;
use roce_engine::qp::Limits;

/// The sizes of a queue pair, as asked for.
struct Sizes {
    receive_depth: u32,
    initiator_depth: u32,
    receive_sge: u32,
    initiator_sge: u32,
    inline_size: u32,
}

impl Sizes {
    /// QP-01, QP-02: nothing above the adapter's limits.
    const fn are_legal(&self) -> bool {
        self.receive_depth <= RECEIVE_QUEUE_DEPTH_MAX
            && self.initiator_depth <= INITIATOR_QUEUE_DEPTH_MAX
            && self.receive_sge <= REQUEST_SGE_MAX
            && self.initiator_sge <= REQUEST_SGE_MAX
            && self.inline_size <= INLINE_DATA_SIZE_MAX
    }
}

/// What a queue pair is bound to for life.
struct Antecedents<P: Platform> {
    pd: Ref<Pd<P>>,
    receive_cq: Ref<Cq<P>>,
    initiator_cq: Ref<Cq<P>>,
    srq: Option<Ref<Srq<P>>>,
}

/// The queue pair number of a slot: slot in the upper bits, generation in the lower; 0, 1 and all ones are never used
/// (T-42).
pub(crate) const fn qpn_of(slot: u32, generation: u32) -> Qpn {
    Qpn::new((slot + 1) << 8 | generation & 0xff)
}

/// The slot and generation of a queue pair number.
pub(crate) const fn slot_of(qpn: Qpn) -> Option<(u32, u32)> {
    match (qpn.get() >> 8).checked_sub(1) {
        Some(slot) => Some((slot, qpn.get() & 0xff)),
        None => None,
    }
}

fn try_create<P: Platform>(antecedents: Antecedents<P>, sizes: &Sizes, context: *mut c_void) -> Option<Ref<Qp<P>>> {
    let Antecedents { pd, receive_cq, initiator_cq, srq } = antecedents;
    let port = pd.adapter.port.clone();
    let version = pd.adapter.version;
    let limits = Limits {
        send_depth: sizes.initiator_depth.max(1),
        responder_resources: READ_LIMIT_MAX as u8,
        own_receive_queue: srq.is_none(),
    };
    let send = Ring::try_new(sizes.initiator_depth, sizes.initiator_sge, sizes.inline_size)?;
    let receive = Ring::try_new(sizes.receive_depth, sizes.receive_sge, 0)?;
    let core = Core::try_new(limits)?;
    let (mailbox, egress) = (Mailbox::try_new(MAILBOX_DEPTH)?, Mailbox::try_new(EGRESS_DEPTH)?);
    let reserved = port.queue_pairs.reserve()?;
    let (slot, generation) = (reserved.number(), reserved.generation());
    let state = QpState {
        domain: pd.domain,
        privileged: pd.privileged_token(),
        port: port.clone(),
        _pd: pd,
        receive_cq,
        initiator_cq,
        srq,
        context: Context(context),
        slot,
        generation,
        qpn: qpn_of(slot, generation),
        max_receive_sge: sizes.receive_sge,
        max_initiator_sge: sizes.initiator_sge,
        phase: AtomicU32::new(Phase::Unconnected as u32),
        commands: AtomicU32::new(0),
        attributes: SpinLock::new(None),
        peer: [AtomicU64::new(0), AtomicU64::new(0)],
        rundown: Rundown::new(),
        connection: AtomicU64::new(0),
        send,
        indicated: AtomicU32::new(0),
        receive,
        lane: Lane::new(core),
        mailbox,
        egress,
        egress_lane: Lane::new(()),
        standing: Standing::new(),
    };
    let abi = NDK_QP { Header: object::header(version, NdkObjectTypeQp), Dispatch: Dispatch::<P>::TABLE };
    let Some(qp) = Object::<Qp<P>>::try_new(abi, state) else {
        port.queue_pairs.cancel(reserved);
        return None;
    };
    port.queue_pairs.publish(reserved, qp.clone());
    Some(qp)
}

/// Checks, creates and hands out.
///
/// # Safety
/// NDKPI create_qp: `qp` is writable.
unsafe fn create<P: Platform>(
    antecedents: Antecedents<P>,
    sizes: &Sizes,
    context: *mut c_void,
    qp: *mut *mut NDK_QP,
) -> NTSTATUS {
    if !sizes.are_legal() {
        return STATUS_INVALID_PARAMETER;
    }
    let Some(made) = try_create(antecedents, sizes, context) else { return STATUS_INSUFFICIENT_RESOURCES };
    // SAFETY: the caller's contract.
    unsafe { qp.write(made.into_handle()) };
    STATUS_SUCCESS
}

ndk_types::abi! {
    /// NdkCreateQp. At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// NDKPI create_qp.
    pub unsafe extern "C" fn ndk_create_qp<P: Platform>(
        pd: *mut NDK_PD,
        receive_cq: *mut NDK_CQ,
        initiator_cq: *mut NDK_CQ,
        context: *mut c_void,
        receive_depth: u32,
        initiator_depth: u32,
        receive_sge: u32,
        initiator_sge: u32,
        inline_size: u32,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        qp: *mut *mut NDK_QP,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        // SAFETY: NDKPI: an open CQ.
        let receive_cq = unsafe { Borrowed::<Cq<P>>::from_handle(receive_cq) };
        // SAFETY: NDKPI: an open CQ.
        let initiator_cq = unsafe { Borrowed::<Cq<P>>::from_handle(initiator_cq) };
        let sizes = Sizes { receive_depth, initiator_depth, receive_sge, initiator_sge, inline_size };
        let antecedents = Antecedents {
            pd: pd.counted(),
            receive_cq: receive_cq.counted(),
            initiator_cq: initiator_cq.counted(),
            srq: None,
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { create(antecedents, &sizes, context, qp) }
    }

    /// NdkCreateQpWithSrq: QP-03, QP-05. At or below DISPATCH_LEVEL.
    ///
    /// # Safety
    /// NDKPI create_qp_with_srq.
    pub unsafe extern "C" fn ndk_create_qp_with_srq<P: Platform>(
        pd: *mut NDK_PD,
        receive_cq: *mut NDK_CQ,
        initiator_cq: *mut NDK_CQ,
        srq: *mut NDK_SRQ,
        context: *mut c_void,
        initiator_depth: u32,
        initiator_sge: u32,
        inline_size: u32,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        qp: *mut *mut NDK_QP,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        // SAFETY: NDKPI: an open CQ.
        let receive_cq = unsafe { Borrowed::<Cq<P>>::from_handle(receive_cq) };
        // SAFETY: NDKPI: an open CQ.
        let initiator_cq = unsafe { Borrowed::<Cq<P>>::from_handle(initiator_cq) };
        // SAFETY: NDKPI: an open SRQ.
        let srq = unsafe { Borrowed::<Srq<P>>::from_handle(srq) };
        let sizes = Sizes { receive_depth: 0, initiator_depth, receive_sge: 0, initiator_sge, inline_size };
        let antecedents = Antecedents {
            pd: pd.counted(),
            receive_cq: receive_cq.counted(),
            initiator_cq: initiator_cq.counted(),
            srq: Some(srq.counted()),
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { create(antecedents, &sizes, context, qp) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// T-42
    #[test]
    fn a_queue_pair_number_names_its_slot_and_is_none_of_the_reserved_ones() {
        for (slot, generation) in [(0, 0), (0, 255), (77, 3), (65_533, 255)] {
            let qpn = qpn_of(slot, generation);
            assert_eq!(slot_of(qpn), Some((slot, generation)));
            assert!(![Qpn::SUBNET_MANAGEMENT, Qpn::GENERAL_SERVICES, Qpn::RESERVED].contains(&qpn));
        }
        assert_eq!(slot_of(Qpn::GENERAL_SERVICES), None);
    }
}
