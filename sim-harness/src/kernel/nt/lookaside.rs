//! Pool functions that C drivers call beside ExAllocatePool2, lookaside lists, and functions by name.
//!
//! A lookaside list's own functions are inline in C: they pop from the list in its head, and call through its pointers when that
//! is empty. So the pointers are gates, and the depth is 0: every block goes back to the pool, which guards it.

use super::pool::Pool;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::machine::on_import;
use crate::kernel::nt::runtime::text;
use crate::kernel::stack::Gate;
use crate::kernel::wdk::{NTSTATUS, PUNICODE_STRING, PVOID, SIZE_T, ULONG, USHORT};
use ndk_types::STATUS_SUCCESS;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// PagedPool, in a pool type's low bits.
const PAGED: i32 = 1;
/// The tag of ExAllocatePool, as the real kernel has it.
const NO_TAG: u32 = u32::from_le_bytes(*b"None");
/// GENERAL_LOOKASIDE on x64: Type, Tag, Size, Allocate, Free.
const BYTES: usize = 96;
const TYPE: usize = 0x24;
const TAG: usize = 0x28;
const SIZE: usize = 0x2c;
const ALLOCATE: usize = 0x30;
const FREE: usize = 0x38;

/// Gates that drivers have pointers to, by name; and lookaside lists that are not deleted.
#[derive(Debug, Default)]
pub struct Doors {
    gates: Mutex<BTreeMap<String, Gate>>,
    lists: Mutex<BTreeMap<usize, u32>>,
}

impl Doors {
    /// Where image code may call a function of the kernel; `None` when there is none of this name.
    pub(super) fn address(&self, machine: &Machine, name: &str) -> Option<usize> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(name) {
            return Some(gate.address());
        }
        let place = ["ntoskrnl.exe", "hal.dll"].into_iter().find_map(|library| machine.export_place(library, name));
        let (place, target) = place?;
        let gate = Gate::new(name.to_owned(), place, target, on_import);
        let address = gate.address();
        gates.insert(name.to_owned(), gate);
        Some(address)
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = |(at, tag): (&usize, &u32)| format!("lookaside list {at:#x} of '{}'", super::pool::tag_text(*tag));
        lists.iter().map(shown).collect()
    }
}

fn allocate(pool_type: i32, bytes: usize, tag: u32, name: &str) -> PVOID {
    let machine = Machine::current();
    if bytes == 0 || tag == 0 {
        machine.violation("pool", format!("{name} of {bytes} bytes, tag {tag:#x}"));
    }
    if pool_type & PAGED != 0 && irql::current() > Irql::Apc {
        machine.violation("irql", "paged pool above APC_LEVEL");
    }
    if machine.take_failure(name) {
        return ptr::null_mut();
    }
    let pool: &Pool = &machine.nt.pool;
    pool.allocate(&machine.nt.memory, bytes, tag, false).map_or(ptr::null_mut(), <*mut u8>::cast)
}

/// A field of a lookaside list.
fn put<T>(list: PVOID, offset: usize, value: T) {
    // SAFETY: the pages: storage for a list, whose fields these are.
    unsafe { list.cast::<u8>().wrapping_add(offset).cast::<T>().write(value) };
}

fn initialize(list: PVOID, [own_allocate, own_free]: [PVOID; 2], pool_type: i32, size: usize, tag: u32) {
    let machine = Machine::current();
    if !list.addr().is_multiple_of(16) {
        machine.violation("list", format!("the lookaside list at {:#x} is not aligned to 16", list.addr()));
    }
    // SAFETY: the pages: storage for a list.
    unsafe { ptr::write_bytes(list.cast::<u8>(), 0, BYTES) };
    put(list, TYPE, pool_type);
    put(list, TAG, tag);
    put(list, SIZE, size as u32);
    let doors = &machine.nt.doors;
    let or_own = |own: PVOID, name| if own.is_null() { doors.address(&machine, name).unwrap_or(0) } else { own.addr() };
    put(list, ALLOCATE, or_own(own_allocate, "ExAllocatePoolWithTag"));
    put(list, FREE, or_own(own_free, "ExFreePool"));
    let before = doors.lists.lock().unwrap_or_else(PoisonError::into_inner).insert(list.addr(), tag);
    if before.is_some() {
        machine.violation("list", format!("the lookaside list at {:#x} is initialized twice", list.addr()));
    }
}

fn delete(list: PVOID) {
    let machine = Machine::current();
    let gone = machine.nt.doors.lists.lock().unwrap_or_else(PoisonError::into_inner).remove(&list.addr());
    if gone.is_none() {
        machine.violation("list", format!("the lookaside list at {:#x} is deleted and is none", list.addr()));
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ex_allocate_pool_with_tag(pool_type: i32, bytes: SIZE_T, tag: ULONG) -> PVOID {
        allocate(pool_type, bytes, tag, "ExAllocatePoolWithTag")
    }

    unsafe extern "C" fn ex_allocate_pool(pool_type: i32, bytes: SIZE_T) -> PVOID {
        allocate(pool_type, bytes, NO_TAG, "ExAllocatePool")
    }

    unsafe extern "C" fn ex_initialize_npaged_lookaside_list(
        list: PVOID,
        own_allocate: PVOID,
        own_free: PVOID,
        _flags: ULONG,
        size: SIZE_T,
        tag: ULONG,
        _depth: USHORT,
    ) {
        // NonPagedPoolNx.
        initialize(list, [own_allocate, own_free], 512, size, tag);
    }

    unsafe extern "C" fn ex_initialize_paged_lookaside_list(
        list: PVOID,
        own_allocate: PVOID,
        own_free: PVOID,
        _flags: ULONG,
        size: SIZE_T,
        tag: ULONG,
        _depth: USHORT,
    ) {
        initialize(list, [own_allocate, own_free], PAGED, size, tag);
    }

    unsafe extern "C" fn ex_initialize_lookaside_list_ex(
        list: PVOID,
        own_allocate: PVOID,
        own_free: PVOID,
        pool_type: i32,
        _flags: ULONG,
        size: SIZE_T,
        tag: ULONG,
        _depth: USHORT,
    ) -> NTSTATUS {
        initialize(list, [own_allocate, own_free], pool_type, size, tag);
        STATUS_SUCCESS
    }

    unsafe extern "C" fn ex_delete_lookaside_list(list: PVOID) {
        delete(list);
    }

    unsafe extern "C" fn mm_get_system_routine_address(name: PUNICODE_STRING) -> PVOID {
        let machine = Machine::current();
        let address = machine.nt.doors.address(&machine, &text(name));
        address.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    let by_name = exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        MmGetSystemRoutineAddress <= Passive = mm_get_system_routine_address,
    };
    let of_c = exports! { "ntoskrnl.exe" in crate::kernel::wdk::c_only;
        ExAllocatePoolWithTag <= Dispatch = ex_allocate_pool_with_tag,
        ExAllocatePool <= Dispatch = ex_allocate_pool,
        ExInitializeNPagedLookasideList <= Dispatch = ex_initialize_npaged_lookaside_list,
        ExDeleteNPagedLookasideList <= Dispatch = ex_delete_lookaside_list,
        ExInitializePagedLookasideList <= Apc = ex_initialize_paged_lookaside_list,
        ExDeletePagedLookasideList <= Apc = ex_delete_lookaside_list,
        ExInitializeLookasideListEx <= Dispatch = ex_initialize_lookaside_list_ex,
        ExDeleteLookasideListEx <= Dispatch = ex_delete_lookaside_list,
    };
    by_name.into_iter().chain(of_c)
}
