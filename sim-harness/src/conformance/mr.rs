//! MR: memory regions.

use super::pair::{Host, Pair, results, wait};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::{Failed, Mr, va_sge};
use crate::memory::Buffer;
use ndk_types::*;

const EVERYTHING: u32 = NDK_MR_FLAG_ALLOW_REMOTE_READ | NDK_MR_FLAG_ALLOW_REMOTE_WRITE;

/// A region over the whole of the host's buffer.
fn registered(host: &Host, flags: u32) -> Mr {
    let region = host.pd.create_mr(false).unwrap();
    region.register(&host.buffer, flags).unwrap();
    region
}

fn each_kind_serves_its_own_registration_only(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let (normal, fast) = (host.pd.create_mr(false).unwrap(), host.pd.create_mr(true).unwrap());
    let refused = fast.register(&host.buffer, 0);
    assert_eq!(refused, Err(Failed("NdkRegisterMr", STATUS_INVALID_DEVICE_REQUEST)));
    let refused = normal.initialize(16, true);
    assert_eq!(refused, Err(Failed("NdkInitializeFastRegisterMr", STATUS_INVALID_DEVICE_REQUEST)));
    // And nothing has changed: each still does what it is for.
    normal.register(&host.buffer, 0).unwrap();
    fast.initialize(16, true).unwrap();
    normal.close();
    fast.close();
    host.close(bed);
}

fn a_chain_must_be_contiguous_and_long_enough(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let buffer = Buffer::new(12_000, 8);
    let region = host.pd.create_mr(false).unwrap();
    let refused = Err(Failed("NdkRegisterMr", STATUS_INVALID_PARAMETER));
    let (mut first, mut after_a_hole) = (buffer.mdl_of(0, 1000), buffer.mdl_of(1001, 1000));
    first.Next = after_a_hole.as_mut_ptr();
    assert_eq!(region.register_mdl(first.as_mut_ptr(), 2000, 0), refused);
    let mut mdl = buffer.mdl();
    for length in [12_001, 0, usize::MAX] {
        assert_eq!(region.register_mdl(mdl.as_mut_ptr(), length, 0), refused, "{length}");
    }
    assert_eq!(region.register_mdl(std::ptr::null_mut(), 1, 0), refused);
    // Several MDLs that meet are one region.
    let (mut first, mut second) = (buffer.mdl_of(0, 1000), buffer.mdl_of(1000, 11_000));
    first.Next = second.as_mut_ptr();
    region.register_mdl(first.as_mut_ptr(), 12_000, 0).unwrap();
    region.close();
    host.close(bed);
}

fn a_peer_reaches_the_first_bytes_that_were_registered_and_none_after(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = pair.server.pd.create_mr(false).unwrap();
    {
        // The chain is gone when this block ends (MR-15).
        let (mut first, mut second) = (pair.server.buffer.mdl_of(0, 100), pair.server.buffer.mdl_of(100, 900));
        first.Next = second.as_mut_ptr();
        region.register_mdl(first.as_mut_ptr(), 500, EVERYTHING).unwrap();
    }
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    pair.client.buffer.write(0, &[7; 500]);
    pair.client.qp.write(1, &[pair.client.sge(0, 500)], va, token, 0).unwrap();
    pair.client.qp.read(2, &[pair.client.sge(1000, 1)], va + 499, token, 0).unwrap();
    let done: Vec<_> = results(bed, &pair.client, 20).iter().map(|result| result.Status).collect();
    assert_eq!(done, [STATUS_SUCCESS; 2]);
    assert_eq!(
        (pair.server.buffer.read(0, 501), pair.client.buffer.read(1000, 1)),
        ([vec![7; 500], vec![0]].concat(), vec![7])
    );
    pair.client.qp.read(3, &[pair.client.sge(2000, 2)], va + 499, token, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    assert_eq!(pair.client.buffer.read(2000, 2), [0; 2]);
    region.close();
    pair.close(bed);
}

fn addresses_that_wrap_or_lie_outside_are_refused(bed: &mut dyn Bed) {
    for (offset, length) in
        [(u64::MAX, 8), (u64::MAX - 3, 8), (1 << 16, 1), (0x8000_0000_0000_0000, 4), ((1 << 16) - 4, 8)]
    {
        let pair = Pair::new(bed);
        let region = registered(&pair.server, EVERYTHING);
        let va = pair.server.buffer.va().wrapping_add(offset);
        pair.client.buffer.write(0, &[9; 8]);
        pair.client.qp.write(1, &[pair.client.sge(0, length)], va, region.remote_token(), 0).unwrap();
        assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES, "{offset:#x}");
        assert!(pair.server.buffer.read(0, 1 << 16).iter().all(|&byte| byte == 0));
        region.close();
        pair.close(bed);
    }
}

