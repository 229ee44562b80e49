//! WR: work requests: what every kind does between two hosts, and what each posting flag means.

use super::pair::{Host, Pair, pass, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::{Failed, Mr, va_sge};
use crate::memory::Buffer;
use ndk_types::*;

/// A region over the server's whole buffer that peers may read and write.
fn open_region(host: &Host) -> Mr {
    let region = host.pd.create_mr(false).unwrap();
    region.register(&host.buffer, NDK_MR_FLAG_ALLOW_REMOTE_READ | NDK_MR_FLAG_ALLOW_REMOTE_WRITE).unwrap();
    region
}

fn statuses(results: &[NDK_RESULT_EX]) -> Vec<(usize, NTSTATUS)> {
    results.iter().map(|result| (result.RequestContext.addr(), result.Status)).collect()
}

fn every_success_has_one_completion_of_its_kind(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let fast = pair.client.pd.create_mr(true).unwrap();
    fast.initialize(1, true).unwrap();
    for number in 0..2 {
        pair.server.qp.receive(number, &[pair.server.sge(4096, 16)]).unwrap();
    }
    let (qp, sgl) = (&pair.client.qp, [pair.client.sge(0, 8)]);
    qp.send(1, &sgl, 0).unwrap();
    qp.write(2, &sgl, va, token, 0).unwrap();
    qp.read(3, &sgl, va, token, 0).unwrap();
    qp.fast_register_at(4, &fast, &pair.client.lam.pages[..1], (100, 8, 100), NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    qp.send_and_invalidate(5, &sgl, 0, token).unwrap();
    qp.invalidate_mr(6, &fast, 0).unwrap();
    let done = results(bed, &pair.client, 20);
    let kinds = [
        NdkOperationTypeSend,
        NdkOperationTypeWrite,
        NdkOperationTypeRead,
        NdkOperationTypeFastRegister,
        NdkOperationTypeSend,
        NdkOperationTypeInvalidate,
    ];
    // A registered region is not a peer's to invalidate (WR-25): the fifth fails, and the rest with it.
    assert_eq!(done.iter().map(|result| result.Type).collect::<Vec<_>>(), kinds);
    assert_eq!(statuses(&done)[..4], [(1, 0), (2, 0), (3, 0), (4, 0)]);
    assert!(done[4].Status != STATUS_SUCCESS && done[5].Status == STATUS_CANCELLED);
    fast.close();
    region.close();
    pair.close(bed);
}

fn inline_data_is_taken_when_posted_whatever_the_token(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    for number in 0..2 {
        pair.server.qp.receive(number, &[pair.server.sge(4096, 64)]).unwrap();
    }
    // Five pieces of a queue pair that was made for two.
    let mut bytes = *b"inline data in five pieces";
    let piece =
        |from: usize, to: usize| va_sge(0xdead, (&raw const bytes).addr() as u64 + from as u64, (to - from) as u32);
    let pieces = [piece(0, 7), piece(7, 8), piece(8, 8), piece(8, 20), piece(20, 26)];
    // The consumer's memory is ordinary memory here, at its real address: the one address that is followed.
    (&raw const bytes).expose_provenance();
    pair.client.qp.send(1, &pieces, NDK_OP_FLAG_INLINE).unwrap();
    pair.client.qp.write(2, &pieces, va, token, NDK_OP_FLAG_INLINE).unwrap();
    pair.client.qp.send_and_invalidate(3, &pieces, NDK_OP_FLAG_INLINE | NDK_OP_FLAG_DEFER, 1).unwrap();
    bytes.fill(b'x');
    assert_eq!(statuses(&results(bed, &pair.server, 5)), [(0, STATUS_SUCCESS)]);
    assert_eq!(pair.server.buffer.read(4096, 26), b"inline data in five pieces");
    assert_eq!(pair.server.buffer.read(0, 26), b"inline data in five pieces");
    region.close();
    pair.close(bed);
}

fn inline_data_beyond_the_size_asked_for_is_refused(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let bytes = [1_u8; 65];
    let address = (&raw const bytes).expose_provenance() as u64;
    for (first, second, taken) in [(64, 0, true), (32, 32, true), (65, 0, false), (64, 1, false), (u32::MAX, 1, false)]
    {
        let pieces = [va_sge(0, address, first), va_sge(0, address, second)];
        let posted = pair.client.qp.send(1, &pieces, NDK_OP_FLAG_INLINE);
        let refused = Err(Failed("NdkSend", STATUS_INVALID_BUFFER_SIZE));
        assert_eq!(posted, if taken { Ok(()) } else { refused }, "{first} and {second}");
    }
    pair.close(bed);
}

fn lists_longer_than_asked_for_are_refused(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let three = [pair.client.sge(0, 1); 3];
    let qp = &pair.client.qp;
    assert_eq!(qp.send(1, &three, 0), Err(Failed("NdkSend", STATUS_INVALID_PARAMETER)));
    assert_eq!(qp.write(1, &three, va, token, 0), Err(Failed("NdkWrite", STATUS_INVALID_PARAMETER)));
    assert_eq!(qp.read(1, &three, va, token, 0), Err(Failed("NdkRead", STATUS_INVALID_PARAMETER)));
    assert_eq!(qp.receive(1, &three), Err(Failed("NdkReceive", STATUS_INVALID_PARAMETER)));
    let refused = qp.send_and_invalidate(1, &three, 0, token);
    assert_eq!(refused, Err(Failed("NdkSendAndInvalidate", STATUS_INVALID_PARAMETER)));
    // Sums beyond the longest transfer.
    let long = [pair.client.sge(0, u32::MAX); 2];
    assert_eq!(qp.send(1, &long, 0), Err(Failed("NdkSend", STATUS_INVALID_BUFFER_SIZE)));
    assert_eq!(qp.receive(1, &long), Err(Failed("NdkReceive", STATUS_INVALID_BUFFER_SIZE)));
    assert!(results(bed, &pair.client, 5).is_empty(), "WR-02");
    // And the queue pair works.
    pair.client.qp.write(2, &three[..2], va, token, 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 5)), [(2, STATUS_SUCCESS)]);
    region.close();
    pair.close(bed);
}

