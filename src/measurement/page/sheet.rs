//! A page in the making: its result, its figures' files.

use super::super::model::Analysis;
use super::super::result::MeasurementResult;
use crate::error::Result;
use crate::plot::{Figure, PlotError};
use crate::report::{
    self,
    page::{PageFigure, Section, Table},
};
use crate::rundir::RunDirectory;

/// What sections are made of.
pub(in super::super) struct Sheet<'a> {
    pub analysis: Analysis<'a>,
    pub result: &'a MeasurementResult,
    pub output: &'a RunDirectory,
    /// Figures that could not be drawn, and why.
    pub undrawn: Vec<String>,
}

impl<'a> Sheet<'a> {
    pub(in super::super) fn new(
        analysis: Analysis<'a>,
        result: &'a MeasurementResult,
        output: &'a RunDirectory,
    ) -> Self {
        Self {
            analysis,
            result,
            output,
            undrawn: Vec::new(),
        }
    }

    /// What figures say at the top.
    pub(super) fn label(&self) -> String {
        self.analysis.measurement.report.data_label.clone()
    }

    /// Adds a figure to a section and saves it beside the page; it is noted if it cannot be
    /// drawn.
    pub(super) fn add(
        &mut self,
        section: &mut Section,
        name: &str,
        caption: &str,
        drawn: Result<Figure, PlotError>,
    ) -> Result<()> {
        let label = report::experiment_label(&self.analysis.measurement.report);
        let both = drawn.and_then(|drawn| Ok((drawn.labelled(&label).files()?, drawn)));
        let (files, drawn) = match both {
            Ok(both) => both,
            Err(error) => {
                let text = format!("the figure {name} is not drawn: {error}");
                self.undrawn.push(text);
                return Ok(());
            }
        };
        report::save(self.output, name, &files)?;
        // without the words, so that the page can be written with others
        section.figures.push(PageFigure {
            name: name.to_owned(),
            drawn,
            caption: caption.to_owned(),
            ..PageFigure::default()
        });
        Ok(())
    }
}

pub(super) fn section(title: &str) -> Section {
    Section {
        title: title.to_owned(),
        ..Section::default()
    }
}

pub(super) fn table(
    caption: impl Into<String>,
    header: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Table {
    Table {
        caption: caption.into(),
        header: header.iter().map(|name| (*name).to_owned()).collect(),
        rows: rows.collect(),
    }
}
