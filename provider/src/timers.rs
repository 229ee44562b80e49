//! Deadlines of a port: one platform timer, many lazy entries (T-13: no timer is armed per packet).
//!
//! An entry says "look at this one at that time". A deadline that moves later does not touch the table: whoever finds its
//! deadline later than the entry simply enters again when the entry fires. So a busy queue pair comes here once a
//! time-out, not once a message. Every owner has at most one entry and every owner has room: entering cannot fail.

use crate::lock::SpinLock;
use crate::sync::{AtomicU64, Ordering};
use alloc::vec::Vec;
use roce_engine::time::Time;

/// Whom a deadline belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The connection manager.
    Connections,
    /// The queue pair in this slot.
    QueuePair(u32),
    /// The completion queue in this slot (moderation).
    CompletionQueue(u32),
}

/// The owner's own note of the entry it has standing, so that most calls need no lock.
#[derive(Debug)]
pub struct Standing(AtomicU64);

impl Standing {
    /// Nothing stands.
    pub fn new() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// The entry fired; the owner looks at its deadline anew.
    pub fn clear(&self) {
        self.0.store(u64::MAX, Ordering::Release);
    }

    /// Whether an entry at `at` is needed; if so it is noted as standing.
    fn claim(&self, at: Time) -> bool {
        self.0.fetch_min(at.as_nanos(), Ordering::AcqRel) > at.as_nanos()
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self::new()
    }
}

/// No place in the heap.
const ABSENT: u32 = u32::MAX;

/// A binary heap, smallest time first, that knows where each owner stands.
struct Heap {
    entries: Vec<(Time, u32)>,
    places: Vec<u32>,
    queue_pairs: u32,
}

impl Heap {
    fn index(&self, owner: Owner) -> u32 {
        match owner {
            Owner::Connections => 0,
            Owner::QueuePair(slot) => slot.saturating_add(1),
            Owner::CompletionQueue(slot) => slot.saturating_add(1).saturating_add(self.queue_pairs),
        }
    }

    fn owner(&self, index: u32) -> Owner {
        match index.checked_sub(1) {
            None => Owner::Connections,
            Some(slot) if slot < self.queue_pairs => Owner::QueuePair(slot),
            Some(slot) => Owner::CompletionQueue(slot - self.queue_pairs),
        }
    }

    fn time(&self, at: usize) -> Time {
        self.entries.get(at).map_or(Time::MAX, |entry| entry.0)
    }

    /// Notes where the entry at `at` stands.
    fn settle(&mut self, at: usize) {
        if let Some(entry) = self.entries.get(at)
            && let Some(place) = self.places.get_mut(entry.1 as usize)
        {
            *place = at as u32;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(&one), Some(&other)) = (self.entries.get(a), self.entries.get(b)) {
            self.entries.get_mut(a).into_iter().for_each(|place| *place = other);
            self.entries.get_mut(b).into_iter().for_each(|place| *place = one);
        }
        self.settle(a);
        self.settle(b);
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.time(at) < self.time((at - 1) / 2) {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let left = at * 2 + 1;
            let child = if self.time(left + 1) < self.time(left) { left + 1 } else { left };
            if self.time(child) >= self.time(at) {
                return;
            }
            self.swap(at, child);
            at = child;
        }
    }

    /// Enters `owner` at `time`, or brings its entry forward.
    fn enter(&mut self, owner: Owner, time: Time) {
        let index = self.index(owner);
        match self.places.get(index as usize).copied() {
            None => (),
            // Each owner has room; said where `push` can see it, so that it has no reason to grow.
            Some(ABSENT) if self.entries.len() == self.entries.capacity() => (),
            Some(ABSENT) => {
                self.entries.push((time, index));
                let at = self.entries.len() - 1;
                self.settle(at);
                self.rise(at);
            }
            Some(place) => {
                if let Some(entry) = self.entries.get_mut(place as usize)
                    && time < entry.0
                {
                    entry.0 = time;
                    self.rise(place as usize);
                }
            }
        }
    }

    fn pop(&mut self) -> Option<Owner> {
        if self.entries.is_empty() {
            return None;
        }
        let (_, index) = self.entries.swap_remove(0);
        if let Some(place) = self.places.get_mut(index as usize) {
            *place = ABSENT;
        }
        self.settle(0);
        self.sink(0);
        Some(self.owner(index))
    }
}

