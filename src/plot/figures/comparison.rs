//! Observed events against predictions, with their ratio below.
//!
//! The main figure of a background estimate. The light band of a prediction is
//! its statistical error and its other errors (members, normalisation, plane) in quadrature,
//! `sqrt(stat^2 + spread^2)`; the hatched band is the spread alone.

use super::*;
use layers::DATA;

const HEIGHT: f64 = 600.0;
/// Opacities of the total band, of the hatching and of the area below a filled prediction.
const BAND_OPACITY: f64 = 0.25;
const HATCH_OPACITY: f64 = 0.75;
const AREA_OPACITY: f64 = 0.3;

/// Observed events against predictions, with their ratio below.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Line below the brand, for example "simulation, SR".
    pub title_left: String,
    /// Label of the binned variable, with its unit.
    pub x_label: String,
    /// Label of the contents.
    pub y_label: String,
    /// Whether the axis of the contents is logarithmic.
    pub log_y: bool,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Observed events; `None` is a blinded figure.
    pub observed: Option<Series>,
    /// Predictions. The first one after the correction is the ratio's reference, else the first.
    pub predictions: Vec<Prediction>,
    /// Small lines below the title, for example a χ².
    pub notes: Vec<String>,
}

/// Observed contents with errors (one standard deviation), `[n]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub label: String,
    /// Contents of the bins, `[n]`.
    pub values: Vec<f64>,
    /// Their errors, `[n]`.
    pub errors: Vec<f64>,
}

/// A prediction with its errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Its name in the legend.
    pub label: String,
    /// Contents of the bins, `[n]`.
    pub values: Vec<f64>,
    /// Statistical errors (one standard deviation), `[n]`.
    pub stat_errors: Vec<f64>,
    /// Standard deviation over the ensemble's members, `[n]`.
    pub spread: Option<Vec<f64>>,
    /// How it is drawn.
    pub style: PredictionStyle,
}

/// How a prediction is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionStyle {
    /// Before the correction: orange, dashed.
    Before,
    /// After the correction: blue, the reference of the ratio.
    After,
    /// The same as a filled area.
    Filled,
}

impl Series {
    pub(super) fn check(&self, bins: usize) -> Result<(), PlotError> {
        let lists = [("values", &self.values), ("errors", &self.errors)];
        check::lengths(lists, |list| format!("observed {list}"), bins)
    }
}

impl Comparison {
    /// Draws the figure.
    ///
    /// # Errors
    /// Edges do not rise, a list has the wrong length, or there is neither an observation nor a
    /// prediction.
    pub fn draw(&self) -> Result<Figure, PlotError> {
        check::edges(&self.x_label, &self.edges)?;
        let bins = self.edges.len() - 1;
        self.observed.iter().try_for_each(|o| o.check(bins))?;
        for p in &self.predictions {
            let lists = [("values", &p.values), ("stat_errors", &p.stat_errors)];
            let spread = p.spread.iter().map(|spread| ("spread", spread));
            let name = |list| format!("{list} of \"{}\"", p.label);
            check::lengths(lists.into_iter().chain(spread), name, bins)?;
        }
        let is_drawable = self.observed.is_some() || !self.predictions.is_empty();
        let what = format!("comparison in {}", self.x_label);
        check::drawable(is_drawable, &what, "prediction or observation")?;
        let drawn: Vec<Layer<'_>> = self.predictions.iter().map(Prediction::layer).collect();
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let hatch = |p: &Layer<'_>| canvas.hatch(p.stroke.colour);
        let hatches: Vec<String> = drawn.iter().map(hatch).collect();
        let filled = self.predictions.iter().zip(&drawn);
        let filled = filled.filter(|(p, _)| p.style == PredictionStyle::Filled);
        let areas = filled.map(|(_, layer)| layer.area(&self.edges, AREA_OPACITY));
        let bands = drawn.iter().zip(&hatches).enumerate();
        let bands = bands.flat_map(|(n, (layer, hatch))| self.bands(layer, n, hatch, None));
        let below = areas.chain(bands).collect();
        let observed = self.observed.as_ref().map(|o| (&*o.values, &*o.errors));
        let (y, main) = layers::main_panel(&self.edges, self.log_y, below, &drawn, observed);
        let (label, lower_axis, lower) = self.ratios(&drawn, &hatches);
        let chart = Chart::around(self.head(&drawn, &hatches), HEIGHT, 0.3)
            .x(&self.x_label, Axis::linear(self.edges[0], self.edges[bins]))
            .head_row(&self.y_label, y, main)
            .row(label, lower_axis, lower);
        Ok(chart.draw_on(canvas))
    }

    /// Index of the prediction that ratios are relative to.
    fn reference(&self) -> usize {
        let after = |prediction: &Prediction| prediction.style != PredictionStyle::Before;
        self.predictions.iter().position(after).unwrap_or(0)
    }

