//! Pause, power and link of both edges while RDMA and TCP/IP use the driver: in every order, with sends out, for short and long.
//!
//! What is done to a host is a script on a kernel thread of its own, beside a transfer over RDMA and one over TCP.

use ndk_types::*;
use sim_harness::bed::{Bed, ipv4};
use sim_harness::conformance::pair::{Pair, VERSION, pass, results};
use sim_harness::consumer::{Adapter, Failed};
use sim_harness::demo;
use sim_harness::image;
use sim_harness::kernel::Machine;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::companion::Companion;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::ndis::adapters::Edge;
use sim_harness::kernel::ndis::{bindings, miniports, oids};
use sim_harness::kernel::nic::{Behaviour, Completion, Oids, Order};
use sim_harness::wire::Manners;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

const MS: u64 = 1_000_000;

fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| std::fs::read(image::build(false).unwrap()).unwrap())
}

/// Two hosts whose NICs behave like this.
fn bed(seed: u64, behave: impl Fn(&mut Behaviour)) -> ImageBed {
    let shapes = [0, 1].map(|number| {
        let mut shape = Shape::plain(number, seed);
        behave(&mut shape.nic);
        shape
    });
    ImageBed::of(image(), seed, &shapes).unwrap()
}

/// Both go, and nothing is held against them.
fn ends(mut bed: ImageBed) {
    let hosts = bed.hosts.clone();
    assert!(bed.run_until(|| hosts.iter().all(|host| host.nic.outstanding() == (0, 0))));
    assert_eq!(bed.end(), Vec::<String>::new());
}

/// What can be done to one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    PauseLower,
    RestartLower,
    PauseUpper,
    RestartUpper,
    /// NetEventSetPower.
    SleepLower,
    WakeLower,
    /// OID_PNP_QUERY_POWER and OID_PNP_SET_POWER.
    SleepUpper,
    WakeUpper,
    /// So many virtual milliseconds pass.
    Wait(u64),
}

use Act::{PauseLower, PauseUpper, RestartLower, RestartUpper, SleepLower, SleepUpper, Wait, WakeLower, WakeUpper};

/// NetEventSetPower.
fn set_power(machine: &Arc<Machine>, binding: usize, state: NET_DEVICE_POWER_STATE) {
    assert_eq!(bindings::set_power(machine, binding, state), NDIS_STATUS_SUCCESS);
}

fn do_one(machine: &Arc<Machine>, instance: usize, binding: usize, act: Act) {
    let power = |kind, oid, state: NDIS_DEVICE_POWER_STATE| {
        let answer = oids::request(machine, instance, kind, oid, &state.to_ne_bytes());
        assert_eq!(answer.status, NDIS_STATUS_SUCCESS, "{act:?}");
    };
    match act {
        PauseLower => bindings::pause(machine, binding),
        RestartLower => bindings::restart(machine, binding),
        PauseUpper => miniports::pause(machine, instance),
        RestartUpper => miniports::restart(machine, instance),
        SleepLower => set_power(machine, binding, NetDeviceStateD3),
        WakeLower => set_power(machine, binding, NetDeviceStateD0),
        SleepUpper => {
            power(NdisRequestQueryInformation, OID_PNP_QUERY_POWER, NdisDeviceStateD3);
            power(NdisRequestSetInformation, OID_PNP_SET_POWER, NdisDeviceStateD3);
        }
        WakeUpper => power(NdisRequestSetInformation, OID_PNP_SET_POWER, NdisDeviceStateD0),
        Wait(ms) => {
            machine.wait("a while", Some(ms * MS), || false);
        }
    }
}

/// Does all of it, one after the other, on a kernel thread; the flag is set at the end.
fn script(host: &Arc<Host>, acts: &[Act]) -> Arc<AtomicBool> {
    let (machine, done) = (host.machine.clone(), Arc::new(AtomicBool::new(false)));
    let instance = host.instance().expect("an instance");
    let binding = machine.ndis.adapters.binding_of(host.nic_handle).expect("a binding");
    let (acts, inner, over) = (acts.to_vec(), machine.clone(), done.clone());
    machine.thread("a script", move || {
        for act in acts {
            do_one(&inner, instance, binding, act);
        }
        over.store(true, Ordering::SeqCst);
    });
    done
}

