//! What training takes on this machine: a second of it, measured.

use super::campaign::open_devices;
use super::comparison::check_quadrants;
use super::ensemble::{RunOptions, plan};
use super::plan::Plan;
use super::training::resources;
use crate::batch::{Block, blocks};
use crate::error::Result;
use crate::rundir::RunDirectory;
use crate::settings::{EnsembleSpec, Experiment, IdentityOf};
use crate::training::{
    List, Member, MemoryModel, Observer, stack_size, steps_per_epoch, train_local,
};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time that is measured.
const MEASURE: Duration = Duration::from_millis(1200);
/// Time before that, in which caches fill and kernels are compiled.
const WARM_UP: Duration = Duration::from_millis(300);

/// What a run will take.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    /// One ensemble each, in the order of the experiment.
    pub ensembles: Vec<EnsembleEstimate>,
    pub blocks: Vec<Block>,
    /// The largest family's: program and device, all threads together.
    pub resident_bytes: Option<u64>,
}

/// What an ensemble will take.
#[derive(Clone, Debug)]
pub(crate) struct EnsembleEstimate {
    pub name: String,
    pub family: usize,
    /// Number of members.
    pub members: u32,
    /// Training events of source and target.
    pub events: [u64; 2],
    /// Bytes by the memory model, with those members.
    pub model_bytes: u64,
    /// Member-events per second, measured.
    pub rate: f64,
    /// Seconds, if every member stops as early as it may, if it takes as many epochs as is
    /// likely, and if none stops before the last epoch.
    pub seconds: [f64; 3],
    /// Members of an earlier run whose median number of epochs is the likely one.
    pub like: usize,
}

/// Epochs that members of this ensemble took in an earlier run, in rising order.
fn earlier_epochs(earlier: Option<&(RunDirectory, Experiment)>, spec: &EnsembleSpec) -> Vec<usize> {
    let Some((root, experiment)) = earlier else {
        return Vec::new();
    };
    let member = |config: &crate::settings::Config| config.identity(IdentityOf::Member);
    let mut pairs = experiment.ensembles.iter().zip(root.ensembles(experiment));
    let like = pairs.find(|(there, _)| {
        there.name == spec.name && member(&there.config) == member(&spec.config)
    });
    let Some((there, directory)) = like else {
        return Vec::new();
    };
    let members = (0..there.config.ensemble.members).filter_map(|n| {
        let member = Member::read(&directory.member(n)).ok()?;
        Some(member.about.history.validation.len())
    });
    let mut epochs: Vec<usize> = members.collect();
    epochs.sort_unstable();
    epochs
}

/// Counts rows for a second and then stops the training.
struct TrainingClock {
    state: Mutex<Counted>,
    started: Instant,
}

/// Rows that were trained: all, and those since the warm-up ended.
#[derive(Default)]
struct Counted {
    all: u64,
    warm: Option<(Instant, u64)>,
}

impl TrainingClock {
    /// Rows a second; from the start if training was over before it was warm.
    fn rate(&self) -> f64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, rows) = match state.warm {
            Some((begin, rows)) if rows > 0 => (begin, rows),
            _ => (self.started, state.all),
        };
        rows as f64 / begin.elapsed().as_secs_f64().max(1e-3)
    }
}

impl Observer for TrainingClock {
    fn interrupted(&self) -> bool {
        self.started.elapsed() > MEASURE + WARM_UP
    }
    fn trained(&self, _: &str, rows: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.all += rows;
        match &mut state.warm {
            Some((_, warm)) => *warm += rows,
            None if self.started.elapsed() >= WARM_UP => state.warm = Some((Instant::now(), 0)),
            None => {}
        }
    }
    fn finished(&self, _: &Member) {}
}

