//! NDK_QP: a queue pair of the engine behind posting doorways.
//!
//! * `post`: the doorways of NDK_QP_DISPATCH.
//! * `core`: what runs inside the queue pair's lane.
//! * `lend`: the rings, regions, frames and completion queues as a turn of the engine sees them.
//! * `create`: the two create calls.
//!
//! A turn is taken by [`kick`]: enter the lane (or leave a mark), run the engine, leave; then, outside, send what is in the
//! egress FIFO, call CQ callbacks, act on what the turn came to. Frames leave in PSN order because only the egress lane
//! takes from the FIFO, which only the core fills (T-01).

mod core;
mod create;
mod lend;
pub(crate) mod post;

pub(crate) use create::{ndk_create_qp, ndk_create_qp_with_srq, slot_of};

use self::core::{After, Core};
use crate::connector::rundown::Rundown;
use crate::cq::{Context, Cq};
use crate::held::{Held, HeldPool};
use crate::lane::Lane;
use crate::lock::SpinLock;
use crate::memory::Domain;
use crate::object::{Kind, Ref};
use crate::pd::Pd;
use crate::platform::Platform;
use crate::port::Port;
use crate::ring::Ring;
use crate::ring::mailbox::Mailbox;
use crate::shared::Shared;
use crate::srq::Srq;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::timers::Standing;
use ::core::marker::PhantomData;
use ::core::net::IpAddr;
use ndk_types::NDK_QP;
use roce_engine::cm::ConnectionId;
use roce_engine::key::LKey;
use roce_engine::memory::Sge;
use roce_engine::psn::Qpn;
use roce_engine::qp::Attributes;
use roce_engine::wire::Packet;
use roce_engine::work::Wqe;

/// The kind of NDK_QP.
pub struct Qp<P>(PhantomData<P>);

// SAFETY: NDK_QP starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Qp<P> {
    type Abi = NDK_QP;
    type State = QpState<P>;
}

/// How far a connection is, as posting sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Phase {
    /// No connection yet: initiator requests are refused (QP-07).
    Unconnected = 0,
    /// Requests flow.
    Connected = 1,
    /// It is over: initiator requests are refused (WR-48).
    Over = 2,
}

/// What somebody outside the lane wants of the core; bits of `QpState::commands`.
pub(crate) mod command {
    /// RESET to RTR with the attributes left in `QpState::attributes`.
    pub(crate) const CONNECT: u32 = 1;
    /// RTR to RTS.
    pub(crate) const ESTABLISH: u32 = 2;
    /// To the error state.
    pub(crate) const FLUSH: u32 = 4;
    /// The consumer closed it: when everything has completed, the slot is given up.
    pub(crate) const CLOSE: u32 = 8;
}

/// Frames that wait for the NIC, and frames that arrived while the lane was busy.
const EGRESS_DEPTH: u32 = 64;
const MAILBOX_DEPTH: u32 = 64;

/// What the provider knows of a QP.
pub struct QpState<P: Platform> {
    pub(crate) port: Shared<Port<P>>,
    _pd: Ref<Pd<P>>,
    receive_cq: Ref<Cq<P>>,
    initiator_cq: Ref<Cq<P>>,
    srq: Option<Ref<Srq<P>>>,
    context: Context,
    pub(crate) domain: Domain,
    privileged: LKey,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) qpn: Qpn,
    max_receive_sge: u32,
    max_initiator_sge: u32,
    phase: AtomicU32,
    commands: AtomicU32,
    /// What the connection was agreed to be, and whether the peer is of our own kind (T-50).
    attributes: SpinLock<Option<(Attributes, bool)>>,
    /// The peer's address, in IPv6's 128 bits; 0 before there is one.
    peer: [AtomicU64; 2],
    /// Who waits for the flush.
    pub(crate) rundown: Rundown<P>,
    /// The connection it belongs to, as the connection manager counts; 0 for none.
    pub(crate) connection: AtomicU64,
    send: Ring<Wqe, Sge>,
    /// The position up to which posts are indicated (NDK_OP_FLAG_DEFER).
    indicated: AtomicU32,
    receive: Ring<u64, Sge>,
    lane: Lane<Core>,
    mailbox: Mailbox<Held>,
    egress: Mailbox<P::Frame>,
    egress_lane: Lane<()>,
    pub(crate) standing: Standing,
}

