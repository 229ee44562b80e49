//! Work items of NDIS, which are those of the system: NdisAllocateIoWorkItem, NdisQueueIoWorkItem, NdisFreeIoWorkItem.
//!
//! Each belongs to the handle of a miniport driver or of an adapter; a protocol's handle has no driver object behind it.
//! What belongs to an adapter is freed before its MiniportHaltEx returns, the rest before the driver unloads.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::nt;
use ndk_types::*;
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first handle: no address of anything.
const FIRST: usize = 0x5749_0000;

/// See the module's text.
#[derive(Debug, Default)]
pub struct WorkItems {
    items: nt::work_items::WorkItems,
    owners: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    /// Whether anybody said whose handles these are; before that, every handle may be one.
    told: bool,
    handles: BTreeSet<usize>,
    /// Work items whose owners are gone.
    late: BTreeSet<usize>,
}

impl WorkItems {
    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this handle, of a miniport driver or of an adapter, may have work items.
    pub fn allow(&self, handle: usize) {
        let mut owners = self.owners();
        owners.told = true;
        owners.handles.insert(handle);
    }

    /// The handle is gone. A work item that it still has is too late to be freed, and is told then or as a leak.
    pub fn disallow(&self, handle: usize) {
        let mut owners = self.owners();
        owners.handles.remove(&handle);
        owners.late.extend(self.items.of(handle));
    }

    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        self.items.leaks().into_iter().map(|item| format!("NDIS {item}")).collect()
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_allocate_io_work_item(owner: NDIS_HANDLE) -> NDIS_HANDLE {
        let machine = Machine::current();
        let all = &machine.ndis.work_items;
        let owners = all.owners();
        let known = owners.handles.contains(&owner.addr()) || !owners.told && !owner.is_null();
        drop(owners);
        if !known {
            let text = format!("handle {:#x} is no miniport driver's and no adapter's", owner.addr());
            machine.violation("work item", text);
            return ptr::null_mut();
        }
        if machine.take_failure("NdisAllocateIoWorkItem") {
            return ptr::null_mut();
        }
        ptr::without_provenance_mut(all.items.allocate(FIRST, owner.addr()))
    }

    unsafe extern "C" fn ndis_queue_io_work_item(
        item: NDIS_HANDLE,
        routine: NDIS_IO_WORKITEM_ROUTINE,
        context: *mut c_void,
    ) {
        let machine = Machine::current();
        let Some(routine) = routine else {
            return machine.violation("work item", "a work item without a routine");
        };
        let (handle, context) = (item.addr(), context.expose_provenance());
        let owner = machine.clone();
        nt::work_items::WorkItems::queue(&machine, |machine| &machine.ndis.work_items.items, handle, move |_| {
            let (context, item) = (ptr::with_exposed_provenance_mut(context), ptr::without_provenance_mut(handle));
            owner.callback("a work item's routine", Irql::Passive, || {
                // SAFETY: the routine's contract: the context it was queued with, and its item.
                unsafe { crate::call_image!(routine, context, item) }
            });
        });
    }

