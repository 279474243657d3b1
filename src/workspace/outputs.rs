//! A folder of results: JSON, tables as CSV (RFC 4180), LaTeX and YAML of HEPData, figures as SVG. Each
//! file is whole or not there.
//!
//! The record of a command, its JSON, is written last and names the other files: what the former
//! record of the command names and this one does not is removed. Several commands may share a
//! folder, if their results are of one workspace.

use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::{atomic, regular, to_text};
use crate::plot::{Figure, PlotError};
use crate::report::csv;
use crate::report::hepdata::Submission;
use crate::report::latex;
use serde::{Deserialize, Serialize};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// Records of commands on one workspace, by their names without ending.
const RECORDS: [&str; 4] = ["fit", "limit", "scan", "impacts"];

/// How names of files end.
const ENDINGS: [&str; 5] = [".json", ".csv", ".tex", ".yaml", ".svg"];

/// A folder and what was written into it.
pub(super) struct Outputs<'a> {
    folder: &'a Path,
    /// Name of the record without ending.
    record: &'static str,
    inputs: Vec<&'a str>,
    written: Vec<String>,
}

/// A record as it is written: with the files that belong to it.
#[derive(Serialize)]
struct WithFiles<'a, R> {
    #[serde(flatten)]
    record: &'a R,
    files: &'a [String],
}

/// What is asked of a record that is there.
#[derive(Deserialize)]
struct Former {
    method: String,
    workspace: String,
    /// That of the patched workspace; none of many patches.
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    files: Vec<String>,
}

impl Former {
    /// That of a folder, unless there is none or it is something else.
    fn of(folder: &Path, record: &str) -> Option<Self> {
        let file = regular::open(&folder.join(format!("{record}.json"))).ok()?;
        let former: Self = serde_json::from_reader(BufReader::new(file)).ok()?;
        // with many patches, too, the method is that of a limit
        let method = if record == "limits" { "limit" } else { record };
        (former.method == method).then_some(former)
    }
}

/// Refuses a folder that has results of other commands with another workspace than that of a digest.
pub(super) fn check_others(folder: &Path, record: &str, digest: &str) -> Result<()> {
    for other in RECORDS.into_iter().filter(|other| *other != record) {
        if let Some(former) = Former::of(folder, other)
            && former.digest.is_some_and(|former| former != digest)
        {
            return Err(Error::usage(format!(
                "--out {}: its {other}.json is of another workspace or patch, {}; name another \
                 folder, or remove that result",
                folder.display(),
                former.workspace
            )));
        }
    }
    Ok(())
}

