//! Member files: one safetensors file a member, with everything needed to apply
//! it. A file is written once, by rename, and never changes.
//!
//! Tensors are the network's parameters and running statistics by name; the
//! header's metadata has one entry, `sideband`, a JSON text ([`MemberFile`]).
//! The text holds the SHA-256 of all of it, so that a damaged file is found.

use super::tensors;
use crate::error::{Error, Kind, OnFile, Result};
use crate::files::formats::MEMBER;
use crate::files::{atomic, regular};
use crate::settings::words;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Deserializer, Serialize};
use sideband_networks::{InputScaling, Layout, Network, NetworkConfig, Objective, Row};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::Path;

/// Largest member file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// The file is not an intact member file.
pub(super) fn corrupt<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |reason| {
        Error::data(format!(
            "{}: not an intact member file: {reason}; delete it and run again to train the \
             member anew",
            path.display()
        ))
    }
}

/// A member whose file or folder is gone can be trained anew.
pub(super) fn anew(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => {
            error.map(|text| text + "; run the configuration again to train the member anew")
        }
        _ => error,
    }
}

/// How a member's training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// No improvement for as long as the patience says.
    Converged,
    /// The largest number of epochs was reached.
    EpochLimit,
    /// A loss was not finite.
    Diverged {
        /// After how many epochs.
        epoch: usize,
    },
    /// The loss fell below its bound: negative weights dominate somewhere.
    Unbounded {
        /// After how many epochs.
        epoch: usize,
    },
}

impl Outcome {
    /// Whether the member can be used.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Converged | Self::EpochLimit)
    }

    pub(super) fn is_worth_retrying(self) -> bool {
        matches!(self, Self::Diverged { .. })
    }
}

/// Losses of each epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Mean of the batch losses, with the member's bootstrap weights.
    #[serde(deserialize_with = "losses")]
    pub training: Vec<f64>,
    /// Loss on the validation fold, with nominal weights.
    #[serde(deserialize_with = "losses")]
    pub validation: Vec<f64>,
    /// Epoch (from 0) whose parameters were kept.
    pub best_epoch: usize,
}

/// In files of earlier programs, a loss that is not finite is null.
fn losses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let list = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// The inputs of a network: expressions over columns, and their standardisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureScaling {
    /// Expression of each input.
    pub expressions: Vec<String>,
    /// Derived columns that the expressions may use.
    pub definitions: Vec<(String, String)>,
    /// Subtracted from each input.
    pub mean: Vec<f64>,
    /// Divides each input after that.
    pub scale: Vec<f64>,
}

impl FeatureScaling {
    /// Whether networks see the same: definitions that no input uses may differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.expressions == other.expressions
            && self.mean == other.mean
            && self.scale == other.scale
            && self.used() == other.used()
    }

    /// The definitions that the inputs use, in the order of their names.
    fn used(&self) -> BTreeMap<&str, &str> {
        let mut used = BTreeMap::new();
        let mut open: Vec<&str> = self.expressions.iter().map(String::as_str).collect();
        while let Some(text) = open.pop() {
            let words = words(text);
            for (name, text) in &self.definitions {
                // a name that is no word may be anywhere
                let is_used = words.contains(name) || self::words(name).len() != 1;
                if is_used && used.insert(name.as_str(), text.as_str()).is_none() {
                    open.push(text);
                }
            }
        }
        used
    }

    /// What the networks do with inputs as they are read.
    #[must_use]
    pub fn inputs(&self) -> InputScaling {
        InputScaling {
            shift: self.mean.iter().map(|m| *m as f32).collect(),
            factor: self.scale.iter().map(|s| (1.0 / s) as f32).collect(),
        }
    }
}

/// What a member file says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberFile {
    /// Version of the format.
    pub format: u32,
    /// Seed of the ensemble.
    pub seed: u64,
    /// Name of the ensemble.
    pub ensemble: String,
    /// Number of the member, from 0.
    pub member: u32,
    /// Number of attempts before this one.
    pub attempt: u32,
    /// How the training ended.
    pub outcome: Outcome,
    /// Loss that was minimised.
    pub objective: Objective,
    /// Shape of the network.
    pub network: NetworkConfig,
    /// Inputs and their standardisation.
    pub features: FeatureScaling,
    /// Factor that brings the reweighted source to the target's yield in the
    /// training region: the weight is `normalisation * exp(output)`.
    pub normalisation: f64,
    /// Losses of each epoch.
    pub history: History,
    /// SHA-256 of the parameters and running statistics, little-endian f32, and
    /// then of this text with an empty digest.
    pub sha256: String,
}

/// A trained member.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// What is known of it.
    pub about: MemberFile,
    /// Its parameters.
    pub row: Row,
}

impl Member {
    /// A member of the present format, with the digest of its parameters.
    #[must_use]
    pub fn new(mut about: MemberFile, row: Row) -> Self {
        about.format = MEMBER.written;
        about.sha256 = digest(&about, &row);
        Self { about, row }
    }

