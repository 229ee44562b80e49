//! One virtual miniport instance: its port, the binding below it, what passes up, and when it may.
//!
//! Every NET_BUFFER_LIST that passes is counted, so that NdisMPauseComplete is called exactly once and not before the last
//! one is back (W-08). RDMA depends on the lower edge alone and goes on while this edge pauses. Each method is callable at or
//! below DISPATCH_LEVEL unless it says otherwise.

pub mod traffic;

use crate::binding::{Binding, Upper};
use crate::config::Config;
use crate::config::keywords::{ROCE_FRAME_SIZE, ROCE_HEADERS, active_frame_size};
use crate::event_log;
use crate::kernel::Block;
use crate::miniport::ETHERNET_HEADER;
use crate::miniport::ndk::NdkSwitch;
use crate::platform::WindowsPlatform;
use crate::routes::{Answers, Routes};
use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use ndk_provider::limits::Limits;
use ndk_provider::platform::{NextHop, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDIS_HANDLE, NDIS_LINK_STATE, NDIS_LINK_STATE_REVISION_1, NDIS_OBJECT_HEADER, NDIS_OBJECT_TYPE_DEFAULT,
    NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_PORT_NUMBER, NDIS_SIZEOF_LINK_STATE_REVISION_1,
    NDIS_SIZEOF_STATUS_INDICATION_REVISION_1, NDIS_STATUS, NDIS_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
    NDIS_STATUS_L2_MTU_SIZE_CHANGE, NDIS_STATUS_LINK_STATE, NDIS_STATUS_PAUSED, NDIS_STATUS_RESOURCES, NET_BUFFER_LIST,
    NdisMIndicateReceiveNetBufferLists, NdisMIndicateStatusEx, NdisMPauseComplete, NdisMSendNetBufferListsComplete,
    NdisPauseFunctionsUnknown,
};
use traffic::Traffic;

/// Flags of ndis.h. RESOURCES: the indicator keeps the lists; they are back when the call returns.
const RECEIVE_FLAGS_RESOURCES: u32 = 2;
/// DISPATCH_LEVEL, the same bit for receives, returns, sends and completions.
const FLAGS_DISPATCH_LEVEL: u32 = 1;

/// One miniport instance.
pub struct Adapter {
    miniport: NDIS_HANDLE,
    luid: u64,
    config: Config,
    binding: Shared<Binding>,
    port: Shared<Port<WindowsPlatform>>,
    ndk: NdkSwitch,
    traffic: Traffic,
    /// OID_PNP_SET_POWER: while it is false nobody above hears or sends anything (W-08).
    powered: AtomicBool,
    /// The MTU that the protocols above know.
    told_mtu: AtomicU32,
}

// SAFETY: the handle is NDIS's, made to be used from any thread; the rest is Send.
unsafe impl Send for Adapter {}
// SAFETY: as above; the rest is Sync.
unsafe impl Sync for Adapter {}

/// How many lists a chain has.
///
/// # Safety
/// `nbls` is null or heads a valid chain.
unsafe fn count(nbls: *mut NET_BUFFER_LIST) -> u32 {
    let (mut next, mut count) = (nbls, 0_u32);
    // SAFETY: the caller's contract.
    while let Some(list) = unsafe { next.as_ref() } {
        (next, count) = (list.Next, count.wrapping_add(1));
    }
    count
}

/// The largest IP packet: what the NIC carries, and what `*JumboPacket` allows.
fn mtu(binding: &Binding, config: &Config) -> u32 {
    binding.lower().mtu.min(config.jumbo_packet.saturating_sub(ETHERNET_HEADER))
}

impl Adapter {
    /// Paused, as after MiniportInitializeEx; NDK enabled if the configuration says so. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `miniport` is the handle that MiniportInitializeEx was given; this is dropped before MiniportHaltEx returns.
    pub unsafe fn try_new(
        miniport: NDIS_HANDLE,
        luid: u64,
        config: Config,
        binding: Shared<Binding>,
    ) -> Result<Block<Self>, NDIS_STATUS> {
        // INF-08
        let active = active_frame_size(config.roce_frame_size, mtu(&binding, &config));
        if active != config.roce_frame_size {
            event_log::note_frame_size(ROCE_FRAME_SIZE.name, active);
        }
        // IP Helper's answers say what RDMA may send: no more than the largest RoCE frame either.
        let rdma_mtu = mtu(&binding, &config).min(config.roce_frame_size.saturating_add(ROCE_HEADERS));
        // SAFETY: the caller's handle.
        let routes = unsafe { Routes::try_new(miniport, luid, rdma_mtu, binding.clone()) };
        let port = routes
            .and_then(|routes| WindowsPlatform::try_new(binding.clone(), routes))
            .and_then(|platform| Port::try_new(platform, Limits::DEFAULT))
            .ok_or(NDIS_STATUS_RESOURCES)?;
        if !config.network_direct {
            port.disable();
        }
        // SAFETY: the caller's handle.
        let ndk = unsafe { NdkSwitch::try_new(miniport, config.network_direct) }.ok_or(NDIS_STATUS_RESOURCES)?;
        let told_mtu = AtomicU32::new(mtu(&binding, &config));
        let powered = AtomicBool::new(true);
        let adapter =
            Self { miniport, luid, config, binding, port, ndk, traffic: Traffic::paused(), powered, told_mtu };
        Block::try_new(adapter).ok_or(NDIS_STATUS_RESOURCES)
    }

