//! Curves, pulls and ratios as Parquet.

use super::allowed::is_allowed;
use super::published;
use super::result::{
    ContourResult, LimitImpactsResult, LimitResult, LimitScanResult, MeasurementResult,
    ParameterResult, RatioTrust,
};
use crate::error::{Context, Kind, Result};
use crate::files::Sink;
use crate::report::csv;
use crate::report::latex::{escape, tabular};
use crate::report::numbers::significant;
use crate::rundir::RunDirectory;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Digits of numbers of events.
const DIGITS: i32 = 6;

/// A column of a table, by what it has of each row.
fn text<R>(rows: &[R], of: impl Fn(&R) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
}

fn numbers<R>(rows: &[R], of: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter(rows.iter().map(of)))
}

fn answers<R>(rows: &[R], of: impl Fn(&R) -> Option<bool>) -> ArrayRef {
    Arc::new(BooleanArray::from_iter(rows.iter().map(of)))
}

fn save(root: &RunDirectory, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
    let path = root.path().join(name);
    let batch = RecordBatch::try_from_iter(columns).at(Kind::Internal, path.display())?;
    let mut sink = Sink::create(&path, path.to_string_lossy(), batch.schema())?;
    sink.write(&batch)?;
    sink.finish()
}

/// Writes `curves.parquet` and `pulls.parquet`, and `ratios.parquet`, `limit.parquet`,
/// `limit_scans.parquet`, `contours.parquet`, `impacts.csv` and `yields.csv`, these as LaTeX too,
/// where there is something in them; of a limit also its submission to HEPData.
pub(super) fn write(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    curves(root, result)?;
    pulls(root, result)?;
    if !result.ratios.is_empty() {
        ratios(root, &result.ratios)?;
    }
    if !result.limit_scans.is_empty() {
        limit_scans(root, &result.limit_scans)?;
    }
    if let Some(impacts) = &result.limit_impacts {
        write_both(root, "impacts", &limit_impacts(impacts))?;
    }
    if !result.yields.is_empty() {
        write_both(root, "yields", &yields(result))?;
    }
    if let Some(limit) = &result.limit {
        limits(root, limit)?;
    }
    if result.method == "limit" {
        published::write(root, result)?;
    }
    match result.contours.as_slice() {
        [] => Ok(()),
        all => contours(root, all),
    }
}

/// Names of the columns of expected limits.
const BANDS: [&str; 5] = ["minus_2", "minus_1", "median", "plus_1", "plus_2"];

/// A row a point: limits, the cross-section of a signal of strength one in fb, with the ends of its
/// uncertainty, and whether the limits allow that strength.
fn limit_scans(root: &RunDirectory, all: &[LimitScanResult]) -> Result<()> {
    let rows = all
        .iter()
        .flat_map(|scan| scan.points.iter().map(move |p| (scan, p)));
    let rows: Vec<_> = rows.collect();
    let mut columns = vec![
        ("parameter", text(&rows, |(scan, _)| scan.parameter.clone())),
        ("value", numbers(&rows, |(_, p)| Some(p.value))),
        ("observed", numbers(&rows, |(_, p)| p.observed)),
    ];
    for (k, name) in BANDS.into_iter().enumerate() {
        columns.push((name, numbers(&rows, |(_, p)| p.expected[k])));
    }
    let range = |k: usize| numbers(&rows, move |(_, p)| Some(p.cross_section_range?[k]));
    columns.extend([
        ("cross_section", numbers(&rows, |(_, p)| p.cross_section)),
        ("cross_section_down", range(0)),
        ("cross_section_up", range(1)),
        (
            "allowed_observed",
            answers(&rows, |(_, p)| is_allowed(p.observed)),
        ),
        (
            "allowed_expected",
            answers(&rows, |(_, p)| is_allowed(p.expected[2])),
        ),
    ]);
    save(root, "limit_scans.parquet", columns)
}

/// A table as rows of cells, the header first.
fn limit_impacts(impacts: &LimitImpactsResult) -> Vec<Vec<String>> {
    let header = ["group", "parameters", "frozen", "removed"].map(str::to_owned);
    let share = |x: Option<f64>| x.map_or_else(String::new, |x| format!("{x:.4}"));
    let rows = impacts.groups.iter().map(|row| {
        let (frozen, removed) = (share(row.relative), share(row.removed));
        vec![
            row.group.clone(),
            row.parameters.to_string(),
            frozen,
            removed,
        ]
    });
    std::iter::once(header.to_vec()).chain(rows).collect()
}

