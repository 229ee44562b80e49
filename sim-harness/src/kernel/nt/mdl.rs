//! MDLs: descriptions of pages, and mappings of them (W-10 to W-12).
//!
//! The array of page frame numbers lies behind the structure, as in the real thing. A mapping is another view of the same
//! pages of the memory file; it belongs to the machine it was made on, which may share the memory with others.

use super::memory::PAGE;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::{
    BOOLEAN, KPROCESSOR_MODE, LOCK_OPERATION, MDL, MEMORY_CACHING_TYPE, PIRP, PMDL, PVOID, ULONG, types,
    types::_MEMORY_CACHING_TYPE,
};
use ndk_types::{
    MDL_IO_SPACE, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_PARTIAL, MDL_PARTIAL_HAS_BEEN_MAPPED,
    MDL_SOURCE_IS_NONPAGED_POOL,
};
use std::collections::BTreeSet;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tag of MDLs, as the real kernel has it.
const TAG: u32 = u32::from_le_bytes(*b"Mdl ");
/// MDL_WRITE_OPERATION: the pages were locked to be written.
const MDL_WRITE_OPERATION: i16 = 0x80;
const NO_WRITE: u32 = 0x8000_0000;

/// MDLs that were allocated and not freed, and mappings that were made and not ended.
#[derive(Debug)]
pub struct Mdls {
    allocated: Mutex<BTreeSet<usize>>,
    mapped: Mutex<BTreeSet<usize>>,
    room: AtomicUsize,
}

impl Default for Mdls {
    fn default() -> Self {
        Self { allocated: Mutex::default(), mapped: Mutex::default(), room: AtomicUsize::new(usize::MAX) }
    }
}

impl Mdls {
    /// From now on there are page table entries for so many mappings: one more fails, as it may in a kernel.
    pub fn limit_mappings(&self, room: usize) {
        self.room.store(room, Ordering::SeqCst);
    }

