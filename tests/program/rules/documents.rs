//! What the documents state holds.

use super::house::rooms;
use crate::support::{Done, Workplace, document, root, shipped_configurations};
use serde_json::Value;
use sideband::settings::{parse_experiment, schema};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Keys of the configuration by their path, `*` for a name that the user gives, with
/// their default; none where they have none.
fn schema_keys() -> BTreeMap<String, Option<Value>> {
    let schema = schema();
    let mut keys = BTreeMap::new();
    for root in ["Measurement", "Limit", "Config"] {
        walk(&schema, &schema["$defs"][root], "", None, &mut keys);
    }
    keys
}

/// Collects the keys below a node of the schema.
fn walk(
    schema: &Value,
    node: &Value,
    path: &str,
    default: Option<&Value>,
    keys: &mut BTreeMap<String, Option<Value>>,
) {
    let default = node.get("default").or(default);
    if let Some(name) = node["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        walk(schema, &schema["$defs"][name], path, default, keys);
    }
    for list in ["anyOf", "oneOf", "allOf"] {
        for inner in node[list].as_array().into_iter().flatten() {
            walk(schema, inner, path, default, keys);
        }
    }
    if node["items"].is_object() {
        walk(schema, &node["items"], path, None, keys);
    }
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        let below = join(path, name);
        let own = inner.get("default").or_else(|| default?.get(name));
        let known = keys.entry(below.clone()).or_default();
        let own = own.filter(|value| !value.is_null()).cloned();
        *known = known.take().or(own.clone());
        walk(schema, inner, &below, own.as_ref(), keys);
    }
    // names that the user gives; axes and their values are all of them
    if node["additionalProperties"].is_object() && path != "matrix" {
        let below = join(path, "*");
        walk(schema, &node["additionalProperties"], &below, None, keys);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        return name.to_owned();
    }
    format!("{path}.{name}")
}

/// A line of the reference without the sign that it is not taken in, and whether it has it.
fn taken_in(line: &str) -> (&str, bool) {
    let is_commented = line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    (&line[usize::from(is_commented)..], is_commented)
}

/// The name of a table in its header.
fn table_name(line: &str) -> Option<&str> {
    line.starts_with('[')
        .then(|| line.trim_start_matches('[').split(']').next().unwrap())
}

/// All lines of the reference that say something, taken in or not: keys with values, and
/// the text.
fn reference() -> Vec<(BTreeMap<String, toml::Value>, String)> {
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in document("configs/reference.toml").lines() {
        let (text, _) = taken_in(line);
        if let Some(name) = table_name(text) {
            table = name.to_owned();
        } else if !text.trim().is_empty() && !text.starts_with(['#', ' ']) {
            let value = text.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
            let mut found = BTreeMap::new();
            paths(&value, &table, &mut found);
            lines.push((found, text.to_owned()));
        }
    }
    lines
}

/// Paths of the keys of a table.
fn paths(table: &toml::Table, path: &str, found: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        let below = join(path, name);
        if let toml::Value::Array(list) = value {
            for inner in list.iter().filter_map(toml::Value::as_table) {
                paths(inner, &below, found);
            }
        }
        if let toml::Value::Table(inner) = value {
            paths(inner, &below, found);
        }
        found.insert(below, value.clone());
    }
}

/// Whether a path of a file is one of the schema.
fn fits(path: &str, key: &str) -> bool {
    let mut pairs = path.split('.').zip(key.split('.'));
    path.split('.').count() == key.split('.').count() && pairs.all(|(a, b)| a == b || b == "*")
}

/// The first names of a path.
fn start(path: &str, names: usize) -> String {
    let names: Vec<&str> = path.split('.').take(names).collect();
    names.join(".")
}

/// Whether a path of a file is a key, or a table of keys.
fn is_known(path: &str, keys: &BTreeMap<String, Option<Value>>) -> bool {
    let names = path.split('.').count();
    keys.keys().any(|key| fits(path, &start(key, names)))
}

