//! The page of a measurement, its figures and files.

mod best_fit;
mod curves;
pub(super) mod export;
mod favours;
mod limit;
mod nuisances;
mod toys;
mod trust;
mod verdict;

pub(crate) use verdict::verdict;

use super::error::MeasureError;
use super::events::Events;
use super::likelihoods::Likelihoods;
use super::pipeline::{RESULT, Study};
use super::progress::read_result;
use super::result::MeasurementResult;
use super::tables;
use crate::files::regular::make_folder;
use crate::plot::{Figure, PlotError};
use crate::report::page::{Page, PageFigure, Section, render};
use crate::report::{self, ReportError, numbers};
use crate::rundir::{DirectoryError, RunDirectory};
use sideband_likelihood::UnbinnedChannel;
use sideband_likelihood::fit::Fit;

/// What the page is rendered from.
const PAGE: &str = "page.json";

/// Writes everything. `events`, `channel`: the reference that no network has seen. A figure
/// that cannot be drawn is a note in the result: it ends no measurement.
pub(super) fn write(
    study: &Study<'_>,
    result: &mut MeasurementResult,
    made: &Likelihoods,
    best: &Fit,
    (events, channel): (&Events, &UnbinnedChannel),
) -> Result<(), MeasureError> {
    let root = &study.output;
    let plots = root.plots();
    make_folder(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    tables::write(root, result)?;
    let mut sections = vec![
        best_fit::parameters(study, result)?,
        curves::curves(study, result)?,
        curves::regions(study, result)?,
        limit::section(study, result)?,
        toys::section(study, result)?,
        nuisances::nuisances(study, result)?,
        favours::favours(study, made, best, events, channel)?,
        trust::trust(study, result)?,
        files(&result.export.text),
    ];
    if let Ok(mut undrawn) = study.undrawn.lock() {
        result.notes.append(&mut undrawn);
    }
    let result = &*result;
    // what was not asked for has no heading
    sections.retain(|s| !(s.text.is_empty() && s.tables.is_empty() && s.figures.is_empty()));
    let page = Page {
        title: study
            .measurement
            .report
            .title
            .clone()
            .unwrap_or_else(|| study.measurement.experiment.name.clone()),
        subtitle: study.measurement.experiment.description.clone(),
        verdict: verdict(result),
        facts: facts(study, result),
        sections,
        footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
    };
    root.write_compact(&root.path().join(PAGE), &page)?;
    root.write(&root.report_path(), render(&page).as_bytes())?;
    Ok(())
}

/// Draws page, figures and tables of a result anew, from what is in the run directory: reads
/// no events and fits nothing.
///
/// # Errors
/// [`MeasureError`] if there is no result, or if what it is drawn from is damaged or missing.
pub(crate) fn redraw(root: &RunDirectory) -> Result<MeasurementResult, MeasureError> {
    let again = "run the measurement again, which makes it anew";
    let missing = |name: &str, reason: String| MeasureError::Data {
        key: root.path().join(name).display().to_string(),
        reason: format!("{reason}; {again}"),
    };
    let result = read_result(root)?;
    let result = result.ok_or_else(|| missing(RESULT, "there is no result".to_owned()))?;
    let text = root.read(&root.path().join(PAGE));
    let text = text.map_err(|e| missing(PAGE, format!("not readable: {e}")))?;
    let page: Page =
        serde_json::from_str(&text).map_err(|e| missing(PAGE, format!("not readable: {e}")))?;
    let plots = root.plots();
    make_folder(&plots).map_err(|source| DirectoryError::Io {
        path: plots.clone(),
        source,
    })?;
    for drawn in page.sections.iter().flat_map(|section| &section.figures) {
        // the file may be somebody else's, and a name lead out of the run
        if drawn.name.contains(['/', '\\', '\0']) || drawn.name.starts_with('.') {
            let reason = format!("{:?} is no name of a figure", drawn.name);
            return Err(missing(PAGE, reason));
        }
        let svg = drawn.svg.clone();
        report::save(root, &drawn.name, &Figure { svg })?;
    }
    tables::write(root, &result)?;
    root.write(&root.report_path(), render(&page).as_bytes())?;
    let lost = result
        .files
        .iter()
        .find(|name| !root.path().join(name).is_file());
    match lost {
        Some(name) => Err(missing(name, "it is missing and is not drawn".to_owned())),
        None => Ok(result),
    }
}

/// A figure, saved beside the page; none, with a note, if it cannot be drawn.
fn figure(
    study: &Study<'_>,
    name: &str,
    caption: &str,
    drawn: Result<Figure, PlotError>,
) -> Result<Option<PageFigure>, MeasureError> {
    let named = |source| ReportError::Plot {
        name: name.to_owned(),
        source,
    };
    let saved = drawn.map_err(named).and_then(|drawn| {
        report::save(&study.output, name, &drawn)?;
        Ok(drawn)
    });
    match saved {
        Ok(drawn) => Ok(Some(PageFigure {
            name: name.to_owned(),
            svg: drawn.svg,
            caption: caption.to_owned(),
            ..PageFigure::default()
        })),
        Err(ReportError::Plot { source, .. }) => {
            if let Ok(mut undrawn) = study.undrawn.lock() {
                undrawn.push(format!("the figure {name} is not drawn: {source}"));
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn facts(study: &Study<'_>, result: &MeasurementResult) -> Vec<(String, String)> {
    let networks: u32 = study
        .ensembles
        .iter()
        .map(|e| e.config.ensemble.members)
        .sum();
    let normalisation = result.checks.normalisation.map_or_else(
        || "not known".to_owned(),
        |n| verdict::with_error(n.integral, Some(n.error), false),
    );
    let mut facts = vec![
        ("data".to_owned(), result.data.clone()),
        (
            "events without bins".to_owned(),
            format!(
                "{} (sum of weights {})",
                result.events,
                numbers::number(result.weight)
            ),
        ),
        (
            "expected at the best fit".to_owned(),
            numbers::number(result.expected),
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
