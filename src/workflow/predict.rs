//! An ensemble of a run applied to other events.

use super::apply::{Applier, Combiner, Replicas};
use super::ensemble::{is_result, threads};
use super::interpolation::in_box;
use super::predictions::PredictionWriter;
use super::reweight::column_factor;
use super::sample::categories;
use super::support::outside;
use crate::error::{Error, Kind, Result, agreeing, counted};
use crate::events::{
    Category, Compiled, Dataset, EventTable, Hidden, IdSpec, LACKS, Loss, LossKind, OnMissing,
    Resolver, ScanRequest,
};
use crate::files::output;
use crate::report::read_metrics;
use crate::results::Support;
use crate::rundir::{Manifest, Progress, RunDirectory};
use crate::settings::{Blinding, Config, InterpolationConfig, Method, SampleRole};
use crate::training::{Member, MemberFile, Streams};
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
    /// Parquet, Arrow IPC or ROOT files, or globs.
    pub data: Vec<String>,
    /// The file to write.
    pub out: PathBuf,
    /// Which events; all without it.
    pub selection: Option<String>,
    /// Event weight; the source's of the configuration without it, times its scale.
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
pub(crate) struct PredictSummary {
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
pub(crate) fn predict(
    run: &Path,
    options: &PredictOptions,
    progress: &Progress,
) -> Result<PredictSummary> {
    let directory = RunDirectory::open(run)?;
    let config = directory.config()?;
    let manifest = directory.manifest()?.filter(is_result);
    let manifest = manifest.ok_or_else(|| unfinished(run))?;
    let numbers = manifest.members.iter();
    let members = numbers.map(|m| Member::read(&directory.member(*m)));
    let members: Vec<Member> = members.collect::<Result<_>>()?;
    if !directory.metrics_path().is_file() {
        return Err(unfinished(run));
    }
    let Some(Member { about, .. }) = members.first() else {
        return Err(unfinished(run));
    };
    let events = NewEvents {
        config: &config,
        about,
        options,
        dataset: Dataset::open(&options.data, Path::new("")).map_err(wrong("DATA"))?,
    };
    let stage = progress.stage("reading", 0);
    let (mut table, hides) = events.read(&manifest)?;
    drop(stage);
    if table.is_empty() {
        let files = options.data.join(", ");
        return Err(Error::data(format!("no event of {files} is selected")));
    }
    let out = output(&options.out, events.dataset.files())?;
    let metrics = read_metrics(&directory).map_err(|_| unfinished(directory.path()))?;
    let mut reasons = mark_outside(&config, &mut table);
    let lacks = |row: usize| table.flags[row] & LACKS != 0;
    let without = (0..table.len()).filter(|row| lacks(*row)).count();
    reasons.extend(extrapolated(metrics.support.as_ref(), &table));
    if hides {
        let text = "events of the target in the run's blind regions have no row, and are not \
                    counted here; --unblind predicts them";
        reasons.push(text.to_owned());
    }

    let device = options.device.as_deref();
    let device = device.or_else(|| config.device.names().next());
    let compute = Compute::open(device.unwrap_or("cpu"))?;
    let network = Network::new(about.network.clone());
    let (threads, scaling) = (threads(&config), &about.features);
    let applier = Applier::new(&compute, threads, &network, scaling, &members)?;
    let streams = Streams::new(about.seed, &about.ensemble);
    // new events are outside the training region, whatever their ids
    let replicas = Replicas::new((&config.training).into(), streams, &members);
    let method = config.experiment.method;
    // they turn a weight into a ratio of densities
    let yields = metrics.training_yields;
    let stage = progress.stage("applying", table.len() as u64);
    let write = || {
        let no_regions = std::iter::empty();
        let mut writer = PredictionWriter::new(&out, &table, no_regions, &members, without > 0)?;
        let mut combiner = Combiner::new(&replicas, config.ensemble.combine);
        applier.for_each(&table.features, |row, ratios| {
            stage.row(row);
            if lacks(row) {
                return writer.push(&table, row, None);
            }
            let factor = match &config.interpolation {
                Some(interpolation) if method == Method::Interpolate => {
                    jacobian(interpolation, &scaling.scale, inputs(&table, row))
                }
                _ => column_factor(method, table.weights[row], yields),
            };
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let (event, _) = combiner.event(&scaled, table.ids.key(row), false);
            writer.push(&table, row, Some((event, &scaled)))
        })?;
        writer.finish()
    };
    write().map_err(|e| e.at(options.out.display()))?;
    Ok(PredictSummary {
        events: table.len(),
        without,
        reasons,
    })
}

/// Inputs of an event.
fn inputs(table: &EventTable, row: usize) -> &[f32] {
    &table.features[row * table.n_features..(row + 1) * table.n_features]
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
                "{} {} no prediction, outside the plane of the interpolation, {} in [{}, {}) and \
                 {} in [{}, {})",
                counted(outside, "event"),
                agreeing(outside, "has", "have"),
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
            "{} {} the id of an earlier event",
            counted(table.report.duplicate_ids, "event"),
            agreeing(table.report.duplicate_ids, "has", "have")
        ));
    }
    reasons
}

