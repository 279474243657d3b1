//! What is fitted is what is predicted: every event and every bin of the box lies in
//! a hole or in the training region, and every predicted event in a listed category.
//!
//! The Gaussian process takes a bin without events for an empty one, and the samples
//! are scaled to the events of the training region. Events that a selection leaves
//! out of both would be predicted as if there were none of their kind.

use super::super::events::{Sample, count};
use super::super::plan::blind_overlap;
use super::plan::{category, holes_text, in_box, predicted_part, wrong};
use crate::error::{Error, Result};
use crate::events::{ColumnChunk, ColumnInfo, Compiled, Resolver};
use crate::settings::{Config, InterpolationConfig};
use sideband_processes::{PlaneGrid, Rectangle};
use std::collections::BTreeMap;
use std::path::Path;

/// Where a bin is tried, as parts of its width.
const TRIED: [f64; 5] = [1e-6, 0.25, 0.5, 0.75, 1.0 - 1e-6];
/// Definitions that are opened to find the terms of a selection.
const DEPTH: usize = 32;

/// Whether predicted regions keep to what is predicted and to the listed
/// categories, and blind ones out of the training region; events are counted and
/// not read, so that it holds for blind regions too.
///
/// # Errors
/// With the number of events; of blind ones it is not said how many.
pub(super) fn check_regions(
    config: &Config,
    interpolation: &InterpolationConfig,
    base: &Path,
) -> Result<()> {
    let target = &config.data.target;
    let training = &config.regions[&config.training.region];
    for (name, region) in config.regions.iter().filter(|(_, r)| r.blind) {
        let both = [region.selection.as_str(), &training.selection];
        let events = count(config, target, base, &both)?;
        if events > 0 {
            let training = &config.training.region;
            return Err(blind_overlap(name, training, "target events"));
        }
    }
    let outside = format!("!({})", predicted_part(interpolation));
    let other = listed(interpolation).map(|text| format!("!({text})"));
    for name in interpolation.predicted(config) {
        let selection = config.regions[name].selection.as_str();
        // one pass where all is well
        let either = match &other {
            Some(other) => format!("({outside}) || ({other})"),
            None => outside.clone(),
        };
        if count(config, target, base, &[selection, &either])? == 0 {
            continue;
        }
        let events = count(config, target, base, &[selection, &outside])?;
        if events > 0 {
            let reason = format!(
                "{}events of region {name} lie outside the predicted part of the plane; \
                 shrink the region, leave it out, or set interpolation.predict = \"box\"",
                number(config, name, events)
            );
            return Err(wrong("regions", reason));
        }
        let Some(other) = &other else { continue };
        let events = count(config, target, base, &[selection, other])?;
        if events > 0 {
            let events = number(config, name, events);
            return Err(wrong("category.values", unlisted("region", name, &events)));
        }
    }
    Ok(())
}

/// How many events of a region, with a space behind it; nothing of a blind one.
fn number(config: &Config, region: &str, events: u64) -> String {
    match config.regions[region].blind {
        true => String::new(),
        false => format!("{events} "),
    }
}

/// What to say of events whose category is not listed: how many, with a space behind it.
pub(super) fn unlisted(what: &str, name: &str, events: &str) -> String {
    format!("{events}events of {what} {name} have another category; list its value or exclude them")
}

/// Whether an event's category is listed, as an expression; none without categories.
fn listed(interpolation: &InterpolationConfig) -> Option<String> {
    let category = interpolation.category.as_ref()?;
    let each = |value: &f64| format!("({}) == {value:?}", category.column);
    let each: Vec<String> = category.values.iter().map(each).collect();
    Some(each.join(" || "))
}

