//! Lists whose room was reserved when they were made: they never grow, and nothing about them can panic (DESIGN D10).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Adds an item at the end; gives it back when the reserved room is used up.
pub(crate) fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), T> {
    if list.len() < list.capacity() {
        list.push(item);
        Ok(())
    } else {
        Err(item)
    }
}

/// As [`push`], at the end of a queue.
pub(crate) fn push_back<T>(queue: &mut VecDeque<T>, item: T) -> Result<(), T> {
    if queue.len() < queue.capacity() {
        queue.push_back(item);
        Ok(())
    } else {
        Err(item)
    }
}

/// Takes the item at a place out; the last one comes in its stead.
pub(crate) fn take<T>(list: &mut Vec<T>, at: usize) -> Option<T> {
    let last = list.pop()?;
    if at == list.len() {
        return Some(last);
    }
    if let Some(place) = list.get_mut(at) {
        return Some(core::mem::replace(place, last));
    }
    // The place it came from is still there.
    let _ = push(list, last);
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_list_takes_what_was_reserved_and_gives_back_the_rest() {
        let mut list = Vec::with_capacity(2);
        let room = list.capacity();
        assert!((0..room).all(|item| push(&mut list, item).is_ok()));
        assert_eq!((push(&mut list, 99), list.capacity()), (Err(99), room));
        assert_eq!((take(&mut list, 0), take(&mut list, room), list.len()), (Some(0), None, room - 1));
    }
}
