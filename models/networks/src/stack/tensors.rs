//! A stack of members in training by tensor operations: one step for all of them.

use super::data::{Batches, DeviceScaling, InputScaling, Rows, Table, gather};
use super::engine::{Engine, MemberState, StackConfig};
use super::optimizer::Clock;
use crate::device::Compute;
use crate::kind::{DeviceNetwork, Training, Unpacked};
use crate::layout::Row;
use crate::network::Network;
use burn::tensor::{Bool, Tensor, TensorData};
use std::sync::Arc;

pub(super) struct TensorStack {
    config: StackConfig,
    network: Network,
    on_device: Arc<dyn DeviceNetwork>,
    compute: Compute,
    parameters: Tensor<2>,
    statistics: Option<Tensor<2>>,
    first_moment: Tensor<2>,
    second_moment: Tensor<2>,
    best_parameters: Tensor<2>,
    best_statistics: Option<Tensor<2>>,
    /// Sum of batch losses since they were last taken, `[E, 1]`.
    loss: Tensor<2>,
    clocks: Vec<Clock>,
    inputs: Vec<InputScaling>,
    scaling: DeviceScaling,
    /// `[1, P]`, where L2 or weight decay act.
    decay_mask: Option<Tensor<2>>,
}

impl TensorStack {
    pub(super) fn new(
        compute: &Compute,
        config: StackConfig,
        members: &[MemberState],
        inputs: &[InputScaling],
    ) -> Self {
        let network = Network::new(config.network.clone());
        let width = network.parameters().len();
        let pack =
            |pick: fn(&MemberState) -> &[f32], width| compute.pack(members.iter().map(pick), width);
        let statistics = |pick: fn(&MemberState) -> &[f32]| {
            let width = network.statistics().len();
            (width > 0).then(|| pack(pick, width))
        };
        let decays = config.l2 != 0.0 || config.optimizer.shrinks();
        let decay_mask =
            decays.then(|| compute.tensor(network.parameters().decay_mask(), [1, width]));
        Self {
            parameters: pack(|m| &m.row.parameters, width),
            statistics: statistics(|m| &m.row.statistics),
            first_moment: pack(|m| &m.first_moment, width),
            second_moment: pack(|m| &m.second_moment, width),
            best_parameters: pack(|m| &m.best.parameters, width),
            best_statistics: statistics(|m| &m.best.statistics),
            loss: pack(|m| std::slice::from_ref(&m.loss), 1),
            clocks: members.iter().map(|m| m.clock).collect(),
            inputs: inputs.to_vec(),
            scaling: DeviceScaling::new(compute, inputs),
            compute: compute.clone(),
            on_device: network.on_device(compute),
            network,
            config,
            decay_mask,
        }
    }

    /// Dropout masks of one step, each `[E, B, W]`.
    fn dropout_masks(&self, batches: &Batches, step: usize, batch: usize) -> Vec<Tensor<3>> {
        let probability = self.config.network.dropout();
        let widths = self.network.dropout_widths();
        let masks = widths.iter().enumerate().map(|(layer, width)| {
            let mut masks = Vec::with_capacity(self.members() * batch * width);
            for member in 0..self.members() {
                let place = [member, step, layer];
                batches.dropout_mask(place, batch * width, probability, &mut masks);
            }
            self.compute.tensor(masks, [self.members(), batch, *width])
        });
        masks.collect()
    }

