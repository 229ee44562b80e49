//! IP Helper: the interfaces, addresses, routes and neighbours of one machine, and word of every change.
//!
//! Whoever plays the machine sets them with the functions of [`IpHelper`]; routes to what is on link follow from the
//! addresses. An interface that is down keeps its addresses, which are tentative then, and lends no route. Neighbours are
//! resolved for real, by questions on the wire ([`Resolver`]) and what comes back ([`IpHelper::learned`]).
//!
//! * `tables`: what IP knows, as rows see it. `routing`: the best route, and the source address that goes with it.
//! * `neighbours`: the cache and its questions. `frames`: those questions as frames, and the answers.
//! * `notifications`: callbacks of changes. `rows`: the structures of netioapi.h.
//! * `imports`, `conversions`: what an image calls.
//!
//! Where the documentation's pages are silent, and what is assumed there:
//! * a destination without a route: STATUS_NETWORK_UNREACHABLE; a source address that is nobody's: STATUS_NOT_FOUND;
//! * a neighbour that does not answer: STATUS_BAD_NETWORK_NAME; one that is not known: STATUS_NOT_FOUND;
//! * the initial notification comes before the registration returns or soon after: the machine's seed decides;
//! * STATUS_NOT_ENOUGH_MEMORY, which ntstatus.h has not, is STATUS_NO_MEMORY.

mod conversions;
pub mod frames;
mod imports;
mod neighbours;
mod notifications;
mod routing;
mod rows;
mod tables;

use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::NL_DAD_STATE;
pub use neighbours::Resolver;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tables::Tables;

/// An interface, as its adapter has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What identifies it, as long as it exists.
    pub luid: u64,
    /// Its index.
    pub index: u32,
    /// What people call it.
    pub alias: String,
    /// The largest IP packet.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// A protocol of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// An address's.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

#[derive(Default)]
struct State {
    tables: Tables,
    neighbours: neighbours::Neighbours,
    notifications: notifications::Notifications,
    /// Tables a driver has not freed yet, and those it has.
    live: BTreeSet<usize>,
    freed: BTreeSet<usize>,
}

/// IP Helper of one machine.
#[derive(Default)]
pub struct IpHelper(Mutex<State>);

impl std::fmt::Debug for IpHelper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("IpHelper").field(&self.state().tables).finish()
    }
}

impl IpHelper {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the tables, and tells whoever registered for it what became different.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let before = state.tables.snapshot();
        change(&mut state);
        let after = state.tables.snapshot();
        let woken = state.notifications.post(&tables::differences(&before, &after));
        drop(state);
        for (machine, handle) in woken {
            notifications::start(&machine, handle);
        }
    }

    /// A new interface, which is up.
    ///
    /// # Panics
    /// When there is one with this LUID, index or alias.
    pub fn add_interface(&self, interface: Interface) {
        self.change(|state| state.tables.add_interface(interface));
    }

    /// The largest IP packet of an interface is another one.
    pub fn set_mtu(&self, luid: u64, mtu: u32) {
        self.change(|state| state.tables.link(luid).interface.mtu = mtu);
    }

    /// The link of an interface came or went. One that goes takes along what is known about neighbours.
    pub fn set_up(&self, luid: u64, up: bool) {
        self.change(|state| {
            state.tables.link(luid).up = up;
            if !up {
                state.neighbours.forget(luid);
            }
        });
    }

    /// An interface is gone, with its addresses, routes and neighbours.
    pub fn remove_interface(&self, luid: u64) {
        self.change(|state| {
            state.tables.remove_interface(luid);
            state.neighbours.forget(luid);
            state.neighbours.set_resolver(luid, None);
        });
    }

    /// A new address, or another state of duplicate address detection of one that is there.
    pub fn add_address(&self, luid: u64, address: IpAddr, prefix_len: u8, dad_state: NL_DAD_STATE) {
        self.change(|state| state.tables.add_address(luid, address, prefix_len, dad_state));
    }

    /// An address is gone.
    pub fn remove_address(&self, luid: u64, address: IpAddr) {
        self.change(|state| state.tables.remove_address(luid, address));
    }

    /// A new route; without a next hop its destinations are on link.
    pub fn add_route(&self, destination: IpAddr, prefix: u8, next_hop: Option<IpAddr>, luid: u64, metric: u32) {
        self.change(|state| state.tables.add_route(destination, prefix, next_hop, luid, metric));
    }

    /// The routes of an interface to this destination that were added are gone.
    pub fn remove_route(&self, destination: IpAddr, prefix: u8, luid: u64) {
        self.change(|state| state.tables.remove_route(destination, prefix, luid));
    }

    /// Takes a protocol away from the machine, or gives it back.
    pub fn set_family(&self, family: Family, there: bool) {
        self.change(|state| state.tables.set_family(family, there));
    }

    /// How an interface puts questions to its neighbours.
    pub fn resolver(&self, luid: u64, resolver: Arc<dyn Resolver>) {
        self.state().neighbours.set_resolver(luid, Some(resolver));
    }

    /// A neighbour's answer arrived. One that nobody asked for changes what is known, and adds nothing (RFC 4861, 7.2.5).
    pub fn learned(&self, machine: &Arc<Machine>, luid: u64, address: IpAddr, mac: [u8; 6]) {
        self.state().neighbours.learned(machine.now(), luid, address, mac);
    }

    /// A neighbour that somebody wrote down: known for good.
    pub fn add_neighbour(&self, luid: u64, address: IpAddr, mac: [u8; 6]) {
        self.state().neighbours.keep(luid, address, mac);
    }

    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let table = |at: &usize| format!("a table of IP Helper at {at:#x}, never given to FreeMibTable");
        let mut leaks: Vec<_> = state.live.iter().map(table).collect();
        leaks.extend(state.notifications.leaks());
        leaks
    }
}

pub(super) fn exports() -> Vec<Export> {
    imports::exports()
}

#[cfg(test)]
mod tests;
