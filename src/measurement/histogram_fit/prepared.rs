//! Samples and runs, read and checked before a fit.

use super::super::backgrounds::{Growing, Replicas, check_without};
use super::super::events::observed;
use super::super::model::{Analysis, Parameters};
use super::super::plan::{Plan, nominal, process, vary};
use super::super::result::BackgroundResult;
use super::super::rules::check_rates;
use super::super::samples::{Reader, Template};
use crate::error::{Result, counted};
use crate::report::numbers::{percent, significant};
use crate::rundir::Progress;
use crate::settings::{CHANNEL_REGION, Limit, LimitChannelConfig, Measurement, Places};
use crate::workflow::{RunOptions, Sample};

/// Share of a channel outside of its parts that is said.
const OUTSIDE: f64 = 0.05;

/// Samples and runs that were read and checked.
pub(super) struct Prepared {
    /// With the nuisance parameters of backgrounds.
    pub(super) measurement: Measurement,
    pub(super) plan: Plan,
    /// Names of these parameters.
    pub(super) added: Vec<String>,
    pub(super) backgrounds: Vec<BackgroundResult>,
    /// Those whose replicas are looked at one by one.
    pub(super) replicas: Vec<Replicas>,
    /// Histograms of the observed events; none if they are not there, or not to be looked at.
    pub(super) observed: Vec<Template>,
}

/// Reads all samples and runs, and checks all that can be checked before a fit.
pub(super) fn prepare(
    limit: &Limit,
    options: &RunOptions,
    progress: &Progress,
) -> Result<Prepared> {
    let base = limit.measurement()?;
    let prepared = read(limit, &base, options, progress);
    let mut prepared = prepared.map_err(|error| error.map(|text| users(&text)))?;
    let notes = &mut prepared.plan.notes;
    notes.iter_mut().for_each(|note| *note = users(note));
    Ok(prepared)
}

/// An error or a note with the names that the user knows: regions of channels are the channels'.
fn users(text: &str) -> String {
    text.replace(&format!("regions.{CHANNEL_REGION}"), CHANNEL_REGION)
}

fn read(
    limit: &Limit,
    base: &Measurement,
    options: &RunOptions,
    progress: &Progress,
) -> Result<Prepared> {
    Parameters::new(base, None).check(base)?;
    let places: Places = options.places();
    let reader = Reader::new(base, places.clone(), options.unblind)?;
    let mut growing = Growing::new(base, &places, Plan::default());
    let parted = limit.channels.iter();
    let parted = parted.filter(|(_, c)| c.categories.is_some());
    let whole = |channel: &String| {
        let region = base.regions.get(&format!("{CHANNEL_REGION}{channel}"));
        region.map(|r| r.selection.clone()).unwrap_or_default()
    };
    growing.wholes = parted
        .map(|(channel, _)| (format!("channels.{channel}.selection"), whole(channel)))
        .collect();
    // the regions of channels are as blind as these
    let is_closed = reader.blinding.is_closed();
    let blind = limit.regions.iter().filter(|(_, r)| r.blind && is_closed);
    growing.hidden = blind
        .map(|(name, r)| (format!("regions.{name}.selection"), r.selection.clone()))
        .collect();
    for (name, channel) in &base.channels {
        let region = reader.region(&channel.region);
        if region.is_some_and(|region| !reader.blinding.shows(region)) {
            let has = |(key, c): &(&String, &LimitChannelConfig)| {
                c.parts(key).iter().any(|part| part.name == *name)
            };
            let of = limit.channels.iter().find(has);
            let region = of.map_or(String::new(), |(_, c)| c.region.clone());
            growing
                .plan
                .hidden
                .insert(format!("channels.{name}"), region);
        }
    }
    let mut backgrounds = Vec::new();
    for (name, config) in &limit.samples {
        match &config.run {
            Some(_) => backgrounds.push(growing.read(name, progress)?),
            None => simulated(limit, &reader, name, &mut growing.plan, progress)?,
        }
    }
    let Growing {
        measurement,
        mut plan,
        added,
        replicas,
        ..
    } = growing;
    plan.files.extend(reader.files());
    let parameters = Parameters::new(&measurement, None);
    parameters.check(&measurement)?;
    check_rates(&Analysis {
        measurement: &measurement,
        plan: &plan,
        parameters: &parameters,
    })?;
    let events = observed(&reader, &plan)?;
    let mut templates = Vec::new();
    if let Some(events) = events {
        events.losses.iter().for_each(|l| plan.note_losses(l, None));
        templates = events.templates;
        let all = templates.iter().flat_map(|t| &t.contents);
        progress.say(&format!("observed: {} events", all.sum::<f64>()));
        plan.files.extend(reader.files().remove_entry("observed"));
    }
    plan.notes.extend(check_without(base, &plan, &templates)?);
    Ok(Prepared {
        measurement,
        plan,
        added,
        backgrounds,
        replicas,
        observed: templates,
    })
}

/// Adds a process of simulated events.
fn simulated(
    limit: &Limit,
    reader: &Reader<'_>,
    name: &str,
    plan: &mut Plan,
    progress: &Progress,
) -> Result<()> {
    let measurement = reader.measurement;
    let sample = nominal(reader, name)?;
    plan.hidden.extend(reader.hidden(&sample));
    let of = process(reader, name, &sample)?;
    plan.rates_alone(measurement, name);
    let varied = measurement.systematics.iter();
    for (systematic, config) in varied.filter(|(_, c)| c.samples.contains_key(name)) {
        let mut found = vary(reader, systematic, (&of, &sample), None, plan)?;
        found.rates = config.rates.get(name).copied().unwrap_or(found.rates);
        plan.note_response(systematic, name, found.rates);
        plan.varied
            .insert((systematic.clone(), name.to_owned()), found);
    }
    progress.say(&format!(
        "sample {name}: {}, rate {} +- {}",
        counted(of.events, "event"),
        significant(of.rate(), 5),
        percent(of.sum_error / of.sum)
    ));
    plan.note_losses(&sample.losses, reader.recorded(name, of.scale));
    note_outside(limit, reader, (name, &sample), plan);
    plan.processes.push(of);
    Ok(())
}

/// Says what of a channel is in none of its parts.
fn note_outside(
    limit: &Limit,
    reader: &Reader<'_>,
    (name, sample): (&str, &Sample),
    plan: &mut Plan,
) {
    for (channel, config) in limit
        .channels
        .iter()
        .filter(|(_, c)| c.categories.is_some())
    {
        let Some(whole) = reader.region(&format!("{CHANNEL_REGION}{channel}")) else {
            continue;
        };
        let parts = config.parts(channel).into_iter();
        let parts = parts.filter_map(|p| reader.region(&format!("{CHANNEL_REGION}{}", p.name)));
        let inside = parts.fold(0_u64, |all, region| all | 1 << region);
        let sum = |wanted: &dyn Fn(u64) -> bool| -> f64 {
            let rows = sample.in_region(whole);
            let rows = rows.filter(|row| wanted(sample.table.flags[*row]));
            rows.map(|row| sample.table.weights[row]).sum()
        };
        let (all, outside) = (sum(&|_| true), sum(&|flags| flags & inside == 0));
        if outside > OUTSIDE * all {
            plan.notes.push(format!(
                "samples.{name}: {} of channels.{channel} is in none of its categories",
                percent(outside / all)
            ));
        }
    }
}
