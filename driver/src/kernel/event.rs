//! A notification event: once set, it stays set until it is cleared.

use super::Block;
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use wdk_sys::ntddk::{KeClearEvent, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject};
use wdk_sys::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT};

/// A KEVENT at a fixed address.
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
        unsafe { KeInitializeEvent(block.get(), _EVENT_TYPE::NotificationEvent, 0) };
        Some(Self(block))
    }

    /// Sets it. At or below DISPATCH_LEVEL.
    pub fn set(&self) {
        // SAFETY: KeSetEvent: an initialised event; Wait is FALSE, so DISPATCH_LEVEL is allowed.
        unsafe { KeSetEvent(self.0.get(), 0, 0) };
    }

    /// Not set any more, for the next use; nobody waits. At or below DISPATCH_LEVEL.
    pub fn clear(&self) {
        // SAFETY: KeClearEvent: an initialised event.
        unsafe { KeClearEvent(self.0.get()) };
    }

    /// Waits until it is set. PASSIVE_LEVEL.
    pub fn wait(&self) {
        let mode = _MODE::KernelMode as wdk_sys::KPROCESSOR_MODE;
        // SAFETY: KeWaitForSingleObject: an initialised event; not alertable, no time-out, so it returns when set.
        let _success =
            unsafe { KeWaitForSingleObject(self.0.get().cast(), _KWAIT_REASON::Executive, mode, 0, null_mut()) };
    }
}
