//! All arguments of the program; those of commands on workspaces stand with them.

use super::combine::CombineArguments;
use super::fit::FitArguments;
use super::impacts::ImpactsArguments;
use super::limit::LimitArguments;
use super::scan::ScanArguments;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Methods of a configuration.
const METHODS: [&str; 6] = [
    "reweight",
    "ratio",
    "interpolate",
    "mix",
    "measure",
    "limit",
];

/// Examples at the end of a command's help.
macro_rules! example {
    ($($line:literal),+) => {
        concat!("Example:", $("\n  ", $line),+)
    };
}

/// Deep ensembles for backgrounds and likelihood ratios in particle physics.
///
/// Exit codes: 0 ok, 2 usage, 3 config, 4 data, 5 device, 6 partial result,
/// 70 internal, 75 time limit reached, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "sideband", version, about, long_about, max_term_width = 100)]
pub(super) struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train what is missing and write the result.
    #[command(after_help = example!(
        "sideband run my.toml        (again: goes on, or says that everything is there)",
        "sideband run my.toml --set ensemble.members=10 --set training.batch=512 --out runs/small"
    ))]
    Run(RunArguments),
    /// Mix the synthetic data sets of a configuration into its run directory, and stop.
    #[command(after_help = example!("sideband mix my.toml --out runs/my"))]
    Mix(MixArguments),
    /// Check a configuration against its data and print the plan; writes nothing,
    /// and trains for a second to measure the time.
    #[command(after_help = example!(
        "sideband plan my.toml",
        "sideband plan my.toml --members --no-calibration"
    ))]
    Plan(PlanArguments),
    /// Write a configuration that runs, from a look at files of events.
    #[command(after_help = example!(
        "sideband init data/2b.parquet data/4b.parquet",
        "sideband init 'data/2b_*.parquet' data/4b.parquet --out my.toml"
    ))]
    Init(InitArguments),
    /// Write a shipped configuration with its data; without a name, list them.
    #[command(after_help = example!("sideband example quickstart"))]
    Example(ExampleArguments),
    /// Say how far a run has come, also while it is under way elsewhere.
    #[command(after_help = example!("sideband status runs/my", "sideband status runs/my --json"))]
    Status {
        /// A run directory.
        #[arg(value_name = "RUN")]
        run: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add members to a run; those that are there stay as they are.
    #[command(after_help = example!("sideband extend runs/my --members 200"))]
    Extend(ExtendArguments),
    /// Take over the members of other runs of the same plan.
    #[command(after_help = example!("sideband merge runs/my /other/machine/runs/my"))]
    Merge(MergeArguments),
    /// End a run's jobs in a batch system; what is finished or saved stays.
    #[command(after_help = example!("sideband cancel runs/my"))]
    Cancel {
        /// A run directory.
        #[arg(value_name = "RUN")]
        run: PathBuf,
    },
    /// Train a block of a run's members; what batch systems start.
    #[command(after_help = example!("sideband worker runs/my --device cuda:1"))]
    Worker(WorkerArguments),
    /// List the devices that this binary can use here.
    #[command(after_help = example!("sideband devices"))]
    Devices,
    /// Summarise a data file, a pyhf workspace or patch set, or a run directory.
    #[command(after_help = example!(
        "sideband inspect data/4b.parquet",
        "sideband inspect 'data/*.parquet' --json",
        "sideband inspect workspace.json.gz",
        "sideband inspect runs/my"
    ))]
    Inspect {
        /// A Parquet, Arrow IPC or ROOT file, a glob, a workspace or patch set of pyhf (- for one on
        /// standard input), or a run directory.
        #[arg(value_name = "PATH")]
        path: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Apply the ensemble of a run to other events.
    #[command(after_help = example!(
        "sideband predict runs/my data/2b_*.parquet --out weights.parquet"
    ))]
    Predict(PredictArguments),
    /// Fit a pyhf workspace.
    #[command(after_help = example!(
        "sideband fit workspace.json",
        "sideband fit bkgonly.json.gz --patch patchset.json C1N2_500_0 --json",
        "sideband fit bkgonly.json.gz --poi none --out fits/bkgonly"
    ))]
    Fit(FitArguments),
    /// CLs upper limits of a pyhf workspace, observed and expected.
    #[command(after_help = example!(
        "sideband limit workspace.json",
        "sideband limit bkgonly.json.gz --patch patchset.json '[500, 0]' --json",
        "sideband limit bkgonly.json.gz --patch patchset.json all --out limits/c1n2"
    ))]
    Limit(LimitArguments),
    /// Profile likelihood of a pyhf workspace over a parameter or two, with confidence intervals.
    #[command(after_help = example!(
        "sideband scan workspace.json",
        "sideband scan workspace.json --parameter mu --range 0:3 --points 61 --out scans/mu",
        "sideband scan workspace.json --parameter mu --second norm_ttbar"
    ))]
    Scan(ScanArguments),
    /// What nuisance parameters of a pyhf workspace do to the parameter of interest, or to its limit.
    #[command(alias = "ranking", after_help = example!(
        "sideband impacts workspace.json --out impacts",
        "sideband impacts workspace.json --limit --by prefix",
        "sideband impacts workspace.json --limit --groups groups.toml --json"
    ))]
    Impacts(ImpactsArguments),
    /// Join pyhf workspaces: parameters of one name are one.
    #[command(after_help = example!(
        "sideband combine a.json b.json --poi mu --out both.json",
        "sideband combine a.json b.json --rename JES_2018=jes | sideband limit -"
    ))]
    Combine(CombineArguments),
    /// Draw the report of a run anew.
    #[command(after_help = example!("sideband report runs/my"))]
    Report {
        /// A finished run directory.
        #[arg(value_name = "RUN")]
        run: PathBuf,
    },
    /// Print the JSON Schema of the configuration.
    #[command(after_help = example!("sideband schema > sideband.schema.json"))]
    Schema {
        /// Of the configurations of one method alone: reweight, ratio, interpolate, mix, measure or
        /// limit.
        #[arg(value_name = "METHOD", value_parser = METHODS)]
        method: Option<String>,
    },
    /// Print a completion script.
    #[command(after_help = example!(
        "sideband completions bash > ~/.local/share/bash-completion/completions/sideband"
    ))]
    Completions {
        /// bash, elvish, fish, powershell or zsh.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The configuration, TOML.
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Put a value on top of the configuration, such as ensemble.members=10; may be given many
    /// times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device, on top of `device.name`: cpu, ndarray, wgpu[:N], cuda[:N], or
    /// several with commas: cuda:0,cuda:1.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Executor, on top of `executor.kind`: local, slurm, htcondor.
    #[arg(long, value_name = "EXECUTOR")]
    pub executor: Option<String>,
    /// Look at the target's events of blind regions.
    #[arg(long)]
    pub unblind: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// The run directory; runs/<experiment.name> if absent. The same
    /// configuration into the same directory finishes what is missing.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Train these members alone, such as 0-49, and leave the result to a later
    /// run or to `merge`.
    #[arg(long, value_name = "FIRST-LAST")]
    pub only: Option<MemberRange>,
    #[command(flatten)]
    pub training: TrainingArguments,
}

