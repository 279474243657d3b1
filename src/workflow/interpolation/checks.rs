//! Whether an interpolation and its events go together.
//!
//! What is fitted is what is predicted: every event and every bin of the box lies in
//! a hole or in the training region, and every predicted event in a listed category.
//! The Gaussian process takes a bin without events for an empty one, and the samples
//! are scaled to the events of the training region. Events that a selection leaves
//! out of both would be predicted as if there were none of their kind.

use super::plane::{hidden_bins, in_box, in_holes, listed, resolver, unlisted, wrong};
use crate::error::{Error, Result};
use crate::events::{ColumnChunk, Compiled};
use crate::workflow::plan::Plan;
use crate::workflow::sample::{count, region_index};
use sideband_processes::Rectangle;
use std::collections::BTreeMap;

/// Where a bin is tried, as parts of its width.
const TRIED: [f64; 5] = [1e-6, 0.25, 0.5, 0.75, 1.0 - 1e-6];
/// Definitions that are opened to find the terms of a selection.
const DEPTH: usize = 32;
fn wrong_region(training: &str, what: &str) -> Error {
    let reason = format!(
        "{what} lie in the box, in no hole and not in the training region `{training}`: the \
         Gaussian process would take them for bins without events. Cut a hole there, add them to \
         the selection, or narrow the box; cuts that all regions have in common belong into \
         data.target.selection"
    );
    Error::config_at("training.region", reason)
}

impl Plan {
    /// Checks the events of an interpolation, once they are read.
    pub(in crate::workflow) fn check_plane(&self) -> Result<()> {
        if self.plane.is_none() {
            return Ok(());
        }
        self.check_fit()?;
        self.check_training_events()?;
        for name in self.interpolation().predicted(&self.config) {
            // those without a value too
            let rows = self.target().in_region(region_index(&self.config, name));
            let unknown = rows.filter(|row| self.category(*row).is_none()).count();
            if unknown > 0 {
                return Err(unlisted("region", name, &format!("{unknown} ")));
            }
        }
        self.check_box()?;
        self.check_bins()
    }

    /// Whether a density can be learned of the weights.
    pub(in crate::workflow) fn check_density(&self) -> Result<()> {
        if self.plane.is_none() {
            return Ok(());
        }
        let weights = &self.target().table.weights;
        let mut rows = self.target().in_region(self.training_region());
        let Some(row) = rows.find(|row| weights[*row] < 0.0) else {
            return Ok(());
        };
        let reason = format!(
            "an event weighs {}; a density needs weights of 0 and more. Drop the weights, or merge \
             samples so that none is negative",
            weights[row]
        );
        Err(Error::config_at("data.target.weight", reason))
    }

    /// Whether the plane can be fitted at all: settings, and bins that are left.
    fn check_fit(&self) -> Result<()> {
        let hidden = hidden_bins(self.interpolation(), &self.plane().grid);
        if hidden.iter().filter(|h| !**h).count() < 2 {
            let reason = "they touch all bins of the plane but one at most, so that nothing is \
                          left to fit; make them smaller, the box larger or the bins finer";
            return Err(wrong("plane.holes", reason));
        }
        let fit = &self.interpolation().plane.fit;
        if fit.starts == 0 || fit.starts > 1000 {
            let reason = "found 0 or too many; allowed is 1 to 1000";
            return Err(wrong("plane.fit.starts", reason));
        }
        if let Some([low, high]) = fit.length_scales
            && !(low > 0.0 && low < high && high.is_finite())
        {
            let reason = format!("found [{low}, {high}]; allowed are two rising numbers above 0");
            return Err(wrong("plane.fit.length_scales", reason));
        }
        Ok(())
    }

