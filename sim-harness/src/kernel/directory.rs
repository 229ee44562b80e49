//! Which addresses are code of a loaded image. What NDIS, the registrar or WSK call is either that, and runs on the image stack,
//! or a function of the simulator's own, which does not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

/// The images of one machine, by address. Copies see the same images.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<RwLock<BTreeMap<usize, usize>>>);

impl Directory {
    /// Enters address ranges, until the listing is dropped.
    pub fn list(&self, ranges: impl IntoIterator<Item = Range<usize>>) -> Listing {
        let ranges: Vec<_> = ranges.into_iter().collect();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.extend(ranges.iter().map(|range| (range.start, range.end)));
        Listing { directory: self.clone(), starts: ranges.into_iter().map(|range| range.start).collect() }
    }

    /// Whether an address lies in one of them.
    pub fn contains(&self, address: usize) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.range(..=address).next_back().is_some_and(|(_, &end)| address < end)
    }
}

/// Ranges of one image. They leave the directory when this is dropped.
#[derive(Debug)]
pub struct Listing {
    directory: Directory,
    starts: Vec<usize>,
}

impl Drop for Listing {
    fn drop(&mut self) {
        let mut all = self.directory.0.write().unwrap_or_else(PoisonError::into_inner);
        for start in &self.starts {
            all.remove(start);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_directory_from_the_start_of_its_range_to_before_its_end_while_it_is_listed() {
        let directory = Directory::default();
        let copy = directory.clone();
        let one = directory.list([0x1000..0x3000, 0x9000..0xa000]);
        let other = directory.list(std::iter::once(0x3000..0x4000));
        let inside = |directory: &Directory| {
            [0xfff, 0x1000, 0x2fff, 0x3000, 0x3fff, 0x4000, 0x8fff, 0x9000, 0x9fff, 0xa000]
                .into_iter()
                .filter(|&address| directory.contains(address))
                .collect::<Vec<_>>()
        };
        assert_eq!(inside(&copy), [0x1000, 0x2fff, 0x3000, 0x3fff, 0x9000, 0x9fff]);
        drop(one);
        assert_eq!(inside(&copy), [0x3000, 0x3fff]);
        drop(other);
        assert_eq!(inside(&directory), [0; 0]);
    }
}
