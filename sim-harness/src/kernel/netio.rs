//! NETIO.SYS: the Network Module Registrar, IP Helper, Winsock Kernel.

pub mod ip_helper;
pub mod nmr;
pub mod wsk;

use super::export::Export;

/// The state of NETIO.SYS on one machine.
#[derive(Debug, Default)]
pub struct Netio {
    /// The Network Module Registrar.
    pub nmr: nmr::Registrar,
    /// IP Helper.
    pub ip_helper: ip_helper::IpHelper,
    /// Winsock Kernel.
    pub wsk: wsk::Wsk,
}

impl Netio {
    /// What is left of a driver that has unloaded.
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = self.nmr.leaks();
        leaks.extend(self.ip_helper.leaks());
        leaks.extend(self.wsk.leaks());
        leaks
    }
}

/// Everything an image may import from NETIO.SYS.
pub fn exports() -> Vec<Export> {
    let mut all = nmr::exports();
    all.extend(ip_helper::exports());
    all.extend(wsk::exports());
    all
}
