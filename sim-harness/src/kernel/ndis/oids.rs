//! OID requests both ways: to the miniport instance (regular ones one at a time at PASSIVE_LEVEL, direct ones at any time), and from
//! the driver to its NIC (OID-04, OID-10, W-22).

use super::adapters::{Asked, Edge};
use super::bindings::using;
use super::miniports;
use super::registration::check_header;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use ndk_types::*;
use std::ptr;
use std::sync::Arc;

/// The tag of buffers of requests.
const TAG: u32 = u32::from_le_bytes(*b"NDoi");

/// The OIDs that the documentation's table makes mandatory for every miniport driver, Ethernet's multicast list, and NDK's.
pub const MANDATORY: [NDIS_OID; 22] = [
    OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_LINK_PARAMETERS,
    OID_GEN_MAXIMUM_TOTAL_SIZE,
    OID_GEN_RCV_OK,
    OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_STATISTICS,
    OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_TRANSMIT_BUFFER_SPACE,
    OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_VENDOR_ID,
    OID_GEN_XMIT_OK,
    OID_802_3_MULTICAST_LIST,
    OID_PNP_SET_POWER,
    OID_PNP_QUERY_POWER,
    OID_NDK_SET_STATE,
    OID_NDK_STATISTICS,
    OID_NDK_CONNECTIONS,
    OID_NDK_LOCAL_ENDPOINTS,
];

/// Holds the list of supported OIDs against what is mandatory (W-22, REG-04).
pub(super) fn check_supported(machine: &Machine, oids: &[NDIS_OID]) {
    for oid in MANDATORY.iter().filter(|oid| !oids.contains(oid)) {
        machine.violation("W-22", format!("OID {oid:#010x} is mandatory and not among the supported ones"));
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: NDIS_STATUS,
    /// BytesWritten or BytesRead.
    pub bytes: u32,
    /// BytesNeeded.
    pub needed: u32,
    /// The buffer as it is now.
    pub buffer: Vec<u8>,
}

/// A request and its buffer, in memory of the machine.
struct Made {
    request: *mut NDIS_OID_REQUEST,
    buffer: *mut u8,
    length: usize,
}

impl Made {
    fn new(machine: &Machine, kind: NDIS_REQUEST_TYPE, oid: NDIS_OID, bytes: &[u8]) -> Option<Self> {
        let pool = |size| machine.nt.pool.allocate(&machine.nt.memory, size, TAG, true);
        let request = pool(size_of::<NDIS_OID_REQUEST>())?.cast::<NDIS_OID_REQUEST>();
        let Some(buffer) = pool(bytes.len()) else {
            let _own = machine.nt.pool.free(&machine.nt.memory, request.cast(), TAG);
            return None;
        };
        // SAFETY: just allocated, of this length.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len()) };
        // SAFETY: just allocated; zeroes are a request.
        let body = unsafe { &mut *request };
        body.Header = NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_OID_REQUEST,
            Revision: NDIS_OID_REQUEST_REVISION_1,
            Size: NDIS_SIZEOF_OID_REQUEST_REVISION_1,
        };
        body.RequestType = kind;
        body.DATA.QUERY_INFORMATION = NDIS_OID_REQUEST_QUERY_INFORMATION {
            Oid: oid,
            InformationBuffer: if bytes.is_empty() { ptr::null_mut() } else { buffer.cast() },
            InformationBufferLength: bytes.len() as u32,
            BytesWritten: 0,
            BytesNeeded: 0,
        };
        Some(Self { request, buffer, length: bytes.len() })
    }

    fn take(self, machine: &Machine, status: NDIS_STATUS) -> Answer {
        // SAFETY: complete: the request is ours again.
        let body = unsafe { self.request.read() };
        // SAFETY: query and set have the same layout.
        let data = unsafe { body.DATA.QUERY_INFORMATION };
        let mut buffer = vec![0; self.length];
        // SAFETY: allocated with this length.
        unsafe { ptr::copy_nonoverlapping(self.buffer, buffer.as_mut_ptr(), self.length) };
        if data.BytesWritten as usize > self.length {
            machine.violation(
                "OID-03",
                format!("{} bytes are said to be in a buffer of {}", data.BytesWritten, self.length),
            );
        }
        for (at, what) in [(self.buffer, "the buffer"), (self.request.cast(), "the structure")] {
            if let Err(wrong) = machine.nt.pool.free(&machine.nt.memory, at, TAG) {
                machine.violation("pool", format!("{what} of request {:#x}: {wrong:?}", data.Oid));
            }
        }
        Answer { status, bytes: data.BytesWritten, needed: data.BytesNeeded, buffer }
    }
}

