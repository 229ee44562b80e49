//! A value under a kernel spin lock, and an event that ends a wait. Both live where they were made until dropped.

use core::cell::UnsafeCell;
use wdk_sys::ntddk::{
    KeAcquireSpinLockRaiseToDpc, KeInitializeEvent, KeReleaseSpinLock, KeSetEvent, KeWaitForSingleObject,
};
use wdk_sys::{KEVENT, KSPIN_LOCK};

/// A value that one processor at a time reaches, at DISPATCH_LEVEL.
pub struct Guarded<T> {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: `with` is the only way to the value, and the lock lets one thread in at a time.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    /// A spin lock's initial state is zero (KeInitializeSpinLock), so a static can hold one.
    pub const fn new(value: T) -> Self {
        Self { lock: UnsafeCell::new(0), value: UnsafeCell::new(value) }
    }

    /// Runs `body` alone with the value; at or below DISPATCH_LEVEL. `body` calls nothing that could come back here.
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock is initialised storage that lives as long as `self`; IRQL is the caller's promise.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: the lock is held, so no other reference to the value exists.
        let value = unsafe { &mut *self.value.get() };
        let result = body(value);
        // SAFETY: taken above by this thread, with the IRQL it was taken at.
        unsafe { KeReleaseSpinLock(self.lock.get(), irql) };
        result
    }
}

/// Something that happens once: set at or below DISPATCH_LEVEL, waited for at PASSIVE_LEVEL.
pub struct Happening(UnsafeCell<KEVENT>);

// SAFETY: a KEVENT is made to be used by several threads through the kernel's functions, which are all we call.
unsafe impl Sync for Happening {}
// SAFETY: as above; it is moved only before `arm`.
unsafe impl Send for Happening {}

impl Happening {
    /// Not usable before `arm`.
    pub fn new() -> Self {
        // SAFETY: a KEVENT is integers and pointers, for which zero is a value; `arm` gives it meaning.
        Self(UnsafeCell::new(unsafe { core::mem::zeroed() }))
    }

    /// Initialises the event in its final place, not set.
    pub fn arm(&self) {
        // SAFETY: storage of the event's size and alignment that nobody waits for yet.
        unsafe { KeInitializeEvent(self.0.get(), wdk_sys::_EVENT_TYPE::NotificationEvent, 0) };
    }

    /// It has happened.
    pub fn set(&self) {
        // SAFETY: armed by contract; at or below DISPATCH_LEVEL with Wait FALSE.
        unsafe { KeSetEvent(self.0.get(), 0, 0) };
    }

    /// Waits until it has happened; PASSIVE_LEVEL.
    pub fn wait(&self) {
        // SAFETY: armed; no time-out; kernel mode, not alertable.
        unsafe {
            KeWaitForSingleObject(
                self.0.get().cast(),
                wdk_sys::_KWAIT_REASON::Executive,
                wdk_sys::_MODE::KernelMode as i8,
                0,
                core::ptr::null_mut(),
            )
        };
    }
}
