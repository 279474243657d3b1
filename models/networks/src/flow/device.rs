//! The flow in tensor operations, all members of a stack at once.

use super::{DIAGONAL_MINIMUM, FlowConfig, FlowStep, NORM_EPSILON, NORM_MOMENTUM};
use crate::device::{Compute, Kernels};
use crate::kind::{DeviceNetwork, Training, Unpacked, linear};
use crate::objective::softplus;
use crate::spline::{Direction, Implementation, SplineConfig};
use burn::tensor::{Int, Tensor, activation};

/// A flow with the constant tensors that its steps select with.
pub(crate) struct FlowOnDevice {
    config: FlowConfig,
    places: Vec<DeviceStep>,
    spline: SplineConfig,
    kernels: Kernels,
    /// Features of a coupling of even and of odd number.
    divisions: [Division; 2],
    matrices: Matrices,
}

/// A step and its places in the lists of unpacked tensors.
struct DeviceStep {
    step: FlowStep,
    parameter: usize,
    statistic: usize,
    /// Number among the steps of its kind.
    number: usize,
}

/// Which features a coupling transforms, which it passes on, and how both
/// become a row again.
struct Division {
    transformed: Tensor<1, Int>,
    identity: Option<Tensor<1, Int>>,
    merged: Tensor<1, Int>,
}

/// Places of the packed triangles' entries in a matrix.
struct Matrices {
    /// `[D * D]` into (entries, 0, 1).
    lower: Tensor<1, Int>,
    /// `[D * D]` into (entries, 0, diagonal).
    upper: Tensor<1, Int>,
    /// 0, 1, ..., `[1, D, 1]`.
    counting: Tensor<3>,
}

impl FlowOnDevice {
    pub(crate) fn new(compute: &Compute, config: &FlowConfig) -> Self {
        let index = |list: Vec<usize>| compute.index(list.into_iter().map(|k| k as i32).collect());
        let divisions = [0, 1].map(|coupling| {
            let [transformed, identity] = config.division(coupling);
            let row = [transformed.clone(), identity.clone()].concat();
            let place = |k| row.iter().position(|other| *other == k);
            let place = |k| place(k).expect("a feature is transformed or passed on");
            Division {
                merged: index((0..config.features).map(place).collect()),
                identity: (!identity.is_empty()).then(|| index(identity)),
                transformed: index(transformed),
            }
        });
        let d = config.features;
        let triangle = d * d.saturating_sub(1) / 2;
        let entries = |inside: fn(usize, usize) -> bool, diagonal: fn(usize) -> usize| {
            let mut next = 0;
            let place = |cell: usize| match (cell / d, cell % d) {
                (row, column) if row == column => triangle + 1 + diagonal(row),
                (row, column) if inside(row, column) => {
                    next += 1;
                    next - 1
                }
                _ => triangle,
            };
            index((0..d * d).map(place).collect())
        };
        Self {
            matrices: Matrices {
                lower: entries(|row, column| row > column, |_| 0),
                upper: entries(|row, column| row < column, |k| k),
                counting: compute.tensor((0..d).map(|k| k as f32).collect(), [1, d, 1]),
            },
            places: places(config),
            divisions,
            spline: SplineConfig {
                bins: config.bins,
                bound: config.bound,
                scale: (config.hidden as f64).sqrt(),
            },
            kernels: compute.kernels(),
            config: config.clone(),
        }
    }

    /// Noise into features: `z` `[1 or E, B, D]`, `context` `[1, B, C]`;
    /// `inverses`: inverse matrices of the linear steps, `[E, D, D]`, in their order.
    pub(super) fn sample(
        &self,
        members: &Unpacked,
        inverses: &[Tensor<3>],
        z: Tensor<3>,
        context: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let count = members.parameters.first().map_or(1, |p| p.dims()[0]);
        let mut x = expand(z, count);
        for place in self.places.iter().rev() {
            let own = &members.parameters[place.parameter..];
            let known = &members.statistics[place.statistic..];
            x = match place.step {
                FlowStep::BatchNorm => {
                    let scale = softplus(own[0].clone()) + NORM_EPSILON;
                    let deviation = (known[1].clone() + NORM_EPSILON).sqrt();
                    (x - own[1].clone()) * (deviation / scale) + known[0].clone()
                }
                FlowStep::Linear => (x - own[3].clone()).matmul(inverses[place.number].clone()),
                FlowStep::Coupling => {
                    self.couple(Direction::Inverse, place, own, x, context, &[])
                        .0
                }
            };
        }
        x
    }

