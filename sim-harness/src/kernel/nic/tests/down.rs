//! What the driver sends, and when it hears that it was sent.

use super::*;

const OK: NDIS_STATUS = NDIS_STATUS_SUCCESS;

/// The marks that were completed, call by call.
fn marks(told: &[Told]) -> Vec<Vec<u8>> {
    let calls = told.iter().filter_map(|told| if let Told::Sent(lists) = told { Some(lists) } else { None });
    calls.map(|lists| lists.iter().map(|(mark, _)| *mark).collect()).collect()
}

fn wire(bench: &Bench) -> Vec<u8> {
    bench.nic.take_frames().iter().map(|frame| frame[14]).collect()
}

#[test]
fn every_frame_of_a_list_is_on_the_wire_once_and_the_list_is_completed_inside_the_call() {
    let bench = Bench::new();
    let (one, two, three) = (frame(GROUP, 1, 60), frame(EVERYBODY, 2, 1514), frame(MAC, 3, 100));
    let lists = vec![bench.list(&[&one, &two]), bench.list(&[&three])];
    bench.nic.send(&bench.machine, lists);
    assert_eq!(bench.told(), [Told::Sent(vec![(1, OK), (3, OK)])]);
    assert_eq!(bench.nic.take_frames(), [one, two, three]);
    let sent = bench.nic.counters().sent;
    assert_eq!((sent.multicast, sent.broadcast, sent.directed, sent.frames()), (1, 1, 1, 3));
    assert_eq!(bench.broken(), [""; 0]);
}

#[test]
fn short_frames_are_filled_up_unless_told_otherwise() {
    let bench = Bench::new();
    let short = frame(EVERYBODY, 7, 58);
    let list = bench.list(&[&short]);
    bench.nic.send(&bench.machine, vec![list]);
    let sent = bench.nic.take_frames();
    assert_eq!((&sent[0][..58], &sent[0][58..]), (&short[..], &[0, 0][..]));
    bench.nic.behave(|now| now.pad = false);
    let list = bench.list(&[&short]);
    bench.nic.send(&bench.machine, vec![list]);
    assert_eq!(bench.nic.take_frames(), [short]);
}

#[test]
fn late_completions_come_after_more_sends_or_after_their_delay_in_any_order() {
    for (order, expected) in [(Order::Sent, vec![1, 2, 3]), (Order::Reverse, vec![3, 2, 1])] {
        let bench = Bench::new();
        bench.nic.behave(|now| {
            now.completion = Completion::Late { lists: 2, delay: 1000 };
            now.order = order;
        });
        bench.send(1);
        bench.send(2);
        assert_eq!((wire(&bench), bench.told()), (vec![1, 2], vec![]));
        bench.send(3);
        assert_eq!((wire(&bench), marks(&bench.told())), (vec![3], vec![expected]));
        bench.send(4);
        assert_eq!((bench.nic.next_due(), bench.nic.outstanding()), (Some(1000), (0, 1)));
        bench.at(999);
        assert_eq!(bench.told(), []);
        bench.at(1000);
        assert_eq!(marks(&bench.told()), [[4]]);
        assert_eq!((bench.nic.next_due(), bench.nic.outstanding()), (None, (0, 0)));
    }
}

#[test]
fn seeded_completions_are_every_list_once_and_the_wire_keeps_the_order_of_the_sends() {
    let bench = Bench::new();
    bench.nic.behave(|now| {
        now.completion = Completion::Late { lists: 19, delay: u64::MAX };
        now.order = Order::Seeded;
        now.one_by_one = true;
    });
    (0..20).for_each(|mark| bench.send(mark));
    assert_eq!(wire(&bench), (0..20).collect::<Vec<_>>());
    let calls = marks(&bench.told());
    assert!(calls.iter().all(|call| call.len() == 1), "one call each");
    let mut all = calls.concat();
    assert_ne!(all, (0..20).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_pause_completes_what_is_sent_and_what_waits_and_refuses_what_comes_after() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.completion = Completion::Late { lists: 9, delay: 1000 });
    bench.send(1);
    bench.nic.behave(|now| now.stalled = true);
    bench.send(2);
    assert!(bench.nic.pause(&bench.machine));
    bench.send(3);
    let paused = NDIS_STATUS_PAUSED;
    assert_eq!(bench.told(), [Told::Sent(vec![(1, OK)]), Told::Sent(vec![(2, paused)]), Told::Sent(vec![(3, paused)])]);
    assert_eq!((wire(&bench), bench.nic.outstanding()), (vec![1], (0, 0)));
    assert_eq!(bench.nic.counters().sent.discards, 2);
}

