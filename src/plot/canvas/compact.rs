//! Many shapes in few bytes, for figures of many panels.
//!
//! A density map is a stack of regions of a grid, the denser on top of the
//! wider. A region's outline takes a few bytes a corner, where a rectangle takes
//! some thirty a cell, and leaves no seams between neighbours.

use super::{Canvas, Stroke, number, stroke_attributes};
use std::fmt::Write as _;

/// East, south, west, north: steps along the outline.
const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

impl Canvas {
    /// Separate lines, from and to, of one look as one path.
    pub(in crate::plot) fn segments(&mut self, segments: &[[(f64, f64); 2]], stroke: Stroke<'_>) {
        let mut path = String::new();
        for [(x0, y0), (x1, y1)] in segments {
            if ![x0, y0, x1, y1].into_iter().all(|at| at.is_finite()) {
                continue;
            }
            let (x, y) = (number(x1 - x0), number(y1 - y0));
            let _ = write!(path, "M{} {}", number(*x0), number(*y0));
            let _ = match (x.as_str(), y.as_str()) {
                ("0", _) => write!(path, "v{y}"),
                (_, "0") => write!(path, "h{x}"),
                _ => write!(path, "l{x} {y}"),
            };
        }
        if !path.is_empty() {
            let attributes = stroke_attributes(stroke);
            self.push(format_args!(
                "<path d=\"{path}\" fill=\"none\"{attributes}/>\n"
            ));
        }
    }

    /// Fills outlines from [`outline`], the first at the bottom. `corner` is the
    /// pixel of the grid's origin, `cell` the width and height of a cell; a
    /// negative height lets rows rise.
    pub(in crate::plot) fn regions<'a>(
        &mut self,
        corner: (f64, f64),
        cell: (f64, f64),
        layers: impl Iterator<Item = (String, &'a str)>,
    ) {
        let finite = |(a, b): (f64, f64)| a.is_finite() && b.is_finite();
        if !(finite(corner) && finite(cell)) {
            return;
        }
        let (x, y) = (number(corner.0), number(corner.1));
        // Hundredths are too coarse for a factor.
        self.push(format_args!(
            "<g transform=\"translate({x} {y}) scale({:.5} {:.5})\">\n",
            cell.0, cell.1
        ));
        for (fill, path) in layers {
            self.push(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>\n"));
        }
        self.push(format_args!("</g>\n"));
    }
}

/// Outline of the cells that are `true` in a grid of `columns`, row after row,
/// as SVG path data in units of cells. Cells that touch at a corner only stay apart.
pub(in crate::plot) fn outline(inside: &[bool], columns: usize) -> String {
    let mut path = String::new();
    if columns == 0 {
        return path;
    }
    let mut edges = Edges::around(inside, columns);
    for start in 0..edges.leaving.len() {
        // In reading order the first corner of a loop is its upper left one,
        // from which the outline goes east, or south around a hole.
        while let Some(first) = (0..4).find(|way| edges.has(start, *way)) {
            let (x, y) = (start % edges.width, start / edges.width);
            let _ = write!(path, "M{x} {y}");
            edges.follow(start, first, &mut path);
        }
    }
    path
}

/// Directed edges between cells inside and outside, the inside on the right hand.
struct Edges {
    /// Bit `way` of a corner: an edge leaves in that direction of [`STEPS`].
    leaving: Vec<u8>,
    /// Corners in a row.
    width: usize,
}

impl Edges {
    fn around(inside: &[bool], columns: usize) -> Self {
        let rows = inside.len() / columns;
        let width = columns + 1;
        let mut leaving = vec![0u8; width * (rows + 1)];
        let is_inside = |column: i64, row: i64| {
            let within = column >= 0 && row >= 0 && column < columns as i64 && row < rows as i64;
            within && inside[row as usize * columns + column as usize]
        };
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (column as i64, row as i64);
                if !is_inside(x, y) {
                    continue;
                }
                let corner = row * width + column;
                let sides = [
                    (corner, (x, y - 1)),
                    (corner + 1, (x + 1, y)),
                    (corner + width + 1, (x, y + 1)),
                    (corner + width, (x - 1, y)),
                ];
                for (way, (from, (x, y))) in sides.into_iter().enumerate() {
                    if !is_inside(x, y) {
                        leaving[from] |= 1 << way;
                    }
                }
            }
        }
        Self { leaving, width }
    }

    fn has(&self, corner: usize, way: usize) -> bool {
        self.leaving[corner] & (1 << way) != 0
    }

    /// Writes one closed loop and removes its edges.
    fn follow(&mut self, start: usize, first: usize, path: &mut String) {
        let (mut corner, mut way, mut length) = (start, first, 0);
        loop {
            self.leaving[corner] &= !(1 << way);
            length += 1;
            let (dx, dy) = STEPS[way];
            corner = (corner as i64 + dx + dy * self.width as i64) as usize;
            if corner == start {
                break;
            }
            // To the right first: around a corner that two cells share.
            let turns = [(way + 1) % 4, way, (way + 3) % 4];
            let Some(next) = turns.into_iter().find(|way| self.has(corner, *way)) else {
                break;
            };
            if next != way {
                write_step(path, way, length);
                length = 0;
            }
            way = next;
        }
        // The last side is drawn by closing.
        path.push('z');
    }
}

