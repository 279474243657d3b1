//! The integral of the modelled density over a reference sample.
//!
//! A product of responses is a density only if they are uncorrelated under the
//! process. Where they are not, the likelihood can rise without limit: a fit is to
//! be believed only if the integral is 1 at the points it visits.

use super::channel::UnbinnedChannel;
use super::sample::Sample;
use super::sums::{self, Weighted};
use serde::{Deserialize, Serialize};

/// `E_ref[p(x|theta)/p_ref(x)]`, which is 1 for a density.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Its estimate.
    pub integral: f64,
    /// The statistical error of the estimate, from the finite reference sample.
    pub error: f64,
}

impl Normalisation {
    /// How many errors the integral is away from 1.
    #[must_use]
    pub fn significance(&self) -> f64 {
        (self.integral - 1.0) / self.error
    }
}

impl UnbinnedChannel {
    /// The integral at a point `[n]`, from the reference sample; none without one.
    /// Renormalisation does not change it.
    ///
    /// `I = sum_i w_i q_i/(v sum_i w_i)`, with the variance
    /// `sum_i w_i^2 (q_i/v - I)^2/(sum_i w_i)^2`.
    #[must_use]
    pub fn normalisation(&self, at: &[f64]) -> Option<Normalisation> {
        let reference = self.reference.as_ref()?;
        let rates = self.rates(at);
        let rate: f64 = rates.iter().sum();
        let ratios = sums::densities(reference, &rates, at);
        let ratios: Vec<f64> = ratios.into_iter().map(|q| q / rate).collect();
        let weights = || reference.weights().zip(&ratios);
        let total = reference.total_weight();
        let integral = weights().map(|(w, r)| w * r).sum::<f64>() / total;
        let squares = weights().map(|(w, r)| (w * (r - integral)).powi(2));
        let error = squares.sum::<f64>().sqrt() / total.abs();
        Some(Normalisation { integral, error })
    }
}

impl Weighted {
    /// `ln I`, from the sum of the densities over the reference sample.
    pub(super) fn log_of_integral(&self, reference: &Sample, rates: &[f64]) -> Self {
        let rate: f64 = rates.iter().sum();
        let (sum, dimension) = (self.value, self.gradient.len());
        let by_rate = |a: usize| if a < rates.len() { 1.0 / rate } else { 0.0 };
        let relative: Vec<f64> = self.gradient.iter().map(|g| g / sum).collect();
        let second = self.hessian.iter().enumerate().map(|(entry, h)| {
            let (a, b) = (entry / dimension, entry % dimension);
            h / sum - relative[a] * relative[b] + by_rate(a) * by_rate(b)
        });
        Self {
            value: (sum / (reference.total_weight() * rate)).ln(),
            hessian: second.collect(),
            gradient: relative
                .iter()
                .enumerate()
                .map(|(a, x)| x - by_rate(a))
                .collect(),
        }
    }
}
