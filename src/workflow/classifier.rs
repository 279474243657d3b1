//! A fresh classifier of (reweighted) source against target, by the same
//! engine: can anything still tell them apart?
//!
//! Cross-fitted: k folds, each event scored by members that did not see it.
//! AUC 0.5 means closed; what a perfect model gives differs from that by the
//! statistical error alone.

use super::Workbench;
use super::apply::Applier;
use super::plan::Plan;
use super::sample::Sample;
use crate::error::{Context, Kind, Result};
use crate::rundir::Stage;
use crate::settings::{Normalise, Schedule, Split};
use crate::statistics::{Auc, auc};
use crate::training::{
    ClassRows, Inputs, Interrupt, List, Member, Observer, Resources, SplitSettings, Streams, Task,
    TrainingSample, TrainingSettings, check_folds, ensemble_word, train_local,
};
use sideband_networks::{Activation, MlpConfig, Network, Objective, OptimizerConfig};
use std::sync::{Arc, Mutex, PoisonError};

const FOLDS: u32 = 5;
/// Events of a class below which it is not divided.
const FEWEST: usize = 50;

/// Counts trainings as steps of a stage.
struct Counter<'a>(&'a Interrupt, &'a Stage<'a>);

impl Observer for Counter<'_> {
    fn interrupted(&self) -> bool {
        self.0.is_raised()
    }
    fn trained(&self, _: &str, _: u64) {}
    fn finished(&self, _: &Member) {
        self.1.add(1);
    }
}

/// Networks that are trained for one AUC.
pub(super) fn trainings(plan: &Plan) -> u64 {
    u64::from(members(plan))
}

fn members(plan: &Plan) -> u32 {
    let members = plan.config.report.classifier_members;
    members.next_multiple_of(FOLDS)
}

/// Events of one class for the classifier.
pub(super) struct ClassifierClass<'a> {
    sample: &'a Sample,
    rows: &'a [usize],
    weights: Vec<f64>,
    keys: Vec<u64>,
}

impl<'a> ClassifierClass<'a> {
    /// Events of a sample, with weights of all of its events.
    pub(super) fn new(sample: &'a Sample, rows: &'a [usize], weights: &[f64]) -> Self {
        Self {
            weights: rows.iter().map(|i| weights[*i]).collect(),
            keys: rows.iter().map(|i| sample.table.ids.key(*i)).collect(),
            sample,
            rows,
        }
    }

    fn is_divisible(&self) -> bool {
        self.rows.len() >= FEWEST && self.weights.iter().sum::<f64>() > 0.0
    }
}

/// AUC of source against target; none if interrupted, if a class is too small
/// to be divided, or has no positive sum of weights. Every training is a step of the stage.
pub(super) fn closure_auc(
    plan: &Plan,
    (bench, stage): (Workbench<'_>, &Stage<'_>),
    name: &str,
    source: &ClassifierClass<'_>,
    target: &ClassifierClass<'_>,
) -> Result<Option<Auc>> {
    let numbers: Vec<u32> = (0..members(plan)).collect();
    if !source.is_divisible() || !target.is_divisible() {
        stage.add(trainings(plan));
        return Ok(None);
    }
    let columns = plan.settings.network.columns();
    let settings = TrainingSettings {
        network: MlpConfig {
            inputs: columns,
            hidden: vec![32, 32],
            activation: Activation::Silu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective: Objective::CrossEntropy,
        normalise: Normalise::Class,
        optimizer: OptimizerConfig::default(),
        learning_rate: 2e-3,
        schedule: Schedule::Constant,
        gradient_clip: None,
        l2: 0.0,
        // at least about ten steps an epoch
        batch: (source.rows.len().max(target.rows.len()) / 10)
            .next_power_of_two()
            .clamp(64, 1024),
        epochs: 60,
        patience: 6,
        retries: 1,
        bootstrap: false,
        split: SplitSettings {
            split: Split::Folds,
            held_out: 0.0,
            validation: 0.2,
            folds: FOLDS,
        },
    };
    let mut inputs = Inputs::new(Vec::new(), columns);
    let mut class = |class: &ClassifierClass<'_>| {
        let first = inputs.len();
        for row in class.rows {
            inputs.push(class.sample.features(*row));
        }
        ClassRows::consecutive(first, class.weights.clone(), class.keys.clone())
    };
    let classes = vec![class(source), class(target)];
    let sample = TrainingSample::of(Arc::new(inputs), classes);
    let task = Task {
        sample: &sample,
        settings: &settings,
        // folds of its own: those of the ensemble select the held-out events
        seed: plan.config.experiment.seed ^ ensemble_word(name),
        ensemble: name,
        features: &plan.scaling,
        stream: None,
    };
    if check_folds(&task, &numbers).is_err() {
        stage.add(trainings(plan));
        return Ok(None);
    }
    let trained = Mutex::new(Vec::new());
    let keep = |member: &Member| {
        let mut trained = trained.lock().unwrap_or_else(PoisonError::into_inner);
        trained.push(member.clone());
        Ok(())
    };
    let resources = Resources {
        devices: std::slice::from_ref(bench.compute),
        threads: bench.threads.min(numbers.len()),
        stack: 0,
        device_memory: None,
    };
    let (tasks, ledger) = (std::slice::from_ref(&task), List::new(numbers, keep));
    train_local(tasks, resources, &ledger, &Counter(bench.interrupt, stage)).of(Kind::Internal)?;
    drop(ledger);
    let mut trained = trained.into_inner().unwrap_or_else(PoisonError::into_inner);
    trained.retain(|m| m.about.outcome.is_usable());
    trained.sort_by_key(|m| m.about.member);
    // the score is the output; the normalisation would mix folds
    for member in &mut trained {
        member.about.normalisation = 1.0;
    }
    if bench.interrupt.is_raised() {
        return Ok(None);
    }
    let network = Network::new(settings.network.clone());
    let (compute, threads) = (bench.compute, bench.threads);
    let applier = Applier::new(compute, threads, &network, &plan.scaling, &trained)?;
    let streams = Streams::new(task.seed, name);
    let mut scores = [Vec::new(), Vec::new()];
    let classes = sample.classes().iter().enumerate();
    let mut events = classes.flat_map(|(k, class)| class.iter().map(move |event| (k, event)));
    applier.for_each(sample.inputs().as_slice(), |_, ratios| {
        if let Some((class, (_, weight, key))) = events.next() {
            let members = trained.iter().zip(ratios);
            let unseen =
                members.filter(|(m, _)| settings.split.holds_out(streams, m.about.member, key));
            let (sum, count) = unseen.fold((0.0, 0), |(sum, n), (_, r)| (sum + r.ln(), n + 1));
            scores[class].push((sum / f64::from(count), weight));
        }
        Ok(())
    })?;
    Ok(auc(&scores[0], &scores[1]))
}