/// The deadlines of one port.
pub struct Timers {
    heap: SpinLock<Heap>,
}

impl Timers {
    /// Room for every owner of a port; `None` without memory.
    pub fn try_new(queue_pairs: u32, completion_queues: u32) -> Option<Self> {
        let owners = (queue_pairs as usize).checked_add(completion_queues as usize)?.checked_add(1)?;
        let mut entries = Vec::new();
        entries.try_reserve_exact(owners).ok()?;
        let mut places = Vec::new();
        places.try_reserve_exact(owners).ok()?;
        places.resize(owners, ABSENT);
        Some(Self { heap: SpinLock::new(Heap { entries, places, queue_pairs }) })
    }

    /// Sees to it that `owner` is looked at no later than `at`. `set` programs the platform's timer when it must fire
    /// earlier than before; it is called under the lock, so it must be as [`crate::platform::Platform::set_timer`] is.
    pub fn enter(&self, owner: Owner, at: Time, standing: &Standing, set: impl FnOnce(Time)) {
        if at == Time::MAX || !standing.claim(at) {
            return;
        }
        self.heap.with(|heap| {
            let before = heap.time(0);
            heap.enter(owner, at);
            if at < before {
                set(at);
            }
        });
    }

    /// The next owner whose time has come at `now`; its `Standing` must be cleared before its deadline is looked at. When
    /// there is none, `set` programs the platform's timer for the earliest entry that stands.
    pub fn expired(&self, now: Time, set: impl FnOnce(Time)) -> Option<Owner> {
        self.heap.with(|heap| {
            let earliest = heap.time(0);
            if earliest <= now && earliest != Time::MAX {
                return heap.pop();
            }
            if earliest != Time::MAX {
                set(earliest);
            }
            None
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::cell::Cell;

    fn at(ns: u64) -> Time {
        Time::from_nanos(ns)
    }

    #[test]
    fn owners_come_in_the_order_of_their_times() {
        let timers = Timers::try_new(64, 0).unwrap();
        let standing: std::vec::Vec<_> = (0..40).map(|_| Standing::new()).collect();
        for (slot, standing) in standing.iter().enumerate() {
            let time = at(((slot as u64) * 17) % 41);
            timers.enter(Owner::QueuePair(slot as u32), time, standing, |_| ());
        }
        let mut last = 0;
        while let Some(Owner::QueuePair(slot)) = timers.expired(at(100), |_| ()) {
            let time = (u64::from(slot) * 17) % 41;
            assert!(time >= last);
            last = time;
        }
        assert_eq!(last, 40);
    }

    #[test]
    fn a_later_deadline_makes_no_second_entry_and_an_earlier_one_sets_the_timer() {
        let timers = Timers::try_new(16, 0).unwrap();
        let standing = Standing::new();
        let set = Cell::new(Time::MAX);
        timers.enter(Owner::Connections, at(50), &standing, |time| set.set(time));
        assert_eq!(set.get(), at(50));
        timers.enter(Owner::Connections, at(70), &standing, |_| panic!("a second entry"));
        timers.enter(Owner::Connections, at(30), &standing, |time| set.set(time));
        assert_eq!(set.get(), at(30));
        assert_eq!(timers.expired(at(10), |time| set.set(time)), None);
        assert_eq!(set.get(), at(30));
        assert_eq!(timers.expired(at(30), |_| ()), Some(Owner::Connections));
    }

    #[test]
    fn a_table_full_of_owners_moved_forward_and_back_keeps_every_one() {
        let timers = Timers::try_new(100, 50).unwrap();
        let standing: std::vec::Vec<_> = (0..151).map(|_| Standing::new()).collect();
        for round in 0..5u64 {
            for (index, standing) in standing.iter().enumerate() {
                let owner = timers.heap.with(|heap| heap.owner(index as u32));
                let time = 10_000 - round * 1_000 + (index as u64 * 37) % 151;
                timers.enter(owner, at(time), standing, |_| ());
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        while let Some(owner) = timers.expired(at(20_000), |_| ()) {
            assert!(seen.insert(timers.heap.with(|heap| heap.index(owner))));
        }
        assert_eq!(seen.len(), 151);
    }
}
