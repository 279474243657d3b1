//! CLs by pseudo-experiments: the distributions of `q_mu` with and without the signal, instead
//! of their asymptotic forms.
//!
//! A toy is a function of (seed, point, hypothesis, number): results do not depend on threads,
//! and toys can be thrown on. Nuisance parameters are at their conditional best fit to the data;
//! counts and auxiliary measurements of each toy are drawn anew.

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
/// Probability that a value without toys beyond lies below its upper limit.
const LIMIT_LEVEL: f64 = 0.95;
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

/// Toys whose statistic is at least that of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ToyTail {
    /// Their number.
    pub beyond: u64,
    /// All toys with a fit.
    pub toys: u64,
}

/// A ratio of two tails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToyRatio {
    /// It was counted.
    Value {
        /// The ratio.
        value: f64,
        /// Its error, by those of both binomial proportions.
        error: f64,
    },
    /// No toy with the signal is beyond: an upper limit at 95 %.
    Below(f64),
    /// No toy without the signal is beyond: throw more.
    Unknown,
}

impl ToyRatio {
    /// `(k / n) / (k' / n')`.
    fn of(with_signal: ToyTail, without: ToyTail) -> Self {
        let share = |tail: ToyTail| tail.beyond as f64 / tail.toys as f64;
        if without.beyond == 0 || with_signal.toys == 0 {
            return Self::Unknown;
        }
        let (with, none) = (share(with_signal), share(without));
        if with_signal.beyond == 0 {
            let most = 1.0 - (1.0 - LIMIT_LEVEL).powf(1.0 / with_signal.toys as f64);
            return Self::Below(most / none);
        }
        let square = |tail: ToyTail| (1.0 - share(tail)) / tail.beyond as f64;
        let value = with / none;
        Self::Value {
            value,
            error: value * (square(with_signal) + square(without)).sqrt(),
        }
    }

    /// Whether it is known to a precision.
    fn is_known_to(self, precision: f64) -> bool {
        match self {
            Self::Value { error, .. } => error <= precision,
            Self::Below(most) => most <= precision,
            Self::Unknown => false,
        }
    }
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
fn crossing(curve: &[(f64, ToyRatio)], alpha: f64) -> Result<ToyValue, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Parameter;
    use crate::histogram::{Factor, HistogramChannel, Template};
    use crate::support::{assert_near, assert_refused};

    /// One bin of `mu s` over a known background.
    fn counting(observed: f64, s: f64, b: f64) -> HistogramModel {
        let template = |name: &str, content, factors| Template {
            name: name.into(),
            nominal: vec![content],
            factors,
            modifiers: vec![],
        };
        let templates = vec![
            template("signal", s, vec![Factor::Parameter(0)]),
            template("background", b, vec![]),
        ];
        HistogramModel {
            parameters: vec![Parameter::interest("mu", 1.0, (0.0, 20.0))],
            fixed: vec![],
            channels: vec![HistogramChannel::new("SR", templates, vec![observed], 1).unwrap()],
            constraints: vec![],
        }
    }

    const SETTINGS: ToySettings = ToySettings {
        seed: 3,
        toys: 4000,
        precision: None,
    };

    /// Probability of at most `n` events.
    fn at_most(n: u32, mean: f64) -> f64 {
        let mut term = (-mean).exp();
        let mut sum = term;
        for k in 1..=n {
            term *= mean / f64::from(k);
            sum += term;
        }
        sum
    }

    fn run(model: &HistogramModel, mu: f64, settings: &ToySettings) -> ToyCLs {
        let fits = FitSettings::default();
        toy_cls(model, 0, (mu, 0), &fits, settings, &|_| ()).unwrap()
    }

    #[test]
    fn cls_of_a_count_is_the_ratio_of_poisson_probabilities() {
        // q falls with the count up to mu s + b
        let model = counting(3.0, 2.0, 3.5);
        let found = run(&model, 2.0, &SETTINGS);
        let ToyRatio::Value { value, error } = found.observed else {
            panic!("{found:?}");
        };
        let expected = at_most(3, 7.5) / at_most(3, 3.5);
        assert!(error < 0.01 && error > 1e-3, "{error}");
        assert_near(value, expected, 4.0 * error);
        assert_eq!((found.with_signal.toys, found.failed), (4000, 0));
        // the median of the toys without signal is a count of 3
        let ToyRatio::Value { value: median, .. } = found.expected[2] else {
            panic!("{found:?}");
        };
        assert_near(median, value, 1e-12);
    }

    #[test]
    fn a_best_fit_above_excludes_nothing() {
        let found = run(&counting(9.0, 2.0, 3.5), 1.0, &SETTINGS);
        assert_eq!(found.q, 0.0);
        let ToyRatio::Value { value, error } = found.observed else {
            panic!("{found:?}");
        };
        assert_eq!((value, error), (1.0, 0.0));
    }

    #[test]
    fn no_toy_beyond_is_an_upper_limit() {
        let few = ToySettings {
            toys: 100,
            ..SETTINGS
        };
        let found = run(&counting(0.0, 12.0, 1.0), 2.0, &few);
        let ToyRatio::Below(most) = found.observed else {
            panic!("{found:?}");
        };
        let none = found.without.beyond as f64 / 100.0;
        assert_near(most, (1.0 - 0.05_f64.powf(0.01)) / none, 1e-12);
        let none = ToyTail {
            beyond: 0,
            toys: 50,
        };
        assert_eq!(ToyRatio::of(none, none), ToyRatio::Unknown);
    }

