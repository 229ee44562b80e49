//! The driver image over a NIC that does everything a miniport may do: whatever that is, ordinary traffic and RDMA cross the
//! driver both ways, the driver goes without leaving anything behind, and no rule is broken.

use ndk_types::{NDIS_STATUS_NOT_SUPPORTED, NDK_VERSION, OID_TCP_OFFLOAD_PARAMETERS};
use sim_harness::bed::{Bed, ipv4, ipv6};
use sim_harness::conformance::AREAS;
use sim_harness::demo;
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::nic::{Behaviour, Completion, Oids, Order, Pieces, Resources};
use sim_harness::wire::Verdict;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

/// Two hosts on a wire, driver and all, whose NICs behave like this from the start.
fn pair(seed: u64, behave: impl Fn(&mut Behaviour)) -> ImageBed {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = IMAGE.get_or_init(|| std::fs::read(image::build(false).unwrap()).unwrap());
    let shapes = [0, 1].map(|number| {
        let mut shape = Shape::plain(number, seed);
        behave(&mut shape.nic);
        shape
    });
    ImageBed::of(bytes, seed, &shapes).unwrap()
}

fn ping(bed: &mut ImageBed, to: IpAddr, sequence: u16) {
    let host = bed.hosts[0].clone();
    host.tcpip.with(|stack| stack.ping(to, sequence)).expect("a binding");
    let answered = || host.tcpip.with(|stack| stack.pongs().contains(&to)).expect("a binding");
    assert!(bed.run_until(answered), "no answer from {to}");
}

/// A file goes there and back over RDMA.
fn transfer(bed: &mut ImageBed, bytes: usize) {
    let file: Vec<u8> = (0..bytes).map(|place| ((place * 31) >> 3) as u8).collect();
    let version = NDK_VERSION { Major: 2, Minor: 1 };
    let adapters = [0, 1].map(|host| bed.open(host, version).expect("an adapter"));
    let moved = demo::transfer(bed, adapters, [ipv4(0), ipv4(1)], &file, |_| true).expect("a transfer");
    assert!(moved.back == file, "what came back is another file");
    assert_eq!(moved.leaks, 0);
}

/// Both go, and nothing is held against them; what the NICs still have comes back while they go.
fn ends(bed: ImageBed) {
    let hosts = bed.hosts.clone();
    assert_eq!(bed.end(), Vec::<String>::new());
    for host in hosts {
        assert_eq!((host.nic.outstanding(), host.tcpip.seen().failed), ((0, 0), 0));
    }
}

/// Pings over both protocols, and a file over RDMA, with NICs that behave like this.
fn traffic_crosses(behave: impl Fn(&mut Behaviour)) {
    let mut bed = pair(1, behave);
    let hosts = bed.hosts.clone();
    assert!(bed.run_until(|| hosts.iter().all(|host| host.instance().is_some())));
    for sequence in 0..2 {
        for address in [ipv4(1), ipv6(1)] {
            ping(&mut bed, address, sequence);
        }
    }
    transfer(&mut bed, 100_000);
    ends(bed);
}

/// W-20
#[test]
fn lists_indicated_with_resources_are_gone_when_the_indication_returns() {
    traffic_crosses(|nic| nic.resources = Resources::Always);
    traffic_crosses(|nic| nic.resources = Resources::From(2));
}

/// T-34
#[test]
fn frames_in_pieces_of_any_size_are_whole_above() {
    traffic_crosses(|nic| nic.pieces = Pieces::Bytes);
    traffic_crosses(|nic| nic.pieces = Pieces::At(vec![1, 13, 14, 15, 33, 41, 42, 53, 54]));
    traffic_crosses(|nic| nic.pieces = Pieces::Seeded(9));
}

/// W-08, W-20
#[test]
fn sends_that_complete_late_and_out_of_order_complete_above_once_each() {
    for order in [Order::Sent, Order::Reverse, Order::Seeded] {
        traffic_crosses(|nic| {
            (nic.order, nic.one_by_one) = (order, order == Order::Seeded);
            nic.completion = Completion::Late { lists: 30, delay: 200_000 };
        });
    }
    traffic_crosses(|nic| nic.completion = Completion::Late { lists: 3, delay: 0 });
}

/// W-07, W-08: a pause and an unbind wait for the sends that are below.
#[test]
fn a_driver_goes_when_its_sends_are_back_and_not_before() {
    let mut bed = pair(9, |_| ());
    ping(&mut bed, ipv4(1), 0);
    for host in bed.hosts.clone() {
        host.nic.behave(|nic| nic.completion = Completion::Late { lists: 100, delay: 50_000_000 });
        host.tcpip.with(|stack| stack.ping(ipv4(1), 1)).expect("a binding");
        host.settle();
    }
    assert_eq!(bed.hosts[0].nic.outstanding(), (0, 1));
    let before = bed.world.now();
    let world = bed.world.clock();
    ends(bed);
    assert!(world.load(Ordering::SeqCst) >= before + 50_000_000, "the driver did not wait");
}

/// OID-04, W-04, W-07
#[test]
fn requests_to_the_nic_that_pend_are_waited_for() {
    traffic_crosses(|nic| nic.oids = Oids::Pending(0));
    traffic_crosses(|nic| nic.oids = Oids::Pending(70_000));
}

