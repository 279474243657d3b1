//! Sampled events as a file, and what is kept of them for figures.
//!
//! `predictions/samples.parquet` has a row a sampled event of a member, in the
//! shape of a reweighted background: `weight`, `nominal`, `spread` and a column a
//! member. A sample belongs to one member, whose column holds its weight; the others'
//! hold 0. So a histogram of a member column is that member's prediction and a
//! histogram of `nominal` their mean. There is no `median`: over members it is 0.

use super::plan::InterpolationPlan;
use super::points::Drawn;
use super::predict::{Piece, noise};
use crate::error::{Error, Result, hint};
use crate::results::FigureData;
use crate::training::Member;
use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sideband_networks::FlowSampler;
use std::fmt::Display;
use std::io::Write;
use std::sync::Arc;

/// Rows of a row group.
const ROW_GROUP: usize = 1 << 18;

/// The file of samples could not be written.
pub(super) fn failed(error: impl Display) -> Error {
    let text = error.to_string();
    // the writer hides the system's error in its own
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let hint = if text.contains("os error 28") {
        hint(&full)
    } else {
        ""
    };
    Error::internal(text + hint).at("predictions/samples.parquet")
}

/// Writes pieces as they come.
pub(super) struct SampleWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    regions: usize,
    members: usize,
}

impl<W: Write + Send> SampleWriter<W> {
    pub(super) fn new(output: W, plan: &InterpolationPlan, members: &[Member]) -> Result<Self> {
        let mut fields = vec![
            Field::new("point", DataType::UInt64, false),
            Field::new("plane_bin", DataType::UInt32, false),
        ];
        let category = plan.interpolation().category.as_ref();
        let column = |name: &String| {
            // A category is a value of the configuration, and is written as it is there.
            let kind = match category.is_some_and(|category| category.column == *name) {
                true => DataType::Float64,
                false => DataType::Float32,
            };
            Field::new(name, kind, false)
        };
        fields.extend(plan.columns.names.iter().map(column));
        for (region, _) in &plan.columns.regions {
            if let Some((name, _)) = plan.config.regions.get_index(*region) {
                fields.push(Field::new(format!("in_{name}"), DataType::Boolean, false));
            }
        }
        let number = |name: &str| Field::new(name, DataType::Float64, false);
        fields.extend(["weight", "nominal", "spread"].map(number));
        fields.extend(members.iter().map(|m| {
            let name = format!("member_{:04}", m.about.member);
            Field::new(name, DataType::Float32, false)
        }));
        let schema = Arc::new(Schema::new(fields));
        let level = ZstdLevel::try_new(3).map_err(failed)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        Ok(Self {
            writer: ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties))
                .map_err(failed)?,
            schema,
            regions: plan.columns.regions.len(),
            members: members.len(),
        })
    }

    pub(super) fn push(&mut self, drawn: &Drawn, piece: &Piece) -> Result<()> {
        for (member, events) in piece.members.iter().enumerate() {
            let rows = events.points.len();
            if rows == 0 {
                continue;
            }
            let points: Vec<_> = events
                .points
                .iter()
                .map(|p| drawn.points[piece.first + *p as usize])
                .collect();
            let weights: Vec<f64> = points
                .iter()
                .map(|p| drawn.categories[p.category].weight)
                .collect();
            let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
            let index = points.iter().map(|p| p.index).collect::<Vec<u64>>();
            arrays.push(Arc::new(UInt64Array::from(index)));
            let bins = points.iter().map(|p| p.bin as u32).collect::<Vec<u32>>();
            arrays.push(Arc::new(UInt32Array::from(bins)));
            for column in &events.columns {
                let is_category = *self.schema.field(arrays.len()).data_type() == DataType::Float64;
                arrays.push(match is_category {
                    true => Arc::new(Float64Array::from(column.clone())),
                    false => {
                        let values = column.iter().map(|x| *x as f32).collect::<Vec<f32>>();
                        Arc::new(Float32Array::from(values))
                    }
                });
            }
            for region in 0..self.regions {
                let inside: Vec<bool> = events.flags.iter().map(|f| f >> region & 1 == 1).collect();
                arrays.push(Arc::new(BooleanArray::from(inside)));
            }
            // mean and standard deviation over members of (w, 0, 0, ...)
            let n = self.members as f64;
            let spread = |w: &f64| w / n.sqrt();
            let numbers: [Vec<f64>; 3] = [
                weights.clone(),
                weights.iter().map(|w| w / n).collect(),
                weights.iter().map(spread).collect(),
            ];
            for numbers in numbers {
                arrays.push(Arc::new(Float64Array::from(numbers)));
            }
            for other in 0..self.members {
                let values: Vec<f32> = if other == member {
                    weights.iter().map(|w| *w as f32).collect()
                } else {
                    vec![0.0; rows]
                };
                arrays.push(Arc::new(Float32Array::from(values)));
            }
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(failed)?;
            self.writer.write(&batch).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        self.writer.close().map_err(failed)?;
        Ok(())
    }
}

