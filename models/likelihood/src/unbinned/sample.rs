//! Events of an unbinned channel, stored for evaluation.
//!
//! Per event a weight, and per process a ratio; per response the logarithms of its
//! two end points. All columns of [`LANES`] events lie together, so that an
//! evaluation reads the memory once and in order.

use crate::Interpolation;
use crate::error::{Error, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::ops::Range;
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

/// The processes of a sample, their responses and the parameters of these.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Per process its responses, as a range of `responses`.
    pub(super) processes: Vec<Range<usize>>,
    /// Those of the first process, then those of the second, ...
    pub(super) responses: Vec<Response>,
    /// Per slot the place of its parameter in the model.
    pub(super) slots: Vec<usize>,
}

/// A response of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Response {
    /// Number of the parameter among those that change densities.
    pub(super) slot: usize,
    pub(super) interpolation: Interpolation,
}

impl Layout {
    pub(super) fn new(events: &Events<'_>) -> Self {
        let mut layout = Self {
            processes: Vec::new(),
            responses: Vec::new(),
            slots: Vec::new(),
        };
        for process in &events.processes {
            let first = layout.responses.len();
            for response in &process.responses {
                let slot = layout.slot(response.parameter);
                layout.responses.push(Response {
                    slot,
                    interpolation: response.interpolation,
                });
            }
            layout.processes.push(first..layout.responses.len());
        }
        layout
    }

    /// Parameters along which a slope may jump at zero.
    pub(super) fn kinks(&self) -> impl Iterator<Item = usize> {
        let kinked = |response: &&Response| response.interpolation.has_kink();
        let kinked = self.responses.iter().filter(kinked);
        kinked.map(|response| self.slots[response.slot])
    }

    fn slot(&mut self, parameter: usize) -> usize {
        let known = self.slots.iter().position(|slot| *slot == parameter);
        known.unwrap_or_else(|| {
            self.slots.push(parameter);
            self.slots.len() - 1
        })
    }

    /// Dimension of the space of rates and slots.
    pub(super) fn dimension(&self) -> usize {
        self.processes.len() + self.slots.len()
    }

