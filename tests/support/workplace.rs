//! Folders to run the program in, with data and a configuration, and what it writes there.

use super::events::{self, Columns, EVENTS, measured};
use super::program::{Done, Running, contains};
use super::{document, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::SystemTime;
use tempfile::TempDir;

/// A configuration of `tests/data/configurations`.
pub fn configuration(name: &str) -> String {
    document(&format!("tests/data/configurations/{name}.toml"))
}

/// A run that is made once for all tests that begin with it.
pub struct Made {
    /// Its files by their path in the run directory.
    files: BTreeMap<PathBuf, Vec<u8>>,
    pub done: Done,
}

impl Made {
    /// The run of a folder's configuration with settings.
    pub fn new(place: &Workplace, settings: &[&str]) -> Self {
        let done = place.run_quietly("out", settings).exits(0);
        let files = tree(&place.path("out"));
        Self { files, done }
    }
}

pub static REWEIGHTING: LazyLock<Made> = LazyLock::new(|| Made::new(&Workplace::new(), &[]));
pub static INTERPOLATION: LazyLock<Made> =
    LazyLock::new(|| Made::new(&Workplace::interpolation(), &[]));
pub static SHIPPED_MEASUREMENT: LazyLock<Made> =
    LazyLock::new(|| Made::new(&Workplace::shipped_measurement(), &[]));

/// A folder to run the program in.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// With a configuration alone.
    pub fn with_configuration(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        place.write("config.toml", text);
        place
    }

    /// With `source.parquet`, `target.parquet` and `reweighting.toml` as `config.toml`.
    pub fn new() -> Self {
        Self::with_events(EVENTS)
    }

    pub fn with_events(events: usize) -> Self {
        let place = Self::with_configuration(configuration("reweighting"));
        place.put("source.parquet", &events::reweighting(1, 0, events, 0.0));
        let target = events::reweighting(2, 1 << 32, events, 0.5);
        place.put("target.parquet", &target);
        place
    }

    /// The same, with a run of it in `out`.
    pub fn trained() -> Self {
        Self::new().with("out", &REWEIGHTING)
    }

    /// With a run, as if it had been made here.
    pub fn with(self, run: &str, made: &Made) -> Self {
        for (name, bytes) in &made.files {
            let path = self.path(run).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        self.start_here(run);
        self
    }

    /// Makes this folder the one in which a run was started, from which its data paths start.
    pub fn start_here(&self, run: &str) {
        let name = format!("{run}/manifest.json");
        let mut manifest = self.json(&name);
        manifest["base"] = self.folder.path().to_str().into();
        self.write(&name, serde_json::to_string_pretty(&manifest).unwrap());
    }

    /// With `plane.parquet` and `plane.toml`, which interpolates it.
    pub fn interpolation() -> Self {
        let place = Self::with_configuration(configuration("plane"));
        place.put("plane.parquet", &events::plane(3));
        place
    }

    /// The shipped measurement, made small.
    pub fn shipped_measurement() -> Self {
        let config = document("configs/interference.toml");
        let mut config: toml::Table = config.parse().unwrap();
        config.remove("toys");
        for (table, key, value) in [
            ("generate", "events", 2000.into()),
            ("ensemble", "members", 1.into()),
            ("training", "epochs", 1.into()),
            ("model", "hidden", vec![8].into()),
            ("report", "classifier_members", 0.into()),
        ] {
            config[table][key] = value;
        }
        Self::with_configuration(toml::to_string(&config).unwrap())
    }

    /// The shipped mixing of the first events of both samples, with small networks.
    pub fn mixing(events: usize) -> Self {
        let mut config: toml::Table = document("configs/mixing.toml").parse().unwrap();
        for (table, key, value) in [
            ("ensemble", "members", toml::Value::from(2)),
            ("training", "epochs", 3.into()),
            ("training", "validation", 0.3.into()),
        ] {
            let table = config[table].as_table_mut().unwrap();
            table.insert(key.to_owned(), value);
        }
        let model: toml::Table = "hidden = [8]".parse().unwrap();
        config.insert("model".to_owned(), toml::Value::Table(model));
        config["data"]["source"]["path"] = "source.parquet".into();
        config["data"]["target"]["path"] = "target.parquet".into();
        let mixing = config["mixing"].as_table_mut().unwrap();
        for (key, value) in [
            ("sets", 3),
            ("pairs", 8),
            ("groups", 3),
            ("pool_minimum", 40),
            ("classifier_members", 5),
        ] {
            mixing.insert(key.to_owned(), value.into());
        }
        let of = mixing["uncertainties"]["m_hh"].as_table_mut().unwrap();
        of.insert("max_order".to_owned(), 1.into());
        of["bins"] = vec![240.0, 370.0, 420.0, 500.0, 1200.0].into();
        of["signal"]["path"] = root()
            .join("tests/data/signal/ggf_hh.parquet")
            .display()
            .to_string()
            .into();
        let place = Self::with_configuration(toml::to_string(&config).unwrap());
        for (file, sample) in [("source", "jets_3b"), ("target", "jets_4b")] {
            let path = root().join(format!("tests/data/jets/{sample}.parquet"));
            let mut columns = Columns::read_parquet(&path);
            columns.truncate(events);
            place.put(&format!("{file}.parquet"), &columns);
        }
        place
    }

    /// With `S.parquet`, `B.parquet`, `obs.parquet` and `measurement.toml`: simulated
    /// events of signal and background that stand for so many expected ones in each of the
    /// regions, and so many observed ones.
    pub fn measurement(
        regions: usize,
        simulated: usize,
        expected: [f64; 2],
        observed: [f64; 2],
    ) -> Self {
        let place = Self::with_configuration(configuration("measurement"));
        let [s, b] = expected;
        place.put("S.parquet", &measured(1, 0, [simulated, 0], s, regions));
        place.put(
            "B.parquet",
            &measured(2, 1 << 20, [0, simulated], b, regions),
        );
        let observed = observed.map(|n| (regions as f64 * n).round() as usize);
        let mut columns = measured(3, 0, observed, 1.0, regions);
        columns.drop(&["event", "w", "wu", "wd"]);
        place.put("obs.parquet", &columns);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sideband"));
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Runs the program to its end.
    pub fn sideband(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        Done::of(command.stdin(Stdio::null()).output().unwrap())
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// `sideband run config.toml --out OUT` with settings.
    pub fn run(&self, out: &str, settings: &[&str]) -> Done {
        self.sideband(&Self::run_arguments(out, settings))
    }

    pub fn run_quietly(&self, out: &str, settings: &[&str]) -> Done {
        self.sideband(&[&Self::run_arguments(out, settings)[..], &["--quiet"]].concat())
    }

    pub fn run_arguments<'a>(out: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
        [&["run", "config.toml", "--out", out][..], &set(settings)].concat()
    }

    /// `sideband plan config.toml` with settings, without a measurement of the speed.
    pub fn plan(&self, settings: &[&str]) -> Done {
        let plan = ["plan", "config.toml", "--no-calibration"];
        self.sideband(&[&plan[..], &set(settings)].concat())
    }

    /// The same, and what blind regions hide.
    pub fn run_open(&self, out: &str, settings: &[&str]) -> Done {
        self.sideband(&[&Self::run_arguments(out, settings)[..], &["--unblind"]].concat())
    }

    /// Holds that settings are refused already by `plan`, in these words.
    #[track_caller]
    pub fn refuses(&self, settings: &[&str], words: &[&str]) {
        self.plan(settings).exits(3).warns(words);
    }

    /// `sideband predict RUN FILE --out OUT`, which works.
    #[track_caller]
    pub fn predict(&self, run: &str, file: &str, out: &str) -> Done {
        self.sideband(&["predict", run, file, "--out", out])
            .exits(0)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Reads a file of the folder.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    #[track_caller]
    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    #[track_caller]
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// Removes a file or a folder, if it is there.
    pub fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).unwrap();
        } else if path.exists() || path.is_symlink() {
            fs::remove_file(path).unwrap();
        }
    }

    /// Replaces texts of the configuration, each of which must be there.
    #[track_caller]
    pub fn configure(&self, changes: &[(&str, &str)]) {
        let mut config = self.text("config.toml");
        for (old, new) in changes {
            contains(&config, [old]);
            config = config.replace(old, new);
        }
        self.write("config.toml", config);
    }

    /// Holds that a file of the folder has a text.
    #[track_caller]
    pub fn says_in(&self, name: &str, text: &str) {
        contains(&self.text(name), [text]);
    }

    /// Columns of a Parquet file.
    pub fn events(&self, name: &str) -> Columns {
        Columns::read_parquet(&self.path(name))
    }

    pub fn put(&self, name: &str, columns: &Columns) {
        columns.write_parquet(&self.path(name));
    }

    /// Rewrites a Parquet file of the folder.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Columns)) {
        let mut columns = self.events(name);
        change(&mut columns);
        self.put(name, &columns);
    }

    /// Rewrites the samples of the reweighting.
    pub fn edit_both(&self, change: impl Fn(&mut Columns)) {
        for name in ["source.parquet", "target.parquet"] {
            self.edit(name, &change);
        }
    }

    /// Names and bytes of the member files of a run.
    pub fn members(&self, run: &str) -> BTreeMap<String, Vec<u8>> {
        let files = tree(&self.path(run).join("members")).into_iter();
        let is_member = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
        let members = files.filter(|(path, _)| is_member(path));
        let named = members.map(|(path, bytes)| (path.display().to_string(), bytes));
        named.collect()
    }

    pub fn member(&self, run: &str, number: u32) -> PathBuf {
        self.path(&format!("{run}/members/member_{number:04}.safetensors"))
    }
}

