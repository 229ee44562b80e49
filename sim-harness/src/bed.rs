//! Two hosts on a wire, whatever is under their adapters: what the conformance cases run on.

use crate::consumer::{Adapter, Failed};
use crate::platform::Node;
use crate::wire::Manners;
use crate::world::World;
use ndk_provider::limits::Limits;
use ndk_types::{NDIS_OID, NDK_VERSION, OID_NDK_CONNECTIONS, OID_NDK_LOCAL_ENDPOINTS, OID_NDK_STATISTICS};
use std::net::IpAddr;
use std::sync::Arc;

/// Two hosts on a wire. Host `n` has the addresses 10.9.0.`n + 1` and fd09::`n + 1`.
pub trait Bed {
    /// Opens an adapter on a host.
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed>;

    /// Lets the next thing happen; false when nothing will.
    fn step(&mut self) -> bool;

    /// Virtual nanoseconds.
    fn now(&self) -> u64;

    /// From now on the wire out of a host behaves like this.
    fn set_manners(&mut self, host: usize, manners: Manners);

    /// How many of each object an adapter has room for.
    fn limits(&self) -> Limits;

    /// The next allocation of a host fails; false where nothing can make it fail.
    fn fail_next_allocation(&mut self, _host: usize) -> bool {
        false
    }

    /// Asks one of NDK's OIDs of a host: the bytes written, or how many it would take.
    ///
    /// # Errors
    /// When there is not room enough.
    ///
    /// # Panics
    /// On a bed that no case runs on, which need not have it.
    fn query(&mut self, _host: usize, oid: NDIS_OID, _room: &mut [u8]) -> Result<usize, usize> {
        panic!("{oid:#x}: no case runs on this bed")
    }

    /// OID_NDK_SET_STATE of a host.
    ///
    /// # Panics
    /// As [`Self::query`].
    fn set_ndk(&mut self, _host: usize, enabled: bool) {
        panic!("NDK {enabled}: no case runs on this bed")
    }

    /// The natively built hosts, where there are some: for what no dispatch table shows.
    fn native(&mut self) -> Option<&mut NativeBed> {
        None
    }
}

/// The limits of both beds: small, so that a case can reach them.
pub const LIMITS: Limits = Limits {
    queue_pairs: 16,
    completion_queues: 16,
    regions: 64,
    mappings: 16,
    connections: 16,
    endpoints: 16,
    held_frames: 64,
    protection_domains: 16,
    shared_receive_queues: 16,
};

/// The IPv4 address of a host.
pub fn ipv4(host: usize) -> IpAddr {
    IpAddr::from([10, 9, 0, host as u8 + 1])
}

/// The IPv6 address of a host.
pub fn ipv6(host: usize) -> IpAddr {
    IpAddr::from([0xfd09, 0, 0, 0, 0, 0, 0, host as u16 + 1])
}

/// Two natively built providers.
pub struct NativeBed {
    /// The world they are in.
    pub world: World,
}

impl NativeBed {
    /// Two hosts on a good wire of 1500 bytes.
    pub fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 1500, Manners::GOOD);
        for host in 0..2 {
            world.add(vec![ipv4(host), ipv6(host)], LIMITS);
        }
        Self { world }
    }

    /// A host's node.
    pub fn node(&self, host: usize) -> &Arc<Node> {
        self.world.node(host)
    }
}

impl Bed for NativeBed {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        Adapter::open_version(self.world.port(host), version)
    }

    fn step(&mut self) -> bool {
        self.world.step()
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn set_manners(&mut self, host: usize, manners: Manners) {
        self.world.set_manners(host, manners);
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn query(&mut self, host: usize, oid: NDIS_OID, room: &mut [u8]) -> Result<usize, usize> {
        let port = self.world.port(host);
        let answer = match oid {
            OID_NDK_STATISTICS => port.query_statistics(room),
            OID_NDK_CONNECTIONS => port.query_connections(room),
            OID_NDK_LOCAL_ENDPOINTS => port.query_local_endpoints(room),
            _ => panic!("{oid:#x} is none of NDK's queries"),
        };
        answer.map_err(|short| short.needed)
    }

    fn set_ndk(&mut self, host: usize, enabled: bool) {
        let port = self.world.port(host);
        if enabled {
            port.enable();
        } else {
            port.disable();
        }
    }

    fn native(&mut self) -> Option<&mut NativeBed> {
        Some(self)
    }
}
