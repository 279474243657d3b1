//! Groups of nuisance parameters: by what they are, by how their names begin, each by itself, or by
//! patterns of a TOML file.

use super::opened::{Opened, base};
use crate::error::{Context, Error, Kind, OnFile, Result};
use crate::files::regular;
use glob::Pattern;
use indexmap::IndexMap;
use sideband_likelihood::fit::Group;
use sideband_numerics::expression::nearest;
use std::path::PathBuf;

/// Largest file of groups.
const FILE: u64 = 1 << 20;
/// Most groups.
const GROUPS: usize = 10_000;

/// How nuisance parameters are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// By the type of their modifiers.
    Type,
    /// By their names up to the first `_`.
    Prefix,
    /// A group a name; the parameters of a vector are one.
    Name,
    /// Groups of a file: patterns of names, where `*` and `?` stand for anything.
    File(PathBuf),
}

impl Grouping {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Prefix => "prefix",
            Self::Name => "name",
            Self::File(_) => "file",
        }
    }
}

/// What the modifiers of one name are, for people.
fn type_of(opened: &Opened, name: &str) -> &'static str {
    let types = opened.contents.modifiers.get(name).map(|m| &m.types);
    match types.and_then(|types| types.first()).map(String::as_str) {
        Some("staterror" | "shapesys") => "bin statistics (staterror, shapesys)",
        Some("normsys" | "histosys") => "rates and shapes (normsys, histosys)",
        Some("normfactor") => "free normalisations (normfactor)",
        Some("shapefactor") => "free shapes (shapefactor)",
        Some("lumi") => "luminosity",
        _ => "others",
    }
}

/// Places of the nuisance parameters that are not fixed.
pub(super) fn nuisances(opened: &Opened, interest: usize) -> Vec<usize> {
    let is_fitted = |place: &usize| *place != interest && !opened.settings.is_fixed(*place);
    (0..opened.parameters().len()).filter(is_fitted).collect()
}

/// The groups of all nuisance parameters that are not fixed, or those of a file; empty ones are
/// left out.
pub(super) fn groups(opened: &Opened, interest: usize, by: &Grouping) -> Result<Vec<Group>> {
    let name = |place: usize| (place, opened.parameters()[place].name.as_str());
    let fitted = nuisances(opened, interest).into_iter();
    let nuisances: Vec<(usize, &str)> = fitted.map(name).collect();
    let mut found: IndexMap<String, Vec<usize>> = IndexMap::new();
    if let Grouping::File(path) = by {
        for (name, patterns) in read(path)? {
            let matches = |own: &str| {
                let mut patterns = patterns.iter();
                patterns.any(|pattern| pattern.matches(own) || pattern.matches(base(own)))
            };
            let meant = nuisances.iter().filter(|(_, own)| matches(own));
            let meant: Vec<usize> = meant.map(|(place, _)| *place).collect();
            if meant.is_empty() {
                let texts: Vec<String> = patterns.iter().map(written).collect();
                let near = texts.first();
                let near = near.and_then(|t| nearest(t, nuisances.iter().map(|(_, n)| *n)));
                let near = near.map_or_else(String::new, |n| format!(", did you mean `{n}`?"));
                return Err(Error::config(format!(
                    "{}: `{name}`: no nuisance parameter that is fitted matches {}{near}",
                    path.display(),
                    texts.join(", ")
                )));
            }
            found.insert(name, meant);
        }
    } else {
        for (place, own) in nuisances {
            let set = base(own);
            let name = match by {
                Grouping::Type => type_of(opened, set),
                Grouping::Prefix => set
                    .split('_')
                    .next()
                    .filter(|p| !p.is_empty())
                    .unwrap_or(set),
                Grouping::Name | Grouping::File(_) => set,
            };
            found.entry(name.to_owned()).or_default().push(place);
        }
    }
    let group = |(name, parameters)| Group { name, parameters };
    Ok(found.into_iter().map(group).collect())
}

/// A bracket in a pattern that stands for itself.
const BRACKET: &str = "[[]";

/// A pattern as the file has it.
fn written(pattern: &Pattern) -> String {
    pattern.as_str().replace(BRACKET, "[")
}

/// Groups of a file: a list of patterns, or one, for each name.
fn read(path: &PathBuf) -> Result<IndexMap<String, Vec<Pattern>>> {
    let bytes = regular::read(path, FILE).on(path)?;
    let text = String::from_utf8(bytes).at(Kind::Config, path.display())?;
    let table: toml::Table = text.parse().at(Kind::Config, path.display())?;
    let wrong =
        |name: &str, text: String| Error::config(format!("{}: `{name}`: {text}", path.display()));
    if table.is_empty() || table.len() > GROUPS {
        return Err(Error::config(format!(
            "{}: there are {} groups; 1 to {GROUPS} are possible, each as \"name\" = [\"pattern*\"]",
            path.display(),
            table.len()
        )));
    }
    let mut groups = IndexMap::new();
    for (name, value) in table {
        let list = match value {
            toml::Value::Array(list) => list,
            one => vec![one],
        };
        let patterns = list.iter().map(|value| {
            let text = value.as_str().ok_or_else(|| {
                wrong(
                    &name,
                    "expected patterns of parameters' names, such as [\"jes_*\"]".to_owned(),
                )
            })?;
            // a bracket is one of a name: `mc_SR[0]`
            Pattern::new(&text.replace('[', BRACKET))
                .map_err(|error| wrong(&name, format!("the pattern `{text}`: {error}")))
        });
        let patterns = patterns.collect::<Result<Vec<_>>>()?;
        if patterns.is_empty() {
            return Err(wrong(&name, "the list is empty".to_owned()));
        }
        groups.insert(name.clone(), patterns);
    }
    Ok(groups)
}
