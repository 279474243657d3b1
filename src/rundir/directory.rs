//! Opening a run directory: new, to be finished, or refused.

use super::manifest::{Manifest, RunInputs};
use crate::error::{Error, OnFile, Result, counted};
use crate::events::FileRecord;
use crate::files::formats::RUN_DIRECTORY;
use crate::files::{ServerClock, atomic, regular};
use crate::settings::{Config, Experiment, IdentityOf, load_experiment};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A run directory. Whatever reads or writes it fails where the file system refuses; what is
/// read has to be whole.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Opens the directory for a configuration and its data, making it if it is
    /// not there. The configuration of a new one is written; that of an old one
    /// stays as it is until [`RunDirectory::write_config`].
    ///
    /// # Errors
    /// Also if it holds a run of another configuration or of other data; the difference
    /// is in the message.
    pub(crate) fn create(path: &Path, config: &Config, inputs: &RunInputs) -> Result<Self> {
        let directory = Self::folder(path.to_owned());
        let is_run = directory.is_run()?;
        if is_run {
            directory.check_files()?;
            directory.compare_config(config)?;
            if directory.has_members() {
                directory.same_inputs(inputs)?;
            }
        }
        directory.check_links()?;
        let folders = ["members", "checkpoints", "predictions", "plots"].map(|f| path.join(f));
        for folder in &folders {
            create(folder)?;
        }
        // what killed writers left behind
        let clock = ServerClock::new(path);
        atomic::sweep(path, &clock);
        folders
            .iter()
            .for_each(|folder| atomic::sweep(folder, &clock));
        if !is_run {
            directory.write_config(config)?;
        }
        Ok(directory)
    }

    /// Whether there is a run, rather than nothing or what a run began with.
    fn is_run(&self) -> Result<bool> {
        // in this order: another process may begin the run meanwhile, and its first
        // file that is no run's beginning comes after the configuration
        let is_foreign = is_foreign(&self.path);
        let is_run = self.join("config.toml").exists();
        match is_foreign && !is_run {
            true => Err(not_a_run(&self.path)),
            false => Ok(is_run),
        }
    }

    /// Writes the configuration with which the run goes on.
    pub(crate) fn write_config(&self, config: &impl Serialize) -> Result<()> {
        let path = self.join("config.toml");
        let text = toml::to_string(config).map_err(damaged(&path))?;
        self.write(&path, text.as_bytes())
    }

    /// Opens the directory of a whole experiment. Without a matrix it is that of
    /// its one ensemble; with one it holds theirs. The table of a new one is
    /// written; that of an old one stays until [`RunDirectory::write_config`].
    ///
    /// # Errors
    /// Also if it holds the run of another experiment.
    pub(crate) fn create_root(path: &Path, experiment: &Experiment) -> Result<Self> {
        let root = Self::folder(path.to_owned());
        let is_run = root.is_run()?;
        if is_run {
            root.check_files()?;
            root.manifest()?;
            let names = |e: &Experiment| -> String {
                let names = e.ensembles.iter().map(|e| format!("ensemble {}\n", e.name));
                names.collect()
            };
            let old = root.experiment()?;
            let difference = difference(&names(&old), &names(experiment));
            // more ensembles are welcome, other ones are not
            if old.is_matrix != experiment.is_matrix || difference.contains("  - ") {
                return Err(config_changed(path, &difference));
            }
        }
        root.check_links()?;
        // the run itself may be behind a link: its owner said so
        fs::create_dir_all(path).on(path)?;
        create(&root.join("claims"))?;
        create(&root.join("workers"))?;
        if !experiment.is_matrix {
            return Ok(root);
        }
        create(&root.join("ensembles"))?;
        for spec in &experiment.ensembles {
            // the configurations of all that is there are compared first
            let directory = root.ensemble(&spec.name);
            create(directory.path())?;
            if directory.join("config.toml").exists() {
                directory.compare_config(&spec.config)?;
            }
        }
        if !is_run {
            root.write_config(&experiment.table)?;
        }
        Ok(root)
    }

    /// The experiment of a run.
    ///
    /// # Errors
    /// Its `config.toml` is not one.
    pub(crate) fn experiment(&self) -> Result<Experiment> {
        let path = self.join("config.toml");
        load_experiment(&path, &[]).map_err(damaged(&path))
    }

    /// The configuration of a run of one ensemble.
    ///
    /// # Errors
    /// Its `config.toml` is not one, or it is of many.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut experiment = self.experiment()?;
        experiment.check_trains()?;
        if experiment.is_matrix {
            return Err(Error::usage(format!(
                "{} holds {}; name the directory of one of them, such as {}",
                self.path.display(),
                counted(experiment.ensembles.len(), "ensemble"),
                self.ensemble(&experiment.ensembles[0].name).path.display()
            )));
        }
        Ok(experiment.ensembles.swap_remove(0).config)
    }

    /// The directory of the matrix that this ensemble is a part of.
    pub(crate) fn matrix(&self) -> Option<PathBuf> {
        let folder = self.path.parent().filter(|p| p.ends_with("ensembles"))?;
        let matrix = folder.parent()?;
        let is_run = matrix.join("config.toml").is_file();
        is_run.then(|| matrix.to_owned())
    }

    /// Directories of the ensembles of a run.
    pub(crate) fn ensembles(&self, experiment: &Experiment) -> Vec<Self> {
        let directory = |name: &str| match experiment.is_matrix {
            true => self.ensemble(name),
            false => self.clone(),
        };
        let all = experiment.ensembles.iter();
        all.map(|spec| directory(&spec.name)).collect()
    }

    /// Opens a directory that holds a run.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::data("no such run directory").at(path.display()));
        }
        let directory = Self::folder(path.to_owned());
        directory.check_files()?;
        if !directory.join("config.toml").is_file() {
            let path = path.display();
            return Err(Error::config(format!(
                "{path} is not a run directory: it has no config.toml. A run directory is what \
                 `sideband run` writes, such as runs/NAME; for the event files in a folder write \
                 {path}/*.parquet"
            )));
        }
        directory.manifest()?;
        Ok(directory)
    }

    /// Whether everything that lies where files do is a file or a folder: to open
    /// a pipe or a device would stop the program for ever.
    fn check_files(&self) -> Result<()> {
        const FOLDERS: &str = "members checkpoints predictions plots claims workers logs batch \
                               batch/coordinator aside samples mixing";
        let folders = FOLDERS.split(' ').map(|name| self.join(name));
        for folder in std::iter::once(self.path.clone()).chain(folders) {
            let found = regular::find_irregular(&folder).on(&folder)?;
            if let Some((path, what)) = found {
                let text = format!("not a regular file but {what}; remove it");
                return Err(Error::data(text).at(path.display()));
            }
        }
        Ok(())
    }

    /// Whether all folders of the run are its own, and not links that lead
    /// elsewhere: for everything that writes or removes.
    pub(crate) fn check_links(&self) -> Result<()> {
        for folder in [
            self.path.clone(),
            self.join("ensembles"),
            self.join("batch"),
            self.join("mixing"),
        ] {
            let found = regular::find_linked_folder(&folder).on(&folder)?;
            if let Some(path) = found {
                return Err(Error::data(format!(
                    "{} is a symbolic link; a run writes into folders of its own alone: put the \
                     folder itself in its place",
                    path.display()
                )));
            }
        }
        Ok(())
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

    /// A file or a folder of the run by its name.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn metrics_path(&self) -> PathBuf {
        self.join("metrics.json")
    }

    pub(crate) fn report_path(&self) -> PathBuf {
        self.join("report.html")
    }

    pub(crate) fn members(&self) -> PathBuf {
        self.join("members")
    }

    pub(crate) fn member(&self, number: u32) -> PathBuf {
        self.join("members").join(member_name(number))
    }

    /// Checkpoint of one member in training.
    pub(crate) fn checkpoint(&self, number: u32) -> PathBuf {
        self.join("checkpoints").join(member_name(number))
    }

    /// Directory of one ensemble of a matrix.
    pub(crate) fn ensemble(&self, name: &str) -> Self {
        Self::folder(self.join("ensembles").join(name))
    }

    pub(crate) fn predictions(&self) -> PathBuf {
        self.join("predictions")
    }

    pub(crate) fn plots(&self) -> PathBuf {
        self.join("plots")
    }

    /// Takes members back that were set aside, of numbers below `members`.
    pub(crate) fn take_back(&self, members: u32) -> Result<()> {
        for (number, path) in numbered(&self.join("aside"))? {
            let place = self.member(number);
            if number < members && !regular::exists(&place) {
                fs::rename(&path, &place).on(&path)?;
            }
        }
        Ok(())
    }

    /// Sets members of numbers from `members` on aside: a result's files are those
    /// of its members. How many there were.
    pub(crate) fn set_aside(&self, members: u32) -> Result<usize> {
        let mut above = numbered(&self.members())?;
        above.retain(|(number, _)| *number >= members);
        if !above.is_empty() {
            create(&self.join("aside"))?;
        }
        for (number, path) in &above {
            let place = self.join("aside").join(member_name(*number));
            fs::rename(path, place).on(path)?;
        }
        Ok(above.len())
    }

    /// Number of member files, of the first `members`, that are there.
    pub(crate) fn count_members(&self, members: u32) -> u64 {
        (0..members).filter(|m| self.member(*m).exists()).count() as u64
    }

    /// Reads `manifest.json`; none before the run's first write of it.
    ///
    /// # Errors
    /// It is damaged or of another version.
    pub(crate) fn manifest(&self) -> Result<Option<Manifest>> {
        let path = self.join("manifest.json");
        if !path.exists() {
            return Ok(None);
        }
        let damaged = damaged(&path);
        let text = self.read(&path)?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(&damaged)?;
        let found = value.get("format").and_then(serde_json::Value::as_u64);
        let found = found.unwrap_or(0) as u32;
        RUN_DIRECTORY.check(found).map_err(|reason| {
            let hint = "use the program version that made it (see manifest.json)";
            Error::data(format!("{} {reason}; {hint}", self.path.display()))
        })?;
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Writes `manifest.json`.
    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        self.write_json(&self.join("manifest.json"), manifest)
    }

    /// Writes a value as JSON without spaces, for long lists of numbers.
    pub(crate) fn write_compact(&self, path: &Path, value: &impl Serialize) -> Result<()> {
        let text = crate::files::to_text(value, false).map_err(damaged(path))?;
        self.write(path, text.as_bytes())
    }

    /// Writes a file of the directory as JSON, so that [`RunDirectory::read_json`] reads
    /// it whatever its numbers are.
    pub(crate) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<()> {
        let text = crate::files::to_text(value, true).map_err(damaged(path))? + "\n";
        self.write(path, text.as_bytes())
    }

    /// Reads a JSON file of the directory.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<T> {
        crate::files::from_text(&self.read(path)?).map_err(damaged(path))
    }

    /// Writes a file of the directory.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        atomic::write(path, bytes).on(path)
    }

    /// Reads a text file of the directory.
    ///
    /// # Errors
    /// The file system refused, also if it is no regular file or a huge one.
    pub(crate) fn read(&self, path: &Path) -> Result<String> {
        regular::read_text(path).on(path)
    }

    /// Whether a run is of this configuration, as far as members depend on it.
    ///
    /// # Errors
    /// With the difference, if it is not.
    pub(crate) fn compare_config(&self, config: &Config) -> Result<()> {
        let [old, new] = [&self.config()?, config].map(|c| c.identity(IdentityOf::Member));
        let difference = difference(&old, &new);
        match difference.is_empty() || !self.has_members() {
            true => Ok(()),
            false => Err(config_changed(&self.path, &difference)),
        }
    }

    /// Whether the result of the configuration that stands in the directory is
    /// that of this one, also by what the manifest says of it.
    ///
    /// # Errors
    /// There is none, or a damaged one.
    pub(crate) fn has_result_of(&self, config: &Config) -> Result<bool> {
        let [old, new] = [&self.config()?, config].map(|c| c.identity(IdentityOf::Result));
        let made_with = self.manifest()?.map(|m| m.settings).unwrap_or_default();
        let is_made_with = made_with.is_empty() || made_with == config.numbers();
        Ok(old == new && is_made_with)
    }

    /// Holds settings against those that a result was made with, a line a key; nothing is
    /// known of a result of an earlier program, which has none.
    ///
    /// # Errors
    /// With the difference, and the command that makes the result anew.
    pub(crate) fn check_settings(&self, made_with: &[String], settings: &[String]) -> Result<()> {
        let difference = difference(&made_with.join("\n"), &settings.join("\n"));
        if made_with.is_empty() || difference.is_empty() {
            return Ok(());
        }
        let run = self.matrix().unwrap_or_else(|| self.path.clone());
        Err(Error::config(format!(
            "the result in {} was made with other settings:\n{difference}`sideband report` draws, \
             and computes nothing: undo the change, or make the result anew with `sideband run {} \
             --out {}`, which keeps the members that the change does not concern",
            self.path.display(),
            run.join("config.toml").display(),
            run.display()
        )))
    }

    /// Whether anything was trained: before that, all can be changed.
    fn has_members(&self) -> bool {
        let has_file =
            |folder: &PathBuf| fs::read_dir(folder).is_ok_and(|mut f| f.next().is_some());
        let folders = ["members", "checkpoints", "aside"].map(|name| self.join(name));
        folders.iter().any(has_file)
    }

    /// Whether a run is of these files.
    ///
    /// # Errors
    /// With the difference, if it is not.
    pub(crate) fn same_inputs(&self, inputs: &RunInputs) -> Result<()> {
        let Some(manifest) = self.manifest()? else {
            return Ok(());
        };
        // wherever they lie and whatever they are called
        let digests = |files: &[FileRecord]| -> Vec<String> {
            files.iter().map(|file| file.sha256.clone()).collect()
        };
        let contents = |i: &RunInputs| [&i.source, &i.target].map(|files| digests(files));
        if contents(&manifest.inputs) == contents(inputs) {
            return Ok(());
        }
        let line = |role: &str, f: &FileRecord| {
            let name = Path::new(&f.path).file_name().unwrap_or_default();
            let name = name.display();
            format!("{role}: {name} {} bytes, sha256 {}\n", f.bytes, f.sha256)
        };
        let list = |inputs: &RunInputs| -> String {
            let source = inputs.source.iter().map(|f| line("source", f));
            source
                .chain(inputs.target.iter().map(|f| line("target", f)))
                .collect()
        };
        let mut difference = difference(&list(&manifest.inputs), &list(inputs));
        if difference.is_empty() {
            difference = "  the same files in another order of their paths\n".to_owned();
        }
        Err(Error::data(format!(
            "{} was made from other data:\n{difference}its members cannot be used; choose another \
             directory with --out, or restore the files",
            self.path.display()
        )))
    }
}

