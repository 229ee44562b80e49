//! One lower NIC: its handle, what it can do, the state of the edge towards it, and what of ours it still holds.
//!
//! A binding is made in BindAdapterEx and lives until the unbind is complete; the adapter above holds a reference from
//! InitializeEx to HaltEx. What the binding tells the adapter goes through [`Upper`]; attached and detached by the adapter.
//! The edge's state (paused, running) is independent of the adapter's own (W-08).

pub mod device_name;
pub mod rundown;

use crate::data_path::frames::{Frame, Frames};
use crate::kernel::{Event, Guarded, WorkItem};
use crate::protocol::oid_request;
use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub use device_name::DeviceName;
use ndk_provider::shared::Shared;
use ndk_types::{
    NDIS_HANDLE, NDIS_PORT_NUMBER, NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_STATUS, NDIS_STATUS_INDICATION,
    NET_BUFFER_LIST, OID_802_3_MULTICAST_LIST, OID_GEN_CURRENT_PACKET_FILTER,
};
use rundown::Rundown;

/// What the adapter above does with what comes from below. At or below DISPATCH_LEVEL unless said otherwise.
pub trait Upper: Send + Sync {
    /// RoCEv2 frames, whole, in order; `foreign` is told the place of each that is not for us.
    fn receive_frames(&self, frames: &[&[u8]], foreign: &mut dyn FnMut(usize));
    /// A chain for the protocols above, SourceHandle already the miniport's. With RESOURCES it is free on return.
    fn indicate_receive(&self, nbls: NonNull<NET_BUFFER_LIST>, port: NDIS_PORT_NUMBER, count: u32, flags: u32);
    /// A chain that was given to [`Binding::send`].
    fn complete_send(&self, nbls: NonNull<NET_BUFFER_LIST>, flags: u32);
    /// A status of the NIC that concerns protocols above.
    fn indicate_status(&self, status: NonNull<NDIS_STATUS_INDICATION>);
    /// Link state, speed or MTU changed; [`Binding::lower`] has the new ones.
    fn link_changed(&self);
    /// Transmit buffers are free again after `frame` had none. It only notes this: the call may come from inside `transmit`.
    fn on_frames_available(&self);
    /// The NIC goes away: disable NDK, wait for its consumers. PASSIVE_LEVEL, in a work item, may wait (W-07).
    fn lower_gone(&self);
    /// The miniport's handle: the source of what goes up, and what is de-initialised.
    fn miniport(&self) -> NDIS_HANDLE;
    /// The NET_LUID of the virtual miniport, which is never bound to (W-03).
    fn luid(&self) -> u64;
}

/// What the NIC can do, as of now.
#[derive(Clone, Copy)]
pub struct LowerAttributes {
    /// Its MAC address, which is ours too (D1).
    pub mac: [u8; 6],
    /// The largest IP packet.
    pub mtu: u32,
    /// The highest speeds, bit/s.
    pub max_xmit: u64,
    /// See `max_xmit`.
    pub max_rcv: u64,
    /// The speeds now.
    pub xmit: u64,
    /// See `xmit`.
    pub rcv: u64,
    /// NET_IF_MEDIA_CONNECT_STATE.
    pub connected: i32,
    /// NET_IF_MEDIA_DUPLEX_STATE.
    pub duplex: i32,
    /// Packet filters it knows.
    pub packet_filters: u32,
    /// The longest multicast list.
    pub max_multicast: u32,
    /// NDIS_MAC_OPTION_*.
    pub mac_options: u32,
    /// Lookahead.
    pub lookahead: u32,
    /// NET_IF_ACCESS_TYPE, DIRECTION_TYPE and CONNECTION_TYPE (W-21).
    pub access: [i32; 3],
    /// Receive side scaling, passed through (W-24).
    pub rss: Option<NDIS_RECEIVE_SCALE_CAPABILITIES>,
    /// The interface.
    pub luid: u64,
}

/// The state of the lower edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LowerState {
    /// NDIS paused us, or the NIC sleeps: nothing goes down.
    Paused = 0,
    /// Everything goes.
    Running = 1,
    /// Being unbound.
    Closing = 2,
}

