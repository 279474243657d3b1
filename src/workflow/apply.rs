//! An ensemble applied to events: weights of every member, the nominal weight
//! and its spread, in blocks of events, and the prediction file.

use super::plan::Plan;
use super::replicas::Replicas;
use crate::error::{Context, Error, Kind, Result, hint};
use crate::events::{EventTable, IdColumn};
use crate::settings::{Combine, Method};
use crate::training::{FeatureScaling, Member};
use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, UInt64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sideband_networks::{Compute, DeviceError, EVALUATION_CHUNK, Network, Predictor, Row};
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group of a prediction file: bounds the writer's memory at
/// 4 bytes a row and member.
const ROW_GROUP: usize = 1 << 16;
/// Evaluation chunks a thread works on between two hand-overs.
const CHUNKS_PER_THREAD: usize = 4;

const UNWRITTEN: &str = "cannot write predictions";

/// The file system refused the prediction file.
pub(super) fn unwritten(error: std::io::Error) -> Error {
    Error::internal(format!("{UNWRITTEN}: {error}{}", hint(&error)))
}

/// The writer of the prediction file refused.
fn refused(error: ParquetError) -> Error {
    let hint = match &error {
        ParquetError::External(source) => source.downcast_ref().map_or("", hint),
        _ => "",
    };
    Error::internal(format!("{UNWRITTEN}: {error}{hint}"))
}

const NO_THREAD: &str = "cannot start a thread";

/// Members ready to be applied, with one-thread pools so that a member's
/// numbers do not depend on the number of threads.
pub(crate) struct Applier {
    compute: Compute,
    predictor: Predictor,
    columns: usize,
    normalisations: Vec<f64>,
    pools: Vec<rayon::ThreadPool>,
}

impl Applier {
    pub(crate) fn new(
        compute: &Compute,
        threads: usize,
        network: &Network,
        scaling: &FeatureScaling,
        members: &[Member],
    ) -> Result<Self> {
        let rows: Vec<Row> = members.iter().map(|m| m.row.clone()).collect();
        let count = if compute.is_cpu() { threads.max(1) } else { 1 };
        let pools = (0..count)
            .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
            .collect::<Result<_, _>>()
            .at(Kind::Internal, NO_THREAD)?;
        Ok(Self {
            predictor: compute
                .guard(|| Predictor::new(compute, network, &scaling.inputs(), &rows))
                .of(Kind::Internal)?,
            compute: compute.clone(),
            columns: network.config().columns(),
            normalisations: members.iter().map(|m| m.about.normalisation).collect(),
            pools,
        })
    }

    /// Rows that are handed over at once.
    pub(crate) fn block(&self) -> usize {
        self.pools.len() * CHUNKS_PER_THREAD * EVALUATION_CHUNK
    }

    /// normalisation * exp(output) of every member: features `[n, D]` give
    /// pieces of consecutive rows, each `[E, rows of the piece]`.
    fn ratios(&self, features: &[f32]) -> Result<Vec<Vec<f64>>> {
        let rows = features.len() / self.columns;
        let piece = rows
            .div_ceil(self.pools.len())
            .next_multiple_of(EVALUATION_CHUNK);
        std::thread::scope(|scope| {
            let handles: Vec<_> = features
                .chunks(piece * self.columns)
                .zip(&self.pools)
                .map(|(features, pool)| {
                    scope.spawn(move || {
                        let output = || self.compute.guard(|| self.predictor.output(features));
                        let output = pool.install(output)?;
                        let rows = features.len() / self.columns;
                        let members = output.chunks(rows.max(1)).zip(&self.normalisations);
                        let ratio = |(row, scale): (&[f32], &f64)| -> Vec<f64> {
                            row.iter().map(|q| scale * f64::from(*q).exp()).collect()
                        };
                        Ok::<_, DeviceError>(members.flat_map(ratio).collect())
                    })
                })
                .collect();
            handles
                .into_iter()
                .map(|handle| {
                    let died = |_| Error::internal("a thread panicked").at(NO_THREAD);
                    handle.join().map_err(died)?.of(Kind::Internal)
                })
                .collect()
        })
    }

