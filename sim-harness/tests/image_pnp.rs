//! PNP: NDK is switched on and off, devices and NICs come and go, links fail; what consumers of the loaded image see of it.

mod on_image;

use ndk_types::*;
use on_image::{VERSION, alone, ends, gone, pair, request_state, set_state};
use sim_harness::bed::{Bed, ipv4, ipv6};
use sim_harness::conformance::pair::{Pair, pass, results, smb, wait};
use sim_harness::consumer::{Adapter, Failed};
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::host::{Host, INDEX, Shape};
use sim_harness::kernel::ndis::{bindings, miniports, pnp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a disable waits for, in the words of the kernel.
const WAIT: &str = "the NDK_ADAPTERs of a disabled interface";

fn waits(host: &Host) -> bool {
    host.machine.sched.waits().iter().any(|what| what == WAIT)
}

fn not_ready(bed: &mut ImageBed) -> bool {
    bed.open(0, VERSION).err() == Some(Failed("OpenNDKAdapter", NDIS_STATUS_ADAPTER_NOT_READY))
}

/// A message goes each way.
fn talk(bed: &mut ImageBed, pair: &Pair) {
    for (from, to) in [(&pair.client, &pair.server), (&pair.server, &pair.client)] {
        to.qp.receive(1, &[to.sge(0, 3000)]).unwrap();
        from.qp.send(2, &[from.sge(0, 3000)], 0).unwrap();
        assert_eq!(results(bed, to, 5).iter().map(|result| result.Status).collect::<Vec<_>>(), [STATUS_SUCCESS]);
        assert_eq!(from.cq.poll().len(), 1);
    }
}

/// PNP-01, PNP-03, PNP-04, PNP-05, PNP-06: a disable waits for every adapter; what is open works on, and nothing more opens.
/// (That nothing opens from the event on, and not only after it, NDIS tries at each event.)
#[test]
fn a_disable_waits_for_its_consumers_whose_objects_go_on_working() {
    let mut bed = pair(1);
    let host = bed.hosts[0].clone();
    let other = bed.open(0, VERSION).unwrap();
    let pair = Pair::new(&mut bed);
    talk(&mut bed, &pair);
    assert_eq!(set_state(&host, false), STATUS_SUCCESS);
    assert!(waits(&host) && not_ready(&mut bed));
    assert_eq!((host.tcpip.seen().ndk, host.tcpip.seen().ndk_events), (false, 1));
    talk(&mut bed, &pair);
    // A flush, and a disconnect.
    pair.client.qp.receive(7, &[pair.client.sge(0, 8)]).unwrap();
    pair.client.qp.flush();
    pass(&mut bed, 1);
    let flushed: Vec<_> = pair.client.cq.poll().iter().map(|result| result.Status).collect();
    assert_eq!(flushed, [STATUS_CANCELLED]);
    let leaving = pair.active.disconnect();
    pair.passive.disconnect();
    assert_eq!(wait(&mut bed, leaving), STATUS_SUCCESS);
    // New objects of an adapter that is open, and connections of them.
    let (cq, _) = other.create_cq(8).unwrap();
    cq.close();
    pair.close(&mut bed);
    host.settle();
    assert!(waits(&host) && not_ready(&mut bed), "one adapter is left");
    other.close();
    host.settle();
    assert!(!waits(&host) && not_ready(&mut bed));
    assert_eq!(host.tcpip.seen().ndk_events, 1);
    ends(bed);
}

/// PNP-13: after a disable and an enable everything works as at first, at the same ports.
#[test]
fn a_port_that_was_listened_on_before_a_disable_is_free_after_it() {
    let mut bed = pair(2);
    for round in 1..4 {
        let pair = Pair::new(&mut bed);
        talk(&mut bed, &pair);
        let hosts = bed.hosts.clone();
        for host in &hosts {
            assert_eq!(set_state(host, false), STATUS_SUCCESS);
            assert!(waits(host));
        }
        pair.close(&mut bed);
        for host in &hosts {
            assert!(!waits(host));
            assert_eq!(set_state(host, true), STATUS_SUCCESS);
            assert_eq!((host.tcpip.seen().ndk, host.tcpip.seen().ndk_events), (true, 2 * round));
        }
    }
    ends(bed);
}

/// PNP-07, PNP-08, PNP-15: a keyword is looked at when the instance is made again, and protocols above see what then holds.
#[test]
fn a_keyword_takes_effect_with_the_next_initialisation_and_not_before() {
    let host = alone(&Shape::plain(0, 1));
    for (value, before, after) in [("0", true, false), ("0", false, false), ("1", false, true), ("1", true, true)] {
        host.set_keyword("*NetworkDirect", value);
        let instance = host.instance().unwrap();
        assert_eq!(set_state(&host, true) == STATUS_SUCCESS, before);
        assert_eq!(pnp::is_ndk_enabled(&host.machine, instance), before);
        miniports::disable_device(&host.machine, &host.device);
        host.settle();
        miniports::enable_device(&host.machine, &host.device);
        host.settle();
        let instance = host.instance().expect("an instance");
        assert_eq!((pnp::is_ndk_enabled(&host.machine, instance), host.tcpip.seen().ndk), (after, after));
        let opened = pnp::open_ndk_adapter(&host.machine, INDEX, VERSION);
        assert_eq!(opened.is_ok(), after);
        if let Ok(adapter) = opened {
            pnp::close_ndk_adapter(&host.machine, adapter);
        }
    }
    assert_eq!(host.tcpip.seen().ndk_events, 0);
    gone(&host);
}

/// PNP-02, PNP-09: the NIC goes; NDK is disabled by the same event, and the halt waits until its consumers are gone.
#[test]
fn a_nic_that_goes_disables_ndk_before_the_instance_is_halted() {
    let mut bed = pair(3);
    let host = bed.hosts[0].clone();
    let pair = Pair::new(&mut bed);
    bindings::remove_nic(&host.machine, host.nic_handle);
    host.settle();
    assert!(waits(&host) && not_ready(&mut bed) && host.instance().is_some());
    assert_eq!((host.tcpip.seen().ndk, host.tcpip.seen().ndk_events), (false, 1));
    // Whoever asks for NDK now gets none: the NIC is gone for good.
    assert_eq!(set_state(&host, true), STATUS_SUCCESS);
    pair.close(&mut bed);
    assert!(bed.run_until(|| host.instance().is_none()), "{:?}", host.machine.sched.waits());
    assert_eq!(host.tcpip.seen().ndk_events, 1);
    ends(bed);
}

/// PNP-09: a device that is disabled under an open adapter is halted when that is closed, and its objects work until then.
#[test]
fn a_device_that_is_disabled_is_halted_when_its_consumers_are_gone() {
    let mut bed = pair(4);
    let host = bed.hosts[0].clone();
    let adapter = bed.open(0, VERSION).unwrap();
    miniports::disable_device(&host.machine, &host.device);
    host.settle();
    assert!(host.instance().is_some());
    assert_eq!(adapter.info().unwrap().Version, VERSION);
    let (cq, _) = adapter.create_cq(8).unwrap();
    cq.close();
    adapter.close();
    assert!(bed.run_until(|| host.instance().is_none()), "{:?}", host.machine.sched.waits());
    ends(bed);
}

/// Opens, and closes with nothing under it but what `use_it` leaves.
fn with_adapter(bed: &mut ImageBed, use_it: impl FnOnce(&mut ImageBed, &Adapter)) {
    let adapter = bed.open(0, VERSION).unwrap();
    use_it(bed, &adapter);
    adapter.close();
}

/// PNP-10: a cable that is pulled out breaks connections in the end, and everything can be closed.
#[test]
fn a_link_that_fails_ends_connections_and_leaves_their_objects_to_be_closed() {
    let mut bed = pair(5);
    let host = bed.hosts[0].clone();
    let pair = Pair::new(&mut bed);
    pair.client.qp.receive(1, &[pair.client.sge(0, 8)]).unwrap();
    host.machine.enter(|| host.nic.set_link(&host.machine, false));
    host.settle();
    pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
    let events = pair.client_events;
    assert!(bed.run_until(|| events.load(Ordering::SeqCst) == 1), "the connection stands");
    pass(&mut bed, 10);
    let all = pair.client.cq.poll();
    assert_eq!(all.len(), 2, "what was posted is completed");
    assert!(all.iter().all(|result| result.Status != STATUS_SUCCESS));
    assert_eq!(events.load(Ordering::SeqCst), 1);
    pair.close(&mut bed);
    // And with the cable back everything is as before.
    host.machine.enter(|| host.nic.set_link(&host.machine, true));
    host.settle();
    let pair = Pair::new(&mut bed);
    talk(&mut bed, &pair);
    pair.close(&mut bed);
    ends(bed);
}

/// PNP-11: the device is gone, and no frame leaves any more. Whatever is pending is completed or closed without one.
#[test]
fn after_a_surprise_removal_every_request_ends_and_every_close_finishes() {
    for silent in [false, true] {
        let mut bed = pair(6);
        let host = bed.hosts[0].clone();
        let pair = Pair::new(&mut bed);
        pair.client.qp.receive(1, &[pair.client.sge(0, 8)]).unwrap();
        host.nic.behave(|nic| nic.stalled = silent);
        pair.client.qp.send(2, &[pair.client.sge(0, 8)], 0).unwrap();
        let second = pair.client.adapter.create_connector().unwrap();
        let qp = pair.client.pd.create_qp(&pair.client.cq, 8, 2, 0).unwrap();
        let connecting = second.connect(&qp, ipv4(0), smb(1), 1, b"");
        let instance = host.instance().unwrap();
        pnp::device_event(&host.machine, instance, NdisDevicePnPEventSurpriseRemoved);
        host.settle();
        assert!(waits(&host) && not_ready(&mut bed));
        assert_eq!(host.tcpip.seen().ndk_events, 1);
        second.close();
        qp.close();
        if let Some(passive) = pair.listener.take() {
            passive.close();
        }
        pair.close(&mut bed);
        assert!(connecting.status().is_some(), "the connect never ends");
        assert!(bed.run_until(|| !waits(&host)));
        // NDK stays off whatever is asked.
        assert_eq!(set_state(&host, true), STATUS_SUCCESS);
        assert!(not_ready(&mut bed));
        host.nic.behave(|nic| nic.stalled = false);
        bindings::remove_nic(&host.machine, host.nic_handle);
        assert!(bed.run_until(|| host.instance().is_none()));
        ends(bed);
    }
}

/// PNP-12: whatever the work item has still to do when the instance goes, it is done before the halt is over.
#[test]
fn a_change_that_is_under_way_is_over_before_the_halt_is() {
    let ways: [fn(&Arc<Host>); 3] = [
        |_| (),
        |host| bindings::remove_nic(&host.machine, host.nic_handle),
        |host| miniports::disable_device(&host.machine, &host.device),
    ];
    for go in ways {
        for states in [&[false][..], &[false, true], &[false, true, false]] {
            let host = alone(&Shape::plain(0, 1));
            for &on in states {
                assert_eq!(request_state(&host, on), STATUS_SUCCESS);
            }
            // Nothing of it has run.
            assert_eq!(host.tcpip.seen().ndk_events, 0);
            go(&host);
            gone(&host);
        }
    }
}

/// PNP-14: an address that is taken from the interface is nobody's to listen on or to connect from.
#[test]
fn an_address_that_is_removed_can_be_used_no_more_until_it_is_back() {
    let mut bed = pair(7);
    let hosts = bed.hosts.clone();
    let luid = hosts[0].tcpip.adapter().unwrap().luid;
    with_adapter(&mut bed, |bed, adapter| {
        for (address, to) in [(ipv4(0), ipv4(1)), (ipv6(0), ipv6(1))] {
            for there in [true, false, true] {
                let ip = &hosts[0].machine.netio.ip_helper;
                if there {
                    ip.add_address(luid, address, if address.is_ipv4() { 24 } else { 64 }, IpDadStatePreferred);
                } else {
                    ip.remove_address(luid, address);
                }
                hosts[0].settle();
                let refused = (!there).then_some(Failed("NdkListen", STATUS_INVALID_ADDRESS));
                let listener = adapter.listen(SocketAddr::new(address, 700));
                assert_eq!(listener.as_ref().err(), refused.as_ref(), "{address}");
                if let Ok(listener) = listener {
                    listener.close();
                }
                let (cq, _) = adapter.create_cq(8).unwrap();
                let pd = adapter.create_pd().unwrap();
                let (qp, connector) = (pd.create_qp(&cq, 8, 1, 0).unwrap(), adapter.create_connector().unwrap());
                let connecting = connector.connect(&qp, address, SocketAddr::new(to, 700), 1, b"");
                let status = wait(bed, connecting);
                assert_eq!(status == STATUS_INVALID_ADDRESS, !there, "{address}: {status:#x}");
                connector.close();
                qp.close();
                pd.close();
                cq.close();
            }
        }
        while adapter.ledger.outstanding() != 0 {
            assert!(bed.step());
        }
    });
    ends(bed);
}
