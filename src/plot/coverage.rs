//! Coverage: how often intervals contain the true value, one panel a
//! confidence level, several methods side by side.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::{LABEL_MARGIN, STRIP_ENDS, percent, write_beside};
use super::panel::Panel;
use super::shapes::error_bar;
use super::style::{BOTTOM, GREY, INK, LEFT, WIDTH};
use super::symbols::Symbol;
use super::{Figure, PlotError, check_length};

/// Height of a panel.
const PANEL_HEIGHT: f64 = 210.0;
/// Free space between two panels, for the outermost numbers of their axes.
const BETWEEN: f64 = 18.0;
/// Part of the smallest distance between two values of the parameter over
/// which the methods are spread.
const SPREAD: f64 = 0.6;
/// Space beyond the outermost values of the parameter, in smallest distances.
const MARGIN: f64 = 0.6;
/// Radius of symbols.
const RADIUS: f64 = 4.0;
/// Opacity of the band about the nominal level.
const BAND_OPACITY: f64 = 0.13;

/// Coverage of several methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Coverage {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: the true value of the parameter.
    pub x_label: String,
    /// Nominal confidence levels, one panel each from the top.
    pub levels: Vec<f64>,
    /// Half widths of a band about each level, for example three binomial
    /// errors; empty for none.
    #[serde(default)]
    pub tolerances: Vec<f64>,
    pub methods: Vec<CoverageMethod>,
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Coverage of one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CoverageMethod {
    /// Name in the legend.
    pub label: String,
    /// Points, one list a level.
    pub points: Vec<Vec<CoveragePoint>>,
}

/// Coverage at one true value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct CoveragePoint {
    /// True value of the parameter.
    pub parameter: f64,
    /// Part of the toys whose interval contains it, between 0 and 1.
    pub coverage: f64,
    /// Downward and upward error.
    pub errors: (f64, f64),
}

impl CoveragePoint {
    fn is_finite(&self) -> bool {
        self.parameter.is_finite() && self.coverage.is_finite()
    }

    /// Lower and upper end of the error, in per cent.
    fn ends(&self) -> (f64, f64) {
        let size = |error: f64| if error.is_finite() { error.abs() } else { 0.0 };
        let (down, up) = (size(self.errors.0), size(self.errors.1));
        (100.0 * (self.coverage - down), 100.0 * (self.coverage + up))
    }
}

