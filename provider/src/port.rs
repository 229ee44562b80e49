//! A port: everything the NDK_ADAPTER instances of one miniport adapter share.
//!
//! The platform side makes one per miniport adapter and calls the `on_` functions; objects hold a counted pointer to it.
//! Deferred work is bits in bitmaps: whoever finds that a queue pair, completion queue or region must be looked at sets its
//! bit and asks for one deferred call.

use crate::bitmap::Bitmap;
use crate::connections::Connections;
use crate::counters::Counters;
use crate::cq::{self, Cq};
use crate::crc32::HostCrc32;
use crate::held::HeldPool;
use crate::limits::Limits;
use crate::memory::{RegionTable, Wake};
use crate::mr::Pending;
use crate::object::Ref;
use crate::opened::Opened;
use crate::platform::{Platform, Unresolved};
use crate::qp::{self, Qp};
use crate::shared::Shared;
use crate::slots::Slots;
use crate::timers::{Owner, Timers};
use core::net::IpAddr;
use roce_engine::time::Time;

/// Bits of a queue pair number that tell which life of its slot is meant.
const GENERATION_BITS: u32 = 8;

/// What is shared.
pub struct Port<P: Platform> {
    /// The system.
    pub platform: P,
    /// Statistics.
    pub counters: Counters,
    pub(crate) crc: HostCrc32,
    pub(crate) regions: RegionTable<P::Mapping, Pending<P>>,
    pub(crate) held: Shared<HeldPool>,
    pub(crate) queue_pairs: Slots<Ref<Qp<P>>>,
    pub(crate) completion_queues: Slots<Ref<Cq<P>>>,
    pub(crate) connections: Connections<P>,
    pub(crate) timers: Timers,
    kicks: Bitmap,
    starved: Bitmap,
    notifications: Bitmap,
    drained: Bitmap,
    pub(crate) opened: Opened<P>,
}

impl<P: Platform> Port<P> {
    /// A port with room for `limits`; NDK is enabled. `None` without memory. PASSIVE_LEVEL.
    pub fn try_new(platform: P, limits: Limits) -> Option<Shared<Self>> {
        let random = || {
            let mut bytes = [0; 4];
            platform.random(&mut bytes);
            u32::from_le_bytes(bytes)
        };
        let regions =
            RegionTable::try_new(limits.protection_domains, limits.regions, limits.mappings, |bytes: &mut [u8]| {
                platform.random(bytes);
            })?;
        let queue_pairs = Slots::try_new(limits.queue_pairs, GENERATION_BITS, random)?;
        let completion_queues = Slots::try_new(limits.completion_queues, 32, random)?;
        let connections = Connections::try_new(&limits, &platform)?;
        let drained = Bitmap::try_new(regions.capacity())?;
        Shared::try_new(Self {
            counters: Counters::default(),
            crc: HostCrc32::detect(),
            regions,
            held: Shared::try_new(HeldPool::try_new(limits.held_frames)?)?,
            queue_pairs,
            completion_queues,
            connections,
            timers: Timers::try_new(limits.queue_pairs, limits.completion_queues)?,
            kicks: Bitmap::try_new(limits.queue_pairs)?,
            starved: Bitmap::try_new(limits.queue_pairs)?,
            notifications: Bitmap::try_new(limits.completion_queues)?,
            drained,
            opened: Opened::new(),
            platform,
        })
    }

    /// Whether adapters may be opened.
    pub fn is_enabled(&self) -> bool {
        self.opened.is_enabled()
    }

    /// Enables NDK.
    pub fn enable(&self) {
        self.opened.enable();
    }

    /// Disables NDK: from now on no adapter is opened (PNP-05, PNP-06); open ones stay usable (PNP-04). How many are open;
    /// when that is none, the disable is complete.
    pub fn disable(&self) -> u32 {
        self.opened.disable()
    }

    /// Instances that are open: being opened, in use, or being closed.
    pub fn open_adapters(&self) -> u32 {
        self.opened.count()
    }

    /// After [`Port::disable`]: waits until no instance is open (PNP-03, PNP-09). False without memory to wait with; then
    /// nothing was waited for. One waiter at a time. PASSIVE_LEVEL.
    pub fn wait_for_closed_adapters(&self) -> bool {
        self.opened.wait(&self.platform)
    }

    /// The deferred call asked for by [`Platform::defer`]. DISPATCH_LEVEL.
    pub fn on_deferred(&self) {
        self.kicks.drain(|slot| self.kick(slot));
        self.drained.drain(|index| {
            if let Some(pending) = self.regions.drained(index) {
                pending.complete();
            }
        });
        self.notifications.drain(|slot| {
            if let Some(cq) = self.completion_queues.pin_any(slot) {
                cq::notify(&cq);
            }
        });
    }

    /// The time asked for by [`Platform::set_timer`] has come. DISPATCH_LEVEL.
    pub fn on_timer(&self) {
        let now = self.platform.now();
        while let Some(owner) = self.timers.expired(now, |at| self.platform.set_timer(at)) {
            match owner {
                Owner::Connections => self.connections.on_timer(self, now),
                Owner::QueuePair(slot) => {
                    if let Some(qp) = self.queue_pairs.pin_any(slot) {
                        qp.standing.clear();
                        qp::kick(&qp);
                    }
                }
                Owner::CompletionQueue(slot) => {
                    if let Some(cq) = self.completion_queues.pin_any(slot) {
                        cq.standing.clear();
                        cq::notify(&cq);
                    }
                }
            }
        }
    }

    /// Frames can be had again after [`Platform::frame`] gave none. At or below DISPATCH_LEVEL.
    pub fn on_frames_available(&self) {
        self.starved.drain(|slot| self.kick(slot));
    }

    /// The answer to [`Platform::resolve`]. At or below DISPATCH_LEVEL.
    pub fn on_resolved(&self, token: u64, answer: Result<crate::platform::NextHop, Unresolved>) {
        self.connections.on_resolved(self, token, answer);
    }

    fn kick(&self, slot: u32) {
        if let Some(qp) = self.queue_pairs.pin_any(slot) {
            qp::kick(&qp);
        }
    }

    /// The queue pair in this slot goes on from a deferred call.
    pub(crate) fn kick_later(&self, slot: u32) {
        if self.kicks.insert(slot) {
            self.platform.defer();
        }
    }

    /// Every queue pair is looked at from a deferred call (T-08).
    pub(crate) fn kick_all_later(&self) {
        for slot in 0..self.queue_pairs.capacity() {
            self.kicks.insert(slot);
        }
        self.platform.defer();
    }

    /// The queue pair in this slot goes on when frames are back.
    pub(crate) fn kick_with_frames(&self, slot: u32) {
        self.starved.insert(slot);
    }

    /// Sees to it that `owner` is looked at no later than `at`.
    pub(crate) fn enter_timer(&self, owner: Owner, at: Time, standing: &crate::timers::Standing) {
        self.timers.enter(owner, at, standing, |at| self.platform.set_timer(at));
    }

    /// Whether this is an address of the adapter.
    pub(crate) fn is_local(&self, address: IpAddr) -> bool {
        self.platform.interface(address).is_some()
    }
}

impl<P: Platform> Wake for Port<P> {
    fn queue_pair(&self, slot: u32) {
        self.kick_later(slot);
    }

    fn region(&self, index: u32) {
        if self.drained.insert(index) {
            self.platform.defer();
        }
    }
}