    unsafe extern "C" fn ndis_free_io_work_item(item: NDIS_HANDLE) {
        let machine = Machine::current();
        let all = &machine.ndis.work_items;
        if all.owners().late.remove(&item.addr()) {
            machine.violation("work item", "a work item is freed after the adapter or driver it belongs to is gone");
        }
        all.items.free(&machine, item.addr());
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisAllocateIoWorkItem <= Dispatch = ndis_allocate_io_work_item,
        NdisQueueIoWorkItem <= Dispatch = ndis_queue_io_work_item,
        NdisFreeIoWorkItem <= Dispatch = ndis_free_io_work_item,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::irql;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    const ADAPTER: usize = 0x4000;

    /// What a work item's routine works with.
    struct Context {
        runs: AtomicU64,
        free: bool,
    }

    ndk_types::abi! {
        unsafe extern "C" fn runs(context: *mut c_void, item: NDIS_HANDLE) {
            // SAFETY: the tests queue with a context that outlives the machine's threads.
            let context = unsafe { &*context.cast::<Context>() };
            assert_eq!(irql::current(), Irql::Passive);
            context.runs.fetch_add(1, Ordering::SeqCst);
            if context.free {
                free(item);
            }
        }
    }

    fn allocate(owner: usize) -> NDIS_HANDLE {
        // SAFETY: any number: what is none is told.
        unsafe { ndis_allocate_io_work_item(ptr::without_provenance_mut(owner)) }
    }

    fn queue(item: NDIS_HANDLE, context: &Context) {
        // SAFETY: the context outlives the machine's threads.
        unsafe { ndis_queue_io_work_item(item, Some(runs), ptr::from_ref(context).cast_mut().cast()) };
    }

    fn free(item: NDIS_HANDLE) {
        // SAFETY: any number: what is none is told.
        unsafe { ndis_free_io_work_item(item) };
    }

    fn context(free: bool) -> Context {
        Context { runs: AtomicU64::new(0), free }
    }

    /// Runs a driver on a machine with one adapter; gives the number of violations of the rule "work item".
    fn broken(driver: impl FnOnce(&Arc<Machine>)) -> usize {
        let machine = Machine::new("working", Arc::new(AtomicU64::new(0)), 1);
        machine.ndis.work_items.allow(ADAPTER);
        machine.enter(|| driver(&machine));
        machine.settle();
        let all = machine.verifier.take();
        assert!(all.iter().all(|violation| violation.rule == "work item"), "{all:?}");
        all.len()
    }

    /// W-06
    #[test]
    fn a_routine_runs_once_each_time_its_item_is_queued_later_and_at_passive_level() {
        let context = context(false);
        let told = broken(|machine| {
            let item = allocate(ADAPTER);
            irql::at(Irql::Dispatch, || queue(item, &context));
            assert_eq!(context.runs.load(Ordering::SeqCst), 0);
            machine.settle();
            queue(item, &context);
            machine.settle();
            assert_eq!((context.runs.load(Ordering::SeqCst), machine.ndis.leaks().len()), (2, 1));
            free(item);
            assert!(machine.ndis.leaks().is_empty());
        });
        assert_eq!(told, 0);
    }

    #[test]
    fn a_routine_may_free_its_own_item_and_the_halt_then_finds_none() {
        let context = context(true);
        let told = broken(|machine| {
            queue(allocate(ADAPTER), &context);
            machine.settle();
            machine.ndis.work_items.disallow(ADAPTER);
            assert!(machine.ndis.leaks().is_empty());
        });
        assert_eq!((told, context.runs.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn an_item_that_is_queued_is_not_queued_again_and_not_freed() {
        let context = context(false);
        let told = broken(|machine| {
            let item = allocate(ADAPTER);
            queue(item, &context);
            queue(item, &context);
            free(item);
            free(item);
            queue(item, &context);
            machine.settle();
        });
        // Queued twice, freed while queued, freed and queued as none.
        assert_eq!((told, context.runs.load(Ordering::SeqCst)), (4, 1));
    }

    #[test]
    fn a_protocols_handle_has_no_work_items_and_neither_has_an_adapter_that_is_gone() {
        let told = broken(|machine| {
            assert!(allocate(ADAPTER + 1).is_null() && allocate(0).is_null());
            let item = allocate(ADAPTER);
            machine.ndis.work_items.disallow(ADAPTER);
            assert!(allocate(ADAPTER).is_null());
            // SAFETY: a routine is not there to be called.
            unsafe { ndis_queue_io_work_item(item, None, ptr::null_mut()) };
            free(item);
        });
        assert_eq!(told, 5);
    }

    #[test]
    fn an_allocation_fails_once() {
        let told = broken(|machine| {
            machine.fail_once("NdisAllocateIoWorkItem");
            assert!(allocate(ADAPTER).is_null());
            free(allocate(ADAPTER));
        });
        assert_eq!(told, 0);
    }
}
