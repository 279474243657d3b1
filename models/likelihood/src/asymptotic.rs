//! Tests of one parameter of interest by asymptotic formulae.
//!
//! Profile likelihood ratios, their distributions for large samples, CLs and upper
//! limits, observed and as expected from Asimov data: Cowan, Cranmer, Gross and
//! Vitells, Eur. Phys. J. C 71 (2011) 1554 (arXiv:1007.1727, whose equations are
//! cited); CLs: Read, J. Phys. G 28 (2002) 2693.
//!
//! The formulae rest on a parabola in mu and on enough events. Where mu-hat sits
//! at a boundary or the likelihood has two minima they fail: see `neyman`.

#[cfg(test)]
mod tests;

use crate::error::{Error, ensure};
use crate::fit::{Fit, FitSettings, fit};
use crate::histogram::HistogramModel;
use crate::{Likelihood, Model};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF as _, Normal};
use std::fmt::Display;

/// A conditional fit may lie this far below the best fit, in `nll`, and still be
/// rounding.
const ROUNDING: f64 = 1e-6;

/// Precision of a limit, of the step that brackets it.
const PRECISION: f64 = 1e-7;
/// The first step, of the finite range of mu.
const FIRST_STEP: f64 = 1.0 / 64.0;

/// Beyond the lowest limit CLs is looked at in steps of this factor in the distance from the
/// best fit, as far as this factor beyond the highest limit, at most so often.
const STEP_BEYOND: f64 = 1.122_462_048_309_373;
const FAR_BEYOND: f64 = 16.0;
const TESTS_BEYOND: usize = 64;

/// A data set with its model, from which Asimov data can be made.
pub trait DataSet: Sized {
    /// Why Asimov data cannot be made.
    type Error: Display;

    /// The likelihood of these data.
    fn likelihood(&self) -> Model;

    /// The data, and all auxiliary measurements, that are expected at a point `[n]`.
    ///
    /// # Errors
    /// If the model predicts nothing possible there.
    fn asimov(&self, point: &[f64]) -> Result<Self, Self::Error>;
}

impl DataSet for HistogramModel {
    type Error = Error;

    fn likelihood(&self) -> Model {
        Self::likelihood(self)
    }

    fn asimov(&self, point: &[f64]) -> Result<Self, Error> {
        Self::asimov(self, point)
    }
}

/// The statistic of an upper limit. Its value is `q_mu` of equation 14 where the
/// bounds of the parameter of interest allow negative values, and that of
/// equation 16 where they end at 0; this chooses its distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpperStatistic {
    /// `q_mu`, equation 52: for a parameter that may be negative.
    Q,
    /// `q_mu` bounded, equation 66: for one that ends at 0.
    #[default]
    QTilde,
}

/// Upper limits, each with its own reason if it does not exist.
#[derive(Debug)]
pub struct Limits {
    /// From the data.
    pub observed: Result<f64, Error>,
    /// Expected without signal, for data that fluctuate by -2, -1, 0, 1 and 2 standard
    /// deviations.
    pub expected: [Result<f64, Error>; 5],
}

/// Fits of observed and of Asimov data, ready to be tested at any mu.
pub struct Asymptotics {
    interest: usize,
    settings: FitSettings,
    observed: Fitted,
    asimov: Fitted,
}

/// A likelihood with its best fit.
struct Fitted {
    name: &'static str,
    likelihood: Model,
    best: Fit,
}

impl Asymptotics {
    /// Fits `data`, makes Asimov data at `asimov_mu` with all other parameters
    /// profiled on `data`, and fits those. For limits `asimov_mu` is 0, for a
    /// discovery 1. `interest` is the place of the parameter of interest.
    ///
    /// # Errors
    /// If a fit fails or there are no Asimov data.
    pub fn new<D: DataSet>(
        data: &D,
        interest: usize,
        asimov_mu: f64,
        settings: &FitSettings,
    ) -> Result<Self, Error> {
        let observed = Fitted::new("data", data.likelihood(), settings)?;
        let profiled = observed.at(interest, asimov_mu, settings)?;
        let asimov = data
            .asimov(&profiled.point)
            .map_err(|error| Error::new(format!("Asimov data at mu = {asimov_mu}: {error}")))?;
        // the point that Asimov data were made at is their best fit
        let mut from_there = settings.clone();
        from_there.starts.push(profiled.point);
        Ok(Self {
            interest,
            asimov: Fitted::new("Asimov data", asimov.likelihood(), &from_there)?,
            observed,
            settings: settings.clone(),
        })
    }

    /// CLs at `mu`, observed and expected.
    ///
    /// # Errors
    /// If a conditional fit fails.
    pub fn cls(&self, mu: f64, statistic: UpperStatistic) -> Result<CLs, Error> {
        let q = |fitted: &Fitted| fitted.q(self.interest, mu, &self.settings);
        Ok(CLs::new(
            mu,
            q(&self.observed)?,
            q(&self.asimov)?,
            statistic,
        ))
    }

