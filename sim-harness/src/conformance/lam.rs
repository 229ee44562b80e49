//! LAM: logical address mappings.

use super::pair::{Host, Pair, results};
use super::{Case, case};
use crate::bed::Bed;
use crate::consumer::sge;
use crate::memory::Buffer;
use ndk_types::*;

fn a_chain_with_a_hole_is_refused(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let buffer = Buffer::new(12_000, 0);
    let (mut first, mut after_a_hole) = (buffer.mdl_of(0, 4096), buffer.mdl_of(8192, 1000));
    first.Next = after_a_hole.as_mut_ptr();
    let refused = host.adapter.build_lam_in(first.as_mut_ptr(), 5096, 4096);
    assert_eq!(refused.status, STATUS_INVALID_PARAMETER);
    // Up to the hole there is none.
    let built = host.adapter.build_lam_in(first.as_mut_ptr(), 4096, 4096);
    assert_eq!((built.status, built.page_count()), (STATUS_SUCCESS, 1));
    host.adapter.release(built);
    host.close(bed);
}

fn too_little_room_is_told_with_the_size_that_is_needed(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let buffer = Buffer::new(3 * 4096, 1);
    let mut mdl = buffer.mdl();
    let asked = host.adapter.build_lam_in(mdl.as_mut_ptr(), buffer.len(), 0);
    assert_eq!(asked.status, STATUS_BUFFER_TOO_SMALL);
    assert!(asked.size <= 16 + 8 * 4, "{} bytes for four pages", asked.size);
    let short = host.adapter.build_lam_in(mdl.as_mut_ptr(), buffer.len(), asked.size - 1);
    assert_eq!((short.status, short.size), (STATUS_BUFFER_TOO_SMALL, asked.size));
    assert!(short.block.iter().all(|&word| word == 0), "nothing is written");
    let built = host.adapter.build_lam_in(mdl.as_mut_ptr(), buffer.len(), asked.size);
    assert_eq!((built.status, built.size), (STATUS_SUCCESS, asked.size));
    host.adapter.release(built);
    host.close(bed);
}

fn pages_are_aligned_and_the_first_byte_is_where_the_buffer_starts(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    for (length, offset, pages) in [(1, 0, 1), (4096, 0, 1), (4096, 1, 2), (4097, 0, 2), (10_000, 4095, 4)] {
        let buffer = Buffer::new(length, offset);
        let mut mdl = buffer.mdl();
        let before = (mdl.MdlFlags, mdl.MappedSystemVa, mdl.ByteCount, mdl.StartVa);
        let built = host.adapter.build_lam_in(mdl.as_mut_ptr(), length, 4096);
        assert_eq!((built.status, built.page_count(), built.fbo), (STATUS_SUCCESS, pages, offset as u32));
        assert!(built.pages().iter().all(|page| page.is_multiple_of(4096)), "{:x?}", built.pages());
        host.adapter.release(built);
        assert_eq!((mdl.MdlFlags, mdl.MappedSystemVa, mdl.ByteCount, mdl.StartVa), before);
    }
    host.close(bed);
}

fn several_mdls_that_meet_inside_a_page_are_one_mapping(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let buffer = Buffer::new(9000, 50);
    buffer.write(0, &(0..9000_u32).map(|at| at as u8).collect::<Vec<_>>());
    let built = {
        let (mut first, mut second, mut third) =
            (buffer.mdl_of(0, 3000), buffer.mdl_of(3000, 100), buffer.mdl_of(3100, 5900));
        second.Next = third.as_mut_ptr();
        first.Next = second.as_mut_ptr();
        // The chain is gone when this block ends: nobody looks at it any more.
        pair.client.adapter.build_lam_in(first.as_mut_ptr(), 8990, 4096)
    };
    assert_eq!((built.status, built.fbo), (STATUS_SUCCESS, 50));
    pair.server.qp.receive(1, &[pair.server.sge(0, 9000)]).unwrap();
    let address = |offset: usize| built.pages()[(50 + offset) / 4096] + ((50 + offset) % 4096) as u64;
    let pieces = [(0, 4046), (4046, 4944)].map(|(at, length)| sge(pair.client.token, address(at), length));
    pair.client.qp.send(2, &pieces, 0).unwrap();
    assert_eq!(results(bed, &pair.server, 10)[0].BytesTransferred, 8990);
    assert_eq!(pair.server.buffer.read(0, 8990), buffer.read(0, 8990));
    pair.client.adapter.release(built);
    pair.close(bed);
}

