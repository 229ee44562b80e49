//! What consumers may count on, through the dispatch tables of two hosts. Each test names the conformance ids it shows.

use ndk_provider::limits::Limits;
use ndk_types::*;
use sim_harness::consumer::{Adapter, Connector, Cq, Failed, Lam, Listener, Pd, Pending, Qp, sge};
use sim_harness::memory::Buffer;
use sim_harness::wire::Manners;
use sim_harness::world::World;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

const LIMITS: Limits = Limits {
    queue_pairs: 16,
    completion_queues: 16,
    regions: 64,
    mappings: 16,
    connections: 16,
    endpoints: 16,
    held_frames: 64,
    protection_domains: 16,
    shared_receive_queues: 16,
};

/// One host's objects: a CQ, a PD, a QP and a buffer of 64 KiB.
struct Host {
    adapter: Adapter,
    cq: Cq,
    pd: Pd,
    qp: Qp,
    token: u32,
    buffer: Buffer,
    lam: Lam,
}

impl Host {
    fn new(world: &World, node: usize) -> Self {
        let adapter = Adapter::open(world.port(node)).unwrap();
        let (cq, _) = adapter.create_cq(64).unwrap();
        let pd = adapter.create_pd().unwrap();
        let qp = pd.create_qp(&cq, 8, 2, 64).unwrap();
        let buffer = Buffer::new(1 << 16, 100);
        let lam = adapter.build_lam(&buffer).unwrap();
        let token = pd.privileged_token();
        Self { adapter, cq, pd, qp, token, buffer, lam }
    }

    fn sge(&self, offset: usize, length: u32) -> NDK_SGE {
        sge(self.token, self.lam.address(offset), length)
    }

    /// Closes everything, antecedents first.
    fn close(self, world: &mut World) {
        let Self { adapter, cq, pd, qp, lam, buffer, .. } = self;
        assert!(buffer.guards_are_whole());
        pd.close();
        cq.close();
        qp.close();
        adapter.release_lam(lam);
        while adapter.ledger.outstanding() != 0 {
            assert!(world.step(), "{} objects stay open", adapter.ledger.outstanding());
        }
        adapter.close();
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 9, 0, last])
}

fn smb(last: u8) -> SocketAddr {
    SocketAddr::new(address(last), 445)
}

fn world() -> World {
    let mut world = World::new(5, 1500, Manners::GOOD);
    world.add(vec![address(1)], LIMITS);
    world.add(vec![address(2)], LIMITS);
    world
}

fn wait(world: &mut World, pending: &'static Pending) -> NTSTATUS {
    loop {
        if let Some(status) = pending.status() {
            return status;
        }
        assert!(world.step(), "nothing happens any more");
    }
}

fn arrival(world: &mut World, listener: &Listener) -> Connector {
    loop {
        if let Some(connector) = listener.take() {
            return connector;
        }
        assert!(world.step(), "nobody arrives");
    }
}

/// Everything that completes within `ms` virtual milliseconds.
fn results(world: &mut World, host: &Host, ms: u64) -> Vec<NDK_RESULT_EX> {
    let end = world.now() + ms * 1_000_000;
    let mut all = host.cq.poll();
    while world.now() < end && world.step() {
        all.extend(host.cq.poll());
    }
    all
}

struct Pair {
    world: World,
    client: Host,
    server: Host,
    active: Connector,
    passive: Connector,
    listener: Listener,
    client_events: &'static AtomicU32,
    server_events: &'static AtomicU32,
}

fn pair() -> Pair {
    let mut world = world();
    let (client, server) = (Host::new(&world, 0), Host::new(&world, 1));
    let listener = server.adapter.listen(smb(2)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, address(1), smb(2), 4, b"hi");
    let passive = arrival(&mut world, &listener);
    let (accepting, server_events) = passive.accept(&server.qp, 2, b"welcome");
    assert_eq!(wait(&mut world, connecting), STATUS_SUCCESS);
    let client_events = active.complete_connect().unwrap();
    assert_eq!(wait(&mut world, accepting), STATUS_SUCCESS);
    Pair { world, client, server, active, passive, listener, client_events, server_events }
}

impl Pair {
    fn close(self) {
        let Self { mut world, client, server, active, passive, listener, .. } = self;
        listener.close();
        active.close();
        passive.close();
        client.close(&mut world);
        server.close(&mut world);
    }
}

/// CN-02, CN-06, CN-07
#[test]
fn a_connect_that_cannot_be_is_told_why() {
    let mut world = world();
    let client = Host::new(&world, 0);
    let nobody_listens = SocketAddr::new(address(2), 446);
    for (from, to, status) in [
        (address(1), nobody_listens, STATUS_CONNECTION_REFUSED),
        (address(1), smb(77), STATUS_HOST_UNREACHABLE),
        (address(9), smb(2), STATUS_INVALID_ADDRESS),
    ] {
        let connector = client.adapter.create_connector().unwrap();
        let connecting = connector.connect(&client.qp, from, to, 1, b"");
        assert_eq!(wait(&mut world, connecting), status);
        connector.close();
    }
    client.close(&mut world);
}

