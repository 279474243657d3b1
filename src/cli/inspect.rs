//! `sideband inspect`

use super::options::InspectArguments;
use super::{Done, Exit, print, print_json, table};
use crate::error::{Context, Error, Kind};
use crate::events::{Dataset, summarise};
use crate::files::to_value;
use crate::measurement::{MeasurementProgress, measurement_verdict, read_result};
use crate::report::numbers::significant;
use crate::report::{read_metrics, verdict};
use crate::rundir::{RunDirectory, State};
use crate::settings::{Experiment, Measurement};
use sideband_numerics::Number;
use std::path::Path;

pub(super) fn inspect(arguments: &InspectArguments) -> Done {
    let path = Path::new(&arguments.path);
    if path.is_dir() {
        return inspect_run(path, arguments.json);
    }
    let data = |e: Error| e.at_key(&arguments.path);
    let dataset =
        Dataset::open(std::slice::from_ref(&arguments.path), Path::new("")).map_err(data)?;
    let columns = summarise(&dataset).map_err(data)?;
    if arguments.json {
        let value = serde_json::json!({
            "files": dataset.files().map(|f| f.display().to_string()).collect::<Vec<_>>(),
            "rows": dataset.rows(),
            "columns": columns,
        });
        return print_json(&value);
    }
    let number = |v: Option<Number>| match v {
        None => "–".to_owned(),
        Some(Number::Real(v)) => significant(v, 7),
        Some(integer) => integer.to_string(),
    };
    let rows: Vec<Vec<String>> = columns
        .iter()
        .map(|c| {
            vec![
                c.name.clone(),
                c.type_name.clone(),
                number(c.min),
                number(c.mean.map(Number::Real)),
                number(c.max),
                c.nulls.to_string(),
                c.nans.to_string(),
                c.infinities.to_string(),
                c.zeros.to_string(),
                c.negatives.to_string(),
            ]
        })
        .collect();
    print(&format!(
        "{} rows in {} file(s)\n",
        dataset.rows(),
        dataset.files().count()
    ))?;
    let header = [
        "column", "type", "min", "mean", "max", "null", "NaN", "inf", "zero", "negative",
    ];
    print(&table(&header, &rows))
}

/// Describes a measurement: its model, how far it has come, and what it found.
fn inspect_measurement(
    root: &RunDirectory,
    experiment: &Experiment,
    measurement: &Measurement,
    as_json: bool,
) -> Done {
    let progress = MeasurementProgress::read(root, experiment)?;
    let result = read_result(root)?;
    if as_json {
        return print_json(&serde_json::json!({
            "experiment": measurement.experiment.name,
            "interest": measurement.measurement.interest,
            "reference": measurement.measurement.reference,
            "progress": progress,
            "result": result,
        }));
    }
    let m = &measurement.measurement;
    let samples: Vec<&str> = measurement.samples.keys().map(String::as_str).collect();
    print(&format!(
        "{}: {}\nmeasures {}, against the reference {}\nsamples  {}",
        measurement.experiment.name,
        measurement.experiment.method.describe(),
        m.interest.join(" and "),
        m.reference.join(" + "),
        samples.join(", ")
    ))?;
    if !measurement.systematics.is_empty() {
        let list: Vec<&str> = measurement.systematics.keys().map(String::as_str).collect();
        print(&format!("varied   {}", list.join(", ")))?;
    }
    print(&progress.lines().join("\n"))?;
    for line in result.iter().flat_map(measurement_verdict) {
        print(&format!("         {}", line.text))?;
    }
    Ok(Exit::Ok)
}

fn inspect_run(path: &Path, as_json: bool) -> Done {
    let directory = RunDirectory::open(path)?;
    let experiment = directory.experiment()?;
    if let Some(measurement) = &experiment.measurement {
        return inspect_measurement(&directory, &experiment, measurement, as_json);
    }
    let Some(manifest) = directory.manifest()? else {
        let path = path.display();
        return Err(Error::data(format!("{path} has no manifest.json yet")));
    };
    let has_result = directory.metrics_path().is_file();
    if as_json {
        let mut value = serde_json::to_value(&manifest).of(Kind::Internal)?;
        if has_result && let Ok(metrics) = read_metrics(&directory) {
            value["verdict"] = to_value(&metrics.verdict).of(Kind::Internal)?;
        }
        return print_json(&value);
    }
    let config = directory.config()?;
    let state = match manifest.state {
        State::Running => "running, or killed: run the same command again to go on",
        State::Interrupted => "interrupted: run the same command again to go on",
        State::Partial if !has_result => "ended without a result: too few members succeeded",
        State::Partial => "finished, with fewer members than asked for",
        State::Complete => "complete",
    };
    let there = (0..config.ensemble.members)
        .filter(|m| directory.member(*m).is_file() && !manifest.failed.contains(m))
        .count();
    print(&format!(
        "{}: {}\nstate    {state}\nmembers  {there} of {}, {} failed\nseed     {}\ndevice   {}, \
         {} threads\nprogram  sideband {}\nstarted  {}, {:.1} s",
        config.experiment.name,
        config.experiment.method.describe(),
        config.ensemble.members,
        manifest.failed.len(),
        manifest.seed,
        manifest.device.name,
        manifest.device.threads,
        manifest.versions.sideband,
        manifest.started,
        manifest.wall_seconds
    ))?;
    if has_result && matches!(manifest.state, State::Complete | State::Partial) {
        for line in verdict(&read_metrics(&directory)?, &config) {
            print(&format!("         {}", line.text))?;
        }
    }
    Ok(Exit::Ok)
}
