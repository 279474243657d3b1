//! Strict reading of the configuration: an unknown key names the nearest known
//! one, a wrong value says where it is, what was found and what is allowed.

use super::comparison::ComparisonConfig;
use super::limit::Limit;
use super::matrix::{EnsembleSpec, Misfit, expand};
use super::measurement::Measurement;
use super::mistakes::{explain, list_for_table};
use super::ranges::{lookup, missing, not_allowed};
use super::raw::{AxisValue, Config};
use crate::error::{Context, Error, Kind, Result};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;
use toml::{Table, Value};

/// Largest configuration that is read.
const MAX_BYTES: u64 = 1 << 20;

/// Keys that were renamed, the former one first. Former ones are read as the present ones.
const RENAMED: [(&str, &str); 2] = [
    ("device.block", "device.stack"),
    ("executor.members", "executor.block"),
];

/// One file: one ensemble, or a matrix of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The file with the settings on top of it, by the present names of the keys.
    pub table: Table,
    /// Keys that the user wrote by a former name, in words.
    pub renamed: Vec<String>,
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
    /// The fit of histograms that it is instead, without ensembles.
    pub limit: Option<Limit>,
    /// The file as it was written, where its sets are mixed.
    pub mixing: Option<Config>,
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

/// The table with the settings on top of it, and what was renamed in it.
fn table(text: &str, settings: &[String]) -> Result<(Table, Vec<String>)> {
    let parsed = text.parse::<Table>();
    let mut table = parsed.map_err(|e| syntax(e.to_string().trim_end()))?;
    let mut notes = BTreeSet::new();
    rename(&mut table, &mut notes)?;
    for setting in settings {
        set(&mut table, setting, &mut notes)?;
        rename(&mut table, &mut notes)?;
    }
    Ok((table, notes.into_iter().collect()))
}

fn note(former: &str, present: &str) -> String {
    format!("`{former}` is called `{present}` now; it was read as that")
}

/// Gives keys that were renamed their present names.
fn rename(table: &mut Table, notes: &mut BTreeSet<String>) -> Result<()> {
    for (former, present) in RENAMED {
        let Some(value) = take(table, former) else {
            continue;
        };
        if lookup(&Value::Table(table.clone()), present).is_some() {
            let reason = format!("is called `{present}` now, which is there too; leave one out");
            return Err(Error::config_at(former, reason));
        }
        put(table, present, value)?;
        notes.insert(note(former, present));
    }
    Ok(())
}

/// The value at a key, taken out of the table.
fn take(table: &mut Table, key: &str) -> Option<Value> {
    match key.split_once('.') {
        Some((first, rest)) => take(table.get_mut(first)?.as_table_mut()?, rest),
        None => table.remove(key),
    }
}

/// Puts a value to a key, with the tables that it is in.
fn put(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => put(inner, rest, value),
        _ => Err(Error::config(format!("--set: `{first}` is not a table"))),
    }
}

/// Parses and checks a text, with `key=value` settings on top of it.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse_experiment(text: &str, settings: &[String]) -> Result<Experiment> {
    let (table, renamed) = table(text, settings)?;
    let method = table.get("experiment").and_then(|e| e.get("method"));
    match method.and_then(Value::as_str) {
        Some("measure") => return parse_measurement(table, renamed),
        Some("limit") => return parse_limit(table, renamed),
        Some("mix") => return parse_mixing(table, renamed),
        _ => {}
    }
    #[derive(Deserialize, JsonSchema)]
    struct Axes {
        #[serde(default)]
        matrix: IndexMap<String, Vec<AxisValue>>,
        #[serde(default)]
        comparison: Option<ComparisonConfig>,
    }
    refuse_lists::<Config>(&table)?;
    let axes: Axes = deserialize(table.clone())?;
    let ensembles = expand(table.clone(), &axes.matrix, read_table::<Config>)?;
    ensembles.iter().try_for_each(|spec| spec.config.check())?;
    for spec in &ensembles {
        let (one, other) = (&ensembles[0].config, &spec.config);
        for (path, is_common) in [
            ("device", one.device == other.device),
            ("executor", one.executor == other.executor),
            (
                "experiment.name",
                one.experiment.name == other.experiment.name,
            ),
            ("report.rank_by", one.report.rank_by == other.report.rank_by),
        ] {
            if !is_common {
                let reason = "is common to all ensembles of a matrix; take the ${...} out of it";
                return Err(Error::config_at(path, reason));
            }
        }
    }
    let is_matrix = !axes.matrix.is_empty();
    let names = |list: Vec<AxisValue>| list.iter().map(AxisValue::name).collect();
    let named = axes
        .matrix
        .into_iter()
        .map(|(axis, list)| (axis, names(list)));
    let experiment = Experiment {
        table,
        renamed,
        is_matrix,
        axes: named.collect(),
        ensembles,
        comparison: axes.comparison,
        measurement: None,
        limit: None,
        mixing: None,
    };
    if let Some(comparison) = &experiment.comparison {
        comparison.check(&experiment)?;
    }
    Ok(experiment)
}