fn refused(status: NDIS_STATUS) -> Answer {
    Answer { status, bytes: 0, needed: 0, buffer: Vec::new() }
}

/// A regular request to an instance, after those that are under way. PASSIVE_LEVEL, on a kernel thread if it may pend.
pub fn request(
    machine: &Arc<Machine>,
    instance: usize,
    kind: NDIS_REQUEST_TYPE,
    oid: NDIS_OID,
    bytes: &[u8],
) -> Answer {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.OidRequestHandler);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else {
        return refused(NDIS_STATUS_FAILURE);
    };
    let Some(made) = Made::new(machine, kind, oid, bytes) else { return refused(NDIS_STATUS_RESOURCES) };
    let place = made.request;
    let asked = Asked::now(oid, place.expose_provenance());
    while !begin(machine, instance, asked) {
        let watched = machine.clone();
        machine.wait("the regular request before", None, move || {
            watched.adapters().miniports.get(&instance).is_none_or(|one| one.regular.is_none())
        });
    }
    let mut status = {
        // SAFETY: the handler's contract: MiniportAdapterContext and a request that stays until it is complete.
        unsafe { crate::call_driver!(machine, "MiniportOidRequest", Irql::Passive, entry, used.own, place) }
    };
    if status == NDIS_STATUS_PENDING {
        if oid == OID_NDK_SET_STATE {
            machine.violation("OID-04", "OID_NDK_SET_STATE pends");
        }
        if let Some(asked) = machine.adapters().miniports.get_mut(&instance).and_then(|one| one.regular.as_mut()) {
            asked.inside = None;
        }
        let watched = machine.clone();
        machine.wait("NdisMOidRequestComplete", None, move || {
            let state = watched.adapters();
            state.miniports.get(&instance).is_none_or(|one| one.regular.is_none_or(|asked| asked.status.is_some()))
        });
        let completed =
            machine.adapters().miniports.get(&instance).and_then(|one| one.regular).and_then(|one| one.status);
        status = completed.unwrap_or(NDIS_STATUS_FAILURE);
    } else if machine
        .adapters()
        .miniports
        .get(&instance)
        .and_then(|one| one.regular)
        .is_some_and(|asked| asked.status.is_some())
    {
        machine.violation("OID-04", format!("request {oid:#x} is completed and does not pend"));
    }
    if let Some(miniport) = machine.adapters().miniports.get_mut(&instance) {
        miniport.regular = None;
        if oid == OID_PNP_SET_POWER && status == NDIS_STATUS_SUCCESS {
            miniport.asleep = bytes != NdisDeviceStateD0.to_ne_bytes();
        }
    }
    made.take(machine, status)
}

/// Notes a regular request as the one that is under way; false while another is.
fn begin(machine: &Machine, instance: usize, asked: Asked) -> bool {
    let mut state = machine.adapters();
    let Some(miniport) = state.miniports.get_mut(&instance) else { return true };
    if miniport.regular.is_some() {
        return false;
    }
    miniport.regular = Some(asked);
    // On its way up an instance may speak before it has answered.
    miniport.asleep &= asked.oid != OID_PNP_SET_POWER;
    true
}

/// A direct request to an instance, at this IRQL, whatever else is under way.
pub fn direct_request(
    machine: &Arc<Machine>,
    instance: usize,
    level: Irql,
    kind: NDIS_REQUEST_TYPE,
    oid: NDIS_OID,
    bytes: &[u8],
) -> Answer {
    let entry = machine.ndis.registrations.miniport().and_then(|driver| driver.given.DirectOidRequestHandler);
    let Some((entry, used)) = entry.zip(miniports::using(machine, instance)) else {
        return refused(NDIS_STATUS_NOT_SUPPORTED);
    };
    let Some(made) = Made::new(machine, kind, oid, bytes) else { return refused(NDIS_STATUS_RESOURCES) };
    let place = made.request;
    let status = {
        // SAFETY: the handler's contract: MiniportAdapterContext and a request that stays until it is complete.
        unsafe { crate::call_driver!(machine, "MiniportDirectOidRequest", level, entry, used.own, place) }
    };
    if status == NDIS_STATUS_PENDING {
        machine.violation("OID-10", format!("the direct request {oid:#x} pends; nothing of ours has to wait"));
    }
    made.take(machine, status)
}

/// The NIC's answer to a request that it let pend. At or below DISPATCH_LEVEL.
pub fn nic_oid_complete(machine: &Arc<Machine>, nic: usize, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    let Some(binding) = machine.ndis.adapters.binding_of(nic) else { return };
    let taken = {
        let state = machine.adapters();
        state.bindings.get(&binding).is_some_and(|open| open.requests.front() == Some(&request.addr()))
    };
    if taken {
        let next = advance(machine, binding);
        complete(machine, binding, request, status);
        submit(machine, binding, next);
    }
}

