//! Rules that a model must obey before anything is trained for it: its rates are rates, and
//! something is expected in every bin in which something is observed, and nowhere less than
//! nothing.

use super::model::{Analysis, HistogramRequest};
use super::samples::{Binned, Template, binned};
use crate::error::{Error, Result};
use sideband_likelihood::histogram::HistogramChannel;
use sideband_likelihood::{Parameter, Process};

/// Values of a parameter at which the rates are looked at.
const STEPS: usize = 21;
/// Parameters whose ends are looked at together.
const LARGEST_GRID: usize = 7;

/// Expectations that are zero but for rounding, relative to the sum of a bin's contents.
const ROUNDING: f64 = 1e-12;

/// Checks coefficients and rates: at the nominal point, and wherever a fit may go along
/// one parameter.
pub(super) fn check_rates(analysis: &Analysis<'_>) -> Result<()> {
    let processes = analysis.processes()?;
    let parameters = analysis.parameters;
    let nominal = parameters.nominal();
    check_at(analysis, &processes, &nominal)?;
    used(analysis, &processes)?;
    for point in grid(analysis, &nominal) {
        check_at(analysis, &processes, &point)?;
    }
    let own = analysis.measurement.parameters.len();
    for (place, parameter) in parameters.list.iter().enumerate().skip(own) {
        for point in along(&nominal, place, parameter.bounds) {
            check_at(analysis, &processes, &point)?;
        }
    }
    Ok(())
}

/// Whether every parameter of `[parameters]` does something.
fn used(analysis: &Analysis<'_>, processes: &[Process]) -> Result<()> {
    let measurement = analysis.measurement;
    for (place, name) in measurement.parameters.keys().enumerate() {
        let uses = |p: &Process| p.rate.coefficient().places().contains(&place);
        if !processes.iter().any(uses) && !measurement.measurement.fixed.contains(name) {
            return Err(Error::config_at(
                format!("parameters.{name}"),
                "no coefficient of a process depends on it: nothing could measure it",
            ));
        }
    }
    Ok(())
}

/// Points at the ends and in the middle of all parameters of `[parameters]` together, and
/// along each of them; fixed ones stay.
fn grid(analysis: &Analysis<'_>, nominal: &[f64]) -> Vec<Vec<f64>> {
    let own = analysis.measurement.parameters.keys().enumerate();
    let is_free = |name: &String| !analysis.measurement.measurement.fixed.contains(name);
    let free: Vec<usize> = own.filter(|(_, n)| is_free(n)).map(|(k, _)| k).collect();
    let bounds = |place: usize| analysis.parameters.list[place].bounds;
    let mut points = Vec::new();
    let count = free.len().min(LARGEST_GRID);
    for number in 0..3_usize.pow(count as u32) {
        let mut point = nominal.to_vec();
        let mut digits = number;
        for place in &free[..count] {
            let (low, high) = bounds(*place);
            point[*place] = match digits % 3 {
                0 => low,
                1 => point[*place],
                _ => high,
            };
            digits /= 3;
        }
        points.push(point);
    }
    let lines = free.into_iter();
    points.extend(lines.flat_map(|place| along(nominal, place, bounds(place))));
    points
}

/// Points along one parameter, from bound to bound.
fn along(
    nominal: &[f64],
    place: usize,
    (low, high): (f64, f64),
) -> impl Iterator<Item = Vec<f64>> + use<'_> {
    (0..STEPS).map(move |step| {
        let mut point = nominal.to_vec();
        point[place] = low + (high - low) * step as f64 / (STEPS - 1) as f64;
        point
    })
}

/// Points where one systematic uncertainty is one standard deviation up or down.
fn at_one(analysis: &Analysis<'_>, nominal: &[f64]) -> Vec<Vec<f64>> {
    let names = analysis.measurement.systematics.keys();
    let places = names.filter_map(|name| analysis.parameters.place(name));
    let sides = places.flat_map(|place| {
        [-1.0, 1.0].map(|side| {
            let mut point = nominal.to_vec();
            point[place] = side;
            point
        })
    });
    sides.collect()
}

/// The parameters that are not nominal at a point, in words.
fn place_text(analysis: &Analysis<'_>, point: &[f64]) -> String {
    let parameters = analysis.parameters;
    let all = parameters.list.iter().zip(point).enumerate();
    let away = all.filter(|(_, (p, x))| p.nominal != **x);
    let text = |(k, (p, x)): (usize, (&Parameter, &f64))| {
        format!("{} = {:.4}", p.name, parameters.value(k, *x))
    };
    match away.map(text).collect::<Vec<_>>().as_slice() {
        [] => "the nominal point".to_owned(),
        list => list.join(", "),
    }
}

fn check_at(analysis: &Analysis<'_>, processes: &[Process], point: &[f64]) -> Result<()> {
    let place = || place_text(analysis, point);
    let mut total = 0.0;
    for (process, plan) in processes.iter().zip(&analysis.plan.processes) {
        let rate = process.rate.value(point);
        if !rate.is_finite() {
            return Err(Error::config_at(
                format!("samples.{}.coefficient", process.name),
                format!(
                    "`{}` is no number at {}; keep the parameters within its domain by \
                     `bounds`, or write another coefficient",
                    analysis.measurement.samples[&process.name].coefficient,
                    place()
                ),
            ));
        }
        // channels are looked at bin by bin
        total += if plan.is_measured { rate } else { 0.0 };
    }
    if total <= 0.0 {
        return Err(Error::config_at(
            "samples",
            format!(
                "the rates of all processes add up to {total:.4} at {}: a rate that turns \
                 negative is none; check coefficients, weights and the parameters' `bounds`",
                place()
            ),
        ));
    }
    Ok(())
}