    /// The upper limits at a confidence `level`, such as 0.95, each by itself: one that does
    /// not exist withholds no other. The Asimov data must be those without signal.
    ///
    /// CLs may rise again, as where the rate is no rising function of mu: then the limit is the
    /// largest value where CLs falls to `1 - level`, as far as it is looked at, which is 16
    /// times the distance of the first such value from the best fit.
    ///
    /// # Errors
    /// If the level is not in (0.5, 1).
    pub fn limits(&self, level: f64, statistic: UpperStatistic) -> Result<Limits, Error> {
        ensure(level > 0.5 && level < 1.0, || {
            format!("confidence level {level} is not between 0.5 and 1")
        })?;
        let alpha = 1.0 - level;
        let observed = |from: f64| {
            self.descent("the observed", from, |mu| {
                Ok((self.cls(mu, statistic)?.observed / alpha).ln())
            })
        };
        let expected = |sigma: f64, from: f64| {
            // CLs = above(sqrt(q_A) - sigma) / above(-sigma) solved for sqrt(q_A)
            let wanted = sigma + exceeded_with(alpha * above(-sigma));
            let which = format!("the expected ({sigma:+} sigma)");
            self.descent(&which, from, |mu| {
                Ok(wanted - self.asimov.q(self.interest, mu, &self.settings)?.sqrt())
            })
        };
        let [best, none] = [&self.observed, &self.asimov].map(|f| f.best.point[self.interest]);
        let first = Limits {
            observed: observed(best),
            expected: BANDS.map(|sigma| expected(sigma, none)),
        };
        let beyond = self.beyond(&first, best.min(none), statistic);
        // where CLs is seen above a limit that is found, for the last time
        let again = |limit: &Result<f64, Error>, of: &dyn Fn(&CLs) -> f64| {
            let limit = *limit.as_ref().ok()?;
            let last = |cls: &&CLs| cls.mu > limit && of(cls) > alpha;
            beyond.iter().rev().find(last).map(|cls| cls.mu)
        };
        let Limits {
            observed: mut data,
            expected: mut bands,
        } = first;
        if let Some(from) = again(&data, &|cls: &CLs| cls.observed) {
            data = observed(from);
        }
        for (k, (band, sigma)) in bands.iter_mut().zip(BANDS).enumerate() {
            if let Some(from) = again(band, &|cls: &CLs| cls.expected[k]) {
                *band = expected(sigma, from);
            }
        }
        Ok(Limits {
            observed: data,
            expected: bands,
        })
    }

    /// CLs beyond the lowest of some limits, rising in mu, where it can be had. `from`: the
    /// lower of both best fits.
    fn beyond(&self, limits: &Limits, from: f64, statistic: UpperStatistic) -> Vec<CLs> {
        let all = std::iter::once(&limits.observed).chain(&limits.expected);
        let found = all.filter_map(|limit| Some(limit.as_ref().ok()? - from));
        let (lowest, highest) = found.fold((f64::INFINITY, 0.0_f64), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        let (_, bound) = self.observed.likelihood.parameters()[self.interest].bounds;
        let distances = std::iter::successors(Some(lowest), |x| Some(x * STEP_BEYOND));
        let values = distances
            .skip(1)
            .take(TESTS_BEYOND)
            .take_while(|x| *x <= FAR_BEYOND * highest)
            .map(|x| from + x)
            .take_while(|mu| *mu <= bound);
        let values: Vec<f64> = values.collect();
        let tests = values.par_iter().map(|mu| self.cls(*mu, statistic).ok());
        tests.flatten_iter().collect()
    }

    /// Where `f`, positive at and below `from`, becomes negative.
    fn descent(
        &self,
        which: &str,
        from: f64,
        f: impl Fn(f64) -> Result<f64, Error>,
    ) -> Result<f64, Error> {
        let (lower, bound) = self.observed.likelihood.parameters()[self.interest].bounds;
        let range = bound - lower;
        let mut step = if range.is_finite() {
            FIRST_STEP * range
        } else {
            from.abs().max(1.0)
        };
        let mut low = (from, f(from)?);
        loop {
            let mu = (low.0 + step).min(bound);
            let high = (mu, f(mu)?);
            if high.1 <= 0.0 {
                return root(&f, low, high, PRECISION * step);
            }
            if mu >= bound || !step.is_finite() {
                return Err(Error::BeyondBounds {
                    which: which.to_owned(),
                    bound,
                });
            }
            low = high;
            step *= 2.0;
        }
    }
}

impl Fitted {
    fn new(name: &'static str, likelihood: Model, settings: &FitSettings) -> Result<Self, Error> {
        let best = checked(&likelihood, settings, || format!("best fit of {name}"))?;
        Ok(Self {
            name,
            likelihood,
            best,
        })
    }

