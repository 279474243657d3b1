//! Tests of one parameter of interest by asymptotic formulae.
//!
//! Profile likelihood ratios, their distributions for large samples, CLs and upper
//! limits, observed and as expected from Asimov data: Cowan, Cranmer, Gross and
//! Vitells, Eur. Phys. J. C 71 (2011) 1554 (arXiv:1007.1727, whose equations are
//! cited); CLs: Read, J. Phys. G 28 (2002) 2693.
//!
//! The formulae rest on a parabola in mu and on enough events. Where mu-hat sits
//! at a boundary or the likelihood has two minima they fail: see `neyman`.

mod cls;
mod curve;
mod discovery;
mod impacts;
#[cfg(test)]
mod tests;

pub use cls::{CLs, UpperStatistic};
pub use discovery::{Discovery, discovery};
pub use impacts::{ImpactKind, LimitImpact, LimitImpactSettings, LimitImpacts, limit_impacts};

use crate::error::{Error, ensure};
use crate::fit::{Fit, FitSettings};
use crate::histogram::HistogramModel;
use crate::{Likelihood as _, Model};
use curve::{Fitted, Search, not_asked};
use rayon::prelude::*;
use std::fmt::Display;

/// Beyond the lowest limit CLs is looked at in steps of this factor in the distance from the
/// best fit, as far as this factor beyond the highest limit, at most so often.
const STEP_BEYOND: f64 = 1.122_462_048_309_373;
const FAR_BEYOND: f64 = 16.0;
const TESTS_BEYOND: usize = 64;

/// An upper bound is widened by factors of ten, at most so often.
const WIDENED: i32 = 6;

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

/// Which upper limits are asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitSettings {
    /// Confidence level, in (0.5, 1).
    pub level: f64,
    /// The statistic.
    pub statistic: UpperStatistic,
    /// Whether a limit above the upper bound of the parameter is refused. If not, the bound is
    /// widened by factors of ten, up to a million.
    pub strict_bounds: bool,
}

/// 95 %, `q_mu` bounded, bounds that may be widened.
impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            level: 0.95,
            statistic: UpperStatistic::QTilde,
            strict_bounds: false,
        }
    }
}

/// Upper limits, each with its own reason if it does not exist.
#[derive(Debug)]
pub struct Limits {
    /// From the data.
    pub observed: Result<f64, Error>,
    /// Expected without signal, for data that fluctuate by -2, -1, 0, 1 and 2 standard
    /// deviations.
    pub expected: [Result<f64, Error>; 5],
    /// The upper bound of the parameter of interest that the limits above its own were found
    /// with; none if they lie below that.
    pub bound_widened: Option<f64>,
    /// Values of mu where a conditional fit was deeper than the best fit, which was then
    /// redone from there; empty as a rule.
    pub deeper_at: Vec<f64>,
}

impl Limits {
    /// All of them, the observed one first.
    fn all(&self) -> impl Iterator<Item = &Result<f64, Error>> {
        std::iter::once(&self.observed).chain(&self.expected)
    }

    /// Takes some limits, the observed one first, from a later search.
    fn take(&mut self, later: Self, which: [bool; 6]) {
        let new = std::iter::once(later.observed).chain(later.expected);
        let old = std::iter::once(&mut self.observed).chain(&mut self.expected);
        for ((old, new), _) in old.zip(new).zip(which).filter(|(_, is_new)| *is_new) {
            *old = new;
        }
        self.deeper_at.extend(later.deeper_at);
    }

    /// Those, the observed one first, that lie beyond the bounds.
    fn beyond_bounds(&self) -> [bool; 6] {
        let mut beyond = [false; 6];
        for (beyond, limit) in beyond.iter_mut().zip(self.all()) {
            *beyond = matches!(limit, Err(Error::BeyondBounds { .. }));
        }
        beyond
    }

    /// Says of those beyond the bounds why they were not looked for with a wider one.
    fn not_widened(&mut self, bound: f64, why: &Error) {
        let all = std::iter::once(&mut self.observed).chain(&mut self.expected);
        for limit in all {
            if let Err(beyond @ Error::BeyondBounds { .. }) = limit {
                let text = format!("{beyond} (with {bound} it is not known: {why})");
                *limit = Err(Error::new(text));
            }
        }
    }
}

/// Fits of observed and of Asimov data, ready to be tested at any mu.
pub struct Asymptotics {
    interest: usize,
    settings: FitSettings,
    observed: Fitted,
    asimov: Fitted,
    /// Where Asimov data were made, `[n]`, and the value of the likelihood of the data there.
    made_at: Vec<f64>,
    made_at_nll: f64,
}

