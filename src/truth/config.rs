//! What the interference model is made of, and the numbers it ships with.

use super::gaussian::{DIMENSIONS, Point};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

const POSITIVE: &str = "a positive number";
pub(super) const FINITE: &str = "a finite number";

/// The least spread of the angle of the shape response, in radians.
const LEAST_SPREAD: f64 = 0.01;

/// One contribution to the intensity: a normal density times a number of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lobe {
    /// Its integral: expected events, positive.
    pub events: f64,
    /// The mean of each observable.
    pub mean: Point,
    /// The standard deviation of each observable, positive.
    pub width: Point,
}

/// What a systematic variation does at +1 and at -1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpDown {
    /// At +1.
    pub up: f64,
    /// At -1.
    pub down: f64,
}

impl UpDown {
    /// The same with a function applied to both.
    #[must_use]
    pub fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            up: f(self.up),
            down: f(self.down),
        }
    }
}

/// The systematic variation of shape and rate: every event of every process gets
/// the factor `rate (1 + size sin(wave . x + phase))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShapeVariation {
    /// Direction and wave number of the response.
    pub wave: Point,
    /// Its phase, radians.
    pub phase: f64,
    /// Its size at +1 and -1, inside (-1, 1): of opposite signs, as a rule.
    pub size: UpDown,
    /// The factor common to all events, positive.
    pub rate: UpDown,
}

/// The systematic variation of rates alone: a positive factor a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateVariation {
    /// The signal S.
    pub signal: UpDown,
    /// Signal, background and their interference together, SBI.
    pub together: UpDown,
    /// The background B.
    pub background: UpDown,
}

/// The interference model: `|A_S|^2` and `|A_B|^2` normal densities times yields,
/// a relative phase linear in the observables, and an incoherent background.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterferenceConfig {
    /// `|A_S|^2`.
    pub signal: Lobe,
    /// `|A_B|^2`.
    pub background: Lobe,
    /// The background that does not interfere.
    pub incoherent: Lobe,
    /// The interference is this times `2 |A_S| |A_B| cos(wave . x + phase)`, 0 to 1.
    pub coherence: f64,
    /// Wave vector of the relative phase.
    pub wave: Point,
    /// The relative phase at the origin, radians.
    pub phase: f64,
    /// The shape-and-rate nuisance parameter.
    pub shape: ShapeVariation,
    /// The rate-only nuisance parameter.
    pub rate: RateVariation,
}

impl Default for InterferenceConfig {
    /// About 2000 events at `mu = 1`, destructive interference, and no single
    /// observable that holds much of the information on `mu`.
    fn default() -> Self {
        let both = |up, down| UpDown { up, down };
        let half = [0.25, 0.2, -0.25, 0.2, -0.2, 0.15];
        Self {
            signal: Lobe {
                events: 325.0,
                mean: half,
                width: [1.05; DIMENSIONS],
            },
            background: Lobe {
                events: 1200.0,
                mean: half.map(|m| -m),
                width: [1.0; DIMENSIONS],
            },
            incoherent: Lobe {
                events: 975.0,
                mean: [0.0; DIMENSIONS],
                width: [1.2; DIMENSIONS],
            },
            coherence: 1.0,
            wave: [0.4, -0.4, 0.4, 0.4, -0.4, 0.4],
            phase: 2.4,
            shape: ShapeVariation {
                wave: [0.5, 0.0, 0.5, -0.5, 0.0, 0.5],
                phase: 0.4,
                size: both(0.12, -0.1),
                rate: both(1.01, 0.99),
            },
            // S and SBI alike: else the intensity turns negative for small mu
            rate: RateVariation {
                signal: both(1.05, 0.95),
                together: both(1.05, 0.95),
                background: both(1.08, 0.93),
            },
        }
    }
}

impl InterferenceConfig {
    /// The model without interference, in which every density ratio and every
    /// response depends on the first observable alone: a histogram of that one,
    /// fine enough, knows as much of `mu` as all six.
    #[must_use]
    pub fn without_interference() -> Self {
        let first = |value: f64, others: f64| {
            let mut x = [others; DIMENSIONS];
            x[0] = value;
            x
        };
        let mut config = Self {
            coherence: 0.0,
            ..Self::default()
        };
        config.signal.mean = first(0.8, 0.0);
        config.background.mean = first(-0.2, 0.0);
        config.signal.width = first(0.7, 1.0);
        config.incoherent.width = first(1.2, 1.0);
        config.shape.wave = first(0.8, 0.0);
        config
    }

    /// Whether every number is in its domain.
    pub(super) fn check(&self) -> Result<()> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        for (name, lobe) in [
            ("signal", &self.signal),
            ("background", &self.background),
            ("incoherent", &self.incoherent),
        ] {
            ensure(
                &format!("{name}.events"),
                &[lobe.events],
                POSITIVE,
                positive,
            )?;
            ensure(&format!("{name}.mean"), &lobe.mean, FINITE, f64::is_finite)?;
            ensure(&format!("{name}.width"), &lobe.width, POSITIVE, positive)?;
        }
        let is_share = |x: f64| (0.0..=1.0).contains(&x);
        ensure(
            "coherence",
            &[self.coherence],
            "a number from 0 to 1",
            is_share,
        )?;
        ensure("wave", &self.wave, FINITE, f64::is_finite)?;
        ensure("phase", &[self.phase], FINITE, f64::is_finite)?;
        ensure("shape.wave", &self.shape.wave, FINITE, f64::is_finite)?;
        ensure("shape.phase", &[self.shape.phase], FINITE, f64::is_finite)?;
        let UpDown { up, down } = self.shape.size;
        for (what, size) in [("shape.size.up", up), ("shape.size.down", down)] {
            ensure(what, &[size], "a number inside (-1, 1)", |x| x.abs() < 1.0)?;
        }
        ensure(
            "spread of shape.wave . x",
            &[self.least_spread()],
            "at least 0.01 radians: a response that is the same for all events is a rate",
            |spread| spread >= LEAST_SPREAD,
        )?;
        for (name, UpDown { up, down }) in [
            ("shape.rate", self.shape.rate),
            ("rate.signal", self.rate.signal),
            ("rate.together", self.rate.together),
            ("rate.background", self.rate.background),
        ] {
            ensure(&format!("{name}.up"), &[up], POSITIVE, positive)?;
            ensure(&format!("{name}.down"), &[down], POSITIVE, positive)?;
        }
        Ok(())
    }

    /// The least standard deviation of `shape.wave . x` under a lobe.
    pub(super) fn least_spread(&self) -> f64 {
        let spread = |lobe: &Lobe| {
            let terms = self.shape.wave.iter().zip(&lobe.width);
            terms.map(|(q, s)| (q * s).powi(2)).sum::<f64>().sqrt()
        };
        let lobes = [&self.signal, &self.background, &self.incoherent];
        lobes.into_iter().map(spread).fold(f64::INFINITY, f64::min)
    }
}

/// Whether the numbers called `what` are what is `expected`.
pub(super) fn ensure(
    what: &str,
    values: &[f64],
    expected: &str,
    holds: impl Fn(f64) -> bool,
) -> Result<()> {
    match values.iter().find(|value| !holds(**value)) {
        Some(value) => Err(Error::config(format!(
            "interference model: {what} is {value}, expected {expected}"
        ))),
        None => Ok(()),
    }
}
