//! The cells of a plane as they are drawn: its bins, or blocks of them if there
//! are more than a picture shows and a file should hold.

use std::ops::Range;

use super::super::axes::Axis;
use super::super::canvas::Canvas;
use super::super::colours::{self, ColourMap, LEVELS};
use super::super::panel::Panel;

/// Most bins along an axis that are drawn; finer planes are averaged in blocks.
const FINEST: usize = 48;

/// The binning as it is drawn.
pub(super) struct Binning {
    /// Edges of the drawn cells along x.
    pub(super) x_edges: Vec<f64>,
    /// Edges of the drawn cells along y.
    pub(super) y_edges: Vec<f64>,
    /// Bins along x and y, as given.
    bins: (usize, usize),
    /// Bins along x and y that make one drawn cell.
    pub(super) block: (usize, usize),
}

impl Binning {
    /// Binning for a plane with these edges.
    pub(super) fn of(x_edges: &[f64], y_edges: &[f64]) -> Self {
        let block = |edges: &[f64]| (edges.len() - 1).div_ceil(FINEST);
        let coarse = |edges: &[f64], block: usize| -> Vec<f64> {
            let mut kept: Vec<f64> = edges.iter().copied().step_by(block).collect();
            if !(edges.len() - 1).is_multiple_of(block) {
                kept.extend(edges.last());
            }
            kept
        };
        let block = (block(x_edges), block(y_edges));
        Self {
            x_edges: coarse(x_edges, block.0),
            y_edges: coarse(y_edges, block.1),
            bins: (x_edges.len() - 1, y_edges.len() - 1),
            block,
        }
    }

    /// Bins of a drawn cell.
    pub(super) fn bins(&self, i: usize, j: usize) -> impl Iterator<Item = (usize, usize)> {
        let range =
            |cell: usize, block: usize, bins: usize| (cell * block)..((cell + 1) * block).min(bins);
        let rows = range(j, self.block.1, self.bins.1);
        range(i, self.block.0, self.bins.0).flat_map(move |i| rows.clone().map(move |j| (i, j)))
    }

    /// One value for each drawn cell.
    pub(super) fn cell_values<T>(&self, value: impl Fn(usize, usize) -> T) -> Vec<Vec<T>> {
        let (nx, ny) = (self.x_edges.len() - 1, self.y_edges.len() - 1);
        let value = &value;
        let column = |i: usize| (0..ny).map(move |j| value(i, j)).collect();
        (0..nx).map(column).collect()
    }

    /// Mean over each drawn cell of the values that are finite.
    pub(super) fn average(&self, value: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
        self.cell_values(|i, j| {
            let values = self.bins(i, j).map(|(i, j)| value(i, j));
            let finite: Vec<f64> = values.filter(|value| value.is_finite()).collect();
            // Divided first: a sum of huge values is not finite.
            let count = finite.len() as f64;
            match finite.is_empty() {
                true => f64::NAN,
                false => finite.iter().map(|value| value / count).sum(),
            }
        })
    }

    /// Draws cell values, equal neighbours of a column as one.
    pub(super) fn cells(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        values: &[Vec<f64>],
        (z, map): (&Axis, ColourMap),
    ) {
        let mut by_level: Vec<Vec<[f64; 4]>> = vec![Vec::new(); LEVELS];
        for (i, column) in values.iter().enumerate() {
            let level = |value: &f64| {
                value
                    .is_finite()
                    .then(|| colours::level(z.fraction(*value)))
            };
            let levels: Vec<Option<usize>> = column.iter().map(level).collect();
            for (range, level) in runs(&levels) {
                if let Some(level) = level {
                    let (x0, y0) = panel.at(self.x_edges[i], self.y_edges[range.start]);
                    let (x1, y1) = panel.at(self.x_edges[i + 1], self.y_edges[range.end]);
                    by_level[level].push([x0, y0, x1, y1]);
                }
            }
        }
        for (level, rectangles) in by_level.iter().enumerate() {
            if !rectangles.is_empty() {
                canvas.cells(rectangles, &map.colour(level));
            }
        }
    }
}

/// Ranges of equal neighbours.
pub(super) fn runs<T: Copy + PartialEq>(values: &[T]) -> Vec<(Range<usize>, T)> {
    let mut start = 0;
    let chunks = values.chunk_by(|a, b| a == b);
    chunks
        .map(|chunk| {
            let range = start..start + chunk.len();
            start = range.end;
            (range, chunk[0])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fine_planes_are_drawn_in_blocks() {
        let edges: Vec<f64> = (0..=100).map(f64::from).collect();
        let binning = Binning::of(&edges, &edges[..6]);
        assert_eq!(binning.block, (3, 1));
        assert_eq!(binning.x_edges.len(), 35);
        assert_eq!(binning.x_edges[32..], [96.0, 99.0, 100.0]);
        assert_eq!(binning.bins(33, 0).collect::<Vec<_>>(), [(99, 0)]);
        let average = binning.average(|i, _| if i == 1 { f64::NAN } else { i as f64 });
        assert_eq!((average[0][0], average[33][4]), (1.0, 99.0));
    }

    #[test]
    fn runs_join_equal_neighbours() {
        assert_eq!(runs(&[1, 1, 2, 1]), [(0..2, 1), (2..3, 2), (3..4, 1)]);
        assert!(runs::<u8>(&[]).is_empty());
    }
}
