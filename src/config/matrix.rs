//! `[matrix]`: one file, many ensembles.
//!
//! An axis is a list of values; every combination is an ensemble of its own. In
//! any text of the rest of the file `${year}` stands for the axis's value, and a
//! text that is nothing else becomes the value itself, so that numbers and
//! switches can vary too. A value may be a table with a name and fields:
//! `{ name = "jes_up", weight = "w_jes_up" }` is `${variation}` and
//! `${variation.weight}`.

use super::parse::ConfigError;
use super::raw::{AxisValue, Scalar};
use indexmap::IndexMap;
use toml::{Table, Value};

/// Most ensembles of a configuration.
const MAX_ENSEMBLES: usize = 10_000;

/// Longest name of an ensemble: that of a folder.
const MAX_NAME: usize = 200;

/// Values by what stands for them: `year`, `variation.weight`.
type Values = IndexMap<String, Value>;

/// One point of the matrix.
pub(super) struct Point {
    /// The ensemble's name.
    pub name: String,
    /// Names of the values by axis.
    pub values: IndexMap<String, String>,
    /// Its configuration.
    pub table: Table,
}

fn wrong(path: String, reason: impl Into<String>) -> ConfigError {
    ConfigError::Other {
        path,
        reason: reason.into(),
    }
}

/// The configuration of every ensemble, in the order of the axes, the last one
/// fastest; the file without its matrix under the name `nominal` if it has none.
pub(super) fn expand(
    mut table: Table,
    axes: &IndexMap<String, Vec<AxisValue>>,
) -> Result<Vec<Point>, ConfigError> {
    table.remove("matrix");
    table.remove("comparison");
    if axes.is_empty() {
        return Ok(vec![Point {
            name: "nominal".to_owned(),
            values: IndexMap::new(),
            table,
        }]);
    }
    let count = axes
        .values()
        .try_fold(1usize, |n, list| n.checked_mul(list.len()));
    if count.is_none_or(|n| n > MAX_ENSEMBLES) {
        let reason = format!("more than {MAX_ENSEMBLES} ensembles");
        return Err(wrong("matrix".to_owned(), reason));
    }
    let mut points = vec![(String::new(), IndexMap::new(), Values::new())];
    for (axis, list) in axes {
        check_axis(axis, list)?;
        points = points
            .iter()
            .flat_map(|point| list.iter().map(move |value| (point, value)))
            .map(|((name, names, values), value)| {
                let separator = if name.is_empty() { "" } else { "," };
                let name = format!("{name}{separator}{axis}={}", value.name());
                let mut names: IndexMap<String, String> = names.clone();
                names.insert(axis.clone(), value.name());
                let mut values: Values = values.clone();
                values.extend(value.values(axis));
                (name, names, values)
            })
            .collect();
    }
    let mut used = vec![false; axes.len()];
    let whole = Value::Table(table);
    let points = points
        .into_iter()
        .map(|(name, names, values)| {
            let mut mark = |key: &str| {
                let axis = key.split('.').next().unwrap_or(key);
                if let Some(place) = axes.get_index_of(axis) {
                    used[place] = true;
                }
            };
            match fill("", &whole, &values, &mut mark)? {
                Value::Table(table) => Ok(Point {
                    name,
                    values: names,
                    table,
                }),
                _ => Err(wrong("matrix".to_owned(), "not a table")),
            }
        })
        .collect::<Result<Vec<Point>, ConfigError>>()?;
    if let Some(Point { name, .. }) = points.iter().find(|p| p.name.len() > MAX_NAME) {
        return Err(wrong(
            "matrix".to_owned(),
            format!("{name:?} is too long for the name of a folder; give the values short names"),
        ));
    }
    if let Some(place) = used.iter().position(|used| !used) {
        let axis = axes.get_index(place).map_or("", |(name, _)| name);
        return Err(wrong(
            format!("matrix.{axis}"),
            format!("nothing depends on it: write ${{{axis}}} where its value belongs"),
        ));
    }
    Ok(points)
}

fn check_axis(axis: &str, list: &[AxisValue]) -> Result<(), ConfigError> {
    let path = format!("matrix.{axis}");
    let fine = |name: &str| {
        !name.is_empty()
            && name.len() <= 48
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c))
    };
    if !fine(axis) || axis.contains('.') {
        return Err(wrong(
            path,
            "an axis has a name of letters, digits, `-`, `_` and `+`",
        ));
    }
    if list.is_empty() {
        return Err(wrong(path, "an axis has at least one value"));
    }
    for (i, value) in list.iter().enumerate() {
        let name = value.name();
        if !fine(&name) || name.starts_with('.') {
            return Err(wrong(
                format!("{path}[{i}]"),
                format!(
                    "{name:?} cannot be part of a folder's name; give the value one: \
                     {{ name = \"short\", value = ... }} and write ${{{axis}.value}}"
                ),
            ));
        }
        if list[..i].iter().any(|earlier| earlier.name() == name) {
            return Err(wrong(
                format!("{path}[{i}]"),
                format!("{name:?} is there twice"),
            ));
        }
    }
    Ok(())
}

