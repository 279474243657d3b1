//! The statistic of one data set along mu, and where functions of it fall to zero.

use super::cls::{BANDS, Slope, UpperStatistic, log_cls, root, wanted};
use crate::error::{Error, ensure};
use crate::fit::{Fit, FitSettings, Path, fit, refit};
use crate::{Likelihood as _, Model, Parameter};
use rayon::prelude::*;

/// Best fits that a search may redo.
const REDONE: usize = 4;

/// Asimov data whose best fit is where they were made have no more half a deviance than this.
const NOTHING: f64 = 1e-9;

/// A likelihood with its best fit.
pub(super) struct Fitted {
    pub(super) name: &'static str,
    pub(super) likelihood: Model,
    pub(super) best: Fit,
}

impl Fitted {
    pub(super) fn new(
        name: &'static str,
        likelihood: Model,
        settings: &FitSettings,
    ) -> Result<Self, Error> {
        let best = fit(&likelihood, settings).and_then(|found| found.checked().cloned());
        let best = best.map_err(|error| Error::new(format!("best fit of {name}: {error}")))?;
        Ok(Self {
            name,
            likelihood,
            best,
        })
    }

    /// Asimov data: their best fit is where they were made, if that explains them.
    pub(super) fn of_asimov(
        likelihood: Model,
        settings: &FitSettings,
        made_at: &[f64],
    ) -> Result<Self, Error> {
        let name = "Asimov data";
        let there = refit(&likelihood, settings, made_at)?;
        if there.is_converged() && there.nll.abs() <= NOTHING {
            return Ok(Self {
                name,
                likelihood,
                best: there,
            });
        }
        let mut settings = settings.clone();
        settings.starts.push(made_at.to_vec());
        Self::new(name, likelihood, &settings)
    }

    /// The statistic along a parameter.
    pub(super) fn curve<'a>(
        &'a self,
        interest: usize,
        settings: &'a FitSettings,
    ) -> Result<Curve<'a>, Error> {
        Ok(Curve {
            fitted: self,
            interest,
            path: Path::new(&self.likelihood, settings, &self.best, interest)?,
            best: self.best.clone(),
            deeper_at: Vec::new(),
        })
    }
}

/// The first step where nothing is known, of the nominal value and at least of one.
const FIRST_STEP: f64 = 1e-3;

/// Profile likelihood ratios of one data set along the parameter of interest.
pub(super) struct Curve<'a> {
    fitted: &'a Fitted,
    interest: usize,
    path: Path<'a>,
    /// The best fit, redone where a conditional fit was deeper.
    pub(super) best: Fit,
    /// Where that was.
    pub(super) deeper_at: Vec<f64>,
}

impl Curve<'_> {
    /// The best fit of mu.
    pub(super) fn best_mu(&self) -> f64 {
        self.best.point[self.interest]
    }

    /// `t_mu` and its derivative. Should the conditional fit be deeper than the best one, that
    /// is redone from there.
    pub(super) fn t(&mut self, mu: f64) -> Result<Slope, Error> {
        let found = self.path.at(mu).map_err(|error| self.named(mu, &error))?;
        if !Path::is_missed(found.nll, &self.best) {
            let t = 2.0 * (found.nll - self.best.nll).max(0.0);
            return Ok([t, 2.0 * found.slope]);
        }
        let again = self.path.best_from(mu)?;
        let is_better = again.is_converged() && again.nll <= found.nll;
        ensure(is_better && self.deeper_at.len() < REDONE, || {
            format!(
                "the fit of {} at mu = {mu} is by {} in -log L better than the best fit, and no \
                 best fit was found from there; give the fit more starts",
                self.fitted.name,
                self.best.nll - found.nll
            )
        })?;
        self.best = again;
        self.deeper_at.push(mu);
        self.t(mu)
    }

    /// `q_mu` and its derivative: zero where the best fit is above mu.
    pub(super) fn q(&mut self, mu: f64) -> Result<Slope, Error> {
        if self.best_mu() >= mu {
            return Ok([0.0; 2]);
        }
        let t = self.t(mu)?;
        // the best fit may be another one now
        Ok(if self.best_mu() >= mu { [0.0; 2] } else { t })
    }

    /// Looks for a deeper conditional minimum at mu from all starts; says whether there is
    /// one.
    pub(super) fn check(&mut self, mu: f64) -> Result<bool, Error> {
        let found = self.path.check(mu);
        found.map_err(|error| self.named(mu, &error))
    }

    /// The distance from the best fit at which `sqrt(q)` is about 1: by the Hessian, where
    /// that has an error, else by looking.
    fn step(&mut self) -> Result<f64, Error> {
        let (k, best) = (self.interest, &self.best);
        let curvature = || best.profile_curvature(k);
        let by_hessian = best.error(k).or_else(|| Some(curvature()?.sqrt().recip()));
        if let Some(step) = by_hessian.filter(|step| step.is_finite() && *step > 0.0) {
            return Ok(step);
        }
        let from = self.best_mu();
        let mut step = FIRST_STEP * self.parameter().nominal.abs().max(1.0);
        while from + step < self.bound() && self.q(from + step)?[0] < 1.0 {
            step *= 2.0;
        }
        Ok(step)
    }

    fn parameter(&self) -> &Parameter {
        &self.fitted.likelihood.parameters()[self.interest]
    }

    /// Upper bound of the parameter of interest.
    fn bound(&self) -> f64 {
        self.parameter().bounds.1
    }

    /// The conditional minimum at mu, `[n]`, looked for from all starts, and its negative
    /// log-likelihood.
    pub(super) fn profiled(&mut self, mu: f64) -> Result<(Vec<f64>, f64), Error> {
        self.check(mu)?;
        self.t(mu)?;
        let nll = self.path.at(mu)?.nll;
        let point = self.path.point(mu).map(<[f64]>::to_vec);
        Ok((point.unwrap_or_default(), nll))
    }

    fn named(&self, mu: f64, error: &Error) -> Error {
        Error::new(format!("fit of {} at mu = {mu}: {error}", self.fitted.name))
    }
}

