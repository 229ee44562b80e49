//! The driver image between NDIS's two edges: bind, initialisation, traffic, unbind, and every half-way failure.

use sim_harness::bed::{ipv4, ipv6};
use sim_harness::image;
use sim_harness::kernel::host::{Host, HostStation, Shape};
use sim_harness::kernel::ndis::adapters::Edge;
use sim_harness::wire::Manners;
use sim_harness::world::World;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

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
            pongs.borrow_mut().extend(hosts[0].tcpip.with(|stack| stack.pongs()).unwrap());
            pongs.borrow().contains(&address)
        });
    }
    for host in &hosts {
        assert_eq!(host.unload(), 0);
        assert_eq!(host.machine.verifier.take(), []);
    }
}
