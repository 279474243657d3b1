//! Events of one channel and the mixture that describes them, as a term of a likelihood.

use super::kernel::Transform;
use super::sample::{EventSource, Layout, Sample};
use super::sums;
use crate::error::{Error, ensure};
use crate::{Jet, Parameter, Rate, Term};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A process of a mixture.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// Its expected number of events.
    pub rate: Rate,
}

/// What is done about a density that is not positive. Exact ratios do not have it;
/// learned ones may, where contributions of different sign nearly cancel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NotPositive {
    /// The likelihood is not a number there.
    #[default]
    Error,
    /// Below a threshold `log q` is continued as its tangent there: value and slope
    /// have no jump and a fit can return.
    Barrier {
        /// The threshold as a share of `sum_i |w_i|`, about the size of `q` where an
        /// event is as likely as under the reference; positive, 1e-3 is usual.
        relative: f64,
    },
}

impl NotPositive {
    pub(super) fn check(self) -> Result<(), Error> {
        let Self::Barrier { relative } = self else {
            return Ok(());
        };
        ensure(relative.is_finite() && relative > 0.0, || {
            format!(
                "the barrier's threshold is {relative} of the sum of weights; it must be positive"
            )
        })
    }

    /// For a sample with this sum of absolute weights.
    pub(super) fn transform(self, absolute_weight: f64) -> Transform {
        match self {
            Self::Error => Transform::Log,
            Self::Barrier { relative } => Transform::Barrier(relative * absolute_weight),
        }
    }
}

/// `E_ref[p(x|theta)/p_ref(x)]`, which is 1 for a density.
///
/// A product of responses is a density only if they are uncorrelated under the process.
/// Where they are not, the likelihood can rise without limit: a fit is to be believed only
/// if the integral is 1 at the points it visits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Its estimate.
    pub integral: f64,
    /// The statistical error of the estimate, from the finite reference sample.
    pub error: f64,
}

impl Normalisation {
    /// How many errors the integral is away from 1.
    pub fn significance(&self) -> f64 {
        (self.integral - 1.0) / self.error
    }
}

/// Events of one channel and the mixture that describes them, a [`Term`] of a model.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct UnbinnedChannel {
    mixture: Mixture,
    parameters: Arc<Vec<String>>,
    sample: Sample,
    policy: NotPositive,
    reference: Option<Sample>,
}

impl UnbinnedChannel {
    /// A channel whose densities must be positive; `sample` has the processes in the
    /// same order, and places of parameters refer to `parameters`.
    ///
    /// # Errors
    /// If the number of processes differs, a parameter does not exist, or the
    /// expected number of events at the nominal point is not positive.
    pub fn new(
        processes: Vec<Process>,
        sample: Sample,
        parameters: &[Parameter],
    ) -> Result<Self, Error> {
        check(&processes, &sample, parameters)?;
        let names = parameters.iter().map(|p| p.name.clone());
        Ok(Self {
            mixture: Mixture {
                processes: Arc::new(processes),
                layout: Arc::clone(&sample.layout),
                transform: Transform::Log,
                total_weight: sample.total_weight(),
                divisor: None,
            },
            parameters: Arc::new(names.collect()),
            sample,
            policy: NotPositive::Error,
            reference: None,
        })
    }

    /// The same channel with another treatment of densities that are not positive.
    ///
    /// # Errors
    /// If a threshold is not positive.
    pub fn with_policy(mut self, policy: NotPositive) -> Result<Self, Error> {
        policy.check()?;
        self.policy = policy;
        self.mixture.transform = policy.transform(absolute_weight(&self.sample));
        Ok(self)
    }

    /// The same channel with a sample of the reference, weighted to its density, which
    /// checks the normalisation: see [`Self::normalisation`].
    ///
    /// # Errors
    /// If its processes or responses are not those of the data, or its weights do not
    /// have a positive sum.
    pub fn with_reference(mut self, reference: Sample) -> Result<Self, Error> {
        check_reference(&reference, &self.sample.layout)?;
        self.reference = Some(reference);
        Ok(self)
    }

    /// The same channel with densities divided by their integral over the reference
    /// sample, so that the rate `v` alone carries the normalisation:
    /// `-log L = v - sum_i w_i log(q_i/I)`, `I = E_ref[q]/v`.
    ///
    /// # Errors
    /// If there is no reference sample.
    pub fn with_renormalisation(mut self) -> Result<Self, Error> {
        ensure(self.reference.is_some(), || {
            "renormalisation needs a reference sample".to_owned()
        })?;
        self.mixture.divisor.clone_from(&self.reference);
        Ok(self)
    }