    /// Whether all training events lie in the box, outside the holes, in a known
    /// category, and whether every category has some.
    fn check_training_events(&self) -> Result<()> {
        let (training, interpolation) = (&self.config.training.region, self.interpolation());
        let mut counts = vec![0u64; interpolation.categories().len()];
        let (mut outside, mut inside, mut unknown) = (0u64, 0u64, 0u64);
        for row in self.target().trained(self.training_region()) {
            match self.category(row) {
                _ if !self.is_in_box(row) => outside += 1,
                _ if self.is_in_hole(row) => inside += 1,
                Some(k) => counts[k] += 1,
                None => unknown += 1,
            }
        }
        let plane = &interpolation.plane;
        if outside > 0 {
            let reason = format!(
                "{outside} events of the training region `{training}` lie outside the box \
                 {:?} x {:?}; cut them from its selection or widen the box",
                plane.x_range, plane.y_range
            );
            return Err(wrong("plane.x_range", reason));
        }
        if inside > 0 {
            let reason = format!(
                "{inside} events of the training region `{training}` lie in a hole; \
                 exclude the holes from its selection: what is interpolated must not be trained on"
            );
            return Err(wrong("plane.holes", reason));
        }
        if unknown > 0 {
            let (name, unknown) = (format!("`{training}`"), format!("{unknown} "));
            return Err(unlisted("the training region", &name, &unknown));
        }
        if let Some(k) = counts.iter().position(|n| *n == 0) {
            let reason = format!(
                "no event of the training region `{training}` has the value {}",
                interpolation.categories()[k]
            );
            return Err(wrong("category.values", reason));
        }
        Ok(())
    }

    /// Whether every event of the box with a listed category lies in a hole or in the
    /// training region.
    ///
    /// # Errors
    /// With the number of events of each category; of blind ones it is not said how many.
    fn check_box(&self) -> Result<()> {
        let (config, interpolation) = (&self.config, self.interpolation());
        let training = &config.training.region;
        let region = self.training_region();
        let mut left = vec![0u64; interpolation.categories().len()];
        for row in 0..self.target().table.len() {
            if self.is_in_box(row)
                && !self.is_in_hole(row)
                && !self.target().is_in(row, region)
                && let Some(k) = self.category(row)
            {
                left[k] += 1;
            }
        }
        let total: u64 = left.iter().sum();
        if total > 0 {
            let each = match &interpolation.category {
                None => String::new(),
                Some(category) => {
                    let each = category.values.iter().zip(&left).filter(|(_, n)| **n > 0);
                    let each: Vec<String> = each
                        .map(|(value, n)| format!("{} = {value}: {n}", category.column))
                        .collect();
                    format!(" ({})", each.join(", "))
                }
            };
            return Err(wrong_region(training, &format!("{total} events{each}")));
        }
        let (inside, holes) = (in_box(interpolation), in_holes(interpolation));
        let open = format!("({inside}) && !({holes})");
        let not_trained = format!("!({})", config.regions[training].selection);
        let listed = listed(interpolation).unwrap_or_else(|| "1".to_owned());
        for (name, blind) in config.regions.iter().filter(|(_, r)| r.blind) {
            let texts = [open.as_str(), &not_trained, &listed, &blind.selection];
            if count(config, &config.data.target, &texts)? > 0 {
                let what = format!("events of the blind region {name}");
                return Err(wrong_region(training, &what));
            }
        }
        Ok(())
    }

