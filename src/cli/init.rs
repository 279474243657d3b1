//! `sideband init`: a configuration that runs as it is, from a look at files of events.

use super::options::InitArguments;
use super::out::{Done, print};
use crate::error::{Error, Kind, OnFile, Result, counted};
use crate::events::{ColumnSummary, Dataset, summarise};
use crate::files::terminal::escape_line;
use crate::files::{atomic, output};
use crate::rundir::Progress;
use crate::settings::{parse_experiment, relative};
use crate::workflow::{RunOptions, estimate};
use indexmap::IndexMap;
use sideband_numerics::expression::{can_be_written, written};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Names of columns that tell two classes apart, in the order of what is likely.
const CLASSES: [&str; 8] = [
    "label",
    "target",
    "class",
    "is_target",
    "is_signal",
    "signal",
    "y",
    "type",
];
/// Names of columns that name an event, within a run and on their own.
const WITHIN: [&str; 6] = [
    "run",
    "runnumber",
    "run_number",
    "lumi",
    "luminosityblock",
    "lumi_block",
];
const EVENTS: [&str; 7] = [
    "event",
    "evt",
    "eventnumber",
    "event_number",
    "event_id",
    "eventid",
    "id",
];
/// Names of columns that say when events were recorded or how they are counted.
const PERIODS: [&str; 5] = ["year", "era", "period", "entry", "bunchcrossing"];
/// The tree, its column and the weight that make the weights of NanoAOD events a number of
/// expected ones.
const RUNS: &str = "Runs";
const SUM_OF_WEIGHTS: &str = "genEventSumw";
const GENERATOR_WEIGHT: &str = "genWeight";
/// Largest value over mean from which on a positive column is an input by its logarithm.
const LONG_TAIL: f64 = 20.0;
/// Spacing of `f32` over a column's range from which on it is too coarse.
const COARSE: f64 = 1e-5;
/// Columns that are named one by one though they begin alike, at most.
const ALIKE: usize = 3;
/// Names behind one reason, at most.
const NAMES: usize = 24;
/// Inputs that have a line each, at most.
const LINES: usize = 20;
/// Characters of a line of several names.
const WIDTH: usize = 100;

/// Files of one sample, and what is in them.
struct Look {
    patterns: Vec<String>,
    dataset: Dataset,
    columns: Vec<ColumnSummary>,
    /// Whether the events have generator weights whose sum is known.
    is_generated: bool,
}

/// What the columns are for.
#[derive(Default)]
struct Found {
    weight: Option<String>,
    id: Vec<String>,
    /// Expressions.
    inputs: Vec<String>,
    /// Columns that are no inputs, by the reason.
    left: IndexMap<Cow<'static, str>, Vec<String>>,
}

pub(super) fn init(arguments: &InitArguments) -> Done {
    let InitArguments { data, out, force } = arguments;
    let progress = Progress::new(false);
    let stage = progress.stage("looking at the files", 0);
    let looks = match data.as_slice() {
        [_, _] => data.chunks(1).map(Look::new).collect::<Result<Vec<_>>>()?,
        all => vec![Look::new(all)?],
    };
    if let [source, target] = looks.as_slice() {
        refuse_the_same(&source.dataset, &target.dataset)?;
    }
    drop(stage);
    let class = match looks.as_slice() {
        [one] => Some(one.class()?),
        _ => None,
    };
    let files = looks.iter().flat_map(|look| look.dataset.files());
    let place = output(out, files)?;
    if place.exists() && !force {
        let out = out.display();
        let text = format!("{out} is there already: name another file, or give --force");
        return Err(Error::usage(text));
    }
    let found = Found::of(&looks, class);
    let text = text(&looks, class, &found, &place)?;
    atomic::write(&place, text.as_bytes()).on(&place)?;
    let is_generated = looks.iter().any(|look| look.is_generated);
    let classes = class.map(|(column, _)| format!(", classes by {column}"));
    print(&format!(
        "written {}: {}{}, weight {}, id {}",
        out.display(),
        counted(found.inputs.len(), "input"),
        classes.unwrap_or_default(),
        match is_generated {
            true => GENERATOR_WEIGHT,
            false => found.weight.as_deref().unwrap_or("1"),
        },
        match found.id.as_slice() {
            [] => "file and row".to_owned(),
            id => id.join(" "),
        }
    ))?;
    let stage = progress.stage("checking", 0);
    let checked = check(&text, &place);
    drop(stage);
    checked.map_err(|error| {
        error.map(|text| format!("{} is not yet one that runs: {text}", out.display()))
    })?;
    if is_generated {
        print("edit    cross sections and luminosity in [data.define]")?;
    }
    print(&format!("next    sideband plan {}", out.display()))
}

