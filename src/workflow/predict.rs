//! An ensemble of a run applied to other events.

use super::apply::{Applier, Combiner, PredictionWriter, column_factor, unwritten};
use super::events::categories;
use super::interpolation::in_box;
use super::pipeline::threads;
use super::replicas::Replicas;
use super::support::count;
use crate::error::{Error, Kind, Result};
use crate::events::{
    Category, Dataset, EventTable, Hidden, IdSpec, LACKS, Loss, LossKind, OnMissing, Resolver,
    ScanRequest,
};
use crate::files::{atomic, output};
use crate::results::Support;
use crate::rundir::{Manifest, RunDirectory, State};
use crate::settings::{Blinding, Config, InterpolationConfig, Method, SampleRole};
use crate::training::{Member, SplitSettings, Streams};
use sideband_networks::{Compute, Network};
use sideband_numerics::expression::written;
use std::path::{Path, PathBuf};

/// The run has no members yet.
fn unfinished(run: &Path) -> Error {
    let run = run.display();
    Error::data(format!(
        "{run} is not finished; run its configuration again first"
    ))
}

/// The events do not fit: a fault of the command line where that has the expression; the
/// run's own were fine once.
fn wrong(key: &str) -> impl Fn(Error) -> Error {
    move |error| {
        let kind = match error.kind() {
            Kind::Config if key.starts_with("--") => Kind::Usage,
            _ => Kind::Data,
        };
        error.at_key(key).of(kind)
    }
}

/// What is predicted, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct PredictOptions {
    /// Parquet or Arrow files, or globs.
    pub data: Vec<String>,
    /// The file to write.
    pub out: PathBuf,
    /// Which events; all without it.
    pub selection: Option<String>,
    /// Event weight; the source's of the configuration without it.
    pub weight: Option<String>,
    /// Id columns, an empty list or name for file and row; the source's of the
    /// configuration without it.
    pub id: Option<Vec<String>>,
    pub device: Option<String>,
    /// Look at events of blind regions, if they are the run's target.
    pub unblind: bool,
}

/// What was written.
#[derive(Clone, Debug)]
pub(crate) struct Prediction {
    /// Rows: every selected one.
    pub events: usize,
    /// Rows without a prediction, which are null.
    pub without: usize,
    /// Why they have none, and what else is missing, in sentences.
    pub reasons: Vec<String>,
}

/// Applies the run's ensemble.
///
/// The events are taken as ones that no member has seen: every member predicts
/// each of them. One that lacks an input, or lies outside of what the ensemble was made
/// for, has a row without a prediction.
pub(crate) fn predict(run: &Path, options: &PredictOptions) -> Result<Prediction> {
    let directory = RunDirectory::open(run)?;
    let config = directory.config()?;
    let manifest = directory
        .manifest()?
        .filter(|m| matches!(m.state, State::Complete | State::Partial))
        .ok_or_else(|| unfinished(run))?;
    let members = manifest
        .members
        .iter()
        .map(|m| Member::read(&directory.member(*m)))
        .collect::<Result<Vec<_>, _>>()?;
    if !directory.metrics_path().is_file() {
        return Err(unfinished(run));
    }
    let Some(first) = members.first() else {
        return Err(unfinished(run));
    };
    let about = &first.about;
    let mut table = read_events((&config, &manifest), about, options)?;
    if table.is_empty() {
        let files = options.data.join(", ");
        return Err(Error::data(format!("no event of {files} is selected")));
    }
    let out = check_output(options)?;
    let metrics =
        crate::report::read_metrics(&directory).map_err(|_| unfinished(directory.path()))?;
    let mut reasons = mark_outside(&config, &mut table);
    let lacks = |row: usize| table.flags[row] & LACKS != 0;
    let without = (0..table.len()).filter(|row| lacks(*row)).count();
    reasons.extend(extrapolated(metrics.support.as_ref(), &table));

    let compute = Compute::open(
        options
            .device
            .as_deref()
            .or_else(|| config.device.names().next())
            .unwrap_or("cpu"),
    )?;
    let network = Network::new(about.network.clone());
    let applier = Applier::new(
        &compute,
        threads(&config),
        &network,
        &about.features,
        &members,
    )?;
    let streams = Streams::new(about.seed, &about.ensemble);
    // new events are outside the training region, whatever their ids
    let split = SplitSettings {
        split: config.training.split,
        held_out: config.training.held_out,
        validation: config.training.validation,
        folds: config.training.folds,
    };
    let replicas = Replicas::of(split, streams, &members);
    let method = config.experiment.method;
    // they turn a weight into a ratio of densities
    let yields = metrics.training_yields;
    let write = atomic::write_with(&out, unwritten, |file| {
        let mut writer = PredictionWriter::new(file, &table, &[], &members, without > 0)?;
        let mut combiner = Combiner::new(&replicas, config.ensemble.combine);
        applier.for_each(&table.features, |row, ratios| {
            if lacks(row) {
                return writer.push_null(&table, row);
            }
            let factor = match &config.interpolation {
                Some(interpolation) if method == Method::Interpolate => {
                    let width = table.n_features;
                    let inputs = &table.features[row * width..(row + 1) * width];
                    jacobian(interpolation, &about.features.scale, inputs)
                }
                _ => column_factor(method, table.weights[row], yields),
            };
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let (event, _) = combiner.event(&scaled, table.ids.key(row), false);
            writer.push(&table, row, event, scaled.iter().copied())
        })?;
        writer.finish()
    });
    write.map_err(|e| e.at(options.out.display()))?;
    Ok(Prediction {
        events: table.len(),
        without,
        reasons,
    })
}

