//! Local addresses in use, and NDK_SHARED_ENDPOINT.
//!
//! An endpoint is an address and port with a count: a listener, a shared endpoint, a connector's own, and every connection
//! over one of them holds it (LS-13, SE-05, CN-49). It is free again when the last of them is closed (LS-15, CN-50).

use crate::adapter::{Adapter, ndk_query_extension};
use crate::bounded;
use crate::listener::Listener;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::platform::Platform;
use crate::port::Port;
use crate::shared::Shared;
use crate::translate;
use alloc::vec::Vec;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::net::SocketAddr;
use ndk_types::{
    NDK_ADAPTER, NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION, NDK_OBJECT_HEADER, NDK_SHARED_ENDPOINT,
    NDK_SHARED_ENDPOINT_DISPATCH, NTSTATUS, NdkObjectTypeSharedEndpoint, SOCKADDR, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_ADDRESS, STATUS_SHARING_VIOLATION, STATUS_SUCCESS, STATUS_TOO_MANY_ADDRESSES,
};

/// The ports given out when none is asked for.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

struct Entry<P: Platform> {
    address: SocketAddr,
    holds: u32,
    /// Who takes requests on it; gone as soon as its close is issued (LS-09).
    listener: Option<Ref<Listener<P>>>,
    /// A shared endpoint's.
    shared: bool,
}

/// The local addresses in use on a port.
pub(crate) struct Endpoints<P: Platform> {
    entries: Vec<Entry<P>>,
    next_ephemeral: u16,
}

/// One hold on an address, to be given back through [`Endpoints::release`] by its [`Hold`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held(SocketAddr);

impl<P: Platform> Endpoints<P> {
    pub(crate) fn try_new(capacity: u32, random: u32) -> Option<Self> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity as usize).ok()?;
        Some(Self { entries, next_ephemeral: EPHEMERAL.start() | random as u16 })
    }

    fn find(&mut self, address: SocketAddr) -> Option<&mut Entry<P>> {
        self.entries.iter_mut().find(|entry| entry.address == address)
    }

    /// Takes an address; port 0 is replaced by a free one. SHARING_VIOLATION, TOO_MANY_ADDRESSES,
    /// INSUFFICIENT_RESOURCES as LS-02 and SE-01 say.
    pub(crate) fn take(&mut self, mut address: SocketAddr, shared: bool) -> Result<(SocketAddr, Held), NTSTATUS> {
        if self.entries.len() == self.entries.capacity() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        if address.port() == 0 {
            address.set_port(self.ephemeral(address)?);
        } else if self.find(address).is_some() {
            return Err(STATUS_SHARING_VIOLATION);
        }
        self.entries.push(Entry { address, holds: 1, listener: None, shared });
        Ok((address, Held(address)))
    }

    fn ephemeral(&mut self, mut address: SocketAddr) -> Result<u16, NTSTATUS> {
        for _ in EPHEMERAL {
            let port = self.next_ephemeral;
            self.next_ephemeral = port.checked_add(1).unwrap_or(*EPHEMERAL.start());
            address.set_port(port);
            if self.find(address).is_none() {
                return Ok(port);
            }
        }
        Err(STATUS_TOO_MANY_ADDRESSES)
    }

    /// One more hold on an address in use.
    pub(crate) fn hold(&mut self, address: SocketAddr) -> Option<Held> {
        let entry = self.find(address)?;
        entry.holds = entry.holds.checked_add(1)?;
        Some(Held(address))
    }

    /// Gives a hold back.
    pub(crate) fn release(&mut self, held: &Held) {
        if let Some(at) = self.entries.iter().position(|entry| entry.address == held.0)
            && let Some(entry) = self.entries.get_mut(at)
        {
            entry.holds = entry.holds.saturating_sub(1);
            if entry.holds == 0 {
                bounded::take(&mut self.entries, at);
            }
        }
    }

    /// Whether somebody takes requests on an address now.
    pub(crate) fn listens(&self, address: SocketAddr) -> bool {
        let entry = self.entries.iter().find(|entry| entry.address == address);
        entry.and_then(|entry| entry.listener.as_ref()).is_some_and(|listener| !listener.is_paused())
    }

    /// The listener that takes requests on an address now.
    pub(crate) fn listener(&mut self, address: SocketAddr) -> Option<Ref<Listener<P>>> {
        self.find(address)?.listener.clone().filter(|listener| !listener.is_paused())
    }

    /// The listeners (true) and shared endpoints (false), and where (OID-19).
    pub(crate) fn listed(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        let listed = self.entries.iter().filter(|entry| entry.shared || entry.listener.is_some());
        listed.map(|entry| (entry.address, entry.listener.is_some()))
    }

    /// Sets or takes away the listener of an address; the earlier one is to be let go of outside the lock.
    pub(crate) fn set_listener(
        &mut self,
        address: SocketAddr,
        listener: Option<Ref<Listener<P>>>,
    ) -> Option<Ref<Listener<P>>> {
        core::mem::replace(&mut self.find(address)?.listener, listener)
    }
}

