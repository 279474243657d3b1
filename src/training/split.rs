//! Training, validation and held-out folds, decided by event id.
//!
//! The held-out fold is seen by no member: closure, AUC and calibration are
//! computed on it. With `folds`, each member leaves out one of k folds instead,
//! and an event is predicted by the members that did not see it.

use super::streams::Streams;
use crate::settings::{Split, TrainingConfig};

/// The division of an ensemble's events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitSettings {
    /// How events are divided.
    pub split: Split,
    /// Fraction that no member sees (`shared`, `member`).
    pub held_out: f64,
    /// Fraction of the rest that decides when to stop.
    pub validation: f64,
    /// Number of folds (`folds`).
    pub folds: u32,
}

impl From<&TrainingConfig> for SplitSettings {
    fn from(training: &TrainingConfig) -> Self {
        Self {
            split: training.split,
            held_out: training.held_out,
            validation: training.validation,
            folds: training.folds,
        }
    }
}

/// What an event is to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Its gradient is used.
    Training,
    /// Decides when to stop.
    Validation,
    /// Not seen.
    HeldOut,
}

impl SplitSettings {
    /// What an event is to a member.
    pub fn fold(&self, streams: Streams, member: u32, event: u64) -> Fold {
        if self.holds_out(streams, member, event) {
            return Fold::HeldOut;
        }
        let own = (self.split == Split::Member).then_some(member);
        if streams.validation(own, event) < self.validation {
            Fold::Validation
        } else {
            Fold::Training
        }
    }

    /// Members that together predict every event by one which did not see it.
    pub fn members_of_a_replica(&self) -> u32 {
        match self.split {
            Split::Shared | Split::Member => 1,
            Split::Folds => self.folds.max(1),
        }
    }

    /// Number of the replica that a member belongs to. Its members have one resampling
    /// of the data: with one each, the mean over k folds would fluctuate by
    /// 1 / sqrt(k) of what data do.
    pub fn replica(&self, member: u32) -> u32 {
        member / self.members_of_a_replica()
    }

    /// Whether a member does not see an event.
    pub fn holds_out(&self, streams: Streams, member: u32, event: u64) -> bool {
        match self.split {
            Split::Shared | Split::Member => streams.fold(event) < self.held_out,
            Split::Folds => self.fold_index(streams, event) == member % self.folds,
        }
    }

    /// Whether at least one member does not see an event, so that it can be
    /// used in diagnostics.
    pub fn is_diagnostic(&self, streams: Streams, event: u64) -> bool {
        match self.split {
            Split::Shared | Split::Member => streams.fold(event) < self.held_out,
            Split::Folds => true,
        }
    }

    fn fold_index(&self, streams: Streams, event: u64) -> u32 {
        ((streams.fold(event) * f64::from(self.folds)) as u32).min(self.folds - 1)
    }

    /// Expected fraction of events whose gradient a member uses.
    pub fn training_fraction(&self) -> f64 {
        let held_out = match self.split {
            Split::Shared | Split::Member => self.held_out,
            Split::Folds => 1.0 / f64::from(self.folds),
        };
        (1.0 - held_out) * (1.0 - self.validation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(split: Split) -> SplitSettings {
        SplitSettings {
            split,
            held_out: 0.2,
            validation: 0.25,
            folds: 4,
        }
    }

    fn count(s: &SplitSettings, member: u32, fold: Fold) -> usize {
        let streams = Streams::new(5, "e");
        (0..10_000)
            .filter(|e| s.fold(streams, member, *e) == fold)
            .count()
    }

    #[test]
    fn folds_have_their_fractions() {
        // 5 standard deviations of a binomial of 10 000 at 0.2 are 200
        let s = settings(Split::Shared);
        assert!(count(&s, 0, Fold::HeldOut).abs_diff(2000) < 200);
        assert!(count(&s, 0, Fold::Validation).abs_diff(2000) < 200);
        assert!(count(&s, 0, Fold::Training).abs_diff(6000) < 250);
        let s = settings(Split::Folds);
        assert!(count(&s, 3, Fold::HeldOut).abs_diff(2500) < 220);
    }

    #[test]
    fn shared_is_common_and_member_differs_in_validation_alone() {
        let streams = Streams::new(5, "e");
        let (shared, member) = (settings(Split::Shared), settings(Split::Member));
        let mut differ = 0;
        for event in 0..2000 {
            let of = |s: SplitSettings| [0, 9].map(|m| s.fold(streams, m, event));
            let ([first, last], [a, b]) = (of(shared), of(member));
            assert_eq!(first, last);
            assert_eq!(a == Fold::HeldOut, b == Fold::HeldOut);
            differ += usize::from(a != b);
        }
        assert!(differ > 100);
    }

    #[test]
    fn members_that_predict_together_are_one_replica() {
        let s = settings(Split::Folds);
        let replicas: Vec<u32> = (0..9).map(|m| s.replica(m)).collect();
        assert_eq!(replicas, [0, 0, 0, 0, 1, 1, 1, 1, 2]);
        assert_eq!(settings(Split::Shared).replica(7), 7);
    }

    #[test]
    fn every_event_is_held_out_by_one_fold_of_members() {
        let streams = Streams::new(5, "e");
        let s = settings(Split::Folds);
        for event in 0..500 {
            let out = |m| s.holds_out(streams, m, event);
            assert_eq!((0..4).filter(|m| out(*m)).count(), 1);
            assert!((0..4).all(|m| out(m) == out(m + 4)));
        }
    }
}
