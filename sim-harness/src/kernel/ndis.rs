//! NDIS.SYS on one machine: registration of both edges, configuration, NET_BUFFER_LISTs, adapters and bindings, OIDs, the data
//! path, work items. What a page asks of a driver and a simulation can see is held against the driver.

pub mod adapters;
pub mod attributes;
pub mod bindings;
pub mod configuration;
pub mod data_path;
pub mod lists;
pub mod miniports;
pub mod native;
pub mod oids;
pub mod pnp;
mod processors;
mod registration;
#[cfg(test)]
mod tests;
pub mod work_items;

use super::export::Export;
use registration::Registrations;

/// The state of NDIS on one machine.
#[derive(Debug, Default)]
pub struct Ndis {
    registrations: Registrations,
    /// NICs, bindings, devices, instances.
    pub adapters: adapters::Adapters,
    /// The keys that NdisReadConfiguration reads.
    pub configuration: configuration::Configuration,
    /// Every NET_BUFFER_LIST, and who holds it.
    pub lists: lists::Lists,
    work_items: work_items::WorkItems,
}

impl Ndis {
    /// What drivers left behind.
    pub fn leaks(&self) -> Vec<String> {
        let mut leaks = self.registrations.leaks();
        leaks.extend(self.adapters.leaks());
        leaks.extend(self.configuration.leaks());
        leaks.extend(self.lists.leaks());
        leaks.extend(self.work_items.leaks());
        leaks
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
pub fn exports() -> Vec<Export> {
    let mut all: Vec<_> = registration::exports().into_iter().collect();
    all.extend(bindings::exports());
    all.extend(attributes::exports());
    all.extend(miniports::exports());
    all.extend(oids::exports());
    all.extend(pnp::exports());
    all.extend(processors::exports());
    all.extend(data_path::exports());
    all.extend(configuration::exports());
    all.extend(lists::exports());
    all.extend(work_items::exports());
    all
}
