//! What NET_BUFFERs describe: MDL chains, where the data start in them, and their bytes.

use super::making::{self, Block};
use super::{Holder, Lists, Nbl, State};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql;
use crate::kernel::nt::mdl as nt_mdl;
use crate::kernel::nt::memory::PAGE;
use ndk_types::*;
use std::ffi::c_void;
use std::ptr;

ndk_types::abi! {
    /// NetAllocateMdl.
    type AllocateMdl = Option<unsafe extern "C" fn(size: *mut u32) -> *mut MDL>;
    /// NetFreeMdl.
    type FreeMdl = Option<unsafe extern "C" fn(mdl: *mut MDL)>;
}

/// An MDL that NdisRetreatNetBufferDataStart put in front.
#[derive(Debug)]
pub(super) struct Retreated {
    mdl: usize,
    /// The MDL and its data; empty when the driver's own function allocated them.
    pub(super) blocks: Vec<Block>,
}

/// The MDLs of a chain with what is in them. One that does not lie in pool memory, or comes twice, ends it with a violation.
fn chain(machine: &Machine, first: *mut MDL) -> Vec<(*mut MDL, MDL)> {
    let mut all: Vec<(*mut MDL, MDL)> = Vec::new();
    let mut next = first;
    while !next.is_null() {
        let is_there = machine.nt.pool.holds(next.addr(), size_of::<MDL>());
        if !is_there || all.iter().any(|(mdl, _)| *mdl == next) {
            let why = if is_there { "comes twice in its chain" } else { "is in no block of the pool" };
            machine.violation("mdl", format!("MDL {:#x} {why}", next.addr()));
            break;
        }
        // SAFETY: in a live block of the pool.
        let head = unsafe { next.read() };
        all.push((next, head));
        next = head.Next;
    }
    all
}

/// How many bytes a chain describes.
pub(super) fn chain_bytes(machine: &Machine, first: *mut MDL) -> usize {
    chain(machine, first).iter().map(|(_, head)| head.ByteCount as usize).sum()
}

/// The addresses of all MDLs behind NET_BUFFERs.
pub(super) fn mdls_of(machine: &Machine, buffers: &[*mut NET_BUFFER]) -> Vec<usize> {
    let chains = buffers.iter().map(|buffer| {
        // SAFETY: NET_BUFFERs of the table, which are alive.
        unsafe { (**buffer).MdlChain }
    });
    chains.flat_map(|first| chain(machine, first)).map(|(mdl, _)| mdl.addr()).collect()
}

/// Has a NET_BUFFER describe a chain; the chain is long enough.
pub(super) fn describe(machine: &Machine, buffer: *mut NET_BUFFER, first: *mut MDL, offset: u32, length: u32) {
    let (mut current, mut inside) = (first, offset);
    for (mdl, head) in chain(machine, first) {
        current = mdl;
        if inside < head.ByteCount || head.Next.is_null() {
            break;
        }
        inside -= head.ByteCount;
    }
    // SAFETY: a NET_BUFFER of the table, or a fresh one: it is alive.
    let head = unsafe { &mut *buffer };
    (head.MdlChain, head.DataOffset, head.DataLength) = (first, offset, length);
    (head.CurrentMdl, head.CurrentMdlOffset) = (current, inside);
}

/// Where the data of a NET_BUFFER are, piece by piece; `None` when a piece has no system address.
pub(super) fn parts(machine: &Machine, buffer: &NET_BUFFER) -> Option<Vec<(*mut c_void, usize)>> {
    let (mut parts, mut from, mut left) = (Vec::new(), buffer.CurrentMdlOffset as usize, buffer.DataLength as usize);
    for (_, head) in chain(machine, buffer.CurrentMdl) {
        let bytes = (head.ByteCount as usize).saturating_sub(from).min(left);
        if bytes > 0 {
            let has_address = head.MdlFlags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA) != 0;
            parts.push((head.MappedSystemVa.wrapping_byte_add(from), has_address.then_some(bytes)?));
        }
        from = 0;
        left -= bytes;
    }
    Some(parts)
}

