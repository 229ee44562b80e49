//! Transmit buffers that exist before anyone sends: memory, MDL, NET_BUFFER and NET_BUFFER_LIST each, so that a frame is
//! written once and nothing is allocated on the way (DESIGN, section 3).
//!
//! A buffer is free, with the provider (a [`Frame`]), or with the NIC. Buffers are given back in any order.

use crate::binding::Binding;
use crate::kernel::{Block, Guarded};
use crate::miniport::ETHERNET_HEADER;
use alloc::alloc::{Layout, alloc, dealloc};
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use ndk_types::{
    MDL, NDIS_HANDLE, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT, NDIS_PROTOCOL_ID_DEFAULT,
    NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1, NET_BUFFER_LIST, NET_BUFFER_LIST_POOL_PARAMETERS,
    NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1, NdisAllocateMdl, NdisAllocateNetBufferAndNetBufferList,
    NdisAllocateNetBufferListPool, NdisFreeMdl, NdisFreeNetBufferList, NdisFreeNetBufferListPool,
};

/// How many buffers a binding has.
pub const COUNT: usize = 1024;
/// Room for headers over the MTU: Ethernet, a tag, and slack.
const OVER_MTU: usize = 64;
/// Entries of NetBufferListInfo that every NDIS we run on has: lists are as long as NDIS allocates them.
const INFO: usize = 24;
/// The pool tag, "sNdf" in memory order.
pub const TAG: u32 = u32::from_le_bytes(*b"sNdf");

/// One buffer. It never moves, and one party at a time has it.
struct Buffer {
    nbl: *mut NET_BUFFER_LIST,
    mdl: *mut MDL,
    bytes: *mut u8,
    next: *mut Buffer,
}

/// The buffers of one binding.
pub(crate) struct Frames {
    free: Guarded<FreeList>,
    starved: AtomicBool,
    pool: AtomicPtr<c_void>,
    size: AtomicUsize,
    /// The longest frame the NIC takes now.
    longest: AtomicUsize,
    /// Whose buffers these are; null before there are any.
    binding: AtomicPtr<Binding>,
}

struct FreeList(*mut Buffer);
// SAFETY: the list owns the buffers on it; they are plain memory.
unsafe impl Send for FreeList {}

/// A buffer in the provider's hands.
pub struct Frame {
    buffer: NonNull<Buffer>,
    home: NonNull<Frames>,
    len: usize,
}
// SAFETY: a frame owns its buffer; the pool it goes back to is reached through its lock alone.
unsafe impl Send for Frame {}

impl Frames {
    /// No buffers yet.
    pub const fn new() -> Self {
        Self {
            free: Guarded::new(FreeList(null_mut())),
            starved: AtomicBool::new(false),
            pool: AtomicPtr::new(null_mut()),
            size: AtomicUsize::new(0),
            longest: AtomicUsize::new(0),
            binding: AtomicPtr::new(null_mut()),
        }
    }

    /// Allocates the buffers for an MTU; PASSIVE_LEVEL. On failure `destroy` frees what there is.
    pub fn create(&self, binding: &Binding, mtu: u32) -> bool {
        let owner = binding.handle();
        self.binding.store(core::ptr::from_ref(binding).cast_mut(), Ordering::Release);
        let parameters = pool_parameters(true);
        // SAFETY: a handle of ours and a complete parameter block.
        let pool = unsafe { NdisAllocateNetBufferListPool(owner, &raw const parameters) };
        if pool.is_null() {
            return false;
        }
        self.pool.store(pool, Ordering::Release);
        let size = (mtu as usize).saturating_add(OVER_MTU);
        self.size.store(size, Ordering::Release);
        self.limit(mtu);
        (0..COUNT).all(|_| match make(owner, pool, size) {
            Some(buffer) => {
                self.push(buffer);
                true
            }
            None => false,
        })
    }

    /// The NIC's MTU is this from now on.
    pub fn limit(&self, mtu: u32) {
        self.longest.store(mtu.saturating_add(ETHERNET_HEADER) as usize, Ordering::Release);
    }

