//! Checkpoints: a member in the middle of its training, so that a crash costs
//! the minutes since the last one and not the member.
//!
//! One safetensors file a member in training, written by rename and removed when
//! the member is finished. The file before it is kept as well: if the newest is
//! lost or damaged, the member goes on from there, and if both are, from its
//! start. The numbers are the same in all three cases.

use super::store::{FeatureScaling, History, corrupt};
use super::tensors;
use crate::error::{Error, OnFile, Result};
use crate::files::formats::CHECKPOINT;
use crate::files::{atomic, regular};
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};
use sideband_networks::{Clock, MemberState, Network, NetworkConfig, Row};
use std::path::{Path, PathBuf};

/// Largest checkpoint that is read.
const MAX_BYTES: u64 = 1 << 32;

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointFile {
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
    /// Losses of each epoch that is over.
    pub history: History,
    /// Sum of batch losses in the present epoch.
    pub loss: f32,
    /// The optimizer's clock: also the place in the order of batches.
    pub clock: Clock,
    /// Shape of the network.
    pub network: NetworkConfig,
    /// Inputs and their standardisation.
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

fn parts(state: &MemberState) -> [(&'static str, &[f32]); 6] {
    [
        ("parameters", &state.row.parameters),
        ("statistics", &state.row.statistics),
        ("best_parameters", &state.best.parameters),
        ("best_statistics", &state.best.statistics),
        ("first_moment", &state.first_moment),
        ("second_moment", &state.second_moment),
    ]
}

fn digest(about: &CheckpointFile, state: &MemberState) -> String {
    let text = CheckpointFile {
        sha256: String::new(),
        ..about.clone()
    };
    tensors::digest(&parts(state).map(|(_, values)| values), &text)
}

/// The checkpoint before the newest.
fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous")
}

impl Checkpoint {
    /// A checkpoint of the present format, with the digest of its tensors.
    #[must_use]
    pub fn new(mut about: CheckpointFile, state: MemberState) -> Self {
        about.format = CHECKPOINT.written;
        about.sha256 = digest(&about, &state);
        Self { about, state }
    }

    /// Writes the newest checkpoint of a member; the one before stays beside it.
    ///
    /// # Errors
    /// The file system refuses; the older ones are kept.
    pub fn write(&self, path: &Path) -> Result<()> {
        let list: Vec<(&str, Vec<usize>, &[f32])> = parts(&self.state)
            .into_iter()
            .map(|(name, values)| (name, vec![values.len()], values))
            .collect();
        let bytes = tensors::to_bytes(&list, &self.about).map_err(corrupt(path))?;
        let failed = |error| Error::io(path, &error);
        atomic::write_with(path, failed, |file| {
            std::io::Write::write_all(file, &bytes).on(path)?;
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
    #[must_use]
    pub fn newest(path: &Path, fits: impl Fn(&CheckpointFile) -> bool) -> Option<Self> {
        [path.to_owned(), previous(path)]
            .iter()
            .filter_map(|path| read(path).ok())
            .find(|checkpoint| fits(&checkpoint.about))
    }

    /// Removes a member's checkpoints.
    pub fn remove(path: &Path) {
        // there need not be any
        let _ = std::fs::remove_file(path);
        let _ = std::fs::remove_file(previous(path));
    }
}

fn read(path: &Path) -> Result<Checkpoint, String> {
    let bytes = regular::read(path, MAX_BYTES).map_err(|e| e.to_string())?;
    let about: CheckpointFile = tensors::about(&bytes)?;
    CHECKPOINT.check(about.format)?;
    let found = SafeTensors::deserialize(&bytes).map_err(|e| e.to_string())?;
    let values = |name: &str| tensors::values(&found, name).map(|(_, values)| values);
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
    if digest(&about, &state) != about.sha256 {
        return Err("it is not what was written".to_owned());
    }
    Ok(Checkpoint { about, state })
}

impl Checkpoint {
    /// Whether it is of this network and these inputs, with tensors of their
    /// sizes.
    pub(super) fn suits(&self, network: &Network, features: &FeatureScaling) -> bool {
        let (p, s) = (network.parameters().len(), network.statistics().len());
        let sizes = [p, s, p, s, p, p];
        self.about.network == *network.config()
            && self.about.features.is_same(features)
            && parts(&self.state)
                .iter()
                .zip(sizes)
                .all(|((_, values), size)| values.len() == size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sideband_networks::{Activation, MlpConfig};

    fn checkpoint(epochs: usize) -> Checkpoint {
        let network = MlpConfig {
            inputs: 2,
            hidden: vec![3],
            activation: Activation::Relu,
            dropout: 0.0,
            batch_norm: true,
        };
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
            network: network.into(),
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
