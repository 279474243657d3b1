//! The lower panel of a comparison: observed over predicted, or, while the
//! observation is blinded, predictions over the reference.

use super::super::axes::Axis;
use super::super::canvas::{Anchor, Canvas, Stroke, Type};
use super::super::panel::Panel;
use super::super::ratio::{self, RatioPoint};
use super::super::shapes::{Marker, steps};
use super::super::style::{BOTTOM, GREY};
use super::{Comparison, DATA, Drawn, HEIGHT, Series};

impl Comparison {
    pub(super) fn ratio_panel(
        &self,
        canvas: &mut Canvas,
        x: Axis,
        top: f64,
        drawn: &[Drawn<'_>],
        observed: Option<&Series>,
    ) {
        let reference = self.reference().map(|index| &drawn[index]);
        let to_prediction = |prediction: &Drawn<'_>| -> Vec<RatioPoint> {
            let Some(observed) = observed else {
                return Vec::new();
            };
            (0..prediction.values.len())
                .map(|bin| RatioPoint {
                    x: self.centre(&x, bin),
                    value: quotient(observed.values[bin], prediction.values[bin]),
                    error: quotient(observed.errors[bin].abs(), prediction.values[bin]),
                })
                .collect()
        };
        let points: Vec<Vec<RatioPoint>> = drawn.iter().map(to_prediction).collect();
        let mut band_edges = Vec::new();
        if let Some(reference) = reference {
            for (value, half) in reference.values.iter().zip(&reference.total) {
                band_edges.push(quotient(value + half, *value));
                band_edges.push(quotient(value - half, *value));
            }
        }
        let mut shown = points.concat();
        if let (None, Some(reference)) = (observed, reference) {
            shown = drawn
                .iter()
                .flat_map(|p| lines_as_points(p, reference))
                .collect();
        }
        let range = ratio::range(&shown, &band_edges);
        let y = ratio::axis(range, (HEIGHT - BOTTOM, top));
        let panel = Panel { x, y };
        panel.clipped(canvas, |canvas| {
            if let Some(reference) = reference {
                let hatch = canvas.hatch(reference.stroke.colour);
                self.bands(canvas, &panel, reference, &hatch, Some(&reference.values));
            }
            panel.level(canvas, 1.0, Stroke::solid(GREY, 1.2));
            for (index, prediction) in drawn.iter().enumerate().rev() {
                if let (None, Some(reference)) = (observed, reference) {
                    let ratios = ratios(&prediction.values, &reference.values);
                    steps(canvas, &panel, &self.edges, &ratios, prediction.stroke);
                } else if self.reference() != Some(index) {
                    let colour = prediction.stroke.colour;
                    let marker = Marker {
                        colour,
                        filled: false,
                        radius: 3.2,
                    };
                    ratio::points(canvas, &panel, &points[index], marker, false);
                }
            }
            if let Some(index) = self.reference() {
                ratio::points(canvas, &panel, &points[index], DATA, true);
            }
        });
        let remark = match (observed, reference) {
            (None, _) => "blinded",
            (_, None) => "no prediction",
            _ => "",
        };
        let kind = Type {
            colour: GREY,
            halo: true,
            ..Type::new(17.0, Anchor::Middle)
        };
        let at = ((x.start + x.end) / 2.0, panel.y.start - 14.0);
        canvas.text(at, remark, kind);
        let y_label = if observed.is_some() {
            "Obs. / pred."
        } else {
            "Ratio"
        };
        panel.frame(canvas, Some(&self.x_label), y_label);
    }
}

/// A ratio, not a number unless the denominator is positive: no prediction, no ratio.
pub(super) fn quotient(value: f64, reference: f64) -> f64 {
    if reference > 0.0 && reference.is_finite() {
        value / reference
    } else {
        f64::NAN
    }
}

fn ratios(values: &[f64], reference: &[f64]) -> Vec<f64> {
    values
        .iter()
        .zip(reference)
        .map(|(value, reference)| quotient(*value, *reference))
        .collect()
}

/// Ratios of two predictions, for the choice of the range.
fn lines_as_points(prediction: &Drawn<'_>, reference: &Drawn<'_>) -> Vec<RatioPoint> {
    ratios(&prediction.values, &reference.values)
        .into_iter()
        .map(|value| RatioPoint {
            x: 0.0,
            value,
            error: 0.0,
        })
        .collect()
}