impl Asymptotics {
    /// Fits `data`, makes Asimov data at `asimov_mu` with all other parameters
    /// profiled on `data`, and fits those. For limits `asimov_mu` is 0, for a
    /// discovery 1. `interest` is the place of the parameter of interest.
    ///
    /// # Errors
    /// If a fit fails, there are no Asimov data, or the parameter of interest is fixed, has a
    /// constraint, or `asimov_mu` outside of its bounds.
    pub fn new<D: DataSet>(
        data: &D,
        interest: usize,
        asimov_mu: f64,
        settings: &FitSettings,
    ) -> Result<Self, Error> {
        let likelihood = data.likelihood();
        check_interest(&likelihood, interest, asimov_mu, settings)?;
        let mut observed = Fitted::new("data", likelihood, settings)?;
        let (made_at, made_at_nll, best) = {
            let mut curve = observed.curve(interest, settings)?;
            let (made_at, nll) = curve.profiled(asimov_mu)?;
            (made_at, nll, curve.best)
        };
        observed.best = best;
        let asimov = data
            .asimov(&made_at)
            .map_err(|error| Error::new(format!("Asimov data at mu = {asimov_mu}: {error}")))?;
        Ok(Self {
            interest,
            asimov: Fitted::of_asimov(asimov.likelihood(), settings, &made_at)?,
            observed,
            settings: settings.clone(),
            made_at,
            made_at_nll,
        })
    }

    /// The best fit of the data.
    pub fn best(&self) -> &Fit {
        &self.observed.best
    }

    /// The point, `[n]`, that the Asimov data were made at.
    pub fn made_at(&self) -> &[f64] {
        &self.made_at
    }

    /// `q_mu` of the data, zero where the best fit is above, and the conditional minimum, `[n]`.
    pub(crate) fn tested(&self, mu: f64) -> Result<(f64, Vec<f64>), Error> {
        let mut curve = self.observed.curve(self.interest, &self.settings)?;
        let (point, _) = curve.profiled(mu)?;
        Ok((curve.q(mu)?[0], point))
    }

    /// CLs at `mu`, observed and expected.
    ///
    /// # Errors
    /// If a conditional fit fails.
    pub fn cls(&self, mu: f64, statistic: UpperStatistic) -> Result<CLs, Error> {
        let q = |fitted: &Fitted| {
            let mut curve = fitted.curve(self.interest, &self.settings)?;
            if curve.best_mu() < mu {
                curve.check(mu)?;
            }
            let [q, _] = curve.q(mu)?;
            Ok::<_, Error>((q, curve.best_mu() > mu))
        };
        let (observed, is_above) = q(&self.observed)?;
        let (asimov, _) = q(&self.asimov)?;
        let observed = (!is_above).then_some(observed);
        Ok(CLs::new(mu, observed, asimov, statistic))
    }

    /// [`Self::limits_with`] bounds that are kept.
    ///
    /// # Errors
    /// If the level is not in (0.5, 1).
    pub fn limits(&self, level: f64, statistic: UpperStatistic) -> Result<Limits, Error> {
        self.limits_with(&LimitSettings {
            level,
            statistic,
            strict_bounds: true,
        })
    }

    /// The upper limits, each by itself: one that does not exist withholds no other. The
    /// Asimov data must be those without signal.
    ///
    /// Conditional fits start from the nearest that is known. At each limit a deeper minimum
    /// is looked for from the nominal point, and the limit is found again if there is one.
    ///
    /// CLs may rise again where the expected counts are not linear in mu: then the limit is the
    /// largest value where CLs falls to `1 - level`, as far as it is looked at, which is 16
    /// times the distance of the first such value from the best fit.
    ///
    /// # Errors
    /// If the level is not in (0.5, 1).
    pub fn limits_with(&self, asked: &LimitSettings) -> Result<Limits, Error> {
        ensure(asked.level > 0.5 && asked.level < 1.0, || {
            format!("confidence level {} is not between 0.5 and 1", asked.level)
        })?;
        let limits = self.within_bounds(asked, [true; 6]);
        let parameter = &self.observed.likelihood.parameters()[self.interest];
        let (_, bound) = parameter.bounds;
        if asked.strict_bounds || !(bound > 0.0 && bound.is_finite()) {
            return Ok(limits);
        }
        let widened = |bound: f64| self.widened(bound);
        Ok(Self::beyond_bound(limits, asked, bound, widened))
    }

    /// Looks for the limits that lie beyond a bound with wider ones. Where those cannot be had
    /// the others stand.
    fn beyond_bound(
        mut limits: Limits,
        asked: &LimitSettings,
        bound: f64,
        widened: impl Fn(f64) -> Result<Self, Error>,
    ) -> Limits {
        for power in 1..=WIDENED {
            let missing = limits.beyond_bounds();
            if missing == [false; 6] {
                break;
            }
            let wider = bound * 10.0_f64.powi(power);
            match widened(wider) {
                Ok(tests) => limits.take(tests.within_bounds(asked, missing), missing),
                Err(why) => {
                    limits.not_widened(wider, &why);
                    break;
                }
            }
            limits.bound_widened = Some(wider);
        }
        limits
    }

