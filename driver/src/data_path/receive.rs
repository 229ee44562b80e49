//! Up: RoCEv2 (UDP 4791) is shown to the provider and given back at once; everything else goes up as clones.
//!
//! With RESOURCES the clones go up with that flag and are free on return (W-20). A frame in several MDLs is put together
//! in storage on the stack for its headers, and in a transmit buffer borrowed for the call when the provider wants it (T-34).

use super::frames::Frame;
use super::send::{CLONE_FLAGS, Chain, split_first};
use crate::binding::Binding;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering;
use ndk_types::{
    Ieee8021QNetBufferListInfo, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RETURN_FLAGS_DISPATCH_LEVEL, NET_BUFFER, NET_BUFFER_LIST, NdisAllocateCloneNetBufferList,
    NdisCopyReceiveNetBufferListInfo, NdisFreeCloneNetBufferList, NdisGetDataBuffer, NdisReturnNetBufferLists,
};

/// Ethernet with a tag, IPv6 without extension headers, UDP.
const HEADERS: usize = 14 + 4 + 40 + 8;
const ROCE_PORT: [u8; 2] = 4791u16.to_be_bytes();

/// From the protocol's receive handler.
///
/// # Safety
/// `nbls` heads a chain that NDIS indicated to this binding.
pub unsafe fn indicated(binding: &Binding, nbls: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    let resources = flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0;
    let (mut up, mut back) = (Chain::new(), Chain::new());
    let mut rest = nbls;
    // SAFETY: indicated, so ours to look at and, without RESOURCES, to keep.
    while let Some(nbl) = unsafe { split_first(&mut rest) } {
        if !taken_by_provider(binding, nbl) {
            if let Some(clone) = clone_up(binding, nbl) {
                // SAFETY: a fresh clone.
                unsafe { up.push(clone) };
                continue;
            }
            binding.dropped.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: nobody uses it any more.
        unsafe { back.push(nbl) };
    }
    if let Some(head) = up.head() {
        let shown = binding.with_upper(|upper| upper.indicate_receive(head, port, up.count, flags)).is_some();
        if resources || !shown {
            // SAFETY: RESOURCES, or nobody above: the clones are ours again.
            unsafe { free_clones(binding, head.as_ptr(), &mut back) };
        }
    }
    if resources {
        // The NIC takes its chain back on return, linked as it gave it.
        relink(nbls, &back);
    } else if let Some(head) = back.head() {
        let dispatch = flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL != 0;
        let flags = if dispatch { NDIS_RETURN_FLAGS_DISPATCH_LEVEL } else { 0 };
        // SAFETY: lists of this binding, each returned once.
        unsafe { NdisReturnNetBufferLists(binding.handle(), head.as_ptr(), flags) };
    }
}

/// The head of the chain must head it again; order among the rest does not matter to its owner.
fn relink(first: *mut NET_BUFFER_LIST, back: &Chain) {
    let Some(head) = back.head() else { return };
    if head.as_ptr() == first {
        return;
    }
    let mut at = head.as_ptr();
    while let Some(here) = NonNull::new(at) {
        // SAFETY: the chain is ours until the handler returns.
        let next = unsafe { here.as_ref() }.Next;
        if next == first {
            // SAFETY: as above.
            let after = unsafe { (*first).Next };
            // SAFETY: as above.
            unsafe { (*here.as_ptr()).Next = after };
            // SAFETY: as above.
            unsafe { (*first).Next = head.as_ptr() };
            return;
        }
        at = next;
    }
}

fn is_roce(headers: &[u8]) -> bool {
    let kind = headers.get(12..14);
    let (kind, ip) = if kind == Some(&[0x81, 0]) { (headers.get(16..18), 18) } else { (kind, 14) };
    let Some(packet) = headers.get(ip..) else { return false };
    let (protocol, udp) = match kind {
        Some([0x08, 0x00]) => {
            let words = usize::from(packet.first().copied().unwrap_or(0) & 15);
            (packet.get(9), words.saturating_mul(4))
        }
        Some([0x86, 0xdd]) => (packet.get(6), 40),
        _ => return false,
    };
    let port = udp.saturating_add(2)..udp.saturating_add(4);
    protocol == Some(&17) && packet.get(port) == Some(&ROCE_PORT)
}

/// Contiguous bytes of a NET_BUFFER, in place or in `storage`.
fn bytes<'a>(buffer: *mut NET_BUFFER, len: usize, storage: &'a mut [u8]) -> Option<&'a [u8]> {
    let place = if storage.len() < len { null_mut() } else { storage.as_mut_ptr().cast() };
    // SAFETY: a NET_BUFFER indicated to us; `storage` has room for `len` bytes when it is given.
    let data = unsafe { NdisGetDataBuffer(buffer, u32::try_from(len).ok()?, place, 1, 0) };
    let data = NonNull::new(data.cast::<u8>())?;
    // SAFETY: NDIS says `len` bytes are there, in the MDL or in `storage`; both outlive the borrow.
    Some(unsafe { core::slice::from_raw_parts(data.as_ptr(), len) })
}

