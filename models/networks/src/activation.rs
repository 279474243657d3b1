//! Activation functions of the hidden layers.

use burn::tensor::{Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
            Self::Softplus => crate::objective::softplus(x),
        }
    }

    /// All functions, for tests and documentation.
    pub const ALL: [Self; 6] = [
        Self::Relu,
        Self::LeakyRelu,
        Self::Silu,
        Self::Gelu,
        Self::Tanh,
        Self::Softplus,
    ];
}
