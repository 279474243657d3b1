//! Member files and checkpoints: a safetensors file each, written by rename.
//!
//! Tensors are in f32, and the header's metadata has one entry, `sideband`, a JSON text
//! ([`MemberFile`], [`CheckpointFile`]). The text holds the SHA-256 of all of it, so that
//! a damaged file is found.
//!
//! A member file has everything needed to apply the member, and never changes. A
//! checkpoint is a member in the middle of its training, so that a crash costs the
//! minutes since the last one and not the member; it is removed when the member is
//! finished. The one before it is kept as well: if the newest is lost or damaged, the
//! member goes on from there, and if both are, from its start. The numbers are the same
//! in all three cases.

use crate::error::{Error, Kind, OnFile, Result};
use crate::files::formats::{CHECKPOINT, MEMBER};
use crate::files::{atomic, from_text, regular, to_text};
use crate::settings::words;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use sideband_networks::{
    Clock, InputScaling, Layout, MemberState, Network, NetworkConfig, Objective, Row,
};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Largest member file that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Largest checkpoint that is read.
const MAX_CHECKPOINT_BYTES: u64 = 1 << 32;
/// Key of the text among the header's metadata.
const METADATA_KEY: &str = "sideband";
const ALTERED: &str = "it is not what was written";

/// The file is not an intact member file.
fn corrupt<E: Display>(path: &Path) -> impl Fn(E) -> Error {
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
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Converged | Self::EpochLimit)
    }

    pub(super) fn is_worth_retrying(self) -> bool {
        matches!(self, Self::Diverged { .. })
    }
}

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
    pub format: u32,
    pub seed: u64,
    pub ensemble: String,
    pub member: u32,
    pub attempt: u32,
    pub outcome: Outcome,
    pub objective: Objective,
    pub network: NetworkConfig,
    pub features: FeatureScaling,
    /// Factor that brings the reweighted source to the target's yield in the
    /// training region: the weight is `normalisation * exp(output)`.
    pub normalisation: f64,
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
        let bytes = to_bytes(&list, &self.about).map_err(corrupt(path))?;
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
    let about: MemberFile = about_of(bytes)?;
    let known = MEMBER.check(about.format);
    known.map_err(|reason| format!("it {reason}"))?;
    let found = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let weights = about.network.checked_size();
    if weights.ok_or("its network is impossible")? > 4 * bytes.len() {
        return Err("its network is larger than the file".to_owned());
    }
    let (inputs, f) = (about.network.columns(), &about.features);
    let lengths = [f.expressions.len(), f.mean.len(), f.scale.len()];
    if lengths.iter().any(|n| *n != inputs) {
        return Err("its features do not match its network".to_owned());
    }
    let network = Network::new(about.network.clone());
    let read = |layout: &Layout| -> Result<Vec<f32>, String> {
        let mut row = Vec::with_capacity(layout.len());
        for (spec, _) in layout.iter() {
            let (shape, values) = tensor(&found, &spec.name)?;
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
        return Err(ALTERED.to_owned());
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
    sha256(&[&row.parameters, &row.statistics], &text)
}

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFile {
    pub format: u32,
    pub seed: u64,
    pub ensemble: String,
    pub member: u32,
    pub attempt: u32,
    pub history: History,
    /// Sum of batch losses in the present epoch.
    pub loss: f32,
    /// The optimizer's clock: also the place in the order of batches.
    pub clock: Clock,
    pub network: NetworkConfig,
    pub features: FeatureScaling,
    /// SHA-256 of the tensors, little-endian f32, and then of this text with an
    /// empty digest.
    pub sha256: String,
}

/// A member in the middle of its training.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Whose it is, and how far it has come.
    pub about: CheckpointFile,
    /// Its tensors.
    pub state: MemberState,
}

fn state_parts(state: &MemberState) -> [(&'static str, &[f32]); 6] {
    [
        ("parameters", &state.row.parameters),
        ("statistics", &state.row.statistics),
        ("best_parameters", &state.best.parameters),
        ("best_statistics", &state.best.statistics),
        ("first_moment", &state.first_moment),
        ("second_moment", &state.second_moment),
    ]
}

fn state_digest(about: &CheckpointFile, state: &MemberState) -> String {
    let text = CheckpointFile {
        sha256: String::new(),
        ..about.clone()
    };
    sha256(&state_parts(state).map(|(_, values)| values), &text)
}

/// The checkpoint before the newest.
fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous")
}

impl Checkpoint {
    /// A checkpoint of the present format, with the digest of its tensors.
    pub fn new(mut about: CheckpointFile, state: MemberState) -> Self {
        about.format = CHECKPOINT.written;
        about.sha256 = state_digest(&about, &state);
        Self { about, state }
    }