#[derive(Debug, Args)]
pub(super) struct MixArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// The run directory; runs/<experiment.name> if absent. `run` goes on in it.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub training: TrainingArguments,
}

/// What commands that train have in common.
#[derive(Debug, Args)]
pub(super) struct TrainingArguments {
    /// No status on stderr.
    #[arg(long, short)]
    pub quiet: bool,
    /// Save where every member stands and leave (exit code 75) after so long.
    #[arg(long, value_name = "SECONDS")]
    pub time_limit: Option<u64>,
}

/// `FIRST-LAST`, both included.
#[derive(Clone, Debug)]
pub(super) struct MemberRange(pub std::ops::RangeInclusive<u32>);

impl std::str::FromStr for MemberRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            text.trim()
                .parse::<u32>()
                .map_err(|_| "expected FIRST-LAST, such as 0-49".to_owned())
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err("the first member comes after the last".to_owned());
        }
        Ok(Self(first..=last))
    }
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
    /// A run directory, such as runs/<experiment.name>, the default: members of the same plan
    /// that are there say how many epochs one takes. It stays as it is.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// List every member with its block and key.
    #[arg(long)]
    pub members: bool,
    /// Do not train for a second to measure the time.
    #[arg(long)]
    pub no_calibration: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Two samples, what is reweighted and what it shall become, each a Parquet, Arrow IPC or ROOT
    /// file or a glob in quotes; or one sample with a column that tells two classes apart.
    #[arg(value_name = "DATA", required = true)]
    pub data: Vec<String>,
    /// The configuration to write.
    #[arg(long, value_name = "FILE", default_value = "sideband.toml")]
    pub out: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExampleArguments {
    /// Name of the example.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The folder to write to; the name if absent.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExtendArguments {
    /// A run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Members of each ensemble from now on.
    #[arg(long, value_name = "NUMBER")]
    pub members: u32,
    /// Look at the target's events of blind regions.
    #[arg(long)]
    pub unblind: bool,
    #[command(flatten)]
    pub training: TrainingArguments,
}

#[derive(Debug, Args)]
pub(super) struct MergeArguments {
    /// The run directory that takes the members over.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Run directories of the same plan.
    #[arg(value_name = "OTHER", required = true)]
    pub others: Vec<PathBuf>,
    /// Look at the target's events of blind regions.
    #[arg(long)]
    pub unblind: bool,
    #[command(flatten)]
    pub training: TrainingArguments,
}

#[derive(Debug, Args)]
pub(super) struct WorkerArguments {
    /// A run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The block; whatever is free and missing if absent.
    #[arg(long, value_name = "NUMBER")]
    pub block: Option<u32>,
    /// Members of a block, which its number depends on; the configuration's if
    /// absent.
    #[arg(long, value_name = "NUMBER")]
    pub block_members: Option<usize>,
    /// Device; the configuration's if absent.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    #[command(flatten)]
    pub training: TrainingArguments,
}

#[derive(Debug, Args)]
pub(super) struct PredictArguments {
    /// A finished run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Parquet, Arrow IPC or ROOT files, or globs.
    #[arg(value_name = "DATA", required = true)]
    pub data: Vec<String>,
    /// The Parquet file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Which events; an expression over columns.
    #[arg(long, value_name = "EXPRESSION")]
    pub selection: Option<String>,
    /// Event weight; the configuration's for the source if absent, times its scale. 1 for events
    /// without one.
    #[arg(long, value_name = "EXPRESSION")]
    pub weight: Option<String>,
    /// Id columns, separated by commas; the configuration's if absent. "" for file
    /// and row.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub id: Option<Vec<String>>,
    /// Device; the configuration's if absent.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Look at events of blind regions where DATA is the run's target.
    #[arg(long)]
    pub unblind: bool,
}
