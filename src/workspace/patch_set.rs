//! Patch sets of pyhf (schema 1.0.0): signals to add to one background-only workspace, each a JSON
//! Patch with a name and its values of the labels, such as masses; and the digests of that workspace.

use super::digest::{Algorithm, canonical};
use super::document::kind;
use super::patch::Patch;
use crate::error::{Error, Result, counted};
use serde::Deserialize;
use serde_json::{Map, Value};
use sideband_numerics::expression::nearest;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;

/// The known version of the schema.
pub(super) const VERSION: &str = "1.0.0";
/// Most patches of a set.
const PATCHES: usize = 100_000;
/// Names that a message lists.
const LISTED: usize = 12;

/// The document, as schema 1.0.0 has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    metadata: Metadata,
    patches: Vec<Entry>,
    version: String,
}

/// More keys are allowed, and say nothing to a fit.
#[derive(Deserialize)]
struct Metadata {
    references: BTreeMap<String, String>,
    description: String,
    digests: BTreeMap<String, String>,
    labels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    metadata: EntryMetadata,
    patch: Value,
}

#[derive(Deserialize)]
struct EntryMetadata {
    name: String,
    values: Vec<Value>,
}

/// A patch with its name and values.
#[derive(Clone)]
pub(crate) struct NamedPatch {
    /// Its name, unique in the set.
    pub(crate) name: String,
    /// A number or a text for each label of the set.
    pub(crate) values: Vec<Value>,
    pub(super) patch: Patch,
}

/// A set of patches for one workspace.
pub(crate) struct PatchSet {
    /// The file.
    pub(crate) file: String,
    /// What the values of the patches are.
    pub(crate) labels: Vec<String>,
    pub(crate) description: String,
    pub(crate) patches: Vec<NamedPatch>,
    pub(super) digests: Vec<(Algorithm, String)>,
}

/// What a file of patches holds.
pub(super) enum Patches {
    /// A set.
    Set(PatchSet),
    /// The operations of one.
    One(Patch),
}

impl Patches {
    /// Patches from the JSON of a file: a set, or a list of operations.
    pub(super) fn from_value(file: &str, value: Value) -> Result<Self> {
        let wrong = |text: &dyn Display| Error::data(format!("{file}: {text}"));
        match value {
            Value::Array(_) => {
                let patch = Patch::from_value(value);
                patch.map(Self::One).map_err(|text| wrong(&text))
            }
            Value::Object(ref map) if map.contains_key("channels") => Err(wrong(
                &"this is a workspace where a patch set is expected; the workspace comes first: \
                  WORKSPACE --patch PATCHSET NAME",
            )),
            Value::Object(_) => PatchSet::from_value(file, value).map(Self::Set),
            other => Err(wrong(&format!(
                "this is {}, and neither a patch set nor a list of operations",
                kind(&other)
            ))),
        }
    }
}

/// Whether a document is a patch set, and no workspace.
pub(super) fn is_patch_set(document: &Map<String, Value>) -> bool {
    document.contains_key("patches") && !document.contains_key("channels")
}

