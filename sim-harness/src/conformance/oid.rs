//! OID: what the NDK OIDs answer: of natively built providers the functions that the driver's OID handlers call, of a loaded
//! image the direct path. OID-01 to OID-10 are the handlers' own and need NDIS.

use super::pair::{Host, Pair, arrival, pass, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4, ipv6};
use crate::consumer::address_bytes;
use ndk_types::*;
use std::net::SocketAddr;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The counters, by their place.
fn counters(bed: &mut dyn Bed, host: usize) -> Vec<u64> {
    let mut bytes = [0xcc; 300];
    let written = bed.query(host, OID_NDK_STATISTICS, &mut bytes).unwrap();
    assert_eq!(written, size_of::<NDIS_NDK_STATISTICS_INFO>());
    assert_eq!((bytes[0], bytes[1], u16::from_ne_bytes([bytes[2], bytes[3]])), (NDIS_OBJECT_TYPE_DEFAULT, 1, 248));
    assert_eq!(u32_at(&bytes, 4), 0);
    assert!(bytes[written..].iter().all(|&byte| byte == 0xcc));
    bytes[8..written].chunks(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect()
}

/// Connect, Accept, ConnectFailure, ConnectionError, ActiveConnection.
fn connection_counters(bed: &mut dyn Bed, host: usize) -> [u64; 5] {
    counters(bed, host)[..5].try_into().unwrap()
}

/// OID-11, OID-12, OID-13, OID-20, COM-05
fn statistics_have_thirty_counters_of_all_traffic(bed: &mut dyn Bed) {
    let needed = size_of::<NDIS_NDK_STATISTICS_INFO>();
    let mut short = vec![0xcc; needed - 1];
    assert_eq!(bed.query(0, OID_NDK_STATISTICS, &mut short), Err(needed));
    assert!(short.iter().all(|&byte| byte == 0xcc));
    assert_eq!(counters(bed, 0), [0; 30]);
    let pair = Pair::new(bed);
    pair.server.qp.receive(1, &[pair.server.sge(0, 1000)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 1000)], 0).unwrap();
    pass(bed, 10);
    let (ours, theirs) = (counters(bed, 0), counters(bed, 1));
    assert!(ours[5..25].iter().chain(&theirs[5..25]).all(|&reserved| reserved == 0));
    // In octets, out octets, in frames, out frames: what one sent the other received, as whole frames.
    assert_eq!([ours[26], ours[27], ours[28], ours[29]], [theirs[27], theirs[26], theirs[29], theirs[28]]);
    if let Some(native) = bed.native() {
        let frames = [native.world.wire_counters(0).frames, native.world.wire_counters(1).frames];
        assert_eq!([ours[29], theirs[29]], frames);
    }
    assert!(ours[27] > 1000 + 54 * ours[29]);
    assert_eq!(ours[25], 0);
    bed.set_ndk(0, false);
    assert_eq!(counters(bed, 0), ours);
    bed.set_ndk(0, true);
    pair.close(bed);
}

/// OID-14, CN-55
fn connection_counters_follow_what_happens(bed: &mut dyn Bed) {
    let both = |bed: &mut dyn Bed| (connection_counters(bed, 0), connection_counters(bed, 1));
    let pair = Pair::new(bed);
    assert_eq!(both(bed), ([1, 0, 0, 0, 1], [0, 1, 0, 0, 1]));
    let leaving = pair.active.disconnect();
    let answering = pair.passive.disconnect();
    assert_eq!((wait(bed, leaving), wait(bed, answering)), (STATUS_SUCCESS, STATUS_SUCCESS));
    assert_eq!(both(bed), ([1, 0, 0, 0, 0], [0, 1, 0, 0, 0]));
    pair.close(bed);
    assert_eq!(both(bed), ([1, 0, 0, 0, 0], [0, 1, 0, 0, 0]));
    // A connection that breaks: an error on both sides, and no connection after.
    let pair = Pair::new(bed);
    pair.client.qp.write(3, &[pair.client.sge(0, 8)], 0, 0x77, 0).unwrap();
    pass(bed, 100);
    assert_eq!(both(bed), ([2, 0, 0, 1, 0], [0, 2, 0, 1, 0]));
    pair.close(bed);
    assert_eq!(both(bed), ([2, 0, 0, 1, 0], [0, 2, 0, 1, 0]));
    // Closing without a disconnect is not an error of the one who closes.
    let Pair { client, server, active, passive, listener, .. } = Pair::new(bed);
    active.close();
    pass(bed, 10);
    assert_eq!(connection_counters(bed, 0), [3, 0, 0, 1, 0]);
    passive.close();
    assert_eq!(connection_counters(bed, 1), [0, 3, 0, 1, 0]);
    // A failed attempt: refused by the consumer; a failure on both sides.
    let active = client.adapter.create_connector().unwrap();
    let qp = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
    let connecting = active.connect(&qp, ipv4(0), smb(1), 1, b"");
    let passive = arrival(bed, &listener);
    passive.reject(b"").unwrap();
    assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
    assert_eq!(both(bed), ([3, 0, 1, 1, 0], [0, 3, 1, 1, 0]));
    qp.close();
    active.close();
    passive.close();
    listener.close();
    client.close(bed);
    server.close(bed);
}

