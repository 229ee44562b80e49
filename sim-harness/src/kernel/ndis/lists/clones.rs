//! Clones, and the information that goes with a list through an intermediate driver (W-20).

use super::making::Making;
use super::{Holder, Kind, Nbl, data, take_for_free};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::*;
use std::ptr;

/// NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS of ndis/nblapi.h.
pub(super) const USE_ORIGINAL_MDLS: u32 = 2;

/// What NdisCopySendNetBufferListInfo copies, by its page.
const SEND_INFO: [NDIS_NET_BUFFER_LIST_INFO; 11] = [
    TcpIpChecksumNetBufferListInfo,
    IPsecOffloadV1NetBufferListInfo,
    TcpLargeSendNetBufferListInfo,
    Ieee8021QNetBufferListInfo,
    MediaSpecificInformation,
    NetBufferListCancelId,
    NetBufferListProtocolId,
    IPsecOffloadV2TunnelNetBufferListInfo,
    IPsecOffloadV2HeaderNetBufferListInfo,
    VirtualSubnetInfo,
    NetBufferListFilteringInfo,
];

/// What NdisCopyReceiveNetBufferListInfo copies, by its page.
const RECEIVE_INFO: [NDIS_NET_BUFFER_LIST_INFO; 12] = [
    TcpIpChecksumNetBufferListInfo,
    IPsecOffloadV1NetBufferListInfo,
    TcpReceiveNoPush,
    Ieee8021QNetBufferListInfo,
    MediaSpecificInformation,
    NetBufferListFrameType,
    NetBufferListHashValue,
    NetBufferListHashInfo,
    IPsecOffloadV2TunnelNetBufferListInfo,
    IPsecOffloadV2HeaderNetBufferListInfo,
    VirtualSubnetInfo,
    NetBufferListFilteringInfo,
];

/// The NET_BUFFERs of what is to be cloned, when it and the pools may be used for that.
fn originals(
    machine: &Machine,
    original: Nbl,
    (lists, buffers): (NDIS_HANDLE, NDIS_HANDLE),
    flags: u32,
) -> Option<Vec<*mut NET_BUFFER>> {
    let state = machine.ndis.lists.state();
    let reached = state.records.get(&original.address()).is_some_and(|record| record.reaches(Holder::Driver));
    let found = if reached { state.buffers_of(original).ok() } else { None };
    let why = if !reached {
        "is no list that the driver has"
    } else if found.as_ref().is_none_or(Vec::is_empty) {
        "has no NET_BUFFERs that could be cloned"
    } else if !lists.is_null() && !state.list_pools.contains_key(&lists.addr()) {
        "is to be cloned into what is no NET_BUFFER_LIST pool"
    } else if !buffers.is_null() && state.buffer_pools.get(&buffers.addr()).is_none_or(|pool| pool.data != 0) {
        "is to be cloned into what is no NET_BUFFER pool, or one with a DataSize"
    } else if flags & !USE_ORIGINAL_MDLS != 0 {
        "is to be cloned with reserved flags"
    } else {
        return found;
    };
    machine.violation("nbl", format!("NdisAllocateCloneNetBufferList: {:#x} {why}", original.address()));
    None
}

/// Has a NET_BUFFER describe the data of another, from where they start: by its MDLs, or by new ones.
fn describe(
    machine: &Machine,
    making: &mut Making<'_>,
    buffer: *mut NET_BUFFER,
    original: &NET_BUFFER,
    flags: u32,
) -> Option<()> {
    if flags & USE_ORIGINAL_MDLS != 0 {
        data::describe(machine, buffer, original.CurrentMdl, original.CurrentMdlOffset, original.DataLength);
        return Some(());
    }
    let (mut first, mut last) = (ptr::null_mut::<MDL>(), ptr::null_mut::<MDL>());
    for (address, bytes) in data::parts(machine, original)? {
        let mdl = making.mdl(address, bytes)?;
        // SAFETY: a fresh MDL.
        unsafe { (*mdl).MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL };
        if first.is_null() {
            first = mdl;
        } else {
            // SAFETY: made in the turn before.
            unsafe { (*last).Next = mdl };
        }
        last = mdl;
    }
    data::describe(machine, buffer, first, 0, original.DataLength);
    Some(())
}

