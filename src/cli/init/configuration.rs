//! The text of the configuration.

use super::columns::Found;
use super::look::{GENERATOR_WEIGHT, Look, RUNS, SUM_OF_WEIGHTS};
use super::words::{filled, gathered, quoted};
use crate::error::{Error, Kind, OnFile, Result, counted};
use crate::files::terminal::escape_line;
use crate::settings::relative;
use sideband_numerics::expression::written;
use std::path::Path;

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

/// The tables of both samples.
fn samples(
    looks: &[Look],
    class: Option<(&str, f64)>,
    found: &Found,
    folder: &Path,
) -> Result<String> {
    let working = Path::new(".").canonicalize().on(".")?;
    let from_folder = |pattern: &String| match Path::new(pattern).is_absolute() {
        true => pattern.clone(),
        false => relative(folder, &working.join(pattern))
            .display()
            .to_string(),
    };
    let mut text = String::new();
    for (number, (role, what)) in [
        ("source", "what is reweighted"),
        ("target", "what it shall become"),
    ]
    .into_iter()
    .enumerate()
    {
        let look = looks.get(number).unwrap_or(&looks[0]);
        let paths: Vec<String> = look.patterns.iter().map(from_folder).collect();
        let rows = counted(look.dataset.rows(), "row");
        let head = format!("[data.{role}]");
        text += &format!(
            "{head:28} # {what}; {rows} in all\npath = {}\n",
            list(&paths)
        );
        if let Some((class, low)) = class {
            let selection = format!("{} == {}", written(class), low + number as f64);
            text += &format!("selection = {}\n", quoted(&selection));
        }
        if look.is_generated {
            let (weight, scale) = (quoted(GENERATOR_WEIGHT), scale(looks, role));
            text += &format!("weight = {weight}\nscale = {}\n", quoted(&scale));
        } else if let Some(weight) = &found.weight {
            text += &format!("weight = {}\n", quoted(weight));
        }
        if found.id.is_empty() {
            text += "# no columns name an event: file and row do\n\n";
            continue;
        }
        let id: Vec<String> = found.id.iter().map(|name| quoted(name)).collect();
        text += &format!("id = [{}]\n\n", id.join(", "));
    }
    Ok(text)
}

/// The name of a sample's cross section.
fn cross_section(looks: &[Look], role: &str) -> String {
    match looks.len() {
        1 => "xsec".to_owned(),
        _ => format!("xsec_{role}"),
    }
}

/// What makes the weights of a sample those of expected events.
fn scale(looks: &[Look], role: &str) -> String {
    let xsec = cross_section(looks, role);
    format!("{xsec} * lumi / sum({RUNS}.{SUM_OF_WEIGHTS})")
}

/// The constants of the samples' scales, for the user to fill in.
fn constants(looks: &[Look]) -> String {
    let roles = looks.iter().zip(["source", "target"]);
    let roles: Vec<&str> = roles
        .filter_map(|(look, role)| look.is_generated.then_some(role))
        .collect();
    if roles.is_empty() {
        return String::new();
    }
    let line = |name: String, what: &str| format!("{:28} # write {what}\n", name + " = \"1\"");
    let sections = roles.iter().map(|role| {
        let what = match looks.len() {
            1 => "the cross section of the sample, in pb".to_owned(),
            _ => format!("the cross section of data.{role}, in pb"),
        };
        line(cross_section(looks, role), &what)
    });
    let sections: String = sections.collect();
    let lumi = line("lumi".to_owned(), "the integrated luminosity, in pb^-1");
    let head = "[data.define]                # of scales: xsec * lumi / sum of all weights\n";
    format!("{head}{sections}{lumi}\n")
}

/// What inputs are called in figures, a line each.
fn labels(found: &Found) -> String {
    let is_bare = |input: &str| {
        let mut bytes = input.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let lines = found.labels.iter().map(|(input, label)| {
        let key = match is_bare(input) {
            true => input.clone(),
            false => quoted(input),
        };
        format!("{key} = {}\n", quoted(label))
    });
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => format!("\n[features.labels]\n{lines}"),
    }
}

/// The configuration, with what was found and why.
pub(super) fn text(
    looks: &[Look],
    class: Option<(&str, f64)>,
    found: &Found,
    place: &Path,
) -> Result<String> {
    let folder = place.parent().unwrap_or(Path::new(""));
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(64)
        .collect();
    if found.inputs.is_empty() {
        let why = found.left.iter().map(|(why, names)| {
            let each = if names.len() > 1 { ": each" } else { "" };
            format!("`{}`{each} {why}", gathered(names).join("`, `"))
        });
        let why = why.collect::<Vec<_>>().join("; ");
        return Err(Error::new(
            Kind::Data,
            format!("no column can be an input: {why}"),
        ));
    }
    let inputs: Vec<String> = found.input_lines();
    let inputs = inputs.join("\n");
    let left = found.left.iter().flat_map(|(why, names)| {
        let names = gathered(names);
        let last = names.len() - 1;
        let names = names.into_iter().enumerate();
        let names = names.map(|(k, name)| name + if k < last { "," } else { "" });
        filled(&format!("#   {why}: "), "#     ", names)
    });
    let left: String = left
        .map(|line| format!("{}\n", escape_line(&line)))
        .collect();
    let labels = labels(found);
    let gap = if labels.is_empty() { "" } else { "\n" };
    let left = match left.is_empty() {
        true => String::new(),
        false => format!("{gap}# No input is what\n{left}"),
    };
    let file = place.file_name().unwrap_or_default().to_string_lossy();
    let file = escape_line(&file);
    let samples = samples(looks, class, found, folder)? + &constants(looks);
    Ok(format!(
        r#"# From a look at the files by `sideband init`. It runs as it is:
#
#     sideband plan {file}
#     sideband run {file}
#
# `sideband schema` has every key; paths start from the folder of this file.

[experiment]
name = {name}
method = "reweight"          # source events get weights that make them like the target's;
                             # "ratio" learns the density ratio instead
seed = 1

{samples}# All events train, and a fifth of them, which no member sees, tests the result. In an
# analysis the training region is one of several, and that of the signal is closed:
#
#   [regions.signal]
#   selection = "mass > 110 && mass < 140"
#   blind = true
[regions.training]
selection = "1"

# Columns or expressions. Take out what regions are cut on and what the result is to be tested
# with: [[report.variables]] shows the latter beside these. [features.labels] is what inputs are
# called in figures; one that is taken out takes its label with it.
[features]
inputs = [
{inputs}
]
{labels}{left}
[training]
region = "training"

[ensemble]
members = 20                 # 100 for a result
"#,
        name = quoted(&name),
    ))
}
