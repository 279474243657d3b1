//! Events of an unbinned channel, stored for evaluation.
//!
//! Per event a weight, and per process a ratio; per response the logarithms of its
//! two end points. All columns of [`LANES`] events lie together, so that an
//! evaluation reads the memory once and in order.

use super::SampleError;
use super::layout::{Layout, Response};
use crate::Interpolation;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Events that are evaluated together.
pub(super) const LANES: usize = 64;

/// The number type in which responses are stored. All arithmetic is in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// f64: 16 bytes per event and response.
    #[default]
    Double,
    /// f32: 8 bytes; a response near 1 is changed by up to 3e-8 of its difference
    /// from 1.
    Single,
}

/// Columns of events, all `[N]`.
#[derive(Clone, Debug)]
pub struct Events<'a> {
    /// Weights `w_i`, of any sign.
    pub weights: &'a [f64],
    /// One entry per process, in the order of the channel's processes.
    pub processes: Vec<ProcessEvents<'a>>,
}

/// What is known of the events under one process.
#[derive(Clone, Debug)]
pub struct ProcessEvents<'a> {
    /// `r_i = p(x_i)/p_ref(x_i)`, not negative.
    pub ratios: &'a [f64],
    /// Changes of the density with nuisance parameters.
    pub responses: Vec<ResponseEvents<'a>>,
}

/// How the density of a process changes with a nuisance parameter, event by event.
#[derive(Clone, Debug)]
pub struct ResponseEvents<'a> {
    /// The place of the parameter in the model.
    pub parameter: usize,
    /// `p(x_i | alpha = -1)/p(x_i)`, positive.
    pub low: &'a [f64],
    /// `p(x_i | alpha = +1)/p(x_i)`, positive.
    pub high: &'a [f64],
    /// The interpolation between them. Codes that add terms keep the density of a process
    /// with one nuisance parameter normalised; codes 1 and 4 do not.
    pub interpolation: Interpolation,
}

/// Events, checked and stored by column. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(super) layout: Arc<Layout>,
    pub(super) events: usize,
    /// Weight and ratios: `[N/LANES, 1 + J, LANES]`; behind the last event it is
    /// repeated with weight 0.
    pub(super) densities: Arc<Vec<f64>>,
    /// `[N/LANES, responses, 2, LANES]`, ln low and ln high.
    pub(super) logs: Logs,
}

/// Logarithms of end points.
#[derive(Clone, Debug)]
pub(super) enum Logs {
    Double(Arc<Vec<f64>>),
    Single(Arc<Vec<f32>>),
}

/// A number as which a logarithm is stored.
pub(super) trait Stored: Copy + Default + Send + Sync + 'static {
    fn from_f64(value: f64) -> Self;
    /// The numbers of a column, in `buffer` if they are not there already.
    fn widen<'a>(column: &'a [Self], buffer: &'a mut [f64]) -> &'a [f64];
}

impl Stored for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn widen<'a>(column: &'a [Self], _: &'a mut [f64]) -> &'a [f64] {
        column
    }
}

impl Stored for f32 {
    #[allow(clippy::cast_possible_truncation)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }

    #[inline(always)]
    fn widen<'a>(column: &'a [Self], buffer: &'a mut [f64]) -> &'a [f64] {
        for (wide, narrow) in buffer.iter_mut().zip(column) {
            *wide = f64::from(*narrow);
        }
        buffer
    }
}

impl Sample {
    /// Checks and stores events.
    ///
    /// # Errors
    /// If columns differ in length, there are no events or processes, all weights
    /// are zero or one is not finite, a ratio is negative or not finite, an end point
    /// of a response is not positive or not finite, or a parameter has two
    /// responses in one process.
    pub fn new(events: &Events<'_>, storage: Storage) -> Result<Self, SampleError> {
        super::check::check(events)?;
        let layout = Arc::new(Layout::new(events));
        let logs = match storage {
            Storage::Double => Logs::Double(logs(events)),
            Storage::Single => Logs::Single(logs(events)),
        };
        Ok(Self {
            densities: densities(events, &layout),
            layout,
            events: events.weights.len(),
            logs,
        })
    }

