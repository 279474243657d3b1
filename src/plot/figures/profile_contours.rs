//! Confidence regions of two parameters: lines of equal t = −2 Δ log L.

use super::*;

/// Opacity of the cells inside the innermost region.
const AREA_OPACITY: f64 = 0.14;
const BEST: Marker<'_> = Marker::dot(INK, 4.0);

/// Regions of two parameters.
pub(crate) struct ProfileContours {
    pub title: String,
    /// The first parameter, with its unit.
    pub x_label: String,
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
}

impl ProfileContours {
    /// Draws the figure; an error if there are fewer than two values of a parameter or `t` is not
    /// `nx` by `ny`.
    pub(crate) fn draw(&self) -> Result<Figure, PlotError> {
        check::rising(&format!("values of {}", self.x_label), &self.x)?;
        check::rising(&format!("values of {}", self.y_label), &self.y)?;
        check::columns("t", &self.t, (self.x.len(), self.y.len()))?;
        let axis = |values: &[f64]| Axis::linear(values[0], values[values.len() - 1]);
        let chart = Chart::below(self.head(), &[440.0], 0.0)
            .x(&self.x_label, axis(&self.x))
            .row(&self.y_label, axis(&self.y), self.marks());
        Ok(chart.draw())
    }

    fn marks(&self) -> Vec<Mark<'_>> {
        // the square root of t is linear where t is a parabola
        let column = |t: &Vec<f64>| t.iter().map(|t| t.sqrt()).collect();
        let roots: Vec<Vec<f64>> = self.t.iter().map(column).collect();
        let grid = isolines::Grid {
            x: &self.x,
            y: &self.y,
            values: &roots,
        };
        let mut marks = Vec::new();
        for (index, (_, t)) in self.levels.iter().enumerate() {
            for line in grid.lines(t.sqrt()) {
                if index == 0 && line.first() == line.last() {
                    marks.push(Mark::Area(line.clone(), Fill(BLUE, AREA_OPACITY)));
                }
                marks.push(Mark::Line(line, look(index)));
            }
        }
        marks.push(Mark::Points(vec![self.best_fit], BEST));
        marks
    }

    fn head(&self) -> Head<'_> {
        let line = |(index, (level, t)): (usize, &(f64, f64))| {
            let label = format!("{} (t < {t:.2})", percent(*level));
            Entry::new(label, Key::Line(look(index)))
        };
        let best = Entry::new("best fit", Key::Symbol(BEST));
        let failed = self.t.iter().flatten().filter(|t| !t.is_finite()).count();
        let all = self.x.len() * self.y.len();
        let levels = self.levels.iter().enumerate().map(line);
        let head = Head::new(&self.title, levels.chain([best]).collect());
        head.counted(failed, all, "points")
    }
}

/// Line of the n-th level.
fn look(level: usize) -> Stroke<'static> {
    series_look(level, 2.0)
}

#[cfg(test)]
mod tests {
    use crate::plot::examples;

    #[test]
    fn regions_are_drawn_and_failures_counted() {
        let mut contours = examples::profile_contours(&[0.9545; 21]);
        contours.t[3][4] = f64::NAN;
        let svg = contours.draw().expect("a grid").svg;
        for part in ["68.27 %", "95.45 %", "1 of 441 points without a fit"] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
