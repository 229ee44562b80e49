//! Deferred procedure calls and work items.

use super::work_items::WorkItems;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::Irql;
use crate::kernel::wdk::{
    BOOLEAN, KDPC, KDPC_IMPORTANCE, PDEVICE_OBJECT, PIO_WORKITEM, PIO_WORKITEM_ROUTINE, PIO_WORKITEM_ROUTINE_EX,
    PKDEFERRED_ROUTINE, PRKDPC, PVOID, WORK_QUEUE_TYPE,
};
use std::collections::VecDeque;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The type of a DPC object, in its first byte.
const DPC_OBJECT: u32 = 19;

/// The first handle of a work item.
const FIRST_ITEM: usize = 0x10_0000;

/// The DPCs that are queued or run.
#[derive(Debug, Default)]
struct Dpcs {
    /// Their addresses, each with its number in the order of queueing.
    queued: VecDeque<(usize, u64)>,
    /// Numbers of those that run.
    running: Vec<u64>,
    last: u64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Deferred {
    dpcs: Mutex<Dpcs>,
    items: WorkItems,
}

impl Deferred {
    fn dpcs(&self) -> MutexGuard<'_, Dpcs> {
        self.dpcs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the DPCs that are queued now, in order; says whether there was one.
    pub(super) fn run(&self, machine: &Arc<Machine>) -> bool {
        let mut any = false;
        for _ in 0..10_000 {
            if !self.run_one(machine) {
                return any;
            }
            any = true;
        }
        machine.violation("W-25", "ten thousand DPCs in a row: they queue each other");
        // The run goes on without them, or it would have no end.
        for (address, _) in std::mem::take(&mut self.dpcs().queued) {
            let dpc: PRKDPC = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the page of KeInsertQueueDpc: the object stays until its routine runs, or it is removed.
            unsafe { (*dpc).DpcData = ptr::null_mut() };
        }
        any
    }

    /// Runs the first that is queued; false when none is.
    fn run_one(&self, machine: &Arc<Machine>) -> bool {
        let (dpc, taken, number) = {
            let mut dpcs = self.dpcs();
            let Some((address, number)) = dpcs.queued.pop_front() else { return false };
            dpcs.running.push(number);
            let dpc: PRKDPC = ptr::with_exposed_provenance_mut(address);
            // SAFETY: the page of KeInsertQueueDpc: the object stays until its routine runs, or it is removed.
            let taken = unsafe { dpc.read() };
            // SAFETY: as above.
            unsafe { (*dpc).DpcData = ptr::null_mut() };
            (dpc, taken, number)
        };
        run_dpc(machine, dpc, &taken);
        self.dpcs().running.retain(|&running| running != number);
        machine.sched.note();
        true
    }

