//! Which members there are, what each sees, and who trains them.
//!
//! The result of a member is a function of (data, config, seed, member) and of
//! nothing else: not of the number of members, the block it was trained in, the
//! threads, or a crash in between.

mod batches;
mod block;
mod local;
mod sample;
mod schedule;
mod settings;
mod split;
mod store;
mod streams;

pub use local::{Interrupt, Observer, Resources, Task, TrainError, train_local};
pub use sample::{ClassRows, TrainingSample};
pub use schedule::Schedule;
pub use settings::{Normalise, TrainingSettings};
pub use split::{Fold, Split, SplitSettings};
pub use store::{FeatureScaling, History, Member, MemberFile, Outcome, StoreError};
pub use streams::{Streams, ensemble_word};
