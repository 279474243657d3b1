//! Adam, AdamW and NAdam over packed rows, each member with its own clock.
//!
//! One update for all of them, with `m` and `v` the running first and second
//! moments of the gradient `g`:
//!
//! ```text
//! p <- p (1 - lr wd mask) - (a m + b g) / (sqrt(c v) + epsilon)
//! ```
//!
//! where a, b and c are a member's own numbers at its own step t (below), so
//! that members which started at different times share a stack.
//!
//! Sources: Kingma and Ba, arXiv:1412.6980; Loshchilov and Hutter,
//! arXiv:1711.05101; Dozat (2016), in PyTorch's form with momentum decay. The
//! tests hold all three to PyTorch 2.

use burn::tensor::Tensor;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_numerics::lanes::single::{F, WIDEST};
use sideband_numerics::lanes::{Simd, WithSimd, dispatch};

/// Momentum decay of NAdam, PyTorch's default.
const NADAM_MOMENTUM_DECAY: f64 = 4e-3;

/// Which optimizer, with its constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Adam.
    Adam {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
    },
    /// Adam with decoupled weight decay, which acts on weights, not on biases.
    Adamw {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// Weight decay, times the learning rate a step.
        #[serde(default = "default_weight_decay")]
        weight_decay: f64,
    },
    /// Adam with Nesterov momentum.
    Nadam {
        /// Decay of the first moment.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
    },
}

fn default_beta1() -> f64 {
    0.9
}
fn default_beta2() -> f64 {
    0.999
}
fn default_epsilon() -> f64 {
    1e-8
}
fn default_weight_decay() -> f64 {
    0.01
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adam {
            beta1: default_beta1(),
            beta2: default_beta2(),
            epsilon: default_epsilon(),
        }
    }
}

/// A member's clock: how many steps it has made, and NAdam's product.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    step: u64,
    momentum_product: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            step: 0,
            momentum_product: 1.0,
        }
    }
}

impl Clock {
    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.step
    }
}

/// A member's numbers in one update: a, b, c of the module's formula and the
/// shrinkage `lr wd`.
pub(crate) type Coefficients = [f32; 4];

impl OptimizerConfig {
    fn constants(&self) -> (f64, f64, f64, f64) {
        match *self {
            Self::Adam {
                beta1,
                beta2,
                epsilon,
            }
            | Self::Nadam {
                beta1,
                beta2,
                epsilon,
            } => (beta1, beta2, epsilon, 0.0),
            Self::Adamw {
                beta1,
                beta2,
                epsilon,
                weight_decay,
            } => (beta1, beta2, epsilon, weight_decay),
        }
    }

    /// Whether weights shrink apart from the gradient.
    pub(crate) fn shrinks(&self) -> bool {
        self.constants().3 != 0.0
    }

    /// Advances a member's clock by one step and gives its coefficients.
    pub(crate) fn tick(&self, clock: &mut Clock, learning_rate: f64) -> Coefficients {
        let (beta1, beta2, _, weight_decay) = self.constants();
        clock.step += 1;
        let t = clock.step as f64;
        let c = 1.0 / (1.0 - beta2.powf(t));
        let (a, b) = match self {
            Self::Adam { .. } | Self::Adamw { .. } => (learning_rate / (1.0 - beta1.powf(t)), 0.0),
            Self::Nadam { .. } => {
                let mu = |t: f64| beta1 * (1.0 - 0.5 * 0.96f64.powf(t * NADAM_MOMENTUM_DECAY));
                clock.momentum_product *= mu(t);
                let next = clock.momentum_product * mu(t + 1.0);
                (
                    learning_rate * mu(t + 1.0) / (1.0 - next),
                    learning_rate * (1.0 - mu(t)) / (1.0 - clock.momentum_product),
                )
            }
        };
        [a, b, c, learning_rate * weight_decay].map(|x| x as f32)
    }

