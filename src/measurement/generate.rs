//! Samples of a model with known truth, written into the run directory.

use crate::error::{Context, Error, Kind, OnFile, Result, counted};
use crate::files::{atomic, regular};
use crate::rundir::{OutputRecord, Progress};
use crate::settings::{GeneratedModel, Measurement};
use crate::truth;
use indexmap::IndexMap;
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

/// Words that branch the seed.
const SAMPLES: u64 = 1;
const DATA: u64 = 2;

/// What is written beside the samples.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    settings: GenerateSettings,
    /// The samples as they were written; an earlier program has not noted them.
    files: Option<BTreeMap<String, OutputRecord>>,
}

/// What samples are generated with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct GenerateSettings {
    model: GeneratedModel,
    parameters: Value,
    events: usize,
    seed: u64,
    observed: Option<IndexMap<String, f64>>,
}

/// Which settings differ: what each is there and what it is now.
fn differences(path: &str, there: &Value, now: &Value, found: &mut Vec<String>) {
    match (there, now) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let dot = if path.is_empty() { "" } else { "." };
                let inner = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                let path = format!("{path}{dot}{key}");
                differences(&path, &inner(one), &inner(other), found);
            }
        }
        _ if there != now => found.push(format!("{path} is {there} there and {now} now")),
        _ => {}
    }
}

/// Writes the samples that are not there yet into a run directory.
pub(super) fn generate(measurement: &Measurement, run: &Path, progress: &Progress) -> Result<()> {
    let Some(config) = &measurement.generate else {
        return Ok(());
    };
    let world = truth::open(config.model)?;
    let key = "generate.observed";
    let observed = config.observed.as_ref();
    let observed = observed.map(|values| world.point(key, false, values));
    let settings = GenerateSettings {
        model: config.model,
        parameters: world.settings()?,
        events: config.events,
        seed: config.seed.unwrap_or(measurement.experiment.seed),
        observed: observed.transpose()?,
    };
    if let Some(point) = &settings.observed {
        world.check(point).key(Kind::Config, key)?;
    }
    let folder = run.join(FOLDER);
    let made = regular::make_folder(&folder).on(&folder);
    made.of(Kind::Internal)?;
    let note = folder.join(RECORD);
    let text = regular::read_text(&note).unwrap_or_default();
    let there = serde_json::from_str::<Record>(&text).ok();
    let mut names = world.files();
    let samples = names.len();
    names.extend(settings.observed.is_some().then(|| OBSERVED.to_owned()));
    if let Some(Record { settings: old, .. }) = there.as_ref().filter(|r| r.settings != settings) {
        let value = |settings| serde_json::to_value(settings).of(Kind::Internal);
        let mut found = Vec::new();
        differences("", &value(old)?, &value(&settings)?, &mut found);
        let text = format!(
            "{} holds samples of other settings; {}; choose another directory with --out, or undo \
             the change",
            folder.display(),
            found.join(", ")
        );
        return Err(Error::config_at("generate", text));
    }
    // a damaged sample is generated anew: it is the same again
    let is_whole = |record: &Record| {
        names.iter().all(|name| match &record.files {
            Some(files) => OutputRecord::of(&folder.join(name)).ok().as_ref() == files.get(name),
            None => folder.join(name).is_file(),
        })
    };
    if there.as_ref().is_some_and(is_whole) {
        return Ok(());
    }
    progress.say(&format!(
        "generating {} of {}",
        counted(samples, "sample"),
        counted(config.events, "event")
    ));
    let seed = Key::from_seed(settings.seed);
    let stage = progress.stage("generating", samples as u64);
    for (number, name) in names[..samples].iter().enumerate() {
        let (path, key) = (folder.join(name), seed.with(SAMPLES));
        world.write(&path, number, config.events, key)?;
        stage.add(1);
    }
    if let Some(point) = &settings.observed {
        world.write_data(&folder.join(OBSERVED), point, seed.with(DATA))?;
    }
    let mut files = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        files.insert(name, OutputRecord::of(&path).on(path).of(Kind::Internal)?);
    }
    let files = Some(files);
    let text = serde_json::to_value(Record { settings, files })
        .and_then(|value| serde_json::to_string_pretty(&value));
    let written = atomic::write(&note, text.of(Kind::Internal)?.as_bytes());
    written.on(note).of(Kind::Internal)
}
