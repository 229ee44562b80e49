//! Registration, tokens and revocation against memory on the heap.

use super::*;
use crate::limits::PAGE_SIZE;
use crate::platform::Mapping;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use roce_engine::key::{LKey, RKey};
use roce_engine::memory::{Access, Bind, FastRegister, Fault, Regions, Revocation, Sge};
use std::boxed::Box;
use std::sync::{Arc, Mutex};
use std::vec;
use std::vec::Vec;

mod fast;
mod threads;
mod windows;

const PAGE: u64 = PAGE_SIZE as u64;
const ALL: Access = Access::LOCAL_WRITE.and(Access::REMOTE_READ).and(Access::REMOTE_WRITE);
const VA: u64 = 0xffff_8000_1234_5678;

/// A consumer's buffer.
#[derive(Clone)]
struct Memory(Arc<Box<[AtomicU8]>>);

impl Memory {
    fn new(len: usize) -> Self {
        Self(Arc::new((0..len).map(|at| AtomicU8::new(at as u8)).collect()))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    fn map(&self, from: usize, len: usize) -> Mapped {
        Mapped { memory: self.clone(), from, len }
    }

    /// How many mappings of it exist.
    fn mappings(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

struct Mapped {
    memory: Memory,
    from: usize,
    len: usize,
}

// SAFETY: the bytes are atomic, live as long as `memory`, and `from + len` is within them.
unsafe impl Mapping for Mapped {
    fn base(&self) -> NonNull<u8> {
        let bytes = self.memory.0.as_ptr().cast::<u8>().cast_mut();
        NonNull::new(bytes.wrapping_add(self.from)).unwrap()
    }

    fn len(&self) -> usize {
        self.len
    }
}

#[derive(Default)]
struct Woken {
    queue_pairs: Mutex<Vec<u32>>,
    regions: Mutex<Vec<u32>>,
}

impl Wake for Woken {
    fn queue_pair(&self, slot: u32) {
        self.queue_pairs.lock().unwrap().push(slot);
    }

    fn region(&self, index: u32) {
        self.regions.lock().unwrap().push(index);
    }
}

type Table = RegionTable<Mapped, u32>;

/// A table with one domain, and who uses it.
struct Bench {
    table: Table,
    domain: Domain,
    woken: Woken,
}

impl Bench {
    fn new() -> Self {
        let table = Table::try_new(3, 8, 4, |bytes| bytes.fill(0xff)).unwrap();
        let domain = table.create_domain().unwrap();
        Self { table, domain, woken: Woken::default() }
    }

    fn turn(&self, queue_pair: u32) -> TurnRegions<'_, Mapped, u32, Woken> {
        self.turn_of(queue_pair, self.domain)
    }

    fn turn_of(&self, queue_pair: u32, domain: Domain) -> TurnRegions<'_, Mapped, u32, Woken> {
        let owner = TurnOwner { queue_pair, domain, privileged: self.table.privileged_token(domain) };
        TurnRegions::new(&self.table, owner, &self.woken)
    }

    fn registered(&self, memory: &Memory, from: usize, len: usize, access: Access) -> (u32, LKey) {
        let index = self.table.create(RegionKind::Registered, self.domain).unwrap();
        assert!(self.table.register(index, memory.map(from, len), VA, access).is_ok());
        (index, self.table.token(index))
    }

    /// A fast-register region with room for `pages`, not registered.
    fn fast(&self, pages: u32) -> (u32, LKey) {
        let index = self.table.create(RegionKind::Fast, self.domain).unwrap();
        self.table.initialize_fast(index, pages).unwrap();
        (index, self.table.token(index))
    }

    fn stage(&self, index: u32, pages: &[u64], first_byte: u32, length: u64) -> Result<(), StageRefused> {
        self.table.stage(index, OWNER, pages.iter().copied(), first_byte, length)
    }
}

const OWNER: StageOwner = StageOwner::new(7, 0xffff_fff0);

fn sge(l_key: LKey, addr: u64, length: u32) -> Sge {
    Sge { addr, length, l_key }
}

/// MR-05, MR-08, MR-09
#[test]
fn a_registered_region_reads_from_its_va_on_and_not_a_byte_further() {
    let bench = Bench::new();
    let memory = Memory::new(64);
    let (_, key) = bench.registered(&memory, 16, 32, Access::LOCAL_READ);
    let mut turn = bench.turn(0);
    let mut dst = [0; 32];
    turn.gather(&sge(key, VA, 32), 0, &mut dst).unwrap();
    assert_eq!(dst, memory.bytes()[16..48]);
    turn.gather(&sge(key, VA + 4, 28), 20, &mut dst[..8]).unwrap();
    assert_eq!(dst[..8], memory.bytes()[40..48]);
    assert_eq!(turn.gather(&sge(key, VA, 33), 0, &mut [0; 33]), Err(Fault::OutOfBounds));
    assert_eq!(turn.gather(&sge(key, VA - 1, 2), 0, &mut [0; 2]), Err(Fault::OutOfBounds));
    assert_eq!(turn.gather(&sge(key, VA, 8), 4, &mut [0; 5]), Err(Fault::OutOfBounds), "beyond the entry");
}

/// MR-10, MR-11
#[test]
fn a_region_grants_exactly_what_it_was_registered_with() {
    let bench = Bench::new();
    let memory = Memory::new(32);
    let rights = [Access::LOCAL_READ, Access::LOCAL_WRITE, Access::REMOTE_READ, ALL];
    for access in rights {
        let (index, key) = bench.registered(&memory, 8, 16, access);
        let remote = RKey(key.0);
        let mut turn = bench.turn(0);
        let scattered = turn.scatter(&sge(key, VA, 16), 0, &[1; 16]);
        assert_eq!(scattered.is_ok(), access.allows(Access::LOCAL_WRITE), "{access:?}");
        for wanted in [Access::REMOTE_READ, Access::REMOTE_WRITE] {
            assert_eq!(turn.grant(remote, VA, 16, wanted).is_ok(), access.allows(wanted), "{access:?} {wanted:?}");
        }
        turn.finish();
        assert_eq!(bench.table.deregister(index, 0), Deregistered::Done(0));
        bench.table.retire(index);
    }
}

/// WR-06
#[test]
fn canaries_around_a_region_survive_writes_to_all_of_it() {
    let bench = Bench::new();
    let memory = Memory::new(48);
    let before = memory.bytes();
    let (_, key) = bench.registered(&memory, 16, 16, ALL);
    let mut turn = bench.turn(0);
    let epoch = turn.grant(RKey(key.0), VA, 16, Access::REMOTE_WRITE).unwrap();
    turn.remote_write(RKey(key.0), epoch, VA, &[0xee; 16]).unwrap();
    assert!(turn.remote_write(RKey(key.0), epoch, VA + 1, &[0xdd; 16]).is_err());
    assert!(turn.scatter(&sge(key, VA + 15, 2), 0, &[0xdd; 2]).is_err());
    let after = memory.bytes();
    assert_eq!(after[..16], before[..16]);
    assert_eq!(after[16..32], [0xee; 16]);
    assert_eq!(after[32..], before[32..]);
}

/// MR-17, MR-18
#[test]
fn a_deregistered_regions_tokens_grant_nothing_and_its_next_ones_differ() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (index, first) = bench.registered(&memory, 0, 16, ALL);
    assert_eq!(memory.mappings(), 1);
    assert_eq!(bench.table.deregister(index, 9), Deregistered::Done(9));
    assert_eq!(memory.mappings(), 0);
    let mut turn = bench.turn(0);
    assert_eq!(turn.gather(&sge(first, VA, 1), 0, &mut [0]), Err(Fault::BadKey));
    assert!(bench.table.register(index, memory.map(0, 16), VA, ALL).is_ok());
    let second = bench.table.token(index);
    assert_ne!(first, second);
    assert_eq!(turn.gather(&sge(first, VA, 1), 0, &mut [0]), Err(Fault::BadKey));
    assert!(turn.gather(&sge(second, VA, 1), 0, &mut [0]).is_ok());
}

