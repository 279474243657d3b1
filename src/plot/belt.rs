//! A Neyman belt: quantiles of the test statistic t over the parameter, the
//! observed curve, and the confidence sets where it lies below them.
//!
//! The strip below the panel shows each confidence set as a bar; a set may be
//! made of several intervals.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Stroke, Type};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::{LABEL_MARGIN, STRIP_ENDS, percent, write_beside};
use super::panel::Panel;
use super::shapes::{Marker, error_bar};
use super::style::{BOTTOM, GAP, GREY, INK, LEFT, NOTE_SIZE, WIDTH};
use super::symbols::{METHOD_COLOURS, METHOD_DASHES};
use super::{Figure, PlotError};

/// Height of the main panel.
const MAIN_HEIGHT: f64 = 370.0;
/// Height of the bar of one confidence set with the space about it.
const LANE: f64 = 21.0;
/// Highest of what the belt needs, in parts of the main panel.
const BELT_SHARE: f64 = 0.66;
/// Opacity of a confidence set in the main panel.
const SET_OPACITY: f64 = 0.16;
/// Space beyond the outermost points, in lengths of the axis.
const MARGIN: f64 = 0.03;

/// A belt and what was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Belt {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: the parameter, with its unit.
    pub x_label: String,
    /// Label of the y axis; empty means "t_{μ}".
    #[serde(default)]
    pub y_label: String,
    /// Confidence levels, in rising order.
    pub levels: Vec<BeltLevel>,
    /// Parameter and observed t, in rising order; t not finite where the fit failed.
    #[serde(default)]
    pub observed: Vec<(f64, f64)>,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The belt of one confidence level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BeltLevel {
    /// Confidence level, for example 0.6827.
    pub level: f64,
    /// Quantiles from toys, in rising order of the parameter.
    pub points: Vec<BeltPoint>,
    /// The quantile by Wilks' theorem, for example 1.
    #[serde(default)]
    pub asymptotic: Option<f64>,
    /// Intervals of the confidence set; an infinite end reaches to the frame.
    #[serde(default)]
    pub intervals: Vec<(f64, f64)>,
}

/// The quantile of t at one value of the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct BeltPoint {
    /// Value of the parameter.
    pub parameter: f64,
    /// Quantile of t.
    pub quantile: f64,
    /// Downward and upward error from the number of toys.
    pub errors: (f64, f64),
}

