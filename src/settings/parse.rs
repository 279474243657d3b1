//! Strict reading of the configuration: an unknown key names the nearest known
//! one, a wrong value says where it is, what was found and what is allowed.

use super::comparison::ComparisonConfig;
use super::matrix::{Misfit, expand};
use super::measurement::Measurement;
use super::raw::{AxisValue, Config};
use crate::error::{Context, Error, Kind, Result};
use indexmap::IndexMap;
use sideband_numerics::expression::nearest;
use std::fmt::Display;
use std::path::Path;
use toml::{Table, Value};

/// Largest configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

/// A value that is not allowed at a key.
pub(super) fn not_allowed(path: &str, found: impl Display, allowed: impl Display) -> Error {
    Error::config_at(path, format!("found {found}; allowed is {allowed}"))
}

/// A key that must be there.
pub(super) fn missing(path: &str, key: &str) -> Error {
    Error::config_at(path, format!("key `{key}` is missing"))
}

/// One file: one ensemble, or a matrix of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The file with the settings on top of it.
    pub table: Table,
    /// Whether there is a `[matrix]`.
    pub is_matrix: bool,
    /// Names of each axis' values.
    pub axes: IndexMap<String, Vec<String>>,
    /// The ensembles, in the order of the matrix.
    pub ensembles: Vec<EnsembleSpec>,
    /// What is compared once all of them are there.
    pub comparison: Option<ComparisonConfig>,
    /// What is measured with them.
    pub measurement: Option<Measurement>,
}

/// One ensemble of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleSpec {
    /// `nominal`, or the point of the matrix: `year=2016,region=cr1`.
    pub name: String,
    /// Names of its values by axis.
    pub point: IndexMap<String, String>,
    /// Its configuration.
    pub config: Config,
}

/// Reads and checks a file, with `key=value` settings on top of it.
pub(crate) fn load_experiment(path: &Path, settings: &[String]) -> Result<Experiment> {
    parse_experiment(&read(path)?, settings)
}

fn read(path: &Path) -> Result<String> {
    let place = format!("cannot read {}", path.display());
    let about = std::fs::metadata(path).at(Kind::Config, &place)?;
    if !about.is_file() {
        return Err(Error::config("it is not a file").at(place));
    }
    if about.len() > MAX_BYTES {
        let bytes = about.len();
        return Err(Error::config(format!(
            "{place}: {bytes} bytes are too many for a configuration; is it the right file?"
        )));
    }
    std::fs::read_to_string(path).at(Kind::Config, place)
}

fn syntax(error: impl Display) -> Error {
    Error::config(format!("not valid TOML:\n{error}"))
}

fn table(text: &str, settings: &[String]) -> Result<Table> {
    let mut table: Table = text
        .parse()
        .map_err(|e: toml::de::Error| syntax(e.to_string().trim_end()))?;
    for setting in settings {
        set(&mut table, setting)?;
    }
    Ok(table)
}

/// Parses and checks a text, with `key=value` settings on top of it.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse_experiment(text: &str, settings: &[String]) -> Result<Experiment> {
    let table = table(text, settings)?;
    if is_measurement(&table) {
        return parse_measurement(table);
    }
    #[derive(serde::Deserialize)]
    struct Axes {
        #[serde(default)]
        matrix: IndexMap<String, Vec<AxisValue>>,
        #[serde(default)]
        comparison: Option<ComparisonConfig>,
    }
    let axes: Axes = deserialize(table.clone())?;
    let ensembles = expand(table.clone(), &axes.matrix, read_table::<Config>)?
        .into_iter()
        .map(|point| {
            point.config.check()?;
            Ok(EnsembleSpec {
                name: point.name,
                point: point.values,
                config: point.config,
            })
        })
        .collect::<Result<Vec<EnsembleSpec>>>()?;
    for spec in &ensembles {
        let (one, other) = (&ensembles[0].config, &spec.config);
        for (path, is_common) in [
            ("device", one.device == other.device),
            ("executor", one.executor == other.executor),
            (
                "experiment.name",
                one.experiment.name == other.experiment.name,
            ),
        ] {
            if !is_common {
                let reason = "is common to all ensembles of a matrix; take the ${...} out of it";
                return Err(Error::config_at(path, reason));
            }
        }
    }
    let names = |list: &Vec<AxisValue>| list.iter().map(AxisValue::name).collect();
    let experiment = Experiment {
        table,
        is_matrix: !axes.matrix.is_empty(),
        axes: axes
            .matrix
            .iter()
            .map(|(axis, list)| (axis.clone(), names(list)))
            .collect(),
        ensembles,
        comparison: axes.comparison,
        measurement: None,
    };
    if let Some(comparison) = &experiment.comparison {
        comparison.check(&experiment)?;
    }
    Ok(experiment)
}

fn is_measurement(table: &Table) -> bool {
    let method = table.get("experiment").and_then(|e| e.get("method"));
    method.and_then(Value::as_str) == Some("measure")
}

