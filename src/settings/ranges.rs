//! What values may be, key by key, and how it is said.
//!
//! | rule | who keeps it |
//! |---|---|
//! | `[0, 1)` | a number in the interval, or a list or table of that many entries |
//! | `text or [0, 1)` | a text, or a number in the interval |
//! | `count [1, 4]` | a list of so many entries |
//! | `each [0, 1)` | a list of numbers in the interval |
//! | `rising` | a list of finite numbers, each above the one before |
//! | `distinct` | a list with every entry once |
//! | `name` | a text that is safe as the name of a file or a column |
//!
//! In a key `*` is any name of a table, `[#]` and `#` any place of a list; what stands behind
//! `:` is not named in messages. What is not there is not checked; what depends on more than
//! one key is in the `check` of the tables.

use crate::error::{Context, Error, Kind, Result};
use serde::Serialize;
use std::fmt::{Debug, Display};
use toml::Value;

/// Key, rules, and what is allowed in words: the ends of the interval if there are none. A
/// line that begins with spaces goes on with the words.
const RANGES: &str = "\
experiment.name                        | name
executor.checkpoint_seconds            | [0, 1000000]
executor.stale_seconds                 | [2, 1000000]
executor.poll_seconds                  | [0.1, 1000000]
executor.block                         | [0, 100000]
executor.resubmissions                 | [0, 1000]
data.max_loss                          | [0, 1]         | a share from 0 to 1
data.jets.max                          | [4, 64]        | 4 to 64 jets: X_Wt looks at each pair of them
data.source.path                       | count [1, inf) | at least one path
data.target.path                       | count [1, inf) | at least one path
data.source.scale                      | text or (0, inf)
                                       | a factor above 0, or an expression
data.target.scale                      | text or (0, inf)
                                       | a factor above 0, or an expression
regions                                | [1, 32]        | 1 to 32 regions
features.one_hot.*                     | count [1, inf) & each (-inf, inf) | a list of finite values
model.hidden                           | count [0, 64] & each [1, 16384]
                                       | at most 64 layers of 1 to 16384 units
