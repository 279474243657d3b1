//! Observed events against several predictions of the same background, with
//! each prediction over the observation below.
//!
//! Each prediction is a stepped line with a dash of its own and a band of its
//! total error. In the lower panel the band about one is the error of the
//! observation; the predictions' errors are bars, shifted against each other, or
//! bands where bins are narrow.
//! While the observation is blinded, the lower panel is relative to the first
//! prediction. As in a [`Comparison`](super::Comparison), the caller puts under-
//! and overflow in the end bins.

mod lower;

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::comparison::Series;
use super::legend::{Entry, Key, Peak, Topping};
use super::panel::Panel;
use super::shapes::{Marker, band, error_bar, steps};
use super::style::{BOTTOM, GAP, GREY, INK, INSET, LEFT, LEGEND_SIZE, RIGHT, TOP, WIDTH};
use super::symbols::{METHOD_COLOURS, METHOD_DASHES};
use super::text;
use super::{Figure, PlotError, check_edges, check_length};

/// Height of the figure.
const HEIGHT: f64 = 620.0;
/// Part of the height that the ratio panel takes.
const RATIO_SHARE: f64 = 0.34;
/// Most predictions that stay apart.
const MOST: usize = 4;
/// Contents below this part of the largest do not stretch a logarithmic axis.
const LOG_REACH: f64 = 1e-7;
/// A logarithmic axis starts this much below the smallest content.
const LOG_FOOT: f64 = 0.4;
/// Opacity of the predictions' bands.
const BAND_OPACITY: f64 = 0.2;
/// Opacity of the observation's band.
const OBSERVED_OPACITY: f64 = 0.22;
/// Room for a label of the legend: half the panel less its symbol.
const LABEL_ROOM: f64 = (WIDTH - LEFT - RIGHT - 2.0 * INSET) / 2.0 - 39.0;

/// One distribution, several predictions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Methods {
    /// Line below the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Logarithmic y axis.
    #[serde(default)]
    pub log_y: bool,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Observed events; `None` is a blinded figure.
    #[serde(default)]
    pub observed: Option<Series>,
    /// One to four predictions; the first is the reference while blinded.
    pub predictions: Vec<MethodPrediction>,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Show contents divided by the bin width.
    #[serde(default)]
    pub divide_by_width: bool,
}

/// What one method predicts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MethodPrediction {
    /// Name in the legend.
    pub label: String,
    /// Contents, `[n]`.
    pub values: Vec<f64>,
    /// Total errors (one standard deviation), `[n]`.
    pub errors: Vec<f64>,
    /// How well it describes the observation, for example "χ²/14 = 1.2"; may be empty.
    #[serde(default)]
    pub goodness: String,
}

/// A histogram as shown: contents and sizes of errors.
struct Shown {
    values: Vec<f64>,
    errors: Vec<f64>,
}

