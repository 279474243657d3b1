//! The best fit of a workspace: `sideband fit`.

use super::head::{DataKind, Head};
use super::opened::{Opened, base};
use super::prediction::Place;
use crate::error::{Context, Error, Kind, Result};
use indexmap::IndexMap;
use serde::Serialize;
use sideband_likelihood::Parameter;
use sideband_likelihood::asymptotic::discovery;
use sideband_likelihood::fit::{Fit, State, fit};
use sideband_likelihood::histogram::HistogramModel;
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// What is asked for beside the best fit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FitRequest {
    /// Fit Asimov data of this value of the parameter of interest instead of the observed ones.
    pub(crate) asimov: Option<f64>,
    pub(crate) has_covariance: bool,
    pub(crate) has_significance: bool,
}

/// A parameter at the best fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FittedParameter {
    pub(crate) value: f64,
    /// From the Hessian; null where that gives none.
    pub(crate) error: Option<f64>,
    /// free, fixed, at_lower_bound, at_upper_bound, at_kink, not_measured
    pub(crate) state: &'static str,
    /// Distance from the auxiliary measurement in its errors; null without one, or if it is fixed.
    pub(crate) pull: Option<f64>,
    /// Error in errors of the auxiliary measurement.
    pub(crate) pull_error: Option<f64>,
    pub(crate) nominal: f64,
    pub(crate) bounds: [f64; 2],
}

/// How well the best fit describes the data: twice the distance of -log L from that of the saturated
/// model, whose expectations are the counts themselves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Goodness {
    pub(crate) chi2: f64,
    /// Bins less free parameters without auxiliary measurement.
    pub(crate) ndf: usize,
    pub(crate) p_value: f64,
}

/// A test of the absence of a signal by asymptotic formulae.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Significance {
    pub(crate) q0: f64,
    pub(crate) significance: f64,
    pub(crate) p_value: f64,
    /// Significances that are expected with the signal, for data that fluctuate by -2 to 2 standard
    /// deviations.
    pub(crate) expected: [f64; 5],
}

/// A symmetric matrix over some parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Matrix {
    pub(crate) parameters: Vec<String>,
    pub(crate) values: Vec<Vec<f64>>,
}

/// `fit.json`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FitRecord {
    #[serde(flatten)]
    pub(crate) head: Head,
    /// Why this is no result; null if it is one.
    pub(crate) failure: Option<String>,
    /// Best fit by name, as `pyhf fit` prints it: a list for each name.
    pub(crate) mle_parameters: IndexMap<String, Vec<f64>>,
    /// -2 log L at the best fit, with all constants.
    pub(crate) twice_nll: Option<f64>,
    pub(crate) parameters: IndexMap<String, FittedParameter>,
    pub(crate) goodness_of_fit: Option<Goodness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) significance: Option<Significance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) covariance: Option<Matrix>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) correlation: Option<Matrix>,
    /// Other minima: how far above the best one, as t, by name of the parameter of interest.
    pub(crate) other_minima: Vec<OtherMinimum>,
    /// Evaluations of value, gradient or Hessian.
    pub(crate) evaluations: u64,
}

/// Another minimum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OtherMinimum {
    /// 2 (-log L + log L of the best fit)
    pub(crate) t: f64,
    /// Its value of the parameter of interest.
    pub(crate) poi: Option<f64>,
}

/// A best fit with what it was made of.
pub(crate) struct Fitted {
    pub(crate) record: FitRecord,
    /// The model with the data that were fitted.
    pub(super) model: HistogramModel,
    pub(super) best: Fit,
}