    /// Loss `[E, 1]`, gradient `[E, P]` and new running statistics `[E, S]` of one
    /// batch, with L2 penalty and clipping.
    fn gradient(
        &self,
        x: Tensor<3>,
        half_signs: &Tensor<3>,
        coefficients: Tensor<3>,
        masks: &[Tensor<3>],
    ) -> (Tensor<2>, Tensor<2>, Option<Tensor<2>>) {
        let mut members = self.unpacked(|packed| packed.clone());
        for leaf in &mut members.parameters {
            *leaf = leaf.clone().autodiff().require_grad();
        }
        let mut training = Training {
            masks,
            statistics: Vec::with_capacity(members.statistics.len()),
        };
        let output = self.on_device.forward(&members, x, Some(&mut training));
        let objective = self.config.objective;
        let loss = objective.forward(output, half_signs.clone()) * coefficients;
        let loss = loss.sum_dim(1);
        let mut gradients = loss.clone().sum().backward();
        let mut of = |leaf: &Tensor<3>| leaf.grad_remove(&mut gradients);
        let mut of = |leaf| of(leaf).expect("every parameter takes part in the output");
        let leaf_gradients = members.parameters.iter().map(&mut of).collect();
        let mut gradient = self.network.parameters().pack(leaf_gradients);
        if let (true, Some(mask)) = (self.config.l2 != 0.0, &self.decay_mask) {
            gradient = gradient + self.parameters.clone() * (mask.clone() * (2.0 * self.config.l2));
        }
        if let Some(limit) = self.config.gradient_clip {
            let norm = gradient.clone().square().sum_dim(1).sqrt();
            let scale = (norm + 1e-12).recip() * limit;
            gradient = gradient * scale.clamp_max(1.0);
        }
        let statistics = self.statistics.is_some();
        let statistics = statistics.then(|| self.network.statistics().pack(training.statistics));
        let loss = loss.inner().reshape([self.members(), 1]);
        (loss, gradient, statistics)
    }

    fn step(
        &mut self,
        x: Tensor<3>,
        half_signs: &Tensor<3>,
        coefficients: Tensor<3>,
        update: &Tensor<2>,
        masks: &[Tensor<3>],
    ) {
        let (loss, gradient, statistics) = self.gradient(x, half_signs, coefficients, masks);
        let optimizer = &self.config.optimizer;
        let shrink = self.decay_mask.as_ref().filter(|_| optimizer.shrinks());
        let moments = [&mut self.first_moment, &mut self.second_moment];
        self.parameters
            .inplace(|p| optimizer.update(p, moments, gradient, update, shrink));
        if statistics.is_some() {
            self.statistics = statistics;
        }
        self.loss.inplace(|sum| sum + loss);
    }

    /// Parameters and statistics of the members that `pick` takes of packed rows.
    fn unpacked(&self, pick: impl Fn(&Tensor<2>) -> Tensor<2>) -> Unpacked {
        let (network, statistics) = (&self.network, self.statistics.as_ref());
        let statistics = statistics.map(|packed| network.statistics().unpack(&pick(packed)));
        Unpacked {
            parameters: network.parameters().unpack(&pick(&self.parameters)),
            statistics: statistics.unwrap_or_default(),
        }
    }
}

impl Engine for TensorStack {
    fn members(&self) -> usize {
        self.clocks.len()
    }

    fn train(&mut self, table: &Table, batches: &Batches, batch: usize) {
        let (members, compute) = (self.members(), self.compute.clone());
        let rows = compute.index(batches.rows.clone());
        let shape = [batches.steps * members, batch, 1];
        let coefficients = compute.tensor(batches.coefficients.clone(), shape);
        let half_sign = |i| if i < batch / 2 { 0.5 } else { -0.5 };
        let half_signs = compute.tensor((0..batch).map(half_sign).collect(), [1, batch, 1]);
        let mut updates = Vec::with_capacity(4 * batches.steps * members);
        for _ in 0..batches.steps {
            for (clock, rate) in self.clocks.iter_mut().zip(&batches.learning_rates) {
                updates.extend(self.config.optimizer.tick(clock, *rate));
            }
        }
        let updates = compute.tensor(updates, [batches.steps * members, 4]);
        for step in 0..batches.steps {
            let size = members * batch;
            let own = rows.clone().narrow(0, step * size, size);
            let x = self.scaling.apply(gather(table.tensor(), own, members));
            let coefficients = coefficients.clone().narrow(0, step * members, members);
            let update = updates.clone().narrow(0, step * members, members);
            let masks = self.dropout_masks(batches, step, batch);
            self.step(x, &half_signs, coefficients, &update, &masks);
        }
    }

    fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        let sums = download(self.loss.clone());
        let mut result = vec![0.0; sums.len()];
        let mut rest = sums.clone();
        for (i, sum) in sums.iter().enumerate().filter(|(i, _)| taken[*i]) {
            result[i] = f64::from(*sum);
            rest[i] = 0.0;
        }
        let count = rest.len();
        self.loss = self.compute.tensor(rest, [count, 1]);
        result
    }

    fn largest_parameters(&self) -> Vec<f32> {
        download(self.parameters.clone().abs().max_dim(1))
    }

    fn evaluate(&self, members: &[usize], table: &Table, rows: &Rows) -> Vec<f64> {
        let Rows::Tensors(chunks) = rows else {
            unreachable!("rows are made for the device of their stack");
        };
        let count = members.len();
        let all = members.iter().copied().eq(0..self.members());
        let index = self
            .compute
            .index(members.iter().map(|m| *m as i32).collect());
        let picked = self.unpacked(|packed| match all {
            true => packed.clone(),
            false => packed.clone().select(0, index.clone()),
        });
        let objective = self.config.objective;
        let sums = chunks.iter().map(|chunk| {
            let features = chunk.features(table.tensor());
            let output = self.on_device.forward(&picked, features, None);
            let loss = objective.forward(output, chunk.half_signs.clone());
            let loss = loss * chunk.coefficients.clone();
            loss.sum_dim(1).reshape([count, 1])
        });
        let sums: Vec<Tensor<2>> = sums.collect();
        if sums.is_empty() {
            return vec![0.0; count];
        }
        let sums = download(Tensor::cat(sums, 1));
        let rows = sums.chunks(chunks.len());
        rows.map(|row| row.iter().copied().map(f64::from).sum())
            .collect()
    }

    fn keep_best(&mut self, improved: &[bool]) {
        if !improved.contains(&true) {
            return;
        }
        let mask = TensorData::new(improved.to_vec(), [improved.len(), 1]);
        let mask = Tensor::<2, Bool>::from_data(mask, self.compute.device());
        let keep = |best: &Tensor<2>, now: &Tensor<2>| {
            let mask = mask.clone().expand(now.dims());
            best.clone().mask_where(mask, now.clone())
        };
        self.best_parameters = keep(&self.best_parameters, &self.parameters);
        if let (Some(best), Some(now)) = (&self.best_statistics, &self.statistics) {
            self.best_statistics = Some(keep(best, now));
        }
    }

    fn best(&self, member: usize) -> Row {
        Row {
            parameters: row(&self.best_parameters, member),
            statistics: optional_row(&self.best_statistics, member),
        }
    }

    fn state(&self, member: usize) -> MemberState {
        MemberState {
            row: Row {
                parameters: row(&self.parameters, member),
                statistics: optional_row(&self.statistics, member),
            },
            best: self.best(member),
            first_moment: row(&self.first_moment, member),
            second_moment: row(&self.second_moment, member),
            loss: row(&self.loss, member)[0],
            clock: self.clocks[member],
        }
    }

    fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        let compute = &self.compute;
        let place = |tensor: &mut Tensor<2>, values: &[f32]| {
            let width = values.len();
            let row = compute.tensor(values.to_vec(), [1, width]);
            tensor.inplace(|t| t.slice_assign([member..member + 1, 0..width], row));
        };
        place(&mut self.parameters, &state.row.parameters);
        place(&mut self.first_moment, &state.first_moment);
        place(&mut self.second_moment, &state.second_moment);
        place(&mut self.best_parameters, &state.best.parameters);
        place(&mut self.loss, &[state.loss]);
        if let Some(packed) = &mut self.statistics {
            place(packed, &state.row.statistics);
        }
        if let Some(packed) = &mut self.best_statistics {
            place(packed, &state.best.statistics);
        }
        self.clocks[member] = state.clock;
        if self.inputs[member] != *inputs {
            self.inputs[member] = inputs.clone();
            self.scaling = DeviceScaling::new(&self.compute, &self.inputs);
        }
    }

    fn retain(&mut self, keep: &[bool]) {
        let stay: Vec<usize> = (0..keep.len()).filter(|m| keep[*m]).collect();
        if stay.len() == keep.len() || stay.is_empty() {
            return;
        }
        self.clocks = stay.iter().map(|m| self.clocks[*m]).collect();
        self.inputs = stay.iter().map(|m| self.inputs[*m].clone()).collect();
        self.scaling = DeviceScaling::new(&self.compute, &self.inputs);
        let index = self.compute.index(stay.iter().map(|m| *m as i32).collect());
        for packed in [
            &mut self.parameters,
            &mut self.first_moment,
            &mut self.second_moment,
            &mut self.best_parameters,
            &mut self.loss,
        ]
        .into_iter()
        .chain(&mut self.statistics)
        .chain(&mut self.best_statistics)
        {
            packed.inplace(|t| t.select(0, index.clone()));
        }
    }
}