    /// Calls `take(first row, member ratios of the row)` for every row, in order.
    /// `features`: as they were read, `[N, D]`.
    pub(crate) fn for_each(
        &self,
        features: &[f32],
        mut take: impl FnMut(usize, &[f64]) -> Result<()>,
    ) -> Result<()> {
        let members = self.normalisations.len();
        let mut ratios = vec![0.0; members];
        let mut row = 0;
        for block in features.chunks(self.block() * self.columns) {
            for piece in self.ratios(block)? {
                let rows = piece.len() / members.max(1);
                for i in 0..rows {
                    for (m, ratio) in ratios.iter_mut().enumerate() {
                        *ratio = piece[m * rows + i];
                    }
                    take(row, &ratios)?;
                    row += 1;
                }
            }
        }
        Ok(())
    }
}

/// Mean, standard deviation (with n - 1) and median of replica weights.
pub(super) fn summarise(weights: &[f64], scratch: &mut Vec<f64>) -> (f64, f64, f64) {
    let n = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let variance = if weights.len() > 1 {
        weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / (n - 1.0)
    } else {
        0.0
    };
    scratch.clear();
    scratch.extend_from_slice(weights);
    let middle = scratch.len() / 2;
    let (below, upper, _) = scratch.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    let median = match lower {
        Some(lower) if weights.len().is_multiple_of(2) => 0.5 * (lower + *upper),
        _ => *upper,
    };
    (mean, variance.sqrt(), median)
}

/// An event as it comes out of the ensemble.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predicted {
    /// Nominal value.
    pub nominal: f64,
    /// Standard deviation over replicas.
    pub spread: f64,
    /// Median over replicas.
    pub median: f64,
}

/// How replicas become an event's numbers.
pub(super) struct Combiner<'a> {
    pub replicas: &'a Replicas,
    pub combine: Combine,
    values: Vec<f64>,
    scratch: Vec<f64>,
}