    /// The fit at a given value, from the best fit and from all other starts.
    fn at(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<Fit, Error> {
        let mut settings = base.with_fixed(interest, mu);
        settings.starts.push(self.best.point.clone());
        checked(&self.likelihood, &settings, || {
            format!("fit of {} at mu = {mu}", self.name)
        })
    }

    fn t(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<f64, Error> {
        let away = self.at(interest, mu, base)?.nll - self.best.nll;
        ensure(away >= -ROUNDING, || {
            format!(
                "the fit at mu = {mu} is by {} in -log L better than the best fit; give the fit \
                 more starts",
                -away
            )
        })?;
        Ok(2.0 * away.max(0.0))
    }

    fn q(&self, interest: usize, mu: f64, base: &FitSettings) -> Result<f64, Error> {
        if self.best.point[interest] > mu {
            return Ok(0.0);
        }
        self.t(interest, mu, base)
    }
}

/// A fit that is a result.
fn checked(
    likelihood: &Model,
    settings: &FitSettings,
    what: impl Fn() -> String,
) -> Result<Fit, Error> {
    let found = fit(likelihood, settings).and_then(|found| found.checked().cloned());
    found.map_err(|error| Error::new(format!("{}: {error}", what())))
}

/// A test of the presence of a signal by CLs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CLs {
    /// The tested value.
    pub mu: f64,
    /// The ratio of the probabilities of a larger statistic with the signal, `CL_s+b`, and
    /// without it, `CL_b`.
    pub observed: f64,
    /// The ratio as expected without signal, for data that fluctuate by -2, -1, 0,
    /// 1 and 2 standard deviations.
    pub expected: [f64; 5],
}

impl CLs {
    fn new(mu: f64, q: f64, q_asimov: f64, statistic: UpperStatistic) -> Self {
        let (root, asimov) = (q.sqrt(), q_asimov.sqrt());
        // equations 59 and 66 as a unit normal number, larger with less signal; where signal
        // and none are the same, at and below 0, CLs is 1
        let z = if statistic == UpperStatistic::Q || root <= asimov || asimov == 0.0 {
            root - asimov
        } else {
            (q - q_asimov) / (2.0 * asimov)
        };
        Self {
            mu,
            observed: ratio_above(z + asimov, z),
            expected: BANDS.map(|sigma| above(asimov - sigma) / above(-sigma)),
        }
    }
}

/// Fluctuations of the data, in standard deviations, of the expected results.
const BANDS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];

/// Probability of a unit normal number above `z`.
fn above(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// The unit normal number that is exceeded with a probability.
fn exceeded_with(probability: f64) -> f64 {
    -Normal::standard().inverse_cdf(probability)
}

/// `above(far) / above(near)` for `far >= near`, also where both are too small for a
/// number.
fn ratio_above(far: f64, near: f64) -> f64 {
    let (above_far, above_near) = (above(far), above(near));
    if above_far > 0.0 || above_near >= f64::MIN_POSITIVE {
        return above_far / above_near;
    }
    // Mills' ratio is 1 / z to 1e-3 here
    (0.5 * (near - far) * (near + far)).exp() * near / far
}

/// Evaluations after which a bracket is taken as it is: bisection alone has
/// reduced it by 2^30 by then.
const EVALUATIONS: usize = 60;

/// A root of `f` between `low` and `high`, where it has the values `at_low` and
/// `at_high` of opposite sign, to within `tolerance`.
///
/// False position with the weights of Illinois (Dowell and Jarratt, BIT 11 (1971)
/// 168), and a bisection after each pair of steps.
fn root<E>(
    mut f: impl FnMut(f64) -> Result<f64, E>,
    (mut low, mut at_low): (f64, f64),
    (mut high, mut at_high): (f64, f64),
    tolerance: f64,
) -> Result<f64, E> {
    for step in 0..EVALUATIONS {
        if (high - low).abs() <= tolerance || at_low == 0.0 {
            break;
        }
        let secant = (low * at_high - high * at_low) / (at_high - at_low);
        let inside = secant > low.min(high) && secant < low.max(high);
        let x = if step % 3 == 2 || !inside {
            0.5 * (low + high)
        } else {
            secant
        };
        let value = f(x)?;
        if value == 0.0 {
            return Ok(x);
        }
        if (value > 0.0) == (at_low > 0.0) {
            (low, at_low) = (x, value);
            at_high *= 0.5;
        } else {
            (high, at_high) = (low, at_low);
            (low, at_low) = (x, value);
        }
    }
    Ok(if at_low.abs() <= at_high.abs() {
        low
    } else {
        high
    })
}
