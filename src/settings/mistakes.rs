//! What is wrong with a table that is no configuration, in the words of the file.
//!
//! The reader says where it stopped. What is wrong there follows from the value and from the
//! schema of what is read, so that no message depends on how the reader words its own.

use super::matrix::Misfit;
use super::ranges::{lookup, missing, not_allowed};
use crate::error::Error;
use schemars::JsonSchema;
use serde_json::Value as Schema;
use sideband_numerics::expression::nearest;
use toml::{Table, Value};

/// The mistake of a `T` that the reader met at a path. `words`: the reader's own, said only of
/// a choice between kinds, whose type states them (`expecting`).
pub(super) fn explain<T: JsonSchema>(whole: &Value, path: &str, words: &str) -> Misfit {
    let schema = schemars::schema_for!(T).to_value();
    let at = if path == "." { "" } else { path };
    let search = Search {
        schema: &schema,
        at,
    };
    search.mistake(&schema, whole, "").unwrap_or_else(|| {
        let error = match lookup(whole, at) {
            Some(value) => not_allowed(place(at), describe(value), words),
            None => Error::config_at(place(at), words),
        };
        (at.to_owned(), error)
    })
}

/// A list in the place of a table of a `T`: the reader would take what is in it for the
/// table's values, in the order in which their keys are declared.
pub(super) fn list_for_table<T: JsonSchema>(whole: &Value) -> Option<Misfit> {
    let schema = schemars::schema_for!(T).to_value();
    let search = Search {
        schema: &schema,
        at: "",
    };
    search.list_for_table(&schema, whole, "")
}

fn place(path: &str) -> &str {
    if path.is_empty() { "top level" } else { path }
}

/// The search for the first mistake on the way to a path or below it. The reader's path ends
/// at a table whose keys depend on one of them.
struct Search<'a> {
    schema: &'a Schema,
    at: &'a str,
}