    /// Lets the lower edge and the kernel's callbacks in, as the last step of MiniportInitializeEx. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// The adapter stays where it is until [`Self::close`] has returned.
    pub unsafe fn open(&self) -> Result<(), NDIS_STATUS> {
        let answers: &dyn Answers = self;
        // SAFETY: the port is the adapter's, which stays until it is closed.
        unsafe { self.port.platform.start(&self.port, NonNull::from(answers)) }?;
        self.ndk.open();
        let upper: &dyn Upper = self;
        // SAFETY: as above; `close` detaches.
        unsafe { self.binding.attach(NonNull::from(upper)) };
        Ok(())
    }

    /// MiniportHaltEx: no call from below, no callback and no work item is in here afterwards, and no NDK_ADAPTER is open
    /// (PNP-09, PNP-12). PASSIVE_LEVEL.
    pub fn close(&self) {
        self.ndk.close(self);
        self.binding.detach();
        self.port.platform.stop();
    }

    /// SourceHandle of what goes up (W-20).
    pub fn miniport(&self) -> NDIS_HANDLE {
        self.miniport
    }

    /// What the NDK adapters over this instance share.
    pub fn port(&self) -> &Shared<Port<WindowsPlatform>> {
        &self.port
    }

    /// The NIC below.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The same, to outlive the adapter.
    pub fn shared_binding(&self) -> Shared<Binding> {
        self.binding.clone()
    }

    /// What the registry said.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether NDK is on.
    pub fn ndk(&self) -> &NdkSwitch {
        &self.ndk
    }

    /// The largest IP packet: what the NIC carries, and what `*JumboPacket` allows.
    pub fn mtu(&self) -> u32 {
        mtu(&self.binding, &self.config)
    }

    /// MiniportRestart. The link may have changed since the attributes were set, when nobody was told.
    pub fn restart(&self) {
        self.traffic.restart();
        self.link_changed();
    }

    /// OID_PNP_SET_POWER. The NIC's power is not ours to switch, and RDMA depends on that alone.
    pub fn set_power(&self, powered: bool) {
        self.powered.store(powered, Ordering::SeqCst);
        // What changed while nobody was told.
        self.link_changed();
    }

    fn is_powered(&self) -> bool {
        self.powered.load(Ordering::SeqCst)
    }

    /// MiniportPause: true if it is complete at once; else NdisMPauseComplete follows, and NDIS_STATUS_PENDING is the answer.
    #[must_use]
    pub fn pause(&self) -> bool {
        self.traffic.pause()
    }

    /// Lists from above, to be sent.
    ///
    /// # Safety
    /// `nbls` heads a chain that NDIS gave to the send handler with these arguments.
    pub unsafe fn send(&self, nbls: NonNull<NET_BUFFER_LIST>, port: NDIS_PORT_NUMBER, flags: u32) {
        // SAFETY: the caller's chain.
        if self.is_powered() && self.traffic.enter(unsafe { count(nbls.as_ptr()) }) {
            // SAFETY: as above.
            return unsafe { self.binding.send(self, nbls, port, flags) };
        }
        let mut next = nbls.as_ptr();
        // SAFETY: as above; the lists are ours until they are completed.
        while let Some(list) = unsafe { next.as_mut() } {
            list.Status = NDIS_STATUS_PAUSED;
            next = list.Next;
        }
        // SAFETY: lists of this instance, given back once.
        unsafe { NdisMSendNetBufferListsComplete(self.miniport, nbls.as_ptr(), flags & FLAGS_DISPATCH_LEVEL) };
    }

    /// Lists that were passed up are back.
    ///
    /// # Safety
    /// `nbls` heads a chain that NDIS gave to the return handler.
    pub unsafe fn give_back(&self, nbls: NonNull<NET_BUFFER_LIST>, flags: u32) {
        // SAFETY: the caller's chain.
        let count = unsafe { count(nbls.as_ptr()) };
        // SAFETY: as above: whatever goes up is the binding's.
        unsafe { self.binding.return_nbls(nbls, flags) };
        self.leave(count);
    }

