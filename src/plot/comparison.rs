//! Observed events against predictions, with their ratio below.
//!
//! The main figure of a background estimate. The light band of a prediction is
//! its statistical error and its other errors (members, normalisation, plane) in quadrature,
//! `sqrt(stat^2 + spread^2)`; the hatched band is the spread alone.

mod lower;

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::shapes::{Marker, band, error_bar, steps};
use super::style::{ALTERNATIVES, BLUE, BOTTOM, GAP, GREY, INK, LEFT, ORANGE, RIGHT, TOP, WIDTH};
use super::{Figure, PlotError, check_edges, check_length};
use lower::quotient;

/// Height of the figure.
const HEIGHT: f64 = 600.0;
/// Part of the height that the ratio panel takes.
const RATIO_SHARE: f64 = 0.3;
/// Contents below this part of the largest do not stretch a logarithmic axis.
const LOG_REACH: f64 = 1e-7;
/// A logarithmic axis starts this much below the smallest content.
const LOG_FOOT: f64 = 0.4;
/// Opacity of the total band.
const BAND_OPACITY: f64 = 0.25;
/// Opacity of the hatching.
const HATCH_OPACITY: f64 = 0.75;

/// A comparison of observed and predicted histograms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// Line below the brand, for example "simulation, SR".
    pub title_left: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Logarithmic y axis.
    pub log_y: bool,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Observed events; `None` is a blinded figure.
    pub observed: Option<Series>,
    /// Predictions. The first one [`PredictionStyle::After`] is the ratio's reference,
    /// else the first.
    pub predictions: Vec<Prediction>,
    /// Small lines below the title, for example a χ².
    #[serde(default)]
    pub notes: Vec<String>,
    /// Show contents divided by the bin width.
    #[serde(default)]
    pub divide_by_width: bool,
}

/// Observed contents with errors, one of each a bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Name in the legend.
    pub label: String,
    /// Contents, `[n]`.
    pub values: Vec<f64>,
    /// Errors (one standard deviation), `[n]`.
    pub errors: Vec<f64>,
}

/// A predicted histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prediction {
    /// Name in the legend.
    pub label: String,
    /// Contents, `[n]`.
    pub values: Vec<f64>,
    /// Statistical errors (one standard deviation), `[n]`.
    pub stat_errors: Vec<f64>,
    /// Standard deviation over the ensemble's members, `[n]`.
    pub spread: Option<Vec<f64>>,
    /// What it is.
    pub style: PredictionStyle,
}

/// The role of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PredictionStyle {
    /// Before the correction: orange, dashed.
    Before,
    /// After the correction: blue, the reference of the ratio.
    After,
    /// Something else to compare with.
    Alternative,
}

/// A prediction ready to draw.
struct Drawn<'a> {
    label: &'a str,
    values: Vec<f64>,
    /// Half width of the total band.
    total: Vec<f64>,
    spread: Option<Vec<f64>>,
    stroke: Stroke<'static>,
}

