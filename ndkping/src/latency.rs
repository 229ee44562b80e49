//! What a run of samples says.

use crate::ioctl::Latency;

/// Sorts the samples and sums them up; percentiles are nearest ranks, so each is a sample that was taken.
pub fn summarise(samples: &mut [u64]) -> Latency {
    samples.sort_unstable();
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
