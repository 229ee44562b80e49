//! Events and waits.
//!
//! An event's header holds a mark that tells it was initialized, its type and its state.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::sched::Woken;
use crate::kernel::wdk::{
    BOOLEAN, EVENT_TYPE, KPRIORITY, KPROCESSOR_MODE, KWAIT_REASON, LONG, NTSTATUS, PLARGE_INTEGER, PRKEVENT, PVOID,
    types,
};
use ndk_types::{STATUS_SUCCESS, STATUS_TIMEOUT};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

const MARK: i32 = 0x4556_4e54;
/// Words of the header: mark, type, state.
const TYPE: usize = 1;
const STATE: usize = 2;

fn word<'w>(event: PRKEVENT, index: usize) -> &'w AtomicI32 {
    let place = event.cast::<i32>().wrapping_add(index);
    // SAFETY: the pages of the Ke…Event functions: storage for an event, resident while it is used; its words are only
    // touched here, atomically.
    unsafe { AtomicI32::from_ptr(place) }
}

fn checked(event: PRKEVENT) -> bool {
    let good = word(event, 0).load(Ordering::SeqCst) == MARK;
    if !good {
        Machine::current().violation("event", format!("event {:#x} was not initialized", event.addr()));
    }
    good
}

/// Takes a signal: a synchronization event falls back.
fn take(event: PRKEVENT) -> bool {
    let state = word(event, STATE);
    if word(event, TYPE).load(Ordering::SeqCst) == types::_EVENT_TYPE::SynchronizationEvent {
        state.swap(0, Ordering::SeqCst) != 0
    } else {
        state.load(Ordering::SeqCst) != 0
    }
}

/// A time of Windows: 100 ns, negative for an interval.
fn interval(time: PLARGE_INTEGER, now: u64) -> Option<u64> {
    if time.is_null() {
        return None;
    }
    // SAFETY: the pages: NULL or a valid time.
    let time = unsafe { time.read() };
    // SAFETY: every member of the union is the same 64 bits.
    let time = unsafe { time.QuadPart };
    let nanoseconds = time.unsigned_abs().saturating_mul(100);
    Some(if time <= 0 { nanoseconds } else { nanoseconds.saturating_sub(now) })
}

ndk_types::abi! {
    unsafe extern "C" fn ke_initialize_event(event: PRKEVENT, kind: EVENT_TYPE, state: BOOLEAN) {
        word(event, TYPE).store(kind, Ordering::SeqCst);
        word(event, STATE).store(i32::from(state), Ordering::SeqCst);
        word(event, 0).store(MARK, Ordering::SeqCst);
    }

    unsafe extern "C" fn ke_set_event(event: PRKEVENT, _increment: KPRIORITY, wait: BOOLEAN) -> LONG {
        if wait != 0 && irql::current() > Irql::Apc {
            Machine::current().violation("irql", "KeSetEvent with Wait above APC_LEVEL");
        }
        if checked(event) { word(event, STATE).swap(1, Ordering::SeqCst) } else { 0 }
    }

    unsafe extern "C" fn ke_clear_event(event: PRKEVENT) {
        if checked(event) {
            word(event, STATE).store(0, Ordering::SeqCst);
        }
    }

    unsafe extern "C" fn ke_read_state_event(event: PRKEVENT) -> LONG {
        if checked(event) { word(event, STATE).load(Ordering::SeqCst) } else { 0 }
    }

    unsafe extern "C" fn ke_wait_for_single_object(
        object: PVOID,
        _reason: KWAIT_REASON,
        _mode: KPROCESSOR_MODE,
        _alertable: BOOLEAN,
        timeout: PLARGE_INTEGER,
    ) -> NTSTATUS {
        let (machine, event) = (Machine::current(), object.cast());
        if !checked(event) {
            return STATUS_SUCCESS;
        }
        if take(event) {
            return STATUS_SUCCESS;
        }
        let timeout = interval(timeout, machine.now());
        if timeout == Some(0) {
            return STATUS_TIMEOUT;
        }
        loop {
            let address = event.expose_provenance();
            let there = move || word(ptr::with_exposed_provenance_mut(address), STATE).load(Ordering::SeqCst) != 0;
            match machine.wait(&format!("event {address:#x}"), timeout, there) {
                Woken::Condition if take(event) => return STATUS_SUCCESS,
                Woken::Condition => (),
                Woken::Timeout => return STATUS_TIMEOUT,
                Woken::Never => return STATUS_SUCCESS,
            }
        }
    }

    unsafe extern "C" fn ke_delay_execution_thread(
        _mode: KPROCESSOR_MODE,
        _alertable: BOOLEAN,
        time: PLARGE_INTEGER,
    ) -> NTSTATUS {
        let machine = Machine::current();
        let _ = machine.wait("time to pass", interval(time, machine.now()), || false);
        STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeInitializeEvent <= High = ke_initialize_event,
        KeSetEvent <= Dispatch = ke_set_event,
        KeClearEvent <= Dispatch = ke_clear_event,
        KeReadStateEvent <= Dispatch = ke_read_state_event,
        KeWaitForSingleObject <= Dispatch = ke_wait_for_single_object,
        KeDelayExecutionThread <= Apc = ke_delay_execution_thread,
    }
}
