//! Revocations and copies on several threads at once.

use super::*;

const ROUNDS: u32 = if cfg!(miri) { 10 } else { 2000 };

/// T-03
#[test]
fn no_byte_moves_after_a_revocation_is_done_and_every_waiter_is_woken() {
    let bench = Bench::new();
    let memory = Memory::new(PAGE_SIZE);
    let page = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    let (index, key) = bench.fast(1);
    let request = FastRegister { key, va: VA, length: 64, access: ALL };
    let (open, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for queue_pair in 1..3 {
            let (bench, open, stop) = (&bench, &open, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut turn = bench.turn(queue_pair);
                    let Ok(epoch) = turn.grant(RKey(key.0), VA, 8, Access::REMOTE_WRITE) else {
                        std::thread::yield_now();
                        continue;
                    };
                    assert!(open.load(Ordering::SeqCst), "a grant outside a registration");
                    turn.remote_write(RKey(key.0), epoch, VA, &[1; 8]).unwrap();
                    assert!(open.load(Ordering::SeqCst), "still pinned, so still registered");
                }
            });
        }
        for _ in 0..ROUNDS {
            bench.stage(index, &[page], 0, 64).unwrap();
            open.store(true, Ordering::SeqCst);
            bench.turn(0).fast_register(&request).unwrap();
            while bench.turn(0).invalidate(key) != Ok(Revocation::Done) {
                while bench.woken.queue_pairs.lock().unwrap().pop().is_none() {
                    std::thread::yield_now();
                }
            }
            open.store(false, Ordering::SeqCst);
            bench.woken.queue_pairs.lock().unwrap().clear();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_pending_deregistration_completes_once_whoever_is_last() {
    let bench = Bench::new();
    let memory = Memory::new(64);
    let index = bench.table.create(RegionKind::Registered, bench.domain).unwrap();
    let stop = AtomicBool::new(false);
    let done = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let copier = || {
            while !stop.load(Ordering::Relaxed) {
                let key = bench.table.token(index);
                let _ = bench.turn(1).scatter(&sge(key, VA, 32), 0, &[3; 32]);
                let woken = bench.woken.regions.lock().unwrap().pop();
                if let Some(index) = woken
                    && bench.table.drained(index).is_some()
                {
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        scope.spawn(copier);
        scope.spawn(copier);
        for round in 0..ROUNDS {
            assert!(bench.table.register(index, memory.map(0, 64), VA, ALL).is_ok());
            match bench.table.deregister(index, round) {
                Deregistered::Done(_) => {
                    done.fetch_add(1, Ordering::SeqCst);
                }
                Deregistered::Pending => (),
                Deregistered::NotRegistered(_) | Deregistered::Bound(_) => panic!("it was registered and unbound"),
            }
            while done.load(Ordering::SeqCst) <= round {
                std::thread::yield_now();
            }
            assert_eq!(done.load(Ordering::SeqCst), round + 1);
            assert_eq!(memory.mappings(), 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_mapping_released_while_it_is_read_ends_after_the_last_reader() {
    let bench = Bench::new();
    let memory = Memory::new(PAGE_SIZE);
    let key = bench.table.privileged_token(bench.domain);
    for _ in 0..ROUNDS / 4 {
        let page = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| while bench.turn(1).gather(&sge(key, page, 64), 0, &mut [0; 64]).is_ok() {});
            scope.spawn(|| assert!(bench.table.logical().release(page)));
        });
        assert_eq!(memory.mappings(), 0);
    }
}
