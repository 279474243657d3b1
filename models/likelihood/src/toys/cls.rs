//! CLs by pseudo-experiments: the distributions of `q_mu` with and without the signal, instead
//! of their asymptotic forms.
//!
//! A toy is a function of (seed, point, hypothesis, number): results do not depend on threads,
//! and toys can be thrown on. Nuisance parameters are at their conditional best fit to the data;
//! counts and auxiliary measurements of each toy are drawn anew.

mod limits;
mod ratio;
#[cfg(test)]
mod tests;

pub use limits::{ToyLimits, ToyValue, toy_limits};
pub use ratio::{ToyRatio, ToyTail};

use super::{poisson_count, randomised};
use crate::asymptotic::Asymptotics;
use crate::error::{Error, ensure};
use crate::fit::{FitSettings, Minimum, minimum};
use crate::histogram::HistogramModel;
use rayon::prelude::*;
use serde::Serialize;
use sideband_numerics::random::Key;
use statrs::distribution::{ContinuousCDF as _, Normal};

/// Toys of each hypothesis that one test may have.
pub const MOST_TOYS: u64 = 10_000_000;
/// Toys before the precision is looked at for the first time; then their number doubles.
const FIRST_TOYS: u64 = 200;
/// More toys than this part without a fit are no distribution.
const FAILED: f64 = 0.01;
/// Values of the statistic are equal within this, absolute and relative: data of equal counts
/// have equal values up to rounding.
const EQUAL: f64 = 1e-7;
/// Fluctuations of the data, in standard deviations, of the expected results.
const BANDS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];

/// Under what toys are thrown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hypothesis {
    /// At the tested value of mu.
    WithSignal,
    /// At mu = 0.
    Without,
}

/// How many toys are thrown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToySettings {
    /// The seed.
    pub seed: u64,
    /// Toys of each hypothesis, at most.
    pub toys: u64,
    /// An error of the observed CLs at which no more are thrown.
    pub precision: Option<f64>,
}

/// CLs at one value of mu by toys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToyCLs {
    /// The tested value.
    pub mu: f64,
    /// The statistic of the data.
    pub q: f64,
    /// Toys with the signal.
    pub with_signal: ToyTail,
    /// Toys without.
    pub without: ToyTail,
    /// Toys of both whose fit failed, from all starts; they are in no tail.
    pub failed: u64,
    /// The observed ratio.
    pub observed: ToyRatio,
    /// The ratio as expected without signal, at the quantiles of the toys without signal that
    /// stand for -2, -1, 0, 1 and 2 standard deviations.
    pub expected: [ToyRatio; 5],
}

/// A test of one value of mu, ready to throw toys.
pub struct ToyTest<'a> {
    model: &'a HistogramModel,
    settings: FitSettings,
    conditional: FitSettings,
    interest: usize,
    mu: f64,
    q: f64,
    key: Key,
    /// Where toys are thrown with and without the signal, `[n]`.
    points: [Vec<f64>; 2],
    /// Expected counts there, `[channels][bins]`.
    expected: [Vec<Vec<f64>>; 2],
}

impl<'a> ToyTest<'a> {
    /// A test of parameter `interest` at `mu`; `point` tells it from other tests of one seed.
    ///
    /// # Errors
    /// As [`Asymptotics::new`], or if the fit of the data at `mu` fails.
    pub fn new(
        model: &'a HistogramModel,
        interest: usize,
        (mu, point): (f64, u64),
        fits: &FitSettings,
        seed: u64,
    ) -> Result<Self, Error> {
        let tests = Asymptotics::new(model, interest, 0.0, fits)?;
        Self::of(model, &tests, interest, (mu, point), fits, seed)
    }

    fn of(
        model: &'a HistogramModel,
        tests: &Asymptotics,
        interest: usize,
        (mu, point): (f64, u64),
        fits: &FitSettings,
        seed: u64,
    ) -> Result<Self, Error> {
        ensure(mu > 0.0, || {
            format!("toys with a signal of {mu} are asked for; a limit needs values above 0")
        })?;
        let (q, at_mu) = tests.tested(mu)?;
        let points = [at_mu, tests.made_at().to_vec()];
        let settings = FitSettings {
            newton: fits.newton,
            fixed: fits.fixed.clone(),
            ..FitSettings::default()
        };
        let channels =
            |point: &Vec<f64>| model.channels.iter().map(|c| c.expected(point)).collect();
        Ok(Self {
            conditional: settings.with_fixed(interest, mu),
            expected: [channels(&points[0]), channels(&points[1])],
            key: Key::from_seed(seed).with(point),
            settings,
            model,
            interest,
            mu,
            q,
            points,
        })
    }

    /// The statistic of the data.
    pub fn q(&self) -> f64 {
        self.q
    }

    /// The statistic of a toy; none if it has no fit.
    pub fn statistic(&self, hypothesis: Hypothesis, number: u64) -> Option<f64> {
        let which = match hypothesis {
            Hypothesis::WithSignal => 0,
            Hypothesis::Without => 1,
        };
        let toy = self.thrown(which, self.key.with(which as u64).with(number))?;
        let likelihood = toy.likelihood();
        let nominal = self.model.nominal();
        let from = |settings: &FitSettings, start: &[f64]| {
            let found = minimum(&likelihood, settings, start).ok().flatten();
            found.or_else(|| minimum(&likelihood, settings, &nominal).ok().flatten())
        };
        let free = from(&self.settings, &self.points[which])?;
        let best = |found: &Minimum| found.point[self.interest];
        if best(&free) >= self.mu {
            return Some(0.0);
        }
        let mut start = free.point.clone();
        start[self.interest] = self.mu;
        let fixed = from(&self.conditional, &start)?;
        if fixed.nll >= free.nll {
            return Some(2.0 * (fixed.nll - free.nll));
        }
        // the free fit has missed its minimum
        let again = from(&self.settings, &fixed.point)?;
        Some(match best(&again) >= self.mu {
            true => 0.0,
            false => 2.0 * (fixed.nll - again.nll).max(0.0),
        })
    }

