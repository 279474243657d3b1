//! Training on data larger than memory.
//!
//! Each class is an endless stream of passes over its files, the row groups of
//! each pass in a new keyed order, read ahead in a bounded number of buffers. The
//! stream is cut into *windows* of W events; within a window every member has an
//! order of its own. A round is one window of each class: W / (B/2) steps.
//!
//! So a member's result is a function of (data, config, seed, member), where the
//! window is part of the configuration: events far apart in a file meet in one
//! batch only as far as the order of row groups brings them together. What all
//! members of a stack read is read once, and they keep step.
//!
//! A share of the events, drawn by key, stays in memory for validation; the
//! others train, those of the validation fold too.

use super::split::{Fold, SplitSettings};
use super::streams::Streams;
use super::task::{StreamSource, Task, TrainingSettings};
use crate::error::Result;
use crate::events::{EventStream, EventTable, PartOrder, StreamPosition, memory};
use crate::settings::Normalise;
use sideband_networks::{Compute, Predictor, Table};
use sideband_numerics::random::Key;

/// Whether an event of the training region is trained on by a streaming
/// ensemble.
pub(crate) fn is_streamed(split: SplitSettings, streams: Streams, share: f64, key: u64) -> bool {
    match split.fold(streams, 0, key) {
        Fold::Training => true,
        Fold::Validation => streams.sample(key) >= share,
        Fold::HeldOut => false,
    }
}

#[derive(Debug, Default)]
struct Window {
    features: Vec<f32>,
    weights: Vec<f64>,
    keys: Vec<u64>,
}

/// The windows of one class, one after the other.
struct Windows {
    stream: EventStream,
    settings: TrainingSettings,
    streams: Streams,
    share: f64,
    /// Events that are still to be thrown away.
    skip: u64,
    rest: EventTable,
    next: usize,
    width: usize,
}

impl Windows {
    /// Windows from the event number `start` on, counted over all passes.
    fn new(
        source: &StreamSource,
        class: usize,
        settings: &TrainingSettings,
        streams: Streams,
        start: u64,
    ) -> Result<Self> {
        let of = &source.classes[class];
        let parts = of.dataset.parts() as u32;
        let start_pass = StreamPosition {
            pass: start / of.rows,
            event: 0,
        };
        let order = move |pass| streams.part_order(class, pass).permutation(parts);
        let order = PartOrder::passes(order).starting_at(start_pass);
        Ok(Self {
            stream: of.dataset.stream(&of.request, &order, source.options)?,
            settings: settings.clone(),
            streams,
            share: of.share,
            skip: start % of.rows,
            rest: EventTable::default(),
            next: 0,
            width: of.request.features.len(),
        })
    }

    fn window(&mut self, size: usize) -> Result<Window> {
        let mut window = Window::default();
        // also for the copy of both classes that goes to the device
        memory::room_for(size, 3 * (4 * self.width + 16))?;
        window.weights.reserve_exact(size);
        window.keys.reserve_exact(size);
        while window.keys.len() < size {
            if self.next == self.rest.len() {
                self.next = 0;
                self.rest = match self.stream.next() {
                    Some(chunk) => chunk?,
                    // an endless stream ends with an error only
                    None => return Ok(window),
                };
                continue;
            }
            let (row, table) = (self.next, &self.rest);
            self.next += 1;
            let key = table.ids.key(row);
            if !is_streamed(self.settings.split, self.streams, self.share, key) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            let width = table.n_features;
            if window.features.is_empty() {
                window.features.reserve_exact(size * width);
            }
            window
                .features
                .extend_from_slice(&table.features[row * width..(row + 1) * width]);
            window.weights.push(table.weights[row]);
            window.keys.push(key);
        }
        Ok(window)
    }
}

/// A member that keeps step with the others of its stack.
pub(super) struct Follower {
    member: u32,
    attempt: u32,
    /// Order of the present window of each class.
    order: [Vec<u32>; 2],
}

impl Follower {
    pub(super) fn new(member: u32, attempt: u32) -> Self {
        Self {
            member,
            attempt,
            order: Default::default(),
        }
    }
}

/// What a streaming stack trains on at present.
pub(super) struct Feed<'a> {
    settings: &'a TrainingSettings,
    streams: Streams,
    compute: &'a Compute,
    windows: [Windows; 2],
    present: [Window; 2],
    /// Both windows on the device, the source's rows first.
    table: Option<Table>,
    /// Factor of each class's weights in a batch's loss.
    scale: [f64; 2],
    size: usize,
    round: u64,
    step: u64,
}

