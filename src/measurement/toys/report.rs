//! What pseudo-experiments say: coverage, belt, what they have in common.

use super::super::analyse::{Analyst, LEVELS};
use super::super::error::MeasureError;
use super::super::result::{ScanResult, ToyPoint, ToysResult};
use super::Pool;
use crate::settings::{Measurement, ToyEvents, ToysConfig};
use sideband_likelihood::neyman::{Belt, Statistic};
use sideband_likelihood::toys::{PointReport, ToyRecord, toy_set};

/// What the toys of all values say of the fit, and the belt they make.
pub(super) fn report(
    config: &ToysConfig,
    analyst: &Analyst<'_>,
    interest: usize,
    pool: &Pool,
    records: &[Vec<ToyRecord>],
    scan: Option<&ScanResult>,
) -> Result<ToysResult, MeasureError> {
    let failed = |e: sideband_likelihood::Error| MeasureError::Other(e.to_string());
    let levels = LEVELS.map(|(level, _)| level);
    let mut points = Vec::new();
    for ((value, records), point) in config.grid.iter().zip(records).zip(&pool.points) {
        let report = PointReport::new(records, &levels).map_err(failed)?;
        let reported: Vec<f64> = records
            .iter()
            .filter(|r| r.converged)
            .map(|r| analyst.parameters.value(interest, r.fitted[interest]))
            .collect();
        let n = reported.len() as f64;
        let mean = reported.iter().sum::<f64>() / n;
        let square = reported.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let spread = (reported.len() > 1).then(|| (square / (n - 1.0)).sqrt());
        let good = || records.iter().filter(|r| r.converged);
        let on_bound = good().filter(|r| r.errors.get(interest) == Some(&0.0));
        let duplicates = point.pool.duplicates();
        points.push(ToyPoint {
            value: *value,
            toys: report.toys,
            failed: report.failed,
            events: point.pool.expected(),
            coverage: report
                .asymptotic
                .iter()
                .map(|c| [c.counted.value, c.counted.low, c.counted.high])
                .collect(),
            fitted: (mean, spread),
            bias: spread
                .filter(|s| *s > 0.0)
                .map(|spread| (mean - value) / spread),
            pulls: report
                .pulls
                .iter()
                .map(|p| [p.mean, p.mean_error, p.width, p.width_error])
                .map(|p| p.iter().all(|x| x.is_finite()).then_some(p))
                .collect(),
            at_bound: on_bound.count() as f64 / n,
            largest_weight: duplicates.largest_weight,
            duplicates: duplicates.share,
            common_shift: duplicates.common_shift,
            t: toy_set(*value, records).t,
        });
    }
    let sets: Vec<_> = config
        .grid
        .iter()
        .zip(records)
        .map(|(value, records)| toy_set(*value, records))
        .collect();
    // a level that there are too few toys for withholds no other
    let mut no_belt = Vec::new();
    let possible: Vec<f64> = levels
        .iter()
        .copied()
        .filter(
            |level| match Belt::new(&sets, &[*level], Statistic::TwoSided) {
                Ok(_) => true,
                Err(error) => {
                    no_belt.push(format!("{:.2} %: {error}", 100.0 * level));
                    false
                }
            },
        )
        .collect();
    let belt = match possible.as_slice() {
        [] => None,
        levels => Belt::new(&sets, levels, Statistic::TwoSided).ok(),
    };
    let curve: Vec<(f64, f64)> = scan
        .and_then(|scan| scan.curves.get("profiled"))
        .map(|curve| curve.points.iter().map(|p| (p[0], p[1])).collect())
        .unwrap_or_default();
    let mut no_sets = Vec::new();
    let mut confidence_sets = Vec::new();
    for level in belt.iter().flat_map(Belt::levels) {
        match belt
            .as_ref()
            .map(|belt| belt.confidence_set(*level, &curve))
        {
            Some(Ok(set)) => confidence_sets.push(set),
            Some(Err(error)) => no_sets.push(format!("{:.2} %: {error}", 100.0 * level)),
            None => (),
        }
    }
    let joined = |reasons: Vec<String>| (!reasons.is_empty()).then(|| reasons.join("; "));
    Ok(ToysResult {
        warning: shared_pool(analyst.measurement, config, pool),
        points,
        sets: confidence_sets,
        no_sets: joined(no_sets),
        no_belt: joined(no_belt),
        belt: belt.map(|belt| belt.points().to_vec()).unwrap_or_default(),
    })
}

/// What toys have in common because their pool is finite, where that is worst, and what to
/// change.
fn shared_pool(measurement: &Measurement, config: &ToysConfig, pool: &Pool) -> Option<String> {
    let points = config.grid.iter().zip(&pool.points);
    let all = points.map(|(value, point)| (value, point.pool.duplicates()));
    let (value, worst) = all.max_by(|a, b| a.1.common_shift.total_cmp(&b.1.common_shift))?;
    let m = &measurement.measurement;
    let change = match config.events {
        ToyEvents::Simulated => format!(
            ": give samples.{} more events, or raise training.held_out",
            match &pool.source {
                Some(process) => process.clone(),
                None => m.reference.join(" and samples."),
            }
        ),
        ToyEvents::Truth => String::new(),
    };
    let warning = worst.warning()?;
    Some(format!(
        "toys at {} = {value}: {warning}{change}",
        m.interest[0]
    ))
}