model.dropout                          | [0, 0.95]
training.epochs                        | [1, 100000]
training.patience                      | [1, inf)       | at least 1
training.retries                       | [0, 100]
training.validation                    | (0, 0.9)       | a fraction above 0 and below 0.9
training.learning_rate                 | (0, 10]        | above 0 and at most 10
training.l2                            | [0, inf)       | 0 or a positive number
training.gradient_clip                 | (0, inf)       | a positive number
training.schedule:decay                | (0, 1]         | decay in (0, 1]
training.optimizer:epsilon             | (0, 1)         | epsilon in (0, 1)
training.optimizer:weight_decay        | [0, 100]       | weight_decay from 0 to 100
ensemble.members                       | [1, 100000]
ensemble.minimum                       | (0, 1]         | a fraction above 0 and at most 1
report.bins                            | [1, 1000]
report.p_value                         | (0, 1)         | above 0 and below 1
report.classifier_members              | [0, 1000]
report.variables[#].name               | name
report.planes[#].name                  | name
report.planes[#].bins                  | [1, 200]
report.planes[#].x_range               | rising         | a lower and a higher finite number
report.planes[#].y_range               | rising         | a lower and a higher finite number
interpolation.plane.x_range            | rising         | a lower and a higher finite number
interpolation.plane.y_range            | rising         | a lower and a higher finite number
interpolation.plane.bins               | [2, 60]
                             | 2 to 60: the Gaussian process inverts a matrix of bins^2 rows
interpolation.plane.holes              | [1, 16]        | 1 to 16 holes
interpolation.variables                | [2, 256]
                             | 2 to 256 variables: a coupling transforms some of them given the others
interpolation.variables[#].name        | name
interpolation.category.values          | count [1, 100] & each (-inf, inf) & distinct
                                       | 1 to 100 different finite values
interpolation.samples                  | [100, 100000000]
interpolation.posterior_draws          | [0, 10000]
interpolation.flow.repeat              | [1, 1000]
interpolation.flow.bins                | [2, 256]       | 2 to 256 bins
interpolation.flow.bound               | (0, 1000]      | above 0 and at most 1000
interpolation.flow.hidden              | [1, 4096]
interpolation.flow.blocks              | [0, 64]
interpolation.flow.dropout             | [0, 0.95]
mixing.sets                            | [3, 1000]
mixing.pairs                           | [1, 1000]
mixing.tags                            | [1, 64]
mixing.caps                            | each [1, 64]   | three numbers from 1 to 64
mixing.pool_minimum                    | [2, 1000000]
mixing.groups                          | [2, 100]
mixing.classifier_members              | [0, 1000]
mixing.uncertainties.*.bins            | count [2, 1001] & rising
                                       | at least two finite edges, increasing
mixing.uncertainties.*.max_order       | [0, 20]
mixing.uncertainties.*.signal.scale    | (0, inf)       | a factor above 0
mixing.uncertainties.*.p_value         | (0, 1)         | above 0 and below 1
mixing.uncertainties.*.f_probability   | (0, 1)         | above 0 and below 1
generate.events                        | [1000, 100000000]
parameters.*.bounds                    | rising         | two finite numbers, the lower one first
samples                                | [2, 1000]      | 2 to 1000 processes
samples.*.scale                        | text or (0, inf)
                                       | a factor above 0, or an expression
samples.*.retraining.keep              | (0, 1]         | a share above 0 and at most 1
samples.*.retraining.at_most           | [0, 100]
samples.*.plane.keep                   | (0, 1]         | a share above 0 and at most 1
samples.*.plane.at_most                | [0, 100]
samples.*.nonclosure.smooth            | [1, 101]
systematics.*.rates.*                  | each (0, inf)
                  | two factors above 0, at -1 and at +1: rates do not turn negative
channels.*.bins                        | count [2, 10001] & rising
                                       | at least two finite edges, increasing
measurement.interest                   | count [1, 2]   | one or two parameters
measurement.interest                   | distinct       | every parameter once
measurement.scan_points                | [3, 2001]
measurement.finite_sample_points       | [1, 101]
measurement.stream_above               | [1, inf)       | at least 1
measurement.histogram.bins             | count [2, 10001] & rising
                                       | at least two finite edges, increasing
measurement.correlations.#.coefficient | (-1, 1)
                                       | a number between -1 and 1, without the ends
measurement.limit.confidence_level     | (0.5, 1)       | a level between 0.5 and 1, such as 0.95
measurement.contours.#.confidence_levels | count [1, 4] & each (0, 1) & rising
                                       | one to four levels between 0 and 1, rising
measurement.contours.#.points          | [5, 501]
measurement.scans.#.range              | rising         | two finite numbers, the lower one first
measurement.scans.#.points             | [3, 2001]
measurement.toys.number                | [1, 10000000]
measurement.toys.precision             | (0, 1)         | an error of CLs, above 0 and below 1
measurement.toys.points                | count [2, 1000] & each (0, inf) & rising
                                       | 2 to 1000 values above 0, rising
toys.number                            | [50, 10000000]
";

/// A key that must be there.
pub(super) fn missing(path: &str, key: &str) -> Error {
    Error::config_at(path, format!("key `{key}` is missing"))
}

/// The value at a path such as `report.variables[0].name`.
pub(super) fn lookup<'a>(whole: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(whole, |value, key| {
        let (key, indices) = key.split_once('[').unwrap_or((key, ""));
        let value = if key.is_empty() {
            value
        } else {
            value.get(key)?
        };
        let mut indices = indices.split('[').filter(|i| !i.is_empty());
        indices.try_fold(value, |value, index| {
            value.get(index.trim_end_matches(']').parse::<usize>().ok()?)
        })
    })
}

/// A value that is not allowed at a key.
pub(super) fn not_allowed(path: &str, found: impl Display, allowed: impl Display) -> Error {
    Error::config_at(path, format!("found {found}; allowed is {allowed}"))
}

/// A value is as it has to be.
pub(super) type Checked = Result<()>;

/// `fine`, or that the value found at a key is not what is allowed there.
pub(super) fn ensure(fine: bool, key: &str, found: impl Debug, allowed: impl Display) -> Checked {
    match fine {
        true => Ok(()),
        false => Err(not_allowed(key, format!("{found:?}"), allowed)),
    }
}

/// A name has to be one of those of a table: `what` and all of them are allowed.
pub(super) fn ensure_known<'a>(
    key: &str,
    name: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> Checked {
    let known: Vec<&String> = known.into_iter().collect();
    let is_known = known.iter().any(|other| *other == name);
    ensure(is_known, key, name, format!("{what}: {known:?}"))
}

/// A text has to be a [name](NAME_WORDS).
pub(super) fn ensure_name(key: &str, name: &str) -> Checked {
    ensure(is_name(name), key, name, NAME_WORDS)
}

const NAME_WORDS: &str = "1 to 64 letters, digits, `-`, `_` and `.`, not starting with `.` or `-`";

/// Names become files and columns: no path leaves the run directory.
fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=64).contains(&name.len()) && !name.starts_with(['.', '-']) && name.chars().all(is_part)
}

/// Checks all that the table says of these settings.
pub(super) fn check_ranges(settings: &impl Serialize) -> Checked {
    let settings = Value::try_from(settings).key(Kind::Config, "top level")?;
    let rows = RANGES.replace("\n ", " ");
    for row in rows.lines() {
        let mut cells = row.split('|').map(str::trim);
        let key = cells.next().unwrap_or_default();
        let named = key.split_once(':').map(|(named, _)| named);
        let key = key.replace('[', ".[").replace(':', ".");
        let rules = cells.next().unwrap_or_default();
        let words = cells.next();
        let keys: Vec<&str> = key.split('.').collect();
        visit(&settings, "", &keys, &|path, value| {
            let fine = rules.split(" & ").all(|rule| holds(rule, value));
            let found = match entries(value) {
                Some(list) if rules.starts_with(['[', '(']) => list.len().to_string(),
                _ => debug(value),
            };
            let allowed = || match (words, rules) {
                (Some(words), _) => words.to_owned(),
                (None, "name") => NAME_WORDS.to_owned(),
                (None, interval) => interval[1..interval.len() - 1].replace(", ", " to "),
            };
            match fine {
                true => Ok(()),
                false => Err(not_allowed(named.unwrap_or(path), found, allowed())),
            }
        })?;
    }
    Ok(())
}

/// Calls for each value at a key of the table, with its path.
fn visit(
    value: &Value,
    path: &str,
    keys: &[&str],
    check: &dyn Fn(&str, &Value) -> Checked,
) -> Checked {
    let Some((key, rest)) = keys.split_first() else {
        return check(path, value);
    };
    let dot = if path.is_empty() || key.starts_with('[') {
        ""
    } else {
        "."
    };
    let below: Vec<(String, &Value)> = match (*key, value) {
        ("*", Value::Table(table)) => table.iter().map(|(k, v)| (k.clone(), v)).collect(),
        ("#" | "[#]", Value::Array(list)) => {
            let place = |(i, value)| (key.replace('#', &format!("{i}")), value);
            list.iter().enumerate().map(place).collect()
        }
        _ => value
            .get(*key)
            .map(|v| (key.to_string(), v))
            .into_iter()
            .collect(),
    };
    for (name, value) in below {
        visit(value, &format!("{path}{dot}{name}"), rest, check)?;
    }
    Ok(())
}

fn holds(rule: &str, value: &Value) -> bool {
    let list = entries(value).unwrap_or_default();
    let numbers = || list.iter().map(|entry| number(entry).unwrap_or(f64::NAN));
    if let Some(interval) = rule.strip_prefix("count ") {
        return entries(value).is_none() || contains(interval, list.len() as f64);
    }
    if let Some(interval) = rule.strip_prefix("text or ") {
        return value.is_str() || number(value).is_some_and(|x| contains(interval, x));
    }
    if let Some(interval) = rule.strip_prefix("each ") {
        return numbers().all(|x| contains(interval, x));
    }
    match rule {
        "name" => value.as_str().is_some_and(is_name),
        "distinct" => (1..list.len()).all(|i| !list[..i].contains(&list[i])),
        "rising" => {
            let next = numbers().skip(1).chain([f64::INFINITY]);
            numbers().zip(next).all(|(x, y)| x.is_finite() && x < y)
        }
        interval => match entries(value) {
            Some(list) => contains(interval, list.len() as f64),
            None => number(value).is_some_and(|x| contains(interval, x)),
        },
    }
}

/// Whether a number lies in an interval such as `(0, 1]`.
fn contains(interval: &str, x: f64) -> bool {
    let ends = interval[1..interval.len() - 1].split_once(", ");
    let ends = ends.and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    ends.is_some_and(|(low, high): (f64, f64)| {
        let is_above = x > low || interval.starts_with('[') && x == low;
        let is_below = x < high || interval.ends_with(']') && x == high;
        is_above && is_below
    })
}

fn number(value: &Value) -> Option<f64> {
    let whole = value.as_integer().map(|n| n as f64);
    value.as_float().or(whole)
}

/// What is in a list or a table.
fn entries(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(list) => Some(list.iter().collect()),
        Value::Table(table) => Some(table.values().collect()),
        _ => None,
    }
}

