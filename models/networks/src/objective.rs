//! The losses: two that learn a density ratio from two samples, one that learns
//! a density from one.
//!
//! The first two have the same optimum in the network's output, `Q*(x) = log p_t(x)/p_s(x)`
//! (source s, target t), so everything behind the output is common to them.
//!
//! With c_i the row's coefficient (weight over the class's sum of weights):
//!
//! - exponential: `sum_s c exp(+Q/2) + sum_t c exp(-Q/2)`; its minimum is
//!   2 integral sqrt(p_s p_t), twice the Bhattacharyya coefficient;
//! - cross-entropy: `sum_s c log(1+exp(+Q)) + sum_t c log(1+exp(-Q))`, that is,
//!   weighted binary cross-entropy of the logit Q; p_t/p_s = s/(1-s).
//!
//! The third, the negative log-likelihood `sum c (-log p)`, is that of a flow,
//! whose output is log p itself.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_numerics::lanes::double;

/// Which loss is minimised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Exponential loss (the reweighting of the HH -> 4b analyses).
    #[default]
    Exponential,
    /// Binary cross-entropy with logits.
    CrossEntropy,
    /// Negative log-likelihood of a density.
    Likelihood,
}

impl Objective {
    /// The losses that learn a density ratio.
    pub const OF_RATIOS: [Self; 2] = [Self::Exponential, Self::CrossEntropy];

    /// The loss of every row. `q`: output `[E, B, 1]`; `half_sign`: `[1 or E, B, 1]`,
    /// +1/2 for a source row, -1/2 for a target row.
    pub(crate) fn forward(self, q: Tensor<3>, half_sign: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Exponential => (q * half_sign).exp(),
            Self::CrossEntropy => softplus(q * half_sign * 2.0),
            Self::Likelihood => q.neg(),
        }
    }

    /// The loss of one row in f64, for checks. `sign`: +1 source, -1 target.
    pub fn value(self, q: f64, sign: f64) -> f64 {
        match self {
            Self::Exponential => (0.5 * sign * q).exp(),
            Self::CrossEntropy => double::softplus(sign * q).0,
            Self::Likelihood => -q,
        }
    }

    /// What the loss of positive weights cannot fall below: less means that
    /// negative weights dominate somewhere. A log-density has no such bound.
    pub fn lower_bound(self) -> f64 {
        match self {
            Self::Exponential | Self::CrossEntropy => 0.0,
            Self::Likelihood => f64::NEG_INFINITY,
        }
    }
}

/// log(1 + exp(x)) without overflow: max(x, 0) + log1p(exp(-|x|)).
pub(crate) fn softplus<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}
