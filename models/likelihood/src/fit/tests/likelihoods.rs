//! Likelihoods in closed form.

use crate::{Constraint, Likelihood, Model, Parameter, Term};
use std::sync::Arc;

/// Value, gradient and Hessian at a point.
pub(super) type Function = fn(&[f64], &mut [f64], &mut [f64]) -> f64;

/// A likelihood of a function.
pub(super) struct Analytic {
    pub(super) parameters: Vec<Parameter>,
    pub(super) function: Function,
}

const INF: f64 = f64::INFINITY;

impl Analytic {
    /// Unbounded parameters `x0`, `x1`, ... with `nominal` values.
    pub(super) fn new(function: Function, nominal: &[f64]) -> Self {
        let parameter = |(i, nominal): (usize, &f64)| {
            Parameter::interest(&format!("x{i}"), *nominal, (-INF, INF))
        };
        Self {
            parameters: nominal.iter().enumerate().map(parameter).collect(),
            function,
        }
    }

    /// The same with bounds on one parameter.
    pub(super) fn bounded(mut self, k: usize, lower: f64, upper: f64) -> Self {
        self.parameters[k].bounds = (lower, upper);
        self
    }
}

impl Likelihood for Analytic {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn value(&self, at: &[f64]) -> f64 {
        let n = at.len();
        (self.function)(at, &mut vec![0.0; n], &mut vec![0.0; n * n])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        (self.function)(at, gradient, &mut vec![0.0; at.len() * at.len()])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        hessian.fill(0.0);
        (self.function)(at, gradient, hessian)
    }
}

/// `100 (y - x^2)^2 + (1 - x)^2`.
pub(super) fn rosenbrock(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
    g[0] = -2.0 * a - 400.0 * x[0] * b;
    g[1] = 200.0 * b;
    h[0] = 2.0 + 1200.0 * x[0] * x[0] - 400.0 * x[1];
    h[1] = -400.0 * x[0];
    h[2] = h[1];
    h[3] = 200.0;
    a * a + 100.0 * b * b
}

/// Two wells in kappa = x0, near -1 (deeper) and near +1, and a nuisance
/// parameter x1 that follows it: `(k^2 - 1)^2 + k / 8 + (a - k / 2)^2 / 2`.
pub(super) fn wells(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let (k, a) = (x[0], x[1] - 0.5 * x[0]);
    g[0] = 4.0 * k * (k * k - 1.0) + 0.125 - 0.5 * a;
    g[1] = a;
    h[0] = 12.0 * k * k - 4.0 + 0.25;
    h[1] = -0.5;
    h[2] = -0.5;
    h[3] = 1.0;
    (k * k - 1.0).powi(2) + 0.125 * k + 0.5 * a * a
}

/// As [`wells`] without the slope: a saddle at the origin.
pub(super) fn saddle(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let value = wells(x, g, h) - 0.125 * x[0];
    g[0] -= 0.125;
    value
}

/// A Poisson count of 3 with rate `x`, finite for positive rates only.
pub(super) fn count(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    g[0] = 1.0 - 3.0 / x[0];
    h[0] = 3.0 / (x[0] * x[0]);
    x[0] - 3.0 * x[0].ln()
}

/// `x0` and `x1` enter by their sum alone.
pub(super) fn flat(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let away = x[0] + x[1] - 2.0;
    g.fill(away);
    h.fill(1.0);
    0.5 * away * away
}

/// A slope without end.
pub(super) fn runaway(x: &[f64], g: &mut [f64], _: &mut [f64]) -> f64 {
    g[0] = -1.0;
    -x[0]
}

/// A line that falls to a wall at one.
pub(super) fn cliff(x: &[f64], g: &mut [f64], _: &mut [f64]) -> f64 {
    g[0] = 1.0;
    if x[0] < 1.0 { f64::NAN } else { x[0] }
}

/// As [`count`], not defined below one.
pub(super) fn walled_count(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let value = count(x, g, h);
    if x[0] < 1.0 { f64::NAN } else { value }
}

/// `x^2 / (1 + x^2) / 2`.
pub(super) fn saturating(x: &[f64], g: &mut [f64], h: &mut [f64]) -> f64 {
    let (x2, d) = (x[0] * x[0], 1.0 + x[0] * x[0]);
    g[0] = x[0] / (d * d);
    h[0] = (1.0 - 3.0 * x2) / (d * d * d);
    0.5 * x2 / d
}

/// Poisson counts: the expected number in a bin at a point, with two derivatives.
pub(super) struct Counts<F> {
    pub(super) counts: Vec<f64>,
    pub(super) expected: F,
    /// Parameters along which its slope jumps.
    pub(super) kinks: Vec<usize>,
}

/// Value, gradient and Hessian.
pub(super) type Expected<const N: usize> = (f64, [f64; N], [[f64; N]; N]);

impl<const N: usize, F: Fn(usize, &[f64]) -> Expected<N> + Send + Sync> Term for Counts<F> {
    fn kinks(&self) -> Vec<usize> {
        self.kinks.clone()
    }

    fn value(&self, at: &[f64]) -> f64 {
        self.gradient(at, &mut [0.0; N])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.hessian(at, gradient, &mut vec![0.0; N * N])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (bin, n) in self.counts.iter().enumerate() {
            let (rate, first, second) = (self.expected)(bin, at);
            if rate <= 0.0 {
                return f64::NAN;
            }
            value += rate - n * rate.ln();
            for j in 0..N {
                gradient[j] += (1.0 - n / rate) * first[j];
                for k in 0..N {
                    hessian[N * j + k] +=
                        (1.0 - n / rate) * second[j][k] + n * first[j] * first[k] / (rate * rate);
                }
            }
        }
        value
    }
}

/// Measurements `row . x = outcome +- 1`.
pub(super) struct Linear {
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) outcomes: Vec<f64>,
}

impl Term for Linear {
    fn value(&self, at: &[f64]) -> f64 {
        self.gradient(at, &mut vec![0.0; at.len()])
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.hessian(at, gradient, &mut vec![0.0; at.len().pow(2)])
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for (row, outcome) in self.rows.iter().zip(&self.outcomes) {
            let residual = row.iter().zip(at).map(|(r, x)| r * x).sum::<f64>() - outcome;
            value += 0.5 * residual * residual;
            for (i, a) in row.iter().enumerate() {
                gradient[i] += a * residual;
                for (j, b) in row.iter().enumerate() {
                    hessian[i * row.len() + j] += a * b;
                }
            }
        }
        value
    }
}

/// Two parameters of interest, three nuisance parameters with constraints
/// 0 +- 1, 0 +- 1 and 0.5 +- 2, and five measurements of them.
pub(super) fn linear() -> Model {
    let mut nuisances = ["a", "b", "c"].map(Parameter::nuisance);
    nuisances[2].constraint = Some(Constraint {
        centre: 0.5,
        width: 2.0,
    });
    let mut parameters = vec![
        Parameter::interest("mu", 1.0, (-INF, INF)),
        Parameter::interest("nu", 0.0, (-INF, INF)),
    ];
    parameters.extend(nuisances);
    let rows = vec![
        vec![10.0, 1.0, 3.0, 0.0, 1.0],
        vec![4.0, 8.0, 0.0, -2.0, 0.5],
        vec![0.0, 3.0, 1.0, 1.0, 0.0],
        vec![1.0, 0.0, 0.5, 2.0, -1.0],
        vec![2.0, -1.0, 0.0, 0.0, 0.7],
    ];
    let outcomes = vec![12.0, 3.0, 0.8, -0.4, 2.5];
    Model::new(parameters, vec![Arc::new(Linear { rows, outcomes })])
}
