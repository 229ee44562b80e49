//! What the provider needs of the system it runs in, and nothing more (DESIGN D11).
//!
//! Two implementations exist: the Windows kernel (the driver) and the simulator. Only this crate calls them. Every method
//! is callable at or below DISPATCH_LEVEL, returns at once and never waits, except [`Platform::wait`].
//!
//! The system calls back into the port it was given to: [`crate::port::Port::receive`] for frames,
//! [`crate::port::Port::on_timer`], [`crate::port::Port::on_deferred`], [`crate::port::Port::on_frames_available`],
//! [`crate::port::Port::on_resolved`] and the status calls beside them. It must not call back from inside one of the
//! methods below: not `on_frames_available` from `frame`, not `receive` from `transmit`.

use core::net::IpAddr;
use core::ptr::NonNull;
use ndk_types::MDL;
use roce_engine::time::{Duration, Time};

/// A private mapping of a consumer's pages: `len` bytes, virtually contiguous, at an address only we use. Unmapped when
/// dropped, at or below DISPATCH_LEVEL. It outlives the consumer's MDL (W-11).
///
/// # Safety
/// From `map` to drop, `base` points at `len` bytes that may be read, and written if the mapping was asked for that, by
/// any thread at or below DISPATCH_LEVEL, while others read and write the same bytes.
pub unsafe trait Mapping: Send + Sync {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;
    /// The size in bytes.
    fn len(&self) -> usize;
    /// Whether there is nothing to reach.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why an MDL chain could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFailure {
    /// No memory or no system address space; the same call may succeed later.
    NoResources,
    /// The pages are of a kind that is refused (device memory, W-11).
    Unsupported,
}

/// The interface that owns a local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalInterface {
    /// Its hardware address: the source of our frames.
    pub mac: [u8; 6],
    /// The largest IP packet it carries, in bytes.
    pub ip_mtu: u32,
}

/// A next hop, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Where frames go on the link.
    pub mac: [u8; 6],
    /// The 802.1Q tag control information to send with, if any.
    pub vlan_tci: Option<u16>,
    /// The largest IP packet of the path as far as the system knows it, in bytes.
    pub ip_mtu: u32,
}

/// Why there is no next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// No route to the network.
    NetworkUnreachable,
    /// A route, but the neighbour (host or gateway) does not answer.
    HostUnreachable,
    /// No memory to ask.
    NoResources,
}

/// Things worth a line in the system's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A queue pair failed: its number and why, in IBTA's words.
    QueuePairFailed {
        /// The local queue pair number.
        qpn: u32,
        /// Why.
        reason: &'static str,
    },
    /// A completion queue overran and took its queue pairs with it.
    CompletionQueueOverrun,
    /// A connection ended otherwise than by disconnect.
    ConnectionLost {
        /// Why.
        reason: &'static str,
    },
}

/// A flag somebody can wait for, at PASSIVE_LEVEL: set once, stays set.
pub trait Signal: Send + Sync {
    /// Sets it; at or below DISPATCH_LEVEL.
    fn set(&self);
}

/// The system.
pub trait Platform: Sized + Send + Sync + 'static {
    /// A transmit buffer that already exists: filled in place, sent by [`Platform::transmit`], given back on drop.
    type Frame: AsMut<[u8]> + Send;
    /// A mapping of consumer pages.
    type Mapping: Mapping;
    /// While it lives, the processor is at DISPATCH_LEVEL (T-11).
    type Raised;
    /// What CloseNDKAdapter waits for.
    type Signal: Signal;

    /// The granularity of [`Platform::set_timer`]: no retransmission time-out is shorter (T-30).
    const TIMER_GRANULARITY: Duration;

    /// The time; monotone, the same scale as [`Platform::set_timer`].
    fn now(&self) -> Time;

    /// Fills `bytes` with random ones, fit for numbers that a stranger must not guess.
    fn random(&self, bytes: &mut [u8]);

    /// Raises to DISPATCH_LEVEL until the result is dropped.
    fn raise(&self) -> Self::Raised;

    /// A frame of exactly `len` bytes from Ethernet header to ICRC, contents undefined. `None`: none is free;
    /// `on_frames_available` follows.
    fn frame(&self, len: usize) -> Option<Self::Frame>;

    /// Sends frames, in this order, in one go.
    fn transmit(&self, frames: &mut dyn Iterator<Item = Self::Frame>);

    /// Calls `on_timer` once at `at` or soon after; replaces an earlier request. `Time::MAX` cancels.
    fn set_timer(&self, at: Time);

    /// Calls `on_deferred` once, soon, from a deferred procedure call (DISPATCH_LEVEL), not from inside this call.
    fn defer(&self);

    /// Maps the first `length` bytes of an MDL chain that the caller checked: locked, virtually contiguous, long enough.
    ///
    /// # Safety
    /// `mdl` heads a chain of locked MDLs that stay valid during the call and cover `length` bytes.
    unsafe fn map(&self, mdl: NonNull<MDL>, length: usize, writable: bool) -> Result<Self::Mapping, MapFailure>;

    /// The interface that has `address`, if this adapter has it now.
    fn interface(&self, address: IpAddr) -> Option<LocalInterface>;

    /// Starts to find the next hop from `local` to `remote`; `on_resolved(token, _)` brings the answer exactly once, not
    /// from inside this call.
    fn resolve(&self, local: IpAddr, remote: IpAddr, token: u64);

    /// A new signal, not set; `None` without memory.
    fn signal(&self) -> Option<Self::Signal>;

    /// Waits until `signal` is set. PASSIVE_LEVEL; the one call that waits.
    fn wait(&self, signal: &Self::Signal);

    /// Notes an event for whoever looks after the machine.
    fn log(&self, event: Event);
}
