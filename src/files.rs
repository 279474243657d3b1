//! Files that are whole or not there, and nothing that is no file: the leaf that writes.

pub(crate) mod atomic;
pub(crate) mod formats;
mod json;
pub(crate) mod regular;
mod sink;
pub(crate) mod terminal;
mod worker_id;

pub use json::{from_text, to_text};
pub(crate) use json::{not_finite, to_value};
pub(crate) use regular::output;
pub(crate) use sink::Sink;
pub(crate) use worker_id::{Liveness, ServerClock, WorkerId, is_gone, lock, touch};
