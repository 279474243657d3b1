//! One ensemble of a run: what of it is there, and from its members to its
//! result.

use super::Workbench;
use super::apply::{Applier, Combiner, PredictionWriter, column_factor, unwritten, yields};
use super::comparison::CommonEdges;
use super::diagnostics::Accumulator;
use super::events::Sample;
use super::interpolation;
use super::plan::{Plan, PlanOptions};
use super::planned::Planned;
use super::replicas::Replicas;
use crate::error::{Context, Error, Kind, Result};
use crate::events::{EventTable, PartOrder};
use crate::files::atomic;
use crate::report::{self, EnsembleEnd};
use crate::results::Metrics;
use crate::rundir::{
    DeviceRecord, Inputs, Manifest, OutputRecord, RunDirectory, State, VersionRecord,
};
use crate::settings::{Config, EnsembleSpec, IdentityOf, Method};
use crate::training::{Checkpoint, Member, Outcome, check_folds};
use sideband_networks::cpu_kernel;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How a run is done.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    /// The run directory.
    pub out: PathBuf,
    /// Folder that relative data paths start from.
    pub base: PathBuf,
    /// Look at target events of blind regions.
    pub unblind: bool,
    /// No status on stderr.
    pub quiet: bool,
    /// Members that are trained here; all without it. Without the others there
    /// is no result.
    pub only: Option<std::ops::RangeInclusive<u32>>,
}

/// An ensemble whose configuration fits its data, and what of it is there.
pub(super) struct Prepared {
    pub spec: EnsembleSpec,
    pub directory: RunDirectory,
    pub inputs: Inputs,
    /// Members that are to be trained.
    pub missing: Vec<u32>,
    /// Whether the result that is there, if any, is of this configuration.
    has_its_result: bool,
    /// Files of that result.
    outputs: BTreeMap<String, OutputRecord>,
    /// The plan, kept where it is the only one.
    pub plan: Option<Planned>,
}

/// Reads the data of an ensemble and checks all of it.
pub(super) fn plan(
    spec: &EnsembleSpec,
    options: &RunOptions,
    say: &dyn Fn(&str),
) -> Result<Planned> {
    let config = spec.config.in_run(&options.out);
    let samples = config.data.samples();
    let files = samples.map(|(_, sample)| sample.path.to_list().join(", "));
    say(&format!(
        "reading {}",
        files.collect::<Vec<_>>().join(" and ")
    ));
    let plan = Planned::new(
        &spec.name,
        config,
        &options.base,
        PlanOptions {
            unblind: options.unblind,
        },
    )?;
    for sample in plan.samples() {
        describe_sample(sample, say);
    }
    Ok(plan)
}

impl Prepared {
    /// Opens the ensemble's directory and looks at what is there.
    pub(super) fn new(
        spec: &EnsembleSpec,
        plan: Planned,
        path: &Path,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let files = |role: &str| {
            let samples = plan.samples();
            let sample = samples.into_iter().find(|s| s.role == role);
            sample.map(|s| s.files.clone()).unwrap_or_default()
        };
        let inputs = Inputs {
            source: files("source"),
            target: files("target"),
            ..Inputs::default()
        };
        let directory = RunDirectory::create(path, &spec.config, &inputs)?;
        directory.take_back(spec.config.ensemble.members)?;
        let found = find_members(&directory, &plan, say)?;
        for member in &found {
            // left by one who was killed between the member and its checkpoint
            Checkpoint::remove(&directory.checkpoint(member.about.member));
        }
        let missing: Vec<u32> = (0..spec.config.ensemble.members)
            .filter(|m| !found.iter().any(|f| f.about.member == *m))
            .collect();
        check_folds(&plan.task(), &missing)?;
        Ok(Self {
            has_its_result: directory.has_result_of(&spec.config)?,
            outputs: directory.manifest()?.map(|m| m.outputs).unwrap_or_default(),
            spec: spec.clone(),
            directory,
            inputs,
            missing,
            plan: Some(plan),
        })
    }

