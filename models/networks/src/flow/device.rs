//! The flow in tensor operations, all members of a stack at once.

use super::layout::{Flow, FlowConfig, FlowStep};
use super::{DIAGONAL_MINIMUM, NORM_EPSILON, NORM_MOMENTUM};
use crate::device::{Compute, Kernels};
use crate::network::TrainingOutput;
use crate::objective::softplus;
use crate::spline::{self, Direction, Implementation, SplineConfig};
use crate::stack::linear;
use burn::tensor::{Int, Tensor, TensorData, activation};

/// A flow with the constant tensors that its steps select with.
#[derive(Clone, Debug)]
pub(crate) struct FlowOnDevice {
    config: FlowConfig,
    spline: SplineConfig,
    kernels: Kernels,
    /// Features of a coupling of even and of odd number.
    divisions: [Division; 2],
    matrices: Matrices,
}

/// Which features a coupling transforms, which it passes on, and how both
/// become a row again.
#[derive(Clone, Debug)]
struct Division {
    transformed: Tensor<1, Int>,
    identity: Option<Tensor<1, Int>>,
    merged: Tensor<1, Int>,
}

/// Places of the packed triangles' entries in a matrix.
#[derive(Clone, Debug)]
struct Matrices {
    /// `[D * D]` into (entries, 0, 1).
    lower: Tensor<1, Int>,
    /// `[D * D]` into (entries, 0, diagonal).
    upper: Tensor<1, Int>,
    /// 0, 1, ..., `[1, D, 1]`.
    counting: Tensor<3>,
}

/// How batch norms get their mean and variance.
enum Norm<'a> {
    /// From the batch; new running statistics are kept.
    Training(&'a mut Vec<Tensor<3>>),
    /// From the running statistics.
    Evaluation,
}

impl FlowOnDevice {
    pub(crate) fn new(compute: &Compute, flow: &Flow) -> Self {
        let config = flow.config().clone();
        let device = compute.device();
        let index = |list: Vec<usize>| -> Tensor<1, Int> {
            let count = list.len();
            let list: Vec<i32> = list.into_iter().map(|k| k as i32).collect();
            Tensor::from_data(TensorData::new(list, [count]), device)
        };
        let divisions = [0, 1].map(|coupling| {
            let [transformed, identity] = config.division(coupling);
            let place = |k: usize| {
                let of = |list: &[usize]| list.iter().position(|other| *other == k);
                of(&transformed)
                    .or_else(|| of(&identity).map(|at| at + transformed.len()))
                    .expect("a feature is transformed or passed on")
            };
            let merged = (0..config.features).map(place).collect();
            Division {
                merged: index(merged),
                identity: (!identity.is_empty()).then(|| index(identity)),
                transformed: index(transformed),
            }
        });
        let d = config.features;
        let triangle = d * d.saturating_sub(1) / 2;
        let entries = |inside: fn(usize, usize) -> bool, diagonal: fn(usize) -> usize| {
            let mut next = 0;
            let mut list = Vec::with_capacity(d * d);
            for row in 0..d {
                for column in 0..d {
                    list.push(if row == column {
                        triangle + 1 + diagonal(row)
                    } else if inside(row, column) {
                        next += 1;
                        next - 1
                    } else {
                        triangle
                    });
                }
            }
            index(list)
        };
        let counting: Vec<f32> = (0..d).map(|k| k as f32).collect();
        Self {
            matrices: Matrices {
                lower: entries(|row, column| row > column, |_| 0),
                upper: entries(|row, column| row < column, |k| k),
                counting: Tensor::from_data(TensorData::new(counting, [1, d, 1]), device),
            },
            divisions,
            spline: SplineConfig {
                bins: config.bins,
                bound: config.bound,
                scale: (config.hidden as f64).sqrt(),
            },
            kernels: compute.kernels(),
            config,
        }
    }

