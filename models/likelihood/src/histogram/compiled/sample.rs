//! One template as it is evaluated.

use crate::Coefficient;
use crate::interpolation::Ends;

/// One template: `F S_b G_b` in bin `b`.
pub(super) struct Sample {
    pub(super) nominal: Vec<f64>,
    /// `F`: parameters and coefficients, then responses of the rate.
    pub(super) scalings: Vec<Scaling>,
    /// Parameters of the scalings, each once.
    pub(super) scaled_by: Vec<usize>,
    pub(super) responses: Vec<Response>,
    /// What is added in `S_b`.
    pub(super) variations: PerBin<Variation>,
    /// The factors of `G_b`.
    pub(super) factors: PerBin<BinFactor>,
    /// Parameters of all `S_b` and `G_b`, ascending.
    pub(super) shape: Vec<usize>,
}

/// A parameter, or a coefficient of parameters: places in [`Sample::scaled_by`].
pub(super) enum Scaling {
    Parameter(usize),
    Coefficient(Coefficient, Vec<usize>),
}

pub(super) struct Response {
    pub(super) parameter: usize,
    pub(super) interpolation: usize,
    pub(super) ends: Ends,
}

/// A variation of one bin; `slot` is a place in [`Sample::shape`].
pub(super) struct Variation {
    pub(super) slot: usize,
    pub(super) interpolation: usize,
    pub(super) down: f64,
    pub(super) up: f64,
}

/// A factor of one bin; `slot` is a place in [`Sample::shape`].
pub(super) struct BinFactor {
    pub(super) slot: usize,
    pub(super) kind: BinFactorKind,
}

pub(super) enum BinFactorKind {
    Parameter,
    Response { interpolation: usize, ends: Ends },
}

/// A list for every bin.
pub(super) struct PerBin<T> {
    ends: Vec<usize>,
    all: Vec<T>,
}

impl<T> PerBin<T> {
    pub(super) fn new(lists: Vec<Vec<T>>) -> Self {
        let mut ends = Vec::with_capacity(lists.len());
        let mut all = Vec::new();
        for list in lists {
            all.extend(list);
            ends.push(all.len());
        }
        Self { ends, all }
    }

    pub(super) fn of(&self, bin: usize) -> &[T] {
        let start = bin.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[bin]]
    }
}
