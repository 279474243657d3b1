//! Opening a run directory: new, to be finished, or refused.

use super::manifest::{DIRECTORY_FORMAT, Inputs, Manifest, OutputRecord};
use crate::error::{Error, OnFile, Result};
use crate::files::{ServerClock, atomic, regular};
use crate::settings::{Config, Experiment, IdentityOf, load_experiment};
use std::collections::BTreeMap;
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
    pub fn create(path: &Path, config: &Config, inputs: &Inputs) -> Result<Self> {
        let directory = Self {
            path: path.to_owned(),
        };
        let is_run = directory.is_run()?;
        if is_run {
            directory.check_files()?;
            directory.compare(config, inputs)?;
        }
        directory.check_links()?;
        for folder in [
            directory.members(),
            directory.checkpoints(),
            directory.predictions(),
            directory.plots(),
        ] {
            create(&folder)?;
        }
        directory.sweep();
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
        let is_run = self.config_path().exists();
        if is_foreign && !is_run {
            return Err(not_a_run(&self.path));
        }
        Ok(is_run)
    }

    /// Writes the configuration with which the run goes on.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let path = self.config_path();
        let text = toml::to_string(config).map_err(damaged(&path))?;
        self.write(&path, text.as_bytes())
    }

    /// Writes the experiment with which a matrix goes on.
    pub fn write_experiment(&self, experiment: &Experiment) -> Result<()> {
        let path = self.config_path();
        let text = toml::to_string(&experiment.table).map_err(damaged(&path))?;
        self.write(&path, text.as_bytes())
    }

    /// Opens the directory of a whole experiment. Without a matrix it is that of
    /// its one ensemble; with one it holds theirs. The experiment of a new one is
    /// written; that of an old one stays until [`RunDirectory::write_experiment`].
    ///
    /// # Errors
    /// Also if it holds the run of another experiment.
    pub fn create_root(path: &Path, experiment: &Experiment) -> Result<Self> {
        let root = Self {
            path: path.to_owned(),
        };
        let is_run = root.is_run()?;
        if is_run {
            root.check_files()?;
            root.manifest()?;
            let names = |e: &Experiment| -> String {
                let names = e.ensembles.iter().map(|e| format!("ensemble {}", e.name));
                names.collect::<Vec<_>>().join("\n")
            };
            let old = root.experiment()?;
            let difference = lines(&names(&old), &names(experiment));
            // more ensembles are welcome, other ones are not
            if old.is_matrix != experiment.is_matrix || difference.contains("  - ") {
                return Err(config_changed(path, &difference));
            }
        }
        root.check_links()?;
        // the run itself may be behind a link: its owner said so
        fs::create_dir_all(path).on(path)?;
        for folder in [root.claims(), root.workers()] {
            create(&folder)?;
        }
        if experiment.is_matrix {
            create(&path.join("ensembles"))?;
            for ensemble in &experiment.ensembles {
                // the configurations of all that is there are compared first
                let directory = root.ensemble(&ensemble.name);
                create(directory.path())?;
                if directory.config_path().exists() {
                    directory.compare_config(&ensemble.config)?;
                }
            }
            if !is_run {
                root.write_experiment(experiment)?;
            }
        }
        Ok(root)
    }

    /// The experiment of a run.
    ///
    /// # Errors
    /// Its `config.toml` is not one.
    pub fn experiment(&self) -> Result<Experiment> {
        let path = self.config_path();
        load_experiment(&path, &[]).map_err(damaged(&path))
    }

    /// The configuration of a run of one ensemble.
    ///
    /// # Errors
    /// Its `config.toml` is not one, or it is of many.
    pub fn config(&self) -> Result<Config> {
        let mut experiment = self.experiment()?;
        if experiment.is_matrix {
            return Err(Error::usage(format!(
                "{} holds {} ensembles; name the directory of one of them, such as {}",
                self.path.display(),
                experiment.ensembles.len(),
                self.ensemble(&experiment.ensembles[0].name).path.display()
            )));
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

    /// Opens a directory that holds a run.
    pub fn open(path: &Path) -> Result<Self> {
        let directory = Self {
            path: path.to_owned(),
        };
        if !path.exists() {
            return Err(Error::data("no such run directory").at(path.display()));
        }
        directory.check_files()?;
        if !directory.config_path().is_file() {
            return Err(not_a_run(path));
        }
        directory.manifest()?;
        Ok(directory)
    }

    /// Whether everything that lies where files do is a file or a folder: to open
    /// a pipe or a device would stop the program for ever.
    fn check_files(&self) -> Result<()> {
        let folders = [
            self.path.clone(),
            self.members(),
            self.checkpoints(),
            self.predictions(),
            self.plots(),
            self.claims(),
            self.workers(),
            self.logs(),
            self.batch(),
            self.batch().join("coordinator"),
            self.aside(),
            self.path.join("samples"),
        ];
        for folder in folders {
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
    pub fn check_links(&self) -> Result<()> {
        for folder in [self.path.clone(), self.path.join("ensembles"), self.batch()] {
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

    /// `aside/`: members above the number that is asked for at present.
    #[must_use]
    pub fn aside(&self) -> PathBuf {
        self.path.join("aside")
    }

    /// Takes members back that were set aside, of numbers below `members`.
    pub fn take_back(&self, members: u32) -> Result<()> {
        for (number, path) in numbered(&self.aside())? {
            let place = self.member(number);
            if number < members && !regular::exists(&place) {
                fs::rename(&path, &place).on(&path)?;
            }
        }
        Ok(())
    }

    /// Sets members of numbers from `members` on aside: a result's files are those
    /// of its members. How many there were.
    pub fn set_aside(&self, members: u32) -> Result<usize> {
        let mut above = numbered(&self.members())?;
        above.retain(|(number, _)| *number >= members);
        if !above.is_empty() {
            create(&self.aside())?;
        }
        for (_, path) in &above {
            let place = self.aside().join(path.file_name().unwrap_or_default());
            fs::rename(path, place).on(path)?;
        }
        Ok(above.len())
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
    /// It is damaged or of another version.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let path = self.manifest_path();
        if !path.exists() {
            return Ok(None);
        }
        let damaged = damaged(&path);
        let text = self.read(&path)?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(&damaged)?;
        let found = value
            .get("format")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0) as u32;
        if found != DIRECTORY_FORMAT {
            return Err(Error::data(format!(
                "{} has format {found}, this program knows {DIRECTORY_FORMAT}; use the program \
                 version that made it (see manifest.json)",
                self.path.display()
            )));
        }
        serde_json::from_value(value).map(Some).map_err(damaged)
    }

    /// Writes `manifest.json`.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        self.write_json(&self.manifest_path(), manifest)
    }

    /// Records of the files of a result: predictions, numbers, figures and page, as
    /// far as they are there. Names with an ending of the program's own alone.
    pub fn outputs(&self) -> Result<BTreeMap<String, OutputRecord>> {
        let mut names: Vec<String> = ["metrics.json", "figures.json", "report.html"]
            .map(ToOwned::to_owned)
            .into();
        for (folder, endings) in OUTPUT_FOLDERS {
            let path = self.path.join(folder);
            let entries = fs::read_dir(&path).on(&path)?;
            let files = entries.flatten().filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let ending = Path::new(&name).extension()?.to_str()?;
                endings
                    .contains(&ending)
                    .then(|| format!("{folder}/{name}"))
            });
            names.extend(files);
        }
        let mut outputs = BTreeMap::new();
        for name in names {
            let path = self.path.join(&name);
            match OutputRecord::of(&path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                record => {
                    outputs.insert(name, record.on(&path)?);
                }
            }
        }
        Ok(outputs)
    }

    /// The first file of a result, of those that are `wanted` by their names, that
    /// is not there or not as it was written.
    #[must_use]
    pub fn damaged_output(
        &self,
        manifest: &Manifest,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let is_damaged = |(name, record): &(&String, &OutputRecord)| {
            is_output(name)
                && wanted(name)
                && OutputRecord::of(&self.path.join(name)).ok().as_ref() != Some(record)
        };
        let found = manifest.outputs.iter().find(is_damaged);
        found.map(|(name, _)| name.clone())
    }

    /// Removes files of an earlier result that the present one has not: figures of
    /// variables that are gone. Both by their records; other files stay.
    pub fn retire(
        &self,
        earlier: &BTreeMap<String, OutputRecord>,
        present: &BTreeMap<String, OutputRecord>,
    ) {
        for name in earlier.keys() {
            if is_output(name) && !present.contains_key(name) {
                // a file that cannot be removed does no more harm than before
                let _ = fs::remove_file(self.path.join(name));
            }
        }
    }

    /// Writes a value as JSON without spaces, for long lists of numbers.
    pub fn write_compact(&self, path: &Path, value: &impl serde::Serialize) -> Result<()> {
        self.write(path, json(path, value, false)?.as_bytes())
    }

    /// Writes a file of the directory as JSON, so that [`RunDirectory::read_json`] reads
    /// it whatever its numbers are.
    pub fn write_json(&self, path: &Path, value: &impl serde::Serialize) -> Result<()> {
        let text = json(path, value, true)? + "\n";
        self.write(path, text.as_bytes())
    }

    /// Reads a JSON file of the directory.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<T> {
        crate::files::from_text(&self.read(path)?).map_err(damaged(path))
    }

    /// Writes a file of the directory.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        atomic::write(path, bytes).on(path)
    }

    /// Reads a text file of the directory.
    ///
    /// # Errors
    /// The file system refused, also if it is no regular file or a huge one.
    pub fn read(&self, path: &Path) -> Result<String> {
        regular::read_text(path).on(path)
    }

    /// Removes what killed writers left behind.
    fn sweep(&self) {
        let clock = ServerClock::new(&self.path);
        for folder in [
            self.path.clone(),
            self.members(),
            self.checkpoints(),
            self.predictions(),
            self.plots(),
        ] {
            atomic::sweep(&folder, &clock);
        }
    }

    fn compare(&self, config: &Config, inputs: &Inputs) -> Result<()> {
        self.compare_config(config)?;
        self.compare_inputs(inputs)
    }

    /// Whether a run is of this configuration, as far as members depend on it.
    ///
    /// # Errors
    /// With the difference, if it is not.
    pub fn compare_config(&self, config: &Config) -> Result<()> {
        let [old, new] = [&self.config()?, config].map(|c| c.identity(IdentityOf::Member));
        let difference = lines(&old, &new);
        if !difference.is_empty() && self.has_members() {
            return Err(config_changed(&self.path, &difference));
        }
        Ok(())
    }

    /// Whether the result of the configuration that stands in the directory is
    /// that of this one.
    ///
    /// # Errors
    /// There is none, or a damaged one.
    pub fn has_result_of(&self, config: &Config) -> Result<bool> {
        let [old, new] = [&self.config()?, config].map(|c| c.identity(IdentityOf::Result));
        Ok(old == new)
    }

    /// Whether anything was trained: before that, all can be changed.
    fn has_members(&self) -> bool {
        [self.members(), self.checkpoints(), self.aside()]
            .iter()
            .any(|folder| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
    }

    /// Whether a run is of these files.
    ///
    /// # Errors
    /// With the difference, if it is not.
    pub fn compare_inputs(&self, inputs: &Inputs) -> Result<()> {
        if self.has_members() {
            self.same_inputs(inputs)
        } else {
            Ok(())
        }
    }

    /// The same, whether anything was trained or not.
    ///
    /// # Errors
    /// With the difference, if it is not.
    pub fn same_inputs(&self, inputs: &Inputs) -> Result<()> {
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
            Err(Error::data(format!(
                "{} was made from other data:\n{difference}its members cannot be used; choose \
                 another directory with --out, or restore the files",
                self.path.display()
            )))
        }
    }
}

