//! A workspace that is ready to be fitted: read, patched, with its measurement, parameter of interest
//! and fixed parameters.

use super::brought::Brought;
use super::contents::Contents;
use super::digest::{Algorithm, canonical};
use super::document::{Budget, Size, VALUES, kind, parse};
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

/// What a file holds, and how messages call it.
fn parsed(name: &str, budget: &Budget) -> Result<(String, Value)> {
    let source = Source::read(name)?;
    let document = parse(&source, budget)?;
    Ok((source.name, document))
}

/// A workspace's document, and no patch set.
pub(super) fn document(name: &str, budget: &Budget) -> Result<(String, Value)> {
    let (name, document) = parsed(name, budget)?;
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
    fn read(
        asked: &PatchRequest,
        (workspace, document): (&str, &Value),
        budget: &Budget,
    ) -> Result<Self> {
        let PatchRequest { file, key } = asked;
        let (name, value) = parsed(file, budget)?;
        match (Patches::from_value(&name, value)?, key) {
            (Patches::Set(set), Some(key)) => {
                set.verify(workspace, document)?;
                Ok(Self::OfSet(set, key.clone()))
            }
            (Patches::Set(set), None) => Err(Error::usage(format!(
                "--patch {file}: name one of its patches, or `{EVERY}` for a limit with each of \
                 them; {}",
                set.listed()
            ))),
            (Patches::One(patch), None) => Ok(Self::Alone(name, patch)),
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

    /// The patch that is used of it, and nothing of the others of its set.
    fn taken(self) -> Result<Chosen> {
        match self {
            Self::Alone(file, patch) => Ok(Chosen::alone(&file, patch)),
            Self::OfSet(set, key) => {
                let (file, labels) = (set.file.clone(), set.labels.clone());
                Ok(Chosen::named(&file, &labels, set.taken(&key)?))
            }
        }
    }

    /// The same with the set left as it is; `every` stands for all of a set.
    fn chosen(&self, every: &NamedPatch) -> Result<Chosen> {
        match self {
            Self::Alone(file, patch) => Ok(Chosen::alone(file, patch.clone())),
            Self::OfSet(set, key) => {
                let patch = match self.is_every() {
                    true => every,
                    false => set.find(key)?,
                };
                Ok(Chosen::named(&set.file, &set.labels, patch.clone()))
            }
        }
    }
}

/// A patch that is applied, its label, and what messages call it.
struct Chosen {
    patch: Patch,
    label: PatchLabel,
    words: String,
}

impl Chosen {
    fn alone(file: &str, patch: Patch) -> Self {
        Self {
            patch,
            label: PatchLabel {
                file: file.to_owned(),
                name: None,
                values: IndexMap::new(),
            },
            words: file.to_owned(),
        }
    }

    fn named(file: &str, labels: &[String], patch: NamedPatch) -> Self {
        let NamedPatch {
            name,
            values,
            patch,
        } = patch;
        Self {
            patch,
            words: format!("{file}: patch `{name}`"),
            label: PatchLabel {
                file: file.to_owned(),
                name: Some(name),
                values: labels.iter().cloned().zip(values).collect(),
            },
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
        let budget = Budget::default();
        let (name, document) = document(&request.workspace, &budget)?;
        let patches = patches.map(|patch| Given::read(patch, (name.as_str(), &document), &budget));
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
    pub(crate) fn chosen(self, request: &Request) -> Result<Opened> {
        if self.every().is_some() {
            return Err(Error::usage(format!(
                "`{EVERY}` means every patch of a set, which `sideband limit` alone can do; name one \
                 of them"
            )));
        }
        let patches = self.patches.into_iter().map(Given::taken);
        patched(request, &self.name, self.document, patches)
    }

    /// The workspace with all patches, `every` in the place of all of a set.
    pub(super) fn with(&self, request: &Request, every: &NamedPatch) -> Result<Opened> {
        let patches = self.patches.iter().map(|given| given.chosen(every));
        patched(request, &self.name, self.document.clone(), patches)
    }

    /// How many workspaces with a patch may be there at a time.
    pub(super) fn at_a_time(&self) -> usize {
        (VALUES / Size::of(&self.document).values.max(1)).max(1)
    }
}

/// A workspace with patches, in their order. What they need of its document and of them is used up.
fn patched(
    request: &Request,
    name: &str,
    document: Value,
    patches: impl Iterator<Item = Result<Chosen>>,
) -> Result<Opened> {
    let mut document = document;
    let mut labels = Vec::new();
    let mut known: Option<Brought> = None;
    for chosen in patches {
        let Chosen {
            patch,
            label,
            words,
        } = chosen?;
        let known = known.get_or_insert_with(|| Brought::of(&document, name));
        let patched = patch.apply(document).and_then(|patched| {
            known.take(&patched, &words)?;
            Ok(patched)
        });
        document = patched.map_err(|wrong| Error::data(format!("{words}: {wrong}")))?;
        labels.push(label);
    }
    Opened::new(request, name, document, labels)
}

impl Opened {
    /// A patched document, ready to be fitted.
    fn new(
        request: &Request,
        workspace: &str,
        document: Value,
        patches: Vec<PatchLabel>,
    ) -> Result<Self> {
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
            Error::data(format!("{workspace}{}: {error}", named.join(" and")))
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
        Ok(Self {
            name: workspace.to_owned(),
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
