//! OID: what the loaded image answers to requests of NDIS and of the protocols above it, on the regular and on the direct path.

mod on_image;

use ndk_types::*;
use on_image::{VERSION, alone, ask, direct, ends, gone, pair, pair_of, request_state, set_state};
use sim_harness::bed::Bed;
use sim_harness::dice::Dice;
use sim_harness::kernel::host::{Host, Shape};
use sim_harness::kernel::irql::{self, Irql};
use sim_harness::kernel::ndis::{miniports, oids, pnp};
use sim_harness::kernel::nic::Oids;
use std::sync::{Arc, Mutex};

const QUERY: NDIS_REQUEST_TYPE = NdisRequestQueryInformation;
const SET: NDIS_REQUEST_TYPE = NdisRequestSetInformation;
const STATISTICS: usize = size_of::<NDIS_NDK_STATISTICS_INFO>();

/// Queries, each with the bytes of its answer on an interface that nobody uses yet.
const QUERIES: [(NDIS_OID, usize); 18] = [
    (OID_GEN_INTERRUPT_MODERATION, 12),
    (OID_GEN_MAXIMUM_TOTAL_SIZE, 4),
    (OID_GEN_RCV_OK, 8),
    (OID_GEN_RECEIVE_BLOCK_SIZE, 4),
    (OID_GEN_RECEIVE_BUFFER_SPACE, 4),
    (OID_GEN_STATISTICS, size_of::<NDIS_STATISTICS_INFO>()),
    (OID_GEN_TRANSMIT_BLOCK_SIZE, 4),
    (OID_GEN_TRANSMIT_BUFFER_SPACE, 4),
    (OID_GEN_VENDOR_DESCRIPTION, 8),
    (OID_GEN_VENDOR_DRIVER_VERSION, 4),
    (OID_GEN_VENDOR_ID, 4),
    (OID_GEN_XMIT_OK, 8),
    (OID_802_3_PERMANENT_ADDRESS, 6),
    (OID_802_3_CURRENT_ADDRESS, 6),
    (OID_802_3_MAXIMUM_LIST_SIZE, 4),
    (OID_NDK_STATISTICS, STATISTICS),
    (OID_NDK_CONNECTIONS, 16),
    (OID_NDK_LOCAL_ENDPOINTS, 16),
];

/// Sets, each with a body that is right.
const SETS: [(NDIS_OID, &[u8]); 6] = [
    (OID_GEN_CURRENT_LOOKAHEAD, &[0xdc, 5, 0, 0]),
    (OID_GEN_CURRENT_PACKET_FILTER, &[1, 0, 0, 0]),
    (OID_802_3_MULTICAST_LIST, &[0x33, 0x33, 0, 0, 0, 1]),
    (OID_PNP_SET_POWER, &[1, 0, 0, 0]),
    (OID_NDK_SET_STATE, &[0]),
    (OID_NDK_SET_STATE, &[1]),
];

/// A counter may be asked for in four bytes; whoever has not even those learns of all eight.
fn is_counter(oid: NDIS_OID) -> bool {
    [OID_GEN_RCV_OK, OID_GEN_XMIT_OK].contains(&oid)
}

/// OID-01, OID-17, W-22, REG-04: queries.
#[test]
fn a_query_is_answered_in_the_length_of_its_oid_and_refused_in_less() {
    let host = alone(&Shape::plain(0, 1));
    for (oid, length) in QUERIES {
        for room in [length, length + 1, length + 200] {
            let answer = ask(&host, QUERY, oid, &vec![0xcc; room]);
            assert_eq!((answer.status, answer.bytes as usize, answer.needed), (STATUS_SUCCESS, length, 0), "{oid:#x}");
            assert!(answer.buffer[length..].iter().all(|&byte| byte == 0xcc), "{oid:#x} writes beyond its answer");
        }
        let short = if is_counter(oid) { 3 } else { length - 1 };
        for room in [0, short] {
            let answer = ask(&host, QUERY, oid, &vec![0xcc; room]);
            let refused = (NDIS_STATUS_BUFFER_TOO_SHORT, 0, length);
            assert_eq!((answer.status, answer.bytes, answer.needed as usize), refused, "{oid:#x} in {room}");
            assert!(answer.buffer.iter().all(|&byte| byte == 0xcc), "{oid:#x} writes without room");
        }
        assert_eq!(ask(&host, NdisRequestQueryStatistics, oid, &vec![0; length]).status, STATUS_SUCCESS, "{oid:#x}");
    }
    for oid in [OID_GEN_RCV_OK, OID_GEN_XMIT_OK] {
        assert_eq!(ask(&host, QUERY, oid, &[0; 4]).bytes, 4);
    }
    gone(&host);
}

