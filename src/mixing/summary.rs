//! What is known of the sets that were mixed.

use super::library::Refusal;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The sets, and how they came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetsSummary {
    /// Events whose hemispheres were replaced.
    pub queries: usize,
    /// Events of the library; none where some of them are hidden.
    pub library: Option<usize>,
    /// What weights are multiplied with so that a set is as large as the target.
    pub factor: f64,
    /// How often the heaviest event is expected in a set.
    pub largest: f64,
    /// How often an event is expected in all sets together, on average.
    pub expected: f64,
    /// Events that could not be mixed, by reason.
    pub refused: Vec<RefusedEvents>,
    /// Share of the weight that could not be mixed.
    pub unmixable: f64,
    /// Events with fewer pairs than were asked for.
    pub short: usize,
    /// Hemispheres of the library whose features are another event's to the bit; none where some
    /// are hidden.
    pub duplicates: Option<usize>,
    /// Pools that were looked in; empty where some of their hemispheres are hidden.
    pub pools: Vec<PoolSummary>,
    /// Distances of the pairs' hemispheres by the place of the pair: quantiles of 16, 50 and 84 %.
    pub distances: Vec<[f64; 3]>,
    /// How often events of the library are used; none where some are hidden.
    pub reuse: Option<Reuse>,
    /// The sets.
    pub sets: Vec<SetSummary>,
    /// Histograms of the mixed data by uncertainty.
    pub histograms: IndexMap<String, MixedHistogram>,
}

/// Events that could not be mixed for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefusedEvents {
    /// Why.
    pub reason: Refusal,
    /// How many.
    pub events: usize,
    /// Their weight.
    pub weight: f64,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolSummary {
    /// Selected jets.
    pub selected: usize,
    /// Tagged ones.
    pub tagged: usize,
    /// Others; none if hemispheres with any number of them are together.
    pub other: Option<usize>,
    /// Its hemispheres.
    pub hemispheres: usize,
    /// What differences of the four features are divided by.
    pub scales: [f64; 4],
}

/// How often events of the library are parents in all sets together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reuse {
    /// On average, of those that are used.
    pub mean: f64,
    /// The most.
    pub most: usize,
    /// Number of parents that would give as many independent events: (sum n)^2 / sum n^2.
    pub effective: f64,
}

impl Reuse {
    /// Of the parents of all hemispheres in the sets.
    pub(super) fn of(parents: impl Iterator<Item = u32>) -> Self {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        parents.for_each(|event| *counts.entry(event).or_default() += 1);
        let sum: f64 = counts.values().map(|n| *n as f64).sum();
        let squares: f64 = counts.values().map(|n| (*n as f64).powi(2)).sum();
        Self {
            mean: sum / counts.len().max(1) as f64,
            most: counts.values().copied().max().unwrap_or(0),
            effective: if squares > 0.0 {
                sum * sum / squares
            } else {
                0.0
            },
        }
    }
}

/// A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetSummary {
    /// Its events.
    pub events: usize,
    /// Those in the training region.
    pub in_training: usize,
}

/// An observable of the mixed data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MixedHistogram {
    /// Contents of every set, `[M][B]`.
    pub sets: Vec<Vec<f64>>,
    /// Events of all sets in the region that lie beyond the bins.
    pub outside: usize,
    /// Their mean, `[B]`.
    pub mean: Vec<f64>,
    /// Its variance if all events were independent.
    pub independent: Vec<f64>,
    /// Its variance with shared parents, not below the independent one; none if not asked for.
    pub parents: Option<Vec<f64>>,
}

impl MixedHistogram {
    /// Of the contents of every set.
    pub(super) fn new(sets: Vec<Vec<f64>>, outside: usize) -> Self {
        let count = sets.len() as f64;
        let bins = 0..sets.first().map_or(0, Vec::len);
        let sum = |b: usize| sets.iter().map(|set| set[b]).sum::<f64>();
        let sums: Vec<f64> = bins.map(sum).collect();
        Self {
            outside,
            mean: sums.iter().map(|sum| sum / count).collect(),
            independent: sums.iter().map(|sum| sum / (count * count)).collect(),
            parents: None,
            sets,
        }
    }

    /// Takes the variance of the mean from those without one group of parents each.
    pub(super) fn take_groups(&mut self, without: &[Vec<f64>]) {
        let groups = without.len() as f64;
        let whole = groups / (groups - 1.0);
        let variance = |(b, independent): (usize, &f64)| {
            let scaled = || without.iter().map(|mean| whole * mean[b]);
            let mean = scaled().sum::<f64>() / groups;
            let squares: f64 = scaled().map(|x| (x - mean).powi(2)).sum();
            (squares * (groups - 1.0) / groups).max(*independent)
        };
        let bins = self.independent.iter().enumerate();
        self.parents = Some(bins.map(variance).collect());
    }

    /// The variance that the stages take.
    pub(super) fn variances(&self) -> &[f64] {
        self.parents.as_ref().unwrap_or(&self.independent)
    }

    /// Error over that of independent events, of the sum of all bins as far as they are
    /// independent.
    #[must_use]
    pub fn inflation(&self) -> Option<f64> {
        let parents: f64 = self.parents.as_ref()?.iter().sum();
        let independent: f64 = self.independent.iter().sum();
        (independent > 0.0).then(|| (parents / independent).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_independent_events_give_their_counting_error() {
        // 40 events in 10 groups, of which each has 4
        let mut histogram = MixedHistogram::new(vec![vec![40.0], vec![40.0]], 0);
        assert_eq!((histogram.mean[0], histogram.independent[0]), (40.0, 20.0));
        histogram.take_groups(&vec![vec![36.0]; 10]);
        // equal groups: not below the independent one
        assert_eq!(histogram.parents, Some(vec![20.0]));
        // every group has a mean of 4 with a spread of 2: the variance of the sum is 10 * 4
        let counts = [2.0, 6.0, 2.0, 6.0, 2.0, 6.0, 2.0, 6.0, 2.0, 6.0];
        let without: Vec<Vec<f64>> = counts.iter().map(|n| vec![40.0 - n]).collect();
        histogram.take_groups(&without);
        let expected = 10.0 / 9.0 * 40.0;
        assert!((histogram.variances()[0] - expected).abs() < 1e-12);
        assert!((histogram.inflation().unwrap() - (expected / 20.0).sqrt()).abs() < 1e-12);
    }
}
