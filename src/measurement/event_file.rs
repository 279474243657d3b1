//! Weights, ratios and responses of events in a Parquet file, read block after block at
//! every evaluation of a likelihood: for data that would not fit in memory beside the
//! rest of a measurement.
//!
//! Columns are `event.weight`, `S` for the ratio of process `S` to the reference, and
//! `S.shape.down`, `S.shape.up` for its responses, all f64. A row group is a block.

use super::columns::{Columns, ProcessColumns, ResponseColumns};
use crate::error::{Context, Error, Kind, Result};
use arrow::array::{Array, Float64Array};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sideband_likelihood::{EventSource, Interpolation, Sample};
use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Events of a block: enough to keep many threads busy, a few megabytes a ratio.
pub(super) const BLOCK: usize = 1 << 17;
/// The column of weights; no process may have this name.
const WEIGHT: &str = "event.weight";

/// A file of events, or a batch of it, that cannot be decoded.
fn damaged<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |e| {
        let again = "remove it, and run the measurement again";
        Error::data(format!("{}: {e}; {again}", path.display()))
    }
}

/// A process of which a file has the ratios.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileProcess {
    /// Its name, which is that of its column.
    pub name: String,
    /// What its density responds to.
    pub responses: Vec<FileResponse>,
}

/// A response of which a file has both sides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FileResponse {
    /// The systematic uncertainty.
    pub name: String,
    /// Place of its parameter in the model.
    pub parameter: usize,
    /// How it is interpolated.
    pub interpolation: Interpolation,
}

/// Events in a file, with what their columns mean.
#[derive(Clone, Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    processes: Arc<Vec<FileProcess>>,
}

impl FileProcess {
    fn side(&self, response: &FileResponse, up: bool) -> String {
        format!(
            "{}.{}.{}",
            self.name,
            response.name,
            crate::settings::side(up)
        )
    }
}

/// Names and values of the columns of a block, in the order of the file.
fn named<'a>(
    processes: &'a [FileProcess],
    block: &'a Columns,
) -> impl Iterator<Item = (String, &'a Vec<f64>)> {
    let both = processes.iter().zip(&block.processes);
    let rest = both.flat_map(|(process, columns)| {
        let responses = process.responses.iter().zip(&columns.responses);
        let sides = responses.flat_map(|(response, columns)| {
            [
                (process.side(response, false), &columns.low),
                (process.side(response, true), &columns.high),
            ]
        });
        std::iter::once((process.name.clone(), &columns.ratio)).chain(sides)
    });
    std::iter::once((WEIGHT.to_owned(), &block.weights)).chain(rest)
}

/// Writes blocks of events, a row group each; there is at least one.
pub(super) struct EventWriter {
    path: PathBuf,
    processes: Arc<Vec<FileProcess>>,
    file: Option<File>,
    writer: Option<ArrowWriter<File>>,
}

impl EventWriter {
    /// A new file in place of what is there.
    pub(super) fn create(path: &Path, processes: Vec<FileProcess>) -> Result<Self> {
        // what lies there may be a link, which is not followed
        let file = match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => File::create_new(path),
        };
        let file = file.at(Kind::Data, path.display())?;
        Ok(Self {
            path: path.to_owned(),
            processes: Arc::new(processes),
            file: Some(file),
            writer: None,
        })
    }

    /// Adds a block.
    pub(super) fn write(&mut self, block: &Columns) -> Result<()> {
        let path = &self.path;
        let columns = named(&self.processes, block).map(|(name, values)| {
            let values: Arc<dyn Array> = Arc::new(Float64Array::from(values.clone()));
            (name, values)
        });
        let batch = RecordBatch::try_from_iter(columns).map_err(damaged(path))?;
        if let Some(file) = self.file.take() {
            let writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(damaged(path))?;
            self.writer = Some(writer);
        }
        if let Some(writer) = &mut self.writer {
            writer.write(&batch).map_err(damaged(path))?;
            writer.flush().map_err(damaged(path))?;
        }
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<EventFile> {
        if let Some(writer) = self.writer {
            writer.close().map_err(damaged(&self.path))?;
        }
        Ok(EventFile {
            path: self.path,
            processes: self.processes,
        })
    }
}

impl EventFile {
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
        for process in self.processes.iter() {
            let mut columns = ProcessColumns {
                ratio: self.column(batch, &process.name)?,
                responses: Vec::new(),
            };
            for response in &process.responses {
                columns.responses.push(ResponseColumns {
                    parameter: response.parameter,
                    low: self.column(batch, &process.side(response, false))?,
                    high: self.column(batch, &process.side(response, true))?,
                    interpolation: response.interpolation,
                });
            }
            block.processes.push(columns);
        }
        let place = format!("{}, after {row} events", self.path.display());
        block.sample().at(Kind::Data, place)
    }
}