impl Search<'_> {
    fn is_near(&self, path: &str) -> bool {
        self.at.starts_with(path) || path.starts_with(self.at)
    }

    /// What a node refers to, or is if it is there at all.
    fn resolved<'a>(&'a self, node: &'a Schema) -> &'a Schema {
        let name = node["$ref"].as_str().unwrap_or_default();
        if let Some(inner) = self.schema.pointer(name.trim_start_matches('#'))
            && !name.is_empty()
        {
            return self.resolved(inner);
        }
        match node["anyOf"].as_array().map(Vec::as_slice) {
            Some([inner, other]) if other["type"] == "null" => self.resolved(inner),
            _ => node,
        }
    }

    fn list_for_table(&self, node: &Schema, value: &Value, path: &str) -> Option<Misfit> {
        let node = self.resolved(node);
        match value {
            Value::Array(_) if is_table(node) => {
                let error = not_allowed(place(path), describe(value), "a table");
                Some((path.to_owned(), error))
            }
            Value::Array(list) => {
                let below = |(i, value): (usize, &Value)| {
                    self.list_for_table(&node["items"], value, &format!("{path}[{i}]"))
                };
                list.iter().enumerate().find_map(below)
            }
            Value::Table(table) => table.iter().find_map(|(key, value)| {
                let inner = node["properties"].get(key);
                let inner = inner.unwrap_or(&node["additionalProperties"]);
                self.list_for_table(inner, value, &below(path, key))
            }),
            _ => None,
        }
    }

    fn mistake(&self, node: &Schema, value: &Value, path: &str) -> Option<Misfit> {
        if !self.is_near(path) {
            return None;
        }
        let node = self.resolved(node);
        let words = words(node);
        if !words.is_empty() {
            return unknown_word(&words, value, path);
        }
        if let (Some(variants), Value::Table(table)) = (node["oneOf"].as_array(), value) {
            return self.in_variant(variants, table, path);
        }
        let first = node["oneOf"].get(0).unwrap_or(node);
        let kind = first["type"].get(0).unwrap_or(&first["type"]);
        let (fits, allowed) = match (kind.as_str()?, value) {
            ("object", Value::Table(table)) => return self.in_table(node, table, path),
            ("object", _) => (false, "a table".to_owned()),
            ("array", _) => {
                let below = |(i, value): (usize, &Value)| {
                    self.mistake(&node["items"], value, &format!("{path}[{i}]"))
                };
                let list = value.as_array().map(Vec::as_slice);
                let inside = list.unwrap_or_default().iter().enumerate().find_map(below);
                if inside.is_some() {
                    return inside;
                }
                let length = node["minItems"].as_u64();
                let fits = list.is_some_and(|list| length.is_none_or(|n| n == list.len() as u64));
                let words = |n| format!("a list of {n} values");
                (fits, length.map_or_else(|| "a list".to_owned(), words))
            }
            ("string", _) => (value.is_str(), "a string".to_owned()),
            ("boolean", _) => (value.is_bool(), "a boolean".to_owned()),
            ("number", _) => {
                let fits = value.is_float() || value.is_integer();
                (fits, "a number".to_owned())
            }
            _ => {
                let (most, allowed) = match node["format"].as_str() {
                    Some("uint32") => {
                        let most = u32::MAX;
                        (most.into(), format!("a whole number from 0 to {most}"))
                    }
                    _ => (i64::MAX, "a whole number that is not negative".to_owned()),
                };
                let fits = value.as_integer().is_some_and(|n| (0..=most).contains(&n));
                (fits, allowed)
            }
        };
        (!fits).then(|| {
            let error = not_allowed(place(path), describe(value), allowed);
            (path.to_owned(), error)
        })
    }

    fn in_table(&self, node: &Schema, table: &Table, path: &str) -> Option<Misfit> {
        let others = &node["additionalProperties"];
        let below = |(key, value): (&String, &Value)| {
            let below = below(path, key);
            match node["properties"].get(key) {
                Some(inner) => self.mistake(inner, value, &below),
                None if *others != Schema::Bool(false) => self.mistake(others, value, &below),
                None => self
                    .is_near(&below)
                    .then(|| unknown_key(node, key, path, below)),
            }
        };
        let required = node["required"].as_array().into_iter().flatten();
        let mut required = required.filter_map(Schema::as_str);
        table.iter().find_map(below).or_else(|| {
            let key = required.find(|key| !table.contains_key(*key))?;
            // not of a table that the reader has left behind
            let is_read = path.starts_with(self.at);
            is_read.then(|| (path.to_owned(), missing(place(path), key)))
        })
    }

    /// The same of a table whose keys depend on the word at one of them.
    fn in_variant(&self, variants: &[Schema], table: &Table, path: &str) -> Option<Misfit> {
        let properties = variants.first()?["properties"].as_object()?;
        let (tag, _) = properties.iter().find(|(_, node)| is_tag(node))?;
        let Some(word) = table.get(tag) else {
            return Some((path.to_owned(), missing(place(path), tag)));
        };
        let tags = variants.iter().map(|v| &v["properties"][tag]["const"]);
        let tags: Vec<&str> = tags.filter_map(Schema::as_str).collect();
        let number = tags.iter().position(|tag| word.as_str() == Some(*tag));
        match number {
            Some(number) => self.in_table(&variants[number], table, path),
            None => unknown_word(&tags, word, &format!("{path}.{tag}")),
        }
    }
}

/// The path of a key.
fn below(path: &str, key: &str) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    format!("{path}{dot}{key}")
}

/// Whether it is a table, of one kind or of several.
fn is_table(node: &Schema) -> bool {
    let node = node["oneOf"].get(0).unwrap_or(node);
    node["type"].get(0).unwrap_or(&node["type"]) == "object"
}

/// Whether a key tells the kind of its table.
fn is_tag(node: &Schema) -> bool {
    node.get("const").is_some()
}

/// The words of an enumeration; none of anything else.
fn words(node: &Schema) -> Vec<&str> {
    let variants = node["oneOf"].as_array().into_iter().flatten();
    let words = variants.chain([node]).flat_map(|one| {
        let list = one["enum"].as_array().into_iter().flatten();
        list.chain(one.get("const"))
    });
    words.filter_map(Schema::as_str).collect()
}

