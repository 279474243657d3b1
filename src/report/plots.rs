//! Figures of a page: drawn, named, and written into the run's plots.

use super::names::file_names;
use super::page::{PageFigure, Section};
use crate::error::{Error, OnFile, Result};
use crate::plot::{ExperimentLabel, Figure, PlotError};
use crate::rundir::{Progress, RunDirectory};
use crate::settings::ReportConfig;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Whose the figures of a configuration are.
pub(crate) fn experiment_label(report: &ReportConfig) -> ExperimentLabel {
    let luminosity = report.luminosity.as_ref();
    let luminosity = luminosity.map(|quantity| quantity.in_words("fb^{−1}"));
    let energy = report.com.as_ref();
    let energy = energy.map(|quantity| format!("({})", quantity.in_words("TeV")));
    let conditions: Vec<String> = luminosity.into_iter().chain(energy).collect();
    ExperimentLabel {
        experiment: report.experiment.clone().unwrap_or_default(),
        status: report.status.clone().unwrap_or_default(),
        conditions: conditions.join(" "),
    }
}

/// A figure cannot be drawn.
fn plot_error(name: &str) -> impl Fn(PlotError) -> Error {
    move |error| Error::internal(format!("figure {name}: {error}"))
}

/// A figure of the page, named after `parts` by [`save_figures`].
pub(super) fn figure(
    parts: &[&str],
    caption: impl Into<String>,
    drawn: Result<Figure, PlotError>,
) -> Result<PageFigure> {
    let drawn = drawn.map_err(plot_error(&parts.join(" ")))?;
    Ok(PageFigure {
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
        drawn,
        caption: caption.into(),
        ..PageFigure::default()
    })
}

/// Writes a figure into the run's plots; gives its files, by their path in the run.
pub(crate) fn save_figure(root: &RunDirectory, name: &str, figure: &Figure) -> Result<Vec<String>> {
    save(root, name, &figure.files().map_err(plot_error(name))?)
}

/// Writes files of a figure, by their endings, into the run's plots.
pub(crate) fn save(
    root: &RunDirectory,
    name: &str,
    files: &[(&str, Vec<u8>)],
) -> Result<Vec<String>> {
    let save = |(ending, bytes): &(&str, Vec<u8>)| -> Result<String> {
        let file = format!("plots/{name}.{ending}");
        root.write(&root.join(&file), bytes)?;
        Ok(file)
    };
    files.iter().map(save).collect()
}

/// Names all figures of a page, labels and writes them; gives their files, by their path in the
/// run.
pub(super) fn save_figures(
    root: &RunDirectory,
    sections: &mut [Section],
    label: &ExperimentLabel,
    progress: &Progress,
) -> Result<BTreeSet<String>> {
    let path = root.plots();
    std::fs::create_dir_all(&path).on(&path)?;
    let figures = sections.iter_mut().flat_map(|section| &mut section.figures);
    let mut figures: Vec<&mut PageFigure> = figures.collect();
    let parts: Vec<Vec<String>> = figures.iter().map(|figure| figure.parts.clone()).collect();
    for (figure, name) in figures.iter_mut().zip(file_names(&parts)) {
        figure.name = name;
        figure.drawn = figure.drawn.labelled(label);
    }
    let stage = progress.stage("drawing", figures.len() as u64);
    let save = |figure: &&mut PageFigure| {
        stage.add(1);
        save_figure(root, &figure.name, &figure.drawn)
    };
    let files: Vec<Vec<String>> = figures.par_iter().map(save).collect::<Result<_>>()?;
    Ok(files.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_numbers_with_units_or_texts() {
        for (settings, expected) in [
            ("", ""),
            ("luminosity = 138\ncom = 13.6", "138 fb^{−1} (13.6 TeV)"),
            ("luminosity = 4.9", "4.9 fb^{−1}"),
            ("com = '13 TeV'", "(13 TeV)"),
            (
                "luminosity = '1.6 nb^{−1}'\ncom = 'PbPb'",
                "1.6 nb^{−1} (PbPb)",
            ),
        ] {
            let report: ReportConfig = toml::from_str(settings).unwrap();
            assert_eq!(experiment_label(&report).conditions, expected);
        }
    }
}
