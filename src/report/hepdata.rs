//! Results as HEPData takes them: `submission.yaml` and a YAML file for each table, by schema 1.1.1 of
//! hepdata-validator. What a paper adds, reactions, energies and places of the tables, is for its
//! authors to write.

use super::numbers::trimmed;
use serde_json::{Value, json};

/// Longest name of a table.
const NAME: usize = 64;
/// In the place of a number that is not there.
const NONE: &str = "-";
/// Steps of the indentation.
const STEP: usize = 2;
/// Before and after the fit, in words.
pub(crate) const LOOKS: [&str; 2] = ["pre-fit", "post-fit"];

/// Tables and the files beside them.
pub(crate) struct Submission {
    /// What all tables are of.
    pub(crate) comment: String,
    pub(crate) resources: Vec<Resource>,
    pub(crate) tables: Vec<Table>,
}

/// A file beside the tables.
pub(crate) struct Resource {
    pub(crate) file: String,
    pub(crate) description: String,
    /// A type that HEPData knows, such as `HistFactory`.
    pub(crate) kind: Option<&'static str>,
}

/// Columns of the same number of rows.
pub(crate) struct Table {
    /// Its file, without ending.
    pub(crate) file: String,
    /// Its name, of which the first 64 characters are unique in the submission.
    pub(crate) name: String,
    pub(crate) description: String,
    /// What it is found by.
    pub(crate) phrase: &'static str,
    pub(crate) independent: Vec<Axis>,
    pub(crate) dependent: Vec<Quantity>,
}

/// A column of what the others depend on.
pub(crate) struct Axis {
    pub(crate) name: String,
    pub(crate) values: Vec<Point>,
}

/// A value of an axis.
pub(crate) enum Point {
    Text(String),
    Number(f64),
}

/// A column of numbers with errors.
pub(crate) struct Quantity {
    pub(crate) name: String,
    pub(crate) values: Vec<Measured>,
}

/// A number with its errors.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) value: Option<f64>,
    errors: Vec<(&'static str, [f64; 2])>,
}

/// A number that is observed, and as it is expected for data that fluctuate by -2, -1, 0, 1 and 2
/// standard deviations.
#[derive(Clone, Copy)]
pub(crate) struct Banded {
    pub(crate) observed: Option<f64>,
    pub(crate) expected: [Option<f64>; 5],
}

impl Measured {
    pub(crate) fn new(value: Option<f64>) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// Events with the error of their sum.
    pub(crate) fn total(events: f64, error: Option<f64>) -> Self {
        Self::new(Some(events)).with("total", [error; 2])
    }

    /// With an error downward and upward, where both are numbers and one is not zero.
    pub(crate) fn with(mut self, label: &'static str, error: [Option<f64>; 2]) -> Self {
        if let [Some(down), Some(up)] = error
            && down.is_finite()
            && up.is_finite()
            && (down != 0.0 || up != 0.0)
        {
            self.errors.push((label, [down, up]));
        }
        self
    }

    fn entry(&self) -> Value {
        let error = |(label, [down, up]): &(&str, [f64; 2])| match down == up {
            true => json!({"symerror": up, "label": label}),
            false => json!({"asymerror": {"plus": up, "minus": -down}, "label": label}),
        };
        let errors: Vec<Value> = self.errors.iter().map(error).collect();
        match self.value.filter(|x| x.is_finite()) {
            Some(value) if errors.is_empty() => json!({"value": value}),
            Some(value) => json!({"value": value, "errors": errors}),
            None => json!({"value": NONE}),
        }
    }
}

impl Quantity {
    /// Numbers without errors.
    pub(crate) fn plain(
        name: impl Into<String>,
        values: impl Iterator<Item = Option<f64>>,
    ) -> Self {
        Self {
            name: name.into(),
            values: values.map(Measured::new).collect(),
        }
    }

    /// A column of the observed numbers, if there are any, and one of the expected ones with both
    /// bands as errors.
    pub(crate) fn banded(what: &str, rows: &[Banded]) -> Vec<Self> {
        let expected = |row: &Banded| {
            let median = row.expected[2];
            let error = |from: usize, to: usize| Some(row.expected[to]? - row.expected[from]?);
            Measured::new(median)
                .with("1 s.d.", [error(1, 2), error(2, 3)])
                .with("2 s.d.", [error(0, 2), error(2, 4)])
        };
        let is_observed = rows.iter().any(|row| row.observed.is_some());
        let observed = rows.iter().map(|row| row.observed);
        let observed = is_observed.then(|| Self::plain(format!("Observed {what}"), observed));
        let expected = Self {
            name: format!("Expected {what}"),
            values: rows.iter().map(expected).collect(),
        };
        observed.into_iter().chain([expected]).collect()
    }
}

