//! A workspace that is ready to be fitted: read, patched, with its measurement, parameter of interest
//! and fixed parameters.

use super::brought::Brought;
use super::contents::Contents;
use super::digest::{Algorithm, canonical};
use super::document::{kind, parse};
use super::outputs::check_others;
use super::patch::Patch;
use super::patch_set::{EVERY, NamedPatch, PatchSet, Patches, is_patch_set};
use super::source::Source;
use crate::error::{Error, Result};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sideband_likelihood::fit::FitSettings;
use sideband_likelihood::workspace::{ImportOptions, Imported, Poi, import_value};
use sideband_likelihood::{Interpolation, Parameter};
use sideband_numerics::expression::nearest;
use std::borrow::Cow;
use std::path::Path;

/// What commands on a workspace have in common, as the user asks for it.
pub(crate) struct Request {
    /// A file, or `-` for standard input.
    pub(crate) workspace: String,
    /// In the order in which they are applied.
    pub(crate) patches: Vec<PatchRequest>,
    /// None for the first one.
    pub(crate) measurement: Option<String>,
    pub(crate) poi: Poi,
    /// Parameters that are not fitted, by name, and their values.
    pub(crate) fixed: Vec<(String, f64)>,
    /// Interpolation of `normsys` and of `histosys`.
    pub(crate) codes: [Interpolation; 2],
}

/// A patch of a file.
pub(crate) struct PatchRequest {
    /// A patch set or a JSON Patch.
    pub(crate) file: String,
    /// Name or values of a patch of a set, or `all`.
    pub(crate) key: Option<String>,
}

/// A document before its patches are applied.
pub(crate) struct Base {
    name: String,
    document: Value,
    /// In the order in which they are applied.
    patches: Vec<Given>,
}

/// A patch that is asked for.
enum Given {
    /// Of a set, by its name or values, or all of them.
    OfSet(PatchSet, String),
    /// The operations of a file.
    Alone(String, Patch),
}

/// A patch as a result names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PatchLabel {
    /// The file.
    pub(crate) file: String,
    /// Its name in the set; none for a JSON Patch alone.
    pub(crate) name: Option<String>,
    /// Its values by the labels of the set.
    pub(crate) values: IndexMap<String, Value>,
}

/// A workspace that can be fitted.
pub(crate) struct Opened {
    /// The file.
    pub(crate) name: String,
    /// The patched document, with the names of every object in order.
    pub(super) text: String,
    /// SHA-256 of that, as pyhf has it.
    pub(crate) digest: String,
    /// In the order in which they were applied.
    pub(crate) patches: Vec<PatchLabel>,
    pub(crate) codes: [Interpolation; 2],
    pub(crate) imported: Imported,
    pub(crate) contents: Contents,
    /// With all parameters fixed that the measurement or the user fixes.
    pub(crate) settings: FitSettings,
}

/// A workspace's document, and no patch set.
pub(super) fn document(name: &str) -> Result<(String, Value)> {
    let source = Source::read(name)?;
    let document = parse(&source)?;
    let name = source.name;
    match &document {
        Value::Object(map) if is_patch_set(map) => Err(Error::data(format!(
            "{name}: this is a patch set where a workspace is expected; give it with --patch, behind \
             the workspace that it is for"
        ))),
        Value::Object(_) => Ok((name, document)),
        other => Err(Error::data(format!(
            "{name}: this is {}, and a workspace is an object of channels, measurements, \
             observations and version",
            kind(other)
        ))),
    }
}

impl Given {
    /// Reads the file of a patch. The digests of a set are those of the workspace before any patch.
    fn read(asked: &PatchRequest, (workspace, document): (&str, &Value)) -> Result<Self> {
        let PatchRequest { file, key } = asked;
        let source = Source::read(file)?;
        match (Patches::from_value(&source.name, parse(&source)?)?, key) {
            (Patches::Set(set), Some(key)) => {
                set.verify(workspace, document)?;
                Ok(Self::OfSet(set, key.clone()))
            }
            (Patches::Set(set), None) => Err(Error::usage(format!(
                "--patch {file}: name one of its patches, or `{EVERY}` for a limit with each of \
                 them; {}",
                set.listed()
            ))),
            (Patches::One(patch), None) => Ok(Self::Alone(source.name, patch)),
            (Patches::One(patch), Some(key)) => Err(Error::usage(format!(
                "--patch {file} {key}: the file is one patch of {} operations and no set with \
                 names; leave `{key}` out",
                patch.len()
            ))),
        }
    }