/// The same of events, before the fit and at the best fit.
fn yields(result: &MeasurementResult) -> Vec<Vec<String>> {
    let names = result.rates.keys();
    let header = ["channel", "fit"]
        .map(str::to_owned)
        .into_iter()
        .chain(names.clone().cloned());
    let header = header.chain(["total", "error", "observed"].map(str::to_owned));
    let number = |x: Option<f64>| x.map_or_else(String::new, |x| significant(x, DIGITS));
    let mut rows: Vec<Vec<String>> = vec![header.collect()];
    for (channel, of) in &result.yields {
        let [before, before_error] = of.prefit_total;
        let (after, after_error) = of.postfit_total;
        for (fit, parts, total, error) in [
            ("before", &of.prefit, before, Some(before_error)),
            ("after", &of.postfit, after, after_error),
        ] {
            let mut row = vec![channel.clone(), fit.to_owned()];
            row.extend(names.clone().map(|name| number(parts.get(name).copied())));
            row.extend([Some(total), error, of.observed].map(number));
            rows.push(row);
        }
    }
    rows
}

/// Writes a table as CSV and LaTeX.
fn write_both(root: &RunDirectory, name: &str, rows: &[Vec<String>]) -> Result<()> {
    let lines = rows.iter();
    let lines = lines.map(|row| csv::line(row.iter().map(String::as_str)));
    let text: String = lines.collect();
    root.write(&root.path().join(format!("{name}.csv")), text.as_bytes())?;
    let escaped = rows
        .iter()
        .map(|row| row.iter().map(|cell| escape(cell)).collect());
    let tex = tabular(&escaped.collect::<Vec<Vec<String>>>());
    root.write(&root.path().join(format!("{name}.tex")), tex.as_bytes())
}

fn limits(root: &RunDirectory, limit: &LimitResult) -> Result<()> {
    let mut columns = vec![
        ("value", numbers(&limit.curve, |p| Some(p.value))),
        ("observed", numbers(&limit.curve, |p| p.observed)),
    ];
    for (k, name) in BANDS.into_iter().enumerate() {
        columns.push((name, numbers(&limit.curve, |p| Some(p.expected[k]))));
    }
    save(root, "limit.parquet", columns)
}

/// A row a point: the parameters, their values, and t, null where the fit failed.
fn contours(root: &RunDirectory, all: &[ContourResult]) -> Result<()> {
    let mut points = Vec::new();
    for contour in all {
        for (x, row) in contour.values[0].iter().zip(&contour.t) {
            for (y, t) in contour.values[1].iter().zip(row) {
                points.push((&contour.parameters, [*x, *y], *t));
            }
        }
    }
    let columns = vec![
        ("first", text(&points, |p| p.0[0].clone())),
        ("second", text(&points, |p| p.0[1].clone())),
        ("first_value", numbers(&points, |p| Some(p.1[0]))),
        ("second_value", numbers(&points, |p| Some(p.1[1]))),
        ("t", numbers(&points, |p| p.2)),
    ];
    save(root, "contours.parquet", columns)
}

fn curves(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let mut points = Vec::new();
    for (parameter, scan) in &result.scans {
        for (name, curve) in &scan.curves {
            points.extend(curve.points.iter().map(|p| (parameter, name, *p)));
        }
    }
    let columns = vec![
        ("parameter", text(&points, |p| p.0.clone())),
        ("curve", text(&points, |p| p.1.clone())),
        ("value", numbers(&points, |p| Some(p.2[0]))),
        ("t", numbers(&points, |p| Some(p.2[1]))),
    ];
    save(root, "curves.parquet", columns)
}

fn pulls(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let all = &result.fit.parameters;
    let impacts = result.impacts.iter();
    let impacts: Vec<(String, ArrayRef)> = impacts
        .map(|(name, impacts)| {
            let of = |p: &ParameterResult| {
                let found = impacts.ranking.iter().find(|i| i.name == p.name);
                found.and_then(|i| i.post_fit)
            };
            (format!("impact_on_{name}"), numbers(all, of))
        })
        .collect();
    let mut columns = vec![
        ("name", text(all, |p| p.name.clone())),
        ("value", numbers(all, |p| Some(p.value))),
        ("error", numbers(all, |p| p.error)),
        ("error_down", numbers(all, |p| p.error_down)),
        ("error_up", numbers(all, |p| p.error_up)),
        ("pull", numbers(all, |p| p.pull.map(|x| x.0))),
        ("pull_error", numbers(all, |p| p.pull.and_then(|x| x.1))),
    ];
    let impacts = impacts.iter();
    columns.extend(impacts.map(|(name, column)| (name.as_str(), Arc::clone(column))));
    save(root, "pulls.parquet", columns)
}

fn ratios(root: &RunDirectory, all: &[RatioTrust]) -> Result<()> {
    let columns = vec![
        ("name", text(all, |r| r.name.clone())),
        ("integral", numbers(all, |r| Some(r.integral[0]))),
        ("integral_error", numbers(all, |r| Some(r.integral[1]))),
        ("calibration_p", numbers(all, |r| r.calibration_p)),
        ("auc_after", numbers(all, |r| r.closure.map(|a| a.value))),
        ("overtraining", numbers(all, |r| Some(r.overtraining[0]))),
        ("saturated", numbers(all, |r| Some(r.saturated))),
        ("spread", numbers(all, |r| Some(r.spread))),
    ];
    save(root, "ratios.parquet", columns)
}
