//! Evaluation with running statistics: densities, samples, and the way from
//! noise to data.

use super::coupling::Given;
use super::tile::{self, TILE};
use super::{HostFlow, Scratch, Step};
use crate::flow::FlowStep;

impl HostFlow {
    /// log p(x | c) of every row. `x`: `[n, D + C]`; `out`: `[n]`.
    pub(crate) fn log_prob(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
        x: &[f32],
        out: &mut [f32],
    ) {
        let (d, c) = (self.features, self.context);
        let mut constant = self.prepare(scratch, parameters, statistics);
        constant -= 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let first = tile * TILE;
            tile::gather(x, d + c, 0..d, first, scratch.variables.get(d * TILE));
            tile::gather(x, d + c, d..d + c, first, scratch.context.get(c * TILE));
            scratch.log_det.zeros(TILE);
            for step in &self.steps {
                self.step::<false>(step, scratch, parameters);
            }
            let z = scratch.variables.held(d * TILE);
            let log_det = scratch.log_det.held(TILE);
            for (event, value) in out.iter_mut().enumerate() {
                let squares: f32 = z.iter().skip(event).step_by(TILE).map(|z| z * z).sum();
                *value = (constant + f64::from(log_det[event] - 0.5 * squares)) as f32;
            }
        }
    }

    /// The data that base noise `z` `[n, D]` stands for, given the context
    /// `[n, C]`; `out`: `[n, D]`.
    pub(crate) fn sample(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
        z: &[f32],
        context: &[f32],
        out: &mut [f32],
    ) {
        let d = self.features;
        self.invert(scratch, parameters, statistics);
        for first in (0..z.len() / d).step_by(TILE) {
            self.start(scratch, z, context, first);
            for step in self.steps.iter().rev() {
                self.step::<true>(step, scratch, parameters);
            }
            tile::scatter(scratch.variables.held(d * TILE), d, first, out);
        }
    }

    /// [`sample`](Self::sample) with the variables `[n, D]` after every step, in
    /// the order of the inverse: the last is the data.
    pub(crate) fn trace(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
        z: &[f32],
        context: &[f32],
    ) -> Vec<Vec<f32>> {
        let d = self.features;
        let mut results = vec![vec![0.0; z.len()]; self.steps.len()];
        self.invert(scratch, parameters, statistics);
        for first in (0..z.len() / d).step_by(TILE) {
            self.start(scratch, z, context, first);
            for (step, result) in self.steps.iter().rev().zip(&mut results) {
                self.step::<true>(step, scratch, parameters);
                tile::scatter(scratch.variables.held(d * TILE), d, first, result);
            }
        }
        results
    }

    /// Reads a member for evaluation; returns the part of the log-determinant
    /// that is the same for every row.
    pub(super) fn prepare(
        &self,
        scratch: &mut Scratch,
        parameters: &[f32],
        statistics: &[f32],
    ) -> f64 {
        self.read(scratch, parameters, statistics);
        let mut constant = 0.0;
        for step in &self.steps {
            match step.kind {
                FlowStep::BatchNorm => {
                    let norm = &mut scratch.norms[step.number];
                    norm.running(&statistics[step.statistics.clone()]);
                    constant += norm.log_det;
                }
                FlowStep::Linear => constant += scratch.linears[step.number].log_det,
                FlowStep::Coupling => {}
            }
        }
        constant
    }

    /// Reads a member for the inverse.
    fn invert(&self, scratch: &mut Scratch, parameters: &[f32], statistics: &[f32]) {
        self.prepare(scratch, parameters, statistics);
        for norm in &mut scratch.norms {
            norm.invert();
        }
        for linear in &mut scratch.linears {
            linear.invert();
        }
    }

    /// Loads the tile of noise and context that begins with row `first`.
    fn start(&self, scratch: &mut Scratch, z: &[f32], context: &[f32], first: usize) {
        let (d, c) = (self.features, self.context);
        tile::gather(z, d, 0..d, first, scratch.variables.get(d * TILE));
        tile::gather(context, c, 0..c, first, scratch.context.get(c * TILE));
        scratch.log_det.zeros(TILE);
    }

    /// Takes the tile in `scratch.variables` through one step.
    pub(super) fn step<const INVERSE: bool>(
        &self,
        step: &Step,
        scratch: &mut Scratch,
        parameters: &[f32],
    ) {
        let arch = self.arch;
        let len = self.features * TILE;
        let x = scratch.variables.get(len);
        if step.kind == FlowStep::Coupling {
            let given = Given {
                parameters: &parameters[step.parameters.clone()],
                padded: &scratch.padded.held(self.padded)[step.padded.clone()],
                context: scratch.context.held(self.context * TILE),
                mask: |_| None,
            };
            let log_det = scratch.log_det.get(TILE);
            self.couplings[step.number].map::<_, INVERSE>(
                arch,
                &given,
                x,
                log_det,
                &mut scratch.work,
            );
            return;
        }
        let other = scratch.other.get(len);
        match step.kind {
            FlowStep::BatchNorm => scratch.norms[step.number].apply(arch, x, other),
            _ => scratch.linears[step.number].apply(arch, x, other),
        }
        std::mem::swap(&mut scratch.variables, &mut scratch.other);
    }
}