/// Whether every event of the box with a listed category lies in a hole or in the
/// training region; `in_hole` and `in_box` are numbers of flags.
///
/// # Errors
/// With the number of events of each category; of blind ones it is not said how many.
pub(super) fn check_events(
    config: &Config,
    interpolation: &InterpolationConfig,
    base: &Path,
    target: &Sample,
    [region, box_flag, hole_flag]: [usize; 3],
) -> Result<()> {
    let training = &config.training.region;
    let mut left = vec![0u64; interpolation.categories().len()];
    for (row, flags) in target.table.flags.iter().enumerate() {
        let has = |flag: usize| flags >> flag & 1 == 1;
        if has(box_flag)
            && !has(hole_flag)
            && !has(region)
            && let Some(k) = category(interpolation, target, row)
        {
            left[k] += 1;
        }
    }
    let total: u64 = left.iter().sum();
    if total > 0 {
        let each = match &interpolation.category {
            None => String::new(),
            Some(category) => {
                let each = category.values.iter().zip(&left);
                let each: Vec<String> = each
                    .filter(|(_, n)| **n > 0)
                    .map(|(value, n)| format!("{} = {value}: {n}", category.column))
                    .collect();
                format!(" ({})", each.join(", "))
            }
        };
        return Err(wrong_region(training, &format!("{total} events{each}")));
    }
    let open = format!(
        "({}) && !({})",
        in_box(interpolation),
        holes_text(interpolation)
    );
    let not_trained = format!("!({})", config.regions[training].selection);
    let listed = listed(interpolation).unwrap_or_else(|| "1".to_owned());
    for (name, blind) in config.regions.iter().filter(|(_, r)| r.blind) {
        let texts = [open.as_str(), &not_trained, &listed, &blind.selection];
        if count(config, &config.data.target, base, &texts)? > 0 {
            return Err(wrong_region(
                training,
                &format!("events of the blind region {name}"),
            ));
        }
    }
    Ok(())
}

fn wrong_region(training: &str, what: &str) -> Error {
    let reason = format!(
        "{what} lie in the box, in no hole and not in the training region `{training}`: the \
         Gaussian process would take them for bins without events. Cut a hole there, add them to \
         the selection, or narrow the box; cuts that all regions have in common belong into \
         data.target.selection"
    );
    Error::config_at("training.region", reason)
}

/// Whether every bin, but for what of it lies in a hole, is wholly part of the training
/// region, as far as the selections depend on the plane and the category alone. Bins
/// that touch a hole are not fitted, but samples in the rest of them are scaled to the
/// training region's events.
pub(super) fn check_bins(
    config: &Config,
    interpolation: &InterpolationConfig,
    grid: &PlaneGrid,
) -> Result<()> {
    let names = names(interpolation);
    let data = |e: Error| e.at_key("training.region");
    let columns: Vec<ColumnInfo> = names.iter().map(|name| column(name)).collect();
    let mut definitions = BTreeMap::from_iter(config.data.define.clone());
    definitions.retain(|name, _| !names.contains(name));
    let resolver = Resolver::new(&columns, &definitions).map_err(data)?;
    let training = &config.training.region;
    let selections = [
        Some(config.regions[training].selection.as_str()),
        config.data.target.selection.as_deref(),
    ];
    let terms: Vec<Compiled> = selections
        .into_iter()
        .flatten()
        .flat_map(|text| terms(text, &definitions, DEPTH))
        // what needs other columns is no matter of the plane
        .filter_map(|term| resolver.compile(&term).ok())
        .collect();
    let points = Points::new(interpolation, grid);
    for value in interpolation.categories() {
        let missing = points.uncovered(&terms, &names, *value).map_err(data)?;
        let Some(first) = missing.first() else {
            continue;
        };
        let count = missing.len();
        let Rectangle { m1, m2 } = grid.rectangle(*first);
        let of = interpolation
            .category
            .as_ref()
            .map_or_else(String::new, |c| format!(" of {} = {value}", c.column));
        let plane = &interpolation.plane;
        let what = format!(
            "{count} of {} bins{of} (the first: {} {} to {}, {} {} to {})",
            grid.bins(),
            plane.x,
            m1[0],
            m1[1],
            plane.y,
            m2[0],
            m2[1],
        );
        let reason = format!(
            "{what} are not wholly in the holes and the training region `{training}`: what is \
             missing would be taken for empty. Cut a hole there, add it to the selection, or \
             narrow the box"
        );
        return Err(Error::config_at("training.region", reason));
    }
    Ok(())
}

/// Names of the columns that a point of the plane has.
fn names(interpolation: &InterpolationConfig) -> Vec<String> {
    let plane = &interpolation.plane;
    let mut names = vec![plane.x.clone(), plane.y.clone()];
    names.extend(interpolation.category.as_ref().map(|c| c.column.clone()));
    names
}

fn column(name: &str) -> ColumnInfo {
    ColumnInfo {
        name: name.to_owned(),
        type_name: "Float64".to_owned(),
        numeric: true,
    }
}