/// Searches for a limit that begin again because a deeper minimum was found.
const AGAIN: usize = 4;
/// Data that are by more than this deeper where Asimov data were made have other ones.
const OTHER_ASIMOV: f64 = 1e-4;

/// A search for limits, along the curves of data and of Asimov data, or of these alone.
pub(super) struct Search<'a, const N: usize> {
    curves: [Curve<'a>; N],
    /// `sqrt(q)` of Asimov data is about 1 at this distance from their best fit.
    step: f64,
}

impl<'a, const N: usize> Search<'a, N> {
    /// Asimov data come last.
    pub(super) fn new(
        fitted: [&'a Fitted; N],
        interest: usize,
        settings: &'a FitSettings,
    ) -> Result<Self, Error> {
        let curves: Result<Vec<Curve<'a>>, Error> = fitted
            .into_iter()
            .map(|f| f.curve(interest, settings))
            .collect();
        let mut curves: [Curve<'a>; N] = curves?
            .try_into()
            .map_err(|_| Error::new("a search has a curve for each data set"))?;
        let step = curves.last_mut().map_or(Ok(1.0), Curve::step)?;
        Ok(Self { curves, step })
    }

    /// Where best fits were redone.
    pub(super) fn deeper_at(&self) -> Vec<f64> {
        let all = self.curves.iter().flat_map(|curve| &curve.deeper_at);
        all.copied().collect()
    }

    /// How often.
    fn redone(&self) -> usize {
        self.curves.iter().map(|curve| curve.deeper_at.len()).sum()
    }

    /// Where a function of the statistics of all curves falls to zero, found again as long as
    /// that comes upon deeper minima.
    fn fall(
        &mut self,
        which: &str,
        from: f64,
        first: f64,
        f: impl Fn(&[Option<Slope>; N]) -> Slope,
    ) -> Result<f64, Error> {
        let mut first = first;
        for _ in 0..AGAIN {
            let redone = self.redone();
            let bound = self.curves[0].bound();
            let from = self
                .curves
                .iter()
                .fold(from, |from, c| from.max(c.best_mu().min(bound)));
            let found = descent(which, (from, bound), first, |mu| {
                Ok(f(&self.statistics(mu)?))
            });
            if self.redone() > redone {
                continue;
            }
            let mu = found?;
            let mut is_deeper = false;
            for curve in &mut self.curves {
                is_deeper |= curve.best_mu() < mu && curve.check(mu)?;
            }
            if !is_deeper {
                return Ok(mu);
            }
            first = mu - from;
        }
        Err(Error::new(format!(
            "{which} upper limit: deeper minima are found each time; give the fit more starts"
        )))
    }

    /// `q` of all curves with its derivative; none where the best fit is above mu.
    fn statistics(&mut self, mu: f64) -> Result<[Option<Slope>; N], Error> {
        let one = |curve: &mut Curve<'_>| {
            let q = curve.q(mu)?;
            Ok::<_, Error>((curve.best_mu() <= mu).then_some(q))
        };
        let found: Result<Vec<_>, Error> = self.curves.par_iter_mut().map(one).collect();
        let found = found?;
        Ok(std::array::from_fn(|i| found[i]))
    }
}

impl Search<'_, 2> {
    /// The observed limit beyond a value. `made_at`: where Asimov data were made, `[n]`, and the
    /// value of the likelihood of the data there.
    pub(super) fn observed(
        &mut self,
        alpha: f64,
        statistic: UpperStatistic,
        from: f64,
        made_at: (f64, f64),
    ) -> Result<f64, Error> {
        let found = self.fall("the observed", from, 2.0 * self.step, |[q, asimov]| {
            let [value, slope] = match q {
                Some(q) => log_cls(*q, asimov.unwrap_or_default(), statistic),
                None => [0.0; 2],
            };
            [value - alpha.ln(), slope]
        });
        let (mu, nll) = made_at;
        let data = &mut self.curves[0];
        if !data.deeper_at.is_empty() {
            let there = data.path.at(mu)?.nll;
            ensure(there >= nll - OTHER_ASIMOV, || {
                format!(
                    "the data have a deeper minimum at mu = {mu} than the one that Asimov data \
                     were made at; give the fit more starts"
                )
            })?;
        }
        found
    }
}

