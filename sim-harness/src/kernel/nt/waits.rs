//! Objects that threads wait for: what is in their headers, waits for one or several, mutexes, semaphores, fast mutexes.
//!
//! A header holds a mark that tells the object was initialized, its kind and its state. Nobody but the kernel looks inside.

use super::{threads, time};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::sched::Woken;
use crate::kernel::wdk::{
    BOOLEAN, KPRIORITY, KPROCESSOR_MODE, KWAIT_REASON, LONG, NTSTATUS, PFAST_MUTEX, PKWAIT_BLOCK, PLARGE_INTEGER,
    PRKMUTEX, PRKSEMAPHORE, PVOID, ULONG, WAIT_TYPE, types,
};
use ndk_types::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS, STATUS_TIMEOUT};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// What the first word of an initialized object holds.
const MARK: i32 = 0x4556_4e54;
/// Words of the header: mark, kind, state.
const KIND: usize = 1;
const STATE: usize = 2;

/// Kinds of objects, by the numbers that DISPATCHER_HEADER has for them.
pub(super) mod kind {
    pub(in super::super) const SYNCHRONIZATION_EVENT: i32 = 1;
    pub(in super::super) const MUTANT: i32 = 2;
    pub(in super::super) const SEMAPHORE: i32 = 5;
    pub(in super::super) const THREAD: i32 = 6;
    pub(in super::super) const NOTIFICATION_TIMER: i32 = 8;
    pub(in super::super) const SYNCHRONIZATION_TIMER: i32 = 9;
}

/// How many objects one wait may be for: without and with an array of wait blocks.
const THREAD_WAIT_OBJECTS: u32 = 3;
const MAXIMUM_WAIT_OBJECTS: u32 = 64;

fn word<'w>(object: PVOID, index: usize) -> &'w AtomicI32 {
    let place = object.cast::<i32>().wrapping_add(index);
    // SAFETY: the pages of the functions that come here: storage for an object, resident while it is used; its words are only
    // touched here, atomically.
    unsafe { AtomicI32::from_ptr(place) }
}

/// Fills in a header.
pub(super) fn initialize(object: PVOID, kind: i32, state: i32) {
    word(object, KIND).store(kind, Ordering::SeqCst);
    word(object, STATE).store(state, Ordering::SeqCst);
    word(object, 0).store(MARK, Ordering::SeqCst);
}

/// Whether an object was initialized; that it was not is a violation of the rule of this name.
pub(super) fn checked(object: PVOID, rule: &'static str) -> bool {
    let good = word(object, 0).load(Ordering::SeqCst) == MARK;
    if !good {
        Machine::current().violation(rule, format!("{rule} {:#x} was not initialized", object.addr()));
    }
    good
}

/// Whether an object was initialized as one of these kinds.
fn checked_kind(object: PVOID, wanted: i32, rule: &'static str) -> bool {
    if !checked(object, rule) {
        return false;
    }
    let good = word(object, KIND).load(Ordering::SeqCst) == wanted;
    if !good {
        Machine::current().violation(rule, format!("{:#x} is no {rule}", object.addr()));
    }
    good
}

/// An object's state.
pub(super) fn state(object: PVOID) -> i32 {
    word(object, STATE).load(Ordering::SeqCst)
}

/// Sets an object's state and gives the one before. Once it is signaled the object may be gone: it is not touched after that.
pub(super) fn set_state(object: PVOID, state: i32) -> i32 {
    let before = word(object, STATE).swap(state, Ordering::SeqCst);
    wake();
    before
}

/// Lets those who wait look again, on a machine of several processors.
fn wake() {
    if let Some(machine) = Machine::entered() {
        machine.sched.note();
    }
}

fn owner<'o>(mutex: PVOID) -> &'o AtomicUsize {
    let place = mutex.cast::<u8>().wrapping_add(offset_of!(types::KMUTANT, OwnerThread)).cast::<usize>();
    // SAFETY: an initialized mutex; the field is only touched here, atomically.
    unsafe { AtomicUsize::from_ptr(place) }
}

