//! The domain of the numbers of the interference model.

use super::{InterferenceConfig, InterferenceError, Lobe, Truth, UpDown};

const POSITIVE: &str = "a positive number";
const FINITE: &str = "a finite number";

fn ensure(
    holds: bool,
    what: impl Into<String>,
    value: f64,
    expected: &'static str,
) -> Result<(), InterferenceError> {
    if holds {
        return Ok(());
    }
    Err(InterferenceError::Domain {
        what: what.into(),
        value,
        expected,
    })
}

fn positive(what: &str, value: f64) -> Result<(), InterferenceError> {
    ensure(value > 0.0 && value.is_finite(), what, value, POSITIVE)
}

fn all_finite(what: &str, values: &[f64]) -> Result<(), InterferenceError> {
    let mut values = values.iter();
    values.try_for_each(|value| ensure(value.is_finite(), what, *value, FINITE))
}

fn lobe(name: &str, lobe: &Lobe) -> Result<(), InterferenceError> {
    positive(&format!("{name}.events"), lobe.events)?;
    all_finite(&format!("{name}.mean"), &lobe.mean)?;
    let what = format!("{name}.width");
    lobe.width.iter().try_for_each(|w| positive(&what, *w))
}

fn rates(name: &str, rates: UpDown) -> Result<(), InterferenceError> {
    positive(&format!("{name}.up"), rates.up)?;
    positive(&format!("{name}.down"), rates.down)
}

/// Every number of a configuration.
pub(super) fn config(config: &InterferenceConfig) -> Result<(), InterferenceError> {
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
    rates("shape.rate", config.shape.rate)?;
    rates("rate.signal", config.rate.signal)?;
    rates("rate.together", config.rate.together)?;
    rates("rate.background", config.rate.background)
}

/// Parameters at which the density is known exactly.
pub(super) fn truth(truth: &Truth) -> Result<(), InterferenceError> {
    let mu = truth.mu;
    ensure(
        mu >= 0.0 && mu.is_finite(),
        "mu",
        mu,
        "a finite number that is not negative: the coefficients hold its square root",
    )?;
    for (nuisance, value) in [("shape", truth.shape), ("rate", truth.rate)] {
        if ![-1.0, 0.0, 1.0].contains(&value) {
            return Err(InterferenceError::Between { nuisance, value });
        }
    }
    Ok(())
}
