//! A consumer's side of NDK: everything through the function pointers of the dispatch tables, as a driver has it.
//!
//! Handles close in any order; a close that pends is noted as such and its completion counted ([`Ledger`]), so that a run
//! can end with "everything that was opened is closed".

mod border;
mod connection;
pub mod coverage;
mod cq;
mod lifetime;
mod listening;
mod memory;
mod posting;
mod srq;

pub use border::calling_at;
pub(crate) use border::{call_slot, level_of};
pub use connection::{Event, Got, OnDisconnect, address_bytes};
pub use cq::{QpShape, Watch};
pub(crate) use lifetime::query_extension;
pub use lifetime::{Closing, Head, Inside, head};
pub use listening::{OnConnect, SharedEndpoint};
pub use memory::{BuiltLam, Mw, va_sge};
pub use srq::Srq;

use crate::memory::Buffer;
use border::called_back;
use ndk_provider::platform::Platform;
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::*;
use std::ffi::c_void;
use std::net::{IpAddr, SocketAddr};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Counts opens and closes of one host; leaked, so that completions may come at any time.
#[derive(Debug, Default)]
pub struct Ledger {
    opened: AtomicU32,
    closed: AtomicU32,
}

impl Ledger {
    /// A new ledger.
    pub fn open() -> &'static Self {
        Box::leak(Box::default())
    }

    /// Objects opened and not closed.
    pub fn outstanding(&self) -> u32 {
        self.opened.load(Ordering::SeqCst) - self.closed.load(Ordering::SeqCst)
    }
}

/// A failed call: its name and status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed(pub &'static str, pub NTSTATUS);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed with {:#010x}", self.0, self.1)
    }
}

impl std::error::Error for Failed {}

fn check(name: &'static str, status: NTSTATUS) -> Result<(), Failed> {
    if status == STATUS_SUCCESS { Ok(()) } else { Err(Failed(name, status)) }
}

/// A status that a completion will bring; `STATUS_PENDING` until then. Leaked with its request.
#[derive(Debug)]
pub struct Pending(AtomicI32);

impl Pending {
    fn leak() -> &'static Self {
        Box::leak(Box::new(Self(AtomicI32::new(STATUS_PENDING))))
    }

    fn context(&'static self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The status, once it is there.
    pub fn status(&self) -> Option<NTSTATUS> {
        Some(self.0.load(Ordering::SeqCst)).filter(|&status| status != STATUS_PENDING)
    }

    /// What an inline result means: its own status, or the completion's later.
    fn settle(&'static self, status: NTSTATUS) -> &'static Self {
        if status != STATUS_PENDING {
            self.0.store(status, Ordering::SeqCst);
        }
        self
    }
}

ndk_types::abi! {
    unsafe extern "C" fn create_complete(_context: *mut c_void, _status: NTSTATUS, _object: *mut NDK_OBJECT_HEADER) {
        called_back("NdkCreateCompletion", || unreachable!("creates complete inline"));
    }

    unsafe extern "C" fn request_complete(context: *mut c_void, status: NTSTATUS) {
        called_back("NdkRequestCompletion", || {
            // SAFETY: every request of this module passes a leaked `Pending`.
            let pending = unsafe { &*context.cast::<Pending>() };
            let before = pending.0.swap(status, Ordering::SeqCst);
            // COM-06, COM-07: once, and not for what was settled inline.
            assert_eq!(before, STATUS_PENDING, "a request completes twice, or inline and again");
            assert_ne!(status, STATUS_PENDING, "COM-21");
        });
    }

    unsafe extern "C" fn close_complete(context: *mut c_void) {
        called_back("NdkCloseCompletion", || {
            // SAFETY: every close of this module passes a leaked `Ledger`.
            let ledger = unsafe { &*context.cast::<Ledger>() };
            ledger.closed.fetch_add(1, Ordering::SeqCst);
        });
    }

    unsafe extern "C" fn count(context: *mut c_void) {
        called_back("NdkDisconnectEventCallback", || {
            // SAFETY: whoever asks for this event passes a leaked counter.
            let counter = unsafe { &*context.cast::<AtomicU32>() };
            counter.fetch_add(1, Ordering::SeqCst);
        });
    }

    unsafe extern "C" fn cq_notified(context: *mut c_void, _status: NTSTATUS) {
        called_back("NdkCqNotificationCallback", || {
            // SAFETY: CQs of this module are made with a leaked counter.
            let counter = unsafe { &*context.cast::<AtomicU32>() };
            counter.fetch_add(1, Ordering::SeqCst);
        });
    }

    unsafe extern "C" fn connect_event(context: *mut c_void, connector: *mut NDK_CONNECTOR) {
        called_back("NdkConnectEventCallback", || {
            // SAFETY: listeners of this module are made with a leaked queue.
            let arrived = unsafe { &*context.cast::<std::sync::Mutex<Vec<usize>>>() };
            arrived.lock().expect("nobody panics here").push(connector.expose_provenance());
        });
    }
}

fn leaked_counter() -> &'static AtomicU32 {
    Box::leak(Box::default())
}

