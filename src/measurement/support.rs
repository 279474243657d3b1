//! Whether the reference has events wherever a process has them.

use sideband_numerics::Edges;

/// Cells along a feature.
const CELLS: usize = 12;

/// Where the reference has events: in cells of pairs of features.
pub(super) struct Support {
    edges: Vec<Option<Edges>>,
    /// `[pair][cell]`
    occupied: Vec<Vec<bool>>,
}

/// What of a process lies where the reference has nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    /// Share of its weight.
    pub share: f64,
    /// The two features in which that is seen.
    pub features: [usize; 2],
}

fn pairs(columns: usize) -> impl Iterator<Item = [usize; 2]> {
    let first = move |i| (i + 1..columns).map(move |j| [i, j]);
    let all = (0..columns).flat_map(first);
    // one feature alone is a pair with itself
    all.chain((columns == 1).then_some([0, 0]))
}

impl Support {
    /// Cells between the extremes of both samples; rows are `[n, columns]`.
    pub(super) fn new<'r>(
        columns: usize,
        reference: impl Fn() -> Box<dyn Iterator<Item = &'r [f32]> + 'r>,
        process: impl Fn() -> Box<dyn Iterator<Item = (&'r [f32], f64)> + 'r>,
    ) -> Self {
        let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); columns];
        let mut widen = |row: &[f32]| {
            for (range, x) in range.iter_mut().zip(row) {
                let x = f64::from(*x);
                *range = (range.0.min(x), range.1.max(x));
            }
        };
        reference().for_each(&mut widen);
        process().for_each(|(row, _)| widen(row));
        let edges: Vec<Option<Edges>> = range
            .into_iter()
            .map(|(low, high)| Edges::uniform(CELLS, low, high).ok())
            .collect();
        let mut support = Self {
            occupied: pairs(columns).map(|_| vec![false; CELLS * CELLS]).collect(),
            edges,
        };
        for row in reference() {
            for (number, pair) in pairs(columns).enumerate() {
                if let Some(cell) = support.cell(row, pair) {
                    support.occupied[number][cell] = true;
                }
            }
        }
        support
    }

    fn cell(&self, row: &[f32], [i, j]: [usize; 2]) -> Option<usize> {
        let along = |k: usize| self.edges[k].as_ref()?.find(f64::from(row[k]));
        Some(along(i)? * CELLS + along(j)?)
    }

    /// The largest share, over pairs of features, of a process's weight in cells that
    /// the reference leaves empty.
    pub(super) fn lost<'r>(
        &self,
        columns: usize,
        process: impl Iterator<Item = (&'r [f32], f64)>,
    ) -> Option<Lost> {
        let mut outside = vec![0.0; self.occupied.len()];
        let mut total = 0.0;
        for (row, weight) in process {
            let weight = weight.abs();
            total += weight;
            for (number, pair) in pairs(columns).enumerate() {
                if self
                    .cell(row, pair)
                    .is_some_and(|c| !self.occupied[number][c])
                {
                    outside[number] += weight;
                }
            }
        }
        let worst = outside.iter().copied().zip(pairs(columns));
        let (lost, features) = worst.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (total > 0.0).then(|| Lost {
            share: lost / total,
            features,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_two_dimensions_is_found_though_each_has_none() {
        let grid = |f: fn(i32, i32) -> bool| -> Vec<[f32; 2]> {
            let all = (0..40).flat_map(|i| (0..40).map(move |j| (i, j)));
            let inside = all.filter(|(i, j)| f(*i, *j));
            inside.map(|(i, j)| [i as f32, j as f32]).collect()
        };
        let reference = grid(|i, j| (i < 20) == (j < 20));
        let process = grid(|i, j| i < 20 || j < 30);
        let rows = || -> Box<dyn Iterator<Item = &[f32]>> {
            Box::new(reference.iter().map(<[f32; 2]>::as_slice))
        };
        let weighted = || -> Box<dyn Iterator<Item = (&[f32], f64)>> {
            Box::new(process.iter().map(|r| (r.as_slice(), 2.0)))
        };
        let lost = Support::new(2, rows, weighted).lost(2, weighted()).unwrap();
        // 20 x 20 of 1400 without the cells that the border goes through
        assert!((0.4..0.6).contains(&lost.share), "{lost:?}");
        let fine = Support::new(2, rows, || {
            Box::new(reference.iter().map(|r| (r.as_slice(), 1.0)))
        });
        let inside = reference.iter().map(|r| (r.as_slice(), 1.0));
        assert_eq!(fine.lost(2, inside).unwrap().share, 0.0);
    }
}