    /// Counts and auxiliary measurements drawn anew.
    fn thrown(&self, which: usize, key: Key) -> Option<HistogramModel> {
        let at = &self.points[which];
        let mut toy = self.model.clone();
        for (number, (channel, expected)) in toy
            .channels
            .iter_mut()
            .zip(&self.expected[which])
            .enumerate()
        {
            let mut stream = key.with(0).with(number as u64).stream();
            let counts = expected
                .iter()
                .map(|mean| poisson_count(*mean, &mut stream));
            *channel = channel.with_observed(counts.collect()).ok()?;
        }
        for (number, constraint) in toy.constraints.iter_mut().enumerate() {
            let mut stream = key.with(1).with(number as u64).stream();
            let mean = constraint.tau * at[constraint.parameter];
            constraint.observed = poisson_count(mean, &mut stream);
        }
        toy.parameters = randomised(&toy.parameters, at, key.with(2));
        Some(toy)
    }

    /// CLs of the statistics of toys with and without the signal; none: a toy without a fit.
    ///
    /// # Errors
    /// If more than 1 % of the toys have no fit.
    pub fn evaluate(
        &self,
        with_signal: &[Option<f64>],
        without: &[Option<f64>],
    ) -> Result<ToyCLs, Error> {
        let mu = self.mu;
        let sorted = |toys: &[Option<f64>]| {
            let mut found: Vec<f64> = toys.iter().flatten().copied().collect();
            found.sort_unstable_by(f64::total_cmp);
            found
        };
        let (with, none) = (sorted(with_signal), sorted(without));
        let all = with_signal.len() + without.len();
        let failed = all - with.len() - none.len();
        ensure(failed as f64 <= FAILED * all as f64, || {
            format!(
                "{failed} of {all} toys at mu = {mu} have no fit; more than 1 % leave no \
                 distribution: fix parameters that the data do not measure"
            )
        })?;
        let tail = |toys: &[f64], q: f64| {
            let least = q - EQUAL * (1.0 + q);
            let below = toys.partition_point(|toy| *toy < least);
            ToyTail {
                beyond: (toys.len() - below) as u64,
                toys: toys.len() as u64,
            }
        };
        let ratio = |q: f64| ToyRatio::of(tail(&with, q), tail(&none, q));
        let expected = |sigma: f64| {
            // the value that a share of the toys without signal is at or beyond
            let share = Normal::standard().cdf(sigma);
            let beyond = (share * none.len() as f64).ceil() as usize;
            let place = none.len().saturating_sub(beyond.max(1));
            none.get(place).map_or(ToyRatio::Unknown, |q| ratio(*q))
        };
        Ok(ToyCLs {
            mu,
            q: self.q,
            with_signal: tail(&with, self.q),
            without: tail(&none, self.q),
            failed: failed as u64,
            observed: ratio(self.q),
            expected: BANDS.map(expected),
        })
    }

    /// Throws toys until the precision or their number is reached.
    fn run(
        &self,
        settings: &ToySettings,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<ToyCLs, Error> {
        let mut toys = [Vec::new(), Vec::new()];
        let mut wanted = FIRST_TOYS.min(settings.toys);
        loop {
            for (toys, hypothesis) in toys
                .iter_mut()
                .zip([Hypothesis::WithSignal, Hypothesis::Without])
            {
                let numbers = (toys.len() as u64..wanted).into_par_iter();
                let found = numbers.map(|number| {
                    let q = self.statistic(hypothesis, number);
                    progress(1);
                    q
                });
                toys.extend(found.collect::<Vec<_>>());
            }
            let result = self.evaluate(&toys[0], &toys[1])?;
            let is_known = settings
                .precision
                .is_some_and(|p| result.observed.is_known_to(p));
            if is_known || wanted >= settings.toys {
                return Ok(result);
            }
            wanted = (2 * wanted).min(settings.toys);
        }
    }
}

fn check_settings(settings: &ToySettings) -> Result<(), Error> {
    let toys = settings.toys;
    ensure((1..=MOST_TOYS).contains(&toys), || {
        format!("{toys} toys are asked for; 1 to {MOST_TOYS} can be thrown")
    })?;
    let fits = |precision: f64| precision > 0.0 && precision.is_finite();
    ensure(settings.precision.is_none_or(fits), || {
        "a precision of CLs must be above 0".to_owned()
    })
}

/// CLs at `mu` by toys, of parameter `interest`. `point` tells the test from others of one
/// seed; `progress` gets numbers of toys as they are done.
///
/// # Errors
/// As [`ToyTest::new`] and [`ToyTest::evaluate`], or for settings that make no sense.
pub fn toy_cls(
    model: &HistogramModel,
    interest: usize,
    (mu, point): (f64, u64),
    fits: &FitSettings,
    settings: &ToySettings,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<ToyCLs, Error> {
    check_settings(settings)?;
    let test = ToyTest::new(model, interest, (mu, point), fits, settings.seed)?;
    test.run(settings, progress)
}