    fn is_every(&self) -> bool {
        matches!(self, Self::OfSet(_, key) if key == EVERY)
    }

    /// The patch, its label, and what messages call it; `every` stands for all of a set.
    fn chosen<'a>(
        &'a self,
        every: Option<&'a NamedPatch>,
    ) -> Result<(&'a Patch, PatchLabel, String)> {
        match self {
            Self::Alone(file, patch) => {
                let label = PatchLabel {
                    file: file.clone(),
                    name: None,
                    values: IndexMap::new(),
                };
                Ok((patch, label, file.clone()))
            }
            Self::OfSet(set, key) => {
                let patch = match every.filter(|_| self.is_every()) {
                    Some(patch) => patch,
                    None => set.find(key)?,
                };
                let values = set.labels.iter().cloned().zip(patch.values.iter().cloned());
                let label = PatchLabel {
                    file: set.file.clone(),
                    name: Some(patch.name.clone()),
                    values: values.collect(),
                };
                let words = format!("{}: patch `{}`", set.file, patch.name);
                Ok((&patch.patch, label, words))
            }
        }
    }
}

impl Base {
    /// Reads a workspace and the patches for it.
    pub(crate) fn open(request: &Request) -> Result<Self> {
        let patches = request.patches.iter();
        let files = patches.clone().map(|patch| patch.file.as_str());
        let files = files.chain([request.workspace.as_str()]);
        if files.filter(|name| *name == "-").count() > 1 {
            return Err(Error::usage(
                "of a workspace and its patches one alone can come on standard input",
            ));
        }
        let (name, document) = document(&request.workspace)?;
        let patches = patches.map(|patch| Given::read(patch, (name.as_str(), &document)));
        let patches: Vec<Given> = patches.collect::<Result<_>>()?;
        let before = patches.len().saturating_sub(1);
        if patches.iter().take(before).any(Given::is_every) {
            return Err(Error::usage(format!(
                "--patch: `{EVERY}` means every patch of a set; give it as the last of all patches"
            )));
        }
        Ok(Self {
            name,
            document,
            patches,
        })
    }

    /// The set of which every patch is asked for.
    pub(crate) fn every(&self) -> Option<&PatchSet> {
        match self.patches.last() {
            Some(Given::OfSet(set, key)) if key == EVERY => Some(set),
            _ => None,
        }
    }

    /// The workspace with the patches that are asked for.
    pub(crate) fn chosen(&self, request: &Request) -> Result<Opened> {
        if self.every().is_some() {
            return Err(Error::usage(format!(
                "`{EVERY}` means every patch of a set, which `sideband limit` alone can do; name one \
                 of them"
            )));
        }
        self.with(request, None)
    }

    /// The workspace with all patches, `every` in the place of all of a set.
    pub(super) fn with(&self, request: &Request, every: Option<&NamedPatch>) -> Result<Opened> {
        let mut document = Cow::Borrowed(&self.document);
        let mut labels = Vec::new();
        let mut known = match self.patches.is_empty() {
            true => Brought::default(),
            false => Brought::of(&self.document, &self.name),
        };
        for given in &self.patches {
            let (patch, label, words) = given.chosen(every)?;
            let patched = patch.apply(&document);
            let patched = patched.and_then(|patched| {
                known.take(&patched, &words)?;
                Ok(patched)
            });
            let patched = patched.map_err(|wrong| Error::data(format!("{words}: {wrong}")))?;
            document = Cow::Owned(patched);
            labels.push(label);
        }
        self.opened(request, document.into_owned(), labels)
    }

