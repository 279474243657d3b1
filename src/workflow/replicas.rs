//! From members to replicas: complete predictions, each of which counts once in
//! means and spreads.
//!
//! With a shared held-out fold a replica is a member. With k folds it is k
//! members that together predict every event by one which did not see it; an
//! event outside the training region gets the mean of the k.

use super::plan::Plan;
use crate::training::{Member, SplitSettings, Streams};

/// The replicas of an ensemble.
#[derive(Clone, Debug)]
pub(super) struct Replicas {
    split: SplitSettings,
    streams: Streams,
    /// Places in the list of usable members, and the members' numbers.
    groups: Vec<Vec<(usize, u32)>>,
}

impl Replicas {
    /// Groups usable members; incomplete groups of folds are left out.
    pub(super) fn new(plan: &Plan, members: &[Member]) -> Self {
        Self::of(plan.settings.split, plan.streams, members)
    }

    pub(super) fn of(split: SplitSettings, streams: Streams, members: &[Member]) -> Self {
        let size = split.members_of_a_replica();
        let mut groups: std::collections::BTreeMap<u32, Vec<(usize, u32)>> =
            std::collections::BTreeMap::new();
        for (place, member) in members.iter().enumerate() {
            let number = member.about.member;
            groups
                .entry(split.replica(number))
                .or_default()
                .push((place, number));
        }
        Self {
            split,
            streams,
            groups: groups
                .into_values()
                .filter(|group| group.len() == size as usize)
                .collect(),
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

    /// Replica weights of an event from its members' weights (in the order of
    /// the list of members). `trained`: whether it lies in the training region.
    pub(super) fn combine(
        &self,
        member_weights: &[f64],
        key: u64,
        trained: bool,
        replica_weights: &mut Vec<f64>,
    ) {
        replica_weights.clear();
        for group in &self.groups {
            let out_of_fold =
                |(_, number): &&(usize, u32)| self.split.holds_out(self.streams, *number, key);
            let weight = match group.as_slice() {
                [(place, _)] => member_weights[*place],
                group if trained => group
                    .iter()
                    .find(out_of_fold)
                    .map_or(f64::NAN, |(place, _)| member_weights[*place]),
                group => {
                    group.iter().map(|(p, _)| member_weights[*p]).sum::<f64>() / group.len() as f64
                }
            };
            replica_weights.push(weight);
        }
    }
}