fn silent_requests_say_nothing_unless_they_fail_and_never_run_out(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let quiet = NDK_OP_FLAG_SILENT_SUCCESS;
    // Many more than the queue's eight.
    for round in 0..40_u8 {
        pair.client.buffer.write(0, &[round]);
        pair.client.qp.write(1, &[pair.client.sge(0, 1)], va + u64::from(round), token, quiet).unwrap();
        pass(bed, 1);
    }
    assert!(pair.client.cq.poll().is_empty());
    assert_eq!(pair.server.buffer.read(0, 40), (0..40).collect::<Vec<u8>>());
    // Silent and wrong: it speaks.
    pair.client.qp.write(2, &[pair.client.sge(0, 1)], va, token ^ 1, quiet).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 50)), [(2, STATUS_REMOTE_RESOURCES)]);
    region.close();
    pair.close(bed);
}

fn every_kind_of_request_can_be_silent(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let (fast, there) = (pair.client.pd.create_mr(true).unwrap(), pair.client.pd.create_mr(false).unwrap());
    fast.initialize(1, true).unwrap();
    there.register(&pair.client.buffer, NDK_MR_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let window = pair.client.pd.create_mw().unwrap();
    pair.server.qp.receive(1, &[pair.server.sge(4096, 16)]).unwrap();
    let (qp, sgl, quiet) = (&pair.client.qp, [pair.client.sge(0, 8)], NDK_OP_FLAG_SILENT_SUCCESS);
    let pages = &pair.client.lam.pages[..1];
    qp.send(1, &sgl, quiet).unwrap();
    qp.write(2, &sgl, va, token, quiet).unwrap();
    qp.read(3, &sgl, va, token, quiet).unwrap();
    qp.fast_register_at(4, &fast, pages, (100, 8, 100), quiet).unwrap();
    qp.bind(5, &there, &window, pair.client.buffer.va(), 8, quiet | NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    qp.invalidate_mr(6, &fast, quiet).unwrap();
    qp.write(7, &sgl, va, token, 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(7, STATUS_SUCCESS)]);
    window.close();
    there.close();
    fast.close();
    region.close();
    pair.close(bed);
}

fn a_fenced_request_waits_for_the_reads_before_it(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    pair.server.buffer.write(0, &vec![5; 32_000]);
    // The write sends what the read brought: without the fence it would send what was there before.
    let sgl = [pair.client.sge(0, 32_000)];
    pair.client.qp.read(1, &sgl, va, token, 0).unwrap();
    pair.client.qp.write(2, &sgl, va + 32_000, token, NDK_OP_FLAG_READ_FENCE).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 20)), [(1, 0), (2, 0)]);
    assert_eq!(pair.server.buffer.read(32_000, 32_000), vec![5; 32_000]);
    // A fence without reads costs nothing and keeps the order.
    for number in 3..7 {
        pair.client.qp.write(number, &sgl[..1], va, token, NDK_OP_FLAG_READ_FENCE).unwrap();
    }
    assert_eq!(statuses(&results(bed, &pair.client, 20)), [(3, 0), (4, 0), (5, 0), (6, 0)]);
    region.close();
    pair.close(bed);
}

