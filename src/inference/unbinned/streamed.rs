//! A sample that does not fit in memory: its events are read, or made, block after
//! block at every evaluation.

use super::channel::{self, ChannelError, Process};
use super::evaluate::{RateGradients, add_second_order};
use super::kernel::Transform;
use super::policy::NotPositive;
use super::sample::Sample;
use super::sums::Weighted;
use crate::inference::{Derivatives, Parameter, Term};
use std::convert::Infallible;
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
    slots: Vec<usize>,
    events: usize,
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
        let (mut blocks, mut events, mut weight) = (0, 0, 0.0);
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
            weight += block.weights().map(f64::abs).sum::<f64>();
        };
        source.visit(visit).map_err(StreamError::Source)?;
        checked?;
        if let Some(block) = other {
            return Err(StreamError::Block(block));
        }
        let slots = layout.ok_or(StreamError::Empty)?.slots.clone();
        Ok(Self {
            processes,
            source,
            transform: policy.transform(weight),
            slots,
            events,
        })
    }

    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
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
        rates.add_gradient(&all.gradient, &self.slots, gradient);
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
        add_second_order(&rates, &all, &self.slots, gradient, hessian);
        Ok(all.value)
    }

    fn in_rates<const ORDER: usize>(
        &self,
        rates: &[f64],
        at: &[f64],
    ) -> Result<Weighted, S::Error> {
        let mut all = Weighted::zero::<ORDER>(rates.len() + self.slots.len());
        self.source.visit(&mut |block| {
            all.add(
                1.0,
                &Weighted::over::<ORDER>(block, self.transform, rates, at),
            );
        })?;
        all.negate();
        all.add_total_rate(rates);
        Ok(all)
    }
}

/// Not a number where events cannot be read; the `try_` functions say why.
impl<S: EventSource> Term for StreamedChannel<S> {
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
