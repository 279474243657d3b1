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
pub use checkpoint::Checkpoint;
pub(crate) use ledger::{Interrupt, SlotReport};
pub use ledger::{Ledger, List, Observer, Unit};
pub(crate) use local::check_folds;
pub use local::{Resources, Task, train_local};
pub(crate) use memory::{MemoryModel, block_size};
pub use sample::{ClassRows, Inputs, TrainingSample};
pub use settings::TrainingSettings;
pub(crate) use split::Fold;
pub use split::SplitSettings;
pub use store::{FeatureScaling, Member, Outcome};
pub(crate) use store::{History, MemberFile};
pub(crate) use stream::{ClassSource, StreamSource, is_streamed};
pub(crate) use streams::{Streams, ensemble_word};
