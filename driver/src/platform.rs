//! The provider's system is the Windows kernel: frames and routes by the lower edge, a high-resolution timer, one DPC.
//!
//! What the system calls back goes through [`Calls`], a block of its own at a fixed address: the port is told nothing before
//! [`WindowsPlatform::start`] and nothing after [`WindowsPlatform::stop`]. Nothing calls the port from inside one of the
//! provider's own calls: what comes from below, "frames are free again", takes the way over the DPC.

use crate::binding::Binding;
use crate::binding::rundown::Rundown;
use crate::data_path::frames::Frame;
use crate::event_log;
use crate::kernel::mapping::{self, KernelMapping};
use crate::kernel::{self, Block, Dpc, Raised, Random, Timer};
use crate::routes::{Answers, Routes};
use core::ffi::c_void;
use core::net::IpAddr;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use ndk_provider::platform::{Event, LocalInterface, MapFailure, Platform, Signal};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::{MDL, NDIS_STATUS};
use roce_engine::time::{Duration, Time};
use wdk_sys::{PEX_TIMER, PKDPC, PVOID};

/// What a DPC is asked for.
const DEFERRED: u32 = 1;
const FRAMES: u32 = 2;
const NANOSECONDS: u128 = 1_000_000_000;
/// Nanoseconds of a timer's unit.
const TICK: u64 = 100;

/// The way from the kernel's callbacks to the port.
struct Calls {
    port: AtomicPtr<Port<WindowsPlatform>>,
    running: Rundown,
    wanted: AtomicU32,
}

/// The Windows kernel. The timer and the DPC are rid of before the block they point at.
pub struct WindowsPlatform {
    timer: Timer,
    dpc: Dpc,
    calls: Block<Calls>,
    binding: Shared<Binding>,
    routes: Block<Routes>,
    random: Random,
    log: event_log::Log,
}

impl WindowsPlatform {
    /// Over `binding`, with what `routes` knows. `None` without memory. PASSIVE_LEVEL, as is its drop.
    pub fn try_new(binding: Shared<Binding>, routes: Block<Routes>) -> Option<Self> {
        let calls = Block::try_new(Calls {
            port: AtomicPtr::new(null_mut()),
            running: Rundown::try_new()?,
            wanted: AtomicU32::new(0),
        })?;
        let context: *mut c_void = calls.as_ptr().cast();
        // SAFETY: the context outlives the timer: fields are dropped in their order.
        let timer = unsafe { Timer::try_new(Some(on_timer), context) }?;
        // SAFETY: as above.
        let dpc = unsafe { Dpc::try_new(Some(on_dpc), context) }?;
        Some(Self { timer, dpc, calls, binding, routes, random: Random::try_new()?, log: event_log::Log::new() })
    }

    /// From here on the kernel's callbacks reach `port`, whose platform this is, and IP Helper's answers reach `answers`.
    ///
    /// # Safety
    /// Both stay alive until [`Self::stop`] has returned, which is called once after this succeeded.
    pub unsafe fn start(&self, port: &Port<WindowsPlatform>, answers: NonNull<dyn Answers>) -> Result<(), NDIS_STATUS> {
        self.calls.port.store(core::ptr::from_ref(port).cast_mut(), Ordering::Release);
        self.calls.running.open();
        // SAFETY: the caller's promise; `stop` stops the routes too.
        unsafe { self.routes.start(answers) }.inspect_err(|_| self.calls.running.close_and_wait())
    }

    /// No callback reaches the port any more, and none is in it. Once after each `start`. PASSIVE_LEVEL.
    pub fn stop(&self) {
        self.routes.stop();
        self.timer.cancel();
        self.calls.running.close_and_wait();
    }

    /// Frames can be had again: the port hears of it from the DPC.
    pub fn frames_available(&self) {
        self.want(FRAMES);
    }

    fn want(&self, what: u32) {
        self.calls.wanted.fetch_or(what, Ordering::AcqRel);
        self.dpc.queue();
    }
}

impl Calls {
    /// # Safety
    /// `context` is that of a live [`WindowsPlatform`].
    unsafe fn run(context: PVOID, body: impl FnOnce(&Calls, &Port<WindowsPlatform>)) {
        // SAFETY: the caller's contract.
        let Some(calls) = (unsafe { context.cast::<Calls>().as_ref() }) else { return };
        if !calls.running.enter() {
            return;
        }
        // SAFETY: `stop`, after which the port may go, waits for whoever entered.
        if let Some(port) = unsafe { calls.port.load(Ordering::Acquire).as_ref() } {
            body(calls, port);
        }
        calls.running.leave(1);
    }
}

unsafe extern "C" fn on_timer(_timer: PEX_TIMER, context: PVOID) {
    // SAFETY: the timer is part of the platform, whose drop waits for this.
    unsafe { Calls::run(context, |_, port| port.on_timer()) };
}

unsafe extern "C" fn on_dpc(_dpc: PKDPC, context: PVOID, _first: PVOID, _second: PVOID) {
    let turn = |calls: &Calls, port: &Port<WindowsPlatform>| {
        let wanted = calls.wanted.swap(0, Ordering::AcqRel);
        if wanted & FRAMES != 0 {
            port.on_frames_available();
        }
        if wanted & DEFERRED != 0 {
            port.on_deferred();
        }
    };
    // SAFETY: the DPC is part of the platform, whose drop waits for this.
    unsafe { Calls::run(context, turn) };
}

impl Signal for kernel::Event {
    fn set(&self) {
        Self::set(self);
    }
}

impl Platform for WindowsPlatform {
    type Frame = Frame;
    type Mapping = KernelMapping;
    type Raised = Raised;
    type Signal = kernel::Event;

    /// W-06.
    const TIMER_GRANULARITY: Duration = Duration::from_millis(1);

    fn now(&self) -> Time {
        let (ticks, second) = kernel::performance_counter();
        let nanoseconds = u128::from(ticks).wrapping_mul(NANOSECONDS).checked_div(u128::from(second)).unwrap_or(0);
        Time::from_nanos(nanoseconds as u64)
    }

    fn random(&self, bytes: &mut [u8]) {
        self.random.fill(bytes);
    }

    fn raise(&self) -> Raised {
        Raised::new()
    }

    fn frame(&self, len: usize) -> Option<Frame> {
        self.binding.frame(len)
    }

    fn transmit(&self, frames: &mut dyn Iterator<Item = Frame>) {
        self.binding.transmit(frames);
    }

    fn set_timer(&self, at: Time) {
        if at == Time::MAX {
            self.timer.cancel();
        } else {
            self.timer.set(at.since(self.now()).as_nanos().div_ceil(TICK));
        }
    }

    fn defer(&self) {
        self.want(DEFERRED);
    }

    unsafe fn map(&self, mdl: NonNull<MDL>, length: usize, writable: bool) -> Result<KernelMapping, MapFailure> {
        // SAFETY: the caller's contract, which is the same.
        unsafe { mapping::map(mdl, length, writable) }
    }

    fn interface(&self, address: IpAddr) -> Option<LocalInterface> {
        self.routes.interface(address)
    }

    fn resolve(&self, local: IpAddr, remote: IpAddr, token: u64) {
        self.routes.resolve(local, remote, token);
    }

    fn signal(&self) -> Option<kernel::Event> {
        kernel::Event::try_new()
    }

    fn wait(&self, signal: &kernel::Event) {
        signal.wait();
    }

    fn log(&self, event: Event) {
        self.log.note(event);
    }
}