impl Opened {
    /// The model with the observed data, or with Asimov data at a value of the parameter of interest
    /// and all others nominal.
    pub(super) fn data(&self, asimov: Option<f64>) -> Result<(HistogramModel, DataKind)> {
        let model = &self.imported.model;
        let Some(mu) = asimov else {
            return Ok((model.clone(), DataKind::Observed));
        };
        let interest = self.interest()?;
        let mut point = model.nominal();
        for (place, value) in &self.settings.fixed {
            point[*place] = *value;
        }
        let parameter = &model.parameters[interest];
        let (low, high) = parameter.bounds;
        if !(low..=high).contains(&mu) {
            return Err(Error::data(format!(
                "{}: Asimov data at {} = {mu}: it is bounded by {low} and {high}",
                self.name, parameter.name
            )));
        }
        point[interest] = mu;
        let made = model.asimov(&point);
        let made = made.at(
            Kind::Data,
            format!("{}: Asimov data at {} = {mu}", self.name, parameter.name),
        );
        Ok((made?, DataKind::Asimov))
    }

    /// The best fit. One that is no result has its failure in the record.
    pub(crate) fn fit(&self, asked: &FitRequest) -> Result<Fitted> {
        let (model, data) = self.data(asked.asimov)?;
        let likelihood = model.likelihood();
        let best = fit(&likelihood, &self.settings).at(Kind::Data, &self.name)?;
        let head = Head::new("fit", self, data);
        let mut record = record(head, &model, &best, self.imported.interest);
        if best.is_converged() && asked.has_covariance {
            let [covariance, correlation] = matrices(&model.parameters, &best);
            (record.covariance, record.correlation) = (Some(covariance), Some(correlation));
        }
        if best.is_converged() && asked.has_significance {
            let interest = self.interest()?;
            // the fit stands without it
            match discovery(&model, interest, 1.0, &self.settings) {
                Ok(found) => {
                    record.significance = Some(Significance {
                        q0: found.q0,
                        significance: found.significance,
                        p_value: found.p_value,
                        expected: found.expected,
                    });
                }
                Err(error) => record.failure = Some(format!("significance: {error}")),
            }
        }
        Ok(Fitted {
            record,
            model,
            best,
        })
    }
}

impl Fitted {
    /// Covariance and correlation of the free parameters.
    pub(super) fn matrices(&self) -> [Matrix; 2] {
        matrices(&self.model.parameters, &self.best)
    }

    /// The best fit, with the covariance of the free parameters.
    pub(super) fn postfit(&self) -> Place {
        let all = 0..self.best.point.len();
        let varied: Vec<usize> = all.filter(|k| self.best.error(*k).is_some()).collect();
        let pair = |(i, j): (&usize, &usize)| self.best.covariance_of(*i, *j).unwrap_or(0.0);
        let rows = varied
            .iter()
            .flat_map(|i| varied.iter().map(move |j| (i, j)));
        Place {
            covariance: rows.map(pair).collect(),
            point: self.best.point.clone(),
            varied,
        }
    }

    /// The nominal point, with the errors of the auxiliary measurements; what has none does not vary.
    pub(super) fn prefit(&self, opened: &Opened) -> Place {
        let mut point = self.model.nominal();
        for (place, value) in &opened.settings.fixed {
            point[*place] = *value;
        }
        let measured = |place: usize| {
            let (_, width) = auxiliary(&self.model, place)?;
            (!opened.settings.is_fixed(place)).then_some((place, width))
        };
        let measured: Vec<(usize, f64)> = (0..point.len()).filter_map(measured).collect();
        let m = measured.len();
        let mut covariance = vec![0.0; m * m];
        for (k, (_, width)) in measured.iter().enumerate() {
            covariance[k * m + k] = width * width;
        }
        Place {
            point,
            varied: measured.into_iter().map(|(place, _)| place).collect(),
            covariance,
        }
    }
}

