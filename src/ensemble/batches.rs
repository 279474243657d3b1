//! What one member sees: its rows, their coefficients and their order.

use super::local::Task;
use super::sample::TrainingSample;
use super::settings::{Normalise, TrainingSettings};
use super::split::{Fold, Split};
use super::stream;
use super::streams::Streams;

/// The training rows of one member and the order in which it reads them.
///
/// Each class is an endless stream of passes over its rows, each pass in a new
/// keyed order; a batch takes B/2 of each. An epoch is one pass over the larger
/// class, the smaller one recycles.
pub(super) struct MemberBatches {
    streams: Streams,
    member: u32,
    attempt: u32,
    half: usize,
    /// Table rows of each class.
    rows: [Vec<u32>; 2],
    /// Coefficient of each row in a batch's loss.
    coefficients: [Vec<f32>; 2],
    /// Order of the present pass of each class, and its number.
    order: [(u64, Vec<u32>); 2],
}

impl MemberBatches {
    pub(super) fn new(
        sample: &TrainingSample,
        settings: &TrainingSettings,
        streams: Streams,
        member: u32,
        attempt: u32,
    ) -> Self {
        let half = settings.batch / 2;
        let bootstrap = streams.bootstrap(member);
        let mut rows = [Vec::new(), Vec::new()];
        let mut weights = [Vec::new(), Vec::new()];
        for (class, events) in sample.classes().iter().enumerate() {
            for (row, weight, key) in events.iter() {
                if settings.split.fold(streams, member, key) == Fold::Training {
                    let count = if settings.bootstrap {
                        bootstrap(key)
                    } else {
                        1
                    };
                    rows[class].push(row);
                    weights[class].push(weight * f64::from(count));
                }
            }
        }
        let sums = [0, 1].map(|class| weights[class].iter().sum::<f64>());
        let coefficients = [0, 1].map(|class| {
            let norm = match settings.normalise {
                Normalise::Class => sums[class],
                Normalise::Yield => 0.5 * (sums[0] + sums[1]),
            };
            let scale = rows[class].len() as f64 / (norm * half as f64);
            weights[class].iter().map(|w| (w * scale) as f32).collect()
        });
        Self {
            streams,
            member,
            attempt,
            half,
            order: [0, 1].map(|class| {
                let count = rows[class].len() as u32;
                (
                    0,
                    streams.order(member, attempt, class, 0).permutation(count),
                )
            }),
            rows,
            coefficients,
        }
    }

    /// Appends the batch of a step, `B` rows and their coefficients.
    pub(super) fn append(&mut self, step: u64, rows: &mut Vec<i32>, coefficients: &mut Vec<f32>) {
        for class in 0..2 {
            let count = self.rows[class].len() as u64;
            let first = step * self.half as u64;
            for position in first..first + self.half as u64 {
                let pass = position / count;
                if self.order[class].0 != pass {
                    let key = self.streams.order(self.member, self.attempt, class, pass);
                    self.order[class] = (pass, key.permutation(count as u32));
                }
                let index = self.order[class].1[(position % count) as usize] as usize;
                rows.push(self.rows[class][index] as i32);
                coefficients.push(self.coefficients[class][index]);
            }
        }
    }
}

/// Number of steps of an epoch: the same for all members, so that a stack's
/// members reach the end of an epoch together.
#[must_use]
pub fn steps_per_epoch(task: &Task<'_>) -> usize {
    let (sample, settings) = (task.sample, task.settings);
    let streams = Streams::new(task.seed, task.ensemble);
    if let Some(source) = task.stream {
        return stream::steps_per_epoch(source, settings);
    }
    let larger = sample
        .classes()
        .iter()
        .map(|events| match settings.split.split {
            Split::Shared => events
                .keys
                .iter()
                .filter(|key| settings.split.fold(streams, 0, **key) == Fold::Training)
                .count(),
            // a member's own number differs a little: the expected one is common
            Split::Member | Split::Folds => {
                (events.len() as f64 * settings.split.training_fraction()).round() as usize
            }
        })
        .max()
        .unwrap_or(0);
    larger.div_ceil(settings.batch / 2).max(1)
}

/// Validation rows of a member: (table row, coefficient, sign), with nominal
/// weights over the class's sum, so that the loss is comparable between epochs
/// and members.
pub(super) fn validation_rows(
    sample: &TrainingSample,
    settings: &TrainingSettings,
    streams: Streams,
    member: u32,
) -> Vec<(u32, f32, f32)> {
    let mut list = Vec::new();
    let mut sums = [0.0; 2];
    for (class, events) in sample.classes().iter().enumerate() {
        for (row, weight, key) in events.iter() {
            if settings.split.fold(streams, member, key) == Fold::Validation {
                sums[class] += weight;
                list.push((row, weight, class));
            }
        }
    }
    let norm = match settings.normalise {
        Normalise::Class => sums,
        Normalise::Yield => [0.5 * (sums[0] + sums[1]); 2],
    };
    list.into_iter()
        .map(|(row, weight, class)| {
            let sign = if class == 0 { 1.0 } else { -1.0 };
            (row, (weight / norm[class]) as f32, sign)
        })
        .collect()
}