impl Submission {
    /// Its files by name: the tables, and behind them `submission.yaml`, which names them.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let resources = self.resources.iter().map(|resource| {
            let mut entry = json!({
                "location": resource.file,
                "description": resource.description,
            });
            if let Some(kind) = resource.kind {
                entry["type"] = kind.into();
            }
            entry
        });
        let resources: Vec<Value> = resources.collect();
        let head = json!({"additional_resources": resources, "comment": self.comment});
        let (mut all, mut files) = (document(&head), Vec::new());
        for table in &self.tables {
            all += &document(&table.entry());
            files.push((table.data_file(), document(&table.data())));
        }
        files.push(("submission.yaml".to_owned(), all));
        files
    }
}

impl Table {
    /// Upper limits on a parameter at a confidence level, by what they depend on.
    pub(crate) fn limits(
        file: impl Into<String>,
        (poi, level): (&str, f64),
        independent: Vec<Axis>,
        rows: &[Banded],
    ) -> Self {
        let names: Vec<&str> = independent.iter().map(|axis| axis.name.as_str()).collect();
        let (against, of) = match names.join(", ") {
            none if none.is_empty() => (String::new(), String::new()),
            names => (
                format!(" against {names}"),
                format!(" for values of {names}"),
            ),
        };
        Self {
            file: file.into(),
            name: format!("Upper limits on {poi}{against}"),
            description: format!(
                "Upper limits on {poi} at {} % confidence level by the CLs method{of}, with the \
                 bands of one and two standard deviations that are expected without signal.",
                trimmed(100.0 * level)
            ),
            phrase: "upper limit",
            independent,
            dependent: Quantity::banded(&format!("limit on {poi}"), rows),
        }
    }

    /// CLs at values of a parameter.
    pub(crate) fn cls(poi: &str, values: impl Iterator<Item = f64>, rows: &[Banded]) -> Self {
        Self {
            file: "cls".to_owned(),
            name: format!("CLs against {poi}"),
            description: format!(
                "CLs at values of {poi}, observed and expected without signal with the bands of \
                 one and two standard deviations."
            ),
            phrase: "CLs",
            independent: vec![Axis {
                name: poi.to_owned(),
                values: values.map(Point::Number).collect(),
            }],
            dependent: Quantity::banded("CLs", rows),
        }
    }

    /// Events of channels, before and after the fit.
    pub(crate) fn yields<'a>(
        channels: impl Iterator<Item = &'a str>,
        observed: impl Iterator<Item = Option<f64>>,
        expected: [Vec<Measured>; 2],
    ) -> Self {
        let mut dependent = vec![Quantity::plain("Observed events", observed)];
        dependent.extend(
            LOOKS
                .into_iter()
                .zip(expected)
                .map(|(look, values)| Quantity {
                    name: format!("Expected events, {look}"),
                    values,
                }),
        );
        Self {
            file: "yields".to_owned(),
            name: "Events in all channels".to_owned(),
            description: "Observed events of every channel, and expected ones before and after \
                          the fit with the errors of their sums."
                .to_owned(),
            phrase: "events",
            independent: vec![Axis {
                name: "Channel".to_owned(),
                values: channels.map(|name| Point::Text(name.to_owned())).collect(),
            }],
            dependent,
        }
    }

    fn data_file(&self) -> String {
        format!("{}.yaml", self.file)
    }

    fn entry(&self) -> Value {
        let name: String = self.name.chars().take(NAME).collect();
        json!({
            "name": name,
            "description": self.description,
            "keywords": [{"name": "phrases", "values": [self.phrase]}],
            "data_file": self.data_file(),
        })
    }

    fn data(&self) -> Value {
        let column =
            |name: &str, values: Vec<Value>| json!({"header": {"name": name}, "values": values});
        let point = |point: &Point| match point {
            Point::Text(text) => json!({"value": text}),
            Point::Number(x) if x.is_finite() => json!({"value": x}),
            Point::Number(_) => json!({"value": NONE}),
        };
        let independent = self.independent.iter();
        let independent = independent.map(|axis| {
            let values = axis.values.iter().map(point).collect();
            column(&axis.name, values)
        });
        let dependent = self.dependent.iter().map(|quantity| {
            let values = quantity.values.iter().map(Measured::entry).collect();
            column(&quantity.name, values)
        });
        json!({
            "independent_variables": independent.collect::<Vec<Value>>(),
            "dependent_variables": dependent.collect::<Vec<Value>>(),
        })
    }
}

