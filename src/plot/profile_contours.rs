//! Confidence regions of two parameters: lines of equal t = −2 Δ log L.

use serde::{Deserialize, Serialize};

use super::axes::{Axis, Scale};
use super::canvas::{Canvas, Stroke};
use super::isolines::Grid;
use super::legend::strip::Strip;
use super::legend::{Entry, Key};
use super::levels::percent;
use super::panel::Panel;
use super::shapes::Marker;
use super::style::{BLUE, BOTTOM, DASHES, INK, LEFT, PALETTE, RIGHT, WIDTH};
use super::{Figure, PlotError, check_length};

/// Height of the panel.
const HEIGHT: f64 = 440.0;
/// Opacity of the cells inside the innermost region.
const AREA_OPACITY: f64 = 0.14;

/// Regions of two parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProfileContours {
    /// Line after the brand.
    #[serde(default)]
    pub title: String,
    /// Label of the x axis: the first parameter, with its unit.
    pub x_label: String,
    /// Label of the y axis: the second one.
    pub y_label: String,
    /// Values of the first parameter, rising, `[nx]`.
    pub x: Vec<f64>,
    /// Values of the second one, rising, `[ny]`.
    pub y: Vec<f64>,
    /// t, `[nx][ny]`; not finite where the fit failed.
    pub t: Vec<Vec<f64>>,
    /// Confidence levels and the t at their borders, in rising order.
    pub levels: Vec<(f64, f64)>,
    pub best_fit: (f64, f64),
    /// Small lines below the title.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl ProfileContours {
    /// Draws the figure.
    ///
    /// # Errors
    /// [`PlotError`] if there are fewer than two values of a parameter or `t` is not
    /// `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        super::check_edges(&format!("values of {}", self.x_label), &self.x)?;
        super::check_edges(&format!("values of {}", self.y_label), &self.y)?;
        check_length("columns of t", self.t.len(), self.x.len())?;
        for (index, column) in self.t.iter().enumerate() {
            let what = format!("column {index} of t");
            check_length(&what, column.len(), self.y.len())?;
        }
        let strip = self.strip();
        let ends = (LEFT, WIDTH - RIGHT);
        let top = strip.height(ends);
        let mut canvas = Canvas::new(WIDTH, top + HEIGHT + BOTTOM);
        let axis = |values: &[f64], pixels| {
            Axis::new(Scale::Linear, values[0], values[values.len() - 1], pixels)
        };
        let panel = Panel {
            x: axis(&self.x, ends),
            y: axis(&self.y, (top + HEIGHT, top)),
        };
        panel.clipped(&mut canvas, |canvas| {
            self.regions(canvas, &panel);
            let (x, y) = self.best_fit;
            BEST.draw(canvas, panel.at(x, y));
        });
        panel.frame(&mut canvas, Some(&self.x_label), &self.y_label);
        strip.draw(&mut canvas, ends);
        Ok(canvas.finish())
    }

    fn regions(&self, canvas: &mut Canvas, panel: &Panel) {
        // the square root of t is linear where t is a parabola
        let column = |t: &Vec<f64>| t.iter().map(|t| t.sqrt()).collect();
        let roots: Vec<Vec<f64>> = self.t.iter().map(column).collect();
        let grid = Grid {
            x: &self.x,
            y: &self.y,
            values: &roots,
        };
        for (index, (_, t)) in self.levels.iter().enumerate() {
            for line in grid.lines(t.sqrt()) {
                let points: Vec<(f64, f64)> = line.iter().map(|(x, y)| panel.at(*x, *y)).collect();
                if index == 0 && line.first() == line.last() {
                    canvas.polygon(&points, BLUE, AREA_OPACITY);
                }
                canvas.polyline(&points, look(index));
            }
        }
    }

    fn strip(&self) -> Strip<'static> {
        let line = |(index, (level, t)): (usize, &(f64, f64))| Entry {
            label: format!("{} (t < {t:.2})", percent(*level)),
            key: Key::Line(look(index)),
        };
        let mut entries: Vec<Entry<'static>> = self.levels.iter().enumerate().map(line).collect();
        entries.push(Entry {
            label: "best fit".to_owned(),
            key: Key::Symbol(BEST),
        });
        let mut notes = self.notes.clone();
        let failed = self.t.iter().flatten().filter(|t| !t.is_finite()).count();
        if failed > 0 {
            let all = self.x.len() * self.y.len();
            notes.push(format!("{failed} of {all} points without a fit, left out"));
        }
        Strip {
            title: self.title.clone(),
            notes,
            entries,
        }
    }
}

/// Line of the n-th level.
fn look(level: usize) -> Stroke<'static> {
    Stroke::solid(PALETTE[level % PALETTE.len()], 2.0).dashed(DASHES[level % DASHES.len()])
}

/// The best fit.
const BEST: Marker<'static> = Marker {
    colour: INK,
    filled: true,
    radius: 4.0,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> ProfileContours {
        let x: Vec<f64> = (0..21).map(|i| f64::from(i) / 5.0 - 2.0).collect();
        let t = |a: &f64| x.iter().map(|b| 3.0 * (a * a + b * b - a * b)).collect();
        ProfileContours {
            title: String::new(),
            x_label: "μ".to_owned(),
            y_label: "shape".to_owned(),
            t: x.iter().map(t).collect(),
            y: x.clone(),
            x,
            levels: vec![(0.6827, 2.3), (0.9545, 6.18)],
            best_fit: (0.0, 0.0),
            notes: Vec::new(),
        }
    }

    #[test]
    fn regions_are_drawn_and_failures_counted() {
        let mut contours = figure();
        contours.t[3][4] = f64::NAN;
        let svg = contours.draw().expect("a grid").svg;
        for part in ["68.27 %", "95.45 %", "1 of 441 points without a fit"] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn a_grid_that_does_not_fit_is_refused() {
        let mut contours = figure();
        contours.t[2].pop();
        assert!(matches!(contours.draw(), Err(PlotError::Length { .. })));
        let mut contours = figure();
        contours.x[1] = contours.x[0];
        assert!(matches!(contours.draw(), Err(PlotError::Edges { .. })));
    }
}
