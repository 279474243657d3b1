//! What the user wrote, and what the program checks of it before any work.
//!
//! [`Config`] is the file, parsed strictly ([`parse_experiment`]) and checked for values
//! that no run could use ([`Config::check`]). What needs the data (columns,
//! selections, weights) is checked when a plan is made.

mod batch;
mod blinding;
mod check;
mod comparison;
mod defaults;
mod generator;
mod identity;
mod interpolation;
mod limit;
mod matrix;
mod measurement;
mod mistakes;
mod parse;
mod places;
mod ranges;
mod raw;
mod runs;
mod training;
mod uses;
mod words;

pub(crate) use check::THREADS;

use serde_json::{Value, json};

pub(crate) use batch::{HtcondorSettings, SlurmSettings, TimeLimit};
pub(crate) use batch::{check_line, check_value};
pub(crate) use blinding::{Blinding, SampleRole};
pub(crate) use comparison::{ComparisonConfig, ReweightingComparison};
pub(crate) use identity::IdentityOf;
pub(crate) use interpolation::REBUILT;
pub(crate) use interpolation::{CandidatesConfig, InterpolationConfig, PredictedPart, Transform};
pub(crate) use limit::{CHANNEL_REGION, Limit, LimitChannelConfig, ScanConfig};
pub(crate) use matrix::EnsembleSpec;
pub(crate) use measurement::{
    Aggregate, CalibrationMethod, ColumnsConfig, ContourConfig, Coordinate, FINITE_SAMPLE,
    FIXED_SUFFIX, GeneratedModel, InterpolationCode, LimitConfig, Measurement, ProcessConfig,
    RatioName, SystematicConfig, TestStatistic, ToyEvents, ToysConfig, side,
};
pub use parse::parse_experiment;
pub(crate) use parse::{Experiment, load_experiment};
pub(crate) use places::{Places, direct, relative};
pub(crate) use raw::{
    Bins, Combine, Config, DeviceConfig, ExecutorConfig, ExecutorKind, HistogramStyle, JetsConfig,
    Method, PlaneConfig, RUN_PREFIX, RankBy, ReportConfig, SampleConfig, ScaleConfig, StreamConfig,
    TrainingConfig,
};
pub(crate) use runs::{RetrainingMode, RetrainingSpread, moved};
pub use training::{Normalise, Schedule, Split};
pub(crate) use words::words;

/// JSON Schema of the configuration. With a matrix, `${axis}` may stand wherever a
/// value does.
#[must_use]
pub fn schema() -> serde_json::Value {
    let mut config = schemars::schema_for!(Config).to_value();
    allow_placeholders(&mut config);
    let mut measurement = schemars::schema_for!(Measurement).to_value();
    let mut limit = schemars::schema_for!(Limit).to_value();
    // one table of definitions; what both have is a superset with placeholders
    let mut definitions = serde_json::Map::new();
    for (name, schema) in [
        ("Limit", &mut limit),
        ("Measurement", &mut measurement),
        ("Config", &mut config),
    ] {
        if let Value::Object(schema) = schema {
            if let Some(Value::Object(own)) = schema.remove("$defs") {
                definitions.extend(own);
            }
            schema.remove("$schema");
            definitions.insert(name.to_owned(), Value::Object(std::mem::take(schema)));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sideband",
        "description": "One experiment: ensembles, a measurement (`method = \"measure\"`), or a \
                        limit (`method = \"limit\"`).",
        "anyOf": [
            { "$ref": "#/$defs/Config" },
            { "$ref": "#/$defs/Measurement" },
            { "$ref": "#/$defs/Limit" },
        ],
        "$defs": definitions,
    })
}

/// Lets a text `${...}` stand for every value that is no text itself.
fn allow_placeholders(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(allow_placeholders),
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                allow_placeholders(inner);
                match (key.as_str(), inner) {
                    ("properties", Value::Object(properties)) => {
                        properties.values_mut().for_each(or_placeholder);
                    }
                    ("items", items) => or_placeholder(items),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn or_placeholder(schema: &mut Value) {
    let kind = &schema["type"];
    let is_value = ["number", "integer", "boolean", "array"]
        .iter()
        .any(|k| kind == k);
    // enumerations are referred to
    if is_value || schema.get("$ref").is_some() || schema.get("oneOf").is_some() {
        let text = json!({ "type": "string", "pattern": "\\$\\{[^}]+\\}" });
        *schema = json!({ "anyOf": [schema.take(), text] });
    }
}
