//! What is in a workspace: channels, samples, and what the modifiers of each name are.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// A channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) bins: usize,
    /// Sum of the observed counts.
    pub(crate) observed: f64,
    pub(crate) samples: Vec<Sample>,
}

/// A sample of a channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Sample {
    pub(crate) name: String,
    /// Sum of its nominal contents.
    pub(crate) nominal: f64,
    /// Number of its modifiers.
    pub(crate) modifiers: usize,
}

/// The modifiers of one name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Modifier {
    /// Their types.
    pub(crate) types: BTreeSet<String>,
    /// Channels that have one.
    pub(crate) channels: BTreeSet<String>,
    /// How many samples of all channels have one.
    pub(crate) samples: usize,
}

/// What a document says, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Contents {
    pub(crate) channels: Vec<Channel>,
    pub(crate) modifiers: IndexMap<String, Modifier>,
    pub(crate) measurements: Vec<String>,
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    let list = value.get(key).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn sum(values: &[Value]) -> f64 {
    let numbers = values.iter().filter_map(Value::as_f64);
    numbers.fold(0.0, |sum, x| sum + x)
}

impl Contents {
    /// What is in a document. What is none of a workspace is passed over: its import refuses it.
    pub(super) fn of(document: &Value) -> Self {
        let mut contents = Self::default();
        let observations = list(document, "observations").iter();
        let observations = observations.map(|o| (text(o, "name"), o));
        let observations: HashMap<&str, &Value> = observations.collect();
        for channel in list(document, "channels") {
            let name = text(channel, "name");
            let observed = observations.get(name);
            let samples = list(channel, "samples");
            for sample in samples {
                contents.note(name, sample);
            }
            let sample = |sample: &Value| Sample {
                name: text(sample, "name").to_owned(),
                nominal: sum(list(sample, "data")),
                modifiers: list(sample, "modifiers").len(),
            };
            contents.channels.push(Channel {
                name: name.to_owned(),
                bins: samples.first().map_or(0, |s| list(s, "data").len()),
                observed: observed.map_or(0.0, |o| sum(list(o, "data"))),
                samples: samples.iter().map(sample).collect(),
            });
        }
        let measurements = list(document, "measurements").iter();
        let measurements = measurements.map(|m| text(m, "name").to_owned());
        contents.measurements = measurements.collect();
        contents
    }

    /// Notes the modifiers of a sample of a channel.
    fn note(&mut self, channel: &str, sample: &Value) {
        let mut seen = BTreeSet::new();
        for modifier in list(sample, "modifiers") {
            let name = text(modifier, "name");
            let known = self.modifiers.entry(name.to_owned()).or_default();
            known.types.insert(text(modifier, "type").to_owned());
            known.channels.insert(channel.to_owned());
            known.samples += usize::from(seen.insert(name));
        }
    }

    /// Number of bins of all channels.
    pub(crate) fn bins(&self) -> usize {
        self.channels.iter().map(|channel| channel.bins).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn modifiers_are_found_by_name_wherever_they_are() {
        let normsys = json!({"name": "jes", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}});
        let histosys = json!({"name": "jes", "type": "histosys", "data": {}});
        let contents = Contents::of(&json!({
            "channels": [
                {"name": "SR", "samples": [
                    {"name": "top", "data": [1.5, 2], "modifiers": [normsys, histosys]},
                    {"name": "signal", "data": [1, 1], "modifiers": [
                        {"name": "mu", "type": "normfactor", "data": null}]}]},
                {"name": "CR", "samples": [{"name": "top", "data": [9], "modifiers": [normsys]}]}
            ],
            "observations": [{"name": "CR", "data": [8]}, {"name": "SR", "data": [3, 4]}],
            "measurements": [{"name": "main"}]
        }));
        let jes = &contents.modifiers["jes"];
        assert_eq!(jes.types, ["histosys", "normsys"].map(str::to_owned).into());
        assert_eq!((jes.samples, jes.channels.len()), (2, 2));
        assert_eq!(contents.bins(), 3);
        let [sr, cr] = &contents.channels[..] else {
            panic!("{contents:?}");
        };
        assert_eq!(
            (sr.observed, sr.samples[0].nominal, cr.observed),
            (7.0, 3.5, 8.0)
        );
        assert_eq!(contents.measurements, ["main"]);
        assert_eq!(Contents::of(&json!([])), Contents::default());
    }
}