impl Methods {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if edges do not rise, a list has the wrong length, or there
    /// is no prediction or more than four.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let predictions: Vec<Shown> = self
            .predictions
            .iter()
            .map(|p| self.shown(&p.values, &p.errors))
            .collect();
        let observed = self.observed.as_ref();
        let observed = observed.map(|series| self.shown(&series.values, &series.errors));
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let bottom = HEIGHT - BOTTOM;
        let split = bottom - RATIO_SHARE * (bottom - TOP);
        let (first, last) = (self.edges[0], self.edges[self.edges.len() - 1]);
        let x = Axis::new(Scale::Linear, first, last, (LEFT, WIDTH - RIGHT));
        self.main_panel(&mut canvas, x, split, &predictions, observed.as_ref());
        let pixels = (bottom, split + GAP);
        self.ratio_panel(&mut canvas, x, pixels, &predictions, observed.as_ref());
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        check_edges(&format!("edges of {}", self.x_label), &self.edges)?;
        let bins = self.edges.len() - 1;
        if self.predictions.is_empty() {
            return Err(PlotError::Empty {
                what: format!("predictions of {}", self.x_label),
                expected: "prediction".to_owned(),
            });
        }
        let count = self.predictions.len();
        let what = format!("predictions of {}, at most {MOST}", self.x_label);
        check_length(&what, count, count.min(MOST))?;
        for prediction in &self.predictions {
            let label = &prediction.label;
            check_length(
                &format!("values of \"{label}\""),
                prediction.values.len(),
                bins,
            )?;
            check_length(
                &format!("errors of \"{label}\""),
                prediction.errors.len(),
                bins,
            )?;
        }
        if let Some(observed) = &self.observed {
            check_length("observed values", observed.values.len(), bins)?;
            check_length("observed errors", observed.errors.len(), bins)?;
        }
        Ok(())
    }

    fn shown(&self, values: &[f64], errors: &[f64]) -> Shown {
        let scaled = |values: &[f64]| -> Vec<f64> {
            let widths = self.edges.windows(2).map(|pair| pair[1] - pair[0]);
            let unit = |width: f64| if self.divide_by_width { width } else { 1.0 };
            values
                .iter()
                .zip(widths)
                .map(|(value, width)| value / unit(width))
                .collect()
        };
        let size = |error: f64| if error.is_finite() { error.abs() } else { 0.0 };
        Shown {
            values: scaled(values),
            errors: scaled(errors).into_iter().map(size).collect(),
        }
    }

    fn main_panel(
        &self,
        canvas: &mut Canvas,
        x: Axis,
        bottom: f64,
        predictions: &[Shown],
        observed: Option<&Shown>,
    ) {
        let scale = Scale::from_log(self.log_y);
        let (low, peaks) = self.heights(&x, predictions.iter().chain(observed));
        let topping = self.topping();
        let placement = topping.place(&x, bottom - TOP, (scale, low), &peaks);
        let y = Axis::new(scale, low, placement.high, (bottom, TOP));
        let panel = Panel { x, y };
        panel.clipped(canvas, |canvas| {
            for (method, shown) in predictions.iter().enumerate() {
                let ends = (&*shown.moved(-1.0), &*shown.moved(1.0));
                band(
                    canvas,
                    &panel,
                    &self.edges,
                    ends,
                    look(method).colour,
                    BAND_OPACITY,
                );
            }
            panel.level(canvas, 0.0, Stroke::solid(GREY, 0.8));
            for (method, shown) in predictions.iter().enumerate().rev() {
                steps(canvas, &panel, &self.edges, &shown.values, look(method));
            }
            let points = observed.map(|o| o.values.iter().zip(&o.errors).enumerate());
            for (bin, (value, error)) in points.into_iter().flatten() {
                if !value.is_finite() || (self.log_y && *value <= 0.0) {
                    continue;
                }
                let x = self.within(&x, bin, 0.5);
                let bar = (value - error, value + error);
                error_bar(canvas, &panel, x, bar, Stroke::solid(INK, 1.4));
                DATA.draw(canvas, (x, panel.y.at(*value)));
            }
        });
        panel.frame(canvas, None, &self.y_label);
        topping.draw(canvas, (x.start, TOP), &placement);
    }

    /// Lower end of the y axis, and what reaches how high where.
    fn heights<'a>(&self, x: &Axis, all: impl Iterator<Item = &'a Shown>) -> (f64, Vec<Peak>) {
        let mut peaks = Vec::new();
        let (mut lowest, mut smallest, mut top) = (0.0f64, f64::INFINITY, 0.0f64);
        for shown in all {
            for (bin, (value, error)) in shown.values.iter().zip(&shown.errors).enumerate() {
                if !value.is_finite() {
                    continue;
                }
                let (from, to) = (x.at(self.edges[bin]), x.at(self.edges[bin + 1]));
                let high = value + error;
                peaks.push(Peak {
                    from,
                    to,
                    top: high,
                });
                top = top.max(high);
                if *value != 0.0 {
                    lowest = lowest.min(value - error);
                }
                if *value > 0.0 {
                    smallest = smallest.min(*value);
                }
            }
        }
        if !self.log_y {
            // Room below the lowest bar only if contents are negative.
            return (if lowest < 0.0 { 1.1 * lowest } else { 0.0 }, peaks);
        }
        let low = LOG_FOOT * smallest.max(LOG_REACH * top);
        let usable = low.is_finite() && low > 0.0;
        (if usable { low } else { 0.1 }, peaks)
    }

    fn topping(&self) -> Topping<'static> {
        let mut entries = Vec::new();
        if let Some(observed) = &self.observed {
            entries.push(Entry {
                label: observed.label.clone(),
                key: Key::Point(DATA),
            });
        }
        let full = |p: &MethodPrediction| match p.goodness.is_empty() {
            true => p.label.clone(),
            false => format!("{}, {}", p.label, p.goodness),
        };
        // A long entry takes a second line rather than small type.
        let fits = |p: &MethodPrediction| text::width(&full(p), LEGEND_SIZE, false) <= LABEL_ROOM;
        let in_legend = self.predictions.iter().all(fits);
        let blank = Key::Area("none".to_owned(), 0.0);
        for (method, prediction) in self.predictions.iter().enumerate() {
            let stroke = look(method);
            let label = if in_legend {
                full(prediction)
            } else {
                prediction.label.clone()
            };
            let banded = prediction.errors.iter().any(|e| e.is_finite() && *e != 0.0);
            let key = match banded {
                true => Key::LineOnArea(stroke, stroke.colour.to_owned(), BAND_OPACITY),
                false => Key::Line(stroke),
            };
            entries.push(Entry { label, key });
            if !in_legend && !prediction.goodness.is_empty() {
                entries.push(Entry {
                    label: prediction.goodness.clone(),
                    key: blank.clone(),
                });
            }
        }
        let mut notes = self.notes.clone();
        match &self.observed {
            Some(observed) => entries.push(Entry {
                label: format!("error of {}", observed.label),
                key: Key::Area(INK.to_owned(), OBSERVED_OPACITY),
            }),
            None => notes.push("blinded".to_owned()),
        }
        Topping {
            branded: true,
            title: self.title.clone(),
            notes,
            entries,
        }
    }

    /// Pixel of a part of a bin.
    fn within(&self, x: &Axis, bin: usize, part: f64) -> f64 {
        let (from, to) = (x.at(self.edges[bin]), x.at(self.edges[bin + 1]));
        from + part * (to - from)
    }
}

