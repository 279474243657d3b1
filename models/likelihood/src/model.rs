//! What a fit needs to know of a likelihood: parameters with their auxiliary
//! measurements, and the likelihood that is a sum of channels and constraints.

use crate::error::{Error, ensure};
use crate::fit::matrix::{cholesky, inverse};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What is measured.
    Interest,
    /// What is profiled.
    Nuisance,
}

/// A Gaussian auxiliary measurement of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its outcome, `a0`.
    pub centre: f64,
    /// Its standard deviation, `delta > 0`.
    pub width: f64,
}

impl Constraint {
    /// `((a - a0) / delta)^2 / 2` with its first and second derivative.
    pub fn penalty(&self, at: f64) -> [f64; 3] {
        let precision = 1.0 / (self.width * self.width);
        let away = at - self.centre;
        [0.5 * away * away * precision, away * precision, precision]
    }
}

/// A parameter as the fit sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its nominal value, where fits start.
    pub nominal: f64,
    /// Lowest and highest value that a fit may take; infinite where there is no limit.
    pub bounds: (f64, f64),
    /// Its auxiliary measurement.
    pub constraint: Option<Constraint>,
}

impl Parameter {
    /// A parameter of interest.
    pub fn interest(name: &str, nominal: f64, bounds: (f64, f64)) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Interest,
            nominal,
            bounds,
            constraint: None,
        }
    }

    /// A nuisance parameter in units of its own error: nominal 0, measured as
    /// 0 +- 1, free within +-10.
    pub fn nuisance(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Nuisance,
            nominal: 0.0,
            bounds: (-10.0, 10.0),
            constraint: Some(Constraint {
                centre: 0.0,
                width: 1.0,
            }),
        }
    }
}

/// A negative log-likelihood, up to a constant, with exact derivatives:
/// `nll = -log L`, so that `t = 2 (nll - nll_min)`. Constraint terms are part of it.
///
/// A point is `[n]`, in the order of the parameters.
pub trait Likelihood: Sync {
    /// The parameters.
    fn parameters(&self) -> &[Parameter];

    /// The value at a point. Not finite where the likelihood is not defined.
    fn value(&self, at: &[f64]) -> f64;

    /// The value; the gradient is written to `gradient`, `[n]`.
    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64;

    /// The value; gradient `[n]` and symmetric Hessian `[n, n]`, row-major.
    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64;

    /// Parameters along which the slope may jump at zero; derivatives there are those from
    /// above.
    fn kinks(&self) -> &[usize] {
        &[]
    }

    /// Whether all that is expected is known to be linear in a parameter, or not to depend on
    /// it, while the others stay.
    fn is_linear_in(&self, _parameter: usize) -> bool {
        false
    }

    /// Which data cannot be had at a point, if that is known: the channel, the bin and both
    /// numbers.
    fn impossible(&self, _at: &[f64]) -> Option<String> {
        None
    }

    /// By how much the slope along a parameter falls at a point when the outcome of its own
    /// auxiliary measurement rises by one standard deviation; none without such a measurement,
    /// or if it is correlated with others.
    fn auxiliary_slope(&self, _parameter: usize, _at: &[f64]) -> Option<f64> {
        None
    }
}

/// What the data of one channel add to the negative log-likelihood, as a function
/// of all parameters of the model.
pub trait Term: Send + Sync {
    /// The value at a point, `[n]`.
    fn value(&self, at: &[f64]) -> f64;

    /// The value; the gradient is added to `gradient`, `[n]`.
    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64;

    /// The value; gradient `[n]` and Hessian `[n, n]` are added.
    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64;

    /// Parameters along which the slope may jump at zero, in any order.
    fn kinks(&self) -> Vec<usize> {
        Vec::new()
    }

    /// As [`Likelihood::is_linear_in`].
    fn is_linear_in(&self, _parameter: usize) -> bool {
        false
    }

    /// As [`Likelihood::impossible`].
    fn impossible(&self, _at: &[f64]) -> Option<String> {
        None
    }

    /// As [`Likelihood::auxiliary_slope`].
    fn auxiliary_slope(&self, _parameter: usize, _at: &[f64]) -> Option<f64> {
        None
    }
}

/// Channels with common parameters, and the constraints of these.
#[derive(Clone)]
pub struct Model {
    parameters: Vec<Parameter>,
    terms: Vec<Arc<dyn Term>>,
    kinks: Vec<usize>,
    prior: Option<Arc<CorrelatedPrior>>,
}

impl Model {
    /// A model of `parameters` whose data are `terms`.
    pub fn new(parameters: Vec<Parameter>, terms: Vec<Arc<dyn Term>>) -> Self {
        let mut kinks: Vec<usize> = terms.iter().flat_map(|term| term.kinks()).collect();
        kinks.sort_unstable();
        kinks.dedup();
        Self {
            parameters,
            terms,
            kinks,
            prior: None,
        }
    }

    /// The same model with correlations of its auxiliary measurements, or without.
    pub fn with_prior(mut self, prior: Option<Arc<CorrelatedPrior>>) -> Self {
        self.prior = prior;
        self
    }

