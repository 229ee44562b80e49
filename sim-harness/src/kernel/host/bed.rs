//! Two hosts with the loaded image, as a bed for the conformance cases: the same bodies run here and on natively built providers.

use super::{Host, HostStation, INDEX, Shape};
use crate::bed::Bed;
use crate::consumer::{Adapter, Failed};
use crate::kernel::driver::StartError;
use crate::kernel::irql;
use crate::kernel::ndis::pnp;
use crate::wire::Manners;
use crate::world::World;
use ndk_provider::limits::Limits;
use ndk_types::{NDK_ADAPTER, NDK_VERSION};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module's text.
pub struct ImageBed {
    /// The world they are in.
    pub world: World,
    /// The hosts.
    pub hosts: [Arc<Host>; 2],
}

impl ImageBed {
    /// Two plain hosts that run this image.
    ///
    /// # Errors
    /// When the image does not start.
    pub fn new(image: &[u8], seed: u64) -> Result<Self, StartError> {
        Self::of(image, seed, [0, 1].map(|number| Shape::plain(number, seed)))
    }

    /// The same with hosts of these shapes.
    ///
    /// # Errors
    /// When the image does not start.
    pub fn of(image: &[u8], seed: u64, shapes: [Shape; 2]) -> Result<Self, StartError> {
        let mut world = World::new(seed, shapes[0].mtu, Manners::GOOD);
        let hosts = shapes.map(|shape| Host::new(&shape, world.clock()));
        for host in &hosts {
            world.join(Box::new(HostStation(host.clone())));
            host.start(image)?;
        }
        Ok(Self { world, hosts })
    }

    /// Lets things happen until `over`; false when it does not come to that.
    pub fn run_until(&mut self, over: impl Fn() -> bool) -> bool {
        for _ in 0..2_000_000_u32 {
            if over() {
                return true;
            }
            if !self.world.step() {
                return over();
            }
        }
        false
    }

    /// Unloads both drivers; gives what they left and what they broke, as text, empty when all is well.
    pub fn end(self) -> Vec<String> {
        let mut wrong = Vec::new();
        for host in &self.hosts {
            host.unload();
            let broken = host.machine.verifier.take();
            wrong.extend(broken.iter().map(|violation| format!("{}: {violation}", host.machine.name)));
        }
        wrong
    }
}

/// Closes an adapter on a kernel thread of its machine, since the close waits.
///
/// # Panics
/// When it does not end: something under the adapter is still open.
fn close(host: &Arc<Host>, object: *mut NDK_ADAPTER) {
    let (machine, done) = (host.machine.clone(), Arc::new(AtomicBool::new(false)));
    let (address, ended) = (object.expose_provenance(), done.clone());
    host.machine.thread("the close of an NDK_ADAPTER", move || {
        pnp::close_ndk_adapter(&machine, std::ptr::with_exposed_provenance_mut(address));
        ended.store(true, Ordering::SeqCst);
    });
    host.settle();
    assert!(done.load(Ordering::SeqCst), "the close of an adapter waits: something under it is open");
}

impl Bed for ImageBed {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        let host = &self.hosts[host];
        let machine = host.machine.clone();
        let (opened, _) = irql::at(irql::Irql::Passive, || pnp::open_ndk_adapter(&machine, INDEX, version));
        let object = opened.map_err(|status| Failed("OpenNDKAdapter", status))?;
        let host = host.clone();
        Ok(Adapter::opened(object, move |object| close(&host, object)))
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
        Limits::DEFAULT
    }
}