/// A loss in words.
fn reason(loss: &Loss) -> String {
    let name = &loss.name;
    let have = agreeing(loss.events, "has", "have");
    let first = loss.first.as_ref();
    let first = first.map(|(file, row)| format!("; first row {row} of {file}"));
    let what = match loss.kind {
        LossKind::Selection => format!(
            "{} not written: --selection has no value there",
            agreeing(loss.events, "is", "are")
        ),
        LossKind::Category => format!(
            "{have} no prediction: `{name}` is missing or none of the values that the run was \
             trained on"
        ),
        LossKind::Region => format!("{have} no place in the plane: its coordinates have no value"),
        _ => format!("{have} no prediction: `{name}` is missing or not finite"),
    };
    let events = counted(loss.events, "event");
    format!("{events} {what}{}", first.unwrap_or_default())
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
    let rows = (0..table.len()).filter(|row| table.flags[*row] & LACKS == 0);
    let weighted = rows.map(|row| {
        let weight = table.weights[row];
        (inputs(table, row), weight, weight)
    });
    let outside = outside(support?, weighted);
    (outside.events > 0).then(|| {
        format!(
            "{} ({:.1} % of the weight) {} outside of what the run was trained on: {}",
            counted(outside.events, "event"),
            100.0 * outside.share,
            agreeing(outside.events, "lies", "lie"),
            outside.words()
        )
    })
}

/// The events that a run is applied to.
struct NewEvents<'a> {
    config: &'a Config,
    about: &'a MemberFile,
    options: &'a PredictOptions,
    dataset: Dataset,
}

