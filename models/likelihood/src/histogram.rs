//! Histogram channels: Poisson counts in bins, predicted from templates with the
//! modifiers of HistFactory.
//!
//! `lambda_b(theta) = sum_s F_s(theta) [n_sb + sum_k d_skb(theta_k)] prod_l m_slb(theta_l)`
//!
//! with a factor `F_s` common to all bins (normalisation factors, coefficients of
//! a mixture, responses of the rate), additive variations `d` of the shape and
//! factors `m` of single bins. Cranmer et al., CERN-OPEN-2012-016; with the codes
//! that pyhf chooses, this is the likelihood of pyhf.
//!
//! Derivatives are exact; a product is differentiated by the product rule, never
//! through its logarithm, so that factors may vanish.

mod channel;
mod compiled;
mod poisson;
mod template;
#[cfg(test)]
mod tests;

pub use channel::HistogramChannel;
pub use poisson::PoissonConstraint;
pub(crate) use poisson::{STIRLING, excess, stirling};
pub use template::{Factor, Modifier, Template};

use crate::error::Error;
use crate::model::{Constraint, Likelihood as _, Model, Parameter, Term};
use poisson::saturated;
use std::sync::Arc;

/// A measurement of histograms alone: what a pyhf workspace describes.
#[derive(Clone)]
pub struct HistogramModel {
    /// The parameters, with Gaussian auxiliary measurements.
    pub parameters: Vec<Parameter>,
    /// Parameters that no fit may change, with their values.
    pub fixed: Vec<(usize, f64)>,
    /// The channels, of as many parameters.
    pub channels: Vec<HistogramChannel>,
    /// Auxiliary counts.
    pub constraints: Vec<PoissonConstraint>,
}

impl HistogramModel {
    /// The likelihood, up to [`Self::normalisation`].
    pub fn likelihood(&self) -> Model {
        let mut terms: Vec<Arc<dyn Term>> = Vec::new();
        for channel in &self.channels {
            terms.push(Arc::new(channel.clone()));
        }
        for constraint in &self.constraints {
            terms.push(Arc::new(*constraint));
        }
        Model::new(self.parameters.clone(), terms)
    }

    /// What the likelihood leaves out of the negative logarithm of the probability
    /// of all counts and auxiliary measurements: a constant of the data.
    pub fn normalisation(&self) -> f64 {
        let gaussian =
            |constraint: &Constraint| (constraint.width * (2.0 * std::f64::consts::PI).sqrt()).ln();
        let measured = self.parameters.iter().filter_map(|p| p.constraint.as_ref());
        let counts = self.channels.iter().map(HistogramChannel::normalisation);
        let auxiliary = self.constraints.iter().map(|c| saturated(c.observed));
        counts.chain(auxiliary).sum::<f64>() + measured.map(gaussian).sum::<f64>()
    }

    /// Negative logarithm of the probability density of all data at a point, with
    /// all constants: minus what pyhf calls `logpdf`.
    pub fn negative_log_pdf(&self, at: &[f64]) -> f64 {
        self.likelihood().value(at) + self.normalisation()
    }

    /// The point at which every parameter is nominal, or where it is fixed.
    pub fn nominal(&self) -> Vec<f64> {
        let mut point: Vec<f64> = self.parameters.iter().map(|p| p.nominal).collect();
        for (place, value) in &self.fixed {
            point[*place] = *value;
        }
        point
    }

    /// Asimov data: every count and every auxiliary measurement as expected at a
    /// point `[n]`.
    ///
    /// # Errors
    /// If an expected count is negative or not finite.
    pub fn asimov(&self, at: &[f64]) -> Result<Self, Error> {
        let mut model = self.clone();
        for (parameter, value) in model.parameters.iter_mut().zip(at) {
            if let Some(constraint) = &mut parameter.constraint {
                constraint.centre = *value;
            }
        }
        for constraint in &mut model.constraints {
            constraint.observed = constraint.tau * at[constraint.parameter];
        }
        for channel in &mut model.channels {
            *channel = channel.with_observed(channel.expected(at))?;
        }
        Ok(model)
    }
}