/// The bytes of one MDL from `from` on, at most `most`, added to `into`.
fn read_mdl(machine: &Machine, mdl: *mut MDL, head: &MDL, from: usize, most: usize, into: &mut Vec<u8>) {
    let bytes = (head.ByteCount as usize).saturating_sub(from).min(most);
    if bytes == 0 {
        return;
    }
    let is_pool = head.MdlFlags & MDL_SOURCE_IS_NONPAGED_POOL != 0;
    if is_pool || head.MdlFlags & MDL_MAPPED_TO_SYSTEM_VA != 0 {
        let at = head.MappedSystemVa.cast::<u8>().wrapping_add(from);
        if is_pool && !machine.nt.pool.holds(at.addr(), bytes) {
            machine.violation("mdl", format!("MDL {:#x} describes pool that was freed", mdl.addr()));
            return;
        }
        // SAFETY: a live block of the pool, or a mapping of locked pages, which lasts as long as its MDL says so.
        into.extend_from_slice(unsafe { std::slice::from_raw_parts(at, bytes) });
        return;
    }
    // Locked pages without a system address: hardware reads them by number.
    let Some(view) = machine.nt.memory.map(&nt_mdl::pfns(mdl.cast()), false) else {
        machine.violation("mdl", format!("MDL {:#x} has page numbers that are none", mdl.addr()));
        return;
    };
    let at = view.wrapping_add(head.ByteOffset as usize % PAGE + from);
    // SAFETY: mapped above, as many pages as the MDL spans.
    into.extend_from_slice(unsafe { std::slice::from_raw_parts(at, bytes) });
    machine.nt.memory.unmap(view);
}

/// The bytes of a NET_BUFFER; what does not fit together is a violation.
fn bytes_of(machine: &Machine, buffer: *mut NET_BUFFER) -> Vec<u8> {
    // SAFETY: a NET_BUFFER of the table, which is alive.
    let head = unsafe { buffer.read() };
    let (mut bytes, mut before, mut found) = (Vec::new(), 0_usize, false);
    let length = head.DataLength as usize;
    for (mdl, part) in chain(machine, head.MdlChain) {
        let here = mdl == head.CurrentMdl;
        if here && before + head.CurrentMdlOffset as usize != head.DataOffset as usize {
            machine.violation("nbl", format!("NET_BUFFER {:#x}: CurrentMdl and DataOffset disagree", buffer.addr()));
        }
        found |= here;
        if found {
            let from = if here { head.CurrentMdlOffset as usize } else { 0 };
            let most = length - bytes.len();
            read_mdl(machine, mdl, &part, from, most, &mut bytes);
        }
        before += part.ByteCount as usize;
    }
    if bytes.len() < length {
        let text = format!("NET_BUFFER {:#x}: {length} bytes of data, {} in its MDLs", buffer.addr(), bytes.len());
        machine.violation("nbl", text);
    }
    bytes
}

impl Lists {
    /// The bytes of each NET_BUFFER, read as hardware would. To be called on a processor of the machine, by whoever has the
    /// list or is lent it. A chain that is too short is a violation; the bytes there are, are the answer.
    pub fn frames(&self, nbl: Nbl) -> Vec<Vec<u8>> {
        let machine = Machine::current();
        let state = self.state();
        if !state.records.contains_key(&nbl.address()) {
            machine.violation("nbl", format!("{:#x} is no NET_BUFFER_LIST, or one no longer", nbl.address()));
            return Vec::new();
        }
        let buffers = state.buffers_of(nbl);
        drop(state);
        let buffers = buffers.unwrap_or_else(|buffer| {
            machine.violation("nbl", format!("NET_BUFFER {buffer:#x} of list {:#x} is none, or twice", nbl.address()));
            Vec::new()
        });
        buffers.into_iter().map(|buffer| bytes_of(&machine, buffer)).collect()
    }
}

impl State {
    /// Whether the driver may touch a NET_BUFFER.
    fn driver_reaches(&self, buffer: *mut NET_BUFFER) -> bool {
        let record = self.buffers.get(&buffer.addr()).and_then(|buffer| self.records.get(&buffer.list));
        record.is_some_and(|record| record.reaches(Holder::Driver))
    }
}

