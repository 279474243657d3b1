//! The page of a measurement, its figures and files.

mod histograms;
mod sections;
mod sheet;
mod toys;
mod words;

pub(super) use sheet::Sheet;
pub(crate) use words::verdict;

use super::events::Events;
use super::likelihoods::Likelihoods;
use super::progress::read_result;
use super::result::{MeasurementResult, RESULT};
use super::tables;
use crate::error::{Error, OnFile, Result, counted};
use crate::files::regular::make_folder;
use crate::report::page::{Page, Section, render};
use crate::report::{self, EnsembleEnd, numbers};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::{Experiment, Measurement};
use crate::workflow::redo_matrix;
use sideband_likelihood::UnbinnedChannel;
use sideband_likelihood::fit::Fit;

/// What the page is rendered from.
const PAGE: &str = "page.json";

impl Sheet<'_> {
    /// Draws the sections of the page. `inputs`: their names; `pool`: the reference that no
    /// network has seen. A figure that cannot be drawn is noted: it ends no measurement.
    pub(super) fn sections(
        &mut self,
        inputs: &[&str],
        (made, best): (&Likelihoods, &Fit),
        pool: (&Events, &UnbinnedChannel),
    ) -> Result<Vec<Section>> {
        let plots = self.output.plots();
        make_folder(&plots).on(&plots)?;
        let mut sections = vec![
            self.best_fit()?,
            self.histograms(made, best)?,
            self.curves()?,
            self.regions()?,
            self.limit()?,
            self.toys()?,
            self.nuisances()?,
            self.favours(inputs, (made.parameters(), best), pool)?,
            self.trust()?,
            files(&self.result.export.text),
        ];
        // what was not asked for has no heading
        sections.retain(|s| !(s.text.is_empty() && s.tables.is_empty() && s.figures.is_empty()));
        Ok(sections)
    }

    /// Writes the page and the tables beside it.
    pub(super) fn write(&self, sections: Vec<Section>, ensembles: &[EnsembleEnd]) -> Result<()> {
        let (root, measurement) = (self.output, self.analysis.measurement);
        tables::write(root, self.result)?;
        let [title, subtitle] = heading(measurement);
        let page = Page {
            title,
            subtitle,
            verdict: verdict(self.result),
            facts: facts(self.result, ensembles),
            sections,
            footer: vec![format!("sideband {}", env!("CARGO_PKG_VERSION"))],
        };
        root.write_compact(&root.path().join(PAGE), &page)?;
        let label = report::experiment_label(&measurement.report);
        let page = page.labelled(&label);
        root.write(&root.report_path(), render(&page).as_bytes())
    }
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
    let again = "run the measurement again, which makes it anew";
    let missing = |name: &str, reason: String| {
        let path = root.path().join(name);
        Error::data_at(path.display(), format!("{reason}; {again}"))
    };
    let result = read_result(root)?;
    let result = result.ok_or_else(|| missing(RESULT, "there is no result".to_owned()))?;
    let made_with = root.manifest()?.map(|m| m.settings).unwrap_or_default();
    root.check_settings(&made_with, &measurement.numbers())?;
    let text = root.read(&root.path().join(PAGE));
    let text = text.map_err(|e| missing(PAGE, format!("not readable: {e}")))?;
    let mut page: Page =
        serde_json::from_str(&text).map_err(|e| missing(PAGE, format!("not readable: {e}")))?;
    [page.title, page.subtitle] = heading(measurement);
    let page = page.labelled(&report::experiment_label(&measurement.report));
    let plots = root.plots();
    make_folder(&plots).on(&plots)?;
    let figures: Vec<_> = page.sections.iter().flat_map(|s| &s.figures).collect();
    let stage = progress.stage("drawing", figures.len() as u64);
    for figure in figures {
        // the file may be somebody else's, and a name lead out of the run
        if figure.name.contains(['/', '\\', '\0']) || figure.name.starts_with('.') {
            let reason = format!("{:?} is no name of a figure", figure.name);
            return Err(missing(PAGE, reason));
        }
        report::save_figure(root, &figure.name, &figure.drawn)?;
        stage.add(1);
    }
    tables::write(root, &result)?;
    root.write(&root.report_path(), render(&page).as_bytes())?;
    redo_matrix(root, experiment, progress)?;
    let lost = result
        .files
        .iter()
        .find(|name| !root.path().join(name).is_file());
    match lost {
        Some(name) => Err(missing(name, "it is missing and is not drawn".to_owned())),
        None => Ok(result),
    }
}

/// Title and subtitle.
fn heading(measurement: &Measurement) -> [String; 2] {
    let title = measurement.report.title.as_ref();
    let title = title.unwrap_or(&measurement.experiment.name);
    [title.clone(), measurement.experiment.description.clone()]
}

fn facts(result: &MeasurementResult, ensembles: &[EnsembleEnd]) -> Vec<(String, String)> {
    let networks = ensembles.iter().map(|e| e.config.ensemble.members);
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
            let ensembles = counted(ensembles.len(), "ensemble");
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
