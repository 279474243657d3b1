//! Sideband: deep ensembles for backgrounds and likelihood ratios in particle
//! physics.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]

pub mod ensemble;
pub mod run;
