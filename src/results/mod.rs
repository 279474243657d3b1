//! Records of what was found: written by the workflow, read back by pages, figures and
//! commands. No room that computes or draws is known here.

mod comparison;
mod interpolation;
mod judgement;
mod metrics;
mod support;

pub use comparison::{ComparisonMetrics, ComparisonRow, MethodMetrics, MissingError};
pub use interpolation::{
    CategoryMetrics, FigureData, HoleMetrics, InterpolationMetrics, PlaneFigure, PullMetrics,
};
pub(crate) use judgement::yield_test;
pub use judgement::{Judgement, Verdict, VerdictState, judge};
pub(crate) use metrics::METRICS_FORMAT;
pub use metrics::{
    AucPair, LossSummary, MemberSummary, Metrics, PlaneMetrics, RegionMetrics, VariableMetrics,
    YieldMetrics,
};
pub use support::{Categories, InputRange, OutsideMetrics, Support};
