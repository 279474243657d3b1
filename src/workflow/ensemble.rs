//! One ensemble of a run: what of it is there, and from its members to its
//! result.

use super::apply::Replicas;
use super::comparison::CommonEdges;
use super::plan::Plan;
use super::sample::Sample;
use super::{TrainedEnsemble, Workbench, interpolation, reweight};
use crate::error::{Error, Kind, Result, agreeing, counted};
use crate::report::{self, EnsembleEnd};
use crate::results::Metrics;
use crate::rundir::{Manifest, OutputRecord, Progress, RunDirectory, RunInputs, RunState, now};
use crate::settings::{Config, EnsembleSpec, IdentityOf, Method, Places};
use crate::training::{Checkpoint, Member, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How a run is done.
#[derive(Clone, Debug)]
pub(crate) struct RunOptions {
    /// The run directory.
    pub out: PathBuf,
    /// Folder of the configuration, from which its paths start; the working directory if it
    /// is empty.
    pub folder: PathBuf,
    /// Look at target events of blind regions.
    pub unblind: bool,
    /// No status on stderr.
    pub quiet: bool,
    /// Members that are trained here; all without it. Without the others there
    /// is no result.
    pub only: Option<std::ops::RangeInclusive<u32>>,
}

impl RunOptions {
    /// Where the paths of the configuration start.
    pub(crate) fn places(&self) -> Places {
        Places {
            run: self.out.clone(),
            folder: self.folder.clone(),
        }
    }

    /// The working directory and the configuration's folder in it, as a manifest has them for
    /// one who goes on elsewhere.
    pub(crate) fn origin(&self) -> [Option<String>; 2] {
        let base = std::env::current_dir().ok();
        let folder = Some(&self.folder).filter(|folder| !folder.as_os_str().is_empty());
        let text = |path: &Path| path.display().to_string();
        [base.as_deref().map(text), folder.map(|folder| text(folder))]
    }
}

/// An ensemble whose configuration fits its data, and what of it is there.
pub(super) struct EnsembleRun {
    pub spec: EnsembleSpec,
    pub directory: RunDirectory,
    pub inputs: RunInputs,
    /// Members that are to be trained.
    pub missing: Vec<u32>,
    /// Whether the result that is there, if any, is of this configuration.
    has_its_result: bool,
    /// Files of that result.
    pub outputs: BTreeMap<String, OutputRecord>,
    /// The plan, kept where it is the only one.
    pub plan: Option<Plan>,
}

/// Reads the data of an ensemble and checks all of it; what `earlier` samples, of another
/// ensemble, have in common with its own is not read again.
pub(super) fn plan(
    spec: &EnsembleSpec,
    options: &RunOptions,
    earlier: Vec<Sample>,
    say: &dyn Fn(&str),
) -> Result<Plan> {
    let config = options.places().config(&spec.config)?;
    let samples = config.data.samples();
    let files: Vec<String> = samples.map(|(_, s)| s.path.to_list().join(", ")).collect();
    say(&format!("reading {}", files.join(" and ")));
    let plan = Plan::new(&spec.name, config, options.unblind, earlier)?;
    plan.samples.iter().for_each(|sample| describe(sample, say));
    Ok(plan)
}

fn describe(sample: &Sample, say: &dyn Fn(&str)) {
    let (role, there) = (sample.role, sample.table.len());
    let (events, kept) = match &sample.streamed {
        None => (there as u64, String::new()),
        Some(all) => {
            let kept = format!(
                ", read while training; {there} of them in memory for validation and diagnostics"
            );
            (all.events, kept)
        }
    };
    let (events, files) = (
        counted(events, "event"),
        counted(sample.files.len(), "file"),
    );
    say(&format!("{role}: {events} in {files}{kept}"));
    if sample.ids_by_row {
        say(&format!(
            "{role}: no data.{role}.id, events are named by file and row: \
             adding or renaming files changes folds and bootstrap weights"
        ));
    }
    let scaled = sample.losses.scaled().into_iter();
    scaled
        .chain(sample.losses.sentences())
        .for_each(|text| say(&text));
}

/// Writes how what a manifest is of has ended.
pub(super) fn close(
    directory: &RunDirectory,
    manifest: &mut Manifest,
    state: RunState,
    started: Instant,
) -> Result<()> {
    manifest.state = state;
    manifest.finished = Some(now());
    manifest.wall_seconds = started.elapsed().as_secs_f64();
    directory.write_manifest(manifest)
}

impl EnsembleRun {
    /// Opens the ensemble's directory and looks at what is there.
    pub(super) fn new(
        spec: &EnsembleSpec,
        plan: Plan,
        path: &Path,
        say: &dyn Fn(&str),
    ) -> Result<Self> {
        let files = |role: &str| {
            let sample = plan.samples.iter().find(|s| s.role == role);
            sample.map(|s| s.files.clone()).unwrap_or_default()
        };
        let computed = plan.samples.iter().flat_map(Sample::computed);
        let computed: BTreeSet<&str> = computed.collect();
        let inputs = RunInputs {
            source: files("source"),
            target: files("target"),
            computed: Some(computed.into_iter().map(str::to_owned).collect()),
            ..RunInputs::default()
        };
        let directory = RunDirectory::create(path, &spec.config, &inputs)?;
        directory.take_back(spec.config.ensemble.members)?;
        let found = find_members(&directory, &plan, say)?;
        for member in &found {
            // left by one who was killed between the member and its checkpoint
            Checkpoint::remove(&directory.checkpoint(member.about.member));
        }
        let is_there = |m: &u32| found.iter().any(|f| f.about.member == *m);
        let missing = 0..spec.config.ensemble.members;
        let missing: Vec<u32> = missing.filter(|m| !is_there(m)).collect();
        plan.check_folds(&missing)?;
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
    pub(super) fn settle(&self, options: &RunOptions, say: &dyn Fn(&str)) -> Result<()> {
        let (directory, config) = (&self.directory, &self.spec.config);
        if let Some(former) = directory.manifest()? {
            let mut manifest = former.clone();
            // its paths start from there
            [manifest.base, manifest.folder] = options.origin();
            if !self.has_its_result {
                // first: a result that is complete is that of the configuration
                manifest.state = RunState::Running;
            }
            if manifest != former {
                directory.write_manifest(&manifest)?;
            }
        }
        directory.write_config(config)?;
        let above = directory.set_aside(config.ensemble.members)?;
        if above > 0 {
            say(&format!(
                "{} above ensemble.members = {} {} set aside in {}, to be taken back when the \
                 number grows",
                counted(above, "member"),
                config.ensemble.members,
                agreeing(above as u64, "is", "are"),
                directory.join("aside").display()
            ));
        }
        Ok(())
    }

    /// Members that are asked for.
    pub(super) fn requested(&self) -> u32 {
        self.spec.config.ensemble.members
    }

    /// How many of them are there, whoever trained them.
    pub(super) fn count(&self) -> u64 {
        self.directory.count_members(self.requested())
    }

    /// The result, if it is there and nothing would change it; drawn anew if it should look
    /// otherwise.
    pub(super) fn finished(
        &self,
        unblind: bool,
        edges: Option<&CommonEdges>,
        (say, progress): (&dyn Fn(&str), &Progress),
    ) -> Result<Option<EnsembleEnd>> {
        let (config, directory) = (&self.spec.config, &self.directory);
        let Some(earlier) = directory.manifest()? else {
            return Ok(None);
        };
        let is_same_view = self.has_its_result
            && earlier.unblind == unblind
            && is_result(&earlier)
            && earlier.members.len() + earlier.failed.len() == self.requested() as usize;
        let is_there = |name: &&str| directory.predictions().join(name).is_file();
        if !self.missing.is_empty()
            || !is_same_view
            || !predictions(config).iter().all(is_there)
            || !directory.report_path().is_file()
            || directory.damaged_output(&earlier, |_| true).is_some()
        {
            return Ok(None);
        }
        // what is derived may have been asked for in another form
        let Ok(metrics) = report::read_metrics(directory) else {
            return Ok(None);
        };
        if edges.is_some_and(|edges| !edges.are_those_of(&metrics, config)) {
            return Ok(None);
        }
        // figures that cannot be drawn again are made anew
        let has_figures = report::read_figure_data(directory)
            .is_ok_and(|data| data.is_some() || config.experiment.method != Method::Interpolate);
        if !has_figures {
            return Ok(None);
        }
        if !report_is_current(directory, config) {
            say("drawing the report");
            redo_report(directory.path(), None, progress)?;
        }
        Ok(Some(self.ended(earlier.state, Some(metrics))))
    }

    pub(super) fn ended(&self, state: RunState, metrics: Option<Metrics>) -> EnsembleEnd {
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
        let is_there = |m: &u32| self.directory.member(*m).exists();
        manifest.members = (0..self.requested()).filter(is_there).collect();
        close(
            &self.directory,
            &mut manifest,
            RunState::Interrupted,
            started,
        )?;
        Ok(self.ended(RunState::Interrupted, None))
    }

    /// Applies the ensemble and writes its result; interrupted if members are
    /// missing or somebody asked to stop.
    pub(super) fn conclude(
        &self,
        plan: &Plan,
        bench: Workbench<'_>,
        mut manifest: Manifest,
        started: Instant,
    ) -> Result<EnsembleEnd> {
        let (say, directory) = (bench.say, &self.directory);
        manifest.losses = plan.samples.iter().map(|s| s.losses.clone()).collect();
        let all = find_members(directory, plan, say)?;
        let is_whole = all.len() == self.requested() as usize;
        let (usable, failed): (Vec<Member>, Vec<Member>) =
            all.into_iter().partition(|m| m.about.outcome.is_usable());
        manifest.members = usable.iter().map(|m| m.about.member).collect();
        manifest.failed = failed.iter().map(|m| m.about.member).collect();
        let close = |manifest: &mut Manifest, state| close(directory, manifest, state, started);
        let interrupted = |manifest: &mut Manifest| {
            close(manifest, RunState::Interrupted)?;
            Ok(self.ended(RunState::Interrupted, None))
        };
        if !is_whole || bench.interrupt.is_raised() {
            return interrupted(&mut manifest);
        }
        let state = match failed.is_empty() {
            true => RunState::Complete,
            false => RunState::Partial,
        };
        if let Err(error) = enough(plan, &usable, &failed, directory) {
            // an earlier result, of fewer members, is none of this ensemble
            for path in [directory.metrics_path(), directory.report_path()] {
                let _ = std::fs::remove_file(path);
            }
            directory.retire(&self.outputs, &BTreeMap::new());
            manifest.outputs.clear();
            close(&mut manifest, RunState::Partial)?;
            return Err(error);
        }
        say(&format!("applying {}", counted(usable.len(), "member")));
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
        let trained = TrainedEnsemble {
            plan,
            bench,
            members: &usable,
            failed: &manifest.failed,
            directory,
        };
        let predicted = match &plan.plane {
            None => Ok(reweight::predict(trained)?),
            Some(_) => interpolation::predict(trained),
        };
        let mut metrics = match predicted {
            Ok(metrics) if !bench.interrupt.is_raised() => metrics,
            Ok(_) => return interrupted(&mut manifest),
            Err(error) if error.kind() == Kind::Interrupted => return interrupted(&mut manifest),
            Err(error) => {
                close(&mut manifest, RunState::Partial)?;
                return Err(error);
            }
        };
        is_mine()?;
        metrics.keep_verdicts(&plan.config);
        directory.write_json(&directory.metrics_path(), &metrics)?;
        manifest.settings = self.spec.config.numbers();
        close(&mut manifest, state)?;
        say("drawing the report");
        let histories: Vec<Member> = usable.into_iter().chain(failed).collect();
        let drawn = report::write(
            directory,
            &plan.config,
            &manifest,
            &metrics,
            &histories,
            bench.progress,
        )?;
        record(directory, &mut manifest, &self.outputs, &drawn)?;
        Ok(self.ended(state, Some(metrics)))
    }
}

/// Whether a manifest is of a result.
pub(super) fn is_result(manifest: &Manifest) -> bool {
    matches!(manifest.state, RunState::Complete | RunState::Partial)
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

/// Draws the report of an ensemble anew from its members and metrics, with the words of its own
/// configuration or of another one.
///
/// # Errors
/// Also if the configuration is of other numbers than those that are there.
pub(crate) fn redo_report(
    path: &Path,
    config: Option<&Config>,
    progress: &Progress,
) -> Result<EnsembleEnd> {
    let directory = RunDirectory::open(path)?;
    directory.check_links()?;
    let own = directory.config()?;
    let mut manifest = directory
        .manifest()?
        .filter(is_result)
        .ok_or_else(|| report::unfinished("it is not finished"))?;
    let config = config.unwrap_or(&own);
    let made_with = match manifest.settings.is_empty() {
        true => own.numbers(),
        false => manifest.settings.clone(),
    };
    directory.check_settings(&made_with, &config.numbers())?;
    // what is not drawn here has to be as it was written
    let is_drawn = |name: &str| name == "report.html" || name.starts_with("plots/");
    if let Some(name) = directory.damaged_output(&manifest, |name| !is_drawn(name)) {
        let text = format!("{name} is not as it was written");
        return Err(report::unfinished(&text));
    }
    let mut metrics = report::read_metrics(&directory)?;
    metrics.take_words(config);
    let members = manifest.members.iter().chain(&manifest.failed);
    let members = members.map(|m| Member::read(&directory.member(*m)));
    let members: Vec<Member> = members.collect::<Result<_>>()?;
    let drawn = report::write(&directory, config, &manifest, &metrics, &members, progress)?;
    let earlier = manifest.outputs.clone();
    if !earlier.is_empty() {
        record(&directory, &mut manifest, &earlier, &drawn)?;
    }
    Ok(EnsembleEnd {
        name: "nominal".to_owned(),
        config: config.clone(),
        directory,
        state: manifest.state,
        metrics: Some(metrics),
        error: None,
    })
}

/// Training threads of a configuration on this machine.
#[must_use]
pub(super) fn threads(config: &Config) -> usize {
    match config.device.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n.min(1024),
    }
}

/// Members whose files are there. A damaged one is moved aside, so that it is
/// trained anew; an intact one of another run is an error, and stays.
fn find_members(directory: &RunDirectory, plan: &Plan, say: &dyn Fn(&str)) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for number in 0..plan.config.ensemble.members {
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
            && about.ensemble == plan.ensemble
            && about.seed == plan.config.experiment.seed
            && about.network == plan.settings.network
            && about.features.is_same(&plan.scaling);
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

/// Names of the prediction files.
fn predictions(config: &Config) -> &'static [&'static str] {
    match config.experiment.method {
        Method::Reweight => &["source.parquet"],
        Method::Ratio | Method::Measure | Method::Limit | Method::Mix => {
            &["source.parquet", "target.parquet"]
        }
        Method::Interpolate => &["samples.parquet"],
    }
}

fn report_is_current(directory: &RunDirectory, config: &Config) -> bool {
    let used = directory.path().join("plots").join("report.toml");
    let used = directory.read(&used);
    used.is_ok_and(|old| old == config.identity(IdentityOf::Report))
}

fn enough(
    plan: &Plan,
    usable: &[Member],
    failed: &[Member],
    directory: &RunDirectory,
) -> Result<()> {
    let requested = plan.config.ensemble.members;
    let needed = (plan.config.ensemble.minimum * f64::from(requested)).ceil() as usize;
    let replicas = match &plan.plane {
        None => Replicas::new(plan.settings.split, plan.streams, usable).len(),
        Some(_) => usable.len(),
    };
    if usable.len() >= needed.max(1) && replicas > 0 {
        return Ok(());
    }
    let is_unbounded = |m: &&Member| matches!(m.about.outcome, Outcome::Unbounded { .. });
    let unbounded = failed.iter().filter(is_unbounded).count();
    let all = counted(requested, "member");
    if unbounded * 2 > failed.len() {
        let text = format!(
            "the loss of {unbounded} of {all} fell below zero: negative event \
             weights dominate somewhere in the inputs' space, where no density ratio exists. Use \
             coarser inputs, merge samples so that their sum is positive, or drop the weights"
        );
        return Err(Error::new(Kind::NoResult, text));
    }
    let text = format!(
        "{} of {all} succeeded, ensemble.minimum asks for {needed}; see `failed` in \
         {}. Lower training.learning_rate or set training.gradient_clip",
        usable.len(),
        directory.join("manifest.json").display()
    );
    Err(Error::new(Kind::Partial, text))
}
