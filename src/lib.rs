//! Sideband: deep ensembles for backgrounds and likelihood ratios in particle
//! physics.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp, clippy::panic))]

pub mod background;
pub mod cli;
pub mod config;
pub mod data;
pub mod ensemble;
pub mod executor;
pub mod inference;
pub mod measurement;
pub mod report;
pub mod run;
pub mod stats;
