//! The run directory: the only state of a run.

pub mod atomic;
