//! What a node of the virtual world lends the provider.
//!
//! Nothing here calls back: what the provider asks for is noted in a tray, and the world carries it out when the call into
//! the provider has returned ([`Tray`]).

use crate::dice::Dice;
use ndk_provider::platform::{Event, LocalInterface, MapFailure, Mapping, Platform, Signal};
use ndk_types::MDL;
use roce_engine::time::{Duration, Time};
use std::net::IpAddr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Frames that a node may have out at once.
const FRAMES_MAX: usize = 4096;

/// What the provider asked for since the world last looked.
#[derive(Debug, Default)]
pub struct Tray {
    /// Frames to send, in order.
    pub frames: Vec<Vec<u8>>,
    /// When to call `on_timer`, if that changed.
    pub timer: Option<Time>,
    /// Whether to call `on_deferred`.
    pub deferred: bool,
    /// Next hops to find: token and remote address.
    pub resolve: Vec<(u64, IpAddr)>,
    /// Log lines.
    pub log: Vec<Event>,
    /// Frame buffers to be used again.
    spare: Vec<Vec<u8>>,
    out: usize,
    /// How often the processor is raised to DISPATCH_LEVEL.
    pub raised: u32,
    /// Lengths of the frames that were taken or sent below DISPATCH_LEVEL, where their owner could be preempted (T-11).
    pub preemptible: Vec<usize>,
    /// Somebody was refused a frame.
    pub starved: bool,
}

/// A node's state, shared between the world and the provider.
#[derive(Debug)]
pub struct Node {
    clock: Arc<AtomicU64>,
    tray: Mutex<Tray>,
    dice: Mutex<Dice>,
    addresses: Vec<IpAddr>,
    interface: LocalInterface,
    others: AtomicBool,
}

impl Node {
    /// From now on other threads drive the world: who waits may wait for them.
    pub fn wait_for_others(&self) {
        self.others.store(true, Ordering::SeqCst);
    }

    /// A node with these addresses.
    pub fn new(clock: Arc<AtomicU64>, dice: Dice, addresses: Vec<IpAddr>, interface: LocalInterface) -> Arc<Self> {
        Arc::new(Self {
            clock,
            tray: Mutex::default(),
            dice: Mutex::new(dice),
            addresses,
            interface,
            others: AtomicBool::new(false),
        })
    }

    /// What the provider asked for.
    pub fn tray(&self) -> MutexGuard<'_, Tray> {
        self.tray.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Its hardware address.
    pub const fn mac(&self) -> [u8; 6] {
        self.interface.mac
    }

    /// Its addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Frames that the provider has and that have not left.
    pub fn frames_out(&self) -> usize {
        self.tray().out
    }

    /// A frame has left: its buffer is used again.
    pub fn give_back(&self, frame: Vec<u8>) {
        let mut tray = self.tray();
        tray.out -= 1;
        tray.spare.push(frame);
    }
}

/// The platform of a node.
#[derive(Clone, Debug)]
pub struct SimPlatform(pub Arc<Node>);

/// While it lives the node's processor is at DISPATCH_LEVEL.
#[derive(Debug)]
pub struct Raised(Arc<Node>);

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.tray().raised -= 1;
    }
}

/// A transmit buffer.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    node: Arc<Node>,
}

impl AsMut<[u8]> for Frame {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if self.bytes.capacity() != 0 {
            self.node.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// A mapping of a buffer.
#[derive(Debug)]
pub struct SimMapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the pages a mapping describes may be used on any thread; the simulated memory outlives the world.
unsafe impl Send for SimMapping {}
// SAFETY: as above.
unsafe impl Sync for SimMapping {}

// SAFETY: `map` made it from an MDL whose MappedSystemVa is the buffer's memory, in cells, alive while it is registered.
unsafe impl Mapping for SimMapping {
    fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn len(&self) -> usize {
        self.length
    }
}

/// What CloseNDKAdapter waits for: on one thread it must be set already ([`Node::wait_for_others`]).
#[derive(Debug, Default)]
pub struct SimSignal {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal for SimSignal {
    fn set(&self) {
        *self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

impl Platform for SimPlatform {
    type Frame = Frame;
    type Mapping = SimMapping;
    type Raised = Raised;
    type Signal = SimSignal;

    const TIMER_GRANULARITY: Duration = Duration::from_micros(200);

    fn now(&self) -> Time {
        Time::from_nanos(self.0.clock.load(Ordering::Relaxed))
    }

    fn random(&self, bytes: &mut [u8]) {
        self.0.dice.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(bytes);
    }

    fn raise(&self) -> Raised {
        self.0.tray().raised += 1;
        Raised(self.0.clone())
    }

    fn frame(&self, len: usize) -> Option<Frame> {
        let mut tray = self.0.tray();
        if tray.out >= FRAMES_MAX {
            tray.starved = true;
            return None;
        }
        tray.out += 1;
        if tray.raised == 0 {
            tray.preemptible.push(len);
        }
        let mut bytes = tray.spare.pop().unwrap_or_else(|| Vec::with_capacity(8192));
        bytes.clear();
        bytes.resize(len, 0);
        Some(Frame { bytes, node: self.0.clone() })
    }

    fn transmit(&self, frames: &mut dyn Iterator<Item = Frame>) {
        for mut frame in frames {
            let bytes = std::mem::take(&mut frame.bytes);
            let mut tray = self.0.tray();
            if tray.raised == 0 {
                tray.preemptible.push(bytes.len());
            }
            tray.frames.push(bytes);
        }
    }

    fn set_timer(&self, at: Time) {
        self.0.tray().timer = Some(at);
    }

    fn defer(&self) {
        self.0.tray().deferred = true;
    }

    unsafe fn map(&self, mdl: NonNull<MDL>, length: usize, _writable: bool) -> Result<SimMapping, MapFailure> {
        // SAFETY: the caller's contract: a valid MDL.
        let mdl = unsafe { mdl.as_ref() };
        let base = NonNull::new(mdl.MappedSystemVa.cast::<u8>()).ok_or(MapFailure::Unsupported)?;
        Ok(SimMapping { base, length })
    }

    fn interface(&self, address: IpAddr) -> Option<LocalInterface> {
        self.0.addresses.contains(&address).then_some(self.0.interface)
    }

    fn resolve(&self, _local: IpAddr, remote: IpAddr, token: u64) {
        self.0.tray().resolve.push((token, remote));
    }

    fn signal(&self) -> Option<SimSignal> {
        Some(SimSignal::default())
    }

    fn wait(&self, signal: &SimSignal) {
        let mut set = signal.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let others = self.0.others.load(Ordering::SeqCst);
        assert!(*set || others, "an adapter is closed while something of it is open: nobody would wake us");
        while !*set {
            set = signal.changed.wait(set).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    fn log(&self, event: Event) {
        self.0.tray().log.push(event);
    }
}