/// A member's row of a packed tensor, on the host.
fn row(packed: &Tensor<2>, member: usize) -> Vec<f32> {
    download(packed.clone().narrow(0, member, 1))
}

fn optional_row(packed: &Option<Tensor<2>>, member: usize) -> Vec<f32> {
    let packed = packed.as_ref();
    packed.map(|packed| row(packed, member)).unwrap_or_default()
}

pub(crate) fn download<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec::<f32>().expect("converted to f32 above")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mlp::{Activation, MlpConfig};
    use crate::objective::Objective;
    use sideband_numerics::random::Key;

    /// The gradient of a batch, with batch norm, dropout, L2 and both losses,
    /// against central differences of the loss itself. f32 throughout: a step
    /// of 1e-2 leaves a truncation error of 1e-4 and rounding of 1e-5 / 1e-2.
    #[test]
    fn gradient_equals_finite_differences() {
        use Activation::{Gelu, Silu, Softplus, Tanh};
        let compute = Compute::open("cpu").expect("the CPU is always there");
        for objective in Objective::OF_RATIOS {
            for activation in [Silu, Gelu, Tanh, Softplus] {
                let network = MlpConfig {
                    dropout: 0.25,
                    batch_norm: true,
                    ..MlpConfig::new(3, &[4, 4], activation)
                };
                let config = StackConfig {
                    l2: 0.05,
                    ..StackConfig::new(network, objective)
                };
                check_gradient(&compute, &config);
            }
        }
    }

    fn check_gradient(compute: &Compute, config: &StackConfig) {
        let network = Network::new(config.network.clone());
        let key = Key::from_seed(3);
        let member = network.initial(key);
        let batch = 64;
        let mut stream = key.with(1).stream();
        let mut draw = |n: usize| -> Vec<f32> {
            let numbers = (0..n).map(|_| 2.0 * stream.uniform() as f32 - 1.0);
            numbers.collect()
        };
        let x = compute.tensor(draw(batch * 3), [1, batch, 3]);
        let c = draw(batch).iter().map(|c| (c + 1.2) / 32.0).collect();
        let c = compute.tensor(c, [1, batch, 1]);
        let s = (0..batch).map(|i| if i < 32 { 0.5 } else { -0.5 });
        let s = compute.tensor(s.collect(), [1, batch, 1]);
        let batches = Batches {
            steps: 1,
            rows: Vec::new(),
            coefficients: Vec::new(),
            learning_rates: Vec::new(),
            dropout_keys: vec![key.with(2)],
            first_steps: vec![0],
        };
        let run = |parameters: Vec<f32>| {
            let start = MemberState::start(Row {
                parameters,
                ..member.clone()
            });
            let inputs = InputScaling::identity(3);
            let stack = TensorStack::new(compute, config.clone(), &[start], &[inputs]);
            let masks = stack.dropout_masks(&batches, 0, batch);
            let (loss, gradient, _) = stack.gradient(x.clone(), &s, c.clone(), &masks);
            (f64::from(download(loss)[0]), download(gradient))
        };
        let decay = network.parameters().decay_mask();
        let penalised = |parameters: &[f32]| {
            let penalty: f32 = parameters.iter().zip(&decay).map(|(p, d)| p * p * d).sum();
            run(parameters.to_vec()).0 + config.l2 * f64::from(penalty)
        };
        let gradient = run(member.parameters.clone()).1;
        let h = 1e-2f32;
        for (i, g) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut p = member.parameters.clone();
                p[i] += by;
                penalised(&p)
            };
            let expected = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
            let close = (f64::from(*g) - expected).abs() < 2e-3 * (1.0 + expected.abs());
            assert!(close, "{config:?} parameter {i}: {g} against {expected}");
        }
    }
}
