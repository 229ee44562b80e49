//! Consumers on threads of their own, against natively built providers whose frames, timers and deferred calls run on
//! another: what one thread can't show.

use ndk_provider::limits::Limits;
use ndk_provider::port::Port;
use ndk_provider::shared::Shared;
use ndk_types::*;
use sim_harness::bed::{Bed, LIMITS, NativeBed};
use sim_harness::conformance::pair::{Host, Pair, VERSION};
use sim_harness::consumer::{Adapter, Failed};
use sim_harness::platform::SimPlatform;
use sim_harness::wire::Manners;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Virtual time does not run ahead of the consumers: beyond this many nanoseconds the world's thread pauses first.
const STRIDE: u64 = 50_000;

/// Two hosts whose world runs on a thread of its own.
struct ThreadBed {
    ports: Vec<Shared<Port<SimPlatform>>>,
    clock: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    world: Option<JoinHandle<()>>,
}

impl ThreadBed {
    fn new() -> Self {
        let (give, take) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let world = thread::spawn(move || {
            let mut world = NativeBed::new(7).world;
            let ports: Vec<_> = (0..2).map(|host| world.port(host).clone()).collect();
            (0..2).for_each(|host| world.node(host).wait_for_others());
            give.send((ports, world.clock())).expect("somebody waits for the ports");
            while !stopped.load(Ordering::SeqCst) {
                world.settle();
                if world.next_at().is_none_or(|at| at > world.now() + STRIDE) {
                    thread::sleep(Duration::from_micros(20));
                }
                world.step();
            }
        });
        let (ports, clock) = take.recv().expect("the world starts");
        Self { ports, clock, stop, world: Some(world) }
    }
}

impl Drop for ThreadBed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(world) = self.world.take() {
            let _ = world.join();
        }
    }
}

impl Bed for ThreadBed {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        Adapter::open_version(&self.ports[host], version)
    }

    fn step(&mut self) -> bool {
        thread::yield_now();
        true
    }

    fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    fn set_manners(&mut self, _host: usize, _manners: Manners) {}

    fn limits(&self) -> Limits {
        LIMITS
    }
}

/// A reference to something whose NDK functions may be called on any thread, as NDK says.
struct Anywhere<T>(T);

// SAFETY: handles are pointers to objects of the provider, which NDK lets any thread use; what a test must serialise it does.
unsafe impl<T> Send for Anywhere<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Anywhere<T> {}

/// ADP-14, ADP-15, ADP-16, ADP-17, LT-10, CN-44: closing an adapter waits for everything under it, while the completions run on
/// another thread.
#[test]
fn closing_an_adapter_waits_for_closes_that_other_threads_complete() {
    let mut bed = ThreadBed::new();
    for round in 0..30 {
        let Pair { client, server, active, passive, listener, .. } = Pair::new(&mut bed);
        server.qp.receive(1, &[server.sge(0, 64)]).unwrap();
        client.qp.send(2, &[client.sge(0, 60_000)], 0).unwrap();
        if round % 2 == 0 {
            thread::yield_now();
        }
        listener.close();
        active.close();
        passive.close();
        for host in [client, server] {
            let Host { adapter, cq, pd, qp, lam, .. } = host;
            pd.close();
            cq.close();
            qp.close();
            adapter.release_lam(lam);
            let ledger = adapter.ledger;
            // No wait for the closes before: this is the wait.
            adapter.close();
            assert_eq!(ledger.outstanding(), 0, "round {round}: something of it was open");
        }
    }
}

