//! Calibration of a learned ratio: predicted against observed fraction, and
//! recalibration, a monotonic map of log r from the observed fraction of the target among
//! events of like log r.

use serde::{Deserialize, Serialize};

/// One bin of a calibration curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationPoint {
    /// Lower edge in the predicted fraction.
    pub low: f64,
    /// Upper edge.
    pub high: f64,
    /// Mean predicted fraction r/(1+r) of the bin's events, classes at equal
    /// weight. A perfect model lies on `observed = predicted`.
    pub predicted: f64,
    /// Observed fraction of the target, classes at equal weight.
    pub observed: f64,
    /// Statistical error of the observed fraction.
    pub error: f64,
}

/// Calibration curve of r(x) = p_t/p_s in at most `bins` bins of equal content.
///
/// `source`, `target`: (log r, weight). Each class is scaled to unit sum, so
/// that a perfect r predicts the fraction s = r/(1+r). The error propagates the
/// weighted counts of both classes. Bins in which a class's sum is not positive
/// are left out.
pub(crate) fn calibration(
    source: &[(f64, f64)],
    target: &[(f64, f64)],
    bins: usize,
) -> Vec<CalibrationPoint> {
    let of = |list: &[(f64, f64)], class: usize| -> Vec<(f64, [f64; 2])> {
        let both = |w: f64| if class == 0 { [w, 0.0] } else { [0.0, w] };
        list.iter().map(|(log_r, w)| (*log_r, both(*w))).collect()
    };
    let mut events = of(source, 0);
    events.extend(of(target, 1));
    shared_calibration(events, bins)
}

/// [`calibration`] of samples that have events in common: (log r, weights as source and
/// as target). The error knows that they fluctuate together.
pub(crate) fn shared_calibration(
    mut events: Vec<(f64, [f64; 2])>,
    bins: usize,
) -> Vec<CalibrationPoint> {
    let totals = [0, 1].map(|class| events.iter().map(|(_, w)| w[class]).sum::<f64>());
    if !(totals[0] > 0.0 && totals[1] > 0.0) {
        return Vec::new();
    }
    for (score, weights) in &mut events {
        *score = 1.0 / (1.0 + (-*score).exp());
        *weights = [0, 1].map(|class| weights[class] / totals[class]);
    }
    events.retain(|(s, _)| s.is_finite());
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let size = events.len().div_ceil(bins.max(1)).max(1);
    events.chunks(size).filter_map(point).collect()
}

fn point(chunk: &[(f64, [f64; 2])]) -> Option<CalibrationPoint> {
    let sum = [0, 1].map(|class| chunk.iter().map(|(_, w)| w[class]).sum::<f64>());
    if !(sum[0] > 0.0 && sum[1] > 0.0) {
        return None;
    }
    let all = sum[0] + sum[1];
    let predicted: f64 = chunk.iter().map(|(s, w)| s * (w[0] + w[1])).sum();
    let variance: f64 = chunk
        .iter()
        .map(|(_, w)| (sum[0] * w[1] - sum[1] * w[0]).powi(2))
        .sum();
    Some(CalibrationPoint {
        low: chunk[0].0,
        high: chunk[chunk.len() - 1].0,
        predicted: predicted / all,
        observed: sum[1] / all,
        error: variance.sqrt() / all.powi(2),
    })
}

/// A map of log r to a better log r.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recalibration {
    /// The identity.
    None,
    /// Linear between points (log r, recalibrated log r) of rising log r, constant
    /// corrections outside.
    Points(Vec<(f64, f64)>),
}

impl Recalibration {
    /// Isotonic regression of the observed fraction in log r (pool adjacent violators;
    /// Zadrozny and Elkan, KDD 2002). Each pooled level stands for the mean log r of its
    /// events, and levels are joined by straight lines: steps would give many events
    /// the same ratio. Levels in which one class is absent carry no finite ratio and
    /// are left to their neighbours.
    ///
    /// `source`, `target`: (log r, weight). Weights below zero count as they are in the
    /// sums of a level, which must stay positive.
    pub(crate) fn isotonic(source: &[(f64, f64)], target: &[(f64, f64)]) -> Self {
        let Some(events) = joined(source, target) else {
            return Self::None;
        };
        let mut levels: Vec<Level> = Vec::new();
        for event in events {
            levels.push(event);
            while let [.., before, last] = levels.as_slice() {
                if before.fraction() < last.fraction() && before.is_positive() {
                    break;
                }
                let pooled = before.pool(last);
                levels.truncate(levels.len() - 2);
                levels.push(pooled);
            }
        }
        let points = levels.iter().filter_map(Level::point).collect();
        Self::of(points)
    }

    /// Observed fraction in at most `bins` bins of log r of equal content.
    pub(crate) fn histogram(source: &[(f64, f64)], target: &[(f64, f64)], bins: usize) -> Self {
        let points = calibration(source, target, bins);
        let logit = |p: f64| (p / (1.0 - p)).ln();
        let points = points
            .iter()
            .map(|p| (logit(p.predicted), logit(p.observed)))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        Self::of(points)
    }

    fn of(mut points: Vec<(f64, f64)>) -> Self {
        points.dedup_by(|b, a| b.0 <= a.0);
        if points.is_empty() {
            Self::None
        } else {
            Self::Points(points)
        }
    }

