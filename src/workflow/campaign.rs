//! All ensembles of an experiment: what is there of them, and each brought to its result.

use super::Workbench;
use super::comparison::{CommonEdges, check_quadrants, compare_methods};
use super::ensemble::{EnsembleRun, RunOptions, close, plan, threads};
use super::family::FamilyPlans;
use super::plan::Plan;
use super::sample::Sample;
use crate::batch::{Block, blocks};
use crate::error::{Error, Kind, OnFile, Result, counted};
use crate::files::lock;
use crate::report::{EnsembleEnd, write_matrix};
use crate::results::ComparisonMetrics;
use crate::rundir::{
    DeviceRecord, Manifest, OutputRecord, Progress, RunDirectory, RunInputs, RunLog, RunState,
    VersionRecord, now,
};
use crate::settings::{Config, DeviceConfig, EnsembleSpec, ExecutorKind, Experiment, IdentityOf};
use crate::training::{Interrupt, Unit};
use serde_json::json;
use sideband_networks::{Compute, cpu_kernel};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Complete, partial or interrupted: the worst of the ensembles.
    pub state: RunState,
    /// The run directory.
    pub directory: RunDirectory,
    pub ensembles: Vec<EnsembleEnd>,
    /// What is compared of them.
    pub compared: Option<ComparisonMetrics>,
    /// Whether there is a matrix of them.
    pub is_matrix: bool,
    /// Whether it was asked for some members only, and has them.
    pub is_part: bool,
}

/// Opens devices, with the kernels of an experiment.
pub(super) fn open_devices(
    experiment: &Experiment,
    devices: &DeviceConfig,
) -> Result<Vec<Compute>> {
    let kernels = experiment.common().device.kernels;
    let open = |name| Compute::open(name).map(|compute| compute.with_kernels(kernels));
    Ok(devices.names().map(open).collect::<Result<_, _>>()?)
}

/// All ensembles of an experiment, with what is there of them.
pub(super) struct Campaign<'a> {
    pub experiment: &'a Experiment,
    pub options: &'a RunOptions,
    pub interrupt: &'a Interrupt,
    pub devices: Vec<Compute>,
    pub root: RunDirectory,
    pub ensembles: Vec<EnsembleRun>,
    /// Edges that all ensembles of a comparison have in common.
    pub edges: Option<CommonEdges>,
    pub blocks: Vec<Block>,
    /// Plans for the training that the checks have made.
    pub(super) checked: Mutex<Vec<Plan>>,
    pub started: Instant,
}

impl<'a> Campaign<'a> {
    /// Checks every ensemble against its data and looks at what is there.
    pub(super) fn new(
        experiment: &'a Experiment,
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        voice: (&dyn Fn(&str), &Progress),
    ) -> Result<Self> {
        let say = voice.0;
        let all: Vec<usize> = (0..experiment.ensembles.len()).collect();
        let is_local = experiment.common().executor.kind == ExecutorKind::Local;
        let trains = is_local && options.only.is_none();
        let campaign = Self::of(experiment, &all, options, interrupt, devices, voice, trains)?;
        // nothing of an earlier configuration is changed before all of it holds
        for run in &campaign.ensembles {
            run.settle(options, say)?;
        }
        if experiment.is_matrix {
            campaign.root.write_config(&experiment.table)?;
        }
        Ok(campaign)
    }