impl Coverage {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if there is no level or no finite point, or a list has the wrong length.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        self.check()?;
        let strip = self.strip();
        let ends = (LEFT, WIDTH - LABEL_MARGIN);
        let top = strip.height(STRIP_ENDS);
        let count = self.levels.len() as f64;
        let height = top + count * PANEL_HEIGHT + (count - 1.0) * BETWEEN + BOTTOM;
        let mut canvas = Canvas::new(WIDTH, height);
        let x = self.x_axis(ends);
        for level in 0..self.levels.len() {
            let top = top + level as f64 * (PANEL_HEIGHT + BETWEEN);
            self.panel(&mut canvas, x, (top + PANEL_HEIGHT, top), level);
        }
        strip.draw(&mut canvas, STRIP_ENDS);
        Ok(canvas.finish())
    }

    fn check(&self) -> Result<(), PlotError> {
        let count = self.levels.len();
        for method in &self.methods {
            let what = format!("levels of \"{}\"", method.label);
            check_length(&what, method.points.len(), count)?;
        }
        if !self.tolerances.is_empty() {
            check_length("tolerances of the coverage", self.tolerances.len(), count)?;
        }
        if self.parameters().is_empty() {
            return Err(PlotError::Empty {
                what: format!("coverage against {}", self.x_label),
                expected: "level with a finite point".to_owned(),
            });
        }
        Ok(())
    }

    /// Values of the parameter that have a point, in rising order.
    fn parameters(&self) -> Vec<f64> {
        let points = self.methods.iter().flat_map(|m| m.points.iter().flatten());
        let finite = points.filter(|point| point.is_finite());
        let mut values: Vec<f64> = finite.map(|point| point.parameter).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// Smallest distance between two values of the parameter.
    fn step(&self) -> f64 {
        let values = self.parameters();
        let steps = values.windows(2).map(|pair| pair[1] - pair[0]);
        let step = steps.fold(f64::INFINITY, f64::min);
        if step.is_finite() { step } else { 1.0 }
    }

    fn x_axis(&self, ends: (f64, f64)) -> Axis {
        let values = self.parameters();
        let margin = MARGIN * self.step();
        let low = values.first().map_or(0.0, |low| low - margin);
        let high = values.last().map_or(1.0, |high| high + margin);
        Axis::new(Scale::Linear, low, high, ends)
    }

    /// Shift of a method's points along x, so that errors stand side by side.
    fn shift(&self, method: usize) -> f64 {
        let count = self.methods.len() as f64;
        ((method as f64 + 0.5) / count - 0.5) * SPREAD * self.step()
    }

    /// Lower and upper end of the y axis in per cent.
    fn range(&self, level: usize) -> (f64, f64) {
        let nominal = 100.0 * self.levels[level];
        let tolerance = 100.0 * self.tolerance(level);
        let (mut low, mut high) = (nominal - tolerance, nominal + tolerance);
        for method in &self.methods {
            for point in method.points[level].iter().filter(|p| p.is_finite()) {
                let ends = point.ends();
                (low, high) = (low.min(ends.0), high.max(ends.1));
            }
        }
        let margin = (0.12 * (high - low)).max(0.5);
        (low - margin, high + margin)
    }

    fn tolerance(&self, level: usize) -> f64 {
        let tolerance = self.tolerances.get(level).copied().unwrap_or(0.0);
        if tolerance.is_finite() {
            tolerance.abs()
        } else {
            0.0
        }
    }

    fn panel(&self, canvas: &mut Canvas, x: Axis, pixels: (f64, f64), level: usize) {
        let (low, high) = self.range(level);
        let panel = Panel {
            x,
            y: Axis::new(Scale::Linear, low, high, pixels),
        };
        let nominal = 100.0 * self.levels[level];
        let tolerance = 100.0 * self.tolerance(level);
        panel.clipped(canvas, |canvas| {
            let corners = (
                panel.at(x.low, nominal - tolerance),
                panel.at(x.high, nominal + tolerance),
            );
            canvas.rect(corners.0, corners.1, INK, BAND_OPACITY);
            panel.level(canvas, nominal, NOMINAL);
            for (index, method) in self.methods.iter().enumerate() {
                let symbol = Symbol::of(index);
                for point in method.points[level].iter().filter(|p| p.is_finite()) {
                    let x = panel.x.at(point.parameter + self.shift(index));
                    let stroke = Stroke::solid(symbol.colour, 1.5);
                    error_bar(canvas, &panel, x, point.ends(), stroke);
                    let y = panel.y.at(100.0 * point.coverage);
                    symbol.draw(canvas, (x, y), RADIUS);
                }
            }
        });
        write_beside(canvas, &panel, nominal, &percent(self.levels[level]));
        let last = level + 1 == self.levels.len();
        let x_label = last.then_some(self.x_label.as_str());
        panel.frame(canvas, x_label, "Coverage [%]");
    }

    fn strip(&self) -> Strip<'static> {
        let mut entries: Vec<Entry<'static>> = Vec::new();
        for (index, method) in self.methods.iter().enumerate() {
            entries.push(Entry {
                label: method.label.clone(),
                key: Key::Shape(Symbol::of(index), RADIUS),
            });
        }
        let label = "nominal".to_owned();
        let key = match self.tolerances.is_empty() {
            true => Key::Line(NOMINAL),
            false => Key::LineOnArea(NOMINAL, INK.to_owned(), BAND_OPACITY),
        };
        entries.push(Entry { label, key });
        Strip {
            title: self.title.clone(),
            notes: self.notes.clone(),
            entries,
        }
    }
}

/// The nominal level.
const NOMINAL: Stroke<'static> = Stroke::solid(GREY, 1.4).dashed("6 4");

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(points: &[(f64, f64)]) -> Coverage {
        let point = |(parameter, coverage): &(f64, f64)| CoveragePoint {
            parameter: *parameter,
            coverage: *coverage,
            errors: (0.01, 0.01),
        };
        let method = |label: &str| CoverageMethod {
            label: label.to_owned(),
            points: vec![points.iter().map(point).collect()],
        };
        Coverage {
            title: String::new(),
            x_label: "true μ".to_owned(),
            levels: vec![0.6827],
            tolerances: Vec::new(),
            methods: vec![method("exact"), method("learned")],
            notes: Vec::new(),
        }
    }

    #[test]
    fn methods_stand_side_by_side_within_one_step() {
        let figure = coverage(&[(-1.0, 0.68), (0.0, 0.7), (0.5, f64::NAN), (2.0, 0.6)]);
        assert_eq!(figure.parameters(), [-1.0, 0.0, 2.0]);
        assert_eq!(figure.shift(0), -figure.shift(1));
        assert!(figure.shift(1) > 0.0 && figure.shift(1) < 0.5);
    }

    #[test]
    fn figures_without_points_or_with_wrong_lists_are_errors() {
        let error = coverage(&[(0.0, f64::NAN)]).draw().expect_err("no point");
        assert_eq!(
            error.to_string(),
            "coverage against true μ: nothing to draw; give at least one level with a finite point"
        );
        let mut figure = coverage(&[(0.0, 0.7)]);
        figure.levels.push(0.9545);
        let error = figure.draw().expect_err("one list for two levels");
        assert_eq!(
            error.to_string(),
            "levels of \"exact\": found 1 entries, expected 2"
        );
    }

    #[test]
    fn the_axis_holds_points_nominal_and_band() {
        let mut figure = coverage(&[(0.0, 0.9)]);
        figure.tolerances = vec![0.1];
        let (low, high) = figure.range(0);
        assert!(low < 58.27 && high > 91.0);
        assert!(figure.draw().expect("a point").svg.contains("68.27 %"));
    }
}