    /// Makes the configuration that of the directory, once everything holds. What
    /// an earlier one had more is set aside.
    pub(super) fn settle(&self, say: &dyn Fn(&str)) -> Result<()> {
        let (directory, config) = (&self.directory, &self.spec.config);
        if !self.has_its_result
            && let Some(mut manifest) = directory.manifest()?
        {
            // first: a result that is complete is that of the configuration
            manifest.state = State::Running;
            directory.write_manifest(&manifest)?;
        }
        directory.write_config(config)?;
        let above = directory.set_aside(config.ensemble.members)?;
        if above > 0 {
            say(&format!(
                "{above} members above ensemble.members = {} are set aside in {}; they are taken \
                 back when the number grows",
                config.ensemble.members,
                directory.join("aside").display()
            ));
        }
        Ok(())
    }

    /// The result, if it is there and nothing would change it.
    pub(super) fn finished(
        &self,
        unblind: bool,
        edges: Option<&CommonEdges>,
    ) -> Result<Option<EnsembleEnd>> {
        let config = &self.spec.config;
        let Some(earlier) = self.directory.manifest()? else {
            return Ok(None);
        };
        let same_view = self.has_its_result
            && earlier.unblind == unblind
            && matches!(earlier.state, State::Complete | State::Partial)
            && earlier.members.len() + earlier.failed.len() == config.ensemble.members as usize;
        let is_predicted = predictions(config)
            .iter()
            .all(|name| self.directory.predictions().join(name).is_file());
        let is_drawn = self.directory.report_path().is_file();
        if !(self.missing.is_empty() && same_view && is_predicted && is_drawn)
            || self.directory.damaged_output(&earlier, |_| true).is_some()
        {
            return Ok(None);
        }
        // what is derived may have been asked for in another form
        let Ok(metrics) = report::read_metrics(&self.directory) else {
            return Ok(None);
        };
        if edges.is_some_and(|edges| !edges.are_those_of(&metrics, config)) {
            return Ok(None);
        }
        // figures that cannot be drawn again are made anew
        let has_figures = report::read_figure_data(&self.directory)
            .is_ok_and(|data| data.is_some() || config.experiment.method != Method::Interpolate);
        if !report_is_current(&self.directory, config) || !has_figures {
            return Ok(None);
        }
        Ok(Some(EnsembleEnd {
            name: self.spec.name.clone(),
            config: config.clone(),
            directory: self.directory.clone(),
            state: earlier.state,
            metrics: Some(metrics),
            error: None,
        }))
    }

    /// The manifest of an ensemble that is under way.
    pub(super) fn manifest(&self, device: &str, threads: usize, options: &RunOptions) -> Manifest {
        Manifest {
            format: 1,
            state: State::Running,
            seed: self.spec.config.experiment.seed,
            unblind: options.unblind,
            base: base_folder(),
            versions: VersionRecord::current(),
            device: DeviceRecord {
                name: device.to_owned(),
                threads,
                cpu_kernel: cpu_kernel().to_owned(),
            },
            inputs: self.inputs.clone(),
            losses: Vec::new(),
            members: Vec::new(),
            failed: Vec::new(),
            ensembles: Vec::new(),
            outputs: self.outputs.clone(),
            started: crate::rundir::now(),
            finished: None,
            wall_seconds: 0.0,
        }
    }

    fn ended(&self, state: State, metrics: Option<Metrics>) -> EnsembleEnd {
        EnsembleEnd {
            name: self.spec.name.clone(),
            config: self.spec.config.clone(),
            directory: self.directory.clone(),
            state,
            metrics,
            error: None,
        }
    }

    /// Writes that members are missing, and who is there.
    pub(super) fn interrupted(
        &self,
        mut manifest: Manifest,
        started: Instant,
    ) -> Result<EnsembleEnd> {
        let there = |m: &u32| self.directory.member(*m).exists();
        manifest.members = (0..self.spec.config.ensemble.members)
            .filter(there)
            .collect();
        manifest.state = State::Interrupted;
        manifest.finished = Some(crate::rundir::now());
        manifest.wall_seconds = started.elapsed().as_secs_f64();
        self.directory.write_manifest(&manifest)?;
        Ok(self.ended(State::Interrupted, None))
    }

