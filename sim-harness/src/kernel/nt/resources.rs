//! Resources (ERESOURCE): locks that one thread has alone or several share, by the same thread more than once. Normal kernel
//! APCs are to be disabled from before a resource is acquired until it is released.

use super::threads;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::wdk::{BOOLEAN, NTSTATUS, PVOID, ULONG};
use ndk_types::STATUS_SUCCESS;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of an ERESOURCE on x64.
const BYTES: usize = 0x68;

/// Who has a resource, and how often.
#[derive(Debug, Default)]
struct Held {
    alone: bool,
    by: BTreeMap<usize, u32>,
}

impl Held {
    /// Whether a thread may have it now.
    fn is_free_for(&self, thread: usize, alone: bool) -> bool {
        let mine = self.by.contains_key(&thread);
        match (alone, self.alone) {
            (true, false) => self.by.is_empty(),
            (_, true) => mine,
            (false, false) => true,
        }
    }
}

/// The resources of one machine, by their addresses.
#[derive(Debug, Default)]
pub struct Resources(Mutex<BTreeMap<usize, Held>>);

impl Resources {
    fn all(&self) -> MutexGuard<'_, BTreeMap<usize, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        self.all().keys().map(|at| format!("resource {at:#x}")).collect()
    }
}

fn wrong(machine: &Machine, at: usize, what: &str) {
    machine.violation("resource", format!("resource {at:#x} {what}"));
}

fn check_apcs(machine: &Machine, at: usize) {
    if irql::current() < Irql::Apc && !threads::in_critical_region() {
        wrong(machine, at, "is used with normal kernel APCs enabled: KeEnterCriticalRegion comes first");
    }
}

fn acquire(resource: PVOID, waits: bool, alone: bool) -> BOOLEAN {
    let (machine, at, thread) = (Machine::current(), resource.addr(), threads::current());
    check_apcs(&machine, at);
    let free =
        move |machine: &Arc<Machine>| machine.nt.resources.all().get(&at).map(|held| held.is_free_for(thread, alone));
    match free(&machine) {
        None => {
            wrong(&machine, at, "was not initialized");
            return 0;
        }
        Some(false) if !waits => return 0,
        Some(false) => {
            let owner = machine.clone();
            machine.wait(&format!("resource {at:#x}"), None, move || free(&owner) == Some(true));
        }
        Some(true) => (),
    }
    let mut all = machine.nt.resources.all();
    let held = all.entry(at).or_default();
    // Shared by who has it alone already: it stays alone.
    held.alone = held.alone || alone;
    *held.by.entry(thread).or_insert(0) += 1;
    1
}

