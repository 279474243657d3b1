//! Events of one channel and the mixture that describes them.

use super::kernel::Transform;
use super::layout::Layout;
use super::policy::{NotPositive, PointError};
use super::sample::Sample;
use super::{SampleError, sums};
use crate::{Parameter, Rate};
use std::sync::Arc;
use thiserror::Error;

/// A process of a mixture.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name.
    pub name: String,
    /// Its expected number of events.
    pub rate: Rate,
}

/// Events of one channel and the mixture that describes them, a
/// [`Term`](crate::Term) of a model. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UnbinnedChannel {
    pub(super) processes: Arc<Vec<Process>>,
    parameters: Arc<Vec<String>>,
    pub(super) sample: Sample,
    pub(super) total_weight: f64,
    policy: NotPositive,
    pub(super) transform: Transform,
    pub(super) reference: Option<Sample>,
    pub(super) renormalised: bool,
}

/// A channel that cannot be used.
#[derive(Clone, Debug, PartialEq, Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ChannelError {
    /// Processes and sample do not belong together.
    #[error("the channel has {processes} processes, the sample {sample}; they must be the same")]
    Processes {
        /// The number of processes of the channel.
        processes: usize,
        /// The number of processes of the sample.
        sample: usize,
    },
    /// A parameter that the model does not have.
    #[error("parameter {parameter} is used, but the model has {parameters} parameters")]
    Parameter { parameter: usize, parameters: usize },
    /// No events are expected.
    #[error(
        "the expected number of events at the nominal point is {0}; it must be positive: check \
         coefficients and nominal rates"
    )]
    Rate(f64),
    /// A barrier without a threshold.
    #[error("the barrier's threshold is {0} of the sum of weights; it must be positive")]
    Threshold(f64),
    /// A sample of other processes or responses.
    #[error(
        "the sample has other processes or responses than the events of the channel; give it the \
         same, in the same order"
    )]
    Responses,
    /// A reference sample that cannot be normalised.
    #[error("the weights of the reference sample sum to {0}; the sum must be positive")]
    ReferenceWeight(f64),
    /// Renormalisation without a sample to do it with.
    #[error("renormalisation needs a reference sample")]
    NoReference,
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
    ) -> Result<Self, ChannelError> {
        check(&processes, &sample, parameters)?;
        let names = parameters.iter().map(|p| p.name.clone());
        Ok(Self {
            processes: Arc::new(processes),
            parameters: Arc::new(names.collect()),
            total_weight: sample.total_weight(),
            sample,
            policy: NotPositive::Error,
            transform: Transform::Log,
            reference: None,
            renormalised: false,
        })
    }

    /// The same channel with another treatment of densities that are not positive.
    ///
    /// # Errors
    /// If a threshold is not positive.
    pub fn with_policy(mut self, policy: NotPositive) -> Result<Self, ChannelError> {
        policy.check()?;
        self.policy = policy;
        self.transform = policy.transform(absolute_weight(&self.sample));
        Ok(self)
    }

    /// The same channel with a sample of the reference, weighted to its density, which
    /// checks the normalisation: see [`Self::normalisation`].
    ///
    /// # Errors
    /// If its processes or responses are not those of the data, or its weights do not
    /// have a positive sum.
    pub fn with_reference(mut self, reference: Sample) -> Result<Self, ChannelError> {
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
    pub fn with_renormalisation(mut self) -> Result<Self, ChannelError> {
        if self.reference.is_none() {
            return Err(ChannelError::NoReference);
        }
        self.renormalised = true;
        Ok(self)
    }

    /// The same channel with other events.
    ///
    /// # Errors
    /// If their processes or responses are not those of the channel.
    pub fn with_sample(&self, sample: Sample) -> Result<Self, ChannelError> {
        if sample.layout != self.sample.layout {
            return Err(ChannelError::Responses);
        }
        Ok(self.replaced(sample))
    }

    /// The same channel with some of its events, `rows`, and new weights; see
    /// [`Sample::select`].
    ///
    /// # Errors
    /// Those of [`Sample::select`].
    pub fn select(&self, rows: &[usize], weights: &[f64]) -> Result<Self, SampleError> {
        Ok(self.replaced(self.sample.select(rows, weights)?))
    }

    fn replaced(&self, sample: Sample) -> Self {
        Self {
            total_weight: sample.total_weight(),
            transform: self.policy.transform(absolute_weight(&sample)),
            sample,
            ..self.clone()
        }
    }

    /// Names of the parameters that a point has, in their order.
    #[must_use]
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The processes.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// The events.
    #[must_use]
    pub fn sample(&self) -> &Sample {
        &self.sample
    }

    /// The treatment of densities that are not positive.
    #[must_use]
    pub fn policy(&self) -> NotPositive {
        self.policy
    }

    /// The expected numbers of events `v_j` of the processes at a point `[n]`.
    #[must_use]
    pub fn rates(&self, at: &[f64]) -> Vec<f64> {
        let processes = self.processes.iter();
        processes.map(|process| process.rate.value(at)).collect()
    }

    /// `q_i` of all events at a point, `[N]`: the density relative to the reference,
    /// times the expected number of events.
    #[must_use]
    pub fn densities(&self, at: &[f64]) -> Vec<f64> {
        sums::densities(&self.sample, &self.rates(at), at)
    }

    /// The number of events with weight whose density is not positive at a point, or
    /// is below the threshold of the barrier.
    #[must_use]
    pub fn count_not_positive(&self, at: &[f64]) -> usize {
        self.not_positive(at).count()
    }

    /// Whether the likelihood is defined at a point without help of the barrier.
    ///
    /// # Errors
    /// What is not: a coefficient, the sum of rates, or densities with the first such
    /// event.
    pub fn check(&self, at: &[f64]) -> Result<(), PointError> {
        let rates = self.rates(at);
        let bad = rates.iter().position(|rate| !rate.is_finite());
        if let Some(j) = bad {
            let process = &self.processes[j];
            return Err(PointError::Coefficient {
                process: process.name.clone(),
                coefficient: process.rate.coefficient().text().to_owned(),
                rate: rates[j],
                at: self.describe(at),
            });
        }
        let rate: f64 = rates.iter().sum();
        if rate <= 0.0 {
            let at = self.describe(at);
            return Err(PointError::Rate { rate, at });
        }
        let mut bad = self.not_positive(at);
        match bad.next() {
            None => Ok(()),
            Some((event, density)) => Err(PointError::Density {
                count: 1 + bad.count(),
                event,
                density,
                threshold: self.threshold(),
                at: self.describe(at),
            }),
        }
    }

    /// Numbers and densities of the events with weight that are below the threshold.
    fn not_positive(&self, at: &[f64]) -> impl Iterator<Item = (usize, f64)> {
        let threshold = self.threshold();
        let all = self.densities(at).into_iter().zip(self.sample.weights());
        let all = all.enumerate();
        all.filter_map(move |(i, (q, weight))| {
            (weight != 0.0 && !is_above(q, threshold)).then_some((i, q))
        })
    }

    fn threshold(&self) -> f64 {
        self.transform.threshold()
    }

    fn describe(&self, at: &[f64]) -> String {
        let pairs = self.parameters.iter().zip(at);
        let pairs = pairs.map(|(name, value)| format!("{name} = {value}"));
        pairs.collect::<Vec<_>>().join(", ")
    }
}