impl<P: Platform> QpState<P> {
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Unconnected,
            1 => Phase::Connected,
            _ => Phase::Over,
        }
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.fetch_max(phase as u32, Ordering::AcqRel);
    }

    /// Whether receives come from a shared queue.
    pub(crate) fn has_srq(&self) -> bool {
        self.srq.is_some()
    }

    /// Notes the connection it belongs to.
    pub(crate) fn set_connection(&self, id: ConnectionId) {
        self.connection.store(u64::from(id.0) + 1, Ordering::Release);
    }

    /// Leaves a command for the core; the caller kicks.
    pub(crate) fn command(&self, command: u32) {
        self.commands.fetch_or(command, Ordering::AcqRel);
    }

    /// Whether frames from this address are for it. Its address is set once, before its core hears of the connection; an
    /// address seen half set belongs to nobody.
    pub(crate) fn is_peer(&self, address: IpAddr) -> bool {
        let halves = halves_of(address);
        self.peer.iter().zip(halves).all(|(peer, half)| peer.load(Ordering::Relaxed) == half)
    }

    /// Whether it was given a connection once: there is no second (CN-40).
    pub(crate) fn is_joined(&self) -> bool {
        self.peer.iter().any(|half| half.load(Ordering::Relaxed) != 0)
    }

    /// Leaves the attributes of a connection with `peer` for the core; the caller kicks.
    pub(crate) fn connect(&self, attributes: Attributes, of_our_kind: bool, peer: IpAddr) {
        let _raised = self.port.platform.raise();
        for (place, half) in self.peer.iter().zip(halves_of(peer)) {
            place.store(half, Ordering::Relaxed);
        }
        self.attributes.with(|place| *place = Some((attributes, of_our_kind)));
        self.command(command::CONNECT);
    }

    /// Sends what the FIFO holds. In no other lane; its owner, too, is not to be preempted (T-11).
    fn send_egress(&self) {
        let _raised = self.port.platform.raise();
        self.egress_lane.kick(|()| {
            // SAFETY: the egress lane has one holder at a time.
            let mut frames = unsafe { self.egress.receiver() };
            let counters = &self.port.counters;
            let (mut count, mut octets) = (0, 0);
            let mut batch = ::core::iter::from_fn(|| {
                let mut frame = frames.pop()?;
                count += 1;
                octets += frame.as_mut().len() as u64;
                Some(frame)
            });
            let Some(first) = batch.next() else { return };
            self.port.platform.transmit(&mut ::core::iter::once(first).chain(batch));
            counters.rdma_out_frames.add(count);
            counters.rdma_out_octets.add(octets);
        });
    }

    /// Everything that a turn leaves to be done outside the lane.
    fn finish(qp: &Ref<Qp<P>>, after: &After) {
        qp.send_egress();
        if after.receive_cq {
            crate::cq::notify(&qp.receive_cq);
        }
        if after.initiator_cq {
            crate::cq::notify(&qp.initiator_cq);
        }
        if let (Some(srq), true) = (&qp.srq, after.srq) {
            crate::srq::notify(srq);
        }
        for event in after.events.iter().copied().flatten() {
            qp.port.connections.on_queue_pair_event(&qp.port, qp, event);
        }
        if after.flushed {
            qp.rundown.flushed(&qp.port);
        }
        if after.retire {
            drop(qp.port.queue_pairs.retire(qp.slot, qp.generation));
        }
    }
}

/// An address in IPv6's 128 bits.
fn halves_of(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    [(bits >> 64) as u64, bits as u64]
}

/// Takes a turn, or leaves a mark for whoever is taking one. In no lane.
pub(crate) fn kick<P: Platform>(qp: &Ref<Qp<P>>) {
    let qp = qp.clone();
    let mut after = After::default();
    {
        let _raised = qp.port.platform.raise();
        qp.lane.kick(|core| core.turn(&qp, &mut ::core::iter::empty(), &mut after));
    }
    QpState::finish(&qp, &after);
}

/// Gives a run of packets to the queue pair: to the engine at once when the lane is idle, else into the mailbox.
pub(crate) fn receive<P: Platform>(qp: &Ref<Qp<P>>, run: &[Option<(&[u8], Packet<'_>)>]) {
    let qp = qp.clone();
    let mut after = After::default();
    {
        let _raised = qp.port.platform.raise();
        let mut packets = run.iter().flatten();
        let mut entered = if let Some(entered) = qp.lane.try_enter() {
            entered
        } else {
            hold(&qp, run);
            packets = [].iter().flatten();
            // Whoever was inside may have left since: then the mailbox is ours to look at.
            let Some(entered) = qp.lane.try_enter() else { return };
            entered
        };
        loop {
            entered.turn(&qp, &mut packets, &mut after);
            match entered.leave() {
                Ok(()) => break,
                Err(again) => entered = again,
            }
        }
    }
    QpState::finish(&qp, &after);
}

/// Copies packets into held frames for a lane that is busy; what does not fit is dropped and counted (T-05).
fn hold<P: Platform>(qp: &QpState<P>, run: &[Option<(&[u8], Packet<'_>)>]) {
    for (frame, _) in run.iter().flatten() {
        let held = HeldPool::hold(&qp.port.held, frame).is_some_and(|held| qp.mailbox.push(held).is_ok());
        if !held {
            qp.port.counters.held_overflow.add(1);
        }
    }
}
