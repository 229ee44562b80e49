//! A kernel event that one thread waits for.

use super::Block;
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use wdk_sys::ntddk::{KeInitializeEvent, KeSetEvent, KeWaitForSingleObject};
use wdk_sys::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, KPROCESSOR_MODE, LARGE_INTEGER, LONGLONG, STATUS_TIMEOUT};

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The event was set.
    Set,
    /// The time is over.
    Timeout,
}

/// A KEVENT at a fixed address; a wait that it ends takes it back.
pub struct Event(Block<UnsafeCell<KEVENT>>);

// SAFETY: a KEVENT is made to be used from many threads; every access goes through Ke functions.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// Not set. `None` without memory. At or below DISPATCH_LEVEL.
    pub fn try_new() -> Option<Self> {
        let block = Block::try_new(UnsafeCell::new(KEVENT::default()))?;
        // SAFETY: KeInitializeEvent: resident storage that nobody else knows yet.
        unsafe { KeInitializeEvent(block.get(), _EVENT_TYPE::SynchronizationEvent, 0) };
        Some(Self(block))
    }

    /// Sets it. At or below DISPATCH_LEVEL.
    pub fn set(&self) {
        // SAFETY: KeSetEvent: an initialised event; Wait is FALSE, so DISPATCH_LEVEL is allowed.
        unsafe { KeSetEvent(self.0.get(), 0, 0) };
    }

    /// Waits until it is set, `milliseconds` at most; 0 is for ever. PASSIVE_LEVEL.
    pub fn wait(&self, milliseconds: u32) -> Woken {
        // Relative times are negative, in units of 100 ns.
        let mut after = LARGE_INTEGER { QuadPart: LONGLONG::from(milliseconds).wrapping_mul(-10_000) };
        let timeout = if milliseconds == 0 { null_mut() } else { &raw mut after };
        let mode = _MODE::KernelMode as KPROCESSOR_MODE;
        // SAFETY: KeWaitForSingleObject: an initialised event, not alertable, a valid time or none.
        let status = unsafe { KeWaitForSingleObject(self.0.get().cast(), _KWAIT_REASON::Executive, mode, 0, timeout) };
        if status == STATUS_TIMEOUT { Woken::Timeout } else { Woken::Set }
    }
}
