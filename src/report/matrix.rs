//! The page of a matrix of ensembles: one table for all members, one a region.

use super::build::ReportError;
use super::comparison;
use super::numbers::with_error;
use super::page::{Page, Section, Status, Table, Verdict, render};
use super::verdict::verdict;
use crate::results::{
    AucPair, ComparisonMetrics, MemberSummary, Metrics, RegionMetrics, YieldMetrics,
};
use crate::rundir::{RunDirectory, State};
use crate::settings::Config;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How one ensemble ended.
#[derive(Debug)]
pub(crate) struct EnsembleEnd {
    pub name: String,
    pub config: Config,
    pub directory: RunDirectory,
    /// Complete, partial or interrupted.
    pub state: State,
    /// The numbers, if there are any.
    pub metrics: Option<Metrics>,
    /// Why there are none, if not for an interruption.
    pub error: Option<ReportError>,
}

/// Writes the page and `summary.json` of the whole run from its ensembles.
///
/// # Errors
/// They cannot be written.
pub(crate) fn write_matrix(
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
            "verdict",
        ];
        (!rows.is_empty()).then(|| Section {
            title: format!("Region {name}"),
            tables: vec![Table {
                caption: "Errors: statistical, spread over members, and counting of what the \
                          prediction is normalised to, for the ratio those of the observed events \
                          as well. AUC 0.5 is closed."
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
    let summary: IndexMap<String, EnsembleSummary> = ends
        .iter()
        .map(|end| (end.name.clone(), summary(end)))
        .collect();
    root.write_json(&root.path().join("summary.json"), &summary)
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
        if region.blind {
            "blinded".to_owned()
        } else {
            region.verdict.state.words().to_owned()
        },
    ])
}

/// One ensemble in `summary.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct EnsembleSummary {
    /// How it ended.
    pub state: State,
    /// What it says as a whole; none without a result.
    pub verdict: Option<crate::results::Verdict>,
    /// Its members.
    pub members: Option<MemberSummary>,
    /// Its regions.
    pub regions: Option<IndexMap<String, RegionSummary>>,
    /// Why there is no result.
    pub error: Option<String>,
}

/// One region of an ensemble in `summary.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct RegionSummary {
    /// Whether prediction and observation agree.
    pub verdict: crate::results::Verdict,
    pub yields: YieldMetrics,
    /// AUC of a fresh classifier.
    pub auc: Option<AucPair>,
}

fn summary(end: &EnsembleEnd) -> EnsembleSummary {
    let regions = end.metrics.as_ref().map(|metrics| {
        let of = |(name, region): (&String, &RegionMetrics)| {
            let summary = RegionSummary {
                verdict: region.verdict.clone(),
                yields: region.yields.clone(),
                auc: region.auc,
            };
            (name.clone(), summary)
        };
        metrics.regions.iter().map(of).collect()
    });
    EnsembleSummary {
        state: end.error.as_ref().map_or(end.state, |_| State::Partial),
        verdict: end.metrics.as_ref().map(|m| m.verdict.clone()),
        members: end.metrics.as_ref().map(|m| m.members.clone()),
        regions,
        error: end.error.as_ref().map(ToString::to_string),
    }
}