impl<'a> Feed<'a> {
    /// The feed of a stack whose members have made `step` steps.
    pub(super) fn new(
        compute: &'a Compute,
        task: &Task<'a>,
        source: &'a StreamSource,
        step: u64,
    ) -> Result<Self> {
        let streams = Streams::new(task.seed, task.ensemble);
        let half = task.settings.batch / 2;
        let size = window_size(source.window, task.settings);
        let round = step / (size / half) as u64;
        let start = round * size as u64;
        let open = |class| Windows::new(source, class, task.settings, streams, start);
        let norm = |class: usize| match task.settings.normalise {
            Normalise::Class => source.classes[class].weight,
            Normalise::Yield => 0.5 * (source.classes[0].weight + source.classes[1].weight),
        };
        Ok(Self {
            settings: task.settings,
            streams,
            compute,
            windows: [open(0)?, open(1)?],
            present: Default::default(),
            table: None,
            // as for data in memory, with the sums of the nominal weights in
            // place of a bootstrapped copy's, which differ by 1/sqrt(N)
            scale: [0, 1]
                .map(|class| source.classes[class].rows as f64 / (norm(class) * half as f64)),
            size,
            round,
            step,
        })
    }

    fn steps_a_round(&self) -> u64 {
        (self.size / (self.settings.batch / 2)) as u64
    }

    /// Steps that can be made on the present windows, which are read if they
    /// are not there yet.
    pub(super) fn ready(&mut self, followers: &mut [Follower]) -> Result<usize> {
        let round = self.step / self.steps_a_round();
        if self.table.is_none() || round != self.round {
            // room for the new windows first
            self.table = None;
            self.round = round;
            for class in 0..2 {
                self.present[class] = Window::default();
                self.present[class] = self.windows[class].window(self.size)?;
            }
            let features = self.present.each_ref().map(|w| w.features.as_slice());
            let columns = features[0].len() / self.size;
            self.table = Some(Table::new(self.compute, features.concat(), columns));
            self.present
                .iter_mut()
                .for_each(|window| window.features = Vec::new());
            for follower in followers.iter_mut() {
                follower.order = Default::default();
            }
        }
        for follower in followers.iter_mut().filter(|f| f.order[0].is_empty()) {
            follower.order = [0, 1].map(|class| {
                let (member, attempt) = (follower.member, follower.attempt);
                let key: Key = self.streams.order(member, attempt, class, self.round);
                key.permutation(self.size as u32)
            });
        }
        Ok((self.steps_a_round() - self.step % self.steps_a_round()) as usize)
    }

    pub(super) fn table(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// Rows and coefficients of the next steps, `[S, E, B]`.
    pub(super) fn next(&mut self, followers: &[Follower], steps: usize) -> (Vec<i32>, Vec<f32>) {
        let half = self.settings.batch / 2;
        let count = steps * followers.len() * 2 * half;
        let (mut rows, mut coefficients) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for step in self.step..self.step + steps as u64 {
            let first = (step % self.steps_a_round()) as usize * half;
            for follower in followers {
                let replica = self.settings.split.replica(follower.member);
                let bootstrap = self.streams.bootstrap(replica);
                for class in 0..2 {
                    let window = &self.present[class];
                    for place in &follower.order[class][first..first + half] {
                        let place = *place as usize;
                        let count = if self.settings.bootstrap {
                            bootstrap(window.keys[place])
                        } else {
                            1
                        };
                        let weight = window.weights[place] * f64::from(count);
                        rows.push((class * self.size + place) as i32);
                        coefficients.push((weight * self.scale[class]) as f32);
                    }
                }
            }
        }
        self.step += steps as u64;
        (rows, coefficients)
    }
}

fn window_size(window: usize, settings: &TrainingSettings) -> usize {
    let half = settings.batch / 2;
    (window / half).max(1) * half
}

/// Steps of an epoch: one pass over the larger class.
pub(super) fn steps_per_epoch(source: &StreamSource, settings: &TrainingSettings) -> usize {
    let larger = source.classes[0].rows.max(source.classes[1].rows);
    let steps = larger.div_ceil(settings.batch as u64 / 2);
    usize::try_from(steps).unwrap_or(usize::MAX).max(1)
}

/// Target yield over reweighted source yield in the training region, in one pass
/// over the source.
pub(super) fn normalisation(source: &StreamSource, predictor: &Predictor) -> Result<f64> {
    let of = &source.classes[0];
    let mut reweighted = 0.0;
    for chunk in of
        .dataset
        .stream(&of.request, &PartOrder::files(), source.options)?
    {
        let chunk = chunk?;
        let log_ratios = predictor.output(&chunk.features);
        for (log_ratio, weight) in log_ratios.iter().zip(&chunk.weights) {
            reweighted += weight * f64::from(*log_ratio).exp();
        }
    }
    Ok(source.classes[1].total / reweighted)
}