/// A hold with its port: gives itself back. Not to be dropped under the connections' lock.
pub(crate) struct Hold<P: Platform> {
    pub(crate) port: Shared<Port<P>>,
    pub(crate) held: Held,
}

impl<P: Platform> Drop for Hold<P> {
    fn drop(&mut self) {
        self.port.connections.look(&self.port, |table| table.endpoints.release(&self.held));
    }
}

/// Takes a local address for a shared endpoint, or for a listener or connector.
pub(crate) fn take<P: Platform>(
    port: &Shared<Port<P>>,
    address: SocketAddr,
    shared: bool,
) -> Result<(SocketAddr, Hold<P>), NTSTATUS> {
    if !port.is_local(address.ip()) {
        return Err(STATUS_INVALID_ADDRESS);
    }
    let (address, held) = port.connections.look(port, |table| table.endpoints.take(address, shared))?;
    Ok((address, Hold { port: port.clone(), held }))
}

/// The kind of NDK_SHARED_ENDPOINT.
pub struct Endpoint<P>(PhantomData<P>);

// SAFETY: NDK_SHARED_ENDPOINT starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Endpoint<P> {
    type Abi = NDK_SHARED_ENDPOINT;
    type State = EndpointState<P>;
}

/// What the provider knows of a shared endpoint.
pub struct EndpointState<P: Platform> {
    pub(crate) address: SocketAddr,
    _hold: Hold<P>,
    _adapter: Ref<Adapter<P>>,
}

impl<P: Platform> Endpoint<P> {
    const DISPATCH: &'static NDK_SHARED_ENDPOINT_DISPATCH = &NDK_SHARED_ENDPOINT_DISPATCH {
        NdkCloseSharedEndpoint: Some(ndk_close_shared_endpoint::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkGetLocalAddress: Some(ndk_get_shared_endpoint_local_address::<P>),
    };
}

ndk_types::abi! {
    /// NdkCreateSharedEndpoint: SE-01, SE-02. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_shared_endpoint.
    pub unsafe extern "C" fn ndk_create_shared_endpoint<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        address: *const SOCKADDR,
        length: u32,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        endpoint: *mut *mut NDK_SHARED_ENDPOINT,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        // SAFETY: NDKPI: `length` bytes at `address`.
        let taken = unsafe { translate::socket_address(address, length) }
            .and_then(|address| take(&adapter.port, address, true));
        let (address, hold) = match taken {
            Ok(taken) => taken,
            Err(status) => return status,
        };
        let abi = NDK_SHARED_ENDPOINT {
            Header: object::header(adapter.version, NdkObjectTypeSharedEndpoint),
            Dispatch: Endpoint::<P>::DISPATCH,
        };
        let state = EndpointState { address, _hold: hold, _adapter: adapter.counted() };
        let Some(made) = Object::<Endpoint<P>>::try_new(abi, state) else { return STATUS_INSUFFICIENT_RESOURCES };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { endpoint.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseSharedEndpoint: SE-06. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_shared_endpoint<P: Platform>(
        endpoint: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI close_object: a shared endpoint not closed before.
        unsafe { object::close::<Endpoint<P>>(endpoint.cast(), completion, context) }
    }

    /// NdkGetLocalAddress of a shared endpoint. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_shared_endpoint_local_address<P: Platform>(
        endpoint: *mut NDK_SHARED_ENDPOINT,
        address: *mut SOCKADDR,
        length: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open shared endpoint.
        let endpoint = unsafe { Borrowed::<Endpoint<P>>::from_handle(endpoint) };
        // SAFETY: NDKPI: `length` tells how much may be written at `address`.
        unsafe { translate::store_socket_address(endpoint.address, address, length) }
    }
}
