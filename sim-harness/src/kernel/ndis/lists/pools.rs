//! Pools of NET_BUFFER_LISTs and NET_BUFFERs, and the lists that come from them. All of it at or below DISPATCH_LEVEL.

use super::making::Making;
use super::{Holder, Kind, Lists, Nbl, data, take_for_free};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::*;
use std::ptr;

/// Handles: numbers that are no addresses, from here on.
const FIRST: usize = 0x4e42_0000;
/// MEMORY_ALLOCATION_ALIGNMENT.
const ALIGNMENT: u16 = 16;

/// What a pool of lists was made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListPool {
    net_buffer: bool,
    context: u16,
    data: u32,
}

/// What a pool of NET_BUFFERs was made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferPool {
    /// The size of the data that come with each.
    pub(super) data: u32,
}

fn wrong(machine: &Machine, what: &str, faults: &[(bool, &str)]) -> bool {
    for (_, text) in faults.iter().filter(|(there, _)| *there) {
        machine.violation("nbl", format!("{what}: {text}"));
    }
    faults.iter().any(|(there, _)| *there)
}

/// Holds a header against what its page wants; `sizes` are the sizes of the revisions, from the first.
fn check_header(machine: &Machine, what: &str, header: NDIS_OBJECT_HEADER, sizes: [u16; 2]) -> bool {
    let NDIS_OBJECT_HEADER { Type, Revision, Size } = header;
    let wanted = sizes.get(usize::from(Revision).wrapping_sub(1));
    let good = Type == NDIS_OBJECT_TYPE_DEFAULT && wanted.is_some_and(|wanted| Size >= *wanted);
    if !good {
        machine.violation("header", format!("{what}: type {Type}, revision {Revision}, size {Size}"));
    }
    good
}

impl Lists {
    fn new_handle(&self) -> usize {
        let mut state = self.state();
        state.handles += 1;
        FIRST + 16 * state.handles
    }

    /// The pool of a handle, or a violation.
    fn list_pool(&self, machine: &Machine, handle: NDIS_HANDLE, call: &str) -> Option<ListPool> {
        let pool = self.state().list_pools.get(&handle.addr()).copied();
        if pool.is_none() {
            machine.violation("nbl", format!("{call}: {:#x} is no NET_BUFFER_LIST pool", handle.addr()));
        }
        pool
    }
}

/// A list from a pool with its context area.
fn allocate<'a>(
    machine: &'a Machine,
    handle: NDIS_HANDLE,
    pool: ListPool,
    (size, back_fill): (u16, u16),
    call: &str,
) -> Option<Making<'a>> {
    let unaligned = !size.is_multiple_of(ALIGNMENT) || !back_fill.is_multiple_of(ALIGNMENT);
    if wrong(machine, call, &[(unaligned, "a context size is no multiple of MEMORY_ALLOCATION_ALIGNMENT")]) {
        return None;
    }
    if machine.take_failure(call) {
        return None;
    }
    let mut making = Making::new(machine, handle.addr(), pool.net_buffer)?;
    let total = size.checked_add(back_fill)?.max(pool.context);
    if total > 0 {
        let bytes = size_of::<NET_BUFFER_LIST_CONTEXT>() + usize::from(total);
        let context = making.block(bytes)?.cast::<NET_BUFFER_LIST_CONTEXT>();
        let head = NET_BUFFER_LIST_CONTEXT { Next: ptr::null_mut(), Size: total, Offset: total - size };
        // SAFETY: just allocated, with room for it.
        unsafe { context.write(head) };
        // SAFETY: a fresh list.
        unsafe { (*making.nbl.0).Context = context };
    }
    Some(making)
}

