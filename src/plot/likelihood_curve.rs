//! The test statistic t = −2 Δ log L against a parameter, for several
//! likelihoods, with the levels at which intervals are read off.
//!
//! A scan point whose fit failed has a value that is not finite: the line
//! breaks there, and the number of such points is written above the frame.

mod lower;

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::{LABEL_MARGIN, STRIP_ENDS, percent, write_beside};
use super::panel::Panel;
use super::shapes::Marker;
use super::style::{BOTTOM, DASHES, GAP, GREY, INK, LEFT, PALETTE, WIDTH};
use super::{Figure, PlotError, check_length};

/// Height of the main panel.
const MAIN_HEIGHT: f64 = 370.0;
/// Height of the panel of differences.
const LOWER_HEIGHT: f64 = 140.0;
/// Levels of t for one parameter by Wilks' theorem, one and two standard deviations.
const LEVELS: [(f64, f64); 2] = [(1.0, 0.6827), (4.0, 0.9545)];
/// Values of t that the y axis shows at least, and at most unless told otherwise.
const SHOWN: (f64, f64) = (4.8, 10.5);
/// Space below t = 0 for the marks of best fits, in lengths of the axis.
const FOOT: f64 = 0.045;
/// Opacity of the error band of critical values.
const BAND_OPACITY: f64 = 0.25;

/// Curves of −2 Δ log L.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LikelihoodCurve {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: the parameter, with its unit.
    pub x_label: String,
    /// Label of the y axis; empty means "t = −2 Δ log L".
    #[serde(default)]
    pub y_label: String,
    /// The curves, for example profiled, statistical only, exact, histogram.
    pub curves: Vec<ScanCurve>,
    /// Critical values of a Neyman belt.
    #[serde(default)]
    pub critical: Vec<CriticalCurve>,
    /// Index of the curve that a lower panel subtracts from the others.
    #[serde(default)]
    pub reference: Option<usize>,
    /// Upper end of the y axis; `None` takes it from the curves.
    #[serde(default)]
    pub y_max: Option<f64>,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One likelihood scanned over the parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScanCurve {
    /// Name in the legend.
    pub label: String,
    /// Parameter and t, in rising order of the parameter; t not finite where the fit failed.
    pub points: Vec<(f64, f64)>,
    /// Value of the parameter at the minimum.
    #[serde(default)]
    pub best_fit: Option<f64>,
}

/// Critical values c(μ): a value of the parameter is excluded where t is above.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CriticalCurve {
    /// Name in the legend, for example "critical value, 68.27 %".
    pub label: String,
    /// Points in rising order of the parameter.
    pub points: Vec<CriticalPoint>,
}

/// One critical value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct CriticalPoint {
    /// Value of the parameter.
    pub parameter: f64,
    /// Quantile of t there.
    pub value: f64,
    /// Its error (one standard deviation), from the number of toys.
    pub error: f64,
}

