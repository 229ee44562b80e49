//! IP Helper: addresses, routes, neighbours, and notifications of changes.

use crate::kernel::export::Export;

/// See the module's text.
#[derive(Debug, Default)]
pub struct IpHelper;

impl IpHelper {
    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn exports() -> Vec<Export> {
    Vec::new()
}
