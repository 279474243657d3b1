//! The house has one direction: a room knows those above it in ARCHITECTURE.md's list and
//! none below, files of a room or crate do not know each other in circles, and the crates of
//! `models` know neither burn (but for the networks) nor files.

use crate::support::workplace::tree;
use crate::support::{document, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// The rooms of `src`, files and folders, each below all that it may know.
const ROOMS: [&str; 19] = [
    "error",
    "events",
    "statistics",
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
    "workspace",
    "workflow",
    "backgrounds",
    "mixing",
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

/// A module by its names: those that a `use` brings, each with its path and whether it is
/// handed on (`pub use`), and those that the code says, paths and words.
#[derive(Default)]
struct Names {
    brought: Vec<(String, String, bool)>,
    said: BTreeSet<String>,
}

/// A text without comments, and unless `with_tests` without what is for tests alone.
fn code_of(text: &str, with_tests: bool) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut code, mut test) = (String::new(), None);
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim_end();
        match test {
            None if !with_tests && line.trim() == "#[cfg(test)]" => test = Some(indent(line)),
            None => code += &format!("{line}\n"),
            Some(depth) if indent(line) == depth && line.ends_with(['}', ';', ',']) => test = None,
            Some(_) => {}
        }
    }
    code
}

/// The paths of a `use`, its braces opened.
fn opened(text: &str) -> Vec<String> {
    let Some((stem, list)) = text.split_once('{') else {
        return vec![text.trim().to_owned()];
    };
    let (mut depth, mut paths, mut item) = (0, Vec::new(), String::new());
    for c in list.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth >= 0 && (depth > 0 || c != ',') {
            item.push(c);
        } else if !item.trim().is_empty() {
            paths.extend(opened(&format!("{stem}{}", item.trim())));
            item.clear();
        }
    }
    paths
}

/// The names in a module's code, and the modules that it declares.
fn names_of(code: &str) -> (Names, Vec<&str>) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut names, mut children) = (Names::default(), Vec::new());
    for part in code.split(';') {
        let (before, used) = part.split_at(part.rfind("use ").unwrap_or(part.len()));
        let door = before.rsplit('\n').next().unwrap_or_default().trim();
        let is_use = (door.is_empty() || door.starts_with("pub"))
            && used.chars().all(|c| is_word(c) || " \n:,{}*".contains(c));
        for path in opened(used.strip_prefix("use ").filter(|_| is_use).unwrap_or("{}")) {
            let (path, name) = path.split_once(" as ").unwrap_or((&path, &path));
            let path = path.trim_end_matches("::self");
            let name = name.trim_end_matches("::self").rsplit("::").next();
            let name = name.filter(|name| *name != "*").unwrap_or(path);
            let brought = (name.to_owned(), path.to_owned(), !door.is_empty());
            names.brought.push(brought);
        }
        let (code, mut last) = (if is_use { before } else { part }, "");
        for path in code.split(|c| !is_word(c) && !":.".contains(c)) {
            let path = path.trim_start_matches("..").trim_end_matches(':');
            if last == "mod" && part.ends_with(path) {
                children.push(path);
            } else if last != "fn" && path.starts_with(is_word) {
                names.said.insert(path.to_owned());
            }
            last = path;
        }
    }
    (names, children)
}

/// Rooms that a source names after `crate::`, alone or in braces.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let code = code_of(text, true);
    let (names, _) = names_of(&code);
    let paths = names.brought.into_iter().map(|(_, path, _)| path);
    let rooms = paths.chain(names.said).filter_map(|path| {
        let inside = path.strip_prefix("crate::")?;
        inside.split("::").next().map(ToOwned::to_owned)
    });
    rooms.collect()
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

