//! Curves, pulls and ratios as Parquet.

use super::result::{ClsPoint, ContourResult, LimitResult, MeasurementResult};
use crate::error::{Context, Error, Kind, Result};
use crate::files::atomic;
use crate::rundir::RunDirectory;
use arrow::array::{ArrayRef, Float64Array, StringArray};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use std::sync::Arc;

fn text(values: Vec<String>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn numbers(values: Vec<Option<f64>>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

fn save(root: &RunDirectory, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
    let path = root.path().join(name);
    let batch = RecordBatch::try_from_iter(columns).at(Kind::Internal, path.display())?;
    let failed = |e| Error::io(&path, &e).of(Kind::Internal);
    atomic::write_with(&path, failed, |file| {
        let write = || -> Result<_, ParquetError> {
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None)?;
            writer.write(&batch)?;
            writer.close()
        };
        write().map(|_| ()).at(Kind::Internal, path.display())
    })
}

/// Writes `curves.parquet`, `pulls.parquet` and `ratios.parquet`, and `limit.parquet` and
/// `contours.parquet` where there is something in them.
pub(super) fn write(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    curves(root, result)?;
    pulls(root, result)?;
    ratios(root, result)?;
    if let Some(limit) = &result.limit {
        save(root, "limit.parquet", limit_columns(limit))?;
    }
    if result.contours.is_empty() {
        return Ok(());
    }
    contours(root, &result.contours)
}

fn limit_columns(limit: &LimitResult) -> Vec<(&'static str, ArrayRef)> {
    let column =
        |of: &dyn Fn(&ClsPoint) -> Option<f64>| numbers(limit.curve.iter().map(of).collect());
    let names = ["minus_2", "minus_1", "median", "plus_1", "plus_2"];
    let expected = names.into_iter().enumerate();
    let expected = expected.map(|(k, name)| (name, column(&|p| Some(p.expected[k]))));
    let first = [
        ("value", column(&|p| Some(p.value))),
        ("observed", column(&|p| p.observed)),
    ];
    first.into_iter().chain(expected).collect()
}

/// A row a point: the parameters, their values, and t, null where the fit failed.
fn contours(root: &RunDirectory, all: &[ContourResult]) -> Result<()> {
    let mut names: [Vec<String>; 2] = Default::default();
    let mut values: [Vec<Option<f64>>; 2] = Default::default();
    let mut t = Vec::new();
    for contour in all {
        for (x, row) in contour.values[0].iter().zip(&contour.t) {
            for (y, found) in contour.values[1].iter().zip(row) {
                for k in 0..2 {
                    names[k].push(contour.parameters[k].clone());
                    values[k].push(Some([*x, *y][k]));
                }
                t.push(*found);
            }
        }
    }
    let [first, second] = names;
    let [x, y] = values;
    let columns = vec![
        ("first", text(first)),
        ("second", text(second)),
        ("first_value", numbers(x)),
        ("second_value", numbers(y)),
        ("t", numbers(t)),
    ];
    save(root, "contours.parquet", columns)
}

fn curves(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let points: Vec<(String, String, [f64; 2])> = result
        .scans
        .iter()
        .flat_map(|(parameter, scan)| {
            scan.curves.iter().flat_map(move |(name, curve)| {
                let point = move |p: &[f64; 2]| (parameter.clone(), name.clone(), *p);
                curve.points.iter().map(point)
            })
        })
        .collect();
    let column = |i: usize| numbers(points.iter().map(|p| Some(p.2[i])).collect());
    let curves = vec![
        (
            "parameter",
            text(points.iter().map(|p| p.0.clone()).collect()),
        ),
        ("curve", text(points.iter().map(|p| p.1.clone()).collect())),
        ("value", column(0)),
        ("t", column(1)),
    ];
    save(root, "curves.parquet", curves)
}

fn pulls(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let all = &result.fit.parameters;
    let mut pulls = vec![
        ("name", text(all.iter().map(|p| p.name.clone()).collect())),
        (
            "value",
            numbers(all.iter().map(|p| Some(p.value)).collect()),
        ),
        ("error", numbers(all.iter().map(|p| p.error).collect())),
        (
            "error_down",
            numbers(all.iter().map(|p| p.error_down).collect()),
        ),
        (
            "error_up",
            numbers(all.iter().map(|p| p.error_up).collect()),
        ),
        (
            "pull",
            numbers(all.iter().map(|p| p.pull.map(|x| x.0)).collect()),
        ),
        (
            "pull_error",
            numbers(all.iter().map(|p| p.pull.and_then(|x| x.1)).collect()),
        ),
    ];
    let names: Vec<String> = result
        .impacts
        .keys()
        .map(|name| format!("impact_on_{name}"))
        .collect();
    for (name, impacts) in names.iter().zip(result.impacts.values()) {
        let of = |p: &super::result::ParameterResult| {
            let found = impacts.ranking.iter().find(|i| i.name == p.name);
            found.and_then(|i| i.post_fit)
        };
        pulls.push((name, numbers(all.iter().map(of).collect())));
    }
    save(root, "pulls.parquet", pulls)
}

fn ratios(root: &RunDirectory, result: &MeasurementResult) -> Result<()> {
    let all = &result.ratios;
    let ratios = vec![
        ("name", text(all.iter().map(|r| r.name.clone()).collect())),
        (
            "integral",
            numbers(all.iter().map(|r| Some(r.integral[0])).collect()),
        ),
        (
            "integral_error",
            numbers(all.iter().map(|r| Some(r.integral[1])).collect()),
        ),
        (
            "calibration_p",
            numbers(all.iter().map(|r| r.calibration_p).collect()),
        ),
        (
            "auc_after",
            numbers(all.iter().map(|r| r.closure.map(|a| a.value)).collect()),
        ),
        (
            "overtraining",
            numbers(all.iter().map(|r| Some(r.overtraining[0])).collect()),
        ),
        (
            "saturated",
            numbers(all.iter().map(|r| Some(r.saturated)).collect()),
        ),
        (
            "spread",
            numbers(all.iter().map(|r| Some(r.spread)).collect()),
        ),
    ];
    save(root, "ratios.parquet", ratios)
}