    /// Whether every DPC that was queued up to this one has run.
    fn have_run(&self, last: u64) -> bool {
        let dpcs = self.dpcs();
        dpcs.queued.iter().all(|&(_, number)| number > last) && dpcs.running.iter().all(|&number| number > last)
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let mut leaks = self.items.leaks();
        leaks.extend(self.dpcs().queued.iter().map(|(dpc, _)| format!("a queued DPC {dpc:#x}")));
        leaks
    }
}

fn run_dpc(machine: &Arc<Machine>, dpc: PRKDPC, taken: &KDPC) {
    let Some(routine) = taken.DeferredRoutine else { return };
    machine.callback("a DPC routine", Irql::Dispatch, || {
        // SAFETY: the routine's contract: its own DPC and the arguments it was queued with.
        unsafe {
            crate::call_image!(routine, dpc, taken.DeferredContext, taken.SystemArgument1, taken.SystemArgument2);
        }
    });
}

/// What a work item runs.
enum Routine {
    Plain(PIO_WORKITEM_ROUTINE),
    Extended(PIO_WORKITEM_ROUTINE_EX),
}

fn queue(item: PIO_WORKITEM, routine: Routine, context: PVOID) {
    let machine = Machine::current();
    let (handle, context) = (item.addr(), context.expose_provenance());
    let owner = machine.clone();
    WorkItems::queue(
        &machine,
        |machine| &machine.nt.deferred.items,
        handle,
        move |object| {
            let (object, context) =
                (ptr::with_exposed_provenance_mut(object), ptr::with_exposed_provenance_mut(context));
            owner.callback("a work item's routine", Irql::Passive, || match routine {
                Routine::Plain(Some(routine)) => {
                    // SAFETY: the routine's contract: the device it was allocated for and its context.
                    unsafe { crate::call_image!(routine, object, context) }
                }
                Routine::Extended(Some(routine)) => {
                    let object: PDEVICE_OBJECT = object;
                    let item: PIO_WORKITEM = ptr::without_provenance_mut(handle);
                    // SAFETY: as above, and the item itself.
                    unsafe { crate::call_image!(routine, object.cast(), context, item) }
                }
                _ => owner.violation("work item", "a work item without a routine"),
            });
        },
    );
}

/// Queues a DPC; false when it is queued already.
pub(super) fn queue_dpc(machine: &Arc<Machine>, dpc: PRKDPC, first: PVOID, second: PVOID) -> bool {
    // SAFETY: the page of KeInsertQueueDpc: an initialized DPC object in resident memory; this word is written before it is used.
    if unsafe { (*dpc).__bindgen_anon_1 } & 0xff != DPC_OBJECT {
        machine.violation("dpc", format!("DPC {:#x} was not initialized", dpc.addr()));
        return false;
    }
    let mut dpcs = machine.nt.deferred.dpcs();
    let address = dpc.expose_provenance();
    if dpcs.queued.iter().any(|&(queued, _)| queued == address) {
        return false;
    }
    // SAFETY: as above; the rest changes under the lock of the queue.
    let object = unsafe { &mut *dpc };
    object.SystemArgument1 = first;
    object.SystemArgument2 = second;
    object.DpcData = dpc.cast();
    dpcs.last += 1;
    let number = dpcs.last;
    dpcs.queued.push_back((address, number));
    drop(dpcs);
    // What was removed from the queue by then is not run.
    machine.post(None, |machine| {
        machine.nt.deferred.run_one(machine);
    });
    true
}

ndk_types::abi! {
    unsafe extern "C" fn ke_initialize_dpc(dpc: PRKDPC, routine: PKDEFERRED_ROUTINE, context: PVOID) {
        let new = crate::kernel::wdk::KDPC {
            __bindgen_anon_1: DPC_OBJECT,
            DpcListEntry: ptr::null_mut(),
            ProcessorHistory: 0,
            DeferredRoutine: routine,
            DeferredContext: context,
            SystemArgument1: ptr::null_mut(),
            SystemArgument2: ptr::null_mut(),
            DpcData: ptr::null_mut(),
        };
        // SAFETY: the page: storage for a DPC object.
        unsafe { dpc.write(new) };
    }

    unsafe extern "C" fn ke_insert_queue_dpc(dpc: PRKDPC, first: PVOID, second: PVOID) -> BOOLEAN {
        BOOLEAN::from(queue_dpc(&Machine::current(), dpc, first, second))
    }

    unsafe extern "C" fn ke_remove_queue_dpc(dpc: PRKDPC) -> BOOLEAN {
        let machine = Machine::current();
        let mut dpcs = machine.nt.deferred.dpcs();
        let before = dpcs.queued.len();
        dpcs.queued.retain(|&(queued, _)| queued != dpc.addr());
        BOOLEAN::from(dpcs.queued.len() != before)
    }

    unsafe extern "C" fn ke_flush_queued_dpcs() {
        let machine = Machine::current();
        if machine.processors().is_none() {
            machine.nt.deferred.run(&machine);
            return;
        }
        let (owner, last) = (machine.clone(), machine.nt.deferred.dpcs().last);
        machine.wait("the DPCs queued before", None, move || owner.nt.deferred.have_run(last));
    }

    unsafe extern "C" fn ke_set_importance_dpc(_dpc: PRKDPC, _importance: KDPC_IMPORTANCE) {}

    unsafe extern "C" fn io_allocate_work_item(device: PDEVICE_OBJECT) -> PIO_WORKITEM {
        let machine = Machine::current();
        if device.is_null() {
            machine.violation("work item", "IoAllocateWorkItem without a device object");
        }
        if machine.take_failure("IoAllocateWorkItem") {
            return ptr::null_mut();
        }
        ptr::without_provenance_mut(machine.nt.deferred.items.allocate(FIRST_ITEM, device.expose_provenance()))
    }

    unsafe extern "C" fn io_queue_work_item(
        item: PIO_WORKITEM,
        routine: PIO_WORKITEM_ROUTINE,
        _queue: WORK_QUEUE_TYPE,
        context: PVOID,
    ) {
        queue(item, Routine::Plain(routine), context);
    }

    unsafe extern "C" fn io_queue_work_item_ex(
        item: PIO_WORKITEM,
        routine: PIO_WORKITEM_ROUTINE_EX,
        _queue: WORK_QUEUE_TYPE,
        context: PVOID,
    ) {
        queue(item, Routine::Extended(routine), context);
    }

    unsafe extern "C" fn io_free_work_item(item: PIO_WORKITEM) {
        let machine = Machine::current();
        machine.nt.deferred.items.free(&machine, item.addr());
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeInitializeDpc <= High = ke_initialize_dpc,
        KeInsertQueueDpc <= High = ke_insert_queue_dpc,
        KeRemoveQueueDpc <= High = ke_remove_queue_dpc,
        KeFlushQueuedDpcs <= Passive = ke_flush_queued_dpcs,
        KeSetImportanceDpc <= High = ke_set_importance_dpc,
        IoAllocateWorkItem <= Dispatch = io_allocate_work_item,
        IoQueueWorkItem <= Dispatch = io_queue_work_item,
        IoQueueWorkItemEx <= Dispatch = io_queue_work_item_ex,
        IoFreeWorkItem <= Dispatch = io_free_work_item,
    }
}
