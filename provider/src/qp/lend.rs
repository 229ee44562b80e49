//! The rings, completion queues and frames of a queue pair, as one turn of the engine sees them.

use super::core::After;
use super::{Qp, QpState};
use crate::cq::{Completed, Cq, overrun};
use crate::cq_ring::{Entry, Refused, Severity};
use crate::crc32::HostCrc32;
use crate::memory::TurnRegions;
use crate::mr::Pending;
use crate::object::Ref;
use crate::platform::Platform;
use crate::port::Port;
use crate::ring::Consumer;
use crate::status;
use crate::sync::Ordering;
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    NDK_OPERATION_TYPE, NDK_RESULT_EX, NdkOperationTypeBind, NdkOperationTypeFastRegister, NdkOperationTypeInvalidate,
    NdkOperationTypeRead, NdkOperationTypeReceive, NdkOperationTypeReceiveAndInvalidate, NdkOperationTypeSend,
    NdkOperationTypeWrite,
};
use roce_engine::completion::{Completion, CompletionKind, CompletionStatus, Completions, CqDead};
use roce_engine::memory::Sge;
use roce_engine::outbox::Outbox;
use roce_engine::turn::Environment;
use roce_engine::work::{ReceiveQueue, ReceiveWqe, SendQueue, Wqe};

/// The types of a turn.
pub(super) struct Env<'a, P>(PhantomData<&'a P>);

impl<'a, P: Platform> Environment for Env<'a, P> {
    type Regions = TurnRegions<'a, P::Mapping, Pending<P>, Port<P>>;
    type SendQueue = SendLent<'a>;
    type ReceiveQueue = ReceiveLent<'a, P>;
    type Completions = CompletionsLent<'a, P>;
    type Outbox = OutboxLent<'a, P>;
    type Crc = HostCrc32;
}

/// What is lent apart from memory.
pub(super) struct Lent<'a, P: Platform> {
    pub(super) send_queue: SendLent<'a>,
    pub(super) receive_queue: ReceiveLent<'a, P>,
    pub(super) completions: CompletionsLent<'a, P>,
    pub(super) outbox: OutboxLent<'a, P>,
}

impl<'a, P: Platform> Lent<'a, P> {
    pub(super) fn new(qp: &'a Ref<Qp<P>>, send_queue: SendLent<'a>, receive_queue: ReceiveLent<'a, P>) -> Self {
        let completions = CompletionsLent { qp, receive_kick: false, initiator_kick: false };
        Self { send_queue, receive_queue, completions, outbox: OutboxLent { qp, full: false } }
    }

    /// What is to be done outside the lane.
    pub(super) fn report(&self, after: &mut After) {
        after.receive_cq |= self.completions.receive_kick;
        after.initiator_cq |= self.completions.initiator_kick;
        after.srq |= self.receive_queue.limit_reached;
    }
}

/// The send queue up to what has been indicated.
pub(super) struct SendLent<'a> {
    ring: Consumer<'a, Wqe, Sge>,
    limit: u32,
}

impl<'a> SendLent<'a> {
    /// # Safety
    /// The caller holds the queue pair's lane, and has no other.
    pub(super) unsafe fn new<P: Platform>(qp: &'a QpState<P>) -> Self {
        // SAFETY: the caller's contract.
        let ring = unsafe { qp.send.consumer() };
        Self { ring, limit: qp.indicated.load(Ordering::Acquire) }
    }

    /// From now on everything before `position` counts as indicated.
    pub(super) const fn indicate_all(&mut self, position: u32) {
        self.limit = position;
    }

    /// Every request that is not retired.
    pub(super) fn each(&self, mut f: impl FnMut(u32, &Wqe)) {
        let mut position = self.ring.head();
        while position != self.limit
            && let Some(slot) = self.ring.get(position)
        {
            f(position, slot.header);
            position = position.wrapping_add(1);
        }
    }
}

impl SendQueue for SendLent<'_> {
    fn posted(&self) -> u32 {
        self.limit
    }

    #[inline]
    fn wqe(&self, position: u32) -> Option<&Wqe> {
        self.ring.get(position).map(|slot| slot.header)
    }

    #[inline]
    fn sges(&self, position: u32) -> &[Sge] {
        self.ring.get(position).map_or(&[], |slot| slot.sges)
    }

    #[inline]
    fn inline(&self, position: u32) -> &[u8] {
        self.ring.get(position).map_or(&[], |slot| slot.inline)
    }

    fn retire(&mut self, position: u32) {
        self.ring.retire_to(position);
    }
}

/// The queue pair's own receive queue, or the shared one.
pub(super) struct ReceiveLent<'a, P: Platform> {
    qp: &'a QpState<P>,
    ring: Consumer<'a, u64, Sge>,
    limit_reached: bool,
}

