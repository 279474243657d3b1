//! Histogram channels with their parameters and auxiliary measurements.

use std::sync::Arc;

use crate::{Constraint, Likelihood as _, Model, Parameter, Term};

use super::{HistogramChannel, HistogramError, PoissonConstraint};

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
    #[must_use]
    pub fn likelihood(&self) -> Model {
        let channels = self
            .channels
            .iter()
            .cloned()
            .map(|c| Arc::new(c) as Arc<dyn Term>);
        let constraints = self
            .constraints
            .iter()
            .map(|c| Arc::new(*c) as Arc<dyn Term>);
        Model::new(
            self.parameters.clone(),
            channels.chain(constraints).collect(),
        )
    }

    /// What the likelihood leaves out of the negative logarithm of the probability
    /// of all counts and auxiliary measurements: a constant of the data.
    #[must_use]
    pub fn normalisation(&self) -> f64 {
        let gaussian =
            |constraint: &Constraint| (constraint.width * (2.0 * std::f64::consts::PI).sqrt()).ln();
        let measured = self.parameters.iter().filter_map(|p| p.constraint.as_ref());
        let counts = self.channels.iter().map(HistogramChannel::normalisation);
        let auxiliary = self
            .constraints
            .iter()
            .map(PoissonConstraint::normalisation);
        counts.chain(auxiliary).sum::<f64>() + measured.map(gaussian).sum::<f64>()
    }

    /// Negative logarithm of the probability density of all data at a point, with
    /// all constants: minus what pyhf calls `logpdf`.
    #[must_use]
    pub fn negative_log_pdf(&self, at: &[f64]) -> f64 {
        self.likelihood().value(at) + self.normalisation()
    }

    /// The point at which every parameter is nominal, or where it is fixed.
    #[must_use]
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
    /// [`HistogramError::Value`] if an expected count is negative or not finite.
    pub fn asimov(&self, at: &[f64]) -> Result<Self, HistogramError> {
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
