//! The values of mu that an observation does not exclude.

use super::quantile::ToyQuantile;
use crate::error::{Error, ensure};
use serde::{Deserialize, Serialize};

/// Steps in which a change of sign is looked for between neighbouring nodes.
const STEPS: usize = 16;
/// Halvings of a step around a crossing: 2^-48 of it remain.
const HALVINGS: usize = 48;

/// Why an interval ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// The observed curve crosses the critical value.
    Crossing,
    /// The grid ends inside the interval: a wider grid may move it, unless mu
    /// ends there too.
    EndOfGrid,
}

/// One end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// Where.
    pub mu: f64,
    /// Standard error from the finite number of toys: that of the critical value
    /// over the slope of `t_obs - c`. Zero at the end of the grid.
    pub error: f64,
    /// Why it ends there.
    pub kind: EdgeKind,
}

/// A stretch of accepted values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: Edge,
    /// Upper end.
    pub high: Edge,
}

/// A union of intervals, in increasing order; none if everything is excluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceSet {
    /// Its confidence level.
    pub level: f64,
    /// The intervals.
    pub intervals: Vec<Interval>,
}

/// `t_obs(mu) - c(mu)` between the grid points of both.
struct Excess<'a> {
    critical: &'a [(f64, ToyQuantile)],
    curve: &'a [(f64, f64)],
}

pub(super) fn find(
    level: f64,
    critical: &[(f64, ToyQuantile)],
    curve: &[(f64, f64)],
) -> Result<ConfidenceSet, Error> {
    check_grid("observed curve", curve.iter().map(|(mu, _)| *mu))?;
    for (mu, t) in curve {
        ensure(t.is_finite(), || {
            format!("the observed curve is {t} at mu = {mu}; leave points of failed fits out")
        })?;
    }
    let excess = Excess { critical, curve };
    let nodes = excess.nodes()?;
    let intervals = excess.intervals(&nodes);
    Ok(ConfidenceSet { level, intervals })
}

impl Excess<'_> {
    /// Grid points of belt and curve in their common range.
    fn nodes(&self) -> Result<Vec<f64>, Error> {
        let belt = (self.critical[0].0, self.critical[self.critical.len() - 1].0);
        let curve = (self.curve[0].0, self.curve[self.curve.len() - 1].0);
        let (low, high) = (belt.0.max(curve.0), belt.1.min(curve.1));
        ensure(low < high, || {
            format!(
                "the belt covers mu = {} to {}, the observed curve {} to {}; they do not overlap",
                belt.0, belt.1, curve.0, curve.1
            )
        })?;
        let both = self.critical.iter().map(|(mu, _)| *mu);
        let both = both.chain(self.curve.iter().map(|(mu, _)| *mu));
        let mut nodes: Vec<f64> = both.filter(|mu| (low..=high).contains(mu)).collect();
        nodes.sort_by(f64::total_cmp);
        nodes.dedup();
        Ok(nodes)
    }

    fn intervals(&self, nodes: &[f64]) -> Vec<Interval> {
        let end = |mu: f64| Edge {
            mu,
            error: 0.0,
            kind: EdgeKind::EndOfGrid,
        };
        let mut intervals = Vec::new();
        let mut open = (self.at(nodes[0]) <= 0.0).then(|| end(nodes[0]));
        for step in nodes.windows(2).flat_map(split) {
            let accepted = self.at(step.1) <= 0.0;
            match open {
                None if accepted => open = Some(self.crossing(step)),
                Some(low) if !accepted => {
                    let high = self.crossing(step);
                    intervals.push(Interval { low, high });
                    open = None;
                }
                _ => {}
            }
        }
        if let Some(low) = open {
            let high = end(nodes[nodes.len() - 1]);
            intervals.push(Interval { low, high });
        }
        intervals
    }

    /// The crossing within a step over which the sign changes.
    fn crossing(&self, step: (f64, f64)) -> Edge {
        let (mut low, mut high) = step;
        let rises = self.at(low) <= 0.0;
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if (self.at(middle) <= 0.0) == rises {
                low = middle;
            } else {
                high = middle;
            }
        }
        let mu = 0.5 * (low + high);
        let slope = (self.at(step.1) - self.at(step.0)) / (step.1 - step.0);
        Edge {
            mu,
            error: self.critical_at(mu).1 / slope.abs(),
            kind: EdgeKind::Crossing,
        }
    }

    fn at(&self, mu: f64) -> f64 {
        cubic(self.curve, mu) - self.critical_at(mu).0
    }

    /// Critical value and its error, whose two ends are independent.
    fn critical_at(&self, mu: f64) -> (f64, f64) {
        let k = segment(self.critical, mu);
        let ((x0, c0), (x1, c1)) = (self.critical[k], self.critical[k + 1]);
        let u = (mu - x0) / (x1 - x0);
        let value = (1.0 - u) * c0.value + u * c1.value;
        let error = ((1.0 - u) * c0.error()).hypot(u * c1.error());
        (value, error)
    }
}

