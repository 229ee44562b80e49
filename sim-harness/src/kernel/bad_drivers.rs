//! Drivers that break one rule each, on purpose: every one is caught, with the rule's name and the call's.
//!
//! They call what the kernel exports as an image would: the hook hears of each call first.

use super::Machine;
use super::irql::{self, Irql};
use super::wdk::{self, KDPC, KEVENT, LARGE_INTEGER, MDL};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const POOL: u64 = 0x40;
const TAG: u32 = u32::from_le_bytes(*b"Test");

fn machine() -> (Arc<Machine>, Arc<AtomicU64>) {
    let clock = Arc::new(AtomicU64::new(0));
    (Machine::new("bad", clock.clone(), 1), clock)
}

/// Calls `$name` as an image does.
macro_rules! import {
    ($name:ident $(, $argument:expr)* $(,)?) => { import!(ntddk: $name $(, $argument)*) };
    ($types:ident: $name:ident $(, $argument:expr)* $(,)?) => {{
        use $crate::kernel::{Machine, machine::on_import, stack::Gate, wdk};
        let name = stringify!($name);
        let (place, address) = Machine::current().export_place("ntoskrnl.exe", name).expect(name);
        on_import(Gate::new(name.to_owned(), place, address, on_import).import());
        // SAFETY: the table's entry has this type: `exports!` checked it.
        let function: wdk::$types::$name = unsafe { std::mem::transmute(address) };
        // SAFETY: the arguments are memory that is there; what they break is what the test is about.
        unsafe { function($($argument),*) }
    }};
}
pub(super) use import;

/// The rules that `driver` breaks, with the calls it breaks them in.
pub(super) fn broken(driver: impl FnOnce(&Arc<Machine>, &AtomicU64)) -> Vec<(&'static str, &'static str)> {
    let (machine, clock) = machine();
    machine.enter(|| driver(&machine, &clock));
    irql::set(Irql::Passive);
    let all = machine.verifier.take();
    machine.sched.abandon();
    all.into_iter().map(|violation| (violation.rule, violation.call)).collect()
}

fn time(ticks: i64) -> LARGE_INTEGER {
    LARGE_INTEGER { QuadPart: ticks }
}

/// A block of the machine's pool.
fn block(bytes: usize) -> *mut u8 {
    import!(ExAllocatePool2, POOL, bytes, TAG).cast()
}

#[test]
fn pool_freed_twice_with_another_tag_or_written_over_is_caught() {
    let rules = broken(|_, _| {
        let twice = block(10);
        import!(ExFreePoolWithTag, twice.cast(), TAG);
        import!(ExFreePoolWithTag, twice.cast(), TAG);
        let other = block(10);
        import!(ExFreePoolWithTag, other.cast(), TAG + 1);
        let over = block(10);
        // SAFETY: the slack behind the block is still its page.
        unsafe { over.wrapping_add(10).write(1) };
        import!(ExFreePool, over.cast());
    });
    let with_tag = ("pool", "ExFreePoolWithTag");
    assert_eq!(rules, [with_tag, with_tag, ("pool", "ExFreePool")]);
}

#[test]
fn pool_without_a_tag_and_paged_pool_above_apc_level_are_caught() {
    let rules = broken(|_, _| {
        import!(ExAllocatePool2, POOL, 8, 0);
        import!(KfRaiseIrql, 2);
        import!(ExAllocatePool2, 0x100, 8, TAG);
    });
    assert_eq!(rules, [("pool", "ExAllocatePool2"), ("irql", "ExAllocatePool2")]);
}

#[test]
fn a_passive_call_at_dispatch_level_is_caught_with_its_name() {
    let rules = broken(|_, _| {
        import!(KfRaiseIrql, 2);
        import!(KeFlushQueuedDpcs);
    });
    assert_eq!(rules, [("irql", "KeFlushQueuedDpcs")]);
}

#[test]
fn an_irql_that_is_raised_down_or_lowered_up_is_caught() {
    let rules = broken(|_, _| {
        import!(KeLowerIrql, 2);
        import!(KfRaiseIrql, 0);
    });
    assert_eq!(rules, [("irql", "KeLowerIrql"), ("irql", "KfRaiseIrql")]);
}