/// Whether there is something that no run has made: not the folders of one that
/// another process makes at this moment.
fn is_foreign(path: &Path) -> bool {
    const OWN: &str = "members checkpoints predictions plots claims workers ensembles logs";
    let own = |name: &str| OWN.split(' ').any(|o| o == name) || name.starts_with("config.toml.");
    path.is_file()
        || fs::read_dir(path).is_ok_and(|mut entries| {
            entries.any(|e| !e.is_ok_and(|e| own(&e.file_name().to_string_lossy())))
        })
}

/// A file of the directory is damaged.
fn damaged<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |reason| Error::data(format!("{}: not readable: {reason}", path.display()))
}

/// There is something, but no run.
fn not_a_run(path: &Path) -> Error {
    Error::config(format!(
        "{} exists and is not a run directory; choose another with --out, or move it away",
        path.display()
    ))
}

/// The configuration is not the one that the run was started with.
fn config_changed(path: &Path, difference: &str) -> Error {
    Error::config(format!(
        "{} was made with another configuration:\n{difference}its members cannot be used; \
         choose another directory with --out, or undo the change",
        path.display()
    ))
}

fn create(folder: &Path) -> Result<()> {
    regular::make_folder(folder).on(folder)
}

/// The file of a member or of its checkpoint.
fn member_name(number: u32) -> String {
    format!("member_{number:04}.safetensors")
}