#[test]
fn what_waits_in_a_stall_can_be_cancelled_by_its_id_and_the_rest_is_sent_in_order_afterwards() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.stalled = true);
    for (mark, id) in [(1, 0x11), (2, 0x22), (3, 0x11), (4, 0)] {
        let list = bench.list(&[&frame(EVERYBODY, mark, 60)]);
        set_entry(list, NetBufferListCancelId, id);
        bench.nic.send(&bench.machine, vec![list]);
    }
    assert_eq!((bench.told(), wire(&bench), bench.nic.next_due()), (vec![], vec![], None));
    bench.nic.cancel_send(&bench.machine, 0x11);
    let aborted = NDIS_STATUS_SEND_ABORTED;
    assert_eq!(bench.told(), [Told::Sent(vec![(1, aborted), (3, aborted)])]);
    bench.nic.behave(|now| now.stalled = false);
    assert_eq!(bench.nic.next_due(), Some(0));
    // What is sent before the rest was run goes behind it.
    bench.send(5);
    bench.nic.run_due(&bench.machine);
    assert_eq!((wire(&bench), marks(&bench.told())), (vec![2, 4, 5], vec![vec![2, 4, 5]]));
}

#[test]
fn a_tag_beside_a_list_goes_into_its_frames() {
    let bench = Bench::new();
    let send = || {
        let list = bench.list(&[&frame(EVERYBODY, 1, 60), &frame(EVERYBODY, 2, 60)]);
        set_entry(list, Ieee8021QNetBufferListInfo, TAG_INFO);
        bench.nic.send(&bench.machine, vec![list]);
        bench.nic.take_frames()
    };
    assert_eq!(send(), [frame(EVERYBODY, 1, 60), frame(EVERYBODY, 2, 60)]);
    bench.nic.behave(|now| now.vlan = true);
    assert_eq!(send(), [tagged(EVERYBODY, 1, 60), tagged(EVERYBODY, 2, 60)]);
    bench.nic.behave(|now| now.own_tag = TAG_INFO as u32);
    bench.send(3);
    assert_eq!(bench.nic.take_frames(), [tagged(EVERYBODY, 3, 60)]);
}

#[test]
fn frames_longer_than_the_mtu_or_shorter_than_a_header_are_caught_and_not_sent() {
    let bench = Bench::new();
    let long = NDIS_STATUS_INVALID_LENGTH;
    let send = |frame: &[u8]| {
        let list = bench.list(&[frame]);
        bench.nic.send(&bench.machine, vec![list]);
        let told = bench.told();
        let [Told::Sent(lists)] = &told[..] else { panic!("{told:?}") };
        (lists[0].1, wire(&bench).len(), bench.broken())
    };
    assert_eq!(send(&frame(EVERYBODY, 1, 1514)), (OK, 1, vec![]));
    assert_eq!(send(&frame(EVERYBODY, 1, 1515)), (long, 0, vec!["mtu"]));
    assert_eq!(send(&tagged(EVERYBODY, 1, 1514)), (OK, 1, vec![]));
    assert_eq!(send(&tagged(EVERYBODY, 1, 1515)), (long, 0, vec!["mtu"]));
    assert_eq!(send(&EVERYBODY), (long, 0, vec!["frame"]));
    assert_eq!(bench.nic.counters().sent.errors, 3);
    bench.nic.set_mtu(&bench.machine, 1400);
    bench.told();
    assert_eq!(send(&frame(EVERYBODY, 1, 1415)), (long, 0, vec!["mtu"]));
}

#[test]
fn a_frame_from_another_address_is_caught_and_not_sent_unless_the_wire_takes_it() {
    let bench = Bench::new();
    let mut foreign = frame(EVERYBODY, 1, 60);
    foreign[11] = 9;
    for (strict, rules, count) in [(true, vec!["mac"], 0), (false, vec![], 1)] {
        bench.nic.behave(|now| now.own_source = strict);
        let list = bench.list(&[&foreign]);
        bench.nic.send(&bench.machine, vec![list]);
        assert_eq!((bench.broken(), wire(&bench).len()), (rules, count));
    }
}

/// W-23
#[test]
fn a_list_that_asks_for_an_offload_nobody_offered_is_caught() {
    let bench = Bench::new();
    for entry in [TcpIpChecksumNetBufferListInfo, TcpLargeSendNetBufferListInfo, UdpSegmentationOffloadInfo] {
        let list = bench.list(&[&frame(EVERYBODY, 1, 60)]);
        set_entry(list, entry, 5);
        bench.nic.send(&bench.machine, vec![list]);
        assert_eq!(bench.broken(), ["W-23"]);
    }
}

/// W-20
#[test]
fn a_list_that_changes_while_the_nic_has_it_is_caught() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.completion = Completion::Late { lists: 9, delay: 10 });
    let list = bench.list(&[&frame(EVERYBODY, 1, 60)]);
    bench.nic.send(&bench.machine, vec![list]);
    super::change(list);
    bench.at(10);
    assert_eq!(bench.broken(), ["W-20"]);
    assert_eq!(wire(&bench), [1]);
}

#[test]
fn nothing_is_sent_over_a_link_that_is_down() {
    let bench = Bench::new();
    bench.nic.set_link(&bench.machine, false);
    bench.told();
    bench.send(1);
    assert_eq!(bench.told(), [Told::Sent(vec![(1, NDIS_STATUS_MEDIA_DISCONNECTED)])]);
    assert_eq!((wire(&bench), bench.nic.counters().sent.discards), (vec![], 1));
}
