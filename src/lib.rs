//! Sideband: deep ensembles for backgrounds and likelihood ratios in particle
//! physics.
// pages for those who work on it link to what is private (`--document-private-items`)
#![allow(rustdoc::private_intra_doc_links)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

mod batch;
pub mod cli;
mod closure;
pub mod error;
pub mod events;
pub mod files;
pub mod measurement;
mod plot;
pub mod report;
pub mod results;
pub mod rundir;
pub mod settings;
pub mod toys;
pub mod training;
pub mod truth;
mod workflow;