/// Two samples with events of one file differ in nothing.
fn refuse_the_same(source: &Dataset, target: &Dataset) -> Result<()> {
    let Some(paths) = source.file_in_both(target)? else {
        return Ok(());
    };
    let real = paths.map(|path| path.canonicalize().ok());
    let [one, other] = paths.map(Path::display);
    let found = match real[0] == real[1] {
        true => format!("{one} is in both samples"),
        false => format!("{one} and {other} have the same content, and each is of one sample"),
    };
    Err(Error::usage(format!(
        "{found}: nothing tells them apart; name what is reweighted and what it shall become, or, \
         where a column tells two classes apart, the files of both once: \
         sideband init FILE"
    )))
}

/// Whether the configuration fits its data, as `plan` asks.
fn check(text: &str, place: &Path) -> Result<()> {
    let experiment = parse_experiment(text, &[])?;
    let options = RunOptions {
        out: PathBuf::new(),
        folder: place.parent().unwrap_or(Path::new("")).to_owned(),
        unblind: false,
        quiet: true,
        only: None,
    };
    estimate(&experiment, &options, false, None, &mut |_| {}).map(drop)
}

impl Look {
    fn new(patterns: &[String]) -> Result<Self> {
        let dataset = Dataset::open(patterns, Path::new(""))?;
        let columns = summarise(&dataset)?;
        let mut weights = columns.iter().filter(|c| c.name == GENERATOR_WEIGHT);
        Ok(Self {
            patterns: patterns.to_vec(),
            is_generated: weights.any(is_complete) && dataset.has_in_tree(RUNS, SUM_OF_WEIGHTS),
            columns,
            dataset,
        })
    }

    fn column(&self, name: &str) -> Option<&ColumnSummary> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Why no expression can use a column, if it is there.
    fn misfit(&self, name: &str) -> Option<String> {
        let mut columns = self.dataset.columns().iter();
        let column = columns.find(|column| column.name == name)?;
        let why = column.shape.as_ref().err()?;
        Some(why.strip_prefix("it ").unwrap_or(why).to_owned())
    }

    /// The column that tells two classes apart, and the lower of its values.
    fn class(&self) -> Result<(&str, f64)> {
        let all = self.columns.iter().filter_map(|column| {
            let [low, high] = range(column)?;
            let is_class = is_complete(column) && high - low == 1.0 && has_two(column, low);
            let is_class = is_class && column.lengths.is_none();
            is_class.then_some((column.name.as_str(), low))
        });
        let all: Vec<(&str, f64)> = all.collect();
        let named = CLASSES.iter().find_map(|name| {
            let mut all = all.iter();
            all.find(|(column, _)| column.to_lowercase() == *name)
        });
        match (named, all.as_slice()) {
            (Some(class), _) => Ok(*class),
            (None, [class]) if self.patterns.len() == 1 => Ok(*class),
            (None, [] | [_]) => Err(Error::usage(
                "one sample, and no column that tells two classes apart (whole numbers, two values \
                 such as 0 and 1, called `label` or the like where there are several files): name \
                 two samples, what is reweighted and what it shall become; \
                 a pattern in quotes is one: 'data/2b_*.parquet' data/4b.parquet",
            )),
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Err(Error::usage(format!(
                    "several columns could tell two classes apart: {names}; call the one that is \
                     meant `label`, or name two samples"
                )))
            }
        }
    }
}

/// Smallest and largest value.
fn range(column: &ColumnSummary) -> Option<[f64; 2]> {
    Some([column.min?.to_f64()?, column.max?.to_f64()?])
}

fn is_complete(column: &ColumnSummary) -> bool {
    column.nulls + column.nans + column.infinities == 0
}

fn is_integer(column: &ColumnSummary) -> bool {
    column.type_name.starts_with("Int") || column.type_name.starts_with("UInt")
}

