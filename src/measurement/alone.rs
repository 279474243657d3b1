//! What histograms alone limit: beside the limit of all channels, and what the exported
//! workspace gives.

use super::analyse::Analyst;
use super::result::LimitResult;
use crate::settings::{LimitConfig, TestStatistic};
use sideband_likelihood::asymptotic::{Asymptotics, DataSet, UpperStatistic};
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{CorrelatedPrior, Error, Model};
use std::sync::Arc;

/// Histograms with the correlations of the auxiliary measurements.
struct Histograms {
    model: HistogramModel,
    prior: Option<Arc<CorrelatedPrior>>,
}

impl DataSet for Histograms {
    type Error = Error;

    fn likelihood(&self) -> Model {
        self.model.likelihood().with_prior(self.prior.clone())
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, Error> {
        Ok(Self {
            model: self.model.asimov(point)?,
            prior: self.prior.clone(),
        })
    }
}

/// The upper limit that histograms alone give. `is_observed`: their counts are data; without
/// them there is the expected limit alone.
pub(super) fn histogram_limit(
    analyst: &Analyst<'_>,
    config: &LimitConfig,
    model: &HistogramModel,
    is_observed: bool,
) -> Option<LimitResult> {
    let interest = &analyst.measurement.measurement.interest;
    let name = config.poi.as_ref().unwrap_or(&interest[0]);
    let place = analyst.parameters.place(name)?;
    let data = Histograms {
        model: model.clone(),
        prior: analyst.parameters.prior.clone(),
    };
    let statistic = match config.test_stat {
        TestStatistic::Q => UpperStatistic::Q,
        TestStatistic::Qtilde => UpperStatistic::QTilde,
    };
    let mut result = LimitResult {
        parameter: name.clone(),
        confidence_level: config.confidence_level,
        test_stat: config.test_stat,
        observed: None,
        expected: None,
        reason: None,
        curve: Vec::new(),
    };
    let none = analyst.parameters.coordinate(place, 0.0);
    let limits = Asymptotics::new(&data, place, none, &analyst.settings())
        .and_then(|tests| tests.limits(config.confidence_level, statistic));
    let limits = match limits {
        Ok(limits) => limits,
        Err(error) => {
            result.reason = Some(error.to_string());
            return Some(result);
        }
    };
    let mut reasons = Vec::new();
    let mut value = |found: Result<f64, Error>| match found {
        Ok(coordinate) => Some(analyst.parameters.value(place, coordinate)),
        Err(error) => {
            reasons.push(error.to_string());
            None
        }
    };
    if is_observed {
        result.observed = value(limits.observed);
    }
    let expected = limits.expected.map(&mut value);
    result.expected = expected.iter().any(Option::is_some).then_some(expected);
    result.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    Some(result)
}
