//! Opening a run directory: new, to be finished, or refused.

use super::atomic;
use super::manifest::{DIRECTORY_FORMAT, Inputs, Manifest};
use super::results;
use crate::config::{Config, ConfigError, Experiment, load_experiment};
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
    /// A run of many ensembles where one is meant.
    #[error(
        "{path} holds {count} ensembles; name the directory of one of them, such as {first}",
        path = path.display(), first = first.display()
    )]
    Matrix {
        /// The directory.
        path: PathBuf,
        /// The directory of the first ensemble.
        first: PathBuf,
        /// How many there are.
        count: usize,
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
        } else if is_foreign(path) {
            return Err(DirectoryError::NotARun(path.to_owned()));
        }
        for folder in [
            directory.members(),
            directory.checkpoints(),
            directory.predictions(),
            directory.plots(),
        ] {
            create(&folder)?;
        }
        directory.sweep();
        let text = toml::to_string(config).map_err(|e| DirectoryError::Damaged {
            path: directory.config_path(),
            reason: e.to_string(),
        })?;
        directory.write(&directory.config_path(), text.as_bytes())?;
        Ok(directory)
    }

    /// Opens the directory of a whole experiment. Without a matrix it is that of
    /// its one ensemble; with one it holds theirs.
    ///
    /// # Errors
    /// [`DirectoryError`], also if it holds the run of another experiment.
    pub fn create_root(path: &Path, experiment: &Experiment) -> Result<Self, DirectoryError> {
        let root = Self {
            path: path.to_owned(),
        };
        let is_run = root.config_path().exists();
        if !is_run && is_foreign(path) {
            return Err(DirectoryError::NotARun(path.to_owned()));
        }
        if is_run {
            root.manifest()?;
            let names = |e: &Experiment| -> String {
                let names = e.ensembles.iter().map(|e| format!("ensemble {}", e.name));
                names.collect::<Vec<_>>().join("\n")
            };
            let old = root.experiment()?;
            let difference = lines(&names(&old), &names(experiment));
            // more ensembles are welcome, other ones are not
            if old.is_matrix != experiment.is_matrix || difference.contains("  - ") {
                return Err(DirectoryError::ConfigChanged {
                    path: path.to_owned(),
                    difference,
                });
            }
        }
        for folder in [path.to_owned(), root.claims(), root.workers()] {
            create(&folder)?;
        }
        if experiment.is_matrix {
            let text = toml::to_string(&experiment.table).map_err(|e| DirectoryError::Damaged {
                path: root.config_path(),
                reason: e.to_string(),
            })?;
            for ensemble in &experiment.ensembles {
                // the configurations of all that is there are compared first
                let directory = root.ensemble(&ensemble.name);
                if directory.config_path().exists() {
                    directory.compare_config(&ensemble.config)?;
                }
            }
            root.write(&root.config_path(), text.as_bytes())?;
        }
        Ok(root)
    }

    /// The experiment of a run.
    ///
    /// # Errors
    /// [`DirectoryError::Damaged`] if its `config.toml` is not one.
    pub fn experiment(&self) -> Result<Experiment, DirectoryError> {
        let path = self.config_path();
        load_experiment(&path, &[]).map_err(|e: ConfigError| DirectoryError::Damaged {
            path,
            reason: e.to_string(),
        })
    }

    /// The configuration of a run of one ensemble.
    ///
    /// # Errors
    /// [`DirectoryError::Damaged`] if its `config.toml` is not one,
    /// [`DirectoryError::Matrix`] if it is of many.
    pub fn config(&self) -> Result<Config, DirectoryError> {
        let mut experiment = self.experiment()?;
        if experiment.is_matrix {
            return Err(DirectoryError::Matrix {
                path: self.path.clone(),
                first: self.ensemble(&experiment.ensembles[0].name).path,
                count: experiment.ensembles.len(),
            });
        }
        Ok(experiment.ensembles.swap_remove(0).config)
    }

    /// The directory of the matrix that this ensemble is a part of.
    #[must_use]
    pub fn matrix(&self) -> Option<PathBuf> {
        let folder = self.path.parent().filter(|p| p.ends_with("ensembles"))?;
        let matrix = folder.parent()?;
        matrix
            .join("config.toml")
            .is_file()
            .then(|| matrix.to_owned())
    }

    /// Directories of the ensembles of a run.
    #[must_use]
    pub fn ensembles(&self, experiment: &Experiment) -> Vec<Self> {
        let directory = |name: &str| {
            if experiment.is_matrix {
                self.ensemble(name)
            } else {
                self.clone()
            }
        };
        let names = experiment.ensembles.iter().map(|e| e.name.as_str());
        names.map(directory).collect()
    }

    /// Writes the configuration with which the run goes on: more members.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<(), DirectoryError> {
        let damaged = |e: toml::ser::Error| DirectoryError::Damaged {
            path: self.config_path(),
            reason: e.to_string(),
        };
        for (spec, directory) in experiment.ensembles.iter().zip(self.ensembles(experiment)) {
            let text = toml::to_string(&spec.config).map_err(damaged)?;
            if directory.config_path().exists() {
                directory.write(&directory.config_path(), text.as_bytes())?;
            }
        }
        if experiment.is_matrix {
            let text = toml::to_string(&experiment.table).map_err(damaged)?;
            self.write(&self.config_path(), text.as_bytes())?;
        }
        Ok(())
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

    /// A folder of files that will be a run's own.
    pub(crate) fn folder(path: PathBuf) -> Self {
        Self { path }
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

    /// Number of member files, of the first `members`, that are there.
    #[must_use]
    pub fn count_members(&self, members: u32) -> u64 {
        (0..members).filter(|m| self.member(*m).exists()).count() as u64
    }

    /// `checkpoints/`
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Checkpoint of one member in training.
    #[must_use]
    pub fn checkpoint(&self, number: u32) -> PathBuf {
        self.checkpoints()
            .join(format!("member_{number:04}.safetensors"))
    }

    /// `claims/`
    #[must_use]
    pub fn claims(&self) -> PathBuf {
        self.path.join("claims")
    }

    /// `workers/`
    #[must_use]
    pub fn workers(&self) -> PathBuf {
        self.path.join("workers")
    }

    /// `logs/`: of workers of a batch system, until they are put together.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// `batch/`
    #[must_use]
    pub fn batch(&self) -> PathBuf {
        self.path.join("batch")
    }

    /// Directory of one ensemble of a matrix.
    #[must_use]
    pub fn ensemble(&self, name: &str) -> Self {
        Self {
            path: self.path.join("ensembles").join(name),
        }
    }

    /// `predictions/`
    #[must_use]
    pub fn predictions(&self) -> PathBuf {
        self.path.join("predictions")
    }

    /// `figures.json`: what figures need beside the metrics.
    #[must_use]
    pub fn figure_data(&self) -> PathBuf {
        self.path.join("figures.json")
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

    /// Writes a value as JSON without spaces, for long lists of numbers.
    ///
    /// # Errors
    /// [`DirectoryError`] if it cannot be written.
    pub fn write_compact(
        &self,
        path: &Path,
        value: &impl serde::Serialize,
    ) -> Result<(), DirectoryError> {
        self.write(path, json(path, value, false)?.as_bytes())
    }

    /// Writes a file of the directory as JSON, so that [`RunDirectory::read_json`] reads
    /// it whatever its numbers are.
    ///
    /// # Errors
    /// [`DirectoryError::Io`]
    pub fn write_json(
        &self,
        path: &Path,
        value: &impl serde::Serialize,
    ) -> Result<(), DirectoryError> {
        let text = json(path, value, true)? + "\n";
        self.write(path, text.as_bytes())
    }

    /// Reads a JSON file of the directory.
    ///
    /// # Errors
    /// [`DirectoryError`] if it cannot be read or is damaged.
    pub fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<T, DirectoryError> {
        results::from_text(&self.read(path)?).map_err(|reason| DirectoryError::Damaged {
            path: path.to_owned(),
            reason,
        })
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

    /// Removes what killed writers left behind.
    fn sweep(&self) {
        for folder in [
            self.path.clone(),
            self.members(),
            self.checkpoints(),
            self.predictions(),
            self.plots(),
        ] {
            atomic::sweep(&folder);
        }
    }

    fn compare(&self, config: &Config, inputs: &Inputs) -> Result<(), DirectoryError> {
        self.compare_config(config)?;
        self.compare_inputs(inputs)
    }

    /// Whether a run is of this configuration, as far as members depend on it.
    ///
    /// # Errors
    /// [`DirectoryError::ConfigChanged`] with the difference.
    pub fn compare_config(&self, config: &Config) -> Result<(), DirectoryError> {
        let path = self.config_path();
        let old: Config =
            toml::from_str(&self.read(&path)?).map_err(|e| DirectoryError::Damaged {
                path,
                reason: e.to_string(),
            })?;
        let difference = difference(&what_counts(&old), &what_counts(config));
        if !difference.is_empty() && self.has_members() {
            return Err(DirectoryError::ConfigChanged {
                path: self.path.clone(),
                difference,
            });
        }
        Ok(())
    }

    /// Whether anything was trained: before that, all can be changed.
    fn has_members(&self) -> bool {
        [self.members(), self.checkpoints()]
            .iter()
            .any(|folder| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
    }

    /// Whether a run is of these files.
    ///
    /// # Errors
    /// [`DirectoryError::InputChanged`] with the difference.
    pub fn compare_inputs(&self, inputs: &Inputs) -> Result<(), DirectoryError> {
        if self.has_members() {
            self.same_inputs(inputs)
        } else {
            Ok(())
        }
    }

    /// The same, whether anything was trained or not.
    ///
    /// # Errors
    /// [`DirectoryError::InputChanged`] with the difference.
    pub fn same_inputs(&self, inputs: &Inputs) -> Result<(), DirectoryError> {
        let Some(manifest) = self.manifest()? else {
            return Ok(());
        };
        let list = |inputs: &Inputs| -> String {
            [("source", &inputs.source), ("target", &inputs.target)]
                .iter()
                .flat_map(|(role, files)| {
                    files.iter().map(move |f| {
                        let path = Path::new(&f.path);
                        let name = path.file_name().unwrap_or_default().display();
                        format!("{role}: {name} {} bytes, sha256 {}", f.bytes, f.sha256)
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

/// Whether there is something that no run has made: not the folders of one that
/// another process makes at this moment.
fn is_foreign(path: &Path) -> bool {
    const OWN: [&str; 8] = [
        "members",
        "checkpoints",
        "predictions",
        "plots",
        "claims",
        "workers",
        "ensembles",
        "logs",
    ];
    let own = |name: &str| OWN.contains(&name) || name.starts_with("config.toml.");
    path.is_file()
        || fs::read_dir(path).is_ok_and(|mut entries| {
            entries.any(|e| !e.is_ok_and(|e| own(&e.file_name().to_string_lossy())))
        })
}

fn json(
    path: &Path,
    value: &impl serde::Serialize,
    is_indented: bool,
) -> Result<String, DirectoryError> {
    results::to_text(value, is_indented).map_err(|e| DirectoryError::Damaged {
        path: path.to_owned(),
        reason: e.to_string(),
    })
}

fn create(folder: &Path) -> Result<(), DirectoryError> {
    fs::create_dir_all(folder).map_err(|source| DirectoryError::Io {
        path: folder.to_owned(),
        source,
    })
}

/// The configuration without what no member's number depends on: threads,
/// blocks, the description and the report.
fn what_counts(config: &Config) -> toml::Table {
    let mut config = config.clone();
    // which of several equal devices computes does not count, the kind does
    config.device = crate::config::DeviceConfig {
        name: config.device.kinds().join(","),
        kernels: config.device.kernels,
        ..crate::config::DeviceConfig::default()
    };
    config.executor = crate::config::ExecutorConfig::default();
    config.experiment.description = String::new();
    config.report = crate::config::ReportConfig::default();
    if let Some(source) = &mut config.data.source {
        source.label = None;
    }
    config.data.target.label = None;
    if let Some(interpolation) = &mut config.interpolation {
        interpolation.forget_what_comes_after_training();
    }
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
        let inputs = Inputs::default();
        RunDirectory::create(&path, &config(&["training.batch=32"]), &inputs).unwrap();
        // before anything is trained, all may change
        let directory = RunDirectory::create(&path, &config(&[]), &inputs).unwrap();
        fs::write(directory.member(0), "x").unwrap();
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
        let inputs = Inputs::default();
        let error = RunDirectory::create(folder.path(), &config(&[]), &inputs).unwrap_err();
        assert!(matches!(error, DirectoryError::NotARun(_)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