    /// Log-densities of a batch with its own batch norm statistics.
    pub(crate) fn train(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
        masks: &[Tensor<3>],
    ) -> TrainingOutput {
        let mut updated = Vec::with_capacity(statistics.len());
        let norm = Norm::Training(&mut updated);
        // plain rows have no inner tensor for the statistics to be taken from
        let output = self.log_prob(parameters, statistics, x.autodiff(), masks, norm);
        TrainingOutput {
            output,
            statistics: updated,
        }
    }

    /// Log-densities with running statistics, `[E, B, 1]`.
    pub(crate) fn evaluate(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
    ) -> Tensor<3> {
        self.log_prob(parameters, statistics, x, &[], Norm::Evaluation)
    }

    /// `x`: `[1 or E, B, D + C]`, as the conditioner's masks by coupling and block.
    fn log_prob(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        x: Tensor<3>,
        masks: &[Tensor<3>],
        mut norm: Norm<'_>,
    ) -> Tensor<3> {
        let config = &self.config;
        let (context, mut x) = self.divide(x);
        let mut parameters = parameters.iter().cloned();
        let mut statistics = statistics.iter().cloned();
        let mut masks = masks.iter();
        let mut log_det: Option<Tensor<3>> = None;
        let mut add = |term: Tensor<3>| {
            log_det = Some(match log_det.take() {
                Some(sum) => sum + term,
                None => term,
            });
        };
        let mut couplings = 0;
        for step in &config.steps {
            let mut take = || parameters.next().expect("the layout has every parameter");
            let mut known = || statistics.next().expect("the layout has every statistic");
            match step {
                FlowStep::BatchNorm => {
                    let (gain, shift) = (take(), take());
                    let running = [known(), known()];
                    let (y, term) = batch_norm(x, gain, shift, running, &mut norm);
                    x = y;
                    add(term);
                }
                FlowStep::Linear => {
                    let packed = [take(), take(), take()];
                    let bias = take();
                    let permutation = known();
                    if let Norm::Training(updated) = &mut norm {
                        updated.push(permutation.clone());
                    }
                    let (matrix, term) = self.matrices.matrix(packed, permutation);
                    x = x.matmul(matrix) + bias;
                    add(term);
                }
                FlowStep::Coupling => {
                    let division = &self.divisions[couplings % 2];
                    couplings += 1;
                    let (passed, theta) =
                        self.condition(division, &x, context.as_ref(), &mut take, &mut masks);
                    let moved = x.select(2, division.transformed.clone());
                    let moved = expand(moved, theta.dims()[0]);
                    let (moved, term) = self.spline(Direction::Forward, moved, theta);
                    x = division.merge(moved, passed);
                    add(term.sum_dim(2));
                }
            }
        }
        let norm = 0.5 * config.features as f64 * std::f64::consts::TAU.ln();
        let base = x.square().sum_dim(2) * -0.5 - norm;
        match log_det {
            Some(sum) => base + sum,
            None => base,
        }
    }