/// OID-15, OID-16, OID-17, OID-18, OID-20
fn connections_are_listed_with_both_addresses(bed: &mut dyn Bed) {
    let mut buffer = [0xcc; 256];
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut buffer), Ok(16));
    assert_eq!((buffer[0], buffer[1], buffer[2], u32_at(&buffer, 8), buffer[12]), (128, 1, 16, 0, 0));
    assert!(buffer[16..].iter().all(|&byte| byte == 0xcc));
    let pair = Pair::new(bed);
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut [0; 79]), Err(80));
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut []), Err(80));
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut buffer), Ok(80));
    assert_eq!((buffer[2], u32_at(&buffer, 8), buffer[12]), (80, 1, 0));
    assert_eq!(buffer[16..32], pair.passive.local_address(16).2[..16]);
    assert_eq!(buffer[44..60], pair.passive.peer_address(16).2[..16]);
    // Not user mode's, and nobody's process.
    assert_eq!(buffer[72..80], [0; 8]);
    let leaving = pair.active.disconnect();
    pair.passive.disconnect();
    assert_eq!(wait(bed, leaving), STATUS_SUCCESS);
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut buffer), Ok(16));
    pair.close(bed);
}

/// OID-19, OID-20, LS-20, SE-09
fn listeners_and_shared_endpoints_are_listed_and_nothing_else(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let six = SocketAddr::new(ipv6(1), 99);
    let shared = pair.server.adapter.create_shared_endpoint(six).unwrap();
    let mut buffer = [0xcc; 256];
    assert_eq!(bed.query(1, OID_NDK_LOCAL_ENDPOINTS, &mut [0; 87]), Err(88));
    assert_eq!(bed.query(1, OID_NDK_LOCAL_ENDPOINTS, &mut buffer), Ok(88));
    assert_eq!((buffer[0], buffer[1], buffer[2], u32_at(&buffer, 8), buffer[12]), (128, 1, 88, 2, 0));
    let (four, six) = (address_bytes(smb(1)).0, address_bytes(six).0);
    assert_eq!((&buffer[16..44], buffer[44], buffer[45]), (&four[..], 0, 1));
    assert_eq!((&buffer[52..80], buffer[80], buffer[81]), (&six[..], 0, 0));
    // The client's own endpoint is implicit: not listed. A listener that is closed is none.
    assert_eq!(bed.query(0, OID_NDK_LOCAL_ENDPOINTS, &mut buffer), Ok(16));
    shared.close();
    let Pair { client, server, active, passive, listener, .. } = pair;
    listener.close();
    assert_eq!(bed.query(1, OID_NDK_LOCAL_ENDPOINTS, &mut buffer), Ok(16));
    for connector in [active, passive] {
        connector.close();
    }
    let hosts: [Host; 2] = [client, server];
    for host in hosts {
        host.close(bed);
    }
    bed.set_ndk(1, false);
    assert_eq!(bed.query(1, OID_NDK_LOCAL_ENDPOINTS, &mut buffer), Ok(16));
    assert_eq!(bed.query(1, OID_NDK_CONNECTIONS, &mut buffer), Ok(16));
    bed.set_ndk(1, true);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "OID-11 OID-12 OID-13 OID-20",
        "statistics_have_thirty_counters_of_all_traffic",
        statistics_have_thirty_counters_of_all_traffic,
    ),
    case("OID-14 CN-55", "connection_counters_follow_what_happens", connection_counters_follow_what_happens),
    case(
        "OID-15 OID-17 OID-18 OID-20",
        "connections_are_listed_with_both_addresses",
        connections_are_listed_with_both_addresses,
    ),
    case(
        "OID-19 OID-20 LS-20 SE-09",
        "listeners_and_shared_endpoints_are_listed_and_nothing_else",
        listeners_and_shared_endpoints_are_listed_and_nothing_else,
    ),
];
