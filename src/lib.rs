//! Sideband: deep ensembles for backgrounds and likelihood ratios in particle
//! physics.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod batch;
pub mod cli;
pub mod closure;
pub mod events;
pub mod files;
pub mod measurement;
pub mod plot;
pub mod report;
pub mod results;
pub mod rundir;
pub mod settings;
pub mod toys;
pub mod training;
pub mod truth;
pub mod workflow;
