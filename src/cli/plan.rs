//! `sideband plan`

use super::exit::Exit;
use super::options::PlanArguments;
use super::out::{Done, print, table};
use super::run::{options, resolve, run_directory};
use crate::error::{Error, Result, agreeing, counted};
use crate::measurement::{describe_limit, describe_measurement};
use crate::mixing::describe_mixing;
use crate::report::numbers::{decimals_of, fixed, significant, with_error};
use crate::rundir::{Progress, RunDirectory, duration};
use crate::settings::{Experiment, Split};
use crate::training::Streams;
use crate::workflow::{EnsembleEstimate, Estimate, Plan, RunOptions, estimate};
use sideband_networks::NetworkConfig;
use std::collections::BTreeSet;
use std::path::Path;
use tempfile::TempDir;

pub(super) fn plan(arguments: &PlanArguments) -> Done {
    let (experiment, folder) = resolve(&arguments.config)?;
    let run = Folder::of(&experiment)?;
    let options = RunOptions {
        folder,
        ..options(run.path(), arguments.config.unblind, true)
    };
    let progress = Progress::new(false);
    if let Some(limit) = &experiment.limit {
        let stage = progress.stage("reading", 0);
        let text = describe_limit(limit, &options)?;
        drop(stage);
        return print(&text);
    }
    if let Some(measurement) = &experiment.measurement {
        let (places, unblind) = (options.places(), options.unblind);
        let stage = progress.stage("reading", 0);
        let text = describe_measurement(measurement, places, unblind)?;
        drop(stage);
        print(&text)?;
    }
    if let Some(config) = &experiment.mixing {
        let stage = progress.stage("mixing", 0);
        let text = describe_mixing(config, &options.places())?;
        drop(stage);
        print(&text)?;
    }
    let mut texts = Vec::new();
    let is_matrix = experiment.is_matrix;
    // one that cannot be read says nothing; `run` will say why
    let earlier = RunDirectory::open(&run_directory(arguments.out.as_ref(), &experiment)).ok();
    let stage = progress.stage("planning", 0);
    let estimate = estimate(
        &experiment,
        &options,
        !arguments.no_calibration,
        earlier.as_ref(),
        &mut |plan| {
            if !is_matrix || texts.is_empty() {
                texts.push(describe(plan));
            }
        },
    )?;
    drop(stage);
    if is_matrix {
        print("The first of the ensembles:\n")?;
    }
    print(&texts.concat())?;
    print(&format!("\n{}", describe_estimate(&estimate)))?;
    if arguments.members {
        let mut rows = Vec::new();
        for block in &estimate.blocks {
            for unit in &block.units {
                let spec = &experiment.ensembles[unit.task];
                let streams = Streams::new(spec.config.experiment.seed, &spec.name);
                rows.push(vec![
                    spec.name.clone(),
                    unit.member.to_string(),
                    block.number.to_string(),
                    streams.initial(unit.member, 0).to_string(),
                ]);
            }
        }
        let header = ["ensemble", "member", "block", "key of its initial weights"];
        print(&format!("\n{}", table(&header, &rows)))?;
    }
    Ok(Exit::Ok)
}

/// A folder that stands for the run directory, where samples are generated or mixed into it: of a
/// name that nobody can know before, for this user alone, and gone with the value.
struct Folder(Option<TempDir>);