/// Does all of it, and lets the world go on until it is done.
fn perform(bed: &mut ImageBed, host: usize, acts: &[Act]) {
    let done = script(&bed.hosts[host].clone(), acts);
    assert!(bed.run_until(|| done.load(Ordering::SeqCst)), "{acts:?}: {:?}", bed.hosts[host].machine.sched.waits());
}

/// The bed with TCP beside what runs on it.
struct Busy<'a> {
    bed: &'a mut ImageBed,
    tcp: Companion,
}

impl Bed for Busy<'_> {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        self.bed.open(host, version)
    }

    fn step(&mut self) -> bool {
        self.tcp.work(&self.bed.hosts);
        self.bed.step()
    }

    fn now(&self) -> u64 {
        self.bed.now()
    }

    fn set_manners(&mut self, host: usize, manners: Manners) {
        self.bed.set_manners(host, manners);
    }

    fn limits(&self) -> ndk_provider::limits::Limits {
        self.bed.limits()
    }
}

/// A file of `size` bytes there and back by RDMA, and TCP both ways; `watch` is told the bytes that RDMA moved, and all of
/// it arrives.
fn transfers(bed: &mut ImageBed, size: usize, watch: impl FnMut(u64)) {
    let mut watch = watch;
    let file: Vec<u8> = (0..size).map(|place| ((place * 31) >> 3) as u8).collect();
    let addresses = [ipv4(0), ipv4(1)];
    let tcp = Companion::new([0, 1], addresses, 64 << 10, 1);
    let adapters = [0, 1].map(|host| bed.open(host, VERSION).expect("an adapter"));
    let mut busy = Busy { bed, tcp };
    let moved = demo::transfer(&mut busy, adapters, addresses, &file, |bytes| {
        watch(bytes);
        true
    });
    let moved = moved.expect("a transfer");
    assert!(moved.back == file && moved.leaks == 0, "what came back is another file, or something is left");
    while !busy.tcp.is_done() {
        assert!(busy.step(), "TCP does not go on: {}", busy.tcp.state());
    }
    assert!(busy.tcp.is_good());
}

/// Both transfers, with this done to a host as soon as the first bytes have moved.
fn under_load(bed: &mut ImageBed, host: usize, acts: &[Act]) {
    let hosts = bed.hosts.clone();
    let mut done = None;
    transfers(bed, 2 << 20, |moved| {
        if moved > 0 && done.is_none() {
            done = Some(script(&hosts[host], acts));
        }
    });
    let done = done.expect("bytes moved");
    assert!(bed.run_until(|| done.load(Ordering::SeqCst)), "{acts:?}: {:?}", hosts[host].machine.sched.waits());
}

/// Every order of two sequences that keeps each one's own.
fn interleavings(left: &[Act], right: &[Act]) -> Vec<Vec<Act>> {
    let after = |head: Act, rest: Vec<Vec<Act>>| rest.into_iter().map(move |tail| [vec![head], tail].concat());
    match (left, right) {
        ([], rest) | (rest, []) => vec![rest.to_vec()],
        ([first, left @ ..], [second, others @ ..]) => {
            let one = after(*first, interleavings(left, right));
            one.chain(after(*second, interleavings(&[&[*first], left].concat(), others))).collect()
        }
    }
}

/// The same with a pause of two milliseconds after each.
fn with_time_between(acts: &[Act]) -> Vec<Act> {
    acts.iter().flat_map(|&act| [act, Wait(2)]).collect()
}

/// W-08
#[test]
fn a_binding_that_pauses_again_and_again_under_load_loses_nothing() {
    let mut bed = bed(1, |_| ());
    let again: Vec<Act> = (1..20).flat_map(|turn| [PauseLower, Wait(turn % 4), RestartLower, Wait(1)]).collect();
    for host in 0..2 {
        under_load(&mut bed, host, &again);
    }
    ends(bed);
}

