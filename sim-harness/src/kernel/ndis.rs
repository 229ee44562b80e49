//! NDIS.SYS: what is there of it. Drivers register and deregister both edges here, and what they hand over is held against its
//! pages. Adapters, bindings and the data path are not there yet: an import of those ends the run with its name when it is
//! called.

mod registration;

use super::export::Export;
use registration::Registrations;

/// The state of NDIS on one machine.
#[derive(Debug, Default)]
pub struct Ndis {
    registrations: Registrations,
}

impl Ndis {
    /// What drivers left registered.
    pub fn leaks(&self) -> Vec<String> {
        self.registrations.leaks()
    }

    /// Whether an intermediate driver is registered with both edges, and both belong together (W-01).
    pub fn is_intermediate(&self) -> bool {
        self.registrations.is_intermediate()
    }

    /// Whether the registered miniport is an NDK provider (REG-01).
    pub fn is_ndk_provider(&self) -> bool {
        self.registrations.ndk().is_some()
    }
}

/// What is there of NDIS.SYS.
pub fn exports() -> impl IntoIterator<Item = Export> {
    registration::exports()
}
