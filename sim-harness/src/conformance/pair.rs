//! What most cases start with: a host with its objects, and two hosts that are connected.

use crate::bed::{Bed, ipv4};
use crate::consumer::{Adapter, Connector, Cq, Lam, Listener, Pd, Pending, Qp, sge};
use crate::memory::Buffer;
use ndk_types::*;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;

/// The highest NDKPI version.
pub const VERSION: NDK_VERSION = NDK_VERSION { Major: 2, Minor: 1 };

#[expect(missing_docs, reason = "the NDK objects by their names")]
/// One host's objects: a CQ, a PD, a QP and a buffer of 64 KiB with its LAM.
pub struct Host {
    pub adapter: Adapter,
    pub cq: Cq,
    /// Counts the CQ's notifications.
    pub notified: &'static AtomicU32,
    pub pd: Pd,
    pub qp: Qp,
    /// The privileged token.
    pub token: u32,
    pub buffer: Buffer,
    pub lam: Lam,
}

impl Host {
    /// Opens an adapter and creates the rest: a CQ of 64, a QP of 8 with 2 SGEs and 64 bytes inline.
    pub fn new(bed: &mut dyn Bed, host: usize) -> Self {
        Self::with_version(bed, host, VERSION)
    }

    /// The same in a version.
    pub fn with_version(bed: &mut dyn Bed, host: usize, version: NDK_VERSION) -> Self {
        let adapter = bed.open(host, version).unwrap();
        let (cq, notified) = adapter.create_cq(64).unwrap();
        let pd = adapter.create_pd().unwrap();
        let qp = pd.create_qp(&cq, 8, 2, 64).unwrap();
        let buffer = Buffer::new(1 << 16, 100);
        let lam = adapter.build_lam(&buffer).unwrap();
        let token = pd.privileged_token();
        Self { adapter, cq, notified, pd, qp, token, buffer, lam }
    }

    /// A piece of the buffer by logical address.
    pub fn sge(&self, offset: usize, length: u32) -> NDK_SGE {
        sge(self.token, self.lam.address(offset), length)
    }

    /// Closes everything, antecedents first, and lets the bed go on until all closes are complete.
    pub fn close(self, bed: &mut dyn Bed) {
        let Self { adapter, cq, pd, qp, lam, buffer, .. } = self;
        assert!(buffer.guards_are_whole());
        pd.close();
        cq.close();
        qp.close();
        adapter.release_lam(lam);
        close_adapter(bed, adapter);
    }
}

/// Lets the bed go on until every object of an adapter is closed, and closes it.
pub fn close_adapter(bed: &mut dyn Bed, adapter: Adapter) {
    let mut patience = Patience::default();
    while adapter.ledger.outstanding() != 0 {
        assert!(patience.step(bed), "{} objects stay open", adapter.ledger.outstanding());
    }
    adapter.close();
}

/// Lets a bed go on. On one whose hosts have processors of their own, what is waited for may be under way on one of them when
/// the wire has nothing more to bring: then it is asked again, for a while.
#[derive(Default)]
struct Patience(u32);

impl Patience {
    /// False when nothing happens any more.
    fn step(&mut self, bed: &mut dyn Bed) -> bool {
        if bed.step() {
            self.0 = 0;
        } else {
            self.0 += 1;
            std::thread::yield_now();
        }
        self.0 < 1_000
    }
}

/// The SMB port of a host, IPv4.
pub fn smb(host: usize) -> SocketAddr {
    SocketAddr::new(ipv4(host), 445)
}

/// Waits for a completion.
pub fn wait(bed: &mut dyn Bed, pending: &'static Pending) -> NTSTATUS {
    let mut patience = Patience::default();
    loop {
        if let Some(status) = pending.status() {
            return status;
        }
        assert!(patience.step(bed), "nothing happens any more");
    }
}

/// Waits for a connection request.
pub fn arrival(bed: &mut dyn Bed, listener: &Listener) -> Connector {
    let mut patience = Patience::default();
    loop {
        if let Some(connector) = listener.take() {
            return connector;
        }
        assert!(patience.step(bed), "nobody arrives");
    }
}

/// Lets `ms` virtual milliseconds pass, or less when nothing happens any more.
pub fn pass(bed: &mut dyn Bed, ms: u64) {
    let end = bed.now() + ms * 1_000_000;
    while bed.now() < end && bed.step() {}
}

/// Everything that completes on a host's CQ within `ms` virtual milliseconds.
pub fn results(bed: &mut dyn Bed, host: &Host, ms: u64) -> Vec<NDK_RESULT_EX> {
    let end = bed.now() + ms * 1_000_000;
    let mut all = host.cq.poll();
    while bed.now() < end && bed.step() {
        all.extend(host.cq.poll());
    }
    all
}

#[expect(missing_docs, reason = "the NDK objects by their names")]
/// Two connected hosts: host 0 is the client, host 1 the server.
pub struct Pair {
    pub client: Host,
    pub server: Host,
    pub active: Connector,
    pub passive: Connector,
    pub listener: Listener,
    /// Counts the disconnect events of each side.
    pub client_events: &'static AtomicU32,
    pub server_events: &'static AtomicU32,
}

impl Pair {
    /// Connects two new hosts: read limits 4 asked by the client, 2 by the server.
    pub fn new(bed: &mut dyn Bed) -> Self {
        let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
        Self::connect(bed, client, server)
    }

    /// Connects the queue pairs of two hosts.
    pub fn connect(bed: &mut dyn Bed, client: Host, server: Host) -> Self {
        let listener = server.adapter.listen(smb(1)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&client.qp, ipv4(0), smb(1), 4, b"hi");
        let passive = arrival(bed, &listener);
        let (accepting, server_events) = passive.accept(&server.qp, 2, b"welcome");
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        let client_events = active.complete_connect().unwrap();
        assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
        Self { client, server, active, passive, listener, client_events, server_events }
    }

    /// Closes everything.
    pub fn close(self, bed: &mut dyn Bed) {
        let Self { client, server, active, passive, listener, .. } = self;
        listener.close();
        active.close();
        passive.close();
        client.close(bed);
        server.close(bed);
    }
}