    /// Applies the ensemble and writes its result; interrupted if members are
    /// missing or somebody asked to stop.
    pub(super) fn conclude(
        &self,
        plan: &Planned,
        bench: Workbench<'_>,
        mut manifest: Manifest,
        started: Instant,
    ) -> Result<EnsembleEnd> {
        let (say, directory) = (bench.say, &self.directory);
        let samples = plan.samples().into_iter();
        manifest.losses = samples.map(|sample| sample.losses.clone()).collect();
        let all = find_members(directory, plan, say)?;
        let is_whole = all.len() == self.spec.config.ensemble.members as usize;
        let (usable, failed): (Vec<Member>, Vec<Member>) =
            all.into_iter().partition(|m| m.about.outcome.is_usable());
        manifest.members = usable.iter().map(|m| m.about.member).collect();
        manifest.failed = failed.iter().map(|m| m.about.member).collect();
        let close = |manifest: &mut Manifest, state: State| -> Result<()> {
            manifest.state = state;
            manifest.finished = Some(crate::rundir::now());
            manifest.wall_seconds = started.elapsed().as_secs_f64();
            directory.write_manifest(manifest)
        };
        if !is_whole || bench.interrupt.is_raised() {
            close(&mut manifest, State::Interrupted)?;
            return Ok(self.ended(State::Interrupted, None));
        }
        let state = if failed.is_empty() {
            State::Complete
        } else {
            State::Partial
        };
        if let Err(error) = enough(plan, &usable, &failed, directory) {
            // an earlier result, of fewer members, is none of this ensemble
            for path in [directory.metrics_path(), directory.report_path()] {
                let _ = std::fs::remove_file(path);
            }
            directory.retire(&self.outputs, &BTreeMap::new());
            manifest.outputs.clear();
            close(&mut manifest, State::Partial)?;
            return Err(error);
        }
        say(&format!("applying {} members", usable.len()));
        let is_mine = || -> Result<()> {
            if directory.has_result_of(&self.spec.config)? {
                return Ok(());
            }
            Err(Error::config(format!(
                "{} has another configuration since this process began; its result stays, and \
                 this one is not written: run again with the configuration that is meant",
                directory.path().display()
            )))
        };
        is_mine()?;
        let failed_numbers = &manifest.failed;
        let mut metrics = match plan {
            Planned::Ratio(plan) => {
                predict_and_measure(plan, bench, &usable, failed_numbers, directory)?
            }
            Planned::Interpolation(plan) => {
                match interpolation::predict(plan, bench, &usable, failed_numbers, directory) {
                    Err(error) if error.kind() == Kind::Interrupted => {
                        close(&mut manifest, State::Interrupted)?;
                        return Ok(self.ended(State::Interrupted, None));
                    }
                    Err(error) => {
                        close(&mut manifest, State::Partial)?;
                        return Err(error);
                    }
                    Ok(metrics) => metrics,
                }
            }
        };
        if bench.interrupt.is_raised() {
            close(&mut manifest, State::Interrupted)?;
            return Ok(self.ended(State::Interrupted, None));
        }
        is_mine()?;
        metrics.keep_verdicts(plan.config());
        directory.write_json(&directory.metrics_path(), &metrics)?;
        close(&mut manifest, state)?;
        say("drawing the report");
        let histories: Vec<Member> = usable.into_iter().chain(failed).collect();
        let drawn = report::write(directory, plan.config(), &manifest, &metrics, &histories)?;
        record(directory, &mut manifest, &self.outputs, &drawn)?;
        Ok(self.ended(state, Some(metrics)))
    }
}

/// Writes down the files of a result, with the figures that were `drawn`, and
/// removes figures of the one before that it has not.
fn record(
    directory: &RunDirectory,
    manifest: &mut Manifest,
    earlier: &BTreeMap<String, OutputRecord>,
    drawn: &BTreeSet<String>,
) -> Result<()> {
    manifest.outputs = directory.outputs()?;
    let is_of_it = |name: &String| !name.starts_with("plots/") || drawn.contains(name);
    manifest.outputs.retain(|name, _| is_of_it(name));
    directory.retire(earlier, &manifest.outputs);
    directory.write_manifest(manifest)
}

/// Draws the report of an ensemble anew from its members and metrics.
pub(crate) fn redo_report(path: &Path) -> Result<EnsembleEnd> {
    let directory = RunDirectory::open(path)?;
    directory.check_links()?;
    let config = directory.config()?;
    let mut manifest = directory
        .manifest()?
        .filter(|m| matches!(m.state, State::Complete | State::Partial))
        .ok_or_else(|| report::unfinished("it is not finished"))?;
    // what is not drawn here has to be as it was written
    let damaged = directory.damaged_output(&manifest, |name| !is_drawn(name));
    if let Some(name) = damaged {
        let text = format!("{name} is not as it was written");
        return Err(report::unfinished(&text));
    }
    let metrics = report::read_metrics(&directory)?;
    let members = manifest
        .members
        .iter()
        .chain(&manifest.failed)
        .map(|m| Member::read(&directory.member(*m)))
        .collect::<Result<Vec<_>>>()?;
    let drawn = report::write(&directory, &config, &manifest, &metrics, &members)?;
    let earlier = manifest.outputs.clone();
    if !earlier.is_empty() {
        record(&directory, &mut manifest, &earlier, &drawn)?;
    }
    Ok(EnsembleEnd {
        name: "nominal".to_owned(),
        config,
        directory,
        state: manifest.state,
        metrics: Some(metrics),
        error: None,
    })
}

