//! Two hosts on a wire, whatever is under their adapters: what the conformance cases run on.

use crate::consumer::{Adapter, Failed};
use crate::platform::Node;
use crate::wire::Manners;
use crate::world::World;
use ndk_provider::limits::Limits;
use ndk_types::NDK_VERSION;
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

    fn native(&mut self) -> Option<&mut NativeBed> {
        Some(self)
    }
}
