//! Work items of NDIS.

use crate::kernel::export::Export;

/// See the module's text.
#[derive(Debug, Default)]
pub struct WorkItems;

impl WorkItems {
    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn exports() -> Vec<Export> {
    Vec::new()
}
