//! Records of what was found: written by the workflow, read back by pages, figures and
//! commands. No room that computes or draws is known here.

mod comparison;
mod interpolation;
mod judgement;
mod metrics;
mod support;
mod verdict;

pub use comparison::ComparisonMetrics;
pub(crate) use comparison::{ComparisonRow, MethodMetrics, MissingError};
pub use interpolation::FigureData;
pub(crate) use interpolation::{
    CategoryMetrics, HoleMetrics, InterpolationMetrics, PlaneFigure, PullMetrics,
};
pub(crate) use judgement::{Judgement, NO_POWER, yield_test};
pub(crate) use metrics::METRICS_FORMAT;
pub use metrics::Metrics;
pub(crate) use metrics::{
    AucPair, LossSummary, MemberSummary, PlaneMetrics, RegionMetrics, VariableMetrics, YieldMetrics,
};
pub(crate) use support::{Categories, InputRange, OutsideMetrics, Support};
pub(crate) use verdict::Verdict;
pub use verdict::VerdictState;
