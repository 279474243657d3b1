//! Synthetic data sets by hemisphere mixing, and the uncertainties of a background model that
//! come from them.
//!
//! ```text
//! Config -> Material (source and target with all jets) -> Library, pairs of neighbours
//!        -> sets in files -> ensembles of the data and of every set (trained like any others)
//!        -> histograms of the models -> variance, bias, spurious signal -> result and page
//! ```

mod hemispheres;
mod likeness;
mod sets;
mod tree;

mod library;
mod summary;

mod read;

mod pairs;

mod mixer;

mod make;

mod result;
mod signal;
mod uncertainties;

mod figures;

mod page;
mod variations;

mod pipeline;

#[cfg(test)]
mod tests;

pub(crate) use page::{redraw as redraw_mixing, verdict as mixing_verdict};
pub(crate) use pipeline::{Synthesised, describe as describe_mixing, mix, synthesise};
pub use result::MixingResult;
pub(crate) use result::read_result as read_mixing;
pub use tree::Tree;
pub(crate) use variations::FinishedMixing;
