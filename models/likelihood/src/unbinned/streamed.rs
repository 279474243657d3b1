//! A sample that does not fit in memory: its events are read, or made, block after
//! block at every evaluation.

use super::channel::{self, ChannelError, Process, is_above};
use super::evaluate::{RateGradients, add_second_order};
use super::kernel::Transform;
use super::layout::Layout;
use super::policy::NotPositive;
use super::sample::Sample;
use super::sums::{self, Weighted};
use crate::{Derivatives, Parameter, Term};
use std::convert::Infallible;
use std::sync::Arc;
use thiserror::Error;

/// Events in blocks. A block should have at least some ten thousand events, to keep
/// all threads busy.
pub trait EventSource: Send + Sync {
    /// Why a block cannot be had.
    type Error: std::error::Error;

    /// Calls `visit` with every block, always the same ones in the same order and
    /// with the same processes and responses.
    ///
    /// # Errors
    /// If a block cannot be had.
    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Self::Error>;
}

/// Blocks in memory.
impl EventSource for Vec<Sample> {
    type Error = Infallible;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<(), Infallible> {
        self.iter().for_each(visit);
        Ok(())
    }
}

/// Why a streamed channel cannot be built.
#[derive(Debug, Error)]
pub enum StreamError<E: std::error::Error> {
    /// The source failed.
    #[error("the events cannot be read: {0}")]
    Source(E),
    /// There are no blocks.
    #[error("the source has no events; an unbinned channel needs at least one")]
    Empty,
    /// A block of other processes or responses.
    #[error(
        "block {0} of the events has other processes or responses than the first; all must have \
         the same, in the same order"
    )]
    Block(usize),
    /// Processes and events do not belong together.
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

/// An [`UnbinnedChannel`](super::UnbinnedChannel) of events that are streamed: memory
/// for one block at a time.
#[derive(Debug)]
pub struct StreamedChannel<S> {
    processes: Vec<Process>,
    source: S,
    transform: Transform,
    layout: Arc<Layout>,
    events: usize,
    total_weight: f64,
    /// What densities are divided by the integral over.
    reference: Option<Sample>,
}

impl<S: EventSource> StreamedChannel<S> {
    /// Reads all events once, to count and check them.
    ///
    /// # Errors
    /// If they cannot be read or differ in their processes and responses, and those
    /// of [`UnbinnedChannel::new`](super::UnbinnedChannel::new) and
    /// [`with_policy`](super::UnbinnedChannel::with_policy).
    pub fn new(
        processes: Vec<Process>,
        source: S,
        parameters: &[Parameter],
        policy: NotPositive,
    ) -> Result<Self, StreamError<S::Error>> {
        policy.check()?;
        let mut layout = None;
        let (mut blocks, mut events) = (0, 0);
        let (mut total_weight, mut weight) = (0.0, 0.0);
        let mut other = None;
        let mut checked = Ok(());
        let visit = &mut |block: &Sample| {
            let first = layout.get_or_insert_with(|| {
                checked = channel::check(&processes, block, parameters);
                block.layout.clone()
            });
            if *first != block.layout {
                other.get_or_insert(blocks);
            }
            blocks += 1;
            events += block.events();
            total_weight += block.total_weight();
            weight += block.weights().map(f64::abs).sum::<f64>();
        };
        source.visit(visit).map_err(StreamError::Source)?;
        checked?;
        if let Some(block) = other {
            return Err(StreamError::Block(block));
        }
        Ok(Self {
            processes,
            source,
            transform: policy.transform(weight),
            layout: layout.ok_or(StreamError::Empty)?,
            events,
            total_weight,
            reference: None,
        })
    }

    /// The same channel with densities divided by their integral over a sample of the
    /// reference, held in memory; see
    /// [`UnbinnedChannel::with_renormalisation`](super::UnbinnedChannel::with_renormalisation).
    ///
    /// # Errors
    /// If its processes or responses are not those of the data, or its weights do not
    /// have a positive sum.
    pub fn with_renormalisation(mut self, reference: Sample) -> Result<Self, ChannelError> {
        channel::check_reference(&reference, &self.layout)?;
        self.reference = Some(reference);
        Ok(self)
    }

    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// The number of events with weight whose density is not positive at a point, or is
    /// below the threshold of the barrier.
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_count_not_positive(&self, at: &[f64]) -> Result<usize, S::Error> {
        let rates: Vec<f64> = self.processes.iter().map(|p| p.rate.value(at)).collect();
        let threshold = self.transform.threshold();
        let mut count = 0;
        self.source.visit(&mut |block| {
            let all = sums::densities(block, &rates, at).into_iter();
            let bad = |(q, weight): &(f64, f64)| *weight != 0.0 && !is_above(*q, threshold);
            count += all.zip(block.weights()).filter(bad).count();
        })?;
        Ok(count)
    }

    /// As [`Term::value`].
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_value(&self, at: &[f64]) -> Result<f64, S::Error> {
        let processes = self.processes.iter();
        let rates: Vec<f64> = processes.map(|process| process.rate.value(at)).collect();
        Ok(self.in_rates::<0>(&rates, at)?.value)
    }

    /// As [`Term::gradient`].
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_gradient(&self, at: &[f64], gradient: &mut [f64]) -> Result<f64, S::Error> {
        let rates = RateGradients::new(&self.processes, at);
        let all = self.in_rates::<1>(&rates.values, at)?;
        rates.add_gradient(&all.gradient, &self.layout.slots, gradient);
        Ok(all.value)
    }

    /// As [`Term::hessian`].
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_hessian(
        &self,
        at: &[f64],
        gradient: &mut [f64],
        hessian: &mut [f64],
    ) -> Result<f64, S::Error> {
        let processes = self.processes.iter();
        let rates: Vec<Derivatives> = processes.map(|p| p.rate.derivatives(at)).collect();
        let values: Vec<f64> = rates.iter().map(|rate| rate.value).collect();
        let all = self.in_rates::<2>(&values, at)?;
        add_second_order(&rates, &all, &self.layout.slots, gradient, hessian);
        Ok(all.value)
    }

    fn in_rates<const ORDER: usize>(
        &self,
        rates: &[f64],
        at: &[f64],
    ) -> Result<Weighted, S::Error> {
        let mut all = Weighted::zero::<ORDER>(rates.len() + self.layout.slots.len());
        self.source.visit(&mut |block| {
            all.add(
                1.0,
                &Weighted::over::<ORDER>(block, self.transform, rates, at),
            );
        })?;
        all.negate();
        if let Some(reference) = &self.reference {
            let integral = Weighted::over::<ORDER>(reference, Transform::Identity, rates, at);
            all.add(
                self.total_weight,
                &integral.log_of_integral(reference, rates),
            );
        }
        all.add_total_rate(rates);
        Ok(all)
    }
}

/// Not a number where events cannot be read; the `try_` functions say why.
impl<S: EventSource> Term for StreamedChannel<S> {
    fn kinks(&self) -> Vec<usize> {
        let of_rates = self.processes.iter().flat_map(|p| p.rate.kinks());
        of_rates.chain(self.layout.kinks()).collect()
    }

    fn value(&self, at: &[f64]) -> f64 {
        self.try_value(at).unwrap_or(f64::NAN)
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        self.try_gradient(at, gradient).unwrap_or(f64::NAN)
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        self.try_hessian(at, gradient, hessian).unwrap_or(f64::NAN)
    }
}
