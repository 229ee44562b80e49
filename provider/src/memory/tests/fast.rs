//! Fast registrations: one token over many pages, invalidation, page lists.

use super::*;

/// WR-33, WR-34, WR-38
#[test]
fn scattered_pages_form_one_region_with_exact_ends() {
    let bench = Bench::new();
    let (one, two, _, request) = scattered_registration(&bench);
    let mut turn = bench.turn(0);
    turn.fast_register(&request).unwrap();
    let whole: Vec<u8> = [&one.bytes()[PAGE_SIZE..], &two.bytes()[..], &one.bytes()[..PAGE_SIZE]].concat();
    let mut dst = vec![0; request.length as usize];
    turn.gather(&sge(request.key, VA, request.length as u32), 0, &mut dst).unwrap();
    assert_eq!(dst, whole[50..][..dst.len()]);
    let remote = RKey(request.key.0);
    let epoch = turn.grant(remote, VA + PAGE - 60, 20, Access::REMOTE_WRITE).unwrap();
    turn.remote_write(remote, epoch, VA + PAGE - 60, &[0xaa; 20]).unwrap();
    assert_eq!(one.bytes()[2 * PAGE_SIZE - 10..], [0xaa; 10]);
    assert_eq!(two.bytes()[..10], [0xaa; 10]);
    assert_eq!(turn.grant(remote, VA + request.length, 1, Access::REMOTE_READ), Err(Fault::OutOfBounds));
    assert_eq!(turn.grant(remote, VA - 1, 1, Access::REMOTE_READ), Err(Fault::OutOfBounds));
}

/// DESIGN D4
#[test]
fn a_mapping_released_before_the_invalidate_stays_until_it() {
    let bench = Bench::new();
    let (one, two) = (Memory::new(PAGE_SIZE), Memory::new(PAGE_SIZE));
    let pages = [&one, &two].map(|memory| bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap());
    let (index, key) = bench.fast(2);
    bench.stage(index, &pages, 0, 2 * PAGE).unwrap();
    let request = FastRegister { key, va: VA, length: 2 * PAGE, access: ALL };
    let mut turn = bench.turn(0);
    turn.fast_register(&request).unwrap();
    assert!(pages.iter().all(|page| bench.table.logical().release(*page)));
    assert_eq!((one.mappings(), two.mappings()), (1, 1));
    assert!(turn.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]).is_ok());
    assert_eq!(turn.invalidate(request.key), Ok(Revocation::Done));
    assert_eq!((one.mappings(), two.mappings()), (0, 0));
}