/// The folder that relative data paths start from, for one who goes on
/// elsewhere.
pub(super) fn base_folder() -> Option<String> {
    let folder = std::env::current_dir().ok()?;
    Some(folder.display().to_string())
}

/// Training threads of a configuration on this machine.
#[must_use]
pub(super) fn threads(config: &Config) -> usize {
    match config.device.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n.min(1024),
    }
}

fn describe_sample(sample: &super::Sample, say: &dyn Fn(&str)) {
    let (events, kept) = match &sample.rest {
        None => (sample.table.len() as u64, String::new()),
        Some(rest) => (
            rest.events,
            format!(
                ", read while training; {} of them in memory for validation and diagnostics",
                sample.table.len()
            ),
        ),
    };
    say(&format!(
        "{}: {events} events in {} file(s){kept}",
        sample.role,
        sample.files.len()
    ));
    if sample.ids_by_row {
        say(&format!(
            "{}: no data.{}.id, events are named by file and row: \
             adding or renaming files changes folds and bootstrap weights",
            sample.role, sample.role
        ));
    }
    sample.losses.sentences().for_each(|text| say(&text));
}

/// Members whose files are there. A damaged one is moved aside, so that it is
/// trained anew; an intact one of another run is an error, and stays.
fn find_members(
    directory: &RunDirectory,
    plan: &Planned,
    say: &dyn Fn(&str),
) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for number in 0..plan.config().ensemble.members {
        let path = directory.member(number);
        if !path.exists() {
            continue;
        }
        let member = match Member::read(&path) {
            Ok(member) => member,
            Err(error) => {
                say(&format!("training member {number} anew: {error}"));
                // if that fails, the new file replaces it all the same
                let _ = std::fs::rename(&path, path.with_extension("damaged"));
                continue;
            }
        };
        let about = &member.about;
        let fits = about.member == number
            && about.ensemble == plan.ensemble()
            && about.seed == plan.config().experiment.seed
            && about.network == plan.settings().network
            && about.features.is_same(plan.scaling());
        if !fits {
            return Err(Error::data(format!(
                "{} is of another run or of an earlier program; move it away, or choose another \
                 directory with --out",
                path.display()
            )));
        }
        members.push(member);
    }
    Ok(members)
}

/// Whether a file of a result is one that a report draws.
fn is_drawn(name: &str) -> bool {
    name == "report.html" || name.starts_with("plots/")
}

/// Names of the prediction files.
fn predictions(config: &Config) -> &'static [&'static str] {
    match config.experiment.method {
        Method::Reweight => &["source.parquet"],
        Method::Ratio | Method::Measure => &["source.parquet", "target.parquet"],
        Method::Interpolate => &["samples.parquet"],
    }
}

fn report_is_current(directory: &RunDirectory, config: &Config) -> bool {
    let used = directory.path().join("plots").join("report.toml");
    directory
        .read(&used)
        .is_ok_and(|old| old == config.identity(IdentityOf::Report))
}

fn enough(
    plan: &Planned,
    usable: &[Member],
    failed: &[Member],
    directory: &RunDirectory,
) -> Result<()> {
    let requested = plan.config().ensemble.members;
    let needed = (plan.config().ensemble.minimum * f64::from(requested)).ceil() as usize;
    let unbounded = failed
        .iter()
        .filter(|m| matches!(m.about.outcome, Outcome::Unbounded { .. }))
        .count();
    let replicas = match plan {
        Planned::Ratio(plan) => Replicas::new(plan, usable).len(),
        Planned::Interpolation(_) => usable.len(),
    };
    if usable.len() >= needed.max(1) && replicas > 0 {
        return Ok(());
    }
    if unbounded * 2 > failed.len() {
        let text = format!(
            "the loss of {unbounded} of {requested} members fell below zero: negative event \
             weights dominate somewhere in the inputs' space, where no density ratio exists. Use \
             coarser inputs, merge samples so that their sum is positive, or drop the weights"
        );
        return Err(Error::new(Kind::NoResult, text));
    }
    let text = format!(
        "{} of {requested} members succeeded, ensemble.minimum asks for {needed}; see `failed` in \
         {}. Lower training.learning_rate or set training.gradient_clip",
        usable.len(),
        directory.join("manifest.json").display()
    );
    Err(Error::new(Kind::Partial, text))
}

