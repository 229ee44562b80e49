//! WSK's extension for NDK (wskndk.h): WskOpenNdkAdapter and WskCloseNdkAdapter, and who has which NDK_ADAPTER open.
//!
//! What opens is behind a door: NDIS, or whoever a test puts in its place. What a provider hands out is looked at here, once, as the page of
//! OPEN_NDK_ADAPTER_HANDLER describes it: of the major version asked for, with the highest minor there is (ADP-03), and an
//! instance of its own for every open (ADP-07).

use super::subsystem::{during, gate, slot};
use crate::kernel::Machine;
use crate::kernel::contract;
use crate::kernel::export::Export;
use crate::kernel::ndis::pnp;
use crate::kernel::stack::{self, Gate};
use ndk_types::{
    NDK_ADAPTER, NDK_VERSION, NET_IFINDEX, NTSTATUS, NdkObjectTypeAdapter, PFN_WSK_NDK_CLOSE_ADAPTER,
    PFN_WSK_NDK_OPEN_ADAPTER, PWSK_CLIENT, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    WSK_PROVIDER_NDK_DISPATCH,
};
use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Who opens and closes NDK_ADAPTERs. Calls come at PASSIVE_LEVEL with no lock held, and may wait.
pub trait NdkDoor: Send + Sync {
    /// Opens the NDK_ADAPTER of the interface with this index.
    fn open_ndk_adapter(
        &self,
        machine: &Arc<Machine>,
        index: NET_IFINDEX,
        version: NDK_VERSION,
    ) -> Result<*mut NDK_ADAPTER, NTSTATUS>;

    /// Closes one; returns when everything that was made of it is closed (ADP-14).
    fn close_ndk_adapter(&self, machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER);
}

/// The door that is there of itself.
struct ThroughNdis;

impl NdkDoor for ThroughNdis {
    fn open_ndk_adapter(
        &self,
        machine: &Arc<Machine>,
        index: NET_IFINDEX,
        version: NDK_VERSION,
    ) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
        pnp::open_ndk_adapter(machine, index, version)
    }

    fn close_ndk_adapter(&self, machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER) {
        pnp::close_ndk_adapter(machine, adapter);
    }
}

/// An NDK_ADAPTER that a client has.
#[derive(Clone, Copy)]
struct Open {
    client: usize,
    index: NET_IFINDEX,
}

/// The extension on one machine.
#[derive(Default)]
pub(super) struct Ndk {
    door: Mutex<Option<Arc<dyn NdkDoor>>>,
    open: Mutex<BTreeMap<usize, Open>>,
    table: OnceLock<Table>,
}

/// WSK_PROVIDER_NDK_DISPATCH, and the gates its slots lead through.
struct Table {
    dispatch: WSK_PROVIDER_NDK_DISPATCH,
    _gates: [Gate; 2],
}

impl Ndk {
    fn open(&self) -> MutexGuard<'_, BTreeMap<usize, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self) -> Arc<dyn NdkDoor> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(|| Arc::new(ThroughNdis))
    }

    pub(super) fn set_door(&self, door: Arc<dyn NdkDoor>) {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = Some(door);
    }

    pub(super) fn leaks(&self) -> Vec<String> {
        let name = |(adapter, open): (&usize, &Open)| {
            format!("NDK_ADAPTER {adapter:#x} of interface {}, still open by WSK_CLIENT {:#x}", open.index, open.client)
        };
        self.open().iter().map(name).collect()
    }

    /// A client can call no more: what it has open stays so.
    pub(super) fn client_is_gone(&self, machine: &Machine, client: usize) {
        let left: Vec<_> = self.open().iter().filter(|(_, open)| open.client == client).map(|(&at, _)| at).collect();
        for adapter in left {
            machine.violation("wsk", format!("WSK_CLIENT {client:#x} is gone and has NDK_ADAPTER {adapter:#x} open"));
        }
    }
}

/// The functions of WSK_PROVIDER_NDK_DISPATCH.
pub(super) fn exports() -> [Export; 2] {
    [
        slot!(WskOpenNdkAdapter: PFN_WSK_NDK_OPEN_ADAPTER, <= Passive, open_ndk_adapter),
        slot!(WskCloseNdkAdapter: PFN_WSK_NDK_CLOSE_ADAPTER, <= Passive, close_ndk_adapter),
    ]
}

