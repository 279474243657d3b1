//! Samples of a model with known truth, written into the run directory.

use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, regular};
use crate::rundir::OutputRecord;
use crate::settings::{GenerateConfig, GeneratedModel, Measurement};
use crate::truth::{Count, Interference, InterferenceConfig, Sample, Truth};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sideband_numerics::random::Key;
use std::collections::BTreeMap;
use std::path::Path;

/// Folder of generated samples in the run directory.
const FOLDER: &str = "samples";
/// Pseudo-data.
const OBSERVED: &str = "observed.parquet";
/// What the samples were generated with.
const RECORD: &str = "generated.json";

/// Purposes of the random numbers.
#[derive(Clone, Copy)]
enum Purpose {
    Samples = 1,
    Observed = 2,
}

/// What the samples in a folder were generated with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    model: String,
    parameters: InterferenceConfig,
    events: usize,
    seed: u64,
    observed: Option<Truth>,
}

/// The samples as they were written, in the same file; an earlier program has not
/// written it.
#[derive(Debug, Deserialize)]
struct Files {
    files: BTreeMap<String, OutputRecord>,
}

/// The model of a configuration.
pub(super) fn model(config: &GenerateConfig) -> Result<Interference> {
    match config.model {
        GeneratedModel::Interference => {
            Interference::new(InterferenceConfig::default()).key(Kind::Config, "generate")
        }
    }
}

/// The parameters of the pseudo-data.
pub(super) fn truth(config: &GenerateConfig) -> Result<Option<Truth>> {
    let Some(values) = &config.observed else {
        return Ok(None);
    };
    let mut truth = Truth::nominal(1.0);
    for (name, value) in values {
        match name.as_str() {
            "mu" => truth.mu = *value,
            "shape" => truth.shape = *value,
            "rate" => truth.rate = *value,
            _ => {
                return Err(Error::config_at(
                    format!("generate.observed.{name}"),
                    "is no parameter of the model; it has mu, shape and rate",
                ));
            }
        }
    }
    Ok(Some(truth))
}

/// Which settings of two records differ: what each is there and what it is now.
fn differences(there: &Record, now: &Record) -> Result<Vec<String>> {
    let value = |record| serde_json::to_value(record).of(Kind::Internal);
    let mut found = Vec::new();
    compare("", &value(there)?, &value(now)?, &mut found);
    Ok(found)
}

fn compare(path: &str, there: &Value, now: &Value, found: &mut Vec<String>) {
    match (there, now) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let dot = if path.is_empty() { "" } else { "." };
                let inner = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                let path = format!("{path}{dot}{key}");
                compare(&path, &inner(one), &inner(other), found);
            }
        }
        _ if there != now => found.push(format!("{path} is {there} there and {now} now")),
        _ => {}
    }
}

/// Writes the samples that are not there yet into a run directory.
pub(super) fn generate(measurement: &Measurement, run: &Path, say: &dyn Fn(&str)) -> Result<()> {
    let Some(config) = &measurement.generate else {
        return Ok(());
    };
    let model = model(config)?;
    let record = Record {
        model: "interference".to_owned(),
        parameters: model.config().clone(),
        events: config.events,
        seed: config.seed.unwrap_or(measurement.experiment.seed),
        observed: truth(config)?,
    };
    if let Some(truth) = &record.observed {
        model
            .sample_at(truth, Count::Fixed(0), Key::from_seed(0))
            .key(Kind::Config, "generate.observed")?;
    }
    let folder = run.join(FOLDER);
    regular::make_folder(&folder)
        .on(&folder)
        .of(Kind::Internal)?;
    let note = folder.join(RECORD);
    let text = regular::read_text(&note).unwrap_or_default();
    let there = serde_json::from_str::<Record>(&text).ok();
    let mut names: Vec<String> = Sample::all().iter().map(|s| s.file_name()).collect();
    names.extend(record.observed.is_some().then(|| OBSERVED.to_owned()));
    let files = serde_json::from_str::<Files>(&text).ok();
    // a damaged sample is generated anew: it is the same again
    let whole = names.iter().all(|name| match &files {
        Some(Files { files }) => {
            OutputRecord::of(&folder.join(name)).ok().as_ref() == files.get(name)
        }
        None => folder.join(name).is_file(),
    });
    if there.as_ref() == Some(&record) && whole {
        return Ok(());
    }
    if let Some(there) = there.filter(|there| *there != record) {
        return Err(Error::config_at(
            "generate",
            format!(
                "{} holds samples of other settings; {}; choose another directory with --out, or \
                 undo the change",
                folder.display(),
                differences(&there, &record)?.join(", ")
            ),
        ));
    }
    say(&format!(
        "generating {} samples of {} events",
        Sample::all().len(),
        config.events
    ));
    let key = Key::from_seed(record.seed);
    let write = |name: String, fill: &dyn Fn(&mut std::fs::File) -> Result<()>| {
        let path = folder.join(name);
        let failed = |e| Error::io(&path, &e).of(Kind::Internal);
        atomic::write_with(&path, failed, |file| {
            fill(file).map_err(|e| e.at(path.display()))
        })
    };
    for sample in Sample::all() {
        let key = key.with(Purpose::Samples as u64);
        write(sample.file_name(), &|file| {
            model.write_sample(file, sample, config.events, key)
        })?;
    }
    if let Some(truth) = &record.observed {
        let key = key.with(Purpose::Observed as u64);
        let events = model
            .sample_at(truth, Count::Poisson, key)
            .key(Kind::Config, "generate.observed")?;
        write(OBSERVED.to_owned(), &|file| {
            crate::truth::write_events(file, &events)
        })?;
    }
    let mut files = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        files.insert(name, OutputRecord::of(&path).on(path).of(Kind::Internal)?);
    }
    let text = serde_json::to_value(&record).and_then(|mut value| {
        value["files"] = serde_json::to_value(&files)?;
        serde_json::to_string_pretty(&value)
    });
    let text = text.of(Kind::Internal)?;
    let written = atomic::write(&note, text.as_bytes());
    written.on(note).of(Kind::Internal)
}
