//! The lower panel: each prediction over the observation or, while that is
//! blinded, over the first prediction.

use super::super::axes::Axis;
use super::super::canvas::{Canvas, Stroke};
use super::super::panel::Panel;
use super::super::ratio::{self, RatioPoint};
use super::super::shapes::{Marker, band, error_bar, steps};
use super::super::style::{GREY, INK};
use super::super::symbols::Symbol;
use super::{BAND_OPACITY, Methods, OBSERVED_OPACITY, Shown, look};

/// Radius of the symbols in the ratio panel.
const SYMBOL_RADIUS: f64 = 2.6;
/// Least width of a bin for each method and one more, in pixels; below, the ratio
/// panel has bands instead of symbols.
const LEAST_SLOT: f64 = 5.5;

impl Methods {
    pub(super) fn ratio_panel(
        &self,
        canvas: &mut Canvas,
        x: Axis,
        pixels: (f64, f64),
        predictions: &[Shown],
        observed: Option<&Shown>,
    ) {
        let reference = observed.unwrap_or(&predictions[0]);
        let points: Vec<Vec<RatioPoint>> = predictions
            .iter()
            .enumerate()
            .map(|(method, shown)| self.ratios(&x, method, shown, reference))
            .collect();
        let around = |sign: f64| over(&reference.moved(sign), &reference.values);
        let (below, above) = (around(-1.0), around(1.0));
        let range = ratio::range(&points.concat(), &[&*below, &*above].concat());
        let panel = Panel {
            x,
            y: ratio::axis(range, pixels),
        };
        let (colour, opacity) = match observed {
            Some(_) => (INK, OBSERVED_OPACITY),
            None => (look(0).colour, BAND_OPACITY),
        };
        panel.clipped(canvas, |canvas| {
            band(
                canvas,
                &panel,
                &self.edges,
                (&below, &above),
                colour,
                opacity,
            );
            panel.level(canvas, 1.0, Stroke::solid(GREY, 1.2));
            for (method, points) in points.iter().enumerate().rev() {
                // The reference's own errors are the band.
                let has_errors = observed.is_some() || method > 0;
                if self.is_dense(&x) {
                    self.bands(canvas, &panel, points, look(method), has_errors);
                } else {
                    self.levels(canvas, &panel, points, look(method));
                    if has_errors {
                        bars(canvas, &panel, points, Symbol::of(method));
                    }
                }
            }
        });
        let label = if observed.is_some() {
            "Pred. / obs."
        } else {
            "Ratio"
        };
        panel.frame(canvas, Some(&self.x_label), label);
    }

    /// Whether bins are too narrow for a symbol of each method.
    fn is_dense(&self, x: &Axis) -> bool {
        let slots = (self.edges.len() - 1) * (self.predictions.len() + 1);
        x.length() < LEAST_SLOT * slots as f64
    }

    /// A stepped line and its band, where bins are narrow.
    fn bands(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        points: &[RatioPoint],
        look: Stroke<'_>,
        has_errors: bool,
    ) {
        let at = |sign: f64| -> Vec<f64> {
            points
                .iter()
                .map(|point| point.value + sign * point.error)
                .collect()
        };
        if has_errors {
            let ends = (&*at(-1.0), &*at(1.0));
            band(canvas, panel, &self.edges, ends, look.colour, BAND_OPACITY);
        }
        steps(canvas, panel, &self.edges, &at(0.0), look);
    }

    /// A level line in each bin; steps of four methods would hide each other.
    fn levels(&self, canvas: &mut Canvas, panel: &Panel, points: &[RatioPoint], look: Stroke<'_>) {
        let line = |(bin, point): (usize, &RatioPoint)| {
            let y = panel.y.at(point.value);
            [self.edges[bin], self.edges[bin + 1]].map(|edge| (panel.x.at(edge), y))
        };
        let lines: Vec<_> = points.iter().enumerate().map(line).collect();
        canvas.segments(&lines, look);
    }

    /// A prediction over the reference, each method at its own place in the bin.
    pub(super) fn ratios(
        &self,
        x: &Axis,
        method: usize,
        shown: &Shown,
        reference: &Shown,
    ) -> Vec<RatioPoint> {
        let place = (method + 1) as f64 / (self.predictions.len() + 1) as f64;
        let values = over(&shown.values, &reference.values);
        let errors = over(&shown.errors, &reference.values);
        let point = |(bin, (value, error)): (usize, (f64, f64))| RatioPoint {
            x: self.within(x, bin, place),
            value,
            error,
        };
        values
            .into_iter()
            .zip(errors)
            .enumerate()
            .map(point)
            .collect()
    }
}

/// Ratios, not a number unless the denominator is positive.
fn over(values: &[f64], reference: &[f64]) -> Vec<f64> {
    let ratio = |(value, reference): (&f64, &f64)| match reference.is_finite() && *reference > 0.0 {
        true => value / reference,
        false => f64::NAN,
    };
    values.iter().zip(reference).map(ratio).collect()
}

/// Errors of ratios, and arrows for ratios outside the panel.
fn bars(canvas: &mut Canvas, panel: &Panel, points: &[RatioPoint], symbol: Symbol) {
    let arrow = Marker {
        colour: symbol.colour,
        filled: true,
        radius: SYMBOL_RADIUS,
    };
    for point in points.iter().filter(|point| point.value.is_finite()) {
        let (low, high) = (point.value - point.error, point.value + point.error);
        if low <= panel.y.high && high >= panel.y.low {
            let stroke = Stroke::solid(symbol.colour, 1.4);
            error_bar(canvas, panel, point.x, (low, high), stroke);
        }
        if panel.y.shows(point.value) {
            symbol.draw(canvas, (point.x, panel.y.at(point.value)), SYMBOL_RADIUS);
        } else {
            arrow.arrow(canvas, panel, point.x, point.value > panel.y.high);
        }
    }
}
