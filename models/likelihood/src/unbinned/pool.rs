//! Events from which many samples are drawn, stored by row: a selected event is one
//! piece of memory, not one per column.

use super::SampleError;
use super::check::check_selection;
use super::layout::Layout;
use super::sample::{LANES, Logs, Sample, Stored};
use std::sync::Arc;

/// Events for pseudo-experiments. Holds a second copy of its sample; selects several
/// times faster than [`Sample::select`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {
    layout: Arc<Layout>,
    events: usize,
    /// `[N, 1 + J]`.
    densities: Arc<Vec<f64>>,
    /// `[N, responses, 2]`.
    logs: Logs,
}

impl Pool {
    /// The events of a sample.
    #[must_use]
    pub fn new(sample: &Sample) -> Self {
        let columns = 2 * sample.layout.responses.len();
        let logs = match &sample.logs {
            Logs::Double(logs) => Logs::Double(by_row(logs, columns, sample.events).into()),
            Logs::Single(logs) => Logs::Single(by_row(logs, columns, sample.events).into()),
        };
        Self {
            layout: Arc::clone(&sample.layout),
            events: sample.events,
            densities: by_row(&sample.densities, 1 + sample.processes(), sample.events).into(),
            logs,
        }
    }

    /// The number of events, `N`.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// Event `rows[i]` with `weights[i]`, such as its multiplicity, for all `i`.
    ///
    /// # Errors
    /// Those of [`Sample::select`].
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Sample, SampleError> {
        check_selection(self.events, rows, weights)?;
        let columns = 2 * self.layout.responses.len();
        let mut densities = by_column(&self.densities, 1 + self.layout.processes.len(), rows);
        Sample::set_weights(&mut densities, &self.layout, weights);
        let logs = match &self.logs {
            Logs::Double(logs) => Logs::Double(by_column(logs, columns, rows).into()),
            Logs::Single(logs) => Logs::Single(by_column(logs, columns, rows).into()),
        };
        Ok(Sample {
            layout: Arc::clone(&self.layout),
            events: rows.len(),
            densities: densities.into(),
            logs,
        })
    }
}

/// From `[N/LANES, columns, LANES]` to `[N, columns]`.
fn by_row<T: Stored>(from: &[T], columns: usize, events: usize) -> Vec<T> {
    let mut to = vec![T::default(); events * columns];
    for (row, to) in to.chunks_exact_mut(columns.max(1)).enumerate() {
        let from = &from[row / LANES * columns * LANES + row % LANES..];
        for (to, from) in to.iter_mut().zip(from.iter().step_by(LANES)) {
            *to = *from;
        }
    }
    to
}

/// The `rows` of `[N, columns]` as `[N/LANES, columns, LANES]`; the last one is
/// repeated.
fn by_column<T: Stored>(from: &[T], columns: usize, rows: &[usize]) -> Vec<T> {
    let stride = columns * LANES;
    let mut to = vec![T::default(); rows.len().div_ceil(LANES) * stride];
    let last = rows[rows.len() - 1];
    for (to, rows) in to.chunks_exact_mut(stride.max(1)).zip(rows.chunks(LANES)) {
        let first = |lane: usize| *rows.get(lane).unwrap_or(&last) * columns;
        let firsts: [usize; LANES] = std::array::from_fn(first);
        for (column, to) in to.chunks_exact_mut(LANES).enumerate() {
            for (to, first) in to.iter_mut().zip(firsts) {
                *to = from[first + column];
            }
        }
    }
    to
}
