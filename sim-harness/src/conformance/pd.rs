//! PD: protection domains.

use super::pair::{Host, Pair, VERSION, close_adapter, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::Failed;
use ndk_types::*;

fn as_many_as_reported_can_be_created_and_no_more(bed: &mut dyn Bed) {
    let most = bed.limits().protection_domains;
    let adapter = bed.open(0, VERSION).unwrap();
    let all: Vec<_> = (0..most).map(|_| adapter.create_pd().unwrap()).collect();
    let refused = adapter.create_pd().err();
    assert_eq!(refused, Some(Failed("NdkCreatePd", STATUS_INSUFFICIENT_RESOURCES)));
    let outstanding = adapter.ledger.outstanding();
    assert_eq!(outstanding, most, "a refused create opens nothing");
    all.into_iter().for_each(crate::consumer::Pd::close);
    // What is closed can be created again.
    adapter.create_pd().unwrap().close();
    close_adapter(bed, adapter);
}

fn the_privileged_token_reads_and_writes_logical_addresses(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    assert_eq!(pair.client.token, pair.client.pd.privileged_token());
    pair.client.buffer.write(0, b"privileged");
    pair.server.qp.receive(1, &[pair.server.sge(5000, 16)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(0, 10)], 0).unwrap();
    assert_eq!(results(bed, &pair.server, 5)[0].Status, STATUS_SUCCESS);
    assert_eq!(pair.server.buffer.read(5000, 10), b"privileged");
    pair.close(bed);
}

fn a_peer_cannot_use_the_privileged_token(bed: &mut dyn Bed) {
    for way in 0..3 {
        let pair = Pair::new(bed);
        let (logical, token) = (pair.server.lam.address(0), pair.server.token);
        pair.server.buffer.write(0, b"mine");
        pair.server.qp.receive(9, &[pair.server.sge(100, 8)]).unwrap();
        let posted = match way {
            0 => pair.client.qp.read(1, &[pair.client.sge(0, 4)], logical, token, 0),
            1 => pair.client.qp.write(1, &[pair.client.sge(0, 4)], logical, token, 0),
            _ => pair.client.qp.send_and_invalidate(1, &[pair.client.sge(0, 4)], 0, token),
        };
        assert_eq!(posted, Ok(()));
        let ended = results(bed, &pair.client, 50);
        assert_eq!(ended[0].Status, STATUS_REMOTE_RESOURCES, "way {way}");
        assert_eq!((pair.server.buffer.read(0, 4), pair.client.buffer.read(0, 4)), (b"mine".to_vec(), vec![0; 4]));
        pair.close(bed);
    }
}

fn tokens_of_another_domain_are_refused(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let other = pair.client.adapter.create_pd().unwrap();
    let region = other.create_mr(false).unwrap();
    region.register(&pair.client.buffer, NDK_MR_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let foreign = crate::consumer::va_sge(region.local_token(), pair.client.buffer.va(), 8);
    pair.client.qp.send(1, &[foreign], 0).unwrap();
    let ended = results(bed, &pair.client, 20);
    assert_eq!((ended[0].Status, ended[0].RequestContext.addr()), (STATUS_ACCESS_VIOLATION, 1));
    region.close();
    other.close();
    pair.close(bed);
}

fn a_domain_closes_after_everything_in_it(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let adapter = &host.adapter;
    let pd = adapter.create_pd().unwrap();
    let (mr, mw) = (pd.create_mr(false).unwrap(), pd.create_mw().unwrap());
    let before = adapter.ledger.outstanding();
    pd.close();
    assert_eq!(adapter.ledger.outstanding(), before, "its region and window are open");
    mr.close();
    assert_eq!(adapter.ledger.outstanding(), before - 1);
    mw.close();
    assert_eq!(adapter.ledger.outstanding(), before - 3);
    host.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "PD-01 PD-07 COM-03 LT-21",
        "as_many_as_reported_can_be_created_and_no_more",
        as_many_as_reported_can_be_created_and_no_more,
    ),
    case(
        "PD-02 PD-03 LAM-14",
        "the_privileged_token_reads_and_writes_logical_addresses",
        the_privileged_token_reads_and_writes_logical_addresses,
    ),
    case("PD-04 WR-25", "a_peer_cannot_use_the_privileged_token", a_peer_cannot_use_the_privileged_token),
    case("PD-05", "tokens_of_another_domain_are_refused", tokens_of_another_domain_are_refused),
    case("PD-06 LT-05", "a_domain_closes_after_everything_in_it", a_domain_closes_after_everything_in_it),
];