#[test]
fn spin_locks_taken_twice_released_by_others_or_in_both_orders_are_caught() {
    let rules = broken(|_, _| {
        let (mut first, mut second) = (Box::new(0), Box::new(0));
        let old = import!(KeAcquireSpinLockRaiseToDpc, &raw mut *first);
        import!(KeAcquireSpinLockAtDpcLevel, &raw mut *first);
        import!(KeAcquireSpinLockAtDpcLevel, &raw mut *second);
        import!(KeReleaseSpinLockFromDpcLevel, &raw mut *second);
        import!(KeReleaseSpinLock, &raw mut *first, old);
        import!(KeReleaseSpinLock, &raw mut *first, old);
        let old = import!(KeAcquireSpinLockRaiseToDpc, &raw mut *second);
        import!(KeAcquireSpinLockAtDpcLevel, &raw mut *first);
        import!(KeReleaseSpinLockFromDpcLevel, &raw mut *first);
        import!(KeReleaseSpinLock, &raw mut *second, old);
    });
    let at_dpc = "KeAcquireSpinLockAtDpcLevel";
    assert_eq!(rules, [("deadlock", at_dpc), ("lock", "KeReleaseSpinLock"), ("lock order", at_dpc)]);
}

#[test]
fn a_wait_at_dispatch_level_one_that_never_ends_and_an_event_that_is_none_are_caught() {
    let rules = broken(|_, _| {
        let mut event = Box::<KEVENT>::default();
        import!(KeSetEvent, &raw mut *event, 0, 0);
        import!(KeInitializeEvent, &raw mut *event, 0, 0);
        let object = (&raw mut *event).cast();
        import!(KeWaitForSingleObject, object, 0, 0, 0, ptr::null_mut());
        import!(KfRaiseIrql, 2);
        import!(KeWaitForSingleObject, object, 0, 0, 0, ptr::null_mut());
    });
    let wait = "KeWaitForSingleObject";
    assert_eq!(rules, [("event", "KeSetEvent"), ("deadlock", wait), ("irql", wait), ("deadlock", wait)]);
}

/// W-06
#[test]
fn a_timer_that_is_gone_or_is_set_to_an_absolute_fine_time_is_caught() {
    let rules = broken(|_, _| {
        let timer = import!(ExAllocateTimer, None, ptr::null_mut(), 4);
        import!(ExSetTimer, timer, 5, 0, ptr::null_mut());
        import!(ExDeleteTimer, timer, 0, 1, ptr::null_mut());
        import!(ExCancelTimer, timer, ptr::null_mut());
    });
    assert_eq!(rules, [("W-06", "ExSetTimer"), ("timer", "ExDeleteTimer"), ("timer", "ExCancelTimer")]);
}

#[test]
fn work_items_freed_twice_queued_twice_or_without_a_device_are_caught() {
    unsafe extern "win64" fn nothing(_: wdk::PDEVICE_OBJECT, _: wdk::PVOID) {}
    let rules = broken(|_, _| {
        let item = import!(IoAllocateWorkItem, ptr::null_mut());
        import!(IoQueueWorkItem, item, Some(nothing), 1, ptr::null_mut());
        import!(IoQueueWorkItem, item, Some(nothing), 1, ptr::null_mut());
        import!(IoFreeWorkItem, item);
        import!(IoFreeWorkItem, item);
    });
    let item = |call| ("work item", call);
    let (queue, free) = (item("IoQueueWorkItem"), item("IoFreeWorkItem"));
    assert_eq!(rules, [item("IoAllocateWorkItem"), queue, free, free]);
}

