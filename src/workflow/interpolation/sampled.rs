//! Drawn points of the plane and features, rebuilt into events with the columns
//! that regions and distributions are made of; and the file of them.
//!
//! `predictions/samples.parquet` has a row a sampled event of a member, in the
//! shape of a reweighted background: `weight`, `nominal`, `spread` and a column a
//! member. A sample belongs to one member, whose column holds its weight; the others'
//! hold 0. So a histogram of a member column is that member's prediction and a
//! histogram of `nominal` their mean. There is no `median`: over members it is 0.

use super::plane::Plane;
use super::points::{DrawnPoint, DrawnPoints};
use crate::error::Result;
use crate::events::ColumnChunk;
use crate::files::Sink;
use crate::settings::{CandidatesConfig, REBUILT};
use crate::training::Member;
use crate::workflow::plan::Plan;
use crate::workflow::predictions::{member_fields, region_columns, region_fields};
use arrow::array::{ArrayRef, Float32Array, Float64Array, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use std::path::Path;
use std::sync::Arc;

/// Everything of one chunk of points, member after member.
pub(super) struct SampledChunk {
    /// First point of the chunk.
    pub first: usize,
    pub members: Vec<MemberChunk>,
}

/// The events of one member that fall into a region.
pub(super) struct MemberChunk {
    /// Point of each, counted from the chunk's first.
    pub points: Vec<u32>,
    /// Regions of each, a bit each in the order of the plan's.
    pub flags: Vec<u64>,
    /// Plotted variables, `[variable][event]`.
    pub values: Vec<Vec<f64>>,
    /// All columns, `[column][event]`, in the order of [`Plane`]'s names.
    pub columns: Vec<Vec<f64>>,
    /// Events with features that are not finite.
    pub dropped: u64,
    /// Events for which the selection of a region has no value, a number each.
    pub undecided: Vec<u64>,
}

impl MemberChunk {
    /// Of points and of standardised features `[n, D]` as a flow gives them.
    pub(super) fn new(plan: &Plan, points: &[DrawnPoint], features: &[f32]) -> Result<Self> {
        let plane = plan.plane();
        let columns = rebuild(plan, points, features);
        let mut chunk = ColumnChunk::new(points.len());
        for (name, values) in plane.names.iter().zip(&columns) {
            chunk.insert(name.clone(), values.clone())?;
        }
        let mut flags = vec![0u64; points.len()];
        let mut undecided = Vec::with_capacity(plane.regions.len());
        for (bit, (_, selection)) in plane.regions.iter().enumerate() {
            let selected = selection.eval_chunk(&chunk)?;
            undecided.push(selected.iter().filter(|s| s.is_nan()).count() as u64);
            for (flags, selected) in flags.iter_mut().zip(selected.iter()) {
                *flags |= u64::from(*selected != 0.0 && !selected.is_nan()) << bit;
            }
        }
        plane.hide(&chunk, &mut flags)?;
        let d = plan.interpolation().variables.len();
        let mut dropped = 0;
        for (row, flags) in flags.iter_mut().enumerate() {
            let features = &features[row * d..(row + 1) * d];
            let is_finite = features.iter().all(|x| x.is_finite())
                && columns.iter().all(|column| column[row].is_finite());
            if !is_finite {
                dropped += 1;
                *flags = 0;
            }
        }
        let kept: Vec<usize> = (0..points.len()).filter(|i| flags[*i] != 0).collect();
        let pick = |values: &[f64]| kept.iter().map(|i| values[*i]).collect::<Vec<f64>>();
        let variables = plane.variables.iter();
        Ok(Self {
            values: variables
                .map(|compiled| Ok(pick(&compiled.eval_chunk(&chunk)?)))
                .collect::<Result<_>>()?,
            columns: columns.iter().map(|c| pick(c)).collect(),
            points: kept.iter().map(|i| *i as u32).collect(),
            flags: kept.iter().map(|i| flags[*i]).collect(),
            dropped,
            undecided,
        })
    }
}

impl Plane {
    /// Takes samples out of the regions that are not blind where the observed events of
    /// those would be hidden: what is compared is of the same events. `flags`: a bit a
    /// predicted region.
    fn hide(&self, chunk: &ColumnChunk, flags: &mut [u64]) -> Result<()> {
        for selection in &self.hidden {
            let values = selection.eval_chunk(chunk)?;
            // as for data: what cannot be decided is hidden
            for (flags, _) in flags
                .iter_mut()
                .zip(values.iter())
                .filter(|(_, x)| **x != 0.0)
            {
                *flags &= !self.open;
            }
        }
        Ok(())
    }
}

/// Columns of events, `[rows]` each.
fn rebuild(plan: &Plan, points: &[DrawnPoint], features: &[f32]) -> Vec<Vec<f64>> {
    let interpolation = plan.interpolation();
    let mut columns: Vec<Vec<f64>> = vec![
        points.iter().map(|p| p.masses[0]).collect(),
        points.iter().map(|p| p.masses[1]).collect(),
    ];
    if let Some(category) = &interpolation.category {
        let value = |p: &DrawnPoint| category.values[p.category];
        columns.push(points.iter().map(value).collect());
    }
    let rows = features.chunks(interpolation.variables.len());
    for (k, variable) in interpolation.variables.iter().enumerate() {
        let value = |row: &[f32]| variable.transform.inverse(f64::from(row[k]));
        columns.push(rows.clone().map(value).collect());
    }
    let names = &plan.plane().names;
    if let Some(candidates) = &interpolation.candidates {
        let rebuilt = four_vectors(candidates, names, &columns);
        let missing = &names[columns.len()..];
        let new = REBUILT.iter().zip(rebuilt);
        let new = new.filter(|(name, _)| missing.iter().any(|n| n == *name));
        columns.extend(new.map(|(_, values)| values));
    }
    columns
}

fn four_vectors(
    candidates: &CandidatesConfig,
    names: &[String],
    columns: &[Vec<f64>],
) -> [Vec<f64>; 7] {
    let find = |name: &String| {
        let place = names.iter().position(|n| n == name);
        &columns[place.expect("the plan was checked to have the candidates' columns")]
    };
    let [pt, eta, mass] = [&candidates.pt, &candidates.eta, &candidates.mass]
        .map(|pair| [find(&pair[0]), find(&pair[1])]);
    let dphi = find(&candidates.dphi);
    let mut result: [Vec<f64>; 7] = Default::default();
    for row in 0..dphi.len() {
        let vector = |k: usize, phi: f64| {
            let (pt, eta, m) = (pt[k][row], eta[k][row], mass[k][row]);
            let [x, y, z] = [pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()];
            [(x * x + y * y + z * z + m * m).sqrt(), x, y, z]
        };
        let (a, b) = (vector(0, 0.0), vector(1, dphi[row]));
        let [e, x, y, z] = [0, 1, 2, 3].map(|i| a[i] + b[i]);
        let squared = e * e - x * x - y * y - z * z;
        // rounding must not make a mass of nothing imaginary; NaN stays NaN
        let m_hh = if squared < 0.0 { 0.0 } else { squared.sqrt() };
        let pt_hh = x.hypot(y);
        let deta = (eta[0][row] - eta[1][row]).abs();
        let values = [
            m_hh,
            pt_hh,
            pt_hh.ln(),
            deta,
            deta.hypot(dphi[row]),
            0.0,
            dphi[row],
        ];
        for (column, value) in result.iter_mut().zip(values) {
            column.push(value);
        }
    }
    result
}

/// Writes chunks as they come.
pub(super) struct SampleWriter {
    sink: Sink,
    /// Place of the category among the columns.
    category: Option<usize>,
    regions: usize,
    members: usize,
}

impl SampleWriter {
    pub(super) fn new(path: &Path, plan: &Plan, members: &[Member]) -> Result<Self> {
        let plane = plan.plane();
        // a category is a value of the configuration, and is written as it is there
        let category = plan.interpolation().category.as_ref().map(|_| 2);
        let mut fields = vec![
            Field::new("point", DataType::UInt64, false),
            Field::new("plane_bin", DataType::UInt32, false),
        ];
        fields.extend(plane.names.iter().enumerate().map(|(place, name)| {
            let kind = match category == Some(place) {
                true => DataType::Float64,
                false => DataType::Float32,
            };
            Field::new(name, kind, false)
        }));
        let region = |(index, _): &(usize, _)| plan.config.regions.get_index(*index);
        let regions = plane.regions.iter().filter_map(region);
        fields.extend(region_fields(regions.map(|(name, _)| name)));
        let number = |name: &str| Field::new(name, DataType::Float64, false);
        fields.extend(["weight", "nominal", "spread"].map(number));
        fields.extend(member_fields(members, false));
        Ok(Self {
            sink: Sink::create(path, "predictions/samples.parquet", Schema::new(fields))?,
            category,
            regions: plane.regions.len(),
            members: members.len(),
        })
    }

    pub(super) fn push(&mut self, drawn: &DrawnPoints, chunk: &SampledChunk) -> Result<()> {
        let single = |values: &[f64]| -> ArrayRef {
            Arc::new(Float32Array::from_iter_values(
                values.iter().map(|x| *x as f32),
            ))
        };
        let double = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
        for (member, events) in chunk.members.iter().enumerate() {
            if events.points.is_empty() {
                continue;
            }
            let points = events.points.iter();
            let points = points.map(|p| drawn.points[chunk.first + *p as usize]);
            let weights = points.clone().map(|p| drawn.weight(p.category));
            let weights: Vec<f64> = weights.collect();
            let index = points.clone().map(|p| p.index);
            let bins = points.map(|p| p.bin as u32);
            let mut columns: Vec<ArrayRef> = vec![
                Arc::new(UInt64Array::from_iter_values(index)),
                Arc::new(UInt32Array::from_iter_values(bins)),
            ];
            for (place, column) in events.columns.iter().enumerate() {
                columns.push(match self.category == Some(place) {
                    true => double(column.clone()),
                    false => single(column),
                });
            }
            columns.extend(region_columns(&events.flags, self.regions));
            // mean and standard deviation over members of (w, 0, 0, ...)
            let n = self.members as f64;
            let root = n.sqrt();
            columns.push(double(weights.clone()));
            columns.push(double(weights.iter().map(|w| w / n).collect()));
            columns.push(double(weights.iter().map(|w| w / root).collect()));
            let nothing = single(&vec![0.0; weights.len()]);
            for other in 0..self.members {
                columns.push(match other == member {
                    true => single(&weights),
                    false => Arc::clone(&nothing),
                });
            }
            self.sink.push(columns)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        self.sink.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two back-to-back candidates of equal mass and momentum: m_HH = 2 E.
    #[test]
    fn four_vectors_add_up() {
        let candidates = CandidatesConfig {
            pt: ["pt1", "pt2"].map(ToOwned::to_owned),
            eta: ["eta1", "eta2"].map(ToOwned::to_owned),
            mass: ["m1", "m2"].map(ToOwned::to_owned),
            dphi: "dphi".to_owned(),
        };
        let names: Vec<String> = ["m1", "m2", "pt1", "pt2", "eta1", "eta2", "dphi"]
            .map(ToOwned::to_owned)
            .to_vec();
        let pi = std::f64::consts::PI;
        let columns = [125.0, 125.0, 300.0, 300.0, 0.0, 0.0, pi].map(|v| vec![v]);
        let rebuilt = four_vectors(&candidates, &names, &columns);
        assert!((rebuilt[0][0] - 2.0 * 300f64.hypot(125.0)).abs() < 1e-9);
        assert!(rebuilt[1][0] < 1e-9);
        assert!((rebuilt[4][0] - pi).abs() < 1e-12);
        // a boost along the beam does not change the mass
        let columns = [125.0, 125.0, 300.0, 300.0, 1.3, 1.3, pi].map(|v| vec![v]);
        let boosted = four_vectors(&candidates, &names, &columns);
        let along =
            2.0 * (300f64.powi(2) + 125f64.powi(2) + (300.0 * 1.3f64.sinh()).powi(2)).sqrt();
        let z = 2.0 * 300.0 * 1.3f64.sinh();
        assert!((boosted[0][0] - (along * along - z * z).sqrt()).abs() < 1e-9);
    }
}