/// W-08
#[test]
fn an_upper_edge_that_pauses_stops_tcp_and_not_rdma() {
    let mut bed = bed(2, |_| ());
    let host = bed.hosts[0].clone();
    let instance = host.instance().unwrap();
    let (mut done, mut moved_in_pause, mut start) = (None, 0, 0);
    transfers(&mut bed, 8 << 20, |moved| {
        if moved > 0 && done.is_none() {
            done = Some(script(&host, &[PauseUpper, Wait(3), RestartUpper]));
            start = moved;
        }
        if host.machine.ndis.adapters.edge(instance) == Some(Edge::Paused) {
            moved_in_pause = moved - start;
        }
    });
    assert!(moved_in_pause > 0, "RDMA waits for the upper edge");
    ends(bed);
}

/// W-08
#[test]
fn the_two_edges_pause_and_restart_in_every_order() {
    let mut bed = bed(3, |_| ());
    for order in interleavings(&[PauseLower, RestartLower], &[PauseUpper, RestartUpper]) {
        under_load(&mut bed, 0, &with_time_between(&order));
    }
    ends(bed);
}

/// W-08: a pause is complete when the last send is back, in whatever order the NIC gives them.
#[test]
fn a_pause_waits_for_sends_that_come_back_late_and_in_reverse() {
    for order in [Order::Reverse, Order::Seeded] {
        let mut bed = bed(4, |nic| {
            (nic.order, nic.one_by_one) = (order, true);
            nic.completion = Completion::Late { lists: 40, delay: 3 * MS };
            nic.pause = MS;
        });
        let again: Vec<Act> = (0..5).flat_map(|_| [PauseLower, Wait(1), RestartLower, Wait(3)]).collect();
        under_load(&mut bed, 0, &again);
        ends(bed);
    }
}

/// W-08: a NIC that sends nothing holds the pause, and the pause holds nothing else.
#[test]
fn while_a_pause_waits_for_a_stalled_nic_the_rest_goes_on() {
    let mut bed = bed(5, |_| ());
    let pair = Pair::new(&mut bed);
    let host = bed.hosts[0].clone();
    host.nic.behave(|nic| nic.stalled = true);
    pair.client.qp.send(1, &[pair.client.sge(0, 64)], 0).unwrap();
    assert!(host.nic.outstanding().1 > 0);
    pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
    let done = script(&host, &[PauseLower, RestartLower]);
    pass(&mut bed, 50);
    assert!(!done.load(Ordering::SeqCst), "a pause is complete with sends out");
    assert_eq!(host.machine.sched.waits(), ["NdisCompleteNetPnPEvent"]);
    let statistics = oids::request(
        &host.machine,
        host.instance().unwrap(),
        NdisRequestQueryInformation,
        OID_GEN_STATISTICS,
        &[0; 152],
    );
    assert_eq!(statistics.status, NDIS_STATUS_SUCCESS);
    host.nic.behave(|nic| nic.stalled = false);
    host.run_due();
    assert!(bed.run_until(|| done.load(Ordering::SeqCst)));
    let sent = results(&mut bed, &pair.client, 1_000);
    assert_eq!(sent.iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS]);
    pair.close(&mut bed);
    ends(bed);
}

/// W-08: "Handling a Set Power Request" promises no order between the edges, nor between power and pause.
#[test]
fn power_and_pause_of_each_edge_come_in_every_order() {
    let mut bed = bed(6, |_| ());
    for order in interleavings(&[PauseLower, RestartLower], &[SleepLower, WakeLower]) {
        under_load(&mut bed, 0, &with_time_between(&order));
    }
    for order in interleavings(&[PauseUpper, RestartUpper], &[SleepUpper, WakeUpper]) {
        under_load(&mut bed, 0, &with_time_between(&order));
    }
    ends(bed);
}

/// W-08
#[test]
fn both_edges_sleep_and_wake_in_every_order() {
    let mut bed = bed(7, |nic| nic.completion = Completion::Late { lists: 8, delay: MS });
    let lower = [SleepLower, PauseLower, RestartLower, WakeLower];
    let upper = [PauseUpper, SleepUpper, WakeUpper, RestartUpper];
    for order in interleavings(&lower, &upper).into_iter().step_by(5) {
        under_load(&mut bed, 0, &with_time_between(&order));
    }
    ends(bed);
}

