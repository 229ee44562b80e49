//! The TCP/IP driver of a simulated machine: a real stack bound above the virtual miniport, which also asks for neighbours on
//! behalf of IP Helper, with frames that cross the driver like all others.

use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::kernel::ndis::data_path::{protocol_return, protocol_send};
use crate::kernel::ndis::lists::{Holder, Nbl};
use crate::kernel::ndis::native::{NicAttributes, ProtocolAbove};
use crate::kernel::ndis::{oids, pnp};
use crate::kernel::netio::ip_helper::{Interface, Resolver, frames};
use crate::tcpip::Stack;
use ndk_types::*;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The packet filter that TCP/IP sets.
const FILTER: u32 = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_MULTICAST | NDIS_PACKET_TYPE_BROADCAST;

/// What TCP/IP saw happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Frames that came up.
    pub received: u64,
    /// Frames that were sent and completed with success.
    pub sent: u64,
    /// Frames that were completed with another status.
    pub failed: u64,
    /// Status indications.
    pub statuses: u64,
    /// Whether the link is up, as it was told last.
    pub connected: bool,
    /// The MTU it was told last.
    pub mtu: u32,
    /// NetEventNDKEnable and NetEventNDKDisable, counted.
    pub ndk_events: u64,
    /// Whether NDK is on, as it was told last.
    pub ndk: bool,
}

struct State {
    stack: Option<Stack>,
    bound: Option<(usize, NicAttributes)>,
    /// Frames to send at the next moment that allows it.
    outgoing: Vec<Vec<u8>>,
    /// Lists that are kept, to be returned at [`TcpIp::release`].
    kept: Vec<Nbl>,
    keep: bool,
    seen: Seen,
}

/// See the module's text.
pub struct TcpIp {
    addresses: Vec<(IpAddr, u8)>,
    seed: u64,
    own: Weak<Self>,
    state: Mutex<State>,
}

