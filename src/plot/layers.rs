//! Histograms with bands in one panel: what a comparison, a figure of methods and a plain
//! distribution share.

use super::axes::Scale;
use super::canvas::{Fill, Stroke};
use super::chart::Clear;
use super::legend::{Key, Peak};
use super::marks::{Dot, Mark, Marker, size};
use super::style::{GREY, INK};

/// Contents below this part of the largest do not stretch a logarithmic axis.
const LOG_REACH: f64 = 1e-7;
const LOG_FOOT: f64 = 0.4; // a logarithmic axis starts at this part of the smallest content
pub(super) const DATA: Marker<'static> = Marker::dot(INK, 3.4); // the look of observed points

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

    /// Its symbol in a legend.
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