    /// Noise into features: `z` `[1 or E, B, D]`, `context` `[1, B, C]`;
    /// `inverses`: inverse matrices of the linear steps, `[E, D, D]`, in their order.
    pub(super) fn sample(
        &self,
        parameters: &[Tensor<3>],
        statistics: &[Tensor<3>],
        inverses: &[Tensor<3>],
        z: Tensor<3>,
        context: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let config = &self.config;
        let mut places = Vec::with_capacity(config.steps.len());
        let (mut parameter, mut statistic, mut linears, mut couplings) = (0, 0, 0, 0);
        for step in &config.steps {
            places.push((parameter, statistic, linears, couplings));
            match step {
                FlowStep::BatchNorm => (parameter, statistic) = (parameter + 2, statistic + 2),
                FlowStep::Linear => {
                    (parameter, statistic) = (parameter + 4, statistic + 1);
                    linears += 1;
                }
                FlowStep::Coupling => {
                    let block = 4 + 2 * usize::from(config.context > 0);
                    parameter += 4 + config.blocks * block;
                    couplings += 1;
                }
            }
        }
        let members = parameters.first().map_or(1, |p| p.dims()[0]);
        let mut x = expand(z, members);
        for (step, (parameter, statistic, linears, couplings)) in
            config.steps.iter().zip(places).rev()
        {
            let own = &parameters[parameter..];
            match step {
                FlowStep::BatchNorm => {
                    let scale = softplus(own[0].clone()) + NORM_EPSILON;
                    let deviation = (statistics[statistic + 1].clone() + NORM_EPSILON).sqrt();
                    let mean = statistics[statistic].clone();
                    x = (x - own[1].clone()) * (deviation / scale) + mean;
                }
                FlowStep::Linear => {
                    x = (x - own[3].clone()).matmul(inverses[linears].clone());
                }
                FlowStep::Coupling => {
                    let division = &self.divisions[couplings % 2];
                    let mut next = own.iter().cloned();
                    let mut take = || next.next().expect("the layout has every parameter");
                    let (passed, theta) =
                        self.condition(division, &x, context, &mut take, &mut [].iter());
                    let moved = x.select(2, division.transformed.clone());
                    let moved = expand(moved, theta.dims()[0]);
                    let (moved, _) = self.spline(Direction::Inverse, moved, theta);
                    x = division.merge(moved, passed);
                }
            }
        }
        x
    }

    fn spline(
        &self,
        direction: Direction,
        x: Tensor<3>,
        theta: Tensor<3>,
    ) -> (Tensor<3>, Tensor<3>) {
        match (self.kernels, direction) {
            (Kernels::Plain, _) => Implementation::Plain.apply(&self.spline, direction, x, theta),
            (Kernels::Fused, Direction::Forward) => spline::forward(&self.spline, x, theta),
            (Kernels::Fused, Direction::Inverse) => spline::inverse(&self.spline, x, theta),
        }
    }

    /// Context and features of rows `[1 or E, B, D + C]`.
    fn divide(&self, x: Tensor<3>) -> (Option<Tensor<3>>, Tensor<3>) {
        let (d, c) = (self.config.features, self.config.context);
        let context = (c > 0).then(|| x.clone().narrow(2, d, c));
        (context, x.narrow(2, 0, d))
    }

    /// The features that are passed on, and the splines' parameters
    /// `[E, B, T (3K - 1)]`.
    fn condition<'a>(
        &self,
        division: &Division,
        x: &Tensor<3>,
        context: Option<&Tensor<3>>,
        take: &mut dyn FnMut() -> Tensor<3>,
        masks: &mut impl Iterator<Item = &'a Tensor<3>>,
    ) -> (Option<Tensor<3>>, Tensor<3>) {
        let passed = division
            .identity
            .as_ref()
            .map(|index| x.clone().select(2, index.clone()));
        let inputs: Vec<Tensor<3>> = match (&passed, context) {
            (Some(passed), Some(context)) => {
                // rows are common to all members before the first coupling
                let members = passed.dims()[0].max(context.dims()[0]);
                [passed, context].map(|t| expand(t.clone(), members)).into()
            }
            (Some(one), None) | (None, Some(one)) => vec![one.clone()],
            (None, None) => Vec::new(),
        };
        let inputs = if inputs.is_empty() {
            let [members, batch, _] = x.dims();
            Tensor::zeros([members, batch, 0], &x.device())
        } else {
            Tensor::cat(inputs, 2)
        };
        let mut h = linear(inputs, take(), take());
        for _ in 0..self.config.blocks {
            let t = linear(activation::relu(h.clone()), take(), take());
            let t = activation::relu(t);
            let t = match masks.next() {
                Some(mask) => t * mask.clone(),
                None => t,
            };
            let t = linear(t, take(), take());
            let t = match context {
                Some(context) => t * activation::sigmoid(linear(context.clone(), take(), take())),
                None => t,
            };
            h = h + t;
        }
        (passed, linear(h, take(), take()))
    }
}