    /// Context and features of rows `[1 or E, B, D + C]`.
    fn divide(&self, x: Tensor<3>) -> (Option<Tensor<3>>, Tensor<3>) {
        let (d, c) = (self.config.features, self.config.context);
        let context = (c > 0).then(|| x.clone().narrow(2, d, c));
        (context, x.narrow(2, 0, d))
    }

    /// Rows after a coupling, and the logarithms of the derivatives `[E, B, T]`.
    fn couple(
        &self,
        direction: Direction,
        place: &DeviceStep,
        own: &[Tensor<3>],
        x: Tensor<3>,
        context: Option<&Tensor<3>>,
        masks: &[Tensor<3>],
    ) -> (Tensor<3>, Tensor<3>) {
        let division = &self.divisions[place.number % 2];
        let identity = division.identity.as_ref();
        let passed = identity.map(|index| x.clone().select(2, index.clone()));
        let theta = self.condition(passed.as_ref(), &x, context, own, masks);
        let moved = x.select(2, division.transformed.clone());
        let moved = expand(moved, theta.dims()[0]);
        let implementation = match self.kernels {
            Kernels::Plain => Implementation::Plain,
            Kernels::Fused => Implementation::of(&moved),
        };
        let (moved, log_slope) = implementation.apply(&self.spline, direction, moved, theta);
        (division.merge(moved, passed), log_slope)
    }