/// Checks the bins of all histograms, with the observed counts where there are some. What
/// does not hinder the fit comes back as notes.
pub(super) fn check_bins(analysis: &Analysis<'_>, observed: &[Template]) -> Result<Vec<String>> {
    let channels = binned(analysis.measurement);
    if channels.is_empty() {
        return Ok(Vec::new());
    }
    for (number, channel) in channels.iter().enumerate() {
        simulated(analysis, number, channel)?;
    }
    let mut notes = Vec::new();
    // templates alone: counts that nothing predicts are what is looked for
    let empty = |(number, channel): (usize, &Binned<'_>)| HistogramRequest {
        name: channel.name.to_owned(),
        number,
        observed: Some(vec![0.0; channel.edges.len() - 1]),
        statistical: false,
    };
    let empty: Vec<HistogramRequest> = channels.iter().enumerate().map(empty).collect();
    let model = analysis.histograms(&empty)?;
    let nominal = model.nominal();
    let mut points = vec![nominal.clone()];
    points.extend(grid(analysis, &nominal));
    points.extend(at_one(analysis, &nominal));
    for (number, (channel, prediction)) in channels.iter().zip(&model.channels).enumerate() {
        let counts = observed.get(number).map(|t| t.contents.as_slice());
        for point in &points {
            let data = (channel, counts);
            if let Some(problem) = problem(analysis, data, prediction, &nominal, point) {
                if channel.is_fitted || point == &nominal {
                    return Err(wrong(channel, problem));
                }
                notes.push(format!("{}.bins: {problem}", channel.key));
                break;
            }
        }
    }
    notes.extend(without_ratio(analysis, &channels));
    Ok(notes)
}

/// Whether there is simulation at all, in more than one of several bins.
fn simulated(analysis: &Analysis<'_>, number: usize, channel: &Binned<'_>) -> Result<()> {
    let bins = channel.edges.len() - 1;
    let is_filled = |bin: &usize| {
        let mut processes = analysis.plan.processes.iter();
        processes.any(|p| p.templates[number].variances[*bin] > 0.0)
    };
    let filled: Vec<usize> = (0..bins).filter(is_filled).collect();
    match filled.as_slice() {
        [] => Err(wrong(
            channel,
            format!(
                "channel {} has no event of any sample: nothing is expected there; widen the \
             selection of its region, or leave it out",
                channel.name
            ),
        )),
        [only] if bins > 1 => Err(wrong(
            channel,
            format!(
                "{} has all events of all samples, the other {} bins have none: the edges cut \
             nothing (values beyond them count in the end bins); choose edges where the \
             observable has its values, or one bin",
                bin_text(channel, *only),
                bins - 1
            ),
        )),
        _ => Ok(()),
    }
}

/// What is wrong with a channel's bins at a point.
fn problem(
    analysis: &Analysis<'_>,
    (channel, observed): (&Binned<'_>, Option<&[f64]>),
    prediction: &HistogramChannel,
    nominal: &[f64],
    point: &[f64],
) -> Option<String> {
    let expected = prediction.expected(point);
    // without observed events those that are expected at the nominal point are fitted
    let counts = observed.map(<[f64]>::to_vec);
    let counts = counts.unwrap_or_else(|| prediction.expected(nominal));
    let templates = prediction.templates();
    for (bin, (expected, count)) in expected.iter().zip(counts).enumerate() {
        let size: f64 = templates.iter().map(|t| t.nominal[bin].abs()).sum();
        let rounding = ROUNDING * size;
        let is_negative = *expected < -rounding || expected.is_nan();
        let is_impossible = *expected <= rounding && count > rounding;
        if !is_negative && !is_impossible {
            continue;
        }
        let data = match observed {
            Some(_) if count == 1.0 => "1 event observed".to_owned(),
            Some(_) => format!("{count} events observed"),
            None => format!("{count:.4} events in the expected data"),
        };
        let place = match point == nominal {
            true => String::new(),
            false => format!(" at {}", place_text(analysis, point)),
        };
        let expected = match expected.abs() <= rounding {
            true => "0".to_owned(),
            false => format!("{expected:.4}"),
        };
        return Some(format!(
            "{}: {data}, {expected} expected{place}; merge the bin with a neighbour that has \
             simulated events, or keep the parameters where something is expected by `bounds`",
            bin_text(channel, bin)
        ));
    }
    None
}

/// Varied samples that have no ratio of sums in a channel, where their rate cannot be a
/// factor.
fn without_ratio(analysis: &Analysis<'_>, channels: &[Binned<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    for (number, channel) in channels.iter().enumerate() {
        for process in &analysis.plan.processes {
            for (systematic, varied) in analysis.plan.of_process(&process.name) {
                if varied.has_ratio(&process.templates[number], number) {
                    continue;
                }
                notes.push(format!(
                    "systematics.{systematic}: the weights of {} in channel {} do not add up to \
                     something above zero in the nominal and both varied samples: its rate there \
                     is no factor, and its bins vary as they are",
                    process.name, channel.name
                ));
            }
        }
    }
    notes
}

/// A bin in words.
fn bin_text(channel: &Binned<'_>, bin: usize) -> String {
    let (low, high) = (channel.edges[bin], channel.edges[bin + 1]);
    format!("channel {}, bin {bin} [{low}, {high})", channel.name)
}

fn wrong(channel: &Binned<'_>, reason: String) -> Error {
    Error::data_at(format!("{}.bins", channel.key), reason)
}