fn expand(tensor: Tensor<3>, members: usize) -> Tensor<3> {
    let [own, rows, columns] = tensor.dims();
    if own == members {
        tensor
    } else {
        tensor.expand([members, rows, columns])
    }
}

impl Division {
    /// Transformed features and those passed on, in the order of the row.
    fn merge(&self, moved: Tensor<3>, passed: Option<Tensor<3>>) -> Tensor<3> {
        let Some(passed) = passed else {
            return moved;
        };
        let passed = expand(passed, moved.dims()[0]);
        Tensor::cat(vec![moved, passed], 2).select(2, self.merged.clone())
    }
}

impl Matrices {
    /// The matrix `[E, D, D]` that acts on rows from the right, `P U^T L^T`, and
    /// the log-determinant `[E, 1, 1]`. `packed`: lower and upper entries,
    /// unconstrained diagonal.
    fn matrix(&self, packed: [Tensor<3>; 3], permutation: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [lower, upper, diagonal] = packed;
        let diagonal = softplus(diagonal) + DIAGONAL_MINIMUM;
        let [members, _, d] = diagonal.dims();
        let constant = |value: f32| Tensor::<3>::full([members, 1, 1], value, &diagonal.device());
        let (zero, one) = (constant(0.0), constant(1.0));
        let log_det = diagonal.clone().log().sum_dim(2);
        let square = |parts: Vec<Tensor<3>>, places: &Tensor<1, Int>| {
            Tensor::cat(parts, 2)
                .select(2, places.clone())
                .reshape([members, d, d])
        };
        let (lower_parts, upper_parts) = if d > 1 {
            (vec![lower, zero.clone(), one], vec![upper, zero, diagonal])
        } else {
            (vec![zero.clone(), one], vec![zero, diagonal])
        };
        let lower = square(lower_parts, &self.lower);
        let upper = square(upper_parts, &self.upper);
        // row i of the permutation matrix has its one where permutation = i
        let distance =
            permutation.expand([members, d, d]) - self.counting.clone().expand([members, d, d]);
        let order = distance.abs().lower_elem(0.5).float();
        let matrix = order
            .matmul(upper.swap_dims(1, 2))
            .matmul(lower.swap_dims(1, 2));
        (matrix, log_det)
    }
}

/// Normalised rows and the log-determinant `[E, 1, 1]`.
fn batch_norm(
    x: Tensor<3>,
    gain: Tensor<3>,
    shift: Tensor<3>,
    running: [Tensor<3>; 2],
    norm: &mut Norm<'_>,
) -> (Tensor<3>, Tensor<3>) {
    let scale = softplus(gain) + NORM_EPSILON;
    let (centred, variance) = match norm {
        Norm::Training(updated) => {
            let batch = x.dims()[1] as f64;
            let mean = x.clone().sum_dim(1) / batch;
            let centred = x - mean.clone();
            let variance = centred.clone().square().sum_dim(1) / (batch - 1.0).max(1.0);
            let [old_mean, old_variance] = running;
            let members = old_mean.dims()[0];
            let mix = |old: Tensor<3>, new: Tensor<3>| {
                old * (1.0 - NORM_MOMENTUM) + expand(new, members) * NORM_MOMENTUM
            };
            updated.push(mix(old_mean, mean.inner()));
            updated.push(mix(old_variance, variance.clone().inner()));
            (centred, variance)
        }
        Norm::Evaluation => {
            let [mean, variance] = running;
            (x - mean, variance)
        }
    };
    let variance = variance + NORM_EPSILON;
    let log_det = (scale.clone().log() - variance.clone().log() * 0.5).sum_dim(2);
    (centred * (scale / variance.sqrt()) + shift, log_det)
}