/// One lower NIC.
pub struct Binding {
    pub(crate) handle: AtomicPtr<c_void>,
    pub(crate) attributes: Guarded<LowerAttributes>,
    state: AtomicU32,
    powered: AtomicBool,
    /// Sends of both kinds: clones of what comes from above, and the provider's frames.
    pub(crate) sends: Rundown,
    /// Sends from above, which the adapter gets back.
    pub(crate) passed: Rundown,
    /// Clones with the protocols above.
    pub(crate) indicated: Rundown,
    /// Requests below.
    pub(crate) requests: Rundown,
    /// Those that the NIC has, or is about to get.
    pub(crate) asked: AtomicU32,
    /// Users of `upper`.
    pub(crate) callers: Rundown,
    pub(crate) upper: Guarded<Option<&'static dyn Upper>>,
    pub(crate) frames: Frames,
    pub(crate) clones: AtomicPtr<c_void>,
    pub(crate) net_buffers: AtomicPtr<c_void>,
    /// The 802.1Q information of the last RoCEv2 frame: what the NIC strips it must insert.
    pub(crate) tag: AtomicUsize,
    pub(crate) dropped: AtomicU64,
    /// Ends the waits for the completion of an open and of a close, which never overlap.
    pub(crate) changed: Event,
    pub(crate) changed_status: AtomicI32,
    /// The virtual miniport over it, as UpperBindings names it.
    pub(crate) name: Guarded<DeviceName>,
    /// NdisIMInitializeDeviceInstanceEx is still to be called.
    pub(crate) unstarted: AtomicBool,
    /// It was called, and MiniportInitializeEx has not ended yet.
    pub(crate) initialising: AtomicBool,
    /// Set when `initialising` became false.
    pub(crate) settled: Event,
    /// A virtual miniport was initialised over it and MiniportHaltEx has not ended.
    pub(crate) occupied: AtomicBool,
    /// Set when `occupied` became false.
    pub(crate) halted: Event,
    pub(crate) pause_event: AtomicPtr<c_void>,
    pub(crate) unbind_context: AtomicPtr<c_void>,
    pub(crate) unbind_work: Guarded<Option<WorkItem>>,
    /// The list of bindings, which holds a reference on each (`protocol/bindings.rs`).
    pub(crate) next: AtomicPtr<Binding>,
    pub(crate) own: Guarded<Option<Shared<Binding>>>,
}

impl Binding {
    /// A binding with nothing open yet.
    pub fn try_new(attributes: LowerAttributes) -> Option<Shared<Self>> {
        Shared::try_new(Self {
            handle: AtomicPtr::new(null_mut()),
            attributes: Guarded::new(attributes),
            state: AtomicU32::new(LowerState::Paused as u32),
            powered: AtomicBool::new(true),
            sends: Rundown::try_new()?,
            passed: Rundown::try_new()?,
            indicated: Rundown::try_new()?,
            requests: Rundown::try_new()?,
            asked: AtomicU32::new(0),
            callers: Rundown::try_new()?,
            upper: Guarded::new(None),
            frames: Frames::new(),
            clones: AtomicPtr::new(null_mut()),
            net_buffers: AtomicPtr::new(null_mut()),
            tag: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            changed: Event::try_new()?,
            changed_status: AtomicI32::new(0),
            name: Guarded::new(DeviceName::none()),
            unstarted: AtomicBool::new(false),
            initialising: AtomicBool::new(false),
            settled: Event::try_new()?,
            occupied: AtomicBool::new(false),
            halted: Event::try_new()?,
            pause_event: AtomicPtr::new(null_mut()),
            unbind_context: AtomicPtr::new(null_mut()),
            unbind_work: Guarded::new(None),
            next: AtomicPtr::new(null_mut()),
            own: Guarded::new(None),
        })
    }

    /// A reference on the binding that NdisIMInitializeDeviceInstanceEx was given, for MiniportInitializeEx.
    ///
    /// # Safety
    /// `context` is IMDeviceInstanceContext, in MiniportInitializeEx: the binding waits for it to end.
    pub unsafe fn from_device_context(context: NDIS_HANDLE) -> Option<Shared<Self>> {
        // SAFETY: the caller's promise; the context is a binding's address.
        let binding = unsafe { context.cast::<Self>().as_ref() }?;
        binding.own.with(|own| own.clone())
    }

    /// The handle NDIS gave for the open NIC.
    pub fn handle(&self) -> NDIS_HANDLE {
        self.handle.load(Ordering::Acquire)
    }

    /// What the NIC can do now.
    pub fn lower(&self) -> LowerAttributes {
        self.attributes.with(|now| *now)
    }

    /// Whether frames may go down.
    pub fn is_running(&self) -> bool {
        self.state.load(Ordering::Acquire) == LowerState::Running as u32 && self.powered.load(Ordering::Acquire)
    }

    /// Whether the NIC may be asked for anything (W-08).
    pub(crate) fn is_powered(&self) -> bool {
        self.powered.load(Ordering::SeqCst)
    }

