//! The house has one direction: a room knows those above it in ARCHITECTURE.md's list and
//! none below, the crates of `models` know neither burn (but for the networks) nor files.

use crate::support::workplace::tree;
use crate::support::{document, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// The rooms of `src`, files and folders, each below all that it may know.
const ROOMS: [&str; 16] = [
    "error",
    "events",
    "closure",
    "files",
    "toys",
    "settings",
    "truth",
    "results",
    "rundir",
    "training",
    "batch",
    "plot",
    "report",
    "workflow",
    "measurement",
    "cli",
];

/// The rooms of `src` by name: folders, files, or a file beside its folder.
pub(super) fn rooms() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("src")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.map(|name| name.trim_end_matches(".rs").to_owned());
    names
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// Rooms that a source names after `crate::`, alone or in braces.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: Vec<&str> = text.lines().filter(is_code).collect();
    let code = code.join("\n");
    let word = |text: &str| -> String {
        let text = text.trim_start();
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(inside) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let (mut depth, mut is_start) = (0, true);
        for (at, c) in inside.char_indices() {
            if is_start && depth == 0 && !c.is_whitespace() {
                rooms.insert(word(&inside[at..]));
                is_start = false;
            }
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' => is_start = depth == 0,
                _ => {}
            }
        }
    }
    rooms.remove("");
    rooms
}

#[test]
fn names_are_found_alone_and_in_braces() {
    let found = |text: &str| rooms_named(text).into_iter().collect::<Vec<_>>().join(" ");
    for (text, rooms) in [
        ("use crate::events::{A, b::C};", "events"),
        (
            "use crate::{events::{A, B}, files, plot as p};",
            "events files plot",
        ),
        (
            "use crate::{\n    events,\n    files::atomic,\n};",
            "events files",
        ),
        (
            "let x = crate::plot::draw(crate::files::a());",
            "files plot",
        ),
        ("// crate::cli\n/// [`crate::cli`]", ""),
    ] {
        assert_eq!(found(text), rooms);
    }
}

#[test]
fn a_room_knows_only_those_above_it() {
    let place = |room: &str| ROOMS.iter().position(|r| *r == room);
    let mut wrong = Vec::new();
    for (number, room) in ROOMS.iter().enumerate() {
        let source = root().join("src");
        let folder = source.join(room);
        let mut files = if folder.exists() {
            tree(&folder)
        } else {
            BTreeMap::new()
        };
        let beside = fs::read(source.join(format!("{room}.rs")));
        files.extend(beside.map(|bytes| (PathBuf::from("(beside it)"), bytes)));
        assert!(!files.is_empty(), "{room}");
        for (file, bytes) in files {
            for named in rooms_named(&String::from_utf8_lossy(&bytes)) {
                if place(&named).is_some_and(|other| other > number) {
                    wrong.push(format!("{room}/{} knows {named}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rooms_are_those_of_the_page() {
    assert_eq!(rooms(), ROOMS.map(ToOwned::to_owned).into());
    let page = document("ARCHITECTURE.md");
    let listed: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("      ")?.split_once(' '))
        .map(|(name, _)| name.trim_end_matches('/').trim_end_matches(".rs"))
        .filter(|name| ROOMS.contains(name))
        .collect();
    assert_eq!(listed, ROOMS);
}

/// All that a package of `Cargo.lock` is built from, its tests included.
fn dependencies(package: &str) -> BTreeSet<String> {
    let lock: toml::Table = document("Cargo.lock").parse().unwrap();
    let mut direct: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in lock["package"].as_array().unwrap() {
        let needs = entry.get("dependencies").and_then(|d| d.as_array());
        let names = needs.into_iter().flatten();
        let names = names.map(|d| d.as_str().unwrap().split(' ').next().unwrap());
        direct
            .entry(entry["name"].as_str().unwrap())
            .or_default()
            .extend(names);
    }
    let mut all = BTreeSet::new();
    let mut next = vec![package];
    while let Some(name) = next.pop() {
        for dependency in &direct[name] {
            if all.insert((*dependency).to_owned()) {
                next.push(dependency);
            }
        }
    }
    all
}

#[test]
fn what_is_fitted_knows_no_file_and_no_network() {
    let is_file = |name: &String| ["arrow", "parquet", "toml", "clap"].contains(&name.as_str());
    let is_burn = |name: &String| name.starts_with("burn") || name.starts_with("cubecl");
    for package in [
        "sideband-numerics",
        "sideband-likelihood",
        "sideband-processes",
    ] {
        let all = dependencies(package);
        assert!(all.contains("serde"), "{package}");
        assert!(!all.iter().any(is_burn), "{package}: {all:?}");
        if package != "sideband-processes" {
            assert!(!all.iter().any(is_file), "{package}: {all:?}");
        }
    }
    assert!(dependencies("sideband-networks").iter().any(is_burn));
    let is_table = |name: &String| ["arrow", "parquet"].contains(&name.as_str());
    assert!(!dependencies("sideband-networks").iter().any(is_table));
}
