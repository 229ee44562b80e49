//! Lists that several may change: doubly linked ones under a spin lock, and sequenced singly linked ones (SLIST).
//!
//! One lock of the machine stands for all of theirs; what a list's entries say of each other is checked.

use super::locks::holds;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::wdk::{LIST_ENTRY, PKSPIN_LOCK, PLIST_ENTRY, PSLIST_ENTRY, PSLIST_HEADER, USHORT};
use std::ptr;

fn entry<'e>(at: PLIST_ENTRY) -> &'e mut LIST_ENTRY {
    // SAFETY: the pages: a list head that was initialized, or an entry of it.
    unsafe { &mut *at }
}

/// Whether a list's head and its neighbours point at each other, and nobody who holds the lock calls.
fn is_whole(head: PLIST_ENTRY, lock: PKSPIN_LOCK) -> bool {
    if holds(lock) {
        let text = format!("an interlocked list function with its lock {:#x} held", lock.addr());
        Machine::current().violation("deadlock", text);
    }
    let (next, last) = (entry(head).Flink, entry(head).Blink);
    let whole = !next.is_null() && !last.is_null() && entry(next).Blink == head && entry(last).Flink == head;
    if !whole {
        Machine::current().violation("list", format!("the list at {:#x} is not linked both ways", head.addr()));
    }
    whole
}

/// Puts an entry between two neighbours.
fn insert(before: PLIST_ENTRY, new: PLIST_ENTRY, after: PLIST_ENTRY) {
    (entry(new).Flink, entry(new).Blink) = (after, before);
    entry(before).Flink = new;
    entry(after).Blink = new;
}

fn unless_empty(head: PLIST_ENTRY, at: PLIST_ENTRY) -> PLIST_ENTRY {
    if at == head { ptr::null_mut() } else { at }
}

/// Whether an address is one that a sequenced list's header or entry may have.
fn is_aligned(at: usize, what: &str) -> bool {
    let aligned = at.is_multiple_of(16);
    if !aligned {
        Machine::current().violation("list", format!("the list {what} at {at:#x} is not aligned to 16"));
    }
    aligned
}

/// The words of a sequenced list's header: depth (16 bits) and sequence, and the first entry. `None` for one at an address that
/// none may have.
fn header<'h>(list: PSLIST_HEADER) -> Option<&'h mut [u64; 2]> {
    // SAFETY: the pages: an initialized header in resident memory.
    is_aligned(list.addr(), "header").then(|| unsafe { &mut *list.cast::<[u64; 2]>() })
}

fn first(words: &[u64; 2]) -> PSLIST_ENTRY {
    ptr::with_exposed_provenance_mut((words[1] & !15) as usize)
}

fn set(words: &mut [u64; 2], depth: u64, first: PSLIST_ENTRY) {
    let sequence = (words[0] >> 16).wrapping_add(1) << 16;
    *words = [sequence | (depth & 0xffff), first.expose_provenance() as u64];
}

ndk_types::abi! {
    unsafe extern "C" fn ex_interlocked_insert_head_list(
        head: PLIST_ENTRY,
        new: PLIST_ENTRY,
        lock: PKSPIN_LOCK,
    ) -> PLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        if !is_whole(head, lock) {
            return ptr::null_mut();
        }
        let next = entry(head).Flink;
        insert(head, new, next);
        unless_empty(head, next)
    }

    unsafe extern "C" fn ex_interlocked_insert_tail_list(
        head: PLIST_ENTRY,
        new: PLIST_ENTRY,
        lock: PKSPIN_LOCK,
    ) -> PLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        if !is_whole(head, lock) {
            return ptr::null_mut();
        }
        let last = entry(head).Blink;
        insert(last, new, head);
        unless_empty(head, last)
    }

    unsafe extern "C" fn ex_interlocked_remove_head_list(head: PLIST_ENTRY, lock: PKSPIN_LOCK) -> PLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        let removed = entry(head).Flink;
        if !is_whole(head, lock) || removed == head {
            return ptr::null_mut();
        }
        let next = entry(removed).Flink;
        entry(head).Flink = next;
        entry(next).Blink = head;
        removed
    }

    unsafe extern "C" fn initialize_slist_head(list: PSLIST_HEADER) {
        if let Some(words) = header(list) {
            *words = [0; 2];
        }
    }

    unsafe extern "C" fn push_entry_slist(list: PSLIST_HEADER, new: PSLIST_ENTRY) -> PSLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        let Some(words) = header(list).filter(|_| is_aligned(new.addr(), "entry")) else { return ptr::null_mut() };
        let (before, depth) = (first(words), words[0] & 0xffff);
        // SAFETY: the page: an entry that is the caller's.
        unsafe { (*new).Next = before };
        set(words, depth + 1, new);
        before
    }

    unsafe extern "C" fn pop_entry_slist(list: PSLIST_HEADER) -> PSLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        let Some(words) = header(list) else { return ptr::null_mut() };
        let (top, depth) = (first(words), words[0] & 0xffff);
        if !top.is_null() {
            // SAFETY: an entry that is in the list.
            let next = unsafe { (*top).Next };
            set(words, depth.saturating_sub(1), next);
        }
        top
    }

    unsafe extern "C" fn flush_slist(list: PSLIST_HEADER) -> PSLIST_ENTRY {
        let machine = Machine::current();
        let _interlock = machine.nt.interlock();
        let Some(words) = header(list) else { return ptr::null_mut() };
        let top = first(words);
        set(words, 0, ptr::null_mut());
        top
    }

    unsafe extern "C" fn query_depth_slist(list: PSLIST_HEADER) -> USHORT {
        header(list).map_or(0, |words| words[0] as USHORT)
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        ExInterlockedInsertHeadList <= High = ex_interlocked_insert_head_list,
        ExInterlockedInsertTailList <= High = ex_interlocked_insert_tail_list,
        ExInterlockedRemoveHeadList <= High = ex_interlocked_remove_head_list,
        InitializeSListHead <= High = initialize_slist_head,
        ExpInterlockedPushEntrySList <= High = push_entry_slist,
        ExpInterlockedPopEntrySList <= High = pop_entry_slist,
        ExpInterlockedFlushSList <= High = flush_slist,
        ExQueryDepthSList <= Dispatch = query_depth_slist,
    }
}
