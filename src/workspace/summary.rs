//! What is in a workspace or a patch set: `sideband inspect`.

use super::contents::{Channel, Contents};
use super::digest::{Algorithm, canonical};
use super::document::{Budget, parse};
use super::opened::base;
use super::patch_set::{PatchSet, Patches, is_patch_set};
use super::source::Source;
use crate::error::{Error, OnFile, Result, counted};
use crate::files::formats::LIKELIHOOD;
use crate::files::regular;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use sideband_likelihood::Parameter;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::workspace::{ImportOptions, Imported, Poi, import_value};
use std::io::Read;
use std::path::Path;

/// Bytes by which a file is known.
const START: u64 = 64;

/// A set of parameters of one name, as one measurement has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ParameterSummary {
    /// Types of its modifiers.
    pub(crate) types: Vec<String>,
    /// Number of its parameters.
    pub(crate) count: usize,
    pub(crate) fixed: usize,
    /// gaussian, poisson, none
    pub(crate) constraint: &'static str,
    /// Of the first one.
    pub(crate) nominal: f64,
    pub(crate) bounds: [f64; 2],
    pub(crate) channels: usize,
    pub(crate) samples: usize,
}

/// A measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MeasurementSummary {
    pub(crate) name: String,
    /// Empty if it names none.
    pub(crate) poi: String,
}

/// What is in a workspace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct WorkspaceSummary {
    pub(crate) format: u32,
    pub(crate) method: &'static str,
    pub(crate) workspace: String,
    /// Digests of the document, as pyhf has them, by algorithm.
    pub(crate) digests: IndexMap<&'static str, String>,
    pub(crate) measurements: Vec<MeasurementSummary>,
    pub(crate) channels: Vec<Channel>,
    /// Of the first measurement; empty if the workspace cannot be used.
    pub(crate) parameters: IndexMap<String, ParameterSummary>,
    /// What is odd.
    pub(crate) notes: Vec<String>,
    /// Why it cannot be fitted as it is.
    pub(crate) failure: Option<String>,
}

/// What is in a patch set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PatchSetSummary {
    pub(crate) format: u32,
    pub(crate) method: &'static str,
    pub(crate) patch_set: String,
    pub(crate) description: String,
    /// Digests of the workspace that it is for, by algorithm.
    pub(crate) digests: IndexMap<&'static str, String>,
    pub(crate) labels: Vec<String>,
    pub(crate) patches: Vec<PatchSummary>,
}

/// A patch of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct PatchSummary {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
    pub(crate) operations: usize,
}

/// What a file of JSON is.
pub(crate) enum Summary {
    Workspace(WorkspaceSummary),
    PatchSet(PatchSetSummary),
}

/// Whether a file begins as JSON or gzip does, which no file of events does.
pub(crate) fn is_document(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = regular::open(path).on(path)?;
    file.take(START).read_to_end(&mut start).on(path)?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(start.starts_with(&[0x1f, 0x8b]) || matches!(first, Some(b'{' | b'[')))
}

/// What is in a workspace or a patch set.
pub(crate) fn summary(name: &str) -> Result<Summary> {
    let source = Source::read(name)?;
    let document = parse(&source, &Budget::default())?;
    match &document {
        Value::Object(map) if is_patch_set(map) => {
            match Patches::from_value(&source.name, document)? {
                Patches::Set(set) => Ok(Summary::PatchSet(PatchSetSummary::of(&set))),
                Patches::One(_) => Err(Error::data(format!("{}: no patch set", source.name))),
            }
        }
        Value::Object(map) if map.contains_key("channels") => {
            let summary = WorkspaceSummary::of(source.name, document);
            Ok(Summary::Workspace(summary))
        }
        _ => Err(Error::data(format!(
            "{}: this is JSON, and neither a workspace with `channels` nor a patch set with \
             `patches`",
            source.name
        ))),
    }
}

