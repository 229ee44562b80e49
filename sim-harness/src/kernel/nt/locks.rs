//! IRQL and spin locks.
//!
//! A lock's word holds 0, or 1 while somebody holds it. Where one thread runs at a time a lock that is taken when somebody wants
//! it is a deadlock: the holder cannot go on. On several processors whoever wants it spins, and one that is held for as long as
//! [`PATIENCE`] is reported with what its holder was doing when it took it. Orders of two locks that were seen both ways are a
//! violation.

use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::verifier::{self, Whereabouts};
use crate::kernel::wdk::{KIRQL, PKSPIN_LOCK};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a lock may be held while another processor wants it: code at DISPATCH_LEVEL runs for far less.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Looks at a lock before a processor lets others run, of which there may be more than the real ones.
const LOOKS: u32 = 200;

thread_local! {
    /// Locks this processor holds, in the order of taking.
    static HELD: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Orders of locks that were seen: first and second address; and on several processors who holds which.
#[derive(Debug, Default)]
pub struct Locks(Mutex<BTreeSet<(usize, usize)>>, Mutex<BTreeMap<usize, Whereabouts>>);

impl Locks {
    fn holders(&self) -> MutexGuard<'_, BTreeMap<usize, Whereabouts>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, machine: &Machine, lock: usize) {
        HELD.with_borrow_mut(|held| {
            if held.is_empty() {
                held.push(lock);
                return;
            }
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

/// A lock's word. It is only touched here, atomically.
fn word<'w>(lock: PKSPIN_LOCK) -> &'w AtomicUsize {
    // SAFETY: the pages of the functions here: a lock in resident memory that was initialized.
    unsafe { AtomicUsize::from_ptr(lock.cast()) }
}

/// Takes a lock that is free.
fn try_take(machine: &Machine, lock: PKSPIN_LOCK) -> bool {
    let free = word(lock).compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if free {
        machine.nt.locks.take(machine, lock.addr());
        if machine.processors().is_some() {
            machine.nt.locks.holders().insert(lock.addr(), verifier::whereabouts());
        }
    }
    free
}

/// Spins until a lock is taken; false after [`PATIENCE`].
fn spin(machine: &Machine, lock: PKSPIN_LOCK) -> bool {
    let begun = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if word(lock).load(Ordering::Relaxed) == 0 && try_take(machine, lock) {
                return true;
            }
            std::hint::spin_loop();
        }
        std::thread::yield_now();
        if begun.elapsed() > PATIENCE {
            return false;
        }
    }
}

pub(in super::super) fn acquire(lock: PKSPIN_LOCK) {
    let machine = Machine::current();
    if try_take(&machine, lock) {
        return;
    }
    let address = lock.addr();
    if holds(lock) || machine.processors().is_none() {
        machine.violation("deadlock", format!("spin lock {address:#x} is held by whoever wants it"));
    } else if !spin(&machine, lock) {
        let holder = machine.nt.locks.holders().get(&address).map_or("nobody".to_owned(), Whereabouts::to_string);
        let text = format!("spin lock {address:#x} is held for {} s, taken by {holder}", PATIENCE.as_secs());
        machine.violation("deadlock", text);
    }
}

/// Takes a lock if it is free.
pub(super) fn try_acquire(lock: PKSPIN_LOCK) -> bool {
    try_take(&Machine::current(), lock)
}

pub(in super::super) fn release(lock: PKSPIN_LOCK) {
    let machine = Machine::current();
    let ours = HELD.with_borrow_mut(|held| {
        let place = held.iter().rposition(|&one| one == lock.addr());
        place.map(|place| held.remove(place)).is_some()
    });
    if word(lock).load(Ordering::SeqCst) == 0 || !ours {
        machine.violation("lock", format!("spin lock {:#x} is released by who does not hold it", lock.addr()));
    }
    if ours && machine.processors().is_some() {
        machine.nt.locks.holders().remove(&lock.addr());
    }
    word(lock).store(0, Ordering::SeqCst);
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
        word(lock).store(0, Ordering::SeqCst);
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
