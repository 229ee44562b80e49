//! Which addresses are code of a loaded image, and of which machine's. What NDIS, the registrar, WSK or a consumer call is either
//! that, and runs on the image stack as its machine's processor, or a function of the simulator's own, which does not.
//!
//! There is one list for the process: who holds a function pointer of a dispatch table has nothing but its address. With no image
//! loaded [`owner_of`] is one relaxed load: whoever has a pointer into an image has it from somebody who saw the image loaded.

use super::Machine;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

/// By the start of each range: its end, and whose it is.
static RANGES: RwLock<BTreeMap<usize, (usize, Weak<Machine>)>> = RwLock::new(BTreeMap::new());
/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The images of one machine, by address.
#[derive(Clone, Debug)]
pub struct Directory(Weak<Machine>);

impl Directory {
    /// A machine's.
    pub(super) const fn of(machine: Weak<Machine>) -> Self {
        Self(machine)
    }

    /// Enters address ranges, until the listing is dropped.
    ///
    /// # Panics
    /// When a range starts where a listed one does.
    pub fn list(&self, ranges: impl IntoIterator<Item = Range<usize>>) -> Listing {
        let mut all = RANGES.write().unwrap_or_else(PoisonError::into_inner);
        let mut starts = Vec::new();
        for range in ranges {
            let before = all.insert(range.start, (range.end, self.0.clone()));
            assert!(before.is_none(), "two images at {:#x}", range.start);
            starts.push(range.start);
        }
        COUNT.store(all.len(), Ordering::Release);
        Listing(starts)
    }

    /// Whether an address lies in one of them.
    pub fn contains(&self, address: usize) -> bool {
        any() && look_up(address).is_some_and(|owner| owner.ptr_eq(&self.0))
    }
}

/// Ranges of one image. They leave the directory when this is dropped.
#[derive(Debug)]
pub struct Listing(Vec<usize>);

impl Drop for Listing {
    fn drop(&mut self) {
        let mut all = RANGES.write().unwrap_or_else(PoisonError::into_inner);
        for start in &self.0 {
            all.remove(start);
        }
        COUNT.store(all.len(), Ordering::Release);
    }
}

/// Whether any image is loaded in this process.
#[inline]
pub fn any() -> bool {
    COUNT.load(Ordering::Relaxed) != 0
}

/// The machine whose image an address is in; `None` for the simulator's own code.
///
/// # Panics
/// When that machine is gone.
#[inline]
pub fn owner_of(address: usize) -> Option<Arc<Machine>> {
    if !any() {
        return None;
    }
    look_up(address).map(|owner| owner.upgrade().expect("a machine outlives the calls of its images"))
}

#[cold]
fn look_up(address: usize) -> Option<Weak<Machine>> {
    let all = RANGES.read().unwrap_or_else(PoisonError::into_inner);
    let (_, (_, owner)) = all.range(..=address).next_back().filter(|(_, (end, _))| address < *end)?;
    Some(owner.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_a_machine_from_the_start_of_its_range_to_before_its_end_while_it_is_listed() {
        let (first, second) = (Machine::new("first", Arc::default(), 1), Machine::new("second", Arc::default(), 1));
        let one = first.images().list([0x1000..0x3000, 0x9000..0xa000]);
        let other = second.images().list(std::iter::once(0x3000..0x4000));
        let inside = |machine: &Machine| {
            [0xfff, 0x1000, 0x2fff, 0x3000, 0x3fff, 0x4000, 0x8fff, 0x9000, 0x9fff, 0xa000]
                .into_iter()
                .filter(|&address| machine.is_image_code(address))
                .collect::<Vec<_>>()
        };
        assert_eq!(inside(&first), [0x1000, 0x2fff, 0x9000, 0x9fff]);
        assert_eq!(inside(&second), [0x3000, 0x3fff]);
        let owners = || [0xfff, 0x2fff, 0x3000, 0x4000].map(|at| owner_of(at).map(|machine| machine.name.clone()));
        assert_eq!(owners(), [None, Some("first".into()), Some("second".into()), None]);
        drop(one);
        assert_eq!(inside(&first), [0; 0]);
        assert_eq!(owners(), [None, None, Some("second".into()), None]);
        drop(other);
        assert_eq!(owners(), [const { None }; 4]);
    }
}
