//! OID_NDK_STATISTICS, OID_NDK_CONNECTIONS and OID_NDK_LOCAL_ENDPOINTS of the loaded image while connections come and go, held
//! against what crosses the wire. What they answer when nothing moves, cases show on both beds.

mod on_image;

use ndk_provider::limits::Limits;
use ndk_types::*;
use on_image::{VERSION, ask, direct, ends, pair, query, set_state, transfer, u32_at, u64_at};
use sim_harness::bed::{Bed, ipv4};
use sim_harness::conformance::pair::{Pair, arrival, pass, smb, wait};
use sim_harness::consumer::{Adapter, Failed, address_bytes};
use sim_harness::kernel::host::Host;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::irql::Irql;
use sim_harness::wire::{Manners, Verdict};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

const STATISTICS: usize = size_of::<NDIS_NDK_STATISTICS_INFO>();
/// Bytes of an empty list, and of one connection.
const LIST: usize = offset_of!(NDIS_NDK_CONNECTIONS, Connections);
const ENTRY: usize = size_of::<NDIS_NDK_CONNECTION_ENTRY>();

/// A counter by its place in the structure.
fn counter(answer: &[u8], place: usize) -> u64 {
    u64_at(answer, offset_of!(NDIS_NDK_STATISTICS_INFO, CounterSet) + place)
}

fn statistics(host: &Host, level: Irql) -> Vec<u8> {
    let answer = direct(host, level, NdisRequestQueryInformation, OID_NDK_STATISTICS, &[0xcc; STATISTICS]);
    assert_eq!((answer.status, answer.bytes as usize), (STATUS_SUCCESS, STATISTICS));
    let header = [answer.buffer[0], answer.buffer[1], answer.buffer[2], answer.buffer[3]];
    assert_eq!(header, [NDIS_OBJECT_TYPE_DEFAULT, NDIS_NDK_STATISTICS_INFO_REVISION_1, STATISTICS as u8, 0]);
    answer.buffer
}

/// Asks for a list as often as it takes to have room enough; how many entries it has.
fn list(host: &Host, oid: NDIS_OID, entry: usize) -> (usize, Vec<u8>) {
    let mut room = 0;
    loop {
        let answer = query(host, oid, room);
        if answer.status == NDIS_STATUS_BUFFER_TOO_SHORT {
            assert!(answer.needed as usize > room && (answer.needed as usize - LIST).is_multiple_of(entry));
            room = answer.needed as usize;
            continue;
        }
        let count = u32_at(&answer.buffer, offset_of!(NDIS_NDK_CONNECTIONS, Count)) as usize;
        assert_eq!((answer.status, answer.bytes as usize), (STATUS_SUCCESS, LIST + count * entry));
        assert_eq!(answer.buffer[offset_of!(NDIS_NDK_CONNECTIONS, NDConnectionsMappedtoTCPConnections)], 0);
        let said = u16::from_ne_bytes([answer.buffer[2], answer.buffer[3]]);
        assert_eq!(usize::from(said), (LIST + count * entry).min(usize::from(u16::MAX)));
        return (count, answer.buffer);
    }
}

/// OID-10, OID-20: on both paths and at both levels, in the middle of transfers, and the numbers only grow.
#[test]
fn counters_are_told_at_any_moment_of_a_transfer_and_never_fall() {
    let mut bed = pair(1);
    let host = bed.hosts[0].clone();
    let grows: Vec<_> = [
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, Connect),
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInOctets),
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutOctets),
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInFrames),
        offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutFrames),
    ]
    .into();
    let mut before = statistics(&host, Irql::Passive);
    for round in 1..=3 {
        transfer(&mut bed, 300_000, |_| {
            let direct = statistics(&host, Irql::Dispatch);
            assert_eq!(statistics(&host, Irql::Passive), direct);
            let regular = ask(&host, NdisRequestQueryStatistics, OID_NDK_STATISTICS, &[0; STATISTICS]);
            assert_eq!(regular.buffer, direct);
            assert!(grows.iter().all(|&place| counter(&direct, place) >= counter(&before, place)));
            before = direct;
            true
        });
        assert_eq!(counter(&statistics(&host, Irql::Dispatch), grows[0]), round);
    }
    ends(bed);
}

/// A bed whose hosts are asked for their connections before every step.
struct Asked {
    bed: ImageBed,
    /// What there was on each host.
    seen: BTreeSet<[usize; 2]>,
}

impl Bed for Asked {
    fn open(&mut self, host: usize, version: NDK_VERSION) -> Result<Adapter, Failed> {
        self.bed.open(host, version)
    }

