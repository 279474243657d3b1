//! A member's network, whatever its kind, as the stack sees it: packed
//! parameters and running statistics, and one output for each row.
//!
//! The output is log r(x) for a classifier ([`Mlp`]) and log p(x|c) for a flow
//! ([`Flow`]).

use crate::device::Compute;
use crate::flow::{Flow, FlowConfig, FlowOnDevice, HostFlow, Scratch};
use crate::mlp::{Mlp, MlpConfig};
use crate::random::Key;
use crate::stack::{Layout, download};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

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

#[derive(Clone, Debug)]
enum Kind {
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

/// A network with what a device needs to compute it.
#[derive(Clone, Debug)]
pub(crate) struct DeviceNetwork {
    network: Network,
    engine: Engine,
}

/// What computes. On the CPU backend a flow is written out by hand, since its
/// small layers spend their time between operations; the rule knows the device
/// and the kind of network alone, so that a member's numbers do not depend on
/// its neighbours. [`Kernels::Plain`](crate::Kernels) switches it off.
#[derive(Clone, Debug)]
enum Engine {
    Mlp(Mlp),
    Flow(Box<FlowOnDevice>),
    HostFlow(Box<HostFlow>),
}

impl DeviceNetwork {
    pub(crate) fn new(compute: &Compute, network: &Network) -> Self {
        let engine = match &network.kind {
            Kind::Mlp(mlp) => Engine::Mlp(mlp.clone()),
            Kind::Flow(flow) if compute.has_host_kernels() => {
                Engine::HostFlow(Box::new(HostFlow::new(flow.config())))
            }
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

    /// The hand-written flow, if it is what computes.
    pub(crate) fn host(&self) -> Option<&HostFlow> {
        match &self.engine {
            Engine::HostFlow(host) => Some(host),
            _ => None,
        }
    }

    /// The flow in tensor operations, if it is what computes.
    pub(crate) fn flow(&self) -> Option<&FlowOnDevice> {
        match &self.engine {
            Engine::Flow(flow) => Some(flow),
            _ => None,
        }
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
            Engine::HostFlow(_) => unreachable!("the stack asks for host() first"),
        }
    }

    fn evaluate_by_hand(
        &self,
        host: &HostFlow,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
    ) -> Tensor<3> {
        let pack = |layout: &Layout, list: &[Tensor<3>]| match list {
            [] => Vec::new(),
            list => download(layout.pack(list.to_vec())),
        };
        let parameters = pack(self.network.parameters(), parameters);
        let statistics = pack(self.network.statistics(), statistics);
        let (p, s) = (host.parameters(), host.statistics());
        let members = parameters.len() / p.max(1);
        let [given, batch, columns] = x.dims();
        let device = x.device();
        let x = download(x);
        let mut scratch = Scratch::default();
        let mut output = vec![0.0; members * batch];
        for (member, output) in output.chunks_mut(batch.max(1)).enumerate() {
            // rows are common to all members, or each has its own
            let first = if given == 1 {
                0
            } else {
                member * batch * columns
            };
            host.log_prob(
                &mut scratch,
                &parameters[member * p..(member + 1) * p],
                &statistics[member * s..(member + 1) * s],
                &x[first..first + batch * columns],
                output,
            );
        }
        Tensor::from_data(TensorData::new(output, [members, batch, 1]), &device)
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
            Engine::HostFlow(host) => self.evaluate_by_hand(host, parameters, statistics, x),
        }
    }
}