    /// Whether the NIC has nothing of ours that must come back before it pauses or sleeps.
    pub(crate) fn is_quiet(&self) -> bool {
        self.sends.outstanding() == 0 && (self.is_powered() || self.asked.load(Ordering::SeqCst) == 0)
    }

    /// The next state of the edge; closing is final.
    pub(crate) fn set_state(&self, next: LowerState) {
        let closing = LowerState::Closing as u32;
        let _ =
            self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now != closing).then_some(next as u32));
    }

    /// The NIC woke up or goes to sleep.
    pub(crate) fn set_powered(&self, powered: bool) {
        self.powered.store(powered, Ordering::SeqCst);
    }

    /// The adapter above is there. `upper` stays valid until `detach` returned.
    ///
    /// # Safety
    /// The caller keeps `upper` alive until it has called [`Self::detach`].
    pub unsafe fn attach(&self, upper: NonNull<dyn Upper>) {
        // SAFETY: the caller's promise; every use is counted by `callers`, which `detach` waits for.
        let upper: &'static dyn Upper = unsafe { upper.as_ref() };
        self.halted.clear();
        self.occupied.store(true, Ordering::Release);
        self.indicated.open();
        self.passed.open();
        self.callers.open();
        self.upper.with(|now| *now = Some(upper));
    }

    /// MiniportInitializeEx ended, with an adapter attached or without: an unbind may go on.
    pub fn initialised(&self) {
        self.initialising.store(false, Ordering::Release);
        self.settled.set();
    }

    /// MiniportHaltEx is at its end, and nothing of the adapter is left: an unbind may go on.
    pub fn vacated(&self) {
        self.occupied.store(false, Ordering::Release);
        self.halted.set();
    }

    /// The adapter above goes: no call of ours is inside it afterwards. PASSIVE_LEVEL, not from inside an `Upper` method.
    pub fn detach(&self) {
        // Their completions go to the adapter, so it stays known until the last.
        self.passed.close_and_wait();
        self.upper.with(|now| *now = None);
        self.callers.close_and_wait();
        self.indicated.close_and_wait();
    }

    /// Runs `body` with the adapter above, which stays for as long.
    pub(crate) fn with_upper<R>(&self, body: impl FnOnce(&dyn Upper) -> R) -> Option<R> {
        let upper = self.upper.with(|now| now.filter(|_| self.callers.enter()))?;
        let result = body(upper);
        self.callers.leave(1);
        Some(result)
    }

    /// A transmit buffer of `len` bytes; `None` while none is free or the edge does not run: a pause is "no frame" (W-08).
    pub fn frame(self: &Binding, len: usize) -> Option<Frame> {
        if !self.is_running() {
            self.frames.starve();
            // It may run by now, and whoever said so saw nobody wait.
            if !self.is_running() {
                return None;
            }
        }
        self.frames.take(len)
    }

    /// Sends the provider's frames as one chain.
    pub fn transmit(&self, frames: &mut dyn Iterator<Item = Frame>) {
        crate::data_path::send::transmit(self, frames);
    }

    /// Passes a chain from above down, cloned; completed through [`Upper::complete_send`] of `upper`, who is attached: what
    /// cannot go, before this returns.
    ///
    /// # Safety
    /// `nbls` heads a chain that NDIS gave to the miniport's send handler.
    pub unsafe fn send(&self, upper: &dyn Upper, nbls: NonNull<NET_BUFFER_LIST>, port: NDIS_PORT_NUMBER, flags: u32) {
        // SAFETY: as above.
        unsafe { crate::data_path::send::send(self, upper, nbls, port, flags) };
    }

    /// Cancels sends with that id.
    pub fn cancel_send(&self, id: *mut c_void) {
        crate::data_path::send::cancel(self, id);
    }

    /// Takes back clones that were indicated.
    ///
    /// # Safety
    /// `nbls` heads a chain of NET_BUFFER_LISTs that this binding indicated and has not got back.
    pub unsafe fn return_nbls(&self, nbls: NonNull<NET_BUFFER_LIST>, flags: u32) {
        // SAFETY: as above.
        unsafe { crate::data_path::receive::give_back(self, nbls, flags) };
    }

    /// Sets the packet filter below; PASSIVE_LEVEL.
    pub fn set_packet_filter(&self, filter: u32) -> NDIS_STATUS {
        oid_request::set(self, OID_GEN_CURRENT_PACKET_FILTER, &mut filter.to_ne_bytes())
    }

    /// Sets the multicast list below, six bytes an address; PASSIVE_LEVEL.
    pub fn set_multicast(&self, list: &mut [u8]) -> NDIS_STATUS {
        oid_request::set(self, OID_802_3_MULTICAST_LIST, list)
    }
}