/// What WskControlClient('NDKD') gives.
pub(super) fn table(machine: &Machine) -> WSK_PROVIDER_NDK_DISPATCH {
    let made = machine.netio.wsk.ndk.table.get_or_init(|| {
        let gates = exports().map(|export| gate(machine, export.name));
        let [open, close] = [gates[0].address(), gates[1].address()];
        let dispatch = WSK_PROVIDER_NDK_DISPATCH {
            // SAFETY: `slot!` gave this function this type.
            WskOpenNdkAdapter: unsafe { std::mem::transmute::<usize, PFN_WSK_NDK_OPEN_ADAPTER>(open) },
            // SAFETY: as above.
            WskCloseNdkAdapter: unsafe { std::mem::transmute::<usize, PFN_WSK_NDK_CLOSE_ADAPTER>(close) },
        };
        Table { dispatch, _gates: gates }
    });
    made.dispatch
}

/// Holds what a provider handed out against it.
fn look_at(machine: &Machine, adapter: *mut NDK_ADAPTER, asked: NDK_VERSION) {
    // SAFETY: not null; an open NDK_ADAPTER starts with its header and dispatch table.
    let NDK_ADAPTER { Header: header, Dispatch: dispatch } = unsafe { adapter.read() };
    let (version, kind) = (header.Version, header.ObjectType);
    if kind != NdkObjectTypeAdapter {
        machine.violation("COM-12", format!("an NDK_ADAPTER was handed out with object type {kind}"));
    }
    if header.NdkReserved.rf.iter().any(|word| !word.is_null()) {
        machine.violation("COM-13", "an NDK_ADAPTER was handed out with something in NdkReserved");
    }
    if dispatch.is_null() {
        machine.violation("COM-15", "an NDK_ADAPTER was handed out without a dispatch table");
    }
    if version.Major != asked.Major || version.Minor < asked.Minor {
        let (major, minor) = (version.Major, version.Minor);
        let text = format!("NDKPI {}.{} was asked for, {major}.{minor} is in the header", asked.Major, asked.Minor);
        machine.violation("ADP-03", text);
    }
}

fn open(
    machine: &Arc<Machine>,
    client: usize,
    version: NDK_VERSION,
    index: NET_IFINDEX,
) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
    if machine.take_failure("WskOpenNdkAdapter") {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    let ndk = &machine.netio.wsk.ndk;
    let adapter = ndk.door().open_ndk_adapter(machine, index, version)?;
    if adapter.is_null() {
        machine.violation("ADP-03", "an NDK_ADAPTER was opened that is NULL");
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    look_at(machine, adapter, version);
    if ndk.open().insert(adapter.addr(), Open { client, index }).is_some() {
        machine.violation("ADP-07", format!("NDK_ADAPTER {adapter:p} was opened twice"));
    }
    // What an image does with it is watched; a consumer of the simulator's own breaks rules on purpose.
    if stack::inside_image() {
        contract::opened(machine, adapter);
    }
    Ok(adapter)
}

fn close(machine: &Arc<Machine>, client: usize, adapter: *mut NDK_ADAPTER) {
    let ndk = &machine.netio.wsk.ndk;
    let Some(was) = ndk.open().remove(&adapter.addr()) else {
        machine.violation("wsk", format!("NDK_ADAPTER {adapter:p} is closed, and it is not open"));
        return;
    };
    if was.client != client {
        let text = format!("NDK_ADAPTER {adapter:p} of WSK_CLIENT {:#x} is closed by {client:#x}", was.client);
        machine.violation("wsk", text);
    }
    contract::closing(machine, adapter);
    ndk.door().close_ndk_adapter(machine, adapter);
    contract::gone(machine, adapter);
}

ndk_types::abi! {
    unsafe extern "C" fn open_ndk_adapter(
        client: PWSK_CLIENT,
        version: NDK_VERSION,
        index: NET_IFINDEX,
        adapter: *mut *mut NDK_ADAPTER
    ) -> NTSTATUS {
        during(client, "WskOpenNdkAdapter", STATUS_INVALID_PARAMETER, |machine| {
            if adapter.is_null() {
                machine.violation("wsk", "WskOpenNdkAdapter without a place for the NDK_ADAPTER");
                return STATUS_INVALID_PARAMETER;
            }
            let opened = open(machine, client.addr(), version, index);
            // SAFETY: not null; the caller's variable.
            unsafe { adapter.write(opened.unwrap_or(ptr::null_mut())) };
            opened.map_or_else(|status| status, |_| STATUS_SUCCESS)
        })
    }

    unsafe extern "C" fn close_ndk_adapter(client: PWSK_CLIENT, adapter: *mut NDK_ADAPTER) {
        during(client, "WskCloseNdkAdapter", (), |machine| close(machine, client.addr(), adapter));
    }
}
