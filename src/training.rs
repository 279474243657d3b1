//! Which members there are, what each sees, and who trains them.
//!
//! The result of a member is a function of (data, config, seed, member) and of
//! nothing else: not of the number of members, the stack it was trained in, the
//! ensembles beside it, the threads, the executor, or a crash in between.

mod batches;
mod ledger;
mod local;
mod memory;
mod sample;
mod split;
mod stack;
mod store;
mod stream;
mod streams;
mod task;

pub use batches::steps_per_epoch;
pub(crate) use ledger::{Interrupt, SlotReport};
pub use ledger::{Ledger, List, Observer, Unit};
pub(crate) use local::check_folds;
pub use local::train_local;
pub(crate) use memory::{MemoryModel, stack_size};
pub use sample::{ClassRows, Inputs, TrainingSample};
pub(crate) use split::Fold;
pub use split::SplitSettings;
pub use store::{Checkpoint, FeatureScaling, Member, Outcome};
pub(crate) use store::{History, MemberFile};
pub(crate) use stream::is_streamed;
pub(crate) use streams::{Streams, ensemble_word};
pub(crate) use task::{ClassSource, StreamSource};
pub use task::{Resources, Task, TrainingSettings};
