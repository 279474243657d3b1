//! What pseudo-experiments say: coverage, belt, what they have in common.

use super::super::analyse::{Analyst, LEVELS};
use super::super::error::MeasureError;
use super::super::result::{ScanResult, ToyPoint, ToysResult};
use super::Pool;
use crate::config::{Measurement, ToyEvents, ToysConfig};
use crate::inference::neyman::{Belt, Statistic};
use crate::inference::toys::{PointReport, ToyRecord, toy_set};

/// What the toys of all values say of the fit, and the belt they make.
pub(super) fn report(
    config: &ToysConfig,
    analyst: &Analyst<'_>,
    interest: usize,
    pool: &Pool,
    records: &[Vec<ToyRecord>],
    scan: Option<&ScanResult>,
) -> Result<ToysResult, MeasureError> {
    let failed = |e: crate::inference::neyman::NeymanError| MeasureError::Other(e.to_string());
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
        let spread = reported.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
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
            fitted: [mean, spread.sqrt()],
            bias: (mean - value) / spread.sqrt(),
            pulls: report
                .pulls
                .iter()
                .map(|p| [p.mean, p.mean_error, p.width, p.width_error])
                .collect(),
            at_bound: report.at_bound,
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
    let (belt, no_belt) = match Belt::new(&sets, &levels, Statistic::TwoSided) {
        Ok(belt) => (Some(belt), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let curve: Vec<(f64, f64)> = scan
        .and_then(|scan| scan.curves.get("profiled"))
        .map(|curve| curve.points.iter().map(|p| (p[0], p[1])).collect())
        .unwrap_or_default();
    let sets = belt.iter().flat_map(|belt| {
        let set = |level: &f64| belt.confidence_set(*level, &curve).ok();
        levels.iter().filter_map(set).collect::<Vec<_>>()
    });
    Ok(ToysResult {
        warning: shared_pool(analyst.measurement, config, pool),
        points,
        sets: sets.collect(),
        no_belt,
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
            m.reference.join(" and samples.")
        ),
        ToyEvents::Truth => String::new(),
    };
    let warning = worst.warning()?;
    Some(format!(
        "toys at {} = {value}: {warning}{change}",
        m.interest[0]
    ))
}