impl LikelihoodCurve {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no curve has a finite point, [`PlotError::Length`]
    /// if `reference` is no curve.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let strip = self.strip();
        let ends = (LEFT, WIDTH - LABEL_MARGIN);
        let top = strip.height(STRIP_ENDS);
        let lower = match self.reference {
            Some(_) => GAP + LOWER_HEIGHT,
            None => 0.0,
        };
        let height = top + MAIN_HEIGHT + lower + BOTTOM;
        let mut canvas = Canvas::new(WIDTH, height);
        let (low, high) = self.x_range();
        let x = Axis::new(Scale::Linear, low, high, ends);
        let (t_low, t_high) = self.t_range();
        let pixels = (top + MAIN_HEIGHT, top);
        let panel = Panel {
            x,
            y: Axis::new(Scale::Linear, t_low, t_high, pixels),
        };
        self.main_panel(&mut canvas, &panel);
        if let Some(reference) = self.reference {
            let pixels = (height - BOTTOM, top + MAIN_HEIGHT + GAP);
            self.lower_panel(&mut canvas, x, pixels, (reference, t_high));
        }
        strip.draw(&mut canvas, STRIP_ENDS);
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        if self.finite().next().is_none() {
            return Err(PlotError::Empty {
                what: format!("likelihood curve of {}", self.x_label),
                expected: "curve with a finite point".to_owned(),
            });
        }
        match self.reference {
            Some(index) if index >= self.curves.len() => {
                let what = format!("curves, of which number {index} is the reference");
                check_length(&what, self.curves.len(), index + 1)
            }
            _ => Ok(()),
        }
    }

    /// Points that can be placed.
    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        let points = self.curves.iter().flat_map(|curve| curve.points.iter());
        points.copied().filter(|point| is_finite(*point))
    }

    fn x_range(&self) -> (f64, f64) {
        let ends = (f64::INFINITY, f64::NEG_INFINITY);
        let range = |(low, high): (f64, f64), (x, _)| (low.min(x), high.max(x));
        match self.finite().fold(ends, range) {
            (low, high) if low == high => (low - 0.5, high + 0.5),
            range => range,
        }
    }

    /// Range of t; curves rise beyond it and are cut off by the frame.
    fn t_range(&self) -> (f64, f64) {
        let (mut lowest, mut highest) = (0.0f64, SHOWN.0);
        for (_, t) in self.finite() {
            (lowest, highest) = (lowest.min(t), highest.max(1.05 * t));
        }
        let critical = self.critical.iter().flat_map(|curve| &curve.points);
        let needed = critical
            .map(|point| 1.1 * (point.value + size(point.error)))
            .filter(|needed| needed.is_finite())
            .fold(SHOWN.1, f64::max);
        let given = self.y_max.filter(|high| high.is_finite() && *high > 0.0);
        let high = given.unwrap_or(highest.min(needed));
        // A curve far below zero has another minimum; it must not flatten the others.
        let low = lowest.max(-0.5 * high);
        (low - FOOT * (high - low), high)
    }

    fn main_panel(&self, canvas: &mut Canvas, panel: &Panel) {
        panel.clipped(canvas, |canvas| {
            for (index, curve) in self.critical.iter().enumerate() {
                curve.draw(canvas, panel, critical_look(index));
            }
            panel.level(canvas, 0.0, ZERO);
            for (t, _) in LEVELS {
                panel.level(canvas, t, LEVEL);
            }
            for (index, curve) in self.curves.iter().enumerate().rev() {
                draw_line(canvas, panel, &curve.points, look(index));
                let best = curve.best_fit.filter(|best| best.is_finite());
                if let Some(best) = best {
                    let t = lower::interpolate(&curve.points, best);
                    let t = if t.is_finite() { t } else { 0.0 };
                    marker(look(index).colour).draw(canvas, panel.at(best, t));
                }
            }
        });
        for (t, level) in LEVELS {
            write_beside(canvas, panel, t, &percent(level));
        }
        let y_label = match self.y_label.as_str() {
            "" => "t = −2 Δ log L",
            label => label,
        };
        let x_label = self.reference.is_none().then_some(self.x_label.as_str());
        panel.frame(canvas, x_label, y_label);
    }

    fn strip(&self) -> Strip<'static> {
        let mut entries = Vec::new();
        for (index, curve) in self.curves.iter().enumerate() {
            let label = match self.reference == Some(index) {
                true => format!("{} (ref)", curve.label),
                false => curve.label.clone(),
            };
            let key = Key::Line(look(index));
            entries.push(Entry { label, key });
        }
        for (index, curve) in self.critical.iter().enumerate() {
            let stroke = critical_look(index);
            let key = Key::LineOnArea(stroke, stroke.colour.to_owned(), BAND_OPACITY);
            let label = curve.label.clone();
            entries.push(Entry { label, key });
        }
        if self.curves.iter().any(|curve| curve.best_fit.is_some()) {
            entries.push(Entry {
                label: "best fit".to_owned(),
                key: Key::Symbol(marker(INK)),
            });
        }
        let mut notes = self.notes.clone();
        let all = self.curves.iter().map(|curve| curve.points.len());
        let all = all.sum::<usize>();
        let missing = all - self.finite().count();
        if missing > 0 {
            notes.push(format!("{missing} of {all} points without a fit, left out"));
        }
        Strip {
            title: self.title.clone(),
            notes,
            entries,
        }
    }
}

