//! What a measurement asks of a model with known truth, by the names of its configuration,
//! and the interference model's answers.

use super::gaussian::{DIMENSIONS, Point};
use super::{Count, Interference, InterferenceConfig, Nuisance, Process, Side, Truth};
use crate::error::{Context, Error, Kind, Result};
use crate::files::Sink;
use crate::settings::{GeneratedModel, RatioName};
use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use indexmap::IndexMap;
use serde_json::Value;
use sideband_numerics::random::Key;
use std::path::Path;
use std::sync::Arc;

/// Events drawn and written at once.
const CHUNK: usize = 65_536;

/// A model whose samples are drawn from closed-form densities, with which learned ratios are
/// compared. Points are values of its parameters by name; features are `[n, D]` as its files
/// have them.
pub(crate) trait World {
    /// What it is made of, for the record beside its samples.
    fn settings(&self) -> Result<Value>;

    /// The nominal point: all parameters, that of interest first.
    fn nominal(&self) -> IndexMap<String, f64>;

    /// Whether events can be drawn at a point.
    fn check(&self, at: &IndexMap<String, f64>) -> Result<()>;

    /// Names of the files of simulated events.
    fn files(&self) -> Vec<String>;

    /// Writes `n` events of the file of this number. Files of one `key` are independent of
    /// each other; no two events of them have one id, for fewer than 2^32 events each. The
    /// weights add up to the expected events.
    fn write(&self, path: &Path, number: usize, n: usize, key: Key) -> Result<()>;

    /// Writes a data set: a Poisson number of events at a point, each of weight one.
    fn write_data(&self, path: &Path, at: &IndexMap<String, f64>, key: Key) -> Result<()>;

    /// About `n` events of a sum of processes.
    fn reference_events(&self, reference: &[String], n: usize, key: Key) -> Vec<f32>;

    /// A ratio of densities at events, `[n]`, that of a process to a sum of processes.
    fn exact_ratio(
        &self,
        name: &RatioName,
        reference: &[String],
        features: &[f32],
    ) -> Result<Vec<f64>>;

    /// Expected events at a point, and the ratio of the density there to that of a sum of
    /// processes, `[n]`.
    fn expectation(
        &self,
        at: &IndexMap<String, f64>,
        reference: &[String],
        features: &[f32],
    ) -> Result<(f64, Vec<f64>)>;
}

/// The model that a configuration names.
pub(crate) fn open(model: GeneratedModel) -> Result<Box<dyn World>> {
    match model {
        GeneratedModel::Interference => {
            let model = Interference::new(InterferenceConfig::default());
            Ok(Box::new(model.key(Kind::Config, "generate")?))
        }
    }
}

impl dyn World + '_ {
    /// The nominal point with the values that the configuration has at `key`, of nuisance
    /// parameters alone or of all.
    pub(crate) fn point(
        &self,
        key: &str,
        is_nuisance: bool,
        values: &IndexMap<String, f64>,
    ) -> Result<IndexMap<String, f64>> {
        let mut point = self.nominal();
        let first = usize::from(is_nuisance);
        for (name, value) in values {
            match point.get_index_of(name).filter(|place| *place >= first) {
                Some(place) => point[place] = *value,
                None => {
                    let names: Vec<&str> = point.keys().skip(first).map(String::as_str).collect();
                    let (last, others) = names.split_last().unwrap_or((&"none", &[]));
                    let what = if is_nuisance {
                        "nuisance parameter"
                    } else {
                        "parameter"
                    };
                    let text = format!(
                        "is no {what} of the model; it has {} and {last}",
                        others.join(", ")
                    );
                    return Err(Error::config_at(format!("{key}.{name}"), text));
                }
            }
        }
        Ok(point)
    }
}

fn truth(at: &IndexMap<String, f64>) -> Truth {
    let value = |name: &str, nominal| at.get(name).copied().unwrap_or(nominal);
    Truth {
        mu: value("mu", 1.0),
        shape: value("shape", 0.0),
        rate: value("rate", 0.0),
    }
}

fn points(features: &[f32]) -> impl Iterator<Item = Point> {
    let rows = features.chunks_exact(DIMENSIONS);
    rows.map(|row| std::array::from_fn(|i| f64::from(row[i])))
}

fn process(name: &str) -> Result<Process> {
    let known = Process::ALL.into_iter().find(|p| p.name() == name);
    let text = "the generated model has the processes S, SBI and B";
    known.ok_or_else(|| Error::config_at(format!("samples.{name}"), text))
}

fn among(names: &[String]) -> Vec<Process> {
    let all = Process::ALL.into_iter();
    all.filter(|p| names.iter().any(|name| name == p.name()))
        .collect()
}

/// Process and side of a file: three of each process.
fn contents(number: usize) -> (Process, Option<Side>) {
    let sides = [None, Some(Side::Up), Some(Side::Down)];
    (Process::ALL[number / 3], sides[number % 3])
}

impl World for Interference {
    fn settings(&self) -> Result<Value> {
        serde_json::to_value(self.config()).of(Kind::Internal)
    }