/// A measurement is a matrix of ratios.
fn parse_measurement(table: Table) -> Result<Experiment> {
    let measurement: Measurement = deserialize(table.clone())?;
    measurement.check()?;
    Ok(Experiment {
        table,
        is_matrix: true,
        axes: IndexMap::new(),
        ensembles: measurement.ensembles()?,
        comparison: None,
        measurement: Some(measurement),
    })
}

impl Experiment {
    /// What all ensembles have in common: the experiment, devices, executor.
    ///
    /// # Panics
    /// Never: there is at least one ensemble.
    #[must_use]
    pub fn common(&self) -> &Config {
        &self.ensembles[0].config
    }

    /// With other members in each ensemble.
    pub fn with_members(&self, members: u32) -> Result<Self> {
        let text = toml::to_string(&self.table).map_err(syntax)?;
        parse_experiment(&text, &[format!("ensemble.members={members}")])
    }
}

/// Parses and checks a text without a matrix, with `key=value` settings on top
/// of it.
pub(crate) fn parse(text: &str, settings: &[String]) -> Result<Config> {
    let table = table(text, settings)?;
    if is_measurement(&table) {
        return Err(not_allowed(
            "experiment.method",
            "\"measure\"",
            "\"reweight\", \"ratio\" or \"interpolate\" here: a measurement has many ensembles",
        ));
    }
    let config: Config = deserialize(table)?;
    config.check()?;
    Ok(config)
}

fn deserialize<T: serde::de::DeserializeOwned>(table: Table) -> Result<T> {
    read_table(table).map_err(|(_, error)| error)
}

fn read_table<T: serde::de::DeserializeOwned>(table: Table) -> Result<T, Misfit> {
    let whole = Value::Table(table.clone());
    if let Some((path, error)) = rounded_integer("", &whole) {
        return Err((path, error));
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let explained = explain(&whole, &path, error.inner().message());
        (path, explained)
    })
}

/// The first integer that a number with a point would not be. Most keys are such
/// numbers, where it would silently be rounded; seeds and the values of a matrix are
/// not.
fn rounded_integer(path: &str, value: &Value) -> Option<Misfit> {
    let below = |key: &str| match path.is_empty() {
        true => key.to_owned(),
        false => format!("{path}.{key}"),
    };
    match value {
        Value::Table(table) => table
            .iter()
            .filter(|(key, _)| !(path.is_empty() && *key == "matrix"))
            .find_map(|(key, value)| rounded_integer(&below(key), value)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .find_map(|(i, value)| rounded_integer(&format!("{path}[{i}]"), value)),
        Value::Integer(x) if !path.ends_with("seed") && i128::from(*x) != *x as f64 as i128 => {
            let allowed = "an integer that is exact as a floating-point number, as all up to 2^53 \
                           are; in expressions any integer is exact";
            Some((path.to_owned(), not_allowed(path, x, allowed)))
        }
        _ => None,
    }
}

/// Turns the reader's words into ours.
fn explain(whole: &Value, path: &str, message: &str) -> Error {
    let quoted = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(ToOwned::to_owned)
            .collect()
    };
    let table = |path: &str| {
        if path == "." || path.is_empty() {
            "top level".to_owned()
        } else {
            path.to_owned()
        }
    };
    let message = message.trim();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = quoted(rest).into_iter();
        let key = names.next().unwrap_or_default();
        let allowed: Vec<String> = names.collect();
        // the path of an unknown key ends in the key itself
        let parent = path
            .strip_suffix(&key)
            .map_or(path, |p| p.trim_end_matches('.'));
        let near = nearest(&key, allowed.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
        let allowed = list(&allowed);
        let reason = format!("unknown key `{key}`{near}; allowed are {allowed}");
        return Error::config_at(table(parent), reason);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let key = quoted(rest).into_iter().next().unwrap_or_default();
        return missing(&table(path), &key);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = quoted(rest).into_iter();
        let found = names.next().unwrap_or_default();
        let allowed: Vec<String> = names.map(|n| format!("\"{n}\"")).collect();
        let names = allowed.iter().map(String::as_str);
        let hint = nearest(&format!("\"{found}\""), names)
            .map_or_else(String::new, |n| format!(" (did you mean {n}?)"));
        let allowed = format!("one of {}{hint}", allowed.join(", "));
        return not_allowed(path, format!("\"{found}\""), allowed);
    }
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some((found, allowed)) = message
            .strip_prefix(kind)
            .and_then(|rest| rest.split_once(", expected "))
        {
            let found = lookup(whole, path).map_or_else(|| found.to_owned(), describe);
            return not_allowed(path, found, plain(allowed));
        }
    }
    match lookup(whole, path) {
        Some(value) => not_allowed(&table(path), describe(value), message),
        None => Error::config_at(table(path), message),
    }
}

