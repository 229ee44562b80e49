//! `Shared<T>`: a counted pointer whose making can fail. `Arc` would do but for that (DESIGN D10).
//!
//! For the port, which many objects and the platform side hold on to. Objects that a consumer sees are
//! [`crate::object::Object`]s instead, with their rules of closing.

use crate::sync::{AtomicUsize, Ordering};
use alloc::alloc::{Layout, alloc, dealloc};
use core::ops::Deref;
use core::ptr::NonNull;

struct Counted<T> {
    references: AtomicUsize,
    value: T,
}

/// A counted, shared `T`.
pub struct Shared<T>(NonNull<Counted<T>>);

// SAFETY: a Shared is a reference that may move between threads and drop the value on any of them, as Arc's.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above; a &Shared gives &T and clones.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    const LAYOUT: Layout = {
        // WdkAllocator ignores alignments above 16 (DESIGN D10).
        assert!(align_of::<Counted<T>>() <= 16);
        Layout::new::<Counted<T>>()
    };

    /// Moves `value` to the heap; gives it up when there is no memory.
    pub fn try_new(value: T) -> Option<Self> {
        // SAFETY: Counted has a usize, so its layout is not zero-sized, as GlobalAlloc asks.
        let memory = unsafe { alloc(Self::LAYOUT) };
        let counted = NonNull::new(memory.cast::<Counted<T>>())?;
        // SAFETY: the memory was just allocated with this type's layout and nobody else knows it.
        unsafe {
            counted.write(Counted { references: AtomicUsize::new(1), value });
        };
        Some(Self(counted))
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the count is at least ours, so the value is alive and only shared.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        self.counted().references.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Acquire too, in one operation: TSan knows no fences (T-14).
        if self.counted().references.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: the count reached zero, so this was the last reference and nobody reads the value again.
        unsafe { self.0.drop_in_place() };
        // SAFETY: the memory came from `alloc` with this layout and is not used after this line.
        unsafe { dealloc(self.0.as_ptr().cast(), Self::LAYOUT) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Noted<'a>(&'a core::cell::Cell<u32>);

    impl Drop for Noted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn the_value_is_dropped_with_the_last_reference() {
        let dropped = core::cell::Cell::new(0);
        let first = Shared::try_new(Noted(&dropped)).unwrap();
        let second = first.clone();
        drop(first);
        assert_eq!(dropped.get(), 0);
        drop(second);
        assert_eq!(dropped.get(), 1);
    }
}
