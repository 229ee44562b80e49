//! NICs, devices and the driver itself that go while consumers use them, at every moment of a connection, and come back.

use ndk_types::*;
use sim_harness::bed::{Bed, ipv4};
use sim_harness::conformance::pair::{Host as End, Pair, VERSION, arrival, pass, results, smb};
use sim_harness::demo;
use sim_harness::dice::Dice;
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::irql::{self, Irql};
use sim_harness::kernel::ndis::adapters::{Choices, Edge};
use sim_harness::kernel::ndis::{bindings, data_path, miniports, oids, pnp};
use sim_harness::kernel::nic::SimNic;
use sim_harness::kernel::nt::registry::Value;
use sim_harness::wire::Manners;
use std::sync::{Arc, OnceLock};

/// A wire that nothing gets through.
const CUT: Manners = Manners { loss: 1.0, ..Manners::GOOD };

fn image() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| std::fs::read(image::build(false).unwrap()).unwrap())
}

fn bed(seed: u64) -> ImageBed {
    ImageBed::new(image(), seed).unwrap()
}

/// Nothing is held against the two so far.
fn is_clean(bed: &ImageBed, what: &str) {
    for host in &bed.hosts {
        assert_eq!(host.machine.verifier.violations(), [], "{what}: {}", host.machine.name);
    }
}

/// Both go, and nothing is held against them.
fn ends(mut bed: ImageBed, what: &str) {
    let hosts = bed.hosts.clone();
    assert!(bed.run_until(|| hosts.iter().all(|host| host.nic.outstanding() == (0, 0))));
    assert_eq!(bed.end(), Vec::<String>::new(), "{what}");
}

/// OID_NDK_SET_STATE, of which nothing follows yet.
fn set_ndk(host: &Host, enabled: bool) {
    let instance = host.instance().expect("an instance");
    let ask =
        || oids::request(&host.machine, instance, NdisRequestSetInformation, OID_NDK_SET_STATE, &[u8::from(enabled)]);
    assert_eq!(irql::at(Irql::Passive, ask).0.status, NDIS_STATUS_SUCCESS);
}

/// The NIC is pulled out; what follows takes as long as consumers do.
fn pull(host: &Host) {
    bindings::remove_nic(&host.machine, host.nic_handle);
    host.settle();
}

fn is_unbound(host: &Host) -> bool {
    host.machine.ndis.adapters.binding_of(host.nic_handle).is_none() && host.instance().is_none()
}

fn unbound(bed: &mut ImageBed, host: usize, what: &str) {
    let host = bed.hosts[host].clone();
    let over = || {
        let bound = host.machine.ndis.adapters.binding_of(host.nic_handle).is_some();
        assert!(bound || host.instance().is_none(), "{what}: the binding goes before the miniport over it");
        is_unbound(&host)
    };
    assert!(bed.run_until(over), "{what}: {}", host.machine.sched.waits().join("; "));
}

/// The NIC is put in again.
fn put_back(bed: &mut ImageBed, host: usize) {
    let host = bed.hosts[host].clone();
    bindings::add_nic(&host.machine, host.nic_handle, host.nic.clone());
    host.settle();
    assert!(bed.run_until(|| host.instance().is_some()), "the NIC that is back has no miniport");
}

/// RDMA and TCP/IP between the two.
fn works(bed: &mut ImageBed) {
    let host = bed.hosts[0].clone();
    // A stack that does not know its neighbour yet asks, and loses what it had to say.
    let answered = (0..4).any(|turn| {
        host.tcpip.with(|stack| stack.ping(ipv4(1), turn)).expect("a binding");
        pass(bed, 1_100);
        host.tcpip.with(|stack| stack.pongs().contains(&ipv4(1))).expect("a binding")
    });
    assert!(answered, "no answer to a ping");
    let pair = Pair::new(bed);
    exchange(bed, &pair);
    pair.close(bed);
}

/// A message from the client to the server.
fn exchange(bed: &mut ImageBed, pair: &Pair) {
    pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
    pair.client.qp.send(1, &[pair.client.sge(0, 64)], 0).unwrap();
    let sent = results(bed, &pair.client, 100);
    assert_eq!(sent.iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS]);
    assert_eq!(pair.server.cq.poll().len(), 1);
}