/// MR-16
#[test]
fn deregistering_twice_or_registering_twice_is_refused() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (index, key) = bench.registered(&memory, 0, 16, ALL);
    assert!(bench.table.register(index, memory.map(0, 16), VA, ALL).is_err());
    assert_eq!(bench.table.token(index), key);
    assert_eq!(bench.table.deregister(index, 1), Deregistered::Done(1));
    assert_eq!(bench.table.deregister(index, 2), Deregistered::NotRegistered(2));
}

/// T-03
#[test]
fn deregistering_under_a_pin_waits_for_the_end_of_the_turn_and_is_told() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (index, key) = bench.registered(&memory, 0, 16, ALL);
    let mut turn = bench.turn(0);
    turn.gather(&sge(key, VA, 4), 0, &mut [0; 4]).unwrap();
    assert_eq!(bench.table.deregister(index, 5), Deregistered::Pending);
    assert_eq!(bench.turn(1).gather(&sge(key, VA, 4), 0, &mut [0; 4]), Err(Fault::Revoked), "nothing starts after");
    assert_eq!(bench.table.drained(index), None, "a stray wake-up finds the pin");
    assert_eq!(memory.mappings(), 1, "a copy in flight keeps the pages");
    turn.finish();
    assert_eq!(*bench.woken.regions.lock().unwrap(), [index]);
    assert_eq!(bench.table.drained(index), Some(5));
    assert_eq!(memory.mappings(), 0);
    assert_eq!(bench.table.drained(index), None);
}

