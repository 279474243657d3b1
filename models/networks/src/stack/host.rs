//! Members in training on the host, each by itself: a step is the network's own
//! hand-written pass and one pass of the optimizer over the member's row.

use super::data::{Batches, InputScaling, Rows, Table};
use super::engine::{Engine, MemberState, StackConfig};
use crate::kind::{Batch, HostNetwork, Scratch};
use crate::layout::Row;
use crate::network::Network;
use std::sync::Arc;

const EVALUATED: usize = 2048;

pub(super) struct HostStack {
    config: StackConfig,
    network: Arc<dyn HostNetwork>,
    dropout_widths: Vec<usize>,
    states: Vec<MemberState>,
    inputs: Vec<InputScaling>,
    /// Where L2 or weight decay act, `[P]`; empty without either.
    decay_mask: Vec<f32>,
    scratch: Scratch,
    x: Vec<f32>,
    masks: Vec<f32>,
    gradient: Vec<f32>,
}

impl HostStack {
    pub(super) fn new(
        config: StackConfig,
        members: &[MemberState],
        inputs: &[InputScaling],
    ) -> Self {
        let network = Network::new(config.network.clone());
        let parameters = network.parameters();
        let decays = config.l2 != 0.0 || config.optimizer.shrinks();
        Self {
            network: network.on_host(),
            dropout_widths: network.dropout_widths(),
            states: members.to_vec(),
            inputs: inputs.to_vec(),
            decay_mask: match decays {
                true => parameters.decay_mask(),
                false => Vec::new(),
            },
            scratch: Scratch::default(),
            x: Vec::new(),
            masks: Vec::new(),
            gradient: vec![0.0; parameters.len()],
            config,
        }
    }

    fn step(&mut self, member: usize, coefficients: &[f32], learning_rate: f64) {
        let state = &mut self.states[member];
        let batch = Batch {
            x: &self.x,
            coefficients,
            masks: &self.masks,
            objective: self.config.objective,
        };
        let (scratch, gradient) = (&mut self.scratch, &mut self.gradient);
        state.loss += self
            .network
            .gradient(scratch, &mut state.row, &batch, gradient);
        if self.config.l2 != 0.0 {
            let penalty = 2.0 * self.config.l2 as f32;
            let parameters = state.row.parameters.iter().zip(&self.decay_mask);
            for (gradient, (parameter, mask)) in self.gradient.iter_mut().zip(parameters) {
                *gradient += parameter * (mask * penalty);
            }
        }
        if let Some(limit) = self.config.gradient_clip {
            let squares = self.gradient.iter().map(|g| f64::from(*g) * f64::from(*g));
            let norm = squares.sum::<f64>().sqrt();
            if norm > limit {
                let scale = (limit / norm) as f32;
                self.gradient.iter_mut().for_each(|g| *g *= scale);
            }
        }
        let optimizer = &self.config.optimizer;
        let coefficients = optimizer.tick(&mut state.clock, learning_rate);
        let parameters = &mut state.row.parameters;
        let row = [
            parameters,
            &mut state.first_moment,
            &mut state.second_moment,
        ];
        let row = row.map(Vec::as_mut_slice);
        optimizer.update_member(row, &self.gradient, coefficients, &self.decay_mask);
    }
}

impl Engine for HostStack {
    fn members(&self) -> usize {
        self.states.len()
    }

    fn train(&mut self, table: &Table, batches: &Batches, batch: usize) {
        let table = table.host();
        for member in 0..self.states.len() {
            for step in 0..batches.steps {
                let first = (step * self.states.len() + member) * batch;
                let inputs = &self.inputs[member];
                let rows = batches.rows[first..first + batch].iter();
                let rows = rows.map(|row| *row as usize);
                table.gather(rows, inputs, self.network.stride(), &mut self.x);
                self.masks.clear();
                for (layer, width) in self.dropout_widths.iter().enumerate() {
                    let probability = self.config.network.dropout();
                    let place = [member, step, layer];
                    batches.dropout_mask(place, batch * width, probability, &mut self.masks);
                }
                let coefficients = &batches.coefficients[first..first + batch];
                self.step(member, coefficients, batches.learning_rates[member]);
            }
        }
    }

    fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        let take = |(state, taken): (&mut MemberState, &bool)| match taken {
            true => f64::from(std::mem::take(&mut state.loss)),
            false => 0.0,
        };
        self.states.iter_mut().zip(taken).map(take).collect()
    }

    fn largest_parameters(&self) -> Vec<f32> {
        let largest = |state: &MemberState| {
            let sizes = state.row.parameters.iter().map(|p| p.abs());
            // a NaN is the largest of all
            sizes.fold(0.0, |a, b| if a > b || a.is_nan() { a } else { b })
        };
        self.states.iter().map(largest).collect()
    }

    fn evaluate(&self, members: &[usize], table: &Table, rows: &Rows) -> Vec<f64> {
        let Rows::Host(rows) = rows else {
            unreachable!("rows are made for the device of their stack");
        };
        let (mut scratch, mut x, mut output) = (Scratch::default(), Vec::new(), Vec::new());
        let mut loss = |(place, member): (usize, &usize)| -> f64 {
            let row = &self.states[*member].row;
            let (list, inputs) = &rows[place.min(rows.len() - 1)];
            let chunks = list.chunks(EVALUATED).map(|chunk| {
                let numbers = chunk.iter().map(|(row, _, _)| *row as usize);
                let stride = self.network.stride();
                table.host().gather(numbers, inputs, stride, &mut x);
                output.resize(chunk.len(), 0.0);
                self.network.output(&mut scratch, row, &x, &mut output);
                let each = chunk.iter().zip(&output);
                each.map(|((_, coefficient, sign), q)| {
                    let value = self.config.objective.value(f64::from(*q), f64::from(*sign));
                    f64::from(*coefficient) * value
                })
                .sum::<f64>()
            });
            chunks.sum()
        };
        members.iter().enumerate().map(&mut loss).collect()
    }

    fn keep_best(&mut self, improved: &[bool]) {
        let states = self.states.iter_mut().zip(improved);
        for (state, _) in states.filter(|(_, improved)| **improved) {
            state.best.clone_from(&state.row);
        }
    }

    fn best(&self, member: usize) -> Row {
        self.states[member].best.clone()
    }

    fn state(&self, member: usize) -> MemberState {
        self.states[member].clone()
    }

    fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        self.states[member] = state.clone();
        self.inputs[member] = inputs.clone();
    }

    fn retain(&mut self, keep: &[bool]) {
        let mut stay = keep.iter().copied();
        self.states.retain(|_| stay.next().unwrap_or(false));
        let mut stay = keep.iter().copied();
        self.inputs.retain(|_| stay.next().unwrap_or(false));
    }
}