/// A measurement is a matrix of ratios.
fn parse_measurement(table: Table, renamed: Vec<String>) -> Result<Experiment> {
    refuse_lists::<Measurement>(&table)?;
    let measurement: Measurement = deserialize(table.clone())?;
    measurement.check()?;
    Ok(Experiment {
        table,
        renamed,
        is_matrix: true,
        axes: IndexMap::new(),
        ensembles: measurement.ensembles()?,
        comparison: None,
        measurement: Some(measurement),
        limit: None,
        mixing: None,
    })
}

/// A limit has no ensembles of its own.
fn parse_limit(table: Table, renamed: Vec<String>) -> Result<Experiment> {
    refuse_lists::<Limit>(&table)?;
    let limit: Limit = deserialize(table.clone())?;
    limit.check()?;
    Ok(Experiment {
        table,
        renamed,
        is_matrix: false,
        axes: IndexMap::new(),
        ensembles: Vec::new(),
        comparison: None,
        measurement: None,
        limit: Some(limit),
        mixing: None,
    })
}

/// A mixing is a matrix of background models, one of the data and one of each set.
fn parse_mixing(table: Table, renamed: Vec<String>) -> Result<Experiment> {
    refuse_lists::<Config>(&table)?;
    let config: Config = deserialize(table.clone())?;
    if config.mixing.is_none() {
        return Err(missing("top level", "mixing"));
    }
    Ok(Experiment {
        table,
        renamed,
        is_matrix: true,
        axes: IndexMap::new(),
        ensembles: config.mixed()?,
        comparison: None,
        measurement: None,
        limit: None,
        mixing: Some(config),
    })
}

impl Experiment {
    /// What all ensembles have in common: the experiment, devices, executor.
    ///
    /// # Panics
    /// Of a limit, which has no ensemble; all others have one.
    #[must_use]
    pub fn common(&self) -> &Config {
        &self.ensembles[0].config
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.limit {
            Some(limit) => &limit.experiment.name,
            None => &self.common().experiment.name,
        }
    }

    /// Whether it trains anything.
    ///
    /// # Errors
    /// Of a limit, which trains nothing, for a command that would.
    pub(crate) fn check_trains(&self) -> Result<()> {
        match &self.limit {
            None => Ok(()),
            Some(limit) => Err(Error::usage(format!(
                "{} is a limit, which trains nothing: it has no members, blocks or jobs; the runs \
                 that its samples name have",
                limit.experiment.name
            ))),
        }
    }

    /// With other members in each ensemble.
    pub fn with_members(&self, members: u32) -> Result<Self> {
        let text = toml::to_string(&self.table).map_err(syntax)?;
        parse_experiment(&text, &[format!("ensemble.members={members}")])
    }
}

fn deserialize<T: DeserializeOwned + JsonSchema>(table: Table) -> Result<T> {
    read_table(table).map_err(|(_, error)| error)
}

