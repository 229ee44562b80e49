//! ntoskrnl.exe: pool, IRQL and spin locks, events and waits, DPCs, timers, work items, MDLs, time, strings, the end.
//!
//! Each function is what its page in the driver documentation says; what the page forbids is a violation.

pub mod addresses;
#[cfg(test)]
mod bad_threads;
#[cfg(test)]
mod c_drivers;
pub mod c_runtime;
pub(super) mod data;
pub mod deferred;
pub mod etw;
pub mod event_log;
pub mod events;
pub mod io;
pub mod lists;
pub mod locks;
pub mod lookaside;
pub mod mdl;
pub mod memory;
pub mod pool;
pub mod printf;
pub mod queued_locks;
pub mod registry;
pub mod resources;
pub mod rundown;
pub mod runtime;
pub mod security;
pub mod strings;
pub mod system;
pub mod threads;
pub mod time;
pub mod timers;
pub mod waits;
pub mod work_items;
pub mod zw;
pub mod zw_keys;

use super::Machine;
use super::export::Export;
use crate::dice::Dice;
use memory::PhysicalMemory;
use pool::{Pool, tag_text};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A machine's physical memory, in bytes.
pub const MEMORY: usize = 4 << 30;

/// The state of ntoskrnl on one machine.
#[derive(Debug)]
pub struct Nt {
    /// Physical memory, which machines may share.
    pub memory: Arc<PhysicalMemory>,
    /// The pool.
    pub pool: Pool,
    /// The registry.
    pub registry: registry::Registry,
    deferred: deferred::Deferred,
    timers: timers::Timers,
    /// MDLs and mappings.
    pub mdls: mdl::Mdls,
    locks: locks::Locks,
    /// The I/O manager.
    pub io: io::Io,
    threads: threads::Threads,
    doors: lookaside::Doors,
    tracing: etw::Tracing,
    resources: resources::Resources,
    /// The files of its disk.
    pub disk: zw::Disk,
    /// Held while a wait is found to be over and takes what ended it.
    dispatcher: Mutex<()>,
    /// Held by functions on interlocked lists.
    interlock: Mutex<()>,
    dice: Mutex<Dice>,
}

impl Nt {
    pub(super) fn new(seed: u64, memory: Arc<PhysicalMemory>) -> Self {
        Self {
            memory,
            pool: Pool::default(),
            registry: registry::Registry::default(),
            deferred: deferred::Deferred::default(),
            timers: timers::Timers::default(),
            mdls: mdl::Mdls::default(),
            locks: locks::Locks::default(),
            io: io::Io::default(),
            threads: threads::Threads::default(),
            doors: lookaside::Doors::default(),
            tracing: etw::Tracing::default(),
            resources: resources::Resources::default(),
            disk: zw::Disk::default(),
            dispatcher: Mutex::default(),
            interlock: Mutex::default(),
            dice: Mutex::new(Dice::new(seed, 0x6e74)),
        }
    }

    /// A number by chance.
    pub fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn dispatcher(&self) -> MutexGuard<'_, ()> {
        self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interlock(&self) -> MutexGuard<'_, ()> {
        self.interlock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn run_timers(&self, machine: &Arc<Machine>) {
        self.timers.run(machine);
    }

    /// How many timers are due.
    pub(super) fn due_timers(&self, now: u64) -> usize {
        self.timers.due(now)
    }

    /// The same for the first that is due, if one is.
    pub(super) fn run_timer(&self, machine: &Arc<Machine>) {
        self.timers.run_one(machine);
    }

    pub(super) fn next_timer(&self) -> Option<u64> {
        self.timers.next()
    }

    pub(super) fn run_dpcs(&self, machine: &Arc<Machine>) -> bool {
        self.deferred.run(machine)
    }

    /// What is left of a driver that has unloaded.
    pub fn leaks(&self) -> Vec<String> {
        let block = |(at, block): (usize, pool::Block)| {
            format!("{} bytes of pool with the tag '{}' at {at:#x}", block.bytes, tag_text(block.tag))
        };
        let live = self.pool.live().into_iter().filter(|(_, block)| block.tag != pool::NDIS_TAG);
        let mut leaks: Vec<_> = live.map(block).collect();
        leaks.extend(self.timers.leaks());
        leaks.extend(self.deferred.leaks());
        leaks.extend(self.mdls.leaks());
        leaks.extend(self.io.leaks());
        leaks.extend(self.threads.leaks());
        leaks.extend(self.doors.leaks());
        leaks.extend(self.tracing.leaks());
        leaks.extend(self.resources.leaks());
        leaks
    }
}

/// Everything an image may import from ntoskrnl.exe.
pub fn exports() -> Vec<Export> {
    let mut all = Vec::new();
    all.extend(runtime::exports());
    all.extend(event_log::exports());
    all.extend(locks::exports());
    all.extend(events::exports());
    all.extend(deferred::exports());
    all.extend(timers::exports());
    all.extend(mdl::exports());
    all.extend(io::exports());
    all.extend(addresses::exports());
    all.extend(c_runtime::exports());
    all.extend(etw::exports());
    all.extend(lists::exports());
    all.extend(lookaside::exports());
    all.extend(printf::exports());
    all.extend(queued_locks::exports());
    all.extend(rundown::exports());
    all.extend(resources::exports());
    all.extend(security::exports());
    all.extend(system::exports());
    all.extend(strings::exports());
    all.extend(threads::exports());
    all.extend(time::exports());
    all.extend(waits::exports());
    all.extend(zw::exports());
    all.extend(zw_keys::exports());
    all
}
