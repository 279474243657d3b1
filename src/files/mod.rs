//! Files that are whole or not there, and nothing that is no file: the leaf that writes.

pub mod atomic;
mod json;
pub mod regular;
mod sink;
pub mod terminal;
mod worker_id;

pub use json::{from_text, not_finite, to_text, to_value};
pub use sink::{SinkError, output, run_around};
pub use worker_id::{Liveness, WorkerId};
pub(crate) use worker_id::{ServerClock, is_gone, lock, touch};