/// CN-06, CN-17, CN-25
#[test]
fn a_reject_brings_its_private_data() {
    let mut world = world();
    let (client, server) = (Host::new(&world, 0), Host::new(&world, 1));
    let listener = server.adapter.listen(smb(2)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client.qp, address(1), smb(2), 1, b"may I");
    let passive = arrival(&mut world, &listener);
    assert!(passive.connection_data().unwrap().2.starts_with(b"may I\0"));
    passive.reject(b"no").unwrap();
    assert_eq!(wait(&mut world, connecting), STATUS_CONNECTION_REFUSED);
    assert!(active.connection_data().unwrap().2.starts_with(b"no\0"));
    listener.close();
    active.close();
    passive.close();
    client.close(&mut world);
    server.close(&mut world);
}

/// LS-06, LS-07, CN-43
#[test]
fn a_paused_listener_is_as_if_there_were_none() {
    let mut world = world();
    let (client, server) = (Host::new(&world, 0), Host::new(&world, 1));
    let listener = server.adapter.listen(smb(2)).unwrap();
    for paused in [true, false] {
        listener.pause(paused);
        let connector = client.adapter.create_connector().unwrap();
        let connecting = connector.connect(&client.qp, address(1), smb(2), 1, b"");
        if !paused {
            // Closing a request that was never accepted refuses it.
            arrival(&mut world, &listener).close();
        }
        assert_eq!(wait(&mut world, connecting), STATUS_CONNECTION_REFUSED);
        connector.close();
    }
    assert!(listener.take().is_none());
    listener.close();
    client.close(&mut world);
    server.close(&mut world);
}

/// ADP-08, LS-14, LS-15, LS-19
#[test]
fn an_address_in_use_is_refused_through_another_adapter_too_and_free_after_close() {
    let mut world = world();
    let (server, other) = (Host::new(&world, 1), Host::new(&world, 1));
    let listener = server.adapter.listen(smb(2)).unwrap();
    let refused = other.adapter.listen(smb(2));
    assert_eq!(refused.err(), Some(Failed("NdkListen", STATUS_SHARING_VIOLATION)));
    listener.close();
    other.adapter.listen(smb(2)).unwrap().close();
    server.close(&mut world);
    // The listener that was refused is still open: only its creator could close it.
    assert_eq!(other.adapter.ledger.outstanding(), 4);
}

/// QP-07, QP-08
#[test]
fn before_a_connection_sends_are_refused_and_receives_are_taken() {
    let mut world = world();
    let host = Host::new(&world, 0);
    let refused = host.qp.send(1, &[host.sge(0, 8)], 0);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_CONNECTION_INVALID)));
    host.qp.receive(2, &[host.sge(0, 8)]).unwrap();
    assert!(results(&mut world, &host, 1).is_empty());
    host.close(&mut world);
}

/// QP-09, QP-10, CQ-25, WR-48
#[test]
fn a_flush_completes_everything_posted_as_cancelled() {
    let mut pair = pair();
    for number in 1..=4 {
        pair.client.qp.receive(number, &[pair.client.sge(0, 8)]).unwrap();
    }
    pair.client.qp.flush();
    let flushed = results(&mut pair.world, &pair.client, 1);
    let seen: Vec<_> = flushed.iter().map(|result| (result.Status, result.RequestContext.addr())).collect();
    assert_eq!(seen, [1, 2, 3, 4].map(|number| (STATUS_CANCELLED, number)));
    let refused = pair.client.qp.send(9, &[pair.client.sge(0, 8)], 0);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_CONNECTION_INVALID)));
    pair.close();
}

/// WR-43, CQ-21, CQ-24
#[test]
fn sends_arrive_in_order_with_their_lengths() {
    let mut pair = pair();
    pair.client.buffer.write(0, &(0..=255).collect::<Vec<u8>>());
    for number in 0..4 {
        pair.server.qp.receive(100 + number, &[pair.server.sge(number * 100, 100)]).unwrap();
    }
    for number in 0..4 {
        pair.client.qp.send(number, &[pair.client.sge(number, 10 * number as u32)], 0).unwrap();
    }
    let received = results(&mut pair.world, &pair.server, 5);
    for (number, result) in received.iter().enumerate() {
        assert_eq!((result.Status, result.Type), (STATUS_SUCCESS, NdkOperationTypeReceive));
        assert_eq!((result.RequestContext.addr(), result.BytesTransferred), (100 + number, 10 * number as u32));
        let expected: Vec<u8> = (number as u8..).take(10 * number).collect();
        assert_eq!(pair.server.buffer.read(number * 100, 10 * number), expected);
    }
    assert_eq!((received.len(), results(&mut pair.world, &pair.client, 1).len()), (4, 4));
    pair.close();
}

