//! Statistics in f64: numbers in, numbers out, no network in sight.
//!
//! Event weights may be negative; each item says what it makes of them.

mod auc;
mod calibration;
mod chi2;
mod ensemble_histogram;
mod recalibration;
mod weights;

pub use auc::{Auc, auc};
pub use calibration::{CalibrationPoint, calibration, shared_calibration};
pub use chi2::{Chi2, chi2, sensitivity};
pub use ensemble_histogram::{EnsembleHistogram, Histogram};
pub use recalibration::Recalibration;
pub use weights::WeightSummary;
