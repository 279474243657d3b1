//! `sideband example`: the shipped configurations with their data, for those who have the
//! program alone.

use super::options::ExampleArguments;
use super::out::{Done, print, table, wrapped};
use crate::error::{Error, OnFile, Result};
use crate::files::{atomic, regular};
use std::path::{Path, PathBuf};

/// Longest line of what an example is.
const ABOUT: usize = 76;
/// Where the configurations have their data, and where they are written.
const SHIPPED: [&str; 3] = [
    "../tests/data/collisions/",
    "../tests/data/jets/",
    "../tests/data/signal/",
];
const WRITTEN: &str = "data/";

struct Example {
    name: &'static str,
    text: &'static str,
    data: &'static [(&'static str, &'static [u8])],
}

macro_rules! shipped {
    ($($folder:literal: $($file:literal),*);*) => {
        &[$($((
            concat!($file, ".parquet"),
            include_bytes!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/data/", $folder, "/", $file, ".parquet"
            )) as &[u8],
        ),)*)*]
    };
}

macro_rules! example {
    ($name:literal, $data:expr) => {
        Example {
            name: $name,
            text: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/configs/",
                $name,
                ".toml"
            )),
            data: $data,
        }
    };
}

const TWO: &[(&str, &[u8])] = shipped!("collisions": "qcd_2b", "qcd_4b");

static EXAMPLES: [Example; 11] = [
    example!("quickstart", TWO),
    example!("blinded", TWO),
    example!("ratio", TWO),
    example!("matrix", TWO),
    example!("scan", TWO),
    example!("jets", shipped!("jets": "jets_3b", "jets_4b")),
    example!(
        "mixing",
        shipped!("jets": "jets_3b", "jets_4b"; "signal": "ggf_hh")
    ),
    example!("mass_plane", shipped!("collisions": "qcd_4b")),
    example!(
        "interpolation",
        shipped!("collisions": "qcd_2b", "qcd_3b", "qcd_4b")
    ),
    example!("interference", &[]),
    example!("reference", TWO),
];

pub(super) fn example(arguments: &ExampleArguments) -> Done {
    let Some(name) = &arguments.name else {
        return print(&list());
    };
    let example = EXAMPLES.iter().find(|example| example.name == *name);
    let example = example.ok_or_else(|| {
        let names: Vec<&str> = EXAMPLES.iter().map(|example| example.name).collect();
        let names = names.join(", ");
        Error::usage(format!("there is no example {name:?}; there are {names}"))
    })?;
    let folder = arguments.out.clone().unwrap_or_else(|| PathBuf::from(name));
    let text = SHIPPED
        .iter()
        .fold(example.text.to_owned(), |text, folder| {
            text.replace(folder, WRITTEN)
        });
    let text = text
        .replace("cargo run --release -- ", "sideband ")
        .replace(" configs/", " ");
    let config = folder.join(format!("{name}.toml"));
    let mut files = vec![(config.clone(), text.as_bytes())];
    let data = example.data.iter();
    files.extend(data.map(|(file, bytes)| (folder.join(WRITTEN).join(file), *bytes)));
    let foreign = files.iter().find(|(path, bytes)| !is_free(path, bytes));
    if let Some((path, _)) = foreign {
        let path = path.display();
        return Err(Error::usage(format!(
            "{path} is there and is another file; choose another folder with --out"
        )));
    }
    for (path, bytes) in files {
        write(&path, bytes)?;
        print(&format!("written {}", path.display()))?;
    }
    print(&format!("next    sideband run {}", config.display()))
}

/// Whether nothing is lost if the file is written.
fn is_free(path: &Path, bytes: &[u8]) -> bool {
    let there = regular::read(path, bytes.len() as u64);
    !regular::exists(path) || there.is_ok_and(|there| there == bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).on(folder)?;
    atomic::write(path, bytes).on(path)
}

/// The first sentence of a configuration.
fn about(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("# "));
    let paragraph = lines.collect::<Vec<_>>().join(" ");
    let sentence = paragraph.split_once(". ").map(|(first, _)| first);
    sentence
        .unwrap_or(&paragraph)
        .trim_end_matches('.')
        .to_owned()
}

fn list() -> String {
    let mut rows = Vec::new();
    for example in &EXAMPLES {
        let bytes: usize = example.data.iter().map(|(_, bytes)| bytes.len()).sum();
        let megabytes = format!("{:.1}", bytes as f64 * 1e-6);
        let mut first = [example.name.to_owned(), megabytes];
        for line in wrapped(&about(example.text), ABOUT) {
            let [name, megabytes] = std::mem::take(&mut first);
            rows.push(vec![name, megabytes, line]);
        }
    }
    table(&["example", "MB", "what"], &rows)
}
