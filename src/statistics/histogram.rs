//! Histograms, of one set of weights and of an ensemble of them, and what weights are
//! worth.

use serde::{Deserialize, Serialize};

/// Sums of weights and of squared weights a bin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Sum of weights.
    pub values: Vec<f64>,
    /// Sum of squared weights: the variance of a sum of weighted counts.
    pub variances: Vec<f64>,
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new(bins: usize) -> Self {
        Self {
            values: vec![0.0; bins],
            variances: vec![0.0; bins],
        }
    }

    /// Adds one event; negative weights are added as they are.
    pub fn fill(&mut self, bin: usize, weight: f64) {
        self.values[bin] += weight;
        self.variances[bin] += weight * weight;
    }

    /// The histogram of weights times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            values: self.values.iter().map(|v| v * factor).collect(),
            variances: self.variances.iter().map(|v| v * factor * factor).collect(),
        }
    }

    /// Sum over all bins.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.values.iter().sum()
    }

    /// Square roots of the variances.
    #[must_use]
    pub fn errors(&self) -> Vec<f64> {
        self.variances.iter().map(|v| v.sqrt()).collect()
    }
}

/// The bin contents of every member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnsembleHistogram {
    bins: usize,
    /// `[E, bins]`
    contents: Vec<f64>,
}

impl EnsembleHistogram {
    /// Empty contents of `members` members.
    pub(crate) fn new(members: usize, bins: usize) -> Self {
        Self {
            bins,
            contents: vec![0.0; members * bins],
        }
    }

    /// Adds an event's weight in a member.
    pub(crate) fn fill(&mut self, member: usize, bin: usize, weight: f64) {
        self.contents[member * self.bins + bin] += weight;
    }

    /// Number of members.
    pub(crate) fn members(&self) -> usize {
        self.contents.len().checked_div(self.bins).unwrap_or(0)
    }

    /// Contents of one member.
    pub(crate) fn member(&self, member: usize) -> &[f64] {
        &self.contents[member * self.bins..(member + 1) * self.bins]
    }

    /// Each member times its own factor.
    pub(crate) fn scaled(&self, factors: &[f64]) -> Self {
        let contents = self
            .contents
            .chunks(self.bins.max(1))
            .zip(factors)
            .flat_map(|(row, factor)| row.iter().map(move |v| v * factor))
            .collect();
        Self {
            bins: self.bins,
            contents,
        }
    }

    /// Mean over members a bin: the nominal prediction.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let members = self.members() as f64;
        (0..self.bins)
            .map(|bin| self.column(bin).sum::<f64>() / members)
            .collect()
    }

    /// Covariance over members between bins (with E - 1; 0 for one member).
    pub(crate) fn covariance(&self) -> Vec<Vec<f64>> {
        let members = self.members();
        let mean = self.mean();
        let mut covariance = vec![vec![0.0; self.bins]; self.bins];
        if members < 2 {
            return covariance;
        }
        for row in self.contents.chunks(self.bins) {
            for (i, line) in covariance.iter_mut().enumerate() {
                for (j, entry) in line.iter_mut().enumerate() {
                    *entry += (row[i] - mean[i]) * (row[j] - mean[j]);
                }
            }
        }
        let norm = (members - 1) as f64;
        for entry in covariance.iter_mut().flatten() {
            *entry /= norm;
        }
        covariance
    }

    fn column(&self, bin: usize) -> impl Iterator<Item = f64> {
        self.contents.iter().skip(bin).step_by(self.bins).copied()
    }
}

/// Summary of event weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightSummary {
    /// Number of events.
    pub events: usize,
    /// Sum of weights.
    pub sum: f64,
    /// Square root of the sum of squared weights.
    pub error: f64,
    /// Effective sample size (sum w)^2 / sum w^2.
    pub effective: f64,
    /// Largest weight.
    pub largest: f64,
    /// Its share of the sum.
    pub largest_share: f64,
    /// Number of negative weights.
    pub negative: usize,
}

impl WeightSummary {
    /// Summary of weights.
    #[must_use]
    pub fn of(weights: impl Iterator<Item = f64>) -> Self {
        let mut s = Self::default();
        let mut square = 0.0;
        for w in weights {
            s.events += 1;
            s.sum += w;
            square += w * w;
            if s.events == 1 || w > s.largest {
                s.largest = w;
            }
            s.negative += usize::from(w < 0.0);
        }
        s.error = square.sqrt();
        if square > 0.0 {
            s.effective = s.sum * s.sum / square;
        }
        if s.sum != 0.0 {
            s.largest_share = s.largest / s.sum;
        }
        s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_covariance_over_members() {
        let mut h = EnsembleHistogram::new(3, 2);
        for (member, contents) in [[1.0, 4.0], [2.0, 2.0], [3.0, 0.0]].iter().enumerate() {
            for (bin, value) in contents.iter().enumerate() {
                h.fill(member, bin, *value);
            }
        }
        assert_eq!(h.mean(), [2.0, 2.0]);
        assert_eq!(h.covariance(), [[1.0, -2.0], [-2.0, 4.0]]);
        // members brought to one yield lose the common part
        let factors: Vec<f64> = (0..3)
            .map(|m| 4.0 / h.member(m).iter().sum::<f64>())
            .collect();
        assert_eq!(h.scaled(&factors).mean().iter().sum::<f64>(), 4.0);
    }

    #[test]
    fn one_member_has_no_spread() {
        let mut h = EnsembleHistogram::new(1, 1);
        h.fill(0, 0, 2.0);
        assert_eq!(h.covariance(), [[0.0]]);
    }

    #[test]
    fn effective_size_of_equal_and_of_one_large_weight() {
        let equal = WeightSummary::of([2.0; 50].into_iter());
        assert_eq!((equal.events, equal.effective), (50, 50.0));
        let spiked = WeightSummary::of([1.0, 1.0, 98.0].into_iter());
        assert!(spiked.effective < 1.1);
        assert_eq!(spiked.largest_share, 0.98);
        let signed = WeightSummary::of([3.0, -1.0].into_iter());
        assert_eq!((signed.sum, signed.negative), (2.0, 1));
        assert_eq!(WeightSummary::of(std::iter::empty()).effective, 0.0);
    }
}
