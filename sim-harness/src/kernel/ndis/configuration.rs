//! The registry as NDIS reads it: keys of adapters and of bindings.

use crate::kernel::export::Export;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Configuration;

impl Configuration {
    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn exports() -> Vec<Export> {
    Vec::new()
}