    /// The number of events, `N`.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// The number of processes, `J`.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.layout.processes.len()
    }

    /// The places of the parameters on which the densities depend.
    #[must_use]
    pub fn parameters(&self) -> &[usize] {
        &self.layout.slots
    }

    /// The weights of the events, in order.
    pub fn weights(&self) -> impl Iterator<Item = f64> {
        let stride = self.stride();
        (0..self.events).map(move |i| self.densities[i / LANES * stride + i % LANES])
    }

    /// `sum_i w_i`.
    #[must_use]
    pub fn total_weight(&self) -> f64 {
        self.weights().sum()
    }

    /// Bytes of memory that hold the events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let logs = match &self.logs {
            Logs::Double(logs) => size_of_val(logs.as_slice()),
            Logs::Single(logs) => size_of_val(logs.as_slice()),
        };
        size_of_val(self.densities.as_slice()) + logs
    }

    /// Some of the events, with new weights: event `rows[i]` with `weights[i]`, such
    /// as its multiplicity in a pseudo-experiment. A [`Pool`](super::Pool) does this
    /// faster when it is done many times.
    ///
    /// # Errors
    /// If the lengths differ, there are no rows, or one is beyond the last event;
    /// if a weight is not finite, or all are zero.
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Self, SampleError> {
        super::check::check_selection(self.events, rows, weights)?;
        let responses = 2 * self.layout.responses.len();
        let mut densities = gather(&self.densities, self.stride() / LANES, rows);
        Self::set_weights(&mut densities, &self.layout, weights);
        let logs = match &self.logs {
            Logs::Double(logs) => Logs::Double(gather(logs, responses, rows).into()),
            Logs::Single(logs) => Logs::Single(gather(logs, responses, rows).into()),
        };
        Ok(Self {
            layout: Arc::clone(&self.layout),
            events: rows.len(),
            densities: densities.into(),
            logs,
        })
    }

    /// Length of a chunk of `densities`.
    pub(super) fn stride(&self) -> usize {
        self.layout.stride()
    }

    /// Sets the weights of events, and 0 for the padding behind them.
    pub(super) fn set_weights(densities: &mut [f64], layout: &Layout, weights: &[f64]) {
        let chunks = densities.chunks_exact_mut(layout.stride());
        let lanes = chunks.flat_map(|chunk| &mut chunk[..LANES]);
        let weights = weights.iter().copied().chain(std::iter::repeat(0.0));
        lanes.zip(weights).for_each(|(lane, weight)| *lane = weight);
    }
}

/// Stores columns, `[N]` each, as `[N/LANES, columns, LANES]`; behind the last event
/// it is repeated.
fn interleave<T: Stored>(
    columns: &[&[f64]],
    events: usize,
    f: impl Fn(f64) -> f64 + Sync,
) -> Vec<T> {
    let stride = columns.len() * LANES;
    let mut all = vec![T::default(); events.div_ceil(LANES) * stride];
    let chunks = all.par_chunks_mut(stride.max(1)).enumerate();
    chunks.for_each(|(chunk, to)| {
        for (column, to) in columns.iter().zip(to.chunks_exact_mut(LANES)) {
            for (lane, to) in to.iter_mut().enumerate() {
                *to = T::from_f64(f(column[(chunk * LANES + lane).min(events - 1)]));
            }
        }
    });
    all
}

fn densities(events: &Events<'_>, layout: &Layout) -> Arc<Vec<f64>> {
    let ratios = events.processes.iter().map(|process| process.ratios);
    let columns: Vec<&[f64]> = std::iter::once(events.weights).chain(ratios).collect();
    let mut all = interleave(&columns, events.weights.len(), |x| x);
    Sample::set_weights(&mut all, layout, events.weights);
    all.into()
}

fn logs<T: Stored>(events: &Events<'_>) -> Arc<Vec<T>> {
    let responses = events.processes.iter().flat_map(|p| &p.responses);
    let columns: Vec<&[f64]> = responses.flat_map(|r| [r.low, r.high]).collect();
    interleave(&columns, events.weights.len(), f64::ln).into()
}

/// The events `rows` of `[N/LANES, columns, LANES]`, in the same form.
fn gather<T: Stored>(from: &[T], columns: usize, rows: &[usize]) -> Vec<T> {
    let stride = columns * LANES;
    let mut to = vec![T::default(); rows.len().div_ceil(LANES) * stride];
    let last = rows[rows.len() - 1];
    for (chunk, to) in to.chunks_exact_mut(stride.max(1)).enumerate() {
        for lane in 0..LANES {
            let row = *rows.get(chunk * LANES + lane).unwrap_or(&last);
            let from = &from[row / LANES * stride + row % LANES..];
            for column in 0..columns {
                to[column * LANES + lane] = from[column * LANES];
            }
        }
    }
    to
}

impl Response {
    pub(super) fn of(response: &ResponseEvents<'_>, slot: usize) -> Self {
        Self {
            slot,
            interpolation: response.interpolation,
        }
    }
}
