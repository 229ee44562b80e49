//! The neighbour cache: who is asked, who answered, and for how long that holds.
//!
//! A resolution flushes what is known, asks three times, a second apart, and fails a second after the last time. An answer
//! holds for thirty seconds; after that the entry is stale, and still tells the address.

use super::routing;
use crate::kernel::Machine;
use ndk_types::{
    NL_NEIGHBOR_STATE, NTSTATUS, NlnsIncomplete, NlnsPermanent, NlnsReachable, NlnsStale, NlnsUnreachable,
    STATUS_BAD_NETWORK_NAME, STATUS_NOT_FOUND,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Questions a resolution puts.
pub(super) const QUESTIONS: u32 = 3;
/// The time between them, in milliseconds.
pub(super) const RETRANSMIT_MS: u32 = 1_000;
/// How long an answer holds, in milliseconds.
pub(super) const REACHABLE_MS: u32 = 30_000;
const MILLISECOND: u64 = 1_000_000;

/// How questions go onto an interface's wire.
pub trait Resolver: Send + Sync {
    /// Sends an ARP request or a neighbour solicitation for `target`. Called on a kernel thread at PASSIVE_LEVEL, with no
    /// lock held; the answer may come from inside.
    fn solicit(&self, machine: &Arc<Machine>, source: IpAddr, target: IpAddr);
}

/// What is known of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It is being asked.
    Nothing,
    /// It answered, at this time.
    Confirmed([u8; 6], u64),
    /// It said something unasked.
    Heard([u8; 6]),
    /// It did not answer.
    Silent,
    /// Written down by somebody.
    Permanent([u8; 6]),
}

/// A neighbour as its row sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) mac: Option<[u8; 6]>,
    pub(super) state: NL_NEIGHBOR_STATE,
}

/// One call's wait for an answer.
struct Question {
    luid: u64,
    address: IpAddr,
    answer: Arc<OnceLock<[u8; 6]>>,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Neighbours {
    known: BTreeMap<(u64, IpAddr), Known>,
    questions: Vec<Question>,
    resolvers: BTreeMap<u64, Arc<dyn Resolver>>,
}

impl Neighbours {
    pub(super) fn set_resolver(&mut self, luid: u64, resolver: Option<Arc<dyn Resolver>>) {
        match resolver {
            Some(resolver) => drop(self.resolvers.insert(luid, resolver)),
            None => drop(self.resolvers.remove(&luid)),
        }
    }

    /// Forgets an interface's neighbours, but for those that were written down.
    pub(super) fn forget(&mut self, luid: u64) {
        self.known.retain(|key, known| key.0 != luid || matches!(known, Known::Permanent(_)));
    }

    pub(super) fn keep(&mut self, luid: u64, address: IpAddr, mac: [u8; 6]) {
        self.known.insert((luid, address), Known::Permanent(mac));
    }

    pub(super) fn find(&self, now: u64, luid: u64, address: IpAddr) -> Option<Neighbour> {
        let (mac, state) = match *self.known.get(&(luid, address))? {
            Known::Nothing => (None, NlnsIncomplete),
            Known::Silent => (None, NlnsUnreachable),
            Known::Confirmed(mac, at) if now < at + u64::from(REACHABLE_MS) * MILLISECOND => (Some(mac), NlnsReachable),
            Known::Confirmed(mac, _) | Known::Heard(mac) => (Some(mac), NlnsStale),
            Known::Permanent(mac) => (Some(mac), NlnsPermanent),
        };
        Some(Neighbour { mac, state })
    }

    pub(super) fn learned(&mut self, now: u64, luid: u64, address: IpAddr, mac: [u8; 6]) {
        let of = |question: &&Question| (question.luid, question.address) == (luid, address);
        let mut asked = false;
        for question in self.questions.iter().filter(of) {
            asked = true;
            // The first answer is the one that counts.
            let _ = question.answer.set(mac);
        }
        let Some(known) = self.known.get_mut(&(luid, address)) else { return };
        *known = match *known {
            Known::Permanent(mac) => Known::Permanent(mac),
            _ if asked => Known::Confirmed(mac, now),
            Known::Confirmed(same, at) if same == mac => Known::Confirmed(same, at),
            _ => Known::Heard(mac),
        };
    }

    /// Begins to ask for a neighbour; what was known is flushed.
    fn begin(&mut self, luid: u64, address: IpAddr) -> Arc<OnceLock<[u8; 6]>> {
        let answer = Arc::new(OnceLock::new());
        self.known.insert((luid, address), Known::Nothing);
        self.questions.push(Question { luid, address, answer: answer.clone() });
        answer
    }

    /// Ends it. Without an answer the neighbour is unreachable, unless somebody else still asks, or the link went.
    fn end(&mut self, luid: u64, address: IpAddr, answer: &Arc<OnceLock<[u8; 6]>>) {
        self.questions.retain(|question| !Arc::ptr_eq(&question.answer, answer));
        let others = self.questions.iter().any(|question| (question.luid, question.address) == (luid, address));
        if let Some(known) = self.known.get_mut(&(luid, address)).filter(|known| **known == Known::Nothing)
            && !others
        {
            *known = Known::Silent;
        }
    }
}

/// Asks for a neighbour's hardware address and waits for the answer.
pub(super) fn resolve(
    machine: &Arc<Machine>,
    luid: u64,
    source: Option<IpAddr>,
    target: IpAddr,
) -> Result<Neighbour, NTSTATUS> {
    let ip_helper = &machine.netio.ip_helper;
    let (source, answer) = {
        let mut state = ip_helper.state();
        let own = |ip| state.tables.addresses().any(|address| (address.luid, address.ip) == (luid, ip));
        let source = match source {
            Some(source) => Some(source).filter(|&source| own(source)).ok_or(STATUS_NOT_FOUND)?,
            None => routing::best_source(&state.tables, luid, target).ok_or(STATUS_BAD_NETWORK_NAME)?,
        };
        let now = machine.now();
        let known = state.neighbours.find(now, luid, target);
        if let Some(known) = known.filter(|known| known.state == NlnsPermanent) {
            return Ok(known);
        }
        (source, state.neighbours.begin(luid, target))
    };
    for _ in 0..QUESTIONS {
        let up = ip_helper.state().tables.find(luid).is_some_and(|link| link.up);
        if !up || answer.get().is_some() {
            break;
        }
        let resolver = ip_helper.state().neighbours.resolvers.get(&luid).cloned();
        if let Some(resolver) = resolver {
            resolver.solicit(machine, source, target);
        }
        let (there, owner) = (answer.clone(), machine.clone());
        let over = move || {
            there.get().is_some() || !owner.netio.ip_helper.state().tables.find(luid).is_some_and(|link| link.up)
        };
        machine.wait("a neighbour's answer", Some(u64::from(RETRANSMIT_MS) * MILLISECOND), over);
    }
    let mut state = ip_helper.state();
    state.neighbours.end(luid, target, &answer);
    let mac = answer.get().ok_or(STATUS_BAD_NETWORK_NAME)?;
    let mut found = state.neighbours.find(machine.now(), luid, target).ok_or(STATUS_BAD_NETWORK_NAME)?;
    // Another resolution may have flushed the entry since; what this one was told stays true.
    found.mac.get_or_insert(*mac);
    Ok(found)
}
