//! What there is between the drivers: NICs, bindings to them, virtual devices and the miniport instances over them.
//!
//! Handles are numbers that are no addresses. The state is behind one lock that is never held while a driver is called; the
//! modules beside this one change it.

use super::native::{Nic, ProtocolAbove};
use crate::kernel::Machine;
use ndk_types::{NDIS_HANDLE, NDIS_OID};
use std::collections::{BTreeMap, VecDeque};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// How far an edge is: the states NDIS documents for miniport adapters and for bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// No traffic: after the open, or after a pause.
    Paused,
    /// Everything goes.
    Running,
    /// A pause was asked for, and is not complete.
    Pausing,
    /// Being closed or halted.
    Gone,
}

/// A NIC below.
pub(super) struct Lower {
    pub(super) nic: Arc<dyn Nic>,
    /// The binding of the driver under test.
    pub(super) binding: Option<usize>,
    /// A pause of it is over.
    pub(super) paused: bool,
    /// Somebody unbinds what is bound to it.
    pub(super) leaving: bool,
}

/// A binding of the driver's protocol to a NIC.
pub(super) struct Binding {
    pub(super) nic: usize,
    /// ProtocolBindingContext, as an exposed address.
    pub(super) context: usize,
    pub(super) edge: Edge,
    /// NetEventSetPower to a low-power state is complete.
    pub(super) asleep: bool,
    /// Lists of the driver that the NIC has.
    pub(super) sends: usize,
    /// Lists of the NIC that the driver has.
    pub(super) indicated: usize,
    /// Requests to the NIC as exposed addresses; the first is with it.
    pub(super) requests: VecDeque<usize>,
    /// NetEventPause under way, as an exposed address.
    pub(super) pausing: Option<usize>,
    pub(super) pause_complete: bool,
    pub(super) closed: bool,
}

/// A virtual device, as PnP made it: root-enumerated (W-01).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name, as UpperBindings says it: `\DEVICE\{GUID}`.
    pub name: String,
    /// NET_LUID.Value.
    pub luid: u64,
    /// Its interface index.
    pub index: u32,
    /// The registry key of its keywords.
    pub key: String,
    /// Whether it was started: before that an initialisation waits.
    pub started: bool,
}

/// A request the driver has: the regular ones come one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) oid: NDIS_OID,
    pub(super) address: usize,
    pub(super) status: Option<i32>,
    /// The thread that is in the handler; `None` once that answered NDIS_STATUS_PENDING.
    pub(super) inside: Option<ThreadId>,
}

impl Asked {
    /// A request that this thread is about to give to the handler.
    pub(super) fn now(oid: NDIS_OID, address: usize) -> Self {
        Self { oid, address, status: None, inside: Some(std::thread::current().id()) }
    }

    /// NdisMNetPnPEvent's page: the event is not sent by the request's own handler, nor while the request pends. A handler that
    /// is busy on another thread, and will answer in its own time, does not count.
    pub(super) fn forbids_events(&self) -> bool {
        self.status.is_none() && self.inside.is_none_or(|thread| thread == std::thread::current().id())
    }
}

/// A miniport instance over a virtual device.
pub(super) struct Miniport {
    pub(super) device: Device,
    /// MiniportAdapterContext, as an exposed address; 0 before the registration attributes.
    pub(super) context: usize,
    pub(super) seen: super::attributes::Attributes,
    pub(super) initialised: bool,
    pub(super) edge: Edge,
    /// OID_PNP_SET_POWER to a low-power state is complete.
    pub(super) asleep: bool,
    /// Lists of the protocol above that the driver has.
    pub(super) sends: usize,
    /// Lists of the driver that the protocol above has.
    pub(super) indicated: usize,
    pub(super) regular: Option<Asked>,
    pub(super) above: Option<Arc<dyn ProtocolAbove>>,
    /// Somebody halts it.
    pub(super) halting: bool,
    pub(super) ndk_enabled: bool,
    /// NDK_ADAPTERs that are open, as exposed addresses.
    pub(super) ndk_open: Vec<usize>,
}

/// What may be chosen where the pages leave it open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// NdisOpenAdapterEx answers NDIS_STATUS_PENDING.
    pub open_pends: bool,
    /// NdisCloseAdapterEx answers NDIS_STATUS_PENDING.
    pub close_pends: bool,
    /// NICs are offered inside NdisRegisterProtocolDriver rather than soon after.
    pub bind_at_once: bool,
    /// MiniportInitializeEx is called after NdisIMInitializeDeviceInstanceEx has returned.
    pub initialise_later: bool,
}

/// A bind that is being offered.
pub(super) struct Offer {
    /// The handle of what is offered.
    pub(super) nic: usize,
    pub(super) binding: Option<usize>,
    pub(super) completed: Option<i32>,
}

#[derive(Default)]
pub(super) struct State {
    last: usize,
    pub(super) choices: Choices,
    pub(super) nics: BTreeMap<usize, Lower>,
    pub(super) bindings: BTreeMap<usize, Binding>,
    pub(super) devices: Vec<Device>,
    pub(super) miniports: BTreeMap<usize, Miniport>,
    /// Names whose initialisation was asked for and has not begun, with their device context.
    pub(super) waiting: Vec<(String, usize)>,
    pub(super) offers: BTreeMap<usize, Offer>,
    pub(super) unbinds: BTreeMap<usize, bool>,
    pub(super) above: Option<Arc<dyn ProtocolAbove>>,
    /// Calls of the driver's handlers that are under way, by the binding or instance they are for.
    users: BTreeMap<usize, usize>,
}