fn context_of<T>(value: &'static T) -> *mut c_void {
    ptr::from_ref(value).cast_mut().cast()
}

/// Calls the slot of an object's dispatch table; the object is its first argument.
macro_rules! call {
    ($object:expr, $slot:ident $(, $arg:expr)* $(,)?) => {{
        let object = $object;
        $crate::consumer::call_slot!(object, $slot => (object $(, $arg)*))
    }};
}

#[allow(unused_imports, reason = "the submodules use it")]
pub(crate) use call;

/// A socket address as bytes.
fn sockaddr(address: SocketAddr) -> ([u8; 28], u32) {
    let mut bytes = [0; 28];
    bytes[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
            bytes[4..8].copy_from_slice(&ip.octets());
            (bytes, 16)
        }
        IpAddr::V6(ip) => {
            bytes[..2].copy_from_slice(&(AF_INET6 as u16).to_ne_bytes());
            bytes[8..24].copy_from_slice(&ip.octets());
            (bytes, 28)
        }
    }
}

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $abi:ident, $close:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            object: *mut $abi,
            ledger: &'static Ledger,
        }

        impl $name {
            fn new(object: *mut $abi, ledger: &'static Ledger) -> Self {
                ledger.opened.fetch_add(1, Ordering::SeqCst);
                Self { object, ledger }
            }

            /// The handle.
            pub const fn raw(&self) -> *mut $abi {
                self.object
            }

            /// Closes it; the ledger learns when it is closed.
            pub fn close(self) {
                let header = self.object.cast::<NDK_OBJECT_HEADER>();
                let complete: NDK_FN_CLOSE_COMPLETION = Some(close_complete);
                let context = context_of(self.ledger);
                let status = $crate::consumer::call_slot!(self.object, $close => (header, complete, context));
                if status == STATUS_SUCCESS {
                    self.ledger.closed.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert_eq!(status, STATUS_PENDING, "a close succeeds or pends");
                }
            }
        }
    };
}

pub(crate) use handle;

handle!(
    /// An NDK_CQ.
    Cq, NDK_CQ, NdkCloseCq
);
handle!(
    /// An NDK_PD.
    Pd, NDK_PD, NdkClosePd
);
handle!(
    /// An NDK_MR for fast registration.
    Mr, NDK_MR, NdkCloseMr
);
handle!(
    /// An NDK_QP.
    Qp, NDK_QP, NdkCloseQp
);
handle!(
    /// An NDK_CONNECTOR.
    Connector, NDK_CONNECTOR, NdkCloseConnector
);
handle!(
    /// An NDK_LISTENER.
    ListenerHandle, NDK_LISTENER, NdkCloseListener
);

/// An NDK_ADAPTER.
pub struct Adapter {
    close: Box<dyn FnOnce(*mut NDK_ADAPTER)>,
    object: *mut NDK_ADAPTER,
    /// Who counts its objects.
    pub ledger: &'static Ledger,
}

