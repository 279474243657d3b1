//! From a workspace to parameters and channels.

use std::collections::HashMap;
use std::io::Read;

use crate::histogram::{HistogramChannel, HistogramModel};
use crate::{Interpolation, Role};

use super::channels::{Channel, StatErrors, check_channels, unique, within};
use super::error::WorkspaceError;
use super::schema;
use super::sets::Sets;

/// How large a workspace may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document.
    pub bytes: usize,
    /// Bins of one channel.
    pub bins: usize,
    /// Parameters; the Hessian of a fit has the square of it.
    pub parameters: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            bins: 10_000,
            parameters: 10_000,
        }
    }
}

/// How a workspace is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportOptions {
    /// The measurement; none for the first.
    pub measurement: Option<String>,
    /// Interpolation of `normsys`; pyhf has codes 1 and 4.
    pub rates: Interpolation,
    /// Interpolation of `histosys`; pyhf has codes 0, 2 and 4p. Codes 1 and 4
    /// multiply, bin by bin.
    pub shapes: Interpolation,
    /// How large it may be.
    pub limits: Limits,
}

/// The choice of pyhf 0.7: codes 4 and 4p.
impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            measurement: None,
            rates: Interpolation::Code4,
            shapes: Interpolation::Code4p,
            limits: Limits::default(),
        }
    }
}

/// An imported workspace.
#[derive(Clone)]
pub struct Imported {
    /// Name of the measurement.
    pub measurement: String,
    /// Place of the parameter of interest; none if the measurement names none.
    pub interest: Option<usize>,
    /// The model with the observed data.
    pub model: HistogramModel,
    /// Parameters that the measurement sets and no modifier has.
    pub unused: Vec<String>,
}

/// Reads a workspace.
///
/// # Errors
/// [`WorkspaceError`] if it cannot be read, is too large, is no workspace of schema
/// 1.0.0, or if its parts do not fit together.
pub fn import(reader: impl Read, options: &ImportOptions) -> Result<Imported, WorkspaceError> {
    let limit = options.limits.bytes;
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    within("bytes", bytes.len(), limit)?;
    let workspace: schema::Workspace = serde_json::from_slice(&bytes)?;
    drop(bytes);
    if workspace.version != schema::VERSION {
        return Err(WorkspaceError::Version(workspace.version));
    }
    let schema::Workspace {
        channels,
        measurements,
        observations,
        ..
    } = workspace;
    unique("measurement", measurements.iter().map(|m| m.name.as_str()))?;
    let measurement = choose(&measurements, options.measurement.as_deref())?;
    let settings = measurement.config.parameters.iter();
    let what = format!("measurement `{}`: parameter", measurement.name);
    unique(&what, settings.map(|p| p.name.as_str()))?;
    let channels = check_channels(channels, &options.limits)?;
    let mut observed = check_observations(observations, &channels)?;
    let mut sets = Sets::default();
    let mut staterrors = StatErrors::default();
    let mut described = Vec::with_capacity(channels.len());
    for channel in channels {
        described.push(channel.describe(&mut sets, &mut staterrors, options)?);
    }
    staterrors.apply(&mut sets, &mut described)?;
    within("parameters", sets.parameters, options.limits.parameters)?;
    let built = sets.build(measurement)?;
    let count = built.parameters.len();
    let channels = described.into_iter().map(|channel| {
        let data = observed.remove(&channel.name).unwrap_or_default();
        HistogramChannel::new(&channel.name, channel.templates, data, count)
    });
    let model = HistogramModel {
        channels: channels.collect::<Result<_, _>>()?,
        parameters: built.parameters,
        fixed: built.fixed,
        constraints: built.constraints,
    };
    Ok(Imported {
        measurement: measurement.name.clone(),
        interest: model
            .parameters
            .iter()
            .position(|p| p.role == Role::Interest),
        model,
        unused: built.unused,
    })
}

fn choose<'a>(
    all: &'a [schema::Measurement],
    wanted: Option<&str>,
) -> Result<&'a schema::Measurement, WorkspaceError> {
    let found = match wanted {
        Some(name) => all.iter().find(|m| m.name == name),
        None => all.first(),
    };
    found.ok_or_else(|| match wanted {
        None => WorkspaceError::Empty("the workspace has no measurement".to_owned()),
        Some(wanted) => WorkspaceError::NoMeasurement {
            wanted: wanted.to_owned(),
            known: all.iter().map(|m| m.name.clone()).collect(),
        },
    })
}

fn check_observations(
    observations: Vec<schema::Observation>,
    channels: &[Channel],
) -> Result<HashMap<String, Vec<f64>>, WorkspaceError> {
    unique(
        "the observation of channel",
        observations.iter().map(|o| o.name.as_str()),
    )?;
    let known = |name: &str| channels.iter().any(|channel| channel.name == name);
    if let Some(lost) = observations.iter().find(|o| !known(&o.name)) {
        return Err(WorkspaceError::NoChannel(lost.name.clone()));
    }
    let pairs = observations.into_iter().map(|o| (o.name, o.data));
    let observed: HashMap<String, Vec<f64>> = pairs.collect();
    match channels.iter().find(|c| !observed.contains_key(&c.name)) {
        Some(channel) => Err(WorkspaceError::NoObservation(channel.name.clone())),
        None => Ok(observed),
    }
}