/// W-08: NetEventSetPower is complete when neither sends nor requests are below, and a NIC that sleeps is asked for nothing.
#[test]
fn a_nic_goes_to_sleep_after_its_last_send_and_request_and_is_left_alone() {
    let mut bed = bed(8, |_| ());
    let pair = Pair::new(&mut bed);
    let host = bed.hosts[0].clone();
    let instance = host.instance().unwrap();
    host.nic.behave(|nic| {
        nic.completion = Completion::Late { lists: 1000, delay: 5 * MS };
        nic.oids = Oids::Pending(20 * MS);
    });
    let filter = move |machine: &Arc<Machine>| {
        let filter = NDIS_PACKET_TYPE_DIRECTED.to_ne_bytes();
        oids::request(machine, instance, NdisRequestSetInformation, OID_GEN_CURRENT_PACKET_FILTER, &filter).status
    };
    let (asking, answered) = (host.machine.clone(), Arc::new(AtomicBool::new(false)));
    let good = answered.clone();
    host.machine.thread("a request", move || good.store(filter(&asking) == NDIS_STATUS_SUCCESS, Ordering::SeqCst));
    pair.client.qp.send(1, &[pair.client.sge(0, 64)], 0).unwrap();
    pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
    let asleep = script(&host, &[SleepLower]);
    assert!(bed.run_until(|| host.nic.outstanding().1 == 0));
    assert!(!asleep.load(Ordering::SeqCst), "the NIC sleeps with a request of ours");
    assert!(bed.run_until(|| asleep.load(Ordering::SeqCst)));
    assert!(answered.load(Ordering::SeqCst));
    assert_eq!(filter(&host.machine), NDIS_STATUS_LOW_POWER_STATE);
    perform(&mut bed, 0, &[WakeLower]);
    host.nic.behave(|nic| nic.oids = Oids::Inline);
    assert_eq!(filter(&host.machine), NDIS_STATUS_SUCCESS);
    let sent = results(&mut bed, &pair.client, 1_000);
    assert_eq!(sent.iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS]);
    pair.close(&mut bed);
    ends(bed);
}

/// W-08: an upper edge that sleeps says nothing, and says what it missed when it wakes.
#[test]
fn what_happens_to_the_link_in_its_sleep_an_instance_tells_when_it_wakes() {
    let mut bed = bed(9, |_| ());
    let host = bed.hosts[0].clone();
    perform(&mut bed, 0, &[PauseUpper, SleepUpper]);
    let before = host.tcpip.seen().statuses;
    host.nic.set_link(&host.machine, false);
    host.nic.set_mtu(&host.machine, 1200);
    assert_eq!(host.tcpip.seen().statuses, before);
    perform(&mut bed, 0, &[WakeUpper, RestartUpper]);
    let seen = host.tcpip.seen();
    assert_eq!((seen.connected, seen.mtu), (false, 1200));
    host.nic.set_link(&host.machine, true);
    assert!(host.tcpip.seen().connected);
    host.settle();
    let pair = Pair::new(&mut bed);
    pair.close(&mut bed);
    ends(bed);
}

/// W-08, T-30: while our own binding is paused no retry counts, however long that is.
#[test]
fn a_request_under_way_outlives_a_minute_of_pause_or_sleep_of_its_own_nic() {
    for (down, up) in [(PauseLower, RestartLower), (SleepLower, WakeLower)] {
        let mut bed = bed(10, |_| ());
        let pair = Pair::new(&mut bed);
        pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
        perform(&mut bed, 0, &[down]);
        pair.client.qp.send(1, &[pair.client.sge(0, 64)], 0).unwrap();
        let early = results(&mut bed, &pair.client, 60_000);
        assert!(early.is_empty(), "{:?}", early.iter().map(|result| result.Status).collect::<Vec<_>>());
        perform(&mut bed, 0, &[up]);
        let sent = results(&mut bed, &pair.client, 10_000);
        assert_eq!(sent.iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS], "{down:?}");
        assert_eq!(pair.client_events.load(Ordering::SeqCst), 0);
        pair.close(&mut bed);
        ends(bed);
    }
}

