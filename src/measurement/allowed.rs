//! Which values of a parameter limits allow: those where they are at least one.

use super::result::{AllowedEnd, AllowedInterval, AllowedValues, LimitScanPoint};

/// The strength that is asked for.
const STRENGTH: f64 = 1.0;

/// The values that limits along a parameter allow. `has_observed`: whether there are observed
/// ones.
pub(super) fn allowed_values(points: &[LimitScanPoint], has_observed: bool) -> AllowedValues {
    let of = |limit: &dyn Fn(&LimitScanPoint) -> Option<f64>| {
        let points = points.iter().map(|p| (p.value, limit(p)));
        intervals(&points.collect::<Vec<_>>())
    };
    AllowedValues {
        expected: of(&|p| p.expected[2]),
        observed: has_observed.then(|| of(&|p| p.observed)),
    }
}

/// Whether a limit allows a signal of strength one; none without a limit.
pub(super) fn is_allowed(limit: Option<f64>) -> Option<bool> {
    known(limit).map(|limit| limit >= STRENGTH)
}

fn known(limit: Option<f64>) -> Option<f64> {
    limit.filter(|limit| limit.is_finite())
}

/// The intervals where a curve of limits, straight between its points, is at least one. The
/// values rise; a curve breaks where a limit is missing.
fn intervals(points: &[(f64, Option<f64>)]) -> Vec<AllowedInterval> {
    let mut found = Vec::new();
    let mut start = None;
    let mut before: Option<(f64, Option<f64>)> = None;
    for &(value, limit) in points {
        let limit = known(limit);
        let crossing = before.and_then(|(from, last)| {
            let (last, limit) = (last?, limit?);
            Some(from + (value - from) * (STRENGTH - last) / (limit - last))
        });
        let previous = before.map(|(from, _)| from);
        match (is_allowed(limit), start) {
            (Some(true), None) => {
                start = Some(match (previous, crossing) {
                    (None, _) => (value, AllowedEnd::ScanEnd),
                    (_, Some(at)) => (at, AllowedEnd::Crossing),
                    (_, None) => (value, AllowedEnd::Missing),
                });
            }
            (Some(false) | None, Some(from)) => {
                let to = match crossing {
                    Some(at) => (at, AllowedEnd::Crossing),
                    None => (previous.unwrap_or(value), AllowedEnd::Missing),
                };
                found.push(interval(from, to));
                start = None;
            }
            _ => {}
        }
        before = Some((value, limit));
    }
    if let (Some(from), Some((last, _))) = (start, before) {
        found.push(interval(from, (last, AllowedEnd::ScanEnd)));
    }
    found
}

fn interval(from: (f64, AllowedEnd), to: (f64, AllowedEnd)) -> AllowedInterval {
    AllowedInterval {
        low: from.0,
        high: to.0,
        ends: [from.1, to.1],
    }
}

#[cfg(test)]
mod tests {
    use super::AllowedEnd::{Crossing, Missing, ScanEnd};
    use super::*;

    /// Intervals of limits at 0, 1, 2 and so on; what is not finite is missing.
    fn of(limits: &[f64]) -> Vec<(f64, AllowedEnd, f64, AllowedEnd)> {
        let points = limits.iter().enumerate();
        let points = points.map(|(k, limit)| (k as f64, known(Some(*limit))));
        let found = intervals(&points.collect::<Vec<_>>()).into_iter();
        let ends = found.map(|i| (i.low, i.ends[0], i.high, i.ends[1]));
        ends.collect()
    }

    #[test]
    fn limits_that_cross_one_end_an_interval_there() {
        // up between 0 and 1, down between 2 and 3
        let both = of(&[0.5, 1.5, 3.0, 0.5]);
        assert_eq!(both, [(0.5, Crossing, 2.8, Crossing)]);
        assert_eq!(of(&[0.5, 1.5, 3.0]), [(0.5, Crossing, 2.0, ScanEnd)]);
        assert_eq!(of(&[1.5, 0.5, 0.25]), [(0.0, ScanEnd, 0.5, Crossing)]);
        // a limit of one is allowed, and no second crossing
        assert_eq!(of(&[0.5, 1.0, 2.0]), [(1.0, Crossing, 2.0, ScanEnd)]);
        assert_eq!(of(&[2.0, 1.0, 0.5]), [(0.0, ScanEnd, 1.0, Crossing)]);
        assert_eq!(of(&[0.5, 1.0, 0.5]), [(1.0, Crossing, 1.0, Crossing)]);
    }

    #[test]
    fn limits_on_one_side_allow_everything_or_nothing() {
        assert_eq!(of(&[1.0, 2.0, 9.0]), [(0.0, ScanEnd, 2.0, ScanEnd)]);
        assert!(of(&[0.9, 0.2, 0.99]).is_empty());
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn intervals_may_be_apart() {
        let found = of(&[3.0, 0.5, 0.5, 1.5, 0.0, 1.0]);
        let expected = [
            (0.0, ScanEnd, 0.8, Crossing),
            (2.5, Crossing, 3.0 + 1.0 / 3.0, Crossing),
            (5.0, Crossing, 5.0, ScanEnd),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn intervals_end_where_limits_are_missing() {
        let none = f64::NAN;
        let found = of(&[2.0, 2.0, none, 2.0, 0.5]);
        let crossing = 3.0 + 2.0 / 3.0;
        let apart = [
            (0.0, ScanEnd, 1.0, Missing),
            (3.0, Missing, crossing, Crossing),
        ];
        assert_eq!(found, apart);
        assert_eq!(of(&[none, 2.0, none]), [(1.0, Missing, 1.0, Missing)]);
        assert!(of(&[none, 0.5, none]).is_empty());
        assert_eq!(of(&[f64::INFINITY, 2.0]), [(1.0, Missing, 1.0, ScanEnd)]);
        assert!(of(&[none, none]).is_empty());
    }

    #[test]
    fn observed_limits_allow_values_where_there_are_some() {
        let point = |value: f64, observed: f64, median: f64| LimitScanPoint {
            value,
            observed: Some(observed),
            expected: [None, None, Some(median), None, None],
            ..LimitScanPoint::default()
        };
        let points = [point(0.0, 0.5, 2.0), point(1.0, 1.5, 0.0)];
        let found = allowed_values(&points, true);
        assert_eq!(found.expected[0].high, 0.5);
        assert_eq!(found.observed.map(|all| all[0].low), Some(0.5));
        assert_eq!(allowed_values(&points, false).observed, None);
        assert_eq!(
            [Some(1.0), Some(0.9), None].map(is_allowed),
            [Some(true), Some(false), None]
        );
    }
}
