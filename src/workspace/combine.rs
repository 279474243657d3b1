//! Several workspaces as one: `sideband combine`. What joins with what is the likelihood's business;
//! here files are read and the result is read back before it is written.

use super::document::Budget;
use super::opened::document;
use crate::error::{Context, Error, Kind, Result};
use serde_json::Value;
use sideband_likelihood::workspace::{
    CombineSettings, Combined, ImportOptions, Join, Limits, Part, Poi, combine, import_value,
};
use std::path::Path;

/// What is asked for.
pub(crate) struct CombineRequest {
    /// Two files or more.
    pub(crate) workspaces: Vec<String>,
    /// Measurements of them; empty for the first of each.
    pub(crate) measurements: Vec<String>,
    pub(crate) join: Join,
    /// Names of parameters before and after.
    pub(crate) rename: Vec<(String, String)>,
    pub(crate) poi: Option<String>,
    /// Whose settings are taken where they differ.
    pub(crate) prefer: Option<String>,
    /// Name of the measurement of the result.
    pub(crate) measurement: String,
}

/// A combination, and what it is of.
pub(crate) struct Combination {
    pub(crate) workspace: Value,
    /// Channels, bins and parameters.
    pub(crate) counts: [usize; 3],
    pub(crate) poi: Option<String>,
    pub(crate) notes: Vec<String>,
}

/// Joins workspaces.
pub(crate) fn combined(asked: &CombineRequest) -> Result<Combination> {
    let files = asked.workspaces.len();
    if !asked.measurements.is_empty() && asked.measurements.len() != files {
        return Err(Error::usage(format!(
            "--measurements: {} names for {files} workspaces; give one for each",
            asked.measurements.len()
        )));
    }
    let is_stdin = |name: &&String| *name == "-";
    if asked.workspaces.iter().filter(is_stdin).count() > 1 {
        return Err(Error::usage(
            "one workspace alone can come on standard input",
        ));
    }
    let prefer = asked.prefer.as_ref().map(|name| {
        let place = asked.workspaces.iter().position(|file| file == name);
        place.ok_or_else(|| Error::usage(format!("--prefer {name}: it is none of the workspaces")))
    });
    let budget = Budget::default();
    let documents = asked.workspaces.iter();
    let documents = documents.map(|name| document(name, &budget));
    let documents = documents.collect::<Result<Vec<_>>>()?;
    let most = Limits::default().channels;
    for (name, document) in &documents {
        let channels = document["channels"].as_array().map_or(0, Vec::len);
        if channels > most {
            return Err(Error::data(format!(
                "{name}: {channels} channels are more than the {most} that are read"
            )));
        }
    }
    let parts: Vec<Part<'_>> = documents
        .iter()
        .enumerate()
        .map(|(place, (name, workspace))| Part {
            name,
            workspace,
            measurement: asked.measurements.get(place).map(String::as_str),
        })
        .collect();
    let settings = CombineSettings {
        join: asked.join,
        rename: asked.rename.clone(),
        poi: asked.poi.clone(),
        prefer: prefer.transpose()?,
        measurement: asked.measurement.clone(),
    };
    let Combined { workspace, notes } = combine(&parts, &settings).of(Kind::Data)?;
    let options = ImportOptions::default();
    let read = import_value(workspace.clone(), &options).or_else(|error| {
        // without a signal it is one for background-only fits
        let options = ImportOptions {
            poi: Poi::None,
            ..ImportOptions::default()
        };
        import_value(workspace.clone(), &options).map_err(|_| error)
    });
    let imported = read.at(
        Kind::Data,
        "the combination is no workspace that can be fitted",
    )?;
    let model = &imported.model;
    let bins: usize = model.channels.iter().map(|c| c.observed().len()).sum();
    let name = |place: usize| model.parameters[place].name.clone();
    Ok(Combination {
        counts: [model.channels.len(), bins, model.parameters.len()],
        poi: imported.interest.map(name),
        workspace,
        notes,
    })
}

impl CombineRequest {
    /// The files that are read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.workspaces.iter().map(Path::new)
    }
}
