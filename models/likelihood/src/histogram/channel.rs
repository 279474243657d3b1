//! The likelihood of one histogram.

use super::poisson::{half_deviance, saturated};
use super::template::{ChannelPlace, Template, TemplateScale, TemplateShape};
use crate::error::{Error, ensure};
use crate::{Jet, Term};
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
    compiled: Vec<(TemplateScale, TemplateShape)>,
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
        let compile = |t: &Template| (TemplateScale::new(&t.factors), TemplateShape::new(t));
        let prediction = ChannelPrediction {
            name: name.to_owned(),
            bins,
            parameters,
            compiled: templates.iter().map(compile).collect(),
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

    /// The counts, one a bin.
    pub fn observed(&self) -> &[f64] {
        &self.observed
    }

    /// Expected counts at a point, one a bin.
    pub fn expected(&self, at: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.prediction.bins];
        for (scale, shape) in &self.prediction.compiled {
            let factor = scale.value(at);
            for (bin, lambda) in sum.iter_mut().enumerate() {
                *lambda += factor * shape.value(at, bin);
            }
        }
        sum
    }

    /// Expected counts of each template at a point, `[templates, bins]`: what
    /// [`HistogramChannel::expected`] is the sum of.
    pub fn contributions(&self, at: &[f64]) -> Vec<Vec<f64>> {
        let of = |(scale, shape): &(TemplateScale, TemplateShape)| {
            let factor = scale.value(at);
            let bins = 0..self.prediction.bins;
            bins.map(|bin| factor * shape.value(at, bin)).collect()
        };
        self.prediction.compiled.iter().map(of).collect()
    }

    /// What the term's value leaves out of the negative logarithm of the Poisson
    /// probability, `sum_b n - n ln n + ln n!`: a constant of the data.
    pub fn normalisation(&self) -> f64 {
        self.observed.iter().map(|n| saturated(*n)).sum()
    }
}

/// Sums over the bins of one template that its common factor needs.
struct TemplateSums {
    /// `sum_b c_b S_b` with `c_b = 1 - n_b / lambda_b`.
    content: f64,
    /// Its gradient in the common parameters of the shape.
    slope: Vec<f64>,
}

/// All jets at one point; those of the shapes are of one bin at a time.
struct Jets {
    scales: Vec<Jet>,
    shapes: Vec<Jet>,
    sums: Vec<TemplateSums>,
}

impl ChannelPrediction {
    fn jets(&self, at: &[f64], second: bool) -> Jets {
        let scale = |(scale, _): &(TemplateScale, TemplateShape)| {
            let mut jet = Jet::default();
            scale.jet(at, second, &mut jet);
            jet
        };
        let sums = |(_, shape): &(TemplateScale, TemplateShape)| TemplateSums {
            content: 0.0,
            slope: vec![0.0; shape.parameters.len()],
        };
        Jets {
            scales: self.compiled.iter().map(scale).collect(),
            shapes: vec![Jet::default(); self.compiled.len()],
            sums: self.compiled.iter().map(sums).collect(),
        }
    }

    /// Evaluates the shapes of one bin; its expected count.
    fn bin(&self, at: &[f64], bin: usize, second: bool, jets: &mut Jets) -> f64 {
        let mut lambda = 0.0;
        for (s, (_, shape)) in self.compiled.iter().enumerate() {
            shape.jet(at, bin, second, &mut jets.shapes[s]);
            lambda += jets.scales[s].value * jets.shapes[s].value;
        }
        lambda
    }

    /// Adds a bin to the sums over bins; what concerns parameters of the bin alone
    /// goes to `gradient` at once.
    fn accumulate(&self, bin: usize, weight: f64, jets: &mut Jets, gradient: &mut [f64]) {
        for (s, (_, shape)) in self.compiled.iter().enumerate() {
            let (jet, sums) = (&jets.shapes[s], &mut jets.sums[s]);
            let (common, own) = jet.gradient.split_at(shape.parameters.len());
            sums.content += weight * jet.value;
            for (sum, slope) in sums.slope.iter_mut().zip(common) {
                *sum += weight * slope;
            }
            for (parameter, slope) in shape.own(bin).iter().zip(own) {
                gradient[*parameter] += weight * jets.scales[s].value * slope;
            }
        }
    }

    /// Adds what the sums over bins make of the gradient.
    fn finish_gradient(&self, jets: &Jets, gradient: &mut [f64]) {
        for (s, (scale, shape)) in self.compiled.iter().enumerate() {
            let (factor, sums) = (&jets.scales[s], &jets.sums[s]);
            for (parameter, slope) in scale.parameters.iter().zip(&factor.gradient) {
                gradient[*parameter] += slope * sums.content;
            }
            for (parameter, slope) in shape.parameters.iter().zip(&sums.slope) {
                gradient[*parameter] += factor.value * slope;
            }
        }
    }

