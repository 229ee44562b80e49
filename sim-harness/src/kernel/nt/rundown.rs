//! Run-down protection: an object is used by whoever got in, until its owner waits for the last to leave.
//!
//! The reference is one word, as in the real thing: bit 0 says that the object is run down, the rest counts who is inside.

use super::threads;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::{BOOLEAN, PEX_RUNDOWN_REF, ULONG};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

const RUN_DOWN: u64 = 1;
const ONE: u64 = 2;

fn word<'w>(reference: PEX_RUNDOWN_REF) -> &'w AtomicU64 {
    // SAFETY: the pages of the functions here: storage for a reference; it is only touched here, atomically.
    unsafe { AtomicU64::from_ptr(reference.cast()) }
}

fn wrong(reference: PEX_RUNDOWN_REF, what: &str) {
    Machine::current().violation("rundown", format!("run-down reference {:#x} {what}", reference.addr()));
}

fn acquire(reference: PEX_RUNDOWN_REF, count: u32) -> BOOLEAN {
    let more = u64::from(count) * ONE;
    let entered = |value: u64| (value & RUN_DOWN == 0).then_some(value + more);
    BOOLEAN::from(word(reference).fetch_update(Ordering::SeqCst, Ordering::SeqCst, entered).is_ok())
}

fn release(reference: PEX_RUNDOWN_REF, count: u32) {
    let less = u64::from(count) * ONE;
    let left = |value: u64| value.checked_sub(less);
    if word(reference).fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_err() {
        wrong(reference, "is released by who did not acquire it");
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ex_initialize_rundown_protection(reference: PEX_RUNDOWN_REF) {
        word(reference).store(0, Ordering::SeqCst);
    }

    unsafe extern "C" fn ex_re_initialize_rundown_protection(reference: PEX_RUNDOWN_REF) {
        if word(reference).swap(0, Ordering::SeqCst) != RUN_DOWN {
            wrong(reference, "is initialized again and is not run down");
        }
    }

    unsafe extern "C" fn ex_acquire_rundown_protection(reference: PEX_RUNDOWN_REF) -> BOOLEAN {
        acquire(reference, 1)
    }

    unsafe extern "C" fn ex_acquire_rundown_protection_ex(reference: PEX_RUNDOWN_REF, count: ULONG) -> BOOLEAN {
        acquire(reference, count)
    }

    unsafe extern "C" fn ex_release_rundown_protection(reference: PEX_RUNDOWN_REF) {
        release(reference, 1);
    }

    unsafe extern "C" fn ex_release_rundown_protection_ex(reference: PEX_RUNDOWN_REF, count: ULONG) {
        release(reference, count);
    }

    unsafe extern "C" fn ex_rundown_completed(reference: PEX_RUNDOWN_REF) {
        if word(reference).swap(RUN_DOWN, Ordering::SeqCst) != RUN_DOWN {
            wrong(reference, "is completed and was not waited for");
        }
    }

    unsafe extern "C" fn ex_wait_for_rundown_protection_release(reference: PEX_RUNDOWN_REF) {
        let machine = Machine::current();
        if word(reference).fetch_or(RUN_DOWN, Ordering::SeqCst) | RUN_DOWN != RUN_DOWN {
            let address = reference.expose_provenance();
            let empty = move || word(ptr::with_exposed_provenance_mut(address)).load(Ordering::SeqCst) == RUN_DOWN;
            machine.wait(&format!("run-down reference {address:#x}"), None, empty);
        }
        let over = machine.sched.is_abandoned();
        drop(machine);
        if over {
            threads::leave_for_good();
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ExInitializeRundownProtection <= Apc = ex_initialize_rundown_protection,
        ExReInitializeRundownProtection <= Apc = ex_re_initialize_rundown_protection,
        ExAcquireRundownProtection <= Dispatch = ex_acquire_rundown_protection,
        ExAcquireRundownProtectionEx <= Dispatch = ex_acquire_rundown_protection_ex,
        ExReleaseRundownProtection <= Dispatch = ex_release_rundown_protection,
        ExReleaseRundownProtectionEx <= Dispatch = ex_release_rundown_protection_ex,
        ExRundownCompleted <= Apc = ex_rundown_completed,
        ExWaitForRundownProtectionRelease <= Apc = ex_wait_for_rundown_protection_release,
    }
}
