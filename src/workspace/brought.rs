//! Which of several patches brought which channels and samples: what two of them add is named, before
//! the workspace is refused for having it twice.

use super::contents::{list, text};
use serde_json::Value;
use std::collections::HashMap;

/// Channels and samples of a document, in words, and where each is from.
#[derive(Debug, Default)]
pub(super) struct Brought {
    known: HashMap<String, Origin>,
}

#[derive(Debug)]
struct Origin {
    /// How often it is there.
    count: usize,
    /// A file, or a patch of one.
    from: String,
}

impl Brought {
    /// All of a document before any patch.
    pub(super) fn of(document: &Value, from: &str) -> Self {
        let mut brought = Self::default();
        for (name, count) in counts(document) {
            let from = from.to_owned();
            brought.known.insert(name, Origin { count, from });
        }
        brought
    }

    /// Takes a document after a patch, or says what it adds that was there already.
    pub(super) fn take(&mut self, document: &Value, patch: &str) -> Result<(), String> {
        let counts = counts(document);
        for (name, count) in &counts {
            if let Some(before) = self.known.get(name)
                && *count > before.count
            {
                return Err(format!("it adds {name}, which {} has already", before.from));
            }
        }
        let mut known = HashMap::with_capacity(counts.len());
        for (name, count) in counts {
            let from = match self.known.remove(&name) {
                Some(before) => before.from,
                None => patch.to_owned(),
            };
            known.insert(name, Origin { count, from });
        }
        self.known = known;
        Ok(())
    }
}

/// Channels and samples in the order of the document, and how often each is there.
fn counts(document: &Value) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut count = |name: String| match places.get(&name) {
        Some(place) => counts[*place].1 += 1,
        None => {
            places.insert(name.clone(), counts.len());
            counts.push((name, 1));
        }
    };
    for channel in list(document, "channels") {
        let name = text(channel, "name");
        count(format!("channel `{name}`"));
        for sample in list(channel, "samples") {
            count(format!(
                "sample `{}` of channel `{name}`",
                text(sample, "name")
            ));
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(samples: &[&str]) -> Value {
        let samples: Vec<Value> = samples.iter().map(|name| json!({"name": name})).collect();
        json!({"channels": [{"name": "SR", "samples": samples}]})
    }

    #[test]
    fn what_is_added_twice_is_named_with_both() {
        let mut brought = Brought::of(&document(&["top"]), "ws.json");
        brought.take(&document(&["top", "a"]), "first").unwrap();
        // gone and back again is no second one
        brought.take(&document(&["a"]), "second").unwrap();
        brought.take(&document(&["a", "top"]), "third").unwrap();
        for (samples, said) in [
            (
                &["a", "a", "top"][..],
                "it adds sample `a` of channel `SR`, which first has already",
            ),
            (
                &["a", "top", "top"],
                "it adds sample `top` of channel `SR`, which third has already",
            ),
        ] {
            assert_eq!(brought.take(&document(samples), "x").unwrap_err(), said);
        }
        // what a workspace has twice is no fault of a patch
        let mut twice = Brought::of(&document(&["a", "a"]), "ws.json");
        twice.take(&document(&["a", "a", "b"]), "first").unwrap();
        twice.take(&json!([1]), "second").unwrap();
    }
}