impl PatchSet {
    fn from_value(file: &str, value: Value) -> Result<Self> {
        let wrong = |text: String| Error::data(format!("{file}: {text}"));
        let read: std::result::Result<Document, _> = serde_path_to_error::deserialize(value);
        let document = read.map_err(|error| {
            let (place, inner) = (error.path().to_string(), error.inner());
            let at = match place.as_str() {
                "." => String::new(),
                place => format!("{place}: "),
            };
            wrong(format!("this is no pyhf patch set: {at}{inner}"))
        })?;
        let Document {
            metadata,
            patches,
            version,
        } = document;
        if version != VERSION {
            return Err(wrong(format!(
                "the patch set has schema version `{version}`; {VERSION} is known"
            )));
        }
        if metadata.references.is_empty() {
            return Err(wrong("metadata.references is empty".to_owned()));
        }
        if metadata.labels.is_empty() {
            return Err(wrong("metadata.labels is empty".to_owned()));
        }
        if patches.is_empty() || patches.len() > PATCHES {
            let found = counted(patches.len(), "patch");
            return Err(wrong(format!(
                "the patch set has {found}; 1 to {PATCHES} are read"
            )));
        }
        let digests = metadata.digests.into_iter().map(|(name, digest)| {
            let algorithm = Algorithm::named(&name).ok_or_else(|| {
                wrong(format!(
                    "metadata.digests: `{name}` is unknown; there are md5 and sha256"
                ))
            })?;
            Ok((algorithm, digest.to_lowercase()))
        });
        let digests: Vec<(Algorithm, String)> = digests.collect::<Result<_>>()?;
        if digests.is_empty() {
            return Err(wrong(
                "metadata.digests is empty: nothing says which workspace the patches are for"
                    .to_owned(),
            ));
        }
        let (mut names, mut points) = (HashSet::new(), HashSet::new());
        let labels = metadata.labels.len();
        let named = patches.into_iter().map(|Entry { metadata, patch }| {
            let EntryMetadata { name, values } = metadata;
            let at = |text: String| wrong(format!("patch `{name}`: {text}"));
            if values.len() != labels {
                let found = counted(values.len(), "value");
                return Err(at(format!("{found} for {}", counted(labels, "label"))));
            }
            if let Some(odd) = values.iter().find(|v| !v.is_number() && !v.is_string()) {
                return Err(at(format!(
                    "the value {odd} is neither a number nor a text"
                )));
            }
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(at(
                    "a name is of letters, digits and `_`, as the schema has it".to_owned(),
                ));
            }
            if name == EVERY {
                return Err(at(format!(
                    "`{EVERY}` means every patch of a set; give this one another name"
                )));
            }
            if !names.insert(name.clone()) {
                return Err(at("its name is there twice".to_owned()));
            }
            if !points.insert(point(&values)) {
                return Err(at(format!("its values {} are there twice", words(&values))));
            }
            let patch = Patch::from_value(patch).map_err(at)?;
            Ok(NamedPatch {
                name,
                values,
                patch,
            })
        });
        Ok(Self {
            file: file.to_owned(),
            labels: metadata.labels,
            description: metadata.description,
            patches: named.collect::<Result<_>>()?,
            digests,
        })
    }

    /// Checks that the set is for a document.
    pub(super) fn verify(&self, workspace: &str, document: &Value) -> Result<()> {
        let text = canonical(document);
        for (algorithm, expected) in &self.digests {
            let (name, found) = (algorithm.name(), algorithm.digest(&text));
            if found != *expected {
                return Err(Error::data(format!(
                    "{}: the patches are for another workspace than {workspace}: its {name} is \
                     {found}, that of theirs {expected}; take the background-only workspace that \
                     was published with them",
                    self.file
                )));
            }
        }
        Ok(())
    }

    /// The only patch that is used of the set, by its name or values.
    pub(super) fn taken(mut self, key: &str) -> Result<NamedPatch> {
        let found = self.find(key)?;
        let place = self
            .patches
            .iter()
            .position(|patch| std::ptr::eq(patch, found));
        Ok(self.patches.swap_remove(place.unwrap_or_default()))
    }

    /// The patch of a name, or of values such as `[500, 0]`.
    pub(super) fn find(&self, key: &str) -> Result<&NamedPatch> {
        if let Some(found) = self.patches.iter().find(|patch| patch.name == key) {
            return Ok(found);
        }
        if let Ok(Value::Array(values)) = serde_json::from_str(key) {
            let same = |patch: &&NamedPatch| {
                let pairs = patch.values.iter().zip(&values);
                let is_same =
                    |(a, b): (&Value, &Value)| a == b || a.is_number() && a.as_f64() == b.as_f64();
                patch.values.len() == values.len() && pairs.into_iter().all(is_same)
            };
            return self.patches.iter().find(same).ok_or_else(|| {
                Error::data(format!(
                    "{}: no patch has the values {} of {}; {}",
                    self.file,
                    words(&values),
                    self.labels.join(", "),
                    self.listed()
                ))
            });
        }
        let names = self.patches.iter().map(|patch| patch.name.as_str());
        let near = nearest(key, names);
        let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        Err(Error::data(format!(
            "{}: there is no patch `{key}`{near}; {}",
            self.file,
            self.listed()
        )))
    }

    /// Its patches, for words.
    pub(super) fn listed(&self) -> String {
        let names = self.patches.iter().take(LISTED);
        let names: Vec<&str> = names.map(|patch| patch.name.as_str()).collect();
        let more = match self.patches.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more (`sideband inspect {}`)", self.file),
        };
        let (all, names) = (counted(self.patches.len(), "patch"), names.join(", "));
        format!("the set has {all}: {names}{more}")
    }
}

/// What tells values apart: numbers by their value, `100` and `100.0` are one.
fn point(values: &[Value]) -> String {
    let number = |value: &Value| value.as_f64().map(Value::from);
    let values = values
        .iter()
        .map(|value| number(value).unwrap_or_else(|| value.clone()));
    words(&values.collect::<Vec<Value>>())
}

/// What stands for every patch of a set on the command line.
pub(super) const EVERY: &str = "all";

