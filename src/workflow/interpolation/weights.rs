//! What sampled events weigh, bin by bin of the plane, and what is known of that.
//!
//! `predictions/plane.parquet` has a row a bin of each category's plane: `category`, by its place
//! in the list, `plane_bin`, the `weight` of sampled events there, its `relative_error` from what
//! all is scaled to, and a weight a draw of the Gaussian process. So any histogram of sampled
//! events has all errors of the run.

use crate::error::{Context, Error, Kind, Result};
use crate::events::{Dataset, Hidden, Resolver, ScanRequest};
use crate::files::Sink;
use arrow::array::{ArrayRef, Float64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use sideband_numerics::expression::written;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Its place in a run directory.
pub(in crate::workflow) const FILE: &str = "predictions/plane.parquet";
/// Columns before those of the draws.
const COLUMNS: [&str; 4] = ["category", "plane_bin", "weight", "relative_error"];
/// Most numbers of a file that is read.
const MOST_NUMBERS: usize = 1 << 27;

/// What the sampled events of a category weigh.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CategoryWeights {
    /// Weight of an event.
    pub weight: f64,
    /// Relative error of the counts that it stands on: of the observed events outside the
    /// holes, and of the samples there.
    pub relative_error: f64,
    /// The weight in each draw from the posterior, `[draw][plane bin]`.
    pub draws: Vec<Vec<f64>>,
}

/// What all of them weigh. A bin of a category's plane is a *cell*, a category's after the
/// other's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PlaneWeights {
    /// Bins of a plane.
    pub bins: usize,
    pub categories: Vec<CategoryWeights>,
}

impl PlaneWeights {
    /// Number of cells.
    pub(crate) fn cells(&self) -> usize {
        self.bins * self.categories.len()
    }

    /// The cell of a plane's bin.
    pub(crate) fn cell(&self, category: usize, bin: usize) -> usize {
        category * self.bins + bin
    }

    /// Draws that all categories have.
    pub(crate) fn draws(&self) -> usize {
        let draws = self.categories.iter().map(|c| c.draws.len());
        draws.min().unwrap_or(0)
    }

    /// Contents of a histogram with other weights of the planes' bins. `counts`: its events,
    /// `[cells, bins]`.
    pub(super) fn contents(
        &self,
        counts: &[f64],
        weight: impl Fn(usize, usize) -> f64,
    ) -> Vec<f64> {
        let bins = counts.len() / self.cells().max(1);
        let mut contents = vec![0.0; bins];
        for (cell, counts) in counts.chunks(bins.max(1)).enumerate() {
            if counts.iter().all(|c| *c == 0.0) {
                continue;
            }
            let weight = weight(cell / self.bins, cell % self.bins);
            for (content, count) in contents.iter_mut().zip(counts) {
                *content += weight * count;
            }
        }
        contents
    }

    /// Contents as they are.
    pub(crate) fn nominal(&self, counts: &[f64]) -> Vec<f64> {
        self.contents(counts, |category, _| self.categories[category].weight)
    }

    /// Sums of squared weights.
    pub(crate) fn variances(&self, counts: &[f64]) -> Vec<f64> {
        self.contents(counts, |c, _| self.categories[c].weight.powi(2))
    }

    /// Contents with each draw of the Gaussian processes.
    pub(crate) fn drawn(&self, counts: &[f64]) -> impl Iterator<Item = Vec<f64>> {
        let of = move |draw: usize| {
            self.contents(counts, |category, bin| {
                self.categories[category].draws[draw][bin]
            })
        };
        (0..self.draws()).map(of)
    }

    /// What contents change by where what one category is scaled to is one error larger, for
    /// each.
    pub(crate) fn shifts(&self, counts: &[f64]) -> impl Iterator<Item = Vec<f64>> {
        let of = move |shifted: usize| {
            self.contents(counts, |c, _| match c == shifted {
                true => self.categories[c].weight * self.categories[c].relative_error,
                false => 0.0,
            })
        };
        (0..self.categories.len()).map(of)
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let draws = self.draws();
        let (place, real) = (DataType::UInt32, DataType::Float64);
        let kinds = [place.clone(), place, real.clone(), real];
        let fields = COLUMNS.iter().zip(kinds);
        let fields = fields.map(|(name, kind)| Field::new(*name, kind, false));
        let number = |draw: usize| Field::new(column(draw), DataType::Float64, false);
        let fields: Vec<Field> = fields.chain((0..draws).map(number)).collect();
        let cells = 0..self.cells();
        let places = |place: &dyn Fn(usize) -> usize| -> ArrayRef {
            let places = cells.clone().map(|cell| place(cell) as u32);
            Arc::new(UInt32Array::from_iter_values(places))
        };
        let numbers = |of: &dyn Fn(&CategoryWeights, usize) -> f64| -> ArrayRef {
            let categories = |cell: usize| &self.categories[cell / self.bins];
            let numbers = cells
                .clone()
                .map(|cell| of(categories(cell), cell % self.bins));
            Arc::new(Float64Array::from_iter_values(numbers))
        };
        let mut columns = vec![
            places(&|cell| cell / self.bins),
            places(&|cell| cell % self.bins),
            numbers(&|category, _| category.weight),
            numbers(&|category, _| category.relative_error),
        ];
        columns.extend((0..draws).map(|draw| numbers(&|c, bin| c.draws[draw][bin])));
        let mut sink = Sink::create(path, FILE, Schema::new(fields))?;
        sink.push(columns)?;
        sink.finish()
    }