/// Points that are followed through the flow.
const TRACED: usize = 2500;
/// Stages that are drawn, noise and result included.
const STAGES: usize = 6;
/// Most observed events that are kept.
const OBSERVED: usize = 4000;

impl FigureData {
    pub(super) fn new(
        plan: &InterpolationPlan,
        sampler: &FlowSampler,
        drawn: &Drawn,
        sampled: &[Vec<f32>],
    ) -> Result<Self> {
        let variables = &plan.interpolation().variables;
        let d = variables.len();
        let region = plan.columns.regions.first().map_or(0, |(index, _)| *index);
        let mut observed = vec![Vec::new(); d];
        if plan.blinding.shows(region) {
            for row in plan.target.in_region(region).take(OBSERVED) {
                let features = plan.target.features(row).iter().zip(variables);
                for (column, (y, variable)) in observed.iter_mut().zip(features) {
                    column.push(round(variable.transform.inverse(f64::from(*y))));
                }
            }
        }
        let step = (drawn.points.len() / TRACED).max(1);
        let points: Vec<_> = drawn.points.iter().step_by(step).take(TRACED).collect();
        let noise: Vec<f32> = points.iter().flat_map(|p| noise(plan, **p)).collect();
        let context: Vec<f32> = points
            .iter()
            .flat_map(|p| plan.context(p.masses, p.category))
            .collect();
        let trace = if sampler.members() > 0 && !points.is_empty() {
            sampler.trace(0, &noise, &context)
        } else {
            Vec::new()
        };
        let columns = |rows: &[f32]| -> Vec<Vec<f32>> {
            let column = |k| rows.iter().skip(k).step_by(d);
            (0..d)
                .map(|k| column(k).map(|x| round(f64::from(*x))).collect())
                .collect()
        };
        let last = trace.len().saturating_sub(1);
        let mut chosen: Vec<usize> = (0..STAGES).map(|k| k * last / (STAGES - 1)).collect();
        chosen.dedup();
        let training: Vec<f32> = plan.sample.classes()[0]
            .rows
            .iter()
            .take(TRACED)
            .flat_map(|row| {
                let features = plan.sample.inputs().row(*row as usize).iter().take(d);
                let scaling = plan.scaling.mean.iter().zip(&plan.scaling.scale);
                features
                    .zip(scaling)
                    .map(|(x, (mean, scale))| ((f64::from(*x) - mean) / scale) as f32)
            })
            .collect();
        Ok(Self {
            labels: variables
                .iter()
                .map(|v| v.label.clone().unwrap_or_else(|| v.name.clone()))
                .collect(),
            observed,
            sampled: sampled
                .iter()
                .map(|c| c.iter().map(|x| round(f64::from(*x))).collect())
                .collect(),
            stages: chosen
                .iter()
                .map(|k| match *k {
                    0 => "Noise".to_owned(),
                    k if k == last => "Prediction".to_owned(),
                    k => format!("{k} of {last} steps"),
                })
                .collect(),
            steps: chosen
                .iter()
                .filter_map(|k| trace.get(*k).map(|rows| columns(rows)))
                .collect(),
            training: columns(&training),
        })
    }
}

/// Four significant digits, which a figure does not show; anything not finite
/// becomes 0, which JSON can hold.
fn round(x: f64) -> f32 {
    if x == 0.0 || !x.is_finite() {
        return 0.0;
    }
    let digits = 10f64.powi(3 - x.abs().log10().floor() as i32);
    ((x * digits).round() / digits) as f32
}