/// Whether a name is one that a command gives its files: in the folder itself, or in its own one of
/// `hepdata`.
fn is_own(record: &str, name: &str) -> bool {
    let hepdata = name.strip_prefix("hepdata/").and_then(|name| {
        let (command, name) = name.split_once('/')?;
        (command == record).then_some(name)
    });
    let name = hepdata.unwrap_or(name);
    let has_ending = ENDINGS.iter().any(|ending| name.ends_with(ending));
    has_ending && !name.starts_with('.') && !name.contains(['/', '\\', ':'])
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
    /// Makes the folder, if it is not there. `record`: the name of the record without ending;
    /// `inputs`: files that are not written over.
    pub(super) fn new(
        folder: &'a Path,
        record: &'static str,
        inputs: Vec<&'a str>,
    ) -> Result<Self> {
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| {
            Error::usage(format!(
                "--out {}: {error}; name a folder that can be written to",
                folder.display()
            ))
        })?;
        // it is written last
        check_no_input(&folder.join(format!("{record}.json")), &inputs)?;
        Ok(Self {
            folder,
            record,
            inputs,
            written: Vec::new(),
        })
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        check_no_input(&path, &self.inputs)?;
        atomic::write(&path, bytes).on(&path)?;
        self.written.push(name.to_owned());
        Ok(())
    }

    /// A table with a header.
    pub(super) fn csv(&mut self, name: &str, header: &[&str], rows: &[Vec<String>]) -> Result<()> {
        let mut text = csv::line(header.iter().copied());
        for row in rows {
            text += &csv::line(row.iter().map(String::as_str));
        }
        self.write(name, text.as_bytes())
    }

    /// A table of cells that are LaTeX already, the header first.
    pub(super) fn tex(&mut self, name: &str, rows: &[Vec<String>]) -> Result<()> {
        self.write(name, latex::tabular(rows).as_bytes())
    }

    /// A submission to HEPData, and files that lie beside its tables.
    pub(super) fn hepdata(
        &mut self,
        submission: &Submission,
        beside: &[(&str, &str)],
    ) -> Result<()> {
        let folder = format!("hepdata/{}", self.record);
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

    /// Removes what the former record names and this one does not, and writes this one. Gives the
    /// files, the record first.
    pub(super) fn finish(mut self, record: &impl Serialize) -> Result<Vec<PathBuf>> {
        let former = Former::of(self.folder, self.record);
        for name in former.into_iter().flat_map(|former| former.files) {
            if !self.written.contains(&name) && is_own(self.record, &name) {
                self.remove(&name)?;
            }
        }
        let name = format!("{}.json", self.record);
        let files = std::mem::take(&mut self.written);
        let whole = WithFiles {
            record,
            files: &files,
        };
        let text = to_text(&whole, true).at(Kind::Internal, &name)?;
        self.write(&name, (text + "\n").as_bytes())?;
        let all = self.written.iter().chain(&files);
        Ok(all.map(|name| self.folder.join(name)).collect())
    }

    /// Removes a file of a former result, if it is there and no input.
    fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        // a link to another folder leads to files of others
        let real = |path: &Path| path.canonicalize().ok();
        let parent = path.parent().and_then(real);
        let is_within = parent
            .zip(real(self.folder))
            .is_some_and(|(parent, folder)| parent.starts_with(folder));
        if !is_within || regular::one_of(&path, self.inputs.iter().map(Path::new)).is_some() {
            return Ok(());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&path, &error)),
            _ => Ok(()),
        }
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
        let mut outputs = Outputs::new(folder.path(), "fit", Vec::new()).unwrap();
        let row = ["a,b", "say \"x\"", "1.5"].map(str::to_owned).to_vec();
        outputs.csv("t.csv", &["x", "y", "z"], &[row]).unwrap();
        let written = outputs.finish(&record("fit", "a")).unwrap();
        let [json, path] = &written[..] else {
            panic!("two files: {written:?}");
        };
        assert!(json.ends_with("fit.json"));
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
        let error = Outputs::new(&file.join("below"), "fit", Vec::new()).err();
        let error = error.unwrap();
        assert_eq!(error.kind(), Kind::Usage);
    }

    fn record(method: &str, digest: &str) -> serde_json::Value {
        serde_json::json!({"method": method, "workspace": "ws.json", "digest": digest})
    }

    #[test]
    fn what_a_former_result_alone_has_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let has = |name: &str| folder.join(name).is_file();
        let write = |files: &[&str], inputs: Vec<&str>| {
            let mut outputs = Outputs::new(folder, "limits", inputs).unwrap();
            std::fs::create_dir_all(folder.join("hepdata/limits")).unwrap();
            for name in files {
                outputs.write(name, b"x").unwrap();
            }
            outputs.finish(&record("limit", "a")).unwrap()
        };
        let first = ["a.svg", "b.svg", "in.json", "hepdata/limits/a.yaml"];
        write(&first, Vec::new());
        for name in ["mine.txt", ".hidden"] {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        std::fs::write(place.path().join("hepdata/other.yaml"), "x").unwrap();
        // names that no command gives are those of others
        let path = folder.join("limits.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let more = "\"../x\", \".hidden\", \"hepdata/other.yaml\", \"/x\", \"none\", \"a.svg\"";
        std::fs::write(&path, text.replace("\"a.svg\"", more)).unwrap();
        let input = folder.join("in.json").display().to_string();
        write(&["b.svg"], vec![input.as_str()]);
        for name in [
            "b.svg",
            "in.json",
            "mine.txt",
            ".hidden",
            "hepdata/other.yaml",
        ] {
            assert!(has(name), "{name}");
        }
        assert!(!has("a.svg") && !has("hepdata/limits/a.yaml"));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_removed_behind_a_link() {
        let place = tempfile::tempdir().unwrap();
        let (folder, other) = (place.path().join("out"), place.path().join("other"));
        for made in [&folder, &other] {
            std::fs::create_dir(made).unwrap();
        }
        std::fs::write(other.join("a.yaml"), "x").unwrap();
        std::fs::create_dir(folder.join("hepdata")).unwrap();
        std::os::unix::fs::symlink(&other, folder.join("hepdata/fit")).unwrap();
        let former = serde_json::json!({"method": "fit", "workspace": "ws.json", "digest": "a",
            "files": ["hepdata/fit/a.yaml"]});
        std::fs::write(folder.join("fit.json"), former.to_string()).unwrap();
        let outputs = Outputs::new(&folder, "fit", Vec::new()).unwrap();
        outputs.finish(&record("fit", "a")).unwrap();
        assert!(other.join("a.yaml").is_file());
    }

    #[test]
    fn results_of_two_workspaces_have_a_folder_each() {
        let place = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(place.path(), "fit", Vec::new()).unwrap();
        outputs.finish(&record("fit", "a")).unwrap();
        check_others(place.path(), "limit", "a").unwrap();
        // the same command writes its result anew
        check_others(place.path(), "fit", "b").unwrap();
        let error = check_others(place.path(), "limit", "b").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        let said = "its fit.json is of another workspace or patch, ws.json";
        assert!(error.to_string().contains(said), "{error}");
        // what is no record is not one of another workspace
        std::fs::write(place.path().join("fit.json"), "{\"digest\": \"a\"}").unwrap();
        check_others(place.path(), "limit", "b").unwrap();
    }
}
