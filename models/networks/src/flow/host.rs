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
mod coupling;
mod linear;
mod matmul;
#[cfg(test)]
mod reference;
mod spline;
#[cfg(test)]
mod tests;
mod tile;

use super::{FlowConfig, FlowStep};
use crate::buffer::Buffer;
use crate::kind::{self, Batch, HostNetwork};
use crate::layout::Row;
use batch_norm::BatchNorm;
use coupling::{Coupling, Given};
use linear::Linear;
use sideband_numerics::lanes::Arch;
use std::ops::Range;
use tile::TILE;

/// A flow as the places of its parameters; see [`FlowConfig`].
pub(crate) struct HostFlow {
    /// The instruction set, the widest of this machine.
    arch: Arch,
    features: usize,
    context: usize,
    hidden: usize,
    blocks: usize,
    steps: Vec<HostStep>,
    couplings: Vec<Coupling>,
    /// Length of the padded weights.
    padded: usize,
}

/// One step and its places in the rows of the member.
struct HostStep {
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
    work: coupling::Work,
    linear_sums: linear::LinearSums,
    norm_sums: batch_norm::NormSums,
}

impl HostFlow {
    pub(crate) fn new(config: &FlowConfig) -> Self {
        let d = config.features;
        let (mut parameters, mut statistics, mut padded) = (0, 0, 0);
        let mut couplings = Vec::new();
        let mut numbers = [0; 3];
        let mut steps = Vec::with_capacity(config.steps.len());
        let advance = |place: &mut usize, len: usize| {
            *place += len;
            *place - len..*place
        };
        for kind in config.steps.iter().copied() {
            let lengths = match kind {
                FlowStep::BatchNorm => [2 * d, 2 * d, 0],
                FlowStep::Linear => [linear::parameters(d), d, 0],
                FlowStep::Coupling => {
                    let coupling = Coupling::new(config, couplings.len());
                    let lengths = [coupling.parameters, 0, coupling.padded];
                    couplings.push(coupling);
                    lengths
                }
            };
            steps.push(HostStep {
                kind,
                number: advance(&mut numbers[kind as usize], 1).start,
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

    fn read(&self, scratch: &mut Scratch, member: &Row) {
        let count = |kind| self.steps.iter().filter(|step| step.kind == kind).count();
        let (norms, linears) = (count(FlowStep::BatchNorm), count(FlowStep::Linear));
        scratch.norms.resize_with(norms, BatchNorm::default);
        scratch.linears.resize_with(linears, Linear::default);
        let padded = scratch.padded.zeros(self.padded);
        for step in &self.steps {
            let own = &member.parameters[step.parameters.clone()];
            let statistics = &member.statistics[step.statistics.clone()];
            match step.kind {
                FlowStep::BatchNorm => scratch.norms[step.number].read(own),
                FlowStep::Linear => {
                    scratch.linears[step.number].read(self.features, own, statistics);
                }
                FlowStep::Coupling => {
                    self.couplings[step.number].pack(own, &mut padded[step.padded.clone()]);
                }
            }
        }
    }

    /// Reads a member for evaluation; returns the part of the log-determinant
    /// that is the same for every row.
    fn prepare(&self, scratch: &mut Scratch, member: &Row) -> f64 {
        self.read(scratch, member);
        let mut constant = 0.0;
        for step in &self.steps {
            match step.kind {
                FlowStep::BatchNorm => {
                    let norm = &mut scratch.norms[step.number];
                    norm.running(&member.statistics[step.statistics.clone()]);
                    constant += norm.log_det;
                }
                FlowStep::Linear => constant += scratch.linears[step.number].log_det,
                FlowStep::Coupling => {}
            }
        }
        constant
    }

    /// Inverses of the linear steps' matrices, `[D, D]`, that act on rows from the right.
    pub(super) fn inverses(&self, member: &Row) -> Vec<Vec<f32>> {
        let linears = self
            .steps
            .iter()
            .filter(|step| step.kind == FlowStep::Linear);
        let inverse = |step: &HostStep| {
            let (parameters, order) = (step.parameters.clone(), step.statistics.clone());
            let mut linear = Linear::default();
            let order = &member.statistics[order];
            linear.read(self.features, &member.parameters[parameters], order);
            linear.invert();
            linear.transposed()
        };
        linears.map(inverse).collect()
    }

    /// The data that base noise `z` `[n, D]` stands for, given the context
    /// `[n, C]`; `out`: `[n, D]`.
    pub(super) fn sample(
        &self,
        scratch: &mut Scratch,
        member: &Row,
        z: &[f32],
        context: &[f32],
        out: &mut [f32],
    ) {
        self.invert(scratch, member, z, context, |step, first, tile| {
            if step == self.steps.len() {
                tile::scatter(tile, self.features, first, out);
            }
        });
    }

    /// [`sample`](Self::sample) with the variables `[n, D]` at the start and after every
    /// step, in the order of the inverse: the last is the data.
    pub(super) fn trace(
        &self,
        scratch: &mut Scratch,
        member: &Row,
        z: &[f32],
        context: &[f32],
    ) -> Vec<Vec<f32>> {
        let mut results = vec![vec![0.0; z.len()]; self.steps.len() + 1];
        self.invert(scratch, member, z, context, |step, first, tile| {
            tile::scatter(tile, self.features, first, &mut results[step]);
        });
        results
    }

    /// Takes noise through the inverse; `seen` gets each tile at the start and after each
    /// step, with the number of steps done and the tile's first row.
    fn invert(
        &self,
        scratch: &mut Scratch,
        member: &Row,
        z: &[f32],
        context: &[f32],
        mut seen: impl FnMut(usize, usize, &[f32]),
    ) {
        let (d, c) = (self.features, self.context);
        self.prepare(scratch, member);
        scratch.norms.iter_mut().for_each(BatchNorm::invert);
        scratch.linears.iter_mut().for_each(Linear::invert);
        for first in (0..z.len() / d).step_by(TILE) {
            tile::gather(z, d, 0..d, first, scratch.variables.get(d * TILE));
            tile::gather(context, c, 0..c, first, scratch.context.get(c * TILE));
            scratch.log_det.zeros(TILE);
            seen(0, first, scratch.variables.held(d * TILE));
            for (number, step) in self.steps.iter().rev().enumerate() {
                self.step::<true>(step, scratch, member);
                seen(number + 1, first, scratch.variables.held(d * TILE));
            }
        }
    }

    /// Takes the tile in `scratch.variables` through one step.
    fn step<const INVERSE: bool>(&self, step: &HostStep, scratch: &mut Scratch, member: &Row) {
        let arch = self.arch;
        let len = self.features * TILE;
        let x = scratch.variables.get(len);
        let other = scratch.other.get(len);
        match step.kind {
            FlowStep::BatchNorm => scratch.norms[step.number].apply(arch, x, other),
            FlowStep::Linear => scratch.linears[step.number].apply(arch, x, other),
            FlowStep::Coupling => {
                let given = Given {
                    arch,
                    parameters: &member.parameters[step.parameters.clone()],
                    padded: &scratch.padded.held(self.padded)[step.padded.clone()],
                    context: scratch.context.held(self.context * TILE),
                    mask: |_| None,
                };
                let log_det = scratch.log_det.get(TILE);
                let coupling = &self.couplings[step.number];
                coupling.map::<_, INVERSE>(&given, x, log_det, &mut scratch.work);
                return;
            }
        }
        std::mem::swap(&mut scratch.variables, &mut scratch.other);
    }

    fn tiles<'a>(&self, variables: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        variables.chunks_exact(self.features * TILE)
    }

    /// The dropout masks `[events, H]` of a tile in each block of a coupling.
    fn mask<'a>(
        &self,
        batch: &Batch<'a>,
        coupling: usize,
        tile: usize,
    ) -> impl Fn(usize) -> Option<&'a [f32]> {
        let (h, blocks) = (self.hidden, self.blocks);
        let (masks, rows) = (batch.masks, batch.coefficients.len() * h);
        move |block| {
            let own = match masks {
                [] => return None,
                masks => &masks[(coupling * blocks + block) * rows..][..rows],
            };
            let first = tile * TILE * h;
            Some(&own[first..rows.min(first + TILE * h)])
        }
    }
}

impl HostNetwork for HostFlow {
    fn stride(&self) -> usize {
        self.features + self.context
    }

