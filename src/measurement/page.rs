//! The page of a measurement, its figures and files.

mod favours;
mod histograms;
mod kept;
mod limit;
mod limit_toys;
mod sections;
mod sheet;
mod toys;
mod words;

pub(super) use limit::{limit_facts, limit_kept};
pub(super) use sheet::Sheet;
pub(crate) use words::verdict;

use super::events::Events;
use super::likelihoods::Likelihoods;
use super::model::Analysis;
use super::progress::read_result;
use super::result::{MeasurementResult, RESULT};
use super::tables;
use crate::error::{Error, OnFile, Result, counted};
use crate::files::formats::PAGE as FORMAT;
use crate::files::from_text;
use crate::files::regular::make_folder;
use crate::report::page::{Page, Section, render};
use crate::report::{self, numbers};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::{EnsembleSpec, Experiment, Limit, Measurement};
use crate::workflow::redo_matrix;
use kept::Kept;
use serde::Deserialize;
use sideband_likelihood::UnbinnedChannel;
use sideband_likelihood::fit::Fit;

/// What the page is drawn from, beside the result.
const PAGE: &str = "page.json";

/// What the page takes of the likelihoods and the events. `inputs`: their names; `pool`: the
/// reference that no network has seen.
pub(super) fn kept(
    analysis: Analysis<'_>,
    inputs: &[&str],
    (made, best): (&Likelihoods, &Fit),
    pool: (&Events, &UnbinnedChannel),
    result: &MeasurementResult,
) -> Result<Kept> {
    let histograms = histograms::histograms(analysis, &made.asked, best)?;
    let favours = favours::favours(analysis, inputs, (made.parameters(), best), pool);
    Ok(Kept::new(histograms, favours, result.toys.as_ref()))
}

impl Sheet<'_> {
    /// Draws the sections of the page. A figure that cannot be drawn is noted: it ends no
    /// measurement.
    pub(super) fn sections(&mut self) -> Result<Vec<Section>> {
        let plots = self.output.plots();
        make_folder(&plots).on(&plots)?;
        let mut sections = vec![
            self.best_fit()?,
            self.backgrounds(),
            self.histograms()?,
            self.curves()?,
            self.regions()?,
            self.limit()?,
            self.toys()?,
            self.nuisances()?,
            self.favours()?,
            self.trust()?,
            files(&self.result.export.text),
        ];
        // what was not asked for has no heading
        sections.retain(|s| !(s.text.is_empty() && s.tables.is_empty() && s.figures.is_empty()));
        Ok(sections)
    }

    /// Writes the page and the tables beside it.
    pub(super) fn write(&self, sections: Vec<Section>, facts: Vec<(String, String)>) -> Result<()> {
        let (root, measurement) = (self.output, self.measurement);
        tables::write(root, self.result)?;
        let [title, subtitle] = heading(measurement);
        let page = Page {
            title,
            subtitle,
            verdict: verdict(self.result),
            facts,
            sections,
            footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
        };
        root.write_compact(&root.path().join(PAGE), self.kept)?;
        write_page(root, page, measurement)
    }
}

/// Writes a page with the words of an experiment on its figures.
fn write_page(root: &RunDirectory, page: Page, measurement: &Measurement) -> Result<()> {
    let page = page.labelled(&report::experiment_label(&measurement.report));
    root.write(&root.report_path(), render(&page).as_bytes())
}

/// The part of `page.json` that every version but the first has.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: Option<u32>,
}

/// Draws page, figures and tables of a result anew, and the pages of its ratios, from what is in
/// the run directory and with the words of its configuration: reads no events and fits nothing.
///
/// # Errors
/// Also if the configuration is that of another result.
pub(crate) fn redraw(
    root: &RunDirectory,
    experiment: &Experiment,
    measurement: &Measurement,
    progress: &Progress,
) -> Result<MeasurementResult> {
    let numbers = measurement.numbers();
    let result = redraw_page(root, (measurement, &numbers), progress, |sheet| {
        let sections = sheet.sections()?;
        Ok((sections, facts(sheet.result, &experiment.ensembles)))
    })?;
    redo_matrix(root, experiment, progress)?;
    all_there(root, result)
}

/// The same of a limit, which has no ratios.
///
/// # Errors
/// As [`redraw`].
pub(crate) fn redraw_limit(
    root: &RunDirectory,
    limit: &Limit,
    progress: &Progress,
) -> Result<MeasurementResult> {
    let (measurement, numbers) = (limit.measurement()?, limit.numbers());
    let result = redraw_page(root, (&measurement, &numbers), progress, |sheet| {
        let sections = sheet.limit_sections()?;
        Ok((sections, limit_facts(sheet.result)))
    })?;
    all_there(root, result)
}

/// Sections of a page, and names and values at its head.
type Drawn = (Vec<Section>, Vec<(String, String)>);

