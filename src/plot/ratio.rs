//! The range of a panel below: ratios about one, or differences about zero.

use super::axes::Axis;
use super::marks::{Dot, size};

/// Ranges of a ratio panel, narrowest first. Their ends lie beyond a tick so
/// that its number keeps clear of the panel above.
const RANGES: [(f64, f64); 5] = [
    (0.78, 1.22),
    (0.45, 1.55),
    (0.0, 2.2),
    (0.0, 3.3),
    (0.0, 5.5),
];
const WIDEST: (f64, f64) = RANGES[RANGES.len() - 1]; // the widest of them
/// The narrowest range is for closure at the per-cent level: everything must fit.
const NARROW: usize = 0;
/// Part of the points that must be inside a wider range; the others get arrows.
const INSIDE_SHARE: f64 = 0.85;
const TELLING_ERROR: f64 = 0.5; // points with a larger relative error do not widen the range

/// Chooses the axis of a ratio panel from what it will show.
pub(super) fn axis(points: &[Dot], bands: &[f64]) -> Axis {
    let finite = || points.iter().filter(|point| point.y.is_finite());
    let within = |(low, high): (f64, f64), value: f64| value >= low && value <= high;
    let narrow = RANGES[NARROW];
    let all_fit = finite().all(|point| {
        let error = point.errors.0;
        let error = if error.is_finite() { error } else { 0.0 };
        within(narrow, point.y - error) && within(narrow, point.y + error)
    });
    let bands = bands.iter().filter(|edge| edge.is_finite());
    if all_fit && bands.copied().all(|edge| within(narrow, edge)) && finite().next().is_some() {
        return Axis::linear(narrow.0, narrow.1);
    }
    let telling = finite().filter(|p| p.errors.0.is_nan() || p.errors.0 < TELLING_ERROR);
    let telling: Vec<f64> = telling.map(|point| point.y).collect();
    let needed = INSIDE_SHARE * telling.len() as f64;
    let fits = |range: &&(f64, f64)| {
        telling.iter().filter(|v| within(**range, **v)).count() as f64 >= needed
    };
    let (low, high) = RANGES[NARROW + 1..].iter().find(fits).unwrap_or(&WIDEST);
    Axis::linear(*low, *high)
}

/// Reach of a difference panel about zero; one far point does not set it.
pub(super) fn reach(differences: &[(f64, f64)]) -> f64 {
    let finite = differences.iter().filter(|(value, _)| value.is_finite());
    let mut sizes: Vec<f64> = finite.map(|(v, error)| v.abs() + size(*error)).collect();
    sizes.sort_by(f64::total_cmp);
    let at = (INSIDE_SHARE * sizes.len() as f64).ceil() as usize;
    let size = sizes.get(at.saturating_sub(1)).copied().unwrap_or(1.0);
    if size > 0.0 { 1.25 * size } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_widens_only_for_telling_points() {
        for (values, error, bands, expected) in [
            (&[1.0, 1.05][..], 0.02, &[0.95, 1.05][..], (0.78, 1.22)),
            (&[1.0, 1.05], 0.3, &[], (0.45, 1.55)),
            (&[0.2, 1.9, 1.0], 0.1, &[], (0.0, 2.2)),
            (&[1.0, 900.0], 800.0, &[], (0.45, 1.55)),
            (&[], 0.0, &[], (0.45, 1.55)),
        ] {
            let point = |value: &f64| Dot::at(0.0, *value, (error, error));
            let points: Vec<Dot> = values.iter().map(point).collect();
            let axis = axis(&points, bands);
            assert_eq!((axis.low, axis.high), expected, "{values:?}");
        }
    }

    #[test]
    fn the_reach_of_differences_is_never_zero() {
        assert_eq!(reach(&[]), 1.25);
        assert_eq!(reach(&[(0.0, 0.0)]), 1.0);
        assert_eq!(reach(&[(-2.0, f64::NAN)]), 2.5);
    }
}
