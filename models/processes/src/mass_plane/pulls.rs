//! How far prediction and observation are apart, in errors.

use super::error::PlaneError;
use super::fit::PlaneFit;

/// Pulls of every bin, and what they look like inside and outside of the hole.
///
/// Inside, where the process has seen nothing, `full` should be unit normal.
/// Outside, the prediction has followed the very counts it is compared with, so
/// that both pulls are narrower than one.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulls {
    /// (prediction - observed) / sqrt(variance of the observed count), which is
    /// sqrt(observed) for events of weight one: the published pulls. None where
    /// that variance is zero.
    pub counting: Vec<Option<f64>>,
    /// (prediction - observed) / sqrt(GP variance + variance expected of the
    /// count). None where both are zero.
    pub full: Vec<Option<f64>>,
    /// `counting` in the bins that were left out.
    pub counting_inside: Option<PullSummary>,
    /// `counting` in the bins that were fitted.
    pub counting_outside: Option<PullSummary>,
    /// `full` in the bins that were left out.
    pub full_inside: Option<PullSummary>,
    /// `full` in the bins that were fitted.
    pub full_outside: Option<PullSummary>,
}

/// Mean and width of pulls; there is none of fewer than two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PullSummary {
    /// Bins with a pull.
    pub bins: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (division by n - 1).
    pub width: f64,
}

impl PullSummary {
    fn new(pulls: impl Iterator<Item = f64> + Clone) -> Option<Self> {
        let bins = pulls.clone().count();
        if bins < 2 {
            return None;
        }
        let mean = pulls.clone().sum::<f64>() / bins as f64;
        let square: f64 = pulls.map(|p| (p - mean).powi(2)).sum();
        Some(Self {
            bins,
            mean,
            width: (square / (bins - 1) as f64).sqrt(),
        })
    }
}

impl Pulls {
    pub(super) fn new(
        fit: &PlaneFit,
        counts: &[f64],
        variances: &[f64],
    ) -> Result<Self, PlaneError> {
        let bins = fit.mean().len();
        for (what, values) in [("counts", counts), ("variances", variances)] {
            if values.len() != bins {
                return Err(PlaneError::Length {
                    what,
                    found: values.len(),
                    expected: bins,
                });
            }
        }
        let pull = |bin: usize, variance: f64| {
            (variance > 0.0).then(|| (fit.mean()[bin] - counts[bin]) / variance.sqrt())
        };
        let counting: Vec<_> = (0..bins).map(|b| pull(b, variances[b])).collect();
        let full: Vec<_> = (0..bins)
            .map(|b| {
                let expected = fit.event_weight() * fit.mean()[b];
                pull(b, fit.posterior().variance(b) + expected)
            })
            .collect();
        let summary = |pulls: &[Option<f64>], hidden: bool| {
            let side = pulls.iter().zip(fit.hidden());
            PullSummary::new(side.filter(|(_, h)| **h == hidden).filter_map(|(p, _)| *p))
        };
        Ok(Self {
            counting_inside: summary(&counting, true),
            counting_outside: summary(&counting, false),
            full_inside: summary(&full, true),
            full_outside: summary(&full, false),
            counting,
            full,
        })
    }
}
