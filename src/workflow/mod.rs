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
pub use apply::ApplyError;
pub use calibrate::{EnsembleEstimate, Estimate, estimate};
pub use campaign::{Ended, redo_matrix, run};
pub use comparison::compare_methods;
pub use events::{Rest, Sample};
pub(crate) use events::{Wanted, inputs};
pub use grow::{Merged, extend, merge};
pub use interpolation::{InterpolationError, InterpolationPlan};
pub use pipeline::{EnsembleEnd, RunError, RunOptions, redo_report};
pub use plan::{Plan, PlanError, PlanOptions};
pub use planned::Planned;
pub use predict::{PredictError, PredictOptions, Prediction, predict};
pub use training::{Worked, work};
pub use variables::Variable;