/// W-23
#[test]
fn a_nic_that_refuses_to_switch_coalescing_off_is_used_all_the_same() {
    traffic_crosses(|nic| {
        nic.refused.insert(OID_TCP_OFFLOAD_PARAMETERS, NDIS_STATUS_NOT_SUPPORTED);
    });
}

/// Every behaviour at once.
fn worst(nic: &mut Behaviour) {
    nic.resources = Resources::From(3);
    nic.pieces = Pieces::Seeded(12);
    nic.completion = Completion::Late { lists: 12, delay: 100_000 };
    nic.order = Order::Seeded;
    nic.oids = Oids::Pending(0);
    nic.vlan = true;
}

#[test]
fn the_worst_nic_is_a_nic() {
    for seed in 1..=3 {
        let mut bed = pair(seed, worst);
        ping(&mut bed, ipv6(1), 0);
        transfer(&mut bed, 100_000);
        ends(bed);
    }
}

/// What consumers may count on holds over the worst NIC too, as far as it moves data.
#[test]
fn consumers_see_nothing_of_what_a_nic_does() {
    let mut failed = Vec::new();
    for (area, cases) in AREAS.iter().filter(|(area, _)| ["wr", "wr_flags", "srq", "com"].contains(area)) {
        for case in *cases {
            let run = || {
                let mut bed = pair(5, worst);
                (case.run)(&mut bed);
                ends(bed);
            };
            if std::panic::catch_unwind(run).is_err() {
                failed.push(format!("{area}::{}", case.name));
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

/// W-20, T-33: frames with a tag beside them are RoCEv2 all the same, and are answered with the same tag.
#[test]
fn rdma_is_answered_with_the_tag_it_came_with() {
    let mut bed = pair(6, |nic| nic.vlan = true);
    // UserPriority 3, VlanId 100.
    bed.hosts[0].nic.behave(|nic| nic.own_tag = 3 | 100 << 4);
    let tags = Arc::new(Mutex::new(BTreeMap::new()));
    let seen = tags.clone();
    bed.world.set_rule(1, move |_: u64, frame: &[u8], _: u64| {
        let tag = (frame[12..14] == [0x81, 0]).then(|| [frame[14], frame[15]]);
        let udp = frame.get(if tag.is_some() { 38..42 } else { 34..38 });
        if udp.is_some_and(|ports| ports.ends_with(&4791_u16.to_be_bytes())) {
            *seen.lock().unwrap().entry(tag).or_insert(0) += 1;
        }
        Verdict::Pass
    });
    transfer(&mut bed, 10_000);
    let tags = std::mem::take(&mut *tags.lock().unwrap());
    assert_eq!(tags.keys().collect::<Vec<_>>(), [&Some([0x60, 100])], "{tags:?}");
    ends(bed);
}

/// W-08
#[test]
fn what_waits_in_a_stalled_nic_goes_on_afterwards() {
    let mut bed = pair(3, |_| ());
    ping(&mut bed, ipv4(1), 0);
    let host = bed.hosts[0].clone();
    host.nic.behave(|nic| nic.stalled = true);
    host.tcpip.with(|stack| stack.ping(ipv4(1), 1)).expect("a binding");
    assert!(bed.run_until(|| host.nic.outstanding().1 > 0));
    host.nic.behave(|nic| nic.stalled = false);
    host.run_due();
    assert!(bed.run_until(|| host.tcpip.with(|stack| stack.pongs().contains(&ipv4(1))).expect("a binding")));
    ends(bed);
}

/// W-08
#[test]
fn a_link_that_goes_and_comes_is_known_above_and_traffic_goes_on() {
    let mut bed = pair(4, |_| ());
    ping(&mut bed, ipv4(1), 0);
    let host: Arc<Host> = bed.hosts[0].clone();
    host.nic.set_link(&host.machine, false);
    assert!(!host.tcpip.seen().connected);
    host.nic.set_link(&host.machine, true);
    assert!(host.tcpip.seen().connected);
    ping(&mut bed, ipv4(1), 1);
    transfer(&mut bed, 10_000);
    ends(bed);
}

/// W-08
#[test]
fn a_smaller_mtu_of_the_nic_is_known_above_and_obeyed_by_what_starts_afterwards() {
    let mut bed = pair(7, |_| ());
    transfer(&mut bed, 10_000);
    let hosts = bed.hosts.clone();
    for host in &hosts {
        host.nic.set_mtu(&host.machine, 1000);
        assert_eq!(host.tcpip.seen().mtu, 1000);
    }
    ping(&mut bed, ipv4(1), 0);
    transfer(&mut bed, 10_000);
    ends(bed);
}

/// T-30, W-08: a path MTU is for the life of a connection; what is longer than the NIC takes now is lost, never given to it.
#[test]
fn a_connection_whose_frames_became_too_long_ends_and_breaks_no_rule() {
    let mut bed = pair(8, |_| ());
    let hosts = bed.hosts.clone();
    let version = NDK_VERSION { Major: 2, Minor: 1 };
    let adapters = [0, 1].map(|host| bed.open(host, version).expect("an adapter"));
    let file = vec![7; 2 << 20];
    let mut shrunk = false;
    let outcome = demo::transfer(&mut bed, adapters, [ipv4(0), ipv4(1)], &file, |moved| {
        if moved > 0 && !std::mem::replace(&mut shrunk, true) {
            for host in &hosts {
                host.nic.set_mtu(&host.machine, 600);
            }
        }
        true
    });
    assert!(shrunk && outcome.is_err(), "frames of 1024 bytes crossed a link of 600");
    ends(bed);
}
