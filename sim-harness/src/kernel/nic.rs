//! The simulated NIC: an Ethernet miniport below the driver under test, on whatever wire its owner connects.
//!
//! What was sent is fetched ([`SimNic::take_frames`]), what arrives is delivered ([`SimNic::deliver_many`]). How it behaves can
//! be changed at any time ([`Behaviour`]); whatever that is, a frame is never lost on a link that is up: each is sent or
//! indicated once, in order, and each list comes back once. No lock is held while NDIS is called.

mod behaviour;
pub mod carrier;
mod counters;
mod ethernet;
mod oids;
mod receive;
mod send;

pub use behaviour::{Behaviour, Completion, Oids, Order, Pieces, Resources};
pub use counters::{Counters, Traffic};

use super::Machine;
use super::irql::{self, Irql};
use super::ndis::lists::Nbl;
use super::ndis::native::{Nic, NicAttributes};
use crate::dice::Dice;
use ndk_types::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// What a NIC calls: NDIS, which takes it to the driver bound above. Each may be called from inside a call of the NIC.
pub trait NicUp: Send + Sync {
    /// Lists arrived. With `resources` they are the NIC's again when this returns, else when they are returned to it.
    fn indicate(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool);

    /// Lists are done with, each with its Status.
    fn send_complete(&self, machine: &Arc<Machine>, lists: Vec<Nbl>);

    /// A request that was pending is done.
    fn oid_complete(&self, machine: &Arc<Machine>, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS);

    /// A status indication.
    fn status(&self, machine: &Arc<Machine>, code: NDIS_STATUS, buffer: &[u8]);

    /// A pause that was pending is over.
    fn pause_complete(&self, machine: &Arc<Machine>);

    /// What the lists it indicates have as their SourceHandle.
    fn handle(&self) -> usize {
        0
    }
}

/// See the module's text.
pub struct SimNic {
    state: Mutex<State>,
    up: OnceLock<Arc<dyn NicUp>>,
    own: Weak<Self>,
}

/// A request that waits for its time.
struct Asked {
    request: *mut NDIS_OID_REQUEST,
    due: u64,
}

// SAFETY: an address; the request is the NIC's until it is completed.
unsafe impl Send for Asked {}

/// What is behind the lock.
struct State {
    attributes: NicAttributes,
    behaviour: Behaviour,
    dice: Dice,
    running: bool,
    /// Set while a pause is pending: when it may complete at the earliest.
    pausing: Option<u64>,
    filter: u32,
    lookahead: u32,
    multicast: Vec<[u8; 6]>,
    /// Whether TCP segments are coalesced: on until somebody switches it off (W-23).
    coalescing: bool,
    rss: Vec<u8>,
    counters: Counters,
    wire: Vec<Vec<u8>>,
    /// Sends that are not on the wire yet.
    waiting: VecDeque<Nbl>,
    /// Sends that are on the wire and not completed yet.
    held: Vec<send::Held>,
    /// What is with the driver, and the bytes it has to have when it comes back.
    indicated: BTreeMap<Nbl, Vec<u8>>,
    /// How many more lists are with the driver until an indication returns.
    lent: usize,
    /// Whether a thread is on its way that does what is due.
    soon: bool,
    asked: Vec<Asked>,
}

impl State {
    /// How many lists the driver has.
    fn with_driver(&self) -> usize {
        self.indicated.len() + self.lent
    }
}

/// The bytes of each frame of a list.
fn frames(machine: &Arc<Machine>, nbl: Nbl) -> Vec<Vec<u8>> {
    machine.enter(|| machine.ndis.lists.frames(nbl))
}

impl SimNic {
    /// A NIC that nothing is bound to, paused, with every behaviour at its plainest; its chances come from `seed`.
    pub fn new(attributes: NicAttributes, seed: u64) -> Arc<Self> {
        let state = State {
            attributes,
            behaviour: Behaviour::default(),
            dice: Dice::new(seed, 0x4e49_4300),
            running: false,
            pausing: None,
            filter: 0,
            lookahead: 0,
            multicast: Vec::new(),
            coalescing: true,
            rss: Vec::new(),
            counters: Counters::default(),
            wire: Vec::new(),
            waiting: VecDeque::new(),
            held: Vec::new(),
            indicated: BTreeMap::new(),
            lent: 0,
            soon: false,
            asked: Vec::new(),
        };
        Arc::new_cyclic(|own| Self { state: Mutex::new(state), up: OnceLock::new(), own: own.clone() })
    }

