//! Down: clones of what the protocols above send, and the provider's frames; completions in any order.

use crate::binding::{Binding, Upper};
use crate::data_path::frames::Frame;
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering;
use ndk_types::{
    NDIS_DEFAULT_PORT_NUMBER, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK,
    NDIS_SEND_FLAGS_DISPATCH_LEVEL, NDIS_STATUS, NDIS_STATUS_ADAPTER_NOT_READY, NDIS_STATUS_PAUSED,
    NDIS_STATUS_RESOURCES, NET_BUFFER_LIST, NdisAllocateCloneNetBufferList, NdisCancelSendNetBufferLists,
    NdisCopySendNetBufferListInfo, NdisFreeCloneNetBufferList, NdisSendNetBufferLists, NetBufferListCancelId,
};

/// Clones share the original's MDLs (ndis.h: NDIS_CLONE_FLAGS_USE_ORIGINAL_MDLS).
pub const CLONE_FLAGS: u32 = 0x0000_0002;

/// A chain of NET_BUFFER_LISTs that keeps its order.
pub(crate) struct Chain {
    first: *mut NET_BUFFER_LIST,
    last: *mut NET_BUFFER_LIST,
    /// How many.
    pub count: u32,
}

impl Chain {
    /// Nothing.
    pub const fn new() -> Self {
        Self { first: null_mut(), last: null_mut(), count: 0 }
    }

    /// Adds one at the end.
    ///
    /// # Safety
    /// `nbl` is valid and the caller's.
    pub unsafe fn push(&mut self, nbl: NonNull<NET_BUFFER_LIST>) {
        // SAFETY: the caller's.
        unsafe { (*nbl.as_ptr()).Next = null_mut() };
        if self.last.is_null() {
            self.first = nbl.as_ptr();
        } else {
            // SAFETY: pushed earlier, still the caller's.
            unsafe { (*self.last).Next = nbl.as_ptr() };
        }
        self.last = nbl.as_ptr();
        self.count = self.count.saturating_add(1);
    }

    /// The head, if there is any.
    pub fn head(&self) -> Option<NonNull<NET_BUFFER_LIST>> {
        NonNull::new(self.first)
    }
}

/// Takes the first of a chain.
///
/// # Safety
/// `chain` is null or heads a chain that is the caller's.
pub(crate) unsafe fn split_first(chain: &mut *mut NET_BUFFER_LIST) -> Option<NonNull<NET_BUFFER_LIST>> {
    let first = NonNull::new(*chain)?;
    // SAFETY: the caller's promise.
    *chain = unsafe { first.as_ref() }.Next;
    // SAFETY: as above.
    unsafe { (*first.as_ptr()).Next = null_mut() };
    Some(first)
}

/// Sends the provider's frames as one chain, in their order. What may not go is dropped: a loss, as on the wire.
pub fn transmit(binding: &Binding, frames: &mut dyn Iterator<Item = Frame>) {
    let mut chain = Chain::new();
    let tag = binding.tag.load(Ordering::Relaxed);
    for frame in frames {
        if !binding.frames.fits(&frame) || !binding.sends.enter() {
            continue;
        }
        // Entered first: a pause that begins after this look waits.
        if !binding.is_running() {
            leave(binding, 1);
            continue;
        }
        let nbl = frame.into_nbl(binding.handle(), tag);
        // SAFETY: the frame's list, ours until it is sent.
        unsafe { chain.push(nbl) };
    }
    if let Some(head) = chain.head() {
        // SAFETY: an open binding (the rundown holds the close), a chain whose source it is.
        unsafe { NdisSendNetBufferLists(binding.handle(), head.as_ptr(), NDIS_DEFAULT_PORT_NUMBER, 0) };
    }
}

/// Clones a chain and sends it; what cannot go is completed with the reason.
///
/// # Safety
/// As [`Binding::send`].
pub unsafe fn send(binding: &Binding, upper: &dyn Upper, nbls: NonNull<NET_BUFFER_LIST>, port: u32, flags: u32) {
    let mut rest = nbls.as_ptr();
    let (mut down, mut refused) = (Chain::new(), Chain::new());
    // SAFETY: the chain is the miniport's until completed.
    while let Some(original) = unsafe { split_first(&mut rest) } {
        match clone_down(binding, original) {
            // SAFETY: a fresh clone.
            Ok(clone) => unsafe { down.push(clone) },
            Err(status) => {
                // SAFETY: the original is ours until completed.
                unsafe { (*original.as_ptr()).Status = status };
                // SAFETY: as above.
                unsafe { refused.push(original) };
            }
        }
    }
    if let Some(head) = down.head() {
        let flags = flags & !NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK;
        // SAFETY: an open binding (the rundown holds the close), clones whose source it is.
        unsafe { NdisSendNetBufferLists(binding.handle(), head.as_ptr(), port, flags) };
    }
    if let Some(head) = refused.head() {
        let dispatch = flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL != 0;
        let flags = if dispatch { NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL } else { 0 };
        upper.complete_send(head, flags);
    }
}

