//! Likelihoods in closed form, whose fits are known.

mod bounds;
mod descent;
mod gaussian;
mod golden;
mod kinks;
mod likelihoods;
mod profile;
mod w4;

use super::{Fit, FitSettings, Impacts, Scan, ScanSettings, Search, fit, impacts, scan};
use crate::Likelihood;

/// From some starts along the first parameter.
fn searched(points: usize) -> FitSettings {
    FitSettings {
        searches: vec![Search {
            parameter: 0,
            points,
        }],
        ..FitSettings::default()
    }
}

fn best_fit(likelihood: &dyn Likelihood) -> Fit {
    fit(likelihood, &FitSettings::default()).unwrap()
}

/// The scan of the first parameter over a grid.
fn scanned(
    likelihood: &dyn Likelihood,
    settings: &FitSettings,
    best: &Fit,
    grid: Vec<f64>,
) -> Scan {
    let asked = ScanSettings { parameter: 0, grid };
    scan(likelihood, settings, best, &asked).unwrap()
}

fn grid([low, high]: [f64; 2], points: usize) -> Vec<f64> {
    let step = (high - low) / (points - 1) as f64;
    (0..points)
        .map(|i| (low + step * i as f64).min(high))
        .collect()
}

/// Impacts on the first parameter.
fn impacts_on_first(likelihood: &dyn Likelihood, settings: &FitSettings, best: &Fit) -> Impacts {
    let asked = super::ImpactSettings {
        interest: vec![0],
        groups: Vec::new(),
        refit: true,
    };
    impacts(likelihood, settings, best, &asked)
        .unwrap()
        .remove(0)
}