/// What a LAM gave: pages by logical address.
#[derive(Clone, Debug)]
pub struct Lam {
    /// The adapter pages.
    pub pages: Vec<u64>,
    /// Offset of the first byte in the first page.
    pub fbo: u32,
    block: Vec<u64>,
}

impl Lam {
    /// The logical address of byte `offset`.
    pub fn address(&self, offset: usize) -> u64 {
        let at = self.fbo as usize + offset;
        self.pages[at / 4096] + (at % 4096) as u64
    }
}

impl Adapter {
    /// Opens an adapter of a natively built provider, version 2.1.
    pub fn open<P: Platform>(port: &Shared<Port<P>>) -> Result<Self, Failed> {
        Self::open_version(port, NDK_VERSION { Major: 2, Minor: 1 })
    }

    /// The same, in a version.
    pub fn open_version<P: Platform>(port: &Shared<Port<P>>, version: NDK_VERSION) -> Result<Self, Failed> {
        let object = Port::open_adapter(port, version).map_err(|status| Failed("OpenNDKAdapter", status))?;
        let port = port.clone();
        // SAFETY: opened by this port, closed once: the closure is called once.
        Ok(Self::opened(object, move |object| unsafe { Port::close_adapter(&port, object) }))
    }

    /// An adapter that was opened elsewhere, and how to close it.
    pub fn opened(object: *mut NDK_ADAPTER, close: impl FnOnce(*mut NDK_ADAPTER) + 'static) -> Self {
        Self { close: Box::new(close), object, ledger: Ledger::open() }
    }

    /// The handle.
    pub const fn raw(&self) -> *mut NDK_ADAPTER {
        self.object
    }

    /// Closes it. Everything under it must be closed: on one thread nobody could wake the caller.
    pub fn close(self) {
        (self.close)(self.object);
    }

    /// NdkQueryAdapterInfo.
    pub fn info(&self) -> Result<NDK_ADAPTER_INFO, Failed> {
        let mut info = NDK_ADAPTER_INFO::default();
        let mut size = size_of::<NDK_ADAPTER_INFO>() as u32;
        let status = call!(self.object, NdkQueryAdapterInfo, &raw mut info, &raw mut size);
        check("NdkQueryAdapterInfo", status).map(|()| info)
    }

    /// NdkCreateCq; the counter counts notifications.
    pub fn create_cq(&self, depth: u32) -> Result<(Cq, &'static AtomicU32), Failed> {
        let (mut cq, counter) = (ptr::null_mut(), leaked_counter());
        let notified: NDK_FN_CQ_NOTIFICATION_CALLBACK = Some(cq_notified);
        let (context, none) = (context_of(counter), ptr::null_mut());
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status =
            call!(self.object, NdkCreateCq, depth, notified, context, ptr::null_mut(), create, none, &raw mut cq);
        check("NdkCreateCq", status).map(|()| (Cq::new(cq, self.ledger), counter))
    }

    /// NdkCreatePd.
    pub fn create_pd(&self) -> Result<Pd, Failed> {
        let mut pd = ptr::null_mut();
        let status = call!(self.object, NdkCreatePd, Some(create_complete), ptr::null_mut(), &raw mut pd);
        check("NdkCreatePd", status).map(|()| Pd::new(pd, self.ledger))
    }

    /// NdkCreateConnector.
    pub fn create_connector(&self) -> Result<Connector, Failed> {
        let mut connector = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(self.object, NdkCreateConnector, create, ptr::null_mut(), &raw mut connector);
        check("NdkCreateConnector", status).map(|()| Connector::new(connector, self.ledger))
    }