/// Refuses lists in the place of tables.
fn refuse_lists<T: JsonSchema>(table: &Table) -> Result<()> {
    match list_for_table::<T>(&Value::Table(table.clone())) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

fn read_table<T: DeserializeOwned + JsonSchema>(table: Table) -> Result<T, Misfit> {
    let whole = Value::Table(table.clone());
    if let Some((path, error)) = rounded_integer("", &whole) {
        return Err((path, error));
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let words = error.inner().message().trim();
        explain::<T>(&whole, &error.path().to_string(), words)
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

/// Puts `a.b.c=value` into the table. The value is TOML; what is not TOML is
/// taken as text.
pub(super) fn set(table: &mut Table, setting: &str, notes: &mut BTreeSet<String>) -> Result<()> {
    let wrong = || {
        Error::usage(format!(
            "--set {setting}: expected key.path=value, for example --set ensemble.members=10 or \
             --set experiment.name=\"test\""
        ))
    };
    let (key, text) = setting.split_once('=').ok_or_else(wrong)?;
    let mut key = key.trim();
    if key.split('.').any(str::is_empty) || key.split('.').count() > 16 {
        return Err(wrong());
    }
    if let Some((former, present)) = RENAMED.iter().find(|(former, _)| *former == key) {
        notes.insert(note(former, present));
        key = present;
    }
    let text = text.trim();
    let value = format!("value = {text}").parse::<Table>().ok();
    let value = value
        .filter(|t| t.len() == 1)
        .and_then(|mut t| t.remove("value"));
    let value = value.unwrap_or_else(|| Value::String(text.to_owned()));
    put(table, key, value).map_err(|error| error.at_key(key))
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

    fn owned(settings: &[&str]) -> Vec<String> {
        settings.iter().map(|s| (*s).to_owned()).collect()
    }

    /// The configuration of a text without a matrix, with settings on top of it.
    pub(crate) fn parse(text: &str, settings: &[&str]) -> Result<Config> {
        let mut experiment = parse_experiment(text, &owned(settings))?;
        Ok(experiment.ensembles.swap_remove(0).config)
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
        let config = parse(SMALL, &["training.optimizer.kind=adamw"]).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(parse(&text, &[]).unwrap(), config);
    }

    #[test]
    fn what_is_no_configuration_at_all_is_said() {
        for (text, setting, part) in [
            (SMALL, "nonsense", "expected key.path=value"),
            ("a = ", "b=1", "not valid TOML"),
            ("", "b.c=1", "unknown key `b`"),
            ("", "device.threads=1", "`experiment` is missing"),
        ] {
            let error = parse(text, &[setting]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn set_makes_and_replaces_keys() {
        let settings = ["regions.sr.selection=x < 0.5", "ensemble.members=7"];
        let config = parse(SMALL, &settings).unwrap();
        assert_eq!(config.regions["sr"].selection, "x < 0.5");
        assert_eq!(config.ensemble.members, 7);
    }

    #[test]
    fn former_names_of_keys_are_read_with_a_note() {
        let text = format!("{SMALL}\n[executor]\nmembers = 3\n[device]\nblock = 5");
        for (settings, block) in [
            (&[][..], 3),
            (&["executor.members=4"], 4),
            (&["executor.block=4"], 4),
            (&["executor={members=6}"], 6),
        ] {
            let experiment = parse_experiment(&text, &owned(settings)).unwrap();
            let config = experiment.common();
            assert_eq!((config.executor.block, config.device.stack), (block, 5));
            assert_eq!(
                experiment.renamed,
                [
                    ("device.block", "device.stack"),
                    ("executor.members", "executor.block")
                ]
                .map(|(former, present)| note(former, present))
            );
            let again = toml::to_string(&experiment.table).unwrap();
            let again = parse_experiment(&again, &[]).unwrap();
            assert!(again.renamed.is_empty() && again.common() == config);
        }
        let both = parse(&text, &["device={block=1, stack=2}"]).unwrap_err();
        assert!(
            both.to_string().contains("is called `device.stack` now"),
            "{both}"
        );
        assert!(parse_experiment(SMALL, &[]).unwrap().renamed.is_empty());
    }
}
