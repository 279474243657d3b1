//! The patch set of a grid of signals: what a workspace is at values of a parameter that it does not
//! have itself, such as a coupling in the coefficients.

use super::digest::{Algorithm, canonical};
use super::document::{Budget, Size, VALUES, parse};
use super::patch_set::{Patches, VERSION};
use super::source::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::files::to_value;
use serde_json::{Value, json};

/// The record that a set has to name, until there is one.
const NO_RECORD: &str = "ins0000000";

/// What a grid is of.
pub(crate) struct Grid<'a> {
    /// The file of the workspace, and its text.
    pub(crate) workspace: &'a str,
    pub(crate) text: &'a str,
    /// The parameter.
    pub(crate) label: &'a str,
    pub(crate) description: String,
}

impl Grid<'_> {
    /// A patch set for the workspace, with a patch for each value and the workspace there.
    ///
    /// # Errors
    /// If it were too large, or what is read of it were another one.
    pub(crate) fn patch_set(
        &self,
        points: impl IntoIterator<Item = Result<(f64, Value)>>,
    ) -> Result<Value> {
        let source = Source {
            name: self.workspace.to_owned(),
            bytes: self.text.as_bytes().to_vec(),
        };
        let base = parse(&source, &Budget::default())?;
        let label = plain(self.label);
        let mut size = Size::of(&base);
        let mut patches = Vec::new();
        for point in points {
            let (value, workspace) = point?;
            // numbers as they are read
            let workspace = to_value(&workspace).of(Kind::Internal)?;
            let mut operations = Vec::new();
            differences((&base, &workspace), String::new(), &mut operations);
            let patch = json!({
                "metadata": {"name": format!("{label}_{}", plain(&value.to_string())), "values": [value]},
                "patch": operations,
            });
            size.add(Size::of(&patch));
            if size.values > VALUES {
                return Err(Error::data(format!(
                    "its patches have more than {VALUES} values; take fewer points"
                )));
            }
            check(&base, &patch["patch"], &workspace)?;
            patches.push(patch);
        }
        let text = canonical(&base);
        let digest = |algorithm: Algorithm| algorithm.digest(&text);
        let set = json!({
            "metadata": {
                "references": {"hepdata": NO_RECORD},
                "description": self.description,
                "digests": {"md5": digest(Algorithm::Md5), "sha256": digest(Algorithm::Sha256)},
                "labels": [label],
            },
            "patches": patches,
            "version": VERSION,
        });
        // its names and values are told apart
        Patches::from_value("the patch set", set.clone())?;
        Ok(set)
    }
}

/// Refuses operations that make another workspace.
fn check(base: &Value, operations: &Value, expected: &Value) -> Result<()> {
    let wrong = |text: String| Error::internal(format!("a patch of the workspace: {text}"));
    if let Patches::One(patch) = Patches::from_value("the patch", operations.clone())? {
        let made = patch.apply(base.clone()).map_err(wrong)?;
        if made == *expected {
            return Ok(());
        }
    }
    Err(wrong("it makes another one".to_owned()))
}

/// The operations that make one value another: lists of numbers are replaced as a whole.
fn differences((from, to): (&Value, &Value), path: String, found: &mut Vec<Value>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for ((key, from), to) in a.iter().zip(b.values()) {
                let step = key.replace('~', "~0").replace('/', "~1");
                differences((from, to), format!("{path}/{step}"), found);
            }
        }
        (Value::Array(a), Value::Array(b))
            if a.len() == b.len() && !a.iter().chain(b).any(Value::is_number) =>
        {
            for (place, pair) in a.iter().zip(b).enumerate() {
                differences(pair, format!("{path}/{place}"), found);
            }
        }
        (_, to) => found.push(json!({"op": "replace", "path": path, "value": to})),
    }
}

/// A text of letters, digits and `_`, as names and labels of a set are: a sign is `m`, a point `p`.
fn plain(text: &str) -> String {
    let plain = |c: char| match c {
        '-' => 'm',
        '.' => 'p',
        c if c.is_ascii_alphanumeric() => c,
        _ => '_',
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::patch_set::PatchSet;

    fn workspace(signal: [f64; 2]) -> Value {
        json!({"channels": [{"name": "a/b", "samples": [
            {"name": "signal", "data": signal, "modifiers": []},
            {"name": "top", "data": [5.0, 6.5], "modifiers": []}]}]})
    }

    fn set(points: Vec<(f64, Value)>) -> Result<Value> {
        let text = workspace([1.0, 2.0]).to_string();
        let grid = Grid {
            workspace: "ws.json",
            text: &text,
            label: "kl",
            description: "signals".to_owned(),
        };
        grid.patch_set(points.into_iter().map(Ok))
    }

    #[test]
    fn a_patch_has_what_differs_and_nothing_more() {
        let found = set(vec![
            (-1.0, workspace([3.0, 4.0])),
            (2.5, workspace([1.0, 2.0])),
        ]);
        let found = found.unwrap();
        assert_eq!(
            found["patches"],
            json!([
                {"metadata": {"name": "kl_m1", "values": [-1.0]}, "patch": [{"op": "replace",
                    "path": "/channels/0/samples/0/data", "value": [3.0, 4.0]}]},
                {"metadata": {"name": "kl_2p5", "values": [2.5]}, "patch": []}
            ])
        );
        // it is for this workspace, and makes the other one of it
        let base = workspace([1.0, 2.0]);
        let set: PatchSet = match Patches::from_value("ps.json", found).unwrap() {
            Patches::Set(set) => set,
            Patches::One(_) => panic!("it is no set"),
        };
        set.verify("ws.json", &base).unwrap();
        let patch = set.taken("[-1]").unwrap().patch;
        assert_eq!(patch.apply(base).unwrap(), workspace([3.0, 4.0]));
    }

    #[test]
    fn what_has_another_form_is_replaced_where_it_differs() {
        let mut other = workspace([1.0, 2.0]);
        other["channels"][0]["samples"][1]["modifiers"] = json!([{"name": "a~b"}]);
        let found = set(vec![(0.0, other)]).unwrap();
        let operations = &found["patches"][0]["patch"];
        assert_eq!(
            *operations,
            json!([{"op": "replace", "path": "/channels/0/samples/1/modifiers",
                "value": [{"name": "a~b"}]}])
        );
    }

    #[test]
    fn values_that_have_one_name_are_refused() {
        let twice = vec![(1.0, workspace([1.0, 2.0])), (1.0, workspace([3.0, 2.0]))];
        let error = set(twice).unwrap_err().to_string();
        assert!(
            error.contains("patch `kl_1`: its name is there twice"),
            "{error}"
        );
    }
}
