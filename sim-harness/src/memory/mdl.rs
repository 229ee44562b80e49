//! An MDL of one's own with its array of page frame numbers behind it, in one block, as MDLs are.

use ndk_types::MDL;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Words of the structure, before the array.
const HEAD: usize = size_of::<MDL>() / 8;

/// An MDL; its fields are read and changed as if it were one.
#[derive(Debug)]
pub struct Mdl(NonNull<[u64]>);

impl Mdl {
    /// An MDL with this head, whose size is filled in, and these page frame numbers.
    pub(super) fn new(head: MDL, pages: impl Iterator<Item = u64>) -> Self {
        let words: Box<[u64]> = [0; HEAD].into_iter().chain(pages).collect();
        let size = i16::try_from(size_of_val(&*words)).unwrap_or(i16::MAX);
        let mdl = Self(NonNull::from(Box::leak(words)));
        // SAFETY: the block above, aligned as an MDL is, whose first words are for it.
        unsafe { mdl.head().write(MDL { Size: size, ..head }) };
        mdl
    }

    const fn head(&self) -> *mut MDL {
        self.0.as_ptr().cast()
    }

    /// The pointer to pass on, good for the array, too.
    pub const fn as_mut_ptr(&mut self) -> *mut MDL {
        self.head()
    }

    /// The page frame numbers.
    pub fn pages(&self) -> Vec<u64> {
        let first = self.0.as_ptr().cast::<u64>().wrapping_add(HEAD);
        // SAFETY: words of the block, after the structure; nobody changes them.
        (0..self.0.len() - HEAD).map(|place| unsafe { first.wrapping_add(place).read() }).collect()
    }
}

impl Deref for Mdl {
    type Target = MDL;

    fn deref(&self) -> &MDL {
        // SAFETY: written in `new`; whoever was given the pointer looks at it during its call only.
        unsafe { &*self.head() }
    }
}

impl DerefMut for Mdl {
    fn deref_mut(&mut self) -> &mut MDL {
        // SAFETY: as above, and ours alone.
        unsafe { &mut *self.head() }
    }
}

impl Drop for Mdl {
    fn drop(&mut self) {
        // SAFETY: leaked in `new`, and freed once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
