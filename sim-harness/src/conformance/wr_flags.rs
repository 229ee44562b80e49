//! WR: posting flags on the kinds of request that are easily forgotten: deferring, fencing, silence and inline data.

use super::pair::{Host, Pair, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::{Mr, va_sge};
use ndk_types::*;

/// Where the fast regions of these cases lie: offset in the first page, length, base address.
const PLACE: (u32, usize, u64) = (100, 64, 0x5_0064);

/// A region over the host's whole buffer that peers may read and write.
fn open_region(host: &Host) -> Mr {
    let region = host.pd.create_mr(false).unwrap();
    region.register(&host.buffer, NDK_MR_FLAG_ALLOW_REMOTE_READ | NDK_MR_FLAG_ALLOW_REMOTE_WRITE).unwrap();
    region
}

/// A fast region over the start of the host's buffer, registered by request 100.
fn fast_region(bed: &mut dyn Bed, host: &Host, flags: u32) -> Mr {
    let fast = host.pd.create_mr(true).unwrap();
    fast.initialize(1, true).unwrap();
    host.qp.fast_register_at(100, &fast, &host.lam.pages[..1], PLACE, flags).unwrap();
    assert_eq!(statuses(&results(bed, host, 2)), [(100, STATUS_SUCCESS)]);
    fast
}

fn statuses(results: &[NDK_RESULT_EX]) -> Vec<(usize, NTSTATUS)> {
    results.iter().map(|result| (result.RequestContext.addr(), result.Status)).collect()
}

fn every_kind_of_request_can_be_deferred(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (region, there) = (open_region(&pair.server), open_region(&pair.client));
    let theirs = fast_region(bed, &pair.server, NDK_OP_FLAG_ALLOW_REMOTE_READ);
    let (va, token) = (pair.server.buffer.va(), region.remote_token());
    let fast = pair.client.pd.create_mr(true).unwrap();
    fast.initialize(1, true).unwrap();
    let window = pair.client.pd.create_mw().unwrap();
    for number in 0..2 {
        pair.server.qp.receive(number, &[pair.server.sge(4096, 16)]).unwrap();
    }
    let (qp, sgl, defer) = (&pair.client.qp, [pair.client.sge(0, 8)], NDK_OP_FLAG_DEFER);
    qp.send(1, &sgl, defer).unwrap();
    qp.write(2, &sgl, va, token, defer).unwrap();
    qp.read(3, &sgl, va, token, defer).unwrap();
    qp.fast_register_at(4, &fast, &pair.client.lam.pages[..1], PLACE, defer).unwrap();
    qp.bind(5, &there, &window, pair.client.buffer.va(), 8, defer | NDK_OP_FLAG_ALLOW_REMOTE_READ).unwrap();
    qp.invalidate_mr(6, &fast, defer).unwrap();
    qp.send_and_invalidate(7, &sgl, defer, theirs.remote_token()).unwrap();
    qp.write(8, &sgl, va, token, 0).unwrap();
    let done = statuses(&results(bed, &pair.client, 10));
    assert_eq!(done, (1..=8).map(|number| (number, STATUS_SUCCESS)).collect::<Vec<_>>());
    assert_eq!(pair.server.cq.poll().len(), 2);
    window.close();
    fast.close();
    theirs.close();
    there.close();
    region.close();
    pair.close(bed);
}

fn a_fenced_send_carries_what_the_read_before_it_brought(bed: &mut dyn Bed) {
    for invalidates in [false, true] {
        let pair = Pair::new(bed);
        let region = open_region(&pair.server);
        let theirs = fast_region(bed, &pair.server, NDK_OP_FLAG_ALLOW_REMOTE_READ);
        pair.server.buffer.write(0, &vec![5; 20_000]);
        pair.server.qp.receive(1, &[pair.server.sge(30_000, 20_000)]).unwrap();
        let (va, token, sgl) = (pair.server.buffer.va(), region.remote_token(), [pair.client.sge(0, 20_000)]);
        pair.client.qp.read(2, &sgl, va, token, 0).unwrap();
        if invalidates {
            pair.client.qp.send_and_invalidate(3, &sgl, NDK_OP_FLAG_READ_FENCE, theirs.remote_token()).unwrap();
        } else {
            pair.client.qp.send(3, &sgl, NDK_OP_FLAG_READ_FENCE).unwrap();
        }
        assert_eq!(statuses(&results(bed, &pair.client, 20)), [(2, STATUS_SUCCESS), (3, STATUS_SUCCESS)]);
        assert_eq!(pair.server.buffer.read(30_000, 20_000), vec![5; 20_000]);
        theirs.close();
        region.close();
        pair.close(bed);
    }
}

fn a_fenced_invalidate_leaves_the_read_before_it_its_sink(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let region = open_region(&pair.server);
    let sink = fast_region(bed, &pair.client, NDK_OP_FLAG_ALLOW_LOCAL_WRITE);
    pair.server.buffer.write(0, b"sunk");
    let piece = [va_sge(sink.local_token(), PLACE.2, 4)];
    pair.client.qp.read(1, &piece, pair.server.buffer.va(), region.remote_token(), 0).unwrap();
    pair.client.qp.invalidate_mr(2, &sink, NDK_OP_FLAG_READ_FENCE).unwrap();
    assert_eq!(statuses(&results(bed, &pair.client, 10)), [(1, STATUS_SUCCESS), (2, STATUS_SUCCESS)]);
    assert_eq!(pair.client.buffer.read(0, 4), b"sunk");
    sink.close();
    region.close();
    pair.close(bed);
}

fn an_inline_send_and_invalidate_can_be_silent(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let theirs = fast_region(bed, &pair.server, NDK_OP_FLAG_ALLOW_REMOTE_READ);
    pair.server.qp.receive(1, &[pair.server.sge(4096, 16)]).unwrap();
    let mut bytes = *b"inline";
    let piece = [va_sge(0xdead, (&raw const bytes).expose_provenance() as u64, 6)];
    let (flags, token) = (NDK_OP_FLAG_INLINE | NDK_OP_FLAG_SILENT_SUCCESS, theirs.remote_token());
    pair.client.qp.send_and_invalidate(2, &piece, flags, token).unwrap();
    bytes.fill(b'x');
    let received = results(bed, &pair.server, 10);
    assert_eq!((received[0].Type, received[0].BytesTransferred), (NdkOperationTypeReceiveAndInvalidate, 6));
    assert_eq!(pair.server.buffer.read(4096, 6), b"inline");
    assert!(pair.client.cq.poll().is_empty());
    theirs.close();
    pair.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case("WR-18 WR-20 WR-23", "every_kind_of_request_can_be_deferred", every_kind_of_request_can_be_deferred),
    case(
        "WR-15",
        "a_fenced_send_carries_what_the_read_before_it_brought",
        a_fenced_send_carries_what_the_read_before_it_brought,
    ),
    case(
        "WR-42",
        "a_fenced_invalidate_leaves_the_read_before_it_its_sink",
        a_fenced_invalidate_leaves_the_read_before_it_its_sink,
    ),
    case(
        "WR-08 WR-11 WR-12 WR-13",
        "an_inline_send_and_invalidate_can_be_silent",
        an_inline_send_and_invalidate_can_be_silent,
    ),
];
