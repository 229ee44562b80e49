//! The drivers around the one under test, which are part of the simulator: the NIC below its protocol edge, and the protocol
//! above its virtual miniport. NDIS calls them; what they call is in `adapters` and `data_path`.

use super::lists::Nbl;
use crate::kernel::Machine;
use ndk_types::{NDIS_OID_REQUEST, NDIS_STATUS};
use std::sync::Arc;

/// What a NIC says about itself: what NDIS puts into NDIS_BIND_PARAMETERS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicAttributes {
    /// Its device name, as bindings name it: `\DEVICE\{GUID}`.
    pub name: String,
    /// NET_LUID.Value.
    pub luid: u64,
    /// Its interface index.
    pub index: u32,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The largest IP packet.
    pub mtu: u32,
    /// Bits per second, both ways.
    pub speed: u64,
    /// Whether the link is up.
    pub connected: bool,
    /// NDIS_PACKET_TYPE_* that it knows.
    pub packet_filters: u32,
    /// The longest multicast list.
    pub max_multicast: u32,
    /// NDIS_MAC_OPTION_*.
    pub mac_options: u32,
    /// Whether it can spread receives (W-24).
    pub rss: bool,
    /// NDIS_MEDIUM; 0 is Ethernet.
    pub medium: i32,
}

/// A NIC's miniport driver. Calls come at or below DISPATCH_LEVEL with no lock of NDIS held.
pub trait Nic: Send + Sync {
    /// What it says about itself now.
    fn attributes(&self) -> NicAttributes;

    /// Lists to send, in order; each is the NIC's until [`super::data_path::nic_send_complete`], which may come from inside this.
    fn send(&self, machine: &Arc<Machine>, lists: Vec<Nbl>);

    /// Cancels what was not sent yet and carries this id: completes it with NDIS_STATUS_SEND_ABORTED.
    fn cancel_send(&self, machine: &Arc<Machine>, id: usize);

    /// Lists that it indicated are its own again.
    fn returned(&self, machine: &Arc<Machine>, lists: Vec<Nbl>);

    /// A regular request, one at a time. NDIS_STATUS_PENDING: [`super::oids::nic_oid_complete`] follows.
    fn oid(&self, machine: &Arc<Machine>, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;

    /// Nothing may be indicated, and nothing will be sent, until `restart`. True when everything it indicated is back;
    /// else it calls [`super::data_path::nic_pause_complete`] when that is so.
    fn pause(&self, machine: &Arc<Machine>) -> bool;

    /// Frames go again.
    fn restart(&self, machine: &Arc<Machine>);
}

/// A protocol driver bound to the virtual miniport. Calls come at or below DISPATCH_LEVEL with no lock of NDIS held.
pub trait ProtocolAbove: Send + Sync {
    /// It is bound to an instance, which runs and says this of itself. PASSIVE_LEVEL.
    fn bound(&self, machine: &Arc<Machine>, instance: usize, adapter: &NicAttributes);

    /// The instance goes: nothing may be sent to it, and what it indicated is given back before this returns. PASSIVE_LEVEL.
    fn unbound(&self, machine: &Arc<Machine>, instance: usize);

    /// Lists arrived. With `resources` they must be let go before this returns; else they are the protocol's until
    /// [`super::data_path::protocol_return`].
    fn received(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool);

    /// Lists it sent are its own again, each with its Status.
    fn sent(&self, machine: &Arc<Machine>, lists: Vec<Nbl>);

    /// A status indication: its code, and its buffer.
    fn status(&self, machine: &Arc<Machine>, code: NDIS_STATUS, buffer: &[u8]);

    /// NetEventNDKEnable or NetEventNDKDisable (PASSIVE_LEVEL). NDIS waits, when this returns, until the interface has no
    /// NDK_ADAPTER open after a disable.
    fn ndk_changed(&self, machine: &Arc<Machine>, enabled: bool);
}
