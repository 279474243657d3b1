//! The flow on the host, written out: forward, inverse and gradient by hand.
//!
//! A conditioner of 32 units is too small for general tensor operations: their
//! cost a call, and the memory between them, exceed the arithmetic. Here a
//! training step walks the flow step by step, because a batch norm needs its
//! whole batch, and every step tile by tile ([`tile`]), so that a tile's
//! activations stay in the first-level cache. Evaluation takes one tile through
//! all steps.
//!
//! Everything runs on the calling thread and in a fixed order: same numbers, same
//! result. A row's log p, or sample, is computed in its own lane and does not
//! depend on the other rows or their number, to the bit.

mod batch_norm;
mod conditioner;
mod coupling;
mod evaluate;
mod linear;
mod matmul;
#[cfg(test)]
mod reference;
mod spline;
#[cfg(test)]
mod tests;
mod tile;
mod train;

use crate::flow::{FlowConfig, FlowStep};
use crate::host::Buffer;
use batch_norm::BatchNorm;
use coupling::Coupling;
use linear::Linear;
use pulp::Arch;
use std::ops::Range;

/// A flow as the places of its parameters; see [`FlowConfig`].
#[derive(Clone, Debug)]
pub(crate) struct HostFlow {
    /// The instruction set, the widest of this machine.
    arch: Arch,
    features: usize,
    context: usize,
    hidden: usize,
    blocks: usize,
    steps: Vec<Step>,
    couplings: Vec<Coupling>,
    /// Length of the padded weights.
    padded: usize,
}

/// One step and its places in the rows of the member.
#[derive(Clone, Debug)]
struct Step {
    kind: FlowStep,
    /// Number among the steps of its kind.
    number: usize,
    parameters: Range<usize>,
    statistics: Range<usize>,
    /// In the padded weights.
    padded: Range<usize>,
}

/// Memory that a thread keeps between calls, for flows of any shape.
#[derive(Default)]
pub(crate) struct Scratch {
    norms: Vec<BatchNorm>,
    linears: Vec<Linear>,
    padded: Buffer,
    /// Input of every step and the flow's output: `[steps + 1, tiles, D, TILE]`.
    variables: Buffer,
    /// `[tiles, C, TILE]`.
    context: Buffer,
    /// Per event `[tiles, TILE]`.
    log_det: Buffer,
    by_log_det: Buffer,
    /// Gradient by the variables `[tiles, D, TILE]`, and one tile beside it.
    gradient: Buffer,
    other: Buffer,
    work: conditioner::Work,
    linear_sums: linear::Sums,
    norm_sums: batch_norm::Sums,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl HostFlow {
    /// The flow of a configuration.
    pub(crate) fn new(config: &FlowConfig) -> Self {
        let d = config.features;
        let (mut parameters, mut statistics, mut padded) = (0, 0, 0);
        let mut couplings = Vec::new();
        let mut numbers = [0; 2];
        let mut steps = Vec::with_capacity(config.steps.len());
        for kind in config.steps.iter().copied() {
            let (number, lengths) = match kind {
                FlowStep::BatchNorm => {
                    numbers[0] += 1;
                    (numbers[0] - 1, [2 * d, 2 * d, 0])
                }
                FlowStep::Linear => {
                    numbers[1] += 1;
                    (numbers[1] - 1, [linear::parameters(d), d, 0])
                }
                FlowStep::Coupling => {
                    let coupling = Coupling::new(config, couplings.len());
                    let conditioner = &coupling.conditioner;
                    let lengths = [conditioner.parameters(), 0, conditioner.padded()];
                    couplings.push(coupling);
                    (couplings.len() - 1, lengths)
                }
            };
            let advance = |place: &mut usize, len: usize| {
                *place += len;
                *place - len..*place
            };
            steps.push(Step {
                kind,
                number,
                parameters: advance(&mut parameters, lengths[0]),
                statistics: advance(&mut statistics, lengths[1]),
                padded: advance(&mut padded, lengths[2]),
            });
        }
        Self {
            arch: Arch::new(),
            features: d,
            context: config.context,
            hidden: config.hidden,
            blocks: config.blocks,
            steps,
            couplings,
            padded,
        }
    }

    /// Columns of a row of inputs, `D + C`.
    pub(crate) fn columns(&self) -> usize {
        self.features + self.context
    }

    /// Reads a member's rows into `scratch`.
    fn read(&self, scratch: &mut Scratch, parameters: &[f32], statistics: &[f32]) {
        let count = |kind| self.steps.iter().filter(|step| step.kind == kind).count();
        let (norms, linears) = (count(FlowStep::BatchNorm), count(FlowStep::Linear));
        scratch.norms.resize_with(norms, BatchNorm::default);
        scratch.linears.resize_with(linears, Linear::default);
        let padded = scratch.padded.zeros(self.padded);
        for step in &self.steps {
            let own = &parameters[step.parameters.clone()];
            let statistics = &statistics[step.statistics.clone()];
            match step.kind {
                FlowStep::BatchNorm => scratch.norms[step.number].read(own),
                FlowStep::Linear => {
                    scratch.linears[step.number].read(self.features, own, statistics);
                }
                FlowStep::Coupling => self.couplings[step.number]
                    .conditioner
                    .pack(own, &mut padded[step.padded.clone()]),
            }
        }
    }
}
