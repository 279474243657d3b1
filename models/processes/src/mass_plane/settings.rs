//! How the mass plane is fitted.

use super::error::PlaneError;
use super::grid::PlaneGrid;
use crate::gaussian_process::{Amplitude, FitSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sideband_numerics::minimise::MinimiseSettings;

/// Settings of the fit; the defaults are the paper's where it states them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlaneSettings {
    /// Fit the variance of the process too, between 1e-3 and 1e3 times that of
    /// the counts; otherwise it is that of the counts (c = 1, paper).
    pub fit_amplitude: bool,
    /// Average over the errors of the length scales (and of the amplitude, if it is
    /// fitted) instead of trusting the best ones (paper). At 10^4 events the pulls
    /// of the hole in toys go from a width of 1.2 to one of 1.05.
    pub average_kernel: bool,
    /// Bounds of both length scales in GeV; without them, from the width of a bin
    /// to ten times the width of the plane.
    pub length_scales: Option<[f64; 2]>,
    /// Starts of the maximisation.
    pub starts: usize,
    /// Where the variance of a bin comes from.
    pub noise: Noise,
}

/// Where the variance of a bin comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// From its observed count (paper). Bins that fluctuated down weigh more, so
    /// that the plane comes out low by about one event a bin.
    #[default]
    Observed,
    /// From the process's own mean, in rounds until that stays.
    Predicted,
}

/// Bounds of the amplitude, where it is fitted.
const AMPLITUDE: [f64; 2] = [1e-3, 1e3];
/// Largest length scale, in widths of the plane: the plane is straight by then.
const LONGEST: f64 = 10.0;
/// Starts lie between these, in widths of the plane.
const STARTS: [f64; 2] = [0.1, 2.0];
/// Rounding of the likelihood of a plane is about 1e-11, which leaves a gradient
/// near 1e-5; 1e-4 is 1e-9 in log p.
const GRADIENT: f64 = 1e-4;

impl Default for PlaneSettings {
    fn default() -> Self {
        Self {
            fit_amplitude: false,
            average_kernel: false,
            length_scales: None,
            starts: 5,
            noise: Noise::Observed,
        }
    }
}

impl PlaneSettings {
    pub(super) fn process(&self, grid: &PlaneGrid) -> Result<FitSettings, PlaneError> {
        if self.starts == 0 {
            return Err(PlaneError::Setting {
                name: "starts",
                value: 0.0,
                expected: "at least 1",
            });
        }
        let bounds: Vec<[f64; 2]> = match self.length_scales {
            Some(bounds) => vec![bounds; 2],
            None => grid
                .widths()
                .map(|[bin, plane]| [bin, LONGEST * plane])
                .to_vec(),
        };
        let within = grid
            .widths()
            .iter()
            .zip(&bounds)
            .map(|([_, plane], [low, high])| STARTS.map(|s| (s * plane).max(*low).min(*high)))
            .collect();
        Ok(FitSettings {
            amplitude: if self.fit_amplitude {
                Amplitude::Fitted(AMPLITUDE)
            } else {
                Amplitude::Fixed(1.0)
            },
            length_scales: bounds,
            starts: self.starts,
            start_within: Some(within),
            minimiser: MinimiseSettings {
                gradient_tolerance: GRADIENT,
                ..MinimiseSettings::default()
            },
        })
    }
}