/// Whether names below a path are the user's: `define.log_x`, `axes`.
fn is_free(path: &str) -> bool {
    let mut free =
        "matrix. data.define. features.one_hot. features.labels. interpolation.derived. \
                    measurement.scan_range. measurement.contours.range. generate.observed. \
                    toys.nuisance. measurement.groups."
            .split(' ');
    let of_process = path.starts_with("systematics.") && path.contains(".rates.");
    let of_run = path.starts_with("samples.")
        && [".point.", ".variation.", ".mixing.uncertainties."]
            .iter()
            .any(|table| path.contains(table));
    let of_channel = path.starts_with("channels.") && path.contains(".categories.");
    of_process || of_run || of_channel || free.any(|prefix| path.starts_with(prefix))
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let keys = schema_keys();
    assert!(keys.len() > 200, "{}", keys.len());
    let lines = reference().into_iter();
    let stated: BTreeSet<String> = lines.flat_map(|(found, _)| found.into_keys()).collect();
    let is_stated = |key: &str| {
        // a table is stated with what is in it
        let names = key.split('.').count();
        stated.iter().any(|path| fits(&start(path, names), key))
    };
    let missing: Vec<&String> = keys.keys().filter(|key| !is_stated(key)).collect();
    assert!(missing.is_empty(), "not in the reference: {missing:?}");
    let is_none = |path: &&String| !is_free(path) && !is_known(path, &keys);
    let unknown: Vec<&String> = stated.iter().filter(is_none).collect();
    assert!(unknown.is_empty(), "no keys: {unknown:?}");
}

fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => match (one.as_array(), other.as_array()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
            _ => one == other,
        },
    }
}