impl AxisValue {
    /// How it is called in the ensemble's name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Scalar(scalar) => scalar.text(),
            Self::Named { name, .. } => name.clone(),
        }
    }

    /// What stands for what.
    fn values(&self, axis: &str) -> Vec<(String, Value)> {
        match self {
            Self::Scalar(scalar) => vec![(axis.to_owned(), scalar.value())],
            Self::Named { name, fields } => {
                let own = (axis.to_owned(), Value::String(name.clone()));
                let named =
                    |(key, value): (&String, &Scalar)| (format!("{axis}.{key}"), value.value());
                std::iter::once(own)
                    .chain(fields.iter().map(named))
                    .collect()
            }
        }
    }
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Integer(x) => x.to_string(),
            Self::Float(x) => x.to_string(),
            Self::Switch(x) => x.to_string(),
            Self::Text(x) => x.clone(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Integer(x) => Value::Integer(*x),
            Self::Float(x) => Value::Float(*x),
            Self::Switch(x) => Value::Boolean(*x),
            Self::Text(x) => Value::String(x.clone()),
        }
    }
}

/// The value with everything that stands for something replaced.
fn fill(
    path: &str,
    value: &Value,
    values: &Values,
    mark: &mut dyn FnMut(&str),
) -> Result<Value, ConfigError> {
    Ok(match value {
        Value::String(text) => fill_text(path, text, values, mark)?,
        Value::Array(list) => Value::Array(
            list.iter()
                .enumerate()
                .map(|(i, value)| fill(&format!("{path}[{i}]"), value, values, mark))
                .collect::<Result<_, _>>()?,
        ),
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let value = fill(&format!("{path}{dot}{key}"), value, values, mark)?;
                    Ok((key.clone(), value))
                })
                .collect::<Result<_, ConfigError>>()?,
        ),
        other => other.clone(),
    })
}

fn fill_text(
    path: &str,
    text: &str,
    values: &Values,
    mark: &mut dyn FnMut(&str),
) -> Result<Value, ConfigError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let (key, after) = after
            .split_once('}')
            .ok_or_else(|| wrong(path.to_owned(), format!("`${{` without `}}` in {text:?}")))?;
        let value = values.get(key).ok_or_else(|| {
            let known: Vec<String> = values.keys().map(|k| format!("${{{k}}}")).collect();
            wrong(
                path.to_owned(),
                format!(
                    "${{{key}}} stands for nothing; there are {}",
                    known.join(", ")
                ),
            )
        })?;
        mark(key);
        if before.is_empty() && after.is_empty() && filled.is_empty() {
            return Ok(value.clone());
        }
        match value {
            Value::String(text) => filled.push_str(text),
            other => filled.push_str(&other.to_string()),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(Value::String(filled))
}

#[cfg(test)]
mod tests {
    use super::super::parse::{parse_experiment, tests::SMALL};

    fn expand(more: &str) -> Result<Vec<(String, super::super::Config)>, String> {
        let text = format!("{SMALL}\n{more}");
        parse_experiment(&text, &[])
            .map(|e| {
                e.ensembles
                    .into_iter()
                    .map(|e| (e.name, e.config))
                    .collect()
            })
            .map_err(|e| e.to_string())
    }

    #[test]
    fn without_a_matrix_there_is_one_ensemble() {
        let ensembles = expand("").unwrap();
        assert_eq!(ensembles.len(), 1);
        assert_eq!(ensembles[0].0, "nominal");
    }

    #[test]
    fn every_combination_is_an_ensemble_and_values_keep_their_types() {
        let ensembles = expand(
            r#"
            [matrix]
            year = [2016, 2018]
            variation = [{ name = "nominal", weight = "1" }, { name = "up", weight = "1.1 * w" }]
            rate = [1e-3]
            [data.define]
            w_year = "x * (y == ${year}) * (${variation.weight})"
            [model]
            dropout = "${rate}"
            "#,
        )
        .unwrap();
        let names: Vec<&str> = ensembles.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "year=2016,variation=nominal,rate=0.001",
                "year=2016,variation=up,rate=0.001",
                "year=2018,variation=nominal,rate=0.001",
                "year=2018,variation=up,rate=0.001",
            ]
        );
        let last = &ensembles[3].1;
        assert_eq!(last.data.define["w_year"], "x * (y == 2018) * (1.1 * w)");
        assert_eq!(last.model.dropout, 1e-3);
        assert!(last.matrix.is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        for (more, expected) in [
            ("[matrix]\nyear = [2016]", "matrix.year"),
            (
                "[matrix]\nyear = []\n[data.define]\na = '${year}'",
                "at least one",
            ),
            (
                "[matrix]\nyear = [1, 1]\n[data.define]\na = '${year}'",
                "twice",
            ),
            (
                "[matrix]\nyear = ['a/b']\n[data.define]\na = '${year}'",
                "folder",
            ),
            (
                "[matrix]\nyear = ['..']\n[data.define]\na = '${year}'",
                "folder",
            ),
            (
                "[matrix]\nyear = [1]\n[data.define]\na = '${yaer}'",
                "${year}",
            ),
            (
                "[matrix]\nyear = [1]\n[data.define]\na = '${year'",
                "without",
            ),
            (
                "[matrix]\nyear = 1\n[data.define]\na = '${year}'",
                "matrix.year",
            ),
            (
                "[matrix]\nyear = [{value = 1}]\n[data.define]\na = '${year}'",
                "matrix.year",
            ),
        ] {
            let error = expand(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }
}
