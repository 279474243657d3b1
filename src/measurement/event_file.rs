//! Ratios of the events that are measured: in memory, or in a Parquet file that is read
//! block after block at every evaluation of a likelihood, for data that would not fit in
//! memory beside the rest of a measurement.
//!
//! Columns are `event.weight`, `S` for the ratio of process `S` to the reference, and
//! `S.shape.down`, `S.shape.up` for its responses, all f64.

use super::events::Events;
use super::model::{Analysis, no_likelihood};
use super::ratios::{Columns, ProcessColumns, Ratios, Response, ResponseColumns};
use crate::error::{Context, Error, Kind, Result};
use crate::files::{Sink, regular};
use crate::rundir::RunDirectory;
use crate::settings::side;
use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sideband_likelihood::{
    EventSource, Parameter, Sample, StreamError, StreamedChannel, Term, UnbinnedChannel,
};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The file of events that are streamed.
pub(super) const EVENTS: &str = "events.parquet";
/// Events of a block: enough to keep many threads busy, a few megabytes a ratio.
const BLOCK: usize = 1 << 17;
/// The column of weights; no process may have this name.
const WEIGHT: &str = "event.weight";

/// Events with their ratios.
pub(super) enum Evaluated {
    Memory(Columns),
    File(EventFile),
}

/// Events in a file, with what its columns mean: processes and what they respond to.
#[derive(Clone, Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    processes: Arc<Vec<(String, Vec<Response>)>>,
    /// Why it could not be read.
    failed: Arc<OnceLock<Error>>,
}

/// What the events add to the likelihood.
pub(super) struct EventTerm {
    pub term: Arc<dyn Term>,
    /// The channel, over the events or, if they are streamed, over those of the reference.
    pub channel: UnbinnedChannel,
    /// The streamed events, and why they could not be read.
    streamed: Option<Streamed>,
}

/// A channel that reads its events, and why it could not.
type Streamed = (Arc<StreamedChannel<EventFile>>, Arc<OnceLock<Error>>);

impl Analysis<'_> {
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
        let processes = self.plan.measured();
        let processes = processes.map(|p| (p.name.clone(), self.responses(&p.name)));
        let width = events.features.len() / events.len();
        let features = events.features.chunks(BLOCK * width);
        let blocks = features.zip(events.weights.chunks(BLOCK));
        let blocks =
            blocks.map(|(features, weights)| self.learned(ratios, features, weights.to_vec()));
        let file = EventFile::write(&root.path().join(EVENTS), processes.collect(), blocks)?;
        Ok(Evaluated::File(file))
    }
}

impl Evaluated {
    /// The term of the events, of the model of `over_pool` and its parameters. The density is
    /// divided by its integral over `normalising`, where it is.
    pub(super) fn term(
        &self,
        over_pool: UnbinnedChannel,
        normalising: Option<Sample>,
        parameters: &[Parameter],
    ) -> Result<EventTerm> {
        let file = match self {
            Self::Memory(columns) => {
                let channel = over_pool.with_sample(columns.sample()?);
                let channel = channel.map_err(no_likelihood)?;
                return Ok(EventTerm {
                    term: Arc::new(channel.clone()),
                    channel,
                    streamed: None,
                });
            }
            Self::File(file) => file.clone(),
        };
        let failed = Arc::clone(&file.failed);
        let (processes, policy) = (over_pool.processes().to_vec(), over_pool.policy());
        let mut streamed =
            StreamedChannel::new(processes, file, parameters, policy).map_err(|e| match e {
                StreamError::Source(e) => e,
                other => no_likelihood(other),
            })?;
        if let Some(pool) = normalising {
            streamed = streamed.with_renormalisation(pool).map_err(no_likelihood)?;
        }
        let streamed = Arc::new(streamed);
        Ok(EventTerm {
            term: Arc::clone(&streamed) as Arc<dyn Term>,
            channel: over_pool,
            streamed: Some((streamed, failed)),
        })
    }
}

impl EventTerm {
    /// Events whose density is below the barrier at a point.
    pub(super) fn count_not_positive(&self, at: &[f64]) -> Result<usize> {
        match &self.streamed {
            Some((streamed, _)) => streamed.try_count_not_positive(at),
            None => Ok(self.channel.count_not_positive(at)),
        }
    }

    /// Why the likelihood of these events had no value, if a file could not be read.
    pub(super) fn unread(&self) -> Option<&Error> {
        self.streamed.as_ref().and_then(|(_, failed)| failed.get())
    }
}

/// A file of events, or a batch of it, that cannot be decoded.
fn damaged<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |e| {
        let again = "remove it, and run the measurement again";
        Error::data(format!("{}: {e}; {again}", path.display()))
    }
}

