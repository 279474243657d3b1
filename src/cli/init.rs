//! `sideband init`: a configuration that runs as it is, from a look at files of events.

mod columns;
mod configuration;
mod labels;
mod look;
mod words;

use super::options::InitArguments;
use super::out::{Done, print};
use crate::error::{Error, OnFile, Result, counted};
use crate::events::Dataset;
use crate::files::{atomic, output};
use crate::rundir::Progress;
use crate::settings::parse_experiment;
use crate::workflow::{RunOptions, estimate};
use columns::Found;
use configuration::text;
use look::{GENERATOR_WEIGHT, Look};
use std::path::{Path, PathBuf};

pub(super) fn init(arguments: &InitArguments) -> Done {
    let InitArguments { data, out, force } = arguments;
    let progress = Progress::new(false);
    let stage = progress.stage("looking at the files", 0);
    let looks = match data.as_slice() {
        [_, _] => data.chunks(1).map(Look::new).collect::<Result<Vec<_>>>()?,
        all => vec![Look::new(all)?],
    };
    if let [source, target] = looks.as_slice() {
        refuse_the_same(&source.dataset, &target.dataset)?;
    }
    drop(stage);
    let class = match looks.as_slice() {
        [one] => Some(one.class()?),
        _ => None,
    };
    let files = looks.iter().flat_map(|look| look.dataset.files());
    let place = output(out, files)?;
    if place.exists() && !force {
        let out = out.display();
        let text = format!("{out} is there already: name another file, or give --force");
        return Err(Error::usage(text));
    }
    let found = Found::of(&looks, class);
    let text = text(&looks, class, &found, &place)?;
    atomic::write(&place, text.as_bytes()).on(&place)?;
    let is_generated = looks.iter().any(|look| look.is_generated);
    let classes = class.map(|(column, _)| format!(", classes by {column}"));
    print(&format!(
        "written {}: {}{}, weight {}, id {}",
        out.display(),
        counted(found.inputs.len(), "input"),
        classes.unwrap_or_default(),
        match is_generated {
            true => GENERATOR_WEIGHT,
            false => found.weight.as_deref().unwrap_or("1"),
        },
        match found.id.as_slice() {
            [] => "file and row".to_owned(),
            id => id.join(" "),
        }
    ))?;
    let stage = progress.stage("checking", 0);
    let checked = check(&text, &place);
    drop(stage);
    checked.map_err(|error| {
        error.map(|text| format!("{} is not yet one that runs: {text}", out.display()))
    })?;
    if is_generated {
        print("edit    cross sections and luminosity in [data.define]")?;
    }
    print(&format!("next    sideband plan {}", out.display()))
}

/// Two samples with events of one file differ in nothing.
fn refuse_the_same(source: &Dataset, target: &Dataset) -> Result<()> {
    let Some(paths) = source.file_in_both(target)? else {
        return Ok(());
    };
    let real = paths.map(|path| path.canonicalize().ok());
    let [one, other] = paths.map(Path::display);
    let found = match real[0] == real[1] {
        true => format!("{one} is in both samples"),
        false => format!("{one} and {other} have the same content, and each is of one sample"),
    };
    Err(Error::usage(format!(
        "{found}: nothing tells them apart; name what is reweighted and what it shall become, or, \
         where a column tells two classes apart, the files of both once: \
         sideband init FILE"
    )))
}

/// Whether the configuration fits its data, as `plan` asks.
fn check(text: &str, place: &Path) -> Result<()> {
    let experiment = parse_experiment(text, &[])?;
    let options = RunOptions {
        out: PathBuf::new(),
        folder: place.parent().unwrap_or(Path::new("")).to_owned(),
        unblind: false,
        quiet: true,
        only: None,
    };
    estimate(&experiment, &options, false, None, &mut |_| {}).map(drop)
}