    /// The recalibrated log r.
    pub(crate) fn apply(&self, log_r: f64) -> f64 {
        let Self::Points(points) = self else {
            return log_r;
        };
        let above = points.partition_point(|(x, _)| *x <= log_r);
        match (above.checked_sub(1).map(|i| points[i]), points.get(above)) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (log_r - x0) / (x1 - x0),
            (Some((x, y)), None) => log_r + (y - x),
            (None, Some((x, y))) => log_r + (y - x),
            (None, None) => log_r,
        }
    }
}

/// Events of like log r: sums of both classes, each of unit total, and of log r.
#[derive(Clone, Copy, Debug)]
struct Level {
    classes: [f64; 2],
    log_r: f64,
    count: f64,
}

impl Level {
    fn fraction(&self) -> f64 {
        self.classes[1] / (self.classes[0] + self.classes[1])
    }

    fn is_positive(&self) -> bool {
        self.classes[0] + self.classes[1] > 0.0
    }

    fn pool(&self, other: &Self) -> Self {
        Self {
            classes: [0, 1].map(|c| self.classes[c] + other.classes[c]),
            log_r: self.log_r + other.log_r,
            count: self.count + other.count,
        }
    }

    fn point(&self) -> Option<(f64, f64)> {
        let [source, target] = self.classes;
        (source > 0.0 && target > 0.0).then(|| (self.log_r / self.count, (target / source).ln()))
    }
}

/// All events in the order of log r.
fn joined(source: &[(f64, f64)], target: &[(f64, f64)]) -> Option<Vec<Level>> {
    let classes = [source, target];
    let totals = classes.map(|class| class.iter().map(|(_, w)| w).sum::<f64>());
    if !totals.iter().all(|total| *total > 0.0) {
        return None;
    }
    let mut events: Vec<Level> = classes
        .iter()
        .enumerate()
        .flat_map(|(class, list)| {
            list.iter().map(move |(log_r, w)| {
                let mut level = Level {
                    classes: [0.0; 2],
                    log_r: *log_r,
                    count: 1.0,
                };
                level.classes[class] = w / totals[class];
                level
            })
        })
        .filter(|level| level.log_r.is_finite())
        .collect();
    events.sort_by(|a, b| a.log_r.total_cmp(&b.log_r));
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_numerics::random::Key;

    /// p_s = 1, p_t = 2x on (0, 1): r = 2x exactly.
    #[test]
    fn a_perfect_ratio_lies_on_the_diagonal_and_a_wrong_one_does_not() {
        let mut stream = Key::from_seed(4).stream();
        let source: Vec<f64> = (0..20_000).map(|_| stream.uniform()).collect();
        let target: Vec<f64> = (0..30_000).map(|_| stream.uniform().sqrt()).collect();
        let curve = |power: f64| {
            let of = |list: &[f64], w: f64| -> Vec<(f64, f64)> {
                list.iter().map(|x| (power * (2.0 * x).ln(), w)).collect()
            };
            calibration(&of(&source, 0.5), &of(&target, 3.0), 20)
        };
        let pull2 = |points: &[CalibrationPoint]| {
            points
                .iter()
                .map(|p| ((p.observed - p.predicted) / p.error).powi(2))
                .sum::<f64>()
        };
        let good = curve(1.0);
        assert_eq!(good.len(), 20);
        // chi2 of 20: below 45 but for one seed in 1000
        assert!(pull2(&good) < 45.0, "{}", pull2(&good));
        assert!(pull2(&curve(0.8)) > 200.0);
    }

    /// p_s = 1, p_t = 2x on (0, 1), and a ratio that is off by a monotonic map.
    #[test]
    fn a_monotonic_error_is_undone() {
        let mut stream = Key::from_seed(4).stream();
        let wrong = |x: f64| 0.5 * (2.0 * x).ln() + 0.3;
        let of = |list: Vec<f64>, w| -> Vec<(f64, f64)> {
            list.into_iter().map(|x| (wrong(x), w)).collect()
        };
        let source = of((0..60_000).map(|_| stream.uniform()).collect(), 0.5);
        let target = of((0..80_000).map(|_| stream.uniform().sqrt()).collect(), 3.0);
        for map in [
            Recalibration::isotonic(&source, &target),
            Recalibration::histogram(&source, &target, 40),
        ] {
            // a level has some hundred events where few are
            for (x, allowed) in [
                (0.1, 0.2),
                (0.3, 0.08),
                (0.5, 0.06),
                (0.7, 0.06),
                (0.95, 0.06),
            ] {
                let (found, truth) = (map.apply(wrong(x)), (2.0 * x).ln());
                assert!((found - truth).abs() < allowed, "{x}: {found} {truth}");
            }
        }
    }

    #[test]
    fn the_map_rises_and_goes_on_outside() {
        let source: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i % 7), 1.0)).collect();
        let target: Vec<(f64, f64)> = (0..50).map(|i| (f64::from(i * i % 9), 1.0)).collect();
        let map = Recalibration::isotonic(&source, &target);
        let values: Vec<f64> = (-40..120).map(|i| map.apply(0.1 * f64::from(i))).collect();
        assert!(values.windows(2).all(|w| w[0] <= w[1] + 1e-12), "{map:?}");
        assert_eq!(Recalibration::isotonic(&[], &target).apply(0.3), 0.3);
        // one class beside the other, never together: nothing can be said
        let apart = Recalibration::isotonic(&[(0.0, 1.0)], &[(1.0, 1.0)]);
        assert_eq!(apart.apply(5.0), 5.0);
    }
}