/// Whether values between `low` and `low + 1` are one of the two.
fn has_two(column: &ColumnSummary, low: f64) -> bool {
    let is_whole = is_integer(column) || column.type_name == "Boolean";
    // of numbers from 0 to 1 the mean is the share of what is not 0 if that is all 1
    let rows = column.rows as f64;
    let above = column.mean.unwrap_or(f64::NAN) * rows;
    is_whole || low == 0.0 && (above - (rows - column.zeros as f64)).abs() < 1e-6 * rows
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name.to_lowercase().as_str())
}

fn is_weight(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_short = ["w", "wgt", "weights"].contains(&name.as_str());
    is_short || name.ends_with("weight") || name.starts_with("weight_") || name.ends_with("_wgt")
}

impl Found {
    fn of(looks: &[Look], class: Option<(&str, f64)>) -> Self {
        let mut found = Self::default();
        let is_generated = looks.iter().any(|look| look.is_generated);
        let names = looks[0].dataset.columns().iter().map(|column| &column.name);
        for name in names.filter(|name| !is_generated || *name != GENERATOR_WEIGHT) {
            if let Some(why) = looks.iter().find_map(|look| look.misfit(name)) {
                found.leave(name, why);
                continue;
            }
            let columns: Option<Vec<_>> = looks.iter().map(|look| look.column(name)).collect();
            let Some(columns) = columns else {
                found.leave(name, "is in one of the samples alone");
                continue;
            };
            if class.is_some_and(|(class, _)| class == name.as_str()) {
                continue;
            }
            found.sort(name, &columns);
        }
        // a run without an event names none
        if !found.id.iter().any(|name| is_one_of(name, &EVENTS)) {
            for name in std::mem::take(&mut found.id) {
                found.leave(&name, "names no event by itself");
            }
        }
        found
    }

    /// Gives a column, as it is in each of the samples, its use.
    fn sort(&mut self, name: &str, columns: &[&ColumnSummary]) {
        if columns.iter().any(|column| column.lengths.is_some()) {
            return self.leave(
                name,
                "is a list, of which an element, a sum or a length could be one",
            );
        }
        let is_complete = columns.iter().all(|column| is_complete(column));
        let is_flag = columns[0].type_name == "Boolean";
        let is_id = is_one_of(name, &EVENTS) || is_one_of(name, &WITHIN);
        if is_weight(name) && is_complete && !is_flag {
            return match &self.weight {
                None => self.weight = Some(written(name)),
                Some(_) => self.leave(name, "is perhaps another weight"),
            };
        }
        if is_id && is_complete && columns.iter().all(|column| is_integer(column)) {
            return self.id.push(name.to_owned());
        }
        let ranges: Option<Vec<[f64; 2]>> = columns.iter().map(|column| range(column)).collect();
        let Some(ranges) = ranges else {
            return self.leave(name, "has no number");
        };
        let low = ranges.iter().map(|r| r[0]).fold(f64::INFINITY, f64::min);
        let high = ranges
            .iter()
            .map(|r| r[1])
            .fold(f64::NEG_INFINITY, f64::max);
        let largest = low.abs().max(high.abs());
        let means = columns.iter().filter_map(|column| column.mean);
        let is_apart = |two: &[[f64; 2]]| two[0][1] < two[1][0] || two[1][1] < two[0][0];
        let tells = ranges.windows(2).any(is_apart) || ranges.iter().any(|r| r[0] == r[1]);
        if !is_complete {
            self.leave(name, "has rows without a number");
        } else if low == high {
            self.leave(name, "is the same everywhere");
        } else if tells {
            self.leave(
                name,
                "tells the samples apart by itself, so that no ratio exists in it",
            );
        } else if is_flag {
            self.leave(name, "is a flag");
        } else if is_id || is_one_of(name, &PERIODS) {
            self.leave(name, "is no observable");
        } else if largest * f64::from(f32::EPSILON) > COARSE * (high - low) {
            self.leave(name, "has more digits than a network reads");
        } else if low > 0.0 && high > LONG_TAIL * means.fold(0.0, f64::max) {
            self.inputs.push(format!("log({})", written(name)));
        } else {
            self.inputs.push(written(name));
        }
    }