fn taken_by_provider(binding: &Binding, nbl: NonNull<NET_BUFFER_LIST>) -> bool {
    // SAFETY: indicated to us.
    let list = unsafe { nbl.as_ref() };
    let Some(buffer) = NonNull::new(list.FirstNetBuffer) else { return false };
    // SAFETY: as above.
    let len = unsafe { buffer.as_ref() }.DataLength as usize;
    let mut storage = [0; HEADERS];
    if !bytes(buffer.as_ptr(), len.min(HEADERS), &mut storage).is_some_and(is_roce) {
        return false;
    }
    let tag = list.NetBufferListInfo.get(Ieee8021QNetBufferListInfo as usize).map_or(0, |tag| tag.addr());
    let mut ours = true;
    let mut show = |frame: &[u8]| {
        binding.with_upper(|upper| upper.receive_frames(&[frame], &mut |_| ours = false));
    };
    if let Some(frame) = bytes(buffer.as_ptr(), len, &mut []) {
        show(frame);
    } else {
        let mut borrowed: Option<Frame> = binding.frames.take(len);
        match borrowed.as_mut().and_then(|room| bytes(buffer.as_ptr(), len, room.as_mut())) {
            Some(frame) => show(frame),
            // Lost, as on the wire: the sender repeats it.
            None => _ = binding.dropped.fetch_add(1, Ordering::Relaxed),
        }
    }
    if ours {
        binding.tag.store(tag, Ordering::Relaxed);
    }
    ours
}

fn clone_up(binding: &Binding, original: NonNull<NET_BUFFER_LIST>) -> Option<NonNull<NET_BUFFER_LIST>> {
    let miniport = binding.with_upper(|upper| upper.miniport())?;
    if !binding.indicated.enter() {
        return None;
    }
    let (lists, buffers) = (binding.clones.load(Ordering::Acquire), binding.net_buffers.load(Ordering::Acquire));
    // SAFETY: a valid original and the pools of this binding.
    let clone = unsafe { NdisAllocateCloneNetBufferList(original.as_ptr(), lists, buffers, CLONE_FLAGS) };
    let Some(clone) = NonNull::new(clone) else {
        binding.indicated.leave(1);
        return None;
    };
    // SAFETY: both are valid and ours.
    unsafe { NdisCopyReceiveNetBufferListInfo(clone.as_ptr(), original.as_ptr()) };
    // SAFETY: a fresh clone.
    let list = unsafe { &mut *clone.as_ptr() };
    list.SourceHandle = miniport;
    list.ParentNetBufferList = original.as_ptr();
    list.Status = 0;
    Some(clone)
}

/// Frees clones; their originals are added to `back`.
///
/// # Safety
/// `clones` heads a chain from `clone_up` that nobody else has.
unsafe fn free_clones(binding: &Binding, clones: *mut NET_BUFFER_LIST, back: &mut Chain) {
    let mut rest = clones;
    let mut count = 0u32;
    // SAFETY: ours.
    while let Some(clone) = unsafe { split_first(&mut rest) } {
        // SAFETY: ours.
        let original = unsafe { clone.as_ref() }.ParentNetBufferList;
        // SAFETY: allocated in `clone_up` with the same flags; not used again.
        unsafe { NdisFreeCloneNetBufferList(clone.as_ptr(), CLONE_FLAGS) };
        if let Some(original) = NonNull::new(original) {
            // SAFETY: kept for this.
            unsafe { back.push(original) };
        }
        count = count.saturating_add(1);
    }
    binding.indicated.leave(count);
}

/// The protocols above are done with clones: their originals go back to the NIC.
///
/// # Safety
/// As [`Binding::return_nbls`].
pub unsafe fn give_back(binding: &Binding, nbls: NonNull<NET_BUFFER_LIST>, flags: u32) {
    let mut back = Chain::new();
    // SAFETY: the caller's promise.
    unsafe { free_clones(binding, nbls.as_ptr(), &mut back) };
    if let Some(head) = back.head() {
        // SAFETY: originals of this binding, each returned once; the close waits for them in NDIS.
        unsafe { NdisReturnNetBufferLists(binding.handle(), head.as_ptr(), flags) };
    }
}