/// A value as `{:?}` writes it.
fn debug(value: &Value) -> String {
    match value {
        Value::Float(x) => format!("{x:?}"),
        Value::String(text) => format!("{text:?}"),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(debug).collect();
            format!("[{}]", list.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Whether a line of the reference has a key, or is the header of its table.
    fn has(line: &str, key: &str) -> bool {
        let line = line.trim_start_matches('#');
        let inside = line.contains(&format!("{key} ="));
        inside || line.starts_with(&format!("[{key}.")) || line.contains(&format!(".{key}]]"))
    }

    #[test]
    fn the_reference_says_the_upper_end_of_every_range() {
        let lines: Vec<&str> = include_str!("../../configs/reference.toml")
            .lines()
            .collect();
        let mut ends = 0;
        for range in RANGES.lines().filter(|line| !line.starts_with(' ')) {
            let mut cells = range.split('|').map(str::trim);
            let (path, rules) = (cells.next().unwrap(), cells.next().unwrap());
            let mut parts = path.rsplit(['.', ':']);
            let key = parts.find(|part| !["*", "#"].contains(part)).unwrap();
            let places = (0..lines.len()).filter(|place| has(lines[*place], key));
            let said: Vec<&str> = places
                .flat_map(|place| {
                    let more = lines[place + 1..].iter();
                    let more = more.take_while(|line| line.starts_with("   "));
                    lines[place..=place].iter().chain(more)
                })
                .flat_map(|line| line.split(|c: char| !c.is_ascii_digit() && c != '.'))
                .map(|word| word.trim_end_matches('.'))
                .collect();
            let intervals = rules.split(['[', '(']).skip(1);
            let intervals = intervals.map(|rest| rest.split([']', ')']).next().unwrap());
            for end in intervals.filter_map(|inside| Some(inside.split_once(',')?.1.trim())) {
                if end != "inf" {
                    assert!(said.contains(&end), "{path}: {end} is not in the reference");
                    ends += 1;
                }
            }
        }
        assert!(ends > 40, "{ends}");
    }
}