/// MR-28, WR-39, T-23
#[test]
fn a_fast_region_keeps_its_token_over_registrations_and_a_late_replay_is_refused() {
    let bench = Bench::new();
    let (_one, _two, index, request) = scattered_registration(&bench);
    let remote = RKey(request.key.0);
    let mut turn = bench.turn(0);
    turn.fast_register(&request).unwrap();
    let old = turn.grant(remote, VA, 8, Access::REMOTE_READ).unwrap();
    turn.remote_read(remote, old, VA, &mut [0; 8]).unwrap();
    assert_eq!(turn.invalidate(request.key), Ok(Revocation::Done));
    assert_eq!(turn.remote_read(remote, old, VA, &mut [0; 8]), Err(Fault::Revoked));
    let memory = Memory::new(PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    bench.stage(index, &[page], 0, PAGE).unwrap();
    turn.fast_register(&FastRegister { length: PAGE, ..request }).unwrap();
    assert_eq!(bench.table.token(index), request.key);
    assert_eq!(turn.remote_read(remote, old, VA, &mut [0; 8]), Err(Fault::Revoked));
    let new = turn.grant(remote, VA, 8, Access::REMOTE_READ).unwrap();
    assert_ne!(new, old);
    assert!(turn.remote_read(remote, new, VA, &mut [0; 8]).is_ok());
}

/// WR-40
#[test]
fn registering_a_valid_fast_region_or_invalidating_an_invalid_one_is_an_error_and_changes_nothing() {
    let bench = Bench::new();
    let (one, _two, index, request) = scattered_registration(&bench);
    let mut turn = bench.turn(0);
    assert_eq!(turn.invalidate(request.key), Err(Fault::Revoked));
    turn.fast_register(&request).unwrap();
    let memory = Memory::new(PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    bench.stage(index, &[page], 0, 8).unwrap();
    assert_eq!(turn.fast_register(&FastRegister { length: 8, ..request }), Err(Fault::NoAccess));
    let mut dst = [0; 8];
    turn.gather(&sge(request.key, VA, 8), 0, &mut dst).unwrap();
    assert_eq!(dst, one.bytes()[PAGE_SIZE + 50..][..8]);
    assert!(bench.table.logical().release(page));
    assert_eq!(memory.mappings(), 0, "the refused pages are let go");
    assert_eq!(turn.invalidate(request.key), Ok(Revocation::Done));
    assert_eq!(turn.invalidate(request.key), Err(Fault::Revoked));
    assert_eq!(turn.fast_register(&request), Err(Fault::Revoked), "nothing is staged");
}

/// WR-41
#[test]
fn invalidating_a_registered_region_is_refused_and_leaves_it_whole() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (_, key) = bench.registered(&memory, 0, 16, ALL);
    let mut turn = bench.turn(0);
    assert_eq!(turn.invalidate(key), Err(Fault::NoAccess));
    assert_eq!(turn.remote_invalidate(RKey(key.0)), Err(Fault::NoAccess));
    assert!(turn.gather(&sge(key, VA, 1), 0, &mut [0]).is_ok());
}

/// T-03, T-27
#[test]
fn an_invalidation_under_another_lanes_pin_drains_and_wakes_its_queue_pair() {
    let bench = Bench::new();
    let (_one, _two, _, request) = scattered_registration(&bench);
    let mut turn = bench.turn(3);
    turn.fast_register(&request).unwrap();
    let remote = RKey(request.key.0);
    let mut other = bench.turn(4);
    other.grant(remote, VA, 8, Access::REMOTE_READ).unwrap();
    turn.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]).unwrap();
    assert_eq!(turn.remote_invalidate(remote), Ok(Revocation::Draining), "its own pin does not count");
    assert_eq!(turn.remote_invalidate(remote), Ok(Revocation::Draining));
    assert_eq!(turn.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]), Err(Fault::Revoked));
    assert_eq!(bench.turn(5).invalidate(request.key), Err(Fault::Revoked), "one waits, the others fail");
    assert!(bench.woken.queue_pairs.lock().unwrap().is_empty());
    other.finish();
    assert_eq!(*bench.woken.queue_pairs.lock().unwrap(), [3]);
    assert_eq!(turn.remote_invalidate(remote), Ok(Revocation::Done));
    assert_eq!(turn.invalidate(request.key), Err(Fault::Revoked));
}

#[test]
fn a_region_whose_waiter_never_came_back_can_be_registered_again_or_closed() {
    let bench = Bench::new();
    let (one, two, index, request) = scattered_registration(&bench);
    bench.turn(3).fast_register(&request).unwrap();
    let mut other = bench.turn(4);
    other.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]).unwrap();
    assert_eq!(bench.turn(3).invalidate(request.key), Ok(Revocation::Draining));
    drop(other);
    let page = bench.table.logical().insert(one.map(0, PAGE_SIZE), 0).unwrap();
    bench.stage(index, &[page], 0, 8).unwrap();
    bench.turn(5).fast_register(&FastRegister { length: 8, ..request }).unwrap();
    let mut other = bench.turn(4);
    other.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]).unwrap();
    assert_eq!(bench.turn(3).invalidate(request.key), Ok(Revocation::Draining));
    assert_eq!(bench.table.close(index, 1), None);
    drop(other);
    assert_eq!(bench.table.drained(index), Some(1));
    bench.table.retire(index);
    assert_eq!(bench.turn(3).invalidate(request.key), Err(Fault::BadKey));
    assert_eq!((one.mappings(), two.mappings()), (2, 1), "only the consumer's own holds are left");
}

/// A peer ends only what a peer was granted.
#[test]
fn a_peer_cannot_invalidate_a_region_that_grants_peers_nothing() {
    let bench = Bench::new();
    let (_one, _two, _, request) = scattered_registration(&bench);
    let mut turn = bench.turn(0);
    turn.fast_register(&FastRegister { access: Access::LOCAL_WRITE, ..request }).unwrap();
    assert_eq!(turn.remote_invalidate(RKey(request.key.0)), Err(Fault::NoAccess));
    assert!(turn.gather(&sge(request.key, VA, 8), 0, &mut [0; 8]).is_ok());
}