/// What consumers are in the middle of; each is closed by the closure, whatever became of it.
type Leave = Box<dyn FnOnce(&mut ImageBed)>;
type Moment = (&'static str, fn(&mut ImageBed) -> Leave);

fn nothing(_: &mut ImageBed) -> Leave {
    Box::new(|_| ())
}

fn listening(bed: &mut ImageBed) -> Leave {
    let (client, server) = (End::new(bed, 0), End::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    Box::new(move |bed| {
        listener.close();
        client.close(bed);
        server.close(bed);
    })
}

/// Somebody is asked for whom nobody answers.
fn resolving(bed: &mut ImageBed) -> Leave {
    let client = End::new(bed, 0);
    let active = client.adapter.create_connector().unwrap();
    let _connecting = active.connect(&client.qp, ipv4(0), smb(8), 4, b"hi");
    pass(bed, 1);
    Box::new(move |bed| {
        active.close();
        client.close(bed);
    })
}

fn connecting(bed: &mut ImageBed) -> Leave {
    let (client, server) = (End::new(bed, 0), End::new(bed, 1));
    let listener = server.adapter.listen(smb(1)).unwrap();
    let active = client.adapter.create_connector().unwrap();
    let _connecting = active.connect(&client.qp, ipv4(0), smb(1), 4, b"hi");
    let passive = arrival(bed, &listener);
    Box::new(move |bed| {
        listener.close();
        active.close();
        passive.close();
        client.close(bed);
        server.close(bed);
    })
}

fn leave(pair: Pair) -> Leave {
    Box::new(move |bed| {
        (0..2).for_each(|host| bed.set_manners(host, Manners::GOOD));
        pair.close(bed);
    })
}

fn idle(bed: &mut ImageBed) -> Leave {
    let pair = Pair::new(bed);
    exchange(bed, &pair);
    leave(pair)
}

fn reading(bed: &mut ImageBed) -> Leave {
    let pair = Pair::new(bed);
    (0..2).for_each(|host| bed.set_manners(host, CUT));
    let token = pair.server.token;
    pair.client.qp.read(1, &[pair.client.sge(0, 4096)], pair.server.lam.address(0), token, 0).unwrap();
    pair.client.qp.receive(2, &[pair.client.sge(8192, 64)]).unwrap();
    pair.server.qp.receive(3, &[pair.server.sge(8192, 64)]).unwrap();
    pass(bed, 5);
    leave(pair)
}

fn disconnecting(bed: &mut ImageBed) -> Leave {
    let pair = Pair::new(bed);
    (0..2).for_each(|host| bed.set_manners(host, CUT));
    let _disconnecting = pair.active.disconnect();
    pass(bed, 5);
    leave(pair)
}

fn ndk_off(bed: &mut ImageBed) -> Leave {
    for host in bed.hosts.clone() {
        set_ndk(&host, false);
        host.settle();
    }
    nothing(bed)
}

fn disable_pending(bed: &mut ImageBed) -> Leave {
    let leave = idle(bed);
    for host in bed.hosts.clone() {
        set_ndk(&host, false);
        host.settle();
    }
    leave
}

fn disable_in_flight(bed: &mut ImageBed) -> Leave {
    let leave = idle(bed);
    bed.hosts.iter().for_each(|host| set_ndk(host, false));
    leave
}

fn enable_in_flight(bed: &mut ImageBed) -> Leave {
    let leave = ndk_off(bed);
    bed.hosts.iter().for_each(|host| set_ndk(host, true));
    leave
}

const MOMENTS: [Moment; 11] = [
    ("nothing", nothing),
    ("listening", listening),
    ("resolving", resolving),
    ("connecting", connecting),
    ("connected and idle", idle),
    ("a READ and receives outstanding", reading),
    ("disconnecting", disconnecting),
    ("NDK off", ndk_off),
    ("a disable pending", disable_pending),
    ("a disable in flight", disable_in_flight),
    ("an enable in flight", enable_in_flight),
];

/// Whether NDK is on at both again, as it is after a start.
fn ndk_on(bed: &mut ImageBed) {
    for host in bed.hosts.clone() {
        let instance = host.instance().expect("an instance");
        if !pnp::is_ndk_enabled(&host.machine, instance) {
            set_ndk(&host, true);
            host.settle();
        }
    }
}

/// W-07, PNP-10, PNP-11, PNP-13
#[test]
fn a_nic_that_goes_at_any_moment_is_let_go_and_works_when_it_is_back() {
    let mut bed = bed(1);
    for (what, moment) in MOMENTS {
        for host in 0..2 {
            let leave = moment(&mut bed);
            pull(&bed.hosts[host].clone());
            assert!(bed.open(host, VERSION).is_err(), "{what}: an adapter is opened over a NIC that goes");
            leave(&mut bed);
            unbound(&mut bed, host, what);
            put_back(&mut bed, host);
            ndk_on(&mut bed);
            works(&mut bed);
            is_clean(&bed, what);
        }
    }
    ends(bed, "all of it");
}

/// W-05, W-07: an unload waits for consumers, and they close when they are told.
#[test]
fn a_driver_is_unloaded_at_any_moment() {
    let mut bed = bed(2);
    for (what, moment) in MOMENTS {
        let leave = moment(&mut bed);
        let host = bed.hosts[0].clone();
        let unload = host.begin_unload();
        host.settle();
        leave(&mut bed);
        assert!(bed.run_until(|| unload.left().is_some()), "{what}: {}", host.machine.sched.waits().join("; "));
        assert_eq!(host.left_by(&unload), 0, "{what}");
        is_clean(&bed, what);
        host.start(image()).unwrap();
        ndk_on(&mut bed);
        works(&mut bed);
    }
    ends(bed, "all of it");
}

/// PNP-11: nothing of the device is waited for but its consumers, and a device that is back is a new one.
#[test]
fn a_device_that_is_removed_by_surprise_or_disabled_takes_its_consumers_with_it() {
    let mut bed = bed(3);
    for surprise in [true, false] {
        for (what, moment) in MOMENTS {
            let leave = moment(&mut bed);
            let host = bed.hosts[0].clone();
            let instance = host.instance().unwrap();
            if surprise {
                irql::at(Irql::Passive, || {
                    pnp::device_event(&host.machine, instance, NdisDevicePnPEventSurpriseRemoved);
                });
            }
            miniports::disable_device(&host.machine, &host.device);
            host.settle();
            leave(&mut bed);
            assert!(bed.run_until(|| host.instance().is_none()), "{what}: {}", host.machine.sched.waits().join("; "));
            miniports::enable_device(&host.machine, &host.device);
            host.settle();
            assert!(host.instance().is_some(), "{what}: a device that is enabled has no miniport");
            ndk_on(&mut bed);
            works(&mut bed);
            is_clean(&bed, what);
        }
    }
    ends(bed, "all of it");
}

/// W-07: whoever of the two comes first, the binding goes after the miniport.
#[test]
fn a_nic_goes_while_its_virtual_device_is_disabled() {
    let mut bed = bed(4);
    for device_first in [true, false] {
        for (what, moment) in MOMENTS {
            let leave = moment(&mut bed);
            let host = bed.hosts[0].clone();
            let disable = || miniports::disable_device(&host.machine, &host.device);
            let remove = || bindings::remove_nic(&host.machine, host.nic_handle);
            if device_first {
                disable();
                remove();
            } else {
                remove();
                disable();
            }
            host.settle();
            leave(&mut bed);
            unbound(&mut bed, 0, what);
            irql::at(Irql::Passive, || miniports::start_device(&host.machine, &host.device));
            put_back(&mut bed, 0);
            ndk_on(&mut bed);
            works(&mut bed);
            is_clean(&bed, what);
        }
    }
    ends(bed, "all of it");
}

/// W-01: NdisIMCancelInitializeDeviceInstance, and an initialisation that comes beside the unbind.
#[test]
fn a_nic_goes_before_its_miniport_is_initialised() {
    let started = |shape: Shape| ImageBed::of(image(), 5, &[shape, Shape::plain(1, 5)]).unwrap();
    let mut bed = started(Shape { device_started: false, ..Shape::plain(0, 5) });
    let host = bed.hosts[0].clone();
    assert!(host.instance().is_none() && host.machine.ndis.adapters.binding_of(host.nic_handle).is_some());
    pull(&host);
    unbound(&mut bed, 0, "never started");
    host.machine.enter(|| miniports::start_device(&host.machine, &host.device));
    put_back(&mut bed, 0);
    works(&mut bed);
    ends(bed, "never started");

    let choices = Choices { initialise_later: true, close_pends: true, ..Choices::default() };
    let mut bed = started(Shape { choices, ..Shape::plain(0, 6) });
    let host = bed.hosts[0].clone();
    for turn in 0..3 {
        pull(&host);
        unbound(&mut bed, 0, "initialised later");
        // Both begin before either ends.
        bindings::add_nic(&host.machine, host.nic_handle, host.nic.clone());
        if turn > 0 {
            bindings::remove_nic(&host.machine, host.nic_handle);
        }
        host.settle();
        if turn > 0 {
            unbound(&mut bed, 0, "in the middle of its initialisation");
            put_back(&mut bed, 0);
        }
    }
    works(&mut bed);
    ends(bed, "initialised later");
}

/// W-07, PNP-03, PNP-04: the work item waits for the consumers and nobody else does.
#[test]
fn consumers_that_do_not_close_hold_up_the_removal_and_nothing_else() {
    let mut bed = bed(7);
    let pair = Pair::new(&mut bed);
    let host = bed.hosts[0].clone();
    let instance = host.instance().unwrap();
    pull(&host);
    pass(&mut bed, 60_000);
    assert!(!is_unbound(&host));
    // NDIS, the driver's work item that unbinds, and the one that announces.
    let waits = host.machine.sched.waits();
    let known = ["the completion of an unbind", "the NDK_ADAPTERs of a disabled interface"];
    assert!(waits.len() == 3 && known.iter().all(|&one| waits.iter().any(|wait| wait == one)), "{waits:?}");
    let description = irql::at(Irql::Passive, || {
        let room = [0; 64];
        oids::request(&host.machine, instance, NdisRequestQueryInformation, OID_GEN_VENDOR_DESCRIPTION, &room)
    });
    assert_eq!(description.0.status, NDIS_STATUS_SUCCESS);
    miniports::pause(&host.machine, instance);
    assert_eq!(host.machine.ndis.adapters.edge(instance), Some(Edge::Paused));
    miniports::restart(&host.machine, instance);
    // Existing objects still work, as far as they can without a NIC.
    assert!(pair.client.qp.receive(9, &[pair.client.sge(0, 64)]).is_ok() || pair.client.cq.poll().is_empty());
    pair.close(&mut bed);
    unbound(&mut bed, 0, "after the close");
    put_back(&mut bed, 0);
    works(&mut bed);
    ends(bed, "consumers that took their time");
}

/// W-20: lists that TCP/IP keeps are the NIC's, which waits for them.
#[test]
fn a_nic_goes_when_what_it_indicated_is_back() {
    let mut bed = bed(8);
    works(&mut bed);
    let host = bed.hosts[0].clone();
    host.tcpip.keep_lists();
    host.tcpip.with(|stack| stack.ping(ipv4(1), 8)).expect("a binding");
    assert!(bed.run_until(|| host.nic.outstanding().0 > 0));
    pull(&host);
    pass(&mut bed, 1_000);
    assert_eq!(host.machine.sched.waits(), ["the lists a NIC indicated"]);
    host.tcpip.release(&host.machine);
    host.settle();
    unbound(&mut bed, 0, "after the return");
    put_back(&mut bed, 0);
    works(&mut bed);
    ends(bed, "lists that were kept");
}

/// D1: a NIC is restarted for a new MAC address, and ours is the same.
#[test]
fn a_new_mac_address_of_the_nic_is_the_miniports_too() {
    let mut bed = bed(9);
    let host = bed.hosts[0].clone();
    let leave = idle(&mut bed);
    pull(&host);
    leave(&mut bed);
    unbound(&mut bed, 0, "a new MAC address");
    let mac = [2, 0, 0, 0, 9, 9];
    host.nic.set_mac(mac);
    put_back(&mut bed, 0);
    assert_eq!(host.tcpip.adapter().expect("a binding").mac, mac);
    works(&mut bed);
    ends(bed, "a new MAC address");
}

/// W-02: a virtual miniport has one NIC; a second one that names it is refused and disturbs nobody.
#[test]
fn a_second_nic_with_the_same_pairing_is_refused() {
    let mut bed = bed(10);
    let host = bed.hosts[0].clone();
    let pair = Pair::new(&mut bed);
    let attributes = SimNic::ethernet([2, 0, 0, 0, 0, 77], 21);
    let pairing = Value::MultiSz(vec![host.device.clone()]);
    host.machine.nt.registry.set(&bindings::key_of(&attributes.name), "UpperBindings", pairing);
    let (second, number) = (SimNic::new(attributes, 10), bindings::nic_handle(&host.machine));
    second.attach(Arc::new(data_path::Up(number)));
    bindings::add_nic(&host.machine, number, second);
    host.settle();
    assert_eq!(host.machine.ndis.adapters.binding_of(number), None);
    exchange(&mut bed, &pair);
    pair.close(&mut bed);
    works(&mut bed);
    ends(bed, "a second NIC");
}

/// NdisMNetPnPEvent that fails tells nobody; consumers close of their own.
#[test]
fn a_disable_that_cannot_be_announced_waits_for_consumers_all_the_same() {
    let mut bed = bed(11);
    let pair = Pair::new(&mut bed);
    let host = bed.hosts[0].clone();
    let told = host.tcpip.seen().ndk_events;
    host.machine.fail_once("NdisMNetPnPEvent");
    pull(&host);
    assert_eq!((host.tcpip.seen().ndk_events, is_unbound(&host)), (told, false));
    pair.close(&mut bed);
    unbound(&mut bed, 0, "an event that fails");
    put_back(&mut bed, 0);
    works(&mut bed);
    ends(bed, "an event that fails");
}

/// W-07: an unbind needs no memory.
#[test]
fn a_nic_goes_without_memory() {
    let mut bed = bed(12);
    for after in 0..12 {
        let leave = idle(&mut bed);
        let host = bed.hosts[0].clone();
        host.machine.nt.pool.fail_after(after);
        pull(&host);
        leave(&mut bed);
        unbound(&mut bed, 0, "without memory");
        host.machine.nt.pool.fail_after(u64::MAX >> 1);
        put_back(&mut bed, 0);
        works(&mut bed);
        is_clean(&bed, &format!("without allocation {after}"));
    }
    ends(bed, "all of it");
}

/// The driver may fail a call or lose a frame; it breaks no rule and leaves nothing.
#[test]
fn allocations_that_fail_in_the_middle_of_a_transfer_cost_a_call_or_a_frame() {
    let (mut bed, mut dice) = (bed(13), Dice::new(13, 0x706f_6f6c));
    let hosts = bed.hosts.clone();
    let failures = |host: &Host| host.machine.nt.pool.failures();
    let mut armed = hosts.iter().map(|host| failures(host)).collect::<Vec<_>>();
    for turn in 0..8 {
        let file = vec![turn; 1 << 20];
        let adapters = [0, 1].map(|host| bed.open(host, VERSION).unwrap());
        let outcome = demo::transfer(&mut bed, adapters, [ipv4(0), ipv4(1)], &file, |_| {
            for (number, host) in hosts.iter().enumerate() {
                if failures(host) == armed[number] {
                    armed[number] += 1;
                    host.machine.nt.pool.fail_after(dice.below(60));
                    host.tcpip.with(|stack| stack.ping(ipv4(1 - number), 1));
                }
            }
            true
        });
        match outcome {
            Ok(moved) => assert!(moved.back == file && moved.leaks == 0),
            Err(trouble) => assert!(matches!(trouble, demo::Trouble::Failed(_)), "{trouble}"),
        }
        is_clean(&bed, &format!("transfer {turn}"));
        // One that is still to come would fail a call of what follows.
        for host in &hosts {
            host.machine.nt.pool.fail_after(u64::MAX >> 1);
        }
        armed = hosts.iter().map(|host| failures(host)).collect();
    }
    let failed: u64 = hosts.iter().map(|host| failures(host)).sum();
    assert!(failed > 20, "only {failed} allocations failed");
    works(&mut bed);
    ends(bed, "all of it");
}