/// WR-44, QP-22, CN-30
#[test]
fn a_send_longer_than_its_receive_ends_the_connection() {
    let mut pair = pair();
    for number in [1, 2] {
        pair.server.qp.receive(number, &[pair.server.sge(0, 16)]).unwrap();
    }
    pair.client.buffer.write(0, &[9; 17]);
    pair.client.qp.send(7, &[pair.client.sge(0, 17)], 0).unwrap();
    let sent = results(&mut pair.world, &pair.client, 50);
    assert_eq!((sent.len(), sent[0].Status, sent[0].RequestContext.addr()), (1, STATUS_REMOTE_RESOURCES, 7));
    let received: Vec<_> = results(&mut pair.world, &pair.server, 50).iter().map(|result| result.Status).collect();
    assert_eq!(received, [STATUS_BUFFER_OVERFLOW, STATUS_CANCELLED]);
    assert_eq!(pair.server.buffer.read(16, 1), [0]);
    assert_eq!(pair.client_events.load(Ordering::SeqCst) + pair.server_events.load(Ordering::SeqCst), 2);
    pair.close();
}

/// PD-04, WR-47
#[test]
fn a_write_with_the_privileged_token_fails_and_touches_nothing() {
    let mut pair = pair();
    let (va, token) = (pair.server.buffer.va(), pair.server.token);
    pair.client.buffer.write(0, &[0xee; 64]);
    pair.client.qp.write(3, &[pair.client.sge(0, 64)], va, token, 0).unwrap();
    let written = results(&mut pair.world, &pair.client, 50);
    assert_eq!((written.len(), written[0].Status), (1, STATUS_REMOTE_RESOURCES));
    assert_eq!(pair.server.buffer.read(0, 64), [0; 64]);
    pair.close();
}

/// CN-29, CN-30, CN-33, QP-14, QP-15
#[test]
fn a_disconnect_is_graceful_and_flushes_only_who_asked_for_it() {
    let mut pair = pair();
    pair.client.qp.receive(1, &[pair.client.sge(0, 8)]).unwrap();
    pair.server.qp.receive(2, &[pair.server.sge(0, 8)]).unwrap();
    let leaving = pair.active.disconnect();
    let flushed = results(&mut pair.world, &pair.client, 1);
    assert_eq!((flushed.len(), flushed[0].Status), (1, STATUS_CANCELLED));
    assert_eq!(pair.server_events.load(Ordering::SeqCst), 1);
    assert!(pair.server.cq.poll().is_empty());
    let answering = pair.passive.disconnect();
    assert_eq!(wait(&mut pair.world, leaving), STATUS_SUCCESS);
    assert_eq!(wait(&mut pair.world, answering), STATUS_SUCCESS);
    assert_eq!(pair.client_events.load(Ordering::SeqCst), 0);
    pair.close();
}

/// CN-42, OQ-44
#[test]
fn closing_a_connector_without_disconnect_tells_the_peer() {
    let Pair { mut world, client, server, active, passive, listener, server_events, .. } = pair();
    active.close();
    while server_events.load(Ordering::SeqCst) == 0 {
        assert!(world.step(), "the peer is never told");
    }
    passive.close();
    listener.close();
    client.close(&mut world);
    server.close(&mut world);
}

/// QP-18, WR-19
#[test]
fn a_full_queue_refuses_and_indicates_what_was_deferred() {
    let mut pair = pair();
    for number in 0..8 {
        pair.client.qp.send(number, &[pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER).unwrap();
    }
    let refused = pair.client.qp.send(9, &[pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER);
    assert_eq!(refused, Err(Failed("NdkSend", STATUS_INSUFFICIENT_RESOURCES)));
    for number in 0..8 {
        pair.server.qp.receive(number, &[pair.server.sge(0, 8)]).unwrap();
    }
    assert_eq!(results(&mut pair.world, &pair.server, 50).len(), 8);
    pair.close();
}

/// OQ-26, T-29
#[test]
fn a_send_that_comes_before_its_receive_waits_for_it() {
    let mut pair = pair();
    pair.client.qp.send(1, &[pair.client.sge(0, 8)], 0).unwrap();
    assert!(results(&mut pair.world, &pair.server, 20).is_empty());
    pair.server.qp.receive(2, &[pair.server.sge(0, 8)]).unwrap();
    assert_eq!(results(&mut pair.world, &pair.server, 50).len(), 1);
    assert_eq!(results(&mut pair.world, &pair.client, 50)[0].Status, STATUS_SUCCESS);
    pair.close();
}
