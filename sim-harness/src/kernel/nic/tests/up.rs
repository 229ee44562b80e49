//! What arrives, and lists that come back.

use super::*;

fn arrived(told: &[Told]) -> Vec<Vec<u8>> {
    let lists = told.iter().filter_map(|told| if let Told::Received(lists, _) = told { Some(lists) } else { None });
    lists.flatten().map(|(frame, ..)| frame.clone()).collect()
}

#[test]
fn frames_for_this_nic_and_for_everybody_arrive_in_order_and_come_back_once() {
    let bench = Bench::new();
    let (one, two) = (frame(MAC, 1, 60), frame(EVERYBODY, 2, 1514));
    bench.nic.deliver_many(&bench.machine, &[&one, &two]);
    assert_eq!(bench.told(), [Told::Received(vec![(one, 0, 0), (two, 0, 0)], false)]);
    assert_eq!(bench.nic.outstanding(), (2, 0));
    bench.give_back();
    assert_eq!((bench.nic.outstanding(), bench.broken()), ((0, 0), vec![]));
    let counters = bench.nic.counters().received;
    assert_eq!((counters.directed, counters.broadcast, counters.bytes()), (1, 1, 60 + 1514));
}

#[test]
fn the_packet_filter_and_the_multicast_list_decide_what_arrives() {
    let bench = Bench::new();
    let all = [frame(MAC, 1, 60), frame(EVERYBODY, 2, 60), frame(GROUP, 3, 60), frame([2, 0, 0, 0, 0, 8], 4, 60)];
    let other_group = frame([1, 0, 0x5e, 0, 0, 1], 5, 60);
    let arrive = |filter| {
        bench.filter(filter);
        bench.nic.deliver_many(&bench.machine, &all);
        bench.nic.deliver(&bench.machine, &other_group);
        bench.give_back();
        arrived(&bench.told()).iter().map(|frame| frame[14]).collect::<Vec<_>>()
    };
    assert_eq!(bench.set(OID_802_3_MULTICAST_LIST, &GROUP), NDIS_STATUS_SUCCESS);
    assert!(arrive(0).is_empty());
    assert_eq!(arrive(NDIS_PACKET_TYPE_DIRECTED), [1]);
    assert_eq!(arrive(NDIS_PACKET_TYPE_BROADCAST), [2]);
    assert_eq!(arrive(NDIS_PACKET_TYPE_MULTICAST), [3]);
    assert_eq!(arrive(NDIS_PACKET_TYPE_ALL_MULTICAST), [3, 5]);
    assert_eq!(arrive(NDIS_PACKET_TYPE_PROMISCUOUS), [1, 2, 3, 4, 5]);
    assert_eq!(bench.set(OID_802_3_MULTICAST_LIST, &[]), NDIS_STATUS_SUCCESS);
    assert!(arrive(NDIS_PACKET_TYPE_MULTICAST).is_empty());
    assert_eq!(bench.nic.counters().received.discards, 0);
}

/// W-20
#[test]
fn lists_indicated_with_resources_are_the_nics_when_the_call_returns() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.resources = Resources::Always);
    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    assert_eq!(bench.told(), [Told::Received(vec![(frame(MAC, 1, 60), 0, 0)], true)]);
    assert_eq!(bench.nic.outstanding(), (0, 0));
    bench.nic.behave(|now| now.resources = Resources::From(3));
    for mark in 0..4 {
        bench.nic.deliver(&bench.machine, &frame(MAC, mark, 60));
    }
    let flags: Vec<bool> =
        bench.told().iter().map(|told| matches!(told, Told::Received(_, resources) if *resources)).collect();
    assert_eq!(flags, [false, false, true, true]);
    assert_eq!(bench.nic.outstanding(), (2, 0));
    bench.give_back();
    assert_eq!(bench.broken(), [""; 0]);
}

