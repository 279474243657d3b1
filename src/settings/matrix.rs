//! `[matrix]`: one file, many ensembles.
//!
//! An axis is a list of values; every combination is an ensemble of its own. In
//! any text of the rest of the file `${year}` stands for the axis's value, and a
//! text that is nothing else becomes the value itself, so that numbers and
//! switches can vary too, in any key; where a text is wanted, it stays one. A value may be a
//! table with a name and fields: `{ name = "jes_up", weight = "w_jes_up" }` is
//! `${variation}` and `${variation.weight}`. A field may be a list, which stands alone:
//! `hidden = "${net.hidden}"`. In an expression a value keeps its own
//! precedence: with `c = -3`, `${c}^2` is `(-3)^2`.

use super::raw::{AxisValue, Config, FieldValue, Scalar};
use crate::error::{Error, Result};
use indexmap::IndexMap;
use sideband_numerics::expression::{Expression, is_single_word};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use toml::{Table, Value};

/// Most ensembles of a configuration.
const MAX_ENSEMBLES: usize = 10_000;

/// Longest name of an ensemble: that of a folder.
const MAX_NAME: usize = 200;

/// Values by what stands for them: `year`, `variation.weight`.
type Values = IndexMap<String, Value>;

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

/// A table that is no configuration: the key at fault, and why.
pub(super) type Misfit = (String, Error);

fn wrong(path: impl Display, reason: impl Display) -> Error {
    Error::config_at(path, reason)
}

