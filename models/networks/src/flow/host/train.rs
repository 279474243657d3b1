//! The loss of a batch and its gradient.

use super::coupling::Given;
use super::tile::{self, TILE};
use super::{HostFlow, Scratch, Step};
use crate::flow::FlowStep;

/// A batch in tiles.
struct Batch<'a> {
    events: usize,
    /// `[tiles, C, TILE]`.
    context: &'a [f32],
    /// `[couplings, blocks, B, H]`, or empty.
    masks: &'a [f32],
}

impl HostFlow {
    /// One training batch of one member: L = sum over rows of
    /// `coefficient * (-log p(x | c))`. Writes dL/d parameters into `gradient`
    /// `[P]` and the new running statistics into `statistics` `[S]`; returns L.
    ///
    /// `x`: `[B, D + C]`; `coefficients`: `[B]`, the division by the batch in
    /// them; `masks`: `[couplings, blocks, B, H]` of 0 or 1/(1 - dropout), or
    /// empty without dropout.
    #[expect(clippy::too_many_arguments, reason = "the member's rows and its batch")]
    pub(crate) fn gradient(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &mut [f32],
        x: &[f32],
        coefficients: &[f32],
        masks: &[f32],
        gradient: &mut [f32],
    ) -> f32 {
        let arch = self.arch;
        let (d, c, events) = (self.features, self.context, coefficients.len());
        let tiles = events.div_ceil(TILE);
        let len = tiles * d * TILE;
        self.read(scratch, parameters, statistics);
        let padded = scratch.padded.held(self.padded);
        let variables = scratch.variables.get((self.steps.len() + 1) * len);
        let context = scratch.context.get(tiles * c * TILE);
        let log_det = scratch.log_det.zeros(tiles * TILE);
        for tile in 0..tiles {
            let to = &mut variables[tile * d * TILE..][..d * TILE];
            tile::gather(x, d + c, 0..d, tile * TILE, to);
            let to = &mut context[tile * c * TILE..][..c * TILE];
            tile::gather(x, d + c, d..d + c, tile * TILE, to);
        }
        let batch = Batch {
            events,
            context,
            masks,
        };
        let given = |step: &Step, tile: usize| Given {
            parameters: &parameters[step.parameters.clone()],
            padded: &padded[step.padded.clone()],
            context: &batch.context[tile * c * TILE..][..c * TILE],
            mask: self.mask(&batch, step.number, tile),
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
                        coupling.map::<_, false>(arch, &given, x, log_det, &mut scratch.work);
                    }
                }
            }
        }

        let z = &variables[self.steps.len() * len..];
        let by_variables = scratch.gradient.zeros(len);
        let by_log_det = scratch.by_log_det.zeros(tiles * TILE);
        constant -= 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        let (mut loss, mut by_constant) = (0.0, 0.0);
        for (event, coefficient) in coefficients.iter().copied().enumerate() {
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
                FlowStep::BatchNorm => scratch.norms[step.number].backward(
                    arch,
                    x,
                    events,
                    by_constant,
                    by_variables,
                    &mut scratch.norm_sums,
                    by_parameters,
                ),
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
                    coupling.conditioner.begin(work);
                    let tiles = by_variables.chunks_exact_mut(d * TILE);
                    let lanes = by_log_det.chunks_exact(TILE);
                    for (tile, ((x, by_y), lanes)) in
                        self.tiles(x).zip(tiles).zip(lanes).enumerate()
                    {
                        coupling.backward(arch, &given(step, tile), x, lanes, by_y, work);
                    }
                    coupling.conditioner.finish(work, by_parameters);
                }
            }
        }
        loss as f32
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
        let (masks, rows) = (batch.masks, batch.events * h);
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
