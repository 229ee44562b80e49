//! NETIO.SYS: the Network Module Registrar.

pub mod nmr;

use super::export::Export;

/// The state of NETIO.SYS on one machine.
#[derive(Debug, Default)]
pub struct Netio {
    /// The Network Module Registrar.
    pub nmr: nmr::Registrar,
}

impl Netio {
    /// What is left of a driver that has unloaded.
    pub fn leaks(&self) -> Vec<String> {
        self.nmr.leaks()
    }
}

/// Everything an image may import from NETIO.SYS.
pub fn exports() -> Vec<Export> {
    nmr::exports()
}