    #[test]
    fn toys_stop_at_a_precision_and_are_the_same_on_any_number_of_threads() {
        let model = counting(3.0, 2.0, 3.5);
        let precise = ToySettings {
            precision: Some(0.02),
            ..SETTINGS
        };
        let pool = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| run(&model, 2.0, &precise))
        };
        let found = pool(1);
        assert_eq!(found, pool(3));
        let toys = found.with_signal.toys;
        assert!(toys < 4000 && toys.is_multiple_of(200), "{toys}");
        let ToyRatio::Value { error, .. } = found.observed else {
            panic!("{found:?}");
        };
        assert!(error <= 0.02);
        // toys are functions of seed, point and number
        let fits = FitSettings::default();
        let test = ToyTest::new(&model, 0, (2.0, 5), &fits, 3).unwrap();
        let same = ToyTest::new(&model, 0, (2.0, 5), &fits, 3).unwrap();
        let other = ToyTest::new(&model, 0, (2.0, 6), &fits, 3).unwrap();
        let toys = |test: &ToyTest<'_>| -> Vec<Option<f64>> {
            (0..20)
                .map(|n| test.statistic(Hypothesis::Without, n))
                .collect()
        };
        assert_eq!(toys(&test), toys(&same));
        assert_ne!(toys(&test), toys(&other));
    }

    #[test]
    fn limits_lie_where_the_exact_ones_are() {
        let model = counting(3.0, 2.0, 3.5);
        let fits = FitSettings::default();
        let values = [1.0, 1.8, 2.6, 3.4];
        let found = toy_limits(&model, 0, (&values, 0.95), &fits, &SETTINGS, &|_| ()).unwrap();
        let ToyValue { value, error } = found.observed.unwrap();
        let cls = |mu: f64| at_most(3, 2.0 * mu + 3.5) / at_most(3, 3.5);
        let mut exact = (1.0, 3.4);
        for _ in 0..50 {
            let middle = 0.5 * (exact.0 + exact.1);
            if cls(middle) > 0.05 {
                exact.0 = middle
            } else {
                exact.1 = middle
            }
        }
        assert!(error > 0.0 && error < 0.2, "{error}");
        // the logarithm of CLs bends a little between two values
        assert_near(value, exact.0, 4.0 * error + 0.02);
        assert_eq!(found.points.len(), 4);
        let short = toy_limits(&model, 0, (&[0.5, 0.6], 0.95), &fits, &SETTINGS, &|_| ());
        assert_refused(
            short.unwrap().observed,
            "does not fall to 0.0500 between mu = 0.5",
        );
    }

    #[test]
    fn errors_of_a_crossing_are_those_of_both_values() {
        let at = |value: f64, error: f64| ToyRatio::Value { value, error };
        let curve = [
            (1.0, at(0.2, 0.02)),
            (2.0, at(0.02, 0.004)),
            (3.0, ToyRatio::Below(0.01)),
        ];
        let found = crossing(&curve, 0.05).unwrap();
        let crossed = |a: f64, b: f64| 1.0 + (a / 0.05).ln() / (a / b).ln();
        assert_near(found.value, crossed(0.2, 0.02), 1e-12);
        let moved = [crossed(0.2002, 0.02), crossed(0.2, 0.02002)];
        let slopes = [
            (moved[0] - found.value) * 100.0,
            (moved[1] - found.value) * 200.0,
        ];
        assert_near(found.error, slopes[0].hypot(slopes[1]), 1e-3 * found.error);
        let curve = [(1.0, at(0.2, 0.02)), (2.0, ToyRatio::Below(0.01))];
        assert_refused(
            crossing(&curve, 0.05),
            "between mu = 1 and mu = 2, where too few toys",
        );
    }

    #[test]
    fn what_cannot_be_thrown_is_refused() {
        let model = counting(3.0, 2.0, 3.5);
        let fits = FitSettings::default();
        let refused = |mu: f64, settings: ToySettings, words: &str| {
            let found = toy_cls(&model, 0, (mu, 0), &fits, &settings, &|_| ());
            assert_refused(found, words);
        };
        refused(-1.0, SETTINGS, "a signal of -1 are asked for");
        refused(
            1.0,
            ToySettings {
                toys: 0,
                ..SETTINGS
            },
            "0 toys are asked for",
        );
        let precision = Some(0.0);
        refused(
            1.0,
            ToySettings {
                precision,
                ..SETTINGS
            },
            "a precision of CLs",
        );
        let falling = toy_limits(&model, 0, (&[2.0, 1.0], 0.95), &fits, &SETTINGS, &|_| ());
        assert_refused(falling, "a limit needs two rising values");
        let test = ToyTest::new(&model, 0, (1.0, 0), &fits, 1).unwrap();
        let mut toys = vec![Some(1.0); 97];
        toys.extend([None; 3]);
        assert_refused(
            test.evaluate(&toys, &toys),
            "6 of 200 toys at mu = 1 have no fit",
        );
    }
}