impl NewEvents<'_> {
    /// What of the events is hidden: nothing, unless they are those of the run's target.
    fn hidden(&self, manifest: &Manifest, resolver: &Resolver) -> Result<Hidden> {
        let regions = &self.config.regions;
        let blinding = Blinding::new(regions, self.options.unblind);
        if !blinding.is_closed() {
            return Ok(Hidden::nothing());
        }
        let files = self.dataset.digest().map_err(wrong("DATA"))?;
        let target = &manifest.inputs.target;
        let (own, others): (Vec<_>, Vec<_>) = files
            .into_iter()
            .partition(|file| target.iter().any(|t| t.sha256 == file.sha256));
        let Some(first) = own.first() else {
            return Ok(Hidden::nothing());
        };
        if !others.is_empty() {
            return Err(Error::usage(format!(
                "{} is a file of the run's target, whose events in blind regions are hidden, and \
                 others are none: predict them apart, or give --unblind",
                first.path
            )));
        }
        let mut selections = Vec::with_capacity(regions.len());
        for (name, region) in regions {
            let key = format!("the run's regions.{name}.selection");
            let compiled = resolver.compile(&region.selection);
            selections.push((name.clone(), compiled.map_err(wrong(&key))?));
        }
        Ok(blinding.hidden(SampleRole::Data, &selections, None))
    }

    /// The columns that name them.
    fn id(&self, known: &[String]) -> Result<IdSpec> {
        let has = |name: &String| self.dataset.columns().iter().any(|c| c.name == *name);
        let id: Vec<String> = match &self.options.id {
            Some(id) => id.iter().filter(|name| !name.is_empty()).cloned().collect(),
            None => {
                if let Some(missing) = known.iter().find(|name| !has(name)) {
                    return Err(Error::data(format!(
                        "{}: no column `{missing}`, which names the run's events; give --id \
                         COLUMNS, or --id \"\" to name them by file and row",
                        self.options.data.join(", ")
                    )));
                }
                known.to_vec()
            }
        };
        Ok(match id.is_empty() {
            true => IdSpec::FileRow,
            false => IdSpec::Columns(id),
        })
    }

    /// Whether names mean what they meant in the run: built-in columns are computed if they
    /// were, and columns of the files if they were that.
    fn means_the_same(&self, manifest: &Manifest, own: &Compiled) -> Result<()> {
        let Some(computed) = &manifest.inputs.computed else {
            return Ok(());
        };
        let was_computed = |name: &str| computed.iter().any(|known| known == name);
        let mut columns = own.columns().iter();
        let instead = match columns.find(|name| was_computed(name)) {
            Some(name) => format!(
                "`{name}` is a column of these files and was computed in the run, whose files have \
                 none: one name, two meanings. Give the column another name"
            ),
            None => match own.builtins().find(|name| !was_computed(name)) {
                Some(name) => format!(
                    "no column `{name}`, which the run's files have; the built-in `{name}` may be \
                     something else. Add the column"
                ),
                None => return Ok(()),
            },
        };
        let files = self.options.data.join(", ");
        Err(Error::data(instead).at(files))
    }

    /// The factor on the weights of the sample that the run predicts with: the number that
    /// its result has, whatever the files here add up to.
    fn scale(&self, manifest: &Manifest) -> f64 {
        let place = match &self.config.data.source {
            Some(_) => "data.source",
            None => "data.target",
        };
        let mut samples = manifest.losses.iter();
        let sample = samples.find(|sample| sample.sample == place);
        sample.and_then(|sample| sample.scale).unwrap_or(1.0)
    }

    /// Reads them, a row for every selected row; and whether blind ones are left out.
    fn read(&self, manifest: &Manifest) -> Result<(EventTable, bool)> {
        let (config, options, about) = (self.config, self.options, self.about);
        let definitions = about.features.definitions.iter().map(|(k, v)| (k, v));
        let jets = config.data.jets();
        let resolver = Resolver::with_jets(self.dataset.columns(), jets.as_ref(), definitions);
        let resolver = resolver.map_err(wrong("the run's data.define"))?;
        let compile = |key: &str, text: &str| resolver.compile(text).map_err(wrong(key));
        let own = |key: &str, text: &str| {
            let compiled = compile(key, text)?;
            self.means_the_same(manifest, &compiled)?;
            Ok::<_, Error>(compiled)
        };
        // events are like those that the run predicts with
        let sample = config.data.source.as_ref().unwrap_or(&config.data.target);
        let mut request = ScanRequest {
            id_namespace: sample.namespace.clone(),
            on_missing: OnMissing::Keep,
            ..ScanRequest::new(self.hidden(manifest, &resolver)?)
        };
        if let Some(text) = &options.selection {
            request.selection = Some(compile("--selection", text)?);
        }
        let own_weight = "the run's weight; write --weight 1 for events without one";
        request.weight = match (&options.weight, &sample.weight) {
            (Some(text), _) => Some(compile("--weight", text)?),
            (None, Some(text)) => Some(own(own_weight, text)?),
            (None, None) => None,
        };
        if options.weight.is_none() {
            request.scale = self.scale(manifest);
        }
        request.id = self.id(&sample.id)?;
        let mut listed = categories(config);
        if let Some(interpolation) = &config.interpolation {
            let inside = own("the run's interpolation.plane", &in_box(interpolation))?;
            let name = "interpolation.plane".to_owned();
            request.flags.push((name, inside));
            listed.extend(interpolation.category.iter().map(|category| {
                let column = &category.column;
                (column.clone(), written(column), category.values.clone())
            }));
        }
        // their inputs are the last ones; one category alone has none
        let made = |listed: &[f64]| match (&config.interpolation, listed.len()) {
            (Some(_), 1) => 0,
            (_, count) => count,
        };
        let all: usize = listed.iter().map(|(.., listed)| made(listed)).sum();
        let mut first = about.features.expressions.len().saturating_sub(all);
        for (_, column, listed) in listed {
            let inputs = first..first + made(&listed);
            first = inputs.end;
            request.categories.push(Category {
                value: own("the run's categories", &column)?,
                name: column,
                listed,
                inputs,
            });
        }
        for text in &about.features.expressions {
            let compiled = own("the run's features", text)?;
            request.features.push((text.clone(), compiled));
        }
        let table = self.dataset.scan(&request, None).map_err(wrong("DATA"))?;
        Ok((table, request.hidden != Hidden::nothing()))
    }
}