    /// The same model with other bounds of one parameter.
    pub fn with_bounds(mut self, parameter: usize, bounds: (f64, f64)) -> Self {
        if let Some(parameter) = self.parameters.get_mut(parameter) {
            parameter.bounds = bounds;
        }
        self
    }

    /// What its data are.
    pub(crate) fn terms(&self) -> &[Arc<dyn Term>] {
        &self.terms
    }

    /// Correlations of its auxiliary measurements.
    pub fn prior(&self) -> Option<&Arc<CorrelatedPrior>> {
        self.prior.as_ref()
    }

    /// Value of all constraints; `visit` gets places and first derivatives,
    /// `visit_pairs` pairs of places and second derivatives.
    fn constraints(
        &self,
        at: &[f64],
        mut visit: impl FnMut(usize, f64),
        mut visit_pairs: impl FnMut(usize, usize, f64),
    ) -> f64 {
        let mut sum = 0.0;
        for (k, (parameter, a)) in self.parameters.iter().zip(at).enumerate() {
            if let Some(constraint) = &parameter.constraint {
                let [value, first, second] = constraint.penalty(*a);
                sum += value;
                visit(k, first);
                visit_pairs(k, k, second);
            }
        }
        if let Some(prior) = &self.prior {
            sum += prior.penalty(&self.parameters, at, visit, visit_pairs);
        }
        sum
    }
}

impl Likelihood for Model {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn kinks(&self) -> &[usize] {
        &self.kinks
    }

    fn is_linear_in(&self, parameter: usize) -> bool {
        self.terms.iter().all(|term| term.is_linear_in(parameter))
    }

    fn impossible(&self, at: &[f64]) -> Option<String> {
        self.terms.iter().find_map(|term| term.impossible(at))
    }

    fn auxiliary_slope(&self, parameter: usize, at: &[f64]) -> Option<f64> {
        let is_correlated = |prior: &CorrelatedPrior| prior.places.contains(&parameter);
        if self.prior.as_deref().is_some_and(is_correlated) {
            return None;
        }
        let constraint = self.parameters.get(parameter)?.constraint;
        let mut terms = self.terms.iter();
        let counted = terms.find_map(|term| term.auxiliary_slope(parameter, at));
        constraint.map(|c| 1.0 / c.width).or(counted)
    }

    fn value(&self, at: &[f64]) -> f64 {
        let terms: f64 = self.terms.iter().map(|term| term.value(at)).sum();
        terms + self.constraints(at, |_, _| (), |_, _, _| ())
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let terms = self.terms.iter().map(|term| term.gradient(at, gradient));
        let sum: f64 = terms.sum();
        sum + self.constraints(at, |k, first| gradient[k] += first, |_, _, _| ())
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        hessian.fill(0.0);
        let n = self.parameters.len();
        let terms = self.terms.iter();
        let sum: f64 = terms.map(|term| term.hessian(at, gradient, hessian)).sum();
        sum + self.constraints(
            at,
            |k, first| gradient[k] += first,
            |k, l, second| hessian[k * n + l] += second,
        )
    }
}

/// Correlations of Gaussian auxiliary measurements: `(a - a0)^T C^-1 (a - a0) / 2`, where
/// `C` has the widths of the parameters' constraints and these correlations.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelatedPrior {
    places: Vec<usize>,
    /// The root of the correlations in its lower triangle, `[m, m]`.
    root: Vec<f64>,
    /// Their inverse less one on the diagonal, `[m, m]`: what is added to independent
    /// constraints.
    excess: Vec<f64>,
}

impl CorrelatedPrior {
    /// Correlations `[m, m]`, row-major, of the parameters in `places`, each of which must
    /// have a constraint.
    ///
    /// # Errors
    /// If they are no matrix of correlations.
    pub fn new(places: Vec<usize>, correlations: &[f64]) -> Result<Self, Error> {
        let (m, found) = (places.len(), correlations.len());
        ensure(found == m * m, || {
            format!("the matrix of correlations of {m} parameters has {found} entries")
        })?;
        let is_sound = |i: usize| {
            let symmetric = (0..m).all(|j| correlations[i * m + j] == correlations[j * m + i]);
            symmetric && correlations[i * m + i] == 1.0
        };
        ensure((0..m).all(is_sound), || {
            "the matrix of correlations is not symmetric with ones on its diagonal".to_owned()
        })?;
        let mut root = correlations.to_vec();
        ensure(cholesky(&mut root, m), || {
            "the correlations contradict each other: their matrix is not positive definite; make \
             them smaller"
                .to_owned()
        })?;
        let mut excess = inverse(&root, m);
        (0..m).for_each(|i| excess[i * m + i] -= 1.0);
        Ok(Self {
            places,
            root,
            excess,
        })
    }

    /// The same of parameters that are at `places`, `[n]`, of another model.
    pub(crate) fn elsewhere(&self, places: &[usize]) -> Self {
        Self {
            places: self.places.iter().map(|k| places[*k]).collect(),
            ..self.clone()
        }
    }

