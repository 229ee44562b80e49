//! Up: RoCEv2 (UDP 4791) is shown to the provider, in runs, and given back at once; everything else goes up as clones.
//!
//! With RESOURCES the clones go up with that flag and are free on return, and the NIC's chain stays as it was (W-20). A frame
//! in several MDLs is put together in a transmit buffer borrowed for the call (T-34).

use super::classify::{HEADERS, is_roce, linear};
use super::frames::Frame;
use super::pieces::pieces;
use super::send::{CLONE_FLAGS, Chain, split_first};
use crate::binding::Binding;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use ndk_types::{
    Ieee8021QNetBufferListInfo, NDIS_HANDLE, NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES,
    NDIS_RETURN_FLAGS_DISPATCH_LEVEL, NET_BUFFER, NET_BUFFER_LIST, NdisAllocateCloneNetBufferList,
    NdisCopyReceiveNetBufferListInfo, NdisFreeCloneNetBufferList, NdisReturnNetBufferLists,
};

/// Frames the provider is shown at once: what it takes in a run, on a stack that has little (W-44).
const RUN: usize = 16;

/// One indication on its way.
struct Indication<'a> {
    binding: &'a Binding,
    /// SourceHandle of what goes up; `None`: nobody is there.
    miniport: Option<NDIS_HANDLE>,
    resources: bool,
    up: Chain,
    /// Empty with RESOURCES: those lists never left the NIC's chain.
    back: Chain,
    run: Run,
}

/// RoCEv2 frames in a row. The bytes are the NIC's, or a borrowed buffer's, until the run is shown.
struct Run {
    lists: [Option<NonNull<NET_BUFFER_LIST>>; RUN],
    frames: [&'static [u8]; RUN],
    borrowed: [Option<Frame>; RUN],
    count: usize,
}

/// From the protocol's receive handler.
///
/// # Safety
/// `nbls` heads a chain that NDIS indicated to this binding.
pub unsafe fn indicated(binding: &Binding, nbls: *mut NET_BUFFER_LIST, port: u32, flags: u32) {
    let run = Run { lists: [None; RUN], frames: [&[]; RUN], borrowed: [const { None }; RUN], count: 0 };
    let mut indication = Indication {
        binding,
        miniport: binding.with_upper(|upper| upper.miniport()),
        resources: flags & NDIS_RECEIVE_FLAGS_RESOURCES != 0,
        up: Chain::new(),
        back: Chain::new(),
        run,
    };
    let mut rest = nbls;
    while let Some(nbl) = NonNull::new(rest) {
        // SAFETY: indicated, so ours to look at; its link is read before it may change.
        rest = unsafe { nbl.as_ref() }.Next;
        // SAFETY: as above, and returned only after the run it is in.
        if !unsafe { indication.collect(nbl) } {
            indication.pass_up(nbl);
        }
    }
    indication.show();
    indication.deliver(port, flags);
}

impl Indication<'_> {
    /// Puts a RoCEv2 frame into the run; false: it is none, or nobody is there to see it.
    ///
    /// # Safety
    /// `nbl` was indicated and is not returned before [`Self::show`].
    unsafe fn collect(&mut self, nbl: NonNull<NET_BUFFER_LIST>) -> bool {
        // SAFETY: indicated.
        let first = unsafe { nbl.as_ref() }.FirstNetBuffer;
        // SAFETY: as above; frames come one to a list.
        let Some(buffer) = (unsafe { first.as_ref() }) else { return false };
        let len = buffer.DataLength as usize;
        let mut storage = [0; HEADERS];
        // SAFETY: the caller's promise.
        let headers = linear(unsafe { pieces(buffer) }, len.min(HEADERS), &mut storage);
        if self.miniport.is_none() || !headers.is_some_and(is_roce) {
            return false;
        }
        if self.run.count == RUN {
            self.show();
        }
        // SAFETY: the caller's promise.
        if !unsafe { self.run.add(self.binding, nbl, buffer) } {
            // Lost, as on the wire: the sender repeats it.
            self.drop_one(nbl);
        }
        true
    }

    /// Shows the run to the provider; what is not for it goes up with the rest.
    fn show(&mut self) {
        let count = core::mem::take(&mut self.run.count);
        if count == 0 {
            return;
        }
        let mut foreign = [false; RUN];
        let frames = self.run.frames;
        let seen = self.binding.with_upper(|upper| {
            upper.receive_frames(frames.get(..count).unwrap_or(&[]), &mut |place| {
                if let Some(mark) = foreign.get_mut(place) {
                    *mark = true;
                }
            });
        });
        for (place, is_foreign) in foreign.iter().enumerate().take(count) {
            let Some(nbl) = self.run.lists.get_mut(place).and_then(Option::take) else { continue };
            if *is_foreign {
                self.pass_up(nbl);
            } else {
                if seen.is_some() {
                    self.binding.tag.store(tag(nbl), Ordering::Relaxed);
                }
                self.give_back(nbl);
            }
        }
        self.run.borrowed = [const { None }; RUN];
    }

    fn pass_up(&mut self, nbl: NonNull<NET_BUFFER_LIST>) {
        match self.miniport.and_then(|miniport| clone_up(self.binding, miniport, nbl)) {
            // SAFETY: a fresh clone.
            Some(clone) => unsafe { self.up.push(clone) },
            None => self.drop_one(nbl),
        }
    }

