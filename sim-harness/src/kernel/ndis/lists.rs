//! NET_BUFFER_LISTs: pools, clones, and who holds which.

use crate::kernel::export::Export;
use ndk_types::NET_BUFFER_LIST;

/// A NET_BUFFER_LIST's address, to be passed around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nbl(pub *mut NET_BUFFER_LIST);

// SAFETY: an address; who may follow it is what `Lists` watches.
unsafe impl Send for Nbl {}
// SAFETY: as above.
unsafe impl Sync for Nbl {}

/// Who may touch a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The driver under test.
    Driver,
    /// The simulated NIC.
    Nic,
    /// The simulated protocol above the virtual miniport.
    Above,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Lists;

impl Lists {
    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn exports() -> Vec<Export> {
    Vec::new()
}
