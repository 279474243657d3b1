//! Bins of the mass plane, their counts, and points drawn from expected counts.

use super::{NOT_NEGATIVE, check_length, wrong_bin};
use crate::{ProcessError, fail};
use sideband_numerics::Edges;
use sideband_numerics::random::Key;

/// A rectangle in the plane, [low, high] in GeV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rectangle {
    /// In m1.
    pub m1: [f64; 2],
    /// In m2.
    pub m2: [f64; 2],
}

/// Bins of equal width in m1 and m2; a bin holds its lower edges.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneGrid {
    axes: [Edges; 2],
}

impl PlaneGrid {
    /// `bins` bins between the ends of `m1` and of `m2`, in GeV. Fails if an axis has
    /// no bin or no width.
    pub fn new(m1: [f64; 2], m2: [f64; 2], bins: [usize; 2]) -> Result<Self, ProcessError> {
        let axis = |axis, [low, high]: [f64; 2], bins| {
            Edges::uniform(bins, low, high).map_err(|error| {
                ProcessError::new(format!(
                    "{axis} of the mass plane: {error}; check the centre, the width and the bins"
                ))
            })
        };
        Ok(Self {
            axes: [axis("m1", m1, bins[0])?, axis("m2", m2, bins[1])?],
        })
    }

    /// Edges in m1 and m2.
    pub fn axes(&self) -> &[Edges; 2] {
        &self.axes
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.axes[0].bins() * self.axes[1].bins()
    }

    /// Centres of the bins of both axes.
    pub fn centres(&self) -> [Vec<f64>; 2] {
        self.axes.each_ref().map(|axis| {
            let edges = axis.values().windows(2);
            edges.map(|e| 0.5 * (e[0] + e[1])).collect()
        })
    }

    /// Width of the bins and of the plane, one pair an axis.
    pub fn widths(&self) -> [[f64; 2]; 2] {
        self.axes.each_ref().map(|axis| {
            let edges = axis.values();
            let whole = edges[edges.len() - 1] - edges[0];
            [whole / axis.bins() as f64, whole]
        })
    }

    /// What a bin covers.
    pub fn rectangle(&self, bin: usize) -> Rectangle {
        let n2 = self.axes[1].bins();
        let [m1, m2] = [(0, bin / n2), (1, bin % n2)].map(|(k, i)| {
            let edges = self.axes[k].values();
            [edges[i], edges[i + 1]]
        });
        Rectangle { m1, m2 }
    }

    /// The bin of a point; none outside of the plane and for NaN.
    pub fn find(&self, m1: f64, m2: f64) -> Option<usize> {
        let inside = |axis: &Edges, m: f64| {
            let edges = axis.values();
            // unlike a histogram's, the end bins do not take what lies beyond
            (m >= edges[0] && m < edges[edges.len() - 1])
                .then(|| axis.find(m))
                .flatten()
        };
        let (i1, i2) = (inside(&self.axes[0], m1)?, inside(&self.axes[1], m2)?);
        Some(i1 * self.axes[1].bins() + i2)
    }

    /// Fills events (m1, m2, weight); weights may be negative. Fails for a number
    /// that is not finite.
    pub fn fill(
        &self,
        events: impl IntoIterator<Item = [f64; 3]>,
    ) -> Result<PlaneCounts, ProcessError> {
        let mut counts = PlaneCounts {
            counts: vec![0.0; self.bins()],
            variances: vec![0.0; self.bins()],
            inside: 0,
            outside: 0,
        };
        for (event, row) in events.into_iter().enumerate() {
            if let Some(k) = row.iter().position(|v| !v.is_finite()) {
                return fail(format!(
                    "event {event}: {} is {}; a finite number is expected",
                    ["m1", "m2", "the weight"][k],
                    row[k]
                ));
            }
            let [m1, m2, weight] = row;
            if let Some(bin) = self.find(m1, m2) {
                counts.counts[bin] += weight;
                counts.variances[bin] += weight * weight;
                counts.inside += 1;
            } else {
                counts.outside += 1;
            }
        }
        Ok(counts)
    }
}

/// Sums over the events of every bin.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneCounts {
    /// Sum of weights.
    pub counts: Vec<f64>,
    /// Sum of squared weights.
    pub variances: Vec<f64>,
    /// Events in the plane.
    pub inside: u64,
    /// Events beyond it.
    pub outside: u64,
}