/// The configuration of every ensemble, in the order of the axes, the last one
/// fastest; the file without its matrix under the name `nominal` if it has none.
/// `read` makes a configuration of a table.
pub(super) fn expand(
    mut table: Table,
    axes: &IndexMap<String, Vec<AxisValue>>,
    read: impl Fn(Table) -> Result<Config, Misfit>,
) -> Result<Vec<EnsembleSpec>> {
    table.remove("matrix");
    table.remove("comparison");
    if axes.is_empty() {
        return Ok(vec![EnsembleSpec {
            name: "nominal".to_owned(),
            point: IndexMap::new(),
            config: read(table).map_err(|(_, error)| error)?,
        }]);
    }
    let count = axes
        .values()
        .try_fold(1usize, |n, list| n.checked_mul(list.len()));
    if count.is_none_or(|n| n > MAX_ENSEMBLES) {
        let reason = format!("more than {MAX_ENSEMBLES} ensembles");
        return Err(wrong("matrix", reason));
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
            let filler = Filler {
                values: &values,
                texts: HashSet::new(),
                pasted: HashSet::new(),
                used: HashSet::new(),
            };
            let (config, filler) = filler.read(&whole, &read)?;
            for key in &filler.used {
                let axis = key.split('.').next().unwrap_or(key);
                if let Some(place) = axes.get_index_of(axis) {
                    used[place] = true;
                }
            }
            Ok(EnsembleSpec {
                name,
                point: names,
                config,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if let Some(EnsembleSpec { name, .. }) = points.iter().find(|p| p.name.len() > MAX_NAME) {
        return Err(wrong(
            "matrix",
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

fn check_axis(axis: &str, list: &[AxisValue]) -> Result<()> {
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
                    |(key, value): (&String, &FieldValue)| (format!("{axis}.{key}"), value.value());
                std::iter::once(own)
                    .chain(fields.iter().map(named))
                    .collect()
            }
        }
    }
}

impl FieldValue {
    fn value(&self) -> Value {
        match self {
            Self::One(scalar) => scalar.value(),
            Self::List(list) => Value::Array(list.iter().map(Scalar::value).collect()),
        }
    }
}

impl Scalar {
    /// How it is called in the name of an ensemble.
    pub(super) fn text(&self) -> String {
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

/// Puts the values of a point in their places.
struct Filler<'a> {
    values: &'a Values,
    /// Keys whose value has to be a text, whatever stands for it.
    texts: HashSet<String>,
    /// Keys that became a number or a switch.
    pasted: HashSet<String>,
    /// What was asked for.
    used: HashSet<String>,
}

impl Filler<'_> {
    /// The configuration. A number that does not fit where it stands alone is tried
    /// as a text.
    fn read(
        mut self,
        whole: &Value,
        read: impl Fn(Table) -> Result<Config, Misfit>,
    ) -> Result<(Config, Self)> {
        let mut reasons = HashMap::new();
        loop {
            let Value::Table(table) = self.fill("", whole)? else {
                return Err(wrong("matrix", "not a table"));
            };
            let (path, error) = match read(table) {
                Ok(config) => return Ok((config, self)),
                Err(misfit) => misfit,
            };
            if !self.pasted.contains(&path) || !self.texts.insert(path.clone()) {
                return Err(reasons.remove(&path).unwrap_or(error));
            }
            reasons.insert(path, error);
        }
    }

    /// The value with everything that stands for something replaced.
    fn fill(&mut self, path: &str, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => self.fill_text(path, text)?,
            Value::Array(list) => Value::Array(
                list.iter()
                    .enumerate()
                    .map(|(i, value)| self.fill(&format!("{path}[{i}]"), value))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Table(table) => Value::Table(
                table
                    .iter()
                    .map(|(key, value)| {
                        let dot = if path.is_empty() { "" } else { "." };
                        let value = self.fill(&format!("{path}{dot}{key}"), value)?;
                        Ok((key.clone(), value))
                    })
                    .collect::<Result<_>>()?,
            ),
            other => other.clone(),
        })
    }

    fn fill_text(&mut self, path: &str, text: &str) -> Result<Value> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let (key, after) = after
                .split_once('}')
                .ok_or_else(|| wrong(path, format!("`${{` without `}}` in {text:?}")))?;
            let value = self.values.get(key).ok_or_else(|| {
                let known: Vec<String> = self.values.keys().map(|k| format!("${{{k}}}")).collect();
                wrong(
                    path,
                    format!(
                        "${{{key}}} stands for nothing; there are {}",
                        known.join(", ")
                    ),
                )
            })?;
            self.used.insert(key.to_owned());
            let pasted = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            if before.is_empty() && after.is_empty() && filled.is_empty() {
                if value.is_str() || self.texts.contains(path) {
                    return Ok(Value::String(pasted));
                }
                self.pasted.insert(path.to_owned());
                return Ok(value.clone());
            }
            if value.is_array() {
                let reason = format!("${{{key}}} is a list, and has to stand alone");
                return Err(wrong(path, reason));
            }
            match is_expression(path) && needs_parentheses(&filled, &pasted, after) {
                true => filled.push_str(&format!("({pasted})")),
                false => filled.push_str(&pasted),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(Value::String(filled))
    }
}

/// Whether the text of a key is an expression over columns.
fn is_expression(path: &str) -> bool {
    /// Beginnings and ends of such keys.
    const KEYS: [(&str, &str); 20] = [
        ("data.define.", ""),
        ("data.jets.", ""),
        ("data.source.selection", ""),
        ("data.source.weight", ""),
        ("data.source.scale", ""),
        ("data.target.selection", ""),
        ("data.target.weight", ""),
        ("data.target.scale", ""),
        ("regions.", ".selection"),
        ("features.inputs[", "]"),
        ("report.variables[", "].expression"),
        ("report.planes[", "].x"),
        ("report.planes[", "].y"),
        ("interpolation.plane.x", ""),
        ("interpolation.plane.y", ""),
        ("interpolation.derived.", ""),
        ("interpolation.variables[", "].expression"),
        ("mixing.uncertainties.", ".observable"),
        ("mixing.uncertainties.", ".signal.selection"),
        ("mixing.uncertainties.", ".signal.weight"),
    ];
    KEYS.iter().any(|(start, end)| {
        path.strip_prefix(start).is_some_and(|rest| {
            let whole = end.is_empty() && !start.ends_with('.');
            if whole {
                rest.is_empty()
            } else {
                rest.ends_with(end)
            }
        })
    })
}

/// Whether a value must be put in parentheses to stay one value between what is
/// before and after it. A part of a column's name is none, nor what is no expression
/// of its own.
fn needs_parentheses(before: &str, value: &str, after: &str) -> bool {
    let in_braces = before.rfind('{') > before.rfind('}');
    let in_parentheses = before.trim_end().ends_with('(') && after.trim_start().starts_with(')');
    !in_braces && !in_parentheses && !is_single_word(value) && Expression::parse(value).is_ok()
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
            net = [{ name = "small", hidden = [8, 4] }]
            [data.define]
            w_year = "x * (y == ${year}) * (${variation.weight})"
            [model]
            dropout = "${rate}"
            hidden = "${net.hidden}"
            "#,
        )
        .unwrap();
        let names: Vec<&str> = ensembles.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "year=2016,variation=nominal,rate=0.001,net=small",
                "year=2016,variation=up,rate=0.001,net=small",
                "year=2018,variation=nominal,rate=0.001,net=small",
                "year=2018,variation=up,rate=0.001,net=small",
            ]
        );
        let last = &ensembles[3].1;
        assert_eq!(last.data.define["w_year"], "x * (y == 2018) * (1.1 * w)");
        assert_eq!(last.model.dropout, 1e-3);
        assert_eq!(last.model.hidden, [8, 4]);
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
            (
                "[matrix]\nn = [{name = 'a', h = [1, 2]}]\n[data.define]\na = 'x + ${n.h}'",
                "stand alone",
            ),
        ] {
            let error = expand(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }

    #[test]
    fn a_value_keeps_its_precedence_in_expressions_alone() {
        let ensembles = expand(
            r#"
            [matrix]
            c = [-3, 2]
            v = [{ name = "or", cut = "a || b", column = "two words" }]
            [data.define]
            square = "2^${c} + ${c}^2"
            both = "x > 0 && ${v.cut}"
            alone = "${v.cut}"
            held = "!(${v.cut})"
            column = "{${v.column}} + x_${c}"
            [report]
            data_label = "${c}: ${v.cut}"
            title = "${c}"
            "#,
        )
        .unwrap();
        let config = &ensembles[0].1;
        let define = &config.data.define;
        assert_eq!(define["square"], "2^(-3) + (-3)^2");
        assert_eq!(define["both"], "x > 0 && (a || b)");
        assert_eq!(define["alone"], "a || b");
        assert_eq!(define["held"], "!(a || b)");
        // -3 is no part of a name, which the expression's parser will say.
        assert_eq!(define["column"], "{two words} + x_(-3)");
        assert_eq!(config.report.data_label, "-3: a || b");
        assert_eq!(config.report.title.as_deref(), Some("-3"));
        assert_eq!(ensembles[1].1.data.define["column"], "{two words} + x_2");
    }

    #[test]
    fn every_key_that_holds_an_expression_is_known() {
        fn walk(
            path: &str,
            schema: &serde_json::Value,
            all: &serde_json::Value,
            found: &mut Vec<String>,
        ) {
            let schema = match schema["$ref"].as_str() {
                Some(link) => &all["$defs"][link.rsplit('/').next().unwrap()],
                None => schema,
            };
            for option in schema["anyOf"].as_array().into_iter().flatten() {
                walk(path, option, all, found);
            }
            if schema["items"].is_object() {
                walk(&format!("{path}[0]"), &schema["items"], all, found);
            }
            if schema["additionalProperties"].is_object() {
                walk(
                    &format!("{path}.name"),
                    &schema["additionalProperties"],
                    all,
                    found,
                );
            }
            for (key, below) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{key}").trim_start_matches('.').to_owned();
                let about = below["description"].as_str().unwrap_or_default();
                // HTCondor's expressions know nothing of columns.
                let of_columns = !path.starts_with("executor.");
                if of_columns && about.to_lowercase().contains("expression") {
                    found.push(path.clone());
                }
                walk(&path, below, all, found);
            }
        }
        let schema = serde_json::to_value(schemars::schema_for!(super::super::Config)).unwrap();
        let mut found = Vec::new();
        walk("", &schema, &schema, &mut found);
        assert!(found.len() >= 10, "{found:?}");
        for path in found {
            let one = path.replace("inputs", "inputs[0]");
            let below = format!("{path}.name");
            assert!(
                [&path, &one, &below]
                    .iter()
                    .any(|path| super::is_expression(path)),
                "{path}"
            );
        }
    }
}
