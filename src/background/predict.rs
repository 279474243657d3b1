//! An ensemble of a run applied to other events.

use super::apply::{Applier, ApplyError, Combiner, PredictionWriter, column_factor};
use super::pipeline::threads;
use super::plan::PlanError;
use super::replicas::Replicas;
use crate::config::{
    Blinding, Config, ConfigError, InterpolationConfig, Method, MissingPolicy, SampleRole,
};
use crate::data::{DataError, Dataset, Hidden, IdSpec, OnMissing, Resolver, ScanRequest};
use crate::ensemble::{Member, SplitSettings, StoreError, Streams};
use crate::run::{DirectoryError, Manifest, RunDirectory, State, atomic};
use sideband_models::{Compute, DeviceError, Network};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why an ensemble could not be applied to new events.
#[derive(Debug, Error)]
pub enum PredictError {
    /// The run directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its configuration cannot be read.
    #[error("the run's config.toml: {0}")]
    Config(#[from] ConfigError),
    /// The run has no members yet.
    #[error("{0} is not finished; run its configuration again first")]
    Unfinished(PathBuf),
    /// A member cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The events do not fit.
    #[error(transparent)]
    Data(#[from] PlanError),
    /// The file to write is one of those read.
    #[error("--out {} is one of the input files; choose another", .0.display())]
    Overwrites(PathBuf),
    /// Files of the run's target beside others, where its blind regions are hidden.
    #[error(
        "{0} is a file of the run's target, whose events in blind regions are hidden, and others \
         are none: predict them apart, or give --unblind"
    )]
    MixedBlinding(String),
    /// No event is selected.
    #[error("no event of {0} is selected")]
    Empty(String),
    /// The ensemble could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The predictions could not be computed or written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ApplyError,
    },
}

/// What is predicted, and where it goes.
#[derive(Clone, Debug)]
pub struct PredictOptions {
    /// Parquet or Arrow files, or globs.
    pub data: Vec<String>,
    /// The file to write.
    pub out: PathBuf,
    /// Which events; all without it.
    pub selection: Option<String>,
    /// Event weight; the source's of the configuration if the file has its
    /// columns, else 1.
    pub weight: Option<String>,
    /// Id columns; the source's of the configuration if the file has them, else
    /// file and row.
    pub id: Option<Vec<String>>,
    /// The device.
    pub device: Option<String>,
    /// Look at events of blind regions, if they are the run's target.
    pub unblind: bool,
}