    /// Numbers of a chunk of weights and ratios.
    pub(super) fn stride(&self) -> usize {
        (1 + self.processes.len()) * LANES
    }
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
    pub fn new(events: &Events<'_>, storage: Storage) -> Result<Self, Error> {
        check(events)?;
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
    pub fn events(&self) -> usize {
        self.events
    }

    /// The number of processes, `J`.
    pub fn processes(&self) -> usize {
        self.layout.processes.len()
    }

    /// The places of the parameters on which the densities depend.
    pub fn parameters(&self) -> &[usize] {
        &self.layout.slots
    }

    /// The weights of the events, in order.
    pub fn weights(&self) -> impl Iterator<Item = f64> {
        let stride = self.stride();
        (0..self.events).map(move |i| self.densities[i / LANES * stride + i % LANES])
    }

    /// `sum_i w_i`.
    pub fn total_weight(&self) -> f64 {
        self.weights().sum()
    }

    /// Bytes of memory that hold the events.
    pub fn bytes(&self) -> usize {
        let logs = match &self.logs {
            Logs::Double(logs) => size_of_val(logs.as_slice()),
            Logs::Single(logs) => size_of_val(logs.as_slice()),
        };
        size_of_val(self.densities.as_slice()) + logs
    }

    /// Some of the events, with new weights: event `rows[i]` with `weights[i]`, such
    /// as its multiplicity in a pseudo-experiment. A [`Pool`] does this
    /// faster when it is done many times.
    ///
    /// # Errors
    /// If the lengths differ, there are no rows, or one is beyond the last event;
    /// if a weight is not finite, or all are zero.
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Self, Error> {
        check_selection(self.events, rows, weights)?;
        let from = (&self.layout, self.densities.as_slice(), &self.logs);
        Ok(Self::selected::<false>(from, rows, weights))
    }

    /// Events `rows` with `weights`, from densities and logarithms as a sample has them or
    /// `BY_ROW` as a pool has them.
    fn selected<const BY_ROW: bool>(
        (layout, densities, logs): (&Arc<Layout>, &[f64], &Logs),
        rows: &[usize],
        weights: &[f64],
    ) -> Self {
        let columns = 2 * layout.responses.len();
        let mut densities = gather::<_, BY_ROW>(densities, layout.stride() / LANES, rows);
        Self::set_weights(&mut densities, layout, weights);
        let logs = match logs {
            Logs::Double(logs) => Logs::Double(gather::<_, BY_ROW>(logs, columns, rows).into()),
            Logs::Single(logs) => Logs::Single(gather::<_, BY_ROW>(logs, columns, rows).into()),
        };
        Self {
            layout: Arc::clone(layout),
            events: rows.len(),
            densities: densities.into(),
            logs,
        }
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

/// Events in blocks. A block should have at least some ten thousand events, to keep
/// all threads busy.
pub trait EventSource: Send + Sync {
    /// Why a block cannot be had.
    type Error: std::error::Error;

    /// Calls `visit` with every block, always the same ones in the same order and
    /// with the same processes and responses.
    ///
    /// # Errors
    /// If a block cannot be had.
    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Self::Error>;
}

/// One block, in memory.
impl EventSource for Sample {
    type Error = Infallible;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Infallible> {
        visit(self);
        Ok(())
    }
}

/// Events from which many samples are drawn, stored by row: a selected event is one piece of
/// memory, not one per column. Holds a second copy of its sample; selects several times
/// faster than [`Sample::select`]. Cheap to clone.
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
    pub fn events(&self) -> usize {
        self.events
    }

    /// Event `rows[i]` with `weights[i]`, such as its multiplicity, for all `i`.
    ///
    /// # Errors
    /// Those of [`Sample::select`].
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Sample, Error> {
        check_selection(self.events, rows, weights)?;
        let from = (&self.layout, self.densities.as_slice(), &self.logs);
        Ok(Sample::selected::<true>(from, rows, weights))
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

/// The events `rows` as `[N/LANES, columns, LANES]`, the last one repeated, from that form
/// or `BY_ROW` from `[N, columns]`.
fn gather<T: Stored, const BY_ROW: bool>(from: &[T], columns: usize, rows: &[usize]) -> Vec<T> {
    let stride = columns * LANES;
    let mut to = vec![T::default(); rows.len().div_ceil(LANES) * stride];
    let last = rows[rows.len() - 1];
    let step = if BY_ROW { 1 } else { LANES };
    for (to, rows) in to.chunks_exact_mut(stride.max(1)).zip(rows.chunks(LANES)) {
        let first = |lane: usize| match *rows.get(lane).unwrap_or(&last) {
            row if BY_ROW => row * columns,
            row => row / LANES * stride + row % LANES,
        };
        let firsts: [usize; LANES] = std::array::from_fn(first);
        for (column, to) in to.chunks_exact_mut(LANES).enumerate() {
            for (to, first) in to.iter_mut().zip(firsts) {
                *to = from[first + column * step];
            }
        }
    }
    to
}

/// What is asked of events.
fn check(events: &Events<'_>) -> Result<(), Error> {
    ensure(!events.processes.is_empty(), || empty("process"))?;
    check_weights(events.weights)?;
    for (number, process) in events.processes.iter().enumerate() {
        check_process(number, process, events.weights.len())?;
    }
    Ok(())
}

fn check_selection(events: usize, rows: &[usize], weights: &[f64]) -> Result<(), Error> {
    check_weights(weights)?;
    check_length(rows.len(), weights.len(), || "the list of rows".into())?;
    match rows.iter().find(|row| **row >= events) {
        Some(row) => Err(Error::new(format!(
            "row {row} was selected, the sample has {events} events"
        ))),
        None => Ok(()),
    }
}

fn empty(what: &str) -> String {
    format!("the sample has no {what}; an unbinned channel needs at least one")
}

fn check_weights(weights: &[f64]) -> Result<(), Error> {
    ensure(!weights.is_empty(), || empty("event"))?;
    let column = || "the column of weights".into();
    check_values(weights, "a finite number", |w| w.is_finite(), column)?;
    ensure(weights.iter().any(|w| *w != 0.0), || {
        "all weights are zero; the channel has no data".to_owned()
    })
}

fn check_process(number: usize, process: &ProcessEvents<'_>, events: usize) -> Result<(), Error> {
    let column = || format!("the ratio of process {number}");
    check_length(process.ratios.len(), events, column)?;
    let allowed = |r: f64| r.is_finite() && r >= 0.0;
    check_values(process.ratios, "finite and at least 0", allowed, column)?;
    for (i, response) in process.responses.iter().enumerate() {
        let (parameter, earlier) = (response.parameter, &process.responses[..i]);
        ensure(earlier.iter().all(|r| r.parameter != parameter), || {
            format!("process {number} has two responses to parameter {parameter}; give one")
        })?;
        for (side, values) in [("-1", response.low), ("+1", response.high)] {
            let column =
                || format!("the response of process {number} to parameter {parameter} at {side}");
            check_length(values.len(), events, column)?;
            // such that logarithm and value are normal numbers
            let allowed = |g: f64| g.is_normal() && g > 0.0;
            check_values(values, "finite and above 0", allowed, column)?;
        }
    }
    Ok(())
}

fn check_length(found: usize, expected: usize, column: impl Fn() -> String) -> Result<(), Error> {
    ensure(found == expected, || {
        let column = column();
        format!("{column} has {found} events, the weights have {expected}")
    })
}

fn check_values(
    values: &[f64],
    domain: &str,
    allowed: impl Fn(f64) -> bool,
    column: impl Fn() -> String,
) -> Result<(), Error> {
    let Some(row) = values.iter().position(|value| !allowed(*value)) else {
        return Ok(());
    };
    Err(Error::new(format!(
        "{} has {} events whose value is not {domain}, the first in row {row}: {}; correct or \
         remove them",
        column(),
        values.iter().filter(|value| !allowed(**value)).count(),
        values[row]
    )))
}