#[test]
fn a_work_item_without_a_routine_is_caught() {
    let rules = broken(|machine, _| {
        let item = import!(IoAllocateWorkItem, ptr::without_provenance_mut(16));
        import!(IoQueueWorkItem, item, None, 1, ptr::null_mut());
        machine.settle();
        import!(IoFreeWorkItem, item);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, [("work item", "")]);
}

#[test]
fn a_dpc_that_is_none_and_one_that_comes_back_at_another_irql_are_caught() {
    unsafe extern "win64" fn lowers(_: *mut KDPC, _: wdk::PVOID, _: wdk::PVOID, _: wdk::PVOID) {
        irql::set(Irql::Passive);
    }
    let rules = broken(|machine, _| {
        // SAFETY: all zeroes is a KDPC: integers, null pointers, no routine.
        let mut dpc: Box<KDPC> = unsafe { Box::new(std::mem::zeroed()) };
        import!(KeInsertQueueDpc, &raw mut *dpc, ptr::null_mut(), ptr::null_mut());
        import!(KeInitializeDpc, &raw mut *dpc, Some(lowers), ptr::null_mut());
        import!(KeInsertQueueDpc, &raw mut *dpc, ptr::null_mut(), ptr::null_mut());
        machine.settle();
    });
    assert_eq!(rules, [("dpc", "KeInsertQueueDpc"), ("irql", "")]);
}

/// W-11
#[test]
fn pool_pages_that_are_mapped_again_and_mdls_that_are_none_are_caught() {
    let rules = broken(|_, _| {
        let memory = block(8192);
        let mdl = import!(IoAllocateMdl, memory.cast(), 8192, 0, 0, ptr::null_mut());
        import!(MmMapLockedPagesSpecifyCache, mdl, 0, 2, ptr::null_mut(), 1, 16);
        import!(MmBuildMdlForNonPagedPool, mdl);
        let again = import!(MmMapLockedPagesSpecifyCache, mdl, 0, 1, ptr::null_mut(), 0, 16);
        import!(MmUnmapLockedPages, again.wrapping_add(1), mdl);
        import!(IoFreeMdl, mdl);
        import!(IoFreeMdl, ptr::null_mut::<MDL>());
    });
    let map = ("W-11", "MmMapLockedPagesSpecifyCache");
    let tail = [("mdl", "MmUnmapLockedPages"), ("mdl", "IoFreeMdl")];
    assert!(rules.starts_with(&[map, map]) && rules.ends_with(&tail), "{rules:?}");
}

#[test]
fn what_a_driver_leaves_behind_is_a_leak_each() {
    let rules = broken(|machine, _| {
        let memory = block(10);
        import!(IoAllocateMdl, memory.cast(), 10, 0, 0, ptr::null_mut());
        import!(ExAllocateTimer, None, ptr::null_mut(), 4);
        import!(IoAllocateWorkItem, ptr::without_provenance_mut(16));
        // The MDL counts twice: as what it is, and as pool.
        assert_eq!(machine.check_leaks(), 5);
    });
    assert!(rules.len() == 5 && rules.iter().all(|&(rule, _)| rule == "leak"), "{rules:?}");
}

#[test]
fn spin_locks_of_dispatch_level_below_it_and_a_level_lowered_with_one_held_are_caught() {
    let rules = broken(|_, _| {
        let mut lock = Box::new(0);
        import!(KeAcquireSpinLockAtDpcLevel, &raw mut *lock);
        import!(KeReleaseSpinLockFromDpcLevel, &raw mut *lock);
        let old = import!(KeAcquireSpinLockRaiseToDpc, &raw mut *lock);
        import!(KeLowerIrql, 0);
        import!(KfRaiseIrql, 2);
        import!(KeReleaseSpinLock, &raw mut *lock, old);
    });
    let irql = |call| ("irql", call);
    assert_eq!(rules, ["KeAcquireSpinLockAtDpcLevel", "KeReleaseSpinLockFromDpcLevel", "KeLowerIrql"].map(irql));
}

#[test]
fn waits_announced_or_over_at_once_at_dispatch_level_and_long_stalls_are_caught() {
    let rules = broken(|_, _| {
        let mut event = Box::<KEVENT>::default();
        import!(KeInitializeEvent, &raw mut *event, 0, 0);
        import!(KfRaiseIrql, 2);
        import!(KeSetEvent, &raw mut *event, 0, 1);
        import!(KeWaitForSingleObject, (&raw mut *event).cast(), 0, 0, 0, ptr::null_mut());
        import!(KeStallExecutionProcessor, 51);
    });
    let (set, wait) = (("irql", "KeSetEvent"), ("irql", "KeWaitForSingleObject"));
    assert_eq!(rules, [set, wait, ("stall", "KeStallExecutionProcessor")]);
}

/// W-25
#[test]
fn a_dpc_that_queues_itself_for_ever_is_caught_and_ends_no_run() {
    unsafe extern "win64" fn again(dpc: *mut KDPC, _: wdk::PVOID, _: wdk::PVOID, _: wdk::PVOID) {
        import!(KeInsertQueueDpc, dpc, ptr::null_mut(), ptr::null_mut());
    }
    let rules = broken(|machine, _| {
        // SAFETY: all zeroes is a KDPC: integers, null pointers, no routine.
        let mut dpc: Box<KDPC> = unsafe { Box::new(std::mem::zeroed()) };
        import!(KeInitializeDpc, &raw mut *dpc, Some(again), ptr::null_mut());
        import!(KeInsertQueueDpc, &raw mut *dpc, ptr::null_mut(), ptr::null_mut());
        machine.settle();
    });
    assert_eq!(rules.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), ["W-25"]);
}

