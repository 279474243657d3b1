//! A network of either kind, written out for the host.

use crate::flow::{self, HostFlow};
use crate::mlp::host::{self as mlp, HostMlp};
use crate::network::{Kind, Network};
use crate::objective::Objective;

/// A network that computes its training step and its output by hand.
#[derive(Clone, Debug)]
pub(crate) enum HostNetwork {
    Flow(Box<HostFlow>),
    /// A fully connected network.
    Mlp(HostMlp),
}

/// Memory that a thread keeps between calls.
#[derive(Default)]
pub(crate) struct Scratch {
    flow: flow::Scratch,
    mlp: mlp::Scratch,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

/// A training batch of one member.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// Inputs `[B, row]`, see [`HostNetwork::row`]; the first half is source.
    pub(crate) x: &'a [f32],
    /// Coefficient of each row in the loss, `[B]`.
    pub(crate) coefficients: &'a [f32],
    /// A mask `[B, W]` of 0 or 1/(1 - dropout) for every layer with dropout, one after
    /// the other; empty without dropout.
    pub(crate) masks: &'a [f32],
    /// Loss of a row; a flow's is its likelihood.
    pub(crate) objective: Objective,
}

impl HostNetwork {
    pub(crate) fn new(network: &Network) -> Self {
        match network.kind() {
            Kind::Flow(flow) => Self::Flow(Box::new(HostFlow::new(flow.config()))),
            Kind::Mlp(mlp) => Self::Mlp(HostMlp::new(mlp.config())),
        }
    }

    /// Number of values in a row of inputs: the columns of the table, and behind
    /// them ones up to this number.
    pub(crate) fn row(&self) -> usize {
        match self {
            Self::Flow(flow) => flow.columns(),
            Self::Mlp(mlp) => mlp.row(),
        }
    }

    /// One training batch of one member: L = sum over rows of `coefficient * loss`.
    /// Writes dL/d parameters into `gradient` `[P]` and the new running statistics
    /// into `statistics` `[S]`; returns L.
    pub(crate) fn gradient(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &mut [f32],
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32 {
        match self {
            Self::Flow(flow) => flow.gradient(
                &mut scratch.flow,
                parameters,
                statistics,
                batch.x,
                batch.coefficients,
                batch.masks,
                gradient,
            ),
            Self::Mlp(mlp) => {
                mlp.gradient(&mut scratch.mlp, parameters, statistics, batch, gradient)
            }
        }
    }

    /// Output of rows `x` `[n, row]` into `output` `[n]`: log r(x), or log p(x|c) of
    /// a flow. With running statistics and without dropout.
    pub(crate) fn output(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
        x: &[f32],
        output: &mut [f32],
    ) {
        match self {
            Self::Flow(flow) => {
                flow.log_prob(&mut scratch.flow, parameters, statistics, x, output);
            }
            Self::Mlp(mlp) => mlp.output(&mut scratch.mlp, parameters, statistics, x, output),
        }
    }
}