fn write_step(path: &mut String, way: usize, length: i64) {
    let (dx, dy) = STEPS[way];
    let _ = match dx {
        0 => write!(path, "v{}", dy * length),
        _ => write!(path, "h{}", dx * length),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_share_a_path() {
        let mut canvas = Canvas::new(10.0, 10.0);
        let lines = [
            [(1.0, 2.0), (1.0, 5.5)],
            [(3.0, 4.0), (2.0, 4.0)],
            [(0.0, f64::NAN), (1.0, 1.0)],
            [(0.0, 0.0), (1.0, 2.0)],
        ];
        canvas.segments(&lines, Stroke::solid("#000000", 1.0));
        canvas.segments(&lines[2..3], Stroke::solid("#000000", 1.0));
        let svg = canvas.finish().svg;
        assert!(svg.contains("d=\"M1 2v3.5M3 4h-1M0 0l1 2\""), "{svg}");
        assert_eq!(svg.matches("<path").count(), 1);
    }

    fn grid(rows: &[&str]) -> (Vec<bool>, usize) {
        let cells = rows.iter().flat_map(|row| row.chars().map(|c| c == '#'));
        (cells.collect(), rows[0].len())
    }

    fn path(rows: &[&str]) -> String {
        let (cells, columns) = grid(rows);
        outline(&cells, columns)
    }

    #[test]
    fn outlines_go_around_regions_and_holes() {
        assert_eq!(path(&["..", ".."]), "");
        assert_eq!(path(&["#"]), "M0 0h1v1h-1z");
        assert_eq!(path(&["##.", "##.", "..."]), "M0 0h2v2h-2z");
        assert_eq!(path(&["###", "#.#", "###"]), "M0 0h3v3h-3zM1 1v1h1v-1z");
        assert_eq!(path(&["#.", ".#"]), "M0 0h1v1h-1zM1 1h1v1h-1z");
        assert_eq!(path(&["#.", "##"]), "M0 0h1v1h1v1h-2z");
        assert_eq!(outline(&[], 0), "");
    }

    /// Cells whose centre a loop encloses, by the even-odd rule, from the path alone.
    fn filled(path: &str, columns: usize, rows: usize) -> Vec<bool> {
        let mut inside = vec![false; columns * rows];
        for part in path.split('z').filter(|part| !part.is_empty()) {
            let mut numbers = part
                .trim_start_matches('M')
                .split(|c: char| c == ' ' || c.is_alphabetic())
                .map(|number| number.parse::<i64>().expect("a whole number"));
            let (mut x, mut y) = (numbers.next().expect("x"), numbers.next().expect("y"));
            let start = (x, y);
            let mut toggle = |x: i64, from: i64, to: i64| {
                for row in from.min(to)..from.max(to) {
                    for column in x..columns as i64 {
                        let cell = &mut inside[(row * columns as i64 + column) as usize];
                        *cell = !*cell;
                    }
                }
            };
            let letters: Vec<char> = part.chars().filter(|c| matches!(c, 'h' | 'v')).collect();
            for (letter, step) in letters.into_iter().zip(numbers) {
                if letter == 'h' {
                    x += step;
                } else {
                    toggle(x, y, y + step);
                    y += step;
                }
            }
            // Closing is one straight side.
            assert!(x == start.0 || y == start.1, "{path}");
            toggle(x, y, start.1);
        }
        inside
    }

    #[test]
    fn outlines_of_any_pattern_enclose_exactly_its_cells() {
        let (columns, rows) = (9, 7);
        let mut state = 12_345u32;
        for density in [10, 30, 50, 70, 90] {
            for _ in 0..40 {
                let cells: Vec<bool> = (0..columns * rows)
                    .map(|_| {
                        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (state >> 16) % 100 < density
                    })
                    .collect();
                assert_eq!(filled(&outline(&cells, columns), columns, rows), cells);
            }
        }
    }
}