fn predict_and_measure(
    plan: &Plan,
    bench: Workbench<'_>,
    members: &[Member],
    failed: &[u32],
    directory: &RunDirectory,
) -> Result<Metrics> {
    let network = plan.network();
    let applier = Applier::new(
        bench.compute,
        bench.threads,
        &network,
        &plan.scaling,
        members,
    )?;
    let replicas = Replicas::new(plan, members);
    let unnormalised =
        1.0 / (members.iter().map(|m| m.about.normalisation).sum::<f64>() / members.len() as f64);
    let mut accumulator = Accumulator::new(plan, &replicas);
    let trained = plan.training_region();
    let table = &plan.source.table;
    let combine = plan.config.ensemble.combine;
    let mut combiner = Combiner::new(&replicas, combine);
    let mut raw_combiner = Combiner::new(&replicas, combine);
    let mut raw = vec![0.0; members.len()];
    applier.for_each(&table.features, |row, ratios| {
        let weight = table.weights[row];
        let (key, in_training) = (table.ids.key(row), table.flags[row] >> trained & 1 == 1);
        for ((raw, ratio), member) in raw.iter_mut().zip(ratios).zip(members) {
            *raw = weight * ratio / (member.about.normalisation * unnormalised);
        }
        let (_, raw) = raw_combiner.event(&raw, key, in_training);
        let weights: Vec<f64> = ratios.iter().map(|r| r * weight).collect();
        let (event, values) = combiner.event(&weights, key, in_training);
        accumulator.push(event, values, raw);
        Ok(())
    })?;
    let predictor = PredictionFile {
        plan,
        applier: &applier,
        replicas: &replicas,
        members,
    };
    predictor.write(
        &plan.source,
        &directory.predictions().join("source.parquet"),
    )?;
    if plan.config.experiment.method == Method::Ratio {
        // with the ratio as the product, the target's events have theirs too
        predictor.write(
            &plan.target,
            &directory.predictions().join("target.parquet"),
        )?;
    }
    accumulator.metrics(members, failed, &applier, bench)
}

/// What makes a prediction file.
struct PredictionFile<'a> {
    plan: &'a Plan,
    applier: &'a Applier,
    replicas: &'a Replicas,
    members: &'a [Member],
}

impl PredictionFile<'_> {
    /// Predicts every event of a sample, wherever it is.
    fn write(&self, sample: &Sample, path: &Path) -> Result<()> {
        let regions: Vec<String> = self.plan.config.regions.keys().cloned().collect();
        atomic::write_with(path, unwritten, |file| {
            let mut writer =
                PredictionWriter::new(file, &sample.table, &regions, self.members, false)?;
            match &sample.rest {
                None => self.append(&mut writer, &sample.table)?,
                Some(rest) => {
                    let order = PartOrder::files();
                    let chunks = rest.dataset.stream(&rest.all, &order, rest.options);
                    for chunk in chunks.of(Kind::Internal)? {
                        self.append(&mut writer, &chunk.of(Kind::Internal)?)?;
                    }
                }
            }
            writer.finish()
        })
    }

    fn append<W: std::io::Write + Send>(
        &self,
        writer: &mut PredictionWriter<W>,
        table: &EventTable,
    ) -> Result<()> {
        let config = &self.plan.config;
        let (trained, yields) = (self.plan.training_region(), yields(self.plan));
        let mut combiner = Combiner::new(self.replicas, config.ensemble.combine);
        self.applier.for_each(&table.features, |row, ratios| {
            let factor = column_factor(config.experiment.method, table.weights[row], yields);
            let scaled: Vec<f64> = ratios.iter().map(|r| r * factor).collect();
            let in_training = table.flags[row] >> trained & 1 == 1;
            let (event, _) = combiner.event(&scaled, table.ids.key(row), in_training);
            writer.push(table, row, event, scaled.iter().copied())
        })
    }
}