impl<'a> Combiner<'a> {
    pub(super) fn new(replicas: &'a Replicas, combine: Combine) -> Self {
        Self {
            replicas,
            combine,
            values: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The event's numbers, and the replicas behind them.
    pub(super) fn event(
        &mut self,
        member_values: &[f64],
        key: u64,
        trained: bool,
    ) -> (Predicted, &[f64]) {
        self.replicas
            .combine(member_values, key, trained, &mut self.values);
        let (mean, spread, median) = summarise(&self.values, &mut self.scratch);
        let predicted = Predicted {
            nominal: match self.combine {
                Combine::Mean => mean,
                Combine::Median => median,
            },
            spread,
            median,
        };
        (predicted, &self.values)
    }
}

/// Sums of weights in the training region that turn a weight into a ratio of
/// densities.
pub(super) fn yields(plan: &Plan) -> [f64; 2] {
    if let Some(stream) = &plan.stream {
        return [0, 1].map(|class| stream.classes[class].total);
    }
    [0, 1].map(|class: usize| plan.sample.classes()[class].weights.iter().sum())
}

/// Statistical errors of [`yields`], of source and target.
pub(super) fn training_errors(plan: &Plan) -> [f64; 2] {
    let classes = plan.sample.classes();
    let share = |class: usize| match &plan.stream {
        // the events in memory are this share of all, their weights that of all
        Some(stream) => stream.classes[class].share,
        None => 1.0,
    };
    [0, 1].map(|class: usize| {
        let squares = classes[class].weights.iter().map(|w| w * w);
        (squares.sum::<f64>() * share(class)).sqrt()
    })
}

/// What a column of the prediction file holds, for one event.
pub(super) fn column_factor(method: Method, weight: f64, yields: [f64; 2]) -> f64 {
    match method {
        // events: the weight that stands for the target's yield
        Method::Reweight => weight,
        // the ratio of densities p_t / p_s itself
        Method::Ratio | Method::Measure => yields[0] / yields[1],
        // samples are events: their weight is their own
        Method::Interpolate => weight,
    }
}

/// Writes predictions row by row: id columns, the regions (if any), `weight`
/// (the event's own), `nominal`, `spread`, `median`, and `member_NNN`.
pub(super) struct PredictionWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    regions: usize,
    /// Events that are not written yet.
    ids: Vec<IdColumn>,
    flags: Vec<u64>,
    weights: Vec<f64>,
    numbers: [Vec<f64>; 3],
    members: Vec<Vec<f32>>,
    /// Which of the events have a prediction, if some have none.
    predicted: Option<Vec<bool>>,
}

impl<W: Write + Send> PredictionWriter<W> {
    /// A writer of events that are named like those of `table`; `has_nulls`: some of
    /// them have no prediction.
    pub(super) fn new(
        output: W,
        table: &EventTable,
        regions: &[String],
        members: &[Member],
        has_nulls: bool,
    ) -> Result<Self> {
        let names = table.ids.names();
        let id = |c: &IdColumn| {
            let kind = if c.signed {
                DataType::Int64
            } else {
                DataType::UInt64
            };
            Field::new(&c.name, kind, false)
        };
        let mut fields: Vec<Field> = names.iter().map(id).collect();
        let region = |r: &String| Field::new(format!("in_{r}"), DataType::Boolean, false);
        fields.extend(regions.iter().map(region));
        fields.push(Field::new("weight", DataType::Float64, false));
        let number = |n: &str| Field::new(n, DataType::Float64, has_nulls);
        fields.extend(["nominal", "spread", "median"].map(number));
        let member = |m: &Member| {
            let name = format!("member_{:04}", m.about.member);
            Field::new(name, DataType::Float32, has_nulls)
        };
        fields.extend(members.iter().map(member));
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(refused)?))
            .set_dictionary_enabled(false)
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties));
        Ok(Self {
            writer: writer.map_err(refused)?,
            schema,
            regions: regions.len(),
            ids: names,
            flags: Vec::new(),
            weights: Vec::new(),
            numbers: Default::default(),
            members: vec![Vec::new(); members.len()],
            predicted: has_nulls.then(Vec::new),
        })
    }

    /// Appends an event without a prediction, to a writer that can have such.
    pub(super) fn push_null(&mut self, table: &EventTable, row: usize) -> Result<()> {
        let event = Predicted {
            nominal: 0.0,
            spread: 0.0,
            median: 0.0,
        };
        self.append(table, row, event, std::iter::repeat(0.0), false)
    }

    /// Appends an event of a table.
    pub(super) fn push(
        &mut self,
        table: &EventTable,
        row: usize,
        event: Predicted,
        member_values: impl Iterator<Item = f64>,
    ) -> Result<()> {
        self.append(table, row, event, member_values, true)
    }

    fn append(
        &mut self,
        table: &EventTable,
        row: usize,
        event: Predicted,
        member_values: impl Iterator<Item = f64>,
        is_predicted: bool,
    ) -> Result<()> {
        if let Some(predicted) = &mut self.predicted {
            predicted.push(is_predicted);
        }
        for (to, value) in self.ids.iter_mut().zip(table.ids.values(row)) {
            to.bits.push(value);
        }
        self.flags.push(table.flags[row]);
        self.weights.push(table.weights[row]);
        let numbers = [event.nominal, event.spread, event.median];
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            column.push(value);
        }
        for (column, value) in self.members.iter_mut().zip(member_values) {
            column.push(value as f32);
        }
        if self.flags.len() >= 8192 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for column in &mut self.ids {
            let bits = std::mem::take(&mut column.bits);
            arrays.push(if column.signed {
                Arc::new(bits.into_iter().map(|b| b as i64).collect::<Int64Array>())
            } else {
                Arc::new(UInt64Array::from(bits))
            });
        }
        let flags = std::mem::take(&mut self.flags);
        for region in 0..self.regions {
            let inside: Vec<bool> = flags.iter().map(|f| f >> region & 1 == 1).collect();
            arrays.push(Arc::new(BooleanArray::from(inside)));
        }
        arrays.push(Arc::new(Float64Array::from(std::mem::take(
            &mut self.weights,
        ))));
        let predicted = self.predicted.as_mut().map(std::mem::take);
        let nulls = predicted.map(NullBuffer::from);
        for column in &mut self.numbers {
            let values = std::mem::take(column).into();
            let array = Float64Array::try_new(values, nulls.clone());
            arrays.push(Arc::new(array.at(Kind::Internal, UNWRITTEN)?));
        }
        for column in &mut self.members {
            let values = std::mem::take(column).into();
            let array = Float32Array::try_new(values, nulls.clone());
            arrays.push(Arc::new(array.at(Kind::Internal, UNWRITTEN)?));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays);
        let batch = batch.at(Kind::Internal, UNWRITTEN)?;
        self.writer.write(&batch).map_err(refused)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close().map_err(refused)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_median_of_replicas() {
        let mut scratch = Vec::new();
        assert_eq!(summarise(&[1.0, 5.0, 3.0], &mut scratch), (3.0, 2.0, 3.0));
        assert_eq!(summarise(&[1.0, 2.0], &mut scratch).2, 1.5);
        assert_eq!(summarise(&[4.0], &mut scratch), (4.0, 0.0, 4.0));
    }
}