    /// One update of all rows. `p`, `m`, `v`, `gradient`: `[E, P]`;
    /// `coefficients`: `[E, 4]`; `decay_mask`: `[1, P]` if weights shrink.
    pub(super) fn update(
        &self,
        p: Tensor<2>,
        [m, v]: [&mut Tensor<2>; 2],
        gradient: Tensor<2>,
        coefficients: &Tensor<2>,
        decay_mask: Option<&Tensor<2>>,
    ) -> Tensor<2> {
        let (beta1, beta2, epsilon, _) = self.constants();
        let column = |k: usize| coefficients.clone().narrow(1, k, 1);
        m.inplace(|m| m * beta1 + gradient.clone() * (1.0 - beta1));
        v.inplace(|v| v * beta2 + gradient.clone().square() * (1.0 - beta2));
        let mut direction = m.clone() * column(0);
        if matches!(self, Self::Nadam { .. }) {
            direction = direction + gradient * column(1);
        }
        let denominator = (v.clone() * column(2)).sqrt() + epsilon;
        let p = match decay_mask {
            Some(mask) => p.clone() - p * (mask.clone() * column(3)),
            None => p,
        };
        p - direction / denominator
    }
}

/// Values that one thread updates at a time.
const PIECE: usize = 1 << 16;

impl OptimizerConfig {
    /// One update of one member's parameters and two moments, the same in one pass over
    /// the memory. `decay_mask`: not read if weights do not shrink.
    pub(super) fn update_member(
        &self,
        [p, m, v]: [&mut [f32]; 3],
        gradient: &[f32],
        coefficients: Coefficients,
        decay_mask: &[f32],
    ) {
        let update = Update {
            constants: self.constants(),
            coefficients,
        };
        let mask = if self.shrinks() { decay_mask } else { &[] };
        let work = |(i, (p, m, v, gradient)): (usize, (_, _, _, &[f32]))| {
            dispatch(RowPiece {
                update,
                row: [p, m, v],
                gradient,
                mask: mask.get(i * PIECE..).unwrap_or_default(),
            });
        };
        if p.len() > PIECE && rayon::current_num_threads() > 1 {
            let [p, m, v] = [p, m, v].map(|values| values.par_chunks_mut(PIECE));
            let pieces = (p, m, v, gradient.par_chunks(PIECE)).into_par_iter();
            pieces.enumerate().for_each(work);
        } else {
            work((0, (p, m, v, gradient)));
        }
    }
}

#[derive(Clone, Copy)]
struct Update {
    constants: (f64, f64, f64, f64),
    coefficients: Coefficients,
}

/// A piece of a row to be updated.
struct RowPiece<'a> {
    update: Update,
    /// Parameters and both moments.
    row: [&'a mut [f32]; 3],
    gradient: &'a [f32],
    /// Where weights shrink, or empty.
    mask: &'a [f32],
}

impl WithSimd for RowPiece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [p, m, v] = self.row;
        let len = p.len();
        let whole = len - len % WIDEST;
        for at in (0..whole).step_by(S::F32_LANES) {
            let mask = (!self.mask.is_empty()).then(|| &self.mask[at..]);
            let row = [&mut p[at..], &mut m[at..], &mut v[at..]];
            self.update.apply(simd, row, &self.gradient[at..], mask);
        }
        // the last values in registers of their own, so that each is computed alike
        let last = |values: &[f32]| {
            let mut lanes = [0.0; WIDEST];
            let values = values.get(whole..).unwrap_or_default();
            let count = values.len().min(len - whole);
            lanes[..count].copy_from_slice(&values[..count]);
            lanes
        };
        let mut tails = [&*p, &*m, &*v].map(last);
        let (gradient, mask) = (last(self.gradient), last(self.mask));
        for at in (0..len - whole).step_by(S::F32_LANES) {
            let mask = (!self.mask.is_empty()).then_some(&mask[at..]);
            let row = tails.each_mut().map(|tail| &mut tail[at..]);
            self.update.apply(simd, row, &gradient[at..], mask);
        }
        for (values, tail) in [p, m, v].into_iter().zip(tails) {
            values[whole..].copy_from_slice(&tail[..len - whole]);
        }
    }
}