/// A NET_BUFFER that the driver may touch, or a violation.
fn reached(machine: &Machine, buffer: *mut NET_BUFFER, call: &str) -> Option<NET_BUFFER> {
    if !machine.ndis.lists.state().driver_reaches(buffer) {
        let text = format!("{call}: {:#x} is no NET_BUFFER that the driver has", buffer.addr());
        machine.violation("nbl", text);
        return None;
    }
    // SAFETY: in the table, so alive, and the driver's.
    Some(unsafe { buffer.read() })
}

/// The start of `needed` bytes in one piece, if the current MDL has them, aligned as wanted.
fn contiguous(machine: &Machine, head: &NET_BUFFER, needed: usize, multiple: usize, offset: usize) -> Option<*mut u8> {
    let (_, mdl) = chain(machine, head.CurrentMdl).into_iter().next()?;
    let has_address = mdl.MdlFlags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_MAPPED_TO_SYSTEM_VA) != 0;
    let at = mdl.MappedSystemVa.cast::<u8>().wrapping_add(head.CurrentMdlOffset as usize);
    let there = (mdl.ByteCount as usize).saturating_sub(head.CurrentMdlOffset as usize);
    let aligned = at.addr().wrapping_sub(offset).is_multiple_of(multiple);
    (has_address && there >= needed && aligned).then_some(at)
}

/// Unchains MDLs of NdisRetreatNetBufferDataStart that lie wholly before `offset`; gives the offset in what is left.
fn drop_front(
    machine: &std::sync::Arc<Machine>,
    buffer: *mut NET_BUFFER,
    mut offset: u32,
    handler: *mut c_void,
) -> u32 {
    loop {
        // SAFETY: in the table, and the driver's.
        let first = unsafe { (*buffer).MdlChain };
        let Some((_, head)) = chain(machine, first).into_iter().next() else { return offset };
        let mut state = machine.ndis.lists.state();
        let Some(known) = state.buffers.get_mut(&buffer.addr()) else { return offset };
        let is_last = known.retreated.last().is_some_and(|last| last.mdl == first.addr());
        let Some(gone) = known.retreated.pop_if(|_| is_last && head.ByteCount <= offset) else { return offset };
        drop(state);
        offset -= head.ByteCount;
        // SAFETY: as above.
        unsafe { (*buffer).MdlChain = head.Next };
        if gone.blocks.is_empty() {
            // SAFETY: the page: the address of a NetFreeMdl function, or null.
            let Some(free) = (unsafe { std::mem::transmute::<*mut c_void, FreeMdl>(handler) }) else {
                machine.violation("nbl", "an MDL of the driver's NetAllocateMdl, and no NetFreeMdl to free it");
                continue;
            };
            // SAFETY: what its NetAllocateMdl gave.
            machine.callback("NetFreeMdl", irql::current(), || unsafe { crate::call_image!(free, first) });
        }
        gone.blocks.into_iter().for_each(|block| block.free(machine));
    }
}