fn unknown_key(node: &Schema, key: &str, path: &str, below: String) -> Misfit {
    let properties = node["properties"].as_object().into_iter().flatten();
    let allowed = properties.filter(|(_, node)| !is_tag(node));
    let allowed: Vec<&str> = allowed.map(|(key, _)| key.as_str()).collect();
    let near = nearest(key, allowed.iter().copied());
    let near = near.map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
    let allowed = allowed.join("`, `");
    let reason = format!("unknown key `{key}`{near}; allowed are `{allowed}`");
    (below, Error::config_at(place(path), reason))
}

fn unknown_word(words: &[&str], value: &Value, path: &str) -> Option<Misfit> {
    let text = value.as_str();
    if text.is_some_and(|text| words.contains(&text)) {
        return None;
    }
    let quoted = |word: &str| format!("\"{word}\"");
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    let found = text.map_or_else(|| describe(value), quoted);
    let near = text.and_then(|_| nearest(&found, words.iter().map(String::as_str)));
    let near = near.map_or_else(String::new, |n| format!(" (did you mean {n}?)"));
    let allowed = format!("one of {}{near}", words.join(", "));
    Some((path.to_owned(), not_allowed(path, found, allowed)))
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

#[cfg(test)]
mod tests {
    use super::super::parse::set;
    use super::super::parse::tests::{SMALL, parse};
    use super::super::raw::Config;
    use super::*;
    use std::collections::BTreeSet;

    /// Settings, each with what is said of it; `...` stands for the rest.
    const MISTAKES: &str = r#"
trainig.l2=1.0 -> `top level`: unknown key `trainig`, did you mean `training`?; allowed are `exp...
training.bacth=3 -> `training`: unknown key `bacth`, did you mean `batch`?; allowed are `region`, ...
data.target.qq=3 -> `data.target`: unknown key `qq`; allowed are `path`, `selection`, `weight`, `scale`, `id`, ...
training.optimizer={kind='adam', betta1=0.5} -> `training.optimizer`: unknown key `betta1`, did you mean `beta1`?; allowed are `beta1`, `beta2`, `epsilon`
experiment={name='x'} -> `experiment`: key `method` is missing
report.planes=[{name='x'}] -> `report.planes[0]`: key `x` is missing
training.schedule={decay=0.5} -> `training.schedule`: key `kind` is missing
training.schedule={kind='cosine'} -> `training.schedule`: key `epochs` is missing
model.activation='rellu' -> `model.activation`: found "rellu"; allowed is one of "relu", "leaky_relu", "silu", "gelu", "tanh"... (did you mean "relu"?)
device.kernels='`x`' -> `device.kernels`: found "`x`"; allowed is one of "fused", "plain"
training.schedule={kind='steps'} -> `training.schedule.kind`: found "steps"; allowed is one of "constant", "exponential", "cosine", "plateau"
ensemble.combine=3 -> `ensemble.combine`: found 3; allowed is one of "mean", "median"
model=3 -> `model`: found 3; allowed is a table
training.optimizer='adam' -> `training.optimizer`: found the text "adam"; allowed is a table
features.inputs='x' -> `features.inputs`: found the text "x"; allowed is a list
features.inputs=['x', 2] -> `features.inputs[1]`: found 2; allowed is a string
features.labels={x=2} -> `features.labels.x`: found 2; allowed is a string
experiment.name=[1, 2] -> `experiment.name`: found [1, 2]; allowed is a string
training.l2={} -> `training.l2`: found a table; allowed is a number
training.schedule={kind='exponential', decay='x'} -> `training.schedule.decay`: found the text "x"; allowed is a number
model.batch_norm=1 -> `model.batch_norm`: found 1; allowed is a boolean
training.batch=1.5 -> `training.batch`: found 1.5; allowed is a whole number that is not negative
experiment.seed=-1 -> `experiment.seed`: found -1; allowed is a whole number that is not negative
ensemble.members=4294967296 -> `ensemble.members`: found 4294967296; allowed is a whole number from 0 to 4294967295
ensemble.members=0 -> `ensemble.members`: found 0; allowed is 1 to 100000
report.planes=[{name='m', x='a', y='b', x_range=[1], y_range=[1, 2]}] -> `report.planes[0].x_range`: found [1]; allowed is a list of 2 values
"#;

    #[test]
    fn every_kind_of_mistake_is_told_without_the_readers_words() {
        for line in MISTAKES.trim().lines() {
            let (setting, expected) = line.split_once(" -> ").unwrap();
            let message = parse(SMALL, &[setting]).unwrap_err().to_string();
            let (start, end) = expected.split_once("...").unwrap_or((expected, ""));
            assert!(message.starts_with(start), "{line}\n{message}");
            assert!(message.ends_with(end), "{line}\n{message}");
            assert!(
                line.contains("...") || message == expected,
                "{line}\n{message}"
            );
            let mut whole: Table = SMALL.parse().unwrap();
            set(&mut whole, setting, &mut BTreeSet::new()).unwrap();
            let whole = Value::Table(whole);
            if let Err(error) = serde_path_to_error::deserialize::<_, Config>(whole.clone()) {
                let at = error.path().to_string();
                let (_, again) = explain::<Config>(&whole, &at, "other words");
                assert_eq!(again.to_string(), message);
            }
        }
    }

    /// The reader would take them for the values of the table in the order of its keys.
    #[test]
    fn a_list_is_no_table() {
        for (setting, path) in [
            ("report=['title']", "report"),
            ("device=[]", "device"),
            ("training=['cr']", "training"),
            ("model=[[8]]", "model"),
            ("regions={cr=['1']}", "regions.cr"),
            ("regions=[]", "regions"),
            ("data.source=['x.parquet']", "data.source"),
            (
                "report.planes=[['p', 'x', 'y', [0, 1], [0, 1]]]",
                "report.planes[0]",
            ),
            ("training.schedule=['constant']", "training.schedule"),
            ("training.optimizer=[]", "training.optimizer"),
            ("executor.slurm=[]", "executor.slurm"),
        ] {
            let message = parse(SMALL, &[setting]).unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("`{path}`: found [")),
                "{message}"
            );
            assert!(message.ends_with("]; allowed is a table"), "{message}");
        }
    }

    /// A choice between kinds says in its type what they are.
    #[test]
    fn a_choice_between_kinds_says_its_own_words() {
        for (setting, words) in [
            (
                "data.source.path=3",
                "3; allowed is a text or a list of texts",
            ),
            (
                "report.variables=[{name='m', bins=true}]",
                "true; allowed is a list of increasing edges or a number of bins",
            ),
            (
                "matrix.year=[[1]]",
                "[1]; allowed is a number, a text, true or false, or a table with a `name` and \
                 such values or lists of them",
            ),
            (
                "executor.slurm.time=true",
                "true; allowed is minutes, or a text such as \"12:00:00\"",
            ),
        ] {
            let message = parse(SMALL, &[setting]).unwrap_err().to_string();
            let found = message.split_once(": found ").map(|(_, found)| found);
            assert_eq!(found, Some(words), "{message}");
        }
    }

    fn paths(value: &Value, path: &str) -> Vec<String> {
        let below = |(key, value): (&String, &Value)| {
            let below = format!("{path}{key}");
            let mut all = paths(value, &format!("{below}."));
            all.push(below);
            all
        };
        value
            .as_table()
            .into_iter()
            .flatten()
            .flat_map(below)
            .collect()
    }

    #[test]
    fn a_value_of_another_kind_is_told_at_every_key() {
        let config = Value::try_from(parse(SMALL, &[]).unwrap()).unwrap();
        let text = toml::to_string(&config).unwrap();
        let all = paths(&config, "");
        assert!(all.len() > 70, "{}", all.len());
        for path in all {
            let other = if lookup(&config, &path).unwrap().is_bool() {
                "1"
            } else {
                "true"
            };
            let error = parse(&text, &[&format!("{path}={other}")])
                .unwrap_err()
                .to_string();
            let start = format!("`{path}`: found {other}; allowed is ");
            let allowed = error
                .strip_prefix(&start)
                .unwrap_or_else(|| panic!("{path}: {error}"));
            assert!(
                allowed.starts_with("a ") || allowed.starts_with("one of \""),
                "{error}"
            );
        }
    }
}