/// W-11: pages that are locked twice, never, freed while they are mapped, or none of the machine's; and device memory.
#[test]
fn pages_that_are_locked_and_mapped_wrongly_are_caught() {
    let rules = broken(|_, _| {
        let memory = block(8192);
        let mdl = import!(IoAllocateMdl, memory.cast(), 8192, 0, 0, ptr::null_mut());
        import!(MmUnlockPages, mdl);
        import!(MmProbeAndLockPages, mdl, 0, 0);
        import!(MmProbeAndLockPages, mdl, 0, 0);
        // SAFETY: the test's own MDL; the flag is MDL_IO_SPACE.
        unsafe { (*mdl).MdlFlags |= 0x800 };
        import!(MmMapLockedPagesSpecifyCache, mdl, 0, 1, ptr::null_mut(), 0, 16);
        import!(IoFreeMdl, mdl);
        let own = Box::new([0u8; 16]);
        let mdl = import!(IoAllocateMdl, own.as_ptr().cast_mut().cast(), 16, 0, 0, ptr::null_mut());
        import!(MmProbeAndLockPages, mdl, 0, 0);
        import!(MmBuildMdlForNonPagedPool, mdl);
    });
    let expected = [
        ("mdl", "MmUnlockPages"),
        ("mdl", "MmProbeAndLockPages"),
        ("W-11", "MmMapLockedPagesSpecifyCache"),
        ("mdl", "IoFreeMdl"),
        ("mdl", "MmProbeAndLockPages"),
        ("mdl", "MmBuildMdlForNonPagedPool"),
    ];
    assert_eq!(rules, expected);
}

/// What a driver that breaks nothing does is no violation, and time is the clock's.
#[test]
fn a_driver_that_keeps_the_rules_is_left_alone() {
    static FIRED: AtomicU64 = AtomicU64::new(0);
    unsafe extern "win64" fn fired(_: wdk::PEX_TIMER, _: wdk::PVOID) {
        FIRED.fetch_add(1, Ordering::SeqCst);
    }
    let rules = broken(|machine, clock| {
        let timer = import!(ExAllocateTimer, Some(fired), ptr::null_mut(), 4);
        import!(ExSetTimer, timer, -10_000, 0, ptr::null_mut());
        assert_eq!(machine.next_due(), Some(1_000_000));
        clock.store(1_000_000, Ordering::SeqCst);
        machine.run_due();
        assert_eq!(FIRED.load(Ordering::SeqCst), 1);
        import!(ExDeleteTimer, timer, 1, 1, ptr::null_mut());
        let mut event = Box::<KEVENT>::default();
        import!(KeInitializeEvent, &raw mut *event, 1, 1);
        let (object, mut none) = ((&raw mut *event).cast(), time(0));
        assert_eq!(import!(KeWaitForSingleObject, object, 0, 0, 0, &raw mut none), 0);
        assert_eq!(import!(KeWaitForSingleObject, object, 0, 0, 0, &raw mut none), 0x102);
        let memory = block(100);
        import!(ExFreePoolWithTag, memory.cast(), TAG);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}