impl Belt {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no level has a finite quantile.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        if self
            .levels
            .iter()
            .all(|level| level.finite().next().is_none())
        {
            return Err(PlotError::Empty {
                what: format!("belt of {}", self.x_label),
                expected: "finite quantile".to_owned(),
            });
        }
        let strip = self.strip();
        let ends = (LEFT, WIDTH - LABEL_MARGIN);
        let top = strip.height(STRIP_ENDS);
        let lanes = LANE * self.levels.len() as f64;
        let height = top + MAIN_HEIGHT + GAP + lanes + BOTTOM;
        let mut canvas = Canvas::new(WIDTH, height);
        let (low, high) = self.x_range();
        let x = Axis::new(Scale::Linear, low, high, ends);
        let y = Axis::new(Scale::Linear, 0.0, self.t_end(), (top + MAIN_HEIGHT, top));
        self.main_panel(&mut canvas, &Panel { x, y });
        self.sets(&mut canvas, x, (height - BOTTOM, top + MAIN_HEIGHT + GAP));
        strip.draw(&mut canvas, STRIP_ENDS);
        Ok(canvas.finish())
    }

    /// Range of the belt's points; what was observed beyond is not shown.
    fn x_range(&self) -> (f64, f64) {
        let points = self.levels.iter().flat_map(BeltLevel::finite);
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = points.fold(ends, |(low, high), point| {
            (low.min(point.parameter), high.max(point.parameter))
        });
        let margin = match high - low {
            0.0 => 0.5,
            length => MARGIN * length,
        };
        (low - margin, high + margin)
    }

    /// End of the y axis: room above the belt for the observed curve to leave it.
    fn t_end(&self) -> f64 {
        let tops = self.levels.iter().flat_map(|level| {
            let quantiles = level.finite().map(|p| p.quantile + size(p.errors.1));
            quantiles.chain(level.asymptotic)
        });
        tops.filter(|top| top.is_finite()).fold(1.0, f64::max) / BELT_SHARE
    }

    fn main_panel(&self, canvas: &mut Canvas, panel: &Panel) {
        panel.clipped(canvas, |canvas| {
            for (index, level) in self.levels.iter().enumerate().rev() {
                for (low, high) in level.sets(&panel.x) {
                    let corners = ((low, panel.y.start), (high, panel.y.end));
                    // On white: sets lie within each other, and tints would mix.
                    canvas.rect(corners.0, corners.1, "#ffffff", 1.0);
                    canvas.rect(corners.0, corners.1, colour(index), SET_OPACITY);
                }
            }
            for asymptotic in self.levels.iter().filter_map(|level| level.asymptotic) {
                panel.level(canvas, asymptotic, ASYMPTOTIC);
            }
            let observed: Vec<(f64, f64)> = self
                .observed
                .iter()
                .map(|(x, t)| panel.at(*x, *t))
                .collect();
            canvas.polyline(&observed, OBSERVED);
            for (index, level) in self.levels.iter().enumerate() {
                level.draw(canvas, panel, index);
            }
        });
        for level in &self.levels {
            if let Some(asymptotic) = level.asymptotic {
                write_beside(canvas, panel, asymptotic, &percent(level.level));
            }
        }
        let label = match self.y_label.as_str() {
            "" => "t_{μ}",
            label => label,
        };
        panel.frame(canvas, None, label);
    }

    /// Bars of the confidence sets, the highest level at the bottom.
    fn sets(&self, canvas: &mut Canvas, x: Axis, pixels: (f64, f64)) {
        let panel = Panel {
            x,
            y: Axis::new(Scale::Linear, 0.0, 1.0, pixels),
        };
        for (index, level) in self.levels.iter().enumerate() {
            let top = pixels.1 + LANE * index as f64;
            for (low, high) in level.sets(&x) {
                canvas.rect(
                    (low, top + 5.0),
                    (high, top + LANE - 5.0),
                    colour(index),
                    1.0,
                );
            }
            let at = (x.start - 7.0, top + 0.5 * LANE + 0.36 * NOTE_SIZE);
            let label = percent(level.level);
            canvas.text(at, &label, Type::new(NOTE_SIZE, Anchor::End));
        }
        panel.frame_of_rows(canvas, &self.x_label);
    }

    fn strip(&self) -> Strip<'static> {
        let entry = |label: String, key| Entry { label, key };
        let mut entries = Vec::new();
        let drawn = |(_, level): &(usize, &BeltLevel)| level.finite().next().is_some();
        for (index, level) in self.levels.iter().enumerate().filter(drawn) {
            let label = format!("{} quantile, toys", percent(level.level));
            entries.push(entry(label, Key::Point(marker(index))));
        }
        if self.levels.iter().any(|level| level.asymptotic.is_some()) {
            entries.push(entry("asymptotic".to_owned(), Key::Line(ASYMPTOTIC)));
        }
        let all = self.observed.len();
        let fitted = self.observed.iter().filter(|(x, t)| (x + t).is_finite());
        let missing = all - fitted.count();
        if missing < all {
            entries.push(entry("observed".to_owned(), Key::Line(OBSERVED)));
        }
        let mut notes = self.notes.clone();
        if missing > 0 {
            notes.push(format!(
                "{missing} of {all} observed points without a fit, left out"
            ));
        }
        Strip {
            title: self.title.clone(),
            notes,
            entries,
        }
    }
}

impl BeltLevel {
    fn finite(&self) -> impl Iterator<Item = &BeltPoint> {
        let finite = |p: &&BeltPoint| p.parameter.is_finite() && p.quantile.is_finite();
        self.points.iter().filter(finite)
    }

    /// Pixels of the intervals, as far as the axis shows them.
    fn sets(&self, x: &Axis) -> impl Iterator<Item = (f64, f64)> {
        let shown = |(low, high): &&(f64, f64)| low <= high && *high >= x.low && *low <= x.high;
        let place = |(low, high): &(f64, f64)| (x.at_clamped(*low), x.at_clamped(*high));
        self.intervals.iter().filter(shown).map(place)
    }

