//! Members in training on the host, each by itself: a step is the network's own
//! hand-written pass and one pass of the optimizer over the member's row.

use super::batches::Batches;
use super::evaluate::HostRows;
use super::table::{HostTable, InputScaling};
use super::training::{MemberState, Row, StackConfig};
use crate::host::{Batch, HostNetwork, Scratch};
use crate::network::Network;

/// Rows that are evaluated at once.
const EVALUATED: usize = 2048;

/// Members in training on the host.
#[derive(Debug)]
pub(super) struct HostStack {
    config: StackConfig,
    network: HostNetwork,
    dropout_widths: Vec<usize>,
    members: Vec<Member>,
    /// Where L2 or weight decay act, `[P]`; empty without either.
    decay_mask: Vec<f32>,
    scratch: Scratch,
    x: Vec<f32>,
    masks: Vec<f32>,
    gradient: Vec<f32>,
}

#[derive(Debug)]
struct Member {
    state: MemberState,
    inputs: InputScaling,
}

impl HostStack {
    pub(super) fn new(
        config: StackConfig,
        members: &[MemberState],
        inputs: &[InputScaling],
    ) -> Self {
        let network = Network::new(config.network.clone());
        let decays = config.l2 != 0.0 || config.optimizer.shrinks();
        let members = members.iter().zip(inputs).map(|(state, inputs)| Member {
            state: state.clone(),
            inputs: inputs.clone(),
        });
        Self {
            network: HostNetwork::new(&network),
            dropout_widths: network.dropout_widths(),
            members: members.collect(),
            decay_mask: if decays {
                network.parameters().decay_mask()
            } else {
                Vec::new()
            },
            scratch: Scratch::default(),
            x: Vec::new(),
            masks: Vec::new(),
            gradient: vec![0.0; network.parameters().len()],
            config,
        }
    }

    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// Trains every member for `batches.steps` steps of `batch` rows.
    pub(super) fn train(&mut self, table: &HostTable, batches: &Batches, batch: usize) {
        for member in 0..self.members.len() {
            for step in 0..batches.steps {
                let first = (step * self.members.len() + member) * batch;
                let inputs = &self.members[member].inputs;
                let rows = batches.rows[first..first + batch]
                    .iter()
                    .map(|row| *row as usize);
                table.gather(rows, inputs, self.network.row(), &mut self.x);
                self.masks.clear();
                for (layer, width) in self.dropout_widths.iter().enumerate() {
                    let probability = self.config.network.dropout();
                    let place = (member, step, layer);
                    batches.dropout_mask(place, batch * width, probability, &mut self.masks);
                }
                let coefficients = &batches.coefficients[first..first + batch];
                self.step(member, coefficients, batches.learning_rates[member]);
            }
        }
    }

    fn step(&mut self, member: usize, coefficients: &[f32], learning_rate: f64) {
        let state = &mut self.members[member].state;
        state.loss += self.network.gradient(
            &mut self.scratch,
            &state.row.parameters,
            &mut state.row.statistics,
            &Batch {
                x: &self.x,
                coefficients,
                masks: &self.masks,
                objective: self.config.objective,
            },
            &mut self.gradient,
        );
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
        optimizer.update_row(
            &mut state.row.parameters,
            &mut state.first_moment,
            &mut state.second_moment,
            &self.gradient,
            coefficients,
            &self.decay_mask,
        );
    }

    pub(super) fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        let members = self.members.iter_mut().zip(taken);
        members
            .map(|(member, taken)| match taken {
                true => f64::from(std::mem::take(&mut member.state.loss)),
                false => 0.0,
            })
            .collect()
    }

    pub(super) fn largest_parameters(&self) -> Vec<f32> {
        let members = self.members.iter();
        members
            .map(|member| {
                let sizes = member.state.row.parameters.iter().map(|p| p.abs());
                // a NaN is the largest of all
                sizes.fold(0.0, |a, b| if a > b || a.is_nan() { a } else { b })
            })
            .collect()
    }

    pub(super) fn evaluate(
        &self,
        members: &[usize],
        table: &HostTable,
        rows: &HostRows,
    ) -> Vec<f64> {
        let mut scratch = Scratch::default();
        let mut x = Vec::new();
        let mut output = Vec::new();
        let mut loss = |place: usize, member: &Member| -> f64 {
            let Row {
                parameters,
                statistics,
            } = &member.state.row;
            let (list, inputs) = rows.of(place);
            let chunks = list.chunks(EVALUATED).map(|chunk| {
                let numbers = chunk.iter().map(|(row, _, _)| *row as usize);
                table.gather(numbers, inputs, self.network.row(), &mut x);
                output.resize(chunk.len(), 0.0);
                self.network
                    .output(&mut scratch, parameters, statistics, &x, &mut output);
                let each = chunk.iter().zip(&output);
                each.map(|((_, coefficient, sign), q)| {
                    let value = self.config.objective.value(f64::from(*q), f64::from(*sign));
                    f64::from(*coefficient) * value
                })
                .sum::<f64>()
            });
            chunks.sum()
        };
        let members = members.iter().enumerate();
        members
            .map(|(place, member)| loss(place, &self.members[*member]))
            .collect()
    }

    pub(super) fn keep_best(&mut self, improved: &[bool]) {
        let improved = self.members.iter_mut().zip(improved);
        for (member, _) in improved.filter(|(_, improved)| **improved) {
            member.state.best.clone_from(&member.state.row);
        }
    }

    pub(super) fn state(&self, member: usize) -> &MemberState {
        &self.members[member].state
    }

    pub(super) fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        self.members[member] = Member {
            state: state.clone(),
            inputs: inputs.clone(),
        };
    }

    pub(super) fn retain(&mut self, keep: &[bool]) {
        let mut keep = keep.iter();
        self.members
            .retain(|_| keep.next().copied().unwrap_or(false));
    }
}
