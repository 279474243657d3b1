//! Whether the quadrants of a comparison make up its region.

use super::super::events::Sample;
use super::super::plan::region_index;
use super::super::planned::Planned;
use crate::error::{Error, Result};
use crate::settings::{EnsembleSpec, Experiment};

/// Whether every event of the compared region is in exactly one quadrant, and every
/// event of a quadrant in the region: each is varied once and nothing else is.
pub(in crate::workflow) fn check_quadrants(
    experiment: &Experiment,
    spec: &EnsembleSpec,
    plan: &Planned,
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
    let bit = |name: &String| 1u64 << region_index(plan.config(), name);
    let region = bit(&config.region);
    let quadrants: Vec<u64> = reweighting.quadrants.iter().map(bit).collect();
    for sample in plan.samples() {
        check(sample, region, &quadrants).map_err(|what| {
            let reason = format!(
                "{what} (regions {}); the quadrants must share the events of region {} among \
                 them, each in one: correct their selections",
                reweighting.quadrants.join(", "),
                config.region
            );
            Error::config_at("comparison.reweighting.quadrants", reason)
        })?;
    }
    Ok(())
}

fn check(sample: &Sample, region: u64, quadrants: &[u64]) -> Result<(), String> {
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
    let role = sample.role;
    for (events, what) in [
        (several, "are in more than one quadrant"),
        (none, "are in the region and in no quadrant"),
        (outside, "are in a quadrant and not in the region"),
    ] {
        if events > 0 {
            return Err(format!("{events} events of the {role} {what}"));
        }
    }
    Ok(())
}