    /// Adds `sum_b c_b d2 S_b` times the factor, and the products of the factor's
    /// slope with those of the bin's own parameters.
    fn curve_of_bin(&self, bin: usize, weight: f64, jets: &Jets, hessian: &mut Symmetric<'_>) {
        for (s, (scale, shape)) in self.compiled.iter().enumerate() {
            let (factor, jet) = (&jets.scales[s], &jets.shapes[s]);
            let own = shape.own(bin);
            let m = jet.gradient.len();
            let place = |i: usize| match i.checked_sub(shape.parameters.len()) {
                Some(k) => own[k],
                None => shape.parameters[i],
            };
            for i in 0..m {
                for j in 0..m {
                    let curve = weight * factor.value * jet.hessian[i * m + j];
                    hessian.add(place(i), place(j), curve);
                }
            }
            let slopes = &jet.gradient[shape.parameters.len()..];
            for (p, a) in scale.parameters.iter().zip(&factor.gradient) {
                for (q, b) in own.iter().zip(slopes) {
                    hessian.add_both(*p, *q, weight * a * b);
                }
            }
        }
    }

    /// Adds what the sums over bins make of the Hessian.
    fn finish_hessian(&self, jets: &Jets, hessian: &mut Symmetric<'_>) {
        for (s, (scale, shape)) in self.compiled.iter().enumerate() {
            let (factor, sums) = (&jets.scales[s], &jets.sums[s]);
            let m = scale.parameters.len();
            for (i, p) in scale.parameters.iter().enumerate() {
                for (j, q) in scale.parameters.iter().enumerate() {
                    hessian.add(*p, *q, factor.hessian[i * m + j] * sums.content);
                }
                for (q, slope) in shape.parameters.iter().zip(&sums.slope) {
                    hessian.add_both(*p, *q, factor.gradient[i] * slope);
                }
            }
        }
    }

    /// Adds `scale * dlambda dlambda^T` of one bin.
    fn outer(&self, bin: usize, scale: f64, jets: &Jets, row: &mut Row, to: &mut Symmetric<'_>) {
        for (s, (factor, shape)) in self.compiled.iter().enumerate() {
            let (outer, inner) = (&jets.scales[s], &jets.shapes[s]);
            for (p, slope) in factor.parameters.iter().zip(&outer.gradient) {
                row.add(*p, slope * inner.value);
            }
            let places = shape.parameters.iter().chain(shape.own(bin));
            for (p, slope) in places.zip(&inner.gradient) {
                row.add(*p, outer.value * slope);
            }
        }
        for p in &row.touched {
            for q in &row.touched {
                to.add(*p, *q, scale * row.values[*p] * row.values[*q]);
            }
        }
        row.clear();
    }
}

impl Term for HistogramChannel {
    fn kinks(&self) -> Vec<usize> {
        let templates = self.prediction.templates.iter();
        templates.flat_map(Template::kinks).collect()
    }

    fn value(&self, at: &[f64]) -> f64 {
        let expected = self.expected(at);
        let bins = self.observed.iter().zip(expected);
        bins.map(|(n, lambda)| half_deviance(*n, lambda)).sum()
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let mut jets = self.prediction.jets(at, false);
        let mut value = 0.0;
        for (bin, n) in self.observed.iter().enumerate() {
            let lambda = self.prediction.bin(at, bin, false, &mut jets);
            value += half_deviance(*n, lambda);
            let weight = 1.0 - ratio(*n, lambda);
            self.prediction.accumulate(bin, weight, &mut jets, gradient);
        }
        self.prediction.finish_gradient(&jets, gradient);
        value
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let mut jets = self.prediction.jets(at, true);
        let mut row = Row::new(at.len());
        let mut hessian = Symmetric {
            n: at.len(),
            values: hessian,
        };
        let mut value = 0.0;
        for (bin, n) in self.observed.iter().enumerate() {
            let lambda = self.prediction.bin(at, bin, true, &mut jets);
            value += half_deviance(*n, lambda);
            let share = ratio(*n, lambda);
            let weight = 1.0 - share;
            self.prediction.accumulate(bin, weight, &mut jets, gradient);
            self.prediction
                .curve_of_bin(bin, weight, &jets, &mut hessian);
            let square = ratio(share, lambda);
            self.prediction
                .outer(bin, square, &jets, &mut row, &mut hessian);
        }
        self.prediction.finish_gradient(&jets, gradient);
        self.prediction.finish_hessian(&jets, &mut hessian);
        value
    }
}

/// `n / lambda`; no count is no slope, even at `lambda = 0`.
fn ratio(n: f64, lambda: f64) -> f64 {
    if n == 0.0 { 0.0 } else { n / lambda }
}

/// A symmetric matrix `[n, n]`, row-major.
struct Symmetric<'a> {
    n: usize,
    values: &'a mut [f64],
}

impl Symmetric<'_> {
    fn add(&mut self, p: usize, q: usize, x: f64) {
        self.values[p * self.n + q] += x;
    }

    fn add_both(&mut self, p: usize, q: usize, x: f64) {
        self.add(p, q, x);
        self.add(q, p, x);
    }
}

/// A gradient of few entries.
struct Row {
    values: Vec<f64>,
    seen: Vec<bool>,
    touched: Vec<usize>,
}

impl Row {
    fn new(n: usize) -> Self {
        Self {
            values: vec![0.0; n],
            seen: vec![false; n],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, p: usize, x: f64) {
        if !self.seen[p] {
            self.seen[p] = true;
            self.touched.push(p);
        }
        self.values[p] += x;
    }

    fn clear(&mut self) {
        for p in self.touched.drain(..) {
            self.values[p] = 0.0;
            self.seen[p] = false;
        }
    }
}
