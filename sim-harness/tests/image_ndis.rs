//! The driver image between NDIS's two edges: bind, initialisation, traffic, unbind, and every half-way failure.

use ndk_types::*;
use sim_harness::bed::{ipv4, ipv6};
use sim_harness::image;
use sim_harness::kernel::host::{Host, HostStation, Shape};
use sim_harness::kernel::ndis::adapters::{Choices, Edge};
use sim_harness::kernel::ndis::{miniports, oids};
use sim_harness::kernel::verifier::Violation;
use sim_harness::tcpip::Stack;
use sim_harness::wire::Manners;
use sim_harness::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

fn started(shape: &Shape) -> Arc<Host> {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let host = Host::new(shape, Arc::new(AtomicU64::new(0)));
    host.start(&bytes).unwrap();
    host
}

/// W-01, W-04, W-21, W-22, REG-06 to REG-18
#[test]
fn a_nic_that_is_paired_gets_its_virtual_miniport_and_both_edges_run() {
    let host = started(&Shape::plain(0, 1));
    let instance = host.instance().expect("an initialised instance");
    let adapters = &host.machine.ndis.adapters;
    assert_eq!(adapters.edge(instance), Some(Edge::Running));
    let binding = adapters.binding_of(host.nic_handle).unwrap();
    assert_eq!(adapters.binding_edge(binding), Some(Edge::Running));
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

/// Two hosts on a wire, driver and all.
fn pair(seed: u64) -> (World, [Arc<Host>; 2]) {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let mut world = World::new(seed, 1500, Manners::GOOD);
    let hosts = [0, 1].map(|number| Host::new(&Shape::plain(number, seed), world.clock()));
    for host in &hosts {
        world.join(Box::new(HostStation(host.clone())));
        host.start(&bytes).unwrap();
    }
    (world, hosts)
}

fn run(world: &mut World, until: impl Fn() -> bool) {
    for _ in 0..200_000 {
        if until() || !world.step() {
            break;
        }
    }
    assert!(until(), "it does not happen");
}

/// D1: ordinary traffic passes the driver both ways.
#[test]
fn pings_of_tcp_ip_cross_the_driver_over_both_protocols() {
    let (mut world, hosts) = pair(1);
    for address in [ipv4(1), ipv6(1)] {
        hosts[0].tcpip.with(|stack| stack.ping(address, 1)).unwrap();
        let pongs = std::cell::RefCell::new(Vec::new());
        run(&mut world, || {
            pongs.borrow_mut().extend(hosts[0].tcpip.with(Stack::pongs).unwrap());
            pongs.borrow().contains(&address)
        });
    }
    for host in &hosts {
        assert_eq!(host.unload(), 0);
        assert_eq!(host.machine.verifier.take(), []);
    }
}

/// Starts a host on which something fails once, and unloads it. Whether it had an instance, and what was left or broken.
fn half_way(bytes: &[u8], fail: impl FnOnce(&Host)) -> (bool, Vec<Violation>) {
    let host = Host::new(&Shape::plain(0, 1), Arc::new(AtomicU64::new(0)));
    fail(&host);
    let started = host.start(bytes).is_ok();
    let there = host.instance().is_some();
    if started {
        host.unload();
    }
    (there, host.machine.verifier.take())
}

/// The same where nothing may be left or broken. Whether it had an instance.
fn survives(what: &str, bytes: &[u8], fail: impl FnOnce(&Host)) -> bool {
    let (there, broken) = half_way(bytes, fail);
    assert_eq!(broken, [], "{what}");
    there
}

/// W-01, W-02, REG-17: every call of bind and MiniportInitializeEx that can fail fails once.
#[test]
fn a_bind_or_an_initialisation_that_fails_half_way_undoes_what_it_did() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let calls = [
        "NdisOpenAdapterEx",
        "NdisOpenConfigurationEx",
        "NdisReadConfiguration",
        "NdisAllocateIoWorkItem",
        "NdisAllocateNetBufferListPool",
        "NdisAllocateNetBufferPool",
        "NdisIMInitializeDeviceInstanceEx",
        "NdisMSetMiniportAttributes(registration)",
        "NdisMSetMiniportAttributes(general)",
        "NdisMSetMiniportAttributes(NDK)",
        "NotifyUnicastIpAddressChange",
        "BCryptGenRandom",
    ];
    for call in calls {
        assert!(!survives(call, &bytes, |host| host.machine.fail_once(call)), "{call} did not fail");
    }
    assert!(survives("NdisOidRequest", &bytes, |host| host.machine.fail_once("NdisOidRequest")));
}