    /// Whether the NIC takes a frame: one that was filled before the MTU went down may be too long.
    pub fn fits(&self, frame: &Frame) -> bool {
        frame.len <= self.longest.load(Ordering::Acquire)
    }

    /// Frees every buffer; all are free, which the caller's rundown of sends shows. PASSIVE_LEVEL.
    pub fn destroy(&self) {
        let size = self.size.load(Ordering::Acquire);
        while let Some(buffer) = self.pop() {
            destroy_buffer(buffer, size);
        }
        let pool = self.pool.swap(null_mut(), Ordering::AcqRel);
        if !pool.is_null() {
            // SAFETY: the pool's lists were all freed above.
            unsafe { NdisFreeNetBufferListPool(pool) };
        }
    }

    /// A free buffer with room for `len` bytes.
    pub fn take(&self, len: usize) -> Option<Frame> {
        if len > self.size.load(Ordering::Acquire) {
            return None;
        }
        let Some(buffer) = self.pop() else {
            self.starve();
            // A buffer may have come back before the mark was set: then nobody would tell.
            let buffer = self.pop()?;
            return Some(Frame { buffer, home: NonNull::from(self), len });
        };
        Some(Frame { buffer, home: NonNull::from(self), len })
    }

    /// Somebody was refused a frame and waits to be told.
    pub fn starve(&self) {
        self.starved.store(true, Ordering::SeqCst);
    }

    /// Tells who was refused a frame, if there is one and frames may go; at or below DISPATCH_LEVEL. The listener only notes
    /// it ([`crate::binding::Upper::on_frames_available`]): this may be inside the provider's own transmit.
    pub fn tell(&self) {
        // SAFETY: the buffers are part of the binding, which outlives them and who holds one.
        let Some(binding) = (unsafe { self.binding.load(Ordering::Acquire).as_ref() }) else { return };
        if binding.is_running() && self.starved.load(Ordering::SeqCst) && self.starved.swap(false, Ordering::SeqCst) {
            binding.with_upper(|upper| upper.on_frames_available());
        }
    }

    /// Whether the NET_BUFFER_LIST is of this pool.
    pub fn owns(&self, nbl: &NET_BUFFER_LIST) -> bool {
        nbl.NdisPoolHandle == self.pool.load(Ordering::Acquire)
    }

    /// Takes back a sent buffer by its NET_BUFFER_LIST.
    ///
    /// # Safety
    /// `nbl` came from [`Frame::into_nbl`] of a frame of this pool, and the NIC has completed it.
    pub unsafe fn completed(&self, nbl: NonNull<NET_BUFFER_LIST>) {
        // SAFETY: the list is whole and ours again.
        let list = unsafe { nbl.as_ref() };
        if let Some(buffer) = NonNull::new(list.ProtocolReserved[0].cast::<Buffer>()) {
            self.push(buffer);
        }
    }

    fn push(&self, buffer: NonNull<Buffer>) {
        self.free.with(|list| {
            // SAFETY: the buffer is nobody else's while it is pushed.
            unsafe { (*buffer.as_ptr()).next = list.0 };
            list.0 = buffer.as_ptr();
        });
    }

    fn pop(&self) -> Option<NonNull<Buffer>> {
        self.free.with(|list| {
            let first = NonNull::new(list.0)?;
            // SAFETY: on the list, so alive and the list's.
            list.0 = unsafe { first.as_ref() }.next;
            Some(first)
        })
    }
}

/// The parameters of a pool of NET_BUFFER_LISTs, with or without a NET_BUFFER each.
pub fn pool_parameters(net_buffer: bool) -> NET_BUFFER_LIST_POOL_PARAMETERS {
    NET_BUFFER_LIST_POOL_PARAMETERS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_DEFAULT,
            Revision: NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
            Size: NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
        },
        ProtocolId: NDIS_PROTOCOL_ID_DEFAULT,
        fAllocateNetBuffer: u8::from(net_buffer),
        ContextSize: 0,
        PoolTag: TAG,
        DataSize: 0,
        Flags: 0,
    }
}

fn layout_of(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, 16).ok()
}