    /// NdkCreateListener and NdkListen; one that cannot listen is closed.
    pub fn listen(&self, address: SocketAddr) -> Result<Listener, Failed> {
        let arrived: &'static std::sync::Mutex<Vec<usize>> = Box::leak(Box::default());
        let mut listener = ptr::null_mut();
        let (event, context): (NDK_FN_CONNECT_EVENT_CALLBACK, _) = (Some(connect_event), context_of(arrived));
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(self.object, NdkCreateListener, event, context, create, ptr::null_mut(), &raw mut listener);
        check("NdkCreateListener", status)?;
        let handle = ListenerHandle::new(listener, self.ledger);
        let (bytes, length) = sockaddr(address);
        let pending = Pending::leak();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(handle.raw(), NdkListen, bytes.as_ptr().cast(), length, complete, pending.context());
        match check("NdkListen", status) {
            Ok(()) => Ok(Listener { handle, arrived }),
            Err(refused) => {
                handle.close();
                Err(refused)
            }
        }
    }

    /// NdkBuildLAM.
    pub fn build_lam(&self, buffer: &Buffer) -> Result<Lam, Failed> {
        let mut mdl = buffer.mdl();
        let pages = (buffer.va() as usize % 4096 + buffer.len()).div_ceil(4096);
        let mut block = vec![0u64; 2 + pages];
        let (mut size, mut fbo) = ((block.len() * 8) as u32, 0);
        let lam = block.as_mut_ptr().cast::<NDK_LOGICAL_ADDRESS_MAPPING>();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(
            self.object,
            NdkBuildLAM,
            mdl.as_mut_ptr(),
            buffer.len(),
            complete,
            ptr::null_mut(),
            lam,
            &raw mut size,
            &raw mut fbo
        );
        check("NdkBuildLAM", status)?;
        Ok(Lam { pages: block[2..].to_vec(), fbo, block })
    }

    /// NdkReleaseLAM.
    pub fn release_lam(&self, mut lam: Lam) {
        call!(self.object, NdkReleaseLAM, lam.block.as_mut_ptr().cast());
    }
}

/// An NDK_LISTENER that listens.
pub struct Listener {
    handle: ListenerHandle,
    arrived: &'static std::sync::Mutex<Vec<usize>>,
}

impl Listener {
    /// NdkControlConnectEvents.
    pub fn pause(&self, pause: bool) {
        call!(self.handle.raw(), NdkControlConnectEvents, u8::from(pause));
    }

    /// A connector that has arrived.
    pub fn take(&self) -> Option<Connector> {
        let address = self.arrived.lock().expect("nobody panics here").pop()?;
        Some(Connector::new(ptr::with_exposed_provenance_mut(address), self.handle.ledger))
    }

    /// Closes it.
    pub fn close(self) {
        self.handle.close();
    }
}

impl Pd {
    /// NdkCreateMr for fast registration, and NdkInitializeFastRegisterMr with remote access.
    pub fn create_fast_mr(&self, pages: u32) -> Result<Mr, Failed> {
        let mut mr = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        check("NdkCreateMr", call!(self.object, NdkCreateMr, 1, create, ptr::null_mut(), &raw mut mr))?;
        let mr = Mr::new(mr, self.ledger);
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(mr.raw(), NdkInitializeFastRegisterMr, pages, 1, complete, Pending::leak().context());
        match check("NdkInitializeFastRegisterMr", status) {
            Ok(()) => Ok(mr),
            Err(refused) => {
                mr.close();
                Err(refused)
            }
        }
    }

    /// NdkGetPrivilegedMemoryRegionToken.
    pub fn privileged_token(&self) -> u32 {
        let mut token = 0;
        call!(self.object, NdkGetPrivilegedMemoryRegionToken, &raw mut token);
        token
    }

    /// NdkCreateQp: one CQ for both queues.
    pub fn create_qp(&self, cq: &Cq, depth: u32, sges: u32, inline: u32) -> Result<Qp, Failed> {
        let mut qp = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let (cq, none) = (cq.raw(), ptr::null_mut());
        let status = call!(
            self.object,
            NdkCreateQp,
            cq,
            cq,
            none,
            depth,
            depth,
            sges,
            sges,
            inline,
            create,
            ptr::null_mut(),
            &raw mut qp
        );
        check("NdkCreateQp", status).map(|()| Qp::new(qp, self.ledger))
    }
}

impl Mr {
    /// NdkGetRemoteTokenFromMr.
    pub fn remote_token(&self) -> u32 {
        call!(self.object, NdkGetRemoteTokenFromMr)
    }
}