/// Which allocations of a good start are worth a failure each: the driver's blocks come in runs of the same sizes, and of each
/// pair of sizes that follow each other the first two and the last stand for all.
fn distinct_allocations(bytes: &[u8]) -> Vec<u64> {
    let host = Host::new(&Shape::plain(0, 1), Arc::new(AtomicU64::new(0)));
    let before = host.machine.nt.pool.allocations();
    host.machine.nt.pool.record();
    host.start(bytes).unwrap();
    let history = host.machine.nt.pool.history();
    assert_eq!(host.machine.nt.pool.allocations() - before, history.len() as u64);
    assert_eq!((host.unload(), host.machine.verifier.take()), (0, Vec::new()));
    let mut places: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    let mut last = (0, 0);
    for (place, &asked) in history.iter().enumerate() {
        places.entry((last, asked)).or_default().push(place as u64);
        last = asked;
    }
    let ends = |places: &Vec<u64>| places.iter().take(2).chain(places.last()).copied().collect::<Vec<_>>();
    places.values().flat_map(ends).collect::<BTreeSet<_>>().into_iter().collect()
}

/// W-01, W-04: the same for the allocations of pool.
#[test]
fn without_memory_at_any_moment_of_its_start_the_driver_leaves_nothing() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let (todo, needed) = (distinct_allocations(&bytes), AtomicU64::new(0));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(&after) = todo.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let what = format!("without allocation {after} of the pool");
                    let there = survives(&what, &bytes, |host| host.machine.nt.pool.fail_after(after));
                    needed.fetch_add(u64::from(!there), Ordering::SeqCst);
                }
            });
        }
    });
    let needed = needed.into_inner();
    assert!(needed > 20, "only {needed} of {} allocations matter", todo.len());
}

/// What the tests above rely on: a block that a start gives up half-way and does not free is seen.
#[test]
fn a_block_that_a_start_without_memory_forgets_is_told_at_the_end() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let (there, broken) = half_way(&bytes, |host| {
        host.machine.nt.pool.fail_after(100);
        host.machine.nt.pool.forget_after(10);
    });
    assert!(!there && broken.len() == 1 && broken[0].rule == "leak", "{broken:?}");
}

/// W-02, W-03
#[test]
fn a_nic_that_is_paired_with_nothing_is_left_alone() {
    let shape = Shape { paired: false, ..Shape::plain(0, 1) };
    let host = started(&shape);
    assert_eq!((host.instance(), host.machine.ndis.adapters.binding_of(host.nic_handle)), (None, None));
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

/// W-01: opens and closes that pend, binds from inside the registration, an initialisation that comes later or never.
#[test]
fn whatever_the_pages_leave_open_the_driver_comes_up_and_goes() {
    let all = [true, false];
    for (open_pends, close_pends) in [(false, true), (true, false), (true, true)] {
        for (bind_at_once, initialise_later) in all.iter().flat_map(|&one| all.map(|other| (one, other))) {
            let choices = Choices { open_pends, close_pends, bind_at_once, initialise_later };
            let host = started(&Shape { choices, ..Shape::plain(0, 1) });
            assert!(host.instance().is_some(), "{choices:?}");
            assert_eq!(host.unload(), 0, "{choices:?}");
            assert_eq!(host.machine.verifier.take(), [], "{choices:?}");
        }
    }
    let host = started(&Shape { device_started: false, ..Shape::plain(0, 1) });
    assert_eq!(host.instance(), None);
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
    let host = started(&Shape { device_started: false, ..Shape::plain(0, 1) });
    host.machine.enter(|| miniports::start_device(&host.machine, &host.device));
    host.settle();
    assert!(host.instance().is_some());
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}

/// W-23, W-24
#[test]
fn coalescing_is_switched_off_below_and_receive_side_scaling_is_the_nics() {
    let bytes = std::fs::read(image::build(false).unwrap()).unwrap();
    let host = Host::new(&Shape { rss: true, ..Shape::plain(0, 1) }, Arc::new(AtomicU64::new(0)));
    assert!(host.nic.coalesces());
    host.start(&bytes).unwrap();
    assert!(!host.nic.coalesces());
    let instance = host.instance().unwrap();
    let general = miniports::attributes(&host.machine, instance).unwrap().general.unwrap();
    assert!(general.rss && general.oids.contains(&OID_GEN_RECEIVE_SCALE_PARAMETERS));
    // Whoever is above programs the NIC's table through us.
    let mut parameters = vec![0_u8; usize::from(NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1)];
    parameters[0] = NDIS_OBJECT_TYPE_RSS_PARAMETERS;
    parameters[1] = NDIS_RECEIVE_SCALE_PARAMETERS_REVISION_1;
    parameters[2..4].copy_from_slice(&NDIS_SIZEOF_RECEIVE_SCALE_PARAMETERS_REVISION_1.to_ne_bytes());
    let oid = OID_GEN_RECEIVE_SCALE_PARAMETERS;
    let answer =
        host.machine.enter(|| oids::request(&host.machine, instance, NdisRequestSetInformation, oid, &parameters));
    assert_eq!(answer.status, NDIS_STATUS_SUCCESS);
    assert_eq!(host.nic.receive_scaling(), parameters);
    assert_eq!(host.unload(), 0);
    assert_eq!(host.machine.verifier.take(), []);
}