    fn step(&mut self) -> bool {
        let active = offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, ActiveConnection);
        let counts = [0, 1].map(|host: usize| {
            let host = &self.bed.hosts[host];
            let (count, _) = list(host, OID_NDK_CONNECTIONS, ENTRY);
            assert_eq!(counter(&statistics(host, Irql::Dispatch), active), count as u64);
            count
        });
        self.seen.insert(counts);
        self.bed.step()
    }

    fn now(&self) -> u64 {
        self.bed.now()
    }

    fn set_manners(&mut self, host: usize, manners: Manners) {
        self.bed.set_manners(host, manners);
    }

    fn limits(&self) -> Limits {
        self.bed.limits()
    }
}

/// OID-10, OID-15, OID-20: at every moment of connects and disconnects a list is whole, and agrees with the counter.
#[test]
fn lists_are_whole_while_connections_come_and_go() {
    let mut asked = Asked { bed: pair(5), seen: BTreeSet::new() };
    for host in [0, 1] {
        asked.set_manners(host, Manners { loss: 0.1, reorder: 0.1, duplicate: 0.1, ..Manners::GOOD });
    }
    for graceful in [true, false, true] {
        let pair = Pair::new(&mut asked);
        pass(&mut asked, 1);
        let leaving = pair.active.disconnect();
        if graceful {
            pair.passive.disconnect();
            assert_eq!(wait(&mut asked, leaving), STATUS_SUCCESS);
        }
        pair.close(&mut asked);
    }
    assert!(asked.seen.is_superset(&BTreeSet::from([[0, 0], [1, 1]])), "{:?}", asked.seen);
    ends(asked.bed);
}

/// OID-11, OID-13: frames and octets are those of RoCE on the wire, layer 2 and all, and no others.
#[test]
fn octets_and_frames_are_those_that_cross_the_wire() {
    let mut bed = pair(2);
    // Frames and bytes from each host to UDP port 4791, over IPv4.
    let wire = Rc::new(RefCell::new([[0_u64; 2]; 2]));
    for host in 0..2 {
        let wire = wire.clone();
        bed.world.set_rule(host, move |_: u64, frame: &[u8], _: u64| {
            if frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == 4791_u16.to_be_bytes() {
                let count = &mut wire.borrow_mut()[host];
                *count = [count[0] + 1, count[1] + frame.len() as u64];
            }
            Verdict::Pass
        });
    }
    let hosts = bed.hosts.clone();
    hosts[0].tcpip.with(|stack| stack.ping(ipv4(1), 1)).expect("a binding");
    transfer(&mut bed, 1 << 20, |_| true);
    pass(&mut bed, 100);
    let told = [0, 1].map(|host| statistics(&hosts[host], Irql::Dispatch));
    for (host, sent) in wire.borrow().iter().enumerate() {
        let out = [
            offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutFrames),
            offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAOutOctets),
        ];
        let back = [
            offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInFrames),
            offset_of!(NDIS_NDK_PERFORMANCE_COUNTERS, RDMAInOctets),
        ];
        assert_eq!(out.map(|place| counter(&told[host], place)), *sent, "out of host {host}");
        assert_eq!(back.map(|place| counter(&told[1 - host], place)), *sent, "from host {host}");
    }
    ends(bed);
}

/// OID-15, OID-18, OID-20: in the list while it stands, once, with both addresses; nothing is left of it when NDK is off.
#[test]
fn a_connection_is_in_the_lists_of_both_hosts_while_it_stands() {
    let mut bed = pair(3);
    let hosts = bed.hosts.clone();
    let counts = || [0, 1].map(|host: usize| list(&hosts[host], OID_NDK_CONNECTIONS, ENTRY).0);
    assert_eq!(counts(), [0, 0]);
    let pair = Pair::new(&mut bed);
    assert_eq!(counts(), [1, 1]);
    let (_, told) = list(&hosts[1], OID_NDK_CONNECTIONS, ENTRY);
    let entry = &told[LIST..];
    let address = |connector: &sim_harness::consumer::Connector| connector.local_address(16).2[..16].to_vec();
    let at = |place: usize| entry[place..place + 16].to_vec();
    assert_eq!(at(offset_of!(NDIS_NDK_CONNECTION_ENTRY, Local)), address_bytes(smb(1)).0[..16]);
    assert_eq!(at(offset_of!(NDIS_NDK_CONNECTION_ENTRY, Remote)), address(&pair.active));
    assert_eq!(entry[offset_of!(NDIS_NDK_CONNECTION_ENTRY, UserModeOwner)], 0);
    let leaving = pair.active.disconnect();
    pair.passive.disconnect();
    assert_eq!(wait(&mut bed, leaving), STATUS_SUCCESS);
    assert_eq!(counts(), [0, 0]);
    pair.close(&mut bed);
    for host in &hosts {
        assert_eq!(set_state(host, false), STATUS_SUCCESS);
        assert_eq!(counter(&statistics(host, Irql::Dispatch), 0) + counter(&statistics(host, Irql::Dispatch), 8), 1);
        for oid in [OID_NDK_CONNECTIONS, OID_NDK_LOCAL_ENDPOINTS] {
            assert_eq!(query(host, oid, LIST).bytes as usize, LIST);
        }
    }
    ends(bed);
}

