//! Winsock Kernel, as far as it leads to NDK: an application registers, captures the subsystem's NPI, and asks it for the
//! extension that opens NDK_ADAPTERs (OQ-48). There are no sockets and no name service.
//!
//! * `registration`: WskRegister and what goes with it.
//! * `subsystem`: the provider that registrations are attached to, and its dispatch table.
//! * `ndk`: the table that WskControlClient('NDKD') gives.
//! * `consumer`: an application of the simulator's own.
//!
//! A broken rule of the WSK pages is the violation `wsk`.

pub mod consumer;
pub mod ndk;
mod registration;
mod subsystem;

pub use ndk::NdkDoor;
pub use subsystem::{NPI_WSK_INTERFACE_ID, start, stop};

use super::nmr;
use crate::kernel::export::Export;
use std::sync::Arc;

/// Winsock Kernel on one machine.
#[derive(Default)]
pub struct Wsk {
    registrations: registration::Registrations,
    subsystem: subsystem::Subsystem,
    ndk: ndk::Ndk,
}

impl std::fmt::Debug for Wsk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wsk")
    }
}

impl Wsk {
    /// Puts somebody else in NDIS's place, who opens NDK_ADAPTERs.
    pub fn set_door(&self, door: Arc<dyn NdkDoor>) {
        self.ndk.set_door(door);
    }

    /// What a driver left behind: its registrations, and any NDK_ADAPTER that is open, whoever opened it.
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = self.ndk.leaks();
        leaks.extend(self.registrations.leaks());
        leaks
    }
}

/// A structure of the kernel's own that is registered for good.
struct Resident<T>(T);

// SAFETY: never written to; its pointers lead to statics.
unsafe impl<T> Sync for Resident<T> {}

/// What an image may import of WSK, and what it finds in dispatch tables.
pub(super) fn exports() -> Vec<Export> {
    let mut all = registration::exports();
    all.extend(subsystem::exports());
    all.extend(ndk::exports());
    all
}

#[cfg(test)]
mod tests;
