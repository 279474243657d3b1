//! Opening a run directory: new, to be finished, or refused.

use super::atomic;
use super::manifest::{DIRECTORY_FORMAT, Inputs, Manifest};
use crate::config::Config;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A run directory that cannot be used.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The file system refused.
    #[error("{path}: {source}{}", atomic::hint(source), path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the directory is damaged.
    #[error("{path}: not readable: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is something, but no run.
    #[error("{0} exists and is not a run directory; choose another with --out, or move it away")]
    NotARun(PathBuf),
    /// The directory is of another version.
    #[error("{path} has format {found}, this program knows {DIRECTORY_FORMAT}; \
             use the program version that made it (see manifest.json)", path = path.display())]
    Format {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The configuration is not the one that the run was started with.
    #[error(
        "{path} was made with another configuration:\n{difference}\
         its members cannot be used; choose another directory with --out, or undo the change",
        path = path.display()
    )]
    ConfigChanged {
        /// The directory.
        path: PathBuf,
        /// Lines that differ.
        difference: String,
    },
    /// An input file is not the one that the run was started with.
    #[error(
        "{path} was made from other data:\n{difference}\
         its members cannot be used; choose another directory with --out, or restore the files",
        path = path.display()
    )]
    InputChanged {
        /// The directory.
        path: PathBuf,
        /// Files that differ.
        difference: String,
    },
}

