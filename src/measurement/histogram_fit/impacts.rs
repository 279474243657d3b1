//! What groups of nuisance parameters do to the expected limit, and limits along a parameter that
//! is fixed.

use super::super::allowed::allowed_values;
use super::super::limits::HistogramData;
use super::super::model::Analysis;
use super::super::result::{LimitImpactRow, LimitImpactsResult, LimitScanPoint, LimitScanResult};
use crate::error::{Context, Error, Kind, Result};
use crate::settings::{Limit, LimitConfig, ScanConfig, SystematicConfig};
use glob::Pattern;
use indexmap::IndexMap;
use rayon::prelude::*;
use sideband_likelihood::asymptotic::{
    Asymptotics, ImpactKind, LimitImpact, LimitImpactSettings, LimitSettings, limit_impacts,
};
use sideband_likelihood::fit::Group;
use sideband_likelihood::histogram::HistogramModel;
use sideband_likelihood::{Error as NoLimit, Role};

/// The row with everything but the statistics of the data.
const ALL: &str = "All nuisance parameters";
/// The row of all that backgrounds brought.
const BACKGROUNDS: &str = "Background modelling";

/// The group of a systematic uncertainty that the configuration puts in none.
fn default_group(limit: &Limit, config: &SystematicConfig) -> &'static str {
    let of_signal = |name: &String| limit.is_signal(name);
    match config.samples.is_empty() {
        false => "Experimental",
        true if config.rates.keys().all(of_signal) => "Uncertainty on signal rate",
        true => "All other theory",
    }
}

/// The groups of a model's nuisance parameters, those of the configuration first and what has
/// most of them last. `added`: names of the parameters of backgrounds that are runs.
pub(super) fn groups(
    limit: &Limit,
    analysis: Analysis<'_>,
    model: &HistogramModel,
    added: &[String],
) -> Result<Vec<Group>> {
    let measurement = analysis.measurement;
    let mut groups: IndexMap<String, Vec<usize>> = IndexMap::new();
    let is_free = |place: usize| !model.fixed.iter().any(|(fixed, _)| *fixed == place);
    let nuisance = |(place, name): &(usize, &str)| {
        model.parameters[*place].role == Role::Nuisance && is_free(*place) && !name.is_empty()
    };
    let names = model.parameters.iter().map(|p| p.name.as_str());
    let all: Vec<(usize, &str)> = names.enumerate().filter(nuisance).collect();
    for (row, patterns) in &limit.measurement.groups {
        let key = format!("measurement.groups.{row}");
        let patterns = patterns.iter().map(|text| Pattern::new(text));
        let patterns: Vec<Pattern> = patterns.collect::<Result<_, _>>().key(Kind::Config, &key)?;
        let own = all
            .iter()
            .filter(|(_, name)| patterns.iter().any(|p| p.matches(name)));
        let own: Vec<usize> = own.map(|(place, _)| *place).collect();
        if own.is_empty() {
            let text = "matches no nuisance parameter that is fitted";
            return Err(Error::config_at(key, text));
        }
        groups.insert(row.clone(), own);
    }
    let bins = analysis.parameters.list.len();
    let mut of_backgrounds = Vec::new();
    for (place, name) in &all {
        let group = match measurement.systematics.get(*name) {
            Some(config) => {
                let own = config.group.as_deref();
                own.unwrap_or_else(|| default_group(limit, config))
            }
            None if *place >= bins => "Background statistics",
            None => "Norm factors",
        };
        let own = groups.entry(group.to_owned()).or_default();
        // a row of the configuration may have the name of a group
        if !own.contains(place) {
            own.push(*place);
        }
        if added.iter().any(|own| own == name) {
            of_backgrounds.push(*place);
        }
    }
    for (name, places) in [
        (BACKGROUNDS, of_backgrounds),
        (ALL, all.iter().map(|(place, _)| *place).collect()),
    ] {
        // a row that says what another one says is none
        let is_new = !groups.contains_key(name) && !groups.values().any(|known| *known == places);
        if is_new && !places.is_empty() {
            groups.insert(name.to_owned(), places);
        }
    }
    let group = |(name, parameters)| Group { name, parameters };
    Ok(groups.into_iter().map(group).collect())
}

