//! The likelihood of one histogram.

use super::compiled::{Compiled, Evaluation, Order};
use super::poisson::{half_deviance, saturated};
use super::template::{ChannelPlace, Template};
use crate::Term;
use crate::error::{Error, ensure};
use std::sync::Arc;

/// Counts in the bins of one region, and the templates that predict them.
///
/// As a [`Term`] its value is half the deviance, `sum_b lambda - n + n ln(n /
/// lambda)`: the negative logarithm of the Poisson probability less
/// [`HistogramChannel::normalisation`], infinite where a bin has a mean that it
/// cannot have. Counts need not be integers, as in Asimov data.
///
/// Cheap to clone: data sets of the same model share the templates.
#[derive(Clone)]
pub struct HistogramChannel {
    prediction: Arc<ChannelPrediction>,
    observed: Vec<f64>,
}

struct ChannelPrediction {
    name: String,
    bins: usize,
    parameters: usize,
    templates: Vec<Template>,
    compiled: Compiled,
}

impl HistogramChannel {
    /// The channel `name` of a model of `parameters` parameters.
    ///
    /// # Errors
    /// If there is no template or no bin, lengths differ, values are not finite, a count is
    /// negative, bins of positive or negative content vary over zero under codes 1 and 4, or a
    /// parameter is none of the model's.
    pub fn new(
        name: &str,
        templates: Vec<Template>,
        observed: Vec<f64>,
        parameters: usize,
    ) -> Result<Self, Error> {
        let empty = |what| format!("channel `{name}` has no {what}; at least one is needed");
        ensure(!templates.is_empty(), || empty("sample"))?;
        let bins = templates[0].nominal.len();
        ensure(bins > 0, || empty("bin"))?;
        for (i, template) in templates.iter().enumerate() {
            let (sample, earlier) = (&template.name, &templates[..i]);
            ensure(earlier.iter().all(|t| t.name != *sample), || {
                format!("channel `{name}` has two samples `{sample}`; give each its own name")
            })?;
            template.check(name, bins, parameters)?;
        }
        let prediction = ChannelPrediction {
            name: name.to_owned(),
            bins,
            parameters,
            compiled: Compiled::new(&templates),
            templates,
        };
        let channel = Self {
            prediction: Arc::new(prediction),
            observed: Vec::new(),
        };
        channel.with_observed(observed)
    }

    /// The same model for other counts, one a bin: a toy, Asimov data.
    ///
    /// # Errors
    /// If their number differs, or one is negative or not finite.
    pub fn with_observed(&self, observed: Vec<f64>) -> Result<Self, Error> {
        let place = ChannelPlace {
            name: format!("channel `{}`, the observation", self.prediction.name),
            bins: self.prediction.bins,
            parameters: self.prediction.parameters,
        };
        place.finite(&observed)?;
        for (bin, n) in observed.iter().enumerate() {
            place.value(bin, *n, *n >= 0.0, "zero or positive")?;
        }
        Ok(Self {
            prediction: Arc::clone(&self.prediction),
            observed,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.prediction.name
    }

    /// The templates.
    pub fn templates(&self) -> &[Template] {
        &self.prediction.templates
    }

    /// Places in the model of the parameters that an expected count depends on, ascending.
    pub fn parameters(&self) -> &[usize] {
        self.prediction.compiled.parameters()
    }

    /// The counts, one a bin.
    pub fn observed(&self) -> &[f64] {
        &self.observed
    }

    /// Expected counts at a point, one a bin.
    pub fn expected(&self, at: &[f64]) -> Vec<f64> {
        let mut evaluation = self.prediction.compiled.at(at, Order::Value);
        let bins = 0..self.prediction.bins;
        bins.map(|bin| evaluation.bin(bin)).collect()
    }

    /// Expected counts of each template at a point, `[templates, bins]`: what
    /// [`HistogramChannel::expected`] is the sum of.
    pub fn contributions(&self, at: &[f64]) -> Vec<Vec<f64>> {
        self.prediction.compiled.contributions(at)
    }

    /// What the term's value leaves out of the negative logarithm of the Poisson
    /// probability, `sum_b n - n ln n + ln n!`: a constant of the data.
    pub fn normalisation(&self) -> f64 {
        self.observed.iter().map(|n| saturated(*n)).sum()
    }
}

impl HistogramChannel {
    /// Value and derivatives up to an order.
    fn evaluate<'a>(&'a self, at: &'a [f64], order: Order) -> (f64, Evaluation<'a>) {
        let mut evaluation = self.prediction.compiled.at(at, order);
        let mut value = 0.0;
        for (bin, n) in self.observed.iter().enumerate() {
            let lambda = evaluation.bin(bin);
            value += half_deviance(*n, lambda);
            if order > Order::Value {
                let share = ratio(*n, lambda);
                evaluation.add(bin, 1.0 - share, ratio(share, lambda));
            }
        }
        (value, evaluation)
    }
}

impl Term for HistogramChannel {
    fn kinks(&self) -> Vec<usize> {
        let templates = self.prediction.templates.iter();
        templates.flat_map(Template::kinks).collect()
    }

    fn value(&self, at: &[f64]) -> f64 {
        self.evaluate(at, Order::Value).0
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let (value, mut evaluation) = self.evaluate(at, Order::First);
        evaluation.add_gradient(gradient);
        value
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let (value, mut evaluation) = self.evaluate(at, Order::Second);
        evaluation.add_gradient(gradient);
        evaluation.add_hessian(hessian, at.len());
        value
    }

    fn is_linear_in(&self, parameter: usize) -> bool {
        let mut templates = self.prediction.templates.iter();
        templates.all(|template| template.is_linear_in(parameter))
    }

    fn impossible(&self, at: &[f64]) -> Option<String> {
        let expected = self.expected(at);
        let mut bins = self.observed.iter().zip(expected).enumerate();
        bins.find_map(|(bin, (n, lambda))| {
            let is_possible = half_deviance(*n, lambda).is_finite();
            (!is_possible).then(|| {
                format!(
                    "channel `{}`, bin {bin}: {n} events are observed where {lambda} are expected",
                    self.name()
                )
            })
        })
    }
}

/// `n / lambda`; no count is no slope, even at `lambda = 0`.
fn ratio(n: f64, lambda: f64) -> f64 {
    if n == 0.0 { 0.0 } else { n / lambda }
}
