//! What IP knows: interfaces, addresses, routes; each as a row of its table sees it, and what became different.

use super::{Family, Interface};
use ndk_types::{
    IpDadStateTentative, MIB_NOTIFICATION_TYPE, MibAddInstance, MibDeleteInstance, MibParameterNotification,
    NL_DAD_STATE,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The metric that an interface adds to its routes'; Windows draws it from the speed of the link.
pub(super) const INTERFACE_METRIC: u32 = 15;
/// The metric of routes that follow from addresses.
const ON_LINK_METRIC: u32 = 256;

/// An interface and its link.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) interface: Interface,
    pub(super) up: bool,
}

/// IP on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpInterface {
    pub(super) luid: u64,
    pub(super) index: u32,
    pub(super) family: Family,
    pub(super) mtu: u32,
    pub(super) mac: [u8; 6],
    pub(super) up: bool,
}

/// A local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) luid: u64,
    pub(super) index: u32,
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
    pub(super) dad: NL_DAD_STATE,
}

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) luid: u64,
    pub(super) index: u32,
    pub(super) destination: IpAddr,
    pub(super) prefix: u8,
    /// `None`: straight to the destination.
    pub(super) next_hop: Option<IpAddr>,
    pub(super) metric: u32,
    /// To an address of this machine.
    pub(super) loopback: bool,
    /// It follows from an address.
    pub(super) derived: bool,
}

/// A row that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Interface(IpInterface),
    Address(Address),
    Route(Route),
}

impl Row {
    /// The protocol it belongs to.
    pub(super) fn family(&self) -> Family {
        match self {
            Self::Interface(interface) => interface.family,
            Self::Address(address) => Family::of(address.ip),
            Self::Route(route) => Family::of(route.destination),
        }
    }
}

/// What tells rows apart: their table, interface, addresses and prefix.
type Key = (u8, u64, Family, Option<IpAddr>, u8, Option<IpAddr>);

/// Everything that notifications speak of.
pub(super) type Snapshot = BTreeMap<Key, Row>;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Tables {
    links: BTreeMap<u64, Link>,
    addresses: Vec<Address>,
    added: Vec<Route>,
    absent: BTreeSet<Family>,
}

impl Tables {
    pub(super) fn find(&self, luid: u64) -> Option<&Link> {
        self.links.get(&luid)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub(super) fn has(&self, family: Family) -> bool {
        !self.absent.contains(&family)
    }

    pub(super) fn set_family(&mut self, family: Family, there: bool) {
        if there {
            self.absent.remove(&family);
        } else {
            self.absent.insert(family);
        }
    }

    /// An interface that whoever plays the machine says is there.
    pub(super) fn link(&mut self, luid: u64) -> &mut Link {
        self.links.get_mut(&luid).unwrap_or_else(|| panic!("no interface {luid:#x}"))
    }

    pub(super) fn add_interface(&mut self, new: Interface) {
        let same = |old: &Interface| old.luid == new.luid || old.index == new.index || old.alias == new.alias;
        assert!(!self.links.values().any(|link| same(&link.interface)), "{new:?} is there already");
        self.links.insert(new.luid, Link { interface: new, up: true });
    }

    pub(super) fn remove_interface(&mut self, luid: u64) {
        self.links.remove(&luid);
        self.addresses.retain(|address| address.luid != luid);
        self.added.retain(|route| route.luid != luid);
    }

    pub(super) fn add_address(&mut self, luid: u64, ip: IpAddr, prefix: u8, dad: NL_DAD_STATE) {
        let index = self.link(luid).interface.index;
        let new = Address { luid, index, ip, prefix, dad };
        match self.addresses.iter_mut().find(|old| (old.luid, old.ip) == (luid, ip)) {
            Some(old) => *old = new,
            None => self.addresses.push(new),
        }
    }

    pub(super) fn remove_address(&mut self, luid: u64, ip: IpAddr) {
        self.addresses.retain(|address| (address.luid, address.ip) != (luid, ip));
    }

    pub(super) fn add_route(&mut self, to: IpAddr, prefix: u8, next_hop: Option<IpAddr>, luid: u64, metric: u32) {
        let index = self.link(luid).interface.index;
        let destination = masked(to, prefix);
        self.added.push(Route { luid, index, destination, prefix, next_hop, metric, loopback: false, derived: false });
    }

    pub(super) fn remove_route(&mut self, to: IpAddr, prefix: u8, luid: u64) {
        let key = (luid, masked(to, prefix), prefix);
        self.added.retain(|route| (route.luid, route.destination, route.prefix) != key);
    }

    /// The addresses, in the order they came; those of an interface that is down are tentative.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        let there = self.addresses.iter().filter(|address| self.has(Family::of(address.ip)));
        there.map(|address| match self.links.get(&address.luid) {
            Some(link) if link.up => *address,
            _ => Address { dad: IpDadStateTentative, ..*address },
        })
    }

    /// The routes of interfaces that are up: what was added, then what follows from the addresses.
    pub(super) fn routes(&self) -> impl Iterator<Item = Route> {
        let added = self.added.iter().copied();
        let derived = self.addresses.iter().flat_map(on_link);
        let usable = |route: &Route| {
            self.has(Family::of(route.destination)) && self.links.get(&route.luid).is_some_and(|link| link.up)
        };
        added.chain(derived).filter(usable)
    }

    /// IP on one interface.
    pub(super) fn ip_interface(&self, luid: u64, family: Family) -> Option<IpInterface> {
        let Link { interface, up } = self.links.get(&luid).filter(|_| self.has(family))?;
        let &Interface { luid, index, mtu, mac, .. } = interface;
        Some(IpInterface { luid, index, family, mtu, mac, up: *up })
    }

    /// Everything as it is now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::new();
        for (&luid, family) in self.links.keys().flat_map(|luid| [(luid, Family::V4), (luid, Family::V6)]) {
            if let Some(interface) = self.ip_interface(luid, family) {
                all.insert((0, luid, family, None, 0, None), Row::Interface(interface));
            }
        }
        for address in self.addresses() {
            all.insert((1, address.luid, Family::of(address.ip), Some(address.ip), 0, None), Row::Address(address));
        }
        for route in self.routes() {
            let family = Family::of(route.destination);
            let key = (2, route.luid, family, Some(route.destination), route.prefix, route.next_hop);
            all.entry(key).or_insert(Row::Route(route));
        }
        all
    }
}

/// The routes that follow from an address: to itself, and to its neighbours.
fn on_link(address: &Address) -> [Route; 2] {
    let &Address { luid, index, ip, prefix, .. } = address;
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let to = |destination, prefix, loopback| {
        let metric = ON_LINK_METRIC;
        Route { luid, index, destination, prefix, next_hop: None, metric, loopback, derived: true }
    };
    [to(ip, whole, true), to(masked(ip, prefix), prefix.min(whole), false)]
}

/// An address with the bits behind its prefix cleared.
pub(super) fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

/// What is different: rows that are new, that changed, and, in the reverse order, that are gone.
pub(super) fn differences(before: &Snapshot, after: &Snapshot) -> Vec<(Row, MIB_NOTIFICATION_TYPE)> {
    let kind = |key, row: &Row| match before.get(key) {
        None => Some(MibAddInstance),
        Some(old) => (old != row).then_some(MibParameterNotification),
    };
    let mut all: Vec<_> = after.iter().filter_map(|(key, row)| Some((*row, kind(key, row)?))).collect();
    let gone = before.iter().rev().filter(|(key, _)| !after.contains_key(key));
    all.extend(gone.map(|(_, row)| (*row, MibDeleteInstance)));
    all
}
