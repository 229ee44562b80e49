//! The provider's entry points: what the platform side calls, and through the adapter every dispatch table.

use core::ffi::c_void;
use core::net::IpAddr;
use core::ptr::NonNull;
use ndk_provider::limits::Limits;
use ndk_provider::platform::{Event, LocalInterface, MapFailure, Mapping, NextHop, Platform, Signal, Unresolved};
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::{MDL, NDIS_STATUS, NDK_ADAPTER, NDK_VERSION};
use roce_engine::time::{Duration, Time};

unsafe extern "C" {
    fn opaque_platform(what: u32, with: *const c_void, into: *mut c_void) -> u64;
}

fn ask<T>(what: u32, with: &T) -> u64 {
    // SAFETY: never run.
    unsafe { opaque_platform(what, (&raw const *with).cast(), core::ptr::null_mut()) }
}

fn fetch<T>(what: u32) -> Option<T> {
    let mut place = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: never run.
    let there = unsafe { opaque_platform(what, core::ptr::null(), place.as_mut_ptr().cast()) } != 0;
    // SAFETY: never run.
    there.then(|| unsafe { place.assume_init() })
}

pub struct Opaque;
pub struct Frame(NonNull<u8>, usize);
pub struct Mapped(NonNull<u8>, usize);
pub struct Told(u64);

impl AsMut<[u8]> for Frame {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: never run.
        unsafe { core::slice::from_raw_parts_mut(self.0.as_ptr(), self.1) }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        ask(1, &self.1);
    }
}

// SAFETY: never run.
unsafe impl Send for Frame {}
// SAFETY: never run.
unsafe impl Send for Mapped {}
// SAFETY: never run.
unsafe impl Sync for Mapped {}
// SAFETY: never run.
unsafe impl Mapping for Mapped {
    fn base(&self) -> NonNull<u8> {
        self.0
    }
    fn len(&self) -> usize {
        self.1
    }
}

impl Signal for Told {
    fn set(&self) {
        ask(2, &self.0);
    }
}

impl Platform for Opaque {
    type Frame = Frame;
    type Mapping = Mapped;
    type Raised = ();
    type Signal = Told;

    const TIMER_GRANULARITY: Duration = Duration::from_micros(1_000);

    fn now(&self) -> Time {
        Time::from_nanos(ask(3, &()))
    }
    fn random(&self, bytes: &mut [u8]) {
        ask(4, &(bytes.as_mut_ptr(), bytes.len()));
    }
    fn raise(&self) {
        ask(5, &());
    }
    fn frame(&self, len: usize) -> Option<Frame> {
        ask(6, &len);
        fetch(6)
    }
    fn transmit(&self, frames: &mut dyn Iterator<Item = Frame>) {
        for frame in frames {
            ask(7, &frame.0);
        }
    }
    fn set_timer(&self, at: Time) {
        ask(8, &at);
    }
    fn defer(&self) {
        ask(9, &());
    }
    unsafe fn map(&self, mdl: NonNull<MDL>, length: usize, writable: bool) -> Result<Mapped, MapFailure> {
        ask(10, &(mdl, length, writable));
        fetch(10).ok_or(MapFailure::NoResources)
    }
    fn interface(&self, address: IpAddr) -> Option<LocalInterface> {
        ask(11, &address);
        fetch(11)
    }
    fn resolve(&self, local: IpAddr, remote: IpAddr, token: u64) {
        ask(12, &(local, remote, token));
    }
    fn signal(&self) -> Option<Told> {
        fetch(13)
    }
    fn wait(&self, signal: &Told) {
        ask(14, &signal.0);
    }
    fn log(&self, event: Event) {
        ask(15, &event);
    }
}

type Ports = Shared<Port<Opaque>>;

#[unsafe(no_mangle)]
pub fn port_try_new(limits: Limits) -> Option<Ports> {
    Port::try_new(Opaque, limits)
}

#[unsafe(no_mangle)]
pub fn port_receive(port: &Ports, frames: &[&[u8]]) {
    port.receive(frames, |place| {
        ask(16, &place);
    });
}

#[unsafe(no_mangle)]
pub fn port_on_timer(port: &Ports) {
    port.on_timer();
}

#[unsafe(no_mangle)]
pub fn port_on_deferred(port: &Ports) {
    port.on_deferred();
}

#[unsafe(no_mangle)]
pub fn port_on_frames_available(port: &Ports) {
    port.on_frames_available();
}

#[unsafe(no_mangle)]
pub fn port_on_resolved(port: &Ports, token: u64, answer: Result<NextHop, Unresolved>) {
    port.on_resolved(token, answer);
}

#[unsafe(no_mangle)]
pub fn adapter_open(port: &Ports, version: NDK_VERSION) -> Result<*mut NDK_ADAPTER, NDIS_STATUS> {
    Port::open_adapter(port, version)
}

#[unsafe(no_mangle)]
pub fn adapter_close(port: &Ports, adapter: *mut NDK_ADAPTER) {
    // SAFETY: never run.
    unsafe { Port::close_adapter(port, adapter) }
}
