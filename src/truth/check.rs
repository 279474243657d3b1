//! The domain of the numbers of the interference model.

use super::quadrature::LEAST_SPREAD;
use super::{InterferenceConfig, Lobe, Truth, UpDown};
use crate::error::{Error, Result};
use std::fmt::Display;

const POSITIVE: &str = "a positive number";
const FINITE: &str = "a finite number";

fn ensure(holds: bool, what: impl Display, value: f64, expected: &'static str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::config(format!(
        "interference model: {what} is {value}, expected {expected}"
    )))
}

fn positive(what: &str, value: f64) -> Result<()> {
    ensure(value > 0.0 && value.is_finite(), what, value, POSITIVE)
}

fn all_finite(what: &str, values: &[f64]) -> Result<()> {
    let mut values = values.iter();
    values.try_for_each(|value| ensure(value.is_finite(), what, *value, FINITE))
}

fn lobe(name: &str, lobe: &Lobe) -> Result<()> {
    positive(&format!("{name}.events"), lobe.events)?;
    all_finite(&format!("{name}.mean"), &lobe.mean)?;
    let what = format!("{name}.width");
    lobe.width.iter().try_for_each(|w| positive(&what, *w))
}

fn rates(name: &str, rates: UpDown) -> Result<()> {
    positive(&format!("{name}.up"), rates.up)?;
    positive(&format!("{name}.down"), rates.down)
}

/// Every number of a configuration.
pub(super) fn config(config: &InterferenceConfig) -> Result<()> {
    lobe("signal", &config.signal)?;
    lobe("background", &config.background)?;
    lobe("incoherent", &config.incoherent)?;
    let coherence = config.coherence;
    let is_share = (0.0..=1.0).contains(&coherence);
    ensure(is_share, "coherence", coherence, "a number from 0 to 1")?;
    all_finite("wave", &config.wave)?;
    all_finite("phase", &[config.phase])?;
    all_finite("shape.wave", &config.shape.wave)?;
    all_finite("shape.phase", &[config.shape.phase])?;
    let UpDown { up, down } = config.shape.size;
    for (what, size) in [("shape.size.up", up), ("shape.size.down", down)] {
        ensure(size.abs() < 1.0, what, size, "a number inside (-1, 1)")?;
    }
    ensure(
        least_spread(config) >= LEAST_SPREAD,
        "spread of shape.wave . x",
        least_spread(config),
        "at least 0.01 radians: a response that is the same for all events is a rate",
    )?;
    rates("shape.rate", config.shape.rate)?;
    rates("rate.signal", config.rate.signal)?;
    rates("rate.together", config.rate.together)?;
    rates("rate.background", config.rate.background)
}

/// The least standard deviation of `shape.wave . x` under a lobe.
pub(super) fn least_spread(config: &InterferenceConfig) -> f64 {
    let lobes = [&config.signal, &config.background, &config.incoherent];
    let spread = |lobe: &Lobe| {
        let terms = config.shape.wave.iter().zip(&lobe.width);
        terms.map(|(q, s)| (q * s).powi(2)).sum::<f64>().sqrt()
    };
    lobes.into_iter().map(spread).fold(f64::INFINITY, f64::min)
}

/// Parameters at which the density is known exactly.
pub(super) fn truth(truth: &Truth) -> Result<()> {
    let mu = truth.mu;
    ensure(
        mu >= 0.0 && mu.is_finite(),
        "mu",
        mu,
        "a finite number that is not negative: the coefficients hold its square root",
    )?;
    ensure(truth.rate.is_finite(), "rate", truth.rate, FINITE)?;
    if [-1.0, 0.0, 1.0].contains(&truth.shape) {
        return Ok(());
    }
    Err(Error::config(format!(
        "interference model: the shape parameter is {}, where the density is not known exactly; \
         choose -1, 0 or +1",
        truth.shape
    )))
}
