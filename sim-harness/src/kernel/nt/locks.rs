//! IRQL and spin locks.
//!
//! A lock's word holds 0, or the holder's place in a list. One thread runs at a time, so a lock that is taken when somebody
//! wants it is a deadlock: the holder cannot go on. Orders of two locks that were seen both ways are a violation.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{KIRQL, PKSPIN_LOCK};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

thread_local! {
    /// Locks this processor holds, in the order of taking.
    static HELD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Orders of locks that were seen: first and second address.
#[derive(Debug, Default)]
pub struct Locks(Mutex<BTreeSet<(usize, usize)>>);

impl Locks {
    fn take(&self, machine: &Machine, lock: usize) {
        HELD.with_borrow_mut(|held| {
            let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for &before in &*held {
                if orders.contains(&(lock, before)) {
                    let text = format!("locks {before:#x} and {lock:#x} are taken in both orders");
                    machine.violation("lock order", text);
                }
                orders.insert((before, lock));
            }
            held.push(lock);
        });
    }

    /// Memory from here to there is freed: what was seen of locks in it says nothing of the next ones.
    pub(super) fn forget_range(&self, from: usize, to: usize) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|&(first, second)| !(from..to).contains(&first) && !(from..to).contains(&second));
    }

    /// A new lock at this address: what was seen of an older one there says nothing.
    fn forget(&self, lock: usize) {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.retain(|&(first, second)| first != lock && second != lock);
    }
}

/// Locks this processor holds.
pub fn held() -> usize {
    HELD.with_borrow(Vec::len)
}

/// Whether this processor holds a lock.
pub fn holds(lock: PKSPIN_LOCK) -> bool {
    HELD.with_borrow(|held| held.contains(&lock.addr()))
}

pub(in super::super) fn acquire(lock: PKSPIN_LOCK) {
    let machine = Machine::current();
    // SAFETY: the page of KeAcquireSpinLock: a lock in resident memory that was initialized.
    let word = unsafe { lock.read() };
    if word != 0 {
        machine.violation("deadlock", format!("spin lock {:#x} is held by whoever wants it", lock.addr()));
        return;
    }
    // SAFETY: as above; one thread runs at a time.
    unsafe { lock.write(1) };
    machine.nt.locks.take(&machine, lock.addr());
}

pub(in super::super) fn release(lock: PKSPIN_LOCK) {
    let machine = Machine::current();
    // SAFETY: the page of KeReleaseSpinLock: a lock that the caller holds.
    let word = unsafe { lock.read() };
    let ours = HELD.with_borrow_mut(|held| {
        let place = held.iter().rposition(|&one| one == lock.addr());
        place.map(|place| held.remove(place)).is_some()
    });
    if word == 0 || !ours {
        machine.violation("lock", format!("spin lock {:#x} is released by who does not hold it", lock.addr()));
    }
    // SAFETY: as above.
    unsafe { lock.write(0) };
}

ndk_types::abi! {
    unsafe extern "C" fn ke_get_current_irql() -> KIRQL {
        irql::current() as KIRQL
    }

    unsafe extern "C" fn kf_raise_irql(level: KIRQL) -> KIRQL {
        let (new, now) = (Irql::of(level), irql::current());
        if new < now {
            Machine::current().violation("irql", format!("KeRaiseIrql from {now} to {new} lowers it"));
        }
        irql::set(new) as KIRQL
    }

    unsafe extern "C" fn ke_lower_irql(level: KIRQL) {
        let (new, now) = (Irql::of(level), irql::current());
        if new > now {
            Machine::current().violation("irql", format!("KeLowerIrql from {now} to {new} raises it"));
        }
        if new < Irql::Dispatch && held() > 0 {
            Machine::current().violation("irql", format!("KeLowerIrql to {new} with {} spin locks held", held()));
        }
        irql::set(new);
    }

    unsafe extern "C" fn ke_initialize_spin_lock(lock: PKSPIN_LOCK) {
        Machine::current().nt.locks.forget(lock.addr());
        // SAFETY: the page: storage for a lock.
        unsafe { lock.write(0) };
    }

    unsafe extern "C" fn ke_acquire_spin_lock_raise_to_dpc(lock: PKSPIN_LOCK) -> KIRQL {
        let before = irql::set(irql::current().max(Irql::Dispatch));
        acquire(lock);
        before as KIRQL
    }

    unsafe extern "C" fn ke_release_spin_lock(lock: PKSPIN_LOCK, level: KIRQL) {
        release(lock);
        irql::set(Irql::of(level));
    }

    unsafe extern "C" fn ke_acquire_spin_lock_at_dpc_level(lock: PKSPIN_LOCK) {
        if irql::current() < Irql::Dispatch {
            Machine::current().violation("irql", "KeAcquireSpinLockAtDpcLevel below DISPATCH_LEVEL");
        }
        acquire(lock);
    }

    unsafe extern "C" fn ke_release_spin_lock_from_dpc_level(lock: PKSPIN_LOCK) {
        if irql::current() < Irql::Dispatch {
            Machine::current().violation("irql", "KeReleaseSpinLockFromDpcLevel below DISPATCH_LEVEL");
        }
        release(lock);
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        KeGetCurrentIrql <= High = ke_get_current_irql,
        KfRaiseIrql <= High = kf_raise_irql,
        KeLowerIrql <= High = ke_lower_irql,
        KeInitializeSpinLock <= High = ke_initialize_spin_lock,
        KeAcquireSpinLockRaiseToDpc <= Dispatch = ke_acquire_spin_lock_raise_to_dpc,
        KeReleaseSpinLock <= Dispatch = ke_release_spin_lock,
        KeAcquireSpinLockAtDpcLevel <= High = ke_acquire_spin_lock_at_dpc_level,
        KeReleaseSpinLockFromDpcLevel <= High = ke_release_spin_lock_from_dpc_level,
    }
}
