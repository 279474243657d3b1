//! Sideband: deep ensembles for backgrounds and likelihood ratios in particle
//! physics.
//!
//! The program is `sideband`, the [`cli`]. As a library it reads events, runs a
//! configuration, reads what a run has left and draws figures. Networks, fits and Gaussian
//! processes are crates of their own, `sideband_networks`, `sideband_likelihood` and
//! `sideband_processes`, and know no file.
//!
//! Events of Parquet or Arrow files, by expressions:
//!
//! ```
//! # fn main() -> sideband::error::Result<()> {
//! use sideband::events::{Dataset, Hidden, Resolver, ScanRequest};
//! use std::{collections::BTreeMap, path::Path};
//!
//! let files = ["tests/data/collisions/qcd_2b.parquet".to_owned()];
//! let dataset = Dataset::open(&files, Path::new(""))?;
//! let resolver = Resolver::new(dataset.columns(), &BTreeMap::new())?;
//! let request = ScanRequest {
//!     selection: Some(resolver.compile("n_btag == 2 && m_hh > 300")?),
//!     features: vec![("log_pt2".to_owned(), resolver.compile("log_pt2")?)],
//!     weight: Some(resolver.compile("weight")?),
//!     ..ScanRequest::new(Hidden::nothing())
//! };
//! let table = dataset.scan(&request, None)?;
//! assert_eq!(table.features.len(), table.len());
//! assert!(table.weights.iter().sum::<f64>() > 0.0);
//! # Ok(())
//! # }
//! ```
//!
//! An ensemble from its configuration to its numbers:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::path::Path;
//!
//! let file = Path::new("configs/quickstart.toml");
//! let few = ["ensemble.members=2", "training.epochs=2", "report.classifier_members=0"];
//! let folder = tempfile::tempdir()?;
//! let run = sideband::run_file(file, &few.map(str::to_owned), &folder.path().join("run"))?;
//! let metrics = sideband::report::read_metrics(&run)?;
//! assert_eq!(metrics.members.requested, 2);
//! # Ok(())
//! # }
//! ```
//!
//! A figure, with its ratio panel:
//!
//! ```
//! # fn main() -> Result<(), sideband::plot::PlotError> {
//! use sideband::plot::{Comparison, Prediction, PredictionStyle, Series};
//!
//! let figure = Comparison {
//!     title_left: "Simulation, SR".to_owned(),
//!     x_label: "m_{HH} [GeV]".to_owned(),
//!     y_label: "Events".to_owned(),
//!     log_y: false,
//!     edges: vec![250.0, 350.0, 450.0],
//!     observed: Some(Series {
//!         label: "4b".to_owned(),
//!         values: vec![120.0, 80.0],
//!         errors: vec![11.0, 8.9],
//!     }),
//!     predictions: vec![Prediction {
//!         label: "2b, reweighted".to_owned(),
//!         values: vec![117.0, 84.0],
//!         stat_errors: vec![2.0, 1.5],
//!         spread: Some(vec![3.0, 2.5]),
//!         style: PredictionStyle::After,
//!     }],
//!     notes: Vec::new(),
//! }
//! .draw()?;
//! assert!(figure.svg.starts_with("<svg"));
//! assert_eq!(figure.to_png()?[1..4], *b"PNG");
//! # Ok(())
//! # }
//! ```
// pages for those who work on it link to what is private (`--document-private-items`)
#![allow(rustdoc::private_intra_doc_links)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod backgrounds;
mod batch;
pub mod cli;
pub mod error;
pub mod events;
pub mod files;
pub mod measurement;
pub mod mixing;
pub mod plot;
pub mod report;
pub mod results;
pub mod rundir;
pub mod settings;
mod statistics;
pub mod toys;
pub mod training;
pub mod truth;
mod workflow;
mod workspace;

use error::Result;
use rundir::RunDirectory;
use std::path::Path;

/// Runs a configuration as `sideband run --quiet` does: trains what is missing, and writes
/// predictions, metrics or the measurement, figures and the page into `directory`.
///
/// `settings` are `key=value`, on top of the text. Paths in it are meant from the current
/// folder. Blind regions stay closed, and a run that was begun in `directory` goes on.
///
/// # Errors
/// What would end the command with another exit code than 0: also a result of fewer members
/// than were asked for, or with a part missing, which then lies in `directory`
/// ([`RunDirectory::open`]). Members finished before it are kept.
pub fn run(configuration: &str, settings: &[String], directory: &Path) -> Result<RunDirectory> {
    let experiment = settings::parse_experiment(configuration, settings)?;
    cli::run_quietly(&experiment, Path::new(""), directory)
}

/// The same of a file, from whose folder its paths start.
///
/// # Errors
/// As [`run`], and what keeps the file from being read.
pub fn run_file(
    configuration: &Path,
    settings: &[String],
    directory: &Path,
) -> Result<RunDirectory> {
    let experiment = settings::load_experiment(configuration, settings)?;
    let folder = configuration.parent().unwrap_or(Path::new(""));
    cli::run_quietly(&experiment, folder, directory)
}
