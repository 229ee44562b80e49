//! Memory windows.

use super::*;

fn window(bench: &Bench) -> u32 {
    bench.table.create(RegionKind::Window, bench.domain).unwrap()
}

/// A bind of `length` bytes at `va` with another tag than the window has now.
fn bind(bench: &Bench, window: u32, region: LKey, va: u64, length: u64, access: Access) -> Bind {
    let tag = bench.table.token(window).tag().wrapping_add(1);
    Bind { window: RKey::new(window, tag), region, va, length, access }
}

/// MW-06, T-31
#[test]
fn a_window_grants_peers_its_range_and_rights_and_nothing_locally() {
    let bench = Bench::new();
    let memory = Memory::new(64);
    let (_, region) = bench.registered(&memory, 0, 64, Access::LOCAL_WRITE);
    let request = bind(&bench, window(&bench), region, VA + 16, 16, Access::REMOTE_WRITE);
    bench.turn(0).bind(&request).unwrap();
    let mut turn = bench.turn(1);
    let epoch = turn.grant(request.window, VA + 16, 16, Access::REMOTE_WRITE).unwrap();
    turn.remote_write(request.window, epoch, VA + 16, &[0xcc; 16]).unwrap();
    assert_eq!(memory.bytes()[16..32], [0xcc; 16]);
    assert_eq!(memory.bytes()[15], 15);
    assert_eq!(memory.bytes()[32], 32);
    assert_eq!(turn.grant(request.window, VA + 15, 1, Access::REMOTE_WRITE), Err(Fault::OutOfBounds));
    assert_eq!(turn.grant(request.window, VA + 16, 1, Access::REMOTE_READ), Err(Fault::NoAccess));
    assert_eq!(turn.gather(&sge(LKey(request.window.0), VA + 16, 1), 0, &mut [0]), Err(Fault::NoAccess));
    let other = bench.table.create_domain().unwrap();
    let foreign = bench.turn_of(2, other).grant(request.window, VA + 16, 1, Access::REMOTE_WRITE);
    assert_eq!(foreign, Err(Fault::WrongDomain));
}

/// MW-04, MW-05
#[test]
fn a_bind_beyond_the_region_or_its_rights_is_refused() {
    let bench = Bench::new();
    let memory = Memory::new(64);
    let (index, region) = bench.registered(&memory, 0, 64, Access::REMOTE_READ);
    let window = window(&bench);
    let mut turn = bench.turn(0);
    let beyond = bind(&bench, window, region, VA + 1, 64, Access::REMOTE_READ);
    assert_eq!(turn.bind(&beyond), Err(Fault::OutOfBounds));
    let wrapped = bind(&bench, window, region, VA, u64::MAX, Access::REMOTE_READ);
    assert_eq!(turn.bind(&wrapped), Err(Fault::OutOfBounds));
    let writing = bind(&bench, window, region, VA, 64, Access::REMOTE_WRITE);
    assert_eq!(turn.bind(&writing), Err(Fault::NoAccess));
    assert_eq!(bench.table.deregister(index, 0), Deregistered::Done(0), "no refused bind counts");
}

/// MW-08, MW-09, MW-14, OQ-32
#[test]
fn an_invalidated_window_grants_nothing_frees_its_region_and_can_be_bound_elsewhere() {
    let bench = Bench::new();
    let (memory, elsewhere) = (Memory::new(64), Memory::new(64));
    let (index, region) = bench.registered(&memory, 0, 64, ALL);
    let (_, second) = bench.registered(&elsewhere, 0, 64, ALL);
    let window = window(&bench);
    let first = bind(&bench, window, region, VA, 64, Access::REMOTE_READ);
    let mut turn = bench.turn(0);
    turn.bind(&first).unwrap();
    assert_eq!(
        turn.bind(&bind(&bench, window, second, VA, 8, Access::REMOTE_READ)),
        Err(Fault::NoAccess),
        "still bound"
    );
    turn.grant(first.window, VA, 1, Access::REMOTE_READ).unwrap();
    assert_eq!(bench.table.deregister(index, 3), Deregistered::Bound(3));
    assert_eq!(turn.remote_invalidate(first.window), Ok(Revocation::Done));
    assert!(turn.grant(first.window, VA, 1, Access::REMOTE_READ).is_err());
    assert!(turn.invalidate(LKey(first.window.0)).is_err(), "also when a peer did it");
    assert_eq!(bench.table.deregister(index, 3), Deregistered::Done(3));
    let again = bind(&bench, window, second, VA, 64, Access::REMOTE_READ);
    turn.bind(&again).unwrap();
    let epoch = turn.grant(again.window, VA, 4, Access::REMOTE_READ).unwrap();
    turn.remote_read(again.window, epoch, VA, &mut [0; 4]).unwrap();
    assert!(turn.grant(first.window, VA, 1, Access::REMOTE_READ).is_err());
}

/// LT-07, MW-11
#[test]
fn a_window_outlives_its_regions_close_and_the_mapping_goes_with_the_window() {
    let bench = Bench::new();
    let memory = Memory::new(64);
    let (index, region) = bench.registered(&memory, 0, 64, ALL);
    let window = window(&bench);
    let request = bind(&bench, window, region, VA, 64, Access::REMOTE_READ);
    bench.turn(0).bind(&request).unwrap();
    assert_eq!(bench.table.close(index, 4), Some(4));
    let mut turn = bench.turn(0);
    assert!(turn.gather(&sge(region, VA, 1), 0, &mut [0]).is_err());
    let epoch = turn.grant(request.window, VA, 4, Access::REMOTE_READ).unwrap();
    bench.table.retire(index);
    let mut bytes = [0; 4];
    turn.remote_read(request.window, epoch, VA, &mut bytes).unwrap();
    assert_eq!(bytes, [0, 1, 2, 3]);
    assert_eq!(memory.mappings(), 1);
    bench.table.retire(window);
    assert_eq!(memory.mappings(), 1, "a turn still has the window");
    turn.finish();
    assert_eq!(memory.mappings(), 0);
    let all: Vec<_> = (0..8).map(|_| bench.table.create(RegionKind::Fast, bench.domain)).collect();
    assert!(all.iter().all(Option::is_some), "both slots came back");
}

#[test]
fn windows_bind_to_registered_regions_only() {
    let bench = Bench::new();
    let (_one, _two, _, request) = scattered_registration(&bench);
    let mut turn = bench.turn(0);
    turn.fast_register(&request).unwrap();
    let window = window(&bench);
    assert_eq!(turn.bind(&bind(&bench, window, request.key, VA, 8, Access::REMOTE_READ)), Err(Fault::NoAccess));
    let own = bench.table.token(window);
    assert_eq!(turn.bind(&bind(&bench, window, own, VA, 8, Access::REMOTE_READ)), Err(Fault::NoAccess));
}