fn rights_are_what_was_asked_for(bed: &mut dyn Bed) {
    let rights = [
        (0, false, false),
        (NDK_MR_FLAG_ALLOW_REMOTE_READ, true, false),
        (NDK_MR_FLAG_ALLOW_LOCAL_WRITE, false, false),
        (NDK_MR_FLAG_ALLOW_REMOTE_WRITE, false, true),
        (EVERYTHING | NDK_MR_FLAG_RDMA_READ_SINK, true, true),
    ];
    for (flags, may_read, may_write) in rights {
        for is_write in [false, true] {
            let pair = Pair::new(bed);
            let region = registered(&pair.server, flags);
            let (va, token) = (pair.server.buffer.va(), region.remote_token());
            let sgl = [pair.client.sge(0, 8)];
            if is_write {
                pair.client.qp.write(1, &sgl, va, token, 0).unwrap();
            } else {
                pair.client.qp.read(1, &sgl, va, token, 0).unwrap();
            }
            let expected = if is_write { may_write } else { may_read };
            let status = results(bed, &pair.client, 50)[0].Status;
            let expected = if expected { STATUS_SUCCESS } else { STATUS_REMOTE_RESOURCES };
            assert_eq!(status, expected, "flags {flags:#x}, write {is_write}");
            region.close();
            pair.close(bed);
        }
    }
}

fn a_region_for_reading_takes_no_receive_and_no_read(bed: &mut dyn Bed) {
    for way in 0..2 {
        let pair = Pair::new(bed);
        let source = registered(&pair.server, NDK_MR_FLAG_ALLOW_REMOTE_READ);
        let readable = registered(&pair.client, 0);
        let piece = [va_sge(readable.local_token(), pair.client.buffer.va(), 8)];
        if way == 0 {
            pair.client.qp.receive(1, &piece).unwrap();
            pair.server.qp.send(2, &[pair.server.sge(0, 8)], 0).unwrap();
        } else {
            let (va, token) = (pair.server.buffer.va(), source.remote_token());
            pair.client.qp.read(1, &piece, va, token, 0).unwrap();
        }
        let ended = results(bed, &pair.client, 50);
        assert_eq!((ended[0].RequestContext.addr(), ended[0].Status), (1, STATUS_ACCESS_VIOLATION), "way {way}");
        assert_eq!(pair.client.buffer.read(0, 8), [0; 8]);
        source.close();
        readable.close();
        pair.close(bed);
    }
}

fn a_local_region_serves_sends_receives_and_read_sinks(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let source = registered(&pair.server, NDK_MR_FLAG_ALLOW_REMOTE_READ);
    let sink = registered(&pair.client, NDK_MR_FLAG_ALLOW_LOCAL_WRITE);
    pair.server.buffer.write(0, b"from the server");
    let va = pair.client.buffer.va();
    let piece = |offset: u64, length| va_sge(sink.local_token(), va + offset, length);
    pair.client.qp.receive(1, &[piece(0, 6), piece(100, 20)]).unwrap();
    pair.client.qp.read(2, &[piece(200, 15)], pair.server.buffer.va(), source.remote_token(), 0).unwrap();
    pair.server.qp.send(3, &[va_sge(source.local_token(), pair.server.buffer.va(), 15)], 0).unwrap();
    assert_eq!(results(bed, &pair.client, 10).len(), 2);
    assert_eq!(pair.client.buffer.read(0, 6), b"from t");
    assert_eq!(pair.client.buffer.read(100, 9), b"he server");
    assert_eq!(pair.client.buffer.read(200, 15), b"from the server");
    source.close();
    sink.close();
    pair.close(bed);
}