    /// The same for some of the ensembles, by their place; for one who helps, and
    /// leaves the configuration as it is. `trains`: all that is missing is
    /// trained in this process.
    pub(super) fn of(
        experiment: &'a Experiment,
        wanted: &[usize],
        options: &'a RunOptions,
        interrupt: &'a Interrupt,
        devices: Vec<Compute>,
        (say, progress): (&dyn Fn(&str), &Progress),
        trains: bool,
    ) -> Result<Self> {
        let is_matrix = experiment.is_matrix;
        let create_root = || RunDirectory::create_root(&options.out, experiment);
        let root = if is_matrix {
            Some(create_root()?)
        } else {
            None
        };
        if is_matrix {
            say(&format!(
                "checking {} against the data",
                counted(experiment.ensembles.len(), "ensemble")
            ));
        }
        let mut ensembles = Vec::with_capacity(wanted.len());
        let reference = CommonEdges::reference(experiment);
        let mut edges = None;
        let mut earlier = Vec::new();
        let gathers = trains && can_gather(experiment, wanted, root.as_ref());
        let mut family = gathers.then(FamilyPlans::default);
        let stage = match is_matrix {
            true => progress.stage("checking", wanted.len() as u64),
            false => progress.stage("reading", 0),
        };
        for place in wanted.iter().copied() {
            let spec = &experiment.ensembles[place];
            if interrupt.is_raised() && !ensembles.is_empty() {
                let text = "interrupted while the ensembles were checked against their data";
                return Err(Error::new(interrupt.kind(), text));
            }
            let quiet: &dyn Fn(&str) = if is_matrix { &|_| {} } else { say };
            let path = match &root {
                Some(root) => root.ensemble(&spec.name).path().to_owned(),
                None => options.out.clone(),
            };
            let run = plan(spec, options, std::mem::take(&mut earlier), quiet).and_then(|plan| {
                check_quadrants(experiment, spec, &plan)?;
                if reference == Some(place) {
                    edges = Some(CommonEdges::of(&plan));
                }
                EnsembleRun::new(spec, plan, &path, say)
            });
            let mut run = match is_matrix {
                true => run.map_err(|error| error.at(format!("ensemble {}", spec.name)))?,
                false => run?,
            };
            if is_matrix && let Some(plan) = run.plan.take() {
                // read again when its turn comes: all of them may not fit
                earlier = match &mut family {
                    Some(family) => family.add(plan),
                    None => plan.samples,
                };
            }
            ensembles.push(run);
            if is_matrix {
                stage.add(1);
            }
        }
        drop(stage);
        Ok(Self {
            root: root.map_or_else(create_root, Ok)?,
            experiment,
            options,
            interrupt,
            devices,
            ensembles,
            edges,
            blocks: blocks(experiment),
            checked: Mutex::new(family.map_or_else(Vec::new, FamilyPlans::finish)),
            started: Instant::now(),
        })
    }

    /// How all of it ended. Writes the page of a matrix, and its manifest; an ensemble
    /// alone has written its own.
    pub(super) fn ended(
        &self,
        ensembles: Vec<EnsembleEnd>,
        started: Instant,
        progress: &Progress,
    ) -> Result<Ended> {
        let has = |state: RunState| ensembles.iter().any(|e| e.state == state);
        let state = if has(RunState::Interrupted) {
            RunState::Interrupted
        } else if has(RunState::Partial) || ensembles.iter().any(|e| e.error.is_some()) {
            RunState::Partial
        } else {
            RunState::Complete
        };
        let mut compared = None;
        if self.experiment.is_matrix {
            compared = compare_methods(self.experiment, &ensembles);
            let mut manifest = self.root_manifest();
            write_page(
                &self.root,
                self.experiment,
                (&ensembles, compared.as_ref()),
                &mut manifest.outputs,
                progress,
            )?;
            close(&self.root, &mut manifest, state, started)?;
        }
        Ok(Ended {
            state,
            directory: self.root.clone(),
            ensembles,
            compared,
            is_matrix: self.experiment.is_matrix,
            is_part: self.options.only.is_some() && self.missing().is_empty(),
        })
    }

    pub(super) fn log(&self, notes: Vec<String>) -> Result<RunLog> {
        let path = self.root.join("log.jsonl");
        let log = RunLog::open(&path).on(&path)?;
        for note in notes {
            log.event("note", json!({ "text": note }));
        }
        Ok(log)
    }

