//! Work items of one kind: those of IoAllocateWorkItem, and those that NDIS makes of them.
//!
//! A routine runs once each time its item is queued, at PASSIVE_LEVEL, on a kernel thread of its own. From its first
//! instruction the item may be queued again, or freed by the routine itself. Queueing or freeing an item that is queued, or
//! that is none, is a violation.

use crate::kernel::Machine;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug)]
struct Item {
    owner: usize,
    queued: bool,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<usize, Item>,
    made: usize,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct WorkItems(Mutex<State>);

impl WorkItems {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new item of this owner. Its handle is a number from `first` on and no address: whoever looks inside faults.
    pub fn allocate(&self, first: usize, owner: usize) -> usize {
        let mut state = self.state();
        state.made += 1;
        let handle = first + state.made * 16;
        state.items.insert(handle, Item { owner, queued: false });
        handle
    }

    /// The items of an owner.
    pub fn of(&self, owner: usize) -> Vec<usize> {
        let state = self.state();
        state.items.iter().filter(|(_, item)| item.owner == owner).map(|(&handle, _)| handle).collect()
    }

    /// Has `routine` run with the item's owner. `all` says where a machine keeps the items of this kind.
    pub fn queue(
        machine: &Arc<Machine>,
        all: fn(&Machine) -> &Self,
        handle: usize,
        routine: impl FnOnce(usize) + Send + 'static,
    ) {
        let owner = match all(machine).state().items.get_mut(&handle) {
            None => Err("is queued and is none"),
            Some(item) if item.queued => Err("is queued while it is queued"),
            Some(item) => {
                item.queued = true;
                Ok(item.owner)
            }
        };
        let owner = match owner {
            Ok(owner) => owner,
            Err(what) => return machine.violation("work item", format!("work item {handle:#x} {what}")),
        };
        let of = machine.clone();
        machine.thread("a work item", move || {
            if let Some(item) = all(&of).state().items.get_mut(&handle) {
                item.queued = false;
            }
            routine(owner);
        });
    }

    /// Frees an item.
    pub fn free(&self, machine: &Machine, handle: usize) {
        let gone = self.state().items.remove(&handle);
        match gone {
            None => machine.violation("work item", format!("work item {handle:#x} is freed and is none")),
            Some(Item { queued: true, .. }) => machine.violation("work item", "a queued work item is freed"),
            Some(_) => (),
        }
    }

    /// What drivers left behind.
    pub fn leaks(&self) -> Vec<String> {
        self.state().items.keys().map(|item| format!("work item {item:#x}")).collect()
    }
}