fn deregistering_ends_the_tokens_and_the_region_can_be_registered_again(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = registered(&pair.server, EVERYTHING);
    let (va, old) = (pair.server.buffer.va(), region.remote_token());
    let again = region.register(&pair.server.buffer, EVERYTHING);
    assert_eq!(again, Err(Failed("NdkRegisterMr", STATUS_INVALID_DEVICE_STATE)), "it is registered");
    assert_eq!(wait(bed, region.deregister()), STATUS_SUCCESS);
    assert_eq!(wait(bed, region.deregister()), STATUS_INVALID_DEVICE_STATE, "it is not registered any more");
    region.register(&pair.server.buffer, EVERYTHING).unwrap();
    pair.client.qp.write(1, &[pair.client.sge(0, 8)], va, region.remote_token(), 0).unwrap();
    assert_eq!(results(bed, &pair.client, 20)[0].Status, STATUS_SUCCESS);
    pair.client.qp.write(2, &[pair.client.sge(0, 8)], va, old, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    region.close();
    pair.close(bed);
}

fn a_stale_local_token_fails_the_request(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = registered(&pair.client, 0);
    let piece = va_sge(region.local_token(), pair.client.buffer.va(), 8);
    assert_eq!(wait(bed, region.deregister()), STATUS_SUCCESS);
    pair.client.qp.send(1, &[piece], 0).unwrap();
    assert_eq!(results(bed, &pair.client, 20)[0].Status, STATUS_ACCESS_VIOLATION);
    region.close();
    pair.close(bed);
}

fn closing_a_registered_region_ends_a_peer_s_access(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = registered(&pair.server, EVERYTHING);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    region.close();
    pair.client.qp.read(1, &[pair.client.sge(0, 8)], va, token, 0).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    pair.close(bed);
}

fn page_counts_are_taken_up_to_the_limit(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let reported = host.adapter.info().unwrap().FRMRPageCount;
    assert!(reported >= 16);
    let region = host.pd.create_mr(true).unwrap();
    for pages in [0, u32::MAX, 1 << 20] {
        let refused = region.initialize(pages, true);
        assert_eq!(refused, Err(Failed("NdkInitializeFastRegisterMr", STATUS_IMPLEMENTATION_LIMIT)), "{pages}");
    }
    for pages in [16, reported, 1, reported] {
        region.initialize(pages, true).unwrap();
    }
    assert_ne!(region.remote_token(), 0);
    region.close();
    host.close(bed);
}

fn the_token_of_a_fast_region_stays_over_its_registrations(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = pair.client.pd.create_mr(true).unwrap();
    region.initialize(4, true).unwrap();
    let token = region.remote_token();
    assert_ne!(token, 0);
    for round in 0..5 {
        let pages = &pair.client.lam.pages[..2];
        let flags = NDK_OP_FLAG_ALLOW_REMOTE_READ;
        pair.client.qp.fast_register_at(round, &region, pages, (100, 8000, 0x7000_0064), flags).unwrap();
        assert_eq!(region.remote_token(), token, "WR-37: usable at once");
        pair.client.qp.invalidate_mr(100 + round, &region, 0).unwrap();
        let done: Vec<_> = results(bed, &pair.client, 5).iter().map(|result| (result.Status, result.Type)).collect();
        let expected = [NdkOperationTypeFastRegister, NdkOperationTypeInvalidate].map(|kind| (STATUS_SUCCESS, kind));
        assert_eq!(done, expected);
    }
    assert_eq!((region.remote_token(), region.local_token()), (token, token));
    region.close();
    pair.close(bed);
}

fn the_largest_registration_is_taken_and_more_is_not(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let most = host.adapter.info().unwrap().MaxRegistrationSize;
    let region = host.pd.create_mr(false).unwrap();
    let mut mdl = host.buffer.mdl();
    // The MDL says it is long enough; on the native bed nobody looks at the pages before they are used.
    mdl.ByteCount = u32::MAX;
    let refused = region.register_mdl(mdl.as_mut_ptr(), most + 1, 0);
    assert_eq!(refused, Err(Failed("NdkRegisterMr", STATUS_INVALID_PARAMETER)));
    if bed.native().is_some() {
        region.register_mdl(mdl.as_mut_ptr(), most, 0).unwrap();
    }
    region.close();
    host.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case("MR-01 MR-02", "each_kind_serves_its_own_registration_only", each_kind_serves_its_own_registration_only),
    case("MR-03 MR-04 MR-06", "a_chain_must_be_contiguous_and_long_enough", a_chain_must_be_contiguous_and_long_enough),
    case(
        "MR-04 MR-05 MR-07 MR-08 MR-15 WR-27",
        "a_peer_reaches_the_first_bytes_that_were_registered_and_none_after",
        a_peer_reaches_the_first_bytes_that_were_registered_and_none_after,
    ),
    case(
        "WR-06 WR-47 MR-11",
        "addresses_that_wrap_or_lie_outside_are_refused",
        addresses_that_wrap_or_lie_outside_are_refused,
    ),
    case("MR-10 MR-11 MR-12 MR-13 ADP-21", "rights_are_what_was_asked_for", rights_are_what_was_asked_for),
    case(
        "MR-09 MR-11",
        "a_region_for_reading_takes_no_receive_and_no_read",
        a_region_for_reading_takes_no_receive_and_no_read,
    ),
    case(
        "MR-08 MR-09 MR-19 ADP-20 WR-05",
        "a_local_region_serves_sends_receives_and_read_sinks",
        a_local_region_serves_sends_receives_and_read_sinks,
    ),
    case(
        "MR-16 MR-17 MR-18",
        "deregistering_ends_the_tokens_and_the_region_can_be_registered_again",
        deregistering_ends_the_tokens_and_the_region_can_be_registered_again,
    ),
    case("MR-17 WR-06", "a_stale_local_token_fails_the_request", a_stale_local_token_fails_the_request),
    case("MR-18", "closing_a_registered_region_ends_a_peer_s_access", closing_a_registered_region_ends_a_peer_s_access),
    case("MR-20 MR-21 MR-22 REG-14", "page_counts_are_taken_up_to_the_limit", page_counts_are_taken_up_to_the_limit),
    case(
        "MR-23 MR-28 WR-37 WR-39",
        "the_token_of_a_fast_region_stays_over_its_registrations",
        the_token_of_a_fast_region_stays_over_its_registrations,
    ),
    case(
        "MR-14 MR-27",
        "the_largest_registration_is_taken_and_more_is_not",
        the_largest_registration_is_taken_and_more_is_not,
    ),
];
