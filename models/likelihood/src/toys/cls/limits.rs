//! Upper limits by toys at some values of mu.

use super::ratio::ToyRatio;
use super::{ToyCLs, ToySettings, ToyTest, check_settings};
use crate::asymptotic::Asymptotics;
use crate::error::{Error, ensure};
use crate::fit::FitSettings;
use crate::histogram::HistogramModel;
use serde::Serialize;

/// A limit by toys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ToyValue {
    /// The limit.
    pub value: f64,
    /// Its error, of those of CLs at both values of mu beside it.
    pub error: f64,
}

/// Upper limits by toys, each with its own reason if it does not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct ToyLimits {
    /// From the data.
    pub observed: Result<ToyValue, Error>,
    /// Expected without signal, for data that fluctuate by -2, -1, 0, 1 and 2 standard
    /// deviations.
    pub expected: [Result<ToyValue, Error>; 5],
    /// CLs at the values of mu, rising.
    pub points: Vec<ToyCLs>,
}

/// Upper limits at a confidence `level` by toys at some values of mu, which are tests 0, 1, ...
/// in their order; about half to 1.6 times the asymptotic limit are good ones. Between two
/// values the logarithm of CLs is linear.
///
/// # Errors
/// If the question makes no sense or a test cannot be made.
pub fn toy_limits(
    model: &HistogramModel,
    interest: usize,
    (values, level): (&[f64], f64),
    fits: &FitSettings,
    settings: &ToySettings,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ToyLimits, Error> {
    check_settings(settings)?;
    ensure(level > 0.5 && level < 1.0, || {
        format!("confidence level {level} is not between 0.5 and 1")
    })?;
    let is_rising = values.len() >= 2 && values.windows(2).all(|pair| pair[0] < pair[1]);
    ensure(is_rising, || {
        format!("toys at mu = {values:?} are asked for; a limit needs two rising values at least")
    })?;
    let tests = Asymptotics::new(model, interest, 0.0, fits)?;
    let mut points = Vec::with_capacity(values.len());
    for (point, mu) in values.iter().enumerate() {
        let at = (*mu, point as u64);
        let test = ToyTest::of(model, &tests, interest, at, fits, settings.seed)?;
        points.push(test.run(settings, progress)?);
    }
    let alpha = 1.0 - level;
    let limit = |of: &dyn Fn(&ToyCLs) -> ToyRatio| {
        let curve: Vec<(f64, ToyRatio)> = points.iter().map(|p| (p.mu, of(p))).collect();
        crossing(&curve, alpha)
    };
    Ok(ToyLimits {
        observed: limit(&|point| point.observed),
        expected: std::array::from_fn(|band| limit(&|point| point.expected[band])),
        points,
    })
}

/// Where CLs falls to `alpha` for the last time.
pub(super) fn crossing(curve: &[(f64, ToyRatio)], alpha: f64) -> Result<ToyValue, Error> {
    let value = |ratio: ToyRatio| match ratio {
        ToyRatio::Value { value, .. } => Some(value),
        // below alpha, if it can be told
        ToyRatio::Below(most) if most <= alpha => Some(0.0),
        ToyRatio::Below(_) | ToyRatio::Unknown => None,
    };
    let is_above = |i: usize| value(curve[i].1).is_some_and(|x| x > alpha);
    let (first, last) = (curve[0].0, curve[curve.len() - 1].0);
    let found = (1..curve.len())
        .rev()
        .find(|&i| is_above(i - 1) && !is_above(i));
    let Some(i) = found else {
        return Err(Error::new(format!(
            "CLs by toys does not fall to {alpha:.4} between mu = {first} and mu = {last}; test \
             other values"
        )));
    };
    let ((a, one), (b, other)) = (curve[i - 1], curve[i]);
    let (ToyRatio::Value { value, error }, ToyRatio::Value { value: v, error: e }) = (one, other)
    else {
        return Err(Error::new(format!(
            "CLs by toys falls to {alpha:.4} between mu = {a} and mu = {b}, where too few toys are \
             beyond the data; throw more, or test a value between"
        )));
    };
    // x = ln(CLs / alpha), zero at the limit
    let (x, y) = ((value / alpha).ln(), (v / alpha).ln());
    let fall = x - y;
    let share = x / fall;
    let slopes = [
        -y / (fall * fall) * (error / value),
        x / (fall * fall) * (e / v),
    ];
    Ok(ToyValue {
        value: a + share * (b - a),
        error: (b - a) * slopes[0].hypot(slopes[1]),
    })
}
