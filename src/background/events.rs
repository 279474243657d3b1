//! One sample of events, opened and read as the configuration says.

use super::plan::PlanError;
use crate::config::{Config, MissingPolicy, SampleConfig};
use crate::data::{Dataset, EventTable, FileRecord, IdSpec, OnMissing, Resolver, ScanRequest};
use std::collections::BTreeMap;
use std::path::Path;

/// A sample in memory.
#[derive(Clone, Debug)]
pub struct Sample {
    /// `source` or `target`.
    pub role: &'static str,
    /// How it is called in plots.
    pub label: String,
    /// The files it came from.
    pub files: Vec<FileRecord>,
    /// Its selected events; features as read, not standardised.
    pub table: EventTable,
    /// Whether events are named by file and row for want of id columns.
    pub ids_by_row: bool,
}

/// Names and expressions of what is read beside weights and ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub features: Vec<(String, String)>,
    pub columns: Vec<(String, String)>,
}

/// Regions whose target events may be looked at.
pub fn unblinded_regions(config: &Config, unblind: bool) -> impl Iterator<Item = (usize, &str)> {
    config
        .regions
        .iter()
        .enumerate()
        .filter(move |(_, (_, region))| unblind || !region.blind)
        .map(|(i, (name, _))| (i, name.as_str()))
}

/// All inputs of the networks, as (name, expression): the listed ones, then one
/// for each value of each one-hot column.
pub(super) fn inputs(config: &Config) -> Vec<(String, String)> {
    let listed = config
        .features
        .inputs
        .iter()
        .map(|text| (text.clone(), text.clone()));
    let one_hot = config.features.one_hot.iter().flat_map(|(column, values)| {
        values.iter().map(move |value| {
            let text = format!("{column} == {value:?}");
            (text.clone(), text)
        })
    });
    listed.chain(one_hot).collect()
}

impl Sample {
    /// Opens, checks and reads a sample.
    ///
    /// # Errors
    /// [`PlanError`] that names the key and what is wrong with the data.
    pub(super) fn load(
        role: &'static str,
        config: &Config,
        sample: &SampleConfig,
        wanted: &Wanted,
        base: &Path,
        unblind: bool,
    ) -> Result<Self, PlanError> {
        let data = |key: &str| {
            let key = format!("data.{role}.{key}");
            move |source| PlanError::data(key, source)
        };
        let dataset = Dataset::open(&sample.path.to_list(), base).map_err(data("path"))?;
        let definitions: BTreeMap<String, String> = config
            .data
            .define
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let resolver = Resolver::new(dataset.columns(), &definitions)
            .map_err(|e| PlanError::data("data.define".to_owned(), e))?;
        let compile = |key: String, text: &str| {
            resolver.compile(text).map_err(|e| {
                // a common expression fails for one of the samples
                let of_sample = key.starts_with(&format!("data.{role}."));
                let place = if of_sample {
                    ""
                } else {
                    &format!(" (in data.{role})")
                };
                PlanError::data(key.clone() + place, e)
            })
        };
        let mut request = ScanRequest {
            require_any_flag: true,
            // rows of different samples are different events
            id_namespace: if sample.id.is_empty() {
                format!("{role}/{}", sample.namespace)
            } else {
                sample.namespace.clone()
            },
            on_missing: match config.data.on_missing {
                MissingPolicy::Error => OnMissing::Error,
                MissingPolicy::Drop => OnMissing::Drop,
            },
            ..ScanRequest::default()
        };
        if let Some(text) = &sample.selection {
            request.selection = Some(compile(format!("data.{role}.selection"), text)?);
        }
        if let Some(text) = &sample.weight {
            request.weight = Some(compile(format!("data.{role}.weight"), text)?);
        }
        for (name, region) in &config.regions {
            let compiled = compile(format!("regions.{name}.selection"), &region.selection)?;
            if role == "target" && region.blind && !unblind {
                request.reject.push(compiled.clone());
            }
            request.flags.push((name.clone(), compiled));
        }
        for (name, text) in &wanted.features {
            let compiled = compile("features.inputs".to_owned(), text)?;
            request.features.push((name.clone(), compiled));
        }
        for (name, text) in &wanted.columns {
            let compiled = compile(format!("report, {name}"), text)?;
            request.columns.push((name.clone(), compiled));
        }
        request.id = if sample.id.is_empty() {
            IdSpec::FileRow
        } else {
            IdSpec::Columns(sample.id.clone())
        };
        let table = dataset
            .scan(&request, None)
            .map_err(|e| PlanError::data(format!("data.{role}"), e))?;
        Ok(Self {
            role,
            label: sample.label.clone().unwrap_or_else(|| role.to_owned()),
            files: dataset.digest().map_err(data("path"))?,
            table,
            ids_by_row: sample.id.is_empty(),
        })
    }

    /// Inputs of an event, as they were read.
    pub(super) fn features(&self, row: usize) -> &[f32] {
        let width = self.table.n_features;
        &self.table.features[row * width..(row + 1) * width]
    }

    /// Events in a region.
    pub(super) fn in_region(&self, region: usize) -> impl Iterator<Item = usize> {
        self.table
            .flags
            .iter()
            .enumerate()
            .filter(move |(_, flags)| *flags >> region & 1 == 1)
            .map(|(row, _)| row)
    }

    /// Values of one of the columns.
    pub(super) fn column(&self, name: &str) -> Option<&[f32]> {
        self.table
            .columns
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, values)| values.as_slice())
    }
}
