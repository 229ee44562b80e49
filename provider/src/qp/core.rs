//! What runs inside a queue pair's lane: commands, frames that waited, frames that arrived, then the engine's turn.

use super::lend::{Lent, ReceiveLent, SendLent};
use super::{Phase, Qp, QpState, command};
use crate::bounded;
use crate::held::{Held, HeldPool};
use crate::limits::HELD_FRAMES_MAX;
use crate::memory::{StageOwner, TurnOwner, TurnRegions};
use crate::object::Ref;
use crate::platform::{Event, Platform};
use crate::sync::Ordering;
use crate::timers::Owner;
use alloc::collections::VecDeque;
use roce_engine::qp::{Limits, QpEvent, QueuePair, Received, state::State};
use roce_engine::turn::{Budget, Environment, Pause, Turn};
use roce_engine::wire::{Packet, parse};
use roce_engine::work::Operation;

/// Frames of one turn (T-10). A turn of full frames stays well below the 100 µs that a deferred call may take.
const BUDGET: u32 = 64;

/// What a turn leaves to be done when the lane is left.
#[derive(Debug, Default)]
pub(super) struct After {
    pub(super) receive_cq: bool,
    pub(super) initiator_cq: bool,
    pub(super) srq: bool,
    pub(super) events: [Option<QpEvent>; 2],
    pub(super) retire: bool,
    /// A flush has been carried out: nothing of the consumer's memory is touched any more.
    pub(super) flushed: bool,
}

/// The core of a queue pair's lane.
pub(super) struct Core {
    engine: QueuePair,
    /// Frames the responder cannot use yet, oldest first.
    parked: VecDeque<Held>,
    closing: bool,
    retired: bool,
}

impl Core {
    pub(super) fn try_new(limits: Limits) -> Option<Self> {
        let mut parked = VecDeque::new();
        parked.try_reserve_exact(HELD_FRAMES_MAX.min(64)).ok()?;
        Some(Self { engine: QueuePair::try_new(limits)?, parked, closing: false, retired: false })
    }