fn more_reads_than_the_limit_wait_their_turn(bed: &mut dyn Bed) {
    // The server's limit is two (Pair), the queue takes eight.
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let bytes: Vec<u8> = (0..8000_u32).map(|at| (at % 251) as u8).collect();
    pair.server.buffer.write(0, &bytes);
    for number in 0..8_usize {
        let sgl = [pair.client.sge(number * 1000, 1000)];
        pair.client.qp.read(number, &sgl, va + number as u64 * 1000, token, 0).unwrap();
    }
    let done = statuses(&results(bed, &pair.client, 20));
    assert_eq!(done, (0..8).map(|number| (number, STATUS_SUCCESS)).collect::<Vec<_>>());
    assert_eq!(pair.client.buffer.read(0, 8000), bytes);
    region.close();
    pair.close(bed);
}

fn requests_of_no_bytes_are_requests(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    pair.server.qp.receive(9, &[]).unwrap();
    let qp = &pair.client.qp;
    qp.send(1, &[], 0).unwrap();
    qp.write(2, &[], va, token, 0).unwrap();
    qp.read(3, &[], va, token, 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(1, 0), (2, 0), (3, 0)]);
    let received = pair.server.cq.poll();
    assert_eq!((received[0].RequestContext.addr(), received[0].BytesTransferred), (9, 0));
    region.close();
    pair.close(bed);
}

fn deferred_requests_go_with_the_next_that_is_not(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    for number in 0..5_u8 {
        pair.client.buffer.write(usize::from(number), &[number]);
        let sgl = [pair.client.sge(usize::from(number), 1)];
        let flags = if number < 4 { NDK_OP_FLAG_DEFER } else { 0 };
        pair.client.qp.write(usize::from(number), &sgl, va + u64::from(number), token, flags).unwrap();
    }
    let done = statuses(&results(bed, &pair.client, 10));
    assert_eq!(done, (0..5).map(|number| (number, STATUS_SUCCESS)).collect::<Vec<_>>());
    assert_eq!(pair.server.buffer.read(0, 5), [0, 1, 2, 3, 4]);
    region.close();
    pair.close(bed);
}

fn a_failing_post_indicates_what_was_deferred_before_it(bed: &mut dyn Bed) {
    // The documents' own example: a deferred fast register, then one that fails inline, then no more posts.
    let pair = Pair::new(bed);
    let fast = pair.client.pd.create_mr(true).unwrap();
    fast.initialize(1, false).unwrap();
    let pages = &pair.client.lam.pages[..1];
    pair.client.qp.fast_register_at(1, &fast, pages, (100, 8, 100), NDK_OP_FLAG_DEFER).unwrap();
    let flags = NDK_OP_FLAG_DEFER | NDK_OP_FLAG_ALLOW_REMOTE_READ;
    let refused = pair.client.qp.fast_register_at(2, &fast, pages, (100, 8, 100), flags);
    assert_eq!(refused, Err(Failed("NdkFastRegister", STATUS_ACCESS_VIOLATION)));
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(1, STATUS_SUCCESS)]);
    fast.close();
    pair.close(bed);
}

