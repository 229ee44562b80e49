//! A value under a kernel spin lock.

use core::cell::UnsafeCell;
use wdk_sys::KSPIN_LOCK;
use wdk_sys::ntddk::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock};

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