/// Points all over the bins that lie in no hole.
struct Points {
    axes: [Vec<f64>; 2],
    bins: Vec<usize>,
}

impl Points {
    fn new(interpolation: &InterpolationConfig, grid: &PlaneGrid) -> Self {
        let mut points = Self {
            axes: Default::default(),
            bins: Vec::new(),
        };
        let at = |[low, high]: [f64; 2], part: f64| low + part * (high - low);
        // nearer to a border than this is no matter of selections
        let around = |[low, high]: [f64; 2], x: f64| {
            let margin = 1e-7 * (high - low);
            [x - margin, x + margin]
        };
        for bin in 0..grid.bins() {
            let Rectangle { m1, m2 } = grid.rectangle(bin);
            for (a, b) in TRIED.iter().flat_map(|a| TRIED.map(|b| (*a, b))) {
                let (x, y) = (at(m1, a), at(m2, b));
                let near = Rectangle {
                    m1: around(m1, x),
                    m2: around(m2, y),
                };
                let mut holes = interpolation.plane.holes.iter();
                if holes.any(|hole| hole.overlaps(&near)) {
                    continue;
                }
                points.axes[0].push(x);
                points.axes[1].push(y);
                points.bins.push(bin);
            }
        }
        points
    }

    /// Bins with a point where one of the terms does not hold, for one category.
    fn uncovered(&self, terms: &[Compiled], names: &[String], category: f64) -> Result<Vec<usize>> {
        let rows = self.bins.len();
        let mut chunk = ColumnChunk::new(rows);
        for (name, values) in names.iter().zip(&self.axes) {
            chunk.insert(name.clone(), values.clone())?;
        }
        if let Some(name) = names.get(2) {
            chunk.insert(name.clone(), vec![category; rows])?;
        }
        let mut missing = Vec::new();
        for term in terms {
            let holds = term.eval_chunk(&chunk)?;
            let pairs = self.bins.iter().zip(holds.iter());
            let fails = pairs.filter(|(_, holds)| **holds == 0.0 || holds.is_nan());
            missing.extend(fails.map(|(bin, _)| *bin));
        }
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }
}

/// The terms of a selection that must all hold, definitions opened.
fn terms(text: &str, definitions: &BTreeMap<String, String>, depth: usize) -> Vec<String> {
    let text = unwrapped(text);
    if depth > 0 {
        if let Some(inner) = definitions.get(text) {
            return terms(inner, definitions, depth - 1);
        }
        let parts = split(text);
        if parts.len() > 1 {
            let of = |part: &&str| terms(part, definitions, depth - 1);
            return parts.iter().flat_map(of).collect();
        }
    }
    vec![text.to_owned()]
}

/// Without the parentheses about all of it.
fn unwrapped(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else {
        return text;
    };
    let mut depth = 0i64;
    for c in inner.chars() {
        depth += i64::from(c == '(') - i64::from(c == ')');
        if depth < 0 {
            return text;
        }
    }
    unwrapped(inner)
}

/// The parts between `&&` outside all parentheses; all of it if an `||` is there.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0i64, 0);
    let mut parts = Vec::new();
    let bytes = text.as_bytes();
    for (i, pair) in bytes.windows(2).enumerate() {
        match pair[0] {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth > 0 => {}
            _ if pair == b"||" => return vec![text],
            _ if pair == b"&&" => {
                parts.push(&text[start..i]);
                start = i + 2;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_fall_into_their_terms() {
        let definitions = BTreeMap::from([
            ("ring".to_owned(), "far && (a > 1)".to_owned()),
            ("far".to_owned(), "a + b > 2 || c".to_owned()),
        ]);
        for (text, expected) in [
            ("a > 1", vec!["a > 1"]),
            ("a > 1 && b < 2", vec!["a > 1", "b < 2"]),
            ("(a && b) && (c || d)", vec!["a", "b", "c || d"]),
            ("a && b || c", vec!["a && b || c"]),
            ("(a) && (b)", vec!["a", "b"]),
            ("!(a && b)", vec!["!(a && b)"]),
            ("ring && x", vec!["a + b > 2 || c", "a > 1", "x"]),
        ] {
            assert_eq!(terms(text, &definitions, DEPTH), expected, "{text}");
        }
    }
}