#[test]
fn closing_under_a_pin_gives_the_close_back_with_the_last_pin() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (index, key) = bench.registered(&memory, 0, 16, ALL);
    let mut turn = bench.turn(0);
    turn.gather(&sge(key, VA, 4), 0, &mut [0; 4]).unwrap();
    assert_eq!(bench.table.close(index, 8), None);
    drop(turn);
    assert_eq!(bench.table.drained(index), Some(8));
    bench.table.retire(index);
    assert_eq!(memory.mappings(), 0);
    let (other, key) = bench.registered(&memory, 0, 16, ALL);
    assert_eq!(bench.table.close(other, 8), Some(8), "nobody was in");
    assert_eq!(bench.turn(0).gather(&sge(key, VA, 4), 0, &mut [0; 4]), Err(Fault::Revoked));
    bench.table.retire(other);
    assert_eq!(memory.mappings(), 0);
}

/// PD-05
#[test]
fn a_token_of_another_domain_is_refused() {
    let bench = Bench::new();
    let memory = Memory::new(16);
    let (_, key) = bench.registered(&memory, 0, 16, ALL);
    let other = bench.table.create_domain().unwrap();
    let mut turn = bench.turn_of(0, other);
    assert_eq!(turn.gather(&sge(key, VA, 1), 0, &mut [0]), Err(Fault::WrongDomain));
    assert_eq!(turn.grant(RKey(key.0), VA, 1, Access::REMOTE_READ), Err(Fault::WrongDomain));
    let theirs = bench.table.privileged_token(bench.domain);
    assert!(turn.gather(&sge(theirs, VA, 1), 0, &mut [0]).is_err());
}

/// PD-07
#[test]
fn as_many_domains_and_regions_as_were_promised_can_be_made_and_come_back() {
    let bench = Bench::new();
    let second = bench.table.create_domain().unwrap();
    assert!(bench.table.create_domain().is_some());
    assert!(bench.table.create_domain().is_none());
    let token = bench.table.privileged_token(second);
    bench.table.destroy_domain(second);
    assert_eq!(bench.table.create_domain(), Some(second));
    assert_ne!(bench.table.privileged_token(second), token);
    let regions: Vec<_> = (0..8).map(|_| bench.table.create(RegionKind::Fast, second).unwrap()).collect();
    assert!(bench.table.create(RegionKind::Fast, second).is_none());
    let before = bench.table.token(regions[0]);
    bench.table.retire(regions[0]);
    let again = bench.table.create(RegionKind::Fast, second).unwrap();
    assert_eq!(again, regions[0]);
    assert_ne!(bench.table.token(again), before);
}

/// MR-28
#[test]
fn no_token_is_zero_whatever_the_tags() {
    let table = Table::try_new(1, 1, 0, |bytes| bytes.fill(0)).unwrap();
    let domain = table.create_domain().unwrap();
    assert_ne!(table.privileged_token(domain).0, 0);
    for _ in 0..300 {
        let index = table.create(RegionKind::Fast, domain).unwrap();
        assert_ne!(table.token(index).0, 0);
        table.retire(index);
    }
}

/// PD-03, LAM-14
#[test]
fn the_privileged_token_reads_and_writes_logical_addresses_with_the_consumers_arithmetic() {
    let bench = Bench::new();
    let memory = Memory::new(3 * PAGE_SIZE);
    let before = memory.bytes();
    let address = bench.table.logical().insert(memory.map(100, 2 * PAGE_SIZE), 100).unwrap();
    assert_eq!(address % PAGE, 0);
    let key = bench.table.privileged_token(bench.domain);
    let mut turn = bench.turn(0);
    let mut dst = vec![0; PAGE_SIZE];
    turn.gather(&sge(key, address + 200, PAGE as u32), 0, &mut dst).unwrap();
    assert_eq!(dst, before[200..][..PAGE_SIZE], "two pages in one entry");
    turn.scatter(&sge(key, address + PAGE, 64), 8, &[7; 8]).unwrap();
    assert_eq!(memory.bytes()[PAGE_SIZE + 8..][..8], [7; 8]);
    assert_eq!(turn.gather(&sge(key, address + 99, 2), 0, &mut [0; 2]), Err(Fault::OutOfBounds));
    assert_eq!(turn.gather(&sge(key, address + 2 * PAGE + 99, 2), 0, &mut [0; 2]), Err(Fault::OutOfBounds));
}

