//! The analytic interference model: a measurement whose truth is known.
//!
//! Two complex amplitudes in six observables, signal and background, with a
//! relative phase that is linear in the observables, and an incoherent background
//! that keeps the density from vanishing anywhere:
//!
//! ```text
//! nu p(x | mu) = |sqrt(mu) A_S(x) + A_B(x)|^2 + B_incoherent(x)
//!              = (mu - sqrt(mu)) S(x) + sqrt(mu) SBI(x) + (1 - sqrt(mu)) B(x)
//! ```
//!
//! `|A_S|^2`, `|A_B|^2` and the incoherent background are normal densities times
//! yields, so that the interference is a normal density times a cosine: integrals,
//! densities, ratios, responses to the nuisance parameters and sampling are exact.
//! What networks estimate from the samples, what a fit makes of it and how often
//! its intervals cover can be compared with the truth.
//!
//! It has the structure of off-shell Higgs boson production (the ATLAS
//! Collaboration, arXiv:2412.01600), not its numbers.

mod config;
mod experiment;
mod gaussian;
mod model;
mod sample;
#[cfg(test)]
mod tests;
mod world;

pub use config::InterferenceConfig;
pub(crate) use config::{Lobe, UpDown};
pub use experiment::ExactMeasurement;
pub use gaussian::{DIMENSIONS, Point};
pub(crate) use model::Nuisance;
pub use model::{Interference, Side, TrueProcess, Truth};
pub use sample::Count;
pub(crate) use world::{World, open};
