//! Two hosts with the loaded image, as a bed for the conformance cases: the same bodies run here and on natively built providers.
//! Adapters are opened as every consumer on Windows opens them: through WSK.

use super::{Host, HostStation, INDEX, Shape};
use crate::bed::Bed;
use crate::consumer::{Adapter, Failed};
use crate::kernel::driver::StartError;
use crate::kernel::irql;
use crate::kernel::ndis::{oids, pnp};
use crate::kernel::netio::wsk::consumer::Consumer;
use crate::kernel::nt::memory::PhysicalMemory;
use crate::memory;
use crate::wire::Manners;
use crate::world::World;
use ndk_provider::limits::Limits;
use ndk_types::{
    NDIS_OID, NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_SUCCESS, NDK_ADAPTER, NDK_VERSION, NdisRequestQueryInformation,
    NdisRequestSetInformation, OID_NDK_SET_STATE,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Physical memory of the hosts and of their consumers together, in bytes.
pub(crate) const MEMORY: usize = 16 << 30;
/// Mappings a host has page table entries for: fewer than the driver would make, since each costs this process one too.
pub(crate) const MAPPINGS: u32 = 1024;

/// Beyond so many virtual nanoseconds from now, others go first.
const STRIDE: u64 = 50_000;
/// How long the world's thread lets others run, at least and at most.
const PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// More pieces of work than this do not wait for the processors of a host.
const BACKLOG: usize = 64;

/// See the module's text.
pub struct ImageBed {
    /// The world they are in.
    pub world: World,
    /// The hosts.
    pub hosts: Vec<Arc<Host>>,
    /// Where buffers of consumers are, for as long as the bed is used.
    _memory: memory::Scope,
}

impl ImageBed {
    /// Two plain hosts that run this image.
    ///
    /// # Errors
    /// When the image does not start.
    pub fn new(image: &[u8], seed: u64) -> Result<Self, StartError> {
        Self::of(image, seed, &[0, 1].map(|number| Shape::plain(number, seed)))
    }

    /// The same with hosts of these shapes.
    ///
    /// # Errors
    /// When the image does not start.
    pub fn of(image: &[u8], seed: u64, shapes: &[Shape]) -> Result<Self, StartError> {
        let memory = memory::enter(Arc::new(PhysicalMemory::new(MEMORY)));
        let mut world = World::new(seed, shapes.first().map_or(1500, |shape| shape.mtu), Manners::GOOD);
        let hosts: Vec<_> = shapes.iter().map(|shape| Host::new(shape, world.clock())).collect();
        for host in &hosts {
            world.join(Box::new(HostStation(host.clone())));
            host.machine.nt.mdls.limit_mappings(MAPPINGS as usize);
            host.start(image)?;
        }
        Ok(Self { world, hosts, _memory: memory })
    }

    /// Lets things happen until `over`; false when it does not come to that.
    pub fn run_until(&mut self, over: impl Fn() -> bool) -> bool {
        for _ in 0..2_000_000_u32 {
            if over() {
                return true;
            }
            if !self.step() {
                return over();
            }
        }
        false
    }

    /// The next thing on hosts of several processors. Virtual time goes on with the wire; it does not run ahead of the processors,
    /// nor far ahead of consumers, who have threads that nobody here knows. False when nothing will happen by itself.
    fn step_beside_others(&mut self) -> bool {
        self.world.settle();
        let now = self.world.now();
        if self.world.next_at().is_none_or(|at| at > now + STRIDE) {
            std::thread::sleep(PAUSE);
            for host in &self.hosts {
                host.machine.wait_until_idle(LONGEST_PAUSE);
            }
            self.world.settle();
        }
        let backlog = |host: &Arc<Host>| host.machine.processors().is_some_and(|all| all.backlog() > BACKLOG);
        while self.hosts.iter().any(backlog) {
            std::thread::sleep(PAUSE);
        }
        if self.world.next_at().is_none() {
            return self.hosts.iter().any(|host| !host.machine.is_idle());
        }
        self.world.step()
    }

    /// Unloads a host's driver, while the world goes on; the number of things it left behind.
    pub fn unload(&mut self, host: usize) -> usize {
        let host = self.hosts[host].clone();
        let unload = host.begin_unload();
        let watched = unload.clone();
        self.run_until(move || watched.left().is_some());
        host.left_by(&unload)
    }

    /// Unloads both drivers; gives what they left and what they broke, as text, empty when all is well.
    pub fn end(mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, host) in self.hosts.clone().into_iter().enumerate() {
            let open = host.instance().map_or(0, |instance| pnp::open_ndk_adapters(&host.machine, instance));
            if open > 0 {
                wrong.push(format!("{}: {open} NDK_ADAPTERs are still open", host.machine.name));
            }
            self.unload(number);
            let broken = host.machine.verifier.take();
            wrong.extend(broken.iter().map(|violation| format!("{}: {violation}", host.machine.name)));
        }
        wrong
    }
}

