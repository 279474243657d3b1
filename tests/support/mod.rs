//! What the tests share: samples of events, folders to run the program in, and ensembles
//! that are trained in this process.
#![allow(dead_code, reason = "read by the derived Debug of a test that fails")]

pub mod events;
pub mod flows;
pub mod golden;
pub mod hole;
pub mod program;
pub mod root_file;
pub mod statistics;
pub mod workplace;

pub use events::{Columns, Numbers, doubles, integers, singles};
pub use program::{Done, Running, contains, wait_until};
pub use workplace::{Workplace, configuration, same_results, shipped_configurations};

use serde_json::Value;
use std::path::Path;

/// The folder of the package.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
#[track_caller]
pub fn document(name: &str) -> String {
    let text = std::fs::read_to_string(root().join(name));
    text.unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Whether a study is the whole one, which prints the figures of `benches/RESULTS.md`, and
/// not the reduced one that takes some seconds.
pub fn is_full() -> bool {
    match std::env::var("SIDEBAND_STUDY").as_deref() {
        Ok("full") => true,
        Ok(other) => panic!("SIDEBAND_STUDY is {other:?}; \"full\" is the only study by name"),
        Err(_) => false,
    }
}

/// A value as a type: a list of pairs, say.
#[track_caller]
pub fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
}

#[track_caller]
pub fn number(value: &Value) -> f64 {
    parsed(value)
}

#[track_caller]
pub fn numbers(value: &Value) -> Vec<f64> {
    parsed(value)
}

#[track_caller]
pub fn list(value: &Value) -> &Vec<Value> {
    let list = value.as_array();
    list.unwrap_or_else(|| panic!("{value} is no list"))
}

#[track_caller]
pub fn words(value: &Value) -> Vec<&str> {
    let words = list(value).iter().map(Value::as_str);
    let words: Option<Vec<&str>> = words.collect();
    words.unwrap_or_else(|| panic!("{value} has what is no text"))
}
