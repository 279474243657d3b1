//! `sideband plan`

use super::options::PlanArguments;
use super::run::resolve;
use super::{Done, Exit, print, table};
use crate::background::{Plan, PlanOptions};
use crate::ensemble::Split;
use sideband_models::Compute;
use std::path::Path;

pub(super) fn plan(arguments: &PlanArguments) -> Done {
    let experiment = resolve(&arguments.config)?;
    let config = experiment.common().clone();
    let compute = Compute::open(config.device.names().next().unwrap_or("cpu"))?;
    let options = PlanOptions {
        unblind: arguments.config.unblind,
    };
    let plan = Plan::new("nominal", config, Path::new(""), options)?;
    print(&describe(&plan, &compute))?;
    Ok(Exit::Ok)
}

fn describe(plan: &Plan, compute: &Compute) -> String {
    let config = &plan.config;
    let network = plan.network();
    let threads = crate::background::threads(config);
    let at_once = match (config.device.block, compute.is_cpu()) {
        (0, true) => threads,
        (0, false) => 128,
        (block, true) => block * threads,
        (block, false) => block,
    }
    .min(config.ensemble.members as usize);
    let mut rows = Vec::new();
    for (index, name, _, shown) in plan.regions() {
        for sample in [&plan.source, &plan.target] {
            let hidden = sample.role == "target" && !shown;
            let weights = plan.region_weights(sample, index);
            let trained = if index == plan.training_region() {
                ", trained on"
            } else {
                ""
            };
            rows.push(vec![
                format!("{name}{trained}"),
                sample.role.to_owned(),
                if hidden {
                    "blinded".to_owned()
                } else {
                    weights.events.to_string()
                },
                if hidden {
                    "blinded".to_owned()
                } else {
                    format!("{:.1}", weights.sum)
                },
                if hidden {
                    "–".to_owned()
                } else {
                    weights.negative.to_string()
                },
            ]);
        }
    }
    let folds = |class: usize| {
        let [training, validation, held_out] = plan.fold_counts(class);
        format!("{training} training, {validation} validation, {held_out} held out")
    };
    let split = match config.training.split {
        Split::Shared => "one for all members".to_owned(),
        Split::Member => "validation drawn for each member (member 0 shown)".to_owned(),
        Split::Folds => format!("{} folds (member 0 shown)", config.training.folds),
    };
    let inputs: Vec<Vec<String>> = plan
        .scaling
        .expressions
        .iter()
        .zip(plan.scaling.mean.iter().zip(&plan.scaling.scale))
        .map(|(text, (mean, scale))| {
            vec![text.clone(), format!("{mean:.4}"), format!("{scale:.4}")]
        })
        .collect();
    format!(
        "{name}: {method}, seed {seed}\n\n\
         members     {members}{bootstrap}, {at_once} at once on {device} ({threads} threads)\n\
         network     {inputs_count} inputs, hidden {hidden:?}, {parameters} parameters a member, \
         {total} in all\n\
         training    batches of {batch}, at most {epochs} epochs, patience {patience}\n\
         folds       {split}\n\
         source      {source}\n\
         target      {target}\n\
         memory      about {memory:.0} MiB while training\n\n{events}\n\n{features}",
        name = config.experiment.name,
        method = config.experiment.method.describe(),
        seed = config.experiment.seed,
        members = config.ensemble.members,
        bootstrap = if config.ensemble.bootstrap {
            ", bootstrapped"
        } else {
            ""
        },
        device = compute.name(),
        inputs_count = plan.scaling.mean.len(),
        hidden = config.model.hidden,
        parameters = network.parameters().len(),
        total = network.parameters().len() * config.ensemble.members as usize,
        batch = config.training.batch,
        epochs = config.training.epochs,
        patience = config.training.patience,
        source = folds(0),
        target = folds(1),
        memory = plan.event_bytes() as f64 / f64::from(1 << 20),
        events = table(
            &["region", "sample", "events", "sum of weights", "negative"],
            &rows
        ),
        features = table(&["input", "mean", "standard deviation"], &inputs),
    )
}
