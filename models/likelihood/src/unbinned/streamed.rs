//! A sample that does not fit in memory: its events are read, or made, block after
//! block at every evaluation.

use super::channel::{Mixture, NotPositive, Process, absolute_weight, check, check_reference};
use super::sample::{EventSource, Sample};
use crate::error::Error;
use crate::{Parameter, Term};
use std::sync::Arc;

/// Why a streamed channel cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StreamError<E: std::error::Error> {
    /// The source failed.
    #[error("the events cannot be read: {0}")]
    Source(E),
    /// The events do not belong together, or not to the processes.
    #[error(transparent)]
    Channel(#[from] Error),
}

/// An [`UnbinnedChannel`](super::UnbinnedChannel) of events that are streamed: memory
/// for one block at a time. Its value is no number where events cannot be read;
/// [`Self::try_value`] says why.
#[derive(Debug)]
pub struct StreamedChannel<S> {
    mixture: Mixture,
    source: S,
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
        let (mut blocks, mut events) = (0, 0);
        let (mut total_weight, mut weight) = (0.0, 0.0);
        let mut checked = Ok(());
        let mut same = Ok(());
        let visit = &mut |block: &Sample| {
            let first = layout.get_or_insert_with(|| {
                checked = check(&processes, block, parameters);
                Arc::clone(&block.layout)
            });
            if *first != block.layout && same.is_ok() {
                same = Err(Error::new(format!(
                    "block {blocks} of the events has other processes or responses than the \
                     first; all must have the same, in the same order"
                )));
            }
            blocks += 1;
            events += block.events();
            total_weight += block.total_weight();
            weight += absolute_weight(block);
        };
        source.visit(visit).map_err(StreamError::Source)?;
        checked.and(same)?;
        let layout = layout.ok_or_else(|| {
            Error::new("the source has no events; an unbinned channel needs at least one")
        })?;
        Ok(Self {
            mixture: Mixture {
                processes: Arc::new(processes),
                layout,
                transform: policy.transform(weight),
                total_weight,
                divisor: None,
            },
            source,
            events,
        })
    }

    /// The same channel with densities divided by their integral over a sample of the
    /// reference, which is held in memory; see
    /// [`with_renormalisation`](super::UnbinnedChannel::with_renormalisation).
    ///
    /// # Errors
    /// If its processes or responses are not those of the data, or its weights do not
    /// have a positive sum.
    pub fn with_renormalisation(mut self, reference: Sample) -> Result<Self, Error> {
        check_reference(&reference, &self.mixture.layout)?;
        self.mixture.divisor = Some(reference);
        Ok(self)
    }

    /// The number of events.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The number of events with weight whose density is not positive at a point, or is
    /// below the threshold of the barrier.
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_count_not_positive(&self, at: &[f64]) -> Result<usize, S::Error> {
        self.mixture.count_not_positive(&self.source, at)
    }

    /// As [`Term::value`].
    ///
    /// # Errors
    /// If events cannot be read.
    pub fn try_value(&self, at: &[f64]) -> Result<f64, S::Error> {
        self.mixture.value(&self.source, at)
    }
}

impl<S: EventSource> Term for StreamedChannel<S> {
    fn kinks(&self) -> Vec<usize> {
        self.mixture.kinks()
    }

    fn value(&self, at: &[f64]) -> f64 {
        self.try_value(at).unwrap_or(f64::NAN)
    }

    fn gradient(&self, at: &[f64], gradient: &mut [f64]) -> f64 {
        let found = self.mixture.gradient(&self.source, at, gradient);
        found.unwrap_or(f64::NAN)
    }

    fn hessian(&self, at: &[f64], gradient: &mut [f64], hessian: &mut [f64]) -> f64 {
        let found = self.mixture.hessian(&self.source, at, gradient, hessian);
        found.unwrap_or(f64::NAN)
    }
}