    /// Writes the newest checkpoint of a member; the one before stays beside it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let list = state_parts(&self.state);
        let list = list.map(|(name, values)| (name, vec![values.len()], values));
        let bytes = to_bytes(&list, &self.about).map_err(corrupt(path))?;
        let failed = |error| Error::io(path, &error);
        atomic::write_with(path, failed, |file| {
            io::Write::write_all(file, &bytes).on(path)?;
            file.sync_all().on(path)?;
            // last, so that a full disk costs none of the older ones. A hard link
            // would do without the moment in which there is no newest one, but not
            // every shared file system has them
            if path.exists() {
                let _ = std::fs::rename(path, previous(path));
            }
            Ok(())
        })
    }

    /// The newest intact checkpoint for which `fits` is true.
    pub fn newest(path: &Path, fits: impl Fn(&CheckpointFile) -> bool) -> Option<Self> {
        [path.to_owned(), previous(path)]
            .iter()
            .filter_map(|path| read_checkpoint(path).ok())
            .find(|checkpoint| fits(&checkpoint.about))
    }

    /// Removes a member's checkpoints.
    pub fn remove(path: &Path) {
        // there need not be any
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(previous(path));
    }

    /// Whether it is of this network and these inputs, with tensors of their
    /// sizes.
    pub(super) fn suits(&self, network: &Network, features: &FeatureScaling) -> bool {
        let (p, s) = (network.parameters().len(), network.statistics().len());
        let sizes = [p, s, p, s, p, p];
        let lengths = state_parts(&self.state).map(|(_, values)| values.len());
        let is_same = self.about.network == *network.config();
        is_same && self.about.features.is_same(features) && lengths == sizes
    }
}

fn read_checkpoint(path: &Path) -> Result<Checkpoint, String> {
    let bytes = regular::read(path, MAX_CHECKPOINT_BYTES).map_err(|e| e.to_string())?;
    let about: CheckpointFile = about_of(&bytes)?;
    CHECKPOINT.check(about.format)?;
    let found = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
    let values = |name: &str| tensor(&found, name).map(|(_, values)| values);
    let state = MemberState {
        row: Row {
            parameters: values("parameters")?,
            statistics: values("statistics")?,
        },
        best: Row {
            parameters: values("best_parameters")?,
            statistics: values("best_statistics")?,
        },
        first_moment: values("first_moment")?,
        second_moment: values("second_moment")?,
        loss: about.loss,
        clock: about.clock,
    };
    if state_digest(&about, &state) != about.sha256 {
        return Err(ALTERED.to_owned());
    }
    Ok(Checkpoint { about, state })
}

/// The bytes of a file: tensors by name and shape, and what is said about them.
fn to_bytes(
    tensors: &[(&str, Vec<usize>, &[f32])],
    about: &impl Serialize,
) -> Result<Vec<u8>, String> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())?;
    let text = to_text(about, false).map_err(|e| e.to_string())?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
}

/// What is said about the tensors of a file.
fn about_of<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get(METADATA_KEY))
        .ok_or("no `sideband` entry in its header")?;
    from_text(text)
}

/// Shape and values of a tensor.
fn tensor(found: &SafeTensors<'_>, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
    let view = found.tensor(name).map_err(|e| e.to_string())?;
    if view.dtype() != Dtype::F32 {
        return Err(format!("`{name}` is not f32"));
    }
    let values = view.data().chunks_exact(4);
    let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok((view.shape().to_vec(), values.collect()))
}

/// SHA-256 of numbers, little-endian, and of what is said about them, as JSON.
fn sha256(values: &[&[f32]], about: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    for value in values.iter().flat_map(|list| list.iter()) {
        hash.update(value.to_le_bytes());
    }
    hash.update(serde_json::to_string(about).unwrap_or_default());
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_networks::{Activation, MlpConfig};
    use sideband_numerics::random::Key;

    fn network() -> MlpConfig {
        MlpConfig {
            inputs: 2,
            hidden: vec![3],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: true,
        }
    }

    fn member() -> Member {
        let network = network();
        let model = Network::new(network.clone());
        let row = Row {
            parameters: model.initial(Key::from_seed(1)).parameters,
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

    fn checkpoint(epochs: usize) -> Checkpoint {
        let row = |x: f32| Row {
            parameters: vec![x, f32::MIN_POSITIVE, -0.0],
            statistics: vec![x],
        };
        let state = MemberState {
            row: row(0.1),
            best: row(0.2),
            first_moment: vec![1e-30, 3.0, f32::MAX],
            second_moment: vec![0.0, 1.0, 2.0],
            loss: 0.1,
            clock: Clock::default(),
        };
        let about = CheckpointFile {
            format: 0,
            seed: 1,
            ensemble: "test".to_owned(),
            member: 3,
            attempt: 1,
            history: History {
                training: vec![0.1 + 0.2; epochs],
                validation: vec![1.0 / 3.0; epochs],
                best_epoch: 0,
            },
            loss: 0.1,
            clock: Clock::default(),
            network: network().into(),
            features: FeatureScaling::default(),
            sha256: String::new(),
        };
        Checkpoint::new(about, state)
    }

    #[test]
    fn the_newest_intact_checkpoint_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("member_0003.safetensors");
        assert_eq!(Checkpoint::newest(&path, |_| true), None);
        checkpoint(1).write(&path).unwrap();
        checkpoint(2).write(&path).unwrap();
        assert_eq!(Checkpoint::newest(&path, |_| true), Some(checkpoint(2)));
        // truncated: the one before; lost as well: none
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        assert_eq!(Checkpoint::newest(&path, |_| true), Some(checkpoint(1)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Checkpoint::newest(&path, |_| true), Some(checkpoint(1)));
        assert_eq!(Checkpoint::newest(&path, |about| about.member == 4), None);
        Checkpoint::remove(&path);
        assert_eq!(Checkpoint::newest(&path, |_| true), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_damaged_checkpoint_is_never_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        checkpoint(3).write(&path).unwrap();
        let good = std::fs::read(&path).unwrap();
        for place in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[place] ^= 0x10;
            std::fs::write(&path, &bad).unwrap();
            if let Some(read) = Checkpoint::newest(&path, |_| true) {
                // the same number in other digits, or white space
                assert_eq!(read, checkpoint(3), "byte {place}");
            }
        }
    }
}
