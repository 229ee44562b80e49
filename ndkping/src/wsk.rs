//! The way to an NDK adapter: Winsock Kernel, its NDK extension, the adapter of an interface.

use crate::ndk::Adapter;
use core::cell::UnsafeCell;
use core::ptr::{NonNull, null_mut};
use ndk_types::{
    NDK_VERSION, NTSTATUS, STATUS_DEVICE_NOT_READY, STATUS_NOT_SUPPORTED, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI,
    WSK_PROVIDER_NDK_DISPATCH, WSK_PROVIDER_NPI, WSK_REGISTRATION, WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH,
    WskCaptureProviderNPI, WskDeregister, WskRegister, WskReleaseProviderNPI,
};
use wdk_sys::NT_SUCCESS;

/// WSK 1.0.
static CLIENT: WSK_CLIENT_DISPATCH = WSK_CLIENT_DISPATCH { Version: 0x100, Reserved: 0, WskClientEvent: None };
/// Milliseconds to wait for the subsystem, which is there long before most drivers.
const PATIENCE: u32 = 5_000;
/// NDKPI 1.2: everything this driver uses, on every Windows that has an NDK provider.
const VERSION: NDK_VERSION = NDK_VERSION { Major: 1, Minor: 2 };

/// A registration with WSK, at a fixed address.
pub struct Registration(UnsafeCell<WSK_REGISTRATION>);

// SAFETY: WSK synchronises what it does with the registration; this driver only passes its address.
unsafe impl Sync for Registration {}
// SAFETY: as above.
unsafe impl Send for Registration {}

impl Registration {
    /// Not registered.
    pub const fn unregistered() -> Self {
        let empty = WSK_REGISTRATION {
            ReservedRegistrationState: 0,
            ReservedRegistrationContext: null_mut(),
            ReservedRegistrationLock: 0,
        };
        Self(UnsafeCell::new(empty))
    }

    /// Registers. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// `self` stays where it is until [`Registration::deregister`].
    pub unsafe fn register(&self) -> Result<(), NTSTATUS> {
        let mut npi = WSK_CLIENT_NPI { ClientContext: null_mut(), Dispatch: &raw const CLIENT };
        // SAFETY: WskRegister: a client's interface, copied; the registration stays where it is.
        let status = unsafe { WskRegister(&raw mut npi, self.0.get()) };
        if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
    }

    /// Deregisters; waits until every capture is released. PASSIVE_LEVEL.
    pub fn deregister(&self) {
        // SAFETY: WskDeregister: registered, once.
        unsafe { WskDeregister(self.0.get()) };
    }

    /// Captures the subsystem and its NDK extension. PASSIVE_LEVEL.
    pub fn capture(&self) -> Result<Captured<'_>, NTSTATUS> {
        let mut npi = WSK_PROVIDER_NPI { Client: null_mut(), Dispatch: core::ptr::null() };
        // SAFETY: WskCaptureProviderNPI: a registration, a place for the interface, PASSIVE_LEVEL.
        let status = unsafe { WskCaptureProviderNPI(self.0.get(), PATIENCE, &raw mut npi) };
        if !NT_SUCCESS(status) {
            return Err(status);
        }
        // From here on it is released by drop.
        let none = WSK_PROVIDER_NDK_DISPATCH { WskOpenNdkAdapter: None, WskCloseNdkAdapter: None };
        let mut captured = Captured { registration: self, npi, ndk: none };
        captured.ndk = captured.extension()?;
        Ok(captured)
    }
}

/// The subsystem, held until drop. Dropped at PASSIVE_LEVEL, after every adapter is closed.
pub struct Captured<'a> {
    registration: &'a Registration,
    npi: WSK_PROVIDER_NPI,
    ndk: WSK_PROVIDER_NDK_DISPATCH,
}

impl Captured<'_> {
    fn extension(&self) -> Result<WSK_PROVIDER_NDK_DISPATCH, NTSTATUS> {
        let mut table = self.ndk;
        let (size, mut returned) = (size_of::<WSK_PROVIDER_NDK_DISPATCH>(), 0);
        let to = (&raw mut table).cast();
        // SAFETY: captured: the table is the subsystem's until it is released.
        let control = unsafe { (*self.npi.Dispatch).WskControlClient }.ok_or(STATUS_NOT_SUPPORTED)?;
        // SAFETY: WskControlClient: our client, no input, room for the table and its size, no IRP: completes inline.
        let status = unsafe {
            control(
                self.npi.Client,
                WSKNDK_GET_WSK_PROVIDER_NDK_DISPATCH,
                0,
                null_mut(),
                size,
                to,
                &raw mut returned,
                null_mut(),
            )
        };
        if NT_SUCCESS(status) { Ok(table) } else { Err(status) }
    }

    /// Opens the adapter of an interface. PASSIVE_LEVEL.
    pub fn open(&self, interface: u32) -> Result<Adapter, NTSTATUS> {
        let open = self.ndk.WskOpenNdkAdapter.ok_or(STATUS_NOT_SUPPORTED)?;
        let mut adapter = null_mut();
        // SAFETY: WskOpenNdkAdapter: our client, a place for the adapter, PASSIVE_LEVEL.
        let status = unsafe { open(self.npi.Client, VERSION, interface, &raw mut adapter) };
        if !NT_SUCCESS(status) {
            return Err(status);
        }
        NonNull::new(adapter).map(Adapter::new).ok_or(STATUS_DEVICE_NOT_READY)
    }

    /// Closes it: waits until everything under it is closed and every callback has returned. PASSIVE_LEVEL.
    pub fn close(&self, adapter: Adapter) {
        if let Some(close) = self.ndk.WskCloseNdkAdapter {
            // SAFETY: WskCloseNdkAdapter: opened with this client, closed once, PASSIVE_LEVEL.
            unsafe { close(self.npi.Client, adapter.into_raw()) };
        }
    }
}

impl Drop for Captured<'_> {
    fn drop(&mut self) {
        // SAFETY: WskReleaseProviderNPI: once for each capture.
        unsafe { WskReleaseProviderNPI(self.registration.0.get()) };
    }
}
