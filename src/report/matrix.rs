//! The page of a matrix of ensembles: one table for all members, one a region.

use super::build::ReportError;
use super::comparison;
use super::numbers::with_error;
use super::page::{Page, Section, Status, Table, Verdict, render};
use super::verdict::verdict;
use crate::background::{ComparisonMetrics, EnsembleEnd};
use crate::run::{RunDirectory, State};
use serde_json::{Value, json};
use std::path::Path;

/// Writes the page and `summary.json` of the whole run from its ensembles.
///
/// # Errors
/// [`ReportError::Directory`] if they cannot be written.
pub fn write_matrix(
    root: &RunDirectory,
    ends: &[EnsembleEnd],
    compared: Option<&ComparisonMetrics>,
    page_path: &Path,
) -> Result<(), ReportError> {
    let Some(first) = ends.first() else {
        return Ok(());
    };
    let config = &first.config;
    let verdicts = ends.iter().map(conclusion).collect();
    let regions = config.regions.keys().filter_map(|name| {
        let rows: Vec<Vec<String>> = ends
            .iter()
            .filter_map(|end| region_row(end, name))
            .collect();
        let header = [
            "ensemble",
            "observed",
            "predicted",
            "predicted / observed",
            "AUC after",
        ];
        (!rows.is_empty()).then(|| Section {
            title: format!("Region {name}"),
            tables: vec![Table {
                caption: "Errors: statistical and spread over members, for the ratio those of \
                          the observed events as well. AUC 0.5 is closed."
                    .to_owned(),
                header: header.map(ToOwned::to_owned).to_vec(),
                rows,
            }],
            ..Section::default()
        })
    });
    let compared = match compared {
        Some(compared) => comparison::write(root, compared, &config.report.data_label)?,
        None => Vec::new(),
    };
    let ensembles = Section {
        title: "Ensembles".to_owned(),
        tables: vec![Table {
            caption: "Each ensemble has a directory and a report of its own.".to_owned(),
            header: ["ensemble", "members", "failed", "mean epochs", "report"]
                .map(ToOwned::to_owned)
                .to_vec(),
            rows: ends.iter().map(member_row).collect(),
        }],
        ..Section::default()
    };
    let page = Page {
        title: config.experiment.name.clone(),
        subtitle: format!("{} ensembles", ends.len()),
        verdict: verdicts,
        facts: Vec::new(),
        sections: compared
            .into_iter()
            .chain(std::iter::once(ensembles))
            .chain(regions)
            .collect(),
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    root.write(page_path, render(&page).as_bytes())?;
    let summary: serde_json::Map<String, Value> = ends
        .iter()
        .map(|end| (end.name.clone(), summary(end)))
        .collect();
    root.write_json(&root.path().join("summary.json"), &summary)?;
    Ok(())
}

fn conclusion(end: &EnsembleEnd) -> Verdict {
    let (status, text) = match (&end.metrics, &end.error) {
        (_, Some(error)) => (Status::Bad, error.to_string()),
        (Some(metrics), None) => verdict(metrics, &end.config)
            .into_iter()
            .next()
            .map_or((Status::Info, String::new()), |v| (v.status, v.text)),
        (None, None) => (Status::Warning, "not finished".to_owned()),
    };
    Verdict {
        status,
        text: format!("{}: {text}", end.name),
    }
}

fn member_row(end: &EnsembleEnd) -> Vec<String> {
    let members = end.metrics.as_ref().map(|m| &m.members);
    let number = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    vec![
        end.name.clone(),
        number(members.map(|m| format!("{} of {}", m.usable, m.requested))),
        number(members.map(|m| m.failed.len().to_string())),
        number(members.map(|m| format!("{:.1}", m.mean_epochs))),
        format!("ensembles/{}/report.html", end.name),
    ]
}

fn region_row(end: &EnsembleEnd, name: &str) -> Option<Vec<String>> {
    let region = end.metrics.as_ref()?.regions.get(name)?;
    let y = &region.yields;
    let pair = |value: Option<f64>, error: Option<f64>| match (value, error) {
        (Some(value), Some(error)) => with_error(value, error),
        _ => "blinded".to_owned(),
    };
    let auc = region.auc.map(|auc| auc.after);
    let auc = auc.map_or_else(|| "–".to_owned(), |auc| with_error(auc.value, auc.error));
    Some(vec![
        end.name.clone(),
        pair(y.observed, y.observed_error),
        pair(Some(y.after), Some(y.after_stat.hypot(y.after_spread))),
        pair(y.ratio, y.ratio_error),
        auc,
    ])
}

fn summary(end: &EnsembleEnd) -> Value {
    let regions = end.metrics.as_ref().map(|metrics| {
        let of = |(name, region): (&String, &crate::background::RegionMetrics)| {
            (
                name.clone(),
                json!({ "yields": region.yields, "auc": region.auc }),
            )
        };
        let map: serde_json::Map<String, Value> = metrics.regions.iter().map(of).collect();
        map
    });
    let state = end.error.as_ref().map_or(end.state, |_| State::Partial);
    json!({
        "state": state,
        "members": end.metrics.as_ref().map(|m| &m.members),
        "regions": regions,
        "error": end.error.as_ref().map(ToString::to_string),
    })
}
