//! The keyed random streams of an ensemble.
//!
//! Initial weights, batch order and dropout hang on (seed, ensemble, member,
//! attempt, purpose); bootstrap weights on (seed, replica, event) alone, so that
//! samples which share events share replicas (a replica is a member, or the members
//! that predict out of fold together); folds on (seed, event).

use sideband_numerics::random::{Key, fnv1a};

/// What a random number is for. The numbers are part of the format: a change
/// makes other ensembles of the same seed.
#[derive(Clone, Copy)]
enum Purpose {
    Initial = 1,
    Order = 2,
    Dropout = 3,
    Bootstrap = 4,
    Fold = 5,
    Validation = 6,
    Sample = 7,
    Parts = 8,
    Plane = 9,
    Points = 10,
    Noise = 11,
}

#[derive(Clone, Copy, Debug)]
pub struct Streams {
    root: Key,
    ensemble: u64,
    // of purposes that are asked for every event
    folds: Key,
    validation: Key,
    shared_validation: Key,
    samples: Key,
}

impl Streams {
    pub fn new(seed: u64, ensemble: &str) -> Self {
        let root = Key::from_seed(seed);
        let validation = root.with(Purpose::Validation as u64);
        Self {
            root,
            ensemble: ensemble_word(ensemble),
            folds: root.with(Purpose::Fold as u64),
            validation,
            shared_validation: validation.with(0),
            samples: root.with(Purpose::Sample as u64),
        }
    }

    fn member(self, member: u32, attempt: u32, purpose: Purpose) -> Key {
        let number = (u64::from(attempt) << 32) | u64::from(member);
        self.common(purpose).with(number)
    }

    pub fn initial(self, member: u32, attempt: u32) -> Key {
        self.member(member, attempt, Purpose::Initial)
    }

    /// Key of the order of one class's rows in one pass over them.
    pub fn order(self, member: u32, attempt: u32, class: usize, pass: u64) -> Key {
        self.member(member, attempt, Purpose::Order)
            .with(class as u64)
            .with(pass)
    }

    pub fn dropout(self, member: u32, attempt: u32) -> Key {
        self.member(member, attempt, Purpose::Dropout)
    }

    /// Poisson(1) weight of an event in a replica.
    pub fn bootstrap(self, replica: u32) -> impl Fn(u64) -> u8 {
        let key = self
            .root
            .with(Purpose::Bootstrap as u64)
            .with(u64::from(replica));
        move |event| key.poisson_one(event)
    }

    /// Uniform number in [0, 1) that decides an event's fold.
    pub fn fold(self, event: u64) -> f64 {
        self.folds.uniform(event)
    }

    /// Uniform number in [0, 1) that decides whether an event of data larger
    /// than memory stays in memory.
    pub fn sample(self, event: u64) -> f64 {
        self.samples.uniform(event)
    }

    /// A key for all members.
    fn common(self, purpose: Purpose) -> Key {
        self.root.with(purpose as u64).with(self.ensemble)
    }

    /// Key of the order of one class's row groups in one pass over its files.
    pub fn part_order(self, class: usize, pass: u64) -> Key {
        self.common(Purpose::Parts).with(class as u64).with(pass)
    }

    /// Key of a category's Gaussian process: starting points, posterior draws.
    pub fn plane(self, category: u64) -> Key {
        self.common(Purpose::Plane).with(category)
    }

    /// Key of a category's points in the plane.
    pub fn points(self, category: u64) -> Key {
        self.common(Purpose::Points).with(category)
    }

    /// Key of the noise of a point in the plane, the same for all members.
    pub fn noise(self, category: u64, point: u64) -> Key {
        self.common(Purpose::Noise).with(category).with(point)
    }

    /// Uniform number in [0, 1) that decides whether an event validates; one
    /// for the ensemble, or one a member.
    pub fn validation(self, member: Option<u32>, event: u64) -> f64 {
        let key = match member {
            None => self.shared_validation,
            Some(member) => self.validation.with(u64::from(member) + 1),
        };
        key.uniform(event)
    }
}

/// The word of an ensemble's name in a key.
pub(crate) fn ensemble_word(name: &str) -> u64 {
    fnv1a(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_depends_on_seed_member_and_event_alone() {
        let a = Streams::new(1, "nominal");
        let b = Streams::new(1, "jes_up");
        let events: Vec<u64> = (0..200).map(|e| e * 7919).collect();
        let of =
            |s: Streams, m| -> Vec<u8> { events.iter().copied().map(s.bootstrap(m)).collect() };
        assert_eq!(of(a, 3), of(b, 3));
        assert_ne!(of(a, 3), of(a, 4));
        assert_ne!(of(a, 3), of(Streams::new(2, "nominal"), 3));
    }

    #[test]
    fn initial_weights_differ_between_ensembles_and_attempts() {
        let a = Streams::new(1, "nominal");
        let b = Streams::new(1, "jes_up");
        let keys = [
            a.initial(0, 0),
            a.initial(1, 0),
            a.initial(0, 1),
            b.initial(0, 0),
            a.dropout(0, 0),
        ];
        for (i, x) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|y| x != y));
        }
    }
}
