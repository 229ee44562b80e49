//! SE: shared endpoints.

use super::pair::{Host, arrival, close_adapter, pass, smb, wait};
use super::{Case, case};
use crate::bed::{Bed, ipv4};
use crate::consumer::{Failed, address_bytes};
use ndk_types::*;
use std::net::SocketAddr;

fn at(host: usize, port: u16) -> SocketAddr {
    SocketAddr::new(ipv4(host), port)
}

/// SE-01, SE-02
fn creating_one_says_what_is_wrong_and_finds_a_free_port(bed: &mut dyn Bed) {
    let adapter = bed.open(0, super::pair::VERSION).unwrap();
    let failed = |address, status| {
        let refused = adapter.create_shared_endpoint(address).err();
        assert_eq!(refused, Some(Failed("NdkCreateSharedEndpoint", status)));
    };
    failed(at(1, 80), STATUS_INVALID_ADDRESS);
    let first = adapter.create_shared_endpoint(at(0, 80)).unwrap();
    failed(at(0, 80), STATUS_SHARING_VIOLATION);
    let (bytes, _) = address_bytes(at(0, 80));
    assert_eq!((first.local_address(28).0, &first.local_address(28).2[..16]), (STATUS_SUCCESS, &bytes[..16]));
    assert_eq!(first.local_address(3), (STATUS_BUFFER_TOO_SMALL, 16, [0xcc; 28]));
    let free = adapter.create_shared_endpoint(at(0, 0)).unwrap();
    let (status, _, local) = free.local_address(28);
    assert!(status == STATUS_SUCCESS && u16::from_be_bytes([local[2], local[3]]) >= 49152);
    first.close();
    adapter.create_shared_endpoint(at(0, 80)).unwrap().close();
    free.close();
    close_adapter(bed, adapter);
}

/// SE-03, SE-04, SE-05, SE-06, SE-07, CN-05
fn many_connect_from_one_as_long_as_the_destinations_differ(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let shared = client.adapter.create_shared_endpoint(at(0, 5000)).unwrap();
    let (expected, _) = address_bytes(at(0, 5000));
    let (mut connectors, mut qps, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
    for port in [445, 446, 447] {
        let listener = server.adapter.listen(at(1, port)).unwrap();
        let active = client.adapter.create_connector().unwrap();
        let ours = client.pd.create_qp(&client.cq, 8, 2, 0).unwrap();
        let theirs = server.pd.create_qp(&server.cq, 8, 2, 0).unwrap();
        let connecting = active.connect_shared(&ours, &shared, at(1, port), b"over it");
        // Twice to one place: not while the first is on its way, nor when it stands.
        let twice = client.adapter.create_connector().unwrap();
        let again = || twice.connect_shared(&client.qp, &shared, at(1, port), b"").status();
        assert_eq!(again(), Some(STATUS_ADDRESS_ALREADY_EXISTS));
        let passive = arrival(bed, &listener);
        assert_eq!(passive.peer_address(16).2[..16], expected[..16]);
        assert_eq!(active.local_address(16).2[..16], expected[..16]);
        let (accepting, _) = passive.accept(&theirs, 1, b"");
        assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
        active.complete_connect().unwrap();
        assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
        assert_eq!(again(), Some(STATUS_ADDRESS_ALREADY_EXISTS));
        twice.close();
        connectors.extend([active, passive]);
        qps.extend([ours, theirs]);
        listeners.push(listener);
    }
    let open = client.adapter.ledger.outstanding();
    shared.close();
    // Its close pends as long as one of its connectors is open, and so long the address is taken.
    for (number, connector) in connectors.into_iter().enumerate() {
        if number % 2 == 0 {
            assert!(client.adapter.create_shared_endpoint(at(0, 5000)).is_err());
        }
        connector.close();
        pass(bed, 5);
    }
    assert_eq!(client.adapter.ledger.outstanding(), open - 4);
    client.adapter.create_shared_endpoint(at(0, 5000)).unwrap().close();
    qps.into_iter().for_each(crate::consumer::Qp::close);
    listeners.into_iter().for_each(crate::consumer::Listener::close);
    client.close(bed);
    server.close(bed);
}

/// SE-08, SE-10
fn failures_over_it_are_told_and_nobody_connects_to_it(bed: &mut dyn Bed) {
    let (client, server) = (Host::new(bed, 0), Host::new(bed, 1));
    let shared = client.adapter.create_shared_endpoint(at(0, 5000)).unwrap();
    for (to, status) in [(smb(1), STATUS_CONNECTION_REFUSED), (smb(76), STATUS_HOST_UNREACHABLE)] {
        let active = client.adapter.create_connector().unwrap();
        assert_eq!(wait(bed, active.connect_shared(&client.qp, &shared, to, b"")), status);
        active.close();
    }
    let active = client.adapter.create_connector().unwrap();
    let refused = active.connect_shared(&client.qp, &shared, smb(1), &[0; 57]);
    assert_eq!(refused.status(), Some(STATUS_INVALID_BUFFER_SIZE));
    active.close();
    let towards = server.adapter.create_connector().unwrap();
    let connecting = towards.connect(&server.qp, ipv4(1), at(0, 5000), 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_CONNECTION_REFUSED);
    towards.close();
    shared.close();
    client.close(bed);
    server.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "SE-01 SE-02",
        "creating_one_says_what_is_wrong_and_finds_a_free_port",
        creating_one_says_what_is_wrong_and_finds_a_free_port,
    ),
    case(
        "SE-03 SE-04 SE-05 SE-06 SE-07 CN-05",
        "many_connect_from_one_as_long_as_the_destinations_differ",
        many_connect_from_one_as_long_as_the_destinations_differ,
    ),
    case(
        "SE-08 SE-10",
        "failures_over_it_are_told_and_nobody_connects_to_it",
        failures_over_it_are_told_and_nobody_connects_to_it,
    ),
];
