//! What can be wrong with a workspace.

use std::fmt;

use crate::histogram::HistogramError;
use thiserror::Error;

/// A modifier of a sample of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The channel.
    pub channel: String,
    /// The sample.
    pub sample: String,
    /// The modifier's name and type.
    pub modifier: Option<(String, String)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel `{}`, sample `{}`", self.channel, self.sample)?;
        match &self.modifier {
            Some((name, kind)) => write!(f, ", {kind} `{name}`"),
            None => Ok(()),
        }
    }
}

/// A workspace that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum WorkspaceError {
    /// The file could not be read.
    #[error("the workspace cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// Not JSON, or not a workspace.
    #[error("this is no pyhf workspace: {0}")]
    Json(#[from] serde_json::Error),
    /// Larger than allowed.
    #[error(
        "the workspace has {found} {what}, at most {limit} are allowed; raise the limit if you trust it"
    )]
    TooLarge {
        what: &'static str,
        /// How many there are; for bytes, how many were read.
        found: usize,
        limit: usize,
    },
    /// Another version of the schema.
    #[error("the workspace has schema version `{0}`; 1.0.0 is known")]
    Version(String),
    /// No channel, sample or measurement.
    #[error("{0}; at least one is needed")]
    Empty(String),
    /// A name used twice.
    #[error("{what} `{name}` is there twice; give each its own name")]
    Duplicate { what: String, name: String },
    /// A measurement that is not there.
    #[error("the workspace has no measurement `{wanted}`; it has {known:?}")]
    NoMeasurement { wanted: String, known: Vec<String> },
    /// A channel without data.
    #[error("channel `{0}` has no observation")]
    NoObservation(String),
    /// Data without a channel.
    #[error("there is an observation of channel `{0}`, which the workspace does not have")]
    NoChannel(String),
    /// A modifier of unknown type.
    #[error("{place}: this type of modifier is not known; known are {known}")]
    UnknownModifier {
        place: Box<Place>,
        known: &'static str,
    },
    /// Data of a modifier that have another form.
    #[error("{place}: data must be {expected}: {problem}")]
    ModifierData {
        place: Box<Place>,
        expected: &'static str,
        problem: String,
    },
    /// Numbers that do not match.
    #[error("{place}, {what}: {found} values; the channel has {expected} bins")]
    Length {
        place: Box<Place>,
        what: &'static str,
        found: usize,
        expected: usize,
    },
    /// A number that cannot stand where it does.
    #[error("{place}, {what}{}: {value} is not {expected}", .bin.map_or(String::new(), |b| format!(", bin {b}")))]
    Value {
        place: Box<Place>,
        what: &'static str,
        bin: Option<usize>,
        value: f64,
        expected: &'static str,
    },
    /// All samples together expect less than nothing.
    #[error("channel `{channel}`, bin {bin}: all samples sum to {value}, which is negative")]
    NegativeBin {
        channel: String,
        bin: usize,
        value: f64,
    },
    /// One name for parameters of different meaning.
    #[error("{place}: the name stands for a {first} elsewhere; give this modifier its own name")]
    Reuse {
        place: Box<Place>,
        /// The type of the first use.
        first: &'static str,
    },
    /// A parameter whose settings cannot be used.
    #[error("parameter `{name}` of measurement `{measurement}`: {problem}")]
    Parameter {
        measurement: String,
        name: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A parameter of interest that no modifier has, or that is many.
    #[error(
        "measurement `{measurement}` has parameter of interest `{name}`, which is no parameter of a sample, or one for each bin"
    )]
    Interest { measurement: String, name: String },
    /// What else the channels do not accept.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}