impl Cq {
    /// NdkArmCq for any completion.
    pub fn arm(&self) {
        call!(self.object, NdkArmCq, NDK_CQ_NOTIFY_ANY);
    }

    /// NdkGetCqResultsEx: what there is.
    pub fn poll(&self) -> Vec<NDK_RESULT_EX> {
        let mut results = Vec::with_capacity(64);
        let count = call!(self.object, NdkGetCqResultsEx, results.as_mut_ptr(), 64);
        // SAFETY: the provider wrote that many.
        unsafe { results.set_len(count as usize) };
        results
    }
}

/// A piece of a request by logical address.
pub fn sge(token: u32, address: u64, length: u32) -> NDK_SGE {
    let logical = NDK_LOGICAL_ADDRESS { QuadPart: address.cast_signed() };
    NDK_SGE { Anonymous: NDK_SGE_ADDRESS { LogicalAddress: logical }, Length: length, MemoryRegionToken: token }
}

/// A consumer's context, which is a number here.
fn context(number: usize) -> *mut c_void {
    ptr::without_provenance_mut(number)
}

impl Connector {
    /// NdkConnect from an address of ours, port 0.
    pub fn connect(&self, qp: &Qp, from: IpAddr, to: SocketAddr, reads: u32, data: &[u8]) -> &'static Pending {
        let pending = Pending::leak();
        let (source, source_length) = sockaddr(SocketAddr::new(from, 0));
        let (destination, destination_length) = sockaddr(to);
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let status = call!(
            self.object,
            NdkConnect,
            qp.raw(),
            source.as_ptr().cast(),
            source_length,
            destination.as_ptr().cast(),
            destination_length,
            reads,
            reads,
            data.as_ptr().cast(),
            data.len() as u32,
            complete,
            pending.context(),
        );
        pending.settle(status)
    }

    /// NdkCompleteConnect; the counter counts disconnect events.
    pub fn complete_connect(&self) -> Result<&'static AtomicU32, Failed> {
        let counter = leaked_counter();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let event: NDK_FN_DISCONNECT_EVENT_CALLBACK = Some(count);
        let pending = Pending::leak().context();
        let status = call!(self.object, NdkCompleteConnect, event, context_of(counter), complete, pending);
        check("NdkCompleteConnect", status).map(|()| counter)
    }

    /// NdkAccept; the counter counts disconnect events.
    pub fn accept(&self, qp: &Qp, reads: u32, data: &[u8]) -> (&'static Pending, &'static AtomicU32) {
        let (pending, counter) = (Pending::leak(), leaked_counter());
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let event: NDK_FN_DISCONNECT_EVENT_CALLBACK = Some(count);
        let status = call!(
            self.object,
            NdkAccept,
            qp.raw(),
            reads,
            reads,
            data.as_ptr().cast(),
            data.len() as u32,
            event,
            context_of(counter),
            complete,
            pending.context(),
        );
        (pending.settle(status), counter)
    }

    /// NdkReject.
    pub fn reject(&self, data: &[u8]) -> Result<(), Failed> {
        check("NdkReject", call!(self.object, NdkReject, data.as_ptr().cast(), data.len() as u32))
    }

    /// NdkDisconnect.
    pub fn disconnect(&self) -> &'static Pending {
        let pending = Pending::leak();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        pending.settle(call!(self.object, NdkDisconnect, complete, pending.context()))
    }

    /// NdkGetConnectionData: read limits, in and out, and the peer's private data.
    pub fn connection_data(&self) -> Result<(u32, u32, Vec<u8>), Failed> {
        let (mut inbound, mut outbound, mut length) = (0, 0, 256);
        let mut data = vec![0; 256];
        let status = call!(
            self.object,
            NdkGetConnectionData,
            &raw mut inbound,
            &raw mut outbound,
            data.as_mut_ptr().cast(),
            &raw mut length,
        );
        check("NdkGetConnectionData", status)?;
        data.truncate(length as usize);
        Ok((inbound, outbound, data))
    }
}
