//! A member's network, whatever its kind: packed parameters and running statistics, and
//! one output for each row, which is log r(x) of a classifier and log p(x|c) of a flow.
//!
//! The kinds are told apart in one place, [`NetworkConfig`]. Each computes by hand on
//! the host ([`HostNetwork`]) and by tensor operations elsewhere ([`DeviceNetwork`]).

use crate::device::Compute;
use crate::flow::{self, FlowConfig};
use crate::mlp::{self, MlpConfig};
use crate::objective::Objective;
use crate::stack::{Layout, Row};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use sideband_numerics::random::Key;
use std::sync::Arc;

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
    fn kind(&self) -> &dyn Kind {
        match self {
            Self::Flow(flow) => flow,
            Self::Mlp(mlp) => mlp,
        }
    }

    /// Columns of the table that the network reads.
    pub fn columns(&self) -> usize {
        self.kind().columns()
    }

    /// Number of a member's parameters, none if there are more than anything
    /// could hold: for files whose configuration nobody vouches for.
    pub fn checked_size(&self) -> Option<usize> {
        self.kind().checked_size()
    }

    /// Probability to drop a hidden unit in training.
    pub fn dropout(&self) -> f64 {
        self.kind().dropout()
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

pub(crate) trait Kind {
    fn columns(&self) -> usize;
    fn checked_size(&self) -> Option<usize>;
    fn dropout(&self) -> f64;

    fn layouts(&self) -> [Layout; 2];

    /// Number of values that one event leaves in memory in a training step.
    fn activations(&self) -> usize;

    /// Widths of the layers on which dropout acts, in the order of the masks.
    fn dropout_widths(&self) -> Vec<usize>;

    fn on_host(&self) -> Arc<dyn HostNetwork>;
    fn on_device(&self, compute: &Compute) -> Arc<dyn DeviceNetwork>;
}

/// A network as a function of packed parameters; holds no tensor.
#[derive(Clone, Debug)]
pub struct Network {
    config: NetworkConfig,
    parameters: Layout,
    statistics: Layout,
}

impl Network {
    /// The network of a configuration.
    pub fn new(config: impl Into<NetworkConfig>) -> Self {
        let config = config.into();
        let [parameters, statistics] = config.kind().layouts();
        Self {
            config,
            parameters,
            statistics,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Names, shapes and places of a member's trained parameters.
    pub fn parameters(&self) -> &Layout {
        &self.parameters
    }

    /// Names, shapes and places of what a member has beside its trained
    /// parameters: running statistics, fixed permutations.
    pub fn statistics(&self) -> &Layout {
        &self.statistics
    }

    /// A member before its first step, a pure function of its key.
    pub fn initial(&self, key: Key) -> Row {
        Row {
            parameters: self.parameters.initial(key),
            statistics: self.statistics.initial(key.with(u64::MAX)),
        }
    }

    /// Number of values that one event leaves in memory in a training step.
    pub fn activations(&self) -> usize {
        self.config.kind().activations()
    }

    /// Widths of the layers on which dropout acts, in the order of the masks; none
    /// without dropout.
    pub(crate) fn dropout_widths(&self) -> Vec<usize> {
        if self.config.dropout() == 0.0 {
            return Vec::new();
        }
        self.config.kind().dropout_widths()
    }

    pub(crate) fn on_host(&self) -> Arc<dyn HostNetwork> {
        self.config.kind().on_host()
    }

    pub(crate) fn on_device(&self, compute: &Compute) -> Arc<dyn DeviceNetwork> {
        self.config.kind().on_device(compute)
    }
}

/// A network that computes its training step and its output by hand.
pub(crate) trait HostNetwork: Send + Sync {
    /// Number of values in a row of inputs: the columns of the table, and behind
    /// them ones up to this number.
    fn stride(&self) -> usize;

    /// One training batch of one member: L = sum over rows of `coefficient * loss`.
    /// Writes dL/d parameters into `gradient` `[P]` and the new running statistics
    /// into the member's row; returns L.
    fn gradient(
        &self,
        scratch: &mut Scratch,
        member: &mut Row,
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32;

    /// Output of rows `x` `[n, stride]` into `output` `[n]`: log r(x), or log p(x|c) of
    /// a flow. With running statistics and without dropout.
    fn output(&self, scratch: &mut Scratch, member: &Row, x: &[f32], output: &mut [f32]);
}

#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// Inputs `[B, stride]`; the first half is source.
    pub(crate) x: &'a [f32],
    /// Coefficient of each row in the loss, `[B]`; the division by the batch is in it.
    pub(crate) coefficients: &'a [f32],
    /// A mask `[B, W]` of 0 or 1/(1 - dropout) for every layer with dropout, one after
    /// the other; empty without dropout.
    pub(crate) masks: &'a [f32],
    /// Loss of a row; a flow's is its likelihood.
    pub(crate) objective: Objective,
}

/// Memory that a thread keeps between calls, for networks of any kind and shape.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) flow: flow::Scratch,
    pub(crate) mlp: mlp::Scratch,
}

/// A network that is computed by tensor operations, all members at once.
pub(crate) trait DeviceNetwork: Send + Sync {
    /// Output `[E, B, 1]` of rows `x` `[1 or E, B, D]`: in training with the batch's
    /// statistics and with dropout, without it with running statistics.
    fn forward(
        &self,
        members: &Unpacked,
        x: Tensor<3>,
        training: Option<&mut Training>,
    ) -> Tensor<3>;
}

/// Members' parameters and running statistics, one tensor `[E, rows, cols]` each.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    pub(crate) parameters: Vec<Tensor<3>>,
    pub(crate) statistics: Vec<Tensor<3>>,
}

impl Unpacked {
    pub(crate) fn new(compute: &Compute, network: &Network, rows: &[Row]) -> Self {
        let unpack = |layout: &Layout, pick: fn(&Row) -> &[f32]| match layout.len() {
            0 => Vec::new(),
            width => layout.unpack(&compute.pack(rows.iter().map(pick), width)),
        };
        Self {
            parameters: unpack(&network.parameters, |row| &row.parameters),
            statistics: unpack(&network.statistics, |row| &row.statistics),
        }
    }
}

/// What a forward pass needs and leaves in training.
pub(crate) struct Training<'a> {
    /// A scaled dropout mask `[E, B, W]` a layer with dropout, or none.
    pub(crate) masks: &'a [Tensor<3>],
    /// New running statistics, in the layout's order, each `[E, 1, W]`.
    pub(crate) statistics: Vec<Tensor<3>>,
}

/// The stacked linear layer, `x W + b` for every member. `x`: `[1 or E, B, in]`,
/// `weight`: `[E, in, out]`, `bias`: `[E, 1, out]`; result `[E, B, out]`.
pub(crate) fn linear(x: Tensor<3>, weight: Tensor<3>, bias: Tensor<3>) -> Tensor<3> {
    x.matmul(weight) + bias
}