/// A call of one of the driver's handlers that is under way. What it is for is not closed or halted before it has returned.
pub(super) struct Using {
    machine: Arc<Machine>,
    handle: usize,
    /// The context that the handler is called with.
    pub(super) own: NDIS_HANDLE,
}

impl Using {
    /// Begins a call for a binding or an instance; `own` says with which context, or that there is none to be made.
    pub(super) fn begin(
        machine: &Arc<Machine>,
        handle: usize,
        own: impl FnOnce(&mut State) -> Option<usize>,
    ) -> Option<Self> {
        let mut state = machine.adapters();
        let own = context(own(&mut state)?);
        *state.users.entry(handle).or_default() += 1;
        Some(Self { machine: machine.clone(), handle, own })
    }

    /// Returns when no call for a binding or an instance is under way any more. One that runs on this thread alone cannot be, so
    /// where one thread runs at a time nobody waits.
    pub(super) fn wait_for_all(machine: &Arc<Machine>, handle: usize, what: &str) {
        if machine.processors().is_some() {
            let watched = machine.clone();
            machine.wait(what, None, move || !watched.adapters().users.contains_key(&handle));
        }
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        let mut state = self.machine.adapters();
        if let Some(users) = state.users.get_mut(&self.handle) {
            *users -= 1;
            if *users == 0 {
                state.users.remove(&self.handle);
            }
        }
        drop(state);
        self.machine.sched.note();
    }
}

impl State {
    /// A new handle.
    pub(super) fn handle(&mut self, kind: usize) -> usize {
        self.last += 1;
        kind + self.last
    }

    /// The instance with this interface index.
    pub(super) fn at_index(&self, index: u32) -> Option<usize> {
        self.miniports.iter().find(|(_, miniport)| miniport.device.index == index).map(|(&handle, _)| handle)
    }
}

/// Kinds of handles.
pub(super) const NIC: usize = 0x4e49_0000_0000;
pub(super) const BINDING: usize = 0x4249_0000_0000;
pub(super) const INSTANCE: usize = 0x494e_0000_0000;
pub(super) const OPERATION: usize = 0x4f50_0000_0000;

/// See the module's text.
#[derive(Default)]
pub struct Adapters(Mutex<State>);

impl std::fmt::Debug for Adapters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Adapters").field("leaks", &self.leaks()).finish()
    }
}

impl Adapters {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what the pages leave open.
    pub fn choose(&self, choices: Choices) {
        self.state().choices = choices;
    }

    /// The protocol that binds to every virtual miniport from now on.
    pub fn set_above(&self, above: Arc<dyn ProtocolAbove>) {
        self.state().above = Some(above);
    }

    /// What a driver left behind.
    pub fn leaks(&self) -> Vec<String> {
        let state = self.state();
        let bindings = state.bindings.iter().map(|(handle, binding)| {
            format!(
                "an open binding {handle:#x} with {} lists below and {} indicated",
                binding.sends, binding.indicated
            )
        });
        let miniports =
            state.miniports.values().map(|miniport| format!("a miniport instance {}", miniport.device.name));
        let waiting =
            state.waiting.iter().map(|(name, _)| format!("an initialisation of {name} that was never cancelled"));
        bindings.chain(miniports).chain(waiting).collect()
    }

    /// The handles of the instances that are initialised.
    pub fn instances(&self) -> Vec<usize> {
        let state = self.state();
        state.miniports.iter().filter(|(_, miniport)| miniport.initialised).map(|(&handle, _)| handle).collect()
    }

    /// How far an instance is.
    pub fn edge(&self, instance: usize) -> Option<Edge> {
        self.state().miniports.get(&instance).map(|miniport| miniport.edge)
    }

    /// The binding of the driver to a NIC.
    pub fn binding_of(&self, nic: usize) -> Option<usize> {
        self.state().nics.get(&nic).and_then(|lower| lower.binding)
    }

    /// How far a binding is.
    pub fn binding_edge(&self, binding: usize) -> Option<Edge> {
        self.state().bindings.get(&binding).map(|binding| binding.edge)
    }
}

/// A handle as drivers have it.
pub(super) const fn handle(number: usize) -> NDIS_HANDLE {
    ptr::without_provenance_mut(number)
}

/// A driver's context, from its exposed address.
pub(super) fn context(address: usize) -> NDIS_HANDLE {
    ptr::with_exposed_provenance_mut(address)
}

impl Machine {
    pub(super) fn adapters(&self) -> MutexGuard<'_, State> {
        self.ndis.adapters.state()
    }
}

impl Miniport {
    /// An instance that is being initialised over a device.
    pub(super) fn new(device: Device) -> Self {
        Self {
            device,
            context: 0,
            seen: super::attributes::Attributes::default(),
            initialised: false,
            edge: Edge::Paused,
            asleep: false,
            sends: 0,
            indicated: 0,
            regular: None,
            above: None,
            halting: false,
            ndk_enabled: false,
            ndk_open: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    /// OID-06, OID-07, broken: an event from inside the handler, or while the request pends.
    #[test]
    fn a_request_forbids_events_of_its_own_handler_and_while_it_pends() {
        let asked = Asked::now(1, 2);
        let pends = Asked { inside: None, ..asked };
        assert!(asked.forbids_events() && pends.forbids_events());
        assert!(!Asked { status: Some(0), ..pends }.forbids_events());
        let elsewhere = std::thread::spawn(move || (asked.forbids_events(), pends.forbids_events()));
        assert_eq!(elsewhere.join().unwrap(), (false, true));
    }
}
