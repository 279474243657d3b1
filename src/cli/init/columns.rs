//! What the columns are for.

use super::labels;
use super::look::{GENERATOR_WEIGHT, Look, is_complete, is_integer, range};
use super::words::{filled, quoted};
use crate::events::ColumnSummary;
use indexmap::IndexMap;
use sideband_numerics::expression::written;
use std::borrow::Cow;

/// Names of columns that name an event, within a run and on their own.
const WITHIN: [&str; 6] = [
    "run",
    "runnumber",
    "run_number",
    "lumi",
    "luminosityblock",
    "lumi_block",
];
const EVENTS: [&str; 7] = [
    "event",
    "evt",
    "eventnumber",
    "event_number",
    "event_id",
    "eventid",
    "id",
];
/// Names of columns that say when events were recorded or how they are counted.
const PERIODS: [&str; 5] = ["year", "era", "period", "entry", "bunchcrossing"];
/// Largest value over mean from which on a positive column is an input by its logarithm.
const LONG_TAIL: f64 = 20.0;
/// Spacing of `f32` over a column's range from which on it is too coarse.
const COARSE: f64 = 1e-5;
/// Inputs that have a line each, at most.
const LINES: usize = 20;

/// What the columns are for.
#[derive(Default)]
pub(super) struct Found {
    pub(super) weight: Option<String>,
    pub(super) id: Vec<String>,
    /// Expressions.
    pub(super) inputs: Vec<String>,
    /// What inputs are called in figures, where it is known.
    pub(super) labels: Vec<(String, String)>,
    /// Columns that are no inputs, by the reason.
    pub(super) left: IndexMap<Cow<'static, str>, Vec<String>>,
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name.to_lowercase().as_str())
}

fn is_weight(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_short = ["w", "wgt", "weights"].contains(&name.as_str());
    is_short || name.ends_with("weight") || name.starts_with("weight_") || name.ends_with("_wgt")
}

impl Found {
    pub(super) fn of(looks: &[Look], class: Option<(&str, f64)>) -> Self {
        let mut found = Self::default();
        let is_generated = looks.iter().any(|look| look.is_generated);
        let names = looks[0].dataset.columns().iter().map(|column| &column.name);
        for name in names.filter(|name| !is_generated || *name != GENERATOR_WEIGHT) {
            if let Some(why) = looks.iter().find_map(|look| look.misfit(name)) {
                found.leave(name, why);
                continue;
            }
            let columns: Option<Vec<_>> = looks.iter().map(|look| look.column(name)).collect();
            let Some(columns) = columns else {
                found.leave(name, "is in one of the samples alone");
                continue;
            };
            if class.is_some_and(|(class, _)| class == name.as_str()) {
                continue;
            }
            found.sort(name, &columns);
        }
        // a run without an event names none
        if !found.id.iter().any(|name| is_one_of(name, &EVENTS)) {
            for name in std::mem::take(&mut found.id) {
                found.leave(&name, "names no event by itself");
            }
        }
        found
    }

    /// Gives a column, as it is in each of the samples, its use.
    fn sort(&mut self, name: &str, columns: &[&ColumnSummary]) {
        if columns.iter().any(|column| column.lengths.is_some()) {
            return self.leave(
                name,
                "is a list, of which an element, a sum or a length could be one",
            );
        }
        let is_complete = columns.iter().all(|column| is_complete(column));
        let is_flag = columns[0].type_name == "Boolean";
        let is_id = is_one_of(name, &EVENTS) || is_one_of(name, &WITHIN);
        if is_weight(name) && is_complete && !is_flag {
            return match &self.weight {
                None => self.weight = Some(written(name)),
                Some(_) => self.leave(name, "is perhaps another weight"),
            };
        }
        if is_id && is_complete && columns.iter().all(|column| is_integer(column)) {
            return self.id.push(name.to_owned());
        }
        let ranges: Option<Vec<[f64; 2]>> = columns.iter().map(|column| range(column)).collect();
        let Some(ranges) = ranges else {
            return self.leave(name, "has no number");
        };
        let low = ranges.iter().map(|r| r[0]).fold(f64::INFINITY, f64::min);
        let high = ranges
            .iter()
            .map(|r| r[1])
            .fold(f64::NEG_INFINITY, f64::max);
        let largest = low.abs().max(high.abs());
        let means: Vec<f64> = columns.iter().filter_map(|column| column.mean).collect();
        let is_apart = |two: &[[f64; 2]]| two[0][1] < two[1][0] || two[1][1] < two[0][0];
        let tells = ranges.windows(2).any(is_apart) || ranges.iter().any(|r| r[0] == r[1]);
        if !is_complete {
            self.leave(name, "has rows without a number");
        } else if low == high {
            self.leave(name, "is the same everywhere");
        } else if tells {
            self.leave(
                name,
                "tells the samples apart by itself, so that no ratio exists in it",
            );
        } else if is_flag {
            self.leave(name, "is a flag");
        } else if is_id || is_one_of(name, &PERIODS) {
            self.leave(name, "is no observable");
        } else if largest * f64::from(f32::EPSILON) > COARSE * (high - low) {
            self.leave(name, "has more digits than a network reads");
        } else {
            let is_long = high > LONG_TAIL * means.iter().copied().fold(0.0, f64::max);
            self.take(name, low > 0.0 && is_long, &means, low);
        }
    }

    /// Makes a column an input, or its logarithm.
    fn take(&mut self, name: &str, is_log: bool, means: &[f64], low: f64) {
        let input = match is_log {
            true => format!("log({})", written(name)),
            false => written(name),
        };
        let label = labels::label(name, is_log, means, low);
        // a label that two have tells neither from the other
        let is_free = |label: &String| self.labels.iter().all(|(_, other)| other != label);
        if let Some(label) = label.filter(is_free) {
            self.labels.push((input.clone(), label));
        }
        self.inputs.push(input);
    }

    fn leave(&mut self, name: &str, why: impl Into<Cow<'static, str>>) {
        let names = self.left.entry(why.into()).or_default();
        names.push(name.to_owned());
    }

    /// The lines of the inputs: one each, or where they are many as many as fit.
    pub(super) fn input_lines(&self) -> Vec<String> {
        let inputs = self.inputs.iter().map(|input| quoted(input) + ",");
        match self.inputs.len() {
            ..=LINES => inputs.map(|input| format!("    {input}")).collect(),
            _ => filled("    ", "    ", inputs),
        }
    }
}
