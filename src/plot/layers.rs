//! Histograms with bands in one panel, and the range of the panel of ratios or differences
//! below it: what a comparison, a figure of methods and a plain distribution share.

use super::axes::{Axis, Scale};
use super::canvas::{Fill, Stroke};
use super::legend::{Clear, Key, Peak};
use super::marks::{Dot, Mark, Marker, size};
use super::style::{GREY, INK};

/// Contents below this part of the largest do not stretch a logarithmic axis.
const LOG_REACH: f64 = 1e-7;
const LOG_FOOT: f64 = 0.4; // a logarithmic axis starts at this part of the smallest content
pub(super) const DATA: Marker<'static> = Marker::dot(INK, 3.4); // the look of observed points
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

/// A histogram, the half widths of its band, and how it looks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer<'a> {
    pub(super) values: Vec<f64>,
    pub(super) errors: Vec<f64>,
    pub(super) stroke: Stroke<'a>,
    /// Of the band.
    pub(super) opacity: f64,
}

impl<'a> Layer<'a> {
    fn steps(&self, edges: &'a [f64]) -> Mark<'a> {
        Mark::Steps(edges, self.values.clone(), self.stroke)
    }

    /// The area below it, also where a logarithmic axis ends above zero.
    pub(super) fn area<'b>(&self, edges: &'b [f64], opacity: f64) -> Mark<'b>
    where
        'a: 'b,
    {
        let floor = vec![0.0; self.values.len()];
        Mark::StepBand(
            edges,
            [floor, self.values.clone()],
            self.stroke.area(opacity),
        )
    }

    /// A band of half widths, about the contents or relative to a reference.
    pub(super) fn band<'b>(
        &self,
        edges: &'b [f64],
        half: &[f64],
        fill: Fill<'b>,
        reference: Option<&[f64]>,
    ) -> Mark<'b> {
        Mark::StepBand(edges, self.ends(half, reference), fill)
    }

    /// Lower and upper end of a band, about the contents or relative to a reference.
    pub(super) fn ends(&self, half: &[f64], reference: Option<&[f64]>) -> [Vec<f64>; 2] {
        [-1.0, 1.0].map(|sign| {
            let pairs = self.values.iter().zip(half);
            let moved: Vec<f64> = pairs.map(|(v, half)| v + sign * size(*half)).collect();
            match reference {
                Some(reference) => over(&moved, reference),
                None => moved,
            }
        })
    }

    pub(super) fn fill(&self) -> Fill<'a> {
        self.stroke.area(self.opacity)
    }

    pub(super) fn has_band(&self) -> bool {
        self.errors.iter().any(|half| *half > 0.0)
    }

    pub(super) fn key(&self) -> Key<'a> {
        match self.has_band() {
            true => Key::LineOnArea(self.stroke, self.fill()),
            false => Key::Line(self.stroke),
        }
    }
}

/// The main panel: bands, the lines of their histograms, and observed contents and errors
/// as points, without those that a logarithmic axis lacks.
pub(super) fn main_panel<'a>(
    edges: &'a [f64],
    is_log: bool,
    bands: Vec<Mark<'a>>,
    drawn: &[Layer<'a>],
    observed: Option<(&[f64], &[f64])>,
) -> (Clear, Vec<Mark<'a>>) {
    let mut marks = bands;
    marks.push(Mark::level(0.0, Stroke::solid(GREY, 0.8)));
    marks.extend(drawn.iter().rev().map(|layer| layer.steps(edges)));
    marks.extend(observed.map(|(values, errors)| {
        let dots = Dot::in_bins(edges, 0.5, values, errors);
        let shown = dots.filter(|dot| dot.y.is_finite() && (!is_log || dot.y > 0.0));
        Mark::Errors(shown.collect(), DATA, 1.4)
    }));
    let histograms = drawn.iter().map(|p| (&*p.values, &*p.errors));
    let y = y_axis(
        edges,
        histograms.chain(observed),
        is_log.then_some(LOG_FOOT),
    );
    (y, marks)
}

/// The y axis that shows histograms, given as contents and errors, below the head. A
/// logarithmic one starts at the part `log` of the smallest content.
pub(super) fn y_axis<'a>(
    edges: &[f64],
    histograms: impl IntoIterator<Item = (&'a [f64], &'a [f64])>,
    log: Option<f64>,
) -> Clear {
    let mut peaks = Vec::new();
    let (mut lowest, mut smallest, mut top) = (0.0f64, f64::INFINITY, 0.0f64);
    for (values, errors) in histograms {
        let tops = values.iter().zip(errors).map(|(v, error)| v + size(*error));
        peaks.extend(Peak::of_bins(edges, tops));
        let bins = values.iter().zip(errors);
        for (value, error) in bins.filter(|(value, _)| value.is_finite()) {
            top = top.max(value + size(*error));
            if *value != 0.0 {
                lowest = lowest.min(value - size(*error));
            }
            if *value > 0.0 {
                smallest = smallest.min(*value);
            }
        }
    }
    let (scale, low) = match log.map(|foot| foot * smallest.max(LOG_REACH * top)) {
        Some(low) if low.is_finite() && low > 0.0 => (Scale::Log, low),
        Some(_) => (Scale::Log, 0.1),
        // Room below the lowest bar only if contents are negative.
        None => (Scale::Linear, 1.1 * lowest),
    };
    Clear::new(scale, low, peaks)
}

/// Ratios, not a number unless the denominator is positive: no prediction, no ratio.
pub(super) fn over(values: &[f64], reference: &[f64]) -> Vec<f64> {
    let ratio = |(value, reference): (&f64, &f64)| match reference.is_finite() && *reference > 0.0 {
        true => value / reference,
        false => f64::NAN,
    };
    values.iter().zip(reference).map(ratio).collect()
}

/// Chooses the axis of a ratio panel from what it will show.
pub(super) fn ratio_axis(points: &[Dot], bands: &[f64]) -> Axis {
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
            let axis = ratio_axis(&points, bands);
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