/// Applies the run's ensemble; number of events written.
///
/// The events are taken as ones that no member has seen: every member predicts
/// each of them.
///
/// # Errors
/// [`PredictError`]
pub fn predict(run: &Path, options: &PredictOptions) -> Result<usize, PredictError> {
    let directory = RunDirectory::open(run)?;
    let config = directory.config()?;
    let manifest = directory
        .manifest()?
        .filter(|m| matches!(m.state, State::Complete | State::Partial))
        .ok_or_else(|| PredictError::Unfinished(run.to_owned()))?;
    let members = manifest
        .members
        .iter()
        .map(|m| Member::read(&directory.member(*m)))
        .collect::<Result<Vec<_>, _>>()?;
    if !directory.metrics_path().is_file() {
        return Err(PredictError::Unfinished(run.to_owned()));
    }
    let Some(first) = members.first() else {
        return Err(PredictError::Unfinished(run.to_owned()));
    };
    let about = &first.about;
    let table = read_events((&config, &manifest), about, options)?;
    if table.is_empty() {
        return Err(PredictError::Empty(options.data.join(", ")));
    }
    check_output(options)?;

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
    let yields = manifest_yields(&directory, method)?;
    let write = atomic::write_with(&options.out, |file| {
        let mut writer = PredictionWriter::new(file, &table, &[], &members)?;
        let mut combiner = Combiner::new(&replicas, config.ensemble.combine);
        applier.for_each(&table.features, |row, ratios| {
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
    write.map_err(|source| PredictError::Write {
        path: options.out.clone(),
        source,
    })?;
    Ok(table.len())
}

/// What turns a density of standardised features into one of the user's variables.
fn jacobian(interpolation: &InterpolationConfig, scale: &[f64], inputs: &[f32]) -> f64 {
    let variables = interpolation.variables.iter().zip(inputs).zip(scale);
    let log: f64 = variables
        .map(|((v, y), scale)| v.transform.log_jacobian(f64::from(*y)) - scale.ln())
        .sum();
    log.exp()
}

/// Yields of the training region, which turn a weight into a ratio of
/// densities; not needed for weights.
fn manifest_yields(directory: &RunDirectory, method: Method) -> Result<[f64; 2], PredictError> {
    if method == Method::Reweight {
        return Ok([1.0, 1.0]);
    }
    let metrics = crate::report::read_metrics(directory)
        .map_err(|_| PredictError::Unfinished(directory.path().to_owned()))?;
    Ok(metrics.training_yields)
}

fn check_output(options: &PredictOptions) -> Result<(), PredictError> {
    let Ok(out) = options.out.canonicalize() else {
        return Ok(());
    };
    let inputs = Dataset::open(&options.data, Path::new(""))
        .map_err(|e| PlanError::data("DATA".to_owned(), e))?;
    if inputs
        .files()
        .any(|f| f.canonicalize().is_ok_and(|f| f == out))
    {
        return Err(PredictError::Overwrites(options.out.clone()));
    }
    Ok(())
}

/// What of the events is hidden: nothing, unless they are those of the run's target.
fn hidden(
    (config, manifest): (&Config, &Manifest),
    dataset: &Dataset,
    resolver: &Resolver,
    unblind: bool,
) -> Result<Hidden, PredictError> {
    let blinding = Blinding::new(&config.regions, unblind);
    if !blinding.is_closed() {
        return Ok(Hidden::nothing());
    }
    let files = dataset.digest();
    let files = files.map_err(|e| PlanError::data("DATA".to_owned(), e))?;
    let target = &manifest.inputs.target;
    let (own, others): (Vec<_>, Vec<_>) = files
        .into_iter()
        .partition(|file| target.iter().any(|t| t.sha256 == file.sha256));
    let Some(first) = own.into_iter().next() else {
        return Ok(Hidden::nothing());
    };
    if !others.is_empty() {
        return Err(PredictError::MixedBlinding(first.path));
    }
    let mut regions = Vec::with_capacity(config.regions.len());
    for (name, region) in &config.regions {
        let key = format!("the run's regions.{name}.selection");
        let compiled = resolver.compile(&region.selection);
        regions.push((
            name.clone(),
            compiled.map_err(|e| PlanError::data(key, e))?,
        ));
    }
    Ok(blinding.hidden(SampleRole::Data, &regions, None))
}

fn read_events(
    (config, manifest): (&Config, &Manifest),
    about: &crate::ensemble::MemberFile,
    options: &PredictOptions,
) -> Result<crate::data::EventTable, PredictError> {
    let data = |key: &'static str| move |e: DataError| PlanError::data(key.to_owned(), e);
    let dataset = Dataset::open(&options.data, Path::new("")).map_err(data("DATA"))?;
    let definitions = about.features.definitions.iter().cloned().collect();
    let resolver =
        Resolver::new(dataset.columns(), &definitions).map_err(data("the run's data.define"))?;
    // events are like those that the run predicts with
    let sample = config.data.source.as_ref().unwrap_or(&config.data.target);
    let hidden = hidden((config, manifest), &dataset, &resolver, options.unblind)?;
    let mut request = ScanRequest {
        id_namespace: sample.namespace.clone(),
        on_missing: match config.data.on_missing {
            MissingPolicy::Error => OnMissing::Error,
            MissingPolicy::Drop => OnMissing::Drop,
        },
        ..ScanRequest::new(hidden)
    };
    if let Some(text) = &options.selection {
        request.selection = Some(resolver.compile(text).map_err(data("--selection"))?);
    }
    request.weight = match (&options.weight, &sample.weight) {
        (Some(text), _) => Some(resolver.compile(text).map_err(data("--weight"))?),
        (None, Some(text)) => resolver.compile(text).ok(),
        (None, None) => None,
    };
    let has = |name: &String| dataset.columns().iter().any(|c| c.name == *name);
    let id = options.id.clone().unwrap_or_else(|| {
        let own = &sample.id;
        if own.iter().all(has) {
            own.clone()
        } else {
            Vec::new()
        }
    });
    request.id = if id.is_empty() {
        IdSpec::FileRow
    } else {
        IdSpec::Columns(id)
    };
    for text in &about.features.expressions {
        let compiled = resolver.compile(text).map_err(data("the run's features"))?;
        request.features.push((text.clone(), compiled));
    }
    Ok(dataset.scan(&request, None).map_err(data("DATA"))?)
}
