//! The virtual miniport instance as the lower edge sees it: what passes up, and when it may.
//!
//! Every NET_BUFFER_LIST that passes is counted, so that NdisMPauseComplete is called exactly once and not before the last
//! one is back (W-08). Each method is callable at or below DISPATCH_LEVEL.

pub mod traffic;

use ndk_types::{
    NDIS_DEFAULT_PORT_NUMBER, NDIS_HANDLE, NDIS_STATUS_INDICATION, NET_BUFFER_LIST, NdisMIndicateReceiveNetBufferLists,
    NdisMIndicateStatusEx, NdisMPauseComplete, NdisMSendNetBufferListsComplete,
};
use traffic::Traffic;

/// NDIS_RECEIVE_FLAGS_RESOURCES of ndis.h: the indicator keeps the lists; they are back when the call returns.
const RECEIVE_FLAGS_RESOURCES: u32 = 2;

/// One miniport instance.
pub struct Adapter {
    miniport: NDIS_HANDLE,
    traffic: Traffic,
}

// SAFETY: the handle is NDIS's, made to be used from any thread; the rest is atomic.
unsafe impl Send for Adapter {}
// SAFETY: as above.
unsafe impl Sync for Adapter {}

impl Adapter {
    /// Paused, as after MiniportInitializeEx.
    ///
    /// # Safety
    /// `miniport` is the handle that MiniportInitializeEx was given; this is dropped before MiniportHaltEx returns.
    pub unsafe fn new(miniport: NDIS_HANDLE) -> Self {
        Self { miniport, traffic: Traffic::paused() }
    }

    /// SourceHandle of what goes up (W-20).
    pub fn miniport(&self) -> NDIS_HANDLE {
        self.miniport
    }

    /// MiniportRestart.
    pub fn restart(&self) {
        self.traffic.restart();
    }

    /// MiniportPause: true if it is complete at once; else NdisMPauseComplete follows, and NDIS_STATUS_PENDING is the answer.
    #[must_use]
    pub fn pause(&self) -> bool {
        self.traffic.pause()
    }

    /// Passes `count` lists up. False: paused, nothing was done, and they are still the caller's.
    ///
    /// # Safety
    /// `nbls` heads a chain of `count` lists whose SourceHandle is [`Adapter::miniport`]. Without RESOURCES they are lent
    /// until MiniportReturnNetBufferLists, which calls [`Adapter::returned`].
    #[must_use]
    pub unsafe fn indicate_receive(&self, nbls: *mut NET_BUFFER_LIST, count: u32, flags: u32) -> bool {
        if !self.traffic.enter(count) {
            return false;
        }
        // SAFETY: the caller's chain, counted; the instance is running, and a pause now waits for it.
        unsafe { NdisMIndicateReceiveNetBufferLists(self.miniport, nbls, NDIS_DEFAULT_PORT_NUMBER, count, flags) };
        if flags & RECEIVE_FLAGS_RESOURCES != 0 {
            self.returned(count);
        }
        true
    }

    /// `count` lists that were passed up are back.
    pub fn returned(&self, count: u32) {
        if self.traffic.leave(count) {
            self.complete_pause();
        }
    }

    /// `count` lists came from above to be sent. False: paused; they are completed with NDIS_STATUS_PAUSED, uncounted.
    #[must_use]
    pub fn begin_send(&self, count: u32) -> bool {
        self.traffic.enter(count)
    }

    /// Gives back `count` lists that [`Adapter::begin_send`] took.
    ///
    /// # Safety
    /// `nbls` heads a chain of `count` such lists with their Status set; they are NDIS's from here on.
    pub unsafe fn complete_send(&self, nbls: *mut NET_BUFFER_LIST, count: u32, flags: u32) {
        // SAFETY: lists of this instance, given back once.
        unsafe { NdisMSendNetBufferListsComplete(self.miniport, nbls, flags) };
        if self.traffic.leave(count) {
            self.complete_pause();
        }
    }

    /// Indicates a status of this instance: the lower NIC's, forwarded, or our own.
    pub fn indicate_status(&self, indication: &mut NDIS_STATUS_INDICATION) {
        indication.SourceHandle = self.miniport;
        // SAFETY: a complete indication of this instance, valid during the call.
        unsafe { NdisMIndicateStatusEx(self.miniport, indication) };
    }

    fn complete_pause(&self) {
        // SAFETY: MiniportPause answered NDIS_STATUS_PENDING, and Traffic tells one caller alone.
        unsafe { NdisMPauseComplete(self.miniport) };
    }
}
