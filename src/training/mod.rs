//! Which members there are, what each sees, and who trains them.
//!
//! The result of a member is a function of (data, config, seed, member) and of
//! nothing else: not of the number of members, the block it was trained in, the
//! ensembles beside it, the threads, the executor, or a crash in between.

mod batches;
mod block;
mod checkpoint;
mod ledger;
mod local;
mod memory;
mod sample;
mod settings;
mod split;
mod store;
mod stream;
mod streams;
mod tensors;

pub use batches::steps_per_epoch;
pub use checkpoint::{Checkpoint, CheckpointFile};
pub use ledger::{Interrupt, Ledger, List, Observer, SlotReport, Unit};
pub use local::{Resources, Task, TrainError, check_folds, train_local};
pub use memory::{MemoryModel, block_size};
pub use sample::{ClassRows, Inputs, TrainingSample};
pub use settings::TrainingSettings;
pub use split::{Fold, SplitSettings};
pub use store::{FeatureScaling, History, Member, MemberFile, Outcome, StoreError};
pub use stream::{ClassSource, StreamSource, is_streamed};
pub use streams::{Streams, ensemble_word};
