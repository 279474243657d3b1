//! What the crate promises, on every backend that is compiled in and that this machine
//! offers.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod allocations;
mod flow;
mod mlp;
#[path = "support/nflows.rs"]
mod nflows;
mod stack;
