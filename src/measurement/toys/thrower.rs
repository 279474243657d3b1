//! One pseudo-experiment: thrown, fitted, recorded.

use super::super::model::Builder;
use super::{Pool, PoolPoint};
use crate::settings::FINITE_SAMPLE;
use crate::toys::Toy;
use sideband_likelihood::fit::FitSettings;
use sideband_likelihood::histogram::HistogramChannel;
use sideband_likelihood::toys::{ToyRecord, fit_toy, poisson, randomised};
use sideband_likelihood::{Constraint, CorrelatedPrior, Model, Parameter};
use sideband_numerics::random::Key;
use std::sync::Arc;

/// Branches of a toy's key.
const EVENTS: u64 = 1;
const AUXILIARY: u64 = 2;
const COUNTS: u64 = 3;

/// Makes one pseudo-experiment and fits it.
pub(super) struct Thrower<'a> {
    pub(super) pool: &'a Pool,
    pub(super) histograms: &'a [HistogramChannel],
    pub(super) parameters: &'a [Parameter],
    pub(super) prior: Option<&'a Arc<CorrelatedPrior>>,
    pub(super) settings: &'a FitSettings,
    pub(super) interest: usize,
    pub(super) is_truth: bool,
}

impl Thrower<'_> {
    /// Throws and fits a toy; a fit that fails is a record too.
    pub(super) fn toy(&self, toy: Toy) -> ToyRecord {
        let point = &self.pool.points[toy.point as usize];
        let thrown = point.pool.throw(toy.key.with(EVENTS));
        let mut record = ToyRecord {
            point: toy.point,
            toy: toy.number,
            events: thrown.events(),
            converged: false,
            t: f64::NAN,
            truth: point.truth.clone(),
            fitted: vec![f64::NAN; point.truth.len()],
            errors: vec![f64::NAN; point.truth.len()],
        };
        let Some(model) = self.model(point, &thrown.rows, &thrown.weights(), toy.key) else {
            return record;
        };
        if let Ok(fitted) = fit_toy(&model, self.settings, self.interest, &point.truth) {
            record.converged = fitted.converged;
            record.t = fitted.t;
            record.fitted = fitted.fitted;
            record.errors = fitted.errors;
        }
        record
    }

    fn model(&self, point: &PoolPoint, rows: &[usize], weights: &[f64], key: Key) -> Option<Model> {
        let channel = self.pool.channel.select(rows, weights).ok()?;
        let mut parameters = randomised(self.parameters, &point.truth, key.with(AUXILIARY));
        if let Some(prior) = self.prior {
            prior.correlate(&mut parameters, &point.truth);
        }
        if self.is_truth {
            // the training is what it is: its parameter is not thrown
            for parameter in parameters.iter_mut().filter(|p| p.name == FINITE_SAMPLE) {
                parameter.constraint = Some(Constraint {
                    centre: 0.0,
                    width: 1.0,
                });
            }
        }
        let counts = |number: usize, channel: &HistogramChannel| {
            let mut stream = key.with(COUNTS).with(number as u64).stream();
            let expected = channel.expected(&point.truth);
            let counts = expected
                .iter()
                .map(|mean| poisson(mean.max(0.0), &mut stream) as f64);
            channel.with_observed(counts.collect()).ok()
        };
        let histograms = self.histograms.iter().enumerate();
        let histograms = histograms.map(|(number, channel)| counts(number, channel));
        let histograms = histograms.collect::<Option<Vec<_>>>()?;
        let model = Builder::model(parameters, Some(channel), histograms);
        Some(model.with_prior(self.prior.cloned()))
    }
}
