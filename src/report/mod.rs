//! The report of a run: figures, tables, verdict, one page.
//!
//! [`plot`](crate::plot) and [`page`] are pure drawing: plain structs in, SVG, PNG and HTML
//! out. The rest turns metrics into them.

pub mod page;

mod build;
mod comparison;
mod figures;
mod interpolation;
mod losses;
mod matrix;
mod names;
pub(crate) mod numbers;
mod verdict;

pub use build::{ReportError, read_figure_data, read_metrics, settings_text, write};
pub use matrix::{EnsembleEnd, EnsembleSummary, RegionSummary, write_matrix};
pub use verdict::verdict;