/// Opens an adapter of a host through WSK. Its close is made on a kernel thread of the machine, since it waits; `closing` is told
/// when that has begun, and by the flag when it is over.
pub(crate) fn open(
    host: Arc<Host>,
    version: NDK_VERSION,
    closing: impl FnOnce(&Host, Arc<AtomicBool>) + 'static,
) -> Result<Adapter, Failed> {
    let (opened, _) = irql::at(irql::Irql::Passive, || {
        let consumer = Consumer::new(&host.machine).map_err(|status| Failed("WSK's NDK extension", status))?;
        let object = consumer.open(INDEX, version).map_err(|status| Failed("OpenNDKAdapter", status))?;
        Ok((consumer, object))
    });
    let (consumer, object) = opened?;
    Ok(Adapter::opened(object, move |object| {
        let over = close(&host, consumer, object);
        closing(&host, over);
    }))
}

/// Begins to close an adapter; its consumer is done then. The flag says when.
fn close(host: &Host, consumer: Consumer, object: *mut NDK_ADAPTER) -> Arc<AtomicBool> {
    let done = Arc::new(AtomicBool::new(false));
    let (address, ended) = (object.expose_provenance(), done.clone());
    host.machine.thread("the close of an NDK_ADAPTER", move || {
        consumer.close(std::ptr::with_exposed_provenance_mut(address));
        drop(consumer);
        ended.store(true, Ordering::SeqCst);
    });
    done
}

impl Bed for ImageBed {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        open(self.hosts[host].clone(), version, |host, over| {
            host.settle();
            assert!(over.load(Ordering::SeqCst), "the close of an adapter waits: something under it is open");
        })
    }

    fn step(&mut self) -> bool {
        if self.hosts.iter().any(|host| host.machine.processors().is_some()) {
            return self.step_beside_others();
        }
        self.world.step()
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn set_manners(&mut self, host: usize, manners: Manners) {
        self.world.set_manners(host, manners);
    }

    fn fail_next_allocation(&mut self, host: usize) -> bool {
        self.hosts[host].machine.nt.pool.fail_after(0);
        true
    }

    /// On the direct path, at DISPATCH_LEVEL (OID-10).
    fn query(&mut self, host: usize, oid: NDIS_OID, room: &mut [u8]) -> Result<usize, usize> {
        let host = &self.hosts[host];
        let instance = host.instance().expect("an instance");
        let level = irql::Irql::Dispatch;
        let answer = oids::direct_request(&host.machine, instance, level, NdisRequestQueryInformation, oid, room);
        room.copy_from_slice(&answer.buffer);
        match answer.status {
            NDIS_STATUS_SUCCESS => Ok(answer.bytes as usize),
            NDIS_STATUS_BUFFER_TOO_SHORT => Err(answer.needed as usize),
            status => panic!("{oid:#x} answered {status:#x}"),
        }
    }

    fn set_ndk(&mut self, host: usize, enabled: bool) {
        let host = &self.hosts[host];
        let (instance, body) = (host.instance().expect("an instance"), [u8::from(enabled)]);
        let (answer, _) = irql::at(irql::Irql::Passive, || {
            oids::request(&host.machine, instance, NdisRequestSetInformation, OID_NDK_SET_STATE, &body)
        });
        assert_eq!(answer.status, NDIS_STATUS_SUCCESS, "OID_NDK_SET_STATE");
        host.settle();
    }

    fn limits(&self) -> Limits {
        Limits { mappings: MAPPINGS, ..Limits::DEFAULT }
    }
}
