//! All arguments of the program.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Deep ensembles for backgrounds and likelihood ratios in particle physics.
///
/// Exit codes: 0 ok, 2 usage, 3 config, 4 data, 5 device, 6 partial result,
/// 70 internal, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "sideband", version, about, long_about, max_term_width = 100)]
pub(super) struct Options {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train what is missing and write the result.
    Run(RunArguments),
    /// Check a configuration against its data and print the plan; trains nothing.
    Plan(PlanArguments),
    /// List the devices that this binary can use here.
    Devices,
    /// Summarise a data file, or a run directory.
    Inspect(InspectArguments),
    /// Apply the ensemble of a run to other events.
    Predict(PredictArguments),
    /// Draw the report of a run anew.
    Report(ReportArguments),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print a completion script.
    Completions(CompletionsArguments),
}

#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The configuration, TOML.
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Put a value on top of the configuration; may be given many times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device, on top of `device.name`: cpu, ndarray, wgpu[:N], cuda[:N].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
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
    /// No status on stderr.
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub config: ConfigArguments,
}

#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A Parquet or Arrow IPC file, a glob, or a run directory.
    #[arg(value_name = "PATH")]
    pub path: String,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PredictArguments {
    /// A finished run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Parquet or Arrow IPC files, or globs.
    #[arg(value_name = "DATA", required = true)]
    pub data: Vec<String>,
    /// The Parquet file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Which events; an expression over columns.
    #[arg(long, value_name = "EXPRESSION")]
    pub selection: Option<String>,
    /// Event weight; the configuration's for the source if absent.
    #[arg(long, value_name = "EXPRESSION")]
    pub weight: Option<String>,
    /// Id columns, separated by commas; the configuration's if absent.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub id: Option<Vec<String>>,
    /// Device; the configuration's if absent.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ReportArguments {
    /// A finished run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}
