//! A fresh classifier of (reweighted) source against target, by the same
//! engine: can anything still tell them apart?
//!
//! Cross-fitted: k folds, each event scored by members that did not see it.
//! AUC 0.5 means closed; what a perfect model gives differs from that by the
//! statistical error alone.

use super::Workbench;
use super::apply::Applier;
use super::plan::Plan;
use crate::closure::{Auc, auc};
use crate::error::{Context, Kind, Result};
use crate::settings::{Schedule, Split};
use crate::training::{
    ClassRows, Inputs, Interrupt, List, Member, Observer, Resources, SplitSettings, Streams, Task,
    TrainingSample, TrainingSettings, check_folds, ensemble_word, train_local,
};
use sideband_networks::{Activation, MlpConfig, Network, Objective, OptimizerConfig};
use std::sync::{Arc, Mutex};

const FOLDS: u32 = 5;

struct Quiet<'a>(&'a Interrupt);

impl Observer for Quiet<'_> {
    fn interrupted(&self) -> bool {
        self.0.is_raised()
    }
    fn trained(&self, _: &str, _: u64) {}
    fn finished(&self, _: &Member) {}
}

/// Events of one class for the classifier: rows of features, weights, keys.
pub(super) struct Class<'a> {
    pub features: Vec<&'a [f32]>,
    pub weights: Vec<f64>,
    pub keys: Vec<u64>,
}

/// AUC of source against target; none if interrupted, if a class is too small
/// to be divided, or has no positive sum of weights.
pub(super) fn closure_auc(
    plan: &Plan,
    bench: Workbench<'_>,
    name: &str,
    source: &Class<'_>,
    target: &Class<'_>,
) -> Result<Option<Auc>> {
    let members = plan
        .config
        .report
        .classifier_members
        .next_multiple_of(FOLDS);
    let smaller = source.keys.len().min(target.keys.len());
    let positive = |class: &Class<'_>| class.weights.iter().sum::<f64>() > 0.0;
    if smaller < 50 || !positive(source) || !positive(target) {
        return Ok(None);
    }
    let settings = TrainingSettings {
        network: MlpConfig {
            inputs: plan.settings.network.columns(),
            hidden: vec![32, 32],
            activation: Activation::Silu,
            dropout: 0.0,
            batch_norm: false,
        }
        .into(),
        objective: Objective::CrossEntropy,
        normalise: crate::settings::Normalise::Class,
        optimizer: OptimizerConfig::default(),
        learning_rate: 2e-3,
        schedule: Schedule::Constant,
        gradient_clip: None,
        l2: 0.0,
        // at least about ten steps an epoch
        batch: (source.keys.len().max(target.keys.len()) / 10)
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
    let mut features = Vec::new();
    let classes = [source, target].map(|class| {
        features.extend(class.features.iter().copied().flatten());
        (class.weights.clone(), class.keys.clone())
    });
    let [source_rows, target_rows] = classes;
    let sample = TrainingSample::new(
        Arc::new(Inputs::new(features, settings.network.columns())),
        ClassRows::consecutive(0, source_rows.0, source_rows.1),
        ClassRows::consecutive(source.keys.len(), target_rows.0, target_rows.1),
    );
    let task = Task {
        sample: &sample,
        settings: &settings,
        // folds of its own: those of the ensemble select the held-out events
        seed: plan.config.experiment.seed ^ ensemble_word(name),
        ensemble: name,
        features: &plan.scaling,
        stream: None,
    };
    let trained = Mutex::new(Vec::new());
    let keep = |member: &Member| {
        trained
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(member.clone());
        Ok(())
    };
    let resources = Resources {
        devices: std::slice::from_ref(bench.compute),
        threads: bench.threads.min(members as usize),
        stack: 0,
        device_memory: None,
    };
    let numbers: Vec<u32> = (0..members).collect();
    if check_folds(&task, &numbers).is_err() {
        return Ok(None);
    }
    let ledger = List::new(numbers, keep);
    train_local(
        std::slice::from_ref(&task),
        resources,
        &ledger,
        &Quiet(bench.interrupt),
    )
    .of(Kind::Internal)?;
    let mut trained = trained
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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
    let applier = Applier::new(
        bench.compute,
        bench.threads,
        &network,
        &plan.scaling,
        &trained,
    )?;
    let streams = Streams::new(task.seed, name);
    let mut scores = [Vec::new(), Vec::new()];
    let weights = source.weights.iter().chain(&target.weights);
    let keys = source.keys.iter().chain(&target.keys);
    let mut events = weights.zip(keys);
    applier.for_each(sample.inputs().as_slice(), |row, ratios| {
        if let Some((weight, key)) = events.next() {
            let unseen = trained
                .iter()
                .zip(ratios)
                .filter(|(m, _)| settings.split.holds_out(streams, m.about.member, *key));
            let (sum, count) = unseen.fold((0.0, 0), |(sum, n), (_, r)| (sum + r.ln(), n + 1));
            scores[usize::from(row >= source.keys.len())].push((sum / f64::from(count), *weight));
        }
        Ok(())
    })?;
    Ok(auc(&scores[0], &scores[1]))
}