/// The only flag of the events of an interpolation: inside its plane.
const INSIDE: u64 = 1;

/// Marks the events outside the plane of an interpolation as ones without a prediction;
/// all that is missing, in words.
fn mark_outside(config: &Config, table: &mut EventTable) -> Vec<String> {
    let mut reasons: Vec<String> = table.report.losses.iter().map(reason).collect();
    if let Some(interpolation) = &config.interpolation {
        let mut outside = 0;
        for flags in &mut table.flags {
            if *flags & (INSIDE | LACKS) == 0 {
                *flags |= LACKS;
                outside += 1;
            }
        }
        if outside > 0 {
            let plane = &interpolation.plane;
            reasons.push(format!(
                "{outside} events have no prediction: they lie outside the plane of the \
                 interpolation, {} in [{}, {}) and {} in [{}, {})",
                plane.x,
                plane.x_range[0],
                plane.x_range[1],
                plane.y,
                plane.y_range[0],
                plane.y_range[1]
            ));
        }
    }
    if table.report.duplicate_ids > 0 {
        reasons.push(format!(
            "{} events have the id of an earlier event",
            table.report.duplicate_ids
        ));
    }
    reasons
}

/// A loss in words.
fn reason(loss: &Loss) -> String {
    let (events, name) = (loss.events, &loss.name);
    let first = loss.first.as_ref();
    let first = first.map(|(file, row)| format!("; first row {row} of {file}"));
    let what = match loss.kind {
        LossKind::Selection => "are not written: --selection has no value for them".to_owned(),
        LossKind::Category => format!(
            "have no prediction: `{name}` is missing or none of the values that the run was \
             trained on"
        ),
        LossKind::Region => "have no place in the plane: its coordinates have no value".to_owned(),
        _ => format!("have no prediction: `{name}` is missing or not finite"),
    };
    format!("{events} events {what}{}", first.unwrap_or_default())
}

/// What turns a density of standardised features into one of the user's variables.
fn jacobian(interpolation: &InterpolationConfig, scale: &[f64], inputs: &[f32]) -> f64 {
    let variables = interpolation.variables.iter().zip(inputs).zip(scale);
    let log: f64 = variables
        .map(|((v, y), scale)| v.transform.log_jacobian(f64::from(*y)) - scale.ln())
        .sum();
    log.exp()
}

/// How many events have a prediction though nothing like them was trained on, in words.
fn extrapolated(support: Option<&Support>, table: &EventTable) -> Option<String> {
    let support = support?;
    let width = table.n_features;
    let rows = (0..table.len()).filter(|row| table.flags[*row] & LACKS == 0);
    let events = rows.map(|row| {
        let weight = table.weights[row];
        (
            &table.features[row * width..(row + 1) * width],
            weight,
            weight,
        )
    });
    let outside = count(support, events);
    (outside.events > 0).then(|| {
        format!(
            "{} events ({:.1} % of the weight) lie outside of what the run was trained on: {}",
            outside.events,
            100.0 * outside.share,
            outside.words()
        )
    })
}

/// Where the predictions go.
fn check_output(options: &PredictOptions) -> Result<PathBuf> {
    let inputs = Dataset::open(&options.data, Path::new("")).map_err(wrong("DATA"))?;
    output(&options.out, inputs.files())
}