    /// The same channel with other events.
    ///
    /// # Errors
    /// If their processes or responses are not those of the channel.
    pub fn with_sample(&self, sample: Sample) -> Result<Self, Error> {
        ensure(sample.layout == self.sample.layout, other_responses)?;
        Ok(self.replaced(sample))
    }

    /// The same channel with some of its events, `rows`, and new weights; see
    /// [`Sample::select`].
    ///
    /// # Errors
    /// Those of [`Sample::select`].
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Self, Error> {
        Ok(self.replaced(self.sample.select(rows, weights)?))
    }

    fn replaced(&self, sample: Sample) -> Self {
        let mut channel = self.clone();
        channel.mixture.total_weight = sample.total_weight();
        channel.mixture.transform = self.policy.transform(absolute_weight(&sample));
        channel.sample = sample;
        channel
    }

    /// Names of the parameters that a point has, in their order.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The processes.
    pub fn processes(&self) -> &[Process] {
        &self.mixture.processes
    }

    /// The events.
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The treatment of densities that are not positive.
    pub fn policy(&self) -> NotPositive {
        self.policy
    }

    /// The expected numbers of events `v_j` of the processes at a point `[n]`.
    pub fn rates(&self, at: &[f64]) -> Vec<f64> {
        self.mixture.rates(at)
    }

    /// `q_i` of all events at a point, `[N]`: the density relative to the reference,
    /// times the expected number of events.
    pub fn densities(&self, at: &[f64]) -> Vec<f64> {
        sums::densities(&self.sample, &self.rates(at), at)
    }

    /// The number of events with weight whose density is not positive at a point, or
    /// is below the threshold of the barrier.
    pub fn count_not_positive(&self, at: &[f64]) -> usize {
        let Ok(count) = self.mixture.count_not_positive(&self.sample, at);
        count
    }

    /// The integral at a point `[n]`, from the reference sample; none without one.
    /// Renormalisation does not change it.
    ///
    /// `I = sum_i w_i q_i/(v sum_i w_i)`, with the variance
    /// `sum_i w_i^2 (q_i/v - I)^2/(sum_i w_i)^2`.
    pub fn normalisation(&self, at: &[f64]) -> Option<Normalisation> {
        let reference = self.reference.as_ref()?;
        let rates = self.rates(at);
        let rate: f64 = rates.iter().sum();
        let ratios = sums::densities(reference, &rates, at);
        let ratios: Vec<f64> = ratios.into_iter().map(|q| q / rate).collect();
        let weights = || reference.weights().zip(&ratios);
        let total = reference.total_weight();
        let integral = weights().map(|(w, r)| w * r).sum::<f64>() / total;
        let squares = weights().map(|(w, r)| (w * (r - integral)).powi(2));
        let error = squares.sum::<f64>().sqrt() / total.abs();
        Some(Normalisation { integral, error })
    }

    /// Whether the likelihood is defined at a point without help of the barrier.
    ///
    /// # Errors
    /// What is not: a coefficient, the sum of rates, or densities with the first such
    /// event.
    pub fn check(&self, at: &[f64]) -> Result<(), Error> {
        let rates = self.rates(at);
        let pairs = self.parameters.iter().zip(at);
        let words: Vec<String> = pairs.map(|(name, x)| format!("{name} = {x}")).collect();
        let words = words.join(", ");
        for (process, rate) in self.processes().iter().zip(&rates) {
            ensure(rate.is_finite(), || {
                format!(
                    "the rate of `{}` with the coefficient `{}` is {rate} at {words}; keep the \
                     parameters within its domain by bounds",
                    process.name,
                    process.rate.coefficient().text()
                )
            })?;
        }
        let rate: f64 = rates.iter().sum();
        ensure(rate > 0.0, || {
            format!("the expected number of events is {rate} at {words}; it must be positive")
        })?;
        let threshold = self.mixture.transform.threshold();
        let mut bad = not_positive(&self.sample, &rates, at, threshold);
        let Some((event, density)) = bad.next() else {
            return Ok(());
        };
        Err(Error::new(format!(
            "the density of {} events is not above {threshold} at {words}, the first is event \
             {event} with {density}; check the ratios of this event",
            1 + bad.count()
        )))
    }
}

impl Term for UnbinnedChannel {
    fn kinks(&self) -> Vec<usize> {
        self.mixture.kinks()
    }

    fn value(&self, at: &[f64]) -> f64 {
        let Ok(value) = self.mixture.value(&self.sample, at);
        value
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let Ok(value) = self.mixture.gradient(&self.sample, at, gradient);
        value
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let Ok(value) = self.mixture.hessian(&self.sample, at, gradient, hessian);
        value
    }
}