    /// What is added to the independent constraints of `parameters` at a point `[n]`;
    /// `visit` gets places and first derivatives, `visit_pairs` pairs of places and second
    /// derivatives.
    pub(super) fn penalty(
        &self,
        parameters: &[Parameter],
        at: &[f64],
        mut visit: impl FnMut(usize, f64),
        mut visit_pairs: impl FnMut(usize, usize, f64),
    ) -> f64 {
        let m = self.places.len();
        // a parameter without a constraint is nowhere
        let scaled = |k: &usize| match &parameters[*k].constraint {
            Some(c) => ((at[*k] - c.centre) / c.width, 1.0 / c.width),
            None => (0.0, 0.0),
        };
        let scaled: Vec<(f64, f64)> = self.places.iter().map(scaled).collect();
        let mut value = 0.0;
        for (i, place) in self.places.iter().enumerate() {
            let row = &self.excess[i * m..(i + 1) * m];
            let slope: f64 = row.iter().zip(&scaled).map(|(e, (z, _))| e * z).sum();
            value += 0.5 * slope * scaled[i].0;
            visit(*place, slope * scaled[i].1);
            for (j, other) in self.places.iter().enumerate() {
                visit_pairs(*place, *other, row[j] * scaled[i].1 * scaled[j].1);
            }
        }
        value
    }

    /// Gives independent outcomes of auxiliary measurements around `truth`, `[n]`, their
    /// correlations.
    pub fn correlate(&self, parameters: &mut [Parameter], truth: &[f64]) {
        let m = self.places.len();
        let independent = |k: &usize| {
            let constraint = parameters[*k].constraint.as_ref();
            constraint.map_or(0.0, |c| (c.centre - truth[*k]) / c.width)
        };
        let independent: Vec<f64> = self.places.iter().map(independent).collect();
        for (i, place) in self.places.iter().enumerate() {
            let row = &self.root[i * m..=i * m + i];
            let z: f64 = row.iter().zip(&independent).map(|(l, z)| l * z).sum();
            if let Some(constraint) = &mut parameters[*place].constraint {
                constraint.centre = truth[*place] + constraint.width * z;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{assert_derivatives, assert_near, assert_refused, jet_of_likelihood};
    use crate::toys::randomised;
    use sideband_numerics::random::Key;

    fn parameters() -> Vec<Parameter> {
        let mut all: Vec<Parameter> = ["a", "b", "c"].map(Parameter::nuisance).to_vec();
        all[2].constraint = Some(Constraint {
            centre: 0.5,
            width: 2.0,
        });
        all
    }

    fn prior() -> CorrelatedPrior {
        CorrelatedPrior::new(vec![2, 0], &[1.0, 0.6, 0.6, 1.0]).unwrap()
    }

    #[test]
    fn penalty_is_the_quadratic_form_with_its_derivatives() {
        let model = Model::new(parameters(), Vec::new()).with_prior(Some(Arc::new(prior())));
        let at = [0.7, -1.1, 2.9];
        // z = (0.7, 1.2) with correlation 0.6, and -1.1 alone
        let form = (0.49 + 1.44 - 2.0 * 0.6 * 0.7 * 1.2) / (1.0 - 0.36) + 1.21;
        assert_near(model.value(&at), 0.5 * form, 1e-14);
        assert_derivatives(
            |at| jet_of_likelihood(&model, at),
            &at,
            1e-4,
            [1e-8; 2],
            &[],
        );
    }

    #[test]
    fn outcomes_of_toys_are_correlated() {
        let (prior, truth, n) = (prior(), [0.3, 0.0, -1.0], 20_000_u32);
        let mut sums = [0.0; 3];
        for toy in 0..n {
            let key = Key::from_seed(4).with(u64::from(toy));
            let mut thrown = randomised(&parameters(), &truth, key);
            prior.correlate(&mut thrown, &truth);
            let z = |k: usize| {
                let c = thrown[k].constraint.unwrap();
                (c.centre - truth[k]) / c.width
            };
            let products = [z(0) * z(2), z(0) * z(0), z(0) * z(1)];
            sums.iter_mut()
                .zip(products)
                .for_each(|(s, p)| *s += p / f64::from(n));
        }
        for (found, expected) in sums.iter().zip([0.6, 1.0, 0.0]) {
            // five standard errors
            assert_near(found, expected, 5.0 * 1.42 / f64::from(n).sqrt());
        }
    }

    #[test]
    fn what_is_no_matrix_of_correlations_is_refused() {
        let matrix = |a: f64, b: f64, c: f64| [1.0, a, b, a, 1.0, c, b, c, 1.0];
        let mut odd = matrix(0.1, 0.2, 0.3);
        odd[1] = 0.2;
        for (matrix, words) in [
            (&matrix(0.9, 0.9, -0.9)[..], "not positive definite"),
            (&[1.0; 9], "not positive definite"),
            (&odd, "not symmetric with ones"),
            (&[1.0], "of 3 parameters has 1 entries"),
        ] {
            assert_refused(CorrelatedPrior::new(vec![0, 1, 2], matrix), words);
        }
    }
}