    /// Writes the file, by rename.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.stage(path)?.commit().on(path).map_err(anew)
    }

    /// Writes the file under a temporary name, from which it has to be brought to
    /// its place.
    pub fn stage(&self, path: &Path) -> Result<atomic::Staged> {
        let network = Network::new(self.about.network.clone());
        let list: Vec<(&str, Vec<usize>, &[f32])> = parts(&network, &self.row)
            .into_iter()
            .flat_map(|(layout, values)| {
                layout.iter().map(move |(spec, range)| {
                    (spec.name.as_str(), spec.shape.to_vec(), &values[range])
                })
            })
            .collect();
        let bytes = tensors::to_bytes(&list, &self.about).map_err(corrupt(path))?;
        atomic::Staged::write(path, &bytes).on(path).map_err(anew)
    }

    /// Reads a file and checks all of it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = match regular::read(path, MAX_BYTES) {
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => return Err(corrupt(path)(e)),
            other => other.on(path).map_err(anew)?,
        };
        parse(&bytes).map_err(corrupt(path))
    }
}

fn parse(bytes: &[u8]) -> Result<Member, String> {
    let about: MemberFile = tensors::about(bytes)?;
    let known = MEMBER.check(about.format);
    known.map_err(|reason| format!("it {reason}"))?;
    let found = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let weights = about.network.checked_size();
    if weights.ok_or("its network is impossible")? > 4 * bytes.len() {
        return Err("its network is larger than the file".to_owned());
    }
    let inputs = about.network.columns();
    if [
        about.features.expressions.len(),
        about.features.mean.len(),
        about.features.scale.len(),
    ]
    .iter()
    .any(|n| *n != inputs)
    {
        return Err("its features do not match its network".to_owned());
    }
    let network = Network::new(about.network.clone());
    let read = |layout: &Layout| -> Result<Vec<f32>, String> {
        let mut row = Vec::with_capacity(layout.len());
        for (spec, _) in layout.iter() {
            let (shape, values) = tensors::values(&found, &spec.name)?;
            if shape != spec.shape {
                return Err(format!("`{}` has another shape", spec.name));
            }
            row.extend(values);
        }
        Ok(row)
    };
    let row = Row {
        parameters: read(network.parameters())?,
        statistics: read(network.statistics())?,
    };
    if digest(&about, &row) != about.sha256 {
        return Err("it is not what was written".to_owned());
    }
    Ok(Member { about, row })
}

fn parts<'a>(network: &'a Network, row: &'a Row) -> [(&'a Layout, &'a [f32]); 2] {
    [
        (network.parameters(), &row.parameters),
        (network.statistics(), &row.statistics),
    ]
}

fn digest(about: &MemberFile, row: &Row) -> String {
    let text = MemberFile {
        sha256: String::new(),
        ..about.clone()
    };
    tensors::digest(&[&row.parameters, &row.statistics], &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_networks::{Activation, MlpConfig};
    use sideband_numerics::random::Key;

    fn member() -> Member {
        let network = MlpConfig {
            inputs: 2,
            hidden: vec![3],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: true,
        };
        let model = Network::new(network.clone());
        let row = Row {
            parameters: model.initial_parameters(Key::from_seed(1)),
            statistics: vec![0.5; model.statistics().len()],
        };
        let about = MemberFile {
            format: 0,
            seed: 1,
            ensemble: "test".to_owned(),
            member: 3,
            attempt: 0,
            outcome: Outcome::Converged,
            objective: Objective::Exponential,
            network: network.into(),
            features: FeatureScaling {
                expressions: vec!["a".to_owned(), "log(b)".to_owned()],
                definitions: Vec::new(),
                mean: vec![0.1, 1.0 / 3.0],
                scale: vec![1.0, 2.0],
            },
            normalisation: 0.123_456_789_012_345,
            history: History::default(),
            sha256: String::new(),
        };
        Member::new(about, row)
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_is_the_same_every_time() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let member = member();
        member.write(&a).unwrap();
        member.write(&b).unwrap();
        assert_eq!(Member::read(&a).unwrap(), member);
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    }

    #[test]
    fn a_diverged_member_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let mut member = member();
        member.about.outcome = Outcome::Diverged { epoch: 2 };
        member.about.history.validation = vec![1.5, f64::NAN];
        member.about.history.training = vec![1.5, f64::INFINITY];
        let member = Member::new(member.about, member.row);
        member.write(&path).unwrap();
        let read = Member::read(&path).unwrap();
        assert_eq!(read.about.outcome, Outcome::Diverged { epoch: 2 });
        assert_eq!(read.about.history.validation[0], 1.5);
        assert!(read.about.history.validation[1].is_nan());
        assert_eq!(read.about.history.training[1], f64::INFINITY);
    }

    #[test]
    fn a_damaged_file_is_found_wherever_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        member().write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for cut in (0..good.len()).step_by(37) {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(Member::read(&path).is_err(), "truncated at {cut}");
        }
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            if let Ok(read) = Member::read(&path) {
                // the same number in other digits, or white space
                assert_eq!(read, member(), "byte {place}");
            }
        }
    }
}
