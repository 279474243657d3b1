//! Figures of a page: drawn, named, and written into the run's plots.

use super::names::file_names;
use super::page::{PageFigure, Section};
use crate::error::{Error, OnFile, Result};
use crate::plot::{Figure, PlotError};
use crate::rundir::{Progress, RunDirectory};
use rayon::prelude::*;
use std::collections::BTreeSet;

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
        svg: drawn.svg,
        caption: caption.into(),
        ..PageFigure::default()
    })
}

/// Writes the figure of an SVG into the run's plots, as SVG and PNG.
pub(crate) fn save_svg(root: &RunDirectory, name: &str, svg: &str) -> Result<()> {
    let figure = Figure {
        svg: svg.to_owned(),
    };
    let png = figure.to_png().map_err(plot_error(name))?;
    save(root, name, &figure, &png)
}

/// Writes a figure that is drawn into the run's plots, as SVG and PNG.
pub(crate) fn save(root: &RunDirectory, name: &str, figure: &Figure, png: &[u8]) -> Result<()> {
    let path = |ending: &str| root.plots().join(format!("{name}.{ending}"));
    root.write(&path("svg"), figure.svg.as_bytes())?;
    root.write(&path("png"), png)
}

/// Names all figures of a page and writes them; gives their files, by their path in the run.
pub(super) fn save_figures(
    root: &RunDirectory,
    sections: &mut [Section],
    progress: &Progress,
) -> Result<BTreeSet<String>> {
    let path = root.plots();
    std::fs::create_dir_all(&path).on(&path)?;
    let figures = sections.iter_mut().flat_map(|section| &mut section.figures);
    let mut figures: Vec<&mut PageFigure> = figures.collect();
    let parts: Vec<Vec<String>> = figures.iter().map(|figure| figure.parts.clone()).collect();
    for (figure, name) in figures.iter_mut().zip(file_names(&parts)) {
        figure.name = name;
    }
    let stage = progress.stage("drawing", figures.len() as u64);
    let save = |figure: &&mut PageFigure| {
        stage.add(1);
        save_svg(root, &figure.name, &figure.svg)
    };
    figures.par_iter().try_for_each(save)?;
    let files = |figure: &&mut PageFigure| {
        ["svg", "png"].map(|ending| format!("plots/{}.{ending}", figure.name))
    };
    Ok(figures.iter().flat_map(files).collect())
}