    /// Whether every bin, but for what of it lies in a hole, is wholly part of the training
    /// region, as far as the selections depend on the plane and the category alone. Bins
    /// that touch a hole are not fitted, but samples in the rest of them are scaled to the
    /// training region's events.
    fn check_bins(&self) -> Result<()> {
        let (config, interpolation, plane) = (&self.config, self.interpolation(), self.plane());
        let category = interpolation.category.as_ref();
        // a point of the plane has no others
        let names = &plane.names[..2 + usize::from(category.is_some())];
        let mut definitions = BTreeMap::from_iter(config.data.define.clone());
        definitions.retain(|name, _| !names.contains(name));
        let at_region = |e: Error| e.at_key("training.region");
        let resolver = resolver(names, definitions.iter()).map_err(at_region)?;
        let training = &config.training.region;
        let selections = [
            Some(config.regions[training].selection.as_str()),
            config.data.target.selection.as_deref(),
        ];
        let terms = selections.into_iter().flatten();
        let terms: Vec<Compiled> = terms
            .flat_map(|text| terms_of(text, &definitions, DEPTH))
            // what needs other columns is no matter of the plane
            .filter_map(|term| resolver.compile(&term).ok())
            .collect();
        let points = self.tried_points();
        for value in interpolation.categories() {
            let missing = points.uncovered(&terms, names, *value).map_err(at_region)?;
            let Some(first) = missing.first() else {
                continue;
            };
            let Rectangle { m1, m2 } = plane.grid.rectangle(*first);
            let of = category.map_or_else(String::new, |c| format!(" of {} = {value}", c.column));
            let reason = format!(
                "{} of {} bins{of} (the first: {} {} to {}, {} {} to {}) are not wholly in the \
                 holes and the training region `{training}`: what is missing would be taken for \
                 empty. Cut a hole there, add it to the selection, or narrow the box",
                missing.len(),
                plane.grid.bins(),
                interpolation.plane.x,
                m1[0],
                m1[1],
                interpolation.plane.y,
                m2[0],
                m2[1],
            );
            return Err(Error::config_at("training.region", reason));
        }
        Ok(())
    }

    /// Points all over the bins that lie in no hole.
    fn tried_points(&self) -> TriedPoints {
        let mut points = TriedPoints::default();
        let at = |[low, high]: [f64; 2], part: f64| low + part * (high - low);
        // nearer to a border than this is no matter of selections
        let around = |[low, high]: [f64; 2], x: f64| {
            let margin = 1e-7 * (high - low);
            [x - margin, x + margin]
        };
        let grid = &self.plane().grid;
        for bin in 0..grid.bins() {
            let Rectangle { m1, m2 } = grid.rectangle(bin);
            for (a, b) in TRIED.iter().flat_map(|a| TRIED.map(|b| (*a, b))) {
                let (x, y) = (at(m1, a), at(m2, b));
                let near = Rectangle {
                    m1: around(m1, x),
                    m2: around(m2, y),
                };
                let mut holes = self.interpolation().plane.holes.iter();
                if !holes.any(|hole| hole.overlaps(&near)) {
                    points.axes[0].push(x);
                    points.axes[1].push(y);
                    points.bins.push(bin);
                }
            }
        }
        points
    }
}

/// Points of the plane, and the bin of each.
#[derive(Default)]
struct TriedPoints {
    axes: [Vec<f64>; 2],
    bins: Vec<usize>,
}

impl TriedPoints {
    /// Bins with a point where one of the terms does not hold, for one category.
    fn uncovered(&self, terms: &[Compiled], names: &[String], category: f64) -> Result<Vec<usize>> {
        let rows = self.bins.len();
        let mut chunk = ColumnChunk::new(rows);
        let columns = self.axes.iter().cloned().chain([vec![category; rows]]);
        for (name, values) in names.iter().zip(columns) {
            chunk.insert(name.clone(), values)?;
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
fn terms_of(text: &str, definitions: &BTreeMap<String, String>, depth: usize) -> Vec<String> {
    let text = unwrapped(text);
    if depth > 0 {
        if let Some(inner) = definitions.get(text) {
            return terms_of(inner, definitions, depth - 1);
        }
        let parts = split(text);
        if parts.len() > 1 {
            let of = |part: &&str| terms_of(part, definitions, depth - 1);
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

/// The parts between `&&` outside all parentheses and brackets; all of it if an `||` is there.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0i64, 0);
    let mut parts = Vec::new();
    let bytes = text.as_bytes();
    for (i, pair) in bytes.windows(2).enumerate() {
        match pair[0] {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
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
            ("x[a && b] > 1 && c", vec!["x[a && b] > 1", "c"]),
            ("ring && x", vec!["a + b > 2 || c", "a > 1", "x"]),
        ] {
            assert_eq!(terms_of(text, &definitions, DEPTH), expected, "{text}");
        }
    }
}