fn deferred_requests_are_flushed_too(bed: &mut dyn Bed) {
    for way in 0..2 {
        let pair = Pair::new(bed);
        for number in 1..=2 {
            pair.client.qp.send(number, &[pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER).unwrap();
        }
        if way == 0 {
            pair.client.qp.flush();
        } else {
            let _ = pair.active.disconnect();
        }
        let done = statuses(&results(bed, &pair.client, 10));
        assert_eq!(done, [(1, STATUS_CANCELLED), (2, STATUS_CANCELLED)], "way {way}");
        pair.close(bed);
    }
}

fn send_and_invalidate_ends_the_receiver_s_region_before_it_is_told(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let fast = pair.server.pd.create_mr(true).unwrap();
    fast.initialize(2, true).unwrap();
    let pages = &pair.server.lam.pages[..2];
    let flags = NDK_OP_FLAG_ALLOW_REMOTE_READ;
    pair.server.qp.fast_register_at(1, &fast, pages, (100, 4000, 0x1_0064), flags).unwrap();
    let token = fast.remote_token();
    pair.server.qp.receive(2, &[pair.server.sge(8192, 8)]).unwrap();
    pair.client.qp.read(3, &[pair.client.sge(0, 8)], 0x1_0064, token, 0).unwrap();
    pair.client.qp.send_and_invalidate(4, &[pair.client.sge(0, 8)], NDK_OP_FLAG_READ_FENCE, token).unwrap();
    let done = results(bed, &pair.server, 10);
    assert_eq!((done[1].Type, done[1].Status), (NdkOperationTypeReceiveAndInvalidate, STATUS_SUCCESS));
    assert_eq!(done[1].TypeSpecificCompletionOutput as u32, token);
    // It can be registered again at once: it is not valid any more (WR-40).
    pair.server.qp.fast_register_at(5, &fast, pages, (100, 4000, 0x1_0064), flags).unwrap();
    assert_eq!(statuses(&results(bed, &pair.server, 5)), [(5, STATUS_SUCCESS)]);
    fast.close();
    pair.close(bed);
}

fn a_bad_token_to_invalidate_ends_the_connection(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.server.qp.receive(1, &[pair.server.sge(0, 8)]).unwrap();
    pair.client.qp.send_and_invalidate(2, &[pair.client.sge(0, 8)], 0, 0x1234_5678).unwrap();
    assert_eq!(results(bed, &pair.client, 50)[0].Status, STATUS_REMOTE_RESOURCES);
    pass(bed, 50);
    assert_eq!(pair.server_events.load(std::sync::atomic::Ordering::SeqCst), 1);
    pair.close(bed);
}

fn a_read_can_invalidate_its_sink(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    pair.server.buffer.write(0, b"sunk");
    let sink = pair.client.pd.create_mr(true).unwrap();
    sink.initialize(1, true).unwrap();
    let pages = &pair.client.lam.pages[..1];
    let place = (100, 64, 0x5_0064);
    pair.client.qp.fast_register_at(1, &sink, pages, place, NDK_OP_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    let piece = [va_sge(sink.local_token(), 0x5_0064, 4)];
    pair.client.qp.read(2, &piece, va, token, NDK_OP_FLAG_RDMA_READ_LOCAL_INVALIDATE).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(1, 0), (2, 0)]);
    assert_eq!(pair.client.buffer.read(0, 4), b"sunk");
    // Gone: it registers again, where a valid one would refuse.
    pair.client.qp.fast_register_at(3, &sink, pages, place, NDK_OP_FLAG_ALLOW_LOCAL_WRITE).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(3, 0)]);
    sink.close();
    region.close();
    pair.close(bed);
}

fn fast_registration_checks_base_and_length_inline(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let fast = pair.client.pd.create_mr(true).unwrap();
    fast.initialize(2, true).unwrap();
    let pages = pair.client.lam.pages[..3].to_vec();
    let flags = NDK_OP_FLAG_ALLOW_REMOTE_READ | NDK_OP_FLAG_RDMA_READ_SINK;
    let refused = Err(Failed("NdkFastRegister", STATUS_INVALID_PARAMETER));
    for (pages, place) in [
        (&pages[..2], (100, 8, 101)),
        (&pages[..2], (100, 8, 0)),
        (&pages[..2], (100, 8193, 100)),
        (&pages[..2], (100, 8093, 100)),
        (&pages[..2], (100, 8000, u64::MAX - 3995)),
        (&pages[..2], (4096, 8, 4096)),
        (&pages[..3], (100, 8, 100)),
        (&[0x1_2345][..], (0, 8, 0)),
    ] {
        assert_eq!(pair.client.qp.fast_register_at(1, &fast, pages, place, flags), refused, "{place:?}");
    }
    assert!(results(bed, &pair.client, 2).is_empty());
    // Any multiple of a page plus the offset is a base, and everything the pages hold a length; not in page order either.
    let backwards = [pages[1], pages[2]];
    let place = (0, 8192, 0xffff_8000_0000_1000);
    pair.client.qp.fast_register_at(2, &fast, &backwards, place, flags).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 5)), [(2, STATUS_SUCCESS)]);
    fast.close();
    pair.close(bed);
}