    /// One turn. `packets` are those of the caller's run; the lane's later turns find it empty.
    pub(super) fn turn<'f, P: Platform>(
        &mut self,
        qp: &Ref<Qp<P>>,
        packets: &mut dyn Iterator<Item = &'f (&'f [u8], Packet<'f>)>,
        after: &mut After,
    ) {
        let port = &*qp.port;
        let flushes = self.obey(qp);
        // SAFETY: this is the holder of the queue pair's lane, the only one who takes from its rings and mailbox.
        let sending = unsafe { SendLent::new(qp) };
        // SAFETY: as above.
        let receiving = unsafe { ReceiveLent::new(qp) };
        let mut lent = Lent::new(qp, sending, receiving);
        let owner = TurnOwner { queue_pair: qp.slot, domain: qp.domain, privileged: qp.privileged };
        let mut regions = TurnRegions::new(&port.regions, owner, port);
        let now = port.platform.now();
        let mut turn = Turn {
            now,
            regions: &mut regions,
            send_queue: &mut lent.send_queue,
            receive_queue: &mut lent.receive_queue,
            completions: &mut lent.completions,
            outbox: &mut lent.outbox,
            crc: port.crc,
        };
        self.offer(qp, packets, &mut turn);
        let mut pause = self.engine.turn(&mut turn, Budget(BUDGET));
        if self.engine.state() == State::Err {
            self.flush(qp, &mut turn);
            pause = Pause::Idle;
        }
        let drained = self.engine.is_drained(&*turn.send_queue);
        lent.report(after);
        after.flushed |= flushes;
        Self::pause(qp, pause, lent.outbox.is_full());
        let events = [self.engine.take_event(), self.engine.take_event()];
        if events.iter().flatten().any(|event| matches!(event, QpEvent::Fatal(_))) {
            qp.set_phase(Phase::Over);
        }
        note(qp, &events);
        if events.iter().any(Option::is_some) {
            after.events = events;
        }
        if self.closing && drained && self.parked.is_empty() && !self.retired {
            self.retired = true;
            after.retire = true;
            self.account(qp);
        }
        if let Some(at) = self.engine.deadline() {
            port.enter_timer(Owner::QueuePair(qp.slot), at.max(now.after(P::TIMER_GRANULARITY)), &qp.standing);
        }
    }

    /// Carries out what was asked for from outside; whether a flush was among it.
    fn obey<P: Platform>(&mut self, qp: &QpState<P>) -> bool {
        let commands = qp.commands.swap(0, Ordering::AcqRel);
        if commands & command::CONNECT != 0
            && let Some((attributes, of_our_kind)) = qp.attributes.with(Option::take)
        {
            self.engine.connect(attributes);
            if of_our_kind {
                self.engine.repair_selectively();
            }
        }
        if commands & command::ESTABLISH != 0 {
            self.engine.establish();
        }
        if commands & (command::FLUSH | command::CLOSE) != 0 {
            self.engine.flush();
            qp.set_phase(Phase::Over);
        }
        self.closing |= commands & command::CLOSE != 0;
        commands & command::FLUSH != 0
    }

    /// Offers the engine every frame there is, in the order of arrival; what it cannot use yet is parked. A frame that fills
    /// a gap makes those behind it usable, before anything is acknowledged (T-51).
    fn offer<'f, P: Platform, E: Environment>(
        &mut self,
        qp: &QpState<P>,
        packets: &mut dyn Iterator<Item = &'f (&'f [u8], Packet<'f>)>,
        turn: &mut Turn<'_, E>,
    ) {
        self.offer_parked(turn);
        let mut progress = false;
        // SAFETY: this is the holder of the queue pair's lane, the only one who takes from its mailbox.
        let mut mailbox = unsafe { qp.mailbox.receiver() };
        while let Some(held) = mailbox.pop() {
            if is_wanted_later(&mut self.engine, &held, turn) {
                self.park(qp, held);
            } else {
                progress = true;
            }
        }
        for (frame, packet) in packets {
            match self.engine.receive(packet, turn) {
                Received::Done => progress = true,
                Received::Wait(_) => match HeldPool::hold(&qp.port.held, frame) {
                    Some(held) => self.park(qp, held),
                    None => qp.port.counters.held_overflow.add(1),
                },
            }
        }
        while progress && !self.parked.is_empty() {
            progress = self.offer_parked(turn);
        }
    }

    /// Offers what is parked, once; whether any of it was used.
    fn offer_parked<E: Environment>(&mut self, turn: &mut Turn<'_, E>) -> bool {
        let before = self.parked.len();
        for _ in 0..before {
            if let Some(held) = self.parked.pop_front()
                && is_wanted_later(&mut self.engine, &held, turn)
            {
                // There is room: it came from there.
                let _ = bounded::push_back(&mut self.parked, held);
            }
        }
        self.parked.len() < before
    }

    /// T-05: bounded by the queue pair's own cap; over it the frame is dropped and the transport brings it again.
    fn park<P: Platform>(&mut self, qp: &QpState<P>, held: Held) {
        if bounded::push_back(&mut self.parked, held).is_err() {
            qp.port.counters.held_overflow.add(1);
        }
    }

    /// Everything posted completes: deferred requests too (WR-22), and what is posted from now on (T-09).
    fn flush<'a, P: Platform>(&mut self, qp: &'a Ref<Qp<P>>, turn: &mut Turn<'_, super::lend::Env<'a, P>>) {
        self.parked.clear();
        qp.receive.ask_for_kicks();
        let end = qp.send.ask_for_kicks();
        turn.send_queue.indicate_all(end);
        turn.send_queue.each(|position, wqe| {
            if let Operation::FastRegister(request) = wqe.operation {
                qp.port.regions.unstage(request.key, StageOwner::new(qp.slot, position));
            }
        });
        self.engine.turn(turn, Budget(BUDGET));
    }

    /// Adds what the queue pair counted to the port's counters.
    fn account<P: Platform>(&self, qp: &QpState<P>) {
        let (requester, responder) = (self.engine.requester_counters(), self.engine.responder_counters());
        let counters = &qp.port.counters;
        counters.retransmissions.add(requester.retransmissions);
        counters.naks_sent.add(responder.naks_sent + responder.rnr_naks_sent);
        counters.congestion_marks.add(self.engine.congestion_marks());
    }

    /// Sees to it that the queue pair goes on when what stopped it has passed.
    fn pause<P: Platform>(qp: &QpState<P>, pause: Pause, egress_full: bool) {
        match pause {
            Pause::Budget => qp.port.kick_later(qp.slot),
            Pause::NoFrame if egress_full => qp.port.kick_later(qp.slot),
            Pause::NoFrame => qp.port.kick_with_frames(qp.slot),
            Pause::WantsReceive => {
                // A receive posted before this asked was not told to kick: look again soon (T-09).
                let before = qp.receive.count();
                qp.receive.ask_for_kicks();
                if let Some(srq) = &qp.srq {
                    srq.wait_for_receive(qp.slot);
                }
                if qp.receive.count() != before || qp.srq.as_ref().is_some_and(|srq| srq.ring.count() != 0) {
                    qp.port.kick_later(qp.slot);
                }
            }
            // The region's last user wakes this slot.
            Pause::Revoking | Pause::Idle => (),
        }
    }
}

/// Offers a held frame; true when it has to be kept.
fn is_wanted_later<E: Environment>(engine: &mut QueuePair, held: &Held, turn: &mut Turn<'_, E>) -> bool {
    match parse(held) {
        Ok(packet) => matches!(engine.receive(&packet, turn), Received::Wait(_)),
        // It parsed when it was held.
        Err(_) => false,
    }
}

/// Tells the system's log of a failure.
fn note<P: Platform>(qp: &QpState<P>, events: &[Option<QpEvent>]) {
    for event in events.iter().flatten() {
        if let QpEvent::Fatal(failure) = event {
            qp.port.platform.log(Event::QueuePairFailed { qpn: qp.qpn.get(), reason: failure.reason() });
        }
    }
}