    fn opened(
        &self,
        request: &Request,
        document: Value,
        patches: Vec<PatchLabel>,
    ) -> Result<Opened> {
        let options = ImportOptions {
            measurement: request.measurement.clone(),
            poi: request.poi.clone(),
            rates: request.codes[0],
            shapes: request.codes[1],
            ..ImportOptions::default()
        };
        let text = canonical(&document);
        let digest = Algorithm::Sha256.digest(&text);
        let contents = Contents::of(&document);
        let imported = import_value(document, &options);
        let imported = imported.map_err(|error| {
            let named = patches.iter().filter_map(|patch| patch.name.as_ref());
            let named: Vec<String> = named.map(|name| format!(" with patch `{name}`")).collect();
            Error::data(format!("{}{}: {error}", self.name, named.join(" and")))
        })?;
        let mut settings = FitSettings {
            fixed: imported.model.fixed.clone(),
            ..FitSettings::default()
        };
        for (number, (name, value)) in request.fixed.iter().enumerate() {
            let mut before = request.fixed[..number].iter();
            if before.any(|(other, _)| other == name) {
                return Err(Error::usage(format!(
                    "--fix: `{name}` is there twice; give it one value"
                )));
            }
            for place in places(&imported.model.parameters, name)? {
                let parameter = &imported.model.parameters[place];
                let (low, high) = parameter.bounds;
                if !(low..=high).contains(value) {
                    return Err(Error::data(format!(
                        "--fix {name}={value}: {} is bounded by {low} and {high}",
                        parameter.name
                    )));
                }
                settings = settings.with_fixed(place, *value);
            }
        }
        Ok(Opened {
            name: self.name.clone(),
            text,
            digest,
            patches,
            codes: request.codes,
            imported,
            contents,
            settings,
        })
    }
}

/// Places of the parameters of a name: one, or all of a vector.
pub(super) fn places(parameters: &[Parameter], name: &str) -> Result<Vec<usize>> {
    let all = parameters.iter().enumerate();
    let is_meant = |own: &str| own == name || base(own) == name;
    let found = all
        .filter(|(_, p)| is_meant(&p.name))
        .map(|(place, _)| place);
    let found: Vec<usize> = found.collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let near = nearest(name, parameters.iter().map(|p| p.name.as_str()));
    let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
    Err(Error::data(format!(
        "there is no parameter `{name}`{near}; `sideband inspect WORKSPACE` lists all of them"
    )))
}

/// The name of a parameter's set: what stands before the place of one of a vector.
pub(super) fn base(name: &str) -> &str {
    let vector = name
        .strip_suffix(']')
        .and_then(|name| name.rsplit_once('['));
    let is_place = |place: &str| !place.is_empty() && place.bytes().all(|b| b.is_ascii_digit());
    match vector {
        Some((base, place)) if is_place(place) => base,
        _ => name,
    }
}

impl Opened {
    /// The workspace with the patches that a request names.
    pub(crate) fn open(request: &Request) -> Result<Self> {
        Base::open(request)?.chosen(request)
    }

    /// Its parameters.
    pub(crate) fn parameters(&self) -> &[Parameter] {
        &self.imported.model.parameters
    }

    /// Name of the parameter of interest.
    pub(crate) fn poi(&self) -> Option<&str> {
        let place = self.imported.interest?;
        Some(&self.parameters()[place].name)
    }

    /// Place of the parameter of interest, which a command needs.
    pub(super) fn interest(&self) -> Result<usize> {
        self.imported.interest.ok_or_else(|| {
            Error::data(format!(
                "{}: measurement `{}` has no parameter of interest; name one with --poi",
                self.name, self.imported.measurement
            ))
        })
    }

    /// Refuses a folder that has results of other commands with another workspace, before there is
    /// one that it could not take. `record`: the name of the command's own.
    pub(crate) fn check_folder(&self, record: &str, folder: Option<&Path>) -> Result<()> {
        folder.map_or(Ok(()), |folder| check_others(folder, record, &self.digest))
    }

    /// The files that it was read from.
    pub(super) fn inputs(&self) -> Vec<&str> {
        let patches = self.patches.iter().map(|patch| patch.file.as_str());
        std::iter::once(self.name.as_str()).chain(patches).collect()
    }

    /// What it is called in figures.
    pub(super) fn title(&self) -> String {
        let names = self.patches.iter().filter_map(|patch| patch.name.clone());
        let names: Vec<String> = names.collect();
        match names.is_empty() {
            true => self.imported.measurement.clone(),
            false => names.join(", "),
        }
    }
}