/// Names and texts of the files in `configs`.
pub fn shipped_configurations() -> Vec<(String, String)> {
    let files = tree(&root().join("configs")).into_iter();
    let named = files.map(|(path, bytes)| (path.display().to_string(), bytes));
    let named = named.filter(|(name, _)| name.ends_with(".toml"));
    named
        .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
        .collect()
}

/// Every setting after `--set`.
pub fn set<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|s| ["--set", s]).collect()
}

/// All files of a folder by their path in it; links by where they lead.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            let about = fs::symlink_metadata(&path).unwrap();
            if about.is_dir() {
                folders.push(path);
            } else if about.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                files.insert(name, target.into_os_string().into_encoded_bytes());
            } else if about.is_file() {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

pub fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Names of members that differ between two runs.
pub fn differing(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let other = |(name, bytes): &(&String, &Vec<u8>)| b.get(*name).is_some_and(|o| o != *bytes);
    a.iter()
        .filter(other)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Holds members and files of two runs to each other, byte for byte.
#[track_caller]
pub fn same_results(place: &Workplace, a: &str, b: &str, files: &[&str]) {
    let (members, others) = (place.members(a), place.members(b));
    assert!(members.keys().eq(others.keys()), "{a} {b}");
    let differing = differing(&members, &others);
    assert!(differing.is_empty(), "{a} {b}: {differing:?}");
    for name in files {
        let (one, other) = (format!("{a}/{name}"), format!("{b}/{name}"));
        let is_same = place.read(&one) == place.read(&other);
        assert!(is_same, "{one} is not {other}");
    }
}
