//! The page of a matrix of ensembles: one table for all members, one a region.

use super::conclusions::verdict;
use super::end::EnsembleEnd;
use super::numbers::{known, with_error};
use super::page::{Page, PageVerdict, Section, Status, Table, render};
use super::plots::experiment_label;
use super::ranking::Score;
use super::{comparison, ranking};
use crate::error::{Result, counted};
use crate::plot::ExperimentLabel;
use crate::results::{AucPair, ComparisonMetrics, MemberSummary, RegionMetrics, YieldMetrics};
use crate::rundir::{Progress, RunDirectory, RunState};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes the page and `summary.json` of the whole run from its ensembles; gives the files of its
/// figures, by their path in the run.
///
/// # Errors
/// A figure cannot be drawn or a file not be written.
pub(crate) fn write_matrix(
    root: &RunDirectory,
    ends: &[EnsembleEnd],
    compared: Option<&ComparisonMetrics>,
    page_path: &Path,
    progress: &Progress,
) -> Result<BTreeSet<String>> {
    let Some(first) = ends.first() else {
        return Ok(BTreeSet::new());
    };
    let config = &first.config;
    let (mut sections, drawn) = match compared {
        Some(compared) => {
            let label = common_label(ends, experiment_label(&config.report));
            comparison::write(root, compared, &config.report, &label, progress)?
        }
        None => (Vec::new(), BTreeSet::new()),
    };
    sections.extend(ranking::section(ends));
    sections.push(Section::new("Ensembles").table(Table::new(
        "Each ensemble has a directory and a report of its own.",
        "ensemble | members | failed | mean epochs | report",
        ends.iter().map(member_row),
    )));
    for name in config.regions.keys() {
        let rows = ends.iter().filter_map(|end| region_row(end, name));
        let table = Table::new(
            "Errors: statistical, spread over members, and counting of what the prediction is \
             normalised to, for the ratio those of the observed events as well. AUC 0.5 is closed.",
            "ensemble | observed | predicted | predicted / observed | AUC after | verdict",
            rows,
        );
        if !table.rows.is_empty() {
            sections.push(Section::new(format!("Region {name}")).table(table));
        }
    }
    let page = Page {
        title: config.experiment.name.clone(),
        subtitle: counted(ends.len(), "ensemble"),
        verdict: ends.iter().map(conclusion).collect(),
        facts: Vec::new(),
        sections,
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    root.write(page_path, render(&page).as_bytes())?;
    let scores = ranking::of(ends);
    let summaries = ends.iter().zip(scores);
    let summaries = summaries.map(|(end, score)| (&end.name, summary(end, score)));
    let summaries: IndexMap<&String, EnsembleSummary> = summaries.collect();
    root.write_json(&root.path().join("summary.json"), &summaries)?;
    Ok(drawn)
}

/// The first ensemble's label, without what is not that of all.
fn common_label(ends: &[EnsembleEnd], mut label: ExperimentLabel) -> ExperimentLabel {
    for other in ends.iter().map(|end| experiment_label(&end.config.report)) {
        let words = [
            (&mut label.experiment, other.experiment),
            (&mut label.status, other.status),
            (&mut label.conditions, other.conditions),
        ];
        for (own, _) in words.into_iter().filter(|(own, other)| **own != *other) {
            own.clear();
        }
    }
    label
}

fn conclusion(end: &EnsembleEnd) -> PageVerdict {
    let (status, text) = match (&end.metrics, &end.error) {
        (_, Some(error)) => (Status::Bad, error.to_string()),
        (Some(metrics), None) => {
            let first = verdict(metrics, &end.config).into_iter().next();
            first.map_or((Status::Info, String::new()), |v| (v.status, v.text))
        }
        (None, None) => (Status::Warning, "not finished".to_owned()),
    };
    PageVerdict::new(status, format!("{}: {text}", end.name))
}

fn member_row(end: &EnsembleEnd) -> Vec<String> {
    let members = end.metrics.as_ref().map(|m| &m.members);
    let cell = |text: fn(&MemberSummary) -> String| members.map_or_else(|| "–".to_owned(), text);
    vec![
        end.name.clone(),
        cell(|m| format!("{} of {}", m.usable, m.requested)),
        cell(|m| m.failed.len().to_string()),
        cell(|m| format!("{:.1}", m.mean_epochs)),
        format!("ensembles/{}/report.html", end.name),
    ]
}

fn region_row(end: &EnsembleEnd, name: &str) -> Option<Vec<String>> {
    let region = end.metrics.as_ref()?.regions.get(name)?;
    let y = &region.yields;
    let error = y.after_stat.hypot(y.after_spread);
    let auc = region.auc.map(|auc| auc.after);
    Some(vec![
        end.name.clone(),
        known(y.observed, y.observed_error, "blinded"),
        with_error(y.after, error),
        known(y.ratio, y.ratio_error, "blinded"),
        auc.map_or_else(|| "–".to_owned(), |auc| with_error(auc.value, auc.error)),
        match region.blind {
            true => "blinded".to_owned(),
            false => region.verdict.state.words().to_owned(),
        },
    ])
}

/// One ensemble in `summary.json`.
#[derive(Debug, Deserialize, Serialize)]
pub struct EnsembleSummary {
    /// How it ended.
    pub state: RunState,
    /// What it says as a whole; none without a result.
    pub verdict: Option<crate::results::Verdict>,
    /// Its members.
    pub members: Option<MemberSummary>,
    /// Its regions.
    pub regions: Option<IndexMap<String, RegionSummary>>,
    /// How good it is by `report.rank_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
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

fn summary(end: &EnsembleEnd, score: Option<Score>) -> EnsembleSummary {
    let of = |(name, region): (&String, &RegionMetrics)| {
        let summary = RegionSummary {
            verdict: region.verdict.clone(),
            yields: region.yields.clone(),
            auc: region.auc,
        };
        (name.clone(), summary)
    };
    let metrics = end.metrics.as_ref();
    EnsembleSummary {
        state: end.error.as_ref().map_or(end.state, |_| RunState::Partial),
        verdict: metrics.map(|m| m.verdict.clone()),
        members: metrics.map(|m| m.members.clone()),
        regions: metrics.map(|m| m.regions.iter().map(of).collect()),
        score,
        error: end.error.as_ref().map(ToString::to_string),
    }
}