fn clone_down(binding: &Binding, original: NonNull<NET_BUFFER_LIST>) -> Result<NonNull<NET_BUFFER_LIST>, NDIS_STATUS> {
    // Whoever sent waits below for the completion, and `detach` for whoever sent.
    if !binding.passed.enter() {
        return Err(NDIS_STATUS_ADAPTER_NOT_READY);
    }
    if !binding.sends.enter() {
        binding.passed.leave(1);
        return Err(NDIS_STATUS_PAUSED);
    }
    let refuse = |status| {
        leave(binding, 1);
        binding.passed.leave(1);
        Err(status)
    };
    if !binding.is_running() {
        return refuse(NDIS_STATUS_PAUSED);
    }
    let (lists, buffers) = (binding.clones.load(Ordering::Acquire), binding.net_buffers.load(Ordering::Acquire));
    // SAFETY: a valid original and the pools of this binding.
    let clone = unsafe { NdisAllocateCloneNetBufferList(original.as_ptr(), lists, buffers, CLONE_FLAGS) };
    let Some(clone) = NonNull::new(clone) else {
        return refuse(NDIS_STATUS_RESOURCES);
    };
    // SAFETY: both are valid and ours.
    unsafe { NdisCopySendNetBufferListInfo(clone.as_ptr(), original.as_ptr()) };
    // SAFETY: a fresh clone, ours.
    let list = unsafe { &mut *clone.as_ptr() };
    // SAFETY: ours until completed.
    let source = unsafe { original.as_ref() };
    list.SourceHandle = binding.handle();
    list.ParentNetBufferList = original.as_ptr();
    let id = NetBufferListCancelId as usize;
    if let (Some(to), Some(from)) = (list.NetBufferListInfo.get_mut(id), source.NetBufferListInfo.get(id)) {
        *to = *from;
    }
    Ok(clone)
}

/// The NIC is done with a chain: frames go back to their pool, clones' originals back up.
///
/// # Safety
/// From the protocol's send-complete handler: the chain is ours again.
pub unsafe fn complete(binding: &Binding, nbls: *mut NET_BUFFER_LIST, flags: u32) {
    let mut rest = nbls;
    let mut up = Chain::new();
    let mut done = 0u32;
    // SAFETY: completed, so ours.
    while let Some(nbl) = unsafe { split_first(&mut rest) } {
        done = done.saturating_add(1);
        // SAFETY: as above.
        let list = unsafe { nbl.as_ref() };
        if binding.frames.owns(list) {
            // SAFETY: a list of the frame pool comes from `into_nbl` only.
            unsafe { binding.frames.completed(nbl) };
            continue;
        }
        let status = list.Status;
        let Some(original) = NonNull::new(list.ParentNetBufferList) else { continue };
        // SAFETY: allocated in `clone_down` with the same flags; not used again.
        unsafe { NdisFreeCloneNetBufferList(nbl.as_ptr(), CLONE_FLAGS) };
        // SAFETY: the original waits for this completion.
        unsafe { (*original.as_ptr()).Status = status };
        // SAFETY: as above.
        unsafe { up.push(original) };
    }
    if let Some(head) = up.head() {
        binding.with_upper(|upper| upper.complete_send(head, flags));
        binding.passed.leave(up.count);
    }
    // Not from here: the NIC may complete inside the send, which is inside the provider's transmit.
    binding.frames.tell();
    leave(binding, done);
}

/// `count` sends fewer; an event that waits for the last is completed by it.
fn leave(binding: &Binding, count: u32) {
    // The binding must outlive the look at it below: an unbind waits for sends first and for requests last.
    let held = binding.requests.enter();
    binding.sends.leave(count);
    if held {
        crate::protocol::pnp::came_back(binding);
        binding.requests.leave(1);
    }
}

/// Cancels what the NIC has not sent yet; clones carry their original's id.
pub(crate) fn cancel(binding: &Binding, id: *mut c_void) {
    if !binding.sends.enter() {
        return;
    }
    // SAFETY: an open binding (the rundown holds the close).
    unsafe { NdisCancelSendNetBufferLists(binding.handle(), id) };
    leave(binding, 1);
}