/// Draws the page, with the words of a configuration. `numbers`: its settings, a line a key;
/// `draw`: what the page has.
fn redraw_page(
    root: &RunDirectory,
    (measurement, numbers): (&Measurement, &[String]),
    progress: &Progress,
    draw: impl Fn(&mut Sheet<'_>) -> Result<Drawn>,
) -> Result<MeasurementResult> {
    let result = read_result(root)?;
    let mut result = result.ok_or_else(|| missing(root, RESULT, "there is no result"))?;
    let made_with = root.manifest()?.map(|m| m.settings).unwrap_or_default();
    root.check_settings(&made_with, numbers)?;
    let unreadable = |e: String| missing(root, PAGE, &format!("not readable: {e}"));
    let text = root.read(&root.path().join(PAGE));
    let text = text.map_err(|e| unreadable(e.to_string()))?;
    let head: Head = from_text(&text).map_err(unreadable)?;
    let _stage = progress.stage("drawing", 0);
    match head.format {
        None => {
            let page = serde_json::from_str(&text).map_err(|e| unreadable(e.to_string()))?;
            redraw_as_it_was(root, page, measurement)?;
            progress.say(
                "the figures are those of an earlier program, whose words stay as they are; \
                 sideband run makes them anew",
            );
            tables::write(root, &result)?;
        }
        Some(format) => {
            FORMAT.check(format).map_err(unreadable)?;
            let kept: Kept = from_text(&text).map_err(unreadable)?;
            result.take_words(measurement);
            let mut sheet = Sheet::new(measurement, (&result, &kept), root);
            let (sections, facts) = draw(&mut sheet)?;
            sheet.undrawn.iter().for_each(|text| progress.say(text));
            sheet.write(sections, facts)?;
        }
    }
    Ok(result)
}

/// Whether all files of a result are there.
fn all_there(root: &RunDirectory, result: MeasurementResult) -> Result<MeasurementResult> {
    let lost = result
        .files
        .iter()
        .find(|name| !root.path().join(name).is_file());
    match lost {
        Some(name) => Err(missing(root, name, "it is missing and is not drawn")),
        None => Ok(result),
    }
}

/// What is there cannot be drawn.
fn missing(root: &RunDirectory, name: &str, reason: &str) -> Error {
    let path = root.path().join(name);
    let reason = format!("{reason}; run the measurement again, which makes it anew");
    Error::data_at(path.display(), reason)
}

/// Writes a page of a version that kept its figures as they were drawn.
fn redraw_as_it_was(root: &RunDirectory, mut page: Page, measurement: &Measurement) -> Result<()> {
    let plots = root.plots();
    make_folder(&plots).on(&plots)?;
    [page.title, page.subtitle] = heading(measurement);
    let label = report::experiment_label(&measurement.report);
    for figure in page.sections.iter().flat_map(|s| &s.figures) {
        sheet::check_name(root, &figure.name)?;
        report::save_figure(root, &figure.name, &figure.drawn.labelled(&label))?;
    }
    write_page(root, page, measurement)
}

/// Title and subtitle.
fn heading(measurement: &Measurement) -> [String; 2] {
    let title = measurement.report.title.as_ref();
    let title = title.unwrap_or(&measurement.experiment.name);
    [title.clone(), measurement.experiment.description.clone()]
}

/// Names and values at the head of a page with ratios.
pub(super) fn facts(result: &MeasurementResult, ratios: &[EnsembleSpec]) -> Vec<(String, String)> {
    let networks = ratios.iter().map(|ratio| ratio.config.ensemble.members);
    let normalisation = result.checks.normalisation.map_or_else(
        || "not known".to_owned(),
        |n| words::with_error(n.integral, Some(n.error), false),
    );
    let mut facts = vec![
        ("data", result.data.clone()),
        (
            "events without bins",
            format!(
                "{} (sum of weights {})",
                result.events,
                numbers::number(result.weight)
            ),
        ),
        ("expected at the best fit", numbers::number(result.expected)),
        ("networks", {
            let ensembles = counted(ratios.len(), "ensemble");
            format!("{} in {ensembles}", networks.sum::<u32>())
        }),
        ("integral of the density at the best fit", normalisation),
        (
            "densities below the barrier",
            result.checks.not_positive.to_string(),
        ),
        (
            "fit and scans",
            format!(
                "{:.2} s, projected gradient {:.1e}",
                result.fit.seconds, result.fit.gradient
            ),
        ),
    ];
    if let Some(finite) = &result.finite_sample {
        facts.push((
            "error from the finite training sample",
            format!(
                "{:.4} at {:.4}, from {} bootstrapped members and {} others",
                finite.error, finite.value, finite.members[0], finite.members[1]
            ),
        ));
    }
    let facts = facts.into_iter();
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
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