fn split(pair: &[f64]) -> impl Iterator<Item = (f64, f64)> + use<> {
    let (low, high) = (pair[0], pair[1]);
    let at = move |i: usize| {
        if i == STEPS {
            high
        } else {
            low + (high - low) * i as f64 / STEPS as f64
        }
    };
    (0..STEPS).map(move |i| (at(i), at(i + 1)))
}

/// Which segment of a grid holds `mu`; the end segments hold what is outside.
fn segment<T>(grid: &[(f64, T)], mu: f64) -> usize {
    let above = grid.partition_point(|(x, _)| *x <= mu);
    above.saturating_sub(1).min(grid.len() - 2)
}

/// Cubic Hermite interpolation; slopes from the parabola through a point and its
/// two neighbours (at the ends, through the three outermost points).
fn cubic(curve: &[(f64, f64)], mu: f64) -> f64 {
    let k = segment(curve, mu);
    let ((x0, y0), (x1, y1)) = (curve[k], curve[k + 1]);
    let h = x1 - x0;
    let u = (mu - x0) / h;
    let (s0, s1) = (slope(curve, k), slope(curve, k + 1));
    let hermite = [
        (1.0 + 2.0 * u) * (1.0 - u).powi(2),
        u * (1.0 - u).powi(2),
        u * u * (3.0 - 2.0 * u),
        u * u * (u - 1.0),
    ];
    hermite[0] * y0 + hermite[1] * h * s0 + hermite[2] * y1 + hermite[3] * h * s1
}

fn slope(curve: &[(f64, f64)], at: usize) -> f64 {
    let rise = |i: usize| (curve[i + 1].1 - curve[i].1) / (curve[i + 1].0 - curve[i].0);
    if curve.len() == 2 {
        return rise(0);
    }
    let middle = at.clamp(1, curve.len() - 2);
    let (left, right) = (rise(middle - 1), rise(middle));
    let bend = (right - left) / (curve[middle + 1].0 - curve[middle - 1].0);
    let tilt = left + bend * (curve[middle].0 - curve[middle - 1].0);
    tilt + 2.0 * bend * (curve[at].0 - curve[middle].0)
}

/// Checks that the values of a grid are finite, increasing and at least two.
pub(super) fn check_grid(what: &str, grid: impl Iterator<Item = f64>) -> Result<(), Error> {
    let grid: Vec<f64> = grid.collect();
    let falls = |pair: &&[f64]| pair[0] >= pair[1];
    let problem = if grid.len() < 2 {
        format!("{} values", grid.len())
    } else if let Some(bad) = grid.iter().find(|mu| !mu.is_finite()) {
        format!("mu = {bad}")
    } else if let Some(pair) = grid.windows(2).find(falls) {
        format!("mu = {} is followed by {}", pair[0], pair[1])
    } else {
        return Ok(());
    };
    Err(Error::new(format!(
        "{what}: {problem}; at least two finite values in increasing order are needed"
    )))
}
