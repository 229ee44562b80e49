//! Winsock Kernel, as far as it leads to NDK.

use crate::kernel::export::Export;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Wsk;

impl Wsk {
    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn exports() -> Vec<Export> {
    Vec::new()
}
