//! What a fit needs to know of a likelihood, and the likelihood that is a sum of
//! channels and constraints.

use super::{CorrelatedPrior, Parameter};
use std::sync::Arc;

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
    #[must_use]
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
    #[must_use]
    pub fn with_prior(mut self, prior: Option<Arc<CorrelatedPrior>>) -> Self {
        self.prior = prior;
        self
    }

    /// Correlations of its auxiliary measurements.
    #[must_use]
    pub fn prior(&self) -> Option<&Arc<CorrelatedPrior>> {
        self.prior.as_ref()
    }

    /// The same model with other parameters: other outcomes of the auxiliary
    /// measurements, other bounds. Their order and number stay.
    ///
    /// # Panics
    /// If the number changes.
    #[must_use]
    pub fn with_parameters(mut self, parameters: Vec<Parameter>) -> Self {
        assert_eq!(parameters.len(), self.parameters.len(), "parameters");
        self.parameters = parameters;
        self
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