/// W-08, W-20
#[test]
fn a_pause_that_begins_inside_an_indication_with_resources_is_over_when_it_returns() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.resources = Resources::Always);
    let (nic, machine) = (bench.nic.clone(), bench.machine.clone());
    *bench.upper.inside.lock().unwrap() = Some(Box::new(move || assert!(!nic.pause(&machine))));
    bench.nic.deliver_many(&bench.machine, &[frame(MAC, 1, 60), frame(MAC, 2, 60)]);
    let told = bench.told();
    assert_eq!((arrived(&told).len(), told.last()), (2, Some(&Told::Paused)));
    assert_eq!(bench.nic.outstanding(), (0, 0));
}

#[test]
fn an_indication_has_no_more_lists_than_the_behaviour_allows() {
    let bench = Bench::new();
    bench.nic.behave(|now| now.chain = 2);
    let all: Vec<_> = (0..5).map(|mark| frame(MAC, mark, 60)).collect();
    bench.nic.deliver_many(&bench.machine, &all);
    let told = bench.told();
    assert_eq!(told.len(), 3);
    assert_eq!(arrived(&told), all);
    bench.give_back();
}

/// How many MDLs each list has that is lent.
fn mdls(bench: &Bench) -> Vec<Vec<usize>> {
    let lent = bench.upper.lent.lock().unwrap();
    lent.iter().map(|&nbl| super::mdl_lengths(nbl)).collect()
}

/// T-34
#[test]
fn a_frame_arrives_in_the_mdls_it_is_cut_into_and_is_the_same_frame() {
    let bench = Bench::new();
    let whole: Vec<u8> = (0..200_u8).collect();
    let mut sent = frame(MAC, 0, 14);
    sent.extend(&whole);
    for (pieces, lengths) in [
        (Pieces::Whole, vec![214]),
        (Pieces::At(vec![6, 7, 14, 34, 45, 300]), vec![6, 1, 7, 20, 11, 169]),
        (Pieces::At(vec![0, 50, 50, 214]), vec![50, 164]),
        (Pieces::Bytes, vec![1; 214]),
    ] {
        bench.nic.behave(|now| now.pieces = pieces);
        bench.nic.deliver(&bench.machine, &sent);
        assert_eq!(arrived(&bench.told()), [&sent[..]]);
        assert_eq!(mdls(&bench), [lengths]);
        bench.give_back();
    }
    assert_eq!(bench.broken(), [""; 0]);
}

