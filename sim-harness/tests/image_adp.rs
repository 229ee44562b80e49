//! ADP: opens and closes of NDK_ADAPTERs of the loaded image where something else happens at once: no memory, a disable, other
//! closes that wait.

mod on_image;

use ndk_types::*;
use on_image::{VERSION, alone, ends, gone, on_thread, pair, request_state, set_state};
use sim_harness::conformance::pair::Pair;
use sim_harness::consumer::{Adapter, Cq};
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::ndis::pnp;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn open(host: &Host) -> Result<*mut NDK_ADAPTER, NTSTATUS> {
    pnp::open_on(&host.machine, host.instance().expect("an instance"), VERSION)
}

fn close(host: &Host, adapter: *mut NDK_ADAPTER) {
    pnp::close_ndk_adapter(&host.machine, adapter);
}

/// A close on a kernel thread; whether it has returned.
fn closing(host: &Host, adapter: *mut NDK_ADAPTER) -> Arc<AtomicBool> {
    let (machine, address) = (host.machine.clone(), adapter.expose_provenance());
    on_thread(host, "a close", move || {
        pnp::close_ndk_adapter(&machine, ptr::with_exposed_provenance_mut(address));
    })
}

/// An adapter with a CQ under it.
fn with_cq(host: &Host) -> (*mut NDK_ADAPTER, Adapter, Cq) {
    let object = open(host).unwrap();
    let adapter = Adapter::opened(object, |_| ());
    let (cq, _) = adapter.create_cq(8).unwrap();
    (object, adapter, cq)
}

/// ADP-06: every allocation of an open fails once.
#[test]
fn an_open_without_memory_says_so_and_leaves_nothing() {
    let host = alone(&Shape::plain(0, 1));
    let mut failed = 0;
    for after in 0.. {
        host.machine.nt.pool.fail_after(after);
        let before = host.machine.nt.pool.live().len();
        let opened = open(&host);
        let allocations = host.machine.nt.pool.live().len() - before;
        match opened {
            Err(status) => {
                assert_eq!((status, allocations), (NDIS_STATUS_RESOURCES, 0), "allocation {after}");
                failed += 1;
            }
            Ok(adapter) => {
                close(&host, adapter);
                assert_eq!(host.machine.nt.pool.live().len(), before);
                break;
            }
        }
    }
    assert!(failed > 0, "an open needs memory");
    gone(&host);
}

/// ADP-09: between the request and the event an open yields an adapter that the disable waits for; from the event on it yields
/// none.
#[test]
fn an_open_beside_a_disable_is_waited_for_or_refused() {
    let host = alone(&Shape::plain(0, 1));
    for _ in 0..3 {
        let early = open(&host).unwrap();
        assert_eq!(request_state(&host, false), STATUS_SUCCESS);
        let late = open(&host).unwrap();
        host.settle();
        assert_eq!((host.tcpip.seen().ndk, open(&host)), (false, Err(NDIS_STATUS_ADAPTER_NOT_READY)));
        for adapter in [late, early] {
            assert!(!host.machine.sched.waits().is_empty(), "the disable does not wait for its adapters");
            close(&host, adapter);
            host.settle();
            assert_eq!(open(&host), Err(NDIS_STATUS_ADAPTER_NOT_READY));
        }
        assert!(host.machine.sched.waits().is_empty());
        assert_eq!(set_state(&host, true), STATUS_SUCCESS);
    }
    gone(&host);
}

/// ADP-14, ADP-17: closes that wait keep neither each other, nor a disable, nor what they wait for from going on.
#[test]
fn many_closes_wait_at_once_and_each_ends_with_its_own_objects() {
    let host = alone(&Shape::plain(0, 1));
    let adapters: Vec<_> = (0..8).map(|_| with_cq(&host)).collect();
    let done: Vec<_> = adapters.iter().map(|(object, ..)| closing(&host, *object)).collect();
    assert_eq!(set_state(&host, false), STATUS_SUCCESS);
    // The first close and the last one are over first; objects can still be made meanwhile.
    let mut left: Vec<_> = adapters.into_iter().enumerate().collect();
    while !left.is_empty() {
        let (number, (_, adapter, cq)) = left.remove(if left.len() % 2 == 0 { 0 } else { left.len() - 1 });
        let (another, _) = adapter.create_cq(8).unwrap();
        cq.close();
        host.settle();
        assert!(!done[number].load(Ordering::SeqCst), "a CQ is still open");
        another.close();
        host.settle();
        assert!(done[number].load(Ordering::SeqCst));
        assert_eq!(done.iter().filter(|one| !one.load(Ordering::SeqCst)).count(), left.len());
    }
    assert!(host.machine.sched.waits().is_empty(), "{:?}", host.machine.sched.waits());
    assert_eq!(host.tcpip.seen().ndk_events, 1);
    gone(&host);
}

/// ADP-15, ADP-16: when the close has returned the last callback has, and a peer that goes on talking causes none.
#[test]
fn no_callback_comes_after_the_close_of_an_adapter() {
    let mut bed = pair(2);
    let Pair { client, server, active, passive, listener, server_events, .. } = Pair::new(&mut bed);
    let (events, notified) = (server_events, server.notified);
    for number in 0..4 {
        server.qp.receive(number, &[server.sge(0, 8)]).unwrap();
        client.qp.send(number, &[client.sge(0, 8)], 0).unwrap();
    }
    server.cq.arm();
    listener.close();
    passive.close();
    let ledger = server.adapter.ledger;
    server.close(&mut bed);
    assert_eq!(ledger.outstanding(), 0, "every close completion has come");
    let heard = (events.load(Ordering::SeqCst), notified.load(Ordering::SeqCst));
    let _ = client.qp.send(9, &[client.sge(0, 8)], 0);
    active.close();
    client.close(&mut bed);
    assert_eq!((events.load(Ordering::SeqCst), notified.load(Ordering::SeqCst)), heard);
    ends(bed);
}
