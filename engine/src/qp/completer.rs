//! The completer: the requester's ear. It decides what a response means and places what READs bring; the requester is
//! told through its own methods and writes its own fields.

use super::requester::Requester;
use super::{Attributes, Failure};
use crate::completion::CompletionStatus;
use crate::memory::{Fault, Regions, Sge};
use crate::psn::Psn;
use crate::time::Duration;
use crate::turn::{Environment, Turn};
use crate::wire::Packet;
use crate::wire::headers::{Ext, NakCode, Syndrome, rnr_timer_ns};
use crate::wire::opcode::Message;
use crate::work::SendQueue;

/// Takes a response.
#[inline]
pub(super) fn handle<E: Environment>(
    requester: &mut Requester,
    packet: &Packet<'_>,
    attributes: &Attributes,
    turn: &mut Turn<'_, E>,
) -> Result<(), Failure> {
    let psn = packet.bth.psn;
    let (oldest, next) = (requester.unacknowledged(), requester.next());
    // A response to what was never sent is a ghost. (An ACK of the packet before the oldest says nothing new.)
    if next.since(psn) <= 0 || psn.since(oldest) < -1 {
        requester.counters.stale_responses += 1;
        return Ok(());
    }
    match (packet.bth.opcode.message(), packet.ext) {
        (Message::Acknowledge, Ext::Aeth(aeth)) => match aeth.syndrome {
            Syndrome::Ack { .. } => {
                acknowledge(requester, psn.next(), turn);
                requester.probed(turn.now);
                Ok(())
            }
            Syndrome::RnrNak { timer } => {
                acknowledge(requester, psn, turn);
                if requester.unacknowledged() != psn {
                    return Ok(());
                }
                requester.receiver_not_ready(Duration::from_nanos(rnr_timer_ns(timer)), turn.now)
            }
            Syndrome::Nak(code) => nak(requester, psn, code, turn),
            Syndrome::Reserved(_) => {
                requester.counters.stale_responses += 1;
                Ok(())
            }
        },
        (Message::ReadResponse, _) => read_response(requester, packet, attributes, turn),
        _ => {
            requester.counters.stale_responses += 1;
            Ok(())
        }
    }
}

/// Everything before `through` is acknowledged, except that a READ is acknowledged by its responses alone: an ACK beyond
/// one whose responses have not come tells that they are lost (T-21, implied NAK).
fn acknowledge<E: Environment>(requester: &mut Requester, through: Psn, turn: &mut Turn<'_, E>) {
    let oldest = requester.unacknowledged();
    if through.since(oldest) <= 0 {
        return;
    }
    match unanswered_read(requester, through) {
        None => requester.acknowledge(through, turn.now),
        Some(missing) => {
            requester.acknowledge(missing, turn.now);
            requester.received(through);
            requester.gap(turn.now);
        }
    }
}

/// The first packet before `through` that only a READ response can acknowledge.
fn unanswered_read(requester: &Requester, through: Psn) -> Option<Psn> {
    let oldest = requester.unacknowledged();
    let flights = requester.flights();
    if flights.reads_none() {
        return None;
    }
    let mut position = flights.head();
    while let Some(flight) = flights.get(position) {
        if flight.first.since(through) >= 0 {
            return None;
        }
        if flight.is_read() && flight.first.add(flight.packets).since(oldest) > 0 {
            return Some(if oldest.since(flight.first) > 0 { oldest } else { flight.first });
        }
        position = position.wrapping_add(1);
    }
    None
}

/// NAK(m) acknowledges everything up to m-1.
fn nak<E: Environment>(
    requester: &mut Requester,
    psn: Psn,
    code: NakCode,
    turn: &mut Turn<'_, E>,
) -> Result<(), Failure> {
    acknowledge(requester, psn, turn);
    if requester.unacknowledged() != psn {
        // Stale, or a READ before it is unanswered: that comes first.
        return Ok(());
    }
    let status = match code {
        NakCode::PsnSequenceError => {
            requester.missing(turn.now);
            return Ok(());
        }
        NakCode::InvalidRequest | NakCode::InvalidRdRequest => CompletionStatus::RemoteInvalidRequest,
        NakCode::RemoteAccessError => CompletionStatus::RemoteAccess,
        NakCode::RemoteOperationalError => CompletionStatus::RemoteOperation,
        NakCode::Reserved(_) => CompletionStatus::BadResponse,
    };
    Err(requester.fail_at(psn, status))
}

/// READ responses are taken by PSN, whichever of FIRST, MIDDLE, LAST and ONLY they say they are (T-21). They acknowledge
/// everything before their READ.
fn read_response<E: Environment>(
    requester: &mut Requester,
    packet: &Packet<'_>,
    attributes: &Attributes,
    turn: &mut Turn<'_, E>,
) -> Result<(), Failure> {
    let psn = packet.bth.psn;
    let found = requester.flights().position_of(psn).and_then(|at| Some((at, requester.flights().get(at)?)));
    let Some((position, flight)) = found.filter(|(_, flight)| flight.is_read()) else {
        requester.counters.stale_responses += 1;
        return Ok(());
    };
    acknowledge(requester, flight.first, turn);
    match psn.since(requester.unacknowledged()) {
        0 => (),
        ahead if ahead > 0 => {
            requester.gap(turn.now);
            return Ok(());
        }
        _ => {
            requester.counters.stale_responses += 1;
            return Ok(());
        }
    }
    let Some(wqe) = turn.send_queue.wqe(position) else { return Ok(()) };
    let index = psn.since(flight.first).cast_unsigned();
    let offset = index.saturating_mul(u32::from(attributes.path_mtu));
    let expected = wqe.length.saturating_sub(offset).min(u32::from(attributes.path_mtu)) as usize;
    if packet.payload.len() != expected {
        return Err(Failure::Request { position, status: CompletionStatus::BadResponse });
    }
    if scatter(turn.regions, turn.send_queue.sges(position), offset, packet.payload).is_err() {
        return Err(Failure::Request { position, status: CompletionStatus::LocalProtection });
    }
    requester.read_progress(psn, &flight, turn.now);
    if index.saturating_add(1) == flight.packets {
        catch_up(requester, turn);
    }
    Ok(())
}

/// A READ is answered: what follows it and is known to have arrived is acknowledged, too, up to the next READ.
fn catch_up<E: Environment>(requester: &mut Requester, turn: &Turn<'_, E>) {
    let known = requester.known_received();
    if known.since(requester.unacknowledged()) > 0 {
        let through = unanswered_read(requester, known).unwrap_or(known);
        requester.acknowledge(through, turn.now);
    }
}

/// Places what a READ brought; its scatter list has at least the READ's length.
fn scatter<R: Regions>(regions: &mut R, sges: &[Sge], offset: u32, payload: &[u8]) -> Result<(), Fault> {
    match super::place(regions, sges, offset, payload) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Fault::OutOfBounds),
        Err(fault) => Err(fault),
    }
}