impl Shown {
    /// Contents moved by their errors.
    fn moved(&self, sign: f64) -> Vec<f64> {
        let pairs = self.values.iter().zip(&self.errors);
        pairs.map(|(value, error)| value + sign * error).collect()
    }
}

/// Line of the n-th method.
fn look(method: usize) -> Stroke<'static> {
    let width = if method == 0 { 2.0 } else { 1.8 };
    let round = METHOD_COLOURS.len();
    Stroke::solid(METHOD_COLOURS[method % round], width).dashed(METHOD_DASHES[method % round])
}

/// The look of observed points.
const DATA: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 3.4,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn methods() -> Methods {
        let prediction = |label: &str, values: [f64; 3]| MethodPrediction {
            label: label.to_owned(),
            values: values.to_vec(),
            errors: vec![1.0; 3],
            goodness: "χ²/2 = 0.7".to_owned(),
        };
        Methods {
            title: "simulation".to_owned(),
            x_label: "x".to_owned(),
            y_label: "Events".to_owned(),
            log_y: false,
            edges: vec![0.0, 1.0, 2.0, 4.0],
            observed: Some(Series {
                label: "4b".to_owned(),
                values: vec![10.0, 0.0, 8.0],
                errors: vec![3.0, 0.0, 3.0],
            }),
            predictions: vec![
                prediction("reweighting", [12.0, 1.0, 4.0]),
                prediction("interpolation", [9.0, 1.0, 8.0]),
            ],
            notes: Vec::new(),
            divide_by_width: false,
        }
    }

    #[test]
    fn ratios_are_predicted_over_observed_at_places_of_their_own() {
        let methods = methods();
        let observed = methods.observed.as_ref().expect("set above");
        let observed = methods.shown(&observed.values, &observed.errors);
        let x = Axis::new(Scale::Linear, 0.0, 4.0, (0.0, 400.0));
        let ratios = |method: usize| {
            let prediction = &methods.predictions[method];
            let shown = methods.shown(&prediction.values, &prediction.errors);
            methods.ratios(&x, method, &shown, &observed)
        };
        let first = ratios(0);
        assert_eq!((first[0].value, first[2].value), (1.2, 0.5));
        assert_eq!((first[0].error, first[2].error), (0.1, 0.125));
        assert!(first[1].value.is_nan());
        assert!(first[0].x < ratios(1)[0].x);
    }

    #[test]
    fn widths_divide_contents_and_errors() {
        let mut methods = methods();
        methods.divide_by_width = true;
        let shown = methods.shown(&[6.0; 3], &[-2.0, f64::NAN, 2.0]);
        assert_eq!(shown.values, [6.0, 6.0, 3.0]);
        assert_eq!(shown.errors, [2.0, 0.0, 1.0]);
    }

    #[test]
    fn goodness_stands_behind_the_name_or_below_it() {
        let mut methods = methods();
        let topping = methods.topping();
        assert_eq!(topping.entries[1].label, "reweighting, χ²/2 = 0.7");
        methods.predictions[1].label = "interpolation of the mass plane".to_owned();
        let topping = methods.topping();
        assert_eq!(topping.entries[1].label, "reweighting");
        assert_eq!(topping.entries[2].label, "χ²/2 = 0.7");
    }

    #[test]
    fn a_blinded_figure_shows_nothing_observed() {
        let mut methods = methods();
        let revealed = methods.draw().expect("a valid figure").svg;
        assert!(revealed.contains("Pred. / obs.") && revealed.contains(">4b<"));
        methods.observed = None;
        let blinded = methods.draw().expect("a valid figure").svg;
        assert!(blinded.contains("blinded") && !blinded.contains("4b"));
        methods.predictions = vec![methods.predictions[0].clone(); 5];
        assert!(matches!(methods.draw(), Err(PlotError::Length { .. })));
    }
}