/// Name of the column of one side of a response.
fn side_name(process: &str, response: &Response, up: bool) -> String {
    format!("{process}.{}.{}", response.name, side(up))
}

impl EventFile {
    /// Writes blocks of events in place of what is there.
    fn write(
        path: &Path,
        processes: Vec<(String, Vec<Response>)>,
        blocks: impl Iterator<Item = Result<Columns>>,
    ) -> Result<Self> {
        let mut names = vec![WEIGHT.to_owned()];
        for (process, responses) in &processes {
            names.push(process.clone());
            let sides = responses
                .iter()
                .flat_map(|response| [(response, false), (response, true)]);
            names.extend(sides.map(|(response, up)| side_name(process, response, up)));
        }
        let fields = names.into_iter();
        let fields: Vec<Field> = fields
            .map(|name| Field::new(name, DataType::Float64, false))
            .collect();
        let mut sink = Sink::create_plain(path, path.to_string_lossy(), Schema::new(fields))?;
        for block in blocks {
            let block = block?;
            let columns = block
                .list()
                .into_iter()
                .map(|column| -> ArrayRef { Arc::new(Float64Array::from(column.clone())) });
            sink.push(columns.collect())?;
        }
        sink.finish()?;
        Ok(Self {
            path: path.to_owned(),
            processes: Arc::new(processes),
            failed: Arc::default(),
        })
    }

    /// The numbers of a column of a block.
    fn column(&self, batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
        let array = batch.column_by_name(name);
        let numbers = array.and_then(|array| array.as_any().downcast_ref::<Float64Array>());
        let whole = numbers.filter(|numbers| numbers.null_count() == 0);
        let missing = || {
            Error::data(format!(
                "{} has no column `{name}` of f64 without nulls; remove it, and run the \
                 measurement again",
                self.path.display()
            ))
        };
        Ok(whole.ok_or_else(missing)?.values().to_vec())
    }

    fn block(&self, batch: &RecordBatch, row: usize) -> Result<Sample> {
        let mut block = Columns {
            weights: self.column(batch, WEIGHT)?,
            processes: Vec::new(),
        };
        for (process, responses) in self.processes.iter() {
            let mut columns = ProcessColumns {
                ratio: self.column(batch, process)?,
                responses: Vec::new(),
            };
            for response in responses {
                let side = |up| self.column(batch, &side_name(process, response, up));
                columns.responses.push(ResponseColumns {
                    parameter: response.parameter,
                    low: side(false)?,
                    high: side(true)?,
                    interpolation: response.interpolation,
                });
            }
            block.processes.push(columns);
        }
        let place = format!("{}, after {row} events", self.path.display());
        block.sample().at(Kind::Data, place)
    }

    fn read(&self, visit: &mut dyn FnMut(&Sample)) -> Result<()> {
        let path = &self.path;
        let file = regular::open(path).at(Kind::Data, path.display())?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|reader| reader.with_batch_size(BLOCK).build())
            .map_err(damaged(path))?;
        let mut row = 0;
        for batch in reader {
            let batch = batch.map_err(damaged(path))?;
            visit(&self.block(&batch, row)?);
            row += batch.num_rows();
        }
        Ok(())
    }
}