impl CriticalCurve {
    /// Draws the band of errors and the line, as far as they are finite.
    fn draw(&self, canvas: &mut Canvas, panel: &Panel, stroke: Stroke<'_>) {
        let finite = |point: &CriticalPoint| is_finite((point.parameter, point.value));
        for run in self.points.split(|point| !finite(point)) {
            let edge = |sign: f64| {
                run.iter().map(move |point| {
                    let value = point.value + sign * size(point.error);
                    panel.at(point.parameter, value)
                })
            };
            let band: Vec<(f64, f64)> = edge(1.0).chain(edge(-1.0).rev()).collect();
            canvas.polygon(&band, stroke.colour, BAND_OPACITY);
            let points: Vec<(f64, f64)> = run.iter().map(|p| (p.parameter, p.value)).collect();
            draw_line(canvas, panel, &points, stroke);
        }
    }
}

/// The line t = 0.
const ZERO: Stroke<'static> = Stroke::solid(GREY, 0.8);
/// The lines of the levels.
const LEVEL: Stroke<'static> = Stroke::solid(GREY, 1.2).dashed("5 4");

/// Line of the n-th curve.
fn look(curve: usize) -> Stroke<'static> {
    Stroke::solid(PALETTE[curve % PALETTE.len()], 1.9).dashed(DASHES[curve % DASHES.len()])
}

/// Line of the n-th critical curve.
fn critical_look(curve: usize) -> Stroke<'static> {
    let dashes = [DASHES[0], DASHES[3]];
    Stroke::solid(GREY, 1.5).dashed(dashes[curve % dashes.len()])
}

/// Mark of a best fit.
fn marker(colour: &str) -> Marker<'_> {
    Marker {
        colour,
        filled: true,
        radius: 3.6,
    }
}

/// A line through the finite points; one between two failed ones is a dot.
fn draw_line(canvas: &mut Canvas, panel: &Panel, points: &[(f64, f64)], stroke: Stroke<'_>) {
    for run in points.split(|point| !is_finite(*point)) {
        let placed: Vec<(f64, f64)> = run.iter().map(|(x, t)| panel.at(*x, *t)).collect();
        match placed.as_slice() {
            [alone] => canvas.circle(
                *alone,
                2.2,
                stroke.colour,
                Stroke::solid(stroke.colour, 1.0),
            ),
            line => canvas.polyline(line, stroke),
        }
    }
}

fn is_finite((x, t): (f64, f64)) -> bool {
    x.is_finite() && t.is_finite()
}

/// Size of an error; none if it is not finite.
fn size(error: f64) -> f64 {
    if error.is_finite() { error.abs() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(points: Vec<(f64, f64)>) -> LikelihoodCurve {
        LikelihoodCurve {
            title: String::new(),
            x_label: "μ".to_owned(),
            y_label: String::new(),
            curves: vec![ScanCurve {
                label: "profiled".to_owned(),
                points,
                best_fit: None,
            }],
            critical: Vec::new(),
            reference: None,
            y_max: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn failed_points_break_the_line_and_are_counted() {
        let nan = f64::NAN;
        let points = vec![(0.0, 4.0), (0.5, 1.0), (1.0, nan), (1.5, 1.0), (2.0, nan)];
        let svg = figure(points).draw().expect("finite points").svg;
        assert!(svg.contains("2 of 5 points without a fit, left out"));
        assert!(
            svg.contains("r=\"2.2\""),
            "the point between two gaps is a dot"
        );
        assert!(svg.contains("68.27 %") && svg.contains("95.45 %"));
    }

    #[test]
    fn a_figure_without_a_point_or_with_a_wrong_reference_is_an_error() {
        let error = figure(vec![(0.0, f64::NAN)]).draw().expect_err("no point");
        assert_eq!(
            error.to_string(),
            "likelihood curve of μ: nothing to draw; give at least one curve with a finite point"
        );
        let wrong = LikelihoodCurve {
            reference: Some(3),
            ..figure(vec![(0.0, 1.0)])
        };
        let error = wrong.draw().expect_err("there is one curve");
        assert_eq!(
            error.to_string(),
            "curves, of which number 3 is the reference: found 1 entries, expected 4"
        );
    }

    #[test]
    fn the_axis_shows_both_levels_and_cuts_what_is_far_above() {
        let (low, high) = figure(vec![(0.0, 0.0), (1.0, 0.2)]).t_range();
        assert!(low < 0.0 && high > 4.0);
        assert_eq!(figure(vec![(0.0, 900.0)]).t_range().1, SHOWN.1);
    }
}
