//! Ratios of the events that are measured: in memory, or in a file.

use super::columns::{Columns, Ratios, Source};
use super::event_file::{BLOCK, EventFile, EventWriter, FileProcess, FileResponse};
use super::events::Events;
use super::model::no_likelihood;
use crate::error::{Error, Result};
use crate::rundir::RunDirectory;
use sideband_likelihood::{Parameter, Term};
use sideband_likelihood::{Sample, StreamError, StreamedChannel, UnbinnedChannel};
use std::sync::Arc;

/// The file of events that are streamed.
pub(super) const EVENTS: &str = "events.parquet";

/// Events with their ratios.
pub(super) enum Evaluated {
    Memory(Columns),
    File(EventFile),
}

/// What the events add to the likelihood.
pub(super) struct EventTerm {
    pub term: Arc<dyn Term>,
    /// The channel, over the events or, if they are streamed, over those of the reference.
    pub channel: UnbinnedChannel,
    /// The streamed events.
    pub streamed: Option<Arc<StreamedChannel<EventFile>>>,
}

impl Source<'_> {
    /// The learned ratios of events that are measured.
    pub(super) fn evaluate(
        &self,
        ratios: &Ratios,
        events: &Events,
        root: &RunDirectory,
    ) -> Result<Evaluated> {
        if events.len() <= self.measurement.measurement.stream_above {
            let columns = self.learned(ratios, &events.features, events.weights.clone())?;
            return Ok(Evaluated::Memory(columns));
        }
        let mut writer = EventWriter::create(&root.path().join(EVENTS), self.file_processes())?;
        let width = events.features.len() / events.len();
        for (features, weights) in events
            .features
            .chunks(BLOCK * width)
            .zip(events.weights.chunks(BLOCK))
        {
            writer.write(&self.learned(ratios, features, weights.to_vec())?)?;
        }
        Ok(Evaluated::File(writer.finish()?))
    }

    /// What the columns of a file of events are.
    fn file_processes(&self) -> Vec<FileProcess> {
        let response = |(parameter, interpolation, name)| FileResponse {
            name,
            parameter,
            interpolation,
        };
        let process = |name: &String| FileProcess {
            name: name.clone(),
            responses: self.responses(name).into_iter().map(response).collect(),
        };
        self.plan
            .processes
            .iter()
            .map(|p| process(&p.name))
            .collect()
    }
}

impl Evaluated {
    /// The term of the events, of the model of `over_pool` and its parameters.
    pub(super) fn term(
        &self,
        over_pool: UnbinnedChannel,
        (pool, is_renormalised): (&Sample, bool),
        parameters: &[Parameter],
    ) -> Result<EventTerm> {
        match self {
            Self::Memory(columns) => {
                let channel = over_pool.with_sample(columns.sample()?);
                let channel = channel.map_err(no_likelihood)?;
                Ok(EventTerm {
                    term: Arc::new(channel.clone()),
                    channel,
                    streamed: None,
                })
            }
            Self::File(file) => {
                let processes = over_pool.processes().to_vec();
                let policy = over_pool.policy();
                let streamed = StreamedChannel::new(processes, file.clone(), parameters, policy);
                let mut streamed = streamed.map_err(|e| match e {
                    StreamError::Source(e) => e,
                    other => no_likelihood(other),
                })?;
                if is_renormalised {
                    streamed = streamed
                        .with_renormalisation(pool.clone())
                        .map_err(no_likelihood)?;
                }
                let streamed = Arc::new(streamed);
                Ok(EventTerm {
                    term: Arc::clone(&streamed) as Arc<dyn Term>,
                    channel: over_pool,
                    streamed: Some(streamed),
                })
            }
        }
    }
}

impl EventTerm {
    /// Events whose density is below the barrier at a point.
    pub(super) fn count_not_positive(&self, at: &[f64]) -> Result<usize> {
        match &self.streamed {
            Some(streamed) => streamed.try_count_not_positive(at),
            None => Ok(self.channel.count_not_positive(at)),
        }
    }

    /// Why a likelihood of these events may have no value: a file that cannot be read.
    pub(super) fn reason(&self, at: &[f64], error: Error) -> Error {
        let read = self.streamed.iter().map(|streamed| streamed.try_value(at));
        let unread = read.filter_map(Result::err).next();
        unread.unwrap_or(error)
    }
}
