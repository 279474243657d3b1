//! The page of a measurement, its figures and files.

mod best_fit;
mod curves;
mod export;
mod favours;
mod limit;
mod nuisances;
mod toys;
mod trust;
mod verdict;

pub use verdict::verdict;

use super::error::MeasureError;
use super::events::Events;
use super::likelihoods::Likelihoods;
use super::pipeline::{RESULT, Study};
use super::result::MeasurementResult;
use super::tables;
use crate::inference::UnbinnedChannel;
use crate::inference::fit::Fit;
use crate::report::ReportError;
use crate::report::page::{Page, PageFigure, Section, render};
use crate::report::plot::{Figure, PlotError};
use crate::run::regular::make_folder;
use crate::run::{DirectoryError, OutputRecord, RunDirectory};
use serde::{Deserialize, Serialize};

/// Writes everything. `events`, `channel`: the reference that no network has seen.
pub(super) fn write(
    study: &Study<'_>,
    result: &MeasurementResult,
    made: &Likelihoods,
    best: &Fit,
    (events, channel): (&Events, &UnbinnedChannel),
) -> Result<(), MeasureError> {
    let root = study.root;
    let plots = root.plots();
    std::fs::create_dir_all(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    // a page is never older than the numbers beside it
    let _ = std::fs::remove_file(root.report_path());
    root.write_json(&root.path().join(RESULT), result)?;
    tables::write(root, result)?;
    let export = export::export(study, made)?;
    let mut sections = vec![
        best_fit::parameters(study, result)?,
        curves::curves(study, result)?,
        curves::regions(study, result)?,
        limit::section(study, result)?,
        toys::section(study, result)?,
        nuisances::nuisances(study, result)?,
        favours::favours(study, made, best, events, channel)?,
        trust::trust(study, result)?,
        files(&export),
    ];
    // what was not asked for has no heading
    sections.retain(|s| !(s.text.is_empty() && s.tables.is_empty() && s.figures.is_empty()));
    let page = Page {
        title: study.measurement.experiment.name.clone(),
        subtitle: study.measurement.experiment.description.clone(),
        verdict: verdict(result),
        facts: facts(study, result),
        sections,
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    let kept = Kept {
        result: record(root)?,
        page,
    };
    root.write_compact(&root.path().join(KEPT), &kept)?;
    root.write(&root.report_path(), render(&kept.page).as_bytes())?;
    Ok(())
}

/// What the page was drawn from, for one who draws it anew.
const KEPT: &str = "page.json";

/// `page.json`: the page with its figures, and the numbers that it is of.
#[derive(Serialize, Deserialize)]
struct Kept {
    result: OutputRecord,
    page: Page,
}

fn record(root: &RunDirectory) -> Result<OutputRecord, DirectoryError> {
    let path = root.path().join(RESULT);
    OutputRecord::of(&path).map_err(|source| DirectoryError::Io { path, source })
}

/// Draws the page of a measurement anew, with all figures; nothing is fitted.
///
/// # Errors
/// [`MeasureError`] if there is no result, or it is not as it was written.
pub fn redraw(root: &RunDirectory) -> Result<MeasurementResult, MeasureError> {
    let unfinished = |text: &str| ReportError::Unfinished(text.to_owned());
    let result = super::read_result(root)?.ok_or_else(|| unfinished("it is not finished"))?;
    let path = root.path().join(KEPT);
    if !path.exists() {
        return Err(unfinished("its page was not kept (it has no page.json)").into());
    }
    let kept: Kept = serde_json::from_str(&root.read(&path)?)
        .map_err(|e| unfinished(&format!("page.json is not readable: {e}")))?;
    if kept.result != record(root)? {
        return Err(unfinished("measurement.json is not the one that its page is of").into());
    }
    let plots = root.plots();
    make_folder(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    for figure in kept.page.sections.iter().flat_map(|s| &s.figures) {
        let is_plain = !figure.name.contains(['/', '\\', '\0']) && !figure.name.starts_with('.');
        if !is_plain {
            return Err(unfinished("page.json has a figure without a name").into());
        }
        let drawn = Figure {
            svg: figure.svg.clone(),
        };
        save(root, &figure.name, &drawn)?;
    }
    root.write(&root.report_path(), render(&kept.page).as_bytes())?;
    Ok(result)
}

/// Writes a figure as SVG and PNG.
fn save(root: &RunDirectory, name: &str, drawn: &Figure) -> Result<(), MeasureError> {
    let failed = |source| ReportError::Plot {
        name: name.to_owned(),
        source,
    };
    let path = |ending: &str| root.plots().join(format!("{name}.{ending}"));
    root.write(&path("svg"), drawn.svg.as_bytes())?;
    root.write(&path("png"), &drawn.to_png().map_err(failed)?)?;
    Ok(())
}

/// A figure, saved beside the page.
fn figure(
    study: &Study<'_>,
    name: &str,
    caption: &str,
    drawn: Result<Figure, PlotError>,
) -> Result<PageFigure, MeasureError> {
    let failed = |source| ReportError::Plot {
        name: name.to_owned(),
        source,
    };
    let drawn = drawn.map_err(failed)?;
    save(study.root, name, &drawn)?;
    Ok(PageFigure {
        name: name.to_owned(),
        svg: drawn.svg,
        caption: caption.to_owned(),
    })
}

fn facts(study: &Study<'_>, result: &MeasurementResult) -> Vec<(String, String)> {
    let networks: u32 = study
        .ensembles
        .iter()
        .map(|e| e.config.ensemble.members)
        .sum();
    let normalisation = result.checks.normalisation.map_or_else(
        || "not known".to_owned(),
        |n| format!("{:.4} ± {:.4}", n.integral, n.error),
    );
    let mut facts = vec![
        ("data".to_owned(), result.data.clone()),
        (
            "events without bins".to_owned(),
            format!("{} (sum of weights {:.1})", result.events, result.weight),
        ),
        (
            "expected at the best fit".to_owned(),
            format!("{:.1}", result.expected),
        ),
        (
            "networks".to_owned(),
            format!("{networks} in {} ensembles", study.ensembles.len()),
        ),
        (
            "integral of the density at the best fit".to_owned(),
            normalisation,
        ),
        (
            "densities below the barrier".to_owned(),
            result.checks.not_positive.to_string(),
        ),
        (
            "fit and scans".to_owned(),
            format!(
                "{:.2} s, projected gradient {:.1e}",
                result.fit.seconds, result.fit.gradient
            ),
        ),
    ];
    if let Some(finite) = &result.finite_sample {
        facts.push((
            "error from the finite training sample".to_owned(),
            format!(
                "{:.4} at {:.4}, from {} bootstrapped members and {} others",
                finite.error, finite.value, finite.members[0], finite.members[1]
            ),
        ));
    }
    facts
}

fn files(export: &str) -> Section {
    Section {
        title: "Files".to_owned(),
        text: vec![
            "measurement.json has every number of this page; curves.parquet, pulls.parquet and \
             ratios.parquet have the curves, the nuisance parameters and the table of ratios, \
             limit.parquet and contours.parquet CLs and t of two parameters where asked for."
                .to_owned(),
            export.to_owned(),
        ],
        ..Section::default()
    }
}
