//! Observed events against several predictions of the same background, with
//! each prediction over the observation below.
//!
//! Each prediction is a stepped line with a dash of its own and a band of its
//! total error. In the lower panel the band about one is the error of the
//! observation; the predictions' errors are bars, shifted against each other, or
//! bands where bins are narrow.
//! While the observation is blinded, the lower panel is relative to the first
//! prediction. As in a [`Comparison`](super::comparison::Comparison), the caller puts
//! under- and overflow in the end bins.

use super::comparison::Series;
use super::*;

const MOST: usize = 4; // most predictions that stay apart
/// Opacities of the predictions' bands and of the observation's.
const BAND_OPACITY: f64 = 0.2;
const OBSERVED_OPACITY: f64 = 0.22;
/// Room for a label of the legend: half the panel less its symbol.
const LABEL_ROOM: f64 = (WIDTH - LEFT - RIGHT - 2.0 * INSET) / 2.0 - 39.0;
const SYMBOL_RADIUS: f64 = 2.6; // radius of the symbols in the ratio panel
/// Least width of a bin for each method and one more, in pixels; below, the ratio
/// panel has bands instead of symbols.
const LEAST_SLOT: f64 = 5.5;

/// One distribution, several predictions.
pub(crate) struct Methods {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub log_y: bool,
    /// `n + 1` rising bin edges.
    pub edges: Vec<f64>,
    /// Observed events; `None` is a blinded figure.
    pub observed: Option<Series>,
    /// One to four predictions; the first is the reference while blinded.
    pub predictions: Vec<MethodPrediction>,
    pub notes: Vec<String>,
}

pub(crate) struct MethodPrediction {
    pub label: String,
    pub values: Vec<f64>,
    /// Total errors (one standard deviation), `[n]`.
    pub errors: Vec<f64>,
    /// How well it describes the observation, for example "χ²/14 = 1.2"; may be empty.
    pub goodness: String,
}

impl Methods {
    /// Draws the figure; an error if edges do not rise, a list has the wrong length, or there is no
    /// prediction or more than four.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        check::edges(&self.x_label, &self.edges)?;
        let count = self.predictions.len();
        let what = format!("predictions of {}", self.x_label);
        check::drawable(count > 0, &what, "prediction")?;
        check::at_most(&what, count, MOST)?;
        let bins = self.edges.len() - 1;
        for p in &self.predictions {
            let lists = [("values", &p.values), ("errors", &p.errors)];
            check::lengths(lists, |list| format!("{list} of \"{}\"", p.label), bins)?;
        }
        self.observed.iter().try_for_each(|o| o.check(bins))?;
        let predictions = self.predictions.iter().enumerate();
        let drawn = predictions.map(|(n, p)| layer(&p.values, &p.errors, n));
        let drawn: Vec<Layer<'_>> = drawn.collect();
        let observed = self.observed.as_ref();
        let observed = observed.map(|o| layer(&o.values, &o.errors, 0));
        let band = |p: &Layer<'static>| p.band(&self.edges, &p.errors, p.fill(), None);
        let bands = drawn.iter().map(band).collect();
        let seen = observed.as_ref().map(|o| (&*o.values, &*o.errors));
        let (y, main) = layers::main_panel(&self.edges, self.log_y, bands, &drawn, seen);
        let (label, lower_axis, lower) = self.ratios(&drawn, observed.as_ref());
        let chart = Chart::around(self.head(&drawn), 620.0, 0.34)
            .x(&self.x_label, Axis::linear(self.edges[0], self.edges[bins]))
            .head_row(&self.y_label, y, main)
            .row(label, lower_axis, lower);
        Ok(chart.draw())
    }

    fn head(&self, drawn: &[Layer<'static>]) -> Head<'_> {
        let observed = self.observed.iter();
        let observed = observed.map(|o| Entry::new(&o.label, Key::Point(layers::DATA)));
        let mut entries: Vec<Entry<'_>> = observed.collect();
        let full = |p: &MethodPrediction| match p.goodness.is_empty() {
            true => p.label.clone(),
            false => format!("{}, {}", p.label, p.goodness),
        };
        // A long entry takes a second line rather than small type.
        let fits = |p: &MethodPrediction| text::width(&full(p), LEGEND_SIZE, false) <= LABEL_ROOM;
        let in_legend = self.predictions.iter().all(fits);
        for (method, (p, layer)) in self.predictions.iter().zip(drawn).enumerate() {
            let key = match self.is_dense() {
                true => layer.key(),
                false => Key::SymbolOn(Box::new(layer.key()), symbol(method)),
            };
            if in_legend {
                entries.push(Entry::new(full(p), key));
                continue;
            }
            entries.push(Entry::new(&p.label, key));
            if !p.goodness.is_empty() {
                entries.push(Entry::new(&p.goodness, BLANK));
            }
        }
        let mut notes = self.notes.clone();
        match &self.observed {
            Some(observed) => entries.push(Entry::new(
                format!("error of {}", observed.label),
                Key::Area(Fill(INK, OBSERVED_OPACITY)),
            )),
            None => notes.push("blinded".to_owned()),
        }
        Head::new(&self.title, entries).noted(notes)
    }

    /// The lower panel: each prediction over the observation or, while that is
    /// blinded, over the first prediction.
    fn ratios(
        &self,
        drawn: &[Layer<'static>],
        observed: Option<&Layer<'_>>,
    ) -> (&str, Axis, Vec<Mark<'_>>) {
        let reference = observed.unwrap_or(&drawn[0]);
        let points = drawn.iter().enumerate();
        let points = points.map(|(method, layer)| self.dots(layer, method, reference));
        let points: Vec<Vec<Dot>> = points.collect();
        let ends = reference.ends(&reference.errors, Some(&reference.values));
        let axis = layers::ratio_axis(&points.concat(), &ends.concat());
        let (label, fill) = match observed {
            Some(_) => ("Pred. / obs.", Fill(INK, OBSERVED_OPACITY)),
            None => ("Ratio", look(0).area(BAND_OPACITY)),
        };
        let mut marks = vec![
            Mark::StepBand(&self.edges, ends, fill),
            Mark::level(1.0, Stroke::solid(GREY, 1.2)),
        ];
        for (method, dots) in points.into_iter().enumerate().rev() {
            // The reference's own errors are the band.
            let has_errors = observed.is_some() || method > 0;
            let values: Vec<f64> = dots.iter().map(|dot| dot.y).collect();
            if self.is_dense() {
                let ends: (Vec<f64>, Vec<f64>) = dots.iter().map(Dot::ends).unzip();
                let band =
                    Mark::StepBand(&self.edges, ends.into(), look(method).area(BAND_OPACITY));
                marks.extend(has_errors.then_some(band));
                marks.push(Mark::Steps(&self.edges, values, look(method)));
                continue;
            }
            // A level line in each bin; steps of four methods would hide each other.
            let bins = self.edges.windows(2).zip(values);
            let lines = bins.map(|(bin, y)| [(bin[0], y), (bin[1], y)]);
            marks.push(Mark::Segments(lines.collect(), look(method)));
            marks.extend(has_errors.then_some(Mark::Ratios(dots, symbol(method), true)));
        }
        (label, axis, marks)
    }

    /// Whether bins are too narrow for a symbol of each method.
    fn is_dense(&self) -> bool {
        let slots = (self.edges.len() - 1) * (self.predictions.len() + 1);
        WIDTH - LEFT - RIGHT < LEAST_SLOT * slots as f64
    }

    /// A prediction over the reference, each method at its own place in the bin.
    fn dots(&self, layer: &Layer<'_>, method: usize, reference: &Layer<'_>) -> Vec<Dot> {
        let place = (method + 1) as f64 / (self.predictions.len() + 1) as f64;
        let [values, errors] =
            [&layer.values, &layer.errors].map(|list| over(list, &reference.values));
        Dot::in_bins(&self.edges, place, &values, &errors).collect()
    }
}

/// A histogram as shown: contents and sizes of errors.
fn layer(values: &[f64], errors: &[f64], method: usize) -> Layer<'static> {
    Layer {
        values: values.to_vec(),
        errors: errors.iter().copied().map(size).collect(),
        stroke: look(method),
        opacity: BAND_OPACITY,
    }
}

fn symbol(method: usize) -> Marker<'static> {
    Marker::of_method(method, SYMBOL_RADIUS)
}

