//! Lines of equal value on a grid, by marching squares.

use std::collections::BTreeMap;

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

    fn grid(n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| -2.0 + 4.0 * i as f64 / (n - 1) as f64)
            .collect()
    }

    fn values(x: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
        let column = |a: &f64| x.iter().map(|b| f(*a, *b)).collect();
        x.iter().map(column).collect()
    }

    #[test]
    fn a_cone_has_circles() {
        let x = grid(41);
        let values = values(&x, |a, b| (a * a + b * b).sqrt());
        let grid = Grid {
            x: &x,
            y: &x,
            values: &values,
        };
        let lines = grid.lines(1.5);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].first(), lines[0].last());
        for (a, b) in &lines[0] {
            assert!((a.hypot(*b) - 1.5).abs() < 2e-3, "{a} {b}");
        }
        // a circle that the frame cuts at its four corners alone
        assert_eq!(grid.lines(2.4).len(), 4);
        assert!(grid.lines(9.0).is_empty());
    }

    #[test]
    fn two_minima_have_two_lines_and_cells_without_a_value_none() {
        let x = grid(41);
        let mut values = values(&x, |a, b| ((a.abs() - 1.0).powi(2) + b * b).sqrt());
        let of = |values: &[Vec<f64>]| {
            Grid {
                x: &x,
                y: &x,
                values,
            }
            .lines(0.5)
        };
        assert_eq!(of(&values).len(), 2);
        values[2 + 8][20 + 5] = f64::NAN;
        let cut = of(&values);
        assert_eq!(cut.len(), 2);
        let closed = |line: &&Line| line.first() == line.last();
        assert_eq!(cut.iter().filter(closed).count(), 1);
    }
}