/// Whether a thread that waits for an object could go on.
fn is_signaled(object: PVOID, thread: usize) -> bool {
    let there = state(object) > 0;
    there
        || (word(object, KIND).load(Ordering::SeqCst) == kind::MUTANT && owner(object).load(Ordering::SeqCst) == thread)
}

/// What a wait that is over does to its object.
fn take(object: PVOID, thread: usize) {
    match word(object, KIND).load(Ordering::SeqCst) {
        kind::SYNCHRONIZATION_EVENT | kind::SYNCHRONIZATION_TIMER => {
            set_state(object, 0);
        }
        kind::SEMAPHORE => {
            word(object, STATE).fetch_sub(1, Ordering::SeqCst);
        }
        kind::MUTANT => {
            let was_free = word(object, STATE).fetch_sub(1, Ordering::SeqCst) > 0;
            if was_free {
                owner(object).store(thread, Ordering::SeqCst);
                threads::owns(1);
            }
        }
        _ => (),
    }
}

/// Waits until one or all of these objects are signaled, and takes what ended the wait. The status is the place of the one.
fn wait(objects: &[PVOID], all: bool, timeout: PLARGE_INTEGER) -> NTSTATUS {
    let machine = Machine::current();
    let thread = threads::current();
    let satisfied = || {
        let mut there = objects.iter().map(|&object| is_signaled(object, thread));
        if all { there.all(|one| one).then_some(0) } else { there.position(|one| one) }
    };
    let deadline = time::deadline(timeout, machine.now());
    let addresses: Vec<_> = objects.iter().map(|object| object.expose_provenance()).collect();
    let names: Vec<_> = addresses.iter().map(|address| format!("{address:#x}")).collect();
    let what = format!("object {}", names.join(if all { " and " } else { " or " }));
    // One that is over at once breaks the rule as well as one that is not; Machine::wait sees only the latter.
    let polls = deadline.is_some_and(|deadline| deadline <= machine.now());
    if irql::current() > Irql::Apc && !polls && satisfied().is_some() {
        machine.violation("irql", format!("a wait for {what} at {}", irql::current()));
    }
    let mut status = None;
    while status.is_none() {
        // Seen and taken in one: another thread may want the same.
        let dispatcher = machine.nt.dispatcher();
        if let Some(place) = satisfied() {
            let taken = if all { objects } else { &objects[place..=place] };
            for &object in taken {
                take(object, thread);
            }
            status = Some(place as NTSTATUS);
            break;
        }
        drop(dispatcher);
        let left = deadline.map(|deadline| deadline.saturating_sub(machine.now()));
        if left == Some(0) {
            status = Some(STATUS_TIMEOUT);
            break;
        }
        let addresses = addresses.clone();
        let over = move || {
            let mut there = addresses.iter().map(|&at| is_signaled(ptr::with_exposed_provenance_mut(at), thread));
            if all { there.all(|one| one) } else { there.any(|one| one) }
        };
        match machine.wait(&what, left, over) {
            Woken::Condition => (),
            Woken::Timeout => status = Some(STATUS_TIMEOUT),
            Woken::Never => status = Some(STATUS_SUCCESS),
        }
    }
    let over = machine.sched.is_abandoned();
    drop((machine, names, what, addresses));
    if over {
        threads::leave_for_good();
    }
    status.unwrap_or(STATUS_SUCCESS)
}

/// The level a wait that may last is for.
fn check_wait_flag(wait: BOOLEAN, name: &str) {
    if wait != 0 && irql::current() > Irql::Apc {
        Machine::current().violation("irql", format!("{name} with Wait above APC_LEVEL"));
    }
}

