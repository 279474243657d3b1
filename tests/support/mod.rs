//! A folder with two small event samples and a configuration, in which a test
//! runs the program as a user does.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod flows;
pub mod hole;
pub mod plane;

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, Int64Array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::writer::FileWriter;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// Events of each sample.
pub const EVENTS: usize = 400;

/// The configuration of a [`Workplace`]: trained in `cr`, looked at in `sr`,
/// well under a second.
pub const CONFIG: &str = r#"
[experiment]
name = "small"
method = "reweight"
seed = 7

[device]
threads = 1

[data.source]
path = "source.parquet"
weight = "weight"
id = ["event"]

[data.target]
path = "target.parquet"
weight = "weight"
id = ["event"]

[regions.sr]
selection = "mass > 0.7"

[regions.cr]
selection = "mass <= 0.7"

[features]
inputs = ["pt", "eta"]

[model]
hidden = [8]

[training]
region = "cr"
batch = 64
epochs = 2

[ensemble]
members = 2

[report]
bins = 4
classifier_members = 0
"#;

/// Seeded numbers (SplitMix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Columns of a file, in order.
pub type Columns = Vec<(String, ArrayRef)>;

/// A sample: `event`, `pt`, `eta`, `mass` in [0, 1), `kind` 0, 1 or 2, `weight`.
/// `shift` moves `pt`, so that there is something to learn.
pub fn sample(seed: u64, first_event: i64, events: usize, shift: f64) -> Columns {
    let mut numbers = Numbers::new(seed);
    let (mut pt, mut eta, mut mass, mut kind, mut weight) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..events {
        pt.push((numbers.normal() + shift) as f32);
        eta.push(numbers.normal() as f32);
        mass.push(numbers.uniform());
        kind.push((numbers.bits() % 3) as i64);
        weight.push(0.5 + numbers.uniform());
    }
    let event: Vec<i64> = (first_event..).take(events).collect();
    vec![
        (
            "event".to_owned(),
            Arc::new(Int64Array::from(event)) as ArrayRef,
        ),
        ("pt".to_owned(), Arc::new(Float32Array::from(pt))),
        ("eta".to_owned(), Arc::new(Float32Array::from(eta))),
        ("mass".to_owned(), Arc::new(Float64Array::from(mass))),
        ("kind".to_owned(), Arc::new(Int64Array::from(kind))),
        ("weight".to_owned(), Arc::new(Float64Array::from(weight))),
    ]
}

fn batch(columns: Columns) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, values)| Field::new(name, values.data_type().clone(), true))
        .collect();
    let values = columns.into_iter().map(|(_, values)| values).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), values).unwrap()
}

pub fn write_parquet(path: &Path, columns: Columns) {
    let batch = batch(columns);
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub fn write_arrow(path: &Path, columns: Columns) {
    let batch = batch(columns);
    let file = File::create(path).unwrap();
    let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

pub fn read_parquet(path: &Path) -> Columns {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let batch = concat_batches(&schema, &batches).unwrap();
    schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, values)| (field.name().clone(), Arc::clone(values)))
        .collect()
}

/// Values of a column as f64; NaN where null.
pub fn numbers(values: &ArrayRef) -> Vec<f64> {
    let values = cast(values, &DataType::Float64).unwrap();
    let values = values.as_any().downcast_ref::<Float64Array>().unwrap();
    values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
}

/// How the program ended.
#[derive(Debug)]
pub struct Done {
    pub exit: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        let done = Self {
            exit: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!done.stdout.contains("panicked"), "{done:?}");
        assert!(!done.stderr.contains("panicked"), "{done:?}");
        done
    }

    /// The same, after a check of the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.exit, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// A folder to run the program in.
pub struct Workplace {
    folder: TempDir,
}

impl Workplace {
    /// With `source.parquet`, `target.parquet` and `config.toml`.
    pub fn new() -> Self {
        Self::with_events(EVENTS)
    }

    pub fn with_events(events: usize) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        write_parquet(&place.path("source.parquet"), sample(1, 0, events, 0.0));
        write_parquet(
            &place.path("target.parquet"),
            sample(2, 1 << 32, events, 0.5),
        );
        fs::write(place.path("config.toml"), CONFIG).unwrap();
        place
    }

    /// The shipped measurement, made small.
    pub fn measurement() -> Self {
        let place = Self::new();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/interference.toml");
        let mut config: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        config.remove("toys");
        for (table, key, value) in [
            ("generate", "events", toml::Value::Integer(2000)),
            ("ensemble", "members", toml::Value::Integer(1)),
            ("training", "epochs", toml::Value::Integer(1)),
            (
                "model",
                "hidden",
                toml::Value::Array(vec![toml::Value::Integer(8)]),
            ),
            ("report", "classifier_members", toml::Value::Integer(0)),
        ] {
            config[table][key] = value;
        }
        std::fs::write(place.path("config.toml"), toml::to_string(&config).unwrap()).unwrap();
        place
    }

    /// With `plane.parquet` and a configuration that interpolates it as well.
    pub fn interpolation() -> Self {
        let place = Self::new();
        write_parquet(&place.path("plane.parquet"), plane::sample(3));
        fs::write(place.path("config.toml"), plane::CONFIG).unwrap();
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
        Done::of(
            self.command(arguments)
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// `sideband run config.toml --out OUT` with settings.
    pub fn run(&self, out: &str, settings: &[&str]) -> Done {
        self.sideband(&Self::run_arguments(out, settings))
    }

    pub fn run_arguments<'a>(out: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["run", "config.toml", "--out", out];
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        arguments
    }

    /// Reads a file of the folder.
    #[track_caller]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    #[track_caller]
    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Names and bytes of the member files of a run.
    pub fn members(&self, run: &str) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(self.path(run).join("members"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }

    /// Rewrites a Parquet file of the folder.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Columns)) {
        let path = self.path(name);
        let mut columns = read_parquet(&path);
        change(&mut columns);
        write_parquet(&path, columns);
    }
}

/// Names of members that differ between two runs.
pub fn differing(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    a.iter()
        .filter(|(name, bytes)| b.get(*name).is_some_and(|other| other != *bytes))
        .map(|(name, _)| name.clone())
        .collect()
}