fn look(method: usize) -> Stroke<'static> {
    let width = if method == 0 { 2.0 } else { 1.8 };
    let round = METHOD_COLOURS.len();
    Stroke::solid(METHOD_COLOURS[method % round], width).dashed(METHOD_DASHES[method % round])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    #[test]
    fn ratios_are_predicted_over_observed_at_places_of_their_own() {
        let methods = examples::methods(&[1.0; 3], 0);
        let observed = layer(&[10.0, 0.0, 8.0], &[3.0, 0.0, 3.0], 0);
        let predicted = layer(&[12.0, 1.0, 4.0], &[1.0; 3], 0);
        let [first, second] = [0, 1].map(|method| methods.dots(&predicted, method, &observed));
        assert_eq!((first[0].y, first[2].y), (1.2, 0.5));
        assert_eq!((first[0].errors.0, first[2].errors.0), (0.1, 0.125));
        assert!(first[1].y.is_nan());
        assert!(first[0].part < second[0].part);
    }

    #[test]
    fn errors_are_sizes() {
        assert_eq!(
            layer(&[6.0; 3], &[-2.0, f64::NAN, 2.0], 0).errors,
            [2.0, 0.0, 2.0]
        );
    }

    #[test]
    fn goodness_stands_behind_the_name_or_below_it() {
        let mut methods = examples::methods(&[1.0; 3], 0);
        for prediction in &mut methods.predictions {
            prediction.label = "reweighting".to_owned();
            prediction.goodness = "χ²/2 = 0.7".to_owned();
        }
        let drawn = [
            layer(&[1.0; 3], &[0.0; 3], 0),
            layer(&[1.0; 3], &[0.0; 3], 1),
        ];
        let labels = |methods: &Methods| {
            let entries = methods.head(&drawn).entries.into_iter();
            entries.map(|entry| entry.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&methods)[1], "reweighting, χ²/2 = 0.7");
        methods.predictions[1].label = "interpolation of the mass plane".to_owned();
        assert_eq!(labels(&methods)[1..3], ["reweighting", "χ²/2 = 0.7"]);
    }

    #[test]
    fn a_blinded_figure_shows_nothing_observed() {
        let mut methods = examples::methods(&[1.0; 3], 0);
        methods.observed.as_mut().expect("seen").label = "4b".to_owned();
        let revealed = methods.draw().expect("a valid figure").svg;
        assert!(revealed.contains("Pred. / obs.") && revealed.contains(">4b<"));
        methods.observed = None;
        let blinded = methods.draw().expect("a valid figure").svg;
        assert!(blinded.contains("blinded") && !blinded.contains("4b"));
    }
}
