//! What the users of the rings are promised.

use super::mailbox::Mailbox;
use super::shared_receive::{ResizeRefused, SharedReceiveRing};
use super::*;
use std::vec::Vec;

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    Full,
    Consumer,
}

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

fn push(ring: &Ring<u64, u16>, header: u64, sges: &[u16], inline: &[u8]) -> Result<(), Refused> {
    // SAFETY: these tests push from one thread.
    unsafe { ring.producer() }.try_push(|slot| {
        for &sge in sges {
            if !slot.push_sge(sge) {
                return Err(Refused::Consumer);
            }
        }
        slot.push_inline(inline.len()).ok_or(Refused::Consumer)?.copy_from_slice(inline);
        Ok(header)
    })
}

/// QP-18
#[test]
fn exactly_the_depth_fits_whatever_it_is_and_wherever_positions_wrap() {
    for depth in [1, 2, 3, 7, 8, 100] {
        for start in [0, u32::MAX - 2] {
            let ring = Ring::<u64, u16>::try_new_at(depth, 1, 0, start).unwrap();
            // SAFETY: this test uses one thread.
            let mut consumer = unsafe { ring.consumer() };
            for round in 0..3 {
                for value in 0..depth {
                    assert_eq!(push(&ring, u64::from(value), &[], &[]), Ok(()));
                }
                assert_eq!(push(&ring, 0, &[], &[]), Err(Refused::Full));
                assert_eq!(ring.count(), depth);
                for value in 0..depth {
                    assert_eq!(*consumer.front().unwrap().header, u64::from(value), "{depth} {round}");
                    consumer.retire_to(consumer.head().wrapping_add(1));
                }
                assert!(consumer.front().is_none());
            }
        }
    }
}

#[test]
fn an_entry_stays_readable_with_its_sges_and_inline_data_until_it_is_retired() {
    let ring = Ring::<u64, u16>::try_new(4, 3, 5).unwrap();
    push(&ring, 10, &[1, 2, 3], b"").unwrap();
    push(&ring, 11, &[], b"hello").unwrap();
    push(&ring, 12, &[9], b"x").unwrap();
    // SAFETY: this test uses one thread.
    let mut consumer = unsafe { ring.consumer() };
    for _ in 0..2 {
        let seen: Vec<_> = (0..consumer.posted()).map(|at| consumer.get(at).unwrap()).collect();
        assert_eq!(seen.iter().map(|slot| *slot.header).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!((seen[0].sges, seen[1].sges, seen[2].sges), (&[1, 2, 3][..], &[][..], &[9][..]));
        assert_eq!((seen[0].inline, seen[1].inline, seen[2].inline), (&b""[..], &b"hello"[..], &b"x"[..]));
    }
    consumer.retire_to(2);
    assert!(consumer.get(1).is_none());
    assert_eq!(*consumer.get(2).unwrap().header, 12);
    assert!(consumer.get(3).is_none());
}

#[test]
fn a_request_with_too_much_in_it_is_not_posted() {
    let ring = Ring::<u64, u16>::try_new(4, 2, 5).unwrap();
    assert_eq!(push(&ring, 1, &[1, 2, 3], &[]), Err(Refused::Consumer));
    assert_eq!(push(&ring, 1, &[], b"hello!"), Err(Refused::Consumer));
    assert_eq!(ring.count(), 0);
    assert_eq!(push(&ring, 2, &[1, 2], b"hello"), Ok(()));
    assert_eq!(ring.count(), 1);
}

#[test]
fn a_position_that_was_never_posted_cannot_be_retired() {
    let ring = Ring::<u64, u16>::try_new(4, 0, 0).unwrap();
    push(&ring, 1, &[], &[]).unwrap();
    // SAFETY: this test uses one thread.
    let mut consumer = unsafe { ring.consumer() };
    for position in [2, u32::MAX] {
        consumer.retire_to(position);
        assert_eq!(consumer.head(), 0);
    }
    consumer.retire_to(1);
    assert_eq!((consumer.head(), ring.count()), (1, 0));
}

/// T-09
#[test]
fn a_post_is_told_to_kick_while_the_consumer_asks_for_it() {
    let ring = Ring::<u64, u16>::try_new(4, 0, 0).unwrap();
    // SAFETY: this test uses one thread.
    let mut producer = unsafe { ring.producer() };
    assert!(!producer.must_kick());
    push(&ring, 1, &[], &[]).unwrap();
    assert_eq!(ring.ask_for_kicks(), 1);
    assert!(producer.must_kick());
    ring.stop_asking();
    assert!(!producer.must_kick());
}

#[test]
fn two_threads_pass_requests_through_a_ring_unharmed() {
    let count: u64 = if cfg!(miri) { 60 } else { 50_000 };
    let ring = Ring::<u64, u64>::try_new(5, 2, 0).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: this thread alone produces.
            let mut producer = unsafe { ring.producer() };
            for value in 0..count {
                while producer
                    .try_push(|slot| {
                        assert!(slot.push_sge(value + 1) && slot.push_sge(value + 2));
                        Ok::<_, Full>(value)
                    })
                    .is_err()
                {
                    std::thread::yield_now();
                }
            }
        });
        // SAFETY: this thread alone consumes.
        let mut consumer = unsafe { ring.consumer() };
        for value in 0..count {
            while consumer.front().is_none() {
                std::thread::yield_now();
            }
            let slot = consumer.front().unwrap();
            assert_eq!((*slot.header, slot.sges), (value, &[value + 1, value + 2][..]));
            consumer.retire_to(consumer.head().wrapping_add(1));
        }
    });
}