/// An MDL with room for `bytes`, from the driver's function or from the pool.
fn front(machine: &std::sync::Arc<Machine>, bytes: u32, handler: *mut c_void) -> Option<(*mut MDL, Vec<Block>)> {
    // SAFETY: the page: the address of a NetAllocateMdl function, or null.
    let Some(allocate) = (unsafe { std::mem::transmute::<*mut c_void, AllocateMdl>(handler) }) else {
        let data = Block::new(machine, bytes as usize)?;
        let Some((block, mdl)) = making::new_mdl(machine, data.0.cast(), bytes as usize) else {
            data.free(machine);
            return None;
        };
        return Some((mdl, vec![block, data]));
    };
    let mut size = bytes;
    let mdl = machine.callback("NetAllocateMdl", irql::current(), || {
        // SAFETY: its page: a size.
        unsafe { crate::call_image!(allocate, &raw mut size) }
    });
    let (_, head) = chain(machine, mdl).into_iter().next()?;
    if head.ByteCount < bytes {
        machine.violation("nbl", format!("NetAllocateMdl gave {} bytes for {bytes}", head.ByteCount));
        return None;
    }
    Some((mdl, Vec::new()))
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_get_data_buffer(
        buffer: *mut NET_BUFFER,
        needed: u32,
        storage: *mut c_void,
        multiple: u32,
        offset: u32,
    ) -> *mut c_void {
        let (machine, call) = (Machine::current(), "NdisGetDataBuffer");
        let Some(head) = reached(&machine, buffer, call) else { return ptr::null_mut() };
        if !multiple.is_power_of_two() {
            machine.violation("nbl", format!("{call}: AlignMultiple {multiple} is no power of two"));
            return ptr::null_mut();
        }
        if head.DataLength < needed || machine.take_failure(call) {
            return ptr::null_mut();
        }
        if let Some(at) = contiguous(&machine, &head, needed as usize, multiple as usize, offset as usize) {
            return at.cast();
        }
        if storage.is_null() {
            return ptr::null_mut();
        }
        let bytes = bytes_of(&machine, buffer);
        let Some(wanted) = bytes.get(..needed as usize) else { return ptr::null_mut() };
        // SAFETY: the page: room for what is needed.
        unsafe { ptr::copy_nonoverlapping(wanted.as_ptr(), storage.cast(), wanted.len()) };
        storage
    }

    unsafe extern "C" fn ndis_advance_net_buffer_data_start(
        buffer: *mut NET_BUFFER,
        delta: u32,
        free_mdl: BOOLEAN,
        handler: *mut c_void,
    ) {
        let (machine, call) = (Machine::current(), "NdisAdvanceNetBufferDataStart");
        let Some(head) = reached(&machine, buffer, call) else { return };
        let Some(length) = head.DataLength.checked_sub(delta) else {
            machine.violation("nbl", format!("{call}: {delta} bytes of {}", head.DataLength));
            return;
        };
        let mut offset = head.DataOffset.saturating_add(delta);
        if free_mdl != 0 {
            offset = drop_front(&machine, buffer, offset, handler);
        }
        // SAFETY: in the table, and the driver's.
        let first = unsafe { (*buffer).MdlChain };
        describe(&machine, buffer, first, offset, length);
    }

    unsafe extern "C" fn ndis_retreat_net_buffer_data_start(
        buffer: *mut NET_BUFFER,
        delta: u32,
        back_fill: u32,
        handler: *mut c_void,
    ) -> NDIS_STATUS {
        let (machine, call) = (Machine::current(), "NdisRetreatNetBufferDataStart");
        let Some(head) = reached(&machine, buffer, call) else { return NDIS_STATUS_FAILURE };
        let Some(length) = head.DataLength.checked_add(delta) else { return NDIS_STATUS_FAILURE };
        if let Some(offset) = head.DataOffset.checked_sub(delta) {
            describe(&machine, buffer, head.MdlChain, offset, length);
            return NDIS_STATUS_SUCCESS;
        }
        let Some(room) = delta.checked_add(back_fill) else { return NDIS_STATUS_FAILURE };
        if machine.take_failure(call) {
            return NDIS_STATUS_RESOURCES;
        }
        let Some((mdl, blocks)) = front(&machine, room, handler) else { return NDIS_STATUS_RESOURCES };
        // SAFETY: a fresh MDL.
        unsafe { (*mdl).Next = head.MdlChain };
        // SAFETY: as above.
        let bytes = unsafe { (*mdl).ByteCount };
        if let Some(known) = machine.ndis.lists.state().buffers.get_mut(&buffer.addr()) {
            known.retreated.push(Retreated { mdl: mdl.addr(), blocks });
        }
        // What was unused in front is used now, and the rest of the room is at the end of the new MDL.
        describe(&machine, buffer, mdl, bytes - (delta - head.DataOffset), length);
        NDIS_STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisGetDataBuffer <= Dispatch = ndis_get_data_buffer,
        NdisAdvanceNetBufferDataStart <= Dispatch = ndis_advance_net_buffer_data_start,
        NdisRetreatNetBufferDataStart <= Dispatch = ndis_retreat_net_buffer_data_start,
    }
}