fn a_released_mapping_grants_nothing_and_its_address_no_other_memory(bed: &mut dyn Bed) {
    let pair = Pair::new(bed);
    let (old, new) = (Buffer::new(4096, 0), Buffer::new(4096, 0));
    let mut mdl = old.mdl();
    let built = pair.client.adapter.build_lam_in(mdl.as_mut_ptr(), 4096, 64);
    let address = built.pages()[0];
    pair.client.adapter.release(built);
    let again = pair.client.adapter.build_lam(&new).unwrap();
    pair.server.qp.receive(1, &[pair.server.sge(0, 64)]).unwrap();
    pair.client.qp.send(2, &[sge(pair.client.token, address, 8)], 0).unwrap();
    assert_eq!(results(bed, &pair.client, 20)[0].Status, STATUS_ACCESS_VIOLATION);
    pair.client.adapter.release_lam(again);
    pair.close(bed);
}

fn a_length_beyond_the_chain_or_of_nothing_is_refused(bed: &mut dyn Bed) {
    let host = Host::new(bed, 0);
    let buffer = Buffer::new(100, 0);
    let mut mdl = buffer.mdl();
    for length in [101, usize::MAX, 0] {
        assert_eq!(
            host.adapter.build_lam_in(mdl.as_mut_ptr(), length, 4096).status,
            STATUS_INVALID_PARAMETER,
            "{length}"
        );
    }
    assert_eq!(host.adapter.build_lam_in(std::ptr::null_mut(), 1, 4096).status, STATUS_INVALID_PARAMETER);
    host.close(bed);
}

fn more_mappings_than_there_is_room_for_are_refused_inline(bed: &mut dyn Bed) {
    let most = bed.limits().mappings as usize;
    let host = Host::new(bed, 0);
    let buffer = Buffer::new(100, 0);
    // The host's own buffer has one.
    let built: Vec<_> = (1..most).map(|_| host.adapter.build_lam(&buffer).unwrap()).collect();
    let mut mdl = buffer.mdl();
    let refused = host.adapter.build_lam_in(mdl.as_mut_ptr(), 100, 4096);
    assert_eq!(refused.status, STATUS_INSUFFICIENT_RESOURCES);
    for lam in built {
        host.adapter.release_lam(lam);
    }
    host.adapter.release_lam(host.adapter.build_lam(&buffer).unwrap());
    host.close(bed);
}

/// The cases of this file.
pub const CASES: &[Case] = &[
    case("LAM-01 LAM-08", "a_chain_with_a_hole_is_refused", a_chain_with_a_hole_is_refused),
    case(
        "LAM-02 LAM-03 LAM-04 LAM-13",
        "too_little_room_is_told_with_the_size_that_is_needed",
        too_little_room_is_told_with_the_size_that_is_needed,
    ),
    case(
        "LAM-04 LAM-05 LAM-06 LAM-07 LAM-11",
        "pages_are_aligned_and_the_first_byte_is_where_the_buffer_starts",
        pages_are_aligned_and_the_first_byte_is_where_the_buffer_starts,
    ),
    case(
        "LAM-10 LAM-12 LAM-15 LAM-17",
        "several_mdls_that_meet_inside_a_page_are_one_mapping",
        several_mdls_that_meet_inside_a_page_are_one_mapping,
    ),
    case(
        "LAM-11 WR-06",
        "a_released_mapping_grants_nothing_and_its_address_no_other_memory",
        a_released_mapping_grants_nothing_and_its_address_no_other_memory,
    ),
    case(
        "LAM-01",
        "a_length_beyond_the_chain_or_of_nothing_is_refused",
        a_length_beyond_the_chain_or_of_nothing_is_refused,
    ),
    case(
        "LAM-08 LAM-09",
        "more_mappings_than_there_is_room_for_are_refused_inline",
        more_mappings_than_there_is_room_for_are_refused_inline,
    ),
];