/// The count of a fast mutex: 1 while nobody has it.
fn count<'c>(mutex: PFAST_MUTEX) -> &'c AtomicI32 {
    let place = mutex.cast::<u8>().wrapping_add(offset_of!(types::FAST_MUTEX, Count)).cast();
    // SAFETY: the pages: storage for a fast mutex; the field is only touched here, atomically.
    unsafe { AtomicI32::from_ptr(place) }
}

/// Takes a fast mutex if it is free.
fn seize(mutex: PFAST_MUTEX) -> bool {
    count(mutex).compare_exchange(1, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// Writes down who has a fast mutex, and the level to come back to.
fn hold(mutex: PFAST_MUTEX, before: Irql) {
    threads::owns(1);
    // SAFETY: the page: a fast mutex, which is ours now.
    let fields = unsafe { &mut *mutex };
    fields.Owner = ptr::without_provenance_mut(threads::current());
    fields.OldIrql = before as ULONG;
}

ndk_types::abi! {
    unsafe extern "C" fn ke_wait_for_single_object(
        object: PVOID,
        _reason: KWAIT_REASON,
        _mode: KPROCESSOR_MODE,
        _alertable: BOOLEAN,
        timeout: PLARGE_INTEGER,
    ) -> NTSTATUS {
        if checked(object, "event") { wait(&[object], false, timeout) } else { STATUS_SUCCESS }
    }

    unsafe extern "C" fn ke_wait_for_multiple_objects(
        count: ULONG,
        objects: *mut PVOID,
        kind: WAIT_TYPE,
        _reason: KWAIT_REASON,
        _mode: KPROCESSOR_MODE,
        _alertable: BOOLEAN,
        timeout: PLARGE_INTEGER,
        blocks: PKWAIT_BLOCK,
    ) -> NTSTATUS {
        let most = if blocks.is_null() { THREAD_WAIT_OBJECTS } else { MAXIMUM_WAIT_OBJECTS };
        if count == 0 || count > most {
            let text = format!("a wait for {count} objects, where {most} are allowed");
            Machine::current().violation("wait", text);
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: the page: so many pointers.
        let objects = unsafe { std::slice::from_raw_parts(objects, count as usize) };
        if !objects.iter().all(|&object| checked(object, "event")) {
            return STATUS_SUCCESS;
        }
        wait(objects, kind == types::_WAIT_TYPE::WaitAll, timeout)
    }

    unsafe extern "C" fn ke_initialize_mutex(mutex: PRKMUTEX, _level: ULONG) {
        initialize(mutex.cast(), kind::MUTANT, 1);
        owner(mutex.cast()).store(0, Ordering::SeqCst);
    }

    unsafe extern "C" fn ke_read_state_mutex(mutex: PRKMUTEX) -> LONG {
        if checked_kind(mutex.cast(), kind::MUTANT, "mutex") { state(mutex.cast()) } else { 0 }
    }

    unsafe extern "C" fn ke_release_mutex(mutex: PRKMUTEX, wait: BOOLEAN) -> LONG {
        check_wait_flag(wait, "KeReleaseMutex");
        let mutex = mutex.cast();
        if !checked_kind(mutex, kind::MUTANT, "mutex") {
            return 0;
        }
        if owner(mutex).load(Ordering::SeqCst) != threads::current() {
            let text = format!("mutex {:#x} is released by a thread that does not own it", mutex.addr());
            Machine::current().violation("mutex", text);
            return 0;
        }
        let machine = Machine::current();
        let dispatcher = machine.nt.dispatcher();
        let before = word(mutex, STATE).load(Ordering::SeqCst);
        if before == 0 {
            owner(mutex).store(0, Ordering::SeqCst);
            threads::owns(-1);
        }
        word(mutex, STATE).store(before + 1, Ordering::SeqCst);
        drop(dispatcher);
        wake();
        before
    }

    unsafe extern "C" fn ke_initialize_semaphore(semaphore: PRKSEMAPHORE, count: LONG, limit: LONG) {
        if count < 0 || limit <= 0 || count > limit {
            Machine::current().violation("semaphore", format!("a semaphore of {count} with the limit {limit}"));
        }
        initialize(semaphore.cast(), kind::SEMAPHORE, count);
        // SAFETY: the page: storage for a semaphore.
        unsafe { (*semaphore).Limit = limit };
    }

    unsafe extern "C" fn ke_read_state_semaphore(semaphore: PRKSEMAPHORE) -> LONG {
        if checked_kind(semaphore.cast(), kind::SEMAPHORE, "semaphore") { state(semaphore.cast()) } else { 0 }
    }

    unsafe extern "C" fn ke_release_semaphore(
        semaphore: PRKSEMAPHORE,
        _increment: KPRIORITY,
        by: LONG,
        wait: BOOLEAN,
    ) -> LONG {
        check_wait_flag(wait, "KeReleaseSemaphore");
        if !checked_kind(semaphore.cast(), kind::SEMAPHORE, "semaphore") {
            return 0;
        }
        let machine = Machine::current();
        let _dispatcher = machine.nt.dispatcher();
        let before = state(semaphore.cast());
        // SAFETY: the page: an initialized semaphore.
        let limit = unsafe { (*semaphore).Limit };
        // The real function raises STATUS_SEMAPHORE_LIMIT_EXCEEDED.
        if by <= 0 || before.checked_add(by).is_none_or(|new| new > limit) {
            let text = format!("a semaphore of {before} with the limit {limit} is released by {by}");
            Machine::current().violation("semaphore", text);
            return before;
        }
        set_state(semaphore.cast(), before + by)
    }

    unsafe extern "C" fn ex_acquire_fast_mutex(mutex: PFAST_MUTEX) {
        let before = irql::set(irql::current().max(Irql::Apc));
        while !seize(mutex) {
            let machine = Machine::current();
            let address = mutex.expose_provenance();
            let free = move || count(ptr::with_exposed_provenance_mut(address)).load(Ordering::SeqCst) == 1;
            if machine.wait(&format!("fast mutex {address:#x}"), None, free) == Woken::Never {
                break;
            }
        }
        hold(mutex, before);
    }

    unsafe extern "C" fn ex_try_to_acquire_fast_mutex(mutex: PFAST_MUTEX) -> BOOLEAN {
        if !seize(mutex) {
            return 0;
        }
        hold(mutex, irql::set(irql::current().max(Irql::Apc)));
        1
    }

    unsafe extern "C" fn ex_release_fast_mutex(mutex: PFAST_MUTEX) {
        // SAFETY: the page: a fast mutex that the caller has.
        let fields = unsafe { &mut *mutex };
        if fields.Owner.addr() != threads::current() || irql::current() != Irql::Apc {
            let text = format!("fast mutex {:#x} is released by who does not own it, or not at APC_LEVEL", mutex.addr());
            Machine::current().violation("mutex", text);
            return;
        }
        fields.Owner = ptr::null_mut();
        let before = Irql::of(fields.OldIrql as u8);
        count(mutex).store(1, Ordering::SeqCst);
        wake();
        threads::owns(-1);
        irql::set(before);
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeWaitForSingleObject <= Dispatch = ke_wait_for_single_object,
        KeWaitForMultipleObjects <= Dispatch = ke_wait_for_multiple_objects,
        KeInitializeMutex <= High = ke_initialize_mutex,
        KeReadStateMutex <= Dispatch = ke_read_state_mutex,
        KeReleaseMutex <= Dispatch = ke_release_mutex,
        KeInitializeSemaphore <= Passive = ke_initialize_semaphore,
        KeReadStateSemaphore <= High = ke_read_state_semaphore,
        KeReleaseSemaphore <= Dispatch = ke_release_semaphore,
        ExAcquireFastMutex <= Apc = ex_acquire_fast_mutex,
        ExTryToAcquireFastMutex <= Apc = ex_try_to_acquire_fast_mutex,
        ExReleaseFastMutex <= Apc = ex_release_fast_mutex,
    }
}
