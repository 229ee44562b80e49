//! A bounded mailbox: anybody puts in, the holder of the lane takes out, in order.
//!
//! For frames that arrive while a queue pair's lane is busy (T-05): they are put here, the lane is kicked, and its holder
//! takes them. All places are made at creation; a full mailbox gives the thing back.

use super::{Classes, class_of};
use crate::sync::{AtomicU64, Ordering, UnsafeCell};
use core::marker::PhantomData;
use core::mem::MaybeUninit;

#[derive(Debug)]
struct Place<T> {
    /// The position that was filled here, plus one.
    filled: AtomicU64,
    thing: UnsafeCell<MaybeUninit<T>>,
}

/// A mailbox of at most `capacity` things.
#[derive(Debug)]
pub struct Mailbox<T> {
    places: Classes<Place<T>>,
    class: u32,
    capacity: u32,
    tail: AtomicU64,
    head: AtomicU64,
}

// SAFETY: a thing is written by the thread that reserved its position and taken by the one receiver, after it was marked
// filled; `head` is what a writer waits for before the place is used again. So things only move between threads.
unsafe impl<T: Send> Sync for Mailbox<T> {}
// SAFETY: the mailbox owns its things.
unsafe impl<T: Send> Send for Mailbox<T> {}

impl<T> Mailbox<T> {
    /// An empty mailbox. `None` without memory.
    pub fn try_new(capacity: u32) -> Option<Self> {
        let class = class_of(capacity)?;
        let places = Classes::new();
        places.install(class, || Place { filled: AtomicU64::new(0), thing: UnsafeCell::new(MaybeUninit::uninit()) })?;
        Some(Self { places, class, capacity, tail: AtomicU64::new(0), head: AtomicU64::new(0) })
    }

    /// Puts a thing in; gives it back when the mailbox is full. The receiver has to be kicked afterwards.
    pub fn push(&self, thing: T) -> Result<(), T> {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            // Acquire: the receiver has taken what was in the place. An old `tail` fails the exchange.
            let head = self.head.load(Ordering::Acquire);
            if tail.saturating_sub(head) >= u64::from(self.capacity) {
                return Err(thing);
            }
            match self.tail.compare_exchange(tail, tail + 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => tail = now,
            }
        }
        let Some(place) = self.places.cell(self.class, tail) else { return Err(thing) };
        place.thing.with_mut(|place| {
            // SAFETY: this thread reserved the position, and the receiver has passed the one before in this place.
            unsafe { place.write(MaybeUninit::new(thing)) };
        });
        place.filled.store(tail + 1, Ordering::Release);
        Ok(())
    }

    /// Whether a thing put in now would come back. For the only one who puts things in, a "no" stays true until it does.
    pub fn is_full(&self) -> bool {
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Relaxed).saturating_sub(head) >= u64::from(self.capacity)
    }

    /// The taking side.
    ///
    /// # Safety
    /// Until the result is gone nobody else has one, and what an earlier one did happened before: make it inside the lane.
    pub unsafe fn receiver(&self) -> Receiver<'_, T> {
        Receiver { mailbox: self, _not_shared: PhantomData }
    }
}

/// The taking side of a [`Mailbox`].
#[derive(Debug)]
pub struct Receiver<'a, T> {
    mailbox: &'a Mailbox<T>,
    _not_shared: PhantomData<*mut T>,
}

impl<T> Receiver<'_, T> {
    /// Takes the oldest thing. `None`: there is none, or whoever puts it in has not finished, and kicks afterwards.
    pub fn pop(&mut self) -> Option<T> {
        let mailbox = self.mailbox;
        let head = mailbox.head.load(Ordering::Relaxed);
        let place = mailbox.places.cell(mailbox.class, head)?;
        if place.filled.load(Ordering::Acquire) != head + 1 {
            return None;
        }
        let thing = place.thing.with(|place| {
            // SAFETY: the thing of `head` was written (Acquire above) and only this receiver reads it.
            let thing = unsafe { place.read() };
            // SAFETY: as above; `head` moves on below, so it is taken once.
            unsafe { thing.assume_init() }
        });
        mailbox.head.store(head + 1, Ordering::Release);
        Some(thing)
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: nobody else has a receiver.
        let mut receiver = unsafe { self.receiver() };
        while let Some(thing) = receiver.pop() {
            drop(thing);
        }
    }
}