impl TcpIp {
    /// TCP/IP with these addresses, once it is bound.
    pub fn new(addresses: Vec<(IpAddr, u8)>, seed: u64) -> Arc<Self> {
        let state = State {
            stack: None,
            bound: None,
            outgoing: Vec::new(),
            kept: Vec::new(),
            keep: false,
            seen: Seen::default(),
        };
        Arc::new_cyclic(|own| Self { addresses, seed, own: own.clone(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|(address, _)| *address).collect()
    }

    /// The instance it is bound to.
    pub fn instance(&self) -> Option<usize> {
        self.state().bound.as_ref().map(|(instance, _)| *instance)
    }

    /// What it was told of the instance when it was bound.
    pub fn adapter(&self) -> Option<NicAttributes> {
        self.state().bound.as_ref().map(|(_, adapter)| adapter.clone())
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.state().seen
    }

    /// Uses the stack; `None` while it is not bound.
    pub fn with<R>(&self, f: impl FnOnce(&mut Stack) -> R) -> Option<R> {
        self.state().stack.as_mut().map(f)
    }

    /// From now on it keeps what it receives.
    pub fn keep_lists(&self) {
        self.state().keep = true;
    }

    /// Gives back what it kept, and keeps nothing more.
    pub fn release(&self, machine: &Arc<Machine>) {
        let (instance, kept) = {
            let mut state = self.state();
            state.keep = false;
            (state.bound.as_ref().map(|(instance, _)| *instance), std::mem::take(&mut state.kept))
        };
        if let Some(instance) = instance.filter(|_| !kept.is_empty()) {
            machine.enter(|| irql::at(Irql::Dispatch, || protocol_return(machine, instance, &kept)));
        }
    }

    /// Lets the stack do what is due, and sends what it has to send.
    pub fn poll(&self, machine: &Arc<Machine>) {
        for _ in 0..64 {
            let (instance, frames) = {
                let mut state = self.state();
                let mut frames = std::mem::take(&mut state.outgoing);
                if let Some(stack) = &mut state.stack {
                    frames.extend(stack.poll(machine.now()));
                }
                (state.bound.as_ref().map(|(instance, _)| *instance), frames)
            };
            let Some(instance) = instance.filter(|_| !frames.is_empty()) else { return };
            machine.enter(|| irql::at(Irql::Dispatch, || send(machine, instance, &frames)));
        }
    }

    /// When [`Self::poll`] has something to do, in virtual nanoseconds.
    pub fn wake_at(&self, machine: &Machine) -> Option<u64> {
        let mut state = self.state();
        if !state.outgoing.is_empty() {
            return Some(machine.now());
        }
        state.stack.as_mut()?.wake_at(machine.now())
    }

    /// A frame as it came up: to the stack, and to IP Helper when it answers for a neighbour.
    fn take(&self, machine: &Arc<Machine>, frame: Vec<u8>) {
        let luid = self.state().bound.as_ref().map(|(_, adapter)| adapter.luid);
        if let (Some((address, mac)), Some(luid)) = (frames::parse_answer(&frame), luid) {
            machine.netio.ip_helper.learned(machine, luid, address, mac);
        }
        let mut state = self.state();
        state.seen.received += 1;
        if let Some(stack) = &mut state.stack {
            stack.deliver(frame);
        }
    }
}

/// Sends frames, a list each, in one chain.
fn send(machine: &Arc<Machine>, instance: usize, frames: &[Vec<u8>]) {
    let build = |frame: &Vec<u8>| machine.ndis.lists.build(machine, Holder::Above, &[frame], 0);
    let lists: Vec<Nbl> = frames.iter().filter_map(build).collect();
    if !lists.is_empty() {
        protocol_send(machine, instance, &lists, NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK);
    }
}

impl ProtocolAbove for TcpIp {
    fn bound(&self, machine: &Arc<Machine>, instance: usize, adapter: &NicAttributes) {
        {
            let mut state = self.state();
            state.stack = Some(Stack::new(adapter.mac, &self.addresses, adapter.mtu as usize, self.seed));
            state.bound = Some((instance, adapter.clone()));
            (state.seen.connected, state.seen.mtu) = (adapter.connected, adapter.mtu);
            // NDKEnabled of the bind parameters (PNP-15).
            state.seen.ndk = pnp::is_ndk_enabled(machine, instance);
        }
        let ip = &machine.netio.ip_helper;
        ip.add_interface(Interface {
            luid: adapter.luid,
            index: adapter.index,
            alias: format!("RDMA {}", adapter.index),
            mtu: adapter.mtu,
            mac: adapter.mac,
        });
        ip.set_up(adapter.luid, adapter.connected);
        if let Some(own) = self.own.upgrade() {
            ip.resolver(adapter.luid, own);
        }
        for &(address, prefix) in &self.addresses {
            ip.add_address(adapter.luid, address, prefix, IpDadStatePreferred);
        }
        oids::request(
            machine,
            instance,
            NdisRequestSetInformation,
            OID_GEN_CURRENT_PACKET_FILTER,
            &FILTER.to_ne_bytes(),
        );
        let lookahead = adapter.mtu.to_ne_bytes();
        oids::request(machine, instance, NdisRequestSetInformation, OID_GEN_CURRENT_LOOKAHEAD, &lookahead);
        let groups = self.groups();
        oids::request(machine, instance, NdisRequestSetInformation, OID_802_3_MULTICAST_LIST, &groups);
    }

    fn unbound(&self, machine: &Arc<Machine>, _instance: usize) {
        self.release(machine);
        let gone = {
            let mut state = self.state();
            state.stack = None;
            state.outgoing.clear();
            state.bound.take()
        };
        if let Some((_, adapter)) = gone {
            machine.netio.ip_helper.remove_interface(adapter.luid);
        }
    }

    fn received(&self, machine: &Arc<Machine>, lists: Vec<Nbl>, resources: bool) {
        let instance = self.instance();
        for &list in &lists {
            for frame in machine.ndis.lists.frames(list) {
                self.take(machine, frame);
            }
        }
        if resources {
            return;
        }
        if self.state().keep {
            self.state().kept.extend(lists);
        } else if let Some(instance) = instance {
            protocol_return(machine, instance, &lists);
        }
    }

    fn sent(&self, machine: &Arc<Machine>, lists: Vec<Nbl>) {
        for list in lists {
            // SAFETY: a list of ours, complete.
            let good = unsafe { (*list.0).Status } == NDIS_STATUS_SUCCESS;
            {
                let mut state = self.state();
                *(if good { &mut state.seen.sent } else { &mut state.seen.failed }) += 1;
            }
            machine.ndis.lists.destroy(machine, list);
        }
    }

    fn status(&self, machine: &Arc<Machine>, code: NDIS_STATUS, buffer: &[u8]) {
        let luid = self.adapter().map(|adapter| adapter.luid);
        let mut state = self.state();
        state.seen.statuses += 1;
        let word = |at: usize| buffer.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
        if code == NDIS_STATUS_LINK_STATE {
            let connected = std::mem::offset_of!(NDIS_LINK_STATE, MediaConnectState);
            let up = word(connected) == Some(MediaConnectStateConnected.cast_unsigned());
            state.seen.connected = up;
            drop(state);
            if let Some(luid) = luid {
                machine.netio.ip_helper.set_up(luid, up);
            }
        } else if code == NDIS_STATUS_L2_MTU_SIZE_CHANGE {
            let mtu = word(0).unwrap_or(0);
            state.seen.mtu = mtu;
            drop(state);
            if let Some(luid) = luid {
                machine.netio.ip_helper.set_mtu(luid, mtu);
            }
        }
    }

    fn ndk_changed(&self, _machine: &Arc<Machine>, enabled: bool) {
        let mut state = self.state();
        state.seen.ndk_events += 1;
        state.seen.ndk = enabled;
    }
}

impl TcpIp {
    /// The multicast MAC addresses of its own addresses: all nodes, and each solicited node.
    fn groups(&self) -> Vec<u8> {
        let mut groups = vec![0x33, 0x33, 0, 0, 0, 1];
        for (address, _) in &self.addresses {
            if let IpAddr::V6(address) = address {
                groups.extend([0x33, 0x33, 0xff]);
                groups.extend(&address.octets()[13..]);
            }
        }
        groups
    }
}

impl Resolver for TcpIp {
    fn solicit(&self, _machine: &Arc<Machine>, source: IpAddr, target: IpAddr) {
        let mut state = self.state();
        let Some(mac) = state.bound.as_ref().map(|(_, adapter)| adapter.mac) else { return };
        match (source, target) {
            (IpAddr::V4(source), IpAddr::V4(target)) => state.outgoing.push(frames::arp_request(mac, source, target)),
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                state.outgoing.push(frames::neighbour_solicitation(mac, source, target));
            }
            _ => {}
        }
    }
}