    fn output(&self, scratch: &mut kind::Scratch, member: &Row, x: &[f32], output: &mut [f32]) {
        let scratch: &mut Scratch = scratch.of();
        let (d, c) = (self.features, self.context);
        let mut constant = self.prepare(scratch, member);
        constant -= 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        for (tile, output) in output.chunks_mut(TILE).enumerate() {
            let first = tile * TILE;
            tile::gather(x, d + c, 0..d, first, scratch.variables.get(d * TILE));
            tile::gather(x, d + c, d..d + c, first, scratch.context.get(c * TILE));
            scratch.log_det.zeros(TILE);
            for step in &self.steps {
                self.step::<false>(step, scratch, member);
            }
            let z = scratch.variables.held(d * TILE);
            let log_det = scratch.log_det.held(TILE);
            for (event, value) in output.iter_mut().enumerate() {
                let squares: f32 = z.iter().skip(event).step_by(TILE).map(|z| z * z).sum();
                *value = (constant + f64::from(log_det[event] - 0.5 * squares)) as f32;
            }
        }
    }

    fn gradient(
        &self,
        scratch: &mut kind::Scratch,
        member: &mut Row,
        batch: &Batch,
        gradient: &mut [f32],
    ) -> f32 {
        let arch = self.arch;
        let scratch: &mut Scratch = scratch.of();
        let (d, c, events) = (self.features, self.context, batch.coefficients.len());
        let tiles = events.div_ceil(TILE);
        let len = tiles * d * TILE;
        self.read(scratch, member);
        let padded = scratch.padded.held(self.padded);
        let variables = scratch.variables.get((self.steps.len() + 1) * len);
        let context = scratch.context.get(tiles * c * TILE);
        let log_det = scratch.log_det.zeros(tiles * TILE);
        for tile in 0..tiles {
            let to = &mut variables[tile * d * TILE..][..d * TILE];
            tile::gather(batch.x, d + c, 0..d, tile * TILE, to);
            let to = &mut context[tile * c * TILE..][..c * TILE];
            tile::gather(batch.x, d + c, d..d + c, tile * TILE, to);
        }
        let Row {
            parameters,
            statistics,
        } = member;
        let given = |step: &HostStep, tile: usize| Given {
            arch,
            parameters: &parameters[step.parameters.clone()],
            padded: &padded[step.padded.clone()],
            context: &context[tile * c * TILE..][..c * TILE],
            mask: self.mask(batch, step.number, tile),
        };

        let mut constant = 0.0;
        for (i, step) in self.steps.iter().enumerate() {
            let (from, to) = variables[i * len..(i + 2) * len].split_at_mut(len);
            match step.kind {
                FlowStep::BatchNorm => {
                    let norm = &mut scratch.norms[step.number];
                    let statistics = &mut statistics[step.statistics.clone()];
                    norm.batch(arch, from, events, statistics, &mut scratch.norm_sums);
                    for (x, to) in self.tiles(from).zip(to.chunks_exact_mut(d * TILE)) {
                        norm.apply(arch, x, to);
                    }
                    constant += norm.log_det;
                }
                FlowStep::Linear => {
                    let linear = &scratch.linears[step.number];
                    for (x, to) in self.tiles(from).zip(to.chunks_exact_mut(d * TILE)) {
                        linear.apply(arch, x, to);
                    }
                    constant += linear.log_det;
                }
                FlowStep::Coupling => {
                    let coupling = &self.couplings[step.number];
                    to.copy_from_slice(from);
                    let lanes = log_det.chunks_exact_mut(TILE);
                    let tiles = to.chunks_exact_mut(d * TILE).zip(lanes).enumerate();
                    for (tile, (x, log_det)) in tiles {
                        let given = given(step, tile);
                        coupling.map::<_, false>(&given, x, log_det, &mut scratch.work);
                    }
                }
            }
        }

        let z = &variables[self.steps.len() * len..];
        let by_variables = scratch.gradient.zeros(len);
        let by_log_det = scratch.by_log_det.zeros(tiles * TILE);
        constant -= 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        let (mut loss, mut by_constant) = (0.0, 0.0);
        for (event, coefficient) in batch.coefficients.iter().copied().enumerate() {
            let first = event / TILE * d * TILE + event % TILE;
            let mut log_prob = constant + f64::from(log_det[event]);
            for at in (first..first + d * TILE).step_by(TILE) {
                log_prob -= 0.5 * f64::from(z[at]) * f64::from(z[at]);
                by_variables[at] = coefficient * z[at];
            }
            by_log_det[event] = -coefficient;
            by_constant -= f64::from(coefficient);
            loss -= f64::from(coefficient) * log_prob;
        }

        for (i, step) in self.steps.iter().enumerate().rev() {
            let x = &variables[i * len..(i + 1) * len];
            let by_parameters = &mut gradient[step.parameters.clone()];
            match step.kind {
                FlowStep::BatchNorm => {
                    let (norm, sums) = (&scratch.norms[step.number], &mut scratch.norm_sums);
                    norm.backward(arch, x, by_constant, by_variables, sums, by_parameters);
                }
                FlowStep::Linear => {
                    let linear = &scratch.linears[step.number];
                    let sums = &mut scratch.linear_sums;
                    let other = scratch.other.get(d * TILE);
                    linear.begin(sums);
                    for (x, by_y) in self.tiles(x).zip(by_variables.chunks_exact_mut(d * TILE)) {
                        linear.backward(arch, x, by_y, other, sums);
                        by_y.copy_from_slice(other);
                    }
                    linear.finish(sums, by_constant, by_parameters);
                }
                FlowStep::Coupling => {
                    let coupling = &self.couplings[step.number];
                    let work = &mut scratch.work;
                    coupling.begin(work);
                    let tiles = by_variables.chunks_exact_mut(d * TILE);
                    let lanes = by_log_det.chunks_exact(TILE);
                    let rows = self.tiles(x).zip(tiles).zip(lanes).enumerate();
                    for (tile, ((x, by_y), lanes)) in rows {
                        coupling.backward(&given(step, tile), x, lanes, by_y, work);
                    }
                    coupling.finish(work, by_parameters);
                }
            }
        }
        loss as f32
    }
}
