//! Profile likelihoods on the page: of one parameter, and of two.

use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::{ContourResult, MeasurementResult, ScanResult};
use super::figure;
use super::verdict::{set_text, with_error};
use crate::plot::{LikelihoodCurve, ProfileContours, ScanCurve};
use crate::report::page::{PageFigure, Section, Table};

/// Names of curves for people, in the order in which they are drawn.
const CURVES: [(&str, &str); 4] = [
    ("profiled", "learned ratios, profiled"),
    ("statistical", "nuisance parameters fixed"),
    ("exact", "exact ratios, profiled"),
    ("histogram", "histogram alone"),
];

pub(super) fn curves(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Profile likelihood".to_owned(),
        ..Section::default()
    };
    for (name, scan) in &result.scans {
        let parameter = result.fit.parameters.iter().find(|p| p.name == *name);
        let label = parameter.map_or(name, |p| &p.label);
        let file = format!("likelihood_{name}");
        let compared: &[&str] = &["profiled", "statistical", "exact"];
        section
            .figures
            .extend(curve(study, &file, label, scan, compared)?);
        if scan.curves.contains_key("histogram") {
            let all: &[&str] = &["profiled", "histogram"];
            let file = format!("gain_{name}");
            section
                .figures
                .extend(curve(study, &file, label, scan, all)?);
        }
        let rows = CURVES.iter().filter_map(|(key, words)| {
            let curve = scan.curves.get(*key)?;
            let sets = scan.intervals.get(*key)?;
            let mut row = vec![
                (*words).to_owned(),
                with_error(curve.best, curve.error, false),
            ];
            row.extend(sets.iter().map(set_text));
            Some(row)
        });
        section.tables.push(Table {
            caption: format!("{label}: intervals from t < 1 and t < 4."),
            header: ["likelihood", "best fit", "68.27 %", "95.45 %"]
                .map(ToOwned::to_owned)
                .to_vec(),
            rows: rows.collect(),
        });
        for (name, reason) in &scan.missing {
            let words = CURVES.iter().find(|(key, _)| key == name);
            let words = words.map_or(name.as_str(), |(_, words)| words);
            section
                .text
                .push(format!("{label}: no curve of {words}: {reason}."));
        }
        if let Some(difference) = scan.largest_difference {
            section.text.push(format!(
                "{label}: learned and exact t differ by at most {difference:.3} where the exact \
                 one is below 9."
            ));
        }
    }
    Ok(section)
}

fn curve(
    study: &Study<'_>,
    file: &str,
    label: &str,
    scan: &ScanResult,
    wanted: &[&str],
) -> Result<Option<PageFigure>, MeasureError> {
    let present = CURVES
        .iter()
        .filter(|(key, _)| wanted.contains(key))
        .filter_map(|(key, words)| Some((*key, *words, scan.curves.get(*key)?)));
    let curves: Vec<(&str, ScanCurve)> = present
        .map(|(key, words, curve)| {
            let mut points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p[0], p[1])).collect();
            if key == "profiled" {
                points.extend(scan.failed.iter().map(|x| (*x, f64::NAN)));
                points.sort_by(|a, b| a.0.total_cmp(&b.0));
            }
            let curve = ScanCurve {
                label: words.to_owned(),
                points,
                best_fit: curve.best,
            };
            (key, curve)
        })
        .collect();
    let reference = curves.iter().position(|(key, _)| *key == "exact");
    let drawn = LikelihoodCurve {
        title: study.measurement.report.data_label.clone(),
        x_label: label.to_owned(),
        curves: curves.into_iter().map(|(_, c)| c).collect(),
        reference,
    }
    .draw();
    let caption = "Twice the negative log-likelihood above its minimum.";
    figure(study, file, caption, drawn)
}

/// Confidence regions of two parameters.
pub(super) fn regions(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Two parameters".to_owned(),
        ..Section::default()
    };
    for found in &result.contours {
        let names = found.parameters.join(" and ");
        match &found.reason {
            Some(reason) => section
                .text
                .push(format!("There is no contour of {names}: {reason}.")),
            None => section.figures.extend(region(study, found)?),
        }
    }
    Ok(section)
}

fn region(study: &Study<'_>, found: &ContourResult) -> Result<Option<PageFigure>, MeasureError> {
    let [x, y] = &found.values;
    let [x_label, y_label] = &found.labels;
    let column = |t: &Vec<Option<f64>>| t.iter().map(|t| t.unwrap_or(f64::NAN)).collect();
    let drawn = ProfileContours {
        title: study.measurement.report.data_label.clone(),
        x_label: x_label.clone(),
        y_label: y_label.clone(),
        x: x.clone(),
        y: y.clone(),
        t: found.t.iter().map(column).collect(),
        levels: found.levels.iter().map(|l| (l.level, l.t)).collect(),
        best_fit: found.best.into(),
    }
    .draw();
    let name = format!("contour_{}", found.parameters.join("-"));
    let caption = "Profile likelihood of two parameters; the borders are those of chi-square with \
                   two degrees of freedom.";
    figure(study, &name, caption, drawn)
}
