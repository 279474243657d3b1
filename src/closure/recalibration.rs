//! Recalibration of a learned ratio: a monotonic map of log r, from the observed
//! fraction of the target among events of like log r.

use super::calibration;

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
    #[must_use]
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
    #[must_use]
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
    #[must_use]
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