/// Member files of a folder with their numbers; other files are passed over.
fn numbered(folder: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on(folder)?,
    };
    let number = |name: &str| -> Option<u32> {
        let number = name.strip_prefix("member_")?.strip_suffix(".safetensors")?;
        let number = number.parse().ok()?;
        (member_name(number) == name).then_some(number)
    };
    let files = entries.flatten();
    let members =
        files.filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())));
    Ok(members.collect())
}

/// Lines of one text that the other has not, marked `-` (old) and `+` (new).
fn difference(old: &str, new: &str) -> String {
    let mark = |from: &str, other: &str, sign: char| -> String {
        let lines = from
            .lines()
            .filter(|line| !other.lines().any(|o| o == *line));
        lines.map(|line| format!("  {sign} {line}\n")).collect()
    };
    mark(old, new, '-') + &mark(new, old, '+')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::settings::parse_experiment;

    fn config(set: &[&str]) -> Config {
        let text = r#"
            experiment = { name = "t", method = "reweight" }
            data = { source = { path = "a" }, target = { path = "b" } }
            regions.cr = { selection = "x > 1" }
            features = { inputs = ["x"] }
            training = { region = "cr" }
        "#;
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        let mut experiment = parse_experiment(text, &set).unwrap();
        experiment.ensembles.swap_remove(0).config
    }

    #[test]
    fn a_changed_configuration_is_refused_with_the_difference() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let inputs = RunInputs::default();
        RunDirectory::create(&path, &config(&["training.batch=32"]), &inputs).unwrap();
        // before anything is trained, all may change
        let directory = RunDirectory::create(&path, &config(&[]), &inputs).unwrap();
        directory.write_config(&config(&[])).unwrap();
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
    fn members_above_the_number_are_set_aside_and_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = RunInputs::default();
        let path = folder.path().join("run");
        let directory = RunDirectory::create(&path, &config(&[]), &inputs).unwrap();
        let notes = directory.members().join("member_0009.txt");
        fs::write(&notes, "mine").unwrap();
        for number in 0..4 {
            fs::write(directory.member(number), number.to_string()).unwrap();
        }
        assert_eq!(directory.set_aside(2).unwrap(), 2);
        assert_eq!(directory.count_members(9), 2);
        fs::write(directory.member(3), "new").unwrap();
        directory.take_back(3).unwrap();
        assert_eq!(fs::read(directory.member(2)).unwrap(), b"2");
        directory.take_back(9).unwrap();
        assert_eq!(fs::read(directory.member(3)).unwrap(), b"new");
        assert!(notes.exists());
    }

    #[test]
    fn many_begin_one_run_at_once() {
        let (config, inputs) = (config(&[]), RunInputs::default());
        for _ in 0..100 {
            let folder = tempfile::tempdir().unwrap();
            let begin = || {
                let directory = RunDirectory::create(folder.path(), &config, &inputs)?;
                // what a run writes next
                directory.write(&directory.join("log.jsonl"), b"")
            };
            std::thread::scope(|scope| {
                for one in [(); 4].map(|()| scope.spawn(begin)) {
                    one.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "x").unwrap();
        let inputs = RunInputs::default();
        let error = RunDirectory::create(folder.path(), &config(&[]), &inputs).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(
            error.to_string().contains("is not a run directory"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
