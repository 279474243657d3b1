//! How far a measurement has come, from its run directory alone.

use super::result::{MeasurementResult, RESULT};
use crate::error::{Error, Result, counted};
use crate::files::formats::MEASUREMENT;
use crate::files::from_text;
use crate::rundir::{RunDirectory, RunState};
use crate::settings::{EnsembleSpec, Experiment};
use crate::toys::finished_toys;
use serde::{Deserialize, Serialize};

/// What a measurement throws, or has thrown; it is written when that begins.
pub(super) const TOYS: &str = "toys.json";
/// Folder of the folders of toys.
pub(super) const TOYS_FOLDER: &str = "toys";

/// `toys.json`: the toys of the present likelihood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ToyFolder {
    /// Their folder, in that of all toys.
    pub folder: String,
    /// The parameter at whose values they are thrown.
    pub parameter: String,
    pub values: Vec<f64>,
    /// Toys that are asked for at each.
    pub toys: u64,
}

/// How far a measurement has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct MeasurementProgress {
    /// Its ratios, in the order in which they are trained.
    pub ratios: Vec<RatioProgress>,
    /// Its pseudo-experiments; none before they are thrown.
    pub toys: Vec<ToyProgress>,
    /// Whether there is a result.
    pub has_result: bool,
}

/// How far one ratio has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RatioProgress {
    pub name: String,
    /// Members that are trained.
    pub members: u64,
    /// Members that are asked for.
    pub of: u32,
    /// Whether all of them are, and its own report is written.
    pub is_complete: bool,
}

/// How many toys there are at one value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ToyProgress {
    pub parameter: String,
    pub value: f64,
    /// Toys in finished files.
    pub done: u64,
    /// Toys that are asked for.
    pub of: u64,
}

impl MeasurementProgress {
    /// Looks into a run directory.
    pub(crate) fn read(root: &RunDirectory, experiment: &Experiment) -> Result<Self> {
        let ensembles = experiment.ensembles.iter().zip(root.ensembles(experiment));
        let ratio = |(spec, directory): (&EnsembleSpec, RunDirectory)| {
            let of = spec.config.ensemble.members;
            let state = directory.manifest()?.map(|m| m.state);
            Ok(RatioProgress {
                name: spec.name.clone(),
                members: directory.count_members(of),
                of,
                is_complete: state == Some(RunState::Complete),
            })
        };
        Ok(Self {
            ratios: ensembles.map(ratio).collect::<Result<_>>()?,
            toys: toys(root)?,
            has_result: root.path().join(RESULT).is_file(),
        })
    }

    /// In words, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let complete = self.ratios.iter().filter(|r| r.is_complete).count();
        let members: u64 = self.ratios.iter().map(|r| r.members).sum();
        let of: u64 = self.ratios.iter().map(|r| u64::from(r.of)).sum();
        let mut lines = vec![format!(
            "ratios   {complete} of {} complete, {members} of {}",
            self.ratios.len(),
            counted(of, "member")
        )];
        for (number, toys) in self.toys.iter().enumerate() {
            let head = if number == 0 { "toys" } else { "" };
            lines.push(format!(
                "{head:8} {} of {} at {} = {}",
                toys.done, toys.of, toys.parameter, toys.value
            ));
        }
        let result = if self.has_result { RESULT } else { "none yet" };
        lines.push(format!("result   {result}"));
        lines
    }
}

fn toys(root: &RunDirectory) -> Result<Vec<ToyProgress>> {
    let path = root.path().join(TOYS);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let damaged = |reason: String| {
        let reason = format!("not readable: {reason}; remove it, and run the measurement again");
        Error::data_at(path.display(), reason)
    };
    let text = root.read(&path)?;
    let asked: ToyFolder = from_text(&text).map_err(damaged)?;
    let folder = root.path().join(TOYS_FOLDER).join(&asked.folder);
    let done = finished_toys(&folder, asked.values.len() as u32, asked.toys);
    let point = |(value, done): (&f64, u64)| ToyProgress {
        parameter: asked.parameter.clone(),
        value: *value,
        done,
        of: asked.toys,
    };
    Ok(asked.values.iter().zip(done).map(point).collect())
}

/// The result of a measurement, if there is one.
pub(crate) fn read_result(root: &RunDirectory) -> Result<Option<MeasurementResult>> {
    let path = root.path().join(RESULT);
    if !path.is_file() {
        return Ok(None);
    }
    let text = root.read(&path)?;
    let wrong = |reason: String| {
        let reason = format!("not readable: {reason}; run the measurement again");
        Error::data_at(path.display(), reason)
    };
    let result: MeasurementResult = from_text(&text).map_err(|e| wrong(e.to_string()))?;
    MEASUREMENT.check(result.format).map_err(wrong)?;
    Ok(Some(result))
}
