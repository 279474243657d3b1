//! A background from two samples, or from one: plan, training, prediction, metrics.
//!
//! ```text
//! Config -> Plan (checked against the data) -> members -> predictions
//!        -> metrics -> plots and report
//! ```

mod apart;
mod apply;
mod calibrate;
mod campaign;
mod classifier;
mod comparison;
mod ensemble;
mod family;
mod finished;
mod grow;
mod interpolation;
mod members;
mod metrics;
mod normalisation;
mod plan;
mod predict;
mod predictions;
mod reweight;
mod run;
mod sample;
mod support;
mod training;

/// With what a run is computed, and who watches.
#[derive(Clone, Copy)]
struct Workbench<'a> {
    compute: &'a sideband_networks::Compute,
    threads: usize,
    interrupt: &'a crate::training::Interrupt,
    say: &'a dyn Fn(&str),
    progress: &'a crate::rundir::Progress,
    /// What stages begin with: the ensemble's name where there are several.
    of: &'a str,
}

impl<'a> Workbench<'a> {
    /// Begins a part of the work, of so many steps.
    fn stage(&self, what: &str, steps: u64) -> crate::rundir::Stage<'a> {
        self.progress.stage(&format!("{}{what}", self.of), steps)
    }
}

/// An ensemble that is trained, and what makes its result.
#[derive(Clone, Copy)]
struct TrainedEnsemble<'a> {
    plan: &'a Plan,
    bench: Workbench<'a>,
    /// Those that can be used.
    members: &'a [crate::training::Member],
    /// Numbers of the others.
    failed: &'a [u32],
    directory: &'a crate::rundir::RunDirectory,
}

pub(crate) use apart::told_apart;
pub(crate) use apply::Applier;
pub(crate) use calibrate::{EnsembleEstimate, Estimate, estimate};
pub(crate) use campaign::Ended;
pub(crate) use ensemble::{RunOptions, redo_report};
pub(crate) use finished::{FinishedRun, PredictedEvent, RunColumns, TakesEvents};
pub(crate) use grow::{extend, merge};
pub(crate) use plan::Plan;
pub(crate) use predict::{PredictOptions, predict};
pub(crate) use run::{redo_matrix, run};
pub(crate) use sample::{
    Meanings, OpenSample, Sample, SampleSpec, Wanted, factor, inputs, read_samples,
};
pub(crate) use training::{WorkOptions, work};