impl PatchSetSummary {
    fn of(set: &PatchSet) -> Self {
        let digests = set.digests.iter();
        let patches = set.patches.iter().map(|patch| PatchSummary {
            name: patch.name.clone(),
            values: patch.values.clone(),
            operations: patch.patch.len(),
        });
        Self {
            format: LIKELIHOOD.written,
            method: "inspect",
            patch_set: set.file.clone(),
            description: set.description.clone(),
            digests: digests
                .map(|(a, digest)| (a.name(), digest.clone()))
                .collect(),
            labels: set.labels.clone(),
            patches: patches.collect(),
        }
    }
}

impl WorkspaceSummary {
    fn of(workspace: String, document: Value) -> Self {
        let text = canonical(&document);
        let digests = [Algorithm::Sha256, Algorithm::Md5];
        let digests = digests.map(|algorithm| (algorithm.name(), algorithm.digest(&text)));
        let measurements = document["measurements"].as_array();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let measurement = |m: &Value| MeasurementSummary {
            name: word(&m["name"]),
            poi: word(&m["config"]["poi"]),
        };
        let measurements = measurements
            .into_iter()
            .flatten()
            .map(measurement)
            .collect();
        let contents = Contents::of(&document);
        let read = |poi: Poi, document: Value| {
            let options = ImportOptions {
                poi,
                ..ImportOptions::default()
            };
            import_value(document, &options)
        };
        let (imported, failure) = match read(Poi::Measured, document.clone()) {
            Ok(imported) => (Some(imported), None),
            // a background-only workspace is one without its parameter of interest
            Err(error) => (
                read(Poi::None, document).ok(),
                Some(format!("{workspace}: {error}")),
            ),
        };
        let mut summary = Self {
            format: LIKELIHOOD.written,
            method: "inspect",
            workspace,
            digests: digests.into(),
            measurements,
            channels: contents.channels.clone(),
            parameters: IndexMap::new(),
            notes: Vec::new(),
            failure,
        };
        if let Some(imported) = &imported {
            summary.parameters = parameters(&imported.model, &contents);
            summary.notes.clone_from(&imported.notes);
            summary.notes.extend(odd(imported));
        }
        summary
    }
}

/// The parameters of a model, a set a name.
fn parameters(model: &HistogramModel, contents: &Contents) -> IndexMap<String, ParameterSummary> {
    let mut sets: IndexMap<String, ParameterSummary> = IndexMap::new();
    let has_count = |place: usize| model.constraints.iter().any(|c| c.parameter == place);
    for (place, parameter) in model.parameters.iter().enumerate() {
        let name = base(&parameter.name);
        let known = contents.modifiers.get(name);
        let set = sets
            .entry(name.to_owned())
            .or_insert_with(|| ParameterSummary {
                types: known.map_or_else(Vec::new, |m| m.types.iter().cloned().collect()),
                count: 0,
                fixed: 0,
                constraint: match parameter.constraint {
                    Some(_) => "gaussian",
                    None if has_count(place) => "poisson",
                    None => "none",
                },
                nominal: parameter.nominal,
                bounds: [parameter.bounds.0, parameter.bounds.1],
                channels: known.map_or(0, |m| m.channels.len()),
                samples: known.map_or(0, |m| m.samples),
            });
        set.count += 1;
        set.fixed += usize::from(model.fixed.iter().any(|(fixed, _)| *fixed == place));
    }
    sets
}

/// What is odd in a model, and no fault of it.
fn odd(imported: &Imported) -> Vec<String> {
    let model = &imported.model;
    let mut notes = Vec::new();
    if !imported.unused.is_empty() {
        notes.push(format!(
            "measurement `{}` sets {} that no sample has: {}",
            imported.measurement,
            counted(imported.unused.len(), "parameter"),
            imported.unused.join(", ")
        ));
    }
    let is_wide = |p: &&Parameter| p.bounds.1 - p.bounds.0 > 1e6;
    let wide: Vec<&str> = model
        .parameters
        .iter()
        .filter(is_wide)
        .map(|p| p.name.as_str())
        .collect();
    if !wide.is_empty() {
        notes.push(format!(
            "bounds are more than a million apart of {}",
            wide.join(", ")
        ));
    }
    notes
}