    fn head<'a>(&'a self, drawn: &[Layer<'a>], hatches: &'a [String]) -> Head<'a> {
        let observed = self.observed.iter();
        let observed = observed.map(|o| Entry::new(&o.label, Key::Point(DATA)));
        let predicted = self.predictions.iter().zip(drawn);
        let predicted = predicted.map(|(p, layer)| {
            let key = match p.style {
                PredictionStyle::Filled => {
                    Key::LineOnArea(layer.stroke, layer.stroke.area(AREA_OPACITY))
                }
                _ => layer.key(),
            };
            Entry::new(&p.label, key)
        });
        let mut entries: Vec<Entry<'a>> = observed.chain(predicted).collect();
        if let Some(first) = self.predictions.iter().position(|p| p.spread.is_some()) {
            entries.push(Entry::new("all errors", Key::Area(drawn[first].fill())));
            let hatched = Key::Area(Fill(&hatches[first], HATCH_OPACITY));
            entries.push(Entry::new("all but statistical", hatched));
        }
        let ratios = self.observed.iter().flat_map(|o| {
            let predicted = self.predictions.iter().zip(drawn).enumerate();
            predicted.map(move |(index, (p, layer))| {
                let key = match index == self.reference() {
                    true => Key::Point(DATA),
                    false => Key::Symbol(hollow(layer)),
                };
                Entry::new(format!("{} / {}", o.label, p.label), key)
            })
        });
        entries.extend(ratios);
        Head::new(&self.title_left, entries).noted(self.notes.clone())
    }

    /// Total and spread bands, about the contents or relative to a reference.
    fn bands<'a>(
        &'a self,
        layer: &Layer<'a>,
        index: usize,
        hatch: &'a str,
        reference: Option<&[f64]>,
    ) -> impl Iterator<Item = Mark<'a>> {
        let band = |half: &[f64], fill| layer.band(&self.edges, half, fill, reference);
        let total = layer.has_band().then(|| band(&layer.errors, layer.fill()));
        let spread = self.predictions[index].spread.as_ref();
        let spread = spread.map(|spread| band(spread, Fill(hatch, HATCH_OPACITY)));
        total.into_iter().chain(spread)
    }

    /// The lower panel: observed over predicted, or, while the observation is
    /// blinded, predictions over the reference.
    fn ratios<'a>(
        &'a self,
        drawn: &[Layer<'static>],
        hatches: &'a [String],
    ) -> (&'a str, Axis, Vec<Mark<'a>>) {
        let index = self.reference();
        let reference = drawn.get(index).cloned();
        let points = |layer: &Layer<'_>| -> Vec<Dot> {
            let (values, errors) = match (&self.observed, &reference) {
                (Some(o), _) => {
                    let sizes: Vec<f64> = o.errors.iter().map(|error| error.abs()).collect();
                    (over(&o.values, &layer.values), over(&sizes, &layer.values))
                }
                (None, Some(r)) => (over(&layer.values, &r.values), vec![0.0; r.values.len()]),
                (None, None) => return Vec::new(),
            };
            Dot::in_bins(&self.edges, 0.5, &values, &errors).collect()
        };
        let points: Vec<Vec<Dot>> = drawn.iter().map(points).collect();
        let band = |r: &Layer<'_>| r.ends(&r.errors, Some(&r.values)).concat();
        let band = reference.as_ref().map(band);
        let axis = layers::ratio_axis(&points.concat(), &band.unwrap_or_default());
        let mut marks = Vec::new();
        if let Some(reference) = reference {
            let values = Some(&*reference.values);
            marks.extend(self.bands(&reference, index, &hatches[index], values));
        }
        marks.push(Mark::level(1.0, Stroke::solid(GREY, 1.2)));
        for (other, (layer, dots)) in drawn.iter().zip(&points).enumerate().rev() {
            if self.observed.is_none() {
                let ratios = dots.iter().map(|dot| dot.y).collect();
                marks.push(Mark::Steps(&self.edges, ratios, layer.stroke));
            } else if other != index {
                marks.push(Mark::Ratios(dots.clone(), hollow(layer), false));
            }
        }
        let (label, remark) = match (&self.observed, drawn.is_empty()) {
            (None, _) => ("Ratio", "blinded"),
            (_, true) => ("Obs. / pred.", "no prediction"),
            _ => ("Obs. / pred.", ""),
        };
        if self.observed.is_some() {
            let dots = points.get(index).cloned().unwrap_or_default();
            marks.push(Mark::Ratios(dots, DATA, true));
        }
        marks.push(Mark::Remark(remark));
        (label, axis, marks)
    }
}

impl Prediction {
    fn layer(&self) -> Layer<'static> {
        let spread = |bin: usize| self.spread.as_ref().map_or(0.0, |spread| size(spread[bin]));
        let stat = self.stat_errors.iter().enumerate();
        let total = stat.map(|(bin, stat)| size(*stat).hypot(spread(bin)));
        Layer {
            values: self.values.clone(),
            errors: total.collect(),
            stroke: match self.style {
                PredictionStyle::Before => Stroke::solid(ORANGE, 1.8).dashed("6 3"),
                PredictionStyle::After | PredictionStyle::Filled => Stroke::solid(BLUE, 2.0),
            },
            opacity: BAND_OPACITY,
        }
    }
}

/// Points of a ratio to a prediction that is not the reference.
const fn hollow<'a>(layer: &Layer<'a>) -> Marker<'a> {
    Marker::dot(layer.stroke.colour, 3.2).hollow(true)
}
