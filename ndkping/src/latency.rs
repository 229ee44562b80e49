//! What a run of samples says.

use crate::ioctl::Latency;

/// Puts the value at `at` where it belongs among its descendants below `end`: the largest goes up.
fn sift(samples: &mut [u64], mut at: usize, end: usize) {
    loop {
        let (left, right) = (at.saturating_mul(2).saturating_add(1), at.saturating_mul(2).saturating_add(2));
        let value = |place: usize| samples.get(place).copied().filter(|_| place < end);
        let Some(mut largest) = value(left).map(|_| left) else { return };
        if value(right) > value(left) {
            largest = right;
        }
        if value(largest) <= value(at) {
            return;
        }
        swap(samples, at, largest);
        at = largest;
    }
}

fn swap(samples: &mut [u64], a: usize, b: usize) {
    if let Some((first, second)) = samples.get(a).copied().zip(samples.get(b).copied()) {
        samples.get_mut(a).into_iter().for_each(|place| *place = second);
        samples.get_mut(b).into_iter().for_each(|place| *place = first);
    }
}

/// Sorts as a heap: the library's sort has a panic in it, for orders that are none.
fn sort(samples: &mut [u64]) {
    let count = samples.len();
    (0..count / 2).rev().for_each(|at| sift(samples, at, count));
    for end in (1..count).rev() {
        swap(samples, 0, end);
        sift(samples, 0, end);
    }
}

/// Sorts the samples and sums them up; percentiles are nearest ranks, so each is a sample that was taken.
pub fn summarise(samples: &mut [u64]) -> Latency {
    sort(samples);
    let count = samples.len() as u64;
    let rank = |percent: u64| {
        let place = (count * percent).div_ceil(100).saturating_sub(1);
        samples.get(place as usize).copied().unwrap_or(0)
    };
    let sum: u128 = samples.iter().map(|&sample| u128::from(sample)).sum();
    Latency {
        count,
        min: samples.first().copied().unwrap_or(0),
        average: sum.checked_div(u128::from(count)).unwrap_or(0) as u64,
        max: samples.last().copied().unwrap_or(0),
        p50: rank(50),
        p99: rank(99),
    }
}
