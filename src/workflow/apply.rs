//! An ensemble applied to events, and from its members to replicas: complete predictions,
//! each of which counts once in means and spreads.
//!
//! With a shared held-out fold a replica is a member. With k folds it is k
//! members that together predict every event by one which did not see it; an
//! event outside the training region gets the mean of the k.

use crate::error::{Context, Error, Kind, Result};
use crate::settings::Combine;
use crate::statistics::{median, moments};
use crate::training::{FeatureScaling, Member, SplitSettings, Streams};
use sideband_networks::{Compute, EVALUATION_CHUNK, Network, Predictor, Row};
use std::collections::BTreeMap;
use std::thread::{ScopedJoinHandle, scope};

/// Evaluation chunks a thread works on between two hand-overs.
const CHUNKS_PER_THREAD: usize = 4;

const NO_THREAD: &str = "cannot start a thread";

/// Work on each of the items in a thread of its own; the results in their order.
pub(super) fn in_threads<T: Send, R: Send>(
    what: &str,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    scope(|scope| {
        let work = &work;
        let start = |item| scope.spawn(move || work(item));
        let handles: Vec<_> = items.into_iter().map(start).collect();
        let join = |handle: ScopedJoinHandle<'_, Result<R>>| {
            let died = |_| Error::internal("a thread panicked").at(what);
            handle.join().map_err(died)?
        };
        handles.into_iter().map(join).collect()
    })
}

/// Members ready to be applied, with one-thread pools so that a member's
/// numbers do not depend on the number of threads.
pub(crate) struct Applier {
    compute: Compute,
    predictor: Predictor,
    columns: usize,
    normalisations: Vec<f64>,
    pools: Vec<rayon::ThreadPool>,
}

impl Applier {
    pub(crate) fn new(
        compute: &Compute,
        threads: usize,
        network: &Network,
        scaling: &FeatureScaling,
        members: &[Member],
    ) -> Result<Self> {
        let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
        let count = if compute.is_cpu() { threads.max(1) } else { 1 };
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..count).map(pool).collect::<Result<_, _>>();
        Ok(Self {
            pools: pools.at(Kind::Internal, NO_THREAD)?,
            predictor: compute
                .guard(|| Predictor::new(compute, network, &scaling.inputs(), &rows))
                .of(Kind::Internal)?,
            compute: compute.clone(),
            columns: network.config().columns(),
            normalisations: members.iter().map(|m| m.about.normalisation).collect(),
        })
    }

    /// normalisation * exp(output) of every member: features `[n, D]` give
    /// chunks of consecutive rows, each `[E, rows of the chunk]`.
    fn ratios(&self, features: &[f32]) -> Result<Vec<Vec<f64>>> {
        let rows = features.len() / self.columns;
        let rows = rows.div_ceil(self.pools.len());
        let chunk = rows.next_multiple_of(EVALUATION_CHUNK) * self.columns;
        let chunks = features.chunks(chunk).zip(&self.pools);
        in_threads(NO_THREAD, chunks, |(features, pool)| {
            let output = || self.compute.guard(|| self.predictor.output(features));
            let output = pool.install(output).of(Kind::Internal)?;
            let rows = features.len() / self.columns;
            let members = output.chunks(rows.max(1)).zip(&self.normalisations);
            let ratio = |(row, scale): (&[f32], &f64)| -> Vec<f64> {
                row.iter().map(|q| scale * f64::from(*q).exp()).collect()
            };
            Ok(members.flat_map(ratio).collect())
        })
    }

    /// Calls `take(first row, member ratios of the row)` for every row, in order.
    /// `features`: as they were read, `[N, D]`.
    pub(crate) fn for_each(
        &self,
        features: &[f32],
        mut take: impl FnMut(usize, &[f64]) -> Result<()>,
    ) -> Result<()> {
        let mut ratios = vec![0.0; self.normalisations.len()];
        let at_once = self.pools.len() * CHUNKS_PER_THREAD * EVALUATION_CHUNK;
        let mut row = 0;
        for features in features.chunks(at_once * self.columns) {
            for chunk in self.ratios(features)? {
                let rows = chunk.len() / ratios.len().max(1);
                for i in 0..rows {
                    for (m, ratio) in ratios.iter_mut().enumerate() {
                        *ratio = chunk[m * rows + i];
                    }
                    take(row, &ratios)?;
                    row += 1;
                }
            }
        }
        Ok(())
    }
}

