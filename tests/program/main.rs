//! The program and its library from the outside, one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod bad_input;
mod cli;
mod coverage;
mod density;
mod exp_loss;
mod faults;
mod flow_members;
mod frozen;
mod gaussian_process;
mod hostile;
mod jets;
mod known_density;
mod known_truth;
mod limit;
mod mass_plane;
mod measure;
mod mixing;
mod mixing_truth;
mod paths;
mod root_files;
mod rules;
mod run_samples;
mod scale;
mod start;
mod stream;
mod workspaces;
