//! A stack of fully connected networks: linear, batch norm, activation and
//! dropout a hidden layer, then one linear output.

pub(crate) mod host;

use crate::activation::Activation;
use crate::network::TrainingOutput;
use crate::stack::{Layout, ParameterSpec, batch_norm, linear};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Shape of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MlpConfig {
    /// Number of inputs, `D`.
    pub inputs: usize,
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Activation after every hidden layer.
    pub activation: Activation,
    /// Probability to drop a hidden unit in training; 0 = off.
    pub dropout: f64,
    /// Batch normalisation before every activation.
    pub batch_norm: bool,
}

impl MlpConfig {
    pub(crate) fn checked_size(&self) -> Option<usize> {
        if self.hidden.len() > 1024 {
            return None;
        }
        let mut widths = self.hidden.iter().copied().chain([1]);
        let add = |(width, sum): (usize, usize), next: usize| {
            Some((next, sum.checked_add(width.checked_mul(next)?)?))
        };
        let (_, sum) = widths.try_fold((self.inputs, 0), add)?;
        Some(sum)
    }
}

/// The network as a pure function of packed parameters.
///
/// It holds no tensor: parameters `[E, P]` and running statistics `[E, S]`
/// belong to the [`Stack`](crate::Stack) or [`Predictor`](crate::Predictor)
/// that calls it.
#[derive(Clone, Debug)]
pub struct Mlp {
    config: MlpConfig,
    parameters: Layout,
    statistics: Layout,
}

impl Mlp {
    /// The network of a configuration.
    #[must_use]
    pub fn new(config: MlpConfig) -> Self {
        let mut parameters = Vec::new();
        let mut statistics = Vec::new();
        let mut width = config.inputs;
        for (layer, next) in config.hidden.iter().copied().enumerate() {
            parameters.extend(ParameterSpec::linear(
                &format!("hidden.{layer}"),
                width,
                next,
            ));
            if config.batch_norm {
                parameters.extend(ParameterSpec::batch_norm(&format!("norm.{layer}"), next));
                statistics.extend(ParameterSpec::running(&format!("norm.{layer}"), next));
            }
            width = next;
        }
        parameters.extend(ParameterSpec::linear("output", width, 1));
        Self {
            config,
            parameters: Layout::new(parameters),
            statistics: Layout::new(statistics),
        }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// Names, shapes and places of a member's trained parameters.
    #[must_use]
    pub fn parameters(&self) -> &Layout {
        &self.parameters
    }

    /// Names, shapes and places of a member's running statistics.
    #[must_use]
    pub fn statistics(&self) -> &Layout {
        &self.statistics
    }

    /// Number of values that one event leaves in memory in a training step.
    #[must_use]
    pub fn activations(&self) -> usize {
        let per_layer = 2
            + 2 * usize::from(self.config.batch_norm)
            + 2 * usize::from(self.config.dropout > 0.0);
        self.config.inputs + per_layer * self.config.hidden.iter().sum::<usize>() + 4
    }

    /// Forward pass in training. `parameters`: one tensor `[E, rows, cols]` a
    /// parameter; `x`: `[1 or E, B, D]`; `masks`: a scaled dropout mask
    /// `[E, B, W]` a hidden layer, or none.
    pub(crate) fn train(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
        masks: &[Tensor<3>],
    ) -> TrainingOutput {
        let mut updated = Vec::with_capacity(statistics.len());
        let output = self.run(parameters, x, |layer, z, affine| {
            let z = match affine {
                Some((gain, shift)) => {
                    let running = &statistics[2 * layer..2 * layer + 2];
                    let (z, mean, variance) = batch_norm::train(z, gain, shift, running);
                    updated.push(mean);
                    updated.push(variance);
                    z
                }
                None => z,
            };
            let z = self.config.activation.forward(z);
            match masks.get(layer) {
                Some(mask) => z * mask.clone(),
                None => z,
            }
        });
        TrainingOutput {
            output,
            statistics: updated,
        }
    }

    /// Forward pass with running statistics and without dropout.
    pub(crate) fn evaluate(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
    ) -> Tensor<3> {
        self.run(parameters, x, |layer, z, affine| {
            let z = match affine {
                Some((gain, shift)) => {
                    batch_norm::evaluate(z, gain, shift, &statistics[2 * layer..2 * layer + 2])
                }
                None => z,
            };
            self.config.activation.forward(z)
        })
    }

    fn run(
        &self,
        parameters: &[Tensor<3>],
        x: Tensor<3>,
        mut hidden: impl FnMut(usize, Tensor<3>, Option<(Tensor<3>, Tensor<3>)>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mut next = parameters.iter().cloned();
        let mut take = || next.next().expect("the layout has every parameter");
        let mut x = x;
        for layer in 0..self.config.hidden.len() {
            let z = linear(x, take(), take());
            let affine = self.config.batch_norm.then(|| (take(), take()));
            x = hidden(layer, z, affine);
        }
        linear(x, take(), take())
    }
}