/// Values, for words.
pub(crate) fn words(values: &[Value]) -> String {
    let texts: Vec<String> = values.iter().map(Value::to_string).collect();
    format!("[{}]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        json!({
            "version": "1.0.0",
            "metadata": {
                "references": {"hepdata": "ins1234567"},
                "description": "two signals",
                // pyhf.utils.digest, 0.7.6
                "digests": {"md5": "2C0633F242928EB55C3672FED5BA8612"},
                "labels": ["m1", "m2"],
                "more": 1
            },
            "patches": [
                {"metadata": {"name": "near", "values": [100, 0]},
                 "patch": [{"op": "replace", "path": "/a", "value": 7}]},
                {"metadata": {"name": "far", "values": [500.5, "x"], "more": 1}, "patch": []}
            ]
        })
    }

    fn set(document: Value) -> Result<PatchSet> {
        match Patches::from_value("ps.json", document)? {
            Patches::Set(set) => Ok(set),
            Patches::One(_) => panic!("it is no set"),
        }
    }

    #[test]
    fn patches_are_found_by_name_and_by_values() {
        let set = set(document()).unwrap();
        for (key, name) in [
            ("near", "near"),
            ("[100, 0]", "near"),
            ("[100.0,0]", "near"),
            ("[500.5, \"x\"]", "far"),
        ] {
            assert_eq!(set.find(key).unwrap().name, name);
        }
        for (key, words) in [
            (
                "nera",
                "ps.json: there is no patch `nera`, did you mean `near`?; the set has 2 patches: near, far",
            ),
            (
                "[100, 1]",
                "no patch has the values [100, 1] of m1, m2; the set has",
            ),
            ("[100]", "no patch has the values [100]"),
        ] {
            let error = set.find(key).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_set_is_for_one_workspace() {
        let set = set(document()).unwrap();
        let own = json!({"c": 1.0, "b": 3.0, "a": 2.0});
        set.verify("ws.json", &own).unwrap();
        let other = set.verify("ws.json", &json!({"c": 1.0, "b": 3.0, "a": 2}));
        let error = other.unwrap_err().to_string();
        for words in ["another workspace than ws.json: its md5 is ", "2c0633f2"] {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_is_no_patch_set_is_refused() {
        for (pointer, value, words) in [
            (
                "/version",
                json!("1.1.0"),
                "schema version `1.1.0`; 1.0.0 is known",
            ),
            (
                "/metadata",
                json!([]),
                "this is no pyhf patch set: metadata",
            ),
            ("/metadata/digests", json!({}), "digests is empty"),
            (
                "/metadata/digests",
                json!({"sha1": "00"}),
                "`sha1` is unknown; there are md5",
            ),
            ("/metadata/labels", json!([]), "metadata.labels is empty"),
            (
                "/metadata/labels",
                json!(["m"]),
                "patch `near`: 2 values for 1 label",
            ),
            ("/metadata/references", json!({}), "references is empty"),
            ("/patches", json!([]), "it has 0 patches"),
            (
                "/patches/1/metadata/name",
                json!("near"),
                "patch `near`: its name is there twice",
            ),
            (
                "/patches/1/metadata/name",
                json!("../x"),
                "patch `../x`: a name is of letters",
            ),
            (
                "/patches/1/metadata/name",
                json!("all"),
                "`all` means every patch",
            ),
            (
                "/patches/1/metadata/values",
                json!([100, 0]),
                "its values [100, 0] are there twice",
            ),
            (
                "/patches/1/metadata/values",
                json!([100.0, 0]),
                "its values [100.0, 0] are there twice",
            ),
            (
                "/patches/1/metadata/values",
                json!([1, [2]]),
                "[2] is neither a number nor a text",
            ),
            (
                "/patches/1/patch",
                json!({}),
                "patch `far`: a patch is a list of operations",
            ),
            (
                "/patches/1/patch",
                json!([{"op": "add"}]),
                "patch `far`: operation 0",
            ),
            (
                "/patches/1",
                json!({"patch": []}),
                "patches[1]: missing field `metadata`",
            ),
        ] {
            let mut document = document();
            *document.pointer_mut(pointer).unwrap() = value;
            let error = set(document).err().unwrap().to_string();
            let words = words.replace("it has 0", "the patch set has 0");
            assert!(error.starts_with("ps.json: "), "{error}");
            assert!(error.contains(&words), "{words}: {error}");
        }
        for (document, words) in [
            (
                json!({"channels": []}),
                "this is a workspace where a patch set is expected",
            ),
            (
                json!({"channels": [], "patches": []}),
                "this is a workspace",
            ),
            (json!(3), "this is a number, and neither a patch set nor"),
            (json!({}), "missing field `metadata`"),
        ] {
            let error = Patches::from_value("ps.json", document).err().unwrap();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
