//! Statistics in f64: numbers in, numbers out, no network in sight.
//!
//! Event weights may be negative; each item says what it makes of them.

mod auc;
mod calibration;
mod chi2;
mod histogram;
mod moments;
mod ratio_loss;

pub(crate) use auc::{Auc, auc};
pub(crate) use calibration::{CalibrationPoint, Recalibration, calibration, shared_calibration};
pub(crate) use chi2::{Chi2, chi2, sensitivity};
pub(crate) use histogram::{EnsembleHistogram, Histogram, WeightSummary};
pub(crate) use moments::{median, moments, quantile};
pub(crate) use ratio_loss::{class_loss, cross_entropy};
