//! A measurement's model in words, before anything is trained.

use super::events::withheld;
use super::generate::generate;
use super::model::Parameters;
use super::pipeline::prepare;
use super::plan::Plan;
use super::samples::Reader;
use crate::error::Result;
use crate::report::numbers::joined;
use crate::settings::Measurement;

/// A measurement's model in words, after all checks that need no training. Samples are
/// generated into `run` if the configuration asks for that.
pub(crate) fn describe(
    measurement: &Measurement,
    run: &std::path::Path,
    unblind: bool,
) -> Result<String> {
    Parameters::new(measurement, None).check(measurement)?;
    if measurement.generate.is_some() {
        generate(measurement, run, &|_| {})?;
    }
    let (plan, reader) = prepare(measurement, run, unblind, &|_| {})?;
    let mut lines = vec![format!(
        "measures {} without bins in {}, against the reference {}",
        measurement.measurement.interest.join(" and "),
        measurement.training.region,
        measurement.measurement.reference.join(" + ")
    )];
    for process in &plan.processes {
        lines.push(format!(
            "{}: {} events, rate {}, times {}",
            process.name,
            process.events,
            joined(process.rate(), &[process.scale * process.sum_error], " +- "),
            measurement.samples[&process.name].coefficient
        ));
    }
    for ((systematic, process), varied) in &plan.varied {
        let [down, up] = varied.rates;
        let shape = measurement.systematics[systematic].shape && varied.sums.is_some();
        lines.push(format!(
            "{systematic} on {process}: rate x {down:.4} at -1, x {up:.4} at +1{}",
            if shape { ", and the density" } else { "" }
        ));
    }
    lines.extend(blinding(measurement, &reader, &plan));
    let ratios = measurement.ratios().len();
    let second = measurement.measurement.finite_sample_members;
    let networks = ratios as u64 * u64::from(measurement.ensemble.members + second);
    let ensembles = if second > 0 { 2 * ratios } else { ratios };
    lines.push(format!(
        "{ratios} ratios: {ensembles} ensembles, {networks} networks\n\n"
    ));
    lines.extend(plan.notes);
    Ok(lines.join("\n"))
}

/// What is hidden, and what is left to be measured.
fn blinding(measurement: &Measurement, reader: &Reader<'_>, plan: &Plan) -> Option<String> {
    let regions: Vec<&str> = reader.blinding().hidden_regions().collect();
    if regions.is_empty() {
        return None;
    }
    let names = regions.join(", ");
    Some(match withheld(measurement, plan) {
        Some(reason) => format!(
            "blind regions: {names}; {reason}: the observed events are not opened, all numbers are \
             of expected events (Asimov data), and of the limit there is the expected one alone"
        ),
        None => format!("blind regions: {names}; observed events in them are hidden"),
    })
}