impl Folder {
    fn of(experiment: &Experiment) -> Result<Self> {
        let generates = experiment
            .measurement
            .as_ref()
            .is_some_and(|m| m.generate.is_some());
        if !generates && experiment.mixing.is_none() {
            return Ok(Self(None));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix("sideband-plan-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let made = builder.tempdir();
        made.map(|folder| Self(Some(folder))).map_err(|e| {
            Error::internal(format!(
                "no temporary folder can be made in {}: {e}; set TMPDIR to one that can be \
                 written to",
                std::env::temp_dir().display()
            ))
        })
    }

    fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

fn describe_estimate(estimate: &Estimate) -> String {
    let mib = |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20));
    let list = &estimate.ensembles;
    let is_measured = list.iter().all(|e| e.rate > 0.0);
    let times = |[least, likely, most]: [f64; 3]| [likely, least, most].map(duration);
    let row = |e: &EnsembleEstimate| {
        let blocks = estimate.blocks.iter().filter(|b| b.family == e.family);
        let mut row = vec![
            e.name.clone(),
            e.members.to_string(),
            e.family.to_string(),
            blocks.count().to_string(),
            e.events[0].to_string(),
            e.events[1].to_string(),
            mib(e.model_bytes),
        ];
        if is_measured {
            row.push(format!("{:.2}", e.rate * 1e-6));
            row.extend(times(e.seconds));
        }
        row
    };
    let mut rows: Vec<Vec<String>> = list.iter().map(row).collect();
    let mut header = vec![
        "ensemble",
        "members",
        "family",
        "its blocks",
        "source",
        "target",
        "MiB",
    ];
    if is_measured {
        header.extend(["M events/s", "time", "at least", "at most"]);
    }
    if rows.len() > 1 {
        let members: u32 = list.iter().map(|e| e.members).sum();
        let mut total = vec![String::new(); header.len()];
        total[0] = "all".to_owned();
        total[1] = members.to_string();
        total[3] = estimate.blocks.len().to_string();
        if is_measured {
            let sum = |k: usize| list.iter().map(|e| e.seconds[k]).sum::<f64>();
            total.truncate(header.len() - 3);
            total.extend(times([0, 1, 2].map(sum)));
        }
        rows.push(total);
    }
    let mut text = table(&header, &rows);
    if let Some(bytes) = estimate.resident_bytes {
        let mib = mib(bytes);
        text += &format!("\n\nmemory of the program while it was measured: {mib} MiB");
    }
    if is_measured {
        let like: usize = list.iter().map(|e| e.like).sum();
        let likely = match like {
            0 => "twice the patience".to_owned(),
            like => format!(
                "the median of {} that {} there",
                counted(like, "member"),
                agreeing(like as u64, "is", "are")
            ),
        };
        text += &format!(
            "\ntime: of {likely} in epochs; at least: of the earliest stop that the patience \
             allows; at most: of the last epoch; on this machine as it is now"
        );
    }
    text
}

fn describe(plan: &Plan) -> String {
    let config = &plan.config;
    let network = plan.network();
    let mut rows = Vec::new();
    for (index, name, shown) in plan.regions() {
        for sample in &plan.samples {
            let hidden = sample.role == "target" && !shown;
            let weights = plan.region_weights(sample, index);
            let is_trained = index == plan.training_region();
            let trained = if is_trained { ", trained on" } else { "" };
            let numbers = match hidden {
                true => ["blinded", "blinded", "–"].map(str::to_owned),
                false => [
                    weights.events.to_string(),
                    with_error(weights.sum, weights.error),
                    weights.negative.to_string(),
                ],
            };
            let names = [format!("{name}{trained}"), sample.role.to_owned()];
            rows.push([&names[..], &numbers].concat());
        }
    }
    let folds: String = plan
        .samples
        .iter()
        .enumerate()
        .map(|(class, sample)| {
            let [training, validation, held_out] = plan.fold_counts(class);
            format!(
                "{:<12}{training} training, {validation} validation, {held_out} held out\n",
                sample.role
            )
        })
        .collect();
    let shape = match plan.network().config() {
        NetworkConfig::Mlp(mlp) => {
            let inputs = counted(mlp.inputs, "input");
            format!("{inputs}, hidden {:?}", mlp.hidden)
        }
        NetworkConfig::Flow(flow) => format!(
            "flow of {} features given {}, {} steps, splines of {} bins, conditioners of {} units",
            flow.features,
            flow.context,
            flow.steps.len(),
            flow.bins,
            flow.hidden
        ),
    };
    let split = match config.training.split {
        Split::Shared => "one for all members".to_owned(),
        Split::Member => "validation drawn for each member (member 0 shown)".to_owned(),
        Split::Folds => format!("{} folds (member 0 shown)", config.training.folds),
    };
    let said = plan.samples.iter().flat_map(|sample| {
        let scaled = sample.losses.scaled().into_iter();
        scaled.chain(sample.losses.sentences())
    });
    let mut lost: String = said.map(|text| text + "\n").collect();
    if !lost.is_empty() {
        lost += "\n";
    }
    let mut built_in: [BTreeSet<&str>; 2] = Default::default();
    for sample in &plan.samples {
        for (all, of_sample) in built_in.iter_mut().zip(sample.built_in()) {
            all.extend(of_sample);
        }
    }
    let [computed, stored] = built_in.map(|names| Vec::from_iter(names).join(", "));
    let mut built_in = String::new();
    if !computed.is_empty() {
        built_in += &format!("computed    {computed} (built in)\n");
    }
    if config.data.jets.is_some() && !stored.is_empty() {
        built_in += &format!("not of jets {stored}: columns of the files\n");
    }
    let scaling = &plan.scaling;
    let inputs: Vec<Vec<String>> = scaling
        .expressions
        .iter()
        .zip(scaling.mean.iter().zip(&scaling.scale))
        .map(|(text, (mean, scale))| {
            let digits = decimals_of(&[*scale]).map_or(4, |d| d + 2);
            vec![text.clone(), fixed(*mean, digits), significant(*scale, 4)]
        })
        .collect();
    format!(
        "{name}: {method}, seed {seed}\n\n{blinding}\
         members     {members}{bootstrap} on {device}\n\
         network     {shape}, {parameters} parameters a member, {total} in all\n\
         training    batches of {batch}, at most {epochs} epochs, patience {patience}\n\
         {built_in}folds       {split}\n\
         {folds}\n{events}\n\n{lost}{features}",
        blinding = plan
            .blinding
            .describe()
            .map_or_else(String::new, |text| format!("blind       {text}\n")),
        name = config.experiment.name,
        method = config.experiment.method.describe(),
        seed = config.experiment.seed,
        members = config.ensemble.members,
        bootstrap = if config.ensemble.bootstrap {
            ", bootstrapped"
        } else {
            ""
        },
        device = config.device.name,
        parameters = network.parameters().len(),
        total = network.parameters().len() * config.ensemble.members as usize,
        batch = config.training.batch,
        epochs = config.training.epochs,
        patience = config.training.patience,
        events = table(
            &["region", "sample", "events", "sum of weights", "negative"],
            &rows
        ),
        features = table(&["input", "mean", "standard deviation"], &inputs),
    )
}
