//! What is kept of a pseudo-experiment.

/// The result of one pseudo-experiment. `[n]` are the parameters of the fit, the
/// parameter of interest first.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyRecord {
    /// The point of the study.
    pub point: u32,
    /// The number of the toy at that point.
    pub toy: u64,
    /// Events in it.
    pub events: u64,
    /// Whether all of its fits converged; where not, `t`, `fitted` and `errors` are
    /// what they ended with or not a number, and count for nothing.
    pub converged: bool,
    /// The test statistic at the true value of the parameter of interest.
    pub t: f64,
    /// True values, `[n]`.
    pub truth: Vec<f64>,
    /// Fitted values, `[n]`.
    pub fitted: Vec<f64>,
    /// Errors of the fitted values, `[n]`: 0 at a bound.
    pub errors: Vec<f64>,
}

impl ToyRecord {
    /// `(fitted - true) / error` of a parameter; none for a failed fit, without
    /// error, or for a parameter that is none.
    #[must_use]
    pub fn pull(&self, parameter: usize) -> Option<f64> {
        let error = *self.errors.get(parameter)?;
        let pull = (self.fitted.get(parameter)? - self.truth.get(parameter)?) / error;
        (self.converged && error > 0.0 && pull.is_finite()).then_some(pull)
    }
}