    /// The splines' parameters `[E, B, T (3K - 1)]`, from the features that are passed on.
    fn condition(
        &self,
        passed: Option<&Tensor<3>>,
        x: &Tensor<3>,
        context: Option<&Tensor<3>>,
        own: &[Tensor<3>],
        masks: &[Tensor<3>],
    ) -> Tensor<3> {
        let mut own = own.iter().cloned();
        let mut take = || own.next().expect("the layout has every parameter");
        let inputs = match (passed, context) {
            (Some(passed), Some(context)) => {
                // rows are common to all members before the first coupling
                let members = passed.dims()[0].max(context.dims()[0]);
                let inputs = [passed, context].map(|t| expand(t.clone(), members));
                Tensor::cat(inputs.into(), 2)
            }
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => {
                let [members, batch, _] = x.dims();
                Tensor::zeros([members, batch, 0], &x.device())
            }
        };
        let mut h = linear(inputs, take(), take());
        for block in 0..self.config.blocks {
            let t = linear(activation::relu(h.clone()), take(), take());
            let t = activation::relu(t);
            let t = match masks.get(block) {
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
        linear(h, take(), take())
    }
}

impl DeviceNetwork for FlowOnDevice {
    fn forward(
        &self,
        members: &Unpacked,
        x: Tensor<3>,
        mut training: Option<&mut Training>,
    ) -> Tensor<3> {
        // plain rows have no inner tensor for the statistics to be taken from
        let x = if training.is_some() { x.autodiff() } else { x };
        let (context, mut x) = self.divide(x);
        let mut log_det: Option<Tensor<3>> = None;
        for place in &self.places {
            let own = &members.parameters[place.parameter..];
            let known = &members.statistics[place.statistic..];
            let term;
            (x, term) = match place.step {
                FlowStep::BatchNorm => batch_norm(x, own, known, training.as_deref_mut()),
                FlowStep::Linear => {
                    let permutation = known[0].clone();
                    if let Some(training) = &mut training {
                        training.statistics.push(permutation.clone());
                    }
                    let (matrix, term) = self.matrices.matrix(own, permutation);
                    (x.matmul(matrix) + own[3].clone(), term)
                }
                FlowStep::Coupling => {
                    let masks = training.as_ref().map_or(&[][..], |t| t.masks);
                    let masks = masks.get(place.number * self.config.blocks..);
                    let masks = masks.unwrap_or_default();
                    let context = context.as_ref();
                    let forward = Direction::Forward;
                    let (x, log_slope) = self.couple(forward, place, own, x, context, masks);
                    (x, log_slope.sum_dim(2))
                }
            };
            log_det = Some(match log_det {
                Some(sum) => sum + term,
                None => term,
            });
        }
        let norm = 0.5 * self.config.features as f64 * std::f64::consts::TAU.ln();
        let base = x.square().sum_dim(2) * -0.5 - norm;
        match log_det {
            Some(sum) => base + sum,
            None => base,
        }
    }
}

/// Where the tensors of every step are.
fn places(config: &FlowConfig) -> Vec<DeviceStep> {
    let (mut parameter, mut statistic, mut numbers) = (0, 0, [0; 3]);
    let place = |step: &FlowStep| {
        let block = 4 + 2 * usize::from(config.context > 0);
        let (parameters, statistics) = match step {
            FlowStep::BatchNorm => (2, 2),
            FlowStep::Linear => (4, 1),
            FlowStep::Coupling => (4 + config.blocks * block, 0),
        };
        let place = DeviceStep {
            step: *step,
            parameter,
            statistic,
            number: numbers[*step as usize],
        };
        numbers[*step as usize] += 1;
        parameter += parameters;
        statistic += statistics;
        place
    };
    config.steps.iter().map(place).collect()
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
    fn matrix(&self, packed: &[Tensor<3>], permutation: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let [lower, upper, diagonal] = [0, 1, 2].map(|part| packed[part].clone());
        let diagonal = softplus(diagonal) + DIAGONAL_MINIMUM;
        let [members, _, d] = diagonal.dims();
        let constant = |value: f32| Tensor::<3>::full([members, 1, 1], value, &diagonal.device());
        let (zero, one) = (constant(0.0), constant(1.0));
        let log_det = diagonal.clone().log().sum_dim(2);
        let square = |parts: Vec<Tensor<3>>, places: &Tensor<1, Int>| {
            let cells = Tensor::cat(parts, 2).select(2, places.clone());
            cells.reshape([members, d, d])
        };
        let (lower_parts, upper_parts) = if d > 1 {
            (vec![lower, zero.clone(), one], vec![upper, zero, diagonal])
        } else {
            (vec![zero.clone(), one], vec![zero, diagonal])
        };
        let lower = square(lower_parts, &self.lower);
        let upper = square(upper_parts, &self.upper);
        // row i of the permutation matrix has its one where permutation = i
        let square = [members, d, d];
        let distance = permutation.expand(square) - self.counting.clone().expand(square);
        let order = distance.abs().lower_elem(0.5).float();
        let matrix = order.matmul(upper.swap_dims(1, 2));
        (matrix.matmul(lower.swap_dims(1, 2)), log_det)
    }
}

/// Normalised rows and the log-determinant `[E, 1, 1]`: in training by the batch's own
/// mean and variance, without by the running ones.
fn batch_norm(
    x: Tensor<3>,
    own: &[Tensor<3>],
    running: &[Tensor<3>],
    training: Option<&mut Training>,
) -> (Tensor<3>, Tensor<3>) {
    let (gain, shift) = (own[0].clone(), own[1].clone());
    let scale = softplus(gain) + NORM_EPSILON;
    let (centred, variance) = match training {
        Some(training) => {
            let batch = x.dims()[1] as f64;
            let mean = x.clone().sum_dim(1) / batch;
            let centred = x - mean.clone();
            let variance = centred.clone().square().sum_dim(1) / (batch - 1.0).max(1.0);
            let members = running[0].dims()[0];
            for (old, new) in running.iter().zip([mean.inner(), variance.clone().inner()]) {
                let mixed = old.clone() * (1.0 - NORM_MOMENTUM);
                let mixed = mixed + expand(new, members) * NORM_MOMENTUM;
                training.statistics.push(mixed);
            }
            (centred, variance)
        }
        None => (x - running[0].clone(), running[1].clone()),
    };
    let variance = variance + NORM_EPSILON;
    let log_det = (scale.clone().log() - variance.clone().log() * 0.5).sum_dim(2);
    (centred * (scale / variance.sqrt()) + shift, log_det)
}
