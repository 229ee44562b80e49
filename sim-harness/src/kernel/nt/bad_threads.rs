//! Threads, objects to wait for, timers, run-down protection, queued locks and lists: used well, and each rule broken on purpose.

use crate::kernel::Machine;
use crate::kernel::bad_drivers::{broken, import};
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::*;
use ndk_types::{STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS, STATUS_TIMEOUT};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[expect(clippy::unnecessary_box_returns, reason = "objects of a kernel stay where they are")]
fn zeroed<T>() -> Box<T> {
    // SAFETY: the objects of these tests are integers and pointers: all zeroes is one of them.
    unsafe { Box::new(std::mem::zeroed()) }
}

fn create(routine: PKSTART_ROUTINE, context: PVOID) -> HANDLE {
    let mut handle = ptr::null_mut();
    let none = ptr::null_mut();
    let status =
        import!(PsCreateSystemThread, &raw mut handle, 0, ptr::null_mut(), none, ptr::null_mut(), routine, context);
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

/// The object of a thread, with a reference; its handle is closed.
fn object_of(handle: HANDLE) -> PVOID {
    let mut object = ptr::null_mut();
    let status = import!(ObReferenceObjectByHandle, handle, 0, ptr::null_mut(), 0, &raw mut object, ptr::null_mut());
    assert_eq!(status, STATUS_SUCCESS);
    assert_eq!(import!(ZwClose, handle), STATUS_SUCCESS);
    object
}

fn wait(object: PVOID, timeout: Option<i64>) -> NTSTATUS {
    let mut time = LARGE_INTEGER { QuadPart: timeout.unwrap_or(0) };
    let time = if timeout.is_some() { &raw mut time } else { ptr::null_mut() };
    import!(KeWaitForSingleObject, object, 0, 0, 0, time)
}

fn wait_for(objects: &mut [PVOID], all: bool, timeout: i64) -> NTSTATUS {
    let mut time = LARGE_INTEGER { QuadPart: timeout };
    let (count, kind) = (objects.len() as u32, i32::from(!all));
    let none = ptr::null_mut();
    import!(KeWaitForMultipleObjects, count, objects.as_mut_ptr(), kind, 0, 0, 0, &raw mut time, none)
}

#[repr(C)]
struct Shared {
    event: KEVENT,
    count: AtomicU64,
}

/// Waits, counts, and ends itself: what comes after that is not reached.
unsafe extern "win64" fn counts(context: PVOID) {
    let shared: *mut Shared = context.cast();
    wait(shared.cast(), None);
    // SAFETY: the test's own, which it keeps until the thread has ended.
    unsafe { (*shared).count.fetch_add(1, Ordering::SeqCst) };
    import!(PsTerminateSystemThread, STATUS_SUCCESS);
    // SAFETY: as above.
    unsafe { (*shared).count.fetch_add(100, Ordering::SeqCst) };
}

#[test]
fn a_system_thread_ends_itself_and_who_has_its_object_hears_of_it() {
    let rules = broken(|machine, _| {
        let mut shared = zeroed::<Shared>();
        import!(KeInitializeEvent, &raw mut shared.event, 0, 0);
        let threads: Vec<_> = (0..3).map(|_| object_of(create(Some(counts), (&raw mut *shared).cast()))).collect();
        machine.settle();
        assert_eq!(machine.sched.alive(), 3);
        import!(KeSetEvent, &raw mut shared.event, 0, 0);
        for thread in threads {
            assert_eq!(wait(thread, None), STATUS_SUCCESS);
            assert_eq!(import!(ObfReferenceObject, thread), 2);
            assert_eq!((import!(ObfDereferenceObject, thread), import!(ObfDereferenceObject, thread)), (1, 0));
        }
        assert_eq!((shared.count.load(Ordering::SeqCst), machine.sched.alive()), (3, 0));
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}

unsafe extern "win64" fn waits_for_ever(context: PVOID) {
    loop {
        wait(context, None);
    }
}

/// Its driver would wait again and again: the end of the run must not wait for that.
#[test]
fn a_thread_that_still_waits_is_a_leak_and_does_not_outlive_the_run() {
    let mut event = zeroed::<KEVENT>();
    let at = (&raw mut *event).expose_provenance();
    let rules = broken(|machine, _| {
        let event = ptr::with_exposed_provenance_mut(at);
        import!(KeInitializeEvent, event, 0, 0);
        let handle = create(Some(waits_for_ever), event.cast());
        machine.settle();
        // The thread, its block, its wait and the handle.
        assert_eq!(machine.check_leaks(), 4);
        import!(ZwClose, handle);
    });
    assert!(rules.len() == 4 && rules.iter().all(|&(rule, _)| rule == "leak"), "{rules:?}");
}

unsafe extern "win64" fn ends_badly(context: PVOID) {
    let mutex: PRKMUTEX = context.cast();
    import!(KeInitializeMutex, mutex, 0);
    wait(context, None);
    import!(KeEnterCriticalRegion);
    import!(PsTerminateSystemThread, STATUS_SUCCESS);
}

#[test]
fn handles_and_objects_that_are_none_and_threads_that_end_badly_are_caught() {
    let rules = broken(|machine, _| {
        let none: HANDLE = ptr::without_provenance_mut(8);
        assert_eq!(import!(ZwClose, none), STATUS_INVALID_HANDLE);
        let mut object = ptr::null_mut();
        let status = import!(ObReferenceObjectByHandle, none, 0, ptr::null_mut(), 0, &raw mut object, ptr::null_mut());
        assert_eq!(status, STATUS_INVALID_HANDLE);
        import!(ObfDereferenceObject, none);
        import!(PsTerminateSystemThread, STATUS_SUCCESS);
        import!(KeLeaveCriticalRegion);
        let mut mutex = zeroed::<KMUTANT>();
        let handle = create(Some(ends_badly), (&raw mut *mutex).cast());
        let other = ptr::without_provenance_mut(16);
        let status = import!(ObReferenceObjectByHandle, handle, 0, other, 0, &raw mut object, ptr::null_mut());
        assert_eq!(status, STATUS_OBJECT_TYPE_MISMATCH);
        machine.settle();
        import!(ZwClose, handle);
        assert_eq!(machine.check_leaks(), 0);
    });
    let thread = ("thread", "");
    assert_eq!(
        rules,
        [
            ("handle", "ZwClose"),
            ("handle", "ObReferenceObjectByHandle"),
            ("object", "ObfDereferenceObject"),
            ("thread", "PsTerminateSystemThread"),
            ("thread", "KeLeaveCriticalRegion"),
            thread,
            thread
        ]
    );
}

#[test]
fn a_wait_for_several_takes_the_first_or_all_of_them() {
    let rules = broken(|_, _| {
        let (mut first, mut second, mut third) = (zeroed::<KEVENT>(), zeroed::<KSEMAPHORE>(), zeroed::<KMUTANT>());
        import!(KeInitializeEvent, &raw mut *first, 1, 0);
        import!(KeInitializeSemaphore, &raw mut *second, 1, 2);
        import!(KeInitializeMutex, &raw mut *third, 0);
        let mut all: [PVOID; 3] = [(&raw mut *first).cast(), (&raw mut *second).cast(), (&raw mut *third).cast()];
        assert_eq!(wait_for(&mut all, true, 0), STATUS_TIMEOUT);
        assert_eq!((wait_for(&mut all, false, 0), wait_for(&mut all, false, 0)), (1, 2));
        // What is owned may be owned again.
        assert_eq!((wait_for(&mut all, false, 0), import!(KeReadStateMutex, &raw mut *third)), (2, -1));
        assert_eq!((import!(KeSetEvent, &raw mut *first, 0, 0), import!(KeSetEvent, &raw mut *first, 0, 0)), (0, 1));
        assert_eq!(import!(KeReleaseSemaphore, &raw mut *second, 0, 2, 0), 0);
        assert_eq!(wait_for(&mut all, true, 0), 0);
        assert_eq!((import!(KeResetEvent, &raw mut *first), import!(KeReadStateSemaphore, &raw mut *second)), (0, 1));
        let releases: Vec<_> = (0..3).map(|_| import!(KeReleaseMutex, &raw mut *third, 0)).collect();
        assert_eq!((releases, import!(KeReadStateMutex, &raw mut *third)), (vec![-2, -1, 0], 1));
    });
    assert_eq!(rules, []);
}

#[test]
fn waits_for_too_many_and_mutexes_and_semaphores_used_wrongly_are_caught() {
    let rules = broken(|_, _| {
        let (mut semaphore, mut mutex) = (zeroed::<KSEMAPHORE>(), zeroed::<KMUTANT>());
        import!(KeReleaseMutex, &raw mut *mutex, 0);
        import!(KeInitializeMutex, &raw mut *mutex, 0);
        import!(KeReleaseMutex, &raw mut *mutex, 0);
        import!(KeInitializeSemaphore, &raw mut *semaphore, 2, 1);
        import!(KeReleaseSemaphore, &raw mut *semaphore, 0, 1, 0);
        import!(KeReadStateSemaphore, (&raw mut *mutex).cast());
        let mut four: [PVOID; 4] = [(&raw mut *mutex).cast(); 4];
        wait_for(&mut four, false, 0);
    });
    let semaphore = |call| ("semaphore", call);
    let release = ("mutex", "KeReleaseMutex");
    let calls = ["KeInitializeSemaphore", "KeReleaseSemaphore", "KeReadStateSemaphore"].map(semaphore);
    let expected = [&[release, release][..], &calls, &[("wait", "KeWaitForMultipleObjects")]].concat();
    assert_eq!(rules, expected);
}

#[test]
fn a_fast_mutex_raises_to_apc_level_and_is_released_by_its_owner() {
    let rules = broken(|_, _| {
        let mut mutex = zeroed::<FAST_MUTEX>();
        mutex.Count = 1;
        let mutex = &raw mut *mutex;
        import!(ExAcquireFastMutex, mutex);
        assert_eq!((irql::current(), import!(ExTryToAcquireFastMutex, mutex)), (Irql::Apc, 0));
        import!(ExReleaseFastMutex, mutex);
        assert_eq!((irql::current(), import!(ExTryToAcquireFastMutex, mutex)), (Irql::Passive, 1));
        import!(ExReleaseFastMutex, mutex);
        import!(ExReleaseFastMutex, mutex);
    });
    assert_eq!(rules, [("mutex", "ExReleaseFastMutex")]);
}

static FIRED: AtomicU64 = AtomicU64::new(0);

unsafe extern "win64" fn fired(_: *mut KDPC, _: PVOID, _: PVOID, _: PVOID) {
    FIRED.fetch_add(1, Ordering::SeqCst);
}

fn pass(machine: &Arc<Machine>, clock: &AtomicU64, milliseconds: u64) {
    clock.fetch_add(milliseconds * 1_000_000, Ordering::SeqCst);
    machine.run_due();
}

#[test]
fn a_timer_object_is_signaled_queues_its_dpc_and_comes_again() {
    let rules = broken(|machine, clock| {
        let (mut timer, mut dpc) = (zeroed::<KTIMER>(), zeroed::<KDPC>());
        let (timer, dpc) = (&raw mut *timer, &raw mut *dpc);
        import!(KeInitializeDpc, dpc, Some(fired), ptr::null_mut());
        import!(KeInitializeTimerEx, timer, _TIMER_TYPE::SynchronizationTimer);
        let due = LARGE_INTEGER { QuadPart: -10_000 };
        assert_eq!(import!(KeSetTimerEx, timer, due, 20, dpc), 0);
        assert_eq!((import!(KeSetTimerEx, timer, due, 20, dpc), import!(KeReadStateTimer, timer)), (1, 0));
        pass(machine, clock, 16);
        assert_eq!((FIRED.load(Ordering::SeqCst), wait(timer.cast(), Some(0))), (1, STATUS_SUCCESS));
        assert_eq!(wait(timer.cast(), Some(0)), STATUS_TIMEOUT);
        pass(machine, clock, 20);
        assert_eq!((FIRED.load(Ordering::SeqCst), import!(KeReadStateTimer, timer)), (2, 1));
        assert_eq!((import!(KeCancelTimer, timer), import!(KeCancelTimer, timer)), (1, 0));
        import!(KeInitializeTimer, timer);
        assert_eq!(import!(KeSetTimer, timer, due, ptr::null_mut()), 0);
        pass(machine, clock, 20);
        assert_eq!((import!(KeReadStateTimer, timer), import!(KeCancelTimer, timer)), (1, 0));
        assert_eq!((FIRED.load(Ordering::SeqCst), machine.check_leaks()), (2, 0));
    });
    assert_eq!(rules, []);
}

#[test]
fn timer_objects_that_are_none_or_still_set_are_caught() {
    let rules = broken(|machine, _| {
        let mut timer = zeroed::<KTIMER>();
        let timer = &raw mut *timer;
        import!(KeCancelTimer, timer);
        import!(KeInitializeTimer, timer);
        import!(KeSetTimerEx, timer, LARGE_INTEGER { QuadPart: -1 }, -5, ptr::null_mut());
        import!(KeInitializeTimer, timer);
        import!(KeSetTimer, timer, LARGE_INTEGER { QuadPart: -1 }, ptr::null_mut());
        assert_eq!(machine.check_leaks(), 1);
    });
    let timer = |call| ("timer", call);
    let calls = ["KeCancelTimer", "KeSetTimerEx", "KeInitializeTimer"].map(timer);
    assert_eq!(rules, [&calls[..], &[("leak", "KeSetTimer")]].concat());
}

unsafe extern "win64" fn releases(context: PVOID) {
    import!(ExReleaseRundownProtection, context.cast());
}

#[test]
fn run_down_waits_for_whoever_is_inside_and_lets_nobody_in() {
    let rules = broken(|machine, _| {
        let mut reference = zeroed::<EX_RUNDOWN_REF>();
        let reference = &raw mut *reference;
        import!(ExInitializeRundownProtection, reference);
        assert_eq!(import!(ExAcquireRundownProtection, reference), 1);
        assert_eq!(import!(ExAcquireRundownProtectionEx, reference, 2), 1);
        import!(ExReleaseRundownProtectionEx, reference, 2);
        let handle = create(Some(releases), reference.cast());
        import!(ExWaitForRundownProtectionRelease, reference);
        assert_eq!(import!(ExAcquireRundownProtection, reference), 0);
        import!(ExWaitForRundownProtectionRelease, reference);
        import!(ExRundownCompleted, reference);
        import!(ExReInitializeRundownProtection, reference);
        assert_eq!(import!(ExAcquireRundownProtection, reference), 1);
        import!(ExReleaseRundownProtection, reference);
        machine.settle();
        import!(ZwClose, handle);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}

#[test]
fn run_down_references_released_too_often_or_never_and_renewed_in_use_are_caught() {
    let rules = broken(|_, _| {
        let mut reference = zeroed::<EX_RUNDOWN_REF>();
        let reference = &raw mut *reference;
        import!(ExReleaseRundownProtection, reference);
        import!(ExReInitializeRundownProtection, reference);
        import!(ExRundownCompleted, reference);
        import!(ExInitializeRundownProtection, reference);
        import!(ExAcquireRundownProtection, reference);
        import!(ExWaitForRundownProtectionRelease, reference);
    });
    let rundown = |call| ("rundown", call);
    let calls = ["ExReleaseRundownProtection", "ExReInitializeRundownProtection", "ExRundownCompleted"].map(rundown);
    assert_eq!(rules, [&calls[..], &[("deadlock", "ExWaitForRundownProtectionRelease")]].concat());
}

#[test]
fn a_queued_spin_lock_remembers_its_level_and_misuse_is_caught() {
    let rules = broken(|machine, _| {
        let (mut lock, mut handle, mut other) = (Box::new(0), zeroed::<KLOCK_QUEUE_HANDLE>(), zeroed());
        let (lock, handle, other) = (&raw mut *lock, &raw mut *handle, &raw mut *other);
        import!(KeAcquireInStackQueuedSpinLock, lock, handle);
        assert_eq!((irql::current(), import!(KeTryToAcquireSpinLockAtDpcLevel, lock)), (Irql::Dispatch, 0));
        import!(KeReleaseInStackQueuedSpinLock, handle);
        assert_eq!(irql::current(), Irql::Passive);
        irql::set(Irql::Dispatch);
        import!(KeAcquireInStackQueuedSpinLockAtDpcLevel, lock, handle);
        import!(KeReleaseInStackQueuedSpinLockFromDpcLevel, handle);
        assert_eq!(import!(KeTryToAcquireSpinLockAtDpcLevel, lock), 1);
        import!(KeReleaseSpinLockFromDpcLevel, lock);
        irql::set(Irql::Passive);
        assert_eq!(machine.verifier.take(), []);
        import!(KeReleaseInStackQueuedSpinLock, handle);
        import!(KeAcquireInStackQueuedSpinLockAtDpcLevel, lock, handle);
        import!(KeAcquireInStackQueuedSpinLockAtDpcLevel, lock, other);
        import!(KeReleaseInStackQueuedSpinLock, handle);
    });
    let acquire = "KeAcquireInStackQueuedSpinLockAtDpcLevel";
    let release = "KeReleaseInStackQueuedSpinLock";
    assert_eq!(rules, [("lock", release), ("irql", acquire), ("irql", acquire), ("deadlock", acquire)]);
}

#[test]
fn interlocked_lists_keep_their_order_and_a_broken_one_is_caught() {
    let rules = broken(|machine, _| {
        let (mut head, mut one, mut two, mut lock) =
            (zeroed::<LIST_ENTRY>(), zeroed::<LIST_ENTRY>(), zeroed(), Box::new(0));
        let (head, one, two, lock) = (&raw mut *head, &raw mut *one, &raw mut *two, &raw mut *lock);
        // SAFETY: the test's own head.
        unsafe { head.write(LIST_ENTRY { Flink: head, Blink: head }) };
        assert!(import!(ExInterlockedRemoveHeadList, head, lock).is_null());
        assert!(import!(ExInterlockedInsertTailList, head, one, lock).is_null());
        assert_eq!(import!(ExInterlockedInsertTailList, head, two, lock), one);
        assert_eq!(import!(ExInterlockedRemoveHeadList, head, lock), one);
        assert_eq!(import!(ExInterlockedInsertHeadList, head, one, lock), two);
        assert_eq!(import!(ExInterlockedRemoveHeadList, head, lock), one);
        assert_eq!(machine.verifier.take(), []);
        let old = import!(KeAcquireSpinLockRaiseToDpc, lock);
        import!(ExInterlockedInsertHeadList, head, one, lock);
        import!(KeReleaseSpinLock, lock, old);
        // SAFETY: the test's own entry, which is in the list.
        unsafe { (*two).Flink = one };
        // SAFETY: the test's own head.
        unsafe { (*head).Blink = one };
        import!(ExInterlockedRemoveHeadList, head, lock);
    });
    assert_eq!(rules, [("deadlock", "ExInterlockedInsertHeadList"), ("list", "ExInterlockedRemoveHeadList")]);
}

#[test]
fn a_sequenced_list_gives_back_the_last_first_and_counts() {
    let rules = broken(|_, _| {
        let (mut list, mut one, mut two) = (zeroed::<SLIST_HEADER>(), zeroed::<SLIST_ENTRY>(), zeroed());
        let (list, one, two) = (&raw mut *list, &raw mut *one, &raw mut *two);
        import!(InitializeSListHead, list);
        assert!(import!(ExpInterlockedPopEntrySList, list).is_null());
        assert!(import!(ExpInterlockedPushEntrySList, list, one).is_null());
        assert_eq!((import!(ExpInterlockedPushEntrySList, list, two), import!(ExQueryDepthSList, list)), (one, 2));
        assert_eq!((import!(ExpInterlockedPopEntrySList, list), import!(ExQueryDepthSList, list)), (two, 1));
        assert_eq!((import!(ExpInterlockedFlushSList, list), import!(ExQueryDepthSList, list)), (one, 0));
        import!(ExpInterlockedPushEntrySList, list, one.wrapping_byte_add(8));
    });
    assert_eq!(rules, [("list", "ExpInterlockedPushEntrySList")]);
}

#[test]
fn a_thread_made_at_dispatch_level_or_failing_on_purpose_is_told() {
    let rules = broken(|machine, _| {
        machine.fail_once("PsCreateSystemThread");
        let mut handle = ptr::null_mut();
        let none = ptr::null_mut();
        let status = import!(
            PsCreateSystemThread,
            &raw mut handle,
            0,
            ptr::null_mut(),
            none,
            ptr::null_mut(),
            Some(releases),
            none
        );
        assert_eq!(status, ndk_types::STATUS_INSUFFICIENT_RESOURCES);
        let old = import!(KfRaiseIrql, 2);
        import!(ZwClose, none);
        import!(KeLowerIrql, old);
        assert_eq!(
            (import!(KeSetPriorityThread, none.cast(), 12), import!(KeQueryPriorityThread, none.cast())),
            (8, 12)
        );
        import!(KeSetPriorityThread, none.cast(), 40);
    });
    assert_eq!(rules, [("irql", "ZwClose"), ("handle", "ZwClose"), ("thread", "KeSetPriorityThread")]);
}

#[test]
fn a_long_stall_and_pages_locked_or_unlocked_out_of_turn_are_caught() {
    let rules = broken(|machine, _| {
        import!(KeStallExecutionProcessor, 50);
        assert_eq!(machine.verifier.take(), []);
        import!(KeStallExecutionProcessor, 51);
        let block = import!(ExAllocatePool2, 0x40, 100, 7);
        let mdl = import!(IoAllocateMdl, block, 100, 0, 0, ptr::null_mut());
        import!(MmProbeAndLockPages, mdl, 0, _LOCK_OPERATION::IoWriteAccess);
        import!(MmProbeAndLockPages, mdl, 0, _LOCK_OPERATION::IoWriteAccess);
        let mapped = import!(MmMapLockedPagesSpecifyCache, mdl, 0, 1, ptr::null_mut(), 0, 16);
        // SAFETY: the mapping of the block.
        unsafe { mapped.cast::<u8>().write(9) };
        // SAFETY: the block itself.
        assert_eq!(unsafe { block.cast::<u8>().read() }, 9);
        // Unlocking ends the mapping too.
        import!(MmUnlockPages, mdl);
        import!(MmUnlockPages, mdl);
        import!(IoFreeMdl, mdl);
        import!(ExFreePool, block);
        let mut own = 0_u64;
        let mdl = import!(IoAllocateMdl, (&raw mut own).cast(), 8, 0, 0, ptr::null_mut());
        import!(MmProbeAndLockPages, mdl, 0, _LOCK_OPERATION::IoReadAccess);
        import!(IoFreeMdl, mdl);
        assert_eq!(machine.check_leaks(), 0);
    });
    let lock = ("mdl", "MmProbeAndLockPages");
    assert_eq!(rules, [("stall", "KeStallExecutionProcessor"), lock, ("mdl", "MmUnlockPages"), lock]);
}

/// What announces a wait is for the levels that may wait; threads are made in the system's own process.
#[test]
fn releases_that_announce_a_wait_at_dispatch_level_and_threads_of_other_processes_are_caught() {
    let rules = broken(|machine, _| {
        let mut semaphore = zeroed::<KSEMAPHORE>();
        import!(KeInitializeSemaphore, &raw mut *semaphore, 0, 1);
        let old = import!(KfRaiseIrql, 2);
        import!(KeReleaseSemaphore, &raw mut *semaphore, 0, 1, 1);
        import!(KeLowerIrql, old);
        machine.fail_once("PsCreateSystemThread");
        let (mut handle, none) = (ptr::null_mut(), ptr::null_mut());
        let other: HANDLE = ptr::without_provenance_mut(4);
        let routine: PKSTART_ROUTINE = Some(releases);
        import!(PsCreateSystemThread, &raw mut handle, 0, ptr::null_mut(), other, ptr::null_mut(), routine, none);
    });
    assert_eq!(rules, [("irql", "KeReleaseSemaphore"), ("thread", "PsCreateSystemThread")]);
}
