//! A workspace against the model that it was written from: read back from its text, and
//! compared at points of the parameters.

use super::Settings;
use super::import::{ImportOptions, Imported, import};
use crate::error::{Error, ensure};
use crate::histogram::HistogramModel;
use crate::{Constraint, Likelihood as _, Parameter};
use sideband_numerics::random::Key;
use std::collections::HashMap;

/// Largest difference of two values of `-log L`, less that at the first point, relative
/// to their size and at least to one.
const TOLERANCE: f64 = 1e-9;
/// Points away from the given ones.
const POINTS: u64 = 12;
/// How far from its centre a measured parameter is moved, in widths.
const REACH: f64 = 2.0;

/// Reads a workspace back and compares it with the model: parameters, bounds, starts,
/// constraints, which are fixed, counts, and the likelihood at `points` and at seeded
/// points within the bounds. `fitted` is `-log L` as it was fitted, up to a constant, at a
/// point `[n]` of the model's parameters.
///
/// # Errors
/// The first difference that was found.
pub fn compare(
    text: &[u8],
    settings: Settings,
    model: &HistogramModel,
    fitted: &dyn Fn(&[f64]) -> f64,
    points: &[Vec<f64>],
) -> Result<(), Error> {
    let options = ImportOptions {
        rates: settings.rates,
        shapes: settings.shapes,
        ..ImportOptions::default()
    };
    let found = import(text, &options);
    let found = found.map_err(|error| Error::new(format!("it cannot be read back: {error}")))?;
    let places = settings_agree(&found, model)?;
    for (one, other) in model.channels.iter().zip(&found.model.channels) {
        let is_same = one.name() == other.name() && one.observed() == other.observed();
        ensure(is_same, || {
            format!("channel `{}` has other counts", one.name())
        })?;
    }
    let read = found.model.likelihood();
    let value = |at: &[f64]| {
        let own: Vec<f64> = places.iter().map(|place| at[*place]).collect();
        [read.value(&own), fitted(at)]
    };
    let nominal = model.nominal();
    let first = value(&nominal);
    let all = points.iter().cloned();
    for at in all.chain((0..POINTS).map(|number| away(model, &nominal, number))) {
        let both = value(&at);
        if both.iter().all(|x| !x.is_finite()) {
            continue;
        }
        let difference = (both[0] - first[0]) - (both[1] - first[1]);
        let size = both
            .iter()
            .chain(&first)
            .fold(1.0, |m: f64, x| m.max(x.abs()));
        ensure(difference.abs() <= TOLERANCE * size, || {
            let point = words(model, &nominal, &at);
            format!("its -log L differs by {difference:.3e} from the fitted one at {point}")
        })?;
    }
    Ok(())
}

/// Places in the model of the parameters of the file, whose settings are the same.
fn settings_agree(found: &Imported, model: &HistogramModel) -> Result<Vec<usize>, Error> {
    let wrong = |name: &str, problem: &str| Error::new(format!("parameter `{name}`: {problem}"));
    let known = model.parameters.iter().enumerate();
    let known: HashMap<&str, usize> = known.map(|(k, p)| (p.name.as_str(), k)).collect();
    let is_fixed = |model: &HistogramModel, k: usize| model.fixed.iter().any(|(p, _)| *p == k);
    let start = model.nominal();
    let own_start = found.model.nominal();
    let mut places = Vec::new();
    for (k, own) in found.model.parameters.iter().enumerate() {
        let Some(&place) = known.get(own.name.as_str()) else {
            return Err(wrong(&own.name, "the fit has none of this name"));
        };
        let fitted = &model.parameters[place];
        for (what, same) in [
            ("bounds", own.bounds == fitted.bounds),
            ("start", own_start[k] == start[place]),
            ("constraint", same_constraint(own, fitted)),
            ("fixed", is_fixed(&found.model, k) == is_fixed(model, place)),
        ] {
            if !same {
                return Err(wrong(&own.name, &format!("its {what} is another one")));
            }
        }
        places.push(place);
    }
    let lost = |k: &usize| !places.contains(k) && !is_fixed(model, *k);
    match (0..model.parameters.len()).find(lost) {
        Some(k) => {
            let name = &model.parameters[k].name;
            Err(wrong(name, "it is free in the fit and not in the file"))
        }
        None => Ok(places),
    }
}

fn same_constraint(one: &Parameter, other: &Parameter) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * b.abs();
    match (one.constraint, other.constraint) {
        (None, None) => true,
        (Some(Constraint { centre, width }), Some(other)) => {
            near(centre, other.centre) && near(width, other.width)
        }
        _ => false,
    }
}

/// A seeded point: what is measured within some widths of its centre, the rest anywhere
/// within its bounds, every other time near its start.
fn away(model: &HistogramModel, nominal: &[f64], number: u64) -> Vec<f64> {
    let mut stream = Key::from_seed(number).stream();
    let mut at = nominal.to_vec();
    for (k, parameter) in model.parameters.iter().enumerate() {
        let u = stream.uniform();
        if model.fixed.iter().any(|(place, _)| *place == k) {
            continue;
        }
        let (low, high) = parameter.bounds;
        at[k] = match parameter.constraint {
            Some(c) => c.centre + REACH * c.width * (2.0 * u - 1.0),
            None if number.is_multiple_of(2) => low + (high - low) * u,
            None => nominal[k] + 0.1 * (high - low) * (u - 0.5),
        }
        .clamp(low, high);
    }
    at
}

fn words(model: &HistogramModel, nominal: &[f64], at: &[f64]) -> String {
    let moved = (0..at.len()).filter(|k| at[*k] != nominal[*k]);
    let texts: Vec<String> = moved
        .map(|k| format!("{} = {:.4}", model.parameters[k].name, at[k]))
        .collect();
    match texts.is_empty() {
        true => "the nominal point".to_owned(),
        false => texts.join(", "),
    }
}