fn a_fast_region_is_one_range_whatever_the_order_of_its_pages(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at / 80) as u8).collect();
    pair.server.buffer.write(0, &bytes);
    let fast = pair.server.pd.create_mr(true).unwrap();
    fast.initialize(3, true).unwrap();
    let lam = &pair.server.lam.pages;
    let pages = [lam[3], lam[1], lam[2]];
    // 200 bytes into the first page, 9000 bytes long: all of page 3 from there, page 1, the start of page 2.
    let place = (200, 9000, 0x40_00c8);
    pair.server.qp.fast_register_at(1, &fast, &pages, place, NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    pair.client.qp.read(2, &[pair.client.sge(0, 9000)], 0x40_00c8, fast.remote_token(), 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 20)), [(2, STATUS_SUCCESS)]);
    // The buffer starts 100 bytes into its first page.
    let page = |number: usize| number * 4096 - 100;
    let expected = [&bytes[page(3) + 200..page(4)], &bytes[page(1)..page(2)], &bytes[page(2)..page(2) + 1008]].concat();
    assert_eq!(pair.client.buffer.read(0, 9000), expected);
    pair.client.qp.read(3, &[pair.client.sge(0, 1)], 0x40_00c8 + 9000, fast.remote_token(), 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 50)), [(3, STATUS_REMOTE_RESOURCES)]);
    fast.close();
    pair.close(bed);
}

fn registering_a_valid_region_or_invalidating_none_is_an_error(bed: &mut dyn Bed) {
    for way in 0..2 {
        let pair = Pair::new(bed);
        let fast = pair.client.pd.create_mr(true).unwrap();
        fast.initialize(1, true).unwrap();
        let pages = &pair.client.lam.pages[..1];
        let refused = if way == 0 {
            pair.client.qp.fast_register_at(1, &fast, pages, (100, 8, 100), 0).unwrap();
            pair.client.qp.fast_register_at(2, &fast, pages, (100, 8, 100), 0).is_err()
        } else {
            pair.client.qp.invalidate_mr(2, &fast, 0).is_err()
        };
        let done = results(bed, &pair.client, 20);
        let failed = done.iter().any(|result| result.RequestContext.addr() == 2 && result.Status != STATUS_SUCCESS);
        assert!(refused || failed, "way {way}: {:?}", statuses(&done));
        fast.close();
        pair.close(bed);
    }
}

fn a_registered_region_is_not_to_be_invalidated(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let refused = pair.server.qp.invalidate_mr(1, &region, 0);
    assert_eq!(refused, Err(Failed("NdkInvalidate", STATUS_INVALID_PARAMETER)));
    // And it is as it was.
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    pair.client.qp.read(1, &[pair.client.sge(0, 8)], va, token, 0).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 20)), [(1, STATUS_SUCCESS)]);
    region.close();
    pair.close(bed);
}

fn the_scatter_gather_list_may_change_after_the_post(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.client.buffer.write(0, b"listed");
    pair.server.qp.receive(1, &[pair.server.sge(0, 16)]).unwrap();
    let mut list = vec![pair.client.sge(0, 6)];
    pair.client.qp.send(2, &list, NDK_OP_FLAG_DEFER).unwrap();
    list[0] = pair.client.sge(60_000, 16);
    drop(list);
    pair.client.qp.send(3, &[], 0).unwrap();
    assert_eq!(results(bed, &pair.server, 2)[0].BytesTransferred, 6);
    assert_eq!(pair.server.buffer.read(0, 6), b"listed");
    pair.close(bed);
}

fn a_send_that_is_never_received_ends_after_a_time(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    pair.client.qp.send(1, &[pair.client.sge(0, 8)], 0).unwrap();
    let done = results(bed, &pair.client, 120_000);
    assert_eq!(statuses(&done), [(1, STATUS_IO_TIMEOUT)]);
    pair.close(bed);
}