/// A run directory.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Opens the directory for a configuration and its data, making it if it is
    /// not there.
    ///
    /// # Errors
    /// [`DirectoryError`], also if it holds a run of another configuration or
    /// of other data; the difference is in the message.
    pub fn create(path: &Path, config: &Config, inputs: &Inputs) -> Result<Self, DirectoryError> {
        let directory = Self {
            path: path.to_owned(),
        };
        if directory.config_path().exists() {
            directory.compare(config, inputs)?;
        } else if path.is_file() || fs::read_dir(path).is_ok_and(|mut d| d.next().is_some()) {
            return Err(DirectoryError::NotARun(path.to_owned()));
        }
        for folder in [
            directory.members(),
            directory.predictions(),
            directory.plots(),
        ] {
            fs::create_dir_all(&folder).map_err(|source| DirectoryError::Io {
                path: folder.clone(),
                source,
            })?;
        }
        directory.sweep();
        let text = toml::to_string(config).map_err(|e| DirectoryError::Damaged {
            path: directory.config_path(),
            reason: e.to_string(),
        })?;
        directory.write(&directory.config_path(), text.as_bytes())?;
        Ok(directory)
    }

    /// Opens a directory that holds a run.
    ///
    /// # Errors
    /// [`DirectoryError`] if it does not.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let directory = Self {
            path: path.to_owned(),
        };
        if !path.exists() {
            return Err(DirectoryError::Io {
                path: path.to_owned(),
                source: io::Error::new(io::ErrorKind::NotFound, "no such run directory"),
            });
        }
        if !directory.config_path().is_file() {
            return Err(DirectoryError::NotARun(path.to_owned()));
        }
        directory.manifest()?;
        Ok(directory)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `manifest.json`
    #[must_use]
    pub fn manifest_path(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// `metrics.json`
    #[must_use]
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.json")
    }

    /// `report.html`
    #[must_use]
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `log.jsonl`
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log.jsonl")
    }

    /// `members/`
    #[must_use]
    pub fn members(&self) -> PathBuf {
        self.path.join("members")
    }

    /// File of one member.
    #[must_use]
    pub fn member(&self, number: u32) -> PathBuf {
        self.members()
            .join(format!("member_{number:04}.safetensors"))
    }

    /// `predictions/`
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions")
    }

    /// `plots/`
    #[must_use]
    pub fn plots(&self) -> PathBuf {
        self.path.join("plots")
    }

    /// Reads `manifest.json`; none before the run's first write of it.
    ///
    /// # Errors
    /// [`DirectoryError`] if it is damaged or of another version.
    pub fn manifest(&self) -> Result<Option<Manifest>, DirectoryError> {
        let path = self.manifest_path();
        if !path.exists() {
            return Ok(None);
        }
        let damaged = |reason: String| DirectoryError::Damaged {
            path: path.clone(),
            reason,
        };
        let text = self.read(&path)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        let found = value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0) as u32;
        if found != DIRECTORY_FORMAT {
            return Err(DirectoryError::Format {
                path: self.path.clone(),
                found,
            });
        }
        serde_json::from_value(value)
            .map(Some)
            .map_err(|e| damaged(e.to_string()))
    }

    /// Writes `manifest.json`.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), DirectoryError> {
        self.write_json(&self.manifest_path(), manifest)
    }

    /// Writes a file of the directory as JSON.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write_json(
        &self,
        path: &Path,
        value: &impl serde::Serialize,
    ) -> Result<(), DirectoryError> {
        let mut text =
            serde_json::to_string_pretty(value).map_err(|e| DirectoryError::Damaged {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
        text.push('\n');
        self.write(path, text.as_bytes())
    }

    /// Writes a file of the directory.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), DirectoryError> {
        atomic::write(path, bytes).map_err(|source| DirectoryError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads a text file of the directory.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn read(&self, path: &Path) -> Result<String, DirectoryError> {
        fs::read_to_string(path).map_err(|source| DirectoryError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Removes what killed writers left behind: temporary names of processes
    /// that are gone or are this one.
    fn sweep(&self) {
        for folder in [
            self.path.clone(),
            self.members(),
            self.predictions(),
            self.plots(),
        ] {
            let Ok(entries) = fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let old = entry
                    .metadata()
                    .and_then(|m| m.modified())
                    .is_ok_and(|t| t.elapsed().is_ok_and(|age| age.as_secs() > 3600));
                if old && name.to_string_lossy().ends_with(".tmp") {
                    // another process may have swept it just now
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    fn compare(&self, config: &Config, inputs: &Inputs) -> Result<(), DirectoryError> {
        let path = self.config_path();
        let old: Config =
            toml::from_str(&self.read(&path)?).map_err(|e| DirectoryError::Damaged {
                path,
                reason: e.to_string(),
            })?;
        let difference = difference(&what_counts(&old), &what_counts(config));
        if !difference.is_empty() {
            return Err(DirectoryError::ConfigChanged {
                path: self.path.clone(),
                difference,
            });
        }
        let Some(manifest) = self.manifest()? else {
            return Ok(());
        };
        let list = |inputs: &Inputs| -> String {
            [("source", &inputs.source), ("target", &inputs.target)]
                .iter()
                .flat_map(|(role, files)| {
                    files.iter().map(move |f| {
                        format!("{role}: {} {} bytes, sha256 {}", f.path, f.bytes, f.sha256)
                    })
                })
                .collect::<Vec<_>>()
                .join("\n")
        };
        let difference = lines(&list(&manifest.inputs), &list(inputs));
        if difference.is_empty() {
            Ok(())
        } else {
            Err(DirectoryError::InputChanged {
                path: self.path.clone(),
                difference,
            })
        }
    }
}

/// The configuration without what no member's number depends on: threads,
/// blocks, the description and the report.
fn what_counts(config: &Config) -> toml::Table {
    let mut config = config.clone();
    config.device.threads = 0;
    config.device.block = 0;
    config.experiment.description = String::new();
    config.report = crate::config::ReportConfig::default();
    config.data.source.label = None;
    config.data.target.label = None;
    config.features.labels.clear();
    for region in config.regions.values_mut() {
        region.label = None;
    }
    toml::Table::try_from(config).unwrap_or_default()
}

/// Keys that differ, a line each.
fn difference(old: &toml::Table, new: &toml::Table) -> String {
    lines(&flat("", old), &flat("", new))
}

fn flat(prefix: &str, table: &toml::Table) -> String {
    table
        .iter()
        .map(|(key, value)| match value {
            toml::Value::Table(inner) => flat(&format!("{prefix}{key}."), inner),
            other => format!("{prefix}{key} = {other}"),
        })
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Lines of one text that the other has not, marked `-` (old) and `+` (new).
fn lines(old: &str, new: &str) -> String {
    let mark = |from: &str, other: &str, sign: char| -> String {
        from.lines()
            .filter(|line| !other.lines().any(|o| o == *line))
            .map(|line| format!("  {sign} {line}\n"))
            .collect()
    };
    mark(old, new, '-') + &mark(new, old, '+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn config(set: &[&str]) -> Config {
        let text = r#"
            experiment = { name = "t", method = "reweight" }
            data = { source = { path = "a" }, target = { path = "b" } }
            regions.cr = { selection = "x > 1" }
            features = { inputs = ["x"] }
            training = { region = "cr" }
        "#;
        parse(
            text,
            &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn a_changed_configuration_is_refused_with_the_difference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let inputs = Inputs {
            source: Vec::new(),
            target: Vec::new(),
        };
        RunDirectory::create(&path, &config(&[]), &inputs).unwrap();
        RunDirectory::create(
            &path,
            &config(&["device.threads=3", "report.bins=7"]),
            &inputs,
        )
        .unwrap();
        let error =
            RunDirectory::create(&path, &config(&["training.batch=64"]), &inputs).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("- training.batch = 1024"), "{text}");
        assert!(text.contains("+ training.batch = 64"), "{text}");
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        let inputs = Inputs {
            source: Vec::new(),
            target: Vec::new(),
        };
        let error = RunDirectory::create(folder.path(), &config(&[]), &inputs).unwrap_err();
        assert!(matches!(error, DirectoryError::NotARun(_)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