    /// Attributes of an ordinary Ethernet NIC: 1500 bytes, 10 Gb/s, up, no RSS.
    pub fn ethernet(mac: [u8; 6], index: u32) -> NicAttributes {
        NicAttributes {
            name: format!("\\DEVICE\\{{4E494300-0000-0000-0000-{index:012X}}}"),
            // NET_LUID: IfType 6 in its upper 16 bits, NetLuidIndex in the 24 below.
            luid: 6 << 48 | u64::from(index) << 24,
            index,
            mac,
            mtu: 1500,
            speed: 10_000_000_000,
            connected: true,
            packet_filters: NDIS_PACKET_TYPE_DIRECTED
                | NDIS_PACKET_TYPE_MULTICAST
                | NDIS_PACKET_TYPE_ALL_MULTICAST
                | NDIS_PACKET_TYPE_BROADCAST
                | NDIS_PACKET_TYPE_PROMISCUOUS,
            max_multicast: 32,
            mac_options: NDIS_MAC_OPTION_COPY_LOOKAHEAD_DATA
                | NDIS_MAC_OPTION_TRANSFERS_NOT_PEND
                | NDIS_MAC_OPTION_NO_LOOPBACK,
            rss: false,
            medium: 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects it to NDIS, once.
    pub fn attach(&self, up: Arc<dyn NicUp>) {
        let again = self.up.set(up).is_err();
        assert!(!again, "a NIC has one NDIS");
    }

    fn up(&self) -> &dyn NicUp {
        self.up.get().expect("a NIC is attached before it is used").as_ref()
    }

    /// Changes how it behaves, from the next frame or request on.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// What was put on the wire since the last time, in order.
    pub fn take_frames(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state().wire)
    }

    /// Its counters so far.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// The packet filter set last.
    pub fn packet_filter(&self) -> u32 {
        self.state().filter
    }

    /// The multicast list set last.
    pub fn multicast(&self) -> Vec<[u8; 6]> {
        self.state().multicast.clone()
    }

    /// Whether it may coalesce TCP segments.
    pub fn coalesces(&self) -> bool {
        self.state().coalescing
    }

    /// The body of the last OID_GEN_RECEIVE_SCALE_PARAMETERS; empty before there was one.
    pub fn receive_scaling(&self) -> Vec<u8> {
        self.state().rss.clone()
    }

    /// How many lists the driver has of it, and how many sends it has of the driver.
    pub fn outstanding(&self) -> (usize, usize) {
        let state = self.state();
        (state.with_driver(), state.held.len() + state.waiting.len())
    }

    /// Plugs the cable in or out, and says so.
    pub fn set_link(&self, machine: &Arc<Machine>, connected: bool) {
        let body = {
            let mut state = self.state();
            state.attributes.connected = connected;
            oids::link_state(&state.attributes)
        };
        self.up().status(machine, NDIS_STATUS_LINK_STATE, &body);
    }

    /// Changes its MAC address, while nothing is bound to it: a driver restarts its NIC for that.
    pub fn set_mac(&self, mac: [u8; 6]) {
        self.state().attributes.mac = mac;
    }

    /// Changes the largest IP packet, and says so.
    pub fn set_mtu(&self, machine: &Arc<Machine>, mtu: u32) {
        self.state().attributes.mtu = mtu;
        self.up().status(machine, NDIS_STATUS_L2_MTU_SIZE_CHANGE, &mtu.to_le_bytes());
    }

    /// When [`Self::run_due`] has something to do, in virtual nanoseconds.
    pub fn next_due(&self) -> Option<u64> {
        let state = self.state();
        let unstalled = (!state.waiting.is_empty() && !state.behaviour.stalled).then_some(0);
        let sends = state.held.iter().map(|held| held.due).min();
        let requests = state.asked.iter().map(|asked| asked.due).min();
        let pause = state.pausing.filter(|_| state.with_driver() == 0);
        [unstalled, sends, requests, pause].into_iter().flatten().min()
    }

    /// Does what is due: sends that waited, completions, requests, a pause.
    pub fn run_due(&self, machine: &Arc<Machine>) {
        self.run_sends(machine);
        self.run_requests(machine);
        self.end_pause(machine);
    }

    /// What is due at this moment, and not to be done inside the call, is done on a kernel thread.
    fn soon(&self, machine: &Arc<Machine>) {
        if self.next_due().is_none_or(|due| due > machine.now()) || std::mem::replace(&mut self.state().soon, true) {
            return;
        }
        let (own, inner) = (self.own.clone(), machine.clone());
        machine.thread("the NIC", move || {
            let Some(nic) = own.upgrade() else { return };
            nic.state().soon = false;
            irql::at(Irql::Dispatch, || nic.run_due(&inner));
        });
    }

    /// Completes a pending pause whose time has come, when nothing is with the driver.
    fn end_pause(&self, machine: &Arc<Machine>) {
        let over = {
            let mut state = self.state();
            let over = state.with_driver() == 0 && state.pausing.is_some_and(|due| due <= machine.now());
            if over {
                state.pausing = None;
            }
            over
        };
        if over {
            self.up().pause_complete(machine);
        }
    }
}

impl Nic for SimNic {
    fn attributes(&self) -> NicAttributes {
        let state = self.state();
        let mut attributes = state.attributes.clone();
        if state.behaviour.vlan {
            attributes.mac_options |= NDIS_MAC_OPTION_8021P_PRIORITY | NDIS_MAC_OPTION_8021Q_VLAN;
        }
        attributes
    }

    fn send(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        self.take_sends(machine, lists);
        self.soon(machine);
    }

    fn cancel_send(&self, machine: &Arc<Machine>, id: usize) {
        self.cancel(machine, id);
    }

    fn returned(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        self.take_back(machine, lists);
        self.end_pause(machine);
    }

    fn oid(&self, machine: &Arc<Machine>, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        let status = self.take_request(machine, request);
        self.soon(machine);
        status
    }

    fn pause(&self, machine: &Arc<Machine>) -> bool {
        self.state().running = false;
        self.finish_sends(machine);
        let mut state = self.state();
        let over = state.with_driver() == 0 && state.behaviour.pause == 0;
        state.pausing = (!over).then(|| machine.now().saturating_add(state.behaviour.pause));
        over
    }

    fn restart(&self, _machine: &Arc<Machine>) {
        self.state().running = true;
    }
}

#[cfg(test)]
mod tests;