fn clone(machine: &Machine, original: Nbl, pools: (NDIS_HANDLE, NDIS_HANDLE), flags: u32) -> Option<Nbl> {
    let buffers = originals(machine, original, pools, flags)?;
    if machine.take_failure("NdisAllocateCloneNetBufferList") {
        return None;
    }
    let mut making = Making::new(machine, pools.0.addr(), false)?;
    for buffer in buffers {
        let new = making.net_buffer(pools.1.addr())?;
        // SAFETY: a NET_BUFFER of the table, which is alive.
        let head = unsafe { buffer.read() };
        // SAFETY: a fresh NET_BUFFER.
        unsafe { (*new).ChecksumBias = head.ChecksumBias };
        describe(machine, &mut making, new, &head, flags)?;
    }
    if let Some(parent) = machine.ndis.lists.state().records.get_mut(&original.address()) {
        parent.clones += 1;
    }
    let kind = Kind::Clone { pool: pools.0.addr(), flags, parent: original.address(), copied: None };
    Some(making.done(kind, Holder::Driver))
}

/// Copies entries between lists that the driver has, and notes for which way.
fn copy_info(to: Nbl, from: Nbl, entries: &[NDIS_NET_BUFFER_LIST_INFO], way: Holder, call: &str) {
    let machine = Machine::current();
    let mut state = machine.ndis.lists.state();
    let reaches = |nbl: Nbl| state.records.get(&nbl.address()).is_some_and(|record| record.reaches(Holder::Driver));
    if !reaches(to) || !reaches(from) {
        let text = format!("{call}: from {:#x} to {:#x}, not both the driver's", from.address(), to.address());
        machine.violation("nbl", text);
        return;
    }
    for &entry in entries {
        let entry = entry as usize;
        // SAFETY: a list of the table, which is alive and the driver's.
        let value = unsafe { (*from.0).NetBufferListInfo[entry] };
        // SAFETY: as above.
        unsafe { (*to.0).NetBufferListInfo[entry] = value };
    }
    if let Some(record) = state.records.get_mut(&to.address())
        && let Kind::Clone { parent, copied, .. } = &mut record.kind
        && *parent == from.address()
    {
        *copied = Some(way);
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_allocate_clone_net_buffer_list(
        original: *mut NET_BUFFER_LIST,
        lists: NDIS_HANDLE,
        buffers: NDIS_HANDLE,
        flags: u32,
    ) -> *mut NET_BUFFER_LIST {
        clone(&Machine::current(), Nbl(original), (lists, buffers), flags).map_or(ptr::null_mut(), |nbl| nbl.0)
    }

    unsafe extern "C" fn ndis_free_clone_net_buffer_list(clone: *mut NET_BUFFER_LIST, flags: u32) {
        let (machine, call) = (Machine::current(), "NdisFreeCloneNetBufferList");
        let Some(record) = take_for_free(&machine, Nbl(clone), call, true) else { return };
        if let Kind::Clone { flags: made, .. } = record.kind
            && made != flags
        {
            let text = format!("{call}: list {:#x} was cloned with flags {made:#x}, not {flags:#x}", clone.addr());
            machine.violation("nbl", text);
        }
        record.free(&machine);
    }

    unsafe extern "C" fn ndis_copy_send_net_buffer_list_info(to: *mut NET_BUFFER_LIST, from: *mut NET_BUFFER_LIST) {
        copy_info(Nbl(to), Nbl(from), &SEND_INFO, Holder::Nic, "NdisCopySendNetBufferListInfo");
    }

    unsafe extern "C" fn ndis_copy_receive_net_buffer_list_info(to: *mut NET_BUFFER_LIST, from: *mut NET_BUFFER_LIST) {
        copy_info(Nbl(to), Nbl(from), &RECEIVE_INFO, Holder::Above, "NdisCopyReceiveNetBufferListInfo");
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisAllocateCloneNetBufferList <= Dispatch = ndis_allocate_clone_net_buffer_list,
        NdisFreeCloneNetBufferList <= Dispatch = ndis_free_clone_net_buffer_list,
        NdisCopySendNetBufferListInfo <= Dispatch = ndis_copy_send_net_buffer_list_info,
        NdisCopyReceiveNetBufferListInfo <= Dispatch = ndis_copy_receive_net_buffer_list_info,
    }
}