/// The modules of a crate, each by its path `a::b` of the file `a/b.rs`: those that are
/// declared, but for tests.
fn modules(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<String, Names> {
    let (mut modules, mut next) = (BTreeMap::new(), vec!["lib".to_owned()]);
    while let Some(module) = next.pop() {
        let file = PathBuf::from(module.replace("::", "/") + ".rs");
        let code = code_of(&String::from_utf8_lossy(&files[&file]), false);
        let (names, children) = names_of(&code);
        next.extend(children.iter().map(|child| below(&module, child)));
        modules.insert(module, names);
    }
    modules
}

fn below(module: &str, child: &str) -> String {
    match module {
        "lib" => child.to_owned(),
        module => format!("{module}::{child}"),
    }
}

/// The module that a path leads to from another, and the name that is taken there.
fn home(modules: &BTreeMap<String, Names>, at: &str, path: &str) -> Option<(String, String)> {
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    let (child, mut brought) = (below(at, first), modules[at].brought.iter());
    let brought = brought.find(|(name, ..)| name == first);
    let is_child = modules.contains_key(&child);
    match (first, brought) {
        ("", _) => None,
        ("crate", _) => home(modules, "lib", rest),
        ("self", _) => home(modules, at, rest),
        ("super", _) => home(
            modules,
            at.rsplit_once("::").map_or("lib", |(up, _)| up),
            rest,
        ),
        (_, None) if is_child => home(modules, &child, rest),
        (_, Some(_)) if is_child && !rest.is_empty() => home(modules, &child, rest),
        // a crate may be brought under its own name
        (_, Some((_, path, _))) if is_child || path.split("::").next() != Some(first) => {
            home(modules, at, format!("{path}::{rest}").trim_end_matches(':'))
        }
        _ => Some((at.to_owned(), first.to_owned())),
    }
}

/// For each module those from which it takes names, and the names.
type Takes = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn takes(files: &BTreeMap<PathBuf, Vec<u8>>) -> Takes {
    let (modules, mut takes) = (modules(files), Takes::new());
    for (at, names) in &modules {
        let brought = names.brought.iter();
        let used = brought.filter(|(name, _, is_door)| !is_door || names.said.contains(name));
        let said = names.said.iter().filter(|path| path.contains("::"));
        for path in used.map(|(_, path, _)| path).chain(said) {
            if let Some((of, name)) = home(&modules, at, path).filter(|(of, _)| of != at) {
                let own = takes.entry(at.clone()).or_default();
                own.entry(of).or_default().insert(name);
            }
        }
    }
    takes
}

/// What goes round in circles, as `file of names`.
fn circular(takes: &Takes) -> Vec<[String; 3]> {
    let of = |at: &str| takes.get(at).into_iter().flatten();
    let reaches = |from: &String, to: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            next.extend(of(at).map(|(of, _)| of).filter(|of| seen.insert(*of)));
        }
        seen.contains(to)
    };
    let mut found = Vec::new();
    for (at, (other, names)) in takes.keys().flat_map(|at| of(at).map(move |of| (at, of))) {
        if reaches(other, at) {
            let file = |module: &String| module.replace("::", "/") + ".rs";
            found.push([file(at), file(other), format!("{names:?}")]);
        }
    }
    found
}

#[test]
fn circles_are_made_of_names_and_not_of_doors() {
    let found = |[a, child, b]: [&str; 3]| {
        let files = [
            ("lib", "mod a;\nmod b;"),
            ("a", a),
            ("a/c", child),
            ("b", b),
        ];
        let file =
            |(name, text): (&str, &str)| (PathBuf::from(name.to_owned() + ".rs"), text.into());
        let found = circular(&takes(&files.map(file).into()));
        found
            .iter()
            .map(|found| found.join(" "))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let (door, b) = ("mod c;\npub use c::C;\n", "use crate::a::{self as d, C};");
    let test = "//! [`crate::b::B`]\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
    assert_eq!(found([door, test, b]), "");
    let round = "a/c.rs b.rs {\"B\"}; b.rs a/c.rs {\"C\"}";
    for child in [
        "use crate::{\n    a,\n    b::{self, B},\n};",
        "fn c() {\n    super::super::b::B\n}",
    ] {
        assert_eq!(found([door, child, b]), round);
    }
    let through = format!("use crate::b::B as D;\n{door}");
    assert_eq!(found([&through, "use super::D;", b]), round);
    // a front that uses what it hands on
    let front = format!("{door}struct A(C);");
    let round = "a.rs a/c.rs {\"C\"}; a/c.rs a.rs {\"A\"}";
    assert_eq!(found([&front, "use super::A;", b]), round);
}

/// A file that no `mod` declares is not built, and its tests are not run.
#[test]
fn every_file_is_declared() {
    let crates = fs::read_dir(root().join("models")).unwrap();
    let crates = crates.map(|entry| entry.unwrap().path().join("src"));
    for folder in crates.chain([root().join("src")]) {
        let files = tree(&folder);
        let declares = |of: PathBuf, name: &str| {
            let code = files
                .get(&of)
                .map(|bytes| code_of(&String::from_utf8_lossy(bytes), true));
            code.is_some_and(|code| names_of(&code).1.contains(&name))
        };
        let sources = files
            .keys()
            .filter(|file| file.extension() == Some("rs".as_ref()));
        for file in sources {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let above = file.parent().unwrap();
            let declared = match above.parent() {
                Some(_) => declares(above.with_extension("rs"), name),
                None => ["lib", "main"].contains(&name) || declares("lib.rs".into(), name),
            };
            assert!(declared, "{}: {}", folder.display(), file.display());
        }
    }
}

/// Files that take from each other all the same, with the reason.
const CIRCLES: [(&[&str], &str); 0] = [];

#[test]
fn files_take_from_each_other_in_one_direction() {
    let crates = fs::read_dir(root().join("models")).unwrap();
    let crates = crates.map(|entry| entry.unwrap().path().join("src"));
    let (mut wrong, mut meant) = (Vec::new(), BTreeSet::new());
    for folder in crates.chain([root().join("src")]) {
        let takes = takes(&tree(&folder));
        assert!(!takes.is_empty(), "{}", folder.display());
        for [at, of, names] in circular(&takes) {
            let has_both =
                |(files, _): &(&[&str], _)| [&at, &of].iter().all(|f| files.contains(&f.as_str()));
            match CIRCLES.iter().position(has_both) {
                Some(place) => drop(meant.insert(place)),
                None => wrong.push(format!(
                    "{}: {at} takes {names} from {of}",
                    folder.display()
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "circles of files:\n{}", wrong.join("\n"));
    assert_eq!(meant.len(), CIRCLES.len(), "some are no circles any more");
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