/// Draws a bin by the inverse of the cumulative sum over all bins in one line,
/// then a point of it, uniformly.
#[derive(Clone, Debug)]
pub struct PlaneSampler {
    grid: PlaneGrid,
    /// Sum up to and with a bin.
    cumulative: Vec<f64>,
    last: usize,
}

/// One point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaneSample {
    /// Its bin.
    pub bin: usize,
    /// m1 and m2 in GeV.
    pub masses: [f64; 2],
}

impl PlaneSampler {
    /// From expected events, one a bin, none negative. Fails if lengths differ, a
    /// number is negative or not finite, or all are zero.
    pub fn new(grid: &PlaneGrid, expected: &[f64]) -> Result<Self, ProcessError> {
        check_length("expected counts", expected.len(), grid.bins())?;
        if let Some(bin) = expected.iter().position(|e| !(e.is_finite() && *e >= 0.0)) {
            let what = "the expected count";
            return Err(wrong_bin(bin, what, expected[bin], NOT_NEGATIVE));
        }
        let mut total = 0.0;
        let add = |e| {
            total += e;
            total
        };
        let cumulative = expected.iter().map(add).collect();
        match expected.iter().rposition(|e| *e > 0.0) {
            Some(last) if total.is_finite() => Ok(Self {
                grid: grid.clone(),
                cumulative,
                last,
            }),
            _ => fail(format!(
                "the expected counts add up to {total}: there is nothing to sample from"
            )),
        }
    }

    /// Sample number `index`: a pure function of key and index.
    pub fn sample(&self, key: Key, index: u64) -> PlaneSample {
        let key = key.with(index);
        let height = key.uniform(0) * self.cumulative[self.cumulative.len() - 1];
        // a bin of nothing adds no height and is never the first above one; the
        // product may round up to the total, which belongs to the last bin
        let above = self.cumulative.partition_point(|sum| *sum <= height);
        let bin = above.min(self.last);
        let area = self.grid.rectangle(bin);
        let within = |[low, high]: [f64; 2], u: f64| {
            // rounding must not carry a point into the next bin
            (low + u * (high - low)).min(high.next_down())
        };
        let masses = [(area.m1, 1), (area.m2, 2)];
        PlaneSample {
            bin,
            masses: masses.map(|(ends, counter)| within(ends, key.uniform(counter))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_their_lower_edges_and_nothing_from_beyond() {
        let grid = PlaneGrid::new([0.0, 4.0], [10.0, 13.0], [4, 3]).unwrap();
        let inside = [(0.0, 10.0), (0.99, 10.99), (1.0, 12.0), (3.99, 12.99)];
        let found = inside.map(|(m1, m2)| grid.find(m1, m2));
        assert_eq!(found, [Some(0), Some(0), Some(5), Some(11)]);
        let beyond = [(4.0, 11.0), (1.0, 9.99), (f64::NAN, 11.0)];
        assert_eq!(beyond.map(|(m1, m2)| grid.find(m1, m2)), [None; 3]);
        for bin in 0..grid.bins() {
            let r = grid.rectangle(bin);
            assert_eq!(grid.find(r.m1[0], r.m2[0]), Some(bin));
        }
    }

    #[test]
    fn weights_add_up_with_their_squares() {
        let grid = PlaneGrid::new([0.0, 2.0], [0.0, 1.0], [2, 1]).unwrap();
        let twice = [[0.5, 0.5, 2.0], [0.6, 0.1, -0.5]];
        let filled = grid.fill([twice[0], twice[1], [1.5, 0.5, 1.0], [2.5, 0.5, 1.0]]);
        let filled = filled.unwrap();
        assert_eq!(filled.counts, [1.5, 1.0]);
        assert_eq!(filled.variances, [4.25, 1.0]);
        assert_eq!((filled.inside, filled.outside), (3, 1));
        let error = grid.fill([[0.5, 0.5, 1.0], [0.5, f64::INFINITY, 1.0]]);
        let message = "event 1: m2 is inf; a finite number is expected";
        assert_eq!(error.unwrap_err().to_string(), message);
        assert!(PlaneGrid::new([0.0, 0.0], [0.0, 1.0], [2, 1]).is_err());
        assert!(PlaneGrid::new([0.0, 1.0], [0.0, 1.0], [2, 0]).is_err());
    }
}