    /// The same with another upper bound of the parameter of interest, which is not below its own.
    ///
    /// # Errors
    /// If a best fit that is on its own bound fails with the other one.
    pub fn widened(&self, bound: f64) -> Result<Self, Error> {
        let fitted = |fitted: &Fitted| {
            let (lower, upper) = fitted.likelihood.parameters()[self.interest].bounds;
            let likelihood = fitted.likelihood.clone();
            let likelihood = likelihood.with_bounds(self.interest, (lower, bound));
            if fitted.best.point[self.interest] < upper {
                let best = fitted.best.clone();
                let name = fitted.name;
                return Ok(Fitted {
                    name,
                    likelihood,
                    best,
                });
            }
            let mut settings = self.settings.clone();
            settings.starts.push(fitted.best.point.clone());
            Fitted::new(fitted.name, likelihood, &settings)
        };
        Ok(Self {
            interest: self.interest,
            settings: self.settings.clone(),
            observed: fitted(&self.observed)?,
            asimov: fitted(&self.asimov)?,
            made_at: self.made_at.clone(),
            made_at_nll: self.made_at_nll,
        })
    }

    /// Those limits, the observed one first, that are asked for.
    fn within_bounds(&self, asked: &LimitSettings, which: [bool; 6]) -> Limits {
        let best = [&self.observed, &self.asimov].map(|f| f.best.point[self.interest]);
        let start = |i: usize| which[i].then_some(best[i.min(1)]);
        let mut limits = self.search(asked, std::array::from_fn(start));
        if self.observed.likelihood.is_linear_in(self.interest) {
            return limits;
        }
        let alpha = 1.0 - asked.level;
        let beyond = self.beyond(&limits, best[0].min(best[1]), asked.statistic);
        // where CLs is seen above a limit that was found, for the last time
        let last = |(i, limit): (usize, &Result<f64, Error>)| {
            let limit = *limit.as_ref().ok()?;
            let is_above = |cls: &&CLs| {
                let found = if i == 0 {
                    cls.observed
                } else {
                    cls.expected[i - 1]
                };
                cls.mu > limit && found > alpha
            };
            Some(beyond.iter().rev().find(is_above)?.mu)
        };
        let mut again = [None; 6];
        for (again, limit) in again.iter_mut().zip(limits.all().enumerate()) {
            *again = last(limit);
        }
        let found = self.search(asked, again);
        limits.take(found, again.map(|mu| mu.is_some()));
        limits
    }

    /// Limits that are searched for from some value each; none: it is not.
    fn search(&self, asked: &LimitSettings, from: [Option<f64>; 6]) -> Limits {
        let [data, bands @ ..] = from;
        let (alpha, statistic) = (1.0 - asked.level, asked.statistic);
        let observed = |from: f64| {
            let fitted = [&self.observed, &self.asimov];
            let mut search = Search::new(fitted, self.interest, &self.settings)?;
            let made_at = (self.made_at[self.interest], self.made_at_nll);
            let limit = search.observed(alpha, statistic, from, made_at);
            Ok((limit, search.deeper_at()))
        };
        let expected = || {
            let mut search = Search::new([&self.asimov], self.interest, &self.settings)?;
            let limits = search.expected(alpha, bands);
            Ok((limits, search.deeper_at()))
        };
        let (data, asimov) = rayon::join(
            || data.map_or_else(|| Ok((Err(not_asked()), Vec::new())), observed),
            || {
                if bands == [None; 5] {
                    Ok((bands.map(|_| Err(not_asked())), Vec::new()))
                } else {
                    expected()
                }
            },
        );
        let (observed, mut deeper_at) = data.unwrap_or_else(|e: Error| (Err(e), Vec::new()));
        let no_bands = |e: Error| (bands.map(|_| Err(e.clone())), Vec::new());
        let (expected, deeper) = asimov.unwrap_or_else(no_bands);
        deeper_at.extend(deeper);
        Limits {
            observed,
            expected,
            bound_widened: None,
            deeper_at,
        }
    }

    /// CLs beyond the lowest of some limits, rising in mu, where it can be had. `from`: the
    /// lower of both best fits.
    fn beyond(&self, limits: &Limits, from: f64, statistic: UpperStatistic) -> Vec<CLs> {
        let found = limits
            .all()
            .filter_map(|limit| Some(limit.as_ref().ok()? - from));
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
}

/// Refuses a parameter that cannot be tested, by name.
fn check_interest(
    likelihood: &Model,
    interest: usize,
    asimov_mu: f64,
    settings: &FitSettings,
) -> Result<(), Error> {
    let (parameters, count) = (likelihood.parameters(), likelihood.parameters().len());
    let parameter = parameters.get(interest).ok_or_else(|| {
        Error::new(format!(
            "parameter {interest} is asked for; the likelihood has {count}"
        ))
    })?;
    let (name, (lower, upper)) = (&parameter.name, parameter.bounds);
    ensure(!settings.is_fixed(interest), || {
        format!("parameter of interest `{name}` is fixed; leave it free to test its values")
    })?;
    ensure(parameter.constraint.is_none(), || {
        format!(
            "parameter of interest `{name}` has an auxiliary measurement; a test of its values \
             needs one that has none"
        )
    })?;
    ensure(lower <= asimov_mu && asimov_mu <= upper, || {
        format!(
            "Asimov data at {name} = {asimov_mu} cannot be made: its bounds are [{lower}, \
             {upper}]; widen them"
        )
    })
}