    /// Reads the file of so many categories, plane bins and draws.
    ///
    /// # Errors
    /// Also if it has others.
    pub(in crate::workflow) fn read(
        dataset: &Dataset,
        [categories, bins, draws]: [usize; 3],
    ) -> Result<Self> {
        let cells = categories.saturating_mul(bins);
        let numbers = cells.saturating_mul(draws.saturating_add(COLUMNS.len()));
        if numbers > MOST_NUMBERS {
            return Err(Error::data(format!(
                "{FILE}: {draws} draws of {cells} bins are more than {MOST_NUMBERS} numbers, the \
                 most that are read: lower interpolation.posterior_draws"
            )));
        }
        let damaged =
            |what: String| Error::data(format!("{FILE} is not as it was written: {what}"));
        if dataset.rows() != cells as u64 {
            return Err(damaged(format!("{} rows, not {cells}", dataset.rows())));
        }
        let resolver = Resolver::new(dataset.columns(), &BTreeMap::new())?;
        let compile = |name: String| {
            let compiled = resolver.compile(&written(&name)).of(Kind::Data)?;
            Ok::<_, Error>((name, compiled))
        };
        let names = COLUMNS.map(str::to_owned).into_iter();
        let request = ScanRequest {
            columns: names
                .chain((0..draws).map(column))
                .map(compile)
                .collect::<Result<_>>()?,
            ..ScanRequest::new(Hidden::nothing())
        };
        let table = dataset.scan(&request, None)?;
        let columns: Vec<&[f64]> = table.columns.iter().map(|(_, c)| c.as_slice()).collect();
        let [category, bin, weight, error, drawn @ ..] = columns.as_slice() else {
            return Err(Error::internal("a plane has no columns"));
        };
        let is_own = |cell: usize| {
            let place = [category[cell], bin[cell]];
            place == [(cell / bins) as f64, (cell % bins) as f64]
        };
        let is_finite = columns.iter().all(|c| c.iter().all(|x| x.is_finite()));
        if table.len() != cells || !is_finite || !(0..cells).all(is_own) {
            return Err(damaged("its bins are not those of the plane".to_owned()));
        }
        let of = |number: usize| {
            let own = number * bins..(number + 1) * bins;
            CategoryWeights {
                weight: weight[own.start],
                relative_error: error[own.start],
                draws: drawn.iter().map(|d| d[own.clone()].to_vec()).collect(),
            }
        };
        Ok(Self {
            bins,
            categories: (0..categories).map(of).collect(),
        })
    }
}

/// The column of a draw.
fn column(draw: usize) -> String {
    format!("draw_{draw:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> PlaneWeights {
        let category = |weight: f64, draws: [[f64; 2]; 2]| CategoryWeights {
            weight,
            relative_error: 0.1,
            draws: draws.map(Vec::from).into(),
        };
        PlaneWeights {
            bins: 2,
            categories: vec![
                category(0.5, [[0.5, 0.75], [0.25, 0.5]]),
                category(2.0, [[1.0, 2.0], [3.0, 2.0]]),
            ],
        }
    }

    #[test]
    fn histograms_of_sampled_events_have_the_errors_of_their_cells() {
        let weights = weights();
        // three bins; cells: both bins of one plane, then of the other
        let counts = [
            [4.0, 0.0, 0.0],
            [0.0, 4.0, 0.0],
            [1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0],
        ];
        let counts = counts.concat();
        assert_eq!(weights.nominal(&counts), [4.0, 2.0, 0.0]);
        assert_eq!(weights.variances(&counts), [5.0, 1.0, 0.0]);
        let drawn: Vec<Vec<f64>> = weights.drawn(&counts).collect();
        assert_eq!(drawn, [[3.0, 3.0, 0.0], [4.0, 2.0, 0.0]]);
        let shifts: Vec<Vec<f64>> = weights.shifts(&counts).collect();
        let expected = [[0.2, 0.2, 0.0], [0.2, 0.0, 0.0]];
        for (shift, expected) in shifts.iter().flatten().zip(expected.concat()) {
            assert!((shift - expected).abs() < 1e-15, "{shifts:?}");
        }
        assert_eq!((weights.cells(), weights.cell(1, 1)), (4, 3));
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plane.parquet");
        weights().write(&path).unwrap();
        let dataset = Dataset::open(&[path.display().to_string()], Path::new("")).unwrap();
        let read = |shape| PlaneWeights::read(&dataset, shape);
        assert_eq!(read([2, 2, 2]).unwrap(), weights());
        for (shape, words) in [
            ([1, 2, 2], "4 rows, not 2"),
            ([1, 4, 2], "not those of the plane"),
            ([2, 2, 3], "draw_0002"),
            ([2, 2, usize::MAX], "lower interpolation.posterior_draws"),
        ] {
            let error = read(shape).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