    fn list(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.allocated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mapped(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.mapped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mappings of locked pages that are not ended.
    pub fn mappings(&self) -> usize {
        self.mapped().len()
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let mut leaks: Vec<_> = self.list().iter().map(|mdl| format!("MDL {mdl:#x}")).collect();
        leaks.extend(self.mapped().iter().map(|base| format!("a mapping of locked pages at {base:#x}")));
        leaks
    }
}

/// Ends the mapping an address is in; false when this machine has none there.
fn unmap(machine: &Machine, address: PVOID) -> bool {
    let base = address.cast::<u8>().map_addr(|at| at & !(PAGE - 1));
    machine.nt.mdls.mapped().remove(&base.addr()) && machine.nt.memory.unmap(base)
}

/// Pages that `bytes` bytes from `address` on touch.
pub fn pages_spanned(address: usize, bytes: usize) -> usize {
    (address % PAGE + bytes).div_ceil(PAGE)
}

/// The page frame numbers of an MDL.
pub fn pfns(mdl: PMDL) -> Vec<u64> {
    // SAFETY: the pages of the functions below: a valid MDL.
    let head = unsafe { mdl.read() };
    let count = pages_spanned(head.ByteOffset as usize, head.ByteCount as usize);
    let array = mdl.wrapping_add(1).cast::<u64>();
    // SAFETY: an MDL is followed by one number for each page it spans.
    (0..count).map(|place| unsafe { array.wrapping_add(place).read() }).collect()
}

/// A new MDL for a range, its numbers not filled in; `None` without memory.
pub fn allocate(machine: &Machine, address: usize, bytes: usize) -> Option<PMDL> {
    let size = size_of::<MDL>() + 8 * pages_spanned(address, bytes);
    let mdl = machine.nt.pool.allocate(&machine.nt.memory, size, TAG, true)?.cast::<MDL>();
    let new = MDL {
        Next: ptr::null_mut(),
        Size: i16::try_from(size).unwrap_or(i16::MAX),
        MdlFlags: 0,
        Process: ptr::null_mut(),
        MappedSystemVa: ptr::null_mut(),
        StartVa: ptr::without_provenance_mut(address & !(PAGE - 1)),
        ByteCount: bytes as u32,
        ByteOffset: (address % PAGE) as u32,
    };
    // SAFETY: just allocated, with room for it.
    unsafe { mdl.write(new) };
    machine.nt.mdls.list().insert(mdl.addr());
    Some(mdl)
}

/// Frees an MDL.
pub fn free(machine: &Machine, mdl: PMDL) {
    if !machine.nt.mdls.list().remove(&mdl.addr()) {
        machine.violation("mdl", format!("MDL {:#x} is freed and is none", mdl.addr()));
        return;
    }
    // SAFETY: an MDL of the list is alive.
    let head = unsafe { mdl.read() };
    if head.MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED != 0 {
        unmap(machine, head.MappedSystemVa);
    } else if head.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA != 0 && head.MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL == 0 {
        machine.violation("mdl", format!("MDL {:#x} is freed while it is mapped", mdl.addr()));
    }
    let _ = machine.nt.pool.free(&machine.nt.memory, mdl.cast(), 0);
}

/// Ends the mapping of locked pages, if there is one, and unlocks them; false when they were not locked.
fn unlock(machine: &Machine, mdl: PMDL) -> bool {
    // SAFETY: the page of MmUnlockPages: an MDL whose pages are locked.
    let head = unsafe { &mut *mdl };
    if head.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA != 0 {
        unmap(machine, head.MappedSystemVa);
    }
    let locked = head.MdlFlags & MDL_PAGES_LOCKED != 0;
    head.MdlFlags &= !(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA);
    locked
}

/// Unlocks the pages of an MDL and frees it, as the I/O manager does with a request's.
pub fn release(machine: &Machine, mdl: PMDL) {
    unlock(machine, mdl);
    free(machine, mdl);
}

/// Describes memory of the machine: fills in the page numbers; false for memory that is none of the machine's.
pub fn describe(machine: &Machine, mdl: PMDL, address: usize) -> bool {
    // SAFETY: a valid MDL.
    let head = unsafe { mdl.read() };
    let count = pages_spanned(head.ByteOffset as usize, head.ByteCount as usize);
    let array = mdl.wrapping_add(1).cast::<u64>();
    (0..count).all(|place| {
        let Some(pfn) = machine.nt.memory.pfn_of((address & !(PAGE - 1)) + place * PAGE) else { return false };
        // SAFETY: an MDL is followed by one number for each page it spans.
        unsafe { array.wrapping_add(place).write(pfn) };
        true
    })
}

ndk_types::abi! {
    unsafe extern "C" fn io_allocate_mdl(
        address: PVOID,
        length: ULONG,
        _secondary: BOOLEAN,
        _quota: BOOLEAN,
        _irp: PIRP,
    ) -> PMDL {
        let machine = Machine::current();
        if machine.take_failure("IoAllocateMdl") {
            return ptr::null_mut();
        }
        allocate(&machine, address.addr(), length as usize).unwrap_or(ptr::null_mut())
    }

    unsafe extern "C" fn io_free_mdl(mdl: PMDL) {
        free(&Machine::current(), mdl);
    }

    unsafe extern "C" fn mm_build_mdl_for_non_paged_pool(mdl: PMDL) {
        let machine = Machine::current();
        // SAFETY: the page: an MDL for memory of the nonpaged pool.
        let head = unsafe { &mut *mdl };
        let address = head.StartVa.addr() + head.ByteOffset as usize;
        if !describe(&machine, mdl, address) {
            machine.violation("mdl", format!("MmBuildMdlForNonPagedPool of {address:#x}, which is no pool"));
            return;
        }
        head.MappedSystemVa = head.StartVa.map_addr(|start| start + head.ByteOffset as usize);
        head.MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    }

    unsafe extern "C" fn mm_probe_and_lock_pages(mdl: PMDL, _mode: KPROCESSOR_MODE, operation: LOCK_OPERATION) {
        let machine = Machine::current();
        // SAFETY: the page: an MDL whose pages are not locked.
        let head = unsafe { &mut *mdl };
        let address = head.StartVa.addr() + head.ByteOffset as usize;
        if head.MdlFlags & (MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL) != 0 {
            machine.violation("mdl", format!("MmProbeAndLockPages of pages at {address:#x} that are locked"));
        }
        // The real function raises an exception for what is no memory; there is none to raise here.
        if !describe(&machine, mdl, address) {
            machine.violation("mdl", format!("MmProbeAndLockPages of {address:#x}, which is no memory of the machine"));
            return;
        }
        head.MdlFlags |= MDL_PAGES_LOCKED;
        if operation != types::_LOCK_OPERATION::IoReadAccess {
            head.MdlFlags |= MDL_WRITE_OPERATION;
        }
    }

    unsafe extern "C" fn mm_unlock_pages(mdl: PMDL) {
        let machine = Machine::current();
        if !unlock(&machine, mdl) {
            machine.violation("mdl", format!("MmUnlockPages of MDL {:#x}, whose pages are not locked", mdl.addr()));
        }
    }

    unsafe extern "C" fn mm_map_locked_pages_specify_cache(
        mdl: PMDL,
        mode: KPROCESSOR_MODE,
        cache: MEMORY_CACHING_TYPE,
        _requested: PVOID,
        bug_check_on_failure: ULONG,
        priority: ULONG,
    ) -> PVOID {
        let machine = Machine::current();
        // SAFETY: the page: an MDL of locked pages.
        let head = unsafe { &mut *mdl };
        if head.MdlFlags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA) != 0 {
            machine.violation("W-11", "pages that have a system address are mapped again through the same MDL");
        }
        if head.MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL) == 0 {
            machine.violation("W-11", "pages that are not locked are mapped");
        }
        if head.MdlFlags & MDL_IO_SPACE != 0 {
            machine.violation("W-11", "device memory is mapped as cached memory");
        }
        if mode != 0 || cache != _MEMORY_CACHING_TYPE::MmCached || bug_check_on_failure != 0 {
            machine.violation("W-11", "MmMapLockedPagesSpecifyCache wants KernelMode, MmCached, no bug check");
        }
        if machine.nt.mdls.mappings() >= machine.nt.mdls.room.load(Ordering::SeqCst) {
            return ptr::null_mut();
        }
        let Some(base) = machine.nt.memory.map(&pfns(mdl), priority & NO_WRITE == 0) else { return ptr::null_mut() };
        machine.nt.mdls.mapped().insert(base.addr());
        let address = base.wrapping_add(head.ByteOffset as usize).cast();
        head.MappedSystemVa = address;
        head.MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
        if head.MdlFlags & MDL_PARTIAL != 0 {
            head.MdlFlags |= MDL_PARTIAL_HAS_BEEN_MAPPED;
        }
        address
    }

    unsafe extern "C" fn mm_unmap_locked_pages(base: PVOID, mdl: PMDL) {
        let machine = Machine::current();
        // SAFETY: the page: the MDL that was mapped.
        let head = unsafe { &mut *mdl };
        if base != head.MappedSystemVa || head.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA == 0 {
            machine.violation("mdl", format!("MmUnmapLockedPages of {:#x}, which the MDL does not map", base.addr()));
            return;
        }
        if !unmap(&machine, base) {
            machine.violation("mdl", format!("MmUnmapLockedPages of {:#x}, which is no mapping", base.addr()));
        }
        head.MdlFlags &= !(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        IoAllocateMdl <= Dispatch = io_allocate_mdl,
        IoFreeMdl <= Dispatch = io_free_mdl,
        MmBuildMdlForNonPagedPool <= Dispatch = mm_build_mdl_for_non_paged_pool,
        MmProbeAndLockPages <= Dispatch = mm_probe_and_lock_pages,
        MmUnlockPages <= Dispatch = mm_unlock_pages,
        MmMapLockedPagesSpecifyCache <= Dispatch = mm_map_locked_pages_specify_cache,
        MmUnmapLockedPages <= Dispatch = mm_unmap_locked_pages,
    }
}
