//! Spin locks by another door: in-stack queued ones, whose handle remembers lock and level, and the try.

use super::locks::{acquire, holds, release, try_acquire};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{BOOLEAN, KIRQL, PKLOCK_QUEUE_HANDLE, PKSPIN_LOCK};
use std::ptr;

/// Writes a handle's fields.
fn fill(handle: PKLOCK_QUEUE_HANDLE, lock: PKSPIN_LOCK, before: Irql) {
    // SAFETY: the pages: storage for a handle.
    let fields = unsafe { &mut *handle };
    (fields.LockQueue.Next, fields.LockQueue.Lock, fields.OldIrql) = (ptr::null_mut(), lock, before as KIRQL);
}

/// Releases the lock of a handle and gives the level to come back to; a handle that holds none is a violation.
fn empty(handle: PKLOCK_QUEUE_HANDLE) -> Option<Irql> {
    // SAFETY: the pages: a handle that a lock was acquired with.
    let fields = unsafe { &mut *handle };
    let lock = fields.LockQueue.Lock;
    if lock.is_null() || !holds(lock) {
        let text = format!("queue handle {:#x} is released and holds no lock", handle.addr());
        Machine::current().violation("lock", text);
        return None;
    }
    release(lock);
    fields.LockQueue.Lock = ptr::null_mut();
    Some(Irql::of(fields.OldIrql))
}

fn at_dispatch(name: &str) {
    if irql::current() < Irql::Dispatch {
        Machine::current().violation("irql", format!("{name} below DISPATCH_LEVEL"));
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ke_acquire_in_stack_queued_spin_lock(lock: PKSPIN_LOCK, handle: PKLOCK_QUEUE_HANDLE) {
        let before = irql::set(irql::current().max(Irql::Dispatch));
        acquire(lock);
        fill(handle, lock, before);
    }

    unsafe extern "C" fn ke_release_in_stack_queued_spin_lock(handle: PKLOCK_QUEUE_HANDLE) {
        if let Some(before) = empty(handle) {
            irql::set(before);
        }
    }

    unsafe extern "C" fn ke_acquire_in_stack_queued_spin_lock_at_dpc_level(
        lock: PKSPIN_LOCK,
        handle: PKLOCK_QUEUE_HANDLE,
    ) {
        at_dispatch("KeAcquireInStackQueuedSpinLockAtDpcLevel");
        acquire(lock);
        fill(handle, lock, irql::current());
    }

    unsafe extern "C" fn ke_release_in_stack_queued_spin_lock_from_dpc_level(handle: PKLOCK_QUEUE_HANDLE) {
        at_dispatch("KeReleaseInStackQueuedSpinLockFromDpcLevel");
        empty(handle);
    }

    unsafe extern "C" fn ke_try_to_acquire_spin_lock_at_dpc_level(lock: PKSPIN_LOCK) -> BOOLEAN {
        at_dispatch("KeTryToAcquireSpinLockAtDpcLevel");
        BOOLEAN::from(try_acquire(lock))
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeAcquireInStackQueuedSpinLock <= Dispatch = ke_acquire_in_stack_queued_spin_lock,
        KeReleaseInStackQueuedSpinLock <= Dispatch = ke_release_in_stack_queued_spin_lock,
        KeAcquireInStackQueuedSpinLockAtDpcLevel <= High = ke_acquire_in_stack_queued_spin_lock_at_dpc_level,
        KeReleaseInStackQueuedSpinLockFromDpcLevel <= High = ke_release_in_stack_queued_spin_lock_from_dpc_level,
        KeTryToAcquireSpinLockAtDpcLevel <= High = ke_try_to_acquire_spin_lock_at_dpc_level,
    }
}
