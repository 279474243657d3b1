//! The shape of a flow, and where its parameters lie.

use super::{DIAGONAL_MINIMUM, NORM_EPSILON};
use crate::stack::{Initial, Layout, ParameterSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// Number of couplings.
    #[must_use]
    pub fn couplings(&self) -> usize {
        let is_coupling = |step: &&FlowStep| **step == FlowStep::Coupling;
        self.steps.iter().filter(is_coupling).count()
    }

    /// Features that coupling number `coupling` transforms, and those that it
    /// passes on.
    #[must_use]
    pub fn division(&self, coupling: usize) -> [Vec<usize>; 2] {
        let parity = coupling % 2;
        let (transformed, identity) = (0..self.features).partition(|k| k % 2 == parity);
        [transformed, identity]
    }

    /// Parameters of one spline, 3K - 1.
    #[must_use]
    pub fn spline_parameters(&self) -> usize {
        3 * self.bins - 1
    }

    pub(crate) fn checked_size(&self) -> Option<usize> {
        // a coupling transforms some features given the others
        if self.features < 2 || self.bins < 2 || self.steps.len() > 10_000 || self.blocks > 10_000 {
            return None;
        }
        let d = self.features;
        let h = self.hidden;
        let square = h.checked_mul(h)?;
        let into = d
            .checked_add(self.context)?
            .checked_add(1)?
            .checked_mul(h)?;
        let out = d
            .checked_mul(self.bins.checked_mul(3)?)?
            .checked_mul(h.checked_add(1)?)?;
        let block = square.checked_mul(2)?.checked_add(into)?;
        let step = block
            .checked_mul(self.blocks)?
            .checked_add(into)?
            .checked_add(out)?
            .checked_add(d.checked_mul(d)?)?;
        step.checked_mul(self.steps.len())
    }
}

/// A flow as a function of packed parameters; holds no tensor.
#[derive(Clone, Debug)]
pub struct Flow {
    config: FlowConfig,
    parameters: Layout,
    statistics: Layout,
}

impl Flow {
    /// The flow of a configuration.
    #[must_use]
    pub fn new(config: FlowConfig) -> Self {
        let mut parameters = Vec::new();
        let mut statistics = Vec::new();
        let mut couplings = 0;
        for (number, step) in config.steps.iter().enumerate() {
            let name = |part: &str| format!("step.{number}.{part}");
            let d = config.features;
            match step {
                FlowStep::BatchNorm => {
                    let unit = inverse_softplus(1.0 - NORM_EPSILON);
                    parameters.push(ParameterSpec::constant(&name("gain"), d, unit));
                    parameters.push(ParameterSpec::constant(&name("shift"), d, 0.0));
                    statistics.push(ParameterSpec::constant(&name("mean"), d, 0.0));
                    statistics.push(ParameterSpec::constant(&name("variance"), d, 1.0));
                }
                FlowStep::Linear => {
                    let triangle = d * d.saturating_sub(1) / 2;
                    let unit = inverse_softplus(1.0 - DIAGONAL_MINIMUM);
                    for part in ["lower", "upper"] {
                        let spec = ParameterSpec::constant(&name(part), triangle, 0.0);
                        parameters.push(ParameterSpec {
                            decays: true,
                            ..spec
                        });
                    }
                    parameters.push(ParameterSpec::constant(&name("diagonal"), d, unit));
                    parameters.push(ParameterSpec::constant(&name("bias"), d, 0.0));
                    let permutation = Initial::Permutation;
                    statistics.push(ParameterSpec::row(&name("permutation"), d, permutation));
                }
                FlowStep::Coupling => {
                    let [transformed, identity] = config.division(couplings);
                    couplings += 1;
                    let h = config.hidden;
                    let inputs = identity.len() + config.context;
                    parameters.extend(ParameterSpec::linear(&name("input"), inputs, h));
                    for block in 0..config.blocks {
                        let name = |part: &str| name(&format!("block.{block}.{part}"));
                        let second = name("second");
                        parameters.extend(ParameterSpec::linear(&name("first"), h, h));
                        parameters.extend(ParameterSpec::linear_within(
                            &second,
                            h,
                            h,
                            BLOCK_SPREAD,
                        ));
                        if config.context > 0 {
                            let context = config.context;
                            parameters.extend(ParameterSpec::linear(&name("context"), context, h));
                        }
                    }
                    let outputs = transformed.len() * config.spline_parameters();
                    parameters.extend(ParameterSpec::linear(&name("output"), h, outputs));
                }
            }
        }
        Self {
            config,
            parameters: Layout::new(parameters),
            statistics: Layout::new(statistics),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &FlowConfig {
        &self.config
    }

    /// Names, shapes and places of a member's trained parameters.
    #[must_use]
    pub fn parameters(&self) -> &Layout {
        &self.parameters
    }

    /// Running means and variances, and permutations.
    #[must_use]
    pub fn statistics(&self) -> &Layout {
        &self.statistics
    }

    /// Number of values that one event leaves in memory in a training step.
    #[must_use]
    pub fn activations(&self) -> usize {
        let c = &self.config;
        let spline = c.features.div_ceil(2) * (c.spline_parameters() * 6 + 40);
        let coupling = c.hidden * (2 + 8 * c.blocks) + spline;
        c.features * (c.steps.len() * 4 + 2) + c.context + c.couplings() * coupling
    }
}

/// u with log(1 + exp(u)) = y.
fn inverse_softplus(y: f64) -> f32 {
    y.exp_m1().ln() as f32
}
