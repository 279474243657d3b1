//! Whether the quadrants of a comparison share the events of its region among them.

use crate::error::{Error, Result};
use crate::settings::{EnsembleSpec, Experiment};
use crate::workflow::plan::Plan;
use crate::workflow::sample::{Sample, region_index};

/// Whether every event of the compared region is in exactly one quadrant, and every
/// event of a quadrant in the region: each is varied once and nothing else is.
pub(in crate::workflow) fn check_quadrants(
    experiment: &Experiment,
    spec: &EnsembleSpec,
    plan: &Plan,
) -> Result<()> {
    let Some(config) = &experiment.comparison else {
        return Ok(());
    };
    let Some(reweighting) = &config.reweighting else {
        return Ok(());
    };
    let is_varied = config.place(spec).is_some_and(|[_, method]| {
        method == reweighting.nominal || reweighting.variation.as_deref() == Some(method)
    });
    if !is_varied || reweighting.quadrants.is_empty() {
        return Ok(());
    }
    let bit = |name: &String| 1u64 << region_index(&plan.config, name);
    let region = bit(&config.region);
    let quadrants: Vec<u64> = reweighting.quadrants.iter().map(bit).collect();
    for sample in &plan.samples {
        if let Some(what) = outside_quadrants(sample, region, &quadrants) {
            let reason = format!(
                "{what} (regions {}); the quadrants must share the events of region {} among \
                 them, each in one: correct their selections",
                reweighting.quadrants.join(", "),
                config.region
            );
            return Err(Error::config_at("comparison.reweighting.quadrants", reason));
        }
    }
    Ok(())
}

/// Events that are not in one quadrant and in the region, in words; none if all are.
fn outside_quadrants(sample: &Sample, region: u64, quadrants: &[u64]) -> Option<String> {
    let (mut several, mut none, mut outside) = (0u64, 0u64, 0u64);
    for flags in &sample.table.flags {
        let inside = quadrants.iter().filter(|q| flags & **q != 0).count();
        several += u64::from(inside > 1);
        if flags & region == 0 {
            outside += u64::from(inside > 0);
        } else {
            none += u64::from(inside == 0);
        }
    }
    let found = [
        (several, "are in more than one quadrant"),
        (none, "are in the region and in no quadrant"),
        (outside, "are in a quadrant and not in the region"),
    ];
    let (events, what) = found.into_iter().find(|(events, _)| *events > 0)?;
    Some(format!("{events} events of the {} {what}", sample.role))
}
