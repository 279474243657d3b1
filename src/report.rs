//! The report of a run: figures, tables, verdict, one page.
//!
//! [`plot`](crate::plot) and [`page`] are pure drawing: plain structs in, SVG, PNG and HTML
//! out. The rest turns metrics into them.

pub(crate) mod csv;
pub(crate) mod heights;
pub(crate) mod hepdata;
pub(crate) mod page;

mod build;
mod comparison;
mod conclusions;
mod end;
mod figures;
mod interpolation;
pub(crate) mod latex;
mod matrix;
mod names;
pub(crate) mod numbers;
mod plots;
mod ranking;

pub use build::read_metrics;
pub(crate) use build::{read_figure_data, unfinished, write};
pub(crate) use conclusions::verdict;
pub(crate) use end::EnsembleEnd;
pub use matrix::EnsembleSummary;
pub(crate) use matrix::write_matrix;
pub(crate) use plots::{experiment_label, save, save_figure};
pub use ranking::Score;
pub(crate) use ranking::best;
