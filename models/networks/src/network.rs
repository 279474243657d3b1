//! A member's network, whatever its kind, as the stack sees it: packed
//! parameters and running statistics, and one output for each row.
//!
//! The output is log r(x) for a classifier ([`Mlp`]) and log p(x|c) for a flow
//! ([`Flow`]).

use crate::device::Compute;
use crate::flow::{Flow, FlowConfig, FlowOnDevice};
use crate::mlp::{Mlp, MlpConfig};
use crate::stack::Layout;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use sideband_numerics::random::Key;

/// Shape of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NetworkConfig {
    /// A conditional normalising flow.
    Flow(FlowConfig),
    /// A fully connected network with one output.
    Mlp(MlpConfig),
}

impl NetworkConfig {
    /// Columns of the table that the network reads.
    #[must_use]
    pub fn columns(&self) -> usize {
        match self {
            Self::Flow(flow) => flow.features.saturating_add(flow.context),
            Self::Mlp(mlp) => mlp.inputs,
        }
    }

    /// Number of a member's parameters, none if there are more than anything
    /// could hold: for files whose configuration nobody vouches for.
    #[must_use]
    pub fn checked_size(&self) -> Option<usize> {
        match self {
            Self::Flow(flow) => flow.checked_size(),
            Self::Mlp(mlp) => mlp.checked_size(),
        }
    }

    /// Probability to drop a hidden unit in training.
    #[must_use]
    pub fn dropout(&self) -> f64 {
        match self {
            Self::Flow(flow) => flow.dropout,
            Self::Mlp(mlp) => mlp.dropout,
        }
    }
}

impl From<MlpConfig> for NetworkConfig {
    fn from(config: MlpConfig) -> Self {
        Self::Mlp(config)
    }
}

impl From<FlowConfig> for NetworkConfig {
    fn from(config: FlowConfig) -> Self {
        Self::Flow(config)
    }
}

/// A network as a function of packed parameters; holds no tensor.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    kind: Kind,
}

/// What kind of network it is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Flow(Flow),
    Mlp(Mlp),
}

impl Network {
    /// The network of a configuration.
    #[must_use]
    pub fn new(config: impl Into<NetworkConfig>) -> Self {
        let config = config.into();
        let kind = match &config {
            NetworkConfig::Flow(flow) => Kind::Flow(Flow::new(flow.clone())),
            NetworkConfig::Mlp(mlp) => Kind::Mlp(Mlp::new(mlp.clone())),
        };
        Self { config, kind }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Names, shapes and places of a member's trained parameters.
    #[must_use]
    pub fn parameters(&self) -> &Layout {
        match &self.kind {
            Kind::Flow(flow) => flow.parameters(),
            Kind::Mlp(mlp) => mlp.parameters(),
        }
    }

    /// Names, shapes and places of what a member has beside its trained
    /// parameters: running statistics, fixed permutations.
    #[must_use]
    pub fn statistics(&self) -> &Layout {
        match &self.kind {
            Kind::Flow(flow) => flow.statistics(),
            Kind::Mlp(mlp) => mlp.statistics(),
        }
    }

    /// Initial parameters of one member, a pure function of its key.
    #[must_use]
    pub fn initial_parameters(&self, key: Key) -> Vec<f32> {
        self.parameters().initial(key)
    }

    /// Statistics of one member before its first step, a pure function of its
    /// key.
    #[must_use]
    pub fn initial_statistics(&self, key: Key) -> Vec<f32> {
        self.statistics().initial(key.with(u64::MAX))
    }

    /// Number of values that one event leaves in memory in a training step.
    #[must_use]
    pub fn activations(&self) -> usize {
        match &self.kind {
            Kind::Flow(flow) => flow.activations(),
            Kind::Mlp(mlp) => mlp.activations(),
        }
    }

    /// Widths of the layers on which dropout acts, in the order of the masks.
    #[must_use]
    pub(crate) fn dropout_widths(&self) -> Vec<usize> {
        if self.config.dropout() == 0.0 {
            return Vec::new();
        }
        match &self.config {
            NetworkConfig::Flow(flow) => vec![flow.hidden; flow.couplings() * flow.blocks],
            NetworkConfig::Mlp(mlp) => mlp.hidden.clone(),
        }
    }
}

/// The result of a forward pass in training.
pub(crate) struct TrainingOutput {
    /// Output `[E, B, 1]`.
    pub output: Tensor<3>,
    /// New running statistics, in the layout's order, each `[E, 1, W]`.
    pub statistics: Vec<Tensor<3>>,
}

/// A network with what a device needs to compute it by tensor operations.
#[derive(Clone, Debug)]
pub(crate) struct DeviceNetwork {
    network: Network,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    Mlp(Mlp),
    Flow(Box<FlowOnDevice>),
}

impl DeviceNetwork {
    pub(crate) fn new(compute: &Compute, network: &Network) -> Self {
        let engine = match &network.kind {
            Kind::Mlp(mlp) => Engine::Mlp(mlp.clone()),
            Kind::Flow(flow) => Engine::Flow(Box::new(FlowOnDevice::new(compute, flow))),
        };
        Self {
            network: network.clone(),
            engine,
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Forward pass in training. `parameters`: one tensor `[E, rows, cols]` a
    /// parameter; `x`: `[1 or E, B, D]`; `masks`: a scaled dropout mask
    /// `[E, B, W]` a layer with dropout, or none.
    pub(crate) fn train(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
        masks: &[Tensor<3>],
    ) -> TrainingOutput {
        match &self.engine {
            Engine::Mlp(mlp) => mlp.train(parameters, statistics, x, masks),
            Engine::Flow(flow) => flow.train(parameters, statistics, x, masks),
        }
    }

    /// Forward pass with running statistics and without dropout.
    pub(crate) fn evaluate(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
    ) -> Tensor<3> {
        match &self.engine {
            Engine::Mlp(mlp) => mlp.evaluate(parameters, statistics, x),
            Engine::Flow(flow) => flow.evaluate(parameters, statistics, x),
        }
    }
}
