//! The panel below: ratios about one, or differences about zero.

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::panel::Panel;
use super::shapes::{Marker, error_bar};

/// Ranges of a ratio panel, narrowest first. Their ends lie beyond a tick so
/// that its number keeps clear of the panel above.
const RANGES: [(f64, f64); 5] = [
    (0.78, 1.22),
    (0.45, 1.55),
    (0.0, 2.2),
    (0.0, 3.3),
    (0.0, 5.5),
];
/// The narrowest range is for closure at the per-cent level: everything must fit.
const NARROW: usize = 0;
/// Part of the points that must be inside a wider range; the others get arrows.
const INSIDE_SHARE: f64 = 0.85;
/// Points with a larger relative error do not widen the range.
const TELLING_ERROR: f64 = 0.5;

/// A point with a symmetric error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RatioPoint {
    /// Position along x, in pixels.
    pub(super) x: f64,
    /// Ratio; not finite where there is none.
    pub(super) value: f64,
    pub(super) error: f64,
}

/// Chooses the range of a ratio panel from what it will show.
pub(super) fn range(points: &[RatioPoint], bands: &[f64]) -> (f64, f64) {
    let finite = || points.iter().filter(|point| point.value.is_finite());
    let within = |(low, high): (f64, f64), value: f64| value >= low && value <= high;
    let narrow = RANGES[NARROW];
    let all_fit = finite().all(|point| {
        let error = if point.error.is_finite() {
            point.error
        } else {
            0.0
        };
        within(narrow, point.value - error) && within(narrow, point.value + error)
    }) && bands
        .iter()
        .all(|edge| !edge.is_finite() || within(narrow, *edge));
    if all_fit && finite().next().is_some() {
        return narrow;
    }
    let telling: Vec<f64> = finite()
        .filter(|point| point.error.is_nan() || point.error < TELLING_ERROR)
        .map(|point| point.value)
        .collect();
    let needed = INSIDE_SHARE * telling.len() as f64;
    let fits = |range: &&(f64, f64)| {
        telling.iter().filter(|v| within(**range, **v)).count() as f64 >= needed
    };
    *RANGES[NARROW + 1..]
        .iter()
        .find(fits)
        .unwrap_or(&RANGES[RANGES.len() - 1])
}

/// Range of a difference panel, symmetric about zero; one far point does not set it.
pub(super) fn difference_range(differences: &[(f64, f64)]) -> (f64, f64) {
    let mut sizes: Vec<f64> = differences
        .iter()
        .filter(|(value, _)| value.is_finite())
        .map(|(value, error)| value.abs() + if error.is_finite() { *error } else { 0.0 })
        .collect();
    sizes.sort_by(f64::total_cmp);
    let at = (INSIDE_SHARE * sizes.len() as f64).ceil() as usize;
    let size = sizes.get(at.saturating_sub(1)).copied().unwrap_or(1.0);
    let reach = if size > 0.0 { 1.25 * size } else { 1.0 };
    (-reach, reach)
}

/// The panel's axis over `pixels`, bottom first.
pub(super) fn axis((low, high): (f64, f64), pixels: (f64, f64)) -> Axis {
    Axis::new(Scale::Linear, low, high, pixels)
}

/// Draws points with errors, and arrows for those outside.
pub(super) fn points(
    canvas: &mut Canvas,
    panel: &Panel,
    points: &[RatioPoint],
    marker: Marker<'_>,
    bars: bool,
) {
    let stroke = Stroke::solid(marker.colour, 1.4);
    for point in points.iter().filter(|point| point.value.is_finite()) {
        let (low, high) = (point.value - point.error, point.value + point.error);
        if bars && low <= panel.y.high && high >= panel.y.low {
            error_bar(canvas, panel, point.x, (low, high), stroke);
        }
        if panel.y.shows(point.value) {
            marker.draw(canvas, (point.x, panel.y.at(point.value)));
        } else {
            marker.arrow(canvas, panel, point.x, point.value > panel.y.high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(values: &[f64], error: f64) -> Vec<RatioPoint> {
        values
            .iter()
            .map(|value| RatioPoint {
                x: 0.0,
                value: *value,
                error,
            })
            .collect()
    }

    #[test]
    fn the_range_widens_only_for_telling_points() {
        assert_eq!(range(&at(&[1.0, 1.05], 0.02), &[0.95, 1.05]), (0.78, 1.22));
        assert_eq!(range(&at(&[1.0, 1.05], 0.3), &[]), (0.45, 1.55));
        assert_eq!(range(&at(&[0.2, 1.9, 1.0], 0.1), &[]), (0.0, 2.2));
        assert_eq!(range(&at(&[1.0, 900.0], 800.0), &[]), (0.45, 1.55));
        assert_eq!(range(&[], &[]), (0.45, 1.55));
    }

    #[test]
    fn differences_are_symmetric_and_never_empty() {
        assert_eq!(difference_range(&[]), (-1.25, 1.25));
        assert_eq!(difference_range(&[(0.0, 0.0)]), (-1.0, 1.0));
        assert_eq!(difference_range(&[(-2.0, f64::NAN)]), (-2.5, 2.5));
    }
}
