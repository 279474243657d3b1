//! The flow in plain f64, row by row, for the tests: the formulas as they are
//! written, nothing shared with the implementation they judge.

use crate::flow::{FlowConfig, FlowStep};

/// A batch and the member that meets it.
#[derive(Clone)]
pub(super) struct Reference<'a> {
    pub(super) config: &'a FlowConfig,
    pub(super) parameters: Vec<f64>,
    pub(super) statistics: Vec<f64>,
    /// Rows of D features and C context variables.
    pub(super) x: Vec<Vec<f64>>,
    /// `[couplings, blocks, B, H]`, or empty.
    pub(super) masks: &'a [f32],
    /// Batch moments instead of the running ones.
    pub(super) training: bool,
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Takes values from the front of a row of parameters.
struct Reader<'a>(&'a [f64]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> &'a [f64] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }
}

/// x W + b with W `[in, out]`.
fn dense(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let mut out = bias.to_vec();
    for (x, row) in x.iter().zip(weight.chunks_exact(bias.len().max(1))) {
        for (out, w) in out.iter_mut().zip(row) {
            *out += x * w;
        }
    }
    out
}

/// y and ln dy/dx of the spline of eqs. 4 and 5, arXiv:1906.04032.
pub(super) fn spline(x: f64, theta: &[f64], bins: usize, bound: f64, scale: f64) -> (f64, f64) {
    if !(-bound..=bound).contains(&x) {
        return (x, 0.0);
    }
    let knots = |theta: &[f64]| {
        let terms: Vec<f64> = theta.iter().map(|t| (t * scale).exp()).collect();
        let sum: f64 = terms.iter().sum();
        let mut knots = vec![-bound];
        for term in terms {
            let last = knots[knots.len() - 1];
            knots.push(last + 2.0 * bound * (1e-3 + (1.0 - 1e-3 * bins as f64) * term / sum));
        }
        knots[bins] = bound;
        knots
    };
    let (xs, ys) = (knots(&theta[..bins]), knots(&theta[bins..2 * bins]));
    let mut slopes = vec![1.0];
    slopes.extend(theta[2 * bins..].iter().map(|t| 1e-3 + softplus(*t)));
    slopes.push(1.0);
    let k = (1..bins).filter(|k| x >= xs[*k]).count();
    let (width, height) = (xs[k + 1] - xs[k], ys[k + 1] - ys[k]);
    let (s, t) = (height / width, (x - xs[k]) / width);
    let (d0, d1) = (slopes[k], slopes[k + 1]);
    let den = s + (d0 + d1 - 2.0 * s) * t * (1.0 - t);
    let y = ys[k] + height * (s * t * t + d0 * t * (1.0 - t)) / den;
    let m = d1 * t * t + 2.0 * s * t * (1.0 - t) + d0 * (1.0 - t) * (1.0 - t);
    (y, (s * s * m / (den * den)).ln())
}