    fn leave(&self, count: u32) {
        if self.traffic.leave(count) {
            // SAFETY: MiniportPause answered NDIS_STATUS_PENDING, and Traffic tells one caller alone.
            unsafe { NdisMPauseComplete(self.miniport) };
        }
    }

    /// Indicates a status with this buffer.
    fn tell(&self, code: NDIS_STATUS, buffer: *mut c_void, size: u32) {
        // SAFETY: a structure of integers and pointers, for which zero is a value.
        let mut indication = unsafe { core::mem::zeroed::<NDIS_STATUS_INDICATION>() };
        indication.Header = NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_STATUS_INDICATION,
            Revision: NDIS_STATUS_INDICATION_REVISION_1,
            Size: NDIS_SIZEOF_STATUS_INDICATION_REVISION_1,
        };
        indication.StatusCode = code;
        indication.StatusBuffer = buffer;
        indication.StatusBufferSize = size;
        self.indicate(&mut indication);
    }

    fn indicate(&self, indication: &mut NDIS_STATUS_INDICATION) {
        indication.SourceHandle = self.miniport;
        // SAFETY: a complete indication of this instance, valid during the call.
        unsafe { NdisMIndicateStatusEx(self.miniport, indication) };
    }
}

impl Answers for Adapter {
    fn resolved(&self, token: u64, answer: Result<NextHop, Unresolved>) {
        self.port.on_resolved(token, answer);
    }
}

impl Upper for Adapter {
    fn receive_frames(&self, frames: &[&[u8]], foreign: &mut dyn FnMut(usize)) {
        self.port.receive(frames, foreign);
    }

    fn indicate_receive(&self, nbls: NonNull<NET_BUFFER_LIST>, port: NDIS_PORT_NUMBER, count: u32, flags: u32) {
        let lent = flags & RECEIVE_FLAGS_RESOURCES == 0;
        if !self.is_powered() || !self.traffic.enter(count) {
            if lent {
                // SAFETY: the binding's own chain, which nobody above has seen.
                unsafe { self.binding.return_nbls(nbls, flags & FLAGS_DISPATCH_LEVEL) };
            }
            return;
        }
        // SAFETY: a chain of `count` lists of ours; the instance is running, and a pause now waits for it.
        unsafe { NdisMIndicateReceiveNetBufferLists(self.miniport, nbls.as_ptr(), port, count, flags) };
        if !lent {
            self.leave(count);
        }
    }

    fn complete_send(&self, nbls: NonNull<NET_BUFFER_LIST>, flags: u32) {
        // SAFETY: a chain that `send` gave to the binding, ours until the next call.
        let count = unsafe { count(nbls.as_ptr()) };
        // SAFETY: lists of this instance, given back once.
        unsafe { NdisMSendNetBufferListsComplete(self.miniport, nbls.as_ptr(), flags) };
        self.leave(count);
    }

    fn indicate_status(&self, status: NonNull<NDIS_STATUS_INDICATION>) {
        if !self.is_powered() {
            return;
        }
        // SAFETY: the NIC's indication, valid during the call.
        let mut own = unsafe { status.read() };
        // Handles and ids of the lower edge mean nothing above.
        own.DestinationHandle = core::ptr::null_mut();
        own.RequestId = core::ptr::null_mut();
        self.indicate(&mut own);
    }

    fn link_changed(&self) {
        if !self.is_powered() {
            return;
        }
        let lower = self.binding.lower();
        let mut state = NDIS_LINK_STATE {
            Header: NDIS_OBJECT_HEADER {
                Type: NDIS_OBJECT_TYPE_DEFAULT,
                Revision: NDIS_LINK_STATE_REVISION_1,
                Size: NDIS_SIZEOF_LINK_STATE_REVISION_1,
            },
            MediaConnectState: lower.connected,
            MediaDuplexState: lower.duplex,
            XmitLinkSpeed: lower.xmit,
            RcvLinkSpeed: lower.rcv,
            PauseFunctions: NdisPauseFunctionsUnknown,
            AutoNegotiationFlags: 0,
        };
        let size = u32::from(NDIS_SIZEOF_LINK_STATE_REVISION_1);
        self.tell(NDIS_STATUS_LINK_STATE, (&raw mut state).cast(), size);
        let mut mtu = self.mtu();
        if self.told_mtu.swap(mtu, Ordering::AcqRel) != mtu {
            self.tell(NDIS_STATUS_L2_MTU_SIZE_CHANGE, (&raw mut mtu).cast(), size_of::<u32>() as u32);
        }
    }

    fn on_frames_available(&self) {
        self.port.platform.frames_available();
    }

    fn lower_gone(&self) {
        self.ndk.lower_gone(self);
    }

    fn miniport(&self) -> NDIS_HANDLE {
        self.miniport
    }

    fn luid(&self) -> u64 {
        self.luid
    }
}