/// Folders with files of a result, and the endings of those.
const OUTPUT_FOLDERS: [(&str, &[&str]); 2] = [
    ("predictions", &["parquet"]),
    ("plots", &["svg", "png", "toml"]),
];

/// Whether a name of a manifest, which anybody may have written, is one of a file
/// of a result, in the directory itself or one folder below.
fn is_output(name: &str) -> bool {
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('\\');
    match name.split_once('/') {
        None => ["metrics.json", "figures.json", "report.html"].contains(&name),
        Some((folder, file)) => {
            is_plain(file)
                && !file.contains('/')
                && OUTPUT_FOLDERS.iter().any(|(own, _)| *own == folder)
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

fn json(path: &Path, value: &impl serde::Serialize, is_indented: bool) -> Result<String> {
    crate::files::to_text(value, is_indented).map_err(damaged(path))
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

/// Member files of a folder with their numbers; other files are passed over.
fn numbered(folder: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on(folder)?,
    };
    let number = |name: &str| -> Option<u32> {
        let number = name
            .strip_prefix("member_")?
            .strip_suffix(".safetensors")?
            .parse()
            .ok()?;
        (format!("member_{number:04}.safetensors") == name).then_some(number)
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
        .collect())
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
        let inputs = Inputs::default();
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
        let inputs = Inputs::default();
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
        let (config, inputs) = (config(&[]), Inputs::default());
        for _ in 0..100 {
            let folder = tempfile::tempdir().unwrap();
            let begin = || {
                let directory = RunDirectory::create(folder.path(), &config, &inputs)?;
                // what a run writes next
                directory.write(&directory.log_path(), b"")
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
        let inputs = Inputs::default();
        let error = RunDirectory::create(folder.path(), &config(&[]), &inputs).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(
            error.to_string().contains("is not a run directory"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