/// The replicas of an ensemble.
pub(super) struct Replicas {
    split: SplitSettings,
    streams: Streams,
    /// Places in the list of usable members, and the members' numbers.
    groups: Vec<Vec<(usize, u32)>>,
}

impl Replicas {
    /// Groups usable members; incomplete groups of folds are left out.
    pub(super) fn new(split: SplitSettings, streams: Streams, members: &[Member]) -> Self {
        let numbers: Vec<u32> = members.iter().map(|m| m.about.member).collect();
        Self::of(split, streams, &numbers)
    }

    /// The same by the numbers of the members.
    pub(super) fn of(split: SplitSettings, streams: Streams, members: &[u32]) -> Self {
        let mut groups: BTreeMap<u32, Vec<(usize, u32)>> = BTreeMap::new();
        for (place, number) in members.iter().enumerate() {
            let group = groups.entry(split.replica(*number)).or_default();
            group.push((place, *number));
        }
        let size = split.members_of_a_replica() as usize;
        let groups = groups.into_values().filter(|group| group.len() == size);
        Self {
            split,
            streams,
            groups: groups.collect(),
        }
    }

    /// Number of replicas.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// How often each replica's resampling of the data has an event.
    pub(super) fn resamplings(&self) -> Vec<Box<dyn Fn(u64) -> u8>> {
        let first = self.groups.iter().filter_map(|group| group.first());
        let of = |(_, number): &(usize, u32)| -> Box<dyn Fn(u64) -> u8> {
            Box::new(self.streams.bootstrap(self.split.replica(*number)))
        };
        first.map(of).collect()
    }

    /// Value of a group for an event from its members' values. `trained`: whether it lies
    /// in the training region.
    fn value(&self, group: &[(usize, u32)], values: &[f64], key: u64, trained: bool) -> f64 {
        let is_unseen = |(_, number): &&(usize, u32)| {
            let number = *number;
            self.split.holds_out(self.streams, number, key)
        };
        match group {
            [(place, _)] => values[*place],
            group if trained => {
                let unseen = group.iter().find(is_unseen);
                unseen.map_or(f64::NAN, |(place, _)| values[*place])
            }
            group => group.iter().map(|(p, _)| values[*p]).sum::<f64>() / group.len() as f64,
        }
    }
}

/// An event as it comes out of the ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Predicted {
    /// Nominal value.
    pub nominal: f64,
    /// Standard deviation over replicas.
    pub spread: f64,
    /// Median over replicas.
    pub median: f64,
}

/// Mean, standard deviation (with n - 1) and median of replica weights.
fn summarise(weights: &[f64], combine: Combine, scratch: &mut Vec<f64>) -> Predicted {
    let (mean, variance) = moments(weights);
    let median = median(weights, scratch);
    Predicted {
        nominal: match combine {
            Combine::Mean => mean,
            Combine::Median => median,
        },
        spread: variance.sqrt(),
        median,
    }
}

/// How replicas become an event's numbers.
pub(super) struct Combiner<'a> {
    replicas: &'a Replicas,
    combine: Combine,
    values: Vec<f64>,
    scratch: Vec<f64>,
}

impl<'a> Combiner<'a> {
    pub(super) fn new(replicas: &'a Replicas, combine: Combine) -> Self {
        Self {
            replicas,
            combine,
            values: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The event's numbers and the replicas behind them, from its members' values in the
    /// order of the list of members. `trained`: whether it lies in the training region.
    pub(super) fn event(
        &mut self,
        members: &[f64],
        key: u64,
        trained: bool,
    ) -> (Predicted, &[f64]) {
        let replicas = self.replicas;
        let value = |group: &Vec<_>| replicas.value(group, members, key, trained);
        self.values.clear();
        self.values.extend(replicas.groups.iter().map(value));
        let event = summarise(&self.values, self.combine, &mut self.scratch);
        (event, &self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_median_of_replicas() {
        let mut scratch = Vec::new();
        for (weights, nominal, spread, median) in [
            (&[1.0, 5.0, 3.0][..], 3.0, 2.0, 3.0),
            (&[1.0, 2.0], 1.5, 0.5f64.sqrt(), 1.5),
            (&[4.0], 4.0, 0.0, 4.0),
        ] {
            let expected = Predicted {
                nominal,
                spread,
                median,
            };
            assert_eq!(summarise(weights, Combine::Mean, &mut scratch), expected);
        }
    }
}
