//! Rules that a model must obey before anything is trained for it.

use super::model::Builder;
use crate::error::{Error, Result};
use sideband_likelihood::Process;

/// Values of a parameter at which the rates are looked at.
const STEPS: usize = 21;
/// Parameters whose ends are looked at together.
const LARGEST_GRID: usize = 7;

/// Checks coefficients and rates: at the nominal point, and wherever a fit may go along
/// one parameter.
pub(super) fn check(builder: &Builder<'_>) -> Result<()> {
    let processes = builder.processes()?;
    let parameters = builder.parameters;
    let nominal: Vec<f64> = parameters.list.iter().map(|p| p.nominal).collect();
    at(builder, &processes, &nominal)?;
    used(builder, &processes)?;
    for point in grid(builder, &nominal) {
        at(builder, &processes, &point)?;
    }
    let own = builder.measurement.parameters.len();
    for (place, parameter) in parameters.list.iter().enumerate().skip(own) {
        let (low, high) = parameter.bounds;
        for step in 0..STEPS {
            let mut point = nominal.clone();
            point[place] = low + (high - low) * step as f64 / (STEPS - 1) as f64;
            at(builder, &processes, &point)?;
        }
    }
    Ok(())
}

/// Whether every parameter of `[parameters]` does something.
fn used(builder: &Builder<'_>, processes: &[Process]) -> Result<()> {
    let measurement = builder.measurement;
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
pub(super) fn grid(builder: &Builder<'_>, nominal: &[f64]) -> Vec<Vec<f64>> {
    let own = builder.measurement.parameters.keys().enumerate();
    let is_free = |name: &String| !builder.measurement.measurement.fixed.contains(name);
    let free: Vec<usize> = own.filter(|(_, n)| is_free(n)).map(|(k, _)| k).collect();
    let bounds = |place: usize| builder.parameters.list[place].bounds;
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
    for place in free {
        let (low, high) = bounds(place);
        for step in 0..STEPS {
            let mut point = nominal.to_vec();
            point[place] = low + (high - low) * step as f64 / (STEPS - 1) as f64;
            points.push(point);
        }
    }
    points
}

/// Points where one systematic uncertainty is one standard deviation up or down.
pub(super) fn at_one(builder: &Builder<'_>, nominal: &[f64]) -> Vec<Vec<f64>> {
    let names = builder.measurement.systematics.keys();
    let places = names.filter_map(|name| builder.parameters.place(name));
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
pub(super) fn place_text(builder: &Builder<'_>, point: &[f64]) -> String {
    let parameters = builder.parameters;
    let all = parameters.list.iter().zip(point).enumerate();
    let away = all.filter(|(_, (p, x))| p.nominal != **x);
    let text = |(k, (p, x)): (usize, (&sideband_likelihood::Parameter, &f64))| {
        format!("{} = {:.4}", p.name, parameters.value(k, *x))
    };
    match away.map(text).collect::<Vec<_>>().as_slice() {
        [] => "the nominal point".to_owned(),
        list => list.join(", "),
    }
}

fn at(builder: &Builder<'_>, processes: &[Process], point: &[f64]) -> Result<()> {
    let place = || place_text(builder, point);
    let mut total = 0.0;
    for process in processes {
        let rate = process.rate.value(point);
        if !rate.is_finite() {
            return Err(Error::config_at(
                format!("samples.{}.coefficient", process.name),
                format!(
                    "`{}` is no number at {}; keep the parameters within its domain by \
                     `bounds`, or write another coefficient",
                    builder.measurement.samples[&process.name].coefficient,
                    place()
                ),
            ));
        }
        total += rate;
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