impl Reference<'_> {
    /// z and log p of every row.
    pub(super) fn run(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (d, rows) = (self.config.features, self.x.len());
        let mut z: Vec<Vec<f64>> = self.x.iter().map(|row| row[..d].to_vec()).collect();
        let mut log_det = vec![0.0; rows];
        let mut parameters = Reader(&self.parameters);
        let mut statistics = Reader(&self.statistics);
        let mut coupling = 0;
        for step in &self.config.steps {
            match step {
                FlowStep::BatchNorm => {
                    let (own, running) = (parameters.take(2 * d), statistics.take(2 * d));
                    self.batch_norm(own, running, &mut z, &mut log_det);
                }
                FlowStep::Linear => {
                    let permutation = statistics.take(d);
                    self.linear(&mut parameters, permutation, &mut z, &mut log_det);
                }
                FlowStep::Coupling => {
                    self.coupling(&mut parameters, coupling, &mut z, &mut log_det);
                    coupling += 1;
                }
            }
        }
        let constant = 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        let log_prob = z.iter().zip(&log_det).map(|(z, log_det)| {
            let squares: f64 = z.iter().map(|z| z * z).sum();
            log_det - constant - 0.5 * squares
        });
        let log_prob = log_prob.collect();
        (z, log_prob)
    }

    /// sum coefficient * (-log p).
    pub(super) fn loss(&self, coefficients: &[f32]) -> f64 {
        let terms = self.run().1.into_iter().zip(coefficients);
        terms.map(|(log_prob, c)| -f64::from(*c) * log_prob).sum()
    }

    fn batch_norm(&self, own: &[f64], running: &[f64], z: &mut [Vec<f64>], log_det: &mut [f64]) {
        let (d, rows) = (self.config.features, z.len() as f64);
        for k in 0..d {
            let (mut mean, mut variance) = (running[k], running[d + k]);
            if self.training {
                mean = z.iter().map(|z| z[k]).sum::<f64>() / rows;
                variance = z.iter().map(|z| (z[k] - mean).powi(2)).sum::<f64>() / (rows - 1.0);
            }
            let s = softplus(own[k]) + 1e-5;
            for (z, log_det) in z.iter_mut().zip(log_det.iter_mut()) {
                z[k] = s * (z[k] - mean) / (variance + 1e-5).sqrt() + own[d + k];
                *log_det += s.ln() - 0.5 * (variance + 1e-5).ln();
            }
        }
    }

    fn linear(
        &self,
        parameters: &mut Reader,
        permutation: &[f64],
        z: &mut [Vec<f64>],
        log_det: &mut [f64],
    ) {
        let d = self.config.features;
        let lower = parameters.take(d * (d - 1) / 2);
        let upper = parameters.take(d * (d - 1) / 2);
        let diagonal = parameters.take(d).iter();
        let diagonal: Vec<f64> = diagonal.map(|v| softplus(*v) + 1e-3).collect();
        let bias = parameters.take(d);
        for (z, log_det) in z.iter_mut().zip(log_det) {
            let x: Vec<f64> = permutation.iter().map(|p| z[*p as usize]).collect();
            let mut entry = upper.iter();
            let mut u: Vec<f64> = x.iter().zip(&diagonal).map(|(x, d)| x * d).collect();
            for row in 0..d {
                for x in &x[row + 1..] {
                    u[row] += entry.next().expect("one a column") * x;
                }
            }
            let mut entry = lower.iter();
            for row in 0..d {
                z[row] = u[row] + bias[row];
                for u in &u[..row] {
                    z[row] += entry.next().expect("one a column") * u;
                }
            }
            *log_det += diagonal.iter().map(|d| d.ln()).sum::<f64>();
        }
    }

    fn coupling(
        &self,
        parameters: &mut Reader,
        number: usize,
        z: &mut [Vec<f64>],
        log_det: &mut [f64],
    ) {
        let config = self.config;
        let (d, c, h) = (config.features, config.context, config.hidden);
        let blocks = config.blocks;
        let each = 3 * config.bins - 1;
        let transformed: Vec<usize> = (0..d).filter(|k| k % 2 == number % 2).collect();
        let passed: Vec<usize> = (0..d).filter(|k| k % 2 != number % 2).collect();
        let input = (parameters.take((passed.len() + c) * h), parameters.take(h));
        let mut inner = Vec::new();
        for _ in 0..blocks {
            let first = (parameters.take(h * h), parameters.take(h));
            let second = (parameters.take(h * h), parameters.take(h));
            let gate = (c > 0).then(|| (parameters.take(c * h), parameters.take(h)));
            inner.push((first, second, gate));
        }
        let outputs = transformed.len() * each;
        let output = (parameters.take(h * outputs), parameters.take(outputs));
        let relu = |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v.max(0.0)).collect() };
        let rows = z.len();
        for (b, (z, log_det)) in z.iter_mut().zip(log_det).enumerate() {
            let context = &self.x[b][d..];
            let mut inputs: Vec<f64> = passed.iter().map(|k| z[*k]).collect();
            inputs.extend_from_slice(context);
            let mut hidden = dense(&inputs, input.0, input.1);
            for (block, (first, second, gate)) in inner.iter().enumerate() {
                let mut t = relu(&dense(&relu(&hidden), first.0, first.1));
                if !self.masks.is_empty() {
                    let mask = ((number * blocks + block) * rows + b) * h;
                    for (t, mask) in t.iter_mut().zip(&self.masks[mask..]) {
                        *t *= f64::from(*mask);
                    }
                }
                let mut t = dense(&t, second.0, second.1);
                if let Some(gate) = gate {
                    for (t, g) in t.iter_mut().zip(dense(context, gate.0, gate.1)) {
                        *t /= 1.0 + (-g).exp();
                    }
                }
                for (hidden, t) in hidden.iter_mut().zip(t) {
                    *hidden += t;
                }
            }
            let theta = dense(&hidden, output.0, output.1);
            let scale = (h as f64).sqrt().recip();
            for (k, theta) in transformed.iter().zip(theta.chunks_exact(each)) {
                let (y, slope) = spline(z[*k], theta, config.bins, config.bound, scale);
                z[*k] = y;
                *log_det += slope;
            }
        }
    }
}
