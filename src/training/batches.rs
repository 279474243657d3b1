//! What one member sees: its rows, their coefficients and their order.

use super::sample::TrainingSample;
use super::split::Fold;
use super::stream;
use super::streams::Streams;
use super::task::{Task, TrainingSettings};
use crate::settings::{Normalise, Split};

/// The training rows of one member and the order in which it reads them.
///
/// Each class is an endless stream of passes over its rows, each pass in a new
/// keyed order; a batch takes an equal share of each. An epoch is one pass over
/// the larger class, the smaller one recycles.
pub(super) struct MemberBatches {
    streams: Streams,
    member: u32,
    attempt: u32,
    /// Rows of each class in a batch.
    share: usize,
    classes: Vec<MemberClass>,
}

struct MemberClass {
    rows: Vec<u32>,
    /// Coefficient of each row in a batch's loss.
    coefficients: Vec<f32>,
    /// Number of the present pass, and its order.
    order: (u64, Vec<u32>),
}

impl MemberBatches {
    pub(super) fn new(
        sample: &TrainingSample,
        settings: &TrainingSettings,
        streams: Streams,
        member: u32,
        attempt: u32,
    ) -> Self {
        let share = settings.batch / sample.classes().len();
        let bootstrap = streams.bootstrap(settings.split.replica(member));
        let mut parts = Vec::with_capacity(sample.classes().len());
        for events in sample.classes() {
            let (mut rows, mut weights) = (Vec::new(), Vec::new());
            for (row, weight, key) in events.iter() {
                if settings.split.fold(streams, member, key) == Fold::Training {
                    let count = if settings.bootstrap {
                        bootstrap(key)
                    } else {
                        1
                    };
                    rows.push(row);
                    weights.push(weight * f64::from(count));
                }
            }
            parts.push((rows, weights));
        }
        let sums = parts.iter().map(|(_, weights)| weights.iter().sum::<f64>());
        let norms = norms(settings.normalise, &sums.collect::<Vec<_>>());
        let classes = parts
            .into_iter()
            .zip(norms)
            .enumerate()
            .map(|(class, ((rows, weights), norm))| {
                let scale = rows.len() as f64 / (norm * share as f64);
                let order = streams.order(member, attempt, class, 0);
                MemberClass {
                    coefficients: weights.iter().map(|w| (w * scale) as f32).collect(),
                    order: (0, order.permutation(rows.len() as u32)),
                    rows,
                }
            })
            .collect();
        Self {
            streams,
            member,
            attempt,
            share,
            classes,
        }
    }

    /// Appends the batch of a step, `B` rows and their coefficients.
    pub(super) fn append(&mut self, step: u64, rows: &mut Vec<i32>, coefficients: &mut Vec<f32>) {
        for (number, class) in self.classes.iter_mut().enumerate() {
            let count = class.rows.len() as u64;
            let mut position = step * self.share as u64;
            let end = position + self.share as u64;
            while position < end {
                let pass = position / count;
                if class.order.0 != pass {
                    let key = self.streams.order(self.member, self.attempt, number, pass);
                    class.order = (pass, key.permutation(count as u32));
                }
                let order = &class.order.1[(position % count) as usize..];
                let order = &order[..order.len().min((end - position) as usize)];
                let places = || order.iter().map(|&place| place as usize);
                rows.extend(places().map(|place| class.rows[place] as i32));
                coefficients.extend(places().map(|place| class.coefficients[place]));
                position += order.len() as u64;
            }
        }
    }
}

/// What each class's weights are divided by, from their sums.
fn norms(normalise: Normalise, sums: &[f64]) -> Vec<f64> {
    match normalise {
        Normalise::Class => sums.to_vec(),
        Normalise::Yield => vec![sums.iter().sum::<f64>() / sums.len() as f64; sums.len()],
    }
}

/// Number of steps of an epoch: the same for all members, so that a stack's
/// members reach the end of an epoch together.
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
    larger
        .div_ceil(settings.batch / sample.classes().len())
        .max(1)
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
    let mut sums = vec![0.0; sample.classes().len()];
    for (class, events) in sample.classes().iter().enumerate() {
        for (row, weight, key) in events.iter() {
            if settings.split.fold(streams, member, key) == Fold::Validation {
                sums[class] += weight;
                list.push((row, weight, class));
            }
        }
    }
    let norm = norms(settings.normalise, &sums);
    list.into_iter()
        .map(|(row, weight, class)| {
            let sign = if class == 0 { 1.0 } else { -1.0 };
            (row, (weight / norm[class]) as f32, sign)
        })
        .collect()
}