/// Numbers and densities of the events with weight that are below a threshold.
fn not_positive(
    sample: &Sample,
    rates: &[f64],
    at: &[f64],
    threshold: f64,
) -> impl Iterator<Item = (usize, f64)> {
    let all = sums::densities(sample, rates, at).into_iter();
    let all = all.zip(sample.weights()).enumerate();
    all.filter_map(move |(i, (q, weight))| {
        // what is no number does not reach a threshold
        let is_above = q >= threshold && q.is_normal();
        (weight != 0.0 && !is_above).then_some((i, q))
    })
}

fn other_responses() -> String {
    "the sample has other processes or responses than the events of the channel; give it the \
     same, in the same order"
        .to_owned()
}

/// Whether a sample of the reference can normalise a channel of a layout.
pub(super) fn check_reference(reference: &Sample, layout: &Layout) -> Result<(), Error> {
    ensure(*reference.layout == *layout, other_responses)?;
    let weight = reference.total_weight();
    ensure(weight > 0.0, || {
        format!("the weights of the reference sample sum to {weight}; the sum must be positive")
    })
}

pub(super) fn absolute_weight(sample: &Sample) -> f64 {
    sample.weights().map(f64::abs).sum()
}

/// Whether processes and the events of a sample belong together.
pub(super) fn check(
    processes: &[Process],
    sample: &Sample,
    parameters: &[Parameter],
) -> Result<(), Error> {
    let (count, own) = (processes.len(), sample.processes());
    ensure(count == own, || {
        format!("the channel has {count} processes, the sample {own}; they must be the same")
    })?;
    let of_rates = processes.iter().filter_map(|p| p.rate.last_parameter());
    let of_events = sample.parameters().iter().copied();
    let (last, count) = (of_rates.chain(of_events).max(), parameters.len());
    if let Some(last) = last.filter(|last| *last >= count) {
        return Err(Error::new(format!(
            "parameter {last} is used, but the model has {count} parameters"
        )));
    }
    let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
    let rate: f64 = processes.iter().map(|p| p.rate.value(&nominal)).sum();
    ensure(rate.is_finite() && rate > 0.0, || {
        format!(
            "the expected number of events at the nominal point is {rate}; it must be positive: \
             check coefficients and nominal rates"
        )
    })
}

/// What is made of the densities of events, wherever these come from.
#[derive(Clone, Debug)]
pub(super) struct Mixture {
    pub(super) processes: Arc<Vec<Process>>,
    pub(super) layout: Arc<Layout>,
    pub(super) transform: Transform,
    pub(super) total_weight: f64,
    /// The sample over which the integral is what densities are divided by.
    pub(super) divisor: Option<Sample>,
}

impl Mixture {
    pub(super) fn kinks(&self) -> Vec<usize> {
        let of_rates = self.processes.iter().flat_map(|p| p.rate.kinks());
        of_rates.chain(self.layout.kinks()).collect()
    }

    fn rates(&self, at: &[f64]) -> Vec<f64> {
        let processes = self.processes.iter();
        processes.map(|process| process.rate.value(at)).collect()
    }

    fn rate_jets(&self, at: &[f64], second: bool) -> (Vec<Jet>, Vec<f64>) {
        let processes = self.processes.iter();
        let jets: Vec<Jet> = processes.map(|p| p.rate.jet(at, second)).collect();
        let values = jets.iter().map(|jet| jet.value).collect();
        (jets, values)
    }

    pub(super) fn count_not_positive<S: EventSource>(
        &self,
        source: &S,
        at: &[f64],
    ) -> Result<usize, S::Error> {
        let (rates, threshold) = (self.rates(at), self.transform.threshold());
        let mut count = 0;
        source.visit(&mut |block| count += not_positive(block, &rates, at, threshold).count())?;
        Ok(count)
    }

    pub(super) fn value<S: EventSource>(&self, source: &S, at: &[f64]) -> Result<f64, S::Error> {
        Ok(self.in_rates::<0, _>(source, &self.rates(at), at)?.value)
    }

    pub(super) fn gradient<S: EventSource>(
        &self,
        source: &S,
        at: &[f64],
        gradient: &mut [f64],
    ) -> Result<f64, S::Error> {
        let (rates, values) = self.rate_jets(at, false);
        let all = self.in_rates::<1, _>(source, &values, at)?;
        add_gradient(&rates, &self.layout.slots, &all.gradient, gradient);
        Ok(all.value)
    }