    fn nominal(&self) -> IndexMap<String, f64> {
        let values = [("mu", 1.0), ("shape", 0.0), ("rate", 0.0)];
        values.map(|(name, x)| (name.to_owned(), x)).into()
    }

    fn check(&self, at: &IndexMap<String, f64>) -> Result<()> {
        self.sample_at(&truth(at), Count::Fixed(0), Key::from_seed(0))
            .map(|_| ())
    }

    /// `S.parquet`, `S_shape_up.parquet`, `S_shape_down.parquet`, ...
    fn files(&self) -> Vec<String> {
        let name = |number| {
            let (process, side) = contents(number);
            let side = match side {
                None => "",
                Some(Side::Up) => "_shape_up",
                Some(Side::Down) => "_shape_down",
            };
            format!("{}{side}.parquet", process.name())
        };
        (0..3 * Process::ALL.len()).map(name).collect()
    }

    fn write(&self, path: &Path, number: usize, n: usize, key: Key) -> Result<()> {
        let (process, side) = contents(number);
        let composition = self.of_process(process, side);
        let key = key.with(number as u64);
        let rate = |side: Side| side.of(self.rates(process, Nuisance::Shape));
        let weight = self.events(process) * side.map_or(1.0, rate) / n as f64;
        let chunks = (0..n).step_by(CHUNK).map(|first| {
            let range = first..n.min(first + CHUNK);
            let events = self.draw(&composition, range.clone(), key);
            let id = |i: usize| (((number as u64) << 32) + i as u64) as i64;
            columns(&events, range.map(id).collect(), weight)
        });
        write(path, chunks)
    }

    fn write_data(&self, path: &Path, at: &IndexMap<String, f64>, key: Key) -> Result<()> {
        let events = self.sample_at(&truth(at), Count::Poisson, key)?;
        let ids = (0..events.len() as i64).collect();
        write(path, std::iter::once(columns(&events, ids, 1.0)))
    }

    fn reference_events(&self, reference: &[String], n: usize, key: Key) -> Vec<f32> {
        let reference = among(reference);
        let total: f64 = reference.iter().map(|p| self.events(*p)).sum();
        let drawn = reference.into_iter().flat_map(|process| {
            let n = (self.events(process) / total * n as f64).round() as usize;
            self.sample(process, n, key.with(process as u64))
        });
        drawn.flatten().map(|x| x as f32).collect()
    }

    fn exact_ratio(
        &self,
        name: &RatioName,
        reference: &[String],
        features: &[f32],
    ) -> Result<Vec<f64>> {
        let names = reference.iter();
        let reference: Vec<Process> = names.map(|name| process(name)).collect::<Result<_>>()?;
        Ok(match name {
            RatioName::Process(name) => {
                let process = process(name)?;
                let ratio = |x| self.ratio(process, &reference, &x);
                points(features).map(ratio).collect()
            }
            RatioName::Varied {
                process: name,
                systematic,
                up,
            } => {
                let nuisance = match systematic.as_str() {
                    "shape" => Nuisance::Shape,
                    _ => Nuisance::Rate,
                };
                let side = if *up { Side::Up } else { Side::Down };
                let process = process(name)?;
                let response = |x| self.response(process, nuisance, side, &x);
                points(features).map(response).collect()
            }
        })
    }

    fn expectation(
        &self,
        at: &IndexMap<String, f64>,
        reference: &[String],
        features: &[f32],
    ) -> Result<(f64, Vec<f64>)> {
        let (at, reference) = (truth(at), among(reference));
        let total: f64 = reference.iter().map(|p| self.events(*p)).sum();
        let expected = self.expected(&at)?;
        let composition = self.at(&at)?;
        let ratio = |x: Point| {
            let processes = reference.iter();
            let density: f64 = processes
                .map(|p| self.events(*p) * self.density(*p, &x))
                .sum();
            self.of(&composition, &x) / expected / (density / total)
        };
        Ok((expected, points(features).map(ratio).collect()))
    }
}

/// Chunks of rows as one Parquet file: `x1` to `x6` (f32), `event_id` (i64), `weight` (f64).
fn write(path: &Path, chunks: impl Iterator<Item = Vec<ArrayRef>>) -> Result<()> {
    let feature = |i| Field::new(format!("x{i}"), DataType::Float32, false);
    let mut fields: Vec<Field> = (1..=DIMENSIONS).map(feature).collect();
    fields.push(Field::new("event_id", DataType::Int64, false));
    fields.push(Field::new("weight", DataType::Float64, false));
    let mut sink = Sink::create(path, path.to_string_lossy(), Schema::new(fields))?;
    for columns in chunks {
        sink.push(columns)?;
    }
    sink.finish()
}

fn columns(events: &[Point], ids: Vec<i64>, weight: f64) -> Vec<ArrayRef> {
    let column = |d: usize| -> ArrayRef {
        let values = events.iter().map(|x| x[d] as f32);
        Arc::new(Float32Array::from_iter_values(values))
    };
    let mut columns: Vec<ArrayRef> = (0..DIMENSIONS).map(column).collect();
    columns.push(Arc::new(Int64Array::from(ids)));
    columns.push(Arc::new(Float64Array::from(vec![weight; events.len()])));
    columns
}
