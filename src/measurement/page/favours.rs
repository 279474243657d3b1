//! Which events favour what, on the page.

use super::super::error::MeasureError;
use super::super::events::Events;
use super::super::likelihoods::Likelihoods;
use super::super::pipeline::Study;
use super::figure;
use crate::plot::Favour;
use crate::report::page::Section;
use sideband_likelihood::UnbinnedChannel;
use sideband_likelihood::fit::Fit;

/// Cells along an axis of the map of events.
const CELLS: usize = 24;

/// Which events favour which value: a map over the two inputs that tell most.
pub(super) fn favours(
    study: &Study<'_>,
    made: &Likelihoods,
    best: &Fit,
    events: &Events,
    channel: &UnbinnedChannel,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Which events favour what".to_owned(),
        ..Section::default()
    };
    let columns = study.reader.columns();
    if columns < 2 {
        return Ok(section);
    }
    let measurement = study.measurement;
    let interest = &measurement.measurement.interest[0];
    let Some(place) = made.parameter(interest) else {
        return Ok(section);
    };
    let (lowest, highest) = made.bounds(place);
    let nominal = made.list()[place].nominal;
    // a best fit on its bound is compared with what was expected, or with the other bound
    let values = [lowest, nominal, highest];
    let other = values.into_iter().find(|x| *x != best.point[place]);
    let mut tested = best.point.clone();
    tested[place] = other.unwrap_or(lowest);
    let density = |at: &[f64]| -> Vec<f64> {
        let rate: f64 = channel.rates(at).iter().sum();
        channel.densities(at).iter().map(|q| q / rate).collect()
    };
    let (one, other) = (density(&tested), density(&best.point));
    let both = || one.iter().zip(&other);
    let values: Vec<f64> = both().map(|(a, b)| -2.0 * (a / b).ln()).collect();
    // events of the reference, weighted to the best fit
    let weights = events.weights.iter().zip(&other);
    let weights: Vec<f64> = weights.map(|(w, b)| w * b.max(0.0)).collect();
    let column = |k: usize| -> Vec<f64> {
        let rows = events.features.chunks_exact(columns);
        rows.map(|row| f64::from(row[k])).collect()
    };
    let mut ranked: Vec<(f64, usize)> = (0..columns)
        .map(|k| (correlation(&column(k), &values).abs(), k))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (i, j) = (ranked[0].1, ranked[1].1);
    let (x, y) = (column(i), column(j));
    let names = study.reader.names();
    let value = |at: &[f64]| made.reported(place, at[place]);
    let drawn = Favour {
        title: measurement.report.data_label.clone(),
        x_label: names[i].clone(),
        y_label: names[j].clone(),
        x_edges: edges(&x),
        y_edges: edges(&y),
        x,
        y,
        values,
        weights,
        tested: format!("{interest} = {:.2}", value(&tested)),
        reference: format!("{interest} = {:.2}", value(&best.point)),
    };
    let caption = "Mean of −2 log p(x|tested)/p(x|best fit) of events of the reference, weighted \
                   to the best fit, over the two inputs that correlate most with it.";
    match drawn.draw() {
        // densities of badly trained ratios may be negative everywhere
        Err(error) => section.text.push(format!("There is no map: {error}")),
        drawn => section
            .figures
            .extend(figure(study, "favours", caption, drawn)?),
    }
    Ok(section)
}

fn edges(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q) as usize];
    let (low, high) = (at(0.005), at(0.995));
    let high = if high > low { high } else { low + 1.0 };
    (0..=CELLS)
        .map(|i| low + (high - low) * i as f64 / CELLS as f64)
        .collect()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let finite = || {
        x.iter()
            .zip(y)
            .filter(|(a, b)| a.is_finite() && b.is_finite())
    };
    let n = finite().count().max(1) as f64;
    let (mx, my) = finite().fold((0.0, 0.0), |m, (a, b)| (m.0 + a / n, m.1 + b / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in finite() {
        xx += (a - mx).powi(2);
        yy += (b - my).powi(2);
        xy += (a - mx) * (b - my);
    }
    if xx > 0.0 && yy > 0.0 {
        xy / (xx * yy).sqrt()
    } else {
        0.0
    }
}