/// Reads every ensemble, checks it, and trains one of each family for a second.
/// `earlier`: a run whose members may say how many epochs they take; `visit` gets each plan.
pub(crate) fn estimate(
    experiment: &Experiment,
    options: &RunOptions,
    measure: bool,
    earlier: Option<&RunDirectory>,
    visit: &mut dyn FnMut(&Plan),
) -> Result<Estimate> {
    let trained = earlier.and_then(|root| Some((root.clone(), root.experiment().ok()?)));
    let devices = open_devices(experiment, &experiment.common().device)?;
    let blocks = blocks(experiment);
    let mut rates: Vec<(usize, f64)> = Vec::new();
    let mut resident_bytes = None;
    let mut ensembles = Vec::new();
    let mut earlier = Vec::new();
    for (place, spec) in experiment.ensembles.iter().enumerate() {
        let plan = plan(spec, options, earlier, &|_| {})?;
        check_quadrants(experiment, spec, &plan)?;
        plan.check_folds(&(0..spec.config.ensemble.members).collect::<Vec<_>>())?;
        visit(&plan);
        let (config, resources) = (&spec.config, resources(&spec.config, &devices));
        let members = config.ensemble.members;
        let has_it = |block: &&Block| block.units.iter().any(|unit| unit.task == place);
        let family = blocks.iter().find(has_it).map_or(0, |block| block.family);
        let task = plan.task();
        let model = MemoryModel::new(&task);
        let at_once = devices.iter().map(|device| {
            let (is_cpu, memory) = (device.is_cpu(), resources.device_memory);
            let stacks = if is_cpu { resources.threads } else { 1 };
            stacks * stack_size(resources.stack, is_cpu, memory, model)
        });
        let at_once = at_once.sum::<usize>().min(members as usize);
        let known = rates.iter().find(|(f, _)| *f == family);
        let rate = match known {
            Some((_, rate)) => *rate,
            None if !measure => 0.0,
            None => {
                let clock = TrainingClock {
                    state: Mutex::default(),
                    started: Instant::now(),
                };
                let ledger = List::new(0..at_once as u32, |_: &Member| Ok(()));
                train_local(std::slice::from_ref(&task), resources, &ledger, &clock)?;
                resident_bytes = resident_bytes.max(peak_resident());
                rates.push((family, clock.rate()));
                clock.rate()
            }
        };
        // the last members may not fill all places
        let rounds = (members as usize).div_ceil(at_once.max(1)) * at_once;
        let epoch = (steps_per_epoch(&task) * config.training.batch) as f64 * rounds as f64;
        let last = config.training.epochs;
        let first = (config.training.patience + 1).min(last);
        let epochs = earlier_epochs(trained.as_ref(), spec);
        // else as if the best epoch came after as many as the patience has
        let likely = match epochs.get(epochs.len() / 2) {
            Some(median) => *median as u32,
            None => config
                .training
                .patience
                .saturating_mul(2)
                .clamp(first, last),
        };
        let classes = task.sample.classes().len();
        let events = match &plan.stream {
            Some(stream) => [0, 1].map(|class: usize| stream.classes[class].rows),
            // the target is the last of the classes
            None => [2, 1].map(|back| match classes.checked_sub(back) {
                Some(class) => plan.fold_counts(class)[0] as u64,
                None => 0,
            }),
        };
        let windows = plan.stream.as_ref().map_or(0, |source| {
            (at_once.max(1) - 1) as u64 * source.window_bytes(&plan.settings)
        });
        ensembles.push(EnsembleEstimate {
            name: spec.name.clone(),
            family,
            members,
            events,
            model_bytes: plan.event_bytes()
                + model.device_bytes(at_once)
                + windows
                + at_once as u64 * model.host_member,
            rate,
            seconds: [first, likely, last].map(|epochs| f64::from(epochs) * epoch / rate),
            like: epochs.len(),
        });
        earlier = plan.samples;
    }
    Ok(Estimate {
        ensembles,
        blocks,
        resident_bytes,
    })
}

/// Largest resident memory of this process so far, where the system says it.
fn peak_resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
