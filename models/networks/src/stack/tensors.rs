//! A stack of members in training by tensor operations: one step for all of them.

use super::batches::Batches;
use super::evaluate::Chunk;
use super::optimizer::Clock;
use super::table::{DeviceScaling, InputScaling, gather};
use super::training::{MemberState, Row, StackConfig};
use crate::device::Compute;
use crate::network::{DeviceNetwork, Network};
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// Members in training on one device.
#[derive(Debug)]
pub(super) struct TensorStack {
    config: StackConfig,
    network: DeviceNetwork,
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
    /// Standardisation of each member's inputs.
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
        let pack = |pick: fn(&MemberState) -> &[f32], width| upload(compute, members, pick, width);
        let statistics = |pick: fn(&MemberState) -> &[f32]| {
            let width = network.statistics().len();
            (width > 0).then(|| pack(pick, width))
        };
        let decay_mask = (config.l2 != 0.0 || config.optimizer.shrinks()).then(|| {
            Tensor::from_data(
                TensorData::new(network.parameters().decay_mask(), [1, width]),
                compute.device(),
            )
        });
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
            network: DeviceNetwork::new(compute, &network),
            config,
            decay_mask,
        }
    }

    pub(super) fn members(&self) -> usize {
        self.clocks.len()
    }

    /// Trains all members for `batches.steps` steps of `batch` rows of `table` `[N, D]`.
    pub(super) fn train(&mut self, table: &Tensor<2>, batches: &Batches, batch: usize) {
        let members = self.members();
        let device = self.compute.device();
        let rows = Tensor::<1, Int>::from_data(
            TensorData::new(batches.rows.clone(), [batches.rows.len()]),
            device,
        );
        let coefficients = Tensor::<3>::from_data(
            TensorData::new(
                batches.coefficients.clone(),
                [batches.steps * members, batch, 1],
            ),
            device,
        );
        let half_signs: Vec<f32> = (0..batch)
            .map(|i| if i < batch / 2 { 0.5 } else { -0.5 })
            .collect();
        let half_signs = Tensor::<3>::from_data(TensorData::new(half_signs, [1, batch, 1]), device);
        let updates: Vec<f32> = (0..batches.steps)
            .flat_map(|_| {
                let optimizer = &self.config.optimizer;
                self.clocks
                    .iter_mut()
                    .zip(&batches.learning_rates)
                    .flat_map(|(clock, rate)| optimizer.tick(clock, *rate))
                    .collect::<Vec<_>>()
            })
            .collect();
        let updates = Tensor::<2>::from_data(
            TensorData::new(updates, [batches.steps * members, 4]),
            device,
        );
        for step in 0..batches.steps {
            let size = members * batch;
            let x = gather(table, rows.clone().narrow(0, step * size, size), members);
            let x = self.scaling.apply(x);
            let coefficients = coefficients.clone().narrow(0, step * members, members);
            let update = updates.clone().narrow(0, step * members, members);
            let masks = self.dropout_masks(batches, step, batch);
            self.step(x, &half_signs, coefficients, &update, &masks);
        }
    }

    /// Dropout masks of one step, each `[E, B, W]` flat.
    fn dropout_masks(&self, batches: &Batches, step: usize, batch: usize) -> Vec<Vec<f32>> {
        let probability = self.config.network.dropout();
        let widths = self.network.network().dropout_widths();
        let masks = widths.iter().enumerate().map(|(layer, width)| {
            let mut masks = Vec::with_capacity(self.members() * batch * width);
            for member in 0..self.members() {
                let place = (member, step, layer);
                batches.dropout_mask(place, batch * width, probability, &mut masks);
            }
            masks
        });
        masks.collect()
    }

    /// Loss `[E, 1]`, gradient `[E, P]` and new running statistics `[E, S]` of one
    /// batch, with L2 penalty and clipping.
    fn gradient(
        &mut self,
        x: Tensor<3>,
        half_signs: &Tensor<3>,
        coefficients: Tensor<3>,
        masks: &[Vec<f32>],
    ) -> (Tensor<2>, Tensor<2>, Option<Tensor<2>>) {
        let (loss, mut gradient, statistics) =
            self.unpenalised_gradient(x, half_signs, coefficients, masks);
        if let (true, Some(mask)) = (self.config.l2 != 0.0, &self.decay_mask) {
            gradient = gradient + self.parameters.clone() * (mask.clone() * (2.0 * self.config.l2));
        }
        if let Some(limit) = self.config.gradient_clip {
            let norm = gradient.clone().square().sum_dim(1).sqrt();
            let scale = (norm + 1e-12).recip() * limit;
            gradient = gradient * scale.clamp_max(1.0);
        }
        (loss, gradient, statistics)
    }

    fn unpenalised_gradient(
        &self,
        x: Tensor<3>,
        half_signs: &Tensor<3>,
        coefficients: Tensor<3>,
        masks: &[Vec<f32>],
    ) -> (Tensor<2>, Tensor<2>, Option<Tensor<2>>) {
        let network = self.network.network();
        let leaves: Vec<Tensor<3>> = network
            .parameters()
            .unpack(&self.parameters)
            .into_iter()
            .map(|leaf| leaf.autodiff().require_grad())
            .collect();
        let statistics = self.unpack_statistics(self.statistics.as_ref());
        let [_, batch, _] = x.dims();
        let masks: Vec<Tensor<3>> = masks
            .iter()
            .map(|mask| {
                let width = mask.len() / (self.members() * batch);
                let data = TensorData::new(mask.clone(), [self.members(), batch, width]);
                Tensor::from_data(data, self.compute.device())
            })
            .collect();
        let forward = self.network.train(&leaves, &statistics, x, &masks);
        let loss = (self
            .config
            .objective
            .forward(forward.output, half_signs.clone())
            * coefficients)
            .sum_dim(1);
        let mut gradients = loss.clone().sum().backward();
        let leaf_gradients = leaves
            .iter()
            .map(|leaf| {
                leaf.grad_remove(&mut gradients)
                    .expect("every parameter takes part in the output")
            })
            .collect();
        let gradient = network.parameters().pack(leaf_gradients);
        let statistics = self
            .statistics
            .is_some()
            .then(|| network.statistics().pack(forward.statistics));
        let loss = loss.inner().reshape([self.members(), 1]);
        (loss, gradient, statistics)
    }

    fn step(
        &mut self,
        x: Tensor<3>,
        half_signs: &Tensor<3>,
        coefficients: Tensor<3>,
        update: &Tensor<2>,
        masks: &[Vec<f32>],
    ) {
        let (loss, gradient, statistics) = self.gradient(x, half_signs, coefficients, masks);
        let shrink = self
            .decay_mask
            .as_ref()
            .filter(|_| self.config.optimizer.shrinks());
        let parameters = std::mem::replace(
            &mut self.parameters,
            Tensor::zeros([1, 1], self.compute.device()),
        );
        self.parameters = self.config.optimizer.update(
            parameters,
            &mut self.first_moment,
            &mut self.second_moment,
            gradient,
            update,
            shrink,
        );
        if statistics.is_some() {
            self.statistics = statistics;
        }
        self.loss.inplace(|sum| sum + loss);
    }

    fn unpack_statistics(&self, packed: Option<&Tensor<2>>) -> Vec<Tensor<3>> {
        packed
            .map(|packed| self.network.network().statistics().unpack(packed))
            .unwrap_or_default()
    }

    /// Sum of the batch losses of the members where `taken`, since they were
    /// last taken; the others' go on. `[E]`, 0 where not taken.
    pub(super) fn take_losses(&mut self, taken: &[bool]) -> Vec<f64> {
        let sums = download(self.loss.clone());
        let mut result = vec![0.0; sums.len()];
        let mut rest = sums.clone();
        for (i, sum) in sums.iter().enumerate().filter(|(i, _)| taken[*i]) {
            result[i] = f64::from(*sum);
            rest[i] = 0.0;
        }
        let count = rest.len();
        self.loss = Tensor::from_data(TensorData::new(rest, [count, 1]), self.compute.device());
        result
    }

    /// Largest absolute parameter of each member, `[E]`.
    pub(super) fn largest_parameters(&self) -> Vec<f32> {
        download(self.parameters.clone().abs().max_dim(1))
    }

    /// Loss of the given members on rows of theirs, without dropout and with
    /// running statistics. `rows`: one list for all of them or one each.
    pub(super) fn evaluate(
        &self,
        members: &[usize],
        table: &Tensor<2>,
        chunks: &[Chunk],
    ) -> Vec<f64> {
        let all =
            members.len() == self.members() && members.iter().enumerate().all(|(i, m)| i == *m);
        let pick = |packed: &Tensor<2>| {
            if all {
                return packed.clone();
            }
            let index: Vec<i32> = members.iter().map(|m| *m as i32).collect();
            let index = Tensor::<1, Int>::from_data(
                TensorData::new(index, [members.len()]),
                self.compute.device(),
            );
            packed.clone().select(0, index)
        };
        let layout = self.network.network().parameters();
        let parameters = layout.unpack(&pick(&self.parameters));
        let statistics = self.unpack_statistics(self.statistics.as_ref().map(&pick).as_ref());
        let count = members.len();
        let sums: Vec<Tensor<2>> = chunks
            .iter()
            .map(|chunk| {
                let output = self
                    .network
                    .evaluate(&parameters, &statistics, chunk.features(table));
                let loss = self
                    .config
                    .objective
                    .forward(output, chunk.half_signs.clone())
                    * chunk.coefficients.clone();
                loss.sum_dim(1).reshape([count, 1])
            })
            .collect();
        if sums.is_empty() {
            return vec![0.0; count];
        }
        let chunks = sums.len();
        download(Tensor::cat(sums, 1))
            .chunks(chunks)
            .map(|row| row.iter().copied().map(f64::from).sum())
            .collect()
    }

    /// Remembers the present parameters of the members where `improved`.
    pub(super) fn keep_best(&mut self, improved: &[bool]) {
        let Some(mask) = self.mask(improved) else {
            return;
        };
        let keep = |best: &Tensor<2>, now: &Tensor<2>| {
            let mask = mask.clone().expand(now.dims());
            best.clone().mask_where(mask, now.clone())
        };
        self.best_parameters = keep(&self.best_parameters, &self.parameters);
        if let (Some(best), Some(now)) = (&self.best_statistics, &self.statistics) {
            self.best_statistics = Some(keep(best, now));
        }
    }

    fn mask(&self, members: &[bool]) -> Option<Tensor<2, Bool>> {
        members.contains(&true).then(|| {
            Tensor::from_data(
                TensorData::new(members.to_vec(), [members.len(), 1]),
                self.compute.device(),
            )
        })
    }

    /// The remembered parameters of one member.
    pub(super) fn best(&self, member: usize) -> Row {
        Row {
            parameters: download(self.best_parameters.clone().narrow(0, member, 1)),
            statistics: self
                .best_statistics
                .as_ref()
                .map(|s| download(s.clone().narrow(0, member, 1)))
                .unwrap_or_default(),
        }
    }

    /// Where a member stands.
    pub(super) fn state(&self, member: usize) -> MemberState {
        let row = |packed: &Tensor<2>| download(packed.clone().narrow(0, member, 1));
        let statistics = |packed: &Option<Tensor<2>>| packed.as_ref().map(row).unwrap_or_default();
        MemberState {
            row: Row {
                parameters: row(&self.parameters),
                statistics: statistics(&self.statistics),
            },
            best: self.best(member),
            first_moment: row(&self.first_moment),
            second_moment: row(&self.second_moment),
            loss: row(&self.loss)[0],
            clock: self.clocks[member],
        }
    }

    /// Puts a member in the place of another.
    pub(super) fn replace(&mut self, member: usize, state: &MemberState, inputs: &InputScaling) {
        let compute = self.compute.clone();
        let place = |tensor: &mut Tensor<2>, values: &[f32]| {
            let width = values.len();
            let row = Tensor::from_data(
                TensorData::new(values.to_vec(), [1, width]),
                compute.device(),
            );
            tensor.inplace(|t| t.slice_assign([member..member + 1, 0..width], row));
        };
        place(&mut self.parameters, &state.row.parameters);
        place(&mut self.first_moment, &state.first_moment);
        place(&mut self.second_moment, &state.second_moment);
        place(&mut self.best_parameters, &state.best.parameters);
        place(&mut self.loss, &[state.loss]);
        for (packed, row) in [
            (&mut self.statistics, &state.row),
            (&mut self.best_statistics, &state.best),
        ] {
            if let Some(packed) = packed {
                place(packed, &row.statistics);
            }
        }
        self.clocks[member] = state.clock;
        if self.inputs[member] != *inputs {
            self.inputs[member] = inputs.clone();
            self.scaling = DeviceScaling::new(&self.compute, &self.inputs);
        }
    }

    /// Lets the members leave for which `keep` is false.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let stay: Vec<i32> = (0..keep.len() as i32)
            .filter(|m| keep[*m as usize])
            .collect();
        if stay.len() == keep.len() || stay.is_empty() {
            return;
        }
        self.clocks = stay.iter().map(|m| self.clocks[*m as usize]).collect();
        let inputs = stay.iter().map(|m| self.inputs[*m as usize].clone());
        self.inputs = inputs.collect();
        self.scaling = DeviceScaling::new(&self.compute, &self.inputs);
        let count = stay.len();
        let index =
            Tensor::<1, Int>::from_data(TensorData::new(stay, [count]), self.compute.device());
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