    pub(super) fn device_names(&self) -> String {
        let names: Vec<&str> = self.devices.iter().map(Compute::name).collect();
        names.join(",")
    }

    /// The manifest of what is under way.
    fn manifest(&self, config: &Config, inputs: RunInputs) -> Manifest {
        let [base, folder] = self.options.origin();
        Manifest {
            format: 1,
            state: RunState::Running,
            seed: config.experiment.seed,
            unblind: self.options.unblind,
            base,
            folder,
            versions: VersionRecord::current(),
            device: DeviceRecord {
                name: self.device_names(),
                threads: threads(self.experiment.common()),
                cpu_kernel: cpu_kernel().to_owned(),
            },
            inputs,
            losses: Vec::new(),
            members: Vec::new(),
            failed: Vec::new(),
            ensembles: Vec::new(),
            outputs: BTreeMap::new(),
            settings: Vec::new(),
            started: now(),
            finished: None,
            wall_seconds: 0.0,
        }
    }

    fn ensemble_manifest(&self, run: &EnsembleRun) -> Manifest {
        Manifest {
            outputs: run.outputs.clone(),
            ..self.manifest(&run.spec.config, run.inputs.clone())
        }
    }

    fn root_manifest(&self) -> Manifest {
        let names = self.experiment.ensembles.iter().map(|e| e.name.clone());
        let mut manifest = self.manifest(self.experiment.common(), RunInputs::default());
        manifest.ensembles = names.collect();
        // figures that are there, and what the result of a measurement was made of
        if let Some(known) = self.root.manifest().ok().flatten() {
            manifest.inputs = known.inputs;
            manifest.outputs = known.outputs;
            manifest.settings = known.settings;
        }
        manifest
    }

    /// Writes that the run is under way.
    pub(super) fn begin(&self, log: &RunLog) -> Result<()> {
        for run in &self.ensembles {
            let mut manifest = self.ensemble_manifest(run);
            let is_there = |m: &u32| !run.missing.contains(m);
            manifest.members = (0..run.requested()).filter(is_there).collect();
            run.directory.write_manifest(&manifest)?;
        }
        if self.experiment.is_matrix {
            self.root.write_manifest(&self.root_manifest())?;
        }
        log.event(
            "start",
            json!({
                "ensembles": self.ensembles.len(),
                "members": self.total(),
                "found": self.count(),
                "device": self.device_names(),
                "threads": threads(self.experiment.common()),
            }),
        );
        Ok(())
    }

    /// Members of all ensembles.
    pub(super) fn total(&self) -> u64 {
        let requested = self.ensembles.iter().map(EnsembleRun::requested);
        requested.map(u64::from).sum()
    }

    /// Members that are there, whoever trained them.
    pub(super) fn count(&self) -> u64 {
        self.ensembles.iter().map(EnsembleRun::count).sum()
    }

    /// An ensemble by its place in the experiment.
    pub(super) fn place(&self, task: usize) -> Option<&EnsembleRun> {
        let name = &self.experiment.ensembles.get(task)?.name;
        self.ensembles.iter().find(|run| run.spec.name == *name)
    }

    pub(super) fn is_missing(&self, unit: Unit) -> bool {
        let run = self.place(unit.task);
        run.is_some_and(|run| {
            self.wants(unit.member) && !run.directory.member(unit.member).exists()
        })
    }

    /// Plans for the training of ensembles, if the checks have made them; once.
    pub(super) fn checked(&self, runs: &[&EnsembleRun]) -> Option<Vec<Plan>> {
        let mut plans = std::mem::take(&mut *lock(&self.checked));
        plans.retain(|plan| runs.iter().any(|run| run.spec.name == plan.ensemble));
        (plans.len() == runs.len()).then_some(plans)
    }

    /// Whether a member is to be trained here.
    pub(super) fn wants(&self, member: u32) -> bool {
        let only = self.options.only.as_ref();
        only.is_none_or(|range| range.contains(&member))
    }