impl EventSource for EventFile {
    type Error = Error;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<()> {
        self.read(visit).inspect_err(|error| {
            // the first reason is kept
            let _ = self.failed.set(error.clone());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_likelihood::{Coefficient, Interpolation, NotPositive, Process, Rate};

    const EVENTS: usize = 1000;

    fn processes() -> Vec<(String, Vec<Response>)> {
        let response = |name: &str, parameter, interpolation| Response {
            name: name.to_owned(),
            parameter,
            interpolation,
        };
        let shape = response("shape", 1, Interpolation::Code4p);
        let tail = response("tail", 2, Interpolation::Code4);
        vec![
            ("S".to_owned(), vec![shape.clone(), tail]),
            ("weight".to_owned(), vec![shape]),
        ]
    }

    fn columns() -> Columns {
        let number = |row: usize, k: usize| ((row * 37 + k * 101) % 997) as f64 / 997.0;
        let column = |k: usize, low: f64, high: f64| -> Vec<f64> {
            (0..EVENTS)
                .map(|row| low + (high - low) * number(row, k))
                .collect()
        };
        let process = |(j, (_, responses)): (usize, &(String, Vec<Response>))| ProcessColumns {
            ratio: column(10 * j, 0.2, 2.0),
            responses: (responses.iter().enumerate())
                .map(|(k, r)| ResponseColumns {
                    parameter: r.parameter,
                    low: column(10 * j + 2 * k + 1, 0.8, 1.0),
                    high: column(10 * j + 2 * k + 2, 1.0, 1.3),
                    interpolation: r.interpolation,
                })
                .collect(),
        };
        Columns {
            weights: column(99, -0.1, 1.5),
            processes: processes().iter().enumerate().map(process).collect(),
        }
    }

    fn file(folder: &Path) -> EventFile {
        let blocks = [0..1, 1..300, 300..EVENTS];
        let blocks = blocks.map(|rows| Ok(columns().each(|column| column[rows.clone()].to_vec())));
        EventFile::write(
            &folder.join("events.parquet"),
            processes(),
            blocks.into_iter(),
        )
        .unwrap()
    }

    fn parameters() -> Vec<Parameter> {
        let mut all = vec![Parameter::interest("mu", 1.0, (0.0, 5.0))];
        all.extend(["shape", "tail"].map(Parameter::nuisance));
        all
    }

    fn model() -> Vec<Process> {
        let process = |(text, nominal): (&str, f64)| {
            let coefficient = Coefficient::parse(text, &["mu", "shape", "tail"]).unwrap();
            Process {
                name: text.to_owned(),
                rate: Rate::new(coefficient, nominal, Vec::new()).unwrap(),
            }
        };
        [("mu", 300.0), ("1 - 0.1*mu", 500.0)].map(process).to_vec()
    }

    fn all(term: &dyn Term, at: &[f64]) -> Vec<f64> {
        let (mut gradient, mut hessian) = (vec![0.0; 3], vec![0.0; 9]);
        let value = term.hessian(at, &mut gradient, &mut hessian);
        let mut first = vec![0.0; 3];
        let again = term.gradient(at, &mut first);
        let derivatives = [gradient, hessian, first].concat();
        [vec![value, again, term.value(at)], derivatives].concat()
    }

    #[test]
    fn events_of_a_file_are_those_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let policy = NotPositive::Barrier { relative: 1e-3 };
        let whole = columns().sample().unwrap();
        let memory = UnbinnedChannel::new(model(), whole.clone(), &parameters()).unwrap();
        let memory = memory.with_policy(policy).unwrap();
        let streamed =
            || StreamedChannel::new(model(), file(folder.path()), &parameters(), policy).unwrap();
        let normalised = memory
            .clone()
            .with_reference(whole.clone())
            .and_then(UnbinnedChannel::with_renormalisation);
        for (streamed, memory) in [
            (streamed(), &memory),
            (
                streamed().with_renormalisation(whole).unwrap(),
                &normalised.unwrap(),
            ),
        ] {
            for at in [[1.0, 0.0, 0.0], [0.3, 1.4, -0.6], [4.0, -2.0, 0.9]] {
                let both = all(&streamed, &at).into_iter().zip(all(memory, &at));
                for (found, expected) in both {
                    let scale = 1e-12 * expected.abs().max(1.0);
                    let text = format!("{at:?}: {found} {expected}");
                    assert!((found - expected).abs() <= scale, "{text}");
                }
            }
        }
        // densities below the barrier are counted in both
        let at = [4.9, -9.0, 9.0];
        let count = streamed().try_count_not_positive(&at).unwrap();
        assert_eq!(count, memory.count_not_positive(&at));
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let good = file(folder.path());
        let complaint = |file: &EventFile| file.visit(&mut |_| {}).unwrap_err().to_string();
        let mut other = processes();
        other[1].0 = "B".to_owned();
        let other = EventFile {
            processes: Arc::new(other),
            ..file(folder.path())
        };
        assert!(complaint(&other).contains("no column `B` of f64"));
        // a term says why it has no value
        let columns = columns();
        let channel = UnbinnedChannel::new(model(), columns.sample().unwrap(), &parameters());
        let evaluated = Evaluated::File(good.clone());
        let term = evaluated
            .term(channel.unwrap(), None, &parameters())
            .unwrap();
        assert!(term.term.value(&[1.0, 0.0, 0.0]).is_finite() && term.unread().is_none());
        let bytes = std::fs::read(&good.path).unwrap();
        std::fs::write(&good.path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(term.term.value(&[1.0, 0.0, 0.0]).is_nan());
        let unread = term.unread().unwrap().to_string();
        assert!(unread.contains("run the measurement again"), "{unread}");
        std::fs::remove_file(&good.path).unwrap();
        assert!(complaint(&good).contains("events.parquet"));
        // the first reason is kept
        assert_eq!(term.unread().unwrap().to_string(), unread);
    }
}