fn post(srq: &SharedReceiveRing<u64, u16>, header: u64, sges: &[u16]) -> Result<(), Refused> {
    // SAFETY: these tests post from one thread.
    unsafe { srq.producer() }
        .try_push(|slot| if sges.iter().all(|&sge| slot.push_sge(sge)) { Ok(header) } else { Err(Refused::Consumer) })
}

/// SRQ-09: what was posted is what is taken, once, in order.
#[test]
fn receives_are_taken_whole_and_in_order() {
    let srq = SharedReceiveRing::<u64, u16>::try_new(3, 2).unwrap();
    let mut sges = [0; 4];
    for round in 0..20 {
        post(&srq, round, &[1, 2]).unwrap();
        post(&srq, round + 100, &[]).unwrap();
        post(&srq, round + 200, &[7]).unwrap();
        assert_eq!(post(&srq, 0, &[]), Err(Refused::Full));
        let taken = srq.take(&mut sges).unwrap();
        assert_eq!((taken.header, taken.sge_count, taken.remaining), (round, 2, 2));
        assert_eq!(sges[..2], [1, 2]);
        assert_eq!(srq.take(&mut sges).unwrap().header, round + 100);
        let taken = srq.take(&mut sges).unwrap();
        assert_eq!((taken.header, taken.sge_count, taken.remaining), (round + 200, 1, 0));
        assert_eq!(srq.take(&mut sges), None);
    }
    assert_eq!(post(&srq, 0, &[1, 2, 3]), Err(Refused::Consumer));
    assert_eq!(srq.count(), 0);
}

/// SRQ-06, SRQ-14, T-07
#[test]
fn a_shared_receive_queue_changes_its_depth_under_way() {
    let srq = SharedReceiveRing::<u64, u16>::try_new(16, 1).unwrap();
    let (mut next, mut expected) = (0, 0);
    for depth in [16u32, 50, 17, 200, 4, 16, 1] {
        while srq.count() > 1 || srq.count() == u64::from(depth) {
            assert_eq!(srq.take(&mut [0]).unwrap().header, expected);
            expected += 1;
        }
        srq.resize(depth).unwrap();
        assert_eq!(srq.depth(), depth);
        while srq.count() < u64::from(depth) {
            post(&srq, next, &[1]).unwrap();
            next += 1;
        }
        assert_eq!(post(&srq, next, &[1]), Err(Refused::Full));
        assert_eq!(srq.resize(depth - 1), Err(ResizeRefused::TooSmall));
    }
    while let Some(taken) = srq.take(&mut [0]) {
        assert_eq!(taken.header, expected);
        expected += 1;
    }
    assert_eq!(expected, next);
}