/// OID-01, OID-02, OID-03, W-22, REG-04: sets.
#[test]
fn a_set_of_another_length_than_its_oid_has_is_refused_and_changes_nothing() {
    let host = alone(&Shape::plain(0, 1));
    for (oid, body) in SETS {
        for length in (0..12).filter(|length| length % body.len() != 0 || (*length != body.len() && body.len() != 6)) {
            let wrong = vec![1; length];
            let answer = ask(&host, SET, oid, &wrong);
            let needed = if body.len() == 6 { length.next_multiple_of(6) } else { body.len() };
            let refused = (NDIS_STATUS_INVALID_LENGTH, 0, needed);
            assert_eq!((answer.status, answer.bytes, answer.needed as usize), refused, "{oid:#x} of {length}");
        }
        let filter = host.nic.packet_filter();
        assert_ne!(filter, 0x0101_0101);
        let answer = ask(&host, SET, oid, body);
        assert_eq!((answer.status, answer.bytes as usize), (STATUS_SUCCESS, body.len()), "{oid:#x}");
        host.settle();
    }
    assert!(host.tcpip.seen().ndk_events == 2, "off and on again, once each");
    gone(&host);
}

/// OID-01, REG-04, W-22: what is said to be supported is, in one kind of request at least; everything else is refused.
#[test]
fn every_oid_said_to_be_supported_is_and_no_other() {
    let host = alone(&Shape::plain(0, 1));
    let instance = host.instance().unwrap();
    let listed = miniports::attributes(&host.machine, instance).unwrap().general.unwrap().oids;
    let ndk = [OID_NDK_SET_STATE, OID_NDK_STATISTICS, OID_NDK_CONNECTIONS, OID_NDK_LOCAL_ENDPOINTS];
    assert!(ndk.iter().all(|oid| listed.contains(oid)));
    let known = |oid: NDIS_OID| QUERIES.iter().any(|(one, _)| *one == oid) || SETS.iter().any(|(one, _)| *one == oid);
    let others = [OID_GEN_LINK_PARAMETERS, OID_PNP_QUERY_POWER, OID_PM_PARAMETERS, OID_GEN_RECEIVE_SCALE_PARAMETERS];
    assert!(listed.iter().all(|oid| known(*oid) || others.contains(oid)), "{listed:x?}");
    // OID_GEN_RECEIVE_SCALE_PARAMETERS is the NIC's, and this one has none (W-24).
    for &oid in listed.iter().filter(|oid| **oid != OID_GEN_RECEIVE_SCALE_PARAMETERS) {
        let refused = |kind| ask(&host, kind, oid, &[]).status == NDIS_STATUS_NOT_SUPPORTED;
        assert!(!refused(QUERY) || !refused(SET), "{oid:#x}");
        assert_eq!(ask(&host, NdisRequestMethod, oid, &[0; 8]).status, NDIS_STATUS_NOT_SUPPORTED, "{oid:#x}");
    }
    for (oid, length) in QUERIES.into_iter().filter(|(oid, _)| *oid != OID_GEN_INTERRUPT_MODERATION) {
        assert_eq!(ask(&host, SET, oid, &vec![0; length]).status, NDIS_STATUS_NOT_SUPPORTED, "{oid:#x}");
    }
    for (oid, body) in SETS {
        assert_eq!(ask(&host, QUERY, oid, body).status, NDIS_STATUS_NOT_SUPPORTED, "{oid:#x}");
    }
    for unknown in [0, 0x0001_0101, OID_TCP_OFFLOAD_PARAMETERS, 0xff00_0001, u32::MAX] {
        for kind in [QUERY, NdisRequestQueryStatistics, SET, NdisRequestMethod] {
            assert_eq!(ask(&host, kind, unknown, &[0; 64]).status, NDIS_STATUS_NOT_SUPPORTED, "{unknown:#x}");
        }
    }
    gone(&host);
}

/// OID-10: the direct path has NDK's queries alone, at both levels.
#[test]
fn the_direct_path_answers_the_queries_of_ndk_and_nothing_else() {
    let host = alone(&Shape::plain(0, 1));
    for level in [Irql::Passive, Irql::Dispatch] {
        for (oid, length) in QUERIES {
            let there = [OID_NDK_STATISTICS, OID_NDK_CONNECTIONS, OID_NDK_LOCAL_ENDPOINTS].contains(&oid);
            let answer = direct(&host, level, QUERY, oid, &vec![0xcc; length]);
            let expected = if there { (STATUS_SUCCESS, length) } else { (NDIS_STATUS_NOT_SUPPORTED, 0) };
            assert_eq!((answer.status, answer.bytes as usize), expected, "{oid:#x}");
            if there {
                let short = direct(&host, level, QUERY, oid, &vec![0xcc; length - 1]);
                assert_eq!((short.status, short.needed as usize), (NDIS_STATUS_BUFFER_TOO_SHORT, length));
                assert!(short.buffer.iter().all(|&byte| byte == 0xcc));
            }
        }
        for kind in [SET, NdisRequestMethod] {
            let answer = direct(&host, level, kind, OID_NDK_SET_STATE, &[0]);
            assert_eq!(answer.status, NDIS_STATUS_NOT_SUPPORTED);
        }
    }
    host.settle();
    assert_eq!(host.tcpip.seen().ndk_events, 0);
    gone(&host);
}