impl EventSource for EventFile {
    type Error = Error;

    fn visit(&self, visit: &mut dyn FnMut(&Sample)) -> Result<()> {
        let path = &self.path;
        let file = crate::files::regular::open(path).at(Kind::Data, path.display())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_likelihood::{
        Coefficient, NotPositive, Parameter, Process, Rate, StreamedChannel, Term, UnbinnedChannel,
    };

    const EVENTS: usize = 1000;

    fn processes() -> Vec<FileProcess> {
        let response = |name: &str, parameter, interpolation| FileResponse {
            name: name.to_owned(),
            parameter,
            interpolation,
        };
        let process = |name: &str, responses| FileProcess {
            name: name.to_owned(),
            responses,
        };
        let shape = response("shape", 1, Interpolation::Code4p);
        let tail = response("tail", 2, Interpolation::Code4);
        vec![
            process("S", vec![shape.clone(), tail]),
            process("weight", vec![shape]),
        ]
    }

    fn columns() -> Columns {
        let number = |row: usize, k: usize| ((row * 37 + k * 101) % 997) as f64 / 997.0;
        let column = |k: usize, low: f64, high: f64| -> Vec<f64> {
            (0..EVENTS)
                .map(|row| low + (high - low) * number(row, k))
                .collect()
        };
        let process = |(j, process): (usize, &FileProcess)| ProcessColumns {
            ratio: column(10 * j, 0.2, 2.0),
            responses: (process.responses.iter().enumerate())
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

    fn rows(all: &Columns, rows: std::ops::Range<usize>) -> Columns {
        let some = |column: &Vec<f64>| column[rows.clone()].to_vec();
        let response = |r: &ResponseColumns| ResponseColumns {
            low: some(&r.low),
            high: some(&r.high),
            ..*r
        };
        let process = |p: &ProcessColumns| ProcessColumns {
            ratio: some(&p.ratio),
            responses: p.responses.iter().map(response).collect(),
        };
        Columns {
            weights: some(&all.weights),
            processes: all.processes.iter().map(process).collect(),
        }
    }

    fn file(folder: &Path) -> EventFile {
        let all = columns();
        let mut writer = EventWriter::create(&folder.join("events.parquet"), processes()).unwrap();
        for block in [0..1, 1..300, 300..EVENTS] {
            writer.write(&rows(&all, block)).unwrap();
        }
        writer.finish().unwrap()
    }

    fn parameters() -> Vec<Parameter> {
        let mut all = vec![Parameter::interest("mu", 1.0, (0.0, 5.0))];
        all.extend(["shape", "tail"].map(Parameter::nuisance));
        all
    }

    fn model() -> Vec<Process> {
        let process = |(text, nominal): (&str, f64)| Process {
            name: text.to_owned(),
            rate: Rate::new(
                Coefficient::parse(text, &["mu", "shape", "tail"]).unwrap(),
                nominal,
                Vec::new(),
            )
            .unwrap(),
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
        let pairs: [(Box<dyn Term>, UnbinnedChannel); 2] = [
            (Box::new(streamed()), memory.clone()),
            (
                Box::new(streamed().with_renormalisation(whole.clone()).unwrap()),
                memory
                    .with_reference(whole)
                    .and_then(UnbinnedChannel::with_renormalisation)
                    .unwrap(),
            ),
        ];
        for (streamed, memory) in &pairs {
            for at in [[1.0, 0.0, 0.0], [0.3, 1.4, -0.6], [4.0, -2.0, 0.9]] {
                let (found, expected) = (all(streamed.as_ref(), &at), all(memory, &at));
                for (found, expected) in found.iter().zip(&expected) {
                    let scale = 1e-12 * expected.abs().max(1.0);
                    assert!(
                        (found - expected).abs() <= scale,
                        "{at:?}: {found} {expected}"
                    );
                }
            }
        }
        // densities below the barrier are counted in both
        let at = [4.9, -9.0, 9.0];
        let count = streamed().try_count_not_positive(&at).unwrap();
        assert_eq!(count, pairs[0].1.count_not_positive(&at));
    }

    #[test]
    fn files_that_are_not_what_they_should_be_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let good = file(folder.path());
        let complaint = |file: &EventFile| file.visit(&mut |_| {}).unwrap_err().to_string();
        let mut other = processes();
        other[1].name = "B".to_owned();
        let other = EventFile {
            processes: Arc::new(other),
            ..good.clone()
        };
        assert!(complaint(&other).contains("no column `B` of f64"));
        let bytes = std::fs::read(&good.path).unwrap();
        std::fs::write(&good.path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(complaint(&good).contains("run the measurement again"));
        std::fs::remove_file(&good.path).unwrap();
        assert!(complaint(&good).contains("events.parquet"));
    }
}
