//! A background from two samples: plan, training, prediction, diagnostics.
//!
//! ```text
//! Config -> Plan (checked against the data) -> members -> predictions
//!        -> metrics -> plots and report
//! ```

mod apply;
mod calibrate;
mod campaign;
mod classifier;
mod closure;
mod comparison;
mod diagnostics;
mod events;
mod grow;
mod interpolation;
mod normalisation;
mod pipeline;
mod plan;
mod planned;
mod predict;
mod replicas;
mod support;
mod training;
mod variables;

/// With what a run is computed, and who watches.
#[derive(Clone, Copy)]
struct Workbench<'a> {
    compute: &'a sideband_networks::Compute,
    threads: usize,
    interrupt: &'a crate::training::Interrupt,
    say: &'a dyn Fn(&str),
}

pub(crate) use apply::Applier;
pub(crate) use calibrate::{Estimate, estimate};
pub(crate) use campaign::{Ended, redo_matrix, run};
pub(crate) use events::Sample;
pub(crate) use events::{Wanted, inputs};
pub(crate) use grow::{extend, merge};
pub(crate) use pipeline::{RunOptions, redo_report};
pub(crate) use planned::Planned;
pub(crate) use predict::{PredictOptions, predict};
pub(crate) use training::work;