/// The table of impacts, of groups frozen and removed.
pub(super) fn table(
    analysis: Analysis<'_>,
    (config, data): (&LimitConfig, &HistogramData),
    groups: Vec<Group>,
) -> Result<LimitImpactsResult, NoLimit> {
    let Some(place) = analysis.limited(config) else {
        return Ok(LimitImpactsResult::default());
    };
    let asked = |kind| LimitImpactSettings {
        level: config.confidence_level,
        kind,
        groups: groups.clone(),
    };
    let settings = analysis.settings();
    let frozen = limit_impacts(data, place, &settings, &asked(ImpactKind::Frozen))?;
    let removed = limit_impacts(data, place, &settings, &asked(ImpactKind::Removed))?;
    let both = frozen.groups.into_iter().zip(removed.groups).zip(&groups);
    let row = |((frozen, removed), group): ((LimitImpact, LimitImpact), &Group)| {
        let reasons = [&frozen.limit, &removed.limit].into_iter();
        let reasons = reasons.filter_map(|limit| Some(limit.as_ref().err()?.to_string()));
        let reasons: Vec<String> = reasons.collect();
        LimitImpactRow {
            group: group.name.clone(),
            parameters: group.parameters.len(),
            relative: frozen.relative,
            frozen: frozen.limit.ok(),
            removed: removed.relative,
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        }
    };
    Ok(LimitImpactsResult {
        parameter: analysis.parameters.list[place].name.clone(),
        expected: frozen.expected,
        groups: both.map(row).collect(),
    })
}

/// Upper limits at values of a parameter that is fixed elsewhere. `is_hidden`: of the limits
/// there are the expected ones alone.
pub(super) fn along(
    analysis: Analysis<'_>,
    scan: &ScanConfig,
    (config, data): (&LimitConfig, &HistogramData),
    is_hidden: bool,
) -> Result<LimitScanResult> {
    let missing = || Error::config_at("measurement.scans", "names no parameter");
    let limited = analysis.limited(config).ok_or_else(missing)?;
    let place = analysis
        .parameters
        .place(&scan.parameter)
        .ok_or_else(missing)?;
    let (low, high) = analysis.parameters.list[place].bounds;
    let range = scan.range.unwrap_or([low, high]);
    let values = analysis.evenly(place, range, scan.points);
    let asked = LimitSettings {
        level: config.confidence_level,
        statistic: config.test_stat.into(),
        strict_bounds: false,
    };
    let at = |value: &f64| {
        let settings = analysis.settings().with_fixed(place, *value);
        let tests = Asymptotics::new(data, limited, 0.0, &settings);
        let limits = match tests.and_then(|tests| tests.limits_with(&asked)) {
            Ok(limits) => limits,
            Err(error) => {
                return LimitScanPoint {
                    value: *value,
                    reason: Some(error.to_string()),
                    ..LimitScanPoint::default()
                };
            }
        };
        let mut reasons = Vec::new();
        let mut known = |limit: Result<f64, NoLimit>| match limit {
            Ok(limit) => Some(limit),
            Err(error) => {
                reasons.push(error.to_string());
                None
            }
        };
        LimitScanPoint {
            value: *value,
            observed: if is_hidden {
                None
            } else {
                known(limits.observed)
            },
            expected: limits.expected.map(&mut known),
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            ..LimitScanPoint::default()
        }
    };
    let mut points: Vec<LimitScanPoint> = values.par_iter().map(at).collect();
    if let Some(theory) = &scan.cross_section {
        let theory = theory.function("measurement.scans.cross_section", &scan.parameter)?;
        for point in &mut points {
            let (value, range) = theory.at(point.value);
            (point.cross_section, point.cross_section_range) = (Some(value), range);
        }
    }
    Ok(LimitScanResult {
        parameter: scan.parameter.clone(),
        allowed: Some(allowed_values(&points, !is_hidden)),
        points,
    })
}
