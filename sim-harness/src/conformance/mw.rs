//! MW: memory windows, and T-31: a bound window is any connected peer's who has its token.

use super::pair::{Pair, results, wait};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::{Failed, Mr, Mw};
use ndk_types::*;

const BOTH: u32 = NDK_OP_FLAG_ALLOW_REMOTE_READ | NDK_OP_FLAG_ALLOW_REMOTE_WRITE;

/// A server's buffer, registered for local writing, and a window.
fn region_and_window(pair: &Pair, flags: u32) -> (Mr, Mw) {
    let region = pair.server.pd.create_mr(false).unwrap();
    region.register(&pair.server.buffer, flags).unwrap();
    (region, pair.server.pd.create_mw().unwrap())
}

fn a_window_grants_its_range_and_rights_and_nothing_else(bed: &mut dyn Bed) {
    // What a peer tries: whether it writes, where relative to the window of 100 bytes at 1000, and whether it may.
    let tries = [
        (NDK_OP_FLAG_ALLOW_REMOTE_READ, false, 0, 100, true),
        (NDK_OP_FLAG_ALLOW_REMOTE_READ, true, 0, 1, false),
        (NDK_OP_FLAG_ALLOW_REMOTE_WRITE, true, 99, 1, true),
        (NDK_OP_FLAG_ALLOW_REMOTE_WRITE, false, 0, 1, false),
        (BOTH, true, 100, 1, false),
        (BOTH, false, -1, 1, false),
        (BOTH, true, 50, 51, false),
    ];
    for (flags, is_write, at, length, may) in tries {
        let pair = Pair::new(bed);
        let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
        let va = pair.server.buffer.va() + 1000;
        pair.server.qp.bind(1, &region, &window, va, 100, flags).unwrap();
        let token = window.remote_token();
        let done = results(bed, &pair.server, 2);
        assert_eq!((done[0].Status, done[0].Type), (STATUS_SUCCESS, NdkOperationTypeBind));
        assert_eq!(window.remote_token(), token, "MW-02: the token was there when the post returned");
        let (sgl, at) = ([pair.client.sge(0, length)], va.wrapping_add_signed(at));
        if is_write {
            pair.client.qp.write(2, &sgl, at, token, 0).unwrap();
        } else {
            pair.client.qp.read(2, &sgl, at, token, 0).unwrap();
        }
        let status = results(bed, &pair.client, 50)[0].Status;
        let expected = if may { STATUS_SUCCESS } else { STATUS_REMOTE_RESOURCES };
        assert_eq!(status, expected, "{flags:#x} {is_write} {length}");
        window.close();
        region.close();
        pair.close(bed);
    }
}

fn a_bind_outside_the_region_or_beyond_its_rights_is_refused_inline(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_REMOTE_READ);
    let (va, length) = (pair.server.buffer.va(), pair.server.buffer.len());
    let qp = &pair.server.qp;
    for (va, length) in [(va - 1, 10), (va, length + 1), (va + length as u64, 1), (u64::MAX - 4, 8), (va, usize::MAX)] {
        let refused = qp.bind(1, &region, &window, va, length, NDK_OP_FLAG_ALLOW_REMOTE_READ);
        assert_eq!(refused, Err(Failed("NdkBind", STATUS_INVALID_PARAMETER)), "{va:#x} {length}");
    }
    let refused = qp.bind(1, &region, &window, va, 8, NDK_OP_FLAG_ALLOW_REMOTE_WRITE);
    assert_eq!(refused, Err(Failed("NdkBind", STATUS_ACCESS_VIOLATION)));
    // Nothing has changed and nothing completes; the whole region binds.
    assert!(results(bed, &pair.server, 2).is_empty());
    pair.server.qp.bind(2, &region, &window, va, length, NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    assert_eq!(results(bed, &pair.server, 2)[0].Status, STATUS_SUCCESS);
    window.close();
    region.close();
    pair.close(bed);
}

