//! The trust report of all ratios on the page.

use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::MeasurementResult;
use super::super::trust::RatioTrust;
use super::figure;
use crate::plot::{Calibration, Point};
use crate::report::numbers::{percent, with_error};
use crate::report::page::{Section, Status, Table};

pub(super) fn trust(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let header = [
        "ratio",
        "members",
        "integral",
        "calibration p",
        "AUC after",
        "open features",
        "over-training",
        "saturated",
        "spread",
        "verdict",
        "page",
    ];
    let rows = result.ratios.iter().map(|r| {
        let dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let words = match r.status {
            Status::Good => "good".to_owned(),
            _ => r.reasons.join("; "),
        };
        vec![
            r.name.clone(),
            r.members.to_string(),
            with_error(r.integral[0], r.integral[1]),
            dash(r.calibration_p.map(|p| format!("{p:.2e}"))),
            dash(r.closure.map(|a| with_error(a.value, a.error))),
            format!("{} of {}", r.open_features[0], r.open_features[1]),
            format!("{:+.1e} ± {:.1e}", r.overtraining[0], r.overtraining[1]),
            percent(r.saturated),
            percent(r.spread),
            words,
            format!("ensembles/{}/report.html", r.name),
        ]
    });
    let mut section = Section {
        title: "Ratios".to_owned(),
        text: vec![
            "Every ratio on events that no network has seen: the integral of r over the \
             denominator, the calibration curve, a fresh classifier of the reweighted denominator \
             against the numerator, closure in every feature, cross-entropy on unseen less that on \
             training events, events with more |log r| than the sample can support, and the \
             relative spread of the members. Each has a page of its own."
                .to_owned(),
        ],
        tables: vec![Table {
            caption: "Trust in the ratios.".to_owned(),
            header: header.map(ToOwned::to_owned).to_vec(),
            rows: rows.collect(),
        }],
        ..Section::default()
    };
    // the worst are drawn; the others have pages of their own
    let mut worst: Vec<_> = result.ratios.iter().collect();
    let p = |r: &RatioTrust| r.calibration_p.unwrap_or(1.0);
    worst.sort_by(|a, b| p(a).total_cmp(&p(b)));
    let groups: Vec<(String, Vec<Point>)> = worst
        .iter()
        .take(6)
        .map(|r| {
            let point = |c: &crate::closure::CalibrationPoint| Point {
                predicted: c.predicted,
                observed: c.observed,
                error: c.error,
                low: c.low,
                high: c.high,
            };
            (r.name.clone(), r.calibration.iter().map(point).collect())
        })
        .collect();
    if groups.iter().any(|(_, points)| !points.is_empty()) {
        let drawn = Calibration {
            title: study.measurement.report.data_label.clone(),
            groups,
            x_label: "predicted fraction r / (1 + r)".to_owned(),
            y_label: "observed fraction".to_owned(),
        }
        .draw();
        let caption = "Calibration of the ratios, the least calibrated first, six at most.";
        section
            .figures
            .extend(figure(study, "calibration", caption, drawn)?);
    }
    Ok(section)
}