impl Search<'_, 1> {
    /// Expected limits for data that fluctuate by -2, -1, 0, 1 and 2 standard deviations,
    /// beyond a value each; none: it is not asked for.
    pub(super) fn expected(
        &mut self,
        alpha: f64,
        from: [Option<f64>; 5],
    ) -> [Result<f64, Error>; 5] {
        let mut limits = BANDS.map(|_| Err(not_asked()));
        // what has been found tells where the next one is
        let mut step = self.step;
        for ((limit, sigma), from) in limits.iter_mut().zip(BANDS).zip(from) {
            let Some(from) = from else {
                continue;
            };
            let wanted = wanted(alpha, sigma);
            let which = format!("the expected ({sigma:+} sigma)");
            *limit = self.fall(&which, from, step * wanted, |[q]| {
                let [root, slope] = root(q.unwrap_or_default());
                [wanted - root, -slope]
            });
            if let Ok(mu) = limit {
                step = (*mu - from) / wanted;
            }
        }
        limits
    }
}

/// What stands for a limit that nobody asked for.
pub(super) fn not_asked() -> Error {
    Error::new("this limit was not asked for")
}

/// Precision of a limit, of its distance from the best fit.
const PRECISION: f64 = 1e-7;
/// A step goes at most this many times as far.
const EXPANSION: f64 = 3.0;
/// Evaluations after which a bracket is taken as it is.
const EVALUATIONS: usize = 80;
/// Values at which a function cannot be had that are stepped back from.
const FAILURES: usize = 12;

/// Where `f`, positive at `from`, becomes negative: by Newton's method with its derivative,
/// kept in a bracket as soon as there is one. `first`: the first step; `bound`: the last value
/// that is looked at.
pub(super) fn descent(
    which: &str,
    (from, bound): (f64, f64),
    first: f64,
    mut f: impl FnMut(f64) -> Result<Slope, Error>,
) -> Result<f64, Error> {
    let beyond = || Error::BeyondBounds {
        which: which.to_owned(),
        bound,
    };
    let (mut low, mut high) = (from, None::<f64>);
    let mut failures = 0;
    let mut mu = (from + first).min(bound);
    for evaluation in 1..=EVALUATIONS {
        if mu <= from {
            return Err(beyond());
        }
        let [value, slope] = match f(mu) {
            Ok(found) => found,
            Err(error) if failures == FAILURES => return Err(error),
            Err(_) => {
                // a wall, or a fit that does not converge so far away
                failures += 1;
                mu = 0.5 * (low + mu);
                continue;
            }
        };
        let newton = -value / slope;
        let falls = slope < 0.0 && newton.is_finite();
        if falls && newton.abs() <= PRECISION * (mu - from) {
            return Ok((mu + newton).min(bound));
        }
        if value > 0.0 {
            if mu >= bound || !mu.is_finite() {
                return Err(beyond());
            }
            low = mu;
        } else {
            high = Some(mu);
        }
        let next = mu + newton;
        mu = match high {
            Some(high) => {
                let middle = 0.5 * (low + high);
                if high - low <= 4.0 * f64::EPSILON * high.abs() {
                    return Ok(middle);
                }
                let is_inside = falls && next > low && next < high;
                if is_inside && evaluation % 5 != 0 {
                    next
                } else {
                    middle
                }
            }
            None => {
                let farthest = from + EXPANSION * (mu - from);
                let next = if falls { next.min(farthest) } else { farthest };
                next.min(bound)
            }
        };
    }
    Ok(high.map_or(low, |high| 0.5 * (low + high)))
}