fn allocate_list(machine: &Machine, handle: NDIS_HANDLE, context: (u16, u16)) -> Option<Nbl> {
    let call = "NdisAllocateNetBufferList";
    let pool = machine.ndis.lists.list_pool(machine, handle, call)?;
    let mut making = allocate(machine, handle, pool, context, call)?;
    if pool.net_buffer {
        let buffer = making.net_buffer(0)?;
        if pool.data > 0 {
            let bytes = making.block(pool.data as usize)?;
            let mdl = making.mdl(bytes.cast(), pool.data as usize)?;
            // The page leaves open where the data start: a driver sets offset and length itself.
            data::describe(machine, buffer, mdl, 0, 0);
        }
    }
    Some(making.done(Kind::Plain { pool: handle.addr() }, Holder::Driver))
}

fn allocate_both(
    machine: &Machine,
    handle: NDIS_HANDLE,
    context: (u16, u16),
    (chain, offset, length): (*mut MDL, u32, usize),
) -> Option<Nbl> {
    let call = "NdisAllocateNetBufferAndNetBufferList";
    let pool = machine.ndis.lists.list_pool(machine, handle, call)?;
    let end = (offset as usize).checked_add(length);
    let short = end.is_none_or(|end| end > data::chain_bytes(machine, chain) || u32::try_from(end).is_err());
    let faults = [
        (!pool.net_buffer, "the pool is without fAllocateNetBuffer"),
        (pool.data != 0, "the pool has a DataSize"),
        (short, "the MDL chain is shorter than offset and length"),
    ];
    if wrong(machine, call, &faults) {
        return None;
    }
    let mut making = allocate(machine, handle, pool, context, call)?;
    let buffer = making.net_buffer(0)?;
    data::describe(machine, buffer, chain, offset, length as u32);
    Some(making.done(Kind::Plain { pool: handle.addr() }, Holder::Driver))
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_allocate_net_buffer_list_pool(
        _handle: NDIS_HANDLE,
        parameters: *const NET_BUFFER_LIST_POOL_PARAMETERS,
    ) -> NDIS_HANDLE {
        let (machine, call) = (Machine::current(), "NdisAllocateNetBufferListPool");
        // SAFETY: the page: parameters, which start with a header.
        let header = unsafe { (*parameters).Header };
        let sizes = [
            NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
            NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2,
        ];
        let what = "NET_BUFFER_LIST_POOL_PARAMETERS";
        if !check_header(&machine, what, header, sizes) {
            return ptr::null_mut();
        }
        // SAFETY: the members below are of revision 1.
        let protocol = unsafe { (*parameters).ProtocolId };
        // SAFETY: as above.
        let net_buffer = unsafe { (*parameters).fAllocateNetBuffer } != 0;
        // SAFETY: as above.
        let context = unsafe { (*parameters).ContextSize };
        // SAFETY: as above.
        let tag = unsafe { (*parameters).PoolTag };
        // SAFETY: as above.
        let data = unsafe { (*parameters).DataSize };
        let faults = [
            (protocol != NDIS_PROTOCOL_ID_DEFAULT, "an intermediate driver's ProtocolId is NDIS_PROTOCOL_ID_DEFAULT"),
            (!context.is_multiple_of(ALIGNMENT), "ContextSize is no multiple of MEMORY_ALLOCATION_ALIGNMENT"),
            (tag == 0, "PoolTag is 0"),
            (data != 0 && !net_buffer, "a DataSize without fAllocateNetBuffer"),
        ];
        if wrong(&machine, call, &faults) || machine.take_failure(call) {
            return ptr::null_mut();
        }
        let handle = machine.ndis.lists.new_handle();
        machine.ndis.lists.state().list_pools.insert(handle, ListPool { net_buffer, context, data });
        ptr::without_provenance_mut(handle)
    }

    unsafe extern "C" fn ndis_free_net_buffer_list_pool(handle: NDIS_HANDLE) {
        let machine = Machine::current();
        let mut state = machine.ndis.lists.state();
        let gone = state.list_pools.remove(&handle.addr()).is_none();
        let of_it = |kind: Kind| matches!(kind, Kind::Plain { pool } | Kind::Clone { pool, .. } if pool == handle.addr());
        let alive = !gone && state.records.values().any(|record| of_it(record.kind));
        let faults = [(gone, "this is no pool"), (alive, "lists of the pool are alive")];
        wrong(&machine, "NdisFreeNetBufferListPool", &faults);
    }

    unsafe extern "C" fn ndis_allocate_net_buffer_pool(
        _handle: NDIS_HANDLE,
        parameters: *const NET_BUFFER_POOL_PARAMETERS,
    ) -> NDIS_HANDLE {
        let (machine, call) = (Machine::current(), "NdisAllocateNetBufferPool");
        // SAFETY: the page: parameters, which start with a header.
        let header = unsafe { (*parameters).Header };
        let sizes =
            [NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1, NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_2];
        if !check_header(&machine, "NET_BUFFER_POOL_PARAMETERS", header, sizes) {
            return ptr::null_mut();
        }
        // SAFETY: the members below are of revision 1.
        let tag = unsafe { (*parameters).PoolTag };
        // SAFETY: as above.
        let data = unsafe { (*parameters).DataSize };
        if wrong(&machine, call, &[(tag == 0, "PoolTag is 0")]) || machine.take_failure(call) {
            return ptr::null_mut();
        }
        let handle = machine.ndis.lists.new_handle();
        machine.ndis.lists.state().buffer_pools.insert(handle, BufferPool { data });
        ptr::without_provenance_mut(handle)
    }

    unsafe extern "C" fn ndis_free_net_buffer_pool(handle: NDIS_HANDLE) {
        let machine = Machine::current();
        let mut state = machine.ndis.lists.state();
        let gone = state.buffer_pools.remove(&handle.addr()).is_none();
        let alive = state.buffers.values().any(|buffer| !gone && buffer.pool == handle.addr());
        let faults = [(gone, "this is no pool"), (alive, "NET_BUFFERs of the pool are alive")];
        wrong(&machine, "NdisFreeNetBufferPool", &faults);
    }

    unsafe extern "C" fn ndis_allocate_net_buffer_list(
        handle: NDIS_HANDLE,
        context: u16,
        back_fill: u16,
    ) -> *mut NET_BUFFER_LIST {
        allocate_list(&Machine::current(), handle, (context, back_fill)).map_or(ptr::null_mut(), |nbl| nbl.0)
    }

    unsafe extern "C" fn ndis_allocate_net_buffer_and_net_buffer_list(
        handle: NDIS_HANDLE,
        context: u16,
        back_fill: u16,
        chain: *mut MDL,
        offset: u32,
        length: usize,
    ) -> *mut NET_BUFFER_LIST {
        let made = allocate_both(&Machine::current(), handle, (context, back_fill), (chain, offset, length));
        made.map_or(ptr::null_mut(), |nbl| nbl.0)
    }

    unsafe extern "C" fn ndis_free_net_buffer_list(list: *mut NET_BUFFER_LIST) {
        let machine = Machine::current();
        if let Some(record) = take_for_free(&machine, Nbl(list), "NdisFreeNetBufferList", false) {
            record.free(&machine);
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisAllocateNetBufferListPool <= Dispatch = ndis_allocate_net_buffer_list_pool,
        NdisFreeNetBufferListPool <= Dispatch = ndis_free_net_buffer_list_pool,
        NdisAllocateNetBufferPool <= Dispatch = ndis_allocate_net_buffer_pool,
        NdisFreeNetBufferPool <= Dispatch = ndis_free_net_buffer_pool,
        NdisAllocateNetBufferList <= Dispatch = ndis_allocate_net_buffer_list,
        NdisAllocateNetBufferAndNetBufferList <= Dispatch = ndis_allocate_net_buffer_and_net_buffer_list,
        NdisFreeNetBufferList <= Dispatch = ndis_free_net_buffer_list,
    }
}