ndk_types::abi! {
    unsafe extern "C" fn ex_initialize_resource_lite(resource: PVOID) -> NTSTATUS {
        let machine = Machine::current();
        // SAFETY: the page: storage for a resource.
        unsafe { ptr::write_bytes(resource.cast::<u8>(), 0, BYTES) };
        if machine.nt.resources.all().insert(resource.addr(), Held::default()).is_some() {
            wrong(&machine, resource.addr(), "is initialized twice");
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ex_delete_resource_lite(resource: PVOID) -> NTSTATUS {
        let machine = Machine::current();
        let gone = machine.nt.resources.all().remove(&resource.addr());
        match gone {
            None => wrong(&machine, resource.addr(), "is deleted and is none"),
            Some(held) if !held.by.is_empty() => wrong(&machine, resource.addr(), "is deleted while it is held"),
            Some(_) => (),
        }
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ex_acquire_resource_exclusive_lite(resource: PVOID, waits: BOOLEAN) -> BOOLEAN {
        acquire(resource, waits != 0, true)
    }

    unsafe extern "C" fn ex_acquire_resource_shared_lite(resource: PVOID, waits: BOOLEAN) -> BOOLEAN {
        acquire(resource, waits != 0, false)
    }

    unsafe extern "C" fn ex_release_resource_lite(resource: PVOID) {
        let (machine, at, thread) = (Machine::current(), resource.addr(), threads::current());
        check_apcs(&machine, at);
        let mut all = machine.nt.resources.all();
        let mine = all.get_mut(&at).and_then(|held| {
            let count = held.by.get_mut(&thread)?;
            *count -= 1;
            if *count == 0 {
                held.by.remove(&thread);
            }
            if held.by.is_empty() {
                held.alone = false;
            }
            Some(())
        });
        drop(all);
        if mine.is_none() {
            wrong(&machine, at, "is released by a thread that does not have it");
        }
    }

    unsafe extern "C" fn ex_is_resource_acquired_exclusive_lite(resource: PVOID) -> BOOLEAN {
        let machine = Machine::current();
        let all = machine.nt.resources.all();
        let thread = threads::current();
        BOOLEAN::from(all.get(&resource.addr()).is_some_and(|held| held.alone && held.by.contains_key(&thread)))
    }

    unsafe extern "C" fn ex_is_resource_acquired_shared_lite(resource: PVOID) -> ULONG {
        let machine = Machine::current();
        let all = machine.nt.resources.all();
        all.get(&resource.addr()).and_then(|held| held.by.get(&threads::current()).copied()).unwrap_or(0)
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        ExInitializeResourceLite <= Dispatch = ex_initialize_resource_lite,
        ExDeleteResourceLite <= Apc = ex_delete_resource_lite,
        ExAcquireResourceExclusiveLite <= Apc = ex_acquire_resource_exclusive_lite,
        ExAcquireResourceSharedLite <= Apc = ex_acquire_resource_shared_lite,
        ExReleaseResourceLite <= Dispatch = ex_release_resource_lite,
        ExIsResourceAcquiredExclusiveLite <= Dispatch = ex_is_resource_acquired_exclusive_lite,
        ExIsResourceAcquiredSharedLite <= Dispatch = ex_is_resource_acquired_shared_lite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bad_drivers::{broken, import};

    #[test]
    fn a_resource_is_shared_or_had_alone_and_misuse_is_caught() {
        let rules = broken(|machine, _| {
            let mut memory = Box::new([0_u64; 13]);
            let resource: PVOID = memory.as_mut_ptr().cast();
            import!(c_only: ExInitializeResourceLite, resource);
            import!(KeEnterCriticalRegion);
            assert_eq!(import!(c_only: ExAcquireResourceSharedLite, resource, 0), 1);
            // Who shares it does not get it alone.
            assert_eq!(import!(c_only: ExAcquireResourceExclusiveLite, resource, 0), 0);
            import!(c_only: ExReleaseResourceLite, resource);
            assert_eq!(import!(c_only: ExAcquireResourceExclusiveLite, resource, 1), 1);
            assert_eq!(import!(c_only: ExAcquireResourceSharedLite, resource, 1), 1);
            assert_eq!(import!(c_only: ExIsResourceAcquiredExclusiveLite, resource), 1);
            assert_eq!(import!(c_only: ExIsResourceAcquiredSharedLite, resource), 2);
            assert!(!machine.nt.resources.all()[&resource.addr()].is_free_for(1, false));
            import!(c_only: ExReleaseResourceLite, resource);
            import!(c_only: ExReleaseResourceLite, resource);
            assert_eq!((machine.check_leaks(), machine.verifier.take().len()), (1, 1));
            import!(c_only: ExReleaseResourceLite, resource);
            import!(KeLeaveCriticalRegion);
            import!(c_only: ExAcquireResourceExclusiveLite, resource, 1);
            import!(c_only: ExDeleteResourceLite, resource);
            import!(c_only: ExDeleteResourceLite, resource);
        });
        let delete = "ExDeleteResourceLite";
        let calls = ["ExReleaseResourceLite", "ExAcquireResourceExclusiveLite", delete, delete];
        assert_eq!(rules, calls.map(|call| ("resource", call)));
    }
}