fn upload(
    compute: &Compute,
    members: &[MemberState],
    pick: impl Fn(&MemberState) -> &[f32],
    width: usize,
) -> Tensor<2> {
    let flat: Vec<f32> = members.iter().flat_map(&pick).copied().collect();
    Tensor::from_data(
        TensorData::new(flat, [members.len(), width]),
        compute.device(),
    )
}

/// A tensor's values on the host.
pub(crate) fn download<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .expect("converted to f32 above")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkConfig;
    use crate::activation::Activation;
    use crate::mlp::MlpConfig;
    use crate::objective::Objective;
    use crate::stack::{Batches, OptimizerConfig};
    use sideband_numerics::random::Key;

    /// The gradient of a batch, with batch norm, dropout, L2 and both losses,
    /// against central differences of the loss itself. f32 throughout: a step
    /// of 1e-2 leaves a truncation error of 1e-4 and rounding of 1e-5 / 1e-2.
    #[test]
    fn gradient_equals_finite_differences() {
        let compute = Compute::open("cpu").expect("the CPU is always there");
        for objective in [Objective::Exponential, Objective::CrossEntropy] {
            for activation in [
                Activation::Silu,
                Activation::Gelu,
                Activation::Tanh,
                Activation::Softplus,
            ] {
                let config = StackConfig {
                    network: NetworkConfig::Mlp(MlpConfig {
                        inputs: 3,
                        hidden: vec![4, 4],
                        activation,
                        dropout: 0.25,
                        batch_norm: true,
                    }),
                    objective,
                    optimizer: OptimizerConfig::default(),
                    gradient_clip: None,
                    l2: 0.05,
                };
                check_gradient(&compute, &config);
            }
        }
    }

    fn check_gradient(compute: &Compute, config: &StackConfig) {
        let network = Network::new(config.network.clone());
        let key = Key::from_seed(3);
        let row = |parameters: Vec<f32>| Row {
            parameters,
            statistics: network.initial_statistics(key),
        };
        let start = network.initial_parameters(key);
        let batch = 64;
        let mut stream = key.with(1).stream();
        let mut draw = |n: usize| -> Vec<f32> {
            (0..n)
                .map(|_| 2.0 * stream.uniform() as f32 - 1.0)
                .collect()
        };
        let x = Tensor::<3>::from_data(
            TensorData::new(draw(batch * 3), [1, batch, 3]),
            compute.device(),
        );
        let c: Vec<f32> = draw(batch).iter().map(|c| (c + 1.2) / 32.0).collect();
        let c = Tensor::<3>::from_data(TensorData::new(c, [1, batch, 1]), compute.device());
        let s: Vec<f32> = (0..batch)
            .map(|i| if i < 32 { 0.5 } else { -0.5 })
            .collect();
        let s = Tensor::<3>::from_data(TensorData::new(s, [1, batch, 1]), compute.device());
        let batches = Batches {
            steps: 1,
            rows: Vec::new(),
            coefficients: Vec::new(),
            learning_rates: Vec::new(),
            dropout_keys: vec![key.with(2)],
            first_steps: vec![0],
        };
        let run = |parameters: Vec<f32>| {
            let start = MemberState::start(row(parameters));
            let inputs = InputScaling::identity(3);
            let mut stack = TensorStack::new(compute, config.clone(), &[start], &[inputs]);
            let masks = stack.dropout_masks(&batches, 0, batch);
            let (loss, gradient, _) = stack.gradient(x.clone(), &s, c.clone(), &masks);
            (f64::from(download(loss)[0]), download(gradient))
        };
        let decay = network.parameters().decay_mask();
        let penalised = |parameters: &[f32]| {
            let penalty: f32 = parameters.iter().zip(&decay).map(|(p, d)| p * p * d).sum();
            run(parameters.to_vec()).0 + config.l2 * f64::from(penalty)
        };
        let gradient = run(start.clone()).1;
        let h = 1e-2f32;
        for (i, g) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut p = start.clone();
                p[i] += by;
                penalised(&p)
            };
            let expected = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
            let difference = (f64::from(*g) - expected).abs();
            assert!(
                difference < 2e-3 * (1.0 + expected.abs()),
                "{:?} {:?} parameter {i}: {g} against {expected}",
                config.objective,
                config.network
            );
        }
    }
}
