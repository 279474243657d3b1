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
mod mixing;
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
pub(crate) use mixing::{
    BiasUse, DATA, Fidelity, LibraryBlind, MixingConfig, Queries, Sets, UNCERTAINTY,
    UncertaintyConfig,
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

/// The schemas of the files of all methods, by the names that they have in the whole one. With a matrix,
/// `${axis}` may stand wherever a value does.
fn roots() -> [(&'static str, Value); 3] {
    let mut config = schemars::schema_for!(Config).to_value();
    allow_placeholders(&mut config);
    [
        ("Config", config),
        ("Measurement", schemars::schema_for!(Measurement).to_value()),
        ("Limit", schemars::schema_for!(Limit).to_value()),
    ]
}

/// JSON Schema of the configuration, of all methods.
#[must_use]
pub fn schema() -> Value {
    merged(&["Config", "Measurement", "Limit"])
}

/// JSON Schema of the configurations of a method: none if there is no such method.
pub(crate) fn schema_of(method: &str) -> Option<Value> {
    let method: Method = serde_json::from_value(method.into()).ok()?;
    Some(merged(&[match method {
        Method::Reweight | Method::Ratio | Method::Interpolate | Method::Mix => "Config",
        Method::Measure => "Measurement",
        Method::Limit => "Limit",
    }]))
}

/// The schema of a file that is one of some.
fn merged(which: &[&str]) -> Value {
    // one table of definitions; what several have is a superset with placeholders
    let mut definitions = serde_json::Map::new();
    let roots = roots().into_iter().rev();
    for (name, schema) in roots.filter(|(name, _)| which.contains(name)) {
        if let Value::Object(mut schema) = schema {
            if let Some(Value::Object(own)) = schema.remove("$defs") {
                definitions.extend(own);
            }
            schema.remove("$schema");
            definitions.insert(name.to_owned(), Value::Object(schema));
        }
    }
    let reference = |name: &&str| json!({ "$ref": format!("#/$defs/{name}") });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sideband",
        "description": "One experiment: ensembles, a measurement (`method = \"measure\"`), or a \
                        limit (`method = \"limit\"`).",
        "anyOf": which.iter().map(reference).collect::<Vec<Value>>(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn types_of_one_name_are_one() {
        let mut known: BTreeMap<String, Value> = BTreeMap::new();
        let schemas = [
            schemars::schema_for!(Config),
            schemars::schema_for!(Measurement),
            schemars::schema_for!(Limit),
        ];
        for schema in schemas {
            let schema = schema.to_value();
            for (name, own) in schema["$defs"].as_object().unwrap() {
                // how two types of one name in one schema are told apart
                assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}");
                if let Some(other) = known.insert(name.clone(), own.clone()) {
                    assert_eq!(other, *own, "{name}");
                }
            }
        }
        for (root, _) in roots() {
            assert!(!known.contains_key(root), "{root}");
        }
    }

    #[test]
    fn a_method_has_the_schema_of_its_files() {
        let whole = schema();
        for (method, root, other) in [
            ("reweight", "Config", "Limit"),
            ("interpolate", "Config", "Measurement"),
            ("mix", "Config", "Limit"),
            ("measure", "Measurement", "Config"),
            ("limit", "Limit", "Config"),
        ] {
            let own = schema_of(method).unwrap();
            let reference = format!("#/$defs/{root}");
            assert_eq!(own["anyOf"], json!([{ "$ref": reference }]), "{method}");
            assert_eq!(own["$defs"][root], whole["$defs"][root], "{method}");
            assert!(own["$defs"][other].is_null(), "{method}");
        }
        assert_eq!(schema_of("limits"), None);
    }
}