fn an_invalidated_window_is_no_more_and_a_second_invalidate_fails(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    let va = pair.server.buffer.va();
    pair.server.qp.bind(1, &region, &window, va, 100, BOTH).unwrap();
    let token = window.remote_token();
    pair.server.qp.invalidate_mw(2, &window, 0).unwrap();
    let done: Vec<_> = results(bed, &pair.server, 5).iter().map(|result| (result.Status, result.Type)).collect();
    assert_eq!(done, [NdkOperationTypeBind, NdkOperationTypeInvalidate].map(|kind| (STATUS_SUCCESS, kind)));
    // It can be bound again, elsewhere: MW-14. Its old token stays dead.
    pair.server.qp.bind(3, &region, &window, va + 500, 100, BOTH).unwrap();
    pair.client.qp.write(4, &[pair.client.sge(0, 8)], va + 500, window.remote_token(), 0).unwrap();
    assert_eq!(results(bed, &pair.client, 5)[0].Status, STATUS_SUCCESS);
    pair.client.qp.write(5, &[pair.client.sge(0, 8)], va, token, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    window.close();
    region.close();
    pair.close(bed);

    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    pair.server.qp.bind(1, &region, &window, va, 100, BOTH).unwrap();
    pair.server.qp.invalidate_mw(2, &window, 0).unwrap();
    let _ = pair.server.qp.invalidate_mw(3, &window, 0);
    let done = results(bed, &pair.server, 20);
    assert_eq!(done.len(), 3);
    assert_eq!(done[2].Status, STATUS_INVALID_DEVICE_REQUEST, "MW-09");
    window.close();
    region.close();
    pair.close(bed);
}

fn a_window_that_a_peer_invalidated_cannot_be_invalidated_again(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    pair.server.qp.bind(1, &region, &window, pair.server.buffer.va(), 100, BOTH).unwrap();
    let token = window.remote_token();
    pair.server.qp.receive(2, &[pair.server.sge(4096, 8)]).unwrap();
    pair.client.qp.send_and_invalidate(3, &[pair.client.sge(0, 8)], 0, token).unwrap();
    let done = results(bed, &pair.server, 5);
    assert_eq!(
        (done[1].Type, done[1].TypeSpecificCompletionOutput as u32),
        (NdkOperationTypeReceiveAndInvalidate, token)
    );
    pair.server.qp.invalidate_mw(4, &window, 0).unwrap();
    assert_eq!(results(bed, &pair.server, 20)[0].Status, STATUS_INVALID_DEVICE_REQUEST);
    window.close();
    region.close();
    pair.close(bed);
}

fn windows_may_overlap_and_any_connection_of_the_domain_may_use_them(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    let other = pair.server.pd.create_mw().unwrap();
    let va = pair.server.buffer.va();
    pair.server.qp.bind(1, &region, &window, va, 100, BOTH).unwrap();
    pair.server.qp.bind(2, &region, &other, va + 50, 100, BOTH).unwrap();
    assert_eq!(results(bed, &pair.server, 2).len(), 2);
    // A second connection, between queue pairs that never heard of the binds.
    let client_qp = pair.client.pd.create_qp(&pair.client.cq, 4, 1, 0).unwrap();
    let server_qp = pair.server.pd.create_qp(&pair.server.cq, 4, 1, 0).unwrap();
    let active = pair.client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client_qp, crate::bed::ipv4(0), super::pair::smb(1), 1, b"");
    let passive = super::pair::arrival(bed, &pair.listener);
    let (accepting, _) = passive.accept(&server_qp, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    for (number, token) in [window.remote_token(), other.remote_token()].into_iter().enumerate() {
        client_qp.write(number, &[pair.client.sge(0, 8)], va + 60, token, 0).unwrap();
    }
    let done: Vec<_> = results(bed, &pair.client, 10).iter().map(|result| result.Status).collect();
    assert_eq!(done, [STATUS_SUCCESS; 2]);
    active.close();
    passive.close();
    client_qp.close();
    server_qp.close();
    other.close();
    window.close();
    region.close();
    pair.close(bed);
}

fn a_connection_of_another_domain_cannot_use_a_window(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let other = pair.server.adapter.create_pd().unwrap();
    // Region and window are another domain's than the queue pair the peer comes by; one of the other domain binds.
    let (region, window) = (other.create_mr(false).unwrap(), other.create_mw().unwrap());
    region.register(&pair.server.buffer, NDK_MR_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let client_qp = pair.client.pd.create_qp(&pair.client.cq, 4, 1, 0).unwrap();
    let server_qp = other.create_qp(&pair.server.cq, 4, 1, 0).unwrap();
    let active = pair.client.adapter.create_connector().unwrap();
    let connecting = active.connect(&client_qp, crate::bed::ipv4(0), super::pair::smb(1), 1, b"");
    let passive = super::pair::arrival(bed, &pair.listener);
    let (accepting, _) = passive.accept(&server_qp, 1, b"");
    assert_eq!(wait(bed, connecting), STATUS_SUCCESS);
    active.complete_connect().unwrap();
    assert_eq!(wait(bed, accepting), STATUS_SUCCESS);
    let va = pair.server.buffer.va();
    let refused = pair.server.qp.bind(1, &region, &window, va, 100, BOTH);
    assert_eq!(refused, Err(Failed("NdkBind", STATUS_INVALID_PARAMETER)));
    server_qp.bind(2, &region, &window, va, 100, BOTH).unwrap();
    assert_eq!(results(bed, &pair.server, 2)[0].Status, STATUS_SUCCESS);
    let (sgl, token) = ([pair.client.sge(0, 8)], window.remote_token());
    pair.client.buffer.write(0, &[7; 8]);
    client_qp.write(3, &sgl, va, token, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 5)[0].Status, STATUS_SUCCESS, "the domain's own connection may");
    pair.server.qp.receive(4, &[pair.server.sge(100, 8)]).unwrap();
    pair.client.qp.write(5, &sgl, va + 50, token, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    assert_eq!(pair.server.buffer.read(50, 8), [0; 8]);
    // WR-47: what the other end had posted is cancelled.
    let ended = results(bed, &pair.server, 50);
    assert_eq!((ended[0].RequestContext.addr(), ended[0].Status), (4, STATUS_CANCELLED));
    active.close();
    passive.close();
    client_qp.close();
    server_qp.close();
    window.close();
    region.close();
    other.close();
    pair.close(bed);
}

fn a_region_with_windows_is_busy_and_closes_after_them(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, window) = region_and_window(&pair, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    pair.server.qp.bind(1, &region, &window, pair.server.buffer.va(), 100, BOTH).unwrap();
    assert_eq!(results(bed, &pair.server, 2)[0].Status, STATUS_SUCCESS);
    assert_eq!(wait(bed, region.deregister()), STATUS_DEVICE_BUSY);
    let before = pair.server.adapter.ledger.outstanding();
    region.close();
    assert_eq!(pair.server.adapter.ledger.outstanding(), before, "the window is open");
    window.close();
    assert_eq!(pair.server.adapter.ledger.outstanding(), before - 2);
    pair.close(bed);
}

fn without_a_connection_nothing_binds(bed: &mut dyn Bed) {
    let host = super::pair::Host::new(bed, 1);
    let (region, window) = (host.pd.create_mr(false).unwrap(), host.pd.create_mw().unwrap());
    region.register(&host.buffer, NDK_MR_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let refused = host.qp.bind(1, &region, &window, host.buffer.va(), 8, BOTH);
    assert_eq!(refused, Err(Failed("NdkBind", STATUS_CONNECTION_INVALID)));
    let fast = host.pd.create_mr(true).unwrap();
    fast.initialize(1, true).unwrap();
    let pages = &host.lam.pages[..1];
    let refused = host.qp.fast_register_at(2, &fast, pages, (100, 8, 100), 0);
    assert_eq!(refused, Err(Failed("NdkFastRegister", STATUS_CONNECTION_INVALID)));
    let refused = host.qp.invalidate_mr(3, &fast, 0);
    assert_eq!(refused, Err(Failed("NdkInvalidate", STATUS_CONNECTION_INVALID)));
    fast.close();
    window.close();
    region.close();
    host.close(bed);
}

fn more_windows_than_there_is_room_for_are_refused(bed: &mut dyn Bed) {
    let host = super::pair::Host::new(bed, 0);
    let mut all = Vec::new();
    let refused = loop {
        match host.pd.create_mw() {
            Ok(window) => all.push(window),
            Err(refused) => break refused,
        }
        assert!(all.len() <= bed.limits().regions as usize);
    };
    assert_eq!(refused, Failed("NdkCreateMw", STATUS_INSUFFICIENT_RESOURCES));
    assert_eq!(host.pd.create_mr(false).err(), Some(Failed("NdkCreateMr", STATUS_INSUFFICIENT_RESOURCES)));
    all.into_iter().for_each(Mw::close);
    host.pd.create_mw().unwrap().close();
    host.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "MW-02 MW-03 MW-06 MW-07",
        "a_window_grants_its_range_and_rights_and_nothing_else",
        a_window_grants_its_range_and_rights_and_nothing_else,
    ),
    case(
        "MW-04 MW-05 MW-13",
        "a_bind_outside_the_region_or_beyond_its_rights_is_refused_inline",
        a_bind_outside_the_region_or_beyond_its_rights_is_refused_inline,
    ),
    case(
        "MW-08 MW-09 MW-12 MW-14",
        "an_invalidated_window_is_no_more_and_a_second_invalidate_fails",
        an_invalidated_window_is_no_more_and_a_second_invalidate_fails,
    ),
    case(
        "MW-09 WR-26 CQ-22",
        "a_window_that_a_peer_invalidated_cannot_be_invalidated_again",
        a_window_that_a_peer_invalidated_cannot_be_invalidated_again,
    ),
    case(
        "MW-10 MW-14 T-31",
        "windows_may_overlap_and_any_connection_of_the_domain_may_use_them",
        windows_may_overlap_and_any_connection_of_the_domain_may_use_them,
    ),
    case(
        "PD-05 WR-47 T-31",
        "a_connection_of_another_domain_cannot_use_a_window",
        a_connection_of_another_domain_cannot_use_a_window,
    ),
    case(
        "MW-11 LT-06",
        "a_region_with_windows_is_busy_and_closes_after_them",
        a_region_with_windows_is_busy_and_closes_after_them,
    ),
    case("MW-12 QP-07", "without_a_connection_nothing_binds", without_a_connection_nothing_binds),
    case("MW-01", "more_windows_than_there_is_room_for_are_refused", more_windows_than_there_is_room_for_are_refused),
];