/// A document of YAML.
fn document(value: &Value) -> String {
    let mut text = "---\n".to_owned();
    write(value, 0, &mut text);
    text
}

/// Writes a list or an object over lines.
fn write(value: &Value, indent: usize, text: &mut String) {
    let pad = " ".repeat(indent);
    let mut line = |head: &str, inner: &Value| {
        text.push_str(&pad);
        text.push_str(head);
        match is_flat(inner) {
            true => {
                text.push(' ');
                flow(inner, text);
                text.push('\n');
            }
            false => {
                text.push('\n');
                write(inner, indent + STEP, text);
            }
        }
    };
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| line(&format!("{key}:"), inner)),
        Value::Array(list) => list.iter().for_each(|inner| line("-", inner)),
        plain => line("", plain),
    }
}

/// Whether a value is written in one line: what has no list or object with others in it.
fn is_flat(value: &Value) -> bool {
    let is_plain = |value: &Value| !value.is_array() && !value.is_object();
    match value {
        Value::Object(map) => map.values().all(is_plain),
        Value::Array(list) => list.iter().all(is_plain),
        _ => true,
    }
}

/// Writes a value in one line.
fn flow(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            text.push('{');
            for (place, (key, inner)) in map.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                text.push_str(key);
                text.push_str(": ");
                flow(inner, text);
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for (place, inner) in list.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                flow(inner, text);
            }
            text.push(']');
        }
        Value::String(own) => quote(own, text),
        Value::Number(x) => text.push_str(&number(x.as_f64().unwrap_or(f64::NAN))),
        Value::Bool(_) | Value::Null => text.push_str(&value.to_string()),
    }
}

/// A number that YAML 1.1 takes for one: with a point and a sign where it has an exponent.
fn number(x: f64) -> String {
    if x == 0.0 || (1e-4..1e15).contains(&x.abs()) {
        // -0 is written without its sign
        return (x + 0.0).to_string();
    }
    let text = format!("{x:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return format!("\"{NONE}\"");
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{digits}{point}e{sign}{exponent}")
}

/// Writes a text in quotes, with escapes for what is no character of YAML, or ends a line.
fn quote(own: &str, text: &mut String) {
    text.push('"');
    for c in own.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c if c.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_documents_of_the_schema() {
        let row = |observed, factor: f64| Banded {
            observed,
            expected: [0.5, 0.75, 1.0, 1.25, 2.5].map(|x| Some(x * factor)),
        };
        let rows = [row(Some(1.5), 1.0), row(None, f64::NAN)];
        let submission = Submission {
            comment: "ws.json: \"main\"\n".to_owned(),
            resources: vec![Resource {
                file: "workspace.json".to_owned(),
                description: "The model".to_owned(),
                kind: Some("HistFactory"),
            }],
            tables: vec![Table {
                file: "limits".to_owned(),
                name: "n".repeat(70),
                description: "Limits".to_owned(),
                phrase: "upper limit",
                independent: vec![Axis {
                    name: "m".to_owned(),
                    values: vec![Point::Number(100.0), Point::Text("x".to_owned())],
                }],
                dependent: Quantity::banded("limit", &rows),
            }],
        };
        let files = submission.files();
        let [(data, table), (name, all)] = &files[..] else {
            panic!("two files");
        };
        assert_eq!(
            (data.as_str(), name.as_str()),
            ("limits.yaml", "submission.yaml")
        );
        assert_eq!(
            *table,
            r#"---
independent_variables:
  -
    header: {name: "m"}
    values:
      - {value: 100}
      - {value: "x"}
dependent_variables:
  -
    header: {name: "Observed limit"}
    values:
      - {value: 1.5}
      - {value: "-"}
  -
    header: {name: "Expected limit"}
    values:
      -
        value: 1
        errors:
          - {symerror: 0.25, label: "1 s.d."}
          -
            asymerror: {plus: 1.5, minus: -0.5}
            label: "2 s.d."
      - {value: "-"}
"#
        );
        assert_eq!(
            *all,
            format!(
                r#"---
additional_resources:
  - {{location: "workspace.json", description: "The model", type: "HistFactory"}}
comment: "ws.json: \"main\"\u000a"
---
name: "{}"
description: "Limits"
keywords:
  -
    name: "phrases"
    values: ["upper limit"]
data_file: "limits.yaml"
"#,
                "n".repeat(64)
            )
        );
    }

    #[test]
    fn numbers_are_those_of_yaml() {
        for (x, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (13.0, "13"),
            (-0.25, "-0.25"),
            (1e-7, "1.0e-7"),
            (-1.5e20, "-1.5e+20"),
            (f64::NAN, "\"-\""),
        ] {
            assert_eq!(number(x), text);
        }
    }
}