impl Update {
    /// Updates the first register of each slice.
    #[inline(always)]
    fn apply<S: Simd>(
        &self,
        simd: S,
        [p, m, v]: [&mut [f32]; 3],
        gradient: &[f32],
        mask: Option<&[f32]>,
    ) {
        let (beta1, beta2, epsilon, _) = self.constants;
        let [a, b, c, shrink] = self.coefficients;
        let splat = |value: f64| F::splat(simd, value as f32);
        let g = F::load(simd, gradient);
        let first = F::load(simd, m) * splat(beta1) + g * splat(1.0 - beta1);
        let second = F::load(simd, v) * splat(beta2) + g * g * splat(1.0 - beta2);
        first.store(m);
        second.store(v);
        let direction = first * F::splat(simd, a) + g * F::splat(simd, b);
        let denominator = (second * F::splat(simd, c)).sqrt() + splat(epsilon);
        let mut x = F::load(simd, p);
        if let Some(mask) = mask {
            x = x - x * (F::load(simd, mask) * F::splat(simd, shrink));
        }
        (x - direction / denominator).store(p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Compute;
    use crate::stack::download;

    /// Six steps on a made-up sequence of gradients; PyTorch 2.15.0 in f64, with
    /// epsilon 1e-8, learning rate 0.01 and AdamW's weight decay 0.1. The second
    /// member starts two steps later: its numbers must not know that.
    #[test]
    fn updates_are_those_of_pytorch() {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
        let adamw = OptimizerConfig::Adamw {
            beta1,
            beta2,
            epsilon,
            weight_decay: 0.1,
        };
        let nadam = OptimizerConfig::Nadam {
            beta1,
            beta2,
            epsilon,
        };
        let numbers = [
            [0.992_119_111_147, -1.976_466_402_375, 0.446_170_874_933],
            [0.986_177_235_819, -1.964_609_627_148, 0.443_315_621_912],
            [0.998_461_873_815, -2.005_978_491_831, 0.433_660_077_878],
        ];
        let optimizers = [OptimizerConfig::default(), adamw, nadam];
        for (optimizer, expected) in optimizers.into_iter().zip(numbers) {
            let rows = [run(&optimizer), run_row(&optimizer)].concat();
            for (found, expected) in rows.iter().zip(expected.iter().cycle()) {
                let is_close = (f64::from(*found) - expected).abs() < 2e-6;
                assert!(is_close, "{optimizer:?}: {found} {expected}");
            }
        }
    }

    fn gradient(t: i32) -> [f32; 3] {
        let sign = if t % 2 == 0 { 0.3 } else { -0.3 };
        let t = t as f32;
        [sign * (t + 1.0), -1.0 + 0.5 * t, 0.02 * (t + 1.0).powi(2)]
    }

    /// Parameters of both members after six steps of each.
    fn run(optimizer: &OptimizerConfig) -> Vec<f32> {
        let compute = Compute::open("cpu").expect("the CPU is always there");
        let tensor = |rows: Vec<f32>, width: usize| {
            let shape = [rows.len() / width, width];
            compute.tensor(rows, shape)
        };
        let start = [1.0, -2.0, 0.5];
        let mut p = tensor([start, start].concat(), 3);
        let (mut m, mut v) = (p.zeros_like(), p.zeros_like());
        let mask = tensor(vec![1.0; 3], 3);
        let mut clocks = [Clock::default(), Clock::default()];
        let mut first = Vec::new();
        for t in 0..8 {
            if t == 2 {
                // the second member begins
                clocks[1] = Clock::default();
                let second = |t: Tensor<2>, row: [f32; 3]| {
                    Tensor::cat(vec![t.narrow(0, 0, 1), tensor(row.to_vec(), 3)], 0)
                };
                p = second(p, start);
                m = second(m, [0.0; 3]);
                v = second(v, [0.0; 3]);
            }
            let gradients = tensor([gradient(t), gradient(t - 2)].concat(), 3);
            let ticks = clocks.iter_mut().map(|clock| optimizer.tick(clock, 0.01));
            let coefficients = tensor(ticks.flatten().collect(), 4);
            let shrink = optimizer.shrinks().then_some(&mask);
            p = optimizer.update(p, [&mut m, &mut v], gradients, &coefficients, shrink);
            if t == 5 {
                first = download(p.clone().narrow(0, 0, 1));
            }
        }
        first.extend(download(p.narrow(0, 1, 1)));
        first
    }

    /// One member's parameters after six steps, many times over: a row of whole
    /// registers and one that is not.
    fn run_row(optimizer: &OptimizerConfig) -> Vec<f32> {
        let repeated = |values: [f32; 3]| values.repeat(37);
        let mut p = repeated([1.0, -2.0, 0.5]);
        let (mut m, mut v) = (repeated([0.0; 3]), repeated([0.0; 3]));
        let mask = repeated([1.0; 3]);
        let mut clock = Clock::default();
        for t in 0..6 {
            let coefficients = optimizer.tick(&mut clock, 0.01);
            let gradient = repeated(gradient(t));
            let row = [&mut p, &mut m, &mut v].map(Vec::as_mut_slice);
            optimizer.update_member(row, &gradient, coefficients, &mask);
        }
        p
    }
}