fn record(head: Head, model: &HistogramModel, best: &Fit, interest: Option<usize>) -> FitRecord {
    let all = model.parameters.iter().enumerate();
    let parameters = all.map(|(place, p)| (p.name.clone(), parameter(model, best, place)));
    let mut mle_parameters: IndexMap<String, Vec<f64>> = IndexMap::new();
    for (parameter, value) in model.parameters.iter().zip(&best.point) {
        let name = base(&parameter.name).to_owned();
        mle_parameters.entry(name).or_default().push(*value);
    }
    let others = best.others.iter().filter(|other| other.is_converged);
    let others = others.map(|other| OtherMinimum {
        t: 2.0 * (other.nll - best.nll),
        poi: interest.map(|place| other.point[place]),
    });
    let is_found = best.is_converged();
    FitRecord {
        head,
        failure: best.failure.as_ref().map(ToString::to_string),
        mle_parameters,
        twice_nll: best
            .nll
            .is_finite()
            .then(|| 2.0 * (best.nll + model.normalisation())),
        parameters: parameters.collect(),
        goodness_of_fit: is_found.then(|| goodness(model, best)).flatten(),
        significance: None,
        covariance: None,
        correlation: None,
        other_minima: others.collect(),
        evaluations: best.evaluations.gradients + best.evaluations.hessians,
    }
}

fn parameter(model: &HistogramModel, best: &Fit, place: usize) -> FittedParameter {
    let own = &model.parameters[place];
    let (value, error) = (best.point[place], best.error(place));
    let state = best.states[place];
    let measured = auxiliary(model, place).filter(|_| state != State::Fixed);
    FittedParameter {
        value,
        error,
        state: word(state),
        pull: measured.map(|(centre, width)| (value - centre) / width),
        pull_error: measured.zip(error).map(|((_, width), error)| error / width),
        nominal: own.nominal,
        bounds: [own.bounds.0, own.bounds.1],
    }
}

/// Outcome and error of the auxiliary measurement of a parameter, if it has one: of a count `m` of
/// mean `tau gamma`, `m / tau` and `sqrt(m) / tau`.
pub(super) fn auxiliary(model: &HistogramModel, place: usize) -> Option<(f64, f64)> {
    if let Some(constraint) = model.parameters[place].constraint {
        return Some((constraint.centre, constraint.width));
    }
    let count = model.constraints.iter().find(|c| c.parameter == place)?;
    let centre = count.observed / count.tau;
    Some((centre, count.observed.sqrt() / count.tau)).filter(|(_, width)| *width > 0.0)
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Free => "free",
        State::Fixed => "fixed",
        State::AtLower => "at_lower_bound",
        State::AtUpper => "at_upper_bound",
        State::AtKink => "at_kink",
        State::Unmeasured => "not_measured",
    }
}

/// By the value of the likelihood itself, which is half the distance from the saturated model.
fn goodness(model: &HistogramModel, best: &Fit) -> Option<Goodness> {
    let bins: usize = model.channels.iter().map(|c| c.observed().len()).sum();
    let is_free = |place: &usize| {
        let is_fitted = !matches!(best.states[*place], State::Fixed | State::Unmeasured);
        is_fitted && auxiliary(model, *place).is_none()
    };
    let free = (0..model.parameters.len()).filter(is_free).count();
    let ndf = bins.checked_sub(free).filter(|ndf| *ndf > 0)?;
    let chi2 = 2.0 * best.nll;
    let law = ChiSquared::new(ndf as f64).ok()?;
    Some(Goodness {
        chi2,
        ndf,
        p_value: law.sf(chi2.max(0.0)),
    })
}

/// Covariance and correlation of the free parameters.
fn matrices(parameters: &[Parameter], best: &Fit) -> [Matrix; 2] {
    let free: Vec<usize> = (0..parameters.len())
        .filter(|place| best.error(*place).is_some())
        .collect();
    let matrix = |of: &dyn Fn(usize, usize) -> f64| Matrix {
        parameters: free.iter().map(|k| parameters[*k].name.clone()).collect(),
        values: free
            .iter()
            .map(|i| free.iter().map(|j| of(*i, *j)).collect())
            .collect(),
    };
    let covariance = |i: usize, j: usize| best.covariance_of(i, j).unwrap_or(f64::NAN);
    let correlation =
        |i: usize, j: usize| covariance(i, j) / (covariance(i, i) * covariance(j, j)).sqrt();
    [matrix(&covariance), matrix(&correlation)]
}
