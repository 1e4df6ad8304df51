//! How often which amounts occur: a histogram, in whole numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts amounts by the bound they stay within.
#[derive(Debug)]
pub(super) struct Distribution {
    bounds: &'static [u64],
    /// One for each bound, and one for what is beyond.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

/// What a distribution is at some time; those with the same bounds add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Bounds, and how many amounts stay within each.
    pub within: Vec<(u64, u64)>,
    /// How many there are.
    pub count: u64,
    /// What they come to.
    pub sum: u64,
}

impl Distribution {
    pub(super) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, amount: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < amount);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(amount, Relaxed);
    }

    /// Adds the amounts of another with the same bounds.
    pub(super) fn absorb(&self, other: &Self) {
        for (to, from) in self.counts.iter().zip(&other.counts).chain([(&self.sum, &other.sum)]) {
            to.fetch_add(from.load(Relaxed), Relaxed);
        }
    }

    pub(super) fn buckets(&self) -> Buckets {
        let mut buckets = Buckets { sum: self.sum.load(Relaxed), ..Buckets::default() };
        let bounds = self.bounds.iter().map(Some).chain([None]);
        for (bound, count) in bounds.zip(&self.counts) {
            buckets.count += count.load(Relaxed);
            buckets.within.extend(bound.map(|bound| (*bound, buckets.count)));
        }
        buckets
    }
}

impl std::iter::Sum for Buckets {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.reduce(|mut all, more| {
            let both = all.within.iter_mut().zip(&more.within);
            both.for_each(|((_, count), (_, more))| *count += more);
            Self { count: all.count + more.count, sum: all.sum + more.sum, ..all }
        })
        .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counted_by_the_bound_they_stay_within() {
        let distribution = Distribution::new(&[10, 100]);
        for amount in [0, 10, 11, 100, 101] {
            distribution.add(amount);
        }
        let buckets = distribution.buckets();
        assert_eq!(buckets, Buckets { within: vec![(10, 2), (100, 4)], count: 5, sum: 222 });
        let both: Buckets = [buckets.clone(), buckets].into_iter().sum();
        assert_eq!(both, Buckets { within: vec![(10, 4), (100, 8)], count: 10, sum: 444 });
        let sum = Distribution::new(&[10, 100]);
        (0..2).for_each(|_| sum.absorb(&distribution));
        assert_eq!(sum.buckets(), both, "absorbed");
    }
}
