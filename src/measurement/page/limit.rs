//! The upper limit on the page.

use super::super::error::MeasureError;
use super::super::pipeline::Study;
use super::super::result::{ClsPoint, MeasurementResult};
use super::figure;
use super::verdict::limit_text;
use crate::plot::{ClsScan, ClsScanPoint};
use crate::report::page::Section;

/// CLs against the parameter, and what it excludes.
pub(super) fn section(
    study: &Study<'_>,
    result: &MeasurementResult,
) -> Result<Section, MeasureError> {
    let mut section = Section {
        title: "Upper limit".to_owned(),
        ..Section::default()
    };
    let Some(limit) = &result.limit else {
        return Ok(section);
    };
    let parameter = result
        .fit
        .parameters
        .iter()
        .find(|p| p.name == limit.parameter);
    let label = parameter.map_or(&limit.parameter, |p| &p.label);
    let reason = limit.reason.as_ref();
    let text = limit_text(limit, label).map(|text| format!("{text}."));
    let what = match text {
        Some(_) => "Not there",
        None => "There is no limit",
    };
    section.text.extend(text);
    section
        .text
        .extend(reason.map(|reason| format!("{what}: {reason}.")));
    if let Some(alone) = &result.histogram_limit {
        let text = limit_text(alone, label).or_else(|| alone.reason.clone());
        section
            .text
            .extend(text.map(|text| format!("Histograms alone: {text}.")));
    }
    section.text.push(
        "By asymptotic formulae (arXiv:1007.1727): where the likelihood has two minima, or few \
         events, trust the toys instead."
            .to_owned(),
    );
    if limit.curve.len() > 1 {
        let point = |p: &ClsPoint| ClsScanPoint {
            parameter: p.value,
            observed: p.observed,
            expected: p.expected,
        };
        let drawn = ClsScan {
            title: study.measurement.report.data_label.clone(),
            x_label: label.clone(),
            points: limit.curve.iter().map(point).collect(),
            alpha: 1.0 - limit.confidence_level,
        }
        .draw();
        let caption = "CLs, observed and as expected without signal; what lies below the line is \
                       excluded.";
        section
            .figures
            .extend(figure(study, "limit", caption, drawn)?);
    }
    Ok(section)
}
