//! Bin edges in one dimension.

use crate::NumericsError;

/// So many values from one to another, evenly spaced, both ends among them to the bit.
pub fn evenly([first, last]: [f64; 2], points: usize) -> impl Iterator<Item = f64> {
    let steps = points.saturating_sub(1) as f64;
    (0..points).map(move |k| match k + 1 == points {
        true => last,
        false => first + (last - first) * k as f64 / steps,
    })
}

/// Strictly increasing, finite bin edges. Values below the first and above the
/// last edge count in the end bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges(Vec<f64>);

impl Edges {
    /// Checks edges. Fails if they are fewer than two, not finite or not increasing.
    pub fn new(edges: Vec<f64>) -> Result<Self, NumericsError> {
        if edges.len() < 2 {
            return Err(NumericsError::TooFewEdges(edges.len()));
        }
        for (index, value) in edges.iter().copied().enumerate() {
            if !value.is_finite() || (index > 0 && value <= edges[index - 1]) {
                return NumericsError::other(format!(
                    "edge {index} ({value}) is not a finite number above the edge before it"
                ));
            }
        }
        Ok(Self(edges))
    }

    /// `bins` bins of equal width. Fails if the range is empty or not finite.
    pub fn uniform(bins: usize, low: f64, high: f64) -> Result<Self, NumericsError> {
        let width = (high - low) / bins.max(1) as f64;
        let mut edges: Vec<f64> = (0..bins).map(|i| low + width * i as f64).collect();
        edges.push(high);
        Self::new(edges)
    }

    /// At most `bins` bins of equal content between the extreme finite values; a
    /// column of few distinct values gets one bin a value. Fails if fewer than two
    /// distinct finite values exist.
    pub fn quantiles(
        values: impl Iterator<Item = f64>,
        bins: usize,
    ) -> Result<Self, NumericsError> {
        let mut sorted: Vec<f64> = values.filter(|v| v.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        // more are of no interest
        let mut distinct: Vec<f64> = Vec::new();
        for &value in &sorted {
            if distinct.last().is_none_or(|last| *last != value) {
                distinct.push(value);
            }
            if distinct.len() > bins.max(1) {
                break;
            }
        }
        if distinct.len() < 2 {
            return Err(NumericsError::TooFewEdges(distinct.len()));
        }
        if distinct.len() <= bins {
            let mut edges = vec![distinct[0] - 0.5 * (distinct[1] - distinct[0])];
            edges.extend(distinct.windows(2).map(|w| 0.5 * (w[0] + w[1])));
            let last = distinct.len() - 1;
            edges.push(distinct[last] + 0.5 * (distinct[last] - distinct[last - 1]));
            return Self::new(edges);
        }
        let n = sorted.len();
        let mut edges: Vec<f64> = (0..=bins).map(|k| sorted[(k * (n - 1)) / bins]).collect();
        edges.dedup();
        Self::new(edges)
    }

    /// The edges, one more than bins.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.0.len() - 1
    }

    /// Bin of a value; none for NaN.
    pub fn find(&self, value: f64) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        let above = self.0.partition_point(|edge| *edge <= value);
        Some(above.saturating_sub(1).min(self.bins() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_between_ends_have_these_to_the_bit() {
        let values: Vec<f64> = evenly([0.1, 0.7], 4).collect();
        assert_eq!((values[0], values[3], values.len()), (0.1, 0.7, 4));
        assert!(values.windows(2).all(|w| (w[1] - w[0] - 0.2).abs() < 1e-15));
        assert_eq!(evenly([1.0, 2.0], 1).collect::<Vec<f64>>(), [2.0]);
        assert_eq!(evenly([1.0, 2.0], 0).count(), 0);
    }

    #[test]
    fn values_outside_count_in_the_end_bins() {
        let edges = Edges::new(vec![0.0, 1.0, 3.0]).unwrap();
        let values = [-5.0, 0.0, 0.99, 1.0, 3.0, f64::INFINITY, f64::NAN];
        let bins = [Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), None];
        assert_eq!(values.map(|value| edges.find(value)), bins);
    }

    #[test]
    fn bad_edges_are_refused() {
        assert_eq!(Edges::new(vec![1.0]), Err(NumericsError::TooFewEdges(1)));
        assert!(Edges::new(vec![0.0, 0.0]).is_err());
        assert!(Edges::new(vec![0.0, f64::NAN]).is_err());
        assert!(Edges::quantiles([3.0; 10].into_iter(), 4).is_err());
    }

    #[test]
    fn quantile_bins_hold_equal_content_and_integers_their_own() {
        let edges = Edges::quantiles((0..1000).map(f64::from), 4).unwrap();
        assert_eq!(edges.bins(), 4);
        let mut counts = [0; 4];
        for i in 0..1000 {
            counts[edges.find(f64::from(i)).unwrap()] += 1;
        }
        let equal = counts.iter().all(|c| (*c - 250_i32).abs() <= 2);
        assert!(equal, "{counts:?}");
        let integers = Edges::quantiles([4.0, 5.0, 4.0, 6.0, 5.0].into_iter(), 10).unwrap();
        assert_eq!(integers.values(), [3.5, 4.5, 5.5, 6.5]);
    }
}
