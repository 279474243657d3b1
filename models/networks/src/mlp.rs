//! A stack of fully connected networks: linear, batch norm, activation and
//! dropout a hidden layer, then one linear output.

mod host;

use crate::kind::{DeviceNetwork, Kind, Training, Unpacked, linear};
use crate::layout::{Layout, ParameterSpec};
use crate::objective::softplus;
use burn::tensor::{Tensor, activation};
pub(crate) use host::HostMlp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance of a batch norm, and weight of a batch in its running
/// statistics: PyTorch's defaults.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Activation applied after every hidden layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x)
    #[default]
    Relu,
    /// x for x > 0, 0.01 x below
    LeakyRelu,
    /// x sigmoid(x), also called swish
    Silu,
    /// x Phi(x), with the exact normal distribution function
    Gelu,
    /// tanh(x)
    Tanh,
    /// log(1 + exp(x))
    Softplus,
}

impl Activation {
    /// Applies the function element by element, any shape.
    pub(crate) fn forward<const R: usize>(self, x: Tensor<R>) -> Tensor<R> {
        match self {
            Self::Relu => activation::relu(x),
            Self::LeakyRelu => activation::leaky_relu(x, 0.01),
            Self::Silu => activation::silu(x),
            Self::Gelu => activation::gelu(x),
            Self::Tanh => x.tanh(),
            Self::Softplus => softplus(x),
        }
    }

    /// All functions, for tests.
    pub const ALL: [Self; 6] = {
        use Activation::{Gelu, LeakyRelu, Relu, Silu, Softplus, Tanh};
        [Relu, LeakyRelu, Silu, Gelu, Tanh, Softplus]
    };
}

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
    /// A network without dropout and batch norm.
    pub fn new(inputs: usize, hidden: &[usize], activation: Activation) -> Self {
        Self {
            inputs,
            hidden: hidden.to_vec(),
            activation,
            dropout: 0.0,
            batch_norm: false,
        }
    }
}

impl Kind for MlpConfig {
    fn columns(&self) -> usize {
        self.inputs
    }

    fn checked_size(&self) -> Option<usize> {
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

    fn dropout(&self) -> f64 {
        self.dropout
    }

    fn layouts(&self) -> [Layout; 2] {
        let (mut parameters, mut statistics) = (Vec::new(), Vec::new());
        let mut width = self.inputs;
        for (layer, next) in self.hidden.iter().copied().enumerate() {
            let (hidden, norm) = (format!("hidden.{layer}"), format!("norm.{layer}"));
            parameters.extend(ParameterSpec::linear(&hidden, width, next));
            if self.batch_norm {
                parameters.extend(ParameterSpec::batch_norm(&norm, next));
                statistics.extend(ParameterSpec::running(&norm, next));
            }
            width = next;
        }
        parameters.extend(ParameterSpec::linear("output", width, 1));
        [parameters, statistics].map(Layout::new)
    }

    fn activations(&self) -> usize {
        let per_layer = 2 + 2 * usize::from(self.batch_norm) + 2 * usize::from(self.dropout > 0.0);
        self.inputs + per_layer * self.hidden.iter().sum::<usize>() + 4
    }

    fn dropout_widths(&self) -> Vec<usize> {
        self.hidden.clone()
    }
}

impl DeviceNetwork for MlpConfig {
    fn forward(
        &self,
        members: &Unpacked,
        mut x: Tensor<3>,
        mut training: Option<&mut Training>,
    ) -> Tensor<3> {
        let mut next = members.parameters.iter().cloned();
        let mut take = || next.next().expect("the layout has every parameter");
        for layer in 0..self.hidden.len() {
            x = linear(x, take(), take());
            if self.batch_norm {
                let running = &members.statistics[2 * layer..2 * layer + 2];
                x = batch_norm(x, [take(), take()], running, training.as_deref_mut());
            }
            x = self.activation.forward(x);
            if let Some(mask) = training.as_ref().and_then(|t| t.masks.get(layer)) {
                x = x * mask.clone();
            }
        }
        linear(x, take(), take())
    }
}

/// Normalises `x` `[E, B, W]` over the batch axis, in training by the batch's own
/// statistics, without by the running mean and variance. Event weights do not enter:
/// statistics are those of the rows seen. Source: Ioffe and Szegedy,
/// arXiv:1502.03167; the running variance is the unbiased one.
fn batch_norm(
    x: Tensor<3>,
    [gain, shift]: [Tensor<3>; 2],
    running: &[Tensor<3>],
    training: Option<&mut Training>,
) -> Tensor<3> {
    let Some(training) = training else {
        let scale = gain / (running[1].clone() + EPSILON).sqrt();
        return (x - running[0].clone()) * scale + shift;
    };
    let batch = x.dims()[1] as f64;
    let mean = x.clone().sum_dim(1) / batch;
    let centred = x - mean.clone();
    let variance = centred.clone().square().sum_dim(1) / batch;
    let unbiased = variance.clone().inner() * (batch / (batch - 1.0).max(1.0));
    for (old, new) in running.iter().zip([mean.inner(), unbiased]) {
        let mixed = old.clone() * (1.0 - MOMENTUM) + new * MOMENTUM;
        training.statistics.push(mixed);
    }
    centred / (variance + EPSILON).sqrt() * gain + shift
}
