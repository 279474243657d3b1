//! Mixing, from the samples to files of sets in the run directory, once.

use super::mixer::Mixer;
use super::read::Material;
use super::summary::SetsSummary;
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::regular::{make_folder, read_text};
use crate::files::{atomic, from_text, to_text, to_value};
use crate::rundir::{OutputRecord, Progress};
use crate::settings::{Config, IdentityOf, Places, Sets, Split};
use crate::training::Interrupt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// What the sets were mixed with, and what is known of them.
const RECORD: &str = "sets.json";

/// Whether a run has sets.
pub(super) fn is_made(run: &Path) -> bool {
    run.join(Sets::FOLDER).join(RECORD).is_file()
}

/// What is written beside the sets.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// What the sets depend on.
    settings: Value,
    /// What their histograms depend on beside it.
    histograms: Value,
    /// The sets as they were written.
    files: BTreeMap<String, OutputRecord>,
    summary: SetsSummary,
}

/// Reads what is mixed, and makes something of it. `first`: predictions that shape the queries.
pub(super) fn with_material<T>(
    config: &Config,
    places: &Places,
    first: Option<&Path>,
    progress: &Progress,
    make: impl FnOnce(&Material<'_>) -> Result<T>,
) -> Result<T> {
    let placed = places.config(config)?;
    let Some(mixing) = &placed.mixing else {
        return Err(Error::config_at("mixing", "there is no such table"));
    };
    let stage = progress.stage("reading", 0);
    let material = Material::read(&placed, mixing, first)?;
    drop(stage);
    make(&material)
}

/// Mixes the sets of a run that are not there yet, in its directory.
///
/// # Errors
/// Also if there are sets of other settings.
pub(super) fn make(
    material: &Material<'_>,
    run: &Path,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<SetsSummary> {
    let mixing = material.mixing;
    let folder = run.join(Sets::FOLDER);
    make_folder(&folder).on(&folder).of(Kind::Internal)?;
    let [settings, histograms] = identity(material)?;
    let note = folder.join(RECORD);
    let there = read_text(&note).ok();
    let there = there.and_then(|text| from_text::<Record>(&text).ok());
    if let Some(there) = &there {
        if there.settings != settings {
            let text = format!(
                "{} holds sets of other settings or data; choose another directory with --out, or \
                 undo the change",
                folder.display()
            );
            return Err(Error::config_at("mixing", text));
        }
        let is_whole = |(name, record): (&String, &OutputRecord)| {
            OutputRecord::of(&folder.join(name)).ok().as_ref() == Some(record)
        };
        if there.histograms == histograms && there.files.iter().all(is_whole) {
            return Ok(there.summary.clone());
        }
    }
    let summary = Mixer {
        material,
        folder: &folder,
        interrupt,
        progress,
    }
    .run()?;
    let mut files = BTreeMap::new();
    for set in 0..mixing.sets {
        let name = Sets::file(set);
        let path = folder.join(&name);
        let record = OutputRecord::of(&path).on(&path).of(Kind::Internal)?;
        files.insert(name, record);
    }
    let record = Record {
        settings,
        histograms,
        files,
        summary,
    };
    let text = to_text(&record, true).of(Kind::Internal)? + "\n";
    let written = atomic::write(&note, text.as_bytes());
    written.on(note).of(Kind::Internal)?;
    Ok(record.summary)
}

/// What the sets depend on, and what their histograms do beside it.
fn identity(material: &Material<'_>) -> Result<[Value; 2]> {
    let (config, mixing) = (material.config, material.mixing);
    let digests = |files: &[crate::events::FileRecord]| -> Vec<String> {
        files.iter().map(|file| file.sha256.clone()).collect()
    };
    let regions = config.regions.iter();
    let regions = regions.map(|(name, region)| (name, &region.selection, region.blind));
    let sample = |role: &str| {
        let mut samples = config.data.samples();
        let found = samples.find(|(own, _)| *own == role);
        found.map(|(_, s)| {
            json!([
                s.selection,
                s.weight,
                to_value(&s.scale).ok(),
                s.id,
                s.namespace
            ])
        })
    };
    let first = config.first_pass()?;
    let settings = json!({
        "first": first.map(|first| first.common().identity(IdentityOf::Member)),
        "seed": config.experiment.seed,
        "mixing": to_value(&mixing.of_sets()).of(Kind::Internal)?,
        "jets": to_value(&config.data.jets).of(Kind::Internal)?,
        "define": config.data.define,
        "regions": regions.collect::<Vec<_>>(),
        "training": config.training.region,
        "source": sample("source"),
        "target": sample("target"),
        "files": [
            digests(&material.queries().sample.files),
            digests(&material.target.sample.files),
            material.shaped_by,
        ],
    });
    let histograms = to_value(&mixing.without_stages()).of(Kind::Internal)?;
    // it decides which regions may be asked for
    let is_folded = config.training.split == Split::Folds;
    Ok([settings, json!([histograms, is_folded])])
}