/// QP-11, QP-12, QP-13, WR-50, COM-20: receives and sends are posted by two threads, a third flushes at some moment; whatever was
/// taken comes back once.
#[test]
fn posts_that_race_with_a_flush_fail_or_complete_once() {
    let mut bed = ThreadBed::new();
    for round in 0..300_u32 {
        let pair = Pair::new(&mut bed);
        let client = Anywhere(&pair.client);
        let (client, go) = (&client, &AtomicBool::new(false));
        let post = |base: usize, receive: bool| {
            move || {
                while !go.load(Ordering::SeqCst) {
                    std::hint::spin_loop();
                }
                let host = client.0;
                let posted = |number: &usize| {
                    let sgl = [host.sge(0, 8)];
                    let taken = if receive { host.qp.receive(*number, &sgl) } else { host.qp.send(*number, &sgl, 0) };
                    taken.is_ok()
                };
                (base..base + 8).filter(posted).collect::<Vec<_>>()
            }
        };
        let (mut taken, mut done) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let posters = [scope.spawn(post(0, false)), scope.spawn(post(1000, true))];
            go.store(true, Ordering::SeqCst);
            for _ in 0..round % 100 * 8 {
                std::hint::spin_loop();
            }
            client.0.qp.flush();
            // Receives are taken after the flush too, and come back at once.
            let mut drain = || {
                done.extend(client.0.cq.poll().iter().map(|result| result.RequestContext.addr()));
                thread::yield_now();
            };
            while posters.iter().any(|poster| !poster.is_finished()) {
                drain();
            }
            for poster in posters {
                taken.extend(poster.join().expect("a poster"));
            }
        });
        while done.len() < taken.len() {
            done.extend(pair.client.cq.poll().iter().map(|result| result.RequestContext.addr()));
            thread::yield_now();
        }
        done.sort_unstable();
        taken.sort_unstable();
        assert_eq!(done, taken, "round {round}");
        thread::sleep(Duration::from_micros(200));
        assert!(pair.client.cq.poll().is_empty(), "round {round}: one came twice");
        pair.close(&mut bed);
    }
}

/// CQ-48, CQ-28, T-06: a consumer that sleeps until it is notified misses nothing.
#[test]
fn no_wake_up_is_lost_between_arming_and_completions() {
    let mut bed = ThreadBed::new();
    let pair = Pair::new(&mut bed);
    const MESSAGES: usize = 400;
    let (client, server) = (Anywhere(&pair.client), Anywhere(&pair.server));
    thread::scope(|scope| {
        let server = &server;
        let receiver = scope.spawn(move || {
            let host = server.0;
            let (mut received, mut posted, mut notified) = (0, 0, 0);
            while received < MESSAGES {
                while posted < MESSAGES.min(received + 8) {
                    host.qp.receive(posted, &[host.sge(0, 8)]).unwrap();
                    posted += 1;
                }
                host.cq.arm();
                let found = host.cq.poll().len();
                received += found;
                if found > 0 {
                    continue;
                }
                // Nothing there after the arm: from here on only the callback wakes us.
                while host.notified.load(Ordering::SeqCst) == notified {
                    thread::yield_now();
                }
                notified = host.notified.load(Ordering::SeqCst);
            }
        });
        let host = client.0;
        let (mut sent, mut done) = (0, 0);
        while done < MESSAGES {
            if sent < MESSAGES && host.qp.send(sent, &[host.sge(0, 8)], 0).is_ok() {
                sent += 1;
            }
            done += host.cq.poll().iter().inspect(|result| assert_eq!(result.Status, STATUS_SUCCESS)).count();
        }
        receiver.join().expect("the receiver");
    });
    pair.close(&mut bed);
}

/// ADP-09, PNP-06: opens that race with a disable either count for it or are refused.
#[test]
fn an_open_that_races_with_a_disable_is_waited_for_or_refused() {
    let mut bed = ThreadBed::new();
    for round in 0..200 {
        let port = bed.ports[0].clone();
        let opened = thread::scope(|scope| {
            let opener = scope.spawn(|| {
                Port::open_adapter(&port, VERSION).map(Anywhere).is_ok_and(|adapter| {
                    // SAFETY: opened by this port, closed here once.
                    unsafe { Port::close_adapter(&port, adapter.0) };
                    true
                })
            });
            let open = port.disable();
            assert!(open <= 1, "round {round}");
            assert!(port.wait_for_closed_adapters(), "round {round}");
            assert_eq!(port.open_adapters(), 0, "round {round}: an adapter is open after the disable");
            opener.join().expect("the opener")
        });
        assert!(matches!(Port::open_adapter(&port, VERSION), Err(NDIS_STATUS_ADAPTER_NOT_READY)), "{opened}");
        port.enable();
    }
    bed.open(0, VERSION).unwrap().close();
}
