//! Figures in the style of the field: white ground, black frame, ticks inside.
//!
//! A figure is a plain struct in [`figures`] with one method, `draw`, that gives a
//! [`Figure`] or says in a [`PlotError`] what is wrong with its input: it checks, turns its
//! lists into marks, and hands them to a chart. Values that are not finite are left out of
//! the drawing, never an error: a diverged member or an empty bin must not cost the reader
//! the rest of the picture.
//!
//! Labels take simple markup: `p_{T}` lowers, `10^{3}` raises.

mod axes;
mod canvas;
mod chart;
mod check;
mod colours;
mod curve;
mod density;
mod figures;
mod grid;
mod heading;
mod layers;
mod legend;
mod marks;
mod numbers;
mod panel;
mod pdf;
mod render;
mod style;
pub(crate) mod text;
mod ticks;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub(crate) use density::Sample;
pub(crate) use figures::belt::{Belt, BeltLevel, BeltPoint};
pub(crate) use figures::calibration::{Calibration, Point};
pub(crate) use figures::cls_scan::{ClsScan, ClsScanPoint};
pub use figures::comparison::{Comparison, Prediction, PredictionStyle, Series};
pub(crate) use figures::corner::Corner;
pub(crate) use figures::coverage::{Coverage, CoverageMethod, CoveragePoint};
pub(crate) use figures::distribution::Distribution;
pub(crate) use figures::favour::{Favour, FavourMap};
pub(crate) use figures::flow_steps::FlowSteps;
pub(crate) use figures::impacts::{ImpactRow, Impacts};
pub(crate) use figures::likelihood_curve::{LikelihoodCurve, ScanCurve};
pub(crate) use figures::limit_band::{LimitBand, LimitBandPoint, TheoryPoint};
pub(crate) use figures::limit_plane::{LimitPlane, LimitPlanePoint};
pub(crate) use figures::loss_curves::{LossCurves, Member};
pub(crate) use figures::mass_plane::MassPlane;
pub(crate) use figures::matrix::CorrelationMatrix;
pub(crate) use figures::methods::{MethodPrediction, Methods};
pub(crate) use figures::plane::{Contour, Plane};
pub(crate) use figures::profile_contours::ProfileContours;
pub(crate) use figures::pulls::{PullGroup, Pulls};
pub(crate) use figures::residuals::{Residual, ResidualRow, Residuals};
pub(crate) use figures::stack::{Contribution, Stack};
pub(crate) use figures::t_distribution::{TDistribution, TQuantile};
pub use heading::ExperimentLabel;
pub use render::Figure;

/// Why a figure could not be drawn.
#[derive(Debug, Error, Clone, PartialEq)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum PlotError {
    /// Bin edges that are no binning.
    #[error("{what}: {found}; expected at least two finite edges in rising order")]
    Edges { what: String, found: String },
    /// A list of the wrong length.
    #[error("{what}: found {found} entries, expected {expected}")]
    Length {
        what: String,
        found: usize,
        expected: usize,
    },
    /// A figure without anything to show.
    #[error("{what}: nothing to draw; give at least one {expected}")]
    Empty { what: String, expected: String },
    /// SVG to PNG or PDF failed.
    #[error("rendering: {0}")]
    Render(String),
}
