//! Which events favour which value of the parameter of interest.

use super::super::events::Events;
use super::super::model::Analysis;
use super::sheet::{Sheet, section};
use crate::error::Result;
use crate::plot::{Favour, FavourMap};
use crate::report::page::Section;
use sideband_likelihood::fit::Fit;
use sideband_likelihood::{Parameter, UnbinnedChannel};

/// Cells along an axis of the map.
const CELLS: usize = 24;

/// A map over the two inputs, of these names, that tell most, or why there is none; nothing
/// where there are no two. `events`, `channel`: the reference that no network has seen.
pub(super) fn favours(
    analysis: Analysis<'_>,
    names: &[&str],
    (parameters, best): (&[Parameter], &Fit),
    (events, channel): (&Events, &UnbinnedChannel),
) -> Option<Result<FavourMap, String>> {
    let interest = &analysis.measurement.measurement.interest[0];
    let place = analysis.parameters.place(interest);
    let place = place.filter(|_| names.len() > 1)?;
    let (lowest, highest) = parameters[place].bounds;
    // a best fit on its bound is compared with what was expected, or with the other bound
    let values = [lowest, parameters[place].nominal, highest];
    let other = values.into_iter().find(|x| *x != best.point[place]);
    let mut tested = best.point.clone();
    tested[place] = other.unwrap_or(lowest);
    let density = |at: &[f64]| -> Vec<f64> {
        let rate: f64 = channel.rates(at).iter().sum();
        channel.densities(at).iter().map(|q| q / rate).collect()
    };
    let (one, other) = (density(&tested), density(&best.point));
    let both = one.iter().zip(&other);
    let values: Vec<f64> = both.map(|(a, b)| -2.0 * (a / b).ln()).collect();
    // events of the reference, weighted to the best fit
    let weights = events.weights.iter().zip(&other);
    let weights: Vec<f64> = weights.map(|(w, b)| w * b.max(0.0)).collect();
    let column = |k: usize| -> Vec<f64> {
        let rows = events.features.chunks_exact(names.len());
        rows.map(|row| f64::from(row[k])).collect()
    };
    let mut ranked: Vec<(f64, usize)> = (0..names.len())
        .map(|k| (correlation(&column(k), &values).abs(), k))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (i, j) = (ranked[0].1, ranked[1].1);
    let (x, y) = (column(i), column(j));
    let value = |at: &[f64]| {
        let value = analysis.parameters.value(place, at[place]);
        format!("{interest} = {value:.2}")
    };
    let map = Favour {
        title: String::new(),
        x_label: names[i].to_owned(),
        y_label: names[j].to_owned(),
        x_edges: edges(&x),
        y_edges: edges(&y),
        x,
        y,
        values,
        weights,
        tested: value(&tested),
        reference: value(&best.point),
    };
    // densities of badly trained ratios may be negative everywhere
    Some(map.map().map_err(|error| error.to_string()))
}

impl Sheet<'_> {
    /// Which events favour which value.
    pub(super) fn favours(&mut self) -> Result<Section> {
        let mut section = section("Which events favour what");
        let reason = self.kept.no_map.as_ref();
        let reason = reason.map(|reason| format!("There is no map: {reason}"));
        section.text.extend(reason);
        let Some(map) = &self.kept.map else {
            return Ok(section);
        };
        let drawn = FavourMap {
            title: self.label(),
            x_label: self.input_label(&map.x_label).to_owned(),
            y_label: self.input_label(&map.y_label).to_owned(),
            ..map.clone()
        };
        let caption = "Mean of −2 log p(x|tested)/p(x|best fit) of events of the reference, \
                       weighted to the best fit, over the two inputs that correlate most with it.";
        self.add(&mut section, "favours", caption, drawn.draw())?;
        Ok(section)
    }
}

fn edges(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (low, high) = (at(0.005), at(0.995));
    let high = if high > low { high } else { low + 1.0 };
    let edge = |i: usize| low + (high - low) * i as f64 / CELLS as f64;
    (0..=CELLS).map(edge).collect()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let both = x.iter().zip(y);
    let finite = both.filter(|(a, b)| a.is_finite() && b.is_finite());
    let n = finite.clone().count().max(1) as f64;
    let mean = |m: (f64, f64), (a, b): (&f64, &f64)| (m.0 + a / n, m.1 + b / n);
    let (mx, my) = finite.clone().fold((0.0, 0.0), mean);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in finite {
        xx += (a - mx).powi(2);
        yy += (b - my).powi(2);
        xy += (a - mx) * (b - my);
    }
    match xx > 0.0 && yy > 0.0 {
        true => xy / (xx * yy).sqrt(),
        false => 0.0,
    }
}