/// Whether an adapter opens, asked of the driver itself.
fn opens(host: &Host) -> bool {
    let instance = host.instance().unwrap();
    let (opened, _) = irql::at(Irql::Passive, || pnp::open_on(&host.machine, instance, VERSION));
    opened.map(|adapter| pnp::close_ndk_adapter(&host.machine, adapter)).is_ok()
}

/// OID-04, OID-08, PNP-01, PNP-05: each new state is announced once, what it is already not at all.
#[test]
fn a_state_that_holds_already_is_taken_and_not_announced_again() {
    let host = alone(&Shape::plain(0, 1));
    for (on, events) in [(true, 0), (false, 1), (false, 1), (true, 2), (true, 2), (false, 3)] {
        assert_eq!(set_state(&host, on), STATUS_SUCCESS);
        assert_eq!((host.tcpip.seen().ndk_events, opens(&host)), (events, on));
    }
    gone(&host);
}

/// OID-05, PNP-07: the keyword has the last word.
#[test]
fn without_the_keyword_ndk_cannot_be_enabled_and_can_be_disabled() {
    let mut shape = Shape::plain(0, 1);
    shape.set("*NetworkDirect", "0");
    let host = alone(&shape);
    for on in [true, false, true] {
        let status = set_state(&host, on);
        assert_eq!(status, if on { NDIS_STATUS_NOT_SUPPORTED } else { STATUS_SUCCESS });
        assert!(!opens(&host) && !pnp::is_ndk_enabled(&host.machine, host.instance().unwrap()));
    }
    assert_eq!(host.tcpip.seen().ndk_events, 0);
    gone(&host);
}

/// OID-08, OID-09: bursts of states, with any pause between them. NDIS's own rule is that an event always brings another state.
#[test]
fn of_many_states_in_a_row_the_last_one_holds() {
    let mut dice = Dice::new(11, 0);
    let host = alone(&Shape::plain(0, 1));
    let instance = host.instance().unwrap();
    for _ in 0..200 {
        let mut last = pnp::is_ndk_enabled(&host.machine, instance);
        for _ in 0..dice.below(6) {
            last = dice.below(2) == 1;
            assert_eq!(request_state(&host, last), STATUS_SUCCESS);
            if dice.below(3) == 0 {
                host.settle();
            }
        }
        host.settle();
        assert_eq!((pnp::is_ndk_enabled(&host.machine, instance), opens(&host)), (last, last));
    }
    assert!(host.tcpip.seen().ndk_events > 100);
    gone(&host);
}

/// OID-09: while a disable waits for a consumer, states go on being taken, and the last of them holds afterwards.
#[test]
fn states_set_while_a_disable_waits_hold_after_it() {
    for last in [true, false] {
        let mut bed = pair(3);
        let host = bed.hosts[0].clone();
        let adapter = bed.open(0, VERSION).unwrap();
        for on in [false, true, false, true, false, last] {
            assert_eq!(set_state(&host, on), STATUS_SUCCESS);
            assert_eq!((host.tcpip.seen().ndk_events, opens(&host)), (1, false), "the disable waits");
        }
        adapter.close();
        host.settle();
        assert_eq!((host.tcpip.seen().ndk_events, opens(&host)), (1 + u64::from(last), last));
        ends(bed);
    }
}

/// OID-04, OID-06, OID-07: the event is sent from elsewhere, and no request pends then, even if the NIC takes its time.
#[test]
fn no_request_is_pending_when_the_event_is_sent() {
    let mut bed = pair_of(4, |shape| shape.nic.oids = Oids::Pending(70_000));
    let hosts = bed.hosts.clone();
    assert!(bed.run_until(|| hosts.iter().all(|host| host.tcpip.seen().connected)));
    let host = hosts[0].clone();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (machine, said, instance) = (host.machine.clone(), answers.clone(), host.instance().unwrap());
    host.machine.thread("a protocol above", move || {
        let ask = |kind, oid, body: &[u8]| {
            let answer = oids::request(&machine, instance, kind, oid, body);
            said.lock().unwrap().push((oid, answer.status));
        };
        for on in [0, 1, 0] {
            ask(SET, OID_NDK_SET_STATE, &[on]);
            ask(QUERY, OID_GEN_STATISTICS, &[0; 200]);
            ask(SET, OID_GEN_CURRENT_PACKET_FILTER, &[1, 0, 0, 0]);
        }
    });
    let done = answers.clone();
    assert!(bed.run_until(|| done.lock().unwrap().len() == 9));
    host.settle();
    assert!(answers.lock().unwrap().iter().all(|(_, status)| *status == STATUS_SUCCESS), "{answers:x?}");
    assert!(!pnp::is_ndk_enabled(&host.machine, instance));
    assert_eq!(host.tcpip.seen().ndk_events, 3);
    ends(bed);
}
