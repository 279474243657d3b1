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
mod judgement;
mod metrics;
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
pub use comparison::{
    ComparisonMetrics, ComparisonRow, MethodMetrics, MissingError, compare_methods,
};
pub use events::{Rest, Sample};
pub(crate) use events::{Wanted, inputs};
pub use grow::{Merged, extend, merge};
pub(crate) use interpolation::REBUILT;
pub use interpolation::{
    CategoryMetrics, FigureData, HoleMetrics, InterpolationError, InterpolationMetrics,
    InterpolationPlan, PlaneFigure, PullMetrics,
};
pub use judgement::{Judgement, Verdict, VerdictState, judge};
pub(crate) use metrics::METRICS_FORMAT;
pub use metrics::{
    AucPair, LossSummary, MemberSummary, Metrics, PlaneMetrics, RegionMetrics, VariableMetrics,
    YieldMetrics,
};
pub use pipeline::{EnsembleEnd, RunError, RunOptions, redo_report};
pub use plan::{Plan, PlanError, PlanOptions};
pub use planned::Planned;
pub use predict::{PredictError, PredictOptions, Prediction, predict};
pub use support::{Categories, InputRange, OutsideMetrics, Support};
pub use training::{Worked, work};
pub use variables::Variable;