    fn draw(&self, canvas: &mut Canvas, panel: &Panel, index: usize) {
        let place = |p: &BeltPoint| panel.at(p.parameter, p.quantile);
        let line: Vec<(f64, f64)> = self.points.iter().map(place).collect();
        let dash = METHOD_DASHES[index % METHOD_DASHES.len()];
        canvas.polyline(&line, Stroke::solid(colour(index), 1.1).dashed(dash));
        for point in self.finite() {
            let bar = (
                point.quantile - size(point.errors.0),
                point.quantile + size(point.errors.1),
            );
            let at = place(point);
            error_bar(canvas, panel, at.0, bar, Stroke::solid(colour(index), 1.4));
            marker(index).draw(canvas, at);
        }
    }
}

/// Quantiles by Wilks' theorem.
const ASYMPTOTIC: Stroke<'static> = Stroke::solid(GREY, 1.3).dashed("6 4");
/// The observed curve.
const OBSERVED: Stroke<'static> = Stroke::solid(INK, 1.9);

/// Colour of the n-th level.
fn colour(level: usize) -> &'static str {
    METHOD_COLOURS[level % METHOD_COLOURS.len()]
}

/// Points of the n-th level, hollow for every second.
fn marker(level: usize) -> Marker<'static> {
    Marker {
        colour: colour(level),
        filled: level.is_multiple_of(2),
        radius: 3.4,
    }
}

/// Size of an error; none if it is not finite.
fn size(error: f64) -> f64 {
    if error.is_finite() { error.abs() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(points: &[(f64, f64)], intervals: &[(f64, f64)]) -> BeltLevel {
        let point = |(parameter, quantile): &(f64, f64)| BeltPoint {
            parameter: *parameter,
            quantile: *quantile,
            errors: (0.1, 0.1),
        };
        BeltLevel {
            level: 0.6827,
            points: points.iter().map(point).collect(),
            asymptotic: Some(1.0),
            intervals: intervals.to_vec(),
        }
    }

    fn belt(levels: Vec<BeltLevel>) -> Belt {
        Belt {
            title: String::new(),
            x_label: "μ".to_owned(),
            y_label: String::new(),
            levels,
            observed: vec![(0.0, 3.0), (1.0, f64::NAN), (2.0, 1.0)],
            notes: Vec::new(),
        }
    }

    #[test]
    fn intervals_are_cut_at_the_frame() {
        let x = Axis::new(Scale::Linear, 0.0, 10.0, (0.0, 100.0));
        let intervals = [
            (f64::NEG_INFINITY, 2.0),
            (4.0, 5.0),
            (8.0, f64::INFINITY),
            (20.0, 30.0),
            (3.0, 1.0),
            (f64::NAN, 1.0),
        ];
        let sets: Vec<(f64, f64)> = level(&[], &intervals).sets(&x).collect();
        assert_eq!(sets, [(0.0, 20.0), (40.0, 50.0), (80.0, 100.0)]);
    }

    #[test]
    fn the_axes_follow_the_belt() {
        let belt = belt(vec![level(
            &[(-1.0, 1.2), (1.0, 3.2), (9.0, f64::NAN)],
            &[],
        )]);
        let (low, high) = belt.x_range();
        assert!((low + 1.06).abs() < 1e-12 && (high - 1.06).abs() < 1e-12);
        assert!((belt.t_end() - 3.3 / BELT_SHARE).abs() < 1e-12);
        let svg = belt.draw().expect("two points").svg;
        assert!(svg.contains("asymptotic") && !svg.contains("NaN"));
        assert!(svg.contains("1 of 3 observed points without a fit, left out"));
    }

    #[test]
    fn a_belt_without_a_quantile_is_an_error() {
        for levels in [Vec::new(), vec![level(&[(0.0, f64::NAN)], &[])]] {
            let error = belt(levels).draw().expect_err("no quantile");
            assert_eq!(
                error.to_string(),
                "belt of μ: nothing to draw; give at least one finite quantile"
            );
        }
    }
}