/// What of the events is hidden: nothing, unless they are those of the run's target.
fn hidden(
    (config, manifest): (&Config, &Manifest),
    dataset: &Dataset,
    resolver: &Resolver,
    unblind: bool,
) -> Result<Hidden> {
    let blinding = Blinding::new(&config.regions, unblind);
    if !blinding.is_closed() {
        return Ok(Hidden::nothing());
    }
    let files = dataset.digest().map_err(wrong("DATA"))?;
    let target = &manifest.inputs.target;
    let (own, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| target.iter().any(|t| t.sha256 == file.sha256));
    let Some(first) = own.into_iter().next() else {
        return Ok(Hidden::nothing());
    };
    if !others.is_empty() {
        return Err(Error::usage(format!(
            "{} is a file of the run's target, whose events in blind regions are hidden, and \
             others are none: predict them apart, or give --unblind",
            first.path
        )));
    }
    let mut regions = Vec::with_capacity(config.regions.len());
    for (name, region) in &config.regions {
        let key = format!("the run's regions.{name}.selection");
        let compiled = resolver.compile(&region.selection);
        regions.push((name.clone(), compiled.map_err(wrong(&key))?));
    }
    Ok(blinding.hidden(SampleRole::Data, &regions, None))
}

fn read_events(
    (config, manifest): (&Config, &Manifest),
    about: &crate::training::MemberFile,
    options: &PredictOptions,
) -> Result<crate::events::EventTable> {
    let dataset = Dataset::open(&options.data, Path::new("")).map_err(wrong("DATA"))?;
    let definitions = about.features.definitions.iter().map(|(k, v)| (k, v));
    let resolver =
        Resolver::new(dataset.columns(), definitions).map_err(wrong("the run's data.define"))?;
    // events are like those that the run predicts with
    let sample = config.data.source.as_ref().unwrap_or(&config.data.target);
    let hidden = hidden((config, manifest), &dataset, &resolver, options.unblind)?;
    let mut request = ScanRequest {
        id_namespace: sample.namespace.clone(),
        // a row for every row
        on_missing: OnMissing::Keep,
        ..ScanRequest::new(hidden)
    };
    if let Some(text) = &options.selection {
        request.selection = Some(resolver.compile(text).map_err(wrong("--selection"))?);
    }
    request.weight = match (&options.weight, &sample.weight) {
        (Some(text), _) => Some(resolver.compile(text).map_err(wrong("--weight"))?),
        (None, Some(text)) => Some(resolver.compile(text).map_err(wrong(
            "the run's weight; write --weight 1 for events without one",
        ))?),
        (None, None) => None,
    };
    let has = |name: &String| dataset.columns().iter().any(|c| c.name == *name);
    let id = match &options.id {
        Some(id) => id.iter().filter(|name| !name.is_empty()).cloned().collect(),
        None => {
            if let Some(missing) = sample.id.iter().find(|name| !has(name)) {
                return Err(Error::data(format!(
                    "{}: no column `{missing}`, which names the run's events; give --id COLUMNS, \
                     or --id \"\" to name them by file and row",
                    options.data.join(", ")
                )));
            }
            sample.id.clone()
        }
    };
    request.id = if id.is_empty() {
        IdSpec::FileRow
    } else {
        IdSpec::Columns(id)
    };
    let mut listed = categories(config);
    if let Some(interpolation) = &config.interpolation {
        let inside = resolver.compile(&in_box(interpolation));
        let inside = inside.map_err(wrong("the run's interpolation.plane"))?;
        request
            .flags
            .push(("interpolation.plane".to_owned(), inside));
        let category = interpolation.category.iter();
        listed.extend(category.map(|category| {
            let column = &category.column;
            (column.clone(), written(column), category.values.clone())
        }));
    }
    // theirs are the last inputs
    let inputs = about.features.expressions.len();
    let made = |listed: &[f64]| match (&config.interpolation, listed.len()) {
        (Some(_), 1) => 0,
        (_, count) => count,
    };
    let mut first = inputs
        - listed
            .iter()
            .map(|(.., listed)| made(listed))
            .sum::<usize>()
            .min(inputs);
    for (_, column, listed) in listed {
        let value = resolver.compile(&column);
        let inputs = first..first + made(&listed);
        first = inputs.end;
        request.categories.push(Category {
            value: value.map_err(wrong("the run's categories"))?,
            name: column,
            listed,
            inputs,
        });
    }
    for text in &about.features.expressions {
        let compiled = resolver
            .compile(text)
            .map_err(wrong("the run's features"))?;
        request.features.push((text.clone(), compiled));
    }
    dataset.scan(&request, None).map_err(wrong("DATA"))
}