    /// Numbers of the blocks in which members are missing.
    pub(super) fn missing(&self) -> Vec<u32> {
        self.blocks
            .iter()
            .filter(|block| block.units.iter().any(|unit| self.is_missing(*unit)))
            .map(|block| block.number)
            .collect()
    }

    /// Brings an ensemble to its result. `earlier` has samples of the one before, and
    /// then its own.
    pub(super) fn conclude(
        &self,
        run: &EnsembleRun,
        bench: Workbench<'_>,
        started: Instant,
        earlier: &mut Vec<Sample>,
    ) -> Result<EnsembleEnd> {
        let is_matrix = self.experiment.is_matrix;
        let say = |text: &str| match is_matrix {
            true => (bench.say)(&format!("{}: {text}", run.spec.name)),
            false => (bench.say)(text),
        };
        let of = match is_matrix {
            true => format!("{}: ", run.spec.name),
            false => String::new(),
        };
        let bench = Workbench {
            say: &say,
            of: &of,
            ..bench
        };
        let manifest = self.ensemble_manifest(run);
        if self.interrupt.is_raised() || run.count() < u64::from(run.requested()) {
            return run.interrupted(manifest, started);
        }
        let mut read = None;
        let plan = match &run.plan {
            Some(plan) => plan,
            None => {
                let samples = std::mem::take(earlier);
                let read = read.insert(plan(&run.spec, self.options, samples, &|_| {})?);
                if let Some(edges) = &self.edges {
                    edges.give_to(read);
                }
                &*read
            }
        };
        let kept = [Kind::Partial, Kind::NoResult, Kind::NoSamples];
        let ended = run.conclude(plan, bench, manifest, started);
        *earlier = read.map_or_else(Vec::new, |plan| plan.samples);
        match ended {
            // the other ensembles do not suffer from it
            Err(error) if is_matrix && kept.contains(&error.kind()) => {
                say(&format!("error: {error}"));
                Ok(EnsembleEnd {
                    error: Some(error),
                    ..run.ended(RunState::Partial, None)
                })
            }
            other => other,
        }
    }
}

/// Writes the page of all ensembles, that of a measurement beside its own. `outputs`: records of
/// its figures, in the place of those of an earlier page, which are removed.
pub(super) fn write_page(
    root: &RunDirectory,
    experiment: &Experiment,
    (ensembles, compared): (&[EnsembleEnd], Option<&ComparisonMetrics>),
    outputs: &mut BTreeMap<String, OutputRecord>,
    progress: &Progress,
) -> Result<()> {
    let has_own = experiment.measurement.is_some() || experiment.mixing.is_some();
    let page = match has_own {
        true => root.path().join("ensembles.html"),
        false => root.report_path(),
    };
    if compared.is_none() {
        // of an earlier configuration, if there are any
        for ending in ["json", "csv", "tex"] {
            let path = root.path().join(format!("comparison.{ending}"));
            let _ = std::fs::remove_file(path);
        }
    }
    let drawn = write_matrix(root, ensembles, compared, &page, progress)?;
    root.keep_drawn(outputs, &drawn)
}

/// Whether the training events of all ensembles can be gathered while they are checked, with
/// no more in memory than later: of one family, whose matrix is that of the training, and
/// without members so far, which are read beside a plan.
fn can_gather(experiment: &Experiment, wanted: &[usize], root: Option<&RunDirectory>) -> bool {
    let Some(root) = root else {
        return false;
    };
    let all: Vec<&EnsembleSpec> = wanted.iter().map(|i| &experiment.ensembles[*i]).collect();
    let family = |spec: &EnsembleSpec| spec.config.identity(IdentityOf::Family);
    let has_members = |spec: &&EnsembleSpec| {
        let members = spec.config.ensemble.members;
        root.ensemble(&spec.name).count_members(members) > 0
    };
    !all.iter().any(has_members) && all.windows(2).all(|two| family(two[0]) == family(two[1]))
}