/// OID-16, OID-17: more connections than the header's Size can say; Count says it.
#[test]
fn more_connections_than_a_header_can_say_are_counted() {
    const MANY: usize = 1040;
    let mut bed = pair(4);
    let hosts = bed.hosts.clone();
    let Pair { client, server, active, passive, listener, .. } = Pair::new(&mut bed);
    let mut more = Vec::new();
    while more.len() < MANY - 1 {
        let [ours, theirs] = [&client, &server].map(|one| one.pd.create_qp(&one.cq, 1, 1, 0).unwrap());
        let active = client.adapter.create_connector().unwrap();
        let connecting = active.connect(&ours, ipv4(0), smb(1), 1, b"");
        let passive = arrival(&mut bed, &listener);
        let (accepting, _) = passive.accept(&theirs, 1, b"");
        assert_eq!(wait(&mut bed, connecting), STATUS_SUCCESS);
        active.complete_connect().unwrap();
        assert_eq!(wait(&mut bed, accepting), STATUS_SUCCESS);
        more.push((ours, theirs, active, passive));
    }
    for host in &hosts {
        let (count, told) = list(host, OID_NDK_CONNECTIONS, ENTRY);
        assert_eq!((count, [told[2], told[3]]), (MANY, [0xff, 0xff]));
        let clients = offset_of!(NDIS_NDK_CONNECTION_ENTRY, Local);
        let servers = offset_of!(NDIS_NDK_CONNECTION_ENTRY, Remote);
        let place = if Arc::ptr_eq(host, &hosts[0]) { clients } else { servers };
        let ports: BTreeSet<_> = told[LIST..].chunks(ENTRY).map(|one| [one[place + 2], one[place + 3]]).collect();
        assert_eq!(ports.len(), MANY, "each connection is listed once");
    }
    for (ours, theirs, active, passive) in more {
        active.close();
        passive.close();
        ours.close();
        theirs.close();
    }
    listener.close();
    active.close();
    passive.close();
    client.close(&mut bed);
    server.close(&mut bed);
    assert_eq!(hosts.iter().map(|host| list(host, OID_NDK_CONNECTIONS, ENTRY).0).sum::<usize>(), 0);
    ends(bed);
}

/// OID-16, OID-17, OID-19: a list whose size its header cannot say; Count says it.
#[test]
fn a_list_longer_than_its_header_can_say_is_counted() {
    const MANY: usize = 2000;
    let mut bed = pair(4);
    let host = bed.hosts[0].clone();
    let adapter = bed.open(0, VERSION).unwrap();
    let port = |number: usize| SocketAddr::new(ipv4(0), 10_000 + number as u16);
    let endpoints: Vec<_> = (0..MANY).map(|number| adapter.create_shared_endpoint(port(number)).unwrap()).collect();
    let entry = size_of::<NDIS_NDK_LOCAL_ENDPOINT_ENTRY>();
    let (count, told) = list(&host, OID_NDK_LOCAL_ENDPOINTS, entry);
    assert_eq!((count, [told[2], told[3]]), (MANY, [0xff, 0xff]));
    let ports: BTreeSet<_> = told[LIST..].chunks(entry).map(|one| u16::from_be_bytes([one[2], one[3]])).collect();
    assert_eq!(ports.len(), MANY);
    assert!(ports.iter().all(|port| (10_000..12_000).contains(port)));
    for endpoint in endpoints {
        endpoint.close();
    }
    while adapter.ledger.outstanding() != 0 {
        assert!(bed.step());
    }
    assert_eq!(list(&host, OID_NDK_LOCAL_ENDPOINTS, entry).0, 0);
    adapter.close();
    ends(bed);
}