/// ProtocolOidRequestComplete.
fn complete(machine: &Arc<Machine>, binding: usize, request: *mut NDIS_OID_REQUEST, status: NDIS_STATUS) {
    let protocol = machine.ndis.registrations.protocol();
    let handler = protocol.and_then(|protocol| protocol.OidRequestCompleteHandler);
    let Some((handler, used)) = handler.zip(using(machine, binding)) else { return };
    let level = irql::current();
    // SAFETY: the handler's contract: the binding's context, and the driver's own request, for the last time.
    unsafe { crate::call_driver!(machine, "ProtocolOidRequestComplete", level, handler, used.own, request, status) };
}

/// The first request is done; gives the one behind it, which is the caller's to give to the NIC.
fn advance(machine: &Machine, binding: usize) -> Option<usize> {
    let mut state = machine.adapters();
    let requests = &mut state.bindings.get_mut(&binding)?.requests;
    requests.pop_front();
    requests.front().copied()
}

/// Gives the NIC the requests that waited, as long as it answers at once.
fn submit(machine: &Arc<Machine>, binding: usize, mut next: Option<usize>) {
    while let Some(request) = next {
        let nic = {
            let state = machine.adapters();
            let lower = state.bindings.get(&binding).and_then(|open| state.nics.get(&open.nic));
            lower.map(|lower| lower.nic.clone())
        };
        let place = ptr::with_exposed_provenance_mut(request);
        let status = nic.map_or(NDIS_STATUS_ADAPTER_NOT_FOUND, |nic| nic.oid(machine, place));
        if status == NDIS_STATUS_PENDING {
            return;
        }
        next = advance(machine, binding);
        complete(machine, binding, place, status);
    }
}

ndk_types::abi! {
    unsafe extern "C" fn ndis_oid_request(number: NDIS_HANDLE, request: *mut NDIS_OID_REQUEST) -> NDIS_STATUS {
        let (machine, binding) = (Machine::current(), number.addr());
        // SAFETY: the page: a request that stays until it is complete.
        let header = unsafe { request.read() }.Header;
        let sizes = [NDIS_SIZEOF_OID_REQUEST_REVISION_1];
        if !check_header(&machine, "NDIS_OID_REQUEST", header, NDIS_OBJECT_TYPE_OID_REQUEST, &sizes) {
            return NDIS_STATUS_FAILURE;
        }
        if machine.take_failure("NdisOidRequest") {
            return NDIS_STATUS_RESOURCES;
        }
        let (nic, alone) = {
            let mut state = machine.adapters();
            let Some(open) = state.bindings.get_mut(&binding).filter(|open| open.edge != Edge::Gone) else {
                drop(state);
                machine.violation("W-07", format!("NdisOidRequest on {binding:#x}, which is no open binding"));
                return NDIS_STATUS_ADAPTER_NOT_OPEN;
            };
            open.requests.push_back(request.expose_provenance());
            let (alone, nic, asleep) = (open.requests.len() == 1, open.nic, open.asleep);
            let lower = state.nics.get(&nic).map(|lower| lower.nic.clone());
            drop(state);
            if asleep {
                machine.violation("W-08", "NdisOidRequest to a NIC that sleeps");
            }
            (lower, alone)
        };
        if !alone {
            return NDIS_STATUS_PENDING;
        }
        let status = nic.map_or(NDIS_STATUS_ADAPTER_NOT_FOUND, |nic| nic.oid(&machine, request));
        if status != NDIS_STATUS_PENDING {
            let next = advance(&machine, binding);
            submit(&machine, binding, next);
        }
        status
    }

    unsafe extern "C" fn ndis_m_oid_request_complete(
        number: NDIS_HANDLE,
        request: *mut NDIS_OID_REQUEST,
        status: NDIS_STATUS,
    ) {
        let machine = Machine::current();
        let mut state = machine.adapters();
        let asked = state.miniports.get_mut(&number.addr()).and_then(|one| one.regular.as_mut());
        let good = asked.is_some_and(|asked| {
            let good = asked.address == request.addr() && asked.status.is_none();
            asked.status = Some(status);
            good
        });
        drop(state);
        if !good || status == NDIS_STATUS_PENDING {
            machine.violation("OID-04", "NdisMOidRequestComplete of a request that is not pending, or with PENDING");
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisOidRequest <= Dispatch = ndis_oid_request,
        NdisMOidRequestComplete <= Dispatch = ndis_m_oid_request_complete,
    }
}
