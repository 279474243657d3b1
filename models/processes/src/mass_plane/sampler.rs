//! Points of the mass plane, drawn from expected counts.

use super::error::PlaneError;
use super::grid::PlaneGrid;
use sideband_numerics::random::Key;

/// Draws a bin by the inverse of the cumulative sum over all bins in one line,
/// then a point of it, uniformly.
#[derive(Clone, Debug)]
pub struct PlaneSampler {
    grid: PlaneGrid,
    /// Sum up to and with a bin.
    cumulative: Vec<f64>,
    /// The last bin that expects anything.
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
    /// From expected events, one a bin, none negative.
    ///
    /// # Errors
    /// [`PlaneError`] if lengths differ, a number is negative or not finite, or
    /// all are zero.
    pub fn new(grid: &PlaneGrid, expected: &[f64]) -> Result<Self, PlaneError> {
        if expected.len() != grid.bins() {
            return Err(PlaneError::Length {
                what: "expected counts",
                found: expected.len(),
                expected: grid.bins(),
            });
        }
        if let Some(bin) = expected.iter().position(|e| !(e.is_finite() && *e >= 0.0)) {
            return Err(PlaneError::Bin {
                bin,
                what: "the expected count",
                value: expected[bin],
                expected: "a finite number, 0 or above,",
            });
        }
        let mut total = 0.0;
        let cumulative = expected
            .iter()
            .map(|e| {
                total += e;
                total
            })
            .collect();
        match expected.iter().rposition(|e| *e > 0.0) {
            Some(last) if total.is_finite() => Ok(Self {
                grid: grid.clone(),
                cumulative,
                last,
            }),
            _ => Err(PlaneError::NothingToSample { total }),
        }
    }

    /// Sample number `index`: a pure function of key and index.
    #[must_use]
    pub fn sample(&self, key: Key, index: u64) -> PlaneSample {
        let key = key.with(index);
        let height = key.uniform(0) * self.cumulative[self.cumulative.len() - 1];
        // a bin of nothing adds no height and is never the first above one; the
        // product may round up to the total, which belongs to the last bin
        let bin = self
            .cumulative
            .partition_point(|sum| *sum <= height)
            .min(self.last);
        let area = self.grid.rectangle(bin);
        let within = |[low, high]: [f64; 2], u: f64| {
            // rounding must not carry a point into the next bin
            (low + u * (high - low)).min(high.next_down())
        };
        PlaneSample {
            bin,
            masses: [
                within(area.m1, key.uniform(1)),
                within(area.m2, key.uniform(2)),
            ],
        }
    }
}
