//! Figures in the style of the field: white ground, black frame, ticks inside.
//!
//! Every figure is a plain serde struct with one method, `draw`, that gives a
//! [`Figure`] or says in a [`PlotError`] what is wrong with its input. Values
//! that are not finite are left out of the drawing, never an error: a diverged
//! member or an empty bin must not cost the reader the rest of the picture.
//!
//! Labels take simple markup: `p_{T}` lowers, `10^{3}` raises.

mod axes;
mod belt;
mod calibration;
mod canvas;
mod cls_scan;
mod colours;
mod comparison;
mod corner;
mod coverage;
mod density;
mod distribution;
mod favour;
mod flow_steps;
mod grid;
mod impacts;
mod isolines;
mod legend;
mod levels;
mod likelihood_curve;
mod losses;
mod mass_plane;
mod matrix;
mod methods;
mod panel;
mod plane;
mod profile_contours;
mod pulls;
mod ratio;
mod render;
mod residuals;
mod shapes;
mod style;
mod symbols;
mod t_distribution;
pub(crate) mod text;
mod ticks;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub(crate) use belt::{Belt, BeltLevel, BeltPoint};
pub(crate) use calibration::{Calibration, Point};
pub(crate) use cls_scan::{ClsScan, ClsScanPoint};
pub(crate) use comparison::{Comparison, Prediction, PredictionStyle, Series};
pub(crate) use corner::Corner;
pub(crate) use coverage::{Coverage, CoverageMethod, CoveragePoint};
pub(crate) use density::Sample;
pub(crate) use distribution::Distribution;
pub(crate) use favour::Favour;
pub(crate) use flow_steps::FlowSteps;
pub(crate) use impacts::{ImpactRow, Impacts};
pub(crate) use likelihood_curve::{LikelihoodCurve, ScanCurve};
pub(crate) use losses::{LossCurves, Member};
pub(crate) use mass_plane::MassPlane;
pub(crate) use matrix::CorrelationMatrix;
pub(crate) use methods::{MethodPrediction, Methods};
pub(crate) use plane::{Contour, Plane};
pub(crate) use profile_contours::ProfileContours;
pub(crate) use pulls::{PullGroup, Pulls};
pub(crate) use residuals::{Residual, ResidualRow, Residuals};
pub(crate) use t_distribution::{TDistribution, TQuantile};

/// A finished figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// A complete SVG document, without an XML declaration, fit to be inlined.
    pub svg: String,
}

impl Figure {
    /// Rasterises the figure at twice its nominal size, in embedded DejaVu Sans.
    ///
    /// # Errors
    /// [`PlotError::Render`] if the SVG does not parse or the image cannot be encoded.
    pub(crate) fn to_png(&self) -> Result<Vec<u8>, PlotError> {
        render::png(&self.svg)
    }
}

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
    /// SVG to PNG failed.
    #[error("rendering PNG: {0}")]
    Render(String),
}

/// Checks that `edges` rise and are finite.
fn check_edges(what: &str, edges: &[f64]) -> Result<(), PlotError> {
    let found = if edges.len() < 2 {
        format!("{} edges", edges.len())
    } else if let Some(bad) = edges.iter().position(|edge| !edge.is_finite()) {
        format!("edge {bad} is {}", edges[bad])
    } else if let Some(bad) = edges.windows(2).position(|pair| pair[1] <= pair[0]) {
        format!(
            "edge {} ({}) is not above edge {bad} ({})",
            bad + 1,
            edges[bad + 1],
            edges[bad]
        )
    } else {
        return Ok(());
    };
    Err(PlotError::Edges {
        what: what.to_owned(),
        found,
    })
}

/// Checks the length of one list.
fn check_length(what: &str, found: usize, expected: usize) -> Result<(), PlotError> {
    if found == expected {
        Ok(())
    } else {
        Err(PlotError::Length {
            what: what.to_owned(),
            found,
            expected,
        })
    }
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod tests;