fn a_large_message_crosses_in_many_packets(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let bytes: Vec<u8> = (0..60_001_u32).map(|at| (at * 7 / 3) as u8).collect();
    pair.client.buffer.write(3, &bytes);
    pair.server.qp.receive(1, &[pair.server.sge(1, 40_000), pair.server.sge(40_001, 25_000)]).unwrap();
    pair.client.qp.send(2, &[pair.client.sge(3, 20_000), pair.client.sge(20_003, 40_001)], 0).unwrap();
    assert_eq!(results(bed, &pair.server, 20)[0].BytesTransferred, 60_001);
    assert_eq!(pair.server.buffer.read(1, 60_001), bytes);
    let spare = Buffer::new(1, 0);
    assert!(spare.guards_are_whole() && pair.server.buffer.guards_are_whole());
    pair.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case(
        "WR-01 WR-03 WR-25 CQ-21 CQ-23 CQ-26",
        "every_success_has_one_completion_of_its_kind",
        every_success_has_one_completion_of_its_kind,
    ),
    case(
        "WR-08 WR-09 WR-11 WR-12",
        "inline_data_is_taken_when_posted_whatever_the_token",
        inline_data_is_taken_when_posted_whatever_the_token,
    ),
    case("WR-10", "inline_data_beyond_the_size_asked_for_is_refused", inline_data_beyond_the_size_asked_for_is_refused),
    case(
        "WR-02 WR-07 ADP-22 ADP-23",
        "lists_longer_than_asked_for_are_refused",
        lists_longer_than_asked_for_are_refused,
    ),
    case(
        "WR-13 WR-14 CQ-45",
        "silent_requests_say_nothing_unless_they_fail_and_never_run_out",
        silent_requests_say_nothing_unless_they_fail_and_never_run_out,
    ),
    case("WR-13", "every_kind_of_request_can_be_silent", every_kind_of_request_can_be_silent),
    case(
        "WR-15 WR-16",
        "a_fenced_request_waits_for_the_reads_before_it",
        a_fenced_request_waits_for_the_reads_before_it,
    ),
    case("WR-30 WR-31 WR-42", "more_reads_than_the_limit_wait_their_turn", more_reads_than_the_limit_wait_their_turn),
    case("WR-45", "requests_of_no_bytes_are_requests", requests_of_no_bytes_are_requests),
    case(
        "WR-18 WR-20 WR-23 WR-29",
        "deferred_requests_go_with_the_next_that_is_not",
        deferred_requests_go_with_the_next_that_is_not,
    ),
    case(
        "WR-19 WR-21 WR-35 MR-24",
        "a_failing_post_indicates_what_was_deferred_before_it",
        a_failing_post_indicates_what_was_deferred_before_it,
    ),
    case("WR-22 QP-14", "deferred_requests_are_flushed_too", deferred_requests_are_flushed_too),
    case(
        "WR-24 WR-38 CQ-22",
        "send_and_invalidate_ends_the_receiver_s_region_before_it_is_told",
        send_and_invalidate_ends_the_receiver_s_region_before_it_is_told,
    ),
    case("WR-25 CN-30", "a_bad_token_to_invalidate_ends_the_connection", a_bad_token_to_invalidate_ends_the_connection),
    case("WR-28", "a_read_can_invalidate_its_sink", a_read_can_invalidate_its_sink),
    case(
        "WR-32 WR-33 WR-36 MR-25 MR-26",
        "fast_registration_checks_base_and_length_inline",
        fast_registration_checks_base_and_length_inline,
    ),
    case(
        "WR-33 WR-34",
        "a_fast_region_is_one_range_whatever_the_order_of_its_pages",
        a_fast_region_is_one_range_whatever_the_order_of_its_pages,
    ),
    case(
        "WR-40",
        "registering_a_valid_region_or_invalidating_none_is_an_error",
        registering_a_valid_region_or_invalidating_none_is_an_error,
    ),
    case("WR-41", "a_registered_region_is_not_to_be_invalidated", a_registered_region_is_not_to_be_invalidated),
    case(
        "WR-04",
        "the_scatter_gather_list_may_change_after_the_post",
        the_scatter_gather_list_may_change_after_the_post,
    ),
    case("WR-46", "a_send_that_is_never_received_ends_after_a_time", a_send_that_is_never_received_ends_after_a_time),
    case("WR-43", "a_large_message_crosses_in_many_packets", a_large_message_crosses_in_many_packets),
];