    fn leave(&mut self, name: &str, why: impl Into<Cow<'static, str>>) {
        let names = self.left.entry(why.into()).or_default();
        names.push(name.to_owned());
    }

    /// The lines of the inputs: one each, or where they are many as many as fit.
    fn input_lines(&self) -> Vec<String> {
        let inputs = self.inputs.iter().map(|input| quoted(input) + ",");
        match self.inputs.len() {
            ..=LINES => inputs.map(|input| format!("    {input}")).collect(),
            _ => filled("    ", "    ", inputs),
        }
    }
}

/// Names of columns, those of which more than a few begin alike as one: `HLT_* (120)`.
fn gathered(names: &[String]) -> Vec<String> {
    let mut groups: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for name in names {
        groups.entry(stem(name)).or_default().push(name);
    }
    let mut all: Vec<(String, usize)> = Vec::new();
    for (stem, names) in groups {
        match names.len() {
            ..=ALIKE => all.extend(names.into_iter().map(|name| (shown(name), 1))),
            many => all.push((format!("{stem}* ({many})"), many)),
        }
    }
    let behind: usize = all.iter().skip(NAMES).map(|(_, columns)| columns).sum();
    let mut texts: Vec<String> = all.into_iter().take(NAMES).map(|(text, _)| text).collect();
    if behind > 0 {
        texts.push(counted(behind, "more column"));
    }
    texts
}

/// A name as expressions have it, in quotes where none can.
fn shown(name: &str) -> String {
    match can_be_written(name) {
        true => written(name),
        false => format!("\"{name}\""),
    }
}

/// How a name begins: up to its first `_`, or to its first digit; all of a name without.
fn stem(name: &str) -> &str {
    let mut places = name.char_indices().skip(1);
    match places.clone().find(|(_, c)| *c == '_') {
        Some((place, _)) => &name[..=place],
        None => {
            let digit = places.find(|(_, c)| c.is_ascii_digit());
            digit.map_or(name, |(place, _)| &name[..place])
        }
    }
}

/// Lines of words as full as they may be, the first behind `first` and the others behind `rest`.
fn filled(first: &str, rest: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let (mut lines, mut line, mut is_begun) = (Vec::new(), first.to_owned(), false);
    for word in words {
        let length = line.chars().count() + 1 + word.chars().count();
        if is_begun && length > WIDTH {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_begun = false;
        }
        line += if is_begun { " " } else { "" };
        line += &word;
        is_begun = true;
    }
    lines.push(line);
    lines
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

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

/// The configuration, with what was found and why.
fn text(looks: &[Look], class: Option<(&str, f64)>, found: &Found, place: &Path) -> Result<String> {
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
    let left = match left.is_empty() {
        true => String::new(),
        false => format!("# No input is what\n{left}"),
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
# called in figures.
[features]
inputs = [
{inputs}
]
{left}
[training]
region = "training"

[ensemble]
members = 20                 # 100 for a result
"#,
        name = quoted(&name),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_columns_that_begin_alike_are_one_name() {
        let found = |texts: &[&str]| {
            let names: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            gathered(&names).join(", ")
        };
        assert_eq!(found(&["a_1", "b", "a_2", "a_3"]), "a_1, a_2, a_3, b");
        assert_eq!(found(&["a_1", "b", "a_2", "a_3", "a_"]), "a_* (4), b");
        assert_eq!(
            found(&["c0", "c1", "c2", "c3", "_", "µ_x"]),
            "c* (4), _, µ_x"
        );
        assert_eq!(found(&["a-b", "a}b"]), "{a-b}, \"a}b\"");
        let single: Vec<String> = ('a'..='z').map(String::from).collect();
        let shown = gathered(&single);
        assert_eq!(shown.len(), NAMES + 1);
        assert_eq!(shown[NAMES], "2 more columns");
    }

    #[test]
    fn lines_of_words_are_no_longer_than_others() {
        let words = || (0..40).map(|k| format!("word_{k},"));
        let lines = filled("# of words: ", "#     ", words());
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() <= WIDTH));
        assert_eq!(lines.join(" ").matches("word_").count(), 40);
        // a word that is longer than a line has one of its own
        let long = "w".repeat(2 * WIDTH);
        let lines = filled("", "  ", [long.clone(), "x".to_owned(), long].into_iter());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "  x");
    }
}
