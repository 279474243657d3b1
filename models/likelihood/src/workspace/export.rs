//! From parameters and channels to a workspace.

use serde::Serialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::histogram::{HistogramChannel, HistogramModel};
use crate::{Interpolation, Likelihood as _, Role};

use super::schema;
use super::writer::Writer;

/// A model that a workspace cannot express.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ExportError {
    /// Interpolations that pyhf does not have, or of which it has one for all.
    #[error(
        "channel `{channel}`, sample `{sample}`, parameter `{parameter}`: interpolation \
         {found:?} cannot be written beside {expected:?}; a workspace has one of codes 1 and 4 \
         for all rates and one of codes 0, 2 and 4p for all shapes"
    )]
    Interpolation {
        channel: String,
        sample: String,
        parameter: String,
        found: Interpolation,
        /// That of the others, or what is written by default.
        expected: Interpolation,
    },
    /// A coefficient that is not just a parameter.
    #[error(
        "channel `{channel}`, sample `{sample}`: the coefficient `{coefficient}` of {} is no \
         normfactor; fix its parameters to export templates at one point",
        .parameters.join(" and ")
    )]
    Coefficient {
        channel: String,
        sample: String,
        coefficient: String,
        /// The parameters that it depends on.
        parameters: Vec<String>,
    },
    /// A parameter that is not used as one kind of modifier, or whose constraint
    /// that kind does not have.
    #[error("parameter `{parameter}` {problem}")]
    Parameter {
        parameter: String,
        /// Why it cannot be written, and what to change.
        problem: String,
    },
}

/// What pyhf has to be told beside the workspace: `modifier_settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interpolation of `normsys`.
    pub rates: Interpolation,
    /// Interpolation of `histosys`.
    pub shapes: Interpolation,
}

impl Settings {
    /// As pyhf takes it.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({
            "normsys": {"interpcode": self.rates.name()},
            "histosys": {"interpcode": self.shapes.name()},
        })
    }
}

/// Writes a model as a workspace of schema 1.0.0 with one measurement, and the
/// interpolation codes that pyhf needs beside it.
///
/// A free parameter that scales samples becomes a `normfactor`, one with a
/// Gaussian constraint `lumi`; parameters of the bins become `staterror`,
/// `shapesys` or `shapefactor` by their constraint, and their names must be
/// `name[0]`, `name[1]`, ... A coefficient is written if it is one parameter, or if
/// all its parameters are fixed. A fixed parameter is `fixed` in the measurement.
///
/// # Errors
/// [`ExportError`] if HistFactory has no word for a part of the model.
pub fn export(model: &HistogramModel, measurement: &str) -> Result<(Value, Settings), ExportError> {
    let mut writer = Writer::new(model);
    let channels: Result<_, _> = model.channels.iter().map(|c| writer.channel(c)).collect();
    let observation = |channel: &HistogramChannel| schema::Observation {
        name: channel.name().to_owned(),
        data: channel.observed().to_vec(),
    };
    let interest = model.parameters.iter().find(|p| p.role == Role::Interest);
    let workspace = schema::Workspace {
        channels: channels?,
        measurements: vec![schema::Measurement {
            name: measurement.to_owned(),
            config: schema::Config {
                poi: interest.map(|p| p.name.clone()).unwrap_or_default(),
                parameters: writer.parameters()?,
            },
        }],
        observations: model.channels.iter().map(observation).collect(),
        version: schema::VERSION.to_owned(),
    };
    Ok((json!(workspace), writer.settings()))
}

/// What this program finds at one point, to be compared with what another finds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReferencePoint {
    /// Value of each parameter, by name.
    pub parameters: serde_json::Map<String, Value>,
    /// Negative logarithm of the probability density, with all constants.
    pub negative_log_pdf: f64,
    /// Expected counts of each channel, by name.
    pub expected: serde_json::Map<String, Value>,
}

/// The values at some points `[n]` that `scripts/check_workspace.py` compares
/// with those of pyhf.
#[must_use]
pub fn reference(model: &HistogramModel, points: &[Vec<f64>]) -> Vec<ReferencePoint> {
    let likelihood = model.likelihood();
    let names = || likelihood.parameters().iter().map(|p| p.name.clone());
    points
        .iter()
        .map(|at| ReferencePoint {
            parameters: names().zip(at.iter().map(|x| json!(x))).collect(),
            negative_log_pdf: model.negative_log_pdf(at),
            expected: model
                .channels
                .iter()
                .map(|c| (c.name().to_owned(), json!(c.expected(at))))
                .collect(),
        })
        .collect()
}