    fn drop_one(&mut self, nbl: NonNull<NET_BUFFER_LIST>) {
        self.binding.dropped.fetch_add(1, Ordering::Relaxed);
        self.give_back(nbl);
    }

    fn give_back(&mut self, nbl: NonNull<NET_BUFFER_LIST>) {
        if !self.resources {
            // SAFETY: indicated to us, and nobody uses it any more.
            unsafe { self.back.push(nbl) };
        }
    }

    /// Hands everything to whom it belongs.
    fn deliver(&mut self, port: u32, flags: u32) {
        let mut freed = 0;
        if let Some(head) = self.up.head() {
            let count = self.up.count;
            let shown = self.binding.with_upper(|upper| upper.indicate_receive(head, port, count, flags)).is_some();
            if self.resources || !shown {
                let back = if self.resources { None } else { Some(&mut self.back) };
                // SAFETY: RESOURCES, or nobody above: the clones are ours again.
                freed = unsafe { free_clones(head.as_ptr(), back) };
            }
        }
        if let Some(head) = self.back.head() {
            let dispatch = flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL != 0;
            let flags = if dispatch { NDIS_RETURN_FLAGS_DISPATCH_LEVEL } else { 0 };
            // SAFETY: lists of this binding, each returned once.
            unsafe { NdisReturnNetBufferLists(self.binding.handle(), head.as_ptr(), flags) };
        }
        self.binding.indicated.leave(freed);
    }
}

impl Run {
    /// Adds a frame, put together if it is in pieces; false: there was no buffer for that.
    ///
    /// # Safety
    /// As [`Indication::collect`]; there is room.
    unsafe fn add(&mut self, binding: &Binding, nbl: NonNull<NET_BUFFER_LIST>, buffer: &NET_BUFFER) -> bool {
        let len = buffer.DataLength as usize;
        // SAFETY: the caller's promise.
        let in_place = linear(unsafe { pieces(buffer) }, len, &mut []);
        let (place, borrowed) = match in_place {
            Some(frame) => (NonNull::from(frame), None),
            None => {
                let Some(mut room) = binding.frames.take(len) else { return false };
                // SAFETY: the caller's promise.
                let Some(frame) = linear(unsafe { pieces(buffer) }, len, room.as_mut()) else { return false };
                (NonNull::from(frame), Some(room))
            }
        };
        let slots =
            (self.lists.get_mut(self.count), self.frames.get_mut(self.count), self.borrowed.get_mut(self.count));
        let (Some(list), Some(frame), Some(kept)) = slots else { return false };
        *list = Some(nbl);
        // SAFETY: the NIC's bytes, or those of the buffer kept beside them; neither goes before the run is shown.
        *frame = unsafe { place.as_ref() };
        *kept = borrowed;
        self.count = self.count.saturating_add(1);
        true
    }
}

/// The 802.1Q information the NIC took out of a frame.
fn tag(nbl: NonNull<NET_BUFFER_LIST>) -> usize {
    // SAFETY: indicated to us.
    let list = unsafe { nbl.as_ref() };
    list.NetBufferListInfo.get(Ieee8021QNetBufferListInfo as usize).map_or(0, |tag| tag.addr())
}

fn clone_up(
    binding: &Binding,
    miniport: NDIS_HANDLE,
    original: NonNull<NET_BUFFER_LIST>,
) -> Option<NonNull<NET_BUFFER_LIST>> {
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

/// Frees clones; their originals are added to `back`, if they are to be returned. The caller counts them out of `indicated`
/// afterwards, when it has used the binding for the last time.
///
/// # Safety
/// `clones` heads a chain from `clone_up` that nobody else has.
unsafe fn free_clones(clones: *mut NET_BUFFER_LIST, mut back: Option<&mut Chain>) -> u32 {
    let mut rest = clones;
    let mut count = 0u32;
    // SAFETY: ours.
    while let Some(clone) = unsafe { split_first(&mut rest) } {
        // SAFETY: ours.
        let original = unsafe { clone.as_ref() }.ParentNetBufferList;
        // SAFETY: allocated in `clone_up` with the same flags; not used again.
        unsafe { NdisFreeCloneNetBufferList(clone.as_ptr(), CLONE_FLAGS) };
        if let (Some(original), Some(back)) = (NonNull::new(original), back.as_mut()) {
            // SAFETY: kept for this.
            unsafe { back.push(original) };
        }
        count = count.saturating_add(1);
    }
    count
}

/// The protocols above are done with clones: their originals go back to the NIC.
///
/// # Safety
/// As [`Binding::return_nbls`].
pub unsafe fn give_back(binding: &Binding, nbls: NonNull<NET_BUFFER_LIST>, flags: u32) {
    let mut back = Chain::new();
    // SAFETY: the caller's promise.
    let count = unsafe { free_clones(nbls.as_ptr(), Some(&mut back)) };
    if let Some(head) = back.head() {
        // SAFETY: originals of this binding, each returned once; the close waits for them in NDIS.
        unsafe { NdisReturnNetBufferLists(binding.handle(), head.as_ptr(), flags) };
    }
    binding.indicated.leave(count);
}
