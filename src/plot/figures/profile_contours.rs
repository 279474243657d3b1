//! Confidence regions of two parameters: lines of equal t = −2 Δ log L, by marching squares.

use super::*;
use std::collections::BTreeMap;

/// Opacity of the cells inside the innermost region.
const AREA_OPACITY: f64 = 0.14;
const BEST: Marker<'_> = Marker::dot(INK, 4.0);

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
        let grid = Grid {
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

fn look(level: usize) -> Stroke<'static> {
    series_look(level, 2.0)
}

/// Values on a grid, `[nx][ny]`, at rising coordinates; not finite means no value, and no
/// line passes the cells around.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid<'a> {
    pub(super) x: &'a [f64],
    pub(super) y: &'a [f64],
    pub(super) values: &'a [Vec<f64>],
}

/// A line: from border to border, or closed if its first point is its last.
pub(super) type Line = Vec<(f64, f64)>;

/// An edge of a cell that a line crosses: its lower left corner, and whether it runs
/// along x.
type Edge = (usize, usize, bool);

impl Grid<'_> {
    /// All lines along which the values, linear between neighbours, are `level`.
    pub(super) fn lines(&self, level: f64) -> Vec<Line> {
        let mut links: BTreeMap<Edge, Vec<Edge>> = BTreeMap::new();
        for i in 0..self.x.len().saturating_sub(1) {
            for j in 0..self.y.len().saturating_sub(1) {
                for (a, b) in self.segments(level, i, j) {
                    links.entry(a).or_default().push(b);
                    links.entry(b).or_default().push(a);
                }
            }
        }
        let mut lines = Vec::new();
        // open lines first, from an end; what is left is closed
        while let Some(start) = next_start(&links) {
            let edges = follow(&mut links, start);
            let points = edges.into_iter().map(|edge| self.crossing(level, edge));
            lines.push(points.collect());
        }
        lines
    }

    /// Pairs of edges of one cell that a line joins.
    fn segments(&self, level: f64, i: usize, j: usize) -> Vec<(Edge, Edge)> {
        let corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)];
        let values = corners.map(|(i, j)| self.values[i][j]);
        if values.iter().any(|v| !v.is_finite()) {
            return Vec::new();
        }
        let edges = [
            (i, j, true),
            (i + 1, j, false),
            (i, j + 1, true),
            (i, j, false),
        ];
        let above = values.map(|v| v > level);
        let crossed: Vec<Edge> = (0..4)
            .filter(|k| above[*k] != above[(*k + 1) % 4])
            .map(|k| edges[k])
            .collect();
        match crossed.as_slice() {
            [a, b] => vec![(*a, *b)],
            // a saddle: its middle says which corners belong together
            [a, b, c, d] => {
                let middle = values.iter().sum::<f64>() / 4.0 > level;
                if middle == above[0] {
                    vec![(*a, *b), (*c, *d)]
                } else {
                    vec![(*d, *a), (*b, *c)]
                }
            }
            _ => Vec::new(),
        }
    }

    fn crossing(&self, level: f64, (i, j, along_x): Edge) -> (f64, f64) {
        let (k, l) = if along_x { (i + 1, j) } else { (i, j + 1) };
        let (from, to) = (self.values[i][j], self.values[k][l]);
        let part = (level - from) / (to - from);
        let between = |a: f64, b: f64| a + part * (b - a);
        (between(self.x[i], self.x[k]), between(self.y[j], self.y[l]))
    }
}

fn next_start(links: &BTreeMap<Edge, Vec<Edge>>) -> Option<Edge> {
    let end = links.iter().find(|(_, to)| to.len() == 1);
    end.or_else(|| links.iter().next()).map(|(edge, _)| *edge)
}

/// Walks along a line and takes it out of the links.
fn follow(links: &mut BTreeMap<Edge, Vec<Edge>>, start: Edge) -> Vec<Edge> {
    let mut edges = vec![start];
    let mut at = start;
    while let Some(next) = links.get_mut(&at).and_then(Vec::pop) {
        if links[&at].is_empty() {
            links.remove(&at);
        }
        if let Some(back) = links.get_mut(&next) {
            if let Some(place) = back.iter().position(|edge| *edge == at) {
                back.remove(place);
            }
            if back.is_empty() {
                links.remove(&next);
            }
        }
        edges.push(next);
        at = next;
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::examples;

    /// Lines of a function over a square, of which one value can be missing.
    fn lines(
        value: impl Fn(f64, f64) -> f64,
        missing: Option<(usize, usize)>,
        level: f64,
    ) -> Vec<Line> {
        let x: Vec<f64> = (0..41).map(|i| f64::from(i) / 10.0 - 2.0).collect();
        let column = |a: &f64| x.iter().map(|b| value(*a, *b)).collect();
        let mut values: Vec<Vec<f64>> = x.iter().map(column).collect();
        if let Some((i, j)) = missing {
            values[i][j] = f64::NAN;
        }
        let (y, values) = (&x, &values);
        Grid { x: &x, y, values }.lines(level)
    }

    #[test]
    fn a_cone_has_circles() {
        let cone = |a: f64, b: f64| (a * a + b * b).sqrt();
        let circles = lines(cone, None, 1.5);
        assert_eq!(circles.len(), 1);
        assert_eq!(circles[0].first(), circles[0].last());
        for (a, b) in &circles[0] {
            assert!((a.hypot(*b) - 1.5).abs() < 2e-3, "{a} {b}");
        }
        // a circle that the frame cuts at its four corners alone
        assert_eq!(lines(cone, None, 2.4).len(), 4);
        assert!(lines(cone, None, 9.0).is_empty());
    }

    #[test]
    fn two_minima_have_two_lines_and_cells_without_a_value_none() {
        let minima = |a: f64, b: f64| ((a.abs() - 1.0).powi(2) + b * b).sqrt();
        assert_eq!(lines(minima, None, 0.5).len(), 2);
        let cut = lines(minima, Some((10, 25)), 0.5);
        assert_eq!(cut.len(), 2);
        let closed = |line: &&Line| line.first() == line.last();
        assert_eq!(cut.iter().filter(closed).count(), 1);
    }

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