/// What the reader expected, without its names of types.
fn plain(expected: &str) -> String {
    match expected {
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "usize" | "u64" => "a whole number that is not negative".to_owned(),
        "f64" => "a number".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        structure if structure.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn lookup<'a>(whole: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(whole, |value, key| {
        let (key, indices) = key.split_once('[').unwrap_or((key, ""));
        let mut value = if key.is_empty() {
            value
        } else {
            value.get(key)?
        };
        for index in indices.split('[').filter(|i| !i.is_empty()) {
            value = value.get(index.trim_end_matches(']').parse::<usize>().ok()?)?;
        }
        Some(value)
    })
}

fn describe(value: &Value) -> String {
    let text = match value {
        Value::Table(_) => "a table".to_owned(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(list) if list.len() > 8 => format!("a list of {} values", list.len()),
        other => other.to_string(),
    };
    text.chars().take(120).collect()
}

fn list(names: &[String]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Puts `a.b.c=value` into the table. The value is TOML; what is not TOML is
/// taken as text.
fn set(table: &mut Table, setting: &str) -> Result<()> {
    let wrong = || {
        Error::usage(format!(
            "--set {setting}: expected key.path=value, for example --set ensemble.members=10 or \
             --set experiment.name=\"test\""
        ))
    };
    let (path, text) = setting.split_once('=').ok_or_else(wrong)?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|k| k.is_empty()) || keys.len() > 16 {
        return Err(wrong());
    }
    let text = text.trim();
    let value = format!("value = {text}")
        .parse::<Table>()
        .ok()
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let (last, parents) = keys.split_last().ok_or_else(wrong)?;
    let mut inner = table;
    for key in parents {
        inner = inner
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| {
                let reason = format!("--set: `{key}` is not a table");
                Error::config_at(path, reason)
            })?;
    }
    inner.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const SMALL: &str = r#"
        [experiment]
        name = "test"
        method = "reweight"
        [data.source]
        path = "a.parquet"
        [data.target]
        path = ["b.parquet", "c*.parquet"]
        [regions.cr]
        selection = "x > 1"
        [features]
        inputs = ["x", "log(y)"]
        [training]
        region = "cr"
    "#;

    fn message(text: &str, settings: &[&str]) -> String {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        match parse(text, &settings) {
            Ok(_) => "fine".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn defaults_are_the_published_set_up() {
        let config = parse(SMALL, &[]).unwrap();
        assert_eq!(config.ensemble.members, 100);
        assert_eq!(config.model.hidden, [50, 50, 50]);
        assert_eq!(config.training.batch, 1024);
        assert_eq!(config.training.patience, 15);
        assert_eq!(config.training.learning_rate, 1e-3);
    }

    #[test]
    fn what_is_resolved_can_be_read_again() {
        let config = parse(SMALL, &["training.optimizer.kind=adamw".to_owned()]).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parse(&text, &[]).unwrap(), config);
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let text = message(SMALL, &["training.bacth=3"]);
        assert!(
            text.contains("`training`: unknown key `bacth`, did you mean `batch`?"),
            "{text}"
        );
        let text = message(SMALL, &["trainig.batch=3"]);
        assert!(
            text.contains("unknown key `trainig`, did you mean `training`?"),
            "{text}"
        );
        let text = message(SMALL, &["training.optimizer={kind='adam', betta1=0.5}"]);
        assert!(text.contains("did you mean `beta1`?"), "{text}");
        let text = message(SMALL, &["data.source.weigth=w"]);
        assert!(
            text.contains("`data.source`") && text.contains("`weight`"),
            "{text}"
        );
    }

    #[test]
    fn wrong_values_say_where_what_and_what_is_allowed() {
        let text = message(SMALL, &["training.batch=\"many\""]);
        assert_eq!(
            text,
            "`training.batch`: found the text \"many\"; allowed is a whole number that is not negative"
        );
        let text = message(SMALL, &["model.activation=rellu"]);
        assert!(
            text.contains("`model.activation`: found \"rellu\"; allowed is one of"),
            "{text}"
        );
        assert!(text.contains("did you mean \"relu\"?"), "{text}");
        let text = message(SMALL, &["features.inputs=[1, 2]"]);
        assert!(text.contains("features.inputs[0]"), "{text}");
        assert!(message(SMALL, &["nonsense"]).contains("expected key.path=value"));
        assert!(message("a = ", &[]).contains("not valid TOML"));
        assert!(message("", &[]).contains("`experiment` is missing"));
    }

    #[test]
    fn set_makes_and_replaces_keys() {
        let settings = ["regions.sr.selection=x < 0.5", "ensemble.members=7"];
        let config = parse(SMALL, &settings.map(ToOwned::to_owned)).unwrap();
        assert_eq!(config.regions["sr"].selection, "x < 0.5");
        assert_eq!(config.ensemble.members, 7);
    }
}
