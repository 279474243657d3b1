//! A page in the making: its result, its figures' files.

use super::super::result::MeasurementResult;
use super::kept::Kept;
use crate::error::{Error, Result};
use crate::plot::{Figure, PlotError};
use crate::report::{
    self,
    page::{PageFigure, Section, Table},
};
use crate::rundir::RunDirectory;
use crate::settings::Measurement;

/// What sections are made of.
pub(in super::super) struct Sheet<'a> {
    pub measurement: &'a Measurement,
    pub result: &'a MeasurementResult,
    pub kept: &'a Kept,
    pub output: &'a RunDirectory,
    /// Figures that could not be drawn, and why.
    pub undrawn: Vec<String>,
}

impl<'a> Sheet<'a> {
    pub(in super::super) fn new(
        measurement: &'a Measurement,
        (result, kept): (&'a MeasurementResult, &'a Kept),
        output: &'a RunDirectory,
    ) -> Self {
        Self {
            measurement,
            result,
            kept,
            output,
            undrawn: Vec::new(),
        }
    }

    /// What figures say at the top.
    pub(super) fn label(&self) -> String {
        self.measurement.report.data_label.clone()
    }

    /// The label of an axis of an input.
    pub(super) fn input_label<'b>(&'b self, input: &'b str) -> &'b str {
        let labels = &self.measurement.features.labels;
        labels.get(input).map_or(input, String::as_str)
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
        check_name(self.output, name)?;
        let label = report::experiment_label(&self.measurement.report);
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

/// Whether a figure may have this name, which is in a file that may be somebody else's and
/// could lead out of the run.
pub(super) fn check_name(root: &RunDirectory, name: &str) -> Result<()> {
    if name.contains(['/', '\\', '\0']) || name.starts_with('.') {
        let reason = format!("{name:?} is no name of a figure; run the measurement again");
        return Err(Error::data_at(root.path().display(), reason));
    }
    Ok(())
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
