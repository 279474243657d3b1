//! A member's network, whatever its kind: packed parameters and running statistics, and
//! one output for each row, which is log r(x) of a classifier and log p(x|c) of a flow.
//!
//! The kinds ([`Kind`]) are told apart here alone, by [`NetworkConfig`].

use crate::device::Compute;
use crate::flow::{FlowConfig, FlowOnDevice, HostFlow};
use crate::kind::{DeviceNetwork, HostNetwork, Kind, Unpacked};
use crate::layout::{Layout, Row};
use crate::mlp::{HostMlp, MlpConfig};
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
        match &self.config {
            NetworkConfig::Flow(flow) => Arc::new(HostFlow::new(flow)),
            NetworkConfig::Mlp(mlp) => Arc::new(HostMlp::new(mlp)),
        }
    }

    pub(crate) fn on_device(&self, compute: &Compute) -> Arc<dyn DeviceNetwork> {
        match &self.config {
            NetworkConfig::Flow(flow) => Arc::new(FlowOnDevice::new(compute, flow)),
            NetworkConfig::Mlp(mlp) => Arc::new(mlp.clone()),
        }
    }

    /// Members on a device, one tensor a parameter.
    pub(crate) fn unpacked(&self, compute: &Compute, rows: &[Row]) -> Unpacked {
        let unpack = |layout: &Layout, pick: fn(&Row) -> &[f32]| match layout.len() {
            0 => Vec::new(),
            width => layout.unpack(&compute.pack(rows.iter().map(pick), width)),
        };
        Unpacked {
            parameters: unpack(&self.parameters, |row| &row.parameters),
            statistics: unpack(&self.statistics, |row| &row.statistics),
        }
    }
}
