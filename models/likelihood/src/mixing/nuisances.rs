//! Variations of a background for the nuisance parameters of a fit.

use super::bias::{BiasOrder, BiasStage, SpuriousSignal};
use super::variance::{VarianceOrder, VarianceStage};
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// A variation relative to the background, at -1 and +1 of a parameter measured as 0 +- 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nuisance {
    /// `variance_0`, `bias_0`, ..., `spurious_signal`.
    pub name: String,
    /// The order of its function; none of the signal.
    pub order: Option<usize>,
    /// What the function is multiplied with.
    pub size: f64,
    /// Factors of the bins at -1.
    pub down: Vec<f64>,
    /// Factors of the bins at +1.
    pub up: Vec<f64>,
}

impl Nuisance {
    fn new(name: String, order: Option<usize>, size: f64, function: &[f64]) -> Self {
        let factors = |sign: f64| function.iter().map(|f| 1.0 + sign * size * f).collect();
        Self {
            name,
            order,
            size,
            down: factors(-1.0),
            up: factors(1.0),
        }
    }

    /// Checks that no bin becomes negative; a factor of all bins, whose logarithm is
    /// interpolated, is above 0.
    ///
    /// # Errors
    /// With the bin, and what to change.
    pub fn check(&self) -> Result<(), Error> {
        let is_rate = self.order == Some(0);
        for side in [&self.down, &self.up] {
            let is_wrong = |f: &f64| *f < 0.0 || is_rate && *f == 0.0;
            if let Some(bin) = side.iter().position(is_wrong) {
                return Err(Error::new(format!(
                    "`{}` makes the background {:.3} times as large in bin {}, and none is \
                     negative; take wider bins, or a lower max_order",
                    self.name,
                    side[bin],
                    bin + 1
                )));
            }
        }
        Ok(())
    }

    /// The largest relative change of a bin.
    pub fn largest(&self) -> f64 {
        let all = self.down.iter().chain(&self.up);
        all.fold(0.0, |most, f| most.max((f - 1.0).abs()))
    }
}

fn of_basis(
    kind: &'static str,
    sizes: impl IntoIterator<Item = f64>,
    basis: &[Vec<f64>],
) -> impl Iterator<Item = Nuisance> {
    let pairs = sizes.into_iter().zip(basis).enumerate();
    pairs.map(move |(k, (size, f))| Nuisance::new(format!("{kind}_{k}"), Some(k), size, f))
}

/// Variance and bias as they are, each order a parameter of its own.
pub fn nuisances(basis: &[Vec<f64>], variance: &VarianceStage, bias: &BiasStage) -> Vec<Nuisance> {
    let sizes = variance.chosen().size.iter().copied();
    let varied = of_basis("variance", sizes, basis);
    let biases = bias.chosen().bias.iter().copied();
    varied.chain(of_basis("bias", biases, basis)).collect()
}

/// What is left of them for a background that was [corrected](corrected_model): the spread of the
/// models, and the errors of the coefficients that were taken away.
pub fn corrected(basis: &[Vec<f64>], variance: &VarianceStage, bias: &BiasStage) -> Vec<Nuisance> {
    let VarianceOrder { spread, .. } = variance.chosen();
    let varied = of_basis("variance", spread.iter().copied(), basis);
    let chosen = bias.chosen();
    let left = |k: usize| {
        let (c, error) = (chosen.coefficients[k], chosen.errors[k]);
        if is_free(chosen, k) {
            error
        } else {
            c.abs() + error
        }
    };
    let biases = (0..chosen.coefficients.len()).map(left);
    varied.chain(of_basis("bias", biases, basis)).collect()
}

/// A background times one plus the functions with their free coefficients.
pub fn corrected_model(model: &[f64], basis: &[Vec<f64>], bias: &BiasStage) -> Vec<f64> {
    let chosen = bias.chosen();
    let free = (0..chosen.coefficients.len()).filter(|k| is_free(chosen, *k));
    let free: Vec<usize> = free.collect();
    let bins = model.iter().enumerate();
    bins.map(|(b, m)| {
        let terms = free.iter().map(|k| chosen.coefficients[*k] * basis[*k][b]);
        m * (1.0 + terms.sum::<f64>())
    })
    .collect()
}

fn is_free(chosen: &BiasOrder, k: usize) -> bool {
    k as i64 <= i64::from(chosen.order)
}

/// The signal over the background, with the first `n` functions, orthogonal with the weights
/// `average`, taken out of it.
pub fn residual_signal(basis: &[Vec<f64>], average: &[f64], signal: &[f64], n: usize) -> Vec<f64> {
    let ratio = signal.iter().zip(average).map(|(s, h)| s / h);
    let mut left: Vec<f64> = ratio.collect();
    for function in &basis[..n] {
        let product = |other: &[f64]| -> f64 {
            let all = function.iter().zip(average).zip(other);
            all.map(|((f, h), x)| f * h * x).sum()
        };
        let share = product(&left) / product(function);
        let both = left.iter_mut().zip(function);
        both.for_each(|(x, f)| *x -= share * f);
    }
    left
}

impl SpuriousSignal {
    /// The variation that stands for it, along a [`residual_signal`]: from strength - error to
    /// strength + error, or by the larger of both if they lie on one side, which comes back as
    /// true.
    pub fn nuisance(&self, residual: &[f64]) -> (Nuisance, bool) {
        let ends = [self.strength - self.error, self.strength + self.error];
        let is_one_sided = ends[0] * ends[1] > 0.0;
        let size = ends[0].abs().max(ends[1].abs());
        let name = "spurious_signal".to_owned();
        let mut nuisance = Nuisance::new(name, None, size, residual);
        if !is_one_sided {
            let factors = |end: f64| residual.iter().map(|s| 1.0 + end * s).collect();
            [nuisance.down, nuisance.up] = ends.map(factors);
        }
        (nuisance, is_one_sided)
    }
}
