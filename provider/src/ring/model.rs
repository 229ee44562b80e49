//! Every interleaving of small uses of the rings, under loom.

use super::mailbox::Mailbox;
use super::shared_receive::SharedReceiveRing;
use super::*;
use loom::sync::Arc;
use loom::thread;

/// T-12: what the producer wrote is what the consumer reads, also when a slot is used again.
#[test]
fn a_ring_passes_entries_whole_and_in_order() {
    loom::model(|| {
        let ring = Arc::new(Ring::<u32, u32>::try_new(1, 1, 0).unwrap());
        let posting = ring.clone();
        let producer = thread::spawn(move || {
            // SAFETY: this thread alone produces.
            let mut producer = unsafe { posting.producer() };
            let mut posted = 0;
            for _ in 0..2 {
                let done = producer.try_push(|slot| {
                    assert!(slot.push_sge(posted + 10));
                    Ok::<_, Full>(posted)
                });
                posted += u32::from(done.is_ok());
                thread::yield_now();
            }
            posted
        });
        // SAFETY: this thread alone consumes.
        let mut consumer = unsafe { ring.consumer() };
        let mut taken = 0;
        let mut take = || {
            let Some(slot) = consumer.front() else { return false };
            assert_eq!((*slot.header, slot.sges), (taken, &[taken + 10][..]));
            taken += 1;
            consumer.retire_to(taken);
            true
        };
        for _ in 0..2 {
            thread::yield_now();
            take();
        }
        let posted = producer.join().unwrap();
        while take() {}
        assert_eq!(taken, posted);
    });
}

/// T-09, T-14: a post without a kick against somebody who goes to sleep: one of the two sees the other.
#[test]
fn a_post_is_found_or_is_told_to_kick() {
    loom::model(|| {
        let ring = Arc::new(Ring::<u32, u32>::try_new(2, 0, 0).unwrap());
        let posting = ring.clone();
        let producer = thread::spawn(move || {
            // SAFETY: this thread alone produces.
            let mut producer = unsafe { posting.producer() };
            producer.try_push(|_| Ok::<_, Full>(1)).unwrap();
            producer.must_kick()
        });
        let found = ring.ask_for_kicks() == 1;
        let told = producer.join().unwrap();
        assert!(found || told);
    });
}

/// T-07: two consumers and a post; each receive is taken once, whole, though its slot is used again at once.
#[test]
fn a_shared_receive_is_taken_once() {
    loom::model(|| {
        let srq = Arc::new(SharedReceiveRing::<u32, u32>::try_new(1, 1).unwrap());
        let post = |value: u32| {
            // SAFETY: one thread posts.
            unsafe { srq.producer() }.try_push(|slot| {
                assert!(slot.push_sge(value + 10));
                Ok::<_, Full>(value)
            })
        };
        post(0).unwrap();
        let taking = srq.clone();
        let take = |srq: &SharedReceiveRing<u32, u32>| {
            let mut sges = [0];
            srq.take(&mut sges).map(|taken| {
                assert_eq!(sges[0], taken.header + 10);
                taken.header
            })
        };
        let consumer = thread::spawn(move || take(&taking));
        // Lets the checker run the consumer first, which is when the slot is used again.
        thread::yield_now();
        let second = post(1).is_ok();
        let mine = take(&srq);
        let theirs = consumer.join().unwrap();
        let left = take(&srq);
        let mut taken: [_; 3] = [mine, theirs, left];
        taken.sort_unstable();
        assert_eq!(taken, [None, if second { Some(0) } else { None }, if second { Some(1) } else { Some(0) }]);
    });
}

/// T-09: a consumer that finds nothing, asks and looks once more; or else the post is told to kick.
#[test]
fn a_shared_receive_is_found_or_its_post_is_told_to_kick() {
    loom::model(|| {
        let srq = Arc::new(SharedReceiveRing::<u32, u32>::try_new(1, 0).unwrap());
        let taking = srq.clone();
        let consumer = thread::spawn(move || {
            taking.ask_for_kicks();
            taking.take(&mut []).is_some()
        });
        // SAFETY: this thread alone posts.
        let mut producer = unsafe { srq.producer() };
        producer.try_push(|_| Ok::<_, Full>(1)).unwrap();
        let told = producer.must_kick();
        assert!(consumer.join().unwrap() || told);
    });
}

/// T-05: two senders and the receiver; nothing is lost or doubled.
#[test]
fn a_mailbox_gives_each_thing_once() {
    loom::model(|| {
        let mailbox = Arc::new(Mailbox::try_new(1).unwrap());
        let senders = [1, 2].map(|value| {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.push(value).is_ok())
        });
        // SAFETY: this thread alone receives.
        let mut receiver = unsafe { mailbox.receiver() };
        let mut sum = receiver.pop().unwrap_or(0);
        let sent = senders.map(|sender| sender.join().unwrap());
        while let Some(value) = receiver.pop() {
            sum += value;
        }
        let [first, second] = sent.map(i32::from);
        assert_eq!(sum, first + 2 * second);
        assert!(first + second > 0);
    });
}