/// T-30: a peer that sleeps longer than patience lasts is gone; one that naps is not.
#[test]
fn a_connection_survives_a_nap_of_its_peer_and_ends_in_a_long_sleep() {
    for (ms, survives) in [(200, true), (60_000, false)] {
        let mut bed = bed(11, |_| ());
        let pair = Pair::new(&mut bed);
        pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
        let asleep = script(&bed.hosts[1].clone(), &[SleepLower, PauseLower, Wait(ms), RestartLower, WakeLower]);
        bed.hosts[1].settle();
        pair.client.qp.send(1, &[pair.client.sge(0, 64)], 0).unwrap();
        let sent = results(&mut bed, &pair.client, 70_000);
        assert!(asleep.load(Ordering::SeqCst));
        assert_eq!(
            sent.iter().map(|result| result.Status == STATUS_SUCCESS).collect::<Vec<_>>(),
            [survives],
            "{ms} ms"
        );
        assert_eq!(pair.client_events.load(Ordering::SeqCst) == 0, survives);
        pair.close(&mut bed);
        transfers(&mut bed, 100_000, |_| ());
        ends(bed);
    }
}

/// PNP-10
#[test]
fn a_link_that_flaps_under_load_costs_time_and_nothing_else() {
    let mut bed = bed(12, |_| ());
    let hosts = bed.hosts.clone();
    let mut flaps = 0;
    transfers(&mut bed, 4 << 20, |moved| {
        if moved > flaps << 19 {
            flaps += 1;
            let host = hosts[flaps as usize % 2].clone();
            let inner = host.clone();
            host.machine.thread("a flap", move || {
                inner.nic.set_link(&inner.machine, false);
                inner.machine.wait("the cable", Some(2 * MS), || false);
                inner.nic.set_link(&inner.machine, true);
            });
        }
    });
    assert!(flaps > 4);
    ends(bed);
}

/// T-30: buffers have the size they were made with, so a larger MTU waits for the next bind; nobody is told of it before.
#[test]
fn a_larger_mtu_of_the_nic_changes_nothing_until_the_next_bind() {
    let mut bed = bed(13, |_| ());
    let hosts = bed.hosts.clone();
    let mut grown = false;
    transfers(&mut bed, 2 << 20, |moved| {
        if moved > 0 && !std::mem::replace(&mut grown, true) {
            for host in &hosts {
                host.nic.set_mtu(&host.machine, 9000);
            }
        }
    });
    assert!(grown);
    assert!(hosts.iter().all(|host| host.tcpip.seen().mtu == 1500));
    transfers(&mut bed, 100_000, |_| ());
    ends(bed);
}

/// D1: the MTU above is what both the NIC and `*JumboPacket` carry; RDMA's is no more, and no more than its own keyword.
#[test]
fn whatever_the_nic_and_the_keywords_say_of_frames_both_kinds_of_traffic_pass() {
    let all = [
        (1500, "9014", "4096"),
        (4000, "1514", "256"),
        (4000, "4088", "2048"),
        (9000, "9014", "4096"),
        (9000, "4088", "1024"),
    ];
    for (mtu, jumbo, frame) in all {
        let shapes = [0, 1].map(|number| {
            let mut shape = Shape { mtu, ..Shape::plain(number, 14) };
            shape.set("*JumboPacket", jumbo);
            shape.set("*NetworkDirectRoCEFrameSize", frame);
            shape
        });
        let mut bed = ImageBed::of(image(), 14, &shapes).unwrap();
        let above = mtu.min(jumbo.parse::<u32>().unwrap() - 14);
        assert!(bed.hosts.iter().all(|host| host.tcpip.seen().mtu == above), "{mtu} {jumbo}");
        transfers(&mut bed, 200_000, |_| ());
        ends(bed);
    }
}