/// One buffer with everything a send needs.
fn make(owner: NDIS_HANDLE, pool: NDIS_HANDLE, size: usize) -> Option<NonNull<Buffer>> {
    let nothing = Buffer { nbl: null_mut(), mdl: null_mut(), bytes: null_mut(), next: null_mut() };
    let head = Block::try_new(nothing)?.into_raw();
    // SAFETY: a fresh block that nobody else knows.
    let buffer = unsafe { &mut *head.as_ptr() };
    let whole = layout_of(size).and_then(|layout| {
        // SAFETY: not empty: OVER_MTU at least.
        buffer.bytes = unsafe { alloc(layout) };
        NonNull::new(buffer.bytes)?;
        // SAFETY: non-paged memory of that size (NdisAllocateMdl).
        buffer.mdl = unsafe { NdisAllocateMdl(owner, buffer.bytes.cast(), u32::try_from(size).ok()?) };
        NonNull::new(buffer.mdl)?;
        // SAFETY: a pool with fAllocateNetBuffer, an MDL that outlives the list.
        buffer.nbl = unsafe { NdisAllocateNetBufferAndNetBufferList(pool, 0, 0, buffer.mdl, 0, size) };
        NonNull::new(buffer.nbl)
    });
    if whole.is_none() {
        destroy_buffer(head, size);
        return None;
    }
    Some(head)
}

fn destroy_buffer(head: NonNull<Buffer>, size: usize) {
    // SAFETY: the caller has the buffer alone.
    let buffer = unsafe { head.as_ref() };
    if !buffer.nbl.is_null() {
        // SAFETY: allocated by `make`, with nobody.
        unsafe { NdisFreeNetBufferList(buffer.nbl) };
    }
    if !buffer.mdl.is_null() {
        // SAFETY: as above; its list is gone.
        unsafe { NdisFreeMdl(buffer.mdl) };
    }
    if let (Some(bytes), Some(layout)) = (NonNull::new(buffer.bytes), layout_of(size)) {
        // SAFETY: allocated by `make` with this layout.
        unsafe { dealloc(bytes.as_ptr(), layout) };
    }
    // SAFETY: a block of `make`; not used again.
    drop(unsafe { Block::from_raw(head) });
}

impl AsMut<[u8]> for Frame {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the frame owns the buffer.
        let bytes = unsafe { self.buffer.as_ref() }.bytes;
        // SAFETY: `len` was checked against the buffer's size; nobody else reaches the bytes.
        unsafe { core::slice::from_raw_parts_mut(bytes, self.len) }
    }
}

impl Frame {
    /// Hands the frame over as a NET_BUFFER_LIST ready to send; `source` is the binding, `tag` the 802.1Q information.
    pub fn into_nbl(self, source: NDIS_HANDLE, tag: usize) -> NonNull<NET_BUFFER_LIST> {
        let head = self.buffer;
        let len = self.len;
        core::mem::forget(self);
        // SAFETY: the frame owned it, and now this function does.
        let buffer = unsafe { head.as_ref() };
        // SAFETY: the list was made with the buffer and is with nobody.
        let list = unsafe { &mut *buffer.nbl };
        list.Next = null_mut();
        list.SourceHandle = source;
        list.ProtocolReserved[0] = head.as_ptr().cast();
        list.Status = 0;
        // What a NIC noted when it sent the buffer before.
        list.NetBufferListInfo.iter_mut().take(INFO).for_each(|entry| *entry = null_mut());
        if let Some(slot) = list.NetBufferListInfo.get_mut(ndk_types::Ieee8021QNetBufferListInfo as usize) {
            *slot = core::ptr::without_provenance_mut(tag);
        }
        // SAFETY: a list of this pool has one NET_BUFFER.
        let net_buffer = unsafe { &mut *list.FirstNetBuffer };
        net_buffer.CurrentMdl = buffer.mdl;
        net_buffer.MdlChain = buffer.mdl;
        net_buffer.CurrentMdlOffset = 0;
        net_buffer.DataOffset = 0;
        net_buffer.DataLength = len as u32;
        NonNull::from(list)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        // SAFETY: the pool outlives its frames: it is part of the binding, which waits for them.
        let home = unsafe { self.home.as_ref() };
        home.push(self.buffer);
        home.tell();
    }
}