impl<'a, P: Platform> ReceiveLent<'a, P> {
    /// # Safety
    /// The caller holds the queue pair's lane, and has no other.
    pub(super) unsafe fn new(qp: &'a QpState<P>) -> Self {
        // SAFETY: the caller's contract.
        let ring = unsafe { qp.receive.consumer() };
        Self { qp, ring, limit_reached: false }
    }
}

impl<P: Platform> ReceiveQueue for ReceiveLent<'_, P> {
    #[inline]
    fn take(&mut self, into: &mut ReceiveWqe) -> bool {
        if let Some(srq) = &self.qp.srq {
            let Some(taken) = srq.ring.take(&mut into.sges) else { return false };
            (into.wr_id, into.sge_count) = (taken.header, taken.sge_count as u8);
            self.limit_reached |= srq.is_below(taken.remaining);
            return true;
        }
        let Some(slot) = self.ring.front() else { return false };
        into.wr_id = *slot.header;
        into.sge_count = slot.sges.len().min(into.sges.len()) as u8;
        into.sges.iter_mut().zip(slot.sges).for_each(|(to, from)| *to = *from);
        let next = self.ring.head().wrapping_add(1);
        self.ring.retire_to(next);
        true
    }
}

/// The two completion queues.
pub(super) struct CompletionsLent<'a, P: Platform> {
    qp: &'a QpState<P>,
    receive_kick: bool,
    initiator_kick: bool,
}

impl<P: Platform> CompletionsLent<'_, P> {
    /// One completion as the consumer will see it.
    fn entry(&self, completion: &Completion) -> Entry<Completed> {
        let (operation, output) = operation_type(completion.kind);
        let severity = match (completion.status, completion.solicited) {
            (CompletionStatus::Success, false) => Severity::Normal,
            (CompletionStatus::Success, true) => Severity::Solicited,
            _ => Severity::Error,
        };
        let value = Completed(NDK_RESULT_EX {
            Status: status::completion(completion.status, completion.kind),
            BytesTransferred: completion.byte_len,
            QPContext: self.qp.context.0,
            RequestContext: core::ptr::with_exposed_provenance_mut::<c_void>(completion.wr_id as usize),
            Type: operation,
            ProviderErrorCode: status::provider_error_code(completion.status),
            TypeSpecificCompletionOutput: output,
        });
        Entry { severity, value }
    }
}

/// Adds a completion; whether the CQ's notification lane has to be kicked.
fn push<P: Platform>(cq: &Ref<Cq<P>>, entry: Entry<Completed>) -> Result<bool, CqDead> {
    match cq.ring.push(&[entry]) {
        Ok(kick) => Ok(kick),
        Err(Refused::Dead) => Err(CqDead),
        Err(Refused::Overran) => {
            overrun(cq);
            Err(CqDead)
        }
    }
}

const fn operation_type(kind: CompletionKind) -> (NDK_OPERATION_TYPE, usize) {
    match kind {
        CompletionKind::Send => (NdkOperationTypeSend, 0),
        CompletionKind::RdmaWrite => (NdkOperationTypeWrite, 0),
        CompletionKind::RdmaRead => (NdkOperationTypeRead, 0),
        CompletionKind::FastRegister => (NdkOperationTypeFastRegister, 0),
        CompletionKind::Bind => (NdkOperationTypeBind, 0),
        CompletionKind::LocalInvalidate => (NdkOperationTypeInvalidate, 0),
        CompletionKind::Receive => (NdkOperationTypeReceive, 0),
        CompletionKind::ReceiveWithInvalidate { r_key } => (NdkOperationTypeReceiveAndInvalidate, r_key.0 as usize),
    }
}

impl<P: Platform> Completions for CompletionsLent<'_, P> {
    fn send_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        let pushed = push(&self.qp.initiator_cq, self.entry(&completion));
        self.initiator_kick |= *pushed.as_ref().unwrap_or(&true);
        pushed.map(drop)
    }

    fn receive_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        let pushed = push(&self.qp.receive_cq, self.entry(&completion));
        self.receive_kick |= *pushed.as_ref().unwrap_or(&true);
        pushed.map(drop)
    }
}

/// Frames into the egress FIFO.
pub(super) struct OutboxLent<'a, P: Platform> {
    qp: &'a QpState<P>,
    full: bool,
}

impl<P: Platform> OutboxLent<'_, P> {
    /// Whether a frame was refused because the FIFO is full, not because the system had none.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }
}

impl<P: Platform> Outbox for OutboxLent<'_, P> {
    #[inline]
    fn frame<E>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<(), E>> {
        if self.qp.egress.is_full() {
            self.full = true;
            return None;
        }
        let mut frame = self.qp.port.platform.frame(len)?;
        if let Err(error) = fill(frame.as_mut()) {
            return Some(Err(error));
        }
        // The core is the only one who fills the FIFO, and it was not full.
        let _ = self.qp.egress.push(frame);
        Some(Ok(()))
    }
}