/// PD-04
#[test]
fn the_privileged_token_is_nothing_to_a_peer() {
    let bench = Bench::new();
    let memory = Memory::new(PAGE_SIZE);
    let address = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    let key = RKey(bench.table.privileged_token(bench.domain).0);
    let mut turn = bench.turn(0);
    for access in [Access::LOCAL_READ, Access::REMOTE_READ, Access::REMOTE_WRITE] {
        assert_eq!(turn.grant(key, address, 1, access), Err(Fault::BadKey));
    }
    assert_eq!(turn.remote_write(key, roce_engine::memory::Epoch(0), address, &[1]), Err(Fault::BadKey));
    assert_eq!(turn.remote_invalidate(key), Err(Fault::BadKey));
    assert!(turn.invalidate(LKey(key.0)).is_err());
}

/// LAM-11
#[test]
fn a_released_mapping_ends_at_once_and_its_addresses_stay_dead() {
    let bench = Bench::new();
    let memory = Memory::new(PAGE_SIZE);
    let key = bench.table.privileged_token(bench.domain);
    let mut stale = Vec::new();
    for _ in 0..20 {
        let address = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
        assert!(bench.turn(0).gather(&sge(key, address, 1), 0, &mut [0]).is_ok());
        assert!(!bench.table.logical().release(address + PAGE));
        assert!(bench.table.logical().release(address));
        assert!(!bench.table.logical().release(address));
        assert_eq!(memory.mappings(), 0);
        stale.push(address);
    }
    let mut turn = bench.turn(0);
    let _live = bench.table.logical().insert(memory.map(0, PAGE_SIZE), 0).unwrap();
    for address in stale {
        assert_eq!(turn.gather(&sge(key, address, 1), 0, &mut [0]), Err(Fault::BadKey));
    }
}

#[test]
fn a_mapping_that_finds_no_slot_is_dropped() {
    let bench = Bench::new();
    let memory = Memory::new(1);
    for _ in 0..4 {
        assert!(bench.table.logical().insert(memory.map(0, 1), 0).is_some());
    }
    assert!(bench.table.logical().insert(memory.map(0, 1), 0).is_none());
    assert_eq!(memory.mappings(), 4);
}

/// A fast registration of three pages out of two mappings, in an order of its own: what it starts with, and its key.
fn scattered_registration(bench: &Bench) -> (Memory, Memory, u32, FastRegister) {
    let (one, two) = (Memory::new(2 * PAGE_SIZE), Memory::new(PAGE_SIZE));
    let first = bench.table.logical().insert(one.map(0, 2 * PAGE_SIZE), 0).unwrap();
    let second = bench.table.logical().insert(two.map(0, PAGE_SIZE), 0).unwrap();
    let (index, key) = bench.fast(16);
    let length = 2 * PAGE + 100;
    bench.stage(index, &[first + PAGE, second, first], 50, length).unwrap();
    (one, two, index, FastRegister { key, va: VA, length, access: ALL })
}

mod anywhere {
    //! proptest: no address of the whole range reaches a byte that was not granted.
    use super::*;
    use proptest::prelude::*;

    fn near() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), (VA - 64..VA + 5000), Just(u64::MAX), Just(0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 512 }, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_remote_range_is_granted_exactly_when_every_byte_is_inside(va in near(), length in 0u32..9000) {
            let bench = Bench::new();
            let (_one, _two, _, request) = scattered_registration(&bench);
            let mut turn = bench.turn(0);
            turn.fast_register(&request).unwrap();
            let end = u128::from(va) + u128::from(length);
            let inside = va >= VA && end <= u128::from(VA) + u128::from(request.length);
            prop_assert_eq!(turn.grant(RKey(request.key.0), va, length, Access::REMOTE_READ).is_ok(), inside);
        }

        #[test]
        fn a_local_address_under_the_privileged_token_never_reaches_beyond_a_mapping(
            offset in prop_oneof![any::<u64>(), 0u64..3 * PAGE],
            length in 1u32..5000,
        ) {
            let bench = Bench::new();
            let memory = Memory::new(2 * PAGE_SIZE);
            let address = bench.table.logical().insert(memory.map(7, PAGE_SIZE), 7).unwrap();
            let key = bench.table.privileged_token(bench.domain);
            let at = address.wrapping_add(offset);
            let end = u128::from(at) + u128::from(length);
            let inside = at >= address + 7 && end <= u128::from(address + 7 + PAGE);
            let mut dst = vec![0; length as usize];
            let result = bench.turn(0).gather(&sge(key, at, length), 0, &mut dst);
            prop_assert_eq!(result.is_ok(), inside);
            if inside {
                prop_assert_eq!(&dst[..], &memory.bytes()[offset as usize..][..length as usize]);
            }
        }
    }
}