/// T-09
#[test]
fn a_post_to_a_shared_queue_is_told_to_kick_while_a_consumer_waits() {
    let srq = SharedReceiveRing::<u64, u16>::try_new(1, 0).unwrap();
    // SAFETY: this test uses one thread.
    let mut producer = unsafe { srq.producer() };
    assert!(!producer.must_kick());
    srq.ask_for_kicks();
    assert!(producer.must_kick());
    srq.stop_asking();
    assert!(!producer.must_kick());
}

#[test]
fn many_consumers_take_every_receive_once() {
    let count: u64 = if cfg!(miri) { 60 } else { 30_000 };
    let srq = SharedReceiveRing::<u64, u16>::try_new(5, 1).unwrap();
    let mut seen = std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    let mut sges = [0];
                    while mine.last().is_none_or(|&last| last < count - 3) {
                        match srq.take(&mut sges) {
                            Some(taken) => {
                                assert_eq!(u64::from(sges[0]), taken.header & 0xffff);
                                assert!(mine.last().is_none_or(|&last| last < taken.header));
                                mine.push(taken.header);
                            }
                            None => std::thread::yield_now(),
                        }
                    }
                    mine
                })
            })
            .collect();
        let mut value = 0;
        // The last three are one for each consumer, whose sign to stop it is.
        while value < count {
            match post(&srq, value, &[value as u16]) {
                Ok(()) => value += 1,
                Err(_) => std::thread::yield_now(),
            }
        }
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect::<Vec<_>>()
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
}

/// T-05
#[test]
fn a_full_mailbox_gives_the_frame_back() {
    for capacity in [1, 3, 16] {
        let mailbox = Mailbox::try_new(capacity).unwrap();
        // SAFETY: this test uses one thread.
        let mut receiver = unsafe { mailbox.receiver() };
        for _ in 0..3 {
            for value in 0..capacity {
                assert_eq!(mailbox.push(value), Ok(()));
            }
            assert_eq!(mailbox.push(77), Err(77));
            for value in 0..capacity {
                assert_eq!(receiver.pop(), Some(value));
            }
            assert_eq!(receiver.pop(), None);
        }
    }
}

#[test]
fn a_mailbox_drops_what_nobody_took() {
    use std::sync::Arc;
    let thing = Arc::new(());
    let mailbox = Mailbox::try_new(4).unwrap();
    assert!(mailbox.push(thing.clone()).is_ok() && mailbox.push(thing.clone()).is_ok());
    // SAFETY: this test uses one thread.
    drop(unsafe { mailbox.receiver() }.pop());
    assert_eq!(Arc::strong_count(&thing), 2);
    drop(mailbox);
    assert_eq!(Arc::strong_count(&thing), 1);
}

#[test]
fn a_mailbox_keeps_the_order_of_each_sender() {
    let each: u32 = if cfg!(miri) { 30 } else { 20_000 };
    let mailbox = Mailbox::try_new(7).unwrap();
    std::thread::scope(|scope| {
        for sender in 0..3u32 {
            let mailbox = &mailbox;
            scope.spawn(move || {
                for value in 0..each {
                    while mailbox.push((sender, value)).is_err() {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let mut next = [0; 3];
        // SAFETY: this thread alone receives.
        let mut receiver = unsafe { mailbox.receiver() };
        while next != [each; 3] {
            match receiver.pop() {
                Some((sender, value)) => {
                    assert_eq!(value, next[sender as usize]);
                    next[sender as usize] += 1;
                }
                None => std::thread::yield_now(),
            }
        }
    });
}