#[test]
fn seeded_pieces_are_the_same_for_the_same_seed_and_differ_from_frame_to_frame() {
    let cut = || {
        let bench = Bench::new();
        bench.nic.behave(|now| now.pieces = Pieces::Seeded(8));
        let all: Vec<_> = (0..20).map(|mark| frame(MAC, mark, 1000)).collect();
        bench.nic.deliver_many(&bench.machine, &all);
        assert_eq!(arrived(&bench.told()), all);
        let mdls = mdls(&bench);
        bench.give_back();
        mdls
    };
    let (first, second) = (cut(), cut());
    assert_eq!(first, second);
    assert!(first.iter().any(|lengths| lengths.len() > 1 && lengths[0] < 90), "none was cut within its headers");
    assert!(first.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn a_tag_travels_beside_the_frame_of_a_nic_that_takes_it_out() {
    let bench = Bench::new();
    let sent = tagged(MAC, 1, 60);
    bench.nic.deliver(&bench.machine, &sent);
    assert_eq!(bench.told(), [Told::Received(vec![(sent.clone(), 0, 0)], false)]);
    bench.give_back();
    bench.nic.behave(|now| now.vlan = true);
    bench.nic.deliver(&bench.machine, &sent);
    assert_eq!(bench.told(), [Told::Received(vec![(frame(MAC, 1, 60), TAG_INFO, 0)], false)]);
    bench.give_back();
    assert_eq!(bench.nic.attributes().mac_options & NDIS_MAC_OPTION_8021Q_VLAN, NDIS_MAC_OPTION_8021Q_VLAN);
}

/// W-23
#[test]
fn a_list_longer_than_the_mtu_arrives_while_coalescing_is_on_and_is_marked() {
    let bench = Bench::new();
    let long = frame(MAC, 1, 3000);
    bench.nic.deliver(&bench.machine, &long);
    assert_eq!(bench.told(), [Told::Received(vec![(long.clone(), 0, 2)], false)]);
    bench.give_back();
    assert_eq!(bench.set(OID_TCP_OFFLOAD_PARAMETERS, &requests::coalescing(1)), NDIS_STATUS_SUCCESS);
    bench.nic.deliver(&bench.machine, &long);
    assert_eq!((bench.told(), bench.nic.counters().received.errors), (vec![], 1));
}

#[test]
fn frames_that_arrive_during_a_pause_are_dropped_and_counted() {
    let bench = Bench::new();
    assert!(bench.nic.pause(&bench.machine));
    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    assert_eq!((bench.told(), bench.nic.counters().received.discards), (vec![], 1));
    bench.nic.restart(&bench.machine);
    bench.nic.deliver(&bench.machine, &frame(MAC, 2, 60));
    assert_eq!(arrived(&bench.told()).len(), 1);
    bench.give_back();
}

#[test]
fn a_pause_is_over_when_the_last_list_is_back_or_when_its_time_has_come() {
    let bench = Bench::new();
    bench.nic.deliver_many(&bench.machine, &[frame(MAC, 1, 60), frame(MAC, 2, 60)]);
    bench.told();
    assert!(!bench.nic.pause(&bench.machine));
    let last = bench.upper.lent.lock().unwrap().pop();
    bench.give_back();
    bench.at(1);
    assert_eq!(bench.told(), []);
    bench.upper.lent.lock().unwrap().extend(last);
    bench.give_back();
    assert_eq!(bench.told(), [Told::Paused]);

    bench.nic.restart(&bench.machine);
    bench.nic.behave(|now| now.pause = 500);
    assert!(!bench.nic.pause(&bench.machine));
    assert_eq!(bench.nic.next_due(), Some(501));
    bench.at(500);
    assert_eq!(bench.told(), []);
    bench.at(501);
    assert_eq!((bench.told(), bench.nic.next_due()), (vec![Told::Paused], None));
}

/// W-20
#[test]
fn a_list_that_comes_back_twice_or_changed_is_caught() {
    let bench = Bench::new();
    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    let list = bench.upper.lent.lock().unwrap()[0];
    bench.give_back();
    bench.nic.returned(&bench.machine, vec![list]);
    assert_eq!(bench.broken(), ["W-20"]);

    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    super::change(bench.upper.lent.lock().unwrap()[0]);
    bench.give_back();
    assert_eq!(bench.broken(), ["W-20"]);

    bench.nic.behave(|now| now.resources = Resources::Always);
    *bench.upper.meddle.lock().unwrap() = Some(super::change);
    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    assert_eq!(bench.broken(), ["W-20"]);
}

#[test]
fn nothing_arrives_while_the_link_is_down_and_ndis_hears_of_each_change() {
    let bench = Bench::new();
    bench.nic.set_link(&bench.machine, false);
    bench.nic.deliver(&bench.machine, &frame(MAC, 1, 60));
    bench.nic.set_link(&bench.machine, true);
    bench.nic.set_mtu(&bench.machine, 1400);
    let told = bench.told();
    let [Told::Status(down, body), Told::Status(up, other), Told::Status(mtu, size)] = &told[..] else {
        panic!("{told:?}")
    };
    let state = NDIS_STATUS_LINK_STATE;
    assert_eq!((*down, *up, *mtu), (state, state, NDIS_STATUS_L2_MTU_SIZE_CHANGE));
    // MediaConnectState, MediaDuplexState, XmitLinkSpeed.
    assert_eq!((body.len(), body[4], body[8], &body[16..24]), (40, 2, 0, &[0xff; 8][..]));
    assert_eq!((other[4], other[8], &other[16..24]), (1, 2, &10_000_000_000_u64.to_le_bytes()[..]));
    assert_eq!(size[..], 1400_u32.to_le_bytes());
    assert_eq!(bench.nic.attributes().mtu, 1400);
}
