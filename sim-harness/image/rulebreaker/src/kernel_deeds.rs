//! Rules of the kernel that are broken: requests, IRQL, pool, locks.

use crate::{complete, deeds};
use core::ptr::null_mut;
use wdk_sys::ntddk::{
    ExAllocatePool2, ExFreePoolWithTag, KeAcquireSpinLockRaiseToDpc, KeInitializeEvent, KeLowerIrql,
    KeWaitForSingleObject, KfRaiseIrql,
};
use wdk_sys::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, KPROCESSOR_MODE, NTSTATUS, PIRP, POOL_FLAG_NON_PAGED};

const TAG: u32 = u32::from_le_bytes(*b"rule");
const DISPATCH_LEVEL: u8 = 2;

static mut LOCK: wdk_sys::KSPIN_LOCK = 0;

/// Does what the code asks for, and completes the request.
///
/// # Safety
/// `irp` is this driver's.
pub unsafe fn do_it(code: u32, irp: PIRP) -> NTSTATUS {
    match code {
        deeds::PEND_UNMARKED => {
            // SAFETY: ours.
            unsafe { complete(irp) };
            return wdk_sys::STATUS_PENDING;
        }
        deeds::COMPLETE_TWICE => {
            // SAFETY: ours; the second time it is not.
            unsafe { complete(irp) };
        }
        deeds::WAIT_AT_DISPATCH => wait_at_dispatch(),
        deeds::LEAK_A_BLOCK => drop(allocate()),
        deeds::WRITE_BEHIND_A_BLOCK => write_behind(),
        deeds::KEEP_A_LOCK => {
            let lock = &raw mut LOCK;
            // SAFETY: KeAcquireSpinLockRaiseToDpc: a lock of its own; that it is never released is the deed.
            let _ = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
        }
        _ => {}
    }
    // SAFETY: ours.
    unsafe { complete(irp) }
}

fn allocate() -> *mut u8 {
    // SAFETY: ExAllocatePool2: non-paged, a size and a tag.
    unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, 60, TAG) }.cast()
}

fn write_behind() {
    let block = allocate();
    // SAFETY: none: that is the deed. The byte is one of the simulated pool's guard.
    unsafe { block.wrapping_add(60).write_volatile(1) };
    // SAFETY: ExFreePoolWithTag: allocated above.
    unsafe { ExFreePoolWithTag(block.cast(), TAG) };
}

fn wait_at_dispatch() {
    let mut event = KEVENT::default();
    // SAFETY: KeInitializeEvent: resident storage, set from the start.
    unsafe { KeInitializeEvent(&raw mut event, _EVENT_TYPE::NotificationEvent, 1) };
    // SAFETY: KfRaiseIrql: from PASSIVE_LEVEL.
    let before = unsafe { KfRaiseIrql(DISPATCH_LEVEL) };
    let (mode, reason) = (_MODE::KernelMode as KPROCESSOR_MODE, _KWAIT_REASON::Executive);
    // SAFETY: KeWaitForSingleObject: an initialised event; the level is the deed.
    let _ = unsafe { KeWaitForSingleObject((&raw mut event).cast(), reason, mode, 0, null_mut()) };
    // SAFETY: KeLowerIrql: what the raise returned.
    unsafe { KeLowerIrql(before) };
}
