//! From files to arrays, for every format; and what is refused.

#![allow(clippy::unwrap_used, clippy::panic)]

mod reading;
mod refusals;
mod streaming;

use std::collections::BTreeMap;
use std::path::Path;

use super::sample_files::{Form, batch, write};
use super::*;

const GROUPS: [(usize, usize); 3] = [(0, 1500), (1500, 20_000), (21_500, 500)];
const ROWS: usize = 22_000;

fn sample(path: &Path, form: Form) {
    write(path, form, &GROUPS.map(|(first, rows)| batch(first, rows)));
}

fn open(path: &Path) -> Dataset {
    Dataset::open(&[path.display().to_string()], Path::new("/")).unwrap()
}

fn refused(path: &Path) -> String {
    Dataset::open(&[path.display().to_string()], Path::new("/"))
        .unwrap_err()
        .to_string()
}

fn resolver(dataset: &Dataset) -> Resolver {
    Resolver::new(dataset.columns(), &BTreeMap::new()).unwrap()
}

fn named(resolver: &Resolver, texts: &[&str]) -> Vec<(String, Compiled)> {
    texts
        .iter()
        .map(|text| ((*text).to_owned(), resolver.compile(text).unwrap()))
        .collect()
}