/// Whether a density reaches a threshold; one that is no number does not.
pub(super) fn is_above(density: f64, threshold: f64) -> bool {
    density >= threshold && density.is_normal()
}

/// Whether a sample of the reference can normalise a channel of a layout.
pub(super) fn check_reference(reference: &Sample, layout: &Layout) -> Result<(), ChannelError> {
    if *reference.layout != *layout {
        return Err(ChannelError::Responses);
    }
    let weight = reference.total_weight();
    if weight <= 0.0 {
        return Err(ChannelError::ReferenceWeight(weight));
    }
    Ok(())
}

fn absolute_weight(sample: &Sample) -> f64 {
    sample.weights().map(f64::abs).sum()
}

pub(super) fn check(
    processes: &[Process],
    sample: &Sample,
    parameters: &[Parameter],
) -> Result<(), ChannelError> {
    if processes.len() != sample.processes() {
        return Err(ChannelError::Processes {
            processes: processes.len(),
            sample: sample.processes(),
        });
    }
    let rates = processes
        .iter()
        .map(|process| process.rate.last_parameter());
    let last = rates
        .chain([sample.layout.last_parameter()])
        .flatten()
        .max();
    if let Some(parameter) = last.filter(|last| *last >= parameters.len()) {
        return Err(ChannelError::Parameter {
            parameter,
            parameters: parameters.len(),
        });
    }
    let nominal: Vec<f64> = parameters.iter().map(|p| p.nominal).collect();
    let rate: f64 = processes.iter().map(|p| p.rate.value(&nominal)).sum();
    if !(rate.is_finite() && rate > 0.0) {
        return Err(ChannelError::Rate(rate));
    }
    Ok(())
}
