//! A conditional normalising flow: an invertible map from the features x to
//! standard normal noise z, given a context c, with
//!
//! ```text
//! log p(x|c) = log N(z; 0, 1) + sum over steps of log |det dy/dx|.
//! ```
//!
//! Steps: batch norm, a linear map with LU-parametrised matrix after a fixed
//! permutation, and a rational-quadratic spline coupling whose parameters come
//! from a residual network of the untouched features and the context.
//!
//! Sources: Durkan et al., "Neural Spline Flows", arXiv:1906.04032; Dinh et al.,
//! arXiv:1605.08803 (coupling, batch norm); Kingma and Dhariwal,
//! arXiv:1807.03039 (LU). The parametrisation is that of nflows 0.14.

mod device;
mod host;
mod sampler;

use crate::kind::Kind;
use crate::layout::{Initial, Layout, ParameterSpec};
pub(crate) use device::FlowOnDevice;
pub(crate) use host::HostFlow;
pub use sampler::FlowSampler;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance of a batch norm, and to the softplus that is its scale.
const NORM_EPSILON: f64 = 1e-5;
/// Weight of a batch in the running statistics.
const NORM_MOMENTUM: f64 = 0.1;
/// Added to the softplus that is the diagonal of a linear step, so that its determinant
/// stays away from zero.
const DIAGONAL_MINIMUM: f64 = 1e-3;
/// Initial spread of a residual block's last layer: a block begins as almost
/// the identity.
const BLOCK_SPREAD: f32 = 1e-3;

/// Shape of one flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// Features whose density is learned, `D`, at least 2.
    pub features: usize,
    /// Context that the density is conditional on, `C`; 0 = none.
    pub context: usize,
    /// Steps from features to noise.
    pub steps: Vec<FlowStep>,
    /// Bins of a spline, `K`.
    pub bins: usize,
    /// Splines act within plus or minus this, and are the identity beyond.
    pub bound: f64,
    /// Width of the conditioner.
    pub hidden: usize,
    /// Residual blocks of the conditioner.
    pub blocks: usize,
    /// Probability to drop a hidden unit of a block in training; 0 = off.
    pub dropout: f64,
}

/// One invertible step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowStep {
    /// Batch norm.
    BatchNorm,
    /// Permutation, then a matrix P L U and a shift.
    Linear,
    /// Spline coupling. The first transforms the features 0, 2, 4, ..., the
    /// second the others, and so on.
    Coupling,
}

impl FlowConfig {
    pub(crate) fn couplings(&self) -> usize {
        let is_coupling = |step: &&FlowStep| **step == FlowStep::Coupling;
        self.steps.iter().filter(is_coupling).count()
    }

    /// Features that coupling number `coupling` transforms, and those that it
    /// passes on.
    pub(crate) fn division(&self, coupling: usize) -> [Vec<usize>; 2] {
        let parity = coupling % 2;
        let (transformed, identity) = (0..self.features).partition(|k| k % 2 == parity);
        [transformed, identity]
    }

    /// Parameters of one spline, 3K - 1.
    pub(crate) fn spline_parameters(&self) -> usize {
        3 * self.bins - 1
    }
}

impl Kind for FlowConfig {
    fn columns(&self) -> usize {
        self.features.saturating_add(self.context)
    }

    fn checked_size(&self) -> Option<usize> {
        // a coupling transforms some features given the others
        if self.features < 2 || self.bins < 2 || self.steps.len() > 10_000 || self.blocks > 10_000 {
            return None;
        }
        let d = self.features;
        let h = self.hidden;
        let square = h.checked_mul(h)?;
        let inputs = d.checked_add(self.context)?.checked_add(1)?;
        let into = inputs.checked_mul(h)?;
        let outputs = d.checked_mul(self.bins.checked_mul(3)?)?;
        let out = outputs.checked_mul(h.checked_add(1)?)?;
        let block = square.checked_mul(2)?.checked_add(into)?;
        let coupling = block.checked_mul(self.blocks)?.checked_add(into)?;
        let step = coupling.checked_add(out)?.checked_add(d.checked_mul(d)?)?;
        step.checked_mul(self.steps.len())
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }

    fn layouts(&self) -> [Layout; 2] {
        let (mut parameters, mut statistics) = (Vec::new(), Vec::new());
        let mut couplings = 0;
        let (d, h, c) = (self.features, self.hidden, self.context);
        for (number, step) in self.steps.iter().enumerate() {
            let name = |part: &str| format!("step.{number}.{part}");
            let constant = |part, value| ParameterSpec::constant(&name(part), d, value);
            match step {
                FlowStep::BatchNorm => {
                    let unit = inverse_softplus(1.0 - NORM_EPSILON);
                    parameters.extend([constant("gain", unit), constant("shift", 0.0)]);
                    statistics.extend([constant("mean", 0.0), constant("variance", 1.0)]);
                }
                FlowStep::Linear => {
                    let triangle = d * d.saturating_sub(1) / 2;
                    let unit = inverse_softplus(1.0 - DIAGONAL_MINIMUM);
                    for part in ["lower", "upper"] {
                        parameters.push(ParameterSpec {
                            decays: true,
                            ..ParameterSpec::constant(&name(part), triangle, 0.0)
                        });
                    }
                    parameters.extend([constant("diagonal", unit), constant("bias", 0.0)]);
                    let permutation = Initial::Permutation;
                    statistics.push(ParameterSpec::row(&name("permutation"), d, permutation));
                }
                FlowStep::Coupling => {
                    let [transformed, identity] = self.division(couplings);
                    couplings += 1;
                    let linear = |part: &str, inputs, outputs| {
                        ParameterSpec::linear(&name(part), inputs, outputs)
                    };
                    parameters.extend(linear("input", identity.len() + c, h));
                    for block in 0..self.blocks {
                        let part = |part: &str| format!("block.{block}.{part}");
                        parameters.extend(linear(&part("first"), h, h));
                        let second = linear(&part("second"), h, h);
                        parameters.extend(second.map(|spec| ParameterSpec {
                            initial: Initial::Uniform(BLOCK_SPREAD),
                            ..spec
                        }));
                        if c > 0 {
                            parameters.extend(linear(&part("context"), c, h));
                        }
                    }
                    let outputs = transformed.len() * self.spline_parameters();
                    parameters.extend(linear("output", h, outputs));
                }
            }
        }
        [parameters, statistics].map(Layout::new)
    }

    fn activations(&self) -> usize {
        let spline = self.features.div_ceil(2) * (self.spline_parameters() * 6 + 40);
        let coupling = self.hidden * (2 + 8 * self.blocks) + spline;
        let steps = self.features * (self.steps.len() * 4 + 2) + self.context;
        steps + self.couplings() * coupling
    }

    fn dropout_widths(&self) -> Vec<usize> {
        vec![self.hidden; self.couplings() * self.blocks]
    }
}

/// u with log(1 + exp(u)) = y.
fn inverse_softplus(y: f64) -> f32 {
    y.exp_m1().ln() as f32
}
