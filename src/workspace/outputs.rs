//! A folder of results: JSON, tables as CSV (RFC 4180), LaTeX and YAML of HEPData, figures as SVG. Each
//! file is whole or not there.

use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, regular, to_text};
use crate::plot::{Figure, PlotError};
use crate::report::hepdata::Submission;
use crate::report::latex;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A folder and what was written into it.
pub(super) struct Outputs<'a> {
    folder: &'a Path,
    inputs: Vec<&'a str>,
    written: Vec<PathBuf>,
}

/// Refuses a file that is one of the inputs of what is written.
pub(super) fn check_no_input(path: &Path, inputs: &[&str]) -> Result<()> {
    match regular::one_of(path, inputs.iter().map(Path::new)) {
        None => Ok(()),
        Some(input) => Err(Error::usage(format!(
            "--out: {} is one of the input files, {}; name another folder",
            path.display(),
            input.display()
        ))),
    }
}

impl<'a> Outputs<'a> {
    /// Makes the folder, if it is not there. `inputs`: files that are not written over.
    pub(super) fn new(folder: &'a Path, inputs: Vec<&'a str>) -> Result<Self> {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| {
            Error::usage(format!(
                "--out {}: {error}; name a folder that can be written to",
                folder.display()
            ))
        })?;
        Ok(Self {
            folder,
            inputs,
            written: Vec::new(),
        })
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        check_no_input(&path, &self.inputs)?;
        atomic::write(&path, bytes).on(&path)?;
        self.written.push(path);
        Ok(())
    }

    pub(super) fn json(&mut self, name: &str, record: &impl Serialize) -> Result<()> {
        let text = to_text(record, true).at(Kind::Internal, name)?;
        self.write(name, (text + "\n").as_bytes())
    }

    /// A table with a header.
    pub(super) fn csv(&mut self, name: &str, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(cell).collect();
            cells.join(",") + "\n"
        };
        let mut text = line(&mut header.iter().copied());
        for row in rows {
            text += &line(&mut row.iter().map(String::as_str));
        }
        self.write(name, text.as_bytes())
    }

    /// A table of cells that are LaTeX already, the header first.
    pub(super) fn tex(&mut self, name: &str, rows: &[Vec<String>]) -> Result<()> {
        self.write(name, latex::tabular(rows).as_bytes())
    }

    /// A submission to HEPData of one command, and files that lie beside its tables.
    pub(super) fn hepdata(
        &mut self,
        command: &str,
        submission: &Submission,
        beside: &[(&str, &str)],
    ) -> Result<()> {
        let folder = format!("hepdata/{command}");
        let path = self.folder.join(&folder);
        std::fs::create_dir_all(&path).on(&path)?;
        for (name, text) in beside {
            self.write(&format!("{folder}/{name}"), text.as_bytes())?;
        }
        for (name, text) in submission.files() {
            self.write(&format!("{folder}/{name}"), text.as_bytes())?;
        }
        Ok(())
    }

    /// A figure under a name without ending.
    pub(super) fn figure(&mut self, name: &str, drawn: Result<Figure, PlotError>) -> Result<()> {
        let drawn = drawn.at(Kind::Internal, format!("figure {name}"))?;
        self.write(&format!("{name}.svg"), drawn.svg.as_bytes())
    }

    /// The files.
    pub(super) fn finish(self) -> Vec<PathBuf> {
        self.written
    }
}

/// A cell of a table: in quotes where it would end one otherwise.
fn cell(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// A number of a table with all its digits; nothing where there is none.
pub(super) fn exact(x: Option<f64>) -> String {
    x.map_or_else(String::new, |x| (x + 0.0).to_string())
}

/// A part of a file's name: what no file system takes for more than a letter.
pub(super) fn part_of_name(text: &str) -> String {
    let plain = |c: char| match c.is_ascii_alphanumeric() || "-_.".contains(c) {
        true => c,
        false => '_',
    };
    text.chars().take(80).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_can_be_read_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut outputs = Outputs::new(folder.path(), Vec::new()).unwrap();
        let row = ["a,b", "say \"x\"", "1.5"].map(str::to_owned).to_vec();
        outputs.csv("t.csv", &["x", "y", "z"], &[row]).unwrap();
        let [path] = &outputs.finish()[..] else {
            panic!("one file");
        };
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, "x,y,z\n\"a,b\",\"say \"\"x\"\"\",1.5\n");
        assert_eq!(exact(Some(-0.0)), "0");
        assert_eq!(exact(None), "");
        assert_eq!(part_of_name("../SR 1"), ".._SR_1");
    }

    #[test]
    fn a_folder_that_cannot_be_is_a_mistake_of_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Outputs::new(&file.join("below"), Vec::new()).err();
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Usage);
    }
}