/// OQ-23
#[test]
fn a_second_staging_is_refused_until_the_first_was_carried_out_or_dropped() {
    let bench = Bench::new();
    let memory = Memory::new(PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    let (index, key) = bench.fast(1);
    bench.stage(index, &[page], 0, PAGE).unwrap();
    assert_eq!(bench.stage(index, &[page], 0, PAGE), Err(StageRefused::Occupied));
    bench.table.unstage(key, StageOwner::new(7, 0));
    assert_eq!(bench.stage(index, &[page], 0, PAGE), Err(StageRefused::Occupied), "another request's");
    bench.table.unstage(key, OWNER);
    bench.stage(index, &[page], 0, PAGE).unwrap();
    assert!(bench.table.logical().release(page));
    assert_eq!(memory.mappings(), 1);
    bench.table.retire(index);
    assert_eq!(memory.mappings(), 0, "closing drops what is staged");
}

/// MR-26, WR-33
#[test]
fn page_lists_that_cannot_be_right_are_refused_and_hold_nothing() {
    let bench = Bench::new();
    let memory = Memory::new(2 * PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(10, PAGE_SIZE), 10).unwrap();
    let (index, _) = bench.fast(2);
    let refused = |pages: &[u64], first_byte, length| match bench.stage(index, pages, first_byte, length) {
        Err(StageRefused::Pages(why)) => Some(why),
        Err(StageRefused::Occupied) | Ok(()) => None,
    };
    assert_eq!(refused(&[page; 3], 10, 1), Some(PagesRefused::TooMany));
    assert_eq!(refused(&[page], 10, PAGE - 9), Some(PagesRefused::Range));
    assert_eq!(refused(&[page], 4096, 0), Some(PagesRefused::Range));
    assert_eq!(refused(&[page, page + PAGE], u32::MAX, u64::MAX), Some(PagesRefused::Range));
    assert_eq!(refused(&[], 0, 1), Some(PagesRefused::Range));
    assert_eq!(refused(&[page + 1], 10, 1), Some(PagesRefused::Address));
    assert_eq!(refused(&[page], 9, 1), Some(PagesRefused::Address), "before the mapped bytes");
    assert_eq!(refused(&[page, page + PAGE], 10, PAGE + 1), Some(PagesRefused::Address), "after them");
    assert_eq!(refused(&[page, page + 2 * PAGE], 10, PAGE), Some(PagesRefused::Address));
    assert_eq!(refused(&[0], 0, 1), Some(PagesRefused::Address));
    assert_eq!(refused(&[u64::MAX - 4095], 0, 1), Some(PagesRefused::Address));
    bench.stage(index, &[page, page + PAGE], 10, PAGE).unwrap();
    assert!(bench.table.logical().release(page));
    bench.table.retire(index);
    assert_eq!(memory.mappings(), 0);
}

/// MR-22
#[test]
fn initializing_again_keeps_or_enlarges_the_room() {
    let bench = Bench::new();
    let memory = Memory::new(4 * PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(0, 4 * PAGE_SIZE), 0).unwrap();
    let pages: Vec<_> = (0..4).map(|number| page + number * PAGE).collect();
    let (index, key) = bench.fast(1);
    assert_eq!(bench.stage(index, &pages, 0, 4 * PAGE), Err(StageRefused::Pages(PagesRefused::TooMany)));
    bench.table.initialize_fast(index, 4).unwrap();
    assert_eq!(bench.table.token(index), key);
    bench.stage(index, &pages, 0, 4 * PAGE).unwrap();
    assert_eq!(bench.table.initialize_fast(index, 2), Err(InitializeRefused::InUse), "a registration is posted");
    bench.turn(0).fast_register(&FastRegister { key, va: VA, length: 4 * PAGE, access: ALL }).unwrap();
    bench.table.initialize_fast(index, 2).unwrap();
    assert_eq!(bench.table.initialize_fast(index, 8), Err(InitializeRefused::InUse));
    assert!(bench.turn(0).gather(&sge(key, VA + 3 * PAGE, 8), 0, &mut [0; 8]).is_ok());
}

#[test]
fn more_regions_than_a_turn_keeps_pinned_are_all_reached() {
    let bench = Bench::new();
    let memory = Memory::new(8 * 16);
    let regions: Vec<_> = (0..8).map(|at| bench.registered(&memory, at * 16, 16, ALL)).collect();
    let mut turn = bench.turn(0);
    for round in 0..3 {
        for (at, (_, key)) in regions.iter().enumerate() {
            let mut byte = [0];
            turn.gather(&sge(*key, VA + round, 1), 0, &mut byte).unwrap();
            assert_eq!(byte[0], (at * 16) as u8 + round as u8);
        }
    }
    turn.finish();
    for (index, _) in regions {
        assert_eq!(bench.table.deregister(index, 0), Deregistered::Done(0), "every pin came back");
    }
}