#[test]
fn every_default_of_the_reference_is_the_programs() {
    let keys = schema_keys();
    let (mut checked, mut seen) = (0, BTreeSet::new());
    for (found, text) in reference() {
        for (path, value) in found.iter().filter(|(path, _)| !is_free(path)) {
            let Some((key, Some(default))) = keys.iter().find(|(key, _)| fits(path, key)) else {
                continue;
            };
            // further lines of a key show other values of it; the target's are the source's
            let is_first = seen.insert(key.clone()) && !key.starts_with("data.target.");
            let is_table = value.is_table() || default.is_object();
            let stated = serde_json::to_value(value).unwrap();
            let is_said = same(&stated, default) || is_nothing(default);
            if !is_first || is_table || is_said {
                checked += usize::from(is_first && !is_table);
                continue;
            }
            let comment = text.split_once('#').map_or("", |(_, comment)| comment);
            let ways = [
                format!("default {default}"),
                format!("{default}, the default"),
            ];
            let says = ways.iter().any(|way| comment.contains(way));
            assert!(
                says,
                "{path} = {value}, default {default}: `{comment}` does not say so"
            );
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

/// Whether a default says nothing.
fn is_nothing(default: &Value) -> bool {
    let is_empty = |list: &Vec<Value>| list.is_empty();
    default == "" || default.as_array().is_some_and(is_empty)
}

/// The reference with the commented lines of some tables taken in.
fn with_tables(prefixes: &[&str]) -> toml::Table {
    let mut text = String::new();
    let mut is_wanted = false;
    let mut names = BTreeSet::new();
    for line in document("configs/reference.toml").lines() {
        let (own, is_commented) = taken_in(line);
        if let Some(name) = table_name(own) {
            let inside = |p: &&str| name == *p || name.starts_with(&format!("{p}."));
            is_wanted = prefixes.iter().any(inside);
            names.clear();
        }
        // a key once: the lines after it show other values
        let key = own.split('=').next().unwrap_or_default().trim().to_owned();
        let again = own.contains('=') && !own.starts_with('#') && !names.insert(key);
        let taken = (!is_commented || is_wanted) && !again;
        text.push_str(if taken { own } else { "" });
        text.push('\n');
    }
    text.parse().unwrap_or_else(|e| panic!("{prefixes:?}: {e}"))
}

fn remove(config: &mut toml::Table, table: &str, key: &str) {
    config[table].as_table_mut().unwrap().remove(key);
}

#[test]
fn every_table_of_the_reference_can_be_taken_in() {
    let parse = |table: &toml::Table| {
        let text = toml::to_string(table).unwrap();
        parse_experiment(&text, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
    };
    parse(&with_tables(&[]));
    parse(&with_tables(&["data.stream", "executor", "training"]));
    let mut interpolation = with_tables(&["interpolation"]);
    interpolation["experiment"]["method"] = "interpolate".into();
    // what the method refuses
    remove(&mut interpolation, "data", "source");
    remove(&mut interpolation, "ensemble", "combine");
    remove(&mut interpolation, "report", "planes");
    interpolation.retain(|table, _| !["features", "model"].contains(&table));
    parse(&interpolation);

    let mut matrix = with_tables(&["matrix", "comparison"]);
    matrix["regions"]["cr"]["selection"] = "in_cr && year == ${year} && ${method.train}".into();
    remove(&mut matrix, "comparison", "interpolation");
    let experiment = parse(&matrix);
    assert_eq!(experiment.ensembles.len(), 4);
    assert!(experiment.comparison.is_some());

    let mut mixing = with_tables(&["data.jets", "mixing"]);
    mixing["experiment"]["method"] = "mix".into();
    mixing["regions"]["cr"]["selection"] = "!in_sr".into();
    let experiment = parse(&mixing);
    assert_eq!(experiment.ensembles.len(), 16);
    assert!(experiment.mixing.is_some());

    let measurement = measurement();
    let experiment = parse(&measurement);
    assert!(experiment.measurement.unwrap().toys.is_some());
    // toys are those of independent auxiliary measurements, and what synthetic data sets vary by
    // has the two others
    let correlated = parse(&limit("correlations", &["mixing"])).limit.unwrap();
    assert!(correlated.samples["multijet"].nonclosure.is_some());
    assert!(correlated.samples["multijet"].retraining.is_some());
    let by_toys = parse(&limit("toys", &["retraining", "normalisation"])).limit;
    let by_toys = by_toys.unwrap();
    assert!(by_toys.measurement.toys.is_some());
    assert!(by_toys.samples["multijet"].mixing.is_some());
}

/// The reference as a limit, with one of two keys that exclude each other, and without some tables
/// of its background.
fn limit(either: &str, without: &[&str]) -> toml::Table {
    let tables = "parameters samples systematics channels observed measurement";
    let mut table = with_tables(&tables.split(' ').collect::<Vec<_>>());
    table["experiment"]["method"] = "limit".into();
    table["parameters"]["mu"]["fit"] = "linear".into();
    let background = table["samples"]["multijet"].as_table_mut().unwrap();
    background.retain(|name, _| !without.contains(&name));
    let own =
        "experiment data regions parameters samples systematics channels observed measurement";
    table.retain(|name, _| own.split(' ').any(|own| own == name));
    for name in ["source", "target", "stream"] {
        table["data"].as_table_mut().unwrap().remove(name);
    }
    let of_limit = format!("interest fixed limit scans groups {either}");
    let measurement = table["measurement"].as_table_mut().unwrap();
    measurement.retain(|name, _| of_limit.split(' ').any(|own| own == name));
    measurement["fixed"] = vec!["kl"].into();
    let parts = "parameters.kl = { nominal = 1.0, bounds = [-10.0, 10.0] }
        regions = { sr.selection = 'x2 <= 0', side.selection = 'x2 > 0' }";
    let parts: toml::Table = parts.parse().unwrap();
    table["regions"] = parts["regions"].clone();
    let parameters = table["parameters"].as_table_mut().unwrap();
    parameters.insert("kl".to_owned(), parts["parameters"]["kl"].clone());
    table
}

/// The reference as a measurement.
fn measurement() -> toml::Table {
    let tables = "generate parameters samples systematics channels observed measurement toys";
    let mut table = with_tables(&tables.split(' ').collect::<Vec<_>>());
    table["experiment"]["method"] = "measure".into();
    let parts = "data.on_missing = 'error'
regions = { cr.selection = 'x2 <= 0', side.selection = 'x2 > 0' }
features.inputs = ['x1', 'x2', 'x3', 'x4', 'x5', 'x6']";
    table.extend(parts.parse::<toml::Table>().unwrap());
    remove(&mut table, "report", "variables");
    remove(&mut table, "report", "planes");
    table["generate"]["events"] = 2000.into();
    // what toys of the truth alone have
    remove(&mut table, "toys", "nuisance");
    // what limits alone have
    for (name, key) in [
        ("samples", "multijet"),
        ("channels", "sr"),
        ("measurement", "scans"),
        ("measurement", "groups"),
        ("measurement", "toys"),
    ] {
        remove(&mut table, name, key);
    }
    table
}

#[test]
fn the_references_measurement_can_be_planned() {
    let config = toml::to_string(&measurement()).unwrap();
    Workplace::with_configuration(config).plan(&[]).exits(0);
}

#[test]
fn every_shipped_configuration_can_be_planned() {
    let mut planned = 0;
    for (name, text) in shipped_configurations() {
        parse_experiment(&text, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        // the data of the two are the user's own
        let has_data = text.contains("tests/data/");
        if ["large.toml", "matrix.toml"].contains(&&*name) && !has_data {
            continue;
        }
        // its background is a run that is not made here: `tests/program/limit.rs`
        if name == "limit.toml" {
            continue;
        }
        let path = format!("configs/{name}");
        let mut arguments = vec!["plan", &path, "--no-calibration"];
        if text.lines().any(|line| line.starts_with("[generate]")) {
            arguments.extend(["--set", "generate.events=2000"]);
        }
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_sideband"));
        let output = program.current_dir(root()).args(arguments).output();
        let done = Done::of(output.unwrap());
        assert_eq!(done.exit, Some(0), "{name}: {}", done.stderr);
        planned += 1;
    }
    assert!(planned >= 6, "{planned}");
}

/// The long options of a command, from its help.
fn options(command: &str) -> BTreeSet<String> {
    let help = Workplace::new().sideband(&[command, "--help"]).exits(0);
    let option = |line: &str| {
        let line = line.trim_start();
        let at = line.find("--").filter(|at| *at <= 4)?;
        let option = line[at..].split([' ', '=']).next();
        option
            .filter(|_| line.starts_with('-'))
            .map(ToOwned::to_owned)
    };
    let options = help.stdout.lines().filter_map(option);
    options.filter(|name| name != "--help").collect()
}

/// Rows of a table of a document whose header begins with a word: cells of each.
fn table(text: &str, header: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| !line.starts_with(header));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn the_commands_of_the_documents_are_those_of_the_program() {
    let text = document("docs/commands.md");
    let mut named = BTreeSet::new();
    for row in table(&text, "| command | what |") {
        let usage = row[0].trim_matches('`');
        let command = usage.split(' ').next().unwrap();
        named.insert(command.to_owned());
        let words = usage.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        let stated = words.filter(|word| word.starts_with("--"));
        let stated: BTreeSet<String> = stated.map(ToOwned::to_owned).collect();
        assert_eq!(stated, options(command), "{command}");
    }
    let help = Workplace::new().sideband(&["--help"]).exits(0).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let commands = commands.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands = commands.map(|line| line.split_whitespace().next().unwrap().to_owned());
    let commands: BTreeSet<String> = commands.filter(|name| name != "help").collect();
    assert_eq!(named, commands);
    let short = table(&document("README.md"), "| command | what it does |");
    assert!(short.len() > 4);
    for row in short {
        let command = row[0].split(' ').nth(1).unwrap().trim_end_matches('`');
        assert!(commands.contains(command), "{command}");
    }
}

#[test]
fn exit_codes_are_stated_as_they_are() {
    let source = document("src/cli/exit.rs");
    let body = source.split("pub enum Exit {").nth(1).unwrap();
    let body = body.split('}').next().unwrap();
    let codes = body.lines().filter_map(|line| line.split_once(" = "));
    let codes: Vec<&str> = codes.map(|(_, code)| code.trim_end_matches(',')).collect();
    assert!(codes.len() >= 8, "{codes:?}");
    let help = Workplace::new().sideband(&["--help"]).exits(0).stdout;
    for (name, text) in [("the page", document("docs/commands.md")), ("--help", help)] {
        let stated = text.split("Exit codes:").nth(1).unwrap();
        let stated = stated.split('.').next().unwrap();
        let numbers = stated.split(|c: char| !c.is_ascii_digit());
        let numbers: Vec<&str> = numbers.filter(|word| !word.is_empty()).collect();
        assert_eq!(numbers, codes, "{name}");
    }
}

/// Words between backticks, in the prose of a document.
fn quoted(text: &str) -> Vec<String> {
    let mut inside_block = false;
    let mut words = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside_block = !inside_block;
        }
        if !inside_block && !line.starts_with("    ") {
            words.extend(line.split('`').skip(1).step_by(2).map(ToOwned::to_owned));
        }
    }
    words
}

/// The documents with their texts: those beside the program, and all pages of `docs`.
fn documents() -> Vec<(String, String)> {
    let pages = std::fs::read_dir(root().join("docs")).unwrap();
    let pages = pages.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = pages.filter(|name| name.ends_with(".md"));
    let pages = pages.map(|name| format!("docs/{name}"));
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];
    let names = others.map(ToOwned::to_owned).into_iter().chain(pages);
    let named = names.map(|name| {
        let text = document(&name);
        (name, text)
    });
    named.collect()
}

#[test]
fn files_that_documents_name_are_there() {
    let mut checked = 0;
    for (name, text) in documents() {
        let folders = "src/ models/ tests/ configs/ scripts/ benches/ docs/".split(' ');
        let quoted = quoted(&text);
        let paths = quoted.iter().map(String::as_str);
        let paths = paths.filter(|word| folders.clone().any(|f| word.starts_with(f)));
        for path in paths.flat_map(alternatives) {
            let exists = root().join(&path).exists();
            assert!(exists, "{name} names {path}, which is not there");
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

/// Links of a document: a path, from the document's own folder, and an anchor.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let links = text.split("](").skip(1);
    let links = links.map(|rest| rest.split(')').next().unwrap());
    let links = links.filter(|link| !link.contains("://"));
    links.map(|link| link.split_once('#').unwrap_or((link, "")))
}

/// What a page calls its headings in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut checked = 0;
    for (name, text) in documents() {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (path, anchor) in links(&text) {
            let page = match path {
                "" => root().join(&name),
                path => root().join(folder).join(path),
            };
            assert!(page.exists(), "{name} links to {path}, which is not there");
            if !anchor.is_empty() {
                let known = anchors(&std::fs::read_to_string(page).unwrap());
                assert!(known.contains(anchor), "{name}: {path} has no #{anchor}");
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn every_page_is_linked_from_the_readme_and_the_list_of_pages() {
    let [readme, list] = ["README.md", "docs/README.md"].map(document);
    let [readme, list]: [BTreeSet<&str>; 2] =
        [&readme, &list].map(|text| links(text).map(|(path, _)| path).collect());
    for (name, _) in documents() {
        assert!(
            name == "README.md" || readme.contains(name.as_str()),
            "{name}"
        );
        let page = name.strip_prefix("docs/").unwrap_or("README.md");
        assert!(page == "README.md" || list.contains(page), "{name}");
    }
}

/// `a/{b,c}` as `a/b` and `a/c`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return vec![path.split(' ').next().unwrap_or(path).to_owned()];
    };
    let Some((inside, after)) = rest.split_once('}') else {
        return vec![before.to_owned()];
    };
    let each = inside.split(',').map(str::trim);
    each.map(|part| format!("{before}{part}{after}")).collect()
}

#[test]
fn the_house_is_built_as_drawn() {
    let text = document("ARCHITECTURE.md");
    let house = text.split("## The house").nth(1).unwrap();
    let lines = house.lines().skip_while(|line| !line.starts_with("    "));
    let mut folders: Vec<(usize, PathBuf)> = Vec::new();
    let mut drawn = BTreeSet::new();
    for line in lines.take_while(|line| line.starts_with("    ")) {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.trim().split("  ").collect();
        // what goes on from the line before
        if indent > 12 || words[0].is_empty() {
            continue;
        }
        folders.retain(|(depth, _)| *depth < indent);
        let parent = folders.last().map(|(_, path)| path.clone());
        let parent = parent.unwrap_or_default();
        for name in words[0].split(", ") {
            let path = parent.join(name);
            assert!(root().join(&path).exists(), "{}", path.display());
            drawn.insert(path.clone());
            if name.ends_with('/') {
                folders.push((indent, path));
            }
        }
    }
    for room in rooms() {
        let path = PathBuf::from("src").join(&room);
        let is_drawn = drawn.iter().any(|drawn| drawn.with_extension("") == path);
        assert!(is_drawn, "{room} is not drawn");
    }
}

#[test]
fn keys_that_documents_name_are_keys() {
    let keys = schema_keys();
    let tables: BTreeSet<&str> = keys.keys().filter_map(|k| k.split('.').next()).collect();
    let mut checked = 0;
    for (name, text) in documents() {
        for word in quoted(&text) {
            let path = word.split([' ', '=']).next().unwrap();
            let path = path.trim_matches(['[', ']']);
            let is_path = path.contains('.') && !path.contains(['/', '(', '{', ':', '<', '*']);
            let first = path.split('.').next().unwrap();
            let mut endings = ".rs .json .toml .parquet .html .md .csv .tex .jsonl".split(' ');
            let is_file = endings.any(|ending| path.ends_with(ending));
            if !is_path || !tables.contains(first) || is_file {
                continue;
            }
            let known = is_known(path, &keys) || is_free(path);
            assert!(known, "{name} names the key {path}, which is none");
            checked += 1;
        }
        let blocks = text.split("```toml").skip(1);
        for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
            let table: toml::Table = block.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut found = BTreeMap::new();
            paths(&table, "", &mut found);
            for path in found.keys().filter(|path| !is_free(path)) {
                let known = is_known(path, &keys);
                assert!(known, "{name} has the key {path}, which is none");
                checked += 1;
            }
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn a_run_directory_holds_what_its_page_says() {
    let place = Workplace::trained();
    let text = document("docs/runs.md");
    // members in training, and who works on them, are gone at the end
    // of a measurement or an interpolation, and members beyond the number
    let others = "checkpoints/ claims/ figures.json comparison. samples.parquet \
                  plane.parquet page.json aside/";
    let mut checked = 0;
    for row in table(&text, "| path | what |") {
        let name = row[0].trim_matches('`').to_owned();
        if others.split(' ').any(|other| name.contains(other)) {
            continue;
        }
        let path = name.replace("*.safetensors", "member_0000.safetensors");
        assert!(place.path("out").join(&path).exists(), "{path}");
        checked += 1;
    }
    assert!(checked >= 8, "{checked}");
    let metrics = place.json("out/metrics.json");
    let section = text.split("Keys of `metrics.json`").nth(1).unwrap();
    let section = section.split("The types are documented").next().unwrap();
    let region = &metrics["regions"]["sr"];
    let variable = &region["variables"]["pt"];
    for key in quoted(section) {
        let inner = [&variable["observed"], &region["yields"]];
        let mut places = [&metrics, region, variable].into_iter().chain(inner);
        let is_there = places.any(|value| value.get(&key).is_some());
        let is_name = key.contains('<');
        assert!(is_there || is_name, "metrics.json has no {key}");
    }
    let inside = |key: &str, value: &Value| {
        let list = section.split(&format!("`{key}` (")).nth(1).unwrap();
        let list = list.split(')').next().unwrap();
        for word in list.split([',', ';']) {
            let word = word.split_whitespace().next().unwrap_or_default();
            let is_key = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let is_list = ["of", "spread", "its", ""].contains(&word);
            let is_there = !is_key || is_list || value.get(word).is_some();
            assert!(is_there, "{key}: {word}");
        }
    };
    inside("members", &metrics["members"]);
    inside("yields", &region["yields"]);
}