impl Comparison {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise, a list has the wrong length, or
    /// there is neither an observation nor a prediction.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let drawn = self.drawn();
        let observed = self.observed.as_ref().map(|series| Series {
            label: series.label.clone(),
            values: self.scaled(&series.values),
            errors: self.scaled(&series.errors),
        });
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let bottom = HEIGHT - BOTTOM;
        let split = bottom - RATIO_SHARE * (bottom - TOP);
        let (first, last) = (self.edges[0], self.edges[self.edges.len() - 1]);
        let x = Axis::new(Scale::Linear, first, last, (LEFT, WIDTH - RIGHT));
        self.main_panel(&mut canvas, x, split, &drawn, observed.as_ref());
        self.ratio_panel(&mut canvas, x, split + GAP, &drawn, observed.as_ref());
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        check_edges(&format!("edges of {}", self.x_label), &self.edges)?;
        let bins = self.edges.len() - 1;
        if let Some(observed) = &self.observed {
            check_length("observed values", observed.values.len(), bins)?;
            check_length("observed errors", observed.errors.len(), bins)?;
        }
        for prediction in &self.predictions {
            let label = &prediction.label;
            check_length(
                &format!("values of \"{label}\""),
                prediction.values.len(),
                bins,
            )?;
            let errors = prediction.stat_errors.len();
            check_length(&format!("stat_errors of \"{label}\""), errors, bins)?;
            if let Some(spread) = &prediction.spread {
                check_length(&format!("spread of \"{label}\""), spread.len(), bins)?;
            }
        }
        if self.observed.is_none() && self.predictions.is_empty() {
            return Err(PlotError::Empty {
                what: format!("comparison in {}", self.x_label),
                expected: "prediction or observation".to_owned(),
            });
        }
        Ok(())
    }

    /// Contents as shown: divided by the bin width if asked for.
    fn scaled(&self, values: &[f64]) -> Vec<f64> {
        let widths = self.edges.windows(2).map(|pair| pair[1] - pair[0]);
        let shown = |(value, width): (&f64, f64)| match self.divide_by_width {
            true => value / width,
            false => *value,
        };
        values.iter().zip(widths).map(shown).collect()
    }

    fn drawn(&self) -> Vec<Drawn<'_>> {
        let mut alternatives = 0;
        let mut stroke = |style| match style {
            PredictionStyle::Before => Stroke::solid(ORANGE, 1.8).dashed("6 3"),
            PredictionStyle::After => Stroke::solid(BLUE, 2.0),
            PredictionStyle::Alternative => {
                alternatives += 1;
                let colour = ALTERNATIVES[(alternatives - 1) % ALTERNATIVES.len()];
                Stroke::solid(colour, 1.8).dashed("2 2.5")
            }
        };
        let size = |value: f64| if value.is_finite() { value.abs() } else { 0.0 };
        self.predictions
            .iter()
            .map(|prediction| {
                let spread = prediction.spread.as_ref().map(|spread| self.scaled(spread));
                let stat = self.scaled(&prediction.stat_errors);
                let total = |(bin, stat): (usize, &f64)| {
                    let spread = spread.as_ref().map_or(0.0, |spread| size(spread[bin]));
                    size(*stat).hypot(spread)
                };
                Drawn {
                    label: &prediction.label,
                    values: self.scaled(&prediction.values),
                    total: stat.iter().enumerate().map(total).collect(),
                    spread,
                    stroke: stroke(prediction.style),
                }
            })
            .collect()
    }

    /// Index of the prediction that ratios are relative to.
    fn reference(&self) -> Option<usize> {
        let after = |prediction: &Prediction| prediction.style == PredictionStyle::After;
        let first = (!self.predictions.is_empty()).then_some(0);
        self.predictions.iter().position(after).or(first)
    }

    fn centre(&self, x: &Axis, bin: usize) -> f64 {
        (x.at(self.edges[bin]) + x.at(self.edges[bin + 1])) / 2.0
    }

    fn main_panel(
        &self,
        canvas: &mut Canvas,
        x: Axis,
        bottom: f64,
        drawn: &[Drawn<'_>],
        observed: Option<&Series>,
    ) {
        let scale = Scale::from_log(self.log_y);
        let (low, peaks) = self.heights(&x, drawn, observed);
        let hatches: Vec<String> = drawn
            .iter()
            .map(|p| canvas.hatch(p.stroke.colour))
            .collect();
        let topping = self.topping(drawn, observed, &hatches);
        let placement = topping.place(&x, bottom - TOP, (scale, low), &peaks);
        let y = Axis::new(scale, low, placement.high, (bottom, TOP));
        let panel = Panel { x, y };
        panel.clipped(canvas, |canvas| {
            for (prediction, hatch) in drawn.iter().zip(&hatches) {
                self.bands(canvas, &panel, prediction, hatch, None);
            }
            panel.level(canvas, 0.0, Stroke::solid(GREY, 0.8));
            for prediction in drawn.iter().rev() {
                steps(
                    canvas,
                    &panel,
                    &self.edges,
                    &prediction.values,
                    prediction.stroke,
                );
            }
            if let Some(observed) = observed {
                self.observed_points(canvas, &panel, observed);
            }
        });
        panel.frame(canvas, None, &self.y_label);
        topping.draw(canvas, (x.start, TOP), &placement);
    }

    /// Lower end of the y axis, and what reaches how high where.
    fn heights(
        &self,
        x: &Axis,
        drawn: &[Drawn<'_>],
        observed: Option<&Series>,
    ) -> (f64, Vec<Peak>) {
        let data = observed.map(|series| (&series.values, &series.errors));
        let histograms = drawn.iter().map(|p| (&p.values, &p.total)).chain(data);
        let mut peaks = Vec::new();
        let (mut lowest, mut smallest, mut top) = (0.0f64, f64::INFINITY, 0.0f64);
        for (values, errors) in histograms {
            for (bin, (value, error)) in values.iter().zip(errors).enumerate() {
                if !value.is_finite() {
                    continue;
                }
                let error = if error.is_finite() { error.abs() } else { 0.0 };
                let (from, to) = (x.at(self.edges[bin]), x.at(self.edges[bin + 1]));
                peaks.push(Peak {
                    from,
                    to,
                    top: value + error,
                });
                top = top.max(value + error);
                if *value != 0.0 {
                    lowest = lowest.min(value - error);
                }
                if *value > 0.0 {
                    smallest = smallest.min(*value);
                }
            }
        }
        if self.log_y {
            let low = LOG_FOOT * smallest.max(LOG_REACH * top);
            return (
                if low.is_finite() && low > 0.0 {
                    low
                } else {
                    0.1
                },
                peaks,
            );
        }
        // Room below the lowest bar only if contents are negative.
        (if lowest < 0.0 { 1.1 * lowest } else { 0.0 }, peaks)
    }

    fn topping<'a>(
        &'a self,
        drawn: &[Drawn<'a>],
        observed: Option<&Series>,
        hatches: &[String],
    ) -> Topping<'a> {
        let mut entries = Vec::new();
        if let Some(observed) = observed {
            entries.push(Entry {
                label: observed.label.clone(),
                key: Key::Point(DATA),
            });
        }
        for prediction in drawn {
            let fill = prediction.stroke.colour.to_owned();
            let banded = prediction.total.iter().any(|half| *half > 0.0);
            let key = match banded {
                true => Key::LineOnArea(prediction.stroke, fill, BAND_OPACITY),
                false => Key::Line(prediction.stroke),
            };
            entries.push(Entry {
                label: prediction.label.to_owned(),
                key,
            });
        }
        if let Some(first) = drawn
            .iter()
            .position(|prediction| prediction.spread.is_some())
        {
            let fill = drawn[first].stroke.colour.to_owned();
            let key = Key::Area(fill, BAND_OPACITY);
            entries.push(Entry {
                label: "all errors".to_owned(),
                key,
            });
            let key = Key::Area(hatches[first].clone(), HATCH_OPACITY);
            entries.push(Entry {
                label: "all but statistical".to_owned(),
                key,
            });
        }
        Topping {
            branded: true,
            title: self.title_left.clone(),
            notes: self.notes.clone(),
            entries,
        }
    }

    /// Total and spread bands, about the contents or relative to a reference.
    fn bands(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        prediction: &Drawn<'_>,
        hatch: &str,
        reference: Option<&[f64]>,
    ) {
        let edge = |half: &[f64], sign: f64| -> Vec<f64> {
            let bins = prediction.values.iter().zip(half).enumerate();
            bins.map(|(bin, (value, half))| {
                let half = if half.is_finite() { half.abs() } else { 0.0 };
                reference.map_or(value + sign * half, |r| {
                    quotient(value + sign * half, r[bin])
                })
            })
            .collect()
        };
        if prediction.total.iter().any(|half| *half > 0.0) {
            let (low, high) = (edge(&prediction.total, -1.0), edge(&prediction.total, 1.0));
            let colour = prediction.stroke.colour;
            band(
                canvas,
                panel,
                &self.edges,
                (&low, &high),
                colour,
                BAND_OPACITY,
            );
        }
        if let Some(spread) = &prediction.spread {
            let (low, high) = (edge(spread, -1.0), edge(spread, 1.0));
            band(
                canvas,
                panel,
                &self.edges,
                (&low, &high),
                hatch,
                HATCH_OPACITY,
            );
        }
    }

    fn observed_points(&self, canvas: &mut Canvas, panel: &Panel, observed: &Series) {
        for (bin, (value, error)) in observed.values.iter().zip(&observed.errors).enumerate() {
            if !value.is_finite() || (self.log_y && *value <= 0.0) {
                continue;
            }
            let x = self.centre(&panel.x, bin);
            let stroke = Stroke::solid(DATA.colour, 1.4);
            error_bar(canvas, panel, x, (value - error, value + error), stroke);
            DATA.draw(canvas, (x, panel.y.at(*value)));
        }
    }
}

/// The look of observed points.
const DATA: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 3.4,
};