    pub(super) fn hessian<S: EventSource>(
        &self,
        source: &S,
        at: &[f64],
        gradient: &mut [f64],
        hessian: &mut [f64],
    ) -> Result<f64, S::Error> {
        let (rates, values) = self.rate_jets(at, true);
        let all = self.in_rates::<2, _>(source, &values, at)?;
        add_gradient(&rates, &self.layout.slots, &all.gradient, gradient);
        add_hessian(&rates, &self.layout.slots, &all.hessian, at.len(), hessian);
        for (rate, slope) in rates.iter().zip(&all.gradient) {
            for (to, second) in hessian.iter_mut().zip(&rate.hessian) {
                *to += slope * second;
            }
        }
        Ok(all.value)
    }

    /// The term and its derivatives by `[v_1.., alpha_1..]`.
    fn in_rates<const ORDER: usize, S: EventSource>(
        &self,
        source: &S,
        rates: &[f64],
        at: &[f64],
    ) -> Result<Jet, S::Error> {
        let mut all: Option<Jet> = None;
        source.visit(&mut |block| {
            let block = sums::weighted::<ORDER>(block, self.transform, rates, at);
            match &mut all {
                Some(all) => all.add_scaled(1.0, &block),
                None => all = Some(block),
            }
        })?;
        let mut all = all.unwrap_or_default();
        all.value = -all.value;
        let derivatives = all.gradient.iter_mut().chain(&mut all.hessian);
        derivatives.for_each(|x| *x = -*x);
        let total: f64 = rates.iter().sum();
        if let Some(sample) = &self.divisor {
            let sum = sums::weighted::<ORDER>(sample, Transform::Identity, rates, at);
            let log = log_of_integral(&sum, sample.total_weight(), total, rates.len());
            all.add_scaled(self.total_weight, &log);
        }
        // where no events are expected nothing is defined
        all.value += if total > 0.0 { total } else { f64::NAN };
        for slope in all.gradient.iter_mut().take(rates.len()) {
            *slope += 1.0;
        }
        Ok(all)
    }
}

/// `ln I`, from the sum of the densities over a sample of the reference of this weight; the
/// first `rates` derivatives are by rates, whose sum is `rate`.
fn log_of_integral(sum: &Jet, weight: f64, rate: f64, rates: usize) -> Jet {
    let dimension = sum.gradient.len();
    let by_rate = |a: usize| if a < rates { 1.0 / rate } else { 0.0 };
    let relative: Vec<f64> = sum.gradient.iter().map(|g| g / sum.value).collect();
    let second = sum.hessian.iter().enumerate().map(|(entry, h)| {
        let (a, b) = (entry / dimension, entry % dimension);
        h / sum.value - relative[a] * relative[b] + by_rate(a) * by_rate(b)
    });
    let first = relative.iter().enumerate();
    Jet {
        value: (sum.value / (weight * rate)).ln(),
        hessian: second.collect(),
        gradient: first.map(|(a, x)| x - by_rate(a)).collect(),
    }
}

/// Adds to a gradient what derivatives `inner` by `[v_1.., alpha_1..]` contribute; `slots`
/// are the places of the `alpha`.
fn add_gradient(rates: &[Jet], slots: &[usize], inner: &[f64], gradient: &mut [f64]) {
    let (by_rate, by_slot) = inner.split_at(rates.len());
    for (slope, rate) in by_rate.iter().zip(rates) {
        for (to, x) in gradient.iter_mut().zip(&rate.gradient) {
            *to += slope * x;
        }
    }
    for (slope, place) in by_slot.iter().zip(slots) {
        gradient[*place] += slope;
    }
}

/// Adds `J^T F J` to a Hessian `[n, n]`, where `F` is the Hessian `[M, M]` by rates and
/// slots and `J` are their derivatives by the parameters.
fn add_hessian(rates: &[Jet], slots: &[usize], inner: &[f64], n: usize, hessian: &mut [f64]) {
    let dimension = rates.len() + slots.len();
    // F J, a row at a time; F is symmetric
    let mut rows = vec![0.0; dimension * n];
    for (row, inner) in rows.chunks_exact_mut(n).zip(inner.chunks_exact(dimension)) {
        add_gradient(rates, slots, inner, row);
    }
    // of J^T (F J) the lower triangle, and its mirror
    let mut product = vec![0.0; n];
    for a in 0..n {
        let inner: Vec<f64> = rows.chunks_exact(n).map(|row| row[a]).collect();
        product.fill(0.0);
        add_gradient(rates, slots, &inner, &mut product);
        for (b, x) in product[..=a].iter().enumerate() {
            hessian[a * n + b] += x;
            if a != b {
                hessian[b * n + a] += x;
            }
        }
    }
}
